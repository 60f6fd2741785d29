#include "worker/modules/server_variables.h"

#include <arpa/inet.h>

#include "config/config.h"
#include "http/host.h"
#include "worker/modules/text.h"
#include "worker/modules/tls_variables.h"
#include "worker/url_cache.h"

#include "base/poison.h"

enum { VALUE_MAX = 64 * 1024 };

/* ---- pieces --------------------------------------------------------------------------------- */

static struct str decimal(struct request *r, uint64_t v)
{
    return arena_printf(&r->arena, "%llu", (unsigned long long)v);
}

static struct str address(struct request *r, const struct msg_address *a)
{
    char text[INET6_ADDRSTRLEN];
    bool v4 = a->is_v4;

    if (!inet_ntop(v4 ? AF_INET : AF_INET6, a->ip + (v4 ? 12 : 0), text, sizeof(text)))
        return STR_NULL;
    return arena_dup(&r->arena, str_z(text));
}

static bool is_tls(const struct request *r)
{
    return r->msg.head.flags & MSGF_TLS;
}

static const struct config_node *node_of(const struct request *r)
{
    return r->url ? r->url->node : NULL;
}

static const struct config_site *site_of(const struct request *r)
{
    const struct config_node *node = node_of(r);

    return node ? config_node_site(node) : NULL;
}

static const struct config_application *application_of(const struct request *r)
{
    const struct config_node *node = node_of(r);

    return node ? config_node_application(node) : NULL;
}

/* The folder of the application's or site's root virtual directory. */
static struct str root_directory(const struct config_application *app)
{
    for (size_t i = 0; app && i < app->n_vdirs; i++)
        if (str_eq(app->vdirs[i].path, STR("/")))
            return app->vdirs[i].directory;
    return STR_NULL;
}

/* The URL's part in front of its path info. */
static struct str script_name(const struct request *r)
{
    return r->path_info.n && r->path_info.n < r->path.n
               ? str_sub(r->path, 0, r->path.n - r->path_info.n)
               : r->path;
}

static struct str path_and_query(struct request *r)
{
    return r->query.n ? arena_printf(&r->arena, "%.*s?%.*s", STR_ARG(r->path), STR_ARG(r->query))
                      : r->path;
}

static struct str all_headers(struct request *r, bool raw)
{
    _cleanup_buf_ struct buf b = {0};

    buf_init(&b, VALUE_MAX);
    for (uint16_t i = 0; i < r->msg.head.n_fields; i++) {
        const struct msg_field *f = &r->msg.fields[i];

        if (f->id == HDR_AUTHORIZATION || f->id == HDR_PROXY_AUTHORIZATION)
            continue;
        if (!raw)
            buf_str(&b, STR("HTTP_"));
        for (uint16_t k = 0; k < f->name_len; k++) {
            char c = r->msg.bytes[f->name_off + k];

            if (!raw && c == '-')
                c = '_';
            else if (!raw && c >= 'a' && c <= 'z')
                c = (char)(c - 'a' + 'A');
            buf_char(&b, c);
        }
        buf_str(&b, raw ? STR(": ") : STR(":"));
        buf_append(&b, r->msg.bytes + f->value_off, f->value_len);
        buf_str(&b, raw ? STR("\r\n") : STR("\n"));
    }
    return text_keep(r, &b);
}

/* ---- one function per variable -------------------------------------------------------------- */

static struct str var_all_http(struct request *r)
{
    return all_headers(r, false);
}

static struct str var_all_raw(struct request *r)
{
    return all_headers(r, true);
}

static struct str var_app_pool_id(struct request *r)
{
    const struct config_application *app = application_of(r);

    return app ? app->pool : STR_NULL;
}

/* "/LM/W3SVC/1/ROOT/app", as the metabase named applications. */
static struct str var_appl_md_path(struct request *r)
{
    const struct config_application *app = application_of(r);

    if (!app)
        return STR_NULL;
    return arena_printf(&r->arena, "/LM/W3SVC/%u/ROOT%.*s", r->msg.head.site_id,
                        str_eq(app->path, STR("/")) ? 0 : (int)app->path.n, app->path.p);
}

static struct str var_appl_physical_path(struct request *r)
{
    struct str dir = root_directory(application_of(r));

    return dir.n && dir.p[dir.n - 1] != '/' ? arena_printf(&r->arena, "%.*s/", STR_ARG(dir)) : dir;
}

static struct str var_auth_type(struct request *r)
{
    return r->auth_type;
}

static struct str var_user(struct request *r)
{
    return r->user;
}

static struct str var_cache_url(struct request *r)
{
    struct http_host host;
    struct str base = request_base_url(r);
    struct str rest = path_and_query(r);

    if (http_host_parse(r->msg.host, &host) && host.port)
        return arena_printf(&r->arena, "%.*s%.*s", STR_ARG(base), STR_ARG(rest));
    return arena_printf(&r->arena, "%.*s:%u%.*s", STR_ARG(base), r->msg.head.local.port,
                        STR_ARG(rest));
}

static struct str var_content_length(struct request *r)
{
    int64_t n = r->msg.head.content_length;

    return r->msg.head.flags & MSGF_HAS_BODY && n >= 0 ? decimal(r, (uint64_t)n) : STR("0");
}

static struct str var_content_type(struct request *r)
{
    return request_header(r, HDR_CONTENT_TYPE);
}

static struct str var_document_root(struct request *r)
{
    const struct config_site *site = site_of(r);

    for (size_t i = 0; site && i < site->n_applications; i++)
        if (str_eq(site->applications[i].path, STR("/")))
            return root_directory(&site->applications[i]);
    return STR_NULL;
}

static struct str var_gateway_interface(struct request *r)
{
    return STR("CGI/1.1");
}

static struct str var_path_and_query(struct request *r)
{
    return path_and_query(r);
}

static struct str var_protocol(struct request *r)
{
    if (r->msg.head.major >= 2)
        return STR("HTTP/2.0");
    return r->msg.head.minor == 0 ? STR("HTTP/1.0") : STR("HTTP/1.1");
}

static struct str var_https(struct request *r)
{
    return is_tls(r) ? STR("on") : STR("off");
}

static struct str var_instance_id(struct request *r)
{
    return decimal(r, r->msg.head.site_id);
}

static struct str var_instance_meta_path(struct request *r)
{
    return arena_printf(&r->arena, "/LM/W3SVC/%u", r->msg.head.site_id);
}

static struct str var_instance_name(struct request *r)
{
    const struct config_site *site = site_of(r);

    return site ? site->name : STR_NULL;
}

static struct str var_local_addr(struct request *r)
{
    return address(r, &r->msg.head.local);
}

static struct str var_path(struct request *r)
{
    return r->path;
}

static struct str var_path_info(struct request *r)
{
    return r->path_info.n ? r->path_info : r->path;
}

static struct str var_physical(struct request *r)
{
    return request_physical_path(r);
}

static struct str var_query(struct request *r)
{
    return r->query;
}

static struct str var_remote_addr(struct request *r)
{
    return address(r, &r->msg.head.remote);
}

static struct str var_remote_port(struct request *r)
{
    return decimal(r, r->msg.head.remote.port);
}

static struct str var_method(struct request *r)
{
    return r->method;
}

static struct str var_script_name(struct request *r)
{
    return script_name(r);
}

/* The name the client asked for, else the address it came to. */
static struct str var_server_name(struct request *r)
{
    struct http_host host;

    return http_host_parse(r->msg.host, &host) ? host.name : address(r, &r->msg.head.local);
}

static struct str var_server_port(struct request *r)
{
    return decimal(r, r->msg.head.local.port);
}

static struct str var_server_port_secure(struct request *r)
{
    return is_tls(r) ? STR("1") : STR("0");
}

static struct str var_server_software(struct request *r)
{
    return STR("Microsoft-IIS/10.0");
}

static struct str var_unencoded_url(struct request *r)
{
    return r->msg.raw_target;
}

static struct str var_response_status(struct request *r)
{
    return r->response.row ? decimal(r, r->response.row->status) : STR_NULL;
}

#define ROW(name, get)                    \
    {                                     \
        {(name), sizeof(name) - 1}, (get) \
    }

/* Sorted by name, letter case aside. */
static const struct {
    struct str name;
    struct str (*get)(struct request *r);
} variables[] = {
    ROW("ALL_HTTP", var_all_http),
    ROW("ALL_RAW", var_all_raw),
    ROW("APP_POOL_ID", var_app_pool_id),
    ROW("APPL_MD_PATH", var_appl_md_path),
    ROW("APPL_PHYSICAL_PATH", var_appl_physical_path),
    ROW("AUTH_TYPE", var_auth_type),
    ROW("AUTH_USER", var_user),
    ROW("CACHE_URL", var_cache_url),
    ROW("CERT_COOKIE", tls_var_cert_cookie),
    ROW("CERT_FLAGS", tls_var_cert_flags),
    ROW("CERT_ISSUER", tls_var_cert_issuer),
    ROW("CERT_KEYSIZE", tls_var_keysize),
    ROW("CERT_SECRETKEYSIZE", tls_var_secretkeysize),
    ROW("CERT_SERIALNUMBER", tls_var_cert_serialnumber),
    ROW("CERT_SUBJECT", tls_var_cert_subject),
    ROW("CONTENT_LENGTH", var_content_length),
    ROW("CONTENT_TYPE", var_content_type),
    ROW("CRYPT_CIPHER_ALG_ID", tls_var_crypt_cipher),
    ROW("CRYPT_HASH_ALG_ID", tls_var_crypt_hash),
    ROW("CRYPT_KEYEXCHANGE_ALG_ID", tls_var_crypt_keyexchange),
    ROW("CRYPT_PROTOCOL", tls_var_crypt_protocol),
    ROW("DOCUMENT_ROOT", var_document_root),
    ROW("GATEWAY_INTERFACE", var_gateway_interface),
    ROW("HTTP_METHOD", var_method),
    ROW("HTTP_URL", var_path_and_query),
    ROW("HTTP_VERSION", var_protocol),
    ROW("HTTPS", var_https),
    ROW("HTTPS_KEYSIZE", tls_var_keysize),
    ROW("HTTPS_SECRETKEYSIZE", tls_var_secretkeysize),
    ROW("INSTANCE_ID", var_instance_id),
    ROW("INSTANCE_META_PATH", var_instance_meta_path),
    ROW("INSTANCE_NAME", var_instance_name),
    ROW("LOCAL_ADDR", var_local_addr),
    ROW("LOGON_USER", var_user),
    ROW("ORIG_PATH_INFO", var_path),
    ROW("PATH_INFO", var_path_info),
    ROW("PATH_TRANSLATED", var_physical),
    ROW("QUERY_STRING", var_query),
    ROW("REMOTE_ADDR", var_remote_addr),
    ROW("REMOTE_HOST", var_remote_addr),
    ROW("REMOTE_PORT", var_remote_port),
    ROW("REMOTE_USER", var_user),
    ROW("REQUEST_FILENAME", var_physical),
    ROW("REQUEST_METHOD", var_method),
    ROW("REQUEST_URI", var_path_and_query),
    ROW("RESPONSE_STATUS", var_response_status),
    ROW("SCRIPT_FILENAME", var_physical),
    ROW("SCRIPT_NAME", var_script_name),
    ROW("SCRIPT_TRANSLATED", var_physical),
    ROW("SERVER_ADDR", var_local_addr),
    ROW("SERVER_NAME", var_server_name),
    ROW("SERVER_PORT", var_server_port),
    ROW("SERVER_PORT_SECURE", var_server_port_secure),
    ROW("SERVER_PROTOCOL", var_protocol),
    ROW("SERVER_SOFTWARE", var_server_software),
    ROW("UNENCODED_URL", var_unencoded_url),
    ROW("UNMAPPED_REMOTE_USER", var_user),
    ROW("URL", var_path),
    ROW("URL_PATH_INFO", var_path),
};

/* "X_FORWARDED_FOR" as the header name "X-FORWARDED-FOR". */
static struct str header_name(struct request *r, struct str name)
{
    char *copy = arena_dup_z(&r->arena, name);

    for (size_t i = 0; copy && i < name.n; i++)
        if (copy[i] == '_')
            copy[i] = '-';
    return str_n(copy, copy ? name.n : 0);
}

static struct str response_value(struct request *r, struct str name)
{
    enum http_header_id id = http_header_lookup(name);

    if (id != HDR_OTHER)
        return response_header_get(r, id);
    for (const struct response_header *h = r->response.headers; h; h = h->next)
        if (str_ieq(h->name, name))
            return h->value;
    return STR_NULL;
}

struct str server_variable(struct request *r, struct str name)
{
    size_t low = 0;
    size_t high = ARRAY_LEN(variables);

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = str_icmp(variables[mid].name, name);

        if (order == 0)
            return variables[mid].get(r);
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (str_istarts(name, STR("HTTP_")))
        return request_header_named(r, header_name(r, str_sub(name, 5, name.n)));
    if (str_istarts(name, STR("RESPONSE_")))
        return response_value(r, header_name(r, str_sub(name, 9, name.n)));
    return STR_NULL;
}
