/* The head of a stream: from fields to an exchange. The fields of a block are collected first. A
 * head that has been seen before (http2_known.c) is that of an exchange at once; any other is
 * worked off field by field. */
#include <stdlib.h>

#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/http2.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "base/poison.h"

/* A connection and an exchange for s, as yet on loan. NULL: no memory. */
static struct connection *lend(const struct http2 *h, const struct http2_stream *s)
{
    struct http2_thread *t = http2_of(h);
    struct thread *thread = h->c->thread;
    struct connection *c = conn_lend_stream(t->lent, h->c, &http2_stream_ops);

    if (!c)
        return NULL;
    t->lent = c;
    if (!t->lent_in && !(t->lent_in = input_new(thread, INPUT_SMALL_BYTES)))
        return NULL;
    if (t->lent_x)
        exchange_reset(t->lent_x);
    else
        t->lent_x = exchange_new(thread);
    c->in = t->lent_in;
    c->in->start = c->in->end = 0;
    c->stream_data = (void *)(uintptr_t)s;
    c->stream_id = (uint32_t)s->id;
    struct exchange *x = c->x = t->lent_x;

    x->conn = c;
    x->gen = thread->current;
    x->begin_ms = thread_now_ms(thread);
    x->begin_wall_us = thread->wall_us;
    x->request_id = ++thread->next_request;
    return c;
}

/* The same for a known head. What was lent for it the last time has changed in nothing but what the
 * answer says anew, and what stands here. */
static struct connection *lend_known(struct http2 *h, const struct http2_stream *s,
                                     const struct http2_known *k)
{
    struct http2_thread *t = http2_of(h);
    struct thread *thread = h->c->thread;
    struct connection *c = t->lent;

    if (UNLIKELY(t->lent_for != k)) {
        t->lent_for = NULL;
        c = lend(h, s);
        if (c)
            http2_known_fill(h, k, c);
        return c;
    }
    struct exchange *x = c->x;

    http2_known_priority(h, k);
    conn_lend_again(c, h->c);
    c->stream_data = (void *)(uintptr_t)s;
    c->stream_id = (uint32_t)s->id;
    x->serial++;
    x->gen = thread->current;
    x->begin_ms = thread_now_ms(thread);
    x->begin_wall_us = thread->wall_us;
    x->request_id = ++thread->next_request;
    x->bytes_sent = 0;
    x->logged = false;
    return c;
}

/* They are the stream's from now on. */
static void keep(struct http2 *h, struct http2_stream *s, struct connection *c)
{
    struct http2_thread *t = http2_of(h);

    conn_keep_stream(c);
    (void)nghttp2_session_set_stream_user_data(h->frames, s->id, s);
    c->x->gen = thread_hold_generation(c->thread);
    s->c = c;
    h->n_attached++;
    t->lent = NULL;
    t->lent_for = NULL;
    t->lent_x = NULL;
    t->lent_in = NULL;
}

void http2_lent_free(struct http2_thread *t)
{
    free(t->lent_in);
    free(t->lent); /* the exchange is in the thread's table */
}

static bool begin_exchange(struct http2 *h, struct http2_stream *s)
{
    struct connection *c = lend(h, s);

    if (c)
        keep(h, s, c);
    return c != NULL;
}

int http2_on_begin_headers(nghttp2_session *session, const nghttp2_frame *f, void *user)
{
    struct http2 *h = user;

    h->in_block = true;
    h->has_priority = false;
    h->collects = false;
    if (f->headers.cat != NGHTTP2_HCAT_REQUEST) {
        h->block = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
        http2_trailer_begin(&h->head, &h->c->thread->current->generation->http1);
        return 0;
    }
    struct http2_stream *s = http2_stream_new(h, f->hd.stream_id);

    h->block = s;
    if (!s)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    http2_block_begin(&http2_of(h)->block);
    h->collects = true;
    return 0;
}

static void note_priority(struct http2 *h, struct str name, struct str value)
{
    static const char text[] = "priority";

    if (name.n != sizeof(text) - 1 || memcmp(name.p, text, sizeof(text) - 1) != 0)
        return;
    if (!h->has_priority) {
        h->urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY;
        h->incremental = false;
    }
    h->has_priority = http2_priority_parse(value, &h->urgency, &h->incremental);
}

/* False: no memory. */
static bool take_field(struct http2 *h, struct connection *c, struct str name, struct str value)
{
    if (!http2_make_room(c, http2_head_needs(&h->head, name, value), SIZE_MAX))
        return false;
    note_priority(h, name, value);
    http2_head_field(&h->head, c->in->data, name, value);
    c->in->end = h->head.used;
    return true;
}

/* The exchange begins after all, with the fields collected so far. False: no memory. */
static bool take_collected(struct http2 *h)
{
    struct http2_stream *s = h->block;
    const struct http2_block *b = &http2_of(h)->block;
    const char *at = b->bytes;
    struct str name, value;

    h->collects = false;
    if (!begin_exchange(h, s))
        return false;
    http2_head_begin(&h->head, &s->c->x->gen->generation->http1, &s->c->x->head);
    while (http2_block_next(b, &at, &name, &value))
        if (!take_field(h, s->c, name, value))
            return false;
    return true;
}

int http2_on_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name,
                    size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    struct http2 *h = user;
    struct str key = str_n((const char *)name, name_n), text = str_n((const char *)value, value_n);

    if (!h->block)
        return 0;
    if (LIKELY(h->collects)) {
        if (LIKELY(http2_block_add(&http2_of(h)->block, key, text, flags)))
            return 0;
        if (!take_collected(h))
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (h->head.is_trailer)
        http2_head_field(&h->head, NULL, key, text);
    else if (!h->block->c)
        return 0;
    else if (!take_field(h, h->block->c, key, text))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return http2_guard_head(h) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* --- the block is complete --- */

static void set_priority(struct http2 *h, const struct http2_stream *s)
{
    nghttp2_extpri p = {.urgency = h->urgency, .inc = h->incremental};

    if (h->has_priority && s->id != h->updated_id) /* which is newer than the head */
        (void)nghttp2_session_change_extpri_stream_priority(h->frames, s->id, &p, 0);
}

static void begin_request(struct http2 *h, const struct http2_stream *s, struct connection *c)
{
    set_priority(h, s);
    c->state = C_BUSY;
    c->x->bytes_received = c->x->head.head_len;
}

/* block: all its fields; NULL: they are no more there. */
static void request_in(struct http2 *h, struct http2_stream *s, bool is_last,
                       const struct http2_block *block)
{
    struct connection *c = s->c;

    if (!http2_make_room(c, http2_head_needs_at_end(&h->head), SIZE_MAX)) {
        conn_reset(c);
        return;
    }
    enum rc rc = http2_head_end(&h->head, c->in->data, is_last);

    http2_guard_request(h);
    c->in->end = h->head.used;
    c->read_eof = s->request_whole = is_last;
    if (rc == RC_OK) {
        begin_request(h, s, c);
        if (!intake_look(c))
            return;
        if (block && is_last)
            http2_known_add(h, block, c);
        intake_admit(c);
    } else if (h->head.malformed) {
        http2_refuse_malformed(s);
    } else {
        own_response(c, h->head.reason);
    }
}

static void no_memory(struct http2 *h, struct http2_stream *s)
{
    if (s->c) {
        conn_reset(s->c);
        return;
    }
    s->was_reset = true;
    (void)nghttp2_session_set_stream_user_data(h->frames, s->id, s);
    (void)nghttp2_submit_rst_stream(h->frames, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_INTERNAL_ERROR);
}

/* What was lent still shows the answer before. A request that is not answered at once needs it as
 * good as new, but for what intake_may and cached_answer_find have found. */
static void unuse(struct http2 *h, const struct http2_stream *s, const struct http2_known *k)
{
    struct connection *c = http2_of(h)->lent;
    struct exchange *x = c->x;
    struct thread_pool *pool = x->pool;
    bool may_enter_cache = x->may_enter_cache;
    uint64_t request_id = x->request_id;
    uint32_t idle_ms = c->idle_ms;

    (void)lend(h, s); /* has all the memory that it needs */
    http2_known_fill(h, k, c);
    begin_request(h, s, c);
    c->read_eof = true;
    c->idle_ms = idle_ms;
    x->pool = pool;
    x->may_enter_cache = may_enter_cache;
    x->request_id = request_id;
}

static void collected_in(struct http2 *h, struct http2_stream *s, bool is_last)
{
    const struct http2_block *b = &http2_of(h)->block;
    const struct http2_known *k = is_last ? http2_known_find(h, b) : NULL;

    if (!k) {
        if (!take_collected(h))
            no_memory(h, s);
        else if (http2_guard_head(h))
            request_in(h, s, is_last, b);
        return;
    }
    h->collects = false;
    bool is_used = http2_of(h)->lent_for == k;
    struct connection *c = lend_known(h, s, k);

    if (!c) {
        no_memory(h, s);
        return;
    }
    http2_guard_request(h);
    c->read_eof = s->request_whole = true;
    begin_request(h, s, c);
    enum httperr_reason why = intake_may(c);
    const struct cached_response *r = why == HTTPERR_NONE ? cached_answer_find(c) : NULL;

    if (LIKELY(r != NULL) && cached_answer_at_once(c, r)) {
        h->c->idle_ms = c->idle_ms; /* the site's */
        http2_of(h)->lent_for = k;
        return;
    }
    if (is_used)
        unuse(h, s, k);
    keep(h, s, c);
    if (why != HTTPERR_NONE)
        own_response(c, why);
    else if (r)
        cached_answer_send(c, r);
    else
        pool_enqueue(c, c->x->pool);
}

void http2_headers_in(struct http2 *h, const nghttp2_frame *f)
{
    struct http2_stream *s = h->block;
    bool is_last = f->hd.flags & NGHTTP2_FLAG_END_STREAM;

    h->block = NULL;
    h->in_block = false;
    if (!s)
        return;
    if (LIKELY(h->collects)) {
        h->block = s; /* until its fields are worked off */
        collected_in(h, s, is_last);
        h->block = NULL;
    } else if (!s->c) {
        s->request_whole |= is_last; /* answered already */
    } else if (!h->head.is_trailer) {
        request_in(h, s, is_last, NULL);
    } else if (http2_head_end(&h->head, NULL, is_last) != RC_OK) {
        http2_refuse_malformed(s);
    } else {
        http2_request_ended(s);
    }
}

void http2_block_pause(struct http2 *h)
{
    if (!h->collects || !h->block)
        return;
    if (!take_collected(h))
        no_memory(h, h->block);
    else
        (void)http2_guard_head(h);
}
