#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/rc.h"
#include "supervisor/action.h"
#include "supervisor/identity.h"
#include "supervisor/rapid_fail.h"
#include "supervisor/schedule.h"
#include "base/poison.h"

/* ---- rapid-fail protection ------------------------------------------------------------------ */

static void failures_open_close_and_fill_the_window(void **state)
{
    enum { MINUTE = 60000, WINDOW = 5 * MINUTE, MAX = 5 };
    static const struct {
        const char *name;
        uint64_t at[8];
        size_t n;
        size_t trips; /* which failure trips it, from 1; 0: none */
    } rows[] = {
        {"five at once", {1000, 1001, 1002, 1003, 1004}, 5, 5},
        {"four", {1000, 1001, 1002, 1003}, 4, 0},
        {"fifth at the window's last moment", {0, 1, 2, 3, WINDOW}, 5, 5},
        {"fifth just after it", {0, 1, 2, 3, WINDOW + 1}, 5, 0},
        {"the late one opens a window of its own",
         {0, 1, 2, 3, WINDOW + 1, WINDOW + 2, WINDOW + 3, WINDOW + 4},
         8,
         0},
        {"one a minute and a half never trips", {0, 90000, 180000, 270000, 360000, 450000}, 6, 0},
        {"one a minute trips with the fifth", {0, 60000, 120000, 180000, 240000}, 5, 5},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rapid_fail rf = {0};
        size_t tripped = 0;
        for (size_t k = 0; k < rows[i].n; k++)
            if (rapid_fail_count(&rf, rows[i].at[k], WINDOW, MAX) && !tripped)
                tripped = k + 1;
        if (tripped != rows[i].trips)
            fail_msg("%s: tripped by %zu, %zu wanted", rows[i].name, tripped, rows[i].trips);
    }
}

static void an_administrator_opens_a_new_window(void **state)
{
    struct rapid_fail rf = {0};

    assert_false(rapid_fail_count(&rf, 10, 1000, 2));
    rapid_fail_reset(&rf);
    assert_false(rapid_fail_count(&rf, 20, 1000, 2));
    assert_true(rapid_fail_count(&rf, 30, 1000, 2));
}

static void one_crash_may_be_enough(void **state)
{
    struct rapid_fail rf = {0};

    assert_true(rapid_fail_count(&rf, 10, 1000, 1));
}

/* ---- user names ----------------------------------------------------------------------------- */

static void pool_names_become_user_names(void **state)
{
    static const struct {
        const char *pool, *user;
        bool is_prefix; /* eight digits follow */
    } rows[] = {
        {"DefaultAppPool", "candor-defaultapppool", false},
        {"shop_2-eu", "candor-shop_2-eu", false},
        {"0123456789012345678901234", "candor-0123456789012345678901234", false},
        {"01234567890123456789012345", "candor-0123456789012345-", true},
        {".NET v4.5", "candor--net-v4-5-", true},
        {"a b", "candor-a-b-", true},
        {"Gr\xc3\xbc\xc3\x9f", "candor-gr-----", true},
        {"Listener", "candor-listener-", true},
        {"LocalService", "candor-localservice-", true},
        {"NetworkService", "candor-networkservice-", true},
        {"", "candor--", true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char user[IDENTITY_NAME_MAX + 1];
        size_t n = strlen(rows[i].user);
        identity_pool_user(str_z(rows[i].pool), user);
        bool ok = rows[i].is_prefix ? strncmp(user, rows[i].user, n) == 0 && strlen(user) == n + 8
                                    : strcmp(user, rows[i].user) == 0;
        if (!ok)
            fail_msg("pool \"%s\": user %s, %s wanted", rows[i].pool, user, rows[i].user);
    }
}

static void different_pools_have_different_users(void **state)
{
    static const char *const pools[] = {"a b",  "a-b",      "a.b",      "a  b",
                                        "a b ", "listener", "listener "};
    char users[ARRAY_LEN(pools)][IDENTITY_NAME_MAX + 1];

    for (size_t i = 0; i < ARRAY_LEN(pools); i++)
        identity_pool_user(str_z(pools[i]), users[i]);
    for (size_t i = 0; i < ARRAY_LEN(pools); i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(users[i], users[k]) == 0)
                fail_msg("pools \"%s\" and \"%s\" share %s", pools[i], pools[k], users[i]);
}

static void letter_case_makes_no_difference(void **state)
{
    char one[IDENTITY_NAME_MAX + 1], other[IDENTITY_NAME_MAX + 1];

    identity_pool_user(STR("My Pool"), one);
    identity_pool_user(STR("MY POOL"), other);
    assert_string_equal(one, other);
}

/* ---- schedule ------------------------------------------------------------------------------- */

/* Seconds since 1970 of a local time. */
static int64_t local(int year, int month, int day, int hour, int minute)
{
    struct tm t = {.tm_year = year - 1900,
                   .tm_mon = month - 1,
                   .tm_mday = day,
                   .tm_hour = hour,
                   .tm_min = minute,
                   .tm_isdst = -1};

    return (int64_t)mktime(&t);
}

static void the_next_scheduled_time(void **state)
{
    enum { HOUR = 3600, DAY = 24 * HOUR };
    static const uint64_t morning[] = {6 * HOUR * 1000ull};
    static const uint64_t three[] = {22 * HOUR * 1000ull, 6 * HOUR * 1000ull, 12 * HOUR * 1000ull};
    static const uint64_t night[] = {(2 * HOUR + 1800) * 1000ull};
    const struct {
        const char *name;
        const uint64_t *times;
        size_t n;
        int64_t now;
        uint64_t want;
    } rows[] = {
        {"later today", morning, 1, local(2026, 1, 15, 5, 0), HOUR},
        {"tomorrow", morning, 1, local(2026, 1, 15, 7, 0), 23 * HOUR},
        {"exactly now is tomorrow", morning, 1, local(2026, 1, 15, 6, 0), DAY},
        {"the nearest of three", three, 3, local(2026, 1, 15, 11, 30), HOUR / 2},
        {"the first of tomorrow", three, 3, local(2026, 1, 15, 23, 0), 7 * HOUR},
        {"over the end of a month", morning, 1, local(2026, 1, 31, 7, 0), 23 * HOUR},
        {"a day of 23 hours", morning, 1, local(2026, 3, 28, 6, 0), 23 * HOUR},
        {"a day of 25 hours", morning, 1, local(2026, 10, 24, 6, 0), 25 * HOUR},
        {"a time that the clocks skip", night, 1, local(2026, 3, 29, 1, 30), HOUR},
        {"none", morning, 0, local(2026, 1, 15, 5, 0), UINT64_MAX},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t got = schedule_seconds_to_next(rows[i].times, rows[i].n, rows[i].now);
        if (got != rows[i].want)
            fail_msg("%s: %llu, %llu wanted", rows[i].name, (unsigned long long)got,
                     (unsigned long long)rows[i].want);
    }
}

/* ---- arguments of actions ------------------------------------------------------------------- */

static void action_parameters_are_split(void **state)
{
    static const struct {
        const char *params;
        const char *want[4];
    } rows[] = {
        {"", {NULL}},
        {"   ", {NULL}},
        {"-p %1%", {"-p", "4711", NULL}},
        {"%1%%1% x", {"47114711", "x", NULL}},
        {"\"two words\" three", {"two words", "three", NULL}},
        {"a\"b c\"d", {"ab cd", NULL}},
        {"\"\"", {"", NULL}},
        {"\"no end", {"no end", NULL}},
        {"100% %2%", {"100%", "%2%", NULL}},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str rest = str_z(rows[i].params);
        char out[64];
        size_t n = 0;
        for (; action_next_argument(&rest, 4711, out, sizeof(out)); n++)
            if (n >= 4 || !rows[i].want[n] || strcmp(out, rows[i].want[n]) != 0)
                fail_msg("\"%s\": argument %zu is \"%s\"", rows[i].params, n, out);
        if (rows[i].want[n])
            fail_msg("\"%s\": only %zu arguments", rows[i].params, n);
    }
}

static void a_long_argument_is_cut(void **state)
{
    struct str rest = STR("0123456789%1%%1% next");
    char out[12];

    assert_true(action_next_argument(&rest, 4711, out, sizeof(out)));
    assert_string_equal(out, "01234567894");
    assert_true(action_next_argument(&rest, 4711, out, sizeof(out)));
    assert_string_equal(out, "next");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_open_close_and_fill_the_window),
        cmocka_unit_test(an_administrator_opens_a_new_window),
        cmocka_unit_test(one_crash_may_be_enough),
        cmocka_unit_test(pool_names_become_user_names),
        cmocka_unit_test(different_pools_have_different_users),
        cmocka_unit_test(letter_case_makes_no_difference),
        cmocka_unit_test(the_next_scheduled_time),
        cmocka_unit_test(action_parameters_are_split),
        cmocka_unit_test(a_long_argument_is_cut),
    };

    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
