/* applicationPools/add/cpu: how much processor time a pool's workers may use, and what happens when
 * they use more (hosting.md 3.7). The account is the kernel's control group of the pool where we
 * may make one, else what /proc and wait4 tell of the workers. */
#ifndef CANDOR_SUPERVISOR_CPU_LIMIT_H
#define CANDOR_SUPERVISOR_CPU_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/loop.h"
#include "supervisor/cgroup.h"

struct pool;

struct cpu_limit {
    struct loop_timer look;
    struct cgroup group;
    bool is_watched;         /* limit and resetInterval ask for it */
    bool is_over;            /* the limit was passed in this window */
    bool group_failed;       /* it has been said that there is none */
    bool is_throttled;       /* its group has a limit */
    uint64_t window_ms;      /* when this window began */
    uint64_t used_before_us; /* what had been used then */
    uint64_t ended_us;       /* by workers that have ended; without a group */
};

/* What may be used in a window of interval_ms: limit is in 1/1000 percent of all processors. */
uint64_t cpu_limit_budget_us(uint32_t limit, uint64_t interval_ms, unsigned processors);

/* The pool has (new) attributes. */
void cpu_limit_update(struct pool *p);
/* The process of a worker exists; it has done nothing yet. */
void cpu_limit_add(struct pool *p, pid_t pid);
/* A worker has ended, with that much processor time of it and the children it waited for. */
void cpu_limit_ended(struct pool *p, uint64_t used_us);
/* An administrator starts the pool: what was used so far is forgotten. */
void cpu_limit_reset(struct pool *p);
void cpu_limit_fini(struct pool *p);

#endif
