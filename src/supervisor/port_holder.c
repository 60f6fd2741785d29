#include "supervisor/port_holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "base/poison.h"

static bool hex_u64(struct str s, uint64_t *ret)
{
    uint64_t v = 0;

    if (s.n == 0 || s.n > 16)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        int d = ascii_hex(s.p[i]);
        if (d < 0)
            return false;
        v = v << 4 | (unsigned)d;
    }
    *ret = v;
    return true;
}

static bool next_word(struct str *rest, struct str *ret)
{
    *rest = str_trim(*rest);
    size_t end = str_find_char(*rest, ' ');

    if (rest->n == 0)
        return false;
    *ret = str_sub(*rest, 0, end);
    *rest = str_sub(*rest, ret->n, rest->n);
    return true;
}

/* proc_tcp(5): sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ... */
static bool line_inode(struct str line, uint16_t port, uint64_t *ret_inode)
{
    enum { LOCAL = 1, STATE = 3, INODE = 9, WORDS = 10 };
    struct str word[WORDS];
    uint64_t at, state;

    for (size_t i = 0; i < WORDS; i++)
        if (!next_word(&line, &word[i]))
            return false;
    size_t colon = str_rfind_char(word[LOCAL], ':');

    return colon != SIZE_MAX && hex_u64(str_sub(word[LOCAL], colon + 1, word[LOCAL].n), &at) &&
           at == port && hex_u64(word[STATE], &state) && state == 0x0a /* TCP_LISTEN */ &&
           str_u64(word[INODE], UINT64_MAX, ret_inode);
}

static bool find_inode(const char *table, uint16_t port, uint64_t *ret_inode)
{
    FILE *f = fopen(table, "re");
    char line[512];
    bool found = false;

    if (!f)
        return false;
    while (!found && fgets(line, sizeof(line), f))
        found = line_inode(str_trim_all(str_z(line)), port, ret_inode);
    fclose(f);
    return found;
}

static bool process_has(const char *pid, const char *link)
{
    char path[300], target[64];
    bool has = false;

    snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    DIR *d = opendir(path);

    if (!d)
        return false;
    for (struct dirent *e; !has && (e = readdir(d));) {
        ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);
        if (n > 0) {
            target[n] = '\0';
            has = str_eq(str_z(target), str_z(link));
        }
    }
    closedir(d);
    return has;
}

static void describe_process(const char *pid, char *out, size_t room)
{
    char path[64], name[64] = "";

    snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, name, sizeof(name) - 1);

    while (n > 0 && name[n - 1] == '\n')
        n--;
    name[n > 0 ? n : 0] = '\0';
    snprintf(out, room, "%s (pid %s)", name[0] ? name : "a process", pid);
}

void port_holder_describe(uint16_t port, char *out, size_t room)
{
    uint64_t inode;
    char link[48];

    out[0] = '\0';
    if (!find_inode("/proc/net/tcp", port, &inode) && !find_inode("/proc/net/tcp6", port, &inode))
        return;
    snprintf(out, room, "another process");
    snprintf(link, sizeof(link), "socket:[%" PRIu64 "]", inode);
    DIR *d = opendir("/proc");

    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        if (ascii_is_digit(e->d_name[0]) && process_has(e->d_name, link)) {
            describe_process(e->d_name, out, room);
            break;
        }
    }
    closedir(d);
}
