/* Site logs and HTTPERR of the listener. Event threads format lines into buffers of their own and
 * never touch a disk; one writer thread opens, writes and rolls over the files.
 *
 * A thread number (0 ≤ thread < threads) belongs to one event thread, which alone may call the
 * functions that take it. Each event thread calls logging_tick at least every 250 ms: this is what
 * brings lines to disk within a second and tells when old settings are no longer in use. */
#ifndef CANDOR_LOGGING_LOGGING_H
#define CANDOR_LOGGING_LOGGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "logging/log_record.h"
#include "logging/log_settings.h"

struct logging;
struct log_site;

enum log_event_code {
    LOG_EVENT_OPEN_FAILED = 1, /* folder or file cannot be made or opened */
    LOG_EVENT_WRITE_FAILED,    /* e.g. the disk is full */
    LOG_EVENT_LINES_LOST,      /* too much is waiting for the disk: lines are being dropped */
    LOG_EVENT_RECOVERED,       /* writing works again; count = lines lost meanwhile */
    LOG_EVENT_BAD_SETTING,     /* a setting is not usable; text says what is done instead */
    LOG_EVENT_NOT_SUPPORTED,   /* a setting that we handle differently; text says how */
};

struct log_event {
    enum log_event_code code;
    const char *text; /* a sentence for an operator, without path and errno */
    const char *path; /* file or folder; "" if none */
    int err;          /* errno, or 0 */
    uint64_t count;   /* lines lost, or 0 */
    uint32_t site_id; /* 0: HTTPERR, central or standard output */
};

/* Views in *ev live during the call. Called only from logging_new, logging_apply, logging_stop and
 * from logging_tick of thread 0, so it may use whatever belongs to thread 0's loop. */
typedef void log_event_fn(void *arg, const struct log_event *ev);

struct logging_options {
    size_t threads;
    log_event_fn *on_event; /* may be NULL */
    void *event_arg;
    bool to_stdout;           /* JSON lines to stdout_fd instead of any file */
    int stdout_fd;            /* borrowed */
    size_t max_waiting_bytes; /* buffer memory in all; 0: 64 MiB */
    uint32_t retry_ms;        /* between attempts at a file that fails; 0: 3000 */
};

/* Compiles the settings and starts the writer. Ends the process if the thread cannot be started or
 * memory is out (start-up). Files are created by their first record, not here. */
struct logging *logging_new(const struct log_settings *settings,
                            const struct logging_options *options);

/* Later records follow the new settings, on every thread, once this returns; lines already
 * formatted are written as they are. Control plane: any one thread at a time. */
void logging_apply(struct logging *lg, const struct log_settings *settings);

/* Hands what every thread holds to the writer, writes everything (what a broken file does not take
 * within timeout_ms is lost, with an event), closes the files and frees lg. The event threads must
 * have stopped using it. */
void logging_stop(struct logging *lg, uint32_t timeout_ms);

/* The site's log: the same pointer for the same id as long as lg lives, whatever happens to its
 * settings, so a routing table may keep it. NULL if no settings have named the id so far. Takes a
 * lock: for building routing tables, not per request. */
struct log_site *logging_site_find(struct logging *lg, uint32_t site_id);

/* Whether a record would be written at all; any thread. */
bool logging_site_enabled(const struct log_site *site);

/* Writes the site's line for a finished request. Does nothing if the site does not log. Never
 * blocks; if too much waits for the disk the line is counted as lost. */
void logging_site(struct logging *lg, unsigned thread, struct log_site *site,
                  const struct log_record *r);

/* Writes a line to HTTPERR (docs/logging.md). As logging_site. */
void logging_httperr(struct logging *lg, unsigned thread, const struct log_httperr_record *r);

/* For --log stdout: any JSON object as a line on standard output, between the others. Nothing
 * happens when logs go to files. json must be one line without line end. */
void logging_stdout_line(struct logging *lg, unsigned thread, struct str json);

/* The event thread's housekeeping: hands over buffers that have waited, on thread 0 reports
 * events. now_ms is the loop's time. */
void logging_tick(struct logging *lg, unsigned thread, uint64_t now_ms);

/* Any thread, also a signalfd handler's: at the next tick of each thread its buffers go to the
 * writer whatever their age ("netsh http flush logbuffer"). */
void logging_flush(struct logging *lg);

/* Any thread: the writer closes all files and opens them again by name (SIGUSR1). */
void logging_reopen(struct logging *lg);

/* Waits until the writer has written or tried to write all it has been handed. For tests and an
 * orderly end; false after timeout_ms or when some file did not take its lines. */
bool logging_wait_written(struct logging *lg, uint32_t timeout_ms);

/* Counters since the start; any thread. */
struct logging_counts {
    uint64_t lines_written, lines_lost, bytes_written, bytes_waiting;
};
struct logging_counts logging_count(struct logging *lg);

#endif
