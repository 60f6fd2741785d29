#include "logging/log_record.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/poison.h"

static void set_v6(struct log_addr *ret, char out[LOG_ADDR_TEXT_MAX], const struct sockaddr_in6 *a)
{
    ret->port = ntohs(a->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr)) {
        inet_ntop(AF_INET, a->sin6_addr.s6_addr + 12, out, LOG_ADDR_TEXT_MAX);
    } else {
        inet_ntop(AF_INET6, &a->sin6_addr, out, LOG_ADDR_TEXT_MAX);
        if (a->sin6_scope_id) {
            size_t n = strlen(out);
            snprintf(out + n, LOG_ADDR_TEXT_MAX - n, "%%%u", a->sin6_scope_id);
        }
    }
    ret->text = str_z(out);
}

void log_addr_set(struct log_addr *ret, char out[LOG_ADDR_TEXT_MAX], const struct sockaddr *sa)
{
    *ret = (struct log_addr){0};
    /* Copied: a sockaddr need not be aligned for what it holds. */
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in a;

        memcpy(&a, sa, sizeof a);
        inet_ntop(AF_INET, &a.sin_addr, out, LOG_ADDR_TEXT_MAX);
        ret->text = str_z(out);
        ret->port = ntohs(a.sin_port);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 a;

        memcpy(&a, sa, sizeof a);
        set_v6(ret, out, &a);
    }
}
