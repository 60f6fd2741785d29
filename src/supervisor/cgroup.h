/* Control groups, version 2: the kernel's account of what a set of processes uses, and its limits.
 * All of it is optional: without the unified hierarchy, or the right to write there, functions fail
 * with errno and the caller does without. */
#ifndef CANDOR_SUPERVISOR_CGROUP_H
#define CANDOR_SUPERVISOR_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/rc.h"

struct cgroup {
    char *path; /* NULL: there is none */
};

/* The folder of the group that we are in, for the caller to free; NULL with errno. */
char *cgroup_own(void);
/* Makes the group `name` below the folder; one that is there already is used. */
MUST_CHECK bool cgroup_make(struct cgroup *g, const char *folder, const char *name);
/* Takes it away, which the kernel allows once its last process has ended. */
void cgroup_remove(struct cgroup *g);

MUST_CHECK bool cgroup_add(const struct cgroup *g, pid_t pid);
/* Processor time of all that has ever run in it. */
MUST_CHECK bool cgroup_cpu_us(const struct cgroup *g, uint64_t *ret_us);

/* Lets the groups below the folder have processor limits. The kernel wants no process in the folder
 * itself then: they go into the group `rest` below it, if all of them are ours. */
MUST_CHECK bool cgroup_enable_cpu(const char *folder, const char *rest);
/* At most quota_us of processor time in each 100 ms; UINT64_MAX: no limit. */
MUST_CHECK bool cgroup_limit_cpu(const struct cgroup *g, uint64_t quota_us);
/* The share when processors are short: 1 to 10000, 100 is the usual one. */
MUST_CHECK bool cgroup_weigh_cpu(const struct cgroup *g, unsigned weight);

enum { CGROUP_PERIOD_US = 100000 };

#endif
