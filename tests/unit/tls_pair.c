#include "tls_pair.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct tls_certs tls_certs;

int tls_certs_make(void **state)
{
    made_cert(&tls_certs.root, &(struct made_options){.name = "Test Root", .is_ca = 1});
    made_cert(&tls_certs.stranger, &(struct made_options){.name = "Other Root", .is_ca = 1});
    made_cert(&tls_certs.default_cert,
              &(struct made_options){.name = "default.test", .issuer = &tls_certs.root});
    made_cert(&tls_certs.named,
              &(struct made_options){.name = "www.named.test", .issuer = &tls_certs.root});
    made_cert(&tls_certs.starred,
              &(struct made_options){.name = "*.star.test", .issuer = &tls_certs.root});
    made_cert(&tls_certs.good_client,
              &(struct made_options){
                  .name = "good", .issuer = &tls_certs.root, .is_client = 1, .serial = 7});
    made_cert(&tls_certs.revoked_client,
              &(struct made_options){
                  .name = "revoked", .issuer = &tls_certs.root, .is_client = 1, .serial = 8});
    made_cert(&tls_certs.old_client, &(struct made_options){.name = "old",
                                                            .issuer = &tls_certs.root,
                                                            .is_client = 1,
                                                            .from_s = -7200,
                                                            .to_s = -3600});
    made_cert(&tls_certs.stranger_client,
              &(struct made_options){.name = "who", .issuer = &tls_certs.stranger, .is_client = 1});
    return 0;
}

int tls_certs_free(void **state)
{
    struct made_cert *all[] = {
        &tls_certs.root,       &tls_certs.stranger,        &tls_certs.default_cert,
        &tls_certs.named,      &tls_certs.starred,         &tls_certs.good_client,
        &tls_certs.old_client, &tls_certs.stranger_client, &tls_certs.revoked_client};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        made_cert_free(all[i]);
    return 0;
}

/* ---- table ---------------------------------------------------------------------------------- */

json_t *tls_message_cert(const char *id, const struct made_cert *c)
{
    return json_pack("{s:s, s:s, s:s}", "id", id, "chain", c->cert_pem, "key", c->key_pem);
}

json_t *tls_message(void)
{
    json_t *certs = json_pack("[o, o, o]", tls_message_cert("default", &tls_certs.default_cert),
                              tls_message_cert("named", &tls_certs.named),
                              tls_message_cert("starred", &tls_certs.starred));

    return json_pack("{s:o, s:[], s:{s:s}}", "certificates", certs, "bindings", "trust", "roots",
                     tls_certs.root.cert_pem);
}

void tls_message_bind(json_t *msg, const char *address, const char *host, const char *cert,
                      int flags, int ask)
{
    json_array_append_new(json_object_get(msg, "bindings"),
                          json_pack("{s:s, s:i, s:s, s:s, s:i, s:b}", "address", address, "port",
                                    443, "host", host, "certificate", cert, "sslFlags", flags,
                                    "ask", ask));
}

struct tls_table *tls_message_load(json_t *msg)
{
    char why[TLS_WHY_MAX] = "";
    struct tls_table *t = tls_table_load(msg, why);

    if (!t)
        fail_msg("%s", why);
    json_decref(msg);
    return t;
}

/* ---- both ends ------------------------------------------------------------------------------ */

const struct msg_address tls_pair_local = {
    .ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}, .port = 443, .is_v4 = 1};

void tls_pair_open(struct tls_pair *p, struct tls_table *t, const char *host)
{
    *p = (struct tls_pair){.ctx = SSL_CTX_new(TLS_client_method())};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fds), 0);
    p->server = tls_conn_new(t, p->fds[0], &tls_pair_local);
    assert_non_null(p->server);
    p->client = SSL_new(p->ctx);
    SSL_set_fd(p->client, p->fds[1]);
    SSL_set_connect_state(p->client);
    if (host)
        SSL_set_tlsext_host_name(p->client, host);
}

static bool is_end(enum tls_rc rc)
{
    return rc == TLS_DONE || rc == TLS_FAILED;
}

void tls_pair_shake(struct tls_pair *p)
{
    bool client_over = false;

    for (int i = 0; i < 20 && (!client_over || !is_end(p->server_rc)); i++) {
        p->client_rc = SSL_do_handshake(p->client);
        client_over = p->client_rc == 1 || SSL_get_error(p->client, p->client_rc) == SSL_ERROR_SSL;
        if (i == 0 || !is_end(p->server_rc))
            p->server_rc = tls_handshake(p->server);
    }
    ERR_clear_error();
}

void tls_pair_close(struct tls_pair *p)
{
    tls_close(p->server);
    tls_conn_free(p->server);
    SSL_set_shutdown(p->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* sessions stay good */
    SSL_free(p->client);
    SSL_CTX_free(p->ctx);
    close(p->fds[0]);
    close(p->fds[1]);
    ERR_clear_error();
}

void tls_pair_client_only(struct tls_pair *p, int version)
{
    SSL_set_min_proto_version(p->client, version);
    SSL_set_max_proto_version(p->client, version);
}

void tls_pair_client_cert(struct tls_pair *p, const struct made_cert *c)
{
    SSL_use_certificate(p->client, c->x);
    SSL_use_PrivateKey(p->client, c->key);
}

void tls_pair_set_alpn(struct tls_pair *p, const char *list)
{
    SSL_set_alpn_protos(p->client, (const unsigned char *)list, (unsigned)strlen(list));
}

SSL_SESSION *tls_pair_session;

static int keep_session(SSL *ssl, SSL_SESSION *s)
{
    SSL_SESSION_free(tls_pair_session);
    tls_pair_session = s;
    return 1;
}

void tls_pair_keep_sessions(struct tls_pair *p)
{
    SSL_CTX_set_session_cache_mode(p->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(p->ctx, keep_session);
}

void tls_pair_forget_session(void)
{
    SSL_SESSION_free(tls_pair_session);
    tls_pair_session = NULL;
}

void tls_pair_client_says(struct tls_pair *p, const char *text)
{
    char got[4096];
    ssize_t n = -1;

    assert_int_equal(SSL_write(p->client, text, (int)strlen(text)), (int)strlen(text));
    for (int i = 0; i < 5 && n < 0; i++)
        n = tls_recv(p->server, got, sizeof(got));
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, (size_t)n);
}

void tls_pair_server_says(struct tls_pair *p, const char *text)
{
    char got[4096];

    assert_int_equal(tls_send(p->server, text, strlen(text), false), strlen(text));
    assert_int_equal(SSL_read(p->client, got, sizeof(got)), (int)strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

void tls_pair_assert_peer(const struct tls_pair *p, const struct made_cert *c)
{
    X509 *x = SSL_get0_peer_certificate(p->client);

    assert_non_null(x);
    assert_int_equal(X509_cmp(x, c->x), 0);
}

void tls_pair_shaken(struct tls_pair *p, struct tls_table *t, const char *host)
{
    tls_pair_open(p, t, host);
    tls_pair_shake(p);
    if (p->server_rc != TLS_DONE)
        fail_msg("%s: %s", host, tls_failure(p->server));
    assert_int_equal(p->client_rc, 1);
}

struct tls_table *tls_usual_table(int flags)
{
    json_t *msg = tls_message();

    tls_message_bind(msg, "*", "", "default", flags, 0);
    tls_message_bind(msg, "*", "www.named.test", "named", 1 | flags, 0);
    tls_message_bind(msg, "*", "*.star.test", "starred", 1 | flags, 0);
    return tls_message_load(msg);
}
