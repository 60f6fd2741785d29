/* Detectors of outages: pools, workers, queues, bursts. */
#include "detectors_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_worker_died(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 300, 20);
    for (int i = 0; i < 4; i++)
        ERR(&s, .at_s = 150 + i, .client = "10.0.0.9", .method = "GET", .url = "/report/2026",
            .reason = "Connection_Abandoned_By_ReqQueue", .queue = "ShopPool");
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "worker-died");

    assert_int_equal(f->severity, SEVERITY_ERROR);
    assert_int_equal(f->count, 4);
    assert_int_equal(f->first_s, SCENE_START_S + 150);
    assert_true(says(f->title, "ShopPool"));
    assert_true(says(f->why, "not among them"));
    assert_true(says(f->why, "/report/{n}"));
    assert_true(says(f->why, "has 0 times"));
    assert_true(says(f->command, "--since '2026-03-10 08:02:25'"));
    assert_true(relates(f, "Connection_Abandoned_By_ReqQueue"));
    assert_true(f->evidence_n > 0 && f->evidence[0]->line == 5);
    assert_false(scene_has(&s, "error-burst"));
    scene_fini(&s);
}

static void test_pools_stopped(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    ERR(&s, .at_s = 1, .method = "GET", .url = "/", .status = 503, .reason = "Disabled",
        .queue = "A");
    ERR(&s, .at_s = 2, .method = "GET", .url = "/", .status = 503, .reason = "AppShutdown",
        .queue = "B");
    ERR(&s, .at_s = 3, .method = "GET", .url = "/", .status = 503, .reason = "N/A", .queue = "C");
    ERR(&s, .at_s = 4, .method = "GET", .url = "/", .status = 503, .reason = "ConnLimit",
        .queue = "C");
    ERR(&s, .at_s = 5, .reason = "Connections_Refused");
    ERR(&s, .at_s = 6, .method = "GET", .url = "/x", .reason = "Timer_ReqQueue", .queue = "C");
    scene_run(&s);
    assert_int_equal(scene_finding(&s, "pool-disabled")->severity, SEVERITY_CRITICAL);
    assert_true(says(scene_finding(&s, "pool-disabled")->why, "Pool: A."));
    assert_true(says(scene_finding(&s, "pool-shutdown")->why, "resetInterval"));
    assert_true(says(scene_finding(&s, "no-worker")->why, "C."));
    assert_int_equal(scene_finding(&s, "connection-limit")->severity, SEVERITY_CRITICAL);
    assert_int_equal(scene_finding(&s, "connections-refused")->count, 1);
    assert_int_equal(scene_finding(&s, "queue-wait")->severity, SEVERITY_ERROR);
    assert_true(scene_finding(&s, "pool-disabled")->step_n > 0);
    /* nothing went offline, so nothing points there */
    for (size_t i = 0; i < scene_finding(&s, "pool-disabled")->related_n; i++)
        assert_false(str_eq(scene_finding(&s, "pool-disabled")->related[i], STR("app-offline")));
    scene_fini(&s);
}

static void test_app_offline_after_errors(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 200, 20);
    for (int i = 0; i < 6; i++) {
        SITE(&s, .at_s = 200 + i, .url = "/cart", .status = 500, .ms = 5);
        ERR(&s, .at_s = 201 + i, .method = "GET", .url = "/cart",
            .reason = "Connection_Abandoned_By_ReqQueue", .queue = "ShopPool");
    }
    for (int i = 0; i < 50; i++)
        ERR(&s, .at_s = 210 + i, .method = "GET", .url = "/", .status = 503, .reason = "AppOffline",
            .queue = "ShopPool");
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "app-offline");

    assert_ptr_equal(s.fs.at[0], f); /* the most important one */
    assert_true(says(f->why, "6 requests were abandoned"));
    assert_true(relates(f, "500"));
    assert_true(relates(scene_finding(&s, "worker-died"), "app-offline"));
    assert_true(scene_has(&s, "server-error-500"));
    scene_fini(&s);
}

/* Deaths of another pool's workers, and errors of another site, are none of its business. */
static void test_app_offline_of_one_pool(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 200, 20);
    for (int i = 0; i < 9; i++)
        ERR(&s, .at_s = 190 + i, .method = "GET", .url = i < 5 ? "/cart" : "/other",
            .reason = "Connection_Abandoned_By_ReqQueue", .queue = i < 5 ? "ShopPool" : "Other");
    for (int i = 0; i < 50; i++)
        ERR(&s, .at_s = 210 + i, .method = "GET", .url = "/", .status = 503, .reason = "AppOffline",
            .queue = "ShopPool");
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "app-offline");

    assert_true(says(f->why, "5 requests were abandoned"));
    for (size_t i = 0; i < f->evidence_n; i++)
        assert_int_equal(str_find(f->evidence[i]->text, STR("/other")), SIZE_MAX);
    assert_true(says(scene_finding(&s, "worker-died")->title, "Workers of 2 pools ended"));
    scene_fini(&s);

    scene_init(&s);
    scene_traffic(&s, 0, 200, 20);
    for (int i = 0; i < 9; i++)
        ERR(&s, .at_s = 190 + i, .method = "GET", .url = "/other",
            .reason = "Connection_Abandoned_By_ReqQueue", .queue = "Other");
    ERR(&s, .at_s = 210, .method = "GET", .url = "/", .status = 503, .reason = "AppOffline",
        .queue = "ShopPool");
    scene_run(&s);
    f = scene_finding(&s, "app-offline");
    assert_int_equal(str_find(f->why, STR("abandoned")), SIZE_MAX);
    assert_false(relates(f, "Connection_Abandoned_By_ReqQueue"));
    scene_fini(&s);
}

/* Errors from one moment on are not said to spread over the whole time. */
static void test_error_rate_from_a_moment_on(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 1800, 20);
    for (int i = 0; i < 1800; i++)
        SITE(&s, .at_s = 1800 + i, .url = "/cart", .status = i % 2 ? 200 : 500, .ms = 5);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "error-rate");

    assert_int_equal(str_find(f->why, STR("whole time")), SIZE_MAX);
    assert_true(says(f->why, "from 2026-03-10 08:30:00 to 2026-03-10 08:59:58"));
    assert_true(says(f->why, "50.0 % of the 1800 requests"));
    scene_fini(&s);
}

static void test_worker_limits(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 600, 30);
    scene_traffic(&s, 600, 200, 9000);
    for (int i = 0; i < 20; i++)
        SITE(&s, .at_s = 700 + i, .url = "/api/orders", .status = 503, .substatus = 2, .ms = 1);
    for (int i = 0; i < 3; i++)
        SITE(&s, .at_s = 720 + i, .url = "/x.php", .status = 503, .substatus = 4, .ms = 1);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "worker-limit-503.2");

    assert_int_equal(f->count, 20);
    assert_true(says(f->why, "appConcurrentRequestLimit"));
    assert_true(says(f->why, "time-taken rose from 30 ms"));
    assert_true(advises(f, "system.webServer/serverRuntime"));
    assert_true(says(scene_finding(&s, "worker-limit-503.4")->why, "maxInstances"));
    assert_false(scene_has(&s, "worker-limit-503.3"));
    scene_fini(&s);
}

static void test_burst(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 3600, 20);
    for (int i = 0; i < 60; i++)
        SITE(&s, .at_s = 1800 + i, .url = "/api/orders", .status = 500, .win32 = 64, .ms = 5);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "error-burst");

    assert_int_equal(f->severity, SEVERITY_ERROR);
    assert_in_range(f->count, 50, 60);
    assert_true(f->first_s <= SCENE_START_S + 1800 && f->last_s >= SCENE_START_S + 1850);
    assert_true(says(f->why, "500 (win32 64), first of all for /api/orders"));
    assert_true(says(f->command, "--status 5xx"));
    scene_fini(&s);
}

static void test_steady_errors_are_no_burst(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    for (int i = 0; i < 3600; i++)
        SITE(&s, .at_s = i, .url = "/api/orders", .status = i % 10 == 0 ? 500 : 200, .ms = 5);
    scene_run(&s);
    assert_false(scene_has(&s, "error-burst"));
    assert_true(scene_has(&s, "error-rate"));
    assert_false(scene_has(&s, "silence"));
    scene_fini(&s);
}

static void test_silence(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 7200, 20);
    scene_traffic(&s, 10800, 7200, 20);
    for (int i = 0; i < 5; i++)
        ERR(&s, .at_s = 9000 + i, .method = "GET", .url = "/", .reason = "Timer_ReqQueue",
            .queue = "A");
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "silence");

    assert_int_equal(f->severity, SEVERITY_ERROR);
    assert_in_range(f->first_s - SCENE_START_S, 7200, 7600);
    assert_true(says(f->why, "HTTPERR has 5 records"));
    assert_true(says(scene_finding(&s, "queue-wait")->why, "stood still"));
    scene_fini(&s);
}

/* A site that sleeps every other hour has no remarkable hole. */
static void test_nights_are_no_silence(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    for (int i = 0; i < 6; i++)
        scene_traffic(&s, i * 7200, 3000, 20);
    scene_run(&s);
    assert_false(scene_has(&s, "silence"));
    scene_fini(&s);
}

static void test_slowdown(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 3600, 40);
    scene_traffic(&s, 3600, 1800, 4000);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "slowdown");

    assert_in_range(f->first_s - SCENE_START_S, 3500, 3700);
    assert_true(says(f->why, "was 40 ms before"));
    f = scene_finding(&s, "slow-requests");
    assert_int_equal(f->severity, SEVERITY_WARNING);
    assert_true(f->urls.n >= 5);
    f = scene_finding(&s, "slower-urls");
    assert_int_equal(f->urls.n, 5);
    assert_true(advises(f, "Most URLs slowed down together"));
    assert_true(says(scene_finding(&s, "slowdown")->why, "It is in "));
    scene_fini(&s);
}

static void test_one_slow_url(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 2000, 40);
    for (int i = 0; i < 20; i++)
        SITE(&s, .at_s = i * 90, .url = "/export/all", .status = 200, .ms = 9000);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "slow-requests");

    assert_int_equal(f->severity, SEVERITY_INFO);
    assert_int_equal(f->urls.n, 1);
    assert_true(says(f->title, "One URL"));
    assert_true(says(f->why, "The slowest is /export/all"));
    assert_false(scene_has(&s, "slowdown"));
    assert_false(scene_has(&s, "slower-urls"));
    scene_fini(&s);
}

/* Of three URLs one becomes slower, one always was slow and stays so, one is always fast. */
static void test_one_url_became_slower(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    for (int i = 0; i < 200; i++) {
        SITE(&s, .at_s = i * 60, .url = "/reports/daily", .status = 200, .ms = i < 120 ? 90 : 4000);
        SITE(&s, .at_s = i * 60 + 1, .url = "/export/all", .status = 200, .ms = 9000);
        SITE(&s, .at_s = i * 60 + 2, .url = "/", .status = 200, .ms = 20);
    }
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "slower-urls");

    assert_int_equal(f->severity, SEVERITY_WARNING);
    assert_int_equal(f->urls.n, 1);
    assert_in_range(f->count, 76, 84);
    assert_in_range(f->first_s - SCENE_START_S, 120 * 60 - 512, 120 * 60 + 512);
    assert_true(says(f->title, "/reports/daily became slower"));
    assert_true(says(f->why, "half of its requests took up to about "));
    assert_true(says(f->why, "since ("));
    assert_true(says(f->why, "Of 3 URLs with enough requests to tell, the others did not."));
    assert_true(says(f->command, " --url /reports/daily --since '2026-03-10 "));
    f = scene_finding(&s, "slow-requests");
    assert_true(relates(f, "slower-urls"));
    assert_true(says(f->why, "/reports/daily was not always so: half of its requests took up to "));
    assert_in_range(s.m->slower[0].change.after.count, 76, 84);
    assert_in_range(s.m->slower[0].change.before.p50_ms, 64, 127);
    scene_fini(&s);
}

static void test_nothing_changed(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    for (int i = 0; i < 200; i++) {
        SITE(&s, .at_s = i * 60, .url = "/reports/daily", .status = 200, .ms = 3000);
        SITE(&s, .at_s = i * 60 + 1, .url = "/export/all", .status = 200,
             .ms = 7000 + (unsigned)i % 2000);
        SITE(&s, .at_s = i * 60 + 2, .url = "/", .status = 200, .ms = 20);
    }
    scene_run(&s);
    assert_false(scene_has(&s, "slower-urls"));
    assert_false(scene_has(&s, "slowdown"));
    assert_true(says(scene_finding(&s, "slow-requests")->why,
                     "Nothing changed: they were so from the first request to the last."));
    assert_int_equal(s.m->paces_judged, 3);
    scene_fini(&s);
}

/* More requests for what always was slow: the whole is slower, no URL is. */
static void test_slower_mix(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 3600, 40);
    for (int i = 0; i < 7200; i += i < 3600 ? 60 : 5)
        SITE(&s, .at_s = i, .url = "/export/all", .status = 200, .ms = 9000);
    scene_run(&s);
    const struct finding *f = scene_finding(&s, "slowdown");

    assert_true(says(f->why, "No single URL became slower"));
    assert_false(scene_has(&s, "slower-urls"));
    scene_fini(&s);
}

static void test_healthy(void **state)
{
    struct scene s;

    (void)state;
    scene_init(&s);
    scene_traffic(&s, 0, 2000, 40);
    scene_run(&s);
    for (size_t i = 0; i < s.fs.n; i++)
        assert_true(s.fs.at[i]->severity >= SEVERITY_INFO);
    assert_int_equal(s.fs.n, 0);
    scene_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worker_died),
        cmocka_unit_test(test_pools_stopped),
        cmocka_unit_test(test_app_offline_after_errors),
        cmocka_unit_test(test_app_offline_of_one_pool),
        cmocka_unit_test(test_error_rate_from_a_moment_on),
        cmocka_unit_test(test_worker_limits),
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_steady_errors_are_no_burst),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_nights_are_no_silence),
        cmocka_unit_test(test_slowdown),
        cmocka_unit_test(test_one_slow_url),
        cmocka_unit_test(test_one_url_became_slower),
        cmocka_unit_test(test_nothing_changed),
        cmocka_unit_test(test_slower_mix),
        cmocka_unit_test(test_healthy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
