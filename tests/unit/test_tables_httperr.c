/* HTTPERR reasons, Win32 names, events: tables that must be whole. */
#include "tables/httperr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tables/events.h"
#include "tables/status.h"
#include "tables/win32.h"

/* Lengths of HTTP.sys's own pages; 0: no answer. */
static const struct {
    const char *reason;
    uint16_t status;
    size_t length;
} pages[] = {
    {"AppOffline", 503, 326},
    {"AppPoolTimer", 503, 326},
    {"AppShutdown", 503, 326},
    {"BadRequest", 400, 311},
    {"Client_Reset", 0, 0},
    {"Connection_Abandoned_By_AppPool", 0, 0},
    {"Connection_Abandoned_By_ReqQueue", 0, 0},
    {"Connection_Dropped", 0, 0},
    {"Connection_Dropped_List_Full", 0, 0},
    {"ConnLimit", 503, 326},
    {"Connections_Refused", 0, 0},
    {"Disabled", 503, 326},
    {"EntityTooLarge", 413, 341},
    {"FieldLength", 400, 342},
    {"Forbidden", 403, 312},
    {"Header", 400, 339},
    {"Hostname", 400, 334},
    {"Internal", 500, 337},
    {"Invalid_CR/LF", 400, 338},
    {"LengthRequired", 411, 344},
    {"N/A", 503, 326},
    {"N/I", 501, 343},
    {"NotFound", 404, 315},
    {"Number", 400, 374},
    {"Precondition", 412, 331},
    {"QueueFull", 503, 326},
    {"RequestLength", 400, 346},
    {"Timer_AppPool", 0, 0},
    {"Timer_ConnectionIdle", 0, 0},
    {"Timer_EntityBody", 0, 0},
    {"Timer_HeaderWait", 0, 0},
    {"Timer_MinBytesPerSecond", 0, 0},
    {"Timer_ReqQueue", 0, 0},
    {"Timer_Response", 0, 0},
    {"Timer_SslRenegotiation", 0, 0},
    {"URL", 400, 324},
    {"URL_Length", 414, 329},
    {"Verb", 400, 326},
    {"Version_N/S", 505, 347},
};

static void test_page_lengths(void **state)
{
    (void)state;
    assert_int_equal(ARRAY_LEN(pages), HTTPERR_MAX - 1);
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        const struct httperr_row *row = httperr_find_name(str_z(pages[i].reason));

        if (!row)
            fail_msg("no row for %s", pages[i].reason);
        struct str body = httperr_response(row->reason);
        /* The sentence on the page is "HTTP Error NNN. " and the row's text. */
        size_t computed = 245 + row->title.n + row->heading.n + 16 + row->text.n;

        if (row->status != pages[i].status || body.n != pages[i].length)
            fail_msg("%s: %u, %zu bytes", pages[i].reason, row->status, body.n);
        assert_int_equal(httperr_has_response(row), pages[i].status != 0);
        if (pages[i].status != 0)
            assert_int_equal(body.n, computed);
    }
}

static void test_page_bytes(void **state)
{
    static const char want[] =
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\"\"http://www.w3.org/TR/html4/"
        "strict.dtd\">\r\n"
        "<HTML><HEAD><TITLE>Bad Request</TITLE>\r\n"
        "<META HTTP-EQUIV=\"Content-Type\" Content=\"text/html; charset=us-ascii\"></HEAD>\r\n"
        "<BODY><h2>Bad Request - Invalid Hostname</h2>\r\n"
        "<hr><p>HTTP Error 400. The request hostname is invalid.</p>\r\n"
        "</BODY></HTML>\r\n";
    struct str body = httperr_response(HTTPERR_HOSTNAME);

    (void)state;
    assert_int_equal(body.n, sizeof(want) - 1);
    assert_memory_equal(body.p, want, body.n);
}

static void test_reason_rows_are_complete(void **state)
{
#define X(id, text) text,
    static const char *const names[] = {"", HTTPERR_REASONS(X)};
#undef X

    (void)state;
    for (int i = HTTPERR_NONE + 1; i < HTTPERR_MAX; i++) {
        const struct httperr_row *row = httperr_find((enum httperr_reason)i);

        assert_int_equal((int)row->reason, i);
        assert_true(str_eq(row->name, str_z(names[i])));
        assert_ptr_equal(httperr_find_name(row->name), row);
        assert_true(row->meaning && row->meaning[0] && row->reproduce && row->reproduce[0]);
        assert_non_null(row->causes[0]);
        assert_non_null(row->remedies[0]);
        assert_non_null(row->settings);
        /* The status line's phrase is the page's title, and the catalogue knows the status. */
        if (row->status != 0) {
            const struct status_row *st = status_find(row->status, 0);

            assert_true(str_eq(row->title, status_reason(row->status)));
            assert_non_null(st);
            assert_true(row->logged);
        }
    }
    assert_null(httperr_find_name(STR("Nothing")));
    assert_null(httperr_find_name(STR("")));
}

static void test_win32(void **state)
{
    static const struct {
        uint32_t hresult;
        uint32_t win32;
    } rows[] = {
        {0, 0},
        {0x80070002, 2},
        {0x800704ec, 1260},
        {0x80072ee2, 12002},
        {0x800b0109, 2148204809},
        {0x80004005, 0x80004005},
        {0xc000006d, 3221225581},
        {64, 64},
        {0x8007ffff, 0xffff},
        {0x80080002, 0x80080002},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(win32_from_hresult(rows[i].hresult), rows[i].win32);
    assert_int_equal(HRESULT_FROM_WIN32(5), 0x80070005);
    assert_int_equal(HRESULT_FROM_WIN32(0), 0);
    assert_string_equal(win32_find(0x80070002)->name, "ERROR_FILE_NOT_FOUND");
    assert_ptr_equal(win32_find(2), win32_find(0x80070002));
    assert_string_equal(win32_find(12002)->name, "ERROR_WINHTTP_TIMEOUT");
    assert_string_equal(win32_text(4711), "");
    assert_true(win32_text(64)[0] != '\0');
}

static void test_win32_rows_are_sorted_and_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < win32_count(); i++) {
        const struct win32_row *row = win32_at(i);

        if (i > 0)
            assert_true(win32_at(i - 1)->code < row->code);
        assert_ptr_equal(win32_find(row->code), row);
        assert_true(row->name[0] && row->text[0]);
    }
    assert_null(win32_at(win32_count()));
}

static void test_events(void **state)
{
    (void)state;
    for (int i = 0; i < EV_COUNT; i++) {
        const struct event_row *row = event_row((enum event_id)i);

        assert_true(row->source && row->code && row->text && row->text[0] && row->remedy);
        /* Twice the same id would make the second row unreachable. */
        assert_ptr_equal(event_find_code(str_z(row->code)), row);
        assert_ptr_equal(event_find(str_z(row->source), row->id), row);
        /* What is wrong can be put right. */
        if (row->severity != EVENT_SEVERITY_INFO && row->id != 15300 && row->id != 15301)
            assert_true(row->remedy[0] != '\0');
    }
    assert_int_equal(event_row(EV_WAS_RAPID_FAIL)->id, 5002);
    assert_string_equal(event_row(EV_WAS_RAPID_FAIL)->source, "Microsoft-Windows-WAS");
    assert_string_equal(event_row(EV_CND_ENDPOINT_IN_USE)->code, "CND-1001");
    assert_null(event_find_code(STR("CND-1000")));
}

static void test_event_format(void **state)
{
    const struct event_row row = {.text = "a %1 b %2%3 100% %0 %"};
    const struct str args[] = {STR("one"), STR("%1")};
    _cleanup_buf_ struct buf out;

    (void)state;
    buf_init(&out, 1000);
    event_format(&row, args, ARRAY_LEN(args), &out);
    assert_true(str_eq(buf_view(&out), STR("a one b %1? 100% %0 %")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_lengths),
        cmocka_unit_test(test_page_bytes),
        cmocka_unit_test(test_reason_rows_are_complete),
        cmocka_unit_test(test_win32),
        cmocka_unit_test(test_win32_rows_are_sorted_and_found),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_event_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
