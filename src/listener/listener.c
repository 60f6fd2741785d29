/* The listener's main thread: orders from the supervisor, letters to and from the event threads. */
#include "listener/listener.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/ipc.h"
#include "base/sandbox.h"
#include "listener/internal.h"
#include "queue/control.h"
#include "base/poison.h"

enum { LOG_STOP_MS = 5000 };

static void tell(struct listener *l, json_t *msg)
{
    ipc_send(l->control, msg, NULL, 0);
    json_decref(msg);
}

static void tell_event(struct listener *l, const char *code, const char *text, json_t *data)
{
    tell(l, json_pack("{s:s, s:s, s:s, s:o}", "type", "event", "code", code, "text", text, "data",
                      data ? data : json_object()));
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
    json_t *msg = json_pack("{s:s, s:s, s:s, s:o}", "type", "event", "code", codes[ev->code], "text",
                            ev->text, "data", data);

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

static void take_generation(struct listener *l, const json_t *msg)
{
    const char *why;
    struct generation_env env = {.arg = l,
                                 .pool = env_pool,
                                 .site_state = env_site_state,
                                 .log_site = env_log_site};

    if (!take_log_settings(l, msg) && l->generation) {
        tell(l, json_pack("{s:s, s:O, s:s}", "type", "generation_failed", "id",
                          json_object_get(msg, "id"), "text", "the log settings are not usable"));
        return;
    }
    take_pools(l, json_object_get(msg, "pools"));
    struct generation *g = generation_load(msg, &env, &why);

    if (!g) {
        tell(l, json_pack("{s:s, s:O, s:s}", "type", "generation_failed", "id",
                          json_object_get(msg, "id"), "text", why));
        return;
    }
    struct generation *old = l->generation;

    l->generation = g;
    if (old) {
        for (unsigned i = 0; i < l->n_threads; i++)
            thread_post(&l->threads[i], &(struct letter){.kind = LETTER_GENERATION,
                                                         .generation = generation_ref(g)});
        generation_unref(old);
    } else {
        for (unsigned i = 0; i < l->n_threads; i++)
            thread_start(l, i);
    }
    tell(l, json_pack("{s:s, s:I}", "type", "generation_ok", "id", (json_int_t)g->id));
}

static size_t add_endpoint(struct listener *l, const json_t *msg, const int *fds, size_t n)
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

static size_t attach_worker(struct listener *l, const json_t *msg, const int *fds, size_t n)
{
    struct pool *pool = find_pool(l, str_z(ipc_get_str(msg, "pool", "")));
    struct worker_process *w = xcalloc(1, sizeof(*w));

    if (!pool || !l->generation || n != 1 + 3 * (size_t)l->n_threads || !region_map(fds[0], &w->region) ||
        w->region.threads != l->n_threads) {
        region_unmap(&w->region);
        free(w);
        /* Nothing can reach it: to be ended and replaced. */
        tell(l, json_pack("{s:s, s:I, s:s}", "type", "worker_malformed", "worker",
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

static void answer_status(struct listener *l, json_int_t token)
{
    json_t *pools = json_array();

    for (struct pool *p = l->pools; p; p = p->next) {
        json_int_t queued = 0;
        for (unsigned i = 0; i < l->n_threads; i++)
            queued += atomic_load_explicit(&p->waiting[i].n, memory_order_relaxed);
        json_array_append_new(pools, json_pack("{s:s%, s:I}", "pool", p->name.p, p->name.n, "queued",
                                               queued));
    }
    tell(l, json_pack("{s:s, s:I, s:I, s:o}", "type", "status", "token",
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
        answer_status(l, token);
}

static void stop(struct listener *l, uint64_t timeout_ms)
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
    tell(l, json_pack("{s:s}", "type", "ready"));
}

/* Gives how many of the descriptors it has taken over, from the first. */
static size_t obey(struct listener *l, const json_t *msg, const int *fds, size_t n_fds)
{
    const char *type = ipc_get_str(msg, "type", "");
    uint64_t worker = (uint64_t)ipc_get_int(msg, "worker", 0);

    if (strcmp(type, "start") == 0)
        start(l, msg);
    else if (!l->threads)
        return 0; /* nothing makes sense before start */
    else if (strcmp(type, "generation") == 0)
        take_generation(l, msg);
    else if (strcmp(type, "endpoint_add") == 0)
        return add_endpoint(l, msg, fds, n_fds);
    else if (strcmp(type, "worker_attach") == 0)
        return attach_worker(l, msg, fds, n_fds);
    else if (strcmp(type, "endpoint_remove") == 0)
        post_all(l, (struct letter){.kind = LETTER_ENDPOINT_REMOVE,
                                    .id = (uint64_t)ipc_get_int(msg, "id", 0)});
    else if (strcmp(type, "worker_drain") == 0 && find_worker(l, worker))
        post_all(l, (struct letter){.kind = LETTER_WORKER_DRAIN, .worker = find_worker(l, worker)});
    else if (strcmp(type, "worker_gone") == 0)
        worker_gone(l, worker);
    else if (strcmp(type, "pool_state") == 0)
        set_pool_state(l, get_pool(l, str_z(ipc_get_str(msg, "pool", ""))), msg);
    else if (strcmp(type, "reopen_logs") == 0 && l->logging)
        logging_reopen(l->logging);
    else if (strcmp(type, "status") == 0)
        ask_status(l, msg);
    else if (strcmp(type, "stop") == 0)
        stop(l, (uint64_t)ipc_get_int(msg, "timeout_ms", 90000));
    return 0;
}

static void on_control(struct loop_io *io, uint32_t events)
{
    struct listener *l = CONTAINER_OF(io, struct listener, control_io);

    for (;;) {
        int fds[IPC_MAX_FDS];
        size_t n_fds = 0;
        json_t *msg = NULL;
        int rc = ipc_recv(l->control, &msg, fds, &n_fds);
        if (rc == 0)
            return;
        if (rc < 0) {
            /* The supervisor is gone: without it nobody would look after the workers. */
            loop_io_set(l->loop, io, 0);
            stop(l, 0);
            return;
        }
        for (size_t i = obey(l, msg, fds, n_fds); i < n_fds; i++)
            close(fds[i]);
        json_decref(msg);
    }
}

static void read_letter(struct listener *l, const struct letter *m)
{
    struct worker_process *w = NULL;

    for (struct worker_process *i = l->workers; i; i = i->next)
        if (i == m->worker)
            w = i; /* it may have gone in the meantime */
    switch (m->kind) {
    case LETTER_DEMAND:
        tell(l, json_pack("{s:s, s:s%}", "type", "demand", "pool", m->pool->name.p,
                          m->pool->name.n));
        break;
    case LETTER_LINK_EMPTY:
        if (w && ++w->drained == l->n_threads)
            tell(l, json_pack("{s:s, s:I}", "type", "worker_drained", "worker",
                              (json_int_t)w->id));
        break;
    case LETTER_MALFORMED:
        if (w)
            tell(l, json_pack("{s:s, s:I, s:s}", "type", "worker_malformed", "worker",
                              (json_int_t)w->id, "text", m->text));
        break;
    case LETTER_EVENT:
        tell(l, m->json);
        break;
    case LETTER_SYNCED:
        answer_status(l, (json_int_t)m->id);
        break;
    case LETTER_THREAD_STOPPED:
        if (++l->threads_stopped == l->n_threads)
            loop_stop(l->loop);
        break;
    default:
        break;
    }
}

static void after_wait(void *arg)
{
    struct listener *l = arg;

    pthread_mutex_lock(&l->inbox_lock);
    struct letter *m = l->inbox;
    l->inbox = NULL;
    l->inbox_end = &l->inbox;
    pthread_mutex_unlock(&l->inbox_lock);
    while (m) {
        struct letter *next = m->next;
        read_letter(l, m);
        free(m);
        m = next;
    }
}

static void fini(struct listener *l)
{
    for (unsigned i = 0; i < l->n_threads && l->generation; i++)
        pthread_join(l->threads[i].id, NULL);
    if (l->logging)
        logging_stop(l->logging, LOG_STOP_MS);
    for (unsigned i = 0; i < l->n_threads && l->generation; i++)
        thread_fini(&l->threads[i]);
    generation_unref(l->generation);
    after_wait(l); /* what still lies in the inbox */
    for (struct worker_process *w = l->workers, *next; w; w = next) {
        next = w->next;
        worker_unref(w);
    }
    for (struct pool *p = l->pools, *next; p; p = next) {
        next = p->next;
        free((char *)(uintptr_t)p->name.p);
        free(p->waiting);
        free(p);
    }
    for (struct site_state *s = l->sites, *next; s; s = next) {
        next = s->next;
        free(s);
    }
    free(l->threads);
    pthread_mutex_destroy(&l->inbox_lock);
    loop_free(l->loop);
}

static void allow_many_descriptors(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

int listener_run(void)
{
    struct listener l = {.control = CONTROL_FD};

    signal(SIGPIPE, SIG_IGN);
    allow_many_descriptors();
    hash_seed();
    l.loop = loop_new();
    l.inbox_end = &l.inbox;
    pthread_mutex_init(&l.inbox_lock, NULL);
    loop_set_hooks(l.loop, (struct loop_hooks){.after_wait = after_wait, .arg = &l});
    l.control_io = (struct loop_io){.on_event = on_control, .fd = l.control};
    if (fcntl(l.control, F_SETFL, O_NONBLOCK) < 0 ||
        !loop_io_set(l.loop, &l.control_io, EPOLLIN)) {
        fprintf(stderr, "candor: the listener is started by the supervisor, not by hand\n");
        return 2;
    }
    loop_run(l.loop);
    fini(&l);
    return 0;
}

int listener_main(void)
{
    /* From here on it meets strangers. */
    if (!sandbox_listener()) {
        perror("candor: the listener could not give up its privileges");
        return 1;
    }
    return listener_run();
}
