/* What the listener counts for GET /metrics (docs/metrics.md). Each event thread has a struct
 * metrics of its own and alone writes it, so that counting is an increment without a lock prefix;
 * the control thread adds the threads up when somebody asks. The families that are exposed stand in
 * metrics_table.h. The inline functions here are for the thread that owns the struct. */
#ifndef CANDOR_LISTENER_METRICS_H
#define CANDOR_LISTENER_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/rc.h"
#include "http/httperr_reason.h"

enum metric_family {
#define FAMILY(NAME, name, type, unit, labels, help) METRIC_FAMILY_##NAME,
#include "listener/metrics_table.h"
#undef FAMILY
    METRIC_FAMILIES
};

/* Counters that need no key: X(NAME, family, labels as they are exposed). */
#define METRIC_COUNTERS(X)                                        \
    X(CONNECTIONS_ACCEPTED, CONNECTIONS_ACCEPTED, "")             \
    X(CONNECTIONS_REFUSED, CONNECTIONS_REFUSED, "")               \
    X(TLS_HANDSHAKES_OK, TLS_HANDSHAKES, "result=\"ok\"")         \
    X(TLS_HANDSHAKES_FAILED, TLS_HANDSHAKES, "result=\"failed\"") \
    X(TLS_CLOSED, TLS_FAILURES, "cause=\"closed\"")               \
    X(TLS_NOT_TLS, TLS_FAILURES, "cause=\"not_tls\"")             \
    X(TLS_VERSION, TLS_FAILURES, "cause=\"version\"")             \
    X(TLS_CIPHER, TLS_FAILURES, "cause=\"cipher\"")               \
    X(TLS_ALPN, TLS_FAILURES, "cause=\"alpn\"")                   \
    X(TLS_CERTIFICATE, TLS_FAILURES, "cause=\"certificate\"")     \
    X(TLS_REFUSED, TLS_FAILURES, "cause=\"refused\"")             \
    X(TLS_OTHER, TLS_FAILURES, "cause=\"other\"")                 \
    X(TLS_TIMEOUT, TLS_FAILURES, "cause=\"timeout\"")             \
    X(PROXY_HEADERS_TAKEN, PROXY_HEADERS, "result=\"taken\"")     \
    X(PROXY_HEADERS_REFUSED, PROXY_HEADERS, "result=\"refused\"") \
    X(CACHE_HITS, CACHE_HITS, "")                                 \
    X(CACHE_MISSES, CACHE_MISSES, "")                             \
    X(RING_REQUESTS, RING_RECORDS, "direction=\"request\"")       \
    X(RING_RESPONSES, RING_RECORDS, "direction=\"response\"")     \
    X(RING_TURNS, RING_TURNS, "")                                 \
    X(RING_WAKES, RING_WAKES, "")                                 \
    X(OWN_RECEIVED_BYTES, RECEIVED_BYTES, "site=\"-\"")           \
    X(OWN_SENT_BYTES, SENT_BYTES, "site=\"-\"")

enum metric_counter {
#define X(NAME, family, labels) METRIC_##NAME,
    METRIC_COUNTERS(X)
#undef X
        METRIC_COUNTER_COUNT
};

enum {
    METRICS_BUCKETS = 20,      /* bucket i: at most 2^i ms; the last one: anything longer */
    METRICS_STATUS_SLOTS = 64, /* power of two; a status beyond what fits counts as "other" */
    METRICS_SITE_SLOTS = 4096, /* power of two; sites beyond half of it count as "other" */
    METRICS_POOLS = 1024,      /* pools from here on count as "other" */
};

struct metrics_histogram {
    _Atomic uint64_t buckets[METRICS_BUCKETS];
    _Atomic uint64_t sum_ms;
};

struct metrics_status {
    _Atomic uint32_t key; /* status << 16 | substatus; 0: free */
    _Atomic uint64_t n;
};

struct metrics_site {
    uint32_t id;
    _Atomic uint64_t received_bytes, sent_bytes;
    struct metrics_histogram duration;
    struct metrics_status status[METRICS_STATUS_SLOTS];
    _Atomic uint64_t other_status;
};

struct metrics {
    _Atomic uint64_t counters[METRIC_COUNTER_COUNT];
    _Atomic uint64_t httperr[HTTPERR_MAX];
    struct metrics_site other_site;
    struct metrics_histogram other_wait;
    unsigned n_sites;
    struct metrics_site *_Atomic sites[METRICS_SITE_SLOTS]; /* by id, open addressing */
    struct metrics_histogram *_Atomic waits[METRICS_POOLS]; /* by pool index */
};

/* For one event thread. The caller frees it once that thread has ended. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);

/* The rare half of the functions below: a site or pool that this thread meets for the first time.
 */
struct metrics_site *metrics_site_add(struct metrics *m, uint32_t id);
struct metrics_histogram *metrics_wait_add(struct metrics *m, unsigned pool_index);

static inline void metrics_bump(_Atomic uint64_t *counter, uint64_t by)
{
    /* One writer: no need for an atomic addition, only for a load and a store that are whole. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* One more (or `by` more) of a plain counter. */
static inline void metrics_add(struct metrics *m, enum metric_counter counter, uint64_t by)
{
    metrics_bump(&m->counters[counter], by);
}

static inline void metrics_count(struct metrics *m, enum metric_counter counter)
{
    metrics_bump(&m->counters[counter], 1);
}

static inline unsigned metrics_bucket(uint64_t ms)
{
    unsigned i = ms <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(ms - 1);

    return i < METRICS_BUCKETS ? i : METRICS_BUCKETS - 1;
}

static inline void metrics_observe(struct metrics_histogram *h, uint64_t ms)
{
    metrics_bump(&h->buckets[metrics_bucket(ms)], 1);
    metrics_bump(&h->sum_ms, ms);
}

static inline struct metrics_site *metrics_site_of(struct metrics *m, uint32_t id)
{
    struct metrics_site *s =
        atomic_load_explicit(&m->sites[id % METRICS_SITE_SLOTS], memory_order_relaxed);

    return LIKELY(s && s->id == id) ? s : metrics_site_add(m, id);
}

static inline void metrics_count_status(struct metrics_site *s, uint16_t status, uint16_t substatus)
{
    uint32_t key = (uint32_t)status << 16 | substatus;
    unsigned at = (status + substatus * 7u) % METRICS_STATUS_SLOTS;

    for (unsigned i = 0; i < METRICS_STATUS_SLOTS; i++) {
        struct metrics_status *slot = &s->status[(at + i) % METRICS_STATUS_SLOTS];
        uint32_t has = atomic_load_explicit(&slot->key, memory_order_relaxed);
        if (has == 0)
            atomic_store_explicit(&slot->key, key, memory_order_relaxed);
        if (has == 0 || has == key) {
            metrics_bump(&slot->n, 1);
            return;
        }
    }
    metrics_bump(&s->other_status, 1);
}

/* A request that a worker or the cache has answered, with the figures of its log line; also if the
 * site keeps no log. Call once per request. */
static inline void metrics_request(struct metrics *m, uint32_t site_id, uint16_t status,
                                   uint16_t substatus, uint64_t time_taken_ms,
                                   uint64_t received_bytes, uint64_t sent_bytes)
{
    struct metrics_site *s = metrics_site_of(m, site_id);

    metrics_count_status(s, status, substatus);
    metrics_observe(&s->duration, time_taken_ms);
    metrics_bump(&s->received_bytes, received_bytes);
    metrics_bump(&s->sent_bytes, sent_bytes);
}

/* A line of the HTTPERR log, with its byte counts. */
static inline void metrics_httperr(struct metrics *m, enum httperr_reason reason,
                                   uint64_t received_bytes, uint64_t sent_bytes)
{
    metrics_bump(&m->httperr[reason], 1);
    metrics_add(m, METRIC_OWN_RECEIVED_BYTES, received_bytes);
    metrics_add(m, METRIC_OWN_SENT_BYTES, sent_bytes);
}

/* A request of the pool with this index has been taken by a worker after waiting_ms. */
static inline void metrics_queue_wait(struct metrics *m, unsigned pool_index, uint64_t waiting_ms)
{
    struct metrics_histogram *h =
        pool_index < METRICS_POOLS
            ? atomic_load_explicit(&m->waits[pool_index], memory_order_relaxed)
            : &m->other_wait;

    metrics_observe(LIKELY(h != NULL) ? h : metrics_wait_add(m, pool_index), waiting_ms);
}

#endif
