#include "worker/preload.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "config/config.h"
#include "worker/thread.h"
#include "worker/url_cache.h"
#include "base/poison.h"

static void preload(struct worker_thread *t, uint32_t site, struct str application)
{
    bool is_root = application.n <= 1;
    _cleanup_free_ char *path = xasprintf("%.*s/", is_root ? 0 : (int)application.n, application.p);
    struct url_entry *e = url_cache_get(t->urls, site, str_z(path));

    if (e)
        url_entry_unref(t->urls, e);
}

void preload_applications(struct worker_thread *t)
{
    size_t n;
    const struct config_site *sites = config_sites(t->config, &n);

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sites[i].n_applications; k++) {
            const struct config_application *app = &sites[i].applications[k];
            if (app->preload_enabled && str_ieq(app->pool, t->worker->pool.name))
                preload(t, sites[i].id, app->path);
        }
    }
}
