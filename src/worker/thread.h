/* The worker process from inside: what its main thread owns and what each pipeline thread owns.
 * Modules see neither. */
#ifndef CANDOR_WORKER_THREAD_H
#define CANDOR_WORKER_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "queue/region.h"
#include "worker/modules/registry.h"
#include "worker/precondition.h"

struct app_counter;
struct cache_offers;
struct channel;
struct config;
struct config_error;
struct config_watch;
struct dir_watcher;
struct loop;
struct plan_table;
struct url_cache;
struct worker;

/* One pipeline thread. Everything but `handled` and `running` belongs to it alone. */
struct worker_thread {
    struct worker *worker;
    unsigned index;
    pthread_t id;
    struct loop *loop;
    struct channel *channel;
    struct url_cache *urls;
    struct plan_table *plans;
    struct cache_offers *offers;
    struct worker_thread *next;   /* in the worker's list, under its lock */
    struct config *config;        /* the generation in use, a reference */
    uint32_t config_version;      /* of worker->config_version when it was taken */
    _Atomic uint64_t last_ms;     /* monotonic time of the last sign of work */
    _Atomic uint32_t held;        /* requests under way */
    _Atomic uint64_t taken;       /* requests that it has been given so far */
};

struct worker {
    struct pool_facts pool;
    bool trace_enabled; /* EnableTraceMethod of the HTTP parameters */
    /* Bumped by the main thread whenever a configuration file changed or a generation came; threads
     * look at it on every request and then take config under the lock. */
    _Atomic uint32_t config_version;
    pthread_mutex_t lock;
    struct config *config;        /* under lock */
    struct app_counter *apps;     /* under lock; the counters themselves are atomic */
    struct dir_watcher *watcher;
    bool watches_live;            /* changes of files and configuration are noticed */
    const struct config_watch *config_watch; /* NULL: not asked whether it sees everything */
    struct worker_thread *first;  /* under lock: threads that have been set up */
    struct region region;
    unsigned n_threads;
    struct worker_thread *threads;
    /* A thread met a listener that breaks the protocol; called on that thread. */
    void (*on_broken)(struct worker *w, const char *why);
    /* A thread met a configuration file that cannot be used; called on that thread, as often as
     * a URL below it is looked at anew. May be NULL. */
    void (*on_config_error)(struct worker *w, const struct config_error *error);
};

/* Requests of one application that run in this process
 * (serverRuntime/appConcurrentRequestLimit). */
struct app_counter {
    struct app_counter *next;
    uint32_t site_id;
    struct str path;
    _Atomic uint32_t running;
};

/* The counter of an application; made when first asked for, never freed before the process ends. */
struct app_counter *worker_app_counter(struct worker *w, uint32_t site_id, struct str path);

/* In-process parts of a worker, also for tests: config is a reference that the worker takes
 * over. */
void worker_init(struct worker *w, struct config *config, struct str pool);
/* Replaces the configuration (a reference, taken over); NULL: only files below it changed. */
void worker_set_config(struct worker *w, struct config *config);
void worker_fini(struct worker *w);
/* Files or configuration have changed: threads that have offered answers to the response cache look
 * whether those still hold. Any thread. */
void worker_poke(struct worker *w);
/* Nothing that answers are made from can change without being noticed. Any thread. */
bool worker_sees_changes(const struct worker *w);

void worker_thread_init(struct worker_thread *t, struct worker *w, unsigned index);
void worker_thread_fini(struct worker_thread *t);
/* Takes over a new configuration if there is one; cheap when there is none. */
void worker_thread_refresh(struct worker_thread *t);

#endif
