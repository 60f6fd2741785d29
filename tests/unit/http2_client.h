/* A client of HTTP/2 for tests, by nghttp2: it says whatever it is told to, and notes what
 * comes. */
#ifndef CANDOR_TEST_HTTP2_CLIENT_H
#define CANDOR_TEST_HTTP2_CLIENT_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>

enum { H2_STREAMS = 2048, H2_TEXT = 4096 };

struct h2_answer {
    int status;           /* 0: none yet */
    int interim;          /* 1xx before it */
    char fields[H2_TEXT]; /* "name: value\n" lines in order, without :status */
    char *body;           /* malloc, if keep_bodies */
    size_t body_n;
    bool whole;     /* END_STREAM has come */
    bool closed;
    uint32_t error; /* why it closed */
};

struct h2_client {
    int fd;
    nghttp2_session *session;
    bool ended, keep_bodies;
    bool goaway;
    int goaways;
    uint32_t goaway_error;
    int32_t goaway_last;
    char goaway_text[256];
    int pings;          /* acknowledged */
    struct h2_answer answers[H2_STREAMS]; /* by (id - 1) / 2 */
};

/* Connects and says the preface. hold_windows: the test opens them. */
struct h2_client *h2_open(unsigned short port, bool hold_windows);
void h2_close(struct h2_client *c);

/* fields: "name: value\n" lines, pseudo-headers included (":path: /"). body NULL: none, else it is
 * sent at once as far as the windows allow; and ends the stream. Gives the stream's id. */
int32_t h2_request(struct h2_client *c, const char *fields, const char *body, size_t body_n);
int32_t h2_get(struct h2_client *c, const char *path);
/* Bytes as they are, behind what the session wants to say. */
void h2_raw(struct h2_client *c, const void *p, size_t n);

/* Sends and receives until what(arg), or for PATIENCE_MS (stopwatch.h) at most. Gives what(arg). */
bool h2_until(struct h2_client *c, bool (*what)(struct h2_client *c, int32_t arg), int32_t arg);
/* Sends and receives whatever is there within some milliseconds. */
void h2_turn(struct h2_client *c, int ms);

static inline struct h2_answer *h2_answer(struct h2_client *c, int32_t id)
{
    return &c->answers[(id - 1) / 2];
}
bool h2_is_closed(struct h2_client *c, int32_t id);  /* the stream */
bool h2_has_head(struct h2_client *c, int32_t id);
bool h2_has_goaway(struct h2_client *c, int32_t unused);
bool h2_has_ended(struct h2_client *c, int32_t unused); /* the connection */
/* The value of a field of an answer, or NULL. Valid until the next call. */
const char *h2_field(struct h2_client *c, int32_t id, const char *name);

#endif
