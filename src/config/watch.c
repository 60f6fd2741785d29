#include "config/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "config/internal.h"
#include "base/poison.h"

/* An editor's save is several events; wait until they have settled. A file seen between its
 * creation and its first byte would be reported as malformed. */
enum { SETTLE_MS = 40, FOLDERS_MAX = 65536, NEW_FOLDERS_MAX = 256 };

enum {
    EVENTS = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB |
             IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
};

/* A watched folder by the name under which it is consulted. Names that lead to one folder (a
 * symbolic link) share its descriptor. */
struct folder {
    int wd; /* -1: the kernel dropped it */
    char *path;
    char *file; /* only this file of it counts (config_watch_file); NULL: configuration files */
    bool is_changed; /* to be reported */
    bool is_stale;   /* the name leads to another folder now, or nowhere */
};

struct config_watch {
    struct loop *loop;
    struct loop_io io;
    struct loop_timer timer;
    struct config *config;
    void (*on_change)(void *arg, const struct config_change *change);
    void *arg;
    pthread_mutex_t lock; /* folders, which any thread may add to */
    struct folder *folders;
    size_t n, cap;
    _Atomic bool is_incomplete; /* a folder is not watched */
    /* Folders that appeared where nodes stand without one; past the limit everything changed. */
    char *new_folders[NEW_FOLDERS_MAX];
    size_t n_new;
};

static bool find_folder(const struct config_watch *w, struct str path, const char *file)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct folder *f = &w->folders[i];
        if (str_eq(str_z(f->path), path) &&
            (file ? f->file && strcmp(f->file, file) == 0 : !f->file))
            return true;
    }
    return false;
}

static bool add_folder(struct config_watch *w, struct str path, const char *file)
{
    bool ok = true;

    pthread_mutex_lock(&w->lock);
    if (!find_folder(w, path, file)) {
        char *z = str_dup_z(path);
        errno = ENOSPC;
        int wd = w->n < FOLDERS_MAX ? inotify_add_watch(w->io.fd, z, EVENTS) : -1;
        int error = errno;
        ok = wd >= 0;
        if (ok) {
            w->folders = xgrow(w->folders, w->n, &w->cap, sizeof(*w->folders));
            w->folders[w->n++] =
                (struct folder){.wd = wd, .path = z, .file = file ? xstrdup(file) : NULL};
        } else {
            free(z);
            errno = error;
        }
    }
    pthread_mutex_unlock(&w->lock);
    return ok;
}

static struct str parent_of(struct str path)
{
    size_t slash = str_rfind_char(path, '/');

    return slash == SIZE_MAX ? STR(".") : slash == 0 ? STR("/") : str_sub(path, 0, slash);
}

void watch_folder(struct config *c, struct str dir)
{
    pthread_mutex_lock(&c->watch_lock);
    if (c->watch) {
        if (!add_folder(c->watch, dir, NULL) && errno != ENOENT && errno != ENOTDIR)
            c->watch->is_incomplete = true;
        /* Its parent tells when the folder itself is replaced (a symbolic link switched over). */
        add_folder(c->watch, parent_of(dir), NULL);
    }
    pthread_mutex_unlock(&c->watch_lock);
}

/* ---- events ---- */

/* The folder of this name, and all below it, may be others now. */
static void mark_replaced(struct config_watch *w, struct str path)
{
    for (size_t i = 0; i < w->n; i++) {
        struct str p = str_z(w->folders[i].path);
        if (str_starts(p, path) && (p.n == path.n || p.p[path.n] == '/'))
            w->folders[i].is_changed = w->folders[i].is_stale = true;
    }
}

/* A path that so far had only a <location> may have a web.config now. */
static void note_new_folder(struct config_watch *w, const char *path)
{
    if (!atomic_load(&w->config->has_bare_nodes))
        return;
    for (size_t i = 0; i < w->n_new; i++)
        if (strcmp(w->new_folders[i], path) == 0)
            return;
    if (w->n_new < NEW_FOLDERS_MAX) {
        w->new_folders[w->n_new++] = xstrdup(path);
        return;
    }
    for (size_t i = 0; i < w->n; i++)
        w->folders[i].is_changed = true;
}

static void note_name(struct config_watch *w, struct folder *f, struct str name, uint32_t mask)
{
    if (f->file) {
        f->is_changed = f->is_changed || str_ieq(name, str_z(f->file));
        return;
    }
    if (str_ieq(name, w->config->web_config)) {
        f->is_changed = true;
        return;
    }
    if (!(mask & (IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB)))
        return;
    char *path = xasprintf("%s/%.*s", strcmp(f->path, "/") == 0 ? "" : f->path, STR_ARG(name));
    mark_replaced(w, str_z(path));
    if (mask & (IN_CREATE | IN_MOVED_TO))
        note_new_folder(w, path);
    free(path);
}

static void note_event(struct config_watch *w, const struct inotify_event *e)
{
    struct str name = e->len ? str_z(e->name) : STR("");

    for (size_t i = 0; i < w->n; i++) {
        struct folder *f = &w->folders[i];
        if (e->mask & IN_Q_OVERFLOW)
            f->is_changed = true;
        else if (f->wd != e->wd)
            continue;
        else if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT))
            mark_replaced(w, str_z(f->path));
        else if (name.n)
            note_name(w, f, name, e->mask);
        else if (e->mask & IN_ATTRIB)
            f->is_changed = true;
        if ((e->mask & IN_IGNORED) && f->wd == e->wd)
            f->wd = -1;
    }
}

static bool is_any_noted(const struct config_watch *w)
{
    if (w->n_new)
        return true;
    for (size_t i = 0; i < w->n; i++)
        if (w->folders[i].is_changed)
            return true;
    return false;
}

static void on_readable(struct loop_io *io, uint32_t events)
{
    struct config_watch *w = CONTAINER_OF(io, struct config_watch, io);
    _Alignas(struct inotify_event) char buf[4096];
    ssize_t n;

    while ((n = read(io->fd, buf, sizeof(buf))) > 0) {
        pthread_mutex_lock(&w->lock);
        for (char *p = buf; p < buf + n;) {
            const struct inotify_event *e = (const void *)p;
            note_event(w, e);
            p += sizeof(*e) + e->len;
        }
        bool any = is_any_noted(w);
        pthread_mutex_unlock(&w->lock);
        if (any && !w->timer.heap_index)
            loop_timer_set(w->loop, &w->timer, loop_now_ms(w->loop) + SETTLE_MS);
    }
}

static bool is_shared(const struct config_watch *w, const struct folder *f)
{
    for (size_t i = 0; i < w->n; i++)
        if (&w->folders[i] != f && w->folders[i].wd == f->wd)
            return true;
    return false;
}

/* A stale name is forgotten, to be watched anew when it is consulted again; but a single file is
 * nobody's to consult, so its folder is watched again at once. */
static void renew(struct config_watch *w, struct folder *f)
{
    if (f->wd >= 0 && !is_shared(w, f))
        inotify_rm_watch(w->io.fd, f->wd);
    if (f->file) {
        f->wd = inotify_add_watch(w->io.fd, f->path, EVENTS);
        f->is_stale = false;
        return;
    }
    free(f->path);
    *f = w->folders[--w->n];
}

/* Takes one noted change. False when there is none left. */
static bool take_change(struct config_watch *w, struct config_change *ret, char **ret_path)
{
    bool found = false;

    pthread_mutex_lock(&w->lock);
    if (w->n_new) {
        *ret_path = w->new_folders[--w->n_new];
        *ret = (struct config_change){.dir = str_z(*ret_path)};
        found = true;
    }
    for (size_t i = 0; i < w->n && !found; i++) {
        struct folder *f = &w->folders[i];
        if (!f->is_changed)
            continue;
        *ret_path = xstrdup(f->path);
        *ret = (struct config_change){.dir = str_z(*ret_path), .is_server_file = f->file != NULL};
        f->is_changed = false;
        found = true;
        if (f->is_stale)
            renew(w, f);
    }
    pthread_mutex_unlock(&w->lock);
    return found;
}

static void on_settled(struct loop_timer *t)
{
    struct config_watch *w = CONTAINER_OF(t, struct config_watch, timer);
    struct config_change change;
    char *path;

    while (take_change(w, &change, &path)) {
        w->on_change(w->arg, &change);
        free(path);
    }
}

/* ---- life ---- */

static void attach(struct config_watch *w, struct config *c)
{
    struct str name = c->source_name;

    w->config = config_ref(c);
    pthread_mutex_lock(&c->watch_lock);
    c->watch = w;
    pthread_mutex_unlock(&c->watch_lock);
    if (name.n && name.p[0] == '/')
        config_watch_file(w, name.p);
    /* What was read before had no watch; it is read again when next asked for. */
    config_invalidate(c, STR(""));
}

static void detach(struct config_watch *w)
{
    struct config *c = w->config;

    pthread_mutex_lock(&c->watch_lock);
    c->watch = NULL;
    pthread_mutex_unlock(&c->watch_lock);
    w->config = config_unref(c);
}

struct config_watch *
config_watch_new(struct loop *l, struct config *c,
                 void (*on_change)(void *arg, const struct config_change *change), void *arg)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    struct config_watch *w = fd < 0 ? NULL : xcalloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->loop = l;
    w->io.fd = fd;
    w->io.on_event = on_readable;
    w->timer.on_time = on_settled;
    w->on_change = on_change;
    w->arg = arg;
    pthread_mutex_init(&w->lock, NULL);
    attach(w, c);
    if (!loop_io_set(l, &w->io, EPOLLIN))
        return config_watch_free(w);
    return w;
}

bool config_watch_is_complete(const struct config_watch *w)
{
    return !w->is_incomplete;
}

bool config_watch_file(struct config_watch *w, const char *path)
{
    struct str p = str_z(path);
    size_t slash = str_rfind_char(p, '/');

    return add_folder(w, parent_of(p), slash == SIZE_MAX ? path : path + slash + 1);
}

void config_watch_switch(struct config_watch *w, struct config *c)
{
    config_ref(c);
    detach(w);
    attach(w, c);
    config_unref(c);
}

struct config_watch *config_watch_free(struct config_watch *w)
{
    if (!w)
        return NULL;
    detach(w);
    loop_io_set(w->loop, &w->io, 0);
    if (w->timer.heap_index)
        loop_timer_clear(w->loop, &w->timer);
    close(w->io.fd);
    for (size_t i = 0; i < w->n; i++) {
        free(w->folders[i].path);
        free(w->folders[i].file);
    }
    free(w->folders);
    for (size_t i = 0; i < w->n_new; i++)
        free(w->new_folders[i]);
    pthread_mutex_destroy(&w->lock);
    free(w);
    return NULL;
}
