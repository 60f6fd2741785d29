/* From URL to node: levels, mapping to files, what cannot be read, caching. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "config/inspect.h"
#include "config/paths.h"
#include "config_fixture.h"

#define BROWSE(x)                                                    \
    "<configuration><system.webServer><directoryBrowse enabled=\"" x \
    "\"/></system.webServer></configuration>"
#define BROWSE_PATH "system.webServer/directoryBrowse"

static const struct config_node *get(const struct fixture *f, const char *url)
{
    const struct config_node *n = NULL;
    const struct config_error *e = NULL;

    assert_int_equal(config_node_get(f->config, 1, str_z(url), &n, &e), RC_OK);
    return n;
}

static void assert_in(const struct fixture *f, struct str got, const char *want)
{
    char full[256];

    snprintf(full, sizeof(full), "%s%s", f->dir, want);
    if (!str_eq(got, str_z(full))) {
        print_error("got %.*s, want %s\n", STR_ARG(got), full);
        fail();
    }
}

static void test_levels(void **state)
{
    static const struct {
        const char *url, *node_url, *dir, *mapped, *application;
    } rows[] = {
        {"/", "/", "/root", "/root", "/"},
        {"/file.txt", "/", "/root", "/root/file.txt", "/"},
        {"/FILE.TXT", "/", "/root", "/root/file.txt", "/"},
        {"/sub", "/sub", "/root/sub", "/root/sub", "/"},
        {"/SUB/a.txt", "/SUB", "/root/sub", "/root/sub/a.txt", "/"},
        {"//sub/./a.txt", "/sub", "/root/sub", "/root/sub/a.txt", "/"},
        {"/none/x/y", "/", "/root", "/root/none/x/y", "/"},
        {"/file.txt/info", "/", "/root", "/root/file.txt/info", "/"},
        {"/other/x.gif", "/other", "/other", "/other/x.gif", "/"},
        {"/Other", "/Other", "/other", "/other", "/"},
        {"/otherwise", "/", "/root", "/root/otherwise", "/"},
        {"/app/sub/x", "/app", "/root/app", "/root/app/sub/x", "/app"},
        {"/apple", "/", "/root", "/root/apple", "/"},
    };
    struct fixture f;

    fixture_init(&f);
    fixture_write(&f, "root/file.txt", "x");
    fixture_write(&f, "root/sub/a.txt", "x");
    fixture_load(&f, "");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct config_node *n = get(&f, rows[i].url);
        struct arena a;
        struct str mapped;
        arena_init(&a, 0);
        assert_true(str_ieq(config_node_url(n), str_z(rows[i].node_url)));
        assert_in(&f, config_node_directory(n), rows[i].dir);
        assert_true(config_node_map(n, str_z(rows[i].url), &a, &mapped));
        assert_in(&f, mapped, rows[i].mapped);
        assert_true(str_eq(config_node_application(n)->path, str_z(rows[i].application)));
        arena_fini(&a);
        config_node_unref(n);
    }
    fixture_fini(&f);
}

static void test_path_text(void **state)
{
    struct fixture f;

    fixture_init(&f);
    fixture_load(&f, "");
    const struct config_node *n = get(&f, "/sub");
    assert_true(str_eq(config_node_path(n), STR("MACHINE/WEBROOT/APPHOST/S/sub")));
    assert_true(str_eq(config_node_site(n)->name, STR("S")));
    assert_true(str_eq(config_node_vdir(n)->path, STR("/")));
    config_node_unref(n);
    n = config_server_node(f.config);
    assert_true(str_eq(config_node_path(n), STR("MACHINE/WEBROOT/APPHOST")));
    assert_null(config_node_site(n));
    fixture_fini(&f);
}

/* Nothing in a URL leads out of the folder. */
static void test_escapes(void **state)
{
    static const char *const urls[] = {"/../x", "/sub/../../x", "/..", "/a\\..\\..\\x",
                                       "/sub/..\\x"};
    struct fixture f;
    struct arena a;
    struct str mapped;

    fixture_init(&f);
    fixture_load(&f, "");
    arena_init(&a, 0);
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        const struct config_node *n = get(&f, urls[i]);
        assert_false(config_node_map(n, str_z(urls[i]), &a, &mapped));
        config_node_unref(n);
    }
    const struct config_node *n = get(&f, "/");
    assert_false(config_node_map(n, str_n("/a\0b", 4), &a, &mapped));
    config_node_unref(n);
    arena_fini(&a);
    fixture_fini(&f);
}

static void test_files_listed(void **state)
{
    struct fixture f;
    struct str files[8];

    fixture_init(&f);
    fixture_write(&f, "root/web.config", BROWSE("true"));
    fixture_write(&f, "root/sub/WEB.CONFIG", BROWSE("false"));
    fixture_load(&f, "");
    const struct config_node *n = get(&f, "/sub/x");
    assert_int_equal(config_node_files(n, files, 8), 3);
    assert_true(str_eq(files[0], STR("host")));
    assert_in(&f, files[1], "/root/web.config");
    assert_in(&f, files[2], "/root/sub/WEB.CONFIG");
    const struct config_error *e = NULL;
    const struct config_elem *s = config_section(n, BROWSE_PATH, &e);
    assert_in(&f, config_elem_pos(s).file, "/root/sub/WEB.CONFIG");
    assert_int_equal(config_attr_pos(s, "enabled").column, 51);
    assert_true(config_is_set(s, "enabled"));
    assert_false(config_is_set(s, "showFlags"));
    assert_int_equal(config_attr_pos(s, "showFlags").line, 0);
    config_node_unref(n);
    fixture_fini(&f);
}

static void check(struct fixture *f, const char *url, const char *want)
{
    struct buf got;

    buf_init(&got, 100000);
    render_at(f, url, BROWSE_PATH, &got);
    if (!str_eq(buf_view(&got), str_z(want))) {
        print_error("%s: got %.*s, want %s\n", url, STR_ARG(buf_view(&got)), want);
        fail();
    }
    buf_fini(&got);
}

static void test_encodings(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *want;
    } rows[] = {
#define BYTES(x) x, sizeof(x) - 1
        {BYTES("\xef\xbb\xbf" BROWSE("true")), "enabled=true"},
        {BYTES("<?xml version=\"1.0\" encoding=\"utf-16\"?>" BROWSE("true")), "enabled=true"},
        {BYTES("<?xml version=\"1.0\" encoding=\"windows-1252\"?><!-- \xe9 -->" BROWSE("true")),
         "enabled=true"},
        {BYTES("<!-- \xff -->" BROWSE("true")),
         "0x8007000d:1 Configuration file is not well-formed XML"},
        {BYTES(" <?xml version=\"1.0\"?>" BROWSE("true")),
         "0x8007000d:1 Configuration file is not well-formed XML"},
        {BYTES("<!-- c -->\n<?pi?>" BROWSE("true") "<!-- d -->"), "enabled=true"},
        {BYTES(BROWSE("true") "x"), "0x8007000d:1 Configuration file is not well-formed XML"},
        {BYTES("<configuration xmlns=\"http://schemas.microsoft.com/.NetConfiguration/v2.0\" "
               "xmlns:t=\"u\"><system.webServer><directoryBrowse enabled='tr&#117;e'/>"
               "</system.webServer></configuration>"),
         "enabled=true"},
    };
    struct fixture f;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fixture_init(&f);
        char *text = str_dup_z(str_n(rows[i].bytes, rows[i].n));
        fixture_write(&f, "root/web.config", text);
        free(text);
        fixture_load(&f, "");
        check(&f, "/", rows[i].want);
        fixture_fini(&f);
    }
}

static void test_utf16(void **state)
{
    static const char text[] = "<?xml version=\"1.0\" encoding=\"utf-16\"?>" BROWSE("true");

    for (int big = 0; big < 2; big++) {
        for (int with_mark = 0; with_mark < 2; with_mark++) {
            struct fixture f;
            char path[128];
            fixture_init(&f);
            snprintf(path, sizeof(path), "%s/root/web.config", f.dir);
            FILE *out = fopen(path, "we");
            if (with_mark)
                fwrite(big ? "\xfe\xff" : "\xff\xfe", 1, 2, out);
            for (const char *p = text; *p; p++) {
                char pair[2] = {big ? '\0' : *p, big ? *p : '\0'};
                fwrite(pair, 1, 2, out);
            }
            fclose(out);
            fixture_load(&f, "");
            check(&f, "/", "enabled=true");
            fixture_fini(&f);
        }
    }
}

/* Entities that would grow a hundredfold never get the chance. */
static void test_bomb(void **state)
{
    struct fixture f;

    fixture_init(&f);
    fixture_write(&f, "root/web.config",
                  "<?xml version=\"1.0\"?>\n<!-- -->\n<!DOCTYPE l [<!ENTITY a \"lol\"><!ENTITY b "
                  "\"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY x SYSTEM \"file:///etc/passwd\">]>\n"
                  "<configuration a=\"&b;\">&x;</configuration>");
    fixture_load(&f, "");
    check(&f, "/", "0x8007000d:3 Configuration file is not well-formed XML");
    fixture_fini(&f);
}

static void write_padded(const struct fixture *f, size_t total)
{
    static const char head[] = BROWSE("true") "<!--", tail[] = "-->";
    char *text = xmalloc(total + 1);

    memset(text, ' ', total);
    text[total] = '\0';
    memcpy(text, head, sizeof(head) - 1);
    memcpy(text + total - 3, tail, 3);
    fixture_write(f, "root/web.config", text);
    free(text);
}

static void test_size_limit(void **state)
{
    struct fixture f;

    fixture_init(&f);
    write_padded(&f, 250 * 1024);
    fixture_load(&f, "");
    check(&f, "/", "enabled=true");
    write_padded(&f, 250 * 1024 + 1);
    config_invalidate(f.config, STR(""));
    check(&f, "/",
          "0x80070032:0 Cannot read configuration file because it exceeds the maximum "
          "file size");
    fixture_fini(&f);
}

static void test_unreadable(void **state)
{
    struct fixture f;
    char path[128];

    fixture_init(&f);
    fixture_load(&f, "<location path=\"S/missing\"><system.webServer><directoryBrowse/>"
                     "</system.webServer></location>");
    /* A folder of that name is no file. */
    fixture_write(&f, "root/sub/web.config/x", "");
    check(&f, "/sub", "0x80070002:0 Cannot read configuration file");
    /* A FIFO neither, and nobody waits for it. */
    snprintf(path, sizeof(path), "%s/other/web.config", f.dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    check(&f, "/other", "0x80070002:0 Cannot read configuration file");
    /* Levels that only a location makes have no file. */
    check(&f, "/missing", "");
    if (geteuid() != 0) {
        fixture_write(&f, "root/web.config", BROWSE("true"));
        snprintf(path, sizeof(path), "%s/root/web.config", f.dir);
        assert_int_equal(chmod(path, 0), 0);
        config_invalidate(f.config, STR(""));
        check(&f, "/",
              "0x80070005:0 Cannot read configuration file due to insufficient "
              "permissions");
    }
    fixture_fini(&f);
}

static void test_missing_root(void **state)
{
    struct fixture f;
    struct str before;

    fixture_init(&f);
    fixture_load(&f, "");
    char *gone = xasprintf("rm -r %s/root/app", f.dir);
    assert_int_equal(system(gone), 0);
    free(gone);
    check(&f, "/app/x", "0x80070003:0 Cannot read configuration file");
    /* The level above still answers for the error page. */
    const struct config_node *n = NULL;
    const struct config_error *e = NULL;
    assert_int_equal(config_node_get(f.config, 1, STR("/app/x"), &n, &e), RC_FAIL);
    assert_true(e->is_scan);
    assert_false(e->has_excerpt);
    assert_in(&f, e->file, "/root/app/web.config");
    assert_non_null(config_section(n, "system.webServer/httpErrors", &e));
    before = config_node_directory(n);
    assert_in(&f, before, "/root/app");
    config_node_unref(n);
    /* It heals without being told. */
    fixture_write(&f, "root/app/web.config", BROWSE("true"));
    check(&f, "/app/x", "enabled=true");
    /* And a file is no folder. */
    char *path = xasprintf("rm -r %s/other && touch %s/other", f.dir, f.dir);
    assert_int_equal(system(path), 0);
    free(path);
    check(&f, "/other", "0x8007010b:0 Cannot read configuration file");
    fixture_fini(&f);
}

#define SITE(pool, vdir)                                                                  \
    "<configuration><system.applicationHost><applicationPools><add name=\"P\" " pool      \
    "/></applicationPools><sites><site name=\"S\" id=\"1\"><application path=\"/\" "      \
    "applicationPool=\"P\"><virtualDirectory path=\"/\" physicalPath=\"$DIR/root\" " vdir \
    "/></application></site></sites></system.applicationHost></configuration>"

static void test_files_ignored(void **state)
{
    struct fixture f;

    fixture_init(&f);
    fixture_write(&f, "root/web.config", BROWSE("true"));
    fixture_write(&f, "root/sub/web.config", BROWSE("false"));
    assert_null(fixture_load_text(&f, SITE("", "")));
    check(&f, "/sub", "enabled=false");
    assert_null(fixture_load_text(&f, SITE("", "allowSubDirConfig=\"false\"")));
    check(&f, "/sub", "enabled=true");
    assert_null(fixture_load_text(&f, SITE("enableConfigurationOverride=\"false\"", "")));
    check(&f, "/sub", "");
    fixture_fini(&f);
}

/* One folder at two levels of a chain: its file counts twice. */
static void test_same_folder_twice(void **state)
{
    struct fixture f;
    struct buf got;

    fixture_init(&f);
    fixture_write(&f, "root/web.config",
                  "<configuration><system.webServer><staticContent><mimeMap fileExtension=\".a\" "
                  "mimeType=\"a\"/></staticContent></system.webServer></configuration>");
    assert_null(fixture_load_text(
        &f, "<configuration><system.applicationHost><sites><site name=\"S\" id=\"1\"><application "
            "path=\"/\"><virtualDirectory path=\"/\" physicalPath=\"$DIR/root\"/>"
            "<virtualDirectory path=\"/x\" physicalPath=\"$DIR/root\"/></application></site>"
            "</sites></system.applicationHost></configuration>"));
    buf_init(&got, 10000);
    render_at(&f, "/", "system.webServer/staticContent", &got);
    assert_true(str_eq(buf_view(&got), STR("[mimeMap{fileExtension=.a mimeType=a}]")));
    buf_clear(&got);
    render_at(&f, "/x", "system.webServer/staticContent", &got);
    assert_true(str_starts(buf_view(&got), STR("0x800700b7:1 ")));
    buf_fini(&got);
    fixture_fini(&f);
}

static void test_invalidate(void **state)
{
    struct fixture f;
    char dir[128];

    fixture_init(&f);
    fixture_write(&f, "root/sub/web.config", BROWSE("true"));
    fixture_load(&f, "");
    const struct config_node *held = get(&f, "/sub");
    check(&f, "/sub", "enabled=true");
    const struct config_error *e = NULL;
    const struct config_elem *old = config_section(held, BROWSE_PATH, &e);

    fixture_write(&f, "root/sub/web.config", BROWSE("false"));
    check(&f, "/sub", "enabled=true");
    snprintf(dir, sizeof(dir), "%s/root/app", f.dir);
    config_invalidate(f.config, str_z(dir));
    check(&f, "/sub", "enabled=true");
    snprintf(dir, sizeof(dir), "%s/root/su", f.dir);
    config_invalidate(f.config, str_z(dir));
    check(&f, "/sub", "enabled=true");
    snprintf(dir, sizeof(dir), "%s/root/", f.dir);
    config_invalidate(f.config, str_z(dir));
    check(&f, "/sub", "enabled=false");
    /* Who holds the old one keeps it. */
    assert_true(config_bool(old, "enabled"));
    assert_non_null(config_section(held, "system.webServer/httpErrors", &e));
    /* Even beyond its generation. */
    f.config = config_unref(f.config);
    assert_true(config_bool(old, "enabled"));
    assert_non_null(config_section(held, "system.webServer/caching", &e));
    config_node_unref(held);
    fixture_fini(&f);
}

struct browse {
    bool enabled;
    struct str url;
};

static unsigned loads;

static enum rc load_browse(const struct config_node *n, const struct config_elem *e,
                           struct arena *a, void *out, const struct config_error **ret_err)
{
    struct browse *b = out;

    loads++;
    b->enabled = config_bool(e, "enabled");
    b->url = arena_dup(a, config_node_url(n));
    if (config_flags(e, "showFlags") == 0) {
        *ret_err = config_error_at(a, e, "showFlags", CONFIG_E_INVALID_DATA, "nothing to show");
        return RC_FAIL;
    }
    return RC_OK;
}

static const struct config_typed_loader browse_loader = {
    .section = BROWSE_PATH, .size = sizeof(struct browse), .load = load_browse};

static void test_typed(void **state)
{
    struct fixture f;
    const struct config_error *e = NULL;

    fixture_init(&f);
    fixture_write(&f, "root/web.config", BROWSE("true"));
    fixture_write(&f, "root/sub/deep/web.config", BROWSE("false"));
    fixture_write(&f, "root/sub/bad/web.config",
                  "<configuration><system.webServer>\n <directoryBrowse showFlags=\"\"/>"
                  "</system.webServer></configuration>");
    fixture_load(&f, "");
    loads = 0;
    const struct config_node *top = get(&f, "/"), *sub = get(&f, "/sub");
    const struct config_node *deep = get(&f, "/sub/deep"), *bad = get(&f, "/sub/bad");
    const struct browse *b = config_typed(sub, &browse_loader, &e);
    assert_true(b->enabled);
    assert_true(str_eq(b->url, STR("/")));
    assert_ptr_equal(config_typed(top, &browse_loader, &e), b);
    assert_ptr_equal(config_typed(sub, &browse_loader, &e), b);
    assert_int_equal(loads, 1);
    b = config_typed(deep, &browse_loader, &e);
    assert_false(b->enabled);
    assert_int_equal(loads, 2);
    assert_null(e);
    assert_null(config_typed(bad, &browse_loader, &e));
    assert_true(str_eq(e->text, STR("nothing to show")));
    assert_int_equal(e->line, 2);
    assert_int_equal(e->at_column, 19);
    assert_null(config_typed(bad, &browse_loader, &e));
    assert_int_equal(loads, 3);
    config_node_unref(top);
    config_node_unref(sub);
    config_node_unref(deep);
    config_node_unref(bad);
    fixture_fini(&f);
}

/* Threads that read while another forgets. */
struct race {
    struct fixture *f;
    _Atomic bool stop;
    unsigned seen;
};

static void *reader(void *arg)
{
    static const char *const urls[] = {"/", "/sub/x", "/app", "/other/y", "/none"};
    struct race *r = arg;

    while (!r->stop) {
        for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
            const struct config_node *n = NULL;
            const struct config_error *e = NULL;
            if (config_node_get(r->f->config, 1, str_z(urls[i]), &n, &e) == RC_OK) {
                const struct config_elem *s = config_section(n, BROWSE_PATH, &e);
                r->seen += s && config_bool(s, "enabled");
                r->seen += config_typed(n, &browse_loader, &e) != NULL;
            }
            config_node_unref(n);
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct fixture f;
    pthread_t threads[2];
    struct race races[2] = {{.f = &f}, {.f = &f}};

    fixture_init(&f);
    fixture_write(&f, "root/web.config", BROWSE("true"));
    fixture_load(&f, "");
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &races[i]), 0);
    for (unsigned i = 0; i < 1000; i++)
        config_invalidate(f.config, STR(""));
    for (size_t i = 0; i < 2; i++) {
        races[i].stop = true;
        pthread_join(threads[i], NULL);
    }
    check(&f, "/sub", "enabled=true");
    fixture_fini(&f);
}

static void test_real_paths(void **state)
{
    static const char *const env[] = {"MY_DIR=D:\\data", "EMPTY=", NULL};
    static const struct {
        const char *text, *base, *want; /* want: a leading "$" is the drive folder */
    } rows[] = {
        {"C:\\inetpub\\wwwroot", "", "$/inetpub/wwwroot"},
        {"%SystemDrive%\\a", "", "$/a"},
        {"%systemroot%\\System32", "", "$/Windows/System32"},
        {"%windir%", "", "$/Windows"},
        {"%ProgramFiles%\\x", "", "$/Program Files/x"},
        {"d:/mixed\\slashes", "", "$/mixed/slashes"},
        {"C:", "", "$"},
        {"C:\\a\\..\\..\\..\\b", "", "$/b"},
        {"\\rooted", "", "$/rooted"},
        {"\\\\server\\share\\x", "", "$/UNC/server/share/x"},
        {"\\\\?\\C:\\long", "", "$/long"},
        {"/srv/www", "", "/srv/www"},
        {"/srv/./www//x/", "", "/srv/www/x"},
        {"/", "", "/"},
        {"rel\\x", "/base", "/base/rel/x"},
        {"..\\x", "/base/b", "/base/x"},
        {"../../../x", "/base", "/x"},
        {"", "/base", "/base"},
        {"%MY_DIR%\\f", "", "$/data/f"},
        {"/a/%UNKNOWN%/b", "", "/a/%UNKNOWN%/b"},
        {"/a%EMPTY%b", "", "/ab"},
        {"/100%", "", "/100%"},
        {" C:\\trimmed ", "", "$/trimmed"},
        {"C:\\WEB\\Sub\\New", "", "$/web/sub/New"},
        {"C:\\Web\\missing\\SUB", "", "$/web/missing/SUB"},
    };
    struct fixture f;
    struct arena a;

    fixture_init(&f);
    fixture_write(&f, "web/sub/x", "");
    struct paths *p = paths_new(f.dir, env);
    arena_init(&a, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char want[256];
        bool drive = rows[i].want[0] == '$';
        snprintf(want, sizeof(want), "%s%s", drive ? f.dir : "", rows[i].want + drive);
        struct str got = paths_real(p, &a, str_z(rows[i].text), str_z(rows[i].base));
        if (!str_eq(got, str_z(want))) {
            print_error("%s: got %.*s, want %s\n", rows[i].text, STR_ARG(got), want);
            fail();
        }
    }
    arena_fini(&a);
    paths_free(p);
    fixture_fini(&f);
}

/* Names that appear after a folder was looked through are found. */
static void test_fresh_names(void **state)
{
    struct fixture f;
    struct arena a;
    struct str got;

    fixture_init(&f);
    struct paths *p = paths_new("/", NULL);
    arena_init(&a, 0);
    for (unsigned i = 0; i < 50; i++) {
        char name[32], upper[32];
        snprintf(name, sizeof(name), "root/file%u", i);
        snprintf(upper, sizeof(upper), "ROOT/FILE%u", i);
        char before[40], after[40];
        snprintf(before, sizeof(before), "/root/FILE%u", i);
        snprintf(after, sizeof(after), "/%s", name);
        assert_true(paths_below(p, &a, str_z(f.dir), str_z(upper), &got));
        assert_in(&f, got, before);
        fixture_write(&f, name, "");
        assert_true(paths_below(p, &a, str_z(f.dir), str_z(upper), &got));
        assert_in(&f, got, after);
    }
    arena_fini(&a);
    paths_free(p);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),        cmocka_unit_test(test_path_text),
        cmocka_unit_test(test_escapes),       cmocka_unit_test(test_files_listed),
        cmocka_unit_test(test_encodings),     cmocka_unit_test(test_utf16),
        cmocka_unit_test(test_bomb),          cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_unreadable),    cmocka_unit_test(test_missing_root),
        cmocka_unit_test(test_files_ignored), cmocka_unit_test(test_same_folder_twice),
        cmocka_unit_test(test_invalidate),    cmocka_unit_test(test_typed),
        cmocka_unit_test(test_threads),       cmocka_unit_test(test_real_paths),
        cmocka_unit_test(test_fresh_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
