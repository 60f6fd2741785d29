/* The tally's makers share this; nobody else. Inline is what every record goes through. */
#ifndef CANDOR_DIAGNOSE_TALLY_PARTS_H
#define CANDOR_DIAGNOSE_TALLY_PARTS_H

#include <immintrin.h>

#include "diagnose/tally.h"

/* From the hash of a URL as logged to the row of its folded one: most requests need no folding. */
enum { CACHE_SETS = 1 << 13 };

struct url_cache {
    struct url_set {
        uint64_t raw[4]; /* 0: free */
        uint32_t row[4];
        uint32_t next; /* to be given up */
        uint32_t rest[3];
    } set[CACHE_SETS];
};
_Static_assert(sizeof(struct url_set) == 64, "a set is a cache line");

/* ---- tally_keys.c: outcomes, and what is behind them ---- */

void key_free(struct key_row *k);
/* The outcome of an HTTPERR record, made if need be; NULL if the record's text does not give it. */
struct outcome *outcome_at(struct tally *t, const struct record *r);
/* Gives the counts that wait to key and site. */
void outcomes_settle(struct tally *t);

/* ---- tally_rows.c: URLs and clients ---- */

/* The row of a URL that is not in the cache. */
uint32_t url_find(struct tally *t, uint64_t raw, struct str url);
/* The row of a client that was not found ahead. */
uint32_t client_new(struct tally *t, const struct pending *p);
/* Brings what waits in rows into the tables of pairs. */
void rows_settle(struct tally *t);
/* A key that is not among the n recent ones of a row takes the place of the rarest. */
void recent_replace(struct pairs *pairs, uint32_t *recent, size_t n, uint32_t id, uint32_t key);

/* True if the key was there, and is counted. n is 3 or 4. */
static inline __attribute__((always_inline)) bool recent_count(uint32_t *recent, unsigned n,
                                                               uint32_t key)
{
    /* Which of them cannot be guessed, so it is computed. */
    __m128i same = _mm_cmpeq_epi32(_mm_loadu_si128((const __m128i *)(const void *)recent),
                                   _mm_set1_epi32((int)(key + 1)));
    unsigned at = (unsigned)_mm_movemask_ps(_mm_castsi128_ps(same)) & ((1u << n) - 1);

    if (UNLIKELY(at == 0))
        return false;
    recent[n + (unsigned)__builtin_ctz(at)]++;
    return true;
}

static inline struct url_set *cache_set(const struct tally *t, uint64_t raw)
{
    return &t->url_cache->set[raw >> 1 & (CACHE_SETS - 1)];
}

/* INDEX_FREE if the URL is not in the cache. */
static inline uint32_t cache_row(const struct tally *t, uint64_t raw)
{
    const struct url_set *set = cache_set(t, raw);
    /* Computed, too. */
    unsigned i = (set->raw[1] == raw) + 2u * (set->raw[2] == raw) + 3u * (set->raw[3] == raw);

    return LIKELY(set->raw[i] == raw) ? set->row[i] : INDEX_FREE;
}

/* Most requests for a URL end in the same few ways: those are counted in its row. */
static inline struct url_row *url_count(struct tally *t, const struct key_row *k,
                                        const struct pending *p)
{
    uint32_t id = p->url_row;

    if (UNLIKELY(id == INDEX_FREE) && (id = cache_row(t, p->url_hash)) == INDEX_FREE)
        id = url_find(t, p->url_hash, p->r.url);
    struct url_row *row = table_row(&t->urls, id);

    row->weight++;
    if (!recent_count(row->recent, RECENT_OF_URL, k->id))
        recent_replace(&t->key_urls, row->recent, RECENT_OF_URL, id, k->id);
    return row;
}

static inline uint32_t client_find(struct tally *t, const struct pending *p)
{
    return LIKELY(p->client_row != INDEX_FREE) ? p->client_row : client_new(t, p);
}

/* Counts a client for a key that is no plain success. */
static inline void client_key(struct tally *t, struct key_row *k, const struct pending *p,
                              uint32_t id)
{
    struct client_row *row = table_row(&t->clients, id);

    if (recent_count(row->recent, RECENT_OF_CLIENT, k->id))
        return;
    recent_replace(&t->key_clients, row->recent, RECENT_OF_CLIENT, id, k->id);
    distinct_add(&k->clients, p->client_hash);
}

#endif
