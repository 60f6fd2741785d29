/* Where threads run. */
#ifndef CANDOR_BASE_CPU_H
#define CANDOR_BASE_CPU_H

/* Binds the calling thread to the index-th (counted round) of the processors that its process may
 * use. Listener and worker do the same with the same index, so that the two threads of a ring pair
 * share a processor: a wake across processors costs several times as much. Never fails; where the
 * kernel does not allow it the thread stays free. */
void cpu_pin_thread(unsigned index);

/* How many processors the process may use; at least 1. */
unsigned cpu_usable(void);

#endif
