#include "supervisor/endpoints.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/ip.h"
#include "supervisor/port_holder.h"
#include "tables/http_parameters.h"
#include "base/poison.h"

enum { BACKLOG = 65535 }; /* the kernel takes it down to net.core.somaxconn */

void endpoints_init(struct endpoints *e, unsigned threads)
{
    INVARIANT(threads >= 1 && threads <= ENDPOINT_THREADS_MAX);
    *e = (struct endpoints){.threads = threads, .bytes_per_send = HTTP_PARAMETERS_BYTES_PER_SEND};
}

static void close_sockets(const struct endpoints *e, struct endpoint *ep)
{
    for (unsigned i = 0; i < e->threads; i++)
        if (ep->fds[i] >= 0)
            close(ep->fds[i]);
}

void endpoints_close(struct endpoints *e, size_t i)
{
    close_sockets(e, e->list[i]);
    free(e->list[i]);
    e->list[i] = e->list[--e->n];
}

void endpoints_fini(struct endpoints *e)
{
    while (e->n)
        endpoints_close(e, e->n - 1);
    free(e->list);
    e->list = NULL;
    e->cap = 0;
    inherited_end(&e->inherited);
}

void endpoints_begin(struct endpoints *e)
{
    for (size_t i = 0; i < e->n; i++)
        e->list[i]->wanted = false;
}

static void set_address(struct endpoint *ep, const struct ip_address *ip, uint16_t port)
{
    if (ip->is_v4) {
        ep->addr.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&ep->addr.v4.sin_addr, ip->bytes + 12, 4);
    } else {
        ep->addr.v6 = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_scope_id = ip->scope};
        memcpy(&ep->addr.v6.sin6_addr, ip->bytes, sizeof(ip->bytes));
    }
}

static struct ip_address address_of(const struct endpoint *ep)
{
    struct ip_address ip = {.is_v4 = ep->addr.any.sa_family == AF_INET};

    if (ip.is_v4) {
        ip.bytes[10] = ip.bytes[11] = 0xff;
        memcpy(ip.bytes + 12, &ep->addr.v4.sin_addr, 4);
    } else {
        memcpy(ip.bytes, &ep->addr.v6.sin6_addr, sizeof(ip.bytes));
        ip.scope = ep->addr.v6.sin6_scope_id;
    }
    return ip;
}

/* Brackets have been taken off where they belong. */
static bool parse_address(struct str s, uint16_t port, struct endpoint *ret)
{
    struct ip_address ip;

    if ((s.n && s.p[0] == '[') || !ip_parse(s, &ip))
        return false;
    set_address(ret, &ip, port);
    return true;
}

static socklen_t address_len(const struct endpoint *ep)
{
    return ep->addr.any.sa_family == AF_INET ? sizeof(ep->addr.v4) : sizeof(ep->addr.v6);
}

static bool same_address(const struct endpoint *a, const struct endpoint *b)
{
    if (a->addr.any.sa_family != b->addr.any.sa_family)
        return false;
    if (a->addr.any.sa_family == AF_INET)
        return a->addr.v4.sin_port == b->addr.v4.sin_port &&
               a->addr.v4.sin_addr.s_addr == b->addr.v4.sin_addr.s_addr;
    return a->addr.v6.sin6_port == b->addr.v6.sin6_port &&
           a->addr.v6.sin6_scope_id == b->addr.v6.sin6_scope_id &&
           memcmp(&a->addr.v6.sin6_addr, &b->addr.v6.sin6_addr, 16) == 0;
}

static bool is_wildcard(const struct endpoint *ep)
{
    return ep->addr.any.sa_family == AF_INET ? ep->addr.v4.sin_addr.s_addr == htonl(INADDR_ANY)
                                             : IN6_IS_ADDR_UNSPECIFIED(&ep->addr.v6.sin6_addr);
}

uint16_t endpoint_port(const struct endpoint *ep)
{
    return ntohs(ep->addr.any.sa_family == AF_INET ? ep->addr.v4.sin_port : ep->addr.v6.sin6_port);
}

void endpoint_address_text(const struct endpoint *ep, char out[ENDPOINT_TEXT_MAX])
{
    char z[INET6_ADDRSTRLEN] = "?";

    if (ep->addr.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &ep->addr.v4.sin_addr, z, sizeof(z));
        snprintf(out, ENDPOINT_TEXT_MAX, "%s", z);
        return;
    }
    inet_ntop(AF_INET6, &ep->addr.v6.sin6_addr, z, sizeof(z));
    if (ep->addr.v6.sin6_scope_id)
        snprintf(out, ENDPOINT_TEXT_MAX, "[%s%%%u]", z, ep->addr.v6.sin6_scope_id);
    else
        snprintf(out, ENDPOINT_TEXT_MAX, "[%s]", z);
}

/* A bound socket, not yet listening; -1 with errno. */
static int bind_socket(const struct endpoint *ep, bool share)
{
    int one = 1;
    int s = socket(ep->addr.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (s < 0)
        return -1;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (share)
        setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    if (ep->addr.any.sa_family == AF_INET6)
        setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    /* Accepted connections inherit it. */
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (bind(s, &ep->addr.any, address_len(ep)) < 0) {
        int e = errno;
        close(s);
        errno = e;
        return -1;
    }
    return s;
}

/* One of our own sockets covers the address, or would be covered by it. */
static bool overlaps_own(const struct endpoints *e, const struct endpoint *ep)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->list[i]->addr.any.sa_family == ep->addr.any.sa_family &&
            endpoint_port(e->list[i]) == endpoint_port(ep) &&
            (is_wildcard(ep) || is_wildcard(e->list[i])))
            return true;
    return false;
}

/* SO_REUSEPORT would let us share the port with another server of the same user, unnoticed: half
 * of the clients would go astray. A socket without it tells. */
static bool is_free(const struct endpoints *e, const struct endpoint *ep)
{
    if (overlaps_own(e, ep))
        return true;
    int s = bind_socket(ep, /* share */ false);

    if (s < 0)
        return false;
    bool ok = listen(s, 1) == 0;
    int err = errno;

    close(s);
    errno = err;
    return ok;
}

/* One socket for all threads: whichever comes first accepts. */
static bool share_socket(const struct endpoints *e, struct endpoint *ep, int fd)
{
    for (unsigned i = 0; i < e->threads; i++) {
        ep->fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (ep->fds[i] < 0) {
            int err = errno;
            close_sockets(e, ep);
            errno = err;
            return false;
        }
    }
    return true;
}

static bool open_sockets(struct endpoints *e, struct endpoint *ep)
{
    struct ip_address ip = address_of(ep);
    const struct inherited_socket *s = inherited_find(&e->inherited, &ip, endpoint_port(ep));

    for (unsigned i = 0; i < e->threads; i++)
        ep->fds[i] = -1;
    if (s)
        return share_socket(e, ep, s->fd);
    if (!is_free(e, ep))
        return false;
    for (unsigned i = 0; i < e->threads; i++) {
        ep->fds[i] = bind_socket(ep, /* share */ true);
        if (ep->fds[i] < 0 || listen(ep->fds[i], BACKLOG) < 0) {
            int err = errno;
            close_sockets(e, ep);
            errno = err;
            return false;
        }
    }
    return true;
}

static void describe_failure(const struct endpoints *e, const struct endpoint *ep, int err,
                             struct endpoint_failure *f)
{
    char text[ENDPOINT_TEXT_MAX], holder[96];

    endpoint_address_text(ep, text);
    f->err = err;
    snprintf(f->address, sizeof(f->address), "http%s://%s:%u", ep->https ? "s" : "", text,
             endpoint_port(ep));
    if (err == EPROTO) {
        snprintf(f->why, sizeof(f->why), "another binding uses it for %s",
                 ep->https ? "http" : "https");
    } else if (err == ENOSPC) {
        snprintf(f->why, sizeof(f->why), "MaxEndpoints allows %u", e->max);
    } else if (err == EADDRINUSE) {
        port_holder_describe(endpoint_port(ep), holder, sizeof(holder));
        snprintf(f->why, sizeof(f->why), "the port is in use%s%s", holder[0] ? " by " : "", holder);
    } else if (err == EACCES) {
        snprintf(f->why, sizeof(f->why), "ports below 1024 need root or CAP_NET_BIND_SERVICE");
    } else if (err == EADDRNOTAVAIL) {
        snprintf(f->why, sizeof(f->why), "this machine has no such address");
    } else if (err == EMFILE) {
        snprintf(f->why, sizeof(f->why),
                 "there are no file descriptors left; raise the limit (ulimit -n, LimitNOFILE)");
    } else {
        snprintf(f->why, sizeof(f->why), "%s", strerror(err));
    }
}

/* The two sockets of a binding to all addresses are one of MaxEndpoints. */
static bool is_limited(const struct endpoints *e, const struct endpoint *like)
{
    size_t n = 0;

    for (size_t i = 0; i < e->n; i++) {
        const struct endpoint *ep = e->list[i];
        bool is_v6 = ep->addr.any.sa_family == AF_INET6;
        n += ep->wanted && !(is_v6 && is_wildcard(ep));
    }
    bool is_second = like->addr.any.sa_family == AF_INET6 && is_wildcard(like);

    return e->max && !is_second && n >= e->max;
}

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72 /* Linux 5.14; its header may be older */
#endif

/* Accepted connections inherit the size, and that it is fixed. */
static void limit_sends(int fd, uint32_t bytes)
{
    int size = (int)bytes, free_again = 0;

    if (bytes == HTTP_PARAMETERS_BYTES_PER_SEND)
        setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &free_again, sizeof(free_again));
    else
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

void endpoints_limit_sends(struct endpoints *e, uint32_t bytes)
{
    if (bytes == e->bytes_per_send)
        return;
    e->bytes_per_send = bytes;
    for (size_t i = 0; i < e->n; i++)
        for (unsigned k = 0; k < e->threads; k++)
            limit_sends(e->list[i]->fds[k], bytes);
}

static bool want_one(struct endpoints *e, const struct endpoint *like, int *ret_errno)
{
    for (size_t i = 0; i < e->n; i++) {
        if (e->list[i]->wanted && e->list[i]->https != like->https &&
            endpoint_port(e->list[i]) == endpoint_port(like)) {
            *ret_errno = EPROTO;
            return false;
        }
    }
    for (size_t i = 0; i < e->n; i++) {
        if (!same_address(e->list[i], like))
            continue;
        if (!e->list[i]->wanted && is_limited(e, like))
            break;
        e->list[i]->wanted = true;
        e->list[i]->https = like->https;
        return true;
    }
    if (is_limited(e, like)) {
        *ret_errno = ENOSPC;
        return false;
    }
    struct endpoint *ep = xmalloc(sizeof(*ep));

    *ep = *like;
    if (!open_sockets(e, ep)) {
        *ret_errno = errno;
        free(ep);
        return false;
    }
    for (unsigned i = 0; i < e->threads && e->bytes_per_send != HTTP_PARAMETERS_BYTES_PER_SEND; i++)
        limit_sends(ep->fds[i], e->bytes_per_send);
    ep->id = ++e->last_id;
    ep->wanted = true;
    e->list = xgrow(e->list, e->n, &e->cap, sizeof(struct endpoint *));
    e->list[e->n++] = ep;
    return true;
}

static bool lacks_ipv6(int err)
{
    return err == EAFNOSUPPORT || err == EADDRNOTAVAIL || err == EPROTONOSUPPORT;
}

static bool want_ip(struct endpoints *e, const struct ip_address *ip, uint16_t port, bool https,
                    struct endpoint_failure *f)
{
    struct endpoint ep = {.https = https};
    int err = 0;

    set_address(&ep, ip, port);
    if (want_one(e, &ep, &err))
        return true;
    describe_failure(e, &ep, err, f);
    return false;
}

static const struct ip_address any_v4 = {.bytes = {[10] = 0xff, [11] = 0xff}, .is_v4 = true};
static const struct ip_address any_v6;

static bool want_everywhere(struct endpoints *e, uint16_t port, bool https,
                            struct endpoint_failure *f)
{
    const struct inherited_socket *s = inherited_find(&e->inherited, &any_v6, port);

    if (s && s->is_dual)
        return want_ip(e, &any_v6, port, https, f);
    if (!want_ip(e, &any_v4, port, https, f))
        return false;
    return want_ip(e, &any_v6, port, https, f) || lacks_ipv6(f->err);
}

static bool has_listen_list(const struct endpoints *e)
{
    return e->bindings && e->bindings->n_listen > 0;
}

static bool is_everywhere(struct str address)
{
    return address.n == 0 || str_eq(address, STR("*")) || str_eq(address, STR("+"));
}

bool endpoints_may_want(const struct endpoints *e, struct str address)
{
    struct ip_address ip;

    return !has_listen_list(e) || is_everywhere(address) || !ip_parse(address, &ip) ||
           http_bindings_may_listen(e->bindings, &ip);
}

bool endpoints_want(struct endpoints *e, struct str address, uint16_t port, bool https,
                    struct endpoint_failure *ret_failure)
{
    struct endpoint ep = {0};

    if (!is_everywhere(address)) {
        if (parse_address(address, port, &ep)) {
            struct ip_address ip = address_of(&ep);
            return want_ip(e, &ip, port, https, ret_failure);
        }
        *ret_failure = (struct endpoint_failure){.err = EINVAL, .why = "that is not an address"};
        snprintf(ret_failure->address, sizeof(ret_failure->address), "\"%.*s\"", STR_ARG(address));
        return false;
    }
    if (!has_listen_list(e))
        return want_everywhere(e, port, https, ret_failure);
    for (size_t i = 0; i < e->bindings->n_listen; i++)
        if (!want_ip(e, &e->bindings->listen[i], port, https, ret_failure))
            return false;
    return true;
}

bool endpoints_can_use(const char *address)
{
    struct endpoint ep = {0};

    if (!parse_address(str_z(address), 0, &ep))
        return false;
    int s = bind_socket(&ep, /* share */ false);

    if (s < 0)
        return false;
    close(s);
    return true;
}

static bool free_on_all(const char *const *addresses, size_t n, uint16_t port)
{
    const struct endpoints none = {.threads = 1};

    for (size_t i = 0; i < n; i++) {
        struct endpoint ep = {0};
        if (!parse_address(str_z(addresses[i]), port, &ep) || !is_free(&none, &ep))
            return false;
    }
    return true;
}

uint16_t endpoints_free_port(const char *const *addresses, size_t n)
{
    enum { TRIES = 50 };

    for (int i = 0; n > 0 && i < TRIES; i++) {
        struct endpoint ep = {0};
        if (!parse_address(str_z(addresses[0]), 0, &ep))
            return 0;
        int s = bind_socket(&ep, /* share */ false);
        socklen_t len = sizeof(ep.addr);
        if (s < 0)
            return 0;
        bool known = getsockname(s, &ep.addr.any, &len) == 0;
        close(s);
        if (known && free_on_all(addresses, n, endpoint_port(&ep)))
            return endpoint_port(&ep);
    }
    return 0;
}
