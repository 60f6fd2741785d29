/* How connections come: a listening socket, then what stands before HTTP. */
#ifndef CANDOR_LISTENER_ACCEPT_H
#define CANDOR_LISTENER_ACCEPT_H

#include <sys/socket.h>

#include "base/loop.h"

struct connection;
struct ip_address;
struct thread;

/* A listening socket of this thread. */
struct acceptor {
    struct loop_io io;
    struct acceptor *next;
    struct thread *thread;
    uint64_t id;
    uint16_t port;
    bool any_address, https;
    struct sockaddr_storage address;
};

void acceptor_on_event(struct loop_io *io, uint32_t events);
/* Whose connection it is, by the word of a trusted balancer. */
void conn_set_remote(struct connection *c, const struct ip_address *ip, uint16_t port);

/* opening.c: what comes before HTTP: PROXY header, TLS handshake */
bool opening_is_needed(const struct connection *c, bool https);
void opening_begin(struct connection *c, bool https);
void opening_step(struct connection *c);
/* It is about to be closed because its time is up, or its socket has failed: for the counters. Not
 * only of connections that are being opened. */
void opening_is_late(const struct connection *c);
void opening_is_lost(struct connection *c);
void opening_retry(struct thread *t); /* the supervisor has answered about a certificate */

#endif
