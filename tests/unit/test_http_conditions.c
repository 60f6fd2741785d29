/* Conditional requests: which answer four headers together make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/conditions.h"
#include "base/poison.h"

static const int64_t modified = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */
static const int64_t now = 1795183200;     /* Fri, 20 Nov 2026 14:00:00 GMT */

#define AT "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"
#define FUTURE "Sat, 21 Nov 2026 14:00:00 GMT"

enum {
    SEND = HTTP_CONDITION_SEND,
    SAME = HTTP_CONDITION_NOT_MODIFIED,
    FAILED = HTTP_CONDITION_FAILED
};

static void verdicts(void **state)
{
    static const struct {
        const char *match, *none, *since, *unmodified;
        int want;
    } rows[] = {
        {NULL, NULL, NULL, NULL, SEND},
        {"\"e\"", NULL, NULL, NULL, SEND},
        {"*", NULL, NULL, NULL, SEND},
        {"\"x\", \"e\"", NULL, NULL, NULL, SEND},
        {"\"x\"", NULL, NULL, NULL, FAILED},
        {"W/\"e\"", NULL, NULL, NULL, FAILED}, /* compared strongly */
        {"\"x\"", "\"e\"", NULL, NULL, FAILED}, /* If-Match comes first */
        {"\"e\"", "\"e\"", NULL, NULL, SAME},
        {NULL, "\"e\"", NULL, NULL, SAME},
        {NULL, "W/\"e\"", NULL, NULL, SAME}, /* compared weakly */
        {NULL, "*", NULL, NULL, SAME},
        {NULL, "\"x\"", NULL, NULL, SEND},
        {NULL, "\"x\"", AT, NULL, SEND}, /* the tag hides the date */
        {NULL, "", AT, NULL, SEND},
        {NULL, NULL, AT, NULL, SAME},
        {NULL, NULL, AFTER, NULL, SAME},
        {NULL, NULL, BEFORE, NULL, SEND},
        {NULL, NULL, FUTURE, NULL, SEND},
        {NULL, NULL, "yesterday", NULL, SEND},
        {NULL, NULL, NULL, AT, SEND},
        {NULL, NULL, NULL, AFTER, SEND},
        {NULL, NULL, NULL, BEFORE, FAILED},
        {NULL, NULL, NULL, "yesterday", SEND},
        {NULL, "\"x\"", NULL, BEFORE, FAILED},
    };
    struct http_validators v = {.etag = STR("\"e\""),
                                .last_modified = modified,
                                .has_last_modified = true};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_conditions c = {.if_match = str_z(rows[i].match),
                                    .if_none_match = str_z(rows[i].none),
                                    .if_modified_since = str_z(rows[i].since),
                                    .if_unmodified_since = str_z(rows[i].unmodified)};
        if ((int)http_conditions_check(&c, &v, now) != rows[i].want)
            fail_msg("row %zu", i);
    }
}

static void without_validators_only_the_star_matches(void **state)
{
    struct http_validators none = {0};
    struct http_conditions c = {.if_none_match = STR("\"e\"")};

    assert_int_equal(http_conditions_check(&c, &none, now), SEND);
    c = (struct http_conditions){.if_none_match = STR("*")};
    assert_int_equal(http_conditions_check(&c, &none, now), SAME);
    c = (struct http_conditions){.if_modified_since = STR(AT)};
    assert_int_equal(http_conditions_check(&c, &none, now), SEND);
    c = (struct http_conditions){.if_unmodified_since = STR(BEFORE)};
    assert_int_equal(http_conditions_check(&c, &none, now), SEND);
    c = (struct http_conditions){.if_match = STR("\"e\"")};
    assert_int_equal(http_conditions_check(&c, &none, now), FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(without_validators_only_the_star_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
