/* HTTPERR Hostname (400) and NotFound (404): no binding fits the host, no application the path. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

enum { COUNT_MANY = 20, CLIENTS_MANY = 5 };

static const struct reason_case hostname = {
    "Hostname", SEVERITY_INFO, "Requests for a host name that no site is bound to",
    "The Host header is missing, malformed, or names no binding on that address and port: a "
    "binding "
    "that is missing or misspelled, a DNS entry left behind, or a scanner that goes by address."};

static const struct reason_case not_found = {
    "NotFound", SEVERITY_INFO, "Requests for a path that no application is registered for",
    "The host is known but no URL prefix covers the path, so the listener answers 404 by itself."};

static void weigh(struct findings *fs, struct finding *f, const struct model_reason *row)
{
    if (row->count < COUNT_MANY || row->clients < CLIENTS_MANY) {
        say(fs, f, "Few clients, few requests: scanners that go through addresses do this.");
        return;
    }
    f->severity = SEVERITY_WARNING;
    say(fs, f, "%s%llu clients did so: people look for a site here.",
        row->clients_error ? "About " : "", (unsigned long long)row->clients);
}

static void run(const struct model *m, struct findings *fs)
{
    struct finding *f = detect_reason(m, fs, "hostname", &hostname);

    if (f) {
        weigh(fs, f, model_find_reason(m, STR("Hostname")));
        finding_step(f, STR("HTTPERR leaves the host out by default: add bit 0x100000 (cs-host) to "
                            "ErrorLoggingFields to see which name was asked for."));
        finding_step(f, STR("Add a binding for that name: appcmd set site SITE "
                            "/+bindings.[protocol='http',bindingInformation='*:80:NAME']"));
        finding_relate(f, STR("400"));
    }
    f = detect_reason(m, fs, "no-application", &not_found);
    if (f)
        weigh(fs, f, model_find_reason(m, STR("NotFound")));
}

const struct detector detector_hostname = {
    .id = "hostname",
    .title = "host names without a binding, and paths without an application",
    .run = run,
};
