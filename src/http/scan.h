/* Inner loops of the parsers: the first byte that needs a closer look, 16 bytes at a time where the
 * processor can. Internal to src/http. Nothing reads past end. */
#ifndef CANDOR_HTTP_SCAN_H
#define CANDOR_HTTP_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Classes of bytes, one bit each. */
enum {
    SCAN_TOKEN = 1,   /* RFC 9110 tchar */
    SCAN_CTL = 2,     /* 00-1F but HT, and 7F: ends the scan of a header value */
    SCAN_NAME = 4,    /* ':', blank or control: ends the scan of a header name */
    SCAN_TARGET = 8,  /* blank or control: ends the scan of a request-target */
    SCAN_PATH = 16,   /* what keeps a path from being taken as it is, '/' aside */
    SCAN_HOST = 32,   /* may stand in a host name */
    SCAN_BREAK = 64,  /* CR, LF, NUL: must never get into a response head */
};
extern const uint8_t scan_class[256];

static inline bool scan_is(char c, unsigned class)
{
    return scan_class[(unsigned char)c] & class;
}

static inline const char *scan_bytewise(const char *p, const char *end, unsigned class)
{
    while (p < end && !scan_is(*p, class))
        p++;
    return p;
}

#if defined(__SSE2__)
static inline __m128i scan_load(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Lanes with an unsigned value of at most max. */
static inline __m128i scan_at_most(__m128i v, int max)
{
    return _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8((char)max)), v);
}

static inline __m128i scan_equal(__m128i v, int c)
{
    return _mm_cmpeq_epi8(v, _mm_set1_epi8((char)c));
}

static inline unsigned scan_mask(__m128i lanes)
{
    return (unsigned)_mm_movemask_epi8(lanes);
}
#define SCAN_WIDE(p, end, v, lanes)                                                                \
    for (; (end) - (p) >= 16; (p) += 16) {                                                         \
        __m128i v = scan_load(p);                                                                  \
        unsigned hits = scan_mask(lanes);                                                          \
        if (hits)                                                                                  \
            return (p) + __builtin_ctz(hits);                                                      \
    }
#else
#define SCAN_WIDE(p, end, v, lanes)
#endif

/* First byte of class SCAN_CTL. */
static inline const char *scan_value(const char *p, const char *end)
{
    SCAN_WIDE(p, end, v,
              _mm_or_si128(_mm_andnot_si128(scan_equal(v, '\t'), scan_at_most(v, 0x1f)),
                           scan_equal(v, 0x7f)))
    return scan_bytewise(p, end, SCAN_CTL);
}

/* First byte of class SCAN_NAME. */
static inline const char *scan_name(const char *p, const char *end)
{
    SCAN_WIDE(p, end, v, _mm_or_si128(scan_equal(v, ':'), scan_at_most(v, 0x20)))
    return scan_bytewise(p, end, SCAN_NAME);
}

/* First byte of class SCAN_TARGET. */
static inline const char *scan_target(const char *p, const char *end)
{
    SCAN_WIDE(p, end, v, _mm_or_si128(scan_equal(v, 0x7f), scan_at_most(v, 0x20)))
    return scan_bytewise(p, end, SCAN_TARGET);
}

/* First byte of class SCAN_BREAK. */
static inline const char *scan_break(const char *p, const char *end)
{
    SCAN_WIDE(p, end, v,
              _mm_or_si128(_mm_or_si128(scan_equal(v, '\r'), scan_equal(v, '\n')),
                           scan_equal(v, 0)))
    return scan_bytewise(p, end, SCAN_BREAK);
}

#endif
