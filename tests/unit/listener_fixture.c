#include "listener_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ipc.h"
#include "listener/listener.h"
#include "queue/control.h"

enum { PATIENCE_MS = 5000 };

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

unsigned short fixture_start(const char *dir)
{
    int pair[2], sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);

    INVARIANT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    int other = fcntl(pair[1], F_DUPFD_CLOEXEC, 100);
    control = fcntl(pair[0], F_DUPFD_CLOEXEC, 100);
    int listen_fd = fcntl(sock, F_DUPFD_CLOEXEC, 100);
    INVARIANT(dup2(other, CONTROL_FD) == CONTROL_FD);
    INVARIANT(bind(listen_fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(listen_fd, 64) == 0);
    INVARIANT(getsockname(listen_fd, (struct sockaddr *)&a, &n) == 0);
    unsigned short port = ntohs(a.sin_port);

    INVARIANT(pthread_create(&listener_thread, NULL, run_listener, NULL) == 0);
    order(json_pack("{s:s, s:i}", "type", "start", "threads", 1), NULL, 0);
    fixture_expect("ready");
    order(json_pack("{s:s, s:i, s:{}, s:{s:i, s:i}, s:[o], "
                    "s:[{s:i, s:s, s:s, s:{s:i, s:i}, s:[{s:s, s:s, s:i, s:s}], s:[{s:s, s:s}], "
                    "s:{s:s, s:b}}], s:{s:s}}",
                    "type", "generation", "id", 1, "parameters", "web_limits",
                    "connectionTimeout_ms", 120000, "minBytesPerSecond", 0, "pools",
                    pool_json("Started", "", 1000), "sites", "id", 1, "name", "S", "state",
                    "Started", "limits", "connectionTimeout_ms", 120000, "maxUrlSegments", 32,
                    "bindings", "protocol", "http", "address", "*", "port", (int)port, "host", "",
                    "applications", "path", "/", "pool", "P", "logFile", "directory", dir, "enabled",
                    1, "httperr", "ErrorLoggingDir", dir),
          NULL, 0);
    fixture_expect("generation_ok");
    order(json_pack("{s:s, s:i, s:s, s:s, s:i}", "type", "endpoint_add", "id", 1, "scheme", "http",
                    "address", "127.0.0.1", "port", (int)port),
          &listen_fd, 1);
    close(listen_fd);
    return port;
}

void fixture_stop(void)
{
    void *rc = NULL;

    order(json_pack("{s:s, s:i}", "type", "stop", "timeout_ms", 2000), NULL, 0);
    pthread_join(listener_thread, &rc);
    INVARIANT(rc == NULL);
}

void fixture_expect(const char *type)
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
        bool found = strcmp(ipc_get_str(msg, "type", ""), type) == 0;
        json_decref(msg);
        if (found)
            return;
    }
}

void fixture_pool(const char *state, const char *reason, int queue_length)
{
    json_t *msg = pool_json(state, reason, queue_length);

    json_object_set_new(msg, "type", json_string("pool_state"));
    json_object_set_new(msg, "pool", json_string("P"));
    order(msg, NULL, 0);
}

void fixture_attach(struct fake_worker *w)
{
    int memfd = region_create(1, 16384), sock[2];
    int listener_wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    *w = (struct fake_worker){.id = next_worker++, .listener_wake = listener_wake};
    w->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    INVARIANT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) == 0);
    INVARIANT(memfd >= 0 && region_map(memfd, &w->region));
    w->file_sock = sock[1];
    ring_attach(&w->requests, region_request_ring(&w->region, 0), w->region.request_size,
                listener_wake, w->wake);
    ring_attach(&w->responses, region_response_ring(&w->region, 0), w->region.response_size,
                listener_wake, w->wake);
    int fds[4] = {memfd, listener_wake, w->wake, sock[0]};

    order(json_pack("{s:s, s:I, s:s, s:i}", "type", "worker_attach", "worker", (json_int_t)w->id,
                    "pool", "P", "pid", 1),
          fds, 4);
    close(memfd);
    close(sock[0]);
}

void fixture_worker_gone(struct fake_worker *w)
{
    order(json_pack("{s:s, s:I}", "type", "worker_gone", "worker", (json_int_t)w->id), NULL, 0);
    region_unmap(&w->region);
    close(w->wake);
    close(w->listener_wake);
    close(w->file_sock);
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
