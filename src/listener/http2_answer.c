/* The answer of a stream as frames: its head as fields, its body from what waits to leave. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/http2.h"
#include "listener/output.h"
#include "listener/response_cache.h"
#include "listener/stream.h"
#include "base/poison.h"

/* Belong to one connection of HTTP/1, or are written here (RFC 9113 8.2.2). */
static bool is_left_out(struct str name)
{
    switch (http_header_lookup(name)) {
    case HDR_CONNECTION:
    case HDR_KEEP_ALIVE:
    case HDR_TRANSFER_ENCODING:
    case HDR_UPGRADE:
    case HDR_CONTENT_LENGTH:
        return true;
    case HDR_OTHER:
        return str_ieq(name, STR("Proxy-Connection"));
    default:
        return false;
    }
}

static nghttp2_nv field(struct str name, struct str value)
{
    /* nghttp2 copies both, and writes names in lower case; the values are only read. */
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.p,
                        .namelen = name.n,
                        .value = (uint8_t *)(uintptr_t)value.p,
                        .valuelen = value.n};
}

static size_t count_lines(struct str lines)
{
    struct str line;
    size_t n = 0;

    while (str_split(&lines, '\n', &line))
        n++;
    return n;
}

/* "Name: value" lines, checked before, as fields. */
static size_t split_lines(struct str lines, nghttp2_nv *nv)
{
    struct str line;
    size_t n = 0;

    while (str_split(&lines, '\n', &line)) {
        size_t colon = str_find_char(line, ':');
        struct str name = str_sub(line, 0, colon);
        if (colon != SIZE_MAX && !is_left_out(name))
            nv[n++] = field(name, str_trim_all(str_sub(line, colon + 1, line.n)));
    }
    return n;
}

/* How many of the bytes that wait go into a frame of at most max; *ret_all: none are left then. */
static size_t waiting(const struct connection *c, size_t max, bool *ret_all)
{
    size_t n = 0;

    for (const struct out_segment *o = c->out; o; o = o->next) {
        if (o->length > max - n) {
            *ret_all = false;
            return max;
        }
        n += (size_t)o->length;
    }
    *ret_all = true;
    return n;
}

/* What waits to leave is the end of the answer, and as much of it as was promised. */
static bool is_the_rest(const struct connection *c)
{
    const struct exchange *x = c->x;

    return !x || (x->ended && (x->length_left == 0 || x->length_left == UINT64_MAX));
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t max,
                       uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct http2_stream *s = source->ptr;
    const struct connection *c = s->c;
    bool is_all;

    if (!c && s->was_reset)
        return NGHTTP2_ERR_DEFERRED;
    if (s->cached) {
        size_t left = (size_t)s->cached->body_len - s->cached_at;
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
        if (left > max)
            return (ssize_t)max;
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        s->ended = true;
        return (ssize_t)left;
    }
    if (!c) {
        *flags |= NGHTTP2_DATA_FLAG_EOF; /* the end came behind the last bytes */
        s->ended = true;
        return 0;
    }
    size_t n = waiting(c, max, &is_all);

    if (n == 0) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (is_all && is_the_rest(c)) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        s->ended = true;
    }
    return (ssize_t)n;
}

static int send_cached(struct http2 *h, struct http2_stream *s, const uint8_t *frame_head, size_t n)
{
    struct http2_thread *t = http2_of(h);
    struct str body = cached_response_body(s->cached);

    if (n + HTTP2_FRAME_HEAD > sizeof(t->out) - t->out_n || n > body.n - s->cached_at)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    memcpy(t->out + t->out_n, frame_head, HTTP2_FRAME_HEAD);
    memcpy(t->out + t->out_n + HTTP2_FRAME_HEAD, body.p + s->cached_at, n);
    t->out_n += n + HTTP2_FRAME_HEAD;
    s->cached_at += (uint32_t)n;
    http2_guard_sent(h, n);
    if (s->cached_at == body.n) {
        if (s->cached_held)
            cached_response_unref(s->cached);
        s->cached = NULL;
        s->cached_held = false;
    }
    return t->out_n >= HTTP2_OUT_BYTES ? NGHTTP2_ERR_PAUSE : 0;
}

int http2_on_send_data(nghttp2_session *session, nghttp2_frame *f, const uint8_t *frame_head,
                       size_t n, nghttp2_data_source *source, void *user)
{
    struct http2 *h = user;
    struct http2_stream *s = source->ptr;
    struct http2_thread *t = http2_of(h);
    struct connection *c = s->c;
    bool is_last;

    h->framed = s;
    if (s->cached)
        return send_cached(h, s, frame_head, n);
    /* Frames are 16 KiB and pause at HTTP2_OUT_BYTES, so there is room. */
    if (!c || n + HTTP2_FRAME_HEAD > sizeof(t->out) - t->out_n)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    char *out = t->out + t->out_n;

    memcpy(out, frame_head, HTTP2_FRAME_HEAD);
    s->ended = false; /* until the bytes are there: a file may be shorter than it was */
    if (out_take(c, out + HTTP2_FRAME_HEAD, n, &is_last) != (ssize_t)n)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    s->ended = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
    t->out_n += n + HTTP2_FRAME_HEAD;
    http2_guard_sent(h, n);
    out_taken(c);
    return t->out_n >= HTTP2_OUT_BYTES ? NGHTTP2_ERR_PAUSE : 0;
}

/* --- heads --- */

void http2_fields_release(struct http2_stream *s)
{
    if (s->fields)
        s->fields->users--;
    s->fields = NULL;
}

/* Room for a line that says when it is. */
enum { DATE_LINE = 6 + HTTP_DATE_LEN + 2 };

static size_t lines_n(const struct stream_head *head)
{
    return head->lines.n + (head->dated ? DATE_LINE : 0);
}

static bool is_prepared(const struct http2_fields *f, const struct stream_head *head,
                        const char *date)
{
    if (f->kept != head->kept || f->status != head->status || f->length != head->length ||
        f->dated != head->dated || (f->dated && memcmp(f->date, date, HTTP_DATE_LEN) != 0))
        return false;
    return f->kept ||
           (f->lines_n == head->lines.n && memcmp(f->lines, head->lines.p, head->lines.n) == 0);
}

static struct str put_date(char *at, const char *date)
{
    memcpy(at, "Date: ", 6);
    memcpy(at + 6, date, HTTP_DATE_LEN);
    memcpy(at + 6 + HTTP_DATE_LEN, "\r\n", 2);
    return str_n(at, DATE_LINE);
}

static void prepare(struct http2_fields *f, const struct stream_head *head, const char *date)
{
    struct str text = str_n(f->text, lines_n(head));

    f->lines_n = head->lines.n;
    memcpy(f->lines, head->lines.p, head->lines.n);
    memcpy(f->text, head->lines.p, head->lines.n);
    f->dated = head->dated;
    memcpy(f->date, date, HTTP_DATE_LEN);
    if (head->dated)
        put_date(f->text + head->lines.n, date);
    f->kept = head->kept;
    f->status = head->status;
    f->length = head->length;
    f->nv[0] = field(STR(":status"), str_n(f->status_text, fmt_u64(f->status_text, head->status)));
    f->n = (uint16_t)(1 + split_lines(text, f->nv + 1));
    for (unsigned i = 1; i < f->n; i++)
        for (size_t k = 0; k < f->nv[i].namelen; k++)
            f->nv[i].name[k] = (uint8_t)ascii_lower((char)f->nv[i].name[k]);
    if (head->length != UINT64_MAX)
        f->nv[f->n++] = field(STR("content-length"),
                              str_n(f->length_text, fmt_u64(f->length_text, head->length)));
    for (unsigned i = 0; i < f->n; i++)
        f->nv[i].flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
}

/* The fields of an answer, prepared by an earlier one or now. NULL: they are not worth keeping, or
 * their place is taken by others that are still to be sent. */
static struct http2_fields *fields_of(struct http2_thread *t, const struct stream_head *head,
                                      const char *date)
{
    struct http2_fields *f;
    uint64_t hash;

    if (head->lines.n == 0 || lines_n(head) > HTTP2_LINES_KEPT)
        return NULL;
    hash = head->kept ? head->kept + head->status : hash_bytes(head->lines.p, head->lines.n);
    f = &t->heads[hash % HTTP2_HEADS_KEPT];
    if (LIKELY(is_prepared(f, head, date)))
        return f;
    if (f->users || count_lines(head->lines) + 3 > HTTP2_FIELDS_KEPT)
        return NULL;
    prepare(f, head, date);
    return f;
}

/* The same for once: nghttp2 copies them. */
static size_t copy_fields(struct http2_thread *t, const struct stream_head *head, const char *date,
                          char status[20], char length[20])
{
    size_t room = count_lines(head->lines) + 3, n = 1;

    if (room > t->nv_cap) {
        t->nv = xrealloc(t->nv, room * sizeof(nghttp2_nv));
        t->nv_cap = room;
    }
    t->nv[0] = field(STR(":status"), str_n(status, fmt_u64(status, head->status)));
    n += split_lines(head->lines, t->nv + n);
    if (head->dated)
        t->nv[n++] = field(STR("date"), str_n(date, HTTP_DATE_LEN));
    if (head->length != UINT64_MAX)
        t->nv[n++] = field(STR("content-length"), str_n(length, fmt_u64(length, head->length)));
    return n;
}

static int submit(struct http2_stream *s, const struct stream_head *head)
{
    struct http2 *h = s->session;
    struct http2_thread *t = http2_of(h);
    const char *date = h->c->thread->date;
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = on_read};
    char status[20], length[20];

    if (head->status < 200) {
        size_t n = copy_fields(t, head, date, status, length);
        return nghttp2_submit_headers(h->frames, NGHTTP2_FLAG_NONE, s->id, NULL, t->nv, n, NULL);
    }
    s->answered = true;
    s->ended = head->no_body || head->length == 0;
    s->fields = fields_of(t, head, date);
    if (LIKELY(s->fields != NULL)) {
        s->fields->users++;
        return nghttp2_submit_response(h->frames, s->id, s->fields->nv, s->fields->n,
                                       s->ended ? NULL : &body);
    }
    size_t n = copy_fields(t, head, date, status, length);

    return nghttp2_submit_response(h->frames, s->id, t->nv, n, s->ended ? NULL : &body);
}

void http2_answer_head(struct connection *c, const struct stream_head *head)
{
    struct http2_stream *s = c->stream_data;

    if (s->closed)
        return;
    if (submit(s, head) != 0) {
        s->answered = s->ended = false;
        s->cached = NULL;
        conn_reset(c);
        return;
    }
    if (c->timer_kind == T_QUEUE)
        conn_set_timer(c, T_NONE, 0); /* an own answer to one that waited: its exchange goes now */
    if (c->x)
        response_sent(c, lines_n(head), 0); /* as text: compressed it depends on what went before */
    http2_mark(s->session);
}

/* Small bodies do not keep their connection: what leaves within the turn counts as sent when it is
 * handed over. Larger ones, and clients whose windows are closed, need its timers. */
bool http2_answer_whole(struct connection *c, const struct stream_head *head,
                        const struct cached_response *r)
{
    struct http2_stream *s = c->stream_data;
    struct http2 *h = s->session;

    if (!r->in_memory || r->body_len == 0 || r->body_len > HTTP2_WHOLE_MAX || s->closed ||
        h->c->out ||
        /* Nothing has been sent yet, so its window is at least what each begins with. */
        nghttp2_session_get_remote_settings(h->frames, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) <
            r->body_len ||
        nghttp2_session_get_remote_window_size(h->frames) < HTTP2_WHOLE_MAX)
        return false;
    s->cached = r;
    if (submit(s, head) != 0) {
        s->answered = s->ended = false;
        s->cached = NULL;
        http2_fields_release(s);
        return false;
    }
    http2_may_be_late(s);
    response_sent(c, lines_n(head) + r->body_len, 0);
    http2_mark(h);
    return true;
}
