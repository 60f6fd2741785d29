/* ConfigurationValidationModule: in Integrated pools, settings under system.web that only the
 * Classic pipeline reads stop the request, so that nobody believes they work. Switched off by
 * system.webServer/validation validateIntegratedModeConfiguration="false". */
#include "worker/modules/modules.h"

#include "config/config.h"

#include "base/poison.h"

struct validation_conf {
    const struct status_row *row; /* NULL: nothing found */
};

/* The list has an item that some file wrote (not the schema). */
static const struct config_elem *list_of(const struct config_node *node, const char *section,
                                         bool *ret_any, const struct config_error **ret_error)
{
    const struct config_elem *e = config_section(node, section, ret_error);

    *ret_any = false;
    for (size_t i = 0; e && !*ret_any && i < config_n_items(e); i++)
        *ret_any = config_elem_pos(config_item(e, i)).file.n > 0;
    return e;
}

static bool is_classic(const struct config_node *node)
{
    const struct config_application *app = config_node_application(node);
    const struct config_pool *pool =
        app ? config_pool_by_name(config_node_config(node), app->pool) : NULL;

    return pool && pool->classic_pipeline;
}

static const void *load_conf(const struct config_node *node, struct arena *a,
                             const struct config_error **ret_error)
{
    struct validation_conf *c = ARENA_NEW(a, struct validation_conf);
    const struct config_elem *e = config_section(node, "system.webServer/validation", ret_error);
    bool modules, handlers;

    if (!e)
        return NULL;
    if (!config_bool(e, "validateIntegratedModeConfiguration") || is_classic(node))
        return c;
    if (!list_of(node, "system.web/httpModules", &modules, ret_error) ||
        !list_of(node, "system.web/httpHandlers", &handlers, ret_error))
        return NULL;
    e = config_section(node, "system.web/identity", ret_error);
    if (!e)
        return NULL;
    if (modules)
        c->row = &st_500_22_http_modules;
    else if (handlers)
        c->row = &st_500_23_http_handlers;
    else if (config_bool(e, "impersonate"))
        c->row = &st_500_24_impersonation;
    return c;
}

static enum pipe_rc on_begin(struct request *r, const void *conf)
{
    const struct validation_conf *c = conf;

    return c->row && r->child_depth == 0 ? request_fail(r, c->row, 0, STR_NULL) : PIPE_CONTINUE;
}

const struct module mod_configuration_validation = {
    .name = "ConfigurationValidationModule",
    .load_conf = load_conf,
    .hooks = {[N_BEGIN_REQUEST] = {on_begin, PRI_MEDIUM}},
    .same_for_all = true,
};
