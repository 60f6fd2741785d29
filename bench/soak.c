/*
 * The client of bench/soak, and the accountant.
 *
 *   soak run LEDGER REQUESTS PORT TLSPORT PLAIN TLS H2
 *      Sends REQUESTS requests of mixed kinds over PLAIN + TLS + H2 connections at a time
 *      (HTTP/1.1, HTTP/1.1 over TLS, HTTP/2 over TLS) and writes what became of each into LEDGER.
 *      A line of progress per second; on SIGTERM it finishes what is under way.
 *
 *   soak account LEDGER HTTPERRFOLDER LOGFOLDER...
 *      Reads the server's logs and holds them against the ledger: every answered request has
 *      exactly one line, with its status, in exactly one log.
 *
 * Every request carries its number as User-Agent, which the site log keeps. HTTPERR has no such
 * column; there, lines are matched by client port.
 */
#include "soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "../tests/attack/loopback.h"

static uint64_t connections;
static SSL_CTX *tls1, *tls2;
static struct sockaddr_in ports[2];
static int poller;

static double seconds(void)
{
    return (double)now_us() / 1e6;
}

/* --- transport --- */

enum { AGAIN = -1, GONE = -2 };

static ssize_t transport_result(struct conn *c, int n)
{
    n = SSL_get_error(c->ssl, n);
    return n == SSL_ERROR_WANT_READ || n == SSL_ERROR_WANT_WRITE ? AGAIN
           : n == SSL_ERROR_ZERO_RETURN                          ? 0
                                                                 : GONE;
}

static ssize_t take(struct conn *c, char *into, size_t size)
{
    ssize_t n;

    if (c->ssl) {
        int m = SSL_read(c->ssl, into, (int)size);

        return m > 0 ? m : transport_result(c, m);
    }
    n = recv(c->fd, into, size, 0);
    return n >= 0 ? n : errno == EAGAIN ? AGAIN : GONE;
}

static ssize_t give(struct conn *c, const char *from, size_t size)
{
    ssize_t n;

    if (c->ssl) {
        int m = SSL_write(c->ssl, from, (int)size);

        return m > 0 ? m : transport_result(c, m);
    }
    n = send(c->fd, from, size, MSG_NOSIGNAL);
    return n >= 0 ? n : errno == EAGAIN ? AGAIN : GONE;
}

/* --- connections --- */

static void open_conn(struct conn *c, enum transport transport)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    int on = 1;

    memset(c, 0, offsetof(struct conn, out));
    c->transport = transport;
    c->mode = (enum mode)(draw() % MODES);
    c->left = c->mode == CLOSE ? 1 : 1 + (unsigned)(draw() % 400);
    if (transport == H2)
        c->left = 1 + (unsigned)(draw() % 4000);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (struct sockaddr *)&ports[transport != PLAIN], sizeof *ports) < 0 &&
        errno != EINPROGRESS)
        die("connect");
    getsockname(c->fd, (struct sockaddr *)&own, &size);
    c->port = ntohs(own.sin_port);
    if (transport != PLAIN) {
        c->ssl = SSL_new(transport == H2 ? tls2 : tls1);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_connect_state(c->ssl);
    }
    connections++;
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die("epoll_ctl");
}

/* The last request of such a connection has gone out: do not wait for its answer. */
static bool abort_now(struct conn *c)
{
    struct linger hard = {.l_onoff = 1};

    if (c->mode != ABORT || c->transport == H2 || c->left > 0 || c->waiting != 1 ||
        c->out_pos < c->out_len)
        return false;
    ledger_settle(&c->queue[c->first], ABORTED);
    c->waiting = 0;
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    return true;
}

static void close_conn(struct conn *c)
{
    if (c->session) {
        for (size_t i = 0; i < STREAMS; i++)
            if (c->streams[i].serial)
                ledger_settle(&c->streams[i], LOST);
        nghttp2_session_del(c->session);
    }
    for (size_t i = 0; !c->session && i < c->waiting; i++)
        ledger_settle(&c->queue[(c->first + i) % DEPTH], c->closing && !c->in_body ? NOT_READ
                                                         : i == 0                  ? LOST
                                                                                   : LOST_BEHIND);
    if (c->ssl) {
        if (c->mode != ABORT)
            SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
    }
    close(c->fd);
    c->fd = -1;
}

static bool flush(struct conn *c)
{
    for (;;) {
        size_t n;
        ssize_t sent;

        if (c->session)
            http2_refill(c);
        else
            http1_refill(c);
        n = c->out_len - c->out_pos;
        if (n == 0)
            return true;
        if (c->mode == TRICKLE && !c->session && n > 40)
            n = 40; /* a head in several segments */
        sent = give(c, c->out + c->out_pos, n);
        if (sent == AGAIN)
            return true;
        if (sent < 0)
            return false;
        c->out_pos += (size_t)sent;
    }
}

/* Takes a connection as far as it goes; false when it is over. */
static bool pump(struct conn *c)
{
    static char data[65536];

    if (c->ssl && !c->shaken) {
        int n = SSL_do_handshake(c->ssl);

        if (n != 1)
            return transport_result(c, n) == AGAIN;
        c->shaken = true;
    }
    if (c->transport == H2 && !c->session)
        http2_begin(c);
    if (!flush(c))
        return false;
    for (;;) {
        ssize_t n = take(c, data, sizeof data);

        if (n == AGAIN)
            break;
        if (n <= 0)
            return false;
        if (c->session ? nghttp2_session_mem_recv(c->session, (uint8_t *)data, (size_t)n) != n
                       : !http1_digest(c, data, data + n)) {
            tally.wrong++;
            fprintf(stderr, "soak: an answer that makes no sense: %.200s\n",
                    c->session ? "" : c->head);
            return false;
        }
        if (!flush(c))
            return false;
    }
    if ((c->session && nghttp2_session_want_read(c->session) == 0) || abort_now(c))
        return false;
    return c->waiting > 0 || (c->left > 0 && !c->closing);
}

static void on_term(int signal_number)
{
    (void)signal_number;
    stopping = 1;
}

static SSL_CTX *make_context(const char *protocol)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_alpn_protos(context, (const unsigned char *)protocol, (unsigned)strlen(protocol));
    return context;
}

static void tell(double passed)
{
    printf("sent %lu answered %lu lost %lu aborted %lu odd %lu wrong %lu connections %lu seconds "
           "%.0f\n",
           (unsigned long)ledger->sent - 1, (unsigned long)tally.answered,
           (unsigned long)tally.lost, (unsigned long)tally.aborted, (unsigned long)tally.odd,
           (unsigned long)tally.wrong, (unsigned long)connections, passed);
    fflush(stdout);
}

static int run(char **argv)
{
    size_t counts[TRANSPORTS], total = 0, alive, per = 0;
    struct conn *conns;
    struct epoll_event events[256];
    double start = seconds(), told = start, heard = start;
    uint64_t before = 0;

    goal = number(argv[3]);
    ledger_map(argv[2], goal + 1);
    ledger->sent = 1; /* serial 0 means none */
    goal++;
    for (size_t i = 0; i < 2; i++)
        ports[i] = loopback_server(argv[4 + i]);
    for (size_t i = 0; i < TRANSPORTS; i++)
        total += counts[i] = number(argv[6 + i]);
    tls1 = make_context("\x08http/1.1");
    tls2 = make_context("\x02h2");
    signal(SIGTERM, on_term);
    signal(SIGINT, on_term);
    signal(SIGPIPE, SIG_IGN);
    conns = calloc(total, sizeof *conns);
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (size_t t = 0; t < TRANSPORTS; t++)
        for (size_t i = 0; i < counts[t]; i++)
            open_conn(&conns[per++], (enum transport)t);
    alive = total;
    while (alive > 0) {
        int n = epoll_wait(poller, events, 256, 1000);
        double now = seconds();

        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;

            if (pump(c))
                continue;
            close_conn(c);
            if (ledger->sent < goal && !stopping)
                open_conn(c, c->transport);
            else
                alive--;
        }
        if (tally.answered + tally.lost + tally.aborted != before)
            heard = now;
        if (now - told >= 1) {
            tell(now - start);
            told = now;
            before = tally.answered + tally.lost + tally.aborted;
        }
        if (now - heard > 60) {
            fprintf(stderr, "soak: nothing was answered for 60 seconds, %zu connections wait\n",
                    alive);
            for (size_t i = 0; i < total; i++)
                if (conns[i].fd >= 0)
                    fprintf(stderr,
                            "soak: port %u transport %u mode %u waiting %zu left %u request %u\n",
                            conns[i].port, conns[i].transport, conns[i].mode, conns[i].waiting,
                            conns[i].left, conns[i].queue[conns[i].first].serial);
            return 1;
        }
    }
    tell(seconds() - start);
    for (size_t i = 0; i < 1000; i++)
        if (tally.odd_by_status[i])
            printf("odd status %zu: %lu\n", i, (unsigned long)tally.odd_by_status[i]);
    return tally.wrong != 0;
}

int main(int argc, char **argv)
{
    if (argc == 9 && strcmp(argv[1], "run") == 0)
        return run(argv);
    if (argc >= 5 && strcmp(argv[1], "account") == 0)
        return account(argc, argv);
    fprintf(stderr, "usage: soak run LEDGER REQUESTS PORT TLSPORT PLAIN TLS H2\n"
                    "       soak account LEDGER HTTPERRFOLDER LOGFOLDER...\n");
    return 2;
}
