/*
 * Hostile clients over TLS. Driven by tests/e2e/test_attack_tls.py, built by it. Each mode ends by
 * itself, at the latest after its COUNT, and prints one line.
 *
 *   flood_tls handshakes PORT COUNT     ClientHellos of whom most leave, some stall; prints: begun
 *   flood_tls renegotiate PORT COUNT    TLS 1.2, asks for COUNT new handshakes; prints: asked done
 * closed flood_tls keyupdates PORT COUNT     TLS 1.3, asks for COUNT new keys; prints: asked closed
 *   flood_tls MODE PORT COUNT           over HTTP/2, again and again on new connections until COUNT
 *                                       frames were sent; prints: sent connections goaways
 * last-error reset         requests that are cancelled at once continuation  header blocks that
 * never end ping, settings, priority, window-update, empty-data   frames without a purpose, answers
 * unread flood_tls windows PORT COUNT        COUNT requests for /large.bin with a window of one
 * byte and none given after it, held for 8 seconds; prints as above
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loopback.h"

enum {
    DATA = 0,
    HEADERS = 1,
    PRIORITY = 2,
    RST_STREAM = 3,
    SETTINGS = 4,
    PING = 6,
    GOAWAY = 7,
    WINDOW_UPDATE = 8,
    CONTINUATION = 9
};

struct conn {
    int fd;
    SSL *ssl;
    uint8_t head[17]; /* a frame head and the first eight bytes behind it */
    size_t head_len, left;
    bool over;
};

static struct sockaddr_in server;
static SSL_CTX *context;
static size_t goaways, connections;
static uint32_t last_error;

static uint64_t now_ms(void)
{
    return now_us() / 1000;
}

/* A connection with its handshake done; false if the server would not. */
static bool connect_tls(struct conn *c)
{
    *c = (struct conn){.fd = loopback_connect(&server, 0x7f000301u, connections++, 0, true)};
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, c->fd);
    if (SSL_connect(c->ssl) != 1) {
        SSL_free(c->ssl);
        close(c->fd);
        return false;
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    return true;
}

static void hang_up(struct conn *c)
{
    SSL_free(c->ssl);
    close(c->fd);
}

/* Looks for GOAWAY in what the server sends. */
static void digest(struct conn *c, const uint8_t *p, size_t n)
{
    while (n > 0) {
        if (c->head_len < 17 && (c->head_len < 9 || c->left > 0)) {
            if (c->head_len >= 9)
                c->left--;
            c->head[c->head_len++] = *p++;
            n--;
            if (c->head_len == 9)
                c->left = (size_t)(c->head[0] << 16 | c->head[1] << 8 | c->head[2]);
            if (c->head_len == 17 && c->head[3] == GOAWAY) {
                goaways++;
                last_error = (uint32_t)c->head[13] << 24 | (uint32_t)c->head[14] << 16 |
                             (uint32_t)c->head[15] << 8 | c->head[16];
            }
        } else if (c->left > 0) {
            size_t skip = c->left < n ? c->left : n;

            c->left -= skip;
            p += skip;
            n -= skip;
        }
        if (c->head_len >= 9 && c->left == 0)
            c->head_len = 0;
    }
}

static bool read_all(struct conn *c)
{
    static uint8_t data[65536];
    int n;

    while ((n = SSL_read(c->ssl, data, sizeof data)) > 0)
        digest(c, data, (size_t)n);
    if (SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ)
        c->over = true;
    return !c->over;
}

/* False when the connection has ended, or does not move for ten seconds. */
static bool push(struct conn *c, const uint8_t *p, size_t n, bool reading)
{
    uint64_t since = now_ms();

    while (n > 0) {
        int sent = SSL_write(c->ssl, p, (int)(n < 16384 ? n : 16384));

        if (sent > 0) {
            p += sent;
            n -= (size_t)sent;
            since = now_ms();
            continue;
        }
        sent = SSL_get_error(c->ssl, sent);
        if (sent != SSL_ERROR_WANT_READ && sent != SSL_ERROR_WANT_WRITE) {
            read_all(c);
            return false;
        }
        if (reading && !read_all(c))
            return false;
        poll(&(struct pollfd){.fd = c->fd, .events = POLLOUT | (reading ? POLLIN : 0)}, 1, 100);
        if (now_ms() > since + 10000)
            return false;
    }
    return !reading || read_all(c);
}

/* --- TLS itself --- */

static int run_handshakes(size_t count)
{
    static struct conn stalled[512];
    size_t begun;

    for (begun = 0; begun < count; begun++) {
        struct conn *c = &stalled[begun % 512];
        char first[1];

        if (c->ssl)
            hang_up(c);
        *c = (struct conn){.fd = loopback_connect(&server, 0x7f000301u, connections++, 0, true)};
        c->ssl = SSL_new(context);
        SSL_set_fd(c->ssl, c->fd);
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        SSL_set_connect_state(c->ssl);
        SSL_do_handshake(c->ssl);         /* sends the ClientHello */
        if (begun % 4 == 0)               /* stalls where the server waits for its Finished */
            continue;
        if (begun % 4 == 1)               /* takes the server's flight, then leaves */
            poll(&(struct pollfd){.fd = c->fd, .events = POLLIN}, 1, 1000);
        if (begun % 4 == 2 && recv(c->fd, first, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno != EAGAIN)
            die("recv");
        hang_up(c);
        c->ssl = NULL;
    }
    printf("%zu\n", begun);
    return 0;
}

static int run_renegotiate(size_t count)
{
    struct conn c;
    size_t asked = 0, done = 0;
    bool closed = false;

    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\x08http/1.1", 9);
    if (!connect_tls(&c)) {
        printf("0 0 1\n");
        return 0;
    }
    while (asked < count && !closed) {
        uint64_t since = now_ms();
        int n;

        if (SSL_renegotiate(c.ssl) != 1)
            break;
        asked++;
        while ((n = SSL_do_handshake(c.ssl)) != 1) {
            n = SSL_get_error(c.ssl, n);
            if ((n != SSL_ERROR_WANT_READ && n != SSL_ERROR_WANT_WRITE) ||
                now_ms() > since + 2000) {
                closed = true;
                break;
            }
            poll(&(struct pollfd){.fd = c.fd, .events = POLLIN}, 1, 100);
        }
        done += !closed;
    }
    printf("%zu %zu %d\n", asked, done, closed);
    return 0;
}

static int run_keyupdates(size_t count)
{
    struct conn c;
    size_t asked = 0;

    SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\x08http/1.1", 9);
    if (!connect_tls(&c))
        die("handshake");
    while (asked < count) {
        if (SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED) != 1)
            break;
        if (SSL_do_handshake(c.ssl) != 1 && SSL_get_error(c.ssl, -1) == SSL_ERROR_SYSCALL)
            break;
        asked++;
        if (asked % 16 == 0 && !read_all(&c))
            break;
    }
    printf("%zu %d\n", asked, c.over || asked < count);
    return 0;
}

/* --- HTTP/2 --- */

static size_t put_frame(uint8_t *into, uint8_t type, uint8_t flags, uint32_t stream,
                        const void *payload, size_t len)
{
    into[0] = (uint8_t)(len >> 16);
    into[1] = (uint8_t)(len >> 8);
    into[2] = (uint8_t)len;
    into[3] = type;
    into[4] = flags;
    for (int i = 0; i < 4; i++)
        into[5 + i] = (uint8_t)(stream >> (24 - 8 * i));
    memcpy(into + 9, payload, len);
    return 9 + len;
}

static size_t put_request(uint8_t *into, uint32_t stream, uint8_t flags, const char *path)
{
    uint8_t block[128] = {0x82, 0x87, 0x01, 9};           /* GET, https, :authority */
    size_t n = 4, len = strlen(path);

    memcpy(block + n, "localhost", 9);
    n += 9;
    block[n++] = 0x04;                                    /* :path */
    block[n++] = (uint8_t)len;
    memcpy(block + n, path, len);
    return put_frame(into, HEADERS, flags, stream, block, n + len);
}

static bool open_h2(struct conn *c, uint32_t window)
{
    uint8_t start[64], setting[6] = {0,
                                     4,
                                     (uint8_t)(window >> 24),
                                     (uint8_t)(window >> 16),
                                     (uint8_t)(window >> 8),
                                     (uint8_t)window};
    size_t n = 24;
    const unsigned char *protocol;
    unsigned len;

    if (!connect_tls(c))
        return false;
    SSL_get0_alpn_selected(c->ssl, &protocol, &len);
    if (len != 2 || memcmp(protocol, "h2", 2) != 0) {
        fprintf(stderr, "flood_tls: the server does not speak HTTP/2\n");
        exit(3);
    }
    memcpy(start, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    n += put_frame(start + n, SETTINGS, 0, 0, setting, sizeof setting);
    n += put_frame(start + n, SETTINGS, 1, 0, "", 0);
    if (!push(c, start, n, true)) {
        hang_up(c);
        return false;
    }
    return true;
}

struct h2_mode {
    const char *name;
    uint8_t type;
    bool reading;
};

static const struct h2_mode h2_modes[] = {
    {"reset", HEADERS, true},     {"continuation", CONTINUATION, true},
    {"ping", PING, false},        {"settings", SETTINGS, false},
    {"priority", PRIORITY, true}, {"window-update", WINDOW_UPDATE, true},
    {"empty-data", DATA, true},
};

/* One batch of frames; returns its length and adds to *frames. */
static size_t fill(const struct h2_mode *mode, uint8_t *into, size_t size, uint32_t *stream,
                   size_t *frames)
{
    static const uint8_t eight[8] = {0, 0, 0, 1}, cancel[4] = {0, 0, 0, 8}, one[4] = {0, 0, 0, 1};
    static const uint8_t weight[5] = {0, 0, 0, 0, 16};
    static uint8_t field[1200];
    size_t n = 0;

    if (field[0] == 0) {                                  /* "x" with a long value, not kept in the table */
        memset(field, 'a', sizeof field);
        memcpy(field, "\x10\x01x\x7f\xa0\x08", 6);        /* 127 + 1056 = 1183 bytes */
    }
    if (*stream == 1 && (mode->type == CONTINUATION || mode->type == DATA))
        n += put_request(into, *stream, 0, "/"), *stream += 2;
    while (n + 2048 < size) {
        switch (mode->type) {
        case HEADERS:
            n += put_request(into + n, *stream, 5, "/");
            n += put_frame(into + n, RST_STREAM, 0, *stream, cancel, 4);
            *stream += 2;
            break;
        case CONTINUATION:
            n += put_frame(into + n, CONTINUATION, 0, 1, field, 6 + 1183);
            break;
        case PING:
            n += put_frame(into + n, PING, 0, 0, eight, 8);
            break;
        case SETTINGS:
            n += put_frame(into + n, SETTINGS, 0, 0, "", 0);
            break;
        case PRIORITY:
            n += put_frame(into + n, PRIORITY, 0, 1 + 2 * (uint32_t)(*frames % 100000), weight, 5);
            break;
        case WINDOW_UPDATE:
            n += put_frame(into + n, WINDOW_UPDATE, 0, 0, one, 4);
            break;
        default:
            n += put_frame(into + n, DATA, 0, 1, "", 0);
        }
        ++*frames;
    }
    return n;
}

static int run_h2(const struct h2_mode *mode, size_t count)
{
    static uint8_t batch[32768];
    size_t sent = 0, refused = 0;

    while (sent < count && refused < 100) {
        struct conn c;
        uint32_t stream = 1;
        size_t before = goaways;

        if (!open_h2(&c, 65535)) {
            refused++;
            continue;
        }
        while (sent < count && stream < 0x7ffffff0) {
            size_t frames = 0, n = fill(mode, batch, sizeof batch, &stream, &frames);

            sent += frames;
            if (!push(&c, batch, n, mode->reading))
                break;
        }
        /* What was sent last may still be on its way: wait for what the server says to it. */
        for (int i = 0; i < 30 && !c.over && goaways == before && read_all(&c); i++)
            poll(&(struct pollfd){.fd = c.fd, .events = POLLIN}, 1, 100);
        hang_up(&c);
    }
    printf("%zu %zu %zu %u\n", sent, connections, goaways, last_error);
    return refused == 100;
}

static int run_windows(size_t count)
{
    struct conn *all = calloc(count / 50 + 1, sizeof *all);
    size_t sent = 0, used = 0;
    uint8_t data[8192];
    uint64_t end;

    while (sent < count) {
        size_t n = 0;

        if (!open_h2(&all[used], 1))
            break;
        for (uint32_t i = 0; i < 50 && sent < count; i++, sent++)
            n += put_request(data + n, 1 + 2 * i, 5, "/large.bin");
        push(&all[used++], data, n, true);
    }
    end = now_ms() + 8000;
    while (now_ms() < end) {
        for (size_t i = 0; i < used; i++)
            if (!all[i].over)
                read_all(&all[i]);
        usleep(50000);
    }
    printf("%zu %zu %zu %u\n", sent, connections, goaways, last_error);
    return 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc != 4) {
        fprintf(stderr, "usage: flood_tls MODE PORT COUNT (see the head of the source)\n");
        return 2;
    }
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\x02h2", 3);
    server = loopback_server(argv[2]);
    if (strcmp(argv[1], "handshakes") == 0)
        return run_handshakes(number(argv[3]));
    if (strcmp(argv[1], "renegotiate") == 0)
        return run_renegotiate(number(argv[3]));
    if (strcmp(argv[1], "keyupdates") == 0)
        return run_keyupdates(number(argv[3]));
    if (strcmp(argv[1], "windows") == 0)
        return run_windows(number(argv[3]));
    for (size_t i = 0; i < sizeof h2_modes / sizeof *h2_modes; i++)
        if (strcmp(argv[1], h2_modes[i].name) == 0)
            return run_h2(&h2_modes[i], number(argv[3]));
    fprintf(stderr, "flood_tls: no mode %s\n", argv[1]);
    return 2;
}
