/* What leaves the response cache, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rc.h"
#include "response_cache_fixture.h"
#include "base/poison.h"

/* ---- what goes ------------------------------------------------------------------------------ */

static void put_at(struct cache_fixture *f, uint32_t site, const char *path)
{
    f->key.site = site;
    f->key.path = f->key.raw = str_z(path);
    assert_int_equal(cache_store(f), CACHE_OK);
}

static void fill_in(struct cache_fixture *f)
{
    f->offer.worker = 5;
    put_at(f, 1, "/");
    put_at(f, 1, "/a");
    put_at(f, 1, "/a/b");
    put_at(f, 1, "/a/b/c.html");
    put_at(f, 1, "/A/B/c.html");
    put_at(f, 1, "/ab");
    put_at(f, 2, "/a");
    f->offer.worker = 6;
    put_at(f, 2, "/a/b");
}

static void flushes_take_what_they_name(void **state)
{
    static const struct {
        uint32_t site;
        const char *path;
        bool subtree;
        uint64_t worker;
        size_t want;
    } rows[] = {
        {1, "/a", false, 0, 1},   {1, "/a/", false, 0, 0},  {1, "/a/B/C.HTML", false, 0, 2},
        {1, "/a", true, 0, 4},    {1, "/a/", true, 0, 3},   {1, "/", true, 0, 6},
        {1, "", true, 0, 6},      {2, "", true, 0, 2},      {2, "", true, 5, 1},
        {2, "/a/b", false, 5, 0}, {2, "/a/b", false, 6, 1}, {0, "/a", false, 0, 2},
        {0, "", true, 0, 8},      {0, "", true, 6, 1},      {3, "", true, 0, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cache_fixture f = cache_start(NULL);
        fill_in(&f);
        size_t n = response_cache_flush(f.cache, rows[i].site, str_z(rows[i].path), rows[i].subtree,
                                        rows[i].worker);
        if (n != rows[i].want)
            fail_msg("row %zu: %zu", i, n);
        assert_int_equal(cache_stats_of(&f).entries, 8 - n);
        response_cache_free(f.cache);
    }
    struct cache_fixture f = cache_start(NULL);

    fill_in(&f);
    assert_int_equal(response_cache_flush_worker(f.cache, 5), 7);
    assert_int_equal(response_cache_flush_all(f.cache, 9), 1);
    assert_int_equal(cache_stats_of(&f).bytes, 0);
    response_cache_free(f.cache);
}

static void an_administrator_names_urls(void **state)
{
    static const struct {
        const char *url;
        bool subtree, ok;
        size_t want;
    } rows[] = {
        {"*", false, true, 8},
        {"http://www.example.test/a", false, true, 2},
        {"HTTP://WWW.example.test:80/a", true, true, 6},
        {"http://www.example.test/%61/b", false, true, 2},
        {"http://www.example.test", false, true, 1},
        {"http://www.example.test/", true, true, 8},
        {"http://*:80/ab", false, true, 1},
        {"http://+/ab", false, true, 1},
        {"http://*:81/ab", false, true, 0},
        {"https://www.example.test/a", false, true, 0},
        {"http://other.test/a", false, true, 0},
        {"/a", false, false, 0},
        {"ftp://www.example.test/a", false, false, 0},
        {"http:///a", false, false, 0},
        {"http://*x/a", false, false, 0},
        {"http://*:0/a", false, false, 0},
        {"http://www.example.test/%zz", false, false, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cache_fixture f = cache_start(NULL);
        size_t n = 0;
        fill_in(&f);
        bool ok = response_cache_flush_url(f.cache, str_z(rows[i].url), rows[i].subtree, &n);
        if (ok != rows[i].ok || n != rows[i].want)
            fail_msg("%s: %d %zu", rows[i].url, ok, n);
        response_cache_free(f.cache);
    }
}

static void time_runs_out(void **state)
{
    struct cache_fixture f = cache_start(NULL);

    f.head.cache_seconds = 10;
    put_at(&f, 1, "/short");
    f.head.cache_seconds = UINT32_MAX;
    put_at(&f, 1, "/flushed only");
    assert_non_null(cache_find_at(&f, f.offer.now_ms + 100000));
    f.key.path = f.key.raw = STR("/short");
    assert_non_null(cache_find_at(&f, f.offer.now_ms + 9999));
    assert_null(cache_find_at(&f, f.offer.now_ms + 10000));
    response_cache_tick(f.cache, f.offer.now_ms + 10000);
    assert_int_equal(cache_stats_of(&f).expired, 1);
    assert_int_equal(cache_stats_of(&f).entries, 1);
    response_cache_free(f.cache);
}

static void what_nobody_uses_goes(void **state)
{
    struct cache_fixture f = cache_start(&(struct response_cache_limits){.scavenge_s = 10});
    uint64_t t = f.offer.now_ms;

    put_at(&f, 1, "/used");
    put_at(&f, 1, "/unused");
    f.key.path = f.key.raw = STR("/used");
    assert_non_null(cache_find_at(&f, t + 9000));
    response_cache_tick(f.cache, t + 9000);
    assert_int_equal(cache_stats_of(&f).entries, 2);
    response_cache_tick(f.cache, t + 10000);
    assert_int_equal(cache_stats_of(&f).entries, 1);
    assert_int_equal(cache_stats_of(&f).unused, 1);
    assert_non_null(cache_find_at(&f, t + 10000));
    response_cache_free(f.cache);
}

static void room_is_made_by_what_is_not_in_use(void **state)
{
    static char body[8192];
    struct cache_fixture f = cache_start(&(struct response_cache_limits){.max_bytes = 10 * 9216});
    char path[16];

    memset(body, 'b', sizeof(body));
    f.offer.body = str_n(body, sizeof(body));
    for (unsigned i = 0; i < 10; i++) {
        int n = snprintf(path, sizeof(path), "/%u", i);
        f.key.path = f.key.raw = str_n(path, (size_t)n);
        assert_int_equal(cache_store(&f), CACHE_OK);
    }
    f.key.path = f.key.raw = STR("/more");
    assert_int_equal(cache_store(&f), CACHE_ROOM); /* all the others are in use */
    f.offer.now_ms += 3000;
    f.key.path = f.key.raw = STR("/3");
    assert_non_null(cache_find(&f));
    for (unsigned i = 0; i < 9; i++) {
        int n = snprintf(path, sizeof(path), "/new%u", i);
        f.key.path = f.key.raw = str_n(path, (size_t)n);
        assert_int_equal(cache_store(&f), CACHE_OK);
        assert_true(cache_stats_of(&f).bytes <= 10 * 9216);
    }
    f.key.path = f.key.raw = STR("/3");
    assert_non_null(cache_find(&f));
    assert_int_equal(cache_stats_of(&f).evicted, 9);
    response_cache_free(f.cache);
}

static void a_smaller_limit_takes_effect(void **state)
{
    struct cache_fixture f = cache_start(NULL);
    char path[16];

    for (unsigned i = 0; i < 100; i++) {
        int n = snprintf(path, sizeof(path), "/%u", i);
        f.key.path = f.key.raw = str_n(path, (size_t)n);
        assert_int_equal(cache_store(&f), CACHE_OK);
    }
    response_cache_set_limits(f.cache, &(struct response_cache_limits){.max_bytes = 10000});
    response_cache_tick(f.cache, f.offer.now_ms + 5000);
    assert_true(cache_stats_of(&f).bytes <= 10000);
    assert_true(cache_stats_of(&f).entries > 2);
    response_cache_free(f.cache);
}

static void what_is_being_sent_stays(void **state)
{
    struct cache_fixture f = cache_start(NULL);

    assert_int_equal(cache_store(&f), CACHE_OK);
    response_cache_online(f.cache, 1);
    const struct cached_response *seen = response_cache_find(f.cache, 1, &f.key, f.offer.now_ms);
    const struct cached_response *held = cached_response_ref(seen);

    assert_int_equal(response_cache_flush_all(f.cache, 7), 1);
    assert_null(cache_find(&f));
    assert_true(str_eq(cached_response_body(seen), STR("hello"))); /* until the end of the turn */
    assert_int_equal(cache_stats_of(&f).pending, 1);
    response_cache_offline(f.cache, 1);
    response_cache_tick(f.cache, f.offer.now_ms);
    assert_int_equal(cache_stats_of(&f).pending, 0);
    assert_true(str_eq(cached_response_body(held), STR("hello"))); /* as long as it is needed */
    cached_response_unref(held);
    response_cache_free(f.cache);
}

static void a_new_answer_takes_the_place_of_the_old(void **state)
{
    struct cache_fixture f = cache_start(NULL);

    assert_int_equal(cache_store(&f), CACHE_OK);
    f.offer.body = STR("other");
    assert_int_equal(cache_store(&f), CACHE_OK);
    assert_int_equal(cache_stats_of(&f).entries, 1);
    assert_true(str_eq(cached_response_body(cache_find(&f)), STR("other")));
    f.key.generation = 8;
    assert_int_equal(cache_store(&f), CACHE_OK);
    assert_int_equal(cache_stats_of(&f).entries, 1);
    response_cache_free(f.cache);
}

static void many_entries_are_all_found(void **state)
{
    enum { ENTRIES = 5000 };
    struct cache_fixture f = cache_start(NULL);
    char path[16];

    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < ENTRIES; i++) {
            int n = snprintf(path, sizeof(path), "/%u", i);
            f.key.path = f.key.raw = str_n(path, (size_t)n);
            if (round == 0)
                assert_int_equal(cache_store(&f), CACHE_OK);
            else if (!cache_find(&f))
                fail_msg("%s", path);
        }
    assert_int_equal(cache_stats_of(&f).entries, ENTRIES);
    for (unsigned i = 0; i < ENTRIES; i += 2) {
        int n = snprintf(path, sizeof(path), "/%u", i);
        assert_int_equal(response_cache_flush(f.cache, 1, str_n(path, (size_t)n), false, 0), 1);
    }
    for (unsigned i = 0; i < ENTRIES; i++) {
        int n = snprintf(path, sizeof(path), "/%u", i);
        f.key.path = f.key.raw = str_n(path, (size_t)n);
        assert_int_equal(cache_find(&f) != NULL, i % 2);
    }
    response_cache_free(f.cache);
}

static void the_administrator_sees_what_is_in_it(void **state)
{
    struct cache_fixture f = cache_start(NULL);

    put_at(&f, 1, "/a");
    f.offer.now_ms += 4000;
    f.key.tls = true;
    f.key.port = 8443;
    f.head.cache_seconds = UINT32_MAX;
    put_at(&f, 2, "/b \xff\"\n%41");
    json_t *j = response_cache_list(f.cache, 10, f.offer.now_ms);
    json_t *entries = json_object_get(j, "entries"), *second = json_array_get(entries, 1);
    size_t n;

    assert_string_equal(json_string_value(json_object_get(json_array_get(entries, 0), "url")),
                        "https://www.example.test:8443/b%20%ff%22%0a%2541");
    assert_true(response_cache_flush_url(f.cache, STR("https://*:8443/b"), true, &n));
    assert_int_equal(n, 0); /* "/b" is no folder of it */

    assert_int_equal(json_integer_value(json_object_get(j, "count")), 2);
    assert_int_equal(json_array_size(entries), 2);
    assert_string_equal(json_string_value(json_object_get(second, "url")),
                        "http://www.example.test/a");
    assert_int_equal(json_integer_value(json_object_get(second, "idle_s")), 4);
    assert_int_equal(json_integer_value(json_object_get(second, "expires_s")), 896);
    assert_int_equal(json_integer_value(json_object_get(second, "status")), 200);
    json_decref(j);
    j = response_cache_list(f.cache, 1, f.offer.now_ms);
    assert_int_equal(json_array_size(json_object_get(j, "entries")), 1);
    json_decref(j);
    response_cache_free(f.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flushes_take_what_they_name),
        cmocka_unit_test(an_administrator_names_urls),
        cmocka_unit_test(time_runs_out),
        cmocka_unit_test(what_nobody_uses_goes),
        cmocka_unit_test(room_is_made_by_what_is_not_in_use),
        cmocka_unit_test(a_smaller_limit_takes_effect),
        cmocka_unit_test(what_is_being_sent_stays),
        cmocka_unit_test(a_new_answer_takes_the_place_of_the_old),
        cmocka_unit_test(many_entries_are_all_found),
        cmocka_unit_test(the_administrator_sees_what_is_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
