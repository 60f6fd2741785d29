#include "listener/generation.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/clock.h"
#include "base/ipc.h"
#include "listener/bandwidth.h"
#include "base/poison.h"

struct generation *generation_ref(struct generation *g)
{
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void generation_unref(struct generation *g)
{
    if (!g || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_fini(&g->arena);
    free(g);
}

static struct str lower_copy(struct arena *a, struct str s)
{
    char *z = arena_dup_z(a, s);

    for (size_t i = 0; i < s.n; i++)
        z[i] = ascii_lower(z[i]);
    return str_n(z, s.n);
}

/* "*" and "" mean any address. False: not an address. */
static bool parse_ip(struct str text, struct binding *b)
{
    if (text.n == 0 || str_eq(text, STR("*"))) {
        b->any_ip = true;
        return true;
    }
    return ip_parse(text, &b->ip);
}

/* 0.0.0.0 and :: stand for all addresses of their family. */
static bool covers(bool any_ip, const struct ip_address *ip, const struct msg_address *local)
{
    if (any_ip)
        return true;
    if (ip_is_any(ip))
        return ip->is_v4 == (local->is_v4 != 0);
    return memcmp(ip->bytes, local->ip, sizeof(local->ip)) == 0 &&
           (ip->scope == 0 || local->scope == 0 || ip->scope == local->scope);
}

static struct route_port *find_port(const struct generation *g, uint16_t port)
{
    for (size_t i = 0; i < g->n_ports; i++)
        if (g->ports[i].port == port)
            return &g->ports[i];
    return NULL;
}

/* ---- bindings ---- */

static bool same_place(const struct binding *a, const struct binding *b)
{
    return a->any_ip == b->any_ip && a->wildcard_host == b->wildcard_host &&
           str_eq(a->host, b->host) &&
           (a->any_ip || (memcmp(a->ip.bytes, b->ip.bytes, 16) == 0 && a->ip.scope == b->ip.scope));
}

static int breadth(bool any_ip, const struct ip_address *ip)
{
    return any_ip ? 2 : ip_is_any(ip) ? 1 : 0;
}

/* Longer wildcards stand before shorter; an address before a family, and that before all. */
static bool stands_before(const struct binding *a, const struct binding *b)
{
    if (a->host.n != b->host.n)
        return a->host.n > b->host.n;
    return breadth(a->any_ip, &a->ip) <= breadth(b->any_ip, &b->ip);
}

static struct binding *join_list(struct generation *g, struct binding **at,
                                 const struct binding *like)
{
    for (struct binding *b = *at; b; b = b->next)
        if (same_place(b, like))
            return b;
    struct binding *b = ARENA_NEW(&g->arena, struct binding);

    while (*at && stands_before(*at, like))
        at = &(*at)->next;
    *b = *like;
    b->next = *at;
    *at = b;
    return b;
}

/* The entry for the host and address of `like`, made if there is none. */
static struct binding *join(struct generation *g, struct route_port *p, const struct binding *like)
{
    if (like->wildcard_host)
        return join_list(g, &p->wildcards, like);
    if (like->host.n == 0)
        return join_list(g, like->any_ip ? &p->any : &p->by_ip, like);
    if (!p->by_host) {
        p->mask = 1023;
        p->by_host = arena_zalloc(&g->arena, (p->mask + 1) * sizeof(struct binding *));
    }
    struct binding **slot = &p->by_host[hash_bytes(like->host.p, like->host.n) & p->mask];

    return join_list(g, slot, like);
}

static void take_host(struct generation *g, struct str host, struct binding *b)
{
    if (host.n > 1 && host.p[0] == '*' && host.p[1] == '.') {
        b->wildcard_host = true;
        host = str_sub(host, 1, host.n);
    }
    b->host = lower_copy(&g->arena, host);
}

static const char *port_for(struct generation *g, uint16_t port, bool https,
                            struct route_port **ret)
{
    *ret = find_port(g, port);
    if (!*ret) {
        *ret = &g->ports[g->n_ports++];
        **ret = (struct route_port){.port = port, .https = https};
    }
    return (*ret)->https == https ? NULL : "a port is both http and https";
}

static struct proxy_policy *policy_for(struct generation *g, struct route_port *p,
                                       const struct binding *b)
{
    struct proxy_policy **at = &p->proxies;
    int wanted = breadth(b->any_ip, &b->ip);

    for (; *at && breadth((*at)->any_ip, &(*at)->ip) <= wanted; at = &(*at)->next)
        if ((*at)->any_ip == b->any_ip && (b->any_ip || ip_same(&(*at)->ip, &b->ip)))
            return *at;
    struct proxy_policy *policy = ARENA_NEW(&g->arena, struct proxy_policy);

    policy->ip = b->ip;
    policy->any_ip = b->any_ip;
    policy->next = *at;
    *at = policy;
    return policy;
}

static const char *load_proxy(struct generation *g, struct route_port *p, const struct binding *b,
                              struct str list)
{
    struct proxy_policy *policy = policy_for(g, p, b);
    struct str rest = list, part;
    size_t n = policy->n_trusted;

    while (str_split(&rest, ',', &part))
        n++;
    struct ip_range *trusted = arena_zalloc(&g->arena, (n + 1) * sizeof(*trusted));

    if (policy->n_trusted)
        memcpy(trusted, policy->trusted, policy->n_trusted * sizeof(*trusted));
    policy->trusted = trusted;
    while (str_split(&list, ',', &part)) {
        part = str_trim(part);
        if (part.n && !ip_range_parse(part, &trusted[policy->n_trusted++]))
            return "a binding trusts an address that is none";
    }
    return NULL;
}

static const char *load_binding(struct generation *g, struct site *s, const json_t *j)
{
    struct str protocol = str_z(ipc_get_str(j, "protocol", "http"));
    struct str address = str_z(ipc_get_str(j, "address", "*"));
    bool https = str_ieq(protocol, STR("https"));
    json_int_t port = ipc_get_int(j, "port", 0);
    struct binding like = {.ssl_flags = (uint32_t)ipc_get_int(j, "sslFlags", 0)};
    struct route_port *p;

    if (!https && !str_ieq(protocol, STR("http")))
        return NULL; /* other protocols are not ours */
    if (port < 1 || port > 65535)
        return "a binding has no usable port";
    const char *why = port_for(g, (uint16_t)port, https, &p);
    if (why)
        return why;
    bool is_strong = str_eq(address, STR("+"));
    if (!parse_ip(is_strong ? STR("*") : address, &like))
        return "a binding has an address that is none";
    take_host(g, str_z(ipc_get_str(j, "host", "")), &like);
    struct binding *b = is_strong ? join_list(g, &p->strong, &like) : join(g, p, &like);

    /* The supervisor starts no site whose binding another one has. */
    if (!b->site) {
        b->site = s;
        b->ssl_flags = like.ssl_flags;
    }
    if (strcmp(ipc_get_str(j, "proxyProtocol", "none"), "none") == 0)
        return NULL;
    return load_proxy(g, p, &like, str_z(ipc_get_str(j, "proxyTrusted", "")));
}

/* ---- reservations ---- */

static void reserve(struct generation *g, struct binding *b, struct str path)
{
    struct reserved_path *r = ARENA_NEW(&g->arena, struct reserved_path);

    r->path = path;
    r->next = b->reserved;
    b->reserved = r;
}

/* Names: also where a binding ties the name to an address, for both are of one kind. */
static void reserve_name(struct generation *g, struct route_port *p, const struct binding *like,
                         struct str path)
{
    struct binding *b = join(g, p, like);

    reserve(g, b, path);
    for (b = like->wildcard_host ? p->wildcards
                                 : p->by_host[hash_bytes(like->host.p, like->host.n) & p->mask];
         b; b = b->next)
        if (!b->any_ip && b->wildcard_host == like->wildcard_host && str_eq(b->host, like->host))
            reserve(g, b, path);
}

static void reserve_host(struct generation *g, struct route_port *p, struct str host,
                         struct str path)
{
    struct binding like = {.any_ip = true};

    if (str_eq(host, STR("+"))) {
        reserve(g, join_list(g, &p->strong, &like), path);
    } else if (str_eq(host, STR("*"))) {
        reserve(g, join(g, p, &like), path);
    } else if (ip_parse(host, &like.ip)) {
        like.any_ip = false;
        reserve(g, join(g, p, &like), path);
    } else {
        take_host(g, host, &like);
        reserve_name(g, p, &like, path);
    }
}

/* Where nobody listens, or for the other scheme, a reservation makes no difference. */
static void load_reservation(struct generation *g, const json_t *j)
{
    json_int_t port = ipc_get_int(j, "port", 0);
    struct route_port *p = port > 0 && port <= 65535 ? find_port(g, (uint16_t)port) : NULL;
    struct str path = str_z(ipc_get_str(j, "path", "/"));

    if (!p || p->https != (strcmp(ipc_get_str(j, "scheme", ""), "https") == 0))
        return;
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    reserve_host(g, p, str_z(ipc_get_str(j, "host", "*")), arena_dup(&g->arena, path));
}

/* ---- sites ---- */

static int longer_path_first(const void *a, const void *b)
{
    size_t x = ((const struct application *)a)->path.n, y = ((const struct application *)b)->path.n;

    return x < y ? 1 : x > y ? -1 : 0;
}

static uint32_t get_u32(const json_t *j, const char *key, uint32_t otherwise)
{
    json_int_t v = ipc_get_int(j, key, otherwise);

    return v < 0 ? otherwise : v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static void load_applications(struct generation *g, struct site *s, const json_t *list,
                              const struct generation_env *env)
{
    size_t i;
    json_t *j;

    s->apps = arena_zalloc(&g->arena, json_array_size(list) * sizeof(*s->apps));
    json_array_foreach(list, i, j)
    {
        struct application *a = &s->apps[s->n_apps++];
        a->path = arena_dup(&g->arena, str_z(ipc_get_str(j, "path", "/")));
        a->pool = env->pool(env->arg, str_z(ipc_get_str(j, "pool", "")));
    }
    qsort(s->apps, s->n_apps, sizeof(*s->apps), longer_path_first);
}

static bool logs_response_headers(const json_t *log_file)
{
    const json_t *fields = json_object_get(json_object_get(log_file, "customFields"), "add");
    size_t i;
    json_t *f;

    json_array_foreach(fields, i, f)
    {
        if (strcmp(ipc_get_str(f, "sourceType", ""), "ResponseHeader") == 0)
            return true;
    }
    return false;
}

static struct bandwidth *load_bandwidth(struct generation *g, const json_t *limits,
                                        const char *name)
{
    uint32_t rate = get_u32(limits, name, BANDWIDTH_UNLIMITED);

    if (rate == 0 || rate == BANDWIDTH_UNLIMITED)
        return NULL;
    enum { LINE = _Alignof(struct bandwidth) }; /* more than arenas align to */
    char *room = arena_zalloc(&g->arena, sizeof(struct bandwidth) + LINE);
    struct bandwidth *b = (void *)(room + (LINE - (uintptr_t)room % LINE) % LINE);

    bandwidth_init(b, rate, clock_mono_ms());
    return b;
}

static const char *load_site(struct generation *g, const json_t *j,
                             const struct generation_env *env)
{
    const json_t *limits = json_object_get(j, "limits");
    struct site *s = &g->sites[g->n_sites++];
    size_t i;
    json_t *b;

    s->id = get_u32(j, "id", 0);
    s->name = arena_dup(&g->arena, str_z(ipc_get_str(j, "name", "")));
    s->max_connections = get_u32(limits, "maxConnections", UINT32_MAX);
    s->max_url_segments = get_u32(limits, "maxUrlSegments", 32);
    s->bandwidth = load_bandwidth(g, limits, "maxBandwidth");
    s->connection_timeout_ms = get_u32(limits, "connectionTimeout_ms", 0);
    if (s->connection_timeout_ms == 0)
        s->connection_timeout_ms = g->idle_ms; /* as the server has it */
    s->state = env->site_state(env->arg, s->id);
    s->log = env->log_site(env->arg, s->id);
    s->logs_response_headers = logs_response_headers(json_object_get(j, "logFile"));
    load_applications(g, s, json_object_get(j, "applications"), env);
    if (strcmp(ipc_get_str(j, "state", "Started"), "Started") != 0)
        return NULL; /* a stopped site has no prefixes: nothing routes to it */
    json_array_foreach(json_object_get(j, "bindings"), i, b)
    {
        const char *why = load_binding(g, s, b);
        if (why)
            return why;
    }
    return NULL;
}

/* 65535 seconds switch a timer of the API level off; a day comes close enough for connections. */
static uint32_t api_timeout_ms(uint32_t seconds)
{
    return seconds >= 65535 ? 86400000u : seconds * 1000u;
}

static void take_limits(struct generation *g, const json_t *web)
{
    const struct http_parameters *p = &g->parameters;

    g->http1 = (struct http1_limits){
        .max_field_length = p->max_field_length,
        .max_request_bytes = p->max_request_bytes,
        .flags = (p->allow_weak_header_name_syntax ? HTTP1_WEAK_HEADER_NAMES : 0u) |
                 (p->allow_weak_header_value_syntax ? HTTP1_WEAK_HEADER_VALUES : 0u) |
                 (p->allow_case_insensitive_verbs ? HTTP1_CASE_INSENSITIVE_VERBS : 0u) |
                 (p->allow_unescaped_restricted_chars ? HTTP1_RAW_RESTRICTED_CHARS : 0u)};
    g->url = (struct url_limits){.segment_max_length = p->url_segment_max_length,
                                 .segment_max_count = p->url_segment_max_count,
                                 .enable_non_utf8 = p->enable_non_utf8,
                                 .favor_utf8 = p->favor_utf8,
                                 .percent_u_allowed = p->percent_u_allowed,
                                 .allow_restricted_chars = p->allow_restricted_chars,
                                 .allow_raw_restricted = p->allow_unescaped_restricted_chars};
    /* Before a connection's first request is routed only the server-wide timers apply. */
    g->idle_ms = get_u32(web, "connectionTimeout_ms", 120000);
    g->header_wait_ms = get_u32(web, "headerWaitTimeout_ms", 0);
    if (g->header_wait_ms == 0)
        g->header_wait_ms = api_timeout_ms(p->header_wait_timeout_s);
    if (g->idle_ms == 0)
        g->idle_ms = api_timeout_ms(p->idle_connection_timeout_s);
    g->min_bytes_per_second = get_u32(web, "minBytesPerSecond", 240);
    g->bandwidth = load_bandwidth(g, web, "maxGlobalBandwidth");
}

static size_t count_bindings(const json_t *sites)
{
    size_t i, n = 0;
    json_t *s;

    json_array_foreach(sites, i, s)
    {
        n += json_array_size(json_object_get(s, "bindings"));
    }
    return n;
}

struct generation *generation_load(const json_t *msg, const struct generation_env *env,
                                   const char **ret_why)
{
    const json_t *sites = json_object_get(msg, "sites");
    struct generation *g = xcalloc(1, sizeof(*g));
    size_t i;
    json_t *j;

    atomic_init(&g->refs, 1);
    arena_init(&g->arena, 0);
    g->id = (uint64_t)ipc_get_int(msg, "id", 0);
    *ret_why = NULL;
    if (!http_parameters_from_json(json_object_get(msg, "parameters"), &g->parameters)) {
        *ret_why = "an HTTP parameter is of the wrong type or out of its range";
        generation_unref(g);
        return NULL;
    }
    take_limits(g, json_object_get(msg, "web_limits"));
    g->sites = arena_zalloc(&g->arena, (json_array_size(sites) + 1) * sizeof(*g->sites));
    g->ports = arena_zalloc(&g->arena, (count_bindings(sites) + 1) * sizeof(*g->ports));
    json_array_foreach(sites, i, j)
    {
        *ret_why = load_site(g, j, env);
        if (*ret_why) {
            generation_unref(g);
            return NULL;
        }
    }
    json_array_foreach(json_object_get(msg, "reservations"), i, j)
    {
        load_reservation(g, j);
    }
    return g;
}

/* ---- routing ---- */

static bool is_below(struct str path, struct str prefix)
{
    return prefix.n <= 1 ||
           (str_istarts(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/'));
}

/* The application whose path is the longest prefix, by whole segments; NULL: none. */
static const struct application *application_of(const struct site *s, struct str path)
{
    for (size_t i = 0; i < s->n_apps; i++)
        if (is_below(path, s->apps[i].path))
            return &s->apps[i];
    return NULL;
}

static size_t longest_reserved(const struct binding *b, struct str path)
{
    size_t longest = 0;

    for (const struct reserved_path *r = b->reserved; r; r = r->next)
        if (r->path.n > longest && is_below(path, r->path))
            longest = r->path.n;
    return longest;
}

/* Whether one of the entry's prefixes fits the path; *kind is also told that only the host did. */
static bool try_binding(const struct binding *b, struct str path, enum route_kind *kind,
                        struct route *ret)
{
    const struct application *app = b->site ? application_of(b->site, path) : NULL;
    size_t reserved = b->reserved ? longest_reserved(b, path) : 0;

    if (reserved > (app ? app->path.n : 0)) {
        *kind = ROUTE_RESERVED;
        return true;
    }
    if (app) {
        *kind = ROUTE_FOUND;
        *ret = (struct route){.site = b->site, .app = app};
        return true;
    }
    if (b->site)
        *kind = ROUTE_NO_PATH;
    return false;
}

static bool is_here(const struct binding *b, const struct msg_address *local)
{
    return covers(b->any_ip, &b->ip, local);
}

static bool host_fits(const struct binding *b, struct str name)
{
    /* "*.example.com" stands for one label or more before it, never for none. */
    if (b->wildcard_host)
        return name.n > b->host.n && str_eq(str_sub(name, name.n - b->host.n, name.n), b->host);
    return str_eq(b->host, name);
}

static bool try_list(const struct binding *b, const struct msg_address *local, struct str name,
                     struct str path, enum route_kind *kind, struct route *ret)
{
    for (; b; b = b->next)
        if ((b->host.n == 0 || host_fits(b, name)) && is_here(b, local) &&
            try_binding(b, path, kind, ret))
            return true;
    return false;
}

static bool try_names(const struct route_port *p, const struct msg_address *local, struct str host,
                      struct str path, enum route_kind *kind, struct route *ret)
{
    char low[HTTP_HOST_MAX + 1];
    struct str name = str_n(low, host.n);

    if (host.n == 0 || host.n > HTTP_HOST_MAX)
        return false;
    for (size_t i = 0; i < host.n; i++)
        low[i] = ascii_lower(host.p[i]);
    return (p->by_host && try_list(p->by_host[hash_bytes(low, host.n) & p->mask], local, name, path,
                                   kind, ret)) ||
           try_list(p->wildcards, local, name, path, kind, ret);
}

enum route_kind generation_route(const struct generation *g, uint16_t port,
                                 const struct msg_address *local, struct str host, struct str path,
                                 struct route *ret)
{
    const struct route_port *p = find_port(g, port);
    enum route_kind kind = ROUTE_NO_HOST;

    if (!p)
        return ROUTE_NO_HOST;
    if (p->strong && try_list(p->strong, local, host, path, &kind, ret))
        return kind;
    if ((p->by_host || p->wildcards) && try_names(p, local, host, path, &kind, ret))
        return kind;
    if (try_list(p->by_ip, local, host, path, &kind, ret) ||
        try_list(p->any, local, host, path, &kind, ret))
        return kind;
    return kind;
}

static bool list_serves(const struct binding *b, const struct msg_address *local,
                        const struct site_state *site)
{
    while (b && !(b->site && b->site->state == site && is_here(b, local)))
        b = b->next;
    return b != NULL;
}

bool generation_serves(const struct generation *g, uint16_t port, const struct msg_address *local,
                       const struct site_state *site)
{
    const struct route_port *p = find_port(g, port);

    if (!p)
        return false;
    for (uint32_t i = 0; p->by_host && i <= p->mask; i++)
        if (list_serves(p->by_host[i], local, site))
            return true;
    return list_serves(p->strong, local, site) || list_serves(p->wildcards, local, site) ||
           list_serves(p->by_ip, local, site) || list_serves(p->any, local, site);
}

/* ---- PROXY protocol ---- */

const struct proxy_policy *generation_proxy_policy(const struct generation *g, uint16_t port,
                                                   const struct msg_address *local)
{
    const struct route_port *p = find_port(g, port);
    const struct proxy_policy *policy = p ? p->proxies : NULL;

    while (policy && !covers(policy->any_ip, &policy->ip, local))
        policy = policy->next;
    return policy;
}

bool proxy_policy_trusts(const struct proxy_policy *p, const struct msg_address *peer)
{
    for (size_t i = 0; i < p->n_trusted; i++)
        if (ip_range_has(&p->trusted[i], peer->ip))
            return true;
    return false;
}
