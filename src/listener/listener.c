/* The listener's main thread: orders from the supervisor, letters to and from the event threads. */
#include "listener/listener.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/hash.h"
#include "base/ipc.h"
#include "base/sandbox.h"
#include "base/socket_batch.h"
#include "listener/generation.h"
#include "listener/letters.h"
#include "listener/metrics_facts.h"
#include "listener/response_cache.h"
#include "listener/shared.h"
#include "listener/thread.h"
#include "listener/tls.h"
#include "logging/logging.h"
#include "queue/control.h"
#include "base/poison.h"

enum { LOG_STOP_MS = 5000 };

/* On an event thread: a client names a host whose certificate lies in the central store. */
static void want_certificate(void *arg, struct str name)
{
    json_t *msg = json_pack("{s:s, s:s%}", "type", "certificate_wanted", "name", name.p, name.n);

    listener_post(arg, &(struct letter){.kind = LETTER_EVENT, .json = msg});
}

static void on_control(struct loop_io *io, uint32_t events)
{
    struct listener *l = CONTAINER_OF(io, struct listener, control_io);

    if (events & EPOLLOUT)
        listener_tell_rest(l);
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
            listener_finish(l, 0);
            return;
        }
        for (size_t i = listener_obey(l, msg, fds, n_fds); i < n_fds; i++)
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
        listener_tell(l, json_pack("{s:s, s:s%}", "type", "demand", "pool", m->pool->name.p,
                          m->pool->name.n));
        break;
    case LETTER_LINK_EMPTY:
        if (w && ++w->drained == l->n_threads)
            listener_tell(l, json_pack("{s:s, s:I}", "type", "worker_drained", "worker",
                              (json_int_t)w->id));
        break;
    case LETTER_MALFORMED:
        if (w)
            listener_tell(l, json_pack("{s:s, s:I, s:s}", "type", "worker_malformed", "worker",
                              (json_int_t)w->id, "text", m->text));
        break;
    case LETTER_EVENT:
        listener_tell(l, m->json);
        break;
    case LETTER_SYNCED:
        listener_answer_status(l, (json_int_t)m->id);
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
    l->metrics = listener_metrics_end(l->metrics);
    for (unsigned i = 0; i < l->n_threads && l->generation; i++)
        pthread_join(l->threads[i].id, NULL);
    if (l->logging)
        logging_stop(l->logging, LOG_STOP_MS);
    for (unsigned i = 0; i < l->n_threads && l->generation; i++)
        thread_fini(&l->threads[i]);
    generation_unref(l->generation);
    after_wait(l); /* what still lies in the inbox */
    listener_tell_last(l);
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
    response_cache_free(l->cache);
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
    tls_set_wanted(want_certificate, &l);
    l.inbox_end = &l.inbox;
    l.untold_end = &l.untold;
    pthread_mutex_init(&l.inbox_lock, NULL);
    loop_set_hooks(l.loop, (struct loop_hooks){.after_wait = after_wait, .arg = &l});
    l.control_io = (struct loop_io){.on_event = on_control, .fd = l.control};
    if (fcntl(l.control, F_SETFL, O_NONBLOCK) < 0 ||
        !loop_io_set(l.loop, &l.control_io, EPOLLIN)) {
        fprintf(stderr, "candor: the listener is started by the supervisor, not by hand\n");
        return 2;
    }
    memory_guard_open(&l.memory);
    loop_run(l.loop);
    fini(&l);
    memory_guard_close(&l.memory);
    return 0;
}

int listener_main(void)
{
    socket_batch_prepare(cpu_usable());
    /* From here on it meets strangers. */
    if (!sandbox_listener()) {
        perror("candor: the listener could not give up its privileges");
        return 1;
    }
    return listener_run();
}
