#include "worker/access.h"

#include "http/host.h"
#include "worker/channel.h"
#include "worker/modules/text.h"
#include "worker/request_core.h"
#include "worker/url_cache.h"

#include "base/poison.h"

enum {
    STRONG_BITS = 128,
    LOCATION_MAX = 64 * 1024,
    CRYPT_E_REVOCATION_OFFLINE = (int)0x80092013,
};

static enum pipe_rc fail(struct request *r, const struct status_row *row, uint32_t hresult)
{
    r->in_module = NULL;
    return request_fail(r, row, hresult, STR_NULL);
}

enum pipe_rc access_check(struct request *r, uint32_t ssl_flags)
{
    bool tls = r->msg.head.flags & MSGF_TLS;

    if ((ssl_flags & SSL_FLAG_SSL) && !tls)
        return fail(r, &st_403_4_ssl_required, 0);
    if ((ssl_flags & SSL_FLAG_128) && (!tls || r->msg.head.tls.cipher_bits < STRONG_BITS))
        return fail(r, &st_403_5_ssl128_required, 0);
    return PIPE_CONTINUE;
}

/* ---- certificates --------------------------------------------------------------------------- */

static enum pipe_rc judge(struct request *r)
{
    switch ((enum client_cert_verdict)r->msg.head.tls.verdict) {
    case CLIENT_CERT_NONE:
        if (r->url->plan->ssl_flags & SSL_FLAG_REQUIRE_CERT)
            return fail(r, &st_403_7_cert_required, 0);
        break;
    case CLIENT_CERT_GOOD:
        break;
    case CLIENT_CERT_UNTRUSTED:
        return fail(r, &st_403_16_cert_untrusted, 0);
    case CLIENT_CERT_OUT_OF_DATE:
        return fail(r, &st_403_17_cert_expired, 0);
    case CLIENT_CERT_REVOKED:
        return fail(r, &st_403_13_cert_revoked, 0);
    case CLIENT_CERT_REVOCATION_UNKNOWN:
        return fail(r, &st_403_13_cert_revoked, (uint32_t)CRYPT_E_REVOCATION_OFFLINE);
    case CLIENT_CERT_TOO_MUCH:
        return fail(r, &st_413_0_entity_too_large, 0);
    }
    return PIPE_CONTINUE;
}

static void on_certificate(struct request *r, void *arg)
{
    request_resume(r, r->response.abort ? PIPE_FINISH : judge(r));
}

/* The body comes before the client can be asked for its certificate. As much of it as
 * uploadReadAheadSize says is kept meanwhile, more or an unknown amount is too much. */
static bool body_is_in_the_way(const struct request *r, const struct plan *p)
{
    int64_t n = r->msg.head.content_length;
    int64_t max = p->read_ahead < CHANNEL_READ_AHEAD_MAX ? p->read_ahead : CHANNEL_READ_AHEAD_MAX;

    return (r->msg.head.flags & MSGF_HAS_BODY) && (n < 0 || n > max);
}

enum pipe_rc access_certificate(struct request *r, const struct plan *p)
{
    if (!(r->msg.head.flags & MSGF_TLS) || r->msg.head.tls.verdict != CLIENT_CERT_NONE)
        return judge(r);
    if (r->msg.head.major >= 2) {
        /* RFC 9113 section 9.2.3: no certificate within HTTP/2. The client comes again. */
        r->response.needs_http11 = true;
        return fail(r, &st_403_7_cert_required, 0);
    }
    if (!(r->msg.head.flags & MSGF_CERT_ASKABLE))
        return judge(r);
    if (body_is_in_the_way(r, p))
        return fail(r, &st_413_0_entity_too_large, 0);
    return request_ask_certificate(r, on_certificate, NULL) ? PIPE_PENDING : judge(r);
}

/* ---- hsts ----------------------------------------------------------------------------------- */

/* IIS exchanges the scheme and leaves out the port: what it leads to has to be on 443. */
enum pipe_rc access_redirect(struct request *r)
{
    _cleanup_buf_ struct buf b;
    struct http_host host;

    if (!http_host_parse(r->msg.host, &host))
        return PIPE_CONTINUE; /* HTTP/1.0 without a name: no certificate would fit */
    buf_init(&b, LOCATION_MAX);
    buf_str(&b, STR("https://"));
    buf_str(&b, host.name);
    text_url_path(&b, r->path);
    if (r->query.n) {
        buf_char(&b, '?');
        text_url_clean(&b, r->query);
    }
    struct str location = text_keep(r, &b);

    if (location.n == 0)
        return fail(r, &st_500_0_module_error, 0x8007007a);
    return text_document_moved(r, &st_307_0_temporary_redirect, location);
}
