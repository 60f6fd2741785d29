/* The listening sockets. They belong to the supervisor, so that the listener needs no privilege
 * and a new one can take over where the old one ended. */
#ifndef CANDOR_SUPERVISOR_ENDPOINTS_H
#define CANDOR_SUPERVISOR_ENDPOINTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "base/str.h"
#include "supervisor/inherited.h"
#include "tables/http_bindings.h"

enum { ENDPOINT_THREADS_MAX = 64, ENDPOINT_TEXT_MAX = 80 };

struct endpoint {
    uint32_t id;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } addr;
    int fds[ENDPOINT_THREADS_MAX]; /* one per listener thread: SO_REUSEPORT, or the same one */
    bool wanted;                   /* by the generation being built */
    bool https;                    /* what the bindings speak there */
    bool sent;                     /* the listener has it, with... */
    bool sent_https;
};

struct endpoints {
    struct endpoint **list;
    size_t n, cap;
    unsigned threads; /* 1..ENDPOINT_THREADS_MAX */
    uint32_t last_id;
    uint32_t max;                         /* MaxEndpoints; 0: no limit */
    uint32_t bytes_per_send;              /* MaxBytesPerSend */
    const struct http_bindings *bindings; /* whose listen list counts; NULL: none does */
    struct inherited inherited;           /* taken instead of opening one */
};

/* Why an endpoint cannot be had. */
struct endpoint_failure {
    int err;                              /* errno; EINVAL: the text is no address */
    char address[ENDPOINT_TEXT_MAX + 24]; /* "https://127.0.0.1:443" */
    char why[160];                        /* one clause; names who has the port, if it is taken */
};

/* Without limit, listen list and inherited sockets: the caller may set these members. */
void endpoints_init(struct endpoints *e, unsigned threads);
/* Closes every socket, the inherited ones as well. */
void endpoints_fini(struct endpoints *e);

/* Marks all as not wanted: a new set is going to be named. */
void endpoints_begin(struct endpoints *e);

/* Whether the listen list (ListenOnlyList) leaves anything of the address; true if that is none. */
bool endpoints_may_want(const struct endpoints *e, struct str address);

/* Wants address:port: "*" or "+" (every IPv4 address, and every IPv6 one where the kernel has IPv6;
 * with a listen list, those of it), an IPv4 address, or an IPv6 address without brackets, with or
 * without %zone. Opens what is not open and was not inherited. One port cannot speak both http and
 * https. False: *ret_failure says why; its err is EPROTO for that, ENOSPC for MaxEndpoints. */
MUST_CHECK bool endpoints_want(struct endpoints *e, struct str address, uint16_t port, bool https,
                               struct endpoint_failure *ret_failure);

/* A port that is free on every one of the addresses, for `--port 0`. 0: none found. */
uint16_t endpoints_free_port(const char *const *addresses, size_t n);
/* Whether the machine can listen on the address at all (IPv6 may be missing). */
bool endpoints_can_use(const char *address);

/* MaxBytesPerSend, for connections accepted from now on. HTTP_PARAMETERS_BYTES_PER_SEND: as the
 * kernel likes. */
void endpoints_limit_sends(struct endpoints *e, uint32_t bytes);

/* Closes and forgets endpoint i. */
void endpoints_close(struct endpoints *e, size_t i);

/* "127.0.0.1", "[::1]": as in URLs. */
void endpoint_address_text(const struct endpoint *ep, char out[ENDPOINT_TEXT_MAX]);
uint16_t endpoint_port(const struct endpoint *ep);

#endif
