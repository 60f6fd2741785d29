#include "diagnose/model_build.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/poison.h"

enum {
    BUCKETS_WANTED = 240, /* the timeline's most, if the input is not full of holes */
    SLOW_COUNT_MIN = 5,   /* requests that make a URL's percentiles worth a ranking */
    KEY_LIST = 10,        /* URLs and clients of one key, if --top asks for no more */
    KEY_LIST_MAX = 1000,
    URLS_KEPT = 1000, /* of the model's list */
    CLIENTS_KEPT = 1000,
    COMMON_KEYS = 200,
};

struct build {
    const struct tally *t;
    const struct file_list *files;
    struct arena *arena;
    struct model *m;
    uint32_t top;
};

static void *make(struct build *b, size_t n, size_t size)
{
    return arena_zalloc(b->arena, n ? n * size : 1);
}

static struct str own(struct build *b, struct str s)
{
    return s.n ? arena_dup(b->arena, s) : STR("");
}

/* ---- files ---- */

static void add_unit(struct build *b, struct model_file *f, struct model_misfit *misfits,
                     const struct unit_stats *u)
{
    for (uint32_t i = 0; i < u->misfit_n && f->misfit_n < MISFITS_KEPT; i++)
        misfits[f->misfit_n++] =
            (struct model_misfit){.line = f->lines + u->misfits[i].line,
                                  .text = own(b, str_n(u->misfits[i].text, u->misfits[i].n))};
    f->records += u->records;
    f->lines += u->lines;
    f->not_understood += u->not_understood;
    f->refitted += u->refitted;
    f->odd_values += u->odd_values;
    f->nul_bytes += u->nul_bytes;
    f->bytes += u->bytes;
    f->backward += u->backward;
    if (u->backward_most_s > f->backward_most_s)
        f->backward_most_s = u->backward_most_s;
    f->layout_changes += u->layout_changes;
    f->is_headerless |= u->is_headerless;
    f->has_local_time |= u->has_local_time;
    if (u->first_s != RECORD_NO_TIME && (f->first_s == RECORD_NO_TIME || u->first_s < f->first_s))
        f->first_s = u->first_s;
    if (u->last_s > f->last_s)
        f->last_s = u->last_s;
    if (u->fields)
        f->fields = str_z(u->fields);
}

static void build_files(struct build *b)
{
    struct model *m = b->m;

    m->file_n = b->files->n;
    m->files = make(b, m->file_n, sizeof(*m->files));
    for (size_t i = 0; i < m->file_n; i++) {
        const struct scan_file *from = b->files->at[i];
        struct model_file *f = &m->files[i];

        *f = (struct model_file){.path = own(b, str_z(from->path)),
                                 .kind = from->kind,
                                 .first_s = RECORD_NO_TIME,
                                 .last_s = RECORD_NO_TIME,
                                 .problem = own(b, str_z(from->problem)),
                                 .is_archive = from->is_archive};
        f->misfits = make(b, MISFITS_KEPT, sizeof(*f->misfits));
        for (uint32_t u = 0; u < from->unit_n; u++) {
            /* The first record's kind says more than the header's. */
            if (u == 0 && from->units[u].kind != LOG_UNKNOWN)
                f->kind = from->units[u].kind;
            add_unit(b, f, f->misfits, &from->units[u]);
        }
        f->fields = own(b, f->fields);
    }
}

/* Lines of the file before a unit; kept per file on first use. */
static uint64_t *line_bases(const struct scan_file *f)
{
    uint64_t *base = calloc(f->unit_n ? f->unit_n : 1, sizeof(*base)), sum = 0;

    for (uint32_t i = 0; base && i < f->unit_n; i++) {
        base[i] = sum;
        sum += f->units[i].lines;
    }
    return base;
}

static uint64_t file_line(struct build *b, uint64_t **bases, uint64_t unit, uint64_t line)
{
    size_t file = (size_t)(unit >> 32);

    if (!bases[file])
        bases[file] = line_bases(b->files->at[file]);
    return bases[file] ? bases[file][(uint32_t)unit] + line : line;
}

static struct model_samples build_samples(struct build *b, uint64_t **bases,
                                          const struct tally_samples *from)
{
    struct model_samples s = {make(b, from->n, sizeof(*s.at)), from->n};

    for (size_t i = 0; i < s.n; i++) {
        const struct tally_sample *x = &from->at[i];
        s.at[i] = (struct model_sample){.file = (uint32_t)(x->unit >> 32),
                                        .line = file_line(b, bases, x->unit, x->line),
                                        .time_s = x->time_s,
                                        .text = own(b, str_n(x->text, x->n))};
    }
    return s;
}

/* ---- lists ---- */

static int by_count(const void *pa, const void *pb)
{
    const struct model_count *a = pa, *b = pb;

    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return str_cmp(a->name, b->name);
}

static struct model_counts build_few(struct build *b, const struct few *f)
{
    struct model_counts c = {make(b, f ? f->n : 0, sizeof(*c.at)), f ? f->n : 0};

    for (size_t i = 0; i < c.n; i++)
        c.at[i] =
            (struct model_count){own(b, str_z(f->at[i].name)), f->at[i].count, f->at[i].error};
    if (c.n > 1)
        qsort(c.at, c.n, sizeof(*c.at), by_count);
    return c;
}

/* Puts a row into a list that is kept in order and no longer than most. */
static void insert_count(struct build *b, struct model_counts *list, size_t most,
                         struct model_count row)
{
    size_t at = list->n;

    if (list->n == most && by_count(&row, &list->at[most - 1]) >= 0)
        return;
    if (!list->at)
        list->at = make(b, most, sizeof(*list->at));
    if (list->n < most)
        list->n++;
    else
        at--;
    for (; at > 0 && by_count(&row, &list->at[at - 1]) < 0; at--)
        list->at[at] = list->at[at - 1];
    list->at[at] = row;
}

/* The most frequent rows of each key: lists[key]. */
static void build_pairs(struct build *b, const struct pairs *p, const struct table *names,
                        struct model_counts *lists, size_t keys)
{
    size_t most = b->top < KEY_LIST ? KEY_LIST : b->top > KEY_LIST_MAX ? KEY_LIST_MAX : b->top;

    if (keys > COMMON_KEYS)
        most = KEY_LIST; /* thousands of outcomes: nobody reads long lists of each */
    for (uint32_t i = 0; i < p->cap; i++) {
        const struct pair *at = &p->at[i];
        if (at->key != PAIR_FREE)
            insert_count(
                b, &lists[at->key >> 32], most,
                (struct model_count){table_name(names, (uint32_t)at->key), at->count, at->delta});
    }
    for (size_t i = 0; i < keys; i++)
        for (size_t k = 0; k < lists[i].n; k++)
            lists[i].at[k].name = own(b, lists[i].at[k].name);
}

static struct model_slots build_slots(struct build *b, const struct spans *s)
{
    struct span *sorted = spans_sorted(s);
    struct model_slots slots = {make(b, s->n, sizeof(*slots.at)), s->n, s->width_s};

    for (size_t i = 0; i < slots.n; i++)
        slots.at[i] = (struct model_slot){sorted[i].start_s, sorted[i].v[0]};
    free(sorted);
    return slots;
}

/* ---- keys ---- */

static void status_code(struct model_status *row)
{
    if (row->substatus)
        snprintf(row->code, sizeof(row->code), "%u.%u", row->status, row->substatus);
    else
        snprintf(row->code, sizeof(row->code), "%u", row->status);
}

static int status_by_count(const void *pa, const void *pb)
{
    const struct model_status *a = pa, *b = pb;

    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    if (a->status != b->status)
        return a->status < b->status ? -1 : 1;
    if (a->substatus != b->substatus)
        return a->substatus < b->substatus ? -1 : 1;
    return a->win32 < b->win32 ? -1 : a->win32 > b->win32;
}

static int reason_by_count(const void *pa, const void *pb)
{
    const struct model_reason *a = pa, *b = pb;

    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return str_cmp(a->reason, b->reason);
}

static struct model_status build_status(struct build *b, uint64_t **bases, const struct key_row *k,
                                        struct model_counts urls, struct model_counts clients)
{
    struct model_status row = {.is_ftp = k->kind == KEY_FTP,
                               .status = k->status,
                               .substatus = k->substatus,
                               .win32 = k->win32,
                               .count = k->count,
                               .first_s = k->first_s,
                               .last_s = k->last_s,
                               .ms_sum = k->ms_sum,
                               .ms_max = k->ms_max,
                               .urls = urls,
                               .client_top = clients,
                               .users = build_few(b, k->users),
                               .sites = build_few(b, k->sites),
                               .slots = build_slots(b, &k->slots),
                               .samples = build_samples(b, bases, &k->samples)};

    row.clients = distinct_count(&k->clients, &row.clients_error);
    status_code(&row);
    return row;
}

static struct model_reason build_reason(struct build *b, uint64_t **bases, const struct key_row *k,
                                        struct model_counts urls, struct model_counts clients)
{
    struct model_reason row = {.reason = own(b, str_z(k->reason)),
                               .status = k->status,
                               .count = k->count,
                               .first_s = k->first_s,
                               .last_s = k->last_s,
                               .urls = urls,
                               .client_top = clients,
                               .queues = build_few(b, k->queues),
                               .sites = build_few(b, k->sites),
                               .slots = build_slots(b, &k->slots),
                               .samples = build_samples(b, bases, &k->samples)};

    row.clients = distinct_count(&k->clients, &row.clients_error);
    return row;
}

static void build_keys(struct build *b, uint64_t **bases)
{
    const struct tally *t = b->t;
    struct model *m = b->m;
    struct model_counts *urls = make(b, t->key_n, sizeof(*urls));
    struct model_counts *clients = make(b, t->key_n, sizeof(*clients));

    build_pairs(b, &t->key_urls, &t->urls, urls, t->key_n);
    build_pairs(b, &t->key_clients, &t->clients, clients, t->key_n);
    m->statuses = make(b, t->key_n, sizeof(*m->statuses));
    m->reasons = make(b, t->key_n, sizeof(*m->reasons));
    for (size_t i = 0; i < t->key_n; i++) {
        const struct key_row *k = t->keys[i];
        if (k->kind == KEY_HTTPERR)
            m->reasons[m->reason_n++] = build_reason(b, bases, k, urls[i], clients[i]);
        else
            m->statuses[m->status_n++] = build_status(b, bases, k, urls[i], clients[i]);
    }
    qsort(m->statuses, m->status_n, sizeof(*m->statuses), status_by_count);
    qsort(m->reasons, m->reason_n, sizeof(*m->reasons), reason_by_count);
}

/* ---- latency ---- */

static const double shares[] = {0.50, 0.90, 0.95, 0.99};

static void set_percentiles(struct model_latency *l, const size_t *cell, unsigned bits)
{
    uint64_t *value[] = {&l->p50_ms, &l->p90_ms, &l->p95_ms, &l->p99_ms};
    uint64_t *error[] = {&l->p50_ms_error, &l->p90_ms_error, &l->p95_ms_error, &l->p99_ms_error};

    for (size_t i = 0; i < ARRAY_LEN(shares); i++) {
        *value[i] = hist_value(cell[i], bits, error[i]);
        if (*value[i] > l->max_ms) /* the cell's middle may lie above all that is in it */
            *value[i] = l->max_ms;
    }
}

static void build_latency(struct build *b)
{
    const struct tally *t = b->t;
    size_t cell[ARRAY_LEN(shares)];

    b->m->latency = (struct model_latency){.count = t->ms_count, .max_ms = t->ms_max};
    if (t->ms_count == 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(shares); i++)
        cell[i] = hist_quantile64(t->ms_cells, ARRAY_LEN(t->ms_cells), t->ms_count, shares[i]);
    set_percentiles(&b->m->latency, cell, MS_BITS);
}

static void url_latency(struct model_latency *l, const struct url_row *u)
{
    size_t cell[ARRAY_LEN(shares)];

    *l = (struct model_latency){.max_ms = u->ms_max};
    for (size_t i = 0; i < ARRAY_LEN(u->cells); i++)
        l->count += u->cells[i];
    if (l->count == 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(shares); i++)
        cell[i] = hist_quantile32(u->cells, ARRAY_LEN(u->cells), l->count, shares[i]);
    set_percentiles(l, cell, URL_MS_BITS);
}

/* A table that never forgot a row knows better than an estimate. */
static uint64_t distinct_of(const struct table *t, const struct distinct *d, uint64_t *ret_error)
{
    *ret_error = 0;
    return t->floor == 0 ? t->n : distinct_count(d, ret_error);
}

static int url_by_count(const void *pa, const void *pb)
{
    const struct model_url *a = pa, *b = pb;

    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return str_cmp(a->url, b->url);
}

static int url_by_latency(const void *pa, const void *pb)
{
    const struct model_url *a = *(struct model_url *const *)pa, *b = *(struct model_url *const *)pb;

    if (a->latency.p95_ms != b->latency.p95_ms)
        return a->latency.p95_ms < b->latency.p95_ms ? 1 : -1;
    return url_by_count(a, b);
}

/* All URLs for a moment, to rank them; the arena gets those that stay. */
static void build_urls(struct build *b)
{
    const struct table *urls = &b->t->urls;
    struct model_url *all = malloc((urls->n ? urls->n : 1) * sizeof(*all));
    struct model_url **slow = malloc((urls->n ? urls->n : 1) * sizeof(struct model_url *));
    struct model *m = b->m;
    size_t n = 0, slow_n = 0;

    INVARIANT(all && slow);
    for (uint32_t i = 0; i < urls->n; i++) {
        const struct url_row *u = table_row(urls, i);
        if (u->count == 0)
            continue;
        all[n] = (struct model_url){.url = table_name(urls, i),
                                    .count = u->count,
                                    .error = u->delta,
                                    .errors_4xx = u->errors_4xx,
                                    .errors_5xx = u->errors_5xx};
        url_latency(&all[n++].latency, u);
    }
    qsort(all, n, sizeof(*all), url_by_count);
    for (size_t i = 0; i < n; i++)
        if (all[i].latency.count >= SLOW_COUNT_MIN || n <= b->top)
            slow[slow_n++] = &all[i];
    if (slow_n > 1)
        qsort(slow, slow_n, sizeof(struct model_url *), url_by_latency);
    size_t kept = n < URLS_KEPT ? n : URLS_KEPT, slowest = slow_n < b->top ? slow_n : b->top;
    struct model_url **ranked = make(b, slowest, sizeof(struct model_url *));

    m->urls = make(b, kept, sizeof(*m->urls));
    m->url_n = kept;
    for (size_t i = 0; i < kept; i++) {
        m->urls[i] = all[i];
        m->urls[i].url = own(b, all[i].url);
    }
    for (size_t i = 0; i < slowest; i++) {
        size_t at = (size_t)(slow[i] - all);
        ranked[i] = at < kept ? &m->urls[at] : make(b, 1, sizeof(**ranked));
        if (at >= kept) {
            *ranked[i] = *slow[i];
            ranked[i]->url = own(b, slow[i]->url);
        }
    }
    m->slowest = ranked;
    m->slowest_n = slowest;
    m->urls_distinct = distinct_of(urls, &b->t->urls_distinct, &m->urls_distinct_error);
    free(slow);
    free(all);
}

/* ---- the rest ---- */

static int client_by_count(const void *pa, const void *pb)
{
    const struct model_client *a = pa, *b = pb;

    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return str_cmp(a->client, b->client);
}

static void build_clients(struct build *b)
{
    const struct table *clients = &b->t->clients;
    struct model *m = b->m;
    struct model_client *all = malloc((clients->n ? clients->n : 1) * sizeof(*all));

    INVARIANT(all != NULL);
    for (uint32_t i = 0; i < clients->n; i++) {
        const struct client_row *c = table_row(clients, i);
        all[i] = (struct model_client){.client = table_name(clients, i),
                                       .count = c->weight,
                                       .error = c->delta,
                                       .errors_4xx = c->errors_4xx,
                                       .errors_5xx = c->errors_5xx,
                                       .not_found = c->not_found};
    }
    qsort(all, clients->n, sizeof(*all), client_by_count);
    m->client_n = clients->n < CLIENTS_KEPT ? clients->n : CLIENTS_KEPT;
    m->clients_top = make(b, m->client_n, sizeof(*m->clients_top));
    for (size_t i = 0; i < m->client_n; i++) {
        m->clients_top[i] = all[i];
        m->clients_top[i].client = own(b, all[i].client);
    }
    free(all);
    m->clients = distinct_of(clients, &b->t->clients_distinct, &m->clients_error);
}

static int site_by_count(const void *pa, const void *pb)
{
    const struct model_site *a = pa, *b = pb;

    if (a->count + a->httperr != b->count + b->httperr)
        return a->count + a->httperr < b->count + b->httperr ? 1 : -1;
    return str_cmp(a->name, b->name);
}

static void build_sites(struct build *b)
{
    struct model *m = b->m;

    m->sites = make(b, b->t->site_n, sizeof(*m->sites));
    m->site_n = b->t->site_n;
    for (size_t i = 0; i < m->site_n; i++) {
        const struct site_row *s = b->t->sites[i];
        m->sites[i] = (struct model_site){own(b, str_z(s->name)), s->count, s->errors_4xx,
                                          s->errors_5xx, s->httperr};
    }
    if (m->site_n > 1)
        qsort(m->sites, m->site_n, sizeof(*m->sites), site_by_count);
}

static void add_span(struct model_bucket *bucket, const struct span *s)
{
    bucket->requests += s->v[COL_REQUESTS];
    bucket->errors_4xx += s->v[COL_4XX];
    bucket->errors_5xx += s->v[COL_5XX];
    bucket->httperr += s->v[COL_HTTPERR];
    bucket->ms_sum += s->v[COL_MS_SUM];
    bucket->ms_count += s->v[COL_MS_COUNT];
}

/* Buckets without a gap, unless the input is a few records in years. */
static void build_timeline(struct build *b)
{
    const struct spans *spans = &b->t->timeline;
    struct span *sorted = spans_sorted(spans);
    struct model *m = b->m;

    m->bucket_seconds = spans->width_s;
    if (!sorted)
        return;
    int64_t span_s = sorted[spans->n - 1].start_s - sorted[0].start_s;
    uint32_t width = spans_width_for(spans->width_s, span_s, BUCKETS_WANTED);
    int64_t from_s = spans_floor(sorted[0].start_s, width);
    size_t n = (size_t)((sorted[spans->n - 1].start_s - from_s) / (int64_t)width) + 1;

    m->timeline_is_sparse = n > BUCKETS_WANTED * 2;
    m->timeline = make(b, m->timeline_is_sparse ? spans->n : n, sizeof(*m->timeline));
    m->bucket_seconds = width;
    for (uint32_t i = 0; i < spans->n; i++) {
        int64_t start_s = spans_floor(sorted[i].start_s, width);
        while (m->bucket_n == 0 || m->timeline[m->bucket_n - 1].start_s < start_s) {
            bool gap = m->bucket_n && !m->timeline_is_sparse;
            int64_t next_s = gap ? m->timeline[m->bucket_n - 1].start_s + (int64_t)width : start_s;
            m->timeline[m->bucket_n++] = (struct model_bucket){.start_s = next_s};
        }
        add_span(&m->timeline[m->bucket_n - 1], &sorted[i]);
    }
    free(sorted);
}

static void build_traces(struct build *b)
{
    struct model *m = b->m;

    m->traces = make(b, b->t->trace_n, sizeof(*m->traces));
    m->trace_n = b->t->trace_n;
    for (size_t i = 0; i < m->trace_n; i++) {
        struct model_trace t = b->t->traces[i].t;
        t.file = (uint32_t)(b->t->traces[i].unit >> 32);
        t.url = own(b, t.url);
        t.verb = own(b, t.verb);
        t.reason = own(b, t.reason);
        t.pool = own(b, t.pool);
        t.site = own(b, t.site);
        t.module = own(b, t.module);
        t.event = own(b, t.event);
        m->traces[i] = t;
    }
}

static void build_pools(struct build *b)
{
    struct few *all = NULL;

    for (size_t i = 0; i < b->t->key_n; i++)
        few_merge(&all, b->t->keys[i]->queues);
    b->m->pools = build_few(b, all);
    few_free(all);
}

struct model *model_build(const struct tally *t, const struct file_list *files, uint32_t top,
                          struct arena *arena)
{
    struct build b = {.t = t, .files = files, .arena = arena, .top = top};
    struct model *m = b.m = ARENA_NEW(arena, struct model);
    uint64_t **bases = calloc(files->n ? files->n : 1, sizeof(uint64_t *));

    INVARIANT(bases != NULL);
    build_files(&b);
    m->files_were_cut = files->is_cut;
    m->requests = t->requests;
    m->status_2xx = t->by_class[2];
    m->status_3xx = t->by_class[3];
    m->status_4xx = t->by_class[4];
    m->status_5xx = t->by_class[5];
    m->httperr_records = t->httperr_records;
    m->ftp_records = t->ftp_records;
    m->bytes_sent = t->bytes_sent;
    m->bytes_received = t->bytes_received;
    m->first_s = t->first_s;
    m->last_s = t->last_s;
    build_latency(&b);
    build_keys(&b, bases);
    build_urls(&b);
    build_clients(&b);
    build_sites(&b);
    build_timeline(&b);
    build_traces(&b);
    build_pools(&b);
    m->slow_requests = build_samples(&b, bases, &t->slow);
    m->requests_listed = build_samples(&b, bases, &t->listed);
    m->ancm_failures = build_samples(&b, bases, &t->failures);
    m->ancm_failure_count = t->failure_count;
    for (size_t i = 0; i < files->n; i++)
        free(bases[i]);
    free(bases);
    return m;
}
