/* EnableAggressiveMemoryUsage: HTTP.sys stops taking connections when less than 20 MB of the memory
 * that they need is left, or 8 MB if the parameter is set (HTTPERR Connections_Refused). Here that
 * is what the machine has left, or a control group that we are in, whichever is less.
 *
 * One thread looks; any thread asks. */
#ifndef CANDOR_LISTENER_MEMORY_GUARD_H
#define CANDOR_LISTENER_MEMORY_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { MEMORY_GROUPS_MAX = 8 };

/* Files of a control group, open. */
struct memory_group {
    int limit, usage, stat;
};

struct memory_guard {
    _Atomic bool refuses;
    _Atomic uint64_t logged_ms; /* when a refusal was last written down */
    uint64_t look_ms;           /* when to look again */
    int meminfo;                /* /proc/meminfo; -1: nothing is known, nothing is refused */
    struct memory_group groups[MEMORY_GROUPS_MAX];
    unsigned n_groups;
};

/* Opens what is looked at later: before the process gives up its right to open files. */
void memory_guard_open(struct memory_guard *g);
void memory_guard_close(struct memory_guard *g);

/* Looks at the memory if that is due: ten times a second when it is short, else once. One thread.
 * Returns whether the answer of memory_guard_refuses has changed. */
bool memory_guard_look(struct memory_guard *g, uint64_t now_ms, bool aggressive);

/* Whether a connection is to be closed at once. */
static inline bool memory_guard_refuses(const struct memory_guard *g)
{
    return atomic_load_explicit(&g->refuses, memory_order_relaxed);
}

/* Whether a refusal gets a line in HTTPERR: one a second, for lines need memory as well. */
bool memory_guard_may_log(struct memory_guard *g, uint64_t now_ms);

/* ---- the parts, for tests ---- */

/* MemAvailable of /proc/meminfo (proc_meminfo(5)) in bytes; UINT64_MAX if it is not there. */
uint64_t memory_available(struct str meminfo);
/* What a group has left: limit - usage + what of its page cache can be given up. "max" (version 2)
 * and the huge numbers of version 1 mean no limit: UINT64_MAX. */
uint64_t memory_group_left(struct str limit, struct str usage, struct str stat);
/* Once refusing, a quarter more than the floor is needed to take connections again. */
bool memory_is_short(uint64_t available, bool aggressive, bool is_refusing);

#endif
