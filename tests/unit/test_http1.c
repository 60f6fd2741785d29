/* What the golden tables cannot show: offsets, growth, resumption, chunk views. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "http/chunked.h"
#include "http/http1_parser.h"
#include "base/poison.h"

static const struct http1_limits defaults = {.max_field_length = 16384, .max_request_bytes = 16384};

static void parts_are_where_the_offsets_say(void **state)
{
    char text[] = "\r\nPOST /a?b HTTP/1.0\r\nHost: www.example.test:81\r\nContent-Length: 2\r\n"
                  "Accept: a\r\nX-y:  z  \r\nAccept: b\r\n\r\nxy";
    struct http1_parser p;
    struct http1_head head;

    http1_head_init(&head);
    http1_parser_init(&p, &defaults);
    assert_int_equal(http1_parse(&p, text, sizeof(text) - 1, &head), RC_OK);
    assert_int_equal(head.head_len, sizeof(text) - 1 - 2);
    assert_true(str_eq(http1_method(&head, text), STR("POST")));
    assert_int_equal(head.method, HTTP_METHOD_POST);
    assert_true(str_eq(http1_target(&head, text), STR("/a?b")));
    assert_int_equal(head.version_major, 1);
    assert_int_equal(head.version_minor, 0);
    assert_true(str_eq(http1_host(&head, text), STR("www.example.test:81")));
    assert_int_equal(head.host_name_len, 16);
    assert_int_equal(head.host_port, 81);
    assert_true(head.has_content_length);
    assert_int_equal(head.content_length, 2);
    assert_false(head.keep_alive);

    assert_int_equal(head.n_headers, 5);
    const struct http1_header *h = http1_headers(&head);

    assert_int_equal(h[3].id, HDR_OTHER);
    assert_true(str_eq(str_n(text + h[3].name_off, h[3].name_len), STR("X-y")));
    assert_true(str_eq(str_n(text + h[3].value_off, h[3].value_len), STR("z")));
    assert_true(str_eq(http1_value(&head, text, HDR_ACCEPT), STR("a")));
    assert_true(head.repeated == UINT64_C(1) << HDR_ACCEPT);
    assert_true(http1_has(&head, HDR_HOST));
    assert_false(http1_has(&head, HDR_OTHER));
    assert_null(http1_find(&head, HDR_COOKIE));
    assert_null(http1_value(&head, text, HDR_COOKIE).p);
    http1_head_fini(&head);
}

static void many_headers_move_to_the_heap_and_back(void **state)
{
    _cleanup_buf_ struct buf text;
    struct http1_parser p;
    struct http1_head head;

    buf_init(&text, 1 << 20);
    buf_str(&text, STR("GET / HTTP/1.1\r\nHost: a\r\n"));
    for (unsigned i = 0; i < 700; i++)
        buf_printf(&text, "h%u: %u\r\n", i, i);
    buf_str(&text, STR("Range: bytes=0-\r\n\r\n"));
    http1_head_init(&head);
    http1_parser_init(&p, &defaults);
    assert_int_equal(http1_parse(&p, text.p, text.n, &head), RC_OK);
    assert_int_equal(head.n_headers, 702);
    for (unsigned i = 0; i < 700; i++) {
        const struct http1_header *h = &http1_headers(&head)[i + 1];
        uint64_t value;

        assert_true(str_u64(str_n(text.p + h->value_off, h->value_len), 700, &value));
        assert_int_equal(value, i);
    }
    assert_true(str_eq(http1_value(&head, text.p, HDR_RANGE), STR("bytes=0-")));
    assert_true(str_eq(http1_value(&head, text.p, HDR_HOST), STR("a")));
    http1_head_reset(&head);
    assert_null(head.more);
    assert_int_equal(head.n_headers, 0);
    assert_false(http1_has(&head, HDR_HOST));
    http1_head_fini(&head);
}

/* 33 headers: the first that does not fit inline. */
static void the_inline_border(void **state)
{
    for (unsigned n = HTTP1_HEADERS_INLINE - 1; n <= HTTP1_HEADERS_INLINE + 1; n++) {
        _cleanup_buf_ struct buf text;
        struct http1_parser p;
        struct http1_head head;

        buf_init(&text, 1 << 20);
        buf_str(&text, STR("GET / HTTP/1.1\r\n"));
        for (unsigned i = 1; i < n; i++)
            buf_printf(&text, "h: %u\r\n", i);
        buf_str(&text, STR("Host: a\r\n\r\n"));
        http1_head_init(&head);
        http1_parser_init(&p, &defaults);
        assert_int_equal(http1_parse(&p, text.p, text.n, &head), RC_OK);
        assert_int_equal(head.n_headers, n);
        assert_int_equal(head.more != NULL, n > HTTP1_HEADERS_INLINE);
        assert_int_equal(head.at[HDR_HOST], n - 1);
        http1_head_fini(&head);
    }
}

/* A client that sends single bytes must not make us look at anything twice. */
static void nothing_is_scanned_twice(void **state)
{
    _cleanup_buf_ struct buf text;
    struct http1_parser p;
    struct http1_head head;
    enum { VERSION_LINE = 16 };

    buf_init(&text, 1 << 20);
    buf_str(&text, STR("GET /"));
    for (unsigned i = 0; i < 3000; i++)
        buf_char(&text, 'a');
    buf_str(&text, STR(" HTTP/1.1\r\nHost: a\r\nX: "));
    for (unsigned i = 0; i < 3000; i++)
        buf_char(&text, 'b');
    buf_str(&text, STR("\r\n"));
    for (unsigned i = 0; i < 3000; i++)
        buf_char(&text, 'c');
    buf_str(&text, STR(": d\r\n\r\n"));
    http1_head_init(&head);
    http1_parser_init(&p, &defaults);
    for (size_t n = 1; n < text.n; n++) {
        assert_int_equal(http1_parse(&p, text.p, n, &head), RC_AGAIN);
        assert_true(p.pos + VERSION_LINE >= n);
    }
    assert_int_equal(http1_parse(&p, text.p, text.n, &head), RC_OK);
    http1_head_fini(&head);
}

static void limits_are_brought_into_range(void **state)
{
    struct http1_limits limits = {.max_field_length = 100000, .max_request_bytes = UINT32_MAX};
    struct http1_parser p;

    http1_parser_init(&p, &limits);
    assert_int_equal(p.limits.max_request_bytes, 16777216);
    assert_int_equal(p.limits.max_field_length, 65534);
    limits.max_request_bytes = 1000;
    http1_parser_init(&p, &limits);
    assert_int_equal(p.limits.max_field_length, 1000);
}

static void a_failed_parser_stays_failed(void **state)
{
    char text[] = "BAD(";
    struct http1_parser p;
    struct http1_head head;

    http1_head_init(&head);
    http1_parser_init(&p, &defaults);
    assert_int_equal(http1_parse(&p, text, 4, &head), RC_FAIL);
    assert_int_equal(p.reason, HTTPERR_VERB);
    assert_int_equal(http1_parse(&p, text, 4, &head), RC_FAIL);
    assert_int_equal(p.reason, HTTPERR_VERB);
    http1_head_fini(&head);
}

static const struct chunked_limits chunk_limits = {.max_field_length = 100,
                                                   .max_trailer_bytes = 1000};

static void chunks_are_views_into_the_input(void **state)
{
    static const char text[] = "5\r\nhello\r\n6;x\r\n world\r\n0\r\nA: b\r\n\r\nGET";
    struct chunked c;
    struct str data;
    size_t used, at = 0;

    chunked_init(&c, &chunk_limits);
    assert_int_equal(chunked_feed(&c, text, sizeof(text) - 1, &used, &data), RC_AGAIN);
    assert_ptr_equal(data.p, text + 3);
    assert_int_equal(data.n, 5);
    at += used;
    assert_int_equal(chunked_feed(&c, text + at, sizeof(text) - 1 - at, &used, &data), RC_AGAIN);
    assert_true(str_eq(data, STR(" world")));
    at += used;
    assert_int_equal(chunked_feed(&c, text + at, sizeof(text) - 1 - at, &used, &data), RC_OK);
    assert_int_equal(data.n, 0);
    at += used;
    assert_string_equal(text + at, "GET");
    assert_int_equal(c.total, 11);
    assert_int_equal(c.offset, at);
    /* Complete is complete: what follows is not its business. */
    assert_int_equal(chunked_feed(&c, text + at, 3, &used, &data), RC_OK);
    assert_int_equal(used, 0);
}

static void a_failed_body_stays_failed(void **state)
{
    struct chunked c;
    struct str data;
    size_t used;

    chunked_init(&c, &chunk_limits);
    assert_int_equal(chunked_feed(&c, "x", 1, &used, &data), RC_FAIL);
    assert_int_equal(c.reason, HTTPERR_NUMBER);
    assert_int_equal(used, 0);
    assert_int_equal(chunked_feed(&c, "0\r\n\r\n", 5, &used, &data), RC_FAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_where_the_offsets_say),
        cmocka_unit_test(many_headers_move_to_the_heap_and_back),
        cmocka_unit_test(the_inline_border),
        cmocka_unit_test(nothing_is_scanned_twice),
        cmocka_unit_test(limits_are_brought_into_range),
        cmocka_unit_test(a_failed_parser_stays_failed),
        cmocka_unit_test(chunks_are_views_into_the_input),
        cmocka_unit_test(a_failed_body_stays_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
