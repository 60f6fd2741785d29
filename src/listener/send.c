/* What leaves a connection: at once when the socket takes it, else in a queue of segments. */
#include <errno.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "listener/internal.h"
#include "base/poison.h"

enum { SENDFILE_PER_CALL = 1 << 20 };

static void append(struct connection *c, struct out_segment *s)
{
    s->next = NULL;
    *c->out_end = s;
    c->out_end = &s->next;
}

static void free_segment(struct out_segment *s)
{
    if (s->file)
        link_file_unref(s->link, s->file);
    free(s);
}

static void pop(struct connection *c)
{
    struct out_segment *s = c->out;

    c->out = s->next;
    if (!c->out)
        c->out_end = &c->out;
    free_segment(s);
}

void out_drop(struct connection *c)
{
    while (c->out)
        pop(c);
}

/* The socket is full: watch for room, and for the least rate the client has to keep. */
static void wait_for_room(struct connection *c)
{
    struct exchange *x = c->x;
    uint32_t rate = x ? x->gen->generation->min_bytes_per_second : 0;

    conn_arm(c);
    if (c->timer_kind == T_SEND || c->timer_kind == T_LINGER)
        return;
    if (!x || c->state == C_LINGERING)
        conn_set_timer(c, T_LINGER, 30000);
    else if (rate)
        conn_set_timer(c, T_SEND, x->response_bytes * 1000 / rate);
}

static bool queue_bytes(struct connection *c, const char *p, size_t n, bool is_body)
{
    struct out_segment *s = malloc(sizeof(*s) + n);

    if (!s) {
        conn_reset(c);
        return false;
    }
    *s = (struct out_segment){.length = n, .is_body = is_body};
    memcpy(s->data, p, n);
    append(c, s);
    wait_for_room(c);
    return true;
}

bool out_bytes(struct connection *c, const void *p, size_t n, bool more, bool is_body)
{
    if (c->out)
        return queue_bytes(c, p, n, is_body);
    ssize_t sent = send(c->io.fd, p, n, MSG_NOSIGNAL | (more ? MSG_MORE : 0));

    if (UNLIKELY(sent < 0)) {
        if (errno != EAGAIN && errno != EINTR) {
            conn_client_gone(c);
            return false;
        }
        sent = 0;
    }
    if (sent)
        response_sent(c, (uint64_t)sent, is_body);
    if ((size_t)sent == n)
        return true;
    return queue_bytes(c, (const char *)p + sent, n - (size_t)sent, is_body);
}

/* 1: all of it has left; 0: the socket is full; -1: the connection is gone. */
static int send_file_part(struct connection *c, int fd, uint64_t *offset, uint64_t *length)
{
    while (*length) {
        off_t at = (off_t)*offset;
        size_t want = *length < SENDFILE_PER_CALL ? (size_t)*length : SENDFILE_PER_CALL;
        ssize_t n = sendfile(c->io.fd, fd, &at, want);

        if (n > 0) {
            *offset += (uint64_t)n;
            *length -= (uint64_t)n;
            response_sent(c, (uint64_t)n, false);
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n == 0 || errno == EIO || errno == EINVAL)
            conn_reset(c); /* the file is shorter than promised: the client must not believe it whole */
        else
            conn_client_gone(c);
        return -1;
    }
    return 1;
}

bool out_file(struct connection *c, struct link *k, struct out_file *f, uint64_t offset,
              uint64_t length)
{
    if (!c->out) {
        int rc = send_file_part(c, f->fd, &offset, &length);
        if (rc != 0)
            return rc > 0;
    }
    struct out_segment *s = malloc(sizeof(*s));

    if (!s) {
        conn_reset(c);
        return false;
    }
    *s = (struct out_segment){.file = f, .link = k, .offset = offset, .length = length};
    f->refs++;
    append(c, s);
    wait_for_room(c);
    return true;
}

bool out_flush(struct connection *c)
{
    while (c->out) {
        struct out_segment *s = c->out;

        if (s->file) {
            int rc = send_file_part(c, s->file->fd, &s->offset, &s->length);
            if (rc < 0)
                return false;
            if (rc == 0)
                return true;
        } else {
            ssize_t n = send(c->io.fd, s->data + s->offset, s->length,
                             MSG_NOSIGNAL | (s->next ? MSG_MORE : 0));
            if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return true;
            if (n < 0) {
                conn_client_gone(c);
                return false;
            }
            s->offset += (uint64_t)n;
            s->length -= (uint64_t)n;
            response_sent(c, (uint64_t)n, s->is_body);
            if (s->length)
                continue;
        }
        pop(c);
    }
    if (c->timer_kind == T_SEND)
        conn_set_timer(c, T_NONE, 0);
    conn_arm(c);
    if (c->state == C_LINGERING) {
        conn_linger(c);
        return false;
    }
    return response_check_done(c);
}
