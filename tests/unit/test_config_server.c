/* The server-level file: sites, pools and their defaults, and the shipped one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config_fixture.h"

static void assert_view(struct str got, const char *want)
{
    if (!str_eq(got, str_z(want))) {
        print_error("got \"%.*s\", want \"%s\"\n", STR_ARG(got), want);
        fail();
    }
}

static const char full_text[] =
    "<configuration><configSections/><system.applicationHost>\n"
    "<applicationPools>\n"
    " <add name=\"A\" queueLength=\"50\"><recycling><periodicRestart><schedule>"
    "<add value=\"03:00:00\"/></schedule></periodicRestart></recycling>"
    "<environmentVariables><add name=\"X\" value=\"1\"/></environmentVariables></add>\n"
    " <add name=\"B\" startMode=\"AlwaysRunning\"><processModel idleTimeout=\"00:00:00\"/>"
    "<recycling><periodicRestart><schedule><clear/></schedule></periodicRestart></recycling>"
    "<cpu limit=\"5000\" action=\"Throttle\"/></add>\n"
    " <applicationPoolDefaults queueLength=\"77\"><processModel idleTimeout=\"00:05:00\" "
    "idleTimeoutAction=\"Suspend\"/><failure rapidFailProtectionMaxCrashes=\"9\"/>"
    "<recycling><periodicRestart time=\"00:00:00\"><schedule><add value=\"01:00:00\"/></schedule>"
    "</periodicRestart></recycling></applicationPoolDefaults>\n"
    "</applicationPools><sites>\n"
    "<site name=\"One\" id=\"1\" serverAutoStart=\"false\"><bindings>"
    "<binding protocol=\"http\" bindingInformation=\"*:80:www.example.com\"/>"
    "<binding protocol=\"https\" bindingInformation=\"[::1]:8443:\" sslFlags=\"1\" "
    "certificateFile=\"C:\\certs\\a.pem\"/>"
    "<binding protocol=\"http\" bindingInformation=\":81:\"/>"
    "<binding protocol=\"net.pipe\" bindingInformation=\"*\"/></bindings>"
    "<logFile logFormat=\"NCSA\"><customFields><add logFieldName=\"f\" sourceName=\"X-F\" "
    "sourceType=\"ResponseHeader\"/></customFields></logFile>"
    "<limits connectionTimeout=\"00:01:00\"/><hsts enabled=\"true\" max-age=\"31\"/>"
    "<application path=\"/\"><virtualDirectory path=\"/\" physicalPath=\"C:\\Web\\One\"/>"
    "<virtualDirectory path=\"/img\" physicalPath=\"/srv/img\"/></application>"
    "<application path=\"/shop\" applicationPool=\"B\"><virtualDirectory path=\"/\" "
    "physicalPath=\"%SystemDrive%\\shop\"/><virtualDirectory path=\"/img\" physicalPath=\"d:\\i\" "
    "allowSubDirConfig=\"true\"/><virtualDirectoryDefaults allowSubDirConfig=\"false\"/>"
    "</application></site>\n"
    "<site name=\"Two\" id=\"2\"><application path=\"/x\"/></site>\n"
    "<siteDefaults><logFile directory=\"%SystemDrive%\\logs\" period=\"Hourly\"/>"
    "<limits maxConnections=\"7\"/></siteDefaults>"
    "<applicationDefaults applicationPool=\"A\"/></sites>\n"
    "<log centralLogFileMode=\"CentralW3C\"/><webLimits minBytesPerSecond=\"10\"/>"
    "</system.applicationHost></configuration>";

static void test_pools(void **state)
{
    struct fixture f;
    size_t n;

    fixture_init(&f);
    assert_null(fixture_load_text(&f, full_text));
    const struct config_pool *p = config_pools(f.config, &n);
    assert_int_equal(n, 2);
    assert_view(p[0].name, "A");
    assert_int_equal(p[0].queue_length, 50);
    assert_int_equal(p[0].idle_timeout_ms, 300000);
    assert_true(p[0].idle_suspend);
    assert_int_equal(p[0].restart_time_ms, 0);
    assert_int_equal(p[0].n_schedule, 2);
    assert_int_equal(p[0].schedule_ms[0], 3600000);
    assert_int_equal(p[0].schedule_ms[1], 3 * 3600000);
    assert_int_equal(p[0].rapid_fail_max_crashes, 9);
    assert_int_equal(p[0].n_environment, 1);
    assert_view(p[0].environment[0].name, "X");
    assert_int_equal(p[0].identity, CONFIG_IDENTITY_APPLICATION_POOL);
    assert_int_equal(p[0].log_event_on_recycle, 255);
    assert_int_equal(p[0].line, 3);
    assert_int_equal(p[1].queue_length, 77);
    assert_true(p[1].always_running);
    assert_int_equal(p[1].idle_timeout_ms, 0);
    assert_int_equal(p[1].n_schedule, 0);
    assert_int_equal(p[1].cpu_limit, 5000);
    assert_int_equal(p[1].cpu_action, CONFIG_CPU_THROTTLE);
    assert_ptr_equal(config_pool_by_name(f.config, STR("b")), &p[1]);
    assert_null(config_pool_by_name(f.config, STR("c")));
    fixture_fini(&f);
}

static void test_sites(void **state)
{
    struct fixture f;
    char want[128];
    size_t n;

    fixture_init(&f);
    fixture_write(&f, "web/ONE/x", "");
    assert_null(fixture_load_text(&f, full_text));
    const struct config_site *s = config_sites(f.config, &n);
    assert_int_equal(n, 2);
    assert_false(s->server_auto_start);
    assert_int_equal(s->n_bindings, 4);
    assert_view(s->bindings[0].ip, "*");
    assert_view(s->bindings[0].host, "www.example.com");
    assert_int_equal(s->bindings[0].port, 80);
    assert_view(s->bindings[1].ip, "::1");
    assert_int_equal(s->bindings[1].port, 8443);
    assert_int_equal(s->bindings[1].ssl_flags, 1);
    snprintf(want, sizeof(want), "%s/certs/a.pem", f.dir);
    assert_view(s->bindings[1].certificate_file, want);
    assert_view(s->bindings[2].ip, "*");
    assert_int_equal(s->bindings[2].port, 81);
    assert_view(s->bindings[3].raw, "*");
    assert_int_equal(s->bindings[3].port, 0);
    assert_int_equal(s->log.format, CONFIG_LOG_NCSA);
    assert_int_equal(s->log.period, CONFIG_PERIOD_HOURLY);
    assert_int_equal(s->log.ext_file_flags, 2478031);
    snprintf(want, sizeof(want), "%s/logs", f.dir);
    assert_view(s->log.directory, want);
    assert_int_equal(s->log.n_custom_fields, 1);
    assert_int_equal(s->log.custom_fields[0].source_type, CONFIG_FIELD_RESPONSE_HEADER);
    assert_int_equal(s->limits.connection_timeout_ms, 60000);
    assert_int_equal(s->limits.max_connections, 7);
    assert_int_equal(s->limits.max_bandwidth, UINT32_MAX);
    assert_true(s->hsts.enabled);
    assert_int_equal(s->hsts.max_age, 31);

    assert_int_equal(s->n_applications, 2);
    assert_view(s->applications[0].pool, "A");
    /* Found on disk in another spelling. */
    snprintf(want, sizeof(want), "%s/web/ONE", f.dir);
    assert_view(s->applications[0].vdirs[0].directory, want);
    assert_view(s->applications[0].vdirs[1].directory, "/srv/img");
    assert_true(s->applications[0].vdirs[0].allow_sub_dir_config);
    assert_view(s->applications[1].pool, "B");
    assert_view(s->applications[1].vdirs[1].url, "/shop/img");
    assert_false(s->applications[1].vdirs[0].allow_sub_dir_config);
    assert_true(s->applications[1].vdirs[1].allow_sub_dir_config);

    /* With an application that has no root folder a site is not usable, and the others are. */
    assert_null(s[0].error);
    assert_non_null(s[1].error);
    assert_view(s[1].error->text, "Unrecognized configuration path 'MACHINE/WEBROOT/APPHOST/Two'");
    const struct config_node *node;
    assert_int_equal(config_node_get(f.config, 2, STR("/"), &node, NULL), RC_DECLINED);
    assert_int_equal(config_node_get(f.config, 3, STR("/"), &node, NULL), RC_DECLINED);

    assert_int_equal(config_log(f.config)->mode, CONFIG_CENTRAL_W3C);
    assert_true(config_log(f.config)->central.ext_file_flags & 16);
    assert_int_equal(config_web_limits(f.config)->min_bytes_per_second, 10);
    assert_int_equal(config_web_limits(f.config)->connection_timeout_ms, 120000);
    fixture_fini(&f);
}

#define HOST(x) "<configuration>" x "</configuration>"
#define APPHOST(x) HOST("<system.applicationHost>\n" x "</system.applicationHost>")

static void test_refused(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "0x8007000d:1 Configuration file is not well-formed XML"},
        {APPHOST("<sites><site name=\"a\" id=\"1\"/>\n<site name=\"A\" id=\"2\"/></sites>"),
         "0x800700b7:3 Cannot add duplicate collection entry of type 'site' with unique key "
         "attribute 'name' set to 'A'"},
        {APPHOST("<sites><site name=\"a\" id=\"1\"/>\n<site name=\"b\" id=\"1\"/></sites>"),
         "0x800700b7:3 Cannot add duplicate collection entry of type 'site' with unique key "
         "attribute 'id' set to '1'"},
        {APPHOST("<sites><site name=\"a\" id=\"1\"><bindings><binding protocol=\"http\" "
                 "bindingInformation=\"*:80:\"/>\n<binding protocol=\"http\" "
                 "bindingInformation=\"*:80:\"/></bindings></site></sites>"),
         "0x800700b7:3 Cannot add duplicate collection entry of type 'binding' with combined key "
         "attributes 'protocol, bindingInformation' respectively set to 'http, *:80:'"},
        {APPHOST("<sites><site name=\"a\" id=\"1\"><bindings><binding protocol=\"http\" "
                 "bindingInformation=\"80\"/></bindings></site></sites>"),
         "0x8007000d:2 The 'bindingInformation' attribute is invalid.  Invalid binding '80'"},
        {APPHOST("<sites><site name=\"a\" id=\"1\"><bindings><binding protocol=\"http\" "
                 "bindingInformation=\"*:80:\" proxyTrusted=\"10.0.0.0/8, 10.0.0/8\"/>"
                 "</bindings></site></sites>"),
         "0x8007000d:2 The 'proxyTrusted' attribute is invalid.  Invalid address '10.0.0/8'"},
        {APPHOST("<sites><site name=\"a\"/></sites>"),
         "0x8007000d:2 Missing required attribute 'id'"},
        {APPHOST("<applicationPools><add name=\"p\" queueLength=\"5\"/></applicationPools>"),
         "0x8007000d:2 The 'queueLength' attribute is invalid.  Integer value must be between 10 "
         "and 65535 inclusive"},
        {HOST("<location path=\"x\"><system.applicationHost><sites/><sites/>"
              "</system.applicationHost></location>"),
         "0x800700b7:1 Config section 'system.applicationHost/sites' already defined. Sections "
         "must only appear once per config file. See the help topic <location> for exceptions"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture f;
        struct buf got;
        fixture_init(&f);
        buf_init(&got, 10000);
        struct config_error *e = fixture_load_text(&f, rows[i].text);
        assert_null(f.config);
        assert_non_null(e);
        render_error(e, &got);
        assert_view(buf_view(&got), rows[i].want);
        config_error_free(e);
        buf_fini(&got);
        fixture_fini(&f);
    }
}

static void test_missing_file(void **state)
{
    struct config_error *e = NULL;
    struct config_options o = {.path = "/nonexistent/applicationHost.config"};

    assert_null(config_load(&o, &e));
    assert_int_equal(e->hresult, CONFIG_E_FILE_NOT_FOUND);
    assert_view(e->text, "Cannot read configuration file");
    assert_view(e->file, "/nonexistent/applicationHost.config");
    assert_null(config_error_free(e));
    assert_null(config_load(&o, NULL));
}

/* Shipped registrations may be repeated by the server's file, once. */
static void test_registrations(void **state)
{
    struct fixture f;

    fixture_init(&f);
    assert_null(fixture_load_text(
        &f, HOST("<configSections><sectionGroup name=\"system.applicationHost\"><section "
                 "name=\"sites\" allowDefinition=\"AppHostOnly\" overrideModeDefault=\"Deny\"/>"
                 "</sectionGroup></configSections>")));
    struct config_error *e = fixture_load_text(
        &f, HOST("<configSections><section name=\"a\"/><section name=\"a\"/></configSections>"));
    assert_non_null(e);
    assert_view(e->text, "There is a duplicate 'a' section defined");
    config_error_free(e);
    fixture_fini(&f);
}

static void test_builtin(void **state)
{
    static const char *const bindings[] = {"127.0.0.1:8080:", "[::1]:8080:"};
    struct fixture f;
    struct buf text;
    const struct config_error *err = NULL;
    const struct config_node *n;
    size_t count;

    fixture_init(&f);
    buf_init(&text, 1 << 20);
    config_builtin_text(&text, "/tmp/a & \"b\"", bindings, 2);
    buf_char(&text, '\0');
    assert_null(fixture_load_text(&f, text.p));
    const struct config_site *s = config_sites(f.config, &count);
    assert_int_equal(count, 1);
    assert_view(s->name, "Default Web Site");
    assert_int_equal(s->n_bindings, 2);
    assert_int_equal(s->bindings[1].port, 8080);
    assert_view(s->applications[0].vdirs[0].directory, "/tmp/a & \"b\"");
    assert_view(s->applications[0].pool, "DefaultAppPool");
    assert_non_null(config_pool_by_name(f.config, s->applications[0].pool));

    /* Every section of it can be read. */
    n = config_server_node(f.config);
    const struct config_elem *e = config_section(n, "system.webServer/staticContent", &err);
    assert_int_equal(config_n_items(e), 378);
    e = config_section(n, "system.webServer/handlers", &err);
    assert_int_equal(config_n_items(e), 3);
    assert_view(config_str(config_item(e, 2), "name"), "StaticFile");
    assert_int_equal(config_flags(e, "accessPolicy"), 513);
    e = config_section(n, "system.webServer/security/requestFiltering", &err);
    assert_int_equal(config_n_items(config_child(e, "hiddenSegments")), 8);
    assert_int_equal(config_n_items(config_child(e, "fileExtensions")), 44);
    e = config_section(n, "system.webServer/httpErrors", &err);
    assert_int_equal(config_n_items(e), 9);
    assert_view(config_str(config_item(e, 1), "prefixLanguageFilePath"), "C:\\inetpub\\custerr");
    e = config_section(n, "system.webServer/defaultDocument", &err);
    assert_view(config_str(config_item(config_child(e, "files"), 0), "value"), "Default.htm");
    e = config_section(n, "system.webServer/globalModules", &err);
    assert_int_equal(config_n_items(e), 14);
    assert_null(err);
    buf_fini(&text);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pools),         cmocka_unit_test(test_sites),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_registrations), cmocka_unit_test(test_builtin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
