/* Taking a configuration into force: at the start, after a change of its file, on SIGHUP. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "supervisor/certificates.h"
#include "supervisor/configuration.h"
#include "supervisor/folders.h"
#include "supervisor/internal.h"
#include "supervisor/notify.h"
#include "supervisor/routing.h"
#include "supervisor/sites.h"
#include "base/poison.h"

/* A change is taken once no other follows for so long; one that never ends waits no longer than the
 * second. */
enum { SETTLE_MS = 100, SETTLE_MAX_MS = 2000 };
enum { FOLDERS_MS = 1000 };
enum { CONFIG_TEXT_MAX = 16 << 20, FINDINGS_TEXT_MAX = 1 << 20 };

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
                 strchr(address, ':') ? "%s[%s]:%u:" : "%s%s:%u:", s->o->https ? "https " : "",
                 address, s->port);
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
    config_error_advise(err, &text);
    fprintf(stderr, "%.*s\n", (int)text.n, text.p);
    if (s->is_ready) {
        char *file = str_dup_z(err->file);
        char *why = xasprintf("%.*s%s%.*s", STR_ARG(err->text),
                              err->text.n && err->remedy.n ? ". " : "", STR_ARG(err->remedy));
        SUP_EVENT(s, EV_WAS_CONFIG_FILE, NULL, file, sup_number(err->at_line).z, why);
        free(file);
        free(why);
    }
    buf_fini(&text);
    config_error_free(err);
    return NULL;
}

/* As lines; NULL: too many. */
static char *findings_text(const struct supervisor *s, const struct http_parameters_finding *f)
{
    struct buf text;

    buf_init(&text, FINDINGS_TEXT_MAX);
    for (; f; f = f->next) {
        const char *kind = f->severity == HTTP_PARAMETERS_ERROR     ? "error"
                           : f->severity == HTTP_PARAMETERS_WARNING ? "warning"
                                                                    : "note";
        buf_printf(&text, "%s:%u:%u: %s: %s\n", s->parameters_path, f->line, f->column, kind,
                   f->text);
    }
    char *z = text.overflow ? NULL : str_dup_z(buf_view(&text));

    buf_fini(&text);
    return z;
}

/* What was said of the file before is not said again because something else has changed. */
static void say_findings(struct supervisor *s, const struct http_parameters_finding *f)
{
    char *text = findings_text(s, f);

    if (text && s->said_of_parameters && strcmp(text, s->said_of_parameters) == 0) {
        free(text);
        return;
    }
    free(s->said_of_parameters);
    s->said_of_parameters = text;
    fputs(text ? text : "", stderr);
    for (; f; f = f->next) {
        if (f->severity != HTTP_PARAMETERS_NOTE)
            SUP_EVENT(s, EV_CND_PARAMETER_REFUSED, NULL, s->parameters_path, sup_number(f->line).z,
                      f->text);
    }
}

/* False: the file is unusable; said. */
static bool load_parameters(struct supervisor *s, struct http_parameters *ret,
                            struct http_bindings *ret_bindings)
{
    struct http_parameters_finding *findings = NULL;

    if (!s->parameters_path) {
        http_parameters_default(ret);
        http_bindings_init(ret_bindings);
        return true;
    }
    enum rc rc = http_parameters_load(s->parameters_path, ret, ret_bindings, &findings);

    /* A file that cannot be used at all has an event of its own. */
    if (rc != RC_FAIL)
        say_findings(s, findings);
    else if (findings)
        fprintf(stderr, "%s:%u:%u: error: %s\n", s->parameters_path, findings->line,
                findings->column, findings->text);

    if (rc == RC_DECLINED && s->o->http_parameters) {
        sup_say("%s: %s", s->parameters_path, strerror(ENOENT));
        errno = ENOENT;
        rc = RC_FAIL;
    }
    if (rc == RC_FAIL && s->is_ready)
        SUP_EVENT(s, EV_CND_PARAMETERS_UNREADABLE, NULL, s->parameters_path,
                  findings ? findings->text : strerror(errno));
    http_parameters_findings_free(findings);
    return rc != RC_FAIL;
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

static void make_log_folder(struct supervisor *s, const char *path, bool says)
{
    if (!folders_make(path, 0750, &s->listener_identity) && says)
        SUP_EVENT(s, EV_CND_LOG_OPEN_FAILED, NULL, path, strerror(errno));
}

static void make_log_folders(struct supervisor *s, bool says)
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
                s, arena_printf(&a, "%.*s/W3SVC%u", STR_ARG(sites[i].log.directory), sites[i].id).p,
                says);
    if (log->mode == CONFIG_CENTRAL_W3C && log->central.directory.n)
        make_log_folder(s, arena_dup_z(&a, log->central.directory), says);
    if (s->parameters.enable_error_logging) {
        struct str dir =
            config_real_path(s->config, &a, str_z(s->parameters.error_logging_dir), STR_NULL);
        make_log_folder(s, arena_printf(&a, "%.*s/HTTPERR", STR_ARG(dir)).p, says);
    }
    arena_fini(&a);
}

/* One of hundreds of logs says what may be true of all: once a second is often enough, and who has
 * called has told of it. */
void configuration_restore_log_folders(struct supervisor *s)
{
    uint64_t now = loop_now_ms(s->loop);

    if (s->folders_made_ms && now - s->folders_made_ms < FOLDERS_MS)
        return;
    s->folders_made_ms = now;
    make_log_folders(s, /* says = */ false);
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
                                      .bindings = &s->bindings,
                                      .computer_name = host,
                                      .arg = s,
                                      .site_started = sites_started,
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
    uint64_t now = loop_now_ms(s->loop);

    s->reload.on_time = on_reload_time;
    if (!s->reload_by_ms)
        s->reload_by_ms = now + SETTLE_MAX_MS;
    loop_timer_set(s->loop, &s->reload,
                   now + SETTLE_MS < s->reload_by_ms ? now + SETTLE_MS : s->reload_by_ms);
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
            ok = s->port && endpoints_want(&s->endpoints, str_z(list[i]), s->port, s->o->https, &f);
        if (ok)
            return true;
        s->port = 0;
        while (s->endpoints.n)
            endpoints_close(&s->endpoints, s->endpoints.n - 1);
    }
    if (s->port)
        return true;
    errno = 0;
    if (endpoints_can_use(list[0]))
        sup_say("there is no free port on %s", list[0]);
    else
        sup_say("cannot listen on %s: %s", list[0],
                errno == 0               ? "that is not an address"
                : errno == EADDRNOTAVAIL ? "this machine has no such address"
                                         : strerror(errno));
    return false;
}

bool configuration_begin(struct supervisor *s)
{
    if (s->o->folder && !choose_port(s))
        return false;
    if (!load_parameters(s, &s->parameters, &s->bindings))
        return false;
    s->config = load_config(s);
    if (!s->config)
        return false;
    s->generation = 1;
    make_log_folders(s, /* says = */ true);
    take_pools(s);
    sites_plan(s);
    begin_watch(s);
    /* A site that cannot have its port is a reason not to start at all: later, with clients on the
     * other sites, it is only an event. */
    if (!sites_have_sockets(s))
        return false;
    sites_say_unserved(s);
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
    struct http_bindings bindings = {0};

    loop_timer_clear(s->loop, &s->reload);
    s->reload_by_ms = 0;
    if (s->stopping || !s->is_ready)
        return;
    notify_manager("RELOADING=1");
    struct config *c = load_parameters(s, &parameters, &bindings) ? load_config(s) : NULL;

    if (!c) {
        http_bindings_fini(&bindings);
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
    http_bindings_fini(&s->bindings);
    s->bindings = bindings;
    s->generation++;
    if (s->watch)
        config_watch_switch(s->watch, c);
    make_log_folders(s, /* says = */ true);
    if (other_file)
        send_to_workers(s);
    take_pools(s);
    sites_plan(s);
    sup_send_generation(s);
    certificates_apply(s->certificates);
    listener_sync_endpoints(s);
    drop_pools(s);
    if (other_file)
        sites_say_unserved(s);
    if (other_workers)
        recycle_all(s);
    SUP_EVENT(s, EV_CND_CONFIG_TAKEN, NULL, sup_number(s->generation).z);
    notify_manager("READY=1");
}

void configuration_end(struct supervisor *s)
{
    s->watch = config_watch_free(s->watch);
    loop_timer_clear(s->loop, &s->reload);
    sites_free(s);
    for (size_t i = 0; i < s->n_pools; i++)
        pool_free(s->pools[i]);
    free(s->pools);
    s->config = config_unref(s->config);
    http_bindings_fini(&s->bindings);
    free(s->said_of_parameters);
}
