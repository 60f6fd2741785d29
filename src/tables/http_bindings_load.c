#include "tables/http_registry.h"

#include <stdlib.h>

#include "tables/http_bindings_set.h"

#include "base/alloc.h"
#include "base/poison.h"

static void warn(struct http_bindings_reader *r, uint32_t line, uint32_t column, char *text)
{
    http_findings_add(r->findings, HTTP_PARAMETERS_WARNING, line, column, text);
}

/* ---- keys ---- */

static const struct {
    struct str name;
    enum ssl_binding_kind kind;
    const char *form; /* of the key's last part */
} ssl_keys[] = {
#define NAME(s)          \
    {                    \
        s, sizeof(s) - 1 \
    }
    {NAME("SslBindingInfo"), SSL_BINDING_ADDRESS, "ADDRESS:PORT"},
    {NAME("SslSniBindingInfo"), SSL_BINDING_HOST, "HOST:PORT"},
    {NAME("SslCcsBindingInfo"), SSL_BINDING_CENTRAL, "PORT"},
#undef NAME
};

static void ssl_key(struct http_bindings_reader *r, size_t i, struct str name, uint32_t line,
                    uint32_t column)
{
    enum rc rc = ssl_binding_take(r->b, ssl_keys[i].kind, name, &r->ssl);

    if (rc == RC_OK) {
        r->place = BINDINGS_SSL;
        r->b->ssl[r->ssl].line = line;
        r->b->ssl[r->ssl].column = column;
    } else if (rc == RC_DECLINED) {
        warn(r, line, column,
             xasprintf("%.*s is not of the form %s; the key is ignored", STR_ARG(name),
                       ssl_keys[i].form));
    } else {
        warn(r, line, column,
             xasprintf("more than %d certificates: the key is ignored", HTTP_BINDINGS_MAX));
    }
}

void http_bindings_key(struct http_bindings_reader *r, struct str path, bool deleted, uint32_t line,
                       uint32_t column)
{
    size_t slash = str_find_char(path, '\\');
    struct str first = str_sub(path, 0, slash);
    struct str rest = slash == SIZE_MAX ? STR("") : str_sub(path, slash + 1, path.n);

    r->place = BINDINGS_NOWHERE;
    if (str_ieq(first, STR("UrlAclInfo")) && rest.n == 0) {
        if (deleted)
            url_reservation_drop(r->b, STR(""));
        else
            r->place = BINDINGS_RESERVATIONS;
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(ssl_keys); i++) {
        if (!str_ieq(first, ssl_keys[i].name))
            continue;
        if (deleted)
            ssl_binding_drop(r->b, ssl_keys[i].kind, rest);
        else if (rest.n) /* else the folder of the entries, which has no values */
            ssl_key(r, i, rest, line, column);
    }
}

void http_bindings_clear(struct http_bindings_reader *r)
{
    r->place = BINDINGS_NOWHERE;
    url_reservation_drop(r->b, STR(""));
    r->b->n_listen = 0;
    r->b->n_ssl = 0;
}

/* ---- certificates ---- */

enum { FIELD_NUMBER, FIELD_TEXT, FIELD_HASH, FIELD_GUID };

static const struct {
    const char *name;
    int type;
    size_t offset;
    const char *def; /* of a text */
} ssl_values[] = {
    {"AppId", FIELD_GUID, offsetof(struct ssl_binding, app_id), NULL},
    {"DefaultFlags", FIELD_NUMBER, offsetof(struct ssl_binding, flags), NULL},
    {"DefaultSslCertCheckMode", FIELD_NUMBER, offsetof(struct ssl_binding, check_mode), NULL},
    {"DefaultSslCtlIdentifier", FIELD_TEXT, offsetof(struct ssl_binding, ctl_identifier), ""},
    {"DefaultSslCtlStoreName", FIELD_TEXT, offsetof(struct ssl_binding, ctl_store), ""},
    {"DefaultSslRevocationFreshnessTime", FIELD_NUMBER,
     offsetof(struct ssl_binding, revocation_freshness_s), NULL},
    {"DefaultSslRevocationUrlRetrievalTimeout", FIELD_NUMBER,
     offsetof(struct ssl_binding, revocation_url_timeout_ms), NULL},
    {"SslCertHash", FIELD_HASH, offsetof(struct ssl_binding, hash), NULL},
    {"SslCertStoreName", FIELD_TEXT, offsetof(struct ssl_binding, store), "MY"},
};

/* The value is not there, or deleted. */
static void reset_field(struct ssl_binding *s, size_t i)
{
    char *to = (char *)s + ssl_values[i].offset;

    switch (ssl_values[i].type) {
    case FIELD_NUMBER:
        memset(to, 0, sizeof(uint32_t));
        break;
    case FIELD_TEXT:
        memcpy(to, ssl_values[i].def, strlen(ssl_values[i].def) + 1);
        break;
    case FIELD_HASH:
        s->hash_len = 0;
        break;
    default:
        memset(s->app_id, 0, sizeof(s->app_id));
    }
}

static bool set_number(char *to, const struct registry_value *v)
{
    uint32_t n = (uint32_t)v->number;

    if (v->type != REGISTRY_NUMBER || v->number > UINT32_MAX)
        return false;
    memcpy(to, &n, sizeof(n));
    return true;
}

/* A store is a folder, so its name must not lead out of the folder of stores. */
static bool set_text(char *to, const struct registry_value *v)
{
    struct str s = buf_view(v->data);

    if (v->type != REGISTRY_TEXT || s.n == 0 || s.n >= SSL_STORE_MAX || s.p[0] == '.' ||
        str_find_char(s, '/') != SIZE_MAX || str_find_char(s, '\\') != SIZE_MAX ||
        str_find_char(s, '\0') != SIZE_MAX)
        return false;
    memcpy(to, s.p, s.n);
    to[s.n] = '\0';
    return true;
}

static bool set_field(struct ssl_binding *s, size_t i, const struct registry_value *v)
{
    char *to = (char *)s + ssl_values[i].offset;

    switch (ssl_values[i].type) {
    case FIELD_NUMBER:
        return set_number(to, v);
    case FIELD_TEXT:
        return set_text(to, v);
    case FIELD_HASH:
        if (v->type != REGISTRY_BINARY || v->data->n > SSL_HASH_MAX)
            return false;
        if (v->data->n)
            memcpy(s->hash, v->data->p, v->data->n);
        s->hash_len = (uint8_t)v->data->n;
        return true;
    default:
        if (v->type != REGISTRY_BINARY || v->data->n != sizeof(s->app_id))
            return false;
        memcpy(s->app_id, v->data->p, sizeof(s->app_id));
        return true;
    }
}

static const char *expected(size_t i)
{
    switch (ssl_values[i].type) {
    case FIELD_NUMBER:
        return "a dword";
    case FIELD_TEXT:
        return "the name of a store";
    case FIELD_HASH:
        return "the thumbprint as hex: bytes";
    default:
        return "a GUID as 16 hex: bytes";
    }
}

static void ssl_value(struct http_bindings_reader *r, const struct http_registry_value *v)
{
    struct ssl_binding *s = &r->b->ssl[r->ssl];

    for (size_t i = 0; i < ARRAY_LEN(ssl_values); i++) {
        if (!str_ieq(v->name, str_z(ssl_values[i].name)))
            continue;
        if (v->good && v->data->type != REGISTRY_DELETED && set_field(s, i, v->data))
            return;
        reset_field(s, i);
        if (!v->good || v->data->type != REGISTRY_DELETED)
            warn(r, v->data->line, v->data->column,
                 xasprintf("%s must be %s; it counts as missing", ssl_values[i].name, expected(i)));
    }
}

/* ---- reservations ---- */

static void reservation(struct http_bindings_reader *r, const struct http_registry_value *v)
{
    if (v->good && v->data->type == REGISTRY_DELETED) {
        url_reservation_drop(r->b, v->name);
        return;
    }
    /* The data says who may register below the prefix. Here that is this server alone. */
    switch (url_reservation_take(r->b, v->name, v->line, v->column)) {
    case RC_DECLINED:
        warn(r, v->line, v->column,
             xasprintf("%.*s is no URL prefix (scheme://host:port/path/); it is ignored",
                       STR_ARG(v->name)));
        break;
    case RC_FAIL:
        warn(r, v->line, v->column,
             xasprintf("more than %d reservations: this one is ignored", HTTP_BINDINGS_MAX));
        break;
    default:
        break;
    }
}

void http_bindings_value(struct http_bindings_reader *r, const struct http_registry_value *v)
{
    if (v->name.n == 0)
        return;
    if (r->place == BINDINGS_SSL)
        ssl_value(r, v);
    else if (r->place == BINDINGS_RESERVATIONS)
        reservation(r, v);
}

/* ---- the listen list ---- */

void http_bindings_listen(struct http_bindings_reader *r, const struct http_registry_value *v)
{
    struct str rest = v->good ? buf_view(v->data->data) : STR("");
    struct str part;

    r->b->n_listen = 0;
    if (v->good && v->data->type == REGISTRY_DELETED)
        return;
    if (!v->good || v->data->type != REGISTRY_LIST) {
        warn(r, v->data->line, v->data->column,
             xasprintf("%.*s must be a list of strings, hex(7); all addresses are listened on",
                       STR_ARG(v->name)));
        return;
    }
    while (str_split(&rest, '\0', &part)) {
        if (part.n && listen_address_take(r->b, part) != RC_OK)
            warn(r, v->data->line, v->data->column,
                 xasprintf("%.*s in %.*s is no address; it is ignored", STR_ARG(part),
                           STR_ARG(v->name)));
    }
}

/* ---- the end ---- */

void http_bindings_check(struct http_bindings_reader *r)
{
    for (size_t i = 0; i < r->b->n_ssl; i++) {
        const struct ssl_binding *s = &r->b->ssl[i];
        if (s->kind != SSL_BINDING_CENTRAL && s->hash_len == 0 && !(s->flags & SSL_BINDING_REJECT))
            warn(r, s->line, s->column,
                 xstrdup("this key has no SslCertHash: connections that need it are refused"));
    }
}
