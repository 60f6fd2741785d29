/* One generation of configuration as the listener needs it: limits, sites, routes, pools. Immutable
 * after generation_load; shared by all threads, counted. */
#ifndef CANDOR_LISTENER_GENERATION_H
#define CANDOR_LISTENER_GENERATION_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
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
    uint32_t connection_timeout_ms;
    struct site_state *state; /* outlives generations */
    struct log_site *log;
    struct bandwidth *bandwidth; /* maxBandwidth; NULL: no limit */
    bool logs_response_headers; /* customFields of type ResponseHeader */
};

struct binding {
    struct binding *next; /* same hash slot */
    struct str host;      /* lower case, no port; empty: any */
    struct msg_address ip;
    bool any_ip, wildcard_host; /* wildcard: host is the part behind "*" */
    struct site *site;
};

/* All bindings of one port, in the order of httpsys.md 4.2: address and host, host, host wildcard,
 * address, anything. */
struct route_port {
    uint16_t port;
    struct binding **by_host; /* hash table of explicit host names */
    uint32_t mask;
    struct binding *wildcards; /* longest first */
    struct binding *by_ip;
    struct binding *any;
};

struct generation {
    _Atomic uint32_t refs;
    uint64_t id;
    struct arena arena;
    struct http_parameters parameters;
    struct http1_limits http1;
    struct url_limits url;
    uint32_t header_wait_ms, idle_ms;    /* of connections not yet routed */
    uint32_t min_bytes_per_second;       /* 0: no minimum */
    struct bandwidth *bandwidth;         /* maxGlobalBandwidth; NULL: no limit */
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

/* The site for a request on port whose Host is host (name.n == 0: none was sent) and that came to
 * the local address. NULL: nothing matches. *ret_known says whether the port has bindings at all. */
const struct site *generation_route(const struct generation *g, uint16_t port,
                                    const struct msg_address *local, struct str host);
/* The application whose path is the longest prefix, by whole segments; NULL: none. */
const struct application *site_application(const struct site *s, struct str path);

#endif
