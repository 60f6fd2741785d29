/* Timer_MinBytesPerSecond, Timer_EntityBody, Timer_HeaderWait and their like: the other end was too
 * slow. A few are the internet; many from one client are an attack or a bad line. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

enum { COUNT_MANY = 100 };

static const struct {
    const char *id;
    struct reason_case c;
} cases[] = {
    {"slow-client-response",
     {"Timer_MinBytesPerSecond", SEVERITY_INFO, "Clients that took their answers too slowly",
      "The answer went out at less than webLimits/minBytesPerSecond (240 bytes a second) over its "
      "whole length: mobile clients, video players that pause, clients that fell asleep."}},
    {"slow-client-body",
     {"Timer_EntityBody", SEVERITY_INFO, "Clients whose request body did not arrive",
      "The client announced a body and then sent nothing for connectionTimeout (120 s): an upload "
      "that "
      "was cut off."}},
    {"slow-client-header",
     {"Timer_HeaderWait", SEVERITY_INFO, "Clients whose headers did not arrive",
      "The client began a request and did not finish its headers in time (HeaderWait, 120 s)."}},
    {"slow-client",
     {"SlowResponsiveClient", SEVERITY_INFO, "Clients that did not take their answers",
      "The client did "
      "not read the answer; the listener ended the connection."}},
    {"slow-client-tls",
     {"Timer_SslRenegotiation", SEVERITY_WARNING,
      "Clients that did not choose a certificate in time",
      "The server asked for a client certificate and got no answer within two minutes: a dialogue "
      "that "
      "nobody answered, or a proxy that cannot."}},
};

static void run(const struct model *m, struct findings *fs)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct finding *f = detect_reason(m, fs, cases[i].id, &cases[i].c);

        if (!f)
            continue;
        if (f->clients.n && f->clients.at[0].count >= COUNT_MANY &&
            ratio(f->clients.at[0].count, f->count) > 0.5) {
            f->severity = SEVERITY_WARNING;
            say(fs, f,
                "So many from one address hold connections open on purpose, or a device in "
                "between does.");
            finding_step(f, STR("Limit connections of one address: dynamicIpSecurity "
                                "denyByConcurrentRequests, or the firewall."));
        }
    }
}

const struct detector detector_slow_clients = {
    .id = "slow-client",
    .title =
        "clients that were too slow (Timer_MinBytesPerSecond, Timer_EntityBody, Timer_HeaderWait)",
    .run = run,
};
