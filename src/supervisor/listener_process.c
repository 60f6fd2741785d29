#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ipc.h"
#include "supervisor/certificates.h"
#include "supervisor/control_server.h"
#include "supervisor/internal.h"
#include "supervisor/metrics.h"
#include "supervisor/process.h"
#include "base/poison.h"

enum {
    MANY_DEATHS = 5, /* within... */
    DEATHS_MS = 60000,
    RESTART_PAUSE_MS = 1000, /* ...then this long between starts */
    STOP_GRACE_MS = 7000,    /* beyond the time it was given: its logs may wait for a disk */
    START_LIMIT_MS = 30000,
    MESSAGE_MAX = 4 << 20, /* the longest it sends is the list of its cache */
    START_TOKEN = 0, /* of the status asked for last at the start: all before it has been taken */
};

static void close_channel(struct supervisor *s)
{
    loop_io_set(s->loop, &s->listener.control, 0);
    s->listener.is_open = false;
}

/* An order is lost, so what the listener does from now on is not what we believe. A new one gets
 * all orders anew. */
static void order_lost(struct supervisor *s, int err)
{
    close_channel(s);
    if (err == EPIPE || err == ECONNRESET || s->stopping)
        return; /* it is ending: its exit is what counts */
    SUP_EVENT(s, EV_CND_CONTROL_LOST, NULL, "listener", sup_number((uint64_t)s->listener.pid).z,
              err == EAGAIN ? "it has read nothing for too long" : strerror(err));
    kill(s->listener.pid, SIGKILL);
}

bool listener_send(struct supervisor *s, json_t *msg, const int *fds, size_t n_fds)
{
    INVARIANT(msg);
    bool has_one = s->listener.pid && s->listener.is_open;
    bool ok = has_one && ipc_send(s->listener.control.fd, msg, fds, n_fds);

    if (has_one && !ok)
        order_lost(s, errno);
    json_decref(msg);
    return ok;
}

/* ---- endpoints ------------------------------------------------------------------------------ */

static void send_endpoint(struct supervisor *s, struct endpoint *ep)
{
    char address[ENDPOINT_TEXT_MAX];

    endpoint_address_text(ep, address);
    ep->sent_https = ep->https;
    ep->sent = listener_send(s,
                             json_pack("{s:s, s:i, s:s, s:s, s:i}", "type", "endpoint_add", "id",
                                       (int)ep->id, "scheme", ep->https ? "https" : "http",
                                       "address", address, "port", (int)endpoint_port(ep)),
                             ep->fds, s->endpoints.threads);
}

void listener_sync_endpoints(struct supervisor *s)
{
    struct endpoints *e = &s->endpoints;

    for (size_t i = e->n; i-- > 0;) {
        struct endpoint *ep = e->list[i];
        if (ep->sent && (!ep->wanted || ep->sent_https != ep->https)) {
            listener_send(s, json_pack("{s:s, s:i}", "type", "endpoint_remove", "id", (int)ep->id),
                          NULL, 0);
            ep->sent = false;
        }
        if (!ep->wanted)
            endpoints_close(e, i);
        else if (!ep->sent)
            send_endpoint(s, ep);
    }
}

/* ---- messages from it ----------------------------------------------------------------------- */

static struct worker *find_worker(struct supervisor *s, json_int_t id)
{
    for (size_t i = 0; i < s->n_pools; i++)
        for (struct worker *w = s->pools[i]->workers; w; w = w->next)
            if ((json_int_t)w->id == id)
                return w;
    return NULL;
}

static void take_demand(struct supervisor *s, const json_t *msg)
{
    struct pool *p = sup_pool(s, str_z(ipc_get_str(msg, "pool", "")));

    if (p)
        pool_demand(p);
}

static void take_generation_failed(struct supervisor *s, const json_t *msg)
{
    const char *text = ipc_get_str(msg, "text", "");

    SUP_EVENT(s, EV_CND_CONFIG_REFUSED, NULL, text);
    sup_say("the listener refuses the configuration: %s", text);
    if (!s->is_ready)
        sup_give_up(s);
}

static void take_message(struct supervisor *s, const json_t *msg)
{
    const char *type = ipc_get_str(msg, "type", "");
    struct worker *w = find_worker(s, ipc_get_int(msg, "worker", -1));

    if (strcmp(type, "generation_failed") == 0)
        take_generation_failed(s, msg);
    else if (strcmp(type, "demand") == 0)
        take_demand(s, msg);
    else if (strcmp(type, "certificate_wanted") == 0)
        certificates_wanted(s->certificates, msg);
    else if (strcmp(type, "worker_drained") == 0 && w)
        worker_drained(w);
    else if (strcmp(type, "worker_malformed") == 0 && w)
        worker_malformed(w, ipc_get_str(msg, "text", ""));
    else if (strcmp(type, "status") == 0 && ipc_get_int(msg, "token", -1) == START_TOKEN)
        sup_listener_ready(s);
    else if (strcmp(type, "status") == 0)
        control_server_status(s->control, msg);
    else if (strcmp(type, "cache") == 0)
        control_server_cache(s->control, msg);
    else if (strcmp(type, "event") == 0)
        sup_listener_event(s, msg);
}

static void on_control(struct loop_io *io, uint32_t events)
{
    struct supervisor *s = CONTAINER_OF(io, struct supervisor, listener.control);
    int fds[IPC_MAX_FDS];

    for (int i = 0; i < 64; i++) {
        size_t n_fds = 0;
        json_t *msg = NULL;
        int rc = ipc_recv_bounded(io->fd, MESSAGE_MAX, &msg, fds, &n_fds);

        if (rc == 0)
            return;
        if (rc < 0) {
            /* It is ending, or its memory is: its exit is what counts. */
            close_channel(s);
            if (!s->stopping)
                kill(s->listener.pid, SIGKILL);
            return;
        }
        for (size_t k = 0; k < n_fds; k++)
            close(fds[k]);
        take_message(s, msg);
        json_decref(msg);
        if (!s->listener.is_open)
            return;
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

static void on_deadline(struct loop_timer *t)
{
    struct supervisor *s = CONTAINER_OF(t, struct supervisor, listener.deadline);

    if (!s->stopping)
        sup_say("the listener does not start");
    if (s->listener.pid)
        kill(s->listener.pid, SIGKILL);
}

static void on_restart(struct loop_timer *t)
{
    struct supervisor *s = CONTAINER_OF(t, struct supervisor, listener.restart);

    if (!s->stopping)
        listener_start(s);
}

static void plan_restart(struct supervisor *s)
{
    bool many = rapid_fail_count(&s->listener.deaths, loop_now_ms(s->loop), DEATHS_MS, MANY_DEATHS);

    s->listener.restart.on_time = on_restart;
    loop_timer_set(s->loop, &s->listener.restart,
                   loop_now_ms(s->loop) + (many ? RESTART_PAUSE_MS : 0));
}

bool listener_start(struct supervisor *s)
{
    struct listener_process *l = &s->listener;
    int control;

    if (!process_start(&(struct process_options){.role = "listener",
                                                 .identity = &s->listener_identity,
                                                 .keeps_stdout = s->o->log_stdout},
                       &l->pid, &control)) {
        const char *why = strerror(errno);
        SUP_EVENT(s, EV_CND_LISTENER_FAILED, NULL, why);
        sup_say("the listener cannot be started: %s", why);
        l->pid = 0;
        if (s->is_ready)
            plan_restart(s);
        return false;
    }
    l->control = (struct loop_io){.on_event = on_control, .fd = control};
    l->is_open = true;
    l->deadline.on_time = on_deadline;
    INVARIANT(loop_io_set(s->loop, &l->control, EPOLLIN));
    loop_timer_set(s->loop, &l->deadline, loop_now_ms(s->loop) + START_LIMIT_MS);
    listener_send(s,
                  json_pack("{s:s, s:i, s:s, s:s, s:s}", "type", "start", "threads",
                            (int)s->threads, "system_drive", s->system_drive, "event_log",
                            s->events_path, "log", s->o->log_stdout ? "stdout" : "files"),
                  NULL, 0);
    for (size_t i = 0; i < s->endpoints.n; i++)
        s->endpoints.list[i]->sent = false;
    /* The generation first: it must know where to route before the first connection comes. */
    sup_send_generation(s);
    certificates_send(s->certificates);
    listener_sync_endpoints(s);
    metrics_send(s);
    listener_send(s, json_pack("{s:s, s:i}", "type", "status", "token", START_TOKEN), NULL, 0);
    return true;
}

static void say_death(struct supervisor *s, pid_t pid, int status)
{
    char how[48];

    if (WIFSIGNALED(status))
        snprintf(how, sizeof(how), "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(how, sizeof(how), "exit code %d", WEXITSTATUS(status));
    SUP_EVENT(s, EV_CND_LISTENER_LOST, NULL, sup_number((uint64_t)pid).z, how);
    sup_say("the listener (process %d) ended with %s", (int)pid, how);
}

void listener_exited(struct supervisor *s, int status)
{
    struct listener_process *l = &s->listener;
    pid_t pid = l->pid;

    close_channel(s);
    close(l->control.fd);
    l->pid = 0;
    loop_timer_clear(s->loop, &l->deadline);
    if (!s->stopping || WIFSIGNALED(status) || WEXITSTATUS(status) != 0)
        say_death(s, pid, status);
    if (s->stopping)
        return; /* the caller ends the workers */
    for (size_t i = 0; i < s->n_pools; i++)
        pool_listener_gone(s->pools[i]);
    if (s->is_ready)
        plan_restart(s);
    else
        sup_give_up(s);
}

void listener_stop(struct supervisor *s, uint64_t timeout_ms)
{
    loop_timer_clear(s->loop, &s->listener.restart);
    if (!s->listener.pid)
        return;
    listener_send(s, json_pack("{s:s, s:I}", "type", "stop", "timeout_ms", (json_int_t)timeout_ms),
                  NULL, 0);
    loop_timer_set(s->loop, &s->listener.deadline,
                   loop_now_ms(s->loop) + timeout_ms + STOP_GRACE_MS);
}
