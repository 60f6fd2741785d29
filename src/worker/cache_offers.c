#include "worker/cache_offers.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/loop.h"
#include "queue/message.h"
#include "queue/ring.h"
#include "worker/thread.h"
#include "worker/url_cache.h"

#include "base/poison.h"

enum {
    OFFERS_MAX = 4096,         /* per thread: each costs three system calls a second */
    OWED_BYTES_MAX = 64 * 1024, /* of paths; past that one flush takes everything back */
    LOOK_MS = 1000,            /* how often files are looked at without a sign of change */
    SLICE_MS = 125,            /* many of them are looked at in portions, */
    SLICE_MIN = 64,            /* so many at a time, or as many as are needed */
    /* Between looks that changes cause, so that a folder where files are written all the time does
     * not cost much: a millisecond more for so many files that had to be looked at, up to a
     * bound. */
    PAUSE_MS = 20,
    PAUSE_PER = 8,
    PAUSE_MAX_MS = 500,
    EXPIRY_SLACK_MS = 2000,    /* the listener's clock began a little later */
};

/* A flush that is not on the ring yet. */
struct owed_flush {
    uint32_t site_id;
    struct str path; /* own memory */
};

struct cache_offers {
    struct worker_thread *thread;
    struct loop_timer timer;
    struct url_entry *newest;
    size_t n;
    uint32_t config_version; /* under which all of them were made */
    uint64_t changed_look_ms; /* last time that a change was looked into */
    uint64_t pause_ms;        /* till the next such time */
    uint64_t next_look_ms;
    bool due;                 /* the timer has run out */
    struct owed_flush *owed; /* oldest first */
    size_t n_owed, owed_cap, owed_bytes;
    bool owed_all;
    _Atomic bool poked;
    _Atomic bool any; /* for other threads: there are offers */
};

static void on_time(struct loop_timer *timer)
{
    /* The loop calls cache_offers_turn before it waits. */
    CONTAINER_OF(timer, struct cache_offers, timer)->due = true;
}

struct cache_offers *cache_offers_new(struct worker_thread *t)
{
    struct cache_offers *o = xcalloc(1, sizeof(*o));

    o->thread = t;
    o->timer.on_time = on_time;
    o->pause_ms = PAUSE_MS;
    return o;
}

static void drop_owed(struct cache_offers *o)
{
    for (size_t i = 0; i < o->n_owed; i++)
        free((void *)(uintptr_t)o->owed[i].path.p); /* made by str_dup_z */
    o->n_owed = o->owed_bytes = 0;
}

void cache_offers_free(struct cache_offers *o)
{
    if (!o)
        return;
    INVARIANT(o->n == 0);
    if (o->timer.heap_index)
        loop_timer_clear(o->thread->loop, &o->timer);
    drop_owed(o);
    free(o->owed);
    free(o);
}

size_t cache_offers_count(const struct cache_offers *o)
{
    return o->n;
}

size_t cache_offers_owed(const struct cache_offers *o)
{
    return o->owed_all ? 1 : o->n_owed;
}

void cache_offers_poke(struct cache_offers *o)
{
    if (atomic_load_explicit(&o->any, memory_order_relaxed) &&
        !atomic_exchange_explicit(&o->poked, true, memory_order_acq_rel))
        loop_wake(o->thread->loop);
}

/* ---- the list ------------------------------------------------------------------------------- */

static void list_add(struct cache_offers *o, struct url_entry *e)
{
    e->offered = true;
    e->offer_prev = NULL;
    e->offer_next = o->newest;
    if (o->newest)
        o->newest->offer_prev = e;
    o->newest = e;
    o->n++;
}

static void list_remove(struct cache_offers *o, struct url_entry *e)
{
    *(e->offer_prev ? &e->offer_prev->offer_next : &o->newest) = e->offer_next;
    if (e->offer_next)
        e->offer_next->offer_prev = e->offer_prev;
    e->offered = false;
    o->n--;
}

static void remove_all(struct cache_offers *o)
{
    while (o->newest)
        list_remove(o, o->newest);
}

/* ---- flushes -------------------------------------------------------------------------------- */

static void owe_all(struct cache_offers *o)
{
    remove_all(o);
    drop_owed(o);
    o->owed_all = true;
}

static void owe(struct cache_offers *o, const struct url_entry *e)
{
    if (o->owed_all)
        return;
    if (o->owed_bytes + e->path.n > OWED_BYTES_MAX) {
        owe_all(o);
        return;
    }
    o->owed = xgrow(o->owed, o->n_owed, &o->owed_cap, sizeof(*o->owed));
    o->owed[o->n_owed++] =
        (struct owed_flush){e->site_id, str_n(str_dup_z(e->path), e->path.n)};
    o->owed_bytes += e->path.n;
}

static bool push_flush(struct ring *ring, uint32_t site_id, struct str path)
{
    struct msg_flush m = {.site_id = site_id, .path_len = (uint32_t)path.n};
    char *p = ring_reserve(ring, (uint32_t)(sizeof(m) + path.n));

    if (!p)
        return false;
    memcpy(p, &m, sizeof(m));
    if (path.n)
        memcpy(p + sizeof(m), path.p, path.n);
    ring_commit(ring, MSG_CACHE_FLUSH, 0, 0, (uint32_t)(sizeof(m) + path.n));
    return true;
}

/* Sends what is owed, oldest first, as far as the ring has room. */
static unsigned pay(struct cache_offers *o, struct ring *ring)
{
    size_t n = 0;

    if (o->owed_all) {
        if (!push_flush(ring, 0, STR_NULL))
            return 0;
        o->owed_all = false;
        return 1;
    }
    while (n < o->n_owed && push_flush(ring, o->owed[n].site_id, o->owed[n].path)) {
        o->owed_bytes -= o->owed[n].path.n;
        free((void *)(uintptr_t)o->owed[n].path.p);
        n++;
    }
    o->n_owed -= n;
    if (n && o->n_owed)
        memmove(o->owed, o->owed + n, o->n_owed * sizeof(*o->owed));
    return (unsigned)n;
}

/* ---- offers --------------------------------------------------------------------------------- */

bool cache_offers_take(struct cache_offers *o, struct url_entry *e, uint32_t seconds)
{
    struct worker_thread *t = o->thread;
    uint64_t now = loop_now_ms(t->loop);

    if (seconds == 0 || o->owed_all || o->n_owed || !worker_sees_changes(t->worker))
        return false;
    if (e->offered ? now - e->offered_ms < CACHE_REPEAT_MS : o->n >= OFFERS_MAX)
        return false;
    if (o->n > 0 && o->config_version != t->config_version)
        return false; /* what was offered before has to be taken back first */
    /* In this order: a change from here on either shows or wakes us. */
    atomic_store_explicit(&o->any, true, memory_order_seq_cst);
    if (!url_entry_is_current(t->urls, e))
        return false;
    if (o->n == 0) {
        o->config_version = t->config_version;
        o->next_look_ms = now + LOOK_MS;
        loop_timer_set(t->loop, &o->timer, o->next_look_ms);
    }
    if (!e->offered)
        list_add(o, e);
    e->offered_ms = now;
    e->offer_until_ms = seconds == UINT32_MAX
                            ? UINT64_MAX
                            : now + UINT64_C(1000) * seconds + EXPIRY_SLACK_MS;
    return true;
}

void cache_offers_forget(struct cache_offers *o, struct url_entry *e)
{
    if (!e->offered)
        return;
    list_remove(o, e);
    owe(o, e);
}

/* ---- looking -------------------------------------------------------------------------------- */

/* at_files: also at those that have not been looked at for a while. Sets when the next ones are
 * due, and how long changes have to wait. */
static void look(struct cache_offers *o, bool at_files, uint64_t now)
{
    size_t looked = 0;

    uint64_t age = o->n <= SLICE_MIN ? 0 : LOOK_MS - SLICE_MS, oldest = now;
    size_t budget = at_files ? SLICE_MIN + o->n / 4 : 0;
    struct url_entry *e = o->newest;

    while (e) {
        struct url_entry *next = e->offer_next;
        bool is_old = budget && now - e->checked_ms >= age;

        if (now >= e->offer_until_ms) {
            list_remove(o, e); /* the listener has forgotten it by itself */
        } else if (is_old || url_entry_is_in_doubt(e)) {
            budget -= is_old;
            looked++;
            if (!url_cache_recheck(o->thread->urls, e))
                e = NULL; /* forgotten, and a flush is owed */
        }
        if (o->owed_all)
            return; /* the list is gone */
        if (e && e->offered && e->checked_ms < oldest)
            oldest = e->checked_ms;
        e = next;
    }
    if (at_files)
        o->next_look_ms = o->n <= SLICE_MIN ? oldest + LOOK_MS : now + SLICE_MS;
    o->pause_ms = PAUSE_MS + looked / PAUSE_PER;
    if (o->pause_ms > PAUSE_MAX_MS)
        o->pause_ms = PAUSE_MAX_MS;
}

/* True if it is time to look. */
static bool is_time(struct cache_offers *o, uint64_t now, bool *ret_at_files)
{
    bool changed = atomic_exchange_explicit(&o->poked, false, memory_order_acq_rel);

    *ret_at_files = now >= o->next_look_ms;
    if (changed && now - o->changed_look_ms < o->pause_ms) {
        /* Noted; the timer comes soon enough. */
        atomic_store_explicit(&o->poked, true, memory_order_relaxed);
        changed = false;
    }
    if (changed)
        o->changed_look_ms = now;
    return changed || *ret_at_files;
}

static void set_timer(struct cache_offers *o)
{
    uint64_t at = o->next_look_ms;

    if (o->n == 0) {
        if (o->timer.heap_index)
            loop_timer_clear(o->thread->loop, &o->timer);
        return;
    }
    if (atomic_load_explicit(&o->poked, memory_order_relaxed) &&
        o->changed_look_ms + o->pause_ms < at)
        at = o->changed_look_ms + o->pause_ms;
    loop_timer_set(o->thread->loop, &o->timer, at);
}

static void work(struct cache_offers *o)
{
    struct worker_thread *t = o->thread;
    uint64_t now = loop_now_ms(t->loop);
    bool at_files;

    o->due = false;
    worker_thread_refresh(t);
    if (o->n && o->config_version != t->config_version) {
        owe_all(o);
    } else if (o->n && is_time(o, now, &at_files)) {
        look(o, at_files, now);
    }
    if (o->n == 0) {
        atomic_store_explicit(&o->any, false, memory_order_relaxed);
        atomic_store_explicit(&o->poked, false, memory_order_relaxed);
    }
    set_timer(o);
}

unsigned cache_offers_turn(struct cache_offers *o, struct ring *ring)
{
    if (UNLIKELY(o->due || atomic_load_explicit(&o->poked, memory_order_relaxed)))
        work(o);
    return UNLIKELY(o->owed_all || o->n_owed) ? pay(o, ring) : 0;
}
