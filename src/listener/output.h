/* What leaves a connection, and the limits on its rate. */
#ifndef CANDOR_LISTENER_OUTPUT_H
#define CANDOR_LISTENER_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cached_response;
struct connection;
struct exchange;
struct out_file;

struct out_segment {
    struct out_segment *next;
    struct out_file *file; /* a worker's; NULL: memory, or what the cache has */
    const struct cached_response *cached; /* referenced; its file, or the memory of its body */
    uint64_t offset, length;
    uint64_t credit; /* body bytes in it that the worker's credit paid for */
    char data[];
};

/* send.c: what leaves the connection. False: the connection is gone (and has been dealt with). */
bool out_bytes(struct connection *c, const void *p, size_t n, bool more, uint64_t credit);
bool out_file(struct connection *c, struct out_file *f, uint64_t offset, uint64_t length);
/* length bytes from offset of the body of r, which need not be kept by the caller. */
bool out_cached(struct connection *c, const struct cached_response *r, uint64_t offset,
                uint64_t length);
bool out_flush(struct connection *c);
uint64_t response_due_ms(const struct exchange *x); /* what it may take at the least rate */
void out_drop(struct connection *c);
/* For the carrier of a stream: moves up to n of the bytes that wait to leave to buf; *ret_last: no
 * more will follow. -1: the stream had to be reset, c may be gone. */
ssize_t out_take(struct connection *c, char *buf, size_t n, bool *ret_last);
/* All that was taken has been framed: ends the exchange if it was the last. c may be gone. */
void out_taken(struct connection *c);

/* What became of n bytes of the last answer, which were sent apart: as send, or the negative error
 * code. Goes on with the connection, which may be gone then. */
void out_sent(struct connection *c, const void *p, size_t n, uint64_t credit, int sent);

/* throttle.c */
/* With each response, whose site and generation count. False: out of memory; it must not be sent. */
bool throttle_begin(struct connection *c);
uint64_t throttle_take(struct connection *c, uint64_t want); /* 0: c is parked until its turn */
void throttle_give_back(struct connection *c, uint64_t unsent, bool try_again);
void throttle_end(struct connection *c);
void throttle_free(struct connection *c);

#endif
