#include "http2_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rc.h"
#include "listener_fixture.h"
#include "stopwatch.h"

enum { FIELDS_MAX = 256 };

struct upload {
    const char *p;
    size_t n, at;
};

static struct upload uploads[H2_STREAMS];

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_n,
                     const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    struct h2_answer *a = h2_answer(user, f->hd.stream_id);
    size_t used = strlen(a->fields);

    if (name_n == 7 && memcmp(name, ":status", 7) == 0) {
        int status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
        if (status < 200)
            a->interim = status;
        else
            a->status = status;
        return 0;
    }
    snprintf(a->fields + used, sizeof(a->fields) - used, "%.*s: %.*s\n", (int)name_n,
             (const char *)name, (int)value_n, (const char *)value);
    return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t n,
                   void *user)
{
    struct h2_client *c = user;
    struct h2_answer *a = h2_answer(c, id);

    if (c->keep_bodies) {
        a->body = realloc(a->body, a->body_n + n + 1);
        INVARIANT(a->body);
        memcpy(a->body + a->body_n, data, n);
        a->body[a->body_n + n] = '\0';
    }
    a->body_n += n;
    return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
    struct h2_client *c = user;

    if (f->hd.type == NGHTTP2_PING)
        c->pings += f->hd.flags & NGHTTP2_FLAG_ACK;
    if ((f->hd.type == NGHTTP2_DATA || f->hd.type == NGHTTP2_HEADERS) &&
        (f->hd.flags & NGHTTP2_FLAG_END_STREAM))
        h2_answer(c, f->hd.stream_id)->whole = true;
    if (f->hd.type != NGHTTP2_GOAWAY)
        return 0;
    size_t n = f->goaway.opaque_data_len;

    c->goaway = true;
    c->goaways++;
    c->goaway_error = f->goaway.error_code;
    c->goaway_last = f->goaway.last_stream_id;
    if (n >= sizeof(c->goaway_text))
        n = sizeof(c->goaway_text) - 1;
    if (n)
        memcpy(c->goaway_text, f->goaway.opaque_data, n);
    c->goaway_text[n] = '\0';
    return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t error, void *user)
{
    struct h2_answer *a = h2_answer(user, id);

    a->closed = true;
    a->error = error;
    return 0;
}

struct h2_client *h2_open(unsigned short port, bool hold_windows)
{
    struct h2_client *c = calloc(1, sizeof(*c));
    nghttp2_session_callbacks *cb;
    nghttp2_option *o;

    INVARIANT(c && nghttp2_session_callbacks_new(&cb) == 0 && nghttp2_option_new(&o) == 0);
    c->keep_bodies = true;
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    nghttp2_option_set_no_http_messaging(o, 1); /* it has to be able to say what is wrong */
    nghttp2_option_set_peer_max_concurrent_streams(o, 100);
    if (hold_windows)
        nghttp2_option_set_no_auto_window_update(o, 1);
    INVARIANT(nghttp2_session_client_new2(&c->session, cb, c, o) == 0);
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(o);
    INVARIANT(nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0) == 0);
    c->fd = client_connect(port);
    return c;
}

void h2_close(struct h2_client *c)
{
    close(c->fd);
    nghttp2_session_del(c->session);
    for (int i = 0; i < H2_STREAMS; i++)
        free(c->answers[i].body);
    free(c);
}

static ssize_t read_upload(nghttp2_session *s, int32_t id, uint8_t *buf, size_t n, uint32_t *flags,
                           nghttp2_data_source *source, void *user)
{
    struct upload *u = source->ptr;

    if (n > u->n - u->at)
        n = u->n - u->at;
    memcpy(buf, u->p + u->at, n);
    u->at += n;
    if (u->at == u->n)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

int32_t h2_request(struct h2_client *c, const char *fields, const char *body, size_t body_n)
{
    nghttp2_nv nv[FIELDS_MAX];
    size_t n = 0;

    for (const char *p = fields, *end; *p; p = end + 1) {
        end = strchr(p, '\n');
        const char *colon = strstr(p + 1, ": ");
        INVARIANT(end && colon && colon < end && n < FIELDS_MAX);
        nv[n++] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)p,
                               .namelen = (size_t)(colon - p),
                               .value = (uint8_t *)(uintptr_t)(colon + 2),
                               .valuelen = (size_t)(end - colon - 2),
                               .flags = NGHTTP2_NV_FLAG_NONE};
    }
    int32_t next = (int32_t)nghttp2_session_get_next_stream_id(c->session);
    struct upload *u = &uploads[(next - 1) / 2];
    nghttp2_data_provider d = {.source.ptr = u, .read_callback = read_upload};

    INVARIANT((next - 1) / 2 < H2_STREAMS);
    *u = (struct upload){.p = body, .n = body_n};
    int32_t id = nghttp2_submit_request(c->session, NULL, nv, n, body ? &d : NULL, NULL);

    INVARIANT(id == next);
    return id;
}

int32_t h2_get(struct h2_client *c, const char *path)
{
    char fields[512];

    snprintf(fields, sizeof(fields),
             ":method: GET\n:scheme: http\n:authority: localhost\n:path: %s\n", path);
    return h2_request(c, fields, NULL, 0);
}

static void send_all(struct h2_client *c, const uint8_t *p, size_t n)
{
    while (n && !c->ended) {
        ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);
        if (sent < 0) {
            c->ended = true;
            return;
        }
        p += sent;
        n -= (size_t)sent;
    }
}

static void say(struct h2_client *c)
{
    const uint8_t *p;
    ssize_t n;

    while ((n = nghttp2_session_mem_send(c->session, &p)) > 0)
        send_all(c, p, (size_t)n);
    INVARIANT(n == 0);
}

void h2_raw(struct h2_client *c, const void *p, size_t n)
{
    say(c);
    send_all(c, p, n);
}

void h2_turn(struct h2_client *c, int ms)
{
    static uint8_t in[65536];
    struct pollfd p = {.fd = c->fd, .events = POLLIN};

    say(c);
    if (c->ended || poll(&p, 1, ms) != 1)
        return;
    ssize_t n = recv(c->fd, in, sizeof(in), MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        c->ended = true;
        return;
    }
    if (n > 0)
        INVARIANT(nghttp2_session_mem_recv(c->session, in, (size_t)n) == n);
    say(c);
}

bool h2_until(struct h2_client *c, bool (*what)(struct h2_client *c, int32_t arg), int32_t arg)
{
    uint64_t until = clock_mono_ms() + PATIENCE_MS;

    while (!what(c, arg) && !c->ended && clock_mono_ms() < until)
        h2_turn(c, 50);
    return what(c, arg);
}

bool h2_is_closed(struct h2_client *c, int32_t id)
{
    return h2_answer(c, id)->closed;
}

bool h2_has_head(struct h2_client *c, int32_t id)
{
    return h2_answer(c, id)->status || h2_answer(c, id)->closed;
}

bool h2_has_goaway(struct h2_client *c, int32_t unused)
{
    return c->goaway;
}

bool h2_has_ended(struct h2_client *c, int32_t unused)
{
    return c->ended;
}

const char *h2_field(struct h2_client *c, int32_t id, const char *name)
{
    static char value[H2_TEXT];
    size_t n = strlen(name);

    for (const char *p = h2_answer(c, id)->fields, *end; *p; p = end + 1) {
        end = strchr(p, '\n');
        if ((size_t)(end - p) > n && memcmp(p, name, n) == 0 && p[n] == ':') {
            snprintf(value, sizeof(value), "%.*s", (int)(end - p - (long)n - 2), p + n + 2);
            return value;
        }
    }
    return NULL;
}
