/* Memory that readers find without a lock, and when it may be freed: once every reading thread has
 * passed a point at which it holds no pointer to it (quiescent-state-based reclamation).
 *
 * Readers are the threads of event loops. A thread is offline while it sleeps, online while it
 * works, and passes a quiescent point at least once a turn: going offline is one. What it has found
 * stays valid until its next one. A reader pays one exchange on a cache line of its own per turn.
 *
 * Readers load the pointers with memory_order_seq_cst (QUIESCENCE_LOAD; a plain load on x86),
 * writers store them likewise: together with the exchange that is what makes a thread that comes
 * online either visible to the writer or too late to find what was taken out. */
#ifndef CANDOR_BASE_QUIESCENCE_H
#define CANDOR_BASE_QUIESCENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUIESCENCE_LOAD(pointer) atomic_load_explicit(pointer, memory_order_seq_cst)
#define QUIESCENCE_STORE(pointer, value) \
    atomic_store_explicit(pointer, value, memory_order_seq_cst)

/* Embedded in what is taken out. release is called once nobody can have it any more, by the thread
 * that reclaims. */
struct quiescence_item {
    struct quiescence_item *next;
    uint64_t epoch;
    void (*release)(struct quiescence_item *item);
};

struct quiescence_reader {
    _Alignas(128) _Atomic uint64_t seen; /* 0: offline, else the epoch at its last quiescent point */
};

struct quiescence {
    _Alignas(128) _Atomic uint64_t epoch; /* starts at 1; goes up with each item taken out */
    /* Everything below is the writers': they exclude each other by a lock of their own. */
    _Alignas(128) struct quiescence_item *first, **last; /* oldest first */
    size_t n_pending;
    unsigned n_readers;
    struct quiescence_reader *readers;
};

/* All readers start offline. */
void quiescence_init(struct quiescence *q, unsigned n_readers);
/* Releases everything: no reader may be online or come online any more. */
void quiescence_fini(struct quiescence *q);

/* Reader: before it looks for anything. */
static inline void quiescence_online(struct quiescence *q, unsigned reader)
{
    atomic_exchange_explicit(&q->readers[reader].seen,
                             atomic_load_explicit(&q->epoch, memory_order_acquire),
                             memory_order_seq_cst);
}

/* Reader: it holds nothing and will not look before it comes online again. */
static inline void quiescence_offline(struct quiescence *q, unsigned reader)
{
    atomic_store_explicit(&q->readers[reader].seen, 0, memory_order_release);
}

static inline bool quiescence_is_online(const struct quiescence *q, unsigned reader)
{
    return atomic_load_explicit(&q->readers[reader].seen, memory_order_relaxed) != 0;
}

/* Reader, online: it holds nothing at this moment. */
static inline void quiescence_pass(struct quiescence *q, unsigned reader)
{
    uint64_t now = atomic_load_explicit(&q->epoch, memory_order_acquire);

    if (atomic_load_explicit(&q->readers[reader].seen, memory_order_relaxed) != now)
        atomic_store_explicit(&q->readers[reader].seen, now, memory_order_release);
}

/* Writer: the item can no longer be found. It is released by a later quiescence_reclaim, also if
 * the caller is a reader itself. */
void quiescence_retire(struct quiescence *q, struct quiescence_item *item,
                       void (*release)(struct quiescence_item *item));
/* Writer: releases what no reader can hold any more, oldest first. Gives the number released. */
size_t quiescence_reclaim(struct quiescence *q);

#endif
