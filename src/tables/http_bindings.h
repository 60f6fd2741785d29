/* What Windows keeps below HTTP\Parameters beside the parameters themselves, read from the same
 * registry export (http_parameters.h) in the same pass:
 *
 *   SslBindingInfo\ADDRESS:PORT    certificate of an address and port     SSL_BINDING_ADDRESS
 *   SslSniBindingInfo\HOST:PORT    certificate of a host name (SNI)       SSL_BINDING_HOST
 *   SslCcsBindingInfo\PORT         central certificate store on a port    SSL_BINDING_CENTRAL
 *   UrlAclInfo  "PREFIX"=hex:..    reserved URL prefixes (netsh http add urlacl)
 *   ListenOnlyList = REG_MULTI_SZ  addresses to listen on (netsh http add iplisten)
 *
 * Whoever needs a certificate asks ssl_binding_find with what the configuration's binding says; the
 * order of the documentation (exact address, host, wildcard host, central store, any address) is
 * the function's. Certificates themselves are not known here: only their thumbprint and store. */
#ifndef CANDOR_TABLES_HTTP_BINDINGS_H
#define CANDOR_TABLES_HTTP_BINDINGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

enum {
    SSL_HASH_MAX = 64,   /* bytes; SHA-1 has 20 */
    SSL_STORE_MAX = 128, /* bytes of a store's name, NUL included */
    SSL_HOST_MAX = 256,
    HTTP_BINDINGS_MAX = 8192, /* of each list below */
};

enum ssl_binding_kind { SSL_BINDING_ADDRESS, SSL_BINDING_HOST, SSL_BINDING_CENTRAL };

/* DefaultFlags: HTTP_SERVICE_CONFIG_SSL_FLAG_... of the HTTP Server API. */
enum ssl_binding_flags {
    SSL_BINDING_DS_MAPPER = 0x1,
    SSL_BINDING_NEGOTIATE_CLIENT_CERT = 0x2, /* ask for a client certificate in the handshake */
    SSL_BINDING_NO_RAW_FILTER = 0x4,
    SSL_BINDING_REJECT = 0x8, /* refuse every connection */
    SSL_BINDING_NO_HTTP2 = 0x10,
    SSL_BINDING_NO_QUIC = 0x20,
    SSL_BINDING_NO_TLS13 = 0x40,
    SSL_BINDING_NO_OCSP_STAPLING = 0x80,
    SSL_BINDING_TOKEN_BINDING = 0x100,
    SSL_BINDING_LOG_EXTENDED = 0x200,
    SSL_BINDING_NO_LEGACY_TLS = 0x400, /* TLS 1.2 and later only */
    SSL_BINDING_SESSION_TICKET = 0x800,
};

/* DefaultSslCertCheckMode. */
enum ssl_check_mode {
    SSL_CHECK_NO_REVOCATION = 0x1, /* client certificates are not checked for revocation */
    SSL_CHECK_CACHED_ONLY = 0x2,   /* only with lists already at hand */
    SSL_CHECK_FRESHNESS = 0x4,     /* DefaultSslRevocationFreshnessTime counts */
    SSL_CHECK_NO_USAGE = 0x10000,  /* client certificates may be for any use */
};

/* A plain value. */
struct ssl_binding {
    enum ssl_binding_kind kind;
    uint16_t port;
    struct ip_address address; /* of SSL_BINDING_ADDRESS; 0.0.0.0 and :: stand for all */
    char host[SSL_HOST_MAX];   /* of SSL_BINDING_HOST: lower case; may begin with "*." */
    uint8_t hash[SSL_HASH_MAX];
    uint8_t hash_len;                   /* 0: none, as with the central store */
    char store[SSL_STORE_MAX];          /* SslCertStoreName; "MY" if there is none */
    char ctl_store[SSL_STORE_MAX];      /* DefaultSslCtlStoreName: issuers of client certificates */
    char ctl_identifier[SSL_STORE_MAX]; /* DefaultSslCtlIdentifier */
    uint32_t flags;                     /* DefaultFlags, enum ssl_binding_flags */
    uint32_t check_mode;                /* DefaultSslCertCheckMode, enum ssl_check_mode */
    uint32_t revocation_freshness_s;    /* DefaultSslRevocationFreshnessTime; 0: the list's own */
    uint32_t revocation_url_timeout_ms; /* DefaultSslRevocationUrlRetrievalTimeout; 0: default */
    uint8_t app_id[16];                 /* AppId, a GUID as it lies in memory; zeros: none */
    uint32_t line, column;              /* of the key, for findings */
};

/* "http://+:80/Temporary_Listen_Addresses/" */
struct url_reservation {
    char *prefix; /* as written, for messages */
    bool is_https;
    uint16_t port;
    char host[SSL_HOST_MAX]; /* "+", "*", a name in lower case, an address without brackets */
    struct str path;         /* view into prefix, with slash at both ends */
    uint32_t line, column;
};

struct http_bindings {
    struct ssl_binding *ssl;
    size_t n_ssl, cap_ssl;
    struct url_reservation *reservations;
    size_t n_reservations, cap_reservations;
    struct ip_address *listen; /* none: on all addresses */
    size_t n_listen, cap_listen;
};

/* Empty: no certificate, nothing reserved, all addresses. */
void http_bindings_init(struct http_bindings *b);
void http_bindings_fini(struct http_bindings *b);

/* The entry that serves connections for host (lower case; empty: the client named none, or the
 * binding has none) that arrive at address:port. has_address false: the question is about all
 * addresses ("*" in a binding). central: the binding's sslFlags ask for the central store, else
 * such entries are passed over. NULL: none. */
const struct ssl_binding *ssl_binding_find(const struct http_bindings *b, bool has_address,
                                           const struct ip_address *address, uint16_t port,
                                           struct str host, bool central);

/* Whether the listen list allows a socket on the address; an empty list allows all. */
bool http_bindings_may_listen(const struct http_bindings *b, const struct ip_address *address);

#endif
