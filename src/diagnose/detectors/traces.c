/* Failed request traces among the input: what they were written for. What happened inside each is
 * the business of candor trace. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

/* Traces of one end: the same status, by the same module. */
struct group {
    const struct model_trace *first;
    uint64_t count;
};

enum { GROUPS_MAX = 64, GROUPS_NAMED = 4 };

static bool is_of(const struct group *g, const struct model_trace *t)
{
    return g->first->status == t->status && g->first->substatus == t->substatus &&
           str_eq(g->first->module, t->module);
}

/* The most frequent ones first. Ends beyond GROUPS_MAX are not told apart. */
static size_t make_groups(const struct model *m, struct group groups[GROUPS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < m->trace_n; i++) {
        size_t k = 0;
        while (k < n && !is_of(&groups[k], &m->traces[i]))
            k++;
        if (k == GROUPS_MAX)
            continue;
        if (k == n)
            groups[n++] = (struct group){&m->traces[i], 0};
        groups[k].count++;
        for (; k > 0 && groups[k].count > groups[k - 1].count; k--) {
            struct group better = groups[k];
            groups[k] = groups[k - 1];
            groups[k - 1] = better;
        }
    }
    return n;
}

static struct str code_text(struct findings *fs, const struct model_trace *t)
{
    return t->substatus ? findings_text(fs, "%u.%u", t->status, t->substatus)
                        : findings_text(fs, "%u", t->status);
}

static void say_group(struct findings *fs, struct finding *f, const struct group *g)
{
    const struct model_trace *t = g->first;

    say(fs, f, "%llu of them ended with %.*s, for instance %.*s %.*s.",
        (unsigned long long)g->count, STR_ARG(code_text(fs, t)), STR_ARG(t->verb), STR_ARG(t->url));
    if (t->module.n)
        say(fs, f, "There %.*s was the first module to set an error status%s%.*s.",
            STR_ARG(t->module), t->event.n ? ", right after the event " : "", STR_ARG(t->event));
}

/* "for 404", "most for 500", "for 401, 404 and 500". */
static struct str codes_text(const struct model *m, struct findings *fs, const struct group *groups,
                             size_t n)
{
    const struct model_trace *codes[GROUPS_NAMED];
    size_t code_n = 0;
    uint64_t same = 0;

    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < code_n && (codes[k]->status != groups[i].first->status ||
                              codes[k]->substatus != groups[i].first->substatus))
            k++;
        same += k == 0 ? groups[i].count : 0;
        if (k == code_n && code_n < GROUPS_NAMED)
            codes[code_n++] = groups[i].first;
    }
    struct str text = code_text(fs, codes[0]);

    if (code_n > 1 && same * 2 > m->trace_n)
        return findings_text(fs, "most for %.*s", STR_ARG(text));
    for (size_t i = 1; i < code_n; i++)
        text = findings_text(fs, "%.*s%s%.*s", STR_ARG(text), i + 1 == code_n ? " and " : ", ",
                             STR_ARG(code_text(fs, codes[i])));
    return findings_text(fs, "for %.*s", STR_ARG(text));
}

static void see_times(const struct model *m, struct finding *f)
{
    for (size_t i = 0; i < m->trace_n; i++) {
        int64_t time_s = m->traces[i].time_s;
        if (time_s == RECORD_NO_TIME)
            continue;
        f->first_s = f->first_s == RECORD_NO_TIME || time_s < f->first_s ? time_s : f->first_s;
        f->last_s = f->last_s == RECORD_NO_TIME || time_s > f->last_s ? time_s : f->last_s;
    }
}

static void run(const struct model *m, struct findings *fs)
{
    struct group groups[GROUPS_MAX];
    uint64_t slow = 0;

    if (m->trace_n == 0)
        return;
    size_t n = make_groups(m, groups);
    struct finding *f = findings_add(fs, "traces", SEVERITY_INFO);

    f->count = m->trace_n;
    see_times(m, f);
    f->title = findings_text(fs, "%zu failed request trace%s, %.*s", m->trace_n, plural(m->trace_n),
                             STR_ARG(codes_text(m, fs, groups, n)));
    for (size_t i = 0; i < n && i < GROUPS_NAMED; i++) {
        say_group(fs, f, &groups[i]);
        finding_relate(f, code_text(fs, groups[i].first));
    }
    if (n > GROUPS_NAMED)
        say(fs, f, "Others ended otherwise.");
    for (size_t i = 0; i < m->trace_n; i++)
        slow += str_ieq(m->traces[i].reason, STR("TIME_TAKEN"));
    if (slow)
        say(fs, f, "%llu %s written because a request took too long.", (unsigned long long)slow,
            slow == 1 ? "was" : "were");
    finding_step(f,
                 STR("Read one: the events before the first error status say what the module was "
                     "doing."));
    uint32_t file = groups[0].first->file;

    f->command = file < m->file_n ? findings_text(fs, "candor trace %.*s",
                                                  STR_ARG(shell_word(fs, m->files[file].path)))
                                  : STR("candor trace PATH");
}

const struct detector detector_traces = {
    .id = "traces",
    .title = "failed request traces and what they were written for",
    .run = run,
};
