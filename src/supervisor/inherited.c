#include "supervisor/inherited.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/poison.h"

enum {
    FIRST_FD = 3, /* SD_LISTEN_FDS_START */
    SOCKETS_MAX = 1024,
};

static bool is_for_us(uint64_t *ret_count)
{
    uint64_t pid;

    return str_u64(str_z(getenv("LISTEN_PID")), INT32_MAX, &pid) && pid == (uint64_t)getpid() &&
           str_u64(str_z(getenv("LISTEN_FDS")), SOCKETS_MAX, ret_count);
}

static int get_option(int fd, int level, int name)
{
    int value = -1;
    socklen_t n = sizeof(value);

    return getsockopt(fd, level, name, &value, &n) == 0 ? value : -1;
}

/* NULL, or why the socket cannot be used. */
static const char *look_at(struct inherited_socket *s)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = {0};
    socklen_t n = sizeof(a);

    if (getsockname(s->fd, &a.any, &n) < 0)
        return "it is no socket";
    if (get_option(s->fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM ||
        get_option(s->fd, SOL_SOCKET, SO_ACCEPTCONN) != 1)
        return "it does not listen for connections";
    if (a.any.sa_family == AF_INET) {
        s->address.is_v4 = true;
        memcpy(s->address.bytes, mapped, sizeof(mapped));
        memcpy(s->address.bytes + sizeof(mapped), &a.v4.sin_addr, 4);
        s->port = ntohs(a.v4.sin_port);
        return NULL;
    }
    if (a.any.sa_family != AF_INET6)
        return "it does not listen for TCP connections";
    memcpy(s->address.bytes, &a.v6.sin6_addr, sizeof(s->address.bytes));
    s->address.scope = a.v6.sin6_scope_id;
    s->address.is_v4 = memcmp(s->address.bytes, mapped, sizeof(mapped)) == 0;
    s->port = ntohs(a.v6.sin6_port);
    s->is_dual = ip_is_any(&s->address) && get_option(s->fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
    return NULL;
}

static void prepare(int fd)
{
    int flags = fcntl(fd, F_GETFL), one = 1;

    if (flags >= 0)
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* as our own have it */
}

void inherited_begin(struct inherited *in,
                     void (*refuse)(void *arg, const char *name, const char *why), void *arg)
{
    struct str names = str_z(getenv("LISTEN_FDNAMES")), name;
    uint64_t count = 0;

    *in = (struct inherited){0};
    if (is_for_us(&count))
        in->list = xcalloc(count, sizeof(*in->list));
    for (uint64_t i = 0; i < count && in->list; i++) {
        struct inherited_socket *s = &in->list[in->n];
        if (!str_split(&names, ':', &name))
            name = STR("");
        *s = (struct inherited_socket){.fd = FIRST_FD + (int)i, .name = str_dup_z(name)};
        (void)fcntl(s->fd, F_SETFD, FD_CLOEXEC);
        const char *why = look_at(s);
        if (!why) {
            prepare(s->fd);
            in->n++;
            continue;
        }
        refuse(arg, s->name, why);
        close(s->fd);
        free(s->name);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

void inherited_end(struct inherited *in)
{
    for (size_t i = 0; i < in->n; i++) {
        close(in->list[i].fd);
        free(in->list[i].name);
    }
    free(in->list);
    *in = (struct inherited){0};
}

const struct inherited_socket *inherited_find(struct inherited *in,
                                              const struct ip_address *address, uint16_t port)
{
    for (size_t i = 0; i < in->n; i++) {
        struct inherited_socket *s = &in->list[i];
        if (s->port == port && s->address.is_v4 == address->is_v4 &&
            ip_same(&s->address, address)) {
            s->is_used = true;
            return s;
        }
    }
    return NULL;
}
