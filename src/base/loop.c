#include "base/loop.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/poison.h"

enum { EVENTS_PER_TURN = 256 };

struct loop {
    int epoll;
    struct loop_io wake;
    bool stopping;
    uint64_t now_ms;
    struct loop_hooks hooks;
    struct loop_timer **heap; /* 1-based binary heap by at_ms */
    size_t timers, heap_cap;
    struct epoll_event *events;
    int pending, current; /* of the turn being worked off */
};

static void on_wake(struct loop_io *io, uint32_t events)
{
    uint64_t n;

    (void)!read(io->fd, &n, sizeof(n));
}

struct loop *loop_new(void)
{
    struct loop *l = xcalloc(1, sizeof(*l));

    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->wake = (struct loop_io){.on_event = on_wake, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    INVARIANT(l->epoll >= 0 && l->wake.fd >= 0);
    l->events = xcalloc(EVENTS_PER_TURN, sizeof(*l->events));
    l->now_ms = clock_mono_ms();
    INVARIANT(loop_io_set(l, &l->wake, EPOLLIN));
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    close(l->wake.fd);
    close(l->epoll);
    free(l->heap);
    free(l->events);
    free(l);
}

void loop_set_hooks(struct loop *l, struct loop_hooks hooks)
{
    l->hooks = hooks;
}

bool loop_io_set(struct loop *l, struct loop_io *io, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = io};

    if (io->armed == events)
        return true;
    if (events == 0) {
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, io->fd, &ev);
        io->armed = 0;
        /* Events of this turn that still wait to be worked off must not reach a freed io. */
        for (int i = l->current; i < l->pending; i++)
            if (l->events[i].data.ptr == io)
                l->events[i].data.ptr = NULL;
        return true;
    }
    if (epoll_ctl(l->epoll, io->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, io->fd, &ev) < 0)
        return false;
    io->armed = events;
    return true;
}

static void heap_put(struct loop *l, size_t i, struct loop_timer *t)
{
    l->heap[i] = t;
    t->heap_index = (uint32_t)i;
}

static void heap_up(struct loop *l, size_t i)
{
    struct loop_timer *t = l->heap[i];

    for (; i > 1 && l->heap[i / 2]->at_ms > t->at_ms; i /= 2)
        heap_put(l, i, l->heap[i / 2]);
    heap_put(l, i, t);
}

static void heap_down(struct loop *l, size_t i)
{
    struct loop_timer *t = l->heap[i];

    for (;;) {
        size_t child = i * 2;
        if (child > l->timers)
            break;
        if (child < l->timers && l->heap[child + 1]->at_ms < l->heap[child]->at_ms)
            child++;
        if (l->heap[child]->at_ms >= t->at_ms)
            break;
        heap_put(l, i, l->heap[child]);
        i = child;
    }
    heap_put(l, i, t);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t at_ms)
{
    if (t->heap_index) {
        uint64_t was = t->at_ms;
        t->at_ms = at_ms;
        if (at_ms < was)
            heap_up(l, t->heap_index);
        else
            heap_down(l, t->heap_index);
        return;
    }
    t->at_ms = at_ms;
    l->heap = xgrow(l->heap, l->timers + 1, &l->heap_cap, sizeof(struct loop_timer *));
    l->timers++;
    l->heap[l->timers] = t;
    heap_up(l, l->timers);
}

void loop_timer_clear(struct loop *l, struct loop_timer *t)
{
    size_t i = t->heap_index;

    if (!i)
        return;
    t->heap_index = 0;
    struct loop_timer *last = l->heap[l->timers--];

    if (last == t)
        return;
    heap_put(l, i, last);
    heap_up(l, i);
    heap_down(l, last->heap_index);
}

uint64_t loop_now_ms(const struct loop *l)
{
    return l->now_ms;
}

static int wait_ms(const struct loop *l, int timeout_ms)
{
    if (l->timers == 0)
        return timeout_ms;
    uint64_t now = clock_mono_ms(), at = l->heap[1]->at_ms;
    int due = at <= now ? 0 : at - now > 3600000 ? 3600000 : (int)(at - now);

    return timeout_ms < 0 || due < timeout_ms ? due : timeout_ms;
}

static void run_timers(struct loop *l)
{
    while (l->timers && l->heap[1]->at_ms <= l->now_ms) {
        struct loop_timer *t = l->heap[1];
        loop_timer_clear(l, t);
        t->on_time(t);
    }
}

void loop_turn(struct loop *l, int timeout_ms)
{
    int wait = wait_ms(l, timeout_ms);

    if (l->hooks.before_wait && l->hooks.before_wait(l->hooks.arg))
        wait = 0;
    int n = epoll_wait(l->epoll, l->events, EVENTS_PER_TURN, wait);

    l->now_ms = clock_mono_ms();
    l->current = 0;
    l->pending = n < 0 ? 0 : n;
    /* The wake is taken before the hook looks for what it announced: a later one stays visible. */
    for (int i = 0; i < l->pending; i++)
        if (l->events[i].data.ptr == &l->wake) {
            on_wake(&l->wake, EPOLLIN);
            l->events[i].data.ptr = NULL;
        }
    if (l->hooks.after_wait)
        l->hooks.after_wait(l->hooks.arg); /* may take out what has events pending */
    if (l->hooks.on_events && l->pending)
        l->hooks.on_events(l->hooks.arg, l->events, l->pending);
    while (l->current < l->pending) {
        struct epoll_event *ev = &l->events[l->current++];
        struct loop_io *io = ev->data.ptr;
        if (io)
            io->on_event(io, ev->events);
    }
    l->pending = l->current = 0;
    run_timers(l);
    if (l->hooks.after_events)
        l->hooks.after_events(l->hooks.arg);
}

void loop_run(struct loop *l)
{
    while (!__atomic_load_n(&l->stopping, __ATOMIC_RELAXED))
        loop_turn(l, -1);
    l->stopping = false;
}

void loop_stop(struct loop *l)
{
    __atomic_store_n(&l->stopping, true, __ATOMIC_RELAXED);
    loop_wake(l);
}

void loop_wake(struct loop *l)
{
    uint64_t one = 1;

    (void)!write(l->wake.fd, &one, sizeof(one));
}
