/* The rooms of bench/soak's client: the ledger (soak_ledger.c), what it says over HTTP/1.1
 * (soak_http1.c) and HTTP/2 (soak_http2.c), its connections (soak.c), the accountant
 * (soak_account.c). */
#ifndef CANDOR_BENCH_SOAK_H
#define CANDOR_BENCH_SOAK_H

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Results below 100 are no status. */
enum result {
    NOT_SENT,
    LOST,        /* the connection or stream ended before the answer was whole */
    LOST_BEHIND, /* pipelined behind a lost one: the server may not have read it */
    NOT_READ,    /* pipelined behind an answer that ended the connection: must have no line */
    ABORTED /* the client reset the connection: one line somewhere, or none if it was not read */
};

enum mode { KEEP, CLOSE, PIPELINE, TRICKLE, ABORT, MODES };
enum transport { PLAIN, TLS, H2, TRANSPORTS };
enum { DEPTH = 8, STREAMS = 20, OUT = 16384, HEAD = 8192 };

struct entry {
    uint8_t kind, transport;
    uint16_t result;
    uint16_t port;
    uint8_t seen; /* lines in site logs */
    uint8_t spare;
};

struct ledger {
    uint64_t capacity, sent;
    struct entry entries[];
};

enum target { FIXED, MANY, NUMBERED };

struct kind {
    const char *name, *method, *path, *headers, *body;
    enum target target;
    unsigned status, weight;
    long size; /* of the body; -1: any */
};

enum { KINDS = 17, BAD_HOST = KINDS - 1 }; /* the last row is what the listener refuses */

extern const struct kind kinds[KINDS];

struct exchange {
    uint32_t serial;
    uint16_t status;
    size_t size;
};

struct conn {
    enum transport transport;
    enum mode mode;
    int fd;
    SSL *ssl;
    bool shaken;
    uint16_t port;
    unsigned left; /* requests it may still begin */
    bool last;     /* the request under way says Connection: close */

    /* HTTP/1 */
    struct exchange queue[DEPTH];
    size_t first, waiting;
    bool in_body, chunked, closing;
    size_t body_left;
    int chunk_state;
    size_t head_len;
    char head[HEAD];

    /* HTTP/2 */
    nghttp2_session *session;
    struct exchange streams[STREAMS];

    size_t out_pos, out_len;
    char out[OUT];
};

/* --- the ledger --- */

struct tally {
    uint64_t answered, lost, aborted;
    uint64_t odd, wrong; /* answers with another status; answers that are no answers */
    uint64_t odd_by_status[1000];
};

extern struct ledger *ledger;
extern struct tally tally;
extern uint64_t goal; /* requests, and one: serial 0 means none */
extern volatile sig_atomic_t stopping;

/* Of a new file with room for so many; 0: of a file that is there. */
void ledger_map(const char *path, uint64_t capacity);
/* The next request; false when enough have been sent. */
bool ledger_begin(struct conn *c, struct exchange *x, bool with_bad);
/* What became of it: a status, or an enum result. */
void ledger_settle(const struct exchange *x, uint16_t result);
bool ledger_path(char *into, size_t size, const struct kind *k, uint32_t serial);
uint64_t draw(void);

/* --- HTTP --- */

/* Write requests into what goes out, as far as there is room and the connection may. */
void http1_refill(struct conn *c);
void http2_refill(struct conn *c);
/* False when the server does not speak HTTP. */
bool http1_digest(struct conn *c, const char *p, const char *end);
void http2_begin(struct conn *c);

/* --- the accountant --- */

int account(int argc, char **argv);

#endif
