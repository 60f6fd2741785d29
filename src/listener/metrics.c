#include "listener/metrics.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/poison.h"

struct metrics *metrics_new(void)
{
    return xcalloc(1, sizeof(struct metrics));
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < METRICS_SITE_SLOTS; i++)
        free(m->sites[i]);
    for (size_t i = 0; i < METRICS_POOLS; i++)
        free(m->waits[i]);
    free(m);
}

struct metrics_site *metrics_site_add(struct metrics *m, uint32_t id)
{
    size_t at = id % METRICS_SITE_SLOTS;
    struct metrics_site *s;

    while ((s = atomic_load_explicit(&m->sites[at], memory_order_relaxed)) != NULL && s->id != id)
        at = (at + 1) % METRICS_SITE_SLOTS;
    if (s)
        return s;
    /* Half empty, so that every search ends soon. Sites come from the administrator, but over a
     * year of changes there may be any number of them. */
    if (m->n_sites >= METRICS_SITE_SLOTS / 2 || !(s = calloc(1, sizeof(*s))))
        return &m->other_site;
    s->id = id;
    m->n_sites++;
    atomic_store_explicit(&m->sites[at], s, memory_order_release);
    return s;
}

struct metrics_histogram *metrics_wait_add(struct metrics *m, unsigned pool_index)
{
    struct metrics_histogram *h = calloc(1, sizeof(*h));

    if (!h)
        return &m->other_wait;
    atomic_store_explicit(&m->waits[pool_index], h, memory_order_release);
    return h;
}
