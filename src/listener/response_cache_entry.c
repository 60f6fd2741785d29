#include "listener/response_cache_entry.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "tables/status.h"
#include "base/poison.h"

enum {
    LINE = 64,            /* of the processor's cache: entries begin on one */
    FILE_COST = 512,      /* what an open file is counted as */
    ALLOCATION_COST = 32,
};

uint64_t response_cache_key_hash(const struct response_cache_key *key)
{
    uint64_t path = hash_bytes(key->path.p, key->path.n);
    uint64_t host = hash_ibytes(key->host.p, key->host.n);
    uint64_t rest = (uint64_t)key->site << 32 | (uint64_t)key->port << 1 | key->tls;

    return path ^ (host << 23 | host >> 41) ^ rest * 0x9e3779b97f4a7c15u;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static char *put(char *p, const void *s, size_t n)
{
    if (n)
        memcpy(p, s, n);
    return p + n;
}

static char *put_str(char *p, struct str s)
{
    return put(p, s.p, s.n);
}

static char *put_u64(char *p, uint64_t v)
{
    char num[20];

    return put(p, num, fmt_u64(num, v));
}

static char *put_status_line(char *p, uint16_t status, struct str reason)
{
    p = put_str(p, STR("HTTP/1.1 "));
    p = put_u64(p, status);
    *p++ = ' ';
    p = put_str(p, reason);
    return put_str(p, STR("\r\n"));
}

/* The place where the date goes is left open. */
static char *put_date(char *p, const char *wire, uint16_t *ret_at)
{
    p = put_str(p, STR("Date: "));
    *ret_at = (uint16_t)(p - wire);
    memset(p, ' ', HTTP_DATE_LEN);
    return p + HTTP_DATE_LEN;
}

static char *put_304_lines(char *p, struct str lines)
{
    struct str line;

    while (str_split(&lines, '\n', &line)) {
        if (response_cache_left_out_of_304(str_sub(line, 0, str_find_char(line, ':'))))
            continue;
        p = put_str(p, line);
        *p++ = '\n';
    }
    return p;
}

/* Whole head and body. */
static char *put_wire(char *p, struct cached_response *r, const struct response_cache_offer *o)
{
    struct str reason = o->reason.n ? o->reason : status_reason(o->head->status);
    char *lines;

    r->wire = p;
    lines = p = put_status_line(p, o->head->status, reason);
    p = put_str(p, o->lines);
    r->lines = str_n(lines, o->lines.n);
    p = put_date(p, r->wire, &r->date_at);
    p = put_str(p, STR("\r\nContent-Length: "));
    p = put_u64(p, r->body_len);
    p = put_str(p, STR("\r\n\r\n"));
    r->head_len = (uint16_t)(p - r->wire);
    return r->in_memory ? put_str(p, o->body) : p;
}

static char *put_wire_304(char *p, struct cached_response *r)
{
    char *lines;

    r->wire_304 = p;
    lines = p = put_status_line(p, 304, status_reason(304));
    p = put_304_lines(p, r->lines);
    r->lines_304 = str_n(lines, (size_t)(p - lines));
    p = put_date(p, r->wire_304, &r->date_at_304);
    p = put_str(p, STR("\r\n\r\n"));
    r->head_len_304 = (uint16_t)(p - r->wire_304);
    return p;
}

/* Moves a view into the offer's lines to the same place in the entry's. */
static struct str moved(struct str view, struct str from, struct str to)
{
    return view.n ? str_n(to.p + (view.p - from.p), view.n) : STR_NULL;
}

/* ---- the entry ------------------------------------------------------------------------------ */

static void set_key(struct cached_response *r, const struct response_cache_key *k, char *names)
{
    char *p = names;

    for (size_t i = 0; i < k->host.n; i++)
        *p++ = ascii_lower(k->host.p[i]);
    p = put_str(p, k->path);
    r->names = names;
    r->host_len = (uint16_t)k->host.n;
    r->path_len = (uint16_t)k->path.n;
    if (!str_eq(k->raw, k->path)) {
        put_str(p, k->raw);
        r->raw_len = (uint16_t)k->raw.n;
    }
    r->hash = response_cache_key_hash(k);
    r->generation = k->generation;
    r->site = k->site;
    r->port = k->port;
    r->tls = k->tls;
}

static uint64_t expiry(const struct response_cache_offer *o)
{
    uint32_t s = o->head->cache_seconds;

    return s == UINT32_MAX ? UINT64_MAX : o->now_ms + (uint64_t)s * 1000;
}

static void set_facts(struct cached_response *r, const struct response_cache_offer *o,
                      const struct response_cache_facts *f)
{
    r->status = o->head->status;
    r->substatus = o->head->substatus;
    r->win32 = o->head->win32;
    r->no_log = o->head->flags & MSGR_NO_LOG;
    r->expires_ms = expiry(o);
    r->media_type = moved(f->media_type, o->lines, r->lines);
    r->validators = (struct http_validators){.etag = moved(f->etag, o->lines, r->lines),
                                             .last_modified = f->last_modified,
                                             .has_last_modified = f->has_last_modified};
    r->last_modified = moved(f->last_modified_text, o->lines, r->lines);
    r->may_be_304 = r->status == 200 && (f->etag.n || f->has_last_modified);
    /* The static file handler refuses with 406 what Accept does not cover; error pages and
     * redirections go to everybody. */
    if (r->status == 200 && f->media_type.n)
        r->type_hash = hash_bytes(r->media_type.p, r->media_type.n) | 1;
}

/* Both heads and the body; the framing around the lines of each takes less than 128 bytes. */
static size_t wire_bytes(const struct response_cache_offer *o)
{
    struct str reason = o->reason.n ? o->reason : status_reason(o->head->status);

    return reason.n + 2 * (o->lines.n + 128) + (o->fd < 0 ? o->body.n : 0);
}

enum response_cache_why cached_response_new(const struct response_cache_offer *o,
                                            const struct response_cache_facts *facts,
                                            uint8_t coding, struct cached_response **ret)
{
    const struct response_cache_key *k = o->key;
    size_t names = k->host.n + k->path.n + k->raw.n;
    size_t bytes = sizeof(struct cached_response) + names + wire_bytes(o);

    bytes = (bytes + LINE - 1) / LINE * LINE;
    struct cached_response *r = aligned_alloc(LINE, bytes);

    if (!r)
        return CACHE_ROOM;
    memset(r, 0, sizeof(*r));
    char *p = (char *)(r + 1);

    r->fd = -1;
    set_key(r, k, p);
    p += names;
    r->coding = coding;
    r->in_memory = o->fd < 0;
    r->body_len = r->in_memory ? o->body.n : (uint64_t)o->head->content_length;
    r->file_offset = o->file_offset;
    p = put_wire(p, r, o);
    set_facts(r, o, facts);
    if (r->may_be_304)
        p = put_wire_304(p, r);
    INVARIANT((size_t)(p - (char *)r) <= bytes);
    r->worker = o->worker;
    r->stored_ms = o->now_ms;
    r->cost = bytes + ALLOCATION_COST + (r->in_memory ? 0 : FILE_COST);
    atomic_init(&r->last_used_s, o->now_ms / 1000);
    atomic_init(&r->refs, 1);
    if (!r->in_memory) {
        r->fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 3);
        if (r->fd < 0) {
            cached_response_free(r);
            return CACHE_FILES;
        }
    }
    *ret = r;
    return CACHE_OK;
}

void cached_response_free(struct cached_response *r)
{
    if (r->fd >= 0)
        close(r->fd);
    free(r);
}

/* ---- conditions ----------------------------------------------------------------------------- */

/* A client that has one copy sends its validator as it came. */
static bool is_that_tag(struct str list, struct str etag)
{
    return etag.n >= 2 && etag.p[0] == '"' && etag.p[etag.n - 1] == '"' && str_eq(list, etag);
}

bool cached_response_not_modified(const struct cached_response *r, const struct http_conditions *c,
                                  int64_t wall_s)
{
    if (!r->may_be_304)
        return false;
    if (c->if_none_match.p ? is_that_tag(c->if_none_match, r->validators.etag)
                           : c->if_modified_since.n && r->validators.last_modified <= wall_s &&
                                 str_eq(c->if_modified_since, r->last_modified))
        return true;
    return (c->if_none_match.p || c->if_modified_since.p) &&
           http_conditions_check(c, &r->validators, wall_s) == HTTP_CONDITION_NOT_MODIFIED;
}

/* ---- output --------------------------------------------------------------------------------- */

static struct str connection_line(enum cached_connection c)
{
    switch (c) {
    case CACHED_CLOSE:
        return STR("\r\nConnection: close");
    case CACHED_KEEP_ALIVE:
        return STR("\r\nConnection: keep-alive");
    case CACHED_KEEP:
        break;
    }
    return STR_NULL;
}

size_t cached_response_write(const struct cached_response *r, enum cached_form form,
                             enum cached_connection connection, const char date[HTTP_DATE_LEN],
                             char *out)
{
    const char *wire = form == CACHED_NOT_MODIFIED ? r->wire_304 : r->wire;
    size_t date_at = form == CACHED_NOT_MODIFIED ? r->date_at_304 : r->date_at;
    size_t n = form == CACHED_NOT_MODIFIED ? r->head_len_304 : r->head_len;

    if (form == CACHED_WHOLE)
        n += (size_t)r->body_len;
    if (LIKELY(connection == CACHED_KEEP)) {
        memcpy(out, wire, n);
        memcpy(out + date_at, date, HTTP_DATE_LEN);
        return n;
    }
    size_t behind = date_at + HTTP_DATE_LEN;
    char *p = put(out, wire, date_at);

    p = put(p, date, HTTP_DATE_LEN);
    p = put_str(p, connection_line(connection));
    p = put(p, wire + behind, n - behind);
    return (size_t)(p - out);
}
