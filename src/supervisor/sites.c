/* Which sites start, and on which sockets. */
#include "supervisor/sites.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "config/conflict.h"
#include "supervisor/certificates.h"
#include "supervisor/internal.h"
#include "supervisor/routing.h"
#include "base/poison.h"

const struct site_plan *sup_site_plan(const struct supervisor *s, uint32_t id)
{
    for (size_t i = 0; i < s->n_plan; i++)
        if (s->plan[i].id == id)
            return &s->plan[i];
    return NULL;
}

static bool is_https(const struct config_binding *b)
{
    return str_ieq(b->protocol, STR("https"));
}

static bool is_http(const struct config_binding *b)
{
    return b->port && (str_ieq(b->protocol, STR("http")) || is_https(b));
}

static bool is_any(struct str ip)
{
    return ip.n == 0 || str_eq(ip, STR("*")) || str_eq(ip, STR("+"));
}

static bool is_wanted(const struct supervisor *s, const struct config_site *site)
{
    for (size_t i = 0; i < s->n_overrides; i++)
        if (s->overrides[i].id == site->id)
            return s->overrides[i].started;
    return site->server_auto_start;
}

bool sites_started(void *arg, const struct config_site *site)
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
        if (!is_http(b) || !endpoints_may_want(&s->endpoints, b->ip))
            continue;
        if (!endpoints_want(&s->endpoints, b->ip, b->port, is_https(b), &f)) {
            /* Limits of ours are a setting to correct; the rest is the machine's affair. */
            p->has_no_socket = f.err != ENOSPC && f.err != EPROTO;
            if (p->has_no_socket)
                say_no_socket(s, &f);
            return xasprintf("cannot listen on %s: %s", f.address, f.why);
        }
        usable++;
    }
    return usable ? NULL
                  : xstrdup("it has no http or https binding to an address that is listened on, "
                            "and no other protocol is served yet");
}

static char *why_not(struct supervisor *s, const struct config_site *site, struct site_plan *p)
{
    struct config_conflict conflict;

    if (site->error) {
        struct buf text;
        buf_init(&text, 4096);
        config_error_advise(site->error, &text);
        char *z = str_dup_z(buf_view(&text));
        buf_fini(&text);
        return z;
    }
    if (config_find_conflict(s->config, site, sites_started, s, &conflict))
        return config_conflict_text(site, &conflict);
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

static void say_difference(struct supervisor *s, uint32_t site, char *text)
{
    sup_say("%s", text);
    SUP_EVENT(s, EV_CND_CONFIG_DIFFERENT, json_pack("{s:I}", "site", (json_int_t)site), text);
    free(text);
}

static void say_address(struct supervisor *s, const struct config_site *site,
                        const struct config_binding *b)
{
    if (!is_http(b))
        return;
    if (!endpoints_may_want(&s->endpoints, b->ip))
        say_difference(
            s, site->id,
            xasprintf("site \"%.*s\": its binding %.*s is not served, because the listen "
                      "list (ListenOnlyList) does not have the address",
                      STR_ARG(site->name), STR_ARG(b->raw)));
    if (b->proxy_protocol && str_trim(b->proxy_trusted).n == 0)
        say_difference(s, site->id,
                       xasprintf("site \"%.*s\": its binding %.*s has proxyProtocol, but without "
                                 "proxyTrusted no PROXY header is believed",
                                 STR_ARG(site->name), STR_ARG(b->raw)));
}

static void refuse_socket(void *arg, const char *name, const char *why)
{
    struct supervisor *s = arg;
    char *text =
        xasprintf("the socket %s that was passed to the server is not used: %s", name, why);

    say_difference(s, 0, text);
}

void sites_take_sockets(struct supervisor *s)
{
    inherited_begin(&s->endpoints.inherited, refuse_socket, s);
}

/* Sockets of the service manager that no binding has asked for. */
static void say_unused_sockets(struct supervisor *s)
{
    for (size_t i = 0; i < s->endpoints.inherited.n; i++) {
        const struct inherited_socket *in = &s->endpoints.inherited.list[i];
        char address[IP_TEXT_MAX];

        if (in->is_used)
            continue;
        ip_format(&in->address, address);
        say_difference(s, 0,
                       xasprintf("the socket %s%sfor %s port %u, which was passed to the server, "
                                 "belongs to no binding",
                                 in->name, in->name[0] ? " " : "", address, in->port));
    }
}

/* What the file asks for and nobody gets: bindings of a protocol to come, applications whose pool
 * does not exist. */
void sites_say_unserved(struct supervisor *s)
{
    size_t n;
    const struct config_site *sites = config_sites(s->config, &n);

    say_unused_sockets(s);
    for (size_t i = 0; i < n; i++) {
        const struct config_site *site = &sites[i];
        if (!s->plan[i].started)
            continue;
        for (size_t k = 0; k < site->n_bindings; k++)
            if (!is_http(&site->bindings[k]))
                say_difference(s, site->id,
                               xasprintf("site \"%.*s\": its %.*s binding %.*s is not served yet",
                                         STR_ARG(site->name), STR_ARG(site->bindings[k].protocol),
                                         STR_ARG(site->bindings[k].raw)));
        for (size_t k = 0; k < site->n_bindings; k++)
            say_address(s, site, &site->bindings[k]);
        for (size_t k = 0; k < site->n_applications; k++)
            if (!config_pool_by_name(s->config, site->applications[k].pool))
                say_difference(s, site->id,
                               xasprintf("site \"%.*s\": application %.*s names the pool "
                                         "\"%.*s\", which does not exist",
                                         STR_ARG(site->name), STR_ARG(site->applications[k].path),
                                         STR_ARG(site->applications[k].pool)));
    }
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
void sites_plan(struct supervisor *s)
{
    size_t n, n_old = s->n_plan;
    const struct config_site *sites = config_sites(s->config, &n);
    struct site_plan *old = s->plan;

    s->plan = xcalloc(n, sizeof(*s->plan));
    s->n_plan = 0;
    s->endpoints.max = s->parameters.max_endpoints;
    s->endpoints.bindings = &s->bindings;
    endpoints_limit_sends(&s->endpoints, s->parameters.max_bytes_per_send);
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
    sites_plan(s);
    s->generation++;
    sup_send_generation(s);
    certificates_apply(s->certificates);
    listener_sync_endpoints(s);
    const struct site_plan *p = sup_site_plan(s, id);

    if (started && p && p->why)
        snprintf(out, room, "%s", p->why);
    return !(started && p && p->why);
}

static void say_listening(const struct config_site *site, const struct config_binding *b,
                          struct str address)
{
    bool v6 = str_find_char(address, ':') != SIZE_MAX;

    sup_say("listening on http%s://%s%.*s%s:%u (%.*s)", is_https(b) ? "s" : "", v6 ? "[" : "",
            STR_ARG(address), v6 ? "]" : "", b->port, STR_ARG(site->name));
}

/* A binding to all addresses: those of the listen list, if there is one. */
static void say_every_address(const struct supervisor *s, const struct config_site *site,
                              const struct config_binding *b)
{
    char address[IP_TEXT_MAX];

    if (s->bindings.n_listen == 0)
        say_listening(site, b, STR("0.0.0.0"));
    for (size_t i = 0; i < s->bindings.n_listen; i++) {
        ip_format(&s->bindings.listen[i], address);
        say_listening(site, b, str_z(address));
    }
}

/* Bindings that differ by their host share a socket, and one line says so. */
static bool is_told(const struct config_site *site, size_t k)
{
    const struct config_binding *b = &site->bindings[k];

    for (size_t i = 0; i < k; i++)
        if (is_http(&site->bindings[i]) && is_https(&site->bindings[i]) == is_https(b) &&
            site->bindings[i].port == b->port &&
            (str_eq(site->bindings[i].ip, b->ip) ||
             (is_any(site->bindings[i].ip) && is_any(b->ip))))
            return true;
    return false;
}

void sites_say_addresses(const struct supervisor *s)
{
    size_t n;
    const struct config_site *sites = config_sites(s->config, &n);
    size_t n_started = 0;

    for (size_t i = 0; i < n; i++) {
        n_started += s->plan[i].started;
        for (size_t k = 0; s->plan[i].started && k < sites[i].n_bindings; k++) {
            const struct config_binding *b = &sites[i].bindings[k];
            if (!is_http(b) || !endpoints_may_want(&s->endpoints, b->ip) || is_told(&sites[i], k))
                continue;
            if (is_any(b->ip))
                say_every_address(s, &sites[i], b);
            else
                say_listening(&sites[i], b, b->ip);
        }
    }
    if (n_started == 0)
        sup_say("%s", n == 0 ? "the configuration has no site: nothing is served until it has one"
                             : "no site is started: nothing is served until one is");
}

bool sites_have_sockets(const struct supervisor *s)
{
    for (size_t i = 0; i < s->n_plan; i++)
        if (s->plan[i].has_no_socket)
            return false;
    return true;
}

void sites_free(struct supervisor *s)
{
    free_plan(s->plan, s->n_plan);
    free(s->overrides);
}
