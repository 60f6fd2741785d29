/* What changes while requests are under way: limits, pool states, workers, generations, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "faults_fixture.h"
#include "stopwatch.h"

/* --- limits and states --- */

static void refused_connections_do_not_count(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options one = {.max_connections = 1};
    const char *get = "GET /conn HTTP/1.1\r\nHost: a\r\n\r\n";

    fixture_generation(&one);
    for (int tcp_level = 0; tcp_level < 2; tcp_level++) {
        if (tcp_level)
            fixture_pool_tcp_level("Started", "", 1000);
        fixture_settle();
        int first = client_connect(faults.port), second = client_connect(faults.port), third;
        client_send(first, get);
        worker_answer(w, faults_take(w, "/conn"), 200, "", "1", 0, 0, true);
        client_read_until(first, faults.text, sizeof(faults.text), "\r\n\r\n1");
        client_send(second, get);
        client_read_until(second, faults.text, sizeof(faults.text), "</HTML>");
        assert_true(tcp_level || strstr(faults.text, "503 Service Unavailable"));
        close(first);
        fixture_wait_connections(0);         /* that of the second, which lingers, is not counted */
        third = client_connect(faults.port); /* while the second still lingers */
        client_send(third, get);
        worker_answer(w, faults_take(w, "/conn"), 200, "", "3", 0, 0, true);
        client_read_until(third, faults.text, sizeof(faults.text), "\r\n\r\n3");
        assert_non_null(strstr(faults.text, "200 OK"));
        close(second);
        close(third);
        faults_nothing_is_left();
    }
    fixture_pool("Started", "", 1000);
    fixture_generation(&(struct fixture_options){0});
}

static void requests_of_a_dead_worker_of_a_stopped_pool_are_refused(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(faults.port);

    client_send(c, "GET /orphan HTTP/1.1\r\nHost: a\r\n\r\n");
    client_wait_read(c); /* in the ring now */
    fixture_pool("Stopped", "AppOffline", 1000);
    fixture_settle();
    fixture_worker_gone(w);
    client_read_until(c, faults.text, sizeof(faults.text), "</HTML>");
    assert_non_null(strstr(faults.text, "503 Service Unavailable"));
    faults_expect_line("GET /orphan - 503 1 AppOffline P");
    close(c);
    fixture_pool("Started", "", 1000);
    fixture_settle();
    fixture_attach(w);
    faults_nothing_is_left();
}

static void a_drained_worker_reports_when_it_is_empty(void **state)
{
    struct fake_worker *w = *state;
    struct fake_worker next;
    int c = client_connect(faults.port), d = client_connect(faults.port);

    client_send(c, "GET /old HTTP/1.1\r\nHost: a\r\n\r\n");
    client_wait_read(c);
    fixture_drain(w);
    fixture_attach(&next);
    fixture_settle();
    client_send(d, "GET /new HTTP/1.1\r\nHost: a\r\n\r\n");
    worker_answer(&next, faults_take(&next, "/new"), 200, "", "new", 0, 0, true);
    client_read_until(d, faults.text, sizeof(faults.text), "\r\n\r\nnew");
    worker_answer(w, faults_take(w, "/old"), 200, "", "old", 0, 0, true);
    client_read_until(c, faults.text, sizeof(faults.text), "\r\n\r\nold");
    fixture_expect("worker_drained");
    fixture_worker_gone(w);
    *w = next;
    close(c);
    close(d);
    faults_nothing_is_left();
}

static void a_malformed_worker_costs_no_time(void **state)
{
    struct fake_worker *w = *state;
    struct timespec before, after;

    worker_send(w, 99, 0, 12345, "", 0);
    fixture_expect("worker_malformed");
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    usleep(400000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    double ms = (double)(after.tv_sec - before.tv_sec) * 1e3 +
                (double)(after.tv_nsec - before.tv_nsec) / 1e6;

    assert_true(ms < 150);
    fixture_worker_gone(w);
    fixture_attach(w);
}

static void a_generation_changes_under_way(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options less = {.max_request_bytes = 512};
    int c = client_connect(faults.port), d = client_connect(faults.port);
    char *s = faults_many_headers(300, "X-Header: 0123456789012345678\r\n");

    client_send(c, "GET /swap HTTP/1.1\r\nHost: a\r\n\r\n");
    uint64_t id = faults_take(w, "/swap");
    size_t half = strlen(s) / 2;

    assert_int_equal(send(d, s, half, MSG_NOSIGNAL), half);
    client_wait_read(d);
    fixture_generation(&less);
    fixture_settle();
    /* What has begun goes on under the limits it began with. */
    client_send(d, s + half);
    struct request_message m;
    uint64_t other;

    assert_true(worker_take(w, faults.data, sizeof(faults.data), &m, &other));
    assert_int_equal(m.head.n_fields, 301);
    worker_answer(w, other, 200, "", "big", 0, 0, true);
    client_read_until(d, faults.text, sizeof(faults.text), "\r\n\r\nbig");
    worker_answer(w, id, 200, "", "swap", 0, 0, true);
    client_read_until(c, faults.text, sizeof(faults.text), "\r\n\r\nswap");
    /* And the next request under the new ones. */
    client_send(d, s);
    client_read_until(d, faults.text, sizeof(faults.text), "</HTML>");
    assert_non_null(strstr(faults.text, "400 Bad Request"));
    free(s);
    close(c);
    close(d);
    fixture_generation(&(struct fixture_options){0});
    faults_nothing_is_left();
}

static void without_descriptors_connections_wait(void **state)
{
    struct fake_worker *w = *state;
    struct rlimit old, none;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int c = client_connect(faults.port);

    client_send(c, "GET /has-one HTTP/1.1\r\nHost: a\r\n\r\n");
    worker_answer(w, faults_take(w, "/has-one"), 200, "", "zero", 0, 0, true);
    client_read_until(c, faults.text, sizeof(faults.text), "\r\n\r\nzero");
    none = old;
    none.rlim_cur = 1;
    int e = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(faults.port)};

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(connect(e, (struct sockaddr *)&a, sizeof(a)), 0);
    client_send(e, "GET /emfile HTTP/1.1\r\nHost: a\r\n\r\n");
    client_send(c, "GET /has-one HTTP/1.1\r\nHost: a\r\n\r\n");
    worker_answer(w, faults_take(w, "/has-one"), 200, "", "one", 0, 0, true);
    client_read_until(c, faults.text, sizeof(faults.text), "\r\n\r\none");
    faults_pause();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    worker_answer(w, faults_take(w, "/emfile"), 200, "", "late", 0, 0, true);
    client_read_until(e, faults.text, sizeof(faults.text), "\r\n\r\nlate");
    close(c);
    close(e);
    faults_nothing_is_left();
}

/* The listener stops while it is as busy as it can be. */
static int stop_while_busy(void **state)
{
    struct fake_worker *w = *state;
    const char *requests[] = {"GET /stop-held HTTP/1.1\r\nHost: a\r\n\r\n",
                              "POST /stop-body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na",
                              "GET /stop-started HTTP/1.1\r\nHost: a\r\n\r\n",
                              "GET /stop-in-ring HTTP/1.1\r\nHost: a\r\n\r\n",
                              "GET /stop-head HTTP/1.1\r\nHo"};
    int c[ARRAY_LEN(requests)];

    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        c[i] = client_connect(faults.port);
        client_send(c[i], requests[i]);
        client_wait_read(c[i]);
        struct request_message m;
        uint64_t id;
        if (i < 3 && !worker_take(w, faults.data, sizeof(faults.data), &m, &id))
            return -1;
        if (i == 2)
            worker_answer(w, id, 200, "", "begun", MSGR_LENGTH, 100, false);
    }
    client_read_until(c[2], faults.text, sizeof(faults.text), "begun");
    struct stopwatch watch = stopwatch_start();

    fixture_stop_within(500);
    if (stopwatch_ms(&watch) > 4000)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        const char *path = strchr(requests[i], '/');
        char *one = str_dup_z(str_n(path, strcspn(path, " ")));
        size_t n = faults_lines_of(one);
        if (n != 1) {
            print_error("%zu lines of %s\n%s", n, one, faults.text);
            return -1;
        }
        free(one);
    }
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        close(c[i]);
    region_unmap(&w->region);
    return fixture_remove_logs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_connections_do_not_count),
        cmocka_unit_test(requests_of_a_dead_worker_of_a_stopped_pool_are_refused),
        cmocka_unit_test(a_drained_worker_reports_when_it_is_empty),
        cmocka_unit_test(a_malformed_worker_costs_no_time),
        cmocka_unit_test(a_generation_changes_under_way),
        cmocka_unit_test(without_descriptors_connections_wait),
    };

    return cmocka_run_group_tests(tests, faults_set_up, stop_while_busy);
}
