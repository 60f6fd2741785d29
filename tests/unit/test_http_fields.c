/* Dates, ranges, entity-tags, Accept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "http/accept.h"
#include "http/date.h"
#include "http/range.h"
#include "base/poison.h"

static void civil_time_agrees_with_the_c_library(void **state)
{
    for (int64_t day = -800000; day < 3000000; day += 37) {
        time_t t = day * 86400 + (day * 7919 % 86400 + 86400) % 86400;
        struct tm tm;
        struct civil c;

        assert_non_null(gmtime_r(&t, &tm));
        civil_from_unix(t, &c);
        assert_int_equal(c.year, tm.tm_year + 1900);
        assert_int_equal(c.month, tm.tm_mon + 1);
        assert_int_equal(c.day, tm.tm_mday);
        assert_int_equal(c.hour, tm.tm_hour);
        assert_int_equal(c.minute, tm.tm_min);
        assert_int_equal(c.second, tm.tm_sec);
        assert_int_equal(c.weekday, tm.tm_wday);
        assert_int_equal(civil_to_unix(&c), t);
    }
}

static void dates_are_written(void **state)
{
    static const struct {
        int64_t at;
        const char *want;
    } rows[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[HTTP_DATE_LEN];

        http_date_format(rows[i].at, out);
        if (!str_eq(str_n(out, sizeof(out)), str_z(rows[i].want)))
            fail_msg("%.29s, not %s", out, rows[i].want);
    }
}

static void dates_are_read(void **state)
{
    static const struct {
        const char *in;
        bool ok;
        int64_t want;
    } rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", true, 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", true, 784111777},
        {"Sun Nov  6 08:49:37 1994", true, 784111777},
        {"Sun Nov 16 08:49:37 1994", true, 784975777},
        {"sun, 06 nov 1994 08:49:37 gmt", true, 784111777},
        {" Sun, 06 Nov 1994 08:49:37 GMT ; length=123", true, 784111777},
        {"Mon, 06 Nov 1994 08:49:37 GMT", true, 784111777},
        {"Thursday, 01-Jan-70 00:00:00 GMT", true, 0},
        {"Friday, 31-Dec-69 23:59:59 GMT", true, 3155759999},
        {"Tue, 29 Feb 2000 00:00:00 GMT", true, 951782400},
        {"Sat, 31 Dec 2016 23:59:60 GMT", true, 1483228800},
        {"Mon, 29 Feb 1900 00:00:00 GMT", false, 0},
        {"Wed, 31 Apr 2020 00:00:00 GMT", false, 0},
        {"Wed, 00 Apr 2020 00:00:00 GMT", false, 0},
        {"Sun, 06 Nov 1994 24:00:00 GMT", false, 0},
        {"Sun, 06 Nov 1994 08:60:00 GMT", false, 0},
        {"Sun, 06 Nov 1994 08:49:61 GMT", false, 0},
        {"Sun, 6 Nov 1994 08:49:37 GMT", false, 0},
        {"Sun, 06 Nov 94 08:49:37 GMT", false, 0},
        {"Sun, 06 Nov 1994 08:49:37 UTC", false, 0},
        {"Sun, 06 Nov 1994 08:49:37 GMT x", false, 0},
        {"Sun, +6 Nov 1994 08:49:37 GMT", false, 0},
        {"Sun, 06 Nox 1994 08:49:37 GMT", false, 0},
        {"Sux, 06 Nov 1994 08:49:37 GMT", false, 0},
        {"Sunday, 06 Nov 1994 08:49:37 GMT", false, 0},
        {"Sun Nov 6 08:49:37 1994", false, 0},
        {"Sunday Nov  6 08:49:37 1994", false, 0},
        {"06 Nov 1994 08:49:37 GMT", false, 0},
        {"784111777", false, 0},
        {"", false, 0},
        {";", false, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = 0;
        bool ok = http_date_parse(str_z(rows[i].in), &got);

        if (ok != rows[i].ok || got != rows[i].want)
            fail_msg("%s: %d, %lld", rows[i].in, ok, (long long)got);
    }
}

static void dates_cut_short_are_none(void **state)
{
    static const char *const forms[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                        "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};

    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        for (size_t n = 0; n < strlen(forms[i]); n++) {
            int64_t at;

            assert_false(http_date_parse(str_n(forms[i], n), &at));
        }
}

enum { MAX_RANGES = 4 };

static void ranges(void **state)
{
    static const struct {
        const char *in;
        uint64_t length;
        enum http_range_verdict want;
        size_t n;
        struct http_range r[MAX_RANGES];
    } rows[] = {
        {"bytes=0-4", 10, HTTP_RANGE_PARTIAL, 1, {{0, 4}}},
        {"Bytes=0-0", 10, HTTP_RANGE_PARTIAL, 1, {{0, 0}}},
        {"bytes=5-", 10, HTTP_RANGE_PARTIAL, 1, {{5, 9}}},
        {"bytes=-3", 10, HTTP_RANGE_PARTIAL, 1, {{7, 9}}},
        {"bytes=-30", 10, HTTP_RANGE_PARTIAL, 1, {{0, 9}}},
        {"bytes=9-99", 10, HTTP_RANGE_PARTIAL, 1, {{9, 9}}},
        {"bytes=0-18446744073709551615", 10, HTTP_RANGE_PARTIAL, 1, {{0, 9}}},
        {"bytes=0-18446744073709551616", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"bytes=8-9,0-1", 10, HTTP_RANGE_PARTIAL, 2, {{8, 9}, {0, 1}}},
        {"bytes= 0-1 ,, 4-5 , ", 10, HTTP_RANGE_PARTIAL, 2, {{0, 1}, {4, 5}}},
        {"bytes=0-1,10-", 10, HTTP_RANGE_PARTIAL, 1, {{0, 1}}},
        {"bytes=0-5,3-6", 100, HTTP_RANGE_PARTIAL, 2, {{0, 5}, {3, 6}}},
        {"bytes=0-,0-", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"bytes=0-5,3-9", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"bytes=0-0,1-1,2-2,3-3", 10, HTTP_RANGE_PARTIAL, 4, {{0, 0}, {1, 1}, {2, 2}, {3, 3}}},
        {"bytes=0-0,1-1,2-2,3-3,4-4", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"bytes=10-", 10, HTTP_RANGE_UNSATISFIABLE, 0, {{0, 0}}},
        {"bytes=10-20,30-40", 10, HTTP_RANGE_UNSATISFIABLE, 0, {{0, 0}}},
        {"bytes=-0", 10, HTTP_RANGE_UNSATISFIABLE, 0, {{0, 0}}},
        {"bytes=0-", 0, HTTP_RANGE_UNSATISFIABLE, 0, {{0, 0}}},
        {"bytes=-5", 0, HTTP_RANGE_UNSATISFIABLE, 0, {{0, 0}}},
        {"bytes=0-18446744073709551615", UINT64_MAX, HTTP_RANGE_PARTIAL, 1, {{0, UINT64_MAX - 1}}},
        {"bytes=5-4", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"bytes=-", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"bytes=", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"bytes=,", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"bytes=a-b", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"bytes=0x0-5", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"bytes=0-1-2", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"bytes=0 - 1", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"bytes=--1", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"bytes=0-1,x", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"lines=0-1", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
        {"", 10, HTTP_RANGE_IGNORE, 0, {{0, 0}}},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_range got[MAX_RANGES];
        size_t n = 99;
        enum http_range_verdict v =
            http_range_parse(str_z(rows[i].in), rows[i].length, got, MAX_RANGES, &n);

        if (v != rows[i].want || n != rows[i].n)
            fail_msg("%s: verdict %d, %zu", rows[i].in, (int)v, n);
        for (size_t k = 0; k < n; k++)
            assert_true(got[k].first == rows[i].r[k].first && got[k].last == rows[i].r[k].last);
    }
}

static void entity_tags(void **state)
{
    static const struct {
        const char *list, *etag;
        bool strong, weak;
    } rows[] = {
        {"\"a:0\"", "\"a:0\"", true, true},
        {"\"b\", \"a:0\"", "\"a:0\"", true, true},
        {"\"a,b\" , \"c\"", "\"a,b\"", true, true},
        {"\"a\\\", \"c\"", "\"c\"", true, true},
        {"W/\"a\"", "\"a\"", false, true},
        {"\"a\"", "W/\"a\"", false, true},
        {"W/\"a\"", "W/\"a\"", false, true},
        {"w/\"a\"", "\"a\"", false, false},
        {"*", "\"a\"", true, true},
        {" * ", "", true, true},
        {"\"*\"", "\"a\"", false, false},
        {"\"A\"", "\"a\"", false, false},
        {"a", "a", false, false},
        {"\"a", "\"a", false, false},
        {"\"", "\"", false, false},
        {"", "\"a\"", false, false},
        {"\"\"", "\"\"", true, true},
        {"", "", false, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (http_etag_matches_strong(str_z(rows[i].list), str_z(rows[i].etag)) != rows[i].strong ||
            http_etag_matches_weak(str_z(rows[i].list), str_z(rows[i].etag)) != rows[i].weak)
            fail_msg("%s against %s", rows[i].list, rows[i].etag);
}

static void if_range(void **state)
{
    struct str etag = STR("\"a\"");
    const int64_t modified = 784111777;

    assert_true(http_if_range_matches(STR("\"a\""), etag, modified));
    assert_false(http_if_range_matches(STR("W/\"a\""), etag, modified));
    assert_false(http_if_range_matches(STR("\"b\""), etag, modified));
    assert_false(http_if_range_matches(STR("*"), etag, modified));
    assert_true(http_if_range_matches(STR("Sun, 06 Nov 1994 08:49:37 GMT"), etag, modified));
    assert_false(http_if_range_matches(STR("Sun, 06 Nov 1994 08:49:38 GMT"), etag, modified));
    assert_false(http_if_range_matches(STR(""), etag, modified));
}

static void media_types(void **state)
{
    static const struct {
        const char *accept, *type;
        unsigned want;
    } rows[] = {
        {"", "text/html", 1000},
        {"text/html", "text/html", 1000},
        {"TEXT/HTML;q=0.5", "text/html; charset=utf-8", 500},
        {"text/*;q=0.3, text/html;q=0.7, */*;q=0.1", "text/html", 700},
        {"text/*;q=0.3, text/html;q=0.7, */*;q=0.1", "text/plain", 300},
        {"text/*;q=0.3, text/html;q=0.7, */*;q=0.1", "image/png", 100},
        {"*/*, text/html;q=0", "text/html", 0},
        {"image/*", "text/html", 0},
        {"tex/*", "text/html", 0},
        {"text/html;level=1;q=0.4", "text/html", 400},
        {"text/html;q=2", "text/html", 0},
        {"text/html;q=0.1234", "text/html", 0},
        {"text/html;q=-1", "text/html", 0},
        {"text/html;q=", "text/html", 0},
        {"text/html;q=1.000", "text/html", 1000},
        {"text/html;q=1.001", "text/html", 0},
        {"text/html; Q = 0.5", "text/html", 1000},
        {"text/html;Q=0.001", "text/html", 1},
        {"text/html;q=0.2, text/html;q=0.9", "text/html", 900},
        {"*", "text/html", 1000},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned got = http_accept_quality(str_z(rows[i].accept), str_z(rows[i].type));

        if (got != rows[i].want)
            fail_msg("%s for %s: %u", rows[i].accept, rows[i].type, got);
    }
}

static void codings(void **state)
{
    static const struct {
        const char *accept, *coding;
        unsigned want;
    } rows[] = {
        {"gzip, deflate, br", "gzip", 1000}, {"gzip;q=0.5", "GZIP", 500},
        {"gzip;q=0", "gzip", 0},             {"deflate", "gzip", 0},
        {"*", "gzip", 1000},                 {"*;q=0", "gzip", 0},
        {"gzip, *;q=0", "gzip", 1000},       {"", "gzip", 0},
        {"", "identity", 1000},              {"gzip", "identity", 1000},
        {"*;q=0", "identity", 0},            {"identity;q=0", "identity", 0},
        {"identity;q=0.5, *;q=0", "identity", 500},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned got = http_accept_coding(str_z(rows[i].accept), str_z(rows[i].coding));

        if (got != rows[i].want)
            fail_msg("%s for %s: %u", rows[i].accept, rows[i].coding, got);
    }
}

static void languages(void **state)
{
    struct http_language got[3];

    assert_int_equal(http_accept_languages(STR("da, en-gb;q=0.8, *;q=0.1, en;q=0.9, de;q=0"), got,
                                           ARRAY_LEN(got)), 3);
    assert_true(str_eq(got[0].tag, STR("da")));
    assert_true(str_eq(got[1].tag, STR("en")));
    assert_true(str_eq(got[2].tag, STR("en-gb")));
    assert_int_equal(got[2].quality, 800);

    /* More than there is room for: the best stay, equal ones in their order. */
    assert_int_equal(http_accept_languages(STR("a;q=0.1,b;q=0.2,c;q=0.3,d;q=0.2,e"), got, 3), 3);
    assert_true(str_eq(got[0].tag, STR("e")));
    assert_true(str_eq(got[1].tag, STR("c")));
    assert_true(str_eq(got[2].tag, STR("b")));
    assert_int_equal(http_accept_languages(STR(""), got, 3), 0);
    assert_int_equal(http_accept_languages(STR("a"), got, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(civil_time_agrees_with_the_c_library),
        cmocka_unit_test(dates_are_written),
        cmocka_unit_test(dates_are_read),
        cmocka_unit_test(dates_cut_short_are_none),
        cmocka_unit_test(ranges),
        cmocka_unit_test(entity_tags),
        cmocka_unit_test(if_range),
        cmocka_unit_test(media_types),
        cmocka_unit_test(codings),
        cmocka_unit_test(languages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
