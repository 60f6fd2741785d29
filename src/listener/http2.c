/* HTTP/2: a connection that carries streams. Reading, sending, settings, the ways it ends. */
#include "listener/http2.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/output.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "listener/transport.h"
#include "base/poison.h"

enum {
    READS_PER_EVENT = 4,
    STALL_MS = 30000,        /* what the client at least has to take what was sent */
    LAST_STREAM_AFTER_MS = 1000, /* between the two GOAWAYs: longer than any round trip */
    SEND_HEADERS_MAX = 4 * MESSAGE_HEADERS_MAX, /* with nghttp2's own bookkeeping per field */
    CONTINUATIONS = 8,
    FIRST_EXTENSION = NGHTTP2_CONTINUATION + 1,
    FRAME_BYTES = 16384,
    /* nghttp2's own bound on resets: beyond everything that ours lets pass. */
    RESET_BURST = 100000,
    RESET_RATE = 2000,
};

static const struct str preface = {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP2_PREFACE};

void http2_mark(struct http2 *h)
{
    struct http2_thread *t = http2_of(h);

    if (h->dirty_prev || h->flushing || h->gone)
        return;
    h->dirty_next = t->dirty;
    h->dirty_prev = &t->dirty;
    if (h->dirty_next)
        h->dirty_next->dirty_prev = &h->dirty_next;
    t->dirty = h;
}

static void unmark(struct http2 *h)
{
    if (!h->dirty_prev)
        return;
    *h->dirty_prev = h->dirty_next;
    if (h->dirty_next)
        h->dirty_next->dirty_prev = h->dirty_prev;
    h->dirty_prev = NULL;
}

/* --- the client's fault --- */

/* Says what is wrong, and that nothing more will be read. Streams under way end as if the client
 * had left: it has to come again. */
static void give_up(struct http2 *h)
{
    struct str why = str_z(h->verdict);

    if (h->state == HTTP2_FAILED)
        return;
    h->state = HTTP2_FAILED;
    own_log(h->c, HTTPERR_BAD_REQUEST);
    http2_drop_streams(h); /* without a word of their own: the GOAWAY speaks for all */
    if (!h->without_goaway)
        (void)nghttp2_submit_goaway(h->frames, NGHTTP2_FLAG_NONE,
                                    nghttp2_session_get_last_proc_stream_id(h->frames),
                                    h->verdict_code, (const uint8_t *)why.p, why.n);
    http2_mark(h);
}

/* --- callbacks about the connection --- */

static int on_begin_frame(nghttp2_session *s, const nghttp2_frame_hd *hd, void *user)
{
    return http2_guard_frame(user, hd) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_frame_recv(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
    struct http2 *h = user;

    switch (f->hd.type) {
    case NGHTTP2_HEADERS:
        http2_headers_in(h, f);
        break;
    case NGHTTP2_DATA:
        http2_data_in(h, f);
        break;
    case NGHTTP2_RST_STREAM:
        http2_guard_reset(h);
        break;
    case NGHTTP2_PRIORITY_UPDATE:
        h->updated_id = ((const nghttp2_ext_priority_update *)f->ext.payload)->stream_id;
        break;
    default:
        break;
    }
    return h->verdict ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* Resets that the client provokes cost as much as those that it sends. */
static bool is_clients_fault(uint32_t code)
{
    return code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_STREAM_CLOSED ||
           code == NGHTTP2_FLOW_CONTROL_ERROR || code == NGHTTP2_FRAME_SIZE_ERROR ||
           code == NGHTTP2_REFUSED_STREAM || code == NGHTTP2_COMPRESSION_ERROR;
}

static int on_frame_send(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
    struct http2 *h = user;

    if (f->hd.type == NGHTTP2_GOAWAY && f->goaway.error_code != NGHTTP2_NO_ERROR &&
        h->state != HTTP2_FAILED) {
        h->state = HTTP2_FAILED; /* nghttp2 has found something itself */
        own_log(h->c, HTTPERR_BAD_REQUEST);
    }
    if (f->hd.type == NGHTTP2_RST_STREAM) {
        const struct http2_stream *stream = http2_find(h, f->hd.stream_id);
        h->forgives |= !stream || !stream->request_whole;
        if (is_clients_fault(f->rst_stream.error_code))
            http2_guard_reset(h);
    }
    if ((f->hd.type == NGHTTP2_DATA || f->hd.type == NGHTTP2_HEADERS) &&
        (f->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        const struct http2_stream *stream = http2_find(h, f->hd.stream_id);
        /* Whole before the request is: the rest of it is not wanted (RFC 9113 8.1). */
        if (stream && !stream->request_whole)
            (void)nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
    }
    return 0;
}

/* It is about to reset a stream, perhaps one that it has not even begun. */
static int on_invalid_frame(nghttp2_session *s, const nghttp2_frame *f, int error, void *user)
{
    struct http2 *h = user;

    h->forgives = true;
    return 0;
}

/* Frames of types that nobody knows are of no use, but are to be told of: they count. */
static int on_unknown_frame(nghttp2_session *s, void **payload, const nghttp2_frame_hd *hd,
                            void *user)
{
    return NGHTTP2_ERR_CANCEL;
}

/* An answer's head that nghttp2 cannot send: nothing else would tell the client. */
static int on_frame_not_send(nghttp2_session *s, const nghttp2_frame *f, int error, void *user)
{
    struct http2_stream *stream = nghttp2_session_get_stream_user_data(s, f->hd.stream_id);

    if (f->hd.type == NGHTTP2_HEADERS && stream && stream->c && !stream->was_reset)
        conn_reset(stream->c);
    return 0;
}

/* --- what the thread keeps --- */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *cb;

    INVARIANT(nghttp2_session_callbacks_new(&cb) == 0);
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, http2_on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, http2_on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, http2_on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, http2_on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_send);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_unpack_extension_callback(cb, on_unknown_frame);
    nghttp2_session_callbacks_set_send_data_callback(cb, http2_on_send_data);
    return cb;
}

static struct http2_thread *thread_part(struct thread *t)
{
    struct http2_thread *p = t->http2;

    if (p)
        return p;
    p = t->http2 = xmalloc(sizeof(*p));
    memset(p, 0, offsetof(struct http2_thread, out));
    p->callbacks = make_callbacks();
    p->memory = http2_memory_new();
    INVARIANT(nghttp2_option_new(&p->options) == 0);
    nghttp2_option_set_no_auto_window_update(p->options, 1); /* the worker's credit opens windows */
    nghttp2_option_set_no_http_messaging(p->options, 1);     /* src/http/http2_head.c does that */
    nghttp2_option_set_no_closed_streams(p->options, 1);
    nghttp2_option_set_builtin_recv_extension_type(p->options, NGHTTP2_PRIORITY_UPDATE);
    for (unsigned type = FIRST_EXTENSION; type <= UINT8_MAX; type++)
        if (type != NGHTTP2_PRIORITY_UPDATE)
            nghttp2_option_set_user_recv_extension_type(p->options, (uint8_t)type);
    nghttp2_option_set_max_send_header_block_length(p->options, SEND_HEADERS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(p->options, RESET_BURST, RESET_RATE);
    return p;
}

void http2_thread_fini(struct thread *t)
{
    struct http2_thread *p = t->http2;

    if (!p)
        return;
    while (p->free_streams) {
        struct http2_stream *s = p->free_streams;
        p->free_streams = s->next;
        free(s);
    }
    nghttp2_session_callbacks_del(p->callbacks);
    nghttp2_option_del(p->options);
    http2_memory_free(p->memory);
    http2_lent_free(p);
    http2_known_free(p);
    free(p->nv);
    free(p);
    t->http2 = NULL;
}

/* --- sending --- */

/* What has been collected goes to the socket, or waits there. False: the connection is gone. */
static bool send_collected(struct http2 *h)
{
    struct http2_thread *t = http2_of(h);
    size_t n = t->out_n;

    t->out_n = 0;
    return n == 0 || out_bytes(h->c, t->out, n, /* more = */ false, /* credit = */ 0);
}

/* The reset without an error behind an early answer. It gets a TLS record of its own: clients that
 * are still sending (curl 7.88) forget an answer that comes in the same record. */
static bool is_early_end(const uint8_t *frame, size_t n)
{
    return n == 13 && frame[3] == NGHTTP2_RST_STREAM &&
           (frame[9] | frame[10] | frame[11] | frame[12]) == NGHTTP2_NO_ERROR;
}

/* Frames as long as the socket takes them. False: the connection is gone. */
static bool send_frames(struct http2 *h)
{
    struct http2_thread *t = http2_of(h);

    while (!h->c->out) {
        const uint8_t *frame;
        t->out_n = 0;
        for (;;) {
            h->busy = true;
            ssize_t n = nghttp2_session_mem_send(h->frames, &frame);
            h->busy = false;
            if (UNLIKELY(n < 0)) {
                conn_client_gone(h->c); /* out of memory */
                return false;
            }
            if (UNLIKELY((size_t)n > sizeof(t->out) - t->out_n || is_early_end(frame, (size_t)n)) &&
                !send_collected(h))
                return false;
            if (n > 0 && (size_t)n <= sizeof(t->out)) {
                memcpy(t->out + t->out_n, frame, (size_t)n);
                t->out_n += (size_t)n;
            }
            if (n == 0 || t->out_n >= HTTP2_OUT_BYTES)
                break;
        }
        bool is_all = t->out_n < HTTP2_OUT_BYTES;

        if (!send_collected(h))
            return false;
        if (is_all)
            break;
    }
    return true;
}

/* The socket is no more for frames: what is on its way leaves, then our side is shut. */
static void shut(struct http2 *h)
{
    struct connection *c = h->c;

    http2_drop_streams(h);
    if (h->without_goaway) {
        conn_reset(c);
        return;
    }
    c->state = C_LINGERING;
    if (c->out)
        conn_set_timer(c, T_LINGER, STALL_MS);
    conn_linger(c);
}

static void set_timer(struct http2 *h)
{
    struct connection *c = h->c;
    enum timer_kind kind = T_NONE;
    uint64_t ms = c->idle_ms;

    if (c->out) {
        uint32_t rate = c->thread->current->generation->min_bytes_per_second;
        kind = T_SEND;
        ms = rate ? UINT64_C(1000) * (HTTP2_OUT_ROOM / rate) : 0;
        if (ms < STALL_MS)
            ms = STALL_MS;
    } else if (h->in_block) {
        kind = T_HEADER;
        ms = c->thread->current->generation->header_wait_ms;
    } else if (h->n_attached == 0) {
        kind = T_IDLE; /* what is still to be sent then is all in the client's hands */
    }
    /* What is answered within its turn is never seen attached here. */
    if (c->timer_kind != kind || (kind == T_IDLE && h->in_use))
        conn_set_timer(c, kind, ms);
    h->in_use = false;
}

/* The second of two GOAWAYs, or the only one if nothing is under way. */
static void say_last_stream(struct http2 *h)
{
    h->state = HTTP2_FINAL;
    (void)nghttp2_submit_goaway(h->frames, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(h->frames),
                                NGHTTP2_NO_ERROR, NULL, 0);
}

/* Nothing more will be said: the client has failed, the last stream has ended after the GOAWAY of
 * either side, or nghttp2 wants neither to read nor to write. */
static bool is_over(const struct http2 *h)
{
    return h->state == HTTP2_FAILED || (h->state == HTTP2_FINAL && h->n_streams == 0) ||
           (!nghttp2_session_want_read(h->frames) && !nghttp2_session_want_write(h->frames));
}

/* The client has shut its side, and what these streams have to say waits for windows that only it
 * could open. */
static void drop_blocked(struct http2 *h)
{
    for (struct http2_stream *s = h->streams, *next; s; s = next) {
        next = s->next;
        if (s->c && s->c->out)
            conn_client_gone(s->c);
    }
}

/* Everything that the turn has left to do for a session. It may be gone afterwards. */
static void flush(struct http2 *h)
{
    struct connection *c = h->c;

    if (c->state == C_LINGERING) {
        if (!c->out)
            conn_linger(c);
        return;
    }
    h->flushing = true;
    do {
        if (UNLIKELY(h->verdict != NULL))
            give_up(h);
        if (UNLIKELY(h->state == HTTP2_NOTICED) && h->n_streams == 0)
            say_last_stream(h);
        if (!send_frames(h))
            return;
        if (LIKELY(!c->out))
            (void)http2_guard_ignored(h);
        /* Found while sending, or the last stream has left with it. */
    } while (UNLIKELY((h->verdict && h->state != HTTP2_FAILED) ||
                      (h->state == HTTP2_NOTICED && h->n_streams == 0)));
    h->flushing = false;
    if (UNLIKELY(c->read_eof) && !c->out)
        drop_blocked(h); /* marks it: their resets are still to be sent */
    if (UNLIKELY(is_over(h))) {
        shut(h);
        return;
    }
    if (h->late)
        http2_time_late_streams(h);
    if (c->read_paused && !c->out)
        conn_read_on(c);
    else if (!c->io.armed || (c->out && !(c->io.armed & EPOLLOUT)))
        conn_arm(c);
    set_timer(h);
}

void http2_flush(struct thread *t)
{
    struct http2 *h;

    if (!t->http2)
        return;
    while ((h = t->http2->dirty)) {
        unmark(h);
        flush(h);
    }
}

/* --- reading --- */

/* False: the session is at its end. */
static bool feed(struct http2 *h, const uint8_t *p, size_t n)
{
    if (h->state == HTTP2_FAILED)
        return false;
    h->busy = true;
    ssize_t used = nghttp2_session_mem_recv(h->frames, p, n);
    h->busy = false;
    http2_guard_fed(h, p, n);
    http2_mark(h);
    if (UNLIKELY(h->collects))
        http2_block_pause(h);
    if (LIKELY(used >= 0))
        return true;
    if (used == NGHTTP2_ERR_NOMEM)
        http2_condemn(h, NGHTTP2_INTERNAL_ERROR, "out of memory");
    else if (used == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
        http2_condemn(h, NGHTTP2_PROTOCOL_ERROR, "this is not HTTP/2");
    else /* floods of settings, of what wants an answer, of frames for one head */
        http2_condemn(h, NGHTTP2_ENHANCE_YOUR_CALM, nghttp2_strerror((int)used));
    return false;
}

/* The client will send nothing more. Whole requests get their answers, all others are over. */
static void input_ended(struct http2 *h)
{
    h->c->read_eof = true;
    for (struct http2_stream *s = h->streams, *next; s; s = next) {
        next = s->next;
        if (s->c && !s->c->read_eof)
            conn_client_gone(s->c);
    }
    if (h->state == HTTP2_OPEN || h->state == HTTP2_NOTICED)
        h->state = HTTP2_FINAL;
    conn_arm(h->c);
    http2_mark(h);
}

static void on_readable(struct connection *c)
{
    struct http2 *h = c->carrier_data;

    if (c->state == C_LINGERING) {
        input_drop(c);
        return;
    }
    if (c->out) {
        c->read_paused = true; /* who does not read is not read either */
        conn_arm(c);
        return;
    }
    for (int i = 0; i < READS_PER_EVENT; i++) {
        uint8_t *in = c->thread->http2->in;
        ssize_t n = transport_recv(c, in, HTTP2_IN_BYTES);

        if (n > 0) {
            if (!feed(h, in, (size_t)n))
                return;
            if (n < HTTP2_IN_BYTES && !transport_pending(c) && !c->is_hung_up)
                return; /* that was all */
            continue;
        }
        if (n == 0)
            input_ended(h);
        else if (errno != EAGAIN && errno != EINTR)
            conn_client_gone(c);
        else if (!c->io.armed)
            conn_arm(c);
        return;
    }
    conn_ready(c); /* there may be more, and no event will say so */
}

static void on_writable(struct connection *c)
{
    http2_mark(c->carrier_data);
}

static void on_finish(struct connection *c)
{
    struct http2 *h = c->carrier_data;
    uint64_t now = thread_now_ms(c->thread);

    if (h->state == HTTP2_OPEN && h->n_streams) {
        h->state = HTTP2_NOTICED;
        h->noticed_ms = now;
        if (!http2_of(h)->noticed_ms)
            http2_of(h)->noticed_ms = now;
        (void)nghttp2_submit_shutdown_notice(h->frames);
    } else if (h->state == HTTP2_OPEN ||
               (h->state == HTTP2_NOTICED && now - h->noticed_ms >= LAST_STREAM_AFTER_MS)) {
        say_last_stream(h);
    } else {
        return;
    }
    http2_mark(h);
}

static void finish_noticed(struct connection *c)
{
    struct http2 *h = c->carrier ? c->carrier_data : NULL;
    struct http2_thread *t = c->thread->http2;

    if (!h || h->state != HTTP2_NOTICED)
        return;
    on_finish(c);
    if (h->state == HTTP2_NOTICED && (!t->noticed_ms || h->noticed_ms < t->noticed_ms))
        t->noticed_ms = h->noticed_ms;
}

void http2_tick(struct thread *t)
{
    struct http2_thread *p = t->http2;

    if (LIKELY(!p || !p->noticed_ms) || thread_now_ms(t) - p->noticed_ms < LAST_STREAM_AFTER_MS)
        return;
    p->noticed_ms = 0;
    conn_visit(t, finish_noticed);
}

/* The socket is about to be closed: a client that listens learns which requests nobody looked at. */
static void say_goodbye(struct http2 *h, struct connection *c)
{
    uint32_t last = (uint32_t)nghttp2_session_get_last_proc_stream_id(h->frames);
    const uint8_t goaway[17] = {
        [2] = 8, [3] = NGHTTP2_GOAWAY, [9] = (uint8_t)(last >> 24), [10] = (uint8_t)(last >> 16),
        [11] = (uint8_t)(last >> 8), [12] = (uint8_t)last};

    /* By hand: the session may hold frames that were not to be sent before this. */
    if (!c->read_eof && !c->out && h->state < HTTP2_FINAL && c->state != C_LINGERING)
        (void)!transport_send(c, goaway, sizeof(goaway), /* more = */ false);
}

static void on_end(struct connection *c)
{
    struct http2 *h = c->carrier_data;

    INVARIANT(!h->busy);
    h->gone = true;
    http2_drop_streams(h);
    say_goodbye(h, c);
    unmark(h);
    nghttp2_session_del(h->frames);
    while (h->streams)
        http2_stream_free(h->streams);
    free(h);
}

static const struct carrier_ops http2_carrier_ops = {
    .readable = on_readable,
    .writable = on_writable,
    .finish = on_finish,
    .end = on_end,
};

/* --- the beginning --- */

static bool start_session(struct http2 *h, struct http2_thread *t)
{
    uint32_t head_max = h->c->thread->current->generation->http1.max_request_bytes;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS_MAX},
        /* Counts more per field than MaxRequestBytes does; that one decides. */
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, head_max + HTTP2_STREAM_WINDOW / 16},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };

    nghttp2_option_set_max_continuations(t->options, CONTINUATIONS + head_max / FRAME_BYTES);
    if (nghttp2_session_server_new3(&h->frames, t->callbacks, h, t->options, t->memory) != 0)
        return false;
    if (nghttp2_submit_settings(h->frames, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) == 0 &&
        nghttp2_session_set_local_window_size(h->frames, NGHTTP2_FLAG_NONE, 0,
                                              HTTP2_CONNECTION_WINDOW) == 0)
        return true;
    nghttp2_session_del(h->frames);
    return false;
}

void http2_begin(struct connection *c)
{
    struct http2_thread *t = thread_part(c->thread);
    struct http2 *h = calloc(1, sizeof(*h));
    struct input *in = c->in;

    if (h) {
        h->c = c;
        h->told = HTTP2_PREFACE;
    }
    if (!h || !start_session(h, t)) {
        free(h);
        conn_close(c);
        return;
    }
    c->carrier = &http2_carrier_ops;
    c->carrier_data = h;
    conn_set_timer(c, T_IDLE, c->idle_ms);
    http2_mark(h);
    c->in = NULL;
    if (in)
        (void)feed(h, (const uint8_t *)in->data + in->start, in->end - in->start);
    else
        on_readable(c); /* behind the handshake the first frames are often here already */
    input_free(c->thread, in);
}

bool http2_prior_knowledge(struct connection *c)
{
    const struct input *in = c->in;
    const struct generation *g = c->thread->current->generation;
    struct str have = str_n(in->data + in->start, in->end - in->start);

    if (c->x || c->tls || c->read_eof || !g->parameters.enable_http2_cleartext ||
        !str_starts(preface, str_sub(have, 0, preface.n)))
        return false;
    if (have.n >= preface.n) {
        http2_begin(c);
        return true;
    }
    if (c->timer_kind != T_HEADER)
        conn_set_timer(c, T_HEADER, g->header_wait_ms);
    if (!c->io.armed)
        conn_arm(c);
    return true;
}
