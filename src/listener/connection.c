/* A client's connection from accept to close: reading, parsing, timers. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listener/internal.h"
#include "base/poison.h"

enum { ACCEPTS_PER_EVENT = 64, LINGER_MS = 2000, LINGER_BYTES = 1 << 20, INPUT_SLACK = 4096,
       FREE_CONNECTIONS_MAX = 1024 };

static void conn_read(struct connection *c);

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
    /* Once the answer is under way the rest of the body matters only to a worker that asks for it. */
    if (x->state == X_HELD && x->body == BODY_COMING && !c->read_paused && !c->read_eof &&
        (!x->started || x->body_credit))
        conn_set_timer(c, T_BODY, c->idle_ms);
    else if (c->timer_kind == T_BODY || (c->timer_kind == T_QUEUE && x->state == X_HELD))
        conn_set_timer(c, T_NONE, 0);
}

static void set_address(struct msg_address *a, const struct sockaddr_storage *ss)
{
    memset(a, 0, sizeof(*a));
    if (ss->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)ss;
        a->ip[10] = a->ip[11] = 0xff;
        memcpy(a->ip + 12, &in->sin_addr, 4);
        a->is_v4 = 1;
        a->port = ntohs(in->sin_port);
    } else {
        const struct sockaddr_in6 *in6 = (const void *)ss;
        memcpy(a->ip, &in6->sin6_addr, 16);
        a->scope = in6->sin6_scope_id;
        a->port = ntohs(in6->sin6_port);
        a->is_v4 = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? 1 : 0;
    }
}

static void conn_event(struct loop_io *io, uint32_t events)
{
    struct connection *c = CONTAINER_OF(io, struct connection, io);

    if (UNLIKELY(c->io.fd < 0))
        return; /* freed earlier in this turn */
    if (UNLIKELY(events & EPOLLERR)) {
        conn_client_gone(c);
        return;
    }
    if ((events & EPOLLOUT) && !out_flush(c))
        return;
    if (events & EPOLLIN)
        conn_read(c);
    else if (UNLIKELY(events & EPOLLHUP))
        conn_client_gone(c);
}

static char *put_byte(char *p, unsigned v)
{
    if (v >= 100)
        *p++ = (char)('0' + v / 100);
    if (v >= 10)
        *p++ = (char)('0' + v / 10 % 10);
    *p++ = (char)('0' + v % 10);
    return p;
}

/* An address as the logs have it. IPv4 is done here: it happens for every connection. */
static void set_log_address(struct log_addr *ret, char out[LOG_ADDR_TEXT_MAX],
                            const struct msg_address *a, const struct sockaddr_storage *ss)
{
    if (UNLIKELY(!a->is_v4)) {
        log_addr_set(ret, out, (const struct sockaddr *)ss);
        return;
    }
    char *p = out;

    for (int i = 12; i < 16; i++) {
        p = put_byte(p, a->ip[i]);
        *p++ = '.';
    }
    *ret = (struct log_addr){.text = str_n(out, (size_t)(p - 1 - out)), .port = a->port};
}

/* Memory of connections is used again: a server of short ones makes none. */
static struct connection *conn_memory(struct thread *t)
{
    struct connection *c = t->free_connections;

    if (!c)
        return calloc(1, sizeof(*c));
    t->free_connections = c->next;
    t->n_free_connections--;
    memset(c, 0, offsetof(struct connection, remote)); /* the rest is set before it is read */
    return c;
}

/* Our own address. A socket bound to one has told us once for all; a wildcard has to be asked. */
static bool set_local(struct connection *c, const struct acceptor *a, int fd)
{
    struct sockaddr_storage own = a->address;
    socklen_t n = sizeof(own);

    if (a->any_address && getsockname(fd, (struct sockaddr *)&own, &n) < 0)
        return false;
    set_address(&c->local, &own);
    set_log_address(&c->log_local, c->local_text, &c->local, &own);
    return true;
}

static struct connection *conn_new(struct acceptor *a, int fd, const struct sockaddr_storage *peer)
{
    struct thread *t = a->thread;
    struct connection *c = conn_memory(t);

    if (!c || !set_local(c, a, fd)) {
        free(c);
        close(fd);
        return NULL;
    }
    c->io = (struct loop_io){.on_event = conn_event, .fd = fd};
    c->thread = t;
    c->out_end = &c->out;
    c->bind_port = a->port;
    set_address(&c->remote, peer);
    set_log_address(&c->log_remote, c->remote_text, &c->remote, peer);
    c->idle_ms = t->current->generation->idle_ms;
    c->accepted_ms = thread_now_ms(t);
    c->next = t->connections;
    c->prev = &t->connections;
    if (c->next)
        c->next->prev = &c->next;
    t->connections = c;
    t->n_connections++;
    atomic_fetch_add_explicit(&t->listener->connections, 1, memory_order_relaxed);
    return c;
}

/* MaxConnections: dropped without a word. */
static bool too_many_connections(const struct thread *t)
{
    return atomic_load_explicit(&t->listener->connections, memory_order_relaxed) >=
           t->current->generation->parameters.max_connections;
}

void acceptor_on_event(struct loop_io *io, uint32_t events)
{
    struct acceptor *a = CONTAINER_OF(io, struct acceptor, io);

    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        int fd = accept4(io->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                loop_io_set(a->thread->loop, io, 0); /* the backlog waits for the next tick */
            return;
        }
        if (UNLIKELY(too_many_connections(a->thread))) {
            close(fd);
            continue;
        }
        struct connection *c = conn_new(a, fd, &peer);
        if (c) {
            conn_set_timer(c, T_IDLE, c->idle_ms);
            conn_read(c); /* the request is often there already */
        }
    }
}

/* Watches for what the connection can use now. */
void conn_arm(struct connection *c)
{
    uint32_t events = (c->read_paused || c->read_eof ? 0u : (uint32_t)EPOLLIN) |
                      (c->out ? (uint32_t)EPOLLOUT : 0u);

    /* With nothing to wait for the kernel still reports errors. */
    loop_io_set(c->thread->loop, &c->io, events ? events : (uint32_t)EPOLLHUP);
}

/* A head that closes and came with the connection needs no event, so none was asked for. When the
 * answer takes its time, the client's leaving has to be noticed after all. */
void conn_watch_young(struct thread *t)
{
    for (struct connection *c = t->connections; c && c->accepted_ms >= t->last_tick_ms; c = c->next)
        if (c->io.fd >= 0 && !c->io.armed)
            conn_arm(c);
}

static void close_socket(struct connection *c)
{
    if (c->io.fd < 0)
        return;
    close(c->io.fd); /* epoll forgets it; an event of this turn finds the descriptor gone */
    c->io.fd = -1;
    c->io.armed = 0;
    if (c->counted)
        atomic_fetch_sub_explicit(&c->counted->connections, 1, memory_order_relaxed);
    c->counted = NULL;
    conn_set_timer(c, T_NONE, 0);
    out_drop(c);
}

void conn_free(struct connection *c)
{
    struct thread *t = c->thread;

    close_socket(c);
    timer_wheel_remove(&t->wheel, &c->timer);
    if (c->x)
        exchange_free(t, c->x);
    input_free(t, c->in);
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    t->n_connections--;
    atomic_fetch_sub_explicit(&t->listener->connections, 1, memory_order_relaxed);
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

/* The socket goes now; if a worker has the request, the rest stays until its closing record. */
static void conn_end(struct connection *c)
{
    struct exchange *x = c->x;

    close_socket(c);
    c->state = C_GONE;
    if (x && (x->state == X_PUSHED || x->state == X_HELD)) {
        x->client_gone = true;
        link_abort(x);
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
    conn_end(c);
}

void conn_reset(struct connection *c)
{
    struct linger hard = {.l_onoff = 1};

    if (c->io.fd >= 0)
        setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    conn_end(c);
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
    conn_end(c);
}

void conn_linger(struct connection *c)
{
    /* Closing with unread input would send a reset and could take our answer from the client. */
    if (c->x) {
        exchange_free(c->thread, c->x);
        c->x = NULL;
    }
    if (c->linger_left == 0)
        c->linger_left = LINGER_BYTES;
    if (c->out)
        return; /* out_flush comes back when all has left */
    if (c->read_eof) {
        conn_close(c);
        return;
    }
    shutdown(c->io.fd, SHUT_WR);
    c->read_paused = false;
    conn_arm(c);
    conn_set_timer(c, T_LINGER, LINGER_MS);
}

static void drop_input(struct connection *c)
{
    char *sink = c->thread->scratch;

    for (;;) {
        ssize_t n = recv(c->io.fd, sink, SCRATCH_BYTES, 0);
        if (n > 0 && (size_t)n < c->linger_left) {
            c->linger_left -= (uint32_t)n;
            continue;
        }
        if (n < 0 && errno == EAGAIN)
            return;
        if (n == 0 && c->out) {
            c->read_eof = true; /* it may still read what is on its way */
            conn_arm(c);
            return;
        }
        conn_close(c);
        return;
    }
}

/* Makes room behind the bytes that are there; false if the buffer is as large as it may be. */
static bool make_room(struct connection *c)
{
    struct thread *t = c->thread;
    struct input *in = c->in;
    const struct generation *g = c->x ? c->x->gen->generation : t->current->generation;
    uint32_t most = g->http1.max_request_bytes + INPUT_SLACK;

    if (!in) {
        c->in = input_new(t, INPUT_BYTES);
        return c->in != NULL;
    }
    if (in->end < in->cap)
        return true;
    if (in->start > 0 && c->state == C_READING) {
        memmove(in->data, in->data + in->start, in->end - in->start);
        in->end -= in->start;
        in->start = 0;
        return true;
    }
    if (in->cap >= most || c->state != C_READING)
        return false;
    uint32_t cap = in->cap * 2 < most ? in->cap * 2 : most;
    struct input *bigger = input_new(t, cap);

    if (!bigger)
        return false;
    memcpy(bigger->data, in->data, in->end);
    bigger->end = in->end;
    input_free(t, in);
    c->in = bigger;
    return true;
}

bool input_make_body_room(struct connection *c)
{
    struct input *in = c->in;
    uint32_t n = in->end - in->start, need = c->x->head.head_len + INPUT_SLACK;

    if (in->start) {
        memmove(in->data, in->data + in->start, n);
        in->start = 0;
        in->end = n;
    }
    if (in->cap >= need)
        return true;
    struct input *bigger = input_new(c->thread, need + INPUT_BYTES);

    if (!bigger)
        return false;
    memcpy(bigger->data, in->data, n);
    bigger->end = n;
    input_free(c->thread, in);
    c->in = bigger;
    return true;
}

static void conn_read(struct connection *c)
{
    if (c->state == C_LINGERING) {
        drop_input(c);
        return;
    }
    if (!make_room(c)) {
        c->read_paused = true; /* pipelined requests wait in the kernel */
        conn_arm(c);
        return;
    }
    struct input *in = c->in;
    ssize_t n = recv(c->io.fd, in->data + in->end, in->cap - in->end, 0);

    if (n > 0) {
        in->end += (uint32_t)n;
        conn_advance(c);
        return;
    }
    if (in->start == in->end && !c->x) {
        input_free(c->thread, in);
        c->in = NULL;
    }
    if (n < 0 && errno == EAGAIN) {
        if (!c->io.armed)
            conn_arm(c);
        return;
    }
    if (n < 0) {
        conn_client_gone(c);
        return;
    }
    c->read_eof = true;
    if (c->state == C_BUSY && (!body_unread(c->x) || body_is_buffered(c))) {
        conn_arm(c); /* half-closed: it still wants its answer */
        return;
    }
    if (c->state == C_BUSY)
        conn_client_gone(c); /* it will never send the rest */
    else
        conn_close(c);
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
            conn_close(c); /* it will never be whole, or we shall not wait for it */
            return false;
        }
        if (c->timer_kind != T_HEADER)
            conn_set_timer(c, T_HEADER, c->x->gen->generation->header_wait_ms);
        if (!c->io.armed || c->read_paused) {
            c->read_paused = false;
            conn_arm(c);
        }
        return false;
    default:
        head_failed(c);
        return false;
    }
}

void conn_advance(struct connection *c)
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
            conn_close(c);
            return;
        }
        conn_set_timer(c, T_IDLE, c->idle_ms);
        if (c->io.armed != EPOLLIN) {
            c->read_paused = false;
            conn_arm(c);
        }
        return;
    }
    if (!read_head(c)) /* c may be gone */
        return;
    c->state = C_BUSY;
    c->x->bytes_received = c->x->head.head_len;
    conn_set_timer(c, T_NONE, 0);
    intake_request(c);
}

void conn_timer_fired(struct timer_entry *e)
{
    struct connection *c = CONTAINER_OF(e, struct connection, timer);

    switch ((enum timer_kind)c->timer_kind) {
    case T_IDLE:
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
        c->x->logged = false; /* the answer has its line; that the body never ended is told as well */
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
        uint64_t due = x && rate ? x->response_begin_ms + response_due_ms(x) : 0;
        if (due > now) {
            conn_set_timer(c, T_SEND, due - now);
            return;
        }
        own_log(c, HTTPERR_TIMER_MIN_BYTES_PER_SECOND);
        conn_reset(c);
        return;
    }
    case T_LINGER:
        conn_close(c);
        return;
    case T_NONE:
        return;
    }
}

void conn_drop_idle(struct thread *t)
{
    for (struct connection *c = t->connections, *next; c; c = next) {
        next = c->next;
        if (c->state == C_READING || c->state == C_DRAINING)
            conn_close(c);
    }
}
