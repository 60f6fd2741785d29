#include "base/alloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/poison.h"

static _Noreturn void out_of_memory(size_t n)
{
    fprintf(stderr, "candor: out of memory (%zu bytes)\n", n);
    abort();
}

_Noreturn void invariant_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "candor: %s:%d: broken promise: %s\n", file, line, what);
    abort();
}

void *xmalloc(size_t n)
{
    void *p = malloc(n ? n : 1);

    if (!p)
        out_of_memory(n);
    return p;
}

void *xcalloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);

    if (!p)
        out_of_memory(size);
    return p;
}

void *xrealloc(void *p, size_t n)
{
    p = realloc(p, n ? n : 1);
    if (!p)
        out_of_memory(n);
    return p;
}

void *xgrow(void *p, size_t n, size_t *cap, size_t size)
{
    size_t bytes;

    if (n < *cap)
        return p;
    size_t more = *cap ? *cap * 2 : 8;
    if (__builtin_mul_overflow(more, size, &bytes))
        out_of_memory(SIZE_MAX);
    *cap = more;
    return xrealloc(p, bytes);
}

char *xstrdup(const char *z)
{
    size_t n = strlen(z) + 1;

    return memcpy(xmalloc(n), z, n);
}

char *xasprintf(const char *fmt, ...)
{
    va_list ap;
    char *out = NULL;

    va_start(ap, fmt);
    int n = vasprintf(&out, fmt, ap);
    va_end(ap);
    if (n < 0)
        out_of_memory(0);
    return out;
}

void cleanup_free(void *p)
{
    free(*(void **)p);
}

void cleanup_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
