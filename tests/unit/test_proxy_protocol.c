/* The PROXY protocol; every header is also given in two pieces, cut at each byte, and byte by byte.
 */
#include "http/proxy_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\1\2\3\4\5\6\7\10\x12\x34\0\x50"
#define V6                                                                   \
    "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0" \
    "\0\2\x12\x34\1\xbb"
#define X36 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    const char *name;
    struct str bytes;
    enum proxy_rc want;
    const char *source, *destination; /* NULL: no addresses */
    uint16_t source_port, destination_port;
} rows[] = {
#define ROW(n, text, ...)                        \
    {                                            \
        n, {text, sizeof(text) - 1}, __VA_ARGS__ \
    }
    /* version 1 */
    ROW("TCP4", "PROXY TCP4 1.2.3.4 5.6.7.8 4660 80\r\n", PROXY_DONE, "1.2.3.4", "5.6.7.8", 4660,
        80),
    ROW("TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 4660 443\r\n", PROXY_DONE, "2001:db8::1",
        "2001:db8::2", 4660, 443),
    ROW("longest TCP4", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", PROXY_DONE,
        "255.255.255.255", "255.255.255.255", 65535, 65535),
    ROW("longest TCP6",
        "PROXY TCP6 fff0:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
        "fff0:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
        "65535 65535\r\n",
        PROXY_DONE, "fff0:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fff0:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, 65535),
    ROW("port 0", "PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n", PROXY_DONE, "1.2.3.4", "5.6.7.8", 0, 0),
    ROW("UNKNOWN", "PROXY UNKNOWN\r\n", PROXY_DONE, NULL, NULL, 0, 0),
    ROW("UNKNOWN with more", "PROXY UNKNOWN ::1 ::1 x y z\r\n", PROXY_DONE, NULL, NULL, 0, 0),
    ROW("UNKNOWN of 107 bytes", "PROXY UNKNOWN " X36 X36 "xxxxxxxxxxxxxxxxxxx\r\n", PROXY_DONE,
        NULL, NULL, 0, 0),
    ROW("108 bytes", "PROXY UNKNOWN " X36 X36 "xxxxxxxxxxxxxxxxxxxx\r\n", PROXY_BAD, NULL, NULL, 0,
        0),
    ROW("a request", "GET / HTTP/1.1\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("a request that begins alike", "PROPFIND / HTTP/1.1\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("no protocol", "PROXY \r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("lower case", "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("UDP", "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("UNKNOWNX", "PROXY UNKNOWNX\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("line feed alone", "PROXY UNKNOWN\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("return alone", "PROXY UNKNOWN\rx", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("two blanks", "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("blank at the end", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("one port", "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("no ports", "PROXY TCP4 1.2.3.4 5.6.7.8\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("three ports", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("port too large", "PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("port with zero", "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("port with sign", "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("other family", "PROXY TCP4 ::1 ::1 1 2\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("other family 6", "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("zone", "PROXY TCP6 fe80::1%1 ::1 1 2\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("brackets", "PROXY TCP6 [::1] ::1 1 2\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("NUL", "PROXY UNKNOWN \0\r\n", PROXY_BAD, NULL, NULL, 0, 0),
    /* version 2 */
    ROW("INET", SIG "\x21\x11\0\xc" V4, PROXY_DONE, "1.2.3.4", "5.6.7.8", 0x1234, 80),
    ROW("INET6", SIG "\x21\x21\0\x24" V6, PROXY_DONE, "2001:db8::1", "2001:db8::2", 0x1234, 443),
    ROW("INET with extensions", SIG "\x21\x11\0\x12" V4 "\3\0\3abc", PROXY_DONE, "1.2.3.4",
        "5.6.7.8", 0x1234, 80),
    ROW("extensions are not looked into", SIG "\x21\x11\0\xe" V4 "\3\xff", PROXY_DONE, "1.2.3.4",
        "5.6.7.8", 0x1234, 80),
    ROW("LOCAL", SIG "\x20\0\0\0", PROXY_DONE, NULL, NULL, 0, 0),
    ROW("LOCAL with addresses", SIG "\x20\x11\0\xc" V4, PROXY_DONE, NULL, NULL, 0, 0),
    ROW("LOCAL of no known family", SIG "\x20\xff\0\2xx", PROXY_DONE, NULL, NULL, 0, 0),
    ROW("UNSPEC", SIG "\x21\0\0\0", PROXY_DONE, NULL, NULL, 0, 0),
    ROW("UNSPEC with more", SIG "\x21\0\0\3abc", PROXY_DONE, NULL, NULL, 0, 0),
    ROW("UNIX", SIG "\x21\x31\0\xd8" X36 X36 X36 X36 X36 X36, PROXY_DONE, NULL, NULL, 0, 0),
    ROW("datagrams", SIG "\x21\x12\0\xc" V4, PROXY_DONE, NULL, NULL, 0, 0),
    ROW("mapped",
        SIG "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4"
            "\0\0\0\0\0\0\0\0\0\0\xff\xff\5\6\7\10\x12\x34\0\x50",
        PROXY_DONE, "1.2.3.4", "5.6.7.8", 0x1234, 80),
    ROW("INET too short", SIG "\x21\x11\0\xb" V4, PROXY_BAD, NULL, NULL, 0, 0),
    ROW("INET6 too short", SIG "\x21\x21\0\x23" V6, PROXY_BAD, NULL, NULL, 0, 0),
    ROW("UNIX too short", SIG "\x21\x31\0\xd7", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("version 1 in binary", SIG "\x11\x11\0\xc" V4, PROXY_BAD, NULL, NULL, 0, 0),
    ROW("version 3", SIG "\x31\x11\0\xc" V4, PROXY_BAD, NULL, NULL, 0, 0),
    ROW("unknown command", SIG "\x22\x11\0\xc" V4, PROXY_BAD, NULL, NULL, 0, 0),
    ROW("unknown family", SIG "\x21\x41\0\xc" V4, PROXY_BAD, NULL, NULL, 0, 0),
    ROW("unknown protocol", SIG "\x21\x13\0\xc" V4, PROXY_BAD, NULL, NULL, 0, 0),
    ROW("wrong signature", "\r\n\r\n\0\r\nQUIT\r", PROXY_BAD, NULL, NULL, 0, 0),
    ROW("empty lines", "\r\n\r\nGET / HTTP/1.1\r\n", PROXY_BAD, NULL, NULL, 0, 0),
#undef ROW
};

/* Gives bytes from `from` on; *at counts what was used in all. */
static enum proxy_rc feed(struct proxy_parser *p, struct str bytes, size_t from, size_t to,
                          size_t *at, struct proxy_header *h)
{
    size_t used;
    enum proxy_rc rc = proxy_parse(p, str_sub(bytes, from, to), &used, h);

    if (rc == PROXY_MORE)
        assert_int_equal(used, to - from);
    assert_true(used <= to - from);
    *at += used;
    return rc;
}

static void check(size_t i, enum proxy_rc rc, size_t used, size_t n, const struct proxy_header *h)
{
    char text[IP_TEXT_MAX];

    if (rc != rows[i].want)
        fail_msg("%s: %d", rows[i].name, (int)rc);
    if (rc != PROXY_DONE)
        return;
    if (used != n || h->has_addresses != (rows[i].source != NULL))
        fail_msg("%s: %zu bytes used", rows[i].name, used);
    if (!h->has_addresses)
        return;
    ip_format(&h->source, text);
    assert_string_equal(text, rows[i].source);
    ip_format(&h->destination, text);
    assert_string_equal(text, rows[i].destination);
    assert_int_equal(h->source_port, rows[i].source_port);
    assert_int_equal(h->destination_port, rows[i].destination_port);
}

static void whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char with_more[512];
        struct proxy_parser p;
        struct proxy_header h;
        size_t used = 0;

        /* What the client sends behind it stays untouched. */
        assert_true(rows[i].bytes.n + 3 < sizeof(with_more));
        memcpy(with_more, rows[i].bytes.p, rows[i].bytes.n);
        memcpy(with_more + rows[i].bytes.n, "GET", 3);
        proxy_parser_init(&p);
        enum proxy_rc rc =
            feed(&p, str_n(with_more, rows[i].bytes.n + 3), 0, rows[i].bytes.n + 3, &used, &h);
        check(i, rc, used, rows[i].bytes.n, &h);
    }
}

static void cut_at_each_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = rows[i].bytes.n;

        for (size_t cut = 0; cut <= n; cut++) {
            struct proxy_parser p;
            struct proxy_header h;
            size_t used = 0;

            proxy_parser_init(&p);
            enum proxy_rc rc = feed(&p, rows[i].bytes, 0, cut, &used, &h);
            if (rc == PROXY_MORE)
                rc = feed(&p, rows[i].bytes, cut, n, &used, &h);
            check(i, rc, used, n, &h);
        }
    }
}

static void byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = rows[i].bytes.n, used = 0, at = 0;
        enum proxy_rc rc = PROXY_MORE;
        struct proxy_parser p;
        struct proxy_header h;

        proxy_parser_init(&p);
        for (; rc == PROXY_MORE && at < n; at++)
            rc = feed(&p, rows[i].bytes, at, at + 1, &used, &h);
        check(i, rc, used, n, &h);
    }
}

/* The largest header there can be: all of it is passed over, nothing of it kept. */
static void the_largest(void **state)
{
    static char bytes[PROXY_HEADER_MAX + 1];
    struct proxy_parser p;
    struct proxy_header h;
    size_t used = 0;

    (void)state;
    memcpy(bytes, SIG "\x21\x11\xff\xff" V4, 28);
    memset(bytes + 28, 'x', sizeof(bytes) - 28);
    proxy_parser_init(&p);
    for (size_t at = 0; at < PROXY_HEADER_MAX; at += 1000) {
        size_t to = at + 1000 < sizeof(bytes) ? at + 1000 : sizeof(bytes);
        enum proxy_rc rc = feed(&p, str_n(bytes, sizeof(bytes)), at, to, &used, &h);

        assert_int_equal(rc, to == sizeof(bytes) ? PROXY_DONE : PROXY_MORE);
    }
    assert_int_equal(used, PROXY_HEADER_MAX);
    assert_int_equal(h.source_port, 0x1234);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),
        cmocka_unit_test(cut_at_each_byte),
        cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(the_largest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
