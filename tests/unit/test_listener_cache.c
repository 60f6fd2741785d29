/* The response cache and throttling on a real listener: what a worker has offered is given again,
 * as the worker would have given it, logged once each, until somebody takes it back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "listener_fixture.h"
#include "stopwatch.h"

enum { LARGE = 60000 };

static unsigned short port;
static char dir[] = "/tmp/candor-test-cache-XXXXXX";
static _Alignas(16) char data[1 << 20];
static char text[16 << 20], log_text[4 << 20];

#define LINES                                                                                      \
    "Content-Type: text/plain\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: \"e\"\r\n"

static uint64_t take(struct fake_worker *w, const char *path)
{
    return worker_take_path(w, data, sizeof(data), path);
}

/* An answer that may be kept. */
static void offer(struct fake_worker *w, uint64_t id, const char *lines, const char *body,
                  size_t body_len)
{
    _cleanup_free_ char *record = xmalloc(sizeof(struct msg_response) + 1024 + body_len);
    struct msg_response h = {.status = 200,
                             .flags = MSGR_CACHE | MSGR_LENGTH,
                             .headers_len = (uint32_t)strlen(lines),
                             .body_len = (uint32_t)body_len,
                             .cache_seconds = 900,
                             .content_length = (int64_t)body_len};

    memcpy(record, &h, sizeof(h));
    memcpy(record + sizeof(h), lines, h.headers_len);
    memcpy(record + sizeof(h) + h.headers_len, body, body_len);
    worker_send(w, MSG_RESPONSE, MSG_END, id, record,
                (uint32_t)(sizeof(h) + h.headers_len + body_len));
}

static void expect_answer(int c, const char *end)
{
    client_read_until(c, text, sizeof(text), end);
    if (!strstr(text, end))
        fail_msg("no \"%s\" in: %s", end, text);
}

static void ask(int c, const char *path)
{
    char request[256];

    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    client_send(c, request);
}

/* The worker sees this one, and offers its answer. */
static void fill(struct fake_worker *w, int c, const char *path, const char *body)
{
    ask(c, path);
    offer(w, take(w, path), LINES, body, strlen(body));
    expect_answer(c, body);
}

static bool worker_has_nothing(struct fake_worker *w)
{
    struct ring_record rec;

    return ring_peek(&w->requests, &rec) == RC_AGAIN;
}

static void expect_hit(struct fake_worker *w, int c, const char *path, const char *body)
{
    ask(c, path);
    expect_answer(c, body);
    assert_true(worker_has_nothing(w));
}

/* The cache does not have it (any more): the worker does, and does not offer it again. */
static void expect_miss(struct fake_worker *w, int c, const char *path)
{
    ask(c, path);
    worker_answer(w, take(w, path), 200, "", "from the worker", MSGR_LENGTH, 15, true);
    expect_answer(c, "from the worker");
}

static void without_date(char *s)
{
    char *at = strstr(s, "Date: ");

    assert_non_null(at);
    memset(at + 6, '#', 29);
}

static void a_hit_has_the_bytes_of_the_first_answer(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    fill(w, c, "/bytes", "some body");
    without_date(text);
    _cleanup_free_ char *first = strdup(text);

    expect_hit(w, c, "/bytes", "some body");
    without_date(text);
    assert_string_equal(text, first);
    close(c);
}

static void requests_in_one_packet_are_answered_in_order(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    fill(w, c, "/one", "body of one");
    fill(w, c, "/two", "body of two");
    client_send(c, "GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: A\r\n\r\n"
                   "GET /three HTTP/1.1\r\nHost: a\r\n\r\nGET /one HTTP/1.1\r\nHost: a\r\n\r\n");
    uint64_t id = take(w, "/three");

    worker_answer(w, id, 200, "", "body of three", MSGR_LENGTH, 13, true);
    client_read_until(c, text, sizeof(text), "body of three");
    while (!strstr(strstr(text, "three"), "body of one"))
        client_read_until(c, text + strlen(text), sizeof(text) - strlen(text), "body of one");
    char *one = strstr(text, "body of one"), *two = strstr(text, "body of two");

    assert_true(one < two && two < strstr(text, "body of three"));
    close(c);
}

static void other_forms_of_the_answer(void **state)
{
    static const struct {
        const char *request, *want, *not;
        bool closes;
    } rows[] = {
        {"HEAD /f HTTP/1.1\r\nHost: a\r\n\r\n", "Content-Length: 10\r\n\r\n", "form body!", false},
        {"GET /f HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
         "Connection: close\r\nContent-Length: 10\r\n\r\nform body!", "304", true},
        {"GET /f HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
         "Connection: keep-alive\r\nContent-Length: 10\r\n\r\nform body!", "304", false},
        {"GET /f HTTP/1.0\r\nHost: a\r\n\r\n", "Connection: close\r\n", "304", true},
        {"GET /f HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"e\"\r\n\r\n", "HTTP/1.1 304 Not Modified",
         "Content-", false},
        {"GET /f HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
         "HTTP/1.1 304 Not Modified", "Content-", false},
        {"HEAD /f HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\nConnection: close\r\n\r\n",
         "Connection: close\r\n\r\n", "Content-", true},
        {"GET /f HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x\"\r\n\r\n", "form body!", "304", false},
        {"GET /f HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", "form body!", "100 Continue",
         false},
    };
    struct fake_worker *w = *state;
    int c = client_connect(port);

    fill(w, c, "/f", "form body!");
    close(c);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        c = client_connect(port);
        client_send(c, rows[i].request);
        expect_answer(c, rows[i].want);
        if (strstr(text, rows[i].not))
            fail_msg("row %zu: %s", i, text);
        if (rows[i].closes)
            assert_true(client_closed(c));
        else /* nothing is left over in the connection */
            expect_hit(w, c, "/f", "form body!");
        assert_true(strncmp(text, "HTTP/1.1 ", 9) == 0);
        close(c);
    }
    assert_true(worker_has_nothing(w));
}

static void what_must_see_the_worker_sees_it(void **state)
{
    static const char *const requests[] = {
        "GET /seen?x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /seen HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YTpi\r\n\r\n",
        "GET /seen HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n",
        "GET /seen HTTP/1.1\r\nHost: a\r\nTranslate: f\r\n\r\n",
        "GET /seen HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\n\r\n",
        "GET /seen HTTP/1.1\r\nHost: a\r\nAccept: image/png\r\n\r\n",
        "GET /se%65n HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /seen HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET http://a/seen HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS /seen HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /seen HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    };
    struct fake_worker *w = *state;
    int c = client_connect(port);

    fill(w, c, "/seen", "for all");
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        client_send(c, requests[i]);
        uint64_t id = take(w, "/seen");
        /* None of these may be kept for others, even if the worker would have it so. */
        if (i < 5)
            offer(w, id, LINES, "for one only", 12);
        else
            worker_answer(w, id, 200, "", "for one only", MSGR_LENGTH, 12, true);
        expect_answer(c, "for one only");
    }
    expect_hit(w, c, "/seen", "for all");
    close(c);
}

static void what_is_not_offered_is_not_kept(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    expect_miss(w, c, "/unoffered");
    expect_miss(w, c, "/unoffered");
    ask(c, "/cookie"); /* offered, but it cannot be meant */
    offer(w, take(w, "/cookie"), "Set-Cookie: a=b\r\n", "cookie", 6);
    expect_answer(c, "cookie");
    expect_miss(w, c, "/cookie");
    client_send(c, "HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n");
    uint64_t id = take(w, "/head");
    struct msg_response h = {.status = 200,
                             .flags = MSGR_CACHE | MSGR_LENGTH | MSGR_NO_BODY,
                             .cache_seconds = 9,
                             .content_length = 5};

    worker_send(w, MSG_RESPONSE, MSG_END, id, &h, sizeof(h));
    expect_answer(c, "Content-Length: 5\r\n\r\n");
    expect_miss(w, c, "/head");
    close(c);
}

static void flush(struct fake_worker *w, uint32_t site, const char *path, uint32_t flags)
{
    char record[256];
    struct msg_flush m = {.site_id = site, .flags = flags, .path_len = (uint32_t)strlen(path)};

    memcpy(record, &m, sizeof(m));
    memcpy(record + sizeof(m), path, m.path_len);
    worker_send(w, MSG_CACHE_FLUSH, 0, 0, record, (uint32_t)(sizeof(m) + m.path_len));
    uint64_t until = clock_mono_ms() + PATIENCE_MS;

    /* The thread has read it; orders of the control thread come in between at any time. */
    while (ring_consumed(&w->responses) != ring_tail(&w->responses) && clock_mono_ms() < until)
        usleep(1000);
}

static void a_worker_takes_its_answers_back(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    fill(w, c, "/dir/a", "first a");
    fill(w, c, "/dir/b", "first b");
    fill(w, c, "/dirt", "dirt");
    flush(w, 1, "/dir/a", 0);
    expect_miss(w, c, "/dir/a");
    expect_hit(w, c, "/dir/b", "first b");
    flush(w, 1, "/dir", FLUSH_SUBTREE);
    expect_miss(w, c, "/dir/b");
    expect_hit(w, c, "/dirt", "dirt");
    flush(w, 2, "/dirt", 0); /* of another site */
    expect_hit(w, c, "/dirt", "dirt");
    flush(w, 0, "", 0);
    expect_miss(w, c, "/dirt");
    close(c);
}

static void a_flush_before_the_answer_does_not_touch_it(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    ask(c, "/late");
    uint64_t id = take(w, "/late");

    flush(w, 1, "/late", 0);
    offer(w, id, LINES, "newer", 5);
    expect_answer(c, "newer");
    expect_hit(w, c, "/late", "newer");
    close(c);
}

static void the_administrator_empties_it(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);
    char url[64];

    fixture_cache_clear("*", true);
    assert_int_equal(fixture_cache_entries(), 0);
    fill(w, c, "/x/1", "x one");
    fill(w, c, "/x/2", "x two");
    fill(w, c, "/y", "y");
    assert_int_equal(fixture_cache_entries(), 3);
    snprintf(url, sizeof(url), "http://a:%u/x", port);
    assert_int_equal(fixture_cache_clear(url, false), 3);
    assert_int_equal(fixture_cache_clear(url, true), 1);
    expect_miss(w, c, "/x/1");
    expect_hit(w, c, "/y", "y");
    assert_int_equal(fixture_cache_clear("*", false), 0);
    close(c);
}

static void a_new_configuration_forgets_all(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    fill(w, c, "/generation", "old");
    fixture_generation(&(struct fixture_options){.threads = 1});
    fixture_connections(); /* all threads follow */
    assert_int_equal(fixture_cache_entries(), 0);
    expect_miss(w, c, "/generation");
    fill(w, c, "/generation", "new");
    expect_hit(w, c, "/generation", "new");
    close(c);
}

static void with_its_worker_an_answer_goes(void **state)
{
    struct fake_worker *w = *state, other;
    int c = client_connect(port);

    fill(w, c, "/mine", "mine");
    fixture_attach(&other);
    fixture_connections();
    fixture_worker_gone(w);
    fixture_connections();
    *w = other;
    assert_int_equal(fixture_cache_entries(), 0);
    expect_miss(w, c, "/mine");
    close(c);
}

static void a_file_is_given_again(void **state)
{
    struct fake_worker *w = *state;
    FILE *f = tmpfile();
    int c = client_connect(port);
    struct msg_file part = {.offset = 26, .length = LARGE, .handle = 9};
    struct msg_amount handle = {.amount = 9};
    struct msg_response h = {.status = 200,
                             .flags = MSGR_CACHE | MSGR_LENGTH,
                             .cache_seconds = UINT32_MAX,
                             .content_length = LARGE};

    for (int i = 0; i < LARGE + 100; i++)
        fputc('a' + i % 26, f);
    fflush(f);
    ask(c, "/file");
    uint64_t id = take(w, "/file");

    assert_true(region_send_file(w->file_sock, 9, fileno(f)));
    worker_send(w, MSG_RESPONSE, 0, id, &h, sizeof(h));
    worker_send(w, MSG_RESPONSE_FILE, MSG_END, id, &part, sizeof(part));
    worker_send(w, MSG_FILE_CLOSE, 0, 0, &handle, sizeof(handle)); /* the cache has its own */
    fclose(f);
    for (unsigned round = 0; round < 3; round++) {
        if (round)
            ask(c, "/file");
        size_t n = client_read_until(c, text, sizeof(text), "\r\n\r\n");
        char *body = strstr(text, "\r\n\r\n") + 4;

        assert_non_null(strstr(text, "Content-Length: 60000\r\n"));
        while (n < (size_t)(body - text) + LARGE)
            n += client_read_until(c, text + n, sizeof(text) - n, "no such text");
        assert_int_equal(n, (size_t)(body - text) + LARGE);
        for (int i = 0; i < LARGE; i++)
            assert_int_equal(body[i], 'a' + i % 26);
        assert_true(worker_has_nothing(w));
    }
    client_send(c, "HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_answer(c, "Content-Length: 60000\r\n");
    expect_miss(w, c, "/after");
    close(c);
}

/* A client that does not read for a while: the rest of its answers waits in the listener, and is
 * what it was although the cache has forgotten it. */
static void output_under_way_outlives_its_entry(void **state)
{
    enum { ANSWERS = 150 };
    struct fake_worker *w = *state;
    _cleanup_free_ char *body = xmalloc(LARGE);
    int c = client_connect(port), small = 65536;

    setsockopt(c, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    for (int i = 0; i < LARGE; i++)
        body[i] = (char)('A' + i % 26);
    ask(c, "/slow");
    offer(w, take(w, "/slow"), LINES, body, LARGE);
    for (int i = 1; i < ANSWERS; i++)
        ask(c, "/slow");
    client_wait_stuck(c);
    assert_true(worker_has_nothing(w));
    assert_int_equal(fixture_cache_clear("*", true), 0);
    /* Those that were not begun are the worker's now. */
    size_t n = 0, bodies = 0, served = 1;
    char *at = text;
    uint64_t until = clock_mono_ms() + PATIENCE_MS;

    while (bodies < ANSWERS && clock_mono_ms() < until) {
        if (!worker_has_nothing(w)) {
            offer(w, take(w, "/slow"), LINES, body, LARGE);
            served++;
        }
        ssize_t got = recv(c, text + n, sizeof(text) - 1 - n, MSG_DONTWAIT);
        if (got > 0)
            n += (size_t)got;
        text[n] = '\0';
        for (char *p; (p = strstr(at, "\r\n\r\n")) && p + 4 + LARGE <= text + n; bodies++) {
            assert_memory_equal(p + 4, body, LARGE);
            at = p + 4 + LARGE;
        }
    }
    assert_int_equal(bodies, ANSWERS);
    assert_true(served >= 2 && served < ANSWERS);
    close(c);
}

/* A buffer that a large head has made large, full of requests that are all hits: they must not be
 * answered one inside the other. */
static void many_hits_at_once_need_no_stack(void **state)
{
    enum { HEAD = 1 << 20, MANY = 40000 };
    static const char each[] = "GET /deep HTTP/1.1\nHost:a\nIf-None-Match:*\n\n";
    struct fake_worker *w = *state;
    size_t len = HEAD + MANY * strlen(each), sent = 0, answers = 0;
    _cleanup_free_ char *request = xmalloc(len + 1);

    fixture_generation(&(struct fixture_options){.threads = 1, .max_request_bytes = 8 << 20});
    fixture_connections();
    int c = client_connect(port), size = 8 << 20;

    fill(w, c, "/deep", "deep");
    memset(request, 'x', HEAD);
    for (size_t i = 8192; i < HEAD - 8192; i += 8192)
        memcpy(request + i, "\nX:", 3);
    memcpy(request, "GET /deep HTTP/1.1\nHost:a\nX:", 28);
    memcpy(request + HEAD - 2, "\n\n", 2);
    for (size_t i = 0; i < MANY; i++)
        memcpy(request + HEAD + i * strlen(each), each, strlen(each));
    setsockopt(c, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    uint64_t until = clock_mono_ms() + PATIENCE_MS;
    char last[8] = "";

    while (answers <= MANY && clock_mono_ms() < until) {
        /* All but the end of the head first, so that the rest comes into the large buffer. */
        size_t most = sent < HEAD - 1 ? HEAD - 1 - sent : len - sent;
        ssize_t n = most ? send(c, request + sent, most, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
        sent += n > 0 ? (size_t)n : 0;
        if (sent == HEAD - 1)
            client_wait_read(c);
        memcpy(text, last, 7);
        n = recv(c, text + 7, sizeof(text) - 8, MSG_DONTWAIT);
        if (n <= 0)
            continue;
        text[7 + n] = '\0';
        for (const char *p = text; (p = memmem(p, (size_t)(text + 7 + n - p), "TTP/1.1 ", 8)); p++)
            answers++;
        memcpy(last, text + n, 7);
    }

    assert_int_equal(answers, MANY + 1);
    close(c);
    fixture_generation(&(struct fixture_options){.threads = 1});
    fixture_connections();
}

static size_t lines_with(const char *what)
{
    char path[512];
    size_t found = 0;

    snprintf(path, sizeof(path), "%s/W3SVC1", dir);
    DIR *d = opendir(path);

    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/W3SVC1/%s", dir, e->d_name);
        FILE *f = fopen(path, "r");
        size_t n = f ? fread(log_text, 1, sizeof(log_text) - 1, f) : 0;
        if (f)
            fclose(f);
        log_text[n] = '\0';
        for (const char *p = log_text; (p = strstr(p, what)); p++)
            found++;
    }
    if (d)
        closedir(d);
    return found;
}

static void hits_are_logged_once_each(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    fill(w, c, "/logged", "logged");
    for (unsigned i = 0; i < 5; i++)
        expect_hit(w, c, "/logged", "logged");
    client_send(
        c, "GET /logged HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"e\"\r\nUser-Agent: me\r\n\r\n");
    expect_answer(c, "304 Not Modified");
    close(c);
    /* Read at the end, when the logs are written. */
}

static void the_logs_say_so(void)
{
    assert_int_equal(lines_with(" GET /logged - "), 7);
    assert_int_equal(lines_with(" me - 304 0 0 "), 1);
}

/* ---- throttling ----------------------------------------------------------------------------- */

/* Downloads an entry of the cache n times at once; gives the ms that it took, and how many of them
 * were the listener's. */
static uint64_t download(const char *path, size_t clients, size_t bytes, uint64_t *ret_own)
{
    enum { CLIENTS_MAX = 8 };
    int c[CLIENTS_MAX];
    size_t got[CLIENTS_MAX] = {0}, open = clients;
    struct stopwatch watch = stopwatch_start();
    uint64_t start = clock_mono_ms();

    for (size_t i = 0; i < clients; i++) {
        c[i] = client_connect(port);
        ask(c[i], path);
    }
    while (open && clock_mono_ms() < start + PATIENCE_MS) {
        for (size_t i = 0; i < clients; i++) {
            ssize_t n = recv(c[i], text, sizeof(text), MSG_DONTWAIT);
            if (n <= 0 || got[i] >= bytes)
                continue;
            got[i] += (size_t)n;
            open -= got[i] >= bytes;
        }
        usleep(500);
    }
    uint64_t took = clock_mono_ms() - start;

    *ret_own = stopwatch_ms(&watch);
    for (size_t i = 0; i < clients; i++) {
        assert_true(got[i] >= bytes && got[i] < bytes + 512); /* and its head */
        close(c[i]);
    }
    return took;
}

static void rates_are_kept(void **state)
{
    static const struct {
        int site, global;
        size_t clients;
        uint64_t min_ms, max_ms;
    } rows[] = {
        {0, 0, 4, 0, 500},
        {60000, 0, 1, 600, 1300},  /* a quarter of a second is saved up */
        {120000, 0, 4, 1600, 2600},
        {0, 120000, 2, 650, 1400},
        {240000, 120000, 2, 650, 1400},
    };
    struct fake_worker *w = *state;
    _cleanup_free_ char *body = xmalloc(LARGE);

    memset(body, 'b', LARGE);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int c;
        fixture_generation(&(struct fixture_options){
            .threads = 1, .max_bandwidth = rows[i].site, .max_global_bandwidth = rows[i].global});
        fixture_connections();
        c = client_connect(port); /* before the rate counts: the cache has to have it */
        ask(c, "/rate");
        offer(w, take(w, "/rate"), LINES, body, LARGE);
        client_read_until(c, text, sizeof(text), "\r\n\r\n");
        shutdown(c, SHUT_RDWR);
        close(c); /* its turns go back */
        fixture_wait_connections(0);
        usleep(300000); /* and the quarter of a second is full */
        uint64_t own, took = download("/rate", rows[i].clients, LARGE, &own);
        if (took < rows[i].min_ms || own > rows[i].max_ms)
            fail_msg("row %zu: %llu ms, %llu its own", i, (unsigned long long)took,
                     (unsigned long long)own);
    }
    fixture_generation(&(struct fixture_options){.threads = 1});
    fixture_connections();
}

static void small_answers_do_not_wait_for_large_ones(void **state)
{
    struct fake_worker *w = *state;
    _cleanup_free_ char *body = xmalloc(LARGE);

    memset(body, 'b', LARGE);
    fixture_generation(&(struct fixture_options){.threads = 1, .max_bandwidth = 100000});
    fixture_connections();
    int c = client_connect(port), large = client_connect(port);

    fill(w, c, "/small", "small");
    ask(large, "/large");
    offer(w, take(w, "/large"), LINES, body, LARGE);
    client_read_until(large, text, sizeof(text), "\r\n\r\n");
    struct stopwatch watch = stopwatch_start();

    for (unsigned i = 0; i < 20; i++)
        expect_hit(w, c, "/small", "small");
    assert_true(stopwatch_ms(&watch) < 300);
    close(c);
    close(large);
    fixture_generation(&(struct fixture_options){.threads = 1});
    fixture_connections();
}

static int set_up(void **state)
{
    static struct fake_worker worker;

    if (!mkdtemp(dir))
        return 1;
    port = fixture_start(dir);
    fixture_attach(&worker);
    *state = &worker;
    return 0;
}

static int tear_down(void **state)
{
    fixture_stop();
    the_logs_say_so();
    return fixture_remove_logs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hit_has_the_bytes_of_the_first_answer),
        cmocka_unit_test(requests_in_one_packet_are_answered_in_order),
        cmocka_unit_test(other_forms_of_the_answer),
        cmocka_unit_test(what_must_see_the_worker_sees_it),
        cmocka_unit_test(what_is_not_offered_is_not_kept),
        cmocka_unit_test(a_worker_takes_its_answers_back),
        cmocka_unit_test(a_flush_before_the_answer_does_not_touch_it),
        cmocka_unit_test(the_administrator_empties_it),
        cmocka_unit_test(a_new_configuration_forgets_all),
        cmocka_unit_test(with_its_worker_an_answer_goes),
        cmocka_unit_test(a_file_is_given_again),
        cmocka_unit_test(output_under_way_outlives_its_entry),
        cmocka_unit_test(many_hits_at_once_need_no_stack),
        cmocka_unit_test(hits_are_logged_once_each),
        cmocka_unit_test(rates_are_kept),
        cmocka_unit_test(small_answers_do_not_wait_for_large_ones),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
