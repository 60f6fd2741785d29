/* 403.7, 403.12, 403.13, 403.16, 403.17: client certificates. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

enum { REVOKED = 0x80092010u, REVOCATION_OFFLINE = 0x80092013u };

static const struct code_case cases[] = {
    {403, 7, SEVERITY_WARNING, "Clients without the certificate that is required",
     "sslFlags has SslRequireCert and the client presented none: it has none, none of an issuer "
     "from "
     "the server's list, or the user cancelled."},
    {403, 12, SEVERITY_WARNING, "Client certificates that the mapping denies", NULL},
    {403, 13, SEVERITY_ERROR, "Client certificates that are revoked, or could not be checked",
     NULL},
    {403, 16, SEVERITY_ERROR, "Client certificates that are not trusted", NULL},
    {403, 17, SEVERITY_WARNING, "Client certificates outside their dates", NULL},
};

static void run(const struct model *m, struct findings *fs)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct model_status *row;
        struct finding *f = detect_code(m, fs, "client-certificate", &cases[i]);

        if (!f)
            continue;
        uint64_t revoked = 0, offline = 0;

        for (size_t k = 0; (row = model_next_status(m, 403, 13, &k)) != NULL;) {
            revoked += row->win32 == REVOKED ? row->count : 0;
            offline += row->win32 == REVOCATION_OFFLINE ? row->count : 0;
        }
        if (cases[i].substatus == 13 && revoked + offline > 0)
            say(fs, f,
                "By the win32 code %llu %s revoked, and for %llu the revocation list could not "
                "be fetched.",
                (unsigned long long)revoked, revoked == 1 ? "is" : "are",
                (unsigned long long)offline);
        say_onset(m, fs, f);
    }
}

const struct detector detector_client_certificate = {
    .id = "client-certificate",
    .title = "client certificates that are missing or refused (403.7, 403.13, 403.16)",
    .run = run,
};
