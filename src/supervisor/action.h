/* Programs that an administrator wants run when a pool fails: orphanActionExe, autoShutdownExe. */
#ifndef CANDOR_SUPERVISOR_ACTION_H
#define CANDOR_SUPERVISOR_ACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/str.h"

/* Starts exe with params, which are split at blanks (text in double quotes stays together); "%1%"
 * in them becomes pid. Does not wait; the program's end is collected with that of other children.
 * What cannot be started is left alone: there is nobody to tell but standard error. */
void action_run(struct str exe, struct str params, pid_t pid);

/* One argument of params, for action_run and its test: moves *rest past it and writes it to out,
 * NUL-terminated, cut at room. False at the end. */
bool action_next_argument(struct str *rest, pid_t pid, char *out, size_t room);

#endif
