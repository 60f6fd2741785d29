/* Answers and the client: pieces, credit, refusals that wait, files that outlive their worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "faults_fixture.h"
#include "stopwatch.h"

/* --- answers --- */

static uint64_t wait_for_text(int c, const char *what)
{
    uint64_t from = clock_mono_ms();

    client_read_until(c, faults.text, sizeof(faults.text), what);
    assert_non_null(strstr(faults.text, what));
    return clock_mono_ms() - from;
}

static void pieces_of_an_answer_leave_at_once(void **state)
{
    struct fake_worker *w = *state;
    uint64_t piece = 1000, end = 1000;

    /* The best of some; a machine that is busy has more tries. */
    for (int i = 0; i < 5 || (i < 100 && (piece > 150 || end > 150)); i++) {
        int c = client_connect(faults.port);
        client_send(c, "GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n");
        uint64_t id = faults_take(w, "/pieces");
        worker_answer(w, id, 200, "", "", 0, 0, false);
        worker_send(w, MSG_RESPONSE_BODY, 0, id, "event", 5);
        uint64_t ms = wait_for_text(c, "event");
        piece = ms < piece ? ms : piece;
        worker_send(w, MSG_RESPONSE_BODY, MSG_END, id, "!", 1);
        client_read_until(c, faults.text, sizeof(faults.text), "0\r\n\r\n");

        client_send(c, "GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n");
        id = faults_take(w, "/pieces");
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
    faults_nothing_is_left();
}

static void tiny_pieces_to_a_stalled_client_stay_within_the_credit(void **state)
{
    struct fake_worker *w = *state;
    int c = faults_narrow_client();

    client_send(c, "GET /tiny HTTP/1.1\r\nHost: a\r\n\r\n");
    uint64_t id = faults_take(w, "/tiny"), credit = RESPONSE_CREDIT, sent = 0, back = 0;

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
    faults_pause();
    faults_hard_close(c);
    faults_expect_abort(w, id); /* it was not taken for malformed */
    faults_reset_answer(w, id);
    faults_nothing_is_left();
}

static void an_answer_cannot_claim_a_body_and_withhold_it(void **state)
{
    struct fake_worker *w = *state;
    int c = client_connect(faults.port);

    client_send(c, "GET /claim HTTP/1.1\r\nHost: a\r\n\r\n");
    worker_answer(w, faults_take(w, "/claim"), 200, "", "", MSGR_LENGTH | MSGR_NO_BODY, 100, true);
    fixture_expect("worker_malformed");
    fixture_worker_gone(w);
    assert_true(client_closed(c));
    close(c);
    fixture_attach(w);
    faults_nothing_is_left();
}

static void the_rest_of_a_request_does_not_take_the_answer_away(void **state)
{
    struct fake_worker *w = *state;
    static char junk[200001], body[3001];

    memset(junk, 'j', sizeof(junk) - 1);
    memset(body, 'r', sizeof(body) - 1);
    for (int i = 0; i < 5; i++) {
        int c = client_connect(faults.port);
        client_send(c, "GET /junk HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        faults_send_all(c, junk);
        faults_pause();
        worker_answer(w, faults_take(w, "/junk"), 200, "", body, 0, 0, true);
        faults_pause();
        size_t n = client_read_until(c, faults.text, sizeof(faults.text), "no such text");
        assert_true(n > sizeof(body));
        assert_non_null(strstr(faults.text, body));
        close(c);
    }
    faults_nothing_is_left();
}

static void a_refusal_waits_for_a_client_that_reads_late(void **state)
{
    struct fake_worker *w = *state;
    int c = faults_narrow_client();
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
    faults_pause();
    size_t n = 0;
    bool answered = false;

    for (uint64_t until = clock_mono_ms() + PATIENCE_MS; clock_mono_ms() < until;) {
        struct ring_record rec;
        ssize_t k = recv(c, faults.text + n, sizeof(faults.text) - 1 - n, MSG_DONTWAIT);
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
    faults.text[n] = '\0';
    if (n < 200 || !strstr(faults.text + n - 200, "</HTML>"))
        fail_msg("%zu bytes, answered %d: %s", n, answered,
                 n > 300 ? faults.text + n - 300 : faults.text);
    close(c);
    faults_nothing_is_left();
}

static void a_handle_may_be_used_again_after_its_close(void **state)
{
    struct fake_worker *w = *state;
    FILE *f = tmpfile();
    int c[2];

    for (int i = 0; i < 8 << 20; i += 1024)
        fwrite(faults.data, 1, 1024, f);
    fflush(f);
    for (int i = 0; i < 2; i++) {
        c[i] = faults_narrow_client();
        client_send(c[i], "GET /again HTTP/1.1\r\nHost: a\r\n\r\n");
        uint64_t id = faults_take(w, "/again");
        struct msg_file part = {.length = 8 << 20, .handle = 5};
        struct msg_amount handle = {.amount = 5};
        assert_true(region_send_file(w->file_sock, 5, fileno(f)));
        worker_answer(w, id, 200, "", "", MSGR_LENGTH, 8 << 20, false);
        worker_send(w, MSG_RESPONSE_FILE, MSG_END, id, &part, sizeof(part));
        worker_send(w, MSG_FILE_CLOSE, 0, 0, &handle, sizeof(handle));
    }
    faults_pause();
    /* The worker goes while both are being sent; what it has handed over still arrives. */
    fixture_worker_gone(w);
    fixture_attach(w);
    for (int i = 0; i < 2; i++) {
        size_t n = 0;
        while (n < 8 << 20) {
            ssize_t k = recv(c[i], faults.text, sizeof(faults.text), 0);
            assert_true(k > 0);
            n += (size_t)k;
        }
        close(c[i]);
    }
    fclose(f);
    faults_nothing_is_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_an_answer_leave_at_once),
        cmocka_unit_test(tiny_pieces_to_a_stalled_client_stay_within_the_credit),
        cmocka_unit_test(an_answer_cannot_claim_a_body_and_withhold_it),
        cmocka_unit_test(the_rest_of_a_request_does_not_take_the_answer_away),
        cmocka_unit_test(a_refusal_waits_for_a_client_that_reads_late),
        cmocka_unit_test(a_handle_may_be_used_again_after_its_close),
    };

    return cmocka_run_group_tests(tests, faults_set_up, faults_tear_down);
}
