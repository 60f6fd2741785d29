#include "worker/cache_policy.h"

#include "base/clock.h"
#include "base/loop.h"
#include "config/config.h"
#include "http/method.h"
#include "worker/cache_offers.h"
#include "worker/dir_watch.h"
#include "worker/handlers.h"
#include "worker/plan.h"
#include "worker/request_core.h"
#include "worker/thread.h"
#include "worker/url_cache.h"

#include "base/poison.h"

/* HttpResponseCacheTTL of IIS's static files. */
enum { STATIC_FILE_SECONDS = 900 };

/* ---- what the configuration of a node excludes ---------------------------------------------- */

/* A section that cannot be read excludes, too: what it would say is not known. */
static const struct config_elem *section(const struct plan *p, const char *name)
{
    const struct config_error *error;

    return config_section(p->node, name, &error);
}

static bool wants_certificate(const struct plan *p)
{
    return p->ssl_flags & (SSL_FLAG_NEGOTIATE_CERT | SSL_FLAG_REQUIRE_CERT | SSL_FLAG_MAP_CERT);
}

static bool wants_strong_cipher(const struct plan *p)
{
    return p->ssl_flags & SSL_FLAG_128;
}

static bool wants_logon(const struct plan *p)
{
    const struct config_elem *e =
        section(p, "system.webServer/security/authentication/anonymousAuthentication");

    return !e || !config_bool(e, "enabled");
}

/* The rule that lets everybody in is the shipped one. */
static bool is_for_everybody(const struct config_elem *rule)
{
    return str_ieq(config_enum_name(rule, "accessType"), STR("Allow")) &&
           str_eq(config_str(rule, "users"), STR("*")) && config_str(rule, "verbs").n == 0;
}

static bool has_authorization(const struct plan *p)
{
    const struct config_elem *e = section(p, "system.webServer/security/authorization");

    for (size_t i = 0; e && i < config_n_items(e); i++)
        if (!is_for_everybody(config_item(e, i)))
            return true;
    return !e;
}

static bool has_ip_rules(const struct plan *p)
{
    const struct config_elem *e = section(p, "system.webServer/security/ipSecurity");

    return !e || !config_bool(e, "allowUnlisted") || config_n_items(e) > 0;
}

static bool has_dynamic_ip_rules(const struct plan *p)
{
    const struct config_elem *e = section(p, "system.webServer/security/dynamicIpSecurity");

    return !e || config_bool(config_child(e, "denyByConcurrentRequests"), "enabled") ||
           config_bool(config_child(e, "denyByRequestRate"), "enabled");
}

static bool treats_remote_differently(const struct plan *p)
{
    return p->handlers.access_policy & ACCESS_NO_REMOTE_READ;
}

static const struct config_elem *filtering(const struct plan *p)
{
    return section(p, "system.webServer/security/requestFiltering");
}

static bool filters_headers(const struct plan *p)
{
    const struct config_elem *e = filtering(p);

    return !e ||
           config_n_items(config_child(config_child(e, "requestLimits"), "headerLimits")) > 0;
}

static bool has_rules_about_headers(const struct plan *p)
{
    const struct config_elem *e = filtering(p);
    const struct config_elem *rules = e ? config_child(e, "filteringRules") : NULL;

    for (size_t i = 0; rules && i < config_n_items(rules); i++) {
        const struct config_elem *rule = config_item(rules, i);

        if (config_bool(rule, "scanAllRaw") ||
            config_n_items(config_child(rule, "scanHeaders")) > 0)
            return true;
    }
    return !e;
}

static bool filters_head(const struct plan *p)
{
    const struct config_elem *e = filtering(p);
    const struct config_elem *verbs = e ? config_child(e, "verbs") : NULL;
    bool listed = false;

    for (size_t i = 0; verbs && i < config_n_items(verbs); i++) {
        const struct config_elem *verb = config_item(verbs, i);

        if (!str_ieq(config_str(verb, "verb"), STR("HEAD")))
            continue;
        if (!config_bool(verb, "allowed"))
            return true;
        listed = true;
    }
    return !verbs || (!listed && !config_bool(verbs, "allowUnlisted"));
}

static bool is_traced(const struct plan *p)
{
    const struct config_site *site = config_node_site(p->node);
    const struct config_elem *e = section(p, "system.webServer/tracing/traceFailedRequests");

    return !e || (site && site->trace_enabled && config_n_items(e) > 0);
}

static bool logs_selectively(const struct plan *p)
{
    const struct config_elem *e = section(p, "system.webServer/httpLogging");

    return !e || config_bool(e, "dontLog") ||
           !str_eq(config_enum_name(e, "selectiveLogging"), STR("LogAll"));
}

static bool logs_variables(const struct plan *p)
{
    const struct config_site *site = config_node_site(p->node);

    for (size_t i = 0; site && i < site->log.n_custom_fields; i++)
        if (site->log.custom_fields[i].source_type == CONFIG_FIELD_SERVER_VARIABLE)
            return true;
    return false;
}

static bool logs_by_itself(const struct plan *p)
{
    const struct config_site *site = config_node_site(p->node);

    return site && site->log.format == CONFIG_LOG_CUSTOM;
}

static bool has_footer(const struct plan *p)
{
    const struct config_elem *e = section(p, "system.webServer/staticContent");

    return !e || config_bool(e, "enableDocFooter");
}

static bool has_watchful_module(const struct plan *p)
{
    for (unsigned i = 0; i < registry_count(); i++)
        if (p->listed[i] && !registry_at(i)->same_for_all)
            return true;
    return false;
}

/* ---- what the answer at hand excludes ------------------------------------------------------- */

static bool is_no_get(const struct request *r)
{
    return r->msg.head.method_id != HTTP_METHOD_GET;
}

static bool is_no_whole_file(const struct request *r)
{
    return !r->response.file_of || r->response.row != &st_200_0_ok || r->response.body_length == 0;
}

static bool is_of_child(const struct request *r)
{
    return request_core_const(r)->root.had_child || r->response.file_of != r->url;
}

static bool is_cold(const struct request *r)
{
    return r->url->hits <= r->url->plan->hit_threshold;
}

static bool is_just_offered(const struct request *r)
{
    return r->url->offered && loop_now_ms(r->thread->loop) - r->url->offered_ms < CACHE_REPEAT_MS;
}

static bool is_switched_off(const struct request *r)
{
    return !r->response.cache->enabled;
}

static bool has_query(const struct request *r)
{
    return r->query.n > 0 || str_find_char(r->msg.raw_target, '?') != SIZE_MAX;
}

static bool has_request_body(const struct request *r)
{
    return r->msg.head.flags & MSGF_HAS_BODY;
}

static bool asks_for_itself(const struct request *r)
{
    return request_has_header(r, HDR_AUTHORIZATION) ||
           request_has_header(r, HDR_PROXY_AUTHORIZATION) || request_has_header(r, HDR_RANGE) ||
           request_has_header(r, HDR_IF_RANGE) || request_has_header(r, HDR_TRANSLATE);
}

static bool has_user(const struct request *r)
{
    return r->user.n > 0 || r->auth_type.n > 0;
}

static bool ends_connection(const struct request *r)
{
    return r->response.close;
}

static bool is_from_the_future(const struct request *r)
{
    return r->url->mtime_s > clock_wall_us() / 1000000;
}

static bool is_not_watched(const struct request *r)
{
    return !worker_sees_changes(r->thread->worker) || !r->url->dir || r->url->dir->dead;
}

static const struct cache_profile *profile_of(const struct request *r)
{
    const struct cache_conf *c = r->response.cache;
    size_t dot = str_rfind_char(r->path, '.'), slash = str_rfind_char(r->path, '/');
    struct str extension =
        dot != SIZE_MAX && dot > slash ? str_sub(r->path, dot, r->path.n) : STR_NULL;

    for (size_t i = 0; i < c->n_profiles; i++)
        if (str_ieq(c->profiles[i].extension, extension))
            return &c->profiles[i];
    for (size_t i = 0; i < c->n_profiles; i++)
        if (str_eq(c->profiles[i].extension, STR("*")))
            return &c->profiles[i];
    return NULL;
}

static bool has_forbidding_profile(const struct request *r)
{
    const struct cache_profile *p = profile_of(r);

    return p && (p->policy == CACHE_NEVER || (p->policy != CACHE_DEFAULT && p->varies));
}

static bool has_other_head(const struct request *r)
{
    const struct handler_choice c = handler_choose(&r->url->plan->handlers, r->url, STR("HEAD"));

    return c.mapping != r->handler || c.dynamic_content;
}

/* ---- the table ------------------------------------------------------------------------------ */

#define ANSWER(name, test, why) {(name), NULL, (test), (why)}
#define PLAN(name, test, why)   {(name), (test), NULL, (why)}

static const struct cache_exclusion table[] = {
    ANSWER("method", is_no_get, "only the answer to a GET is complete"),
    ANSWER("whole file", is_no_whole_file, "only a static file, whole and not empty, is the same "
                                           "for everybody until it changes"),
    ANSWER("child request", is_of_child, "a default document stands in for a folder whose list of "
                                         "documents decides anew each time"),
    ANSWER("frequency", is_cold, "serverRuntime: not more than frequentHitThreshold requests within "
                                 "frequentHitTimePeriod"),
    ANSWER("just offered", is_just_offered, "the listener did not want it, or not yet"),
    ANSWER("caching", is_switched_off, "caching: enabled or enableKernelCache is false"),
    ANSWER("query", has_query, "modules may look at the query"),
    ANSWER("request body", has_request_body, "modules may look at the body"),
    ANSWER("request headers", asks_for_itself, "Authorization, Range or Translate change what is "
                                               "answered"),
    ANSWER("user", has_user, "the answer is for a user"),
    ANSWER("connection", ends_connection, "the connection has to be closed after it"),
    ANSWER("last modified", is_from_the_future, "a time of last change in the future is none that "
                                                "caches can compare"),
    ANSWER("not watched", is_not_watched, "nobody would notice that the file changes"),
    ANSWER("profile", has_forbidding_profile, "caching/profiles: DisableCache, or an answer that "
                                              "varies"),
    PLAN("client certificate", wants_certificate, "access sslFlags: each connection's certificate "
                                                  "is judged"),
    PLAN("cipher strength", wants_strong_cipher, "access sslFlags: Ssl128 judges each connection"),
    PLAN("authentication", wants_logon, "anonymousAuthentication is off: each request has to show "
                                        "who asks"),
    PLAN("authorization", has_authorization, "security/authorization: rules about users and verbs"),
    PLAN("IP restrictions", has_ip_rules, "ipSecurity: the client's address decides"),
    PLAN("dynamic IP restrictions", has_dynamic_ip_rules, "dynamicIpSecurity counts each request"),
    PLAN("remote clients", treats_remote_differently, "handlers accessPolicy: NoRemoteRead"),
    PLAN("header limits", filters_headers, "requestFiltering: headerLimits look at each request"),
    PLAN("filtering rules", has_rules_about_headers, "requestFiltering: filteringRules look at "
                                                     "headers"),
    PLAN("HEAD filtered", filters_head, "requestFiltering: HEAD, which is answered from the same "
                                        "entry, is denied"),
    PLAN("tracing", is_traced, "traceFailedRequests has to see each request"),
    PLAN("selective logging", logs_selectively, "httpLogging decides for each answer"),
    PLAN("log variables", logs_variables, "a custom log field is a server variable, which only the "
                                          "worker knows"),
    PLAN("custom log format", logs_by_itself, "logFormat Custom: a module writes the log"),
    PLAN("document footer", has_footer, "the footer changes without the file"),
    PLAN("modules", has_watchful_module, "a module of the pipeline has to see each request"),
    ANSWER("HEAD handler", has_other_head, "HEAD, which is answered from the same entry, has "
                                           "another handler"),
};

const struct cache_exclusion *cache_exclusions(size_t *ret_n)
{
    *ret_n = ARRAY_LEN(table);
    return table;
}

/* ---- deciding ------------------------------------------------------------------------------- */

static void count_hit(struct url_entry *e, const struct request *r)
{
    uint64_t now = loop_now_ms(r->thread->loop);

    if (now - e->hits_since_ms >= e->plan->hit_period_ms) {
        e->hits_since_ms = now;
        e->hits = 0;
    }
    if (e->hits < UINT32_MAX)
        e->hits++;
}

/* The first row of the table that the node's configuration fits, looked for once. */
static const struct cache_exclusion *of_plan(struct plan *p)
{
    if (p->cache_known)
        return p->cache_exclusion;
    p->cache_known = true;
    for (size_t i = 0; i < ARRAY_LEN(table) && !p->cache_exclusion; i++)
        if (table[i].of_plan && table[i].of_plan(p))
            p->cache_exclusion = &table[i];
    return p->cache_exclusion;
}

static uint32_t seconds_of(const struct request *r)
{
    const struct cache_profile *p = profile_of(r);

    if (p && p->policy == CACHE_UNTIL_CHANGE)
        return UINT32_MAX;
    return p && p->policy == CACHE_FOR_TIME ? p->seconds : STATIC_FILE_SECONDS;
}

static const struct cache_exclusion *find(const struct request *r)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct cache_exclusion *x = &table[i];

        if (x->of_answer ? x->of_answer(r) : r->url->plan->cache_exclusion == x)
            return x;
    }
    return NULL;
}

const struct cache_exclusion *cache_policy_apply(struct request *r)
{
    if (r->response.file_of && r->response.file_of == r->url)
        count_hit(r->url, r);
    (void)of_plan(r->url->plan);
    r->response.cache_exclusion = find(r);
    if (!r->response.cache_exclusion)
        r->response.cache_seconds = seconds_of(r);
    return r->response.cache_exclusion;
}
