#include "supervisor/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "supervisor/internal.h"
#include "base/poison.h"

enum { BACKLOG = 16, GATHER_MS = 200 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t address_size(const union address *a)
{
    return a->any.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

static bool parse(struct str text, union address *ret)
{
    size_t colon = str_rfind_char(text, ':');
    struct str host = colon == SIZE_MAX ? STR("127.0.0.1") : str_sub(text, 0, colon);
    struct str port_text = colon == SIZE_MAX ? text : str_sub(text, colon + 1, text.n);
    uint64_t port;

    *ret = (union address){0};
    if (!str_u64(port_text, 65535, &port))
        return false;
    bool v6 = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    _cleanup_free_ char *z = str_dup_z(v6 ? str_sub(host, 1, host.n - 1) : host);

    if (v6) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, z, &ret->v6.sin6_addr) == 1;
    }
    ret->v4.sin_family = AF_INET;
    ret->v4.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, z, &ret->v4.sin_addr) == 1;
}

bool metrics_address_ok(struct str text)
{
    union address a;

    return parse(text, &a);
}

static bool is_loopback(const union address *a)
{
    if (a->any.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
    return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
}

bool metrics_begin(struct supervisor *s)
{
    union address a;
    int one = 1;

    s->metrics_fd = -1;
    if (!s->o->metrics)
        return true;
    INVARIANT(parse(str_z(s->o->metrics), &a));
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd >= 0 && a.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (fd < 0 || bind(fd, &a.any, address_size(&a)) < 0 || listen(fd, BACKLOG) < 0) {
        sup_say("metrics at %s: %s", s->o->metrics, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    s->metrics_fd = fd;
    return true;
}

void metrics_say_address(const struct supervisor *s)
{
    union address a;
    socklen_t n = sizeof(a);
    char text[INET6_ADDRSTRLEN];

    if (s->metrics_fd < 0 || getsockname(s->metrics_fd, &a.any, &n) < 0)
        return;
    bool v6 = a.any.sa_family == AF_INET6;
    const void *ip = v6 ? (const void *)&a.v6.sin6_addr : (const void *)&a.v4.sin_addr;

    inet_ntop(a.any.sa_family, ip, text, sizeof(text));
    if (!is_loopback(&a))
        sup_say("warning: everybody who reaches %s can read the metrics, which name sites and "
                "pools; nothing asks for a password",
                text);
    sup_say("metrics on http://%s%s%s:%u/metrics", v6 ? "[" : "", text, v6 ? "]" : "",
            ntohs(v6 ? a.v6.sin6_port : a.v4.sin_port));
}

static void send_facts(struct supervisor *s)
{
    json_t *pools = json_array();

    for (size_t i = 0; i < s->n_pools; i++) {
        const struct pool *p = s->pools[i];
        json_array_append_new(
            pools, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "name", p->name, "state",
                             pool_state_name(p), "workers", (json_int_t)pool_count_workers(p),
                             "starts", (json_int_t)p->n_starts, "failures",
                             (json_int_t)p->n_failures, "recycles", (json_int_t)p->n_recycles));
    }
    listener_send(s,
                  json_pack("{s:s, s:I, s:o}", "type", "metrics_facts", "started_us",
                            (json_int_t)s->started_us, "pools", pools),
                  NULL, 0);
}

static void on_gathered(struct loop_timer *t)
{
    send_facts(CONTAINER_OF(t, struct supervisor, metrics_timer));
}

void metrics_changed(struct supervisor *s)
{
    if (s->metrics_fd < 0 || s->metrics_timer.heap_index)
        return;
    s->metrics_timer.on_time = on_gathered;
    loop_timer_set(s->loop, &s->metrics_timer, loop_now_ms(s->loop) + GATHER_MS);
}

void metrics_send(struct supervisor *s)
{
    if (s->metrics_fd < 0)
        return;
    listener_send(s, json_pack("{s:s}", "type", "metrics"), &s->metrics_fd, 1);
    send_facts(s);
}

void metrics_end(struct supervisor *s)
{
    if (s->metrics_fd >= 0)
        close(s->metrics_fd);
    s->metrics_fd = -1;
    loop_timer_clear(s->loop, &s->metrics_timer);
}
