/* From a listening socket to a connection: acceptance, addresses, limits. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ip.h"
#include "listener/accept.h"
#include "listener/connection.h"
#include "listener/generation.h"
#include "listener/memory_guard.h"
#include "listener/metrics.h"
#include "listener/shared.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "base/poison.h"

enum { ACCEPTS_PER_EVENT = 64 };

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

void conn_set_remote(struct connection *c, const struct ip_address *ip, uint16_t port)
{
    struct sockaddr_storage ss = {.ss_family = AF_INET6};
    struct sockaddr_in6 *v6 = (void *)&ss;
    struct sockaddr_in *v4 = (void *)&ss;

    if (ip->is_v4) {
        v4->sin_family = AF_INET;
        memcpy(&v4->sin_addr, ip->bytes + 12, 4);
        v4->sin_port = htons(port);
    } else {
        memcpy(&v6->sin6_addr, ip->bytes, 16);
        v6->sin6_scope_id = ip->scope;
        v6->sin6_port = htons(port);
    }
    set_address(&c->remote, &ss);
    set_log_address(&c->log_remote, c->remote_text, &c->remote, &ss);
}

static void link_connection(struct thread *t, struct connection *c)
{
    c->next = t->connections;
    c->prev = &t->connections;
    if (c->next)
        c->next->prev = &c->next;
    t->connections = c;
    t->n_connections++;
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
    c->io = (struct loop_io){.on_event = conn_on_event, .fd = fd};
    c->thread = t;
    c->out_end = &c->out;
    c->endpoint = a->id;
    c->bind_port = a->port;
    set_address(&c->remote, peer);
    set_log_address(&c->log_remote, c->remote_text, &c->remote, peer);
    c->idle_ms = t->current->generation->idle_ms;
    c->accepted_ms = thread_now_ms(t);
    link_connection(t, c);
    atomic_fetch_add_explicit(&t->listener->connections, 1, memory_order_relaxed);
    metrics_count(t->metrics, METRIC_CONNECTIONS_ACCEPTED);
    return c;
}

static struct log_addr moved(const struct log_addr *from, const char *text_from, char *text_to)
{
    struct log_addr to = *from;

    memcpy(text_to, text_from, LOG_ADDR_TEXT_MAX);
    to.text.p = text_to + (from->text.p - text_from);
    return to;
}

struct connection *conn_lend_stream(struct connection *c, struct connection *carrier,
                                    const struct stream_ops *ops)
{
    if (c)
        memset(c, 0, offsetof(struct connection, remote));
    else
        c = conn_memory(carrier->thread);
    if (!c)
        return NULL;
    c->io.fd = -1;
    c->thread = carrier->thread;
    c->out_end = &c->out;
    c->bind_port = carrier->bind_port;
    c->is_stream = true;
    c->is_tls = carrier->is_tls;
    c->stream = ops;
    conn_lend_again(c, carrier);
    return c;
}

void conn_lend_again(struct connection *c, struct connection *carrier)
{
    c->parent = carrier;
    c->log_remote = carrier->log_remote;
    c->log_local = carrier->log_local;
    c->idle_ms = carrier->idle_ms;
    c->accepted_ms = thread_now_ms(carrier->thread);
}

void conn_keep_stream(struct connection *c)
{
    const struct connection *carrier = c->parent;

    c->remote = carrier->remote;
    c->local = carrier->local;
    c->log_remote = moved(&carrier->log_remote, carrier->remote_text, c->remote_text);
    c->log_local = moved(&carrier->log_local, carrier->local_text, c->local_text);
    link_connection(c->thread, c);
}

/* MaxConnections: dropped without a word. */
static bool too_many_connections(const struct thread *t)
{
    return atomic_load_explicit(&t->listener->connections, memory_order_relaxed) >=
           t->current->generation->parameters.max_connections;
}

/* Memory is short: closed at once, with one line a second in HTTPERR for all of them. */
static void refuse(struct acceptor *a, int fd, const struct sockaddr_storage *peer)
{
    struct thread *t = a->thread;
    struct log_httperr_record r = {.wall_us = t->wall_us,
                                   .reason = httperr_reason_name(HTTPERR_CONNECTIONS_REFUSED),
                                   .transport = STR("TCP")};
    struct sockaddr_storage own;
    socklen_t n = sizeof(own);
    char client[LOG_ADDR_TEXT_MAX], server[LOG_ADDR_TEXT_MAX];

    metrics_count(t->metrics, METRIC_CONNECTIONS_REFUSED);
    if (memory_guard_may_log(&t->listener->memory, thread_now_ms(t)) &&
        getsockname(fd, (struct sockaddr *)&own, &n) == 0) {
        log_addr_set(&r.client, client, (const struct sockaddr *)peer);
        log_addr_set(&r.server, server, (const struct sockaddr *)&own);
        metrics_httperr(t->metrics, HTTPERR_CONNECTIONS_REFUSED, 0, 0);
        logging_httperr(t->listener->logging, t->index, &r);
    }
    close(fd);
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
            metrics_count(a->thread->metrics, METRIC_CONNECTIONS_REFUSED);
            close(fd);
            continue;
        }
        if (UNLIKELY(memory_guard_refuses(&a->thread->listener->memory))) {
            refuse(a, fd, &peer);
            continue;
        }
        struct connection *c = conn_new(a, fd, &peer);
        if (c) {
            conn_set_timer(c, T_IDLE, c->idle_ms);
            if (UNLIKELY(opening_is_needed(c, a->https)))
                opening_begin(c, a->https);
            else
                input_read(c); /* the request is often there already */
        }
    }
}

