/* A worker thread without its process: a site on disk, its real configuration, a real region,
 * and in place of the listener this test, which holds the other ends. */
#ifndef CANDOR_TESTS_WORKER_FIXTURE_H
#define CANDOR_TESTS_WORKER_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/loop.h"
#include "config/config.h"
#include "queue/message.h"
#include "queue/region.h"
#include "worker/channel.h"
#include "worker/thread.h"
#include "worker/url_cache.h"

enum { FX_SITE = 1, FX_FILES = 64, FX_ANSWERS = 4096, FX_FLUSHES = 64 };

/* What came for one request. */
struct fx_answer {
    bool begun, closed, reset;
    struct msg_response head;
    char headers[4096];
    char user[64], log[256];
    struct buf body;      /* memory bytes; file parts are read from their descriptor */
    unsigned records;     /* MSG_RESPONSE and what follows it */
    unsigned file_parts;
    unsigned cert_wanted; /* MSG_CLIENT_CERT_WANTED */
    uint64_t body_wanted; /* sum of MSG_BODY_WANTED */
    uint64_t uncredited;  /* memory bytes not yet given back */
    uint64_t most_uncredited;
};

struct fx_flush {
    uint32_t site_id;
    char path[256];
};

struct fx {
    char root[64];
    struct worker w;
    struct worker_thread t;
    struct loop *main;             /* in place of the worker's main thread */
    struct ring requests, responses; /* the listener's ends */
    int worker_event, listener_event, files[2];
    int file_fds[FX_FILES];        /* by handle */
    unsigned file_closes, handles;
    struct fx_answer answers[FX_ANSWERS]; /* by request id */
    bool give_credit;              /* at once, as a fast client would */
    bool from_elsewhere;           /* the client is not on this machine */
    bool over_v6;                  /* the server is reached as [2001:db8::1] */
    bool http2;
    uint32_t tls_flags;            /* MSGF_TLS, MSGF_CERT_ASKABLE */
    struct msg_tls tls;
    const char *cipher;            /* name */
    struct str client_cert;        /* DER that came with the handshake */
    struct fx_flush flushes[FX_FLUSHES];
    unsigned n_flushes;            /* all that ever came */
    const char *broken;
};

/* app_host is put at the end of the shipped applicationHost.config, web_config is the root's.
 * Both may be NULL. */
struct fx *fx_new(const char *app_host, const char *web_config);
/* site is put into the site's element. */
struct fx *fx_new_site(const char *site, const char *app_host, const char *web_config);
void fx_free(struct fx *f);
/* Writes root/name (with folders); name with a slash at the end: just the folder. */
void fx_file(struct fx *f, const char *name, const char *content);
void fx_file_bytes(struct fx *f, const char *name, const void *bytes, size_t n);

/* Pushes a request; headers "Name: value" ended by NULL, or NULL. flags: enum msg_request_flags.
 * False if the ring is full. path is taken as cooked. */
bool fx_push(struct fx *f, uint64_t id, const char *method, const char *target,
             const char *const *headers, uint32_t flags);
void fx_push_body(struct fx *f, uint64_t id, const void *bytes, size_t n, bool end);
void fx_push_certificate(struct fx *f, uint64_t id, enum client_cert_verdict verdict,
                         struct str der);
void fx_push_abort(struct fx *f, uint64_t id);
void fx_push_credit(struct fx *f, uint64_t id, uint64_t amount);
/* One turn of the worker's loop, then everything it sent is taken in (at most max records). */
void fx_turn(struct fx *f);
void fx_turn_without_reading(struct fx *f);
void fx_read(struct fx *f, unsigned max);

/* Request number id from push to closing record. */
struct fx_answer *fx_get(struct fx *f, uint64_t id, const char *method, const char *target,
                         const char *const *headers);
/* First value of a header of the answer, "" if absent. Valid until the next call. */
const char *fx_header(const struct fx_answer *a, const char *name);
/* "404.0" and so on. */
void fx_assert_code(const struct fx_answer *a, unsigned status, unsigned substatus);
/* Everything under way must have been closed and the worker hold nothing. */
void fx_assert_idle(struct fx *f);

#endif
