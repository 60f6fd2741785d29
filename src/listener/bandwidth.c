/* A limit is a time line measured in bytes: at now_ms it has come to rate * (now - start). A turn
 * is the stretch from `spent` on, taken by moving `spent`; it begins when the line has come there.
 * What is behind the line's present minus `slack` is lost: an idle limit saves up no more than
 * that. */
#include "listener/bandwidth.h"

#include <stddef.h>

#include "base/rc.h"
#include "base/poison.h"

/* Positions may run over the end of 64 bits (after 136 years at full rate): they are compared by
 * their difference. */
static bool is_before(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

static uint64_t present(const struct bandwidth *b, uint64_t now_ms)
{
    uint64_t ms = now_ms - b->start_ms;

    /* A thread's clock may stand a little before the one that made the limit. */
    if ((int64_t)ms < 0)
        ms = 0;
    return ms / 1000 * b->rate + ms % 1000 * b->rate / 1000;
}

/* When the line comes to the position, which lies ahead. */
static uint64_t due_ms(const struct bandwidth *b, uint64_t position, uint64_t now_ms)
{
    uint64_t ahead = position - present(b, now_ms);

    return now_ms + ahead / b->rate * 1000 + (ahead % b->rate * 1000 + b->rate - 1) / b->rate;
}

static uint32_t within(uint64_t v, uint32_t min, uint32_t max)
{
    return v < min ? min : v > max ? max : (uint32_t)v;
}

void bandwidth_init(struct bandwidth *b, uint32_t rate, uint64_t now_ms)
{
    INVARIANT(rate > 0 && rate < BANDWIDTH_UNLIMITED);
    b->start_ms = now_ms;
    b->rate = rate;
    b->quantum = within(rate / 50, BANDWIDTH_QUANTUM_MIN, BANDWIDTH_QUANTUM_MAX);
    b->small = within(rate / 50, BANDWIDTH_SMALL_MIN, BANDWIDTH_SMALL_MAX);
    b->slack = within(rate / 4, 1, UINT32_MAX);
    atomic_init(&b->spent, 0);
}

/* Takes n bytes of the line; gives where they begin. */
static uint64_t reserve(struct bandwidth *b, uint64_t n, uint64_t now_ms)
{
    uint64_t floor = present(b, now_ms) - b->slack;
    uint64_t was = atomic_load_explicit(&b->spent, memory_order_relaxed), begin;

    do
        begin = is_before(was, floor) ? floor : was;
    while (!atomic_compare_exchange_weak_explicit(&b->spent, &was, begin + n, memory_order_relaxed,
                                                  memory_order_relaxed));
    return begin;
}

static void unreserve_both(struct bandwidth_share *s, uint64_t n)
{
    if (s->site && n)
        atomic_fetch_sub_explicit(&s->site->spent, n, memory_order_relaxed);
    if (s->global && n)
        atomic_fetch_sub_explicit(&s->global->spent, n, memory_order_relaxed);
}

/* The line is so little behind that a small answer may go ahead of the turns. */
static bool little_backlog(const struct bandwidth *b, uint64_t now_ms)
{
    uint64_t spent = atomic_load_explicit(&b->spent, memory_order_relaxed);

    return is_before(spent, present(b, now_ms) + b->slack);
}

static bool passes(const struct bandwidth *b, uint64_t answer, uint64_t now_ms)
{
    return !b || (answer <= b->small && little_backlog(b, now_ms));
}

/* The whole answer so far is a small one; parts of a large one are not. */
static bool is_small(const struct bandwidth_share *s, uint64_t want, uint64_t now_ms)
{
    uint64_t answer = want > UINT64_MAX - s->given ? UINT64_MAX : s->given + want;

    return passes(s->site, answer, now_ms) && passes(s->global, answer, now_ms);
}

/* Under two limits a turn is that of the wider one, or a connection with a narrow limit of its own
 * would fall behind in the round of all; but no more than what the narrow one may save up. */
static uint64_t turn_of(const struct bandwidth_share *s)
{
    if (!s->site)
        return s->global->quantum;
    if (!s->global || s->site->quantum >= s->global->quantum)
        return s->global ? s->global->quantum : s->site->quantum;
    if (s->site->slack <= s->site->quantum)
        return s->site->quantum;
    return s->site->slack < s->global->quantum ? s->site->slack : s->global->quantum;
}

/* Reserves under both limits; gives when the later of the two begins, 0 for at once. */
static uint64_t reserve_both(struct bandwidth_share *s, uint64_t n, uint64_t now_ms)
{
    struct bandwidth *limits[] = {s->site, s->global};
    uint64_t at = 0;

    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct bandwidth *b = limits[i];
        if (!b)
            continue;
        uint64_t begin = reserve(b, n, now_ms);
        if (!is_before(present(b, now_ms), begin))
            continue;
        uint64_t due = due_ms(b, begin, now_ms);
        if (due > at)
            at = due;
    }
    return at;
}

uint64_t bandwidth_take(struct bandwidth_share *s, uint64_t want, uint64_t now_ms)
{
    if (!bandwidth_limits(s) || want == 0)
        return want;
    if (!s->reserved) {
        bool small = is_small(s, want, now_ms);
        uint64_t turn = turn_of(s), n = small || want < turn ? want : turn;
        uint64_t at = reserve_both(s, n, now_ms);

        if (small || at == 0) {
            s->given += n;
            return n;
        }
        s->reserved = n;
        s->at_ms = at;
        return 0;
    }
    if (now_ms < s->at_ms)
        return 0;
    uint64_t n = s->reserved < want ? s->reserved : want;

    unreserve_both(s, s->reserved - n);
    s->reserved = 0;
    s->given += n;
    return n;
}

void bandwidth_give_back(struct bandwidth_share *s, uint64_t unsent)
{
    s->given -= unsent;
    unreserve_both(s, unsent);
}

void bandwidth_leave(struct bandwidth_share *s)
{
    unreserve_both(s, s->reserved);
    s->reserved = 0;
}
