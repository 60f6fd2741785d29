#include "supervisor/rapid_fail.h"

#include "base/poison.h"

bool rapid_fail_count(struct rapid_fail *rf, uint64_t now_ms, uint64_t interval_ms,
                      uint32_t max_crashes)
{
    if (rf->count == 0 || now_ms - rf->opened_ms > interval_ms)
        *rf = (struct rapid_fail){.opened_ms = now_ms};
    rf->count++;
    return rf->count >= max_crashes;
}

void rapid_fail_reset(struct rapid_fail *rf)
{
    *rf = (struct rapid_fail){0};
}
