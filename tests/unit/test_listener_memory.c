/* When the listener stops taking connections for want of memory. */
#include "listener/memory_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define MB (1024ull * 1024)

static void what_the_machine_has(void **state)
{
    static const struct {
        const char *text;
        uint64_t want;
    } rows[] = {
        {"MemTotal:       16384 kB\nMemFree:  1 kB\nMemAvailable:    2048 kB\nBuffers: 3 kB\n",
         2 * MB},
        {"MemAvailable: 0 kB\n", 0},
        {"MemAvailable: 7", 7 * 1024},
        {"MemAvailable: x kB\n", UINT64_MAX},
        {"MemAvailable: 18446744073709551615 kB\n", UINT64_MAX},
        {"NotMemAvailable: 7 kB\n", UINT64_MAX},
        {"", UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (memory_available(str_z(rows[i].text)) != rows[i].want)
            fail_msg("%s", rows[i].text);
}

static void what_a_group_has(void **state)
{
    static const struct {
        const char *limit, *usage, *stat;
        uint64_t want;
    } rows[] = {
        {"104857600\n", "94371840\n", "anon 1\ninactive_file 0\n", 10 * MB},
        {"104857600\n", "94371840\n", "anon 1\ninactive_file 5242880\n", 15 * MB},
        {"104857600\n", "104857600\n", "inactive_file 0\n", 0},
        {"104857600\n", "109051904\n", "", 0},                             /* over it */
        {"104857600\n", "1048576\n", "inactive_file 2097152\n", 100 * MB}, /* counted later */
        {"104857600\n", "94371840\n", "inactive_file 1\ntotal_inactive_file 5242880\n", 15 * MB},
        {"max\n", "94371840\n", "", UINT64_MAX},
        {"9223372036854771712\n", "94371840\n", "", UINT64_MAX}, /* version 1's "none" */
        {"", "1\n", "", UINT64_MAX},
        {"104857600\n", "", "", UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t got =
            memory_group_left(str_z(rows[i].limit), str_z(rows[i].usage), str_z(rows[i].stat));
        if (got != rows[i].want)
            fail_msg("row %zu: %llu", i, (unsigned long long)got);
    }
}

static void floors(void **state)
{
    (void)state;
    assert_true(memory_is_short(20 * MB - 1, false, false));
    assert_false(memory_is_short(20 * MB, false, false));
    assert_true(memory_is_short(8 * MB - 1, true, false));
    assert_false(memory_is_short(8 * MB, true, false));
    /* It does not waver around the floor. */
    assert_true(memory_is_short(25 * MB - 1, false, true));
    assert_false(memory_is_short(25 * MB, false, true));
    assert_true(memory_is_short(10 * MB - 1, true, true));
    assert_false(memory_is_short(10 * MB, true, true));
    assert_false(memory_is_short(UINT64_MAX, false, true));
}

static void set_available(int fd, unsigned kb)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "MemAvailable: %9u kB\n", kb);

    assert_int_equal(pwrite(fd, text, (size_t)n, 0), n);
}

static void looking(void **state)
{
    char path[] = "/tmp/test_memory_guard_XXXXXX";
    int fd = mkstemp(path);
    struct memory_guard g = {.meminfo = fd};

    (void)state;
    assert_true(fd >= 0);
    unlink(path);
    set_available(fd, 1 << 20);
    assert_false(memory_guard_look(&g, 1000, false));
    set_available(fd, 1024);
    assert_false(memory_guard_look(&g, 1999, false)); /* not due */
    assert_false(memory_guard_refuses(&g));
    assert_true(memory_guard_look(&g, 2000, false));
    assert_true(memory_guard_refuses(&g));
    set_available(fd, 21 * 1024);
    assert_false(memory_guard_look(&g, 2100, false)); /* soon again, but not yet enough */
    assert_true(memory_guard_refuses(&g));
    set_available(fd, 100 * 1024);
    assert_true(memory_guard_look(&g, 2200, false));
    assert_false(memory_guard_refuses(&g));
    set_available(fd, 10 * 1024);
    assert_false(memory_guard_look(&g, 2300, true)); /* aggressive */
    assert_true(memory_guard_look(&g, 2400, false));
    memory_guard_close(&g);
    /* Nothing is known: nothing is refused. */
    g = (struct memory_guard){.meminfo = -1};
    assert_false(memory_guard_look(&g, 1, false));
    assert_false(memory_guard_refuses(&g));
}

static void one_line_a_second(void **state)
{
    struct memory_guard g = {.meminfo = -1};

    (void)state;
    assert_true(memory_guard_may_log(&g, 5000));
    assert_false(memory_guard_may_log(&g, 5000));
    assert_false(memory_guard_may_log(&g, 5999));
    assert_true(memory_guard_may_log(&g, 6000));
}

/* What this machine says is believable, and its files stay open. */
static void this_machine(void **state)
{
    struct memory_guard g;

    (void)state;
    memory_guard_open(&g);
    assert_true(g.meminfo >= 0);
    assert_false(memory_guard_look(&g, 1, true));
    memory_guard_close(&g);
    assert_int_equal(g.n_groups, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_machine_has),
        cmocka_unit_test(what_a_group_has),
        cmocka_unit_test(floors),
        cmocka_unit_test(looking),
        cmocka_unit_test(one_line_a_second),
        cmocka_unit_test(this_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
