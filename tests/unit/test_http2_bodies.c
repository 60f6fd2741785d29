/* Bodies over HTTP/2, either way, and the windows that hold them back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "http2_fixture.h"
#include "stopwatch.h"

static void take_upload(struct h2_client *c, struct fake_worker *w, uint64_t id, const char *body,
                        size_t body_n)
{
    struct msg_amount ask = {.amount = 48 * 1024};
    size_t got = 0;
    struct ring_record rec;
    uint64_t until = clock_mono_ms() + PATIENCE_MS;

    for (bool last = false; !last;) {
        worker_send(w, MSG_BODY_WANTED, 0, id, &ask, sizeof(ask));
        for (uint64_t asked = ask.amount; asked && !last;) {
            assert_true(clock_mono_ms() < until);
            h2_turn(c, 0);
            if (ring_peek(&w->requests, &rec) != RC_OK)
                continue;
            assert_true(worker_take_record(w, faults.data, sizeof(faults.data), &rec));
            assert_int_equal(rec.type, MSG_REQUEST_BODY);
            assert_true(rec.len <= asked && got + rec.len <= body_n);
            assert_memory_equal(faults.data, body + got, rec.len);
            got += rec.len;
            asked -= rec.len;
            last = rec.flags & MSG_END;
        }
    }
    assert_int_equal(got, body_n);
}

static char *pattern(size_t n)
{
    char *p = xmalloc(n);

    for (size_t i = 0; i < n; i++)
        p[i] = (char)(i * 7 + i / 251);
    return p;
}

static void bodies_flow_as_the_worker_takes_them(void **state)
{
    static const size_t sizes[] = {1, 65535, 65536, 100000, 3 << 20};
    struct fake_worker *w = *state;

    for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
        struct h2_client *c = h2_open(faults.port, false);
        size_t n = sizes[i / 2];
        bool says_length = i % 2;
        char *body = pattern(n), fields[300];
        struct request_message m;

        snprintf(fields, sizeof(fields), POST_AT("/up") "%s%zu\n",
                 says_length ? "content-length: " : "x-none: ", n);
        int32_t s = h2_request(c, fields, body, n);
        uint64_t id = http2_take(c, w, &m);

        assert_true(m.head.flags & MSGF_HAS_BODY);
        assert_true(m.head.content_length == (says_length ? (int64_t)n : -1));
        take_upload(c, w, id, body, n);
        worker_answer(w, id, 200, "", "got it", 0, 0, true);
        http2_expect_closed(c, s, NGHTTP2_NO_ERROR);
        assert_string_equal(h2_answer(c, s)->body, "got it");
        free(body);
        h2_close(c);
    }
}

static void nobody_sends_more_than_the_window(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    size_t n = 1 << 20;
    char *body = pattern(n);
    int32_t s = h2_request(c, POST_AT("/hold"), body, n);
    uint64_t id = http2_take_path(c, w, "/hold");

    for (int i = 0; i < 10; i++)
        h2_turn(c, 20);
    assert_int_equal(nghttp2_session_get_stream_remote_window_size(c->session, s), 0);
    /* Others are not held up by it. */
    int32_t other = h2_get(c, "/other");

    worker_answer(w, http2_take_path(c, w, "/other"), 200, "", "x", 0, 0, true);
    http2_expect_closed(c, other, NGHTTP2_NO_ERROR);
    take_upload(c, w, id, body, n);
    worker_answer(w, id, 200, "", "", 0, 0, true);
    http2_expect_closed(c, s, NGHTTP2_NO_ERROR);
    free(body);
    h2_close(c);
}

/* Answered before the body was there: the client is told that the rest is not wanted, and what it
 * had sent does not stay out of the connection's window. */
static void a_body_nobody_wants_is_given_back(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    size_t n = 200000;
    char *body = pattern(n);

    for (int i = 0; i < 40; i++) {
        int32_t s = h2_request(c, POST_AT("/no"), body, n);
        worker_answer(w, http2_take_path(c, w, "/no"), 403, "", "no", 0, 0, true);
        assert_true(h2_until(c, h2_is_closed, s));
        assert_int_equal(h2_answer(c, s)->status, 403);
        assert_true(h2_answer(c, s)->whole);
        assert_int_equal(h2_answer(c, s)->error, NGHTTP2_NO_ERROR);
    }
    free(body);
    h2_close(c);
}

static void continue_is_said_when_the_worker_reads(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    struct msg_amount all = {.amount = 1 << 20};
    /* The head alone first: a DATA provider would not wait. */
    static const uint8_t end[] = {0, 0, 2,   NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 0, 0,
                                  0, 1, 'h', 'i'};
    nghttp2_nv nv[] = {
        {(uint8_t *)(uintptr_t) ":method", (uint8_t *)(uintptr_t) "POST", 7, 4, 0},
        {(uint8_t *)(uintptr_t) ":scheme", (uint8_t *)(uintptr_t) "http", 7, 4, 0},
        {(uint8_t *)(uintptr_t) ":authority", (uint8_t *)(uintptr_t) "a", 10, 1, 0},
        {(uint8_t *)(uintptr_t) ":path", (uint8_t *)(uintptr_t) "/e", 5, 2, 0},
        {(uint8_t *)(uintptr_t) "expect", (uint8_t *)(uintptr_t) "100-continue", 6, 12, 0},
    };
    int32_t s = nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, -1, NULL, nv, 5, NULL);
    uint64_t id = http2_take_path(c, w, "/e");
    struct ring_record rec;

    worker_send(w, MSG_BODY_WANTED, 0, id, &all, sizeof(all));
    for (int i = 0; i < 100 && !h2_answer(c, s)->interim; i++)
        h2_turn(c, 1500); /* what has been said before gets to the disk */
    assert_int_equal(h2_answer(c, s)->interim, 100);
    h2_raw(c, end, sizeof(end));
    assert_true(worker_take_record(w, faults.data, sizeof(faults.data), &rec));
    assert_int_equal(rec.len, 2);
    assert_true(rec.flags & MSG_END);
    worker_answer(w, id, 200, "", "ok", 0, 0, true);
    assert_true(h2_until(c, h2_has_head, s));
    h2_close(c);
}

static void a_length_that_is_not_true_resets_the_stream(void **state)
{
    static const struct {
        const char *length;
        size_t body;
    } cases[] = {{"10", 9}, {"10", 11}, {"0", 1}};
    struct fake_worker *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct h2_client *c = h2_open(faults.port, false);
        char fields[200];

        snprintf(fields, sizeof(fields), POST_AT("/length") "content-length: %s\n",
                 cases[i].length);
        int32_t s = h2_request(c, fields, "0123456789a", cases[i].body);
        uint64_t id = http2_take_path(c, w, "/length");
        http2_expect_closed(c, s, NGHTTP2_PROTOCOL_ERROR);
        http2_expect_abort(w, id);
        h2_close(c);
    }
    faults_expect_line("HTTP/2.0 POST /length 1 400 1 BadRequest P");
}

static void trailers_end_a_body(void **state)
{
    static const uint8_t good[] = {0, 0, 5, NGHTTP2_HEADERS, 5, 0, 0, 0, 1, 0, 1, 'x', 1, 'y'};
    static const uint8_t pseudo[] = {0, 0, 1, NGHTTP2_HEADERS, 5, 0, 0, 0, 1, 0x84};
    static const uint8_t endless[] = {0, 0, 5, NGHTTP2_HEADERS, 4, 0, 0, 0, 1, 0, 1, 'x', 1, 'y'};
    static const uint8_t some[] = {0, 0, 2, NGHTTP2_DATA, 0, 0, 0, 0, 1, 'h', 'i'};
    static const struct {
        const uint8_t *p;
        size_t n;
        bool ok;
    } cases[] = {{good, sizeof(good), true},
                 {pseudo, sizeof(pseudo), false},
                 {endless, sizeof(endless), false}};
    struct fake_worker *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct h2_client *c = h2_open(faults.port, false);
        struct msg_amount all = {.amount = 1 << 20};
        struct ring_record rec;
        nghttp2_nv nv[] = {
            {(uint8_t *)(uintptr_t) ":method", (uint8_t *)(uintptr_t) "PUT", 7, 3, 0},
            {(uint8_t *)(uintptr_t) ":scheme", (uint8_t *)(uintptr_t) "http", 7, 4, 0},
            {(uint8_t *)(uintptr_t) ":authority", (uint8_t *)(uintptr_t) "a", 10, 1, 0},
            {(uint8_t *)(uintptr_t) ":path", (uint8_t *)(uintptr_t) "/t", 5, 2, 0},
        };
        int32_t s = nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, -1, NULL, nv, 4, NULL);
        uint64_t id = http2_take_path(c, w, "/t");

        h2_raw(c, some, sizeof(some));
        h2_raw(c, cases[i].p, cases[i].n);
        worker_send(w, MSG_BODY_WANTED, 0, id, &all, sizeof(all));
        if (cases[i].ok) {
            size_t n = 0;
            do {
                assert_true(worker_take_record(w, faults.data, sizeof(faults.data), &rec));
                assert_int_equal(rec.type, MSG_REQUEST_BODY);
                n += rec.len;
            } while (!(rec.flags & MSG_END));
            assert_int_equal(n, 2);
            worker_answer(w, id, 200, "", "ok", 0, 0, true);
            assert_true(h2_until(c, h2_has_head, s));
            assert_int_equal(h2_answer(c, s)->status, 200);
        } else {
            http2_expect_closed(c, s, NGHTTP2_PROTOCOL_ERROR);
            http2_expect_abort(w, id);
        }
        h2_close(c);
    }
}

/* The client's windows hold the answer back, that holds back the credit, and so the worker. */
static void files_are_sent_by_handle(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    size_t n = 1 << 20;
    char *content = pattern(n);
    FILE *f = tmpfile();

    assert_int_equal(fwrite(content, 1, n, f), n);
    fflush(f);
    assert_true(region_send_file(w->file_sock, 9, fileno(f)));
    int32_t s = h2_get(c, "/file");
    uint64_t id = http2_take_path(c, w, "/file");
    struct msg_file part = {.handle = 9, .offset = 1000, .length = n - 1000};

    worker_answer(w, id, 200, "", "", MSGR_LENGTH, (int64_t)part.length, false);
    worker_send(w, MSG_RESPONSE_FILE, MSG_END, id, &part, sizeof(part));
    http2_expect_closed(c, s, NGHTTP2_NO_ERROR);
    assert_int_equal(h2_answer(c, s)->body_n, n - 1000);
    assert_memory_equal(h2_answer(c, s)->body, content + 1000, n - 1000);

    /* A file that has become shorter: the client must not take the answer for whole. */
    assert_int_equal(ftruncate(fileno(f), 50000), 0);
    s = h2_get(c, "/short");
    id = http2_take_path(c, w, "/short");
    worker_answer(w, id, 200, "", "", MSGR_LENGTH, (int64_t)part.length, false);
    worker_send(w, MSG_RESPONSE_FILE, MSG_END, id, &part, sizeof(part));
    http2_expect_closed(c, s, NGHTTP2_INTERNAL_ERROR);
    assert_false(h2_answer(c, s)->whole);
    fclose(f);
    free(content);
    h2_close(c);
}

static void a_closed_window_holds_the_worker(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, true);
    int32_t s = h2_get(c, "/slow");
    uint64_t id = http2_take_path(c, w, "/slow"), sent = 0, credit = RESPONSE_CREDIT;
    enum { PIECE = 32 * 1024, TOTAL = 40 * PIECE };
    static char piece[PIECE];
    struct ring_record rec;

    worker_answer(w, id, 200, "", "", MSGR_LENGTH, TOTAL, false);
    while (credit >= PIECE) {
        worker_send(w, MSG_RESPONSE_BODY, 0, id, piece, PIECE);
        sent += PIECE;
        credit -= PIECE;
    }
    uint64_t until = clock_mono_ms() + PATIENCE_MS;

    while (h2_answer(c, s)->body_n < 65535 && clock_mono_ms() < until)
        h2_turn(c, 10);
    for (int i = 0; i < 20; i++)
        h2_turn(c, 10);
    /* 65535 bytes fit into the windows. Credit may have come for them, and for no more. */
    while (ring_peek(&w->requests, &rec) == RC_OK) {
        assert_true(worker_take_record(w, faults.data, sizeof(faults.data), &rec));
        assert_int_equal(rec.type, MSG_CREDIT);
        struct msg_amount m;
        memcpy(&m, faults.data, sizeof(m));
        credit += m.amount;
    }
    assert_int_equal(h2_answer(c, s)->body_n, 65535);
    assert_true(credit <= 65535);
    until = clock_mono_ms() + PATIENCE_MS;
    for (size_t read = 0; !h2_answer(c, s)->whole;) {
        assert_true(clock_mono_ms() < until);
        nghttp2_session_consume(c->session, s, h2_answer(c, s)->body_n - read);
        read = h2_answer(c, s)->body_n;
        h2_turn(c, 0);
        if (ring_peek(&w->requests, &rec) == RC_OK) {
            assert_true(worker_take_record(w, faults.data, sizeof(faults.data), &rec));
            struct msg_amount m;
            memcpy(&m, faults.data, sizeof(m));
            credit += m.amount;
        }
        if (sent < TOTAL && credit >= PIECE) {
            sent += PIECE;
            credit -= PIECE;
            worker_send(w, MSG_RESPONSE_BODY, sent == TOTAL ? MSG_END : 0, id, piece, PIECE);
        }
    }
    assert_int_equal(h2_answer(c, s)->body_n, TOTAL);
    h2_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_flow_as_the_worker_takes_them),
        cmocka_unit_test(nobody_sends_more_than_the_window),
        cmocka_unit_test(a_body_nobody_wants_is_given_back),
        cmocka_unit_test(continue_is_said_when_the_worker_reads),
        cmocka_unit_test(a_length_that_is_not_true_resets_the_stream),
        cmocka_unit_test(trailers_end_a_body),
        cmocka_unit_test(files_are_sent_by_handle),
        cmocka_unit_test(a_closed_window_holds_the_worker),
    };

    return cmocka_run_group_tests(tests, http2_set_up, http2_tear_down);
}
