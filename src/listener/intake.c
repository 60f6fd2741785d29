/* From a complete head to the pool's queue: URL, route, limits (httpsys.md 0, steps 7 to 11). */
#include <stdlib.h>

#include "base/alloc.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/shared.h"
#include "listener/thread.h"
#include "base/poison.h"

static enum httperr_reason cook(struct connection *c)
{
    struct exchange *x = c->x;
    struct thread *t = c->thread;
    struct str target = http1_target(&x->head, c->in->data + c->in->start);

    if (URL_COOK_CAP(target.n) > t->cook_cap) {
        t->cook_cap = URL_COOK_CAP(target.n);
        t->cook = xrealloc(t->cook, t->cook_cap);
    }
    if (url_cook(target, &x->gen->generation->url, t->cook, t->cook_cap, &x->url) != RC_OK) {
        enum httperr_reason why = x->url.reason;
        x->url.path = STR_NULL;
        return why;
    }
    if (x->url.path.p >= t->cook && x->url.path.p < t->cook + t->cook_cap) {
        x->path_copy = str_dup_z(x->url.path);
        x->url.path.p = x->path_copy;
    }
    return HTTPERR_NONE;
}

struct str intake_host(const struct connection *c)
{
    const struct exchange *x = c->x;

    if (x->url.host.name.n)
        return x->url.host.name;
    struct str host = http1_host(&x->head, c->in->data + c->in->start);

    return str_sub(host, 0, x->head.host_name_len);
}

/* Counts the connection for its site. False: maxConnections is reached. */
static bool count_connection(struct connection *c, const struct site *site)
{
    if (c->parent)
        c = c->parent; /* streams of one connection are one */
    if (c->counted == site->state)
        return true;
    if (c->counted)
        atomic_fetch_sub_explicit(&c->counted->connections, 1, memory_order_relaxed);
    c->counted = site->state;
    uint32_t others =
        atomic_fetch_add_explicit(&site->state->connections, 1, memory_order_relaxed);

    if (others < site->max_connections)
        return true;
    /* Refused: it must not stand in the way of others while it reads its refusal. */
    atomic_fetch_sub_explicit(&site->state->connections, 1, memory_order_relaxed);
    c->counted = NULL;
    return false;
}

static enum httperr_reason route(struct connection *c)
{
    struct exchange *x = c->x;
    const struct generation *g = x->gen->generation;
    struct route to;

    switch (generation_route(g, c->bind_port, &c->local, intake_host(c), x->url.path, &to)) {
    case ROUTE_NO_HOST:
        return HTTPERR_HOSTNAME;
    case ROUTE_NO_PATH:
        return HTTPERR_NOT_FOUND;
    case ROUTE_RESERVED:
        return HTTPERR_NOT_AVAILABLE;
    case ROUTE_FOUND:
        break;
    }
    x->site = to.site;
    x->app = to.app;
    return HTTPERR_NONE;
}

enum httperr_reason intake_may(struct connection *c)
{
    struct exchange *x = c->x;
    struct pool *pool = x->app->pool;

    c->idle_ms = x->site->connection_timeout_ms;
    if (!pool)
        return HTTPERR_NOT_AVAILABLE;
    x->pool = thread_pool_of(c->thread, pool);
    enum httperr_reason closed = (enum httperr_reason)atomic_load(&pool->closed);

    if (closed != HTTPERR_NONE)
        return closed;
    if (!count_connection(c, x->site))
        return HTTPERR_CONN_LIMIT;
    return HTTPERR_NONE;
}

bool intake_look(struct connection *c)
{
    enum httperr_reason why = body_begin(c); /* first: it may move the head */

    if (why == HTTPERR_NONE)
        why = cook(c);
    if (why == HTTPERR_NONE)
        why = route(c);
    if (why != HTTPERR_NONE)
        own_response(c, why);
    return why == HTTPERR_NONE;
}

void intake_admit(struct connection *c)
{
    enum httperr_reason why = intake_may(c);

    if (why != HTTPERR_NONE)
        own_response(c, why);
    else if (!cached_answer(c))
        pool_enqueue(c, c->x->pool);
}

void intake_request(struct connection *c)
{
    if (intake_look(c))
        intake_admit(c);
}
