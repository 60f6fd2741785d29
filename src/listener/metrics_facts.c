#include "listener/metrics_facts.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "listener/generation.h"
#include "listener/metrics_server.h"
#include "listener/metrics_text.h"
#include "listener/response_cache.h"
#include "listener/shared.h"
#include "listener/thread.h"
#include "base/poison.h"

struct listener_metrics {
    struct listener *l;
    struct metrics_server *server;
    json_t *supervisor;
    int64_t started_us;
};

static struct metrics_pool_fact *pool_facts(const struct listener *l, size_t *ret_n)
{
    struct metrics_pool_fact *list = xcalloc(l->n_pools, sizeof(*list));
    size_t n = 0;

    for (const struct pool *p = l->pools; p; p = p->next) {
        struct metrics_pool_fact *f = &list[n++];
        *f = (struct metrics_pool_fact){
            .name = p->name,
            .index = p->index,
            .limit = atomic_load_explicit(&p->queue_length, memory_order_relaxed)};
        for (unsigned i = 0; i < l->n_threads; i++)
            f->queued += atomic_load_explicit(&p->waiting[i].n, memory_order_relaxed);
    }
    *ret_n = n;
    return list;
}

static struct metrics_site_fact *site_facts(const struct generation *g, size_t *ret_n)
{
    struct metrics_site_fact *list = xcalloc(g->n_sites, sizeof(*list));

    for (size_t i = 0; i < g->n_sites; i++)
        list[i] =
            (struct metrics_site_fact){.id = g->sites[i].id,
                                       .name = g->sites[i].name,
                                       .connections = atomic_load_explicit(
                                           &g->sites[i].state->connections, memory_order_relaxed)};
    *ret_n = g->n_sites;
    return list;
}

static void write_metrics(void *arg, struct buf *out)
{
    const struct listener_metrics *m = arg;
    const struct listener *l = m->l;
    struct metrics_facts f = {.connections = atomic_load(&l->connections),
                              .started_us = m->started_us,
                              .supervisor = m->supervisor};
    struct metrics_pool_fact *pools = pool_facts(l, &f.n_pools);
    struct metrics_site_fact *sites = NULL;
    struct metrics **threads = xcalloc(l->n_threads, sizeof(struct metrics *));

    if (l->generation) { /* without one there are no threads yet */
        f.generation = l->generation->id;
        sites = site_facts(l->generation, &f.n_sites);
        for (unsigned i = 0; i < l->n_threads; i++)
            threads[f.n_threads++] = l->threads[i].metrics;
    }
    if (l->cache) {
        struct response_cache_stats stats;
        response_cache_stats(l->cache, &stats);
        f.cache_entries = stats.entries;
        f.cache_bytes = stats.bytes;
    }
    f.pools = pools;
    f.sites = sites;
    f.threads = threads;
    metrics_write(out, &f);
    free(threads);
    free(sites);
    free(pools);
}

size_t listener_metrics_begin(struct listener_metrics **m, struct listener *l, const int *fds,
                              size_t n_fds)
{
    if (n_fds != 1)
        return 0;
    listener_metrics_end(*m);
    *m = xcalloc(1, sizeof(**m));
    **m = (struct listener_metrics){.l = l, .started_us = clock_wall_us()};
    (*m)->server = metrics_server_new(l->loop, fds[0], write_metrics, *m);
    return 1;
}

void listener_metrics_take(struct listener_metrics *m, const json_t *msg)
{
    if (!m)
        return;
    json_decref(m->supervisor);
    m->supervisor = json_deep_copy(msg);
}

struct listener_metrics *listener_metrics_end(struct listener_metrics *m)
{
    if (!m)
        return NULL;
    metrics_server_free(m->server);
    json_decref(m->supervisor);
    free(m);
    return NULL;
}
