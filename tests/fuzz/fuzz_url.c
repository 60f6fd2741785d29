/* URL cooking: byte 0 chooses the settings, the rest is the target. */
#include <stdlib.h>

#include "http/url.h"
#include "base/poison.h"

/* Length of the UTF-8 sequence at p, 0 if it is not well formed. *ret is its code point. */
static size_t utf8(const char *p, size_t n, uint32_t *ret)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char b = (unsigned char)p[0];
    size_t len = b < 0x80 ? 1 : b < 0xC0 ? 0 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
    uint32_t cp = len == 1 ? b : b & (0x7Fu >> len);

    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        cp = cp << 6 | ((unsigned char)p[i] & 0x3Fu);
    }
    *ret = cp;
    return cp >= least[len] && cp <= 0x10FFFF && (cp < 0xD800 || cp > 0xDFFF) ? len : 0;
}

static void check_segment(struct str s, uint32_t units, const struct url_limits *limits)
{
    INVARIANT(!str_eq(s, STR(".")) && !str_eq(s, STR("..")));
    INVARIANT(limits->segment_max_length == 0 || units <= limits->segment_max_length);
}

static void check_path(const struct url_cooked *url, const struct url_limits *limits, size_t raw_n)
{
    struct str path = url->path;
    uint32_t units = 0, n_segments = 0, cp;
    size_t start = 1;

    INVARIANT(path.n > 0 && path.p[0] == '/' && path.n <= URL_COOK_CAP(raw_n));
    for (size_t i = 1; i < path.n;) {
        size_t len = utf8(path.p + i, path.n - i, &cp);

        INVARIANT(len > 0 && cp != 0 && cp != '\\');
        INVARIANT(limits->allow_restricted_chars || limits->allow_raw_restricted ||
                  !(cp < 0x20 || (cp >= 0x7F && cp <= 0x9F)));
        if (cp == '/') {
            INVARIANT(i > start);
            check_segment(str_sub(path, start, i), units, limits);
            n_segments++;
            units = 0;
            start = i + 1;
        } else {
            units += cp > 0xFFFF ? 2 : 1;
        }
        i += len;
    }
    if (start < path.n) {
        check_segment(str_sub(path, start, path.n), units, limits);
        n_segments++;
    }
    INVARIANT(n_segments == url->n_segments);
    INVARIANT(limits->segment_max_count == 0 || n_segments <= limits->segment_max_count);
}

/* Escaping every byte of a cooked path and cooking again must give it back. */
static void check_again(struct str path, struct url_limits limits)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = path.n * 3 - 2;
    char *escaped = malloc(n), *out = malloc(URL_COOK_CAP(n));
    struct url_cooked url;
    size_t at = 0;

    INVARIANT(escaped && out);
    escaped[at++] = '/';
    for (size_t i = 1; i < path.n; i++) {
        escaped[at++] = '%';
        escaped[at++] = hex[(unsigned char)path.p[i] >> 4];
        escaped[at++] = hex[path.p[i] & 15];
    }
    limits.allow_restricted_chars = true;
    limits.favor_utf8 = true;
    INVARIANT(url_cook(str_n(escaped, n), &limits, out, URL_COOK_CAP(n), &url) == RC_OK);
    INVARIANT(str_eq(url.path, path));
    free(escaped);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t n = size - 1, cap = URL_COOK_CAP(n);
    char *target = malloc(n ? n : 1), *out = malloc(cap);
    struct url_limits limits = {
        .segment_max_length = data[0] & 64 ? 8 : 260,
        .segment_max_count = data[0] & 128 ? 3 : 255,
        .enable_non_utf8 = data[0] & 1,
        .favor_utf8 = data[0] & 2,
        .percent_u_allowed = data[0] & 4,
        .allow_restricted_chars = data[0] & 8,
        .allow_raw_restricted = data[0] & 16,
    };
    struct url_cooked url;

    INVARIANT(target && out);
    memcpy(target, data + 1, n);
    if (url_cook(str_n(target, n), &limits, out, cap, &url) == RC_OK) {
        check_path(&url, &limits, n);
        check_again(url.path, limits);
        INVARIANT(url.query.n == 0 || (url.has_query && url.query.p[-1] == '?'));
    } else {
        INVARIANT(url.reason == HTTPERR_URL || url.reason == HTTPERR_FORBIDDEN);
        INVARIANT(url.error_offset <= n);
    }
    free(target);
    free(out);
    return 0;
}
