/* Captures of a browser tell who answered: the Server header of what HTTP.sys refuses by itself
 * names it. Such a request never reached IIS; only HTTPERR knows the reason. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static void run(const struct model *m, struct findings *fs)
{
    if (m->listener_answer_count == 0)
        return;
    struct finding *f = findings_add(fs, "listener-answers", SEVERITY_WARNING);
    uint64_t n = m->listener_answer_count;

    f->count = n;
    f->share = ratio(n, m->requests);
    for (size_t i = 0; i < m->listener_answers.n; i++) {
        int64_t time_s = m->listener_answers.at[i].time_s;
        if (time_s == RECORD_NO_TIME)
            continue;
        f->first_s = f->first_s == RECORD_NO_TIME || time_s < f->first_s ? time_s : f->first_s;
        f->last_s = f->last_s == RECORD_NO_TIME || time_s > f->last_s ? time_s : f->last_s;
    }
    finding_samples(f, &m->listener_answers);
    f->title =
        findings_text(fs, "%llu error%s in the capture came from HTTP.sys, not from the site",
                      (unsigned long long)n, plural(n));
    f->why =
        STR("The answer's Server header is Microsoft-HTTPAPI: the kernel's listener refused the "
            "request, or had no worker to give it to. The site's log does not have it, and no "
            "failed request trace can be made of it; HTTPERR has it, with the reason.");
    if (m->httperr_records)
        say(fs, f, "HTTPERR is part of this input: the reasons are in its table.");
    finding_step(f, m->httperr_records
                        ? STR("Find the reason in HTTPERR by time and URL, and ask candor explain.")
                        : STR("Read HTTPERR of that time as well "
                              "(%SystemRoot%\\System32\\LogFiles\\HTTPERR), and ask candor explain "
                              "for its reason."));
    finding_relate(f, STR("s-reason"));
    f->command = STR("candor explain s-reason");
}

const struct detector detector_listener_answers = {
    .id = "listener-answers",
    .title = "errors in HAR captures that HTTP.sys answered by itself",
    .run = run,
};
