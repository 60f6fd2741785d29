/* Timer_ReqQueue, Timer_AppPool, AppPoolTimer: requests that no worker took in time. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static const struct reason_case cases[] = {
    {"Timer_ReqQueue", SEVERITY_ERROR, "Requests that waited too long for a worker",
     "The request stood in the pool's queue until connectionTimeout (120 s) ran out: the worker "
     "hangs, "
     "or has no free thread."},
    {"Timer_AppPool", SEVERITY_ERROR, "Requests that waited too long for a worker",
     "The request stood in the pool's queue until its time ran out: the worker hangs, or has no "
     "free "
     "thread."},
    {"AppPoolTimer", SEVERITY_ERROR, "Requests that waited too long for a worker",
     "The request stood in the pool's queue until its time ran out and was answered with 503: the "
     "worker "
     "hangs, or has no free thread."},
};

static const char *const ids[] = {"queue-wait", "queue-wait-2003", "queue-wait-503"};

static void run(const struct model *m, struct findings *fs)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct finding *f = detect_reason(m, fs, ids[i], &cases[i]);

        if (!f)
            continue;
        struct model_bucket during =
            timeline_between(m, f->first_s, f->last_s == RECORD_NO_TIME ? f->first_s : f->last_s);

        if (m->requests && f->first_s != RECORD_NO_TIME && during.requests == 0)
            say(fs, f,
                "The site log has no request at all between the first and the last of them: the "
                "worker stood still.");
        finding_relate(f, STR("queue-full"));
    }
}

const struct detector detector_queue_wait = {
    .id = "queue-wait",
    .title = "requests that waited too long for a worker (Timer_ReqQueue, AppPoolTimer)",
    .run = run,
};
