#include "http/date.h"

#include "base/poison.h"

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char day_names[] = "SunMonTueWedThuFriSat";
static const struct str full_days[7] = {
    {"Sunday", 6},   {"Monday", 6}, {"Tuesday", 7},  {"Wednesday", 9},
    {"Thursday", 8}, {"Friday", 6}, {"Saturday", 8},
};

enum { SECONDS_PER_DAY = 86400, DAYS_PER_ERA = 146097 };

/* Days are counted in eras of 400 years that start on 1 March of a year divisible by 400: leap days
 * come last in their year, and all eras are alike. 1970-01-01 is day 719468 of that count. */
enum { EPOCH_SHIFT = 719468 };

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

void civil_from_unix(int64_t unix_s, struct civil *ret)
{
    int64_t days = floor_div(unix_s, SECONDS_PER_DAY);
    unsigned second = (unsigned)(unix_s - days * SECONDS_PER_DAY);
    int64_t shifted = days + EPOCH_SHIFT;
    int64_t era = floor_div(shifted, DAYS_PER_ERA);
    unsigned of_era = (unsigned)(shifted - era * DAYS_PER_ERA);
    unsigned year_of_era =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / (DAYS_PER_ERA - 1)) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned march_month = (5 * of_year + 2) / 153;

    ret->day = of_year - (153 * march_month + 2) / 5 + 1;
    ret->month = march_month < 10 ? march_month + 3 : march_month - 9;
    ret->year = era * 400 + year_of_era + (ret->month <= 2);
    ret->hour = second / 3600;
    ret->minute = second / 60 % 60;
    ret->second = second % 60;
    ret->weekday = (unsigned)(days + 4 - floor_div(days + 4, 7) * 7);
}

int64_t civil_to_unix(const struct civil *c)
{
    int64_t year = c->year - (c->month <= 2);
    int64_t era = floor_div(year, 400);
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned march_month = c->month > 2 ? c->month - 3 : c->month + 9;
    unsigned of_year = (153 * march_month + 2) / 5 + c->day - 1;
    unsigned of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    int64_t days = era * DAYS_PER_ERA + of_era - EPOCH_SHIFT;

    return days * SECONDS_PER_DAY + c->hour * 3600 + c->minute * 60 + c->second;
}

static void put_digits(char *out, unsigned value, unsigned n)
{
    for (; n; n--, value /= 10)
        out[n - 1] = (char)('0' + value % 10);
}

void http_date_format(int64_t unix_s, char out[HTTP_DATE_LEN])
{
    static const int64_t year_0 = -62167219200, year_10000 = 253402300800;
    struct civil c;

    if (unix_s < year_0)
        unix_s = year_0;
    if (unix_s >= year_10000)
        unix_s = year_10000 - 1;
    civil_from_unix(unix_s, &c);
    memcpy(out, "DDD, 00 MMM 0000 00:00:00 GMT", HTTP_DATE_LEN);
    memcpy(out, day_names + c.weekday * 3, 3);
    put_digits(out + 5, c.day, 2);
    memcpy(out + 8, month_names + (c.month - 1) * 3, 3);
    put_digits(out + 12, (unsigned)c.year, 4);
    put_digits(out + 17, c.hour, 2);
    put_digits(out + 20, c.minute, 2);
    put_digits(out + 23, c.second, 2);
}

/* Takes what is expected at the front of *s, or fails and leaves *s anywhere. */
static bool take(struct str *s, struct str text)
{
    if (!str_istarts(*s, text))
        return false;
    *s = str_sub(*s, text.n, s->n);
    return true;
}

static bool take_digits(struct str *s, size_t n, unsigned *ret)
{
    uint64_t v;

    if (s->n < n || !str_u64(str_sub(*s, 0, n), 9999, &v))
        return false;
    *ret = (unsigned)v;
    *s = str_sub(*s, n, s->n);
    return true;
}

static bool take_month(struct str *s, unsigned *ret)
{
    for (unsigned i = 0; i < 12; i++)
        if (take(s, str_n(month_names + (size_t)i * 3, 3))) {
            *ret = i + 1;
            return true;
        }
    return false;
}

static bool take_time(struct str *s, struct civil *c)
{
    return take_digits(s, 2, &c->hour) && take(s, STR(":")) && take_digits(s, 2, &c->minute) &&
           take(s, STR(":")) && take_digits(s, 2, &c->second);
}

/* "06 Nov 1994 08:49:37 GMT", after "Sun, " */
static bool imf_fixdate(struct str s, struct civil *c)
{
    unsigned year = 0;
    bool ok = take_digits(&s, 2, &c->day) && take(&s, STR(" ")) && take_month(&s, &c->month) &&
              take(&s, STR(" ")) && take_digits(&s, 4, &year) && take(&s, STR(" ")) &&
              take_time(&s, c) && take(&s, STR(" GMT")) && s.n == 0;

    c->year = year;
    return ok;
}

/* "06-Nov-94 08:49:37 GMT", after "Sunday, " */
static bool rfc850(struct str s, struct civil *c)
{
    unsigned year = 0;
    bool ok = take_digits(&s, 2, &c->day) && take(&s, STR("-")) && take_month(&s, &c->month) &&
              take(&s, STR("-")) && take_digits(&s, 2, &year) && take(&s, STR(" ")) &&
              take_time(&s, c) && take(&s, STR(" GMT")) && s.n == 0;

    c->year = year < 70 ? 2000 + year : 1900 + year;
    return ok;
}

/* "Nov  6 08:49:37 1994", after "Sun " */
static bool asctime_date(struct str s, struct civil *c)
{
    unsigned year = 0;
    bool ok = take_month(&s, &c->month) && take(&s, STR(" ")) &&
              take_digits(&s, take(&s, STR(" ")) ? 1 : 2, &c->day) && take(&s, STR(" ")) &&
              take_time(&s, c) && take(&s, STR(" ")) && take_digits(&s, 4, &year) && s.n == 0;

    c->year = year;
    return ok;
}

static bool take_weekday(struct str *s, bool *ret_full)
{
    for (size_t i = 0; i < 7; i++) {
        *ret_full = take(s, full_days[i]);
        if (*ret_full || take(s, str_n(day_names + i * 3, 3)))
            return true;
    }
    return false;
}

static bool in_range(const struct civil *c)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);

    return c->day >= 1 && c->day <= days[c->month - 1] + (unsigned)(leap && c->month == 2) &&
           c->hour < 24 && c->minute < 60 && c->second <= 60;
}

bool http_date_parse(struct str s, int64_t *ret_unix_s)
{
    struct civil c = {0};
    bool full, ok;

    s = str_trim(str_sub(s, 0, str_find_char(s, ';')));
    if (!take_weekday(&s, &full))
        return false;
    if (take(&s, STR(", ")))
        ok = full ? rfc850(s, &c) : imf_fixdate(s, &c);
    else
        ok = !full && take(&s, STR(" ")) && asctime_date(s, &c);
    if (!ok || !in_range(&c))
        return false;
    *ret_unix_s = civil_to_unix(&c); /* a leap second is the first second of the next minute */
    return true;
}
