/* What the tests of src/logging share: a folder of their own, settings from JSON, captured events.
 */
#ifndef CANDOR_TEST_LOGGING_H
#define CANDOR_TEST_LOGGING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "logging/logging.h"
#include "stopwatch.h"

enum { EVENTS_KEPT = 64 };

struct log_test {
    char dir[64];
    struct logging *lg;
    struct logging_options options;
    uint64_t now_ms;
    size_t n_events;
    struct {
        enum log_event_code code;
        int err;
        uint64_t count;
        char path[200];
    } events[EVENTS_KEPT];
};

static inline void log_test_event(void *arg, const struct log_event *ev)
{
    struct log_test *t = arg;

    assert_true(t->n_events < EVENTS_KEPT);
    t->events[t->n_events].code = ev->code;
    t->events[t->n_events].err = ev->err;
    t->events[t->n_events].count = ev->count;
    snprintf(t->events[t->n_events].path, sizeof t->events[0].path, "%s", ev->path);
    t->n_events++;
}

static inline size_t log_test_count(const struct log_test *t, enum log_event_code code)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n_events; i++)
        n += t->events[i].code == code;
    return n;
}

static inline void log_test_init(struct log_test *t)
{
    *t = (struct log_test){.now_ms = 1000};
    snprintf(t->dir, sizeof t->dir, "/tmp/candor-logging-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    t->options = (struct logging_options){
        .threads = 1, .on_event = log_test_event, .event_arg = t, .retry_ms = 20, .stdout_fd = -1};
}

/* Settings from JSON in which every $ stands for the test's folder and ' for ". */
static inline void log_test_settings(struct log_test *t, const char *text, struct log_settings *ret)
{
    _cleanup_buf_ struct buf b;
    struct str why;
    json_error_t err;

    buf_init(&b, 1 << 20);
    for (; *text; text++) {
        if (*text == '$')
            buf_str(&b, str_z(t->dir));
        else
            buf_char(&b, *text == '\'' ? '"' : *text);
    }
    json_t *j = json_loadb(b.p, b.n, 0, &err);

    if (!j)
        fail_msg("bad JSON in test: %s", err.text);
    if (log_settings_from_json(j, ret, &why) != RC_OK)
        fail_msg("settings refused: %.*s", STR_ARG(why));
    json_decref(j);
}

static inline void log_test_start(struct log_test *t, const char *json)
{
    struct log_settings s;

    log_test_settings(t, json, &s);
    t->lg = logging_new(&s, &t->options);
    log_settings_fini(&s);
}

static inline void log_test_apply(struct log_test *t, const char *json)
{
    struct log_settings s;

    log_test_settings(t, json, &s);
    logging_apply(t->lg, &s);
    log_settings_fini(&s);
}

/* One tick of thread 0, later than any buffer may wait. */
static inline void log_test_tick(struct log_test *t)
{
    t->now_ms += 300;
    logging_tick(t->lg, 0, t->now_ms);
}

/* Everything of thread 0 to disk. */
static inline void log_test_sync(struct log_test *t)
{
    logging_flush(t->lg);
    log_test_tick(t);
    assert_true(logging_wait_written(t->lg, PATIENCE_MS));
}

static inline void log_test_stop(struct log_test *t)
{
    if (t->lg)
        logging_stop(t->lg, PATIENCE_MS);
    t->lg = NULL;
}

static inline void log_test_remove(const char *path)
{
    DIR *d = opendir(path);

    if (!d) {
        unlink(path);
        return;
    }
    for (const struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char *below = xasprintf("%s/%s", path, e->d_name);
        struct stat st;

        if (lstat(below, &st) == 0 && S_ISDIR(st.st_mode))
            log_test_remove(below);
        else
            unlink(below);
        free(below);
    }
    closedir(d);
    rmdir(path);
}

static inline void log_test_fini(struct log_test *t)
{
    log_test_stop(t);
    log_test_remove(t->dir);
}

/* A file's text (the caller's to free), NULL if there is none. name is below the test's folder. */
static inline char *log_test_read(const struct log_test *t, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", t->dir, name);
    FILE *f = fopen(path, "re");

    if (!f)
        return NULL;
    _cleanup_buf_ struct buf b;
    char part[4096];

    buf_init(&b, 1 << 28);
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
        buf_append(&b, part, n);
    fclose(f);
    return str_dup_z(buf_view(&b));
}

static inline void log_test_expect(const struct log_test *t, const char *name, const char *want)
{
    _cleanup_free_ char *got = log_test_read(t, name);

    if (!got)
        fail_msg("no file %s", name);
    assert_string_equal(got, want);
}

static inline bool log_test_exists(const struct log_test *t, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", t->dir, name);

    return access(path, F_OK) == 0;
}

static inline int64_t utc_us(int year, int month, int day, int hour, int minute, int second)
{
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_sec = second};

    return (int64_t)timegm(&tm) * 1000000;
}

/* The request of the reference's W3C sample. */
static inline struct log_record sample_record(void)
{
    return (struct log_record){
        .wall_us = utc_us(2015, 8, 13, 18, 46, 11),
        .time_taken_ms = 391,
        .bytes_sent = 3223,
        .bytes_received = 163,
        .status = 200,
        .server = {STR("::1"), 443},
        .client = {STR("::1"), 50000},
        .method = STR("GET"),
        .version = STR("HTTP/2.0"),
        .stem = STR("/"),
        .user_agent = STR("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; Touch; rv:11.0)"
                          " like Gecko"),
    };
}

static inline void log_test_site(struct log_test *t, const struct log_record *r)
{
    struct log_site *s = logging_site_find(t->lg, 1);

    assert_non_null(s);
    logging_site(t->lg, 0, s, r);
}

#define W3C_HEAD(date, fields)                                                                 \
    "#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n#Date: " date \
    "\r\n#Fields: " fields "\r\n"
#define DEFAULT_FIELDS                                                                          \
    "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) " \
    "cs(Referer) sc-status sc-substatus sc-win32-status time-taken"

#endif
