#include "logging/log_time.h"

#include <stdio.h>
#include <time.h>

#include "base/poison.h"

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void log_clock_init(struct log_clock *c)
{
    tzset();
    *c = (struct log_clock){.second_us = INT64_MIN / 2};
}

static void fill_keys(uint32_t keys[LOG_PERIOD_HOURLY + 1], const struct tm *tm)
{
    uint32_t yymm = (uint32_t)(tm->tm_year % 100) * 100 + (uint32_t)tm->tm_mon + 1;
    uint32_t day = (uint32_t)tm->tm_mday;

    keys[LOG_PERIOD_MAX_SIZE] = 0;
    keys[LOG_PERIOD_DAILY] = yymm * 100 + day;
    /* The week of the month, 01 to 05, counted from its first day. */
    keys[LOG_PERIOD_WEEKLY] = yymm * 100 + (day - 1) / 7 + 1;
    keys[LOG_PERIOD_MONTHLY] = yymm;
    keys[LOG_PERIOD_HOURLY] = (yymm * 100 + day) * 100 + (uint32_t)tm->tm_hour;
}

void log_clock_refresh(struct log_clock *c, int64_t wall_us)
{
    int64_t second = wall_us / 1000000 - (wall_us % 1000000 < 0);
    time_t t = (time_t)second;
    struct tm utc = {0}, local = {0};

    gmtime_r(&t, &utc);
    localtime_r(&t, &local);
    c->second_us = second * 1000000;
    fill_keys(c->keys[0], &utc);
    fill_keys(c->keys[1], &local);

    snprintf(c->stamp, sizeof c->stamp, "%04u-%02u-%02u %02u:%02u:%02u",
             (unsigned)(utc.tm_year + 1900) % 10000, (unsigned)(utc.tm_mon + 1) % 100,
             (unsigned)utc.tm_mday % 100, (unsigned)utc.tm_hour % 100, (unsigned)utc.tm_min % 100,
             (unsigned)utc.tm_sec % 100);

    unsigned year = (unsigned)(local.tm_year + 1900) % 10000, month = (unsigned)local.tm_mon % 12;
    unsigned day = (unsigned)local.tm_mday % 100, hour = (unsigned)local.tm_hour % 100;
    unsigned minute = (unsigned)local.tm_min % 100, sec = (unsigned)local.tm_sec % 100;
    long offset = local.tm_gmtoff / 60;
    unsigned away = (unsigned)(offset < 0 ? -offset : offset);

    c->native_len = (uint8_t)snprintf(c->native, sizeof c->native, "%u/%u/%u, %u:%02u:%02u",
                                      month + 1, day, year, hour, minute, sec);
    c->ncsa_len = (uint8_t)snprintf(
        c->ncsa, sizeof c->ncsa, "[%02u/%s/%04u:%02u:%02u:%02u %c%02u%02u]", day, months[month],
        year, hour, minute, sec, offset < 0 ? '-' : '+', away / 60 % 100, away % 60);
}

/* Digits of a name by period; a number by size has as many as it needs. */
static const int digit_count[] = {
    [LOG_PERIOD_MAX_SIZE] = 1, [LOG_PERIOD_DAILY] = 6,  [LOG_PERIOD_WEEKLY] = 6,
    [LOG_PERIOD_MONTHLY] = 4,  [LOG_PERIOD_HOURLY] = 8,
};

struct log_naming log_naming_site(enum log_format format, enum log_period period, bool utf8,
                                  bool has_custom)
{
    static const char *const by_time[] = {
        [LOG_FORMAT_IIS] = "in", [LOG_FORMAT_NCSA] = "nc", [LOG_FORMAT_W3C] = "ex"};
    static const char *const by_size[] = {
        [LOG_FORMAT_IIS] = "inetsv", [LOG_FORMAT_NCSA] = "ncsa", [LOG_FORMAT_W3C] = "extend"};
    struct log_naming n = {.period = period};

    snprintf(n.prefix, sizeof n.prefix, "%s%s", utf8 ? "u_" : "",
             period == LOG_PERIOD_MAX_SIZE ? by_size[format] : by_time[format]);
    snprintf(n.suffix, sizeof n.suffix, "%s.log", has_custom ? "_x" : "");
    return n;
}

struct log_naming log_naming_httperr(enum log_period period)
{
    struct log_naming n = {.period = period, .suffix = ".log"};

    snprintf(n.prefix, sizeof n.prefix, "%s", period == LOG_PERIOD_MAX_SIZE ? "httperr" : "ht");
    return n;
}

void log_file_name(const struct log_naming *n, uint32_t digits, char out[LOG_NAME_MAX])
{
    snprintf(out, LOG_NAME_MAX, "%s%0*u%s", n->prefix, digit_count[n->period], digits, n->suffix);
}

bool log_file_number(const struct log_naming *n, struct str name, uint32_t *ret)
{
    struct str prefix = str_z(n->prefix), suffix = str_z(n->suffix);
    uint64_t v;

    if (name.n <= prefix.n + suffix.n || !str_starts(name, prefix) ||
        !str_eq(str_sub(name, name.n - suffix.n, name.n), suffix))
        return false;
    struct str digits = str_sub(name, prefix.n, name.n - suffix.n);

    if (name.p[prefix.n] == '0' || !str_u64(digits, UINT32_MAX - 1, &v))
        return false;
    *ret = (uint32_t)v;
    return true;
}
