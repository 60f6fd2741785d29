/* What the control thread and the event threads share, and what only the control thread touches.
 * Threads share the generation, the pools' counters and the sites' connection counts, nothing else;
 * a member is the control thread's alone unless it is atomic or says otherwise. */
#ifndef CANDOR_LISTENER_SHARED_H
#define CANDOR_LISTENER_SHARED_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/loop.h"
#include "base/str.h"
#include "listener/memory_guard.h"
#include "queue/region.h"

struct generation;
struct letter;
struct listener_metrics;
struct logging;
struct response_cache;
struct thread;
struct untold;

/* How many connections of a site are open; for maxConnections. */
struct site_state {
    struct site_state *next;
    uint32_t id;
    _Atomic uint32_t connections;
};

struct pool_waiting {
    _Alignas(64) _Atomic uint32_t n;
};

/* An application pool as the listener knows it: a request queue with a state. Never freed. */
struct pool {
    struct pool *next;
    struct str name;
    unsigned index;
    _Atomic uint32_t closed;       /* enum httperr_reason; HTTPERR_NONE: open */
    _Atomic uint32_t queue_length; /* queueLength */
    _Atomic bool tcp_level;        /* loadBalancerCapabilities */
    struct pool_waiting *waiting;  /* per thread: requests that no worker has taken */
};

/* A process at the other end of the rings. Shared by the control thread and the threads' links. */
struct worker_process {
    struct worker_process *next;
    uint64_t id;
    struct pool *pool;
    struct region region;
    int *listener_wake, *worker_wake, *file_sock; /* per thread */
    _Atomic unsigned refs; /* one per link and the control thread's */
    unsigned drained; /* links that have reported empty; control thread only */
};

struct listener {
    int control;
    struct listener_metrics *metrics; /* NULL: nobody asked for them */
    struct loop *loop;
    struct loop_io control_io;
    struct untold *untold, **untold_end; /* for the supervisor, once it reads on */
    size_t n_untold;
    uint64_t lost; /* beyond what is kept of them */
    unsigned n_threads;
    struct thread *threads;
    struct logging *logging;
    struct response_cache *cache;
    struct generation *generation;
    struct pool *pools;
    unsigned n_pools;
    struct site_state *sites;
    struct worker_process *workers;
    pthread_mutex_t inbox_lock; /* letters from threads to the control thread */
    struct letter *inbox, **inbox_end;
    _Atomic uint64_t connections;
    struct memory_guard memory; /* thread 0 looks */
    _Atomic uint64_t proxy_said_ms; /* when a refused PROXY header was last told of */
    _Atomic uint64_t tls_said_ms[3]; /* when a failed handshake was, by the kind of event */
    bool stopping;
    unsigned threads_stopped;
    bool log_stdout;
};

/* listener.c, orders.c: control thread */
/* Obeys one order; gives how many of the descriptors were taken over, from the first. */
size_t listener_obey(struct listener *l, json_t *msg, const int *fds, size_t n_fds);
void listener_answer_status(struct listener *l, json_int_t token);
void listener_finish(struct listener *l, uint64_t timeout_ms);

/* tell.c: control thread, to the supervisor */
void listener_tell(struct listener *l, json_t *msg); /* msg is taken over; never waits */
void listener_tell_rest(struct listener *l);         /* the socket has room again */
void listener_tell_last(struct listener *l);         /* what is left, at the end of the process */

/* link.c */
void worker_unref(struct worker_process *w);
void link_close_fds(struct worker_process *w, unsigned i); /* a thread's share of it */

#endif
