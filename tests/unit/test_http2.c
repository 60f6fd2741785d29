/* HTTP/2 through the whole listener, with a client of nghttp2 and a scripted worker: requests,
 * answers and how they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http2_fixture.h"

static void a_request_reaches_the_worker_and_the_answer_the_client(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    struct request_message m;
    int32_t s = h2_request(c,
                           ":method: GET\n:scheme: http\n:authority: here:8080\n"
                           ":path: /a%20b?q=1\nx-one: 1\naccept: x\ncookie: a=1\ncookie: b=2\n",
                           NULL, 0);
    uint64_t id = http2_take(c, w, &m);

    assert_true(str_eq(m.method, STR("GET")));
    assert_true(str_eq(m.path, STR("/a b")));
    assert_true(str_eq(m.query, STR("q=1")));
    assert_true(str_eq(m.raw_target, STR("/a%20b?q=1")));
    assert_true(str_eq(m.host, STR("here:8080")));
    assert_int_equal(m.head.major, 2);
    assert_int_equal(m.head.minor, 0);
    assert_int_equal(m.head.n_fields, 4);
    assert_true(
        str_eq(str_n(m.bytes + m.fields[3].value_off, m.fields[3].value_len), STR("a=1; b=2")));
    assert_false(m.head.flags & MSGF_HAS_BODY);
    worker_answer(w, id, 201, "Content-Type: text/plain\r\nX-Two: 2\r\n", "hello", 0, 0, true);
    http2_expect_closed(c, s, NGHTTP2_NO_ERROR);

    struct h2_answer *a = h2_answer(c, s);

    assert_int_equal(a->status, 201);
    assert_string_equal(a->body, "hello");
    assert_ptr_equal(strstr(a->fields, "content-type: text/plain\nx-two: 2\ndate: "), a->fields);
    assert_string_equal(h2_field(c, s, "content-length"), "5");
    assert_null(h2_field(c, s, "connection"));
    h2_close(c);
}

static void streams_are_answered_in_any_order(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    enum { N = 100 };
    uint64_t ids[N];
    int32_t s[N];
    char path[32];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            snprintf(path, sizeof(path), "/%d", i);
            s[i] = h2_get(c, path);
        }
        for (int i = 0; i < N; i++) {
            snprintf(path, sizeof(path), "/%d", i);
            ids[i] = http2_take_path(c, w, path);
        }
        for (int i = N; i-- > 0;) {
            snprintf(path, sizeof(path), "answer %d", i);
            worker_answer(w, ids[i], 200, "", path, 0, 0, true);
        }
        for (int i = 0; i < N; i++) {
            http2_expect_closed(c, s[i], NGHTTP2_NO_ERROR);
            snprintf(path, sizeof(path), "answer %d", i);
            assert_string_equal(h2_answer(c, s[i])->body, path);
        }
    }
    h2_close(c);
}

static void answers_without_a_body(void **state)
{
    static const struct {
        const char *method;
        unsigned status, flags;
        int64_t length;
        const char *stated; /* content-length, or NULL */
    } cases[] = {
        {"HEAD", 200, MSGR_LENGTH | MSGR_NO_BODY, 1234, "1234"},
        {"GET", 304, MSGR_NO_BODY, 0, NULL},
        {"GET", 204, 0, 0, NULL},
        {"GET", 200, MSGR_LENGTH, 0, "0"},
        {"GET", 200, 0, 0, "0"},
    };
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char fields[200];
        struct request_message m;

        snprintf(fields, sizeof(fields), ":method: %s\n:scheme: http\n:authority: a\n:path: /\n",
                 cases[i].method);
        int32_t s = h2_request(c, fields, NULL, 0);
        uint64_t id = http2_take(c, w, &m);

        worker_answer(w, id, cases[i].status, "", "", cases[i].flags, cases[i].length, true);
        http2_expect_closed(c, s, NGHTTP2_NO_ERROR);
        assert_int_equal(h2_answer(c, s)->status, cases[i].status);
        assert_int_equal(h2_answer(c, s)->body_n, 0);
        const char *length = h2_field(c, s, "content-length");
        assert_true(cases[i].stated ? length && strcmp(length, cases[i].stated) == 0 : !length);
    }
    h2_close(c);
}

/* The closing record comes long after an answer that was whole without it. */
static void a_late_end_does_no_harm(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    struct msg_end end = {.win32 = 0};
    int32_t head =
        h2_request(c, ":method: HEAD\n:scheme: http\n:authority: a\n:path: /h\n", NULL, 0);
    uint64_t head_id = http2_take_path(c, w, "/h");

    worker_answer(w, head_id, 200, "", "", MSGR_LENGTH, 5, false);
    http2_expect_closed(c, head, NGHTTP2_NO_ERROR);
    worker_send(w, MSG_RESPONSE_END, 0, head_id, &end, sizeof(end));

    int32_t get = h2_get(c, "/g");
    uint64_t get_id = http2_take_path(c, w, "/g");

    worker_answer(w, get_id, 200, "", "hello", MSGR_LENGTH, 5, false);
    assert_true(h2_until(c, h2_has_head, get));
    h2_turn(c, 1500); /* what has been said before gets to the disk */
    worker_send(w, MSG_RESPONSE_END, 0, get_id, &end, sizeof(end));
    http2_expect_closed(c, get, NGHTTP2_NO_ERROR);
    assert_string_equal(h2_answer(c, get)->body, "hello");
    h2_close(c);
}

/* The refusal waits for a window when the client goes on to break the protocol. */
static void refused_request_is_logged_once(void **state)
{
    static const uint8_t trailer[] = {0, 0, 1, NGHTTP2_HEADERS, 5, 0, 0, 0, 1, 0x84};
    static const nghttp2_settings_entry no_window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
    nghttp2_nv nv[] = {
        {(uint8_t *)(uintptr_t) ":method", (uint8_t *)(uintptr_t) "PUT", 7, 3, 0},
        {(uint8_t *)(uintptr_t) ":scheme", (uint8_t *)(uintptr_t) "http", 7, 4, 0},
        {(uint8_t *)(uintptr_t) ":authority", (uint8_t *)(uintptr_t) "a", 10, 1, 0},
        {(uint8_t *)(uintptr_t) ":path", (uint8_t *)(uintptr_t) "/twice%0", 5, 8, 0},
    };
    struct h2_client *c = h2_open(faults.port, true);

    assert_int_equal(nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, &no_window, 1), 0);
    int32_t s = nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, -1, NULL, nv, 4, NULL);

    assert_true(h2_until(c, h2_has_head, s));
    h2_raw(c, trailer, sizeof(trailer));
    http2_expect_closed(c, s, NGHTTP2_PROTOCOL_ERROR);
    faults_expect_line("PUT /twice%0 1 400 - URL");
    h2_turn(c, 1500); /* what a second line would take to get to the disk */
    assert_int_equal(faults_lines_of(" 1 400 - "), 1);
    h2_close(c);
}

static void own_answers_keep_their_status(void **state)
{
    static const struct {
        const char *fields;
        int status;
        const char *httperr;
    } cases[] = {
        {":method: GET\n:scheme: http\n:authority: a/b\n:path: /own1\n", 400,
         "GET /own1 1 400 - Hostname"},
        {":method: GET\n:scheme: http\n:authority: a\n:path: /own2/../../x\n", 403,
         "GET /own2/../../x 3 403 - Forbidden"},
        {AT("/own3") "x?y: 1\n", 400, "GET /own3 5 400 - Header"},
        {POST_AT("/own4") "content-length: 1x\n", 400, "POST /own4 7 400 - Number"},
        {":method: get\n:scheme: http\n:authority: a\n:path: /own5\n", 400,
         "HTTP/2.0 - - 9 400 - Verb"},
    };
    struct h2_client *c = h2_open(faults.port, false);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int32_t s = h2_request(c, cases[i].fields, NULL, 0);
        http2_expect_closed(c, s, NGHTTP2_NO_ERROR);
        assert_int_equal(h2_answer(c, s)->status, cases[i].status);
        assert_ptr_equal(strstr(h2_answer(c, s)->fields,
                                "content-type: text/html; charset=us-ascii\n"
                                "server: Microsoft-HTTPAPI/2.0\ndate: "),
                         h2_answer(c, s)->fields);
        assert_null(h2_field(c, s, "connection"));
        assert_non_null(strstr(h2_answer(c, s)->body, "<HTML>"));
        faults_expect_line(cases[i].httperr);
    }
    h2_close(c);
}

static void what_breaks_the_protocol_is_not_answered(void **state)
{
    static const char *const cases[] = {
        ":method: GET\n:scheme: http\n:authority: a\n",
        AT("/bad") "connection: close\n",
        AT("/bad") "x: 1\n:late: 1\n",
        POST_AT("/bad") "content-length: 7\n",
    };
    struct h2_client *c = h2_open(faults.port, false);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int32_t s = h2_request(c, cases[i], NULL, 0);
        http2_expect_closed(c, s, NGHTTP2_PROTOCOL_ERROR);
        assert_int_equal(h2_answer(c, s)->status, 0);
    }
    faults_expect_line("GET /bad 3 400 - BadRequest");
    h2_close(c);
}

static void a_client_that_resets_aborts_its_request(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    int32_t s = h2_get(c, "/leave");
    uint64_t id = http2_take_path(c, w, "/leave");

    nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s, NGHTTP2_CANCEL);
    h2_turn(c, 0);
    http2_expect_abort(w, id);
    faults_expect_line("GET /leave 1 - 1 Connection_Dropped P");
    /* The connection goes on. */
    int32_t next = h2_get(c, "/stay");

    worker_answer(w, http2_take_path(c, w, "/stay"), 200, "", "x", 0, 0, true);
    http2_expect_closed(c, next, NGHTTP2_NO_ERROR);
    h2_close(c);
}

static void a_client_that_goes_aborts_all_its_requests(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    uint64_t a, b;

    h2_get(c, "/gone1");
    h2_get(c, "/gone2");
    a = http2_take_path(c, w, "/gone1");
    b = http2_take_path(c, w, "/gone2");
    struct linger hard = {.l_onoff = 1};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    h2_close(c);
    struct msg_end end = {.win32 = 0};
    struct ring_record rec;

    for (int i = 0; i < 2; i++) {
        assert_true(worker_take_record(w, faults.data, sizeof(faults.data), &rec));
        assert_int_equal(rec.type, MSG_REQUEST_ABORT);
        assert_true(rec.id == a || rec.id == b);
        worker_send(w, MSG_RESPONSE_RESET, 0, rec.id, &end, sizeof(end));
    }
}

static void a_worker_that_gives_up_resets_the_stream(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    struct msg_end end = {.win32 = 0};
    int32_t s = h2_get(c, "/reset1");

    worker_send(w, MSG_RESPONSE_RESET, 0, http2_take_path(c, w, "/reset1"), &end, sizeof(end));
    http2_expect_closed(c, s, NGHTTP2_INTERNAL_ERROR);
    /* In the middle of an answer. */
    s = h2_get(c, "/reset2");
    uint64_t id = http2_take_path(c, w, "/reset2");

    worker_answer(w, id, 200, "", "begin", MSGR_LENGTH, 100, false);
    worker_send(w, MSG_RESPONSE_RESET, 0, id, &end, sizeof(end));
    http2_expect_closed(c, s, NGHTTP2_INTERNAL_ERROR);
    assert_false(h2_answer(c, s)->whole);
    /* Less than was promised. */
    s = h2_get(c, "/reset3");
    id = http2_take_path(c, w, "/reset3");
    worker_answer(w, id, 200, "", "begin", MSGR_LENGTH, 100, false);
    worker_send(w, MSG_RESPONSE_END, 0, id, &end, sizeof(end));
    http2_expect_closed(c, s, NGHTTP2_INTERNAL_ERROR);
    assert_false(h2_answer(c, s)->whole);
    h2_close(c);
}

static void a_request_can_be_sent_to_http11(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    int32_t s = h2_get(c, "/windows");

    worker_answer(w, http2_take_path(c, w, "/windows"), 401, "WWW-Authenticate: NTLM\r\n", "",
                  MSGR_HTTP11, 0, true);
    http2_expect_closed(c, s, NGHTTP2_HTTP_1_1_REQUIRED);
    assert_int_equal(h2_answer(c, s)->status, 0);
    h2_close(c);
}

static void the_preface_may_come_byte_by_byte(void **state)
{
    static const char bytes[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    int fd = client_connect(faults.port);

    for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
        assert_int_equal(send(fd, bytes + i, 1, MSG_NOSIGNAL), 1);
        usleep(500);
    }
    uint8_t in[64];
    ssize_t n = recv(fd, in, sizeof(in), 0);

    assert_true(n > 9 && in[3] == NGHTTP2_SETTINGS && in[4] == 0);
    close(fd);
}

static void what_only_begins_like_the_preface_is_http1(void **state)
{
    static const char *const cases[] = {"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n",
                                        "PRI / HTTP/1.1\r\n\r\n",
                                        "PUT / HTTP/1.1\r\nHost: a/b\r\n\r\n"};
    static const char *const answers[] = {"HTTP/1.1 505 ", "HTTP/1.1 400 ", "HTTP/1.1 400 "};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int cut = 0; cut < 2; cut++) {
            int fd = client_connect(faults.port);
            size_t n = strlen(cases[i]), first = cut ? 3 : n;

            assert_int_equal(send(fd, cases[i], first, MSG_NOSIGNAL), first);
            usleep(20000);
            (void)!send(fd, cases[i] + first, n - first, MSG_NOSIGNAL);
            client_read_until(fd, faults.text, sizeof(faults.text), "</HTML>");
            assert_ptr_equal(strstr(faults.text, answers[i]), faults.text);
            close(fd);
        }
}

/* The last test: it stops the listener. */
static void stopping_lets_streams_finish(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    int32_t s = h2_get(c, "/last");
    uint64_t id = http2_take_path(c, w, "/last");

    http2_begin_stop(4000);
    assert_true(h2_until(c, h2_has_goaway, 0));
    assert_int_equal(c->goaway_error, NGHTTP2_NO_ERROR);
    assert_int_equal(c->goaway_last, INT32_MAX);
    worker_answer(w, id, 200, "", "still", 0, 0, true);
    http2_expect_closed(c, s, NGHTTP2_NO_ERROR);
    assert_string_equal(h2_answer(c, s)->body, "still");
    assert_true(h2_until(c, h2_has_ended, 0));
    h2_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_request_is_logged_once),
        cmocka_unit_test(a_request_reaches_the_worker_and_the_answer_the_client),
        cmocka_unit_test(streams_are_answered_in_any_order),
        cmocka_unit_test(answers_without_a_body),
        cmocka_unit_test(a_late_end_does_no_harm),
        cmocka_unit_test(own_answers_keep_their_status),
        cmocka_unit_test(what_breaks_the_protocol_is_not_answered),
        cmocka_unit_test(a_client_that_resets_aborts_its_request),
        cmocka_unit_test(a_client_that_goes_aborts_all_its_requests),
        cmocka_unit_test(a_worker_that_gives_up_resets_the_stream),
        cmocka_unit_test(a_request_can_be_sent_to_http11),
        cmocka_unit_test(the_preface_may_come_byte_by_byte),
        cmocka_unit_test(what_only_begins_like_the_preface_is_http1),
        cmocka_unit_test(stopping_lets_streams_finish),
    };

    return cmocka_run_group_tests(tests, http2_set_up, http2_tear_down);
}
