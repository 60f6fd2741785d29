/* Certificates with their keys, read from PEM and PFX files and checked: what is read here can be
 * used, or there is a sentence that says what is wrong and what would help. */
#ifndef CANDOR_SUPERVISOR_CERTIFICATE_FILE_H
#define CANDOR_SUPERVISOR_CERTIFICATE_FILE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

enum { THUMBPRINT_HEX = 40, CERTIFICATE_WHY_MAX = 512 };

struct certificate {
    char thumbprint[THUMBPRINT_HEX + 1]; /* SHA-1 of the certificate, lower case: Windows' name */
    char *chain; /* PEM: the certificate, then its issuers as far as known */
    char *key;   /* PEM; wiped by certificate_fini */
    X509 *x;
    X509 *issuer;         /* NULL: not in the file */
    int64_t from_s, to_s; /* of its validity, since 1970 */
};

struct certificate_source {
    const char *path;
    const char *key_path;           /* NULL: in the same file, or beside it with the ending .key */
    const char *password;           /* of a PFX or an encrypted key; NULL: none */
    STACK_OF(X509) * intermediates; /* to complete a chain from; NULL: none */
};

/* The wall clock decides nothing here: dates are the caller's to judge. False: why[] has one
 * sentence, with the file's name. ret is to be ended with certificate_fini in either case. */
MUST_CHECK bool certificate_read(const struct certificate_source *from, struct certificate *ret,
                                 char why[CERTIFICATE_WHY_MAX]);
void certificate_fini(struct certificate *c);

/* True: nobody can tell which certificates are in it, for it cannot be read or the password does
 * not open it; why[] says so with the remedy. */
bool certificate_is_closed(const char *path, const char *password, char why[CERTIFICATE_WHY_MAX]);

/* Every certificate of a file (PEM, DER, PFX with password or NULL), to be freed by
 * sk_X509_pop_free; and, if ret_lists is not NULL, every revocation list. NULL: not readable, or
 * none in it; then nothing is set. Keys are not looked at. */
STACK_OF(X509) *
    certificate_read_all(const char *path, const char *password, STACK_OF(X509_CRL) * *ret_lists);

void certificate_thumbprint(const X509 *x, char ret[THUMBPRINT_HEX + 1]);

#endif
