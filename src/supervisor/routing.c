#include "supervisor/routing.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/ip.h"
#include "base/poison.h"

static json_t *text(struct str s)
{
    json_t *j = json_stringn(s.p ? s.p : "", s.n);

    /* Not UTF-8: a path out of a registry export, say. */
    return j ? j : json_string("");
}

static void put(json_t *o, const char *key, json_t *value)
{
    INVARIANT(json_object_set_new(o, key, value) == 0);
}

static void put_u64(json_t *o, const char *key, uint64_t v)
{
    put(o, key, json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v));
}

static void put_bool(json_t *o, const char *key, bool v)
{
    put(o, key, json_boolean(v));
}

static const char *source_type_name(enum config_field_source t)
{
    switch (t) {
    case CONFIG_FIELD_RESPONSE_HEADER:
        return "ResponseHeader";
    case CONFIG_FIELD_SERVER_VARIABLE:
        return "ServerVariable";
    case CONFIG_FIELD_REQUEST_HEADER:
        break;
    }
    return "RequestHeader";
}

static json_t *custom_fields(const struct config_log_file *f)
{
    json_t *add = json_array();

    for (size_t i = 0; i < f->n_custom_fields; i++) {
        json_t *o = json_object();
        put(o, "logFieldName", text(f->custom_fields[i].log_field_name));
        put(o, "sourceName", text(f->custom_fields[i].source_name));
        put(o, "sourceType", json_string(source_type_name(f->custom_fields[i].source_type)));
        json_array_append_new(add, o);
    }
    json_t *fields = json_object();

    put_u64(fields, "maxCustomFieldLength", f->max_custom_field_length);
    put(fields, "add", add);
    return fields;
}

static json_t *log_file(const struct config_log_file *f)
{
    json_t *o = json_object();

    put_bool(o, "enabled", f->enabled && f->to_file);
    put_u64(o, "logFormat", f->format);
    put_u64(o, "logExtFileFlags", f->ext_file_flags);
    put(o, "directory", text(f->directory));
    put_u64(o, "period", f->period);
    put_u64(o, "truncateSize", f->truncate_size < 0 ? 0 : (uint64_t)f->truncate_size);
    put_bool(o, "localTimeRollover", f->local_time_rollover);
    put_bool(o, "logSiteId", f->log_site_id);
    put_u64(o, "maxLogLineLength", f->max_log_line_length);
    put_u64(o, "flushByEntryCountW3CLog", f->flush_by_entry_count);
    put(o, "customFields", custom_fields(f));
    return o;
}

static json_t *central_log(const struct config_log *l)
{
    json_t *o = json_object();

    put_bool(o, "logInUTF8", l->log_in_utf8);
    put_u64(o, "centralLogFileMode", l->mode);
    if (l->mode == CONFIG_CENTRAL_W3C) {
        json_t *f = log_file(&l->central);
        put_bool(f, "enabled", l->central.enabled);
        put(o, "centralW3CLogFile", f);
    }
    return o;
}

/* The registry names the folder with variables; the listener gets the real one. */
static json_t *httperr(const struct config *c, const struct http_parameters *p, json_t *parameters)
{
    static const char *const names[] = {"EnableErrorLogging", "ErrorLogFileTruncateSize",
                                        "ErrorLoggingFields", "ErrorLoggingRolloverType",
                                        "ErrorLoggingLocaltimeRollover"};
    static const char *const columns[] = {[HTTP_ERROR_COLUMNS_2016] = "2016",
                                          [HTTP_ERROR_COLUMNS_2003] = "2003",
                                          [HTTP_ERROR_COLUMNS_2008] = "2008",
                                          [HTTP_ERROR_COLUMNS_CURRENT] = "current"};
    json_t *o = json_object();
    struct arena a;

    arena_init(&a, 0);
    put(o, "columns", json_string(columns[p->error_logging_columns]));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        json_t *v = json_object_get(parameters, names[i]);
        if (v)
            put(o, names[i], json_incref(v));
    }
    put(o, "ErrorLoggingDir", text(config_real_path(c, &a, str_z(p->error_logging_dir), STR_NULL)));
    arena_fini(&a);
    return o;
}

static json_t *web_limits(const struct config_web_limits *l)
{
    json_t *o = json_object();

    put_u64(o, "connectionTimeout_ms", l->connection_timeout_ms);
    put_u64(o, "headerWaitTimeout_ms", l->header_wait_timeout_ms);
    put_u64(o, "minBytesPerSecond", l->min_bytes_per_second);
    put_u64(o, "maxGlobalBandwidth", l->max_global_bandwidth);
    return o;
}

static json_t *one_pool(const struct config_pool *p, const struct routing_options *o)
{
    const char *reason = "N/A";
    json_t *j = json_object();
    bool started = o->pool_started(o->arg, p, &reason);

    put(j, "name", text(p->name));
    put_u64(j, "queueLength", p->queue_length);
    put(j, "loadBalancerCapabilities", json_string(p->tcp_level ? "TcpLevel" : "HttpLevel"));
    put(j, "state", json_string(started ? "Started" : "Stopped"));
    put(j, "reason", json_string(started ? "N/A" : reason));
    return j;
}

/* The listener cannot look names of interfaces up: it gets their numbers. */
static json_t *address(struct str s)
{
    char z[IP_TEXT_MAX];
    struct ip_address ip;

    return ip_parse(s, &ip) ? json_stringn(z, ip_format(&ip, z)) : text(s);
}

static json_t *one_binding(const struct config_binding *b)
{
    json_t *j = json_object();

    put(j, "protocol", text(b->protocol));
    put(j, "address", address(b->ip));
    put_u64(j, "port", b->port);
    put(j, "host", text(b->host));
    put_u64(j, "sslFlags", b->ssl_flags);
    if (b->proxy_protocol) {
        put(j, "proxyProtocol", json_string("v1v2"));
        put(j, "proxyTrusted", text(b->proxy_trusted));
    }
    return j;
}

static json_t *one_site(const struct config_site *s, const struct routing_options *o)
{
    json_t *j = json_object(), *limits = json_object(), *bindings = json_array();
    json_t *applications = json_array();

    put_u64(limits, "connectionTimeout_ms", s->limits.connection_timeout_ms);
    put_u64(limits, "maxConnections", s->limits.max_connections);
    put_u64(limits, "maxBandwidth", s->limits.max_bandwidth);
    put_u64(limits, "maxUrlSegments", s->limits.max_url_segments);
    for (size_t i = 0; i < s->n_bindings; i++)
        if (s->bindings[i].port)
            json_array_append_new(bindings, one_binding(&s->bindings[i]));
    for (size_t i = 0; i < s->n_applications; i++) {
        json_t *a = json_object();
        put(a, "path", text(s->applications[i].path));
        put(a, "pool", text(s->applications[i].pool));
        json_array_append_new(applications, a);
    }
    put_u64(j, "id", s->id);
    put(j, "name", text(s->name));
    put(j, "state", json_string(o->site_started(o->arg, s) ? "Started" : "Stopped"));
    put(j, "limits", limits);
    put(j, "bindings", bindings);
    put(j, "applications", applications);
    put(j, "logFile", log_file(&s->log));
    return j;
}

static json_t *reservations(const struct http_bindings *b)
{
    json_t *list = json_array();

    for (size_t i = 0; b && i < b->n_reservations; i++) {
        const struct url_reservation *r = &b->reservations[i];
        json_t *j = json_object();
        put(j, "scheme", json_string(r->is_https ? "https" : "http"));
        put(j, "host", text(str_z(r->host)));
        put_u64(j, "port", r->port);
        put(j, "path", text(r->path));
        json_array_append_new(list, j);
    }
    return list;
}

json_t *routing_to_json(const struct config *c, const struct routing_options *o)
{
    size_t n_sites, n_pools;
    const struct config_site *sites = config_sites(c, &n_sites);
    const struct config_pool *pools = config_pools(c, &n_pools);
    json_t *j = json_object(), *parameters = http_parameters_to_json(o->parameters);
    json_t *site_list = json_array(), *pool_list = json_array();

    for (size_t i = 0; i < n_sites; i++)
        json_array_append_new(site_list, one_site(&sites[i], o));
    for (size_t i = 0; i < n_pools; i++)
        json_array_append_new(pool_list, one_pool(&pools[i], o));
    put(j, "type", json_string("generation"));
    put_u64(j, "id", o->id);
    put(j, "web_limits", web_limits(config_web_limits(c)));
    put(j, "pools", pool_list);
    put(j, "sites", site_list);
    put(j, "reservations", reservations(o->bindings));
    put(j, "log", central_log(config_log(c)));
    put(j, "httperr", httperr(c, o->parameters, parameters));
    put(j, "parameters", parameters);
    put(j, "computerName", json_string(o->computer_name));
    return j;
}

/* queueLength, autoStart, startMode, load balancing and rapid-fail protection take effect on the
 * running pool; everything else on a new worker only. */
char *routing_pool_signature(const struct config_pool *p)
{
    json_t *j = json_object(), *env = json_array(), *times = json_array();

    for (size_t i = 0; i < p->n_environment; i++) {
        json_array_append_new(env, text(p->environment[i].name));
        json_array_append_new(env, text(p->environment[i].value));
    }
    for (size_t i = 0; i < p->n_schedule; i++)
        json_array_append_new(times, json_integer((json_int_t)p->schedule_ms[i]));
    put(j, "environmentVariables", env);
    put(j, "schedule", times);
    put_bool(j, "enable32BitAppOnWin64", p->enable_32bit);
    put_bool(j, "classic", p->classic_pipeline);
    put_bool(j, "enableConfigurationOverride", p->enable_configuration_override);
    put_bool(j, "passAnonymousToken", p->pass_anonymous_token);
    put(j, "managedRuntimeVersion", text(p->managed_runtime_version));
    put_u64(j, "identityType", p->identity);
    put(j, "userName", text(p->user_name));
    put(j, "password", text(p->password));
    put_bool(j, "loadUserProfile", p->load_user_profile);
    put_u64(j, "idleTimeout", p->idle_timeout_ms);
    put_bool(j, "idleTimeoutAction", p->idle_suspend);
    put_bool(j, "pingingEnabled", p->pinging_enabled);
    put_u64(j, "pingInterval", p->ping_interval_ms);
    put_u64(j, "pingResponseTime", p->ping_response_time_ms);
    put_u64(j, "startupTimeLimit", p->startup_time_limit_ms);
    put_u64(j, "shutdownTimeLimit", p->shutdown_time_limit_ms);
    put_u64(j, "maxProcesses", p->max_processes);
    put_u64(j, "memory", p->restart_memory_kb);
    put_u64(j, "privateMemory", p->restart_private_memory_kb);
    put_u64(j, "requests", p->restart_requests);
    put_u64(j, "time", p->restart_time_ms);
    put_bool(j, "orphanWorkerProcess", p->orphan_worker_process);
    put(j, "orphanActionExe", text(p->orphan_action_exe));
    put(j, "orphanActionParams", text(p->orphan_action_params));
    put_u64(j, "limit", p->cpu_limit);
    put_u64(j, "action", p->cpu_action);
    put_u64(j, "resetInterval", p->cpu_reset_interval_ms);
    put_bool(j, "smpAffinitized", p->smp_affinitized);
    put_u64(j, "smpProcessorAffinityMask", p->smp_affinity_mask);
    char *dump = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);

    json_decref(j);
    INVARIANT(dump);
    return dump;
}
