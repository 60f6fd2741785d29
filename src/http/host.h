/* Host header and authority (RFC 9110 7.2), as strictly as HTTP.sys takes them. */
#ifndef CANDOR_HTTP_HOST_H
#define CANDOR_HTTP_HOST_H

#include "base/str.h"

enum http_host_kind { HTTP_HOST_NAME, HTTP_HOST_IPV4, HTTP_HOST_IPV6 };

enum { HTTP_HOST_MAX = 255 }; /* bytes of a name, the port not counted */

struct http_host {
    struct str name; /* as sent, without port; an IPv6 literal with its brackets */
    enum http_host_kind kind;
    uint16_t port; /* 0: none was given */
};

/* Splits and checks "name", "name:port", "1.2.3.4:port", "[v6]:port". Names: letters, digits, '-',
 * '_' and single dots between labels; one dot at the end stays part of the name. Ports: 1..65535
 * without sign, blank or leading zero. False (nothing written) if anything is off or s is empty.
 * The views look into s. */
MUST_CHECK bool http_host_parse(struct str s, struct http_host *ret);

#endif
