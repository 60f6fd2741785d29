/* A pool's request queue: requests that no worker has taken (queueLength, Timer_ReqQueue). Each
 * thread has its own list; the limit counts all of them. A request in a ring waits as well, until
 * the worker has consumed its record. */
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/letters.h"
#include "listener/link.h"
#include "listener/shared.h"
#include "listener/thread.h"
#include "base/poison.h"

enum { DEMAND_EVERY_MS = 1000 };

static uint32_t waiting_everywhere(const struct thread_pool *tp, const struct listener *l)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < l->n_threads; i++)
        n += atomic_load_explicit(&tp->pool->waiting[i].n, memory_order_relaxed);
    return n;
}

static void count_waiting(struct exchange *x, int by)
{
    struct thread *t = x->conn->thread;
    _Atomic uint32_t *n = &x->pool->pool->waiting[t->index].n;

    /* Only this thread writes it. */
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + (uint32_t)by,
                          memory_order_relaxed);
}

static void append(struct thread_pool *tp, struct exchange *x)
{
    x->next = NULL;
    x->prev = tp->last;
    *tp->last = x;
    tp->last = &x->next;
}

static void unlink_queued(struct thread_pool *tp, struct exchange *x)
{
    *x->prev = x->next;
    if (x->next)
        x->next->prev = x->prev;
    else
        tp->last = x->prev;
    x->prev = NULL;
}

/* The worker with the least to do that still takes requests. */
static struct link *choose(const struct thread_pool *tp)
{
    struct link *best = NULL;

    for (struct link *k = tp->links; k; k = k->next)
        if (!k->draining && !k->gone &&
            (!best || k->n_held + k->n_untaken < best->n_held + best->n_untaken))
            best = k;
    return best;
}

static void demand(struct thread_pool *tp, struct thread *t)
{
    uint64_t now = thread_now_ms(t);

    if (tp->demanded_ms && now - tp->demanded_ms < DEMAND_EVERY_MS)
        return;
    tp->demanded_ms = now ? now : 1;
    listener_post(t->listener, &(struct letter){.kind = LETTER_DEMAND, .pool = tp->pool});
}

void pool_dispatch(struct thread_pool *tp)
{
    while (tp->first) {
        struct exchange *x = tp->first;
        struct link *k = choose(tp);

        if (!k) {
            demand(tp, x->conn->thread);
            return;
        }
        unlink_queued(tp, x);
        enum push_result pushed = link_push_request(k, x);
        if (UNLIKELY(pushed == PUSH_TOO_LARGE)) {
            count_waiting(x, -1);
            x->state = X_OWN;
            own_response(x->conn, HTTPERR_REQUEST_LENGTH);
        } else if (pushed == PUSH_FULL) {
            /* No room in the ring: first in line again when the worker has taken some. */
            x->next = tp->first;
            x->prev = &tp->first;
            if (x->next)
                x->next->prev = &x->next;
            else
                tp->last = &x->next;
            tp->first = x;
            return;
        }
    }
    tp->demanded_ms = 0;
}

void pool_enqueue(struct connection *c, struct thread_pool *tp)
{
    struct exchange *x = c->x;
    struct listener *l = c->thread->listener;
    uint32_t limit = atomic_load_explicit(&tp->pool->queue_length, memory_order_relaxed);

    if (UNLIKELY(waiting_everywhere(tp, l) >= limit)) {
        for (struct link *k = tp->links; k; k = k->next)
            link_update_taken(k);
        if (waiting_everywhere(tp, l) >= limit) {
            own_response(c, HTTPERR_QUEUE_FULL);
            return;
        }
    }
    x->state = X_QUEUED;
    x->queued_ms = thread_now_ms(c->thread);
    count_waiting(x, 1);
    append(tp, x);
    conn_set_timer(c, T_QUEUE, x->site->connection_timeout_ms);
    if (!c->io.armed && (x->head.keep_alive || x->body == BODY_COMING))
        conn_arm(c);
    pool_dispatch(tp); /* may be the end of c */
}

void pool_remove(struct exchange *x)
{
    if (x->state == X_QUEUED)
        unlink_queued(x->pool, x);
    count_waiting(x, -1);
}

void pool_closed(struct thread_pool *tp, enum httperr_reason reason)
{
    while (reason != HTTPERR_NONE && tp->first) {
        struct exchange *x = tp->first;
        pool_remove(x);
        x->state = X_OWN;
        own_response(x->conn, reason);
    }
    if (reason == HTTPERR_NONE)
        pool_dispatch(tp);
}

void pool_tick(struct thread_pool *tp)
{
    if (tp->first)
        pool_dispatch(tp);
}
