/* Why a connection of HTTP/2 ends though its client goes on: where it came in, or what it was for,
 * is no more there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http2_fixture.h"
#include "stopwatch.h"

static void answer(struct h2_client *c, struct fake_worker *w, int32_t s, uint64_t id)
{
    worker_answer(w, id, 200, "", "here", MSGR_LENGTH, 4, true);
    assert_true(h2_until(c, h2_is_closed, s));
    assert_int_equal(h2_answer(c, s)->status, 200);
}

static struct h2_client *open_used(struct fake_worker *w)
{
    struct h2_client *c = h2_open(faults.port, false);
    int32_t s = h2_get(c, "/first");

    answer(c, w, s, http2_take_path(c, w, "/first"));
    return c;
}

static void expect_last(struct h2_client *c, int32_t last)
{
    assert_true(h2_until(c, h2_has_ended, 0));
    assert_true(c->goaway);
    assert_int_equal(c->goaway_error, NGHTTP2_NO_ERROR);
    assert_int_equal(c->goaway_last, last);
}

static void expect_to_stay(struct h2_client *c, struct fake_worker *w)
{
    for (int i = 0; i < 10; i++)
        h2_turn(c, 20);
    assert_false(c->goaway);
    int32_t s = h2_get(c, "/still");
    answer(c, w, s, http2_take_path(c, w, "/still"));
}

static void another_generation_changes_nothing(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = open_used(w);

    fixture_generation(&(struct fixture_options){.http2_cleartext = 1});
    expect_to_stay(c, w);
    h2_close(c);
}

static void without_the_binding_the_connection_ends(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *idle = open_used(w), *busy = open_used(w);
    int32_t s = h2_get(busy, "/second");
    uint64_t id = http2_take_path(busy, w, "/second");

    fixture_generation(&(struct fixture_options){.http2_cleartext = 1, .elsewhere = 1});
    expect_last(idle, 1);
    h2_close(idle);
    assert_true(h2_until(busy, h2_has_goaway, 0)); /* it is told, and its request goes on */
    assert_int_equal(busy->goaway_last, INT32_MAX);
    answer(busy, w, s, id);
    expect_last(busy, s);
    h2_close(busy);
    fixture_generation(&(struct fixture_options){.http2_cleartext = 1});
}

static void one_that_asks_on_and_on_is_ended_as_well(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = open_used(w);
    int32_t s = h2_get(c, "/long");
    uint64_t id = http2_take_path(c, w, "/long"), until = clock_mono_ms() + PATIENCE_MS;

    fixture_generation(&(struct fixture_options){.http2_cleartext = 1, .elsewhere = 1});
    assert_true(h2_until(c, h2_has_goaway, 0));
    while (c->goaways < 2 && clock_mono_ms() < until)
        h2_turn(c, 50);
    assert_int_equal(c->goaways, 2); /* which is the last stream, though one is under way */
    assert_int_equal(c->goaway_last, s);
    answer(c, w, s, id);
    expect_last(c, s);
    h2_close(c);
    fixture_generation(&(struct fixture_options){.http2_cleartext = 1});
}

/* The last test: there is no way back. */
static void without_the_endpoint_it_ends_too(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *idle = open_used(w), *unused = h2_open(faults.port, false);

    h2_turn(unused, 50);
    fixture_endpoint_remove();
    expect_last(idle, 1);
    expect_last(unused, 0);
    h2_close(idle);
    h2_close(unused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_generation_changes_nothing),
        cmocka_unit_test(without_the_binding_the_connection_ends),
        cmocka_unit_test(one_that_asks_on_and_on_is_ended_as_well),
        cmocka_unit_test(without_the_endpoint_it_ends_too),
    };

    return cmocka_run_group_tests(tests, http2_set_up, http2_tear_down);
}
