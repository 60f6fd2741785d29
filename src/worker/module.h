/* What a module is: a const record under its IIS name. worker/modules/registry.c lists them. */
#ifndef CANDOR_WORKER_MODULE_H
#define CANDOR_WORKER_MODULE_H

#include "worker/request.h"

enum priority { PRI_FIRST = 1, PRI_HIGH, PRI_MEDIUM, PRI_LOW, PRI_LAST };

/* conf is what load_conf made for the URL at hand, NULL if the module has no load_conf. */
typedef enum pipe_rc (*pipe_fn)(struct request *r, const void *conf);

struct module_hook {
    pipe_fn fn;
    enum priority priority;
};

struct module {
    const char *name;              /* as in globalModules and modules */
    /* Reads the module's sections for a node into a typed const struct in `a` (it lives as long as
     * the node). NULL and *ret_error: 500.19 under this module's name at the notification that
     * asked. Called once per node and module, before the first hook that needs it. */
    const void *(*load_conf)(const struct config_node *node, struct arena *a,
                             const struct config_error **ret_error);
    struct module_hook hooks[N_COUNT];
    /* Called when the chosen handler names this module; PIPE_CONTINUE passes on to the next one in
     * the handler's list. */
    pipe_fn execute;
    /* What the module does to a GET of a file follows from URL and configuration, or the part that
     * does not is in the table of worker/cache_policy.c. Without it, nothing that the module has a
     * part in is kept by the listener's response cache. */
    bool same_for_all;
};

#endif
