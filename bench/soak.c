/*
 * The client of bench/soak, and the accountant.
 *
 *   soak run LEDGER REQUESTS PORT TLSPORT PLAIN TLS H2
 *      Sends REQUESTS requests of mixed kinds over PLAIN + TLS + H2 connections at a time (HTTP/1.1,
 *      HTTP/1.1 over TLS, HTTP/2 over TLS) and writes what became of each into LEDGER. A line of
 *      progress per second; on SIGTERM it finishes what is under way.
 *
 *   soak account LEDGER HTTPERRFOLDER LOGFOLDER...
 *      Reads the server's logs and holds them against the ledger: every answered request has exactly
 *      one line, with its status, in exactly one log.
 *
 * Every request carries its number as User-Agent, which the site log keeps. HTTPERR has no such column;
 * there, lines are matched by client port.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Results below 100 are no status. */
enum result {
    NOT_SENT,
    LOST,        /* the connection or stream ended before the answer was whole */
    LOST_BEHIND, /* pipelined behind a lost one: the server may not have read it */
    NOT_READ,    /* pipelined behind an answer that ended the connection: must have no line */
    ABORTED      /* the client reset the connection: one line somewhere, or none if it was not read */
};

enum mode { KEEP, CLOSE, PIPELINE, TRICKLE, ABORT, MODES };
enum transport { PLAIN, TLS, H2, TRANSPORTS };
enum { DEPTH = 8, STREAMS = 20, OUT = 16384, HEAD = 8192 };

struct entry {
    uint8_t kind, transport;
    uint16_t result;
    uint16_t port;
    uint8_t seen; /* lines in site logs */
    uint8_t spare;
};

struct ledger {
    uint64_t capacity, sent;
    struct entry entries[];
};

enum target { FIXED, MANY, NUMBERED };

static const struct kind {
    const char *name, *method, *path, *headers, *body;
    enum target target;
    unsigned status, weight;
    long size; /* of the body; -1: any */
} kinds[] = {
    {"hit", "GET", "/hit.txt", "", "", FIXED, 200, 260, 1024},
    {"many", "GET", "/many/f%03u.txt", "", "", MANY, 200, 120, 300},
    {"not-cached", "GET", "/nc/a.txt", "", "", FIXED, 200, 120, 1024},
    {"not-modified", "GET", "/hit.txt", "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT\r\n", "", FIXED, 304, 80, 0},
    {"head", "HEAD", "/hit.txt", "", "", FIXED, 200, 40, 0},
    {"query", "GET", "/hit.txt?n=%u", "", "", NUMBERED, 200, 60, 1024},
    {"range", "GET", "/large.bin", "Range: bytes=1000-1999\r\n", "", FIXED, 206, 50, 1000},
    {"large", "GET", "/large.bin", "", "", FIXED, 200, 15, 131072},
    {"default-document", "GET", "/", "", "", FIXED, 200, 40, 100},
    {"listing", "GET", "/list/", "", "", FIXED, 200, 10, -1},
    {"missing", "GET", "/none/%u.txt", "", "", NUMBERED, 404, 60, -1},
    {"hidden-segment", "GET", "/bin/a.txt", "", "", FIXED, 404, 30, -1},
    {"extension", "GET", "/source.cs", "", "", FIXED, 404, 30, -1},
    {"redirect", "GET", "/moved/x", "", "", FIXED, 302, 40, -1},
    {"slash", "GET", "/list", "", "", FIXED, 301, 20, -1},
    {"post", "POST", "/hit.txt", "Content-Length: 100\r\n",
     "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
     FIXED, 405, 20, -1},
    /* What the listener refuses; ends the connection, so it is always the last of one. */
    {"bad-host", "GET", "/bad/%u", "Host: a b\r\n", "", NUMBERED, 400, 60, -1},
};
enum { KINDS = sizeof kinds / sizeof *kinds, BAD_HOST = KINDS - 1 };

struct exchange {
    uint32_t serial;
    uint16_t status;
    size_t size;
};

struct conn {
    enum transport transport;
    enum mode mode;
    int fd;
    SSL *ssl;
    bool shaken;
    uint16_t port;
    unsigned left; /* requests it may still begin */
    bool last;     /* the request under way says Connection: close */

    /* HTTP/1 */
    struct exchange queue[DEPTH];
    size_t first, waiting;
    bool in_body, chunked, closing;
    size_t body_left;
    int chunk_state;
    size_t head_len;
    char head[HEAD];

    /* HTTP/2 */
    nghttp2_session *session;
    struct exchange streams[STREAMS];

    size_t out_pos, out_len;
    char out[OUT];
};

static struct ledger *ledger;
static uint64_t goal, answered, lost, aborted, odd, wrong, connections, ended;
static uint64_t odd_by_status[1000];
static SSL_CTX *tls1, *tls2;
static struct sockaddr_in ports[2];
static int poller;
static volatile sig_atomic_t stopping;
static uint64_t seed = 0x9e3779b97f4a7c15u;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static unsigned long number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "soak: not a number: %s\n", text);
        exit(2);
    }
    return value;
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- the ledger --- */

static void map_ledger(const char *path, uint64_t capacity)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    struct stat s;
    size_t size = sizeof *ledger + capacity * sizeof(struct entry);

    if (fd < 0 || fstat(fd, &s) < 0)
        die(path);
    if (capacity == 0)
        size = (size_t)s.st_size;
    else if (ftruncate(fd, (off_t)size) < 0)
        die(path);
    ledger = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ledger == MAP_FAILED)
        die(path);
    close(fd);
    if (capacity)
        ledger->capacity = capacity;
}

static uint8_t pick_kind(bool with_bad)
{
    static unsigned total;
    unsigned at;

    if (total == 0)
        for (size_t i = 0; i < KINDS; i++)
            total += kinds[i].weight;
    for (;;) {
        uint8_t kind = 0;

        at = (unsigned)(draw() % total);
        while (at >= kinds[kind].weight)
            at -= kinds[kind++].weight;
        if (kind != BAD_HOST || with_bad)
            return kind;
    }
}

/* False when enough have been sent. */
static bool begin(struct conn *c, struct exchange *x, bool with_bad)
{
    if (ledger->sent >= goal || stopping)
        return false;
    *x = (struct exchange){.serial = (uint32_t)ledger->sent++};
    ledger->entries[x->serial] =
        (struct entry){.kind = pick_kind(with_bad), .transport = c->transport, .port = c->port};
    return true;
}

static void settle(const struct exchange *x, uint16_t result)
{
    struct entry *e = &ledger->entries[x->serial];
    const struct kind *k = &kinds[e->kind];

    e->result = result;
    if (result < 100) {
        if (result == ABORTED)
            aborted++;
        else
            lost++;
        return;
    }
    answered++;
    if (result != k->status) {
        odd++;
        odd_by_status[result % 1000]++;
    } else if (k->size >= 0 && x->size != (size_t)k->size) {
        wrong++;
        fprintf(stderr, "soak: request %u (%s): %zu bytes, %ld wanted\n", x->serial, k->name, x->size, k->size);
    }
}

/* --- transport --- */

enum { AGAIN = -1, GONE = -2 };

static ssize_t transport_result(struct conn *c, int n)
{
    n = SSL_get_error(c->ssl, n);
    return n == SSL_ERROR_WANT_READ || n == SSL_ERROR_WANT_WRITE ? AGAIN : n == SSL_ERROR_ZERO_RETURN ? 0 : GONE;
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

static bool write_path(char *into, size_t size, const struct kind *k, uint32_t serial)
{
    int n;

    switch (k->target) {
    case MANY:
        n = snprintf(into, size, k->path, serial % 1000);
        break;
    case NUMBERED:
        n = snprintf(into, size, k->path, serial);
        break;
    default:
        n = snprintf(into, size, "%s", k->path);
    }
    return n > 0 && (size_t)n < size;
}

/* --- HTTP/1.1 --- */

static void ask1(struct conn *c)
{
    struct exchange *x = &c->queue[(c->first + c->waiting) % DEPTH];
    bool final = c->left == 1;
    const struct kind *k;
    char path[64];
    int n;

    if (!begin(c, x, final && c->mode != ABORT)) {
        c->left = 0;
        return;
    }
    c->waiting++;
    c->left--;
    k = &kinds[ledger->entries[x->serial].kind];
    write_path(path, sizeof path, k, x->serial);
    n = snprintf(c->out + c->out_len, OUT - c->out_len, "%s %s HTTP/1.1\r\n%sUser-Agent: s%u\r\n%s%s\r\n%s",
                 k->method, path, k == &kinds[BAD_HOST] ? "" : "Host: localhost\r\n", x->serial,
                 final && c->mode == CLOSE ? "Connection: close\r\n" : "", k->headers, k->body);
    c->out_len += (size_t)n;
}

static void refill1(struct conn *c)
{
    size_t want = c->mode == PIPELINE ? 4 : 1;

    if (c->out_pos == c->out_len)
        c->out_pos = c->out_len = 0;
    while (c->waiting < want && c->left > 0 && !c->closing && c->out_len + 1024 < OUT)
        ask1(c);
}

static void answer_whole(struct conn *c)
{
    struct exchange *x = &c->queue[c->first];

    settle(x, x->status);
    c->first = (c->first + 1) % DEPTH;
    c->waiting--;
    c->in_body = false;
    c->head_len = 0;
}

/* The head is complete. False when it makes no sense. */
static bool read_head(struct conn *c)
{
    struct exchange *x = &c->queue[c->first];
    const struct kind *k = &kinds[ledger->entries[x->serial].kind];
    const char *length = strcasestr(c->head, "\r\ncontent-length: ");

    if (strncmp(c->head, "HTTP/1.1 ", 9) != 0 || c->waiting == 0)
        return false;
    x->status = (uint16_t)strtoul(c->head + 9, NULL, 10);
    if (x->status < 200 || x->status > 599)
        return false;
    c->closing = c->closing || strcasestr(c->head, "\r\nconnection: close") != NULL;
    c->chunked = strcasestr(c->head, "\r\ntransfer-encoding: chunked") != NULL;
    c->body_left = length ? strtoul(length + 18, NULL, 10) : 0;
    c->chunk_state = 0;
    c->in_body = true;
    if (k->method[0] == 'H' || x->status == 304 || (!c->chunked && c->body_left == 0))
        answer_whole(c);
    return true;
}

/* Chunk framing, byte by byte but for the data. States: 0 size, 1 LF of size, 2 data, 3 CR, 4 LF,
 * 5 the end's CR, 6 the end's LF. */
static const char *skip_chunks(struct conn *c, const char *p, const char *end)
{
    while (p < end && c->in_body) {
        char b = *p;

        if (c->chunk_state == 2) {
            size_t n = (size_t)(end - p) < c->body_left ? (size_t)(end - p) : c->body_left;

            p += n;
            c->body_left -= n;
            c->queue[c->first].size += n;
            if (c->body_left == 0)
                c->chunk_state = 3;
            continue;
        }
        p++;
        switch (c->chunk_state) {
        case 0:
            if (b == '\r')
                c->chunk_state = 1;
            else
                c->body_left = c->body_left * 16 + (size_t)(b <= '9' ? b - '0' : (b | 32) - 'a' + 10);
            break;
        case 1:
            c->chunk_state = c->body_left ? 2 : 5;
            break;
        case 3:
        case 5:
            c->chunk_state++;
            break;
        case 4:
            c->chunk_state = 0;
            break;
        default:
            answer_whole(c);
        }
    }
    return p;
}

/* False when the server does not speak HTTP. */
static bool digest1(struct conn *c, const char *p, const char *end)
{
    while (p < end) {
        if (c->in_body && c->chunked) {
            p = skip_chunks(c, p, end);
        } else if (c->in_body) {
            size_t n = (size_t)(end - p) < c->body_left ? (size_t)(end - p) : c->body_left;

            p += n;
            c->body_left -= n;
            c->queue[c->first].size += n;
            if (c->body_left == 0)
                answer_whole(c);
        } else {
            c->head[c->head_len++] = *p++;
            c->head[c->head_len] = '\0';
            if (c->head_len + 1 >= HEAD)
                return false;
            if (c->head_len >= 4 && p[-1] == '\n' && memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4) == 0 &&
                !read_head(c))
                return false;
        }
    }
    return true;
}

/* --- HTTP/2 --- */

static struct exchange *stream(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    struct exchange *x = stream(session, frame->hd.stream_id);

    (void)flags, (void)user;
    if (x && name_len == 7 && memcmp(name, ":status", 7) == 0 && value_len == 3)
        x->status = (uint16_t)((value[0] - '0') * 100 + (value[1] - '0') * 10 + value[2] - '0');
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *user)
{
    struct exchange *x = stream(session, id);

    (void)flags, (void)data, (void)user;
    if (x)
        x->size += len;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct exchange *x = stream(session, id);
    struct conn *c = user;

    if (x) {
        settle(x, error == 0 && x->status ? x->status : LOST);
        *x = (struct exchange){0};
        c->waiting--;
    }
    return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *into, size_t len, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    size_t n = strlen(source->ptr);

    (void)session, (void)id, (void)user;
    *flags = NGHTTP2_DATA_FLAG_EOF;
    memcpy(into, source->ptr, n < len ? n : len);
    return (ssize_t)n;
}

static void ask2(struct conn *c)
{
    struct exchange *x = c->streams;
    const struct kind *k;
    nghttp2_data_provider body = {.read_callback = read_body};
    nghttp2_nv fields[8];
    size_t count = 0;
    char path[64], agent[16], name[64] = "", *colon;

    while (x->serial)
        x++;
    if (!begin(c, x, false)) {
        c->left = 0;
        return;
    }
    k = &kinds[ledger->entries[x->serial].kind];
    write_path(path, sizeof path, k, x->serial);
    snprintf(agent, sizeof agent, "s%u", x->serial);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(k->headers, "\r"), k->headers);
#define FIELD(n, v) \
    fields[count++] = (nghttp2_nv){(uint8_t *)(n), (uint8_t *)(v), strlen(n), strlen(v), NGHTTP2_NV_FLAG_NONE}
    FIELD(":method", k->method);
    FIELD(":scheme", "https");
    FIELD(":authority", "localhost");
    FIELD(":path", path);
    FIELD("user-agent", agent);
    colon = strchr(name, ':');
    if (colon) {
        *colon = '\0';
        for (char *p = name; *p; p++)
            *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        FIELD(name, colon + 2);
    }
#undef FIELD
    body.source.ptr = (void *)(uintptr_t)k->body;
    if (nghttp2_submit_request(c->session, NULL, fields, count, *k->body ? &body : NULL, x) < 0) {
        fprintf(stderr, "soak: no stream for request %u\n", x->serial);
        exit(1);
    }
    c->waiting++;
    c->left--;
}

static void refill2(struct conn *c)
{
    while (c->waiting < STREAMS && c->left > 0 && nghttp2_session_check_request_allowed(c->session))
        ask2(c);
    if (c->out_pos == c->out_len)
        c->out_pos = c->out_len = 0;
    while (c->out_len == 0) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(c->session, &data);

        if (n <= 0)
            break;
        if ((size_t)n > OUT) {
            fprintf(stderr, "soak: a frame of %zd bytes\n", n);
            exit(1);
        }
        memcpy(c->out, data, (size_t)n);
        c->out_len = (size_t)n;
    }
}

static void begin_session(struct conn *c)
{
    static nghttp2_session_callbacks *callbacks;
    nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20};

    if (!callbacks) {
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    }
    nghttp2_session_client_new(&c->session, callbacks, c);
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, &window, 1);
    nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, 16 << 20);
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
    if (connect(c->fd, (struct sockaddr *)&ports[transport != PLAIN], sizeof *ports) < 0 && errno != EINPROGRESS)
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

    if (c->mode != ABORT || c->transport == H2 || c->left > 0 || c->waiting != 1 || c->out_pos < c->out_len)
        return false;
    settle(&c->queue[c->first], ABORTED);
    c->waiting = 0;
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    return true;
}

static void close_conn(struct conn *c)
{
    if (c->session) {
        for (size_t i = 0; i < STREAMS; i++)
            if (c->streams[i].serial)
                settle(&c->streams[i], LOST);
        nghttp2_session_del(c->session);
    }
    for (size_t i = 0; !c->session && i < c->waiting; i++)
        settle(&c->queue[(c->first + i) % DEPTH], c->closing && !c->in_body ? NOT_READ : i == 0 ? LOST : LOST_BEHIND);
    if (c->ssl) {
        if (c->mode != ABORT)
            SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
    }
    close(c->fd);
    c->fd = -1;
    ended++;
}

static bool flush(struct conn *c)
{
    for (;;) {
        size_t n;
        ssize_t sent;

        if (c->session)
            refill2(c);
        else
            refill1(c);
        n = c->out_len - c->out_pos;
        if (n == 0)
            return true;
        if (c->mode == TRICKLE && !c->session && n > 40)
            n = 40;                       /* a head in several segments */
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
        begin_session(c);
    if (!flush(c))
        return false;
    for (;;) {
        ssize_t n = take(c, data, sizeof data);

        if (n == AGAIN)
            break;
        if (n <= 0)
            return false;
        if (c->session ? nghttp2_session_mem_recv(c->session, (uint8_t *)data, (size_t)n) != n
                       : !digest1(c, data, data + n)) {
            wrong++;
            fprintf(stderr, "soak: an answer that makes no sense: %.200s\n", c->session ? "" : c->head);
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
    printf("sent %lu answered %lu lost %lu aborted %lu odd %lu wrong %lu connections %lu seconds %.0f\n",
           (unsigned long)ledger->sent - 1, (unsigned long)answered, (unsigned long)lost, (unsigned long)aborted,
           (unsigned long)odd, (unsigned long)wrong, (unsigned long)connections, passed);
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
    map_ledger(argv[2], goal + 1);
    ledger->sent = 1; /* serial 0 means none */
    goal++;
    for (size_t i = 0; i < 2; i++)
        ports[i] = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)number(argv[4 + i])),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
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
        if (answered + lost + aborted != before)
            heard = now;
        if (now - told >= 1) {
            tell(now - start);
            told = now;
            before = answered + lost + aborted;
        }
        if (now - heard > 60) {
            fprintf(stderr, "soak: nothing was answered for 60 seconds, %zu connections wait\n", alive);
            for (size_t i = 0; i < total; i++)
                if (conns[i].fd >= 0)
                    fprintf(stderr, "soak: port %u transport %u mode %u waiting %zu left %u request %u\n",
                            conns[i].port, conns[i].transport, conns[i].mode, conns[i].waiting, conns[i].left,
                            conns[i].queue[conns[i].first].serial);
            return 1;
        }
    }
    tell(seconds() - start);
    for (size_t i = 0; i < 1000; i++)
        if (odd_by_status[i])
            printf("odd status %zu: %lu\n", i, (unsigned long)odd_by_status[i]);
    return wrong != 0;
}

/* --- the accountant --- */

static uint64_t by_port_ledger[65536], by_port_log[65536], behind_ports[65536];
static uint64_t site_lines, foreign, doubled, false_status, false_kind, ghosts;
static unsigned complaints;

static struct reason {
    char name[48];
    uint64_t lines;
} reasons[64];

static void complain(const char *what, const char *line)
{
    if (complaints++ < 40)
        printf("  %s: %.300s\n", what, line);
}

/* Splits a line at blanks, in place. */
static size_t split(char *line, char **fields, size_t most)
{
    size_t n = 0;

    for (char *p = line; n < most; n++) {
        fields[n] = p;
        p = strchr(p, ' ');
        if (!p)
            return n + 1;
        *p++ = '\0';
    }
    return n;
}

static size_t column(char **names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    printf("soak: a log without the column %s\n", name);
    exit(1);
}

struct columns {
    char text[1024];
    size_t stem, agent, status, method, reason, port;
};

static void read_columns(struct columns *c, const char *line, bool httperr)
{
    char *names[64];
    size_t n;

    snprintf(c->text, sizeof c->text, "%s", line);
    n = split(c->text, names, 64);
    c->status = column(names, n, "sc-status");
    if (httperr) {
        c->reason = column(names, n, "s-reason");
        c->port = column(names, n, "c-port");
        return;
    }
    c->stem = column(names, n, "cs-uri-stem");
    c->agent = column(names, n, "cs(User-Agent)");
    c->method = column(names, n, "cs-method");
}

static void site_line(char *line, const struct columns *c)
{
    char copy[512], path[64], *fields[64], *end;
    size_t n;
    uint64_t serial, status;
    struct entry *e;
    const struct kind *k;

    snprintf(copy, sizeof copy, "%s", line);
    n = split(line, fields, 64);
    if (n <= c->status || fields[c->agent][0] != 's') {
        foreign++;
        complain("a line of nobody's", copy);
        return;
    }
    serial = strtoull(fields[c->agent] + 1, &end, 10);
    if (*end != '\0' || serial == 0 || serial >= ledger->sent) {
        foreign++;
        complain("a line of nobody's", copy);
        return;
    }
    e = &ledger->entries[serial];
    k = &kinds[e->kind];
    status = strtoull(fields[c->status], NULL, 10);
    if (e->seen++ > 0) {
        doubled++;
        complain("a second line", copy);
    } else if (e->result == ABORTED) {
        ;                                 /* whatever the server found out first */
    } else if (e->result < 100 || k == &kinds[BAD_HOST] || e->result == 503) {
        ghosts++;
        complain("a site line although the client had no answer from there", copy);
    } else if (status != e->result) {
        false_status++;
        complain("another status than the client saw", copy);
    }
    write_path(path, sizeof path, k, (uint32_t)serial);
    path[strcspn(path, "?")] = '\0';
    if (strcmp(path, fields[c->stem]) != 0 || strcmp(k->method, fields[c->method]) != 0) {
        false_kind++;
        complain("another request than was sent", copy);
    }
}

static void httperr_line(char *line, const struct columns *c)
{
    char *fields[64];
    struct reason *r = reasons;

    if (split(line, fields, 64) <= c->reason) {
        foreign++;
        complain("a short HTTPERR line", line);
        return;
    }
    while (r->lines && strcmp(r->name, fields[c->reason]) != 0)
        r++;
    snprintf(r->name, sizeof r->name, "%s", fields[c->reason]);
    r->lines++;
    if (strcmp(r->name, "Connection_Abandoned_By_ReqQueue") == 0)
        by_port_log[number(fields[c->port]) & 0xffff]++;
}

static void read_log(const char *path, bool httperr)
{
    FILE *in = fopen(path, "r");
    struct columns c = {0};
    char *line = NULL;
    size_t size = 0;
    ssize_t n;

    if (!in)
        die(path);
    while ((n = getline(&line, &size, in)) > 0) {
        if (n < 2 || line[n - 1] != '\n' || line[n - 2] != '\r') {
            foreign++;
            complain("an unfinished line", line);
            continue;
        }
        line[n - 2] = '\0';
        if (strncmp(line, "#Fields: ", 9) == 0)
            read_columns(&c, line + 9, httperr);
        if (line[0] == '#')
            continue;
        if (httperr) {
            httperr_line(line, &c);
        } else {
            site_lines++;
            site_line(line, &c);
        }
    }
    free(line);
    fclose(in);
}

static void read_folder(const char *folder, bool httperr)
{
    DIR *dir = opendir(folder);
    struct dirent *d;
    char path[1024];

    if (!dir) {
        printf("  (no %s)\n", folder);
        return;
    }
    while ((d = readdir(dir))) {
        if (strlen(d->d_name) < 5 || strcmp(d->d_name + strlen(d->d_name) - 4, ".log") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, d->d_name);
        read_log(path, httperr);
    }
    closedir(dir);
}

static uint64_t lines_of(const char *reason)
{
    for (struct reason *r = reasons; r->lines; r++)
        if (strcmp(r->name, reason) == 0)
            return r->lines;
    return 0;
}

static int account(int argc, char **argv)
{
    uint64_t by[KINDS][7] = {{0}}, missing = 0, unavailable = 0, bad = 0, off_ports = 0, quit = 0, quit_lines = 0;
    uint64_t extra, httperr_total = 0;
    uint64_t total[7] = {0}, carried[TRANSPORTS] = {0};

    map_ledger(argv[2], 0);
    for (uint64_t i = 1; i < ledger->sent; i++)
        ledger->entries[i].seen = 0;
    read_folder(argv[3], true);
    for (int i = 4; i < argc; i++)
        read_folder(argv[i], false);
    for (uint64_t i = 1; i < ledger->sent; i++) {
        struct entry *e = &ledger->entries[i];

        by[e->kind][0]++;
        carried[e->transport]++;
        by[e->kind][1] += e->result >= 100;
        by[e->kind][2] += e->result == LOST;
        quit += e->result == ABORTED;
        quit_lines += e->result == ABORTED && e->seen;
        by[e->kind][3] += e->result == LOST_BEHIND || e->result == NOT_READ;
        by[e->kind][4] += e->seen;
        by[e->kind][5] += e->result >= 100 && e->result != kinds[e->kind].status;
        by_port_ledger[e->port] += e->result == LOST;
        behind_ports[e->port] += e->result == LOST_BEHIND || e->result == ABORTED;
        if (e->result == NOT_SENT) {
            printf("  request %lu has no result\n", (unsigned long)i);
            missing++;
        } else if (e->result == 503) {
            unavailable++;
        } else if (e->kind == BAD_HOST) {
            bad += e->result >= 100;
        } else if (e->result >= 100 && e->seen == 0) {
            missing++;
            by[e->kind][6]++;
            if (complaints++ < 40)
                printf("  no line: request %lu, %s, port %u, transport %u, answered %u\n", (unsigned long)i,
                       kinds[e->kind].name, e->port, e->transport, e->result);
        }
    }
    printf("%-18s %12s %12s %8s %8s %12s %8s %8s\n", "kind", "sent", "answered", "lost", "unread", "site lines",
           "odd", "no line");
    for (size_t k = 0; k < KINDS; k++) {
        printf("%-18s %12lu %12lu %8lu %8lu %12lu %8lu %8lu\n", kinds[k].name, (unsigned long)by[k][0],
               (unsigned long)by[k][1], (unsigned long)by[k][2], (unsigned long)by[k][3], (unsigned long)by[k][4],
               (unsigned long)by[k][5], (unsigned long)by[k][6]);
        for (size_t i = 0; i < 7; i++)
            total[i] += by[k][i];
    }
    printf("%-18s %12lu %12lu %8lu %8lu %12lu %8lu %8lu\n", "all", (unsigned long)total[0], (unsigned long)total[1],
           (unsigned long)total[2], (unsigned long)total[3], (unsigned long)total[4], (unsigned long)total[5],
           (unsigned long)total[6]);
    printf("over HTTP/1.1 %lu, HTTP/1.1 with TLS %lu, HTTP/2 %lu\n", (unsigned long)carried[PLAIN],
           (unsigned long)carried[TLS], (unsigned long)carried[H2]);
    for (struct reason *r = reasons; r->lines; r++) {
        printf("HTTPERR %-34s %lu\n", r->name, (unsigned long)r->lines);
        httperr_total += r->lines;
    }
    /* A lost request has its line; those pipelined behind it may have one. */
    for (size_t i = 0; i < 65536; i++) {
        bool fits = by_port_log[i] >= by_port_ledger[i] && by_port_log[i] <= by_port_ledger[i] + behind_ports[i];

        if (!fits && off_ports++ < 10)
            printf("  port %zu: %lu requests lost (and %lu behind), %lu lines Connection_Abandoned_By_ReqQueue\n", i,
                   (unsigned long)by_port_ledger[i], (unsigned long)behind_ports[i], (unsigned long)by_port_log[i]);
    }
    extra = httperr_total - lines_of("Connection_Abandoned_By_ReqQueue") - lines_of("Hostname");
    printf("answered 503: %lu; refused as bad: %lu; reset by the client: %lu, of them %lu in a site log; other "
           "HTTPERR lines: %lu\n",
           (unsigned long)unavailable, (unsigned long)bad, (unsigned long)quit, (unsigned long)quit_lines,
           (unsigned long)extra);
    printf("no line %lu, two lines %lu, ghosts %lu, other status %lu, other request %lu, foreign %lu, ports off %lu\n",
           (unsigned long)missing, (unsigned long)doubled, (unsigned long)ghosts, (unsigned long)false_status,
           (unsigned long)false_kind, (unsigned long)foreign, (unsigned long)off_ports);
    if (missing || doubled || ghosts || false_status || false_kind || foreign || off_ports || extra < unavailable ||
        extra > unavailable + quit - quit_lines ||
        lines_of("Hostname") != bad) {
        printf("NOT every request is accounted for\n");
        return 1;
    }
    printf("every request is accounted for: %lu answered and logged once, %lu lost with their HTTPERR line\n",
           (unsigned long)total[1], (unsigned long)total[2]);
    return 0;
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
