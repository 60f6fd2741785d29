#include "diagnose/text.h"

#include "base/poison.h"

/* Howard Hinnant's algorithm: eras of 400 years that begin in March. */
int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return era * 146097 + doe - 719468;
}

static bool civil(uint64_t year, uint64_t month, uint64_t day, int64_t *ret_s)
{
    static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > days[month - 1])
        return false;
    if (month == 2 && day == 29 && (year % 4 != 0 || (year % 100 == 0 && year % 400 != 0)))
        return false;
    *ret_s = days_from_civil((int)year, (int)month, (int)day) * 86400;
    return true;
}

bool text_date(struct str s, int64_t *ret_s)
{
    uint64_t y, m, d;

    return s.n == 10 && s.p[4] == '-' && s.p[7] == '-' && text_u64(s.p, 4, &y) &&
           text_u64(s.p + 5, 2, &m) && text_u64(s.p + 8, 2, &d) && civil(y, m, d, ret_s);
}

bool text_clock(struct str s, int64_t *ret_s)
{
    uint64_t h, m, sec;
    size_t a = str_find_char(s, ':');

    if (a == SIZE_MAX || a > 2 || s.n < a + 6 || s.p[a + 3] != ':')
        return false;
    if (!text_u64(s.p, a, &h) || !text_u64(s.p + a + 1, 2, &m) || !text_u64(s.p + a + 4, 2, &sec))
        return false;
    if (s.n > a + 6 && s.p[a + 6] != '.' && s.p[a + 6] != ',')
        return false;
    if (h > 23 || m > 59 || sec > 60)
        return false;
    *ret_s = (int64_t)(h * 3600 + m * 60 + sec);
    return true;
}

bool text_us_date(struct str s, int64_t *ret_s)
{
    struct str part[3];
    uint64_t v[3];

    for (size_t i = 0; i < 3; i++)
        if (!str_split(&s, '/', &part[i]) || !text_u64(part[i].p, part[i].n, &v[i]) || v[i] > 9999)
            return false;
    if (s.n)
        return false;
    if (part[2].n == 2)
        v[2] += v[2] < 70 ? 2000 : 1900;
    return civil(v[2], v[0], v[1], ret_s);
}

static int month_of(struct str s)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int i = 0; i < 12; i++)
        if (str_ieq(s, str_n(names + (size_t)i * 3, 3)))
            return i + 1;
    return 0;
}

/* "+hhmm" or "+hh:mm": seconds to take off for UTC. */
static bool offset_of(struct str s, int64_t *ret_s)
{
    uint64_t h, m;
    size_t colon = s.n == 6 && s.p[3] == ':';

    if ((s.n != 5 && !colon) || (s.p[0] != '+' && s.p[0] != '-'))
        return false;
    if (!text_u64(s.p + 1, 2, &h) || !text_u64(s.p + 3 + colon, 2, &m) || h > 15 || m > 59)
        return false;
    *ret_s = (int64_t)(h * 3600 + m * 60) * (s.p[0] == '-' ? -1 : 1);
    return true;
}

bool text_ncsa_time(struct str s, int64_t *ret_s)
{
    struct str day, month, year;
    uint64_t d, y;
    int64_t date, clock, offset = 0;
    size_t blank = str_find_char(s, ' ');

    if (blank != SIZE_MAX && !offset_of(str_trim(str_sub(s, blank, s.n)), &offset))
        return false;
    s = str_sub(s, 0, blank);
    if (!str_split(&s, '/', &day) || !str_split(&s, '/', &month) || !str_split(&s, ':', &year))
        return false;
    if (!text_u64(day.p, day.n, &d) || !text_u64(year.p, year.n, &y) || month_of(month) == 0)
        return false;
    if (!civil(y, (uint64_t)month_of(month), d, &date) || !text_clock(s, &clock))
        return false;
    *ret_s = date + clock - offset;
    return true;
}

bool text_iso_time(struct str s, int64_t *ret_s)
{
    int64_t date, clock, offset = 0;

    if (s.n < 19 || (s.p[10] != 'T' && s.p[10] != ' ') || !text_date(str_sub(s, 0, 10), &date) ||
        !text_clock(str_sub(s, 11, 19), &clock))
        return false;
    size_t at = 19;

    if (at < s.n && s.p[at] == '.')
        for (at++; at < s.n && ascii_is_digit(s.p[at]); at++)
            ;
    struct str zone = str_sub(s, at, s.n);

    if (zone.n && !str_eq(zone, STR("Z")) && !offset_of(zone, &offset))
        return false;
    *ret_s = date + clock - offset;
    return true;
}

bool text_is_address(struct str s)
{
    size_t dots = 0, colons = 0, digits = 0;

    if (s.n && s.p[0] == '[')
        s = str_sub(s, 1, str_find_char(s, ']'));
    s = str_sub(s, 0, str_find_char(s, '%'));
    if (s.n < 2 || s.n > 64)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        dots += s.p[i] == '.';
        colons += s.p[i] == ':';
        digits += ascii_is_digit(s.p[i]);
        if (ascii_hex(s.p[i]) < 0 && s.p[i] != '.' && s.p[i] != ':')
            return false;
    }
    return colons >= 2 || (dots == 3 && digits >= 4);
}

/* ---- folding ---- */

static bool is_guid(struct str s)
{
    if (s.n == 38 && s.p[0] == '{' && s.p[37] == '}')
        s = str_sub(s, 1, 37);
    if (s.n != 36)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.p[i] != '-' : ascii_hex(s.p[i]) < 0)
            return false;
    }
    return true;
}

static struct str fold_segment(struct str s)
{
    size_t digits = 0, hex = 0;

    if (s.n == 0 || (!ascii_is_digit(s.p[0]) && s.n < 16))
        return s;
    if (is_guid(s))
        return STR("{guid}");
    for (size_t i = 0; i < s.n; i++) {
        digits += ascii_is_digit(s.p[i]);
        hex += ascii_hex(s.p[i]) >= 0;
    }
    if (digits == s.n)
        return STR("{n}");
    return hex == s.n && s.n >= 16 && digits ? STR("{hex}") : s;
}

size_t text_fold_url(struct str url, char *out, size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i <= url.n && n < cap;) {
        size_t end = i;
        while (end < url.n && url.p[end] != '/')
            end++;
        struct str part = fold_segment(str_sub(url, i, end));
        size_t take = part.n < cap - n ? part.n : cap - n;
        if (take)
            memcpy(out + n, part.p, take);
        n += take;
        if (end < url.n && n < cap)
            out[n++] = '/';
        i = end + 1;
    }
    return n;
}
