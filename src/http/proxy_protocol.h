/* The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): what a load balancer sends
 * before the first byte of a connection, so that the server learns whose it is.
 *
 * Incremental, without allocation: takes bytes as they come and keeps 108 of them at most. Of
 * version 2 the extensions (TLVs) are passed over, checksums among them. */
#ifndef CANDOR_HTTP_PROXY_PROTOCOL_H
#define CANDOR_HTTP_PROXY_PROTOCOL_H

#include "base/ip.h"

enum {
    PROXY_V1_MAX = 107,            /* bytes, line end included */
    PROXY_HEADER_MAX = 16 + 65535, /* of version 2 */
};

enum proxy_rc {
    PROXY_MORE, /* all bytes were taken, and more are needed */
    PROXY_DONE,
    PROXY_BAD, /* no PROXY header, or one that breaks the rules: close the connection */
};

struct proxy_parser {
    uint8_t version; /* 0: not known yet */
    uint8_t n;       /* bytes kept */
    uint32_t skip;   /* bytes of version 2 still to be passed over */
    uint8_t kept[PROXY_V1_MAX + 1];
};

/* What the header says. The addresses count only if has_addresses: a balancer's own check (LOCAL)
 * and what is no TCP (UNKNOWN, UNSPEC, UNIX, datagrams) leave the connection its own. */
struct proxy_header {
    bool has_addresses;
    struct ip_address source, destination;
    uint16_t source_port, destination_port;
};

void proxy_parser_init(struct proxy_parser *p);

/* Whether what came so far, also if it was bad in the end, began as a PROXY header does. */
bool proxy_parser_has_begun(const struct proxy_parser *p);

/* Takes from bytes what belongs to the header; *ret_used says how many that are (all, unless the
 * result is PROXY_DONE: what follows is the client's). *ret is written with PROXY_DONE only. After
 * PROXY_DONE or PROXY_BAD the parser must be initialised again. */
MUST_CHECK enum proxy_rc proxy_parse(struct proxy_parser *p, struct str bytes, size_t *ret_used,
                                     struct proxy_header *ret);

#endif
