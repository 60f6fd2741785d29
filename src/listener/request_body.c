/* The body of a request: it goes to the worker as far as the worker asks for it, and is dropped
 * once nobody wants it any more. The head stays in the input buffer until the request is over
 * (logs, another try with another worker); the body passes through the room behind it. */
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/link.h"
#include "listener/output.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "base/poison.h"

bool body_unread(const struct exchange *x)
{
    return x && x->body == BODY_COMING;
}

static uint32_t head_end(const struct connection *c)
{
    return c->in->start + c->x->head.head_len;
}

/* Chunks that came together with the head are looked at before anyone is bothered with them. */
static enum rc probe_chunks(const struct connection *c, enum httperr_reason *ret_why)
{
    struct chunked probe = c->x->chunked;
    const char *p = c->in->data + head_end(c), *end = c->in->data + c->in->end;

    for (;;) {
        size_t used;
        struct str data;
        enum rc rc = chunked_feed(&probe, p, (size_t)(end - p), &used, &data);
        *ret_why = probe.reason;
        p += used;
        if (rc != RC_AGAIN || p == end)
            return rc;
    }
}

bool body_is_buffered(const struct connection *c)
{
    enum httperr_reason why;

    if (c->is_stream)
        return c->read_eof;
    if (!c->x->head.chunked)
        return c->in->end - head_end(c) >= c->x->body_left;
    return probe_chunks(c, &why) == RC_OK;
}

enum httperr_reason body_begin(struct connection *c)
{
    struct exchange *x = c->x;
    const struct http1_limits *limits = &x->gen->generation->http1;

    if (!x->head.chunked && x->head.content_length == 0) {
        x->body = BODY_NONE;
        return HTTPERR_NONE;
    }
    x->body = BODY_COMING;
    x->body_left = x->head.content_length; /* UINT64_MAX on a stream that does not tell */
    if (!input_make_body_room(c))
        return HTTPERR_NOT_AVAILABLE;
    if (!x->head.chunked)
        return HTTPERR_NONE;
    struct chunked_limits cl = {.max_field_length = limits->max_field_length,
                                .max_trailer_bytes = limits->max_request_bytes,
                                .flags = limits->flags &
                                         (HTTP1_WEAK_HEADER_NAMES | HTTP1_WEAK_HEADER_VALUES)};
    chunked_init(&x->chunked, &cl);
    enum httperr_reason why;

    return probe_chunks(c, &why) == RC_FAIL ? why : HTTPERR_NONE;
}

/* The length was not told, and what goes up to p is the last that the stream brought. */
static bool ends_with_stream(const struct exchange *x, const char *p)
{
    const struct connection *c = x->conn;

    return c->is_stream && x->body_left == UINT64_MAX && c->read_eof &&
           p == c->in->data + c->in->end;
}

/* Takes up to n bytes at p as body. *ret_data is what they carry. False: the framing is broken. */
static bool decode(struct exchange *x, const char *p, size_t n, size_t *ret_used,
                   struct str *ret_data)
{
    if (!x->head.chunked) {
        size_t k = n < x->body_left ? n : (size_t)x->body_left;
        if (!x->conn->is_stream || x->body_left != UINT64_MAX)
            x->body_left -= k;
        *ret_used = k;
        *ret_data = str_n(p, k);
        if (x->body_left == 0 || ends_with_stream(x, p + k))
            x->body = BODY_DONE;
        return true;
    }
    switch (chunked_feed(&x->chunked, p, n, ret_used, ret_data)) {
    case RC_OK:
        x->body = BODY_DONE;
        return true;
    case RC_AGAIN:
        return true;
    default:
        return false;
    }
}

static void consume_input(struct connection *c, uint32_t from, size_t n)
{
    struct input *in = c->in;

    memmove(in->data + from, in->data + from + n, in->end - from - n);
    in->end -= (uint32_t)n;
    if (c->stream)
        c->stream->consumed(c, n);
}

static void broken_framing(struct connection *c)
{
    struct exchange *x = c->x;

    /* The request is with a worker already: no 400 any more, the read fails and the connection is
     * reset (httpsys.md 1.7). */
    own_log(c, x->chunked.reason ? x->chunked.reason : HTTPERR_BAD_REQUEST);
    conn_reset(c);
}

static void drop(struct connection *c)
{
    struct exchange *x = c->x;
    uint32_t from = head_end(c);

    while (x->body == BODY_COMING && c->in->end > from) {
        size_t used = 0;
        struct str data;
        if (!decode(x, c->in->data + from, c->in->end - from, &used, &data)) {
            conn_reset(c);
            return;
        }
        x->bytes_received += used;
        consume_input(c, from, used);
    }
    if (x->body == BODY_DONE) {
        response_finish(c);
        return;
    }
    conn_set_timer(c, T_DRAIN, c->idle_ms);
    conn_read_on(c);
}

void body_pump(struct connection *c)
{
    struct exchange *x = c->x;
    uint32_t from = head_end(c);

    if (c->state == C_DRAINING) {
        drop(c);
        return;
    }
    while (x->state == X_HELD && x->body == BODY_COMING && x->body_credit &&
           (c->in->end > from || ends_with_stream(x, c->in->data + from))) {
        size_t n = c->in->end - from, used = 0;
        if (n > MESSAGE_BODY_MAX)
            n = MESSAGE_BODY_MAX;
        if (n > x->body_credit)
            n = (size_t)x->body_credit;
        char *room = ring_reserve(&x->link->requests, (uint32_t)n);
        struct str data;
        if (!room) {
            link_owe(x, X_UNSENT_BODY);
            break;
        }
        if (!decode(x, c->in->data + from, n, &used, &data)) {
            broken_framing(c);
            return;
        }
        if (data.n || x->body == BODY_DONE) {
            if (data.n)
                memcpy(room, data.p, data.n);
            ring_commit(&x->link->requests, MSG_REQUEST_BODY, x->body == BODY_DONE ? MSG_END : 0,
                        exchange_id(x), (uint32_t)data.n);
            link_mark_dirty(x->link);
        }
        x->body_credit -= data.n;
        x->bytes_received += used;
        consume_input(c, from, used);
    }
    bool pause = c->in->end == c->in->cap;

    if (!pause && c->read_paused) {
        conn_read_on(c);
    } else if (pause != c->read_paused || (x->body == BODY_COMING && !c->io.armed)) {
        c->read_paused = pause;
        conn_arm(c);
    }
    conn_body_timer(c);
}

void body_wanted(struct exchange *x, uint64_t amount)
{
    struct connection *c = x->conn;

    if (x->client_gone || x->body != BODY_COMING)
        return;
    if (__builtin_add_overflow(x->body_credit, amount, &x->body_credit))
        x->body_credit = UINT64_MAX;
    if (x->head.expect_100 && !x->sent_continue && !x->started && c->in->end == head_end(c)) {
        struct str interim = STR("HTTP/1.1 100 Continue\r\n\r\n");
        x->sent_continue = true;
        if (c->is_stream)
            c->stream->head(c, &(struct stream_head){.status = 100, .length = UINT64_MAX});
        else if (!out_bytes(c, interim.p, interim.n, /* more = */ false, /* credit = */ 0))
            return;
    }
    x->sent_continue = true;
    body_pump(c);
}
