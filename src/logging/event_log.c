#include "logging/event_log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "logging/log_escape.h"
#include "logging/log_folders.h"
#include "base/poison.h"

enum {
    DEFAULT_MAX_BYTES = 20 << 20,
    LINE_MAX_BYTES = 64 << 10,
    TEXT_MAX = 8 << 10,
    SYSLOG_MAX = 2000,
    PATIENCE_MS = 100
};

struct event_log {
    pthread_mutex_t lock;
    char *path;
    int file, fd;
    bool to_syslog, has_complained;
    uint64_t max_bytes;
};

static const struct {
    const char *name;
    int priority;
} levels[] = {
    [EVENT_ERROR] = {"error", LOG_ERR},
    [EVENT_WARNING] = {"warning", LOG_WARNING},
    [EVENT_INFO] = {"info", LOG_INFO},
};

/* Opens the file unless it is open and still the one of that name. */
static void open_file(struct event_log *el)
{
    struct stat by_name, by_fd;

    if (!el->path)
        return;
    if (el->file >= 0) {
        if (stat(el->path, &by_name) == 0 && fstat(el->file, &by_fd) == 0 &&
            by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev)
            return;
        close(el->file);
    }
    for (int attempt = 0; attempt < 2; attempt++) {
        el->file =
            open(el->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
        if (el->file >= 0 || errno != ENOENT || log_folders_make_for(el->path, 0750))
            break;
    }
    if (el->file < 0 && !el->has_complained) {
        el->has_complained = true;
        fprintf(stderr, "candor: %s: %m; events are not written there\n", el->path);
    }
}

static void roll_over(struct event_log *el)
{
    struct stat st;

    if (el->file < 0 || fstat(el->file, &st) < 0 || !S_ISREG(st.st_mode) ||
        (uint64_t)st.st_size < el->max_bytes)
        return;
    _cleanup_free_ char *old = xasprintf("%s.1", el->path);

    if (rename(el->path, old) == 0)
        open_file(el);
}

struct event_log *event_log_new(const struct event_log_options *o)
{
    struct event_log *el = xcalloc(1, sizeof *el);

    pthread_mutex_init(&el->lock, NULL);
    el->path = o->path ? xstrdup(o->path) : NULL;
    el->file = -1;
    el->fd = o->fd;
    el->to_syslog = o->to_syslog;
    el->max_bytes = o->max_bytes ? o->max_bytes : DEFAULT_MAX_BYTES;
    if (el->to_syslog)
        openlog("candor", LOG_PID | LOG_NDELAY, LOG_DAEMON);
    open_file(el);
    return el;
}

void event_log_free(struct event_log *el)
{
    if (!el)
        return;
    if (el->file >= 0)
        close(el->file);
    if (el->to_syslog)
        closelog();
    pthread_mutex_destroy(&el->lock);
    free(el->path);
    free(el);
}

/* Text that may hold what a client or a file's author chose, and JSON wants UTF-8. */
static json_t *clean_text(const char *z)
{
    struct str s = log_clip(str_z(z), TEXT_MAX);
    json_t *v = json_stringn(s.p, s.n);

    if (v)
        return v;
    _cleanup_free_ char *copy = str_dup_z(s);

    for (char *c = copy; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    return json_string(copy);
}

static json_t *event_object(const char *source, uint32_t id, enum event_level level,
                            const char *text, json_t *data)
{
    int64_t now = clock_wall_us();
    time_t t = (time_t)(now / 1000000);
    struct tm tm = {0};
    char time_text[40];
    json_t *o = json_object();

    gmtime_r(&t, &tm);
    size_t n = strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(time_text + n, sizeof time_text - n, ".%03uZ", (unsigned)(now / 1000 % 1000));
    json_object_set_new(o, "log", json_string("event"));
    json_object_set_new(o, "time", json_string(time_text));
    json_object_set_new(o, "source", clean_text(source));
    json_object_set_new(o, "id", json_integer(id));
    json_object_set_new(o, "level", json_string(levels[level].name));
    json_object_set_new(o, "text", clean_text(text));
    if (data)
        json_object_set(o, "data", data);
    return o;
}

/* One write call for the whole line; a line that the file takes in part is not completed, for
 * another process's line may follow already. */
static bool write_line(int fd, const char *line, size_t n)
{
    ssize_t w;

    do
        w = write(fd, line, n);
    while (w < 0 && errno == EINTR);
    return w == (ssize_t)n;
}

/* A reader of our standard output that has stopped must not stop the control plane with it. */
static bool is_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    return poll(&p, 1, PATIENCE_MS) > 0 && (p.revents & POLLOUT);
}

static void to_syslog(const char *source, uint32_t id, enum event_level level, const char *text)
{
    _cleanup_free_ char *copy = xstrdup(text);

    for (char *c = copy; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    syslog(levels[level].priority, "%s %u: %.*s", source, id, SYSLOG_MAX, copy);
}

void event_log_write(struct event_log *el, const char *source, uint32_t id, enum event_level level,
                     const char *text, json_t *data)
{
    json_t *o = event_object(source, id, level, text, data);
    char *line = json_dumps(o, JSON_COMPACT);

    /* Data of such size is a mistake of ours or a client's doing; the event matters more. */
    if (line && strlen(line) > LINE_MAX_BYTES) {
        free(line);
        json_object_del(o, "data");
        line = json_dumps(o, JSON_COMPACT);
    }
    json_decref(o);
    if (line) {
        size_t n = strlen(line);

        line = xrealloc(line, n + 1);
        line[n++] = '\n';
        pthread_mutex_lock(&el->lock);
        open_file(el);
        roll_over(el);
        if (el->file >= 0 && write_line(el->file, line, n))
            el->has_complained = false;
        else if (el->file >= 0 && !el->has_complained) {
            el->has_complained = true;
            fprintf(stderr, "candor: %s: %m; an event was not written\n", el->path);
        }
        if (el->fd >= 0 && is_writable(el->fd))
            (void)write_line(el->fd, line, n);
        pthread_mutex_unlock(&el->lock);
    }
    free(line);
    if (el->to_syslog)
        to_syslog(source, id, level, text);
}

void event_log_reopen(struct event_log *el)
{
    pthread_mutex_lock(&el->lock);
    if (el->file >= 0)
        close(el->file);
    el->file = -1;
    open_file(el);
    pthread_mutex_unlock(&el->lock);
}
