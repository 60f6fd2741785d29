/* What all TLS contexts have in common: versions, ciphers, modes, callbacks. */
#include <openssl/err.h>
#include <string.h>

#include "listener/tls_internal.h"
#include "base/poison.h"

/* Sessions live as long as on Windows; shorter than the keys of tickets. */
enum { SESSION_S = 10 * 3600, SESSIONS_KEPT = 2048, SECURITY_LEVEL = 2 };

/* Only suites with forward secrecy and authenticated encryption: what every client of the last ten
 * years has. 128-bit keys first: they cost less and nobody breaks them either. */
static const char ciphers12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char ciphers13[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static char groups[] = "X25519:P-256:P-384"; /* OpenSSL takes no const, and changes nothing */

static bool has_protocol(struct str list, struct str name)
{
    while (list.n > 0) {
        size_t n = (unsigned char)list.p[0];
        if (n + 1 > list.n)
            return false;
        if (str_eq(str_n(list.p + 1, n), name))
            return true;
        list = str_sub(list, n + 1, list.n);
    }
    return false;
}

/* RFC 7301: a client that can speak none of ours is told so, not served by accident. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                   const unsigned char *in, unsigned in_n, void *arg)
{
    static const struct str names[] = {STR("h2"), STR("http/1.1"), STR("http/1.0")};
    struct tls_conn *c = tls_conn_of(ssl);
    struct str offered = str_n((const char *)in, in_n);

    for (size_t i = c->entry && c->entry->http2 ? 0 : 1; i < ARRAY_LEN(names); i++) {
        if (!has_protocol(offered, names[i]))
            continue;
        c->http2 = i == 0;
        *out = (const unsigned char *)names[i].p;
        *out_n = (unsigned char)names[i].n;
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int on_status(SSL *ssl, void *arg)
{
    const struct tls_conn *c = tls_conn_of(ssl);
    const struct tls_cert *cert = c->central ? c->central : c->entry ? c->entry->cert : NULL;

    if (!cert || !cert->staple || !c->entry->stapling)
        return SSL_TLSEXT_ERR_NOACK;
    unsigned char *copy = OPENSSL_memdup(cert->staple, cert->staple_n);

    if (!copy)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)cert->staple_n);
    return SSL_TLSEXT_ERR_OK;
}

SSL_CTX *tls_context_new(bool ktls)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx)
        return NULL;
    SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF |
                                 /* else a client that is asked for its certificate resumes */
                                 SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION |
                                 (ktls ? SSL_OP_ENABLE_KTLS : UINT64_C(0)));
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_msg_callback(ctx, tls_on_record);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_num_tickets(ctx, 0); /* tls.c sends one with the first answer */
    SSL_CTX_set_timeout(ctx, SESSION_S);
    SSL_CTX_sess_set_cache_size(ctx, SESSIONS_KEPT);
    SSL_CTX_set_client_hello_cb(ctx, tls_on_client_hello, NULL);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    SSL_CTX_set_tlsext_status_cb(ctx, on_status);
    SSL_CTX_set_cert_verify_callback(ctx, tls_trust_verify, NULL);
    tls_tickets_install(ctx);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(ctx, ciphers12) == 1 &&
        SSL_CTX_set_ciphersuites(ctx, ciphers13) == 1 && SSL_CTX_set1_groups_list(ctx, groups) == 1)
        return ctx;
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return NULL;
}
