#include "listener_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/ipc.h"
#include "base/socket_batch.h"
#include "listener/listener.h"
#include "queue/control.h"
#include "stopwatch.h"

static int control = -1;
static pthread_t listener_thread;
static uint64_t next_worker = 1;

static void *run_listener(void *arg)
{
    return (void *)(intptr_t)listener_run();
}

static void order(json_t *msg, const int *fds, size_t n)
{
    INVARIANT(msg && ipc_send(control, msg, fds, n));
    json_decref(msg);
}

static json_t *pool_json(const char *state, const char *reason, int queue_length)
{
    return json_pack("{s:s, s:i, s:s, s:s, s:s}", "name", "P", "queueLength", queue_length,
                     "loadBalancerCapabilities", "HttpLevel", "state", state, "reason", reason);
}

static unsigned short bound_port;
static char log_dir[256];
static int n_threads = 1, max_request_bytes = 16384, generation_id;

static json_t *or_default(int v, int otherwise)
{
    return json_integer(v ? v : otherwise);
}

void fixture_generation(const struct fixture_options *o)
{
    json_t *site = json_pack(
        "{s:i, s:s, s:s, s:{s:o, s:i}, s:[{s:s, s:s, s:i, s:s}], s:[{s:s, s:s}], s:{s:s, s:b}}",
        "id", 1, "name", "S", "state", "Started", "limits", "connectionTimeout_ms",
        or_default(o->connection_timeout, 120000), "maxUrlSegments", 32, "bindings", "protocol",
        o->chain ? "https" : "http", "address", "*", "port",
        (int)bound_port + (o->elsewhere ? 1 : 0), "host", "", "applications", "path", "/", "pool",
        "P", "logFile", "directory", log_dir, "enabled", 1);
    json_t *parameters = json_object();

    if (o->proxy_trusted) {
        json_t *binding = json_array_get(json_object_get(site, "bindings"), 0);
        json_object_set_new(binding, "proxyProtocol", json_string("v1v2"));
        json_object_set_new(binding, "proxyTrusted", json_string(o->proxy_trusted));
    }

    max_request_bytes = o->max_request_bytes ? o->max_request_bytes : 16384;
    if (o->max_request_bytes)
        json_object_set_new(parameters, "MaxRequestBytes", json_integer(o->max_request_bytes));
    if (o->http2_cleartext)
        json_object_set_new(parameters, "EnableHttp2Cleartext", json_true());
    if (o->http2_resets)
        json_object_set_new(parameters, "Http2MaxClientResetsPerMinute",
                            json_integer(o->http2_resets));
    if (o->max_connections)
        json_object_set_new(json_object_get(site, "limits"), "maxConnections",
                            json_integer(o->max_connections));
    if (o->max_bandwidth)
        json_object_set_new(json_object_get(site, "limits"), "maxBandwidth",
                            json_integer(o->max_bandwidth));
    order(json_pack("{s:s, s:i, s:o, s:{s:o, s:o, s:i, s:I}, s:[o], s:[o], s:{s:s}}", "type",
                    "generation", "id", ++generation_id, "parameters", parameters, "web_limits",
                    "connectionTimeout_ms", or_default(o->connection_timeout, 120000),
                    "headerWaitTimeout_ms", or_default(o->header_wait, 120000), "minBytesPerSecond",
                    o->min_bytes, "maxGlobalBandwidth",
                    o->max_global_bandwidth ? (json_int_t)o->max_global_bandwidth : UINT32_MAX,
                    "pools", pool_json("Started", "", 1000), "sites", site, "httperr",
                    "ErrorLoggingDir", log_dir),
          NULL, 0);
    fixture_expect("generation_ok");
}

static int listen_on(unsigned short *port)
{
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(*port)};
    socklen_t n = sizeof(a);
    int fd = fcntl(sock, F_DUPFD_CLOEXEC, 100);

    close(sock);
    INVARIANT(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0);
    INVARIANT(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 512) == 0);
    INVARIANT(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static void give_certificate(const struct fixture_options *o)
{
    order(json_pack("{s:s, s:[{s:s, s:s, s:s}], s:[{s:s, s:i, s:s, s:s}], s:{}}", "type", "tls",
                    "certificates", "id", "c", "chain", o->chain, "key", o->key, "bindings",
                    "address", "*", "port", (int)bound_port, "host", "", "certificate", "c",
                    "trust"),
          NULL, 0);
}

unsigned short fixture_start_with(const char *dir, const struct fixture_options *o)
{
    int pair[2], listen_fds[FIXTURE_THREADS_MAX];

    n_threads = o->threads ? o->threads : 1;
    snprintf(log_dir, sizeof(log_dir), "%s", dir);
    INVARIANT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    int other = fcntl(pair[1], F_DUPFD_CLOEXEC, 100);
    control = fcntl(pair[0], F_DUPFD_CLOEXEC, 100);
    for (int i = 0; i < n_threads; i++)
        listen_fds[i] = listen_on(&bound_port);
    for (int i = 0; o->send_buffer && i < n_threads; i++) /* accepted ones have it from there */
        INVARIANT(setsockopt(listen_fds[i], SOL_SOCKET, SO_SNDBUF, &o->send_buffer,
                             sizeof(o->send_buffer)) == 0);
    INVARIANT(dup2(other, CONTROL_FD) == CONTROL_FD);
    socket_batch_prepare((unsigned)n_threads);
    INVARIANT(pthread_create(&listener_thread, NULL, run_listener, NULL) == 0);
    order(json_pack("{s:s, s:i}", "type", "start", "threads", n_threads), NULL, 0);
    fixture_expect("ready");
    fixture_generation(o);
    if (o->chain)
        give_certificate(o);
    order(json_pack("{s:s, s:i, s:s, s:s, s:i}", "type", "endpoint_add", "id", 1, "scheme",
                    o->chain ? "https" : "http", "address", "127.0.0.1", "port", (int)bound_port),
          listen_fds, (size_t)n_threads);
    for (int i = 0; i < n_threads; i++)
        close(listen_fds[i]);
    return bound_port;
}

void fixture_endpoint_remove(void)
{
    order(json_pack("{s:s, s:i}", "type", "endpoint_remove", "id", 1), NULL, 0);
}

unsigned short fixture_start(const char *dir)
{
    return fixture_start_with(dir, &(struct fixture_options){.threads = 1});
}

void fixture_begin_stop(int timeout_ms)
{
    order(json_pack("{s:s, s:i}", "type", "stop", "timeout_ms", timeout_ms), NULL, 0);
}

void fixture_stop_within(int timeout_ms)
{
    fixture_begin_stop(timeout_ms);
    fixture_end_stop();
}

void fixture_end_stop(void)
{
    void *rc = NULL;

    pthread_join(listener_thread, &rc);
    INVARIANT(rc == NULL);
}

void fixture_stop(void)
{
    fixture_stop_within(2000);
}

int fixture_remove_logs(void)
{
    char *cmd = xasprintf("rm -rf %s", log_dir);
    int rc = system(cmd);

    free(cmd);
    return rc;
}

static json_t *expect(const char *type)
{
    uint64_t until = clock_mono_ms() + PATIENCE_MS;

    for (;;) {
        struct pollfd p = {.fd = control, .events = POLLIN};
        int fds[IPC_MAX_FDS];
        size_t n = 0;
        json_t *msg = NULL;
        INVARIANT(clock_mono_ms() < until);
        poll(&p, 1, 100);
        if (ipc_recv(control, &msg, fds, &n) != 1)
            continue;
        if (strcmp(ipc_get_str(msg, "type", ""), type) == 0)
            return msg;
        json_decref(msg);
    }
}

static json_t *status(void)
{
    order(json_pack("{s:s, s:i}", "type", "status", "token", 7), NULL, 0);
    return expect("status");
}

int fixture_queued(void)
{
    json_t *msg = status();
    int n = (int)ipc_get_int(json_array_get(json_object_get(msg, "pools"), 0), "queued", -1);

    json_decref(msg);
    return n;
}

int fixture_connections(void)
{
    json_t *msg = status();
    int n = (int)ipc_get_int(msg, "connections", -1);

    json_decref(msg);
    return n;
}

static void wait_for(int (*count)(void), int n, const char *what)
{
    int found = count();

    for (uint64_t until = clock_mono_ms() + PATIENCE_MS; found != n; found = count()) {
        if (clock_mono_ms() > until)
            fail_msg("%d %s, %d wanted", found, what, n);
        usleep(2000);
    }
}

void fixture_wait_queued(int n)
{
    wait_for(fixture_queued, n, "requests wait");
}

void fixture_wait_connections(int n)
{
    wait_for(fixture_connections, n, "connections are open");
}

void fixture_settle(void)
{
    json_decref(status()); /* goes through the mail of every thread */
}

void fixture_expect(const char *type)
{
    json_decref(expect(type));
}

void fixture_many_orders(int n)
{
    for (int i = 0; i < n; i++)
        order(json_pack("{s:s, s:i}", "type", "status", "token", i), NULL, 0);
    for (int i = 0; i < n; i++) {
        json_t *msg = expect("status");
        INVARIANT(ipc_get_int(msg, "token", -1) == i);
        json_decref(msg);
    }
}

static void set_pool(json_t *msg)
{
    json_object_set_new(msg, "type", json_string("pool_state"));
    json_object_set_new(msg, "pool", json_string("P"));
    order(msg, NULL, 0);
}

void fixture_pool(const char *state, const char *reason, int queue_length)
{
    set_pool(pool_json(state, reason, queue_length));
}

void fixture_pool_tcp_level(const char *state, const char *reason, int queue_length)
{
    json_t *msg = pool_json(state, reason, queue_length);

    json_object_set_new(msg, "loadBalancerCapabilities", json_string("TcpLevel"));
    set_pool(msg);
}

void fixture_drain(struct fake_worker *w)
{
    order(json_pack("{s:s, s:I}", "type", "worker_drain", "worker", (json_int_t)w->id), NULL, 0);
}

int fixture_cache_entries(void)
{
    order(json_pack("{s:s, s:i}", "type", "cache_list", "token", 8), NULL, 0);
    json_t *msg = expect("cache");
    int n = (int)ipc_get_int(msg, "count", -1);

    json_decref(msg);
    return n;
}

int fixture_cache_clear(const char *url, bool subtree)
{
    order(json_pack("{s:s, s:s, s:b}", "type", "cache_clear", "url", url, "subtree", (int)subtree),
          NULL, 0);
    return fixture_cache_entries();
}

void fixture_attach(struct fake_worker *w)
{
    int memfd = region_create((unsigned)n_threads, (uint64_t)max_request_bytes);
    int fds[1 + 3 * FIXTURE_THREADS_MAX] = {memfd};
    uint64_t id = next_worker++;
    struct region region;

    INVARIANT(memfd >= 0 && region_map(memfd, &region));
    for (unsigned i = 0; i < (unsigned)n_threads; i++) {
        int sock[2];
        w[i] = (struct fake_worker){.id = id, .region = region};
        w[i].listener_wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        w[i].wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        INVARIANT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) == 0);
        w[i].file_sock = sock[1];
        ring_attach(&w[i].requests, region_request_ring(&region, i), region.request_size,
                    w[i].listener_wake, w[i].wake);
        ring_attach(&w[i].responses, region_response_ring(&region, i), region.response_size,
                    w[i].listener_wake, w[i].wake);
        fds[1 + 3 * i] = w[i].listener_wake;
        fds[2 + 3 * i] = w[i].wake;
        fds[3 + 3 * i] = sock[0];
    }
    order(json_pack("{s:s, s:I, s:s, s:i}", "type", "worker_attach", "worker", (json_int_t)id,
                    "pool", "P", "pid", 1),
          fds, 1 + 3 * (size_t)n_threads);
    close(memfd);
    for (int i = 0; i < n_threads; i++)
        close(fds[3 + 3 * i]);
}

void fixture_worker_gone(struct fake_worker *w)
{
    order(json_pack("{s:s, s:I}", "type", "worker_gone", "worker", (json_int_t)w->id), NULL, 0);
    region_unmap(&w[0].region);
    for (int i = 0; i < n_threads; i++) {
        close(w[i].wake);
        close(w[i].listener_wake);
        close(w[i].file_sock);
    }
}

bool worker_take_record(struct fake_worker *w, void *data, size_t cap, struct ring_record *ret)
{
    uint64_t until = clock_mono_ms() + PATIENCE_MS;

    while (clock_mono_ms() < until) {
        enum rc rc = ring_peek(&w->requests, ret);
        INVARIANT(rc != RC_FAIL);
        if (rc == RC_OK) {
            INVARIANT(ret->len <= cap);
            memcpy(data, ret->payload, ret->len);
            ring_pop(&w->requests, ret);
            ring_wake_producer(&w->requests);
            return true;
        }
        if (ring_sleep_begin(&w->requests)) {
            struct pollfd p = {.fd = w->wake, .events = POLLIN};
            uint64_t n;
            poll(&p, 1, 50);
            (void)!read(w->wake, &n, sizeof(n));
        }
        ring_sleep_end(&w->requests);
    }
    return false;
}

bool worker_take(struct fake_worker *w, void *data, size_t cap, struct request_message *ret,
                 uint64_t *ret_id)
{
    struct ring_record rec;

    if (!worker_take_record(w, data, cap, &rec) || rec.type != MSG_REQUEST)
        return false;
    *ret_id = rec.id;
    return message_decode_request(data, rec.len, ret);
}

uint64_t worker_take_path(struct fake_worker *w, void *data, size_t cap, const char *path)
{
    struct request_message m;
    uint64_t id = 0;

    if (!worker_take(w, data, cap, &m, &id))
        fail_msg("no request for %s", path);
    if (!str_eq(m.path, str_z(path)))
        fail_msg("%.*s, not %s", STR_ARG(m.path), path);
    return id;
}

void worker_send(struct fake_worker *w, uint16_t type, uint16_t flags, uint64_t id, const void *p,
                 uint32_t n)
{
    while (!ring_push(&w->responses, type, flags, id, p, n))
        usleep(1000);
    ring_wake_consumer(&w->responses);
}

void worker_answer(struct fake_worker *w, uint64_t id, unsigned status, const char *headers,
                   const char *body, unsigned flags, int64_t content_length, bool end)
{
    struct msg_response h = {.status = (uint16_t)status,
                             .flags = (uint16_t)flags,
                             .headers_len = (uint32_t)strlen(headers),
                             .body_len = (uint32_t)strlen(body),
                             .content_length = content_length};
    char record[4096];
    size_t n = sizeof(h);

    INVARIANT(n + h.headers_len + h.body_len <= sizeof(record));
    memcpy(record, &h, sizeof(h));
    memcpy(record + n, headers, h.headers_len);
    n += h.headers_len;
    memcpy(record + n, body, h.body_len);
    n += h.body_len;
    worker_send(w, MSG_RESPONSE, end ? MSG_END : 0, id, record, (uint32_t)n);
}

void worker_answer_with_file(struct fake_worker *w, uint64_t id, size_t n)
{
    static uint32_t handle;
    struct msg_file part = {.handle = ++handle, .length = n};
    _cleanup_free_ char *content = xmalloc(n);
    FILE *f = tmpfile();

    assert_non_null(f);
    memset(content, 'a', n);
    assert_int_equal(fwrite(content, 1, n, f), n);
    fflush(f);
    assert_true(region_send_file(w->file_sock, handle, fileno(f)));
    fclose(f);
    worker_answer(w, id, 200, "", "", MSGR_LENGTH, (int64_t)n, false);
    worker_send(w, MSG_RESPONSE_FILE, MSG_END, id, &part, sizeof(part));
}

int client_connect(unsigned short port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(port)};
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};

    INVARIANT(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

void client_send(int fd, const char *text)
{
    size_t n = strlen(text);

    INVARIANT(send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n);
}

int client_other_end(int fd)
{
    struct sockaddr_in own, peer;
    socklen_t n = sizeof(own);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &n), 0);
    for (int other = 3; other < 4096; other++) {
        n = sizeof(peer);
        if (other != fd && getpeername(other, (struct sockaddr *)&peer, &n) == 0 &&
            peer.sin_family == AF_INET && peer.sin_port == own.sin_port)
            return other;
    }
    return -1;
}

static bool has_read(int fd)
{
    int other = client_other_end(fd), unsent = 1, unread = 1;

    return other >= 0 && ioctl(fd, SIOCOUTQ, &unsent) == 0 && ioctl(other, SIOCINQ, &unread) == 0 &&
           unsent == 0 && unread == 0;
}

void client_wait_read(int fd)
{
    for (uint64_t until = clock_mono_ms() + PATIENCE_MS; !has_read(fd); usleep(1000))
        if (clock_mono_ms() > until)
            fail_msg("the listener does not read");
    fixture_settle();
}

void client_wait_stuck(int fd)
{
    uint64_t until = clock_mono_ms() + PATIENCE_MS;
    int other = client_other_end(fd), waits = 0, before = 0;

    for (int quiet = 0; quiet < 20; quiet = waits && waits == before ? quiet + 1 : 0) {
        if (clock_mono_ms() > until)
            fail_msg("the answer is not stuck");
        before = waits;
        usleep(10000);
        assert_int_equal(ioctl(other, SIOCOUTQ, &waits), 0);
    }
}

size_t client_read_until(int fd, char *buf, size_t cap, const char *text)
{
    size_t n = 0;

    for (;;) {
        buf[n] = '\0';
        if (strstr(buf, text) || n + 1 >= cap)
            return n;
        ssize_t got = recv(fd, buf + n, cap - 1 - n, 0);
        if (got <= 0)
            return n;
        n += (size_t)got;
    }
}

bool client_closed(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, 0);

    return n == 0 || (n < 0 && errno == ECONNRESET);
}
