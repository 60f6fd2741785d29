/* Throttling against a clock that the test turns. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rc.h"
#include "listener/bandwidth.h"
#include "base/poison.h"

enum { CONNECTIONS_MAX = 64, SECONDS = 10 };

static const uint64_t large = UINT64_C(1) << 50;

/* Some connections with endless downloads; each asks when it is due, late_ms later than it
 * might. */
struct crowd {
    struct bandwidth_share shares[CONNECTIONS_MAX];
    uint64_t sent[CONNECTIONS_MAX], at[CONNECTIONS_MAX];
    size_t n;
    uint64_t late_ms;
    uint64_t asked;
};

static void join(struct crowd *c, struct bandwidth *site, struct bandwidth *global, uint64_t now)
{
    c->shares[c->n] = (struct bandwidth_share){.site = site, .global = global};
    c->at[c->n++] = now;
}

static void serve(struct crowd *c, size_t i, uint64_t now)
{
    uint64_t n;

    while ((n = bandwidth_take(&c->shares[i], large, now)) > 0) {
        c->sent[i] += n;
        c->asked++;
    }
    c->asked++;
    assert_true(c->shares[i].at_ms > now); /* or it would be asked again and again */
    c->at[i] = c->shares[i].at_ms + c->late_ms;
}

static void run(struct crowd *c, uint64_t from, uint64_t to)
{
    for (uint64_t now = from; now < to; now++)
        for (size_t i = 0; i < c->n; i++)
            if (c->at[i] <= now)
                serve(c, i, now);
}

static uint64_t total(const struct crowd *c)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < c->n; i++)
        sum += c->sent[i];
    return sum;
}

static void assert_near(uint64_t got, uint64_t want, unsigned percent)
{
    uint64_t off = want / 100 * percent;

    if (got < want - off || got > want + off)
        fail_msg("%llu instead of %llu", (unsigned long long)got, (unsigned long long)want);
}

static void the_rate_is_kept(void **state)
{
    static const struct {
        uint32_t rate;
        size_t connections;
        uint64_t late_ms, start_ms;
    } rows[] = {
        {1024, 1, 0, 0},
        {1024, 3, 0, 77},
        {10000, 2, 1, 5000},
        {100000, 64, 0, 5000},
        {1000000, 1, 0, 5000},
        {1000000, 1, 9, 5000},
        {1000000, 7, 3, 5000},
        {123456789, 5, 0, 5000},
        {UINT32_MAX - 1, 1, 0, 5000},
        {UINT32_MAX - 1, 64, 2, 5000},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct crowd c = {.late_ms = rows[i].late_ms};
        struct bandwidth b;
        uint64_t start = rows[i].start_ms;

        bandwidth_init(&b, rows[i].rate, start);
        for (size_t k = 0; k < rows[i].connections; k++)
            join(&c, &b, NULL, start);
        run(&c, start, start + 2000); /* what an idle limit saves up goes first */
        uint64_t before = total(&c);
        run(&c, start + 2000, start + 2000 + SECONDS * 1000);
        assert_near(total(&c) - before, (uint64_t)rows[i].rate * SECONDS,
                    rows[i].rate < 2048 ? 15 : 2); /* a turn is a second's worth there */
        /* In all never more than the rate, what was saved up, and a turn for each. */
        assert_true(total(&c) <= (uint64_t)rows[i].rate * (SECONDS + 2) + b.slack +
                                     b.quantum * rows[i].connections);
    }
}

static void turns_go_round(void **state)
{
    struct crowd c = {0};
    struct bandwidth b;

    bandwidth_init(&b, 500000, 0);
    for (size_t k = 0; k < 20; k++)
        join(&c, &b, NULL, 1000);
    run(&c, 1000, 2000); /* the first comer has what was saved up */
    struct crowd before = c;

    run(&c, 2000, 12000);
    for (size_t k = 0; k < c.n; k++)
        assert_near(c.sent[k] - before.sent[k], 10 * 500000 / c.n, 5);
}

static void a_latecomer_gets_its_share(void **state)
{
    struct crowd c = {0};
    struct bandwidth b;

    bandwidth_init(&b, 500000, 0);
    for (size_t k = 0; k < 9; k++)
        join(&c, &b, NULL, 0);
    run(&c, 0, 5000);
    join(&c, &b, NULL, 5000);
    uint64_t before = total(&c);

    run(&c, 5000, 15000);
    assert_near(c.sent[9], (total(&c) - before) / 10, 5);
}

static void nobody_asks_in_vain(void **state)
{
    struct crowd c = {0};
    struct bandwidth b;

    bandwidth_init(&b, 100000, 0);
    for (size_t k = 0; k < 50; k++)
        join(&c, &b, NULL, 0);
    run(&c, 0, 10000);
    assert_true(c.asked <= 2 * (total(&c) / b.quantum) + 2 * c.n);
}

static void the_narrower_limit_rules(void **state)
{
    struct bandwidth site, global;
    struct crowd c = {0};

    bandwidth_init(&site, 50000, 0);
    bandwidth_init(&global, 400000, 0);
    join(&c, &site, &global, 0);
    join(&c, NULL, &global, 0); /* of a site without a limit */
    run(&c, 0, 2000);
    uint64_t limited = c.sent[0], other = c.sent[1];

    run(&c, 2000, 12000);
    assert_near(c.sent[0] - limited, 500000, 5);
    assert_near(c.sent[1] - other, 3500000, 5); /* what the other cannot use is not lost */
}

static void small_answers_pass_while_large_ones_wait(void **state)
{
    struct crowd c = {0};
    struct bandwidth b;
    uint64_t small = 0;

    bandwidth_init(&b, 1000000, 0);
    for (size_t k = 0; k < 4; k++)
        join(&c, &b, NULL, 0);
    for (uint64_t now = 0; now < 12000; now++) {
        run(&c, now, now + 1);
        if (now % 10)
            continue;
        struct bandwidth_share s = {.site = &b};
        assert_int_equal(bandwidth_take(&s, 1500, now), 1500);
        small += 1500;
    }
    /* They go first, but they count. */
    assert_near(total(&c) + small, 12 * 1000000, 4);
}

static void many_small_answers_are_throttled_too(void **state)
{
    struct bandwidth b;
    uint64_t sent = 0;

    bandwidth_init(&b, 100000, 0);
    for (uint64_t now = 0; now < 10000; now++)
        for (unsigned i = 0; i < 10; i++) {
            struct bandwidth_share s = {.site = &b};
            sent += bandwidth_take(&s, 1500, now);
            bandwidth_leave(&s);
        }
    assert_near(sent, 1000000, 8); /* with what an idle limit saves up, and may go ahead */
}

static void parts_of_a_large_answer_are_not_small_ones(void **state)
{
    struct bandwidth b;
    struct bandwidth_share s = {.site = &b};
    uint64_t at_once = 0, n;

    bandwidth_init(&b, 100000, 0);
    while ((n = bandwidth_take(&s, 1000, 0)) > 0)
        at_once += n;
    assert_true(at_once <= b.slack + b.small + 1000);
    assert_true(s.at_ms > 0);
}

static void what_was_not_sent_is_not_counted(void **state)
{
    struct bandwidth b;
    struct bandwidth_share s = {.site = &b};

    bandwidth_init(&b, 100000, 0);
    uint64_t before = atomic_load(&b.spent), n = bandwidth_take(&s, large, 1000);

    assert_int_equal(n, b.quantum);
    bandwidth_give_back(&s, n);
    uint64_t after = atomic_load(&b.spent);

    assert_true(after != before); /* it stands where the line begins at that time */
    assert_int_equal(bandwidth_take(&s, large, 1000), n);
    assert_int_equal(atomic_load(&b.spent), after + n);
    while (bandwidth_take(&s, large, 1000) > 0)
        ;
    uint64_t waiting = atomic_load(&b.spent);

    assert_int_equal(s.reserved, n);
    bandwidth_leave(&s); /* the client went away */
    assert_int_equal(atomic_load(&b.spent), waiting - n);
    assert_int_equal(s.reserved, 0);
}

static void less_may_be_wanted_than_was_reserved(void **state)
{
    struct bandwidth b;
    struct bandwidth_share s = {.site = &b};

    bandwidth_init(&b, 1000000, 0);
    while (bandwidth_take(&s, large, 0) > 0)
        ;
    uint64_t spent = atomic_load(&b.spent);

    assert_int_equal(bandwidth_take(&s, 10, s.at_ms), 10);
    assert_int_equal(atomic_load(&b.spent), spent - b.quantum + 10);
}

static void the_clock_may_be_anywhere(void **state)
{
    static const uint64_t starts[] = {0, UINT32_MAX - 500, UINT64_MAX / 2 - 500,
                                      UINT64_MAX - 5000};

    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        struct bandwidth b;
        struct bandwidth_share s = {.site = &b};
        uint64_t sent = 0, n;

        bandwidth_init(&b, 1000000, starts[i]);
        /* Forty days later: the position has long passed 32 bits. A thread's clock is 3 ms
         * behind. */
        uint64_t begin = i < 3 ? starts[i] + UINT64_C(40) * 86400000 : starts[i];
        for (uint64_t k = 0; k < 4000; k++)
            while ((n = bandwidth_take(&s, large, begin + k - (k % 2 ? 0 : 3))) > 0)
                sent += n;
        assert_near(sent, 4000000, 9);
    }
}

static void after_a_century_at_full_rate(void **state)
{
    const uint64_t year = UINT64_C(365) * 86400000;
    struct bandwidth b;
    struct bandwidth_share s = {.site = &b};
    uint64_t sent = 0, n;

    bandwidth_init(&b, UINT32_MAX - 1, 0);
    for (uint64_t now = 0; now < 140 * year; now += year) { /* the position runs over in the 137th */
        assert_int_equal(bandwidth_take(&s, 1000, now), 1000);
        s.given = 0;
    }
    for (uint64_t k = 0; k < 1000; k++)
        while ((n = bandwidth_take(&s, large, 140 * year + k)) > 0)
            sent += n;
    assert_near(sent, UINT64_C(4294967294) * 5 / 4, 3); /* and what a year has saved up: 250 ms */
}

static void no_limit_no_wait(void **state)
{
    struct bandwidth_share s = {0};

    assert_false(bandwidth_limits(&s));
    assert_int_equal(bandwidth_take(&s, large, 5), large);
    bandwidth_give_back(&s, large);
    bandwidth_leave(&s);
}

/* ---- threads -------------------------------------------------------------------------------- */

enum { THREADS = 3, TIME_MS = 3000 };

static struct bandwidth shared;
static _Atomic unsigned behind[TIME_MS + 1];

/* All threads walk through the same milliseconds, none more than one ahead. */
static void *download(void *arg)
{
    struct bandwidth_share s = {.site = &shared};
    uint64_t sent = 0, n;

    for (uint64_t now = 0; now < TIME_MS; now++) {
        while ((n = bandwidth_take(&s, large, now)) > 0)
            sent += n;
        atomic_fetch_add(&behind[now], 1);
        while (atomic_load(&behind[now]) < THREADS)
            ;
    }
    *(uint64_t *)arg = sent;
    return NULL;
}

static void threads_share_a_limit(void **state)
{
    pthread_t threads[THREADS];
    uint64_t sent[THREADS], sum = 0;

    bandwidth_init(&shared, 1000000, 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, download, &sent[i]), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        sum += sent[i];
    }
    assert_near(sum, 3000000, 4);
    for (unsigned i = 0; i < THREADS; i++)
        assert_near(sent[i], sum / THREADS, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_is_kept),
        cmocka_unit_test(turns_go_round),
        cmocka_unit_test(a_latecomer_gets_its_share),
        cmocka_unit_test(nobody_asks_in_vain),
        cmocka_unit_test(the_narrower_limit_rules),
        cmocka_unit_test(small_answers_pass_while_large_ones_wait),
        cmocka_unit_test(many_small_answers_are_throttled_too),
        cmocka_unit_test(parts_of_a_large_answer_are_not_small_ones),
        cmocka_unit_test(what_was_not_sent_is_not_counted),
        cmocka_unit_test(less_may_be_wanted_than_was_reserved),
        cmocka_unit_test(the_clock_may_be_anywhere),
        cmocka_unit_test(after_a_century_at_full_rate),
        cmocka_unit_test(no_limit_no_wait),
        cmocka_unit_test(threads_share_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
