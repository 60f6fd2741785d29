#include "base/hash.h"

#include <sys/random.h>

#include "base/poison.h"

static uint64_t key[2] = {0x9e3779b97f4a7c15u, 0xd1b54a32d192ed03u};

void hash_seed(void)
{
    uint64_t fresh[2];

    if (getrandom(fresh, sizeof(fresh), 0) == (ssize_t)sizeof(fresh))
        memcpy(key, fresh, sizeof(key));
}

/* Two 64-bit lanes folded by a 128-bit product, as the wyhash family does; keyed in every step. */
static inline uint64_t fold(uint64_t a, uint64_t b)
{
    __uint128_t m = (__uint128_t)a * b;

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t load(const unsigned char *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

/* 1 to 8 bytes, each of them at least once: the length is in the hash already. */
static inline uint64_t load_tail(const unsigned char *p, size_t n)
{
    uint32_t first, last;

    if (n == 8)
        return load(p);
    if (n < 4)
        return p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16;
    memcpy(&first, p, 4);
    memcpy(&last, p + n - 4, 4);
    return first | (uint64_t)last << 32;
}

/* Sets bit 5 of the bytes that are A..Z, eight at a time. */
static inline uint64_t lower8(uint64_t v)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t low = v & (ones * 0x7f);
    uint64_t ge_a = low + ones * (0x80 - 'A'), gt_z = low + ones * (0x80 - 'Z' - 1);
    uint64_t upper = (ge_a & ~gt_z) & ~v & (ones * 0x80);

    return v | upper >> 2;
}

uint64_t hash_bytes(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint64_t h = key[0] ^ fold(n ^ key[1], 0xa0761d6478bd642fu);

    for (; n >= 16; p += 16, n -= 16)
        h = fold(load(p) ^ key[0] ^ h, load(p + 8) ^ key[1]);
    if (n > 8)
        h = fold(load(p) ^ key[0] ^ h, load_tail(p + 8, n - 8) ^ key[1]);
    else if (n)
        h = fold(load_tail(p, n) ^ key[0] ^ h, key[1]);
    return fold(h, key[1] ^ 0xe7037ed1a0b428dbu);
}

uint64_t hash_ibytes(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint64_t h = key[0] ^ fold(n ^ key[1], 0xa0761d6478bd642fu);

    for (; n >= 16; p += 16, n -= 16)
        h = fold(lower8(load(p)) ^ key[0] ^ h, lower8(load(p + 8)) ^ key[1]);
    if (n > 8)
        h = fold(lower8(load(p)) ^ key[0] ^ h, lower8(load_tail(p + 8, n - 8)) ^ key[1]);
    else if (n)
        h = fold(lower8(load_tail(p, n)) ^ key[0] ^ h, key[1]);
    return fold(h, key[1] ^ 0xe7037ed1a0b428dbu);
}
