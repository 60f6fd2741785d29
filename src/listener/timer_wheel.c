#include "listener/timer_wheel.h"

#include <string.h>

#include "base/poison.h"

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms)
{
    memset(w, 0, sizeof(*w));
    w->tick = now_ms / TIMER_TICK_MS;
}

void timer_wheel_remove(struct timer_wheel *w, struct timer_entry *e)
{
    if (!e->prev)
        return;
    *e->prev = e->next;
    if (e->next)
        e->next->prev = e->prev;
    e->prev = NULL;
    w->entries--;
}

void timer_wheel_link(struct timer_wheel *w, struct timer_entry *e)
{
    uint64_t tick = e->deadline_ms / TIMER_TICK_MS + 1;

    timer_wheel_remove(w, e);
    if (tick <= w->tick)
        tick = w->tick + 1;
    if (tick > w->tick + TIMER_SLOTS - 1)
        tick = w->tick + TIMER_SLOTS - 1; /* looked at again then */
    e->slot_ms = tick * TIMER_TICK_MS;
    struct timer_entry **slot = &w->slots[tick % TIMER_SLOTS];

    e->next = *slot;
    e->prev = slot;
    if (e->next)
        e->next->prev = &e->next;
    *slot = e;
    w->entries++;
}

void timer_wheel_run(struct timer_wheel *w, uint64_t now_ms, void (*fire)(struct timer_entry *e))
{
    uint64_t until = now_ms / TIMER_TICK_MS;

    if (until > w->tick + TIMER_SLOTS)
        w->tick = until - TIMER_SLOTS;
    while (w->tick < until) {
        struct timer_entry **slot = &w->slots[++w->tick % TIMER_SLOTS];
        struct timer_entry *e;
        /* Entries linked again go to later slots, so this ends. */
        while ((e = *slot)) {
            timer_wheel_remove(w, e);
            if (e->deadline_ms == 0)
                continue;
            if (e->deadline_ms > now_ms) {
                timer_wheel_link(w, e);
                continue;
            }
            e->deadline_ms = 0;
            fire(e);
        }
    }
}
