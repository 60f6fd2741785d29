/* Folders that the server needs, with their owners. */
#ifndef CANDOR_SUPERVISOR_FOLDERS_H
#define CANDOR_SUPERVISOR_FOLDERS_H

#include <stdbool.h>
#include <sys/types.h>

struct identity;

/* Makes path and the missing folders above it; those that exist stay as they are. owner (NULL: us)
 * gets the last one if it was made here. False with errno. */
bool folders_make(const char *path, mode_t mode, const struct identity *owner);
/* The same for the folder that a file's path names. */
bool folders_make_above(const char *path, mode_t mode);

#endif
