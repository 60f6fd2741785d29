/* What the files of TLS share. Nobody else includes this. */
#ifndef CANDOR_LISTENER_TLS_INTERNAL_H
#define CANDOR_LISTENER_TLS_INTERNAL_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "listener/tls.h"

enum { TLS_NAME_MAX = 253, TLS_CONTEXT_BYTES = 16 };

/* A certificate with its key, as an SSL_CTX that connections are switched to. Immutable, counted.
 */
struct tls_cert {
    _Atomic uint32_t refs;
    char id[64];
    SSL_CTX *ctx;
    uint16_t key_bits;
    unsigned char *staple; /* OCSP response, DER */
    size_t staple_n;
};

struct tls_cert *tls_cert_load(const json_t *j, bool ktls, char why[TLS_WHY_MAX]);
struct tls_cert *tls_cert_ref(struct tls_cert *cert);
void tls_cert_unref(struct tls_cert *cert); /* NULL is allowed */

/* What a client gets that comes to an address or names a host. Part of its table. */
struct tls_entry {
    struct tls_entry *next; /* same hash slot, or the table's list */
    struct str host;        /* lower case; behind "*" for a wildcard; empty: by address */
    uint8_t ip[16];
    uint16_t port;
    bool any_ip, wildcard, central;
    bool http2, stapling, tls13, asks_client_cert;
    uint32_t check_mode;   /* DefaultCertCheckMode, enum tls_check */
    struct tls_cert *cert; /* NULL: central */
    struct tls_trust *trust;
    unsigned char context[TLS_CONTEXT_BYTES]; /* sessions of one entry do not resume in another */
};

/* DefaultCertCheckMode of HTTP_SERVICE_CONFIG_SSL_PARAM. */
enum tls_check {
    TLS_CHECK_NO_REVOCATION = 1,
    TLS_CHECK_CACHED_ONLY = 2,
    TLS_CHECK_FRESHNESS = 4,
    TLS_CHECK_NO_USAGE = 0x10000,
};

enum { TLS_HOST_SLOTS = 1024 };

struct tls_table {
    _Atomic uint32_t refs;
    bool ktls;
    SSL_CTX *base; /* of connections whose certificate is not known before the client's hello */
    struct tls_cert **certs;
    size_t n_certs;
    struct tls_entry *entries;
    size_t n_entries;
    struct tls_entry *by_host[TLS_HOST_SLOTS];
    struct tls_entry *wildcards; /* longest first */
    struct tls_entry *by_address, *central, *any;
    struct tls_names *names; /* of the central store */
    struct tls_trust *trust;
};

/* The entry for a client of the local address that names host (empty: none). NULL: nobody's. */
const struct tls_entry *tls_table_find(const struct tls_table *t, const struct msg_address *local,
                                       struct str host);
/* The one that serves the local address whatever host is named; NULL: the host decides. */
const struct tls_entry *tls_table_by_address(const struct tls_table *t,
                                             const struct msg_address *local);

/* What a client gets whom nobody else's entry serves. */
const struct tls_entry *tls_table_find_any(const struct tls_table *t,
                                           const struct msg_address *local);

/* tls_context.c: options, protocols, ciphers and callbacks that all contexts have. */
SSL_CTX *tls_context_new(bool ktls);

/* tls.c */
int tls_on_client_hello(SSL *ssl, int *alert, void *arg);

/* tls_tickets.c: keys of session tickets, one set for the process. */
void tls_tickets_install(SSL_CTX *ctx);

/* tls_trust.c: whose client certificates are trusted, and which are revoked. Counted. */
struct tls_trust *tls_trust_load(const json_t *j, char why[TLS_WHY_MAX]);
void tls_trust_unref(struct tls_trust *trust);
const unsigned char *tls_trust_digest(const struct tls_trust *trust); /* TLS_CONTEXT_BYTES */
/* Asks for a client certificate: in the handshake to come, or (later) after it. */
void tls_trust_ask(SSL *ssl, bool later);
/* SSL_CTX_set_cert_verify_callback: takes every certificate and keeps what is wrong with it. */
int tls_trust_verify(X509_STORE_CTX *store, void *arg);
enum client_cert_verdict tls_trust_verdict(const SSL *ssl);

/* tls_central.c: certificates by name, loaded when a client wants them. */
struct tls_names *tls_names_load(const json_t *list);
void tls_names_free(struct tls_names *names); /* NULL is allowed */
/* The store has a certificate for host (lower case): of this name, or "_." and the parent domain.
 */
bool tls_names_have(const struct tls_names *names, struct str host);
/* TLS_DONE: *ret has a reference of the certificate; TLS_WAITS: asked for; TLS_FAILED: there is
 * none for this name. */
enum tls_rc tls_central_find(const struct tls_table *t, struct str host, struct tls_cert **ret);

struct tls_conn {
    SSL *ssl;
    const SSL_CIPHER *cipher; /* as verdict and version: once established */
    struct tls_table *table;
    const struct tls_entry *entry; /* of the table; NULL: not yet known */
    struct tls_cert *central;      /* holds what the entry does not */
    const char *failure;
    char *server_name;
    unsigned char *der;
    int der_n;
    int fd, err; /* err: errno of the socket's failure */
    struct msg_address local;
    char *held; /* handshake records on their way: a flight leaves with one send */
    uint32_t held_n, held_sent, held_cap;
    uint8_t idle_records; /* received since the last data */
    uint8_t gather;       /* enum tls_gather */
    uint8_t asking;       /* enum tls_asking */
    uint8_t verdict;      /* enum client_cert_verdict */
    uint8_t cause;        /* enum tls_cause, with failure */
    uint8_t alert;        /* the last one that was sent or received */
    uint16_t version;
    bool established, failed, http2, more, dry, pending, recv_wants_room, send_wants_input;
    bool flooded, offers_pha, owes_ticket, said_ticket, ask_done, ktls, has_alert;
};

/* tls_failure.c */
/* Remembers the first reason and leaves OpenSSL's queue of errors empty, as every call expects. */
void tls_remember_failure(struct tls_conn *c);
/* A reason of our own; why is static. */
void tls_fail_as(struct tls_conn *c, enum tls_cause cause, const char *why);

/* tls_idle.c: gives back what is left of the handshake of a connection that has had its ticket. */
void tls_drop_handshake(struct tls_conn *c);

/* tls_bio.c */
/* The connection that OpenSSL works for on this thread: set before every call that may use the
 * socket or call back. Cheaper than a BIO and a pointer in each SSL. */
extern _Thread_local struct tls_conn *tls_at_work;
bool tls_attach_socket(struct tls_conn *c);
/* SSL_CTX_set_msg_callback: ends connections of clients that send records but no data. */
void tls_on_record(int out, int version, int kind, const void *p, size_t n, SSL *ssl, void *arg);
void tls_drop_held(struct tls_conn *c);

enum tls_gather { GATHER_NONE, GATHER_FLIGHT, GATHER_KEEP };
enum tls_asking { ASK_NOT, ASK_RUNNING, ASK_OVER };

static inline struct tls_conn *tls_conn_of(const SSL *ssl)
{
    INVARIANT(tls_at_work && tls_at_work->ssl == ssl);
    return tls_at_work;
}

#endif
