/* The URL cache: letter case, names that cannot be, changes, and that nobody can make it grow. */
#include "worker_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/config.h"
#include "worker/open_file.h"

#include "worker/plan.h"

#include "base/poison.h"

static struct url_entry *get(struct fx *f, const char *path)
{
    loop_turn(f->main, 0);
    return url_cache_get(f->t.urls, FX_SITE, str_z(path));
}

static void put(struct fx *f, struct url_entry *e)
{
    url_entry_unref(f->t.urls, e);
}

static const char *below(struct fx *f, const struct url_entry *e)
{
    return e->physical.n > strlen(f->root) ? e->physical.p + strlen(f->root) : "";
}

static void test_letter_case(void **state)
{
    static const struct {
        const char *url, *file;
    } rows[] = {
        {"/Readme.TXT", "/Readme.TXT"}, {"/readme.txt", "/Readme.TXT"},
        {"/SUB/FILE.htm", "/Sub/file.htm"}, {"/sub/nope", "/Sub/nope"},
        {"/two.txt", "/two.txt"}, {"/TWO.txt", "/TWO.txt"},
    };
    struct fx *f = fx_new(NULL, NULL);

    fx_file(f, "Readme.TXT", "x");
    fx_file(f, "Sub/file.htm", "x");
    fx_file(f, "two.txt", "x");
    fx_file(f, "TWO.txt", "x");
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct url_entry *e = get(f, rows[i].url);
        assert_string_equal(below(f, e), rows[i].file);
        put(f, e);
    }
    /* A file of the exact name takes over as soon as there is one. */
    struct url_entry *e = get(f, "/readme.txt");

    put(f, e);
    fx_file(f, "readme.txt", "y");
    e = get(f, "/readme.txt");
    assert_string_equal(below(f, e), "/readme.txt");
    put(f, e);
    fx_free(f);
}

/* Dot segments never come through cooking; if they did, there would be no entry. */
static void test_names(void **state)
{
    static const char *const forbidden[] = {"/..", "/../x", "/a/../b", "/a/./b", "/.", "x", ""};
    static const char *const invalid[] = {"/a.txt:stream", "/a.txt::$DATA", "/a.txt.", "/a.txt ",
                                          "/a.txt. .", "/sub./a", "/a*", "/a?b", "/a|b", "/a\"b",
                                          "/a<b", "/a\\b", "/a\x01"};
    struct fx *f = fx_new(NULL, NULL);

    fx_file(f, "a.txt", "x");
    fx_file(f, "a.txt:stream", "x");
    fx_file(f, "a.txt.", "x");
    for (unsigned i = 0; i < ARRAY_LEN(forbidden); i++)
        assert_null(get(f, forbidden[i]));
    assert_null(url_cache_get(f->t.urls, FX_SITE, STR("/a\0b")));
    assert_null(url_cache_get(f->t.urls, 77, STR("/")));
    for (unsigned i = 0; i < ARRAY_LEN(invalid); i++) {
        struct url_entry *e = get(f, invalid[i]);
        if (!e || e->kind != URL_KIND_MISSING || e->error != EINVAL)
            fail_msg("%s", invalid[i]);
        put(f, e);
        fx_assert_code(fx_get(f, i, "GET", strcmp(invalid[i], "/a?b") ? invalid[i] : "/a*", NULL),
                       404, 0);
        assert_int_equal(f->answers[i].head.win32, 123);
    }
    char longest[300] = "/";

    memset(longest + 1, 'x', 280);
    struct url_entry *e = get(f, longest);

    assert_int_equal(e->kind, URL_KIND_MISSING);
    put(f, e);
    fx_free(f);
}

static void test_kinds(void **state)
{
    struct fx *f = fx_new(NULL, NULL);
    char path[256];

    fx_file(f, "a.php", "x");
    fx_file(f, "dir/", NULL);
    snprintf(path, sizeof(path), "%s/pipe", f->root);
    assert_int_equal(mkfifo(path, 0644), 0);
    struct url_entry *e = get(f, "/dir");

    assert_int_equal(e->kind, URL_KIND_DIRECTORY);
    put(f, e);
    e = get(f, "/pipe");
    assert_int_equal(e->kind, URL_KIND_OTHER);
    put(f, e);
    fx_assert_code(fx_get(f, 1, "GET", "/pipe", NULL), 404, 0);
    e = get(f, "/a.php/x/y");
    assert_int_equal(e->kind, URL_KIND_MISSING);
    assert_int_equal(e->script_path_len, 6);
    put(f, e);
    e = get(f, "/a.php/");
    assert_int_equal(e->kind, URL_KIND_MISSING);
    assert_int_equal(e->script_path_len, 6);
    put(f, e);
    e = get(f, "/dir/x/y");
    assert_int_equal(e->script_path_len, 0);
    assert_true(e->missing_folder);
    put(f, e);
    fx_free(f);
}

static void test_hits_and_changes(void **state)
{
    struct fx *f = fx_new(NULL, NULL);

    fx_file(f, "a.txt", "one");
    struct url_entry *e = get(f, "/a.txt"), *again = get(f, "/a.txt");

    assert_ptr_equal(e, again);
    assert_int_equal(e->refs, 3);
    put(f, again);
    struct open_file *file = url_entry_file(f->t.urls, e);

    assert_memory_equal(file->content, "one", 3);
    assert_ptr_equal(url_entry_file(f->t.urls, e), file);
    /* Who holds the old entry keeps the old bytes. */
    fx_file(f, "a.txt", "three");
    again = get(f, "/a.txt");
    assert_ptr_not_equal(again, e);
    assert_int_equal(again->size, 5);
    assert_memory_equal(e->file->content, "one", 3);
    put(f, e);
    put(f, again);
    /* Other files in the folder do not cost the entry. */
    e = get(f, "/a.txt");
    put(f, e);
    clock_set_for_test(clock_mono_ns(), clock_wall_us() + 5000000);
    fx_file(f, "b.txt", "x");
    again = get(f, "/a.txt");
    assert_ptr_equal(e, again);
    put(f, again);
    clock_set_for_test(0, 0);
    fx_free(f);
}

/* Same length, and times that the file system's clock is too coarse to tell apart. */
static void test_written_twice_at_once(void **state)
{
    struct fx *f = fx_new(NULL, NULL);

    for (unsigned i = 0; i < 50; i++) {
        fx_file(f, "a.txt", i % 2 ? "one" : "two");
        struct url_entry *e = get(f, "/a.txt");
        struct open_file *file = url_entry_file(f->t.urls, e);
        assert_memory_equal(file->content, i % 2 ? "one" : "two", 3);
        put(f, e);
    }
    fx_free(f);
}

/* Without inotify, age decides. */
static void test_recheck_by_age(void **state)
{
    struct fx *f = fx_new(NULL, NULL);

    fx_file(f, "a.txt", "one");
    struct url_entry *e = url_cache_get(f->t.urls, FX_SITE, STR("/a.txt"));

    put(f, e);
    fx_file(f, "a.txt", "three");
    e = url_cache_get(f->t.urls, FX_SITE, STR("/a.txt")); /* events are not read here */
    assert_int_equal(e->size, 3);
    e->checked_ms -= 2000;
    put(f, e);
    e = url_cache_get(f->t.urls, FX_SITE, STR("/a.txt"));
    assert_int_equal(e->size, 5);
    put(f, e);
    fx_free(f);
}

static void test_renamed_folder(void **state)
{
    struct fx *f = fx_new(NULL, NULL);
    char from[256], to[256];

    fx_file(f, "dir/a.txt", "old");
    fx_file(f, "other/a.txt", "newer");
    struct url_entry *e = get(f, "/dir/a.txt");

    put(f, e);
    snprintf(from, sizeof(from), "%s/dir", f->root);
    snprintf(to, sizeof(to), "%s/was", f->root);
    assert_int_equal(rename(from, to), 0);
    snprintf(to, sizeof(to), "%s/other", f->root);
    assert_int_equal(rename(to, from), 0);
    e = get(f, "/dir/a.txt");
    assert_int_equal(e->size, 5);
    put(f, e);
    /* The new folder is watched in place of the one that moved away. */
    fx_file(f, "dir/a.txt", "newest");
    e = get(f, "/dir/a.txt");
    assert_int_equal(e->size, 6);
    put(f, e);
    fx_free(f);
}

static void test_configuration_changes(void **state)
{
    struct fx *f = fx_new(NULL, NULL);

    fx_file(f, "dir/a.txt", "x");
    struct url_entry *e = get(f, "/dir/a.txt");

    assert_null(e->config_error);
    put(f, e);
    fx_file(f, "dir/web.config", "<configuration><broken");
    config_invalidate(f->w.config, STR(""));
    worker_set_config(&f->w, NULL);
    e = get(f, "/dir/a.txt");
    assert_non_null(e->config_error);
    put(f, e);
    fx_file(f, "dir/web.config", "<configuration/>");
    config_invalidate(f->w.config, STR(""));
    worker_set_config(&f->w, NULL);
    e = get(f, "/dir/a.txt");
    assert_null(e->config_error);
    put(f, e);
    fx_free(f);
}

/* A scanner's misses neither grow memory nor push out what exists. */
static void test_misses_are_bounded(void **state)
{
    struct fx *f = fx_new(NULL, NULL);
    char path[64];

    fx_file(f, "a.txt", "x");
    struct url_entry *e = get(f, "/a.txt");

    put(f, e);
    size_t before = 0;

    for (unsigned i = 0; i < 20000; i++) {
        snprintf(path, sizeof(path), "/miss%u/x%u.php", i % 7000, i);
        struct url_entry *m = get(f, path);
        assert_int_equal(m->kind, URL_KIND_MISSING);
        put(f, m);
        if (i == 5000)
            before = mallinfo2().uordblks;
    }
    size_t after = mallinfo2().uordblks;

    assert_true(after < before + 256 * 1024);
    struct url_entry *again = get(f, "/a.txt");

    assert_ptr_equal(again, e);
    put(f, again);
    fx_free(f);
}

/* Names that do not exist, in many folders that do: their pipelines count, and it is those names
 * that go, not the site. */
static void test_scanned_folders(void **state)
{
    enum { THREADS = 64, PLANS = 4096 / THREADS, FOLDERS = PLANS * 2 };
    struct fx *f = fx_new(NULL, NULL);
    char name[64];

    fx_file(f, "a.txt", "a");
    for (unsigned i = 0; i < FOLDERS; i++) {
        snprintf(name, sizeof(name), "d%u/", i);
        fx_file(f, name, NULL);
    }
    f->w.n_threads = THREADS; /* limits are shared between them */
    struct url_entry *file = url_cache_get(f->t.urls, FX_SITE, STR("/a.txt"));

    for (unsigned i = 0; i < FOLDERS; i++) {
        snprintf(name, sizeof(name), "/d%u/none", i);
        url_entry_unref(f->t.urls, url_cache_get(f->t.urls, FX_SITE, str_z(name)));
        assert_true(plan_table_count(f->t.plans) <= PLANS + 1);
    }
    struct url_entry *again = url_cache_get(f->t.urls, FX_SITE, STR("/a.txt"));

    assert_ptr_equal(again, file);
    url_entry_unref(f->t.urls, again);
    url_entry_unref(f->t.urls, file);
    f->w.n_threads = 1;
    fx_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scanned_folders),
        cmocka_unit_test(test_letter_case),      cmocka_unit_test(test_names),
        cmocka_unit_test(test_kinds),            cmocka_unit_test(test_hits_and_changes),
        cmocka_unit_test(test_written_twice_at_once),
        cmocka_unit_test(test_recheck_by_age),   cmocka_unit_test(test_renamed_folder),
        cmocka_unit_test(test_configuration_changes),
        cmocka_unit_test(test_misses_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
