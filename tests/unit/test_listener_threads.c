/* Two event threads, two workers that come and go, clients of every kind at once. Every request
 * ends, nothing is left, and (under a thread sanitizer) nothing is shared that must not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "listener_fixture.h"

enum { THREADS = 2, WORKERS = 2, CLIENT_THREADS = 4, RUN_MS = 4000, LYING = 64 };

static unsigned short port;
static char dir[] = "/tmp/candor-test-threads-XXXXXX";
static atomic_bool finished;
static atomic_uint answered, broken;

/* One pair of rings, served until told to stop: the answer depends on the path's second letter. */
struct server {
    struct fake_worker *pair;
    pthread_t id;
    atomic_bool stop;
    unsigned left_unanswered; /* leave each n-th request until its abort or our end; 0: none */
};

static void serve_one(struct server *s, const struct ring_record *rec, char kind)
{
    struct fake_worker *w = s->pair;
    struct msg_end end = {0};

    switch (kind) {
    case 'r':
        worker_send(w, MSG_RESPONSE_RESET, 0, rec->id, &end, sizeof(end));
        return;
    case 'c':
        worker_answer(w, rec->id, 200, "", "", 0, 0, false);
        worker_send(w, MSG_RESPONSE_BODY, 0, rec->id, "part", 4);
        worker_send(w, MSG_RESPONSE_BODY, MSG_END, rec->id, "last", 4);
        return;
    default:
        worker_answer(w, rec->id, 200, "", "answer", 0, 0, true);
    }
}

/* Requests that were left lying are answered now; the others have been. */
static void give_up(struct server *s, uint64_t lying[LYING], uint64_t id)
{
    struct msg_end end = {0};

    for (size_t i = 0; i < LYING; i++)
        if (lying[i] == id) {
            lying[i] = UINT64_MAX;
            worker_send(s->pair, MSG_RESPONSE_RESET, 0, id, &end, sizeof(end));
        }
}

static void *serve(void *arg)
{
    struct server *s = arg;
    _Alignas(16) static _Thread_local char data[64 * 1024];
    uint64_t lying[LYING];
    unsigned n = 0;

    memset(lying, 0xff, sizeof(lying));
    while (!atomic_load(&s->stop)) {
        struct ring_record rec;
        struct request_message m;
        if (ring_peek(&s->pair->requests, &rec) != RC_OK) {
            usleep(500);
            ring_wake_consumer(&s->pair->responses);
            continue;
        }
        memcpy(data, rec.payload, rec.len);
        ring_pop(&s->pair->requests, &rec);
        ring_wake_producer(&s->pair->requests);
        if (rec.type == MSG_REQUEST_ABORT) {
            give_up(s, lying, rec.id);
        } else if (rec.type == MSG_REQUEST && message_decode_request(data, rec.len, &m)) {
            if (!s->left_unanswered || ++n % s->left_unanswered)
                serve_one(s, &rec, m.path.n > 1 ? m.path.p[1] : ' ');
            else
                lying[n / s->left_unanswered % LYING] = rec.id;
        }
    }
    return NULL;
}

static const char *const texts[] = {
    "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /chunked HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
    "GET /reset HTTP/1.1\r\nHost: h\r\n\r\n",
    "nonsense\r\n\r\n",
};

static void *visit(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    char buf[4096];

    while (!atomic_load(&finished)) {
        int c = client_connect(port);
        struct timeval brief = {.tv_sec = 2};
        unsigned kind = (unsigned)rand_r(&seed) % ARRAY_LEN(texts);
        setsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
        (void)!send(c, texts[kind], strlen(texts[kind]), MSG_NOSIGNAL);
        if (rand_r(&seed) % 8) {
            ssize_t n = recv(c, buf, sizeof(buf), 0);
            atomic_fetch_add(n > 0 ? &answered : &broken, 1);
        }
        struct linger hard = {.l_onoff = rand_r(&seed) % 2};
        setsockopt(c, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        close(c);
    }
    return NULL;
}

static void start(struct server *s, struct fake_worker *w, unsigned left_unanswered)
{
    for (int i = 0; i < THREADS; i++) {
        s[i].pair = &w[i];
        s[i].left_unanswered = left_unanswered;
        atomic_store(&s[i].stop, false);
        assert_int_equal(pthread_create(&s[i].id, NULL, serve, &s[i]), 0);
    }
}

static void stop(struct server *s)
{
    for (int i = 0; i < THREADS; i++)
        atomic_store(&s[i].stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(s[i].id, NULL);
}

static void everything_at_once(void **state)
{
    struct fake_worker pairs[WORKERS][THREADS];
    struct server servers[WORKERS][THREADS];
    pthread_t clients[CLIENT_THREADS];
    struct fixture_options o = {.threads = THREADS};

    for (int i = 0; i < WORKERS; i++) {
        fixture_attach(pairs[i]);
        start(servers[i], pairs[i], 0);
    }
    for (uintptr_t i = 0; i < CLIENT_THREADS; i++)
        assert_int_equal(pthread_create(&clients[i], NULL, visit, (void *)(i + 1)), 0);
    uint64_t until = clock_mono_ms() + RUN_MS;

    for (int i = 0; clock_mono_ms() < until; i++) {
        struct server *s = servers[i % WORKERS];
        struct fake_worker *w = pairs[i % WORKERS];
        usleep(150000);
        if (i % 3 == 0)
            fixture_drain(w);
        usleep(20000);
        stop(s); /* dies with whatever it holds */
        fixture_worker_gone(w);
        fixture_generation(&o);
        if (i % 4 == 1) {
            fixture_pool("Stopped", "AppOffline", 1000);
            usleep(30000);
            fixture_pool("Started", "", 1000);
        }
        fixture_attach(w);
        start(s, w, i % 5 == 0 ? 50 : 0);
    }
    atomic_store(&finished, true);
    for (int i = 0; i < CLIENT_THREADS; i++)
        pthread_join(clients[i], NULL);
    for (int i = 0; i < WORKERS; i++) {
        stop(servers[i]);
        fixture_worker_gone(pairs[i]);
    }
    /* Clients that shut their side behind a request still wait for an answer. */
    fixture_attach(pairs[0]);
    start(servers[0], pairs[0], 0);
    print_message("  %u answered, %u broken\n", atomic_load(&answered), atomic_load(&broken));
    assert_true(atomic_load(&answered) > 100);

    fixture_wait_connections(0);
    fixture_wait_queued(0);
    stop(servers[0]);
    fixture_worker_gone(pairs[0]);
}

static int set_up(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    port = fixture_start_with(dir, &(struct fixture_options){.threads = THREADS});
    return 0;
}

static int tear_down(void **state)
{
    fixture_stop();
    return fixture_remove_logs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything_at_once)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
