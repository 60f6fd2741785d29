/* The supervisor: the role of WAS. Reads configuration, owns the listening sockets, starts and
 * watches the listener and the workers, and keeps the state of sites and pools. */
#ifndef CANDOR_SUPERVISOR_SUPERVISOR_H
#define CANDOR_SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct supervisor_options {
    const char *folder;          /* serve this folder with the shipped configuration, or NULL */
    const char *config_path;     /* applicationHost.config; exactly one of the two is set */
    const char *http_parameters; /* registry export; NULL: http.reg beside config_path, if there */
    const char *system_drive;    /* NULL: the default of docs/running.md */
    const char *control_path;    /* NULL: the default of docs/running.md */
    const char *metrics;         /* where to serve them (supervisor/metrics.h); NULL: nowhere */
    const char *bind;            /* with folder; NULL: both loopback addresses */
    uint16_t port;               /* with folder; 0: a free one */
    bool https;                  /* with folder: by the development certificate */
    unsigned threads;            /* of the listener; 0: as many as processors */
    bool log_stdout;             /* logs and events as JSON lines on standard output */
};

/* Serves in the foreground until a signal ends it. The exit status: 0 stopped as asked, 1 could
 * not start (said on standard error). */
int supervisor_run(const struct supervisor_options *o);

#endif
