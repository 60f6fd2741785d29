#include "supervisor/certificate_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "supervisor/internal.h"
#include "base/poison.h"

/* A certificate and its key are two saves, and a client of an authority makes several. */
enum { SETTLE_MS = 250 };
enum {
    EVENTS = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB |
             IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
};

struct watched {
    char *path;
    int wd;
};

struct folder_watch {
    struct supervisor *s;
    struct loop_io io; /* inotify; -1: there is none */
    struct loop_timer settle;
    struct watched *list;
    size_t n, cap;
    bool has_failed;
    void (*on_change)(void *arg);
    void *arg;
};

static void say_failed(struct folder_watch *w, const char *folder, int e)
{
    if (!w->has_failed)
        SUP_EVENT(w->s, EV_CND_WATCH_FAILED, NULL, folder, strerror(e));
    w->has_failed = true;
}

void folder_watch_add(struct folder_watch *w, const char *folder)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->list[i].path, folder) == 0)
            return;
    int wd = w->io.fd >= 0 ? inotify_add_watch(w->io.fd, folder, EVENTS) : -1;

    if (wd < 0) {
        if (w->io.fd < 0)
            say_failed(w, folder, EMFILE);
        else if (errno != ENOENT)
            say_failed(w, folder, errno);
        return;
    }
    w->list = xgrow(w->list, w->n, &w->cap, sizeof(*w->list));
    w->list[w->n++] = (struct watched){.path = xstrdup(folder), .wd = wd};
}

void folder_watch_add_for(struct folder_watch *w, const char *file)
{
    const char *slash = file ? strrchr(file, '/') : NULL;

    if (!slash)
        return;
    _cleanup_free_ char *folder =
        slash == file ? xstrdup("/") : str_dup_z(str_n(file, (size_t)(slash - file)));

    folder_watch_add(w, folder);
}

static void forget(struct folder_watch *w, int wd)
{
    for (size_t i = w->n; i-- > 0;)
        if (w->list[i].wd == wd) {
            free(w->list[i].path);
            w->list[i] = w->list[--w->n];
        }
}

static void on_inotify(struct loop_io *io, uint32_t events)
{
    struct folder_watch *w = CONTAINER_OF(io, struct folder_watch, io);
    _Alignas(struct inotify_event) char data[4096];
    ssize_t n;

    while ((n = read(io->fd, data, sizeof(data))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e = (const void *)(data + at);
            if (e->mask & (IN_IGNORED | IN_MOVE_SELF))
                forget(w, e->wd); /* watched anew if it comes back */
            at += (ssize_t)(sizeof(*e) + e->len);
        }
    }
    if (w->settle.heap_index == 0)
        loop_timer_set(w->s->loop, &w->settle, loop_now_ms(w->s->loop) + SETTLE_MS);
}

static void on_settled(struct loop_timer *t)
{
    struct folder_watch *w = CONTAINER_OF(t, struct folder_watch, settle);

    w->on_change(w->arg);
}

struct folder_watch *folder_watch_new(struct supervisor *s, void (*on_change)(void *arg), void *arg)
{
    struct folder_watch *w = xcalloc(1, sizeof(*w));

    w->s = s;
    w->on_change = on_change;
    w->arg = arg;
    w->settle.on_time = on_settled;
    w->io = (struct loop_io){.on_event = on_inotify, .fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
    if (w->io.fd >= 0)
        INVARIANT(loop_io_set(s->loop, &w->io, EPOLLIN));
    return w;
}

struct folder_watch *folder_watch_free(struct folder_watch *w)
{
    if (!w)
        return NULL;
    loop_timer_clear(w->s->loop, &w->settle);
    if (w->io.fd >= 0) {
        loop_io_set(w->s->loop, &w->io, 0);
        close(w->io.fd);
    }
    for (size_t i = 0; i < w->n; i++)
        free(w->list[i].path);
    free(w->list);
    free(w);
    return NULL;
}
