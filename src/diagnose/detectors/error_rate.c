/* The share of server errors, with the time in which it was worst. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

/* Shares from which it is worth a warning, an error. */
static const double rate_warning = 0.005, rate_error = 0.05;
enum { COUNT_MIN = 5 };

static const struct model_bucket *worst_bucket(const struct model *m)
{
    const struct model_bucket *worst = NULL;

    for (size_t i = 0; i < m->bucket_n; i++)
        if (!worst || m->timeline[i].errors_5xx > worst->errors_5xx)
            worst = &m->timeline[i];
    return worst;
}

/* Whether no quarter of the time has much less than its share. */
static bool is_even(const struct model *m, double share)
{
    int64_t span_s = m->last_s - m->first_s + 1;

    for (int i = 0; i < 4; i++) {
        struct model_bucket b =
            timeline_between(m, m->first_s + span_s * i / 4, m->first_s + span_s * (i + 1) / 4 - 1);
        if (b.requests && ratio(b.errors_5xx, b.requests) < share / 3)
            return false;
    }
    return true;
}

static void say_when(const struct model *m, struct findings *fs, struct finding *f)
{
    const struct model_bucket *worst = worst_bucket(m);

    if (worst && worst->errors_5xx * 2 > m->status_5xx && m->bucket_n > 2) {
        say(fs, f,
            "Most of them fall into one stretch of %u seconds, with %llu of %llu requests failing "
            "there: look for what happened just before.",
            m->bucket_seconds, (unsigned long long)worst->errors_5xx,
            (unsigned long long)worst->requests);
        return;
    }
    if (f->first_s == RECORD_NO_TIME || is_even(m, f->share)) {
        say(fs, f,
            "They spread over the whole time: a page that always fails, or a dependency that fails "
            "now and then, is more likely than an outage.");
        return;
    }
    struct model_bucket in = timeline_between(m, f->first_s, f->last_s);

    if (in.requests < m->requests)
        say(fs, f,
            "They are from %.*s to %.*s, and make %.1f %% of the %llu requests of that time: look "
            "for what happened just before.",
            STR_ARG(time_text(fs, f->first_s)), STR_ARG(time_text(fs, f->last_s)),
            ratio(in.errors_5xx, in.requests) * 100, (unsigned long long)in.requests);
    else
        say(fs, f,
            "There are times with many of them and times with few, and the worst begins at %.*s: "
            "look for what happened just before.",
            STR_ARG(time_text(fs, worst->start_s)));
}

static void run(const struct model *m, struct findings *fs)
{
    double share = m->requests ? (double)m->status_5xx / (double)m->requests : 0;

    if (m->status_5xx < COUNT_MIN || share < rate_warning)
        return;
    struct finding *f =
        findings_add(fs, "error-rate", share >= rate_error ? SEVERITY_ERROR : SEVERITY_WARNING);

    for (size_t i = 0; i < m->status_n; i++) {
        const struct model_status *row = &m->statuses[i];
        if (row->is_ftp || row->status < 500 || row->status > 599)
            continue;
        finding_from_status(f, row);
        finding_relate(f, str_z(row->code));
    }
    f->share = share;
    f->title = findings_text(fs, "%.1f %% of the requests ended with a server error", share * 100);
    f->why = STR("");
    say_when(m, fs, f);
    finding_step(f, STR("Take the most frequent code first, and the URL that has most of it."));
    finding_step(f, STR("Turn on failed request tracing for that URL and code, and read the first "
                        "module that reports an error."));
    f->command = again(m, fs, "--status 5xx");
}

const struct detector detector_error_rate = {
    .id = "error-rate",
    .title = "the share of server errors and when it was worst",
    .run = run,
};
