/* What connects event threads and the writer: channels (where lines of one kind go), the buffers
 * on their way, and the queue between. Internal to src/logging. */
#ifndef CANDOR_LOGGING_LOG_CHANNEL_H
#define CANDOR_LOGGING_LOG_CHANNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "logging/log_time.h"

struct log_chunk;
struct log_sink;
struct logging;

enum {
    LOG_CHUNK_SMALL = 4 << 10,  /* a file's first buffer */
    LOG_CHUNK_LARGE = 64 << 10, /* and its next ones once it has proved busy */
};

/* One event thread's open buffer for one channel. Only that thread touches it, but for waiting. */
struct log_slot {
    _Alignas(64) struct log_chunk *chunk; /* NULL: nothing buffered */
    char *at, *end;
    uint32_t key; /* the file's digits, see struct log_clock */
    uint32_t lines;
    bool is_large, is_listed;
    uint64_t born_ms;
    struct log_slot *next_listed;
    struct log_channel *channel;
    _Atomic uint32_t waiting; /* chunks handed over and not yet written */
};

/* Referenced by the programs that write to it and by each chunk. The last reference is dropped by
 * the writer, or by the control thread before and after the writer's life. */
struct log_channel {
    _Atomic uint32_t refs;
    struct log_sink *sink;
    const char *header; /* the text of the #Fields line, or NULL for formats without */
    const char *software;
    enum log_period period;
    bool is_local;
    uint32_t truncate_size;
    uint32_t flush_lines;   /* hand over after so many; 0: when full */
    struct arena arena;     /* what header looks into */
    struct log_slot *slots; /* one per event thread */
};

/* A buffer of whole lines. */
struct log_chunk {
    struct log_chunk *next;
    struct log_channel *channel;
    struct log_slot *slot;
    int64_t first_us; /* wall time of the first line, for #Date */
    uint32_t key, lines;
    size_t n, cap;
    size_t off, piece_end; /* the writer's progress */
    char data[];
};

/* Chunks by age, oldest first. */
struct log_chunks {
    struct log_chunk *head, **tail;
    size_t count;
};

static inline void log_chunks_init(struct log_chunks *q)
{
    *q = (struct log_chunks){0};
    q->tail = &q->head;
}

static inline void log_chunks_push(struct log_chunks *q, struct log_chunk *c)
{
    c->next = NULL;
    *q->tail = c;
    q->tail = &c->next;
    q->count++;
}

static inline struct log_chunk *log_chunks_pop(struct log_chunks *q)
{
    struct log_chunk *c = q->head;

    if (c) {
        q->head = c->next;
        if (!q->head)
            q->tail = &q->head;
        q->count--;
    }
    return c;
}

/* A channel with one reference, the caller's; takes over the caller's reference to sink. */
struct log_channel *log_channel_new(struct log_sink *sink, size_t threads);
void log_channel_ref(struct log_channel *ch);
void log_channel_unref(struct logging *lg, struct log_channel *ch);

#endif
