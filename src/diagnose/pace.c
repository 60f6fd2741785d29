#include "diagnose/pace.h"

#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/poison.h"

enum {
    SIDE_MIN = 20,     /* requests before and after */
    SIDE_SLOTS = 2,    /* stretches with requests before and after */
    TAIL_MIN = 100,    /* requests from which on the 95th percentile alone may tell a change */
    SLOW_FROM_MS = 200 /* below, nobody cares */
};
static const double change_factor = 2, sure_errors = 6, steady_share = 0.8;

/* ---- one ---- */

static bool is_used(const struct pace *p, size_t slot)
{
    uint32_t any = 0;

    for (size_t c = 0; c < PACE_CELLS; c++)
        any |= p->cells[slot][c];
    return any != 0;
}

/* The last slot with records. */
static int64_t last_used(const struct pace *p)
{
    size_t slot = PACE_SLOTS - 1;

    while (slot > 0 && !is_used(p, slot))
        slot--;
    return (int64_t)slot;
}

/* Adds the slots of one to another, whose slots are at least as long. */
static void put_slots(struct pace *to, const struct pace_place *to_at, const struct pace *from,
                      const struct pace_place *from_at)
{
    for (size_t i = 0; i < PACE_SLOTS; i++) {
        if (!is_used(from, i))
            continue;
        int64_t slot = ((from_at->first + (int64_t)i) >> (to_at->shift - from_at->shift));
        for (size_t c = 0; c < PACE_CELLS; c++)
            to->cells[slot - to_at->first][c] += from->cells[i][c];
    }
}

/* Lays it out anew: slots of 2^shift seconds or more, with room from low to high. */
static void lay_out(struct pace *p, struct pace_place *at, uint32_t shift, int64_t low,
                    int64_t high)
{
    struct pace old = *p;
    struct pace_place old_at = *at;

    while (high - low >= PACE_SLOTS) {
        shift++;
        low >>= 1;
        high >>= 1;
    }
    at->shift = shift;
    at->first = (int32_t)low;
    *p = (struct pace){0};
    put_slots(p, at, &old, &old_at);
}

void pace_fit(struct pace *p, struct pace_place *at, int64_t time_s)
{
    int64_t slot = time_s >> at->shift, low = at->first, high = low + last_used(p);

    lay_out(p, at, at->shift, slot < low ? slot : low, slot > high ? slot : high);
}

void pace_merge(struct pace *a, struct pace_place *a_at, const struct pace *b,
                const struct pace_place *b_at)
{
    uint32_t shift = a_at->shift > b_at->shift ? a_at->shift : b_at->shift;
    uint32_t a_more = shift - a_at->shift, b_more = shift - b_at->shift;
    int64_t a_low = a_at->first >> a_more, b_low = b_at->first >> b_more;
    int64_t a_high = (a_at->first + last_used(a)) >> a_more;
    int64_t b_high = (b_at->first + last_used(b)) >> b_more;

    lay_out(a, a_at, shift, a_low < b_low ? a_low : b_low, a_high > b_high ? a_high : b_high);
    put_slots(a, a_at, b, b_at);
}

/* ---- a change ---- */

/* Of the cells' numbers, which grow with the logarithm of the time: a few requests that took very
 * long do not outweigh the many. */
struct sums {
    double n, sum, squares;
    unsigned slots;
};

static void add_sums(struct sums *a, const struct sums *b, double sign)
{
    a->n += sign * b->n;
    a->sum += sign * b->sum;
    a->squares += sign * b->squares;
    if (b->n > 0)
        a->slots = sign > 0 ? a->slots + 1 : a->slots - 1;
}

static double mean(const struct sums *s)
{
    return s->n > 0 ? s->sum / s->n : 0;
}

/* The variance of the mean; that of a cell's own width is part of it. */
static double mean_variance(const struct sums *s)
{
    double m = mean(s);

    return (s->squares / s->n - m * m + 1.0 / 12) / s->n;
}

static void sum_slot(const uint32_t cells[PACE_CELLS], struct sums *ret)
{
    *ret = (struct sums){0};
    for (size_t c = 0; c < PACE_CELLS; c++) {
        ret->n += cells[c];
        ret->sum += (double)cells[c] * (double)c;
        ret->squares += (double)cells[c] * (double)(c * c);
    }
}

/* The slot that begins the slow part: the one that separates the times best. 0 if there is none. */
static size_t find_split(const struct sums slots[PACE_SLOTS], struct sums *ret_before,
                         struct sums *ret_after)
{
    struct sums before = {0}, after = {0};
    double best_gain = 0;
    size_t best = 0;

    for (size_t i = 0; i < PACE_SLOTS; i++)
        add_sums(&after, &slots[i], 1);
    for (size_t i = 0; i < PACE_SLOTS; i++) {
        double rise = mean(&after) - mean(&before), gain = before.n * after.n * rise * rise;

        if (slots[i].n > 0 && before.n >= SIDE_MIN && after.n >= SIDE_MIN &&
            before.slots >= SIDE_SLOTS && after.slots >= SIDE_SLOTS && rise > 0 &&
            gain > best_gain) {
            best = i;
            best_gain = gain;
            *ret_before = before;
            *ret_after = after;
        }
        add_sums(&before, &slots[i], 1);
        add_sums(&after, &slots[i], -1);
    }
    return best;
}

/* Before and after lie on different sides of the middle most of the time: a single bad hour is no
 * change, nor is what goes up and down. */
static bool is_lasting(const struct sums slots[PACE_SLOTS], size_t split, double middle)
{
    double n[2] = {0}, right[2] = {0};

    for (size_t i = 0; i < PACE_SLOTS; i++) {
        bool is_after = i >= split;
        n[is_after] += slots[i].n;
        if ((mean(&slots[i]) > middle) == is_after)
            right[is_after] += slots[i].n;
    }
    return right[0] >= steady_share * n[0] && right[1] >= steady_share * n[1];
}

static uint64_t cell_low(size_t cell)
{
    return cell ? (uint64_t)16 << cell : 0;
}

static uint64_t quantile(const uint64_t cells[PACE_CELLS], uint64_t count, double share,
                         uint64_t max_ms, uint64_t *ret_error)
{
    uint64_t sum = 0, target = (uint64_t)ceil((double)count * share);
    size_t cell = 0;

    while (cell + 1 < PACE_CELLS && sum + cells[cell] < target)
        sum += cells[cell++];
    uint64_t low = cell_low(cell), high = cell + 1 < PACE_CELLS ? cell_low(cell + 1) - 1 : max_ms;

    if (high > max_ms)
        high = max_ms;
    if (high < low)
        high = low;
    double within = cells[cell] ? (double)(target - sum) / (double)cells[cell] : 0;
    uint64_t value = low + (uint64_t)((double)(high - low) * within);

    *ret_error = value - low > high - value ? value - low : high - value;
    return value;
}

static struct pace_side make_side(const struct pace *p, size_t from, size_t to, uint64_t max_ms,
                                  double *ret_mean_ms)
{
    uint64_t cells[PACE_CELLS] = {0};
    struct pace_side side = {0};
    double sum = 0;

    for (size_t i = from; i < to; i++)
        for (size_t c = 0; c < PACE_CELLS; c++)
            cells[c] += p->cells[i][c];
    for (size_t c = 0; c < PACE_CELLS; c++) {
        side.count += cells[c];
        sum += (double)cells[c] * 1.5 * (double)(c ? cell_low(c) : 10);
    }
    side.p50_ms = quantile(cells, side.count, 0.5, max_ms, &side.p50_ms_error);
    side.p95_ms = quantile(cells, side.count, 0.95, max_ms, &side.p95_ms_error);
    *ret_mean_ms = side.count ? sum / (double)side.count : 0;
    return side;
}

static bool is_multiple(uint64_t before_ms, uint64_t after_ms)
{
    return after_ms >= SLOW_FROM_MS && (double)after_ms >= change_factor * (double)before_ms;
}

enum pace_verdict pace_judge(const struct pace *p, const struct pace_place *at, uint64_t max_ms,
                             struct pace_change *ret)
{
    struct sums slots[PACE_SLOTS], before, after;
    struct sums all = {0};

    for (size_t i = 0; i < PACE_SLOTS; i++) {
        sum_slot(p->cells[i], &slots[i]);
        add_sums(&all, &slots[i], 1);
    }
    if (all.n < 2 * SIDE_MIN || all.slots < 2 * SIDE_SLOTS)
        return PACE_UNKNOWN;
    size_t split = find_split(slots, &before, &after);

    if (split == 0)
        return PACE_STEADY;
    double rise = mean(&after) - mean(&before);

    if (rise < sure_errors * sqrt(mean_variance(&before) + mean_variance(&after)) ||
        !is_lasting(slots, split, (mean(&before) + mean(&after)) / 2))
        return PACE_STEADY;
    double before_ms, after_ms;

    *ret = (struct pace_change){.since_s = (at->first + (int64_t)split) * ((int64_t)1 << at->shift),
                                .seconds = (uint32_t)1 << (at->shift < 31 ? at->shift : 31)};
    ret->before = make_side(p, 0, split, max_ms, &before_ms);
    ret->after = make_side(p, split, PACE_SLOTS, max_ms, &after_ms);
    if (after_ms > before_ms)
        ret->added_ms = (uint64_t)((after_ms - before_ms) * (double)ret->after.count);
    bool has_tail = ret->before.count >= TAIL_MIN && ret->after.count >= TAIL_MIN;

    return is_multiple(ret->before.p50_ms, ret->after.p50_ms) ||
                   (has_tail && is_multiple(ret->before.p95_ms, ret->after.p95_ms))
               ? PACE_SLOWER
               : PACE_STEADY;
}

/* ---- many ---- */

void paces_init(struct paces *ps, uint32_t limit,
                void (*moved)(void *arg, uint32_t owner, uint32_t number), void *arg)
{
    *ps = (struct paces){.limit = limit ? limit : 1, .moved = moved, .arg = arg};
    /* Pages that nothing is written to cost nothing. */
    ps->map_size = (size_t)ps->limit * sizeof(struct pace);
    ps->map = mmap(NULL, ps->map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    INVARIANT(ps->map != MAP_FAILED);
    ps->at = ps->map;
    ps->owners = xcalloc(ps->limit, sizeof(*ps->owners));
    ps->firsts = xcalloc(ps->limit, sizeof(*ps->firsts));
}

void paces_fini(struct paces *ps)
{
    if (ps->map)
        munmap(ps->map, ps->map_size);
    free(ps->owners);
    free(ps->firsts);
    *ps = (struct paces){0};
}

void paces_set_place(struct paces *ps, struct pace_open *open, struct pace_place place)
{
    open->shift = place.shift & 63u;
    ps->firsts[open->number - 1] = place.first;
}

void paces_flush(struct paces *ps, struct pace_open *open, uint32_t line[PACE_CELLS])
{
    uint32_t *cells = paces_get(ps, open)->cells[open->slot - ps->firsts[open->number - 1]];

    for (size_t c = 0; c < PACE_CELLS; c++) {
        cells[c] += line[c];
        line[c] = 0;
    }
}

void paces_turn(struct paces *ps, struct pace_open *open, uint32_t line[PACE_CELLS], int64_t time_s)
{
    paces_flush(ps, open, line);
    struct pace_place place = paces_place(ps, open);

    if ((uint64_t)((time_s >> place.shift) - place.first) >= PACE_SLOTS) {
        pace_fit(paces_get(ps, open), &place, time_s);
        paces_set_place(ps, open, place);
    }
    open->slot = (int32_t)(time_s >> place.shift);
}

static void keep(struct paces *ps, uint32_t from, uint32_t owner, uint32_t *n)
{
    if (from != *n) {
        ps->at[*n] = ps->at[from];
        ps->firsts[*n] = ps->firsts[from];
    }
    ps->owners[*n] = owner;
    ps->moved(ps->arg, owner, ++*n);
}

/* About the time that all its requests took. */
static uint64_t cost(const struct pace *p)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < PACE_SLOTS; i++)
        for (size_t c = 0; c < PACE_CELLS; c++)
            sum += (uint64_t)p->cells[i][c] << c;
    return sum;
}

static int by_size(const void *pa, const void *pb)
{
    uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

    return a < b ? -1 : a > b;
}

static void forget(struct paces *ps)
{
    uint64_t *costs = xcalloc(2 * (size_t)ps->n, sizeof(*costs)), *sorted = costs + ps->n;
    uint32_t n = 0;

    for (uint32_t i = 0; i < ps->n; i++)
        sorted[i] = costs[i] = cost(&ps->at[i]);
    qsort(sorted, ps->n, sizeof(*sorted), by_size);
    uint64_t floor = sorted[ps->n / 2];

    for (uint32_t i = 0; i < ps->n; i++) {
        if (costs[i] > floor)
            keep(ps, i, ps->owners[i], &n);
        else
            ps->moved(ps->arg, ps->owners[i], 0);
    }
    free(costs);
    ps->n = n;
    ps->has_forgotten = true;
}

void paces_new(struct paces *ps, uint32_t owner, int64_t time_s, struct pace_open *ret)
{
    if (paces_is_full(ps))
        forget(ps);
    ps->at[ps->n] = (struct pace){0};
    ps->firsts[ps->n] = (int32_t)(time_s >> PACE_SHIFT_MIN);
    ps->owners[ps->n++] = owner;
    *ret = (struct pace_open){
        .number = ps->n & 0x3FFFFFFu, .shift = PACE_SHIFT_MIN, .slot = ps->firsts[ps->n - 1]};
}

void paces_renumber(struct paces *ps, const uint32_t *map)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < ps->n; i++)
        if (map[ps->owners[i]] != UINT32_MAX)
            keep(ps, i, map[ps->owners[i]], &n);
    ps->n = n;
}
