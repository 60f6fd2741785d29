/* A growing byte buffer with a ceiling. Append freely, test buf.overflow once at the end. */
#ifndef CANDOR_BASE_BUF_H
#define CANDOR_BASE_BUF_H

#include "base/str.h"

struct buf {
    char *p;
    size_t n, cap, max; /* max is the ceiling in bytes */
    bool overflow;      /* something did not fit and was left out */
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
static inline void buf_clear(struct buf *b)
{
    b->n = 0;
    b->overflow = false;
}

/* Makes room for n more bytes and returns where they go, or NULL past the ceiling (overflow is
 * set). The caller adds what it wrote to b->n. */
char *buf_reserve(struct buf *b, size_t n);

void buf_append(struct buf *b, const void *p, size_t n);
static inline void buf_str(struct buf *b, struct str s)
{
    buf_append(b, s.p, s.n);
}
static inline void buf_char(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}
void buf_u64(struct buf *b, uint64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Text for an HTML page: & < > " ' escaped, control characters replaced. */
void buf_html(struct buf *b, struct str s);
/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);

static inline struct str buf_view(const struct buf *b)
{
    return (struct str){b->p, b->n};
}

#define _cleanup_buf_ __attribute__((cleanup(buf_fini)))

#endif
