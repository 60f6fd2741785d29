/* HTTP/2 inside the listener, between the files http2*.c. Framing and header compression are
 * nghttp2's; what a request or an answer is, is everybody else's: a stream is a struct connection
 * (connection.h), and this is what carries it. Everything belongs to one event thread.
 *
 * Two objects stand for a stream. struct http2_stream lives as long as nghttp2 knows the stream or
 * the connection needs it; the connection lives until its exchange is over. Each may end first. */
#ifndef CANDOR_LISTENER_HTTP2_H
#define CANDOR_LISTENER_HTTP2_H

#include <nghttp2/nghttp2.h>

#include "http/http2_head.h"
#include "listener/connection.h"
#include "listener/thread.h"

struct cached_response;
struct http2_known;
struct stream_head;

enum {
    HTTP2_STREAMS_MAX = 100,          /* SETTINGS_MAX_CONCURRENT_STREAMS */
    HTTP2_STREAM_WINDOW = 65535,      /* of a body at its start: RFC 9113's default */
    HTTP2_STREAM_WINDOW_FAST = 262144, /* once a worker has taken that much of it */
    HTTP2_CONNECTION_WINDOW = 1048576, /* of all bodies of a connection */
    HTTP2_OUT_BYTES = 64 * 1024,      /* so much output is collected before it is sent */
    HTTP2_OUT_ROOM = HTTP2_OUT_BYTES + 32 * 1024, /* and the frame that passes it fits */
    HTTP2_IN_BYTES = 64 * 1024,
    HTTP2_HEADS_KEPT = 64, /* prepared answers per thread; a power of two */
    HTTP2_LINES_KEPT = 640,
    HTTP2_FIELDS_KEPT = 20,
    HTTP2_BLOCK_MAX = 1536, /* fields of a head that is collected, and may be kept as a known one */
    HTTP2_KNOWN = 64,       /* such heads per thread; a power of two */
    HTTP2_WHOLE_MAX = 16384, /* cached bodies that are handed to the session at once */
    HTTP2_FRAME_HEAD = 9,
    HTTP2_PREFACE = 24,
};

/* The fields of a head as they came: lengths, name, value. */
struct http2_block {
    uint32_t n;
    uint8_t flags; /* nghttp2's, of any of them */
    char bytes[HTTP2_BLOCK_MAX];
};

struct http2_field_lengths {
    uint16_t name, value;
};

/* The fields of an answer, ready to be sent again: answers of one file differ in nothing but the
 * date, and that only once a second. Shared by the streams that still have to send them. */
struct http2_fields {
    uint32_t users; /* streams; it must not change meanwhile */
    uint16_t status;
    uint16_t n;
    bool dated;
    char date[HTTP_DATE_LEN];
    uint64_t kept; /* of a cached answer: its serial says what the lines are */
    uint64_t length;
    size_t lines_n;
    char lines[HTTP2_LINES_KEPT]; /* as they were given */
    char text[HTTP2_LINES_KEPT];  /* the same with names in lower case; what nv points to */
    char status_text[20], length_text[20];
    nghttp2_nv nv[HTTP2_FIELDS_KEPT];
};

struct http2_stream {
    struct http2_stream *next, **prev;           /* all of the session */
    struct http2_stream *late_next, **late_prev; /* output has come that may have to wait */
    struct http2 *session;
    struct connection *c; /* NULL: the listener is done with it */
    int32_t id;
    uint32_t error;       /* what to say if it has to be reset; 0: not yet known */
    bool closed;          /* nghttp2 knows it no more */
    bool answered;        /* the head of the answer is on its way */
    bool ended;           /* and so is its end */
    bool was_reset;       /* by us */
    bool deferred;        /* nghttp2 waits for data */
    bool request_whole;   /* the client has nothing more to say */
    uint64_t received;    /* body bytes */
    uint64_t taken;       /* of them by the worker, or dropped */
    struct http2_fields *fields; /* in use; NULL: none */
    /* A whole body from the cache, which needs no connection any more. Referenced only if it could
     * not be sent within the turn. */
    const struct cached_response *cached;
    bool cached_held;
    uint32_t cached_at;
};

enum http2_state {
    HTTP2_OPEN,
    HTTP2_NOTICED, /* a GOAWAY has announced that the end is near */
    HTTP2_FINAL,   /* a GOAWAY has said which stream is the last */
    HTTP2_FAILED,  /* a GOAWAY has said what the client did wrong; nothing is read any more */
};

struct http2 {
    struct connection *c; /* the carrier */
    nghttp2_session *frames;
    struct http2 *dirty_next, **dirty_prev; /* of the thread: has output or has changed */
    struct http2_stream *streams, *late;
    struct http2_stream *framed; /* whose DATA is being framed: spares looking it up by number */
    uint32_t n_streams, n_attached; /* attached: their connection lives */
    uint8_t state; /* enum http2_state */
    bool busy;     /* inside nghttp2: it must not be called again, nor freed */
    bool flushing; /* its output is being sent: no need to mark it */
    bool gone;     /* the socket is gone, or as good as gone */
    bool in_use;   /* a request has come, or an answer moved on, since its idle clock was set */
    uint64_t noticed_ms;

    /* The header block being read. */
    struct http2_stream *block;
    bool in_block, has_priority;
    bool collects; /* its fields so far are in the thread's block, and s->c does not exist yet */
    uint8_t urgency;
    bool incremental;
    int32_t updated_id; /* newest stream whose priority came by PRIORITY_UPDATE */
    struct http2_head head;
    const struct http2_known *known; /* its last one; another may stand there now */
    uint64_t known_hash;

    /* http2_guard.c */
    uint32_t resets, noise;
    uint64_t resets_since_ms, noise_ms;
    uint64_t fed, told; /* bytes: given to nghttp2; of frames that it has told of */
    uint64_t ignored;   /* the bytes between, as yet not counted */
    bool has_cut_head;  /* the last of them began in an earlier read */
    int32_t last_id;    /* highest stream of the client's */
    bool forgives;      /* we have reset a stream whose client may not know that yet */
    const char *verdict; /* static text: what the client does wrong; NULL: nothing yet */
    uint32_t verdict_code;
    bool without_goaway;
};

/* What the sessions of one thread use in turn. */
struct http2_thread {
    struct http2 *dirty;
    uint64_t noticed_ms; /* of the oldest GOAWAY that has announced an end; 0: none has */
    struct http2_stream *free_streams;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *options;
    nghttp2_mem *memory; /* NULL: the heap */
    /* Of a request that is answered within the turn, if it is; then the next one uses them. */
    struct connection *lent;
    struct exchange *lent_x;
    struct input *lent_in;
    const struct http2_known *lent_for; /* it still says what http2_known_fill wrote; or NULL */
    struct http2_known *known[HTTP2_KNOWN];
    uint64_t seen[HTTP2_KNOWN]; /* hashes of heads that have come once */
    struct http2_block block;   /* being read by the session at work */
    nghttp2_nv *nv;
    size_t nv_cap;
    struct http2_fields heads[HTTP2_HEADS_KEPT];
    size_t out_n;
    char out[HTTP2_OUT_ROOM];
    uint8_t in[HTTP2_IN_BYTES];
};

/* http2.c: the session and its socket */
/* Output will be sent, and the state looked at, before the thread sleeps. */
void http2_mark(struct http2 *h);
/* http2_request.c: the head of a stream */
int http2_on_begin_headers(nghttp2_session *s, const nghttp2_frame *f, void *user);
int http2_on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_n,
                    const uint8_t *value, size_t value_n, uint8_t flags, void *user);
void http2_headers_in(struct http2 *h, const nghttp2_frame *f); /* a header block is complete */
void http2_block_pause(struct http2 *h); /* others may be read before the rest of a block is here */

void http2_lent_free(struct http2_thread *t); /* at the end of the thread */

/* http2_known.c: the fields of a block, and heads that have come before */
/* For what is most often short: names, and most values. */
static inline char *http2_block_put(char *to, struct str s)
{
    if (s.n >= 8 && s.n <= 16) { /* two halves that may overlap */
        memcpy(to, s.p, 8);
        memcpy(to + s.n - 8, s.p + s.n - 8, 8);
    } else if (s.n >= 4 && s.n < 8) {
        memcpy(to, s.p, 4);
        memcpy(to + s.n - 4, s.p + s.n - 4, 4);
    } else if (s.n) {
        memcpy(to, s.p, s.n);
    }
    return to + s.n;
}

static inline void http2_block_begin(struct http2_block *b)
{
    b->n = 0;
    b->flags = 0;
}

/* flags: nghttp2's. False: there is no room. */
static inline bool http2_block_add(struct http2_block *b, struct str name, struct str value,
                                   uint8_t flags)
{
    struct http2_field_lengths f = {(uint16_t)name.n, (uint16_t)value.n};
    char *p = b->bytes + b->n;

    if (UNLIKELY(sizeof(f) + name.n + value.n > sizeof(b->bytes) - b->n))
        return false;
    memcpy(p, &f, sizeof(f));
    p = http2_block_put(http2_block_put(p + sizeof(f), name), value);
    b->n = (uint32_t)(p - b->bytes);
    b->flags |= flags;
    return true;
}

/* The field at *at (b->bytes at first), which moves on. False: that was all. */
bool http2_block_next(const struct http2_block *b, const char **at, struct str *name,
                      struct str *value);
/* NULL: it is not known. For heads without a body. */
const struct http2_known *http2_known_find(struct http2 *h, const struct http2_block *b);
/* c has passed intake_look with it. */
void http2_known_add(struct http2 *h, const struct http2_block *b, const struct connection *c);
/* Puts c, with a new exchange and room for a small head, where intake_look left the earlier one. */
void http2_known_fill(struct http2 *h, const struct http2_known *k, struct connection *c);
void http2_known_priority(struct http2 *h, const struct http2_known *k);
void http2_known_free(struct http2_thread *t);

/* http2_stream.c */
struct http2_stream *http2_stream_new(struct http2 *h, int32_t id); /* NULL: no memory */
/* NULL: the listener knows no such stream. */
struct http2_stream *http2_find(struct http2 *h, int32_t id);
extern const struct stream_ops http2_stream_ops;
/* Callbacks of nghttp2 that are about one stream. */
int http2_on_data_chunk(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data,
                        size_t n, void *user);
int http2_on_stream_close(nghttp2_session *s, int32_t id, uint32_t error, void *user);
void http2_data_in(struct http2 *h, const nghttp2_frame *f);    /* a DATA frame is complete */
void http2_request_ended(struct http2_stream *s); /* nothing more will come on this stream */
/* The request breaks a rule of the protocol: no answer (RFC 9113 8.1.1). */
void http2_refuse_malformed(struct http2_stream *s);
/* The same where there is none; for http2_make_room. */
bool http2_grow_input(struct connection *c, size_t n, size_t most);
void http2_may_be_late(struct http2_stream *s);
/* Timers for streams whose output could not leave at once, and references to what they send. */
void http2_time_late_streams(struct http2 *h);
/* Ends every stream that the listener still works for. */
void http2_drop_streams(struct http2 *h);
void http2_stream_free(struct http2_stream *s);

/* http2_answer.c: from a stream's output to frames */
void http2_answer_head(struct connection *c, const struct stream_head *head);
bool http2_answer_whole(struct connection *c, const struct stream_head *head,
                        const struct cached_response *r);
void http2_fields_release(struct http2_stream *s);
int http2_on_send_data(nghttp2_session *s, nghttp2_frame *f, const uint8_t *frame_head, size_t n,
                       nghttp2_data_source *source, void *user);

/* http2_memory.c: what nghttp2 allocates with on one thread. NULL: no memory, or a build whose
 * sanitizer is to see each allocation. */
nghttp2_mem *http2_memory_new(void);
void http2_memory_free(nghttp2_mem *memory); /* all sessions have ended; NULL is allowed */

/* http2_guard.c: what a client may not do too often. False: it has, and the session is to end. */
bool http2_guard_frame(struct http2 *h, const nghttp2_frame_hd *hd); /* a frame that has begun */
void http2_guard_fed(struct http2 *h, const uint8_t *p, size_t n); /* nghttp2 has had these */
bool http2_guard_ignored(struct http2 *h); /* what nghttp2 has passed over; all resets have left */
bool http2_guard_reset(struct http2 *h); /* the client reset a stream, or made us do so */
bool http2_guard_head(struct http2 *h);  /* the fields of this block so far */
void http2_guard_request(struct http2 *h);
void http2_guard_sent(struct http2 *h, size_t n); /* a DATA frame with n bytes */
/* Notes what the client did wrong; the first counts. */
bool http2_condemn(struct http2 *h, uint32_t code, const char *text);

/* Room for n more bytes in the stream's input, at most (but at least) up to `most` in all. */
static inline bool http2_make_room(struct connection *c, size_t n, size_t most)
{
    return n <= c->in->cap - c->in->end || http2_grow_input(c, n, most);
}

static inline struct http2_thread *http2_of(const struct http2 *h)
{
    return h->c->thread->http2;
}

#endif
