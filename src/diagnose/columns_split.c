/* The splitter: 64 bytes at a time become two bit masks, line ends and blanks, and each set bit
 * starts a value. Starts are gathered for a few dozen lines before these are looked at: what is
 * done here is then the same for any 64 bytes, and hardly a branch is guessed wrong. */
#include <immintrin.h>

#include "diagnose/columns.h"
#include "base/poison.h"

/* Values whose starts are written whatever there is: 64 bytes seldom have more. */
enum { STARTS_AT_ONCE = 8 };

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

/* Written out, as a loop of that length would be kept; and one by one, as gathering them in a
 * vector costs more than the stores it saves. */
#define START(k, FIRST)                                  \
    do {                                                 \
        uint32_t start = offset + (uint32_t)FIRST(both); \
        __asm__ volatile("" : "+r"(start));              \
        to[k] = start;                                   \
        both &= both - 1;                                \
    } while (0)
/* The number of the lowest bit; of none, whatever. */
#define FIRST_BIT(bits) __builtin_ctzll((bits) | (uint64_t)1 << 63)

/* One body for all widths; MASKS and FIRST decide. */
#define SPLIT_BODY(MASKS, FIRST)                                                             \
    struct column_batch batch __attribute__((uninitialized));                                \
    batch.base = p;                                                                          \
    batch.n = batch.lines = batch.starts[0] = 0;                                             \
    for (const char *at = p; at < end; at += 64) {                                           \
        struct masks m = MASKS(at);                                                          \
        if (UNLIKELY(end - at < 64)) {                                                       \
            uint64_t inside = ((uint64_t)1 << (end - at)) - 1;                               \
            m.newlines &= inside;                                                            \
            m.blanks &= inside;                                                              \
        }                                                                                    \
        uint64_t both = m.newlines | m.blanks, newlines = m.newlines;                        \
        unsigned count = (unsigned)__builtin_popcountll(both);                               \
        uint32_t offset = (uint32_t)(at - batch.base) + 1, *to = batch.starts + batch.n + 1; \
        batch.ends[batch.lines] = batch.n + ONES_UP_TO_FIRST(newlines, both);                \
        batch.lines += newlines != 0;                                                        \
        while (UNLIKELY((newlines &= newlines - 1) != 0))                                    \
            batch.ends[batch.lines++] = batch.n + ONES_UP_TO_FIRST(newlines, both);          \
        START(0, FIRST);                                                                     \
        START(1, FIRST);                                                                     \
        START(2, FIRST);                                                                     \
        START(3, FIRST);                                                                     \
        START(4, FIRST);                                                                     \
        START(5, FIRST);                                                                     \
        START(6, FIRST);                                                                     \
        START(7, FIRST);                                                                     \
        for (unsigned k = STARTS_AT_ONCE; UNLIKELY(k < count); k++) {                        \
            to[k] = offset + (uint32_t)__builtin_ctzll(both);                                \
            both &= both - 1;                                                                \
        }                                                                                    \
        batch.n += count;                                                                    \
        if (UNLIKELY(batch.n > COLUMN_STARTS - 1 - 64))                                      \
            columns_batch(c, &batch);                                                        \
    }                                                                                        \
    columns_batch(c, &batch);

/* How many of the bits there are up to the first newline, itself included. */
#define ONES_UP_TO_FIRST(newlines, bits) \
    ((uint32_t)__builtin_popcountll((bits) & ((newlines) ^ ((newlines)-1))))

static void split_scalar(struct columns *c, const char *p, const char *end)
{
    SPLIT_BODY(masks_scalar, FIRST_BIT)
}

static void split_sse2(struct columns *c, const char *p, const char *end)
{
    SPLIT_BODY(masks_sse2, FIRST_BIT)
}

__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt"))) static void
split_avx2(struct columns *c, const char *p, const char *end)
{
    SPLIT_BODY(masks_avx2, _tzcnt_u64)
}

bool columns_lines_with(unsigned width, struct columns *c, const char *p, const char *end)
{
    switch (width) {
    case 0:
        split_scalar(c, p, end);
        return true;
    case 16:
        split_sse2(c, p, end);
        return true;
    case 32:
        if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2"))
            return false;
        split_avx2(c, p, end);
        return true;
    default:
        return false;
    }
}

void columns_lines(struct columns *c, const char *p, const char *end)
{
    if (!columns_lines_with(32, c, p, end))
        split_sse2(c, p, end);
}
