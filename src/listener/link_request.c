/* A request as one flat record on a worker's ring. */
#include <stdlib.h>

#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/link.h"
#include "listener/thread.h"
#include "listener/tls.h"
#include "queue/message.h"
#include "base/poison.h"

/* The bytes behind the header table: the head as it came, then what is not in it. */
struct blob {
    const char *base;
    char *at;
    uint32_t used;
};

static struct msg_span span_of(struct blob *b, const struct exchange *x, struct str s)
{
    const char *head = b->base;

    if (s.n == 0)
        return (struct msg_span){0, 0};
    if (s.p >= head && s.p + s.n <= head + x->head.head_len)
        return (struct msg_span){(uint32_t)(s.p - head), (uint32_t)s.n};
    memcpy(b->at + b->used, s.p, s.n);
    b->used += (uint32_t)s.n;
    return (struct msg_span){b->used - (uint32_t)s.n, (uint32_t)s.n};
}

static uint32_t request_flags(const struct exchange *x)
{
    return (x->body == BODY_COMING ? MSGF_HAS_BODY : 0u) |
           (x->head.keep_alive ? MSGF_KEEP_ALIVE : 0u) |
           (x->head.expect_100 ? MSGF_EXPECT_CONTINUE : 0u);
}

/* A body length beyond what the message can say is beyond every limit as well. */
static int64_t content_length_of(const struct exchange *x)
{
    const struct http1_head *h = &x->head;

    if (h->chunked || (x->conn->is_stream && h->content_length == UINT64_MAX))
        return -1;
    return h->content_length > INT64_MAX ? INT64_MAX : (int64_t)h->content_length;
}

static void put_fields(char *to, const struct http1_head *h)
{
    const struct http1_header *in = http1_headers(h);

    for (size_t i = 0; i < h->n_headers; i++) {
        struct msg_field f = {.name_off = in[i].name_off,
                              .value_off = in[i].value_off,
                              .value_len = in[i].value_len,
                              .name_len = in[i].name_len,
                              .id = in[i].id};
        memcpy(to + i * sizeof(f), &f, sizeof(f));
    }
}

static struct msg_request facts_of(const struct exchange *x)
{
    const struct http1_head *h = &x->head;

    return (struct msg_request){.site_id = x->site->id,
                                .flags = request_flags(x),
                                .request_id = x->request_id,
                                .generation = x->gen->generation->id,
                                .content_length = content_length_of(x),
                                .begin_wall_us = x->begin_wall_us,
                                .remote = x->conn->remote,
                                .local = x->conn->local,
                                .n_fields = (uint16_t)h->n_headers,
                                .method_id = h->method,
                                .major = (uint8_t)h->version_major,
                                .minor = (uint8_t)(h->version_major ? h->version_minor : 0)};
}

enum push_result link_put_request(struct ring *requests, const struct exchange *x)
{
    struct connection *c = x->conn;
    const struct http1_head *h = &x->head;
    const char *head = c->in->data + c->in->start;
    struct str host = x->url.host.name.n ? x->url.host.name : http1_host(h, head);
    size_t table = h->n_headers * sizeof(struct msg_field);
    struct tls_facts tls;
    uint32_t tls_flags;

    client_certificate_facts(c, &tls, &tls_flags);
    size_t most = sizeof(struct msg_request) + table + h->head_len + x->url.path.n + host.n +
                  tls.cipher.n + tls.server_name.n + tls.client_cert.n + 16;

    if (most > MESSAGE_REQUEST_MAX || most > requests->size / 4 ||
        h->n_headers > MESSAGE_FIELDS_MAX)
        return PUSH_TOO_LARGE;
    char *room = ring_reserve(requests, (uint32_t)most);
    if (!room)
        return PUSH_FULL;
    struct blob b = {.base = head, .at = room + sizeof(struct msg_request) + table};

    memcpy(b.at, head, h->head_len);
    b.used = h->head_len;
    put_fields(room + sizeof(struct msg_request), h);
    struct msg_request m = facts_of(x);

    m.flags |= tls_flags;
    m.method = span_of(&b, x, http1_method(h, head));
    m.raw_target = span_of(&b, x, http1_target(h, head));
    m.path = span_of(&b, x, x->url.path);
    m.query = span_of(&b, x, x->url.query);
    m.host = span_of(&b, x, host);
    if (tls.version) {
        m.tls = (struct msg_tls){.version = tls.version,
                                 .cipher_bits = tls.cipher_bits,
                                 .key_bits = tls.key_bits,
                                 .verdict = (uint16_t)tls.verdict,
                                 .cipher = span_of(&b, x, tls.cipher),
                                 .server_name = span_of(&b, x, tls.server_name),
                                 .client_cert = span_of(&b, x, tls.client_cert)};
    }
    m.n_bytes = b.used;
    memcpy(room, &m, sizeof(m));
    ring_commit(requests, MSG_REQUEST, x->body == BODY_COMING ? 0 : MSG_END, exchange_id(x),
                (uint32_t)(sizeof(m) + table + b.used));
    return PUSH_DONE;
}
