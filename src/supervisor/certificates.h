/* Which certificate serves which https binding; what the listener is told of it.
 *
 * supervisor -> listener
 *   tls            {ktls, certificates:[{id, chain, key, staple?}], bindings:[{address, port,
 * host?, certificate | central:true, sslFlags, http2, ask, check}], central:[name, ...],
 *                   trust:{roots, intermediates, crls}}
 *                  chain, key, roots, intermediates, crls: PEM texts; staple: base64 of an OCSP
 *                  response; host: a binding by SNI; ask: for a client certificate in the
 * handshake; check: DefaultSslCertCheckMode; central: names of the central store certificate {name,
 * certificate?:{id, chain, key, staple?}, ktls} a certificate of the central store; without one: it
 * cannot be used listener -> supervisor certificate_wanted {name}    one of central's names event
 * {code:"tls_unusable", text}   a tls message was refused; the one before it is kept
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
