/* Notices changes in folders by inotify. Any thread registers folders; the thread of the loop reads
 * events and bumps the folder's version, which users compare without a lock. */
#ifndef CANDOR_WORKER_DIR_WATCH_H
#define CANDOR_WORKER_DIR_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"

struct dir_watch {
    _Atomic uint32_t version;
    _Atomic bool dead; /* the folder is gone or moved: let go of the watch */
    /* Of the watcher, under its lock. */
    struct dir_watch *next;
    uint64_t hash;
    int wd;
    uint32_t refs;
    char *path;
};

struct dir_watcher;

/* NULL if the kernel gives no inotify instance. */
struct dir_watcher *dir_watcher_new(struct loop *l);
/* fn is called whenever a watched folder has changed, on the thread that has noticed it and without
 * locks. Set before other threads use the watcher; w may be NULL. */
void dir_watcher_on_change(struct dir_watcher *w, void (*fn)(void *arg), void *arg);
/* All watches must have been put back. Returns NULL; NULL is allowed. */
struct dir_watcher *dir_watcher_free(struct dir_watcher *w);

/* Starts watching a folder or shares the watch there is. NULL with errno if it cannot be watched
 * (ENOENT, ENOSPC: too many); w may be NULL. Any thread. */
struct dir_watch *dir_watch_get(struct dir_watcher *w, const char *path);
/* Any thread; NULL is allowed. */
void dir_watch_put(struct dir_watcher *w, struct dir_watch *d);

/* Reads what has happened until now. The loop does it, and every pipeline thread before a batch of
 * requests: the kernel notes a change before the call that makes it returns, so whoever has changed
 * a file and asks for it then is served the new one. Any thread; NULL is allowed. */
void dir_watcher_poll(struct dir_watcher *w);

#endif
