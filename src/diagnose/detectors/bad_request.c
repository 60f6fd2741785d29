/* What the listener could not parse or refused by itself, other than headers that are too long and
 * host names without a binding. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static const struct {
    const char *id;
    struct reason_case c;
} cases[] = {
    {"bad-request", {"BadRequest", SEVERITY_INFO, "Requests that are no valid HTTP", NULL}},
    {"bad-request-verb",
     {"Verb", SEVERITY_INFO, "Requests whose method is not valid",
      "The first word of the request is no HTTP method: a scanner, another protocol, or TLS spoken "
      "to "
      "a port without it."}},
    {"bad-request-url",
     {"URL", SEVERITY_INFO, "Requests whose URL is not valid",
      "A bad escape, a control character, a segment over UrlSegmentMaxLength (260) or more than "
      "UrlSegmentMaxCount (255) segments."}},
    {"bad-request-url-length",
     {"URL_Length", SEVERITY_WARNING, "Requests whose URL is too long", NULL}},
    {"bad-request-header", {"Header", SEVERITY_INFO, "Requests with a malformed header", NULL}},
    {"bad-request-number",
     {"Number", SEVERITY_INFO, "Requests with a Content-Length that is no number", NULL}},
    {"bad-request-line-end",
     {"Invalid_CR/LF", SEVERITY_INFO, "Requests with a stray CR or LF", NULL}},
    {"bad-request-forbidden",
     {"Forbidden", SEVERITY_INFO, "Requests that climb above the root",
      "The path leaves the site by \"..\": the listener refuses it with 403 before any site sees "
      "it. "
      "Scanners do this."}},
    {"bad-request-length-required",
     {"LengthRequired", SEVERITY_WARNING, "POST requests without a length",
      "A POST or PUT has neither Content-Length nor chunked coding: a client or proxy that is at "
      "fault."}},
    {"bad-request-coding",
     {"N/I", SEVERITY_WARNING, "Requests with a transfer coding that is not supported", NULL}},
    {"bad-request-entity",
     {"EntityTooLarge", SEVERITY_WARNING, "Requests whose body is too large for the listener",
      NULL}},
    {"bad-request-precondition",
     {"Precondition", SEVERITY_INFO, "Requests that failed a precondition in the listener", NULL}},
    {"listener-error",
     {"Internal", SEVERITY_ERROR, "The listener itself failed",
      "The listener could not go on with the request, usually for lack of memory."}},
};

enum { CLIENTS_MANY = 10 };

static void run(const struct model *m, struct findings *fs)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct model_reason *row = model_find_reason(m, str_z(cases[i].c.reason));
        struct finding *f = detect_reason(m, fs, cases[i].id, &cases[i].c);

        if (!f)
            continue;
        if (row->clients >= CLIENTS_MANY && f->severity == SEVERITY_INFO) {
            f->severity = SEVERITY_WARNING;
            say(fs, f,
                "%llu different clients sent them: that is a program or a proxy, not one "
                "scanner.",
                (unsigned long long)row->clients);
        }
        finding_relate(f, STR("400"));
    }
}

const struct detector detector_bad_request = {
    .id = "bad-request",
    .title = "requests that the listener could not parse, by reason",
    .run = run,
};
