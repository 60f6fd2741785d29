#include "worker/thread.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/loop.h"
#include "config/config.h"
#include "config/watch.h"
#include "worker/cache_offers.h"
#include "worker/channel.h"
#include "worker/dir_watch.h"
#include "worker/plan.h"
#include "worker/url_cache.h"

#include "base/poison.h"

void worker_init(struct worker *w, struct config *config, struct str pool)
{
    const struct config_pool *p = config_pool_by_name(config, pool);

    *w = (struct worker){.config = config, .config_version = 1};
    pthread_mutex_init(&w->lock, NULL);
    w->pool.name = str_n(str_dup_z(pool), pool.n);
    w->pool.runtime = STR_NULL;
    if (!p)
        return;
    w->pool.bitness32 = p->enable_32bit;
    w->pool.classic = p->classic_pipeline;
    w->pool.runtime = str_n(str_dup_z(p->managed_runtime_version), p->managed_runtime_version.n);
}

void worker_set_config(struct worker *w, struct config *config)
{
    pthread_mutex_lock(&w->lock);
    if (config) {
        config_unref(w->config);
        w->config = config;
    }
    atomic_fetch_add_explicit(&w->config_version, 1, memory_order_release);
    pthread_mutex_unlock(&w->lock);
    worker_poke(w);
}

bool worker_sees_changes(const struct worker *w)
{
    return w->watches_live && (!w->config_watch || config_watch_is_complete(w->config_watch));
}

void worker_poke(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    for (struct worker_thread *t = w->first; t; t = t->next)
        cache_offers_poke(t->offers);
    pthread_mutex_unlock(&w->lock);
}

static void free_str(struct str s)
{
    /* Made by str_dup_z: the view is of memory of our own. */
    free((void *)(uintptr_t)s.p);
}

void worker_fini(struct worker *w)
{
    while (w->apps) {
        struct app_counter *a = w->apps;
        w->apps = a->next;
        free_str(a->path);
        free(a);
    }
    w->watcher = dir_watcher_free(w->watcher);
    w->config = config_unref(w->config);
    pthread_mutex_destroy(&w->lock);
    free_str(w->pool.name);
    free_str(w->pool.runtime);
    free(w->threads);
}

struct app_counter *worker_app_counter(struct worker *w, uint32_t site_id, struct str path)
{
    pthread_mutex_lock(&w->lock);
    struct app_counter *a = w->apps;

    while (a && (a->site_id != site_id || !str_ieq(a->path, path)))
        a = a->next;
    if (!a) {
        a = xcalloc(1, sizeof(*a));
        a->site_id = site_id;
        a->path = str_n(str_dup_z(path), path.n);
        a->next = w->apps;
        w->apps = a;
    }
    pthread_mutex_unlock(&w->lock);
    return a;
}

void worker_thread_init(struct worker_thread *t, struct worker *w, unsigned index)
{
    *t = (struct worker_thread){.worker = w, .index = index, .loop = loop_new()};
    t->plans = plan_table_new(t);
    t->urls = url_cache_new(t);
    t->offers = cache_offers_new(t);
    worker_thread_refresh(t);
    pthread_mutex_lock(&w->lock);
    t->next = w->first;
    w->first = t;
    pthread_mutex_unlock(&w->lock);
}

/* From now on no other thread pokes it. */
static void leave_list(struct worker_thread *t)
{
    struct worker *w = t->worker;

    pthread_mutex_lock(&w->lock);
    struct worker_thread **at = &w->first;

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    pthread_mutex_unlock(&w->lock);
}

void worker_thread_fini(struct worker_thread *t)
{
    /* Requests hold entries, entries hold plans and files, files have handles in the channel. */
    leave_list(t);
    if (t->channel)
        channel_drop_requests(t->channel);
    url_cache_free(t->urls);
    cache_offers_free(t->offers);
    plan_table_free(t->plans);
    if (t->channel)
        channel_free(t->channel);
    t->config = config_unref(t->config);
    loop_free(t->loop);
}

void worker_thread_refresh(struct worker_thread *t)
{
    struct worker *w = t->worker;

    if (LIKELY(atomic_load_explicit(&w->config_version, memory_order_acquire) == t->config_version))
        return;
    pthread_mutex_lock(&w->lock);
    t->config_version = atomic_load_explicit(&w->config_version, memory_order_relaxed);
    if (t->config != w->config) {
        config_unref(t->config);
        t->config = config_ref(w->config);
    }
    pthread_mutex_unlock(&w->lock);
}
