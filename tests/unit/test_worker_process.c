/* The worker as a process of its own: what it says to the supervisor, and that it does what it
 * is told. This test is supervisor and listener at once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/ipc.h"
#include "config/config.h"
#include "http/method.h"
#include "queue/control.h"
#include "queue/message.h"
#include "queue/region.h"
#include "stopwatch.h"
#include "worker/worker.h"

#include "base/poison.h"

enum { TRIES = PATIENCE_MS / 10, THREADS = 2 };

struct peer {
    char root[64];
    pid_t pid;
    int control, files;
    int fds[2 + 3 * THREADS];  /* as they are sent */
    struct region region;
    struct ring requests, responses;
    uint64_t last_id;
    uint16_t last_flags; /* of the last answer */
};

static void write_file(struct peer *p, const char *name, const char *content)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", p->root, name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(content, f);
    assert_int_equal(fclose(f), 0);
}

static int config_memfd(struct peer *p, const char *extra)
{
    _cleanup_buf_ struct buf text;
    int fd = memfd_create("config", MFD_CLOEXEC);

    buf_init(&text, 1 << 20);
    config_builtin_text(&text, p->root, (const char *const[]){"127.0.0.1:8080:"}, 1);
    text.n = str_find(buf_view(&text), STR("</configuration>"));
    buf_printf(&text, "%s</configuration>", extra);
    assert_int_equal(write(fd, text.p, text.n), text.n);
    return fd;
}

static struct peer *peer_new(const char *extra)
{
    struct peer *p = xcalloc(1, sizeof(*p));
    int control[2], files[2];

    snprintf(p->root, sizeof(p->root), "/tmp/candor-process-XXXXXX");
    assert_non_null(mkdtemp(p->root));
    write_file(p, "a.txt", "hello");
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0) {
        if (dup2(control[1], CONTROL_FD) < 0 || chdir("/") < 0)
            _exit(99);
        _exit(worker_main()); /* without exit handlers: leak checking needs ptrace, which is gone */
    }
    close(control[1]);
    p->control = control[0];
    p->fds[0] = config_memfd(p, extra);
    p->fds[1] = region_create(THREADS, 16384);
    assert_true(region_map(p->fds[1], &p->region));
    for (int i = 0; i < THREADS; i++) {
        p->fds[2 + 3 * i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        p->fds[3 + 3 * i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, files), 0);
        p->fds[4 + 3 * i] = files[1];
        if (i == THREADS - 1)
            p->files = files[0];
        else
            close(files[0]);
    }
    /* The last pair is the one that is used. */
    unsigned pair = THREADS - 1;

    ring_attach(&p->requests, region_request_ring(&p->region, pair), p->region.request_size,
                p->fds[2 + 3 * pair], p->fds[3 + 3 * pair]);
    ring_attach(&p->responses, region_response_ring(&p->region, pair), p->region.response_size,
                p->fds[2 + 3 * pair], p->fds[3 + 3 * pair]);
    return p;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

/* Its exit status, or 1000 + signal. */
static int peer_free(struct peer *p)
{
    int status = 0;

    for (int i = 0; i < TRIES && waitpid(p->pid, &status, WNOHANG) == 0; i++) {
        usleep(10000);
        if (i == TRIES - 1)
            kill(p->pid, SIGKILL);
    }
    close(p->control);
    close(p->files);
    for (size_t i = 0; i < ARRAY_LEN(p->fds); i++)
        close(p->fds[i]);
    region_unmap(&p->region);
    nftw(p->root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(p);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void send_message(struct peer *p, json_t *msg, const int *fds, size_t n)
{
    assert_non_null(msg);
    assert_true(ipc_send(p->control, msg, fds, n));
    json_decref(msg);
}

static void send_start(struct peer *p, int threads)
{
    send_message(p, json_pack("{s:s, s:i, s:s, s:i, s:s, s:s, s:i}", "type", "start", "worker", 1,
                              "pool", "DefaultAppPool", "threads", threads, "system_drive", p->root,
                              "config_path", "applicationHost.config", "generation", 1),
                 p->fds, ARRAY_LEN(p->fds));
}

/* The next message; it must be of that type. */
static json_t *expect(struct peer *p, const char *type)
{
    struct pollfd poll_fd = {.fd = p->control, .events = POLLIN};
    int fds[IPC_MAX_FDS];
    size_t n;
    json_t *msg = NULL;

    if (poll(&poll_fd, 1, PATIENCE_MS) != 1 || ipc_recv(p->control, &msg, fds, &n) != 1)
        fail_msg("no %s", type);
    assert_int_equal(n, 0);
    assert_string_equal(ipc_get_str(msg, "type", ""), type);
    return msg;
}

/* GET path; the answer's status, its head lines and body in *ret_text (NUL-terminated). */
static unsigned get(struct peer *p, const char *path, char *ret_text, size_t size)
{
    struct msg_request m = {.site_id = 1, .method_id = HTTP_METHOD_GET, .minor = 1};
    char record[512];
    struct ring_record rec;
    size_t n = strlen(path);

    m.method = (struct msg_span){0, 3};
    m.path = m.raw_target = (struct msg_span){3, (uint32_t)n};
    m.n_bytes = (uint32_t)(3 + n);
    memcpy(record, &m, sizeof(m));
    memcpy(record + sizeof(m), "GET", 3);
    memcpy(record + sizeof(m) + 3, path, n);
    p->last_id++;
    assert_true(ring_push(&p->requests, MSG_REQUEST, MSG_END, p->last_id, record,
                          (uint32_t)(sizeof(m) + 3 + n)));
    ring_wake_consumer(&p->requests);
    for (uint64_t until = clock_mono_ms() + PATIENCE_MS;;) {
        if (ring_peek(&p->responses, &rec) == RC_OK) {
            if (rec.type != MSG_CACHE_FLUSH)
                break;
            /* It was asked for often, and then something changed. */
            ring_pop(&p->responses, &rec);
            continue;
        }
        assert_true(clock_mono_ms() < until);
        usleep(200);
    }
    assert_int_equal(rec.id, p->last_id);
    assert_int_equal(rec.type, MSG_RESPONSE);
    assert_true(rec.flags & MSG_END);
    struct msg_response head;

    memcpy(&head, rec.payload, sizeof(head));
    p->last_flags = head.flags;
    snprintf(ret_text, size, "%.*s", (int)(rec.len - sizeof(head)),
             (const char *)rec.payload + sizeof(head));
    ring_pop(&p->responses, &rec);
    return head.status;
}

/* Asks until the worker lets the answer be cached. */
static void get_offer(struct peer *p, const char *path)
{
    char text[8192];

    p->last_flags = 0;
    for (int i = 0; i < TRIES && !(p->last_flags & MSGR_CACHE); i++) {
        usleep(10000);
        assert_int_equal(get(p, path, text, sizeof(text)), 200);
    }
    assert_true(p->last_flags & MSGR_CACHE);
}

/* A flush comes within a second, without a request that could bring it about. */
static void expect_flush(struct peer *p)
{
    struct ring_record rec;

    struct stopwatch watch = stopwatch_start_with(p->pid);

    while (ring_peek(&p->responses, &rec) != RC_OK) {
        assert_true(stopwatch_ms(&watch) < 1000);
        usleep(1000);
    }
    assert_int_equal(rec.type, MSG_CACHE_FLUSH);
    ring_pop(&p->responses, &rec);
}

static void test_flushes_come_by_themselves(void **state)
{
    struct peer *p = peer_new("");

    send_start(p, THREADS);
    json_decref(expect(p, "ready"));
    get_offer(p, "/a.txt");
    write_file(p, "a.txt", "changed");
    expect_flush(p);
    get_offer(p, "/a.txt");
    write_file(p, "web.config", "<configuration/>");
    expect_flush(p);
    get_offer(p, "/a.txt");
    int fd = config_memfd(p, "<location path='Default Web Site'/>");

    send_message(p, json_pack("{s:s, s:i, s:s}", "type", "generation", "id", 2, "config_path", "x"),
                 &fd, 1);
    close(fd);
    expect_flush(p);
    send_message(p, json_pack("{s:s, s:i}", "type", "stop", "timeout_ms", 5000), NULL, 0);
    assert_int_equal(peer_free(p), 0);
}

static void test_life(void **state)
{
    struct peer *p = peer_new("");
    char text[8192];

    send_start(p, THREADS);
    json_decref(expect(p, "ready"));
    send_message(p, json_pack("{s:s, s:i}", "type", "ping", "token", 77), NULL, 0);
    json_t *pong = expect(p, "pong");

    assert_int_equal(ipc_get_int(pong, "token", 0), 77);
    json_decref(pong);
    assert_int_equal(get(p, "/a.txt", text, sizeof(text)), 200);
    assert_non_null(strstr(text, "\r\nhello"));

    /* A new generation. */
    int fd = config_memfd(p, "<location path='Default Web Site'><system.webServer><serverRuntime "
                             "serverHeader='Other/1'/></system.webServer></location>");

    send_message(p, json_pack("{s:s, s:i, s:s}", "type", "generation", "id", 2, "config_path", "x"),
                 &fd, 1);
    close(fd);
    for (int i = 0; i < TRIES && !strstr(text, "Server: Other/1\r\n"); i++) {
        usleep(10000);
        get(p, "/a.txt", text, sizeof(text));
    }
    assert_non_null(strstr(text, "Server: Other/1\r\n"));
    /* One that cannot be used changes nothing. */
    fd = config_memfd(p, "<broken");
    send_message(p, json_pack("{s:s, s:i, s:s}", "type", "generation", "id", 3, "config_path", "x"),
                 &fd, 1);
    close(fd);
    json_decref(expect(p, "event"));
    assert_int_equal(get(p, "/a.txt", text, sizeof(text)), 200);

    /* A saved web.config takes effect by itself; a broken one is reported. */
    write_file(p, "web.config", "<configuration><broken");
    unsigned status = 200;

    for (int i = 0; i < TRIES && status == 200; i++) {
        usleep(10000);
        status = get(p, "/a.txt", text, sizeof(text));
    }
    assert_int_equal(status, 500);
    json_t *event = expect(p, "event");

    assert_int_equal(ipc_get_int(event, "code", 0), 2307);
    json_decref(event);
    write_file(p, "web.config", "<configuration/>");
    for (int i = 0; i < TRIES && status != 200; i++) {
        usleep(10000);
        status = get(p, "/a.txt", text, sizeof(text));
    }
    assert_int_equal(status, 200);
    send_message(p, json_pack("{s:s, s:i}", "type", "stop", "timeout_ms", 5000), NULL, 0);
    assert_int_equal(peer_free(p), 0);
}

static void test_refuses_to_start(void **state)
{
    static const char *const configs[] = {
        "<broken",
        "<system.webServer><globalModules><add name='X' image='x.dll' preCondition='moonPhase'/>"
        "</globalModules></system.webServer>",
    };

    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        struct peer *p = peer_new(configs[i]);
        send_start(p, THREADS);
        json_t *failed = expect(p, "failed");
        assert_int_equal(ipc_get_int(failed, "code", 0), 2297);
        json_decref(failed);
        assert_int_equal(peer_free(p), 1);
    }
    struct peer *p = peer_new("");

    send_start(p, THREADS + 1); /* more threads than descriptors */
    json_decref(expect(p, "failed"));
    assert_int_equal(peer_free(p), 1);
}

static void test_broken_ring(void **state)
{
    struct peer *p = peer_new("");

    send_start(p, THREADS);
    json_decref(expect(p, "ready"));
    assert_true(ring_push(&p->requests, MSG_RESPONSE, 0, 1, "x", 1));
    ring_wake_consumer(&p->requests);
    json_decref(expect(p, "event"));
    assert_int_equal(peer_free(p), 3);
}

/* Without a supervisor there is nothing to live for. */
static void test_lost_supervisor(void **state)
{
    struct peer *p = peer_new("");

    send_start(p, THREADS);
    json_decref(expect(p, "ready"));
    shutdown(p->control, SHUT_RDWR);
    assert_int_equal(peer_free(p), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_flushes_come_by_themselves),
        cmocka_unit_test(test_refuses_to_start),
        cmocka_unit_test(test_broken_ring),
        cmocka_unit_test(test_lost_supervisor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
