/* Two tables find the entries. The one of the readers hangs them in chains by the hash of their
 * key; it is replaced by one of twice the size when they become many, for which each entry has a
 * second link, so that readers of the old table go on undisturbed. The one of the writers hangs
 * them by site and path, for flushes. All entries also stand in a list in the order of storing,
 * along which a hand goes round: it takes out what has expired, what nobody uses, and, if room is
 * needed, what was not used for some seconds. Room is never made by taking out what is in use. */
#include "listener/response_cache.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "http/accept.h"
#include "listener/response_cache_entry.h"
#include "listener/response_cache_table.h"
#include "base/poison.h"

enum {
    TABLE_MIN = 256,
    TABLE_MAX = 1 << 20,
    MEMORY_SHARE = 32,        /* of the machine's memory, one part of so many */
    FILES_SHARE = 8,          /* of RLIMIT_NOFILE */
    FILES_MAX = 16384,
    SCAVENGE_DEFAULT_S = 120, /* UriScavengerPeriod */
    ENTRY_DEFAULT = 262144,   /* UriMaxUriBytes */
    TICK_MS = 100,
    SWEEP_PER_TICK = 1024,    /* entries that one tick looks at */
    SWEEP_PER_STORE = 64,
    IN_USE_S = 2,             /* what was asked for in the last seconds stays */
};
static const uint64_t memory_default_max = UINT64_C(256) << 20;

/* ---- start and end -------------------------------------------------------------------------- */

static struct response_cache_limits machine_limits(void)
{
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    struct response_cache_limits l = {.max_bytes = memory / MEMORY_SHARE,
                                      .max_entry_bytes = ENTRY_DEFAULT,
                                      .scavenge_s = SCAVENGE_DEFAULT_S,
                                      .max_files = FILES_MAX};
    struct rlimit files;

    if (l.max_bytes > memory_default_max)
        l.max_bytes = memory_default_max;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / FILES_SHARE < FILES_MAX)
        l.max_files = (uint32_t)(files.rlim_cur / FILES_SHARE);
    return l;
}

static void set_limits(struct response_cache *c, const struct response_cache_limits *l)
{
    c->limits = c->defaults;
    if (l->max_bytes)
        c->limits.max_bytes = l->max_bytes;
    if (l->max_entry_bytes)
        c->limits.max_entry_bytes = l->max_entry_bytes;
    if (l->scavenge_s)
        c->limits.scavenge_s = l->scavenge_s;
    if (l->max_files)
        c->limits.max_files = l->max_files;
}

/* NULL: no memory. */
static struct table *table_new(struct response_cache *c, uint64_t size, unsigned parity)
{
    struct table *t = calloc(1, sizeof(*t) + size * sizeof(t->buckets[0]));

    if (!t)
        return NULL;
    t->cache = c;
    t->mask = size - 1;
    t->parity = parity;
    return t;
}

static void *lines_of_cache(size_t bytes)
{
    void *p = aligned_alloc(128, (bytes + 127) / 128 * 128);

    INVARIANT(p != NULL);
    memset(p, 0, bytes);
    return p;
}

struct response_cache *response_cache_new(const struct response_cache_limits *limits,
                                          unsigned n_threads)
{
    struct response_cache *c = lines_of_cache(sizeof(*c));

    c->defaults = machine_limits();
    set_limits(c, limits);
    c->n_threads = n_threads;
    c->slots = lines_of_cache(n_threads * sizeof(*c->slots));
    quiescence_init(&c->quiescence, n_threads);
    pthread_mutex_init(&c->lock, NULL);
    c->by_path = xcalloc(TABLE_MIN, sizeof(struct cached_response *));
    atomic_init(&c->table, table_new(c, TABLE_MIN, 0));
    INVARIANT(atomic_load(&c->table) != NULL);
    return c;
}

void response_cache_free(struct response_cache *c)
{
    if (!c)
        return;
    (void)response_cache_flush_all(c, 0);
    quiescence_fini(&c->quiescence);
    pthread_mutex_destroy(&c->lock);
    free(atomic_load(&c->table));
    free(c->by_path);
    free(c->slots);
    free(c);
}

void response_cache_set_limits(struct response_cache *c, const struct response_cache_limits *l)
{
    pthread_mutex_lock(&c->lock);
    set_limits(c, l);
    pthread_mutex_unlock(&c->lock);
}

void response_cache_online(struct response_cache *c, unsigned thread)
{
    quiescence_online(&c->quiescence, thread);
}

void response_cache_offline(struct response_cache *c, unsigned thread)
{
    quiescence_offline(&c->quiescence, thread);
}

/* ---- readers -------------------------------------------------------------------------------- */

/* A counter that one thread writes: others may read it, but it needs no locked instruction. */
static void count(_Atomic uint64_t *n)
{
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static bool accepts(struct slot *s, const struct cached_response *r, struct str accept)
{
    if (r->type_hash == 0 || accept.p == NULL || str_eq(accept, STR("*/*")))
        return true;
    uint64_t value = hash_bytes(accept.p, accept.n) | 1;
    struct memo *m = &s->accept[(value ^ r->type_hash) >> 32 & (MEMO_SLOTS - 1)];

    if (UNLIKELY(m->value != value || m->type != r->type_hash))
        *m = (struct memo){.value = value,
                           .type = r->type_hash,
                           .verdict = http_accept_quality(accept, r->media_type) > 0};
    return m->verdict;
}

static uint8_t codings_of(struct slot *s, struct str accept_encoding)
{
    if (!accept_encoding.p)
        return CODING_IDENTITY;
    uint64_t value = hash_bytes(accept_encoding.p, accept_encoding.n) | 1;
    struct memo *m = &s->codings[value >> 32 & (MEMO_SLOTS - 1)];

    if (UNLIKELY(m->value != value))
        *m = (struct memo){.value = value, .verdict = response_cache_codings(accept_encoding)};
    return m->verdict;
}

static void touch(struct cached_response *r, uint64_t now_s)
{
    if (UNLIKELY(atomic_load_explicit(&r->last_used_s, memory_order_relaxed) != now_s))
        atomic_store_explicit(&r->last_used_s, now_s, memory_order_relaxed);
}

const struct cached_response *response_cache_find(struct response_cache *c, unsigned thread,
                                                  const struct response_cache_key *key,
                                                  uint64_t now_ms)
{
    struct slot *s = &c->slots[thread];
    uint64_t hash = key->hash ? key->hash : response_cache_key_hash(key);
    struct table *t = QUIESCENCE_LOAD(&c->table);
    struct cached_response *r = QUIESCENCE_LOAD(&t->buckets[hash & t->mask]);

    INVARIANT(quiescence_is_online(&c->quiescence, thread)); /* or r may be freed any moment */
    for (; r; r = QUIESCENCE_LOAD(&r->next[t->parity])) {
        if (r->hash != hash || r->generation != key->generation || r->expires_ms <= now_ms ||
            !cached_key_is(r, key))
            continue;
        if (UNLIKELY(r->coding != CODING_ANY) && r->coding != codings_of(s, key->accept_encoding))
            continue;
        if (UNLIKELY(!accepts(s, r, key->accept)))
            break;
        touch(r, now_ms / 1000);
        count(&s->hits);
        return r;
    }
    count(&s->misses);
    return NULL;
}

/* An entry is const to those who find it; these two words are what they may write. */
static _Atomic uint32_t *refs_of(const struct cached_response *r)
{
    return &((struct cached_response *)(uintptr_t)r)->refs;
}

const struct cached_response *cached_response_ref(const struct cached_response *r)
{
    atomic_fetch_add_explicit(refs_of(r), 1, memory_order_relaxed);
    return r;
}

void cached_response_unref(const struct cached_response *r)
{
    if (atomic_fetch_sub_explicit(refs_of(r), 1, memory_order_acq_rel) != 1)
        return;
    struct response_cache *c = r->cache;

    atomic_fetch_sub_explicit(&c->held_bytes, r->cost, memory_order_relaxed);
    if (r->fd >= 0)
        atomic_fetch_sub_explicit(&c->held_files, 1, memory_order_relaxed);
    cached_response_free((struct cached_response *)(uintptr_t)r);
}

/* ---- writers: in and out; all below under the lock ------------------------------------------ */

static struct table *table_of(struct response_cache *c)
{
    return atomic_load_explicit(&c->table, memory_order_relaxed);
}

struct cached_response **cache_path_bucket(struct response_cache *c, uint32_t site, struct str path)
{
    uint64_t hash = hash_ibytes(path.p, path.n) ^ site * UINT64_C(0x9e3779b97f4a7c15);

    return &c->by_path[hash & table_of(c)->mask];
}

static void link_path(struct response_cache *c, struct cached_response *r)
{
    struct cached_response **at = cache_path_bucket(c, r->site, cached_path(r));

    r->path_next = *at;
    if (*at)
        (*at)->path_prev = &r->path_next;
    r->path_prev = at;
    *at = r;
}

static void unlink_path(struct cached_response *r)
{
    *r->path_prev = r->path_next;
    if (r->path_next)
        r->path_next->path_prev = r->path_prev;
}

static void link_key(struct table *t, struct cached_response *r)
{
    _Atomic(struct cached_response *) *at = &t->buckets[r->hash & t->mask];

    atomic_store_explicit(&r->next[t->parity], atomic_load_explicit(at, memory_order_relaxed),
                          memory_order_relaxed);
    QUIESCENCE_STORE(at, r);
}

static void unlink_key(struct table *t, struct cached_response *r)
{
    _Atomic(struct cached_response *) *at = &t->buckets[r->hash & t->mask];
    struct cached_response *e;

    while ((e = atomic_load_explicit(at, memory_order_relaxed)) != r)
        at = &e->next[t->parity];
    QUIESCENCE_STORE(at, atomic_load_explicit(&r->next[t->parity], memory_order_relaxed));
}

static void release_entry(struct quiescence_item *item)
{
    cached_response_unref(CONTAINER_OF(item, struct cached_response, retired));
}

static void release_table(struct quiescence_item *item)
{
    struct table *t = CONTAINER_OF(item, struct table, retired);

    t->cache->old_table_in_use = false;
    free(t);
}

static void insert(struct response_cache *c, struct cached_response *r)
{
    r->cache = c;
    r->older = c->newest;
    r->newer = NULL;
    if (c->newest)
        c->newest->newer = r;
    else
        c->oldest = r;
    c->newest = r;
    c->live_bytes += r->cost;
    c->live_files += r->fd >= 0;
    c->n_entries++;
    link_path(c, r);
    link_key(table_of(c), r);
}

void cache_take_out(struct response_cache *c, struct cached_response *r)
{
    if (c->hand == r)
        c->hand = r->newer;
    *(r->newer ? &r->newer->older : &c->newest) = r->older;
    *(r->older ? &r->older->newer : &c->oldest) = r->newer;
    c->live_bytes -= r->cost;
    c->live_files -= r->fd >= 0;
    c->n_entries--;
    unlink_path(r);
    unlink_key(table_of(c), r);
    quiescence_retire(&c->quiescence, &r->retired, release_entry);
}

/* A table of twice the size. The links that it uses are free: no reader has the one before last. */
static void grow(struct response_cache *c)
{
    struct table *old = table_of(c);
    uint64_t size = old->mask + 1;

    if (c->n_entries <= size || size >= TABLE_MAX || c->old_table_in_use)
        return;
    struct table *t = table_new(c, size * 2, !old->parity);
    struct cached_response **by_path = calloc(size * 2, sizeof(struct cached_response *));

    if (!t || !by_path) {
        free(t);
        free(by_path);
        return; /* longer chains, then */
    }
    for (struct cached_response *r = c->oldest; r; r = r->newer)
        link_key(t, r);
    QUIESCENCE_STORE(&c->table, t);
    c->old_table_in_use = true;
    quiescence_retire(&c->quiescence, &old->retired, release_table);
    free(c->by_path);
    c->by_path = by_path;
    for (struct cached_response *r = c->oldest; r; r = r->newer)
        link_path(c, r);
}

/* ---- room ----------------------------------------------------------------------------------- */

/* Moves the hand over at most n entries and takes out those that are due; with press also those not
 * in use. Stops once `enough` bytes and a file are free. */
static void sweep(struct response_cache *c, size_t n, uint64_t now_ms, uint64_t enough, bool press)
{
    uint64_t now_s = now_ms / 1000;

    for (; n > 0 && c->n_entries; n--) {
        if (!c->hand)
            c->hand = c->oldest;
        struct cached_response *r = c->hand;
        uint64_t used = atomic_load_explicit(&r->last_used_s, memory_order_relaxed);
        uint64_t idle = used < now_s ? now_s - used : 0;

        c->hand = r->newer;
        if (r->expires_ms <= now_ms)
            c->expired++;
        else if (idle >= c->limits.scavenge_s)
            c->unused++;
        else if (press && idle >= IN_USE_S)
            c->evicted++;
        else
            continue;
        cache_take_out(c, r);
        if (press && c->live_bytes + enough <= c->limits.max_bytes &&
            c->live_files < c->limits.max_files)
            return;
    }
}

/* Memory and descriptors that entries hold, with those that are out but not yet free. */
static bool fits(struct response_cache *c, const struct cached_response *r)
{
    const struct response_cache_limits *l = &c->limits;
    uint64_t held = atomic_load_explicit(&c->held_bytes, memory_order_relaxed);
    uint64_t files = atomic_load_explicit(&c->held_files, memory_order_relaxed);

    return c->live_bytes + r->cost <= l->max_bytes &&
           held + r->cost <= l->max_bytes + l->max_bytes / 4 &&
           (r->fd < 0 || (c->live_files < l->max_files &&
                          files < (uint64_t)l->max_files + l->max_files / 4 + 1));
}

static bool make_room(struct response_cache *c, const struct cached_response *r, uint64_t now_ms)
{
    if (!fits(c, r))
        sweep(c, SWEEP_PER_STORE, now_ms, r->cost, /* press = */ true);
    (void)quiescence_reclaim(&c->quiescence);
    return fits(c, r);
}

void response_cache_tick(struct response_cache *c, uint64_t now_ms)
{
    if (now_ms < atomic_load_explicit(&c->next_tick_ms, memory_order_relaxed) ||
        pthread_mutex_trylock(&c->lock) != 0)
        return;
    atomic_store_explicit(&c->next_tick_ms, now_ms + TICK_MS, memory_order_relaxed);
    size_t n = c->n_entries < SWEEP_PER_TICK ? c->n_entries : SWEEP_PER_TICK;

    sweep(c, n, now_ms, 0, c->live_bytes > c->limits.max_bytes);
    (void)quiescence_reclaim(&c->quiescence);
    pthread_mutex_unlock(&c->lock);
}

/* ---- store ---------------------------------------------------------------------------------- */

/* What the answer itself says, before any lock. */
static enum response_cache_why offer_why(const struct response_cache_offer *o,
                                         struct response_cache_facts *facts)
{
    const struct msg_response *h = o->head;

    if (!(h->flags & MSGR_CACHE) || h->cache_seconds == 0)
        return CACHE_NOT_OFFERED;
    if (!o->is_get)
        return CACHE_METHOD;
    if (!o->whole)
        return CACHE_NOT_WHOLE;
    if (h->flags & (MSGR_CLOSE | MSGR_HTTP11))
        return CACHE_CLOSES;
    if (h->user_len)
        return CACHE_USER;
    if (h->log_len)
        return CACHE_LOG_FIELDS;
    if (!response_cache_status(h->status))
        return CACHE_STATUS;
    if (o->fd < 0 ? o->body.n == 0 : h->content_length <= 0)
        return CACHE_EMPTY;
    if ((h->flags & MSGR_LENGTH) && o->fd < 0 && (uint64_t)h->content_length != o->body.n)
        return CACHE_NOT_WHOLE;
    if (o->lines.n > RESPONSE_CACHE_HEADERS_MAX)
        return CACHE_HEADERS_SIZE;
    if (o->key->host.n > HTTP_HOST_MAX || o->key->path.n > RESPONSE_CACHE_PATH_MAX ||
        o->key->raw.n > RESPONSE_CACHE_PATH_MAX)
        return CACHE_PATH_SIZE;
    return response_cache_lines(o->lines, facts);
}

/* Takes out what the new entry stands in for; false: there are too many beside it. */
static bool replace(struct response_cache *c, const struct response_cache_key *key,
                    const struct cached_response *r)
{
    struct table *t = table_of(c);
    struct cached_response *e = atomic_load(&t->buckets[r->hash & t->mask]), *next;
    unsigned variants = 0;

    for (; e; e = next) {
        next = atomic_load(&e->next[t->parity]);
        if (e->hash != r->hash || !cached_key_is(e, key))
            continue;
        if (e->generation != r->generation || e->coding == r->coding || r->coding == CODING_ANY ||
            e->coding == CODING_ANY)
            cache_take_out(c, e);
        else
            variants++;
    }
    return variants < RESPONSE_CACHE_VARIANTS_MAX;
}

static enum response_cache_why store_locked(struct response_cache *c,
                                            const struct response_cache_offer *o,
                                            struct cached_response *r)
{
    uint64_t size = r->body_len + o->lines.n;

    if (c->generation && o->key->generation != c->generation)
        return CACHE_GENERATION;
    if (size > c->limits.max_entry_bytes)
        return CACHE_SIZE;
    if (!replace(c, o->key, r))
        return CACHE_VARIANTS;
    if (!make_room(c, r, o->now_ms))
        return CACHE_ROOM;
    atomic_fetch_add_explicit(&c->held_bytes, r->cost, memory_order_relaxed);
    if (r->fd >= 0)
        atomic_fetch_add_explicit(&c->held_files, 1, memory_order_relaxed);
    r->serial = ++c->stored;
    insert(c, r);
    grow(c);
    return CACHE_OK;
}

enum response_cache_why response_cache_store(struct response_cache *c,
                                             const struct response_cache_offer *o)
{
    struct response_cache_facts facts;
    struct cached_response *r = NULL;
    enum response_cache_why why = offer_why(o, &facts);
    uint8_t coding = CODING_ANY;

    if (why == CACHE_OK && facts.varies) {
        coding = response_cache_codings(o->key->accept_encoding);
        if (coding == CODING_ODD)
            why = CACHE_CODING;
    }
    if (why == CACHE_OK)
        why = cached_response_new(o, &facts, coding, &r);
    pthread_mutex_lock(&c->lock);
    if (why == CACHE_OK)
        why = store_locked(c, o, r);
    if (why != CACHE_OK)
        c->refused[why]++;
    pthread_mutex_unlock(&c->lock);
    if (why != CACHE_OK && r)
        cached_response_free(r);
    return why;
}
