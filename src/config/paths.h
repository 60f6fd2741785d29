/* Windows paths on a Unix file system: variables, drive letters, back-slashes, letter case. */
#ifndef CANDOR_CONFIG_PATHS_H
#define CANDOR_CONFIG_PATHS_H

#include "base/arena.h"
#include "base/str.h"

struct paths;

/* drive: the real folder behind %SystemDrive% and every drive letter. env: "NAME=VALUE" entries
 * or NULL for the process's environment; copied. Free with paths_free (NULL allowed). */
struct paths *paths_new(const char *drive, const char *const *env);
void paths_free(struct paths *p);

/* text with every known %NAME% replaced; unknown ones stay. %SystemDrive% is "C:", %SystemRoot%
 * and %windir% are "C:\Windows", whatever the environment says. */
struct str paths_expand(const struct paths *p, struct arena *a, struct str text);

/* The real path behind text: variables expanded, "X:\a" and "\a" below the drive folder,
 * "\\server\share" below its UNC folder, "/a" as it is, anything else below base. "." and ".."
 * are removed (".." never leaves the drive folder), and each component that does not exist as
 * written takes the spelling that does. NUL-terminated, in a's memory. Thread-safe. */
struct str paths_real(struct paths *p, struct arena *a, struct str text, struct str base);

/* dir + "/" + rest (segments separated by '/'), each segment found without regard to case; those
 * that exist in no spelling stay as they are. False if a segment is "..", holds NUL or a
 * back-slash, or a's limit is passed. Thread-safe. */
MUST_CHECK bool paths_below(struct paths *p, struct arena *a, struct str dir, struct str rest,
                            struct str *ret);

/* True if text is absolute as Windows sees it: a drive letter, a leading back-slash or UNC. */
bool paths_is_windows_absolute(struct str text);
/* True if text could lead anywhere but below the folder it is relative to: absolute in either
 * system's way, or with a ".." in it. */
bool paths_leave_folder(struct str text);

#endif
