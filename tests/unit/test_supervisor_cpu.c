#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/str.h"
#include "supervisor/cgroup.h"
#include "supervisor/cpu_limit.h"
#include "base/poison.h"

/* ---- what a window allows ------------------------------------------------------------------- */

static void budgets(void **state)
{
    static const struct {
        uint32_t limit;
        uint64_t interval_ms;
        unsigned processors;
        uint64_t us;
    } rows[] = {
        {50000, 60000, 2, 60000000}, /* half of two processors for a minute */
        {100000, 60000, 1, 60000000},
        {1, 60000, 2, 1200},
        {1, 86400000, 1, 864000},
        {0, 60000, 4, 0},
        {100000, 86400000, UINT16_MAX, UINT64_C(86400000000) * UINT16_MAX},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(
            cpu_limit_budget_us(rows[i].limit, rows[i].interval_ms, rows[i].processors),
            rows[i].us);
}

/* ---- control groups, over a folder that looks like the kernel's ------------------------------ */

static char *folder;

static int make_folder(void **state)
{
    folder = xstrdup("/tmp/candor-cgroup-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char *command = xasprintf("rm -rf %s", folder);
    int rc = system(command);

    free(command);
    free(folder);
    return rc;
}

static void put(const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", folder, name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    free(path);
}

static void assert_file(const char *name, const char *want)
{
    char *path = xasprintf("%s/%s", folder, name), text[256] = "";
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    free(path);
    text[n] = '\0';
    assert_string_equal(text, want);
}

static void a_group_is_made_used_and_removed(void **state)
{
    struct cgroup g = {0};
    uint64_t us = 0;

    assert_true(cgroup_make(&g, folder, "pool"));
    assert_false(cgroup_cpu_us(&g, &us)); /* the kernel would have put it there */
    put("pool/cpu.stat", "user_usec 7\nusage_usec 123456\nsystem_usec 8\n");
    put("pool/cgroup.procs", "");
    put("pool/cpu.max", "");
    put("pool/cpu.weight", "");
    assert_true(cgroup_cpu_us(&g, &us));
    assert_int_equal(us, 123456);
    assert_true(cgroup_add(&g, 4711));
    assert_file("pool/cgroup.procs", "4711");
    assert_true(cgroup_limit_cpu(&g, 50000));
    assert_file("pool/cpu.max", "50000 100000");
    put("pool/cpu.max", "");
    assert_true(cgroup_limit_cpu(&g, UINT64_MAX));
    assert_file("pool/cpu.max", "max 100000");
    assert_true(cgroup_weigh_cpu(&g, 25));
    assert_file("pool/cpu.weight", "25");
    struct cgroup same = {0};

    assert_true(cgroup_make(&same, folder, "pool")); /* left over by somebody killed */
    cgroup_remove(&same);
    cgroup_remove(&g);
    assert_null(g.path);
}

static void accounts_that_make_no_sense(void **state)
{
    static const char *const texts[] = {"", "usage_usec\n", "usage_usec x\n", "usage_usec -1\n",
                                        "user_usec 7\n"};
    struct cgroup g = {0};
    uint64_t us = 42;

    assert_true(cgroup_make(&g, folder, "odd"));
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        put("odd/cpu.stat", texts[i]);
        assert_false(cgroup_cpu_us(&g, &us));
    }
    cgroup_remove(&g);
}

static void limits_are_enabled_for_those_below(void **state)
{
    assert_false(cgroup_enable_cpu(folder, "rest")); /* no such file */
    put("cgroup.subtree_control", "");
    assert_true(cgroup_enable_cpu(folder, "rest"));
    assert_file("cgroup.subtree_control", "+cpu");
}

static void no_group_without_a_folder(void **state)
{
    struct cgroup g = {0};

    assert_false(cgroup_make(&g, "/proc/self/nowhere", "x"));
    assert_null(g.path);
    cgroup_remove(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budgets),
        cmocka_unit_test_setup_teardown(a_group_is_made_used_and_removed, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(accounts_that_make_no_sense, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(limits_are_enabled_for_those_below, make_folder,
                                        remove_folder),
        cmocka_unit_test(no_group_without_a_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
