/* FTP codes, error codes, log columns: sorted, complete, and consistent with each other. */
#include "tables/ftp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tables/log_field_text.h"
#include "tables/win32.h"
#include "test_tables_documented.h"

static void check_list(const char *what, unsigned code, const char *const *list, size_t at_least)
{
    size_t n = 0;

    assert_non_null(list);
    for (; list[n]; n++) {
        if (list[n][0] == '\0')
            fail_msg("%u: empty text in %s", code, what);
    }
    if (n < at_least)
        fail_msg("%u: %zu %s", code, n, what);
}

static void check_ftp(const struct ftp_row *row)
{
    const char *texts[] = {row->name, row->title, row->text, row->reproduce};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!texts[i] || texts[i][0] == '\0')
            fail_msg("%u: text %zu is missing", row->code, i);
    }
    check_list("versions", row->code, row->versions, 1);
    check_list("causes", row->code, row->causes, 1);
    check_list("remedies", row->code, row->remedies, 1);
    check_list("sources", row->code, row->sources, 1);
    check_list("settings", row->code, row->settings, 0);
    check_list("steps on Windows", row->code, row->on_windows, 0);
    check_list("steps on Candor", row->code, row->on_candor, 0);
    for (const uint16_t *reply = row->replies; *reply; reply++) {
        if (!ftp_reply_find(*reply))
            fail_msg("%u: there is no reply %u", row->code, *reply);
    }
}

static void test_ftp_replies(void **state)
{
    (void)state;
    assert_int_equal(ftp_reply_count(), ARRAY_LEN(documented_ftp));
    for (size_t i = 0; i < ARRAY_LEN(documented_ftp); i++)
        assert_non_null(ftp_reply_find(documented_ftp[i]));
    for (size_t i = 0; i < ftp_reply_count(); i++) {
        const struct ftp_row *row = ftp_reply_at(i);

        check_ftp(row);
        assert_ptr_equal(ftp_reply_find(row->code), row);
        assert_true(i == 0 || ftp_reply_at(i - 1)->code < row->code);
        /* A reply that the service sends says when; the others say that it does not. */
        assert_true(row->when || str_find(str_z(row->reproduce), STR("nothing sends it")) == 0);
    }
    assert_null(ftp_reply_at(ftp_reply_count()));
    assert_null(ftp_reply_find(999));
}

static void test_ftp_substatuses(void **state)
{
    (void)state;
    assert_int_equal(ftp_substatus_count(), DOCUMENTED_FTP_SUBSTATUS_MAX + 1);
    for (size_t i = 0; i < ftp_substatus_count(); i++) {
        const struct ftp_row *row = ftp_substatus_at(i);

        check_ftp(row);
        assert_int_equal(row->code, i);
        assert_ptr_equal(ftp_substatus_find(row->code), row);
        assert_true(i == 0 || row->replies[0] >= 400);
    }
    assert_null(ftp_substatus_find(DOCUMENTED_FTP_SUBSTATUS_MAX + 1));
    assert_null(ftp_substatus_at(ftp_substatus_count()));
}

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < win32_count(); i++) {
        const struct win32_row *row = win32_at(i);

        assert_true(i == 0 || win32_at(i - 1)->code < row->code);
        assert_ptr_equal(win32_find(row->code), row);
        if (row->code <= 0xFFFF)
            assert_ptr_equal(win32_find(0x80070000u | row->code), row);
        check_list("causes", row->code, row->causes, 1);
        check_list("remedies", row->code, row->remedies, 1);
        check_list("steps on Windows", row->code, row->on_windows, 0);
        check_list("steps on Candor", row->code, row->on_candor, 0);
        assert_true(row->text[0] && row->text[strlen(row->text) - 1] != '.');
    }
    assert_null(win32_at(win32_count()));
}

static void test_log_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < log_field_text_count(); i++) {
        const struct log_field_text *row = log_field_text_at(i);

        check_list("logs", (unsigned)i, row->logs, 1);
        check_list("versions", (unsigned)i, row->versions, 1);
        check_list("remedies", (unsigned)i, row->remedies, 1);
        check_list("sources", (unsigned)i, row->sources, 1);
        assert_ptr_equal(log_field_text_find(str_z(row->name)), row);
        assert_true(i == 0 ||
                    str_icmp(str_z(log_field_text_at(i - 1)->name), str_z(row->name)) < 0);
    }
    assert_non_null(log_field_text_find(STR("SC-WIN32-STATUS")));
    assert_null(log_field_text_find(STR("sc-win32")));
    assert_null(log_field_text_at(log_field_text_count()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ftp_replies),
        cmocka_unit_test(test_ftp_substatuses),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_log_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
