/* HTTPERR AppOffline: rapid-fail protection took a pool offline. Connects it with what failed in
 * the minutes before: worker deaths (Connection_Abandoned_By_ReqQueue) and server errors. */
#include "diagnose/detector.h"
#include "base/poison.h"

/* rapidFailProtectionInterval, as it is by default. */
enum { LOOK_BACK_S = 300 };

static uint64_t count_between(const struct model_slots *slots, int64_t from_s, int64_t to_s)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < slots->n; i++)
        if (slots->at[i].start_s + (int64_t)slots->seconds > from_s && slots->at[i].start_s <= to_s)
            sum += slots->at[i].count;
    return sum;
}

static void connect_failures(const struct model *m, struct findings *fs, struct finding *f)
{
    int64_t from_s = f->first_s - LOOK_BACK_S;
    uint64_t deaths = 0, errors = 0;
    const struct model_reason *abandoned = NULL;
    const struct model_status *failing = NULL;

    for (size_t i = 0; i < m->reason_n; i++) {
        const struct model_reason *row = &m->reasons[i];
        uint64_t n = count_between(&row->slots, from_s, f->first_s);
        if (n && str_istarts(row->reason, STR("Connection_Abandoned_By_"))) {
            deaths += n;
            abandoned = abandoned ? abandoned : row;
        }
    }
    for (size_t i = 0; i < m->status_n; i++) {
        const struct model_status *row = &m->statuses[i];
        uint64_t n = count_between(&row->slots, from_s, f->first_s);
        if (n && !row->is_ftp && row->status >= 500 && row->status <= 599) {
            errors += n;
            failing = failing ? failing : row;
        }
    }
    if (abandoned) {
        finding_samples(f, &abandoned->samples);
        finding_relate(f, abandoned->reason);
    }
    if (failing) {
        finding_samples(f, &failing->samples);
        finding_relate(f, str_z(failing->code));
    }
    if (deaths || errors)
        f->why = findings_text(
            fs,
            "Rapid-fail protection stopped the pool after its workers failed repeatedly. In the five "
            "minutes before the first refusal %llu requests were abandoned by a dying worker and "
            "%llu ended with a server error. Until somebody starts the pool again, every request "
            "gets 503 from the listener.",
            (unsigned long long)deaths, (unsigned long long)errors);
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
    f->share = m->httperr_records ? (double)f->count / (double)m->httperr_records : 0;
    f->why = STR("Rapid-fail protection stopped the pool after its workers failed repeatedly. Until "
                 "somebody starts the pool again, every request gets 503 from the listener.");
    if (f->first_s != RECORD_NO_TIME)
        connect_failures(m, fs, f);
    finding_step(f, STR("Read the system events of the minutes before (source WAS: 5011, 5002) and "
                        "the application events for the crash itself."));
    finding_step(f, STR("Repair what makes the worker end: identity and password, a module that does "
                        "not load, an unhandled exception."));
    finding_step(f, STR("Then start the pool: appcmd start apppool NAME."));
    f->command = STR("candor explain AppOffline");
}

const struct detector detector_app_offline = {
    .id = "app-offline",
    .title = "a pool that rapid-fail protection stopped, and what failed before",
    .run = run,
};
