#include "http/http2_head.h"

#include "http/host.h"
#include "http/http1_check.h"
#include "http/scan.h"
#include "base/poison.h"

enum pseudo { P_METHOD, P_SCHEME, P_AUTHORITY, P_PATH, P_MAX };

static const struct str pseudo_names[P_MAX] = {
    [P_METHOD] = {":method", 7},
    [P_SCHEME] = {":scheme", 7},
    [P_AUTHORITY] = {":authority", 10},
    [P_PATH] = {":path", 5},
};

enum {
    SCHEME_MAX = 32,
    LINE_EXTRA = 4,      /* ": " and CR LF */
    VERSION_EXTRA = 11,  /* " HTTP/2.0" CR LF */
    CONTENT_LENGTH_DIGITS_MAX = 20,
};

void http2_head_begin(struct http2_head *h, const struct http1_limits *limits,
                      struct http1_head *head)
{
    *h = (struct http2_head){.head = head, .limits = *limits};
    head->version_major = 2;
    head->keep_alive = true;
}

void http2_trailer_begin(struct http2_head *h, const struct http1_limits *limits)
{
    *h = (struct http2_head){.limits = *limits, .is_trailer = true, .in_fields = true};
}

static void fail(struct http2_head *h, enum httperr_reason reason)
{
    if (h->reason == HTTPERR_NONE)
        h->reason = reason;
}

static void fail_malformed(struct http2_head *h)
{
    if (h->reason != HTTPERR_NONE)
        return;
    h->reason = HTTPERR_BAD_REQUEST;
    h->malformed = true;
}

static bool has(const struct http2_head *h, enum pseudo p)
{
    return h->pseudo >> p & 1;
}

static bool is_pseudo(struct str name)
{
    return name.n && name.p[0] == ':';
}

static enum pseudo which_pseudo(struct str name)
{
    for (unsigned p = 0; p < P_MAX; p++)
        if (str_eq(name, pseudo_names[p]))
            return (enum pseudo)p;
    return P_MAX;
}

static uint32_t pseudo_max(const struct http2_head *h, enum pseudo p)
{
    return p == P_METHOD   ? h->limits.max_request_bytes
           : p == P_SCHEME ? SCHEME_MAX
                           : h->limits.max_field_length;
}

size_t http2_head_needs(const struct http2_head *h, struct str name, struct str value)
{
    if (h->reason != HTTPERR_NONE || h->is_trailer)
        return 0;
    if (is_pseudo(name)) {
        enum pseudo p = which_pseudo(name);
        return p == P_MAX || value.n > pseudo_max(h, p) ? 0 : name.n + value.n + LINE_EXTRA;
    }
    if (name.n > h->limits.max_field_length || value.n > h->limits.max_field_length)
        return 0;
    return name.n + value.n + LINE_EXTRA;
}

/* "Name: value" and a line end; gives the value's offset. The caller has made the room. */
static uint32_t write_line(struct http2_head *h, char *buf, struct str name, struct str value)
{
    char *p = buf + h->used;

    memcpy(p, name.p, name.n);
    p += name.n;
    memcpy(p, ": ", 2);
    p += 2;
    uint32_t value_off = (uint32_t)(p - buf);

    if (value.n)
        memcpy(p, value.p, value.n);
    p += value.n;
    memcpy(p, "\r\n", 2);
    h->used = (uint32_t)(p + 2 - buf);
    return value_off;
}

/* Counts a line as HTTP/1 would have met it: its own limit first, if the rest still has room for so
 * much. */
static bool charge_line(struct http2_head *h, size_t name_n, size_t value_n)
{
    uint64_t line = (uint64_t)name_n + 2 + value_n, max = h->limits.max_request_bytes;

    if (line > h->limits.max_field_length)
        fail(h, h->charged + (uint64_t)h->limits.max_field_length + 1 <= max
                    ? HTTPERR_FIELD_LENGTH
                    : HTTPERR_REQUEST_LENGTH);
    else if (h->charged + line + 4 > max) /* its end and that of the head */
        fail(h, HTTPERR_REQUEST_LENGTH);
    if (h->reason != HTTPERR_NONE)
        return false;
    h->charged += (uint32_t)line + 2;
    return true;
}

/* --- pseudo-headers --- */

static void take_pseudo(struct http2_head *h, char *buf, struct str name, struct str value)
{
    enum pseudo p = which_pseudo(name);

    if (p == P_MAX || h->in_fields || has(h, p)) {
        fail_malformed(h); /* unknown, after fields, twice, or behind the body */
        return;
    }
    h->pseudo |= (uint8_t)(1u << p);
    if (value.n > pseudo_max(h, p)) {
        h->too_long |= (uint8_t)(1u << p);
        return;
    }
    uint32_t n = (uint32_t)value.n,
             at = write_line(h, buf, p == P_AUTHORITY ? STR("Host") : name, value);

    switch (p) {
    case P_METHOD:
        h->head->method_off = at;
        h->head->method_len = n;
        return;
    case P_SCHEME:
        h->scheme_len = n;
        return;
    case P_AUTHORITY:
        h->authority_off = at;
        h->authority_len = n;
        return;
    case P_PATH:
        h->head->target_off = at;
        h->head->target_len = n;
        return;
    case P_MAX:
        return;
    }
}

/* CONNECT names an authority and nothing else; all others name a scheme and a path. */
static bool pseudo_complete(const struct http2_head *h, const char *buf)
{
    if (!has(h, P_METHOD))
        return false;
    if (str_eq(http1_method(h->head, buf), STR("CONNECT")))
        return has(h, P_AUTHORITY) && !has(h, P_SCHEME) && !has(h, P_PATH);
    return has(h, P_SCHEME) && has(h, P_PATH) && h->scheme_len && !(h->too_long >> P_SCHEME & 1) &&
           (h->head->target_len || h->too_long >> P_PATH & 1);
}

static enum httperr_reason check_method(struct http2_head *h, const char *buf)
{
    struct str name = http1_method(h->head, buf);
    enum http_method method = http_method_lookup(name);

    if (h->too_long >> P_METHOD & 1)
        return HTTPERR_REQUEST_LENGTH;
    if (method == HTTP_METHOD_OTHER) {
        if (!http_is_token(name))
            return HTTPERR_VERB;
        method = http_method_ilookup(name);
        if (method != HTTP_METHOD_OTHER && !(h->limits.flags & HTTP1_CASE_INSENSITIVE_VERBS))
            return HTTPERR_VERB;
    }
    h->head->method = (uint8_t)method;
    return HTTPERR_NONE;
}

static enum httperr_reason check_target(const struct http2_head *h, const char *buf)
{
    struct str target = http1_target(h->head, buf);
    const char *p = target.p, *end = p + target.n;

    if (target.n && *p != '/' && *p != '*')
        return HTTPERR_URL;
    if (h->too_long >> P_PATH & 1 ||
        h->head->method_len + 2 + (uint64_t)target.n > h->limits.max_request_bytes)
        return HTTPERR_URL_LENGTH;
    if (target.n == 0)
        return HTTPERR_URL; /* CONNECT: nothing here is a proxy */
    for (; (p = scan_target(p, end)) < end; p++)
        if (*p == ' ' || *p == '\t' || scan_is(*p, SCAN_BREAK) ||
            !(h->limits.flags & HTTP1_RAW_RESTRICTED_CHARS))
            return HTTPERR_URL;
    return HTTPERR_NONE;
}

static bool add_field(struct http2_head *h, const struct http1_header *field)
{
    struct http1_header *room = http1_add_header(h->head);

    if (!room) {
        fail(h, HTTPERR_NOT_AVAILABLE);
        return false;
    }
    *room = *field;
    return true;
}

static void add_authority(struct http2_head *h)
{
    struct http1_head *head = h->head;

    if (h->too_long >> P_AUTHORITY & 1) {
        fail(h, HTTPERR_FIELD_LENGTH);
        return;
    }
    if (!charge_line(h, 4, h->authority_len))
        return;
    head->at[HDR_HOST] = head->n_headers;
    head->seen |= UINT64_C(1) << HDR_HOST;
    add_field(h, &(struct http1_header){.name_off = h->authority_off - 6,
                                        .name_len = 4,
                                        .id = HDR_HOST,
                                        .value_off = h->authority_off,
                                        .value_len = h->authority_len});
}

/* The pseudo-headers are all in: what HTTP/1 has in its first line, and the host. */
static void end_pseudo(struct http2_head *h, char *buf)
{
    struct http1_head *head = h->head;
    enum httperr_reason why;

    h->in_fields = true;
    if (h->reason != HTTPERR_NONE)
        return;
    if (!pseudo_complete(h, buf)) {
        fail_malformed(h);
        return;
    }
    why = check_method(h, buf);
    if (why == HTTPERR_NONE)
        why = check_target(h, buf);
    uint64_t line = (uint64_t)head->method_len + 1 + head->target_len + VERSION_EXTRA;

    if (why == HTTPERR_NONE && line + 2 > h->limits.max_request_bytes)
        why = HTTPERR_REQUEST_LENGTH;
    if (why == HTTPERR_VERB || why == HTTPERR_REQUEST_LENGTH)
        head->method_len = head->target_len = 0; /* nothing that a log should repeat */
    if (why != HTTPERR_NONE) {
        fail(h, why);
        return;
    }
    h->charged = (uint32_t)line;
    if (has(h, P_AUTHORITY))
        add_authority(h);
}

/* --- fields --- */

/* What belongs to one connection of HTTP/1 has no place here (RFC 9113 8.2.2). */
static bool is_connection_specific(enum http_header_id id, struct str name, struct str value)
{
    switch (id) {
    case HDR_CONNECTION:
    case HDR_KEEP_ALIVE:
    case HDR_TRANSFER_ENCODING:
    case HDR_UPGRADE:
        return true;
    case HDR_TE:
        return !str_ieq(value, STR("trailers"));
    default:
        return id == HDR_OTHER && str_eq(name, STR("proxy-connection"));
    }
}

static bool has_upper_case(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= 'A' && s.p[i] <= 'Z')
            return true;
    return false;
}

static bool name_ok(const struct http2_head *h, struct str name)
{
    size_t good = http_token_span(name);

    if (h->limits.flags & HTTP1_WEAK_HEADER_NAMES)
        while (good < name.n && name.p[good] > ' ' && name.p[good] < 0x7f)
            good++;
    return good == name.n && name.n > 0;
}

static bool value_ok(const struct http2_head *h, struct str value)
{
    static const char blanks[] = " \t";

    if (value.n && (memchr(blanks, value.p[0], 2) || memchr(blanks, value.p[value.n - 1], 2)))
        return false;
    if (http_value_span(value) == value.n)
        return true;
    return (h->limits.flags & HTTP1_WEAK_HEADER_VALUES) && http_value_is_writable(value);
}

/* Host beside :authority must say the same, and says nothing new then. */
static bool is_same_host(struct http2_head *h, const char *buf, struct str value)
{
    if (str_ieq(value, str_n(buf + h->authority_off, h->authority_len)))
        return true;
    fail(h, HTTPERR_BAD_REQUEST);
    return false;
}

static void take_field(struct http2_head *h, char *buf, struct str name, struct str value)
{
    enum http_header_id id = http_header_lookup(name);
    struct http1_head *head = h->head;
    uint64_t bit = UINT64_C(1) << id;

    if (has_upper_case(name) || is_connection_specific(id, name, value)) {
        fail_malformed(h);
        return;
    }
    if (!charge_line(h, name.n, value.n))
        return;
    if ((id == HDR_OTHER && !name_ok(h, name)) || !value_ok(h, value)) {
        fail(h, HTTPERR_HEADER);
        return;
    }
    if (h->is_trailer)
        return;
    if (id == HDR_HOST && has(h, P_AUTHORITY)) {
        (void)is_same_host(h, buf, value);
        return;
    }
    if (head->seen & bit) {
        if (http_header_is_single(id)) {
            fail(h, HTTPERR_BAD_REQUEST);
            return;
        }
        head->repeated |= bit;
    } else {
        head->at[id] = head->n_headers;
        head->seen |= bit & ~UINT64_C(1); /* HDR_OTHER is never seen */
    }
    uint32_t at = h->used,
             value_off = write_line(h, buf, id == HDR_OTHER ? name : http_header_name(id), value);

    add_field(h, &(struct http1_header){.name_off = at,
                                        .name_len = (uint16_t)name.n,
                                        .id = (uint16_t)id,
                                        .value_off = value_off,
                                        .value_len = (uint32_t)value.n});
}

void http2_head_field(struct http2_head *h, char *buf, struct str name, struct str value)
{
    h->decoded += name.n + value.n + 32; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
    if (h->reason != HTTPERR_NONE)
        return;
    if (is_pseudo(name)) {
        take_pseudo(h, buf, name, value);
        return;
    }
    if (!h->in_fields)
        end_pseudo(h, buf);
    if (h->reason == HTTPERR_NONE)
        take_field(h, buf, name, value);
}

/* --- the end --- */

static bool has_crumbs(const struct http2_head *h)
{
    return h->head && h->reason == HTTPERR_NONE && h->head->repeated >> HDR_COOKIE & 1;
}

size_t http2_head_needs_at_end(const struct http2_head *h)
{
    const struct http1_header *f;
    size_t n = 0;

    if (!has_crumbs(h))
        return 0;
    f = http1_headers(h->head);
    for (uint32_t i = h->head->at[HDR_COOKIE]; i < h->head->n_headers; i++)
        if (f[i].id == HDR_COOKIE)
            n += f[i].value_len + 2;
    return n;
}

/* One Cookie out of several: joined behind everything else; the table closes up. */
static void join_crumbs(struct http2_head *h, char *buf)
{
    struct http1_head *head = h->head;
    struct http1_header *f = head->more ? head->more : head->first;
    uint32_t first = head->at[HDR_COOKIE], start = h->used, kept = first + 1;

    for (uint32_t i = first; i < head->n_headers; i++) {
        if (f[i].id != HDR_COOKIE)
            continue;
        if (h->used > start) {
            memcpy(buf + h->used, "; ", 2);
            h->used += 2;
        }
        memmove(buf + h->used, buf + f[i].value_off, f[i].value_len);
        h->used += f[i].value_len;
    }
    f[first].value_off = start;
    f[first].value_len = h->used - start;
    for (uint32_t i = first + 1; i < head->n_headers; i++)
        if (f[i].id != HDR_COOKIE)
            f[kept++] = f[i];
    head->n_headers = kept;
    for (uint32_t i = kept; i-- > first;)
        head->at[f[i].id] = i; /* the first line of each is written last */
    head->repeated &= ~(UINT64_C(1) << HDR_COOKIE);
    if (h->used - start + sizeof("Cookie:") > h->limits.max_field_length)
        fail(h, HTTPERR_FIELD_LENGTH);
}

static void check_host(struct http2_head *h, const char *buf)
{
    struct http1_head *head = h->head;
    struct str value = http1_value(head, buf, HDR_HOST);
    struct http_host host;

    if (!http_host_parse(value, &host)) {
        fail(h, HTTPERR_HOSTNAME);
        return;
    }
    head->host_off = (uint32_t)(value.p - buf);
    head->host_len = (uint16_t)value.n;
    head->host_name_len = (uint16_t)host.name.n;
    head->host_port = host.port;
    head->host_kind = (uint8_t)host.kind;
}

static void check_length(struct http2_head *h, const char *buf, bool is_last)
{
    struct http1_head *head = h->head;
    const struct http1_header *f = http1_find(head, HDR_CONTENT_LENGTH);
    uint64_t n;

    if (!f) {
        head->content_length = is_last ? 0 : UINT64_MAX;
        return;
    }
    if (f->value_len > CONTENT_LENGTH_DIGITS_MAX ||
        !str_u64(str_n(buf + f->value_off, f->value_len), UINT64_MAX - 1, &n)) {
        fail(h, HTTPERR_NUMBER);
        return;
    }
    if (is_last && n > 0) {
        fail_malformed(h); /* RFC 9113 8.1.1: the length must be that of the DATA frames */
        return;
    }
    head->has_content_length = true;
    head->content_length = n;
}

enum rc http2_head_end(struct http2_head *h, char *buf, bool is_last)
{
    struct http1_head *head = h->head;

    if (!h->in_fields)
        end_pseudo(h, buf);
    if (h->is_trailer && !is_last)
        fail_malformed(h);
    if (h->is_trailer)
        return h->reason == HTTPERR_NONE ? RC_OK : RC_FAIL;
    if (has_crumbs(h))
        join_crumbs(h, buf);
    if (h->reason == HTTPERR_NONE)
        check_host(h, buf);
    if (h->reason == HTTPERR_NONE)
        check_length(h, buf, is_last);
    if (h->reason == HTTPERR_NONE && buf[head->target_off] == '*' &&
        (head->target_len != 1 || head->method != HTTP_METHOD_OPTIONS))
        fail(h, HTTPERR_URL);
    if (h->reason != HTTPERR_NONE)
        return RC_FAIL;
    if (http1_has(head, HDR_EXPECT)) {
        head->expect_100 = str_ieq(http1_value(head, buf, HDR_EXPECT), STR("100-continue"));
        head->other_expect = !head->expect_100;
    }
    head->head_len = h->used;
    return RC_OK;
}

/* --- priority --- */

/* A key of RFC 8941 3.1.2 at the start of *s, and past it. */
static struct str take_key(struct str *s)
{
    size_t n = 0;

    while (n < s->n && (ascii_is_alpha(s->p[n]) || ascii_is_digit(s->p[n]) ||
                        (s->p[n] && memchr("_-.*", s->p[n], 4))))
        n++;
    struct str key = str_sub(*s, 0, n);

    *s = str_sub(*s, n, s->n);
    return key;
}

bool http2_priority_parse(struct str value, uint8_t *urgency, bool *incremental)
{
    uint8_t u = *urgency;
    bool i = *incremental;
    struct str member;

    while (http_list_next(&value, &member)) {
        struct str key = take_key(&member), parameters = member;
        struct str item = str_trim(str_sub(member, 0, str_find_char(parameters, ';')));

        if (key.n == 0 || (item.n && item.p[0] != '='))
            return false;
        if (str_eq(key, STR("u")) && item.n == 2 && item.p[1] >= '0' && item.p[1] <= '7')
            u = (uint8_t)(item.p[1] - '0');
        else if (str_eq(key, STR("i")) && (item.n == 0 || str_eq(item, STR("=?1"))))
            i = true;
        else if (str_eq(key, STR("i")) && str_eq(item, STR("=?0")))
            i = false;
    }
    *urgency = u;
    *incremental = i;
    return true;
}
