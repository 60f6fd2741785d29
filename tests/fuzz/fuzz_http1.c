/* Request heads and chunked bodies: however the input is cut, it must mean the same; and what comes
 * out keeps the promises of the headers. Byte 0 chooses limits and liberties, byte 1 the cuts. */
#include <stdlib.h>

#include "http/chunked.h"
#include "http/http1_parser.h"
#include "base/poison.h"

/* What was understood of one message. */
struct outcome {
    enum rc head_rc, body_rc;
    enum httperr_reason reason;
    uint64_t error_offset;
    struct http1_head head;
    uint64_t headers_hash, body_hash, body_len, consumed;
};

/* Where the pieces end: 1 to 8 bytes each, or everything at once if seed is 0. */
struct cutter {
    uint32_t seed;
};

static size_t next_piece(struct cutter *c, size_t left)
{
    if (c->seed == 0)
        return left;
    c->seed = c->seed * 1664525u + 1013904223u;
    size_t n = 1 + (c->seed >> 24) % 8;

    return n < left ? n : left;
}

static uint64_t mix(uint64_t h, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * 1099511628211u;
    return (h ^ n) * 1099511628211u;
}

static void check_head(struct outcome *o, const char *buf, size_t len, uint32_t flags)
{
    const struct http1_head *h = &o->head;

    INVARIANT(h->head_len <= len);
    INVARIANT(h->method_len > 0 && h->target_len > 0);
    INVARIANT(h->target_off + h->target_len < h->head_len);
    INVARIANT(!(h->chunked && h->has_content_length));
    INVARIANT(h->has_content_length || h->content_length == 0);
    INVARIANT(!h->length_and_chunked || (h->chunked && !h->keep_alive));
    INVARIANT(h->host_len > 0 || h->version_minor == 0 || h->version_major == 0);
    INVARIANT(h->chunked || h->has_content_length || h->version_major == 0 ||
              (h->method != HTTP_METHOD_POST && h->method != HTTP_METHOD_PUT));
    for (uint32_t i = 0; i < h->n_headers; i++) {
        const struct http1_header *line = &http1_headers(h)[i];
        struct str name = str_n(buf + line->name_off, line->name_len);
        struct str value = str_n(buf + line->value_off, line->value_len);

        INVARIANT(line->name_off + line->name_len < h->head_len);
        INVARIANT(line->value_off + line->value_len < h->head_len);
        INVARIANT(flags & HTTP1_WEAK_HEADER_NAMES ? name.n > 0 : http_is_token(name));
        INVARIANT(http_header_lookup(name) == line->id);
        INVARIANT(http_value_is_writable(value));
        INVARIANT(flags & HTTP1_WEAK_HEADER_VALUES || http_value_span(value) == value.n);
        INVARIANT(str_trim(value).n == value.n);
        o->headers_hash = mix(mix(o->headers_hash, name.p, name.n), value.p, value.n);
    }
}

static void read_body(struct outcome *o, const struct chunked_limits *limits, struct cutter cut,
                      const char *text, size_t n)
{
    struct chunked c;
    size_t fed = 0;

    chunked_init(&c, limits);
    o->body_rc = RC_AGAIN;
    while (o->body_rc == RC_AGAIN && fed < n) {
        size_t piece = next_piece(&cut, n - fed), at = 0;
        char *copy = malloc(piece); /* exactly as long: reading too far is seen */

        INVARIANT(copy);
        memcpy(copy, text + fed, piece);
        while (o->body_rc == RC_AGAIN && at < piece) {
            struct str data;
            size_t used;

            o->body_rc = chunked_feed(&c, copy + at, piece - at, &used, &data);
            INVARIANT(used <= piece - at && data.n <= used);
            INVARIANT(used > 0 || o->body_rc != RC_AGAIN);
            for (size_t i = 0; i < data.n; i++)
                o->body_hash = mix(o->body_hash, data.p + i, 1);
            o->body_len += data.n;
            at += used;
        }
        fed += piece;
        free(copy);
    }
    o->consumed = c.offset;
    INVARIANT(c.offset <= n && o->body_len <= c.total);
    if (o->body_rc == RC_OK)
        INVARIANT(o->body_len == c.total);
    if (o->body_rc == RC_FAIL) {
        o->reason = c.reason;
        o->error_offset = c.error_offset;
        INVARIANT(c.reason != HTTPERR_NONE);
    }
}

static void read_all(struct outcome *o, const struct http1_limits *limits, struct cutter cut,
                     const char *text, size_t n)
{
    struct chunked_limits chunk_limits = {limits->max_field_length, limits->max_request_bytes,
                                          limits->flags};
    struct http1_parser p;
    char *buf = NULL;
    size_t len = 0;

    memset(o, 0, sizeof(*o));
    http1_head_init(&o->head);
    http1_parser_init(&p, limits);
    o->head_rc = RC_AGAIN;
    while (o->head_rc == RC_AGAIN && len < n) {
        size_t piece = next_piece(&cut, n - len);
        char *moved = malloc(len + piece);

        INVARIANT(moved);
        if (len)
            memcpy(moved, buf, len);
        memcpy(moved + len, text + len, piece);
        free(buf);
        buf = moved;
        len += piece;
        o->head_rc = http1_parse(&p, buf, len, &o->head);
        INVARIANT(o->head_rc != RC_AGAIN || len <= p.limits.max_request_bytes);
    }
    if (o->head_rc == RC_FAIL) {
        o->reason = p.reason;
        o->error_offset = p.error_offset;
        INVARIANT(p.reason != HTTPERR_NONE && p.error_offset <= len);
    } else if (o->head_rc == RC_OK) {
        check_head(o, buf, len, limits->flags);
        if (o->head.chunked)
            read_body(o, &chunk_limits, cut, text + o->head.head_len, n - o->head.head_len);
    }
    free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http1_limits choices[4] = {
        {16384, 16384, 0}, {64, 256, 0}, {64, 1024, 0}, {65534, 16777216, 0}};
    static struct outcome whole, cut;

    if (size < 3)
        return 0;
    struct http1_limits limits = choices[data[0] >> 4 & 3];
    const char *text = (const char *)data + 2;

    limits.flags = data[0] & 15;
    read_all(&whole, &limits, (struct cutter){0}, text, size - 2);
    read_all(&cut, &limits, (struct cutter){data[1] + 1u}, text, size - 2);

    INVARIANT(whole.head_rc == cut.head_rc && whole.body_rc == cut.body_rc);
    INVARIANT(whole.reason == cut.reason && whole.error_offset == cut.error_offset);
    INVARIANT(whole.headers_hash == cut.headers_hash);
    INVARIANT(whole.body_hash == cut.body_hash && whole.body_len == cut.body_len);
    INVARIANT(whole.consumed == cut.consumed);
    INVARIANT(whole.head.n_headers == cut.head.n_headers);
    /* Everything before the pointer to the heap is plain numbers. */
    if (whole.head_rc == RC_OK)
        INVARIANT(memcmp(&whole.head, &cut.head, offsetof(struct http1_head, n_headers)) == 0);
    http1_head_fini(&whole.head);
    http1_head_fini(&cut.head);
    return 0;
}
