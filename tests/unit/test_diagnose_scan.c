/* Reading files with threads: stretches, samples, what is in the way. */
#include "diagnose/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "diagnose/unit.h"

enum { RECORDS = 80000 };

static char changing[] = "/tmp/candor-scan-XXXXXX", steady[] = "/tmp/candor-scan-XXXXXX";

/* A log of about 8 MB whose layout changes at that record. */
static int make_log(char *path, int change_at)
{
    int fd = mkstemp(path);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

    if (!f)
        return -1;
    fputs("#Fields: date time cs-uri-stem c-ip cs(User-Agent) sc-status time-taken\n", f);
    for (int i = 0; i < RECORDS; i++) {
        if (i == change_at)
            fputs("#Fields: date time sc-status cs-uri-stem c-ip cs(User-Agent) time-taken\n", f);
        const char *agent = "An+agent+that+makes+the+line+long+enough+for+the+file+to+be+large";
        int status = i % 10 ? 200 : 404;
        if (i < change_at)
            fprintf(f, "2026-03-14 %02d:%02d:%02d /p%d 192.0.2.%d %s %d %d\n", i / 3600 % 24,
                    i / 60 % 60, i % 60, i % 5, i % 100, agent, status, i % 50);
        else
            fprintf(f, "2026-03-14 %02d:%02d:%02d %d /p%d 192.0.2.%d %s %d\n", i / 3600 % 24,
                    i / 60 % 60, i % 60, status, i % 5, i % 100, agent, i % 50);
    }
    return fclose(f);
}

static int make_logs(void **state)
{
    return make_log(changing, RECORDS / 3) || make_log(steady, RECORDS);
}

static int remove_logs(void **state)
{
    return unlink(changing) | unlink(steady);
}

static struct model *scan(struct arena *arena, const char *path, unsigned threads, uint64_t sample)
{
    struct scan_options options = {.top = 10, .threads = threads, .sample_bytes = sample};
    const char *paths[] = {path};

    filter_init(&options.filter);
    filter_finish(&options.filter);
    arena_init(arena, 0);
    return scan_paths(paths, 1, &options, arena);
}

/* Whatever the number of threads, and so of tallies that are merged. */
static void test_threads(void **state)
{
    for (unsigned threads = 1; threads <= 8; threads++) {
        struct arena arena;
        const struct model *m = scan(&arena, changing, threads, 0);

        assert_int_equal(m->requests, RECORDS);
        assert_int_equal(m->files[0].not_understood, 0);
        assert_int_equal(m->status_4xx, RECORDS / 10);
        assert_int_equal(m->clients, 100);
        assert_int_equal(m->url_n, 5);
        assert_int_equal(m->urls[0].count, RECORDS / 5);
        assert_int_equal(m->latency.max_ms, 49);
        assert_int_equal(m->statuses[1].samples.at[0].line, 2);
        uint64_t sum = 0;
        for (size_t i = 0; i < m->bucket_n; i++)
            sum += m->timeline[i].requests;
        assert_int_equal(sum, RECORDS);
        arena_fini(&arena);
    }
}

/* What stretches that were left out say of the layout is not known: the first header counts. */
static void test_sample(void **state)
{
    struct arena arena;
    const struct model *m = scan(&arena, steady, 2, 1 << 20);

    assert_true(m->is_sampled);
    assert_in_range(m->requests, RECORDS / 20, RECORDS / 4);
    assert_in_range(m->status_4xx * 10, m->requests - m->requests / 50,
                    m->requests + m->requests / 50);
    assert_int_equal(m->statuses[0].samples.n, 0);
    arena_fini(&arena);
    m = scan(&arena, steady, 2, 1 << 30);
    assert_false(m->is_sampled);
    assert_int_equal(m->requests, RECORDS);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_sample),
    };

    return cmocka_run_group_tests(tests, make_logs, remove_logs);
}
