/* Heads and bodies that are unusual: late, halved, huge, too many. They arrive whole or are refused
 * whole, and nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "faults_fixture.h"

enum { CONNECTIONS = 40 };

/* --- bodies --- */

static void a_body_may_follow_a_head_that_closes(void **state)
{
    struct fake_worker *w = *state;
    int c[CONNECTIONS];

    /* Some heads are there when the connection is accepted, all bodies come later. */
    for (int i = 0; i < CONNECTIONS; i++) {
        c[i] = client_connect(faults.port);
        client_send(c[i], "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
                          "Connection: close\r\n\r\n");
    }
    uint64_t ids[CONNECTIONS];

    for (int i = 0; i < CONNECTIONS; i++) {
        ids[i] = faults_take(w, "/later");
        faults_want(w, ids[i], 100);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        client_send(c[i], "body");
    for (int i = 0; i < CONNECTIONS; i++) {
        struct ring_record rec;
        assert_true(worker_take_record(w, faults.data, sizeof(faults.data), &rec));
        assert_int_equal(rec.type, MSG_REQUEST_BODY);
        worker_answer(w, rec.id, 200, "", "ok", 0, 0, true);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        client_read_until(c[i], faults.text, sizeof(faults.text), "\r\n\r\nok");
        assert_non_null(strstr(faults.text, "\r\n\r\nok"));
        assert_true(client_closed(c[i]));
        close(c[i]);
    }
    faults_nothing_is_left();
}

static void leaving_is_noticed_whatever_the_head_said(void **state)
{
    struct fake_worker *w = *state;
    int c[CONNECTIONS];

    for (int i = 0; i < CONNECTIONS; i++) {
        c[i] = client_connect(faults.port);
        client_send(c[i], "GET /gone HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }
    uint64_t ids[CONNECTIONS];

    for (int i = 0; i < CONNECTIONS; i++)
        ids[i] = faults_take(w, "/gone");
    fixture_wait_queued(0); /* the listener has seen that they were taken */
    for (int i = 0; i < CONNECTIONS; i++)
        faults_hard_close(c[i]);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct ring_record rec;
        assert_true(worker_take_record(w, faults.data, sizeof(faults.data), &rec));
        assert_int_equal(rec.type, MSG_REQUEST_ABORT);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        faults_reset_answer(w, ids[i]);
    faults_nothing_is_left();
}

static void a_client_may_shut_its_side_after_the_body(void **state)
{
    static const char *const bodies[] = {
        "Content-Length: 5\r\n\r\nbbbbb",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nbb\r\n3\r\nbbb\r\n0\r\n\r\n"};
    struct fake_worker *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        int c = client_connect(faults.port);
        client_send(c, "POST /half HTTP/1.1\r\nHost: a\r\n");
        client_send(c, bodies[i]);
        shutdown(c, SHUT_WR);
        uint64_t id = faults_take(w, "/half");
        client_wait_read(c); /* the end of the stream has been seen */
        faults_want(w, id, 1000);
        assert_int_equal(faults_body_of(w, id), 5);
        worker_answer(w, id, 200, "", "half", 0, 0, true);
        client_read_until(c, faults.text, sizeof(faults.text), "\r\n\r\nhalf");
        assert_non_null(strstr(faults.text, "\r\n\r\nhalf"));
        close(c);
    }
    /* But not before its end. */
    int c = client_connect(faults.port);

    client_send(c, "POST /short HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nbbbb");
    shutdown(c, SHUT_WR);
    uint64_t id = faults_take(w, "/short");

    faults_expect_abort(w, id);
    faults_reset_answer(w, id);
    close(c);
    faults_nothing_is_left();
}

static void a_length_beyond_any_body_does_not_confuse_the_worker(void **state)
{
    static const char *const lengths[] = {"9223372036854775807", "9223372036854775808",
                                          "18446744073709551614", "18446744073709551615"};
    struct fake_worker *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        int c = client_connect(faults.port);
        struct request_message m;
        uint64_t id;
        client_send(c, "PUT /huge HTTP/1.1\r\nHost: a\r\nContent-Length: ");
        client_send(c, lengths[i]);
        client_send(c, "\r\n\r\nx");
        assert_true(worker_take(w, faults.data, sizeof(faults.data), &m, &id));
        assert_true(m.head.content_length == INT64_MAX);
        worker_answer(w, id, 413, "", "", MSGR_CLOSE, 0, true);
        client_read_until(c, faults.text, sizeof(faults.text), "\r\n\r\n");
        close(c);
    }
    faults_nothing_is_left();
}

static void a_large_body_crosses_in_bounded_records(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options big = {.max_request_bytes = 1 << 20};

    fixture_generation(&big);
    fixture_worker_gone(w);
    fixture_attach(w);
    int c = client_connect(faults.port);
    char *body = xmalloc(600001);
    static char filler[200001];

    /* A long head makes a large buffer. */
    memset(filler, 'f', sizeof(filler) - 1);
    memset(body, 'b', 600000);
    body[600000] = '\0';
    client_send(c, "POST /wide HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n");
    for (int i = 0; i < 20; i++) {
        client_send(c, "X-Filler: ");
        client_send(c, filler + 190000);
        client_send(c, "\r\n");
    }
    client_send(c, "\r\n");
    uint64_t id = faults_take(w, "/wide");
    size_t sent = 0, got = 0;

    faults_want(w, id, 1 << 30);
    while (got < 600000) {
        struct ring_record rec;
        if (sent < 600000) {
            ssize_t n = send(c, body + sent, 600000 - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            sent += n > 0 ? (size_t)n : 0;
        }
        assert_true(worker_take_record(w, faults.data, sizeof(faults.data), &rec));
        assert_int_equal(rec.type, MSG_REQUEST_BODY);
        assert_true(rec.len <= MESSAGE_BODY_MAX);
        got += rec.len;
    }
    worker_answer(w, id, 200, "", "wide", 0, 0, true);
    client_read_until(c, faults.text, sizeof(faults.text), "\r\n\r\nwide");
    free(body);
    close(c);
    fixture_generation(&(struct fixture_options){0});
    faults_nothing_is_left();
}

/* --- heads --- */

static void many_headers_arrive_or_are_refused(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options big = {.max_request_bytes = 16777216};
    struct request_message m;
    uint64_t id;

    fixture_generation(&big);
    fixture_worker_gone(w);
    fixture_attach(w);
    int c = client_connect(faults.port);
    char *s = faults_many_headers(60000, "a:\r\n");

    faults_send_all(c, s);
    free(s);
    assert_true(worker_take(w, faults.data, sizeof(faults.data), &m, &id));
    assert_int_equal(m.head.n_fields, 60001);
    worker_answer(w, id, 200, "", "many", 0, 0, true);
    client_read_until(c, faults.text, sizeof(faults.text), "\r\n\r\nmany");
    /* More than the message can count, and more than a worker should have to hold. */
    for (int i = 0; i < 2; i++) {
        char line[70000] = "a:\r\n";
        if (i == 1) {
            memset(line, 'v', 60000);
            memcpy(line, "a:", 2);
            memcpy(line + 60000, "\r\n", 3);
        }
        s = faults_many_headers(i ? 250 : 70000, line);
        if (i == 1) {
            close(c);
            c = client_connect(faults.port);
        }
        faults_send_all(c, s);
        free(s);
        client_read_until(c, faults.text, sizeof(faults.text), "</HTML>");
        assert_non_null(strstr(faults.text, "400 Bad Request"));
        faults_expect_line("GET /many - 400 1 RequestLength P");
    }
    close(c);
    fixture_generation(&(struct fixture_options){0});
    faults_nothing_is_left();
}

static void a_head_for_which_no_ring_is_made_blocks_nobody(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options big = {.max_request_bytes = 4 << 20};

    fixture_worker_gone(w);
    fixture_attach(w); /* the ring of the old limit */
    fixture_generation(&big);
    int c = client_connect(faults.port), after = client_connect(faults.port);
    char line[200] = "X-Long: ";

    memset(line + 8, 'v', sizeof(line) - 8);
    memcpy(line + sizeof(line) - 3, "\r\n", 3);
    char *s = faults_many_headers(2000, line);

    faults_send_all(c, s);
    free(s);
    faults_pause();
    client_send(after, "GET /after HTTP/1.1\r\nHost: a\r\n\r\n");
    worker_answer(w, faults_take(w, "/after"), 200, "", "after", 0, 0, true);
    client_read_until(after, faults.text, sizeof(faults.text), "\r\n\r\nafter");
    client_read_until(c, faults.text, sizeof(faults.text), "</HTML>");
    assert_non_null(strstr(faults.text, "400 Bad Request"));
    close(c);
    close(after);
    fixture_generation(&(struct fixture_options){0});
    faults_nothing_is_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_may_follow_a_head_that_closes),
        cmocka_unit_test(leaving_is_noticed_whatever_the_head_said),
        cmocka_unit_test(a_client_may_shut_its_side_after_the_body),
        cmocka_unit_test(a_length_beyond_any_body_does_not_confuse_the_worker),
        cmocka_unit_test(a_large_body_crosses_in_bounded_records),
        cmocka_unit_test(many_headers_arrive_or_are_refused),
        cmocka_unit_test(a_head_for_which_no_ring_is_made_blocks_nobody),
    };

    return cmocka_run_group_tests(tests, faults_set_up, faults_tear_down);
}
