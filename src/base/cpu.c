#include "base/cpu.h"

#include <sched.h>
#include <stddef.h>

#include "base/poison.h"

void cpu_pin_thread(unsigned index)
{
    cpu_set_t allowed, one;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        return;
    unsigned want = index % (unsigned)CPU_COUNT(&allowed);

    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &allowed) || want-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET((size_t)cpu, &one);
        (void)sched_setaffinity(0, sizeof(one), &one);
        return;
    }
}

unsigned cpu_usable(void)
{
    cpu_set_t allowed;

    return sched_getaffinity(0, sizeof(allowed), &allowed) < 0 ? 1 : (unsigned)CPU_COUNT(&allowed);
}
