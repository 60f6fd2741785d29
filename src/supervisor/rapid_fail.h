/* Rapid-fail protection's window (hosting.md's rules for failure/rapidFailProtection). */
#ifndef CANDOR_SUPERVISOR_RAPID_FAIL_H
#define CANDOR_SUPERVISOR_RAPID_FAIL_H

#include <stdbool.h>
#include <stdint.h>

struct rapid_fail {
    uint64_t opened_ms; /* monotonic time of the window's first failure */
    uint32_t count;     /* failures in the window; 0: no window is open */
};

/* Counts a failure. The first one opens the window, one later than interval_ms after that opens a
 * new window. True when the window now holds max_crashes failures: the pool is to be disabled. */
bool rapid_fail_count(struct rapid_fail *rf, uint64_t now_ms, uint64_t interval_ms,
                      uint32_t max_crashes);

/* An administrator has started the pool again. */
void rapid_fail_reset(struct rapid_fail *rf);

#endif
