#include "listener/batch.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/socket_batch.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/output.h"
#include "listener/thread.h"
#include "listener/transport.h"
#include "base/poison.h"

enum {
    ANSWER_BYTES_MAX = 4096, /* more than that costs more by itself than a call */
    ANSWERS_BYTES = 256 * 1024,
    MANY = 16, /* below that, clients that have their answer early are worth more than the calls */
};

struct answer {
    struct connection *conn; /* NULL: it has left by itself */
    uint64_t credit;
    uint32_t at, n;
};

struct batch {
    struct socket_batch *calls;
    struct connection *readers[SOCKET_BATCH_MAX];
    struct answer answers[SOCKET_BATCH_MAX];
    unsigned n;
    unsigned expected; /* so many answers may come in this part of the turn */
    const int *results; /* of the answers, while they are worked off: new ones are not taken */
    uint32_t used;
    char bytes[ANSWERS_BYTES];
};

struct batch *batch_new(void)
{
    struct socket_batch *calls = socket_batch_take();

    if (!calls)
        return NULL;
    struct batch *b = xcalloc(1, sizeof(*b));

    b->calls = calls;
    return b;
}

struct batch *batch_free(struct batch *b)
{
    if (b)
        socket_batch_free(b->calls);
    free(b);
    return NULL;
}

/* Waits for a request on a plain socket and has nothing of it yet. */
static bool is_idle(const struct connection *c)
{
    return c->state == C_READING && !c->in && c->io.fd >= 0 && !c->tls && !c->carrier &&
           !c->in_handshake && !c->read_paused && !c->read_eof;
}

void batch_expect(struct thread *t, unsigned n)
{
    if (t->batch)
        t->batch->expected = n;
}

void batch_receive(struct thread *t, const struct epoll_event *events, int n)
{
    struct batch *b = t->batch;
    unsigned k = 0;

    batch_expect(t, (unsigned)n);
    if (!b || b->expected < MANY)
        return;
    for (int i = 0; i < n && k < SOCKET_BATCH_MAX; i++) {
        struct loop_io *io = events[i].data.ptr;
        if (!io || io->on_event != conn_on_event || events[i].events != EPOLLIN)
            continue;
        struct connection *c = CONTAINER_OF(io, struct connection, io);
        if (!is_idle(c) || !(c->in = input_new(t, INPUT_BYTES)))
            continue;
        INVARIANT(socket_batch_recv(b->calls, c->io.fd, c->in->data, INPUT_BYTES));
        b->readers[k++] = c;
    }
    const int *results = socket_batch_run(b->calls);

    for (unsigned i = 0; i < k; i++) {
        b->readers[i]->received = results[i];
        b->readers[i]->has_received = true;
    }
}

ssize_t batch_received(struct connection *c)
{
    c->has_received = false;
    if (c->received >= 0)
        return c->received;
    errno = -c->received;
    return -1;
}

/* The client waits for this answer and has sent nothing behind its request. */
static bool may_wait(const struct connection *c)
{
    const struct exchange *x = c->x;

    return x && c->state == C_BUSY && (x->ended || x->closing) && !x->close && !c->tls &&
           !c->throttle && !c->is_stream && x->body == BODY_NONE &&
           !conn_has_more_input(c);
}

bool batch_answer(struct connection *c, const void *p, size_t n, uint64_t credit)
{
    struct batch *b = c->thread->batch;

    if (!b || b->expected < MANY || n > ANSWER_BYTES_MAX || b->results || b->n == SOCKET_BATCH_MAX ||
        n > sizeof(b->bytes) - b->used || !may_wait(c))
        return false;
    memcpy(b->bytes + b->used, p, n);
    b->answers[b->n++] =
        (struct answer){.conn = c, .credit = credit, .at = b->used, .n = (uint32_t)n};
    b->used += (uint32_t)n;
    c->batched = (uint16_t)b->n;
    return true;
}

/* Those that had to leave earlier take no place in the batch of calls. */
static void close_ranks(struct batch *b)
{
    unsigned n = 0;

    for (unsigned i = 0; i < b->n; i++)
        if (b->answers[i].conn) {
            b->answers[n++] = b->answers[i];
            b->answers[n - 1].conn->batched = (uint16_t)n;
        }
    b->n = n;
}

void batch_send(struct thread *t)
{
    struct batch *b = t->batch;

    if (!b || b->n == 0)
        return;
    close_ranks(b);
    for (const struct answer *a = b->answers; a < b->answers + b->n; a++)
        INVARIANT(socket_batch_send(b->calls, a->conn->io.fd, b->bytes + a->at, a->n));
    b->results = socket_batch_run(b->calls);
    for (unsigned i = 0; i < b->n; i++) {
        struct answer *a = &b->answers[i];
        struct connection *c = a->conn;
        if (!c)
            continue;
        c->batched = 0;
        a->conn = NULL;
        out_sent(c, b->bytes + a->at, a->n, a->credit, b->results[i]);
    }
    b->results = NULL;
    b->n = b->used = 0;
}

void batch_leave(struct connection *c)
{
    struct batch *b = c->thread->batch;
    struct answer *a = &b->answers[c->batched - 1];
    ssize_t sent = b->results ? b->results[c->batched - 1]
                              : transport_send(c, b->bytes + a->at, a->n, /* more = */ false);

    c->batched = 0;
    a->conn = NULL;
    if (sent > 0)
        response_sent(c, (uint64_t)sent, /* credit = */ 0);
}
