/* What the clients in one file (tests/attack, bench) have in common: loopback sockets, numbers, the
 * clock. Each of these programs is built from its source alone, so this is all in the header. */
#ifndef CANDOR_ATTACK_LOOPBACK_H
#define CANDOR_ATTACK_LOOPBACK_H

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

static inline void die(const char *what)
{
    perror(what);
    exit(1);
}

static inline unsigned long number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "%s: not a number: %s\n", program_invocation_short_name, text);
        exit(2);
    }
    return value;
}

static inline uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static inline struct sockaddr_in loopback_server(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)number(port)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* The index-th connection of a program whose sources begin at an address of 127.0.0.0/8 (host
 * order): each address has ports of its own, so 4000 connections per address never run out.
 * receive_buffer: 0 for the usual one. With wait it is connected when this returns, else not yet
 * and non-blocking. */
static inline int loopback_connect(const struct sockaddr_in *server, uint32_t first, size_t index,
                                   int receive_buffer, bool wait)
{
    struct sockaddr_in source = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(first + (uint32_t)(index / 4000 % 250))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);
    int on = 1;

    if (fd < 0)
        die("socket");
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (receive_buffer)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0)
        die("bind");
    if (connect(fd, (const struct sockaddr *)server, sizeof *server) < 0 &&
        (wait || errno != EINPROGRESS))
        die("connect");
    return fd;
}

/* As many descriptors as this process may have. */
static inline void all_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

#endif
