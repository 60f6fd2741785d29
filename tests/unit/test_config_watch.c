/* Changed files are noticed: written, created, moved, deleted, touched, and folders replaced. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/watch.h"
#include "config_fixture.h"
#include "stopwatch.h"

#define BROWSE(x)                                                    \
    "<configuration><system.webServer><directoryBrowse enabled=\"" x \
    "\"/></system.webServer></configuration>"
#define BROWSE_PATH "system.webServer/directoryBrowse"

struct watched {
    struct fixture f;
    struct loop *loop;
    struct config_watch *watch;
    unsigned changes, server_changes;
};

static void on_change(void *arg, const struct config_change *change)
{
    struct watched *w = arg;

    w->changes++;
    w->server_changes += change->is_server_file;
    config_invalidate(w->f.config, change->dir);
}

static void begin(struct watched *w)
{
    *w = (struct watched){0};
    fixture_init(&w->f);
    fixture_write(&w->f, "root/web.config", BROWSE("true"));
    fixture_load(&w->f, "");
    w->loop = loop_new();
    w->watch = config_watch_new(w->loop, w->f.config, on_change, w);
    assert_non_null(w->watch);
}

static void end(struct watched *w)
{
    w->watch = config_watch_free(w->watch);
    loop_free(w->loop);
    fixture_fini(&w->f);
}

static bool shows(struct watched *w, const char *url, const char *want)
{
    struct buf got;

    buf_init(&got, 100000);
    render_at(&w->f, url, BROWSE_PATH, &got);
    bool same = str_eq(buf_view(&got), str_z(want));
    buf_fini(&got);
    return same;
}

/* Within a second, as promised to users. */
static void assert_becomes(struct watched *w, const char *url, const char *want)
{
    struct stopwatch watch = stopwatch_start();

    while (!shows(w, url, want)) {
        if (stopwatch_ms(&watch) > 1000) {
            print_error("%s never became %s\n", url, want);
            fail();
        }
        loop_turn(w->loop, 20);
    }
}

static void rename_in(const struct watched *w, const char *from, const char *to)
{
    char a[128], b[128];

    snprintf(a, sizeof(a), "%s/%s", w->f.dir, from);
    snprintf(b, sizeof(b), "%s/%s", w->f.dir, to);
    assert_int_equal(rename(a, b), 0);
}

static void test_files(void **state)
{
    struct watched w;
    char path[128];

    begin(&w);
    assert_true(shows(&w, "/sub", "enabled=true"));
    fixture_write(&w.f, "root/web.config", BROWSE("false")); /* written */
    assert_becomes(&w, "/sub", "enabled=false");
    fixture_write(&w.f, "root/sub/web.config", BROWSE("true")); /* created */
    assert_becomes(&w, "/sub", "enabled=true");
    fixture_write(&w.f, "root/sub/new", BROWSE("false"));
    rename_in(&w, "root/sub/new", "root/sub/web.config"); /* replaced */
    assert_becomes(&w, "/sub", "enabled=false");
    snprintf(path, sizeof(path), "%s/root/sub/web.config", w.f.dir);
    assert_int_equal(unlink(path), 0); /* deleted */
    fixture_write(&w.f, "root/web.config", BROWSE("true"));
    assert_becomes(&w, "/sub", "enabled=true");
    fixture_write(&w.f, "root/sub/Web.Config", "<broken"); /* in another spelling */
    assert_becomes(&w, "/sub", "0x8007000d:1 Configuration file is not well-formed XML");
    rename_in(&w, "root/sub/Web.Config", "root/sub/else"); /* moved away */
    assert_becomes(&w, "/sub", "enabled=true");
    end(&w);
}

static void test_touch(void **state)
{
    struct watched w;
    char path[128];

    begin(&w);
    assert_true(shows(&w, "/", "enabled=true"));
    snprintf(path, sizeof(path), "%s/root/web.config", w.f.dir);
    assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
    for (unsigned i = 0; i < PATIENCE_MS / 20 && !w.changes; i++)
        loop_turn(w.loop, 20);
    assert_true(w.changes > 0);
    end(&w);
}

/* A file that is no configuration changes nothing. */
static void test_other_files(void **state)
{
    struct watched w;

    begin(&w);
    assert_true(shows(&w, "/", "enabled=true"));
    fixture_write(&w.f, "root/index.html", "x");
    for (unsigned i = 0; i < 8; i++)
        loop_turn(w.loop, 20);
    assert_int_equal(w.changes, 0);
    end(&w);
}

static void test_folders(void **state)
{
    struct watched w;

    begin(&w);
    fixture_write(&w.f, "root/sub/web.config", BROWSE("false"));
    fixture_write(&w.f, "root/next/web.config", BROWSE("true"));
    assert_true(shows(&w, "/sub", "enabled=false"));
    rename_in(&w, "root/sub", "root/old");
    rename_in(&w, "root/next", "root/sub");
    assert_becomes(&w, "/sub", "enabled=true");
    /* The one that took its place is watched in turn. */
    fixture_write(&w.f, "root/sub/web.config", BROWSE("false"));
    assert_becomes(&w, "/sub", "enabled=false");
    end(&w);
}

/* A deployment that switches a symbolic link over. */
static void test_link(void **state)
{
    struct watched w;
    char link_path[128], next[128];

    begin(&w);
    fixture_write(&w.f, "v1/in/web.config", BROWSE("false"));
    fixture_write(&w.f, "v2/in/web.config", BROWSE("true"));
    snprintf(link_path, sizeof(link_path), "%s/root/current", w.f.dir);
    snprintf(next, sizeof(next), "%s/root/next", w.f.dir);
    assert_int_equal(symlink("../v1", link_path), 0);
    assert_true(shows(&w, "/current/in", "enabled=false"));
    assert_int_equal(symlink("../v2", next), 0);
    assert_int_equal(rename(next, link_path), 0);
    assert_becomes(&w, "/current/in", "enabled=true");
    fixture_write(&w.f, "v2/in/web.config", BROWSE("false"));
    assert_becomes(&w, "/current/in", "enabled=false");
    end(&w);
}

/* A path that only a <location> named becomes a folder. */
static void test_new_folder(void **state)
{
    struct watched w;

    begin(&w);
    fixture_write(&w.f, "root/web.config",
                  "<configuration><location path=\"late\"><system.webServer><directoryBrowse "
                  "enabled=\"true\"/></system.webServer></location></configuration>");
    assert_becomes(&w, "/late/x", "enabled=true");
    fixture_write(&w.f, "root/prepared/web.config", BROWSE("false"));
    rename_in(&w, "root/prepared", "root/late");
    assert_becomes(&w, "/late/x", "enabled=false");
    end(&w);
}

static void test_server_file(void **state)
{
    struct watched w;
    char path[128];

    begin(&w);
    snprintf(path, sizeof(path), "%s/http.reg", w.f.dir);
    assert_true(config_watch_file(w.watch, path));
    fixture_write(&w.f, "http.reg", "x");
    for (unsigned i = 0; i < PATIENCE_MS / 20 && !w.server_changes; i++)
        loop_turn(w.loop, 20);
    assert_true(w.server_changes > 0);
    end(&w);
}

/* After a switch the new generation is told, and the old one is free to go. */
static void test_switch(void **state)
{
    struct watched w;

    begin(&w);
    struct config *old = config_ref(w.f.config);
    fixture_load(&w.f, "");
    config_watch_switch(w.watch, w.f.config);
    config_unref(old);
    assert_true(shows(&w, "/", "enabled=true"));
    fixture_write(&w.f, "root/web.config", BROWSE("false"));
    assert_becomes(&w, "/", "enabled=false");
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),       cmocka_unit_test(test_touch),
        cmocka_unit_test(test_other_files), cmocka_unit_test(test_folders),
        cmocka_unit_test(test_link),        cmocka_unit_test(test_server_file),
        cmocka_unit_test(test_new_folder),  cmocka_unit_test(test_switch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
