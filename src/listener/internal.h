/* The listener's own types. Everything below struct thread belongs to one event thread and is
 * touched by no other; what threads share is the generation, the pools' counters and the sites'
 * connection counts. Orders from the control thread arrive as letters in a thread's mailbox. */
#ifndef CANDOR_LISTENER_INTERNAL_H
#define CANDOR_LISTENER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/loop.h"
#include "http/chunked.h"
#include "http/date.h"
#include "http/response1.h"
#include "http/http1_parser.h"
#include "listener/bandwidth.h"
#include "listener/generation.h"
#include "listener/memory_guard.h"
#include "listener/metrics.h"
#include "listener/response_cache.h"
#include "listener/timer_wheel.h"
#include "logging/logging.h"
#include "queue/message.h"
#include "queue/region.h"
#include "queue/ring.h"

struct exchange;
struct link;
struct proxy_parser;
struct listener_metrics;
struct thread;
struct http2_thread;
struct tls_conn;
struct tls_table;

/* How many connections of a site are open; for maxConnections. */
struct site_state {
    struct site_state *next;
    uint32_t id;
    _Atomic uint32_t connections;
};

struct pool_waiting {
    _Alignas(64) _Atomic uint32_t n;
};

/* An application pool as the listener knows it: a request queue with a state. Never freed. */
struct pool {
    struct pool *next;
    struct str name;
    unsigned index;
    _Atomic uint32_t closed;       /* enum httperr_reason; HTTPERR_NONE: open */
    _Atomic uint32_t queue_length; /* queueLength */
    _Atomic bool tcp_level;        /* loadBalancerCapabilities */
    struct pool_waiting *waiting;  /* per thread: requests that no worker has taken */
};

struct listener {
    int control;
    struct listener_metrics *metrics; /* NULL: nobody asked for them */
    struct loop *loop;
    struct loop_io control_io;
    unsigned n_threads;
    struct thread *threads;
    struct logging *logging;
    struct response_cache *cache;
    struct generation *generation;
    struct pool *pools;
    unsigned n_pools;
    struct site_state *sites;
    struct worker_process *workers;
    pthread_mutex_t inbox_lock; /* letters from threads to the control thread */
    struct letter *inbox, **inbox_end;
    _Atomic uint64_t connections;
    struct memory_guard memory; /* thread 0 looks */
    bool stopping;
    unsigned threads_stopped;
    bool log_stdout;
};

/* A process at the other end of the rings. Shared by the control thread and the threads' links. */
struct worker_process {
    struct worker_process *next;
    uint64_t id;
    struct pool *pool;
    struct region region;
    int *listener_wake, *worker_wake, *file_sock; /* per thread */
    _Atomic unsigned refs; /* one per link and the control thread's */
    unsigned drained; /* links that have reported empty; control thread only */
};

enum letter_kind {
    /* control thread to event thread */
    LETTER_GENERATION,
    LETTER_ENDPOINT_ADD,
    LETTER_ENDPOINT_REMOVE,
    LETTER_POOL_CLOSED,
    LETTER_WORKER_ATTACH,
    LETTER_WORKER_DRAIN,
    LETTER_WORKER_GONE,
    LETTER_STOP,
    LETTER_TLS,
    LETTER_CERTIFICATE, /* handshakes that wait for one may go on */
    LETTER_SYNC, /* goes from thread to thread, then back as LETTER_SYNCED */
    /* event thread to control thread */
    LETTER_DEMAND,
    LETTER_LINK_EMPTY,
    LETTER_MALFORMED,
    LETTER_THREAD_STOPPED,
    LETTER_EVENT,
    LETTER_SYNCED,
};

struct letter {
    struct letter *next;
    enum letter_kind kind;
    struct generation *generation;
    struct worker_process *worker;
    struct pool *pool;
    struct tls_table *tls;
    uint64_t id; /* endpoint, or timeout in ms */
    bool https;
    int fd;
    uint16_t port;
    const char *text; /* static */
    json_t *json;     /* the receiver's to release */
};

/* A listening socket of this thread. */
struct acceptor {
    struct loop_io io;
    struct acceptor *next;
    struct thread *thread;
    uint64_t id;
    uint16_t port;
    bool any_address, https;
    struct sockaddr_storage address;
};

/* A generation as one thread holds it, so that requests count their references without atomics. */
struct held_generation {
    struct generation *generation;
    uint32_t refs;
};

/* This thread's share of a pool: requests waiting for a worker, and the workers. */
struct thread_pool {
    struct pool *pool;
    struct exchange *first, **last; /* not handed to any ring */
    struct link *links;
    uint64_t demanded_ms; /* when a worker was last asked for */
};

struct out_file {
    struct out_file *next;
    uint32_t handle, refs; /* refs: segments under way */
    int fd;
    bool closed; /* in no table any more: it goes with its last segment */
};

enum { LINK_FILE_SLOTS = 256, LINK_FILES_MAX = 16384 };

/* This thread's end of the rings to one worker. */
struct link {
    struct loop_io io; /* our eventfd */
    struct link *next; /* of the pool */
    struct link *next_all;
    struct link *next_dirty;
    struct thread *thread;
    struct thread_pool *pool;
    struct worker_process *worker;
    struct ring requests, responses;
    struct exchange *untaken, **untaken_end; /* pushed, in ring order */
    struct exchange *held;
    uint32_t n_untaken, n_held, n_unsent; /* unsent: exchanges with records that found no room */
    uint32_t n_files;
    bool draining, reported_empty, gone, dirty;
    int file_sock;
    struct out_file *files[LINK_FILE_SLOTS];
};

enum exchange_state {
    X_HEAD,    /* being read */
    X_QUEUED,  /* waits in the thread's pool queue */
    X_PUSHED,  /* in a ring, not taken */
    X_HELD,    /* a worker has it */
    X_OWN,     /* the listener answers by itself, or drains */
};

enum body_state { BODY_NONE, BODY_COMING, BODY_DONE };

enum { X_UNSENT_ABORT = 1, X_UNSENT_CREDIT = 2, X_UNSENT_BODY = 4, X_UNSENT_CERT = 8 };

/* One request and its response. */
struct exchange {
    struct exchange *next, **prev; /* in a queue or a link's list */
    struct connection *conn;
    struct held_generation *gen;
    const struct site *site;
    struct thread_pool *pool;
    struct link *link;
    uint64_t ring_end; /* taken once the consumer has passed it */
    uint32_t slot, serial;
    uint8_t state; /* enum exchange_state */

    /* request */
    uint64_t request_id, begin_ms, queued_ms;
    int64_t begin_wall_us;
    uint64_t bytes_received;
    struct url_cooked url;
    char *path_copy; /* malloc, if the cooked path differs from the raw one */
    uint8_t body;    /* enum body_state */
    bool sent_continue, aborted, client_gone;
    uint8_t unsent;
    uint64_t body_left; /* UINT64_MAX: until the stream ends */
    uint64_t body_credit;
    struct chunked chunked;

    /* response */
    bool started; /* the head is in */
    bool closing; /* the record being worked off is the closing one */
    bool ended;   /* the worker has nothing more to do with it */
    bool chunk_response, no_body, close;
    bool no_log; /* the worker wants no line in the site's log */
    bool logged; /* it has its one line, in whichever log */
    uint16_t status, substatus;
    uint32_t win32;
    uint64_t length_left; /* of a body with known length; UINT64_MAX: unknown */
    uint64_t bytes_sent, body_sent_uncredited, queued_body;
    uint32_t queued_files;
    uint64_t response_begin_ms, response_bytes;
    char *log_text; /* malloc: user, then custom lines */
    uint32_t user_len, custom_len;
    bool may_enter_cache, cert_wanted;
    struct cache_offer *offer; /* malloc: its body comes as a file */
    char *headers_copy; /* malloc: response headers, only for sites that log some */
    uint32_t headers_len;

    struct http1_head head;
};

/* Of a connection, and of a stream, which has a head and then perhaps nothing. */
enum { INPUT_BYTES = 20 * 1024, INPUT_SMALL_BYTES = 2 * 1024 };

struct input {
    struct input *next;
    uint32_t cap, start, end;
    char data[];
};

/* Buffers of one size, to be used again. */
struct free_inputs {
    struct input *first;
    unsigned n;
};

struct out_segment {
    struct out_segment *next;
    struct out_file *file; /* a worker's; NULL: memory, or what the cache has */
    const struct cached_response *cached; /* referenced; its file, or the memory of its body */
    uint64_t offset, length;
    uint64_t credit; /* body bytes in it that the worker's credit paid for */
    char data[];
};

enum timer_kind { T_NONE, T_IDLE, T_HEADER, T_BODY, T_QUEUE, T_SEND, T_LINGER, T_DRAIN, T_RENEGOTIATION, T_DROPPED };

enum { RENEGOTIATION_MS = 120 * 1000 };

/* A connection that carries streams (HTTP/2): who reads and writes it instead of the code for
 * HTTP/1. A stream is a connection of its own, without a socket and for one exchange; so routing,
 * queues, bodies, answers, timers and logs are the same for both. */
struct carrier_ops {
    void (*readable)(struct connection *c);
    void (*writable)(struct connection *c); /* all of c->out has left */
    void (*finish)(struct connection *c);   /* no new streams; close when the last has ended */
    void (*end)(struct connection *c);      /* the socket goes: end every stream, free the session */
};

/* What leaves a stream as the head of its answer. lines: "Name: value\r\n", checked; valid during
 * the call. */
struct stream_head {
    uint16_t status;
    struct str lines;
    uint64_t length; /* Content-Length; UINT64_MAX: none is stated */
    bool no_body;    /* nothing follows */
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
    /* The listener is done with the stream, by reset if it is to be reset. The carrier forgets c. */
    void (*end)(struct connection *c, bool reset);
};

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
    struct connection *ready_next, **ready_prev; /* to be gone on with, though no event will say so */
    uint8_t state, timer_kind;
    bool read_eof, read_paused;
    bool reads_on, sends_on; /* why it is in the thread's list of ready ones */
    bool is_hung_up; /* the client's end has come behind what is to be read */
    bool parked;                      /* throttled: must not send before its turn */
    bool advancing, advance_again;    /* conn_advance is at work; it was called from within */
    struct proxy_parser *proxy;       /* malloc: while the header of a balancer is read */
    struct throttle *throttle;        /* NULL: never met a limit */
    uint16_t bind_port;
    uint32_t idle_ms;
    uint32_t linger_left; /* bytes that it may still send for nothing; 0: not yet lingering */
    uint64_t accepted_ms;
    /* set at once with the connection, or with each request; everything above starts as zero */
    struct msg_address remote, local;
    struct log_addr log_remote, log_local;
    char remote_text[LOG_ADDR_TEXT_MAX], local_text[LOG_ADDR_TEXT_MAX];
    struct http1_parser parser;
};

struct thread {
    struct listener *listener;
    unsigned index;
    pthread_t id;
    struct loop *loop;
    struct metrics *metrics;
    struct held_generation *current;
    struct thread_pool **pools; /* by pool index */
    unsigned n_pools;
    struct link *links, *dirty;
    struct acceptor *acceptors;
    struct connection *connections; /* the youngest first */
    struct connection *dead;        /* freed in this turn; an event for one may still come */
    struct connection *ready;       /* to be gone on with without an event */
    struct tls_table *tls;          /* certificates in force; NULL: none yet */
    struct connection *free_connections;
    unsigned n_free_connections;
    unsigned n_dropped; /* connections whose client has gone and whose line is still to be written */
    uint64_t n_connections, last_tick_ms;
    struct timer_wheel wheel;
    struct loop_timer tick;
    struct free_inputs inputs, small_inputs;
    struct exchange *free_exchanges;
    struct exchange **slots; /* by slot number */
    uint32_t n_slots;
    size_t slots_cap;
    uint64_t next_request;
    int64_t wall_us;
    char date[HTTP_DATE_LEN];
    int64_t date_second;
    char *scratch; /* SCRATCH_BYTES: heads and small bodies under construction */
    char *cook;    /* room for cooked paths */
    struct http2_thread *http2; /* NULL: no connection has spoken it yet */
    size_t cook_cap;
    bool stopping;
    uint64_t stop_at_ms;
    pthread_mutex_t lock; /* mailbox */
    struct letter *mail, **mail_end;
};

enum { SCRATCH_BYTES = 256 * 1024 };

static inline uint64_t thread_now_ms(const struct thread *t)
{
    return loop_now_ms(t->loop);
}

static inline uint64_t exchange_id(const struct exchange *x)
{
    return (uint64_t)x->serial << 32 | x->slot;
}

/* thread.c */
void thread_init(struct listener *l, unsigned index);
void thread_start(struct listener *l, unsigned index); /* init, and runs it */
void thread_end_all(struct thread *t); /* links, then connections */
void thread_fini(struct thread *t);
void thread_post(struct thread *t, const struct letter *letter);   /* any thread */
void listener_post(struct listener *l, const struct letter *letter); /* any event thread */
struct thread_pool *thread_pool_of(struct thread *t, struct pool *p);
struct held_generation *thread_hold_generation(struct thread *t);
void thread_release_generation(struct thread *t, struct held_generation *h);
struct exchange *exchange_new(struct thread *t);
void exchange_free(struct thread *t, struct exchange *x);
struct input *input_new(struct thread *t, uint32_t cap);
void input_free(struct thread *t, struct input *in);

/* listener.c, orders.c: control thread */
void listener_tell(struct listener *l, json_t *msg); /* to the supervisor; msg is taken over */
/* Obeys one order; gives how many of the descriptors were taken over, from the first. */
size_t listener_obey(struct listener *l, json_t *msg, const int *fds, size_t n_fds);
void listener_answer_status(struct listener *l, json_int_t token);
void listener_finish(struct listener *l, uint64_t timeout_ms);

/* accept.c */
void acceptor_on_event(struct loop_io *io, uint32_t events);
/* Whose connection it is, by the word of a trusted balancer. */
void conn_set_remote(struct connection *c, const struct ip_address *ip, uint16_t port);
/* A stream of carrier, ready for its head; NULL: no memory. */
struct connection *conn_new_stream(struct connection *carrier, const struct stream_ops *ops);

/* opening.c: what comes before HTTP: PROXY header, TLS handshake */
bool opening_is_needed(const struct connection *c, bool https);
void opening_begin(struct connection *c, bool https);
void opening_step(struct connection *c);
void opening_retry(struct thread *t); /* the supervisor has answered about a certificate */

/* http2.c */
void http2_begin(struct connection *c); /* c carries streams from now on; c->in is HTTP/2's, too */
/* The input may be an HTTP/2 client's that did not ask first. True: it was, or more is needed to
 * tell; the parser is not to look at it. */
bool http2_prior_knowledge(struct connection *c);
void http2_flush(struct thread *t); /* sends what the turn has brought to streams */
void http2_thread_fini(struct thread *t);

/* transport.c: bytes through the socket or TLS, with the conventions of recv, send, sendfile */
ssize_t transport_recv(struct connection *c, void *p, size_t n);
ssize_t transport_send(struct connection *c, const void *p, size_t n, bool more);
ssize_t transport_sendfile(struct connection *c, int fd, uint64_t offset, size_t n);
bool transport_pending(const struct connection *c); /* input that no event will tell of */
uint32_t transport_tls_events(const struct connection *c, uint32_t wanted);
void transport_shutdown(struct connection *c);
void transport_close(struct connection *c, bool reset);
void transport_end_carrier(struct connection *c);
void transport_end_stream(struct connection *c, bool reset);

/* input.c */
void input_read(struct connection *c);
bool input_make_body_room(struct connection *c); /* behind the head; may move the head */

/* connection.c: parse, timers, the connection's life */
void conn_on_event(struct loop_io *io, uint32_t events);
bool conn_is_read(const struct connection *c); /* what comes will be noticed, and read */
void conn_read_on(struct connection *c); /* after a pause */
void conn_ready(struct connection *c);   /* to be read in the next turn, whatever epoll says */
void conn_send_on(struct connection *c); /* to send on in the next turn: others come first */
bool conn_read_ready(struct thread *t); /* true: there is more to read */
void conn_advance(struct connection *c);
void conn_timer_fired(struct timer_entry *e);
void conn_set_timer(struct connection *c, enum timer_kind kind, uint64_t ms);
void conn_body_timer(struct connection *c); /* Timer_EntityBody: on while the client is waited for */
void conn_close(struct connection *c);        /* orderly; frees unless an exchange still needs it */
void conn_reset(struct connection *c);        /* with RST */
void conn_client_gone(struct connection *c);  /* the socket failed */
void conn_linger(struct connection *c);
void conn_free(struct connection *c);
void conn_arm(struct connection *c);
void conn_drop_idle(struct thread *t);
void conn_watch_young(struct thread *t); /* those that no event was needed for so far */
void conn_bury(struct thread *t);        /* at the end of a turn */

/* intake.c: from a complete head to the pool's queue */
void intake_request(struct connection *c);
struct str intake_host(const struct connection *c); /* of the request: URL or Host, without port */
/* cached_answer.c */
bool cached_answer(struct connection *c); /* true: answered, c may be gone */
/* The head of an answer is in: lines checked and copied, body as in the ring. */
void cache_offer_head(struct exchange *x, const struct msg_response *h, struct str reason,
                      struct str lines, struct str body, bool closing);
void cache_offer_file(struct exchange *x, int fd, const struct msg_file *m, bool last);
bool cache_flush_record(struct link *k, const struct ring_record *rec); /* false: malformed */
/* client_certificate.c */
struct tls_facts;
void client_certificate_facts(const struct connection *c, struct tls_facts *ret,
                              uint32_t *ret_flags);   /* flags: of enum msg_request_flags */
void client_certificate_wanted(struct exchange *x);   /* the worker asks */
void client_certificate_owed(struct exchange *x);     /* its answer had found no room */
void client_certificate_step(struct connection *c);   /* an event while it is being asked for */
/* own_response.c */
void own_response(struct connection *c, enum httperr_reason reason); /* answers, logs, ends */
void own_log(struct connection *c, enum httperr_reason reason);      /* HTTPERR line only */

/* request_body.c */
/* Decides whether a body follows and looks at chunks already here; HTTPERR_NONE or why not. */
enum httperr_reason body_begin(struct connection *c);
void body_wanted(struct exchange *x, uint64_t amount); /* the worker asks for more */
void body_pump(struct connection *c);  /* gives the worker what has arrived, or drops it */
bool body_unread(const struct exchange *x);
bool body_is_buffered(const struct connection *c); /* all that is missing is here already */

/* send.c: what leaves the connection. False: the connection is gone (and has been dealt with). */
bool out_bytes(struct connection *c, const void *p, size_t n, bool more, uint64_t credit);
bool out_file(struct connection *c, struct out_file *f, uint64_t offset, uint64_t length);
/* length bytes from offset of the body of r, which need not be kept by the caller. */
bool out_cached(struct connection *c, const struct cached_response *r, uint64_t offset,
                uint64_t length);
void out_wait(struct connection *c); /* what is queued waits for room or for its turn */
bool out_flush(struct connection *c);
uint64_t response_due_ms(const struct exchange *x); /* what it may take at the least rate */
void out_drop(struct connection *c);
/* For the carrier of a stream: moves up to n of the bytes that wait to leave to buf; *ret_last: none
 * will follow. -1: the stream had to be reset, c may be gone. */
ssize_t out_take(struct connection *c, char *buf, size_t n, bool *ret_last);
/* All that was taken has been framed: ends the exchange if it was the last. c may be gone. */
void out_taken(struct connection *c);

/* throttle.c */
void throttle_begin(struct connection *c); /* with each response, whose site and generation count */
uint64_t throttle_take(struct connection *c, uint64_t want); /* 0: c is parked until its turn */
void throttle_give_back(struct connection *c, uint64_t unsent, bool try_again);
void throttle_end(struct connection *c);
void throttle_free(struct connection *c);

/* pool_queue.c */
void pool_enqueue(struct connection *c, struct thread_pool *tp);
void pool_dispatch(struct thread_pool *tp);
void pool_remove(struct exchange *x); /* takes it out of the queue or marks it as not waiting */
void pool_closed(struct thread_pool *tp, enum httperr_reason reason);
void pool_tick(struct thread_pool *tp);

/* link.c */
void link_attach(struct thread *t, struct worker_process *w);
void link_drain(struct thread *t, struct worker_process *w);
void link_gone(struct thread *t, struct worker_process *w);
void link_close_fds(struct worker_process *w, unsigned i); /* a thread's share of it */
void worker_unref(struct worker_process *w);
enum push_result { PUSH_DONE, PUSH_FULL, PUSH_TOO_LARGE };
enum push_result link_push_request(struct link *k, struct exchange *x);
void link_push_unsent(struct link *k);
void link_abort(struct exchange *x);
void link_owe(struct exchange *x, uint8_t what);
void link_update_taken(struct link *k);
void link_receive(struct link *k); /* works off what the worker has sent */
void link_release(struct exchange *x);
struct out_file *link_file(struct link *k, uint32_t handle);
bool link_has_more(const struct link *k, const struct ring_record *rec); /* of the same exchange */
void out_file_unref(struct out_file *f);
void link_wake_dirty(struct thread *t);
void link_mark_dirty(struct link *k);

/* response.c: a worker's answer. False: malformed, the worker is to be ended. */
bool response_head(struct exchange *x, const struct ring_record *rec);
bool response_body(struct exchange *x, const struct ring_record *rec);
bool response_file(struct exchange *x, const struct ring_record *rec);
bool response_end(struct exchange *x, const struct ring_record *rec);
void response_sent(struct connection *c, uint64_t n, uint64_t credit); /* bytes that have left */
bool response_check_done(struct connection *c); /* false: the request is over, c may be gone */
void response_finish(struct connection *c);     /* on to the next request, or the stream's end */
void response_abandoned(struct exchange *x);
/* site_log.c */
void site_log(struct exchange *x);

#endif
