#include "http/http1_parser.h"

#include <stdlib.h>

#include "http/http1_check.h"
#include "http/scan.h"
#include "base/poison.h"

enum state {
    S_START,       /* empty lines before the request */
    S_METHOD,      /* mark is its first byte */
    S_TARGET,      /* mark is its first byte */
    S_VERSION,     /* mark is its first byte */
    S_FIRST,       /* start of the line after the request line */
    S_FIRST_BLANK, /* the same, after blanks */
    S_LINE,        /* start of a header line or the empty line */
    S_NAME,        /* mark is its first byte */
    S_VALUE,       /* value_at is the first byte after ':' */
    S_DONE,
    S_FAILED,
};

/* The largest values that the settings may have; offsets and name lengths rely on them. */
enum { FIELD_LENGTH_MAX = 65534, MAX_REQUEST_BYTES = 16777216 };
enum { VERSION_DIGITS_MAX = 3 };

/* The part of the buffer that may be looked at: no more than MaxRequestBytes of it. */
struct input {
    char *buf;
    uint32_t end;
    bool capped; /* there is more, but it does not count any more */
};

void http1_parser_init(struct http1_parser *p, const struct http1_limits *limits)
{
    *p = (struct http1_parser){.limits = *limits};
    if (p->limits.max_request_bytes > MAX_REQUEST_BYTES)
        p->limits.max_request_bytes = MAX_REQUEST_BYTES;
    if (p->limits.max_field_length > p->limits.max_request_bytes)
        p->limits.max_field_length = p->limits.max_request_bytes;
    if (p->limits.max_field_length > FIELD_LENGTH_MAX)
        p->limits.max_field_length = FIELD_LENGTH_MAX;
}

void http1_head_init(struct http1_head *head)
{
    head->more = NULL;
    http1_head_reset(head);
}

void http1_head_reset(struct http1_head *head)
{
    free(head->more);
    /* The arrays behind are valid only as far as n_headers and seen say. */
    memset(head, 0, offsetof(struct http1_head, at));
}

void http1_head_copy(struct http1_head *to, const struct http1_head *from)
{
    memcpy(to, from, offsetof(struct http1_head, first) + from->n_headers * sizeof(from->first[0]));
}

void http1_head_fini(struct http1_head *head)
{
    http1_head_reset(head);
}

static enum rc fail(struct http1_parser *p, size_t offset, enum httperr_reason reason)
{
    p->state = S_FAILED;
    return http1_fail(p, offset, reason);
}

/* Input ended at pos, inside an element: wait, or refuse if MaxRequestBytes is used up. */
static enum rc more(struct http1_parser *p, const struct input *in, uint32_t pos,
                    enum httperr_reason if_capped)
{
    p->pos = pos;
    return in->capped ? fail(p, in->end, if_capped) : RC_AGAIN;
}

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* First byte after [from, end) that the element starting at mark may not reach. */
static inline uint32_t element_end(const struct http1_parser *p, const struct input *in)
{
    /* Cannot wrap: mark is below MaxRequestBytes, which is 16 MiB at most. */
    return min_u32(p->mark + p->limits.max_field_length + 1, in->end);
}

static enum rc read_start(struct http1_parser *p, const struct input *in)
{
    uint32_t at = p->pos;

    for (;; at++) {
        if (at >= in->end)
            return more(p, in, at, HTTPERR_REQUEST_LENGTH);
        if (in->buf[at] == '\r') {
            if (at + 1 >= in->end)
                return more(p, in, at, HTTPERR_REQUEST_LENGTH);
            if (in->buf[at + 1] != '\n')
                return fail(p, at, HTTPERR_VERB);
            at++;
        } else if (in->buf[at] != '\n') {
            break;
        }
    }
    p->start = p->mark = p->pos = at;
    p->state = S_METHOD;
    return RC_OK;
}

static enum rc read_method(struct http1_parser *p, const struct input *in, struct http1_head *head)
{
    uint32_t at = p->pos;

    while (at < in->end && scan_is(in->buf[at], SCAN_TOKEN))
        at++;
    if (at >= in->end)
        return more(p, in, at, HTTPERR_REQUEST_LENGTH);
    if (in->buf[at] != ' ' || at == p->mark)
        return fail(p, at, HTTPERR_VERB);

    struct str name = str_n(in->buf + p->mark, at - p->mark);
    enum http_method method = http_method_lookup(name);

    if (method == HTTP_METHOD_OTHER) {
        method = http_method_ilookup(name);
        if (method != HTTP_METHOD_OTHER && !(p->limits.flags & HTTP1_CASE_INSENSITIVE_VERBS))
            return fail(p, p->mark, HTTPERR_VERB);
    }
    head->method = (uint8_t)method;
    head->method_off = p->mark;
    head->method_len = at - p->mark;
    p->mark = p->pos = at + 1;
    p->state = S_TARGET;
    return RC_OK;
}

/* HTTP/0.9: "GET /path" and a line end, nothing else (RFC 1945 5). */
static enum rc simple_request(struct http1_parser *p, struct http1_head *head, const char *buf,
                              uint32_t line_end)
{
    if (head->method != HTTP_METHOD_GET)
        return fail(p, line_end - 1, HTTPERR_BAD_REQUEST);
    if (buf[head->target_off] == '*')
        return fail(p, head->target_off, HTTPERR_URL);
    head->version_minor = 9;
    head->head_len = line_end;
    p->pos = line_end;
    p->state = S_DONE;
    return RC_OK;
}

static enum rc read_target(struct http1_parser *p, const struct input *in, struct http1_head *head)
{
    uint32_t end = element_end(p, in), at = p->pos;

    for (;; at++) {
        at = (uint32_t)(scan_target(in->buf + at, in->buf + end) - in->buf);
        /* The first byte tells the form; routing will look at the rest. */
        if (p->mark < end && in->buf[p->mark] != '/' && in->buf[p->mark] != '*' &&
            ascii_lower(in->buf[p->mark]) != 'h')
            return fail(p, p->mark, HTTPERR_URL);
        if (at >= end) {
            if (end - p->mark > p->limits.max_field_length)
                return fail(p, end - 1, HTTPERR_URL_LENGTH);
            return more(p, in, at, HTTPERR_URL_LENGTH);
        }
        if (is_blank(in->buf[at]) || in->buf[at] == '\n' || in->buf[at] == '\r')
            break;
        if (in->buf[at] == '\0' || !(p->limits.flags & HTTP1_RAW_RESTRICTED_CHARS))
            return fail(p, at, HTTPERR_URL);
    }

    bool is_cr = in->buf[at] == '\r';

    if (is_cr && at + 1 >= in->end)
        return more(p, in, at, HTTPERR_REQUEST_LENGTH);
    if (is_cr && in->buf[at + 1] != '\n')
        return fail(p, at, HTTPERR_INVALID_CR_LF);
    head->target_off = p->mark;
    head->target_len = at - p->mark;
    if (!is_blank(in->buf[at]))
        return simple_request(p, head, in->buf, at + 1 + is_cr);
    p->mark = p->pos = at + 1;
    p->state = S_VERSION;
    return RC_OK;
}

/* 1 to 3 digits without a leading zero at *at. RC_AGAIN if the input ends before something else. */
static enum rc read_number(const struct input *in, uint32_t *at, uint16_t *ret)
{
    uint32_t first = *at;
    uint16_t value = 0;

    for (; *at < in->end && ascii_is_digit(in->buf[*at]); ++*at) {
        if (*at - first == VERSION_DIGITS_MAX || (*at > first && value == 0))
            return RC_FAIL;
        value = (uint16_t)(value * 10 + (in->buf[*at] - '0'));
    }
    if (*at >= in->end)
        return RC_AGAIN;
    *ret = value;
    return *at > first ? RC_OK : RC_FAIL;
}

/* "HTTP/" digits "." digits and the line's end; *at moves to what follows, or to what is wrong. */
static enum rc version_line(const struct input *in, uint32_t *at, uint16_t *major, uint16_t *minor)
{
    static const char prefix[5] = "HTTP/";
    enum rc rc;

    for (size_t i = 0; i < sizeof(prefix); i++, ++*at) {
        if (*at >= in->end)
            return RC_AGAIN;
        if (in->buf[*at] != prefix[i])
            return RC_FAIL;
    }
    rc = read_number(in, at, major);
    if (rc != RC_OK)
        return rc;
    if (in->buf[*at] != '.')
        return RC_FAIL;
    ++*at;
    rc = read_number(in, at, minor);
    if (rc != RC_OK)
        return rc;
    if (in->buf[*at] == '\r') {
        if (*at + 1 >= in->end)
            return RC_AGAIN;
        ++*at;
    }
    if (in->buf[*at] != '\n')
        return RC_FAIL;
    ++*at;
    return RC_OK;
}

static enum rc read_version(struct http1_parser *p, const struct input *in, struct http1_head *head)
{
    uint32_t at = p->mark; /* at most 15 bytes: read again from the start each time */
    uint16_t major = 0, minor = 0;

    if (in->end - at >= 10 && memcmp(in->buf + at, "HTTP/1.1", 8) == 0 &&
        memcmp(in->buf + at + 8, "\r\n", 2) == 0) {
        head->version_major = head->version_minor = 1;
        p->pos = at + 10;
        p->state = S_FIRST;
        return RC_OK;
    }
    switch (version_line(in, &at, &major, &minor)) {
    case RC_OK:
        break;
    case RC_AGAIN:
        return more(p, in, p->mark, HTTPERR_REQUEST_LENGTH);
    default:
        return fail(p, at, HTTPERR_BAD_REQUEST);
    }
    head->version_major = major;
    head->version_minor = minor;
    if (major != 1 || minor > 9)
        return fail(p, p->mark, HTTPERR_VERSION_NOT_SUPPORTED);
    p->pos = at;
    p->state = S_FIRST;
    return RC_OK;
}

struct http1_header *http1_add_header(struct http1_head *head)
{
    if (!head->more && head->n_headers < HTTP1_HEADERS_INLINE)
        return &head->first[head->n_headers++];
    if (head->n_headers >= head->cap_more) {
        uint32_t cap = head->cap_more ? head->cap_more * 2 : 4 * HTTP1_HEADERS_INLINE;
        struct http1_header *all = realloc(head->more, cap * sizeof(*all));

        if (!all)
            return NULL;
        if (!head->more)
            memcpy(all, head->first, sizeof(head->first));
        head->more = all;
        head->cap_more = cap;
    }
    return &head->more[head->n_headers++];
}

/* The name that ends at its ':' is well formed; *ret_id is its number. Otherwise *ret_bad is the
 * offset of its first wrong byte. */
static inline bool name_ok(const struct http1_parser *p, struct str name,
                           enum http_header_id *ret_id, size_t *ret_bad)
{
    size_t good;

    *ret_id = http_header_lookup(name);
    if (LIKELY(*ret_id != HDR_OTHER))
        return true;
    good = http_token_span(name);
    if (p->limits.flags & HTTP1_WEAK_HEADER_NAMES)
        while (good < name.n && name.p[good] > ' ' && name.p[good] < 0x7f)
            good++;
    *ret_bad = good;
    return good == name.n && name.n > 0;
}

static inline enum rc read_name(struct http1_parser *p, const struct input *in, uint32_t end,
                                struct http1_head *head)
{
    const char *buf = in->buf;
    uint32_t mark = p->mark;
    uint32_t at = (uint32_t)(scan_name(buf + p->pos, buf + end) - buf);

    if (UNLIKELY(at >= end)) {
        if (end - mark > p->limits.max_field_length)
            return fail(p, end - 1, HTTPERR_FIELD_LENGTH);
        return more(p, in, at, HTTPERR_REQUEST_LENGTH);
    }

    struct str name = str_n(buf + mark, at - mark);
    enum http_header_id id;
    size_t bad = 0;

    /* What ends without a ':' is wrong at its first odd byte, at the latest where it ends. */
    if (!name_ok(p, name, &id, &bad) || buf[at] != ':')
        return fail(p, id == HDR_OTHER ? mark + bad : at, HTTPERR_HEADER);

    uint64_t bit = UINT64_C(1) << id;

    if (UNLIKELY(head->seen & bit)) {
        if (http_header_is_single(id))
            return fail(p, mark, HTTPERR_BAD_REQUEST);
        head->repeated |= bit;
    } else {
        head->at[id] = head->n_headers;
        head->seen |= bit & ~UINT64_C(1); /* HDR_OTHER is never seen */
    }

    p->name_id = (uint16_t)id;
    p->value_at = p->pos = at + 1;
    p->state = S_VALUE;
    return RC_OK;
}

/* The line is complete and its value ends before end; a CR or LF stands there. */
static inline enum rc end_line(struct http1_parser *p, const char *buf, uint32_t end,
                               struct http1_head *head)
{
    struct http1_header *h = http1_add_header(head);
    uint32_t from = p->value_at;

    if (UNLIKELY(!h))
        return fail(p, p->mark, HTTPERR_NOT_AVAILABLE);
    while (is_blank(buf[from]))
        from++;
    while (end > from && is_blank(buf[end - 1]))
        end--;
    *h = (struct http1_header){.name_off = p->mark,
                               .name_len = (uint16_t)(p->value_at - 1 - p->mark),
                               .id = p->name_id,
                               .value_off = from,
                               .value_len = end - from};
    return RC_OK;
}

static inline enum rc read_value(struct http1_parser *p, const struct input *in, uint32_t end,
                                 struct http1_head *head)
{
    char *buf = in->buf;
    uint32_t all = in->end, at = p->pos, next;

    for (;; at++) {
        at = (uint32_t)(scan_value(buf + at, buf + end) - buf);
        if (UNLIKELY(at >= end)) {
            if (end - p->mark > p->limits.max_field_length)
                return fail(p, end - 1, HTTPERR_FIELD_LENGTH);
            return more(p, in, at, HTTPERR_REQUEST_LENGTH);
        }
        next = at + 1;
        if (LIKELY(buf[at] == '\r')) {
            if (next >= all)
                return more(p, in, at, HTTPERR_REQUEST_LENGTH);
            if (buf[next] != '\n')
                return fail(p, at, HTTPERR_BAD_REQUEST);
            next++;
        } else if (buf[at] != '\n') {
            if (buf[at] == '\0' || !(p->limits.flags & HTTP1_WEAK_HEADER_VALUES))
                return fail(p, at, HTTPERR_HEADER);
            continue;
        }
        /* The next line's first byte tells whether the value goes on there. */
        if (next >= all)
            return more(p, in, at, HTTPERR_REQUEST_LENGTH);
        if (LIKELY(!is_blank(buf[next])))
            break;
        memset(buf + at, ' ', next - at);
        at = min_u32(next, end) - 1;
    }
    p->pos = next;
    p->state = S_LINE;
    return end_line(p, buf, at, head);
}

/* The lines of an ordinary request, as long as they lie there complete and nothing about them needs
 * a closer look; the rest is left to the functions above, which would have found the same. */
static void read_plain_lines(struct http1_parser *p, const struct input *in,
                             struct http1_head *head)
{
    const char *buf = in->buf, *at = buf + p->pos, *stop = buf + in->end;
    const uint32_t max_length = p->limits.max_field_length;
    uint64_t seen = head->seen;

    if (head->more)
        return;

    struct http1_header *h = head->first + head->n_headers, *first = h;

    while (h < head->first + HTTP1_HEADERS_INLINE) {
        const char *colon = scan_name(at, stop);

        if (stop - colon < 4 || *colon != ':')
            break;

        struct str name = str_n(at, (size_t)(colon - at));
        enum http_header_id id = http_header_lookup(name);
        uint64_t bit = UINT64_C(1) << id;

        if (id == HDR_OTHER ? !http_is_token(name) : (seen & bit) != 0)
            break;

        const char *from = colon + 1 + (colon[1] == ' ');
        const char *end = scan_value(from, stop);

        /* More blanks around the value, none at all, a fold, another line end: not here. */
        if (stop - end < 3 || memcmp(end, "\r\n", 2) != 0 || is_blank(end[2]) ||
            (unsigned char)*from <= ' ' || (unsigned char)end[-1] <= ' ' || end - at > max_length)
            break;
        head->at[id] = (uint32_t)(h - head->first);
        seen |= bit;
        *h++ = (struct http1_header){.name_off = (uint32_t)(at - buf),
                                     .name_len = (uint16_t)name.n,
                                     .id = (uint16_t)id,
                                     .value_off = (uint32_t)(from - buf),
                                     .value_len = (uint32_t)(end - from)};
        at = end + 2;
        if (*at == '\r')
            break;
    }
    if (h > first)
        p->state = S_LINE;
    p->pos = (uint32_t)(at - buf);
    head->n_headers = (uint32_t)(h - head->first);
    head->seen = seen & ~UINT64_C(1); /* HDR_OTHER is never seen */
}

/* The header block up to the empty line. */
static enum rc read_headers(struct http1_parser *p, const struct input *in, struct http1_head *head)
{
    enum rc rc;

    if (p->state == S_LINE || p->state == S_FIRST)
        read_plain_lines(p, in, head);
    for (;;) {
        uint32_t end = element_end(p, in);

        if (p->state == S_NAME) {
            rc = read_name(p, in, end, head);
            if (rc != RC_OK)
                return rc;
        }
        if (p->state == S_VALUE) {
            rc = read_value(p, in, end, head);
            if (rc != RC_OK)
                return rc;
        }

        /* S_FIRST, S_FIRST_BLANK, S_LINE: start of a line. White space between the request line and
         * the first header, whole lines of it too, is tolerated as HTTP.sys does. */
        uint32_t at = p->pos;

        while (p->state != S_LINE && at < in->end && is_blank(in->buf[at])) {
            p->state = S_FIRST_BLANK;
            at++;
        }
        if (at >= in->end)
            return more(p, in, at, HTTPERR_REQUEST_LENGTH);
        p->mark = p->pos = at;
        if (in->buf[at] == '\r') {
            if (at + 1 >= in->end)
                return more(p, in, at, HTTPERR_REQUEST_LENGTH);
            if (in->buf[at + 1] != '\n')
                return fail(p, at, HTTPERR_BAD_REQUEST);
            at++;
        }
        if (in->buf[at] != '\n') {
            p->state = S_NAME;
            continue;
        }
        p->pos = at + 1;
        if (p->state != S_FIRST_BLANK)
            break;
        p->state = S_FIRST;
    }
    head->head_len = p->pos;
    return RC_OK;
}

enum rc http1_parse(struct http1_parser *p, char *buf, size_t len, struct http1_head *head)
{
    struct input in = {.buf = buf, .capped = len > p->limits.max_request_bytes};
    enum rc rc = RC_OK;

    in.end = in.capped ? p->limits.max_request_bytes : (uint32_t)len;
    if (p->state == S_START)
        rc = read_start(p, &in);
    if (rc == RC_OK && p->state == S_METHOD)
        rc = read_method(p, &in, head);
    if (rc == RC_OK && p->state == S_TARGET)
        rc = read_target(p, &in, head);
    if (rc == RC_OK && p->state == S_VERSION)
        rc = read_version(p, &in, head);
    if (rc == RC_OK && p->state >= S_FIRST && p->state <= S_VALUE) {
        rc = read_headers(p, &in, head);
        if (rc == RC_OK)
            rc = http1_check_head(p, buf, head);
        p->state = rc == RC_OK ? S_DONE : rc == RC_FAIL ? S_FAILED : p->state;
    }
    return p->state == S_FAILED ? RC_FAIL : rc;
}
