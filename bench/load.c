/*
 * Loads that wrk cannot make.
 *
 *   load keep PORT PATH CONNECTIONS SECONDS [HEADER]
 *      Closed loop on kept connections, with half of wrk's own cost per request, so that it does not
 *      run out before a fast server does. Every answer must be as long as the connection's first, and
 *      begin with the same status line. Prints one line: requests errors resumed p50_us p99_us.
 *
 *   load handshake PORT PATH CONNECTIONS SECONDS
 *      Closed loop, a new TLS connection per request and never a resumed session (wrk resumes, which
 *      spares the server its signature). Prints one line: requests errors resumed p50_us p99_us.
 *
 *   load idle PORT PATH COUNT plain|tls
 *      Opens COUNT connections to 127.0.0.1 from as many source addresses as that takes, has one
 *      answer on each and keeps them. Prints "open N", and then for each line on standard input asks
 *      every 97th connection again and prints "alive N of M". Ends at the end of standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
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

#include "../tests/attack/loopback.h"

enum { BUCKETS = 2000000 }; /* of a microsecond */

struct conn {
    int fd;
    SSL *ssl;
    uint64_t started;
    size_t got, whole;   /* bytes of this answer, and of any */
    char status[12];
    bool asked;
};

static SSL_CTX *tls;
static struct sockaddr_in server;
static char request[1024];
static size_t request_len;
static uint64_t requests, errors, resumed;
static uint32_t histogram[BUCKETS];

static void make_context(void)
{
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls)
        die("SSL_CTX_new");
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
    SSL_CTX_set1_groups_list(tls, "X25519");
}

/* --- a connection per request --- */

static void watch(int poller, struct conn *c, int how, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};

    if (epoll_ctl(poller, how, c->fd, &event) < 0)
        die("epoll_ctl");
}

static void open_next(int poller, struct conn *c)
{
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->started = now_us();
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS)
        die("connect");
    c->ssl = SSL_new(tls);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_connect_state(c->ssl);
    c->asked = false;
    c->got = 0;
    watch(poller, c, EPOLL_CTL_ADD, EPOLLOUT | EPOLLIN | EPOLLET);
}

static void count(const struct conn *c)
{
    uint64_t taken = now_us() - c->started;

    requests++;
    histogram[taken < BUCKETS ? taken : BUCKETS - 1]++;
}

static void finish(struct conn *c, bool good)
{
    if (good) {
        count(c);
        resumed += (uint64_t)SSL_session_reused(c->ssl);
    } else {
        errors++;
    }
    SSL_free(c->ssl);
    close(c->fd);
}

/* Takes a connection as far as it goes; true when it is over. */
static bool advance(struct conn *c)
{
    char data[16384];
    int n;

    if (!c->asked) {
        n = SSL_do_handshake(c->ssl);
        if (n == 1) {
            c->asked = true;
            n = SSL_write(c->ssl, request, (int)request_len);
        }
        if (n <= 0) {
            n = SSL_get_error(c->ssl, n);
            if (n == SSL_ERROR_WANT_READ || n == SSL_ERROR_WANT_WRITE)
                return false;
            finish(c, false);
            return true;
        }
    }
    while ((n = SSL_read(c->ssl, data, sizeof data)) > 0) {
        if (c->got == 0 && (n < 12 || memcmp(data, "HTTP/1.1 200", 12) != 0)) {
            finish(c, false);
            return true;
        }
        c->got += (size_t)n;
    }
    n = SSL_get_error(c->ssl, n);
    if (n == SSL_ERROR_WANT_READ)
        return false;
    finish(c, c->got > 1024);
    return true;
}

static uint64_t percentile(unsigned percent)
{
    uint64_t seen = 0;

    for (size_t i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (seen * 100 >= requests * percent)
            return i;
    }
    return 0;
}

static void tell(void)
{
    printf("%lu %lu %lu %lu %lu\n", (unsigned long)requests, (unsigned long)errors, (unsigned long)resumed,
           (unsigned long)percentile(50), (unsigned long)percentile(99));
}

static int run_handshakes(const char *path, size_t parallel, uint64_t seconds)
{
    struct conn *conns = calloc(parallel, sizeof *conns);
    struct epoll_event events[256];
    int poller = epoll_create1(0);
    uint64_t end = now_us() + seconds * 1000000;

    request_len = (size_t)snprintf(request, sizeof request,
                                   "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    for (size_t i = 0; i < parallel; i++)
        open_next(poller, &conns[i]);
    while (now_us() < end) {
        int n = epoll_wait(poller, events, 256, 100);

        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;

            if (advance(c))
                open_next(poller, c);
        }
    }
    tell();
    free(conns);
    return 0;
}

/* --- kept connections --- */

static void ask_next(struct conn *c)
{
    c->got = 0;
    c->started = now_us();
    if (send(c->fd, request, request_len, MSG_NOSIGNAL) != (ssize_t)request_len)
        die("send");
}

/* The length of an answer, from its head; 0 while that is not whole. */
static size_t measure(const char *data, size_t n)
{
    const char *body = memmem(data, n, "\r\n\r\n", 4), *length;

    if (!body)
        return 0;
    if (memcmp(data, "HTTP/1.1 304", 12) == 0)
        return (size_t)(body + 4 - data);
    length = strcasestr(data, "\r\nContent-Length: ");
    if (!length || length > body) {
        fprintf(stderr, "load: an answer without a length: %.100s\n", data);
        exit(1);
    }
    return (size_t)(body + 4 - data) + strtoul(length + 18, NULL, 10);
}

static void on_answer(struct conn *c)
{
    static char data[1 << 18];
    ssize_t n = recv(c->fd, data, sizeof data - 1, MSG_DONTWAIT);

    if (n <= 0) {
        if (n < 0 && errno == EAGAIN)
            return;
        fprintf(stderr, "load: the server closed a kept connection\n");
        exit(1);
    }
    if (c->whole == 0) {
        data[n] = '\0';
        c->whole = measure(data, (size_t)n);
        memcpy(c->status, data, sizeof c->status);
    } else if (c->got == 0 && (n < 12 || memcmp(data, c->status, sizeof c->status) != 0)) {
        errors++;
    }
    c->got += (size_t)n;
    if (c->got > c->whole)
        errors++;
    if (c->got >= c->whole) {
        count(c);
        ask_next(c);
    }
}

static int run_kept(const char *path, size_t parallel, uint64_t seconds, const char *header)
{
    struct conn *conns = calloc(parallel, sizeof *conns);
    struct epoll_event events[256];
    int poller = epoll_create1(0), on = 1;
    uint64_t end;

    request_len = (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n", path,
                                   header, *header ? "\r\n" : "");
    for (size_t i = 0; i < parallel; i++) {
        struct conn *c = &conns[i];

        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0)
            die("connect");
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(poller, c, EPOLL_CTL_ADD, EPOLLIN);
        ask_next(c);
    }
    end = now_us() + seconds * 1000000;
    while (now_us() < end) {
        int n = epoll_wait(poller, events, 256, 100);

        for (int i = 0; i < n; i++)
            on_answer(events[i].data.ptr);
    }
    tell();
    free(conns);
    return 0;
}

/* --- connections that wait --- */

static void connect_from(struct conn *c, size_t index)
{
    c->fd = loopback_connect(&server, 0x7f000101u, index, 0, true);
    if (tls) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        if (SSL_connect(c->ssl) != 1)
            die("SSL_connect");
    }
}

static ssize_t get_some(struct conn *c, char *into, size_t size)
{
    struct pollfd waiting = {.fd = c->fd, .events = POLLIN};

    if (c->ssl)
        return SSL_read(c->ssl, into, (int)size);
    if (poll(&waiting, 1, 20000) != 1)
        return -1;
    return recv(c->fd, into, size, 0);
}

/* One request and its whole answer, which must have a Content-Length. */
static bool ask(struct conn *c)
{
    char data[65536];
    size_t got = 0;

    if (c->ssl ? SSL_write(c->ssl, request, (int)request_len) <= 0
               : send(c->fd, request, request_len, MSG_NOSIGNAL) != (ssize_t)request_len)
        return false;
    for (;;) {
        ssize_t n = get_some(c, data + got, sizeof data - 1 - got);
        char *body, *length;

        if (n <= 0)
            return false;
        got += (size_t)n;
        data[got] = '\0';
        if (memcmp(data, "HTTP/1.1 200", 12) != 0)
            return false;
        body = strstr(data, "\r\n\r\n");
        length = strcasestr(data, "\r\nContent-Length: ");
        if (!body || !length)
            continue;
        if (got >= (size_t)(body + 4 - data) + strtoul(length + 18, NULL, 10))
            return true;
    }
}

static int run_idle(const char *path, size_t parallel, bool with_tls)
{
    struct conn *conns = calloc(parallel, sizeof *conns);
    char line[64];

    if (!with_tls) {
        SSL_CTX_free(tls);
        tls = NULL;
    }
    request_len =
        (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    for (size_t i = 0; i < parallel; i++) {
        connect_from(&conns[i], i);
        if (!ask(&conns[i])) {
            fprintf(stderr, "load: connection %zu got no answer\n", i);
            return 1;
        }
    }
    printf("open %zu\n", parallel);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        size_t alive = 0, asked = 0;

        for (size_t i = 0; i < parallel; i += 97, asked++)
            alive += ask(&conns[i]);
        printf("alive %zu of %zu\n", alive, asked);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    all_descriptors();
    if (argc < 6) {
        fprintf(stderr, "usage: load keep PORT PATH CONNECTIONS SECONDS [HEADER]\n"
                        "       load handshake PORT PATH CONNECTIONS SECONDS\n"
                        "       load idle PORT PATH COUNT plain|tls\n");
        return 2;
    }
    make_context();
    server = loopback_server(argv[2]);
    if (strcmp(argv[1], "keep") == 0)
        return run_kept(argv[3], number(argv[4]), number(argv[5]), argc > 6 ? argv[6] : "");
    if (strcmp(argv[1], "handshake") == 0)
        return run_handshakes(argv[3], number(argv[4]), number(argv[5]));
    return run_idle(argv[3], number(argv[4]), strcmp(argv[5], "tls") == 0);
}
