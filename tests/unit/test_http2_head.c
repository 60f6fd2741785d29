/* Request heads of HTTP/2: each rule with what breaks it, and what is kept of a good one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/http2_head.h"
#include "base/poison.h"

enum { FIELDS_MAX = 12 };

struct field {
    const char *name, *value;
};

struct outcome {
    enum rc rc;
    struct http2_head h;
    struct http1_head head;
    char *buf; /* as large as what was asked for: a wrong answer is an overflow */
};

static struct str view(const char *z)
{
    return str_n(z, strlen(z));
}

static void make_room(struct outcome *o, size_t needs)
{
    o->buf = realloc(o->buf, o->h.used + needs + 1);
    assert_non_null(o->buf);
}

static void feed(struct outcome *o, struct str name, struct str value)
{
    make_room(o, http2_head_needs(&o->h, name, value));
    http2_head_field(&o->h, o->buf, name, value);
}

static void begin(struct outcome *o, const struct http1_limits *limits)
{
    *o = (struct outcome){.rc = RC_AGAIN};
    http1_head_init(&o->head);
    http2_head_begin(&o->h, limits, &o->head);
}

static void end(struct outcome *o, bool is_last)
{
    make_room(o, http2_head_needs_at_end(&o->h));
    o->rc = http2_head_end(&o->h, o->buf, is_last);
}

static void done(struct outcome *o)
{
    http1_head_fini(&o->head);
    free(o->buf);
}

static void run(struct outcome *o, const struct http1_limits *limits, const struct field *f,
                bool is_last)
{
    begin(o, limits);
    for (; f->name; f++)
        feed(o, view(f->name), view(f->value));
    end(o, is_last);
}

#define GET {":method", "GET"}, {":scheme", "https"}, {":authority", "www.a.test:8443"}, {":path", "/x?y"}
#define POST {":method", "POST"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}

static const struct rule {
    const char *name;
    enum httperr_reason reason;
    bool malformed, has_body;
    uint32_t flags;
    struct field fields[FIELDS_MAX];
} rules[] = {
    {.name = "plain", .fields = {GET}},
    {.name = "any order", .fields = {{":path", "/"}, {":authority", "a"}, {":method", "GET"}, {":scheme", "http"}}},
    {.name = "host alone", .fields = {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {"host", "a"}}},
    {.name = "host says the same", .fields = {GET, {"host", "WWW.a.test:8443"}}},
    {.name = "host and authority differ", HTTPERR_BAD_REQUEST, .fields = {GET, {"host", "b"}}},
    {.name = "no host", HTTPERR_HOSTNAME, .fields = {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}}},
    {.name = "empty authority", HTTPERR_HOSTNAME,
     .fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", ""}, {":path", "/"}}},
    {.name = "user in authority", HTTPERR_HOSTNAME,
     .fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", "u@a"}, {":path", "/"}}},
    {.name = "two hosts", HTTPERR_BAD_REQUEST,
     .fields = {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {"host", "a"}, {"host", "a"}}},
    {.name = "no method", HTTPERR_BAD_REQUEST, true, .fields = {{":scheme", "http"}, {":authority", "a"}, {":path", "/"}}},
    {.name = "no scheme", HTTPERR_BAD_REQUEST, true, .fields = {{":method", "GET"}, {":authority", "a"}, {":path", "/"}}},
    {.name = "no path", HTTPERR_BAD_REQUEST, true, .fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}}},
    {.name = "empty path", HTTPERR_BAD_REQUEST, true,
     .fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", ""}}},
    {.name = "empty scheme", HTTPERR_BAD_REQUEST, true,
     .fields = {{":method", "GET"}, {":scheme", ""}, {":authority", "a"}, {":path", "/"}}},
    {.name = "method twice", HTTPERR_BAD_REQUEST, true, .fields = {GET, {":method", "GET"}}},
    {.name = "path twice", HTTPERR_BAD_REQUEST, true, .fields = {GET, {":path", "/"}}},
    {.name = "unknown pseudo-header", HTTPERR_BAD_REQUEST, true, .fields = {GET, {":other", "1"}}},
    {.name = "pseudo-header of responses", HTTPERR_BAD_REQUEST, true, .fields = {GET, {":status", "200"}}},
    {.name = "extended connect was not offered", HTTPERR_BAD_REQUEST, true, .fields = {GET, {":protocol", "websocket"}}},
    {.name = "pseudo-header after fields", HTTPERR_BAD_REQUEST, true,
     .fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {"x", "1"}, {":path", "/"}}},
    {.name = "connect", HTTPERR_URL, .fields = {{":method", "CONNECT"}, {":authority", "a:1"}}},
    {.name = "connect with a path", HTTPERR_BAD_REQUEST, true,
     .fields = {{":method", "CONNECT"}, {":scheme", "http"}, {":authority", "a:1"}, {":path", "/"}}},
    {.name = "any other method", .fields = {{":method", "FOO"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}}},
    {.name = "lower case verb", HTTPERR_VERB,
     .fields = {{":method", "get"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}}},
    {.name = "lower case verb allowed", .flags = HTTP1_CASE_INSENSITIVE_VERBS,
     .fields = {{":method", "get"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}}},
    {.name = "verb with a bracket", HTTPERR_VERB,
     .fields = {{":method", "GE(T"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}}},
    {.name = "empty verb", HTTPERR_VERB,
     .fields = {{":method", ""}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}}},
    {.name = "path without slash", HTTPERR_URL,
     .fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "foo"}}},
    {.name = "absolute form", HTTPERR_URL,
     .fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "http://a/"}}},
    {.name = "blank in the path", HTTPERR_URL,
     .fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/a b"}}},
    {.name = "control in the path", HTTPERR_URL,
     .fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/a\x01"}}},
    {.name = "control in the path allowed", .flags = HTTP1_RAW_RESTRICTED_CHARS,
     .fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/a\x01"}}},
    {.name = "line end in the path", HTTPERR_URL, .flags = HTTP1_RAW_RESTRICTED_CHARS,
     .fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/a\r\nb: c"}}},
    {.name = "asterisk", .fields = {{":method", "OPTIONS"}, {":scheme", "http"}, {":authority", "a"}, {":path", "*"}}},
    {.name = "asterisk and GET", HTTPERR_URL,
     .fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "*"}}},
    {.name = "upper case name", HTTPERR_BAD_REQUEST, true, .fields = {GET, {"Accept", "x"}}},
    {.name = "connection", HTTPERR_BAD_REQUEST, true, .fields = {GET, {"connection", "close"}}},
    {.name = "keep-alive", HTTPERR_BAD_REQUEST, true, .fields = {GET, {"keep-alive", "1"}}},
    {.name = "proxy-connection", HTTPERR_BAD_REQUEST, true, .fields = {GET, {"proxy-connection", "x"}}},
    {.name = "transfer-encoding", HTTPERR_BAD_REQUEST, true, .fields = {POST, {"transfer-encoding", "chunked"}}},
    {.name = "upgrade", HTTPERR_BAD_REQUEST, true, .fields = {GET, {"upgrade", "h2c"}}},
    {.name = "te", HTTPERR_BAD_REQUEST, true, .fields = {GET, {"te", "gzip"}}},
    {.name = "te: trailers", .fields = {GET, {"te", "trailers"}}},
    {.name = "name with a separator", HTTPERR_HEADER, .fields = {GET, {"bad?name", "x"}}},
    {.name = "name with a separator allowed", .flags = HTTP1_WEAK_HEADER_NAMES, .fields = {GET, {"bad?name", "x"}}},
    {.name = "name with a blank", HTTPERR_HEADER, .flags = HTTP1_WEAK_HEADER_NAMES, .fields = {GET, {"a b", "x"}}},
    {.name = "no name", HTTPERR_HEADER, .fields = {GET, {"", "x"}}},
    {.name = "line end in a value", HTTPERR_HEADER, .flags = HTTP1_WEAK_HEADER_VALUES, .fields = {GET, {"x", "a\r\nb: c"}}},
    {.name = "control in a value", HTTPERR_HEADER, .fields = {GET, {"x", "a\x02"}}},
    {.name = "control in a value allowed", .flags = HTTP1_WEAK_HEADER_VALUES, .fields = {GET, {"x", "a\x02"}}},
    {.name = "blank before a value", HTTPERR_HEADER, .fields = {GET, {"x", " a"}}},
    {.name = "blank behind a value", HTTPERR_HEADER, .fields = {GET, {"x", "a\t"}}},
    {.name = "single header twice", HTTPERR_BAD_REQUEST, .fields = {GET, {"user-agent", "a"}, {"user-agent", "b"}}},
    {.name = "list header twice", .fields = {GET, {"accept", "a"}, {"accept", "b"}}},
    {.name = "length", .has_body = true, .fields = {POST, {"content-length", "3"}}},
    {.name = "length is no number", HTTPERR_NUMBER, .has_body = true, .fields = {POST, {"content-length", "1x"}}},
    {.name = "length with a sign", HTTPERR_NUMBER, .has_body = true, .fields = {POST, {"content-length", "-1"}}},
    {.name = "length above 64 bits", HTTPERR_NUMBER, .has_body = true,
     .fields = {POST, {"content-length", "18446744073709551616"}}},
    {.name = "length but no body", HTTPERR_BAD_REQUEST, true, .fields = {POST, {"content-length", "3"}}},
    {.name = "length 0 and no body", .fields = {POST, {"content-length", "0"}}},
    {.name = "no length needed", .has_body = true, .fields = {POST}},
    {.name = "the first thing wrong counts", HTTPERR_HEADER,
     .fields = {GET, {"bad?name", "x"}, {"connection", "close"}, {"host", "b"}}},
};

static void each_rule(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const struct rule *r = &rules[i];
        struct http1_limits limits = http1_limits_default();
        struct outcome o;

        limits.flags = r->flags;
        run(&o, &limits, r->fields, !r->has_body);
        if (o.h.reason != r->reason || o.h.malformed != r->malformed ||
            o.rc != (r->reason ? RC_FAIL : RC_OK)) {
            struct str why = httperr_reason_name(o.h.reason);
            fail_msg("%s: %.*s%s", r->name, STR_ARG(why), o.h.malformed ? ", malformed" : "");
        }
        done(&o);
    }
}

static void parts_are_where_the_offsets_say(void **state)
{
    static const struct field fields[] = {GET,
                                          {"accept", "a"},
                                          {"x-other", "z"},
                                          {"accept", "b"},
                                          {"expect", "100-continue"},
                                          {"content-length", "7"},
                                          {NULL, NULL}};
    struct http1_limits limits = http1_limits_default();
    struct outcome o;

    run(&o, &limits, fields, false);
    assert_int_equal(o.rc, RC_OK);
    assert_true(str_eq(http1_method(&o.head, o.buf), STR("GET")));
    assert_int_equal(o.head.method, HTTP_METHOD_GET);
    assert_true(str_eq(http1_target(&o.head, o.buf), STR("/x?y")));
    assert_int_equal(o.head.version_major, 2);
    assert_int_equal(o.head.version_minor, 0);
    assert_true(o.head.keep_alive && o.head.expect_100 && o.head.has_content_length);
    assert_false(o.head.chunked || o.head.connection_close || o.head.upgrade || o.head.other_expect);
    assert_int_equal(o.head.content_length, 7);
    assert_true(str_eq(http1_host(&o.head, o.buf), STR("www.a.test:8443")));
    assert_int_equal(o.head.host_name_len, 10);
    assert_int_equal(o.head.host_port, 8443);
    assert_int_equal(o.head.head_len, o.h.used);

    const struct http1_header *f = http1_headers(&o.head);

    assert_int_equal(o.head.n_headers, 6);
    assert_true(str_eq(str_n(o.buf + f[0].name_off, f[0].name_len), STR("Host")));
    assert_true(str_eq(str_n(o.buf + f[1].name_off, f[1].name_len), STR("Accept")));
    assert_true(str_eq(str_n(o.buf + f[2].name_off, f[2].name_len), STR("x-other")));
    assert_int_equal(f[2].id, HDR_OTHER);
    assert_true(str_eq(http1_value(&o.head, o.buf, HDR_ACCEPT), STR("a")));
    assert_true(o.head.repeated == UINT64_C(1) << HDR_ACCEPT);
    assert_true(str_eq(http1_value(&o.head, o.buf, HDR_HOST), STR("www.a.test:8443")));
    done(&o);
}

static void a_body_without_length_is_as_long_as_the_stream(void **state)
{
    static const struct field fields[] = {POST, {NULL, NULL}};
    struct http1_limits limits = http1_limits_default();
    struct outcome o;

    run(&o, &limits, fields, false);
    assert_int_equal(o.rc, RC_OK);
    assert_true(o.head.content_length == UINT64_MAX && !o.head.has_content_length);
    done(&o);
    run(&o, &limits, fields, true);
    assert_int_equal(o.head.content_length, 0);
    done(&o);
}

static void crumbs_become_one_cookie(void **state)
{
    static const struct field fields[] = {GET,
                                          {"cookie", "a=1"},
                                          {"accept", "x"},
                                          {"cookie", "b=2"},
                                          {"cookie", ""},
                                          {"range", "bytes=0-"},
                                          {"cookie", "c=3"},
                                          {NULL, NULL}};
    struct http1_limits limits = http1_limits_default();
    struct outcome o;

    run(&o, &limits, fields, true);
    assert_int_equal(o.rc, RC_OK);
    assert_int_equal(o.head.n_headers, 4);
    assert_true(str_eq(http1_value(&o.head, o.buf, HDR_COOKIE), STR("a=1; b=2; ; c=3")));
    assert_true(str_eq(http1_value(&o.head, o.buf, HDR_ACCEPT), STR("x")));
    assert_true(str_eq(http1_value(&o.head, o.buf, HDR_RANGE), STR("bytes=0-")));
    assert_true(str_eq(http1_value(&o.head, o.buf, HDR_HOST), STR("www.a.test:8443")));
    assert_true(o.head.repeated == 0);
    done(&o);
}

/* A field of n bytes as a line: name, ": ", value. */
static enum httperr_reason with_field(const struct http1_limits *limits, size_t n, size_t more)
{
    struct outcome o;
    char *value = calloc(1, n + more);

    memset(value, 'v', n + more);
    begin(&o, limits);
    feed(&o, STR(":method"), STR("GET"));
    feed(&o, STR(":scheme"), STR("http"));
    feed(&o, STR(":authority"), STR("a"));
    feed(&o, STR(":path"), STR("/"));
    feed(&o, STR("x"), str_n(value, n - 3));
    if (more)
        feed(&o, STR("y"), str_n(value, more - 3));
    end(&o, true);
    enum httperr_reason why = o.h.reason;

    assert_true(o.h.used <= limits->max_request_bytes + 256);
    done(&o);
    free(value);
    return why;
}

static void limits_are_those_of_http1(void **state)
{
    struct http1_limits wide = {.max_field_length = 1000, .max_request_bytes = 4000};
    struct http1_limits tight = {.max_field_length = 1000, .max_request_bytes = 1000};
    /* "GET / HTTP/2.0", "Host: a", the field, the empty line */
    enum { REST = 3 + 1 + 1 + 11 + 9 + 2 + 2 };

    assert_int_equal(with_field(&wide, 1000, 0), HTTPERR_NONE);
    assert_int_equal(with_field(&wide, 1001, 0), HTTPERR_FIELD_LENGTH);
    assert_int_equal(with_field(&tight, 1000 - REST, 0), HTTPERR_NONE);
    assert_int_equal(with_field(&tight, 1000 - REST + 1, 0), HTTPERR_REQUEST_LENGTH);
    assert_int_equal(with_field(&tight, 1001, 0), HTTPERR_REQUEST_LENGTH);
    assert_int_equal(with_field(&tight, 1000 - REST - 50, 48), HTTPERR_NONE);
    assert_int_equal(with_field(&tight, 1000 - REST - 50, 49), HTTPERR_REQUEST_LENGTH);
}

static enum httperr_reason with_pseudo(const char *which, size_t n)
{
    static const char *const names[] = {":method", ":scheme", ":authority", ":path"};
    struct http1_limits limits = {.max_field_length = 1000, .max_request_bytes = 4000};
    struct outcome o;
    char *value = calloc(1, n);

    memset(value, 'a', n);
    value[0] = strcmp(which, ":path") == 0 ? '/' : 'a';
    begin(&o, &limits);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        feed(&o, view(names[i]),
             strcmp(names[i], which) == 0 ? str_n(value, n) : i == 3 ? STR("/") : STR("a"));
    end(&o, true);
    enum httperr_reason why = o.h.reason;

    assert_int_equal(o.h.malformed, strcmp(which, ":scheme") == 0 && n > 32);
    done(&o);
    free(value);
    return why;
}

static void pseudo_headers_have_limits(void **state)
{
    assert_int_equal(with_pseudo(":path", 1000), HTTPERR_NONE);
    assert_int_equal(with_pseudo(":path", 1001), HTTPERR_URL_LENGTH);
    assert_int_equal(with_pseudo(":path", 1 << 20), HTTPERR_URL_LENGTH);
    assert_int_equal(with_pseudo(":authority", 255), HTTPERR_NONE);
    assert_int_equal(with_pseudo(":authority", 256), HTTPERR_HOSTNAME);
    assert_int_equal(with_pseudo(":authority", 995), HTTPERR_FIELD_LENGTH);
    assert_int_equal(with_pseudo(":authority", 1 << 20), HTTPERR_FIELD_LENGTH);
    assert_int_equal(with_pseudo(":method", 3970), HTTPERR_NONE);
    assert_int_equal(with_pseudo(":method", 4000), HTTPERR_URL_LENGTH);
    assert_int_equal(with_pseudo(":method", 4001), HTTPERR_REQUEST_LENGTH);
    assert_int_equal(with_pseudo(":scheme", 32), HTTPERR_NONE);
    assert_int_equal(with_pseudo(":scheme", 33), HTTPERR_BAD_REQUEST);
}

static void a_flood_of_fields_keeps_nothing(void **state)
{
    struct http1_limits limits = http1_limits_default();
    char value[4000];
    struct outcome o;

    memset(value, 'v', sizeof(value));
    begin(&o, &limits);
    for (int i = 0; i < 20000; i++)
        feed(&o, STR("x"), str_n(value, sizeof(value)));
    assert_true(o.h.used < 20000);
    assert_true(o.h.decoded == UINT64_C(20000) * (sizeof(value) + 1 + 32));
    end(&o, true);
    assert_int_equal(o.rc, RC_FAIL);
    done(&o);
}

static void many_crumbs_stay_within_the_limit_of_a_field(void **state)
{
    struct http1_limits limits = {.max_field_length = 1000, .max_request_bytes = 16000};

    for (int n = 1; n < 30; n++) {
        char value[100];
        struct outcome o;

        memset(value, 'c', sizeof(value));
        begin(&o, &limits);
        feed(&o, STR(":method"), STR("GET"));
        feed(&o, STR(":scheme"), STR("http"));
        feed(&o, STR(":authority"), STR("a"));
        feed(&o, STR(":path"), STR("/"));
        for (int i = 0; i < n; i++)
            feed(&o, STR("cookie"), str_n(value, sizeof(value)));
        end(&o, true);
        /* 8 bytes of name, 100 a crumb, 2 between */
        assert_int_equal(o.h.reason,
                         8 + n * 102 - 2 <= 1000 ? HTTPERR_NONE : HTTPERR_FIELD_LENGTH);
        done(&o);
    }
}

static void trailers(void **state)
{
    static const struct {
        struct field f;
        bool is_last, ok;
    } cases[] = {
        {{"x-sum", "1"}, true, true},        {{"x-sum", "1"}, false, false},
        {{":path", "/"}, true, false},       {{"X-Sum", "1"}, true, false},
        {{"connection", "x"}, true, false},  {{"x", "a\nb"}, true, false},
        {{"host", "other"}, true, true},
    };
    struct http1_limits limits = http1_limits_default();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http2_head h;
        struct str name = view(cases[i].f.name), value = view(cases[i].f.value);

        http2_trailer_begin(&h, &limits);
        assert_int_equal(http2_head_needs(&h, name, value), 0);
        http2_head_field(&h, NULL, name, value);
        assert_int_equal(http2_head_needs_at_end(&h), 0);
        assert_int_equal(http2_head_end(&h, NULL, cases[i].is_last) == RC_OK, cases[i].ok);
    }
}

static void priorities(void **state)
{
    static const struct {
        const char *text;
        int urgency, incremental; /* -1: unchanged */
        bool ok;
    } cases[] = {
        {"", -1, -1, true},
        {"u=0", 0, -1, true},
        {"u=7, i", 7, 1, true},
        {"i, u=2", 2, 1, true},
        {"i=?0", -1, 0, true},
        {"i=?1;x=1,u=5;q", 5, 1, true},
        {"u=8", -1, -1, true},
        {"u=-1", -1, -1, true},
        {"u=1.0", -1, -1, true},
        {"u=1,u=4", 4, -1, true},
        {"foo=bar, u=1", 1, -1, true},
        {"=1", -1, -1, false},
        {"u 3", -1, -1, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t u = 3;
        bool inc = false;

        assert_int_equal(http2_priority_parse(view(cases[i].text), &u, &inc), cases[i].ok);
        assert_int_equal(u, cases[i].urgency < 0 ? 3 : cases[i].urgency);
        assert_int_equal(inc, cases[i].incremental == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule),
        cmocka_unit_test(parts_are_where_the_offsets_say),
        cmocka_unit_test(a_body_without_length_is_as_long_as_the_stream),
        cmocka_unit_test(crumbs_become_one_cookie),
        cmocka_unit_test(limits_are_those_of_http1),
        cmocka_unit_test(pseudo_headers_have_limits),
        cmocka_unit_test(a_flood_of_fields_keeps_nothing),
        cmocka_unit_test(many_crumbs_stay_within_the_limit_of_a_field),
        cmocka_unit_test(trailers),
        cmocka_unit_test(priorities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
