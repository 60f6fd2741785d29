/* HTTPERR QueueFull: the pool's request queue (queueLength, 1000 by default) overflowed. */
#include "diagnose/detector.h"
#include "base/poison.h"

/* Mean time-taken of the buckets in a span; 0 without any. */
static double mean_ms(const struct model *m, int64_t from_s, int64_t to_s)
{
    uint64_t sum = 0, count = 0;

    for (size_t i = 0; i < m->bucket_n; i++) {
        const struct model_bucket *b = &m->timeline[i];
        if (b->start_s + (int64_t)m->bucket_seconds > from_s && b->start_s < to_s) {
            sum += b->ms_sum;
            count += b->ms_count;
        }
    }
    return count ? (double)sum / (double)count : 0;
}

static void explain_time(const struct model *m, struct findings *fs, struct finding *f)
{
    if (f->first_s == RECORD_NO_TIME || m->first_s == RECORD_NO_TIME)
        return;
    int64_t width = (int64_t)m->bucket_seconds;
    double before = mean_ms(m, m->first_s, f->first_s - width);
    double during = mean_ms(m, f->first_s - width, f->last_s + 1);

    if (before > 0 && during > before * 2) {
        f->why = findings_text(fs,
                               "Requests arrived faster than the pool finished them, until its queue "
                               "was full. The mean time-taken rose from %.0f ms before to %.0f ms "
                               "around the refusals: the pool became slow, and the queue filled "
                               "behind it.",
                               before, during);
        finding_relate(f, STR("time-taken"));
    }
}

static void run(const struct model *m, struct findings *fs)
{
    struct finding *f = NULL;

    for (size_t i = 0; i < m->reason_n; i++) {
        const struct model_reason *row = &m->reasons[i];
        if (!str_ieq(row->reason, STR("QueueFull")))
            continue;
        if (!f) {
            f = findings_add(fs, "queue-full", SEVERITY_CRITICAL);
            finding_relate(f, STR("QueueFull"));
            finding_relate(f, STR("503"));
        }
        finding_from_reason(f, row);
    }
    if (!f)
        return;
    f->title = f->pools.n ? findings_text(fs, "The request queue of %.*s was full",
                                          STR_ARG(f->pools.at[0].name))
                          : STR("A request queue was full");
    f->share = m->httperr_records ? (double)f->count / (double)m->httperr_records : 0;
    f->why = STR("Requests arrived faster than the pool finished them, until its queue was full. "
                 "The listener then answered 503 by itself; the site log has no line of these.");
    explain_time(m, fs, f);
    finding_step(f, STR("Find what the requests wait for: a trace of the slow ones, a thread dump of "
                        "the worker, the database and services behind it."));
    finding_step(f, STR("Compare the number of requests in these minutes with the hour before: a "
                        "burst needs capacity, a standstill needs the cause."));
    finding_step(f, STR("Raise queueLength of the pool only when the load is short and the pool "
                        "healthy: a longer queue makes everybody wait longer."));
    f->command = STR("candor explain QueueFull");
}

const struct detector detector_queue_full = {
    .id = "queue-full",
    .title = "a pool whose request queue overflowed",
    .run = run,
};
