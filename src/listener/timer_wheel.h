/* Deadlines of many connections at the cost of one store each: a deadline that moves further away is
 * only noted, and looked at again when the old one comes. Coarse: fires within TIMER_TICK_MS. */
#ifndef CANDOR_LISTENER_TIMER_WHEEL_H
#define CANDOR_LISTENER_TIMER_WHEEL_H

#include <stdint.h>

enum { TIMER_TICK_MS = 128, TIMER_SLOTS = 1024 };

struct timer_entry {
    struct timer_entry *next, **prev; /* prev NULL: not in the wheel */
    uint64_t deadline_ms;             /* 0: none */
    uint64_t slot_ms;                 /* when the wheel will look at it */
};

struct timer_wheel {
    struct timer_entry *slots[TIMER_SLOTS];
    uint64_t tick; /* last tick worked off */
    uint64_t entries;
};

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms);

void timer_wheel_link(struct timer_wheel *w, struct timer_entry *e);
void timer_wheel_remove(struct timer_wheel *w, struct timer_entry *e);

/* Sets (0: clears) the deadline. */
static inline void timer_wheel_set(struct timer_wheel *w, struct timer_entry *e, uint64_t deadline_ms)
{
    e->deadline_ms = deadline_ms;
    if (deadline_ms && (!e->prev || deadline_ms < e->slot_ms))
        timer_wheel_link(w, e);
}

/* Calls fire for every entry whose deadline has passed; its deadline is 0 by then. fire may set,
 * remove and free entries, its own included. */
void timer_wheel_run(struct timer_wheel *w, uint64_t now_ms, void (*fire)(struct timer_entry *e));

#endif
