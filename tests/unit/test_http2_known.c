/* Heads that come again over HTTP/2: the second time they are kept, from the third on they are not
 * worked off any more. Nobody may notice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http2_fixture.h"

enum { AGAIN = 4 };

#define LINES "Content-Type: text/plain\r\nETag: \"e\"\r\n"

static bool worker_has_nothing(struct fake_worker *w)
{
    struct ring_record rec;

    return ring_peek(&w->requests, &rec) == RC_AGAIN;
}

static void expect_answer(struct h2_client *c, int32_t s, int status, const char *body)
{
    assert_true(h2_until(c, h2_is_closed, s));
    assert_int_equal(h2_answer(c, s)->error, NGHTTP2_NO_ERROR);
    assert_int_equal(h2_answer(c, s)->status, status);
    if (body)
        assert_string_equal(h2_answer(c, s)->body, body);
}

static void answer(struct h2_client *c, struct fake_worker *w, int32_t s, uint64_t id)
{
    worker_answer(w, id, 200, LINES, "plain", MSGR_LENGTH, 5, true);
    expect_answer(c, s, 200, "plain");
}

/* An answer that the cache may keep. */
static void offer(struct fake_worker *w, uint64_t id, const char *body)
{
    size_t n = strlen(body);
    _cleanup_free_ char *record = xmalloc(sizeof(struct msg_response) + sizeof(LINES) + n);
    struct msg_response h = {.status = 200,
                             .flags = MSGR_CACHE | MSGR_LENGTH,
                             .headers_len = sizeof(LINES) - 1,
                             .body_len = (uint32_t)n,
                             .cache_seconds = 900,
                             .content_length = (int64_t)n};

    memcpy(record, &h, sizeof(h));
    memcpy(record + sizeof(h), LINES, sizeof(LINES) - 1);
    memcpy(record + sizeof(h) + sizeof(LINES) - 1, body, n);
    worker_send(w, MSG_RESPONSE, MSG_END, id, record,
                (uint32_t)(sizeof(h) + sizeof(LINES) - 1 + n));
}

static void fill(struct h2_client *c, struct fake_worker *w, const char *fields, const char *body)
{
    struct request_message m;
    int32_t s = h2_request(c, fields, NULL, 0);

    offer(w, http2_take(c, w, &m), body);
    expect_answer(c, s, 200, body);
}

static void expect_lines(const char *what, size_t n)
{
    faults_expect_lines(what, n);
    assert_int_equal(faults_lines_of(what), n);
}

static void the_worker_is_told_the_same(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    char first[4096];
    size_t first_n = 0;

    for (int i = 0; i < AGAIN; i++) {
        struct request_message m;
        int32_t s = h2_request(c,
                               ":method: GET\n:scheme: http\n:authority: Here:8080\n"
                               ":path: /same%20path/?q=1\nx-one: 1\naccept: x\n"
                               "cookie: a=1\nuser-agent: known\ncookie: b=2\npriority: u=2, i\n",
                               NULL, 0);
        uint64_t id = http2_take(c, w, &m);

        assert_true(str_eq(m.path, STR("/same path/")));
        assert_true(str_eq(m.raw_target, STR("/same%20path/?q=1")));
        assert_true(str_eq(m.query, STR("q=1")));
        assert_true(str_eq(m.host, STR("Here:8080")));
        assert_int_equal(m.head.n_fields, 6);
        assert_int_equal(m.head.major, 2);
        assert_false(m.head.flags & MSGF_HAS_BODY);
        size_t n = 0;
        char all[sizeof(first)];
        for (unsigned k = 0; k < m.head.n_fields; k++)
            n += (size_t)snprintf(all + n, sizeof(all) - n, "%.*s=%.*s|", (int)m.fields[k].name_len,
                                  m.bytes + m.fields[k].name_off, (int)m.fields[k].value_len,
                                  m.bytes + m.fields[k].value_off);
        if (i == 0)
            memcpy(first, all, first_n = n);
        assert_int_equal(n, first_n);
        assert_memory_equal(all, first, n);
        answer(c, w, s, id);
    }
    assert_non_null(strstr(first, "a=1; b=2"));
    h2_close(c);
    expect_lines("/same+path/ q=1", AGAIN);
}

static void plain_paths_too(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);

    for (int i = 0; i < 3 * AGAIN; i++) {
        struct request_message m;
        bool other = i % 3 == 2;
        int32_t s = h2_request(c, other ? AT("/plain/b?x") : AT("/plain/a?x"), NULL, 0);
        uint64_t id = http2_take(c, w, &m);

        assert_true(str_eq(m.path, other ? STR("/plain/b") : STR("/plain/a")));
        assert_true(str_eq(m.query, STR("x")));
        answer(c, w, s, id);
    }
    h2_close(c);
    expect_lines("/plain/a x", 2 * AGAIN);
}

static void the_cache_answers_each_with_one_line(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    enum { N = 50 };
    int32_t s[N];

    fill(c, w, AT("/cached"), "some body");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++)
            s[i] = h2_request(c, AT("/cached"), NULL, 0);
        for (int i = 0; i < N; i++) {
            expect_answer(c, s[i], 200, "some body");
            assert_string_equal(h2_field(c, s[i], "etag"), "\"e\"");
            assert_string_equal(h2_field(c, s[i], "content-length"), "9");
            assert_int_equal(strlen(h2_field(c, s[i], "date")), 29);
        }
    }
    assert_true(worker_has_nothing(w));
    h2_close(c);
    expect_lines("/cached -", 3 * N + 1);
}

static void what_else_the_cache_has_to_say(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    static const char head[] =
        ":method: HEAD\n:scheme: http\n:authority: localhost\n:path: /forms\n";

    fill(c, w, AT("/forms"), "some body");
    for (int i = 0; i < AGAIN; i++) {
        int32_t s = h2_request(c, head, NULL, 0);
        expect_answer(c, s, 200, NULL);
        assert_string_equal(h2_field(c, s, "content-length"), "9");
        assert_int_equal(h2_answer(c, s)->body_n, 0);

        s = h2_request(c, AT("/forms") "if-none-match: \"e\"\n", NULL, 0);
        expect_answer(c, s, 304, NULL);
        assert_null(h2_field(c, s, "content-length"));
        assert_int_equal(h2_answer(c, s)->body_n, 0);
    }
    assert_true(worker_has_nothing(w));
    assert_int_equal(fixture_cache_clear("*", true), 0);
    for (int i = 0; i < AGAIN; i++) { /* known, and the cache has forgotten it */
        struct request_message m;
        int32_t s = h2_request(c, AT("/forms"), NULL, 0);
        answer(c, w, s, http2_take(c, w, &m));
    }
    h2_close(c);
}

/* Answered from the cache again and again, then not: a new exchange has to be as good as new. */
static void what_the_cache_forgets_the_worker_answers(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);

    for (int round = 0; round < 3; round++) {
        fill(c, w, AT("/forgotten"), "some body");
        for (int i = 0; i < AGAIN; i++)
            expect_answer(c, h2_request(c, AT("/forgotten"), NULL, 0), 200, "some body");
        assert_int_equal(fixture_cache_clear("*", true), 0);
        struct request_message m;
        int32_t s = h2_request(c, AT("/forgotten"), NULL, 0);
        uint64_t id = http2_take(c, w, &m);
        worker_answer(w, id, 203, "X-Late: 1\r\n", "from the worker", 0, 0, true);
        expect_answer(c, s, 203, "from the worker");
        assert_string_equal(h2_field(c, s, "x-late"), "1");
    }
    h2_close(c);
    expect_lines("/forgotten -", 3 * (AGAIN + 2));
}

static void a_closed_window_is_waited_for(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, true);
    static char body[12001];
    int32_t s[8];

    memset(body, 'b', sizeof(body) - 1);
    fill(c, w, AT("/window"), body);
    for (int i = 0; i < 8; i++)
        s[i] = h2_request(c, AT("/window"), NULL, 0);
    for (int i = 0; i < 20; i++)
        h2_turn(c, 20);
    unsigned whole = 0;
    for (int i = 0; i < 8; i++)
        whole += h2_is_closed(c, s[i]);
    assert_int_equal(whole, (65535 - 12000) / 12000); /* the connection's window */
    nghttp2_submit_window_update(c->session, NGHTTP2_FLAG_NONE, 0, 1 << 20);
    for (int i = 0; i < 8; i++)
        expect_answer(c, s[i], 200, body);
    assert_true(worker_has_nothing(w));
    h2_close(c);
}

/* By hand, so that blocks end where the test wants: literals without an index. */
static size_t put_field(unsigned char *p, const char *name, const char *value)
{
    size_t n = 0, name_n = strlen(name), value_n = strlen(value);

    p[n++] = 0;
    p[n++] = (unsigned char)name_n;
    memcpy(p + n, name, name_n);
    n += name_n;
    p[n++] = (unsigned char)value_n;
    memcpy(p + n, value, value_n);
    return n + value_n;
}

static size_t put_head(unsigned char *p, int32_t id, const char *path)
{
    size_t n = 9;

    n += put_field(p + n, ":method", "GET");
    n += put_field(p + n, ":scheme", "http");
    n += put_field(p + n, ":authority", "localhost");
    n += put_field(p + n, ":path", path);
    n += put_field(p + n, "x-filler", "................................................");
    memcpy(p, (unsigned char[]){0, 0, (unsigned char)(n - 9), 1, 5, 0, 0, 0, (unsigned char)id}, 9);
    return n;
}

static void a_client_that_takes_its_requests_back(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    unsigned char all[16384];
    size_t n = 0;

    fill(c, w, AT("/gone"), "some body");
    for (int i = 0; i < 60; i++) { /* in one read: nothing of an answer has left before the reset */
        int32_t id = 3 + 2 * i;
        n += put_head(all + n, id, "/gone");
        if (i % 2 == 0)
            continue;
        memcpy(all + n, (unsigned char[]){0, 0, 4, 3, 0, 0, 0, 0, (unsigned char)id, 0, 0, 0, 8},
               13);
        n += 13;
    }
    h2_raw(c, all, n);
    usleep(50000); /* the client's session knows nothing of these streams: it reads no more */
    h2_close(c);
    c = h2_open(faults.port, false);
    for (int i = 0; i < AGAIN; i++)
        expect_answer(c, h2_request(c, AT("/gone"), NULL, 0), 200, "some body");
    assert_true(worker_has_nothing(w));
    h2_close(c);
}

static void a_stopped_pool_refuses_known_heads(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);

    fill(c, w, AT("/pool"), "some body");
    for (int i = 0; i < AGAIN; i++)
        expect_answer(c, h2_request(c, AT("/pool"), NULL, 0), 200, "some body");
    fixture_pool("Stopped", "Disabled", 1000);
    fixture_settle();
    expect_answer(c, h2_request(c, AT("/pool"), NULL, 0), 503, NULL);
    fixture_pool("Started", "", 1000);
    fixture_settle();
    expect_answer(c, h2_request(c, AT("/pool"), NULL, 0), 200, "some body");
    h2_close(c);
}

static void heads_in_pieces_do_not_mix(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *a = h2_open(faults.port, false), *b = h2_open(faults.port, false);
    unsigned char one[512], two[512];

    h2_turn(a, 20);
    h2_turn(b, 20);
    for (int32_t id = 1; id < 60; id += 2) { /* cut at many places; known from the third on */
        size_t n = put_head(one, id, "/pieces/a"), k = put_head(two, id, "/pieces/b");
        size_t cut = 1 + (size_t)id * 2 % (n - 1);

        h2_raw(a, one, cut);
        usleep(5000);
        h2_raw(b, two, k);
        uint64_t its = faults_take(w, "/pieces/b");
        h2_raw(a, one + cut, n - cut);
        uint64_t ours = faults_take(w, "/pieces/a");
        worker_answer(w, ours, 200, "", "", MSGR_LENGTH, 0, true);
        worker_answer(w, its, 200, "", "", MSGR_LENGTH, 0, true);
    }
    expect_lines("/pieces/a -", 30); /* before the clients go: the worker is not to hear of it */
    expect_lines("/pieces/b -", 30);
    h2_close(a);
    h2_close(b);
}

/* The last test: it changes the limits for good. */
static void another_generation_judges_anew(void **state)
{
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    char fields[1024];

    snprintf(fields, sizeof(fields), AT("/judged") "x-long: %0500d\n", 1);
    fill(c, w, fields, "some body");
    for (int i = 0; i < AGAIN; i++)
        expect_answer(c, h2_request(c, fields, NULL, 0), 200, "some body");
    fixture_generation(&(struct fixture_options){.http2_cleartext = 1, .max_request_bytes = 256});
    fixture_settle();
    expect_answer(c, h2_request(c, fields, NULL, 0), 400, NULL);
    fixture_generation(&(struct fixture_options){.http2_cleartext = 1});
    h2_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worker_is_told_the_same),
        cmocka_unit_test(plain_paths_too),
        cmocka_unit_test(the_cache_answers_each_with_one_line),
        cmocka_unit_test(what_else_the_cache_has_to_say),
        cmocka_unit_test(what_the_cache_forgets_the_worker_answers),
        cmocka_unit_test(a_closed_window_is_waited_for),
        cmocka_unit_test(a_client_that_takes_its_requests_back),
        cmocka_unit_test(a_stopped_pool_refuses_known_heads),
        cmocka_unit_test(heads_in_pieces_do_not_mix),
        cmocka_unit_test(another_generation_judges_anew),
    };

    return cmocka_run_group_tests(tests, http2_set_up, http2_tear_down);
}
