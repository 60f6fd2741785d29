/* HTTP/2 through the whole listener, with a client of nghttp2 and a scripted worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "http2_client.h"
#include "listener_fixture.h"
#include "stopwatch.h"

#define AT(path) ":method: GET\n:scheme: http\n:authority: localhost\n:path: " path "\n"
#define POST_AT(path) ":method: POST\n:scheme: http\n:authority: localhost\n:path: " path "\n"

static unsigned short port;
static char dir[] = "/tmp/candor-test-http2-XXXXXX";
static _Alignas(16) char data[200 * 1024];
static char text[300 * 1024];
static bool stopping;

static char *read_httperr(void)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/HTTPERR/httperr1.log", dir);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

    if (f)
        fclose(f);
    text[n] = '\0';
    return text;
}

static void expect_in_httperr(const char *what)
{
    uint64_t until = clock_mono_ms() + PATIENCE_MS;

    while (!strstr(read_httperr(), what)) {
        if (clock_mono_ms() > until)
            fail_msg("not in HTTPERR: %s\n%s", what, text);
        usleep(20000);
    }
}

/* The next request; the client speaks meanwhile. */
static uint64_t take(struct h2_client *c, struct fake_worker *w, struct request_message *m)
{
    uint64_t id = 0;

    h2_turn(c, 0);
    assert_true(worker_take(w, data, sizeof(data), m, &id));
    return id;
}

static uint64_t take_path(struct h2_client *c, struct fake_worker *w, const char *path)
{
    struct request_message m;
    uint64_t id = take(c, w, &m);

    assert_true(str_eq(m.path, str_z(path)));
    return id;
}

static void expect_closed(struct h2_client *c, int32_t id, uint32_t error)
{
    assert_true(h2_until(c, h2_is_closed, id));
    assert_int_equal(h2_answer(c, id)->error, error);
}

static void a_request_reaches_the_worker_and_the_answer_the_client(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(port, false);
    struct request_message m;
    int32_t s = h2_request(c,
                           ":method: GET\n:scheme: http\n:authority: here:8080\n"
                           ":path: /a%20b?q=1\nx-one: 1\naccept: x\ncookie: a=1\ncookie: b=2\n",
                           NULL, 0);
    uint64_t id = take(c, w, &m);

    assert_true(str_eq(m.method, STR("GET")));
    assert_true(str_eq(m.path, STR("/a b")));
    assert_true(str_eq(m.query, STR("q=1")));
    assert_true(str_eq(m.raw_target, STR("/a%20b?q=1")));
    assert_true(str_eq(m.host, STR("here:8080")));
    assert_int_equal(m.head.major, 2);
    assert_int_equal(m.head.minor, 0);
    assert_int_equal(m.head.n_fields, 4);
    assert_true(str_eq(str_n(m.bytes + m.fields[3].value_off, m.fields[3].value_len),
                       STR("a=1; b=2")));
    assert_false(m.head.flags & MSGF_HAS_BODY);
    worker_answer(w, id, 201, "Content-Type: text/plain\r\nX-Two: 2\r\n", "hello", 0, 0, true);
    expect_closed(c, s, NGHTTP2_NO_ERROR);

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
    struct h2_client *c = h2_open(port, false);
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
            ids[i] = take_path(c, w, path);
        }
        for (int i = N; i-- > 0;) {
            snprintf(path, sizeof(path), "answer %d", i);
            worker_answer(w, ids[i], 200, "", path, 0, 0, true);
        }
        for (int i = 0; i < N; i++) {
            expect_closed(c, s[i], NGHTTP2_NO_ERROR);
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
    struct h2_client *c = h2_open(port, false);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char fields[200];
        struct request_message m;

        snprintf(fields, sizeof(fields), ":method: %s\n:scheme: http\n:authority: a\n:path: /\n",
                 cases[i].method);
        int32_t s = h2_request(c, fields, NULL, 0);
        uint64_t id = take(c, w, &m);

        worker_answer(w, id, cases[i].status, "", "", cases[i].flags, cases[i].length, true);
        expect_closed(c, s, NGHTTP2_NO_ERROR);
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
    struct h2_client *c = h2_open(port, false);
    struct msg_end end = {.win32 = 0};
    int32_t head = h2_request(c, ":method: HEAD\n:scheme: http\n:authority: a\n:path: /h\n", NULL, 0);
    uint64_t head_id = take_path(c, w, "/h");

    worker_answer(w, head_id, 200, "", "", MSGR_LENGTH, 5, false);
    expect_closed(c, head, NGHTTP2_NO_ERROR);
    worker_send(w, MSG_RESPONSE_END, 0, head_id, &end, sizeof(end));

    int32_t get = h2_get(c, "/g");
    uint64_t get_id = take_path(c, w, "/g");

    worker_answer(w, get_id, 200, "", "hello", MSGR_LENGTH, 5, false);
    assert_true(h2_until(c, h2_has_head, get));
    h2_turn(c, 1500); /* what has been said before gets to the disk */
    worker_send(w, MSG_RESPONSE_END, 0, get_id, &end, sizeof(end));
    expect_closed(c, get, NGHTTP2_NO_ERROR);
    assert_string_equal(h2_answer(c, get)->body, "hello");
    h2_close(c);
}

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
            assert_true(worker_take_record(w, data, sizeof(data), &rec));
            assert_int_equal(rec.type, MSG_REQUEST_BODY);
            assert_true(rec.len <= asked && got + rec.len <= body_n);
            assert_memory_equal(data, body + got, rec.len);
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
        struct h2_client *c = h2_open(port, false);
        size_t n = sizes[i / 2];
        bool says_length = i % 2;
        char *body = pattern(n), fields[300];
        struct request_message m;

        snprintf(fields, sizeof(fields), POST_AT("/up") "%s%zu\n",
                 says_length ? "content-length: " : "x-none: ", n);
        int32_t s = h2_request(c, fields, body, n);
        uint64_t id = take(c, w, &m);

        assert_true(m.head.flags & MSGF_HAS_BODY);
        assert_true(m.head.content_length == (says_length ? (int64_t)n : -1));
        take_upload(c, w, id, body, n);
        worker_answer(w, id, 200, "", "got it", 0, 0, true);
        expect_closed(c, s, NGHTTP2_NO_ERROR);
        assert_string_equal(h2_answer(c, s)->body, "got it");
        free(body);
        h2_close(c);
    }
}

static void nobody_sends_more_than_the_window(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(port, false);
    size_t n = 1 << 20;
    char *body = pattern(n);
    int32_t s = h2_request(c, POST_AT("/hold"), body, n);
    uint64_t id = take_path(c, w, "/hold");

    for (int i = 0; i < 10; i++)
        h2_turn(c, 20);
    assert_int_equal(nghttp2_session_get_stream_remote_window_size(c->session, s), 0);
    /* Others are not held up by it. */
    int32_t other = h2_get(c, "/other");

    worker_answer(w, take_path(c, w, "/other"), 200, "", "x", 0, 0, true);
    expect_closed(c, other, NGHTTP2_NO_ERROR);
    take_upload(c, w, id, body, n);
    worker_answer(w, id, 200, "", "", 0, 0, true);
    expect_closed(c, s, NGHTTP2_NO_ERROR);
    free(body);
    h2_close(c);
}

/* Answered before the body was there: the client is told that the rest is not wanted, and what it
 * had sent does not stay out of the connection's window. */
static void a_body_nobody_wants_is_given_back(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(port, false);
    size_t n = 200000;
    char *body = pattern(n);

    for (int i = 0; i < 40; i++) {
        int32_t s = h2_request(c, POST_AT("/no"), body, n);
        worker_answer(w, take_path(c, w, "/no"), 403, "", "no", 0, 0, true);
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
    struct h2_client *c = h2_open(port, false);
    struct msg_amount all = {.amount = 1 << 20};
    /* The head alone first: a DATA provider would not wait. */
    static const uint8_t end[] = {0, 0, 2, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 0, 0, 0, 1, 'h', 'i'};
    nghttp2_nv nv[] = {
        {(uint8_t *)(uintptr_t)":method", (uint8_t *)(uintptr_t)"POST", 7, 4, 0},
        {(uint8_t *)(uintptr_t)":scheme", (uint8_t *)(uintptr_t)"http", 7, 4, 0},
        {(uint8_t *)(uintptr_t)":authority", (uint8_t *)(uintptr_t)"a", 10, 1, 0},
        {(uint8_t *)(uintptr_t)":path", (uint8_t *)(uintptr_t)"/e", 5, 2, 0},
        {(uint8_t *)(uintptr_t)"expect", (uint8_t *)(uintptr_t)"100-continue", 6, 12, 0},
    };
    int32_t s = nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, -1, NULL, nv, 5, NULL);
    uint64_t id = take_path(c, w, "/e");
    struct ring_record rec;

    worker_send(w, MSG_BODY_WANTED, 0, id, &all, sizeof(all));
    for (int i = 0; i < 100 && !h2_answer(c, s)->interim; i++)
        h2_turn(c, 1500); /* what has been said before gets to the disk */
    assert_int_equal(h2_answer(c, s)->interim, 100);
    h2_raw(c, end, sizeof(end));
    assert_true(worker_take_record(w, data, sizeof(data), &rec));
    assert_int_equal(rec.len, 2);
    assert_true(rec.flags & MSG_END);
    worker_answer(w, id, 200, "", "ok", 0, 0, true);
    assert_true(h2_until(c, h2_has_head, s));
    h2_close(c);
}

static void expect_abort(struct fake_worker *w, uint64_t id)
{
    struct msg_end end = {.win32 = 0};
    struct ring_record rec;

    do
        assert_true(worker_take_record(w, data, sizeof(data), &rec));
    while (rec.type == MSG_REQUEST_BODY || rec.type == MSG_CREDIT);
    assert_int_equal(rec.type, MSG_REQUEST_ABORT);
    assert_true(rec.id == id);
    worker_send(w, MSG_RESPONSE_RESET, 0, id, &end, sizeof(end));
}

static void a_length_that_is_not_true_resets_the_stream(void **state)
{
    static const struct {
        const char *length;
        size_t body;
    } cases[] = {{"10", 9}, {"10", 11}, {"0", 1}};
    struct fake_worker *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct h2_client *c = h2_open(port, false);
        char fields[200];

        snprintf(fields, sizeof(fields), POST_AT("/length") "content-length: %s\n", cases[i].length);
        int32_t s = h2_request(c, fields, "0123456789a", cases[i].body);
        uint64_t id = take_path(c, w, "/length");
        expect_closed(c, s, NGHTTP2_PROTOCOL_ERROR);
        expect_abort(w, id);
        h2_close(c);
    }
    expect_in_httperr("HTTP/2.0 POST /length 1 400 1 BadRequest P");
}

static size_t lines_of(const char *what)
{
    size_t n = 0;

    for (const char *p = read_httperr(); (p = strstr(p, what)); p++)
        n++;
    return n;
}

/* The refusal waits for a window when the client goes on to break the protocol. */
static void refused_request_is_logged_once(void **state)
{
    static const uint8_t trailer[] = {0, 0, 1, NGHTTP2_HEADERS, 5, 0, 0, 0, 1, 0x84};
    static const nghttp2_settings_entry no_window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
    nghttp2_nv nv[] = {
        {(uint8_t *)(uintptr_t)":method", (uint8_t *)(uintptr_t)"PUT", 7, 3, 0},
        {(uint8_t *)(uintptr_t)":scheme", (uint8_t *)(uintptr_t)"http", 7, 4, 0},
        {(uint8_t *)(uintptr_t)":authority", (uint8_t *)(uintptr_t)"a", 10, 1, 0},
        {(uint8_t *)(uintptr_t)":path", (uint8_t *)(uintptr_t)"/twice%0", 5, 8, 0},
    };
    struct h2_client *c = h2_open(port, true);

    assert_int_equal(nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, &no_window, 1), 0);
    int32_t s = nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, -1, NULL, nv, 4, NULL);

    assert_true(h2_until(c, h2_has_head, s));
    h2_raw(c, trailer, sizeof(trailer));
    expect_closed(c, s, NGHTTP2_PROTOCOL_ERROR);
    expect_in_httperr("PUT /twice%0 1 400 - URL");
    h2_turn(c, 1500); /* what a second line would take to get to the disk */
    assert_int_equal(lines_of(" 1 400 - "), 1);
    h2_close(c);
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
    } cases[] = {{good, sizeof(good), true}, {pseudo, sizeof(pseudo), false}, {endless, sizeof(endless), false}};
    struct fake_worker *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct h2_client *c = h2_open(port, false);
        struct msg_amount all = {.amount = 1 << 20};
        struct ring_record rec;
        nghttp2_nv nv[] = {
            {(uint8_t *)(uintptr_t)":method", (uint8_t *)(uintptr_t)"PUT", 7, 3, 0},
            {(uint8_t *)(uintptr_t)":scheme", (uint8_t *)(uintptr_t)"http", 7, 4, 0},
            {(uint8_t *)(uintptr_t)":authority", (uint8_t *)(uintptr_t)"a", 10, 1, 0},
            {(uint8_t *)(uintptr_t)":path", (uint8_t *)(uintptr_t)"/t", 5, 2, 0},
        };
        int32_t s = nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, -1, NULL, nv, 4, NULL);
        uint64_t id = take_path(c, w, "/t");

        h2_raw(c, some, sizeof(some));
        h2_raw(c, cases[i].p, cases[i].n);
        worker_send(w, MSG_BODY_WANTED, 0, id, &all, sizeof(all));
        if (cases[i].ok) {
            size_t n = 0;
            do {
                assert_true(worker_take_record(w, data, sizeof(data), &rec));
                assert_int_equal(rec.type, MSG_REQUEST_BODY);
                n += rec.len;
            } while (!(rec.flags & MSG_END));
            assert_int_equal(n, 2);
            worker_answer(w, id, 200, "", "ok", 0, 0, true);
            assert_true(h2_until(c, h2_has_head, s));
            assert_int_equal(h2_answer(c, s)->status, 200);
        } else {
            expect_closed(c, s, NGHTTP2_PROTOCOL_ERROR);
            expect_abort(w, id);
        }
        h2_close(c);
    }
}

static void own_answers_keep_their_status(void **state)
{
    static const struct {
        const char *fields;
        int status;
        const char *httperr;
    } cases[] = {
        {":method: GET\n:scheme: http\n:authority: a/b\n:path: /own1\n", 400, "GET /own1 1 400 - Hostname"},
        {":method: GET\n:scheme: http\n:authority: a\n:path: /own2/../../x\n", 403,
         "GET /own2/../../x 3 403 - Forbidden"},
        {AT("/own3") "x?y: 1\n", 400, "GET /own3 5 400 - Header"},
        {POST_AT("/own4") "content-length: 1x\n", 400, "POST /own4 7 400 - Number"},
        {":method: get\n:scheme: http\n:authority: a\n:path: /own5\n", 400, "HTTP/2.0 - - 9 400 - Verb"},
    };
    struct h2_client *c = h2_open(port, false);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int32_t s = h2_request(c, cases[i].fields, NULL, 0);
        expect_closed(c, s, NGHTTP2_NO_ERROR);
        assert_int_equal(h2_answer(c, s)->status, cases[i].status);
        assert_ptr_equal(strstr(h2_answer(c, s)->fields,
                                "content-type: text/html; charset=us-ascii\n"
                                "server: Microsoft-HTTPAPI/2.0\ndate: "),
                         h2_answer(c, s)->fields);
        assert_null(h2_field(c, s, "connection"));
        assert_non_null(strstr(h2_answer(c, s)->body, "<HTML>"));
        expect_in_httperr(cases[i].httperr);
    }
    h2_close(c);
}

static void what_breaks_the_protocol_is_not_answered(void **state)
{
    static const char *const cases[] = {
        ":method: GET\n:scheme: http\n:authority: a\n",
        AT("/bad") "connection: close\n",
        AT("/bad") "X-Upper: 1\n",
        AT("/bad") "x: 1\n:late: 1\n",
        POST_AT("/bad") "content-length: 7\n",
    };
    struct h2_client *c = h2_open(port, false);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        /* nghttp2 lowers names that it sends, so the upper case one is written by hand below. */
        if (strstr(cases[i], "X-Upper"))
            continue;
        int32_t s = h2_request(c, cases[i], NULL, 0);
        expect_closed(c, s, NGHTTP2_PROTOCOL_ERROR);
        assert_int_equal(h2_answer(c, s)->status, 0);
    }
    expect_in_httperr("GET /bad 3 400 - BadRequest");
    h2_close(c);
}

static void a_client_that_resets_aborts_its_request(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(port, false);
    int32_t s = h2_get(c, "/leave");
    uint64_t id = take_path(c, w, "/leave");

    nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s, NGHTTP2_CANCEL);
    h2_turn(c, 0);
    expect_abort(w, id);
    expect_in_httperr("GET /leave 1 - 1 Connection_Dropped P");
    /* The connection goes on. */
    int32_t next = h2_get(c, "/stay");

    worker_answer(w, take_path(c, w, "/stay"), 200, "", "x", 0, 0, true);
    expect_closed(c, next, NGHTTP2_NO_ERROR);
    h2_close(c);
}

static void a_client_that_goes_aborts_all_its_requests(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(port, false);
    uint64_t a, b;

    h2_get(c, "/gone1");
    h2_get(c, "/gone2");
    a = take_path(c, w, "/gone1");
    b = take_path(c, w, "/gone2");
    struct linger hard = {.l_onoff = 1};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    h2_close(c);
    struct msg_end end = {.win32 = 0};
    struct ring_record rec;

    for (int i = 0; i < 2; i++) {
        assert_true(worker_take_record(w, data, sizeof(data), &rec));
        assert_int_equal(rec.type, MSG_REQUEST_ABORT);
        assert_true(rec.id == a || rec.id == b);
        worker_send(w, MSG_RESPONSE_RESET, 0, rec.id, &end, sizeof(end));
    }
}

static void a_worker_that_gives_up_resets_the_stream(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(port, false);
    struct msg_end end = {.win32 = 0};
    int32_t s = h2_get(c, "/reset1");

    worker_send(w, MSG_RESPONSE_RESET, 0, take_path(c, w, "/reset1"), &end, sizeof(end));
    expect_closed(c, s, NGHTTP2_INTERNAL_ERROR);
    /* In the middle of an answer. */
    s = h2_get(c, "/reset2");
    uint64_t id = take_path(c, w, "/reset2");

    worker_answer(w, id, 200, "", "begin", MSGR_LENGTH, 100, false);
    worker_send(w, MSG_RESPONSE_RESET, 0, id, &end, sizeof(end));
    expect_closed(c, s, NGHTTP2_INTERNAL_ERROR);
    assert_false(h2_answer(c, s)->whole);
    /* Less than was promised. */
    s = h2_get(c, "/reset3");
    id = take_path(c, w, "/reset3");
    worker_answer(w, id, 200, "", "begin", MSGR_LENGTH, 100, false);
    worker_send(w, MSG_RESPONSE_END, 0, id, &end, sizeof(end));
    expect_closed(c, s, NGHTTP2_INTERNAL_ERROR);
    assert_false(h2_answer(c, s)->whole);
    h2_close(c);
}

static void a_request_can_be_sent_to_http11(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(port, false);
    int32_t s = h2_get(c, "/windows");

    worker_answer(w, take_path(c, w, "/windows"), 401, "WWW-Authenticate: NTLM\r\n", "", MSGR_HTTP11,
                  0, true);
    expect_closed(c, s, NGHTTP2_HTTP_1_1_REQUIRED);
    assert_int_equal(h2_answer(c, s)->status, 0);
    h2_close(c);
}

static void files_are_sent_by_handle(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(port, false);
    size_t n = 1 << 20;
    char *content = pattern(n);
    FILE *f = tmpfile();

    assert_int_equal(fwrite(content, 1, n, f), n);
    fflush(f);
    assert_true(region_send_file(w->file_sock, 9, fileno(f)));
    int32_t s = h2_get(c, "/file");
    uint64_t id = take_path(c, w, "/file");
    struct msg_file part = {.handle = 9, .offset = 1000, .length = n - 1000};

    worker_answer(w, id, 200, "", "", MSGR_LENGTH, (int64_t)part.length, false);
    worker_send(w, MSG_RESPONSE_FILE, MSG_END, id, &part, sizeof(part));
    expect_closed(c, s, NGHTTP2_NO_ERROR);
    assert_int_equal(h2_answer(c, s)->body_n, n - 1000);
    assert_memory_equal(h2_answer(c, s)->body, content + 1000, n - 1000);

    /* A file that has become shorter: the client must not take the answer for whole. */
    assert_int_equal(ftruncate(fileno(f), 50000), 0);
    s = h2_get(c, "/short");
    id = take_path(c, w, "/short");
    worker_answer(w, id, 200, "", "", MSGR_LENGTH, (int64_t)part.length, false);
    worker_send(w, MSG_RESPONSE_FILE, MSG_END, id, &part, sizeof(part));
    expect_closed(c, s, NGHTTP2_INTERNAL_ERROR);
    assert_false(h2_answer(c, s)->whole);
    fclose(f);
    free(content);
    h2_close(c);
}

/* The client's windows hold the answer back, that holds back the credit, and so the worker. */
static void a_closed_window_holds_the_worker(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(port, true);
    int32_t s = h2_get(c, "/slow");
    uint64_t id = take_path(c, w, "/slow"), sent = 0, credit = RESPONSE_CREDIT;
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
        assert_true(worker_take_record(w, data, sizeof(data), &rec));
        assert_int_equal(rec.type, MSG_CREDIT);
        struct msg_amount m;
        memcpy(&m, data, sizeof(m));
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
            assert_true(worker_take_record(w, data, sizeof(data), &rec));
            struct msg_amount m;
            memcpy(&m, data, sizeof(m));
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

static void many_resets_end_the_connection(void **state)
{
    struct h2_client *c = h2_open(port, false);
    int n = 0;

    for (; n < 500 && !c->ended && !c->goaway; n++) {
        /* Refused at once, so that no worker is needed. */
        int32_t s = h2_request(c, ":method: GET\n:scheme: http\n:authority: a/b\n:path: /\n", NULL, 0);
        h2_turn(c, 0); /* nghttp2 would not even send a request that is reset at once */
        nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s, NGHTTP2_CANCEL);
        h2_turn(c, 0);
    }
    assert_true(h2_until(c, h2_has_goaway, 0));
    assert_int_equal(c->goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_string_equal(c->goaway_text, "too many streams were reset");
    assert_true(n > 400);
    assert_true(h2_until(c, h2_has_ended, 0));
    h2_close(c);
}

static void floods_end_the_connection(void **state)
{
    static const uint8_t ping[] = {0, 0, 8, NGHTTP2_PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t window[] = {0, 0, 4, NGHTTP2_WINDOW_UPDATE, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    static const uint8_t update[] = {0, 0, 7, NGHTTP2_PRIORITY_UPDATE, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'u', '=', '1'};
    static const struct {
        const uint8_t *p;
        size_t n;
    } cases[] = {{ping, sizeof(ping)},
                 {window, sizeof(window)},
                 {update, sizeof(update)}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct h2_client *c = h2_open(port, false);
        uint8_t many[100 * 20];
        int n = 0;

        h2_turn(c, 100);
        for (int k = 0; k < 100; k++)
            memcpy(many + (size_t)k * cases[i].n, cases[i].p, cases[i].n);
        for (; n < 100 && !c->ended && !c->goaway; n++) {
            h2_raw(c, many, 100 * cases[i].n);
            h2_turn(c, 1);
        }
        if (!h2_until(c, h2_has_goaway, 0))
            fail_msg("flood %zu: nothing after %d times 100", i, n);
        assert_int_equal(c->goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
        assert_true(n > 9);
        assert_true(h2_until(c, h2_has_ended, 0));
        h2_close(c);
    }
    expect_in_httperr("- - - - 400 - BadRequest");
}

static void empty_data_without_end_ends_the_connection(void **state)
{
    static const uint8_t empty[] = {0, 0, 0, NGHTTP2_DATA, 0, 0, 0, 0, 1};
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(port, false);
    nghttp2_nv nv[] = {
        {(uint8_t *)(uintptr_t)":method", (uint8_t *)(uintptr_t)"PUT", 7, 3, 0},
        {(uint8_t *)(uintptr_t)":scheme", (uint8_t *)(uintptr_t)"http", 7, 4, 0},
        {(uint8_t *)(uintptr_t)":authority", (uint8_t *)(uintptr_t)"a", 10, 1, 0},
        {(uint8_t *)(uintptr_t)":path", (uint8_t *)(uintptr_t)"/empty", 5, 6, 0},
    };

    nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, -1, NULL, nv, 4, NULL);
    uint64_t id = take_path(c, w, "/empty");

    for (int i = 0; i < 10000 && !c->ended && !c->goaway; i++) {
        h2_raw(c, empty, sizeof(empty));
        if (i % 100 == 0)
            h2_turn(c, 0);
    }
    assert_true(h2_until(c, h2_has_goaway, 0));
    assert_int_equal(c->goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
    expect_abort(w, id);
    h2_close(c);
}

/* Fields that are a byte each on the wire. */
static void fields_without_end_end_the_connection(void **state)
{
    struct h2_client *c = h2_open(port, false);
    enum { BLOCK = 16000 };
    static uint8_t frame[9 + BLOCK];
    /* A literal with indexing, 3000 bytes long, then its index again and again. */
    uint8_t *p = frame + 9;

    *p++ = 0x40;
    *p++ = 1;
    *p++ = 'x';
    *p++ = 0x7f; /* 127 + 2873 */
    *p++ = 0xb9;
    *p++ = 0x16;
    memset(p, 'v', 3000);
    p += 3000;
    memset(p, 0xbe, (size_t)(frame + sizeof(frame) - p));
    frame[0] = 0;
    frame[1] = BLOCK >> 8;
    frame[2] = BLOCK & 255;
    frame[3] = NGHTTP2_HEADERS;
    frame[4] = 5;
    frame[8] = 1;
    h2_turn(c, 1500); /* what has been said before gets to the disk */
    h2_raw(c, frame, sizeof(frame));
    assert_true(h2_until(c, h2_has_goaway, 0));
    assert_int_equal(c->goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_string_equal(c->goaway_text, "header fields without end");
    h2_close(c);
}

static void a_head_in_many_frames_has_an_end(void **state)
{
    struct h2_client *c = h2_open(port, false);
    static const uint8_t begin[] = {0, 0, 1, NGHTTP2_HEADERS, 1, 0, 0, 0, 1, 0x82};
    static const uint8_t more[] = {0, 0, 1, NGHTTP2_CONTINUATION, 0, 0, 0, 0, 1, 0x86};

    h2_turn(c, 1500); /* what has been said before gets to the disk */
    h2_raw(c, begin, sizeof(begin));
    for (int i = 0; i < 100; i++)
        h2_raw(c, more, sizeof(more));
    assert_true(h2_until(c, h2_has_ended, 0));
    assert_true(c->goaway && c->goaway_error != NGHTTP2_NO_ERROR);
    h2_close(c);
}

static void what_is_not_http2_is_told_so(void **state)
{
    struct h2_client *c = h2_open(port, false);
    static const uint8_t odd[] = {0, 0, 5, NGHTTP2_PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5};

    h2_turn(c, 1500); /* what has been said before gets to the disk */
    h2_raw(c, odd, sizeof(odd));
    assert_true(h2_until(c, h2_has_goaway, 0));
    assert_int_equal(c->goaway_error, NGHTTP2_FRAME_SIZE_ERROR);
    assert_true(h2_until(c, h2_has_ended, 0));
    h2_close(c);
}

static void more_streams_than_allowed_are_refused(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(port, false);
    struct msg_end end = {.win32 = 0};
    enum { N = 103 };

    /* Before the client has seen the settings. */
    for (int i = 0; i < 100; i++)
        h2_get(c, "/many");
    h2_turn(c, 100);
    for (int i = 0; i < 100; i++)
        worker_send(w, MSG_RESPONSE_RESET, 0, take_path(c, w, "/many"), &end, sizeof(end));
    for (int i = 0; i < 100; i++)
        expect_closed(c, 2 * i + 1, NGHTTP2_INTERNAL_ERROR);
    h2_close(c);
}

static void the_preface_may_come_byte_by_byte(void **state)
{
    static const char bytes[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    int fd = client_connect(port);

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
    static const char *const cases[] = {"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n", "PRI / HTTP/1.1\r\n\r\n",
                                        "PUT / HTTP/1.1\r\nHost: a/b\r\n\r\n"};
    static const char *const answers[] = {"HTTP/1.1 505 ", "HTTP/1.1 400 ", "HTTP/1.1 400 "};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int cut = 0; cut < 2; cut++) {
            int fd = client_connect(port);
            size_t n = strlen(cases[i]), first = cut ? 3 : n;

            assert_int_equal(send(fd, cases[i], first, MSG_NOSIGNAL), first);
            usleep(20000);
            (void)!send(fd, cases[i] + first, n - first, MSG_NOSIGNAL);
            client_read_until(fd, text, sizeof(text), "</HTML>");
            assert_ptr_equal(strstr(text, answers[i]), text);
            close(fd);
        }
}

/* The last test: it stops the listener. */
static void stopping_lets_streams_finish(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(port, false);
    int32_t s = h2_get(c, "/last");
    uint64_t id = take_path(c, w, "/last");

    stopping = true;
    fixture_begin_stop(4000);
    assert_true(h2_until(c, h2_has_goaway, 0));
    assert_int_equal(c->goaway_error, NGHTTP2_NO_ERROR);
    assert_int_equal(c->goaway_last, INT32_MAX);
    worker_answer(w, id, 200, "", "still", 0, 0, true);
    expect_closed(c, s, NGHTTP2_NO_ERROR);
    assert_string_equal(h2_answer(c, s)->body, "still");
    assert_true(h2_until(c, h2_has_ended, 0));
    h2_close(c);
}

static int set_up(void **state)
{
    static struct fake_worker w;

    if (!mkdtemp(dir))
        return -1;
    port = fixture_start_with(dir, &(struct fixture_options){.http2_cleartext = 1});
    fixture_attach(&w);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    if (!stopping)
        fixture_begin_stop(2000);
    fixture_end_stop();
    return fixture_remove_logs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_request_is_logged_once),
        cmocka_unit_test(a_request_reaches_the_worker_and_the_answer_the_client),
        cmocka_unit_test(streams_are_answered_in_any_order),
        cmocka_unit_test(answers_without_a_body),
        cmocka_unit_test(a_late_end_does_no_harm),
        cmocka_unit_test(bodies_flow_as_the_worker_takes_them),
        cmocka_unit_test(nobody_sends_more_than_the_window),
        cmocka_unit_test(a_body_nobody_wants_is_given_back),
        cmocka_unit_test(continue_is_said_when_the_worker_reads),
        cmocka_unit_test(a_length_that_is_not_true_resets_the_stream),
        cmocka_unit_test(trailers_end_a_body),
        cmocka_unit_test(own_answers_keep_their_status),
        cmocka_unit_test(what_breaks_the_protocol_is_not_answered),
        cmocka_unit_test(a_client_that_resets_aborts_its_request),
        cmocka_unit_test(a_client_that_goes_aborts_all_its_requests),
        cmocka_unit_test(a_worker_that_gives_up_resets_the_stream),
        cmocka_unit_test(a_request_can_be_sent_to_http11),
        cmocka_unit_test(files_are_sent_by_handle),
        cmocka_unit_test(a_closed_window_holds_the_worker),
        cmocka_unit_test(many_resets_end_the_connection),
        cmocka_unit_test(floods_end_the_connection),
        cmocka_unit_test(empty_data_without_end_ends_the_connection),
        cmocka_unit_test(fields_without_end_end_the_connection),
        cmocka_unit_test(a_head_in_many_frames_has_an_end),
        cmocka_unit_test(what_is_not_http2_is_told_so),
        cmocka_unit_test(more_streams_than_allowed_are_refused),
        cmocka_unit_test(the_preface_may_come_byte_by_byte),
        cmocka_unit_test(what_only_begins_like_the_preface_is_http1),
        cmocka_unit_test(stopping_lets_streams_finish),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
