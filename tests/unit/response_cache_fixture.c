#include "response_cache_fixture.h"

#include <string.h>

#include "base/poison.h"

struct cache_fixture cache_start(const struct response_cache_limits *limits)
{
    return (struct cache_fixture){
        .cache = response_cache_new(limits ? limits : &(struct response_cache_limits){0}, 2),
        .key = {.host = STR("www.example.test"),
                .path = STR("/a.html"),
                .raw = STR("/a.html"),
                .generation = 7,
                .site = 1,
                .port = 80},
        .head = {.status = 200, .flags = MSGR_CACHE | MSGR_LENGTH, .cache_seconds = 900},
        .offer = {.lines = STR(CACHE_LINES),
                  .body = STR("hello"),
                  .fd = -1,
                  .worker = 5,
                  .now_ms = 100000,
                  .is_get = true,
                  .whole = true}};
}

enum response_cache_why cache_store(struct cache_fixture *f)
{
    f->offer.key = &f->key;
    f->offer.head = &f->head;
    if (f->offer.fd < 0)
        f->head.content_length = (int64_t)f->offer.body.n;
    return response_cache_store(f->cache, &f->offer);
}

const struct cached_response *cache_find_at(struct cache_fixture *f, uint64_t now_ms)
{
    response_cache_online(f->cache, 0);
    const struct cached_response *r = response_cache_find(f->cache, 0, &f->key, now_ms);

    response_cache_offline(f->cache, 0);
    return r;
}

const struct cached_response *cache_find(struct cache_fixture *f)
{
    return cache_find_at(f, f->offer.now_ms);
}

struct response_cache_stats cache_stats_of(struct cache_fixture *f)
{
    struct response_cache_stats s;

    response_cache_stats(f->cache, &s);
    return s;
}

char cache_many_lines[CACHE_MANY + 1];

void cache_set_many_lines(size_t n)
{
    memset(cache_many_lines, 'v', sizeof(cache_many_lines));
    memcpy(cache_many_lines, "X: ", 3);
    memcpy(cache_many_lines + n - 2, "\r\n", 2);
}
