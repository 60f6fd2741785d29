#include "http/host.h"

#include <arpa/inet.h>

#include "http/scan.h"
#include "base/poison.h"

static bool port_parse(struct str s, uint16_t *ret)
{
    uint32_t port = 0;

    if (s.n == 0 || s.n > 5 || s.p[0] == '0')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_is_digit(s.p[i]))
            return false;
        port = port * 10 + (uint32_t)(s.p[i] - '0');
    }
    if (port > 65535)
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

/* Four numbers up to 255 without leading zeros. Only called for names made of host characters. */
static bool is_ipv4(struct str s)
{
    unsigned parts = 0, value = 0, digits = 0;

    for (size_t i = 0; i <= s.n; i++) {
        if (i == s.n || s.p[i] == '.') {
            if (digits == 0 || ++parts > 4)
                return false;
            value = digits = 0;
        } else {
            if (!ascii_is_digit(s.p[i]) || (digits > 0 && value == 0))
                return false;
            value = value * 10 + (unsigned)(s.p[i] - '0');
            if (value > 255)
                return false;
            digits++;
        }
    }
    return parts == 4;
}

/* Length of the name at the start of s: up to the first ':' or the end; 0 if it is not well formed:
 * a dot stands first or two in a row, or there is a character that names do not have. */
static size_t name_len(struct str s)
{
    size_t i = 0;

    for (; i < s.n && scan_is(s.p[i], SCAN_HOST); i++)
        if (s.p[i] == '.' && (i == 0 || s.p[i - 1] == '.'))
            return 0;
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
