#include "listener/metrics_server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http/http1_parser.h"
#include "listener/metrics_text.h"
#include "base/poison.h"

enum {
    READ_BYTES = 4096,
    CLIENTS_MAX = 8,       /* others wait in the backlog */
    HEAD_MAX = 8 * 1024,   /* of a request */
    BODY_MAX = 16 << 20,   /* of an answer */
    CLIENT_MS = 10 * 1000, /* for all of it, from accept to close */
    LINGER_MS = 1000,      /* for the client to close after its answer */
    PAUSE_MS = 1000,       /* when there is no descriptor left for a client */
};

struct client {
    struct client *next;
    struct metrics_server *server;
    struct loop_io io;
    struct loop_timer limit;
    struct http1_parser parser;
    struct http1_head head;
    struct buf in, out;
    size_t sent; /* of out */
    bool answered, shut, read_eof;
};

struct metrics_server {
    struct loop *loop;
    struct loop_io io;
    struct loop_timer pause;
    void (*write)(void *arg, struct buf *out);
    void *arg;
    struct client *clients;
    size_t n_clients;
};

static void free_client(struct client *c)
{
    struct metrics_server *s = c->server;

    for (struct client **at = &s->clients; *at; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    s->n_clients--;
    loop_timer_clear(s->loop, &c->limit);
    loop_io_set(s->loop, &c->io, 0);
    close(c->io.fd);
    http1_head_fini(&c->head);
    buf_fini(&c->in);
    buf_fini(&c->out);
    free(c);
    loop_io_set(s->loop, &s->io, EPOLLIN); /* there is room for one who waits */
}

static void on_limit(struct loop_timer *t)
{
    free_client(CONTAINER_OF(t, struct client, limit));
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void answer(struct client *c, const char *status, const char *more, const char *type,
                   struct str body)
{
    buf_printf(&c->out,
               "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
               "Cache-Control: no-store\r\n%sConnection: close\r\n\r\n",
               status, type, body.n, more);
    if (c->head.method != HTTP_METHOD_HEAD)
        buf_str(&c->out, body);
    c->answered = true;
}

static void refuse(struct client *c, const char *status, const char *more)
{
    struct buf text;

    buf_init(&text, 128);
    buf_printf(&text, "%s\n", status);
    answer(c, status, more, "text/plain; charset=utf-8", buf_view(&text));
    buf_fini(&text);
}

static void answer_metrics(struct client *c)
{
    struct buf body;

    buf_init(&body, BODY_MAX);
    c->server->write(c->server->arg, &body);
    if (body.overflow)
        refuse(c, "500 Internal Server Error", "");
    else
        answer(c, "200 OK", "", METRICS_CONTENT_TYPE, buf_view(&body));
    buf_fini(&body);
}

static void answer_request(struct client *c)
{
    struct str target = http1_target(&c->head, c->in.p);
    struct str path = str_sub(target, 0, str_find_char(target, '?'));

    if (!str_eq(path, STR("/metrics")))
        refuse(c, "404 Not Found", "");
    else if (c->head.method != HTTP_METHOD_GET && c->head.method != HTTP_METHOD_HEAD)
        refuse(c, "405 Method Not Allowed", "Allow: GET, HEAD\r\n");
    else
        answer_metrics(c);
}

/* Looks at what has come so far; nothing is answered until a head is whole or wrong. */
static void take_head(struct client *c)
{
    switch (http1_parse(&c->parser, c->in.p, c->in.n, &c->head)) {
    case RC_OK:
        answer_request(c);
        break;
    case RC_AGAIN:
        break;
    default:
        /* A body without its length: it is not to be read anyway. */
        if (c->parser.reason == HTTPERR_LENGTH_REQUIRED)
            answer_request(c);
        else
            refuse(c, "400 Bad Request", "");
    }
}

/* ---- the connection ------------------------------------------------------------------------- */

/* False: the client is gone. */
static bool read_some(struct client *c)
{
    char sink[READ_BYTES];
    ssize_t n = recv(c->io.fd, sink, sizeof(sink), 0);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0) {
        c->read_eof = true; /* it may still read what is under way */
        return c->answered && !c->shut;
    }
    if (c->answered)
        return true; /* a body, or another request: nobody waits for it */
    buf_append(&c->in, sink, (size_t)n);
    take_head(c);
    return true;
}

static bool write_some(struct client *c)
{
    while (c->sent < c->out.n) {
        ssize_t n = send(c->io.fd, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        c->sent += (size_t)n;
    }
    if (c->answered && !c->shut) {
        /* Closing before the client has read would reset what is under way. */
        struct loop *l = c->server->loop;
        c->shut = true;
        shutdown(c->io.fd, SHUT_WR);
        loop_timer_set(l, &c->limit, loop_now_ms(l) + LINGER_MS);
    }
    return !(c->shut && c->read_eof);
}

static void on_client(struct loop_io *io, uint32_t events)
{
    struct client *c = CONTAINER_OF(io, struct client, io);
    bool ok = !(events & EPOLLERR);

    if (ok && !c->read_eof && events & (EPOLLIN | EPOLLHUP))
        ok = read_some(c);
    if (ok)
        ok = write_some(c);
    if (ok)
        ok = loop_io_set(c->server->loop, io,
                         (c->read_eof ? 0u : (uint32_t)EPOLLIN) |
                             (c->sent < c->out.n ? (uint32_t)EPOLLOUT : 0u));
    if (!ok)
        free_client(c);
}

static void on_pause_over(struct loop_timer *t)
{
    struct metrics_server *s = CONTAINER_OF(t, struct metrics_server, pause);

    loop_io_set(s->loop, &s->io, EPOLLIN);
}

static void on_accept(struct loop_io *io, uint32_t events)
{
    static const struct http1_limits limits = {.max_field_length = HEAD_MAX,
                                               .max_request_bytes = HEAD_MAX};
    struct metrics_server *s = CONTAINER_OF(io, struct metrics_server, io);

    if (s->n_clients >= CLIENTS_MAX) {
        loop_io_set(s->loop, io, 0);
        return;
    }
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            loop_io_set(s->loop, io, 0);
            loop_timer_set(s->loop, &s->pause, loop_now_ms(s->loop) + PAUSE_MS);
        }
        return;
    }
    struct client *c = xcalloc(1, sizeof(*c));

    c->server = s;
    c->io = (struct loop_io){.on_event = on_client, .fd = fd};
    c->limit.on_time = on_limit;
    http1_parser_init(&c->parser, &limits);
    http1_head_init(&c->head);
    buf_init(&c->in, HEAD_MAX + READ_BYTES);
    buf_init(&c->out, BODY_MAX + 1024);
    c->next = s->clients;
    s->clients = c;
    s->n_clients++;
    loop_timer_set(s->loop, &c->limit, loop_now_ms(s->loop) + CLIENT_MS);
    if (!loop_io_set(s->loop, &c->io, EPOLLIN))
        free_client(c);
}

struct metrics_server *metrics_server_new(struct loop *l, int fd,
                                          void (*write)(void *arg, struct buf *out), void *arg)
{
    struct metrics_server *s = xcalloc(1, sizeof(*s));

    *s = (struct metrics_server){.loop = l,
                                 .io = {.on_event = on_accept, .fd = fd},
                                 .pause.on_time = on_pause_over,
                                 .write = write,
                                 .arg = arg};
    loop_io_set(l, &s->io, EPOLLIN);
    return s;
}

struct metrics_server *metrics_server_free(struct metrics_server *s)
{
    if (!s)
        return NULL;
    for (struct client *c = s->clients, *next; c; c = next) {
        next = c->next;
        free_client(c);
    }
    loop_timer_clear(s->loop, &s->pause);
    loop_io_set(s->loop, &s->io, 0);
    close(s->io.fd);
    free(s);
    return NULL;
}
