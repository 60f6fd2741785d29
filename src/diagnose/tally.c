#include "diagnose/tally.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "diagnose/tally_parts.h"
#include "base/poison.h"

enum {
    TIMELINE_SPANS = 16384,
    DISTINCT_BITS = 16, /* the bound is 1.6 % */
};

static void pace_moved(void *arg, uint32_t row, uint32_t number)
{
    struct tally *t = arg;
    struct url_row *url = table_row(&t->urls, row);

    url->pace.number = number & 0x3FFFFFFu;
    if (number == 0)
        memset(url->pace_line, 0, sizeof(url->pace_line));
}

struct tally *tally_new(const struct tally_sizes *sizes)
{
    struct tally *t = xcalloc(1, sizeof(*t));

    t->sizes = *sizes;
    t->first_s = t->last_s = RECORD_NO_TIME;
    spans_init(&t->timeline, TIMELINE_SPANS);
    index_init(&t->key_index, 256);
    table_init(&t->urls, sizeof(struct url_row), sizes->urls);
    table_init(&t->clients, sizeof(struct client_row), sizes->clients);
    paces_init(&t->paces, sizes->paces, pace_moved, t);
    pairs_init(&t->key_urls, sizes->pairs);
    pairs_init(&t->key_clients, sizes->pairs);
    distinct_init(&t->clients_distinct, 4096, DISTINCT_BITS);
    distinct_init(&t->urls_distinct, 4096, DISTINCT_BITS);
    /* calloc of this size gives fresh pages; sets begin at cache lines. */
    t->url_cache_memory = xcalloc(1, sizeof(*t->url_cache) + 64);
    t->url_cache = (struct url_cache *)(((uintptr_t)t->url_cache_memory + 63) & ~(uintptr_t)63);
    t->key = quick_key_make();
    t->slow.max = SLOW_SAMPLES;
    t->failures.max = FAILURE_SAMPLES;
    t->listener.max = FAILURE_SAMPLES;
    t->listed.max = sizes->list_max;
    arena_init(&t->arena, 0);
    return t;
}

struct tally *tally_free(struct tally *t)
{
    if (!t)
        return NULL;
    for (size_t i = 0; i < t->key_n; i++)
        key_free(t->keys[i]);
    for (size_t i = 0; i < t->site_n; i++) {
        free(t->sites[i]->name);
        free(t->sites[i]);
    }
    free(t->keys);
    free(t->outcomes);
    free(t->sites);
    free(t->traces);
    index_fini(&t->key_index);
    table_fini(&t->urls);
    table_fini(&t->clients);
    paces_fini(&t->paces);
    pairs_fini(&t->key_urls);
    pairs_fini(&t->key_clients);
    distinct_fini(&t->clients_distinct);
    distinct_fini(&t->urls_distinct);
    spans_fini(&t->timeline);
    samples_fini(&t->slow);
    samples_fini(&t->listed);
    samples_fini(&t->failures);
    samples_fini(&t->listener);
    free(t->url_cache_memory);
    arena_fini(&t->arena);
    free(t);
    return NULL;
}

/* ---- keys ---- */

static inline void see_time(int64_t *first_s, int64_t *last_s, int64_t time_s)
{
    if (time_s == RECORD_NO_TIME)
        return;
    if (time_s < *first_s || *first_s == RECORD_NO_TIME)
        *first_s = time_s;
    if (time_s > *last_s)
        *last_s = time_s;
}

static inline bool is_within(const struct span *s, uint32_t width_s, int64_t time_s)
{
    return s && (uint64_t)time_s - (uint64_t)s->start_s < width_s;
}

static inline void key_count(struct tally *t, struct key_row *k, const struct record *r,
                             uint64_t line)
{
    k->count++;
    if (r->time_s != RECORD_NO_TIME) {
        if (r->time_s != k->last_s)
            see_time(&k->first_s, &k->last_s, r->time_s);
        if (UNLIKELY(!is_within(k->slot, k->slots.width_s, r->time_s)))
            k->slot = spans_at(&k->slots, r->time_s);
        k->slot->v[0]++;
    }
    if (UNLIKELY(k->samples.n < k->samples.max))
        samples_keep(t, &k->samples, r->text, r->time_s, line, 0);
}

/* Names that make up who and what is behind an outcome that is not plain success. */
static void key_names(struct tally *t, struct key_row *k, const struct record *r)
{
    if (r->user.n)
        few_add(&k->users, hash_ibytes(r->user.p, r->user.n), r->user, 1, 0);
    if (r->site.n)
        few_add(&k->sites, quick_hash(t->key, r->site), r->site, 1, 0);
}

/* ---- records ---- */

static struct span *bucket_at(struct tally *t, int64_t time_s)
{
    if (UNLIKELY(!is_within(t->bucket, t->timeline.width_s, time_s)))
        t->bucket = spans_at(&t->timeline, time_s);
    return t->bucket;
}

static void flush_paces(struct tally *t)
{
    for (uint32_t i = 0; i < t->urls.n; i++) {
        struct url_row *url = table_row(&t->urls, i);
        if (url->pace.number)
            paces_flush(&t->paces, &url->pace, url->pace_line);
    }
}

static void new_pace(struct tally *t, struct url_row *url, int64_t time_s)
{
    size_t row = (size_t)((const char *)url - t->urls.rows) / t->urls.row_size;

    if (paces_is_full(&t->paces))
        flush_paces(t);
    paces_new(&t->paces, (uint32_t)row, time_s, &url->pace);
}

static inline void count_pace(struct tally *t, struct url_row *url, int64_t time_s, uint64_t ms)
{
    if (UNLIKELY(!pace_takes(time_s)))
        return;
    if (UNLIKELY(url->pace.number == 0))
        new_pace(t, url, time_s);
    paces_add(&t->paces, &url->pace, url->pace_line, time_s, ms);
}

static void slow_request(struct tally *t, const struct record *r, uint64_t line)
{
    samples_keep(t, &t->slow, r->text, r->time_s, line, r->time_taken_ms);
    if (t->slow.n == t->slow.max)
        t->slow_least = t->slow.at[t->slow.n - 1].weight;
}

static inline void count_time_taken(struct tally *t, const struct record *r, struct key_row *k,
                                    struct url_row *url, struct span *bucket, uint64_t line)
{
    uint64_t ms = r->time_taken_ms;

    t->ms_cells[hist_cell(ms, MS_BITS, ARRAY_LEN(t->ms_cells))]++;
    t->ms_count++;
    k->ms_sum += ms;
    if (ms > k->ms_max)
        k->ms_max = ms;
    if (url) {
        url->cells[hist_cell(ms, URL_MS_BITS, ARRAY_LEN(url->cells))]++;
        if (ms > url->ms_max)
            url->ms_max = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
        if (bucket)
            count_pace(t, url, r->time_s, ms);
    }
    if (bucket) {
        bucket->v[COL_MS_SUM] += ms;
        bucket->v[COL_MS_COUNT]++;
    }
    if (UNLIKELY(ms > t->slow_least || t->slow.n < SLOW_SAMPLES))
        slow_request(t, r, line);
    if (ms > t->ms_max)
        t->ms_max = ms;
}

static void add_request(struct tally *t, const struct pending *p)
{
    const struct record *r = &p->r;
    struct key_row *k = tally_key(t, KEY_HTTP, r->status, r->substatus, r->win32, STR_NULL);
    uint32_t class = r->status / 100;
    uint32_t is_4xx = class == 4, is_5xx = class == 5;
    struct span *bucket = NULL;
    struct url_row *url = NULL;
    struct site_row *site = t->last_site && r->site.n == 0 && t->last_site->name[0] == '\0'
                                ? t->last_site
                                : tally_site(t, r->site);

    t->requests++;
    t->by_class[class < ARRAY_LEN(t->by_class) ? class : 7]++;
    t->bytes_sent += r->bytes_sent;
    t->bytes_received += r->bytes_received;
    site->count++;
    site->errors_4xx += is_4xx;
    site->errors_5xx += is_5xx;
    key_count(t, k, r, p->line);
    if (r->time_s != RECORD_NO_TIME) {
        bucket = bucket_at(t, r->time_s);
        bucket->v[COL_REQUESTS]++;
        bucket->v[COL_4XX] += is_4xx;
        bucket->v[COL_5XX] += is_5xx;
    }
    /* No plain success: who and what is behind it is kept. */
    bool is_named = class >= 4 || r->win32;

    if (r->client.n) {
        uint32_t client = client_find(t, p);
        struct client_row *row = table_row(&t->clients, client);
        row->weight++;
        row->requests++;
        row->errors_4xx += is_4xx;
        row->errors_5xx += is_5xx;
        row->not_found += r->status == 404;
        if (UNLIKELY(is_named))
            client_key(t, k, p, client);
        else
            distinct_add(&k->clients, p->client_hash);
    }
    if (r->url.n) {
        url = url_count(t, k, p);
        url->errors_4xx += is_4xx;
        url->errors_5xx += is_5xx;
    }
    if (r->has_time_taken)
        count_time_taken(t, r, k, url, bucket, p->line);
    if (UNLIKELY(is_named))
        key_names(t, k, r);
    if (UNLIKELY(r->kind == LOG_HAR && r->reason.n)) {
        t->listener_count++;
        samples_keep(t, &t->listener, r->text, r->time_s, p->line, 0);
    }
}

static inline void count_client(struct tally *t, struct key_row *k, const struct pending *p)
{
    uint32_t client = client_find(t, p);

    ((struct client_row *)table_row(&t->clients, client))->weight++;
    client_key(t, k, p, client);
}

/* What stands in other columns than the outcome's. */
static inline void count_httperr(struct tally *t, struct key_row *k, const struct pending *p)
{
    const struct record *r = &p->r;

    t->httperr_records++;
    key_count(t, k, r, p->line);
    if (r->time_s != RECORD_NO_TIME)
        bucket_at(t, r->time_s)->v[COL_HTTPERR]++;
    if (r->url.n)
        url_count(t, k, p)->httperr++;
    if (r->client.n)
        count_client(t, k, p);
}

static void add_httperr(struct tally *t, const struct pending *p)
{
    const struct record *r = &p->r;
    struct outcome *o = outcome_at(t, r);

    if (LIKELY(o && r->user.n == 0)) {
        o->count++;
        count_httperr(t, o->key, p);
        return;
    }
    struct key_row *k = tally_key(t, KEY_HTTPERR, r->status, 0, 0, r->reason);

    count_httperr(t, k, p);
    tally_site(t, r->site)->httperr++;
    if (r->pool.n)
        few_add(&k->queues, quick_hash(t->key, r->pool), r->pool, 1, 0);
    key_names(t, k, r);
}

static void add_ftp(struct tally *t, const struct pending *p)
{
    const struct record *r = &p->r;
    struct key_row *k = tally_key(t, KEY_FTP, r->status, r->substatus, r->win32, STR_NULL);
    bool is_named = r->status >= 400 || r->win32;

    t->ftp_records++;
    t->bytes_sent += r->bytes_sent;
    t->bytes_received += r->bytes_received;
    key_count(t, k, r, p->line);
    if (r->client.n && is_named) {
        count_client(t, k, p);
    } else if (r->client.n) {
        ((struct client_row *)table_row(&t->clients, client_find(t, p)))->weight++;
        distinct_add(&k->clients, p->client_hash);
    }
    if (is_named)
        key_names(t, k, r);
}

static void count(struct tally *t, const struct pending *p)
{
    const struct record *r = &p->r;

    if (r->time_s != t->last_s)
        see_time(&t->first_s, &t->last_s, r->time_s);
    switch (r->kind) {
    case LOG_HTTPERR:
        add_httperr(t, p);
        break;
    case LOG_FTP:
        add_ftp(t, p);
        break;
    case LOG_FREB:
        tally_trace(t, r);
        break;
    default:
        add_request(t, p);
    }
}

/* Finds the rows that will be counted in, and asks for them. */
static inline void look_ahead(const struct tally *t, struct pending *p)
{
    if (p->r.client.n) {
        p->client_row = index_at(&t->clients.index, p->client_hash)->row;
        if (p->client_row != INDEX_FREE)
            __builtin_prefetch(table_row(&t->clients, p->client_row), 1);
    }
    if (p->r.url.n) {
        p->url_row = cache_row(t, p->url_hash);
        if (p->url_row == INDEX_FREE)
            return;
        const struct url_row *row = table_row(&t->urls, p->url_row);
        __builtin_prefetch(row, 1);
        if (!p->r.has_time_taken)
            return;
        __builtin_prefetch(row->pace_line, 1);
        __builtin_prefetch(
            &row->cells[hist_cell(p->r.time_taken_ms, URL_MS_BITS, ARRAY_LEN(row->cells))], 1);
    }
}

/* A record for another stretch of time puts the row's line into its pace: asks for that. */
static inline __attribute__((always_inline)) void look_closer(const struct tally *t,
                                                              const struct pending *p)
{
    if (p->url_row == INDEX_FREE)
        return;
    const struct url_row *row = table_row(&t->urls, p->url_row);

    if (UNLIKELY(row->pace.number && p->r.time_s >> row->pace.shift != row->pace.slot))
        paces_expect(&t->paces, &row->pace);
}

void tally_push(struct tally *t, uint64_t line)
{
    struct pending *p = &t->pending[t->pushed % TALLY_AHEAD];

    p->line = line;
    p->client_row = p->url_row = INDEX_FREE;
    if (p->r.client.n) {
        p->client_hash = quick_hash(t->key, p->r.client);
        __builtin_prefetch(&t->clients.index.slots[p->client_hash & (t->clients.index.cap - 1)]);
    }
    if (p->r.url.n) {
        p->url_hash = quick_hash(t->key, p->r.url);
        __builtin_prefetch(cache_set(t, p->url_hash));
    }
    t->pushed++;
    if (t->pushed - t->counted > TALLY_LOOK)
        look_ahead(t, &t->pending[(t->pushed - TALLY_LOOK) % TALLY_AHEAD]);
    if (t->pushed - t->counted > TALLY_CLOSER)
        look_closer(t, &t->pending[(t->pushed - TALLY_CLOSER) % TALLY_AHEAD]);
    if (t->pushed - t->counted == TALLY_AHEAD - 1)
        count(t, &t->pending[t->counted++ % TALLY_AHEAD]);
}

void tally_flush(struct tally *t)
{
    while (t->counted < t->pushed)
        count(t, &t->pending[t->counted++ % TALLY_AHEAD]);
}

void tally_settle(struct tally *t)
{
    outcomes_settle(t);
    rows_settle(t);
    flush_paces(t);
}
