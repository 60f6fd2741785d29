/* A client's connection, or a stream of one: its input, its timer, its life. */
#ifndef CANDOR_LISTENER_CONNECTION_H
#define CANDOR_LISTENER_CONNECTION_H

#include "base/loop.h"
#include "http/http1_parser.h"
#include "listener/timer_wheel.h"
#include "logging/logging.h"
#include "queue/message.h"

struct carrier_ops;
struct exchange;
struct out_segment;
struct proxy_parser;
struct site_state;
struct stream_ops;
struct thread;
struct throttle;
struct tls_conn;

/* Of a connection, and of a stream, which has a head and then perhaps nothing. */
enum { INPUT_BYTES = 20 * 1024, INPUT_SMALL_BYTES = 2 * 1024 };

struct input {
    struct input *next;
    uint32_t cap, start, end;
    char data[];
};

struct input *input_new(struct thread *t, uint32_t cap);
void input_free(struct thread *t, struct input *in);

enum timer_kind {
    T_NONE,
    T_IDLE,
    T_HEADER,
    T_BODY,
    T_QUEUE,
    T_SEND,
    T_LINGER,
    T_DRAIN,
    T_RENEGOTIATION,
    T_DROPPED,
};

enum { RENEGOTIATION_MS = 120 * 1000 };

enum conn_state {
    C_READING,   /* waits for a request, or reads its head */
    C_OPENING,   /* before the first request: PROXY header, TLS handshake */
    C_BUSY,      /* a request is under way */
    C_DRAINING,  /* answered; the rest of its body is read and dropped */
    C_LINGERING, /* our side is shut; waits for the client's */
    C_GONE,      /* no socket any more; only the log is still to be written */
};

struct connection {
    struct loop_io io;
    struct timer_entry timer;
    struct connection *next, **prev;
    struct thread *thread;
    struct exchange *x;
    struct input *in;
    struct out_segment *out, **out_end;
    struct site_state *counted;
    struct tls_conn *tls;             /* NULL: the bytes are on the socket as they are */
    const struct carrier_ops *carrier; /* NULL: HTTP/1, or a stream */
    void *carrier_data;
    const struct stream_ops *stream;  /* NULL: no stream, or one that has ended */
    struct connection *parent;        /* of a stream: its carrier, while stream is set */
    void *stream_data;
    uint32_t stream_id;
    bool is_stream, is_tls;
    bool is_dropped;   /* the client has gone; the worker's last word is waited for */
    bool in_handshake; /* events are for TLS: the first handshake, or asking for a certificate */
    struct connection *ready_next, **ready_prev; /* to be gone on with, though no event says so */
    uint8_t state, timer_kind;
    bool read_eof, read_paused;
    bool reads_on, sends_on; /* why it is in the thread's list of ready ones */
    bool is_hung_up; /* the client's end has come behind what is to be read */
    bool has_received;
    bool parked;                      /* throttled: must not send before its turn */
    bool advancing, advance_again;    /* conn_advance is at work; it was called from within */
    struct proxy_parser *proxy;       /* malloc: while the header of a balancer is read */
    struct throttle *throttle;        /* NULL: never met a limit */
    uint64_t endpoint; /* of the socket that it came in by; not of a stream */
    uint16_t bind_port;
    uint16_t batched; /* its answer leaves at the end of the turn: its place there, from 1 */
    uint32_t idle_ms;
    int received; /* while has_received: what the turn's reading gave, see batch.h */
    uint32_t linger_left; /* bytes that it may still send for nothing; 0: not yet lingering */
    uint64_t accepted_ms;
    /* set at once with the connection, or with each request; everything above starts as zero */
    struct msg_address remote, local;
    struct log_addr log_remote, log_local;
    char remote_text[LOG_ADDR_TEXT_MAX], local_text[LOG_ADDR_TEXT_MAX];
    struct http1_parser parser;
};

/* input.c */
void input_read(struct connection *c);
void input_drop(struct connection *c); /* of one that lingers; c may be gone */
char *input_room(struct connection *c, size_t *ret_n); /* of one with a request; what is left */
bool input_make_body_room(struct connection *c); /* behind the head; may move the head */

/* connection.c: parse, timers, the connection's life */
void conn_on_event(struct loop_io *io, uint32_t events);
void conn_read_on(struct connection *c); /* after a pause */
void conn_ready(struct connection *c);   /* to be read in the next turn, whatever epoll says */
void conn_send_on(struct connection *c); /* to send on in the next turn: others come first */
bool conn_read_ready(struct thread *t); /* true: there is more to read */
void conn_advance(struct connection *c);
void conn_timer_fired(struct timer_entry *e);
void conn_set_timer(struct connection *c, enum timer_kind kind, uint64_t ms);
void conn_body_timer(struct connection *c); /* Timer_EntityBody: on while it is waited for */
void conn_close(struct connection *c);        /* orderly; frees unless an exchange still needs it */
void conn_reset(struct connection *c);        /* with RST */
void conn_client_gone(struct connection *c);  /* the socket failed */
void conn_linger(struct connection *c);
void conn_free(struct connection *c);
void conn_arm(struct connection *c);
/* All connections of the thread, those of streams too; visit may end any of them. */
void conn_visit(struct thread *t, void (*visit)(struct connection *c));
void conn_drop_idle(struct thread *t); /* the server stops: those without a request end */
bool conn_has_more_input(const struct connection *c); /* behind the request under way */
/* Tells HTTP/2 clients whose endpoint, or whose site's binding, is no more there to go. */
void conn_drop_homeless(struct thread *t);
void conn_watch_young(struct thread *t); /* those that no event was needed for so far */
void conn_bury(struct thread *t);        /* at the end of a turn */

#endif
