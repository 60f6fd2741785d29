/* A client's connection: events, parsing, timers, the ways it ends. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "listener/accept.h"
#include "listener/batch.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/link.h"
#include "listener/output.h"
#include "listener/shared.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "listener/transport.h"
#include "base/poison.h"

enum {
    ADVANCES_PER_TURN = 32,
    LINGER_MS = 2000,
    LINGER_BYTES = 1 << 20,
    FREE_CONNECTIONS_MAX = 1024,
    DROPPED_MAX = 1024,
    DROPPED_MS = 60 * 1000,
};

void conn_set_timer(struct connection *c, enum timer_kind kind, uint64_t ms)
{
    c->timer_kind = (uint8_t)kind;
    timer_wheel_set(&c->thread->wheel, &c->timer,
                    kind == T_NONE ? 0 : thread_now_ms(c->thread) + ms);
}

void conn_body_timer(struct connection *c)
{
    const struct exchange *x = c->x;

    if (c->timer_kind == T_SEND)
        return; /* first of all it has to read */
    /* Once the answer is under way the rest of the body matters only to a worker that asks for
     * it. */
    if (x->state == X_HELD && x->body == BODY_COMING && !c->read_paused && !c->read_eof &&
        (!x->started || x->body_credit))
        conn_set_timer(c, T_BODY, c->idle_ms);
    else if (c->timer_kind == T_BODY || (c->timer_kind == T_QUEUE && x->state == X_HELD))
        conn_set_timer(c, T_NONE, 0);
}

void conn_on_event(struct loop_io *io, uint32_t events)
{
    struct connection *c = CONTAINER_OF(io, struct connection, io);

    if (UNLIKELY(c->io.fd < 0))
        return; /* freed earlier in this turn */
    if (UNLIKELY(events & EPOLLERR)) {
        opening_is_lost(c);
        conn_client_gone(c);
        return;
    }
    if (UNLIKELY(c->in_handshake)) {
        if (c->state == C_OPENING)
            opening_step(c);
        else
            client_certificate_step(c);
        return;
    }
    if ((events & EPOLLOUT) && c->out && !out_flush(c) && c->io.fd < 0)
        return; /* else the same event may tell of the next request, and no other will */
    c->is_hung_up = events & (uint32_t)EPOLLRDHUP;
    if ((events & EPOLLIN) && !c->read_paused && !c->read_eof)
        input_read(c);
    else if (UNLIKELY(events & EPOLLHUP))
        conn_client_gone(c);
}

/* Watches for what the connection can use now. */
void conn_arm(struct connection *c)
{
    if (c->stream || c->in_handshake)
        return; /* its carrier watches the socket, or TLS has told what it waits for */
    uint32_t events = (c->read_paused || c->read_eof ? 0u : (uint32_t)EPOLLIN) |
                      (c->out && !c->parked ? (uint32_t)EPOLLOUT : 0u);

    if (LIKELY(!c->tls)) {
        /* Edges: the kernel need not look again at a socket that has just been read. What is not
         * wanted now stays where it is; conn_read_on looks for it. */
        loop_io_set(c->thread->loop, &c->io,
                    (events & (uint32_t)EPOLLOUT) | (c->io.armed & (uint32_t)EPOLLOUT) |
                        (uint32_t)EPOLLIN | (uint32_t)EPOLLRDHUP | (uint32_t)EPOLLET);
        return;
    }
    events = transport_tls_events(c, events);
    /* With nothing to wait for the kernel still reports errors. */
    loop_io_set(c->thread->loop, &c->io, events ? events : (uint32_t)EPOLLHUP);
}

/* What comes will be noticed, and read. */
static bool is_read(const struct connection *c)
{
    return !c->read_paused && (c->tls ? c->io.armed == EPOLLIN : c->io.armed != 0);
}

void conn_read_on(struct connection *c)
{
    bool was_paused = c->read_paused;

    c->read_paused = false;
    conn_arm(c);
    if (UNLIKELY(c->tls ? transport_pending(c) : was_paused))
        conn_ready(c); /* the socket will not say again what has come */
}

static void make_ready(struct connection *c)
{
    struct thread *t = c->thread;

    if (c->ready_prev)
        return;
    c->ready_next = t->ready;
    c->ready_prev = &t->ready;
    if (c->ready_next)
        c->ready_next->ready_prev = &c->ready_next;
    t->ready = c;
}

void conn_ready(struct connection *c)
{
    c->reads_on = true;
    make_ready(c);
}

void conn_send_on(struct connection *c)
{
    c->sends_on = true;
    make_ready(c);
}

static void not_ready(struct connection *c)
{
    if (!c->ready_prev)
        return;
    *c->ready_prev = c->ready_next;
    if (c->ready_next)
        c->ready_next->ready_prev = c->ready_prev;
    c->ready_prev = NULL;
}

bool conn_read_ready(struct thread *t)
{
    struct connection *list = t->ready, *c;

    if (LIKELY(!list))
        return false;
    t->ready = NULL;
    list->ready_prev = &list; /* those that become ready meanwhile wait for the next turn */
    while ((c = list)) {
        not_ready(c);
        bool reads = c->reads_on, sends = c->sends_on;
        c->reads_on = c->sends_on = false;
        if (sends && c->out && !c->parked)
            (void)out_flush(c);
        if (c->advance_again && c->io.fd >= 0)
            conn_advance(c);
        if (reads && c->io.fd >= 0 && !c->read_paused && !c->read_eof && !c->in_handshake)
            input_read(c);
    }
    return t->ready != NULL;
}

/* A head that closes and came with the connection needs no event, so none was asked for. When the
 * answer takes its time, the client's leaving has to be noticed after all. */
void conn_watch_young(struct thread *t)
{
    for (struct connection *c = t->connections; c && c->accepted_ms >= t->last_tick_ms; c = c->next)
        if (c->io.fd >= 0 && !c->io.armed)
            conn_arm(c);
}

static void close_transport(struct connection *c, bool reset)
{
    if (c->batched)
        batch_leave(c);
    if (c->carrier)
        transport_end_carrier(c);
    if (c->stream)
        transport_end_stream(c, reset);
    else if (c->io.fd >= 0)
        transport_close(c, reset); /* epoll forgets it; an event of this turn finds it gone */
    else
        return;
    not_ready(c);
    free(c->proxy);
    c->proxy = NULL;
    if (c->throttle)
        throttle_free(c);
    if (c->counted)
        atomic_fetch_sub_explicit(&c->counted->connections, 1, memory_order_relaxed);
    c->counted = NULL;
    conn_set_timer(c, T_NONE, 0);
    out_drop(c);
}

void conn_free(struct connection *c)
{
    struct thread *t = c->thread;

    close_transport(c, /* reset = */ false);
    timer_wheel_remove(&t->wheel, &c->timer);
    if (c->is_dropped)
        t->n_dropped--;
    if (c->x)
        exchange_free(t, c->x);
    input_free(t, c->in);
    if (t->walk == c)
        t->walk = c->next;
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    t->n_connections--;
    if (!c->is_stream)
        atomic_fetch_sub_explicit(&t->listener->connections, 1, memory_order_relaxed);
    /* No event can still name a stream: the next one of the turn finds its memory warm. */
    if (!ALLOC_IS_WATCHED && c->is_stream && t->n_free_connections < FREE_CONNECTIONS_MAX) {
        c->next = t->free_connections;
        t->free_connections = c;
        t->n_free_connections++;
        return;
    }
    c->next = t->dead;
    t->dead = c;
}

void conn_bury(struct thread *t)
{
    while (t->dead) {
        struct connection *c = t->dead;
        t->dead = c->next;
        if (t->n_free_connections >= FREE_CONNECTIONS_MAX) {
            free(c);
            continue;
        }
        c->next = t->free_connections;
        t->free_connections = c;
        t->n_free_connections++;
    }
}

/* The client has gone and the worker has the request: its line in a log waits for what the worker
 * says of it, for a minute; so many may wait, and no more (Connection_Dropped, ..._List_Full). */
static void wait_for_last_word(struct connection *c)
{
    struct thread *t = c->thread;

    if (c->x->logged)
        return;
    if (t->n_dropped >= DROPPED_MAX) {
        own_log(c, HTTPERR_CONNECTION_DROPPED_LIST_FULL);
        return;
    }
    t->n_dropped++;
    c->is_dropped = true;
    conn_set_timer(c, T_DROPPED, DROPPED_MS);
}

/* The socket goes now; if a worker has the request, the rest stays until its closing record. */
static void conn_end(struct connection *c, bool reset)
{
    struct exchange *x = c->x;

    close_transport(c, reset);
    c->state = C_GONE;
    if (x && (x->state == X_PUSHED || x->state == X_HELD)) {
        x->client_gone = true;
        link_abort(x);
        wait_for_last_word(c);
        return;
    }
    if (x && x->state == X_QUEUED)
        pool_remove(x);
    if (x && x->ended && x->started) {
        x->client_gone = true;
        site_log(x); /* the answer was whole, but not all of it arrived */
    }
    conn_free(c);
}

void conn_close(struct connection *c)
{
    conn_end(c, /* reset = */ false);
}

void conn_reset(struct connection *c)
{
    conn_end(c, /* reset = */ true);
}

void conn_client_gone(struct connection *c)
{
    struct exchange *x = c->x;

    if (c->state == C_GONE)
        return;
    if (x && (x->state == X_QUEUED || x->state == X_PUSHED)) {
        if (x->link)
            link_update_taken(x->link);
        if (x->state != X_HELD)
            own_log(c, HTTPERR_CLIENT_RESET);
    }
    conn_end(c, /* reset = */ false);
}

void conn_linger(struct connection *c)
{
    /* Closing with unread input would send a reset and could take our answer from the client. */
    if (c->throttle)
        throttle_end(c);
    if (c->x) {
        exchange_free(c->thread, c->x);
        c->x = NULL;
    }
    if (c->linger_left == 0)
        c->linger_left = LINGER_BYTES;
    if (c->out)
        return; /* out_flush comes back when all has left */
    if (c->read_eof || c->stream) {
        conn_close(c);
        return;
    }
    transport_shutdown(c);
    conn_read_on(c);
    conn_set_timer(c, T_LINGER, LINGER_MS);
}

/* No more requests are answered. One that reads no more may have input in the kernel. */
static void finish(struct connection *c)
{
    if (!c->read_paused) {
        conn_close(c);
        return;
    }
    c->state = C_LINGERING;
    conn_linger(c);
}

static void head_failed(struct connection *c)
{
    own_response(c, c->parser.reason);
}

/* Reads the next head from the input. False: no complete one is there (or the connection ended). */
static bool read_head(struct connection *c)
{
    struct input *in = c->in;

    if (!c->x) {
        struct exchange *x = exchange_new(c->thread);
        c->x = x;
        x->conn = c;
        x->gen = thread_hold_generation(c->thread);
        x->begin_ms = thread_now_ms(c->thread);
        x->begin_wall_us = c->thread->wall_us;
        x->request_id = ++c->thread->next_request;
        http1_parser_init(&c->parser, &x->gen->generation->http1);
    }
    switch (http1_parse(&c->parser, in->data + in->start, in->end - in->start, &c->x->head)) {
    case RC_OK:
        return true;
    case RC_AGAIN:
        if (c->read_eof || c->thread->stopping) {
            finish(c); /* it will never be whole, or we shall not wait for it */
            return false;
        }
        if (c->timer_kind != T_HEADER)
            conn_set_timer(c, T_HEADER, c->x->gen->generation->header_wait_ms);
        if (!is_read(c))
            conn_read_on(c);
        return false;
    default:
        head_failed(c);
        return false;
    }
}

static void advance(struct connection *c)
{
    if (c->state == C_BUSY || c->state == C_DRAINING) {
        if (body_unread(c->x))
            body_pump(c);
        else if (c->in && c->in->end == c->in->cap) {
            c->read_paused = true;
            conn_arm(c);
        }
        return;
    }
    if (c->state != C_READING)
        return;
    if (c->in && c->in->start == c->in->end) {
        input_free(c->thread, c->in);
        c->in = NULL;
    }
    if (!c->in) {
        if (c->read_eof || c->thread->stopping) {
            finish(c);
            return;
        }
        conn_set_timer(c, T_IDLE, c->idle_ms);
        if (!is_read(c))
            conn_read_on(c);
        return;
    }
    if (UNLIKELY(c->in->data[c->in->start] == 'P') && http2_prior_knowledge(c))
        return;
    if (!read_head(c)) /* c may be gone */
        return;
    c->state = C_BUSY;
    c->x->bytes_received = c->x->head.head_len;
    conn_set_timer(c, T_NONE, 0);
    intake_request(c);
}

/* A request that is answered at once asks for the next one from within. That makes a loop: a client
 * decides how many there are, and the stack is not its to use up; nor is the thread, so that others
 * have their turn after some of them. A connection that goes meanwhile is only buried at the end of
 * the turn. */
void conn_advance(struct connection *c)
{
    if (c->advancing) {
        c->advance_again = true;
        return;
    }
    c->advancing = true;
    unsigned n = 0;
    do {
        c->advance_again = false;
        advance(c);
    } while (c->advance_again && ++n < ADVANCES_PER_TURN);
    c->advancing = false;
    if (UNLIKELY(c->advance_again) && c->io.fd >= 0)
        make_ready(c);
}

void conn_timer_fired(struct timer_entry *e)
{
    struct connection *c = CONTAINER_OF(e, struct connection, timer);

    switch ((enum timer_kind)c->timer_kind) {
    case T_IDLE:
        opening_is_late(c);
        own_log(c, HTTPERR_TIMER_CONNECTION_IDLE);
        conn_close(c);
        return;
    case T_HEADER:
        own_log(c, HTTPERR_TIMER_HEADER_WAIT);
        conn_close(c);
        return;
    case T_BODY:
        if (body_is_buffered(c))
            return; /* it is the worker that takes its time */
        own_log(c, HTTPERR_TIMER_ENTITY_BODY);
        conn_close(c);
        return;
    case T_DRAIN:
        c->x->logged = false; /* the answer has its line; that the body never ended is another */
        own_log(c, HTTPERR_TIMER_ENTITY_BODY);
        conn_close(c);
        return;
    case T_QUEUE:
        if (c->x->link)
            link_update_taken(c->x->link);
        if (c->x->state == X_HELD)
            return;
        own_log(c, HTTPERR_TIMER_REQ_QUEUE);
        conn_close(c);
        return;
    case T_SEND: {
        struct exchange *x = c->x;
        uint32_t rate = x ? x->gen->generation->min_bytes_per_second : 0;
        uint64_t now = thread_now_ms(c->thread);
        uint64_t due = x && rate && !c->throttle ? x->response_begin_ms + response_due_ms(x) : 0;
        if (due > now) {
            conn_set_timer(c, T_SEND, due - now);
            return;
        }
        own_log(c, HTTPERR_TIMER_MIN_BYTES_PER_SECOND);
        conn_reset(c);
        return;
    }
    case T_RENEGOTIATION:
        own_log(c, HTTPERR_TIMER_SSL_RENEGOTIATION);
        conn_close(c);
        return;
    case T_DROPPED:
        c->is_dropped = false;
        c->thread->n_dropped--;
        own_log(c, HTTPERR_CONNECTION_DROPPED);
        return;
    case T_LINGER:
        conn_close(c);
        return;
    case T_NONE:
        return;
    }
}

/* Whoever frees the one that comes next moves the walk on (conn_free). */
void conn_visit(struct thread *t, void (*visit)(struct connection *c))
{
    INVARIANT(!t->walk);
    for (struct connection *c = t->connections; c; c = t->walk) {
        t->walk = c->next;
        visit(c);
    }
}

static void drop_if_idle(struct connection *c)
{
    if (c->carrier)
        c->carrier->finish(c); /* closes once its streams have ended */
    else if (c->state == C_READING && c->advance_again)
        c->read_paused = true; /* its turn is to come; what is sent from now on is too late */
    else if (c->state == C_READING || c->state == C_DRAINING || c->state == C_OPENING)
        conn_close(c);
}

bool conn_has_more_input(const struct connection *c)
{
    return c->in->end > c->in->start + c->x->head.head_len;
}

static bool has_endpoint(const struct connection *c)
{
    const struct acceptor *a = c->thread->acceptors;

    while (a && a->id != c->endpoint)
        a = a->next;
    return a != NULL;
}

/* Between requests a client of HTTP/1 is simply refused; one of HTTP/2 has to be told when not to
 * begin new ones. */
static void drop_if_homeless(struct connection *c)
{
    const struct generation *g = c->thread->current->generation;

    if (c->carrier && (!has_endpoint(c) ||
                       (c->counted && !generation_serves(g, c->bind_port, &c->local, c->counted))))
        c->carrier->finish(c);
}

void conn_drop_homeless(struct thread *t)
{
    conn_visit(t, drop_if_homeless);
}

void conn_drop_idle(struct thread *t)
{
    conn_visit(t, drop_if_idle);
}
