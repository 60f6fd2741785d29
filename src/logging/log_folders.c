#include "logging/log_folders.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/poison.h"

int log_folders_make(const char *path, mode_t mode)
{
    _cleanup_free_ char *z = xstrdup(path);

    if (!*z)
        return EINVAL;
    for (char *at = z + 1;; at++) {
        if (*at != '/' && *at)
            continue;
        char c = *at;

        *at = 0;
        if (mkdir(z, mode) < 0 && errno != EEXIST)
            return errno;
        *at = c;
        if (!c)
            return 0;
    }
}

int log_folders_make_for(const char *file, mode_t mode)
{
    _cleanup_free_ char *z = xstrdup(file);
    char *slash = strrchr(z, '/');

    if (!slash || slash == z)
        return ENOENT;
    *slash = 0;
    return log_folders_make(z, mode);
}
