/* Detectors that go by status and sub-status of the site log. */
#include "detectors_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "diagnose/detectors/tools.h"

/* The code of a section without declaration, and one that no document knows. */
static void test_config_codes(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    for (int i = 0; i < 20; i++)
        SITE(&s, .at_s = i, .url = "/", .status = 500, .substatus = 19, .win32 = i % 2 ? 50 : 71);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "config-error-50");

    assert_true(says(f->title, "section that nobody declares"));
    assert_true(advises(f, "configSections"));
    assert_true(scene_finding(&s, "config-error-71")->step_n > 0);
    for (size_t i = 0; i < s.fs.n; i++)
        for (size_t k = 0; k < s.fs.at[i]->step_n; k++)
            assert_false(str_starts(s.fs.at[i]->steps[k], STR("See the status")));
    scene_fini(&s);
}

static void test_config_locked(void **state)
{
    static const char *const urls[] = {"/shop/", "/shop/cart", "/shop/css/a.css", "/shop/js/b.js"};
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 3000, 20);
    for (int i = 0; i < 400; i++)
        SITE(&s, .at_s = 3100 + i, .url = urls[i % 4], .status = 500, .substatus = 19, .win32 = 33);
    SITE(&s, .at_s = 3600, .url = "/other/", .status = 500, .substatus = 19, .win32 = 13);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "config-error-33");

    assert_int_equal(f->severity, SEVERITY_CRITICAL);
    assert_true(says(f->title, "locked section"));
    assert_true(says(f->why, "4 different URLs fail with it, all below /shop/"));
    assert_true(says(f->why, "a configuration file was changed"));
    assert_true(says(f->why, "It began at 2026-03-10 08:51:40, after 3000 requests"));
    assert_true(advises(f, "appcmd unlock config"));
    assert_true(advises(f, "candor check"));
    assert_true(relates(f, "win32 33"));
    f = scene_finding(&s, "config-error-13");
    assert_int_equal(f->severity, SEVERITY_ERROR);
    assert_int_equal(f->count, 1);
    scene_fini(&s);
}

/* Each code of the catalogue's list has its own reason. */
static void test_config_reasons(void **state)
{
    static const struct {
        unsigned win32;
        const char *title;
    } rows[] = {{13, "not valid"},  {33, "locked"},    {5, "may not read"},
                {183, "twice"},     {3, "folder"},     {126, "library"},
                {193, "processor"}, {1326, "account"}, {2, "file of the configuration"},
                {267, "not usable"}};
    struct scene s;
    char id[32];

    (void)state;
    scene_init(&s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        SITE(&s, .at_s = (int)i, .status = 500, .substatus = 19, .win32 = rows[i].win32);
    SITE(&s, .at_s = 60, .status = 500, .substatus = 19, .win32 = 64);
    scene_run(&s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        (void)snprintf(id, sizeof(id), "config-error-%u", rows[i].win32);
        const struct finding *f = scene_finding(&s, id);
        assert_true(says(f->title, rows[i].title));
        assert_true(f->step_n >= 2);
    }
    /* the client's disconnect is no fault of a file */
    assert_int_equal(scene_finding(&s, "config-error-64")->severity, SEVERITY_INFO);
    scene_fini(&s);
}

/* Codes come from the log: any number of them makes a bounded number of findings. */
static void test_many_codes(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    for (unsigned i = 0; i < 300; i++) {
        SITE(&s, .status = 500, .substatus = 19, .win32 = 5000000000u + i);
        SITE(&s, .status = 502, .substatus = 3, .win32 = 20000 + i);
        SITE(&s, .status = 401, .substatus = 1, .win32 = 20000 + i);
    }
    scene_run(&s);
    assert_in_range(s.fs.n, 10, 60);
    assert_int_equal(scene_finding(&s, "config-error-more")->count, 300 - DETECT_ROWS_MAX);
    assert_int_equal(scene_finding(&s, "gateway-more")->count, 300 - DETECT_ROWS_MAX);
    assert_int_equal(scene_finding(&s, "logon-failed-more")->count, 300 - DETECT_ROWS_MAX);
    scene_fini(&s);
}

static void test_unknown_code_of_configuration(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    SITE(&s, .status = 500, .substatus = 19, .win32 = 1346);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "config-error-1346");

    assert_true(says(f->title, "could not be used"));
    assert_true(says(f->why, "impersonation"));
    scene_fini(&s);
}

/* One failure in thousands of requests is no outage. */
static void test_rare_error(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 3000, 10);
    SITE(&s, .at_s = 3001, .url = "/once", .status = 500);
    scene_run(&s);
    assert_int_equal(scene_finding(&s, "server-error-500")->severity, SEVERITY_WARNING);
    assert_false(scene_has(&s, "error-burst"));
    assert_false(scene_has(&s, "error-rate"));
    scene_fini(&s);
}

static void test_gateway(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 100, 20);
    for (int i = 0; i < 5; i++)
        SITE(&s, .at_s = 200 + i, .url = "/api/slow", .status = 502, .substatus = 3, .win32 = 12002,
             .ms = 30010);
    SITE(&s, .at_s = 300, .url = "/api/x", .status = 502, .substatus = 3, .win32 = 12029,
         .ms = 2000);
    SITE(&s, .at_s = 301, .url = "/api/x", .status = 502, .substatus = 4, .win32 = 0);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "gateway-12002");

    assert_int_equal(f->count, 5);
    assert_true(says(f->title, "did not answer in time"));
    assert_true(says(f->why, "mean time-taken is 30.0 s"));
    assert_true(advises(f, "time-out"));
    assert_true(says(scene_finding(&s, "gateway-12029")->title, "refused the connection"));
    assert_int_equal(scene_finding(&s, "gateway-502.4")->severity, SEVERITY_CRITICAL);
    scene_fini(&s);
}

static void test_filtering(void **state)
{
    static const struct {
        unsigned status, substatus;
        const char *setting;
    } rows[] = {
        {404, 5, "denyUrlSequences"},  {404, 6, "verbs"},
        {404, 7, "fileExtensions"},    {404, 8, "hiddenSegments"},
        {404, 11, "requestFiltering"}, {404, 12, "requestFiltering"},
        {404, 13, "requestLimits"},    {404, 14, "requestLimits"},
        {404, 15, "requestLimits"},    {404, 18, "denyQueryStringSequences"},
        {404, 19, "filteringRules"},   {413, 1, "requestLimits"},
    };
    struct scene s;
    char id[32];

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 100, 20);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        SITE(&s, .at_s = (int)i, .client = "203.0.113.9", .url = "/bin/secret.dll",
             .status = rows[i].status, .substatus = rows[i].substatus);
    scene_run(&s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        (void)snprintf(id, sizeof(id), "filtering-%u.%u", rows[i].status, rows[i].substatus);
        const struct finding *f = scene_finding(&s, id);
        assert_true(advises(f, rows[i].setting));
        assert_true(f->severity == SEVERITY_INFO || f->severity == SEVERITY_WARNING);
    }
    assert_true(
        says(scene_finding(&s, "filtering-404.8")->why, "None of these URLs was ever served"));
    scene_fini(&s);
}

/* The same refusal of a page that others get is worth more. */
static void test_filtering_of_own_pages(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    for (int i = 0; i < 50; i++)
        SITE(&s, .at_s = i, .url = "/search", .status = 200, .ms = 10);
    for (int i = 0; i < 3; i++)
        SITE(&s, .at_s = 60 + i, .url = "/search", .query = "q=..", .status = 404, .substatus = 18);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "filtering-404.18");

    assert_int_equal(f->severity, SEVERITY_WARNING);
    assert_true(says(f->why, "served 50 times"));
    scene_fini(&s);
}

static void test_handlers(void **state)
{
    static const struct {
        unsigned status, substatus;
        const char *id;
    } rows[] = {
        {404, 2, "handler-404.2"},
        {404, 3, "handler-404.3"},
        {404, 4, "handler-404.4"},
        {404, 16, "handler-404.16"},
        {404, 17, "handler-404.17"},
        {404, 20, "handler-404.20"},
        {403, 1, "handler-403.1"},
        {403, 14, "directory-listing-403.14"},
        {401, 3, "access-denied-401.3"},
        {403, 2, "access-denied-403.2"},
        {403, 18, "access-denied-403.18"},
        {403, 4, "tls-required-403.4"},
        {403, 7, "client-certificate-403.7"},
        {403, 16, "client-certificate-403.16"},
        {403, 503, "ip-restriction-403.503"},
        {404, 501, "ip-restriction-404.501"},
        {401, 502, "ip-restriction-401.502"},
        {403, 6, "ip-restriction-403.6"},
        {500, 21, "server-error-500.21"},
        {500, 50, "server-error-500.50"},
        {500, 100, "server-error-500.100"},
        {500, 30, "aspnetcore-500.30"},
        {500, 37, "aspnetcore-500.37"},
        {404, 10, "header-size-404.10"},
    };
    struct scene s;

    (void)state;
    scene_init(&s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        SITE(&s, .at_s = (int)i, .url = "/x/y.aspx", .status = rows[i].status,
             .substatus = rows[i].substatus);
    scene_run(&s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct finding *f = scene_finding(&s, rows[i].id);
        assert_int_equal(f->count, 1);
        assert_true(f->why.n > 20 && f->step_n > 0 && f->related_n > 0 && f->evidence_n == 1);
    }
    scene_fini(&s);
}

static void test_start_page(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    for (int i = 0; i < 10; i++)
        SITE(&s, .at_s = i, .url = "/", .status = 403, .substatus = 14);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "directory-listing-403.14");

    assert_int_equal(f->severity, SEVERITY_ERROR);
    assert_true(says(f->why, "start page"));
    scene_fini(&s);
}

static void test_anonymous_rights(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    SITE(&s, .url = "/a.pdf", .status = 401, .substatus = 3, .win32 = 5);
    scene_run(&s);
    assert_true(says(scene_finding(&s, "access-denied-401.3")->why, "anonymous account"));
    scene_fini(&s);
    scene_init(&s);
    SITE(&s, .url = "/a.pdf", .user = "CORP\\ann", .status = 401, .substatus = 3, .win32 = 5);
    scene_run(&s);
    assert_true(says(scene_finding(&s, "access-denied-401.3")->why, "name users"));
    scene_fini(&s);
}

static void test_tls_behind_balancer(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    for (int i = 0; i < 40; i++)
        SITE(&s, .at_s = i, .url = "/", .status = 403, .substatus = 4, .win32 = 5);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "tls-required-403.4");

    assert_int_equal(f->severity, SEVERITY_ERROR);
    assert_true(says(f->why, "100 % of all requests"));
    assert_true(advises(f, "{HTTPS}"));
    scene_fini(&s);
}

static void test_revocation(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    SITE(&s, .status = 403, .substatus = 13, .win32 = 2148081680);
    SITE(&s, .status = 403, .substatus = 13, .win32 = 2148081683);
    SITE(&s, .status = 403, .substatus = 13, .win32 = 2148081683);
    scene_run(&s);
    assert_true(says(scene_finding(&s, "client-certificate-403.13")->why,
                     "1 is revoked, and for 2 the revocation list"));
    scene_fini(&s);
}

static void test_logging_only(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    SITE(&s, .status = 200, .substatus = 502);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "ip-restriction-200.502");

    assert_int_equal(f->severity, SEVERITY_INFO);
    assert_true(says(f->why, "enableLoggingOnlyMode"));
    scene_fini(&s);
}

static void test_win32_of_500(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    for (int i = 0; i < 10; i++)
        SITE(&s, .at_s = i, .url = "/run.cgi", .status = 500, .win32 = 5);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "server-error-500");

    assert_true(says(f->why, "win32 5, 10 times: Access is denied."));
    assert_true(says(f->why, "Nearly all for /run.cgi"));
    scene_fini(&s);
}

static void test_classic_asp(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    SITE(&s, .url = "/list.asp", .query = "id=1|x|22|80040e07|[Microsoft][ODBC]_Conversion_failed",
         .status = 500, .substatus = 100);
    SITE(&s, .url = "/odd.asp", .query = "a||1|zz|", .status = 500);
    scene_run(&s);
    assert_true(
        says(scene_finding(&s, "server-error-500.100")->why,
             "line 22 of the script, error 0x80040e07, \"[Microsoft][ODBC] Conversion failed\""));
    assert_int_equal(str_find(scene_finding(&s, "server-error-500")->why, STR("of the script")),
                     SIZE_MAX);
    scene_fini(&s);
}

/* Logs whose fields leave out date and time, and everything that can be left out. */
static void test_without_times(void **state)
{
    static const char *const reasons[] = {"AppOffline",
                                          "QueueFull",
                                          "Disabled",
                                          "ConnLimit",
                                          "Connection_Abandoned_By_ReqQueue",
                                          "Timer_ReqQueue",
                                          "RequestLength",
                                          "Hostname",
                                          "Verb",
                                          "Timer_ConnectionIdle",
                                          "Nonsense"};
    static const char *const statuses[] = {"500 19 33",  "502 3 12002", "503 2 0",  "401 2 5",
                                           "401 1 1326", "404 8 0",     "404 0 2",  "403 14 0",
                                           "500 0 0",    "304 0 0",     "200 0 64", "999 65535 0"};
    struct scene s;
    struct buf site, httperr;

    (void)state;
    scene_init(&s);
    buf_init(&site, 1 << 20);
    buf_init(&httperr, 1 << 20);
    buf_str(&site,
            STR("#Software: Microsoft Internet Information Services 10.0\r\n#Fields: cs-method "
                "cs-uri-stem sc-status sc-substatus sc-win32-status\r\n"));
    buf_str(&httperr,
            STR("#Software: Microsoft HTTP API 2.0\r\n#Fields: cs-uri sc-status s-reason\r\n"));
    for (size_t i = 0; i < 20 * ARRAY_LEN(statuses); i++)
        buf_printf(&site, "GET /a %s\r\n", statuses[i % ARRAY_LEN(statuses)]);
    for (size_t i = 0; i < 20 * ARRAY_LEN(reasons); i++)
        buf_printf(&httperr, "/a 503 %s\r\n", reasons[i % ARRAY_LEN(reasons)]);
    scene_file(&s, "site.log", buf_view(&site));
    scene_file(&s, "err.log", buf_view(&httperr));
    scene_run(&s);
    assert_int_equal(scene_finding(&s, "config-error-33")->count, 20);
    const struct finding *f = scene_finding(&s, "worker-died");

    assert_int_equal(f->first_s, RECORD_NO_TIME);
    assert_true(says(f->command, "candor explain Connection_Abandoned_By_ReqQueue"));
    buf_fini(&site);
    buf_fini(&httperr);
    scene_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_codes),
        cmocka_unit_test(test_config_locked),
        cmocka_unit_test(test_config_reasons),
        cmocka_unit_test(test_gateway),
        cmocka_unit_test(test_many_codes),
        cmocka_unit_test(test_unknown_code_of_configuration),
        cmocka_unit_test(test_rare_error),
        cmocka_unit_test(test_filtering),
        cmocka_unit_test(test_filtering_of_own_pages),
        cmocka_unit_test(test_handlers),
        cmocka_unit_test(test_start_page),
        cmocka_unit_test(test_anonymous_rights),
        cmocka_unit_test(test_tls_behind_balancer),
        cmocka_unit_test(test_revocation),
        cmocka_unit_test(test_logging_only),
        cmocka_unit_test(test_win32_of_500),
        cmocka_unit_test(test_classic_asp),
        cmocka_unit_test(test_without_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
