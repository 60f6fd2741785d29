/* When memory that readers find without a lock is freed. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/quiescence.h"
#include "base/rc.h"
#include "base/poison.h"

static unsigned released;

static void count_release(struct quiescence_item *item)
{
    released++;
}

static void nothing_is_held_while_all_sleep(void **state)
{
    struct quiescence q;
    struct quiescence_item item;

    released = 0;
    quiescence_init(&q, 3);
    assert_int_equal(quiescence_reclaim(&q), 0);
    quiescence_retire(&q, &item, count_release);
    assert_int_equal(quiescence_reclaim(&q), 1);
    assert_int_equal(released, 1);
    assert_int_equal(q.n_pending, 0);
    quiescence_fini(&q);
}

static void one_that_works_holds_what_it_may_have_seen(void **state)
{
    struct quiescence q;
    struct quiescence_item early, late;

    released = 0;
    quiescence_init(&q, 2);
    quiescence_online(&q, 1);
    quiescence_retire(&q, &early, count_release);
    assert_int_equal(quiescence_reclaim(&q), 0);
    quiescence_pass(&q, 1);
    quiescence_retire(&q, &late, count_release);
    assert_int_equal(quiescence_reclaim(&q), 1); /* the early one */
    assert_int_equal(quiescence_reclaim(&q), 0);
    quiescence_online(&q, 0); /* came after both: holds neither */
    assert_int_equal(quiescence_reclaim(&q), 0);
    quiescence_offline(&q, 1);
    assert_int_equal(quiescence_reclaim(&q), 1);
    assert_int_equal(released, 2);
    quiescence_offline(&q, 0);
    quiescence_fini(&q);
}

static void a_pass_without_news_keeps_later_items(void **state)
{
    struct quiescence q;
    struct quiescence_item item;

    released = 0;
    quiescence_init(&q, 1);
    quiescence_online(&q, 0);
    quiescence_pass(&q, 0);
    quiescence_retire(&q, &item, count_release);
    assert_int_equal(quiescence_reclaim(&q), 0);
    quiescence_offline(&q, 0);
    quiescence_fini(&q); /* what is left goes with it */
    assert_int_equal(released, 1);
}

/* ---- threads -------------------------------------------------------------------------------- */

enum { READERS = 3, TURNS = 20000, LOOKS = 4, ALIVE = 0x600dc0de, DEAD = 0 };

struct thing {
    struct quiescence_item item;
    unsigned state;
};

static struct quiescence shared;
static _Atomic(struct thing *) current;
static _Atomic unsigned done;

static void release_thing(struct quiescence_item *item)
{
    struct thing *t = CONTAINER_OF(item, struct thing, item);

    t->state = DEAD;
    free(t);
    released++;
}

static struct thing *new_thing(void)
{
    struct thing *t = xcalloc(1, sizeof(*t));

    t->state = ALIVE;
    return t;
}

static void *read_things(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg, bad = 0;

    for (unsigned turn = 0; turn < TURNS; turn++) {
        quiescence_online(&shared, me);
        struct thing *held[LOOKS];
        for (unsigned i = 0; i < LOOKS; i++)
            held[i] = QUIESCENCE_LOAD(&current);
        for (unsigned i = 0; i < LOOKS; i++)
            bad += held[i]->state != ALIVE;
        if (turn % 3)
            quiescence_offline(&shared, me);
        else
            quiescence_pass(&shared, me); /* no sleep in this turn */
    }
    quiescence_offline(&shared, me);
    atomic_fetch_add(&done, 1);
    return (void *)(uintptr_t)bad;
}

static void what_readers_hold_is_alive(void **state)
{
    pthread_t readers[READERS];
    unsigned made = 1;

    released = 0;
    quiescence_init(&shared, READERS);
    atomic_store(&current, new_thing());
    for (uintptr_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_things, (void *)i), 0);
    while (atomic_load(&done) < READERS) {
        struct thing *old = atomic_load(&current);
        QUIESCENCE_STORE(&current, new_thing());
        made++;
        quiescence_retire(&shared, &old->item, release_thing);
        (void)quiescence_reclaim(&shared);
    }
    for (unsigned i = 0; i < READERS; i++) {
        void *bad;
        assert_int_equal(pthread_join(readers[i], &bad), 0);
        assert_null(bad);
    }
    quiescence_fini(&shared);
    assert_int_equal(released, made - 1);
    free(atomic_load(&current));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_held_while_all_sleep),
        cmocka_unit_test(one_that_works_holds_what_it_may_have_seen),
        cmocka_unit_test(a_pass_without_news_keeps_later_items),
        cmocka_unit_test(what_readers_hold_is_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
