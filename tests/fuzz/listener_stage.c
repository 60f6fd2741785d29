#include "listener_stage.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/letters.h"
#include "listener/link.h"
#include "listener/response_cache.h"

struct stage stage = {.worker_end = -1, .some_file = -1};

unsigned script_byte(struct script *s)
{
    return s->p < s->end ? *s->p++ : 0;
}

/* --- the listener --- */

static struct pool *env_pool(void *arg, struct str name)
{
    return &stage.pool;
}

static struct site_state *env_state(void *arg, uint32_t id)
{
    static struct site_state state;

    return &state;
}

static struct log_site *env_log(void *arg, uint32_t id)
{
    return NULL;
}

static int listen_here(uint16_t *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    INVARIANT(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 512) == 0);
    INVARIANT(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void load_generation(json_t *parameters, uint16_t port)
{
    struct generation_env env = {.pool = env_pool, .site_state = env_state, .log_site = env_log};
    const char *why;
    json_t *msg =
        json_pack("{s:o, s:[{s:i, s:[{s:i}], s:[{s:s}]}]}", "parameters", parameters, "sites", "id",
                  1, "bindings", "port", (int)port, "applications", "path", "/");

    stage.l.generation = generation_load(msg, &env, &why);
    INVARIANT(stage.l.generation);
    json_decref(msg);
}

void stage_set_up(json_t *parameters, uint64_t max_request_bytes)
{
    struct listener *l = &stage.l;
    struct log_settings settings;
    uint16_t port;
    int fd = listen_here(&port);

    signal(SIGPIPE, SIG_IGN); /* as the listener does: sendfile raises it */
    log_settings_init(&settings);
    l->n_threads = 1;
    l->threads = xcalloc(1, sizeof(struct thread));
    l->loop = loop_new();
    l->inbox_end = &l->inbox;
    pthread_mutex_init(&l->inbox_lock, NULL);
    l->logging = logging_new(&settings, &(struct logging_options){.threads = 1});
    log_settings_fini(&settings);
    l->cache = response_cache_new(&(struct response_cache_limits){.max_bytes = 1 << 20}, 1);
    stage.pool.name = STR("P");
    stage.pool.waiting = aligned_alloc(64, sizeof(*stage.pool.waiting));
    memset(stage.pool.waiting, 0, sizeof(*stage.pool.waiting));
    atomic_store(&stage.pool.queue_length, 1000);
    load_generation(parameters, port);
    thread_init(l, 0);
    stage.door = (struct acceptor){.io.fd = fd, .thread = &l->threads[0], .port = port};
    stage.some_file = memfd_create("file", 0);
    INVARIANT(stage.some_file >= 0 && ftruncate(stage.some_file, 1 << 20) == 0);
    stage.max_request_bytes = max_request_bytes;
}

/* --- the worker --- */

void stage_worker_arrive(void)
{
    struct worker_process *w = xcalloc(1, sizeof(*w));
    int fd = region_create(1, stage.max_request_bytes), sock[2];

    INVARIANT(fd >= 0 && region_map(fd, &w->region));
    close(fd);
    INVARIANT(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock) == 0);
    stage.worker_end = sock[1];
    w->pool = &stage.pool;
    w->listener_wake = xcalloc(1, sizeof(int));
    w->worker_wake = xcalloc(1, sizeof(int));
    w->file_sock = xcalloc(1, sizeof(int));
    w->listener_wake[0] = eventfd(0, EFD_NONBLOCK);
    w->worker_wake[0] = eventfd(0, EFD_NONBLOCK);
    w->file_sock[0] = sock[0];
    atomic_init(&w->refs, 1);
    stage.worker = w;
    link_attach(&stage.l.threads[0], w);
}

void stage_worker_leave(void)
{
    if (!stage.worker)
        return;
    close(stage.worker_end);
    link_gone(&stage.l.threads[0], stage.worker);
    stage.worker = NULL;
}

const struct exchange *stage_exchange(const struct link *k, unsigned n)
{
    const struct exchange *lists[] = {k->held, k->untaken};

    for (int i = 0; i < 2; i++)
        for (const struct exchange *x = lists[i]; x; x = x->next)
            if (n-- == 0)
                return x;
    return NULL;
}

void stage_put_record(struct link *k, unsigned type, unsigned flags, uint64_t id, const void *p,
                      uint32_t n)
{
    struct ring out;

    if (k->gone)
        return;
    /* The same ring seen as the worker's producer end. */
    ring_attach(&out, k->responses.shared, k->responses.size, k->worker->listener_wake[0], -1);
    out.mine = atomic_load(&k->responses.shared->tail);
    out.other = k->responses.mine;
    (void)!ring_push(&out, (uint16_t)type, (uint16_t)flags, id, p, n);
}

/* --- clients --- */

int stage_client(void)
{
    static uint32_t arrived;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(stage.door.port)};
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7f010001 + arrived++ / 1000 % 50000)};
    int small = 4096, one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    INVARIANT(bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0);
    /* The fuzzer's own clock interrupts; the second call waits on. */
    while (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EISCONN)
        INVARIANT(errno == EINTR);
    return fd;
}

void stage_reset(int client)
{
    struct linger hard = {.l_onoff = 1};

    setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(client);
}

/* --- everything else --- */

void stage_time_passes(unsigned n)
{
    struct connection *c = stage.l.threads[0].connections;

    while (c && n--)
        c = c->next;
    if (!c || !c->timer.deadline_ms)
        return;
    c->timer.deadline_ms = 0;
    conn_timer_fired(&c->timer);
}

void stage_close_pool(enum httperr_reason why)
{
    atomic_store(&stage.pool.closed, (uint32_t)why);
    pool_closed(thread_pool_of(&stage.l.threads[0], &stage.pool), why);
}

static void check_link(const struct link *k, uint32_t held)
{
    uint32_t in_link = 0, files = 0;

    for (const struct exchange *x = k->held; x; x = x->next)
        in_link++;
    INVARIANT(in_link == k->n_held && in_link == held);
    for (int i = 0; i < LINK_FILE_SLOTS; i++)
        for (const struct out_file *f = k->files[i]; f; f = f->next)
            files++;
    INVARIANT(files == k->n_files);
}

void stage_check(void)
{
    const struct thread *t = &stage.l.threads[0];
    uint32_t waiting = 0, held = 0;

    for (uint32_t i = 0; i < t->n_slots; i++) {
        const struct exchange *x = t->slots[i];
        if (!x->conn)
            continue;
        INVARIANT(x->conn->x == x);
        waiting += x->state == X_QUEUED || (x->state == X_PUSHED && !x->aborted);
        held += x->state == X_HELD;
    }
    INVARIANT(atomic_load(&stage.pool.waiting[0].n) == waiting);
    if (t->links)
        check_link(t->links, held);
    else
        INVARIANT(held == 0);
}

static void empty_inbox(void)
{
    for (struct letter *m = stage.l.inbox, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    stage.l.inbox = NULL;
    stage.l.inbox_end = &stage.l.inbox;
}

void stage_clear(void)
{
    struct thread *t = &stage.l.threads[0];

    acceptor_on_event(&stage.door.io, EPOLLIN);
    stage_worker_leave();
    atomic_store(&stage.pool.closed, (uint32_t)HTTPERR_NONE);
    atomic_store(&stage.pool.queue_length, 1000);
    atomic_store(&stage.pool.tcp_level, false);
    thread_end_all(t);
    INVARIANT(t->n_connections == 0 && atomic_load(&stage.pool.waiting[0].n) == 0);
    empty_inbox();
}
