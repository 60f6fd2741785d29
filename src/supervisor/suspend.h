/* processModel/idleTimeoutAction="Suspend": an idle worker is stopped where it stands and its
 * memory is offered to the machine. The request that wakes it goes the usual way: the listener puts
 * it on the ring and writes to the worker's pipe, on which we listen in its place. */
#ifndef CANDOR_SUPERVISOR_SUSPEND_H
#define CANDOR_SUPERVISOR_SUSPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct suspension;
struct worker;

/* Keeps copies of what is needed to suspend w later: its region, and on what its n threads sleep.
 * NULL: cannot be had; the worker is then ended when it is idle. */
struct suspension *suspension_new(struct worker *w, int region, const int *sleeps, size_t n);
struct suspension *suspension_free(struct suspension *s);

/* Stops the worker, unless it has just been given something to do. */
void suspension_begin(struct suspension *s);
/* Lets it run again, if it is stopped. */
void suspension_end(struct suspension *s);
/* Stopped, or about to be. */
bool suspension_is_on(const struct suspension *s);
/* When it was last woken, monotonic; 0: never. What it said of being idle before is void. */
uint64_t suspension_woken_ms(const struct suspension *s);

#endif
