/* 503 of a pool that does not run: Disabled (somebody stopped it), AppShutdown (a policy did), N/A
 * (no worker could be started). AppOffline has a detector of its own. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static const struct {
    const char *id;
    struct reason_case c;
} cases[] = {
    {"pool-disabled",
     {"Disabled", SEVERITY_CRITICAL, "A pool is stopped",
      "Somebody stopped the pool, or it is not set to start by itself (autoStart), while its sites "
      "still take requests."}},
    {"pool-shutdown",
     {"AppShutdown", SEVERITY_CRITICAL, "A pool was shut down by its CPU limit",
      "The pool used more processor time than cpu/limit allows and the action is KillW3wp: it "
      "stays "
      "down until resetInterval ends."}},
    {"no-worker",
     {"N/A", SEVERITY_CRITICAL, "No worker could be started",
      "The listener had nobody to give the request to: no memory for a worker, an identity that "
      "can't "
      "log on, a URL that is reserved but not registered."}},
};

static void run(const struct model *m, struct findings *fs)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct finding *f = detect_reason(m, fs, cases[i].id, &cases[i].c);

        if (!f)
            continue;
        if (f->pools.n)
            say(fs, f, "Pool%s: %.*s.", plural(f->pools.n), STR_ARG(names_text(fs, &f->pools, 4)));
        say_onset(m, fs, f);
        finding_relate(f, STR("503"));
        finding_relate(f, STR("app-offline"));
    }
}

const struct detector detector_pool_stopped = {
    .id = "pool-stopped",
    .title = "pools that do not run (Disabled, AppShutdown, N/A)",
    .run = run,
};
