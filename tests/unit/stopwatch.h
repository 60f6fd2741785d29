/* Bounds on time that judge the program and not the machine: the time that passed less what the
 * threads of this process (or of another one as well), ready to run, waited for a processor. On a
 * machine that has nothing else to do that is next to nothing. */
#ifndef CANDOR_TEST_STOPWATCH_H
#define CANDOR_TEST_STOPWATCH_H

#include <stdint.h>
#include <sys/types.h>

struct stopwatch {
    uint64_t began_ms, waited_ms;
    pid_t other; /* 0: none */
};

struct stopwatch stopwatch_start(void);
struct stopwatch stopwatch_start_with(pid_t other);
/* Milliseconds that count since the start; what must not come too late is compared with these. */
uint64_t stopwatch_ms(const struct stopwatch *w);

/* How long a test waits for what must happen, however slow the machine. */
enum { PATIENCE_MS = 60000 };

#endif
