/* Starting the other roles: this program, executed afresh. */
#ifndef CANDOR_SUPERVISOR_PROCESS_H
#define CANDOR_SUPERVISOR_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/rc.h"
#include "base/str.h"

struct identity;

struct process_env {
    struct str name, value;
};

struct process_options {
    const char *role;  /* "listener", "worker": what follows --role */
    const char *label; /* one more argument, for ps; NULL: none */
    const struct identity *identity;
    bool keeps_stdout;             /* else standard output is /dev/null */
    const struct process_env *env; /* added to our own environment, or replacing parts of it */
    size_t n_env;
};

/* Opens our own executable once, so that later starts execute the same file even if another has
 * been installed meanwhile. False with errno. */
MUST_CHECK bool process_init(void);
void process_fini(void);

/* Starts the role with a non-blocking control socket as its CONTROL_FD, no other descriptor but the
 * standard ones, default signals, a process group of its own, and SIGKILL should we die. False
 * with errno: not started. *ret_control is the caller's to close. */
MUST_CHECK bool process_start(const struct process_options *o, pid_t *ret_pid, int *ret_control);

/* Raises the soft limit on descriptors to the hard one; children inherit it. Returns the limit. */
uint64_t process_raise_limits(void);

#endif
