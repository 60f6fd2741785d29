#include "logging/log_escape.h"

#include "base/cp1252.h"
#include "base/poison.h"

/* Vectors by the compiler's extension: SSE2 and NEON alike, no intrinsics. */
typedef uint8_t v16 __attribute__((vector_size(16)));
typedef uint64_t v2x64 __attribute__((vector_size(16)));

#define HIGH_BITS UINT64_C(0x8080808080808080)

static inline v16 load16(const char *p)
{
    v16 v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline bool any_high(v16 v)
{
    v2x64 w = (v2x64)v;

    return ((w[0] | w[1]) & HIGH_BITS) != 0;
}

/* Every byte <= low and DEL replaced by '+'. */
static inline v16 escaped(v16 v, uint8_t low)
{
    v16 bad = (v16)(v <= low) | (v16)(v == 0x7f);

    return (v & ~bad) | ('+' & bad);
}

/* Writes 16 bytes; collects them in *seen so that the caller can tell afterwards whether any was
 * outside ASCII. */
static inline void escape16(char *out, const char *in, uint8_t low, v16 *seen)
{
    v16 v = load16(in), o = escaped(v, low);

    memcpy(out, &o, sizeof o);
    *seen |= v;
}

/* Fewer than 16 bytes, without reading beyond them: the first and last 8 or 4 overlap, of one to
 * three bytes the middle one may. */
static inline void escape_short(char *out, const char *in, size_t n, uint8_t low, v16 *seen)
{
    uint64_t first, last;
    v2x64 w;

    if (n >= 8) {
        memcpy(&first, in, 8);
        memcpy(&last, in + n - 8, 8);
        w = (v2x64){first, last};
        *seen |= (v16)w;
        w = (v2x64)escaped((v16)w, low);
        first = w[0];
        last = w[1];
        memcpy(out, &first, 8);
        memcpy(out + n - 8, &last, 8);
    } else if (n >= 4) {
        uint32_t head, tail;

        memcpy(&head, in, 4);
        memcpy(&tail, in + n - 4, 4);
        w = (v2x64){head, tail};
        *seen |= (v16)w;
        w = (v2x64)escaped((v16)w, low);
        head = (uint32_t)w[0];
        tail = (uint32_t)w[1];
        memcpy(out, &head, 4);
        memcpy(out + n - 4, &tail, 4);
    } else {
        uint8_t a = (uint8_t)in[0], b = (uint8_t)in[n / 2], c = (uint8_t)in[n - 1];

        *seen |= (v16)(v2x64){a | b | c, 0};
        out[0] = a <= low || a == 0x7f ? '+' : (char)a;
        out[n / 2] = b <= low || b == 0x7f ? '+' : (char)b;
        out[n - 1] = c <= low || c == 0x7f ? '+' : (char)c;
    }
}

/* Length of the well-formed UTF-8 sequence of two or more bytes at p, or 0. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    size_t want = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

    if (p[0] < 0xc2 || p[0] > 0xf4 || n < want)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return want;
}

/* The character of a sequence that utf8_length has found good. */
static uint32_t utf8_decode(const unsigned char *p, size_t n)
{
    uint32_t cp = p[0] & (0x7fu >> n);

    for (size_t i = 1; i < n; i++)
        cp = cp << 6 | (p[i] & 0x3fu);
    return cp;
}

static inline bool is_c1_control(const unsigned char *p)
{
    return p[0] == 0xc2 && p[1] <= 0x9f;
}

/* For the few fields with bytes outside ASCII. In UTF-8 mode bytes that are no UTF-8 stay, so that
 * the log shows what was sent. */
static __attribute__((noinline)) char *put_non_ascii(char *at, struct str s, bool utf8, uint8_t low)
{
    const unsigned char *p = (const unsigned char *)s.p;

    for (size_t i = 0; i < s.n;) {
        if (p[i] < 0x80) {
            *at++ = p[i] <= low || p[i] == 0x7f ? '+' : (char)p[i];
            i++;
            continue;
        }
        size_t n = utf8_length(p + i, s.n - i);

        if (n > 1 && is_c1_control(p + i)) {
            *at++ = '+';
        } else if (!utf8) {
            *at++ = n ? (char)cp1252_from_unicode(utf8_decode(p + i, n)) : '?';
        } else {
            memcpy(at, p + i, n ? n : 1);
            at += n ? n : 1;
        }
        i += n ? n : 1;
    }
    return at;
}

static inline char *put_field(char *at, struct str s, bool utf8, uint8_t low)
{
    v16 seen = {0};

    if (s.n >= 16) {
        size_t i = 0;

        for (; i + 16 <= s.n; i += 16)
            escape16(at + i, s.p + i, low, &seen);
        escape16(at + s.n - 16, s.p + s.n - 16, low, &seen);
    } else if (s.n) {
        escape_short(at, s.p, s.n, low, &seen);
    } else {
        *at = '-';
        return at + 1;
    }
    if (UNLIKELY(any_high(seen)))
        return put_non_ascii(at, s, utf8, low);
    return at + s.n;
}

char *log_put_field(char *at, struct str s, bool utf8)
{
    return put_field(at, s, utf8, ' ');
}

char *log_put_field_blanks(char *at, struct str s, bool utf8)
{
    return put_field(at, s, utf8, ' ' - 1);
}

static char *put_u_escape(char *at, unsigned c)
{
    static const char digits[] = "0123456789abcdef";

    *at++ = '\\';
    *at++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4)
        *at++ = digits[(c >> shift) & 15];
    return at;
}

static inline bool json_plain16(const char *p)
{
    v16 v = load16(p);
    v16 special = (v16)(v < ' ') | (v16)(v == '"') | (v16)(v == '\\') | (v16)(v >= 0x7f);

    return !any_high(special);
}

char *log_put_json(char *at, struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    *at++ = '"';
    for (size_t i = 0; i < s.n;) {
        if (i + 16 <= s.n && json_plain16(s.p + i)) {
            memcpy(at, s.p + i, 16);
            at += 16;
            i += 16;
            continue;
        }
        if (p[i] == '"' || p[i] == '\\') {
            *at++ = '\\';
            *at++ = (char)p[i++];
        } else if (p[i] < ' ' || p[i] == 0x7f) {
            at = put_u_escape(at, p[i++]);
        } else if (p[i] < 0x80) {
            *at++ = (char)p[i++];
        } else {
            size_t n = utf8_length(p + i, s.n - i);

            if (n == 0 || is_c1_control(p + i)) {
                at = put_u_escape(at, n ? p[i + 1] : 0xfffd);
            } else {
                memcpy(at, p + i, n);
                at += n;
            }
            i += n ? n : 1;
        }
    }
    *at++ = '"';
    return at;
}

struct str log_clip(struct str s, size_t max)
{
    if (s.n <= max)
        return s;
    size_t n = max;

    for (int back = 0; back < 3 && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80; back++)
        n--;
    /* Not UTF-8 after all: cut where asked. */
    if (((unsigned char)s.p[n] & 0xc0) == 0x80)
        n = max;
    return str_n(s.p, n);
}
