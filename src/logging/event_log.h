/* The role of the Windows event log: one JSON object per line in events.log and an entry in syslog
 * or the journal. Control plane; every function may be called from any thread. */
#ifndef CANDOR_LOGGING_EVENT_LOG_H
#define CANDOR_LOGGING_EVENT_LOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum event_level {
    EVENT_ERROR = 0,
    EVENT_WARNING,
    EVENT_INFO,
};

struct event_log;

struct event_log_options {
    const char *path; /* copied; NULL: no file */
    int fd;           /* lines also go to this descriptor (borrowed), unless it is full; -1: none */
    bool to_syslog;
    uint64_t max_bytes; /* the file is then renamed to PATH.1; 0: 20 MiB */
};

/* Never fails: a file that cannot be opened is tried again at the next event, and said once on
 * standard error. Missing folders are made. */
struct event_log *event_log_new(const struct event_log_options *o);
void event_log_free(struct event_log *el);

/* {"log": "event", "time", "source", "id", "level", "text", "data"}: source and id as on Windows
 * (WAS 5002), data an object or NULL (borrowed). Writes the line with one write call, so that
 * processes may share the file. */
void event_log_write(struct event_log *el, const char *source, uint32_t id, enum event_level level,
                     const char *text, json_t *data);

/* Opens the file again by name (SIGUSR1). */
void event_log_reopen(struct event_log *el);

#endif
