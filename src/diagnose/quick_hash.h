/* The hash of the hot path: as base/hash.h's, but inline and with whole loads only. Its key comes
 * from that one, so it is as random, and the same in all threads. */
#ifndef CANDOR_DIAGNOSE_QUICK_HASH_H
#define CANDOR_DIAGNOSE_QUICK_HASH_H

#include "base/hash.h"

struct quick_key {
    uint64_t a, b, c, d;
};

static inline struct quick_key quick_key_make(void)
{
    return (struct quick_key){hash_bytes("quick", 5) | 1, hash_bytes("key", 3) | 1,
                              hash_bytes("third", 5) | 1, hash_bytes("fourth", 6) | 1};
}

static inline uint64_t quick_load8(const char *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

static inline uint64_t quick_load4(const char *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return v;
}

static inline uint64_t quick_fold(uint64_t a, uint64_t b)
{
    __uint128_t m = (__uint128_t)a * b;

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Reads nothing outside of the view: loads at the end overlap what was read before. Never 0. */
static inline uint64_t quick_hash(struct quick_key k, struct str s)
{
    if (s.n == 0)
        return k.a;
    const char *p = s.p, *end = s.p + s.n;
    uint64_t h = k.a ^ s.n * 0x9e3779b97f4a7c15u;

    if (LIKELY(s.n > 16 && s.n <= 64)) {
        /* Four pieces of 16 bytes, side by side, that overlap as far as they must: the same work
         * for most URLs, whatever their length. */
        size_t step = s.n - 16 < 16 ? s.n - 16 : 16;
        uint64_t x = quick_fold(quick_load8(p) ^ h, quick_load8(p + 8) ^ k.b);
        uint64_t y = quick_fold(quick_load8(p + step) ^ k.c, quick_load8(p + step + 8) ^ k.a);
        uint64_t z =
            quick_fold(quick_load8(end - 16 - step) ^ k.d, quick_load8(end - 8 - step) ^ k.b);
        uint64_t w = quick_fold(quick_load8(end - 16) ^ k.c, quick_load8(end - 8) ^ k.d);
        h = x + y + (z ^ w);
    } else if (LIKELY(s.n > 8)) {
        for (; end - p > 16; p += 16)
            h = quick_fold(quick_load8(p) ^ h, quick_load8(p + 8) ^ k.b);
        h = s.n >= 16 ? quick_fold(quick_load8(end - 16) ^ h, quick_load8(end - 8) ^ k.b)
                      : quick_fold(quick_load8(s.p) ^ h, quick_load8(end - 8) ^ k.b);
    } else if (s.n >= 4) {
        h = quick_fold(quick_load4(s.p) ^ h, quick_load4(end - 4) ^ k.b);
    } else {
        uint64_t v = (uint64_t)(unsigned char)s.p[0] << 16 |
                     (uint64_t)(unsigned char)s.p[s.n / 2] << 8 | (unsigned char)end[-1];
        h = quick_fold(v ^ h, k.b);
    }
    return quick_fold(h, k.b ^ 0xe7037ed1a0b428dbu) | 1;
}

#endif
