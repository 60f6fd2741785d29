/* What the kernel still grants a role once it has started. One table per role, in sandbox.c. */
#ifndef CANDOR_BASE_SANDBOX_H
#define CANDOR_BASE_SANDBOX_H

#include <stdbool.h>

#include "base/rc.h"

/* For the listener, which reads bytes from strangers: gives up every capability and the way to new
 * privileges, and from then on a system call outside the listener's table kills the process. Call
 * when the process has its first threads or none: all existing threads and later ones are bound.
 * False with errno if the kernel refuses; then nothing can be promised and the caller should end. */
MUST_CHECK bool sandbox_listener(void);

/* For a worker, whose handlers start programs of all kinds: no new privileges, and the calls of a
 * table that no handler needs (mounting, tracing, kernel modules, namespaces, ...) fail with
 * EPERM. Children inherit it. Capabilities stay what the pool's identity has. */
MUST_CHECK bool sandbox_worker(void);

#endif
