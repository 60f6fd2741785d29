/* Several receives and sends on sockets in one system call, by io_uring. A batch belongs to one
 * thread at a time. Nothing in it outlives socket_batch_run: every call is made at once and without
 * waiting, so buffers are the caller's again when it returns.
 *
 * io_uring passes by the filter of system calls. So the rings are made before the filter, only with
 * what it takes to receive and to send; the filter then forbids to make or to change any. */
#ifndef CANDOR_BASE_SOCKET_BATCH_H
#define CANDOR_BASE_SOCKET_BATCH_H

#include <stdbool.h>
#include <stddef.h>

struct socket_batch;

enum { SOCKET_BATCH_MAX = 256 };

/* Makes n batches, to be taken one by one; fewer, or none, where the kernel has no io_uring of this
 * kind (5.18), does not let this process use it, or CANDOR_NO_IO_URING is set. Before other threads
 * and before sandbox_listener. */
void socket_batch_prepare(unsigned n);
/* One of those prepared, to be freed; NULL: there is none, call by call it is. Any thread. */
struct socket_batch *socket_batch_take(void);
/* Ends those that nobody has taken. */
void socket_batch_end_rest(void);
/* Returns NULL; b may be NULL. */
struct socket_batch *socket_batch_free(struct socket_batch *b);

/* Puts a call into the batch; false: it is full. */
bool socket_batch_recv(struct socket_batch *b, int fd, void *p, size_t n);
bool socket_batch_send(struct socket_batch *b, int fd, const void *p, size_t n);
/* Makes the calls in their order and empties the batch. Gives their results in the same order: what
 * recv or send would return, or the negative error code; valid until the next call is put in. */
const int *socket_batch_run(struct socket_batch *b);

#endif
