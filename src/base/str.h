/* Views of bytes: by value, never owning, not NUL-terminated. A view lives as long as what it
 * looks into; the struct that holds one says what that is. */
#ifndef CANDOR_BASE_STR_H
#define CANDOR_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/rc.h"

struct str {
    const char *p;
    size_t n;
};

#define STR(lit) ((struct str){(lit), sizeof(lit) - 1})
#define STR_NULL ((struct str){NULL, 0})
/* For printf's "%.*s". */
#define STR_ARG(s) (int)((s).n > 65535 ? 65535 : (s).n), ((s).p ? (s).p : "")

static inline struct str str_n(const char *p, size_t n)
{
    return (struct str){p, n};
}

/* A NUL-terminated string as a view; NULL gives the empty view. */
static inline struct str str_z(const char *z)
{
    return (struct str){z, z ? strlen(z) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool ascii_is_alpha(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* Value of a hexadecimal digit, or -1. */
static inline int ascii_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Equality and order without regard to ASCII letter case. */
bool str_ieq(struct str a, struct str b);
int str_icmp(struct str a, struct str b);
int str_cmp(struct str a, struct str b);

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && memcmp(s.p, prefix.p, prefix.n) == 0;
}
bool str_istarts(struct str s, struct str prefix);
bool str_iends(struct str s, struct str suffix);

/* Index of the first c (or of needle), or SIZE_MAX. */
size_t str_find_char(struct str s, char c);
size_t str_rfind_char(struct str s, char c);
size_t str_find(struct str s, struct str needle);
size_t str_ifind(struct str s, struct str needle);

/* s[from, to), clamped to the view. */
static inline struct str str_sub(struct str s, size_t from, size_t to)
{
    if (to > s.n)
        to = s.n;
    if (from > to)
        from = to;
    return (struct str){s.p ? s.p + from : NULL, to - from};
}

/* Without leading and trailing blanks and tabs (and CR, LF with str_trim_all). */
struct str str_trim(struct str s);
struct str str_trim_all(struct str s);

/* Splits at the next sep: writes what stands before it to *ret_part, and moves *rest past it.
 * False at the end. "a,,b" gives "a", "", "b"; an empty *rest gives nothing. */
bool str_split(struct str *rest, char sep, struct str *ret_part);

/* Whole view as a decimal number, or "0x" and hexadecimal digits for str_u64_any. False on an
 * empty view, any other character, or a value above max. */
MUST_CHECK bool str_u64(struct str s, uint64_t max, uint64_t *ret);
MUST_CHECK bool str_u64_any(struct str s, uint64_t max, uint64_t *ret);
MUST_CHECK bool str_i64(struct str s, int64_t *ret);

/* A NUL-terminated copy by malloc; ends the process when memory is out. Caller frees. */
char *str_dup_z(struct str s);

/* memchr-like search for any byte of a small set, decimal writer used by the hot path. */
size_t fmt_u64(char out[20], uint64_t v);

#endif
