/* The ring: one-way, single producer, single consumer, in memory that two processes share.
 * Records of varying length; the consumer is woken only if it has announced that it sleeps.
 * Neither side trusts the other: a record's header is copied out and checked before use, and
 * payloads must be copied before they are checked (see queue/message.h). Positions only grow;
 * offset = position mod size. */
#ifndef CANDOR_QUEUE_RING_H
#define CANDOR_QUEUE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

/* Lives in shared memory, followed by size bytes of data. */
struct ring_shared {
    _Alignas(64) _Atomic uint64_t tail;     /* written by the producer */
    _Alignas(64) _Atomic uint64_t head;     /* written by the consumer */
    _Alignas(64) _Atomic uint32_t sleeping; /* consumer waits for its eventfd */
    _Alignas(64) _Atomic uint32_t starved;  /* producer waits for room */
};

/* One process's view of one end. Private memory; the other side cannot touch it. */
struct ring {
    struct ring_shared *shared;
    unsigned char *data;
    uint64_t size;      /* power of two */
    uint64_t mine;      /* own position (tail of a producer, head of a consumer) */
    uint64_t other;     /* the other side's position as last read and checked */
    uint64_t reserved;  /* producer: position where the record under construction starts */
    int wake_fd;        /* what the other side sleeps on: an eventfd, or a pipe to write to */
    int sleep_fd;       /* the own one */
};

enum { RING_ALIGN = 16, RING_RECORD_HEAD = 16 };

/* A record as the consumer sees it. payload points into shared memory: copy before checking. */
struct ring_record {
    uint16_t type, flags;
    uint64_t id;
    const unsigned char *payload;
    uint32_t len;
    uint32_t total; /* with head and padding */
};

/* Bytes of shared memory that a ring of size data bytes takes. */
static inline uint64_t ring_bytes(uint64_t size)
{
    return sizeof(struct ring_shared) + size;
}

/* Attaches to a ring at mem. size: power of two, at least 4096. The eventfds stay the caller's. */
void ring_attach(struct ring *r, void *mem, uint64_t size, int wake_fd, int sleep_fd);

/* Producer. Room for a record of up to max payload bytes, or NULL while the ring is full (then
 * `starved` is set and the consumer will wake us). max may be at most size / 4. */
void *ring_reserve(struct ring *r, uint32_t max);
/* Publishes the reserved record with the len bytes that were really written. */
void ring_commit(struct ring *r, uint16_t type, uint16_t flags, uint64_t id, uint32_t len);
/* reserve + copy + commit; false when full. */
MUST_CHECK bool ring_push(struct ring *r, uint16_t type, uint16_t flags, uint64_t id,
                          const void *payload, uint32_t len);
/* Wakes the consumer if it sleeps; call once per batch. True if a wake was sent. */
bool ring_wake_consumer(struct ring *r);
/* Position after the last published record; a record is taken once ring_consumed() has passed it. */
static inline uint64_t ring_tail(const struct ring *r)
{
    return r->mine;
}
/* How far the consumer has come, never beyond our own tail and never backwards. */
uint64_t ring_consumed(struct ring *r);

/* Consumer. RC_OK: *ret is the next record; RC_AGAIN: empty; RC_FAIL: the producer broke the
 * protocol. The record stays until ring_pop. */
MUST_CHECK enum rc ring_peek(struct ring *r, struct ring_record *ret);
void ring_pop(struct ring *r, const struct ring_record *rec);
/* Consumer. What seems to come behind rec, the record just peeked: *ret has its head only, and
 * nothing of it is checked. False if nothing is known of it yet. For hints. */
bool ring_peek_after(const struct ring *r, const struct ring_record *rec, struct ring_record *ret);
/* Tells a starved producer that there is room; call once per batch. */
void ring_wake_producer(struct ring *r);
/* Announces sleep. False if a record arrived meanwhile: then do not sleep. */
bool ring_sleep_begin(struct ring *r);
void ring_sleep_end(struct ring *r);

#endif
