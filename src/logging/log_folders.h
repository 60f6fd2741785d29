/* Folders that are missing on the way to a log. Internal. */
#ifndef CANDOR_LOGGING_LOG_FOLDERS_H
#define CANDOR_LOGGING_LOG_FOLDERS_H

#include <sys/types.h>

/* Makes an absolute folder path with all its parents (log_folders_make), or those of a file
 * (log_folders_make_for). 0 or an errno. */
int log_folders_make(const char *path, mode_t mode);
int log_folders_make_for(const char *file, mode_t mode);

#endif
