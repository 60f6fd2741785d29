/* One log on disk: a folder, a name pattern and the file being written. All but the reference count
 * and the lost lines belongs to the writer. Internal. */
#ifndef CANDOR_LOGGING_LOG_SINK_H
#define CANDOR_LOGGING_LOG_SINK_H

#include <sys/types.h>

#include "logging/log_channel.h"

struct logging;

/* An open file. */
struct log_out {
    int fd; /* -1: none */
    uint32_t key, number;
    uint64_t size;
    bool has_records;
    dev_t dev;
    ino_t ino;
    uint64_t used_ms, checked_ms;
    char *shown; /* the #Fields text that the last block in the file has */
    const char *shown_software;
    char *path;
};

struct log_sink {
    struct log_sink *next; /* all sinks, under the lock */
    uint32_t refs;         /* under the lock */
    size_t bytes_in_use;   /* of chunks for it; under the lock */
    char *directory;       /* "" for standard output */
    struct log_naming naming;
    uint32_t site_id;
    mode_t dir_mode, file_mode;
    int stdout_fd; /* -1: a file */

    struct log_sink *next_losing; /* under the lock */
    _Atomic bool is_losing;
    _Atomic uint64_t lost;
    uint64_t lost_seen, lost_seen_ms; /* the writer's last look at lost, and when it changed */

    struct log_sink *next_active;
    bool is_active;
    bool is_failing, is_reported; /* since the last success */
    struct log_chunks pending;
    struct log_out cur, prev;
    char *block; /* a #-block on its way to the file */
    size_t block_n, block_off;
    uint64_t next_try_ms, reported_ms;
    int reported_errno;
};

struct log_sink_place {
    const char *directory;
    struct log_naming naming;
    uint32_t site_id;
    mode_t dir_mode, file_mode;
    int stdout_fd;
};

/* The sink for this place, made if there is none yet; a reference for the caller. Takes the lock.
 */
struct log_sink *log_sink_get(struct logging *lg, const struct log_sink_place *place);
/* Drops a reference. With the last one the files are closed: the writer's, or after its end. */
void log_sink_unref(struct logging *lg, struct log_sink *s);

/* Writes what is pending as far as the disk takes it. Finished chunks are moved to *done. After a
 * failure s->is_failing is set and s->next_try_ms says when to come again. */
void log_sink_work(struct logging *lg, struct log_sink *s, uint64_t now_ms,
                   struct log_chunks *done);

/* Closes the files; the next chunk opens them by name. */
void log_sink_close(struct log_sink *s);
/* Closes what has not been used for long. */
void log_sink_close_idle(struct log_sink *s, uint64_t now_ms);

#endif
