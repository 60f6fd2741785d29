/* 403.4 and 403.5: the path wants TLS. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static void run(const struct model *m, struct findings *fs)
{
    static const struct code_case required = {403, 4, SEVERITY_WARNING,
                                              "Requests without TLS where it is required",
                                              "access sslFlags has Ssl and the request came by "
                                              "http. Where TLS ends at a load balancer every "
                                              "request arrives like that."};
    static const struct code_case strength = {403, 5, SEVERITY_WARNING,
                                              "Connections whose cipher is too weak", NULL};
    struct finding *f = detect_code(m, fs, "tls-required", &required);

    if (f) {
        if (m->requests >= 20 && f->share > 0.5) {
            f->severity = SEVERITY_ERROR;
            say(fs, f, "Here it is %.0f %% of all requests, as with a load balancer that ends TLS.",
                f->share * 100);
        }
        finding_step(f,
                     STR("To send people on instead of refusing them, drop the flag and redirect: "
                         "a rewrite rule with the condition {HTTPS} = off."));
        say_onset(m, fs, f);
    }
    detect_code(m, fs, "tls-required", &strength);
}

const struct detector detector_tls_required = {
    .id = "tls-required",
    .title = "requests without TLS where it is required (403.4, 403.5)",
    .run = run,
};
