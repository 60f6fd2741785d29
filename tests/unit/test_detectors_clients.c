/* Detectors of what clients do: logons, scans, malformed requests, slow lines, and what is normal.
 */
#include "detectors_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "diagnose/detectors/tools.h"

static void test_handshake(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    for (int i = 0; i < 40; i++) {
        SITE(&s, .at_s = i, .client = "10.0.0.7", .url = "/intra/", .status = 401, .substatus = 2,
             .win32 = 5);
        SITE(&s, .at_s = i, .client = "10.0.0.7", .url = "/intra/", .status = 401, .substatus = 1,
             .win32 = 2148074254);
        SITE(&s, .at_s = i, .client = "10.0.0.7", .user = "CORP\\ann", .url = "/intra/",
             .status = 200);
    }
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "handshake");

    assert_int_equal(f->severity, SEVERITY_NORMAL);
    assert_int_equal(f->count, 80);
    assert_true(says(f->why, "nothing failed"));
    assert_false(scene_has(&s, "handshake-unanswered"));
    assert_false(scene_has(&s, "logon-failed-2148074254"));
    assert_false(scene_has(&s, "scanner"));
    scene_fini(&s);
}

static void test_handshake_never_finished(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 100, 10);
    for (int i = 0; i < 30; i++)
        SITE(&s, .at_s = i, .client = "10.9.9.9", .url = "/svc", .status = 401, .substatus = 2,
             .win32 = 5);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "handshake-unanswered");

    assert_int_equal(f->severity, SEVERITY_WARNING);
    assert_int_equal(f->count, 30);
    assert_true(says(f->why, "10.9.9.9"));
    assert_false(scene_has(&s, "handshake"));
    scene_fini(&s);
}

static void test_wrong_password(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 100, 10);
    for (int i = 0; i < 3; i++)
        SITE(&s, .at_s = i, .user = "bob", .status = 401, .substatus = 1, .win32 = 1326);
    SITE(&s, .at_s = 4, .status = 401, .substatus = 1, .win32 = 1909);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "logon-failed-1326");

    assert_int_equal(f->severity, SEVERITY_WARNING);
    assert_true(says(f->title, "Wrong user name or password"));
    assert_true(says(scene_finding(&s, "logon-failed-1909")->title, "locked out"));
    scene_fini(&s);
}

static void test_guessed_passwords(void **state)
{
    static const char *const users[] = {"admin",  "root", "test", "sql",
                                        "backup", "web",  "scan", "info"};
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 100, 10);
    for (int i = 0; i < 200; i++)
        SITE(&s, .at_s = i, .client = "203.0.113.5", .user = users[i % 8], .status = 401,
             .substatus = 1, .win32 = 1326);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "logon-failed-1326");

    assert_int_equal(f->severity, SEVERITY_ERROR);
    assert_true(says(f->why, "somebody tries passwords"));
    assert_true(advises(f, "Block 203.0.113.5"));
    scene_fini(&s);
}

static void test_scanner(void **state)
{
    struct scene s;
    char url[64];

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 3000, 10);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(url, sizeof(url), "/wp-%c%c/setup.php", 'a' + i % 26, 'a' + i / 26);
        SITE(&s, .at_s = i, .client = "203.0.113.66", .url = url, .status = 404, .win32 = 2);
    }
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "scanner");

    assert_int_equal(f->severity, SEVERITY_NORMAL);
    assert_int_equal(f->count, 100);
    assert_int_equal(f->clients.n, 1);
    assert_true(says(f->command, "--client 203.0.113.66"));
    assert_false(scene_has(&s, "missing-404"));
    scene_fini(&s);
}

static void test_missing_pages(void **state)
{
    struct scene s;
    char client[32];

    (void)state;
    scene_init(&s);
    for (int i = 0; i < 400; i++) {
        (void)snprintf(client, sizeof(client), "10.1.0.%d", i % 40);
        SITE(&s, .at_s = i, .client = client, .url = "/", .status = 200);
        if (i % 10 == 0)
            SITE(&s, .at_s = i, .client = client, .url = "/img/logo.png", .status = 404,
                 .win32 = 2);
    }
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "missing-404");

    assert_int_equal(f->severity, SEVERITY_WARNING);
    assert_true(says(f->why, "links are broken"));
    assert_false(scene_has(&s, "scanner"));
    scene_fini(&s);
}

static void test_busy_client(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 200, 10);
    for (int i = 0; i < 2000; i++)
        SITE(&s, .at_s = i, .client = "10.0.0.250", .url = "/", .status = 200);
    scene_run(&s);
    assert_true(advises(scene_finding(&s, "busy-client"), "X-Forwarded-For"));
    scene_fini(&s);
}

static void test_normal(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    for (int i = 0; i < 100; i++)
        SITE(&s, .at_s = i, .url = "/css/site.css", .status = 304);
    for (int i = 0; i < 6; i++)
        SITE(&s, .at_s = 100 + i, .url = "/video.mp4", .status = 200, .win32 = i % 2 ? 64 : 1236,
             .ms = 900);
    scene_traffic(&s, 110, 1000, 10);
    for (int i = 0; i < 50; i++)
        ERR(&s, .at_s = i, .reason = "Timer_ConnectionIdle", .queue = "A");
    ERR(&s, .at_s = 51, .method = "GET", .url = "/", .reason = "Connection_Dropped", .queue = "A");
    scene_run(&s);
    static const char *const ids[] = {"not-modified", "impatient-clients", "idle-connections",
                                      "dropped"};

    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        assert_int_equal(scene_finding(&s, ids[i])->severity, SEVERITY_NORMAL);
    assert_int_equal(s.fs.n, ARRAY_LEN(ids));
    assert_int_equal(scene_finding(&s, "impatient-clients")->count, 6);
    scene_fini(&s);
}

static void test_impatient_because_slow(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 100, 10);
    for (int i = 0; i < 20; i++)
        SITE(&s, .at_s = i, .url = "/report", .status = 200, .win32 = 64, .ms = 20000);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "impatient-clients");

    assert_int_equal(f->severity, SEVERITY_INFO);
    assert_true(says(f->why, "20.0 s on average, and they are many"));
    scene_fini(&s);
}

static void test_header_growth(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 3600, 10);
    for (int i = 0; i < 60; i++)
        ERR(&s, .at_s = i < 10 ? i * 100 : 2400 + i * 15, .method = "GET", .url = "/intra",
            .status = 400, .reason = "RequestLength");
    ERR(&s, .at_s = 5, .method = "GET", .url = "/intra", .status = 400, .reason = "FieldLength");
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "header-size-request");

    assert_int_equal(f->count, 60);
    assert_true(says(f->why, "10 in the first half of the time, 50 in the second"));
    assert_true(advises(f, "MaxFieldLength"));
    assert_true(relates(f, "MaxRequestBytes"));
    assert_int_equal(scene_finding(&s, "header-size-field")->count, 1);
    scene_fini(&s);
}

static void test_listener_refusals(void **state)
{
    static const struct {
        const char *reason;
        unsigned status;
        const char *id;
    } rows[] = {
        {"BadRequest", 400, "bad-request"},
        {"Verb", 400, "bad-request-verb"},
        {"URL", 400, "bad-request-url"},
        {"URL_Length", 414, "bad-request-url-length"},
        {"Header", 400, "bad-request-header"},
        {"Number", 400, "bad-request-number"},
        {"Invalid_CR/LF", 400, "bad-request-line-end"},
        {"Forbidden", 403, "bad-request-forbidden"},
        {"LengthRequired", 411, "bad-request-length-required"},
        {"N/I", 501, "bad-request-coding"},
        {"EntityTooLarge", 413, "bad-request-entity"},
        {"Internal", 500, "listener-error"},
        {"Hostname", 400, "hostname"},
        {"NotFound", 404, "no-application"},
        {"Version_N/S", 505, "version"},
        {"Timer_MinBytesPerSecond", 0, "slow-client-response"},
        {"Timer_EntityBody", 0, "slow-client-body"},
        {"Timer_HeaderWait", 0, "slow-client-header"},
        {"Client_Reset", 0, "client-reset"},
        {"Connection_Dropped_List_Full", 0, "dropped-list-full"},
        {"AppPoolTimer", 503, "queue-wait-503"},
    };
    struct scene s;

    (void)state;
    scene_init(&s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ERR(&s, .at_s = (int)i, .method = "GET", .url = "/", .status = rows[i].status,
            .reason = rows[i].reason);
    scene_run(&s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct finding *f = scene_finding(&s, rows[i].id);
        assert_int_equal(f->count, 1);
        assert_true(f->why.n > 20 && f->evidence_n == 1);
    }
    scene_fini(&s);
}

static void test_hostname_of_many(void **state)
{
    struct scene s;
    char client[32];

    (void)state;
    scene_init(&s);
    for (int i = 0; i < 60; i++) {
        (void)snprintf(client, sizeof(client), "10.2.0.%d", i % 30);
        ERR(&s, .at_s = i, .client = client, .method = "GET", .url = "/", .status = 400,
            .reason = "Hostname");
    }
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "hostname");

    assert_int_equal(f->severity, SEVERITY_WARNING);
    assert_true(advises(f, "ErrorLoggingFields"));
    assert_true(advises(f, "bindingInformation"));
    scene_fini(&s);
}

static void test_ftp(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    for (int i = 0; i < 30; i++)
        scene_ftp(&s, i, "203.0.113.8", "PASS", 530, 1326, 41);
    scene_ftp(&s, 40, "10.0.0.4", "USER", 534, 5, 25);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "ftp-530.41");

    assert_int_equal(f->severity, SEVERITY_ERROR);
    assert_true(says(f->why, "guesses"));
    assert_true(relates(f, "ftp substatus 41"));
    assert_int_equal(scene_finding(&s, "ftp-534.25")->count, 1);
    scene_fini(&s);
}

static void test_input(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 50, 10);
    buf_str(&s.site, STR("this is no record\r\n2026-03-10 08:00\r\n"));
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "input-lines");

    assert_int_equal(f->count, 2);
    assert_true(f->evidence_n == 2 && f->evidence[0]->line == 55);
    assert_true(says(f->evidence[0]->text, "this is no record"));
    scene_fini(&s);
}

static void test_clocks(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 50, 10);
    scene_file(
        &s, "in260310.log",
        STR("10.0.0.1, -, 3/10/2026, 8:00:01, W3SVC1, WEB1, 192.0.2.1, 15, 200, 900, 200, 0, GET, "
            "/index.htm, -,\r\n10.0.0.1, -, 3/10/2026, 8:00:02, W3SVC1, WEB1, 192.0.2.1, 15, 200, "
            "900, 200, 0, GET, /index.htm, -,\r\n"));
    scene_run(&s);
    assert_true(says(scene_finding(&s, "input-clocks")->why, "local time"));
    scene_fini(&s);
}

static void test_order_and_layout(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_file(
        &s, "u_ex1.log",
        STR("#Software: Microsoft Internet Information Services 10.0\r\n#Fields: date time "
            "cs-uri-stem "
            "sc-status\r\n2026-03-10 08:00:00 / 200\r\n2026-03-10 08:59:59 / 200\r\n2026-03-10 "
            "08:00:01 / 200\r\n2026-03-10 08:00:00 / 200\r\n#Fields: date time cs-uri-stem "
            "sc-status "
            "time-taken\r\n2026-03-10 08:00:30 / 200 15\r\n"));
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "input-order");

    assert_int_equal(f->count, 1); /* a second is no step back */
    assert_true(says(f->why, "by 3598 s at most"));
    assert_int_equal(scene_finding(&s, "input-layout")->count, 1);
    scene_fini(&s);
}

static void test_trace(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_file(
        &s, "fr000001.xml",
        STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n"
            "<?xml-stylesheet type='text/xsl' href='freb.xsl'?>\r\n"
            "<!-- saved from url=(0014)about:internet -->\r\n"
            "<failedRequest url=\"http://localhost:80/bin/x\"\r\n siteId=\"1\"\r\n"
            " appPoolId=\"DefaultAppPool\"\r\n processId=\"4321\"\r\n verb=\"GET\"\r\n"
            " failureReason=\"STATUS_CODE\"\r\n statusCode=\"404.8\"\r\n"
            " triggerStatusCode=\"404.8\"\r\n timeTaken=\"15\"\r\n"
            " xmlns:freb=\"http://schemas.microsoft.com/win/2006/06/iis/freb\">\r\n"
            "<Event><System><Opcode>1</Opcode></System><EventData><Data Name=\"ModuleName\">"
            "Other</Data></EventData><RenderingInfo><Opcode>FILTER_SCAN</Opcode>"
            "</RenderingInfo></Event>\r\n<Event><System><Opcode>16</Opcode></System><EventData>"
            "<Data Name=\"ModuleName\">RequestFilteringModule</Data></EventData><RenderingInfo>"
            "<Opcode>MODULE_SET_RESPONSE_ERROR_STATUS</Opcode></RenderingInfo></Event>\r\n"
            "</failedRequest>\r\n"));
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "traces");

    assert_int_equal(f->count, 1);
    assert_true(says(f->title, "404.8"));
    assert_true(says(f->command, "fr000001.xml"));
    assert_true(says(f->why,
                     "There RequestFilteringModule was the first module to set an error status, "
                     "right after the event FILTER_SCAN."));
    scene_fini(&s);
}

static void add_trace(struct scene *s, int number, const char *status, const char *module)
{
    char name[32];
    struct buf text;

    snprintf(name, sizeof(name), "fr%06d.xml", number);
    buf_init(&text, 1 << 16);
    buf_printf(
        &text,
        "<failedRequest url=\"http://localhost:80/x\" siteId=\"1\" appPoolId=\"P\" "
        "processId=\"1\" verb=\"GET\" failureReason=\"STATUS_CODE\" statusCode=\"%s\" "
        "triggerStatusCode=\"%s\" timeTaken=\"15\" "
        "xmlns:freb=\"http://schemas.microsoft.com/win/2006/06/iis/freb\"><Event><System><Opcode>16"
        "</Opcode></System><EventData><Data Name=\"ModuleName\">%s</Data></EventData>"
        "<RenderingInfo><Opcode>MODULE_SET_RESPONSE_ERROR_STATUS</Opcode></RenderingInfo></Event>"
        "</failedRequest>",
        status, status, module);
    scene_file(s, name, buf_view(&text));
    buf_fini(&text);
}

/* Each end has its module, not only the most frequent one. */
static void test_traces_of_several_ends(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    add_trace(&s, 1, "404", "IIS Web Core");
    add_trace(&s, 2, "500", "FastCgiModule");
    add_trace(&s, 3, "500", "FastCgiModule");
    add_trace(&s, 4, "500", "ManagedPipelineHandler");
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "traces");

    assert_int_equal(f->count, 4);
    assert_true(says(f->title, "4 failed request traces, most for 500"));
    assert_true(says(f->why, "2 of them ended with 500"));
    assert_true(says(f->why, "FastCgiModule was the first module"));
    assert_true(says(f->why, "ManagedPipelineHandler was the first module"));
    assert_true(says(f->why, "IIS Web Core was the first module"));
    assert_true(relates(f, "404") && relates(f, "500"));
    scene_fini(&s);
}

static void test_aspnetcore_log(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_file(
        &s, "stdout_1.log",
        STR("[2026-03-10T08:00:01.434Z, PID: 4752] [aspnetcorev2.dll] Initializing logs\r\n"
            "[2026-03-10T08:00:02.434Z, PID: 4752] [aspnetcorev2.dll] Failed HRESULT returned: "
            "0x8000ffff at C:\\x.cpp:137\r\n"));
    scene_run(&s);
    assert_true(says(scene_finding(&s, "aspnetcore-log")->why, "first one is the cause"));
    scene_fini(&s);
}

/* Commands are copied into shells: text of a log is one word there and nothing more. */
static void test_commands_are_safe(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 100, 10);
    for (int i = 0; i < 30; i++) {
        SITE(&s, .at_s = 100 + i, .client = "$(reboot)", .url = "/a", .status = 404);
        SITE(&s, .at_s = 100 + i, .url = "/x';reboot;'/17", .status = 200, .ms = 9000);
    }
    scene_run(&s);
    assert_true(says(scene_finding(&s, "scanner")->command, "--client '$(reboot)' --status 200"));
    assert_true(says(scene_finding(&s, "slow-requests")->command, "--url '/x'\\'';reboot;'\\''/'"));
    assert_true(str_eq(shell_word(&s.fs, STR("10.0.0.1")), STR("10.0.0.1")));
    assert_true(str_eq(shell_word(&s.fs, STR("--help")), STR("'--help'")));
    assert_true(str_eq(shell_word(&s.fs, STR("")), STR("''")));
    assert_true(str_eq(shell_word(&s.fs, STR("a\nb`c")), STR("'ab`c'")));
    assert_true(str_eq(url_word(&s.fs, STR("/p/{n}/x")), STR("/p/")));
    scene_fini(&s);
}

/* Every detector has what --help and the documentation print, and ids are unique. */
static void test_list(void **state)
{
    const struct detector *d;

    (void)state;
    for (size_t i = 0; (d = detector_at(i)) != NULL; i++) {
        assert_true(d->id && d->title && d->run && d->title[0]);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(detector_at(k)->id, d->id);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_handshake_never_finished),
        cmocka_unit_test(test_wrong_password),
        cmocka_unit_test(test_guessed_passwords),
        cmocka_unit_test(test_scanner),
        cmocka_unit_test(test_missing_pages),
        cmocka_unit_test(test_busy_client),
        cmocka_unit_test(test_normal),
        cmocka_unit_test(test_impatient_because_slow),
        cmocka_unit_test(test_header_growth),
        cmocka_unit_test(test_listener_refusals),
        cmocka_unit_test(test_hostname_of_many),
        cmocka_unit_test(test_ftp),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_order_and_layout),
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_traces_of_several_ends),
        cmocka_unit_test(test_aspnetcore_log),
        cmocka_unit_test(test_commands_are_safe),
        cmocka_unit_test(test_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
