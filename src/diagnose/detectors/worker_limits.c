/* 503.2, 503.3, 503.4 and 500.13: a queue or limit inside the worker. Unlike QueueFull these are in
 * the site log, and they too come from requests that take too long. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static const struct code_case cases[] = {
    {503, 2, SEVERITY_ERROR, "Too many requests at once in one application",
     "More requests ran at the same time than serverRuntime/appConcurrentRequestLimit (5000) "
     "allows."},
    {503, 3, SEVERITY_ERROR, "The request queue of ASP.NET is full",
     "All threads of ASP.NET are busy and its own queue (requestQueueLimit) is full."},
    {503, 4, SEVERITY_ERROR, "The queue of a FastCGI application is full",
     "All maxInstances processes of the FastCGI application are busy, and queueLength (1000) "
     "requests "
     "wait for one."},
    {500, 13, SEVERITY_ERROR, "The application is too busy",
     "The application's own queue is full."},
};

static void run_one(const struct model *m, struct findings *fs, const struct code_case *c)
{
    struct finding *f = detect_code(m, fs, "worker-limit", c);

    if (!f || f->first_s == RECORD_NO_TIME || m->bucket_n == 0)
        return;
    int64_t width = (int64_t)m->bucket_seconds;
    struct model_bucket during = timeline_between(m, f->first_s - width, f->last_s);
    double slow = bucket_mean_ms(&during);
    double usual = usual_ms(m, fs, m->first_s, f->first_s - width - 1);

    if (usual > 0 && slow > usual * 2)
        say(fs, f,
            "The mean time-taken rose from %.0f ms to %.0f ms: slow requests filled it, not "
            "many.",
            usual, slow);
    else if (usual > 0)
        say(fs, f,
            "The mean time-taken did not rise (%.0f ms before, %.0f ms then): look at the "
            "number of requests.",
            usual, slow);
    finding_relate(f, STR("slow-requests"));
    finding_relate(f, STR("queue-full"));
}

static void run(const struct model *m, struct findings *fs)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        run_one(m, fs, &cases[i]);
}

const struct detector detector_worker_limits = {
    .id = "worker-limit",
    .title = "limits and queues inside the worker (503.2, 503.3, 503.4, 500.13)",
    .run = run,
};
