/* One generation of configuration as the listener needs it: limits, sites, routes, pools. Immutable
 * after generation_load; shared by all threads, counted. */
#ifndef CANDOR_LISTENER_GENERATION_H
#define CANDOR_LISTENER_GENERATION_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/ip.h"
#include "http/host.h"
#include "http/http1_parser.h"
#include "http/url.h"
#include "queue/message.h"
#include "tables/http_parameters.h"

struct bandwidth;
struct log_site;
struct pool;
struct site_state;

struct application {
    struct str path;   /* "/" or "/app", no slash at the end */
    struct pool *pool; /* NULL: it names a pool that does not exist */
};

struct site {
    uint32_t id;
    struct str name;
    struct application *apps; /* longest path first */
    size_t n_apps;
    uint32_t max_connections;
    struct bandwidth *bandwidth; /* maxBandwidth; NULL: no limit */
    uint32_t connection_timeout_ms;
    uint32_t max_url_segments;
    struct site_state *state; /* outlives generations */
    struct log_site *log;
    bool logs_response_headers; /* customFields of type ResponseHeader */
};

/* A prefix that is set aside and that nobody serves. */
struct reserved_path {
    struct reserved_path *next;
    struct str path; /* "/" or "/a/b", no slash at the end */
};

/* All prefixes of one host, be it a name, an address or a wildcard: at most one site's, and
 * reservations. */
struct binding {
    struct binding *next;       /* same hash slot, or of the same kind */
    struct str host;            /* lower case, no port; empty: any */
    struct ip_address ip;       /* 0.0.0.0 and :: stand for all of their family */
    bool any_ip, wildcard_host; /* wildcard: host is the part behind "*" */
    uint32_t ssl_flags;
    struct site *site; /* NULL: reservations only */
    struct reserved_path *reserved;
};

/* From whom a PROXY header is taken on an address; see http/proxy_protocol.h. */
struct proxy_policy {
    struct proxy_policy *next;
    struct ip_address ip;
    bool any_ip;
    struct ip_range *trusted;
    size_t n_trusted;
};

/* All bindings of one port, in the order of UrlPrefix categories: strong wildcard, address and
 * host, host, host wildcard, address, anything. */
struct route_port {
    uint16_t port;
    bool https;
    struct binding *strong;
    struct binding **by_host; /* hash table of explicit host names */
    uint32_t mask;
    struct binding *wildcards; /* longest first */
    struct binding *by_ip;     /* addresses before families */
    struct binding *any;
    struct proxy_policy *proxies; /* those of an address before those of a family and of all */
};

struct generation {
    _Atomic uint32_t refs;
    uint64_t id;
    struct arena arena;
    struct http_parameters parameters;
    struct http1_limits http1;
    struct url_limits url;
    uint32_t header_wait_ms, idle_ms; /* of connections not yet routed */
    uint32_t min_bytes_per_second;    /* 0: no minimum */
    struct bandwidth *bandwidth;      /* maxGlobalBandwidth; NULL: no limit */
    struct site *sites;
    size_t n_sites;
    struct route_port *ports;
    size_t n_ports;
};

/* How the generation finds what outlives it: pools and sites by name or id, and logs. */
struct generation_env {
    void *arg;
    struct pool *(*pool)(void *arg, struct str name);
    struct site_state *(*site_state)(void *arg, uint32_t id);
    struct log_site *(*log_site)(void *arg, uint32_t id);
};

/* From the message of queue/control.h. NULL and *ret_why (static text) if it makes no sense. The
 * caller holds the first reference. */
struct generation *generation_load(const json_t *msg, const struct generation_env *env,
                                   const char **ret_why);
struct generation *generation_ref(struct generation *g);
void generation_unref(struct generation *g);

enum route_kind {
    ROUTE_FOUND,
    ROUTE_RESERVED, /* only a reservation fits: 503 N/A */
    ROUTE_NO_HOST,  /* no prefix for this host on this port: 400 Hostname */
    ROUTE_NO_PATH,  /* one for the host, none for the path: 404 NotFound */
};

struct route {
    const struct site *site;
    const struct application *app;
};

/* Where a request goes that came to the local address on port, with Host host (name only; empty:
 * none was sent) and the cooked path. The kinds of prefixes are tried in the order of struct
 * route_port; within the first that has any fitting one the longest counts. *ret is written with
 * ROUTE_FOUND only. */
enum route_kind generation_route(const struct generation *g, uint16_t port,
                                 const struct msg_address *local, struct str host, struct str path,
                                 struct route *ret);

/* Whether the site has a binding there, for any host. */
bool generation_serves(const struct generation *g, uint16_t port, const struct msg_address *local,
                       const struct site_state *site);

/* Whether connections to the local address on port may begin with a PROXY header. NULL: none may.
 */
const struct proxy_policy *generation_proxy_policy(const struct generation *g, uint16_t port,
                                                   const struct msg_address *local);
/* Whether the peer is one that has to send one; of others nothing of the kind is believed. */
bool proxy_policy_trusts(const struct proxy_policy *p, const struct msg_address *peer);

#endif
