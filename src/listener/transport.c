/* How bytes get in and out of a connection: the socket as it is, or TLS on it. The calls keep the
 * conventions of recv, send and sendfile. They go to the kernel by syscall(2): the library's
 * functions are points of cancellation, which costs a threaded process two atomic operations
 * each. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "listener/connection.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "listener/tls.h"
#include "listener/transport.h"
#include "base/poison.h"

enum { TLS_FILE_BYTES = 64 * 1024 };

ssize_t transport_recv(struct connection *c, void *p, size_t n)
{
    if (LIKELY(!c->tls))
        return syscall(SYS_recvfrom, c->io.fd, p, n, 0, NULL, NULL);
    return tls_recv(c->tls, p, n);
}

ssize_t transport_send(struct connection *c, const void *p, size_t n, bool more)
{
    if (LIKELY(!c->tls))
        return syscall(SYS_sendto, c->io.fd, p, n, MSG_NOSIGNAL | (more ? MSG_MORE : 0), NULL, 0);
    return tls_send(c->tls, p, n, more);
}

ssize_t transport_sendfile(struct connection *c, int fd, uint64_t offset, size_t n)
{
    off_t at = (off_t)offset;

    if (LIKELY(!c->tls))
        return syscall(SYS_sendfile, c->io.fd, fd, &at, n);
    return tls_sendfile(c->tls, fd, offset, n, c->thread->scratch, TLS_FILE_BYTES);
}

bool transport_pending(const struct connection *c)
{
    return c->tls && tls_pending(c->tls);
}

uint32_t transport_tls_events(const struct connection *c, uint32_t wanted)
{
    /* Inside TLS a read may have to write first, and the other way round. */
    if ((wanted & EPOLLIN) && tls_recv_wants_room(c->tls))
        wanted |= EPOLLOUT;
    if ((wanted & EPOLLOUT) && tls_send_wants_input(c->tls))
        wanted |= EPOLLIN;
    return wanted;
}

void transport_shutdown(struct connection *c)
{
    if (c->tls)
        tls_close(c->tls);
    shutdown(c->io.fd, SHUT_WR);
}

void transport_close(struct connection *c, bool reset)
{
    struct linger hard = {.l_onoff = 1};

    if (c->tls) {
        if (!reset)
            tls_close(c->tls);
        tls_conn_free(c->tls);
        c->tls = NULL;
    }
    if (reset)
        setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(c->io.fd);
    c->io.fd = -1;
    c->io.armed = 0;
}

void transport_end_carrier(struct connection *c)
{
    const struct carrier_ops *ops = c->carrier;

    c->carrier = NULL; /* its streams end now, and would ask for their output to be sent */
    ops->end(c);
    c->carrier_data = NULL;
}

void transport_end_stream(struct connection *c, bool reset)
{
    const struct stream_ops *ops = c->stream;

    c->stream = NULL;
    ops->end(c, reset);
    c->parent = NULL;
    c->stream_data = NULL;
}
