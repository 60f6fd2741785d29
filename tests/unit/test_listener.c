/* The listener against a scripted worker. */
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
#include "listener_fixture.h"
#include "stopwatch.h"

static unsigned short port;
static char dir[] = "/tmp/candor-test-listener-XXXXXX";
static _Alignas(16) char data[200 * 1024];
static char text[300 * 1024];

static char *read_file(const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
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

    while (!strstr(read_file("HTTPERR/httperr1.log"), what)) {
        if (clock_mono_ms() > until)
            fail_msg("not in HTTPERR: %s\n%s", what, text);
        usleep(20000);
    }
}

static uint64_t take(struct fake_worker *w, const char *path)
{
    return worker_take_path(w, data, sizeof(data), path);
}

static void a_request_reaches_the_worker_and_the_answer_the_client(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);
    struct request_message m;
    uint64_t id;

    client_send(c, "GET /a%20b?q=1 HTTP/1.1\r\nHost: here\r\nX-One: 1\r\n\r\n");
    assert_true(worker_take(w, data, sizeof(data), &m, &id));
    assert_memory_equal(m.path.p, "/a b", 4);
    assert_memory_equal(m.query.p, "q=1", 3);
    assert_memory_equal(m.host.p, "here", 4);
    assert_int_equal(m.head.n_fields, 2);
    assert_int_equal(m.head.site_id, 1);
    assert_false(m.head.flags & MSGF_HAS_BODY);
    worker_answer(w, id, 200, "Content-Type: text/plain\r\n", "hello", 0, 0, true);
    client_read_until(c, text, sizeof(text), "hello");
    assert_ptr_equal(strstr(text, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: "), text);
    assert_non_null(strstr(text, "\r\nContent-Length: 5\r\n\r\nhello"));
    close(c);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    client_send(c, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
                   "GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    worker_answer(w, take(w, "/1"), 200, "", "one", 0, 0, true);
    worker_answer(w, take(w, "/2"), 200, "", "two", 0, 0, true);
    worker_answer(w, take(w, "/3"), 200, "", "three", 0, 0, true);
    client_read_until(c, text, sizeof(text), "three");
    assert_true(strstr(text, "one") < strstr(text, "two"));
    assert_non_null(strstr(text, "Connection: close"));
    assert_true(client_closed(c));
    close(c);
}

static void head_of_a_request_may_come_byte_by_byte(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);
    const char *r = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";

    for (size_t i = 0; r[i]; i++)
        client_send(c, (char[]){r[i], '\0'});
    worker_answer(w, take(w, "/slow"), 204, "", "", 0, 0, true);
    client_read_until(c, text, sizeof(text), "\r\n\r\n");
    assert_non_null(strstr(text, "204 No Content"));
    assert_null(strstr(text, "Content-Length"));
    close(c);
}

static size_t take_body(struct fake_worker *w, uint64_t id, size_t expect)
{
    struct msg_amount all = {.amount = 1 << 20};
    size_t n = 0;
    struct ring_record rec;

    worker_send(w, MSG_BODY_WANTED, 0, id, &all, sizeof(all));
    for (;;) {
        assert_true(worker_take_record(w, data, sizeof(data), &rec));
        assert_int_equal(rec.type, MSG_REQUEST_BODY);
        assert_int_equal(rec.id, id);
        for (uint32_t i = 0; i < rec.len; i++)
            assert_int_equal(data[i], 'b');
        n += rec.len;
        if (rec.flags & MSG_END)
            break;
    }
    assert_int_equal(n, expect);
    return n;
}

static void a_body_flows_when_asked_for(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);
    char *big = xmalloc(150001);

    memset(big, 'b', 150000);
    big[150000] = '\0';
    client_send(c, "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 150000\r\n\r\n");
    uint64_t id = take(w, "/up");

    client_send(c, big);
    take_body(w, id, 150000);
    worker_answer(w, id, 200, "", "thanks", 0, 0, true);
    client_read_until(c, text, sizeof(text), "thanks");
    /* The connection goes on with the byte behind the body. */
    client_send(c, "POST /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "5\r\nbbbbb\r\n3;x=y\r\nbbb\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    id = take(w, "/chunks");
    take_body(w, id, 8);
    worker_answer(w, id, 200, "", "again", 0, 0, true);
    worker_answer(w, take(w, "/next"), 200, "", "next", 0, 0, true);
    client_read_until(c, text, sizeof(text), "next");
    free(big);
    close(c);
}

static void a_body_nobody_wants_is_dropped(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    client_send(c, "POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nbbb");
    worker_answer(w, take(w, "/no"), 405, "", "no", 0, 0, true);
    client_read_until(c, text, sizeof(text), "\r\n\r\nno");
    client_send(c, "bbbbbbbGET /then HTTP/1.1\r\nHost: a\r\n\r\n");
    worker_answer(w, take(w, "/then"), 200, "", "then", 0, 0, true);
    client_read_until(c, text, sizeof(text), "then");
    assert_non_null(strstr(text, "200 OK"));
    close(c);
}

static void continue_is_said_when_the_worker_reads(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    client_send(c,
                "POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    uint64_t id = take(w, "/e");
    struct msg_amount some = {.amount = 100};

    worker_send(w, MSG_BODY_WANTED, 0, id, &some, sizeof(some));
    client_read_until(c, text, sizeof(text), "\r\n\r\n");
    assert_string_equal(text, "HTTP/1.1 100 Continue\r\n\r\n");
    client_send(c, "bbb");
    struct ring_record rec;

    assert_true(worker_take_record(w, data, sizeof(data), &rec));
    assert_int_equal(rec.len, 3);
    worker_answer(w, id, 200, "", "ok", 0, 0, true);
    client_read_until(c, text, sizeof(text), "ok");
    close(c);
}

static void unknown_length_is_chunked_for_1_1_and_closed_for_1_0(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    client_send(c, "GET /u HTTP/1.1\r\nHost: a\r\n\r\n");
    uint64_t id = take(w, "/u");

    worker_answer(w, id, 200, "", "", 0, 0, false);
    worker_send(w, MSG_RESPONSE_BODY, 0, id, "abc", 3);
    worker_send(w, MSG_RESPONSE_BODY, MSG_END, id, "defg", 4);
    client_read_until(c, text, sizeof(text), "0\r\n\r\n");
    assert_non_null(
        strstr(text, "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"));
    close(c);

    c = client_connect(port);
    client_send(c, "GET /u HTTP/1.0\r\n\r\n");
    id = take(w, "/u");
    worker_answer(w, id, 200, "", "", 0, 0, false);
    worker_send(w, MSG_RESPONSE_BODY, MSG_END, id, "abc", 3);
    client_read_until(c, text, sizeof(text), "abc");
    assert_non_null(strstr(text, "Connection: close\r\n\r\nabc"));
    assert_true(client_closed(c));
    close(c);
}

static void files_are_sent_by_handle(void **state)
{
    struct fake_worker *w = *state;
    FILE *f = tmpfile();
    int c = client_connect(port);

    for (int i = 0; i < 100000; i++)
        fputc('a' + i % 26, f);
    fflush(f);
    client_send(c, "GET /f HTTP/1.1\r\nHost: a\r\n\r\n");
    uint64_t id = take(w, "/f");
    struct msg_file part = {.offset = 26, .length = 90000, .handle = 9};

    assert_true(region_send_file(w->file_sock, 9, fileno(f)));
    worker_answer(w, id, 200, "", "", MSGR_LENGTH, 90000, false);
    worker_send(w, MSG_RESPONSE_FILE, MSG_END, id, &part, sizeof(part));
    size_t n = client_read_until(c, text, sizeof(text), "\r\n\r\n");
    char *body = strstr(text, "\r\n\r\n") + 4;

    assert_non_null(strstr(text, "Content-Length: 90000\r\n"));
    while (n < (size_t)(body - text) + 90000) {
        ssize_t more = recv(c, text + n, sizeof(text) - n, 0);
        assert_true(more > 0);
        n += (size_t)more;
    }
    for (int i = 0; i < 90000; i++)
        assert_int_equal(body[i], 'a' + i % 26);
    struct msg_amount handle = {.amount = 9};

    worker_send(w, MSG_FILE_CLOSE, 0, 0, &handle, sizeof(handle));
    fclose(f);
    close(c);
}

static void a_long_stream_stays_within_its_credit(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);
    static char block[32768];
    uint64_t credit = RESPONSE_CREDIT, sent = 0, total = 8 << 20, got = 0;

    memset(block, 'x', sizeof(block));
    client_send(c, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    uint64_t id = take(w, "/stream");

    worker_answer(w, id, 200, "", "", MSGR_LENGTH, (int64_t)total, false);
    while (sent < total) {
        if (credit >= sizeof(block)) {
            sent += sizeof(block);
            credit -= sizeof(block);
            worker_send(w, MSG_RESPONSE_BODY, sent == total ? MSG_END : 0, id, block,
                        sizeof(block));
            continue;
        }
        /* Out of credit: it comes back only as the client reads. */
        while (got < sent) {
            ssize_t n = recv(c, text, sizeof(text), 0);
            assert_true(n > 0);
            got += (uint64_t)n;
        }
        struct ring_record rec;
        struct msg_amount m;
        assert_true(worker_take_record(w, data, sizeof(data), &rec));
        assert_int_equal(rec.type, MSG_CREDIT);
        memcpy(&m, data, sizeof(m));
        credit += m.amount;
    }
    while (got < total) {
        ssize_t n = recv(c, text, sizeof(text), 0);
        assert_true(n > 0);
        got += (uint64_t)n;
    }
    close(c);
    struct ring_record rec;

    while (ring_peek(&w->requests, &rec) == RC_OK)
        ring_pop(&w->requests, &rec);
}

static void a_client_that_leaves_aborts_its_request(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);
    struct linger hard = {.l_onoff = 1};
    struct ring_record rec;
    struct msg_end end = {0};

    client_send(c, "GET /leave HTTP/1.1\r\nHost: a\r\n\r\n");
    uint64_t id = take(w, "/leave");

    fixture_wait_queued(0); /* the listener has seen that it was taken */
    setsockopt(c, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(c);
    assert_true(worker_take_record(w, data, sizeof(data), &rec));
    assert_int_equal(rec.type, MSG_REQUEST_ABORT);
    assert_int_equal(rec.id, id);
    worker_send(w, MSG_RESPONSE_RESET, 0, id, &end, sizeof(end));
    expect_in_httperr("/leave - - 1 Connection_Dropped P");
}

static void a_dying_worker_takes_only_what_it_holds(void **state)
{
    struct fake_worker *w = *state;
    struct fake_worker next;
    int held = client_connect(port), waiting = client_connect(port);

    client_send(held, "GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    take(w, "/held");
    client_send(waiting, "GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n");
    client_wait_read(waiting); /* it is in the ring now */
    fixture_worker_gone(w);
    assert_true(client_closed(held));
    fixture_expect("demand");
    fixture_attach(&next);
    worker_answer(&next, take(&next, "/waiting"), 200, "", "second", 0, 0, true);
    client_read_until(waiting, text, sizeof(text), "second");
    expect_in_httperr("GET /held - - 1 Connection_Abandoned_By_ReqQueue P");
    close(held);
    close(waiting);
    *w = next;
}

static void nonsense_ends_the_worker_not_the_listener(void **state)
{
    static const struct {
        const char *name;
        uint16_t type;
        bool own_id;
        uint32_t len;
    } rows[] = {
        {"unknown type", 99, true, 0},
        {"unknown id", MSG_RESPONSE_END, false, sizeof(struct msg_end)},
        {"end before a head", MSG_RESPONSE_END, true, sizeof(struct msg_end)},
        {"body before a head", MSG_RESPONSE_BODY, true, 5},
        {"head cut short", MSG_RESPONSE, true, 10},
        {"head with sizes that do not add up", MSG_RESPONSE, true, sizeof(struct msg_response) + 4},
        {"unknown file", MSG_RESPONSE_FILE, true, sizeof(struct msg_file)},
        {"close of an unknown file", MSG_FILE_CLOSE, true, sizeof(struct msg_amount)},
        {"wrong size", MSG_BODY_WANTED, true, 3},
    };
    struct fake_worker *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        static const char zeros[256];
        int c = client_connect(port);
        print_message("  %s\n", rows[i].name);
        client_send(c, "GET /n HTTP/1.1\r\nHost: a\r\n\r\n");
        uint64_t id = take(w, "/n");
        worker_send(w, rows[i].type, 0, rows[i].own_id ? id : id + 12345, zeros, rows[i].len);
        fixture_expect("worker_malformed");
        fixture_worker_gone(w);
        assert_true(client_closed(c));
        close(c);
        fixture_attach(w);
    }
}

static void response_splitting_is_not_possible(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(port);

    client_send(c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    worker_answer(w, take(w, "/s"), 200, "A: b\r\nContent-Length: 0\r\n", "", 0, 0, true);
    fixture_expect("worker_malformed");
    fixture_worker_gone(w);
    assert_true(client_closed(c));
    close(c);
    fixture_attach(w);
}

static void a_full_queue_refuses(void **state)
{
    struct fake_worker *w = *state;
    int c[3];

    fixture_pool("Started", "", 2);
    fixture_settle();
    for (int i = 0; i < 3; i++) {
        c[i] = client_connect(port);
        client_send(c[i], "GET /q HTTP/1.1\r\nHost: a\r\n\r\n");
        if (i < 2)
            fixture_wait_queued(i + 1);
    }
    client_read_until(c[2], text, sizeof(text), "</HTML>");
    assert_non_null(strstr(text, "503 Service Unavailable"));
    assert_non_null(strstr(text, "Server: Microsoft-HTTPAPI/2.0"));
    expect_in_httperr("GET /q - 503 1 QueueFull P");
    worker_answer(w, take(w, "/q"), 200, "", "1", 0, 0, true);
    worker_answer(w, take(w, "/q"), 200, "", "2", 0, 0, true);
    client_read_until(c[0], text, sizeof(text), "\r\n\r\n1");
    client_read_until(c[1], text, sizeof(text), "\r\n\r\n2");
    for (int i = 0; i < 3; i++)
        close(c[i]);
    fixture_pool("Started", "", 1000);
}

static void a_stopped_pool_says_so(void **state)
{
    int c = client_connect(port);

    fixture_pool("Stopped", "Disabled", 1000);
    fixture_settle();
    client_send(c, "GET /d HTTP/1.1\r\nHost: a\r\n\r\n");
    client_read_until(c, text, sizeof(text), "</HTML>");
    assert_non_null(strstr(text, "503 Service Unavailable"));
    expect_in_httperr("GET /d - 503 1 Disabled P");
    close(c);
    fixture_pool("Started", "", 1000);
    fixture_settle();
}

static void a_bad_request_is_answered_by_the_listener(void **state)
{
    int c = client_connect(port);

    client_send(c, "helo\r\n");
    client_read_until(c, text, sizeof(text), "</HTML>");
    assert_non_null(strstr(text, "Bad Request - Invalid Verb"));
    assert_non_null(strstr(text, "Content-Length: 326"));
    expect_in_httperr("- - - - 400 - Verb -");
    close(c);
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

static int tear_down(void **state)
{
    fixture_stop();
    return fixture_remove_logs();
}

/* More than the control socket holds, one way and the other. */
static void nothing_told_is_lost_on_a_supervisor_that_reads_late(void **state)
{
    fixture_many_orders(3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_reaches_the_worker_and_the_answer_the_client),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(head_of_a_request_may_come_byte_by_byte),
        cmocka_unit_test(a_body_flows_when_asked_for),
        cmocka_unit_test(a_body_nobody_wants_is_dropped),
        cmocka_unit_test(continue_is_said_when_the_worker_reads),
        cmocka_unit_test(unknown_length_is_chunked_for_1_1_and_closed_for_1_0),
        cmocka_unit_test(files_are_sent_by_handle),
        cmocka_unit_test(a_long_stream_stays_within_its_credit),
        cmocka_unit_test(a_client_that_leaves_aborts_its_request),
        cmocka_unit_test(a_dying_worker_takes_only_what_it_holds),
        cmocka_unit_test(nonsense_ends_the_worker_not_the_listener),
        cmocka_unit_test(response_splitting_is_not_possible),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(a_stopped_pool_says_so),
        cmocka_unit_test(a_bad_request_is_answered_by_the_listener),
        cmocka_unit_test(nothing_told_is_lost_on_a_supervisor_that_reads_late),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
