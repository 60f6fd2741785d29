#include "diagnose/tally.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "diagnose/text.h"
#include "base/poison.h"

enum {
    CACHE_SETS = 1 << 13,
    SITES_MAX = 2000,
    TIMELINE_SPANS = 16384,
    KEY_SPANS = 256,
    RARE_KEY_SPANS = 16, /* of keys past the first few hundred */
    COMMON_KEYS = 200,
    REASON_TEXT_MAX = 64,
    DISTINCT_BITS = 16,     /* the bound is 1.6 % */
    KEY_DISTINCT_BITS = 11, /* 9.2 % */
};

/* From the hash of a URL as logged to the row of its folded one: most requests need no folding. */
struct url_cache {
    struct url_set {
        uint64_t raw[4]; /* 0: free */
        uint32_t row[4];
        uint32_t next; /* to be given up */
        uint32_t rest[3];
    } set[CACHE_SETS];
};
_Static_assert(sizeof(struct url_set) == 64, "a set is a cache line");

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

static void key_free(struct key_row *k)
{
    free(k->reason);
    distinct_fini(&k->clients);
    few_free(k->users);
    few_free(k->sites);
    few_free(k->queues);
    spans_fini(&k->slots);
    samples_fini(&k->samples);
    free(k);
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

static bool key_is(const struct key_row *k, enum key_kind kind, uint32_t status, uint32_t substatus,
                   uint64_t win32, struct str reason)
{
    return k->status == status && k->substatus == substatus && k->win32 == win32 &&
           k->kind == kind &&
           (kind != KEY_HTTPERR || str_eq(str_n(k->reason, k->reason_n), reason));
}

static struct key_row *key_new(struct tally *t, uint64_t hash, enum key_kind kind)
{
    struct key_row *k = xcalloc(1, sizeof(*k));

    k->hash = hash;
    k->id = (uint32_t)t->key_n;
    k->kind = kind;
    k->first_s = k->last_s = RECORD_NO_TIME;
    k->samples.max = t->key_n < COMMON_KEYS ? KEY_SAMPLES : 1;
    distinct_init(&k->clients, 128, KEY_DISTINCT_BITS);
    spans_init(&k->slots, t->key_n < COMMON_KEYS ? KEY_SPANS : RARE_KEY_SPANS);
    t->keys = xgrow(t->keys, t->key_n, &t->key_cap, sizeof(struct key_row *));
    t->keys[t->key_n++] = k;
    index_put(&t->key_index, hash, k->id);
    return k;
}

static uint64_t key_hash(const struct tally *t, enum key_kind kind, uint32_t status,
                         uint32_t substatus, uint64_t win32, struct str reason)
{
    uint64_t h = ((uint64_t)kind << 62 ^ (uint64_t)status << 42 ^ (uint64_t)substatus << 12) *
                     0x9e3779b97f4a7c15u ^
                 win32 * 0xd1b54a32d192ed03u;

    if (kind == KEY_HTTPERR)
        h ^= quick_hash(t->key, reason);
    return h ^ h >> 29;
}

struct key_row *tally_key(struct tally *t, enum key_kind kind, uint32_t status, uint32_t substatus,
                          uint64_t win32, struct str reason)
{
    reason = str_sub(reason, 0, REASON_TEXT_MAX);
    uint64_t hash = key_hash(t, kind, status, substatus, win32, reason);
    struct key_row **cell = &t->key_cache[hash % ARRAY_LEN(t->key_cache)];

    if (*cell && key_is(*cell, kind, status, substatus, win32, reason))
        return *cell;
    uint32_t row;

    /* Two keys of one hash are possible in theory: the next hash is as good as any. */
    while ((row = index_at(&t->key_index, hash)->row) != INDEX_FREE &&
           !key_is(t->keys[row], kind, status, substatus, win32, reason))
        hash++;
    if (row != INDEX_FREE)
        return *cell = t->keys[row];
    if (t->key_n >= t->sizes.keys && (substatus || win32 || reason.n > 1)) {
        /* Too many to tell apart: only the status remains. */
        return tally_key(t, kind, status, 0, 0, kind == KEY_HTTPERR ? STR("*") : STR_NULL);
    }
    struct key_row *k = key_new(t, hash, kind);

    k->status = status;
    k->substatus = substatus;
    k->win32 = win32;
    k->reason = kind == KEY_HTTPERR ? str_dup_z(reason) : NULL;
    k->reason_n = k->reason ? (uint32_t)reason.n : 0;
    return *cell = k;
}

static inline void see_time(int64_t *first_s, int64_t *last_s, int64_t time_s)
{
    if (time_s == RECORD_NO_TIME)
        return;
    if (time_s < *first_s || *first_s == RECORD_NO_TIME)
        *first_s = time_s;
    if (time_s > *last_s)
        *last_s = time_s;
}

static void key_slot(struct key_row *k, int64_t time_s)
{
    k->slot = spans_at(&k->slots, time_s);
    k->slot_from_s = k->slot->start_s;
    k->slot_to_s = k->slot_from_s + (int64_t)k->slots.width_s;
}

static inline void key_count(struct tally *t, struct key_row *k, const struct record *r,
                             uint64_t line)
{
    k->count++;
    if (r->time_s != RECORD_NO_TIME) {
        see_time(&k->first_s, &k->last_s, r->time_s);
        if (UNLIKELY(!k->slot || r->time_s < k->slot_from_s || r->time_s >= k->slot_to_s))
            key_slot(k, r->time_s);
        k->slot->v[0]++;
    }
    if (UNLIKELY(k->samples.n < k->samples.max))
        samples_keep(t, &k->samples, r->text, r->time_s, line, 0);
}

/* ---- URLs, clients, sites ---- */

static void url_settle(struct tally *t, uint32_t id);

/* Rows have other numbers now: those that were looked up are no good any more. */
static void forget_rows(struct tally *t)
{
    for (size_t i = 0; i < TALLY_AHEAD; i++)
        t->pending[i].client_row = t->pending[i].url_row = INDEX_FREE;
}

static void url_purge(struct tally *t)
{
    uint32_t n;

    for (uint32_t i = 0; i < t->urls.n; i++)
        url_settle(t, i);
    pairs_drain(&t->key_urls);
    uint32_t *map = table_purge(&t->urls, &n);

    pairs_renumber(&t->key_urls, map, n);
    paces_renumber(&t->paces, map);
    memset(t->url_cache, 0, sizeof(*t->url_cache));
    forget_rows(t);
    free(map);
}

static inline struct url_set *cache_set(const struct tally *t, uint64_t raw)
{
    return &t->url_cache->set[raw >> 1 & (CACHE_SETS - 1)];
}

/* INDEX_FREE if the URL is not in the cache. */
static inline uint32_t cache_row(const struct tally *t, uint64_t raw)
{
    const struct url_set *set = cache_set(t, raw);
    /* Which of the four cannot be guessed, so it is computed. */
    unsigned i = (set->raw[1] == raw) + 2u * (set->raw[2] == raw) + 3u * (set->raw[3] == raw);

    return LIKELY(set->raw[i] == raw) ? set->row[i] : INDEX_FREE;
}

static uint32_t url_find(struct tally *t, uint64_t raw, struct str url)
{
    char folded[TABLE_NAME_MAX];
    struct str name = str_n(folded, text_fold_url(url, folded, sizeof(folded)));
    uint64_t hash = hash_ibytes(name.p, name.n);
    uint32_t row = table_find(&t->urls, hash);

    if (row == INDEX_FREE) {
        if (table_is_full(&t->urls))
            url_purge(t);
        row = table_put(&t->urls, hash, name);
        distinct_add(&t->urls_distinct, hash);
    }
    struct url_set *set = cache_set(t, raw);

    set->raw[set->next] = raw;
    set->row[set->next] = row;
    set->next = (set->next + 1) % ARRAY_LEN(set->raw);
    return row;
}

/* Puts the counts that wait in a row into the table of pairs. */
static void url_settle(struct tally *t, uint32_t id)
{
    struct url_row *row = table_row(&t->urls, id);

    for (size_t i = 0; i < ARRAY_LEN(row->recent); i++) {
        if (row->recent[i].count)
            pairs_add(&t->key_urls, pair_key(row->recent[i].key, id), row->recent[i].count);
        row->recent[i].count = 0;
    }
}

/* Most requests for a URL end in the same few ways: those are counted in its row. */
static inline void url_key(struct tally *t, struct url_row *row, uint32_t id, uint32_t key)
{
    /* Which of the three cannot be guessed, so it is computed. */
    unsigned at = ((row->recent[1].key == key) & (row->recent[1].count != 0)) +
                  2u * ((row->recent[2].key == key) & (row->recent[2].count != 0));

    if (LIKELY(row->recent[at].key == key && row->recent[at].count)) {
        row->recent[at].count++;
        return;
    }
    size_t least = 0;

    for (size_t i = 1; i < ARRAY_LEN(row->recent); i++)
        if (row->recent[i].count < row->recent[least].count)
            least = i;
    if (row->recent[least].count == 1)
        pairs_note(&t->key_urls, pair_key(row->recent[least].key, id));
    else if (row->recent[least].count)
        pairs_add(&t->key_urls, pair_key(row->recent[least].key, id), row->recent[least].count);
    row->recent[least].key = key;
    row->recent[least].count = 1;
}

static inline struct url_row *url_count(struct tally *t, const struct key_row *k,
                                        const struct pending *p)
{
    uint32_t id = p->url_row;

    if (UNLIKELY(id == INDEX_FREE) && (id = cache_row(t, p->url_hash)) == INDEX_FREE)
        id = url_find(t, p->url_hash, p->r.url);
    struct url_row *row = table_row(&t->urls, id);

    row->weight++;
    url_key(t, row, id, k->id);
    return row;
}

static void client_purge(struct tally *t)
{
    uint32_t n;

    pairs_drain(&t->key_clients);
    uint32_t *map = table_purge(&t->clients, &n);

    pairs_renumber(&t->key_clients, map, n);
    forget_rows(t);
    free(map);
}

static uint32_t client_new(struct tally *t, const struct pending *p)
{
    uint32_t row = table_find(&t->clients, p->client_hash);

    if (row != INDEX_FREE) /* made since it was looked up */
        return row;
    if (table_is_full(&t->clients))
        client_purge(t);
    distinct_add(&t->clients_distinct, p->client_hash);
    return table_put(&t->clients, p->client_hash, p->r.client);
}

static inline uint32_t client_find(struct tally *t, const struct pending *p)
{
    return LIKELY(p->client_row != INDEX_FREE) ? p->client_row : client_new(t, p);
}

struct site_row *tally_site(struct tally *t, struct str name)
{
    uint64_t hash = quick_hash(t->key, name);

    if (t->last_site && t->last_site->hash == hash)
        return t->last_site;
    for (size_t i = 0; i < t->site_n; i++)
        if (t->sites[i]->hash == hash)
            return t->last_site = t->sites[i];
    if (t->site_n >= SITES_MAX)
        return t->last_site = t->sites[t->site_n - 1];
    struct site_row *s = xcalloc(1, sizeof(*s));

    s->hash = hash;
    s->name = str_dup_z(str_sub(name, 0, TABLE_NAME_MAX));
    t->sites = xgrow(t->sites, t->site_n, &t->site_cap, sizeof(struct site_row *));
    t->sites[t->site_n++] = s;
    return t->last_site = s;
}

/* Names that make up who and what is behind an outcome that is not plain success. */
static void key_names(struct tally *t, struct key_row *k, const struct record *r, uint32_t client)
{
    if (r->client.n)
        pairs_note(&t->key_clients, pair_key(k->id, client));
    if (r->user.n)
        few_add(&k->users, hash_ibytes(r->user.p, r->user.n), r->user, 1, 0);
    if (r->site.n)
        few_add(&k->sites, quick_hash(t->key, r->site), r->site, 1, 0);
}

/* ---- records ---- */

static struct span *bucket_at(struct tally *t, int64_t time_s)
{
    if (LIKELY(t->bucket && time_s >= t->bucket_from_s && time_s < t->bucket_to_s))
        return t->bucket;
    t->bucket = spans_at(&t->timeline, time_s);
    t->bucket_from_s = t->bucket->start_s;
    t->bucket_to_s = t->bucket_from_s + (int64_t)t->timeline.width_s;
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
    uint32_t client = 0;

    if (r->client.n) {
        client = client_find(t, p);
        struct client_row *row = table_row(&t->clients, client);
        row->weight++;
        row->requests++;
        row->errors_4xx += is_4xx;
        row->errors_5xx += is_5xx;
        row->not_found += r->status == 404;
        distinct_add(&k->clients, p->client_hash);
    }
    if (r->url.n) {
        url = url_count(t, k, p);
        url->errors_4xx += is_4xx;
        url->errors_5xx += is_5xx;
    }
    if (r->has_time_taken)
        count_time_taken(t, r, k, url, bucket, p->line);
    if (UNLIKELY(class >= 4 || r->win32))
        key_names(t, k, r, client);
    if (UNLIKELY(r->kind == LOG_HAR && r->reason.n)) {
        t->listener_count++;
        samples_keep(t, &t->listener, r->text, r->time_s, p->line, 0);
    }
}

static void add_httperr(struct tally *t, const struct pending *p)
{
    const struct record *r = &p->r;
    struct key_row *k = tally_key(t, KEY_HTTPERR, r->status, 0, 0, r->reason);

    t->httperr_records++;
    key_count(t, k, r, p->line);
    if (r->time_s != RECORD_NO_TIME)
        bucket_at(t, r->time_s)->v[COL_HTTPERR]++;
    tally_site(t, r->site)->httperr++;
    if (r->url.n)
        url_count(t, k, p)->httperr++;
    if (r->pool.n) {
        uint64_t hash = quick_hash(t->key, r->pool);
        few_add(&k->queues, hash, r->pool, 1, 0);
    }
    uint32_t client = 0;

    if (r->client.n) {
        client = client_find(t, p);
        ((struct client_row *)table_row(&t->clients, client))->weight++;
        distinct_add(&k->clients, p->client_hash);
    }
    key_names(t, k, r, client);
}

static void add_ftp(struct tally *t, const struct pending *p)
{
    const struct record *r = &p->r;
    struct key_row *k = tally_key(t, KEY_FTP, r->status, r->substatus, r->win32, STR_NULL);
    uint32_t client = 0;

    t->ftp_records++;
    t->bytes_sent += r->bytes_sent;
    t->bytes_received += r->bytes_received;
    key_count(t, k, r, p->line);
    if (r->client.n) {
        client = client_find(t, p);
        ((struct client_row *)table_row(&t->clients, client))->weight++;
        distinct_add(&k->clients, p->client_hash);
    }
    if (r->status >= 400 || r->win32)
        key_names(t, k, r, client);
}

static void count(struct tally *t, const struct pending *p)
{
    const struct record *r = &p->r;

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
    pairs_drain(&t->key_clients);
    pairs_drain(&t->key_urls);
    for (uint32_t i = 0; i < t->urls.n; i++)
        url_settle(t, i);
    flush_paces(t);
}
