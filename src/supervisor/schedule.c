#include "supervisor/schedule.h"

#include <time.h>

#include "base/poison.h"

enum { DAY_SECONDS = 86400 };

/* When the local clock shows the time of day, `days` days after the day of tm. */
static int64_t at_local(const struct tm *day, int days, uint64_t second_of_day)
{
    struct tm t = {.tm_year = day->tm_year,
                   .tm_mon = day->tm_mon,
                   .tm_mday = day->tm_mday + days,
                   .tm_hour = (int)(second_of_day / 3600),
                   .tm_min = (int)(second_of_day / 60 % 60),
                   .tm_sec = (int)(second_of_day % 60),
                   .tm_isdst = -1};

    return (int64_t)mktime(&t);
}

uint64_t schedule_seconds_to_next(const uint64_t *times_ms, size_t n, int64_t now)
{
    uint64_t best = UINT64_MAX;
    time_t seconds = (time_t)now;
    struct tm day;

    if (n == 0 || !localtime_r(&seconds, &day))
        return best;
    for (size_t i = 0; i < n; i++) {
        uint64_t second = times_ms[i] / 1000 % DAY_SECONDS;
        int64_t at = at_local(&day, 0, second);
        if (at <= now)
            at = at_local(&day, 1, second);
        if (at > now && (uint64_t)(at - now) < best)
            best = (uint64_t)(at - now);
    }
    return best;
}
