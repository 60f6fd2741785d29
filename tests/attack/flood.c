/*
 * Hostile clients over plain TCP, and a polite one that measures meanwhile. Driven by
 * tests/e2e/test_attack_*.py, built by them. Each mode ends by itself and prints one line.
 *
 *   flood probe PORT PATH SECONDS          asks now and then; prints: requests errors p50 p99 max
 *   flood heads PORT COUNT SECONDS         COUNT request heads that never end, a byte now and then
 *   flood bodies PORT COUNT SECONDS        COUNT bodies that never end, a byte now and then
 *   flood stalls PORT COUNT SECONDS        COUNT bodies that stop after the first bytes
 *   flood readers PORT PATH COUNT SECONDS  COUNT answers taken a few bytes at a time
 *   flood garbage PORT COUNT PARALLEL      COUNT connections that send nonsense
 *
 * heads, bodies, stalls and readers print "open N" when all are connected, and at the end: open
 * ended, where ended counts connections the server has ended meanwhile.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loopback.h"

static struct sockaddr_in server;

static int connect_from(size_t index, int receive_buffer, bool wait)
{
    return loopback_connect(&server, 0x7f000201u, index, receive_buffer, wait);
}

/* --- the polite one --- */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* One request and its answer with Content-Length. */
static bool ask(int fd, const char *path)
{
    char data[65536];
    size_t got = 0;
    int len = snprintf(data, sizeof data, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);

    if (send(fd, data, (size_t)len, MSG_NOSIGNAL) != len)
        return false;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n = poll(&p, 1, 10000) == 1 ? recv(fd, data + got, sizeof data - 1 - got, 0) : -1;
        char *body, *length;

        if (n <= 0)
            return false;
        got += (size_t)n;
        data[got] = '\0';
        if (got >= 12 && memcmp(data, "HTTP/1.1 200", 12) != 0)
            return false;
        body = strstr(data, "\r\n\r\n");
        length = strcasestr(data, "\r\nContent-Length: ");
        if (body && length && got >= (size_t)(body + 4 - data) + strtoul(length + 18, NULL, 10))
            return true;
    }
}

static int run_probe(const char *path, size_t seconds)
{
    static uint32_t taken[1000000];
    uint64_t end = now_us() + seconds * 1000000;
    size_t requests = 0, errors = 0;
    int fd = -1;

    while (now_us() < end && requests < sizeof taken / sizeof *taken) {
        uint64_t start = now_us();

        if (requests % 10 == 0 && fd >= 0) {
            close(fd);
            fd = -1;
        }
        if (fd < 0)
            fd = connect_from(999 * 1000, 0, true);
        if (!ask(fd, path)) {
            errors++;
            close(fd);
            fd = -1;
        }
        taken[requests++] = (uint32_t)(now_us() - start);
        usleep(2000);
    }
    qsort(taken, requests, sizeof *taken, compare);
    printf("%zu %zu %u %u %u\n", requests, errors, taken[requests / 2], taken[requests * 99 / 100],
           taken[requests - 1]);
    return 0;
}

/* --- slow ones --- */

struct slow {
    int fd;
    bool over;
};

/* Takes notice of what the server did; true when it has ended the connection. */
static bool look(struct slow *s, size_t at_most)
{
    char data[4096];
    ssize_t n = recv(s->fd, data, at_most < sizeof data ? at_most : sizeof data, MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        close(s->fd);
        s->over = true;
    }
    return s->over;
}

static int run_slow(const char *what, const char *path, size_t count, size_t seconds)
{
    bool readers = strcmp(what, "readers") == 0, talks = !readers && strcmp(what, "stalls") != 0;
    struct slow *all = calloc(count, sizeof *all);
    char head[256];
    int len = 0;
    uint64_t end;
    size_t ended = 0;

    if (readers)
        len = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    else if (strcmp(what, "heads") == 0)
        len = snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    else
        len = snprintf(head, sizeof head,
                       "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nabc");
    for (size_t i = 0; i < count; i++) {
        all[i].fd = connect_from(i, readers ? 2048 : 0, true);
        if (send(all[i].fd, head, (size_t)len, MSG_NOSIGNAL) != len)
            die("send");
    }
    printf("open %zu\n", count);
    fflush(stdout);
    end = now_us() + seconds * 1000000;
    while (now_us() < end && ended < count) {
        /* A byte each per round of at least two seconds, evenly spread. */
        uint64_t round = now_us();

        for (size_t i = 0; i < count; i++) {
            struct slow *s = &all[i];

            if (i % 100 == 99 && count > 100)
                usleep((useconds_t)(2000000 / (count / 100)));
            if (s->over)
                continue;
            if (look(s, readers ? 100 : 4096))
                ended++;
            else if (talks && send(s->fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && look(s, 4096))
                ended++;
        }
        while (now_us() < round + 2000000 && now_us() < end)
            usleep(10000);
    }
    for (size_t i = 0; i < count; i++)
        if (!all[i].over)
            close(all[i].fd);
    printf("%zu %zu\n", count - ended, ended);
    free(all);
    return 0;
}

/* --- nonsense --- */

static uint64_t seed = 0x2545f4914f6cdd1du;

static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static const char *const nonsense[] = {
    "GET\r\n\r\n",
    "\r\n\r\n\r\n\r\n",
    "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.1\nHost a\n\n",
    "GET /%%%% HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "SSH-2.0-OpenSSH_9.2\r\n",
    "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n : x\r\n\r\n",
};

struct garbage {
    int fd;
    unsigned how;
    uint64_t since;
    bool sent;
};

enum how { AND_WAIT, AND_RESET, AND_CLOSE, HALF_CLOSE, HOWS };

static size_t make_garbage(char *into, size_t size)
{
    size_t pick = (size_t)(draw() % (sizeof nonsense / sizeof *nonsense + 3)), len;

    if (pick < sizeof nonsense / sizeof *nonsense) {
        len = strlen(nonsense[pick]);
        memcpy(into, nonsense[pick], len);
        return len;
    }
    len = 1 + (size_t)(draw() % size);
    if (pick % 3 == 0) {                  /* any bytes */
        for (size_t i = 0; i < len; i++)
            into[i] = (char)draw();
    } else if (pick % 3 == 1) {           /* a line without an end */
        memset(into, 'A', len);
        memcpy(into, "GET /", len < 5 ? len : 5);
    } else {                              /* zeros */
        memset(into, 0, len);
    }
    return len;
}

static void reset(int fd)
{
    struct linger hard = {.l_onoff = 1};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
}

static int run_garbage(size_t count, size_t parallel)
{
    struct garbage *all = calloc(parallel, sizeof *all);
    size_t begun = 0, over = 0, answered = 0, idle = 0;
    static char data[20000];
    int poller = epoll_create1(0);
    struct epoll_event events[256];

    for (size_t i = 0; i < parallel; i++)
        all[i].fd = -1;
    while (over < count) {
        int n;

        for (size_t i = 0; i < parallel; i++) {
            struct garbage *g = &all[i];
            struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = g};

            if (g->fd >= 0 && now_us() > g->since + 50000) {      /* it waits for more: leave */
                idle++;
                over++;
                reset(g->fd);
                g->fd = -1;
            }
            if (g->fd >= 0 || begun >= count)
                continue;
            *g = (struct garbage){.fd = connect_from(begun, 0, false),
                                  .how = (unsigned)(draw() % HOWS),
                                  .since = now_us()};
            begun++;
            if (epoll_ctl(poller, EPOLL_CTL_ADD, g->fd, &e) < 0)
                die("epoll_ctl");
        }
        n = epoll_wait(poller, events, 256, 10);
        for (int i = 0; i < n; i++) {
            struct garbage *g = events[i].data.ptr;
            ssize_t got = -1;

            if (!g->sent) {
                size_t len = make_garbage(data, sizeof data);

                if (send(g->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EAGAIN)
                    continue;
                g->sent = true;
                if (g->how == AND_RESET || g->how == AND_CLOSE) {
                    if (g->how == AND_RESET)
                        reset(g->fd);
                    else
                        close(g->fd);
                    g->fd = -1;
                    over++;
                    continue;
                }
                if (g->how == HALF_CLOSE)
                    shutdown(g->fd, SHUT_WR);
            }
            while ((got = recv(g->fd, data, sizeof data, MSG_DONTWAIT)) > 0)
                answered += got > 12 && memcmp(data, "HTTP/1.1 ", 9) == 0;
            if (got == 0 || errno != EAGAIN) {
                close(g->fd);
                g->fd = -1;
                over++;
            }
        }
    }
    printf("%zu %zu %zu\n", over, answered, idle);
    free(all);
    return 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    all_descriptors();
    if (argc < 5) {
        fprintf(stderr, "usage: flood MODE PORT ARGUMENTS (see the head of the source)\n");
        return 2;
    }
    server = loopback_server(argv[2]);
    if (strcmp(argv[1], "probe") == 0 && argc == 5)
        return run_probe(argv[3], number(argv[4]));
    if (strcmp(argv[1], "garbage") == 0 && argc == 5)
        return run_garbage(number(argv[3]), number(argv[4]));
    if (strcmp(argv[1], "readers") == 0 && argc == 6)
        return run_slow(argv[1], argv[3], number(argv[4]), number(argv[5]));
    if (argc == 5)
        return run_slow(argv[1], "/", number(argv[3]), number(argv[4]));
    return 2;
}
