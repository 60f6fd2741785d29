/* The model's makers share this; nobody else. */
#ifndef CANDOR_DIAGNOSE_MODEL_PARTS_H
#define CANDOR_DIAGNOSE_MODEL_PARTS_H

#include "diagnose/model_build.h"

struct build {
    const struct tally *t;
    const struct file_list *files;
    struct arena *arena;
    struct model *m;
    uint32_t top;
};

static inline void *build_make(struct build *b, size_t n, size_t size)
{
    return arena_zalloc(b->arena, n ? n * size : 1);
}

static inline struct str build_own(struct build *b, struct str s)
{
    return s.n ? arena_dup(b->arena, s) : STR("");
}

/* A table that never forgot a row knows better than an estimate. */
static inline uint64_t build_distinct(const struct table *t, const struct distinct *d,
                                      uint64_t *ret_error)
{
    *ret_error = 0;
    return t->floor == 0 ? t->n : distinct_count(d, ret_error);
}

/* model_urls.c: percentiles of all requests; URLs, the slowest and those that became slower. */
void build_latency(struct build *b);
void build_urls(struct build *b);

#endif
