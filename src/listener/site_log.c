/* The line of a finished request in its site's log. */
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/metrics.h"
#include "listener/shared.h"
#include "listener/thread.h"
#include "logging/log_settings.h"
#include "logging/logging.h"
#include "base/poison.h"

enum { ERROR_NETNAME_DELETED = 64 };

static struct str version_text(const struct exchange *x)
{
    switch (x->head.version_major) {
    case 0:
        return STR("HTTP/0.9");
    case 2:
        return STR("HTTP/2.0");
    default:
        return x->head.version_minor == 0 ? STR("HTTP/1.0") : STR("HTTP/1.1");
    }
}

static struct str request_header(const struct exchange *x, const char *buf, struct str name)
{
    const struct http1_header *h = http1_headers(&x->head);

    for (size_t i = 0; i < x->head.n_headers; i++)
        if (str_ieq(str_n(buf + h[i].name_off, h[i].name_len), name))
            return str_n(buf + h[i].value_off, h[i].value_len);
    return STR_NULL;
}

/* Value behind "name" and a separator in lines of text. */
static struct str find_line(struct str lines, struct str name, char separator)
{
    struct str line;

    while (str_split(&lines, '\n', &line))
        if (line.n > name.n && line.p[name.n] == separator &&
            str_ieq(str_sub(line, 0, name.n), name))
            return str_trim_all(str_sub(line, name.n + 1, line.n));
    return STR_NULL;
}

static struct str custom_value(void *arg, const struct log_custom_field *f)
{
    struct exchange *x = arg;
    struct connection *c = x->conn;

    switch (f->type) {
    case LOG_CUSTOM_REQUEST_HEADER:
        return request_header(x, c->in->data + c->in->start, f->source);
    case LOG_CUSTOM_RESPONSE_HEADER:
        return find_line(str_n(x->headers_copy, x->headers_len), f->source, ':');
    case LOG_CUSTOM_SERVER_VARIABLE:
        return find_line(str_n(x->log_text + x->user_len, x->custom_len), f->source, '=');
    }
    return STR_NULL;
}

void site_log(struct exchange *x)
{
    struct connection *c = x->conn;
    struct thread *t = c->thread;
    const char *buf = c->in->data + c->in->start;
    const struct http1_head *h = &x->head;

    if (x->logged)
        return; /* one line per request */
    x->logged = true;
    uint64_t time_taken_ms = thread_now_ms(t) - x->begin_ms;

    metrics_request(t->metrics, x->site->id, x->status, x->substatus, time_taken_ms,
                    x->bytes_received, x->bytes_sent);
    if (x->no_log || !x->site->log)
        return;
    struct log_record r = {.wall_us = t->wall_us,
                           .time_taken_ms = time_taken_ms,
                           .bytes_sent = x->bytes_sent,
                           .bytes_received = x->bytes_received,
                           .win32 = x->client_gone && !x->win32 ? ERROR_NETNAME_DELETED : x->win32,
                           .status = x->status,
                           .substatus = x->substatus,
                           .server = c->log_local,
                           .client = c->log_remote,
                           .method = http1_method(h, buf),
                           .version = version_text(x),
                           .stem = x->url.path,
                           .query = x->url.query,
                           .user = str_n(x->log_text, x->user_len),
                           .user_agent = http1_value(h, buf, HDR_USER_AGENT),
                           .cookie = http1_value(h, buf, HDR_COOKIE),
                           .referer = http1_value(h, buf, HDR_REFERER),
                           .host = http1_host(h, buf),
                           .custom_value = custom_value,
                           .custom_arg = x};

    logging_site(t->listener->logging, t->index, x->site->log, &r);
}
