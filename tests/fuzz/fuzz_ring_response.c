/* What a hostile worker can write, and what clients can do meanwhile: a script of records on the
 * response ring of a real link, bytes that clients send, reads, half-closes, resets, timers,
 * workers that come and go; or raw bytes in the ring's memory. The listener must neither crash nor
 * leak, and the pool's counters must hold at every step. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "listener/accept.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/letters.h"
#include "listener/link.h"
#include "listener/output.h"
#include "listener/response_cache.h"
#include "listener/shared.h"
#include "listener/thread.h"
#include "queue/region.h"

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
    INVARIANT(bind(listen_fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
              listen(listen_fd, 512) == 0);
    INVARIANT(getsockname(listen_fd, (struct sockaddr *)&a, &len) == 0);
    port = ntohs(a.sin_port);
    signal(SIGPIPE, SIG_IGN); /* as the listener does: sendfile raises it */
    log_settings_init(&settings);
    l.n_threads = 1;
    l.threads = xcalloc(1, sizeof(struct thread));
    l.loop = loop_new();
    l.inbox_end = &l.inbox;
    pthread_mutex_init(&l.inbox_lock, NULL);
    l.logging = logging_new(&settings, &(struct logging_options){.threads = 1});
    log_settings_fini(&settings);
    l.cache = response_cache_new(&(struct response_cache_limits){.max_bytes = 1 << 20}, 1);
    pool.name = STR("P");
    pool.waiting = aligned_alloc(64, sizeof(*pool.waiting));
    memset(pool.waiting, 0, sizeof(*pool.waiting));
    atomic_store(&pool.queue_length, 1000);
    json_t *msg = json_pack("{s:{}, s:[{s:i, s:[{s:i}], s:[{s:s}]}]}", "parameters", "sites", "id",
                            1, "bindings", "port", (int)port, "applications", "path", "/");
    l.generation = generation_load(msg, &env, &why);
    INVARIANT(l.generation);
    json_decref(msg);
    thread_init(&l, 0);
    response_cache_online(l.cache, 0); /* as a turn of the loop leaves it */
    door = xcalloc(1, sizeof(*door));
    *door = (struct acceptor){.io.fd = listen_fd, .thread = &l.threads[0], .port = port};
}

static int worker_end = -1, some_file = -1; /* the worker's end of the file socket; a file to hand over */

static struct worker_process *new_worker(void)
{
    struct worker_process *w = xcalloc(1, sizeof(*w));
    int fd = region_create(1, 1024), sock[2];

    INVARIANT(fd >= 0 && region_map(fd, &w->region));
    close(fd);
    INVARIANT(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock) == 0);
    worker_end = sock[1];
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

enum { CLIENTS = 4 };

static int clients[CLIENTS];
static struct worker_process *worker;

static void client_open(unsigned i)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(port)};
    static uint32_t opened;
    int small = 4096, one = 1;
    /* Many sources: ports of ended connections stay taken for a while. */
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7f010001 + opened++ / 1000 % 50000)};

    clients[i] = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(clients[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    setsockopt(clients[i], IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    INVARIANT(bind(clients[i], (struct sockaddr *)&from, sizeof(from)) == 0);
    /* The fuzzer's own clock interrupts; the second call waits on. */
    while (connect(clients[i], (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EISCONN)
        INVARIANT(errno == EINTR);
}

static void client_reset(unsigned i)
{
    struct linger hard = {.l_onoff = 1};

    setsockopt(clients[i], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(clients[i]);
    clients[i] = -1;
}

static void worker_leave(struct thread *t)
{
    if (!worker)
        return;
    close(worker_end);
    link_gone(t, worker);
    worker = NULL;
}

/* The n-th exchange that the worker could speak of. */
static uint64_t id_of(const struct link *k, unsigned n)
{
    const struct exchange *lists[] = {k->held, k->untaken};

    for (int i = 0; i < 2; i++)
        for (const struct exchange *x = lists[i]; x; x = x->next)
            if (n-- == 0)
                return exchange_id(x);
    return n;
}

struct script {
    const uint8_t *p, *end;
};

static unsigned byte_of(struct script *s)
{
    return s->p < s->end ? *s->p++ : 0;
}

static void put_record(struct link *k, unsigned type, unsigned flags, uint64_t id, const void *p,
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

/* A head that will be accepted more often than not. */
static void put_head(struct link *k, struct script *s, uint64_t id, unsigned flags)
{
    static const uint16_t status[] = {200, 204, 304, 404, 206, 500, 999, 200};
    static const char *const headers[] = {"", "A: b\r\n", "Content-Type: text/html\r\nX: y\r\n",
                                          "Date: now\r\n"};
    static char record[sizeof(struct msg_response) + MESSAGE_BODY_MAX + 128];
    unsigned how = byte_of(s), size = byte_of(s);
    const char *h = headers[how >> 3 & 3];
    struct msg_response m = {.status = status[how & 7],
                             .flags = (uint16_t)(byte_of(s) & 63),
                             .headers_len = (uint32_t)strlen(h),
                             .body_len = size & 128 ? 0 : size << (how >> 5 & 7),
                             .cache_seconds = 60,
                             .content_length = (int64_t)size << (how >> 5)};

    memcpy(record, &m, sizeof(m));
    memcpy(record + sizeof(m), h, m.headers_len);
    put_record(k, MSG_RESPONSE, flags, id, record,
               (uint32_t)sizeof(m) + m.headers_len + m.body_len);
}

static void put_body(struct link *k, struct script *s, uint64_t id, unsigned flags)
{
    static const char block[MESSAGE_BODY_MAX + 16];

    put_record(k, MSG_RESPONSE_BODY, flags, id, block, byte_of(s) * 257u);
}

static void put_file(struct link *k, struct script *s, uint64_t id, unsigned flags)
{
    unsigned how = byte_of(s);
    struct msg_file m = {.offset = byte_of(s),
                         .length = (uint64_t)byte_of(s) << (how >> 4),
                         .handle = how & 3};

    if (how & 4)
        region_send_file(worker_end, m.handle, how & 8 ? listen_fd : some_file);
    put_record(k, MSG_RESPONSE_FILE, flags, id, &m, sizeof(m));
}

static void put_amount(struct link *k, struct script *s, uint64_t id)
{
    unsigned how = byte_of(s);
    struct msg_amount m = {.amount = how & 128 ? UINT64_MAX : how};

    put_record(k, how & 1 ? MSG_BODY_WANTED : MSG_FILE_CLOSE, 0, id, &m, sizeof(m));
}

static void put_raw(struct link *k, struct script *s, uint64_t id, unsigned flags)
{
    unsigned type = byte_of(s), n = byte_of(s);

    if (n > (size_t)(s->end - s->p))
        n = (unsigned)(s->end - s->p);
    put_record(k, type, flags, id, s->p, n);
    s->p += n;
}

static void worker_speaks(struct link *k, struct script *s)
{
    unsigned what = byte_of(s), flags = what >> 4 & MSG_END;
    uint64_t id = id_of(k, what >> 5 & 3) + (what >> 7);
    struct msg_end end = {.win32 = what};

    switch (what & 7) {
    case 0:
    case 1:
        put_head(k, s, id, flags);
        return;
    case 2:
        put_body(k, s, id, flags);
        return;
    case 3:
        put_file(k, s, id, flags);
        return;
    case 4:
        put_record(k, MSG_RESPONSE_END, flags, id, &end, sizeof(end));
        return;
    case 5:
        put_record(k, MSG_RESPONSE_RESET, flags, id, &end, sizeof(end));
        return;
    case 6:
        put_amount(k, s, id);
        return;
    case 7:
        put_raw(k, s, id, flags);
        return;
    }
}

static void client_speaks(int fd, struct script *s)
{
    static const char *const texts[] = {
        "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /%41 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /a HTTP/1.0\r\n\r\n",
        "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\nExpect: 100-continue\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "5\r\nabcde\r\n",
        "0\r\n\r\n",
        "de",
        "nonsense\r\n",
        "\r\n",
        "GET /a HTTP/1.1\r\nHost: b c\r\n\r\n",
        "GET /",
        "z\r\n",
    };
    static const char block[20000];
    unsigned how = byte_of(s);

    if (how & 128)
        (void)!send(fd, block, 100u * (how & 127), MSG_NOSIGNAL | MSG_DONTWAIT);
    else
        (void)!send(fd, texts[how & 15], strlen(texts[how & 15]), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void client_acts(struct script *s)
{
    static char sink[65536];
    unsigned what = byte_of(s), i = what >> 6 & 3;

    if (clients[i] < 0) {
        client_open(i);
        client_speaks(clients[i], s); /* often in time for the accept */
        return;
    }
    switch (what & 7) {
    case 0:
    case 1:
    case 2:
        client_speaks(clients[i], s);
        return;
    case 3:
    case 4:
        (void)!recv(clients[i], sink, sizeof(sink), MSG_DONTWAIT);
        return;
    case 5:
        shutdown(clients[i], SHUT_WR);
        return;
    case 6:
        client_reset(i);
        return;
    case 7:
        close(clients[i]);
        clients[i] = -1;
        return;
    }
}

static void time_passes(struct thread *t, unsigned n)
{
    struct connection *c = t->connections;

    while (c && n--)
        c = c->next;
    if (!c || !c->timer.deadline_ms)
        return;
    c->timer.deadline_ms = 0;
    conn_timer_fired(&c->timer);
}

static void set_closed(struct thread *t, enum httperr_reason why)
{
    atomic_store(&pool.closed, (uint32_t)why);
    pool_closed(thread_pool_of(t, &pool), why);
}

static void other_events(struct thread *t, struct script *s)
{
    unsigned what = byte_of(s);
    struct link *k = t->links;

    switch (what & 7) {
    case 0:
        time_passes(t, what >> 4);
        return;
    case 1: /* the worker takes all, or a part */
        if (k)
            atomic_store(&k->requests.shared->head,
                         what & 8 ? k->requests.mine : k->untaken ? k->untaken->ring_end : 0);
        return;
    case 2:
        worker_leave(t);
        return;
    case 3:
        if (!worker) {
            worker = new_worker();
            link_attach(t, worker);
        }
        return;
    case 4:
        if (k)
            link_drain(t, worker);
        return;
    case 5:
        set_closed(t, what & 8 ? HTTPERR_DISABLED : HTTPERR_NONE);
        return;
    case 6:
        atomic_store(&pool.queue_length, what >> 3 & 3);
        return;
    case 7:
        atomic_store(&pool.tcp_level, (what & 8) != 0);
        return;
    }
}

/* Waiting are those in the queue and those in the ring that nobody has given up. */
static void check_counts(struct thread *t)
{
    uint32_t waiting = 0, held = 0;

    for (uint32_t i = 0; i < t->n_slots; i++) {
        const struct exchange *x = t->slots[i];
        if (!x->conn)
            continue;
        INVARIANT(x->conn->x == x);
        waiting += x->state == X_QUEUED || (x->state == X_PUSHED && !x->aborted);
        held += x->state == X_HELD;
    }
    INVARIANT(atomic_load(&pool.waiting[0].n) == waiting);
    uint32_t in_link = 0, files = 0;

    if (t->links) {
        for (const struct exchange *x = t->links->held; x; x = x->next)
            in_link++;
        INVARIANT(in_link == t->links->n_held && in_link == held);
        for (int i = 0; i < LINK_FILE_SLOTS; i++)
            for (struct out_file *f = t->links->files[i]; f; f = f->next)
                files++;
        INVARIANT(files == t->links->n_files);
    } else {
        INVARIANT(held == 0);
    }
}

static void play(struct thread *t, struct script *s)
{
    for (int i = 0; s->p < s->end && i < 200; i++) {
        switch (*s->p++ & 7) {
        case 0:
        case 1:
        case 2:
            if (t->links)
                worker_speaks(t->links, s);
            break;
        case 3:
        case 4:
            client_acts(s);
            break;
        case 5:
            other_events(t, s);
            break;
        case 6:
            if (t->links)
                link_receive(t->links);
            break;
        case 7:
            acceptor_on_event(&door->io, EPOLLIN);
            loop_turn(t->loop, 0);
            break;
        }
        check_counts(t);
    }
}

static void clean_up(struct thread *t)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        if (clients[i] >= 0)
            client_reset(i);
    acceptor_on_event(&door->io, EPOLLIN);
    worker_leave(t);
    atomic_store(&pool.closed, (uint32_t)HTTPERR_NONE);
    atomic_store(&pool.queue_length, 1000);
    thread_end_all(t);
    check_counts(t);
    INVARIANT(t->n_connections == 0 && atomic_load(&pool.waiting[0].n) == 0);
    for (struct letter *m = l.inbox, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    l.inbox = NULL;
    l.inbox_end = &l.inbox;
    response_cache_flush_all(l.cache, l.generation->id); /* the next input finds no answers */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!l.threads) {
        set_up();
        some_file = memfd_create("file", 0);
        INVARIANT(some_file >= 0 && ftruncate(some_file, 1 << 20) == 0);
    }
    if (n < 2)
        return 0;
    struct thread *t = &l.threads[0];
    struct script s = {data + 2, data + n};

    for (int i = 0; i < CLIENTS; i++)
        clients[i] = -1;
    worker = new_worker();
    link_attach(t, worker);
    client_open(0);
    client_speaks(clients[0], &(struct script){data, data + 1});
    acceptor_on_event(&door->io, EPOLLIN);
    if (data[1] % 4 == 3) {
        struct link *k = t->links;
        size_t len = n - 2 < 4096 ? n - 2 : 4096;
        memcpy(k->responses.data, data + 2, len);
        atomic_store(&k->responses.shared->tail, (uint64_t)data[1] * 16);
        link_receive(k);
    } else {
        play(t, &s);
    }
    clean_up(t);
    return 0;
}
