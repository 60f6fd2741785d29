#include "queue/ring.h"

#include <string.h>
#include <unistd.h>

#include "base/poison.h"

/* How a record starts in shared memory. Its size follows from len, so the two cannot disagree. */
struct record_head {
    uint32_t len; /* payload */
    uint16_t type, flags;
    uint64_t id;
};

_Static_assert(sizeof(struct record_head) == RING_RECORD_HEAD, "record head");

/* A producer that finds the ring empty goes back to its start, so that the memory in use stays
 * what the caches already hold. */
enum { REWIND_BYTES = 64 * 1024 };
enum { TYPE_PADDING = 0xffff };

void ring_attach(struct ring *r, void *mem, uint64_t size, int wake_fd, int sleep_fd)
{
    INVARIANT(size >= 4096 && (size & (size - 1)) == 0);
    *r = (struct ring){.shared = mem,
                       .data = (unsigned char *)mem + sizeof(struct ring_shared),
                       .size = size,
                       .wake_fd = wake_fd,
                       .sleep_fd = sleep_fd};
}

static uint64_t record_bytes(uint32_t len)
{
    return (RING_RECORD_HEAD + (uint64_t)len + RING_ALIGN - 1) & ~(uint64_t)(RING_ALIGN - 1);
}

static void signal_fd(int fd)
{
    uint64_t one = 1;

    (void)!write(fd, &one, sizeof(one));
}

uint64_t ring_consumed(struct ring *r)
{
    uint64_t head = atomic_load_explicit(&r->shared->head, memory_order_acquire);

    if (head >= r->other && head <= r->mine)
        r->other = head;
    return r->other;
}

static bool has_room(struct ring *r, uint64_t need)
{
    if (r->size - (r->mine - r->other) >= need)
        return true;
    return r->size - (r->mine - ring_consumed(r)) >= need;
}

static bool has_room_or_starve(struct ring *r, uint64_t need)
{
    if (LIKELY(has_room(r, need)))
        return true;
    atomic_store_explicit(&r->shared->starved, 1, memory_order_seq_cst);
    return has_room(r, need); /* the consumer may have moved on before it could see the mark */
}

static void publish(struct ring *r, uint64_t tail)
{
    r->mine = tail;
    atomic_store_explicit(&r->shared->tail, tail, memory_order_release);
}

static void put_head(struct ring *r, const struct record_head *h)
{
    memcpy(r->data + (r->mine & (r->size - 1)), h, sizeof(*h));
}

void *ring_reserve(struct ring *r, uint32_t max)
{
    uint64_t need = record_bytes(max);
    uint64_t at = r->mine & (r->size - 1), rest = r->size - at;

    if (max > r->size / 4)
        return NULL;
    bool rewind = at > REWIND_BYTES && ring_consumed(r) == r->mine;

    if (rest < need || rewind) {
        if (!has_room_or_starve(r, rest + need))
            return NULL;
        struct record_head pad = {.len = (uint32_t)(rest - RING_RECORD_HEAD), .type = TYPE_PADDING};
        put_head(r, &pad);
        publish(r, r->mine + rest);
        at = 0;
    } else if (!has_room_or_starve(r, need)) {
        return NULL;
    }
    r->reserved = need;
    return r->data + at + RING_RECORD_HEAD;
}

void ring_commit(struct ring *r, uint16_t type, uint16_t flags, uint64_t id, uint32_t len)
{
    struct record_head h = {.len = len, .type = type, .flags = flags, .id = id};

    INVARIANT(record_bytes(len) <= r->reserved);
    r->reserved = 0;
    put_head(r, &h);
    publish(r, r->mine + record_bytes(len));
}

bool ring_push(struct ring *r, uint16_t type, uint16_t flags, uint64_t id, const void *payload,
               uint32_t len)
{
    void *at = ring_reserve(r, len);

    if (!at)
        return false;
    if (len)
        memcpy(at, payload, len);
    ring_commit(r, type, flags, id, len);
    return true;
}

bool ring_wake_consumer(struct ring *r)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&r->shared->sleeping, memory_order_relaxed))
        return false;
    if (!atomic_exchange_explicit(&r->shared->sleeping, 0, memory_order_seq_cst))
        return false;
    signal_fd(r->wake_fd);
    return true;
}

enum rc ring_peek(struct ring *r, struct ring_record *ret)
{
    for (;;) {
        if (r->mine == r->other) {
            uint64_t tail = atomic_load_explicit(&r->shared->tail, memory_order_acquire);
            if (tail == r->mine)
                return RC_AGAIN;
            if (tail < r->mine || tail - r->mine > r->size || tail % RING_ALIGN != 0)
                return RC_FAIL;
            r->other = tail;
        }
        uint64_t at = r->mine & (r->size - 1);
        struct record_head h;

        memcpy(&h, r->data + at, sizeof(h));
        uint64_t total = record_bytes(h.len);
        if (total > r->other - r->mine || total > r->size - at)
            return RC_FAIL;
        if (h.type == TYPE_PADDING) {
            r->mine += total;
            atomic_store_explicit(&r->shared->head, r->mine, memory_order_release);
            continue;
        }
        *ret = (struct ring_record){.type = h.type,
                                    .flags = h.flags,
                                    .id = h.id,
                                    .payload = r->data + at + RING_RECORD_HEAD,
                                    .len = h.len,
                                    .total = (uint32_t)total};
        return RC_OK;
    }
}

void ring_pop(struct ring *r, const struct ring_record *rec)
{
    r->mine += rec->total;
    atomic_store_explicit(&r->shared->head, r->mine, memory_order_release);
}

bool ring_peek_after(const struct ring *r, const struct ring_record *rec, struct ring_record *ret)
{
    uint64_t at = r->mine + rec->total;
    struct record_head h;

    if (at == r->other && atomic_load_explicit(&r->shared->tail, memory_order_acquire) == at)
        return false;
    memcpy(&h, r->data + (at & (r->size - 1)), sizeof(h));
    *ret = (struct ring_record){.type = h.type, .flags = h.flags, .id = h.id, .len = h.len};
    return h.type != TYPE_PADDING;
}

void ring_wake_producer(struct ring *r)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&r->shared->starved, memory_order_relaxed) &&
        atomic_exchange_explicit(&r->shared->starved, 0, memory_order_seq_cst))
        signal_fd(r->wake_fd);
}

bool ring_sleep_begin(struct ring *r)
{
    atomic_store_explicit(&r->shared->sleeping, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&r->shared->tail, memory_order_seq_cst) == r->mine)
        return true;
    atomic_store_explicit(&r->shared->sleeping, 0, memory_order_relaxed);
    return false;
}

void ring_sleep_end(struct ring *r)
{
    atomic_store_explicit(&r->shared->sleeping, 0, memory_order_relaxed);
}
