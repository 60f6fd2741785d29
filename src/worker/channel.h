/* The worker's end of one ring pair: turns records into requests and responses into records. All
 * of it runs on the pipeline thread that owns it.
 *
 * Flow control. Responses: memory bytes are sent while credit lasts (RESPONSE_CREDIT, renewed by
 * MSG_CREDIT); file parts cost no credit, they hold no memory of ours. A full ring queues the
 * request in order of arrival; nothing new is taken off the request ring until that queue is
 * empty. Request bodies: nothing comes that request_read_body has not asked for. */
#ifndef CANDOR_WORKER_CHANNEL_H
#define CANDOR_WORKER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "queue/region.h"
#include "queue/ring.h"

struct open_file;
struct request_core;
struct worker_thread;

/* A file part of at least so many bytes travels as a descriptor: below, one copy through the ring
 * costs less than sendfile does in the listener (measured crossover). */
enum { CHANNEL_FILE_MIN = 20 * 1024 };

struct channel_options {
    struct worker_thread *thread;
    const struct region *region;
    unsigned pair;                  /* which pair of the region */
    int worker_event, listener_event, files; /* descriptors: own, other side's, file socket */
};

/* Attaches to the pair and starts watching its descriptor on the thread's loop, whose hooks it
 * takes. The descriptors stay the caller's. */
struct channel *channel_new(const struct channel_options *o);
/* Drops requests still held without answer: only when the process or a test ends. Their URL
 * entries need the cache, and the cache's files need the channel: drop, free the cache, free the
 * channel. */
void channel_drop_requests(struct channel *c);
void channel_free(struct channel *c);

/* Works off what is there. True if more is left for another turn. For the loop hooks and tests. */
bool channel_drain(struct channel *c);

/* The pipeline is done with it: sends what r->response says, as far as ring and credit allow, and
 * ends the request once its closing record is on the ring. */
void channel_respond(struct request_core *core);

/* A request asked for body bytes, or has some to be told of. */
void channel_read_body(struct request_core *core);

/* A request wants its client's certificate. Its body, of a stated length of at most
 * CHANNEL_READ_AHEAD_MAX, is taken first and kept until it is read. */
enum { CHANNEL_READ_AHEAD_MAX = 16 * 1024 * 1024 };
void channel_ask_certificate(struct request_core *core);

/* The file will not be sent any more: the listener may close its handle. */
void channel_file_gone(struct channel *c, uint32_t handle);

/* Requests taken and not yet closed. */
size_t channel_held(const struct channel *c);
/* The other side broke the protocol: nothing is taken from it any more. */
bool channel_is_broken(const struct channel *c);

#endif
