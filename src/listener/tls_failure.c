/* Why a handshake failed, in the few words that counters and events have for it. */
#include <openssl/err.h>
#include <openssl/sslerr.h>

#include "listener/tls_internal.h"
#include "base/poison.h"

/* OpenSSL's reasons that an administrator can do something about. */
static const struct {
    int reason;
    enum tls_cause cause;
} reasons[] = {
    {SSL_R_HTTP_REQUEST, TLS_CAUSE_NOT_TLS},
    {SSL_R_HTTPS_PROXY_REQUEST, TLS_CAUSE_NOT_TLS},
    {SSL_R_WRONG_VERSION_NUMBER, TLS_CAUSE_NOT_TLS},
    {SSL_R_UNKNOWN_PROTOCOL, TLS_CAUSE_NOT_TLS},
    {SSL_R_UNSUPPORTED_PROTOCOL, TLS_CAUSE_VERSION},
    {SSL_R_VERSION_TOO_LOW, TLS_CAUSE_VERSION},
    {SSL_R_VERSION_TOO_HIGH, TLS_CAUSE_VERSION},
    {SSL_R_INAPPROPRIATE_FALLBACK, TLS_CAUSE_VERSION},
    {SSL_R_NO_SHARED_CIPHER, TLS_CAUSE_CIPHER},
    {SSL_R_NO_SHARED_GROUPS, TLS_CAUSE_CIPHER},
    {SSL_R_NO_SUITABLE_GROUPS, TLS_CAUSE_CIPHER},
    {SSL_R_NO_SUITABLE_KEY_SHARE, TLS_CAUSE_CIPHER},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, TLS_CAUSE_CIPHER},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, TLS_CAUSE_CIPHER},
    {SSL_R_NO_APPLICATION_PROTOCOL, TLS_CAUSE_ALPN},
};

static enum tls_cause cause_of(unsigned long e)
{
    int reason = ERR_GET_REASON(e);

    if (e == 0)
        return TLS_CAUSE_CLOSED;
    if (ERR_GET_LIB(e) != ERR_LIB_SSL)
        return TLS_CAUSE_OTHER;
    if (reason > SSL_AD_REASON_OFFSET)
        return TLS_CAUSE_REFUSED; /* the client's alert, plus that number */
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].reason == reason)
            return reasons[i].cause;
    return TLS_CAUSE_OTHER;
}

void tls_remember_failure(struct tls_conn *c)
{
    unsigned long e = ERR_peek_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;

    if (!c->failure) {
        c->failure = reason ? reason : c->err ? "connection lost" : "closed by the client";
        c->cause = (uint8_t)cause_of(e);
    }
    c->failed = true;
    ERR_clear_error();
}

void tls_fail_as(struct tls_conn *c, enum tls_cause cause, const char *why)
{
    c->failure = why;
    c->cause = (uint8_t)cause;
}

const char *tls_failure(const struct tls_conn *c)
{
    return c->failure ? c->failure : "";
}

void tls_get_failure(const struct tls_conn *c, struct tls_failure_facts *ret)
{
    *ret = (struct tls_failure_facts){.cause = (enum tls_cause)c->cause,
                                      .alert = c->alert,
                                      .has_alert = c->has_alert,
                                      .why = tls_failure(c),
                                      .name = c->server_name ? c->server_name : "-"};
}
