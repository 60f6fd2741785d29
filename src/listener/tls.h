/* TLS of the listener, by OpenSSL: who gets which certificate, handshakes, records. Knows nothing
 * of struct connection: a tls_conn stands between a socket and whoever reads and writes requests.
 *
 * Threads: a tls_table is immutable and shared; a tls_conn belongs to one thread. */
#ifndef CANDOR_LISTENER_TLS_H
#define CANDOR_LISTENER_TLS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "queue/message.h"

struct tls_conn;
struct tls_table;

/* ---- which certificate answers where -------------------------------------------------------- */

enum { TLS_WHY_MAX = 256 };

/* From the supervisor's `tls` message (supervisor/certificates.h has its form). The caller, who is
 * the control thread, holds the first reference. NULL: why[] says what is wrong with it. */
struct tls_table *tls_table_load(const json_t *msg, char why[TLS_WHY_MAX]);
struct tls_table *tls_table_ref(struct tls_table *t);
void tls_table_unref(struct tls_table *t); /* NULL is allowed */

/* The central certificate store. A client that names a host whose certificate lies there but is not
 * loaded yet makes want(arg, name) be called on its event thread; the name is one of the table's
 * list, so a client cannot make up work. Set once, before the first table. */
void tls_set_wanted(void (*want)(void *arg, struct str name), void *arg);
/* The supervisor's `certificate` message: any thread. True: handshakes that got TLS_WAITS may go
 * on. */
bool tls_take_certificate(const json_t *msg);

/* ---- a connection --------------------------------------------------------------------------- */

enum tls_rc {
    TLS_DONE,
    TLS_READS,  /* call again when the socket is readable */
    TLS_WRITES, /* call again when it has room */
    TLS_WAITS,  /* for a certificate: call again after tls_take_certificate, or when time is up */
    TLS_FULL,   /* of tls_ask_client_cert: more data has come than there is room for */
    TLS_FAILED, /* to be closed without a word; an alert has been sent where the protocol wants one
                 */
};

/* A server's end on a connected, non-blocking socket whose own address is *local. Takes a reference
 * of the table; never closes fd. NULL: out of memory. */
struct tls_conn *tls_conn_new(struct tls_table *t, int fd, const struct msg_address *local);
void tls_conn_free(struct tls_conn *c); /* NULL is allowed */

/* Goes on with the handshake. After TLS_DONE the first request may be here already: read at once.
 * The caller limits the time of the whole. */
enum tls_rc tls_handshake(struct tls_conn *c);
/* Why a handshake or the connection failed: static text for logs and metrics, never NULL. */
const char *tls_failure(const struct tls_conn *c);

/* The causes by which failed handshakes are counted. */
enum tls_cause {
    TLS_CAUSE_CLOSED,      /* the client has gone without a word */
    TLS_CAUSE_NOT_TLS,     /* its first bytes are something else, often plain HTTP */
    TLS_CAUSE_VERSION,     /* no version in common */
    TLS_CAUSE_CIPHER,      /* no cipher suite, group or signature in common */
    TLS_CAUSE_ALPN,        /* no application protocol in common */
    TLS_CAUSE_CERTIFICATE, /* we have none for the address and name */
    TLS_CAUSE_REFUSED,     /* the client's alert: mostly it does not trust our certificate */
    TLS_CAUSE_OTHER,
    TLS_CAUSE_TIMEOUT, /* told by the caller, who has the clock */
    TLS_CAUSES
};

struct tls_failure_facts {
    enum tls_cause cause;
    bool has_alert;
    uint8_t alert;    /* the last one that was sent, or with TLS_CAUSE_REFUSED received */
    const char *why;  /* static */
    const char *name; /* that the client asked for, checked, or "-"; lives as long as c */
};
/* After TLS_FAILED from tls_handshake. */
void tls_get_failure(const struct tls_conn *c, struct tls_failure_facts *ret);
/* h2 was agreed by ALPN. */
bool tls_is_http2(const struct tls_conn *c);

/* As recv and send with a non-blocking socket: bytes; 0: the client has ended; -1 and errno. EAGAIN
 * means: when the socket is readable (recv) or has room (send), unless one of the hints below says
 * the opposite. After EAGAIN from tls_send the next call must begin with the same bytes and offer
 * at least as many (they may lie elsewhere): they are encrypted already. tls_recv takes all that it
 * can get with one recv of the socket. more: like MSG_MORE. */
ssize_t tls_recv(struct tls_conn *c, void *buf, size_t n);
ssize_t tls_send(struct tls_conn *c, const void *buf, size_t n, bool more);
/* Bytes have been received that tls_recv will give without asking the socket: call it again before
 * waiting for events. */
bool tls_pending(const struct tls_conn *c);
/* The last EAGAIN of tls_recv waits for room, of tls_send for input (key updates, renegotiation).
 */
bool tls_recv_wants_room(const struct tls_conn *c);
bool tls_send_wants_input(const struct tls_conn *c);

/* As sendfile, from off of the file: by the kernel where it encrypts, else through buf (at least
 * 16 KiB; the more the better). 0: the file is shorter. The rule of tls_send for EAGAIN holds. */
ssize_t tls_sendfile(struct tls_conn *c, int file, uint64_t off, size_t n, char *buf, size_t buf_n);

/* What a request's struct msg_tls needs. Views live as long as the connection. */
struct tls_facts {
    uint16_t version, cipher_bits, key_bits;
    enum client_cert_verdict verdict;
    struct str cipher, server_name, client_cert; /* client_cert: DER */
};
void tls_get_facts(const struct tls_conn *c, struct tls_facts *ret);

/* A client certificate after the handshake, for one URL (access sslFlags SslNegotiateCert). */
/* Whether it can be asked for: TLS 1.2 by renegotiation, TLS 1.3 if the client allows it; not with
 * HTTP/2, not if the handshake has brought one, not twice. */
bool tls_can_ask_client_cert(const struct tls_conn *c);
/* Asks, then goes on like tls_handshake. TLS_DONE: tls_get_facts has what the client chose to send.
 * Only with no output under way. What the client sends before its certificate goes to room, which
 * has n bytes: *ret_n of them came with this call, whatever it returns. TLS_FULL: the certificate
 * lies behind more than that; the verdict is CLIENT_CERT_TOO_MUCH, and the connection of use for
 * one more answer. */
enum tls_rc tls_ask_client_cert(struct tls_conn *c, char *room, size_t n, size_t *ret_n);

/* Says close_notify, if the socket takes it at once. Before shutdown or close of the socket. */
void tls_close(struct tls_conn *c);

#endif
