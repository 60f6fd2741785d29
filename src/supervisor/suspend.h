/* processModel/idleTimeoutAction="Suspend": an idle worker is stopped where it stands and its
 * memory is offered to the machine. The request that wakes it goes the usual way: the listener puts
 * it on the ring and signals the worker's eventfd, on which we listen in its place. */
#ifndef CANDOR_SUPERVISOR_SUSPEND_H
#define CANDOR_SUPERVISOR_SUSPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct suspension;
struct worker;

/* Keeps what is needed to suspend w later: kit is what the listener is given of it. NULL: cannot be
 * had; the worker is then ended when it is idle. */
struct suspension *suspension_new(struct worker *w, const int *kit, size_t n_kit);
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
