#include "queue/region.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/message.h"

#include "base/poison.h"

enum { REGION_MAGIC = 0x43444752, REGION_HEAD = 4096, REGION_THREADS_MAX = 256 };

struct region_head {
    uint32_t magic, version, threads, unused;
    uint64_t request_size, response_size;
};

static uint64_t pair_bytes(const struct region_head *h)
{
    return (ring_bytes(h->request_size) + ring_bytes(h->response_size) + 4095) & ~(uint64_t)4095;
}

int region_create(unsigned threads, uint64_t max_request_bytes)
{
    struct region_head h = {.magic = REGION_MAGIC,
                            .version = MESSAGE_VERSION,
                            .threads = threads,
                            .request_size = RING_REQUEST_BYTES,
                            .response_size = RING_RESPONSE_BYTES};

    /* A request is one record of at most a quarter of the ring: head bytes, cooked path (up to
     * three times the raw one) and the table of fields (16 bytes for as little as 4 on the wire). */
    while (h.request_size / 4 < max_request_bytes * 8 + 4096)
        h.request_size *= 2;
    int fd = memfd_create("candor-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -1;
    off_t bytes = (off_t)(REGION_HEAD + threads * pair_bytes(&h));

    if (ftruncate(fd, bytes) < 0 || pwrite(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

static bool head_ok(const struct region_head *h, uint64_t bytes)
{
    return h->magic == REGION_MAGIC && h->version == MESSAGE_VERSION && h->threads >= 1 &&
           h->threads <= REGION_THREADS_MAX && h->request_size >= 4096 &&
           (h->request_size & (h->request_size - 1)) == 0 && h->request_size <= (1u << 30) &&
           h->response_size == RING_RESPONSE_BYTES &&
           bytes == REGION_HEAD + h->threads * pair_bytes(h);
}

bool region_map(int memfd, struct region *ret)
{
    struct stat st;
    struct region_head h;

    if (fstat(memfd, &st) < 0)
        return false;
    int seals = fcntl(memfd, F_GET_SEALS);

    if (seals < 0 || !(seals & F_SEAL_SHRINK) ||
        pread(memfd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) || !head_ok(&h, (uint64_t)st.st_size)) {
        errno = EINVAL;
        return false;
    }
    void *mem = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);

    if (mem == MAP_FAILED)
        return false;
    *ret = (struct region){.mem = mem,
                           .bytes = (size_t)st.st_size,
                           .threads = h.threads,
                           .request_size = h.request_size,
                           .response_size = h.response_size};
    return true;
}

void region_unmap(struct region *r)
{
    if (r->mem)
        munmap(r->mem, r->bytes);
    r->mem = NULL;
}

static char *pair_at(const struct region *r, unsigned i)
{
    struct region_head h = {.request_size = r->request_size, .response_size = r->response_size};

    INVARIANT(i < r->threads);
    return (char *)r->mem + REGION_HEAD + i * pair_bytes(&h);
}

void *region_request_ring(const struct region *r, unsigned i)
{
    return pair_at(r, i);
}

void *region_response_ring(const struct region *r, unsigned i)
{
    return pair_at(r, i) + ring_bytes(r->request_size);
}

bool region_send_file(int sock, uint32_t handle, int fd)
{
    struct iovec iov = {&handle, sizeof(handle)};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *c = (struct cmsghdr *)(void *)control;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(int));
    return sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(handle);
}

int region_recv_file(int sock, uint32_t *ret_handle, int *ret_fd)
{
    struct iovec iov = {ret_handle, sizeof(*ret_handle)};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 4)];
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    int fds[4];
    size_t count = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < k && count < 4; i++)
            memcpy(&fds[count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    if (n == (ssize_t)sizeof(*ret_handle) && count == 1 && !(m.msg_flags & MSG_CTRUNC)) {
        *ret_fd = fds[0];
        return 1;
    }
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    return -1;
}
