#include "worker_fixture.h"

#include <stdio.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/poison.h"

#define H(...) ((const char *const[]){__VA_ARGS__, NULL})

static void set_mtime(struct fx *f, const char *name, time_t s, long ns)
{
    char path[256];
    struct timespec t[2] = {{s, ns}, {s, ns}};

    snprintf(path, sizeof(path), "%s/%s", f->root, name);
    assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void test_plain_file(void **state)
{
    struct fx *f = fx_new(NULL, NULL);

    fx_file(f, "a.txt", "hello");
    set_mtime(f, "a.txt", 1527738386, 403996800); /* FILETIME 0x01d3f891f38eba20 */
    struct fx_answer *a = fx_get(f, 1, "GET", "/a.txt", NULL);

    fx_assert_code(a, 200, 0);
    assert_int_equal(a->head.win32, 0);
    assert_string_equal(a->body.p, "hello");
    assert_int_equal(a->head.content_length, 5);
    assert_int_equal(a->records, 1);
    assert_string_equal(a->headers, "Content-Type: text/plain\r\n"
                                    "Last-Modified: Thu, 31 May 2018 03:46:26 GMT\r\n"
                                    "Accept-Ranges: bytes\r\n"
                                    "ETag: \"20ba8ef391f8d31:0\"\r\n"
                                    "Server: Microsoft-IIS/10.0\r\n");
    a = fx_get(f, 2, "HEAD", "/a.txt", NULL);
    fx_assert_code(a, 200, 0);
    assert_int_equal(a->body.n, 0);
    assert_int_equal(a->head.content_length, 5);
    assert_true(a->head.flags & MSGR_NO_BODY);
    fx_assert_idle(f);
    fx_free(f);
}

static void test_folders(void **state)
{
    struct fx *f = fx_new(NULL, NULL);

    fx_file(f, "sub dir/index.htm", "<p>index</p>");
    fx_file(f, "empty/", NULL);
    struct fx_answer *a = fx_get(f, 1, "GET", "/sub dir?q=1&r", H("Host: example.com:81"));

    fx_assert_code(a, 301, 0);
    assert_string_equal(fx_header(a, "Location"), "http://example.com:81/sub%20dir/?q=1&r");
    a = fx_get(f, 2, "GET", "/sub dir/", NULL);
    fx_assert_code(a, 200, 0);
    assert_string_equal(a->body.p, "<p>index</p>");
    assert_string_equal(fx_header(a, "Content-Type"), "text/html");
    fx_assert_code(fx_get(f, 3, "POST", "/sub dir/", NULL), 405, 0);
    fx_assert_code(fx_get(f, 4, "GET", "/empty/", NULL), 403, 14);
    fx_assert_code(fx_get(f, 5, "GET", "/sub dir/index.htm/", NULL), 404, 0);
    fx_assert_idle(f);
    fx_free(f);
}

static void test_refusals(void **state)
{
    struct fx *f = fx_new(NULL, NULL);
    char path[256];

    fx_file(f, "a.txt", "hello");
    fx_file(f, "a.unknown", "x");
    fx_file(f, "noext", "x");
    fx_file(f, ".secret.txt", "x");
    fx_file(f, "marked.txt", "x");
    snprintf(path, sizeof(path), "%s/marked.txt", f->root);
    bool marks = setxattr(path, "user.candor.hidden", "1", 1, 0) == 0;
    struct fx_answer *a = fx_get(f, 1, "POST", "/a.txt", NULL);

    fx_assert_code(a, 405, 0);
    assert_string_equal(fx_header(a, "Allow"), "GET, HEAD, OPTIONS, TRACE");
    assert_int_equal(a->head.win32, 1);
    fx_assert_code(fx_get(f, 2, "POST", "/a.unknown", NULL), 405, 0);
    a = fx_get(f, 3, "GET", "/a.unknown", NULL);
    fx_assert_code(a, 404, 3);
    assert_int_equal(a->head.win32, 50);
    fx_assert_code(fx_get(f, 4, "GET", "/noext", NULL), 404, 3);
    fx_assert_code(fx_get(f, 5, "GET", "/nope.unknown", NULL), 404, 0);
    assert_int_equal(f->answers[5].head.win32, 2);
    fx_assert_code(fx_get(f, 6, "GET", "/no/pe.txt", NULL), 404, 0);
    assert_int_equal(f->answers[6].head.win32, 3);
    fx_assert_code(fx_get(f, 7, "GET", "/.secret.txt", NULL), 404, 9);
    if (marks)
        fx_assert_code(fx_get(f, 8, "GET", "/marked.txt", NULL), 404, 9);
    fx_assert_code(fx_get(f, 9, "GET", "/a.txt", H("Translate: f")), 404, 16);
    fx_assert_code(fx_get(f, 10, "GET", "/a.txt", H("Translate: t")), 200, 0);
    fx_assert_code(fx_get(f, 11, "GET", "/a.txt", H("Accept: image/png")), 406, 0);
    fx_assert_code(fx_get(f, 12, "GET", "/a.txt", H("Accept: image/png, text/*;q=0.1")), 200, 0);
    fx_assert_code(fx_get(f, 13, "PROPFIND", "/a.txt", NULL), 405, 0);
    fx_assert_idle(f);
    fx_free(f);
}

static void test_mime_wildcards(void **state)
{
    struct fx *f = fx_new(NULL, "<configuration><system.webServer><staticContent>"
                                "<mimeMap fileExtension='.' mimeType='text/x-none'/>"
                                "<mimeMap fileExtension='.*' mimeType='text/x-any'/>"
                                "</staticContent></system.webServer></configuration>");

    fx_file(f, "noext", "x");
    fx_file(f, "a.unknown", "x");
    fx_file(f, "a.TXT", "x");
    fx_assert_code(fx_get(f, 1, "GET", "/noext", NULL), 200, 0);
    assert_string_equal(fx_header(&f->answers[1], "Content-Type"), "text/x-none");
    fx_assert_code(fx_get(f, 2, "GET", "/a.unknown", NULL), 200, 0);
    assert_string_equal(fx_header(&f->answers[2], "Content-Type"), "text/x-any");
    fx_get(f, 3, "GET", "/a.TXT", NULL);
    assert_string_equal(fx_header(&f->answers[3], "Content-Type"), "text/plain");
    fx_assert_idle(f);
    fx_free(f);
}

/* Order and outcome of the conditions; modified is Thu, 31 May 2018 03:46:26 GMT. */
static void test_conditions(void **state)
{
    static const struct {
        const char *headers[4];
        unsigned status;
    } rows[] = {
        {{"If-None-Match: \"20ba8ef391f8d31:0\""}, 304},
        {{"If-None-Match: W/\"20ba8ef391f8d31:0\""}, 304},
        {{"If-None-Match: \"x\", \"20ba8ef391f8d31:0\""}, 304},
        {{"If-None-Match: *"}, 304},
        {{"If-None-Match: \"x\""}, 200},
        /* If-None-Match present: the date does not count. */
        {{"If-None-Match: \"x\"", "If-Modified-Since: Thu, 31 May 2018 03:46:26 GMT"}, 200},
        {{"If-Modified-Since: Thu, 31 May 2018 03:46:26 GMT"}, 304},
        {{"If-Modified-Since: Thu, 31 May 2018 03:46:26 GMT; length=5"}, 304},
        {{"If-Modified-Since: Thu, 31 May 2018 03:46:25 GMT"}, 200},
        {{"If-Modified-Since: Thu, 31 May 2099 03:46:25 GMT"}, 200},
        {{"If-Modified-Since: yesterday"}, 200},
        {{"If-Match: \"20ba8ef391f8d31:0\""}, 200},
        {{"If-Match: \"x\""}, 412},
        {{"If-Match: W/\"20ba8ef391f8d31:0\""}, 412},
        {{"If-Match: \"x\"", "If-None-Match: *"}, 412},
        {{"If-Unmodified-Since: Thu, 31 May 2018 03:46:26 GMT"}, 200},
        {{"If-Unmodified-Since: Thu, 31 May 2018 03:46:25 GMT"}, 412},
        {{"If-Unmodified-Since: Thu, 31 May 2018 03:46:25 GMT",
          "If-Modified-Since: Thu, 31 May 2018 03:46:26 GMT"}, 304},
    };
    struct fx *f = fx_new(NULL, NULL);

    fx_file(f, "a.txt", "hello");
    set_mtime(f, "a.txt", 1527738386, 403996800);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fx_answer *a = fx_get(f, i, "GET", "/a.txt", rows[i].headers);
        if (a->head.status != rows[i].status)
            fail_msg("%s: %u", rows[i].headers[0], a->head.status);
    }
    struct fx_answer *a = &f->answers[0];

    assert_string_equal(a->headers, "Last-Modified: Thu, 31 May 2018 03:46:26 GMT\r\n"
                                    "Accept-Ranges: bytes\r\n"
                                    "ETag: \"20ba8ef391f8d31:0\"\r\n"
                                    "Server: Microsoft-IIS/10.0\r\n");
    assert_true(a->head.flags & MSGR_NO_BODY);
    assert_false(a->head.flags & MSGR_LENGTH);
    fx_assert_idle(f);
    fx_free(f);
}

static void test_ranges(void **state)
{
    struct fx *f = fx_new(NULL, NULL);
    struct fx_answer *a;

    fx_file(f, "a.txt", "0123456789");
    set_mtime(f, "a.txt", 1527738386, 403996800);
    a = fx_get(f, 1, "GET", "/a.txt", H("Range: bytes=2-4"));
    fx_assert_code(a, 206, 0);
    assert_string_equal(a->body.p, "234");
    assert_string_equal(fx_header(a, "Content-Range"), "bytes 2-4/10");
    a = fx_get(f, 2, "GET", "/a.txt", H("Range: bytes=-3"));
    assert_string_equal(a->body.p, "789");
    a = fx_get(f, 3, "GET", "/a.txt", H("Range: bytes=7-"));
    assert_string_equal(a->body.p, "789");
    a = fx_get(f, 4, "GET", "/a.txt", H("Range: bytes=10-"));
    fx_assert_code(a, 416, 0);
    assert_string_equal(fx_header(a, "Content-Range"), "bytes */10");
    assert_string_equal(fx_header(a, "ETag"), "");
    fx_assert_code(fx_get(f, 5, "GET", "/a.txt", H("Range: lines=1-2")), 200, 0);
    fx_assert_code(fx_get(f, 6, "GET", "/a.txt", H("Range: bytes=4-2")), 200, 0);
    a = fx_get(f, 7, "GET", "/a.txt", H("Range: bytes=0-0,-1"));
    fx_assert_code(a, 206, 0);
    assert_string_equal(fx_header(a, "Content-Type"), "multipart/byteranges; boundary="
                                                      "<q1w2e3r4t5y6u7i8o9p0zaxscdvfbgnhmjklkl>");
    assert_string_equal(a->body.p, "--<q1w2e3r4t5y6u7i8o9p0zaxscdvfbgnhmjklkl>\r\n"
                                   "Content-Type: text/plain\r\nContent-Range: bytes 0-0/10\r\n\r\n"
                                   "0\r\n--<q1w2e3r4t5y6u7i8o9p0zaxscdvfbgnhmjklkl>\r\n"
                                   "Content-Type: text/plain\r\nContent-Range: bytes 9-9/10\r\n\r\n"
                                   "9\r\n--<q1w2e3r4t5y6u7i8o9p0zaxscdvfbgnhmjklkl>--\r\n");
    fx_assert_code(fx_get(f, 8, "GET", "/a.txt", H("Range: bytes=1-2", "If-Range: \"x\"")), 200, 0);
    fx_assert_code(fx_get(f, 9, "GET", "/a.txt",
                          H("Range: bytes=1-2", "If-Range: \"20ba8ef391f8d31:0\"")), 206, 0);
    fx_get(f, 10, "GET", "/a.txt",
           H("Range: bytes=1-2", "If-Range: Thu, 31 May 2018 03:46:26 GMT"));
    fx_assert_code(&f->answers[10], 206, 0);
    fx_assert_code(fx_get(f, 11, "HEAD", "/a.txt", H("Range: bytes=1-2")), 200, 0);
    fx_assert_idle(f);
    fx_free(f);
}

static void test_client_cache(void **state)
{
    static const struct {
        const char *conf, *cache_control, *expires, *etag;
    } rows[] = {
        {"cacheControlMode='DisableCache'", "no-cache", "", "x"},
        {"cacheControlMode='UseMaxAge'", "max-age=86400", "", "x"},
        {"cacheControlMode='UseMaxAge' cacheControlMaxAge='00:01:00' cacheControlCustom='public'",
         "public,max-age=60", "", "x"},
        {"cacheControlMode='UseExpires' httpExpires='Tue, 19 Jan 2038 03:14:07 GMT'", "",
         "Tue, 19 Jan 2038 03:14:07 GMT", "x"},
        {"cacheControlCustom='private' setEtag='false'", "private", "", ""},
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        char xml[512];
        snprintf(xml, sizeof(xml),
                 "<configuration><system.webServer><staticContent><clientCache %s/>"
                 "</staticContent></system.webServer></configuration>", rows[i].conf);
        struct fx *f = fx_new(NULL, xml);
        fx_file(f, "a.txt", "hello");
        struct fx_answer *a = fx_get(f, 1, "GET", "/a.txt", NULL);
        fx_assert_code(a, 200, 0);
        assert_string_equal(fx_header(a, "Cache-Control"), rows[i].cache_control);
        assert_string_equal(fx_header(a, "Expires"), rows[i].expires);
        assert_int_equal(fx_header(a, "ETag")[0] != '\0', rows[i].etag[0] != '\0');
        fx_free(f);
    }
}

static void test_footer(void **state)
{
    struct fx *f = fx_new(NULL, "<configuration><system.webServer><staticContent "
                                "enableDocFooter='true' defaultDocFooter='-- end'/>"
                                "</system.webServer></configuration>");

    fx_file(f, "a.htm", "page");
    fx_file(f, "a.txt", "text");
    struct fx_answer *a = fx_get(f, 1, "GET", "/a.htm", H("Range: bytes=0-1"));

    fx_assert_code(a, 200, 0);
    assert_string_equal(a->body.p, "page-- end");
    assert_string_equal(fx_header(a, "ETag"), "");
    a = fx_get(f, 2, "GET", "/a.txt", NULL);
    assert_string_equal(a->body.p, "text");
    fx_assert_idle(f);
    fx_free(f);
}

/* A file is sent as it is now, however it was changed. */
static void test_changes_are_seen(void **state)
{
    struct fx *f = fx_new(NULL, NULL);
    char path[256], other[256];

    snprintf(path, sizeof(path), "%s/a.txt", f->root);
    snprintf(other, sizeof(other), "%s/b.tmp", f->root);
    fx_assert_code(fx_get(f, 1, "GET", "/a.txt", NULL), 404, 0);
    fx_file(f, "a.txt", "one");
    assert_string_equal(fx_get(f, 2, "GET", "/a.txt", NULL)->body.p, "one");
    fx_file(f, "a.txt", "two"); /* in place, same size */
    assert_string_equal(fx_get(f, 3, "GET", "/a.txt", NULL)->body.p, "two");
    fx_file(f, "b.tmp", "three");
    assert_int_equal(rename(other, path), 0);
    assert_string_equal(fx_get(f, 4, "GET", "/a.txt", NULL)->body.p, "three");
    assert_int_equal(unlink(path), 0);
    fx_assert_code(fx_get(f, 5, "GET", "/a.txt", NULL), 404, 0);
    fx_assert_idle(f);
    fx_free(f);
}

static void test_script_to_static(void **state)
{
    struct fx *f = fx_new("<location path='Default Web Site'><system.webServer><handlers>"
                          "<add name='x32' path='*.xyz' verb='*' modules='IsapiModule' "
                          "preCondition='bitness32'/></handlers><staticContent>"
                          "<mimeMap fileExtension='.xyz' mimeType='text/x'/></staticContent>"
                          "</system.webServer></location>", NULL);

    fx_file(f, "a.xyz", "source");
    struct fx_answer *a = fx_get(f, 1, "GET", "/a.xyz", NULL);

    fx_assert_code(a, 404, 17);
    assert_int_equal(a->head.win32, 50);
    fx_free(f);
}

/* What a client asked about a missing file says nothing about the page that tells it so. */
static void test_error_page_ignores_conditions(void **state)
{
    static const char *const headers[] = {
        "Range: bytes=1-2",
        "Range: bytes=100-",
        "If-None-Match: *",
        "If-Match: \"x\"",
        "If-Modified-Since: Thu, 31 May 2018 03:46:26 GMT",
        "If-Unmodified-Since: Thu, 31 May 2007 03:46:26 GMT",
        "Accept: image/png",
        "Translate: f",
    };
    struct fx *f = fx_new("<location path='Default Web Site'><system.webServer>"
                          "<httpErrors errorMode='Custom'><remove statusCode='404'/>"
                          "<error statusCode='404' path='/page.htm' responseMode='ExecuteURL'/>"
                          "</httpErrors></system.webServer></location>",
                          NULL);

    fx_file(f, "page.htm", "<p>gone</p>");
    set_mtime(f, "page.htm", 1527738386, 0);
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        struct fx_answer *a = fx_get(f, i + 1, "GET", "/none.htm", H(headers[i]));

        if (a->head.status != 200 || !a->body.p || strcmp(a->body.p, "<p>gone</p>") != 0)
            fail_msg("%s: %u", headers[i], a->head.status);
    }
    fx_assert_idle(f);
    fx_free(f);
}

/* The page for a body that is too large is no body itself. */
static void test_error_page_of_a_large_body(void **state)
{
    struct fx *f = fx_new("<location path='Default Web Site'><system.webServer>"
                          "<serverRuntime maxRequestEntityAllowed='10'/>"
                          "<httpErrors errorMode='Custom'>"
                          "<error statusCode='413' path='/page.htm' responseMode='ExecuteURL'/>"
                          "</httpErrors></system.webServer></location>",
                          NULL);

    fx_file(f, "page.htm", "<p>large</p>");
    struct fx_answer *a = fx_get(f, 1, "POST", "/page.htm", H("Content-Length: 11"));

    fx_assert_code(a, 200, 0);
    assert_string_equal(a->body.p, "<p>large</p>");
    fx_assert_idle(f);
    fx_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_page_ignores_conditions),
        cmocka_unit_test(test_error_page_of_a_large_body),
        cmocka_unit_test(test_plain_file),    cmocka_unit_test(test_folders),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_mime_wildcards),
        cmocka_unit_test(test_conditions),    cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_client_cache),  cmocka_unit_test(test_footer),
        cmocka_unit_test(test_changes_are_seen), cmocka_unit_test(test_script_to_static),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
