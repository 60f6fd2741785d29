/* Which answers the listener may give again without asking a worker (system.webServer/caching, the
 * kernel cache of HTTP.sys). Only what every later GET or HEAD of the same scheme, host, port and
 * path would get as well: whatever has to see each request keeps its answers out. The listener adds
 * conditions of its own about what it sees itself: sizes, header lines, the request's form. */
#ifndef CANDOR_WORKER_CACHE_POLICY_H
#define CANDOR_WORKER_CACHE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct plan;
struct request;

/* As the schema numbers kernelCachePolicy. */
enum cache_profile_policy {
    CACHE_DEFAULT,    /* DontCache: no opinion */
    CACHE_UNTIL_CHANGE,
    CACHE_FOR_TIME,
    CACHE_NEVER,      /* DisableCache */
};

/* caching/profiles as far as the kernel cache is concerned. */
struct cache_profile {
    struct str extension; /* ".css", or "*" */
    enum cache_profile_policy policy;
    uint32_t seconds;
    bool varies; /* by a query string or a header: more than the listener tells apart */
};

/* What HttpCacheModule has read for a node. */
struct cache_conf {
    bool enabled; /* caching/@enabled and @enableKernelCache */
    const struct cache_profile *profiles;
    size_t n_profiles;
};

/* One reason to keep an answer out. Exactly one of the tests is set. */
struct cache_exclusion {
    const char *name;
    bool (*of_plan)(const struct plan *p);      /* follows from configuration alone */
    bool (*of_answer)(const struct request *r); /* has to be asked for each answer */
    const char *why;
};

/* All of them in the order in which they are asked. */
const struct cache_exclusion *cache_exclusions(size_t *ret_n);

/* For a finished answer, headers and all, of a request whose pipeline HttpCacheModule is part of:
 * counts the hit and sets response.cache_seconds if the answer may be offered. Else the exclusion
 * that applies; it is noted in response.cache_exclusion. */
const struct cache_exclusion *cache_policy_apply(struct request *r);

#endif
