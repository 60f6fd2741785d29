/* What modules do with a request: headers both ways, failures, the server's own name. */
#include "worker_fixture.h"

#include <stdio.h>

#include "worker/modules/registry.h"

#include "base/poison.h"

#define H(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The module under the name of StaticFileModule calls this. */
static enum pipe_rc (*script)(struct request *r);

static enum pipe_rc authenticate(struct request *r, const void *conf)
{
    r->authenticated = true;
    r->user = STR("somebody");
    return PIPE_CONTINUE;
}

static enum pipe_rc execute(struct request *r, const void *conf)
{
    return script(r);
}

static const struct module modules[] = {
    {.name = "AnonymousAuthenticationModule",
     .hooks = {[N_AUTHENTICATE_REQUEST] = {authenticate, PRI_LAST}}},
    {.name = "StaticFileModule", .execute = execute},
    {.name = "DefaultDocumentModule", .execute = execute},
    {.name = "DirectoryListingModule", .execute = execute},
};

unsigned registry_count(void)
{
    return ARRAY_LEN(modules);
}

const struct module *registry_at(unsigned index)
{
    return &modules[index];
}

int registry_find(struct str name)
{
    for (unsigned i = 0; i < ARRAY_LEN(modules); i++)
        if (str_ieq(name, str_z(modules[i].name)))
            return (int)i;
    return -1;
}

#define AT_SITE(xml)                                                                               \
    "<location path='Default Web Site'><system.webServer>" xml "</system.webServer></location>"

static struct fx_answer *run(struct fx *f, enum pipe_rc (*what)(struct request *r),
                             const char *const *headers)
{
    static uint64_t id;

    script = what;
    return fx_get(f, id++ % FX_ANSWERS, "GET", "/?a=b", headers);
}

/* ---- headers of the request ----------------------------------------------------------------- */

static enum pipe_rc look_at_headers(struct request *r)
{
    assert_true(request_has_header(r, HDR_ACCEPT));
    assert_false(request_has_header(r, HDR_RANGE));
    assert_true(str_eq(request_header(r, HDR_ACCEPT), STR("a/b, c/d")));
    assert_true(str_eq(request_header(r, HDR_COOKIE), STR("x=1; y=2")));
    assert_true(str_eq(request_header_named(r, STR("cookie")), STR("x=1; y=2")));
    assert_true(str_eq(request_header_named(r, STR("X-OWN")), STR("1, 2")));
    assert_null(request_header(r, HDR_RANGE).p);
    assert_null(request_header_named(r, STR("X-None")).p);
    assert_true(str_eq(r->query, STR("a=b")));
    return PIPE_FINISH;
}

static void test_request_headers(void **state)
{
    struct fx *f = fx_new(NULL, NULL);

    run(f, look_at_headers,
        H("Accept: a/b", "X-Own: 1", "Cookie: x=1", "accept: c/d", "Cookie: y=2", "x-own: 2"));
    fx_assert_idle(f);
    fx_free(f);
}

/* ---- headers of the response ---------------------------------------------------------------- */

static enum pipe_rc set_headers(struct request *r)
{
    assert_true(response_header_add(r, STR("X-First"), STR("1")));
    assert_true(response_header_add(r, STR("set-cookie"), STR("a")));
    assert_true(response_header_set(r, HDR_LOCATION, STR("/old")));
    assert_true(response_header_set(r, HDR_LOCATION, STR("/new")));
    assert_true(response_header_add(r, STR("Set-Cookie"), STR("b")));
    assert_true(response_header_set(r, HDR_CACHE_CONTROL, STR("no-cache")));
    assert_true(response_header_add(r, STR("X-Gone"), STR("x")));
    assert_true(response_header_add(r, STR("X-Second"), STR("")));
    response_header_remove(r, STR("x-gone"));
    /* What would split the response or frame it is refused. */
    assert_false(response_header_add(r, STR("X-Bad"), STR("a\r\nb")));
    assert_false(response_header_add(r, STR("X-Bad"), STR("a\nb")));
    assert_false(response_header_add(r, STR("X-Bad"), str_n("a\0b", 3)));
    assert_false(response_header_add(r, STR("X Bad"), STR("a")));
    assert_false(response_header_add(r, STR(""), STR("a")));
    assert_false(response_header_add(r, STR("Content-Length"), STR("5")));
    assert_false(response_header_add(r, STR("transfer-encoding"), STR("chunked")));
    assert_false(response_header_add(r, STR("Date"), STR("now")));
    assert_false(response_header_set(r, HDR_OTHER, STR("a")));
    assert_true(str_eq(response_header_get(r, HDR_LOCATION), STR("/new")));
    r->response.prebuilt = STR("Content-Type: text/x\r\nETag: \"1\"\r\n");
    assert_true(str_eq(response_header_get(r, HDR_ETAG), STR("\"1\"")));
    r->response.prebuilt = STR_NULL;
    return PIPE_FINISH;
}

static void test_response_headers(void **state)
{
    struct fx *f = fx_new(NULL, NULL);
    struct fx_answer *a = run(f, set_headers, NULL);

    fx_assert_code(a, 200, 0);
    assert_string_equal(a->headers, "Cache-Control: no-cache\r\n"
                                    "Location: /new\r\n"
                                    "Server: Microsoft-IIS/10.0\r\n"
                                    "set-cookie: a\r\n"
                                    "Set-Cookie: b\r\n"
                                    "X-First: 1\r\n"
                                    "X-Second: \r\n");
    assert_string_equal(a->user, "somebody");
    fx_assert_idle(f);
    fx_free(f);
}

static enum pipe_rc ask_to_close(struct request *r)
{
    assert_true(response_header_add(r, STR("Connection"), STR("close")));
    r->response.no_log = true;
    r->response.log_fields = STR("X=1\n");
    return PIPE_FINISH;
}

static enum pipe_rc abort_connection(struct request *r)
{
    r->response.abort = true;
    return PIPE_FINISH;
}

static enum pipe_rc own_server(struct request *r)
{
    assert_true(response_header_set(r, HDR_SERVER, STR("Mine")));
    return PIPE_FINISH;
}

/* More than a record may carry: nobody gets a piece of it. */
static enum pipe_rc many_headers(struct request *r)
{
    char *value = arena_alloc(&r->arena, 10000);

    memset(value, 'x', 10000);
    for (unsigned i = 0; i < 7; i++)
        assert_true(response_header_add(r, STR("X-Large"), str_n(value, 10000)));
    return PIPE_FINISH;
}

static void test_flags(void **state)
{
    struct fx *f = fx_new(NULL, NULL);
    struct fx_answer *a = run(f, ask_to_close, NULL);

    assert_int_equal(a->head.flags, MSGR_LENGTH | MSGR_CLOSE | MSGR_NO_LOG);
    assert_string_equal(a->log, "X=1\n");
    a = run(f, abort_connection, NULL);
    assert_true(a->reset);
    assert_false(a->begun);
    a = run(f, own_server, NULL);
    assert_string_equal(a->headers, "Server: Mine\r\n");
    a = run(f, many_headers, NULL);
    fx_assert_code(a, 500, 0);
    assert_string_equal(fx_header(a, "X-Large"), "");
    fx_assert_idle(f);
    fx_free(f);
}

/* ---- failures ------------------------------------------------------------------------------- */

static enum pipe_rc fail_twice(struct request *r)
{
    char detail[] = "first";

    response_body_memory(r, STR("half a page"));
    r->response.prebuilt = STR("ETag: \"1\"\r\n");
    assert_int_equal(request_fail(r, &st_404_2_isapi_cgi_restriction, 0, str_z(detail)),
                     PIPE_FINISH);
    detail[0] = 'X'; /* it was copied */
    assert_int_equal(request_fail(r, &st_500_0_module_error, 0x80070005, STR("second")),
                     PIPE_FINISH);
    assert_ptr_equal(r->failure.row, &st_404_2_isapi_cgi_restriction);
    assert_true(str_eq(r->failure.detail, STR("first")));
    assert_string_equal(r->failure.module->name, "StaticFileModule");
    return PIPE_FINISH;
}

static enum pipe_rc fail_with_own_code(struct request *r)
{
    return request_fail(r, &st_401_1_logon_failed, 0x8009030e, STR_NULL); /* no Win32 code inside */
}

static void test_failures(void **state)
{
    struct fx *f = fx_new(NULL, NULL);
    struct fx_answer *a = run(f, fail_twice, NULL);

    fx_assert_code(a, 404, 2);
    assert_int_equal(a->head.win32, 1260);
    assert_int_equal(a->body.n, 0);
    assert_string_equal(fx_header(a, "ETag"), "");
    a = run(f, fail_with_own_code, NULL);
    assert_int_equal(a->head.win32, 0x8009030e);
    fx_assert_idle(f);
    fx_free(f);
}

/* ---- who may know, and who we say we are ---------------------------------------------------- */

static void test_banners(void **state)
{
    struct fx *f = fx_new(NULL, NULL);

    assert_true(strstr(run(f, fail_twice, NULL)->headers, "X-Candor-Error: 404.2 ") != NULL);
    f->from_elsewhere = true;
    struct fx_answer *a = run(f, fail_twice, NULL);

    assert_string_equal(a->headers, "Server: Microsoft-IIS/10.0\r\n");
    fx_free(f);
    f = fx_new(AT_SITE("<httpErrors errorMode='Detailed'/><serverRuntime serverHeader='Other'/>"),
               NULL);
    f->from_elsewhere = true;
    a = run(f, fail_twice, NULL);
    assert_string_equal(fx_header(a, "Server"), "Other");
    assert_true(strstr(a->headers, "X-Candor-Error: 404.2 ") != NULL);
    fx_free(f);
    f = fx_new(AT_SITE("<security><requestFiltering removeServerHeader='true'/></security>"), NULL);
    assert_string_equal(run(f, ask_to_close, NULL)->headers, "");
    fx_free(f);
}

static enum pipe_rc say_base_url(struct request *r)
{
    response_body_memory(r, request_base_url(r));
    return PIPE_FINISH;
}

static void test_base_url(void **state)
{
    struct fx *f = fx_new(NULL, NULL);

    assert_string_equal(run(f, say_base_url, H("Host: a.example:81"))->body.p,
                        "http://a.example:81");
    assert_string_equal(run(f, say_base_url, H("Host: a.example"))->body.p, "http://a.example");
    f->over_v6 = true;
    assert_string_equal(run(f, say_base_url, NULL)->body.p, "http://[2001:db8::1]:8080");
    fx_free(f);
    f = fx_new(AT_SITE("<serverRuntime alternateHostName='other.example'/>"), NULL);
    assert_string_equal(run(f, say_base_url, H("Host: a.example"))->body.p,
                        "http://other.example:8080");
    fx_free(f);
}

/* ---- memory --------------------------------------------------------------------------------- */

static enum pipe_rc use_it_up(struct request *r)
{
    for (size_t n = 1 << 20; n >= 16; n /= 4)
        while (arena_alloc(&r->arena, n))
            ;
    assert_null(request_lookup_url(r, STR("/")));
    assert_false(response_header_add(r, STR("X-A"), STR("b")));
    response_body_memory(r, STR("no room for this part"));
    return PIPE_FINISH;
}

/* A request that has used up its memory is reset, not answered by half. */
static void test_memory(void **state)
{
    struct fx *f = fx_new(NULL, NULL);

    assert_true(run(f, use_it_up, NULL)->reset);
    fx_assert_code(run(f, ask_to_close, NULL), 200, 0);
    fx_assert_idle(f);
    fx_free(f);
}

static enum pipe_rc add_many_headers(struct request *r)
{
    for (unsigned i = 0; i < 5000; i++)
        response_header_add(r, arena_printf(&r->arena, "X-%u", i), STR("some text"));
    response_body_memory(r, STR("hello"));
    return PIPE_FINISH;
}

/* More header lines than a message holds: an answer that says so, not a connection that ends. */
static void test_too_many_headers(void **state)
{
    struct fx *f = fx_new(NULL, NULL);
    struct fx_answer *a = run(f, add_many_headers, NULL);

    assert_false(a->reset);
    fx_assert_code(a, 500, 0);
    assert_int_equal(a->head.win32, 122);
    assert_true(a->body.n > 5);
    assert_string_equal(fx_header(a, "X-1"), "");
    assert_string_equal(fx_header(a, "Content-Type"), "text/html");
    assert_string_equal(fx_header(a, "Server"), "Microsoft-IIS/10.0");
    assert_true(strstr(a->headers, "X-Candor-Error: 500.0 ") != NULL);
    fx_assert_idle(f);
    fx_free(f);
}

/* ---- a body that came before the client's certificate ---------------------------------------- */

static void on_body(struct request *r, void *arg, struct str bytes, bool is_end, bool failed)
{
    assert_false(failed);
    assert_true(is_end);
    response_status(r, &st_200_0_ok);
    response_body_memory(r, arena_dup(&r->arena, bytes));
    request_resume(r, PIPE_FINISH);
}

static enum pipe_rc echo_body(struct request *r)
{
    assert_true(request_read_body(r, on_body, NULL));
    return PIPE_PENDING;
}

static void test_body_is_kept_for_its_reader(void **state)
{
    struct fx *f = fx_new(AT_SITE("<security><access sslFlags='SslNegotiateCert'/></security>"
                                  "<serverRuntime uploadReadAheadSize='200000'/>"),
                          NULL);
    struct fx_answer *a = &f->answers[1];
    static char body[200000];

    script = echo_body;
    f->tls_flags = MSGF_TLS | MSGF_CERT_ASKABLE;
    f->tls.version = 0x0303;
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)('a' + i % 26);
    assert_true(fx_push(f, 1, "POST", "/", H("Content-Length: 200000"), MSGF_HAS_BODY));
    fx_turn(f);
    assert_int_equal(a->body_wanted, sizeof(body));
    for (size_t at = 0; at < sizeof(body); at += 50000) {
        assert_int_equal(a->cert_wanted, 0);
        fx_push_body(f, 1, body + at, 50000, at + 50000 == sizeof(body));
        fx_turn(f);
    }
    assert_int_equal(a->cert_wanted, 1);
    fx_push_certificate(f, 1, CLIENT_CERT_NONE, STR_NULL);
    for (unsigned i = 0; i < 20 && !a->closed; i++)
        fx_turn(f);
    fx_assert_code(a, 200, 0);
    assert_int_equal(a->body.n, sizeof(body));
    assert_memory_equal(a->body.p, body, sizeof(body));
    assert_int_equal(a->body_wanted, sizeof(body));
    fx_assert_idle(f);
    fx_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_too_many_headers),
        cmocka_unit_test(test_request_headers), cmocka_unit_test(test_response_headers),
        cmocka_unit_test(test_flags),           cmocka_unit_test(test_failures),
        cmocka_unit_test(test_banners),         cmocka_unit_test(test_base_url),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_body_is_kept_for_its_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
