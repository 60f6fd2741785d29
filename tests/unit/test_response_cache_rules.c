/* What may be answered from the response cache, and what may enter it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rc.h"
#include "response_cache_fixture.h"
#include "base/poison.h"

/* ---- requests ------------------------------------------------------------------------------- */

static enum response_cache_why why_of_request(const char *text)
{
    struct http1_limits limits = http1_limits_default();
    struct url_limits url_limits = url_limits_default();
    struct http1_parser parser;
    struct http1_head head;
    struct url_cooked url;
    size_t n = strlen(text);
    _cleanup_free_ char *buf = xmalloc(n), *room = NULL;

    memcpy(buf, text, n);
    http1_parser_init(&parser, &limits);
    http1_head_init(&head);
    if (http1_parse(&parser, buf, n, &head) != RC_OK)
        fail_msg("not a request: %s", text);
    struct str target = http1_target(&head, buf);

    room = xmalloc(URL_COOK_CAP(target.n));
    assert_int_equal(url_cook(target, &url_limits, room, URL_COOK_CAP(target.n), &url), RC_OK);
    enum response_cache_why why = response_cache_request(&head, buf, &url);

    http1_head_fini(&head);
    return why;
}

#define H " HTTP/1.1\r\nHost: a\r\n"

static void requests_are_let_in_or_not(void **state)
{
    static const struct {
        const char *text;
        enum response_cache_why want;
    } rows[] = {
        {"GET /" H "\r\n", CACHE_OK},
        {"HEAD /" H "\r\n", CACHE_OK},
        {"GET / HTTP/1.0\r\n\r\n", CACHE_OK},
        {"GET /" H "Content-Length: 0\r\n\r\n", CACHE_OK},
        {"GET /" H "Expect: 100-continue\r\n\r\n", CACHE_OK},
        {"GET /" H "Cookie: a=b\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n\r\n", CACHE_OK},
        {"GET /" H "Translate: t\r\n\r\n", CACHE_OK},
        {"GET /" H "If-None-Match: \"a\"\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n",
         CACHE_OK},
        {"POST /" H "Content-Length: 1\r\n\r\nx", CACHE_METHOD},
        {"OPTIONS /" H "\r\n", CACHE_METHOD},
        {"PROPFIND /" H "\r\n", CACHE_METHOD},
        {"BREW /" H "\r\n", CACHE_METHOD},
        {"GET /" H "Content-Length: 1\r\n\r\nx", CACHE_BODY},
        {"GET /" H "Transfer-Encoding: chunked\r\n\r\n", CACHE_BODY},
        {"GET /?a" H "\r\n", CACHE_QUERY},
        {"GET /?" H "\r\n", CACHE_QUERY},
        {"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", CACHE_FORM},
        {"GET /" H "Authorization: Basic YTpi\r\n\r\n", CACHE_AUTHORIZATION},
        {"GET /" H "Proxy-Authorization: Basic YTpi\r\n\r\n", CACHE_AUTHORIZATION},
        {"GET /" H "Translate: f\r\n\r\n", CACHE_TRANSLATE},
        {"GET /" H "Translate:  F \r\n\r\n", CACHE_TRANSLATE},
        {"GET /" H "Range: bytes=0-1\r\n\r\n", CACHE_RANGE},
        {"GET /" H "If-Range: \"a\"\r\n\r\n", CACHE_RANGE},
        {"GET /" H "Expect: 100-continue, x\r\n\r\n", CACHE_EXPECT},
        {"GET /" H "Expect: gold\r\n\r\n", CACHE_EXPECT},
        {"GET /" H "If-Match: \"a\"\r\n\r\n", CACHE_PRECONDITION},
        {"GET /" H "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
         CACHE_PRECONDITION},
        {"GET /" H "If-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\n\r\n", CACHE_REPEATED},
        {"GET /" H "Accept: a/b\r\nAccept: c/d\r\n\r\n", CACHE_REPEATED},
        {"GET /" H "Accept-Encoding: a\r\nAccept-Encoding: gzip\r\n\r\n", CACHE_REPEATED},
        {"GET /" H "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", CACHE_UPGRADE},
        {"GET /\r\n", CACHE_VERSION},
    };
    bool reached[CACHE_WHY_MAX] = {0};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum response_cache_why got = why_of_request(rows[i].text);
        if (got != rows[i].want)
            fail_msg("%s: %s", rows[i].text, response_cache_why_name(got));
        reached[got] = true;
    }
    for (unsigned w = CACHE_OK; w <= CACHE_REQUEST_LAST; w++)
        if (!reached[w])
            fail_msg("no request shows %s", response_cache_why_name(w));
}

static void codings_become_sets(void **state)
{
    static const struct {
        const char *value; /* NULL: absent */
        unsigned want;
    } rows[] = {
        {NULL, CODING_IDENTITY},
        {"", CODING_IDENTITY},
        {"identity", CODING_IDENTITY},
        {"gzip", CODING_IDENTITY | CODING_GZIP},
        {"gzip, deflate, br, zstd",
         CODING_IDENTITY | CODING_GZIP | CODING_DEFLATE | CODING_BR | CODING_ZSTD},
        {"br,gzip", CODING_IDENTITY | CODING_GZIP | CODING_BR},
        {"gzip;q=0.5", CODING_IDENTITY | CODING_GZIP},
        {"gzip;q=0", CODING_IDENTITY},
        {"gzip, identity;q=0", CODING_GZIP},
        {"gzip;q=1.0, identity;q=0.5, *;q=0", CODING_IDENTITY | CODING_GZIP},
        {"*", CODING_IDENTITY | CODING_GZIP | CODING_DEFLATE | CODING_BR | CODING_ZSTD},
        {"gzip;q=0.5, br", CODING_ODD},
        {"*;q=0.1, gzip", CODING_ODD},
        {"identity, gzip;q=0.5", CODING_ODD},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str v = rows[i].value ? str_z(rows[i].value) : STR_NULL;
        unsigned got = response_cache_codings(v);
        if (got != rows[i].want)
            fail_msg("%s: %x, not %x", rows[i].value, got, rows[i].want);
    }
}

static char text_head[] = "X: y\r\n";

static void answers_are_let_in_or_not(void **state)
{
    static char path[RESPONSE_CACHE_PATH_MAX + 1];
    static const struct {
        const char *lines; /* NULL: the usual ones */
        enum response_cache_why want;
        uint16_t status;
        uint16_t flags; /* turned round */
        uint32_t user_len, log_len;
    } rows[] = {
        {NULL, CACHE_OK, 200, 0, 0, 0},
        {NULL, CACHE_OK, 301, 0, 0, 0},
        {NULL, CACHE_OK, 404, 0, 0, 0},
        {"", CACHE_OK, 200, 0, 0, 0},
        {"Cache-Control: private, no-cache\r\n", CACHE_OK, 200, 0, 0, 0},
        {"Vary: accept-encoding\r\n", CACHE_OK, 200, 0, 0, 0},
        {"Vary: Accept-Encoding\r\nContent-Encoding: gzip\r\n", CACHE_OK, 200, 0, 0, 0},
        {NULL, CACHE_NOT_OFFERED, 200, MSGR_CACHE, 0, 0},
        {NULL, CACHE_CLOSES, 200, MSGR_CLOSE, 0, 0},
        {NULL, CACHE_CLOSES, 200, MSGR_HTTP11, 0, 0},
        {NULL, CACHE_USER, 200, 0, 3, 0},
        {NULL, CACHE_LOG_FIELDS, 200, 0, 0, 4},
        {NULL, CACHE_STATUS, 206, 0, 0, 0},
        {NULL, CACHE_STATUS, 304, 0, 0, 0},
        {NULL, CACHE_STATUS, 401, 0, 0, 0},
        {NULL, CACHE_STATUS, 407, 0, 0, 0},
        {NULL, CACHE_STATUS, 412, 0, 0, 0},
        {NULL, CACHE_STATUS, 416, 0, 0, 0},
        {"Set-Cookie: a=b\r\n", CACHE_COOKIE, 200, 0, 0, 0},
        {"set-cookie:a=b\r\n", CACHE_COOKIE, 200, 0, 0, 0},
        {"Vary: *\r\n", CACHE_VARY, 200, 0, 0, 0},
        {"Vary: Accept-Encoding, Cookie\r\n", CACHE_VARY, 200, 0, 0, 0},
        {"Vary: Accept-Encoding\r\nVary: Origin\r\n", CACHE_VARY, 200, 0, 0, 0},
        {"Pragma: no-cache\r\n", CACHE_PRAGMA, 200, 0, 0, 0},
        {"WWW-Authenticate: NTLM\r\n", CACHE_AUTHENTICATE, 200, 0, 0, 0},
        {"Proxy-Authenticate: Basic\r\n", CACHE_AUTHENTICATE, 200, 0, 0, 0},
        {"Content-Range: bytes 0-1/2\r\n", CACHE_CONTENT_RANGE, 200, 0, 0, 0},
        {"X-Candor-Error: 404.0 abc\r\n", CACHE_ERROR_ID, 404, 0, 0, 0},
        {"Content-Encoding: gzip\r\n", CACHE_CODING, 200, 0, 0, 0},
        {"Vary: Accept-Encoding\r\nContent-Encoding: gzip, br\r\n", CACHE_CODING, 200, 0, 0, 0},
        {"Last-Modified: yesterday\r\n", CACHE_VALIDATOR, 200, 0, 0, 0},
        {"ETag: \"a\"\r\nETag: \"b\"\r\n", CACHE_VALIDATOR, 200, 0, 0, 0},
    };
    bool reached[CACHE_WHY_MAX] = {0};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cache_fixture f = cache_start(NULL);
        f.head.status = rows[i].status;
        f.head.flags ^= rows[i].flags;
        f.head.user_len = rows[i].user_len;
        f.head.log_len = rows[i].log_len;
        if (rows[i].lines)
            f.offer.lines = str_z(rows[i].lines);
        enum response_cache_why got = cache_store(&f);
        if (got != rows[i].want)
            fail_msg("row %zu: %s", i, response_cache_why_name(got));
        assert_int_equal(cache_find(&f) != NULL, got == CACHE_OK);
        assert_int_equal(cache_stats_of(&f).refused[got], got != CACHE_OK);
        reached[got] = true;
        response_cache_free(f.cache);
    }

    /* Those that are not about lines and numbers. */
    struct cache_fixture f = cache_start(
        &(struct response_cache_limits){.max_entry_bytes = 4096, .max_bytes = 64 * 1024});

#define EXPECT(why)                                                                            \
    do {                                                                                       \
        assert_string_equal(response_cache_why_name(cache_store(&f)),                          \
                            response_cache_why_name(why));                                     \
        reached[why] = true;                                                                   \
        response_cache_free(f.cache);                                                          \
        f = cache_start(                                                                       \
            &(struct response_cache_limits){.max_entry_bytes = 4096, .max_bytes = 64 * 1024}); \
    } while (0)

    f.head.cache_seconds = 0;
    EXPECT(CACHE_NOT_OFFERED);
    f.offer.is_get = false;
    EXPECT(CACHE_METHOD);
    f.offer.whole = false;
    EXPECT(CACHE_NOT_WHOLE);
    f.offer.body = STR("");
    EXPECT(CACHE_EMPTY);
    cache_set_many_lines(RESPONSE_CACHE_HEADERS_MAX);
    f.offer.lines = str_n(cache_many_lines, RESPONSE_CACHE_HEADERS_MAX);
    EXPECT(CACHE_OK);
    cache_set_many_lines(RESPONSE_CACHE_HEADERS_MAX + 1);
    f.offer.lines = str_n(cache_many_lines, RESPONSE_CACHE_HEADERS_MAX + 1);
    EXPECT(CACHE_HEADERS_SIZE);
    memset(path, '/', sizeof(path));
    f.key.path = f.key.raw = str_n(path, sizeof(path));
    EXPECT(CACHE_PATH_SIZE);
    f.offer.lines = str_z(text_head);
    f.offer.body = str_n(path, 4096 - f.offer.lines.n);
    EXPECT(CACHE_OK);
    f.offer.lines = str_z(text_head);
    f.offer.body = str_n(path, 4096 - f.offer.lines.n + 1);
    EXPECT(CACHE_SIZE);
    response_cache_flush_all(f.cache, 8);
    EXPECT(CACHE_GENERATION);
    f.offer.lines = STR("Vary: Accept-Encoding\r\n");
    f.key.accept_encoding = STR("gzip;q=0.5, br");
    EXPECT(CACHE_CODING);
#undef EXPECT
    response_cache_free(f.cache);
    for (unsigned w = CACHE_REQUEST_LAST + 1; w < CACHE_VARIANTS; w++)
        if (!reached[w])
            fail_msg("no answer shows %s", response_cache_why_name(w));
}

static void reasons_have_names(void **state)
{
    for (unsigned w = 0; w < CACHE_WHY_MAX; w++) {
        assert_non_null(response_cache_why_name(w));
        assert_true(strlen(response_cache_why_text(w)) > 3);
        for (unsigned other = 0; other < w; other++)
            assert_string_not_equal(response_cache_why_name(w), response_cache_why_name(other));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_let_in_or_not),
        cmocka_unit_test(codings_become_sets),
        cmocka_unit_test(answers_are_let_in_or_not),
        cmocka_unit_test(reasons_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
