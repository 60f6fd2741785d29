/* Client certificates: whom the server trusts, and what is wrong with a certificate. Every one is
 * taken in the handshake; the pipeline answers 403.16, 403.17 or 403.13 by the verdict. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/ipc.h"
#include "listener/tls_internal.h"
#include "base/poison.h"

enum { VERIFY_DEPTH = 8 };

struct tls_trust {
    X509_STORE *store; /* of roots and revocation lists */
    STACK_OF(X509) * intermediates;
    unsigned char digest[TLS_CONTEXT_BYTES];
};

static bool add_roots(X509_STORE *store, BIO *pem)
{
    X509 *x;

    while ((x = PEM_read_bio_X509(pem, NULL, NULL, NULL))) {
        bool ok = X509_STORE_add_cert(store, x) == 1;
        X509_free(x);
        if (!ok)
            return false;
    }
    return true;
}

static bool add_intermediates(STACK_OF(X509) * list, BIO *pem)
{
    X509 *x;

    while ((x = PEM_read_bio_X509(pem, NULL, NULL, NULL)))
        if (!sk_X509_push(list, x)) {
            X509_free(x);
            return false;
        }
    return true;
}

static bool add_lists(X509_STORE *store, BIO *pem)
{
    X509_CRL *crl;

    while ((crl = PEM_read_bio_X509_CRL(pem, NULL, NULL, NULL))) {
        bool ok = X509_STORE_add_crl(store, crl) == 1;
        X509_CRL_free(crl);
        if (!ok)
            return false;
    }
    return true;
}

static BIO *text_of(const json_t *j, const char *key)
{
    return BIO_new_mem_buf(ipc_get_str(j, key, ""), -1);
}

static bool make_digest(struct tls_trust *trust, const json_t *j)
{
    static const char *const keys[] = {"roots", "intermediates", "crls"};
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; ok && i < ARRAY_LEN(keys); i++) {
        const char *text = ipc_get_str(j, keys[i], "");
        ok = EVP_DigestUpdate(md, text, strlen(text) + 1) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(md, digest, NULL) == 1;
    EVP_MD_CTX_free(md);
    memcpy(trust->digest, digest, sizeof(trust->digest));
    return ok;
}

struct tls_trust *tls_trust_load(const json_t *j, char why[TLS_WHY_MAX])
{
    struct tls_trust *trust = xcalloc(1, sizeof(*trust));
    BIO *roots = text_of(j, "roots"), *middle = text_of(j, "intermediates"),
        *lists = text_of(j, "crls");

    trust->store = X509_STORE_new();
    trust->intermediates = sk_X509_new_null();
    bool ok = trust->store && trust->intermediates && roots && middle && lists &&
              add_roots(trust->store, roots) && add_intermediates(trust->intermediates, middle) &&
              add_lists(trust->store, lists) && make_digest(trust, j);

    BIO_free(roots);
    BIO_free(middle);
    BIO_free(lists);
    ERR_clear_error(); /* the end of each text */
    if (ok)
        return trust;
    snprintf(why, TLS_WHY_MAX, "the certificates to trust cannot be taken");
    tls_trust_unref(trust);
    return NULL;
}

void tls_trust_unref(struct tls_trust *trust)
{
    if (!trust)
        return;
    X509_STORE_free(trust->store);
    sk_X509_pop_free(trust->intermediates, X509_free);
    free(trust);
}

const unsigned char *tls_trust_digest(const struct tls_trust *trust)
{
    return trust->digest;
}

void tls_trust_ask(SSL *ssl, bool later)
{
    SSL_set_verify(ssl, SSL_VERIFY_PEER | (later ? SSL_VERIFY_POST_HANDSHAKE : 0), NULL);
}

/* ---- verdicts ------------------------------------------------------------------------------- */

static enum client_cert_verdict verdict_of(long e)
{
    switch (e) {
    case X509_V_OK:
        return CLIENT_CERT_GOOD;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return CLIENT_CERT_OUT_OF_DATE;
    case X509_V_ERR_CERT_REVOKED:
        return CLIENT_CERT_REVOKED;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
    case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD:
    case X509_V_ERR_DIFFERENT_CRL_SCOPE:
        return CLIENT_CERT_REVOCATION_UNKNOWN;
    default:
        return CLIENT_CERT_UNTRUSTED;
    }
}

/* What to tell when several things are wrong: first that nobody knows who this is. */
static int severity(long e)
{
    static const int by_verdict[] = {[CLIENT_CERT_GOOD] = 0,
                                     [CLIENT_CERT_REVOCATION_UNKNOWN] = 1,
                                     [CLIENT_CERT_OUT_OF_DATE] = 2,
                                     [CLIENT_CERT_REVOKED] = 3,
                                     [CLIENT_CERT_UNTRUSTED] = 4};

    return by_verdict[verdict_of(e)];
}

static int on_fault(int ok, X509_STORE_CTX *store)
{
    int *worst = X509_STORE_CTX_get_app_data(store);
    int e = X509_STORE_CTX_get_error(store);

    if (!ok && severity(e) > severity(*worst))
        *worst = e;
    return 1; /* go on: a worse fault may follow */
}

/* DefaultCertCheckMode: lists are asked unless it says no; a list that nobody has is a fault. */
static unsigned long flags_of(uint32_t check_mode)
{
    return check_mode & TLS_CHECK_NO_REVOCATION ? 0 : X509_V_FLAG_CRL_CHECK;
}

/* The session keeps the result, so that a resumed one has its verdict too. */
int tls_trust_verify(X509_STORE_CTX *given, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(given, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct tls_conn *c = tls_conn_of(ssl);
    const struct tls_entry *e = c->entry;
    const struct tls_trust *trust = e->trust;
    X509_STORE_CTX *own = X509_STORE_CTX_new();
    STACK_OF(X509) *others = sk_X509_dup(trust->intermediates);
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(given);
    int worst = X509_V_OK;
    bool ok = own && others;

    for (int i = 0; ok && i < sk_X509_num(sent); i++)
        ok = sk_X509_push(others, sk_X509_value(sent, i)) > 0;
    ok = ok && X509_STORE_CTX_init(own, trust->store, X509_STORE_CTX_get0_cert(given), others) == 1;
    if (ok) {
        X509_STORE_CTX_set_app_data(own, &worst);
        X509_STORE_CTX_set_verify_cb(own, on_fault);
        X509_STORE_CTX_set_depth(own, VERIFY_DEPTH);
        X509_STORE_CTX_set_flags(own, flags_of(e->check_mode));
        if (!(e->check_mode & TLS_CHECK_NO_USAGE))
            X509_STORE_CTX_set_default(own, "ssl_client");
        if (X509_verify_cert(own) != 1 && worst == X509_V_OK)
            worst = X509_V_ERR_UNSPECIFIED;
    }
    X509_STORE_CTX_set_error(given, ok ? worst : X509_V_ERR_OUT_OF_MEM);
    sk_X509_free(others);
    X509_STORE_CTX_free(own);
    ERR_clear_error();
    return 1;
}

enum client_cert_verdict tls_trust_verdict(const SSL *ssl)
{
    X509 *x = SSL_get0_peer_certificate(ssl);

    if (!x)
        return CLIENT_CERT_NONE;
    enum client_cert_verdict v = verdict_of(SSL_get_verify_result(ssl));

    /* A resumed session may have outlived the certificate. */
    if (v == CLIENT_CERT_GOOD && X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
        v = CLIENT_CERT_OUT_OF_DATE;
    return v;
}
