/* An event thread: a loop, connections, this thread's end of the rings. Everything below struct
 * thread belongs to one thread and is touched by no other, but for the mailbox. */
#ifndef CANDOR_LISTENER_THREAD_H
#define CANDOR_LISTENER_THREAD_H

#include <pthread.h>

#include "base/loop.h"
#include "http/date.h"
#include "listener/timer_wheel.h"

struct acceptor;
struct batch;
struct connection;
struct exchange;
struct generation;
struct held_generation;
struct http2_thread;
struct input;
struct letter;
struct link;
struct listener;
struct metrics;
struct pool;
struct tls_table;
struct worker_process;

/* A generation as one thread holds it, so that requests count their references without atomics. */
struct held_generation {
    struct generation *generation;
    uint32_t refs;
};

/* This thread's share of a pool: requests waiting for a worker, and the workers. */
struct thread_pool {
    struct pool *pool;
    struct exchange *first, **last; /* not handed to any ring */
    struct link *links;
    uint64_t demanded_ms; /* when a worker was last asked for */
};

/* Buffers of one size, to be used again. */
struct free_inputs {
    struct input *first;
    unsigned n;
};

enum { SCRATCH_BYTES = 256 * 1024 };

struct thread {
    struct listener *listener;
    unsigned index;
    pthread_t id;
    struct loop *loop;
    struct batch *batch; /* NULL: no io_uring */
    struct metrics *metrics;
    struct held_generation *current;
    struct thread_pool **pools; /* by pool index */
    unsigned n_pools;
    struct link *links, *dirty;
    struct acceptor *acceptors;
    struct connection *connections; /* the youngest first */
    struct connection *walk;        /* the next one of a walk over them: conn_visit */
    struct connection *dead;        /* freed in this turn; an event for one may still come */
    struct connection *ready;       /* to be gone on with without an event */
    struct tls_table *tls;          /* certificates in force; NULL: none yet */
    struct connection *free_connections;
    unsigned n_free_connections;
    unsigned n_dropped; /* connections whose client has gone and whose line is yet to be written */
    uint64_t n_connections, last_tick_ms;
    struct timer_wheel wheel;
    struct loop_timer tick;
    struct free_inputs inputs, small_inputs;
    struct exchange *free_exchanges;
    struct exchange **slots; /* by slot number */
    uint32_t n_slots;
    size_t slots_cap;
    uint64_t next_request;
    int64_t wall_us;
    char date[HTTP_DATE_LEN];
    int64_t date_second;
    char *scratch; /* SCRATCH_BYTES: heads and small bodies under construction */
    char *cook;    /* room for cooked paths */
    struct http2_thread *http2; /* NULL: no connection has spoken it yet */
    size_t cook_cap;
    bool stopping;
    uint64_t stop_at_ms;
    pthread_mutex_t lock; /* mailbox */
    struct letter *mail, **mail_end;
};

static inline uint64_t thread_now_ms(const struct thread *t)
{
    return loop_now_ms(t->loop);
}

void thread_init(struct listener *l, unsigned index);
void thread_start(struct listener *l, unsigned index); /* init, and runs it */
void thread_end_all(struct thread *t); /* links, then connections */
void thread_fini(struct thread *t);
struct thread_pool *thread_pool_of(struct thread *t, struct pool *p);
/* A reference to the generation in force, for an exchange, which gives it back when it is freed. */
struct held_generation *thread_hold_generation(struct thread *t);

#endif
