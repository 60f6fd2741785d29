#include "config/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/poison.h"

int files_read(struct arena *a, const char *path, size_t max, struct str *ret)
{
    /* Not blocking: a FIFO of that name must not hold up the server. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    size_t n = 0;

    if (fd < 0 || fstat(fd, &st) < 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    if (st.st_size < 0 || (uint64_t)st.st_size > max)
        return EFBIG;
    size_t size = (size_t)st.st_size;
    char *p = arena_alloc(a, size + 1);

    while (n < size) {
        ssize_t got = read(fd, p + n, size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    p[n] = '\0';
    *ret = str_n(p, n);
    return 0;
}
