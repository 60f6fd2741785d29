/* What leaves a connection: at once when the socket takes it, else in a queue of segments. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "listener/batch.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/link.h"
#include "listener/output.h"
#include "listener/response_cache.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "listener/transport.h"
#include "base/poison.h"

enum { SENDFILE_PER_TURN = 1024 * 1024, SEND_LAST_MS = 30000 };

uint64_t response_due_ms(const struct exchange *x)
{
    enum { A_MONTH_S = 30 * 86400 };
    uint64_t s = x->response_bytes / x->gen->generation->min_bytes_per_second;

    /* A length is the worker's to claim: it must not overflow. */
    return s >= A_MONTH_S ? A_MONTH_S * UINT64_C(1000)
                          : x->response_bytes * 1000 / x->gen->generation->min_bytes_per_second;
}

/* Where the bytes of a segment are: a file, or -1 and memory. */
static int segment_fd(const struct out_segment *s)
{
    return s->file ? s->file->fd : s->cached && !s->cached->in_memory ? s->cached->fd : -1;
}

static const char *segment_bytes(const struct out_segment *s)
{
    return s->cached ? cached_response_body(s->cached).p : s->data;
}

static void append(struct connection *c, struct out_segment *s)
{
    s->next = NULL;
    *c->out_end = s;
    c->out_end = &s->next;
}

static void free_segment(struct out_segment *s)
{
    if (s->file)
        out_file_unref(s->file);
    if (s->cached)
        cached_response_unref(s->cached);
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

static ssize_t throttled(struct connection *c, ssize_t n, uint64_t may)
{
    bool again = n < 0 && (errno == EAGAIN || errno == EINTR);

    throttle_give_back(c, n > 0 ? may - (uint64_t)n : may, again);
    return n;
}

static ssize_t send_some(struct connection *c, const void *p, size_t n, bool more)
{
    if (LIKELY(!c->throttle))
        return transport_send(c, p, n, more);
    uint64_t may = throttle_take(c, n);

    if (may == 0) {
        errno = EAGAIN;
        return -1;
    }
    return throttled(c, transport_send(c, p, (size_t)may, more), may);
}

static ssize_t sendfile_some(struct connection *c, int fd, uint64_t offset, size_t n)
{
    if (LIKELY(!c->throttle))
        return transport_sendfile(c, fd, offset, n);
    uint64_t may = throttle_take(c, n);

    if (may == 0) {
        errno = EAGAIN;
        return -1;
    }
    return throttled(c, transport_sendfile(c, fd, offset, (size_t)may), may);
}

/* The socket is full: watch for room, and for the least rate the client has to keep. */
static void wait_for_room(struct connection *c)
{
    struct exchange *x = c->x;
    uint32_t rate = x ? x->gen->generation->min_bytes_per_second : 0;

    if (c->stream) {
        c->stream->output(c);
        return;
    }
    conn_arm(c);
    if (c->carrier)
        return; /* has timers of its own */
    if (c->throttle) {
        /* Its rate is ours to blame; only standing still is not. */
        conn_set_timer(c, c->parked ? T_NONE : T_SEND, c->idle_ms);
        return;
    }
    if (c->timer_kind == T_SEND || c->timer_kind == T_LINGER)
        return;
    if (!x || c->state == C_LINGERING)
        conn_set_timer(c, T_LINGER, SEND_LAST_MS);
    else if (rate)
        conn_set_timer(c, T_SEND, response_due_ms(x));
}

static bool queue_bytes(struct connection *c, const char *p, size_t n, uint64_t credit)
{
    struct out_segment *s = malloc(sizeof(*s) + n);

    if (!s) {
        conn_reset(c);
        return false;
    }
    *s = (struct out_segment){.length = n, .credit = credit};
    memcpy(s->data, p, n);
    append(c, s);
    wait_for_room(c);
    return true;
}

/* Framing counts as sent last: what is credited is never more than what has left. */
static uint64_t part_of_credit(uint64_t sent, uint64_t credit)
{
    return sent < credit ? sent : credit;
}

/* Accounts for what has left of n bytes and queues the rest. */
static bool account(struct connection *c, const void *p, size_t n, uint64_t credit, ssize_t sent,
                    int error)
{
    if (UNLIKELY(sent < 0)) {
        if (error != EAGAIN && error != EINTR) {
            conn_client_gone(c);
            return false;
        }
        sent = 0;
    }
    uint64_t paid = part_of_credit((uint64_t)sent, credit);

    if (sent)
        response_sent(c, (uint64_t)sent, paid);
    if ((size_t)sent == n)
        return true;
    return queue_bytes(c, (const char *)p + sent, n - (size_t)sent, credit - paid);
}

bool out_bytes(struct connection *c, const void *p, size_t n, bool more, uint64_t credit)
{
    INVARIANT(!c->batched); /* that was the answer's end */
    if (c->out || c->stream)
        return queue_bytes(c, p, n, credit);
    if (!more && batch_answer(c, p, n, credit))
        return true;
    ssize_t sent = send_some(c, p, n, more);

    return account(c, p, n, credit, sent, errno);
}

void out_sent(struct connection *c, const void *p, size_t n, uint64_t credit, int sent)
{
    if (account(c, p, n, credit, sent, -sent))
        response_check_done(c);
}

/* 1: all of it has left; 0: the socket is full, or others are to have their turn; -1: the
 * connection is gone. */
static int send_file_part(struct connection *c, int fd, uint64_t *offset, uint64_t *length)
{
    uint64_t turn = SENDFILE_PER_TURN;

    while (*length) {
        if (turn == 0) {
            conn_send_on(c);
            return 0;
        }
        size_t want = *length < turn ? (size_t)*length : (size_t)turn;
        ssize_t n = sendfile_some(c, fd, *offset, want);

        if (n > 0) {
            *offset += (uint64_t)n;
            *length -= (uint64_t)n;
            turn -= (uint64_t)n;
            response_sent(c, (uint64_t)n, 0);
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n == 0 || errno == EIO || errno == EINVAL)
            conn_reset(c); /* shorter than promised: the client must not believe it whole */
        else
            conn_client_gone(c);
        return -1;
    }
    return 1;
}

bool out_file(struct connection *c, struct out_file *f, uint64_t offset, uint64_t length)
{
    if (!c->out && !c->stream) {
        int rc = send_file_part(c, f->fd, &offset, &length);
        if (rc != 0)
            return rc > 0;
    }
    struct out_segment *s = malloc(sizeof(*s));

    if (!s) {
        conn_reset(c);
        return false;
    }
    *s = (struct out_segment){.file = f, .offset = offset, .length = length};
    f->refs++;
    c->x->queued_files++;
    append(c, s);
    wait_for_room(c);
    return true;
}

ssize_t out_take(struct connection *c, char *buf, size_t n, bool *ret_last)
{
    size_t have = 0;

    while (c->out && have < n) {
        struct out_segment *s = c->out;
        size_t part = s->length < n - have ? (size_t)s->length : n - have;
        uint64_t paid = 0;

        int fd = segment_fd(s);

        if (fd >= 0) {
            ssize_t got = pread(fd, buf + have, part, (off_t)s->offset);
            if (got <= 0) {
                conn_reset(c); /* shorter than promised: the client must not believe it whole */
                return -1;
            }
            part = (size_t)got;
        } else {
            memcpy(buf + have, segment_bytes(s) + s->offset, part);
            paid = part_of_credit(part, s->credit);
        }
        have += part;
        s->offset += part;
        s->length -= part;
        s->credit -= paid;
        response_sent(c, part, paid);
        if (s->length)
            continue;
        if (s->file && c->x)
            c->x->queued_files--;
        pop(c);
    }
    *ret_last = !c->out && (!c->x || c->x->ended);
    return (ssize_t)have;
}

void out_taken(struct connection *c)
{
    if (c->out)
        return;
    if (c->timer_kind == T_SEND) {
        conn_set_timer(c, T_NONE, 0);
        if (c->state == C_BUSY)
            conn_body_timer(c);
    }
    if (c->state == C_LINGERING)
        conn_linger(c);
    else
        response_check_done(c);
}

bool out_cached(struct connection *c, const struct cached_response *r, uint64_t offset,
                uint64_t length)
{
    if (!c->out && !c->stream && !r->in_memory) {
        int rc = send_file_part(c, r->fd, &offset, &length);
        if (rc != 0)
            return rc > 0;
    }
    struct out_segment *s = malloc(sizeof(*s));

    if (!s) {
        conn_reset(c);
        return false;
    }
    *s = (struct out_segment){.cached = cached_response_ref(r), .offset = offset, .length = length};
    append(c, s);
    wait_for_room(c);
    return true;
}

/* EPOLLOUT has come and a throttled connection may still not send. */
static void out_blocked(struct connection *c)
{
    if (c->throttle)
        wait_for_room(c);
}

bool out_flush(struct connection *c)
{
    while (c->out) {
        struct out_segment *s = c->out;
        int fd = segment_fd(s);

        if (fd >= 0) {
            int rc = send_file_part(c, fd, &s->offset, &s->length);
            if (rc < 0)
                return false;
            if (rc == 0) {
                out_blocked(c);
                return true;
            }
            if (c->x && s->file)
                c->x->queued_files--;
        } else {
            ssize_t n =
                send_some(c, segment_bytes(s) + s->offset, s->length, s->next != NULL);
            if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
                out_blocked(c);
                return true;
            }
            if (n < 0) {
                conn_client_gone(c);
                return false;
            }
            uint64_t paid = part_of_credit((uint64_t)n, s->credit);
            s->offset += (uint64_t)n;
            s->length -= (uint64_t)n;
            s->credit -= paid;
            response_sent(c, (uint64_t)n, paid);
            if (s->length)
                continue;
        }
        pop(c);
    }
    if (c->timer_kind == T_SEND) {
        conn_set_timer(c, T_NONE, 0);
        if (c->state == C_BUSY)
            conn_body_timer(c);
    }
    conn_arm(c);
    if (c->carrier) {
        c->carrier->writable(c);
        return c->io.fd >= 0;
    }
    if (c->state == C_LINGERING) {
        conn_linger(c);
        return false;
    }
    return response_check_done(c);
}
