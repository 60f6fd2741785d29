/* What a hostile worker can write: records of any kind on the response ring of a real link that has
 * a real request under way, or raw bytes in the ring's memory. The listener must neither crash nor
 * leak, whatever it makes of the worker. */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "listener/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct listener l;
static struct pool pool;
static int listen_fd;
static struct acceptor *door;
static uint16_t port;

static struct pool *env_pool(void *arg, struct str name)
{
    return &pool;
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

static void set_up(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    struct log_settings settings;
    struct generation_env env = {.pool = env_pool, .site_state = env_state, .log_site = env_log};
    const char *why;

    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    INVARIANT(bind(listen_fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(listen_fd, 16) == 0);
    INVARIANT(getsockname(listen_fd, (struct sockaddr *)&a, &len) == 0);
    port = ntohs(a.sin_port);
    log_settings_init(&settings);
    l.n_threads = 1;
    l.threads = xcalloc(1, sizeof(struct thread));
    l.loop = loop_new();
    l.inbox_end = &l.inbox;
    pthread_mutex_init(&l.inbox_lock, NULL);
    l.logging = logging_new(&settings, &(struct logging_options){.threads = 1});
    log_settings_fini(&settings);
    pool.name = STR("P");
    pool.waiting = aligned_alloc(64, sizeof(*pool.waiting));
    memset(pool.waiting, 0, sizeof(*pool.waiting));
    atomic_store(&pool.queue_length, 1000);
    json_t *msg = json_pack("{s:{}, s:[{s:i, s:[{s:i}], s:[{s:s}]}]}", "parameters", "sites", "id", 1,
                            "bindings", "port", (int)port, "applications", "path", "/");
    l.generation = generation_load(msg, &env, &why);
    INVARIANT(l.generation);
    json_decref(msg);
    thread_init(&l, 0);
    door = xcalloc(1, sizeof(*door));
    *door = (struct acceptor){.io.fd = listen_fd, .thread = &l.threads[0], .port = port};
}

static struct worker_process *new_worker(void)
{
    struct worker_process *w = xcalloc(1, sizeof(*w));
    int fd = region_create(1, 1024), sock[2];

    INVARIANT(fd >= 0 && region_map(fd, &w->region));
    close(fd);
    INVARIANT(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock) == 0);
    region_send_file(sock[1], 1, listen_fd); /* no regular file: must be refused */
    close(sock[1]);
    w->pool = &pool;
    w->listener_wake = xcalloc(1, sizeof(int));
    w->worker_wake = xcalloc(1, sizeof(int));
    w->file_sock = xcalloc(1, sizeof(int));
    w->listener_wake[0] = eventfd(0, EFD_NONBLOCK);
    w->worker_wake[0] = eventfd(0, EFD_NONBLOCK);
    w->file_sock[0] = sock[0];
    atomic_init(&w->refs, 1);
    return w;
}

static int new_client(const char *request)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(port)};
    int c = socket(AF_INET, SOCK_STREAM, 0);

    INVARIANT(connect(c, (struct sockaddr *)&a, sizeof(a)) == 0);
    (void)!send(c, request, strlen(request), MSG_NOSIGNAL);
    acceptor_on_event(&door->io, EPOLLIN);
    return c;
}

static void write_records(struct link *k, const uint8_t *p, size_t n)
{
    struct ring out;
    uint64_t id = k->untaken ? exchange_id(k->untaken) : 0;

    /* The same ring seen as the worker's producer end. */
    ring_attach(&out, k->responses.shared, k->responses.size, k->worker->listener_wake[0], -1);
    out.mine = out.other = k->responses.mine;
    while (n >= 4) {
        uint16_t len = (uint16_t)(p[2] | p[3] << 8);
        if (len > n - 4)
            len = (uint16_t)(n - 4);
        if (!ring_push(&out, p[0], p[1] & 1, p[1] & 2 ? id + p[1] : id, p + 4, len))
            return;
        p += 4 + len;
        n -= 4 + (size_t)len;
        link_receive(k);
        if (k->gone)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const requests[] = {
        "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /a HTTP/1.0\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc",
    };

    if (!l.threads)
        set_up();
    if (n < 2)
        return 0;
    struct thread *t = &l.threads[0];
    struct worker_process *w = new_worker();

    link_attach(t, w);
    int c = new_client(requests[data[0] % 4]);
    struct link *k = t->links;

    if (data[1] % 4 == 3) {
        size_t len = n - 2 < 4096 ? n - 2 : 4096;
        memcpy(k->responses.data, data + 2, len);
        atomic_store(&k->responses.shared->tail, (uint64_t)data[1] * 16);
        link_receive(k);
    } else {
        write_records(k, data + 2, n - 2);
    }
    link_gone(t, w);
    close(c);
    while (t->connections)
        conn_reset(t->connections);
    for (struct letter *m = l.inbox, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    l.inbox = NULL;
    l.inbox_end = &l.inbox;
    return 0;
}
