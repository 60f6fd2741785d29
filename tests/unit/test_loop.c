/* The event loop: timers in order, sources that go while their event waits, wakes that are not lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/rc.h"
#include "stopwatch.h"

enum { TIMERS = 200 };

struct timer {
    struct loop_timer t;
    uint64_t *fired;
    unsigned *n;
};

static void on_time(struct loop_timer *t)
{
    struct timer *me = CONTAINER_OF(t, struct timer, t);

    me->fired[(*me->n)++] = t->at_ms;
}

static void timers_fire_in_order_and_only_if_armed(void **state)
{
    struct loop *l = loop_new();
    struct timer timers[TIMERS];
    uint64_t fired[TIMERS], now = loop_now_ms(l);
    unsigned n = 0, armed = 0;

    for (unsigned i = 0; i < TIMERS; i++) {
        timers[i] = (struct timer){.t.on_time = on_time, .fired = fired, .n = &n};
        loop_timer_set(l, &timers[i].t, now + i * 7919 % 20);
    }
    for (unsigned i = 0; i < TIMERS; i += 3)
        loop_timer_clear(l, &timers[i].t);
    for (unsigned i = 1; i < TIMERS; i += 3)
        loop_timer_set(l, &timers[i].t, now + i * 31 % 20); /* moved, both ways */
    for (unsigned i = 0; i < TIMERS; i++)
        armed += timers[i].t.heap_index != 0;
    for (uint64_t until = now + PATIENCE_MS; n < armed && clock_mono_ms() < until;)
        loop_turn(l, 5);
    while (clock_mono_ms() < now + 25)
        loop_turn(l, 5); /* none of the others */
    assert_int_equal(n, armed);
    for (unsigned i = 1; i < n; i++)
        assert_true(fired[i - 1] <= fired[i]);
    loop_free(l);
}

struct source {
    struct loop_io io;
    struct loop *loop;
    struct source *other;
    unsigned calls;
};

static void take_out_the_other(struct loop_io *io, uint32_t events)
{
    struct source *me = CONTAINER_OF(io, struct source, io);

    me->calls++;
    loop_io_set(me->loop, &me->other->io, 0);
    loop_io_set(me->loop, &me->io, 0);
}

static void a_source_taken_out_is_not_called_any_more(void **state)
{
    struct loop *l = loop_new();
    struct source a = {.loop = l, .other = NULL}, b = {.loop = l, .other = &a};

    a.other = &b;
    a.io = (struct loop_io){.on_event = take_out_the_other, .fd = eventfd(1, EFD_NONBLOCK)};
    b.io = (struct loop_io){.on_event = take_out_the_other, .fd = eventfd(1, EFD_NONBLOCK)};
    assert_true(loop_io_set(l, &a.io, EPOLLIN));
    assert_true(loop_io_set(l, &b.io, EPOLLIN));
    loop_turn(l, 100); /* both are ready in the same turn */
    assert_int_equal(a.calls + b.calls, 1);
    close(a.io.fd);
    close(b.io.fd);
    loop_free(l);
}

struct in_hook {
    struct loop *loop;
    struct source *victim;
};

static void hook_takes_out(void *arg)
{
    struct in_hook *h = arg;

    loop_io_set(h->loop, &h->victim->io, 0);
}

static void the_hook_after_the_wait_may_take_out_sources(void **state)
{
    struct loop *l = loop_new();
    struct source a = {.loop = l, .other = &a};
    struct in_hook h = {l, &a};

    a.io = (struct loop_io){.on_event = take_out_the_other, .fd = eventfd(1, EFD_NONBLOCK)};
    assert_true(loop_io_set(l, &a.io, EPOLLIN));
    loop_set_hooks(l, (struct loop_hooks){.after_wait = hook_takes_out, .arg = &h});
    loop_turn(l, 100);
    assert_int_equal(a.calls, 0);
    close(a.io.fd);
    loop_free(l);
}

struct late {
    struct loop *loop;
    unsigned looked;
};

/* Another thread announces something just after the hook has looked. */
static void look_too_early(void *arg)
{
    struct late *late = arg;

    if (late->looked++ == 0)
        loop_wake(late->loop);
}

static void a_wake_after_the_look_ends_the_next_wait(void **state)
{
    struct late late = {.loop = loop_new()};

    loop_set_hooks(late.loop, (struct loop_hooks){.after_wait = look_too_early, .arg = &late});
    loop_wake(late.loop);
    loop_turn(late.loop, 5000);
    struct stopwatch watch = stopwatch_start();

    loop_turn(late.loop, 5000);
    assert_int_equal(late.looked, 2);
    assert_true(stopwatch_ms(&watch) < 2500);
    loop_free(late.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_and_only_if_armed),
        cmocka_unit_test(a_source_taken_out_is_not_called_any_more),
        cmocka_unit_test(the_hook_after_the_wait_may_take_out_sources),
        cmocka_unit_test(a_wake_after_the_look_ends_the_next_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
