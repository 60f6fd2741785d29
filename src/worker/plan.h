/* What the pipeline does for the URLs of one configuration node: hooks in their order, handlers,
 * module configuration, the settings of IIS Web Core. Built once per node and thread. */
#ifndef CANDOR_WORKER_PLAN_H
#define CANDOR_WORKER_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "worker/handlers.h"
#include "worker/module.h"
#include "worker/modules/registry.h"

struct app_counter;
struct cache_exclusion;
struct config_error;
struct config_node;
struct plan_table;
struct worker_thread;

struct plan_hook {
    pipe_fn fn;
    const struct module *module;
    uint16_t index;       /* of the module in the registry */
    uint8_t priority;
    bool managed_only;    /* preCondition managedHandler */
};

/* A module's configuration for this node, loaded when first needed. */
struct plan_conf {
    bool loaded;
    const void *conf;
    const struct config_error *error;
};

struct plan {
    struct plan *next;    /* in the table */
    uint32_t refs;
    const struct config_node *node; /* a reference */
    struct arena arena;
    struct plan_hook *hooks[N_COUNT];
    uint16_t n_hooks[N_COUNT];
    bool listed[MODULES_MAX]; /* modules of the registry that run here */
    struct plan_conf confs[MODULES_MAX];
    struct handler_list handlers;

    const struct config_error *error; /* in modules, handlers, serverRuntime or access: 500.19 */
    struct str unknown_module;        /* <modules> names what globalModules does not load: 500.21 */
    struct app_counter *app;
    uint32_t app_limit;               /* appConcurrentRequestLimit */
    uint32_t max_entity;              /* maxRequestEntityAllowed */
    uint32_t read_ahead;              /* uploadReadAheadSize */
    uint32_t hit_threshold;           /* frequentHitThreshold */
    uint64_t hit_period_ms;           /* frequentHitTimePeriod */
    uint32_t ssl_flags;
    uint32_t max_segments;
    bool redirect_to_https;           /* hsts/redirectHttpToHttps */
    struct str hsts;                  /* value of Strict-Transport-Security; empty: none is sent */
    bool enabled;                     /* serverRuntime/enabled */
    bool no_server_header;            /* removeServerHeader */
    bool detailed_errors;             /* httpErrors errorMode="Detailed" */
    struct str server_header, alternate_host_name;
    bool cache_known;                 /* of cache_policy.c: cache_exclusion has been looked for */
    const struct cache_exclusion *cache_exclusion;
};

/* access/sslFlags as the schema numbers them. */
enum ssl_flags {
    SSL_FLAG_SSL = 8,
    SSL_FLAG_NEGOTIATE_CERT = 32,
    SSL_FLAG_REQUIRE_CERT = 64,
    SSL_FLAG_MAP_CERT = 128,
    SSL_FLAG_128 = 256,
};

struct plan_table *plan_table_new(struct worker_thread *t);
void plan_table_free(struct plan_table *t);
size_t plan_table_count(const struct plan_table *t);

/* The plan of a node; a reference for the caller. Takes over the caller's reference to node. */
struct plan *plan_get(struct plan_table *t, const struct config_node *node);
static inline struct plan *plan_ref(struct plan *p)
{
    p->refs++;
    return p;
}
void plan_unref(struct plan_table *t, struct plan *p);

/* A module's configuration for this plan. False: *ret_error says why it cannot be had. */
bool plan_load_conf(struct plan *p, const struct module *m, unsigned index,
                    const struct config_error **ret_error);

/* Checks the server-level globalModules and modules of a configuration for this pool: an unknown
 * preCondition keeps the worker from starting. Empty, or the text of event 2297's kind in a. */
struct str plan_check_server(const struct config_node *server, const struct pool_facts *pool,
                             struct arena *a);

#endif
