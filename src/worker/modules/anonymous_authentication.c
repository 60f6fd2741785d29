/* AnonymousAuthenticationModule: lets in whom no other module has recognised. The account behind an
 * anonymous request is the worker's own: userName "" and IUSR mean it on Windows and here; another
 * name is shown by `candor check`, since a worker does not change its identity per request. */
#include "worker/modules/modules.h"

#include "config/config.h"

#include "base/poison.h"

struct anonymous_conf {
    bool enabled;
};

static const void *load_conf(const struct config_node *node, struct arena *a,
                             const struct config_error **ret_error)
{
    const struct config_elem *e = config_section(
        node, "system.webServer/security/authentication/anonymousAuthentication", ret_error);

    if (!e)
        return NULL;
    struct anonymous_conf *c = ARENA_NEW(a, struct anonymous_conf);

    c->enabled = config_bool(e, "enabled");
    return c;
}

static enum pipe_rc on_authenticate(struct request *r, const void *conf)
{
    const struct anonymous_conf *c = conf;

    if (c->enabled && !r->authenticated) {
        r->authenticated = true;
        r->auth_type = STR_NULL;
        r->user = STR_NULL;
    }
    return PIPE_CONTINUE;
}

const struct module mod_anonymous_authentication = {
    .name = "AnonymousAuthenticationModule",
    .load_conf = load_conf,
    .hooks = {[N_AUTHENTICATE_REQUEST] = {on_authenticate, PRI_LAST}},
    .same_for_all = true,
};
