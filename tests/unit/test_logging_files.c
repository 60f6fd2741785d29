/* Which file a line ends up in: names, roll-over, blocks, central logs, settings that change, files
 * that fail. */
#include "test_logging.h"

#include <errno.h>
#include <sys/resource.h>

#include "logging/log_time.h"

#define SITE(members)                                                                 \
    "{'sites': [{'id': 1, 'name': 'Default Web Site', 'logFile': {'directory': '$', " \
    "'logExtFileFlags': 'Date,Time,UriStem'" members "}}], 'computerName': 'SERVER'}"
#define FIELDS "date time cs-uri-stem"

static void log_at(struct log_test *t, int64_t wall_us, const char *stem)
{
    struct log_record r = sample_record();

    r.wall_us = wall_us;
    r.stem = str_z(stem);
    log_test_site(t, &r);
}

static void names_of_every_period(void **state)
{
    /* 22:30 UTC on the last of the month is half past midnight of the next one two hours east. */
    static const struct {
        const char *members, *log, *want;
    } rows[] = {
        {"", "", "W3SVC1/u_ex260930.log"},
        {", 'period': 'Hourly'", "", "W3SVC1/u_ex26093022.log"},
        {", 'period': 'Daily'", "", "W3SVC1/u_ex260930.log"},
        {", 'period': 'Weekly'", "", "W3SVC1/u_ex260905.log"},
        {", 'period': 'Monthly'", "", "W3SVC1/u_ex2609.log"},
        {", 'period': 'MaxSize'", "", "W3SVC1/u_extend1.log"},
        {", 'period': 'Hourly', 'localTimeRollover': true", "", "W3SVC1/u_ex26100100.log"},
        {", 'period': 'Daily', 'localTimeRollover': true", "", "W3SVC1/u_ex261001.log"},
        {", 'period': 'Weekly', 'localTimeRollover': true", "", "W3SVC1/u_ex261001.log"},
        {", 'period': 'Monthly', 'localTimeRollover': true", "", "W3SVC1/u_ex2610.log"},
        {"", "'logInUTF8': false", "W3SVC1/ex260930.log"},
        {", 'period': 'MaxSize'", "'logInUTF8': false", "W3SVC1/extend1.log"},
        {", 'logFormat': 'IIS'", "", "W3SVC1/u_in260930.log"},
        {", 'logFormat': 'IIS', 'period': 'MaxSize'", "", "W3SVC1/u_inetsv1.log"},
        {", 'logFormat': 'NCSA'", "", "W3SVC1/u_nc260930.log"},
        {", 'logFormat': 'NCSA', 'period': 'MaxSize'", "'logInUTF8': false", "W3SVC1/ncsa1.log"},
        {", 'customFields': {'add': [{'logFieldName': 'a', 'sourceName': 'A'}]}", "",
         "W3SVC1/u_ex260930_x.log"},
        {", 'period': 'MaxSize', 'customFields': {'add': [{'logFieldName': 'a', "
         "'sourceName': 'A'}]}",
         "", "W3SVC1/u_extend1_x.log"},
    };

    setenv("TZ", "EET-2", 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct log_test t;
        struct log_record r = sample_record();

        log_test_init(&t);
        _cleanup_free_ char *json =
            xasprintf("{'sites': [{'id': 1, 'name': 'S', 'logFile': {'directory': '$'%s}}], "
                      "'log': {%s}}",
                      rows[i].members, rows[i].log);
        log_test_start(&t, json);
        r.wall_us = utc_us(2026, 9, 30, 22, 30, 0);
        log_test_site(&t, &r);
        log_test_stop(&t);
        if (!log_test_exists(&t, rows[i].want))
            fail_msg("row %zu: no %s", i, rows[i].want);
        log_test_fini(&t);
    }
    setenv("TZ", "UTC0", 1);
}

static void names_of_httperr(void **state)
{
    static const struct {
        const char *type, *want;
    } rows[] = {
        {"0", "HTTPERR/httperr1.log"},   {"1", "HTTPERR/ht260930.log"},
        {"2", "HTTPERR/ht260905.log"},   {"3", "HTTPERR/ht2609.log"},
        {"4", "HTTPERR/ht26093022.log"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct log_test t;
        struct log_httperr_record r = {.wall_us = utc_us(2026, 9, 30, 22, 30, 0),
                                       .reason = STR("BadRequest")};

        log_test_init(&t);
        _cleanup_free_ char *json = xasprintf(
            "{'httperr': {'ErrorLoggingDir': '$', 'ErrorLoggingRolloverType': %s}}", rows[i].type);
        log_test_start(&t, json);
        logging_httperr(t.lg, 0, &r);
        log_test_stop(&t);
        if (!log_test_exists(&t, rows[i].want))
            fail_msg("type %s: no %s", rows[i].type, rows[i].want);
        log_test_fini(&t);
    }
}

static void weeks_of_a_month(void **state)
{
    static const struct {
        int day;
        uint32_t want;
    } rows[] = {{1, 260801},  {7, 260801},  {8, 260802},  {14, 260802}, {15, 260803},
                {22, 260804}, {28, 260804}, {29, 260805}, {31, 260805}};
    struct log_clock c;

    log_clock_init(&c);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        log_clock_set(&c, utc_us(2026, 8, rows[i].day, 12, 0, 0));
        assert_int_equal(c.keys[0][LOG_PERIOD_WEEKLY], rows[i].want);
    }
}

static void clock_follows_every_second(void **state)
{
    struct log_clock c;

    log_clock_init(&c);
    log_clock_set(&c, utc_us(2026, 12, 31, 23, 59, 59) + 999999);
    assert_string_equal(c.stamp, "2026-12-31 23:59:59");
    log_clock_set(&c, utc_us(2027, 1, 1, 0, 0, 0));
    assert_string_equal(c.stamp, "2027-01-01 00:00:00");
    log_clock_set(&c, utc_us(2026, 12, 31, 23, 59, 59)); /* the clock was put back */
    assert_string_equal(c.stamp, "2026-12-31 23:59:59");
    log_clock_set(&c, -1);
    assert_string_equal(c.stamp, "1969-12-31 23:59:59");
    assert_int_equal(c.keys[0][LOG_PERIOD_DAILY], 691231);
}

static void daily_roll_over(void **state)
{
    struct log_test t;

    log_test_init(&t);
    log_test_start(&t, SITE(""));
    log_at(&t, utc_us(2026, 10, 7, 23, 59, 59), "/old");
    log_at(&t, utc_us(2026, 10, 8, 0, 0, 0), "/new");
    log_at(&t, utc_us(2026, 10, 7, 23, 59, 59), "/late"); /* no new block for it */
    log_at(&t, utc_us(2026, 10, 8, 0, 0, 1), "/newer");
    log_test_sync(&t);
    log_test_expect(&t, "W3SVC1/u_ex261007.log",
                    W3C_HEAD("2026-10-07 23:59:59", FIELDS) "2026-10-07 23:59:59 /old\r\n"
                                                            "2026-10-07 23:59:59 /late\r\n");
    log_test_expect(&t, "W3SVC1/u_ex261008.log",
                    W3C_HEAD("2026-10-08 00:00:00", FIELDS) "2026-10-08 00:00:00 /new\r\n"
                                                            "2026-10-08 00:00:01 /newer\r\n");
    log_test_fini(&t);
}

static void a_restart_adds_a_block(void **state)
{
    struct log_test t;

    log_test_init(&t);
    for (int i = 0; i < 2; i++) {
        log_test_start(&t, SITE(""));
        assert_false(i == 0 && log_test_exists(&t, "W3SVC1")); /* made by the first request */
        log_at(&t, utc_us(2026, 10, 7, 12, 0, i), "/");
        log_test_stop(&t);
    }
    log_test_expect(&t, "W3SVC1/u_ex261007.log",
                    W3C_HEAD("2026-10-07 12:00:00", FIELDS) "2026-10-07 12:00:00 /\r\n" W3C_HEAD(
                        "2026-10-07 12:00:01", FIELDS) "2026-10-07 12:00:01 /\r\n");
    log_test_fini(&t);
}

static void changed_fields_add_a_block(void **state)
{
    struct log_test t;
    int64_t noon = utc_us(2026, 10, 7, 12, 0, 0);

    log_test_init(&t);
    log_test_start(&t, SITE(""));
    struct log_site *site = logging_site_find(t.lg, 1);

    assert_null(logging_site_find(t.lg, 2));
    log_at(&t, noon, "/one");
    log_test_apply(&t, SITE("")); /* nothing changed: no block */
    log_at(&t, noon, "/two");
    log_test_apply(&t, SITE(", 'logExtFileFlags': 'UriStem'"));
    log_at(&t, noon, "/three");
    log_test_apply(&t, SITE(", 'enabled': false"));
    assert_false(logging_site_enabled(site));
    log_at(&t, noon, "/never");
    log_test_apply(&t, SITE(", 'logExtFileFlags': 0"));
    log_at(&t, noon, "/never");
    log_test_apply(&t, SITE(""));
    assert_true(logging_site_enabled(site));
    assert_ptr_equal(site, logging_site_find(t.lg, 1));
    log_at(&t, noon, "/four");
    log_test_sync(&t);
    log_test_expect(
        &t, "W3SVC1/u_ex261007.log",
        W3C_HEAD("2026-10-07 12:00:00",
                 FIELDS) "2026-10-07 12:00:00 /one\r\n"
                         "2026-10-07 12:00:00 /two\r\n" W3C_HEAD(
                             "2026-10-07 12:00:00",
                             "cs-uri-stem") "/three\r\n" W3C_HEAD("2026-10-07 12:00:00",
                                                                  FIELDS) "2026-10-07 12:00:00 "
                                                                          "/four\r\n");
    log_test_fini(&t);
}

static void rolls_over_by_size(void **state)
{
    struct log_test t;
    static char stem[1001];
    int64_t noon = utc_us(2026, 10, 7, 12, 0, 0);

    memset(stem, 's', sizeof stem - 1);
    log_test_init(&t);
    /* Below the minimum: 1 MB is used. */
    log_test_start(&t, SITE(", 'period': 'MaxSize', 'truncateSize': 5000"));
    for (int i = 0; i < 2500; i++) {
        log_at(&t, noon, stem);
        if (i % 500 == 0)
            log_test_sync(&t);
    }
    log_test_stop(&t);
    size_t lines = 0;

    for (int n = 1; n <= 3; n++) {
        char name[64];

        snprintf(name, sizeof name, "W3SVC1/u_extend%d.log", n);
        _cleanup_free_ char *got = log_test_read(&t, name);

        assert_non_null(got);
        size_t size = strlen(got);

        assert_true(size <= LOG_TRUNCATE_SIZE_MIN);
        assert_true(n == 3 || size > LOG_TRUNCATE_SIZE_MIN - 1022 - 1);
        assert_memory_equal(got, "#Software", 9);
        assert_memory_equal(got + size - 2, "\r\n", 2);
        for (const char *at = got; (at = strstr(at, "\r\n2026-10-07")); at++)
            lines++;
    }
    assert_int_equal(lines, 2500);
    assert_false(log_test_exists(&t, "W3SVC1/u_extend4.log"));

    /* A restart goes on in the newest file and counts from there. */
    _cleanup_free_ char *nine = xasprintf("%s/W3SVC1/u_extend9.log", t.dir);
    _cleanup_free_ char *other = xasprintf("%s/W3SVC1/u_extend10_x.log", t.dir);

    close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    int fd = open(nine, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_int_equal(ftruncate(fd, LOG_TRUNCATE_SIZE_MIN - 300), 0);
    close(fd);
    log_test_start(&t, SITE(", 'period': 'MaxSize', 'truncateSize': 5000"));
    log_at(&t, noon, "/fits");
    log_at(&t, noon, stem);
    log_test_stop(&t);
    _cleanup_free_ char *ten = log_test_read(&t, "W3SVC1/u_extend10.log");
    struct stat st;

    assert_non_null(ten);
    assert_null(strstr(ten, "/fits"));
    assert_non_null(strstr(ten, stem));
    assert_int_equal(stat(nine, &st), 0);
    assert_true(st.st_size > LOG_TRUNCATE_SIZE_MIN - 300 && st.st_size <= LOG_TRUNCATE_SIZE_MIN);
    log_test_fini(&t);
}

static void one_file_without_limit(void **state)
{
    struct log_test t;
    static char stem[4001];

    memset(stem, 's', sizeof stem - 1);
    log_test_init(&t);
    log_test_start(&t, SITE(", 'period': 'MaxSize', 'truncateSize': 4294967295"));
    for (int i = 0; i < 300; i++)
        log_at(&t, utc_us(2026, 10, 7, 12, 0, 0), stem);
    log_test_stop(&t);
    assert_true(log_test_exists(&t, "W3SVC1/u_extend1.log"));
    assert_false(log_test_exists(&t, "W3SVC1/u_extend2.log"));
    log_test_fini(&t);
}

static void httperr_rolls_over_at_a_megabyte(void **state)
{
    struct log_test t;
    static char uri[4000];
    struct log_httperr_record r = {
        .wall_us = utc_us(2026, 10, 7, 12, 0, 0), .uri = {uri, sizeof uri}, .reason = STR("URL")};

    memset(uri, 'u', sizeof uri);
    log_test_init(&t);
    log_test_start(&t, "{'httperr': {'ErrorLoggingDir': '$', 'ErrorLogFileTruncateSize': 1}}");
    assert_int_equal(log_test_count(&t, LOG_EVENT_BAD_SETTING), 1);
    for (int i = 0; i < 300; i++)
        logging_httperr(t.lg, 0, &r);
    log_test_stop(&t);
    assert_true(log_test_exists(&t, "HTTPERR/httperr2.log"));
    assert_false(log_test_exists(&t, "HTTPERR/httperr3.log"));
    struct stat st;
    _cleanup_free_ char *dir = xasprintf("%s/HTTPERR", t.dir);

    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    log_test_fini(&t);
}

static void central_w3c(void **state)
{
    struct log_test t;
    struct log_record r = sample_record();

    log_test_init(&t);
    log_test_start(&t, "{'sites': [{'id': 1, 'name': 'A', 'logFile': {'directory': '$/own'}}, "
                       "{'id': 7, 'name': 'B', 'logFile': {'logSiteId': false}}, "
                       "{'id': 8, 'name': 'C', 'logFile': {'enabled': false}}], "
                       "'log': {'centralLogFileMode': 'CentralW3C', 'centralW3CLogFile': "
                       "{'directory': '$', 'logExtFileFlags': 'SiteName,UriStem'}}}");
    r.stem = STR("/a");
    log_test_site(&t, &r);
    r.stem = STR("/b");
    logging_site(t.lg, 0, logging_site_find(t.lg, 7), &r);
    logging_site(t.lg, 0, logging_site_find(t.lg, 8), &r);
    log_test_stop(&t);
    log_test_expect(
        &t, "W3SVC/u_ex150813.log",
        W3C_HEAD("2015-08-13 18:46:11", "s-sitename cs-uri-stem") "W3SVC1 /a\r\nB /b\r\n");
    assert_false(log_test_exists(&t, "own"));
    log_test_fini(&t);

    /* By default the central log has the site's own columns and its name. */
    log_test_init(&t);
    log_test_start(&t, "{'sites': [{'id': 1}], 'log': {'centralLogFileMode': 2, "
                       "'centralW3CLogFile': {'directory': '$'}}}");
    log_test_site(&t, &r);
    log_test_stop(&t);
    _cleanup_free_ char *got = log_test_read(&t, "W3SVC/u_ex150813.log");

    assert_non_null(got);
    assert_non_null(strstr(got, "#Fields: date time s-sitename s-ip "));
    log_test_fini(&t);

    log_test_init(&t);
    log_test_start(&t, "{'sites': [{'id': 1}], 'log': {'centralLogFileMode': 'CentralW3C', "
                       "'centralW3CLogFile': {'enabled': false, 'directory': '$'}}}");
    assert_false(logging_site_enabled(logging_site_find(t.lg, 1)));
    log_test_fini(&t);
}

static void what_we_do_differently_is_said(void **state)
{
    struct log_test t;

    log_test_init(&t);
    log_test_start(&t, "{'sites': [{'id': 1, 'logFile': {'directory': '$', 'logFormat': 'Custom'}},"
                       "{'id': 2, 'logFile': {'directory': 'relative'}}], "
                       "'log': {'centralLogFileMode': 'CentralBinary'}, "
                       "'httperr': {'ErrorLoggingDir': 'C:\\\\x'}}");
    assert_int_equal(log_test_count(&t, LOG_EVENT_NOT_SUPPORTED), 2);
    assert_int_equal(log_test_count(&t, LOG_EVENT_BAD_SETTING), 2);
    assert_true(logging_site_enabled(logging_site_find(t.lg, 1)));
    assert_false(logging_site_enabled(logging_site_find(t.lg, 2)));
    log_at(&t, utc_us(2026, 10, 7, 12, 0, 0), "/");
    log_test_stop(&t);
    assert_true(log_test_exists(&t, "W3SVC1/u_ex261007.log"));
    log_test_fini(&t);
}

static void lines_come_in_time_and_by_count(void **state)
{
    struct log_test t;
    int64_t noon = utc_us(2026, 10, 7, 12, 0, 0);

    log_test_init(&t);
    log_test_start(&t, SITE(", 'flushByEntryCountW3CLog': 3"));
    logging_tick(t.lg, 0, t.now_ms);
    log_at(&t, noon, "/1");
    log_at(&t, noon, "/2");
    logging_tick(t.lg, 0, t.now_ms + 249);
    assert_true(logging_wait_written(t.lg, PATIENCE_MS));
    assert_false(log_test_exists(&t, "W3SVC1"));
    log_at(&t, noon, "/3");
    assert_true(logging_wait_written(t.lg, PATIENCE_MS));
    assert_true(log_test_exists(&t, "W3SVC1"));
    log_at(&t, noon, "/4");
    logging_tick(t.lg, 0, t.now_ms + 500);
    assert_true(logging_wait_written(t.lg, PATIENCE_MS));
    _cleanup_free_ char *got = log_test_read(&t, "W3SVC1/u_ex261007.log");

    assert_non_null(strstr(got, "/4\r\n"));
    assert_int_equal(logging_count(t.lg).lines_written, 4);
    assert_int_equal(logging_count(t.lg).bytes_waiting, 0);
    log_test_fini(&t);
}

static void reopens_by_name(void **state)
{
    struct log_test t;
    int64_t noon = utc_us(2026, 10, 7, 12, 0, 0);

    log_test_init(&t);
    log_test_start(&t, SITE(""));
    log_at(&t, noon, "/1");
    log_test_sync(&t);
    _cleanup_free_ char *from = xasprintf("%s/W3SVC1/u_ex261007.log", t.dir);
    _cleanup_free_ char *to = xasprintf("%s/moved", t.dir);

    assert_int_equal(rename(from, to), 0);
    logging_reopen(t.lg);
    log_at(&t, noon, "/2");
    log_test_sync(&t);
    log_test_expect(&t, "moved",
                    W3C_HEAD("2026-10-07 12:00:00", FIELDS) "2026-10-07 12:00:00 /1\r\n");
    log_test_expect(&t, "W3SVC1/u_ex261007.log",
                    W3C_HEAD("2026-10-07 12:00:00", FIELDS) "2026-10-07 12:00:00 /2\r\n");
    log_test_fini(&t);
}

/* Ticks and logs until the condition holds; the writer works in its own time. */
#define WAIT_FOR(t, condition)                             \
    for (int tries_ = 0; !(condition); tries_++) {         \
        if (tries_ > PATIENCE_MS / 10)                     \
            fail_msg("waited in vain for %s", #condition); \
        usleep(10000);                                     \
        log_test_tick(t);                                  \
    }

static void a_vanished_folder_comes_back(void **state)
{
    struct log_test t;
    int64_t noon = utc_us(2026, 10, 7, 12, 0, 0);

    log_test_init(&t);
    log_test_start(&t, SITE(""));
    log_at(&t, noon, "/1");
    log_test_sync(&t);
    _cleanup_free_ char *folder = xasprintf("%s/W3SVC1", t.dir);

    log_test_remove(folder);
    WAIT_FOR(&t, (log_at(&t, noon, "/2"), log_test_exists(&t, "W3SVC1/u_ex261007.log")));
    log_test_stop(&t);
    assert_int_equal(log_test_count(&t, LOG_EVENT_OPEN_FAILED), 0);
    log_test_fini(&t);
}

static void a_file_in_the_folders_place(void **state)
{
    struct log_test t;
    int64_t noon = utc_us(2026, 10, 7, 12, 0, 0);

    log_test_init(&t);
    t.options.retry_ms = 100;
    _cleanup_free_ char *place = xasprintf("%s/W3SVC1", t.dir);

    close(open(place, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    log_test_start(&t, "{'sites': [{'id': 1, 'logFile': {'directory': '$', 'logExtFileFlags': "
                       "'Date,Time,UriStem'}}, {'id': 2, 'logFile': {'directory': '$'}}]}");
    struct log_record r = sample_record();

    log_at(&t, noon, "/kept");
    logging_site(t.lg, 0, logging_site_find(t.lg, 2), &r);
    logging_flush(t.lg);
    log_test_tick(&t);
    assert_false(logging_wait_written(t.lg, 5000));
    WAIT_FOR(&t, log_test_count(&t, LOG_EVENT_OPEN_FAILED) == 1);
    assert_int_equal(t.events[0].err, ENOTDIR);
    assert_non_null(strstr(t.events[0].path, "W3SVC1/u_ex261007.log"));
    /* The others go on. */
    assert_true(log_test_exists(&t, "W3SVC2/u_ex150813.log"));
    /* The same failure is not said again and again. */
    for (int i = 0; i < 10; i++) {
        usleep(10000);
        log_test_tick(&t);
    }
    assert_int_equal(t.n_events, 1);
    unlink(place);
    WAIT_FOR(&t, log_test_count(&t, LOG_EVENT_RECOVERED) == 1);
    log_test_expect(&t, "W3SVC1/u_ex261007.log",
                    W3C_HEAD("2026-10-07 12:00:00", FIELDS) "2026-10-07 12:00:00 /kept\r\n");
    assert_int_equal(logging_count(t.lg).lines_lost, 0);
    log_test_fini(&t);
}

static void a_full_disk(void **state)
{
    struct log_test t;
    int64_t noon = utc_us(2026, 10, 7, 12, 0, 0);

    log_test_init(&t);
    _cleanup_free_ char *folder = xasprintf("%s/W3SVC1", t.dir);
    _cleanup_free_ char *file = xasprintf("%s/u_ex261007.log", folder);

    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(symlink("/dev/full", file), 0);
    log_test_start(&t, SITE(""));
    log_at(&t, noon, "/kept");
    log_test_tick(&t);
    WAIT_FOR(&t, log_test_count(&t, LOG_EVENT_WRITE_FAILED) == 1);
    assert_int_equal(t.events[0].err, ENOSPC);
    unlink(file);
    WAIT_FOR(&t, log_test_count(&t, LOG_EVENT_RECOVERED) == 1);
    log_test_expect(&t, "W3SVC1/u_ex261007.log",
                    W3C_HEAD("2026-10-07 12:00:00", FIELDS) "2026-10-07 12:00:00 /kept\r\n");
    log_test_fini(&t);
}

/* A disk that fills in the middle of a line: what comes later completes the line. */
static void a_line_cut_by_the_limit_is_completed(void **state)
{
    struct log_test t;
    int64_t noon = utc_us(2026, 10, 7, 12, 0, 0);
    struct rlimit old, small;

    log_test_init(&t);
    log_test_start(&t, SITE(""));
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    for (rlim_t limit = 1; limit < 150; limit += 37) {
        small.rlim_cur = limit;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        log_at(&t, noon + (int64_t)limit * 86400000000, "/first");
        log_at(&t, noon + (int64_t)limit * 86400000000, "/second");
        logging_flush(t.lg);
        log_test_tick(&t);
        t.n_events = 0;
        WAIT_FOR(&t, log_test_count(&t, LOG_EVENT_WRITE_FAILED) == 1);
        assert_int_equal(t.events[0].err, EFBIG);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        WAIT_FOR(&t, log_test_count(&t, LOG_EVENT_RECOVERED) == 1);
        struct log_clock c;
        char name[64];

        log_clock_init(&c);
        log_clock_set(&c, noon + (int64_t)limit * 86400000000);
        snprintf(name, sizeof name, "W3SVC1/u_ex%06u.log", c.keys[0][LOG_PERIOD_DAILY]);
        _cleanup_free_ char *want =
            xasprintf("#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n"
                      "#Date: %s\r\n#Fields: " FIELDS "\r\n%s /first\r\n%s /second\r\n",
                      c.stamp, c.stamp, c.stamp);

        log_test_expect(&t, name, want);
    }
    log_test_fini(&t);
}

static void memory_is_bounded_and_losses_are_counted(void **state)
{
    struct log_test t;
    int64_t noon = utc_us(2026, 10, 7, 12, 0, 0);
    static char stem[1001];

    memset(stem, 's', sizeof stem - 1);
    log_test_init(&t);
    t.options.max_waiting_bytes = 256 << 10;
    _cleanup_free_ char *folder = xasprintf("%s/W3SVC1", t.dir);
    _cleanup_free_ char *file = xasprintf("%s/u_ex261007.log", folder);

    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(symlink("/dev/full", file), 0);
    log_test_start(&t, SITE(""));
    for (int i = 0; i < 1000; i++) {
        log_at(&t, noon, stem);
        log_test_tick(&t);
        assert_true(logging_count(t.lg).bytes_waiting <= t.options.max_waiting_bytes);
    }
    uint64_t lost = logging_count(t.lg).lines_lost;

    assert_true(lost >= 700 && lost < 1000);
    WAIT_FOR(&t, log_test_count(&t, LOG_EVENT_LINES_LOST) == 1);
    assert_int_equal(log_test_count(&t, LOG_EVENT_RECOVERED), 0);
    unlink(file);
    WAIT_FOR(&t, log_test_count(&t, LOG_EVENT_RECOVERED) == 1);
    assert_int_equal(t.events[t.n_events - 1].count, lost);
    log_at(&t, noon, "/after");
    log_test_stop(&t);
    _cleanup_free_ char *got = log_test_read(&t, "W3SVC1/u_ex261007.log");
    size_t lines = 0;

    for (const char *at = got; (at = strstr(at, "\r\n2026-10-07")); at++)
        lines++;
    assert_int_equal(lines, 1000 - lost + 1);
    log_test_fini(&t);
}

static void a_broken_log_leaves_room_for_the_others(void **state)
{
    struct log_test t;
    struct log_record r = sample_record();
    static char stem[1001];

    memset(stem, 's', sizeof stem - 1);
    r.stem = str_z(stem);
    log_test_init(&t);
    t.options.max_waiting_bytes = 512 << 10;
    _cleanup_free_ char *place = xasprintf("%s/W3SVC1", t.dir);

    close(open(place, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    log_test_start(&t, "{'sites': [{'id': 1, 'logFile': {'directory': '$'}},"
                       "{'id': 2, 'logFile': {'directory': '$'}}]}");
    for (int i = 0; i < 1000; i++)
        log_test_site(&t, &r);
    uint64_t lost = logging_count(t.lg).lines_lost;

    assert_true(lost > 500);
    for (int i = 0; i < 100; i++) {
        logging_site(t.lg, 0, logging_site_find(t.lg, 2), &r);
        log_test_tick(&t);
    }
    assert_int_equal(logging_count(t.lg).lines_lost, lost);
    unlink(place);
    log_test_fini(&t);
}

static void stopping_gives_up_in_time(void **state)
{
    struct log_test t;

    log_test_init(&t);
    _cleanup_free_ char *place = xasprintf("%s/W3SVC1", t.dir);

    close(open(place, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    log_test_start(&t, SITE(""));
    log_at(&t, utc_us(2026, 10, 7, 12, 0, 0), "/1");
    log_at(&t, utc_us(2026, 10, 7, 12, 0, 0), "/2");
    struct logging *lg = t.lg;

    t.lg = NULL;
    logging_stop(lg, 200);
    assert_true(log_test_count(&t, LOG_EVENT_LINES_LOST) > 0);
    assert_int_equal(t.events[t.n_events - 1].code, LOG_EVENT_LINES_LOST);
    assert_int_equal(t.events[t.n_events - 1].count, 2);
    log_test_fini(&t);
}

static void standard_output(void **state)
{
    struct log_test t;
    struct log_record r = sample_record();
    struct log_httperr_record e = {.wall_us = r.wall_us + 7000,
                                   .client = {STR("::1"), 5},
                                   .uri = STR("/x\""),
                                   .query = STR("y z"),
                                   .status = 400,
                                   .reason = STR("URL")};
    int p[2];
    char got[4096];

    assert_int_equal(pipe(p), 0);
    log_test_init(&t);
    t.options.to_stdout = true;
    t.options.stdout_fd = p[1];
    log_test_start(&t, "{'sites': [{'id': 1, 'name': 'A', 'logFile': {'directory': '$'}}], "
                       "'httperr': {'ErrorLoggingDir': '$'}}");
    r.user = STR("a\"b");
    log_test_site(&t, &r);
    logging_httperr(t.lg, 0, &e);
    logging_stdout_line(t.lg, 0, STR("{\"log\":\"event\",\"id\":1}"));
    log_test_stop(&t);
    ssize_t n = read(p[0], got, sizeof got - 1);

    assert_true(n > 0);
    got[n] = 0;
    assert_string_equal(
        got,
        "{\"log\":\"site\",\"site\":1,\"time\":\"2015-08-13T18:46:11.000Z\",\"s-ip\":\"::1\","
        "\"cs-method\":\"GET\",\"cs-uri-stem\":\"/\",\"s-port\":443,\"cs-username\":\"a\\\"b\","
        "\"c-ip\":\"::1\",\"cs(User-Agent)\":\"Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; "
        "Touch; rv:11.0) like Gecko\",\"sc-status\":200,\"sc-substatus\":0,\"sc-win32-status\":0,"
        "\"time-taken\":391}\n"
        "{\"log\":\"httperr\",\"time\":\"2015-08-13T18:46:11.007Z\",\"c-ip\":\"::1\",\"c-port\":5,"
        "\"cs-uri\":\"/x\\\"?y z\",\"sc-status\":400,\"s-reason\":\"URL\"}\n"
        "{\"log\":\"event\",\"id\":1}\n");
    /* Each line is JSON. */
    struct str rest = str_z(got), line;

    while (str_split(&rest, '\n', &line) && line.n) {
        json_t *j = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, NULL);

        assert_non_null(j);
        json_decref(j);
    }
    assert_false(log_test_exists(&t, "W3SVC1"));
    assert_int_equal(fcntl(p[1], F_GETFD), 0); /* borrowed, still open */
    close(p[0]);
    /* A reader that has gone does not end us. */
    log_test_start(&t, "{'sites': [{'id': 1}]}");
    log_test_site(&t, &r);
    WAIT_FOR(&t, log_test_count(&t, LOG_EVENT_WRITE_FAILED) == 1);
    struct logging *lg = t.lg;

    t.lg = NULL;
    logging_stop(lg, 10);
    close(p[1]);
    log_test_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_every_period),
        cmocka_unit_test(names_of_httperr),
        cmocka_unit_test(weeks_of_a_month),
        cmocka_unit_test(clock_follows_every_second),
        cmocka_unit_test(daily_roll_over),
        cmocka_unit_test(a_restart_adds_a_block),
        cmocka_unit_test(changed_fields_add_a_block),
        cmocka_unit_test(rolls_over_by_size),
        cmocka_unit_test(one_file_without_limit),
        cmocka_unit_test(httperr_rolls_over_at_a_megabyte),
        cmocka_unit_test(central_w3c),
        cmocka_unit_test(what_we_do_differently_is_said),
        cmocka_unit_test(lines_come_in_time_and_by_count),
        cmocka_unit_test(reopens_by_name),
        cmocka_unit_test(a_vanished_folder_comes_back),
        cmocka_unit_test(a_file_in_the_folders_place),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(a_line_cut_by_the_limit_is_completed),
        cmocka_unit_test(memory_is_bounded_and_losses_are_counted),
        cmocka_unit_test(a_broken_log_leaves_room_for_the_others),
        cmocka_unit_test(stopping_gives_up_in_time),
        cmocka_unit_test(standard_output),
    };

    setenv("TZ", "UTC0", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
