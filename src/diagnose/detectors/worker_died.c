/* HTTPERR Connection_Abandoned_By_ReqQueue (AppPool on Server 2003): a worker ended or closed its
 * queue while it had requests. Those requests have no line in the site log, which a worker writes
 * at the end of a request. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static bool is_abandoned(struct str reason)
{
    return str_istarts(reason, STR("Connection_Abandoned_By_"));
}

/* The site log around the first death: how many requests it holds against the mean. */
static void compare_site_log(const struct model *m, struct findings *fs, struct finding *f)
{
    const struct model_bucket *b =
        f->first_s == RECORD_NO_TIME ? NULL : model_bucket_at(m, f->first_s);

    if (!b || m->requests == 0)
        return;
    double mean = ratio(m->requests, m->bucket_n);

    say(fs, f,
        "Around %.*s the site log has %llu request%s in %u s (mean %.1f): the abandoned ones are "
        "not "
        "among them.",
        STR_ARG(time_text(fs, f->first_s)), (unsigned long long)b->requests, plural(b->requests),
        m->bucket_seconds, mean);
}

/* One URL that nearly all of them carry is the suspect. */
static void name_suspect(const struct model *m, struct findings *fs, struct finding *f)
{
    if (f->urls.n == 0 || f->count < 3 || ratio(f->urls.at[0].count, f->count) < 0.8)
        return;
    const struct model_count *top = &f->urls.at[0];
    uint64_t finished = 0;

    for (size_t i = 0; i < m->url_n; i++)
        if (str_ieq(m->urls[i].url, top->name))
            finished += m->urls[i].count;
    say(fs, f,
        "%llu of them asked for %.*s, which the site log has %llu time%s: that request is the "
        "suspect.",
        (unsigned long long)top->count, STR_ARG(top->name), (unsigned long long)finished,
        plural(finished));
}

static void run(const struct model *m, struct findings *fs)
{
    struct finding *f = NULL;
    const struct model_reason *first = NULL;

    for (size_t i = 0; i < m->reason_n; i++) {
        if (!is_abandoned(m->reasons[i].reason))
            continue;
        if (!f) {
            f = findings_add(fs, "worker-died", SEVERITY_ERROR);
            first = &m->reasons[i];
        }
        finding_from_reason(f, &m->reasons[i]);
        finding_relate(f, m->reasons[i].reason);
    }
    if (!f)
        return;
    f->title =
        f->pools.n > 1
            ? findings_text(fs, "Workers of %zu pools ended with %llu requests in their hands",
                            f->pools.n, (unsigned long long)f->count)
            : findings_text(fs, "A worker process ended with %llu request%s in its hands%s%.*s",
                            (unsigned long long)f->count, plural(f->count),
                            f->pools.n ? ", pool " : "",
                            STR_ARG(f->pools.n ? f->pools.at[0].name : STR("")));
    f->share = ratio(f->count, m->httperr_records);
    f->why = STR("The worker crashed, was killed, or was recycled without the time to finish. Its "
                 "clients saw the connection close without an answer, and only HTTPERR knows of "
                 "these requests.");
    compare_site_log(m, fs, f);
    name_suspect(m, fs, f);
    if (model_find_reason(m, STR("AppOffline")))
        finding_relate(f, STR("app-offline"));
    advise_reason(fs, f, first->reason);
    if (f->first_s == RECORD_NO_TIME)
        f->command =
            findings_text(fs, "candor explain %.*s", STR_ARG(shell_word(fs, first->reason)));
    else
        f->command =
            again(m, fs, "--since '%.*s' --until '%.*s'", STR_ARG(time_text(fs, f->first_s - 5)),
                  STR_ARG(time_text(fs, f->first_s + 5)));
}

const struct detector detector_worker_died = {
    .id = "worker-died",
    .title =
        "workers that ended while they had requests, and the request all of them had in common",
    .run = run,
};
