/* What comes before HTTP on a new connection: the header of a trusted balancer, the TLS
 * handshake. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "http/proxy_protocol.h"
#include "listener/accept.h"
#include "listener/connection.h"
#include "listener/generation.h"
#include "listener/letters.h"
#include "listener/metrics.h"
#include "listener/shared.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "listener/tls.h"
#include "base/poison.h"

enum { PROXY_PEEK_BYTES = 4096, PROXY_SAY_MS = 60000 };

static void first_request(struct connection *c)
{
    c->state = C_READING;
    c->in_handshake = false;
    conn_set_timer(c, T_IDLE, c->idle_ms);
    if (c->tls && tls_is_http2(c->tls))
        http2_begin(c);
    else
        input_read(c);
}

static void handshake(struct connection *c)
{
    switch (tls_handshake(c->tls)) {
    case TLS_DONE:
        metrics_count(c->thread->metrics, METRIC_TLS_HANDSHAKES_OK);
        if (c->io.armed && c->io.armed != EPOLLIN) /* it has waited for something else */
            loop_io_set(c->thread->loop, &c->io, EPOLLIN);
        first_request(c);
        return;
    case TLS_READS:
        loop_io_set(c->thread->loop, &c->io, EPOLLIN);
        return;
    case TLS_WRITES:
        loop_io_set(c->thread->loop, &c->io, EPOLLOUT);
        return;
    case TLS_WAITS:
        loop_io_set(c->thread->loop, &c->io, EPOLLHUP);
        return; /* for opening_retry */
    case TLS_FAILED:
        metrics_count(c->thread->metrics, METRIC_TLS_HANDSHAKES_FAILED);
        conn_close(c);
        return;
    }
}

static void after_proxy(struct connection *c)
{
    if (!c->is_tls) {
        first_request(c);
        return;
    }
    c->tls = c->thread->tls ? tls_conn_new(c->thread->tls, c->io.fd, &c->local) : NULL;
    if (c->tls)
        handshake(c);
    else
        conn_close(c);
}

/* A balancer that is set up wrongly fails for all of its clients: an event a minute tells it, the
 * counter how often. One that only knocks, as health checks do, has said nothing wrong. */
static void refuse_header(struct connection *c, const char *why)
{
    struct thread *t = c->thread;
    struct listener *l = t->listener;
    uint64_t now = thread_now_ms(t);
    uint64_t last = atomic_load_explicit(&l->proxy_said_ms, memory_order_relaxed);
    struct str client = c->log_remote.text, server = c->log_local.text;

    metrics_count(t->metrics, METRIC_PROXY_HEADERS_REFUSED);
    if ((last == 0 || now - last >= PROXY_SAY_MS) &&
        atomic_compare_exchange_strong(&l->proxy_said_ms, &last, now)) {
        json_t *facts = json_pack("[s%, s%, s]", client.p, client.n, server.p, server.n, why);
        json_t *msg =
            json_pack("{s:s, s:s, s:o}", "type", "event", "code", "CND-1045", "facts", facts);
        listener_post(l, &(struct letter){.kind = LETTER_EVENT, .json = msg});
    }
    conn_close(c);
}

/* Looks at what has come and takes off the socket what belongs to the header: the rest is TLS's or
 * HTTP's to read. */
static void read_proxy(struct connection *c)
{
    char *peek = c->thread->scratch;
    ssize_t n = recv(c->io.fd, peek, PROXY_PEEK_BYTES, MSG_PEEK);
    struct proxy_header header;
    size_t used = 0;

    if (n < 0 && errno == EAGAIN) {
        loop_io_set(c->thread->loop, &c->io, EPOLLIN);
        return;
    }
    if (n <= 0) {
        if (c->proxy->n && n == 0)
            refuse_header(c, "it ended within its PROXY header");
        else
            conn_close(c);
        return;
    }
    enum proxy_rc rc = proxy_parse(c->proxy, str_n(peek, (size_t)n), &used, &header);

    if (rc == PROXY_BAD) {
        refuse_header(c, proxy_parser_has_begun(c->proxy)
                             ? "its PROXY header is malformed"
                             : "it does not begin with a PROXY header");
        return;
    }
    if (recv(c->io.fd, peek, used, 0) != (ssize_t)used) {
        conn_close(c);
        return;
    }
    if (rc == PROXY_MORE) {
        loop_io_set(c->thread->loop, &c->io, EPOLLIN);
        return;
    }
    free(c->proxy);
    c->proxy = NULL;
    metrics_count(c->thread->metrics, METRIC_PROXY_HEADERS_TAKEN);
    if (header.has_addresses)
        conn_set_remote(c, &header.source, header.source_port);
    after_proxy(c);
}

void opening_step(struct connection *c)
{
    if (c->proxy)
        read_proxy(c);
    else
        handshake(c);
}

void opening_retry(struct thread *t)
{
    for (struct connection *c = t->connections, *next; c; c = next) {
        next = c->next;
        if (c->state == C_OPENING && c->io.fd >= 0 && c->tls)
            handshake(c);
    }
}

bool opening_is_needed(const struct connection *c, bool https)
{
    const struct generation *g = c->thread->current->generation;
    const struct proxy_policy *p = generation_proxy_policy(g, c->bind_port, &c->local);

    return https || (p && proxy_policy_trusts(p, &c->remote));
}

void opening_begin(struct connection *c, bool https)
{
    const struct generation *g = c->thread->current->generation;
    const struct proxy_policy *p = generation_proxy_policy(g, c->bind_port, &c->local);

    c->state = C_OPENING;
    c->in_handshake = true;
    c->is_tls = https;
    conn_set_timer(c, T_IDLE, g->header_wait_ms < c->idle_ms ? g->header_wait_ms : c->idle_ms);
    if (p && proxy_policy_trusts(p, &c->remote)) {
        c->proxy = xmalloc(sizeof(*c->proxy));
        proxy_parser_init(c->proxy);
        read_proxy(c);
    } else {
        after_proxy(c);
    }
}
