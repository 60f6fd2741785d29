/* recycling/periodicRestart/schedule: times of day, local time. */
#ifndef CANDOR_SUPERVISOR_SCHEDULE_H
#define CANDOR_SUPERVISOR_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

/* Seconds from now (seconds since 1970 UTC) to the next of the n times of day (milliseconds since
 * local midnight), always at least 1; UINT64_MAX if there are none. A time that a change of the
 * clocks skips comes as much later as the clocks were moved. Any thread. */
uint64_t schedule_seconds_to_next(const uint64_t *times_ms, size_t n, int64_t now);

#endif
