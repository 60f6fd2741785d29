#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/poison.h"

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.max = b->max};
}

char *buf_reserve(struct buf *b, size_t n)
{
    size_t need;

    if (LIKELY(b->cap - b->n >= n && b->p))
        return b->p + b->n;
    if (__builtin_add_overflow(b->n, n, &need) || need > b->max)
        goto overflow;
    size_t cap = b->cap ? b->cap : 256;

    while (cap < need)
        cap *= 2;
    if (cap > b->max)
        cap = b->max;
    char *p = realloc(b->p, cap);
    if (!p)
        goto overflow;
    b->p = p;
    b->cap = cap;
    return p + b->n;
overflow:
    b->overflow = true;
    return NULL;
}

void buf_append(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    char *at = buf_reserve(b, n);

    if (at) {
        memcpy(at, p, n);
        b->n += n;
    }
}

void buf_u64(struct buf *b, uint64_t v)
{
    char tmp[20];

    buf_append(b, tmp, fmt_u64(tmp, v));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    char *z = NULL;

    va_start(ap, fmt);
    int n = vasprintf(&z, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->overflow = true;
        return;
    }
    buf_append(b, z, (size_t)n);
    free(z);
}

void buf_html(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        switch (c) {
        case '&':
            buf_str(b, STR("&amp;"));
            break;
        case '<':
            buf_str(b, STR("&lt;"));
            break;
        case '>':
            buf_str(b, STR("&gt;"));
            break;
        case '"':
            buf_str(b, STR("&quot;"));
            break;
        case '\'':
            buf_str(b, STR("&#39;"));
            break;
        default:
            buf_char(b, (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f ? '?'
                                                                                      : (char)c);
        }
    }
}

void buf_consume(struct buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}
