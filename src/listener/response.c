/* A worker's answer on its way to the client. The listener writes everything that frames the
 * message itself; what comes from the worker is copied out of the ring and checked before it is
 * sent. */
#include <stdlib.h>

#include "base/alloc.h"
#include "http/response1.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/link.h"
#include "listener/output.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "tables/status.h"
#include "base/poison.h"

enum { QUEUED_FILES_MAX = 4096, STATUS_LINE_BYTES = 13 /* before the reason phrase */ };
_Static_assert(SCRATCH_BYTES >= MESSAGE_HEADERS_MAX + MESSAGE_REASON_MAX + MESSAGE_BODY_MAX + 1024,
               "a head and its body fit");

static char *put(char *p, const void *s, size_t n)
{
    memcpy(p, s, n);
    return p + n;
}
#define PUT_LIT(p, lit) put(p, lit, sizeof(lit) - 1)

static bool status_has_no_body(uint16_t status)
{
    return status == 204 || status == 304;
}

/* Whether the client knows that nothing follows the head; a worker cannot say so otherwise. */
static bool may_have_no_body(const struct exchange *x, uint16_t status)
{
    return x->head.method == HTTP_METHOD_HEAD || status_has_no_body(status);
}

/* Whether the connection ends with this response. */
static bool must_close(const struct exchange *x, const struct msg_response *h)
{
    const struct connection *c = x->conn;

    return !x->head.keep_alive || (h->flags & MSGR_CLOSE) || c->thread->stopping ||
           /* It was told to wait for 100 and may or may not send its body now. */
           (x->head.expect_100 && x->body == BODY_COMING && !x->sent_continue) ||
           (c->read_eof && x->body == BODY_COMING);
}

/* How the body will be framed. */
static void decide_framing(struct exchange *x, const struct msg_response *h, bool closing)
{
    x->no_body = may_have_no_body(x, h->status);
    x->close = must_close(x, h);
    x->length_left = UINT64_MAX;
    if (h->flags & MSGR_LENGTH)
        x->length_left = (uint64_t)h->content_length;
    else if (closing && !x->no_body)
        x->length_left = h->body_len; /* HEAD: what is not sent has no length that we know */
    else if (x->conn->is_stream)
        return; /* frames say where it ends */
    else if (!x->no_body && x->head.version_minor >= 1)
        x->chunk_response = true;
    else if (!x->no_body)
        x->close = true;
}

static char *write_framing(char *p, const struct exchange *x)
{
    p = PUT_LIT(p, "Date: ");
    p = put(p, x->conn->thread->date, HTTP_DATE_LEN);
    if (x->conn->is_stream)
        return PUT_LIT(p, "\r\n");
    if (x->close)
        p = PUT_LIT(p, "\r\nConnection: close");
    else if (x->head.version_minor == 0)
        p = PUT_LIT(p, "\r\nConnection: keep-alive");
    if (x->chunk_response) {
        p = PUT_LIT(p, "\r\nTransfer-Encoding: chunked");
    } else if (x->length_left != UINT64_MAX && !status_has_no_body(x->status)) {
        char num[20];
        p = PUT_LIT(p, "\r\nContent-Length: ");
        p = put(p, num, fmt_u64(num, x->length_left));
    }
    return PUT_LIT(p, "\r\n\r\n");
}

/* Status line and the worker's headers at out; NULL: malformed. *ret_lines: where they begin. */
static char *write_head(char *out, const struct msg_response *h, const unsigned char *parts,
                        char **ret_lines)
{
    char num[20];
    struct str reason = str_n((const char *)parts, h->reason_len);
    char *p = PUT_LIT(out, "HTTP/1.1 ");

    p = put(p, num, fmt_u64(num, h->status));
    *p++ = ' ';
    if (reason.n == 0)
        reason = status_reason(h->status);
    const char *written = p;
    p = put(p, reason.p, reason.n);
    if (!message_reason_ok(str_n(written, reason.n)))
        return NULL;
    p = PUT_LIT(p, "\r\n");
    *ret_lines = p;
    written = p;
    p = put(p, parts + h->reason_len, h->headers_len);
    return message_header_block_ok(str_n(written, h->headers_len)) ? p : NULL;
}

/* What the log will need once the record is gone. */
static void keep_for_log(struct exchange *x, const struct msg_response *h,
                         const unsigned char *parts)
{
    const unsigned char *headers = parts + h->reason_len;

    x->status = h->status;
    x->substatus = h->substatus;
    x->win32 = h->win32;
    x->no_log = h->flags & MSGR_NO_LOG;
    if (h->user_len + h->log_len) {
        x->log_text = xmalloc(h->user_len + h->log_len);
        memcpy(x->log_text, headers + h->headers_len, h->user_len + h->log_len);
        x->user_len = h->user_len;
        x->custom_len = h->log_len;
    }
    if (x->site->logs_response_headers && h->headers_len) {
        x->headers_copy = xmalloc(h->headers_len);
        memcpy(x->headers_copy, headers, h->headers_len);
        x->headers_len = h->headers_len;
    }
}

static bool take_length(struct exchange *x, uint64_t n)
{
    if (x->length_left == UINT64_MAX)
        return true;
    if (n > x->length_left)
        return false;
    x->length_left -= n;
    return true;
}

static void pay_credit(struct exchange *x)
{
    struct msg_amount m = {.amount = x->body_sent_uncredited};

    if (!x->link || x->closing || m.amount == 0)
        return;
    if (!ring_push(&x->link->requests, MSG_CREDIT, 0, exchange_id(x), &m, sizeof(m))) {
        link_owe(x, X_UNSENT_CREDIT);
        return;
    }
    x->body_sent_uncredited = 0;
    link_mark_dirty(x->link);
}

void response_sent(struct connection *c, uint64_t n, uint64_t credit)
{
    struct exchange *x = c->x;

    if (!x)
        return;
    x->bytes_sent += n;
    if (n && !credit)
        return;
    x->queued_body -= credit;
    x->body_sent_uncredited += credit;
    if (n == 0 || x->body_sent_uncredited >= RESPONSE_CREDIT / 4)
        pay_credit(x);
}

/* The closing record is in; the client may have gone while its bytes were sent. */
static void close_exchange(struct exchange *x)
{
    struct connection *c = x->conn;

    x->ended = true;
    link_release(x);
    if (x->client_gone) {
        if (x->started)
            site_log(x);
        else
            own_log(c, HTTPERR_CONNECTION_DROPPED);
        conn_free(c);
        return;
    }
    response_check_done(c);
}

/* Sends n body bytes with the framing that the response has. `at` has room for it on both sides. */
static void send_body(struct exchange *x, char *at, size_t n, bool last, bool more)
{
    char size[RESPONSE1_CHUNK_HEAD_MAX];
    uint64_t credit = n;

    if (x->chunk_response && n) {
        size_t k = response1_chunk_head(size, n);
        at -= k;
        memcpy(at, size, k);
        n += k;
        memcpy(at + n, "\r\n", 2);
        n += 2;
    }
    if (x->chunk_response && last) {
        memcpy(at + n, "0\r\n\r\n", 5);
        n += 5;
    }
    if (x->length_left == UINT64_MAX)
        x->response_bytes += n;
    x->queued_body += credit;
    if (n)
        out_bytes(x->conn, at, n, more, credit);
}

static void send_stream_head(struct exchange *x, struct str lines, struct str body)
{
    struct connection *c = x->conn;
    struct stream_head sh = {.status = x->status,
                             .lines = lines,
                             .length = x->length_left,
                             .no_body = x->no_body};

    if (status_has_no_body(x->status))
        sh.length = UINT64_MAX;
    else if (sh.length != UINT64_MAX)
        sh.length += body.n;
    c->stream->head(c, &sh);
    if (body.n && c->stream)
        out_bytes(c, body.p, body.n, /* more = */ false, /* credit = */ 0);
}

/* The next record is here and has bytes to send: what stands before them need not leave alone. */
static bool body_follows(const struct exchange *x, const struct ring_record *rec)
{
    return !x->no_body && x->length_left > 0 && link_has_more(x->link, rec);
}

/* out..p is the head as text; there is room for the body behind it. */
static void send_text_head(struct exchange *x, char *out, char *p, struct str body,
                           const struct ring_record *rec)
{
    if (body.n) {
        if (x->chunk_response)
            p += response1_chunk_head(p, body.n);
        p = put(p, body.p, body.n);
        if (x->chunk_response)
            p = PUT_LIT(p, "\r\n");
    }
    /* More body follows, or the end of the connection: either sends the head along with itself. */
    bool more = x->closing ? x->close && x->body != BODY_COMING : body_follows(x, rec);

    out_bytes(x->conn, out, (size_t)(p - out), more, /* credit = */ 0);
}

bool response_head(struct exchange *x, const struct ring_record *rec)
{
    struct connection *c = x->conn;
    struct msg_response h;
    bool closing = rec->flags & MSG_END;

    if (x->started || rec->len < sizeof(h))
        return false;
    memcpy(&h, rec->payload, sizeof(h));
    if (!message_response_ok(&h, rec->len) ||
        ((h.flags & MSGR_NO_BODY) && !may_have_no_body(x, h.status)))
        return false;
    const unsigned char *parts = rec->payload + sizeof(h);
    char *out = c->thread->scratch, *lines, *p = write_head(out, &h, parts, &lines);

    if (!p)
        return false;
    keep_for_log(x, &h, parts);
    x->started = true;
    if (!x->client_gone && !throttle_begin(c))
        conn_reset(c);
    if (x->client_gone) {
        if (closing)
            close_exchange(x);
        return true;
    }
    decide_framing(x, &h, closing);
    struct str head_lines = str_n(lines, h.headers_len);
    struct str reason =
        str_n(out + STATUS_LINE_BYTES, (size_t)(lines - 2 - out) - STATUS_LINE_BYTES);

    p = write_framing(p, x);
    x->response_begin_ms = thread_now_ms(c->thread);
    x->response_bytes = (uint64_t)(p - out) +
                        (h.flags & MSGR_LENGTH ? (uint64_t)h.content_length : 0);
    x->closing = closing;
    x->body_sent_uncredited += h.body_len;
    struct str body = str_n((const char *)rec->payload + rec->len - h.body_len, h.body_len);

    if (x->no_body)
        body = STR_NULL;
    else if (!take_length(x, body.n))
        return false;
    cache_offer_head(x, &h, reason, head_lines, body, closing);
    if (c->is_stream && (h.flags & MSGR_HTTP11) && closing)
        c->stream->http11(c);
    else if (c->is_stream)
        send_stream_head(x, str_n(lines, (size_t)(p - lines)), body);
    else
        send_text_head(x, out, p, body, rec);
    if (closing)
        close_exchange(x);
    else if (!x->client_gone && x->body == BODY_COMING)
        conn_body_timer(c);
    return true;
}

bool response_body(struct exchange *x, const struct ring_record *rec)
{
    bool last = rec->flags & MSG_END;

    if (!x->started || rec->len > MESSAGE_BODY_MAX)
        return false;
    if (x->client_gone || x->no_body) {
        x->body_sent_uncredited += rec->len;
        if (!last && !x->client_gone)
            pay_credit(x);
        if (last)
            close_exchange(x);
        return true;
    }
    if (!take_length(x, rec->len) || x->queued_body > 2 * (uint64_t)RESPONSE_CREDIT)
        return false;
    char *at = x->conn->thread->scratch + RESPONSE1_CHUNK_HEAD_MAX;

    memcpy(at, rec->payload, rec->len);
    x->closing = last;
    send_body(x, at, rec->len, last, !last && body_follows(x, rec));
    if (last)
        close_exchange(x);
    return true;
}

static void send_file(struct exchange *x, struct out_file *f, const struct msg_file *m, bool last)
{
    struct connection *c = x->conn;
    char head[RESPONSE1_CHUNK_HEAD_MAX];
    struct str tail = last ? STR("\r\n0\r\n\r\n") : STR("\r\n");

    if (m->length == 0)
        tail = last ? STR("0\r\n\r\n") : STR("");
    if (x->length_left == UINT64_MAX)
        x->response_bytes += m->length;
    if (x->chunk_response && m->length &&
        !out_bytes(c, head, response1_chunk_head(head, m->length), /* more = */ true, 0))
        return;
    if (m->length && !out_file(c, f, m->offset, m->length))
        return;
    if (x->chunk_response && tail.n)
        out_bytes(c, tail.p, tail.n, /* more = */ false, 0);
}

bool response_file(struct exchange *x, const struct ring_record *rec)
{
    struct link *k = x->link;
    bool last = rec->flags & MSG_END;
    struct msg_file m;

    if (!x->started || rec->len != sizeof(m))
        return false;
    memcpy(&m, rec->payload, sizeof(m));
    if (m.length > INT64_MAX || m.offset > INT64_MAX - m.length)
        return false;
    struct out_file *f = link_file(k, m.handle);

    if (!f)
        return false;
    x->closing = last;
    if (!x->client_gone && !x->no_body) {
        if (!take_length(x, m.length) || x->queued_files > QUEUED_FILES_MAX)
            return false;
        cache_offer_file(x, f->fd, &m, last);
        send_file(x, f, &m, last);
    }
    if (last)
        close_exchange(x);
    return true;
}

bool response_end(struct exchange *x, const struct ring_record *rec)
{
    struct msg_end m;

    if (rec->len != sizeof(m))
        return false;
    memcpy(&m, rec->payload, sizeof(m));
    if (m.win32)
        x->win32 = m.win32;
    if (x->client_gone) {
        close_exchange(x);
        return true;
    }
    if (rec->type == MSG_RESPONSE_RESET) {
        struct connection *c = x->conn;
        /* AbortRequest, or an application that failed half-way: the client must notice. */
        link_release(x);
        x->ended = true;
        if (x->started)
            site_log(x);
        else
            own_log(c, HTTPERR_CONNECTION_ABANDONED_BY_REQ_QUEUE);
        conn_reset(c);
        return true;
    }
    if (!x->started)
        return false;
    x->closing = true;
    if (x->chunk_response && !x->no_body)
        out_bytes(x->conn, "0\r\n\r\n", 5, /* more = */ false, 0);
    close_exchange(x);
    return true;
}

void response_finish(struct connection *c)
{
    struct exchange *x = c->x;

    if (c->throttle)
        throttle_end(c);
    c->in->start += x->head.head_len;
    exchange_free(c->thread, x);
    c->x = NULL;
    c->state = C_READING;
    conn_advance(c);
}

bool response_check_done(struct connection *c)
{
    struct exchange *x = c->x;

    if (!x || !x->ended || c->out || c->batched || c->state != C_BUSY)
        return true;
    site_log(x);
    if (!x->no_body && x->length_left != 0 && x->length_left != UINT64_MAX) {
        conn_reset(c); /* less than was promised */
        return false;
    }
    if (c->is_stream) {
        conn_close(c);
        return false;
    }
    if (x->close) {
        /* What it has sent beyond this request must not turn the end into a reset. */
        if (x->body == BODY_COMING || c->read_paused || conn_has_more_input(c)) {
            c->state = C_LINGERING;
            conn_linger(c);
        } else {
            conn_close(c);
        }
        return false;
    }
    if (x->body == BODY_COMING) {
        c->state = C_DRAINING;
        body_pump(c);
        return false;
    }
    response_finish(c);
    return false;
}

void response_abandoned(struct exchange *x)
{
    struct connection *c = x->conn;

    bool taken = x->state == X_HELD;

    link_release(x);
    x->ended = true;
    if (x->client_gone) {
        if (taken)
            own_log(c, HTTPERR_CONNECTION_DROPPED);
        conn_free(c);
        return;
    }
    own_log(c, HTTPERR_CONNECTION_ABANDONED_BY_REQ_QUEUE);
    conn_reset(c);
}
