/* Default documents, directory listing, httpProtocol with OPTIONS and TRACE, anonymous access,
 * integrated-mode validation, logging decisions, server variables. */
#include "modules_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

#include "worker/modules/server_variables.h"

#include "base/poison.h"

#define WEB(inner) "<configuration><system.webServer>" inner "</system.webServer></configuration>"
#define SITE(inner) \
    "<location path='Default Web Site'><system.webServer>" inner "</system.webServer></location>"

static const char *const host[] = {"Host: site.test:8080", NULL};

/* ---- DefaultDocumentModule ------------------------------------------------------------------ */

static enum pipe_rc run_document(struct fixture *f, const char *target)
{
    fixture_request(f, "GET", target, host);
    return fixture_run(f, &mod_default_document, N_EXECUTE_REQUEST_HANDLER);
}

static void test_default_document(void **state)
{
    struct fixture *f = fixture_new(NULL, NULL);

    fixture_file(f, "sub/index.html", "b");
    fixture_file(f, "sub/Index.htm", "a");
    fixture_file(f, "empty/", "");
    fixture_file(f, "dir/index.htm/", "");
    assert_int_equal(run_document(f, "/sub/?x=1"), PIPE_FINISH);
    assert_int_equal(f->executed, 1);
    assert_false(f->executed_get);
    assert_string_equal(f->executed_path, "/sub/index.htm"); /* before index.html in the list */
    assert_string_equal(f->executed_query, "x=1");
    assert_int_equal(run_document(f, "/empty/"), PIPE_CONTINUE);
    assert_int_equal(run_document(f, "/dir/"), PIPE_CONTINUE); /* a folder of that name */
    assert_int_equal(run_document(f, "/sub"), PIPE_CONTINUE);  /* no slash */
    assert_int_equal(run_document(f, "/nope/"), PIPE_CONTINUE);
    assert_int_equal(f->executed, 0);
    f->execute_rc = PIPE_PENDING;
    assert_int_equal(run_document(f, "/sub/"), PIPE_PENDING);
    fixture_free(f);
}

static void test_default_document_list(void **state)
{
    struct fixture *f = fixture_new(
        NULL, WEB("<defaultDocument><files><clear/><add value='..\\secret.htm'/><add value=''/>"
                  "<add value='\\app\\start.htm'/></files></defaultDocument>"));

    fixture_file(f, "index.htm", "a");
    fixture_file(f, "secret.htm", "a");
    fixture_file(f, "sub/app/start.htm", "a");
    assert_int_equal(run_document(f, "/sub/"), PIPE_FINISH);
    assert_string_equal(f->executed_path, "/sub/app/start.htm");
    assert_int_equal(run_document(f, "/"), PIPE_CONTINUE);
    fixture_free(f);
    f = fixture_new(NULL, WEB("<defaultDocument enabled='false'/>"));
    fixture_file(f, "index.htm", "a");
    assert_int_equal(run_document(f, "/"), PIPE_CONTINUE);
    fixture_free(f);
}

/* ---- DirectoryListingModule ----------------------------------------------------------------- */

static void set_time(struct fixture *f, const char *name, time_t t)
{
    char path[256];
    struct timespec times[2] = {{.tv_sec = t}, {.tv_sec = t}};

    snprintf(path, sizeof(path), "%s/%s", f->root, name);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static struct fixture *listing_site(const char *attributes)
{
    char config[256];

    snprintf(config, sizeof(config), WEB("<directoryBrowse enabled='true' %s/>"), attributes);
    struct fixture *f = fixture_new(NULL, config);

    fixture_file(f, "dir/n/", "");
    fixture_file(f, "dir/b.txt", "0123456789");
    fixture_file(f, "dir/A & <c>.htm", "");
    fixture_file(f, "dir/.hidden", "");
    set_time(f, "dir/n", 1695204660);           /* 2023-09-20 10:11 */
    set_time(f, "dir/b.txt", 1703980740);       /* 2023-12-30 23:59 */
    set_time(f, "dir/A & <c>.htm", 1672531200); /* 2023-01-01 00:00 */
    return f;
}

static void test_listing(void **state)
{
    struct fixture *f = listing_site("");

    fixture_request(f, "GET", "/dir/", host);
    assert_int_equal(fixture_run(f, &mod_directory_listing, N_EXECUTE_REQUEST_HANDLER),
                     PIPE_FINISH);
    assert_int_equal(f->r->response.row->status, 200);
    assert_string_equal(fixture_header(f, "Content-Type"), "text/html; charset=UTF-8");
    assert_string_equal(fixture_body(f),
                        "<html><head><title>site.test - /dir/</title></head><body><H1>site.test - "
                        "/dir/</H1><hr>\r\n"
                        "\r\n<pre><A HREF=\"/\">[To Parent Directory]</A><br><br>"
                        "  1/1/2023 12:00 AM            0 "
                        "<A HREF=\"/dir/A%20&amp;%20%3Cc%3E.htm\">A &amp; &lt;c&gt;.htm</A><br>"
                        "12/30/2023 11:59 PM           10 <A HREF=\"/dir/b.txt\">b.txt</A><br>"
                        " 9/20/2023 10:11 AM        &lt;dir&gt; <A HREF=\"/dir/n/\">n</A><br>"
                        "</pre><hr></body></html>");
    fixture_free(f);
}

/* The attribute decides in both directions, as it does when the file is asked for. */
static void test_listing_of_marked_files(void **state)
{
    struct fixture *f = listing_site("");
    char path[256];

    snprintf(path, sizeof(path), "%s/dir/b.txt", f->root);
    bool marks = setxattr(path, "user.candor.hidden", "0", 1, 0) == 0;

    snprintf(path, sizeof(path), "%s/dir/.hidden", f->root);
    marks = marks && setxattr(path, "user.candor.hidden", "0", 1, 0) == 0;
    fixture_request(f, "GET", "/dir/", host);
    assert_int_equal(fixture_run(f, &mod_directory_listing, N_EXECUTE_REQUEST_HANDLER),
                     PIPE_FINISH);
    assert_non_null(strstr(fixture_body(f), ">b.txt<"));
    assert_int_equal(strstr(fixture_body(f), ">.hidden<") != NULL, marks);
    fixture_free(f);
}

static void test_listing_flags(void **state)
{
    static const struct {
        const char *flags, *want; /* the line of b.txt */
    } rows[] = {
        {"Date, Time, Size, Extension",
         "12/30/2023 11:59 PM           10 <A HREF=\"/dir/b.txt\">b.txt</A>"},
        {"None", "<pre><A HREF=\"/\">[To Parent Directory]</A><br><br> <A HREF"},
        {"Date", "12/30/2023 <A HREF=\"/dir/b.txt\">b</A>"},
        {"Time", " 11:59 PM <A HREF=\"/dir/b.txt\">b</A>"},
        {"Size, Extension", "           10 <A HREF=\"/dir/b.txt\">b.txt</A>"},
        {"Date, LongDate, Time",
         "  Saturday, December 30, 2023 11:59 PM <A HREF=\"/dir/b.txt\">b</A>"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char attributes[128];

        snprintf(attributes, sizeof(attributes), "showFlags='%s'", rows[i].flags);
        struct fixture *f = listing_site(attributes);

        fixture_request(f, "GET", "/dir/", host);
        fixture_run(f, &mod_directory_listing, N_EXECUTE_REQUEST_HANDLER);
        if (!strstr(fixture_body(f), rows[i].want))
            fail_msg("%s: %s", rows[i].flags, fixture_body(f));
        fixture_free(f);
    }
}

static void test_listing_of_the_root(void **state)
{
    struct fixture *f = listing_site("");

    fixture_request(f, "GET", "/", NULL);
    fixture_run(f, &mod_directory_listing, N_EXECUTE_REQUEST_HANDLER);
    assert_null(strstr(fixture_body(f), "[To Parent Directory]"));
    assert_non_null(strstr(fixture_body(f), "<title> - /</title>"));
    fixture_free(f);
}

static void test_listing_denied(void **state)
{
    struct fixture *f = fixture_new(NULL, NULL);

    fixture_file(f, "dir/", "");
    fixture_request(f, "GET", "/dir/", host);
    assert_int_equal(fixture_run(f, &mod_directory_listing, N_EXECUTE_REQUEST_HANDLER),
                     PIPE_FINISH);
    assert_ptr_equal(f->r->failure.row, &st_403_14_listing_denied);
    assert_int_equal(f->r->failure.hresult, 0);
    fixture_request(f, "GET", "/none", host);
    assert_int_equal(fixture_run(f, &mod_directory_listing, N_EXECUTE_REQUEST_HANDLER),
                     PIPE_CONTINUE);
    fixture_free(f);
}

/* ---- ProtocolSupportModule ------------------------------------------------------------------ */

static void test_custom_headers(void **state)
{
    struct fixture *f = fixture_new(
        NULL, WEB("<httpProtocol allowKeepAlive='false'><customHeaders>"
                  "<add name='X-A' value='1'/><add name='Content-Length' value='5'/>"
                  "<add name='Bad Name' value='1'/><add name='Transfer-Encoding' value='chunked'/>"
                  "<add name='Content-Type' value='text/x'/></customHeaders>"
                  "<redirectHeaders><add name='X-R' value='2'/></redirectHeaders></httpProtocol>"));

    fixture_request(f, "GET", "/", host);
    assert_true(response_header_set(f->r, HDR_CONTENT_TYPE, STR("text/html")));
    assert_int_equal(fixture_run(f, &mod_protocol_support, N_SEND_RESPONSE), PIPE_CONTINUE);
    assert_string_equal(fixture_header(f, "X-A"), "1");
    assert_string_equal(fixture_header(f, "Content-Length"), "");
    assert_string_equal(fixture_header(f, "Bad Name"), "");
    assert_string_equal(fixture_header(f, "Transfer-Encoding"), "");
    assert_string_equal(fixture_header(f, "Content-Type"), "text/x");
    assert_string_equal(fixture_header(f, "X-R"), "");
    assert_true(f->r->response.close);
    fixture_request(f, "GET", "/", host);
    response_status(f->r, &st_302_0_found);
    assert_true(response_header_set(f->r, HDR_LOCATION, STR("/x")));
    fixture_run(f, &mod_protocol_support, N_SEND_RESPONSE);
    assert_string_equal(fixture_header(f, "X-R"), "2");
    fixture_request(f, "GET", "/", host);
    response_status(f->r, &st_304_0_not_modified);
    fixture_run(f, &mod_protocol_support, N_SEND_RESPONSE);
    assert_string_equal(fixture_header(f, "X-R"), "");
    fixture_free(f);
    f = fixture_new(NULL, NULL);
    fixture_request(f, "GET", "/", host);
    fixture_run(f, &mod_protocol_support, N_SEND_RESPONSE);
    assert_null(f->r->response.headers);
    assert_false(f->r->response.close);
    fixture_free(f);
}

static void test_options_and_trace(void **state)
{
    static const char *const headers[] = {"Host: site.test", "X-A: b  c", "Cookie: secret=1",
                                          "Authorization: Basic secret", NULL};
    struct fixture *f = fixture_new(NULL, NULL);

    fixture_request(f, "OPTIONS", "/", host);
    assert_int_equal(fixture_run(f, &mod_protocol_support, N_EXECUTE_REQUEST_HANDLER), PIPE_FINISH);
    assert_int_equal(f->r->response.row->status, 200);
    assert_string_equal(fixture_header(f, "Allow"), "OPTIONS, TRACE, GET, HEAD, POST");
    assert_string_equal(fixture_header(f, "Public"), "OPTIONS, TRACE, GET, HEAD, POST");
    assert_true(f->r->response.has_body);
    assert_int_equal(f->r->response.body_length, 0);
    fixture_request(f, "TRACE", "/", headers);
    assert_int_equal(fixture_run(f, &mod_protocol_support, N_EXECUTE_REQUEST_HANDLER), PIPE_FINISH);
    assert_ptr_equal(f->r->failure.row, &st_501_0_not_implemented);
    fixture_free(f);
    f = fixture_new(NULL, WEB("<httpProtocol enableTraceMethod='true'/>"));
    fixture_request(f, "TRACE", "/a%20b?c", headers);
    assert_int_equal(fixture_run(f, &mod_protocol_support, N_EXECUTE_REQUEST_HANDLER), PIPE_FINISH);
    assert_string_equal(fixture_header(f, "Content-Type"), "message/http");
    assert_string_equal(fixture_body(f),
                        "TRACE /a%20b?c HTTP/1.1\r\nHost: site.test\r\nX-A: b  c\r\n\r\n");
    fixture_free(f);
}

/* ---- AnonymousAuthenticationModule, ConfigurationValidationModule --------------------------- */

#define ANONYMOUS(enabled)                                                      \
    SITE("<security><authentication><anonymousAuthentication enabled='" enabled \
         "'/></authentication></security>")

static void test_anonymous(void **state)
{
    struct fixture *f = fixture_new(NULL, NULL);

    fixture_request(f, "GET", "/", host);
    assert_int_equal(fixture_run(f, &mod_anonymous_authentication, N_AUTHENTICATE_REQUEST),
                     PIPE_CONTINUE);
    assert_true(f->r->authenticated);
    assert_int_equal(f->r->user.n, 0);
    /* Who has already been recognised stays who they are. */
    f->r->user = STR("ann");
    fixture_run(f, &mod_anonymous_authentication, N_AUTHENTICATE_REQUEST);
    assert_true(str_eq(f->r->user, STR("ann")));
    fixture_free(f);
    f = fixture_new(ANONYMOUS("false"), NULL);
    fixture_request(f, "GET", "/", host);
    fixture_run(f, &mod_anonymous_authentication, N_AUTHENTICATE_REQUEST);
    assert_false(f->r->authenticated);
    fixture_free(f);
}

#define SYSTEM_WEB(inner, rest) \
    "<configuration><system.web>" inner "</system.web>" rest "</configuration>"
#define NO_CHECK                     \
    "<system.webServer><validation " \
    "validateIntegratedModeConfiguration='false'/></system.webServer>"

static void test_validation(void **state)
{
    static const struct {
        const char *config;
        const struct status_row *want;
    } rows[] = {
        {NULL, NULL},
        {SYSTEM_WEB("<httpModules><add name='m' type='t'/></httpModules>", ""),
         &st_500_22_http_modules},
        {SYSTEM_WEB("<httpModules/>", ""), NULL},
        {SYSTEM_WEB("<httpHandlers><add path='*.x' verb='*' type='t'/></httpHandlers>", ""),
         &st_500_23_http_handlers},
        {SYSTEM_WEB("<identity impersonate='true'/>", ""), &st_500_24_impersonation},
        {SYSTEM_WEB("<identity impersonate='false'/>", ""), NULL},
        {SYSTEM_WEB("<httpModules><add name='m' type='t'/></httpModules>", NO_CHECK), NULL},
        {SYSTEM_WEB("<identity impersonate='true'/>", NO_CHECK), NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *f = fixture_new(NULL, rows[i].config);

        fixture_request(f, "GET", "/", host);
        enum pipe_rc rc = fixture_run(f, &mod_configuration_validation, N_BEGIN_REQUEST);

        if (f->r->failure.row != rows[i].want || rc != (rows[i].want ? PIPE_FINISH : PIPE_CONTINUE))
            fail_msg("%s", rows[i].config);
        fixture_free(f);
    }
}

/* ---- HttpLoggingModule ---------------------------------------------------------------------- */

static void test_logging_decision(void **state)
{
    static const struct {
        const char *attributes;
        bool success, error; /* logged? */
    } rows[] = {
        {"", true, true},
        {"dontLog='true'", false, false},
        {"selectiveLogging='LogSuccessful'", true, false},
        {"selectiveLogging='LogError'", false, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char config[256];

        snprintf(config, sizeof(config), SITE("<httpLogging %s/>"), rows[i].attributes);
        struct fixture *f = fixture_new(config, NULL);

        fixture_request(f, "GET", "/", host);
        fixture_run(f, &mod_http_logging, N_LOG_REQUEST);
        assert_int_equal(f->r->response.no_log, !rows[i].success);
        fixture_request(f, "GET", "/", host);
        request_fail(f->r, &st_404_0_not_found, 0, STR(""));
        fixture_run(f, &mod_http_logging, N_LOG_REQUEST);
        assert_int_equal(f->r->response.no_log, !rows[i].error);
        assert_int_equal(f->r->response.log_fields.n, 0);
        fixture_free(f);
    }
}

/* ---- server variables ----------------------------------------------------------------------- */

static void test_server_variables(void **state)
{
    static const char *const headers[] = {"Host: site.test:8080", "User-Agent: ua",
                                          "X-Own-Header: own", "Content-Type: text/x", NULL};
    static const struct {
        const char *name, *want;
    } rows[] = {
        {"URL", "/dir/a b.htm"},
        {"url", "/dir/a b.htm"},
        {"SCRIPT_NAME", "/dir/a b.htm"},
        {"PATH_INFO", "/dir/a b.htm"},
        {"QUERY_STRING", "x=%31&y"},
        {"REQUEST_URI", "/dir/a b.htm?x=%31&y"},
        {"UNENCODED_URL", "/dir/a%20b.htm?x=%31&y"},
        {"REQUEST_METHOD", "POST"},
        {"SERVER_PROTOCOL", "HTTP/1.1"},
        {"REMOTE_ADDR", "10.1.2.3"},
        {"REMOTE_PORT", "50000"},
        {"LOCAL_ADDR", "10.1.2.9"},
        {"SERVER_NAME", "site.test"},
        {"SERVER_PORT", "8080"},
        {"SERVER_PORT_SECURE", "0"},
        {"HTTPS", "off"},
        {"HTTP_HOST", "site.test:8080"},
        {"HTTP_USER_AGENT", "ua"},
        {"HTTP_X_OWN_HEADER", "own"},
        {"HTTP_NOT_SENT", ""},
        {"CONTENT_TYPE", "text/x"},
        {"CONTENT_LENGTH", "12"},
        {"CACHE_URL", "http://site.test:8080/dir/a b.htm?x=%31&y"},
        {"INSTANCE_ID", "1"},
        {"INSTANCE_META_PATH", "/LM/W3SVC/1"},
        {"INSTANCE_NAME", "Default Web Site"},
        {"APP_POOL_ID", "DefaultAppPool"},
        {"APPL_MD_PATH", "/LM/W3SVC/1/ROOT"},
        {"GATEWAY_INTERFACE", "CGI/1.1"},
        {"SERVER_SOFTWARE", "Microsoft-IIS/10.0"},
        {"LOGON_USER", "ann"},
        {"AUTH_PASSWORD", ""},
        {"RESPONSE_STATUS", "200"},
        {"RESPONSE_X_OUT", "o"},
        {"NO_SUCH_VARIABLE", ""},
        {"", ""},
        {"ALL_RAW",
         "Host: site.test:8080\r\nUser-Agent: ua\r\nX-Own-Header: own\r\nContent-Type: text/x\r\n"},
        {"ALL_HTTP", "HTTP_HOST:site.test:8080\nHTTP_USER_AGENT:ua\nHTTP_X_OWN_HEADER:own\nHTTP_"
                     "CONTENT_TYPE:text/x\n"},
    };
    struct fixture *f = fixture_new(NULL, NULL);
    struct request *r = fixture_request(f, "POST", "/dir/a%20b.htm?x=%31&y", headers);

    r->msg.head.content_length = 12;
    r->msg.head.flags |= MSGF_HAS_BODY;
    r->user = STR("ann");
    assert_true(response_header_add(r, STR("X-Out"), STR("o")));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str value = server_variable(r, str_z(rows[i].name));

        if (!str_eq(value, str_z(rows[i].want)))
            fail_msg("%s: %.*s", rows[i].name, STR_ARG(value));
    }
    struct str file = server_variable(r, STR("REQUEST_FILENAME"));

    assert_true(str_starts(file, str_z(f->root)) && str_iends(file, STR("/dir/a b.htm")));
    assert_true(str_eq(server_variable(r, STR("DOCUMENT_ROOT")), str_z(f->root)));
    assert_true(str_iends(server_variable(r, STR("APPL_PHYSICAL_PATH")), STR("/")));
    fixture_free(f);
}

/* Found by binary search: every name of the table must be reachable, also those at its ends. */
static void test_server_variable_order(void **state)
{
    static const char *const names[] = {"ALL_HTTP",           "APP_POOL_ID",  "APPL_MD_PATH",
                                        "HTTP_METHOD",        "HTTPS",        "SERVER_PORT",
                                        "SERVER_PORT_SECURE", "URL_PATH_INFO"};
    struct fixture *f = fixture_new(NULL, NULL);

    fixture_request(f, "GET", "/", host);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (server_variable(f->r, str_z(names[i])).n == 0)
            fail_msg("%s", names[i]);
    fixture_free(f);
}

static void test_ipv6_address(void **state)
{
    struct fixture *f = fixture_new(NULL, NULL);
    struct request *r = fixture_request(f, "GET", "/", NULL);

    r->msg.head.remote = (struct msg_address){.ip = {[15] = 1}};
    r->msg.head.local = r->msg.head.remote;
    r->msg.head.flags |= MSGF_TLS;
    assert_true(str_eq(server_variable(r, STR("REMOTE_ADDR")), STR("::1")));
    assert_true(str_eq(server_variable(r, STR("SERVER_NAME")), STR("::1")));
    assert_true(str_eq(server_variable(r, STR("HTTPS")), STR("on")));
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listing_of_marked_files),
        cmocka_unit_test(test_default_document),
        cmocka_unit_test(test_default_document_list),
        cmocka_unit_test(test_listing),
        cmocka_unit_test(test_listing_flags),
        cmocka_unit_test(test_listing_of_the_root),
        cmocka_unit_test(test_listing_denied),
        cmocka_unit_test(test_custom_headers),
        cmocka_unit_test(test_options_and_trace),
        cmocka_unit_test(test_anonymous),
        cmocka_unit_test(test_validation),
        cmocka_unit_test(test_logging_decision),
        cmocka_unit_test(test_server_variables),
        cmocka_unit_test(test_server_variable_order),
        cmocka_unit_test(test_ipv6_address),
    };

    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
