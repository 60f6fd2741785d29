/* A stream of HTTP/2 as a connection of one exchange: its body on the way in, its end. */
#include <stdlib.h>

#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/http2.h"
#include "listener/output.h"
#include "listener/response_cache.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "base/poison.h"

enum { OWN_ANSWER_MS = 30000 };

/* --- its memory --- */

struct http2_stream *http2_stream_new(struct http2 *h, int32_t id)
{
    struct http2_thread *t = http2_of(h);
    struct http2_stream *s = t->free_streams;

    if (s)
        t->free_streams = s->next;
    else
        s = malloc(sizeof(*s));
    if (!s)
        return NULL;
    *s = (struct http2_stream){.session = h, .id = id, .next = h->streams, .prev = &h->streams};
    if (s->next)
        s->next->prev = &s->next;
    h->streams = s;
    h->n_streams++;
    return s;
}

struct http2_stream *http2_find(struct http2 *h, int32_t id)
{
    if (h->framed && h->framed->id == id)
        return h->framed;
    struct http2_stream *s = nghttp2_session_get_stream_user_data(h->frames, id);

    if (LIKELY(s != NULL))
        return s;
    /* nghttp2 is not told of a stream whose head is still coming, nor of one that is answered at
     * once, and gone with the turn. */
    if (h->block && h->block->id == id)
        return h->block;
    for (s = h->late; s && s->id != id;)
        s = s->late_next;
    return s;
}

static void not_late(struct http2_stream *s)
{
    if (!s->late_prev)
        return;
    *s->late_prev = s->late_next;
    if (s->late_next)
        s->late_next->late_prev = s->late_prev;
    s->late_prev = NULL;
}

void http2_stream_free(struct http2_stream *s)
{
    struct http2 *h = s->session;
    struct http2_thread *t = http2_of(h);

    not_late(s);
    http2_fields_release(s);
    if (s->cached_held)
        cached_response_unref(s->cached);
    *s->prev = s->next;
    if (s->next)
        s->next->prev = s->prev;
    if (h->block == s)
        h->block = NULL;
    if (h->framed == s)
        h->framed = NULL;
    h->n_streams--;
    s->next = t->free_streams;
    t->free_streams = s;
}

/* A view of the head, which has moved. */
static void moved(struct str *view, const struct input *from, const struct input *to)
{
    if (view->p >= from->data && view->p <= from->data + from->end)
        view->p = to->data + (view->p - from->data);
}

bool http2_grow_input(struct connection *c, size_t n, size_t most)
{
    struct input *in = c->in;
    size_t cap = (size_t)in->end + n;

    if (cap < 2 * (size_t)in->cap)
        cap = 2 * (size_t)in->cap;
    if (cap > most && in->end + n <= most)
        cap = most;
    if (cap > UINT32_MAX)
        return false;
    struct input *bigger = input_new(c->thread, (uint32_t)cap);

    if (!bigger)
        return false;
    memcpy(bigger->data, in->data, in->end);
    bigger->end = in->end;
    moved(&c->x->url.path, in, bigger);
    moved(&c->x->url.raw_path, in, bigger);
    moved(&c->x->url.query, in, bigger);
    input_free(c->thread, in);
    c->in = bigger;
    return true;
}

/* --- the body --- */

void http2_refuse_malformed(struct http2_stream *s)
{
    struct connection *c = s->c;

    if (c->x) /* else it has been refused already, and logged */
        own_log(c, HTTPERR_BAD_REQUEST);
    s->error = NGHTTP2_PROTOCOL_ERROR;
    conn_reset(c);
}

/* Bytes that no worker will see count for the windows as well. */
static void give_back(struct http2_stream *s)
{
    uint64_t n = s->received - s->taken;

    s->taken = s->received;
    if (n && !s->session->gone)
        (void)nghttp2_session_consume_connection(s->session->frames, (size_t)n);
}

static uint64_t body_length(const struct connection *c)
{
    return c->x->head.content_length;
}

/* How much of a body may wait for its worker: as much as the window lets the client send. */
static size_t body_room(const struct http2_stream *s)
{
    int32_t window = nghttp2_session_get_stream_effective_local_window_size(s->session->frames, s->id);

    return s->c->x->head.head_len + (window > 0 ? (size_t)window : 0);
}

int http2_on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                        size_t n, void *user)
{
    struct http2 *h = user;
    struct http2_stream *s = nghttp2_session_get_stream_user_data(session, id);

    if (!s || !s->c || s->c->state != C_BUSY) {
        (void)nghttp2_session_consume_connection(h->frames, n); /* answered already */
        return 0;
    }
    struct connection *c = s->c;

    s->received += n;
    if (s->received > body_length(c)) {
        http2_refuse_malformed(s);
        return 0;
    }
    if (!http2_make_room(c, n, body_room(s))) {
        conn_reset(c);
        return 0;
    }
    memcpy(c->in->data + c->in->end, data, n);
    c->in->end += (uint32_t)n;
    return 0;
}

void http2_request_ended(struct http2_stream *s)
{
    struct connection *c = s->c;

    s->request_whole = true;
    if (!c)
        return;
    c->read_eof = true;
    if (c->state != C_BUSY)
        return;
    if (body_length(c) != UINT64_MAX && s->received != body_length(c)) {
        http2_refuse_malformed(s);
        return;
    }
    conn_advance(c);
}

void http2_data_in(struct http2 *h, const nghttp2_frame *f)
{
    struct http2_stream *s = nghttp2_session_get_stream_user_data(h->frames, f->hd.stream_id);

    if (!s)
        return;
    if (f->hd.flags & NGHTTP2_FLAG_END_STREAM)
        http2_request_ended(s);
    else if (s->c && s->c->state == C_BUSY)
        conn_advance(s->c);
}

/* The worker (or nobody) has taken n bytes: the client may send as many again. */
static void stream_consumed(struct connection *c, size_t n)
{
    struct http2_stream *s = c->stream_data;
    struct http2 *h = s->session;
    uint64_t before = s->taken;

    s->taken += n;
    if (s->closed)
        return; /* all of it has been given back */
    (void)nghttp2_session_consume(h->frames, s->id, n);
    if (before < HTTP2_STREAM_WINDOW && s->taken >= HTTP2_STREAM_WINDOW && !c->read_eof)
        (void)nghttp2_session_set_local_window_size(h->frames, NGHTTP2_FLAG_NONE, s->id,
                                                    HTTP2_STREAM_WINDOW_FAST);
    http2_mark(h);
}

/* --- the end --- */

static bool is_complete(const struct http2_stream *s, const struct connection *c, bool reset)
{
    return !reset && s->answered && !c->out && (!c->x || c->x->ended);
}

static void stream_end(struct connection *c, bool reset)
{
    struct http2_stream *s = c->stream_data;
    struct http2 *h = s->session;

    h->n_attached--;
    if (s->closed || h->gone || h->state == HTTP2_FAILED) {
        s->c = NULL;
        s->was_reset = true; /* what it had to say is not to be said any more */
        if (s->closed)
            http2_stream_free(s);
        return;
    }
    give_back(s);
    h->c->idle_ms = c->idle_ms; /* once routed, the site's */
    if (!is_complete(s, c, reset) && !s->ended) {
        uint32_t error = s->error ? s->error : reset ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL;
        s->was_reset = true;
        (void)nghttp2_submit_rst_stream(h->frames, NGHTTP2_FLAG_NONE, s->id, error);
    } else if (s->deferred) {
        s->deferred = false;
        (void)nghttp2_session_resume_data(h->frames, s->id); /* to end it */
    }
    s->c = NULL;
    http2_mark(h);
}

int http2_on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct http2_stream *s = http2_find(user, id);

    if (!s)
        return 0;
    give_back(s);
    s->closed = true;
    if (!s->c)
        http2_stream_free(s);
    else if (!s->ended || error != NGHTTP2_NO_ERROR)
        conn_client_gone(s->c); /* frees s */
    /* Otherwise the answer has left, and a worker has yet to say that it was all. */
    return 0;
}

void http2_drop_streams(struct http2 *h)
{
    for (struct http2_stream *s = h->streams, *next; s; s = next) {
        next = s->next;
        if (s->c)
            conn_client_gone(s->c);
    }
}

static void stream_http11(struct connection *c)
{
    struct http2_stream *s = c->stream_data;

    s->error = NGHTTP2_HTTP_1_1_REQUIRED;
}

/* --- output that waits --- */

void http2_may_be_late(struct http2_stream *s)
{
    struct http2 *h = s->session;

    if (s->late_prev)
        return;
    s->late_next = h->late;
    s->late_prev = &h->late;
    if (s->late_next)
        s->late_next->late_prev = &s->late_next;
    h->late = s;
}

static void stream_output(struct connection *c)
{
    struct http2_stream *s = c->stream_data;
    struct http2 *h = s->session;

    if (s->closed)
        return;
    http2_may_be_late(s);
    if (s->deferred) {
        s->deferred = false;
        (void)nghttp2_session_resume_data(h->frames, s->id);
    }
    http2_mark(h);
}

void http2_time_late_streams(struct http2 *h)
{
    while (h->late) {
        struct http2_stream *s = h->late;
        struct connection *c = s->c;

        not_late(s);
        if (UNLIKELY(!c)) /* no more to be found among the late ones */
            (void)nghttp2_session_set_stream_user_data(h->frames, s->id, s);
        if (UNLIKELY(s->cached && !s->cached_held)) {
            cached_response_ref(s->cached);
            s->cached_held = true;
        }
        if (!c || !c->out || c->timer_kind == T_SEND || c->timer_kind == T_LINGER)
            continue;
        if (!c->x || c->state == C_LINGERING)
            conn_set_timer(c, T_LINGER, OWN_ANSWER_MS);
        else if (c->x->gen->generation->min_bytes_per_second)
            conn_set_timer(c, T_SEND, response_due_ms(c->x));
    }
}

const struct stream_ops http2_stream_ops = {
    .head = http2_answer_head,
    .whole = http2_answer_whole,
    .output = stream_output,
    .consumed = stream_consumed,
    .http11 = stream_http11,
    .end = stream_end,
};
