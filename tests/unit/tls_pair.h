/* The listener's TLS and OpenSSL's own client at the two ends of a socket pair, and the messages
 * that make tables for it. Every function fails the test that calls it. */
#ifndef CANDOR_TESTS_TLS_PAIR_H
#define CANDOR_TESTS_TLS_PAIR_H

#include "listener/tls_internal.h"
#include "tls_fixture.h"

/* Made once per process. */
struct tls_certs {
    struct made_cert root, default_cert, named, starred, stranger, good_client, old_client,
        stranger_client, revoked_client;
};

extern struct tls_certs tls_certs;

/* cmocka's set-up and tear-down of the group. */
int tls_certs_make(void **state);
int tls_certs_free(void **state);

/* The supervisor's message with the servers' certificates and no binding. */
json_t *tls_message(void);
json_t *tls_message_cert(const char *id, const struct made_cert *c);
void tls_message_bind(json_t *msg, const char *address, const char *host, const char *cert,
                      int flags, int ask);
struct tls_table *tls_message_load(json_t *msg); /* takes msg over */
/* default for all, named and starred by name; flags as in sslFlags. */
struct tls_table *tls_usual_table(int flags);

struct tls_pair {
    struct tls_conn *server;
    SSL_CTX *ctx;
    SSL *client;
    int fds[2];
    enum tls_rc server_rc;
    int client_rc;
};

extern const struct msg_address tls_pair_local; /* where the server believes to be */

void tls_pair_open(struct tls_pair *p, struct tls_table *t, const char *host);
void tls_pair_close(struct tls_pair *p);
void tls_pair_client_only(struct tls_pair *p, int version);
void tls_pair_client_cert(struct tls_pair *p, const struct made_cert *c);
/* What the client offers: names with their lengths before them. */
void tls_pair_set_alpn(struct tls_pair *p, const char *list);
/* Keeps the last session that the server gives this client, in tls_pair_session. */
void tls_pair_keep_sessions(struct tls_pair *p);
extern SSL_SESSION *tls_pair_session;
void tls_pair_forget_session(void);
void tls_pair_shake(struct tls_pair *p); /* until both ends are through, or one has failed */
/* Opens it and shakes hands, which succeeds. */
void tls_pair_shaken(struct tls_pair *p, struct tls_table *t, const char *host);
void tls_pair_client_says(struct tls_pair *p, const char *text);
void tls_pair_server_says(struct tls_pair *p, const char *text);
/* The server has shown c. */
void tls_pair_assert_peer(const struct tls_pair *p, const struct made_cert *c);

#endif
