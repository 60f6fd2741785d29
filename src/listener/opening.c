/* What comes before HTTP on a new connection: the header of a trusted balancer, the TLS
 * handshake. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

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

enum { PROXY_PEEK_BYTES = 4096, SAY_MS = 60000 };

/* What clients do wrong is told once a minute; the counters say how often. */
static bool may_say(_Atomic uint64_t *said_ms, uint64_t now)
{
    uint64_t last = atomic_load_explicit(said_ms, memory_order_relaxed);

    return (last == 0 || now - last >= SAY_MS) &&
           atomic_compare_exchange_strong(said_ms, &last, now);
}

static void say(struct listener *l, const char *code, json_t *facts)
{
    json_t *msg = json_pack("{s:s, s:s, s:o}", "type", "event", "code", code, "facts", facts);

    listener_post(l, &(struct letter){.kind = LETTER_EVENT, .json = msg});
}

static void count_failure(const struct connection *c, enum tls_cause cause)
{
    static const enum metric_counter counters[TLS_CAUSES] = {
        [TLS_CAUSE_CLOSED] = METRIC_TLS_CLOSED,   [TLS_CAUSE_NOT_TLS] = METRIC_TLS_NOT_TLS,
        [TLS_CAUSE_VERSION] = METRIC_TLS_VERSION, [TLS_CAUSE_CIPHER] = METRIC_TLS_CIPHER,
        [TLS_CAUSE_ALPN] = METRIC_TLS_ALPN,       [TLS_CAUSE_CERTIFICATE] = METRIC_TLS_CERTIFICATE,
        [TLS_CAUSE_REFUSED] = METRIC_TLS_REFUSED, [TLS_CAUSE_OTHER] = METRIC_TLS_OTHER,
        [TLS_CAUSE_TIMEOUT] = METRIC_TLS_TIMEOUT};

    metrics_count(c->thread->metrics, METRIC_TLS_HANDSHAKES_FAILED);
    metrics_count(c->thread->metrics, counters[cause]);
}

/* Schannel's events. One that only knocks, or goes, has said nothing wrong. */
static void tell_failure(const struct connection *c, const struct tls_failure_facts *f)
{
    static const char *const codes[] = {"SCHANNEL-36874", "SCHANNEL-36887", "SCHANNEL-36888"};
    struct listener *l = c->thread->listener;
    struct str client = c->log_remote.text, server = c->log_local.text;
    size_t kind = f->cause == TLS_CAUSE_VERSION || f->cause == TLS_CAUSE_CIPHER ? 0
                  : f->cause == TLS_CAUSE_REFUSED                               ? 1
                                                                                : 2;

    if (f->cause == TLS_CAUSE_CLOSED || !may_say(&l->tls_said_ms[kind], thread_now_ms(c->thread)))
        return;
    char alert[8] = "-";

    if (f->has_alert)
        snprintf(alert, sizeof(alert), "%u", f->alert);
    say(l, codes[kind],
        json_pack("[s%, s%, s, s, s]", client.p, client.n, server.p, server.n, f->name, f->why,
                  alert));
}

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

static void failed(struct connection *c)
{
    struct tls_failure_facts failure;

    tls_get_failure(c->tls, &failure);
    count_failure(c, failure.cause);
    tell_failure(c, &failure);
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
    case TLS_FULL: /* never of a handshake */
    case TLS_FAILED:
        failed(c);
        conn_close(c);
        return;
    }
}

void opening_is_late(const struct connection *c)
{
    if (c->state == C_OPENING && c->tls)
        count_failure(c, TLS_CAUSE_TIMEOUT);
}

/* A reset often follows an alert, which is still there to be read. */
void opening_is_lost(struct connection *c)
{
    if (c->state != C_OPENING || !c->tls)
        return;
    if (tls_handshake(c->tls) == TLS_FAILED)
        failed(c);
    else
        count_failure(c, TLS_CAUSE_CLOSED);
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
    struct str client = c->log_remote.text, server = c->log_local.text;

    metrics_count(t->metrics, METRIC_PROXY_HEADERS_REFUSED);
    if (may_say(&t->listener->proxy_said_ms, thread_now_ms(t)))
        say(t->listener, "CND-1045",
            json_pack("[s%, s%, s]", client.p, client.n, server.p, server.n, why));
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

static void retry(struct connection *c)
{
    if (c->state == C_OPENING && c->io.fd >= 0 && c->tls)
        handshake(c);
}

void opening_retry(struct thread *t)
{
    conn_visit(t, retry);
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
        c->proxy = malloc(sizeof(*c->proxy));
        if (!c->proxy) {
            conn_close(c);
            return;
        }
        proxy_parser_init(c->proxy);
        read_proxy(c);
    } else {
        after_proxy(c);
    }
}
