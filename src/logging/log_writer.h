/* The whole of a running log system, and the writer thread's part in it. Internal. */
#ifndef CANDOR_LOGGING_LOG_WRITER_H
#define CANDOR_LOGGING_LOG_WRITER_H

#include <pthread.h>

#include "logging/log_program.h"
#include "logging/log_sink.h"
#include "logging/logging.h"

enum { LOG_EVENTS_MAX = 64, LOG_FREE_CHUNKS_MAX = 64 };

struct log_site {
    uint32_t id;
    _Atomic(struct log_program *) program; /* NULL: not logged */
};

struct log_thread {
    _Alignas(64) struct log_clock clock;
    uint64_t now_ms;                       /* of the last tick */
    struct log_slot *listed, **listed_end; /* slots that got lines since the last tick, in order */
    uint32_t flushes_seen;
    uint64_t epoch_flushed; /* the settings that the listed lines were written under */
    _Atomic uint64_t epoch_seen;
    _Atomic uint64_t lost;
};

/* A program that new records no longer use; freed when every thread has ticked since. */
struct log_retired {
    struct log_retired *next;
    struct log_program *program;
    uint64_t epoch;
};

/* An event between the thread that saw it and the one that reports it. */
struct log_noted {
    struct log_event event;
    char *text, *path;
};

struct logging {
    struct logging_options options;
    struct log_thread *threads;
    _Atomic(struct log_program *) httperr;
    struct log_site *stdout_site; /* its program only says where lines go; NULL with files */

    _Atomic uint64_t epoch;
    _Atomic uint32_t flushes;
    _Atomic bool has_events;
    _Atomic uint64_t lines_written, bytes_written, lines_dropped;

    pthread_mutex_t lock; /* guards everything below; held for list operations only */
    pthread_cond_t wake, progress;
    struct log_chunks queue;
    struct log_chunk *free_small, *free_large;
    size_t n_free_small, n_free_large;
    size_t bytes_in_use; /* of chunks, free ones not counted */
    struct log_sink *sinks, *losing;
    struct log_retired *retired;
    struct log_site **sites; /* by id */
    size_t n_sites, cap_sites;
    struct log_noted events[LOG_EVENTS_MAX];
    size_t n_events;
    uint64_t handed, processed; /* chunks */
    uint64_t passes;            /* of the writer */
    size_t n_failing;           /* sinks with lines that could not be written */
    bool must_reopen, must_stop, has_stopped;
    uint64_t stop_by_ms;

    pthread_t writer;
    struct log_sink *active; /* the writer's: sinks with chunks to write */
};

/* The writer's clock. It does not follow clock_set_for_test, which stops time for lines, not for
 * retries. */
uint64_t log_now_ms(void);

void log_writer_start(struct logging *lg);

/* A chunk for ch (with a reference to it) with room for at least need bytes, or NULL when too much
 * is waiting: no log may hold more than what is still free, so that one broken disk leaves room for
 * the other logs. */
struct log_chunk *log_chunk_take(struct logging *lg, struct log_channel *ch, size_t need,
                                 bool large);
void log_chunk_hand_over(struct logging *lg, struct log_chunk *c);

/* Lines lost for want of memory: counted, and said once until the sink has recovered. */
void log_sink_lose(struct logging *lg, struct log_sink *s, uint64_t lines);

/* Notes an event for thread 0's tick. Any thread; the lock must not be held. */
void log_event_note(struct logging *lg, const struct log_event *ev);
/* Calls the callback with what has been noted. */
void log_events_deliver(struct logging *lg);

#endif
