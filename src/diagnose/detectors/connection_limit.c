/* HTTPERR ConnLimit and Connections_Refused: no connection for further clients. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static void run(const struct model *m, struct findings *fs)
{
    static const struct reason_case limit = {
        "ConnLimit", SEVERITY_CRITICAL, "The connection limit of a site is reached",
        "More connections were open than limits/maxConnections of the site allows; all others got "
        "503. "
        "Requests that take long keep connections open, so does an attack."};
    static const struct reason_case refused = {
        "Connections_Refused", SEVERITY_CRITICAL, "The machine ran out of memory for connections",
        "The non-paged pool fell below its floor (20 MB), and the listener stopped accepting "
        "connections at all."};
    struct finding *f = detect_reason(m, fs, "connection-limit", &limit);

    if (f)
        finding_relate(f, STR("503"));
    f = detect_reason(m, fs, "connections-refused", &refused);
    if (f)
        finding_relate(f, STR("EnableAggressiveMemoryUsage"));
}

const struct detector detector_connection_limit = {
    .id = "connection-limit",
    .title = "limits of connections (ConnLimit, Connections_Refused)",
    .run = run,
};
