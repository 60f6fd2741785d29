/* HttpCacheModule: says which answers the listener may keep (system.webServer/caching, as far as
 * IIS's kernel cache is concerned). The rules are in worker/cache_policy.c; they are asked when the
 * answer is complete. */
#include "worker/modules/registry.h"

#include "config/config.h"
#include "worker/cache_policy.h"

#include "base/poison.h"

static const void *load_conf(const struct config_node *node, struct arena *a,
                             const struct config_error **ret_error)
{
    const struct config_elem *e = config_section(node, "system.webServer/caching", ret_error);
    struct cache_profile *profiles;

    if (!e)
        return NULL;
    struct cache_conf *c = ARENA_NEW(a, struct cache_conf);
    const struct config_elem *list = config_child(e, "profiles");

    c->enabled = config_bool(e, "enabled") && config_bool(e, "enableKernelCache");
    c->n_profiles = config_n_items(list);
    c->profiles = profiles = arena_zalloc(a, c->n_profiles * sizeof(*profiles));
    for (size_t i = 0; i < c->n_profiles; i++) {
        const struct config_elem *item = config_item(list, i);

        profiles[i] = (struct cache_profile){
            .extension = config_str(item, "extension"),
            .policy = (enum cache_profile_policy)config_enum(item, "kernelCachePolicy"),
            .seconds = (uint32_t)(config_time_ms(item, "duration") / 1000),
            .varies = config_str(item, "varyByHeaders").n > 0 ||
                      config_str(item, "varyByQueryString").n > 0,
        };
    }
    return c;
}

/* Here so that a section that cannot be used is a 500.19 while its page can still be made. */
static enum pipe_rc on_resolve(struct request *r, const void *conf)
{
    return PIPE_CONTINUE;
}

static enum pipe_rc on_send(struct request *r, const void *conf)
{
    r->response.cache = conf;
    return PIPE_CONTINUE;
}

const struct module mod_http_cache = {
    .name = "HttpCacheModule",
    .load_conf = load_conf,
    .hooks = {[N_RESOLVE_REQUEST_CACHE] = {on_resolve, PRI_MEDIUM},
              [N_SEND_RESPONSE] = {on_send, PRI_FIRST}},
    .same_for_all = true,
};
