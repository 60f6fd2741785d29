#include "base/clock.h"

#include <time.h>

#include "base/poison.h"

static uint64_t test_mono;
static int64_t test_wall;

uint64_t clock_mono_ns(void)
{
    struct timespec t;

    if (test_mono)
        return test_mono;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int64_t clock_wall_us(void)
{
    struct timespec t;

    if (test_wall)
        return test_wall;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void clock_set_for_test(uint64_t mono_ns, int64_t wall_us)
{
    test_mono = mono_ns;
    test_wall = wall_us;
}
