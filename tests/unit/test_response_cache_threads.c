/* The response cache under threads that find, store, flush and look: for the thread and address
 * sanitizers. Every answer carries its own path and a number, so that a mixed one shows. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rc.h"
#include "listener/response_cache.h"
#include "base/poison.h"

enum { READERS = 3, TURNS = 1500, PER_TURN = 20, PATHS = 700, HELD = 8, TURNS_PER_DISTURBANCE = 3 };
enum { ROOM_FOR_SOME = 250 * 1024 }; /* a quarter of the answers */

static struct response_cache *cache;
static _Atomic unsigned running, turns; /* of all readers */
static int file;

struct reader {
    unsigned index;
    uint32_t random;
    uint64_t hits, bad;
};

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static struct response_cache_key key_of(unsigned i, char path[32])
{
    int n = snprintf(path, 32, "/folder%u/file%u", i % 7, i);

    return (struct response_cache_key){.host = STR("Host.test"),
                                       .path = str_n(path, (size_t)n),
                                       .raw = str_n(path, (size_t)n),
                                       .generation = 1,
                                       .site = 1 + i % 3,
                                       .port = 80};
}

static void store(unsigned i, uint64_t now_ms, uint64_t worker)
{
    char path[32];
    struct response_cache_key key = key_of(i, path);
    struct msg_response head = {.status = 200,
                                .flags = MSGR_CACHE | MSGR_LENGTH,
                                .cache_seconds = i % 5 ? UINT32_MAX : 1};
    bool by_file = i % 11 == 0;
    struct response_cache_offer o = {.key = &key,
                                     .head = &head,
                                     .lines = STR("ETag: \"e\"\r\nContent-Type: a/b\r\n"),
                                     .body = key.path,
                                     .fd = by_file ? file : -1,
                                     .worker = worker,
                                     .now_ms = now_ms,
                                     .is_get = true,
                                     .whole = true};

    head.content_length = by_file ? 1 : (int64_t)key.path.n;
    enum response_cache_why why = response_cache_store(cache, &o);

    if (why != CACHE_OK && why != CACHE_ROOM)
        fail_msg("%s", response_cache_why_name(why));
}

static bool is_right(const struct cached_response *r, struct str path)
{
    char out[CACHED_HEAD_MAX + 64];

    if (!r->in_memory)
        return r->fd >= 0;
    size_t n = cached_response_write(r, CACHED_WHOLE, CACHED_KEEP,
                                     "Fri, 20 Nov 2026 14:00:00 GMT", out);

    return n > path.n && memcmp(out + n - path.n, path.p, path.n) == 0;
}

/* A turn of an event loop: hits, misses that are then stored, some answers kept for later. */
static void *read_and_store(void *arg)
{
    struct reader *me = arg;
    const struct cached_response *held[HELD] = {0};

    for (unsigned turn = 0; turn < TURNS; turn++) {
        uint64_t now_ms = 1000 + turn * 10;
        response_cache_online(cache, me->index);
        for (unsigned k = 0; k < PER_TURN; k++) {
            unsigned i = next_random(&me->random) % PATHS;
            char path[32];
            struct response_cache_key key = key_of(i, path);
            const struct cached_response *r = response_cache_find(cache, me->index, &key, now_ms);
            if (!r) {
                store(i, now_ms, 1 + i % 2);
                continue;
            }
            me->hits++;
            me->bad += !is_right(r, key.path);
            if (k == 0) {
                const struct cached_response **slot = &held[turn % HELD];
                if (*slot)
                    cached_response_unref(*slot);
                *slot = cached_response_ref(r);
            }
        }
        response_cache_tick(cache, now_ms);
        response_cache_offline(cache, me->index);
        atomic_fetch_add(&turns, 1);
        for (unsigned k = 0; k < HELD; k++) /* asleep, but output is under way */
            if (held[k] && held[k]->in_memory)
                me->bad += cached_response_body(held[k]).p[0] != '/';
    }
    for (unsigned k = 0; k < HELD; k++)
        if (held[k])
            cached_response_unref(held[k]);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* The control thread: takes out this and that, and looks at the rest. As often as the readers turn,
 * not as the clock does: on a busy machine nothing would stay long enough to be hit. */
static void *disturb(void *arg)
{
    uint32_t random = 77;
    unsigned seen = 0;
    char path[32];

    while (atomic_load(&running)) {
        usleep(50);
        if (atomic_load(&turns) - seen < TURNS_PER_DISTURBANCE)
            continue;
        seen = atomic_load(&turns);
        unsigned i = next_random(&random) % PATHS;
        struct response_cache_key key = key_of(i, path);
        struct response_cache_stats stats;
        size_t n;
        switch (i % 6) {
        case 0:
            response_cache_flush(cache, key.site, STR("/folder3"), true, 0);
            break;
        case 1:
            response_cache_flush_worker(cache, 2);
            break;
        case 2:
            response_cache_stats(cache, &stats);
            break;
        case 3:
            if (!response_cache_flush_url(cache, STR("http://host.test/folder1"), true, &n))
                abort();
            break;
        case 4:
            json_decref(response_cache_list(cache, 5, 1000));
            break;
        default:
            response_cache_flush(cache, key.site, key.path, false, 0);
            break;
        }
    }
    return NULL;
}

static void run(uint64_t max_bytes)
{
    struct reader readers[READERS];
    pthread_t threads[READERS], disturber;
    struct response_cache_stats stats;
    struct response_cache_limits limits = {.max_bytes = max_bytes};
    uint64_t hits = 0;

    cache = response_cache_new(&limits, READERS);
    atomic_store(&running, READERS);
    atomic_store(&turns, 0);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.index = i, .random = 12345 + i};
        assert_int_equal(pthread_create(&threads[i], NULL, read_and_store, &readers[i]), 0);
    }
    assert_int_equal(pthread_create(&disturber, NULL, disturb, NULL), 0);
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(readers[i].bad, 0);
        hits += readers[i].hits;
    }
    assert_int_equal(pthread_join(disturber, NULL), 0);
    response_cache_stats(cache, &stats);
    assert_int_equal(stats.hits, hits);
    assert_int_equal(stats.hits + stats.misses, (uint64_t)READERS * TURNS * PER_TURN);
    assert_true(stats.hits > stats.misses / 10);
    assert_true(stats.flushed > 0);
    response_cache_flush_all(cache, 0);
    response_cache_stats(cache, &stats);
    assert_int_equal(stats.entries, 0);
    assert_int_equal(stats.bytes, 0);
    assert_int_equal(stats.files, 0);
    assert_int_equal(stats.pending, 0); /* all threads are offline */
    response_cache_free(cache);
}

static void all_at_once(void **state)
{
    file = memfd_create("body", MFD_CLOEXEC);
    assert_true(file >= 0 && ftruncate(file, 1) == 0);
    run(0);
    run(ROOM_FOR_SOME);
    close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_at_once)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
