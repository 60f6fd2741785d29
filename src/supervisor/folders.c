#include "supervisor/folders.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "supervisor/identity.h"
#include "base/poison.h"

static bool make_one(const char *path, mode_t mode, bool *ret_made)
{
    struct stat st;

    *ret_made = mkdir(path, mode) == 0;
    if (*ret_made)
        return true;
    if (errno != EEXIST || stat(path, &st) < 0)
        return false;
    if (S_ISDIR(st.st_mode))
        return true;
    errno = ENOTDIR;
    return false;
}

bool folders_make(const char *path, mode_t mode, const struct identity *owner)
{
    _cleanup_free_ char *copy = xstrdup(path);
    bool made = false;

    /* Those above only lead there: everybody may walk through. */
    for (char *slash = strchr(copy + 1, '/'); copy[0] && slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (!make_one(copy, 0755, &made))
            return false;
        *slash = '/';
    }
    if (!copy[0] || !make_one(copy, mode, &made))
        return false;
    if (made && owner && owner->changes)
        return chown(path, owner->uid, owner->gid) == 0;
    return true;
}

bool folders_make_above(const char *path, mode_t mode)
{
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path)
        return true;
    _cleanup_free_ char *folder = xasprintf("%.*s", (int)(slash - path), path);

    return folders_make(folder, mode, NULL);
}
