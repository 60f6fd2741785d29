/* Server variables about the TLS connection and the client's certificate: HTTPS_*, CERT_*, CRYPT_*.
 * Rows of the table in server_variables.c; values are in the request's arena, empty without TLS or
 * certificate. */
#ifndef CANDOR_WORKER_MODULES_TLS_VARIABLES_H
#define CANDOR_WORKER_MODULES_TLS_VARIABLES_H

#include "base/str.h"

struct request;

/* Bits of the connection's cipher, and of the server's key. */
struct str tls_var_keysize(struct request *r);
struct str tls_var_secretkeysize(struct request *r);

/* Of the client's certificate. The cookie is its SHA-1 fingerprint; names are written as Windows
 * writes them ("C=DE, O=\"A, B\", CN=me"); flags: 1 there is one, 2 its issuer is not trusted. */
struct str tls_var_cert_cookie(struct request *r);
struct str tls_var_cert_flags(struct request *r);
struct str tls_var_cert_issuer(struct request *r);
struct str tls_var_cert_serialnumber(struct request *r);
struct str tls_var_cert_subject(struct request *r);

/* What was agreed upon, as the hexadecimal numbers of Schannel's SecPkgContext_ConnectionInfo
 * (SP_PROT_…, CALG_…). */
struct str tls_var_crypt_protocol(struct request *r);
struct str tls_var_crypt_cipher(struct request *r);
struct str tls_var_crypt_hash(struct request *r);
struct str tls_var_crypt_keyexchange(struct request *r);

#endif
