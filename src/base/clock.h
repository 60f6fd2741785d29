/* The one source of time. Tests may stop the clock with clock_set_for_test. */
#ifndef CANDOR_BASE_CLOCK_H
#define CANDOR_BASE_CLOCK_H

#include <stdint.h>

/* Monotonic nanoseconds. */
uint64_t clock_mono_ns(void);
static inline uint64_t clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000u;
}
/* Wall clock: microseconds since 1970 UTC. */
int64_t clock_wall_us(void);

/* 0 gives the real clocks back. */
void clock_set_for_test(uint64_t mono_ns, int64_t wall_us);

#endif
