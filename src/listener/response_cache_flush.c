/* Taking answers out of the response cache: by path, by worker, by URL, all. */
#include <stdlib.h>

#include "base/alloc.h"
#include "http/host.h"
#include "http/url.h"
#include "listener/response_cache_entry.h"
#include "listener/response_cache_table.h"
#include "base/poison.h"

struct flush {
    uint32_t site; /* 0: any */
    uint64_t worker;
    struct str host, path; /* host.p NULL: any */
    uint16_t port;         /* 0: any */
    int tls;               /* -1: any */
    bool subtree;
};

/* Letter case does not count: which spellings name one file is the file system's affair. */
static bool covers(const struct flush *f, struct str path)
{
    if (!f->subtree)
        return str_ieq(path, f->path);
    if (!str_istarts(path, f->path))
        return false;
    return f->path.n == 0 || f->path.p[f->path.n - 1] == '/' || path.n == f->path.n ||
           path.p[f->path.n] == '/';
}

static bool is_meant(const struct flush *f, const struct cached_response *r)
{
    return (f->site == 0 || f->site == r->site) && (f->worker == 0 || f->worker == r->worker) &&
           (!f->host.p || str_ieq(f->host, cached_host(r))) && (!f->port || f->port == r->port) &&
           (f->tls < 0 || f->tls == r->tls) && covers(f, cached_path(r));
}

static size_t flush_locked(struct response_cache *c, const struct flush *f)
{
    bool one_path = !f->subtree && f->site;
    struct cached_response *r = one_path ? *cache_path_bucket(c, f->site, f->path) : c->oldest,
                           *next;
    size_t n = 0;

    for (; r; r = next) {
        next = one_path ? r->path_next : r->newer;
        if (!is_meant(f, r))
            continue;
        cache_take_out(c, r);
        n++;
    }
    c->flushed += n;
    (void)quiescence_reclaim(&c->quiescence);
    return n;
}

static size_t flush(struct response_cache *c, const struct flush *f)
{
    pthread_mutex_lock(&c->lock);
    size_t n = flush_locked(c, f);

    pthread_mutex_unlock(&c->lock);
    return n;
}

size_t response_cache_flush(struct response_cache *c, uint32_t site, struct str path, bool subtree,
                            uint64_t worker)
{
    struct flush f = {.site = site, .worker = worker, .path = path, .tls = -1, .subtree = subtree};

    return flush(c, &f);
}

size_t response_cache_flush_worker(struct response_cache *c, uint64_t worker)
{
    return response_cache_flush(c, 0, STR(""), /* subtree = */ true, worker);
}

size_t response_cache_flush_all(struct response_cache *c, uint64_t generation)
{
    struct flush f = {.tls = -1, .subtree = true};

    pthread_mutex_lock(&c->lock);
    c->generation = generation;
    size_t n = flush_locked(c, &f);

    pthread_mutex_unlock(&c->lock);
    return n;
}

/* "http://host:port" at the front of *url, which moves on to the path. */
static bool take_origin(struct str *url, struct flush *f)
{
    struct http_host host;

    if (str_istarts(*url, STR("http://")))
        f->tls = 0;
    else if (str_istarts(*url, STR("https://")))
        f->tls = 1;
    else
        return false;
    struct str rest = str_sub(*url, f->tls ? 8 : 7, url->n);
    struct str authority = str_sub(rest, 0, str_find_char(rest, '/'));

    *url = str_sub(rest, authority.n, rest.n);
    f->port = f->tls ? 443 : 80;
    if (authority.n && (authority.p[0] == '*' || authority.p[0] == '+')) {
        uint64_t port = f->port;
        struct str tail = str_sub(authority, 1, authority.n);
        if (tail.n && (tail.p[0] != ':' || !str_u64(str_sub(tail, 1, tail.n), 65535, &port)))
            return false;
        f->port = (uint16_t)port;
        return port > 0;
    }
    if (!http_host_parse(authority, &host))
        return false;
    f->host = host.name;
    if (host.port)
        f->port = host.port;
    return true;
}

bool response_cache_flush_url(struct response_cache *c, struct str url, bool subtree, size_t *ret_n)
{
    struct flush f = {.tls = -1, .subtree = subtree};
    struct url_limits limits = url_limits_default();
    struct url_cooked cooked;

    if (str_eq(url, STR("*"))) {
        f.subtree = true;
        *ret_n = flush(c, &f);
        return true;
    }
    if (!take_origin(&url, &f))
        return false;
    struct str target = url.n ? url : STR("/");
    _cleanup_free_ char *room = xmalloc(URL_COOK_CAP(target.n));

    if (url_cook(target, &limits, room, URL_COOK_CAP(target.n), &cooked) != RC_OK)
        return false;
    f.path = cooked.path;
    *ret_n = flush(c, &f);
    return true;
}
