/* security/access sslFlags: what a path demands of the connection (403.4, 403.5) and of the
 * client's certificate (403.7, 403.13, 403.16, 403.17). And hsts/redirectHttpToHttps of the site.
 * Part of IIS Web Core: it comes before every module. */
#ifndef CANDOR_WORKER_ACCESS_H
#define CANDOR_WORKER_ACCESS_H

#include "worker/plan.h"
#include "worker/request.h"

/* TLS at all, and with enough bits. */
enum pipe_rc access_check(struct request *r, uint32_t ssl_flags);

static inline bool access_wants_certificate(uint32_t ssl_flags)
{
    return ssl_flags & (SSL_FLAG_NEGOTIATE_CERT | SSL_FLAG_REQUIRE_CERT);
}
/* Judges the client's certificate, asking for one first if none came with the handshake:
 * PIPE_PENDING, and request_resume when there is an answer. */
enum pipe_rc access_certificate(struct request *r, const struct plan *p);

/* 307 to the same URL with the scheme https. */
enum pipe_rc access_redirect(struct request *r);

#endif
