#include "worker/plan.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "config/config.h"
#include "worker/thread.h"

#include "base/poison.h"

enum { PLAN_BUCKETS = 256 };

struct plan_table {
    struct worker_thread *thread;
    struct plan *buckets[PLAN_BUCKETS];
    size_t n;
};

struct plan_table *plan_table_new(struct worker_thread *t)
{
    struct plan_table *table = xcalloc(1, sizeof(*table));

    table->thread = t;
    return table;
}

void plan_table_free(struct plan_table *t)
{
    for (size_t i = 0; t && i < PLAN_BUCKETS; i++)
        INVARIANT(t->buckets[i] == NULL);
    free(t);
}

size_t plan_table_count(const struct plan_table *t)
{
    return t->n;
}

/* ---- modules -------------------------------------------------------------------------------- */

/* globalModules decides what is loaded at all. */
struct loaded_modules {
    const struct config_elem *global;
    const struct pool_facts *pool;
};

static bool is_loaded(const struct loaded_modules *l, struct str name)
{
    for (size_t i = 0; i < config_n_items(l->global); i++) {
        const struct config_elem *e = config_item(l->global, i);
        if (str_ieq(config_str(e, "name"), name) &&
            precondition_evaluate(config_str(e, "preCondition"), l->pool).holds)
            return true;
    }
    return false;
}

/* Hooks while they are sorted in; what is kept is cut to size. */
struct hook_lists {
    struct plan_hook hooks[N_COUNT][MODULES_MAX];
    uint16_t n[N_COUNT];
};

static void add_hooks(struct hook_lists *lists, unsigned index, bool managed_only)
{
    const struct module *m = registry_at(index);

    for (int n = 0; n < N_COUNT; n++) {
        if (!m->hooks[n].fn)
            continue;
        struct plan_hook h = {.fn = m->hooks[n].fn,
                              .module = m,
                              .index = (uint16_t)index,
                              .priority = (uint8_t)m->hooks[n].priority,
                              .managed_only = managed_only};
        if (h.priority == 0)
            h.priority = PRI_MEDIUM;
        /* SendResponse runs the priorities backwards; the order of <modules> stays. */
        if (n == N_SEND_RESPONSE)
            h.priority = (uint8_t)(PRI_FIRST + PRI_LAST - h.priority);
        size_t at = lists->n[n]++;
        struct plan_hook *list = lists->hooks[n];
        for (; at > 0 && list[at - 1].priority > h.priority; at--)
            list[at] = list[at - 1];
        list[at] = h;
    }
}

static void keep_hooks(struct plan *p, const struct hook_lists *lists)
{
    for (int n = 0; n < N_COUNT; n++) {
        size_t bytes = lists->n[n] * sizeof(struct plan_hook);
        p->n_hooks[n] = lists->n[n];
        p->hooks[n] = bytes ? arena_alloc(&p->arena, bytes) : NULL;
        if (bytes)
            memcpy(p->hooks[n], lists->hooks[n], bytes);
    }
}

static void load_modules(struct plan *p, struct hook_lists *lists,
                         const struct config_elem *modules, const struct loaded_modules *loaded)
{
    bool all_managed = config_bool(modules, "runAllManagedModulesForAllRequests");

    for (size_t i = 0; i < config_n_items(modules); i++) {
        const struct config_elem *e = config_item(modules, i);
        struct str name = config_str(e, "name");
        struct precondition cond = precondition_evaluate(config_str(e, "preCondition"),
                                                         loaded->pool);
        if (config_str(e, "type").n || !cond.holds)
            continue; /* managed, or not for this pool */
        if (!is_loaded(loaded, name)) {
            p->unknown_module = name;
            continue;
        }
        int index = registry_find(name);
        if (index < 0 || p->listed[index])
            continue;
        p->listed[index] = true;
        add_hooks(lists, (unsigned)index, cond.managed_handler && !all_managed);
    }
}

static bool is_name_listed(const void *arg, struct str name)
{
    const struct config_elem *modules = arg;

    for (size_t i = 0; i < config_n_items(modules); i++)
        if (str_ieq(config_str(config_item(modules, i), "name"), name))
            return true;
    return false;
}

/* ---- building ------------------------------------------------------------------------------- */

static const struct config_elem *section(struct plan *p, const char *name)
{
    const struct config_error *error = NULL;
    const struct config_elem *e = config_section(p->node, name, &error);

    if (!e && !p->error)
        p->error = error;
    return e;
}

/* Settings that must not keep a page from being shown: a fault in them is somebody else's
 * 500.19. */
static const struct config_elem *section_or_null(struct plan *p, const char *name)
{
    const struct config_error *error = NULL;

    return config_section(p->node, name, &error);
}

/* RFC 6797 section 6.1. The site's element counts for all of it, whatever a path says. */
static void load_hsts(struct plan *p, const struct config_hsts *h)
{
    if (!h->enabled)
        return;
    p->redirect_to_https = h->redirect_http_to_https;
    p->hsts = arena_printf(&p->arena, "max-age=%u%s%s", h->max_age,
                           h->include_sub_domains ? "; includeSubDomains" : "",
                           h->preload ? "; preload" : "");
}

static void load_core(struct plan *p, struct worker *w)
{
    const struct config_elem *runtime = section(p, "system.webServer/serverRuntime");
    const struct config_elem *access = section(p, "system.webServer/security/access");
    const struct config_elem *filtering =
        section_or_null(p, "system.webServer/security/requestFiltering");
    const struct config_elem *errors = section_or_null(p, "system.webServer/httpErrors");
    const struct config_site *site = config_node_site(p->node);
    const struct config_application *app = config_node_application(p->node);

    p->enabled = true;
    if (runtime) {
        p->enabled = config_bool(runtime, "enabled");
        p->max_entity = config_u32(runtime, "maxRequestEntityAllowed");
        p->app_limit = config_u32(runtime, "appConcurrentRequestLimit");
        p->read_ahead = config_u32(runtime, "uploadReadAheadSize");
        p->hit_threshold = config_u32(runtime, "frequentHitThreshold");
        p->hit_period_ms = config_time_ms(runtime, "frequentHitTimePeriod");
        p->alternate_host_name = config_str(runtime, "alternateHostName");
        p->server_header = config_str(runtime, "serverHeader");
    }
    if (access)
        p->ssl_flags = config_flags(access, "sslFlags");
    if (filtering)
        p->no_server_header = config_bool(filtering, "removeServerHeader");
    if (errors)
        p->detailed_errors =
            str_eq(config_enum_name(errors, "errorMode"), STR("Detailed"));
    if (site) {
        p->max_segments = site->limits.max_url_segments;
        load_hsts(p, &site->hsts);
    }
    if (site && app)
        p->app = worker_app_counter(w, site->id, app->path);
}

/* Without a usable <modules> the error still needs those that write its page. */
static void load_last_resort(struct plan *p, struct hook_lists *lists,
                             const struct loaded_modules *loaded)
{
    for (unsigned i = 0; i < registry_count(); i++) {
        const struct module *m = registry_at(i);
        if (!m->hooks[N_SEND_RESPONSE].fn || !is_loaded(loaded, str_z(m->name)))
            continue;
        p->listed[i] = true;
        add_hooks(lists, i, /* managed_only = */ false);
    }
}

static void build(struct plan *p, struct worker_thread *t)
{
    struct worker *w = t->worker;
    const struct config_error *error = NULL;
    struct loaded_modules loaded = {
        .global = config_section(config_server_node(config_node_config(p->node)),
                                 "system.webServer/globalModules", &error),
        .pool = &w->pool};
    const struct config_elem *modules = section(p, "system.webServer/modules");
    const struct config_elem *handlers = section(p, "system.webServer/handlers");
    struct hook_lists lists;

    memset(lists.n, 0, sizeof(lists.n));
    load_core(p, w);
    if (!loaded.global && !p->error)
        p->error = error;
    if (loaded.global && modules)
        load_modules(p, &lists, modules, &loaded);
    if (handlers && modules) {
        struct handler_modules known = {p->listed, is_name_listed, modules};
        handler_list_load(&p->handlers, handlers, &w->pool, &known, &p->arena);
    }
    if (loaded.global && !modules)
        load_last_resort(p, &lists, &loaded);
    keep_hooks(p, &lists);
    for (unsigned i = 0; i < registry_count(); i++)
        p->confs[i].loaded = registry_at(i)->load_conf == NULL;
}

static struct plan **bucket(struct plan_table *t, const struct config_node *node)
{
    return &t->buckets[((uintptr_t)node >> 5) % PLAN_BUCKETS];
}

struct plan *plan_get(struct plan_table *t, const struct config_node *node)
{
    struct plan **b = bucket(t, node);

    for (struct plan *p = *b; p; p = p->next)
        if (p->node == node) {
            config_node_unref(node); /* the plan's own reference keeps it */
            return plan_ref(p);
        }
    struct plan *p = xcalloc(1, sizeof(*p));

    p->refs = 1;
    p->node = node;
    arena_init(&p->arena, 0);
    build(p, t->thread);
    p->next = *b;
    *b = p;
    t->n++;
    return p;
}

void plan_unref(struct plan_table *t, struct plan *p)
{
    if (--p->refs > 0)
        return;
    struct plan **at = bucket(t, p->node);

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    t->n--;
    arena_fini(&p->arena);
    config_node_unref(p->node);
    free(p);
}

bool plan_load_conf(struct plan *p, const struct module *m, unsigned index,
                    const struct config_error **ret_error)
{
    struct plan_conf *c = &p->confs[index];

    if (!c->loaded) {
        c->loaded = true;
        c->conf = m->load_conf(p->node, &p->arena, &c->error);
    }
    *ret_error = c->error;
    return c->error == NULL;
}

static struct str check_list(const struct config_elem *list, const struct pool_facts *pool,
                             const char *image, struct arena *a)
{
    for (size_t i = 0; list && i < config_n_items(list); i++) {
        const struct config_elem *e = config_item(list, i);
        struct precondition c = precondition_evaluate(config_str(e, "preCondition"), pool);
        struct str path = image ? config_str(e, image) : STR_NULL;
        if (c.unknown.n)
            return arena_printf(a, "module '%.*s' (%.*s) has the unknown precondition '%.*s'",
                                STR_ARG(config_str(e, "name")), STR_ARG(path), STR_ARG(c.unknown));
    }
    return STR_NULL;
}

struct str plan_check_server(const struct config_node *server, const struct pool_facts *pool,
                             struct arena *a)
{
    const struct config_error *error;
    const struct config_elem *global =
        config_section(server, "system.webServer/globalModules", &error);
    const struct config_elem *modules = config_section(server, "system.webServer/modules", &error);
    struct str s = check_list(global, pool, "image", a);

    return s.n ? s : check_list(modules, pool, NULL, a);
}
