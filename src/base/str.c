#include "base/str.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/poison.h"

bool str_ieq(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    return true;
}

int str_icmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;

    for (size_t i = 0; i < n; i++) {
        int d = (unsigned char)ascii_lower(a.p[i]) - (unsigned char)ascii_lower(b.p[i]);
        if (d != 0)
            return d;
    }
    return a.n == b.n ? 0 : a.n < b.n ? -1 : 1;
}

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int d = n ? memcmp(a.p, b.p, n) : 0;

    return d != 0 ? d : a.n == b.n ? 0 : a.n < b.n ? -1 : 1;
}

bool str_istarts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_ieq(str_sub(s, 0, prefix.n), prefix);
}

bool str_iends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_ieq(str_sub(s, s.n - suffix.n, s.n), suffix);
}

size_t str_find_char(struct str s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

    return at ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t str_rfind_char(struct str s, char c)
{
    const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;

    return at ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t str_find(struct str s, struct str needle)
{
    if (needle.n == 0)
        return 0;
    const char *at = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;

    return at ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t str_ifind(struct str s, struct str needle)
{
    for (size_t i = 0; i + needle.n <= s.n; i++)
        if (str_ieq(str_sub(s, i, i + needle.n), needle))
            return i;
    return SIZE_MAX;
}

static struct str trim_set(struct str s, const char *set)
{
    while (s.n && strchr(set, s.p[0]) && s.p[0])
        s.p++, s.n--;
    while (s.n && strchr(set, s.p[s.n - 1]) && s.p[s.n - 1])
        s.n--;
    return s;
}

struct str str_trim(struct str s)
{
    return trim_set(s, " \t");
}

struct str str_trim_all(struct str s)
{
    return trim_set(s, " \t\r\n");
}

bool str_split(struct str *rest, char sep, struct str *ret_part)
{
    if (rest->p == NULL)
        return false;
    size_t at = str_find_char(*rest, sep);

    if (at == SIZE_MAX) {
        *ret_part = *rest;
        bool any = rest->n > 0;
        *rest = STR_NULL;
        return any;
    }
    *ret_part = str_sub(*rest, 0, at);
    rest->p += at + 1;
    rest->n -= at + 1;
    return true;
}

bool str_u64(struct str s, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_is_digit(s.p[i]))
            return false;
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return false;
    }
    if (v > max)
        return false;
    *ret = v;
    return true;
}

bool str_u64_any(struct str s, uint64_t max, uint64_t *ret)
{
    if (!str_istarts(s, STR("0x")))
        return str_u64(s, max, ret);
    uint64_t v = 0;

    if (s.n < 3 || s.n > 18)
        return false;
    for (size_t i = 2; i < s.n; i++) {
        int d = ascii_hex(s.p[i]);
        if (d < 0)
            return false;
        v = v << 4 | (unsigned)d;
    }
    if (v > max)
        return false;
    *ret = v;
    return true;
}

bool str_i64(struct str s, int64_t *ret)
{
    bool neg = s.n && s.p[0] == '-';
    uint64_t v;

    if (!str_u64_any(neg ? str_sub(s, 1, s.n) : s, (uint64_t)INT64_MAX + neg, &v))
        return false;
    *ret = neg ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

char *str_dup_z(struct str s)
{
    char *z = xmalloc(s.n + 1);

    if (s.n)
        memcpy(z, s.p, s.n);
    z[s.n] = '\0';
    return z;
}

size_t fmt_u64(char out[20], uint64_t v)
{
    char tmp[20];
    size_t n = 0;

    do {
        tmp[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    for (size_t i = 0; i < n; i++)
        out[i] = tmp[n - 1 - i];
    return n;
}
