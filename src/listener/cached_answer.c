/* The response cache at work on a connection: answers from it, and what enters it. */
#include <stdlib.h>

#include "base/alloc.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/link.h"
#include "listener/metrics.h"
#include "listener/output.h"
#include "listener/response_cache.h"
#include "listener/response_cache_rules.h"
#include "listener/shared.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "queue/ring.h"
#include "base/poison.h"

/* The answer has its head; its body comes with the next record, as a file. */
struct cache_offer {
    struct msg_response head;
    size_t reason_len;
    char text[]; /* reason, header lines */
};

static struct response_cache_key key_of(const struct connection *c)
{
    const struct exchange *x = c->x;
    const char *buf = c->in->data + c->in->start;
    const struct http1_head *h = &x->head;

    return (struct response_cache_key){.host = intake_host(c),
                                       .path = x->url.path,
                                       .raw = http1_target(h, buf),
                                       .accept = http1_value(h, buf, HDR_ACCEPT),
                                       .accept_encoding = http1_value(h, buf, HDR_ACCEPT_ENCODING),
                                       .hash = x->cache_hash,
                                       .generation = x->gen->generation->id,
                                       .site = x->site->id,
                                       .port = c->bind_port,
                                       .tls = c->is_tls};
}

uint64_t cached_answer_hash(const struct connection *c)
{
    struct response_cache_key key = key_of(c);

    return response_cache_key_hash(&key);
}

static void keep_lines_for_log(struct exchange *x, struct str lines)
{
    if (!x->site->logs_response_headers || !lines.n)
        return;
    x->headers_copy = xmalloc(lines.n);
    memcpy(x->headers_copy, lines.p, lines.n);
    x->headers_len = (uint32_t)lines.n;
}

/* False: the connection is gone. */
static bool send_text(struct connection *c, const struct cached_response *r, bool not_modified)
{
    struct exchange *x = c->x;
    struct thread *t = c->thread;
    bool body = !x->no_body;
    enum cached_form form = not_modified             ? CACHED_NOT_MODIFIED
                            : body && r->in_memory ? CACHED_WHOLE
                                                     : CACHED_HEAD;
    enum cached_connection says = x->close                     ? CACHED_CLOSE
                                  : x->head.version_minor == 0 ? CACHED_KEEP_ALIVE
                                                               : CACHED_KEEP;
    size_t n = cached_response_write(r, form, says, t->date, t->scratch);
    bool file_follows = form == CACHED_HEAD && body;

    /* The end of the connection sends what is held back by `more`. */
    if (!out_bytes(c, t->scratch, n, file_follows || x->close, /* credit = */ 0))
        return false;
    return !file_follows || out_cached(c, r, r->file_offset, r->body_len);
}

static struct stream_head stream_head_of(const struct exchange *x, const struct cached_response *r,
                                         bool not_modified)
{
    return (struct stream_head){.status = x->status,
                                .no_body = x->no_body,
                                .dated = true,
                                .kept = r->serial,
                                .lines = not_modified ? r->lines_304 : r->lines,
                                .length = not_modified ? UINT64_MAX : r->body_len};
}

static bool send_stream(struct connection *c, const struct cached_response *r, bool not_modified)
{
    struct exchange *x = c->x;
    struct stream_head h = stream_head_of(x, r, not_modified);

    if (!x->no_body && c->stream->whole(c, &h, r))
        return c->stream != NULL;
    c->stream->head(c, &h);
    if (x->no_body || !c->stream)
        return c->stream != NULL;
    return out_cached(c, r, r->in_memory ? 0 : r->file_offset, r->body_len);
}

const struct cached_response *cached_answer_find(struct connection *c)
{
    struct exchange *x = c->x;
    struct thread *t = c->thread;
    const char *buf = c->in->data + c->in->start;

    if (!x->gen->generation->parameters.uri_enable_cache ||
        response_cache_request(&x->head, buf, &x->url) != CACHE_OK)
        return NULL;
    struct response_cache_key key = key_of(c);
    const struct cached_response *r =
        response_cache_find(t->listener->cache, t->index, &key, thread_now_ms(t));

    if (r) {
        if (UNLIKELY(!throttle_begin(c)))
            return NULL; /* there may be memory when the worker has answered */
        metrics_count(t->metrics, METRIC_CACHE_HITS);
    } else {
        metrics_count(t->metrics, METRIC_CACHE_MISSES);
        x->may_enter_cache = x->head.method == HTTP_METHOD_GET;
    }
    return r;
}

static bool is_not_modified(const struct connection *c, const struct cached_response *r)
{
    const struct http1_head *h = &c->x->head;
    const char *buf = c->in->data + c->in->start;

    if (!http1_has(h, HDR_IF_NONE_MATCH) && !http1_has(h, HDR_IF_MODIFIED_SINCE))
        return false;
    struct http_conditions conditions = {
        .if_none_match = http1_value(h, buf, HDR_IF_NONE_MATCH),
        .if_modified_since = http1_value(h, buf, HDR_IF_MODIFIED_SINCE)};

    return cached_response_not_modified(r, &conditions, c->thread->wall_us / 1000000);
}

/* What the exchange is from now on: answered. */
static void begin(struct connection *c, const struct cached_response *r, bool not_modified)
{
    struct exchange *x = c->x;

    x->status = not_modified ? 304 : r->status;
    x->substatus = not_modified ? 0 : r->substatus;
    x->win32 = not_modified ? 0 : r->win32;
    x->no_log = r->no_log;
    x->no_body = not_modified || x->head.method == HTTP_METHOD_HEAD;
    /* When the server stops, what the client had sent by then is answered. */
    x->close = !x->head.keep_alive ||
               (c->thread->stopping && (c->is_stream || !conn_has_more_input(c)));
    x->started = x->ended = true;
    x->state = X_OWN;
    x->response_begin_ms = thread_now_ms(c->thread);
    x->response_bytes = r->head_len + (x->no_body ? 0 : r->body_len);
    keep_lines_for_log(x, not_modified ? r->lines_304 : r->lines);
}

void cached_answer_send(struct connection *c, const struct cached_response *r)
{
    bool not_modified = is_not_modified(c, r);

    begin(c, r, not_modified);
    if (c->is_stream ? send_stream(c, r, not_modified) : send_text(c, r, not_modified))
        response_check_done(c);
}

bool cached_answer_at_once(struct connection *c, const struct cached_response *r)
{
    struct exchange *x = c->x;

    if (x->head.method == HTTP_METHOD_HEAD || x->site->logs_response_headers ||
        is_not_modified(c, r))
        return false;
    begin(c, r, /* not_modified = */ false);
    struct stream_head h = stream_head_of(x, r, /* not_modified = */ false);

    if (!c->stream->whole(c, &h, r))
        return false;
    site_log(x);
    return true;
}

bool cached_answer(struct connection *c)
{
    const struct cached_response *r = cached_answer_find(c);

    if (r)
        cached_answer_send(c, r);
    return r != NULL;
}

static void store(struct exchange *x, const struct msg_response *head, struct str reason,
                  struct str lines, struct str body, int fd, uint64_t file_offset)
{
    struct thread *t = x->conn->thread;
    struct response_cache_key key = key_of(x->conn);
    struct response_cache_offer offer = {.key = &key,
                                         .head = head,
                                         .reason = reason,
                                         .lines = lines,
                                         .body = body,
                                         .fd = fd,
                                         .file_offset = file_offset,
                                         .worker = x->link->worker->id,
                                         .now_ms = thread_now_ms(t),
                                         .is_get = true,
                                         .whole = true};

    /* Why it is refused is counted by the cache itself. */
    (void)response_cache_store(t->listener->cache, &offer);
}

void cache_offer_head(struct exchange *x, const struct msg_response *h, struct str reason,
                      struct str lines, struct str body, bool closing)
{
    if (!(h->flags & MSGR_CACHE) || !x->may_enter_cache || x->client_gone)
        return;
    if (closing) {
        store(x, h, reason, lines, body, /* fd = */ -1, 0);
        return;
    }
    if (h->body_len || !(h->flags & MSGR_LENGTH) || lines.n > RESPONSE_CACHE_HEADERS_MAX)
        return;
    x->offer = xmalloc(sizeof(*x->offer) + reason.n + lines.n);
    x->offer->head = *h;
    x->offer->reason_len = reason.n;
    memcpy(x->offer->text, reason.p, reason.n);
    memcpy(x->offer->text + reason.n, lines.p, lines.n);
}

void cache_offer_file(struct exchange *x, int fd, const struct msg_file *m, bool last)
{
    struct cache_offer *o = x->offer;

    if (LIKELY(!o))
        return;
    x->offer = NULL;
    if (last && m->length == (uint64_t)o->head.content_length)
        store(x, &o->head, str_n(o->text, o->reason_len),
              str_n(o->text + o->reason_len, o->head.headers_len), STR_NULL, fd, m->offset);
    free(o);
}

bool cache_flush_record(struct link *k, const struct ring_record *rec)
{
    struct msg_flush m;
    char path[RESPONSE_CACHE_PATH_MAX];

    if (rec->len < sizeof(m))
        return false;
    memcpy(&m, rec->payload, sizeof(m));
    if (m.path_len != rec->len - sizeof(m))
        return false;
    struct response_cache *cache = k->thread->listener->cache;

    if (m.site_id == 0) {
        response_cache_flush_worker(cache, k->worker->id);
        return true;
    }
    if (m.path_len > sizeof(path))
        return true; /* longer than anything that is kept */
    memcpy(path, rec->payload + sizeof(m), m.path_len);
    response_cache_flush(cache, m.site_id, str_n(path, m.path_len), m.flags & FLUSH_SUBTREE,
                         k->worker->id);
    return true;
}
