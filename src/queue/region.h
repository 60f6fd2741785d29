/* The memory that one worker shares with the listener: a pair of rings per thread. Made by the
 * supervisor, mapped by listener and worker; each maps and checks it by itself. */
#ifndef CANDOR_QUEUE_REGION_H
#define CANDOR_QUEUE_REGION_H

#include <stddef.h>

#include "queue/ring.h"

/* Descriptors that belong to one pair: what listener and worker sleep on, and the ends of
 * the SOCK_SEQPACKET pair over which the worker hands open files to the listener. */
enum { REGION_FDS_PER_THREAD = 2 };

/* A sealed memfd for `threads` pairs; the ring size for requests grows with max_request_bytes
 * (HTTP.sys MaxRequestBytes). -1 with errno on failure. */
int region_create(unsigned threads, uint64_t max_request_bytes);

struct region {
    void *mem;
    size_t bytes;
    unsigned threads;
    uint64_t request_size, response_size;
};

/* Maps memfd and checks size, seals and version. False with errno. */
MUST_CHECK bool region_map(int memfd, struct region *ret);
void region_unmap(struct region *r);

/* Memory of the two rings of pair i. */
void *region_request_ring(const struct region *r, unsigned i);
void *region_response_ring(const struct region *r, unsigned i);

/* Hands fd over as `handle` (one datagram); the receiver keeps it. False if the peer is gone or
 * its buffer is full. */
bool region_send_file(int sock, uint32_t handle, int fd);
/* 1: *ret_handle, *ret_fd (CLOEXEC, the caller's); 0: none there; -1: broken. */
int region_recv_file(int sock, uint32_t *ret_handle, int *ret_fd);

#endif
