/* What a worker learns about TLS with each request, and asking a client for its certificate for one
 * URL (access sslFlags SslNegotiateCert): by renegotiation or, with TLS 1.3, after the
 * handshake. */
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/link.h"
#include "listener/thread.h"
#include "listener/tls.h"
#include "base/poison.h"

static struct tls_conn *tls_of(const struct connection *c)
{
    return c->parent ? c->parent->tls : c->tls;
}

void client_certificate_facts(const struct connection *c, struct tls_facts *ret,
                              uint32_t *ret_flags)
{
    struct tls_conn *tls = tls_of(c);

    *ret = (struct tls_facts){.version = 0};
    *ret_flags = c->is_tls ? MSGF_TLS : 0;
    if (!tls)
        return;
    tls_get_facts(tls, ret);
    if (!c->is_stream && tls_can_ask_client_cert(tls))
        *ret_flags |= MSGF_CERT_ASKABLE;
}

/* The answer that the worker waits for. */
static void tell_worker(struct exchange *x)
{
    struct link *k = x->link;
    struct tls_facts facts;
    uint32_t flags;

    client_certificate_facts(x->conn, &facts, &flags);
    struct msg_client_cert m = {.verdict = facts.verdict, .der_len = (uint32_t)facts.client_cert.n};
    char *room = ring_reserve(&k->requests, (uint32_t)(sizeof(m) + facts.client_cert.n));

    if (!room) {
        link_owe(x, X_UNSENT_CERT);
        return;
    }
    memcpy(room, &m, sizeof(m));
    if (m.der_len)
        memcpy(room + sizeof(m), facts.client_cert.p, m.der_len);
    ring_commit(&k->requests, MSG_CLIENT_CERT, 0, exchange_id(x),
                (uint32_t)sizeof(m) + m.der_len);
    link_mark_dirty(k);
}

void client_certificate_owed(struct exchange *x)
{
    if (!x->client_gone)
        tell_worker(x);
}

static void asked(struct connection *c)
{
    c->in_handshake = false;
    conn_set_timer(c, T_NONE, 0);
    conn_read_on(c);
    tell_worker(c->x);
}

void client_certificate_step(struct connection *c)
{
    size_t n, got;
    char *room = input_room(c, &n);
    enum tls_rc rc = tls_ask_client_cert(c->tls, room, n, &got);

    c->in->end += (uint32_t)got; /* the next requests: they wait as pipelined ones do */
    switch (rc) {
    case TLS_FULL:
        c->x->head.keep_alive = false;
        asked(c);
        return;
    case TLS_DONE:
        asked(c);
        return;
    case TLS_READS:
    case TLS_WAITS:
        loop_io_set(c->thread->loop, &c->io, EPOLLIN);
        return;
    case TLS_WRITES:
        loop_io_set(c->thread->loop, &c->io, EPOLLOUT);
        return;
    case TLS_FAILED:
        conn_client_gone(c);
        return;
    }
}

void client_certificate_wanted(struct exchange *x)
{
    struct connection *c = x->conn;

    if (x->client_gone)
        return; /* the worker has been told already */
    if (c->is_stream || !c->tls || c->out || x->body == BODY_COMING || x->started ||
        c->read_eof || !tls_can_ask_client_cert(c->tls)) {
        tell_worker(x);
        return;
    }
    c->in_handshake = true;
    conn_set_timer(c, T_RENEGOTIATION, RENEGOTIATION_MS);
    client_certificate_step(c);
}
