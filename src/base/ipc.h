/* Control messages between our processes: one JSON object per datagram of a SOCK_SEQPACKET socket
 * pair, with descriptors beside it. Control plane only; requests travel over the ring. */
#ifndef CANDOR_BASE_IPC_H
#define CANDOR_BASE_IPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { IPC_MAX_FDS = 250, IPC_INLINE_MAX = 60000 };

/* Sends msg (borrowed). A message larger than IPC_INLINE_MAX travels in a memfd. Blocks no longer
 * than the socket's buffers require. False if the peer is gone or the socket refuses. */
bool ipc_send(int sock, json_t *msg, const int *fds, size_t n_fds);

/* The same without waiting. 1: sent; 0: the socket is full; -1: the peer is gone or refuses. */
int ipc_try_send(int sock, json_t *msg, const int *fds, size_t n_fds);

/* One message. 1: *ret_msg (the caller's to json_decref) and *ret_n_fds descriptors (the caller's
 * to close, CLOEXEC) are set; 0: nothing there now (non-blocking socket); -1: peer gone or the
 * message is malformed. */
int ipc_recv(int sock, json_t **ret_msg, int ret_fds[IPC_MAX_FDS], size_t *ret_n_fds);

/* From somebody who is not trusted: a message that travels in a memfd (or in whatever file comes in
 * its place) may have max bytes, which take some fifty times as much memory once they are JSON. */
int ipc_recv_bounded(int sock, size_t max, json_t **ret_msg, int ret_fds[IPC_MAX_FDS],
                     size_t *ret_n_fds);

/* Members with a default when absent or of another type. */
const char *ipc_get_str(const json_t *msg, const char *key, const char *otherwise);
json_int_t ipc_get_int(const json_t *msg, const char *key, json_int_t otherwise);
bool ipc_get_bool(const json_t *msg, const char *key, bool otherwise);

#endif
