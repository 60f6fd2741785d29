/* A thread's event loop over epoll, level-triggered, with coarse timers. Everything here belongs
 * to the thread that runs the loop, except loop_wake. */
#ifndef CANDOR_BASE_LOOP_H
#define CANDOR_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;

/* Embedded in whatever waits for a descriptor. events is a set of EPOLLIN, EPOLLOUT, EPOLLHUP... */
struct loop_io {
    void (*on_event)(struct loop_io *io, uint32_t events);
    int fd;
    uint32_t armed; /* what epoll watches now; 0: not registered */
};

/* Embedded in whatever waits for a time. Timers of equal delay cost O(log n) of their number. */
struct loop_timer {
    void (*on_time)(struct loop_timer *t);
    uint64_t at_ms; /* monotonic */
    uint32_t heap_index; /* 0: not armed */
};

/* Called once per turn: before the wait (may return true to keep the loop from sleeping), right
 * after it, with the events that are about to be handed out one by one (data.ptr: its loop_io, or
 * NULL), and after the turn's events and timers. Any may be NULL. */
struct loop_hooks {
    bool (*before_wait)(void *arg);
    void (*after_wait)(void *arg);
    void (*on_events)(void *arg, const struct epoll_event *events, int n);
    void (*after_events)(void *arg);
    void *arg;
};

struct loop *loop_new(void);
void loop_free(struct loop *l);
void loop_set_hooks(struct loop *l, struct loop_hooks hooks);
/* Runs until loop_stop. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* One turn; timeout_ms -1 waits for ever. For tests and for loops inside other loops. */
void loop_turn(struct loop *l, int timeout_ms);
/* From any thread: ends the current wait. */
void loop_wake(struct loop *l);

/* Watches io->fd for events (replacing what was watched); 0 takes it out. False if the kernel
 * refuses. Closing a descriptor without loop_io_set(…, 0) is allowed if io is never used again. */
bool loop_io_set(struct loop *l, struct loop_io *io, uint32_t events);

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t at_ms);
void loop_timer_clear(struct loop *l, struct loop_timer *t);

/* Time read once a turn, after the wait. */
uint64_t loop_now_ms(const struct loop *l);

#endif
