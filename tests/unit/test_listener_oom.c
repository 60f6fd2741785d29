/* Memory that cannot be had while a connection is served costs that connection, not the listener;
 * and a walk over connections in which each may end others. calloc and malloc are the linker's
 * __wrap_ ones here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults_fixture.h"
#include "http/proxy_protocol.h"
#include "listener/connection.h"
#include "listener/shared.h"
#include "listener/stream.h"
#include "listener/thread.h"

/* The size that is refused once; 1: the next one of whatever size. */
static _Atomic size_t refused_size;

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t size);

static bool is_refused(size_t n)
{
    size_t wanted = atomic_load(&refused_size);

    return wanted && (wanted == 1 || wanted == n) &&
           atomic_compare_exchange_strong(&refused_size, &wanted, 0);
}

void *__wrap_malloc(size_t n)
{
    return is_refused(n) ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused(count * size) ? NULL : __real_calloc(count, size);
}

static void still_serves(struct fake_worker *w)
{
    int c = client_connect(faults.port);

    client_send(c, "GET /still HTTP/1.1\r\nHost: a\r\n\r\n");
    worker_answer(w, faults_take(w, "/still"), 200, "", "y", 0, 0, true);
    client_read_until(c, faults.text, sizeof(faults.text), "\r\n\r\ny");
    close(c);
    faults_nothing_is_left();
}

static void no_memory_to_read_a_balancers_header(void **state)
{
    fixture_generation(&(struct fixture_options){.proxy_trusted = "127.0.0.0/8"});
    fixture_settle();
    atomic_store(&refused_size, sizeof(struct proxy_parser));
    int c = client_connect(faults.port);

    assert_true(client_closed(c));
    assert_int_equal(atomic_load(&refused_size), 0);
    close(c);
    fixture_generation(&(struct fixture_options){0});
    fixture_settle();
    still_serves(*state);
}

/* The limit is not left out instead. */
static void no_memory_to_throttle(void **state)
{
    struct fake_worker *w = *state;

    fixture_generation(&(struct fixture_options){.max_bandwidth = 1 << 20});
    fixture_settle();
    int c = client_connect(faults.port);

    client_send(c, "GET /throttled HTTP/1.1\r\nHost: a\r\n\r\n");
    uint64_t id = faults_take(w, "/throttled");
    atomic_store(&refused_size, 1);
    worker_answer(w, id, 200, "", "never", 0, 0, true);
    assert_true(client_closed(c));
    assert_int_equal(atomic_load(&refused_size), 0);
    faults_expect_abort(w, id);
    close(c);
    faults_nothing_is_left();
    fixture_generation(&(struct fixture_options){0});
    fixture_settle();
    still_serves(w);
}

/* --- walks --- */

static struct connection *make_connection(struct thread *t, int state_of)
{
    struct connection *c = __real_calloc(1, sizeof(*c));

    c->thread = t;
    c->io.fd = -1;
    c->out_end = &c->out;
    c->state = (uint8_t)state_of;
    c->next = t->connections;
    c->prev = &t->connections;
    if (c->next)
        c->next->prev = &c->next;
    t->connections = c;
    t->n_connections++;
    return c;
}

static struct connection *victim;

static void end_another(struct connection *c)
{
    if (victim)
        conn_close(victim);
    victim = NULL;
}

static void a_walk_survives_what_it_ends(void **state)
{
    static const struct carrier_ops ops = {.finish = end_another};
    static struct listener l;
    static struct thread t;

    for (int after = 0; after < 2; after++) { /* the victim is the next one, or the one after */
        t = (struct thread){.listener = &l};
        l.connections = 4;
        for (int i = 0; i < 4; i++)
            make_connection(&t, i < 3 ? C_READING : C_BUSY);
        struct connection *first = t.connections;
        first->carrier = &ops;
        victim = after ? first->next->next : first->next;
        conn_drop_idle(&t);
        assert_int_equal(t.n_connections, 1);
        assert_ptr_equal(t.connections, first);
        assert_null(first->next);
        first->carrier = NULL;
        conn_close(first);
        assert_int_equal(t.n_connections, 0);
        conn_bury(&t);
        while (t.free_connections) {
            struct connection *c = t.free_connections;
            t.free_connections = c->next;
            free(c);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory_to_read_a_balancers_header),
        cmocka_unit_test(no_memory_to_throttle),
        cmocka_unit_test(a_walk_survives_what_it_ends),
    };

    return cmocka_run_group_tests(tests, faults_set_up, faults_tear_down);
}
