/* What a TLS 1.3 connection keeps of its handshake and never looks at again, given back: the keys
 * of the exchange, the session, the certificate's settings. A quarter of what an idle connection
 * costs besides the SSL itself; the private key of the exchange is better gone in any case.
 *
 * All calls are public ones, but what they do to a connection that is established is a matter of
 * OpenSSL 3.0's code, not of its documents. So it is done with 3.0 only (later ones would begin the
 * connection anew), and only where nothing can ask for what goes: after the last ticket, without
 * kernel TLS, if the client cannot be asked for its certificate and has not limited its records. */
#include <openssl/err.h>
#include <pthread.h>

#include "listener/tls_internal.h"
#include "base/poison.h"

/* What all connections share in place of their own. Its session is empty rather than missing:
 * should OpenSSL ask it after all, it gets an answer that ends the connection, not the process. */
static struct {
    pthread_mutex_t lock;
    bool tried;
    _Atomic(SSL *) ssl;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static SSL *make_shared(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    SSL *ssl = ctx ? SSL_new(ctx) : NULL;
    SSL_SESSION *empty = SSL_SESSION_new();

    if (ssl && (!empty || SSL_set_session(ssl, empty) != 1)) {
        SSL_free(ssl);
        ssl = NULL;
    }
    SSL_SESSION_free(empty);
    SSL_CTX_free(ctx);
    return ssl;
}

/* The method of TLS 1.3 alone has no public name: the first connection lends it. */
static SSL *get_shared(const SSL_METHOD *method)
{
    SSL *ssl = atomic_load_explicit(&shared.ssl, memory_order_acquire);

    if (LIKELY(ssl))
        return ssl;
    pthread_mutex_lock(&shared.lock);
    if (!shared.tried && OPENSSL_version_major() == 3 && OPENSSL_version_minor() == 0)
        atomic_store_explicit(&shared.ssl, make_shared(method), memory_order_release);
    shared.tried = true;
    ssl = shared.ssl;
    pthread_mutex_unlock(&shared.lock);
    return ssl;
}

/* The connection keeps an empty one. Takes over the caller's reference. */
static void empty_key(EVP_PKEY *key)
{
    (void)EVP_PKEY_set_type(key, EVP_PKEY_X25519);
    EVP_PKEY_free(key);
}

static void drop_keys(SSL *ssl)
{
    EVP_PKEY *key;

    if (SSL_get_tmp_key(ssl, &key) == 1)
        empty_key(key);
    if (SSL_get_peer_tmp_key(ssl, &key) == 1)
        empty_key(key);
}

static bool is_over(const struct tls_conn *c)
{
    const SSL_SESSION *session = SSL_get0_session(c->ssl);

    return c->version == TLS1_3_VERSION && c->said_ticket && !c->ktls && !c->offers_pha &&
           SSL_is_init_finished(c->ssl) && session &&
           SSL_SESSION_get_max_fragment_length(session) == TLSEXT_max_fragment_length_DISABLED;
}

void tls_drop_handshake(struct tls_conn *c)
{
    const SSL_METHOD *method = SSL_get_ssl_method(c->ssl);
    SSL *from = is_over(c) ? get_shared(method) : NULL;

    if (!from || SSL_get_ssl_method(from) != method)
        return;
    drop_keys(c->ssl);
    int shutdown = SSL_get_shutdown(c->ssl);

    /* Else the session would be taken for a failed one, and looked for in the cache. */
    SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    /* The context first: with one of another method the rest would begin the connection anew. */
    if (SSL_set_SSL_CTX(c->ssl, SSL_get_SSL_CTX(from)))
        (void)SSL_copy_session_id(c->ssl, from);
    SSL_set_shutdown(c->ssl, shutdown);
    ERR_clear_error();
}
