/* Stretches of time in which far more requests failed with 5xx than usual, and what failed then. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

enum { ERRORS_MIN = 10, BUCKETS_MIN = 4 };
static const double rate_min = 0.1, rate_over_rest = 5;

struct burst {
    size_t from, to; /* buckets, to is the last one */
    uint64_t errors, requests;
};

static bool is_bad(const struct model *m, const struct model_bucket *b)
{
    double rest = ratio(m->status_5xx - b->errors_5xx, m->requests - b->requests);

    return b->errors_5xx >= 3 && ratio(b->errors_5xx, b->requests) >= rate_min &&
           ratio(b->errors_5xx, b->requests) >= rest * 2;
}

/* The worst run of bad buckets; *ret_n is how many runs there are. */
static struct burst worst_burst(const struct model *m, size_t *ret_n)
{
    struct burst worst = {0}, now = {0};
    bool is_in = false;

    *ret_n = 0;
    for (size_t i = 0; i < m->bucket_n; i++) {
        const struct model_bucket *b = &m->timeline[i];

        if (!is_bad(m, b)) {
            is_in = false;
            continue;
        }
        if (!is_in) {
            now = (struct burst){.from = i};
            (*ret_n)++;
        }
        is_in = true;
        now.to = i;
        now.errors += b->errors_5xx;
        now.requests += b->requests;
        if (now.errors > worst.errors)
            worst = now;
    }
    return worst;
}

/* The three rows with most of the errors in that time. */
static void name_codes(const struct model *m, struct findings *fs, struct finding *f)
{
    const struct model_status *top = NULL;
    uint64_t top_n = 0;

    for (size_t i = 0; i < m->status_n; i++) {
        const struct model_status *row = &m->statuses[i];
        if (row->is_ftp || row->status < 500 || row->status > 599)
            continue;
        uint64_t n = slots_between(&row->slots, f->first_s, f->last_s);
        if (n == 0)
            continue;
        finding_relate(f, str_z(row->code));
        if (n > top_n) {
            top = row;
            top_n = n;
        }
    }
    if (!top)
        return;
    finding_samples(f, &top->samples);
    f->urls = top->urls;
    f->clients = top->client_top;
    f->sites = top->sites;
    say(fs, f, "Most of them are %s (win32 %llu), first of all for %.*s.", top->code,
        (unsigned long long)top->win32, STR_ARG(names_text(fs, &top->urls, 2)));
}

static void run(const struct model *m, struct findings *fs)
{
    size_t n;
    struct burst b = worst_burst(m, &n);

    if (b.errors < ERRORS_MIN || m->bucket_n < BUCKETS_MIN)
        return;
    double rest = ratio(m->status_5xx - b.errors, m->requests - b.requests);
    double rate = ratio(b.errors, b.requests);

    if (rate < rest * rate_over_rest)
        return;
    struct finding *f = findings_add(fs, "error-burst", SEVERITY_ERROR);

    f->count = b.errors;
    f->share = ratio(b.errors, m->requests);
    f->first_s = m->timeline[b.from].start_s;
    f->last_s = m->timeline[b.to].start_s + (int64_t)m->bucket_seconds - 1;
    f->title = findings_text(fs, "A burst of server errors from %.*s to %.*s",
                             STR_ARG(time_text(fs, f->first_s)), STR_ARG(time_text(fs, f->last_s)));
    f->why = findings_text(
        fs, "In that time %.1f %% of %llu requests ended with 5xx, otherwise %.2f %%%s.",
        rate * 100, (unsigned long long)b.requests, rest * 100,
        n > 1 ? "; it is the worst of several such stretches" : "");
    name_codes(m, fs, f);
    struct model_bucket all = timeline_between(m, f->first_s, f->last_s);

    if (all.httperr)
        say(fs, f, "HTTPERR has %llu record%s of the same time.", (unsigned long long)all.httperr,
            plural(all.httperr));
    finding_step(f,
                 STR("Look at what happened in the minutes before: a deployment, a recycle (events "
                     "5074 to 5081), a database or service that went away."));
    finding_step(
        f, STR("Compare with the application's own log and the application events of that time."));
    f->command = again(m, fs, "--since '%.*s' --until '%.*s' --status 5xx",
                       STR_ARG(time_text(fs, f->first_s)), STR_ARG(time_text(fs, f->last_s)));
}

const struct detector detector_error_burst = {
    .id = "error-burst",
    .title = "stretches of time with far more server errors than the rest",
    .run = run,
};
