#include "worker/response_send.h"

#include "http/method.h"
#include "queue/message.h"
#include "queue/region.h"
#include "worker/cache_offers.h"
#include "worker/channel.h"
#include "worker/open_file.h"
#include "worker/request_core.h"
#include "worker/thread.h"

#include "base/poison.h"

enum {
    SORTED_HEADERS = 32,
    /* A MSG_RESPONSE_FILE behind a head for which room has been reserved. */
    FILE_RECORD_ROOM = 2 * RING_ALIGN + RING_RECORD_HEAD + sizeof(struct msg_file),
};

/* ---- body parts ----------------------------------------------------------------------------- */

static uint64_t part_length(const struct body_part *p)
{
    return p->kind == PART_MEMORY ? p->memory.n : p->length;
}

/* Hands the file over unless the listener has it. False: the socket does not take it now, which
 * costs a copy, not the answer. */
static bool has_handle(struct response_sink *s, struct open_file *f)
{
    if (f->handle)
        return true;
    uint32_t handle = s->last_handle + 1;

    if (f->fd < 0 || handle == 0 || !region_send_file(s->files, handle, f->fd))
        return false;
    s->last_handle = f->handle = handle;
    f->channel = s->channel;
    return true;
}

/* The rest of the part goes as a descriptor. */
static bool goes_as_file(struct response_sink *s, const struct request_core *core)
{
    const struct body_part *p = core->part;

    return p->kind == PART_FILE && !p->file->content &&
           p->length - core->part_at >= CHANNEL_FILE_MIN && has_handle(s, p->file);
}

static void advance(struct request_core *core, uint64_t n)
{
    core->part_at += n;
    core->sent += n;
    while (core->part && core->part_at >= part_length(core->part)) {
        core->part_at -= part_length(core->part);
        core->part = core->part->next;
    }
}

/* Copies up to max bytes of the body to out, stopping before what goes as a file. False if a file
 * cannot be read (any more). */
static bool fill(struct response_sink *s, struct request_core *core, char *out, size_t max,
                 size_t *ret_n)
{
    size_t n = 0;

    while (core->part && n < max && !goes_as_file(s, core)) {
        const struct body_part *p = core->part;
        uint64_t left = part_length(p) - core->part_at;
        size_t take = left < max - n ? (size_t)left : max - n;
        if (p->kind == PART_MEMORY)
            memcpy(out + n, p->memory.p + core->part_at, take);
        else if (!open_file_read(p->file, p->offset + core->part_at, out + n, take))
            return false;
        n += take;
        advance(core, take);
    }
    *ret_n = n;
    return true;
}

/* ---- head ----------------------------------------------------------------------------------- */

/* Writes into memory of which it knows the end. */
struct writer {
    char *at, *end;
};

static void put(struct writer *w, struct str s)
{
    size_t n = s.n <= (size_t)(w->end - w->at) ? s.n : (size_t)(w->end - w->at);

    if (n && s.p)
        memcpy(w->at, s.p, n);
    w->at += n;
}

size_t response_headers_bytes(const struct response *rs)
{
    size_t n = rs->prebuilt.n;

    for (const struct response_header *h = rs->headers; h; h = h->next)
        n += h->name.n + h->value.n + 4;
    return n;
}

static void put_header(struct writer *w, const struct response_header *h)
{
    put(w, h->name);
    put(w, STR(": "));
    put(w, h->value);
    put(w, STR("\r\n"));
}

/* Known headers in the order of the HTTP API, then the others as they came. */
static void put_headers(struct writer *w, const struct response *rs)
{
    const struct response_header *sorted[SORTED_HEADERS], *h = rs->headers;
    size_t n = 0;

    put(w, rs->prebuilt);
    for (; h && n < SORTED_HEADERS; h = h->next) {
        size_t i = n++;
        unsigned rank = http_header_wire_rank((enum http_header_id)h->id);
        for (; i > 0 && http_header_wire_rank((enum http_header_id)sorted[i - 1]->id) > rank; i--)
            sorted[i] = sorted[i - 1];
        sorted[i] = h;
    }
    for (size_t i = 0; i < n; i++)
        put_header(w, sorted[i]);
    for (; h; h = h->next)
        put_header(w, h);
}

static bool has_no_body(const struct request_core *core)
{
    uint16_t status = core->r.response.row->status;

    return core->r.msg.head.method_id == HTTP_METHOD_HEAD || status == 204 || status == 304;
}

static struct msg_response head_of(const struct request_core *core, bool no_body)
{
    const struct response *rs = &core->r.response;
    struct msg_response m = {.status = rs->row->status,
                             .substatus = rs->row->substatus,
                             .win32 = rs->win32,
                             .content_length = (int64_t)rs->body_length};

    /* A 204 or 304 has no length to speak of; a HEAD has that of the GET, or none if whoever
     * answered did not go to the trouble of finding out. */
    bool is_known = rs->has_body || core->r.msg.head.method_id != HTTP_METHOD_HEAD;

    if (m.status != 204 && m.status != 304 && is_known)
        m.flags |= MSGR_LENGTH;
    if (rs->needs_http11)
        m.flags |= MSGR_HTTP11;
    if (no_body)
        m.flags |= MSGR_NO_BODY;
    if (rs->close)
        m.flags |= MSGR_CLOSE;
    if (rs->no_log)
        m.flags |= MSGR_NO_LOG;
    return m;
}

static enum send_result send_reset(struct response_sink *s, struct request_core *core,
                                   uint32_t win32)
{
    struct msg_end end = {.win32 = win32};

    return ring_push(&s->ring, MSG_RESPONSE_RESET, 0, core->ring_id, &end, sizeof(end))
               ? SEND_CLOSED
               : SEND_FULL;
}

enum { WIN32_READ_FAULT = 30, WIN32_INVALID_DATA = 13 };

/* What a failed read turns into, now or when the ring has room. */
static enum send_result fail(struct response_sink *s, struct request_core *core, uint32_t win32)
{
    core->aborted = true;
    core->abort_win32 = win32;
    return send_reset(s, core, win32);
}

/* The answer may be kept by the listener, which wants it whole: all in this record, or a head and
 * one file. The file's record must follow at once, before a flush could come between: that is what
 * the room is for. */
static bool is_offered(const struct request_core *core, bool as_file, size_t inline_max)
{
    const struct response *rs = &core->r.response;
    bool whole = as_file ? core->part_at == 0 && part_length(core->part) == rs->body_length
                         : inline_max == rs->body_length;

    return whole && cache_offers_take(core->r.thread->offers, rs->file_of, rs->cache_seconds);
}

static enum send_result send_head(struct response_sink *s, struct request_core *core)
{
    struct request *r = &core->r;
    const struct response *rs = &r->response;
    bool no_body = has_no_body(core);
    struct msg_response m = head_of(core, no_body);
    struct str reason = str_sub(rs->reason.n ? rs->reason : rs->row->reason, 0, MESSAGE_REASON_MAX);
    struct str user = str_sub(r->user, 0, MESSAGE_USER_MAX);
    struct str log = rs->log_fields.n <= MESSAGE_LOG_MAX ? rs->log_fields : STR_NULL;
    size_t headers = response_headers_bytes(rs), inline_max = 0;
    bool as_file = !no_body && core->part && goes_as_file(s, core);

    if (headers > MESSAGE_HEADERS_MAX)
        return fail(s, core, WIN32_INVALID_DATA);
    if (!no_body && core->part && !as_file)
        inline_max = rs->body_length < MESSAGE_BODY_MAX ? (size_t)rs->body_length
                                                        : MESSAGE_BODY_MAX;
    size_t max = sizeof(m) + reason.n + headers + user.n + log.n + inline_max;
    char *p = ring_reserve(&s->ring, (uint32_t)(max + FILE_RECORD_ROOM));

    if (!p)
        return SEND_FULL;
    if (rs->cache_seconds && is_offered(core, as_file, inline_max)) {
        m.flags |= MSGR_CACHE;
        m.cache_seconds = rs->cache_seconds;
    }
    struct writer w = {p + sizeof(m), p + max};

    put(&w, reason);
    char *at = w.at;

    put_headers(&w, rs);
    m.headers_len = (uint32_t)(w.at - at);
    m.reason_len = (uint16_t)reason.n;
    m.user_len = (uint32_t)user.n;
    m.log_len = (uint32_t)log.n;
    put(&w, user);
    put(&w, log);
    size_t body = 0;

    if (inline_max && !fill(s, core, w.at, inline_max, &body))
        return fail(s, core, WIN32_READ_FAULT);
    m.body_len = (uint32_t)body;
    core->credit -= body;
    memcpy(p, &m, sizeof(m));
    bool end = no_body || core->sent == rs->body_length;

    ring_commit(&s->ring, MSG_RESPONSE, end ? MSG_END : 0, core->ring_id,
                (uint32_t)((size_t)(w.at - p) + body));
    core->head_sent = r->response.sent = true;
    return end ? SEND_CLOSED : SEND_CREDIT;
}

/* ---- body ----------------------------------------------------------------------------------- */

static enum send_result send_file_part(struct response_sink *s, struct request_core *core)
{
    const struct body_part *p = core->part;
    uint64_t left = p->length - core->part_at;
    struct msg_file m = {.offset = p->offset + core->part_at,
                         .length = left,
                         .handle = p->file->handle};
    bool end = core->sent + left == core->r.response.body_length;

    if (!ring_push(&s->ring, MSG_RESPONSE_FILE, end ? MSG_END : 0, core->ring_id, &m, sizeof(m)))
        return SEND_FULL;
    advance(core, left);
    return end ? SEND_CLOSED : SEND_CREDIT;
}

static enum send_result send_memory(struct response_sink *s, struct request_core *core)
{
    uint64_t left = core->r.response.body_length - core->sent;
    size_t max = left < MESSAGE_BODY_MAX ? (size_t)left : MESSAGE_BODY_MAX, n;

    if (max > core->credit)
        max = (size_t)core->credit;
    char *p = ring_reserve(&s->ring, (uint32_t)max);

    if (!p)
        return SEND_FULL;
    if (!fill(s, core, p, max, &n))
        return fail(s, core, WIN32_READ_FAULT);
    core->credit -= n;
    bool end = core->sent == core->r.response.body_length;

    ring_commit(&s->ring, MSG_RESPONSE_BODY, end ? MSG_END : 0, core->ring_id, (uint32_t)n);
    return end ? SEND_CLOSED : SEND_CREDIT;
}

enum send_result response_send(struct response_sink *s, struct request_core *core)
{
    enum send_result result = SEND_CREDIT;

    if (core->aborted || core->r.response.abort)
        return send_reset(s, core, core->abort_win32);
    if (!core->head_sent)
        result = send_head(s, core);
    while (result == SEND_CREDIT && core->head_sent && !core->aborted) {
        if (!core->part)
            return fail(s, core, WIN32_INVALID_DATA); /* parts were less than was promised */
        if (goes_as_file(s, core))
            result = send_file_part(s, core);
        else if (core->credit == 0)
            return SEND_CREDIT;
        else
            result = send_memory(s, core);
    }
    return result;
}
