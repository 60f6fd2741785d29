/* Whether a URL became slower: the figures, and the judgement. */
#include "diagnose/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/poison.h"

#define START INT64_C(1773129600) /* 2026-03-10 08:00:00 */

struct url {
    struct pace pace;
    struct pace_place at;
    bool has_any;
};

static void add(struct url *u, int64_t time_s, uint64_t ms)
{
    if (!u->has_any)
        u->at = (struct pace_place){PACE_SHIFT_MIN, (int32_t)(time_s >> PACE_SHIFT_MIN)};
    u->has_any = true;
    if ((uint64_t)((time_s >> u->at.shift) - u->at.first) >= PACE_SLOTS)
        pace_fit(&u->pace, &u->at, time_s);
    u->pace.cells[(time_s >> u->at.shift) - u->at.first][pace_cell(ms)]++;
}

static uint64_t total(const struct pace *p)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < PACE_SLOTS; i++)
        for (size_t c = 0; c < PACE_CELLS; c++)
            sum += p->cells[i][c];
    return sum;
}

/* Numbers that look random and are always the same. */
static uint32_t draw(uint32_t *state, uint32_t n)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % n;
}

static enum pace_verdict judge(const struct url *u, struct pace_change *c)
{
    return pace_judge(&u->pace, &u->at, 60000, c);
}

static void test_step(void **state)
{
    struct url u = {0};
    struct pace_change c;

    for (int i = 0; i < 400; i++)
        add(&u, START + i * 60, i < 250 ? 60 + (uint64_t)i % 30 : 3000 + (uint64_t)i);
    assert_int_equal(judge(&u, &c), PACE_SLOWER);
    assert_true(c.since_s <= START + 250 * 60 && c.since_s + c.seconds > START + 250 * 60);
    assert_in_range(c.before.count, 230, 250);
    assert_int_equal(c.before.count + c.after.count, 400);
    assert_in_range(c.before.p50_ms, 60, 90);
    assert_true(c.after.p50_ms + c.after.p50_ms_error >= 3250 &&
                c.after.p50_ms <= 3400 + c.after.p50_ms_error);
    assert_in_range(c.added_ms, 150u * 1500, 150u * 6000);
}

/* Only one request in ten is slow since then: the percentile tells, the median does not. */
static void test_tail(void **state)
{
    struct url u = {0};
    struct pace_change c;

    for (int i = 0; i < 6000; i++)
        add(&u, START + i * 10, i > 3000 && i % 10 == 0 ? 5000 : 40);
    assert_int_equal(judge(&u, &c), PACE_SLOWER);
    assert_in_range(c.since_s, START + 3000 * 10 - c.seconds, START + 3000 * 10 + c.seconds);
    assert_true(c.before.p95_ms < 64 && c.after.p95_ms > 4000);
    assert_true(c.after.p50_ms < 64);
}

static void test_steady(void **state)
{
    struct pace_change c;
    uint32_t seed = 7;

    for (int round = 0; round < 200; round++) {
        struct url u = {0};
        for (int i = 0; i < 300; i++)
            add(&u, START + i * 97, 10u << draw(&seed, 10));
        assert_int_equal(judge(&u, &c), PACE_STEADY);
    }
    struct url slow = {0}, faster = {0}, small = {0};

    for (int i = 0; i < 400; i++) {
        add(&slow, START + i * 60, 9000);
        add(&faster, START + i * 60, i < 200 ? 5000 : 100);
        add(&small, START + i * 60, i < 200 ? 5 : 90); /* twice as long, and still nothing */
    }
    assert_int_equal(judge(&slow, &c), PACE_STEADY);
    assert_int_equal(judge(&faster, &c), PACE_STEADY);
    assert_int_equal(judge(&small, &c), PACE_STEADY);
}

/* Bad hours that pass, and ups and downs, are no change. */
static void test_passing(void **state)
{
    struct url hour = {0}, waves = {0};
    struct pace_change c;

    for (int i = 0; i < 1440; i++) {
        add(&hour, START + i * 60, i >= 600 && i < 660 ? 8000 : 50);
        add(&waves, START + i * 60, i / 200 % 2 ? 3000 : 50);
    }
    assert_int_equal(judge(&hour, &c), PACE_STEADY);
    assert_int_equal(judge(&waves, &c), PACE_STEADY);
}

static void test_too_few(void **state)
{
    struct url few = {0}, at_once = {0};
    struct pace_change c;

    for (int i = 0; i < 30; i++)
        add(&few, START + i * 600, i < 15 ? 50 : 9000);
    for (int i = 0; i < 1000; i++)
        add(&at_once, START + i / 500, i < 500 ? 50 : 9000);
    assert_int_equal(judge(&few, &c), PACE_UNKNOWN);
    assert_int_equal(judge(&at_once, &c), PACE_UNKNOWN);
}

/* Nothing but the times decides: not the order, nor how they were spread over threads. */
static void test_order_and_merge(void **state)
{
    enum { N = 3000 };
    struct url forward = {0}, backward = {0}, parts[3] = {0};
    uint32_t seed = 1;
    int64_t times[N];

    for (int i = 0; i < N; i++)
        times[i] = START + i * 40 + draw(&seed, 3000);
    for (int i = 0; i < N; i++) {
        add(&forward, times[i], (uint64_t)i);
        add(&backward, times[N - 1 - i], (uint64_t)(N - 1 - i));
        add(&parts[i / 100 % 3], times[i], (uint64_t)i);
    }
    pace_merge(&parts[1].pace, &parts[1].at, &parts[2].pace, &parts[2].at);
    pace_merge(&parts[0].pace, &parts[0].at, &parts[1].pace, &parts[1].at);
    assert_int_equal(total(&forward.pace), N);
    assert_memory_equal(&forward.pace, &backward.pace, sizeof(forward.pace));
    assert_memory_equal(&forward.pace, &parts[0].pace, sizeof(forward.pace));
    assert_memory_equal(&forward.at, &parts[0].at, sizeof(forward.at));
    assert_memory_equal(&forward.at, &backward.at, sizeof(forward.at));
}

static void test_any_time(void **state)
{
    static const int64_t times[] = {0, 1, -1, START, -INT64_C(62135596800), INT64_C(100000000000)};
    struct url u = {0};

    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        assert_true(pace_takes(times[i]));
        for (int k = 0; k < 100; k++)
            add(&u, times[i] + k * 1000, UINT64_MAX >> (k % 64));
    }
    assert_int_equal(total(&u.pace), 600);
    assert_false(pace_takes(INT64_C(253402300799))); /* the year 9999 */
    assert_false(pace_takes(INT64_MIN));
}

/* ---- many ---- */

enum { OWNERS = 64 };

static struct owner {
    struct pace_open open;
    uint32_t line[PACE_CELLS];
} owned[OWNERS];

static void moved(void *arg, uint32_t owner, uint32_t number)
{
    assert_ptr_equal(arg, owned);
    owned[owner].open.number = number & 0x3FFFFFFu;
    if (number == 0)
        memset(owned[owner].line, 0, sizeof(owned[owner].line));
}

static void count(struct paces *ps, uint32_t owner, int64_t time_s, uint64_t ms)
{
    struct owner *o = &owned[owner];

    for (size_t i = 0; i < OWNERS && o->open.number == 0 && paces_is_full(ps); i++)
        if (owned[i].open.number)
            paces_flush(ps, &owned[i].open, owned[i].line);
    if (o->open.number == 0)
        paces_new(ps, owner, time_s, &o->open);
    paces_add(ps, &o->open, o->line, time_s, ms);
}

/* Those that cost much stay, with what was counted for them. */
static void test_forgets(void **state)
{
    struct paces ps;
    uint32_t map[OWNERS];

    memset(owned, 0, sizeof(owned));
    paces_init(&ps, 16, moved, owned);
    for (uint32_t i = 0; i < 40000; i++)
        count(&ps, i % OWNERS, START + i, i % OWNERS < 4 ? 5000 : 10);
    assert_true(ps.has_forgotten && ps.n <= 16);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_not_equal(owned[i].open.number, 0);
        paces_flush(&ps, &owned[i].open, owned[i].line);
        assert_int_equal(total(paces_get(&ps, &owned[i].open)), 40000 / OWNERS);
    }
    for (uint32_t i = 0; i < OWNERS; i++)
        map[i] = i == 2 ? UINT32_MAX : i + (i < OWNERS / 2 ? 1 : 0);
    map[3] = 50;
    struct pace third = *paces_get(&ps, &owned[3].open);
    struct pace_place place = paces_place(&ps, &owned[3].open), after;

    owned[50] = owned[3];
    paces_renumber(&ps, map);
    assert_memory_equal(paces_get(&ps, &owned[50].open), &third, sizeof(third));
    after = paces_place(&ps, &owned[50].open);
    assert_memory_equal(&after, &place, sizeof(place));
    paces_fini(&ps);
}

/* Counting by lines gives what counting one by one does, in whatever order times come. */
static void test_lines(void **state)
{
    struct paces ps;
    struct url one = {0};
    uint32_t seed = 3;

    memset(owned, 0, sizeof(owned));
    paces_init(&ps, 4, moved, owned);
    for (int i = 0; i < 20000; i++) {
        int64_t time_s = START + i * 7 - draw(&seed, i % 50 ? 60 : 50000);
        uint64_t ms = draw(&seed, 9000);
        count(&ps, 0, time_s, ms);
        add(&one, time_s, ms);
    }
    paces_flush(&ps, &owned[0].open, owned[0].line);
    struct pace_place at = paces_place(&ps, &owned[0].open);

    assert_memory_equal(paces_get(&ps, &owned[0].open), &one.pace, sizeof(one.pace));
    assert_memory_equal(&at, &one.at, sizeof(at));
    paces_fini(&ps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step),     cmocka_unit_test(test_tail),
        cmocka_unit_test(test_steady),   cmocka_unit_test(test_passing),
        cmocka_unit_test(test_too_few),  cmocka_unit_test(test_order_and_merge),
        cmocka_unit_test(test_any_time), cmocka_unit_test(test_forgets),
        cmocka_unit_test(test_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
