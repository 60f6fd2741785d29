/* What comes in on a connection: its buffer, and reading into it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "listener/batch.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "listener/transport.h"
#include "base/poison.h"

enum { INPUT_SLACK = 4096 };

void input_drop(struct connection *c)
{
    char *sink = c->thread->scratch;

    for (;;) {
        ssize_t n = transport_recv(c, sink, SCRATCH_BYTES);
        if (n > 0 && (size_t)n < c->linger_left) {
            c->linger_left -= (uint32_t)n;
            continue;
        }
        if (n < 0 && errno == EAGAIN)
            return;
        if (n == 0 && c->out) {
            c->read_eof = true; /* it may still read what is on its way */
            conn_arm(c);
            return;
        }
        conn_close(c);
        return;
    }
}

/* Makes room behind the bytes that are there; false if the buffer is as large as it may be. */
static bool make_room(struct connection *c)
{
    struct thread *t = c->thread;
    struct input *in = c->in;
    const struct generation *g = c->x ? c->x->gen->generation : t->current->generation;
    uint32_t most = g->http1.max_request_bytes + INPUT_SLACK;

    if (!in) {
        c->in = input_new(t, INPUT_BYTES);
        return c->in != NULL;
    }
    if (in->end < in->cap)
        return true;
    if (in->start > 0 && c->state == C_READING) {
        memmove(in->data, in->data + in->start, in->end - in->start);
        in->end -= in->start;
        in->start = 0;
        return true;
    }
    if (in->cap >= most || c->state != C_READING)
        return false;
    uint32_t cap = in->cap * 2 < most ? in->cap * 2 : most;
    struct input *bigger = input_new(t, cap);

    if (!bigger)
        return false;
    memcpy(bigger->data, in->data, in->end);
    bigger->end = in->end;
    input_free(t, in);
    c->in = bigger;
    return true;
}

char *input_room(struct connection *c, size_t *ret_n)
{
    *ret_n = c->in->cap - c->in->end;
    return c->in->data + c->in->end;
}

bool input_make_body_room(struct connection *c)
{
    struct input *in = c->in;
    uint32_t n = in->end - in->start, need = c->x->head.head_len + INPUT_SLACK;

    if (in->start) {
        memmove(in->data, in->data + in->start, n);
        in->start = 0;
        in->end = n;
    }
    if (in->cap >= need)
        return true;
    struct input *bigger = input_new(c->thread, need + INPUT_BYTES);

    if (!bigger)
        return false;
    memcpy(bigger->data, in->data, n);
    bigger->end = n;
    input_free(c->thread, in);
    c->in = bigger;
    return true;
}

void input_read(struct connection *c)
{
    if (c->carrier) {
        c->carrier->readable(c);
        return;
    }
    if (c->state == C_LINGERING) {
        input_drop(c);
        return;
    }
    if (!make_room(c)) {
        c->read_paused = true; /* pipelined requests wait in the kernel */
        conn_arm(c);
        return;
    }
    struct input *in = c->in;
    ssize_t n = c->has_received ? batch_received(c)
                                : transport_recv(c, in->data + in->end, in->cap - in->end);

    if (n > 0) {
        in->end += (uint32_t)n;
        /* Less than there was room for is all there was, but for an end behind it. */
        if (UNLIKELY(c->tls ? transport_pending(c) : in->end == in->cap || c->is_hung_up))
            conn_ready(c);
        conn_advance(c);
        return;
    }
    if (in->start == in->end && !c->x) {
        input_free(c->thread, in);
        c->in = NULL;
    }
    if (n < 0 && errno == EAGAIN) {
        if (!c->io.armed)
            conn_arm(c);
        return;
    }
    if (n < 0) {
        conn_client_gone(c);
        return;
    }
    c->read_eof = true;
    if (c->state == C_BUSY && (!body_unread(c->x) || body_is_buffered(c))) {
        conn_arm(c); /* half-closed: it still wants its answer */
        return;
    }
    if (c->state == C_READING && c->advance_again) {
        conn_arm(c); /* whole requests are still to be looked at */
        return;
    }
    if (c->state == C_BUSY)
        conn_client_gone(c); /* it will never send the rest */
    else
        conn_close(c);
}

