#include "logging/log_sink.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "logging/log_folders.h"
#include "logging/log_writer.h"
#include "base/poison.h"

enum {
    CHECK_MS = 500,           /* how often a file is looked up by name while it is written to */
    IDLE_MS = 15 * 60 * 1000, /* an unused file is closed; its next line starts a new block */
    PREVIOUS_MS = 10 * 1000,  /* the file before a roll-over, for lines that come late */
    POLL_MS = 1000,           /* how long the writer waits for a full standard output */
    REPEAT_RETRIES = 20,      /* so many retries' time between reports of the same failure */
};

static void out_close(struct log_out *o)
{
    if (o->fd >= 0)
        close(o->fd);
    free(o->shown);
    free(o->path);
    *o = (struct log_out){.fd = -1};
}

void log_sink_close(struct log_sink *s)
{
    if (s->stdout_fd >= 0) /* borrowed */
        return;
    out_close(&s->cur);
    out_close(&s->prev);
}

void log_sink_close_idle(struct log_sink *s, uint64_t now_ms)
{
    if (s->stdout_fd >= 0)
        return;
    if (s->cur.fd >= 0 && now_ms - s->cur.used_ms > IDLE_MS)
        out_close(&s->cur);
    if (s->prev.fd >= 0 && now_ms - s->prev.used_ms > PREVIOUS_MS)
        out_close(&s->prev);
}

static bool same_place(const struct log_sink *s, const struct log_sink_place *p)
{
    return s->stdout_fd == p->stdout_fd && strcmp(s->directory, p->directory) == 0 &&
           strcmp(s->naming.prefix, p->naming.prefix) == 0 &&
           strcmp(s->naming.suffix, p->naming.suffix) == 0 && s->naming.period == p->naming.period;
}

struct log_sink *log_sink_get(struct logging *lg, const struct log_sink_place *p)
{
    struct log_sink *s;

    pthread_mutex_lock(&lg->lock);
    for (s = lg->sinks; s && !same_place(s, p); s = s->next)
        ;
    if (!s) {
        s = xcalloc(1, sizeof *s);
        s->directory = xstrdup(p->directory);
        s->naming = p->naming;
        s->site_id = p->site_id;
        s->dir_mode = p->dir_mode;
        s->file_mode = p->file_mode;
        s->stdout_fd = p->stdout_fd;
        s->cur.fd = s->prev.fd = -1;
        log_chunks_init(&s->pending);
        s->next = lg->sinks;
        lg->sinks = s;
    }
    s->refs++;
    pthread_mutex_unlock(&lg->lock);
    return s;
}

void log_sink_unref(struct logging *lg, struct log_sink *s)
{
    pthread_mutex_lock(&lg->lock);
    bool is_last = --s->refs == 0;

    if (is_last) {
        struct log_sink **at = &lg->sinks;

        while (*at != s)
            at = &(*at)->next;
        *at = s->next;
    }
    pthread_mutex_unlock(&lg->lock);
    if (!is_last)
        return;
    INVARIANT(!s->pending.head && !s->is_active);
    log_sink_close(s);
    free(s->block);
    free(s->directory);
    free(s);
}

/* O_NONBLOCK: a FIFO in place of a log must not stop the writer. */
static int open_by_name(const struct log_sink *s, const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                s->file_mode);
}

/* Closes the file that has been unused longest, when there are too many. False if none is open. */
static bool close_one(struct logging *lg, const struct log_sink *except)
{
    struct log_sink *oldest = NULL;

    pthread_mutex_lock(&lg->lock);
    for (struct log_sink *s = lg->sinks; s; s = s->next)
        if (s != except && s->cur.fd >= 0 && (!oldest || s->cur.used_ms < oldest->cur.used_ms))
            oldest = s;
    pthread_mutex_unlock(&lg->lock);
    if (oldest)
        log_sink_close(oldest);
    return oldest != NULL;
}

/* 0 or an errno. */
static int out_open(struct logging *lg, struct log_sink *s, struct log_out *o, uint32_t key,
                    uint32_t number, uint64_t now_ms)
{
    char name[LOG_NAME_MAX];
    struct stat st;

    out_close(o);
    log_file_name(&s->naming, s->naming.period == LOG_PERIOD_MAX_SIZE ? number : key, name);
    o->path = xasprintf("%s/%s", s->directory, name);
    o->key = key;
    o->number = number;
    o->fd = open_by_name(s, o->path);
    if (o->fd < 0 && (errno == EMFILE || errno == ENFILE) && close_one(lg, s))
        o->fd = open_by_name(s, o->path);
    if (o->fd < 0 && errno == ENOENT) {
        int err = log_folders_make(s->directory, s->dir_mode);

        if (err)
            return err;
        o->fd = open_by_name(s, o->path);
    }
    if (o->fd < 0)
        return errno;
    if (fstat(o->fd, &st) < 0)
        return errno;
    o->size = S_ISREG(st.st_mode) && st.st_size > 0 ? (uint64_t)st.st_size : 0;
    o->has_records = o->size > 0;
    o->dev = st.st_dev;
    o->ino = st.st_ino;
    o->checked_ms = now_ms;
    return 0;
}

/* The highest number among the files of a log that rolls over by size; 1 if there is none. */
static uint32_t highest_number(const struct log_sink *s)
{
    DIR *d = opendir(s->directory);
    uint32_t highest = 1, n;

    if (!d)
        return highest;
    for (const struct dirent *e; (e = readdir(d));)
        if (log_file_number(&s->naming, str_z(e->d_name), &n) && n > highest)
            highest = n;
    closedir(d);
    return highest;
}

/* A file that was moved or deleted under us takes no more lines. */
static bool out_is_gone(struct log_out *o, uint64_t now_ms)
{
    struct stat st;

    if (now_ms - o->checked_ms < CHECK_MS)
        return false;
    o->checked_ms = now_ms;
    return stat(o->path, &st) < 0 || st.st_dev != o->dev || st.st_ino != o->ino;
}

/* Back to the start of a line that was only partly written, if it goes on in another file. */
static void rewind_line(struct log_chunk *c)
{
    if (c->off) {
        const char *nl = memrchr(c->data, '\n', c->off);

        c->off = nl ? (size_t)(nl + 1 - c->data) : 0;
    }
    c->piece_end = c->off;
}

static int out_for(struct logging *lg, struct log_sink *s, struct log_chunk *c, uint64_t now_ms,
                   struct log_out **ret)
{
    struct log_out *o = &s->cur;

    *ret = o;
    if (s->stdout_fd >= 0) {
        o->fd = s->stdout_fd;
        return 0;
    }
    if (o->fd >= 0 && o->key != c->key) {
        if (s->prev.fd >= 0 && s->prev.key == c->key) {
            *ret = o = &s->prev;
        } else {
            out_close(&s->prev);
            s->prev = s->cur;
            s->cur = (struct log_out){.fd = -1};
        }
    }
    if (o->fd >= 0 && !out_is_gone(o, now_ms))
        return 0;
    free(s->block);
    s->block = NULL;
    rewind_line(c);
    return out_open(lg, s, o, c->key,
                    s->naming.period == LOG_PERIOD_MAX_SIZE ? highest_number(s) : 0, now_ms);
}

/* 0 or an errno; *off moves by what was written. */
static int write_some(struct log_sink *s, struct log_out *o, const char *data, size_t n,
                      size_t *off)
{
    while (*off < n) {
        ssize_t w = write(o->fd, data + *off, n - *off);

        if (w < 0) {
            int err = errno;

            if (err == EINTR)
                continue;
            struct pollfd p = {.fd = o->fd, .events = POLLOUT};

            if (err == EAGAIN && s->stdout_fd >= 0 && poll(&p, 1, POLL_MS) > 0)
                continue;
            return err;
        }
        if (w == 0)
            return EIO;
        *off += (size_t)w;
        o->size += (uint64_t)w;
    }
    return 0;
}

/* The #-block that announces the columns, before the first line of a file that we open and where
 * the columns change. */
static int write_block(struct log_sink *s, struct log_out *o, const struct log_chunk *c)
{
    const struct log_channel *ch = c->channel;

    if (!ch->header || (o->shown && strcmp(o->shown, ch->header) == 0 &&
                        strcmp(o->shown_software, ch->software) == 0))
        return 0;
    if (!s->block) {
        struct log_clock clock;

        log_clock_init(&clock);
        log_clock_set(&clock, c->first_us);
        s->block = xasprintf("#Software: %s\r\n#Version: 1.0\r\n#Date: %s\r\n#Fields: %s\r\n",
                             ch->software, clock.stamp, ch->header);
        s->block_n = strlen(s->block);
        s->block_off = 0;
    }
    int err = write_some(s, o, s->block, s->block_n, &s->block_off);

    if (err)
        return err;
    free(s->block);
    s->block = NULL;
    free(o->shown);
    o->shown = xstrdup(ch->header);
    o->shown_software = ch->software;
    return 0;
}

/* Bytes of the whole lines from p on that fit into max; if none does, the first on request. */
static size_t whole_lines(const char *p, size_t n, uint64_t max, bool one_at_least)
{
    const char *nl = n <= max ? p + n - 1 : max ? memrchr(p, '\n', (size_t)max) : NULL;

    if (!nl && one_at_least)
        nl = memchr(p, '\n', n);
    return nl ? (size_t)(nl + 1 - p) : 0;
}

/* Where the next write may end: for roll-over by size at the last line that fits, for a pipe at
 * the last line within PIPE_BUF, so that lines of several processes do not tear. 0: roll over. */
static size_t next_piece(const struct log_sink *s, const struct log_out *o,
                         const struct log_chunk *c)
{
    const char *p = c->data + c->off;
    size_t n = c->n - c->off;
    uint32_t limit = c->channel->truncate_size;

    if (s->stdout_fd >= 0)
        return whole_lines(p, n, PIPE_BUF, true);
    if (s->naming.period != LOG_PERIOD_MAX_SIZE || limit == LOG_TRUNCATE_SIZE_NONE)
        return n;
    return whole_lines(p, n, o->size < limit ? limit - o->size : 0, !o->has_records);
}

/* 0 when all of the chunk is written, or an errno. */
static int write_chunk(struct logging *lg, struct log_sink *s, struct log_chunk *c, uint64_t now_ms,
                       bool *ret_open_failed)
{
    struct log_out *o;
    int err = out_for(lg, s, c, now_ms, &o);

    *ret_open_failed = err != 0;
    if (err)
        return err;
    o->used_ms = now_ms;
    for (;;) {
        if (c->off >= c->piece_end) {
            if (c->off == c->n)
                return 0;
            size_t piece = next_piece(s, o, c);

            if (piece && (err = write_block(s, o, c)))
                return err;
            piece = piece ? next_piece(s, o, c) : 0; /* the block takes room, too */
            if (!piece) {
                if ((err = out_open(lg, s, o, c->key, o->number + 1, now_ms))) {
                    *ret_open_failed = true;
                    return err;
                }
                o->used_ms = now_ms;
                continue;
            }
            c->piece_end = c->off + piece;
        }
        if ((err = write_some(s, o, c->data, c->piece_end, &c->off)))
            return err;
        o->has_records = true;
    }
}

static void report(struct logging *lg, struct log_sink *s, enum log_event_code code,
                   const char *text, int err, uint64_t count)
{
    struct log_event ev = {
        .code = code,
        .text = text,
        .path = s->stdout_fd >= 0 ? "standard output"
                : s->cur.path     ? s->cur.path
                                  : s->directory,
        .err = err,
        .count = count,
        .site_id = s->site_id,
    };

    log_event_note(lg, &ev);
}

static void fail(struct logging *lg, struct log_sink *s, int err, bool open_failed, uint64_t now_ms)
{
    s->next_try_ms = now_ms + lg->options.retry_ms;
    s->is_failing = true;
    if (s->reported_errno != err ||
        now_ms - s->reported_ms >= (uint64_t)lg->options.retry_ms * REPEAT_RETRIES) {
        report(lg, s, open_failed ? LOG_EVENT_OPEN_FAILED : LOG_EVENT_WRITE_FAILED,
               open_failed ? "The log file or its folder cannot be opened; its lines wait in memory"
                           : "The log file cannot be written; its lines wait in memory",
               err, 0);
        s->reported_ms = now_ms;
        s->reported_errno = err;
        s->is_reported = true;
    }
    /* These say that the descriptor itself is of no more use. */
    if (err == EIO || err == ESTALE || err == EBADF || err == ENXIO)
        log_sink_close(s);
}

void log_sink_work(struct logging *lg, struct log_sink *s, uint64_t now_ms, struct log_chunks *done)
{
    bool open_failed;

    if (s->is_failing && now_ms < s->next_try_ms)
        return;
    while (s->pending.head) {
        int err = write_chunk(lg, s, s->pending.head, now_ms, &open_failed);

        if (err) {
            fail(lg, s, err, open_failed, now_ms);
            return;
        }
        log_chunks_push(done, log_chunks_pop(&s->pending));
    }
    s->is_failing = false;
    /* A loss is reported with its count once it is over. */
    if (s->is_reported && !atomic_load(&s->is_losing))
        report(lg, s, LOG_EVENT_RECOVERED, "The log is written again; nothing was lost", 0, 0);
    s->is_reported = false;
}
