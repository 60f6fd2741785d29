/* Asks a certificate's authority for an OCSP response (RFC 6960) to be stapled to handshakes. The
 * asking is done by a thread of its own, with bounded time: authorities are slow or gone at times.
 */
#ifndef CANDOR_SUPERVISOR_CERTIFICATE_OCSP_H
#define CANDOR_SUPERVISOR_CERTIFICATE_OCSP_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct ocsp_fetch;

struct ocsp_answer {
    unsigned char *der; /* NULL: there is none, and... */
    size_t n;
    char why[256];           /* ...this is why */
    int64_t from_s, until_s; /* when it was made, and until when it holds */
};

/* The authority's address in the certificate, to free by OPENSSL_free; NULL: none that is asked.
 * Only http: the answer is signed. Nothing but our own certificate chooses the address, and an
 * answer that points elsewhere (3xx) is not followed. */
char *ocsp_url(X509 *x);

/* Begins to ask. on_done is called once on the loop's thread; what it is given is ended after it
 * returns (it may take der away by setting it to NULL). issuer signed x, and signs the answer or
 * the certificate of who does. NULL: no thread could be had. */
struct ocsp_fetch *ocsp_fetch_begin(struct loop *loop, X509 *x, X509 *issuer,
                                    void (*on_done)(void *arg, struct ocsp_answer *answer),
                                    void *arg);
/* on_done will not be called any more. NULL is allowed. */
void ocsp_fetch_abandon(struct ocsp_fetch *f);

#endif
