#include "supervisor/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "supervisor/action.h"
#include "supervisor/internal.h"
#include "supervisor/metrics.h"
#include "supervisor/routing.h"
#include "supervisor/suspend.h"
#include "base/poison.h"

enum { WEB_GARDEN_MAX = 64 };

static json_t *pool_data(const struct pool *p)
{
    return json_pack("{s:s}", "pool", p->name);
}

/* Windows notices a bad identity when the pool starts, but acts on it with the first request. */
static void check_identity(struct pool *p)
{
    const char *why;

    p->identity_is_bad = false;
    if (p->conf->identity != CONFIG_IDENTITY_SPECIFIC_USER)
        return;
    if (identity_for_pool(p->conf, &p->identity, &why) == RC_FAIL) {
        p->identity_is_bad = true;
        SUP_EVENT(p->s, EV_WAS_IDENTITY,
                  json_pack("{s:s, s:s%}", "pool", p->name, "userName", p->conf->user_name.p,
                            p->conf->user_name.n),
                  p->name);
    }
}

struct pool *pool_new(struct supervisor *s, struct config *c, const struct config_pool *conf)
{
    struct pool *p = xcalloc(1, sizeof(*p));

    p->s = s;
    p->config = config_ref(c);
    p->conf = conf;
    p->name = str_dup_z(conf->name);
    p->signature = routing_pool_signature(conf);
    p->started = conf->auto_start;
    p->reason = conf->auto_start ? "N/A" : "Disabled";
    check_identity(p);
    cpu_limit_update(p);
    return p;
}

void pool_free(struct pool *p)
{
    INVARIANT(!p->workers);
    cpu_limit_fini(p);
    config_unref(p->config);
    free(p->name);
    free(p->signature);
    free(p);
}

void pool_update(struct pool *p, struct config *c, const struct config_pool *conf)
{
    char *signature = routing_pool_signature(conf);
    bool changed = strcmp(signature, p->signature) != 0;
    bool auto_start_came = conf->auto_start && !p->conf->auto_start;

    free(p->signature);
    p->signature = signature;
    config_unref(p->config);
    p->config = config_ref(c);
    p->conf = conf;
    if (changed)
        check_identity(p);
    cpu_limit_update(p);
    if (auto_start_came && !p->started)
        pool_start(p);
    if (changed && !conf->disallow_rotation_on_config_change)
        pool_recycle(p, EV_WAS_RECYCLE_CONFIG);
}

const char *pool_state_name(const struct pool *p)
{
    if (p->started)
        return "Started";
    return p->workers ? "Stopping" : "Stopped";
}

size_t pool_count_workers(const struct pool *p)
{
    size_t n = 0;

    for (const struct worker *w = p->workers; w; w = w->next)
        n++;
    return n;
}

static size_t count_serving(const struct pool *p)
{
    size_t n = 0;

    for (const struct worker *w = p->workers; w; w = w->next)
        n += worker_is_serving(w) && !w->replaces;
    return n;
}

static void tell_listener(struct pool *p)
{
    metrics_changed(p->s);
    listener_send(p->s,
                  json_pack("{s:s, s:s, s:s, s:s}", "type", "pool_state", "pool", p->name, "state",
                            p->started ? "Started" : "Stopped", "reason",
                            p->started ? "N/A" : p->reason),
                  NULL, 0);
}

static size_t workers_wanted(const struct pool *p)
{
    uint32_t n = p->conf->max_processes;

    /* 0 is one per NUMA node on Windows; the machine's memory is one pool to us. */
    return n == 0 ? 1 : n > WEB_GARDEN_MAX ? WEB_GARDEN_MAX : n;
}

/* An old worker must be gone before a new one may start. */
static bool must_wait_for_old(const struct pool *p)
{
    if (!p->conf->disallow_overlapping_rotation)
        return false;
    for (const struct worker *w = p->workers; w; w = w->next)
        if (!worker_is_serving(w) && w->state != WORKER_ORPHANED)
            return true;
    return false;
}

static void start_missing(struct pool *p)
{
    if (must_wait_for_old(p))
        return;
    for (size_t n = count_serving(p); p->started && n < workers_wanted(p); n++)
        if (!worker_start(p, 0))
            break;
}

void pool_reopen(struct pool *p)
{
    p->started = true;
    p->reason = "N/A";
    tell_listener(p);
    if (p->conf->always_running && !p->identity_is_bad)
        start_missing(p);
}

void pool_start(struct pool *p)
{
    rapid_fail_reset(&p->rapid);
    cpu_limit_reset(p);
    pool_reopen(p);
}

void pool_stop(struct pool *p, const char *reason)
{
    p->started = false;
    p->reason = reason;
    tell_listener(p);
    for (struct worker *w = p->workers; w; w = w->next)
        worker_end(w);
}

void pool_disable(struct pool *p, enum event_id event)
{
    if (!p->started)
        return;
    SUP_EVENT(p->s, event, pool_data(p), p->name);
    pool_stop(p, "AppOffline");
    if (p->conf->auto_shutdown_exe.n)
        action_run(p->conf->auto_shutdown_exe, p->conf->auto_shutdown_params, 0);
}

bool pool_count_failure(struct pool *p)
{
    p->n_failures++;
    metrics_changed(p->s);
    if (!p->started)
        return true;
    if (p->conf->rapid_fail_protection &&
        rapid_fail_count(&p->rapid, loop_now_ms(p->s->loop), p->conf->rapid_fail_interval_ms,
                         p->conf->rapid_fail_max_crashes))
        pool_disable(p, EV_WAS_RAPID_FAIL);
    return !p->started;
}

/* Windows refuses what waits with a 503 and looks again at the next request. */
static void refuse_waiting(struct pool *p)
{
    SUP_EVENT(p->s, EV_WAS_NO_WORKER,
              json_pack("{s:s, s:s}", "pool", p->name, "error",
                        "webLimits/@demandStartThreshold is reached"),
              p->name);
    listener_send(p->s,
                  json_pack("{s:s, s:s, s:s, s:s}", "type", "pool_state", "pool", p->name, "state",
                            "Stopped", "reason", "N/A"),
                  NULL, 0);
    tell_listener(p);
}

static bool threshold_reached(const struct supervisor *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_pools; i++)
        n += pool_count_workers(s->pools[i]);
    return n >= config_web_limits(s->config)->demand_start_threshold;
}

void pool_demand(struct pool *p)
{
    if (!p->started || p->s->stopping_now || count_serving(p) > 0)
        return;
    if (p->identity_is_bad)
        pool_disable(p, EV_WAS_DISABLED_IDENTITY);
    else if (threshold_reached(p->s))
        refuse_waiting(p);
    else
        start_missing(p);
}

/* Bits of recycling/@logEventOnRecycle. */
static uint32_t recycle_flag(enum event_id event)
{
    static const struct {
        enum event_id event;
        uint32_t flag;
    } rows[] = {{EV_WAS_RECYCLE_TIME, 1},       {EV_WAS_RECYCLE_REQUESTS, 2},
                {EV_WAS_RECYCLE_SCHEDULE, 4},   {EV_WAS_RECYCLE_MEMORY, 8},
                {EV_WAS_RECYCLE_UNHEALTHY, 16}, {EV_WAS_RECYCLE_ADMIN, 32},
                {EV_WAS_RECYCLE_CONFIG, 64},    {EV_WAS_RECYCLE_PRIVATE, 128}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].event == event)
            return rows[i].flag;
    return 0;
}

static struct worker *find_worker(struct pool *p, uint32_t id)
{
    for (struct worker *w = p->workers; w; w = w->next)
        if (w->id == id)
            return w;
    return NULL;
}

/* Its successor came to nothing: it serves on, and its turn comes again. */
static void keep_worker(struct pool *p, struct worker *w)
{
    w->successor_started = false;
    if (worker_is_serving(w))
        worker_plan_recycle(w);
    SUP_EVENT(p->s, EV_WAS_OVERLAP_FAILED, pool_data(p), p->name, sup_number((uint64_t)w->pid).z);
}

static void start_successor(struct pool *p, uint32_t replaces)
{
    if (worker_start(p, replaces))
        return;
    struct worker *old = replaces ? find_worker(p, replaces) : NULL;

    if (old)
        keep_worker(p, old);
}

/* One worker's turn; the pool's events are told by the caller. */
static void recycle_worker(struct pool *p, struct worker *w)
{
    loop_timer_clear(p->s->loop, &w->recycle);
    if (w->successor_started)
        return; /* its turn has come already */
    p->n_recycles++;
    metrics_changed(p->s);
    if (p->conf->disallow_overlapping_rotation) {
        worker_end(w);
    } else if (w->state == WORKER_STARTING) {
        uint32_t replaces = w->replaces;
        w->replaces = 0; /* its successor does that now */
        worker_end(w);
        start_successor(p, replaces);
    } else {
        w->successor_started = true;
        start_successor(p, w->id);
    }
}

void pool_recycle_worker(struct worker *w, enum event_id event)
{
    struct pool *p = w->pool;

    if (p->conf->log_event_on_recycle & recycle_flag(event))
        SUP_EVENT(p->s, event, json_pack("{s:s, s:i}", "pool", p->name, "process", (int)w->pid),
                  sup_number((uint64_t)w->pid).z, p->name);
    recycle_worker(p, w);
}

void pool_recycle(struct pool *p, enum event_id event)
{
    struct worker *turn[WEB_GARDEN_MAX * 2];
    size_t n = 0;

    for (struct worker *w = p->workers; w && n < ARRAY_LEN(turn); w = w->next)
        if (worker_is_serving(w))
            turn[n++] = w;
    if (n == 0)
        return;
    if (p->conf->log_event_on_recycle & recycle_flag(event))
        SUP_EVENT(p->s, event, pool_data(p), p->name);
    for (size_t i = 0; i < n && p->started; i++)
        recycle_worker(p, turn[i]);
}

void pool_worker_ready(struct pool *p, struct worker *w)
{
    struct worker *old = w->replaces ? find_worker(p, w->replaces) : NULL;

    w->replaces = 0;
    if (old)
        worker_end(old);
    if (!p->started)
        worker_end(w);
}

/* What waits for a worker that is no more to be replaced serves in its own right. */
static void forget_predecessor(struct pool *p, uint32_t id)
{
    for (struct worker *w = p->workers; w; w = w->next)
        if (w->replaces == id)
            w->replaces = 0;
}

void pool_worker_gone(struct pool *p, const struct worker_end_info *end)
{
    struct worker *old = end->replaces ? find_worker(p, end->replaces) : NULL;
    bool unexpected = end->unexpected, was_starting = end->was_starting;

    metrics_changed(p->s);
    forget_predecessor(p, end->id);
    if (old)
        keep_worker(p, old);
    if (p->s->stopping || (unexpected && pool_count_failure(p)) || !p->started)
        return;
    /* A start that fails while requests wait is tried again at once, which is what makes the
     * protection trip within seconds. Without protection only the listener's repeated demand
     * starts the next one, so that a worker that can never start does not keep us busy. */
    if (unexpected && was_starting && !old && p->conf->rapid_fail_protection)
        pool_demand(p);
    else if (p->conf->always_running && !(unexpected && was_starting) && !p->identity_is_bad)
        start_missing(p);
}

void pool_listener_gone(struct pool *p)
{
    for (struct worker *w = p->workers; w; w = w->next)
        if (w->state != WORKER_STARTING)
            worker_abandon(w);
}

static uint64_t read_statm(pid_t pid, uint64_t *ret_private)
{
    enum { SIZE, RESIDENT, SHARED, WORDS };
    char path[48], line[160];
    uint64_t v[WORDS] = {0}, page = (uint64_t)sysconf(_SC_PAGESIZE);

    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(line, sizeof(line), f);
    struct str rest = ok ? str_trim_all(str_z(line)) : STR_NULL, word;

    if (f)
        fclose(f);
    for (size_t i = 0; i < WORDS; i++)
        if (!str_split(&rest, ' ', &word) || !str_u64(word, UINT64_MAX / 65536, &v[i]))
            return *ret_private = 0;
    *ret_private = v[RESIDENT] > v[SHARED] ? (v[RESIDENT] - v[SHARED]) * page / 1024 : 0;
    return v[SIZE] * page / 1024;
}

void pool_look_after(struct pool *p)
{
    struct worker *next;

    for (struct worker *w = p->workers; w; w = next) {
        uint64_t private_kb, virtual_kb;
        next = w->next;
        if (w->state != WORKER_RUNNING || w->successor_started ||
            (w->suspension && suspension_is_on(w->suspension)))
            continue;
        virtual_kb = read_statm(w->pid, &private_kb);
        if (p->conf->restart_memory_kb && virtual_kb > p->conf->restart_memory_kb)
            pool_recycle_worker(w, EV_WAS_RECYCLE_MEMORY);
        else if (p->conf->restart_private_memory_kb &&
                 private_kb > p->conf->restart_private_memory_kb)
            pool_recycle_worker(w, EV_WAS_RECYCLE_PRIVATE);
    }
    if (p->started && p->conf->always_running && !p->identity_is_bad)
        start_missing(p);
}
