/* The receives and the sends of a turn, all in one system call each. Only where it makes no other
 * difference: plain sockets of HTTP/1, requests that come alone, answers that are whole. */
#ifndef CANDOR_LISTENER_BATCH_H
#define CANDOR_LISTENER_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

struct batch;
struct connection;
struct thread;

struct batch *batch_new(void); /* NULL: every call for itself; the others then do nothing */
struct batch *batch_free(struct batch *b);

/* So many answers may come, each for another connection. If they are few they go by themselves. */
void batch_expect(struct thread *t, unsigned n);
/* Reads for all connections that these events tell of and that wait for a request. */
void batch_receive(struct thread *t, const struct epoll_event *events, int n);
/* What that gave for c: as recv. Only while c->has_received. */
ssize_t batch_received(struct connection *c);

/* Takes the last bytes of an answer, to be sent at the end of the turn. False: they are to be sent
 * at once. Once taken, c->batched is set until they have been. */
bool batch_answer(struct connection *c, const void *p, size_t n, uint64_t credit);
/* Sends what was taken, and goes on with the connections. */
void batch_send(struct thread *t);
/* The connection ends: its answer leaves now, as far as it can. */
void batch_leave(struct connection *c);

#endif
