/* Listening sockets that a service manager has opened for us (sd_listen_fds(3)): LISTEN_PID,
 * LISTEN_FDS and LISTEN_FDNAMES. */
#ifndef CANDOR_SUPERVISOR_INHERITED_H
#define CANDOR_SUPERVISOR_INHERITED_H

#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

struct inherited_socket {
    int fd;
    struct ip_address address;
    uint16_t port;
    bool is_dual; /* bound to :: and takes IPv4 as well */
    bool is_used; /* some binding has asked for it */
    char *name;   /* of the .socket unit, or "" */
};

struct inherited {
    struct inherited_socket *list;
    size_t n;
};

/* Takes what the environment announces and removes it from there. Sockets that do not listen for
 * TCP connections are closed after refuse(arg, name, why). Later calls find nothing. */
void inherited_begin(struct inherited *in,
                     void (*refuse)(void *arg, const char *name, const char *why), void *arg);
void inherited_end(struct inherited *in);

/* The socket that listens on address:port, marked as used; NULL: there is none. */
const struct inherited_socket *inherited_find(struct inherited *in,
                                              const struct ip_address *address, uint16_t port);

#endif
