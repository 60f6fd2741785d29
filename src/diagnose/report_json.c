#include "diagnose/report.h"

#include "base/poison.h"

/* Writes members and elements one after another; commas are put where they belong. */
struct json {
    struct buf *out;
    bool has_before; /* something stands before in the same object or array */
};

static void comma(struct json *j)
{
    if (j->has_before)
        buf_char(j->out, ',');
    j->has_before = true;
}

static void key(struct json *j, const char *name)
{
    comma(j);
    if (!name)
        return;
    buf_printf(j->out, "\"%s\":", name);
}

static void open(struct json *j, const char *name, char bracket)
{
    key(j, name);
    buf_char(j->out, bracket);
    j->has_before = false;
}

static void close(struct json *j, char bracket)
{
    buf_char(j->out, bracket);
    j->has_before = true;
}

static void number(struct json *j, const char *name, uint64_t v)
{
    key(j, name);
    buf_u64(j->out, v);
}

/* A figure and, when it is an estimate, its twin. */
static void estimate(struct json *j, const char *name, const char *twin, uint64_t v, uint64_t error)
{
    number(j, name, v);
    if (error)
        number(j, twin, error);
}

static void string(struct json *j, const char *name, struct str v)
{
    key(j, name);
    report_json_str(j->out, v);
}

static void instant(struct json *j, const char *name, int64_t time_s)
{
    char text[32];

    key(j, name);
    if (time_s == RECORD_NO_TIME)
        buf_str(j->out, STR("null"));
    else
        report_json_str(j->out, report_time(time_s, text));
}

static void flag(struct json *j, const char *name, bool v)
{
    key(j, name);
    buf_str(j->out, v ? STR("true") : STR("false"));
}

static void fraction(struct json *j, const char *name, double v)
{
    key(j, name);
    buf_printf(j->out, "%.6f", v);
}

static void counts(struct json *j, const char *name, const char *label,
                   const struct model_counts *c, size_t top)
{
    open(j, name, '[');
    for (size_t i = 0; i < c->n && i < top; i++) {
        open(j, NULL, '{');
        string(j, label, c->at[i].name);
        estimate(j, "count", "count_error", c->at[i].count, c->at[i].error);
        close(j, '}');
    }
    close(j, ']');
}

static void one_input(struct json *j, const struct model_file *f)
{
    struct str fields = f->fields, name;

    open(j, NULL, '{');
    string(j, "path", f->path);
    string(j, "kind", str_z(log_kind_name(f->kind)));
    number(j, "records", f->records);
    number(j, "lines", f->lines);
    number(j, "not_understood", f->not_understood);
    instant(j, "first", f->first_s);
    instant(j, "last", f->last_s);
    open(j, "fields", '[');
    while (str_split(&fields, ' ', &name))
        string(j, NULL, name);
    close(j, ']');
    number(j, "bytes", f->bytes);
    number(j, "refitted", f->refitted);
    number(j, "odd_values", f->odd_values);
    number(j, "nul_bytes", f->nul_bytes);
    flag(j, "headerless", f->is_headerless);
    flag(j, "local_time", f->has_local_time);
    if (f->problem.n)
        string(j, "problem", f->problem);
    open(j, "not_understood_samples", '[');
    for (size_t i = 0; i < f->misfit_n; i++) {
        open(j, NULL, '{');
        number(j, "line", f->misfits[i].line);
        string(j, "text", f->misfits[i].text);
        close(j, '}');
    }
    close(j, ']');
    close(j, '}');
}

static void totals(struct json *j, const struct model *m)
{
    open(j, "totals", '{');
    number(j, "requests", m->requests);
    number(j, "status_2xx", m->status_2xx);
    number(j, "status_3xx", m->status_3xx);
    number(j, "status_4xx", m->status_4xx);
    number(j, "status_5xx", m->status_5xx);
    number(j, "httperr_records", m->httperr_records);
    number(j, "ftp_records", m->ftp_records);
    number(j, "traces", m->trace_n);
    number(j, "bytes_sent", m->bytes_sent);
    number(j, "bytes_received", m->bytes_received);
    estimate(j, "clients", "clients_error", m->clients, m->clients_error);
    estimate(j, "urls", "urls_error", m->urls_distinct, m->urls_distinct_error);
    instant(j, "first", m->first_s);
    instant(j, "last", m->last_s);
    close(j, '}');
}

static void by_status(struct json *j, const struct model *m, const struct report_options *o)
{
    open(j, "by_status", '[');
    for (size_t i = 0; i < m->status_n; i++) {
        const struct model_status *s = &m->statuses[i];
        uint64_t all = s->is_ftp ? m->ftp_records : m->requests;

        open(j, NULL, '{');
        string(j, "code", str_z(s->code));
        number(j, "win32", s->win32);
        string(j, "protocol", s->is_ftp ? STR("ftp") : STR("http"));
        number(j, "count", s->count);
        instant(j, "first", s->first_s);
        instant(j, "last", s->last_s);
        fraction(j, "share", all ? (double)s->count / (double)all : 0);
        estimate(j, "clients", "clients_error", s->clients, s->clients_error);
        counts(j, "urls", "url", &s->urls, o->top);
        counts(j, "client_list", "client", &s->client_top, o->top);
        counts(j, "users", "user", &s->users, o->top);
        close(j, '}');
    }
    close(j, ']');
}

static void by_reason(struct json *j, const struct model *m, const struct report_options *o)
{
    open(j, "by_reason", '[');
    for (size_t i = 0; i < m->reason_n; i++) {
        const struct model_reason *r = &m->reasons[i];

        open(j, NULL, '{');
        string(j, "reason", r->reason);
        number(j, "status", r->status);
        number(j, "count", r->count);
        instant(j, "first", r->first_s);
        instant(j, "last", r->last_s);
        open(j, "queues", '[');
        for (size_t k = 0; k < r->queues.n; k++)
            string(j, NULL, r->queues.at[k].name);
        close(j, ']');
        counts(j, "queue_counts", "queue", &r->queues, o->top);
        counts(j, "urls", "url", &r->urls, o->top);
        counts(j, "client_list", "client", &r->client_top, o->top);
        estimate(j, "clients", "clients_error", r->clients, r->clients_error);
        close(j, '}');
    }
    close(j, ']');
}

static void percentiles(struct json *j, const struct model_latency *l)
{
    estimate(j, "p50_ms", "p50_ms_error", l->p50_ms, l->p50_ms_error);
    estimate(j, "p90_ms", "p90_ms_error", l->p90_ms, l->p90_ms_error);
    estimate(j, "p95_ms", "p95_ms_error", l->p95_ms, l->p95_ms_error);
    estimate(j, "p99_ms", "p99_ms_error", l->p99_ms, l->p99_ms_error);
    number(j, "max_ms", l->max_ms);
}

static void samples(struct json *j, const char *name, const struct model *m,
                    const struct model_sample *const *at, const struct model_samples *list,
                    size_t n)
{
    open(j, name, '[');
    for (size_t i = 0; i < n; i++) {
        const struct model_sample *s = at ? at[i] : &list->at[i];
        open(j, NULL, '{');
        string(j, "file", m->files[s->file].path);
        number(j, "line", s->line);
        string(j, "text", s->text);
        close(j, '}');
    }
    close(j, ']');
}

static void pace_side(struct json *j, const char *name, const struct pace_side *s)
{
    open(j, name, '{');
    number(j, "count", s->count);
    estimate(j, "p50_ms", "p50_ms_error", s->p50_ms, s->p50_ms_error);
    estimate(j, "p95_ms", "p95_ms_error", s->p95_ms, s->p95_ms_error);
    close(j, '}');
}

static void latency(struct json *j, const struct model *m)
{
    open(j, "latency", '{');
    number(j, "count", m->latency.count);
    percentiles(j, &m->latency);
    open(j, "slowest", '[');
    for (size_t i = 0; i < m->slowest_n; i++) {
        open(j, NULL, '{');
        string(j, "url", m->slowest[i]->url);
        estimate(j, "count", "count_error", m->slowest[i]->count, m->slowest[i]->error);
        percentiles(j, &m->slowest[i]->latency);
        close(j, '}');
    }
    close(j, ']');
    open(j, "slower", '[');
    for (size_t i = 0; i < m->slower_n; i++) {
        open(j, NULL, '{');
        string(j, "url", m->slower[i].url);
        instant(j, "since", m->slower[i].change.since_s);
        number(j, "since_seconds", m->slower[i].change.seconds);
        pace_side(j, "before", &m->slower[i].change.before);
        pace_side(j, "after", &m->slower[i].change.after);
        close(j, '}');
    }
    close(j, ']');
    number(j, "urls_compared", m->paces_judged);
    samples(j, "slowest_requests", m, NULL, &m->slow_requests, m->slow_requests.n);
    close(j, '}');
}

static void timeline(struct json *j, const struct model *m)
{
    open(j, "timeline", '[');
    for (size_t i = 0; i < m->bucket_n; i++) {
        const struct model_bucket *b = &m->timeline[i];

        open(j, NULL, '{');
        instant(j, "start", b->start_s);
        number(j, "seconds", m->bucket_seconds);
        number(j, "requests", b->requests);
        number(j, "errors_4xx", b->errors_4xx);
        number(j, "errors_5xx", b->errors_5xx);
        number(j, "httperr", b->httperr);
        close(j, '}');
    }
    close(j, ']');
}

static void one_finding(struct json *j, const struct model *m, const struct finding *f,
                        const struct report_options *o)
{
    open(j, NULL, '{');
    string(j, "id", str_z(f->id));
    string(j, "severity", str_z(severity_name(f->severity)));
    string(j, "title", f->title);
    number(j, "count", f->count);
    instant(j, "first", f->first_s);
    instant(j, "last", f->last_s);
    fraction(j, "share", f->share);
    string(j, "why", f->why);
    open(j, "do", '[');
    for (size_t i = 0; i < f->step_n; i++)
        string(j, NULL, f->steps[i]);
    close(j, ']');
    samples(j, "evidence", m, f->evidence, NULL, f->evidence_n);
    open(j, "related", '[');
    for (size_t i = 0; i < f->related_n; i++)
        string(j, NULL, f->related[i]);
    close(j, ']');
    counts(j, "sites", "site", &f->sites, o->top);
    counts(j, "pools", "pool", &f->pools, o->top);
    counts(j, "urls", "url", &f->urls, o->top);
    counts(j, "clients", "client", &f->clients, o->top);
    counts(j, "users", "user", &f->users, o->top);
    string(j, "command", f->command);
    close(j, '}');
}

static void top_lists(struct json *j, const struct model *m, const struct report_options *o)
{
    open(j, "urls", '[');
    for (size_t i = 0; i < m->url_n && i < o->top; i++) {
        const struct model_url *u = &m->urls[i];
        open(j, NULL, '{');
        string(j, "url", u->url);
        estimate(j, "count", "count_error", u->count, u->error);
        number(j, "errors_4xx", u->errors_4xx);
        number(j, "errors_5xx", u->errors_5xx);
        close(j, '}');
    }
    close(j, ']');
    open(j, "clients", '[');
    for (size_t i = 0; i < m->client_n && i < o->top; i++) {
        const struct model_client *c = &m->clients_top[i];
        open(j, NULL, '{');
        string(j, "client", c->client);
        estimate(j, "count", "count_error", c->count, c->error);
        number(j, "errors_4xx", c->errors_4xx);
        number(j, "errors_5xx", c->errors_5xx);
        close(j, '}');
    }
    close(j, ']');
    open(j, "sites", '[');
    for (size_t i = 0; i < m->site_n; i++) {
        const struct model_site *s = &m->sites[i];
        open(j, NULL, '{');
        string(j, "site", s->name);
        number(j, "requests", s->count);
        number(j, "errors_4xx", s->errors_4xx);
        number(j, "errors_5xx", s->errors_5xx);
        number(j, "httperr", s->httperr);
        close(j, '}');
    }
    close(j, ']');
}

void report_json(struct buf *out, const struct model *m, const struct findings *fs,
                 const struct report_options *o)
{
    struct json j = {.out = out};

    open(&j, NULL, '{');
    open(&j, "inputs", '[');
    for (size_t i = 0; i < m->file_n; i++)
        if (!m->files[i].is_archive)
            one_input(&j, &m->files[i]);
    close(&j, ']');
    totals(&j, m);
    by_status(&j, m, o);
    by_reason(&j, m, o);
    latency(&j, m);
    timeline(&j, m);
    open(&j, "findings", '[');
    for (size_t i = 0; i < fs->n; i++)
        one_finding(&j, m, fs->at[i], o);
    close(&j, ']');
    top_lists(&j, m, o);
    if (m->requests_listed.n)
        samples(&j, "requests", m, NULL, &m->requests_listed, m->requests_listed.n);
    flag(&j, "sampled", m->is_sampled);
    flag(&j, "filtered", m->is_filtered);
    close(&j, '}');
    buf_char(out, '\n');
}
