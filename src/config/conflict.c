#include "config/conflict.h"

#include "base/alloc.h"
#include "base/ip.h"
#include "base/poison.h"

static bool is_web(const struct config_binding *b)
{
    return b->port && (str_ieq(b->protocol, STR("http")) || str_ieq(b->protocol, STR("https")));
}

/* As the listener tells addresses apart: "*", "+", 0.0.0.0 and :: are four different ones. */
static bool same_address(struct str a, struct str b)
{
    struct ip_address x, y;

    if (!ip_parse(a, &x) || !ip_parse(b, &y))
        return str_eq(a, b);
    return memcmp(x.bytes, y.bytes, sizeof(x.bytes)) == 0 && x.scope == y.scope;
}

/* One port in two places. *ret_scheme: its protocols differ. */
static bool collide(const struct config_binding *a, const struct config_binding *b,
                    bool *ret_scheme)
{
    if (!is_web(a) || !is_web(b) || a->port != b->port)
        return false;
    *ret_scheme = !str_ieq(a->protocol, b->protocol);
    return *ret_scheme || (str_ieq(a->host, b->host) && same_address(a->ip, b->ip));
}

static bool collide_with(const struct config_site *site, const struct config_site *other,
                         struct config_conflict *ret)
{
    for (size_t i = 0; i < site->n_bindings; i++) {
        size_t n = site == other ? i : other->n_bindings;
        for (size_t k = 0; k < n; k++) {
            bool is_scheme;
            if (!collide(&site->bindings[i], &other->bindings[k], &is_scheme) ||
                (site == other && !is_scheme)) /* the same twice does no harm */
                continue;
            *ret = (struct config_conflict){
                .other = other, .binding = &site->bindings[i], .is_scheme = is_scheme};
            return true;
        }
    }
    return false;
}

bool config_find_conflict(const struct config *c, const struct config_site *site,
                          bool (*started)(void *arg, const struct config_site *other), void *arg,
                          struct config_conflict *ret)
{
    size_t n_sites;
    const struct config_site *sites = config_sites(c, &n_sites);

    if (collide_with(site, site, ret))
        return true;
    for (size_t i = 0; i < n_sites; i++)
        if (&sites[i] != site && started(arg, &sites[i]) && collide_with(site, &sites[i], ret))
            return true;
    return false;
}

char *config_conflict_text(const struct config_site *site, const struct config_conflict *c)
{
    const struct config_binding *b = c->binding;
    bool is_https = str_ieq(b->protocol, STR("https"));

    if (!c->is_scheme)
        return xasprintf("its binding %.*s/%.*s already belongs to site \"%.*s\"",
                         STR_ARG(b->protocol), STR_ARG(b->raw), STR_ARG(c->other->name));
    if (c->other == site)
        return xasprintf("its binding %.*s/%.*s wants port %u for %.*s, but another one of its own "
                         "uses it for %s",
                         STR_ARG(b->protocol), STR_ARG(b->raw), b->port, STR_ARG(b->protocol),
                         is_https ? "http" : "https");
    return xasprintf(
        "its binding %.*s/%.*s wants port %u for %.*s, but site \"%.*s\" uses it for %s",
        STR_ARG(b->protocol), STR_ARG(b->raw), b->port, STR_ARG(b->protocol),
        STR_ARG(c->other->name), is_https ? "http" : "https");
}
