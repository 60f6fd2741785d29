#include "diagnose/sketch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rc.h"
#include "base/poison.h"

/* ---- histograms ---- */

uint64_t hist_value(size_t cell, unsigned bits, uint64_t *ret_error)
{
    size_t per_power = (size_t)1 << bits;

    *ret_error = 0;
    if (cell < 2 * per_power)
        return cell;
    unsigned shift = (unsigned)(cell >> bits) - 1;
    uint64_t low = (uint64_t)(per_power + (cell & (per_power - 1))) << shift;
    uint64_t width = (uint64_t)1 << shift;

    *ret_error = width - width / 2;
    return low + width / 2;
}

static size_t quantile_target(uint64_t count, double share)
{
    double target = ceil((double)count * share);

    return target < 1 ? 1 : (size_t)target;
}

size_t hist_quantile64(const uint64_t *cells, size_t n, uint64_t count, double share)
{
    uint64_t sum = 0, target = quantile_target(count, share);

    for (size_t i = 0; i < n; i++) {
        sum += cells[i];
        if (sum >= target)
            return i;
    }
    return n - 1;
}

size_t hist_quantile32(const uint32_t *cells, size_t n, uint64_t count, double share)
{
    uint64_t sum = 0, target = quantile_target(count, share);

    for (size_t i = 0; i < n; i++) {
        sum += cells[i];
        if (sum >= target)
            return i;
    }
    return n - 1;
}

/* ---- distinct ---- */

void distinct_init(struct distinct *d, uint32_t exact_max, unsigned bits)
{
    *d = (struct distinct){.exact_max = exact_max, .bits = bits};
}

void distinct_fini(struct distinct *d)
{
    free(d->set);
    free(d->regs);
    d->set = NULL;
    d->regs = NULL;
}

static bool set_put(uint64_t *set, uint32_t cap, uint64_t hash)
{
    for (uint32_t i = (uint32_t)hash & (cap - 1);; i = (i + 1) & (cap - 1)) {
        if (set[i] == hash)
            return false;
        if (set[i] == 0) {
            set[i] = hash;
            return true;
        }
    }
}

static void set_grow(struct distinct *d)
{
    uint32_t cap = d->cap ? d->cap * 2 : 8;
    uint64_t *set = xcalloc(cap, sizeof(*set));

    for (uint32_t i = 0; i < d->cap; i++)
        if (d->set[i])
            set_put(set, cap, d->set[i]);
    free(d->set);
    d->set = set;
    d->cap = cap;
}

static void to_registers(struct distinct *d)
{
    uint64_t *set = d->set;

    d->regs = xcalloc((size_t)1 << d->bits, 1);
    d->set = NULL;
    for (uint32_t i = 0; i < d->cap; i++)
        if (set[i])
            distinct_add(d, set[i]);
    free(set);
    d->cap = 0;
}

void distinct_add_slow(struct distinct *d, uint64_t hash)
{
    if (hash == 0)
        hash = 1;
    if (d->n * 4 >= d->cap * 3)
        set_grow(d);
    if (!set_put(d->set, d->cap, hash))
        return;
    d->n++;
    if (d->n > d->exact_max)
        to_registers(d);
}

/* ---- the estimate: O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches",
 * 2017, section 2. Unlike the first one it leans to no side at any size, without tables. ---- */

/* What registers that nothing fell into (a share x of all) stand for. */
static double empty_sum(double x)
{
    double sum = x, factor = 1, before;

    if (x >= 1)
        return HUGE_VAL;
    do {
        x *= x;
        before = sum;
        sum += x * factor;
        factor *= 2;
    } while (sum > before);
    return sum;
}

/* The same of full ones: all but a share x. */
static double full_sum(double x)
{
    double sum = 1 - x, factor = 1, before;

    if (x <= 0 || x >= 1)
        return 0;
    do {
        x = sqrt(x);
        before = sum;
        factor /= 2;
        sum -= (1 - x) * (1 - x) * factor;
    } while (sum < before);
    return sum / 3;
}

static double estimate(const struct distinct *d)
{
    unsigned top = 64 - d->bits; /* a register is 0, 1 to top, or top + 1 when full */
    uint64_t with[64 + 2] = {0};
    double m = (double)((size_t)1 << d->bits);

    for (size_t i = 0; i < (size_t)1 << d->bits; i++)
        with[d->regs[i]]++;
    double sum = m * full_sum(1 - (double)with[top + 1] / m);

    for (unsigned rank = top; rank >= 1; rank--)
        sum = (sum + (double)with[rank]) / 2;
    sum += m * empty_sum((double)with[0] / m);
    return m * m / (2 * M_LN2 * sum);
}

uint64_t distinct_count(const struct distinct *d, uint64_t *ret_error)
{
    *ret_error = 0;
    if (!d->regs)
        return d->n;
    double n = estimate(d);

    *ret_error = (uint64_t)ceil(n * 4 * 1.04 / sqrt((double)((size_t)1 << d->bits)));
    return (uint64_t)llround(n);
}

void distinct_merge(struct distinct *a, const struct distinct *b)
{
    if (!b->regs) {
        for (uint32_t i = 0; i < b->cap; i++)
            if (b->set[i])
                distinct_add(a, b->set[i]);
        return;
    }
    if (!a->regs)
        to_registers(a);
    for (size_t i = 0; i < (size_t)1 << a->bits; i++)
        if (b->regs[i] > a->regs[i])
            a->regs[i] = b->regs[i];
}

/* ---- spans ---- */

/* Each divides the next. */
static const uint32_t ladder[] = {1,    5,    10,    30,    60,     300,     600,
                                  1800, 3600, 21600, 86400, 604800, 2419200, 29030400};

static uint32_t ladder_next(uint32_t width_s)
{
    for (size_t i = 0; i < ARRAY_LEN(ladder); i++)
        if (ladder[i] > width_s)
            return ladder[i];
    return 0;
}

int64_t spans_floor(int64_t time_s, uint32_t width_s)
{
    int64_t rest = time_s % (int64_t)width_s;

    return time_s - (rest < 0 ? rest + (int64_t)width_s : rest);
}

uint32_t spans_width_for(uint32_t width_s, int64_t seconds, uint32_t n)
{
    for (;;) {
        uint32_t next = ladder_next(width_s);
        if (seconds / (int64_t)width_s < (int64_t)n || next == 0)
            return width_s;
        width_s = next;
    }
}

void spans_init(struct spans *s, uint32_t limit)
{
    *s = (struct spans){.limit = limit, .width_s = ladder[0]};
}

void spans_fini(struct spans *s)
{
    free(s->at);
    s->at = NULL;
}

static struct span *place(struct span *at, uint32_t cap, int64_t start_s)
{
    uint64_t h = (uint64_t)start_s * 0x9e3779b97f4a7c15u;

    for (uint32_t i = (uint32_t)(h >> 32) & (cap - 1);; i = (i + 1) & (cap - 1))
        if (at[i].start_s == start_s || at[i].start_s == SPAN_FREE)
            return &at[i];
}

static struct span *new_places(uint32_t cap)
{
    struct span *at = xmalloc(cap * sizeof(*at));

    for (uint32_t i = 0; i < cap; i++)
        at[i] = (struct span){.start_s = SPAN_FREE};
    return at;
}

/* Puts every span of `from` into s, at s's width. */
static void put_all(struct spans *s, const struct span *from, uint32_t cap)
{
    for (uint32_t i = 0; i < cap; i++) {
        if (from[i].start_s == SPAN_FREE)
            continue;
        struct span *to = spans_at(s, from[i].start_s);
        for (size_t c = 0; c < SPAN_COLUMNS_MAX; c++)
            to->v[c] += from[i].v[c];
    }
}

void spans_widen(struct spans *s, uint32_t width_s)
{
    struct span *old = s->at;
    uint32_t cap = s->cap;

    if (width_s <= s->width_s)
        return;
    s->width_s = width_s;
    s->at = cap ? new_places(cap) : NULL;
    s->n = 0;
    put_all(s, old, cap);
    free(old);
}

static void spans_grow(struct spans *s)
{
    struct span *old = s->at;
    uint32_t cap = s->cap;

    s->cap = cap ? cap * 2 : 8;
    s->at = new_places(s->cap);
    for (uint32_t i = 0; i < cap; i++)
        if (old[i].start_s != SPAN_FREE)
            *place(s->at, s->cap, old[i].start_s) = old[i];
    free(old);
}

struct span *spans_at(struct spans *s, int64_t time_s)
{
    if (s->n * 4 >= s->cap * 3)
        spans_grow(s);
    struct span *p = place(s->at, s->cap, spans_floor(time_s, s->width_s));

    if (p->start_s != SPAN_FREE)
        return p;
    while (s->n >= s->limit && ladder_next(s->width_s)) {
        spans_widen(s, ladder_next(s->width_s));
        p = place(s->at, s->cap, spans_floor(time_s, s->width_s));
        if (p->start_s != SPAN_FREE)
            return p;
    }
    p->start_s = spans_floor(time_s, s->width_s);
    s->n++;
    return p;
}

void spans_merge(struct spans *a, const struct spans *b)
{
    if (b->width_s > a->width_s)
        spans_widen(a, b->width_s);
    put_all(a, b->at, b->cap);
}

static int by_start(const void *pa, const void *pb)
{
    const struct span *a = pa, *b = pb;

    return a->start_s < b->start_s ? -1 : a->start_s > b->start_s;
}

struct span *spans_sorted(const struct spans *s)
{
    struct span *at;
    uint32_t n = 0;

    if (s->n == 0)
        return NULL;
    at = xcalloc(s->n, sizeof(*at));
    for (uint32_t i = 0; i < s->cap; i++)
        if (s->at[i].start_s != SPAN_FREE)
            at[n++] = s->at[i];
    qsort(at, n, sizeof(*at), by_start);
    return at;
}
