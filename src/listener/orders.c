/* What the supervisor orders (queue/control.h), on the listener's control thread. */
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/ipc.h"
#include "base/socket_batch.h"
#include "http/httperr_reason.h"
#include "listener/generation.h"
#include "listener/letters.h"
#include "listener/metrics_facts.h"
#include "listener/response_cache.h"
#include "listener/shared.h"
#include "listener/thread.h"
#include "listener/tls.h"
#include "logging/log_settings.h"
#include "logging/logging.h"
#include "tables/http_parameters.h"
#include "base/poison.h"

enum { CACHE_LIST_MAX = 1000 };

static void tell_event(struct listener *l, const char *code, const char *text, json_t *data)
{
    listener_tell(l, json_pack("{s:s, s:s, s:s, s:o}", "type", "event", "code", code, "text", text,
                               "data", data ? data : json_object()));
}

static void on_log_event(void *arg, const struct log_event *ev)
{
    static const char *const codes[] = {[LOG_EVENT_OPEN_FAILED] = "log_open_failed",
                                        [LOG_EVENT_WRITE_FAILED] = "log_write_failed",
                                        [LOG_EVENT_LINES_LOST] = "log_lines_lost",
                                        [LOG_EVENT_RECOVERED] = "log_recovered",
                                        [LOG_EVENT_BAD_SETTING] = "log_bad_setting",
                                        [LOG_EVENT_NOT_SUPPORTED] = "log_not_supported"};

    /* Also called on event threads, which must not wait for the supervisor to read. */
    json_t *data = json_pack("{s:o, s:i, s:I, s:I}", "path", json_string_nocheck(ev->path), "errno",
                             ev->err, "count", (json_int_t)ev->count, "site",
                             (json_int_t)ev->site_id);
    json_t *msg = json_pack("{s:s, s:s, s:s, s:o}", "type", "event", "code", codes[ev->code],
                            "text", ev->text, "data", data);

    listener_post(arg, &(struct letter){.kind = LETTER_EVENT, .json = msg});
}

/* --- what outlives generations --- */

static struct pool *find_pool(struct listener *l, struct str name)
{
    for (struct pool *p = l->pools; p; p = p->next)
        if (str_ieq(p->name, name))
            return p;
    return NULL;
}

static struct pool *get_pool(struct listener *l, struct str name)
{
    struct pool *p = find_pool(l, name);

    if (p)
        return p;
    p = xcalloc(1, sizeof(*p));
    p->name = str_n(str_dup_z(name), name.n);
    p->index = l->n_pools++;
    p->waiting = aligned_alloc(64, l->n_threads * sizeof(*p->waiting));
    INVARIANT(p->waiting);
    memset(p->waiting, 0, l->n_threads * sizeof(*p->waiting));
    atomic_init(&p->queue_length, 1000);
    p->next = l->pools;
    l->pools = p;
    return p;
}

static struct pool *env_pool(void *arg, struct str name)
{
    return find_pool(arg, name);
}

static struct site_state *env_site_state(void *arg, uint32_t id)
{
    struct listener *l = arg;

    for (struct site_state *s = l->sites; s; s = s->next)
        if (s->id == id)
            return s;
    struct site_state *s = xcalloc(1, sizeof(*s));

    s->id = id;
    s->next = l->sites;
    l->sites = s;
    return s;
}

static struct log_site *env_log_site(void *arg, uint32_t id)
{
    struct listener *l = arg;

    return logging_site_find(l->logging, id);
}

/* --- orders --- */

static void post_all(struct listener *l, struct letter m)
{
    for (unsigned i = 0; i < l->n_threads && l->generation; i++)
        thread_post(&l->threads[i], &m);
}

static void set_pool_state(struct listener *l, struct pool *p, const json_t *j)
{
    enum httperr_reason closed = HTTPERR_NONE;
    json_int_t length = ipc_get_int(j, "queueLength", atomic_load(&p->queue_length));
    const char *lbc = ipc_get_str(j, "loadBalancerCapabilities", NULL);

    atomic_store(&p->queue_length, (uint32_t)length);
    if (lbc)
        atomic_store(&p->tcp_level, strcmp(lbc, "TcpLevel") == 0);
    if (strcmp(ipc_get_str(j, "state", "Started"), "Started") != 0) {
        closed = httperr_reason_find(str_z(ipc_get_str(j, "reason", "Disabled")));
        if (closed == HTTPERR_NONE)
            closed = HTTPERR_DISABLED;
    }
    if (atomic_exchange(&p->closed, closed) != closed && l->generation)
        post_all(l, (struct letter){.kind = LETTER_POOL_CLOSED, .pool = p});
}

static void take_pools(struct listener *l, const json_t *list)
{
    size_t i;
    json_t *j;

    json_array_foreach(list, i, j)
    {
        set_pool_state(l, get_pool(l, str_z(ipc_get_str(j, "name", ""))), j);
    }
}

static bool take_log_settings(struct listener *l, const json_t *msg)
{
    struct log_settings settings;
    struct str why;
    bool ok = log_settings_from_json(msg, &settings, &why) == RC_OK;

    if (!ok && l->logging) {
        char *text = str_dup_z(why);
        tell_event(l, "log_bad_setting", text, NULL);
        free(text);
    } else if (l->logging)
        logging_apply(l->logging, &settings);
    else
        l->logging = logging_new(&settings, &(struct logging_options){.threads = l->n_threads,
                                                                      .on_event = on_log_event,
                                                                      .event_arg = l,
                                                                      .to_stdout = l->log_stdout,
                                                                      .stdout_fd = 1});
    log_settings_fini(&settings);
    return ok;
}

static void set_cache(struct listener *l, const struct generation *g)
{
    const struct http_parameters *p = &g->parameters;
    struct response_cache_limits limits = {
        .max_bytes = (uint64_t)p->uri_max_cache_megabyte_count << 20,
        .max_entry_bytes = p->uri_max_uri_bytes,
        .scavenge_s = p->uri_scavenger_period_s};

    if (l->cache)
        response_cache_set_limits(l->cache, &limits);
    else
        l->cache = response_cache_new(&limits, l->n_threads);
    response_cache_flush_all(l->cache, g->id);
}

static void take_generation(struct listener *l, const json_t *msg)
{
    const char *why;
    struct generation_env env = {.arg = l,
                                 .pool = env_pool,
                                 .site_state = env_site_state,
                                 .log_site = env_log_site};

    if (!take_log_settings(l, msg) && l->generation) {
        listener_tell(l, json_pack("{s:s, s:O, s:s}", "type", "generation_failed", "id",
                          json_object_get(msg, "id"), "text", "the log settings are not usable"));
        return;
    }
    take_pools(l, json_object_get(msg, "pools"));
    struct generation *g = generation_load(msg, &env, &why);

    if (!g) {
        listener_tell(l, json_pack("{s:s, s:O, s:s}", "type", "generation_failed", "id",
                          json_object_get(msg, "id"), "text", why));
        return;
    }
    struct generation *old = l->generation;

    l->generation = g;
    set_cache(l, g);
    if (old) {
        for (unsigned i = 0; i < l->n_threads; i++)
            thread_post(&l->threads[i], &(struct letter){.kind = LETTER_GENERATION,
                                                         .generation = generation_ref(g)});
        generation_unref(old);
    } else {
        for (unsigned i = 0; i < l->n_threads; i++)
            thread_start(l, i);
        socket_batch_end_rest();
    }
    listener_tell(l, json_pack("{s:s, s:I}", "type", "generation_ok", "id", (json_int_t)g->id));
}

static size_t add_endpoint(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    size_t i;

    for (i = 0; i < l->n_threads && i < n && l->generation; i++)
        thread_post(&l->threads[i],
                    &(struct letter){.kind = LETTER_ENDPOINT_ADD,
                                     .id = (uint64_t)ipc_get_int(msg, "id", 0),
                                     .port = (uint16_t)ipc_get_int(msg, "port", 0),
                                     .https = strcmp(ipc_get_str(msg, "scheme", ""), "https") == 0,
                                     .fd = fds[i]});
    return i;
}

static struct worker_process *find_worker(struct listener *l, uint64_t id)
{
    for (struct worker_process *w = l->workers; w; w = w->next)
        if (w->id == id)
            return w;
    return NULL;
}

static size_t attach_worker(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    struct pool *pool = find_pool(l, str_z(ipc_get_str(msg, "pool", "")));
    struct worker_process *w = xcalloc(1, sizeof(*w));

    if (!pool || !l->generation || n != 1 + 3 * (size_t)l->n_threads ||
        !region_map(fds[0], &w->region) || w->region.threads != l->n_threads) {
        region_unmap(&w->region);
        free(w);
        /* Nothing can reach it: to be ended and replaced. */
        listener_tell(l, json_pack("{s:s, s:I, s:s}", "type", "worker_malformed", "worker",
                          ipc_get_int(msg, "worker", 0), "text", "its ring could not be mapped"));
        return 0;
    }
    close(fds[0]);
    w->id = (uint64_t)ipc_get_int(msg, "worker", 0);
    w->pool = pool;
    w->listener_wake = xcalloc(l->n_threads, sizeof(int));
    w->worker_wake = xcalloc(l->n_threads, sizeof(int));
    w->file_sock = xcalloc(l->n_threads, sizeof(int));
    for (unsigned i = 0; i < l->n_threads; i++) {
        w->listener_wake[i] = fds[1 + 3 * i];
        w->worker_wake[i] = fds[2 + 3 * i];
        w->file_sock[i] = fds[3 + 3 * i];
    }
    atomic_init(&w->refs, l->n_threads + 1);
    w->next = l->workers;
    l->workers = w;
    post_all(l, (struct letter){.kind = LETTER_WORKER_ATTACH, .worker = w});
    return n;
}

static void worker_gone(struct listener *l, uint64_t id)
{
    struct worker_process **p = &l->workers;

    while (*p && (*p)->id != id)
        p = &(*p)->next;
    struct worker_process *w = *p;

    if (!w)
        return;
    *p = w->next;
    post_all(l, (struct letter){.kind = LETTER_WORKER_GONE, .worker = w});
    worker_unref(w);
}

void listener_answer_status(struct listener *l, json_int_t token)
{
    json_t *pools = json_array();

    for (struct pool *p = l->pools; p; p = p->next) {
        json_int_t queued = 0;
        for (unsigned i = 0; i < l->n_threads; i++)
            queued += atomic_load_explicit(&p->waiting[i].n, memory_order_relaxed);
        json_array_append_new(
            pools, json_pack("{s:s%, s:I}", "pool", p->name.p, p->name.n, "queued", queued));
    }
    listener_tell(l, json_pack("{s:s, s:I, s:I, s:o}", "type", "status", "token",
                      token, "connections",
                      (json_int_t)atomic_load(&l->connections), "pools", pools));
}

/* Answered when every thread has read the letters that were posted before: what the supervisor has
 * ordered until now is in force by then. */
static void ask_status(struct listener *l, const json_t *msg)
{
    json_int_t token = ipc_get_int(msg, "token", 0);

    if (l->generation)
        thread_post(&l->threads[0], &(struct letter){.kind = LETTER_SYNC, .id = (uint64_t)token});
    else
        listener_answer_status(l, token);
}

void listener_finish(struct listener *l, uint64_t timeout_ms)
{
    if (l->stopping)
        timeout_ms = 0; /* asked a second time: at once */
    l->stopping = true;
    if (l->generation)
        post_all(l, (struct letter){.kind = LETTER_STOP, .id = timeout_ms});
    else
        loop_stop(l->loop);
}

static void start(struct listener *l, const json_t *msg)
{
    json_int_t n = ipc_get_int(msg, "threads", 1);

    l->n_threads = n < 1 ? 1 : n > 256 ? 256 : (unsigned)n;
    l->threads = xcalloc(l->n_threads, sizeof(*l->threads));
    l->log_stdout = strcmp(ipc_get_str(msg, "log", ""), "stdout") == 0;
    listener_tell(l, json_pack("{s:s}", "type", "ready"));
}

/* --- the table of orders --- */

static size_t order_start(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    start(l, msg);
    return 0;
}

static size_t order_generation(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    take_generation(l, msg);
    return 0;
}

static size_t order_endpoint_remove(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    post_all(l, (struct letter){.kind = LETTER_ENDPOINT_REMOVE,
                                .id = (uint64_t)ipc_get_int(msg, "id", 0)});
    return 0;
}

static size_t order_worker_drain(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    struct worker_process *w = find_worker(l, (uint64_t)ipc_get_int(msg, "worker", 0));

    if (w)
        post_all(l, (struct letter){.kind = LETTER_WORKER_DRAIN, .worker = w});
    return 0;
}

static size_t order_worker_gone(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    worker_gone(l, (uint64_t)ipc_get_int(msg, "worker", 0));
    return 0;
}

static size_t order_pool_state(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    set_pool_state(l, get_pool(l, str_z(ipc_get_str(msg, "pool", ""))), msg);
    return 0;
}

static size_t order_tls(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    char why[TLS_WHY_MAX];
    struct tls_table *t = tls_table_load(msg, why);

    if (!t) {
        tell_event(l, "tls_unusable", why, NULL);
        return 0;
    }
    for (unsigned i = 0; i < l->n_threads && l->generation; i++)
        thread_post(&l->threads[i], &(struct letter){.kind = LETTER_TLS, .tls = tls_table_ref(t)});
    tls_table_unref(t);
    return 0;
}

static size_t order_certificate(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    if (tls_take_certificate(msg))
        post_all(l, (struct letter){.kind = LETTER_CERTIFICATE});
    return 0;
}

static size_t order_cache_clear(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    size_t gone;

    if (l->cache)
        response_cache_flush_url(l->cache, str_z(ipc_get_str(msg, "url", "*")),
                                 ipc_get_bool(msg, "subtree", false), &gone);
    return 0;
}

static size_t order_cache_list(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    json_t *list = l->cache ? response_cache_list(l->cache, CACHE_LIST_MAX, loop_now_ms(l->loop))
                            : json_pack("{s:[]}", "entries");

    json_object_set_new(list, "type", json_string("cache"));
    json_object_set(list, "token", json_object_get(msg, "token"));
    listener_tell(l, list);
    return 0;
}

static size_t order_metrics(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    return listener_metrics_begin(&l->metrics, l, fds, n);
}

static size_t order_metrics_facts(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    listener_metrics_take(l->metrics, msg);
    return 0;
}

static size_t order_reopen_logs(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    if (l->logging)
        logging_reopen(l->logging);
    return 0;
}

static size_t order_status(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    ask_status(l, msg);
    return 0;
}

static size_t order_stop(struct listener *l, json_t *msg, const int *fds, size_t n)
{
    listener_finish(l, (uint64_t)ipc_get_int(msg, "timeout_ms", 90000));
    return 0;
}

static const struct {
    const char *type;
    /* Gives how many of the n descriptors it has taken over, from the first. */
    size_t (*obey)(struct listener *l, json_t *msg, const int *fds, size_t n);
} orders[] = {{"start", order_start},
              {"generation", order_generation},
              {"endpoint_add", add_endpoint},
              {"endpoint_remove", order_endpoint_remove},
              {"worker_attach", attach_worker},
              {"worker_drain", order_worker_drain},
              {"worker_gone", order_worker_gone},
              {"pool_state", order_pool_state},
              {"tls", order_tls},
              {"certificate", order_certificate},
              {"cache_clear", order_cache_clear},
              {"cache_list", order_cache_list},
              {"metrics", order_metrics},
              {"metrics_facts", order_metrics_facts},
              {"reopen_logs", order_reopen_logs},
              {"status", order_status},
              {"stop", order_stop}};

size_t listener_obey(struct listener *l, json_t *msg, const int *fds, size_t n_fds)
{
    const char *type = ipc_get_str(msg, "type", "");

    for (size_t i = 0; i < ARRAY_LEN(orders); i++)
        if (strcmp(orders[i].type, type) == 0)
            return l->threads || i == 0 ? orders[i].obey(l, msg, fds, n_fds) : 0;
    return 0;
}
