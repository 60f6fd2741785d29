/* Answers that leave together and find sockets full: each waits for its own client, whole and in
 * its order, and the others do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "listener_fixture.h"
#include "stopwatch.h"

enum { CLIENTS = 24, READERS = 3, TURNS = 60, BODY = 1500, SMALL = 2048 };

static char dir[] = "/tmp/candor-test-batch-XXXXXX";
static unsigned short port;
static struct fake_worker worker;
static atomic_bool stop;

/* The body repeats the request's path, so that it says whose it is, and which. */
static void answer(const struct ring_record *rec, struct str path)
{
    char record[sizeof(struct msg_response) + BODY];
    struct msg_response h = {
        .status = 200, .flags = MSGR_LENGTH, .body_len = BODY, .content_length = BODY};

    memcpy(record, &h, sizeof(h));
    for (size_t i = 0; i < BODY; i++)
        record[sizeof(h) + i] = path.p[i % path.n];
    INVARIANT(ring_push(&worker.responses, MSG_RESPONSE, MSG_END, rec->id, record, sizeof(record)));
}

/* Takes what is there and answers all of it before it wakes the listener. */
static void *serve(void *arg)
{
    _Alignas(16) static char data[64 * 1024];
    struct ring_record rec;
    struct request_message m;

    while (!atomic_load(&stop)) {
        usleep(3000);
        while (ring_peek(&worker.requests, &rec) == RC_OK) {
            INVARIANT(rec.type == MSG_REQUEST && rec.len <= sizeof(data));
            memcpy(data, rec.payload, rec.len);
            ring_pop(&worker.requests, &rec);
            INVARIANT(message_decode_request(data, rec.len, &m));
            answer(&rec, m.path);
        }
        ring_wake_producer(&worker.requests);
        ring_wake_consumer(&worker.responses);
    }
    return NULL;
}

/* A client that takes little at a time. */
static int connect_small(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), bytes = SMALL, on = 1;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(port)};
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    /* Each request is to come by itself. */
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static size_t path_of(char *buf, size_t cap, int client, int turn)
{
    return (size_t)snprintf(buf, cap, "/c%d/t%d/", client, turn);
}

static void ask(int fd, int client, int turn)
{
    char path[32], text[128];

    path_of(path, sizeof(path), client, turn);
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path);
    client_send(fd, text);
}

static void expect_answer(int fd, int client, int turn)
{
    char head[1024], body[BODY], path[32];
    size_t n = 0, len = path_of(path, sizeof(path), client, turn);

    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0) {
        assert_true(n < sizeof(head));
        assert_int_equal(recv(fd, head + n, 1, 0), 1);
        n++;
    }
    assert_memory_equal(head, "HTTP/1.1 200 ", 13);
    assert_int_equal(recv(fd, body, BODY, MSG_WAITALL), BODY);
    for (size_t i = 0; i < BODY; i++)
        if (body[i] != path[i % len])
            fail_msg("client %d, turn %d: byte %zu is '%c'", client, turn, i, body[i]);
}

static void full_sockets_wait(void **state)
{
    int fds[CLIENTS];
    pthread_t id;

    assert_int_equal(pthread_create(&id, NULL, serve, NULL), 0);
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = connect_small();
    for (int turn = 0; turn < TURNS; turn++) {
        for (int i = 0; i < CLIENTS; i++)
            ask(fds[i], i, turn);
        for (int i = 0; i < READERS; i++)
            expect_answer(fds[i], i, turn);
        usleep(4000);
    }
    for (int i = READERS; i < CLIENTS; i++) {
        for (int turn = 0; turn < TURNS; turn++)
            expect_answer(fds[i], i, turn);
        close(fds[i]);
    }
    for (int i = 0; i < READERS; i++)
        close(fds[i]);
    atomic_store(&stop, true);
    pthread_join(id, NULL);
}

static int set_up(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    port = fixture_start_with(dir, &(struct fixture_options){.send_buffer = SMALL});
    fixture_attach(&worker);
    return 0;
}

static int tear_down(void **state)
{
    fixture_stop();
    return fixture_remove_logs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(full_sockets_wait)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
