/* A worker's life from its process's start to its end; worker_start.c is what comes before. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/ipc.h"
#include "supervisor/action.h"
#include "supervisor/internal.h"
#include "supervisor/metrics.h"
#include "supervisor/schedule.h"
#include "supervisor/suspend.h"
#include "base/poison.h"

/* How long a worker whose channel is broken may take to end by itself: mostly it is ending. */
enum { BROKEN_CHANNEL_MS = 2000 };
/* How long a worker may take to end when there is nobody left to answer. */
enum { ABANDONED_MS = 10000 };
/* Its clock begins a little before ours. */
enum { IDLE_SLACK_MS = 5000 };
/* The most events that a worker may report within a time. */
enum { EVENTS_MAX = 100, EVENTS_MS = 60000 };
/* The most messages within the same time; a busy worker sends a few. */
enum { MESSAGES_MAX = 2000 };

static const char source[] = "Microsoft-Windows-IIS-W3SVC-WP";

static json_t *worker_data(const struct worker *w)
{
    return json_pack("{s:s, s:i, s:i}", "pool", w->pool->name, "process", (int)w->pid, "worker",
                     (int)w->id);
}

bool worker_is_serving(const struct worker *w)
{
    return w->state == WORKER_STARTING || w->state == WORKER_RUNNING;
}

void worker_kill(struct worker *w)
{
    kill(w->pid, SIGKILL);
}

/* Ends a worker for a reason that counts as a failure of its pool. */
static void fail_worker(struct worker *w, enum event_id event)
{
    if (!w->failure_said)
        SUP_EVENT(w->pool->s, event, worker_data(w), w->pool->name, sup_number((uint64_t)w->pid).z);
    w->failure_said = true;
    worker_kill(w);
}

void worker_send(struct worker *w, json_t *msg, const int *fds, size_t n_fds)
{
    INVARIANT(msg);
    if (w->suspension)
        suspension_end(w->suspension); /* it could not read it */
    if (!w->channel_broken && !ipc_send(w->control.fd, msg, fds, n_fds)) {
        /* Its end, if it is that, is noticed by its exit; if not, the deadline ends it. */
        w->channel_broken = true;
        loop_io_set(w->pool->s->loop, &w->control, 0);
        loop_timer_set(w->pool->s->loop, &w->deadline,
                       loop_now_ms(w->pool->s->loop) + BROKEN_CHANNEL_MS);
    }
    json_decref(msg);
}

/* ---- ping, recycling, deadlines ------------------------------------------------------------- */

static uint64_t now_ms(const struct worker *w)
{
    return loop_now_ms(w->pool->s->loop);
}

/* orphanWorkerProcess: a hung worker stays as it is for somebody to look at. */
static void orphan_worker(struct worker *w)
{
    const struct config_pool *conf = w->pool->conf;
    struct supervisor *s = w->pool->s;

    SUP_EVENT(s, EV_WAS_NO_PONG, worker_data(w), w->pool->name, sup_number((uint64_t)w->pid).z);
    w->state = WORKER_ORPHANED;
    w->ends_by_us = true;
    loop_timer_clear(s->loop, &w->deadline);
    loop_timer_clear(s->loop, &w->recycle);
    listener_send(s, json_pack("{s:s, s:i}", "type", "worker_gone", "worker", (int)w->id), NULL, 0);
    w->attached = false;
    if (conf->orphan_action_exe.n)
        action_run(conf->orphan_action_exe, conf->orphan_action_params, w->pid);
    pool_worker_gone(w->pool, &(struct worker_end_info){.id = w->id, .unexpected = true});
}

static void plan_ping(struct worker *w)
{
    w->ping_out = false;
    if (w->pool->conf->pinging_enabled && w->pool->conf->ping_interval_ms)
        loop_timer_set(w->pool->s->loop, &w->ping, now_ms(w) + w->pool->conf->ping_interval_ms);
}

/* Under a debugger a worker stands still for as long as somebody looks at it. */
static bool is_traced(pid_t pid)
{
    char path[48], line[128];
    bool traced = false;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");

    while (f && fgets(line, sizeof(line), f))
        if (str_starts(str_z(line), STR("TracerPid:")))
            traced = !str_eq(str_trim_all(str_z(line + sizeof("TracerPid:") - 1)), STR("0"));
    if (f)
        fclose(f);
    return traced;
}

static void on_ping_time(struct loop_timer *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, ping);
    const struct config_pool *conf = w->pool->conf;

    if (w->ping_out && is_traced(w->pid)) {
        plan_ping(w);
        return;
    }
    if (w->ping_out) {
        if (conf->orphan_worker_process)
            orphan_worker(w);
        else
            fail_worker(w, EV_WAS_NO_PONG);
        return;
    }
    w->ping_out = true;
    w->ping_token++;
    loop_timer_set(w->pool->s->loop, t, now_ms(w) + conf->ping_response_time_ms);
    worker_send(w, json_pack("{s:s, s:I}", "type", "ping", "token", (json_int_t)w->ping_token),
                NULL, 0);
}

void worker_woken(struct worker *w)
{
    if (w->state == WORKER_RUNNING)
        plan_ping(w);
}

static void take_pong(struct worker *w, const json_t *msg)
{
    if (w->ping_out && ipc_get_int(msg, "token", -1) == (json_int_t)w->ping_token)
        plan_ping(w);
}

static void on_recycle_time(struct loop_timer *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, recycle);

    pool_recycle_worker(w, w->recycle_event);
}

void worker_plan_recycle(struct worker *w)
{
    const struct config_pool *conf = w->pool->conf;
    uint64_t in_ms = conf->restart_time_ms ? conf->restart_time_ms : UINT64_MAX;
    uint64_t next_s =
        schedule_seconds_to_next(conf->schedule_ms, conf->n_schedule, clock_wall_us() / 1000000);

    w->recycle_event = EV_WAS_RECYCLE_TIME;
    if (next_s < UINT64_MAX / 1000 && next_s * 1000 < in_ms) {
        in_ms = next_s * 1000;
        w->recycle_event = EV_WAS_RECYCLE_SCHEDULE;
    }
    if (in_ms != UINT64_MAX)
        loop_timer_set(w->pool->s->loop, &w->recycle, now_ms(w) + in_ms);
}

static void on_deadline(struct loop_timer *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, deadline);

    switch (w->state) {
    case WORKER_STARTING:
        fail_worker(w, w->channel_broken ? EV_WAS_PIPE : EV_WAS_START_TIMEOUT);
        break;
    case WORKER_RUNNING:
        fail_worker(w, EV_WAS_PIPE);
        break;
    case WORKER_DRAINING:
    case WORKER_STOPPING:
        SUP_EVENT(w->pool->s, EV_WAS_STOP_TIMEOUT, worker_data(w), w->pool->name,
                  sup_number((uint64_t)w->pid).z);
        worker_kill(w);
        break;
    case WORKER_ORPHANED:
        break;
    }
}

/* ---- ending --------------------------------------------------------------------------------- */

static void tell_stop(struct worker *w)
{
    uint64_t left = w->deadline.at_ms > now_ms(w) ? w->deadline.at_ms - now_ms(w) : 0;

    w->state = WORKER_STOPPING;
    worker_send(w, json_pack("{s:s, s:I}", "type", "stop", "timeout_ms", (json_int_t)left), NULL,
                0);
}

static void begin_end(struct worker *w, uint64_t timeout_ms)
{
    struct loop *l = w->pool->s->loop;

    w->ends_by_us = true;
    loop_timer_clear(l, &w->ping);
    loop_timer_clear(l, &w->recycle);
    loop_timer_set(l, &w->deadline, loop_now_ms(l) + timeout_ms);
}

void worker_end(struct worker *w)
{
    if (!worker_is_serving(w))
        return;
    begin_end(w, w->pool->conf->shutdown_time_limit_ms);
    if (w->state == WORKER_STARTING) {
        w->state = WORKER_STOPPING;
        worker_kill(w);
        return;
    }
    w->state = WORKER_DRAINING;
    if (!listener_send(w->pool->s,
                       json_pack("{s:s, s:i}", "type", "worker_drain", "worker", (int)w->id), NULL,
                       0))
        tell_stop(w);
}

void worker_drained(struct worker *w)
{
    if (w->state == WORKER_DRAINING)
        tell_stop(w);
}

void worker_abandon(struct worker *w)
{
    if (w->state == WORKER_ORPHANED) {
        worker_kill(w);
        return;
    }
    if (w->state == WORKER_STARTING) {
        worker_end(w);
        return;
    }
    begin_end(w, ABANDONED_MS);
    w->state = WORKER_STOPPING;
    worker_send(w, json_pack("{s:s, s:i}", "type", "stop", "timeout_ms", 0), NULL, 0);
}

void worker_malformed(struct worker *w, const char *text)
{
    if (w->failure_said)
        return;
    SUP_EVENT(w->pool->s, EV_CND_WORKER_MALFORMED, worker_data(w), w->pool->name,
              sup_number((uint64_t)w->pid).z, text);
    w->failure_said = true;
    worker_kill(w);
}

static void close_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void drop_kit(struct worker *w)
{
    close_all(w->kit, w->n_kit);
    close_all(w->sleeps, w->n_sleeps);
    free(w->kit);
    free(w->sleeps);
    w->kit = w->sleeps = NULL;
    w->n_kit = w->n_sleeps = 0;
}

static void say_crash(struct worker *w, int status)
{
    char code[16];
    json_t *data = worker_data(w);

    if (WIFSIGNALED(status))
        json_object_set_new(data, "signal", json_integer(WTERMSIG(status)));
    else
        json_object_set_new(data, "exitCode", json_integer(WEXITSTATUS(status)));
    /* As shells count: a signal is 128 and its number. */
    snprintf(code, sizeof(code), "%x",
             WIFSIGNALED(status) ? 128u + (unsigned)WTERMSIG(status)
                                 : (unsigned)WEXITSTATUS(status));
    SUP_EVENT(w->pool->s, EV_WAS_CRASH, data, w->pool->name, sup_number((uint64_t)w->pid).z, code);
}

/* As one does that was told to go, or was killed for not going. */
static bool ended_cleanly(int status)
{
    return WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0;
}

void worker_exited(struct worker *w, int status)
{
    struct pool *p = w->pool;
    struct supervisor *s = p->s;
    const struct worker_end_info end = {.id = w->id,
                                        .replaces = w->replaces,
                                        .unexpected = !w->ends_by_us,
                                        .was_starting = w->state == WORKER_STARTING};

    if (!w->failure_said && (end.unexpected || !ended_cleanly(status)))
        say_crash(w, status);
    if (w->attached)
        listener_send(s, json_pack("{s:s, s:i}", "type", "worker_gone", "worker", (int)w->id), NULL,
                      0);
    for (struct worker **at = &p->workers; *at; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            break;
        }
    }
    loop_io_set(s->loop, &w->control, 0);
    close(w->control.fd);
    loop_timer_clear(s->loop, &w->deadline);
    loop_timer_clear(s->loop, &w->ping);
    loop_timer_clear(s->loop, &w->recycle);
    drop_kit(w);
    suspension_free(w->suspension);
    free(w);
    pool_worker_gone(p, &end);
}

/* ---- messages from it ----------------------------------------------------------------------- */

static void take_ready(struct worker *w)
{
    struct supervisor *s = w->pool->s;

    if (w->state != WORKER_STARTING)
        return;
    w->state = WORKER_RUNNING;
    w->ready_ms = now_ms(w);
    loop_timer_clear(s->loop, &w->deadline);
    w->attached = listener_send(s,
                                json_pack("{s:s, s:i, s:s, s:i}", "type", "worker_attach", "worker",
                                          (int)w->id, "pool", w->pool->name, "pid", (int)w->pid),
                                w->kit, w->n_kit);
    if (w->pool->conf->idle_suspend)
        w->suspension = suspension_new(w, w->kit[0], w->sleeps, w->n_sleeps);
    drop_kit(w);
    if (!w->attached) {
        /* The listener has just ended: this ring leads nowhere. */
        worker_abandon(w);
        return;
    }
    plan_ping(w);
    worker_plan_recycle(w);
    pool_worker_ready(w->pool, w);
}

static void say_idle(struct worker *w, enum event_id event, json_int_t ms)
{
    if (w->pool->conf->log_idle_timeout)
        SUP_EVENT(w->pool->s, event, worker_data(w), sup_number((uint64_t)w->pid).z, w->pool->name,
                  sup_number(ms < 0 ? 0 : (uint64_t)ms / 60000).z);
}

static void suspend(struct worker *w, json_int_t idle_ms)
{
    uint64_t woken = suspension_woken_ms(w->suspension);

    /* Its clock went on while it stood still. */
    if (woken && now_ms(w) - woken < w->pool->conf->idle_timeout_ms)
        return;
    suspension_begin(w->suspension);
    if (!suspension_is_on(w->suspension))
        return;
    loop_timer_clear(w->pool->s->loop, &w->ping);
    w->ping_out = false; /* an answer that is still on its way plans no other ping */
    say_idle(w, EV_CND_SUSPENDED, idle_ms);
}

/* Whether it can have waited for so long at all: else it could have itself started again and again
 * without one failure counted. */
static bool may_be_idle(const struct worker *w)
{
    uint64_t timeout = w->pool->conf->idle_timeout_ms;

    return timeout && now_ms(w) - w->ready_ms + IDLE_SLACK_MS >= timeout;
}

static void take_idle(struct worker *w, const json_t *msg)
{
    json_int_t ms = ipc_get_int(msg, "idle_ms", 0);

    if (w->state != WORKER_RUNNING || w->successor_started || !may_be_idle(w))
        return;
    if (w->suspension) {
        suspend(w, ms);
        return;
    }
    say_idle(w, EV_WAS_IDLE, ms);
    worker_end(w);
}

static void take_requests(struct worker *w)
{
    if (!w->pool->conf->restart_requests)
        return; /* nobody has asked it to count */
    if (w->state == WORKER_RUNNING && !w->successor_started)
        pool_recycle_worker(w, EV_WAS_RECYCLE_REQUESTS);
}

static void take_failed(struct worker *w, const json_t *msg)
{
    if (w->failure_said)
        return;
    sup_child_event(w->pool->s, source, msg);
    w->failure_said = true;
}

/* A worker that has gone mad must not fill the disk with its events. */
static bool may_report(struct worker *w)
{
    if (now_ms(w) - w->events_since_ms >= EVENTS_MS) {
        w->events_since_ms = now_ms(w);
        w->events = 0;
    }
    return w->events++ < EVENTS_MAX;
}

static void take_event(struct worker *w, const json_t *msg)
{
    struct supervisor *s = w->pool->s;

    if (!may_report(w))
        return;
    if (strcmp(ipc_get_str(msg, "code", ""), "ring_broken") == 0)
        SUP_EVENT(s, EV_CND_CHILD_MALFORMED, worker_data(w), "listener",
                  sup_number((uint64_t)s->listener.pid).z, ipc_get_str(msg, "text", ""));
    else
        sup_child_event(s, source, msg);
}

static void take_message(struct worker *w, const json_t *msg)
{
    const char *type = ipc_get_str(msg, "type", "");

    if (strcmp(type, "ready") == 0)
        take_ready(w);
    else if (strcmp(type, "pong") == 0)
        take_pong(w, msg);
    else if (strcmp(type, "idle") == 0)
        take_idle(w, msg);
    else if (strcmp(type, "requests") == 0)
        take_requests(w);
    else if (strcmp(type, "failed") == 0)
        take_failed(w, msg);
    else if (strcmp(type, "event") == 0)
        take_event(w, msg);
}

/* Each message costs the supervisor, which is everybody's, more than it costs the worker. */
static bool is_flooding(struct worker *w)
{
    if (now_ms(w) - w->messages_since_ms >= EVENTS_MS) {
        w->messages_since_ms = now_ms(w);
        w->messages = 0;
    }
    return ++w->messages > MESSAGES_MAX;
}

static void on_control(struct loop_io *io, uint32_t events)
{
    struct worker *w = CONTAINER_OF(io, struct worker, control);
    int fds[IPC_MAX_FDS];

    for (int i = 0; i < 16; i++) {
        size_t n_fds = 0;
        json_t *msg = NULL;
        int rc = ipc_recv_bounded(io->fd, /* max = */ 0, &msg, fds, &n_fds);

        if (rc == 0)
            return;
        if (rc < 0) {
            w->channel_broken = true;
            loop_io_set(w->pool->s->loop, io, 0);
            if (worker_is_serving(w))
                loop_timer_set(w->pool->s->loop, &w->deadline, now_ms(w) + BROKEN_CHANNEL_MS);
            return;
        }
        close_all(fds, n_fds);
        if (is_flooding(w))
            worker_malformed(w, "it floods its control channel");
        else
            take_message(w, msg);
        json_decref(msg);
        if (w->channel_broken)
            return;
    }
}

struct worker *worker_new(struct pool *p, pid_t pid, int control)
{
    struct worker *w = xcalloc(1, sizeof(*w));
    struct loop *l = p->s->loop;

    *w = (struct worker){.next = p->workers,
                         .pool = p,
                         .id = ++p->s->last_worker,
                         .pid = pid,
                         .control = {.on_event = on_control, .fd = control},
                         .deadline.on_time = on_deadline,
                         .ping.on_time = on_ping_time,
                         .recycle.on_time = on_recycle_time};
    p->workers = w;
    p->n_starts++;
    metrics_changed(p->s);
    INVARIANT(loop_io_set(l, &w->control, EPOLLIN));
    loop_timer_set(l, &w->deadline, loop_now_ms(l) + p->conf->startup_time_limit_ms);
    return w;
}
