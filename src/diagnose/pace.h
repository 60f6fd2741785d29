/* How the time-taken of one URL goes over time: a coarse histogram for each stretch of it, so that
 * "became slower" can be told from "always was slow". A pace covers any time with the same memory:
 * its stretches get longer, by doubling, and depend on the times only, not on their order. */
#ifndef CANDOR_DIAGNOSE_PACE_H
#define CANDOR_DIAGNOSE_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

enum {
    PACE_SLOTS = 32,
    PACE_CELLS = 16,    /* below 32 ms, then one for each power of two up to 2^19 ms */
    PACE_SHIFT_MIN = 6, /* stretches of 64 seconds to begin with */
};

struct pace {
    uint32_t cells[PACE_SLOTS][PACE_CELLS]; /* a slot is a cache line */
};

/* What its slots stand for. */
struct pace_place {
    uint32_t shift; /* a slot is 2^shift seconds long */
    int32_t first;  /* start of slot 0 >> shift; that slot has records */
};

static inline size_t pace_cell(uint64_t ms)
{
    /* Without a branch, which would be guessed wrong as often as not. */
    unsigned cell = 63u - (unsigned)__builtin_clzll(ms | 16) - 4;

    return cell < PACE_CELLS ? cell : PACE_CELLS - 1;
}
/* Times in the year 4000 and the like are not counted: nobody has such logs. */
static inline bool pace_takes(int64_t time_s)
{
    return time_s >> PACE_SHIFT_MIN == (int32_t)(time_s >> PACE_SHIFT_MIN);
}
/* Makes room for a time that pace_takes. */
void pace_fit(struct pace *p, struct pace_place *at, int64_t time_s);
/* Adds what b holds to a; both have records. */
void pace_merge(struct pace *a, struct pace_place *a_at, const struct pace *b,
                const struct pace_place *b_at);

enum pace_verdict {
    PACE_UNKNOWN, /* too few requests, or all at about the same time */
    PACE_STEADY,
    PACE_SLOWER
};

/* Percentiles lie within *_error of the true ones. */
struct pace_side {
    uint64_t count;
    uint64_t p50_ms, p50_ms_error, p95_ms, p95_ms_error;
};

struct pace_change {
    int64_t since_s;  /* the start of the first slow stretch */
    uint32_t seconds; /* its length: how exact since_s is */
    struct pace_side before, after;
    uint64_t added_ms; /* that the requests took since, over what they would have before; rough */
};

/* Whether it became slower and stayed so; *ret is filled when it did. max_ms: the longest there
 * was. */
enum pace_verdict pace_judge(const struct pace *p, const struct pace_place *at, uint64_t max_ms,
                             struct pace_change *ret);

/* ---- many of them ----
 * When there are too many, those on which the least time was spent go. They are numbered from 1; a
 * number may change whenever one is made or dropped: the owner is told. */

struct paces {
    struct pace *at; /* in map; at[number - 1] */
    int32_t *firsts; /* of their places */
    uint32_t *owners;
    void *map;
    size_t map_size;
    uint32_t n, limit;
    bool has_forgotten;
    /* The pace of an owner has that number from now on; 0: it has none any more. */
    void (*moved)(void *arg, uint32_t owner, uint32_t number);
    void *arg;
};

/* The owner's part, kept with its other figures: logs are mostly in order of time, so nearly all
 * records are counted in the line of the slot that was met last, and touch no other memory. */
struct pace_open {
    uint32_t number : 26; /* in paces; 0: none */
    uint32_t shift : 6;   /* of its place */
    int32_t slot;         /* the line's time >> shift */
};
_Static_assert(sizeof(struct pace_open) == 8, "part of a row of 64 bytes");

static inline bool paces_is_full(const struct paces *ps)
{
    return ps->n == ps->limit;
}
void paces_init(struct paces *ps, uint32_t limit,
                void (*moved)(void *arg, uint32_t owner, uint32_t number), void *arg);
void paces_fini(struct paces *ps);
/* The pace itself: valid until the next one is made. The owner's line is not in it. */
static inline struct pace *paces_get(const struct paces *ps, const struct pace_open *open)
{
    return &ps->at[open->number - 1];
}
/* Asks for what paces_flush will write. Inlined at once: a function that does nothing else counts
 * as without effect, and calls of it are dropped. */
static inline __attribute__((always_inline)) void paces_expect(const struct paces *ps,
                                                               const struct pace_open *open)
{
    const struct pace *p = &ps->at[open->number - 1];

    __builtin_prefetch(p->cells[open->slot - ps->firsts[open->number - 1]], 1);
}
static inline struct pace_place paces_place(const struct paces *ps, const struct pace_open *open)
{
    return (struct pace_place){open->shift, ps->firsts[open->number - 1]};
}
void paces_set_place(struct paces *ps, struct pace_open *open, struct pace_place place);
/* Puts the line into the pace, and leaves it empty. */
void paces_flush(struct paces *ps, struct pace_open *open, uint32_t line[PACE_CELLS]);
/* The same, and the line is for that time from now on. */
void paces_turn(struct paces *ps, struct pace_open *open, uint32_t line[PACE_CELLS],
                int64_t time_s);
static inline void paces_add(struct paces *ps, struct pace_open *open, uint32_t line[PACE_CELLS],
                             int64_t time_s, uint64_t ms)
{
    if (UNLIKELY(time_s >> open->shift != open->slot))
        paces_turn(ps, open, line, time_s);
    line[pace_cell(ms)]++;
}
/* A new one, to begin with a record of that time, which pace_takes; the owner's line must be empty.
 * `moved` is not called for it. When paces_is_full, others are dropped for it: flush all lines
 * before, as what is in them does not count for staying. */
void paces_new(struct paces *ps, uint32_t owner, int64_t time_s, struct pace_open *ret);
/* Owners have other numbers from now on: map[old], UINT32_MAX for those that are no more. */
void paces_renumber(struct paces *ps, const uint32_t *map);

#endif
