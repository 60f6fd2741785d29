/* One request and its response, through queue, ring and worker to the line in a log. */
#ifndef CANDOR_LISTENER_EXCHANGE_H
#define CANDOR_LISTENER_EXCHANGE_H

#include "http/chunked.h"
#include "http/http1_parser.h"
#include "http/httperr_reason.h"
#include "http/url.h"
#include "queue/message.h"

struct application;
struct cache_offer;
struct cached_response;
struct connection;
struct held_generation;
struct input;
struct link;
struct ring_record;
struct site;
struct thread;
struct thread_pool;
struct tls_facts;

enum exchange_state {
    X_HEAD,    /* being read */
    X_QUEUED,  /* waits in the thread's pool queue */
    X_PUSHED,  /* in a ring, not taken */
    X_HELD,    /* a worker has it */
    X_OWN,     /* the listener answers by itself, or drains */
};

enum body_state { BODY_NONE, BODY_COMING, BODY_DONE };

enum { X_UNSENT_ABORT = 1, X_UNSENT_CREDIT = 2, X_UNSENT_BODY = 4, X_UNSENT_CERT = 8 };

struct exchange {
    struct exchange *next, **prev; /* in a queue or a link's list */
    struct connection *conn;
    struct held_generation *gen;
    const struct site *site;
    const struct application *app;
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
    uint64_t cache_hash; /* of its key in the cache, if that is known already; else 0 */
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

static inline uint64_t exchange_id(const struct exchange *x)
{
    return (uint64_t)x->serial << 32 | x->slot;
}

struct exchange *exchange_new(struct thread *t);
void exchange_reset(struct exchange *x); /* as if it were new; it owns nothing */
void exchange_free(struct thread *t, struct exchange *x);

/* intake.c: from a complete head to the pool's queue */
void intake_request(struct connection *c);
/* The two halves of it. What the request says: its URL, its site and application; that depends on
 * nothing but the head, the generation and our address. False: it has been refused, c may be
 * gone. */
bool intake_look(struct connection *c);
/* What holds now: pool, limits, cache, queue. c may be gone. */
void intake_admit(struct connection *c);
enum httperr_reason intake_may(struct connection *c); /* the first step of it */
struct str intake_host(const struct connection *c); /* of the request: URL or Host, without port */

/* pool_queue.c */
void pool_enqueue(struct connection *c, struct thread_pool *tp);
void pool_dispatch(struct thread_pool *tp);
void pool_remove(struct exchange *x); /* takes it out of the queue or marks it as not waiting */
void pool_closed(struct thread_pool *tp, enum httperr_reason reason);
void pool_tick(struct thread_pool *tp);

/* request_body.c */
/* Decides whether a body follows and looks at chunks already here; HTTPERR_NONE or why not. */
enum httperr_reason body_begin(struct connection *c);
void body_wanted(struct exchange *x, uint64_t amount); /* the worker asks for more */
void body_pump(struct connection *c);  /* gives the worker what has arrived, or drops it */
bool body_unread(const struct exchange *x);
bool body_is_buffered(const struct connection *c); /* all that is missing is here already */

/* client_certificate.c */
void client_certificate_facts(const struct connection *c, struct tls_facts *ret,
                              uint32_t *ret_flags);   /* flags: of enum msg_request_flags */
void client_certificate_wanted(struct exchange *x);   /* the worker asks */
void client_certificate_owed(struct exchange *x);     /* its answer had found no room */
void client_certificate_step(struct connection *c);   /* an event while it is being asked for */

/* response.c: a worker's answer. False: malformed, the worker is to be ended. */
bool response_head(struct exchange *x, const struct ring_record *rec);
bool response_body(struct exchange *x, const struct ring_record *rec);
bool response_file(struct exchange *x, const struct ring_record *rec);
bool response_end(struct exchange *x, const struct ring_record *rec);
void response_sent(struct connection *c, uint64_t n, uint64_t credit); /* bytes that have left */
bool response_check_done(struct connection *c); /* false: the request is over, c may be gone */
void response_finish(struct connection *c);     /* on to the next request, or the stream's end */
void response_abandoned(struct exchange *x);

/* cached_answer.c */
bool cached_answer(struct connection *c); /* true: answered, c may be gone */
/* The two halves of it; NULL: the cache has none for this request. */
const struct cached_response *cached_answer_find(struct connection *c);
void cached_answer_send(struct connection *c, const struct cached_response *r);
/* On a stream: all of the answer at once, and its line in the log. False: it cannot be, and nothing
 * has been done. */
bool cached_answer_at_once(struct connection *c, const struct cached_response *r);
uint64_t cached_answer_hash(const struct connection *c); /* for cache_hash */
/* The head of an answer is in: lines checked and copied, body as in the ring. */
void cache_offer_head(struct exchange *x, const struct msg_response *h, struct str reason,
                      struct str lines, struct str body, bool closing);
void cache_offer_file(struct exchange *x, int fd, const struct msg_file *m, bool last);
bool cache_flush_record(struct link *k, const struct ring_record *rec); /* false: malformed */

/* own_response.c */
void own_response(struct connection *c, enum httperr_reason reason); /* answers, logs, ends */
void own_log(struct connection *c, enum httperr_reason reason);      /* HTTPERR line only */

/* site_log.c */
void site_log(struct exchange *x);

#endif
