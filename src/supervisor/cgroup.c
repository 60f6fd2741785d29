#include "supervisor/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "base/poison.h"

enum { FILE_MAX = 64 * 1024, PIDS_MAX = 1024 };

/* ---- files of the kernel -------------------------------------------------------------------- */

static bool read_file(const char *path, struct buf *out)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *room;
    ssize_t n;

    if (fd < 0)
        return false;
    while ((room = buf_reserve(out, 4096)) && (n = read(fd, room, 4096)) != 0) {
        if (n < 0)
            return false;
        out->n += (size_t)n;
    }
    return !out->overflow;
}

/* One write: the kernel takes each as an order of its own. */
static bool write_file(const char *folder, const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* The value behind "key " or "key:" at a line's begin. */
static struct str find_line(struct str text, struct str key)
{
    struct str line;

    while (str_split(&text, '\n', &line))
        if (str_starts(line, key))
            return str_trim_all(str_sub(line, key.n, line.n));
    return STR_NULL;
}

/* ---- where we are --------------------------------------------------------------------------- */

/* Where the unified hierarchy is mounted: field 5 of the line whose type behind " - " is cgroup2.
 */
static struct str find_mount(struct str mounts)
{
    struct str line, field;

    while (str_split(&mounts, '\n', &line)) {
        size_t dash = str_find(line, STR(" - cgroup2 "));
        if (dash == SIZE_MAX)
            continue;
        for (int i = 0; i < 5; i++)
            if (!str_split(&line, ' ', &field))
                return STR_NULL;
        return field;
    }
    return STR_NULL;
}

char *cgroup_own(void)
{
    _cleanup_buf_ struct buf mounts, groups;

    buf_init(&mounts, 1 << 20);
    buf_init(&groups, FILE_MAX);
    if (!read_file("/proc/self/mountinfo", &mounts) || !read_file("/proc/self/cgroup", &groups))
        return NULL;
    struct str mount = find_mount(buf_view(&mounts));
    struct str own = find_line(buf_view(&groups), STR("0::"));

    if (mount.n == 0 || own.n == 0) {
        errno = ENOENT;
        return NULL;
    }
    if (str_eq(own, STR("/")))
        own.n = 0;
    return xasprintf("%.*s%.*s", STR_ARG(mount), STR_ARG(own));
}

/* ---- groups --------------------------------------------------------------------------------- */

bool cgroup_make(struct cgroup *g, const char *folder, const char *name)
{
    char *path = xasprintf("%s/%s", folder, name);

    if (mkdir(path, 0755) < 0 && errno != EEXIST) {
        int e = errno;
        free(path);
        errno = e;
        return false;
    }
    g->path = path;
    return true;
}

void cgroup_remove(struct cgroup *g)
{
    if (g->path)
        (void)rmdir(g->path);
    free(g->path);
    g->path = NULL;
}

bool cgroup_add(const struct cgroup *g, pid_t pid)
{
    char text[24];

    snprintf(text, sizeof(text), "%d", (int)pid);
    return write_file(g->path, "cgroup.procs", text);
}

bool cgroup_cpu_us(const struct cgroup *g, uint64_t *ret_us)
{
    _cleanup_free_ char *path = xasprintf("%s/cpu.stat", g->path);
    _cleanup_buf_ struct buf text;

    buf_init(&text, FILE_MAX);
    if (!read_file(path, &text))
        return false;
    errno = EPROTO;
    return str_u64(find_line(buf_view(&text), STR("usage_usec ")), UINT64_MAX, ret_us);
}

/* ---- limits --------------------------------------------------------------------------------- */

static bool is_ours(pid_t pid)
{
    char path[48];
    _cleanup_buf_ struct buf text;
    uint64_t parent;

    if (pid == getpid())
        return true;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    buf_init(&text, FILE_MAX);
    return read_file(path, &text) &&
           str_u64(find_line(buf_view(&text), STR("PPid:")), INT32_MAX, &parent) &&
           (pid_t)parent == getpid();
}

/* Moves what is in the folder into `to`; false if anybody else's process is there. */
static bool move_all(const char *folder, const struct cgroup *to)
{
    _cleanup_free_ char *path = xasprintf("%s/cgroup.procs", folder);
    _cleanup_buf_ struct buf text;
    struct str rest, line;
    uint64_t pids[PIDS_MAX];
    size_t n = 0;

    buf_init(&text, FILE_MAX);
    if (!read_file(path, &text))
        return false;
    for (rest = buf_view(&text); str_split(&rest, '\n', &line);)
        if (line.n && (n == PIDS_MAX || !str_u64(line, INT32_MAX, &pids[n++]) ||
                       !is_ours((pid_t)pids[n - 1]))) {
            errno = EBUSY;
            return false;
        }
    for (size_t i = 0; i < n; i++)
        if (!cgroup_add(to, (pid_t)pids[i]) && errno != ESRCH)
            return false;
    return true;
}

bool cgroup_enable_cpu(const char *folder, const char *rest)
{
    struct cgroup g = {0};

    if (write_file(folder, "cgroup.subtree_control", "+cpu"))
        return true;
    if (errno != EBUSY || !cgroup_make(&g, folder, rest))
        return false;
    bool ok = move_all(folder, &g) && write_file(folder, "cgroup.subtree_control", "+cpu");
    int e = errno;

    free(g.path); /* the group stays: we are in it */
    errno = e;
    return ok;
}

bool cgroup_limit_cpu(const struct cgroup *g, uint64_t quota_us)
{
    char text[64];

    if (quota_us == UINT64_MAX)
        snprintf(text, sizeof(text), "max %d", CGROUP_PERIOD_US);
    else
        snprintf(text, sizeof(text), "%" PRIu64 " %d", quota_us, CGROUP_PERIOD_US);
    return write_file(g->path, "cpu.max", text);
}

bool cgroup_weigh_cpu(const struct cgroup *g, unsigned weight)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", weight);
    return write_file(g->path, "cpu.weight", text);
}
