/* Starting a worker: everything it and the listener need to talk to each other, and its process. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "config/secrets.h"
#include "queue/region.h"
#include "supervisor/internal.h"
#include "supervisor/process.h"
#include "base/poison.h"

static void close_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* The server-level file as this generation read it, without the identities of pools: a worker knows
 * its own only by being it. -1 with errno. */
static int config_memfd(const struct config *c)
{
    struct str bytes = config_source(c);
    _cleanup_free_ char *text = str_dup_z(bytes);
    int fd = memfd_create("candor-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -1;
    config_mask_process_identities(text, bytes.n);
    for (size_t done = 0; done < bytes.n;) {
        ssize_t n = write(fd, text + done, bytes.n - done);
        if (n < 0) {
            int e = errno;
            close(fd);
            errno = e;
            return -1;
        }
        done += (size_t)n;
    }
    (void)lseek(fd, 0, SEEK_SET);
    (void)fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    return fd;
}

void worker_send_generation(struct worker *w)
{
    struct supervisor *s = w->pool->s;

    if (w->state == WORKER_ORPHANED)
        return;
    _cleanup_close_ int fd = config_memfd(s->config);

    if (fd < 0) {
        SUP_EVENT(s, EV_WAS_RECYCLE_NOT_SENT,
                  json_pack("{s:s, s:s}", "pool", w->pool->name, "error", strerror(errno)),
                  w->pool->name);
        return;
    }
    struct str name = config_source_name(s->config);

    worker_send(w,
                json_pack("{s:s, s:I, s:s%}", "type", "generation", "id", (json_int_t)s->generation,
                          "config_path", name.p, name.n),
                &fd, 1);
}

/* Everything that joins a worker with the listener. The first two lists are what control.h wants
 * sent; the third is on what the worker sleeps, for its suspension. */
struct kit {
    int worker[2 + 3 * ENDPOINT_THREADS_MAX];
    int listener[1 + 3 * ENDPOINT_THREADS_MAX];
    int sleeps[ENDPOINT_THREADS_MAX];
    size_t n_worker, n_listener, n_sleeps;
};

/* The listener wakes a worker through a pipe and not an eventfd: copies of an eventfd share their
 * flags, so that a worker that makes its own blocking, and fills it, would hold the listener. */
static bool add_pair(struct kit *k)
{
    int listener_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int wake[2] = {-1, -1}, files[2] = {-1, -1};

    (void)!pipe2(wake, O_CLOEXEC | O_NONBLOCK);
    (void)!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, files);
    k->listener[k->n_listener++] = listener_event;
    k->listener[k->n_listener++] = wake[1];
    k->listener[k->n_listener++] = files[0];
    k->worker[k->n_worker++] = wake[0];
    k->worker[k->n_worker++] = fcntl(listener_event, F_DUPFD_CLOEXEC, 0);
    k->worker[k->n_worker++] = files[1];
    k->sleeps[k->n_sleeps++] = fcntl(wake[0], F_DUPFD_CLOEXEC, 0);
    return listener_event >= 0 && wake[0] >= 0 && files[0] >= 0 &&
           k->worker[k->n_worker - 2] >= 0 && k->sleeps[k->n_sleeps - 1] >= 0;
}

static void close_kit(const struct kit *k)
{
    close_all(k->worker, k->n_worker);
    close_all(k->listener, k->n_listener);
    close_all(k->sleeps, k->n_sleeps);
}

static bool make_kit(const struct supervisor *s, struct kit *k)
{
    *k = (struct kit){0};
    k->worker[k->n_worker++] = config_memfd(s->config);
    int region = region_create(s->threads, s->parameters.max_request_bytes);
    k->listener[k->n_listener++] = region;
    k->worker[k->n_worker++] = region < 0 ? -1 : fcntl(region, F_DUPFD_CLOEXEC, 0);
    bool ok = k->worker[0] >= 0 && k->worker[1] >= 0;

    for (unsigned i = 0; ok && i < s->threads; i++)
        ok = add_pair(k);
    if (!ok) {
        int e = errno;
        close_kit(k);
        errno = e;
    }
    return ok;
}

static bool start_process(struct pool *p, pid_t *ret_pid, int *ret_control)
{
    const struct config_pool *conf = p->conf;
    struct process_env *env = xcalloc(conf->n_environment + 1, sizeof(*env));

    env[0] = (struct process_env){STR("APP_POOL_ID"), conf->name};
    for (size_t i = 0; i < conf->n_environment; i++)
        env[i + 1] = (struct process_env){conf->environment[i].name, conf->environment[i].value};
    bool ok = process_start(&(struct process_options){.role = "worker",
                                                      .label = p->name,
                                                      .identity = &p->identity,
                                                      .env = env,
                                                      .n_env = conf->n_environment + 1},
                            ret_pid, ret_control);
    int e = errno;

    free(env);
    errno = e;
    return ok;
}

static void send_start(struct worker *w, const struct kit *k)
{
    struct supervisor *s = w->pool->s;
    struct str name = config_source_name(s->config);

    worker_send(w,
                json_pack("{s:s, s:i, s:s, s:i, s:s, s:s%, s:I, s:o}", "type", "start", "worker",
                          (int)w->id, "pool", w->pool->name, "threads", (int)s->threads,
                          "system_drive", s->system_drive, "config_path", name.p, name.n,
                          "generation", (json_int_t)s->generation, "parameters",
                          http_parameters_to_json(&s->parameters)),
                k->worker, k->n_worker);
}

static struct worker *add_worker(struct pool *p, pid_t pid, int control, uint32_t replaces,
                                 const struct kit *k)
{
    struct worker *w = worker_new(p, pid, control);

    w->replaces = replaces;
    w->n_kit = k->n_listener;
    w->kit = xcalloc(k->n_listener, sizeof(int));
    memcpy(w->kit, k->listener, k->n_listener * sizeof(int));
    w->n_sleeps = k->n_sleeps;
    w->sleeps = xcalloc(k->n_sleeps, sizeof(int));
    memcpy(w->sleeps, k->sleeps, k->n_sleeps * sizeof(int));
    return w;
}

/* Nothing could be started: a failure of the machine, which counts like one of the worker. */
static struct worker *cannot_start(struct pool *p, int err)
{
    SUP_EVENT(p->s, EV_WAS_NO_WORKER,
              json_pack("{s:s, s:s}", "pool", p->name, "error", strerror(err)), p->name);
    (void)pool_count_failure(p);
    return NULL;
}

static void say_identity(struct pool *p, const char *why)
{
    char *text = xasprintf("application pool \"%s\": %s", p->name, why);

    sup_say("%s", text);
    SUP_EVENT(p->s, EV_CND_CONFIG_DIFFERENT, json_pack("{s:s}", "pool", p->name), text);
    free(text);
    p->identity_told = true;
}

struct worker *worker_start(struct pool *p, uint32_t replaces)
{
    struct supervisor *s = p->s;
    struct kit k;
    const char *why = NULL;
    pid_t pid;
    int control;

    if (identity_for_pool(p->conf, &p->identity, &why) == RC_FAIL) {
        pool_disable(p, EV_WAS_DISABLED_IDENTITY);
        return NULL;
    }
    if (why && !p->identity_told)
        say_identity(p, why);
    if (!make_kit(s, &k))
        return cannot_start(p, errno);
    if (!start_process(p, &pid, &control)) {
        int e = errno;
        close_kit(&k);
        return cannot_start(p, e);
    }
    cpu_limit_add(p, pid);
    struct worker *w = add_worker(p, pid, control, replaces, &k);

    send_start(w, &k);
    close_all(k.worker, k.n_worker);
    return w;
}
