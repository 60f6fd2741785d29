#include "listener/memory_guard.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/poison.h"

enum {
    FLOOR_BYTES = 20 << 20,
    AGGRESSIVE_FLOOR_BYTES = 8 << 20,
    LOOK_MS = 1000,
    SHORT_LOOK_MS = 100,
    LOG_MS = 1000,
    FILE_MAX = 8192, /* what is looked for stands within that */
};
/* Below this it may become short within a second. */
#define WATCH_BYTES (256ull << 20)
/* Version 1 says "no limit" by a number near the largest. */
#define LIMIT_MAX (1ull << 60)

/* ---- parts ---- */

/* The number behind name and blanks at the start of a line. */
static uint64_t number_of_line(struct str text, struct str name, uint64_t otherwise)
{
    struct str line;
    uint64_t n;

    while (str_split(&text, '\n', &line)) {
        if (!str_starts(line, name))
            continue;
        line = str_trim(str_sub(line, name.n, line.n));
        if (str_u64(str_sub(line, 0, str_find_char(line, ' ')), UINT64_MAX, &n))
            return n;
    }
    return otherwise;
}

uint64_t memory_available(struct str meminfo)
{
    uint64_t kb = number_of_line(meminfo, STR("MemAvailable:"), UINT64_MAX);

    return kb > UINT64_MAX / 1024 ? UINT64_MAX : kb * 1024;
}

uint64_t memory_group_left(struct str limit, struct str usage, struct str stat)
{
    uint64_t most, used, cache;

    if (!str_u64(str_trim_all(limit), LIMIT_MAX, &most) ||
        !str_u64(str_trim_all(usage), UINT64_MAX, &used))
        return UINT64_MAX;
    /* Version 1 has both names; the total counts the groups below. */
    cache = number_of_line(stat, STR("total_inactive_file "),
                           number_of_line(stat, STR("inactive_file "), 0));
    used = used > cache ? used - cache : 0;
    return most > used ? most - used : 0;
}

bool memory_is_short(uint64_t available, bool aggressive, bool is_refusing)
{
    uint64_t floor = aggressive ? AGGRESSIVE_FLOOR_BYTES : FLOOR_BYTES;

    return available < (is_refusing ? floor + floor / 4 : floor);
}

/* ---- files ---- */

static struct str read_at(int fd, char buf[FILE_MAX])
{
    ssize_t n = fd < 0 ? 0 : pread(fd, buf, FILE_MAX, 0);

    return str_n(buf, n > 0 ? (size_t)n : 0);
}

static int open_file(const char *folder, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, name);

    return open(path, O_RDONLY | O_CLOEXEC);
}

static void close_group(struct memory_group *g)
{
    if (g->limit >= 0)
        close(g->limit);
    if (g->usage >= 0)
        close(g->usage);
    if (g->stat >= 0)
        close(g->stat);
}

/* The group of a folder, if it can be read there. */
static void open_group(struct memory_guard *g, const char *folder, bool is_v2)
{
    struct memory_group m = {
        .limit = open_file(folder, is_v2 ? "memory.max" : "memory.limit_in_bytes"),
        .usage = open_file(folder, is_v2 ? "memory.current" : "memory.usage_in_bytes"),
        .stat = open_file(folder, "memory.stat"),
    };

    if (m.limit >= 0 && m.usage >= 0 && g->n_groups < MEMORY_GROUPS_MAX)
        g->groups[g->n_groups++] = m;
    else
        close_group(&m);
}

/* The group of that path and those above it, whose limits hold as well. */
static void open_groups(struct memory_guard *g, const char *mount, struct str path, bool is_v2)
{
    for (unsigned i = 0; i < MEMORY_GROUPS_MAX; i++) {
        _cleanup_free_ char *folder = xasprintf("%s%.*s", mount, STR_ARG(path));
        size_t slash = str_rfind_char(path, '/');

        open_group(g, folder, is_v2);
        if (slash == SIZE_MAX)
            return;
        path = str_sub(path, 0, slash);
    }
}

/* "0::/path" is version 2, "4:memory:/path" version 1 (cgroups(7)). */
static void find_groups(struct memory_guard *g, struct str list)
{
    struct str line, id, controllers;

    while (str_split(&list, '\n', &line)) {
        if (!str_split(&line, ':', &id) || !str_split(&line, ':', &controllers))
            continue;
        if (controllers.n == 0)
            open_groups(g, "/sys/fs/cgroup", line, true);
        else if (str_eq(controllers, STR("memory")))
            open_groups(g, "/sys/fs/cgroup/memory", line, false);
    }
}

void memory_guard_open(struct memory_guard *g)
{
    char buf[FILE_MAX];
    _cleanup_close_ int own = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);

    *g = (struct memory_guard){.meminfo = open("/proc/meminfo", O_RDONLY | O_CLOEXEC)};
    find_groups(g, read_at(own, buf));
}

void memory_guard_close(struct memory_guard *g)
{
    if (g->meminfo >= 0)
        close(g->meminfo);
    g->meminfo = -1;
    while (g->n_groups)
        close_group(&g->groups[--g->n_groups]);
}

/* ---- looking ---- */

static uint64_t look(const struct memory_guard *g)
{
    char a[FILE_MAX], b[FILE_MAX], c[FILE_MAX];
    uint64_t least = memory_available(read_at(g->meminfo, a));

    for (unsigned i = 0; i < g->n_groups; i++) {
        uint64_t left =
            memory_group_left(read_at(g->groups[i].limit, a), read_at(g->groups[i].usage, b),
                              read_at(g->groups[i].stat, c));
        least = left < least ? left : least;
    }
    return least;
}

bool memory_guard_look(struct memory_guard *g, uint64_t now_ms, bool aggressive)
{
    if (now_ms < g->look_ms)
        return false;
    bool before = memory_guard_refuses(g);
    uint64_t available = look(g);
    bool now = memory_is_short(available, aggressive, before);

    g->look_ms = now_ms + (available < WATCH_BYTES ? SHORT_LOOK_MS : LOOK_MS);
    atomic_store_explicit(&g->refuses, now, memory_order_relaxed);
    return now != before;
}

bool memory_guard_may_log(struct memory_guard *g, uint64_t now_ms)
{
    uint64_t last = atomic_load_explicit(&g->logged_ms, memory_order_relaxed);

    return (last == 0 || now_ms - last >= LOG_MS) &&
           atomic_compare_exchange_strong(&g->logged_ms, &last, now_ms);
}
