#include "tls_fixture.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);

    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

static char *text_of(BIO *b)
{
    char *p;
    long n = BIO_get_mem_data(b, &p);
    char *z = strndup(p, (size_t)n);

    BIO_free(b);
    return z;
}

void made_cert(struct made_cert *ret, const struct made_options *o)
{
    char value[512];
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);

    ret->x = x;
    ret->key = o->rsa_bits ? EVP_RSA_gen((unsigned)o->rsa_bits) : EVP_EC_gen("P-256");
    const struct made_cert *issuer = o->issuer ? o->issuer : ret;

    assert_non_null(ret->key);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), o->serial ? o->serial : 1);
    X509_gmtime_adj(X509_getm_notBefore(x), o->from_s || o->to_s ? o->from_s : -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), o->from_s || o->to_s ? o->to_s : 86400);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)o->name, -1, -1,
                               0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer->x));
    X509_set_pubkey(x, ret->key);
    extension(x, issuer->x, NID_basic_constraints, o->is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    extension(x, issuer->x, NID_subject_key_identifier, "hash");
    if (!o->is_ca)
        extension(x, issuer->x, NID_ext_key_usage, o->is_client ? "clientAuth" : "serverAuth");
    if (!o->is_ca && !o->is_client) {
        snprintf(value, sizeof(value), "DNS:%s", o->name);
        extension(x, issuer->x, NID_subject_alt_name, value);
    }
    if (o->ocsp_url) {
        snprintf(value, sizeof(value), "OCSP;URI:%s", o->ocsp_url);
        extension(x, issuer->x, NID_info_access, value);
    }
    assert_true(X509_sign(x, issuer->key, EVP_sha256()) > 0);
    BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());

    PEM_write_bio_X509(cert, x);
    PEM_write_bio_PrivateKey(key, ret->key, NULL, NULL, 0, NULL, NULL);
    ret->cert_pem = text_of(cert);
    ret->key_pem = text_of(key);
}

void made_cert_free(struct made_cert *c)
{
    X509_free(c->x);
    EVP_PKEY_free(c->key);
    free(c->cert_pem);
    free(c->key_pem);
}

char *made_crl(const struct made_cert *issuer, long serial, long from_s, long to_s)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *at = ASN1_TIME_new();
    BIO *out = BIO_new(BIO_s_mem());

    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x));
    X509_gmtime_adj(at, from_s);
    X509_CRL_set1_lastUpdate(crl, at);
    X509_gmtime_adj(at, to_s);
    X509_CRL_set1_nextUpdate(crl, at);
    if (serial) {
        X509_REVOKED *r = X509_REVOKED_new();
        ASN1_INTEGER *number = ASN1_INTEGER_new();
        ASN1_INTEGER_set(number, serial);
        X509_gmtime_adj(at, -60);
        X509_REVOKED_set_serialNumber(r, number);
        X509_REVOKED_set_revocationDate(r, at);
        assert_int_equal(X509_CRL_add0_revoked(crl, r), 1);
        ASN1_INTEGER_free(number);
    }
    X509_CRL_sort(crl);
    assert_true(X509_CRL_sign(crl, issuer->key, EVP_sha256()) > 0);
    PEM_write_bio_X509_CRL(out, crl);
    ASN1_TIME_free(at);
    X509_CRL_free(crl);
    return text_of(out);
}

/* RFC 5246 section 6.3, RFC 5288. */
size_t made_record12(SSL *client, uint64_t seq, unsigned char type, const void *p, size_t n,
                     unsigned char *out)
{
    enum { KEY = 16, SALT = 4, NONCE = 8, TAG = 16, HEAD = 5 };
    unsigned char seed[13 + 64] = "key expansion", master[48], block[2 * (KEY + SALT)];
    unsigned char iv[SALT + NONCE], aad[13], number[8];
    size_t sealed = NONCE + n + TAG;
    int done = 0;

    SSL_get_server_random(client, seed + 13, 32);
    SSL_get_client_random(client, seed + 45, 32);
    size_t master_n = SSL_SESSION_get_master_key(SSL_get0_session(client), master, sizeof(master));
    EVP_KDF *prf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *kdf = EVP_KDF_CTX_new(prf);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", (char[]){"SHA256"}, 0),
                           OSSL_PARAM_construct_octet_string("secret", master, master_n),
                           OSSL_PARAM_construct_octet_string("seed", seed, sizeof(seed)),
                           OSSL_PARAM_construct_end()};
    assert_int_equal(EVP_KDF_derive(kdf, block, sizeof(block), params), 1);
    EVP_KDF_CTX_free(kdf);
    EVP_KDF_free(prf);
    for (int i = 0; i < 8; i++)
        number[i] = (unsigned char)(seq >> (56 - 8 * i));
    memcpy(iv, block + 2 * KEY, SALT);
    memcpy(iv + SALT, number, NONCE);
    memcpy(aad, number, 8);
    memcpy(aad + 8, (unsigned char[]){type, 3, 3, (unsigned char)(n >> 8), (unsigned char)n}, 5);
    memcpy(out, (unsigned char[]){type, 3, 3, (unsigned char)(sealed >> 8), (unsigned char)sealed},
           HEAD);
    memcpy(out + HEAD, number, NONCE);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, block, iv), 1);
    assert_int_equal(EVP_EncryptUpdate(c, NULL, &done, aad, sizeof(aad)), 1);
    assert_int_equal(EVP_EncryptUpdate(c, out + HEAD + NONCE, &done, p, (int)n), 1);
    assert_int_equal(EVP_EncryptFinal_ex(c, out + HEAD + NONCE + n, &done), 1);
    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, out + HEAD + NONCE + n);
    EVP_CIPHER_CTX_free(c);
    return HEAD + sealed;
}
