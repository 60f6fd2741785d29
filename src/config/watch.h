/* Notices changed configuration files by inotify. */
#ifndef CANDOR_CONFIG_WATCH_H
#define CANDOR_CONFIG_WATCH_H

#include <stdbool.h>

#include "base/loop.h"
#include "base/str.h"

struct config;
struct config_watch;

struct config_change {
    struct str dir;      /* real folder that changed; feed it to config_invalidate */
    bool is_server_file; /* applicationHost.config itself, or a file of config_watch_file */
};

/* Watches every folder that c consults, now or later (c tells the watch; from any thread), and
 * calls on_change on the loop's thread, at most some 100 ms after a web.config appeared, was
 * written, touched, moved or deleted. NULL if the kernel gives no inotify instance; then
 * nothing is noticed. The watch keeps a reference to c. */
struct config_watch *
config_watch_new(struct loop *l, struct config *c,
                 void (*on_change)(void *arg, const struct config_change *change), void *arg);
/* Every folder that was consulted is watched. False once the kernel has refused one: its changes
 * are not noticed. Any thread. */
bool config_watch_is_complete(const struct config_watch *w);
/* Also reports changes of this one file (http.reg, say). False if its folder cannot be watched. */
bool config_watch_file(struct config_watch *w, const char *path);
/* From now on watches for c instead; the watch's own references move. On the loop's thread. */
void config_watch_switch(struct config_watch *w, struct config *c);
/* Returns NULL; NULL is allowed. On the loop's thread. */
struct config_watch *config_watch_free(struct config_watch *w);

#endif
