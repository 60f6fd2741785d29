/* CustomErrorModule: which page a failed request gets, and what the pages hold. */
#include "modules_fixture.h"

#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>

#include "worker/modules/custom_error_page.h"

#include "base/poison.h"

#define WEB(inner) "<configuration><system.webServer>" inner "</system.webServer></configuration>"
#define ERRORS(attributes, inner) WEB("<httpErrors " attributes ">" inner "</httpErrors>")
#define OWN_404(attributes) "<remove statusCode='404'/><error statusCode='404' " attributes "/>"

static const char *const host[] = {"Host: site.test:8080", NULL};

static void assert_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text ? text : "nothing");
}

/* A page is XHTML: whatever was put into it, an XML parser must be able to read it. */
static void assert_well_formed(const char *page)
{
    _cleanup_buf_ struct buf b = {0};

    /* The one entity that the DTD, which is not loaded, would declare. */
    buf_init(&b, 1 << 22);
    for (const char *p = page; *p;) {
        if (strncmp(p, "&nbsp;", 6) == 0) {
            buf_str(&b, STR("&#160;"));
            p += 6;
        } else {
            buf_char(&b, *p++);
        }
    }
    xmlDoc *doc =
        xmlReadMemory(b.p, (int)b.n, "page", "utf-8", XML_PARSE_NONET | XML_PARSE_NOERROR);

    if (!doc)
        fail_msg("not well formed: %s\n%s", xmlGetLastError()->message, page);
    xmlFreeDoc(doc);
}

/* Fails the request at MapRequestHandler and has the module answer. */
static enum pipe_rc fail_with(struct fixture *f, const struct status_row *row, const char *detail)
{
    f->r->at = N_MAP_REQUEST_HANDLER;
    f->r->in_module = NULL;
    request_fail(f->r, row, 0, str_z(detail));
    return fixture_run(f, &mod_custom_error, N_SEND_RESPONSE);
}

static struct fixture *site_with(const char *web_config, bool local, const char *target)
{
    struct fixture *f = fixture_new(NULL, web_config);

    fixture_request(f, "GET", target, host);
    f->r->is_local = local;
    return f;
}

/* ---- detailed page -------------------------------------------------------------------------- */

static void test_detailed_page(void **state)
{
    struct fixture *f = site_with(NULL, true, "/nope/a%20b.htm?q=1");

    f->r->authenticated = true;
    assert_int_equal(fail_with(f, &st_404_0_not_found, "why=<b>"), PIPE_CONTINUE);
    assert_string_equal(fixture_header(f, "Cache-Control"), "private");
    assert_string_equal(fixture_header(f, "Content-Type"), "text/html; charset=utf-8");
    assert_ptr_equal(f->r->response.row, &st_404_0_not_found);
    const char *page = fixture_body(f);

    assert_well_formed(page);
    assert_contains(page, "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\"");
    assert_contains(page, "<title>IIS 10.0 Detailed Error - 404.0 - Not Found</title>");
    assert_contains(page, "<div id=\"content\">\n<div class=\"content-container\"><fieldset>\n"
                          "<h3>HTTP Error 404.0 - Not Found</h3>\n<h4>");
    assert_contains(page, "<h4>Most likely causes:</h4>\n<ul>\n<li>");
    assert_contains(page, "<h4>Things you can try:</h4>\n<ul>\n<li>");
    assert_contains(page, "<h4>Detailed Error Information:</h4>\n<div id=\"details-left\">");
    assert_contains(
        page, "<tr class=\"alt\"><th>Module</th><td>&nbsp;&nbsp;&nbsp;IIS Web Core</td></tr>\n"
              "<tr><th>Notification</th><td>&nbsp;&nbsp;&nbsp;MapRequestHandler</td></tr>\n"
              "<tr class=\"alt\"><th>Handler</th><td>&nbsp;&nbsp;&nbsp;StaticFile</td></tr>\n"
              "<tr><th>Error Code</th><td>&nbsp;&nbsp;&nbsp;0x80070002</td></tr>\n");
    assert_contains(page, "<th>Detail</th><td>&nbsp;&nbsp;&nbsp;why=&lt;b&gt;</td>");
    assert_contains(page, "<th>Requested URL</th><td>&nbsp;&nbsp;&nbsp;"
                          "http://site.test:8080/nope/a%20b.htm?q=1</td>");
    assert_contains(page, "/nope/a b.htm</td>");
    assert_contains(page, "<th>Logon Method</th><td>&nbsp;&nbsp;&nbsp;Anonymous</td>");
    assert_contains(page, "<th>Logon User</th><td>&nbsp;&nbsp;&nbsp;Anonymous</td>");
    assert_contains(page, "LinkID=62293&amp;IIS70Error=404,0,0x80070002,");
    assert_null(strstr(page, "Config Error"));
    fixture_free(f);
}

static void test_detailed_page_before_anything_is_known(void **state)
{
    struct fixture *f = site_with(NULL, true, "/");

    f->r->handler = NULL;
    fail_with(f, &st_503_2_concurrent_limit, "");
    const char *page = fixture_body(f);

    assert_contains(page, "<th>Handler</th><td>&nbsp;&nbsp;&nbsp;Not yet determined</td>");
    assert_contains(page, "<th>Logon User</th><td>&nbsp;&nbsp;&nbsp;Not yet determined</td>");
    fixture_free(f);
}

static void test_detailed_page_escapes(void **state)
{
    static const char *const headers[] = {"Host: x", NULL};
    struct fixture *f = fixture_new(NULL, NULL);

    fixture_request(f, "GET", "/%3Cscript%3E'\"&<i>\xe9?<b>&\"'", headers);
    f->r->is_local = true;
    f->r->authenticated = true;
    f->r->user = STR("<u>&\x01");
    f->r->auth_type = STR("\"'");
    fail_with(f, &st_404_0_not_found, "</td><script>");
    assert_well_formed(fixture_body(f));
    assert_null(strstr(fixture_body(f), "<script"));
    assert_null(strstr(fixture_body(f), "<i>"));
    assert_null(strstr(fixture_body(f), "<u>"));
    fixture_free(f);
}

static void test_every_row_has_a_page(void **state)
{
    struct fixture *f = fixture_new(NULL, NULL);
    size_t n = 0;

    for (size_t i = 0; i < status_count(); i++) {
        const struct status_row *row = status_at(i);
        char title[160];

        if (row->status < 400)
            continue;
        fixture_request(f, "GET", "/x", host);
        f->r->is_local = true;
        fail_with(f, row, "");
        snprintf(title, sizeof(title), "<title>IIS 10.0 Detailed Error - %u.%u - %.*s</title>",
                 row->status, row->substatus, STR_ARG(row->reason));
        assert_contains(fixture_body(f), title);
        assert_well_formed(fixture_body(f));
        n++;
    }
    assert_true(n > 100);
    fixture_free(f);
}

static void test_mark(void **state)
{
    struct fixture *f = site_with(NULL, true, "/");

    fail_with(f, &st_404_8_hidden_segment, "");
    struct str mark = error_page_mark(f->r);

    assert_true(str_starts(mark, STR("404.8 ")) && str_iends(mark, STR("; id=abc")));
    fixture_free(f);
}

/* ---- configuration errors ------------------------------------------------------------------- */

static void test_config_error_page(void **state)
{
    struct fixture *f = fixture_new(NULL, NULL);

    fixture_file(f, "bad/web.config",
                 "<configuration>\n<system.webServer>\n  <oops a='<'/>\n</system.webServer>\n"
                 "</configuration>\n");
    fixture_request(f, "GET", "/bad/x", host);
    f->r->is_local = true;
    assert_non_null(f->r->url->config_error);
    request_fail_config(f->r, f->r->url->config_error);
    fixture_run(f, &mod_custom_error, N_SEND_RESPONSE);
    const char *page = fixture_body(f);

    assert_well_formed(page);
    assert_contains(page,
                    "<title>IIS 10.0 Detailed Error - 500.19 - Internal Server Error</title>");
    assert_contains(page, "<th>Module</th><td>&nbsp;&nbsp;&nbsp;IIS Web Core</td>");
    assert_contains(page, "<th>Notification</th><td>&nbsp;&nbsp;&nbsp;Unknown</td>");
    assert_contains(page, "<th>Handler</th><td>&nbsp;&nbsp;&nbsp;Not yet determined</td>");
    assert_contains(page, "<th>Error Code</th><td>&nbsp;&nbsp;&nbsp;0x8007000d</td>");
    assert_contains(page, "<th>Config Error</th>");
    assert_contains(page, "/bad/web.config</td>");
    assert_contains(
        page, "<h4>Config Source:</h4>\n<pre><code>    2: &lt;system.webServer&gt;\n"
              "<span class=\"highlight-code\">    3:   &lt;oops a=&#39;&lt;&#39;/&gt;</span>\n"
              "    4: &lt;/system.webServer&gt;\n</code></pre>");
    fixture_free(f);
}

static void test_lock_error_page(void **state)
{
    struct fixture *f = fixture_new(NULL, WEB("<httpLogging dontLog='true'/>"));
    const struct config_error *error = NULL;

    fixture_request(f, "GET", "/", host);
    f->r->is_local = true;
    f->r->at = N_LOG_REQUEST;
    f->r->in_module = &mod_http_logging;
    assert_null(mod_http_logging.load_conf(f->r->url->node, &f->memory, &error));
    request_fail_config(f->r, error);
    fixture_run(f, &mod_custom_error, N_SEND_RESPONSE);
    const char *page = fixture_body(f);

    assert_well_formed(page);
    assert_contains(page, "<th>Module</th><td>&nbsp;&nbsp;&nbsp;HttpLoggingModule</td>");
    assert_contains(page, "<th>Notification</th><td>&nbsp;&nbsp;&nbsp;LogRequest</td>");
    assert_contains(page, "0x80070021");
    assert_contains(page, "<h4>Locked by:</h4>");
    assert_contains(page, "This would unlock it there:");
    fixture_free(f);
}

/* The section that decides about error pages is itself wrong. */
static void test_broken_section(void **state)
{
    struct fixture *f = fixture_new(NULL, ERRORS("errorMode='Detailed'", ""));

    fixture_file(f, "sub/web.config", ERRORS("errorMode='Nonsense'", ""));
    fixture_request(f, "GET", "/sub/x", host);
    assert_int_equal(fixture_run(f, &mod_custom_error, N_SEND_RESPONSE), PIPE_CONTINUE);
    assert_ptr_equal(f->r->failure.row, &st_500_19_config);
    assert_ptr_equal(f->r->failure.module, &mod_custom_error);
    assert_int_equal(f->r->failure.notification, N_SEND_RESPONSE);
    /* The parent's errorMode="Detailed" holds, though the client is not local. */
    assert_contains(fixture_body(f), "IIS 10.0 Detailed Error - 500.19");
    assert_well_formed(fixture_body(f));
    /* So with a request that has failed before. */
    fixture_request(f, "GET", "/sub/x", host);
    fail_with(f, &st_404_0_not_found, "");
    assert_contains(fixture_body(f), "IIS 10.0 Detailed Error - 500.19");
    assert_ptr_equal(f->r->failure.module, &mod_custom_error);
    fixture_free(f);
    f = fixture_new(NULL, ERRORS("errorMode='Nonsense'", ""));
    fixture_request(f, "GET", "/x", host);
    fixture_run(f, &mod_custom_error, N_SEND_RESPONSE);
    assert_string_equal(fixture_body(f), error_page_shipped(500).p);
    fixture_free(f);
}

static void test_absolute_paths(void **state)
{
    static const struct {
        const char *path;
        bool refused;
    } rows[] = {
        {"C:\\secret\\404.htm", true}, {"/etc/passwd", false}, {"\\404.htm", true},
        {"..\\404.htm", true},         {"a/../../x", true},   {"own.htm", false},
        {"errors\\own..htm", false},    {" //etc/passwd", true}, {"/../x", true}, {"/C:/x", true}, {" C:\\404.htm", true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char config[512];

        snprintf(config, sizeof(config), ERRORS("", OWN_404("path='%s'")), rows[i].path);
        struct fixture *f = site_with(config, true, "/x");

        fixture_run(f, &mod_custom_error, N_SEND_RESPONSE);
        if ((f->r->failure.row == &st_500_19_config) != rows[i].refused)
            fail_msg("%s", rows[i].path);
        if (rows[i].refused) {
            assert_contains(fixture_body(f), "Absolute physical path &quot;");
            assert_int_equal(f->r->failure.hresult, 0x8007000d);
        }
        /* Without a drive it is a path of the site, whatever the machine has there. */
        assert_null(strstr(fixture_body(f), "root:"));
        fixture_free(f);
    }
}

/* ---- which answer --------------------------------------------------------------------------- */

static void test_shipped_pages(void **state)
{
    static const uint16_t statuses[] = {401, 403, 404, 405, 406, 412, 500, 501, 502};
    struct fixture *f = fixture_new(NULL, NULL);

    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        fixture_request(f, "GET", "/x", host);
        fail_with(f, status_find(statuses[i], 0), "secret detail");
        const char *page = fixture_body(f);
        char title[16];

        snprintf(title, sizeof(title), "<title>%u - ", statuses[i]);
        assert_string_equal(page, error_page_shipped(statuses[i]).p);
        assert_string_equal(fixture_header(f, "Content-Type"), "text/html");
        assert_string_equal(fixture_header(f, "Cache-Control"), "");
        assert_contains(page, title);
        assert_well_formed(page);
    }
    assert_contains(error_page_shipped(404).p, "<title>404 - File or directory not found.</title>");
    assert_contains(error_page_shipped(404).p, "<h2>404 - File or directory not found.</h2>");
    assert_int_equal(error_page_shipped(418).n, 0);
    fixture_free(f);
}

struct answer_case {
    const char *name;
    const char *config;
    bool local, skip;
    const char *body; /* that the handler has set, or NULL */
    const char *want; /* in the answer */
};

static const char detailed[] = "IIS 10.0 Detailed Error";
static const char page404[] = "<h2>404 - File";

static const struct answer_case answers[] = {
    {"local", NULL, true, false, NULL, detailed},
    {"remote", NULL, false, false, NULL, page404},
    {"Detailed for all", ERRORS("errorMode='Detailed'", ""), false, false, NULL, detailed},
    {"Custom for all", ERRORS("errorMode='Custom'", ""), true, false, NULL, page404},
    {"body, local: left", NULL, true, false, "own", "own"},
    {"body, remote: replaced", NULL, false, false, "own", page404},
    {"body and skip: left", NULL, false, true, "own", "own"},
    {"Replace, local", ERRORS("existingResponse='Replace'", ""), true, false, "own", detailed},
    {"Replace, skip does not count", ERRORS("existingResponse='Replace'", ""), false, true, "own",
     page404},
    {"PassThrough with body", ERRORS("existingResponse='PassThrough'", ""), false, false, "own",
     "own"},
    {"PassThrough without", ERRORS("existingResponse='PassThrough'", ""), true, false, NULL,
     "not here: removed"},
    {"no entry", ERRORS("", "<clear/>"), false, false, NULL, "not here: removed"},
    {"file of the site", ERRORS("", OWN_404("path='errors\\own.htm'")), false, false, NULL,
     "OWN PAGE"},
    {"missing file", ERRORS("", OWN_404("path='gone.htm'")), false, false, NULL,
     "could not be shown"},
    {"relative prefix", ERRORS("", OWN_404("path='own.htm' prefixLanguageFilePath='texts'")), false,
     false, NULL, "ENGLISH"},
    {"default path", ERRORS("", "<clear/>"), false, false, NULL, "not here"},
};

static void test_answers(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        const struct answer_case *c = &answers[i];
        struct fixture *f = site_with(c->config, c->local, "/x");

        fixture_file(f, "errors/own.htm", "OWN PAGE");
        fixture_file(f, "texts/en-US/own.htm", "ENGLISH");
        request_fail(f->r, &st_404_0_not_found, 0, STR(""));
        if (c->body)
            response_body_memory(f->r, str_z(c->body));
        f->r->response.skip_custom_errors = c->skip;
        assert_int_equal(fixture_run(f, &mod_custom_error, N_SEND_RESPONSE), PIPE_CONTINUE);
        if (!strstr(fixture_body(f), c->want))
            fail_msg("%s: %s", c->name, fixture_body(f));
        assert_int_equal(f->r->response.row->status, 404);
        fixture_free(f);
    }
}

static void test_success_is_left_alone(void **state)
{
    struct fixture *f = site_with(NULL, true, "/x");

    response_body_memory(f->r, STR("fine"));
    assert_int_equal(fixture_run(f, &mod_custom_error, N_SEND_RESPONSE), PIPE_CONTINUE);
    assert_string_equal(fixture_body(f), "fine");
    assert_null(f->r->response.headers);
    fixture_free(f);
}

static void test_languages(void **state)
{
    static const struct {
        const char *accept, *want;
    } rows[] = {
        {"Accept-Language: de-DE,en;q=0.5", "DEUTSCH"},
        {"Accept-Language: fr, de-DE;q=0.3", "DEUTSCH"},
        {"Accept-Language: fr", "ENGLISH"},
        {"Accept-Language: ../../secret, *", "ENGLISH"},
        {"Accept-Language: ..", "ENGLISH"},
        {"Accept-Language: %2e%2e", "ENGLISH"},
        {"X-None: 1", "ENGLISH"},
    };
    struct fixture *f = fixture_new(NULL, NULL);

    fixture_file(f, "inetpub/custerr/de-DE/404.htm", "DEUTSCH");
    fixture_file(f, "inetpub/custerr/en-US/404.htm", "ENGLISH");
    fixture_file(f, "inetpub/custerr/404.htm", "WRONG");
    fixture_file(f, "secret/404.htm", "WRONG");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *const headers[] = {"Host: x", rows[i].accept, NULL};

        fixture_request(f, "GET", "/x", headers);
        fail_with(f, &st_404_0_not_found, "");
        assert_string_equal(fixture_body(f), rows[i].want);
    }
    fixture_free(f);
}

static void test_substatus_wins(void **state)
{
    struct fixture *f =
        site_with(ERRORS("", "<clear/><error statusCode='404' path='any.htm'/>"
                             "<error statusCode='404' subStatusCode='8' path='eight.json'/>"),
                  false, "/x");

    fixture_file(f, "any.htm", "ANY");
    fixture_file(f, "eight.json", "EIGHT");
    fail_with(f, &st_404_8_hidden_segment, "");
    assert_string_equal(fixture_body(f), "EIGHT");
    assert_string_equal(fixture_header(f, "Content-Type"), "application/json");
    fixture_request(f, "GET", "/x", host);
    fail_with(f, &st_404_7_file_extension_denied, "");
    assert_string_equal(fixture_body(f), "ANY");
    fixture_free(f);
}

#define DEFAULT_PATH                                                                         \
    "<location path='Default Web Site'><system.webServer><httpErrors defaultPath='any.htm'>" \
    "<clear/><error statusCode='503' path='busy.htm'/></httpErrors></system.webServer></location>"

static void test_default_path(void **state)
{
    static const struct {
        const struct status_row *row;
        const char *want;
    } rows[] = {
        {&st_404_0_not_found, "ANY"},
        {&st_500_0_module_error, "ANY"},
        {&st_503_2_concurrent_limit, "BUSY"},
        {&st_500_11_shutting_down, "inside"},
        {&st_400_0_bad_request, "could not be carried out"},
    };
    struct fixture *f = fixture_new(DEFAULT_PATH, NULL);

    fixture_file(f, "any.htm", "ANY");
    fixture_file(f, "busy.htm", "BUSY");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fixture_request(f, "GET", "/x", host);
        fail_with(f, rows[i].row, "");
        assert_contains(fixture_body(f), rows[i].want);
    }
    fixture_free(f);
}

/* ---- ExecuteURL, Redirect ------------------------------------------------------------------- */

static void test_execute_url(void **state)
{
    struct fixture *f =
        site_with(ERRORS("", OWN_404("path='/errors/e%20r.aspx?a=b' responseMode='ExecuteURL'")),
                  false, "/no%20pe?q=1");

    assert_int_equal(fail_with(f, &st_404_0_not_found, ""), PIPE_FINISH);
    assert_int_equal(f->executed, 1);
    assert_true(f->executed_get);
    assert_int_equal(f->r->response.row->status, 200);
    assert_string_equal(f->executed_path, "/errors/e r.aspx");
    assert_string_equal(f->executed_query, "a=b&404;http://site.test:8080/no%20pe?q=1");
    fixture_free(f);
}

static void test_execute_url_that_fails(void **state)
{
    struct fixture *f = site_with(ERRORS("", OWN_404("path='/gone.htm' responseMode='ExecuteURL'")),
                                  false, "/nope");

    f->execute_row = &st_403_14_listing_denied;
    fail_with(f, &st_404_0_not_found, "");
    assert_int_equal(f->executed, 1);
    assert_ptr_equal(f->r->response.row, &st_403_14_listing_denied);
    assert_contains(fixture_body(f), "could not be shown");
    fixture_free(f);
    f = site_with(ERRORS("", OWN_404("path='gone.htm' responseMode='ExecuteURL'")), false, "/nope");
    assert_int_equal(fail_with(f, &st_404_0_not_found, ""), PIPE_CONTINUE);
    assert_int_equal(f->executed, 0);
    assert_contains(fixture_body(f), "could not be shown");
    fixture_free(f);
}

static void test_execute_url_that_waits(void **state)
{
    struct fixture *f = site_with(
        ERRORS("", OWN_404("path='/slow.aspx' responseMode='ExecuteURL'")), false, "/nope");

    f->execute_rc = PIPE_PENDING;
    assert_int_equal(fail_with(f, &st_404_0_not_found, ""), PIPE_PENDING);
    assert_int_equal(f->r->response.body_length, 0);
    fixture_free(f);
}

#define APPLICATION(pool)                                                             \
    "<application path='/app' applicationPool='" pool "'><virtualDirectory path='/' " \
    "physicalPath='%SystemDrive%\\app'/></application>"

static void test_execute_url_of_another_pool(void **state)
{
    static const char config[] =
        ERRORS("", OWN_404("path='/app/error.htm' responseMode='ExecuteURL'"));
    struct fixture *f = fixture_new(APPLICATION("Other"), config);

    fixture_request(f, "GET", "/nope", host);
    fail_with(f, &st_404_0_not_found, "");
    assert_int_equal(f->executed, 0);
    assert_ptr_equal(f->r->response.row, &st_403_18_other_pool);
    assert_true(f->r->response.body_length > 0);
    fixture_free(f);
    f = fixture_new(APPLICATION("DefaultAppPool"), config);
    fixture_request(f, "GET", "/nope", host);
    fail_with(f, &st_404_0_not_found, "");
    assert_int_equal(f->executed, 1);
    fixture_free(f);
}

static void test_redirect(void **state)
{
    static const struct {
        const char *path, *want;
    } rows[] = {
        {"http://other.test/oops?a=b", "http://other.test/oops?a=b"},
        {"/oops.htm", "http://site.test:8080/oops.htm"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char config[512];

        snprintf(config, sizeof(config), ERRORS("", OWN_404("path='%s' responseMode='Redirect'")),
                 rows[i].path);
        struct fixture *f = site_with(config, false, "/nope");

        assert_int_equal(fail_with(f, &st_404_0_not_found, ""), PIPE_CONTINUE);
        assert_int_equal(f->r->response.row->status, 302);
        assert_string_equal(fixture_header(f, "Location"), rows[i].want);
        assert_contains(fixture_body(f), "<h1>Object Moved</h1>");
        fixture_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detailed_page),
        cmocka_unit_test(test_detailed_page_before_anything_is_known),
        cmocka_unit_test(test_detailed_page_escapes),
        cmocka_unit_test(test_every_row_has_a_page),
        cmocka_unit_test(test_mark),
        cmocka_unit_test(test_config_error_page),
        cmocka_unit_test(test_lock_error_page),
        cmocka_unit_test(test_broken_section),
        cmocka_unit_test(test_absolute_paths),
        cmocka_unit_test(test_shipped_pages),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_success_is_left_alone),
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_substatus_wins),
        cmocka_unit_test(test_default_path),
        cmocka_unit_test(test_execute_url),
        cmocka_unit_test(test_execute_url_that_fails),
        cmocka_unit_test(test_execute_url_that_waits),
        cmocka_unit_test(test_execute_url_of_another_pool),
        cmocka_unit_test(test_redirect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
