/* 304: the browser's copy is still good. Normal; the share says how well caching works. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static void run(const struct model *m, struct findings *fs)
{
    const struct model_status *row;
    struct finding *f = NULL;

    for (size_t i = 0; (row = model_next_status(m, 304, -1, &i)) != NULL;) {
        if (!f)
            f = findings_add(fs, "not-modified", SEVERITY_NORMAL);
        finding_from_status(f, row);
    }
    if (!f)
        return;
    f->share = ratio(f->count, m->requests);
    f->title = findings_text(fs, "%.1f %% of the requests were answered 304", f->share * 100);
    f->why =
        STR("The client asked whether its copy is still current, and it was: no content had to be "
            "sent. These are good answers, not redirections and not errors.");
    if (f->share > 0.3) {
        say(fs, f, "So many questions cost a round trip each: longer lifetimes would save them.");
        finding_step(f, STR("Give static files a lifetime: staticContent/clientCache "
                            "cacheControlMode=\"UseMaxAge\" cacheControlMaxAge=\"7.00:00:00\"."));
    } else {
        finding_step(f, STR("Nothing."));
    }
    finding_relate(f, STR("304"));
}

const struct detector detector_not_modified = {
    .id = "not-modified",
    .title = "304 answers (normal) and whether lifetimes are too short",
    .run = run,
};
