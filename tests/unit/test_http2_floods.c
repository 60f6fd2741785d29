/* What a client of HTTP/2 may not do without end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include "http2_fixture.h"

static void many_resets_end_the_connection(void **state)
{
    struct h2_client *c = h2_open(faults.port, false);
    int n = 0;

    for (; n < 500 && !c->ended && !c->goaway; n++) {
        /* Refused at once, so that no worker is needed. */
        int32_t s =
            h2_request(c, ":method: GET\n:scheme: http\n:authority: a/b\n:path: /\n", NULL, 0);
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
    static const uint8_t update[] = {
        0, 0, 7, NGHTTP2_PRIORITY_UPDATE, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'u', '=', '1'};
    static const struct {
        const uint8_t *p;
        size_t n;
    } cases[] = {{ping, sizeof(ping)}, {window, sizeof(window)}, {update, sizeof(update)}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct h2_client *c = h2_open(faults.port, false);
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
    faults_expect_line("- - - - 400 - BadRequest");
}

static void empty_data_without_end_ends_the_connection(void **state)
{
    static const uint8_t empty[] = {0, 0, 0, NGHTTP2_DATA, 0, 0, 0, 0, 1};
    struct fake_worker *w = *state;
    struct h2_client *c = h2_open(faults.port, false);
    nghttp2_nv nv[] = {
        {(uint8_t *)(uintptr_t) ":method", (uint8_t *)(uintptr_t) "PUT", 7, 3, 0},
        {(uint8_t *)(uintptr_t) ":scheme", (uint8_t *)(uintptr_t) "http", 7, 4, 0},
        {(uint8_t *)(uintptr_t) ":authority", (uint8_t *)(uintptr_t) "a", 10, 1, 0},
        {(uint8_t *)(uintptr_t) ":path", (uint8_t *)(uintptr_t) "/empty", 5, 6, 0},
    };

    nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, -1, NULL, nv, 4, NULL);
    uint64_t id = http2_take_path(c, w, "/empty");

    for (int i = 0; i < 10000 && !c->ended && !c->goaway; i++) {
        h2_raw(c, empty, sizeof(empty));
        if (i % 100 == 0)
            h2_turn(c, 0);
    }
    assert_true(h2_until(c, h2_has_goaway, 0));
    assert_int_equal(c->goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
    http2_expect_abort(w, id);
    h2_close(c);
}

/* Fields that are a byte each on the wire. */
static void fields_without_end_end_the_connection(void **state)
{
    struct h2_client *c = h2_open(faults.port, false);
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
    struct h2_client *c = h2_open(faults.port, false);
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
    struct h2_client *c = h2_open(faults.port, false);
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
    struct h2_client *c = h2_open(faults.port, false);
    struct msg_end end = {.win32 = 0};
    enum { N = 103 };

    /* Before the client has seen the settings. */
    for (int i = 0; i < 100; i++)
        h2_get(c, "/many");
    h2_turn(c, 100);
    for (int i = 0; i < 100; i++)
        worker_send(w, MSG_RESPONSE_RESET, 0, http2_take_path(c, w, "/many"), &end, sizeof(end));
    for (int i = 0; i < 100; i++)
        http2_expect_closed(c, 2 * i + 1, NGHTTP2_INTERNAL_ERROR);
    h2_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_resets_end_the_connection),
        cmocka_unit_test(floods_end_the_connection),
        cmocka_unit_test(empty_data_without_end_ends_the_connection),
        cmocka_unit_test(fields_without_end_end_the_connection),
        cmocka_unit_test(a_head_in_many_frames_has_an_end),
        cmocka_unit_test(what_is_not_http2_is_told_so),
        cmocka_unit_test(more_streams_than_allowed_are_refused),
    };

    return cmocka_run_group_tests(tests, http2_set_up, http2_tear_down);
}
