/* Time-taken: which URLs are slow for most of their requests, and when the whole became slower. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

enum {
    SLOW_P95_MS = 2000,
    COUNT_MIN = 5,
    URLS_NAMED = 10,
    SAMPLES_SHOWN = 3,
    CHANGE_BUCKETS = 3, /* that each side of a change must have */
    CHANGE_COUNT = 50,
};
static const double change_factor = 2;

/* The bucket from which on requests took at least twice as long as before: the one that separates
 * the times best. 0 if there is none. */
static size_t find_change(const struct model *m, double *ret_before, double *ret_after)
{
    uint64_t sum = 0, count = 0, left_sum = 0, left_count = 0;
    size_t best = 0;
    double best_gain = 0;

    for (size_t i = 0; i < m->bucket_n; i++) {
        sum += m->timeline[i].ms_sum;
        count += m->timeline[i].ms_count;
    }
    for (size_t i = 0; i + CHANGE_BUCKETS <= m->bucket_n; i++) {
        double left = ratio(left_sum, left_count);
        double right = ratio(sum - left_sum, count - left_count);
        uint64_t less = left_count < count - left_count ? left_count : count - left_count;
        /* The variance between the two sides, which is largest at a step. */
        double gain =
            (double)left_count * (double)(count - left_count) * (right - left) * (right - left);

        if (i >= CHANGE_BUCKETS && less >= CHANGE_COUNT && left > 0 &&
            right > left * change_factor && gain > best_gain) {
            best = i;
            best_gain = gain;
            *ret_before = left;
            *ret_after = right;
        }
        left_sum += m->timeline[i].ms_sum;
        left_count += m->timeline[i].ms_count;
    }
    return best;
}

static void find_slowdown(const struct model *m, struct findings *fs)
{
    double before = 0, after = 0;
    size_t at = find_change(m, &before, &after);

    if (at == 0 || after < 200)
        return;
    struct finding *f = findings_add(fs, "slowdown", SEVERITY_WARNING);

    f->first_s = m->timeline[at].start_s;
    f->last_s = m->last_s;
    for (size_t i = at; i < m->bucket_n; i++)
        f->count += m->timeline[i].ms_count;
    f->title = findings_text(fs, "Requests became slower from %.*s on",
                             STR_ARG(time_text(fs, f->first_s)));
    f->why =
        findings_text(fs,
                      "The mean time-taken was %.0f ms before and is %.0f ms since, a change that "
                      "is larger than the ups and downs around it.",
                      before, after);
    finding_step(
        f, STR("Compare the slowest URLs before and after that time; look for a deployment, a "
               "job, or a database that changed then."));
    finding_relate(f, STR("slow-requests"));
    f->command =
        findings_text(fs, "candor diagnose PATH... --until \"%.*s\", then --since the same time",
                      STR_ARG(time_text(fs, f->first_s - 1)));
}

static void find_slow(const struct model *m, struct findings *fs)
{
    struct model_count *at = arena_alloc(&fs->arena, URLS_NAMED * sizeof(struct model_count));
    uint64_t count = 0;
    size_t n = 0;

    for (size_t i = 0; i < m->slowest_n && n < URLS_NAMED; i++) {
        const struct model_url *u = m->slowest[i];
        if (u->latency.count < COUNT_MIN || u->latency.p95_ms < SLOW_P95_MS)
            continue;
        at[n++] =
            (struct model_count){.name = u->url, .count = u->latency.count, .error = u->error};
        count += u->latency.count;
    }
    if (n == 0)
        return;
    const struct model_url *worst = NULL;

    for (size_t i = 0; !worst && i < m->slowest_n; i++)
        if (str_eq(m->slowest[i]->url, at[0].name))
            worst = m->slowest[i];
    bool is_general = m->latency.p95_ms >= SLOW_P95_MS;
    struct finding *f =
        findings_add(fs, "slow-requests", is_general ? SEVERITY_WARNING : SEVERITY_INFO);

    f->count = count;
    f->share = ratio(count, m->requests);
    f->urls = (struct model_counts){.at = at, .n = n};
    /* The longest of all; further down the list they need not be slow. */
    struct model_samples longest = m->slow_requests;

    longest.n = longest.n < SAMPLES_SHOWN ? longest.n : SAMPLES_SHOWN;
    finding_samples(f, &longest);
    f->title =
        findings_text(fs, "%zu URL%s take longer than %u s for one request in twenty or more", n,
                      n == 1 ? "" : "s", SLOW_P95_MS / 1000);
    if (n == 1)
        f->title =
            findings_text(fs, "One URL takes longer than %u s for one request in twenty or more",
                          SLOW_P95_MS / 1000);
    f->why = findings_text(
        fs,
        "The slowest is %.*s: half of its %llu requests take more than %.1f s, one in "
        "twenty more than %.1f s, the longest %.1f s. Over all requests these are %llu "
        "ms and %llu ms.",
        STR_ARG(worst->url), (unsigned long long)worst->latency.count,
        (double)worst->latency.p50_ms / 1000, (double)worst->latency.p95_ms / 1000,
        (double)worst->latency.max_ms / 1000, (unsigned long long)m->latency.p50_ms,
        (unsigned long long)m->latency.p95_ms);
    say(fs, f,
        "time-taken goes from the first byte of the request to the last of the answer that the "
        "client acknowledged, so slow clients and large files count too.");
    finding_step(
        f, STR("Trace the URL: a rule of traceFailedRequests with timeTaken=\"00:00:02\", and read "
               "where the time goes."));
    finding_step(f, STR("Look whether the size explains it (sc-bytes), or only some clients."));
    finding_relate(f, STR("time-taken"));
    f->command =
        findings_text(fs, "candor diagnose PATH... --url %.*s", STR_ARG(url_word(fs, worst->url)));
}

static void run(const struct model *m, struct findings *fs)
{
    find_slow(m, fs);
    find_slowdown(m, fs);
}

const struct detector detector_slow_requests = {
    .id = "slow-requests",
    .title = "slow URLs by percentiles of time-taken, and when requests became slower",
    .run = run,
};
