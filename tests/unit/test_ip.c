/* IP addresses and ranges. */
#include "base/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void addresses(void **state)
{
    static const struct {
        const char *text;
        const char *want; /* as ip_format writes it; NULL: refused */
    } rows[] = {
        {"1.2.3.4", "1.2.3.4"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "::"},
        {"::1", "::1"},
        {"[::1]", "::1"},
        {"2001:DB8::1", "2001:db8::1"},
        {"::ffff:1.2.3.4", "1.2.3.4"},
        {"fe80::1%7", "fe80::1%7"},
        {"[fe80::1%7]", "fe80::1%7"},
        {"fe80::1%lo", "fe80::1%1"},
        {"", NULL},
        {"*", NULL},
        {"1.2.3", NULL},
        {"1.2.3.4.5", NULL},
        {"1.2.3.256", NULL},
        {"1.2.3.4 ", NULL},
        {"01.2.3.4", NULL},
        {"1.2.3.4:80", NULL},
        {"[1.2.3.4]", NULL},
        {"[::1", NULL},
        {":::", NULL},
        {"fe80::1%", NULL},
        {"fe80::1%nosuchinterface", NULL},
        {"fe80::1%4294967296", NULL},
        {"0000:0000:0000:0000:0000:0000:0000:00001", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[IP_TEXT_MAX];
        struct ip_address a;

        if (ip_parse(str_z(rows[i].text), &a) != (rows[i].want != NULL))
            fail_msg("\"%s\"", rows[i].text);
        if (!rows[i].want)
            continue;
        assert_int_equal(ip_format(&a, text), strlen(rows[i].want));
        assert_string_equal(text, rows[i].want);
    }
}

static void ranges(void **state)
{
    static const struct {
        const char *range, *address;
        bool has;
    } rows[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.1.2.3/8", "10.9.9.9", true}, /* bits behind the prefix do not count */
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.2", false},
        {"127.0.0.0/31", "127.0.0.1", true},
        {"127.0.0.0/31", "127.0.0.2", false},
        {"0.0.0.0/0", "200.1.1.1", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "1.2.3.4", true}, /* as the kernel counts mapped addresses */
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::1", false},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::1", "::1", true},
        {"::1/128", "::2", false},
    };
    static const char *const bad[] = {"",           "10.0.0.0/",    "10.0.0.0/33", "::/129",
                                      "10.0.0.0/a", "10.0.0.0/-1",  "/8",          "10.0.0/8",
                                      "fe80::1%1",  "10.0.0.0/8/8", " 10.0.0.0/8"};
    struct ip_range range;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ip_address a;

        assert_true(ip_range_parse(str_z(rows[i].range), &range));
        assert_true(ip_parse(str_z(rows[i].address), &a));
        if (ip_range_has(&range, a.bytes) != rows[i].has)
            fail_msg("%s in %s", rows[i].address, rows[i].range);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (ip_range_parse(str_z(bad[i]), &range))
            fail_msg("\"%s\" is taken", bad[i]);
}

static void scopes(void **state)
{
    struct ip_address a, b, none;

    (void)state;
    assert_true(ip_parse(STR("fe80::1%7"), &a) && ip_parse(STR("fe80::1%8"), &b));
    assert_true(ip_parse(STR("fe80::1"), &none));
    assert_false(ip_same(&a, &b));
    assert_true(ip_same(&a, &a) && ip_same(&a, &none) && ip_same(&none, &b));
    assert_false(ip_is_any(&a));
    assert_true(ip_parse(STR("::"), &a) && ip_is_any(&a));
    assert_true(ip_parse(STR("0.0.0.0"), &b) && ip_is_any(&b));
    assert_false(ip_same(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(ranges),
        cmocka_unit_test(scopes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
