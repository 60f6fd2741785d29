/* Headers that outgrew a limit: HTTPERR FieldLength and RequestLength (400), and 404.10 or 431 of
 * request filtering. Kerberos tokens of users in many groups and growing cookies are the reasons.
 */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static const struct reason_case reasons[] = {
    {"FieldLength", SEVERITY_WARNING, "One header was longer than MaxFieldLength",
     "A single header passed MaxFieldLength (16384 bytes): a cookie, or the Authorization header "
     "with "
     "the Kerberos token of a user in many groups. The listener answered 400 by itself; the site "
     "log "
     "has nothing."},
    {"RequestLength", SEVERITY_WARNING, "Request line and headers were longer than MaxRequestBytes",
     "All headers together passed MaxRequestBytes (16384 bytes): many cookies, or a Kerberos token "
     "together with them. The listener answered 400 by itself; the site log has nothing."},
};

static const struct code_case codes[] = {
    {404, 10, SEVERITY_WARNING, "A header was longer than its limit in request filtering", NULL},
    {431, -1, SEVERITY_WARNING, "A header was longer than its limit in request filtering", NULL},
};

/* More in the second half of the time than in the first is growth: tokens and cookies do. */
static void say_growth(const struct model *m, struct findings *fs, struct finding *f,
                       const struct model_slots *slots)
{
    if (slots->n < 2 || m->first_s == RECORD_NO_TIME || f->count < 10)
        return;
    int64_t middle = m->first_s + (m->last_s - m->first_s) / 2;
    uint64_t early = slots_between(slots, m->first_s, middle - 1), all = f->count;
    uint64_t late = all > early ? all - early : 0;

    if (late >= early * 2)
        say(fs, f,
            "They became more: %llu in the first half of the time, %llu in the second, as when "
            "cookies or group memberships grow.",
            (unsigned long long)early, (unsigned long long)late);
}

static void run(const struct model *m, struct findings *fs)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        const struct model_reason *row = model_find_reason(m, str_z(reasons[i].reason));
        struct finding *f =
            detect_reason(m, fs, i == 0 ? "header-size-field" : "header-size-request", &reasons[i]);

        if (!f)
            continue;
        say_growth(m, fs, f, &row->slots);
        finding_step(f,
                     STR("Let an affected user delete the site's cookies: if that helps it is the "
                         "cookie, else the token (klist, whoami /groups)."));
        finding_relate(f, STR("MaxFieldLength"));
        finding_relate(f, STR("MaxRequestBytes"));
    }
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        size_t at = 0;
        const struct model_status *row =
            model_next_status(m, codes[i].status, codes[i].substatus, &at);
        struct finding *f = detect_code(m, fs, "header-size", &codes[i]);

        if (f)
            say_growth(m, fs, f, &row->slots);
    }
}

const struct detector detector_header_size = {
    .id = "header-size",
    .title = "headers over a limit (FieldLength, RequestLength, 404.10, 431) and whether they grow",
    .run = run,
};
