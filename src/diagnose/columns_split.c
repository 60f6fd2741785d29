/* The splitter: 64 bytes at a time become two bit masks, line ends and blanks, and each set bit
 * starts a value. Starts are gathered for a few dozen lines before these are looked at: what is
 * done here is then the same for any 64 bytes, and hardly a branch is guessed wrong. */
#include <immintrin.h>

#include "diagnose/columns.h"
#include "base/poison.h"

/* Values whose starts are written whatever there is: 64 bytes seldom have more, in HTTPERR neither.
 */
enum { STARTS_AT_ONCE = 12 };

struct masks {
    uint64_t newlines, blanks;
};

static inline __attribute__((always_inline)) struct masks masks_scalar(const char *p)
{
    struct masks m = {0, 0};

    for (unsigned i = 0; i < 64; i++) {
        m.newlines |= (uint64_t)(p[i] == '\n') << i;
        m.blanks |= (uint64_t)(p[i] == ' ') << i;
    }
    return m;
}

static inline __attribute__((always_inline)) struct masks masks_sse2(const char *p)
{
    struct masks m = {0, 0};
    const __m128i newline = _mm_set1_epi8('\n'), blank = _mm_set1_epi8(' ');

    for (unsigned i = 0; i < 4; i++) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + (size_t)i * 16));
        m.newlines |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, newline)) << (i * 16);
        m.blanks |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, blank)) << (i * 16);
    }
    return m;
}

__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt"))) static inline struct masks
masks_avx2(const char *p)
{
    const __m256i newline = _mm256_set1_epi8('\n'), blank = _mm256_set1_epi8(' ');
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));

    return (struct masks){
        (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, newline)) |
            (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(y, newline)) << 32,
        (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, blank)) |
            (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(y, blank)) << 32,
    };
}

/* The number of the lowest bit; of none, whatever. */
#define FIRST_BIT(bits) __builtin_ctzll((bits) | (uint64_t)1 << 63)

/* Written out, as a loop of that length would be kept; and one by one, as gathering them in a
 * vector costs more than the stores it saves. */
#define START(k, FIRST)                                  \
    do {                                                 \
        uint32_t start = offset + (uint32_t)FIRST(both); \
        __asm__ volatile("" : "+r"(start));              \
        to[k] = start;                                   \
        both &= both - 1;                                \
    } while (0)

#define STORE_BODY(FIRST)                                         \
    START(0, FIRST);                                              \
    START(1, FIRST);                                              \
    START(2, FIRST);                                              \
    START(3, FIRST);                                              \
    START(4, FIRST);                                              \
    START(5, FIRST);                                              \
    START(6, FIRST);                                              \
    START(7, FIRST);                                              \
    START(8, FIRST);                                              \
    START(9, FIRST);                                              \
    START(10, FIRST);                                             \
    START(11, FIRST);                                             \
    for (unsigned k = STARTS_AT_ONCE; UNLIKELY(k < count); k++) { \
        to[k] = offset + (uint32_t)__builtin_ctzll(both);         \
        both &= both - 1;                                         \
    }

static inline __attribute__((always_inline)) void store_plain(uint32_t *to, uint32_t offset,
                                                              uint64_t both, unsigned count)
{
    STORE_BODY(FIRST_BIT)
}

__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt"))) static inline void
store_bmi(uint32_t *to, uint32_t offset, uint64_t both, unsigned count){STORE_BODY(_tzcnt_u64)}

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vbmi2,bmi,bmi2,lzcnt,popcnt")))

AVX512 static inline struct masks masks_avx512(const char *p)
{
    __m512i x = _mm512_loadu_si512(p);

    return (struct masks){_mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8('\n')),
                          _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8(' '))};
}

/* Sixteen starts of two hexadecimal digits each. */
#define NUMBERS(high)                                                                         \
    high##0, high##1, high##2, high##3, high##4, high##5, high##6, high##7, high##8, high##9, \
        high##A, high##B, high##C, high##D, high##E, high##F

AVX512 static inline void store_avx512(uint32_t *to, uint32_t offset, uint64_t both, unsigned count)
{
    static const char numbers[64] = {NUMBERS(0x0), NUMBERS(0x1), NUMBERS(0x2), NUMBERS(0x3)};
    __m512i from = _mm512_set1_epi32((int)offset);
    __m512i at = _mm512_maskz_compress_epi8(both, _mm512_loadu_si512(numbers));

    _mm512_storeu_si512(to,
                        _mm512_add_epi32(from, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(at))));
    if (LIKELY(count <= 16))
        return;
    _mm512_storeu_si512(
        to + 16, _mm512_add_epi32(from, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(at, 1))));
    _mm512_storeu_si512(
        to + 32, _mm512_add_epi32(from, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(at, 2))));
    _mm512_storeu_si512(
        to + 48, _mm512_add_epi32(from, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(at, 3))));
}

/* How many of the bits there are up to the first newline, itself included. */
#define ONES_UP_TO_FIRST(newlines, bits) \
    ((uint32_t)__builtin_popcountll((bits) & ((newlines) ^ ((newlines)-1))))

/* One body for all widths. MASKS looks at 64 bytes; STORE writes where the values after them begin,
 * and may write as many as 64. */
#define SPLIT_BODY(MASKS, STORE)                                                         \
    struct column_batch batch __attribute__((uninitialized));                            \
    batch.base = p;                                                                      \
    batch.n = batch.lines = batch.starts[0] = 0;                                         \
    for (const char *at = p; at < end; at += 64) {                                       \
        struct masks m = MASKS(at);                                                      \
        if (UNLIKELY(end - at < 64)) {                                                   \
            uint64_t inside = ((uint64_t)1 << (end - at)) - 1;                           \
            m.newlines &= inside;                                                        \
            m.blanks &= inside;                                                          \
        }                                                                                \
        uint64_t both = m.newlines | m.blanks, newlines = m.newlines;                    \
        unsigned count = (unsigned)__builtin_popcountll(both);                           \
        batch.ends[batch.lines] = batch.n + ONES_UP_TO_FIRST(newlines, both);            \
        batch.lines += newlines != 0;                                                    \
        while (UNLIKELY((newlines &= newlines - 1) != 0))                                \
            batch.ends[batch.lines++] = batch.n + ONES_UP_TO_FIRST(newlines, both);      \
        STORE(batch.starts + batch.n + 1, (uint32_t)(at - batch.base) + 1, both, count); \
        batch.n += count;                                                                \
        if (UNLIKELY(batch.n > COLUMN_STARTS - 1 - 64))                                  \
            columns_batch(c, &batch);                                                    \
    }                                                                                    \
    columns_batch(c, &batch);

static void split_scalar(struct columns *c, const char *p, const char *end)
{
    SPLIT_BODY(masks_scalar, store_plain)
}

static void split_sse2(struct columns *c, const char *p, const char *end)
{
    SPLIT_BODY(masks_sse2, store_plain)
}

__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt"))) static void
split_avx2(struct columns *c, const char *p, const char *end){SPLIT_BODY(masks_avx2, store_bmi)}

AVX512 static void split_avx512(struct columns *c, const char *p, const char *end)
{
    SPLIT_BODY(masks_avx512, store_avx512)
}

bool columns_has_width(unsigned width)
{
    switch (width) {
    case 0:
    case 16:
        return true;
    case 32:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    case 64:
        return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi2") &&
               __builtin_cpu_supports("bmi2");
    default:
        return false;
    }
}

void columns_lines_with(unsigned width, struct columns *c, const char *p, const char *end)
{
    INVARIANT(columns_has_width(width));
    switch (width) {
    case 0:
        split_scalar(c, p, end);
        break;
    case 16:
        split_sse2(c, p, end);
        break;
    case 32:
        split_avx2(c, p, end);
        break;
    default:
        split_avx512(c, p, end);
    }
}

void columns_lines(struct columns *c, const char *p, const char *end)
{
    columns_lines_with(columns_has_width(64) ? 64 : columns_has_width(32) ? 32 : 16, c, p, end);
}
