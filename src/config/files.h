/* Reading configuration files whole. */
#ifndef CANDOR_CONFIG_FILES_H
#define CANDOR_CONFIG_FILES_H

#include "base/arena.h"
#include "base/str.h"

/* The content of a regular file of at most max bytes into a's memory. 0, or an errno: EFBIG over
 * the limit, EISDIR or EINVAL for what is no regular file. */
MUST_CHECK int files_read(struct arena *a, const char *path, size_t max, struct str *ret);

#endif
