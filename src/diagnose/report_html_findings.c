#include "diagnose/report_html.h"

#include "base/poison.h"

enum { NAMES_SHOWN = 6 };

static void put_facts(struct buf *out, const struct finding *f)
{
    char time[32];

    buf_str(out, STR("<p class=\"facts\">"));
    if (f->count) {
        report_html_count(out, f->count);
        buf_str(out, f->count == 1 ? STR(" time") : STR(" times"));
    }
    if (f->share > 0)
        buf_printf(out, " \xC2\xB7 %.*f %% of all records of its log", f->share < 0.01 ? 3 : 1,
                   f->share * 100);
    if (f->first_s != RECORD_NO_TIME) {
        buf_str(out, STR(" \xC2\xB7 from "));
        buf_str(out, report_time_short(f->first_s, time));
        if (f->last_s != RECORD_NO_TIME && f->last_s != f->first_s) {
            buf_str(out, STR(" to "));
            buf_str(out, report_time_short(f->last_s, time));
        }
    }
    buf_str(out, STR("</p>"));
}

static void put_names(struct buf *out, const char *title, const struct model_counts *list)
{
    if (list->n == 0)
        return;
    buf_printf(out, "<div><h3>%s</h3><ul>", title);
    for (size_t i = 0; i < list->n && i < NAMES_SHOWN; i++) {
        buf_str(out, STR("<li><span class=\"mono\">"));
        report_html_text(out, list->at[i].name.n ? list->at[i].name : STR("(none)"));
        buf_str(out, STR("</span> <span class=\"many\">"));
        report_html_estimate(out, list->at[i].count, list->at[i].error);
        buf_str(out, STR("</span></li>"));
    }
    if (list->n > NAMES_SHOWN)
        buf_printf(out, "<li>and %zu more</li>", list->n - NAMES_SHOWN);
    buf_str(out, STR("</ul></div>"));
}

/* Lines after the first are configuration to copy. */
static void put_steps(struct buf *out, const struct finding *f)
{
    if (f->step_n == 0)
        return;
    buf_str(out, STR("<h3>What to do</h3><ol>"));
    for (size_t i = 0; i < f->step_n; i++) {
        size_t cut = str_find_char(f->steps[i], '\n');

        buf_str(out, STR("<li>"));
        report_html_text(out, str_sub(f->steps[i], 0, cut));
        if (cut != SIZE_MAX) {
            buf_str(out, STR("<pre>"));
            report_html_text(out, str_sub(f->steps[i], cut + 1, f->steps[i].n));
            buf_str(out, STR("</pre>"));
        }
        buf_str(out, STR("</li>"));
    }
    buf_str(out, STR("</ol>"));
}

static void put_evidence(struct buf *out, const struct model *m, const struct finding *f)
{
    if (f->evidence_n == 0)
        return;
    buf_str(out, STR("<h3>Lines</h3>"));
    for (size_t i = 0; i < f->evidence_n; i++) {
        const struct model_sample *s = f->evidence[i];

        buf_str(out, STR("<pre><b>"));
        if (s->file < m->file_n)
            report_html_text(out, m->files[s->file].path);
        buf_printf(out, ":%llu</b> ", (unsigned long long)s->line);
        report_html_text(out, s->text);
        buf_str(out, STR("</pre>"));
    }
}

/* The number of the finding with that id, or SIZE_MAX. */
static size_t find_id(const struct findings *fs, struct str id)
{
    for (size_t i = 0; i < fs->n; i++)
        if (str_eq(str_z(fs->at[i]->id), id))
            return i;
    return SIZE_MAX;
}

/* "win32 64": the number, if a row has it. */
static bool is_win32(const struct model *m, struct str term, uint64_t *ret)
{
    if (!str_starts(term, STR("win32 ")) || !str_u64(str_sub(term, 6, term.n), UINT32_MAX, ret))
        return false;
    for (size_t i = 0; i < m->status_n; i++)
        if (m->statuses[i].win32 == *ret)
            return true;
    return false;
}

static bool is_code(const struct model *m, struct str term)
{
    for (size_t i = 0; i < m->status_n; i++)
        if (!m->statuses[i].is_ftp && str_eq(str_z(m->statuses[i].code), term))
            return true;
    return false;
}

static void put_related(struct buf *out, const struct model *m, const struct findings *fs,
                        const struct finding *f)
{
    if (f->related_n == 0)
        return;
    buf_str(out, STR("<p class=\"facts\">See also: "));
    for (size_t i = 0; i < f->related_n; i++) {
        struct str term = f->related[i];
        uint64_t win32;
        size_t at = find_id(fs, term);

        if (i)
            buf_str(out, STR(" \xC2\xB7 "));
        if (at != SIZE_MAX) {
            buf_printf(out, "<a href=\"#finding-%zu\">", at + 1);
            report_html_text(out, fs->at[at]->title);
            buf_str(out, STR("</a>"));
        } else if (is_code(m, term)) {
            report_html_code_link(out, term.p);
        } else if (is_win32(m, term, &win32)) {
            buf_str(out, STR("win32 "));
            report_html_win32_link(out, win32);
        } else if (model_find_reason(m, term)) {
            report_html_reason_link(out, term);
        } else {
            buf_str(out, STR("<code>candor explain "));
            report_html_text(out, term);
            buf_str(out, STR("</code>"));
        }
    }
    buf_str(out, STR("</p>"));
}

static void put_finding(struct buf *out, const struct model *m, const struct findings *fs, size_t i)
{
    const struct finding *f = fs->at[i];
    const char *severity = severity_name(f->severity);

    buf_printf(
        out,
        "<details id=\"finding-%zu\" class=\"f-%s\"%s><summary><span class=\"sev sev-%s\">%s</span>"
        "<span class=\"what\">",
        i + 1, severity, f->severity == SEVERITY_CRITICAL ? " open" : "", severity, severity);
    report_html_text(out, f->title);
    buf_str(out, STR("</span><span class=\"many\">"));
    if (f->count)
        report_html_count(out, f->count);
    buf_str(out, STR("</span></summary><div>"));
    put_facts(out, f);
    buf_str(out, STR("<p>"));
    report_html_text(out, f->why);
    buf_str(out, STR("</p>"));
    put_steps(out, f);
    if (f->command.n) {
        buf_str(out, STR("<p>What tells more: <code>"));
        report_html_text(out, f->command);
        buf_str(out, STR("</code></p>"));
    }
    buf_str(out, STR("<div class=\"lists\">"));
    put_names(out, "Sites", &f->sites);
    put_names(out, "Pools", &f->pools);
    put_names(out, "URLs", &f->urls);
    put_names(out, "Clients", &f->clients);
    put_names(out, "Users", &f->users);
    buf_str(out, STR("</div>"));
    put_evidence(out, m, f);
    put_related(out, m, fs, f);
    buf_str(out, STR("</div></details>\n"));
}

void report_html_findings(struct buf *out, const struct model *m, const struct findings *fs)
{
    size_t of[SEVERITY_NORMAL + 1] = {0};

    buf_str(out, STR("<section id=\"findings\"><div class=\"head\"><h2>Findings</h2><div>"));
    for (size_t i = 0; i < fs->n; i++)
        of[fs->at[i]->severity]++;
    for (size_t i = 0; i < ARRAY_LEN(of); i++)
        if (of[i])
            buf_printf(out,
                       "<button type=\"button\" data-severity=\"%s\" aria-pressed=\"true\">%zu "
                       "%s</button> ",
                       severity_name((enum severity)i), of[i], severity_name((enum severity)i));
    if (fs->n)
        buf_str(out, STR("<button type=\"button\" id=\"open-all\">open or close all</button>"));
    buf_str(out, STR("</div></div>\n"));
    if (fs->n == 0)
        buf_str(out,
                STR("<p>Nothing that is worth a word: no errors, no refusals, no oddities in the "
                    "input.</p>"));
    for (size_t i = 0; i < fs->n; i++)
        put_finding(out, m, fs, i);
    buf_str(out, STR("</section>\n"));
}
