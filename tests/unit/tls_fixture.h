/* Certificates made for a test, and a client to talk to a tls_conn with. */
#ifndef CANDOR_TESTS_TLS_FIXTURE_H
#define CANDOR_TESTS_TLS_FIXTURE_H

#include <jansson.h>
#include <stdint.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

struct made_cert {
    X509 *x;
    EVP_PKEY *key;
    char *cert_pem, *key_pem;
};

struct made_options {
    const char *name;               /* subject and DNS name */
    const struct made_cert *issuer; /* NULL: itself */
    long from_s, to_s;              /* from now; 0, 0: an hour ago to a day ahead */
    long serial;
    int is_ca, is_client;
    const char *ocsp_url;
    int rsa_bits; /* 0: P-256 */
};

void made_cert(struct made_cert *ret, const struct made_options *o);
void made_cert_free(struct made_cert *c);
/* A revocation list of issuer, of one serial number (0: none); to free. from_s, to_s as above. */
char *made_crl(const struct made_cert *issuer, long serial, long from_s, long to_s);

/* A record of any type and content as a TLS 1.2 client seals it that has
 * ECDHE-...-AES128-GCM-SHA256 and has sent seq records under these keys (its Finished is one). out:
 * n + 29 bytes. Returns how many. */
size_t made_record12(SSL *client, uint64_t seq, unsigned char type, const void *p, size_t n,
                     unsigned char *out);

#endif
