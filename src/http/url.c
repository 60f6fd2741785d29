#include "http/url.h"

#include "base/cp1252.h"
#include "http/scan.h"
#include "base/poison.h"

enum { CP_NONE = 0xFFFFFFFF };

/* Outcome of decoding a path in one character set. */
enum verdict { COOKED, NOT_UTF8, BAD_URL };

struct cook {
    const struct url_limits *limits;
    struct str in;  /* the raw path */
    size_t at;      /* next byte of it */
    char *out;      /* starts with '/' */
    size_t n, cap;  /* bytes written */
    size_t segment; /* where the current segment starts in out */
    uint32_t units; /* its length so far, in UTF-16 units */
    uint32_t n_segments;
    bool above_root; /* a ".." had nothing to remove */
    bool over_limit; /* a segment too long, or too many */
    bool as_1252;
};

static bool is_restricted(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f);
}

/* A restricted character may pass only if configured; NUL never, and what could end a line or field
 * not unescaped. */
static bool is_allowed(const struct url_limits *limits, uint32_t cp, bool escaped)
{
    if (!is_restricted(cp))
        return true;
    if (cp == 0)
        return false;
    if (escaped)
        return limits->allow_restricted_chars;
    return limits->allow_raw_restricted && cp != '\t' && cp != '\n' && cp != '\r';
}

static int hex_pair(struct str s, size_t at)
{
    int high, low;

    if (at + 2 > s.n)
        return -1;
    high = ascii_hex(s.p[at]);
    low = ascii_hex(s.p[at + 1]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static inline bool is_percent_u(struct str s, size_t at)
{
    return at + 1 < s.n && s.p[at] == '%' && (s.p[at + 1] | 0x20) == 'u';
}

/* The unit of "%uHHHH" at position at, or -1. */
static int32_t percent_u(struct str s, size_t at)
{
    int high, low;

    if (!is_percent_u(s, at))
        return -1;
    high = hex_pair(s, at + 2);
    low = hex_pair(s, at + 4);
    return high < 0 || low < 0 ? -1 : high << 8 | low;
}

/* One code point from one "%uHHHH" or from a pair of surrogates. */
static uint32_t take_percent_u(struct cook *c)
{
    int32_t unit = percent_u(c->in, c->at), low;

    if (unit < 0 || !c->limits->percent_u_allowed)
        return CP_NONE;
    c->at += 6;
    if (unit < 0xD800 || unit > 0xDFFF)
        return (uint32_t)unit;
    low = percent_u(c->in, c->at);
    if (unit > 0xDBFF || low < 0xDC00 || low > 0xDFFF)
        return CP_NONE;
    c->at += 6;
    return 0x10000u + ((uint32_t)(unit - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
}

/* The next byte, escaped or not; -1 at the end, for a bad escape and for "%u". */
static int take_byte(struct cook *c, bool *ret_escaped)
{
    int byte;

    if (c->at >= c->in.n)
        return -1;
    *ret_escaped = c->in.p[c->at] == '%';
    if (!*ret_escaped)
        return (unsigned char)c->in.p[c->at++];
    byte = hex_pair(c->in, c->at + 1);
    if (byte >= 0)
        c->at += 3;
    return byte;
}

/* The rest of a UTF-8 sequence whose first byte is lead; CP_NONE if it is not well formed (RFC
 * 3629: no overlong forms, no surrogates, nothing above 10FFFF). */
static uint32_t take_utf8(struct cook *c, unsigned lead)
{
    unsigned more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    static const uint32_t least[4] = {0, 0x80, 0x800, 0x10000};
    uint32_t cp = lead & (0x3Fu >> more);

    if (lead < 0xC2 || lead > 0xF4)
        return CP_NONE;
    for (unsigned i = 0; i < more; i++) {
        bool escaped;
        int byte = take_byte(c, &escaped);

        if (byte < 0x80 || byte > 0xBF)
            return CP_NONE;
        cp = cp << 6 | ((uint32_t)byte & 0x3F);
    }
    if (cp < least[more] || cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
        return CP_NONE;
    return cp;
}

/* The one place that writes: true if the bytes fit. */
static bool put(struct cook *c, const char *p, size_t n)
{
    if (n > c->cap - c->n)
        return false;
    memcpy(c->out + c->n, p, n);
    c->n += n;
    return true;
}

static bool put_code_point(struct cook *c, uint32_t cp)
{
    char utf8[4];
    size_t n = 0;

    c->units += cp > 0xFFFF ? 2 : 1;
    if (cp < 0x80) {
        utf8[n++] = (char)cp;
    } else {
        if (cp < 0x800) {
            utf8[n++] = (char)(0xC0 | cp >> 6);
        } else {
            if (cp < 0x10000) {
                utf8[n++] = (char)(0xE0 | cp >> 12);
            } else {
                utf8[n++] = (char)(0xF0 | cp >> 18);
                utf8[n++] = (char)(0x80 | (cp >> 12 & 0x3F));
            }
            utf8[n++] = (char)(0x80 | (cp >> 6 & 0x3F));
        }
        utf8[n++] = (char)(0x80 | (cp & 0x3F));
    }
    return put(c, utf8, n);
}

/* The segment is complete. Nothing, "." and ".." leave no trace; ".." takes its predecessor along.
 * What remains is counted and gets a '/' if one followed. */
static bool end_segment(struct cook *c, bool slash)
{
    struct str s = str_n(c->out + c->segment, c->n - c->segment);

    if (s.n == 0)
        return true;
    if (str_eq(s, STR("..")) || str_eq(s, STR("."))) {
        c->n = c->segment;
        c->units = 0;
        if (s.n == 1)
            return true;
        if (c->segment == 1) {
            c->above_root = true;
            return true;
        }
        do
            c->n--;
        while (c->out[c->n - 1] != '/');
        c->segment = c->n;
        c->n_segments--;
        return true;
    }
    c->n_segments++;
    if (c->limits->segment_max_length && c->units > c->limits->segment_max_length)
        c->over_limit = true;
    if (c->limits->segment_max_count && c->n_segments > c->limits->segment_max_count)
        c->over_limit = true;
    if (slash && !put(c, "/", 1))
        return false;
    c->units = 0;
    c->segment = c->n;
    return true;
}

/* One character of the path. c->at stays on what is wrong. */
static enum verdict cook_one(struct cook *c)
{
    size_t from = c->at;
    bool escaped = true;
    uint32_t cp;

    if (is_percent_u(c->in, c->at)) {
        cp = take_percent_u(c);
    } else {
        int byte = take_byte(c, &escaped);

        cp = byte < 0 ? CP_NONE : (uint32_t)byte;
        if (byte >= 0x80 && c->as_1252) {
            cp = cp1252_to_unicode((unsigned char)byte);
        } else if (byte >= 0x80) {
            cp = take_utf8(c, (unsigned)byte);
            if (cp == CP_NONE) {
                c->at = from;
                return NOT_UTF8;
            }
        }
    }
    if (cp == CP_NONE || !is_allowed(c->limits, cp, escaped) || (cp == ' ' && !escaped)) {
        c->at = from;
        return BAD_URL;
    }
    if (cp == '/' || cp == '\\')
        return end_segment(c, /* slash */ true) ? COOKED : BAD_URL;
    return put_code_point(c, cp) ? COOKED : BAD_URL;
}

static enum verdict cook_path(struct cook *c, bool as_1252)
{
    c->at = 0;
    c->out[0] = '/';
    c->n = c->segment = 1;
    c->units = c->n_segments = 0;
    c->above_root = c->over_limit = false;
    c->as_1252 = as_1252;
    while (c->at < c->in.n) {
        enum verdict v = cook_one(c);

        if (v != COOKED)
            return v;
    }
    return end_segment(c, /* slash */ false) ? COOKED : BAD_URL;
}

static enum rc fail(struct url_cooked *ret, enum httperr_reason reason, size_t offset)
{
    ret->reason = reason;
    ret->error_offset = (uint32_t)offset;
    return RC_FAIL;
}

/* The way for everything that is not plain; base is the path's offset in the target. */
static enum rc cook_slowly(const struct url_limits *limits, char *out, size_t cap, size_t base,
                           struct url_cooked *ret)
{
    struct cook c = {.limits = limits, .in = ret->raw_path, .out = out, .cap = cap};
    bool first_1252 = limits->enable_non_utf8 && !limits->favor_utf8;
    enum verdict v;

    INVARIANT(cap >= URL_COOK_CAP(ret->raw_path.n));
    v = cook_path(&c, first_1252);
    /* Windows-1252 has a meaning for every byte, so only the way from UTF-8 to it is ever taken. */
    if (v == NOT_UTF8 && limits->enable_non_utf8)
        v = cook_path(&c, /* as_1252 */ true);
    if (v != COOKED)
        return fail(ret, HTTPERR_URL, base + c.at);
    if (c.above_root)
        return fail(ret, HTTPERR_FORBIDDEN, base);
    if (c.over_limit)
        return fail(ret, HTTPERR_URL, base);
    ret->path = str_n(out, c.n);
    ret->n_segments = c.n_segments;
    return RC_OK;
}

/* What of a path can be seen at a glance. */
struct glance {
    size_t len;        /* bytes before the first that needs more than a glance */
    uint32_t slashes;  /* among them */
    bool dots_or_runs; /* a '/' with '/' or '.' behind it is among them */
};

static struct glance glance_at(struct str s)
{
    struct glance g = {0};
    size_t i = 0;
    bool after_slash = false;

#if defined(__SSE2__)
    unsigned carry = 0;

    for (; s.n - i >= 16; i += 16) {
        __m128i v = scan_load(s.p + i);
        __m128i slash = scan_equal(v, '/');
        __m128i odd =
            _mm_or_si128(_mm_or_si128(_mm_or_si128(scan_equal(v, '%'), scan_equal(v, '?')),
                                      _mm_or_si128(scan_equal(v, '\\'), scan_equal(v, 0x7f))),
                         scan_at_most(v, 0x20));
        unsigned stops = scan_mask(odd) | scan_mask(v); /* the sign bit: 80-FF */
        unsigned slashes = scan_mask(slash);
        unsigned pairs = (slashes << 1 | carry) & (slashes | scan_mask(scan_equal(v, '.')));
        unsigned before = stops ? (stops & -stops) - 1 : 0xFFFF;

        g.slashes += (uint32_t)__builtin_popcount(slashes & before);
        if (pairs & before)
            g.dots_or_runs = true;
        if (stops) {
            g.len = i + (size_t)__builtin_ctz(stops);
            return g;
        }
        carry = slashes >> 15;
    }
    after_slash = carry;
#endif
    for (; i < s.n && !scan_is(s.p[i], SCAN_PATH); i++) {
        if (after_slash && (s.p[i] == '/' || s.p[i] == '.'))
            g.dots_or_runs = true;
        after_slash = s.p[i] == '/';
        g.slashes += after_slash;
    }
    g.len = i;
    return g;
}

/* "http://authority" or "https://authority": gives the bytes up to the path. 0 if it is neither. */
static size_t scheme_and_authority(struct str target, struct url_cooked *ret)
{
    size_t from = 0, len;

    if (str_istarts(target, STR("http://")))
        from = 7;
    else if (str_istarts(target, STR("https://")))
        from = 8;
    if (from == 0)
        return 0;
    ret->is_https = from == 8;
    ret->form = URL_ABSOLUTE;

    /* The authority ends at the first '/'; looking for '?' only if there is none is what makes
     * HTTP.sys refuse "http://host?a=b/c". */
    struct str rest = str_sub(target, from, target.n);

    len = str_find_char(rest, '/');
    if (len == SIZE_MAX)
        len = str_find_char(rest, '?');
    if (len == SIZE_MAX)
        len = rest.n;
    return http_host_parse(str_sub(rest, 0, len), &ret->host) ? from + len : 0;
}

/* The query is never decoded, but may not hold what a path may not either. */
static bool query_is_clean(struct str s, const struct url_limits *limits, size_t *ret_at)
{
    for (size_t i = 0; i < s.n; i++) {
        i = (size_t)(scan_target(s.p + i, s.p + s.n) - s.p);
        if (i == s.n)
            break;
        if (s.p[i] == ' ' || !is_allowed(limits, (unsigned char)s.p[i], /* escaped */ false)) {
            *ret_at = i;
            return false;
        }
    }
    return true;
}

enum rc url_cook(struct str raw_target, const struct url_limits *limits, char *out, size_t cap,
                 struct url_cooked *ret)
{
    size_t base = 0, bad;

    *ret = (struct url_cooked){.form = URL_ORIGIN};
    if (str_eq(raw_target, STR("*"))) {
        ret->form = URL_ASTERISK;
        ret->raw_path = raw_target;
        ret->path = STR("/");
        return RC_OK;
    }
    if (raw_target.n == 0 || raw_target.p[0] != '/') {
        base = scheme_and_authority(raw_target, ret);
        if (base == 0)
            return fail(ret, HTTPERR_URL, 0);
    }

    struct str rest = str_sub(raw_target, base, raw_target.n);
    struct glance g = glance_at(rest);
    bool plain = g.len == rest.n || rest.p[g.len] == '?';
    size_t path_len = plain ? g.len : str_find_char(rest, '?');

    ret->has_query = path_len < rest.n;
    ret->raw_path = str_sub(rest, 0, path_len);
    ret->query = str_sub(rest, path_len + ret->has_query, path_len == SIZE_MAX ? 0 : rest.n);
    if (!query_is_clean(ret->query, limits, &bad))
        return fail(ret, HTTPERR_URL, base + path_len + 1 + bad);
    if (ret->raw_path.n == 0) {
        ret->raw_path = ret->path = STR("/");
        return RC_OK;
    }

    uint32_t n_segments = g.slashes - (ret->raw_path.p[ret->raw_path.n - 1] == '/');

    if (plain && !g.dots_or_runs &&
        (!limits->segment_max_length || g.len <= limits->segment_max_length) &&
        (!limits->segment_max_count || n_segments <= limits->segment_max_count)) {
        ret->path = ret->raw_path;
        ret->n_segments = n_segments;
        return RC_OK;
    }
    return cook_slowly(limits, out, cap, base, ret);
}
