#include "diagnose/report.h"

#include <stdio.h>
#include <time.h>

#include "base/poison.h"

static struct str format_time(int64_t time_s, char out[32], const char *separator, const char *end)
{
    struct tm tm;
    time_t t = (time_t)time_s;

    if (time_s == RECORD_NO_TIME || !gmtime_r(&t, &tm))
        return STR("");
    int n = snprintf(out, 32, "%04d-%02d-%02d%s%02d:%02d:%02d%s", tm.tm_year + 1900, tm.tm_mon + 1,
                     tm.tm_mday, separator, tm.tm_hour, tm.tm_min, tm.tm_sec, end);

    return n > 0 && n < 32 ? str_n(out, (size_t)n) : STR("");
}

struct str report_time(int64_t time_s, char out[32])
{
    return format_time(time_s, out, "T", "Z");
}

struct str report_time_short(int64_t time_s, char out[32])
{
    return format_time(time_s, out, " ", "");
}

/* Length of the character at p by RFC 3629, 0 if there is none. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    unsigned c = p[0];
    size_t len = c < 0x80                 ? 1
                 : c >= 0xC2 && c <= 0xDF ? 2
                 : (c & 0xF0) == 0xE0     ? 3
                 : c >= 0xF0 && c <= 0xF4 ? 4
                                          : 0;

    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if ((c == 0xE0 && p[1] < 0xA0) || (c == 0xED && p[1] > 0x9F) || (c == 0xF0 && p[1] < 0x90) ||
        (c == 0xF4 && p[1] > 0x8F))
        return 0;
    return len;
}

/* Windows-1252 from 0x80 to 0x9F; 0 is not assigned. */
static const uint16_t cp1252[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178,
};

static void put_code_point(struct buf *out, unsigned c)
{
    if (c < 0x800) {
        buf_char(out, (char)(0xC0 | c >> 6));
    } else {
        buf_char(out, (char)(0xE0 | c >> 12));
        buf_char(out, (char)(0x80 | (c >> 6 & 0x3F)));
    }
    buf_char(out, (char)(0x80 | (c & 0x3F)));
}

static void put_1252(struct buf *out, unsigned c)
{
    if (c >= 0xA0)
        put_code_point(out, c);
    else
        put_code_point(out, cp1252[c - 0x80] ? cp1252[c - 0x80] : 0xFFFD);
}

/* A value is UTF-8 as a whole or not at all: one odd byte makes all of it Windows-1252. */
static bool is_utf8(struct str s)
{
    for (size_t i = 0, len; i < s.n; i += len)
        if ((len = utf8_len((const unsigned char *)s.p + i, s.n - i)) == 0)
            return false;
    return true;
}

/* C1 control characters and the marks that turn a line's direction. */
static bool is_tricky(const unsigned char *p, size_t len)
{
    return (len == 2 && p[0] == 0xC2 && p[1] < 0xA0) ||
           (len == 3 && p[0] == 0xE2 &&
            ((p[1] == 0x80 && p[2] >= 0xAA && p[2] <= 0xAE) ||
             (p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9)));
}

void report_plain(struct buf *out, struct str s)
{
    bool utf8 = is_utf8(s);

    for (size_t i = 0; i < s.n;) {
        const unsigned char *p = (const unsigned char *)s.p + i;
        size_t len = *p < 0x80 || !utf8 ? 1 : utf8_len(p, s.n - i);

        if (*p < 0x20 || *p == 0x7F || (len > 1 && is_tricky(p, len)))
            buf_char(out, '.');
        else if (*p < 0x80 || utf8)
            buf_append(out, p, len);
        else
            put_1252(out, *p);
        i += len;
    }
}

void report_json_str(struct buf *out, struct str s)
{
    bool utf8 = is_utf8(s);

    buf_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '"' || c == '\\') {
            buf_char(out, '\\');
            buf_char(out, (char)c);
        } else if (c < 0x20 || c == 0x7F) {
            buf_printf(out, "\\u%04x", c);
        } else if (c < 0x80 || utf8) {
            buf_char(out, (char)c);
        } else {
            put_1252(out, c);
        }
    }
    buf_char(out, '"');
}
