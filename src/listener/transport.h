/* Bytes through the socket or TLS, with the conventions of recv, send, sendfile. */
#ifndef CANDOR_LISTENER_TRANSPORT_H
#define CANDOR_LISTENER_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct connection;

ssize_t transport_recv(struct connection *c, void *p, size_t n);
ssize_t transport_send(struct connection *c, const void *p, size_t n, bool more);
ssize_t transport_sendfile(struct connection *c, int fd, uint64_t offset, size_t n);
bool transport_pending(const struct connection *c); /* input that no event will tell of */
uint32_t transport_tls_events(const struct connection *c, uint32_t wanted);
void transport_shutdown(struct connection *c);
void transport_close(struct connection *c, bool reset);

#endif
