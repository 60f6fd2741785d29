/* Which certificate serves which https binding; what the listener is told of it.
 *
 * supervisor -> listener:
 *
 * - tls {ktls, certificates:[C, ...], bindings:[{address, port, host?, certificate, central?,
 *   sslFlags, http2, ask, check}, ...], central:[name, ...], trust:{roots, intermediates, crls}}
 *   where C is {id, chain, key, staple?}
 *
 *   chain, key, roots, intermediates and crls are PEM texts, staple is base64 of an OCSP response.
 *   A binding with host is one by SNI; certificate is the id of one that is sent, or central is
 *   true. ask: for a client certificate in the handshake; check: DefaultSslCertCheckMode. The
 *   names under central are those that the central store has.
 *
 * - certificate {name, certificate?:C, ktls}
 *
 *   A certificate of the central store. Without certificate: it cannot be used.
 *
 * listener -> supervisor:
 *
 * - certificate_wanted {name}, one of the names under central
 * - event {code:"tls_unusable", text}: a tls message was refused, the one before it is kept
 *
 * The stores' folders and those of named files are watched: a change is in force within a second.
 * What is worse than what was there (unreadable, no key, expired) is told and not taken. */
#ifndef CANDOR_SUPERVISOR_CERTIFICATES_H
#define CANDOR_SUPERVISOR_CERTIFICATES_H

#include <jansson.h>

struct certificates;
struct supervisor;

struct certificates *certificates_new(struct supervisor *s);
/* Returns NULL; NULL is allowed. */
struct certificates *certificates_free(struct certificates *c);

/* Looks at the configuration in force and the files, and tells the listener if anything is new. */
void certificates_apply(struct certificates *c);
/* A new listener knows nothing yet: tells it what is in force, without looking again. */
void certificates_send(struct certificates *c);
/* With the development certificate: on standard error, how to trust it. */
void certificates_say(const struct certificates *c);
/* certificate_wanted, from the listener. */
void certificates_wanted(struct certificates *c, const json_t *msg);

#endif
