/* Tells when something in one of a set of folders changes; for certificates and their stores. */
#ifndef CANDOR_SUPERVISOR_CERTIFICATE_WATCH_H
#define CANDOR_SUPERVISOR_CERTIFICATE_WATCH_H

struct folder_watch;
struct supervisor;

/* on_change is called a quarter of a second after the first of several changes. Where the kernel
 * gives no inotify, that is told as an event and nothing is noticed. */
struct folder_watch *folder_watch_new(struct supervisor *s, void (*on_change)(void *arg),
                                      void *arg);
/* Returns NULL; NULL is allowed. */
struct folder_watch *folder_watch_free(struct folder_watch *w);

/* Watches the folder (again, if it was replaced); one that does not exist is passed over. */
void folder_watch_add(struct folder_watch *w, const char *folder);
/* The folder that a file is in; NULL is allowed. */
void folder_watch_add_for(struct folder_watch *w, const char *file);

#endif
