/* Tables with a limit for the tally: by name, by pair of numbers, and very short lists.
 *
 * When one is full, the rarer half is forgotten ("lossy counting"): a row that comes later carries
 * in delta how often its name may have been counted before. */
#ifndef CANDOR_DIAGNOSE_TABLE_H
#define CANDOR_DIAGNOSE_TABLE_H

#include "base/str.h"

/* ---- hash to number ---- */

struct index_slot {
    uint64_t hash;
    uint32_t row; /* INDEX_FREE: no row */
};
#define INDEX_FREE UINT32_MAX

struct index {
    struct index_slot *slots;
    uint32_t cap, n; /* cap a power of two */
};

void index_init(struct index *x, uint32_t rows);
void index_fini(struct index *x);
void index_clear(struct index *x);
/* The hash must not be in it. */
void index_put(struct index *x, uint64_t hash, uint32_t row);
/* The slot of a hash, or the free one where its probe ended. */
static inline struct index_slot *index_at(const struct index *x, uint64_t hash)
{
    uint32_t mask = x->cap - 1;

    for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask)
        if (x->slots[i].hash == hash || x->slots[i].row == INDEX_FREE)
            return &x->slots[i];
}

/* ---- names with a row of counters each ----
 * A row begins with two uint64_t: weight and delta. */

struct table {
    struct index index;
    char *rows; /* in map */
    void *map;
    size_t map_size;
    uint64_t *hashes;
    uint32_t *name_at; /* in names */
    uint16_t *name_n;
    char *names;
    size_t names_n, names_cap;
    size_t row_size;
    uint32_t n, limit;
    uint64_t floor; /* the largest weight a name that is not in it may have had */
};

enum { TABLE_NAME_MAX = 400 }; /* a longer name is cut; its hash is of the whole */

void table_init(struct table *t, size_t row_size, uint32_t limit);
void table_fini(struct table *t);
static inline void *table_row(const struct table *t, uint32_t row)
{
    return t->rows + (size_t)row * t->row_size;
}
static inline struct str table_name(const struct table *t, uint32_t row)
{
    return str_n(t->names + t->name_at[row], t->name_n[row]);
}
/* The row of a hash, INDEX_FREE if it has none. */
static inline uint32_t table_find(const struct table *t, uint64_t hash)
{
    return index_at(&t->index, hash)->row;
}
/* A new row, zeroed but for delta; its hash must not be in the table, and the table not full. */
uint32_t table_put(struct table *t, uint64_t hash, struct str name);
static inline bool table_is_full(const struct table *t)
{
    return t->n >= t->limit;
}
/* Forgets the rarer half. The caller frees what it gets: the new number of each old row, INDEX_FREE
 * for a forgotten one. */
uint32_t *table_purge(struct table *t, uint32_t *ret_n);

/* ---- counts of pairs of numbers ---- */

struct pair {
    uint64_t key; /* first << 32 | second; PAIR_FREE: no pair */
    uint64_t count : 40;
    uint64_t delta : 24;
};
#define PAIR_FREE UINT64_MAX

enum { PAIRS_WAITING = 8 };

struct pairs {
    struct pair *at;
    uint32_t cap, n, limit;
    uint32_t next;                   /* of waiting */
    uint64_t waiting[PAIRS_WAITING]; /* keys noted and not counted yet; PAIR_FREE: none */
    uint64_t floor;
};

void pairs_init(struct pairs *p, uint32_t limit);
void pairs_fini(struct pairs *p);
static inline uint64_t pair_key(uint32_t first, uint32_t second)
{
    return (uint64_t)first << 32 | second;
}
/* The pair's place, made if need be; valid until the next call. */
struct pair *pairs_at(struct pairs *p, uint64_t key);
static inline void pairs_add(struct pairs *p, uint64_t key, uint64_t n)
{
    struct pair *at = pairs_at(p, key);

    at->count = (at->count + n) & 0xFFFFFFFFFFu;
}
static inline uint32_t pair_place(const struct pairs *p, uint64_t key)
{
    return (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32) & (p->cap - 1);
}
/* Counts a pair once, a few calls later, when its place has come into the cache. */
static inline void pairs_note(struct pairs *p, uint64_t key)
{
    uint64_t before = p->waiting[p->next];

    __builtin_prefetch(&p->at[pair_place(p, key)], 1);
    p->waiting[p->next] = key;
    p->next = (p->next + 1) % PAIRS_WAITING;
    if (before != PAIR_FREE)
        pairs_add(p, before, 1);
}
/* Counts what was noted: before pairs are renumbered, merged or read. */
void pairs_drain(struct pairs *p);
/* Renumbers the second of each pair; pairs whose second is forgotten go. */
void pairs_renumber(struct pairs *p, const uint32_t *map, uint32_t n);

/* ---- the most frequent of a few names ---- */

enum { FEW_MAX = 16, FEW_NAME_MAX = 120 };

struct few_row {
    uint64_t hash, count, error;
    char *name;
};

struct few {
    uint32_t n;
    uint32_t last; /* the row met last */
    struct few_row at[FEW_MAX];
};

/* Counts a name n times; *f is made on first use. A new name in a full list takes the place of the
 * rarest, and its count with it as error ("space saving"). */
void few_add(struct few **f, uint64_t hash, struct str name, uint64_t n, uint64_t error);
struct few *few_free(struct few *f); /* NULL */
void few_merge(struct few **a, const struct few *b);

#endif
