#include "diagnose/table.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/poison.h"

enum { LARGE_PAGE = 2 << 20, LARGE_FROM = 10000 };

/* ---- index ---- */

static uint32_t power_above(uint64_t n)
{
    uint32_t cap = 16;

    while (cap < n && cap < 1u << 31)
        cap *= 2;
    return cap;
}

void index_init(struct index *x, uint32_t rows)
{
    x->cap = power_above((uint64_t)rows * 2);
    x->slots = xmalloc(x->cap * sizeof(*x->slots));
    index_clear(x);
}

void index_fini(struct index *x)
{
    free(x->slots);
    x->slots = NULL;
}

void index_clear(struct index *x)
{
    for (uint32_t i = 0; i < x->cap; i++)
        x->slots[i] = (struct index_slot){.row = INDEX_FREE};
    x->n = 0;
}

void index_put(struct index *x, uint64_t hash, uint32_t row)
{
    /* Sparse: a probe that ends at its first slot is guessed right. */
    if ((uint64_t)x->n * 3 >= x->cap) {
        struct index old = *x;
        index_init(x, old.cap);
        for (uint32_t i = 0; i < old.cap; i++)
            if (old.slots[i].row != INDEX_FREE)
                index_put(x, old.slots[i].hash, old.slots[i].row);
        index_fini(&old);
    }
    *index_at(x, hash) = (struct index_slot){hash, row};
    x->n++;
}

/* ---- table ---- */

void table_init(struct table *t, size_t row_size, uint32_t limit)
{
    *t = (struct table){.row_size = row_size, .limit = limit};
    index_init(&t->index, limit < 1024 ? limit : 1024);
    /* Fresh pages: rows that are never used cost nothing. They are met in no order, and large pages
     * spare a walk of the page table for most of them: hence the alignment. */
    t->map_size = ((size_t)limit * row_size + 2 * LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    t->map = mmap(NULL, t->map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    INVARIANT(t->map != MAP_FAILED);
    t->rows = (char *)t->map + (LARGE_PAGE - (uintptr_t)t->map % LARGE_PAGE) % LARGE_PAGE;
    if (limit >= LARGE_FROM)
        madvise(t->rows, t->map_size - LARGE_PAGE, MADV_HUGEPAGE);
    t->hashes = xcalloc(limit, sizeof(*t->hashes));
    t->name_at = xcalloc(limit, sizeof(*t->name_at));
    t->name_n = xcalloc(limit, sizeof(*t->name_n));
}

void table_fini(struct table *t)
{
    index_fini(&t->index);
    if (t->map)
        munmap(t->map, t->map_size);
    free(t->hashes);
    free(t->name_at);
    free(t->name_n);
    free(t->names);
    *t = (struct table){0};
}

static uint64_t *weights(const struct table *t, uint32_t row)
{
    return (uint64_t *)(void *)table_row(t, row);
}

static void put_name(struct table *t, uint32_t row, struct str name)
{
    size_t n = name.n < TABLE_NAME_MAX ? name.n : TABLE_NAME_MAX;

    if (t->names_cap - t->names_n < n) {
        t->names_cap = t->names_cap * 2 + 4096;
        t->names = xrealloc(t->names, t->names_cap);
    }
    if (n)
        memcpy(t->names + t->names_n, name.p, n);
    t->name_at[row] = (uint32_t)t->names_n;
    t->name_n[row] = (uint16_t)n;
    t->names_n += n;
}

uint32_t table_put(struct table *t, uint64_t hash, struct str name)
{
    uint32_t row = t->n++;

    INVARIANT(row < t->limit);
    memset(table_row(t, row), 0, t->row_size);
    weights(t, row)[1] = t->floor;
    t->hashes[row] = hash;
    put_name(t, row, name);
    index_put(&t->index, hash, row);
    return row;
}

static int by_size(const void *pa, const void *pb)
{
    uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

    return a < b ? -1 : a > b;
}

/* The median of n numbers, which get sorted. */
static uint64_t median(uint64_t *v, uint32_t n)
{
    qsort(v, n, sizeof(*v), by_size);
    return v[n / 2];
}

static uint64_t median_weight(const struct table *t)
{
    uint64_t *v = xcalloc(t->n, sizeof(*v));

    for (uint32_t i = 0; i < t->n; i++)
        v[i] = weights(t, i)[0] + weights(t, i)[1];
    uint64_t m = median(v, t->n);

    free(v);
    return m;
}

uint32_t *table_purge(struct table *t, uint32_t *ret_n)
{
    uint32_t *map = xcalloc(t->n ? t->n : 1, sizeof(*map)), kept = 0;
    char *names = t->names;

    t->floor = median_weight(t);
    t->names = NULL;
    t->names_n = t->names_cap = 0;
    index_clear(&t->index);
    for (uint32_t i = 0; i < t->n; i++) {
        map[i] = INDEX_FREE;
        if (weights(t, i)[0] + weights(t, i)[1] <= t->floor)
            continue;
        struct str name = str_n(names + t->name_at[i], t->name_n[i]);
        if (kept != i)
            memcpy(table_row(t, kept), table_row(t, i), t->row_size);
        t->hashes[kept] = t->hashes[i];
        put_name(t, kept, name);
        index_put(&t->index, t->hashes[kept], kept);
        map[i] = kept++;
    }
    free(names);
    *ret_n = t->n;
    t->n = kept;
    return map;
}

/* ---- pairs ---- */

static struct pair *new_pairs(uint32_t cap)
{
    struct pair *at = xmalloc(cap * sizeof(*at));

    for (uint32_t i = 0; i < cap; i++)
        at[i] = (struct pair){.key = PAIR_FREE};
    return at;
}

void pairs_init(struct pairs *p, uint32_t limit)
{
    *p = (struct pairs){.limit = limit, .cap = 1024};
    p->at = new_pairs(p->cap);
    for (size_t i = 0; i < PAIRS_WAITING; i++)
        p->waiting[i] = PAIR_FREE;
}

void pairs_drain(struct pairs *p)
{
    for (size_t i = 0; i < PAIRS_WAITING; i++) {
        if (p->waiting[i] != PAIR_FREE)
            pairs_add(p, p->waiting[i], 1);
        p->waiting[i] = PAIR_FREE;
    }
}

void pairs_fini(struct pairs *p)
{
    free(p->at);
    p->at = NULL;
}

static struct pair *probe(struct pair *at, uint32_t cap, uint64_t key)
{
    uint32_t i = (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32) & (cap - 1);

    for (;; i = (i + 1) & (cap - 1))
        if (at[i].key == key || at[i].key == PAIR_FREE)
            return &at[i];
}

/* Moves what stays into places of another size; all of them if floor is 0. */
static void move_pairs(struct pairs *p, uint32_t cap, uint64_t floor)
{
    struct pair *old = p->at;
    uint32_t old_cap = p->cap;

    p->at = new_pairs(cap);
    p->cap = cap;
    p->n = 0;
    for (uint32_t i = 0; i < old_cap; i++) {
        if (old[i].key == PAIR_FREE || (floor && old[i].count + (uint64_t)old[i].delta <= floor))
            continue;
        *probe(p->at, cap, old[i].key) = old[i];
        p->n++;
    }
    free(old);
}

static void forget_pairs(struct pairs *p)
{
    uint64_t *v = xcalloc(p->n, sizeof(*v));
    uint32_t n = 0;

    for (uint32_t i = 0; i < p->cap; i++)
        if (p->at[i].key != PAIR_FREE)
            v[n++] = p->at[i].count + (uint64_t)p->at[i].delta;
    p->floor = median(v, n);
    free(v);
    move_pairs(p, p->cap, p->floor);
}

struct pair *pairs_at(struct pairs *p, uint64_t key)
{
    struct pair *place = probe(p->at, p->cap, key);

    if (place->key != PAIR_FREE)
        return place;
    if (p->n >= p->limit) {
        forget_pairs(p);
        place = probe(p->at, p->cap, key);
    } else if ((uint64_t)p->n * 2 >= p->cap) {
        move_pairs(p, p->cap * 2, 0);
        place = probe(p->at, p->cap, key);
    }
    uint64_t delta = p->floor < 0xFFFFFFu ? p->floor : 0xFFFFFFu;

    *place = (struct pair){.key = key, .delta = delta & 0xFFFFFFu};
    p->n++;
    return place;
}

void pairs_renumber(struct pairs *p, const uint32_t *map, uint32_t n)
{
    struct pair *old = p->at;
    uint32_t cap = p->cap;

    p->at = new_pairs(cap);
    p->n = 0;
    for (uint32_t i = 0; i < cap; i++) {
        uint32_t second = (uint32_t)old[i].key;
        if (old[i].key == PAIR_FREE || second >= n || map[second] == INDEX_FREE)
            continue;
        old[i].key = pair_key((uint32_t)(old[i].key >> 32), map[second]);
        *probe(p->at, cap, old[i].key) = old[i];
        p->n++;
    }
    free(old);
}

/* ---- few ---- */

static struct few_row *rarest(struct few *f)
{
    struct few_row *least = &f->at[0];

    for (uint32_t i = 1; i < f->n; i++)
        if (f->at[i].count + f->at[i].error < least->count + least->error)
            least = &f->at[i];
    return least;
}

static char *short_name(struct str name)
{
    return str_dup_z(str_sub(name, 0, FEW_NAME_MAX));
}

void few_add(struct few **pf, uint64_t hash, struct str name, uint64_t n, uint64_t error)
{
    struct few *f = *pf;

    if (!f)
        f = *pf = xcalloc(1, sizeof(*f));
    if (f->n && f->at[f->last].hash == hash) {
        f->at[f->last].count += n;
        f->at[f->last].error += error;
        return;
    }
    for (uint32_t i = 0; i < f->n; i++) {
        if (f->at[i].hash == hash) {
            f->at[i].count += n;
            f->at[i].error += error;
            f->last = i;
            return;
        }
    }
    if (f->n < FEW_MAX) {
        f->last = f->n++;
        f->at[f->last] = (struct few_row){hash, n, error, short_name(name)};
        return;
    }
    struct few_row *row = rarest(f);

    free(row->name);
    /* count stays the least that is certain: n; what the place had before is its error. */
    *row = (struct few_row){hash, n, error + row->count + row->error, short_name(name)};
    f->last = (uint32_t)(row - f->at);
}

struct few *few_free(struct few *f)
{
    for (uint32_t i = 0; f && i < f->n; i++)
        free(f->at[i].name);
    free(f);
    return NULL;
}

void few_merge(struct few **a, const struct few *b)
{
    for (uint32_t i = 0; b && i < b->n; i++)
        few_add(a, b->at[i].hash, str_z(b->at[i].name), b->at[i].count, b->at[i].error);
}
