/* Which handler a URL and verb choose, and preConditions. No disk, no ring: entries made by
 * hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "config/config.h"
#include "worker/handlers.h"
#include "worker/modules/registry.h"
#include "worker/precondition.h"
#include "worker/url_cache.h"

#include "base/poison.h"

static void test_patterns(void **state)
{
    static const struct {
        const char *pattern, *path;
        int script_len; /* -1: no match, 0: all of it */
    } rows[] = {
        {"*", "/", 0},
        {"*", "/a/b.c", 0},
        {"*.aspx", "/a.aspx", 0},
        {"*.aspx", "/A.ASPX", 0},
        {"*.aspx", "/a.aspx.txt", -1},
        {"*.aspx", "/x/a.aspx/more/info", 9},
        {"*.aspx", "/", -1},
        {"*.php", "/a.php/b.php", 6},
        {"*_AppService.axd", "/x/My_AppService.axd", 0},
        {"trace.axd", "/trace.axd", 0},
        {"trace.axd", "/deep/er/TRACE.axd", 0},
        {"trace.axd", "/xtrace.axd", -1},
        {"trace.axd", "/trace.axd/info", 10},
        {"*.", "/noext", 0},
        {"*.", "/no.ext/noext", 0},
        {"*.", "/folder/a.txt", -1},
        {"*.", "/folder/", -1},
        {"*.a, *.b", "/x.b", 0},
        {"*.a,*.b", "/x.c", -1},
        {"/api/*", "/api/x", 0},
        {"/api/*", "/v/api/x", -1},
        {"api/*", "/api/x/y", 0},
        {"sub/x.axd", "/app/sub/x.axd", 0},
        {"sub/x.axd", "/app/other/x.axd", -1},
        {"sub/x.axd", "/mysub/x.axd", -1},
        {"a?c.*", "/abc.txt", 0},
        {"a?c.*", "/abbc.txt", -1},
        {"*a*b*c", "/xaxbxc", 0},
        {"*a*b*c", "/xaxcxb", -1},
    };
    struct arena a;

    arena_init(&a, 0);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n, len = 0;
        struct handler_pattern *p = handler_patterns_parse(str_z(rows[i].pattern), &a, &n);
        struct str path = str_z(rows[i].path);
        bool match = false;
        for (size_t k = 0; k < n && !match; k++)
            match = handler_pattern_matches(&p[k], path, &len);
        size_t want = rows[i].script_len ? (size_t)rows[i].script_len : path.n;
        if (match != (rows[i].script_len >= 0) || (match && len != want))
            fail_msg("%s on %s: %d, %zu", rows[i].pattern, rows[i].path, match, len);
    }
    arena_fini(&a);
}

static void test_preconditions(void **state)
{
    static const struct {
        const char *list;
        bool holds, managed;
        const char *unknown;
    } rows[] = {
        {"", true, false, ""},
        {"bitness64", true, false, ""},
        {"bitness32", false, false, ""},
        {"integratedMode", true, false, ""},
        {"classicMode", false, false, ""},
        {"ISAPIMode", false, false, ""},
        {"runtimeVersionv4.0", true, false, ""},
        {"runtimeVersionv2.0", false, false, ""},
        {"integratedMode,runtimeVersionv4.0,bitness64", true, false, ""},
        {"integratedMode, runtimeVersionv4.0, bitness32", false, false, ""},
        {"managedHandler", true, true, ""},
        {"managedHandler,runtimeVersionv2.0", false, true, ""},
        {"appPoolName=My Pool", true, false, ""},
        {"appPoolName=Other", false, false, ""},
        {"Bitness64", false, false, "Bitness64"},
        {"bitness64,moonPhase", false, false, "moonPhase"},
        {"runtimeVersion", false, false, ""},
    };
    struct pool_facts pool = {.name = STR("my pool"), .runtime = STR("v4.0")}, native = pool;

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct precondition p = precondition_evaluate(str_z(rows[i].list), &pool);
        if (p.holds != rows[i].holds || p.managed_handler != rows[i].managed ||
            !str_eq(p.unknown, str_z(rows[i].unknown)))
            fail_msg("'%s': %d %d '%.*s'", rows[i].list, p.holds, p.managed_handler,
                     STR_ARG(p.unknown));
    }
    native.runtime = STR_NULL; /* "No Managed Code" fits no version */
    assert_false(precondition_evaluate(STR("runtimeVersionv4.0"), &native).holds);
    native.bitness32 = native.classic = true;
    assert_true(precondition_evaluate(STR("classicMode,bitness32"), &native).holds);
}

/* ---- choosing ------------------------------------------------------------------------------- */

static bool name_listed(const void *arg, struct str name)
{
    return !str_istarts(name, STR("Nope"));
}

static const char *const handlers_xml =
    "<add name='ASP' path='*.asp' verb='GET,HEAD,POST' modules='IsapiModule' resourceType='File'/>"
    "<add name='Aspx32' path='*.aspx' verb='*' modules='IsapiModule' preCondition='bitness32'/>"
    "<add name='Cgi' path='*.exe' verb='*' modules='CgiModule' resourceType='File' "
    "requireAccess='Execute' allowPathInfo='true'/>"
    "<add name='Php' path='*.php' verb='GET,HEAD,POST' modules='FastCgiModule' "
    "resourceType='Either'/>"
    "<add name='Folder' path='only.dir' verb='*' modules='StaticFileModule' "
    "resourceType='Directory'/>"
    "<add name='Route' path='api/*' verb='*' modules='NopeModule'/>"
    "<add name='Managed' path='*.asmx' verb='*' type='X.Y'/>"
    "<add name='Lower' path='*.low' verb='get' modules='StaticFileModule'/>"
    "<add name='StaticFile' path='*' verb='*' modules='StaticFileModule,DefaultDocumentModule,"
    "DirectoryListingModule' resourceType='Either' requireAccess='Read'/>";

static void test_choice(void **state)
{
    static const struct {
        const char *path;
        enum url_kind kind;
        const char *method, *handler;
        size_t path_len; /* 0: all */
        bool dynamic;
    } rows[] = {
        {"/a.asp", URL_KIND_FILE, "GET", "ASP", 0, false},
        {"/a.asp", URL_KIND_FILE, "PUT", "StaticFile", 0, false},
        {"/a.asp", URL_KIND_FILE, "get", "StaticFile", 0, false},
        {"/a.asp", URL_KIND_DIRECTORY, "GET", "StaticFile", 0, false},
        {"/a.asp", URL_KIND_MISSING, "GET", "ASP", 0, false},
        {"/a.asp/info", URL_KIND_MISSING, "GET", "ASP", 6, false},
        {"/a.aspx", URL_KIND_FILE, "GET", "StaticFile", 0, true},
        {"/a.txt", URL_KIND_FILE, "GET", "StaticFile", 0, false},
        {"/x.exe/a/b", URL_KIND_MISSING, "GET", "Cgi", 6, false},
        {"/dir.php/page.htm", URL_KIND_FILE, "GET", "StaticFile", 0, false},
        {"/dir.php/", URL_KIND_DIRECTORY, "GET", "StaticFile", 0, false},
        {"/only.dir", URL_KIND_DIRECTORY, "GET", "Folder", 0, false},
        {"/only.dir", URL_KIND_FILE, "GET", "StaticFile", 0, false},
        {"/api/values", URL_KIND_MISSING, "DELETE", "Route", 0, false},
        {"/x.asmx", URL_KIND_FILE, "GET", "Managed", 0, false},
        {"/a.low", URL_KIND_FILE, "GET", "StaticFile", 0, false},
        {"/", URL_KIND_DIRECTORY, "GET", "StaticFile", 0, false},
    };
    _cleanup_buf_ struct buf xml;
    struct config_error *error = NULL;
    bool listed[MODULES_MAX];
    struct arena a;

    arena_init(&a, 0);
    memset(listed, 1, sizeof(listed));
    buf_init(&xml, 1 << 20);
    config_builtin_text(&xml, "/tmp", (const char *const[]){"127.0.0.1:8080:"}, 1);
    xml.n = str_find(buf_view(&xml), STR("</configuration>"));
    buf_printf(&xml, "<location path='Default Web Site'><system.webServer><handlers><clear/>%s"
                     "</handlers></system.webServer></location></configuration>", handlers_xml);
    struct config_options o = {.bytes = buf_view(&xml)};
    struct config *c = config_load(&o, &error);

    assert_non_null(c);
    const struct config_node *node;
    const struct config_error *wrong;

    assert_int_equal(config_node_get(c, 1, STR("/"), &node, &wrong), RC_OK);
    const struct config_elem *e = config_section(node, "system.webServer/handlers", &wrong);

    assert_non_null(e);
    struct pool_facts pool = {.name = STR("p"), .runtime = STR("v4.0")};
    struct handler_modules known = {listed, name_listed, NULL};
    struct handler_list list;

    handler_list_load(&list, e, &pool, &known, &a);
    assert_int_equal(list.access_policy, ACCESS_READ | ACCESS_SCRIPT);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct url_entry url = {.path = str_z(rows[i].path), .kind = rows[i].kind};
        struct handler_choice k = handler_choose(&list, &url, str_z(rows[i].method));
        size_t want = rows[i].path_len ? rows[i].path_len : url.path.n;
        if (!k.mapping || !str_eq(k.mapping->name, str_z(rows[i].handler)) || k.path_len != want ||
            k.dynamic_content != rows[i].dynamic)
            fail_msg("%s %s: %.*s, %zu, %d", rows[i].method, rows[i].path,
                     STR_ARG(k.mapping ? k.mapping->name : STR("none")), k.path_len,
                     k.dynamic_content);
        if (str_eq(k.mapping->name, STR("Route")))
            assert_int_equal(k.mapping->fault, HANDLER_NOT_LISTED);
        if (str_eq(k.mapping->name, STR("ASP")) || str_eq(k.mapping->name, STR("Managed")))
            assert_int_equal(k.mapping->fault, HANDLER_NOT_BUILT);
        if (str_eq(k.mapping->name, STR("StaticFile")))
            assert_int_equal(k.mapping->n_run, 3);
    }
    config_node_unref(node);
    config_unref(c);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_preconditions),
        cmocka_unit_test(test_choice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
