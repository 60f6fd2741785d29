/* What may be answered from the response cache, what may enter it, and what leaves it when. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rc.h"
#include "listener/response_cache.h"
#include "base/poison.h"

static const char date[] = "Fri, 20 Nov 2026 14:00:00 GMT";
static const int64_t modified_s = 784111777, now_s = 1795183200;

#define LINES                                                                                      \
    "Content-Type: text/html\r\n"                                                                  \
    "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"                                             \
    "ETag: \"abc\"\r\n"                                                                            \
    "Server: Microsoft-IIS/10.0\r\n"

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

/* ---- a cache and what goes into it ---------------------------------------------------------- */

struct fixture {
    struct response_cache *cache;
    struct response_cache_key key;
    struct msg_response head;
    struct response_cache_offer offer;
};

static struct fixture start(const struct response_cache_limits *limits)
{
    return (struct fixture){
        .cache = response_cache_new(limits ? limits : &(struct response_cache_limits){0}, 2),
        .key = {.host = STR("www.example.test"),
                .path = STR("/a.html"),
                .raw = STR("/a.html"),
                .generation = 7,
                .site = 1,
                .port = 80},
        .head = {.status = 200, .flags = MSGR_CACHE | MSGR_LENGTH, .cache_seconds = 900},
        .offer = {.lines = STR(LINES),
                  .body = STR("hello"),
                  .fd = -1,
                  .worker = 5,
                  .now_ms = 100000,
                  .is_get = true,
                  .whole = true}};
}

static enum response_cache_why store(struct fixture *f)
{
    f->offer.key = &f->key;
    f->offer.head = &f->head;
    if (f->offer.fd < 0)
        f->head.content_length = (int64_t)f->offer.body.n;
    return response_cache_store(f->cache, &f->offer);
}

/* A turn of its own: what it gives is good until something is taken out. */
static const struct cached_response *find_at(struct fixture *f, uint64_t now_ms)
{
    response_cache_online(f->cache, 0);
    const struct cached_response *r = response_cache_find(f->cache, 0, &f->key, now_ms);

    response_cache_offline(f->cache, 0);
    return r;
}

static const struct cached_response *find(struct fixture *f)
{
    return find_at(f, f->offer.now_ms);
}

static struct response_cache_stats stats_of(struct fixture *f)
{
    struct response_cache_stats s;

    response_cache_stats(f->cache, &s);
    return s;
}

static char text_head[] = "X: y\r\n";

enum { MANY = 1100 };
static char many_lines[MANY + 1];

static void set_many_lines(size_t n)
{
    memset(many_lines, 'v', sizeof(many_lines));
    memcpy(many_lines, "X: ", 3);
    memcpy(many_lines + n - 2, "\r\n", 2);
}

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
        struct fixture f = start(NULL);
        f.head.status = rows[i].status;
        f.head.flags ^= rows[i].flags;
        f.head.user_len = rows[i].user_len;
        f.head.log_len = rows[i].log_len;
        if (rows[i].lines)
            f.offer.lines = str_z(rows[i].lines);
        enum response_cache_why got = store(&f);
        if (got != rows[i].want)
            fail_msg("row %zu: %s", i, response_cache_why_name(got));
        assert_int_equal(find(&f) != NULL, got == CACHE_OK);
        assert_int_equal(stats_of(&f).refused[got], got != CACHE_OK);
        reached[got] = true;
        response_cache_free(f.cache);
    }

    /* Those that are not about lines and numbers. */
    struct fixture f = start(&(struct response_cache_limits){.max_entry_bytes = 4096,
                                                             .max_bytes = 64 * 1024});

#define EXPECT(why)                                                                                \
    do {                                                                                           \
        assert_string_equal(response_cache_why_name(store(&f)), response_cache_why_name(why));     \
        reached[why] = true;                                                                       \
        response_cache_free(f.cache);                                                              \
        f = start(&(struct response_cache_limits){.max_entry_bytes = 4096,                         \
                                                  .max_bytes = 64 * 1024});                        \
    } while (0)

    f.head.cache_seconds = 0;
    EXPECT(CACHE_NOT_OFFERED);
    f.offer.is_get = false;
    EXPECT(CACHE_METHOD);
    f.offer.whole = false;
    EXPECT(CACHE_NOT_WHOLE);
    f.offer.body = STR("");
    EXPECT(CACHE_EMPTY);
    set_many_lines(RESPONSE_CACHE_HEADERS_MAX);
    f.offer.lines = str_n(many_lines, RESPONSE_CACHE_HEADERS_MAX);
    EXPECT(CACHE_OK);
    set_many_lines(RESPONSE_CACHE_HEADERS_MAX + 1);
    f.offer.lines = str_n(many_lines, RESPONSE_CACHE_HEADERS_MAX + 1);
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

/* ---- answers -------------------------------------------------------------------------------- */

static void check_written(const struct cached_response *r, enum cached_form form,
                          enum cached_connection connection, const char *want)
{
    char out[CACHED_HEAD_MAX + 64];
    size_t n = cached_response_write(r, form, connection, date, out);

    assert_int_equal(n, strlen(want));
    assert_memory_equal(out, want, n);
}

static void the_bytes_are_those_of_the_worker(void **state)
{
    struct fixture f = start(NULL);

    assert_int_equal(store(&f), CACHE_OK);
    const struct cached_response *r = find(&f);

#define DATE "Date: Fri, 20 Nov 2026 14:00:00 GMT\r\n"
#define REST                                                                    \
    "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: \"abc\"\r\nServer: " \
    "Microsoft-IIS/10.0\r\n"
    check_written(r, CACHED_WHOLE, CACHED_KEEP,
                  "HTTP/1.1 200 OK\r\n" LINES DATE "Content-Length: 5\r\n\r\nhello");
    check_written(r, CACHED_HEAD, CACHED_KEEP,
                  "HTTP/1.1 200 OK\r\n" LINES DATE "Content-Length: 5\r\n\r\n");
    check_written(r, CACHED_WHOLE, CACHED_CLOSE,
                  "HTTP/1.1 200 OK\r\n" LINES DATE
                  "Connection: close\r\nContent-Length: 5\r\n\r\nhello");
    check_written(r, CACHED_HEAD, CACHED_KEEP_ALIVE,
                  "HTTP/1.1 200 OK\r\n" LINES DATE
                  "Connection: keep-alive\r\nContent-Length: 5\r\n\r\n");
    check_written(r, CACHED_NOT_MODIFIED, CACHED_KEEP,
                  "HTTP/1.1 304 Not Modified\r\n" REST DATE "\r\n");
    check_written(r, CACHED_NOT_MODIFIED, CACHED_CLOSE,
                  "HTTP/1.1 304 Not Modified\r\n" REST DATE "Connection: close\r\n\r\n");
    assert_true(str_eq(r->lines, STR(LINES)));
    assert_true(str_eq(r->lines_304, STR(REST)));
    assert_true(str_eq(r->media_type, STR("text/html")));
    assert_true(str_eq(cached_response_body(r), STR("hello")));
    assert_int_equal(r->status, 200);
    assert_int_equal(r->body_len, 5);
    response_cache_free(f.cache);
}

static void status_and_reason_are_kept(void **state)
{
    struct fixture f = start(NULL);

    f.head.status = 404;
    f.head.substatus = 7;
    f.head.win32 = 2;
    f.head.flags |= MSGR_NO_LOG;
    f.offer.reason = STR("Nowhere");
    f.offer.lines = STR("");
    assert_int_equal(store(&f), CACHE_OK);
    const struct cached_response *r = find(&f);

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
    struct fixture f = start(NULL);
    char out[CACHED_HEAD_MAX];

    memset(reason, 'r', sizeof(reason));
    set_many_lines(RESPONSE_CACHE_HEADERS_MAX);
    f.offer.lines = str_n(many_lines, RESPONSE_CACHE_HEADERS_MAX);
    f.offer.reason = str_n(reason, sizeof(reason));
    assert_int_equal(store(&f), CACHE_OK);
    assert_true(cached_response_write(find(&f), CACHED_HEAD, CACHED_KEEP_ALIVE, date, out) <=
                sizeof(out) - 15 /* a longer Content-Length */);
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
    struct fixture f = start(NULL);

    assert_int_equal(store(&f), CACHE_OK);
    const struct cached_response *r = find(&f);

    assert_int_equal(r->validators.last_modified, modified_s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_conditions c = {.if_none_match = str_z(rows[i].none_match),
                                    .if_modified_since = str_z(rows[i].since)};
        if (cached_response_not_modified(r, &c, now_s) != rows[i].want)
            fail_msg("row %zu", i);
        bool slowly = http_conditions_check(&c, &r->validators, now_s) ==
                      HTTP_CONDITION_NOT_MODIFIED;
        assert_int_equal(slowly, rows[i].want);
    }
    struct http_conditions since = {.if_modified_since = str_z("Sun, 06 Nov 1994 08:49:37 GMT")};

    assert_false(cached_response_not_modified(r, &since, modified_s - 1)); /* of the future */
    f.offer.lines = STR("Content-Type: text/html\r\n"); /* nothing to compare with */
    assert_int_equal(store(&f), CACHE_OK);
    struct http_conditions any = {.if_none_match = STR("*")};

    assert_false(cached_response_not_modified(find(&f), &any, now_s));
    response_cache_free(f.cache);
}

static void a_file_is_kept_open(void **state)
{
    struct fixture f = start(NULL);
    struct stat mine, kept;
    int fd = memfd_create("body", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 50000), 0);
    f.offer.fd = fd;
    f.offer.body = STR("");
    f.offer.file_offset = 3;
    f.head.content_length = 40000;
    assert_int_equal(store(&f), CACHE_OK);
    assert_int_equal(fstat(fd, &mine), 0);
    close(fd);
    const struct cached_response *r = find(&f);

    assert_false(r->in_memory);
    assert_int_equal(r->body_len, 40000);
    assert_int_equal(r->file_offset, 3);
    assert_int_equal(fstat(r->fd, &kept), 0);
    assert_int_equal(mine.st_ino, kept.st_ino);
    assert_int_equal(stats_of(&f).files, 1);
    fd = r->fd;
    assert_int_equal(response_cache_flush_all(f.cache, 7), 1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    response_cache_free(f.cache);
}

static void descriptors_are_bounded(void **state)
{
    struct fixture f = start(&(struct response_cache_limits){.max_files = 3});
    int fd = memfd_create("body", MFD_CLOEXEC);
    char path[16];

    f.offer.fd = fd;
    f.head.content_length = 40000;
    for (unsigned i = 0; i < 5; i++) {
        int n = snprintf(path, sizeof(path), "/f%u", i);
        f.key.path = f.key.raw = str_n(path, (size_t)n);
        assert_int_equal(store(&f), i < 3 ? CACHE_OK : CACHE_ROOM);
    }
    f.offer.now_ms += 5000; /* nobody has asked for them since */
    assert_int_equal(store(&f), CACHE_OK);
    assert_int_equal(stats_of(&f).files, 3);
    close(fd);
    response_cache_free(f.cache);
}

/* ---- keys ----------------------------------------------------------------------------------- */

static void each_part_of_the_key_counts(void **state)
{
    struct fixture f = start(NULL);
    struct response_cache_key stored = f.key;

    assert_int_equal(store(&f), CACHE_OK);
#define MISS(change)                                                                               \
    do {                                                                                           \
        f.key = stored;                                                                            \
        f.key.change;                                                                              \
        assert_null(find(&f));                                                                     \
    } while (0)
    MISS(host = STR("www.example.tesx"));
    MISS(host = STR(""));
    MISS(path = STR("/A.html"));
    MISS(path = STR("/a.htm"));
    MISS(raw = STR("/a%2ehtml"));
    MISS(generation = 8);
    MISS(site = 2);
    MISS(port = 81);
    MISS(tls = true);
#undef MISS
    f.key = stored;
    f.key.host = STR("WWW.Example.TEST");
    assert_non_null(find(&f));
    assert_int_equal(stats_of(&f).hits, 1);
    assert_int_equal(stats_of(&f).misses, 9);
    response_cache_free(f.cache);
}

static void a_spelling_has_an_entry_of_its_own(void **state)
{
    struct fixture f = start(NULL);

    f.key.path = STR("/my file");
    f.key.raw = STR("/my%20file");
    assert_int_equal(store(&f), CACHE_OK);
    assert_non_null(find(&f));
    f.key.raw = STR("/my%20fil%65");
    assert_null(find(&f));
    f.offer.body = STR("other");
    assert_int_equal(store(&f), CACHE_OK);
    assert_int_equal(stats_of(&f).entries, 2);
    assert_int_equal(response_cache_flush(f.cache, 1, STR("/my file"), false, 5), 2);
    response_cache_free(f.cache);
}

static void accept_must_cover_the_type(void **state)
{
    static const struct {
        const char *accept;
        bool want;
    } rows[] = {
        {NULL, true},       {"*/*", true},  {"text/html", true}, {"text/*, x/y", true},
        {"image/*", false}, {"a/b", false}, {"*/*;q=0", false},  {"image/*, */*;q=0.1", true},
    };
    struct fixture f = start(NULL);

    assert_int_equal(store(&f), CACHE_OK);
    for (unsigned round = 0; round < 2; round++) /* the second time from memory */
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            f.key.accept = rows[i].accept ? str_z(rows[i].accept) : STR_NULL;
            if ((find(&f) != NULL) != rows[i].want)
                fail_msg("%s", rows[i].accept);
        }
    f.head.status = 301; /* goes to everybody */
    assert_int_equal(store(&f), CACHE_OK);
    f.key.accept = STR("image/*");
    assert_non_null(find(&f));
    response_cache_free(f.cache);
}

static const char *body_for(struct fixture *f, const char *accept_encoding)
{
    f->key.accept_encoding = accept_encoding ? str_z(accept_encoding) : STR_NULL;
    const struct cached_response *r = find(f);

    return r ? cached_response_body(r).p : NULL;
}

static void variants_by_accept_encoding(void **state)
{
    struct fixture f = start(NULL);

    f.offer.lines = STR("Vary: Accept-Encoding\r\nETag: \"a\"\r\n");
    f.offer.body = STR("plain");
    assert_int_equal(store(&f), CACHE_OK);
    assert_non_null(body_for(&f, NULL));
    assert_non_null(body_for(&f, "identity"));
    assert_null(body_for(&f, "gzip")); /* the worker might compress for it */

    f.offer.lines = STR("Vary: Accept-Encoding\r\nContent-Encoding: gzip\r\nETag: \"a\"\r\n");
    f.offer.body = STR("zzzzz");
    f.key.accept_encoding = STR("deflate, gzip");
    assert_int_equal(store(&f), CACHE_OK);
    assert_int_equal(stats_of(&f).entries, 2);
    assert_memory_equal(body_for(&f, "gzip, deflate"), "zzzzz", 5);
    assert_memory_equal(body_for(&f, NULL), "plain", 5);
    assert_null(body_for(&f, "gzip"));
    assert_null(body_for(&f, "gzip, deflate;q=0.5"));
    f.key.accept_encoding = STR("deflate, gzip");
    char out[CACHED_HEAD_MAX];
    size_t n = cached_response_write(find(&f), CACHED_NOT_MODIFIED, CACHED_KEEP, date, out);

    assert_int_equal(str_find(str_n(out, n), STR("Content-Encoding")), SIZE_MAX);

    f.offer.lines = STR("ETag: \"b\"\r\n"); /* it does not vary any more */
    f.offer.body = STR("again");
    assert_int_equal(store(&f), CACHE_OK);
    assert_int_equal(stats_of(&f).entries, 1);
    assert_memory_equal(body_for(&f, "gzip;q=0.5, br"), "again", 5);

    f.offer.lines = STR("Vary: Accept-Encoding\r\n");
    f.key.accept_encoding = STR_NULL;
    assert_int_equal(store(&f), CACHE_OK); /* and now it does again */
    assert_int_equal(stats_of(&f).entries, 1);
    response_cache_free(f.cache);
}

static void variants_are_bounded(void **state)
{
    static const char *const names[] = {"gzip", "deflate", "br", "zstd"};
    struct fixture f = start(NULL);
    unsigned kept = 0, refused = 0;

    f.offer.lines = STR("Vary: Accept-Encoding\r\n");
    for (unsigned set = 0; set < 32; set++) {
        char value[64];
        int n = snprintf(value, sizeof(value), "identity%s", set & 16 ? ";q=0" : "");
        for (unsigned i = 0; i < 4; i++)
            if (set >> i & 1)
                n += snprintf(value + n, sizeof(value) - (size_t)n, ",%s", names[i]);
        f.key.accept_encoding = str_n(value, (size_t)n);
        enum response_cache_why why = store(&f);
        kept += why == CACHE_OK;
        refused += why == CACHE_VARIANTS;
    }
    assert_int_equal(kept, RESPONSE_CACHE_VARIANTS_MAX);
    assert_int_equal(refused, 32 - RESPONSE_CACHE_VARIANTS_MAX);
    response_cache_free(f.cache);
}

/* ---- what goes ------------------------------------------------------------------------------ */

static void put_at(struct fixture *f, uint32_t site, const char *path)
{
    f->key.site = site;
    f->key.path = f->key.raw = str_z(path);
    assert_int_equal(store(f), CACHE_OK);
}

static void fill_in(struct fixture *f)
{
    f->offer.worker = 5;
    put_at(f, 1, "/");
    put_at(f, 1, "/a");
    put_at(f, 1, "/a/b");
    put_at(f, 1, "/a/b/c.html");
    put_at(f, 1, "/A/B/c.html");
    put_at(f, 1, "/ab");
    put_at(f, 2, "/a");
    f->offer.worker = 6;
    put_at(f, 2, "/a/b");
}

static void flushes_take_what_they_name(void **state)
{
    static const struct {
        uint32_t site;
        const char *path;
        bool subtree;
        uint64_t worker;
        size_t want;
    } rows[] = {
        {1, "/a", false, 0, 1},
        {1, "/a/", false, 0, 0},
        {1, "/a/B/C.HTML", false, 0, 2},
        {1, "/a", true, 0, 4},
        {1, "/a/", true, 0, 3},
        {1, "/", true, 0, 6},
        {1, "", true, 0, 6},
        {2, "", true, 0, 2},
        {2, "", true, 5, 1},
        {2, "/a/b", false, 5, 0},
        {2, "/a/b", false, 6, 1},
        {0, "/a", false, 0, 2},
        {0, "", true, 0, 8},
        {0, "", true, 6, 1},
        {3, "", true, 0, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture f = start(NULL);
        fill_in(&f);
        size_t n = response_cache_flush(f.cache, rows[i].site, str_z(rows[i].path),
                                        rows[i].subtree, rows[i].worker);
        if (n != rows[i].want)
            fail_msg("row %zu: %zu", i, n);
        assert_int_equal(stats_of(&f).entries, 8 - n);
        response_cache_free(f.cache);
    }
    struct fixture f = start(NULL);

    fill_in(&f);
    assert_int_equal(response_cache_flush_worker(f.cache, 5), 7);
    assert_int_equal(response_cache_flush_all(f.cache, 9), 1);
    assert_int_equal(stats_of(&f).bytes, 0);
    response_cache_free(f.cache);
}

static void an_administrator_names_urls(void **state)
{
    static const struct {
        const char *url;
        bool subtree, ok;
        size_t want;
    } rows[] = {
        {"*", false, true, 8},
        {"http://www.example.test/a", false, true, 2},
        {"HTTP://WWW.example.test:80/a", true, true, 6},
        {"http://www.example.test/%61/b", false, true, 2},
        {"http://www.example.test", false, true, 1},
        {"http://www.example.test/", true, true, 8},
        {"http://*:80/ab", false, true, 1},
        {"http://+/ab", false, true, 1},
        {"http://*:81/ab", false, true, 0},
        {"https://www.example.test/a", false, true, 0},
        {"http://other.test/a", false, true, 0},
        {"/a", false, false, 0},
        {"ftp://www.example.test/a", false, false, 0},
        {"http:///a", false, false, 0},
        {"http://*x/a", false, false, 0},
        {"http://*:0/a", false, false, 0},
        {"http://www.example.test/%zz", false, false, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture f = start(NULL);
        size_t n = 0;
        fill_in(&f);
        bool ok = response_cache_flush_url(f.cache, str_z(rows[i].url), rows[i].subtree, &n);
        if (ok != rows[i].ok || n != rows[i].want)
            fail_msg("%s: %d %zu", rows[i].url, ok, n);
        response_cache_free(f.cache);
    }
}

static void time_runs_out(void **state)
{
    struct fixture f = start(NULL);

    f.head.cache_seconds = 10;
    put_at(&f, 1, "/short");
    f.head.cache_seconds = UINT32_MAX;
    put_at(&f, 1, "/flushed only");
    assert_non_null(find_at(&f, f.offer.now_ms + 100000));
    f.key.path = f.key.raw = STR("/short");
    assert_non_null(find_at(&f, f.offer.now_ms + 9999));
    assert_null(find_at(&f, f.offer.now_ms + 10000));
    response_cache_tick(f.cache, f.offer.now_ms + 10000);
    assert_int_equal(stats_of(&f).expired, 1);
    assert_int_equal(stats_of(&f).entries, 1);
    response_cache_free(f.cache);
}

static void what_nobody_uses_goes(void **state)
{
    struct fixture f = start(&(struct response_cache_limits){.scavenge_s = 10});
    uint64_t t = f.offer.now_ms;

    put_at(&f, 1, "/used");
    put_at(&f, 1, "/unused");
    f.key.path = f.key.raw = STR("/used");
    assert_non_null(find_at(&f, t + 9000));
    response_cache_tick(f.cache, t + 9000);
    assert_int_equal(stats_of(&f).entries, 2);
    response_cache_tick(f.cache, t + 10000);
    assert_int_equal(stats_of(&f).entries, 1);
    assert_int_equal(stats_of(&f).unused, 1);
    assert_non_null(find_at(&f, t + 10000));
    response_cache_free(f.cache);
}

static void room_is_made_by_what_is_not_in_use(void **state)
{
    static char body[8192];
    struct fixture f = start(&(struct response_cache_limits){.max_bytes = 10 * 9216});
    char path[16];

    memset(body, 'b', sizeof(body));
    f.offer.body = str_n(body, sizeof(body));
    for (unsigned i = 0; i < 10; i++) {
        int n = snprintf(path, sizeof(path), "/%u", i);
        f.key.path = f.key.raw = str_n(path, (size_t)n);
        assert_int_equal(store(&f), CACHE_OK);
    }
    f.key.path = f.key.raw = STR("/more");
    assert_int_equal(store(&f), CACHE_ROOM); /* all the others are in use */
    f.offer.now_ms += 3000;
    f.key.path = f.key.raw = STR("/3");
    assert_non_null(find(&f));
    for (unsigned i = 0; i < 9; i++) {
        int n = snprintf(path, sizeof(path), "/new%u", i);
        f.key.path = f.key.raw = str_n(path, (size_t)n);
        assert_int_equal(store(&f), CACHE_OK);
        assert_true(stats_of(&f).bytes <= 10 * 9216);
    }
    f.key.path = f.key.raw = STR("/3");
    assert_non_null(find(&f));
    assert_int_equal(stats_of(&f).evicted, 9);
    response_cache_free(f.cache);
}

static void a_smaller_limit_takes_effect(void **state)
{
    struct fixture f = start(NULL);
    char path[16];

    for (unsigned i = 0; i < 100; i++) {
        int n = snprintf(path, sizeof(path), "/%u", i);
        f.key.path = f.key.raw = str_n(path, (size_t)n);
        assert_int_equal(store(&f), CACHE_OK);
    }
    response_cache_set_limits(f.cache, &(struct response_cache_limits){.max_bytes = 10000});
    response_cache_tick(f.cache, f.offer.now_ms + 5000);
    assert_true(stats_of(&f).bytes <= 10000);
    assert_true(stats_of(&f).entries > 2);
    response_cache_free(f.cache);
}

static void what_is_being_sent_stays(void **state)
{
    struct fixture f = start(NULL);

    assert_int_equal(store(&f), CACHE_OK);
    response_cache_online(f.cache, 1);
    const struct cached_response *seen = response_cache_find(f.cache, 1, &f.key, f.offer.now_ms);
    const struct cached_response *held = cached_response_ref(seen);

    assert_int_equal(response_cache_flush_all(f.cache, 7), 1);
    assert_null(find(&f));
    assert_true(str_eq(cached_response_body(seen), STR("hello"))); /* until the end of the turn */
    assert_int_equal(stats_of(&f).pending, 1);
    response_cache_offline(f.cache, 1);
    response_cache_tick(f.cache, f.offer.now_ms);
    assert_int_equal(stats_of(&f).pending, 0);
    assert_true(str_eq(cached_response_body(held), STR("hello"))); /* as long as it is needed */
    cached_response_unref(held);
    response_cache_free(f.cache);
}

static void a_new_answer_takes_the_place_of_the_old(void **state)
{
    struct fixture f = start(NULL);

    assert_int_equal(store(&f), CACHE_OK);
    f.offer.body = STR("other");
    assert_int_equal(store(&f), CACHE_OK);
    assert_int_equal(stats_of(&f).entries, 1);
    assert_true(str_eq(cached_response_body(find(&f)), STR("other")));
    f.key.generation = 8;
    assert_int_equal(store(&f), CACHE_OK);
    assert_int_equal(stats_of(&f).entries, 1);
    response_cache_free(f.cache);
}

static void many_entries_are_all_found(void **state)
{
    enum { ENTRIES = 5000 };
    struct fixture f = start(NULL);
    char path[16];

    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < ENTRIES; i++) {
            int n = snprintf(path, sizeof(path), "/%u", i);
            f.key.path = f.key.raw = str_n(path, (size_t)n);
            if (round == 0)
                assert_int_equal(store(&f), CACHE_OK);
            else if (!find(&f))
                fail_msg("%s", path);
        }
    assert_int_equal(stats_of(&f).entries, ENTRIES);
    for (unsigned i = 0; i < ENTRIES; i += 2) {
        int n = snprintf(path, sizeof(path), "/%u", i);
        assert_int_equal(response_cache_flush(f.cache, 1, str_n(path, (size_t)n), false, 0), 1);
    }
    for (unsigned i = 0; i < ENTRIES; i++) {
        int n = snprintf(path, sizeof(path), "/%u", i);
        f.key.path = f.key.raw = str_n(path, (size_t)n);
        assert_int_equal(find(&f) != NULL, i % 2);
    }
    response_cache_free(f.cache);
}

static void the_administrator_sees_what_is_in_it(void **state)
{
    struct fixture f = start(NULL);

    put_at(&f, 1, "/a");
    f.offer.now_ms += 4000;
    f.key.tls = true;
    f.key.port = 8443;
    f.head.cache_seconds = UINT32_MAX;
    put_at(&f, 2, "/b \xff\"\n%41");
    json_t *j = response_cache_list(f.cache, 10, f.offer.now_ms);
    json_t *entries = json_object_get(j, "entries"), *second = json_array_get(entries, 1);
    size_t n;

    assert_string_equal(json_string_value(json_object_get(json_array_get(entries, 0), "url")),
                        "https://www.example.test:8443/b%20%ff%22%0a%2541");
    assert_true(response_cache_flush_url(f.cache, STR("https://*:8443/b"), true, &n));
    assert_int_equal(n, 0); /* "/b" is no folder of it */

    assert_int_equal(json_integer_value(json_object_get(j, "count")), 2);
    assert_int_equal(json_array_size(entries), 2);
    assert_string_equal(json_string_value(json_object_get(second, "url")),
                        "http://www.example.test/a");
    assert_int_equal(json_integer_value(json_object_get(second, "idle_s")), 4);
    assert_int_equal(json_integer_value(json_object_get(second, "expires_s")), 896);
    assert_int_equal(json_integer_value(json_object_get(second, "status")), 200);
    json_decref(j);
    j = response_cache_list(f.cache, 1, f.offer.now_ms);
    assert_int_equal(json_array_size(json_object_get(j, "entries")), 1);
    json_decref(j);
    response_cache_free(f.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_let_in_or_not),
        cmocka_unit_test(codings_become_sets),
        cmocka_unit_test(answers_are_let_in_or_not),
        cmocka_unit_test(reasons_have_names),
        cmocka_unit_test(the_bytes_are_those_of_the_worker),
        cmocka_unit_test(status_and_reason_are_kept),
        cmocka_unit_test(longest_head_fits),
        cmocka_unit_test(conditions_make_a_304),
        cmocka_unit_test(a_file_is_kept_open),
        cmocka_unit_test(descriptors_are_bounded),
        cmocka_unit_test(each_part_of_the_key_counts),
        cmocka_unit_test(a_spelling_has_an_entry_of_its_own),
        cmocka_unit_test(accept_must_cover_the_type),
        cmocka_unit_test(variants_by_accept_encoding),
        cmocka_unit_test(variants_are_bounded),
        cmocka_unit_test(flushes_take_what_they_name),
        cmocka_unit_test(an_administrator_names_urls),
        cmocka_unit_test(time_runs_out),
        cmocka_unit_test(what_nobody_uses_goes),
        cmocka_unit_test(room_is_made_by_what_is_not_in_use),
        cmocka_unit_test(a_smaller_limit_takes_effect),
        cmocka_unit_test(what_is_being_sent_stays),
        cmocka_unit_test(a_new_answer_takes_the_place_of_the_old),
        cmocka_unit_test(many_entries_are_all_found),
        cmocka_unit_test(the_administrator_sees_what_is_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
