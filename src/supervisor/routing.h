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

#endif
