#include "listener/generation.h"

#include <arpa/inet.h>
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
static bool parse_ip(const char *text, struct binding *b)
{
    struct in_addr v4;

    if (text[0] == '\0' || strcmp(text, "*") == 0) {
        b->any_ip = true;
        return true;
    }
    if (inet_pton(AF_INET, text, &v4) == 1) {
        b->ip.ip[10] = b->ip.ip[11] = 0xff;
        memcpy(b->ip.ip + 12, &v4, 4);
        b->ip.is_v4 = 1;
        return true;
    }
    struct str t = str_z(text);

    if (t.n > 2 && t.p[0] == '[' && t.p[t.n - 1] == ']')
        t = str_sub(t, 1, t.n - 1);
    char z[64];

    if (t.n >= sizeof(z))
        return false;
    memcpy(z, t.p, t.n);
    z[t.n] = '\0';
    char *zone = strchr(z, '%');
    if (zone)
        *zone = '\0';
    return inet_pton(AF_INET6, z, b->ip.ip) == 1;
}

static bool same_ip(const struct msg_address *a, const struct msg_address *b)
{
    return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

static struct route_port *port_of(struct generation *g, uint16_t port)
{
    for (size_t i = 0; i < g->n_ports; i++)
        if (g->ports[i].port == port)
            return &g->ports[i];
    struct route_port *p = &g->ports[g->n_ports++];

    p->port = port;
    p->mask = 0;
    return p;
}

static void add_sorted_by_host_length(struct binding **list, struct binding *b)
{
    while (*list && (*list)->host.n >= b->host.n)
        list = &(*list)->next;
    b->next = *list;
    *list = b;
}

static void add_binding(struct generation *g, struct route_port *p, struct binding *b)
{
    if (b->host.n == 0) {
        if (b->any_ip) {
            p->any = p->any ? p->any : b;
        } else {
            b->next = p->by_ip;
            p->by_ip = b;
        }
    } else if (b->wildcard_host) {
        add_sorted_by_host_length(&p->wildcards, b);
    } else {
        if (!p->by_host) {
            p->mask = 1023;
            p->by_host = arena_zalloc(&g->arena, (p->mask + 1) * sizeof(struct binding *));
        }
        /* Bindings tied to an address stand before those that are not. */
        struct binding **slot = &p->by_host[hash_bytes(b->host.p, b->host.n) & p->mask];
        if (b->any_ip)
            while (*slot)
                slot = &(*slot)->next;
        b->next = *slot;
        *slot = b;
    }
}

static const char *load_binding(struct generation *g, struct site *s, const json_t *j)
{
    struct binding *b = ARENA_NEW(&g->arena, struct binding);
    json_int_t port = ipc_get_int(j, "port", 0);
    struct str host = str_z(ipc_get_str(j, "host", ""));

    if (strcmp(ipc_get_str(j, "protocol", "http"), "http") != 0)
        return NULL; /* other protocols are not ours */
    if (port < 1 || port > 65535)
        return "a binding has no usable port";
    if (!parse_ip(ipc_get_str(j, "address", "*"), b))
        return "a binding has an address that is none";
    if (host.n > 1 && host.p[0] == '*' && host.p[1] == '.') {
        b->wildcard_host = true;
        host = str_sub(host, 1, host.n);
    }
    b->host = lower_copy(&g->arena, host);
    b->site = s;
    add_binding(g, port_of(g, (uint16_t)port), b);
    return NULL;
}

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

    json_array_foreach(sites, i, s) n += json_array_size(json_object_get(s, "bindings"));
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
    return g;
}

static const struct site *route_by_name(const struct route_port *p, const struct msg_address *local,
                                        struct str host)
{
    char low[HTTP_HOST_MAX + 1];

    if (host.n == 0 || host.n > HTTP_HOST_MAX)
        return NULL;
    for (size_t i = 0; i < host.n; i++)
        low[i] = ascii_lower(host.p[i]);
    struct str name = str_n(low, host.n);

    if (p->by_host)
        for (struct binding *b = p->by_host[hash_bytes(low, host.n) & p->mask]; b; b = b->next)
            if (str_eq(b->host, name) && (b->any_ip || same_ip(&b->ip, local)))
                return b->site;
    for (struct binding *b = p->wildcards; b; b = b->next) {
        /* "*.example.com" stands for exactly one or more labels before it, never for none. */
        if (name.n > b->host.n && str_eq(str_sub(name, name.n - b->host.n, name.n), b->host) &&
            (b->any_ip || same_ip(&b->ip, local)))
            return b->site;
    }
    return NULL;
}

const struct site *generation_route(const struct generation *g, uint16_t port,
                                    const struct msg_address *local, struct str host)
{
    const struct route_port *p = NULL;

    for (size_t i = 0; i < g->n_ports; i++)
        if (g->ports[i].port == port)
            p = &g->ports[i];
    if (!p)
        return NULL;
    if (p->by_host || p->wildcards) {
        const struct site *s = route_by_name(p, local, host);
        if (s)
            return s;
    }
    for (struct binding *b = p->by_ip; b; b = b->next)
        if (same_ip(&b->ip, local))
            return b->site;
    return p->any ? p->any->site : NULL;
}

const struct application *site_application(const struct site *s, struct str path)
{
    for (size_t i = 0; i < s->n_apps; i++) {
        struct str a = s->apps[i].path;
        if (a.n <= 1)
            return &s->apps[i];
        if (str_istarts(path, a) && (path.n == a.n || path.p[a.n] == '/'))
            return &s->apps[i];
    }
    return NULL;
}
