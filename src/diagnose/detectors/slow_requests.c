/* Time-taken: which URLs are slow, which became slower since when, and when the whole did. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

enum {
    SLOW_P95_MS = 2000,
    COUNT_MIN = 5,
    URLS_NAMED = 10,
    SAMPLES_SHOWN = 3,
    CHANGE_BUCKETS = 3, /* that each side of a change must have */
    CHANGE_COUNT = 50,
    SLOWER_TOLD = 3, /* in full */
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

/* ---- single URLs ---- */

static struct str ms_text(struct findings *fs, uint64_t ms)
{
    if (ms < 1000)
        return findings_text(fs, "%llu ms", (unsigned long long)ms);
    return findings_text(fs, "%.1f s", (double)ms / 1000);
}

static struct str width_text(struct findings *fs, uint32_t seconds)
{
    if (seconds < 7200)
        return findings_text(fs, "%u minutes", (seconds + 59) / 60);
    if (seconds < 172800)
        return findings_text(fs, "%u hours", (seconds + 3599) / 3600);
    return findings_text(fs, "%u days", (seconds + 86399) / 86400);
}

static void say_slower(struct findings *fs, struct finding *f, const struct model_slower *s)
{
    const struct pace_change *c = &s->change;

    say(fs, f,
        "%.*s: half of its requests took up to about %.*s and 95 %% up to %.*s before %.*s (%llu "
        "requests), about %.*s and %.*s since (%llu).",
        STR_ARG(s->url), STR_ARG(ms_text(fs, c->before.p50_ms)),
        STR_ARG(ms_text(fs, c->before.p95_ms)), STR_ARG(time_text(fs, c->since_s)),
        (unsigned long long)c->before.count, STR_ARG(ms_text(fs, c->after.p50_ms)),
        STR_ARG(ms_text(fs, c->after.p95_ms)), (unsigned long long)c->after.count);
}

/* All began within one stretch of the coarsest of them. */
static bool is_together(const struct model *m)
{
    int64_t low = m->slower[0].change.since_s, high = low;
    uint32_t width = 0;

    for (size_t i = 0; i < m->slower_n; i++) {
        const struct pace_change *c = &m->slower[i].change;
        low = c->since_s < low ? c->since_s : low;
        high = c->since_s > high ? c->since_s : high;
        width = c->seconds > width ? c->seconds : width;
    }
    return high - low <= (int64_t)width;
}

static void advise_slower(const struct model *m, struct findings *fs, struct finding *f)
{
    bool is_most = m->slower_n * 2 > m->paces_judged;

    if (m->slower_n > 1 && is_together(m))
        finding_step(f, is_most
                            ? STR("Most URLs slowed down together: look at what they share - "
                                  "processor, memory, disk, the database, the network - at that "
                                  "time, and at what was deployed or scheduled then.")
                            : STR("These slowed down together and others did not: look at what "
                                  "only they use - a database table, a service behind them, a "
                                  "share - and at what changed in it at that time."));
    else
        finding_step(f, STR("Look at what changed at that time in what serves this URL: a "
                            "deployment, the amount of data that it works on, a service that it "
                            "calls."));
    finding_step(f, STR("Trace it: a rule of traceFailedRequests with timeTaken and its path."));
}

static void find_slower(const struct model *m, struct findings *fs)
{
    if (m->slower_n == 0)
        return;
    const struct model_slower *most = &m->slower[0];
    struct model_count *at = arena_alloc(&fs->arena, m->slower_n * sizeof(*at));
    struct finding *f = findings_add(fs, "slower-urls", SEVERITY_INFO);
    uint32_t width = 0;

    f->first_s = most->change.since_s;
    f->last_s = m->last_s;
    for (size_t i = 0; i < m->slower_n; i++) {
        const struct pace_change *c = &m->slower[i].change;
        at[i] = (struct model_count){.name = m->slower[i].url, .count = c->after.count};
        f->count += c->after.count;
        f->first_s = c->since_s < f->first_s ? c->since_s : f->first_s;
        width = c->seconds > width ? c->seconds : width;
        if (c->after.p95_ms >= SLOW_P95_MS)
            f->severity = SEVERITY_WARNING;
    }
    f->share = ratio(f->count, m->requests);
    f->urls = (struct model_counts){.at = at, .n = m->slower_n};
    f->title = m->slower_n == 1
                   ? findings_text(fs, "%.*s became slower", STR_ARG(most->url))
                   : findings_text(fs, "%zu URLs became slower, %.*s costs the most time",
                                   m->slower_n, STR_ARG(most->url));
    for (size_t i = 0; i < m->slower_n && i < SLOWER_TOLD; i++)
        say_slower(fs, f, &m->slower[i]);
    say(fs, f, "The times of the change are exact to %.*s.", STR_ARG(width_text(fs, width)));
    if (m->paces_judged > m->slower_n)
        say(fs, f, "Of %llu URLs with enough requests to tell, the others did not.",
            (unsigned long long)m->paces_judged);
    advise_slower(m, fs, f);
    finding_relate(f, STR("slow-requests"));
    finding_relate(f, STR("time-taken"));
    f->command = again(m, fs, "--url %.*s --since '%.*s'", STR_ARG(url_word(fs, most->url)),
                       STR_ARG(time_text(fs, most->change.since_s)));
}

static const struct model_slower *slower_of(const struct model *m, struct str url)
{
    for (size_t i = 0; i < m->slower_n; i++)
        if (str_eq(m->slower[i].url, url))
            return &m->slower[i];
    return NULL;
}

/* Of the slow URLs: which were not slow before, or that all of them were. */
static void say_what_changed(const struct model *m, struct findings *fs, struct finding *f,
                             const struct model_url *const *slow, size_t n)
{
    size_t steady = 0, told = 0, slower = 0;

    for (size_t i = 0; i < n; i++) {
        const struct model_slower *s = slower_of(m, slow[i]->url);
        steady += slow[i]->pace == PACE_STEADY;
        slower += s != NULL;
        if (!s || told++ >= SLOWER_TOLD)
            continue;
        say(fs, f, "%.*s was not always so: half of its requests took up to about %.*s until %.*s.",
            STR_ARG(s->url), STR_ARG(ms_text(fs, s->change.before.p50_ms)),
            STR_ARG(time_text(fs, s->change.since_s)));
    }
    if (slower)
        finding_relate(f, STR("slower-urls"));
    else if (steady == n)
        say(fs, f,
            n == 1 ? "Nothing changed: it was so from the first request to the last."
                   : "Nothing changed: they were so from the first request to the last.");
    else if (steady)
        say(fs, f, "%zu of them %s so all the time; the others have too few requests to tell.",
            steady, steady == 1 ? "was" : "were");
}

/* ---- all together ---- */

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
    if (m->slower_n) {
        struct model_counts names = {.at = arena_alloc(&fs->arena, URLS_NAMED * sizeof(*names.at))};
        for (; names.n < m->slower_n && names.n < URLS_NAMED; names.n++)
            names.at[names.n] = (struct model_count){.name = m->slower[names.n].url};
        say(fs, f, "It is in %.*s.", STR_ARG(names_text(fs, &names, SLOWER_TOLD)));
        finding_relate(f, STR("slower-urls"));
    } else if (m->paces_judged) {
        say(fs, f,
            "No single URL became slower: since then, more of the requests are for slow "
            "ones.");
    }
    finding_step(f, STR("Look for a deployment, a job, or a database that changed then."));
    finding_step(f, STR("Compare the slowest URLs: the same command with --until instead of "
                        "--since."));
    finding_relate(f, STR("slow-requests"));
    f->command = again(m, fs, "--since '%.*s'", STR_ARG(time_text(fs, f->first_s)));
}

static void find_slow(const struct model *m, struct findings *fs)
{
    struct model_count *at = arena_alloc(&fs->arena, URLS_NAMED * sizeof(struct model_count));
    const struct model_url *slow[URLS_NAMED];
    uint64_t count = 0;
    size_t n = 0;

    for (size_t i = 0; i < m->slowest_n && n < URLS_NAMED; i++) {
        const struct model_url *u = m->slowest[i];
        if (u->latency.count < COUNT_MIN || u->latency.p95_ms < SLOW_P95_MS)
            continue;
        slow[n] = u;
        at[n++] =
            (struct model_count){.name = u->url, .count = u->latency.count, .error = u->error};
        count += u->latency.count;
    }
    if (n == 0)
        return;
    const struct model_url *worst = slow[0];
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
        "The slowest is %.*s: half of its %llu requests take more than %s%.*s, one in twenty more "
        "than %s%.*s, the longest %.*s. Over all requests these are %llu ms and %llu ms.",
        STR_ARG(worst->url), (unsigned long long)worst->latency.count,
        worst->latency.p50_ms_error ? "about " : "", STR_ARG(ms_text(fs, worst->latency.p50_ms)),
        worst->latency.p95_ms_error ? "about " : "", STR_ARG(ms_text(fs, worst->latency.p95_ms)),
        STR_ARG(ms_text(fs, worst->latency.max_ms)), (unsigned long long)m->latency.p50_ms,
        (unsigned long long)m->latency.p95_ms);
    say_what_changed(m, fs, f, slow, n);
    say(fs, f,
        "time-taken goes from the first byte of the request to the last of the answer that the "
        "client acknowledged, so slow clients and large files count too.");
    finding_step(
        f, STR("Trace the URL: a rule of traceFailedRequests with timeTaken=\"00:00:02\", and read "
               "where the time goes."));
    finding_step(f, STR("Look whether the size explains it (sc-bytes), or only some clients."));
    finding_relate(f, STR("time-taken"));
    f->command = again(m, fs, "--url %.*s", STR_ARG(url_word(fs, worst->url)));
}

static void run(const struct model *m, struct findings *fs)
{
    find_slow(m, fs);
    find_slower(m, fs);
    find_slowdown(m, fs);
}

const struct detector detector_slow_requests = {
    .id = "slow-requests",
    .title = "slow URLs by percentiles of time-taken, which of them became slower, and when",
    .run = run,
};
