/* A connection that carries streams (HTTP/2). A stream is a connection of its own, without a socket
 * and for one exchange; so routing, queues, bodies, answers, timers and logs are the same for
 * both. */
#ifndef CANDOR_LISTENER_STREAM_H
#define CANDOR_LISTENER_STREAM_H

#include "base/str.h"

struct cached_response;
struct connection;
struct thread;

/* Who reads and writes a carrier instead of the code for HTTP/1. */
struct carrier_ops {
    void (*readable)(struct connection *c);
    void (*writable)(struct connection *c); /* all of c->out has left */
    void (*finish)(struct connection *c);   /* no new streams; close when the last has ended */
    /* The socket goes: end every stream, free the session. */
    void (*end)(struct connection *c);
};

/* What leaves a stream as the head of its answer. lines: "Name: value\r\n", checked; valid during
 * the call. dated: a Date line of now goes behind them. */
struct stream_head {
    uint16_t status;
    bool no_body;  /* nothing follows */
    bool dated;
    uint64_t kept; /* serial of the cached answer that the lines are of; 0: of none */
    struct str lines;
    uint64_t length; /* Content-Length; UINT64_MAX: none is stated */
};

struct stream_ops {
    void (*head)(struct connection *c, const struct stream_head *h);
    /* The same together with all of a cached body, if that can leave at once. False: it cannot, and
     * nothing has been done. */
    bool (*whole)(struct connection *c, const struct stream_head *h,
                  const struct cached_response *r);
    void (*output)(struct connection *c); /* c->out has grown, or the exchange has ended */
    void (*http11)(struct connection *c); /* HTTP_1_1_REQUIRED: to come again without HTTP/2 */
    void (*consumed)(struct connection *c, size_t n); /* body bytes gone: the window may open */
    /* The listener is done with the stream, which is to be reset or not. The carrier forgets c. */
    void (*end)(struct connection *c, bool reset);
};

/* A stream of carrier, ready for its head, but only for as long as the caller is at work: it is in
 * no list, and its addresses are its carrier's. c: an earlier one that has not been kept; NULL: in
 * fresh memory. NULL: there is none. */
struct connection *conn_lend_stream(struct connection *c, struct connection *carrier,
                                    const struct stream_ops *ops);
/* c is what it gave; for a stream of another carrier at the same endpoint. */
void conn_lend_again(struct connection *c, struct connection *carrier);
/* It is one of the thread's connections from now on, until conn_close and its like. */
void conn_keep_stream(struct connection *c);

/* http2.c */
void http2_begin(struct connection *c); /* c carries streams from now on; c->in is HTTP/2's, too */
/* The input may be an HTTP/2 client's that did not ask first. True: it was, or more is needed to
 * tell; the parser is not to look at it. */
bool http2_prior_knowledge(struct connection *c);
void http2_flush(struct thread *t); /* sends what the turn has brought to streams */
void http2_tick(struct thread *t);  /* ends what a GOAWAY has announced */
void http2_thread_fini(struct thread *t);

/* transport.c: tell the other side of the two that this one ends */
void transport_end_carrier(struct connection *c);
void transport_end_stream(struct connection *c, bool reset);

#endif
