/* A thread's end of the rings to one worker: pushing requests, taking answers, and what becomes of
 * requests when the worker ends. The worker is not trusted. */
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "listener/batch.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/letters.h"
#include "listener/link.h"
#include "listener/metrics.h"
#include "listener/output.h"
#include "listener/response_cache.h"
#include "listener/shared.h"
#include "listener/thread.h"
#include "base/poison.h"

enum { RECORDS_PER_TURN = 512 };

static void on_wake(struct loop_io *io, uint32_t events)
{
    /* Edge-triggered and never read: the loop's next before_wait takes what is there. */
}

void link_mark_dirty(struct link *k)
{
    if (k->dirty)
        return;
    k->dirty = true;
    k->next_dirty = k->thread->dirty;
    k->thread->dirty = k;
}

void link_wake_dirty(struct thread *t)
{
    while (t->dirty) {
        struct link *k = t->dirty;
        t->dirty = k->next_dirty;
        k->dirty = false;
        if (ring_wake_consumer(&k->requests))
            metrics_count(t->metrics, METRIC_RING_WAKES);
    }
}

/* --- lists of exchanges --- */

static void untaken_append(struct link *k, struct exchange *x)
{
    x->next = NULL;
    x->prev = k->untaken_end;
    *k->untaken_end = x;
    k->untaken_end = &x->next;
    k->n_untaken++;
}

static void untaken_remove(struct link *k, struct exchange *x)
{
    *x->prev = x->next;
    if (x->next)
        x->next->prev = x->prev;
    else
        k->untaken_end = x->prev;
    x->prev = NULL;
    k->n_untaken--;
}

static void held_add(struct link *k, struct exchange *x)
{
    x->next = k->held;
    x->prev = &k->held;
    if (x->next)
        x->next->prev = &x->next;
    k->held = x;
    k->n_held++;
}

static void held_remove(struct link *k, struct exchange *x)
{
    *x->prev = x->next;
    if (x->next)
        x->next->prev = x->prev;
    x->prev = NULL;
    k->n_held--;
}

void link_update_taken(struct link *k)
{
    if (!k->untaken)
        return;
    uint64_t consumed = ring_consumed(&k->requests);

    while (k->untaken && k->untaken->ring_end <= consumed) {
        struct exchange *x = k->untaken;
        untaken_remove(k, x);
        if (!x->aborted)
            pool_remove(x);
        x->state = X_HELD;
        metrics_queue_wait(k->thread->metrics, x->pool->pool->index,
                           thread_now_ms(k->thread) - x->queued_ms);
        held_add(k, x);
        if (!x->client_gone)
            conn_body_timer(x->conn);
    }
}

/* --- requests --- */

enum push_result link_push_request(struct link *k, struct exchange *x)
{
    enum push_result result = link_put_request(&k->requests, x);

    if (result != PUSH_DONE)
        return result;
    x->ring_end = ring_tail(&k->requests);
    x->state = X_PUSHED;
    x->link = k;
    untaken_append(k, x);
    metrics_count(k->thread->metrics, METRIC_RING_REQUESTS);
    link_mark_dirty(k);
    return PUSH_DONE;
}

/* Records that found no room in the ring are owed and tried again when the worker has read on. */
void link_owe(struct exchange *x, uint8_t what)
{
    if (!x->unsent)
        x->link->n_unsent++;
    x->unsent |= what;
}

static void pay(struct link *k, struct exchange *x)
{
    uint8_t owed = x->unsent;

    x->unsent = 0;
    k->n_unsent--;
    if (owed & X_UNSENT_CERT)
        client_certificate_owed(x);
    if (owed & X_UNSENT_ABORT)
        link_abort(x);
    else if (owed & X_UNSENT_CREDIT)
        response_sent(x->conn, 0, 0);
    if ((owed & X_UNSENT_BODY) && !x->client_gone && x->body == BODY_COMING)
        body_pump(x->conn);
}

void link_push_unsent(struct link *k)
{
    if (!k->n_unsent)
        return;
    for (struct exchange *x = k->held, *next; x; x = next) {
        next = x->next;
        if (x->unsent)
            pay(k, x);
    }
    for (struct exchange *x = k->untaken, *next; x; x = next) {
        next = x->next;
        if (x->unsent)
            pay(k, x);
    }
}

void link_abort(struct exchange *x)
{
    struct link *k = x->link;

    if (x->state == X_PUSHED && !x->aborted)
        pool_remove(x);
    x->aborted = true;
    if (k->gone)
        return;
    if (!ring_push(&k->requests, MSG_REQUEST_ABORT, 0, exchange_id(x), NULL, 0))
        link_owe(x, X_UNSENT_ABORT);
    link_mark_dirty(k);
}

/* The closing record is in: the worker has nothing more to do with x. */
void link_release(struct exchange *x)
{
    struct link *k = x->link;

    if (x->state == X_PUSHED) {
        if (!x->aborted)
            pool_remove(x);
        untaken_remove(k, x);
    } else {
        held_remove(k, x);
    }
    if (x->unsent)
        k->n_unsent--;
    x->unsent = 0;
    x->state = X_OWN;
    x->link = NULL;
}

/* --- answers --- */

static struct exchange *find_exchange(struct link *k, uint64_t id)
{
    struct thread *t = k->thread;
    uint32_t slot = (uint32_t)id;

    if (slot >= t->n_slots)
        return NULL;
    struct exchange *x = t->slots[slot];

    return x->serial == (uint32_t)(id >> 32) && x->link == k ? x : NULL;
}

bool link_has_more(const struct link *k, const struct ring_record *rec)
{
    struct ring_record next;

    return ring_peek_after(&k->responses, rec, &next) && next.id == rec->id &&
           next.type >= MSG_RESPONSE_BODY && next.type <= MSG_RESPONSE_END;
}

static bool want_body(struct exchange *x, const struct ring_record *rec)
{
    struct msg_amount m;

    if (rec->len != sizeof(m))
        return false;
    memcpy(&m, rec->payload, sizeof(m));
    body_wanted(x, m.amount);
    return true;
}

/* While the client is asked for its certificate nothing can be sent to it: the worker that asked
 * has to wait for what comes of it, as long as there is a client. */
static bool has_to_wait(const struct exchange *x, const struct ring_record *rec)
{
    return UNLIKELY(x->conn->in_handshake) && !x->client_gone && rec->type != MSG_RESPONSE_RESET;
}

static bool handle(struct link *k, const struct ring_record *rec)
{
    if (rec->type == MSG_FILE_CLOSE)
        return link_close_file(k, rec);
    if (rec->type == MSG_CACHE_FLUSH)
        return cache_flush_record(k, rec);
    struct exchange *x = find_exchange(k, rec->id);

    if (!x || x->ended || has_to_wait(x, rec))
        return false;
    if (x->state == X_PUSHED)
        link_update_taken(k);
    switch (rec->type) {
    case MSG_RESPONSE:
        return response_head(x, rec);
    case MSG_RESPONSE_BODY:
        return response_body(x, rec);
    case MSG_RESPONSE_FILE:
        return response_file(x, rec);
    case MSG_RESPONSE_END:
    case MSG_RESPONSE_RESET:
        return response_end(x, rec);
    case MSG_BODY_WANTED:
        return want_body(x, rec);
    case MSG_CLIENT_CERT_WANTED:
        if (rec->len || x->cert_wanted)
            return false;
        x->cert_wanted = true;
        client_certificate_wanted(x);
        return true;
    default:
        return false;
    }
}

static void malformed(struct link *k, const char *text)
{
    k->gone = true; /* nothing more from or to it; worker_gone follows */
    listener_post(k->thread->listener, &(struct letter){.kind = LETTER_MALFORMED,
                                                        .worker = k->worker,
                                                        .text = text});
}

static void report_if_empty(struct link *k)
{
    if (!k->draining || k->reported_empty || k->n_held || k->n_untaken)
        return;
    k->reported_empty = true;
    listener_post(k->thread->listener,
                  &(struct letter){.kind = LETTER_LINK_EMPTY, .worker = k->worker});
}

void link_receive(struct link *k)
{
    struct metrics *metrics = k->thread->metrics;
    struct ring_record rec;
    uint64_t n = 0;

    batch_expect(k->thread, k->n_held + k->n_untaken);
    for (; !k->gone && n < RECORDS_PER_TURN; n++) {
        enum rc rc = ring_peek(&k->responses, &rec);
        if (rc == RC_AGAIN)
            break;
        if (rc == RC_FAIL || !handle(k, &rec)) {
            malformed(k, "a record on the response ring that makes no sense");
            return;
        }
        ring_pop(&k->responses, &rec);
    }
    if (n) {
        metrics_add(metrics, METRIC_RING_RESPONSES, n);
        metrics_count(metrics, METRIC_RING_TURNS);
    }
    ring_wake_producer(&k->responses);
    link_update_taken(k);
    link_push_unsent(k);
    if (k->pool->first)
        pool_dispatch(k->pool);
    report_if_empty(k);
}

/* --- coming and going --- */

void link_attach(struct thread *t, struct worker_process *w)
{
    struct link *k = xcalloc(1, sizeof(*k));
    unsigned i = t->index;

    k->io = (struct loop_io){.on_event = on_wake, .fd = w->listener_wake[i]};
    k->thread = t;
    k->worker = w;
    k->pool = thread_pool_of(t, w->pool);
    k->untaken_end = &k->untaken;
    k->file_sock = w->file_sock[i];
    ring_attach(&k->requests, region_request_ring(&w->region, i), w->region.request_size,
                w->worker_wake[i], w->listener_wake[i]);
    ring_attach(&k->responses, region_response_ring(&w->region, i), w->region.response_size,
                w->worker_wake[i], w->listener_wake[i]);
    k->next = k->pool->links;
    k->pool->links = k;
    k->next_all = t->links;
    t->links = k;
    loop_io_set(t->loop, &k->io, EPOLLIN | EPOLLET);
    pool_dispatch(k->pool);
}

static struct link *find_link(struct thread *t, const struct worker_process *w)
{
    for (struct link *k = t->links; k; k = k->next_all)
        if (k->worker == w)
            return k;
    return NULL;
}

void link_drain(struct thread *t, struct worker_process *w)
{
    struct link *k = find_link(t, w);

    if (!k)
        return;
    k->draining = true;
    link_update_taken(k);
    report_if_empty(k);
}

static void requeue_untaken(struct link *k)
{
    /* Back to the front of the queue in their old order. */
    while (k->untaken) {
        struct exchange *x = CONTAINER_OF(k->untaken_end, struct exchange, next);
        if (x->started || x->aborted) {
            response_abandoned(x); /* answering what it never took is no ground to try again */
            continue;
        }
        untaken_remove(k, x);
        x->link = NULL;
        x->body_credit = 0;
        if (x->unsent)
            k->n_unsent--;
        x->unsent = 0;
        struct thread_pool *tp = x->pool;
        x->state = X_QUEUED;
        x->next = tp->first;
        x->prev = &tp->first;
        if (x->next)
            x->next->prev = &x->next;
        else
            tp->last = &x->next;
        tp->first = x;
    }
}

static void unhook(struct thread *t, struct link *k)
{
    struct link **p;

    for (p = &t->links; *p != k; p = &(*p)->next_all)
        ;
    *p = k->next_all;
    for (p = &k->pool->links; *p != k; p = &(*p)->next)
        ;
    *p = k->next;
    for (p = &t->dirty; *p; p = &(*p)->next_dirty)
        if (*p == k) {
            *p = k->next_dirty;
            break;
        }
    loop_io_set(t->loop, &k->io, 0);
}

void link_close_fds(struct worker_process *w, unsigned i)
{
    close(w->listener_wake[i]);
    close(w->worker_wake[i]);
    close(w->file_sock[i]);
    worker_unref(w);
}

void worker_unref(struct worker_process *w)
{
    if (atomic_fetch_sub(&w->refs, 1) != 1)
        return;
    region_unmap(&w->region);
    free(w->listener_wake);
    free(w->worker_wake);
    free(w->file_sock);
    free(w);
}

void link_gone(struct thread *t, struct worker_process *w)
{
    struct link *k = find_link(t, w);

    if (!k)
        return;
    struct thread_pool *tp = k->pool;
    struct ring_record rec;

    /* What it had finished before it died is as good as any other answer. Not more than a ringful:
     * a child of it may still be writing. */
    for (int i = 0; !k->gone && i < RING_RESPONSE_BYTES / RING_RECORD_HEAD; i++) {
        if (ring_peek(&k->responses, &rec) != RC_OK || !handle(k, &rec))
            break;
        ring_pop(&k->responses, &rec);
    }
    link_update_taken(k);
    k->gone = true;
    /* Nobody watches its files any more. */
    response_cache_flush_worker(t->listener->cache, w->id);
    while (k->held)
        response_abandoned(k->held);
    requeue_untaken(k);
    /* Segments under way may still send from its files: they were handed over, they stay ours. */
    unhook(t, k);
    link_close_files(k);
    link_close_fds(w, t->index);
    free(k);
    if (tp->first)
        pool_closed(tp, (enum httperr_reason)atomic_load(&tp->pool->closed));
}
