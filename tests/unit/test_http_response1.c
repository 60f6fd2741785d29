#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/response1.h"
#include "base/poison.h"

#define DATE "Wed, 22 Aug 2012 19:59:52 GMT"

static void check(const struct response1 *r, const char *want)
{
    char out[2048];
    struct response1_written w;

    assert_int_equal(response1_write(r, out, sizeof(out), &w), RC_OK);
    assert_true(w.len < sizeof(out));
    out[w.len] = '\0';
    assert_string_equal(out, want);
    if (w.date_off)
        assert_memory_equal(out + w.date_off, DATE, sizeof(DATE) - 1);
    else
        assert_null(strstr(out, "Date: "));

    /* Every smaller room is refused without a byte written behind it. */
    for (size_t cap = 0; cap < w.len; cap++) {
        char *room = malloc(cap + 1);
        struct response1_written none;

        assert_non_null(room);
        room[cap] = '!';
        assert_int_equal(response1_write(r, room, cap, &none), RC_AGAIN);
        assert_int_equal(room[cap], '!');
        free(room);
    }
    char *exact = malloc(w.len);
    size_t len = w.len;

    assert_int_equal(response1_write(r, exact, len, &w), RC_OK);
    free(exact);
}

static void the_listeners_own_error(void **state)
{
    const struct response1_header headers[] = {
        {.id = HDR_CONTENT_TYPE, .value = STR("text/html; charset=us-ascii")},
    };
    const struct response1 r = {
        .status = 400,
        .reason = STR("Bad Request"),
        .headers = headers,
        .n_headers = 1,
        .server = STR("Microsoft-HTTPAPI/2.0"),
        .date = STR(DATE),
        .connection = RESPONSE1_CLOSE,
        .framing = RESPONSE1_LENGTH,
        .content_length = 334,
    };

    check(&r, "HTTP/1.1 400 Bad Request\r\n"
              "Content-Type: text/html; charset=us-ascii\r\n"
              "Server: Microsoft-HTTPAPI/2.0\r\n"
              "Date: " DATE "\r\n"
              "Connection: close\r\n"
              "Content-Length: 334\r\n"
              "\r\n");
}

static void known_headers_in_order_then_the_others(void **state)
{
    const struct response1_header headers[] = {
        {STR("X-Powered-By"), STR("ASP.NET"), HDR_OTHER},
        {STR("server"), STR("Microsoft-IIS/10.0"), HDR_OTHER},
        {STR("Set-Cookie"), STR("a=1"), HDR_OTHER},
        {STR("ETag"), STR("\"1:0\""), HDR_OTHER},
        {STR("X-A"), STR(""), HDR_OTHER},
        {STR("Set-Cookie"), STR("b=2"), HDR_OTHER},
        {STR("Accept-Ranges"), STR("bytes"), HDR_OTHER},
        {STR("Content-Type"), STR("text/html"), HDR_OTHER},
        {STR("Content-Length"), STR("5"), HDR_OTHER},
        {STR("transfer-encoding"), STR("chunked"), HDR_X_POWERED_BY},
        {STR("Connection"), STR("close"), HDR_OTHER},
        {STR("Keep-Alive"), STR("timeout=5"), HDR_OTHER},
    };
    struct response1 r = {
        .status = 200,
        .reason = STR("OK"),
        .headers = headers,
        .n_headers = ARRAY_LEN(headers),
        .server = STR("not this"),
        .date = STR(DATE),
        .framing = RESPONSE1_LENGTH,
        .content_length = UINT64_MAX,
    };

    check(&r, "HTTP/1.1 200 OK\r\n"
              "Content-Type: text/html\r\n"
              "Accept-Ranges: bytes\r\n"
              "ETag: \"1:0\"\r\n"
              "server: Microsoft-IIS/10.0\r\n"
              "Set-Cookie: a=1\r\n"
              "Set-Cookie: b=2\r\n"
              "X-Powered-By: ASP.NET\r\n"
              "X-A: \r\n"
              "Date: " DATE "\r\n"
              "Content-Length: 18446744073709551615\r\n"
              "\r\n");
    r.n_headers = 0;
    r.framing = RESPONSE1_CHUNKED;
    r.connection = RESPONSE1_KEEP_ALIVE;
    check(&r, "HTTP/1.1 200 OK\r\n"
              "Transfer-Encoding: chunked\r\n"
              "Server: not this\r\n"
              "Date: " DATE "\r\n"
              "Connection: keep-alive\r\n"
              "\r\n");
}

static void bare_heads_and_upgrades(void **state)
{
    const struct response1_header headers[] = {
        {STR("Upgrade"), STR("websocket"), HDR_UPGRADE},
        {STR("Date"), STR(DATE), HDR_DATE},
    };
    struct response1 r = {.status = 100, .reason = STR("Continue")};

    check(&r, "HTTP/1.1 100 Continue\r\n\r\n");
    r.reason = STR_NULL;
    r.status = 999;
    check(&r, "HTTP/1.1 999 \r\n\r\n");
    r = (struct response1){.status = 101, .reason = STR("Switching Protocols"), .headers = headers,
                           .n_headers = 2, .date = STR("not this"),
                           .connection = RESPONSE1_UPGRADE};
    check(&r, "HTTP/1.1 101 Switching Protocols\r\n"
              "Date: " DATE "\r\n"
              "Upgrade: websocket\r\n"
              "Connection: Upgrade\r\n\r\n");
}

static void splitting_is_refused(void **state)
{
    static const struct response1_header bad[] = {
        {STR("X\r\nY"), STR("a"), HDR_OTHER},
        {STR("X Y"), STR("a"), HDR_OTHER},
        {STR("X:"), STR("a"), HDR_OTHER},
        {STR("X"), STR("a\r\nSet-Cookie: b"), HDR_OTHER},
        {STR("X"), STR("0123456789abcdef\n"), HDR_OTHER},
        {STR("X"), STR("a\0"), HDR_OTHER},
        {STR("ETag"), STR("a\rb"), HDR_ETAG},
        {STR(""), STR("a"), HDR_OTHER},
        {STR(""), STR("a"), HDR_MAX},
        {STR(""), STR("a\n"), HDR_ETAG},
    };
    char out[512];
    struct response1_written w;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const struct response1_header headers[] = {{STR("A"), STR("b"), HDR_OTHER}, bad[i]};
        const struct response1 r = {.status = 200, .headers = headers, .n_headers = 2};

        assert_int_equal(response1_write(&r, out, sizeof(out), &w), RC_FAIL);
        assert_int_equal(w.bad, 1);
    }
    struct response1 r = {.status = 200, .reason = STR("OK\r\nX: y")};

    assert_int_equal(response1_write(&r, out, sizeof(out), &w), RC_FAIL);
    assert_int_equal(w.bad, 0);
    r = (struct response1){.status = 1000};
    assert_int_equal(response1_write(&r, out, sizeof(out), &w), RC_FAIL);
    r.status = 99;
    assert_int_equal(response1_write(&r, out, sizeof(out), &w), RC_FAIL);
}

static void too_many_headers_are_refused(void **state)
{
    static struct response1_header headers[RESPONSE1_HEADERS_MAX + 1];
    static char out[16384];
    struct response1 r = {.status = 200, .headers = headers, .n_headers = RESPONSE1_HEADERS_MAX};
    struct response1_written w;

    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        headers[i] = (struct response1_header){STR("X"), STR("y"), HDR_OTHER};
    assert_int_equal(response1_write(&r, out, sizeof(out), &w), RC_OK);
    r.n_headers++;
    assert_int_equal(response1_write(&r, out, sizeof(out), &w), RC_FAIL);
    assert_int_equal(w.bad, RESPONSE1_HEADERS_MAX);
}

static void chunk_heads(void **state)
{
    static const struct {
        uint64_t n;
        const char *want;
    } rows[] = {
        {1, "1\r\n"}, {15, "f\r\n"}, {16, "10\r\n"}, {0xABCDE, "abcde\r\n"},
        {UINT64_MAX, "ffffffffffffffff\r\n"}, {0x1000000000000000, "1000000000000000\r\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[RESPONSE1_CHUNK_HEAD_MAX];
        size_t n = response1_chunk_head(out, rows[i].n);

        assert_true(str_eq(str_n(out, n), str_z(rows[i].want)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_listeners_own_error),
        cmocka_unit_test(known_headers_in_order_then_the_others),
        cmocka_unit_test(bare_heads_and_upgrades),
        cmocka_unit_test(splitting_is_refused),
        cmocka_unit_test(too_many_headers_are_refused),
        cmocka_unit_test(chunk_heads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
