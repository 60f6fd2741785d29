/* HTTP/2 without TLS through the whole listener thread. The input is a script: frames that make
 * sense, frames that do not, raw bytes, what a worker answers, timers, reads and the client's end.
 * The listener must neither crash nor leak, and its lists and counts must agree at every step. */
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
#include "listener/http2.h"
#include "listener/letters.h"
#include "listener/link.h"
#include "listener/response_cache.h"
#include "listener/shared.h"
#include "listener/thread.h"
#include "queue/region.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { STEPS_MAX = 200 };

static struct listener l;
static struct pool pool;
static struct acceptor door;
static uint16_t port;
static int client = -1, worker_end = -1, some_file = -1;
static struct worker_process *worker;

struct script {
    const uint8_t *p, *end;
};

static unsigned byte_of(struct script *s)
{
    return s->p < s->end ? *s->p++ : 0;
}

/* --- the stage --- */

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

static int listen_here(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    INVARIANT(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 64) == 0);
    INVARIANT(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    port = ntohs(a.sin_port);
    return fd;
}

static void set_up(void)
{
    struct generation_env env = {.pool = env_pool, .site_state = env_state, .log_site = env_log};
    struct log_settings settings;
    const char *why;
    int fd = listen_here();

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
    json_t *msg = json_pack("{s:{s:b, s:i}, s:[{s:i, s:[{s:i}], s:[{s:s}]}]}", "parameters",
                            "EnableHttp2Cleartext", 1, "MaxRequestBytes", 4096, "sites", "id", 1,
                            "bindings", "port", (int)port, "applications", "path", "/");
    l.generation = generation_load(msg, &env, &why);
    INVARIANT(l.generation);
    json_decref(msg);
    thread_init(&l, 0);
    door = (struct acceptor){
        .io.fd = fd, .thread = &l.threads[0], .port = port, .any_address = true};
    some_file = memfd_create("file", 0);
    INVARIANT(some_file >= 0 && ftruncate(some_file, 1 << 20) == 0);
}

static void worker_arrive(struct thread *t)
{
    struct worker_process *w = xcalloc(1, sizeof(*w));
    int fd = region_create(1, 4096), sock[2];

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
    worker = w;
    link_attach(t, w);
}

static void worker_leave(struct thread *t)
{
    if (!worker)
        return;
    close(worker_end);
    link_gone(t, worker);
    worker = NULL;
}

static void client_arrive(void)
{
    static uint32_t arrived;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(port)};
    /* Many sources: ports of ended connections stay taken for a while. */
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7f010001 + arrived++ / 1000 % 50000)};
    int small = 4096, one = 1;

    client = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    setsockopt(client, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    INVARIANT(bind(client, (struct sockaddr *)&from, sizeof(from)) == 0);
    /* The fuzzer's own clock interrupts; the second call waits on. */
    while (connect(client, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EISCONN)
        INVARIANT(errno == EINTR);
}

static void client_leave(bool reset)
{
    struct linger hard = {.l_onoff = 1};

    if (client < 0)
        return;
    if (reset)
        setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(client);
    client = -1;
}

static void client_send(const void *p, size_t n)
{
    if (client >= 0)
        (void)!send(client, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* --- what the client says --- */

/* Header blocks, by the static table and literals without indexing. */
static const struct str blocks[] = {
    {"\x82\x86\x41\x01" "a\x84", 6},                                   /* GET / */
    {"\x83\x86\x41\x01" "a\x84", 6},                                   /* POST / */
    {"\x83\x86\x41\x01" "a\x84\x0f\x0d\x01" "5", 10},                   /* with a length */
    {"\x82\x86\x41\x01" "a\x04\x04/a?b\x60\x03" "c=1\x60\x03" "d=2", 21}, /* cookies */
    {"\x42\x04HEAD\x86\x41\x01" "a\x84", 11},
    {"\x82\x86\x84\x66\x01" "a", 6},                                   /* host as a field */
    {"\x82\x86\x41\x03" "a/b\x84", 8},                                 /* a host that is none */
    {"\x40\x01x\x01y", 5},                                            /* a trailer */
    {"\x82\x84", 2},                                                  /* something missing */
    {"\x83\x86\x41\x01" "a\x84\x0f\x14\x0c" "100-continue", 21},        /* Expect */
    {"\x82\x86\x41\x01" "a\x84\x40\x08priority\x03u=0", 20},
    {"\xbe", 1},
    {"\x3f\xe1\x1f\x82\x86\x41\x01" "a\x84", 9},                        /* a table size first */
    {"\x82\x86\x41\x01" "a\x84\x40\x0a" "connection\x05" "close", 24},
};

static void put_frame(unsigned type, unsigned flags, uint32_t stream, const void *p, size_t n)
{
    static char frame[9 + 65536];

    frame[0] = (char)(n >> 16);
    frame[1] = (char)(n >> 8);
    frame[2] = (char)n;
    frame[3] = (char)type;
    frame[4] = (char)flags;
    frame[5] = (char)(stream >> 24);
    frame[6] = (char)(stream >> 16);
    frame[7] = (char)(stream >> 8);
    frame[8] = (char)stream;
    if (n)
        memcpy(frame + 9, p, n);
    client_send(frame, 9 + n);
}

static uint32_t newest;

static void put_request(struct script *s)
{
    unsigned how = byte_of(s);
    struct str block = blocks[(how & 15) % ARRAY_LEN(blocks)];

    newest += 2;
    if (how & 64) { /* in two frames */
        put_frame(NGHTTP2_HEADERS, how & 16 ? 0 : 1, newest, block.p, block.n / 2);
        put_frame(NGHTTP2_CONTINUATION, 4, newest, block.p + block.n / 2, block.n - block.n / 2);
        return;
    }
    put_frame(NGHTTP2_HEADERS, how & 16 ? 4 : 5, newest, block.p, block.n);
    if (how & 32)
        put_frame(NGHTTP2_RST_STREAM, 0, newest, "\0\0\0\x08", 4);
}

/* Type, flags and stream as they come; a payload of its type or any other. */
static void put_some_frame(struct script *s)
{
    static const char zeros[16384];
    unsigned type = byte_of(s), flags = byte_of(s), which = byte_of(s), n = byte_of(s);
    uint32_t stream = which & 128 ? 0 : newest - 2 * (which & 7) + (which >> 6 & 1);

    if (type == NGHTTP2_DATA && n & 128) {
        put_frame(type, flags & 9, stream, zeros, 128u * (n & 127));
        return;
    }
    if (n > (size_t)(s->end - s->p))
        n = (unsigned)(s->end - s->p);
    put_frame(type % 12 == 11 ? NGHTTP2_PRIORITY_UPDATE : type % 12, flags, stream, s->p, n);
    s->p += n;
}

static void put_windows(struct script *s)
{
    unsigned how = byte_of(s);
    const char small[] = {0, 0, 0, (char)(how | 1)}, large[] = {0, (char)how, 0, 1};

    put_frame(NGHTTP2_WINDOW_UPDATE, 0, how & 1 ? newest : 0, how & 2 ? small : large, 4);
    if (how & 4)
        put_frame(NGHTTP2_SETTINGS, 0, 0, how & 8 ? "\0\4\0\0\0\1" : "\0\4\0\1\0\0", 6);
}

static void put_raw_bytes(struct script *s)
{
    size_t n = byte_of(s);

    if (n > (size_t)(s->end - s->p))
        n = (size_t)(s->end - s->p);
    client_send(s->p, n);
    s->p += n;
}

static void client_reads(struct script *s)
{
    static char sink[65536];

    if (client >= 0)
        (void)!recv(client, sink, byte_of(s) & 1 ? sizeof(sink) : 100, MSG_DONTWAIT);
}

static void client_acts(struct script *s)
{
    switch (byte_of(s) & 15) {
    case 0:
    case 1:
    case 2:
    case 3:
        put_request(s);
        return;
    case 4:
    case 5:
    case 6:
        put_some_frame(s);
        return;
    case 7:
    case 8:
        put_windows(s);
        return;
    case 9:
        put_raw_bytes(s);
        return;
    case 10:
        if (client >= 0)
            shutdown(client, SHUT_WR);
        return;
    case 11:
        client_leave(byte_of(s) & 1);
        return;
    default:
        client_reads(s);
        return;
    }
}

/* --- what the worker says --- */

static uint64_t id_of(const struct link *k, unsigned n)
{
    const struct exchange *lists[] = {k->held, k->untaken};

    for (int i = 0; i < 2; i++)
        for (const struct exchange *x = lists[i]; x; x = x->next)
            if (n-- == 0)
                return exchange_id(x);
    return UINT64_MAX;
}

static void put_record(struct link *k, unsigned type, unsigned flags, uint64_t id, const void *p,
                       uint32_t n)
{
    struct ring out;

    if (k->gone || id == UINT64_MAX)
        return;
    /* The same ring seen as the worker's producer end. */
    ring_attach(&out, k->responses.shared, k->responses.size, k->worker->listener_wake[0], -1);
    out.mine = atomic_load(&k->responses.shared->tail);
    out.other = k->responses.mine;
    (void)!ring_push(&out, (uint16_t)type, (uint16_t)flags, id, p, n);
}

static void put_answer(struct link *k, struct script *s, uint64_t id, unsigned flags)
{
    static const uint16_t status[] = {200, 204, 304, 404, 206, 500, 401, 200};
    static const char *const headers[] = {
        "", "A: b\r\n", "Content-Type: text/html\r\nX: y\r\n",
        "Set-Cookie: a\r\nSet-Cookie: b\r\nProxy-Connection: x\r\n"};
    static char record[sizeof(struct msg_response) + MESSAGE_BODY_MAX + 128];
    unsigned how = byte_of(s), size = byte_of(s);
    const char *h = headers[how >> 3 & 3];
    struct msg_response m = {.status = status[how & 7],
                             .flags = (uint16_t)(byte_of(s) & 63),
                             .headers_len = (uint32_t)strlen(h),
                             .body_len = size & 128 ? 0 : size << (how >> 5 & 7),
                             .cache_seconds = 60,
                             .content_length = (int64_t)size << (how >> 5)};

    if (!(m.flags & MSGR_LENGTH))
        m.content_length = 0;
    memcpy(record, &m, sizeof(m));
    memcpy(record + sizeof(m), h, m.headers_len);
    put_record(k, MSG_RESPONSE, flags, id, record,
               (uint32_t)sizeof(m) + m.headers_len + m.body_len);
}

static void put_file(struct link *k, struct script *s, uint64_t id, unsigned flags)
{
    unsigned how = byte_of(s);
    struct msg_file m = {.offset = byte_of(s),
                         .length = (uint64_t)byte_of(s) << (how >> 4),
                         .handle = how & 3};

    if (how & 4)
        region_send_file(worker_end, m.handle, some_file);
    put_record(k, MSG_RESPONSE_FILE, flags, id, &m, sizeof(m));
}

static void worker_acts(struct link *k, struct script *s)
{
    static const char block[MESSAGE_BODY_MAX];
    unsigned what = byte_of(s), flags = what >> 4 & MSG_END;
    uint64_t id = id_of(k, what >> 5 & 7);
    struct msg_amount amount = {.amount = what & 128 ? 1 << 20 : 1000};
    struct msg_end end = {.win32 = what};

    if (what & 8) /* it takes what is there */
        atomic_store(&k->requests.shared->head, k->requests.mine);
    switch (what & 7) {
    case 0:
    case 1:
    case 2:
        put_answer(k, s, id, flags);
        return;
    case 3:
        put_record(k, MSG_RESPONSE_BODY, flags, id, block, byte_of(s) * 257u);
        return;
    case 4:
        put_file(k, s, id, flags);
        return;
    case 5:
        put_record(k, MSG_RESPONSE_END, 0, id, &end, sizeof(end));
        return;
    case 6:
        put_record(k, MSG_RESPONSE_RESET, 0, id, &end, sizeof(end));
        return;
    case 7:
        put_record(k, MSG_BODY_WANTED, 0, id, &amount, sizeof(amount));
        return;
    }
}

/* --- everything else --- */

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

static void other_events(struct thread *t, struct script *s)
{
    unsigned what = byte_of(s);

    switch (what & 7) {
    case 0:
    case 1:
        time_passes(t, what >> 3);
        return;
    case 2:
        worker_leave(t);
        return;
    case 3:
        if (!worker)
            worker_arrive(t);
        return;
    case 4:
        conn_drop_idle(t);
        return;
    case 5:
        atomic_store(&pool.closed, (uint32_t)(what & 8 ? HTTPERR_DISABLED : HTTPERR_NONE));
        pool_closed(thread_pool_of(t, &pool), (enum httperr_reason)atomic_load(&pool.closed));
        return;
    case 6:
        atomic_store(&pool.queue_length, what >> 3 & 3);
        return;
    case 7:
        atomic_store(&pool.tcp_level, (what & 8) != 0);
        return;
    }
}

/* Streams and connections know each other, and the session counts them right. */
static void check_session(const struct connection *c)
{
    const struct http2 *h = c->carrier_data;
    uint32_t n = 0, attached = 0;

    for (const struct http2_stream *s = h->streams; s; s = s->next) {
        n++;
        attached += s->c != NULL;
        INVARIANT(s->session == h && *s->prev == s);
        INVARIANT(!s->c || (s->c->stream_data == s && s->c->parent == c && s->c->is_stream));
    }
    INVARIANT(n == h->n_streams && attached == h->n_attached);
}

static void check(struct thread *t)
{
    uint32_t waiting = 0, held = 0, users = 0, fields = 0;

    for (uint32_t i = 0; i < t->n_slots; i++) {
        const struct exchange *x = t->slots[i];
        if (!x->conn)
            continue;
        INVARIANT(x->conn->x == x);
        waiting += x->state == X_QUEUED || (x->state == X_PUSHED && !x->aborted);
        held += x->state == X_HELD;
    }
    INVARIANT(atomic_load(&pool.waiting[0].n) == waiting);
    INVARIANT(held == (t->links ? t->links->n_held : 0));
    for (const struct connection *c = t->connections; c; c = c->next) {
        if (!c->carrier)
            continue;
        check_session(c);
        for (const struct http2_stream *s = ((struct http2 *)c->carrier_data)->streams; s;
             s = s->next)
            fields += s->fields != NULL;
    }
    for (int i = 0; t->http2 && i < HTTP2_HEADS_KEPT; i++)
        users += t->http2->heads[i].users;
    INVARIANT(users == fields);
}

static void play(struct thread *t, struct script *s)
{
    for (int i = 0; s->p < s->end && i < STEPS_MAX; i++) {
        switch (*s->p++ & 7) {
        case 0:
        case 1:
        case 2:
            client_acts(s);
            break;
        case 3:
        case 4:
            if (t->links)
                worker_acts(t->links, s);
            break;
        case 5:
            other_events(t, s);
            break;
        default:
            loop_turn(t->loop, 0);
            break;
        }
        check(t);
    }
    loop_turn(t->loop, 0);
}

static void clean_up(struct thread *t)
{
    client_leave(/* reset = */ true);
    acceptor_on_event(&door.io, EPOLLIN);
    worker_leave(t);
    atomic_store(&pool.closed, (uint32_t)HTTPERR_NONE);
    atomic_store(&pool.queue_length, 1000);
    atomic_store(&pool.tcp_level, false);
    thread_end_all(t);
    check(t);
    INVARIANT(t->n_connections == 0 && atomic_load(&pool.waiting[0].n) == 0);
    INVARIANT(!t->http2 || !t->http2->dirty);
    for (struct letter *m = l.inbox, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    l.inbox = NULL;
    l.inbox_end = &l.inbox;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

    if (!l.threads)
        set_up();
    if (n < 1)
        return 0;
    struct thread *t = &l.threads[0];
    struct script s = {data + 1, data + n};

    newest = UINT32_MAX; /* the first is 1 */
    worker_arrive(t);
    client_arrive();
    client_send(preface, data[0] & 128 ? data[0] & 31 : sizeof(preface) - 1);
    acceptor_on_event(&door.io, EPOLLIN);
    play(t, &s);
    clean_up(t);
    return 0;
}
