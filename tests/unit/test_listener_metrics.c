#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "listener/metrics_text.h"
#include "base/poison.h"

enum { TEXT_MAX = 16 << 20 };

/* The exposition of these threads, NUL-terminated, for the caller to free. */
static char *expose(const struct metrics_facts *f)
{
    struct buf out;

    buf_init(&out, TEXT_MAX);
    metrics_write(&out, f);
    assert_false(out.overflow);
    char *z = str_dup_z(buf_view(&out));

    buf_fini(&out);
    return z;
}

static void assert_line(const char *text, const char *line)
{
    char *whole = xasprintf("\n%s\n", line);

    if (!strstr(text, whole))
        fail_msg("no line: %s", line);
    free(whole);
}

/* ---- counting ------------------------------------------------------------------------------- */

static void buckets_double(void **state)
{
    static const struct {
        uint64_t ms;
        unsigned bucket;
    } rows[] = {{0, 0},       {1, 0},       {2, 1},           {3, 2},
                {4, 2},       {5, 3},       {1024, 10},       {1025, 11},
                {262144, 18}, {262145, 19}, {UINT64_MAX, 19}, {UINT64_C(1) << 63, 19}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(metrics_bucket(rows[i].ms), rows[i].bucket);
}

static void threads_are_added_up(void **state)
{
    struct metrics *m[2] = {metrics_new(), metrics_new()};

    metrics_request(m[0], 1, 200, 0, 3, 10, 100);
    metrics_request(m[1], 1, 200, 0, 5, 20, 200);
    metrics_request(m[1], 1, 404, 8, 0, 1, 2);
    /* Both in the same slot of the table: on this thread the other way round. */
    metrics_request(m[0], 1 + METRICS_SITE_SLOTS, 200, 0, 0, 0, 0);
    metrics_request(m[1], 1 + METRICS_SITE_SLOTS, 200, 0, 0, 0, 0);
    metrics_count(m[0], METRIC_CACHE_HITS);
    metrics_add(m[1], METRIC_CACHE_HITS, 41);
    metrics_httperr(m[0], HTTPERR_QUEUE_FULL, 7, 9);
    char *text = expose(&(struct metrics_facts){.threads = m, .n_threads = 2});

    assert_line(text, "candor_requests_total{site=\"1\",status=\"200\",substatus=\"0\"} 2");
    assert_line(text, "candor_requests_total{site=\"1\",status=\"404\",substatus=\"8\"} 1");
    assert_line(text, "candor_requests_total{site=\"4097\",status=\"200\",substatus=\"0\"} 2");
    assert_line(text, "candor_request_duration_seconds_bucket{site=\"1\",le=\"0.001\"} 1");
    assert_line(text, "candor_request_duration_seconds_bucket{site=\"1\",le=\"0.004\"} 2");
    assert_line(text, "candor_request_duration_seconds_bucket{site=\"1\",le=\"+Inf\"} 3");
    assert_line(text, "candor_request_duration_seconds_sum{site=\"1\"} 0.008");
    assert_line(text, "candor_received_bytes_total{site=\"1\"} 31");
    assert_line(text, "candor_sent_bytes_total{site=\"1\"} 302");
    assert_line(text, "candor_received_bytes_total{site=\"-\"} 7");
    assert_line(text, "candor_sent_bytes_total{site=\"-\"} 9");
    assert_line(text, "candor_cache_hits_total 42");
    assert_line(text, "candor_httperr_total{reason=\"QueueFull\"} 1");
    assert_null(strstr(text, "AppOffline")); /* no line for what has not happened */
    free(text);
    metrics_free(m[0]);
    metrics_free(m[1]);
}

/* Whoever can choose a status or make sites cannot make the exposition grow without end. */
static void tables_are_bounded(void **state)
{
    struct metrics *m = metrics_new();
    const struct metrics_pool_fact pool = {.name = STR("p"), .index = METRICS_POOLS};

    for (unsigned i = 0; i < 1000; i++)
        metrics_request(m, 5, (uint16_t)(200 + i % 400), (uint16_t)i, 1, 0, 0);
    for (uint32_t id = 1; id <= 2 * METRICS_SITE_SLOTS; id++)
        metrics_request(m, id * 7919, 200, 0, 1, 0, 0);
    metrics_queue_wait(m, METRICS_POOLS, 8);
    metrics_queue_wait(m, UINT32_MAX, 8);
    char *text = expose(
        &(struct metrics_facts){.threads = &m, .n_threads = 1, .pools = &pool, .n_pools = 1});

    assert_line(text, "candor_requests_total{site=\"5\",status=\"other\",substatus=\"other\"} 936");
    assert_non_null(strstr(text, "candor_requests_total{site=\"other\",status=\"200\""));
    assert_line(text, "candor_request_duration_seconds_count{site=\"5\"} 1000");
    assert_line(text, "candor_queue_wait_seconds_count{pool=\"other\"} 2");
    free(text);
    metrics_free(m);
}

/* ---- text ----------------------------------------------------------------------------------- */

static void labels_are_escaped_and_cut(void **state)
{
    char name[400];
    struct metrics_site_fact sites[] = {{.id = 1, .name = STR("a\"b\\c\nd")}, {.id = 2}};

    memset(name, 'x', sizeof(name));
    memcpy(name + 255, "\xc3\xa4", 2); /* a character across the place of the cut */
    sites[1].name = str_n(name, sizeof(name));
    char *text = expose(&(struct metrics_facts){.sites = sites, .n_sites = 2});

    assert_line(text, "candor_site_info{site=\"1\",name=\"a\\\"b\\\\c\\nd\"} 1");
    char *line = xasprintf("candor_site_info{site=\"2\",name=\"%.255s\"} 1", name);

    assert_line(text, line);
    assert_true(str_iends(str_z(text), STR("\n# EOF\n")));
    free(line);
    free(text);
}

static void what_the_supervisor_says(void **state)
{
    json_t *facts =
        json_pack("{s:I, s:[{s:s, s:s, s:i, s:i, s:i, s:i}, {s:i}]}", "started_us",
                  (json_int_t)1700000000123456, "pools", "name", "p", "state", "Stopping",
                  "workers", 2, "starts", 5, "failures", 3, "recycles", -1, "name", 7);
    char *text = expose(&(struct metrics_facts){.supervisor = facts});

    assert_line(text, "candor_start_time_seconds 1700000000.123456");
    assert_line(text, "candor_pool_state{pool=\"p\",candor_pool_state=\"Started\"} 0");
    assert_line(text, "candor_pool_state{pool=\"p\",candor_pool_state=\"Stopping\"} 1");
    assert_line(text, "candor_pool_workers{pool=\"p\"} 2");
    assert_line(text, "candor_pool_worker_starts_total{pool=\"p\"} 5");
    assert_line(text, "candor_pool_worker_failures_total{pool=\"p\"} 3");
    assert_line(text, "candor_pool_recycles_total{pool=\"p\"} 0");
    free(text);
    json_decref(facts);
}

/* ---- counting while somebody looks ----------------------------------------------------------- */

static void *count_requests(void *arg)
{
    struct metrics *m = arg;

    for (uint32_t i = 0; i < 200000; i++) {
        metrics_request(m, i % 300, (uint16_t)(200 + i % 7), 0, i % 50, 1, 1);
        metrics_queue_wait(m, i % 20, 1);
    }
    return NULL;
}

static void a_scrape_needs_no_lock(void **state)
{
    struct metrics *m = metrics_new();
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, count_requests, m), 0);
    for (int i = 0; i < 20; i++)
        free(expose(&(struct metrics_facts){.threads = &m, .n_threads = 1}));
    pthread_join(thread, NULL);
    char *text = expose(&(struct metrics_facts){.threads = &m, .n_threads = 1});

    assert_line(text, "candor_request_duration_seconds_count{site=\"0\"} 667");
    free(text);
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_double),           cmocka_unit_test(threads_are_added_up),
        cmocka_unit_test(tables_are_bounded),       cmocka_unit_test(labels_are_escaped_and_cut),
        cmocka_unit_test(what_the_supervisor_says), cmocka_unit_test(a_scrape_needs_no_lock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
