/* The status catalogue: complete, sorted, and with a row for every code that the documents list. */
#include "tables/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tables/win32.h"
#include "test_tables_documented.h"

static void test_documented_codes_have_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(documented); i++) {
        const struct status_row *row = status_find(documented[i].status, documented[i].substatus);

        if (!row)
            fail_msg("no row for %u.%u", documented[i].status, documented[i].substatus);
        assert_int_equal(row->status, documented[i].status);
        assert_int_equal(row->substatus, documented[i].substatus);
    }
}

static void test_rows_are_sorted_and_found(void **state)
{
    const struct status_row *before = NULL;

    (void)state;
    assert_true(status_count() > 160);
    for (size_t i = 0; i < status_count(); i++) {
        const struct status_row *row = status_at(i);

        if (before)
            assert_true(before->status < row->status ||
                        (before->status == row->status && before->substatus < row->substatus));
        assert_ptr_equal(status_find(row->status, row->substatus), row);
        before = row;
    }
    assert_null(status_at(status_count()));
    assert_null(status_find(404, 21));
    assert_null(status_find(299, 0));
    assert_null(status_find(0, 0));
    assert_null(status_find(UINT16_MAX, UINT16_MAX));
}

static void check_list(const struct status_row *row, const char *what, const char *const *list,
                       size_t at_least)
{
    size_t n = 0;

    assert_non_null(list);
    for (; list[n]; n++) {
        if (list[n][0] == '\0')
            fail_msg("%s: empty text in %s", row->code, what);
    }
    if (n < at_least)
        fail_msg("%s: %zu %s", row->code, n, what);
}

static void test_rows_are_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < status_count(); i++) {
        const struct status_row *row = status_at(i);
        const char *texts[] = {row->code,      row->name,      row->title,   row->text,
                               row->component, row->reproduce, row->reason.p};

        for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
            if (!texts[t] || texts[t][0] == '\0')
                fail_msg("%u.%u: text %zu is missing", row->status, row->substatus, t);
        }
        assert_true(row->status >= 100 && row->status <= 599);
        assert_true(row->hresult_count >= 1);
        assert_true(row->log <= STATUS_LOG_NONE);
        assert_true(str_eq(row->reason, status_reason(row->status)));
        check_list(row, "causes", row->causes, 1);
        check_list(row, "remedies", row->remedies, 1);
        check_list(row, "versions", row->versions, 1);
        check_list(row, "sources", row->sources, 1);
        check_list(row, "settings", row->settings, 0);
    }
}

/* A code that comes with an error shows its text, so the text must exist. */
static void test_error_codes_have_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < status_count(); i++) {
        const struct status_row *row = status_at(i);

        for (size_t k = 0; k < row->hresult_count; k++) {
            if (!win32_find(row->hresults[k]))
                fail_msg("%s: 0x%08x has no name", row->code, row->hresults[k]);
        }
    }
}

static void test_symbols_name_their_codes(void **state)
{
    (void)state;
    assert_int_equal(st_404_8_hidden_segment.status, 404);
    assert_int_equal(st_404_8_hidden_segment.substatus, 8);
    assert_string_equal(st_404_8_hidden_segment.name, "ST_404_8_HIDDEN_SEGMENT");
    assert_string_equal(st_404_8_hidden_segment.code, "404.8");
    assert_ptr_equal(status_find(404, 8), &st_404_8_hidden_segment);
    assert_int_equal(status_hresult(&st_404_0_not_found), 0x80070002);
    assert_int_equal(status_hresult(&st_404_8_hidden_segment), 0);
    assert_int_equal(st_503_0_service_unavailable.log, STATUS_LOG_HTTPERR);
    assert_int_equal(st_503_2_concurrent_limit.log, STATUS_LOG_IIS);
    assert_non_null(st_404_0_not_found.produced);
    assert_null(st_404_2_isapi_cgi_restriction.produced);
}

static void test_nearest_row(void **state)
{
    (void)state;
    assert_ptr_equal(status_find_nearest(404, 8), &st_404_8_hidden_segment);
    assert_ptr_equal(status_find_nearest(404, 999), &st_404_0_not_found);
    assert_ptr_equal(status_find_nearest(404, 0), &st_404_0_not_found);
    assert_null(status_find_nearest(299, 1));
}

static void test_reasons(void **state)
{
    static const struct {
        uint16_t status;
        const char *reason;
    } rows[] = {
        {100, "Continue"},
        {200, "OK"},
        {302, "Found"},
        {404, "Not Found"},
        {409, "Conflict"},
        {414, "Request URL Too Long"},
        {418, ""},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {511, "Network Authentication Required"},
        {99, ""},
        {599, ""},
        {999, ""},
        {0, ""},
        {UINT16_MAX, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str got = status_reason(rows[i].status);

        if (!str_eq(got, str_z(rows[i].reason)))
            fail_msg("%u: %.*s", rows[i].status, STR_ARG(got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documented_codes_have_rows),
        cmocka_unit_test(test_rows_are_sorted_and_found),
        cmocka_unit_test(test_rows_are_complete),
        cmocka_unit_test(test_error_codes_have_names),
        cmocka_unit_test(test_symbols_name_their_codes),
        cmocka_unit_test(test_nearest_row),
        cmocka_unit_test(test_reasons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
