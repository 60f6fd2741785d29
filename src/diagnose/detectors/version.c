/* HTTPERR Version_N/S (505): the version on the request line. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static void run(const struct model *m, struct findings *fs)
{
    static const struct reason_case c = {
        "Version_N/S", SEVERITY_INFO, "Requests of an HTTP version that is not supported",
        "The request line names a version other than 1.x: a probe, another protocol that looks "
        "alike, "
        "or a client that speaks HTTP/2 without having agreed on it."};
    struct finding *f = detect_reason(m, fs, "version", &c);

    if (f)
        finding_relate(f, STR("505"));
}

const struct detector detector_version = {
    .id = "version",
    .title = "HTTP versions that are not supported",
    .run = run,
};
