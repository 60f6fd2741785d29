#include "http/headers.h"

#include "http/scan.h"
#include "base/poison.h"

enum { NAME_ROOM = 24 };

static const struct known {
    _Alignas(32) char name[NAME_ROOM]; /* one cache line holds two rows */
    uint8_t len;
    uint8_t flags;
} known[HDR_MAX] = {
#define X(id, text, flags, ...) [HDR_##id] = {text, sizeof(text) - 1, flags},
    HTTP_HEADERS(X)
#undef X
};

/* A perfect hash over length, first and last four characters; the multiplier was searched until the
 * names did not collide. tail holds the last four, the very last in the highest byte. */
#define TAIL(a, b, c, d) \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define SLOT(len, first, tail) \
    (((tail) + ((uint32_t)(len) + ((uint32_t)(first) << 8)) * 0x9E3779B1u) * 0x1990318Bu >> 24)

static const uint8_t slots[256] = {
#define X(id, text, flags, first, a, b, c, d) \
    [SLOT(sizeof(text) - 1, first, TAIL(a, b, c, d))] = HDR_##id,
    HTTP_HEADERS(X)
#undef X
};

static inline uint64_t load64(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t load32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* Differences that are not just the case of a letter. Canonical names consist of letters, digits
 * and '-'; of these only letters have bit 6, and only for them bit 5 is case. */
static inline uint64_t differ64(uint64_t sent, uint64_t name)
{
    return (sent ^ name) & ~((name & 0x4040404040404040u) >> 1);
}

static inline uint32_t differ32(uint32_t sent, uint32_t name)
{
    return (sent ^ name) & ~((name & 0x40404040u) >> 1);
}

/* Same length n, at least 4: words from both ends, overlapping in the middle. */
static inline bool same_name(const char *sent, const char *name, size_t n)
{
    if (n < 8)
        return (differ32(load32(sent), load32(name)) |
                differ32(load32(sent + n - 4), load32(name + n - 4))) == 0;

    uint64_t d =
        differ64(load64(sent), load64(name)) | differ64(load64(sent + n - 8), load64(name + n - 8));

    if (n > 16)
        d |= differ64(load64(sent + 8), load64(name + 8));
    return d == 0;
}
_Static_assert(NAME_ROOM <= 24, "three words cover a name");

/* Names too short for words. */
static __attribute__((noinline, cold)) enum http_header_id lookup_short(struct str name)
{
    static const enum http_header_id ids[] = {HDR_VIA, HDR_AGE, HDR_TE};

    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        if (str_ieq(name, http_header_name(ids[i])))
            return ids[i];
    return HDR_OTHER;
}

enum http_header_id http_header_lookup(struct str name)
{
    if (UNLIKELY(name.n < 4 || name.n > NAME_ROOM))
        return lookup_short(name);

    uint32_t tail = load32(name.p + name.n - 4) | 0x20202020u;
    const struct known *k;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    tail = __builtin_bswap32(tail);
#endif
    unsigned id = slots[SLOT(name.n, (unsigned char)name.p[0] | 0x20u, tail)];

    k = &known[id];
    if (k->len != name.n || !same_name(name.p, k->name, name.n))
        return HDR_OTHER;
    return (enum http_header_id)id;
}

struct str http_header_name(enum http_header_id id)
{
    if ((unsigned)id >= HDR_MAX)
        return STR_NULL;
    return str_n(known[id].name, known[id].len);
}

bool http_header_is_single(enum http_header_id id)
{
    return (unsigned)id < HDR_MAX && known[id].flags & HDR_F_SINGLE;
}

struct str http_header_separator(enum http_header_id id)
{
    return id == HDR_COOKIE ? STR("; ") : STR(", ");
}

bool http_is_token_char(char c)
{
    return scan_is(c, SCAN_TOKEN);
}

size_t http_token_span(struct str s)
{
    size_t i = 0;

    while (i < s.n && scan_is(s.p[i], SCAN_TOKEN))
        i++;
    return i;
}

bool http_is_token(struct str s)
{
    return s.n && http_token_span(s) == s.n;
}

size_t http_value_span(struct str s)
{
    return s.n ? (size_t)(scan_value(s.p, s.p + s.n) - s.p) : 0;
}

bool http_value_is_writable(struct str s)
{
    return !s.n || scan_break(s.p, s.p + s.n) == s.p + s.n;
}

/* Length of what stands before the next comma outside quotes. */
static size_t element_len(struct str s)
{
    bool quoted = false;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            quoted = !quoted;
        else if (s.p[i] == '\\' && quoted)
            i++;
        else if (s.p[i] == ',' && !quoted)
            return i;
    }
    return s.n;
}

bool http_list_next(struct str *rest, struct str *ret_element)
{
    while (rest->n) {
        size_t n = element_len(*rest);
        struct str element = str_trim(str_sub(*rest, 0, n));

        *rest = str_sub(*rest, n + 1, rest->n);
        if (element.n) {
            *ret_element = element;
            return true;
        }
    }
    return false;
}

bool http_list_has(struct str list, struct str token)
{
    struct str element;

    while (http_list_next(&list, &element))
        if (str_ieq(element, token))
            return true;
    return false;
}
