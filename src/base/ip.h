/* IP addresses and ranges of them. IPv4 as v4-mapped IPv6 (RFC 4291 section 2.5.5.2), so that one
 * comparison serves both. */
#ifndef CANDOR_BASE_IP_H
#define CANDOR_BASE_IP_H

#include "base/str.h"

enum { IP_TEXT_MAX = 64 }; /* of ip_format, NUL included */

struct ip_address {
    uint8_t bytes[16];
    uint32_t scope; /* interface of a link-local IPv6 address; 0: none given */
    bool is_v4;
};

struct ip_range {
    uint8_t bytes[16];
    uint8_t bits; /* leading bits that count: 96..128 for IPv4 */
};

/* "1.2.3.4", "2001:db8::1", "fe80::1%2", "fe80::1%eth0"; IPv6 with or without brackets. The name of
 * an interface is looked up by a system call, a number is not. False, nothing written: no address,
 * or there is no such interface. */
MUST_CHECK bool ip_parse(struct str s, struct ip_address *ret);

/* "10.0.0.0/8", "2001:db8::/32", or an address alone. Bits behind the prefix are ignored. */
MUST_CHECK bool ip_range_parse(struct str s, struct ip_range *ret);
bool ip_range_has(const struct ip_range *range, const uint8_t bytes[16]);

/* Same bytes, and the same scope where both name one. */
bool ip_same(const struct ip_address *a, const struct ip_address *b);
/* 0.0.0.0 or ::, which stand for all addresses. */
bool ip_is_any(const struct ip_address *a);

/* As ip_parse reads it, without brackets; scopes as numbers. Returns the length. */
size_t ip_format(const struct ip_address *a, char out[IP_TEXT_MAX]);

#endif
