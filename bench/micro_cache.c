/* How long a hit in the response cache takes on the event thread: find it, and write it with the date
 * of now. Not a test: numbers depend on the machine. Prints the best of several rounds.
 *
 *   micro_cache [ENTRIES]      (default 1000) */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "listener/response_cache.h"
#include "base/poison.h"

enum { ROUNDS = 15, PER_ROUND = 100000, BODY = 1024, ENTRIES_MAX = 100000 };

static const char date[] = "Fri, 20 Nov 2026 14:00:00 GMT";
static struct response_cache *cache;
static struct response_cache_key *keys;
static size_t n_keys = 1000;
static char out[CACHED_HEAD_MAX + BODY];
static uint64_t sum;

static void fill(void)
{
    static char body[BODY];
    struct msg_response head = {.status = 200,
                                .flags = MSGR_CACHE | MSGR_LENGTH,
                                .cache_seconds = UINT32_MAX,
                                .content_length = BODY};
    struct response_cache_offer o = {.head = &head,
                                     .lines = STR("Content-Type: text/html\r\n"
                                                  "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                                  "Accept-Ranges: bytes\r\n"
                                                  "ETag: \"a1b2c3d4e5f6d701:0\"\r\n"
                                                  "Server: Microsoft-IIS/10.0\r\n"),
                                     .body = str_n(body, BODY),
                                     .fd = -1,
                                     .worker = 1,
                                     .now_ms = 1000,
                                     .is_get = true,
                                     .whole = true};

    keys = xcalloc(n_keys, sizeof(*keys));
    for (size_t i = 0; i < n_keys; i++) {
        char *path = xasprintf("/products/images/large/item-%zu.html", i);
        keys[i] = (struct response_cache_key){.host = STR("www.example.test"),
                                              .path = str_z(path),
                                              .raw = str_z(path),
                                              .generation = 1,
                                              .site = 1,
                                              .port = 80};
        o.key = &keys[i];
        INVARIANT(response_cache_store(cache, &o) == CACHE_OK);
    }
}

static const struct cached_response *find(size_t i)
{
    return response_cache_find(cache, 0, &keys[i % n_keys], 1500);
}

static void find_one(size_t i)
{
    sum += find(0)->status;
}

static void find_each(size_t i)
{
    sum += find(i)->status;
}

static void find_browser(size_t i)
{
    struct response_cache_key k = keys[i % n_keys];

    k.accept = STR("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    k.accept_encoding = STR("gzip, deflate, br");
    sum += response_cache_find(cache, 0, &k, 1500)->status;
}

static void miss(size_t i)
{
    struct response_cache_key k = keys[i % n_keys];

    k.site = 2;
    sum += response_cache_find(cache, 0, &k, 1500) == NULL;
}

static void write_whole(size_t i)
{
    sum += cached_response_write(find(0), CACHED_WHOLE, CACHED_KEEP, date, out);
}

static void write_304(size_t i)
{
    struct http_conditions c = {.if_none_match = STR("\"a1b2c3d4e5f6d701:0\"")};
    const struct cached_response *r = find(0);

    if (cached_response_not_modified(r, &c, 2000000000))
        sum += cached_response_write(r, CACHED_NOT_MODIFIED, CACHED_KEEP, date, out);
}

static void write_304_by_date(size_t i)
{
    struct http_conditions c = {.if_modified_since = STR("Sun, 06 Nov 1994 08:49:37 GMT")};
    const struct cached_response *r = find(0);

    if (cached_response_not_modified(r, &c, 2000000000))
        sum += cached_response_write(r, CACHED_NOT_MODIFIED, CACHED_KEEP, date, out);
}

static void sleep_and_wake(size_t i)
{
    response_cache_offline(cache, 0);
    response_cache_online(cache, 0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(size_t i);
    } rows[] = {
        {"find, the same one", find_one},
        {"find, each in turn", find_each},
        {"find, with a browser's Accept", find_browser},
        {"miss", miss},
        {"find and write 1 KiB", write_whole},
        {"find and write a 304, by tag", write_304},
        {"find and write a 304, by date", write_304_by_date},
        {"offline and online, once a turn", sleep_and_wake},
    };
    uint64_t n;

    if (argc > 1 && str_u64(str_z(argv[1]), ENTRIES_MAX, &n) && n)
        n_keys = (size_t)n;
    hash_seed();
    cache = response_cache_new(&(struct response_cache_limits){.max_bytes = UINT64_C(1) << 30}, 2);
    fill();
    response_cache_online(cache, 0);
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        uint64_t best = UINT64_MAX;
        for (unsigned round = 0; round < ROUNDS; round++) {
            uint64_t start = clock_mono_ns();
            for (size_t i = 0; i < PER_ROUND; i++)
                rows[r].run(i);
            uint64_t took = clock_mono_ns() - start;
            if (took < best)
                best = took;
        }
        printf("%-34s %6.1f ns\n", rows[r].name, (double)best / PER_ROUND);
    }
    fprintf(stderr, "(%llu)\n", (unsigned long long)sum); /* so that nothing is left out */
    response_cache_offline(cache, 0);
    response_cache_free(cache);
    for (size_t i = 0; i < n_keys; i++)
        free((char *)(uintptr_t)keys[i].path.p);
    free(keys);
    return 0;
}
