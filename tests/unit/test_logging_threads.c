/* Many threads into the same logs, while settings change and files are reopened: no line is lost,
 * torn or written twice, and each thread's lines keep their order. */
#include "test_logging.h"

#include <stdatomic.h>

enum { THREADS = 4, LINES = 20000, SITES = 3 };

struct producer {
    struct log_test *t;
    unsigned thread;
    _Atomic bool is_done;
};

static void *produce(void *arg)
{
    struct producer *p = arg;
    struct logging *lg = p->t->lg;
    char stem[64];
    struct log_record r = sample_record();
    struct log_httperr_record e = {.reason = STR("URL")};

    for (unsigned i = 0; i < LINES; i++) {
        /* Midnight passes in the middle. */
        r.wall_us = e.wall_us = utc_us(2026, 10, 7, 23, 59, 50) + (int64_t)i * 1000;
        r.stem = e.uri = str_n(stem, (size_t)snprintf(stem, sizeof stem, "/t%u/%u", p->thread, i));
        logging_site(lg, p->thread, logging_site_find(lg, 1 + i % SITES), &r);
        if (i % 16 == 0)
            logging_httperr(lg, p->thread, &e);
        if (i % 64 == 0)
            logging_tick(lg, p->thread, 1000 + i);
    }
    /* Until it is stopped a thread goes on ticking. */
    for (unsigned i = 0; i < 20; i++) {
        logging_tick(lg, p->thread, 1000 + LINES + i * 300);
        usleep(1000);
    }
    return NULL;
}

#define SETTINGS(flags)                                                                     \
    "{'sites': [{'id': 1, 'logFile': {'directory': '$', 'logExtFileFlags': '" flags "'}}, " \
    "{'id': 2, 'logFile': {'directory': '$', 'logExtFileFlags': 'UriStem', "                \
    "'flushByEntryCountW3CLog': 7}}, "                                                      \
    "{'id': 3, 'logFile': {'directory': '$', 'logExtFileFlags': 'UriStem', 'period': "      \
    "'MaxSize'}}],"                                                                         \
    "'httperr': {'ErrorLoggingDir': '$', 'ErrorLoggingFields': 8388608, 'columns': '2008'}}"

/* Counts the lines of all files below a folder and checks their order. */
static size_t check_lines(const struct log_test *t, const char *const *names, unsigned step)
{
    unsigned next[THREADS] = {0};
    size_t n = 0;

    for (; *names; names++) {
        _cleanup_free_ char *text = log_test_read(t, *names);

        assert_non_null(text);
        struct str rest = str_z(text), line;

        while (str_split(&rest, '\n', &line)) {
            struct str head, thread, number;
            uint64_t th, i;

            if (!line.n || line.p[0] == '#')
                continue;
            line = str_trim_all(line);
            size_t at = str_find(line, STR("/t"));

            assert_true(at != SIZE_MAX);
            struct str stem = str_sub(line, at + 2, line.n), left = stem;

            assert_true(str_split(&left, '/', &thread));
            head = left;
            assert_true(str_split(&head, ' ', &number));
            assert_true(str_u64(thread, THREADS - 1, &th));
            assert_true(str_u64(number, LINES - 1, &i));
            /* Settings add columns, so a new block may come in between; order stays. */
            assert_true(i >= next[th]);
            next[th] = (unsigned)i + step;
            n++;
        }
    }
    return n;
}

static void no_line_is_lost_or_torn(void **state)
{
    struct log_test t;
    struct producer p[THREADS];
    pthread_t ids[THREADS];
    static const char *const site1[] = {"W3SVC1/u_ex261007.log", "W3SVC1/u_ex261008.log", NULL};
    static const char *const site2[] = {"W3SVC2/u_ex261007.log", "W3SVC2/u_ex261008.log", NULL};
    static const char *const site3[] = {"W3SVC3/u_extend1.log", NULL};
    static const char *const errors[] = {"HTTPERR/httperr1.log", NULL};

    log_test_init(&t);
    t.options.threads = THREADS;
    log_test_start(&t, SETTINGS("UriStem"));
    for (unsigned i = 0; i < THREADS; i++) {
        p[i] = (struct producer){.t = &t, .thread = i};
        assert_int_equal(pthread_create(&ids[i], NULL, produce, &p[i]), 0);
    }
    for (int i = 0; i < 30; i++) {
        switch (i % 3) {
        case 0:
            log_test_apply(&t, SETTINGS("Time,UriStem"));
            break;
        case 1:
            log_test_apply(&t, SETTINGS("UriStem,HttpStatus"));
            break;
        default:
            logging_reopen(t.lg);
            logging_flush(t.lg);
        }
        (void)logging_count(t.lg);
        usleep(2000);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(ids[i], NULL), 0);
    assert_true(logging_wait_written(t.lg, PATIENCE_MS));
    struct logging_counts c = logging_count(t.lg);

    assert_int_equal(c.lines_lost, 0);
    assert_int_equal(c.lines_written, THREADS * (LINES + LINES / 16));
    assert_int_equal(t.n_events, 0);
    log_test_stop(&t);
    size_t n = check_lines(&t, site1, 1) + check_lines(&t, site2, 1) + check_lines(&t, site3, 1);

    assert_int_equal(n, THREADS * LINES);
    assert_int_equal(check_lines(&t, errors, 1), THREADS * LINES / 16);
    log_test_fini(&t);
}

/* All threads press into a disk that takes nothing; it recovers while they do. */
static void *press(void *arg)
{
    struct producer *p = arg;
    struct logging *lg = p->t->lg;
    struct log_record r = sample_record();
    struct log_site *site = logging_site_find(lg, 1);

    for (uint64_t now = 1000; !atomic_load(&p->is_done); now += 100) {
        for (int i = 0; i < 50; i++)
            logging_site(lg, p->thread, site, &r);
        logging_tick(lg, p->thread, now);
        usleep(200);
    }
    return NULL;
}

static void losses_under_pressure_are_counted(void **state)
{
    struct log_test t;
    struct producer p[THREADS];
    pthread_t ids[THREADS];

    log_test_init(&t);
    t.options.threads = THREADS;
    t.options.max_waiting_bytes = 512 << 10;
    _cleanup_free_ char *folder = xasprintf("%s/W3SVC1", t.dir);
    _cleanup_free_ char *file = xasprintf("%s/u_ex150813.log", folder);

    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(symlink("/dev/full", file), 0);
    log_test_start(&t, "{'sites': [{'id': 1, 'logFile': {'directory': '$'}}]}");
    for (unsigned i = 0; i < THREADS; i++) {
        p[i] = (struct producer){.t = &t, .thread = i};
        assert_int_equal(pthread_create(&ids[i], NULL, press, &p[i]), 0);
    }
    for (int i = 0; logging_count(t.lg).lines_lost == 0; i++) {
        assert_true(i < PATIENCE_MS / 5);
        usleep(5000);
    }
    unlink(file);
    uint64_t written = logging_count(t.lg).lines_written;

    for (int i = 0; logging_count(t.lg).lines_written == written; i++) {
        assert_true(i < PATIENCE_MS / 5);
        usleep(5000);
    }
    for (unsigned i = 0; i < THREADS; i++)
        atomic_store(&p[i].is_done, true);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(ids[i], NULL), 0);
    for (int i = 0; log_test_count(&t, LOG_EVENT_RECOVERED) == 0; i++) {
        assert_true(i < PATIENCE_MS / 5);
        usleep(5000);
        log_test_tick(&t);
    }
    uint64_t counted = 0;

    for (size_t i = 0; i < t.n_events; i++)
        counted += t.events[i].code == LOG_EVENT_RECOVERED ? t.events[i].count : 0;
    assert_int_equal(counted, logging_count(t.lg).lines_lost);
    log_test_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_line_is_lost_or_torn),
        cmocka_unit_test(losses_under_pressure_are_counted),
    };

    setenv("TZ", "UTC0", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
