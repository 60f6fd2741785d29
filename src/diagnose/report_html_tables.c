#include "diagnose/report_html.h"

#include "tables/ftp.h"
#include "base/poison.h"

struct column {
    const char *title;
    bool is_number;
};

static void begin(struct buf *out, const char *id, const char *title, const struct column *columns,
                  size_t n)
{
    buf_printf(out,
               "<section><div class=\"head\"><h2>%s</h2><input type=\"search\" data-table=\"%s\" "
               "placeholder=\"filter\" aria-label=\"filter: %s\"></div><div class=\"wide\"><table "
               "id=\"%s\" "
               "class=\"sortable\"><thead><tr>",
               title, id, title, id);
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "<th%s scope=\"col\"><button type=\"button\">%s</button></th>",
                   columns[i].is_number ? " class=\"n\"" : "", columns[i].title);
    buf_str(out, STR("</tr></thead><tbody>\n"));
}

static void end(struct buf *out)
{
    buf_str(out, STR("</tbody></table></div></section>\n"));
}

static void put_text(struct buf *out, struct str s)
{
    buf_str(out, STR("<td class=\"mono\">"));
    report_html_text(out, s);
    buf_str(out, STR("</td>"));
}

static void put_count(struct buf *out, uint64_t n, uint64_t error)
{
    buf_printf(out, "<td class=\"n\" data-v=\"%llu\">", (unsigned long long)n);
    report_html_estimate(out, n, error);
    buf_str(out, STR("</td>"));
}

static void put_ms(struct buf *out, uint64_t ms)
{
    buf_printf(out, "<td class=\"n\" data-v=\"%llu\">", (unsigned long long)ms);
    report_html_ms(out, ms);
    buf_str(out, STR("</td>"));
}

static void put_time(struct buf *out, int64_t time_s)
{
    char time[32];

    buf_str(out, STR("<td class=\"t\">"));
    buf_str(out, report_time_short(time_s, time));
    buf_str(out, STR("</td>"));
}

static void put_share(struct buf *out, uint64_t n, uint64_t of)
{
    double share = of ? (double)n * 100 / (double)of : 0;

    buf_printf(out, "<td class=\"n\" data-v=\"%.6f\">%.*f %%</td>", share, share < 1 ? 2 : 1,
               share);
}

static struct str top_name(const struct model_counts *list)
{
    return list->n ? list->at[0].name : STR("");
}

static void put_statuses(struct buf *out, const struct model *m, size_t top)
{
    static const struct column columns[] = {
        {"Status", false}, {"win32", true},  {"Requests", true}, {"Share", true},
        {"Clients", true}, {"First", false}, {"Last", false},    {"Most frequent URL", false}};

    if (m->status_n == 0)
        return;
    begin(out, "statuses", "By status", columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < m->status_n && i < top; i++) {
        const struct model_status *s = &m->statuses[i];

        buf_printf(out, "<tr><td data-v=\"%u.%05u\">", s->status, s->substatus);
        if (s->is_ftp && ftp_reply_find(s->status))
            buf_printf(out, "<a href=\"#ftp-%s\">FTP %s</a>", s->code, s->code);
        else if (s->is_ftp)
            buf_printf(out, "FTP %s", s->status ? s->code : "-");
        else
            report_html_code_link(out, s->code);
        buf_printf(out, "</td><td class=\"n\" data-v=\"%llu\">", (unsigned long long)s->win32);
        report_html_win32_link(out, s->win32);
        buf_str(out, STR("</td>"));
        put_count(out, s->count, 0);
        put_share(out, s->count, s->is_ftp ? m->ftp_records : m->requests);
        put_count(out, s->clients, s->clients_error);
        put_time(out, s->first_s);
        put_time(out, s->last_s);
        put_text(out, top_name(&s->urls));
        buf_str(out, STR("</tr>\n"));
    }
    end(out);
}

static void put_reasons(struct buf *out, const struct model *m, size_t top)
{
    static const struct column columns[] = {
        {"Reason", false}, {"Status", true}, {"Records", true}, {"Clients", true},
        {"First", false},  {"Last", false},  {"Pool", false},   {"Most frequent URL", false}};

    if (m->reason_n == 0)
        return;
    begin(out, "reasons", "By reason (HTTPERR)", columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < m->reason_n && i < top; i++) {
        const struct model_reason *r = &m->reasons[i];

        buf_str(out, STR("<tr><td>"));
        report_html_reason_link(out, r->reason);
        buf_printf(out, "</td><td class=\"n\" data-v=\"%u\">", r->status);
        if (r->status)
            buf_u64(out, r->status);
        else
            buf_char(out, '-');
        buf_str(out, STR("</td>"));
        put_count(out, r->count, 0);
        put_count(out, r->clients, r->clients_error);
        put_time(out, r->first_s);
        put_time(out, r->last_s);
        put_text(out, top_name(&r->queues));
        put_text(out, top_name(&r->urls));
        buf_str(out, STR("</tr>\n"));
    }
    end(out);
}

static void put_url(struct buf *out, const struct model_url *u, uint64_t scale_ms)
{
    buf_str(out, STR("<tr>"));
    put_text(out, u->url);
    put_count(out, u->count, u->error);
    put_count(out, u->errors_4xx, 0);
    put_count(out, u->errors_5xx, 0);
    put_ms(out, u->latency.p50_ms);
    put_ms(out, u->latency.p95_ms);
    put_ms(out, u->latency.max_ms);
    buf_printf(out, "<td data-v=\"%llu\">", (unsigned long long)u->latency.p95_ms);
    if (u->latency.count)
        report_html_latency_row(out, &u->latency, scale_ms);
    buf_str(out, STR("</td></tr>\n"));
}

static void put_urls(struct buf *out, const struct model *m, size_t top)
{
    static const struct column columns[] = {
        {"URL", false}, {"Requests", true}, {"4xx", true},     {"5xx", true},
        {"Half", true}, {"95 %", true},     {"Longest", true}, {"half to 95 %, longest", false}};
    uint64_t scale_ms = m->latency.max_ms;

    if (m->slowest_n && scale_ms) {
        begin(out, "slowest", "Slowest URLs", columns, ARRAY_LEN(columns));
        for (size_t i = 0; i < m->slowest_n && i < top; i++)
            put_url(out, m->slowest[i], scale_ms);
        end(out);
    }
    if (m->url_n == 0)
        return;
    begin(out, "urls", "URLs", columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < m->url_n && i < top; i++)
        put_url(out, &m->urls[i], scale_ms);
    end(out);
}

static void put_slower(struct buf *out, const struct model *m, size_t top)
{
    static const struct column columns[] = {
        {"URL", false}, {"Since", false}, {"Requests before", true},
        {"Half", true}, {"95 %", true},   {"Requests since", true},
        {"Half", true}, {"95 %", true}};

    if (m->slower_n == 0)
        return;
    begin(out, "slower", "URLs that became slower", columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < m->slower_n && i < top; i++) {
        const struct pace_change *c = &m->slower[i].change;
        const struct pace_side *sides[] = {&c->before, &c->after};

        buf_str(out, STR("<tr>"));
        put_text(out, m->slower[i].url);
        put_time(out, c->since_s);
        for (size_t k = 0; k < ARRAY_LEN(sides); k++) {
            put_count(out, sides[k]->count, 0);
            put_ms(out, sides[k]->p50_ms);
            put_ms(out, sides[k]->p95_ms);
        }
        buf_str(out, STR("</tr>\n"));
    }
    end(out);
}

static void put_clients(struct buf *out, const struct model *m, size_t top)
{
    static const struct column columns[] = {{"Client", false}, {"Requests", true}, {"Share", true},
                                            {"4xx", true},     {"404", true},      {"5xx", true}};

    if (m->client_n == 0)
        return;
    begin(out, "clients", "Clients", columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < m->client_n && i < top; i++) {
        const struct model_client *c = &m->clients_top[i];

        buf_str(out, STR("<tr>"));
        put_text(out, c->client);
        put_count(out, c->count, c->error);
        put_share(out, c->count, m->requests);
        put_count(out, c->errors_4xx, 0);
        put_count(out, c->not_found, 0);
        put_count(out, c->errors_5xx, 0);
        buf_str(out, STR("</tr>\n"));
    }
    end(out);
}

static void put_sites(struct buf *out, const struct model *m, size_t top)
{
    static const struct column columns[] = {
        {"Site", false}, {"Requests", true}, {"4xx", true}, {"5xx", true}, {"HTTPERR", true}};

    if (m->site_n < 2)
        return;
    begin(out, "sites", "Sites", columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < m->site_n && i < top; i++) {
        const struct model_site *s = &m->sites[i];

        buf_str(out, STR("<tr>"));
        put_text(out, s->name.n ? s->name : STR("(not said)"));
        put_count(out, s->count, 0);
        put_count(out, s->errors_4xx, 0);
        put_count(out, s->errors_5xx, 0);
        put_count(out, s->httperr, 0);
        buf_str(out, STR("</tr>\n"));
    }
    end(out);
}

static void put_requests(struct buf *out, const struct model *m, const char *id, const char *title,
                         const struct model_samples *list)
{
    static const struct column columns[] = {{"Where", false}, {"Line", false}};

    if (list->n == 0)
        return;
    begin(out, id, title, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < list->n; i++) {
        const struct model_sample *s = &list->at[i];

        buf_str(out, STR("<tr><td class=\"mono\">"));
        if (s->file < m->file_n)
            report_html_text(out, m->files[s->file].path);
        buf_printf(out, ":%llu</td>", (unsigned long long)s->line);
        put_text(out, s->text);
        buf_str(out, STR("</tr>\n"));
    }
    end(out);
}

static void put_files(struct buf *out, const struct model *m)
{
    static const struct column columns[] = {
        {"File", false},          {"Kind", false},  {"Records", true}, {"Lines", true},
        {"Not understood", true}, {"First", false}, {"Last", false},   {"Problem", false}};

    begin(out, "files", "Input", columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < m->file_n; i++) {
        const struct model_file *f = &m->files[i];

        buf_str(out, STR("<tr>"));
        put_text(out, f->path);
        buf_printf(out, "<td>%s</td>", log_kind_name(f->kind));
        put_count(out, f->records, 0);
        put_count(out, f->lines, 0);
        put_count(out, f->not_understood, 0);
        put_time(out, f->first_s);
        put_time(out, f->last_s);
        put_text(out, f->problem);
        buf_str(out, STR("</tr>\n"));
    }
    end(out);
}

void report_html_tables(struct buf *out, const struct model *m,
                        const struct report_options *options)
{
    size_t top = options->top;

    put_requests(out, m, "listed", "Requests that match", &m->requests_listed);
    put_statuses(out, m, top);
    put_reasons(out, m, top);
    put_slower(out, m, top);
    put_urls(out, m, top);
    put_clients(out, m, top);
    put_sites(out, m, top);
    put_requests(out, m, "slow", "Longest requests", &m->slow_requests);
    put_files(out, m);
}
