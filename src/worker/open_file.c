#include "worker/open_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "worker/channel.h"

#include "base/poison.h"

static bool read_all(int fd, uint64_t offset, char *out, size_t n)
{
    while (n) {
        ssize_t got = pread(fd, out, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        out += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return true;
}

/* Takes a small file into memory. False leaves it as a descriptor, which is always right. */
static bool load_content(struct open_file *f)
{
    char *p = malloc(f->size + 1);
    struct stat after;

    if (!p)
        return false;
    /* Written to meanwhile: a mixture of old and new must not stay in a cache. */
    if (!read_all(f->fd, 0, p, f->size) || fstat(f->fd, &after) < 0 ||
        (uint64_t)after.st_size != f->size || after.st_mtim.tv_sec != f->mtime_s ||
        (uint32_t)after.st_mtim.tv_nsec != f->mtime_ns) {
        free(p);
        return false;
    }
    f->content = p;
    return true;
}

struct open_file *open_file_new(const char *path)
{
    /* O_NONBLOCK: opening a FIFO must not wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        errno = ENODEV;
        return NULL;
    }
    struct open_file *f = xcalloc(1, sizeof(*f));

    *f = (struct open_file){.refs = 1,
                            .fd = fd,
                            .size = (uint64_t)st.st_size,
                            .mtime_s = st.st_mtim.tv_sec,
                            .mtime_ns = (uint32_t)st.st_mtim.tv_nsec,
                            .ctime_s = st.st_ctim.tv_sec,
                            .ctime_ns = (uint32_t)st.st_ctim.tv_nsec,
                            .ino = st.st_ino,
                            .dev = st.st_dev};
    if (f->size < FILE_MEMORY_MAX && load_content(f)) {
        close(fd);
        f->fd = -1;
    }
    return f;
}

struct open_file *open_file_unref(struct open_file *f)
{
    if (!f || --f->refs > 0)
        return NULL;
    if (f->handle)
        channel_file_gone(f->channel, f->handle);
    if (f->fd >= 0)
        close(f->fd);
    free(f->content);
    free(f);
    return NULL;
}

bool open_file_read(const struct open_file *f, uint64_t offset, char *out, size_t n)
{
    if (offset > f->size || n > f->size - offset)
        return false;
    if (f->content) {
        memcpy(out, f->content + offset, n);
        return true;
    }
    return read_all(f->fd, offset, out, n);
}
