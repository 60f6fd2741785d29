/* Clients and workers that misbehave, or only behave differently from the usual: one line in exactly
 * one log for each request, no timer that fires for the wrong reason, nothing left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "listener_fixture.h"

enum { SHORT_MS = 600, CONNECTIONS = 40 };

static unsigned short port;
static char dir[] = "/tmp/candor-test-faults-XXXXXX";
static _Alignas(16) char data[4 << 20];
static char text[4 << 20];

static size_t count_in(const char *path, const char *what)
{
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0, found = 0;

    if (f)
        fclose(f);
    text[n] = '\0';
    for (const char *p = text; (p = strstr(p, what)); p++)
        found++;
    return found;
}

/* Lines that name what, in HTTPERR and in the site's log. */
static size_t lines_of(const char *what)
{
    char path[512];
    size_t found = 0;

    snprintf(path, sizeof(path), "%s/W3SVC1", dir);
    DIR *d = opendir(path);

    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof(path), "%s/W3SVC1/%s", dir, e->d_name);
        if (e->d_name[0] != '.')
            found += count_in(path, what);
    }
    if (d)
        closedir(d);
    snprintf(path, sizeof(path), "%s/HTTPERR/httperr1.log", dir);
    return found + count_in(path, what);
}

static void expect_line(const char *what)
{
    uint64_t until = clock_mono_ms() + 5000;

    while (lines_of(what) == 0) {
        if (clock_mono_ms() > until)
            fail_msg("in no log: %s\n%s", what, text);
        usleep(20000);
    }
}

/* The request has left this line and no other. */
static void expect_one_line(const char *path, const char *line)
{
    expect_line(line);
    usleep(1500000); /* what a second one would take to get to the disk */
    assert_int_equal(lines_of(path), 1);
}

static uint64_t take(struct fake_worker *w, const char *path)
{
    struct request_message m;
    uint64_t id = 0;

    assert_true(worker_take(w, data, sizeof(data), &m, &id));
    assert_int_equal(m.path.n, strlen(path));
    assert_memory_equal(m.path.p, path, m.path.n);
    return id;
}

static void expect_abort(struct fake_worker *w, uint64_t id)
{
    struct ring_record rec;

    do
        assert_true(worker_take_record(w, data, sizeof(data), &rec));
    while (rec.type == MSG_CREDIT);
    assert_int_equal(rec.type, MSG_REQUEST_ABORT);
    assert_int_equal(rec.id, id);
}

static void reset_answer(struct fake_worker *w, uint64_t id)
{
    struct msg_end end = {0};

    worker_send(w, MSG_RESPONSE_RESET, 0, id, &end, sizeof(end));
}

static void settle(void)
{
    usleep(300000); /* more than two ticks */
}

static void hard_close(int fd)
{
    struct linger hard = {.l_onoff = 1};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(fd);
}

/* A client that does not let much be on its way. */
static int narrow_client(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), narrow = 32768;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(port)};
    struct timeval patience = {.tv_sec = 5};

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &narrow, sizeof(narrow));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void want(struct fake_worker *w, uint64_t id, uint64_t amount)
{
    struct msg_amount m = {.amount = amount};

    worker_send(w, MSG_BODY_WANTED, 0, id, &m, sizeof(m));
}

/* Takes body records until the last one; gives the bytes. */
static size_t body_of(struct fake_worker *w, uint64_t id)
{
    struct ring_record rec;
    size_t n = 0;

    do {
        assert_true(worker_take_record(w, data, sizeof(data), &rec));
        assert_int_equal(rec.type, MSG_REQUEST_BODY);
        assert_int_equal(rec.id, id);
        n += rec.len;
    } while (!(rec.flags & MSG_END));
    return n;
}

static void nothing_is_left(void)
{
    uint64_t until = clock_mono_ms() + 4000;

    while (fixture_connections() > 0 && clock_mono_ms() < until)
        usleep(50000);
    assert_int_equal(fixture_connections(), 0);
    assert_int_equal(fixture_queued(), 0);
}

/* --- bodies --- */

static void a_body_may_follow_a_head_that_closes(void **state)
{
    struct fake_worker *w = *state;
    int c[CONNECTIONS];

    /* Some heads are there when the connection is accepted, all bodies come later. */
    for (int i = 0; i < CONNECTIONS; i++) {
        c[i] = client_connect(port);
        client_send(c[i], "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
                          "Connection: close\r\n\r\n");
    }
    uint64_t ids[CONNECTIONS];

    for (int i = 0; i < CONNECTIONS; i++) {
        ids[i] = take(w, "/later");
        want(w, ids[i], 100);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        client_send(c[i], "body");
    for (int i = 0; i < CONNECTIONS; i++) {
        struct ring_record rec;
        assert_true(worker_take_record(w, data, sizeof(data), &rec));
        assert_int_equal(rec.type, MSG_REQUEST_BODY);
        worker_answer(w, rec.id, 200, "", "ok", 0, 0, true);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        client_read_until(c[i], text, sizeof(text), "\r\n\r\nok");
        assert_non_null(strstr(text, "\r\n\r\nok"));
        assert_true(client_closed(c[i]));
        close(c[i]);
    }
    nothing_is_left();
}

static void leaving_is_noticed_whatever_the_head_said(void **state)
{
    struct fake_worker *w = *state;
    int c[CONNECTIONS];

    for (int i = 0; i < CONNECTIONS; i++) {
        c[i] = client_connect(port);
        client_send(c[i], "GET /gone HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }
    uint64_t ids[CONNECTIONS];

    for (int i = 0; i < CONNECTIONS; i++)
        ids[i] = take(w, "/gone");
    settle();
    for (int i = 0; i < CONNECTIONS; i++)
        hard_close(c[i]);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct ring_record rec;
        assert_true(worker_take_record(w, data, sizeof(data), &rec));
        assert_int_equal(rec.type, MSG_REQUEST_ABORT);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        reset_answer(w, ids[i]);
    nothing_is_left();
}

static void a_client_may_shut_its_side_after_the_body(void **state)
{
    static const char *const bodies[] = {"Content-Length: 5\r\n\r\nbbbbb",
                                         "Transfer-Encoding: chunked\r\n\r\n2\r\nbb\r\n3\r\nbbb\r\n0\r\n\r\n"};
    struct fake_worker *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        int c = client_connect(port);
        client_send(c, "POST /half HTTP/1.1\r\nHost: a\r\n");
        client_send(c, bodies[i]);
        shutdown(c, SHUT_WR);
        uint64_t id = take(w, "/half");
        settle(); /* the end of the stream has been seen */
        want(w, id, 1000);
        assert_int_equal(body_of(w, id), 5);
        worker_answer(w, id, 200, "", "half", 0, 0, true);
        client_read_until(c, text, sizeof(text), "\r\n\r\nhalf");
        assert_non_null(strstr(text, "\r\n\r\nhalf"));
        close(c);
    }
    /* But not before its end. */
    int c = client_connect(port);

    client_send(c, "POST /short HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nbbbb");
    shutdown(c, SHUT_WR);
    uint64_t id = take(w, "/short");

    expect_abort(w, id);
    reset_answer(w, id);
    close(c);
    nothing_is_left();
}

static void a_length_beyond_any_body_does_not_confuse_the_worker(void **state)
{
    static const char *const lengths[] = {"9223372036854775807", "9223372036854775808",
                                          "18446744073709551614", "18446744073709551615"};
    struct fake_worker *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        int c = client_connect(port);
        struct request_message m;
        uint64_t id;
        client_send(c, "PUT /huge HTTP/1.1\r\nHost: a\r\nContent-Length: ");
        client_send(c, lengths[i]);
        client_send(c, "\r\n\r\nx");
        assert_true(worker_take(w, data, sizeof(data), &m, &id));
        assert_true(m.head.content_length == INT64_MAX);
        worker_answer(w, id, 413, "", "", MSGR_CLOSE, 0, true);
        client_read_until(c, text, sizeof(text), "\r\n\r\n");
        close(c);
    }
    nothing_is_left();
}

static void a_large_body_crosses_in_bounded_records(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options big = {.max_request_bytes = 1 << 20};

    fixture_generation(&big);
    fixture_worker_gone(w);
    fixture_attach(w);
    int c = client_connect(port);
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
    uint64_t id = take(w, "/wide");
    size_t sent = 0, got = 0;

    want(w, id, 1 << 30);
    while (got < 600000) {
        struct ring_record rec;
        if (sent < 600000) {
            ssize_t n = send(c, body + sent, 600000 - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            sent += n > 0 ? (size_t)n : 0;
        }
        assert_true(worker_take_record(w, data, sizeof(data), &rec));
        assert_int_equal(rec.type, MSG_REQUEST_BODY);
        assert_true(rec.len <= MESSAGE_BODY_MAX);
        got += rec.len;
    }
    worker_answer(w, id, 200, "", "wide", 0, 0, true);
    client_read_until(c, text, sizeof(text), "\r\n\r\nwide");
    free(body);
    close(c);
    fixture_generation(&(struct fixture_options){0});
    nothing_is_left();
}

/* --- heads --- */

static char *many_headers(size_t n, const char *line)
{
    size_t k = strlen(line);
    char *s = xmalloc(n * k + 64), *p = s;

    p += snprintf(p, 64, "GET /many HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 0; i < n; i++, p += k)
        memcpy(p, line, k);
    memcpy(p, "\r\n", 3);
    return s;
}

static void send_all(int c, const char *s)
{
    size_t n = strlen(s);

    while (n) {
        ssize_t k = send(c, s, n, MSG_NOSIGNAL);
        if (k <= 0)
            return; /* refused before all was sent */
        s += k;
        n -= (size_t)k;
    }
}

static void many_headers_arrive_or_are_refused(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options big = {.max_request_bytes = 16777216};
    struct request_message m;
    uint64_t id;

    fixture_generation(&big);
    fixture_worker_gone(w);
    fixture_attach(w);
    int c = client_connect(port);
    char *s = many_headers(60000, "a:\r\n");

    send_all(c, s);
    free(s);
    assert_true(worker_take(w, data, sizeof(data), &m, &id));
    assert_int_equal(m.head.n_fields, 60001);
    worker_answer(w, id, 200, "", "many", 0, 0, true);
    client_read_until(c, text, sizeof(text), "\r\n\r\nmany");
    /* More than the message can count, and more than a worker should have to hold. */
    for (int i = 0; i < 2; i++) {
        char line[70000] = "a:\r\n";
        if (i == 1) {
            memset(line, 'v', 60000);
            memcpy(line, "a:", 2);
            memcpy(line + 60000, "\r\n", 3);
        }
        s = many_headers(i ? 250 : 70000, line);
        if (i == 1) {
            close(c);
            c = client_connect(port);
        }
        send_all(c, s);
        free(s);
        client_read_until(c, text, sizeof(text), "</HTML>");
        assert_non_null(strstr(text, "400 Bad Request"));
        expect_line("GET /many - 400 1 RequestLength P");
    }
    close(c);
    fixture_generation(&(struct fixture_options){0});
    nothing_is_left();
}

static void a_head_for_which_no_ring_is_made_blocks_nobody(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options big = {.max_request_bytes = 4 << 20};

    fixture_worker_gone(w);
    fixture_attach(w); /* the ring of the old limit */
    fixture_generation(&big);
    int c = client_connect(port), after = client_connect(port);
    char *s = many_headers(2000, "X-Long: 0123456789012345678901234567890123456789012345678901234567"
                                 "0123456789012345678901234567890123456789012345678901234567890123"
                                 "0123456789012345678901234567890123456789012345678901234567890\r\n");

    send_all(c, s);
    free(s);
    settle();
    client_send(after, "GET /after HTTP/1.1\r\nHost: a\r\n\r\n");
    worker_answer(w, take(w, "/after"), 200, "", "after", 0, 0, true);
    client_read_until(after, text, sizeof(text), "\r\n\r\nafter");
    client_read_until(c, text, sizeof(text), "</HTML>");
    assert_non_null(strstr(text, "400 Bad Request"));
    close(c);
    close(after);
    fixture_generation(&(struct fixture_options){0});
    nothing_is_left();
}

/* --- one line per request --- */

static void timers_leave_one_line(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options quick = {.connection_timeout = SHORT_MS, .header_wait = SHORT_MS};

    fixture_generation(&quick);
    /* In the ring, not taken. */
    int queued = client_connect(port);

    client_send(queued, "GET /t-queue HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(client_closed(queued));
    uint64_t id = take(w, "/t-queue");
    expect_abort(w, id);
    reset_answer(w, id);
    /* Taken, the body stalls. */
    int body = client_connect(port);

    client_send(body, "POST /t-body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    id = take(w, "/t-body");
    assert_true(client_closed(body));
    expect_abort(w, id);
    reset_answer(w, id);
    /* The head stalls. */
    int head = client_connect(port);

    client_send(head, "GET /t-head HTTP/1.1\r\nHost: a\r\n");
    assert_true(client_closed(head));
    close(queued);
    close(body);
    close(head);
    fixture_generation(&(struct fixture_options){0});
    expect_one_line("/t-queue", "GET /t-queue - - 1 Timer_ReqQueue P");
    expect_one_line("/t-body", "POST /t-body - - 1 Timer_EntityBody P");
    expect_one_line("/t-head", "GET /t-head - - - Timer_HeaderWait -");
    nothing_is_left();
}

static void a_client_that_leaves_in_the_queue_leaves_one_line(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    client_send(c, "GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    assert_int_equal(fixture_queued(), 1);
    hard_close(c);
    settle();
    assert_int_equal(fixture_queued(), 0);
    uint64_t id = take(w, "/left");

    expect_abort(w, id);
    reset_answer(w, id);
    expect_one_line("/left", "GET /left - - 1 Client_Reset P");
    nothing_is_left();
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
        clients[i] = client_connect(port);
        client_send(clients[i], "GET /dropped HTTP/1.1\r\nHost: a\r\n\r\n");
        ids[i] = take(w, "/dropped");
    }
    for (int i = 0; i < LIST + MORE; i++)
        hard_close(clients[i]);
    for (int i = 0; i < LIST + MORE; i++)
        expect_abort(w, ids[i]);
    expect_line("Connection_Dropped_List_Full P");
    for (int i = 0; i < LIST + MORE; i++)
        reset_answer(w, ids[i]);
    nothing_is_left();
    expect_line("/dropped");
    settle();
    assert_int_equal(lines_of("/dropped - - 1 Connection_Dropped_List_Full P"), MORE);
    assert_int_equal(lines_of("/dropped - - 1 Connection_Dropped P"), LIST);
    fixture_pool("Started", "", 1000);
}

static void a_worker_that_gives_up_leaves_one_line(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    client_send(c, "GET /gave-up HTTP/1.1\r\nHost: a\r\n\r\n");
    reset_answer(w, take(w, "/gave-up"));
    assert_true(client_closed(c));
    close(c);
    expect_one_line("/gave-up", "GET /gave-up - - 1 Connection_Abandoned_By_ReqQueue P");
    nothing_is_left();
}

static void a_drained_body_that_stalls_is_told_apart_from_its_answer(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options quick = {.connection_timeout = SHORT_MS};

    fixture_generation(&quick);
    int c = client_connect(port);

    client_send(c, "POST /stall HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    worker_answer(w, take(w, "/stall"), 403, "", "no", 0, 0, true);
    client_read_until(c, text, sizeof(text), "\r\n\r\nno");
    assert_true(client_closed(c));
    close(c);
    fixture_generation(&(struct fixture_options){0});
    /* The answer has its line; that the connection ended for another reason is HTTPERR's. */
    expect_line("POST /stall - - 1 Timer_EntityBody P");
    usleep(1500000);
    assert_int_equal(lines_of("/stall"), 2);
    nothing_is_left();
}

static void a_slow_reader_leaves_one_line(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options fast = {.min_bytes = 500 * 1000 * 1000};
    static char block[60000];
    uint64_t id;

    fixture_generation(&fast);
    int c = narrow_client();

    client_send(c, "GET /slow-reader HTTP/1.1\r\nHost: a\r\n\r\n");
    id = take(w, "/slow-reader");
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
    reset_answer(w, id);
    fixture_generation(&(struct fixture_options){0});
    expect_one_line("/slow-reader", "GET /slow-reader - - 1 Timer_MinBytesPerSecond P");
    close(c);
    nothing_is_left();
}

/* --- timers --- */

static void nobody_is_blamed_for_a_worker_that_does_not_read(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options quick = {.connection_timeout = SHORT_MS};
    static char block[100001];

    fixture_generation(&quick);
    int c = client_connect(port);

    memset(block, 'b', sizeof(block) - 1);
    client_send(c, "POST /patient HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    uint64_t id = take(w, "/patient");

    client_send(c, block); /* more than the listener keeps: the rest waits in the kernel */
    usleep(2 * SHORT_MS * 1000);
    want(w, id, 1 << 20);
    assert_int_equal(body_of(w, id), 100000);
    worker_answer(w, id, 200, "", "fine", 0, 0, true);
    client_read_until(c, text, sizeof(text), "\r\n\r\nfine");
    assert_non_null(strstr(text, "200 OK"));
    close(c);
    fixture_generation(&(struct fixture_options){0});
    nothing_is_left();
}

static void an_answer_under_way_needs_no_more_body(void **state)
{
    struct fake_worker *w = *state;
    struct fixture_options quick = {.connection_timeout = SHORT_MS};

    fixture_generation(&quick);
    int c = client_connect(port);

    client_send(c, "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    uint64_t id = take(w, "/early");

    worker_answer(w, id, 200, "", "one", MSGR_LENGTH, 6, false);
    usleep(2 * SHORT_MS * 1000); /* the worker is slow, not the client */
    worker_send(w, MSG_RESPONSE_BODY, MSG_END, id, "two", 3);
    client_read_until(c, text, sizeof(text), "onetwo");
    assert_non_null(strstr(text, "onetwo"));
    close(c);
    fixture_generation(&(struct fixture_options){0});
    nothing_is_left();
}

/* --- answers --- */

static uint64_t wait_for_text(int c, const char *what)
{
    uint64_t from = clock_mono_ms();

    client_read_until(c, text, sizeof(text), what);
    assert_non_null(strstr(text, what));
    return clock_mono_ms() - from;
}

static void pieces_of_an_answer_leave_at_once(void **state)
{
    struct fake_worker *w = *state;
    uint64_t piece = 1000, end = 1000;

    for (int i = 0; i < 5; i++) {
        int c = client_connect(port);
        client_send(c, "GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n");
        uint64_t id = take(w, "/pieces");
        worker_answer(w, id, 200, "", "", 0, 0, false);
        worker_send(w, MSG_RESPONSE_BODY, 0, id, "event", 5);
        uint64_t ms = wait_for_text(c, "event");
        piece = ms < piece ? ms : piece;
        worker_send(w, MSG_RESPONSE_BODY, MSG_END, id, "!", 1);
        client_read_until(c, text, sizeof(text), "0\r\n\r\n");

        client_send(c, "GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n");
        id = take(w, "/pieces");
        struct msg_end done = {0};
        worker_answer(w, id, 200, "", "", MSGR_LENGTH, 4, false);
        worker_send(w, MSG_RESPONSE_BODY, 0, id, "last", 4);
        worker_send(w, MSG_RESPONSE_END, MSG_END, id, &done, sizeof(done));
        ms = wait_for_text(c, "last");
        end = ms < end ? ms : end;
        close(c);
    }
    assert_in_range(piece, 0, 150);
    assert_in_range(end, 0, 150);
    nothing_is_left();
}

static void tiny_pieces_to_a_stalled_client_stay_within_the_credit(void **state)
{
    struct fake_worker *w = *state;
    int c = narrow_client();

    client_send(c, "GET /tiny HTTP/1.1\r\nHost: a\r\n\r\n");
    uint64_t id = take(w, "/tiny"), credit = RESPONSE_CREDIT, sent = 0, back = 0;

    worker_answer(w, id, 200, "", "", 0, 0, false);
    while (sent < credit) {
        struct ring_record rec;
        worker_send(w, MSG_RESPONSE_BODY, 0, id, "x", 1);
        sent++;
        while (ring_peek(&w->requests, &rec) == RC_OK) {
            struct msg_amount m;
            assert_int_equal(rec.type, MSG_CREDIT);
            memcpy(&m, rec.payload, sizeof(m));
            back += m.amount;
            ring_pop(&w->requests, &rec);
        }
    }
    assert_true(back <= sent); /* what frames the pieces was never taken from the credit */
    settle();
    hard_close(c);
    expect_abort(w, id); /* it was not taken for malformed */
    reset_answer(w, id);
    nothing_is_left();
}

static void an_answer_cannot_claim_a_body_and_withhold_it(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    client_send(c, "GET /claim HTTP/1.1\r\nHost: a\r\n\r\n");
    worker_answer(w, take(w, "/claim"), 200, "", "", MSGR_LENGTH | MSGR_NO_BODY, 100, true);
    fixture_expect("worker_malformed");
    fixture_worker_gone(w);
    assert_true(client_closed(c));
    close(c);
    fixture_attach(w);
    nothing_is_left();
}

static void the_rest_of_a_request_does_not_take_the_answer_away(void **state)
{
    struct fake_worker *w = *state;
    static char junk[200001], body[3001];

    memset(junk, 'j', sizeof(junk) - 1);
    memset(body, 'r', sizeof(body) - 1);
    for (int i = 0; i < 5; i++) {
        int c = client_connect(port);
        client_send(c, "GET /junk HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        send_all(c, junk);
        settle();
        worker_answer(w, take(w, "/junk"), 200, "", body, 0, 0, true);
        settle();
        size_t n = client_read_until(c, text, sizeof(text), "no such text");
        assert_true(n > sizeof(body));
        assert_non_null(strstr(text, body));
        close(c);
    }
    nothing_is_left();
}

static void a_refusal_waits_for_a_client_that_reads_late(void **state)
{
    struct fake_worker *w = *state;
    int c = narrow_client();
    static char body[3001];

    /* Answers fill the way to the client, so that the refusal has to wait in the listener. */
    memset(body, 'r', sizeof(body) - 1);
    struct timeval brief = {.tv_usec = 300000};
    struct pollfd p = {.fd = c, .events = POLLOUT};

    setsockopt(c, SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof(brief));
    for (int i = 0; i < 3000 && poll(&p, 1, 0) == 1; i++) {
        struct ring_record rec;
        client_send(c, "GET /fill HTTP/1.1\r\nHost: a\r\n\r\n");
        uint64_t until = clock_mono_ms() + 300;
        while (ring_peek(&w->requests, &rec) != RC_OK && clock_mono_ms() < until)
            usleep(200);
        if (ring_peek(&w->requests, &rec) != RC_OK)
            break; /* the last answer is stuck: this request waits behind it */
        uint64_t id = rec.id;
        ring_pop(&w->requests, &rec);
        worker_answer(w, id, 200, "", body, 0, 0, true);
    }
    /* One request is in the listener's buffer; behind it comes nonsense and the end. */
    client_send(c, "nonsense\r\n\r\n");
    shutdown(c, SHUT_WR);
    settle();
    size_t n = 0;
    bool answered = false;

    for (uint64_t until = clock_mono_ms() + 10000; clock_mono_ms() < until;) {
        struct ring_record rec;
        ssize_t k = recv(c, text + n, sizeof(text) - 1 - n, MSG_DONTWAIT);
        if (k == 0 || (k < 0 && errno != EAGAIN))
            break;
        n += k > 0 ? (size_t)k : 0;
        if (!answered && ring_peek(&w->requests, &rec) == RC_OK) {
            uint64_t id = rec.id;
            ring_pop(&w->requests, &rec);
            worker_answer(w, id, 200, "", body, 0, 0, true);
            answered = true;
        }
        usleep(1000);
    }
    text[n] = '\0';
    if (n < 200 || !strstr(text + n - 200, "</HTML>"))
        fail_msg("%zu bytes, answered %d: %s", n, answered, n > 300 ? text + n - 300 : text);
    close(c);
    nothing_is_left();
}

static void a_handle_may_be_used_again_after_its_close(void **state)
{
    struct fake_worker *w = *state;
    FILE *f = tmpfile();
    int c[2];

    for (int i = 0; i < 8 << 20; i += 1024)
        fwrite(data, 1, 1024, f);
    fflush(f);
    for (int i = 0; i < 2; i++) {
        c[i] = narrow_client();
        client_send(c[i], "GET /again HTTP/1.1\r\nHost: a\r\n\r\n");
        uint64_t id = take(w, "/again");
        struct msg_file part = {.length = 8 << 20, .handle = 5};
        struct msg_amount handle = {.amount = 5};
        assert_true(region_send_file(w->file_sock, 5, fileno(f)));
        worker_answer(w, id, 200, "", "", MSGR_LENGTH, 8 << 20, false);
        worker_send(w, MSG_RESPONSE_FILE, MSG_END, id, &part, sizeof(part));
        worker_send(w, MSG_FILE_CLOSE, 0, 0, &handle, sizeof(handle));
    }
    settle();
    /* The worker goes while both are being sent; what it has handed over still arrives. */
    fixture_worker_gone(w);
    fixture_attach(w);
    for (int i = 0; i < 2; i++) {
        size_t n = 0;
        while (n < 8 << 20) {
            ssize_t k = recv(c[i], text, sizeof(text), 0);
            assert_true(k > 0);
            n += (size_t)k;
        }
        close(c[i]);
    }
    fclose(f);
    nothing_is_left();
}

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
        settle();
        int first = client_connect(port), second = client_connect(port), third;
        client_send(first, get);
        worker_answer(w, take(w, "/conn"), 200, "", "1", 0, 0, true);
        client_read_until(first, text, sizeof(text), "\r\n\r\n1");
        client_send(second, get);
        client_read_until(second, text, sizeof(text), "</HTML>");
        assert_true(tcp_level || strstr(text, "503 Service Unavailable"));
        close(first);
        usleep(100000);
        third = client_connect(port); /* while the second still lingers */
        client_send(third, get);
        worker_answer(w, take(w, "/conn"), 200, "", "3", 0, 0, true);
        client_read_until(third, text, sizeof(text), "\r\n\r\n3");
        assert_non_null(strstr(text, "200 OK"));
        close(second);
        close(third);
        nothing_is_left();
    }
    fixture_pool("Started", "", 1000);
    fixture_generation(&(struct fixture_options){0});
}

static void requests_of_a_dead_worker_of_a_stopped_pool_are_refused(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    client_send(c, "GET /orphan HTTP/1.1\r\nHost: a\r\n\r\n");
    settle(); /* in the ring now */
    fixture_pool("Stopped", "AppOffline", 1000);
    settle();
    fixture_worker_gone(w);
    client_read_until(c, text, sizeof(text), "</HTML>");
    assert_non_null(strstr(text, "503 Service Unavailable"));
    expect_line("GET /orphan - 503 1 AppOffline P");
    close(c);
    fixture_pool("Started", "", 1000);
    settle();
    fixture_attach(w);
    nothing_is_left();
}

static void a_drained_worker_reports_when_it_is_empty(void **state)
{
    struct fake_worker *w = *state;
    struct fake_worker next;
    int c = client_connect(port), d = client_connect(port);

    client_send(c, "GET /old HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    fixture_drain(w);
    fixture_attach(&next);
    settle();
    client_send(d, "GET /new HTTP/1.1\r\nHost: a\r\n\r\n");
    worker_answer(&next, take(&next, "/new"), 200, "", "new", 0, 0, true);
    client_read_until(d, text, sizeof(text), "\r\n\r\nnew");
    worker_answer(w, take(w, "/old"), 200, "", "old", 0, 0, true);
    client_read_until(c, text, sizeof(text), "\r\n\r\nold");
    fixture_expect("worker_drained");
    fixture_worker_gone(w);
    *w = next;
    close(c);
    close(d);
    nothing_is_left();
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
    int c = client_connect(port), d = client_connect(port);
    char *s = many_headers(300, "X-Header: 0123456789012345678\r\n");

    client_send(c, "GET /swap HTTP/1.1\r\nHost: a\r\n\r\n");
    uint64_t id = take(w, "/swap");
    size_t half = strlen(s) / 2;

    assert_int_equal(send(d, s, half, MSG_NOSIGNAL), half);
    settle();
    fixture_generation(&less);
    settle();
    /* What has begun goes on under the limits it began with. */
    client_send(d, s + half);
    struct request_message m;
    uint64_t other;

    assert_true(worker_take(w, data, sizeof(data), &m, &other));
    assert_int_equal(m.head.n_fields, 301);
    worker_answer(w, other, 200, "", "big", 0, 0, true);
    client_read_until(d, text, sizeof(text), "\r\n\r\nbig");
    worker_answer(w, id, 200, "", "swap", 0, 0, true);
    client_read_until(c, text, sizeof(text), "\r\n\r\nswap");
    /* And the next request under the new ones. */
    client_send(d, s);
    client_read_until(d, text, sizeof(text), "</HTML>");
    assert_non_null(strstr(text, "400 Bad Request"));
    free(s);
    close(c);
    close(d);
    fixture_generation(&(struct fixture_options){0});
    nothing_is_left();
}

static void without_descriptors_connections_wait(void **state)
{
    struct fake_worker *w = *state;
    struct rlimit old, none;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int c = client_connect(port);

    client_send(c, "GET /has-one HTTP/1.1\r\nHost: a\r\n\r\n");
    worker_answer(w, take(w, "/has-one"), 200, "", "zero", 0, 0, true);
    client_read_until(c, text, sizeof(text), "\r\n\r\nzero");
    none = old;
    none.rlim_cur = 1;
    int e = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(port)};

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(connect(e, (struct sockaddr *)&a, sizeof(a)), 0);
    client_send(e, "GET /emfile HTTP/1.1\r\nHost: a\r\n\r\n");
    client_send(c, "GET /has-one HTTP/1.1\r\nHost: a\r\n\r\n");
    worker_answer(w, take(w, "/has-one"), 200, "", "one", 0, 0, true);
    client_read_until(c, text, sizeof(text), "\r\n\r\none");
    settle();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    worker_answer(w, take(w, "/emfile"), 200, "", "late", 0, 0, true);
    client_read_until(e, text, sizeof(text), "\r\n\r\nlate");
    close(c);
    close(e);
    nothing_is_left();
}

static int set_up(void **state)
{
    static struct fake_worker w;

    if (!mkdtemp(dir))
        return -1;
    port = fixture_start(dir);
    fixture_attach(&w);
    *state = &w;
    return 0;
}

/* The listener stops while it is as busy as it can be. */
static int tear_down(void **state)
{
    struct fake_worker *w = *state;
    const char *requests[] = {"GET /stop-held HTTP/1.1\r\nHost: a\r\n\r\n",
                              "POST /stop-body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na",
                              "GET /stop-started HTTP/1.1\r\nHost: a\r\n\r\n",
                              "GET /stop-in-ring HTTP/1.1\r\nHost: a\r\n\r\n",
                              "GET /stop-head HTTP/1.1\r\nHo"};
    int c[ARRAY_LEN(requests)];

    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        c[i] = client_connect(port);
        client_send(c[i], requests[i]);
        settle();
        struct request_message m;
        uint64_t id;
        if (i < 3 && !worker_take(w, data, sizeof(data), &m, &id))
            return -1;
        if (i == 2)
            worker_answer(w, id, 200, "", "begun", MSGR_LENGTH, 100, false);
    }
    settle();
    uint64_t from = clock_mono_ms();

    fixture_stop_within(500);
    if (clock_mono_ms() - from > 4000)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        const char *path = strchr(requests[i], '/');
        char *one = str_dup_z(str_n(path, strcspn(path, " ")));
        size_t n = lines_of(one);
        if (n != 1) {
            print_error("%zu lines of %s\n%s", n, one, text);
            return -1;
        }
        free(one);
    }
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        close(c[i]);
    region_unmap(&w->region);
    char *cmd = xasprintf("rm -rf %s", dir);
    int rc = system(cmd);

    free(cmd);
    return rc;
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
        cmocka_unit_test(timers_leave_one_line),
        cmocka_unit_test(a_client_that_leaves_in_the_queue_leaves_one_line),
        cmocka_unit_test(the_list_of_dropped_connections_is_bounded),
        cmocka_unit_test(a_worker_that_gives_up_leaves_one_line),
        cmocka_unit_test(a_drained_body_that_stalls_is_told_apart_from_its_answer),
        cmocka_unit_test(a_slow_reader_leaves_one_line),
        cmocka_unit_test(nobody_is_blamed_for_a_worker_that_does_not_read),
        cmocka_unit_test(an_answer_under_way_needs_no_more_body),
        cmocka_unit_test(pieces_of_an_answer_leave_at_once),
        cmocka_unit_test(tiny_pieces_to_a_stalled_client_stay_within_the_credit),
        cmocka_unit_test(an_answer_cannot_claim_a_body_and_withhold_it),
        cmocka_unit_test(the_rest_of_a_request_does_not_take_the_answer_away),
        cmocka_unit_test(a_refusal_waits_for_a_client_that_reads_late),
        cmocka_unit_test(a_handle_may_be_used_again_after_its_close),
        cmocka_unit_test(refused_connections_do_not_count),
        cmocka_unit_test(requests_of_a_dead_worker_of_a_stopped_pool_are_refused),
        cmocka_unit_test(a_drained_worker_reports_when_it_is_empty),
        cmocka_unit_test(a_malformed_worker_costs_no_time),
        cmocka_unit_test(a_generation_changes_under_way),
        cmocka_unit_test(without_descriptors_connections_wait),
    };
    const char *only = getenv("ONLY"); /* of the test's name */

    if (only)
        cmocka_set_test_filter(only);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
