#include "diagnose/model_build.h"

#include <stdio.h>
#include <stdlib.h>

#include "diagnose/model_parts.h"
#include "base/poison.h"

enum {
    BUCKETS_WANTED = 240, /* the timeline's most, if the input is not full of holes */
    KEY_LIST = 10,        /* URLs and clients of one key, if --top asks for no more */
    KEY_LIST_MAX = 1000,
    CLIENTS_KEPT = 1000,
    COMMON_KEYS = 200,
};

/* ---- files ---- */

static void add_unit(struct build *b, struct model_file *f, struct model_misfit *misfits,
                     const struct unit_stats *u)
{
    for (uint32_t i = 0; i < u->misfit_n && f->misfit_n < MISFITS_KEPT; i++)
        misfits[f->misfit_n++] =
            (struct model_misfit){.line = f->lines + u->misfits[i].line,
                                  .text = build_own(b, str_n(u->misfits[i].text, u->misfits[i].n))};
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
    m->files = build_make(b, m->file_n, sizeof(*m->files));
    for (size_t i = 0; i < m->file_n; i++) {
        const struct scan_file *from = b->files->at[i];
        struct model_file *f = &m->files[i];

        *f = (struct model_file){.path = build_own(b, str_z(from->path)),
                                 .kind = from->kind,
                                 .first_s = RECORD_NO_TIME,
                                 .last_s = RECORD_NO_TIME,
                                 .is_given = from->is_given,
                                 .is_no_log = from->is_no_log,
                                 .problem = build_own(b, str_z(from->problem)),
                                 .is_archive = from->is_archive};
        f->misfits = build_make(b, MISFITS_KEPT, sizeof(*f->misfits));
        for (uint32_t u = 0; u < from->unit_n; u++) {
            /* The first record's kind says more than the header's. */
            if (u == 0 && from->units[u].kind != LOG_UNKNOWN)
                f->kind = from->units[u].kind;
            add_unit(b, f, f->misfits, &from->units[u]);
        }
        f->fields = build_own(b, f->fields);
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
    struct model_samples s = {build_make(b, from->n, sizeof(*s.at)), from->n};

    for (size_t i = 0; i < s.n; i++) {
        const struct tally_sample *x = &from->at[i];
        s.at[i] = (struct model_sample){.file = (uint32_t)(x->unit >> 32),
                                        .line = file_line(b, bases, x->unit, x->line),
                                        .time_s = x->time_s,
                                        .text = build_own(b, str_n(x->text, x->n))};
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
    struct model_counts c = {build_make(b, f ? f->n : 0, sizeof(*c.at)), f ? f->n : 0};

    for (size_t i = 0; i < c.n; i++)
        c.at[i] = (struct model_count){build_own(b, str_z(f->at[i].name)), f->at[i].count,
                                       f->at[i].error};
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
        list->at = build_make(b, most, sizeof(*list->at));
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
            lists[i].at[k].name = build_own(b, lists[i].at[k].name);
}

static struct model_slots build_slots(struct build *b, const struct spans *s)
{
    struct span *sorted = spans_sorted(s);
    struct model_slots slots = {build_make(b, s->n, sizeof(*slots.at)), s->n, s->width_s};

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
    struct model_reason row = {.reason = build_own(b, str_z(k->reason)),
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
    struct model_counts *urls = build_make(b, t->key_n, sizeof(*urls));
    struct model_counts *clients = build_make(b, t->key_n, sizeof(*clients));

    build_pairs(b, &t->key_urls, &t->urls, urls, t->key_n);
    build_pairs(b, &t->key_clients, &t->clients, clients, t->key_n);
    m->statuses = build_make(b, t->key_n, sizeof(*m->statuses));
    m->reasons = build_make(b, t->key_n, sizeof(*m->reasons));
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
    m->clients_top = build_make(b, m->client_n, sizeof(*m->clients_top));
    for (size_t i = 0; i < m->client_n; i++) {
        m->clients_top[i] = all[i];
        m->clients_top[i].client = build_own(b, all[i].client);
    }
    free(all);
    m->clients = build_distinct(clients, &b->t->clients_distinct, &m->clients_error);
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

    m->sites = build_make(b, b->t->site_n, sizeof(*m->sites));
    m->site_n = b->t->site_n;
    for (size_t i = 0; i < m->site_n; i++) {
        const struct site_row *s = b->t->sites[i];
        m->sites[i] = (struct model_site){build_own(b, str_z(s->name)), s->count, s->errors_4xx,
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
    m->timeline = build_make(b, m->timeline_is_sparse ? spans->n : n, sizeof(*m->timeline));
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

    m->traces = build_make(b, b->t->trace_n, sizeof(*m->traces));
    m->trace_n = b->t->trace_n;
    for (size_t i = 0; i < m->trace_n; i++) {
        struct model_trace t = b->t->traces[i].t;
        t.file = (uint32_t)(b->t->traces[i].unit >> 32);
        t.url = build_own(b, t.url);
        t.verb = build_own(b, t.verb);
        t.reason = build_own(b, t.reason);
        t.pool = build_own(b, t.pool);
        t.site = build_own(b, t.site);
        t.module = build_own(b, t.module);
        t.event = build_own(b, t.event);
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
    m->listener_answers = build_samples(&b, bases, &t->listener);
    m->listener_answer_count = t->listener_count;
    for (size_t i = 0; i < files->n; i++)
        free(bases[i]);
    free(bases);
    return m;
}
