/* The worker process: its main thread obeys the supervisor and watches files, one thread per ring
 * pair runs requests. */
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/ipc.h"
#include "base/loop.h"
#include "base/sandbox.h"
#include "config/config.h"
#include "config/watch.h"
#include "queue/control.h"
#include "tables/http_parameters.h"
#include "worker/channel.h"
#include "worker/dir_watch.h"
#include "worker/plan.h"
#include "worker/preload.h"
#include "worker/thread.h"

#include "base/poison.h"

enum {
    CONFIG_BYTES_MAX = 64 * 1024 * 1024,
    IDLE_CHECK_MS = 60 * 1000,
    REQUESTS_CHECK_MS = 500, /* periodicRestart/@requests */
    STOP_CHECK_MS = 10,
    EVENT_PAUSE_MS = 1000, /* between events about configuration: clients choose how many come */
    THREADS_MAX = (IPC_MAX_FDS - 2) / 3,
    EXIT_NOT_STARTED = 1,
    EXIT_BROKEN_RING = 3,
};

struct process {
    struct worker w;
    struct loop *loop;
    struct loop_io control;
    struct loop_timer idle, stop, requests;
    struct config_watch *watch;
    char *system_drive;
    uint64_t started_ms, stop_by_ms;
    _Atomic uint64_t config_event_ms, config_event_hash; /* of the last one */
    bool started, stopping;
    int status;
};

/* ---- messages to the supervisor ------------------------------------------------------------- */

static void tell(json_t *msg)
{
    if (msg)
        (void)ipc_send(CONTROL_FD, msg, NULL, 0);
    json_decref(msg);
}

/* Events of source W3SVC-WP. */
enum { EVENT_START_CONFIG = 2297, EVENT_CONFIG = 2307 };

static void tell_failed(const char *text)
{
    tell(json_pack("{s:s, s:i, s:s, s:{}}", "type", "failed", "code", EVENT_START_CONFIG, "text",
                   text, "data"));
}

/* About configuration that cannot be read: at the start it is the end, later an event. */
static void tell_config(const struct process *p, const char *text)
{
    if (p->started)
        tell(json_pack("{s:s, s:i, s:s, s:{}}", "type", "event", "code", EVENT_CONFIG, "text", text,
                       "data"));
    else
        tell_failed(text);
}

static void on_broken(struct worker *w, const char *why)
{
    /* Called on a pipeline thread. Nothing that comes over this ring can be believed any more, and
     * an answer to it could reach the wrong client: end at once. */
    tell(json_pack("{s:s, s:s, s:s, s:{}}", "type", "event", "code", "ring_broken", "text", why,
                   "data"));
    _exit(EXIT_BROKEN_RING);
}

/* Event 2307, once for each error until another one comes. */
static void on_config_error(struct worker *w, const struct config_error *error)
{
    struct process *p = CONTAINER_OF(w, struct process, w);
    uint64_t now = clock_mono_ms(), last = atomic_load(&p->config_event_ms);
    _cleanup_buf_ struct buf text;

    if (now - last < EVENT_PAUSE_MS ||
        !atomic_compare_exchange_strong(&p->config_event_ms, &last, now))
        return;
    buf_init(&text, 16 * 1024);
    config_error_advise(error, &text);
    uint64_t hash = hash_bytes(text.p, text.n);

    if (atomic_exchange(&p->config_event_hash, hash) == hash)
        return;
    struct str file = error->file.p ? error->file : STR("");

    tell(json_pack("{s:s, s:i, s:s%, s:{s:s%, s:i, s:I, s:s%}}", "type", "event", "code",
                   EVENT_CONFIG, "text", text.p, text.n, "data", "file", file.p, file.n, "line",
                   (int)error->at_line, "hresult", (json_int_t)error->hresult, "pool",
                   w->pool.name.p, w->pool.name.n));
}

/* ---- configuration -------------------------------------------------------------------------- */

static char *read_memfd(int fd, size_t *ret_n)
{
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > CONFIG_BYTES_MAX)
        return NULL;
    char *p = xmalloc((size_t)st.st_size + 1);
    size_t n = 0;

    while (n < (size_t)st.st_size) {
        ssize_t got = pread(fd, p + n, (size_t)st.st_size - n, (off_t)n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            free(p);
            return NULL;
        }
        n += (size_t)got;
    }
    *ret_n = n;
    return p;
}

static struct config *load_config(const struct process *p, int fd, const char *name)
{
    size_t n;
    _cleanup_free_ char *bytes = read_memfd(fd, &n);
    struct config_error *error = NULL;

    if (!bytes) {
        tell_config(p, "the configuration could not be received");
        return NULL;
    }
    struct config_options o = {.bytes = str_n(bytes, n),
                               .display_name = name,
                               .system_drive = p->system_drive};
    struct config *c = config_load(&o, &error);

    if (!c && error) {
        _cleanup_buf_ struct buf text;
        buf_init(&text, 64 * 1024);
        config_error_advise(error, &text);
        buf_char(&text, '\0');
        tell_config(p, text.p);
    }
    config_error_free(error);
    return c;
}

static void on_config_change(void *arg, const struct config_change *change)
{
    struct process *p = arg;

    /* The server-level file comes from the supervisor, as a new generation. */
    if (change->is_server_file)
        return;
    config_invalidate(p->w.config, change->dir);
    worker_set_config(&p->w, NULL);
}

static void on_file_change(void *arg)
{
    worker_poke(arg);
}

static void take_generation(struct process *p, const json_t *msg, const int *fds, size_t n_fds)
{
    if (n_fds < 1)
        return;
    struct config *c = load_config(p, fds[0], ipc_get_str(msg, "config_path", NULL));

    if (!c)
        return; /* the supervisor has validated it: what we have stays in force */
    worker_set_config(&p->w, c);
    if (p->watch)
        config_watch_switch(p->watch, c);
}

/* ---- threads -------------------------------------------------------------------------------- */

static void *thread_main(void *arg)
{
    struct worker_thread *t = arg;

    cpu_pin_thread(t->index);
    loop_run(t->loop);
    return NULL;
}

static void start_threads(struct process *p, const int *fds, unsigned n)
{
    struct worker *w = &p->w;

    w->n_threads = n;
    w->threads = xcalloc(n, sizeof(*w->threads));
    for (unsigned i = 0; i < n; i++) {
        struct worker_thread *t = &w->threads[i];
        worker_thread_init(t, w, i);
        t->channel = channel_new(&(struct channel_options){.thread = t,
                                                           .region = &w->region,
                                                           .pair = i,
                                                           .worker_event = fds[3 * i],
                                                           .listener_event = fds[3 * i + 1],
                                                           .files = fds[3 * i + 2]});
    }
    for (unsigned i = 0; i < n; i++)
        preload_applications(&w->threads[i]);
    for (unsigned i = 0; i < n; i++)
        INVARIANT(pthread_create(&w->threads[i].id, NULL, thread_main, &w->threads[i]) == 0);
}

static void end_threads(struct process *p)
{
    struct worker *w = &p->w;

    for (unsigned i = 0; i < w->n_threads; i++)
        loop_stop(w->threads[i].loop);
    for (unsigned i = 0; i < w->n_threads; i++)
        pthread_join(w->threads[i].id, NULL);
    for (unsigned i = 0; i < w->n_threads; i++)
        worker_thread_fini(&w->threads[i]);
}

/* ---- idle and stop -------------------------------------------------------------------------- */

static bool is_busy(struct worker *w, uint64_t *ret_last_ms)
{
    bool busy = false;

    for (unsigned i = 0; i < w->n_threads; i++) {
        struct worker_thread *t = &w->threads[i];
        uint64_t ms = atomic_load_explicit(&t->last_ms, memory_order_relaxed);
        if (ms > *ret_last_ms)
            *ret_last_ms = ms;
        busy |= atomic_load_explicit(&t->held, memory_order_relaxed) > 0;
    }
    return busy;
}

static void on_idle_time(struct loop_timer *timer)
{
    struct process *p = CONTAINER_OF(timer, struct process, idle);
    uint64_t now = loop_now_ms(p->loop), last = p->started_ms;
    const struct config_pool *pool = config_pool_by_name(p->w.config, p->w.pool.name);
    uint64_t timeout = pool ? pool->idle_timeout_ms : 0;

    loop_timer_set(p->loop, timer, now + IDLE_CHECK_MS);
    if (is_busy(&p->w, &last) || p->stopping || timeout == 0 || now - last < timeout)
        return;
    tell(json_pack("{s:s, s:I}", "type", "idle", "idle_ms", (json_int_t)(now - last)));
}

/* periodicRestart/@requests. The supervisor may not be able to replace us now: ask again later. */
static void on_requests_time(struct loop_timer *timer)
{
    struct process *p = CONTAINER_OF(timer, struct process, requests);
    const struct config_pool *pool = config_pool_by_name(p->w.config, p->w.pool.name);
    uint64_t taken = 0;

    for (unsigned i = 0; i < p->w.n_threads; i++)
        taken += atomic_load_explicit(&p->w.threads[i].taken, memory_order_relaxed);
    bool asks = pool && pool->restart_requests && taken >= pool->restart_requests;

    if (asks)
        tell(json_pack("{s:s}", "type", "requests"));
    loop_timer_set(p->loop, timer,
                   loop_now_ms(p->loop) + (asks ? IDLE_CHECK_MS : REQUESTS_CHECK_MS));
}

static void begin_limits(struct process *p)
{
    const struct config_pool *pool = config_pool_by_name(p->w.config, p->w.pool.name);

    p->idle.on_time = on_idle_time;
    loop_timer_set(p->loop, &p->idle, p->started_ms + IDLE_CHECK_MS);
    p->requests.on_time = on_requests_time;
    if (pool && pool->restart_requests) /* another number means other workers */
        loop_timer_set(p->loop, &p->requests, p->started_ms + REQUESTS_CHECK_MS);
}

/* All rings are empty both ways: nothing is held and every answer has been taken. */
static bool rings_are_empty(const struct worker *w)
{
    for (unsigned i = 0; i < w->n_threads; i++) {
        const struct ring_shared *rings[] = {region_request_ring(&w->region, i),
                                             region_response_ring(&w->region, i)};
        for (size_t k = 0; k < ARRAY_LEN(rings); k++)
            if (atomic_load(&rings[k]->tail) != atomic_load(&rings[k]->head))
                return false;
    }
    return true;
}

static void on_stop_time(struct loop_timer *timer)
{
    struct process *p = CONTAINER_OF(timer, struct process, stop);
    uint64_t now = loop_now_ms(p->loop), last = 0;

    if (now < p->stop_by_ms && (is_busy(&p->w, &last) || !rings_are_empty(&p->w))) {
        loop_timer_set(p->loop, timer, now + STOP_CHECK_MS);
        return;
    }
    loop_stop(p->loop);
}

/* ---- messages from the supervisor ----------------------------------------------------------- */

static bool give_up(struct process *p)
{
    p->status = EXIT_NOT_STARTED;
    loop_stop(p->loop);
    return false;
}

static bool check_modules(struct process *p)
{
    struct arena a;

    arena_init(&a, 1 << 20);
    struct str text = plan_check_server(config_server_node(p->w.config), &p->w.pool, &a);

    if (text.n)
        tell_failed(text.p);
    arena_fini(&a);
    return text.n == 0;
}

/* False: fds were not taken over. */
static bool take_start(struct process *p, const json_t *msg, const int *fds, size_t n_fds)
{
    json_int_t threads = ipc_get_int(msg, "threads", 0);
    const char *pool = ipc_get_str(msg, "pool", "");

    if (p->started || threads < 1 || threads > THREADS_MAX || n_fds != 2 + 3 * (size_t)threads) {
        tell_failed("the start message is not understood");
        return give_up(p);
    }
    p->system_drive = xstrdup(ipc_get_str(msg, "system_drive", "/"));
    struct config *c = load_config(p, fds[0], ipc_get_str(msg, "config_path", NULL));

    if (!c)
        return give_up(p);
    worker_init(&p->w, c, str_z(pool));
    struct http_parameters parameters;

    http_parameters_from_json(json_object_get(msg, "parameters"), &parameters);
    p->w.trace_enabled = parameters.enable_trace_method;
    p->started = true;
    p->w.on_broken = on_broken;
    p->w.on_config_error = on_config_error;
    if (!check_modules(p))
        return give_up(p);
    if (!region_map(fds[1], &p->w.region) || p->w.region.threads < threads) {
        tell_failed("the shared memory of the request queue cannot be used");
        return give_up(p);
    }
    p->w.watcher = dir_watcher_new(p->loop);
    dir_watcher_on_change(p->w.watcher, on_file_change, &p->w);
    p->watch = config_watch_new(p->loop, c, on_config_change, p);
    p->w.config_watch = p->watch;
    p->w.watches_live = p->w.watcher && p->watch;
    start_threads(p, fds + 2, (unsigned)threads);
    close(fds[0]);
    close(fds[1]);
    p->started_ms = clock_mono_ms();
    begin_limits(p);
    tell(json_pack("{s:s}", "type", "ready"));
    return true;
}

static void take_stop(struct process *p, const json_t *msg)
{
    json_int_t ms = ipc_get_int(msg, "timeout_ms", 0);

    p->stopping = true;
    p->stop_by_ms = loop_now_ms(p->loop) + (ms > 0 ? (uint64_t)ms : 0);
    loop_timer_set(p->loop, &p->stop, loop_now_ms(p->loop));
}

/* True if the descriptors were taken over. */
static bool take_message(struct process *p, const json_t *msg, const int *fds, size_t n_fds)
{
    const char *type = ipc_get_str(msg, "type", "");

    if (strcmp(type, "start") == 0)
        return take_start(p, msg, fds, n_fds);
    if (strcmp(type, "generation") == 0 && p->started)
        take_generation(p, msg, fds, n_fds);
    else if (strcmp(type, "ping") == 0)
        tell(json_pack("{s:s, s:I}", "type", "pong", "token", ipc_get_int(msg, "token", 0)));
    else if (strcmp(type, "stop") == 0)
        take_stop(p, msg);
    return false;
}

static void on_control(struct loop_io *io, uint32_t events)
{
    struct process *p = CONTAINER_OF(io, struct process, control);
    int fds[IPC_MAX_FDS];
    size_t n_fds = 0;
    json_t *msg = NULL;
    int rc = ipc_recv(io->fd, &msg, fds, &n_fds);

    if (rc == 0)
        return;
    if (rc < 0) {
        /* No supervisor, no purpose. */
        loop_io_set(p->loop, io, 0);
        loop_stop(p->loop);
        return;
    }
    if (!take_message(p, msg, fds, n_fds))
        for (size_t i = 0; i < n_fds; i++)
            close(fds[i]);
    json_decref(msg);
}

/* ---- process -------------------------------------------------------------------------------- */

/* The address space holds other people's secrets. Who asks for core dumps gets them. */
static void protect_process(void)
{
    struct rlimit core;

    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0)
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    signal(SIGPIPE, SIG_IGN);
}

int worker_main(void)
{
    struct process p = {.loop = loop_new()};

    protect_process();
    hash_seed();
    if (!sandbox_worker()) {
        tell_failed(strerror(errno));
        loop_free(p.loop);
        return EXIT_NOT_STARTED;
    }
    (void)fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
    (void)fcntl(CONTROL_FD, F_SETFL, fcntl(CONTROL_FD, F_GETFL) | O_NONBLOCK);
    p.control = (struct loop_io){.on_event = on_control, .fd = CONTROL_FD};
    p.stop.on_time = on_stop_time;
    if (loop_io_set(p.loop, &p.control, EPOLLIN))
        loop_run(p.loop);
    end_threads(&p);
    p.watch = config_watch_free(p.watch);
    if (p.started)
        worker_fini(&p.w);
    region_unmap(&p.w.region);
    free(p.system_drive);
    loop_free(p.loop);
    return p.status;
}
