/* Taking a configuration into force: at the start, after a change of its file, on SIGHUP. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "supervisor/configuration.h"
#include "supervisor/folders.h"
#include "supervisor/internal.h"
#include "supervisor/notify.h"
#include "supervisor/routing.h"
#include "base/poison.h"

enum { SETTLE_MS = 100, CONFIG_TEXT_MAX = 16 << 20 };

/* ---- reading -------------------------------------------------------------------------------- */

static struct config *load_folder(struct supervisor *s, struct config_error **ret_err)
{
    const char *both[] = {"127.0.0.1", "::1"};
    char bindings[2][160];
    const char *list[2];
    size_t n = 0;
    struct buf text;

    for (size_t i = 0; i < (s->o->bind ? 1 : ARRAY_LEN(both)); i++) {
        const char *address = s->o->bind ? s->o->bind : both[i];
        if (i > 0 && !endpoints_can_use(address))
            continue; /* no IPv6 here */
        snprintf(bindings[n], sizeof(bindings[n]),
                 strchr(address, ':') ? "[%s]:%u:" : "%s:%u:", address, s->port);
        list[n] = bindings[n];
        n++;
    }
    buf_init(&text, CONFIG_TEXT_MAX);
    config_builtin_text(&text, s->o->folder, list, n);
    struct config *c = config_load(
        &(struct config_options){.bytes = buf_view(&text), .system_drive = s->system_drive},
        ret_err);

    buf_fini(&text);
    return c;
}

/* NULL: what is wrong has been said, and written as an event if the server runs. */
static struct config *load_config(struct supervisor *s)
{
    struct config_error *err = NULL;
    struct config *c = s->o->folder
                           ? load_folder(s, &err)
                           : config_load(&(struct config_options){.path = s->o->config_path,
                                                                  .system_drive = s->system_drive},
                                         &err);

    if (c)
        return c;
    struct buf text;

    buf_init(&text, 65536);
    config_error_format(err, &text);
    buf_char(&text, '\0');
    fprintf(stderr, "%s\n", text.p);
    if (s->is_ready) {
        char *file = str_dup_z(err->file), *why = str_dup_z(err->text.n ? err->text : err->remedy);
        SUP_EVENT(s, EV_WAS_CONFIG_FILE, NULL, file, sup_number(err->line).z, why);
        free(file);
        free(why);
    }
    buf_fini(&text);
    config_error_free(err);
    return NULL;
}

static bool say_findings(struct supervisor *s, const struct http_parameters_finding *f)
{
    bool failed = false;

    for (; f; f = f->next) {
        const char *kind = f->severity == HTTP_PARAMETERS_ERROR     ? "error"
                           : f->severity == HTTP_PARAMETERS_WARNING ? "warning"
                                                                    : "note";
        fprintf(stderr, "%s:%u:%u: %s: %s\n", s->parameters_path, f->line, f->column, kind,
                f->text);
        failed = failed || f->severity == HTTP_PARAMETERS_ERROR;
        if (f->severity == HTTP_PARAMETERS_WARNING)
            SUP_EVENT(s, EV_CND_PARAMETER_REFUSED, NULL, s->parameters_path, sup_number(f->line).z,
                      f->text);
    }
    return failed;
}

/* False: the file is unusable; said. */
static bool load_parameters(struct supervisor *s, struct http_parameters *ret)
{
    struct http_parameters_finding *findings = NULL;

    if (!s->parameters_path) {
        http_parameters_default(ret);
        return true;
    }
    enum rc rc = http_parameters_load(s->parameters_path, ret, &findings);
    (void)say_findings(s, findings);

    if (rc == RC_DECLINED && s->o->http_parameters) {
        fprintf(stderr, "%s:0: error: there is no such file\n", s->parameters_path);
        rc = RC_FAIL;
    }
    if (rc == RC_FAIL && s->is_ready)
        SUP_EVENT(s, EV_CND_PARAMETERS_UNREADABLE, NULL, s->parameters_path,
                  findings ? findings->text : strerror(errno));
    http_parameters_findings_free(findings);
    return rc != RC_FAIL;
}

/* ---- sites ---------------------------------------------------------------------------------- */

const struct site_plan *sup_site_plan(const struct supervisor *s, uint32_t id)
{
    for (size_t i = 0; i < s->n_plan; i++)
        if (s->plan[i].id == id)
            return &s->plan[i];
    return NULL;
}

static bool is_http(const struct config_binding *b)
{
    return b->port && str_ieq(b->protocol, STR("http"));
}

static bool is_wanted(const struct supervisor *s, const struct config_site *site)
{
    for (size_t i = 0; i < s->n_overrides; i++)
        if (s->overrides[i].id == site->id)
            return s->overrides[i].started;
    return site->server_auto_start;
}

static bool plan_started(void *arg, const struct config_site *site)
{
    const struct site_plan *p = sup_site_plan(arg, site->id);

    return p && p->started;
}

/* Later than at the start, when it ends the server, a port that cannot be had is an event. */
static void say_no_socket(struct supervisor *s, const struct endpoint_failure *f)
{
    if (s->is_ready)
        SUP_EVENT(s, f->err == EADDRINUSE ? EV_CND_ENDPOINT_IN_USE : EV_CND_ENDPOINT_FORBIDDEN,
                  NULL, f->address, f->why);
}

/* Opens what the site needs; a text to free when it cannot start. */
static char *open_site(struct supervisor *s, const struct config_site *site, struct site_plan *p)
{
    struct endpoint_failure f;
    size_t usable = 0;

    for (size_t i = 0; i < site->n_bindings; i++) {
        const struct config_binding *b = &site->bindings[i];
        if (!is_http(b))
            continue;
        if (!endpoints_want(&s->endpoints, b->ip, b->port, &f)) {
            p->has_no_socket = true;
            say_no_socket(s, &f);
            return xasprintf("cannot listen on %s: %s", f.address, f.why);
        }
        usable++;
    }
    return usable ? NULL : xstrdup("it has no http binding, and no other protocol is served yet");
}

static char *why_not(struct supervisor *s, const struct config_site *site, struct site_plan *p)
{
    const struct config_binding *b = NULL;
    const struct config_site *other = routing_find_duplicate(s->config, site, plan_started, s, &b);

    if (site->error) {
        struct buf text;
        buf_init(&text, 4096);
        config_error_format(site->error, &text);
        char *z = str_dup_z(buf_view(&text));
        buf_fini(&text);
        return z;
    }
    if (other)
        return xasprintf("its binding %.*s/%.*s already belongs to site \"%.*s\"",
                         STR_ARG(b->protocol), STR_ARG(b->raw), STR_ARG(other->name));
    return open_site(s, site, p);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void say_plan(struct supervisor *s, const struct config_site *site,
                     const struct site_plan *p)
{
    char *text = xasprintf("site \"%.*s\" does not start: %s", STR_ARG(site->name), p->why);

    sup_say("%s", text);
    if (!p->has_no_socket)
        SUP_EVENT(s, EV_CND_CONFIG_SETTING, json_pack("{s:I}", "site", (json_int_t)site->id), text);
    free(text);
}

static void free_plan(struct site_plan *plan, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(plan[i].why);
    free(plan);
}

static const char *old_why(const struct site_plan *plan, size_t n, uint32_t id)
{
    for (size_t i = 0; i < n; i++)
        if (plan[i].id == id)
            return plan[i].why;
    return NULL;
}

/* A site that failed at its second binding has opened sockets that nobody needs now. */
static void want_only_used(struct supervisor *s)
{
    size_t n;
    const struct config_site *sites = config_sites(s->config, &n);
    struct site_plan ignored = {0};

    endpoints_begin(&s->endpoints);
    for (size_t i = 0; i < n; i++)
        if (s->plan[i].started)
            free(open_site(s, &sites[i], &ignored));
}

/* Decides which sites start and opens their sockets. */
static void plan_sites(struct supervisor *s)
{
    size_t n, n_old = s->n_plan;
    const struct config_site *sites = config_sites(s->config, &n);
    struct site_plan *old = s->plan;

    s->plan = xcalloc(n, sizeof(*s->plan));
    s->n_plan = 0;
    endpoints_begin(&s->endpoints);
    for (size_t i = 0; i < n; i++) {
        struct site_plan *p = &s->plan[i];
        *p = (struct site_plan){.id = sites[i].id};
        s->n_plan++;
        if (!is_wanted(s, &sites[i]))
            continue;
        p->why = why_not(s, &sites[i], p);
        p->started = !p->why;
        if (p->why && !same_text(p->why, old_why(old, n_old, p->id)))
            say_plan(s, &sites[i], p);
    }
    free_plan(old, n_old);
    want_only_used(s);
}

bool sup_site_set(struct supervisor *s, uint32_t id, bool started, char *out, size_t room)
{
    size_t i = 0;

    while (i < s->n_overrides && s->overrides[i].id != id)
        i++;
    if (i == s->n_overrides) {
        s->overrides =
            xgrow(s->overrides, s->n_overrides, &s->overrides_cap, sizeof(*s->overrides));
        s->n_overrides++;
    }
    s->overrides[i] = (struct site_override){.id = id, .started = started};
    plan_sites(s);
    s->generation++;
    sup_send_generation(s);
    listener_sync_endpoints(s);
    const struct site_plan *p = sup_site_plan(s, id);

    if (started && p && p->why)
        snprintf(out, room, "%s", p->why);
    return !(started && p && p->why);
}

/* ---- pools ---------------------------------------------------------------------------------- */

struct pool *sup_pool(struct supervisor *s, struct str name)
{
    for (size_t i = 0; i < s->n_pools; i++)
        if (str_ieq(str_z(s->pools[i]->name), name))
            return s->pools[i];
    return NULL;
}

static void add_pool(struct supervisor *s, const struct config_pool *conf)
{
    struct pool *p = pool_new(s, s->config, conf);

    p->is_wanted = true;
    s->pools = xgrow(s->pools, s->n_pools, &s->pools_cap, sizeof(struct pool *));
    s->pools[s->n_pools++] = p;
}

static void take_pools(struct supervisor *s)
{
    size_t n;
    const struct config_pool *pools = config_pools(s->config, &n);

    for (size_t i = 0; i < s->n_pools; i++)
        s->pools[i]->is_wanted = false;
    for (size_t i = 0; i < n; i++) {
        struct pool *p = sup_pool(s, pools[i].name);
        if (p) {
            p->is_wanted = true;
            pool_update(p, s->config, &pools[i]);
        } else {
            add_pool(s, &pools[i]);
        }
    }
}

/* After the listener has a generation without them. */
static void drop_pools(struct supervisor *s)
{
    for (size_t i = 0; i < s->n_pools; i++)
        if (!s->pools[i]->is_wanted && s->pools[i]->started)
            pool_stop(s->pools[i], "N/A");
    sup_forget_pools(s);
}

void sup_forget_pools(struct supervisor *s)
{
    for (size_t i = s->n_pools; i-- > 0;) {
        if (s->pools[i]->is_wanted || s->pools[i]->workers)
            continue;
        pool_free(s->pools[i]);
        s->pools[i] = s->pools[--s->n_pools];
    }
}

/* Modules are loaded when a worker starts: another list needs other workers. */
static char *global_modules(struct config *c)
{
    const struct config_error *err;
    const struct config_elem *e =
        config_section(config_server_node(c), "system.webServer/globalModules", &err);
    struct buf text;

    buf_init(&text, 1 << 20);
    for (size_t i = 0; e && i < config_n_items(e); i++) {
        buf_str(&text, config_str(config_item(e, i), "name"));
        buf_char(&text, '\t');
        buf_str(&text, config_str(config_item(e, i), "image"));
        buf_char(&text, '\n');
    }
    char *z = str_dup_z(buf_view(&text));

    buf_fini(&text);
    return z;
}

/* ---- folders -------------------------------------------------------------------------------- */

static void make_log_folder(struct supervisor *s, const char *path)
{
    if (!folders_make(path, 0750, &s->listener_identity))
        SUP_EVENT(s, EV_CND_LOG_OPEN_FAILED, NULL, path, strerror(errno));
}

/* The listener may not be allowed to make them itself. */
static void make_log_folders(struct supervisor *s)
{
    size_t n;
    const struct config_site *sites = config_sites(s->config, &n);
    const struct config_log *log = config_log(s->config);
    struct arena a;

    if (s->o->log_stdout)
        return;
    arena_init(&a, 0);
    for (size_t i = 0; i < n && log->mode != CONFIG_CENTRAL_W3C; i++)
        if (sites[i].log.enabled && sites[i].log.directory.n)
            make_log_folder(
                s,
                arena_printf(&a, "%.*s/W3SVC%u", STR_ARG(sites[i].log.directory), sites[i].id).p);
    if (log->mode == CONFIG_CENTRAL_W3C && log->central.directory.n)
        make_log_folder(s, arena_dup_z(&a, log->central.directory));
    if (s->parameters.enable_error_logging) {
        struct str dir =
            config_real_path(s->config, &a, str_z(s->parameters.error_logging_dir), STR_NULL);
        make_log_folder(s, arena_printf(&a, "%.*s/HTTPERR", STR_ARG(dir)).p);
    }
    arena_fini(&a);
}

/* ---- into force ----------------------------------------------------------------------------- */

static bool pool_takes_requests(void *arg, const struct config_pool *conf, const char **ret_reason)
{
    const struct pool *p = sup_pool(arg, conf->name);

    INVARIANT(p);
    *ret_reason = p->reason;
    return p->started;
}

void sup_send_generation(struct supervisor *s)
{
    char host[256] = "";
    const struct routing_options o = {.id = s->generation,
                                      .parameters = &s->parameters,
                                      .computer_name = host,
                                      .arg = s,
                                      .site_started = plan_started,
                                      .pool_started = pool_takes_requests};

    (void)gethostname(host, sizeof(host) - 1);
    listener_send(s, routing_to_json(s->config, &o), NULL, 0);
}

static void on_reload_time(struct loop_timer *t)
{
    configuration_reload(CONTAINER_OF(t, struct supervisor, reload));
}

static void on_change(void *arg, const struct config_change *change)
{
    struct supervisor *s = arg;

    if (!change->is_server_file)
        return; /* a web.config: the workers' affair */
    s->reload.on_time = on_reload_time;
    loop_timer_set(s->loop, &s->reload, loop_now_ms(s->loop) + SETTLE_MS);
}

static void begin_watch(struct supervisor *s)
{
    const char *file = s->o->folder ? s->parameters_path : s->o->config_path;

    if (!file)
        return;
    s->watch = config_watch_new(s->loop, s->config, on_change, s);
    if (!s->watch)
        SUP_EVENT(s, EV_CND_WATCH_FAILED, NULL, file, strerror(errno));
    else if (s->parameters_path && !config_watch_file(s->watch, s->parameters_path))
        SUP_EVENT(s, EV_CND_WATCH_FAILED, NULL, s->parameters_path, strerror(errno));
}

/* With --port 0 the sockets choose the port, and the configuration has to name it. */
static bool choose_port(struct supervisor *s)
{
    enum { TRIES = 20 };
    const char *list[] = {s->o->bind ? s->o->bind : "127.0.0.1", "::1"};
    size_t n = !s->o->bind && endpoints_can_use(list[1]) ? 2 : 1;
    struct endpoint_failure f;

    s->port = s->o->port;
    for (int try = 0; s->o->port == 0 && try < TRIES; try++) {
        bool ok = true;
        s->port = endpoints_free_port(list, n);
        for (size_t i = 0; ok && i < n; i++)
            ok = s->port && endpoints_want(&s->endpoints, str_z(list[i]), s->port, &f);
        if (ok)
            return true;
        s->port = 0;
        while (s->endpoints.n)
            endpoints_close(&s->endpoints, s->endpoints.n - 1);
    }
    if (s->port == 0)
        sup_say("there is no free port on %s", list[0]);
    return s->port != 0;
}

bool configuration_begin(struct supervisor *s)
{
    if (s->o->folder && !choose_port(s))
        return false;
    if (!load_parameters(s, &s->parameters))
        return false;
    s->config = load_config(s);
    if (!s->config)
        return false;
    s->generation = 1;
    make_log_folders(s);
    take_pools(s);
    plan_sites(s);
    begin_watch(s);
    /* A site that cannot have its port is a reason not to start at all: later, with clients on the
     * other sites, it is only an event. */
    for (size_t i = 0; i < s->n_plan; i++)
        if (s->plan[i].has_no_socket)
            return false;
    return true;
}

static void send_to_workers(struct supervisor *s)
{
    for (size_t i = 0; i < s->n_pools; i++)
        for (struct worker *w = s->pools[i]->workers; w; w = w->next)
            worker_send_generation(w);
}

static void recycle_all(struct supervisor *s)
{
    for (size_t i = 0; i < s->n_pools; i++)
        pool_recycle(s->pools[i], EV_WAS_RECYCLE_CONFIG);
}

void configuration_reload(struct supervisor *s)
{
    struct http_parameters parameters;

    loop_timer_clear(s->loop, &s->reload);
    if (s->stopping || !s->is_ready)
        return;
    notify_manager("RELOADING=1");
    struct config *c = load_parameters(s, &parameters) ? load_config(s) : NULL;

    if (!c) {
        notify_manager("READY=1");
        return;
    }
    char *modules_before = global_modules(s->config), *modules = global_modules(c);
    bool other_workers = strcmp(modules, modules_before) != 0 ||
                         parameters.max_request_bytes > s->parameters.max_request_bytes;
    bool other_file = !str_eq(config_source(c), config_source(s->config));

    free(modules_before);
    free(modules);
    config_unref(s->config);
    s->config = c;
    s->parameters = parameters;
    s->generation++;
    if (s->watch)
        config_watch_switch(s->watch, c);
    make_log_folders(s);
    if (other_file)
        send_to_workers(s);
    take_pools(s);
    plan_sites(s);
    sup_send_generation(s);
    listener_sync_endpoints(s);
    drop_pools(s);
    if (other_workers)
        recycle_all(s);
    SUP_EVENT(s, EV_CND_CONFIG_TAKEN, NULL, sup_number(s->generation).z);
    notify_manager("READY=1");
}

void configuration_say_addresses(const struct supervisor *s)
{
    size_t n;
    const struct config_site *sites = config_sites(s->config, &n);

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; s->plan[i].started && k < sites[i].n_bindings; k++) {
            const struct config_binding *b = &sites[i].bindings[k];
            bool any = b->ip.n == 0 || str_eq(b->ip, STR("*"));
            bool v6 = str_find_char(b->ip, ':') != SIZE_MAX;
            if (is_http(b))
                sup_say("listening on http://%s%.*s%s:%u (%.*s)", v6 ? "[" : "",
                        STR_ARG(any ? STR("0.0.0.0") : b->ip), v6 ? "]" : "", b->port,
                        STR_ARG(sites[i].name));
        }
    }
}

void configuration_end(struct supervisor *s)
{
    s->watch = config_watch_free(s->watch);
    loop_timer_clear(s->loop, &s->reload);
    free_plan(s->plan, s->n_plan);
    free(s->overrides);
    for (size_t i = 0; i < s->n_pools; i++)
        pool_free(s->pools[i]);
    free(s->pools);
    s->config = config_unref(s->config);
}
