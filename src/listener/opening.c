/* What comes before HTTP on a new connection: the TLS handshake. */
#include "listener/internal.h"
#include "listener/tls.h"
#include "base/poison.h"

static void ready_for_requests(struct connection *c)
{
    metrics_count(c->thread->metrics, METRIC_TLS_HANDSHAKES_OK);
    c->state = C_READING;
    c->in_handshake = false;
    conn_set_timer(c, T_IDLE, c->idle_ms);
    if (tls_is_http2(c->tls))
        conn_close(c);
    else
        input_read(c);
}

void opening_step(struct connection *c)
{
    switch (tls_handshake(c->tls)) {
    case TLS_DONE:
        ready_for_requests(c);
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

void opening_retry(struct thread *t)
{
    for (struct connection *c = t->connections, *next; c; c = next) {
        next = c->next;
        if (c->state == C_OPENING && c->io.fd >= 0)
            opening_step(c);
    }
}

void opening_begin(struct connection *c)
{
    const struct generation *g = c->thread->current->generation;

    c->state = C_OPENING;
    c->is_tls = c->in_handshake = true;
    c->tls = c->thread->tls ? tls_conn_new(c->thread->tls, c->io.fd, &c->local) : NULL;
    if (!c->tls) {
        conn_close(c);
        return;
    }
    conn_set_timer(c, T_IDLE, g->header_wait_ms < c->idle_ms ? g->header_wait_ms : c->idle_ms);
    opening_step(c);
}
