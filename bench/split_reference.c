/* What a processor can do at most with a log: splits every line of a W3C or HTTPERR file into all
 * its values and counts the lines by URL, and nothing else.
 *     split_reference FILE
 * The file is mapped. 64 bytes at a time are compared with blank and line feed in two vectors of 32
 * bytes; each set bit of the two masks ends a value. The columns are those of the last #Fields line
 * before a line; a line of another shape is counted as odd. Says how much it found, and MB of log
 * per second of processor time, so that bench/diagnose.py can set `candor diagnose` against it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <immintrin.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { VALUES_MAX = 128, NONE = VALUES_MAX, SLOTS_FIRST = 1 << 14 };

struct slot {
    const char *url; /* in the file; NULL: free */
    uint32_t n;
    uint32_t count;
    uint64_t hash;
};

struct counts {
    struct slot *slots;
    size_t cap, used; /* cap a power of two */
    uint64_t lines, odd, errors, ms;
    unsigned values;             /* of a line, by the header; 0: no header yet */
    unsigned url, status, taken; /* columns, or NONE */
};

static uint64_t load8(const char *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

/* Eight bytes a step; the last step overlaps the one before. */
static uint64_t hash_url(const char *p, size_t n)
{
    const uint64_t m = 0xff51afd7ed558ccdu;
    uint64_t h = n * m, last = 0;

    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8)
            h = (h ^ load8(p + i)) * m, h ^= h >> 32;
        last = load8(p + n - 8);
    } else {
        for (size_t i = 0; i < n; i++)
            last = last << 8 | (unsigned char)p[i];
    }
    h = (h ^ last) * m;
    return h ^ h >> 32;
}

static struct slot *find(const struct counts *c, const char *url, size_t n, uint64_t hash)
{
    for (size_t i = hash & (c->cap - 1);; i = (i + 1) & (c->cap - 1)) {
        struct slot *s = &c->slots[i];
        if (!s->url || (s->hash == hash && s->n == n && memcmp(s->url, url, n) == 0))
            return s;
    }
}

static void resize(struct counts *c, size_t cap)
{
    struct counts old = *c;

    c->cap = cap;
    c->slots = calloc(cap, sizeof(*c->slots));
    if (!c->slots) {
        perror("split_reference");
        exit(1);
    }
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].url)
            *find(c, old.slots[i].url, old.slots[i].n, old.slots[i].hash) = old.slots[i];
    free(old.slots);
}

static void count_url(struct counts *c, const char *url, size_t n)
{
    uint64_t hash = hash_url(url, n);
    struct slot *s = find(c, url, n, hash);

    if (!s->url) {
        *s = (struct slot){url, (uint32_t)n, 0, hash};
        if (++c->used * 2 > c->cap) {
            resize(c, c->cap * 2);
            s = find(c, url, n, hash);
        }
    }
    s->count++;
}

/* "#Fields: date time ..." */
static void read_header(struct counts *c, const char *p, const char *end)
{
    static const char mark[] = "#Fields: ";

    if ((size_t)(end - p) < sizeof(mark) || memcmp(p, mark, sizeof(mark) - 1) != 0)
        return;
    c->url = c->status = c->taken = NONE;
    c->values = 0;
    for (p += sizeof(mark) - 1; p < end && c->values < VALUES_MAX; c->values++) {
        const char *blank = memchr(p, ' ', (size_t)(end - p));
        int n = (int)((blank ? blank : end) - p);
        if ((n == 11 && memcmp(p, "cs-uri-stem", 11) == 0) || (n == 6 && !memcmp(p, "cs-uri", 6)))
            c->url = c->values;
        else if (n == 9 && memcmp(p, "sc-status", 9) == 0)
            c->status = c->values;
        else if (n == 10 && memcmp(p, "time-taken", 10) == 0)
            c->taken = c->values;
        p += n + 1;
    }
}

/* at[i] is where value i begins; at[values] is one past the byte that ends the last one. */
static inline void take_line(struct counts *c, const char **at, unsigned values, const char *end)
{
    if (end > at[0] && end[-1] == '\r')
        end--;
    if (end > at[0] && at[0][0] == '#') {
        read_header(c, at[0], end);
        return;
    }
    if (values != c->values || c->url == NONE) {
        c->odd++;
        return;
    }
    at[values] = end + 1;
    c->lines++;
    count_url(c, at[c->url], (size_t)(at[c->url + 1] - 1 - at[c->url]));
    if (c->status != NONE)
        c->errors += at[c->status][0] >= '4';
    if (c->taken != NONE) {
        uint64_t ms = 0;
        for (const char *p = at[c->taken]; p < at[c->taken + 1] - 1; p++)
            ms = ms * 10 + ((unsigned char)*p - '0');
        c->ms += ms;
    }
}

__attribute__((target("avx2,bmi"))) static void split(struct counts *c, const char *p,
                                                      const char *end)
{
    const __m256i newline = _mm256_set1_epi8('\n'), blank = _mm256_set1_epi8(' ');
    const char *at[VALUES_MAX + 1] = {p};
    unsigned values = 1;

    for (const char *base = p; base < end; base += 64) {
        char tail[64] = {0};
        const char *from = base;
        if (end - base < 64)
            from = memcpy(tail, base, (size_t)(end - base)); /* the map ends here */
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)from);
        __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(from + 32));
        uint64_t ends = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, newline)) |
                        (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(y, newline))
                            << 32;
        uint64_t any = ends | (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, blank)) |
                       (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(y, blank)) << 32;

        for (; any; any &= any - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(any);
            const char *q = base + bit;
            if (ends >> bit & 1) {
                take_line(c, at, values, q);
                values = 1;
                at[0] = q + 1;
            } else if (values < VALUES_MAX) {
                at[values++] = q + 1;
            }
        }
    }
    if (at[0] < end)
        c->odd++; /* a last line without end */
}

static double processor_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct counts c = {.url = NONE, .status = NONE, .taken = NONE};
    struct stat st;
    int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0) {
        fprintf(stderr, "usage: split_reference FILE (not empty)\n");
        return 2;
    }
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi")) {
        fprintf(stderr, "split_reference: this processor has no AVX2\n");
        return 3;
    }
    double start = processor_s();
    size_t size = (size_t)st.st_size;
    const char *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);

    if (p == MAP_FAILED) {
        perror("split_reference");
        return 1;
    }
    resize(&c, SLOTS_FIRST);
    split(&c, p, p + size);
    double seconds = processor_s() - start;

    printf("%" PRIu64 " lines, %zu URLs, %" PRIu64 " errors, %" PRIu64 " ms, %" PRIu64
           " odd lines\n%.0f MB/s per processor\n",
           c.lines, c.used, c.errors, c.ms, c.odd, (double)size / 1e6 / seconds);
    return 0;
}
