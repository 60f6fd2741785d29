#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "supervisor/certificates.h"
#include "supervisor/configuration.h"
#include "supervisor/control_server.h"
#include "supervisor/folders.h"
#include "supervisor/internal.h"
#include "supervisor/metrics.h"
#include "supervisor/notify.h"
#include "supervisor/process.h"
#include "supervisor/readable.h"
#include "supervisor/sites.h"
#include "base/poison.h"

enum { TICK_MS = 10000, AT_ONCE_MS = 2000 };
/* Without the first nothing starts; below the second, or with less than the third to spare, it is
 * said how few there are. */
enum { DESCRIPTORS_MIN = 64, DESCRIPTORS_FEW = 1024, DESCRIPTORS_SPARE = 256 };

/* ---- start ---------------------------------------------------------------------------------- */

static unsigned count_processors(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        return 1;
    return CPU_COUNT(&set) < 1 ? 1 : (unsigned)CPU_COUNT(&set);
}

/* NULL: there is no home. */
static char *default_drive(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (geteuid() == 0)
        return xstrdup("/var/lib/candor");
    if (state && state[0] == '/')
        return xasprintf("%s/candor", state);
    return home && home[0] == '/' ? xasprintf("%s/.local/state/candor", home) : NULL;
}

static char *absolute(const char *path)
{
    if (path[0] == '/')
        return xstrdup(path);
    _cleanup_free_ char *here = getcwd(NULL, 0);

    return xasprintf("%s/%s", here ? here : "", path);
}

static bool prepare_drive(struct supervisor *s)
{
    s->system_drive = s->o->system_drive ? absolute(s->o->system_drive) : default_drive();
    if (!s->system_drive) {
        sup_say("neither HOME nor XDG_STATE_HOME is set: name a folder with --system-drive");
        return false;
    }
    _cleanup_free_ char *logs = xasprintf("%s/inetpub/logs", s->system_drive);
    _cleanup_free_ char *temp = xasprintf("%s/inetpub/temp", s->system_drive);

    s->events_path = xasprintf("%s/events.log", logs);
    if (!folders_make(s->system_drive, 0755, NULL)) {
        sup_say("%s: %s (the folder for logs and state; see --system-drive)", s->system_drive,
                strerror(errno));
        return false;
    }
    bool has_logs = s->o->log_stdout || folders_make(logs, 0755, NULL);
    if (!has_logs)
        sup_say("%s: %s; events are not written, nor logs that belong there (see --system-drive)",
                logs, strerror(errno));
    s->events = event_log_new(
        &(struct event_log_options){.path = s->o->log_stdout || !has_logs ? NULL : s->events_path,
                                    .fd = s->o->log_stdout ? STDOUT_FILENO : -1,
                                    .to_syslog = !s->o->log_stdout});
    if (!folders_make(temp, 0755, NULL))
        SUP_EVENT(s, EV_CND_STATE_FOLDER, NULL, temp, strerror(errno));
    return true;
}

/* http.reg beside the configuration file, unless the operator names another. */
static char *parameters_path(const struct supervisor_options *o)
{
    const char *slash = o->config_path ? strrchr(o->config_path, '/') : NULL;

    if (o->http_parameters)
        return xstrdup(o->http_parameters);
    if (!o->config_path)
        return NULL;
    return slash ? xasprintf("%.*s/http.reg", (int)(slash - o->config_path), o->config_path)
                 : xstrdup("http.reg");
}

static char *control_path(const struct supervisor *s)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    if (s->o->control_path)
        return xstrdup(s->o->control_path);
    if (geteuid() == 0)
        return xstrdup("/run/candor/control");
    return runtime && runtime[0] == '/' ? xasprintf("%s/candor/control", runtime)
                                        : xasprintf("%s/control", s->system_drive);
}

static bool open_control(struct supervisor *s)
{
    _cleanup_free_ char *path = control_path(s);
    char why[256];

    s->control = control_server_new(s, path, why, sizeof(why));
    if (s->control)
        return true;
    sup_say("control socket %s: %s", path, why);
    if (s->o->control_path)
        return false;
    SUP_EVENT(s, EV_CND_CONTROL_SOCKET, NULL, path, why);
    return true;
}

/* Connections need descriptors in the listener, sockets and workers need them here as well. */
static void say_descriptors(struct supervisor *s)
{
    _cleanup_close_ int lowest_free = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    uint64_t used = lowest_free < 0 ? s->descriptors : (uint64_t)lowest_free;

    if (s->descriptors >= DESCRIPTORS_FEW && s->descriptors - used >= DESCRIPTORS_SPARE)
        return;
    sup_say("only %" PRIu64 " file descriptors are allowed, and %" PRIu64
            " are in use already: raise the limit (ulimit -n, LimitNOFILE)",
            s->descriptors, used);
    SUP_EVENT(s, EV_CND_DESCRIPTOR_LIMIT, NULL, sup_number(s->descriptors).z);
}

static void say_start(struct supervisor *s)
{
    const char *what = s->o->folder ? s->o->folder : s->o->config_path;

    SUP_EVENT(s, EV_CND_SERVER_STARTED, NULL, CANDOR_VERSION, what);
    sites_say_addresses(s);
    certificates_say(s->certificates);
    metrics_say_address(s);
    readable_say(s);
    say_descriptors(s);
    sup_say("ready");
    notify_manager("READY=1");
}

static void on_tick(struct loop_timer *t)
{
    struct supervisor *s = CONTAINER_OF(t, struct supervisor, tick);

    for (size_t i = 0; i < s->n_pools && !s->stopping; i++)
        pool_look_after(s->pools[i]);
    loop_timer_set(s->loop, t, loop_now_ms(s->loop) + TICK_MS);
}

void sup_listener_ready(struct supervisor *s)
{
    loop_timer_clear(s->loop, &s->listener.deadline);
    if (s->is_ready || s->stopping)
        return;
    s->is_ready = true;
    say_start(s);
    s->tick.on_time = on_tick;
    on_tick(&s->tick); /* starts what is AlwaysRunning */
}

/* ---- stop ----------------------------------------------------------------------------------- */

static size_t count_workers(const struct supervisor *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_pools; i++)
        n += pool_count_workers(s->pools[i]);
    return n;
}

static void end_workers(struct supervisor *s)
{
    for (size_t i = 0; i < s->n_pools; i++) {
        for (struct worker *w = s->pools[i]->workers; w; w = w->next) {
            worker_abandon(w);
            if (s->stopping_now)
                worker_kill(w);
        }
    }
}

static void check_stopped(struct supervisor *s)
{
    if (s->stopping && !s->listener.pid && count_workers(s) == 0)
        loop_stop(s->loop);
}

static uint64_t longest_shutdown(const struct supervisor *s)
{
    uint64_t ms = 0;

    for (size_t i = 0; i < s->n_pools; i++)
        if (s->pools[i]->conf->shutdown_time_limit_ms > ms)
            ms = s->pools[i]->conf->shutdown_time_limit_ms;
    return ms;
}

/* The doors close here as well as in the listener: a socket that one of us still holds would let
 * clients in. Workers end when the listener has got its answers from them. */
static void stop(struct supervisor *s, const char *why)
{
    s->stopping = true;
    SUP_EVENT(s, EV_CND_SERVER_STOPPED, NULL, why);
    notify_manager("STOPPING=1");
    endpoints_begin(&s->endpoints);
    endpoints_fini(&s->endpoints);
    listener_stop(s, longest_shutdown(s));
    if (!s->listener.pid)
        end_workers(s);
    check_stopped(s);
}

static void stop_now(struct supervisor *s)
{
    s->stopping_now = true;
    listener_stop(s, 0);
    if (s->listener.pid)
        loop_timer_set(s->loop, &s->listener.deadline, loop_now_ms(s->loop) + AT_ONCE_MS);
    end_workers(s);
    check_stopped(s);
}

void sup_give_up(struct supervisor *s)
{
    s->exit_status = 1;
    if (!s->stopping)
        stop(s, "it could not start");
    stop_now(s);
}

/* ---- signals -------------------------------------------------------------------------------- */

static struct worker *worker_of(struct supervisor *s, pid_t pid)
{
    for (size_t i = 0; i < s->n_pools; i++)
        for (struct worker *w = s->pools[i]->workers; w; w = w->next)
            if (w->pid == pid)
                return w;
    return NULL;
}

static uint64_t processor_us(const struct rusage *r)
{
    return (uint64_t)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) * 1000000 +
           (uint64_t)(r->ru_utime.tv_usec + r->ru_stime.tv_usec);
}

static void collect_children(struct supervisor *s)
{
    struct rusage used;
    int status;
    pid_t pid;

    while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0) {
        struct worker *w = worker_of(s, pid);
        if (w) {
            cpu_limit_ended(w->pool, processor_us(&used));
            worker_exited(w, status);
        } else if (pid == s->listener.pid) {
            listener_exited(s, status);
            if (s->stopping)
                end_workers(s);
        }
    }
    sup_forget_pools(s);
    check_stopped(s);
}

static void take_signal(struct supervisor *s, uint32_t number)
{
    switch (number) {
    case SIGCHLD:
        collect_children(s);
        break;
    case SIGHUP:
        configuration_reload(s);
        break;
    case SIGUSR1:
        event_log_reopen(s->events);
        if (s->is_ready && !s->stopping)
            configuration_restore_log_folders(s);
        listener_send(s, json_pack("{s:s}", "type", "reopen_logs"), NULL, 0);
        break;
    default:
        if (s->stopping)
            stop_now(s);
        else
            stop(s, number == SIGINT ? "it was interrupted" : "it was told to");
        break;
    }
}

static void on_signal(struct loop_io *io, uint32_t events)
{
    struct supervisor *s = CONTAINER_OF(io, struct supervisor, signals);
    struct signalfd_siginfo info;

    while (read(io->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        take_signal(s, info.ssi_signo);
}

static void begin_signals(struct supervisor *s)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        sigaddset(&set, numbers[i]);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    /* What a parent ignores its children ignore: with SIGCHLD nobody would ever be waited for. */
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        signal(numbers[i], SIG_DFL);
    s->signals = (struct loop_io){.on_event = on_signal,
                                  .fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)};
    INVARIANT(s->signals.fd >= 0 && loop_io_set(s->loop, &s->signals, EPOLLIN));
}

/* ---- all together --------------------------------------------------------------------------- */

static bool begin(struct supervisor *s)
{
    const char *why = NULL;

    s->descriptors = process_raise_limits();
    if (s->descriptors < DESCRIPTORS_MIN) {
        sup_say("only %" PRIu64 " file descriptors are allowed, and %d are needed at least: raise "
                "the limit (ulimit -n, LimitNOFILE)",
                s->descriptors, DESCRIPTORS_MIN);
        return false;
    }
    if (!process_init()) {
        sup_say("/proc/self/exe: %s", strerror(errno));
        return false;
    }
    if (!prepare_drive(s))
        return false;
    s->parameters_path = parameters_path(s->o);
    sites_take_sockets(s);
    identity_for_listener(&s->listener_identity, &why);
    if (why) {
        sup_say("the listener: %s", why);
        SUP_EVENT(s, EV_CND_CONFIG_DIFFERENT, NULL, why);
    }
    s->certificates = certificates_new(s);
    if (!configuration_begin(s) || !metrics_begin(s) || !open_control(s))
        return false;
    certificates_apply(s->certificates);
    return listener_start(s);
}

static void end(struct supervisor *s)
{
    s->control = control_server_free(s->control);
    metrics_end(s);
    endpoints_fini(&s->endpoints);
    s->certificates = certificates_free(s->certificates);
    configuration_end(s);
    if (s->signals.fd >= 0)
        close(s->signals.fd);
    event_log_free(s->events);
    process_fini();
    loop_free(s->loop);
    free(s->parameters_path);
    free(s->events_path);
    free(s->system_drive);
}

int supervisor_run(const struct supervisor_options *o)
{
    struct supervisor s = {
        .o = o, .signals.fd = -1, .metrics_fd = -1, .started_us = clock_wall_us()};
    unsigned wanted = o->threads ? o->threads : count_processors();

    setvbuf(stderr, NULL, _IONBF, 0);
    hash_seed();
    s.threads = wanted > ENDPOINT_THREADS_MAX ? ENDPOINT_THREADS_MAX : wanted;
    endpoints_init(&s.endpoints, s.threads);
    s.loop = loop_new();
    begin_signals(&s);
    if (begin(&s))
        loop_run(s.loop);
    else
        s.exit_status = 1;
    end(&s);
    return s.exit_status;
}
