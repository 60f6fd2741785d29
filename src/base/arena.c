#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/poison.h"

enum { CHUNK_BYTES = 8192 - 32 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t cap;
    _Alignas(16) char data[];
};

struct arena_cleanup {
    struct arena_cleanup *next;
    void (*fn)(void *);
    void *arg;
};

void arena_init(struct arena *a, size_t limit)
{
    *a = (struct arena){.limit = limit};
}

static void run_cleanups(struct arena *a)
{
    while (a->cleanups) {
        struct arena_cleanup *c = a->cleanups;
        a->cleanups = c->next;
        c->fn(c->arg);
    }
}

void arena_fini(struct arena *a)
{
    run_cleanups(a);
    while (a->chunks) {
        struct arena_chunk *c = a->chunks;
        a->chunks = c->next;
        free(c);
    }
    a->at = a->end = NULL;
    a->used = 0;
}

void arena_reset(struct arena *a)
{
    run_cleanups(a);
    struct arena_chunk *c = a->chunks;

    while (c && (c->next || c->cap != CHUNK_BYTES)) {
        a->chunks = c->next;
        free(c);
        c = a->chunks;
    }
    a->at = c ? c->data : NULL;
    a->end = c ? c->data + c->cap : NULL;
    a->used = 0;
}

static void *new_chunk(struct arena *a, size_t n)
{
    size_t cap = n > CHUNK_BYTES / 2 ? n : CHUNK_BYTES;
    struct arena_chunk *c = malloc(sizeof(*c) + cap);

    if (!c) {
        if (a->limit)
            return NULL;
        c = xmalloc(sizeof(*c) + cap);
    }
    c->cap = cap;
    if (cap != CHUNK_BYTES && a->chunks) {
        /* A large piece gets a chunk of its own behind the current one, whose rest stays in use. */
        c->next = a->chunks->next;
        a->chunks->next = c;
        return c->data;
    }
    c->next = a->chunks;
    a->chunks = c;
    a->at = c->data + n;
    a->end = c->data + cap;
    return c->data;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return NULL;
    n = (n + 15) & ~(size_t)15;
    if (a->limit && n > a->limit - (a->used < a->limit ? a->used : a->limit))
        return NULL;
    a->used += n;
    if (LIKELY((size_t)(a->end - a->at) >= n)) {
        void *p = a->at;
        a->at += n;
        return p;
    }
    return new_chunk(a, n);
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);

    return p ? memset(p, 0, n) : NULL;
}

struct str arena_dup(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);

    if (!p)
        return STR_NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return (struct str){p, s.n};
}

char *arena_dup_z(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);

    if (!p)
        return NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    char text[256]; /* most are short: no heap for them */
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0)
        return STR_NULL;
    if ((size_t)n < sizeof(text))
        return arena_dup(a, str_n(text, (size_t)n));
    char *p = arena_alloc(a, (size_t)n + 1);

    if (!p)
        return STR_NULL;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return str_n(p, (size_t)n);
}

void arena_on_end(struct arena *a, void (*fn)(void *), void *arg)
{
    struct arena_cleanup *c = arena_alloc(a, sizeof(*c));

    if (!c) {
        fn(arg);
        return;
    }
    *c = (struct arena_cleanup){.next = a->cleanups, .fn = fn, .arg = arg};
    a->cleanups = c;
}
