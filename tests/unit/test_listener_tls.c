/* TLS on a real listener: what is special about it for the code around requests and answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "listener_fixture.h"
#include "tls_fixture.h"

enum { BIG = 3000000, RATE = 4 << 20, NARROW = 64 * 1024, UPDATES = 200000 };

static unsigned short port;
static char dir[] = "/tmp/candor-test-tls-XXXXXX";
static struct made_cert cert;
static _Alignas(16) char data[1 << 20];
static char text[4 << 20];

/* --- clients --- */

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};

static struct client open_client(int version, bool gives_certificate_later)
{
    struct client c = {.ctx = SSL_CTX_new(TLS_client_method()), .fd = client_connect(port)};

    SSL_CTX_set_post_handshake_auth(c.ctx, gives_certificate_later);
    SSL_CTX_set_mode(c.ctx, SSL_MODE_AUTO_RETRY);
    c.ssl = SSL_new(c.ctx);
    SSL_set_min_proto_version(c.ssl, version);
    SSL_set_max_proto_version(c.ssl, version);
    SSL_set_fd(c.ssl, c.fd);
    assert_int_equal(SSL_connect(c.ssl), 1);
    return c;
}

static void close_client(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    close(c->fd);
    ERR_clear_error();
}

static void say(struct client *c, const char *what)
{
    assert_int_equal(SSL_write(c->ssl, what, (int)strlen(what)), (int)strlen(what));
}

static size_t read_until(struct client *c, const char *what)
{
    size_t n = 0;
    int got;

    for (text[0] = '\0'; !strstr(text, what) && n < sizeof(text) - 1; text[n] = '\0') {
        got = SSL_read(c->ssl, text + n, (int)(sizeof(text) - 1 - n));
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    ERR_clear_error();
    return n;
}

/* --- the worker --- */

static uint64_t take(struct fake_worker *w, const char *path)
{
    return worker_take_path(w, data, sizeof(data), path);
}

static void serve(struct fake_worker *w, struct client *c, const char *path)
{
    char request[128];

    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    say(c, request);
    worker_answer(w, take(w, path), 200, "", "served", 0, 0, true);
    read_until(c, "served");
    assert_non_null(strstr(text, "served"));
}

/* --- tests --- */

/* The worker has asked for the client's certificate and must wait for what comes of it. */
static void answer_in_place_of_waiting_ends_the_worker(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct fake_worker *w = *state;

    for (size_t i = 0; i < 2; i++) {
        struct client c = open_client(versions[i], true);
        say(&c, "GET /asks HTTP/1.1\r\nHost: a\r\n\r\n");
        uint64_t id = take(w, "/asks");
        worker_send(w, MSG_CLIENT_CERT_WANTED, 0, id, NULL, 0);
        usleep(100000);
        worker_answer(w, id, 200, "", "too early", 0, 0, true);
        fixture_expect("worker_malformed");
        fixture_worker_gone(w);
        read_until(&c, "no such text"); /* gives its certificate, and is told that all is over */
        close_client(&c);
        region_unmap(&w->region);
        fixture_attach(w);
    }
    struct client c = open_client(TLS1_3_VERSION, false);

    serve(w, &c, "/after");
    close_client(&c);
}

/* A record that has been sealed has to leave as it is, whatever the next turn would allow. */
static void throttled_answer_to_a_slow_reader_is_whole(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct fake_worker *w = *state;

    for (size_t i = 0; i < 2; i++) {
        fixture_generation(&(struct fixture_options){
            .chain = cert.cert_pem, .key = cert.key_pem, .max_bandwidth = RATE});
        struct client c = open_client(versions[i], false);
        int room = NARROW;
        setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
        say(&c, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
        worker_answer_with_file(w, take(w, "/big"), BIG);
        size_t n = 0;
        int got;
        while (n < BIG && (got = SSL_read(c.ssl, text, 20000)) > 0) {
            n += (size_t)got;
            usleep((useconds_t)(n % 7 * 500));
        }
        assert_true(n >= BIG);
        close_client(&c);
    }
    fixture_generation(&(struct fixture_options){.chain = cert.cert_pem, .key = cert.key_pem});
}

/* Keys are made anew as fast as the client can ask, by whoever reads the records. */
static void key_updates_without_end_keep_nobody_waiting(void **state)
{
    struct fake_worker *w = *state;

    for (int later = 0; later < 2; later++) {
        struct client c = open_client(TLS1_3_VERSION, later);
        struct client other = open_client(TLS1_3_VERSION, false);
        struct timeval patience = {.tv_sec = 1};
        setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        int sent = 0;
        while (sent < UPDATES && SSL_key_update(c.ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
               SSL_do_handshake(c.ssl) == 1)
            sent++;
        ERR_clear_error();
        assert_in_range(sent, 1, UPDATES - 1); /* the connection has been ended */
        serve(w, &other, "/beside");
        close_client(&other);
        close_client(&c);
    }
}

static int set_up(void **state)
{
    static struct fake_worker w;

    made_cert(&cert, &(struct made_options){.name = "localhost"});
    if (!mkdtemp(dir))
        return -1;
    port = fixture_start_with(
        dir, &(struct fixture_options){.chain = cert.cert_pem, .key = cert.key_pem});
    fixture_attach(&w);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct fake_worker *w = *state;

    fixture_stop();
    region_unmap(&w->region);
    made_cert_free(&cert);
    return fixture_remove_logs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_in_place_of_waiting_ends_the_worker),
        cmocka_unit_test(throttled_answer_to_a_slow_reader_is_whole),
        cmocka_unit_test(key_updates_without_end_keep_nobody_waiting),
    };

    return cmocka_run_group_tests_name("listener tls", tests, set_up, tear_down);
}
