#include "http/host.h"

#include <arpa/inet.h>

#include "http/scan.h"
#include "base/poison.h"

static bool port_parse(struct str s, uint16_t *ret)
{
    uint64_t port;

    if (s.n == 0 || s.n > 5 || s.p[0] == '0' || !str_u64(s, 65535, &port))
        return false;
    *ret = (uint16_t)port;
    return true;
}

/* Length of a bracketed IPv6 literal at the start of s, brackets included; 0 if it is none. Zone
 * identifiers mean nothing to a server and are refused. */
static size_t ipv6_len(struct str s)
{
    char z[INET6_ADDRSTRLEN];
    struct in6_addr addr;
    size_t close = str_find_char(s, ']');

    if (close == SIZE_MAX || close < 3 || close - 1 >= sizeof(z))
        return 0;
    memcpy(z, s.p + 1, close - 1);
    z[close - 1] = '\0';
    if (memchr(z, '\0', close - 1) || inet_pton(AF_INET6, z, &addr) != 1)
        return 0;
    return close + 1;
}

static bool is_ipv4(struct str s)
{
    char z[INET_ADDRSTRLEN];
    struct in_addr addr;

    if (s.n < 7 || s.n >= sizeof(z) || !ascii_is_digit(s.p[s.n - 1]))
        return false;
    memcpy(z, s.p, s.n);
    z[s.n] = '\0';
    return inet_pton(AF_INET, z, &addr) == 1;
}

/* Length of the name at the start of s: up to the first ':' or the end; 0 if it is not well formed. */
static size_t name_len(struct str s)
{
    size_t i = 0;
    char before = '.'; /* a name must not start with a dot, nor have two in a row */

    for (; i < s.n && scan_is(s.p[i], SCAN_HOST); i++) {
        if (s.p[i] == '.' && before == '.')
            return 0;
        before = s.p[i];
    }
    return i <= HTTP_HOST_MAX && (i == s.n || s.p[i] == ':') ? i : 0;
}

bool http_host_parse(struct str s, struct http_host *ret)
{
    struct http_host host = {.kind = HTTP_HOST_NAME};
    size_t n;

    if (s.n && s.p[0] == '[') {
        host.kind = HTTP_HOST_IPV6;
        n = ipv6_len(s);
    } else {
        n = name_len(s);
    }
    if (n == 0)
        return false;
    host.name = str_sub(s, 0, n);
    if (host.kind == HTTP_HOST_NAME && ascii_is_digit(s.p[0]) && is_ipv4(host.name))
        host.kind = HTTP_HOST_IPV4;
    if (n < s.n && (s.p[n] != ':' || !port_parse(str_sub(s, n + 1, s.n), &host.port)))
        return false;
    *ret = host;
    return true;
}
