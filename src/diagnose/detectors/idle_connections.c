/* HTTPERR Timer_ConnectionIdle: normal. So are, in small numbers, connections that clients close.
 */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static void run(const struct model *m, struct findings *fs)
{
    static const struct reason_case idle = {"Timer_ConnectionIdle", SEVERITY_NORMAL,
                                            "Idle connections were closed",
                                            "A browser keeps its connection open for further "
                                            "requests, and the listener closes it after "
                                            "connectionTimeout (120 s) without one. No request was "
                                            "lost; most lines of a healthy HTTPERR "
                                            "log are these."};
    static const struct reason_case dropped[] = {
        {"Connection_Dropped", SEVERITY_NORMAL,
         "Clients closed before the last packet of the answer",
         "The user went on or closed the page while the answer was being sent."},
        {"Client_Reset", SEVERITY_NORMAL, "Clients closed before a worker had taken the request",
         "The connection was reset while the request waited for a worker."},
        {"Connection_Dropped_List_Full", SEVERITY_WARNING,
         "So many dropped connections that the list of them was full", NULL},
    };
    static const char *const ids[] = {"dropped", "client-reset", "dropped-list-full"};
    struct finding *f = detect_reason(m, fs, "idle-connections", &idle);

    if (f) {
        f->step_n = 0;
        finding_step(f, STR("Nothing. connectionTimeout decides how long; a load balancer's idle "
                            "time-out should be the shorter one."));
    }
    for (size_t i = 0; i < ARRAY_LEN(dropped); i++) {
        f = detect_reason(m, fs, ids[i], &dropped[i]);
        if (!f || f->severity != SEVERITY_NORMAL || m->requests < 100 ||
            ratio(f->count, m->requests) < 0.01)
            continue;
        f->severity = SEVERITY_INFO;
        say(fs, f,
            "That is one for every %.0f requests of the site log: look whether pages are slow.",
            ratio(m->requests, f->count));
        finding_relate(f, STR("slow-requests"));
    }
}

const struct detector detector_idle_connections = {
    .id = "idle-connections",
    .title = "connections that ended idle (normal), and those that clients dropped",
    .run = run,
};
