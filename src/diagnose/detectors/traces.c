/* Failed request traces among the input: what they were written for. What happened inside each is
 * the business of candor trace. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static void run(const struct model *m, struct findings *fs)
{
    uint64_t slow = 0, most = 0;
    size_t top = 0;

    if (m->trace_n == 0)
        return;
    for (size_t i = 0; i < m->trace_n; i++) {
        uint64_t same = 0;

        slow += str_ieq(m->traces[i].reason, STR("TIME_TAKEN")) ? 1 : 0;
        /* A folder holds at most a few thousand; a sample of them is enough to name the most
         * common. */
        if (i >= 500)
            continue;
        for (size_t k = 0; k < m->trace_n; k++)
            same += m->traces[k].status == m->traces[i].status &&
                            m->traces[k].substatus == m->traces[i].substatus
                        ? 1
                        : 0;
        if (same > most) {
            most = same;
            top = i;
        }
    }
    const struct model_trace *t = &m->traces[top];
    struct str code = t->substatus ? findings_text(fs, "%u.%u", t->status, t->substatus)
                                   : findings_text(fs, "%u", t->status);
    struct finding *f = findings_add(fs, "traces", SEVERITY_INFO);

    f->count = m->trace_n;
    for (size_t i = 0; i < m->trace_n; i++) {
        int64_t time_s = m->traces[i].time_s;
        if (time_s == RECORD_NO_TIME)
            continue;
        f->first_s = f->first_s == RECORD_NO_TIME || time_s < f->first_s ? time_s : f->first_s;
        f->last_s = f->last_s == RECORD_NO_TIME || time_s > f->last_s ? time_s : f->last_s;
    }
    f->title = findings_text(fs, "%zu failed request trace%s, most for %.*s", m->trace_n,
                             m->trace_n == 1 ? "" : "s", STR_ARG(code));
    f->why =
        findings_text(fs, "%llu of them ended with %.*s, for instance %.*s %.*s.",
                      (unsigned long long)most, STR_ARG(code), STR_ARG(t->verb), STR_ARG(t->url));
    if (t->module.n)
        say(fs, f, "There %.*s was the first module to set an error status%s%.*s.",
            STR_ARG(t->module), t->event.n ? ", right after the event " : "", STR_ARG(t->event));
    if (slow)
        say(fs, f, "%llu %s written because a request took too long.", (unsigned long long)slow,
            slow == 1 ? "was" : "were");
    finding_relate(f, code);
    finding_step(f,
                 STR("Read one: the events before the first error status say what the module was "
                     "doing."));
    f->command = t->file < m->file_n
                     ? findings_text(fs, "candor trace %.*s",
                                     STR_ARG(shell_word(fs, m->files[t->file].path)))
                     : STR("candor trace PATH");
}

const struct detector detector_traces = {
    .id = "traces",
    .title = "failed request traces and what they were written for",
    .run = run,
};
