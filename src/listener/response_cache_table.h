/* The response cache from inside. For the files of the response cache alone. */
#ifndef CANDOR_LISTENER_RESPONSE_CACHE_TABLE_H
#define CANDOR_LISTENER_RESPONSE_CACHE_TABLE_H

#include <pthread.h>

#include "listener/response_cache.h"

enum { MEMO_SLOTS = 16 };

struct table {
    struct quiescence_item retired;
    struct response_cache *cache;
    uint64_t mask;
    unsigned parity;
    _Atomic(struct cached_response *) buckets[];
};

/* What a thread has found out about values of headers: clients of one kind send the same. */
struct memo {
    uint64_t value, type; /* hashes; value 0: unused */
    uint8_t verdict;
};

/* A thread's own; nobody else writes here. */
struct slot {
    _Alignas(128) _Atomic uint64_t hits, misses;
    struct memo accept[MEMO_SLOTS], codings[MEMO_SLOTS];
};

struct response_cache {
    _Alignas(128) _Atomic(struct table *) table;
    struct slot *slots;
    unsigned n_threads;
    struct quiescence quiescence;
    _Alignas(128) pthread_mutex_t lock;
    _Atomic uint64_t next_tick_ms;
    _Atomic uint64_t held_bytes, held_files; /* of entries that are not freed yet */
    /* under the lock */
    struct response_cache_limits limits, defaults;
    struct cached_response *newest, *oldest, *hand;
    struct cached_response **by_path;
    uint64_t live_bytes, live_files, n_entries, generation;
    bool old_table_in_use;
    uint64_t stored, refused[CACHE_WHY_MAX], flushed, expired, unused, evicted;
};

/* Under the lock. The writers' table: the chain in which answers for that path of the site are. */
struct cached_response **cache_path_bucket(struct response_cache *c, uint32_t site,
                                           struct str path);
/* Under the lock. Nobody finds it from now on; it is freed when nobody can still have it. */
void cache_take_out(struct response_cache *c, struct cached_response *r);

#endif
