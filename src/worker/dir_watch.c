#include "worker/dir_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hash.h"

#include "base/poison.h"

enum {
    WATCH_BUCKETS = 1024,
    WATCHES_MAX = 4096, /* of the 8192 and more that a user has; without one, age decides */
    EVENT_BYTES = 16 * 1024,
    READS_PER_POLL = 16,
};

static const uint32_t watched = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY |
                                IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF |
                                IN_ONLYDIR;

struct dir_watcher {
    struct loop_io io;
    struct loop *loop;
    pthread_mutex_t lock;
    struct dir_watch *by_path[WATCH_BUCKETS];
    size_t n;
    void (*on_change)(void *arg);
    void *arg;
};

static void on_readable(struct loop_io *io, uint32_t events)
{
    dir_watcher_poll(CONTAINER_OF(io, struct dir_watcher, io));
}

struct dir_watcher *dir_watcher_new(struct loop *l)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    if (fd < 0)
        return NULL;
    struct dir_watcher *w = xcalloc(1, sizeof(*w));

    w->io = (struct loop_io){.on_event = on_readable, .fd = fd};
    w->loop = l;
    pthread_mutex_init(&w->lock, NULL);
    if (l)
        INVARIANT(loop_io_set(l, &w->io, EPOLLIN));
    return w;
}

void dir_watcher_on_change(struct dir_watcher *w, void (*fn)(void *arg), void *arg)
{
    if (!w)
        return;
    w->on_change = fn;
    w->arg = arg;
}

struct dir_watcher *dir_watcher_free(struct dir_watcher *w)
{
    if (!w)
        return NULL;
    INVARIANT(w->n == 0);
    if (w->loop)
        loop_io_set(w->loop, &w->io, 0);
    close(w->io.fd);
    pthread_mutex_destroy(&w->lock);
    free(w);
    return NULL;
}

struct dir_watch *dir_watch_get(struct dir_watcher *w, const char *path)
{
    if (!w) {
        errno = ENOSYS;
        return NULL;
    }
    uint64_t hash = hash_bytes(path, strlen(path));
    struct dir_watch **b = &w->by_path[hash % WATCH_BUCKETS], *d;

    pthread_mutex_lock(&w->lock);
    for (d = *b; d; d = d->next)
        if (!d->dead && d->hash == hash && strcmp(d->path, path) == 0) {
            d->refs++;
            goto out;
        }
    if (w->n >= WATCHES_MAX) {
        errno = ENOSPC;
        goto out;
    }
    int wd = inotify_add_watch(w->io.fd, path, watched);

    if (wd < 0)
        goto out;
    d = xcalloc(1, sizeof(*d));
    d->hash = hash;
    d->wd = wd;
    d->refs = 1;
    d->path = xstrdup(path);
    d->next = *b;
    *b = d;
    w->n++;
out:
    pthread_mutex_unlock(&w->lock);
    return d;
}

/* The kernel gives two paths of one folder the same number. */
static bool wd_in_use(const struct dir_watcher *w, int wd)
{
    for (size_t i = 0; i < WATCH_BUCKETS; i++)
        for (const struct dir_watch *d = w->by_path[i]; d; d = d->next)
            if (!d->dead && d->wd == wd)
                return true;
    return false;
}

void dir_watch_put(struct dir_watcher *w, struct dir_watch *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&w->lock);
    if (--d->refs == 0) {
        struct dir_watch **at = &w->by_path[d->hash % WATCH_BUCKETS];
        while (*at != d)
            at = &(*at)->next;
        *at = d->next;
        w->n--;
        if (!d->dead && !wd_in_use(w, d->wd))
            inotify_rm_watch(w->io.fd, d->wd);
        free(d->path);
        free(d);
    }
    pthread_mutex_unlock(&w->lock);
}

/* True if a folder that somebody watches has changed. */
static bool note_event(struct dir_watcher *w, const struct inotify_event *ev)
{
    bool all = ev->mask & IN_Q_OVERFLOW;
    bool gone = ev->mask & (IN_IGNORED | IN_MOVE_SELF | IN_DELETE_SELF);
    bool any = false;

    for (size_t i = 0; i < WATCH_BUCKETS; i++)
        for (struct dir_watch *d = w->by_path[i]; d; d = d->next)
            if (all || (!d->dead && d->wd == ev->wd)) {
                /* A folder of that name is another one from now on. */
                if (gone && !all)
                    d->dead = true;
                atomic_fetch_add_explicit(&d->version, 1, memory_order_release);
                any = true;
            }
    return any;
}

void dir_watcher_poll(struct dir_watcher *w)
{
    _Alignas(struct inotify_event) char data[EVENT_BYTES];
    bool any = false;

    if (!w)
        return;
    /* Locked before the read: nobody may find nothing left while another has not noted it yet. */
    pthread_mutex_lock(&w->lock);
    for (unsigned k = 0; k < READS_PER_POLL; k++) {
        ssize_t n = read(w->io.fd, data, sizeof(data));
        int last = -1;
        if (n <= 0)
            break;
        for (ssize_t at = 0; at < n;) {
            struct inotify_event ev;
            memcpy(&ev, data + at, sizeof(ev));
            at += (ssize_t)(sizeof(ev) + ev.len);
            /* Bursts about one folder count once. */
            if (ev.wd != last || (ev.mask & (IN_Q_OVERFLOW | IN_IGNORED | IN_MOVE_SELF)))
                any |= note_event(w, &ev);
            last = ev.wd;
        }
    }
    pthread_mutex_unlock(&w->lock);
    if (any && w->on_change)
        w->on_change(w->arg);
}
