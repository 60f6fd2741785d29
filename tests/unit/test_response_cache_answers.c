/* What the response cache sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rc.h"
#include "response_cache_fixture.h"
#include "base/poison.h"

static const int64_t modified_s = 784111777, now_s = 1795183200;

/* ---- answers -------------------------------------------------------------------------------- */

static void check_written(const struct cached_response *r, enum cached_form form,
                          enum cached_connection connection, const char *want)
{
    char out[CACHED_HEAD_MAX + 64];
    size_t n = cached_response_write(r, form, connection, CACHE_DATE, out);

    assert_int_equal(n, strlen(want));
    assert_memory_equal(out, want, n);
}

static void the_bytes_are_those_of_the_worker(void **state)
{
    struct cache_fixture f = cache_start(NULL);

    assert_int_equal(cache_store(&f), CACHE_OK);
    const struct cached_response *r = cache_find(&f);

#define DATE "Date: Fri, 20 Nov 2026 14:00:00 GMT\r\n"
#define REST                                                                    \
    "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: \"abc\"\r\nServer: " \
    "Microsoft-IIS/10.0\r\n"
    check_written(r, CACHED_WHOLE, CACHED_KEEP,
                  "HTTP/1.1 200 OK\r\n" CACHE_LINES DATE "Content-Length: 5\r\n\r\nhello");
    check_written(r, CACHED_HEAD, CACHED_KEEP,
                  "HTTP/1.1 200 OK\r\n" CACHE_LINES DATE "Content-Length: 5\r\n\r\n");
    check_written(r, CACHED_WHOLE, CACHED_CLOSE,
                  "HTTP/1.1 200 OK\r\n" CACHE_LINES DATE
                  "Connection: close\r\nContent-Length: 5\r\n\r\nhello");
    check_written(r, CACHED_HEAD, CACHED_KEEP_ALIVE,
                  "HTTP/1.1 200 OK\r\n" CACHE_LINES DATE
                  "Connection: keep-alive\r\nContent-Length: 5\r\n\r\n");
    check_written(r, CACHED_NOT_MODIFIED, CACHED_KEEP,
                  "HTTP/1.1 304 Not Modified\r\n" REST DATE "\r\n");
    check_written(r, CACHED_NOT_MODIFIED, CACHED_CLOSE,
                  "HTTP/1.1 304 Not Modified\r\n" REST DATE "Connection: close\r\n\r\n");
    assert_true(str_eq(r->lines, STR(CACHE_LINES)));
    assert_true(str_eq(r->lines_304, STR(REST)));
    assert_true(str_eq(r->media_type, STR("text/html")));
    assert_true(str_eq(cached_response_body(r), STR("hello")));
    assert_int_equal(r->status, 200);
    assert_int_equal(r->body_len, 5);
    response_cache_free(f.cache);
}

static void status_and_reason_are_kept(void **state)
{
    struct cache_fixture f = cache_start(NULL);

    f.head.status = 404;
    f.head.substatus = 7;
    f.head.win32 = 2;
    f.head.flags |= MSGR_NO_LOG;
    f.offer.reason = STR("Nowhere");
    f.offer.lines = STR("");
    assert_int_equal(cache_store(&f), CACHE_OK);
    const struct cached_response *r = cache_find(&f);

    check_written(r, CACHED_HEAD, CACHED_KEEP,
                  "HTTP/1.1 404 Nowhere\r\n" DATE "Content-Length: 5\r\n\r\n");
    assert_int_equal(r->substatus, 7);
    assert_int_equal(r->win32, 2);
    assert_true(r->no_log);
    assert_false(r->may_be_304);
    response_cache_free(f.cache);
}

static void longest_head_fits(void **state)
{
    static char reason[MESSAGE_REASON_MAX];
    struct cache_fixture f = cache_start(NULL);
    char out[CACHED_HEAD_MAX];

    memset(reason, 'r', sizeof(reason));
    cache_set_many_lines(RESPONSE_CACHE_HEADERS_MAX);
    f.offer.lines = str_n(cache_many_lines, RESPONSE_CACHE_HEADERS_MAX);
    f.offer.reason = str_n(reason, sizeof(reason));
    assert_int_equal(cache_store(&f), CACHE_OK);
    assert_true(cached_response_write(cache_find(&f), CACHED_HEAD, CACHED_KEEP_ALIVE, CACHE_DATE,
                                      out) <= sizeof(out) - 15 /* a longer Content-Length */);
    response_cache_free(f.cache);
}

static void conditions_make_a_304(void **state)
{
    static const struct {
        const char *none_match, *since;
        bool want;
    } rows[] = {
        {NULL, NULL, false},
        {"\"abc\"", NULL, true},
        {"W/\"abc\"", NULL, true},
        {"*", NULL, true},
        {"\"x\", \"abc\"", NULL, true},
        {"\"x\"", NULL, false},
        {"\"x\"", "Sun, 06 Nov 1994 08:49:37 GMT", false}, /* the tag hides the date */
        {NULL, "Sun, 06 Nov 1994 08:49:37 GMT", true},
        {NULL, "Sun, 06 Nov 1994 08:49:36 GMT", false},
        {NULL, "Fri, 20 Nov 2026 13:00:00 GMT", true},
        {NULL, "Fri, 20 Nov 2099 14:00:00 GMT", false}, /* the future */
        {NULL, "today", false},
    };
    struct cache_fixture f = cache_start(NULL);

    assert_int_equal(cache_store(&f), CACHE_OK);
    const struct cached_response *r = cache_find(&f);

    assert_int_equal(r->validators.last_modified, modified_s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_conditions c = {.if_none_match = str_z(rows[i].none_match),
                                    .if_modified_since = str_z(rows[i].since)};
        if (cached_response_not_modified(r, &c, now_s) != rows[i].want)
            fail_msg("row %zu", i);
        bool slowly =
            http_conditions_check(&c, &r->validators, now_s) == HTTP_CONDITION_NOT_MODIFIED;
        assert_int_equal(slowly, rows[i].want);
    }
    struct http_conditions since = {.if_modified_since = str_z("Sun, 06 Nov 1994 08:49:37 GMT")};

    assert_false(cached_response_not_modified(r, &since, modified_s - 1)); /* of the future */
    f.offer.lines = STR("Content-Type: text/html\r\n"); /* nothing to compare with */
    assert_int_equal(cache_store(&f), CACHE_OK);
    struct http_conditions any = {.if_none_match = STR("*")};

    assert_false(cached_response_not_modified(cache_find(&f), &any, now_s));
    response_cache_free(f.cache);
}

static void a_file_is_kept_open(void **state)
{
    struct cache_fixture f = cache_start(NULL);
    struct stat mine, kept;
    int fd = memfd_create("body", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 50000), 0);
    f.offer.fd = fd;
    f.offer.body = STR("");
    f.offer.file_offset = 3;
    f.head.content_length = 40000;
    assert_int_equal(cache_store(&f), CACHE_OK);
    assert_int_equal(fstat(fd, &mine), 0);
    close(fd);
    const struct cached_response *r = cache_find(&f);

    assert_false(r->in_memory);
    assert_int_equal(r->body_len, 40000);
    assert_int_equal(r->file_offset, 3);
    assert_int_equal(fstat(r->fd, &kept), 0);
    assert_int_equal(mine.st_ino, kept.st_ino);
    assert_int_equal(cache_stats_of(&f).files, 1);
    fd = r->fd;
    assert_int_equal(response_cache_flush_all(f.cache, 7), 1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    response_cache_free(f.cache);
}

static void descriptors_are_bounded(void **state)
{
    struct cache_fixture f = cache_start(&(struct response_cache_limits){.max_files = 3});
    int fd = memfd_create("body", MFD_CLOEXEC);
    char path[16];

    f.offer.fd = fd;
    f.head.content_length = 40000;
    for (unsigned i = 0; i < 5; i++) {
        int n = snprintf(path, sizeof(path), "/f%u", i);
        f.key.path = f.key.raw = str_n(path, (size_t)n);
        assert_int_equal(cache_store(&f), i < 3 ? CACHE_OK : CACHE_ROOM);
    }
    f.offer.now_ms += 5000; /* nobody has asked for them since */
    assert_int_equal(cache_store(&f), CACHE_OK);
    assert_int_equal(cache_stats_of(&f).files, 3);
    close(fd);
    response_cache_free(f.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_those_of_the_worker),
        cmocka_unit_test(status_and_reason_are_kept),
        cmocka_unit_test(longest_head_fits),
        cmocka_unit_test(conditions_make_a_304),
        cmocka_unit_test(a_file_is_kept_open),
        cmocka_unit_test(descriptors_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
