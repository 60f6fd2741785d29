/* Small summaries of many values: how they spread, how many are distinct, how they fall in time.
 * One thread each; merged at the end. */
#ifndef CANDOR_DIAGNOSE_SKETCH_H
#define CANDOR_DIAGNOSE_SKETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- log-linear histograms ----
 * Values below 2^bits have a cell each; above, each power of two has 2^bits cells, so that a cell's
 * width is at most 1/2^bits of its values. Larger values than the last cell's count there. */

#define HIST_CELLS(bits, top) (((size_t)(top) - (bits) + 2) << (bits))

static inline size_t hist_cell(uint64_t v, unsigned bits, size_t cells)
{
    /* Small values are shifted by nothing: no branch, which would be guessed wrong too often. */
    unsigned shift = 63u - (unsigned)__builtin_clzll(v | (uint64_t)1 << bits) - bits;
    size_t i = ((size_t)shift << bits) + (size_t)(v >> shift);

    return i < cells ? i : cells - 1;
}

/* The value in the middle of a cell, and how far from it the cell reaches. */
uint64_t hist_value(size_t cell, unsigned bits, uint64_t *ret_error);
/* The cell in which the given share (0..1) of count values is reached. */
size_t hist_quantile64(const uint64_t *cells, size_t n, uint64_t count, double share);
size_t hist_quantile32(const uint32_t *cells, size_t n, uint64_t count, double share);

/* ---- distinct values ----
 * Exact while there are few; then HyperLogLog. Takes hashes, keyed ones. */

struct distinct {
    uint64_t *set; /* open addressing, 0 is free; NULL once regs is in use */
    uint8_t *regs;
    uint32_t n, cap;    /* of set */
    uint32_t exact_max; /* from then on registers */
    unsigned bits;      /* 2^bits registers */
};

void distinct_init(struct distinct *d, uint32_t exact_max, unsigned bits);
void distinct_fini(struct distinct *d);
void distinct_add_slow(struct distinct *d, uint64_t hash);
static inline void distinct_add(struct distinct *d, uint64_t hash)
{
    if (d->regs) {
        uint8_t *reg = &d->regs[hash >> (64 - d->bits)];
        uint64_t full = (uint64_t)1 << (d->bits - 1); /* ends the search */
        uint8_t rank = (uint8_t)(__builtin_clzll(hash << d->bits | full) + 1);
        if (rank > *reg)
            *reg = rank;
        return;
    }
    distinct_add_slow(d, hash);
}
/* The number, and the bound of its error: 0 when exact, else four standard errors of 1.04 / sqrt(2
 * ^ bits), which one key in 16,000 exceeds. */
uint64_t distinct_count(const struct distinct *d, uint64_t *ret_error);
/* Adds what b holds; both of the same parameters. */
void distinct_merge(struct distinct *a, const struct distinct *b);

/* ---- time ----
 * Counts per span of time. The span's width grows when there are more spans than the limit, so a
 * record with an absurd date costs one span and does no harm. */

struct spans {
    struct span *at; /* open addressing by start */
    uint32_t n, cap; /* cap a power of two */
    uint32_t limit;
    uint32_t width_s;
};

enum { SPAN_COLUMNS_MAX = 6 };

struct span {
    int64_t start_s; /* SPAN_FREE: no span here */
    uint64_t v[SPAN_COLUMNS_MAX];
};
#define SPAN_FREE INT64_MIN

void spans_init(struct spans *s, uint32_t limit);
void spans_fini(struct spans *s);
/* The span that holds a time; valid until the next call. */
struct span *spans_at(struct spans *s, int64_t time_s);
/* Makes spans of at least that width (a width of the ladder). */
void spans_widen(struct spans *s, uint32_t width_s);
void spans_merge(struct spans *a, const struct spans *b);
/* In order of time; the caller frees. NULL when there are none. */
struct span *spans_sorted(const struct spans *s);
/* The smallest width of the ladder that is at least width_s and needs no more than n spans to cover
 * seconds. */
uint32_t spans_width_for(uint32_t width_s, int64_t seconds, uint32_t n);
/* time_s rounded down to a multiple of the width. */
int64_t spans_floor(int64_t time_s, uint32_t width_s);

#endif
