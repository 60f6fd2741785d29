#include "base/ipc.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/poison.h"

/* A datagram starts with one byte: the JSON follows, or it is in the first descriptor. */
enum { INLINE = 'J', IN_MEMFD = 'M' };
enum { MEMFD_MAX = 64 << 20 };

/* As ipc_try_send. */
static int send_datagram(int sock, char kind, const char *text, size_t n, const int *fds,
                         size_t n_fds)
{
    struct iovec iov[2] = {{&kind, 1}, {(void *)(uintptr_t)text, n}};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * IPC_MAX_FDS)] = {0};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

    if (n_fds) {
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *c = (struct cmsghdr *)(void *)control;
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
    }
    while (sendmsg(sock, &m, MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            return errno == EAGAIN ? 0 : -1;
    return 1;
}

bool ipc_send(int sock, json_t *msg, const int *fds, size_t n_fds)
{
    for (;;) {
        int rc = ipc_try_send(sock, msg, fds, n_fds);
        if (rc != 0)
            return rc > 0;
        struct pollfd p = {.fd = sock, .events = POLLOUT};
        int n = poll(&p, 1, 5000);
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
    }
}

int ipc_try_send(int sock, json_t *msg, const int *fds, size_t n_fds)
{
    _cleanup_free_ char *text = json_dumps(msg, JSON_COMPACT);
    int all[IPC_MAX_FDS];

    if (!text || n_fds + 1 > IPC_MAX_FDS)
        return -1;
    size_t n = strlen(text);

    if (n <= IPC_INLINE_MAX)
        return send_datagram(sock, INLINE, text, n, fds, n_fds);
    _cleanup_close_ int mem = memfd_create("candor-message", MFD_CLOEXEC);

    if (mem < 0)
        return -1;
    for (size_t done = 0; done < n;) {
        ssize_t w = write(mem, text + done, n - done);
        if (w < 0)
            return -1;
        done += (size_t)w;
    }
    all[0] = mem;
    if (n_fds)
        memcpy(all + 1, fds, sizeof(int) * n_fds);
    return send_datagram(sock, IN_MEMFD, "", 0, all, n_fds + 1);
}

static json_t *load_memfd(int fd, size_t max)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || st.st_size <= 0 || (uint64_t)st.st_size > max)
        return NULL;
    _cleanup_free_ char *text = xmalloc((size_t)st.st_size);
    size_t got = 0;

    while (got < (size_t)st.st_size) {
        ssize_t r = pread(fd, text + got, (size_t)st.st_size - got, (off_t)got);
        if (r <= 0)
            return NULL;
        got += (size_t)r;
    }
    return json_loadb(text, got, 0, NULL);
}

static size_t take_fds(struct msghdr *m, int fds[IPC_MAX_FDS])
{
    size_t n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && n < IPC_MAX_FDS; i++)
            memcpy(&fds[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    return n;
}

int ipc_recv(int sock, json_t **ret_msg, int ret_fds[IPC_MAX_FDS], size_t *ret_n_fds)
{
    return ipc_recv_bounded(sock, MEMFD_MAX, ret_msg, ret_fds, ret_n_fds);
}

int ipc_recv_bounded(int sock, size_t max, json_t **ret_msg, int ret_fds[IPC_MAX_FDS],
                     size_t *ret_n_fds)
{
    _cleanup_free_ char *data = xmalloc(IPC_INLINE_MAX + 1);
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * IPC_MAX_FDS)];
    struct iovec iov = {data, IPC_INLINE_MAX + 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    ssize_t n;

    do
        n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    size_t n_fds = take_fds(&m, ret_fds);
    json_t *msg = NULL;

    if (n > 0 && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        if (data[0] == INLINE) {
            msg = json_loadb(data + 1, (size_t)n - 1, 0, NULL);
        } else if (data[0] == IN_MEMFD && n_fds > 0) {
            msg = load_memfd(ret_fds[0], max);
            close(ret_fds[0]);
            n_fds--;
            memmove(ret_fds, ret_fds + 1, n_fds * sizeof(int));
        }
    }
    if (!json_is_object(msg)) {
        for (size_t i = 0; i < n_fds; i++)
            close(ret_fds[i]);
        json_decref(msg);
        return -1;
    }
    *ret_msg = msg;
    *ret_n_fds = n_fds;
    return 1;
}

const char *ipc_get_str(const json_t *msg, const char *key, const char *otherwise)
{
    const json_t *v = json_object_get(msg, key);

    return json_is_string(v) ? json_string_value(v) : otherwise;
}

json_int_t ipc_get_int(const json_t *msg, const char *key, json_int_t otherwise)
{
    const json_t *v = json_object_get(msg, key);

    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

bool ipc_get_bool(const json_t *msg, const char *key, bool otherwise)
{
    const json_t *v = json_object_get(msg, key);

    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}
