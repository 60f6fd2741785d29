/* A response cache and what the tests put into it. */
#ifndef CANDOR_TESTS_RESPONSE_CACHE_FIXTURE_H
#define CANDOR_TESTS_RESPONSE_CACHE_FIXTURE_H

#include "listener/response_cache.h"

#define CACHE_DATE "Fri, 20 Nov 2026 14:00:00 GMT"
#define CACHE_LINES                                    \
    "Content-Type: text/html\r\n"                      \
    "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n" \
    "ETag: \"abc\"\r\n"                                \
    "Server: Microsoft-IIS/10.0\r\n"

struct cache_fixture {
    struct response_cache *cache;
    struct response_cache_key key;
    struct msg_response head;
    struct response_cache_offer offer;
};

/* An empty cache (NULL: with the default limits) and an offer that it takes. The caller frees the
 * cache. */
struct cache_fixture cache_start(const struct response_cache_limits *limits);
/* Offers what the fixture holds. */
enum response_cache_why cache_store(struct cache_fixture *f);
/* A turn of its own: what it gives is good until something is taken out. */
const struct cached_response *cache_find_at(struct cache_fixture *f, uint64_t now_ms);
const struct cached_response *cache_find(struct cache_fixture *f);
struct response_cache_stats cache_stats_of(struct cache_fixture *f);

/* Header lines of n bytes in all, n at most CACHE_MANY. */
enum { CACHE_MANY = 1100 };
extern char cache_many_lines[CACHE_MANY + 1];
void cache_set_many_lines(size_t n);

#endif
