/* The splitter: 64 bytes at a time become two bit masks, line ends and blanks, and each set bit
 * starts a value. */
#include <immintrin.h>

#include "diagnose/columns.h"
#include "base/poison.h"

enum { STARTS_LAST = COLUMN_NONE - 4 };

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

/* Values that start in 64 bytes without a line's end: four are written whatever there is, as most
 * stretches have no more, and a loop of that length would be guessed wrong too often. */
#define TAKE_BLANKS(m)                                                      \
    do {                                                                    \
        uint64_t blanks = (m).blanks;                                       \
        unsigned count = (unsigned)__builtin_popcountll(blanks);            \
        const char **to = starts + n + 1;                                   \
        for (unsigned k = 0; k < 4; k++) {                                  \
            to[k] = base + __builtin_ctzll(blanks | (uint64_t)1 << 63) + 1; \
            blanks &= blanks - 1;                                           \
        }                                                                   \
        for (unsigned k = 4; UNLIKELY(k < count); k++) {                    \
            to[k] = base + __builtin_ctzll(blanks) + 1;                     \
            blanks &= blanks - 1;                                           \
        }                                                                   \
        n += count;                                                         \
    } while (0)

/* One body for all widths; MASKS decides. A line of more values than the array holds keeps writing
 * its last place, and is read the slow way for having too many. */
#define SPLIT_BODY(MASKS)                                                  \
    const char *starts[COLUMN_STARTS];                                     \
    static const char none[] = "- ";                                       \
    uint32_t n = 0;                                                        \
    starts[COLUMN_NONE] = none;                                            \
    starts[COLUMN_NONE + 1] = none + 2;                                    \
    starts[0] = p;                                                         \
    for (const char *base = p; base < end; base += 64) {                   \
        struct masks m = MASKS(base);                                      \
        if (m.newlines == 0 && n < STARTS_LAST - 64 && end - base >= 64) { \
            TAKE_BLANKS(m);                                                \
            continue;                                                      \
        }                                                                  \
        uint64_t both = m.newlines | m.blanks;                             \
        if (UNLIKELY(end - base < 64))                                     \
            both &= ((uint64_t)1 << (end - base)) - 1;                     \
        while (both) {                                                     \
            unsigned i = (unsigned)__builtin_ctzll(both);                  \
            const char *q = base + i;                                      \
            both &= both - 1;                                              \
            if (m.newlines >> i & 1) {                                     \
                columns_line(c, starts, n, q);                             \
                n = 0;                                                     \
                starts[0] = q + 1;                                         \
            } else {                                                       \
                n += n < STARTS_LAST;                                      \
                starts[n] = q + 1;                                         \
            }                                                              \
        }                                                                  \
    }

static void split_scalar(struct columns *c, const char *p, const char *end)
{
    SPLIT_BODY(masks_scalar)
}

static void split_sse2(struct columns *c, const char *p, const char *end)
{
    SPLIT_BODY(masks_sse2)
}

__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt"))) static void
split_avx2(struct columns *c, const char *p, const char *end)
{
    SPLIT_BODY(masks_avx2)
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
