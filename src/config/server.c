/* The server-level sections that supervisor and listener live by, as plain structs. */
#include <string.h>

#include "base/alloc.h"
#include "base/ip.h"
#include "config/internal.h"
#include "base/poison.h"

struct reader {
    struct config *c;
    struct arena *a;
    struct str base; /* folder of the server-level file, for relative paths */
};

static unsigned line_of(const struct config_elem *e)
{
    return config_elem_pos(e).line;
}

static struct str real_path(struct reader *r, struct str text)
{
    return text.n ? paths_real(r->c->paths, r->a, text, r->base) : STR("");
}

/* ---- pools ---- */

static void read_process_model(const struct config_elem *e, struct config_pool *p)
{
    p->identity = (enum config_identity)config_enum(e, "identityType");
    p->user_name = config_str(e, "userName");
    p->password = config_str(e, "password");
    p->load_user_profile = config_bool(e, "loadUserProfile");
    p->pinging_enabled = config_bool(e, "pingingEnabled");
    p->idle_suspend = str_eq(config_enum_name(e, "idleTimeoutAction"), STR("Suspend"));
    p->log_idle_timeout = config_flags(e, "logEventOnProcessModel") != 0;
    p->idle_timeout_ms = config_time_ms(e, "idleTimeout");
    p->shutdown_time_limit_ms = config_time_ms(e, "shutdownTimeLimit");
    p->startup_time_limit_ms = config_time_ms(e, "startupTimeLimit");
    p->ping_interval_ms = config_time_ms(e, "pingInterval");
    p->ping_response_time_ms = config_time_ms(e, "pingResponseTime");
    p->max_processes = config_u32(e, "maxProcesses");
}

static void read_recycling(struct reader *r, const struct config_elem *e, struct config_pool *p)
{
    const struct config_elem *restart = config_child(e, "periodicRestart");
    const struct config_elem *schedule = config_child(restart, "schedule");
    uint64_t *times = arena_zalloc(r->a, config_n_items(schedule) * sizeof(*times));

    p->disallow_overlapping_rotation = config_bool(e, "disallowOverlappingRotation");
    p->disallow_rotation_on_config_change = config_bool(e, "disallowRotationOnConfigChange");
    p->log_event_on_recycle = config_flags(e, "logEventOnRecycle");
    p->restart_memory_kb = config_u32(restart, "memory");
    p->restart_private_memory_kb = config_u32(restart, "privateMemory");
    p->restart_requests = config_u32(restart, "requests");
    p->restart_time_ms = config_time_ms(restart, "time");
    for (size_t i = 0; i < config_n_items(schedule); i++)
        times[i] = config_time_ms(config_item(schedule, i), "value");
    p->schedule_ms = times;
    p->n_schedule = config_n_items(schedule);
}

static void read_failure(const struct config_elem *e, struct config_pool *p)
{
    p->tcp_level = str_eq(config_enum_name(e, "loadBalancerCapabilities"), STR("TcpLevel"));
    p->orphan_worker_process = config_bool(e, "orphanWorkerProcess");
    p->orphan_action_exe = config_str(e, "orphanActionExe");
    p->orphan_action_params = config_str(e, "orphanActionParams");
    p->rapid_fail_protection = config_bool(e, "rapidFailProtection");
    p->rapid_fail_interval_ms = config_time_ms(e, "rapidFailProtectionInterval");
    p->rapid_fail_max_crashes = config_u32(e, "rapidFailProtectionMaxCrashes");
    p->auto_shutdown_exe = config_str(e, "autoShutdownExe");
    p->auto_shutdown_params = config_str(e, "autoShutdownParams");
}

static void read_cpu(const struct config_elem *e, struct config_pool *p)
{
    p->cpu_limit = config_u32(e, "limit");
    p->cpu_action = (enum config_cpu_action)config_enum(e, "action");
    p->cpu_reset_interval_ms = config_time_ms(e, "resetInterval");
    p->smp_affinitized = config_bool(e, "smpAffinitized");
    p->smp_affinity_mask = (uint64_t)config_u32(e, "smpProcessorAffinityMask2") << 32 |
                           config_u32(e, "smpProcessorAffinityMask");
}

static void read_pool(struct reader *r, const struct config_elem *e, struct config_pool *p)
{
    const struct config_elem *env = config_child(e, "environmentVariables");
    struct config_env *vars = arena_zalloc(r->a, config_n_items(env) * sizeof(*vars));

    p->name = config_str(e, "name");
    p->queue_length = config_u32(e, "queueLength");
    p->auto_start = config_bool(e, "autoStart");
    p->enable_32bit = config_bool(e, "enable32BitAppOnWin64");
    p->classic_pipeline = str_eq(config_enum_name(e, "managedPipelineMode"), STR("Classic"));
    p->always_running = str_eq(config_enum_name(e, "startMode"), STR("AlwaysRunning"));
    p->enable_configuration_override = config_bool(e, "enableConfigurationOverride");
    p->pass_anonymous_token = config_bool(e, "passAnonymousToken");
    p->managed_runtime_version = config_str(e, "managedRuntimeVersion");
    for (size_t i = 0; i < config_n_items(env); i++) {
        vars[i].name = config_str(config_item(env, i), "name");
        vars[i].value = config_str(config_item(env, i), "value");
    }
    p->environment = vars;
    p->n_environment = config_n_items(env);
    read_process_model(config_child(e, "processModel"), p);
    read_recycling(r, config_child(e, "recycling"), p);
    read_failure(config_child(e, "failure"), p);
    read_cpu(config_child(e, "cpu"), p);
    p->line = line_of(e);
}

/* ---- sites ---- */

static void read_log_file(struct reader *r, const struct config_elem *e, struct config_log_file *l)
{
    const struct config_elem *custom = config_child(e, "customFields");
    size_t n = config_n_items(custom);
    struct config_custom_field *fields = arena_zalloc(r->a, n * sizeof(*fields));
    uint32_t target = config_flags(e, "logTargetW3C");

    l->enabled = config_bool(e, "enabled");
    l->format = (enum config_log_format)config_enum(e, "logFormat");
    l->ext_file_flags = config_flags(e, "logExtFileFlags");
    l->directory = real_path(r, config_str(e, "directory"));
    l->period = (enum config_log_period)config_enum(e, "period");
    l->truncate_size = config_i64(e, "truncateSize");
    l->local_time_rollover = config_bool(e, "localTimeRollover");
    l->log_site_id = config_bool(e, "logSiteId");
    l->to_file = (target & 1) != 0;
    l->to_etw = (target & 2) != 0;
    l->max_log_line_length = config_u32(e, "maxLogLineLength");
    l->flush_by_entry_count = config_u32(e, "flushByEntryCountW3CLog");
    l->max_custom_field_length = config_u32(custom, "maxCustomFieldLength");
    for (size_t i = 0; i < n; i++) {
        const struct config_elem *f = config_item(custom, i);
        fields[i].log_field_name = config_str(f, "logFieldName");
        fields[i].source_name = config_str(f, "sourceName");
        fields[i].source_type = (enum config_field_source)config_enum(f, "sourceType");
    }
    l->custom_fields = fields;
    l->n_custom_fields = n;
}

static bool is_http(struct str protocol)
{
    return str_ieq(protocol, STR("http")) || str_ieq(protocol, STR("https"));
}

/* "address:port:host"; an IPv6 address in brackets. False if it is not of that form. */
static bool split_binding(struct str raw, struct config_binding *b)
{
    struct str ip, port;
    uint64_t number;

    if (raw.n && raw.p[0] == '[') {
        size_t end = str_find_char(raw, ']');
        if (end == SIZE_MAX || end + 1 >= raw.n || raw.p[end + 1] != ':')
            return false;
        ip = str_sub(raw, 1, end);
        raw = str_sub(raw, end + 2, raw.n);
    } else if (!str_split(&raw, ':', &ip)) {
        return false;
    }
    if (!str_split(&raw, ':', &port) || !str_u64(port, 65535, &number))
        return false;
    if (raw.n && str_find_char(raw, ':') != SIZE_MAX)
        return false;
    b->ip = ip.n ? ip : STR("*");
    b->port = (uint16_t)number;
    b->host = raw.n ? raw : STR("");
    return true;
}

static const struct config_error *bad_binding(struct reader *r, const struct config_elem *x,
                                              const char *attribute, const char *what,
                                              struct str value, const char *remedy)
{
    struct config_error *err = error_new(
        r->a, x->src ? x->src->file : NULL, line_of(x), config_elem_pos(x).column,
        CONFIG_E_INVALID_DATA, x->section, "The '%s' attribute is invalid.  Invalid %s '%.*s'",
        attribute, what, STR_ARG(value));

    error_remedy(err, r->a, "%s", remedy);
    return err;
}

/* The first part of a list of address ranges that is none. False: all are. */
static bool find_bad_range(struct str list, struct str *ret)
{
    struct ip_range range;

    while (str_split(&list, ',', ret)) {
        *ret = str_trim(*ret);
        if (ret->n && !ip_range_parse(*ret, &range))
            return true;
    }
    return false;
}

static bool read_bindings(struct reader *r, const struct config_elem *e, struct config_site *s,
                          const struct config_error **ret_err)
{
    struct config_binding *list = arena_zalloc(r->a, config_n_items(e) * sizeof(*list));

    for (size_t i = 0; i < config_n_items(e); i++) {
        const struct config_elem *x = config_item(e, i);
        struct config_binding *b = &list[i];
        b->protocol = config_str(x, "protocol");
        b->raw = config_str(x, "bindingInformation");
        b->ip = b->host = STR("");
        b->ssl_flags = config_u32(x, "sslFlags");
        b->certificate_file = real_path(r, config_str(x, "certificateFile"));
        b->certificate_key_file = real_path(r, config_str(x, "certificateKeyFile"));
        b->certificate_password = config_str(x, "certificatePassword");
        b->line = line_of(x);
        b->column = config_elem_pos(x).column;
        b->proxy_protocol = config_enum(x, "proxyProtocol") != 0;
        b->proxy_trusted = config_str(x, "proxyTrusted");
        if (is_http(b->protocol) && !split_binding(b->raw, b)) {
            *ret_err = bad_binding(r, x, "bindingInformation", "binding", b->raw,
                                   "Write it as address:port:host, for example *:80: or "
                                   "[::1]:8080:www.example.com.");
            return false;
        }
        struct str bad;
        if (find_bad_range(b->proxy_trusted, &bad)) {
            *ret_err = bad_binding(r, x, "proxyTrusted", "address", bad,
                                   "Write addresses or ranges with commas between, for example "
                                   "10.0.0.0/8,127.0.0.1.");
            return false;
        }
    }
    s->bindings = list;
    s->n_bindings = config_n_items(e);
    return true;
}

static struct str vdir_url(struct arena *a, struct str app, struct str vdir)
{
    if (vdir.n <= 1)
        return app;
    return app.n <= 1 ? vdir : arena_printf(a, "%.*s%.*s", STR_ARG(app), STR_ARG(vdir));
}

static bool read_application(struct reader *r, const struct config_elem *e,
                             struct config_application *app)
{
    struct config_vdir *list = arena_zalloc(r->a, config_n_items(e) * sizeof(*list));
    bool has_root = false;

    app->path = config_str(e, "path");
    app->pool = config_str(e, "applicationPool");
    app->enabled_protocols = config_str(e, "enabledProtocols");
    app->preload_enabled = config_bool(e, "preloadEnabled");
    for (size_t i = 0; i < config_n_items(e); i++) {
        const struct config_elem *x = config_item(e, i);
        struct config_vdir *v = &list[i];
        v->path = config_str(x, "path");
        if (v->path.n == 0)
            v->path = STR("/");
        v->url = vdir_url(r->a, app->path, v->path);
        v->physical_path = config_str(x, "physicalPath");
        v->directory = paths_real(r->c->paths, r->a, v->physical_path, r->base);
        v->allow_sub_dir_config = config_bool(x, "allowSubDirConfig");
        has_root = has_root || v->path.n == 1;
    }
    app->vdirs = list;
    app->n_vdirs = config_n_items(e);
    return has_root;
}

/* Each application needs a virtual directory "/". A site without an application "/" is refused by
 * WAS; here it serves the applications it has, and what lies outside them is the listener's 404:
 * that is what HTTP.sys does with prefixes registered below a host's root. */
static bool read_applications(struct reader *r, const struct config_elem *e, struct config_site *s)
{
    struct config_application *list = arena_zalloc(r->a, config_n_items(e) * sizeof(*list));
    bool whole = true;

    for (size_t i = 0; i < config_n_items(e); i++)
        whole = read_application(r, config_item(e, i), &list[i]) && whole;
    s->applications = list;
    s->n_applications = config_n_items(e);
    return whole && s->n_applications > 0;
}

static void site_error(struct reader *r, const struct config_elem *e, struct config_site *s)
{
    struct config_error *err = error_new(
        r->a, e->src->file, line_of(e), config_elem_pos(e).column, CONFIG_E_FILE_NOT_FOUND,
        e->section, "Unrecognized configuration path 'MACHINE/WEBROOT/APPHOST/%.*s'",
        STR_ARG(s->name));

    error_remedy(err, r->a,
                 "Give the site an <application> and each application a "
                 "<virtualDirectory path=\"/\" physicalPath=\"...\">.");
    s->error = err;
}

static bool read_site(struct reader *r, const struct config_elem *e, struct config_site *s,
                      const struct config_error **ret_err)
{
    const struct config_elem *limits = config_child(e, "limits"), *hsts = config_child(e, "hsts");
    const struct config_elem *trace = config_child(e, "traceFailedRequestsLogging");

    s->id = config_u32(e, "id");
    s->name = config_str(e, "name");
    s->server_auto_start = config_bool(e, "serverAutoStart");
    s->line = line_of(e);
    s->limits.max_bandwidth = config_u32(limits, "maxBandwidth");
    s->limits.max_connections = config_u32(limits, "maxConnections");
    s->limits.connection_timeout_ms = config_time_ms(limits, "connectionTimeout");
    s->limits.max_url_segments = config_u32(limits, "maxUrlSegments");
    s->hsts.enabled = config_bool(hsts, "enabled");
    s->hsts.max_age = config_u32(hsts, "max-age");
    s->hsts.include_sub_domains = config_bool(hsts, "includeSubDomains");
    s->hsts.preload = config_bool(hsts, "preload");
    s->hsts.redirect_http_to_https = config_bool(hsts, "redirectHttpToHttps");
    s->trace_enabled = config_bool(trace, "enabled");
    s->trace_directory = real_path(r, config_str(trace, "directory"));
    s->trace_max_log_files = config_u32(trace, "maxLogFiles");
    s->trace_max_log_file_size_kb = config_u32(trace, "maxLogFileSizeKB");
    read_log_file(r, config_child(e, "logFile"), &s->log);
    if (!read_bindings(r, config_child(e, "bindings"), s, ret_err))
        return false;
    if (!read_applications(r, e, s))
        site_error(r, e, s);
    return true;
}

/* ---- the whole ---- */

static bool read_sites(struct reader *r, const struct config_error **ret_err)
{
    struct config *c = r->c;
    const struct config_elem *e =
        config_section(c->server, "system.applicationHost/sites", ret_err);

    if (!e)
        return false;
    c->sites = arena_zalloc(r->a, config_n_items(e) * sizeof(*c->sites));
    for (size_t i = 0; i < config_n_items(e); i++)
        if (!read_site(r, config_item(e, i), &c->sites[i], ret_err))
            return false;
    c->n_sites = config_n_items(e);
    return true;
}

static bool read_pools(struct reader *r, const struct config_error **ret_err)
{
    struct config *c = r->c;
    const struct config_elem *e =
        config_section(c->server, "system.applicationHost/applicationPools", ret_err);

    if (!e)
        return false;
    c->pools = arena_zalloc(r->a, config_n_items(e) * sizeof(*c->pools));
    for (size_t i = 0; i < config_n_items(e); i++)
        read_pool(r, config_item(e, i), &c->pools[i]);
    c->n_pools = config_n_items(e);
    return true;
}

static bool read_limits(struct reader *r, const struct config_error **ret_err)
{
    struct config_web_limits *w = &r->c->web_limits;
    const struct config_elem *e =
        config_section(r->c->server, "system.applicationHost/webLimits", ret_err);

    if (!e)
        return false;
    w->max_global_bandwidth = config_u32(e, "maxGlobalBandwidth");
    w->connection_timeout_ms = config_time_ms(e, "connectionTimeout");
    w->header_wait_timeout_ms = config_time_ms(e, "headerWaitTimeout");
    w->min_bytes_per_second = config_u32(e, "minBytesPerSecond");
    w->demand_start_threshold = config_u32(e, "demandStartThreshold");
    return true;
}

static bool read_log(struct reader *r, const struct config_error **ret_err)
{
    struct config_log *l = &r->c->log;
    const struct config_elem *e =
        config_section(r->c->server, "system.applicationHost/log", ret_err);

    if (!e)
        return false;
    l->log_in_utf8 = config_bool(e, "logInUTF8");
    l->mode = (enum config_central_log)config_enum(e, "centralLogFileMode");
    bool is_w3c = l->mode != CONFIG_CENTRAL_BINARY;
    const struct config_elem *f =
        config_child(e, is_w3c ? "centralW3CLogFile" : "centralBinaryLogFile");
    l->central.enabled = config_bool(f, "enabled");
    l->central.format = is_w3c ? CONFIG_LOG_W3C : CONFIG_LOG_CUSTOM;
    l->central.directory = real_path(r, config_str(f, "directory"));
    l->central.period = (enum config_log_period)config_enum(f, "period");
    l->central.truncate_size = config_i64(f, "truncateSize");
    l->central.local_time_rollover = config_bool(f, "localTimeRollover");
    l->central.ext_file_flags = is_w3c ? config_flags(f, "logExtFileFlags") : 0;
    l->central.to_file = true;
    l->central.log_site_id = true;
    l->central.max_log_line_length = 65536;
    return true;
}

bool server_settings(struct config *c, const struct config_error **ret_err)
{
    struct reader r = {.c = c, .a = &c->arena};
    size_t slash = str_rfind_char(c->source_name, '/');

    r.base = slash == SIZE_MAX ? STR("") : str_sub(c->source_name, 0, slash);
    return read_pools(&r, ret_err) && read_sites(&r, ret_err) && read_limits(&r, ret_err) &&
           read_log(&r, ret_err);
}
