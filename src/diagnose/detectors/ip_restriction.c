/* Refusals by address: static lists (.503, .504, 403.6, 403.8) and dynamic limits (.501, .502). The
 * sub-status says which, the status is what denyAction chooses. 200.501 and 200.502 are those that
 * enableLoggingOnlyMode would have refused. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static const struct {
    uint16_t substatus;
    const char *title;
    const char *why;
} kinds[] = {
    {501, "Clients with too many requests at once",
     "denyByConcurrentRequests refuses an address that has more requests in progress than "
     "maxConcurrentRequests. Behind a proxy or NAT all users share one address."},
    {502, "Clients with too many requests in a short time",
     "denyByRequestRate refuses an address that passed maxRequests in "
     "requestIntervalInMilliseconds; "
     "one page with many pictures can be enough."},
    {503, "Clients whose address is denied",
     "A rule of ipSecurity denies the address, or allowUnlisted is false and no rule allows it."},
    {504, "Clients whose host name is denied",
     "A domainName rule of ipSecurity matched, or the reverse lookup failed while unlisted names "
     "are "
     "denied."},
};

static void run(const struct model *m, struct findings *fs)
{
    static const uint16_t answers[] = {401, 403, 404};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        for (size_t k = 0; k < ARRAY_LEN(answers); k++) {
            struct code_case c = {answers[k], (int16_t)kinds[i].substatus, SEVERITY_WARNING,
                                  kinds[i].title, kinds[i].why};
            struct finding *f = detect_code(m, fs, "ip-restriction", &c);

            if (f && f->clients.n == 1)
                say(fs, f,
                    "All come from one address: a proxy in front (then enableProxyMode looks at "
                    "X-Forwarded-For), a monitor, or an attacker.");
        }
        struct code_case c = {200, (int16_t)kinds[i].substatus, SEVERITY_INFO, kinds[i].title,
                              kinds[i].why};
        struct finding *f = detect_code(m, fs, "ip-restriction", &c);

        if (f)
            say(fs, f,
                "They were served: enableLoggingOnlyMode is on and only the sub-status says that "
                "they would have been refused.");
    }
    static const struct code_case old[] = {
        {403, 6, SEVERITY_WARNING, "Clients whose address is denied", NULL},
        {403, 8, SEVERITY_WARNING, "Clients whose host name is denied", NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(old); i++)
        detect_code(m, fs, "ip-restriction", &old[i]);
}

const struct detector detector_ip_restriction = {
    .id = "ip-restriction",
    .title = "clients refused by address or rate (403.50x, 404.50x, 401.50x, 403.6)",
    .run = run,
};
