/* What the golden table cannot show: views, bounds, and that the two ways through agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/url.h"
#include "base/poison.h"

static void plain_targets_are_not_copied(void **state)
{
    struct url_limits limits = url_limits_default();
    static const char target[] = "/images/large/item-4711.jpg?v=3";
    char out[URL_COOK_CAP(sizeof(target))];
    struct url_cooked url;

    memset(out, 'x', sizeof(out));
    assert_int_equal(url_cook(str_z(target), &limits, out, sizeof(out), &url), RC_OK);
    assert_ptr_equal(url.path.p, target);
    assert_int_equal(url.path.n, 27);
    assert_int_equal(url.n_segments, 3);
    assert_true(url.has_query);
    assert_true(str_eq(url.query, STR("v=3")));
    assert_int_equal(out[0], 'x');
}

static void segments_are_counted_alike(void **state)
{
    static const struct {
        const char *target;
        uint32_t n;
    } rows[] = {
        {"/", 0}, {"/a", 1}, {"/a/", 1}, {"/a/b", 2}, {"/%61", 1}, {"/%61/", 1},
        {"/a/../b/./c//d/", 3}, {"/a/..", 0}, {"//", 0}, {"/a/b/%2e%2e/c", 2},
        {"/aaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbb/c", 3}, {"/aaaaaaaaaaaaaaa/", 1},
    };
    struct url_limits limits = url_limits_default();

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[200];
        struct url_cooked url;

        assert_int_equal(url_cook(str_z(rows[i].target), &limits, out,
                                  URL_COOK_CAP(strlen(rows[i].target)), &url), RC_OK);
        if (url.n_segments != rows[i].n)
            fail_msg("%s: %u segments", rows[i].target, url.n_segments);
    }
}

/* Escaping one letter forces the slow way; the outcome must be that of the fast one. */
static void fast_and_slow_way_agree(void **state)
{
    static const char alphabet[] = "a/.?bc/.\\d:e~";
    struct url_limits limits = url_limits_default();
    uint32_t seed = 1;

    for (int round = 0; round < 200000; round++) {
        char plain[48] = "/", escaped[52] = "/%61", out1[200], out2[200];
        size_t n;
        struct url_cooked one, two;

        seed = seed * 1664525u + 1013904223u;
        n = 2 + (seed >> 24) % 40;
        plain[1] = 'a';
        for (size_t i = 2; i < n; i++) {
            seed = seed * 1664525u + 1013904223u;
            plain[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
        }
        memcpy(escaped + 4, plain + 2, n - 2);

        enum rc rc1 = url_cook(str_n(plain, n), &limits, out1, URL_COOK_CAP(n), &one);
        enum rc rc2 = url_cook(str_n(escaped, n + 2), &limits, out2, URL_COOK_CAP(n + 2), &two);

        if (rc1 != rc2 || one.reason != two.reason ||
            (rc1 == RC_OK && (!str_eq(one.path, two.path) || !str_eq(one.query, two.query) ||
                              one.n_segments != two.n_segments)))
            fail_msg("%.*s: %d %.*s, %d %.*s", (int)n, plain, (int)rc1, STR_ARG(one.path), (int)rc2,
                     STR_ARG(two.path));
    }
}

static void the_bound_is_reached_and_kept(void **state)
{
    struct url_limits limits = url_limits_default();
    char target[101] = "/", *out = malloc(URL_COOK_CAP(sizeof(target) - 1));
    struct url_cooked url;

    /* Raw 80 is the euro sign in Windows-1252, three bytes of UTF-8. */
    assert_non_null(out);
    memset(target + 1, '\x80', 99);
    assert_int_equal(url_cook(str_n(target, 100), &limits, out, URL_COOK_CAP(100), &url), RC_OK);
    assert_int_equal(url.path.n, 1 + 99 * 3);
    assert_memory_equal(url.path.p, "/\xE2\x82\xAC", 4);
    free(out);
}

static void failures_keep_what_is_known(void **state)
{
    struct url_limits limits = url_limits_default();
    char out[100];
    struct url_cooked url;

    assert_int_equal(url_cook(STR("/a/%zz?q"), &limits, out, URL_COOK_CAP(8), &url), RC_FAIL);
    assert_int_equal(url.reason, HTTPERR_URL);
    assert_int_equal(url.error_offset, 3);
    assert_true(str_eq(url.raw_path, STR("/a/%zz")));
    assert_true(str_eq(url.query, STR("q")));
    assert_int_equal(url_cook(STR(""), &limits, out, URL_COOK_CAP(0), &url), RC_FAIL);
    assert_int_equal(url.reason, HTTPERR_URL);
}

static void forms(void **state)
{
    struct url_limits limits = url_limits_default();
    char out[200];
    struct url_cooked url;

    assert_int_equal(url_cook(STR("https://[::1]:444?q"), &limits, out, URL_COOK_CAP(19), &url),
                     RC_OK);
    assert_int_equal(url.form, URL_ABSOLUTE);
    assert_true(url.is_https);
    assert_true(str_eq(url.host.name, STR("[::1]")));
    assert_int_equal(url.host.port, 444);
    assert_true(str_eq(url.path, STR("/")));
    assert_true(str_eq(url.query, STR("q")));
    assert_int_equal(url_cook(STR("*"), &limits, out, URL_COOK_CAP(1), &url), RC_OK);
    assert_int_equal(url.form, URL_ASTERISK);
    assert_true(str_eq(url.path, STR("/")));
    assert_int_equal(url_cook(STR("/x"), &limits, out, URL_COOK_CAP(2), &url), RC_OK);
    assert_int_equal(url.form, URL_ORIGIN);
    assert_int_equal(url.host.name.n, 0);
    /* A raw blank cannot come in by HTTP/1, but by HTTP/2. */
    assert_int_equal(url_cook(STR("/a b"), &limits, out, URL_COOK_CAP(4), &url), RC_FAIL);
    assert_int_equal(url_cook(STR("/a?b c"), &limits, out, URL_COOK_CAP(6), &url), RC_FAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_targets_are_not_copied),
        cmocka_unit_test(segments_are_counted_alike),
        cmocka_unit_test(fast_and_slow_way_agree),
        cmocka_unit_test(the_bound_is_reached_and_kept),
        cmocka_unit_test(failures_keep_what_is_known),
        cmocka_unit_test(forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
