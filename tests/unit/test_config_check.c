/* The command `candor check`: what it prints and how it exits. */
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "config_fixture.h"
#include "toolkit/check.h"

struct run {
    int status;
    char *out;
};

/* Runs the command with its output caught; "$" in an argument is the fixture's folder. */
static struct run run(const struct fixture *f, const char *const *args)
{
    struct run r = {0};
    char *argv[12] = {xstrdup("check")};
    char path[128];
    int argc = 1;

    for (; args[argc - 1]; argc++) {
        const char *arg = args[argc - 1];
        argv[argc] = arg[0] == '$' ? xasprintf("%s%s", f->dir, arg + 1) : xstrdup(arg);
    }
    snprintf(path, sizeof(path), "%s/output", f->dir);
    fflush(stdout);
    int saved = dup(STDOUT_FILENO), file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(saved >= 0 && file >= 0);
    dup2(file, STDOUT_FILENO);
    char **all = argv;
    char *owned[12];
    memcpy(owned, argv, sizeof(owned));
    r.status = check_main(argc, all);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    off_t n = lseek(file, 0, SEEK_END);
    r.out = xcalloc(1, (size_t)n + 1);
    assert_true(pread(file, r.out, (size_t)n, 0) == n);
    close(file);
    unlink(path);
    for (int i = 0; i < argc; i++)
        free(owned[i]);
    return r;
}

/* Every line of want must be a line of the output, "$" standing for the folder. */
static void assert_lines(const struct fixture *f, const struct run *r, const char *const *want)
{
    for (size_t i = 0; want[i]; i++) {
        char *line = want[i][0] == '$' ? xasprintf("%s%s\n", f->dir, want[i] + 1)
                                       : xasprintf("%s\n", want[i]);
        if (!strstr(r->out, line)) {
            print_error("missing: %sin:\n%s", line, r->out);
            fail();
        }
        free(line);
    }
}

#define WS(x) "<configuration>\n<system.webServer>\n" x "\n</system.webServer>\n</configuration>\n"

static void test_site(void **state)
{
    static const char *const args[] = {"$/root", NULL};
    static const char *const want[] = {
        "$/root/web.config:3:19: error: Unrecognized attribute 'enable' [0x8007000d] "
        "(system.webServer/directoryBrowse)",
        "    <directoryBrowse> has no such attribute; did you mean 'enabled'?",
        "$/root/web.config:4:1: note: This section is accepted but has no effect in this version "
        "(system.webServer/httpPlatform)",
        "$/root/web.config:5:1: note: Only what the listener keeps: there is no user-mode output "
        "cache, so policy, location and sizes have no effect (system.webServer/caching)",
        "$/root/sub/Web.config:3:1: error: This configuration section cannot be used at this "
        "path. This happens when the section is locked at a parent level. Locking is either by "
        "default (overrideModeDefault=\"Deny\"), or set explicitly by a location tag with "
        "overrideMode=\"Deny\" or the legacy allowOverride=\"false\". [0x80070021] "
        "(system.webServer/cgi)",
        "        <location path=\"Default Web Site/sub\" overrideMode=\"Allow\">",
        "        </location>",
        "$/root/sub/Web.config:4:11: warning: Handler \"x\" names the module NoSuchModule, which "
        "is not loaded (system.webServer/handlers)",
        "  system.webServer/directoryBrowse: honoured",
        "  system.webServer/caching: honoured with a difference: Only what the listener keeps: "
        "there is "
        "no user-mode output cache, so policy, location and sizes have no effect",
        "  system.webServer/httpPlatform: not supported",
        "2 files checked, 2 errors",
        NULL,
    };
    struct fixture f;

    fixture_init(&f);
    fixture_write(&f, "root/web.config",
                  WS("<directoryBrowse  enable=\"true\"/>\n<httpPlatform/>\n"
                     "<caching/>"));
    fixture_write(&f, "root/sub/Web.config",
                  WS("<cgi/>\n<handlers><add name=\"x\" path=\"*\" verb=\"*\" "
                     "modules=\"NoSuchModule\"/></handlers>"));
    struct run r = run(&f, args);
    assert_int_equal(r.status, 1);
    assert_lines(&f, &r, want);
    free(r.out);
    fixture_fini(&f);
}

static void test_clean(void **state)
{
    static const char *const args[] = {"$/root/web.config", NULL};
    static const char *const want[] = {"1 file checked, 0 errors", NULL};
    struct fixture f;

    fixture_init(&f);
    fixture_write(&f, "root/web.config", WS("<directoryBrowse enabled=\"true\"/>"));
    struct run r = run(&f, args);
    assert_int_equal(r.status, 0);
    assert_lines(&f, &r, want);
    assert_null(strstr(r.out, "\033"));
    free(r.out);
    fixture_fini(&f);
}

/* Control characters of a file do not reach the terminal. */
static void test_escaping(void **state)
{
    static const char *const args[] = {"$/root/web.config", NULL};
    static const char *const want[] = {"    Give 'showFlags' another value than 'a\\x9bb'.", NULL};
    struct fixture f;

    fixture_init(&f);
    fixture_write(&f, "root/web.config", WS("<directoryBrowse showFlags=\"a&#x9b;b\"/>"));
    struct run r = run(&f, args);
    assert_int_equal(r.status, 1);
    assert_lines(&f, &r, want);
    free(r.out);
    fixture_fini(&f);
}

#define HOST(x)                                                                               \
    "<configuration>\n<system.applicationHost><applicationPools><add name=\"P\"/>"            \
    "</applicationPools><sites>\n<site name=\"S\" id=\"7\"><application path=\"/\">"          \
    "<virtualDirectory path=\"/\" physicalPath=\"C:\\root\"/></application></site></sites>\n" \
    "</system.applicationHost>\n" x "\n</configuration>"

static void test_server_file(void **state)
{
    static const char *const args[] = {"--config", "$/host.config", "--system-drive", "$", NULL};
    static const char *const want[] = {
        "$/root/sub/web.config:3:1: error: Lock violation [0x80070021] "
        "(system.webServer/directoryBrowse)",
        "        <system.webServer><directoryBrowse enabled=\"true\" /></system.webServer>",
        "$/host.config:6:89: warning: Failed to decrypt attribute 'password' because the keyset "
        "does not exist [0x80090016] "
        "(system.webServer/security/authentication/anonymousAuthentication)",
        "2 files checked, 1 error",
        NULL,
    };
    struct fixture f;

    fixture_init(&f);
    fixture_write(&f, "host.config",
                  HOST("<system.webServer><directoryBrowse enabled=\"true\" lockAttributes=\"*\"/>"
                       "</system.webServer>\n<location path=\"S\"><system.webServer><security>"
                       "<authentication><anonymousAuthentication "
                       "password=\"[enc:AesProvider:AAAA:enc]\"/></authentication></security>"
                       "</system.webServer></location>"));
    fixture_write(&f, "root/sub/web.config", WS("<directoryBrowse enabled=\"false\"/>"));
    struct run r = run(&f, args);
    assert_int_equal(r.status, 1);
    assert_lines(&f, &r, want);
    free(r.out);
    /* A folder below one of its sites is judged with its locks. */
    char *drive = xasprintf("--system-drive=%s", f.dir);
    const char *const below_args[] = {"--config", "$/host.config", drive, "$/root/sub", NULL};
    r = run(&f, below_args);
    assert_int_equal(r.status, 1);
    assert_non_null(strstr(r.out, "Lock violation"));
    assert_non_null(strstr(r.out, "1 file checked, 1 error"));
    free(r.out);
    free(drive);
    fixture_fini(&f);
}

static void test_server_mistakes(void **state)
{
    static const char *const args[] = {"$/host.config", NULL};
    static const char *const want[] = {
        "$/host.config:5:1: error: The configuration section 'system.webserver' cannot be read "
        "because it is missing a section declaration [0x80070032] (system.webserver)",
        "    'system.webserver' is not a known section; did you mean 'system.webServer'?",
        "$/host.config:6:1: error: The configuration section 'more' cannot be read because it is "
        "missing a section declaration [0x80070032] (more)",
        "1 file checked, 2 errors",
        NULL,
    };
    struct fixture f;

    fixture_init(&f);
    fixture_write(&f, "host.config", HOST("<system.webserver/>\n<more/>"));
    struct run r = run(&f, args);
    assert_int_equal(r.status, 1);
    assert_lines(&f, &r, want);
    free(r.out);
    fixture_fini(&f);
}

static void test_json(void **state)
{
    static const char *const args[] = {"--format=json", "$/root/web.config", NULL};
    struct fixture f;

    fixture_init(&f);
    fixture_write(&f, "root/web.config", WS("<cgi/>\n<nope/>"));
    struct run r = run(&f, args);
    assert_int_equal(r.status, 1);
    json_t *top = json_loads(r.out, 0, NULL);
    assert_non_null(top);
    assert_int_equal(json_array_size(json_object_get(top, "files")), 1);
    const json_t *first = json_array_get(json_object_get(top, "findings"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "severity")), "error");
    assert_string_equal(json_string_value(json_object_get(first, "code")), "0x8007000d");
    assert_string_equal(json_string_value(json_object_get(first, "section")),
                        "system.webServer/nope");
    assert_int_equal(json_integer_value(json_object_get(first, "line")), 4);
    const json_t *section = json_array_get(json_object_get(top, "sections"), 0);
    assert_string_equal(json_string_value(json_object_get(section, "section")),
                        "system.webServer/cgi");
    assert_string_equal(json_string_value(json_object_get(section, "support")), "ignored");
    json_decref(top);
    free(r.out);
    fixture_fini(&f);
}

static void test_usage(void **state)
{
    static const char *const rows[][4] = {
        {"--nonsense"}, {"--format", "xml"}, {"--config"}, {"--format=", "x"}};
    struct fixture f;

    fixture_init(&f);
    int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        dup2(null, STDERR_FILENO);
        struct run r = run(&f, rows[i]);
        dup2(saved, STDERR_FILENO);
        assert_int_equal(r.status, 2);
        assert_string_equal(r.out, "");
        free(r.out);
    }
    close(saved);
    close(null);
    static const char *const help[] = {"--help", NULL}, *const missing[] = {"$/none", NULL};
    struct run r = run(&f, help);
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "Usage: candor check"));
    free(r.out);
    r = run(&f, missing);
    assert_int_equal(r.status, 1);
    assert_non_null(strstr(r.out, "/none: error: No such file or directory"));
    free(r.out);
    fixture_fini(&f);
}

#define APP                                                 \
    "<application path=\"/\"><virtualDirectory path=\"/\" " \
    "physicalPath=\"C:\\root\"/></application>"

static void test_bindings(void **state)
{
    static const char *const args[] = {"$/host.config", "--system-drive", "$", NULL};
    static const char *const want[] = {
        "$/host.config:4:35: warning: Site \"two\" does not start: its binding http/:80: "
        "already "
        "belongs to site \"one\" (system.applicationHost/sites)",
        "$/host.config:5:37: warning: Site \"three\" does not start: its binding https/*:80:a.test "
        "wants port 80 for https, but site \"one\" uses it for http (system.applicationHost/sites)",
        "$/host.config:6:63: warning: proxyProtocol without proxyTrusted: no PROXY header is "
        "believed "
        "(system.applicationHost/sites)",
        NULL,
    };
    struct fixture f;

    fixture_init(&f);
    fixture_write(&f, "host.config",
                  "<configuration><system.applicationHost><sites>\n"
                  "<site name=\"one\" id=\"1\"><bindings>\n"
                  "<binding protocol=\"http\" bindingInformation=\"*:80:\"/></bindings>" APP
                  "</site>\n"
                  "<site name=\"two\" id=\"2\"><bindings><binding protocol=\"http\" "
                  "bindingInformation=\":80:\"/></bindings>" APP "</site>\n"
                  "<site name=\"three\" id=\"3\"><bindings><binding protocol=\"https\" "
                  "bindingInformation=\"*:80:a.test\"/></bindings>" APP "</site>\n"
                  "<site name=\"stopped\" id=\"4\" serverAutoStart=\"false\"><bindings>"
                  "<binding protocol=\"http\" bindingInformation=\"*:80:\" "
                  "proxyProtocol=\"v1v2\"/></bindings>" APP "</site>"
                  "</sites></system.applicationHost></configuration>");
    struct run r = run(&f, args);
    if (!strstr(r.out, "does not start"))
        fail_msg("%s", r.out);
    assert_lines(&f, &r, want);
    free(r.out);
    fixture_fini(&f);
}

static void test_registry_values(void **state)
{
    static const char *const args[] = {"$/http.reg", NULL};
    static const char *const want[] = {
        "$/http.reg:3:18: warning: MaxConnections is 5, outside 1024 to 2031616; the default "
        "(no limit) is used",
        "$/http.reg:4:1: note: EnableHttp3 has no effect here: HTTP/3 is not served",
        "$/http.reg:5:1: note: MaxRequestByte is no parameter that this server knows; it is "
        "ignored",
        "$/http.reg:6:17: error: the data of ListenBacklog cannot be read: expected dword:, hex: "
        "or a "
        "string",
        "$/http.reg:7:1: warning: localhost:443 is not of the form ADDRESS:PORT; the key is "
        "ignored",
        "$/http.reg:9:1: warning: http://+:80/a is no URL prefix (scheme://host:port/path/); it is "
        "ignored",
        NULL,
    };
    struct fixture f;

    fixture_init(&f);
    fixture_write(
        &f, "http.reg",
        "Windows Registry Editor Version 5.00\n"
        "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\HTTP\\Parameters]\n"
        "\"MaxConnections\"=dword:5\n\"EnableHttp3\"=dword:1\n\"MaxRequestByte\"=dword:1\n"
        "\"ListenBacklog\"=qword:1\n"
        "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\HTTP\\Parameters\\"
        "SslBindingInfo\\localhost:443]\n"
        "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\HTTP\\Parameters\\UrlAclInfo]\n"
        "\"http://+:80/a\"=hex:01\n");
    struct run r = run(&f, args);
    assert_int_equal(r.status, 1);
    assert_lines(&f, &r, want);
    free(r.out);
    fixture_fini(&f);
}

static void test_registry(void **state)
{
    static const char *const args[] = {"$/http.reg", NULL};
    struct fixture f;

    fixture_init(&f);
    fixture_write(&f, "http.reg", "this is no export\n");
    struct run r = run(&f, args);
    assert_int_equal(r.status, 1);
    assert_non_null(strstr(r.out, "/http.reg"));
    free(r.out);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_site),
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_escaping),
        cmocka_unit_test(test_server_file),
        cmocka_unit_test(test_server_mistakes),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_registry),
        cmocka_unit_test(test_registry_values),
        cmocka_unit_test(test_bindings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
