#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/headers.h"
#include "http/host.h"
#include "http/httperr_reason.h"
#include "http/method.h"
#include "http/scan.h"
#include "base/poison.h"

static void every_known_name_is_found_in_any_case(void **state)
{
    for (unsigned id = HDR_OTHER + 1; id < HDR_MAX; id++) {
        struct str name = http_header_name((enum http_header_id)id);
        char upper[32], lower[32];

        assert_true(name.n > 0 && name.n < sizeof(upper));
        for (size_t i = 0; i < name.n; i++) {
            lower[i] = ascii_lower(name.p[i]);
            upper[i] = ascii_is_alpha(name.p[i]) ? (char)(name.p[i] & ~0x20) : name.p[i];
        }
        assert_int_equal(http_header_lookup(name), id);
        assert_int_equal(http_header_lookup(str_n(lower, name.n)), id);
        assert_int_equal(http_header_lookup(str_n(upper, name.n)), id);
    }
}

static void no_other_name_is_taken_for_a_known_one(void **state)
{
    for (unsigned id = HDR_OTHER + 1; id < HDR_MAX; id++) {
        struct str name = http_header_name((enum http_header_id)id);

        for (size_t at = 0; at < name.n; at++)
            for (int byte = 0; byte < 256; byte++) {
                char other[32];

                memcpy(other, name.p, name.n);
                other[at] = (char)byte;
                unsigned got = http_header_lookup(str_n(other, name.n));

                /* Short names may turn into each other: compare with the slow way. */
                assert_true(got == HDR_OTHER ||
                            str_ieq(http_header_name((enum http_header_id)got),
                                    str_n(other, name.n)));
                if (str_ieq(name, str_n(other, name.n)))
                    assert_int_equal(got, id);
            }
        assert_int_not_equal(http_header_lookup(str_sub(name, 0, name.n - 1)), id);
    }
    assert_int_equal(http_header_lookup(STR_NULL), HDR_OTHER);
    assert_int_equal(http_header_lookup(STR("x")), HDR_OTHER);
    assert_int_equal(http_header_lookup(STR("Host ")), HDR_OTHER);
    assert_int_equal(http_header_lookup(STR("Content-Length-And-Much-More-Than-That")), HDR_OTHER);
}

static void wire_order_is_that_of_the_api(void **state)
{
    static const enum http_header_id order[] = {
        HDR_CACHE_CONTROL, HDR_CONNECTION, HDR_DATE, HDR_TRANSFER_ENCODING, HDR_ALLOW,
        HDR_CONTENT_LENGTH, HDR_CONTENT_TYPE, HDR_CONTENT_ENCODING, HDR_CONTENT_RANGE, HDR_EXPIRES,
        HDR_LAST_MODIFIED, HDR_ACCEPT_RANGES, HDR_AGE, HDR_ETAG, HDR_LOCATION, HDR_RETRY_AFTER,
        HDR_SERVER, HDR_SET_COOKIE, HDR_VARY, HDR_WWW_AUTHENTICATE, HDR_X_POWERED_BY,
    };

    for (size_t i = 1; i < ARRAY_LEN(order); i++)
        assert_true(http_header_wire_rank(order[i - 1]) < http_header_wire_rank(order[i]));
    assert_int_equal(http_header_wire_rank(HDR_OTHER), http_header_wire_rank(HDR_COOKIE));
}

static void facts_about_headers(void **state)
{
    assert_true(http_header_is_single(HDR_HOST));
    assert_true(http_header_is_single(HDR_CONTENT_LENGTH));
    assert_true(http_header_is_single(HDR_USER_AGENT));
    assert_false(http_header_is_single(HDR_TRANSFER_ENCODING));
    assert_false(http_header_is_single(HDR_COOKIE));
    assert_false(http_header_is_single(HDR_OTHER));
    assert_true(str_eq(http_header_separator(HDR_COOKIE), STR("; ")));
    assert_true(str_eq(http_header_separator(HDR_ACCEPT), STR(", ")));
}

static void characters(void **state)
{
    static const char separators[] = "()<>@,;:\\\"/[]?={} \t";

    for (int c = 0; c < 256; c++) {
        bool token = c > 0x20 && c < 0x7f && !strchr(separators, c);

        assert_int_equal(http_is_token_char((char)c), token);
    }
    assert_true(http_is_token(STR("X-a_b.c!")));
    assert_false(http_is_token(STR("")));
    assert_false(http_is_token(STR("a b")));
    assert_int_equal(http_token_span(STR("abc:d")), 3);
}

/* The wide scans find what looking at each byte finds, wherever it stands. */
static void scans_agree_with_their_classes(void **state)
{
    static const struct {
        const char *(*scan)(const char *, const char *);
        unsigned class;
    } scans[] = {
        {scan_value, SCAN_CTL},
        {scan_name, SCAN_NAME},
        {scan_target, SCAN_TARGET},
        {scan_break, SCAN_BREAK},
    };

    for (size_t s = 0; s < ARRAY_LEN(scans); s++)
        for (size_t len = 1; len <= 50; len += 7)
            for (size_t at = 0; at < len; at++)
                for (int byte = 0; byte < 256; byte++) {
                    char *text = malloc(len);
                    bool hit = scan_class[byte] & scans[s].class;

                    assert_non_null(text);
                    memset(text, 'a', len);
                    text[at] = (char)byte;
                    assert_ptr_equal(scans[s].scan(text, text + len), text + (hit ? at : len));
                    free(text);
                }
}

static void values(void **state)
{
    assert_int_equal(http_value_span(STR("a\tb\x80\xff")), 5);
    assert_int_equal(http_value_span(STR("0123456789abcdef0\x7f")), 17);
    assert_int_equal(http_value_span(STR_NULL), 0);
    assert_true(http_value_is_writable(STR("a\tb\x01")));
    assert_true(http_value_is_writable(STR_NULL));
    assert_false(http_value_is_writable(STR("a\rb")));
    assert_false(http_value_is_writable(STR("0123456789abcdef\nb")));
    assert_false(http_value_is_writable(str_n("a\0b", 3)));
}

static void lists(void **state)
{
    struct str rest = STR(" a ,, \"b,c\\\",\" ;q=1,\td\t,"), element;

    assert_true(http_list_next(&rest, &element));
    assert_true(str_eq(element, STR("a")));
    assert_true(http_list_next(&rest, &element));
    assert_true(str_eq(element, STR("\"b,c\\\",\" ;q=1")));
    assert_true(http_list_next(&rest, &element));
    assert_true(str_eq(element, STR("d")));
    assert_false(http_list_next(&rest, &element));
    assert_true(http_list_has(STR("a, Close ,b"), STR("close")));
    assert_false(http_list_has(STR("closed, \"close\""), STR("close")));
    assert_false(http_list_has(STR_NULL, STR("close")));
}

static void hosts(void **state)
{
    static const struct {
        const char *in;
        bool ok;
        const char *name;
        enum http_host_kind kind;
        uint16_t port;
    } rows[] = {
        {"a", true, "a", HTTP_HOST_NAME, 0},
        {"WWW.Example_1.test:8080", true, "WWW.Example_1.test", HTTP_HOST_NAME, 8080},
        {"a.", true, "a.", HTTP_HOST_NAME, 0},
        {"1.2.3.4", true, "1.2.3.4", HTTP_HOST_IPV4, 0},
        {"1.2.3.4:65535", true, "1.2.3.4", HTTP_HOST_IPV4, 65535},
        {"255.255.255.255", true, "255.255.255.255", HTTP_HOST_IPV4, 0},
        {"1.2.3", true, "1.2.3", HTTP_HOST_NAME, 0},
        {"1.2.3.4.5", true, "1.2.3.4.5", HTTP_HOST_NAME, 0},
        {"1.2.3.256", true, "1.2.3.256", HTTP_HOST_NAME, 0},
        {"1.2.3.04", true, "1.2.3.04", HTTP_HOST_NAME, 0},
        {"1.2.3.4.", true, "1.2.3.4.", HTTP_HOST_NAME, 0},
        {"1.2.3.x", true, "1.2.3.x", HTTP_HOST_NAME, 0},
        {"99999999999.2.3.4", true, "99999999999.2.3.4", HTTP_HOST_NAME, 0},
        {"[::1]", true, "[::1]", HTTP_HOST_IPV6, 0},
        {"[2001:DB8::1]:80", true, "[2001:DB8::1]", HTTP_HOST_IPV6, 80},
        {"[::ffff:1.2.3.4]:1", true, "[::ffff:1.2.3.4]", HTTP_HOST_IPV6, 1},
        {"", false, "", 0, 0},
        {":80", false, "", 0, 0},
        {"a:", false, "", 0, 0},
        {"a:0", false, "", 0, 0},
        {"a:65536", false, "", 0, 0},
        {"a:100000", false, "", 0, 0},
        {"a:-1", false, "", 0, 0},
        {"a:80:80", false, "", 0, 0},
        {"a:8 0", false, "", 0, 0},
        {"::1", false, "", 0, 0},
        {"[]", false, "", 0, 0},
        {"[::1", false, "", 0, 0},
        {"[::1]a", false, "", 0, 0},
        {"[::1]:", false, "", 0, 0},
        {"[1.2.3.4]", false, "", 0, 0},
        {"[::1%25eth0]", false, "", 0, 0},
        {"[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]", false, "", 0, 0},
        {"a b", false, "", 0, 0},
        {"a/b", false, "", 0, 0},
        {"..", false, "", 0, 0},
        {".", false, "", 0, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_host host = {.port = 7};
        bool ok = http_host_parse(str_z(rows[i].in), &host);

        if (ok != rows[i].ok || (ok && (!str_eq(host.name, str_z(rows[i].name)) ||
                                        host.kind != rows[i].kind || host.port != rows[i].port)))
            fail_msg("%s: %d, %.*s, kind %d, port %u", rows[i].in, ok, STR_ARG(host.name),
                     (int)host.kind, host.port);
    }
}

static void host_names_have_a_limit(void **state)
{
    char name[HTTP_HOST_MAX + 2];
    struct http_host host;

    memset(name, 'a', sizeof(name));
    assert_true(http_host_parse(str_n(name, HTTP_HOST_MAX), &host));
    assert_false(http_host_parse(str_n(name, HTTP_HOST_MAX + 1), &host));
    memcpy(name + 1, "\0b", 2);
    assert_false(http_host_parse(str_n(name, 3), &host));
    assert_false(http_host_parse(str_n("[::1\0]", 6), &host));
}

static void methods_and_reasons(void **state)
{
    for (unsigned m = HTTP_METHOD_OTHER + 1; m < HTTP_METHOD_MAX; m++)
        assert_int_equal(http_method_lookup(http_method_name((enum http_method)m)), m);
    assert_int_equal(http_method_lookup(STR("get")), HTTP_METHOD_OTHER);
    assert_int_equal(http_method_ilookup(STR("get")), HTTP_METHOD_GET);
    assert_int_equal(http_method_ilookup(STR("getx")), HTTP_METHOD_OTHER);
    assert_int_equal(http_method_name(HTTP_METHOD_OTHER).n, 0);

    for (unsigned r = HTTPERR_NONE + 1; r < HTTPERR_MAX; r++)
        assert_int_equal(httperr_reason_find(httperr_reason_name((enum httperr_reason)r)), r);
    assert_true(str_eq(httperr_reason_name(HTTPERR_NONE), STR("-")));
    assert_true(str_eq(httperr_reason_name((enum httperr_reason)1000), STR("-")));
    assert_int_equal(httperr_reason_find(STR("url")), HTTPERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_name_is_found_in_any_case),
        cmocka_unit_test(no_other_name_is_taken_for_a_known_one),
        cmocka_unit_test(wire_order_is_that_of_the_api),
        cmocka_unit_test(facts_about_headers),
        cmocka_unit_test(characters),
        cmocka_unit_test(scans_agree_with_their_classes),
        cmocka_unit_test(values),
        cmocka_unit_test(lists),
        cmocka_unit_test(hosts),
        cmocka_unit_test(host_names_have_a_limit),
        cmocka_unit_test(methods_and_reasons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
