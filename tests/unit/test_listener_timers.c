/* Requests that end early leave one line in exactly one log, and the timer that fires blames the
 * right side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "faults_fixture.h"

enum { SHORT_MS = 1500 }; /* so long that no stop of the machine is taken for one of the client */

/* --- one line per request --- */

static void timers_leave_one_line(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options quick = {.connection_timeout = SHORT_MS, .header_wait = SHORT_MS};

    fixture_generation(&quick);
    /* In the ring, not taken. */
    int queued = client_connect(faults.port);

    client_send(queued, "GET /t-queue HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(client_closed(queued));
    uint64_t id = faults_take(w, "/t-queue");
    faults_expect_abort(w, id);
    faults_reset_answer(w, id);
    /* Taken, the body stalls. */
    int body = client_connect(faults.port);

    client_send(body, "POST /t-body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    id = faults_take(w, "/t-body");
    assert_true(client_closed(body));
    faults_expect_abort(w, id);
    faults_reset_answer(w, id);
    /* The head stalls. */
    int head = client_connect(faults.port);

    client_send(head, "GET /t-head HTTP/1.1\r\nHost: a\r\n");
    assert_true(client_closed(head));
    close(queued);
    close(body);
    close(head);
    fixture_generation(&(struct fixture_options){0});
    faults_expect_one_line("/t-queue", "GET /t-queue - - 1 Timer_ReqQueue P");
    faults_expect_one_line("/t-body", "POST /t-body - - 1 Timer_EntityBody P");
    faults_expect_one_line("/t-head", "GET /t-head - - - Timer_HeaderWait -");
    faults_nothing_is_left();
}

static void a_client_that_leaves_in_the_queue_leaves_one_line(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(faults.port);

    client_send(c, "GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
    fixture_wait_queued(1);
    faults_hard_close(c);
    fixture_wait_queued(0);
    uint64_t id = faults_take(w, "/left");

    faults_expect_abort(w, id);
    faults_reset_answer(w, id);
    faults_expect_one_line("/left", "GET /left - - 1 Client_Reset P");
    faults_nothing_is_left();
}

/* More clients leave while the worker is silent than the list of them holds. */
static void the_list_of_dropped_connections_is_bounded(void **state)
{
    enum { LIST = 1024, MORE = 5 };
    static int clients[LIST + MORE];
    static uint64_t ids[LIST + MORE];
    struct fake_worker *w = *state;

    fixture_pool("Started", "", 5000);
    for (int i = 0; i < LIST + MORE; i++) {
        clients[i] = client_connect(faults.port);
        client_send(clients[i], "GET /dropped HTTP/1.1\r\nHost: a\r\n\r\n");
        ids[i] = faults_take(w, "/dropped");
    }
    for (int i = 0; i < LIST + MORE; i++)
        faults_hard_close(clients[i]);
    for (int i = 0; i < LIST + MORE; i++)
        faults_expect_abort(w, ids[i]);
    faults_expect_line("Connection_Dropped_List_Full P");
    for (int i = 0; i < LIST + MORE; i++)
        faults_reset_answer(w, ids[i]);
    faults_nothing_is_left();
    faults_expect_lines("/dropped", LIST + MORE);
    assert_int_equal(faults_lines_of("/dropped - - 1 Connection_Dropped_List_Full P"), MORE);
    assert_int_equal(faults_lines_of("/dropped - - 1 Connection_Dropped P"), LIST);
    fixture_pool("Started", "", 1000);
}

static void a_worker_that_gives_up_leaves_one_line(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(faults.port);

    client_send(c, "GET /gave-up HTTP/1.1\r\nHost: a\r\n\r\n");
    faults_reset_answer(w, faults_take(w, "/gave-up"));
    assert_true(client_closed(c));
    close(c);
    faults_expect_one_line("/gave-up", "GET /gave-up - - 1 Connection_Abandoned_By_ReqQueue P");
    faults_nothing_is_left();
}

static void a_drained_body_that_stalls_is_told_apart_from_its_answer(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options quick = {.connection_timeout = SHORT_MS};

    fixture_generation(&quick);
    int c = client_connect(faults.port);

    client_send(c, "POST /stall HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    worker_answer(w, faults_take(w, "/stall"), 403, "", "no", 0, 0, true);
    client_read_until(c, faults.text, sizeof(faults.text), "\r\n\r\nno");
    assert_true(client_closed(c));
    close(c);
    fixture_generation(&(struct fixture_options){0});
    /* The answer has its line; that the connection ended for another reason is HTTPERR's. */
    faults_expect_line("POST /stall - - 1 Timer_EntityBody P");
    usleep(1500000);
    assert_int_equal(faults_lines_of("/stall"), 2);
    faults_nothing_is_left();
}

static void a_slow_reader_leaves_one_line(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options fast = {.min_bytes = 500 * 1000 * 1000};
    static char block[60000];
    uint64_t id;

    fixture_generation(&fast);
    int c = faults_narrow_client();

    client_send(c, "GET /slow-reader HTTP/1.1\r\nHost: a\r\n\r\n");
    id = faults_take(w, "/slow-reader");
    worker_answer(w, id, 200, "", "", MSGR_LENGTH, 100 << 20, false);
    for (int i = 0; i < 8; i++)
        worker_send(w, MSG_RESPONSE_BODY, 0, id, block, sizeof(block));
    usleep(700000);
    for (struct ring_record rec; ring_peek(&w->requests, &rec) == RC_OK;) {
        bool abort = rec.type == MSG_REQUEST_ABORT;
        ring_pop(&w->requests, &rec);
        if (abort)
            break;
        for (int i = 0; i < 4; i++)
            worker_send(w, MSG_RESPONSE_BODY, 0, id, block, sizeof(block));
        usleep(700000);
    }
    faults_reset_answer(w, id);
    fixture_generation(&(struct fixture_options){0});
    faults_expect_one_line("/slow-reader", "GET /slow-reader - - 1 Timer_MinBytesPerSecond P");
    close(c);
    faults_nothing_is_left();
}

/* --- timers --- */

static void nobody_is_blamed_for_a_worker_that_does_not_read(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options quick = {.connection_timeout = SHORT_MS};
    static char block[100001];

    fixture_generation(&quick);
    int c = client_connect(faults.port);

    memset(block, 'b', sizeof(block) - 1);
    client_send(c, "POST /patient HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    client_send(c, block); /* more than the listener keeps: the rest waits in the kernel */
    uint64_t id = faults_take(w, "/patient");

    usleep(2 * SHORT_MS * 1000);
    faults_want(w, id, 1 << 20);
    assert_int_equal(faults_body_of(w, id), 100000);
    worker_answer(w, id, 200, "", "fine", 0, 0, true);
    client_read_until(c, faults.text, sizeof(faults.text), "\r\n\r\nfine");
    assert_non_null(strstr(faults.text, "200 OK"));
    close(c);
    fixture_generation(&(struct fixture_options){0});
    faults_nothing_is_left();
}

static void an_answer_under_way_needs_no_more_body(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options quick = {.connection_timeout = SHORT_MS};

    fixture_generation(&quick);
    int c = client_connect(faults.port);

    client_send(c, "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    uint64_t id = faults_take(w, "/early");

    worker_answer(w, id, 200, "", "one", MSGR_LENGTH, 6, false);
    usleep(2 * SHORT_MS * 1000); /* the worker is slow, not the client */
    worker_send(w, MSG_RESPONSE_BODY, MSG_END, id, "two", 3);
    client_read_until(c, faults.text, sizeof(faults.text), "onetwo");
    assert_non_null(strstr(faults.text, "onetwo"));
    close(c);
    fixture_generation(&(struct fixture_options){0});
    faults_nothing_is_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_leave_one_line),
        cmocka_unit_test(a_client_that_leaves_in_the_queue_leaves_one_line),
        cmocka_unit_test(the_list_of_dropped_connections_is_bounded),
        cmocka_unit_test(a_worker_that_gives_up_leaves_one_line),
        cmocka_unit_test(a_drained_body_that_stalls_is_told_apart_from_its_answer),
        cmocka_unit_test(a_slow_reader_leaves_one_line),
        cmocka_unit_test(nobody_is_blamed_for_a_worker_that_does_not_read),
        cmocka_unit_test(an_answer_under_way_needs_no_more_body),
    };

    return cmocka_run_group_tests(tests, faults_set_up, faults_tear_down);
}
