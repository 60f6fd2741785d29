/* HTTPERR AppOffline: rapid-fail protection took a pool offline. Connects it with what failed in
 * the minutes before: worker deaths (Connection_Abandoned_By_ReqQueue) and server errors. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

/* rapidFailProtectionInterval, as it is by default. */
enum { LOOK_BACK_S = 300 };

/* "1" and "W3SVC1" are the same site. */
static bool is_site(struct str a, struct str b)
{
    if (str_istarts(a, STR("W3SVC")))
        a = str_sub(a, 5, a.n);
    if (str_istarts(b, STR("W3SVC")))
        b = str_sub(b, 5, b.n);
    return str_ieq(a, b);
}

static bool is_pool(struct str a, struct str b)
{
    return str_ieq(a, b);
}

/* Of n records those that carry one of the names; all of them where either side names none. */
static uint64_t count_of(uint64_t n, const struct model_counts *ours,
                         const struct model_counts *theirs, bool (*is_same)(struct str, struct str))
{
    uint64_t sum = 0;

    if (ours->n == 0 || theirs->n == 0)
        return n;
    for (size_t i = 0; i < theirs->n; i++)
        for (size_t k = 0; k < ours->n; k++)
            if (is_same(theirs->at[i].name, ours->at[k].name)) {
                sum += theirs->at[i].count;
                break;
            }
    return sum < n ? sum : n;
}

/* Lines that name one of the pools; any line where none is known. */
static void add_samples(struct finding *f, const struct model_samples *samples)
{
    for (size_t i = 0; i < samples->n; i++) {
        struct model_samples one = {.at = samples->at + i, .n = 1};
        bool is_ours = f->pools.n == 0;

        for (size_t k = 0; k < f->pools.n && !is_ours; k++)
            is_ours = str_find(samples->at[i].text, f->pools.at[k].name) != SIZE_MAX;
        if (is_ours)
            finding_samples(f, &one);
    }
}

static uint64_t connect_deaths(const struct model *m, struct finding *f, int64_t from_s)
{
    uint64_t deaths = 0;

    for (size_t i = 0; i < m->reason_n; i++) {
        const struct model_reason *row = &m->reasons[i];
        if (!str_istarts(row->reason, STR("Connection_Abandoned_By_")))
            continue;
        uint64_t n = count_of(slots_between(&row->slots, from_s, f->first_s), &f->pools,
                              &row->queues, is_pool);
        if (n == 0)
            continue;
        if (deaths == 0) {
            add_samples(f, &row->samples);
            finding_relate(f, row->reason);
        }
        deaths += n;
    }
    return deaths;
}

static uint64_t connect_errors(const struct model *m, struct finding *f, int64_t from_s)
{
    uint64_t errors = 0;

    for (size_t i = 0; i < m->status_n; i++) {
        const struct model_status *row = &m->statuses[i];
        if (row->is_ftp || row->status < 500 || row->status > 599)
            continue;
        uint64_t n = count_of(slots_between(&row->slots, from_s, f->first_s), &f->sites,
                              &row->sites, is_site);
        if (n == 0)
            continue;
        if (errors == 0) {
            finding_samples(f, &row->samples);
            finding_relate(f, str_z(row->code));
        }
        errors += n;
    }
    return errors;
}

static void connect_failures(const struct model *m, struct findings *fs, struct finding *f)
{
    int64_t from_s = f->first_s - LOOK_BACK_S;
    uint64_t deaths = connect_deaths(m, f, from_s), errors = connect_errors(m, f, from_s);

    if (deaths == 0 && errors == 0)
        return;
    f->why = STR("Rapid-fail protection stopped the pool after its workers failed repeatedly.");
    say(fs, f, "In the five minutes before the first refusal");
    if (deaths)
        say(fs, f, "%llu request%s %s abandoned by a dying worker%s", (unsigned long long)deaths,
            plural(deaths), deaths == 1 ? "was" : "were", errors ? " and" : ".");
    if (errors)
        say(fs, f, "%llu%s ended with a server error.", (unsigned long long)errors,
            deaths        ? ""
            : errors == 1 ? " request"
                          : " requests");
    say(fs, f, "Until somebody starts the pool again, every request gets 503 from the listener.");
}

static void run(const struct model *m, struct findings *fs)
{
    struct finding *f = NULL;

    for (size_t i = 0; i < m->reason_n; i++) {
        if (!str_ieq(m->reasons[i].reason, STR("AppOffline")))
            continue;
        if (!f) {
            f = findings_add(fs, "app-offline", SEVERITY_CRITICAL);
            finding_relate(f, STR("AppOffline"));
            finding_relate(f, STR("503"));
        }
        finding_from_reason(f, &m->reasons[i]);
    }
    if (!f)
        return;
    f->title = f->pools.n ? findings_text(fs, "Pool %.*s was taken offline after failures",
                                          STR_ARG(f->pools.at[0].name))
                          : STR("A pool was taken offline after failures");
    f->share = ratio(f->count, m->httperr_records);
    f->why =
        STR("Rapid-fail protection stopped the pool after its workers failed repeatedly. Until "
            "somebody starts the pool again, every request gets 503 from the listener.");
    if (f->first_s != RECORD_NO_TIME)
        connect_failures(m, fs, f);
    finding_step(f, STR("Read the system events of the minutes before (source WAS: 5011, 5002) and "
                        "the application events for the crash itself."));
    finding_step(f,
                 STR("Repair what makes the worker end: identity and password, a module that does "
                     "not load, an unhandled exception."));
    finding_step(f, STR("Then start the pool: appcmd start apppool NAME."));
    f->command = STR("candor explain AppOffline");
}

const struct detector detector_app_offline = {
    .id = "app-offline",
    .title = "a pool that rapid-fail protection stopped, and what failed before",
    .run = run,
};
