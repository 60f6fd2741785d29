/* What the listener is told of a configuration: the "generation" message of queue/control.h. */
#ifndef CANDOR_SUPERVISOR_ROUTING_H
#define CANDOR_SUPERVISOR_ROUTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "tables/http_parameters.h"

struct routing_options {
    uint64_t id;
    const struct http_parameters *parameters;
    const struct http_bindings *bindings; /* for reservations; NULL: none */
    const char *computer_name;
    void *arg;
    /* Whether the site takes requests. */
    bool (*site_started)(void *arg, const struct config_site *site);
    /* Whether the pool does; *ret_reason is set if it does not. */
    bool (*pool_started)(void *arg, const struct config_pool *pool, const char **ret_reason);
};

/* The caller owns the reference. */
json_t *routing_to_json(const struct config *c, const struct routing_options *o);

/* The pool's attributes whose change makes WAS recycle it, as text to compare. The caller frees. */
char *routing_pool_signature(const struct config_pool *pool);

/* Why a site cannot start beside those that have. */
struct routing_conflict {
    const struct config_site *other;      /* the site itself if its own bindings contradict */
    const struct config_binding *binding; /* of the site that wants to start */
    bool is_scheme; /* one port for http and https; else protocol, address, port and host are taken
                     */
};

/* False: nothing stands in the way of `site` beside those for which started() holds. */
bool routing_find_conflict(const struct config *c, const struct config_site *site,
                           bool (*started)(void *arg, const struct config_site *other), void *arg,
                           struct routing_conflict *ret);

#endif
