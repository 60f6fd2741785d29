/* Memory that ends all at once: request, connection, configuration generation. Not thread-safe;
 * one arena belongs to one thread at a time. */
#ifndef CANDOR_BASE_ARENA_H
#define CANDOR_BASE_ARENA_H

#include <stddef.h>

#include "base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    char *at, *end;             /* free part of the newest chunk */
    size_t used, limit;         /* bytes taken; the most it may take (0: no limit) */
    struct arena_cleanup *cleanups;
};

/* limit 0: out of memory ends the process (configuration, tools). Otherwise arena_alloc returns
 * NULL past the limit and the caller fails its request. */
void arena_init(struct arena *a, size_t limit);
/* Runs the cleanups, newest first, and frees everything. The arena may be used again. */
void arena_fini(struct arena *a);
/* Like fini, but keeps the first chunk for the next user: no malloc in steady state. */
void arena_reset(struct arena *a);

/* 16-byte aligned, not zeroed (arena_zalloc: zeroed). NULL only if a limit is set and passed. */
void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);
/* A copy, with a NUL after it that the view does not count. An empty view if the limit is passed. */
struct str arena_dup(struct arena *a, struct str s);
char *arena_dup_z(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Calls fn(arg) when the arena ends. */
void arena_on_end(struct arena *a, void (*fn)(void *), void *arg);

#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))

#endif
