#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "diagnose/report.h"
#include "base/poison.h"

enum { INDENT = 2, FILES_SHOWN = 40, WIDTH_MIN = 40, WIDTH_MAX = 400, LABEL = 9, NAME_MAX = 60 };

struct page {
    struct buf *out;
    const struct model *m;
    const struct report_options *o;
    uint32_t width;
};

/* ---- pieces ---- */

/* "1,234,567" */
static struct str grouped(uint64_t v, char out[32])
{
    char digits[20];
    size_t n = fmt_u64(digits, v), k = 0;

    for (size_t i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            out[k++] = ',';
        out[k++] = digits[i];
    }
    return str_n(out, k);
}

static struct str bytes_text(uint64_t v, char out[32])
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB"};
    double d = (double)v;
    size_t u = 0;

    for (; d >= 1000 && u + 1 < ARRAY_LEN(units); u++)
        d /= 1000;
    return str_n(out, (size_t)snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", d, units[u]));
}

static void colour(struct page *p, const char *code)
{
    if (p->o->has_colour)
        buf_printf(p->out, "\033[%sm", code);
}

static void heading(struct page *p, const char *text)
{
    buf_char(p->out, '\n');
    colour(p, "1");
    buf_str(p->out, str_z(text));
    colour(p, "0");
    buf_char(p->out, '\n');
}

/* Columns that a text takes: characters, not bytes. */
static size_t columns_of(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

/* At most n columns of a text of the logs, with "..." if it is longer. */
static void cut(struct page *p, struct str s, size_t n)
{
    struct buf plain;

    buf_init(&plain, 1 << 20);
    report_plain(&plain, str_sub(s, 0, 65536));
    struct str text = buf_view(&plain);

    if (columns_of(text) > n && n > 3) {
        size_t at = 0, columns = 0;
        while (at < text.n && columns < n - 3) {
            at++;
            while (at < text.n && ((unsigned char)text.p[at] & 0xC0) == 0x80)
                at++;
            columns++;
        }
        buf_str(p->out, str_sub(text, 0, at));
        buf_str(p->out, STR("..."));
    } else {
        buf_str(p->out, text);
    }
    buf_fini(&plain);
}

/* Words of a text between indent and the page's width; the first line is already indented. */
static void wrap(struct page *p, struct str text, size_t indent)
{
    struct buf plain;
    struct str rest, word;
    size_t column = indent;

    buf_init(&plain, 1 << 20);
    report_plain(&plain, text);
    rest = buf_view(&plain);
    while (str_split(&rest, ' ', &word)) {
        size_t n = columns_of(word);
        if (column > indent && column + 1 + n > p->width) {
            buf_printf(p->out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            buf_char(p->out, ' ');
            column++;
        }
        buf_str(p->out, word);
        column += n;
    }
    buf_char(p->out, '\n');
    buf_fini(&plain);
}

static void time_span(struct page *p, int64_t first_s, int64_t last_s)
{
    char a[32], b[32];
    struct str from = report_time_short(first_s, a), to = report_time_short(last_s, b);

    if (!from.n)
        return;
    buf_str(p->out, from);
    if (first_s == last_s)
        return;
    buf_str(p->out, STR(" to "));
    /* The same day is said once. */
    buf_str(p->out, str_eq(str_sub(from, 0, 10), str_sub(to, 0, 10)) ? str_sub(to, 11, to.n) : to);
}

static void named(struct page *p, const char *label, const struct model_counts *c, size_t top)
{
    char n[32];

    if (c->n == 0)
        return;
    buf_printf(p->out, "    %-*s", LABEL, label);
    size_t column = 4 + LABEL;

    for (size_t i = 0; i < c->n && i < top; i++) {
        struct str count = grouped(c->at[i].count, n);
        size_t name = columns_of(c->at[i].name),
               width = (name < NAME_MAX ? name : NAME_MAX) + 5 + count.n + (c->at[i].error ? 9 : 0);
        if (i)
            buf_char(p->out, ',');
        if (i && column + width > p->width) {
            buf_printf(p->out, "\n%*s", 4 + LABEL, "");
            column = 4 + LABEL;
        } else if (i) {
            buf_char(p->out, ' ');
        }
        cut(p, c->at[i].name, NAME_MAX);
        buf_printf(p->out, " (%s%.*s)", c->at[i].error ? "at least " : "", STR_ARG(count));
        column += width;
    }
    buf_char(p->out, '\n');
}

static void sample(struct page *p, const struct model_sample *s)
{
    char where[32];
    struct str path = p->m->files[s->file].path;
    size_t n = (size_t)snprintf(where, sizeof(where), ":%llu: ", (unsigned long long)s->line);
    size_t used = 6 + columns_of(path) + n;

    buf_str(p->out, STR("      "));
    colour(p, "2");
    report_plain(p->out, path);
    buf_str(p->out, str_n(where, n));
    colour(p, "0");
    if (p->width > used + 30) {
        cut(p, s->text, p->width - used);
    } else {
        /* The path leaves no room: the line goes below it. */
        buf_str(p->out, STR("\n        "));
        cut(p, s->text, p->width - 8);
    }
    buf_char(p->out, '\n');
}

/* ---- sections ---- */

static void summary(struct page *p)
{
    const struct model *m = p->m;
    char a[32];
    size_t files = 0;

    for (size_t i = 0; i < m->file_n; i++)
        files += !m->files[i].is_archive && m->files[i].kind != LOG_UNKNOWN;
    buf_printf(p->out, "%zu log%s", files, files == 1 ? "" : "s");
    if (m->requests)
        buf_printf(p->out, ", %.*s requests", STR_ARG(grouped(m->requests, a)));
    if (m->httperr_records)
        buf_printf(p->out, ", %.*s HTTPERR records", STR_ARG(grouped(m->httperr_records, a)));
    if (m->ftp_records)
        buf_printf(p->out, ", %.*s FTP records", STR_ARG(grouped(m->ftp_records, a)));
    if (m->trace_n)
        buf_printf(p->out, ", %.*s traces", STR_ARG(grouped(m->trace_n, a)));
    buf_printf(p->out, ", %s%.*s clients", m->clients_error ? "about " : "",
               STR_ARG(grouped(m->clients, a)));
    if (m->first_s != RECORD_NO_TIME) {
        buf_str(p->out, STR(", "));
        time_span(p, m->first_s, m->last_s);
        buf_str(p->out, STR(" UTC"));
    }
    buf_char(p->out, '\n');
    if (m->is_filtered)
        buf_str(p->out, STR("Only records that match the given filter are counted.\n"));
    if (m->files_were_cut)
        buf_str(p->out,
                STR("Some files were left out: there are too many, or they lie too deep.\n"));
}

static const char *severity_colour(enum severity s)
{
    switch (s) {
    case SEVERITY_CRITICAL:
        return "1;31";
    case SEVERITY_ERROR:
        return "31";
    case SEVERITY_WARNING:
        return "33";
    case SEVERITY_INFO:
        return "36";
    case SEVERITY_NORMAL:
        break;
    }
    return "32";
}

static void finding(struct page *p, const struct finding *f)
{
    char n[32];

    buf_char(p->out, '\n');
    colour(p, severity_colour(f->severity));
    buf_printf(p->out, "  %-8s", severity_name(f->severity));
    colour(p, "0");
    buf_char(p->out, ' ');
    colour(p, "1");
    wrap(p, f->title, 11);
    colour(p, "0");
    buf_printf(p->out, "    %-*s%.*s", LABEL, "Count", STR_ARG(grouped(f->count, n)));
    if (f->share > 0)
        buf_printf(p->out, " (%.2f %%)", f->share * 100);
    if (f->first_s != RECORD_NO_TIME) {
        buf_str(p->out, STR(", "));
        time_span(p, f->first_s, f->last_s);
    }
    buf_char(p->out, '\n');
    named(p, "Sites", &f->sites, 5);
    named(p, "Pools", &f->pools, 5);
    named(p, "URLs", &f->urls, 3);
    named(p, "Clients", &f->clients, 5);
    named(p, "Users", &f->users, 5);
    buf_printf(p->out, "    %-*s", LABEL, "Why");
    wrap(p, f->why, 4 + LABEL);
    for (size_t i = 0; i < f->step_n; i++) {
        size_t cut = str_find_char(f->steps[i], '\n'); /* a piece of configuration follows */

        buf_printf(p->out, "    %-*s%zu. ", LABEL, i ? "" : "Do", i + 1);
        wrap(p, str_sub(f->steps[i], 0, cut), 4 + LABEL + 3);
        if (cut == SIZE_MAX)
            continue;
        buf_printf(p->out, "%*s", 4 + LABEL + 3, "");
        wrap(p, str_sub(f->steps[i], cut + 1, f->steps[i].n), 4 + LABEL + 3);
    }
    for (size_t i = 0; i < f->evidence_n; i++)
        sample(p, f->evidence[i]);
    if (f->command.n) {
        buf_printf(p->out, "    %-*s", LABEL, "Next");
        report_plain(p->out, f->command);
        buf_char(p->out, '\n');
    }
}

static void findings_section(struct page *p, const struct findings *fs)
{
    heading(p, "Findings");
    if (fs->n == 0)
        buf_str(p->out, STR("  Nothing stands out.\n"));
    for (size_t i = 0; i < fs->n; i++)
        finding(p, fs->at[i]);
}

enum series { SERIES_REQUESTS, SERIES_4XX, SERIES_5XX, SERIES_HTTPERR };

static uint64_t series_value(const struct model_bucket *b, enum series s)
{
    switch (s) {
    case SERIES_REQUESTS:
        return b->requests;
    case SERIES_4XX:
        return b->errors_4xx;
    case SERIES_5XX:
        return b->errors_5xx;
    case SERIES_HTTPERR:
        break;
    }
    return b->httperr;
}

static void sparkline(struct page *p, const char *label, enum series s)
{
    static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const struct model *m = p->m;
    char n[32];
    size_t width = p->width - 32 < m->bucket_n ? p->width - 32 : m->bucket_n;
    uint64_t *sum = xcalloc(width ? width : 1, sizeof(*sum)), most = 0;

    for (size_t i = 0; i < m->bucket_n && width; i++)
        sum[i * width / m->bucket_n] += series_value(&m->timeline[i], s);
    for (size_t i = 0; i < width; i++)
        most = sum[i] > most ? sum[i] : most;
    if (most) {
        buf_printf(p->out, "  %-9s", label);
        for (size_t i = 0; i < width; i++)
            buf_str(p->out, str_z(bars[(sum[i] * 8 + most - 1) / most]));
        buf_printf(p->out, " at most %.*s\n", STR_ARG(grouped(most, n)));
    }
    free(sum);
}

static void timeline_section(struct page *p)
{
    const struct model *m = p->m;

    if (m->bucket_n < 2)
        return;
    heading(p, "Over time");
    sparkline(p, "requests", SERIES_REQUESTS);
    sparkline(p, "4xx", SERIES_4XX);
    sparkline(p, "5xx", SERIES_5XX);
    sparkline(p, "HTTPERR", SERIES_HTTPERR);
    buf_str(p->out, STR("  "));
    time_span(p, m->first_s, m->last_s);
    buf_char(p->out, '\n');
}

static void status_section(struct page *p)
{
    const struct model *m = p->m;
    char n[32], c[32];

    if (m->status_n == 0)
        return;
    heading(p, "How requests ended");
    buf_printf(p->out, "  %-9s %10s %13s %8s %9s  %s\n", "status", "win32", "count", "share",
               "clients", "most frequent URL");
    for (size_t i = 0; i < m->status_n && i < p->o->top; i++) {
        const struct model_status *s = &m->statuses[i];
        uint64_t all = s->is_ftp ? m->ftp_records : m->requests;

        buf_printf(p->out, "  %s%-*s %10llu %13.*s %7.2f%% %s%8.*s  ", s->is_ftp ? "ftp " : "",
                   s->is_ftp ? 5 : 9, s->status ? s->code : "-", (unsigned long long)s->win32,
                   STR_ARG(grouped(s->count, n)), all ? 100 * (double)s->count / (double)all : 0,
                   s->clients_error ? "~" : " ", STR_ARG(grouped(s->clients, c)));
        if (s->urls.n)
            cut(p, s->urls.at[0].name, p->width > 68 + 12 ? p->width - 68 : 12);
        buf_char(p->out, '\n');
    }
    if (m->status_n > p->o->top)
        buf_printf(p->out, "  and %zu more (--top %zu)\n", m->status_n - p->o->top, m->status_n);
}

static void reason_section(struct page *p)
{
    const struct model *m = p->m;
    char n[32];

    if (m->reason_n == 0)
        return;
    heading(p, "What the listener ended itself (HTTPERR)");
    for (size_t i = 0; i < m->reason_n && i < p->o->top; i++) {
        const struct model_reason *r = &m->reasons[i];

        buf_str(p->out, STR("  "));
        report_plain(p->out, r->reason);
        buf_printf(p->out, "%*s", r->reason.n < 34 ? (int)(34 - r->reason.n) : 1, "");
        if (r->status)
            buf_printf(p->out, "%3u", r->status);
        else
            buf_str(p->out, STR("  -"));
        buf_printf(p->out, " %13.*s  ", STR_ARG(grouped(r->count, n)));
        for (size_t k = 0; k < r->queues.n && k < 3; k++) {
            buf_str(p->out, k ? STR(", ") : STR(""));
            cut(p, r->queues.at[k].name, 30);
        }
        buf_char(p->out, '\n');
    }
}

static void latency_section(struct page *p)
{
    const struct model *m = p->m;
    const struct model_latency *l = &m->latency;
    char n[32];

    if (l->count == 0)
        return;
    heading(p, "Time taken");
    char text[200];
    int at =
        snprintf(text, sizeof(text),
                 "half below %llu ms, 90 %% %llu, 95 %% %llu, 99 %% %llu, longest %llu ms%s",
                 (unsigned long long)l->p50_ms, (unsigned long long)l->p90_ms,
                 (unsigned long long)l->p95_ms, (unsigned long long)l->p99_ms,
                 (unsigned long long)l->max_ms, l->p99_ms_error ? " (percentiles within 2 %)" : "");

    buf_str(p->out, STR("  "));
    wrap(p, str_n(text, at > 0 ? (size_t)at : 0), 2);
    if (m->slowest_n == 0)
        return;
    buf_printf(p->out, "  %10s %10s %12s  %s\n", "95 % ms", "max ms", "requests", "slowest URLs");
    for (size_t i = 0; i < m->slowest_n && i < p->o->top; i++) {
        const struct model_url *u = m->slowest[i];
        buf_printf(p->out, "  %10llu %10llu %12.*s  ", (unsigned long long)u->latency.p95_ms,
                   (unsigned long long)u->latency.max_ms, STR_ARG(grouped(u->count, n)));
        cut(p, u->url, p->width > 38 + 20 ? p->width - 38 : 20);
        buf_char(p->out, '\n');
    }
}

static void slower_section(struct page *p)
{
    const struct model *m = p->m;
    char time[32];

    if (m->slower_n == 0)
        return;
    buf_printf(p->out, "  %10s %10s  %-19s  %s\n", "95 % ms", "before", "since",
               "URLs that became slower");
    for (size_t i = 0; i < m->slower_n && i < p->o->top; i++) {
        const struct pace_change *c = &m->slower[i].change;
        buf_printf(p->out, "  %10llu %10llu  %-19.*s  ", (unsigned long long)c->after.p95_ms,
                   (unsigned long long)c->before.p95_ms,
                   STR_ARG(report_time_short(c->since_s, time)));
        cut(p, m->slower[i].url, p->width > 46 + 20 ? p->width - 46 : 20);
        buf_char(p->out, '\n');
    }
}

static void listed_section(struct page *p)
{
    if (p->m->requests_listed.n == 0)
        return;
    heading(p, "Matching records");
    for (size_t i = 0; i < p->m->requests_listed.n; i++)
        sample(p, &p->m->requests_listed.at[i]);
}

static void misfits(struct page *p, const struct model_file *f)
{
    for (size_t i = 0; i < f->misfit_n && i < 3; i++) {
        buf_printf(p->out, "        line %llu: ", (unsigned long long)f->misfits[i].line);
        cut(p, f->misfits[i].text, p->width > 60 ? p->width - 30 : 40);
        buf_char(p->out, '\n');
    }
}

/* Files with something to say come in full; of the others the first ones. */
static void input_section(struct page *p)
{
    const struct model *m = p->m;
    size_t quiet = 0;
    char n[32], b[32];

    heading(p, "Inputs");
    for (size_t i = 0; i < m->file_n; i++) {
        const struct model_file *f = &m->files[i];
        bool speaks = f->problem.n || f->not_understood || f->nul_bytes;

        if (f->is_archive || (!speaks && ++quiet > FILES_SHOWN))
            continue;
        buf_printf(p->out, "  %-8s %12.*s records  %9.*s  ", log_kind_name(f->kind),
                   STR_ARG(grouped(f->records, n)), STR_ARG(bytes_text(f->bytes, b)));
        report_plain(p->out, f->path);
        buf_char(p->out, '\n');
        if (f->problem.n) {
            buf_str(p->out, STR("      problem: "));
            report_plain(p->out, f->problem);
            buf_char(p->out, '\n');
        }
        if (f->not_understood)
            buf_printf(p->out, "      not understood: %.*s lines, the first:\n",
                       STR_ARG(grouped(f->not_understood, n)));
        misfits(p, f);
        if (f->nul_bytes)
            buf_printf(p->out, "      %.*s NUL bytes of padding were skipped\n",
                       STR_ARG(grouped(f->nul_bytes, n)));
    }
    if (quiet > FILES_SHOWN)
        buf_printf(p->out, "  and %zu more without anything to say\n", quiet - FILES_SHOWN);
}

void report_text(struct buf *out, const struct model *m, const struct findings *fs,
                 const struct report_options *o)
{
    struct page p = {out, m, o, o->width};

    if (p.width < WIDTH_MIN)
        p.width = WIDTH_MIN;
    if (p.width > WIDTH_MAX)
        p.width = WIDTH_MAX;
    if (m->is_sampled)
        buf_str(out, STR("A sample: figures are of the part that was read so far.\n"));
    summary(&p);
    findings_section(&p, fs);
    timeline_section(&p);
    status_section(&p);
    reason_section(&p);
    latency_section(&p);
    slower_section(&p);
    listed_section(&p);
    input_section(&p);
}
