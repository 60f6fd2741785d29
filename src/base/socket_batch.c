#include "base/socket_batch.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/poison.h"

enum { ALONE_MAX = 2 }; /* so few are cheaper without the ring */

struct call {
    void *p;
    size_t n;
    int fd;
    bool is_send;
};

struct socket_batch {
    struct socket_batch *next;
    struct io_uring ring;
    unsigned n;
    bool broken; /* the kernel took less than it was given: never again */
    struct call calls[SOCKET_BATCH_MAX];
    int results[SOCKET_BATCH_MAX];
};

static struct socket_batch *prepared;
static pthread_mutex_t prepared_lock = PTHREAD_MUTEX_INITIALIZER;

/* From here on the ring takes RECV and SEND without any flags, and cannot be changed. By number:
 * before its version 2.4 the library does not export its functions for it. */
static bool restrict_ring(struct io_uring *ring)
{
    struct io_uring_restriction only[] = {
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_RECV},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_SEND},
        {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = 0},
    };

    long fd = ring->ring_fd;

    return syscall(SYS_io_uring_register, fd, IORING_REGISTER_RESTRICTIONS, only,
                   ARRAY_LEN(only)) == 0 &&
           syscall(SYS_io_uring_register, fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) == 0;
}

static struct socket_batch *make(void)
{
    struct socket_batch *b = xcalloc(1, sizeof(*b));
    struct io_uring_params p = {.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL |
                                         IORING_SETUP_CLAMP};

    if (io_uring_queue_init_params(SOCKET_BATCH_MAX, &b->ring, &p) < 0) {
        free(b);
        return NULL;
    }
    if (p.sq_entries < SOCKET_BATCH_MAX || p.cq_entries < SOCKET_BATCH_MAX ||
        !restrict_ring(&b->ring))
        return socket_batch_free(b);
    return b;
}

void socket_batch_prepare(unsigned n)
{
    const char *no = getenv("CANDOR_NO_IO_URING");

    if (no && *no)
        return;
    pthread_mutex_lock(&prepared_lock);
    while (n-- > 0) {
        struct socket_batch *b = make();
        if (!b)
            break;
        b->next = prepared;
        prepared = b;
    }
    pthread_mutex_unlock(&prepared_lock);
}

struct socket_batch *socket_batch_take(void)
{
    pthread_mutex_lock(&prepared_lock);
    struct socket_batch *b = prepared;

    if (b)
        prepared = b->next;
    pthread_mutex_unlock(&prepared_lock);
    return b;
}

void socket_batch_end_rest(void)
{
    struct socket_batch *b;

    while ((b = socket_batch_take()))
        socket_batch_free(b);
}

struct socket_batch *socket_batch_free(struct socket_batch *b)
{
    if (!b)
        return NULL;
    io_uring_queue_exit(&b->ring);
    free(b);
    return NULL;
}

static bool put(struct socket_batch *b, const struct call *call)
{
    if (b->n == SOCKET_BATCH_MAX)
        return false;
    b->calls[b->n++] = *call;
    return true;
}

bool socket_batch_recv(struct socket_batch *b, int fd, void *p, size_t n)
{
    return put(b, &(struct call){.p = p, .n = n, .fd = fd});
}

bool socket_batch_send(struct socket_batch *b, int fd, const void *p, size_t n)
{
    return put(b, &(struct call){.p = (void *)(uintptr_t)p, .n = n, .fd = fd, .is_send = true});
}

static int call_alone(const struct call *c)
{
    ssize_t n = c->is_send ? send(c->fd, c->p, c->n, MSG_NOSIGNAL | MSG_DONTWAIT)
                           : recv(c->fd, c->p, c->n, MSG_DONTWAIT);

    return n < 0 ? -errno : (int)n;
}

/* Gives how many of the calls the kernel has taken. It makes them at once: none may wait. */
static unsigned call_together(struct socket_batch *b)
{
    unsigned head, seen = 0;
    struct io_uring_cqe *cqe;

    for (unsigned i = 0; i < b->n; i++) {
        const struct call *c = &b->calls[i];
        struct io_uring_sqe *e = io_uring_get_sqe(&b->ring);

        INVARIANT(e != NULL); /* the last run has emptied it */
        if (c->is_send)
            io_uring_prep_send(e, c->fd, c->p, c->n, MSG_NOSIGNAL | MSG_DONTWAIT);
        else
            io_uring_prep_recv(e, c->fd, c->p, c->n, MSG_DONTWAIT);
        e->user_data = i;
        b->results[i] = -ECANCELED;
    }
    int taken = io_uring_submit(&b->ring);

    io_uring_for_each_cqe(&b->ring, head, cqe) {
        if (cqe->user_data < b->n)
            b->results[cqe->user_data] = cqe->res;
        seen++;
    }
    io_uring_cq_advance(&b->ring, seen);
    b->broken = taken != (int)b->n || seen != b->n;
    return taken < 0 ? 0 : (unsigned)taken;
}

const int *socket_batch_run(struct socket_batch *b)
{
    unsigned i = b->n > ALONE_MAX && !b->broken ? call_together(b) : 0;

    for (; i < b->n; i++)
        b->results[i] = call_alone(&b->calls[i]);
    b->n = 0;
    return b->results;
}
