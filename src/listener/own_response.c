/* What the listener answers by itself, and the HTTPERR log (httpsys.md 1.3, 2). */
#include <sys/socket.h>

#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/metrics.h"
#include "listener/output.h"
#include "listener/shared.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "tables/httperr.h"
#include "base/poison.h"

static struct str version_text(const struct http1_head *h, char out[16])
{
    if (h->version_major == 0)
        return STR_NULL;
    if (h->version_major >= 10 || h->version_minor >= 10)
        return STR("HTTP/?.?");
    memcpy(out, "HTTP/x.x", 8);
    out[5] = (char)('0' + h->version_major);
    out[7] = (char)('0' + h->version_minor);
    return str_n(out, 8);
}

static void fill_request(struct log_httperr_record *r, struct connection *c, char version[16])
{
    struct exchange *x = c->x;
    const char *buf = c->in->data + c->in->start;
    const struct http1_head *h = &x->head;

    r->version = version_text(h, version);
    r->method = http1_method(h, buf);
    if (x->url.path.n) {
        r->uri = x->url.path;
        r->query = x->url.query;
    } else {
        r->uri = http1_target(h, buf);
    }
    r->time_taken_ms = thread_now_ms(c->thread) - x->begin_ms;
    r->bytes_received = x->state == X_HEAD ? c->in->end - c->in->start : x->bytes_received;
    r->bytes_sent = x->bytes_sent;
    if (h->head_len) {
        r->user_agent = http1_value(h, buf, HDR_USER_AGENT);
        r->cookie = http1_value(h, buf, HDR_COOKIE);
        r->referer = http1_value(h, buf, HDR_REFERER);
        r->host = http1_host(h, buf);
    }
    if (x->site)
        r->site_id = x->site->id;
    if (x->pool)
        r->queue_name = x->pool->pool->name;
}

void own_log(struct connection *c, enum httperr_reason reason)
{
    const struct httperr_row *row = httperr_find(reason);
    struct thread *t = c->thread;
    char version[16];

    if (c->x && c->x->logged)
        return; /* one line per request */
    if (c->x)
        c->x->logged = true;
    struct log_httperr_record r = {.wall_us = t->wall_us,
                                   .server = c->log_local,
                                   .client = c->log_remote,
                                   .reason = row->name,
                                   .status = row->status,
                                   .stream_id = c->stream_id,
                                   .transport = STR("TCP")};

    if (c->x && c->in)
        fill_request(&r, c, version);
    metrics_httperr(t->metrics, reason, r.bytes_received, r.bytes_sent);
    logging_httperr(t->listener->logging, t->index, &r);
}

/* As text at the thread's scratch memory; *ret_lines is the part of it that every version of HTTP
 * has: Content-Type, Server, Date. */
static struct str build(struct connection *c, const struct httperr_row *row, bool head_only,
                        struct str *ret_lines)
{
    struct thread *t = c->thread;
    struct str body = httperr_response(row->reason);
    uint32_t no_banner = c->x ? c->x->gen->generation->parameters.disable_server_header : 0;
    char *p = t->scratch, num[20], *lines;

#define PUT(s)                                                                                     \
    do {                                                                                           \
        struct str put_ = (s);                                                                     \
        memcpy(p, put_.p, put_.n);                                                                 \
        p += put_.n;                                                                               \
    } while (0)
    PUT(STR("HTTP/1.1 "));
    PUT(str_n(num, fmt_u64(num, row->status)));
    PUT(STR(" "));
    PUT(row->title);
    PUT(STR("\r\n"));
    lines = p;
    PUT(STR("Content-Type: text/html; charset=us-ascii\r\n"));
    if (!no_banner)
        PUT(STR("Server: Microsoft-HTTPAPI/2.0\r\n"));
    PUT(STR("Date: "));
    PUT(str_n(t->date, HTTP_DATE_LEN));
    PUT(STR("\r\n"));
    *ret_lines = str_n(lines, (size_t)(p - lines));
    PUT(STR("Connection: close\r\nContent-Length: "));
    PUT(str_n(num, fmt_u64(num, body.n)));
    PUT(STR("\r\n\r\n"));
    if (!head_only)
        PUT(body);
#undef PUT
    return str_n(t->scratch, (size_t)(p - t->scratch));
}

static void answer_stream(struct connection *c, const struct httperr_row *row, struct str lines,
                          bool head_only)
{
    struct str body = httperr_response(row->reason);
    struct stream_head h = {.status = row->status,
                            .lines = lines,
                            .length = body.n,
                            .no_body = head_only};

    c->stream->head(c, &h);
    if (!head_only && c->stream && !out_bytes(c, body.p, body.n, /* more = */ false, 0))
        return;
    if (c->stream)
        conn_linger(c); /* ends with the last byte */
}

void own_response(struct connection *c, enum httperr_reason reason)
{
    const struct httperr_row *row = httperr_find(reason);
    struct exchange *x = c->x;

    if (row->status == 503 && x->pool && atomic_load(&x->pool->pool->tcp_level)) {
        own_log(c, reason);
        x->state = X_OWN;
        conn_reset(c);
        return;
    }
    bool head_only = x->head.method == HTTP_METHOD_HEAD;
    struct str lines, out = build(c, row, head_only, &lines);

    x->bytes_sent = out.n;
    own_log(c, reason);
    x->state = X_OWN;
    c->state = C_LINGERING;
    if (c->is_stream) {
        answer_stream(c, row, lines, head_only);
        return;
    }
    if (out_bytes(c, out.p, out.n, /* more = */ false, /* credit = */ 0))
        conn_linger(c);
}
