/* Plain sockets are watched for edges: the kernel tells of what has come once. Here the listener's
 * threads stand still while several things happen, so that one event tells of all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "listener_fixture.h"
#include "stopwatch.h"

enum { BIG = 400000, NARROW = 32 * 1024, WIDE = 4 << 20 };

static unsigned short port;
static char dir[] = "/tmp/candor-test-edges-XXXXXX";
static _Alignas(16) char data[1 << 20];
static char text[4 << 20];

/* --- a listener that stands still --- */

static _Atomic int standing;
static _Atomic bool stands;

static void stand(int signal)
{
    atomic_fetch_add(&standing, 1);
    while (atomic_load(&stands))
        usleep(1000);
}

/* Every thread but this one, and those that write logs, who take no signals. */
static void stop_the_listener(void)
{
    DIR *tasks = opendir("/proc/self/task");
    uint64_t tid;

    atomic_store(&standing, 0);
    atomic_store(&stands, true);
    assert_non_null(tasks);
    for (struct dirent *e; (e = readdir(tasks));)
        if (str_u64(str_z(e->d_name), INT32_MAX, &tid) && (pid_t)tid != gettid())
            syscall(SYS_tgkill, getpid(), (pid_t)tid, SIGUSR1);
    closedir(tasks);
    for (uint64_t until = clock_mono_ms() + PATIENCE_MS; atomic_load(&standing) < 2; usleep(1000))
        assert_true(clock_mono_ms() < until); /* control and event thread */
}

static void let_it_go_on(void)
{
    atomic_store(&stands, false);
}

/* --- sockets --- */

static void set_room(int fd, int option, int bytes)
{
    assert_int_equal(setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof(bytes)), 0);
}

static size_t read_what_is_there(int c)
{
    size_t n = 0;

    for (int quiet = 0; quiet < 20;) {
        ssize_t got = recv(c, text, sizeof(text), MSG_DONTWAIT);
        if (got > 0) {
            n += (size_t)got;
            quiet = 0;
        } else {
            quiet++;
            usleep(5000);
        }
    }
    return n;
}

/* --- the worker --- */

static uint64_t take(struct fake_worker *w, const char *path)
{
    return worker_take_path(w, data, sizeof(data), path);
}

/* --- tests --- */

/* A client whose answer waits for room, most of it in the listener. */
static int slow_reader(struct fake_worker *w, const char *request)
{
    int c = client_connect(port);

    set_room(c, SO_RCVBUF, NARROW);
    client_send(c, request);
    uint64_t id = take(w, "/big");
    set_room(client_other_end(c), SO_SNDBUF, NARROW);
    worker_answer_with_file(w, id, BIG);
    client_wait_stuck(c);
    return c;
}

/* There is room for the whole rest, and the client sends more, or its end. */
static size_t room_and(int c, const char *more)
{
    stop_the_listener();
    size_t n = read_what_is_there(c);
    set_room(client_other_end(c), SO_SNDBUF, WIDE);
    set_room(c, SO_RCVBUF, WIDE);
    if (more)
        client_send(c, more);
    else
        shutdown(c, SHUT_WR);
    usleep(20000);
    let_it_go_on();
    return n;
}

static void expect_served(struct fake_worker *w, uint64_t id, int c)
{
    worker_answer(w, id, 200, "", "served", 0, 0, true);
    client_read_until(c, text, sizeof(text), "served");
    assert_non_null(strstr(text, "served"));
    close(c);
}

static void request_comes_with_room_for_the_rest_of_an_answer(void **state)
{
    struct fake_worker *w = *state;
    int c = slow_reader(w, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");

    size_t n = room_and(c, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_in_range(n, 1, BIG - 1);
    uint64_t id = take(w, "/next");
    expect_served(w, id, c);
}

static void body_ends_with_room_for_the_rest_of_an_answer(void **state)
{
    struct fake_worker *w = *state;
    int c = slow_reader(w, "POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");

    room_and(c, "bodyGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    uint64_t id = take(w, "/next");
    expect_served(w, id, c);
}

static void end_comes_with_room_for_the_rest_of_an_answer(void **state)
{
    struct fake_worker *w = *state;
    int c = slow_reader(w, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");

    room_and(c, NULL);
    (void)client_read_until(c, text, sizeof(text), "no such text");
    assert_true(client_closed(c));
    close(c);
}

enum { HITS = 600 }; /* fewer bytes than a connection has room for */
static const char hit[] = "GET /kept HTTP/1.1\r\nHost: a\r\n\r\n";

/* The first of them, answered by the worker; from then on by the cache. */
static void ask_once(struct fake_worker *w, int c)
{
    static bool is_kept;
    struct {
        struct msg_response head;
        char lines[26], body[4];
    } record = {.head = {.status = 200,
                         .flags = MSGR_CACHE | MSGR_LENGTH,
                         .headers_len = sizeof(record.lines),
                         .body_len = sizeof(record.body),
                         .cache_seconds = 900,
                         .content_length = sizeof(record.body)}};

    memcpy(record.lines, "Content-Type: text/plain\r\n", sizeof(record.lines));
    memcpy(record.body, "hit!", sizeof(record.body));
    client_send(c, hit);
    if (!is_kept)
        worker_send(w, MSG_RESPONSE, MSG_END, take(w, "/kept"), &record,
                    (uint32_t)(offsetof(__typeof__(record), body) + sizeof(record.body)));
    is_kept = true;
    client_read_until(c, text, sizeof(text), "hit!");
}

static void send_hits(int c)
{
    for (size_t i = 0; i < HITS; i++)
        memcpy(text + i * (sizeof(hit) - 1), hit, sizeof(hit));
    client_send(c, text);
}

/* Reads to the end; what was read stays in text. */
static size_t count_hits(int c)
{
    size_t found = 0;

    (void)client_read_until(c, text, sizeof(text), "no such text");
    for (const char *p = text; (p = strstr(p, "hit!")); p++)
        found++;
    return found;
}

/* Hits are answered some at a time; the client has sent all of them, and its end. */
static void hits_and_the_end_come_together(void **state)
{
    int c = client_connect(port);

    ask_once(*state, c);
    send_hits(c);
    shutdown(c, SHUT_WR);
    assert_int_equal(count_hits(c), HITS);
    assert_true(client_closed(c));
    close(c);
}

static bool is_stopping;

/* The server stops while clients wait for the rest of their answers. The last test. */
static void hits_that_wait_are_answered_at_the_end(void **state)
{
    enum { CLIENTS = 24 };
    int c[CLIENTS];

    for (int i = 0; i < CLIENTS; i++) {
        c[i] = client_connect(port);
        ask_once(*state, c[i]);
    }
    stop_the_listener();
    for (int i = 0; i < CLIENTS; i++)
        send_hits(c[i]);
    let_it_go_on();
    assert_int_equal(recv(c[CLIENTS - 1], text, 8, MSG_PEEK | MSG_WAITALL), 8);
    is_stopping = true;
    fixture_begin_stop(4000);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(count_hits(c[i]), HITS);
        const char *close_said = strstr(text, "Connection: close");
        assert_non_null(close_said);
        assert_null(strstr(close_said, "HTTP/1.1 ")); /* in the last one */
        close(c[i]);
    }
}

static int set_up(void **state)
{
    static struct fake_worker w;
    struct sigaction on_signal = {.sa_handler = stand, .sa_flags = SA_RESTART};

    if (!mkdtemp(dir) || sigaction(SIGUSR1, &on_signal, NULL) != 0)
        return -1;
    port = fixture_start(dir);
    fixture_attach(&w);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct fake_worker *w = *state;

    if (!is_stopping)
        fixture_begin_stop(2000);
    fixture_end_stop();
    region_unmap(&w->region);
    return fixture_remove_logs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_comes_with_room_for_the_rest_of_an_answer),
        cmocka_unit_test(body_ends_with_room_for_the_rest_of_an_answer),
        cmocka_unit_test(end_comes_with_room_for_the_rest_of_an_answer),
        cmocka_unit_test(hits_and_the_end_come_together),
        cmocka_unit_test(hits_that_wait_are_answered_at_the_end),
    };

    return cmocka_run_group_tests_name("listener edges", tests, set_up, tear_down);
}
