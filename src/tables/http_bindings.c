#include "tables/http_bindings.h"

#include <stdlib.h>

#include "tables/http_bindings_set.h"

#include "base/alloc.h"
#include "base/poison.h"

void http_bindings_init(struct http_bindings *b)
{
    *b = (struct http_bindings){0};
}

static void free_reservations(struct http_bindings *b)
{
    for (size_t i = 0; i < b->n_reservations; i++)
        free(b->reservations[i].prefix);
    b->n_reservations = 0;
}

void http_bindings_fini(struct http_bindings *b)
{
    free_reservations(b);
    free(b->ssl);
    free(b->reservations);
    free(b->listen);
    http_bindings_init(b);
}

/* ---- looking up ---- */

enum rank { RANK_NONE, RANK_ANY_OTHER_FAMILY, RANK_ANY, RANK_CENTRAL, RANK_WILDCARD, RANK_EXACT };

/* "*.example.com" stands for one label and more before it, never for none. */
static bool wildcard_fits(const char *pattern, struct str host)
{
    return pattern[0] == '*' && str_iends(host, str_z(pattern + 1)) && host.n > strlen(pattern) - 1;
}

/* How well the entry fits, in steps that leave room for the length of a wildcard. */
static size_t rank_of(const struct ssl_binding *s, bool has_address, const struct ip_address *a,
                      struct str host, bool central)
{
    enum { STEP = 2 * SSL_HOST_MAX };

    switch (s->kind) {
    case SSL_BINDING_HOST:
        if (str_ieq(str_z(s->host), host))
            return RANK_EXACT * STEP;
        return wildcard_fits(s->host, host) ? RANK_WILDCARD * STEP + strlen(s->host) : RANK_NONE;
    case SSL_BINDING_CENTRAL:
        return central ? RANK_CENTRAL * STEP : RANK_NONE;
    case SSL_BINDING_ADDRESS:
        break;
    }
    /* An address alone outranks every name. */
    if (has_address && !ip_is_any(&s->address) && ip_same(&s->address, a))
        return RANK_EXACT * STEP + 1;
    if (!ip_is_any(&s->address))
        return RANK_NONE;
    return (has_address && s->address.is_v4 != a->is_v4 ? RANK_ANY_OTHER_FAMILY : RANK_ANY) * STEP;
}

const struct ssl_binding *ssl_binding_find(const struct http_bindings *b, bool has_address,
                                           const struct ip_address *address, uint16_t port,
                                           struct str host, bool central)
{
    const struct ssl_binding *best = NULL;
    size_t best_rank = RANK_NONE;

    for (size_t i = 0; i < b->n_ssl; i++) {
        const struct ssl_binding *s = &b->ssl[i];
        if (s->port != port)
            continue;
        size_t rank = rank_of(s, has_address, address, host, central);
        if (rank > best_rank) {
            best = s;
            best_rank = rank;
        }
    }
    return best;
}

bool http_bindings_may_listen(const struct http_bindings *b, const struct ip_address *address)
{
    for (size_t i = 0; i < b->n_listen; i++)
        if (ip_same(&b->listen[i], address) ||
            (ip_is_any(&b->listen[i]) && b->listen[i].is_v4 == address->is_v4))
            return true;
    return b->n_listen == 0;
}

/* ---- filling ---- */

static bool take_port(struct str s, uint16_t *ret)
{
    uint64_t port;

    if (!str_u64(s, 65535, &port) || port == 0 || s.p[0] == '0')
        return false;
    *ret = (uint16_t)port;
    return true;
}

static bool copy_lower(struct str s, char *out, size_t room)
{
    if (s.n == 0 || s.n >= room || str_find_char(s, '\0') != SIZE_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++)
        out[i] = ascii_lower(s.p[i]);
    out[s.n] = '\0';
    return true;
}

/* ADDRESS:PORT, HOST:PORT, or for the central store PORT with anything before it. */
static bool parse_name(enum ssl_binding_kind kind, struct str name, struct ssl_binding *ret)
{
    size_t colon = str_rfind_char(name, ':');
    struct str before = colon == SIZE_MAX ? STR("") : str_sub(name, 0, colon);
    struct str port = colon == SIZE_MAX ? name : str_sub(name, colon + 1, name.n);

    *ret = (struct ssl_binding){.kind = kind, .store = "MY"};
    if (!take_port(port, &ret->port))
        return false;
    switch (kind) {
    case SSL_BINDING_ADDRESS:
        return ip_parse(before, &ret->address);
    case SSL_BINDING_HOST:
        return copy_lower(before, ret->host, sizeof(ret->host));
    case SSL_BINDING_CENTRAL:
        break;
    }
    return true;
}

static bool same_entry(const struct ssl_binding *a, const struct ssl_binding *b)
{
    return a->kind == b->kind && a->port == b->port &&
           memcmp(&a->address.bytes, &b->address.bytes, sizeof(a->address.bytes)) == 0 &&
           a->address.scope == b->address.scope && strcmp(a->host, b->host) == 0;
}

static size_t find_entry(const struct http_bindings *b, const struct ssl_binding *like)
{
    size_t i = 0;

    while (i < b->n_ssl && !same_entry(&b->ssl[i], like))
        i++;
    return i;
}

enum rc ssl_binding_take(struct http_bindings *b, enum ssl_binding_kind kind, struct str name,
                         size_t *ret)
{
    struct ssl_binding s;

    if (!parse_name(kind, name, &s))
        return RC_DECLINED;
    size_t i = find_entry(b, &s);

    if (i == b->n_ssl) {
        if (b->n_ssl == HTTP_BINDINGS_MAX)
            return RC_FAIL;
        b->ssl = xgrow(b->ssl, b->n_ssl, &b->cap_ssl, sizeof(*b->ssl));
        b->ssl[b->n_ssl++] = s;
    }
    *ret = i;
    return RC_OK;
}

void ssl_binding_drop(struct http_bindings *b, enum ssl_binding_kind kind, struct str name)
{
    struct ssl_binding s;
    size_t kept = 0;
    bool parsed = name.n == 0 || parse_name(kind, name, &s);

    for (size_t i = 0; parsed && i < b->n_ssl; i++) {
        bool gone = name.n ? same_entry(&b->ssl[i], &s) : b->ssl[i].kind == kind;
        if (!gone)
            b->ssl[kept++] = b->ssl[i];
    }
    if (parsed)
        b->n_ssl = kept;
}

/* The part of a prefix behind its scheme: HOST:PORT/PATH/ (UrlPrefix Strings). */
static bool parse_authority(struct url_reservation *r, struct str s)
{
    size_t slash = str_find_char(s, '/');
    struct str authority = str_sub(s, 0, slash);
    size_t colon = str_rfind_char(authority, ':');
    struct str host = str_sub(authority, 0, colon);
    struct ip_address ip;

    if (slash == SIZE_MAX || colon == SIZE_MAX || s.p[s.n - 1] != '/' ||
        !take_port(str_sub(authority, colon + 1, authority.n), &r->port))
        return false;
    r->path = str_sub(s, slash, s.n);
    if (host.n > 1 && host.p[0] == '[') {
        char text[IP_TEXT_MAX];
        return ip_parse(host, &ip) &&
               copy_lower(str_n(text, ip_format(&ip, text)), r->host, sizeof(r->host));
    }
    return str_find_char(host, ':') == SIZE_MAX && copy_lower(host, r->host, sizeof(r->host));
}

static bool parse_prefix(struct url_reservation *r)
{
    struct str s = str_z(r->prefix);

    if (str_istarts(s, STR("http://")))
        return parse_authority(r, str_sub(s, sizeof("http://") - 1, s.n));
    r->is_https = true;
    return str_istarts(s, STR("https://")) &&
           parse_authority(r, str_sub(s, sizeof("https://") - 1, s.n));
}

enum rc url_reservation_take(struct http_bindings *b, struct str prefix, uint32_t line,
                             uint32_t column)
{
    if (prefix.n == 0 || str_find_char(prefix, '\0') != SIZE_MAX)
        return RC_DECLINED;
    if (b->n_reservations == HTTP_BINDINGS_MAX)
        return RC_FAIL;
    url_reservation_drop(b, prefix);
    struct url_reservation r = {.prefix = str_dup_z(prefix), .line = line, .column = column};

    if (!parse_prefix(&r)) {
        free(r.prefix);
        return RC_DECLINED;
    }
    b->reservations =
        xgrow(b->reservations, b->n_reservations, &b->cap_reservations, sizeof(*b->reservations));
    b->reservations[b->n_reservations++] = r;
    return RC_OK;
}

void url_reservation_drop(struct http_bindings *b, struct str prefix)
{
    size_t kept = 0;

    if (prefix.n == 0)
        free_reservations(b);
    for (size_t i = 0; i < b->n_reservations; i++) {
        if (str_ieq(str_z(b->reservations[i].prefix), prefix))
            free(b->reservations[i].prefix);
        else
            b->reservations[kept++] = b->reservations[i];
    }
    b->n_reservations = kept;
}

enum rc listen_address_take(struct http_bindings *b, struct str text)
{
    struct ip_address a;

    if (!ip_parse(text, &a))
        return RC_DECLINED;
    if (b->n_listen == HTTP_BINDINGS_MAX)
        return RC_FAIL;
    b->listen = xgrow(b->listen, b->n_listen, &b->cap_listen, sizeof(*b->listen));
    b->listen[b->n_listen++] = a;
    return RC_OK;
}
