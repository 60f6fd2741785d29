/* The listener's TLS against OpenSSL's own client, over a socket pair. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "listener/tls_internal.h"
#include "tls_fixture.h"

static struct made_cert root, default_cert, named, starred, stranger, good_client, old_client,
    stranger_client, revoked_client;

static int make_all(void **state)
{
    made_cert(&root, &(struct made_options){.name = "Test Root", .is_ca = 1});
    made_cert(&stranger, &(struct made_options){.name = "Other Root", .is_ca = 1});
    made_cert(&default_cert, &(struct made_options){.name = "default.test", .issuer = &root});
    made_cert(&named, &(struct made_options){.name = "www.named.test", .issuer = &root});
    made_cert(&starred, &(struct made_options){.name = "*.star.test", .issuer = &root});
    made_cert(&good_client,
              &(struct made_options){.name = "good", .issuer = &root, .is_client = 1, .serial = 7});
    made_cert(
        &revoked_client,
        &(struct made_options){.name = "revoked", .issuer = &root, .is_client = 1, .serial = 8});
    made_cert(&old_client,
              &(struct made_options){
                  .name = "old", .issuer = &root, .is_client = 1, .from_s = -7200, .to_s = -3600});
    made_cert(&stranger_client,
              &(struct made_options){.name = "who", .issuer = &stranger, .is_client = 1});
    return 0;
}

static int free_all(void **state)
{
    struct made_cert *all[] = {&root,       &stranger,        &default_cert,
                               &named,      &starred,         &good_client,
                               &old_client, &stranger_client, &revoked_client};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        made_cert_free(all[i]);
    return 0;
}

/* ---- table ---------------------------------------------------------------------------------- */

static json_t *cert_json(const char *id, const struct made_cert *c)
{
    return json_pack("{s:s, s:s, s:s}", "id", id, "chain", c->cert_pem, "key", c->key_pem);
}

static json_t *message(void)
{
    json_t *certs = json_pack("[o, o, o]", cert_json("default", &default_cert),
                              cert_json("named", &named), cert_json("starred", &starred));

    return json_pack("{s:o, s:[], s:{s:s}}", "certificates", certs, "bindings", "trust", "roots",
                     root.cert_pem);
}

static void bind_to(json_t *msg, const char *address, const char *host, const char *cert, int flags,
                    int ask)
{
    json_array_append_new(json_object_get(msg, "bindings"),
                          json_pack("{s:s, s:i, s:s, s:s, s:i, s:b}", "address", address, "port",
                                    443, "host", host, "certificate", cert, "sslFlags", flags,
                                    "ask", ask));
}

static struct tls_table *load(json_t *msg)
{
    char why[TLS_WHY_MAX] = "";
    struct tls_table *t = tls_table_load(msg, why);

    if (!t)
        fail_msg("%s", why);
    json_decref(msg);
    return t;
}

/* ---- both ends ------------------------------------------------------------------------------ */

struct pair {
    struct tls_conn *server;
    SSL_CTX *ctx;
    SSL *client;
    int fds[2];
    enum tls_rc server_rc;
    int client_rc;
};

static const struct msg_address local = {
    .ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}, .port = 443, .is_v4 = 1};

static void open_pair(struct pair *p, struct tls_table *t, const char *host)
{
    *p = (struct pair){.ctx = SSL_CTX_new(TLS_client_method())};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fds), 0);
    p->server = tls_conn_new(t, p->fds[0], &local);
    assert_non_null(p->server);
    p->client = SSL_new(p->ctx);
    SSL_set_fd(p->client, p->fds[1]);
    SSL_set_connect_state(p->client);
    if (host)
        SSL_set_tlsext_host_name(p->client, host);
}

static bool is_end(enum tls_rc rc)
{
    return rc == TLS_DONE || rc == TLS_FAILED;
}

static void shake(struct pair *p)
{
    bool client_over = false;

    for (int i = 0; i < 20 && (!client_over || !is_end(p->server_rc)); i++) {
        p->client_rc = SSL_do_handshake(p->client);
        client_over = p->client_rc == 1 || SSL_get_error(p->client, p->client_rc) == SSL_ERROR_SSL;
        if (i == 0 || !is_end(p->server_rc))
            p->server_rc = tls_handshake(p->server);
    }
    ERR_clear_error();
}

static void close_pair(struct pair *p)
{
    tls_close(p->server);
    tls_conn_free(p->server);
    SSL_set_shutdown(p->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* sessions stay good */
    SSL_free(p->client);
    SSL_CTX_free(p->ctx);
    close(p->fds[0]);
    close(p->fds[1]);
    ERR_clear_error();
}

static void client_only(struct pair *p, int version)
{
    SSL_set_min_proto_version(p->client, version);
    SSL_set_max_proto_version(p->client, version);
}

static void client_cert(struct pair *p, const struct made_cert *c)
{
    SSL_use_certificate(p->client, c->x);
    SSL_use_PrivateKey(p->client, c->key);
}

static void client_says(struct pair *p, const char *text)
{
    char got[4096];
    ssize_t n = -1;

    assert_int_equal(SSL_write(p->client, text, (int)strlen(text)), (int)strlen(text));
    for (int i = 0; i < 5 && n < 0; i++)
        n = tls_recv(p->server, got, sizeof(got));
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, (size_t)n);
}

static void server_says(struct pair *p, const char *text)
{
    char got[4096];

    assert_int_equal(tls_send(p->server, text, strlen(text), false), strlen(text));
    assert_int_equal(SSL_read(p->client, got, sizeof(got)), (int)strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

static void assert_peer(const struct pair *p, const struct made_cert *c)
{
    X509 *x = SSL_get0_peer_certificate(p->client);

    assert_non_null(x);
    assert_int_equal(X509_cmp(x, c->x), 0);
}

static void shaken(struct pair *p, struct tls_table *t, const char *host)
{
    open_pair(p, t, host);
    shake(p);
    if (p->server_rc != TLS_DONE)
        fail_msg("%s: %s", host, tls_failure(p->server));
    assert_int_equal(p->client_rc, 1);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static struct tls_table *usual_table(int flags)
{
    json_t *msg = message();

    bind_to(msg, "*", "", "default", flags, 0);
    bind_to(msg, "*", "www.named.test", "named", 1 | flags, 0);
    bind_to(msg, "*", "*.star.test", "starred", 1 | flags, 0);
    return load(msg);
}

static void names_choose_certificates(void **state)
{
    struct tls_table *t = usual_table(0);
    const struct {
        const char *host;
        const struct made_cert *cert;
    } cases[] = {{NULL, &default_cert},           {"nobody.test", &default_cert},
                 {"www.named.test", &named},      {"WWW.Named.TEST", &named},
                 {"www.named.test.", &named},     {"a.star.test", &starred},
                 {"a.b.star.test", &starred},     {"star.test", &default_cert},
                 {"bad name.test", &default_cert}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pair p;
        shaken(&p, t, cases[i].host);
        assert_peer(&p, cases[i].cert);
        close_pair(&p);
    }
    tls_table_unref(t);
}

static void an_address_goes_before_names(void **state)
{
    json_t *msg = message();
    struct pair p;

    bind_to(msg, "127.0.0.1", "", "default", 0, 0);
    bind_to(msg, "*", "www.named.test", "named", 1, 0);
    struct tls_table *t = load(msg);

    shaken(&p, t, "www.named.test");
    assert_peer(&p, &default_cert);
    close_pair(&p);
    tls_table_unref(t);
}

static void a_name_nobody_has_ends_the_handshake(void **state)
{
    json_t *msg = message();
    const char *hosts[] = {NULL, "nobody.test"};

    bind_to(msg, "*", "www.named.test", "named", 1, 0);
    bind_to(msg, "10.1.2.3", "", "default", 0, 0);
    struct tls_table *t = load(msg);

    for (size_t i = 0; i < 2; i++) {
        struct pair p;
        open_pair(&p, t, hosts[i]);
        shake(&p);
        assert_int_equal(p.server_rc, TLS_FAILED);
        assert_string_equal(tls_failure(p.server), "no certificate for this name");
        assert_int_not_equal(p.client_rc, 1);
        assert_int_equal(tls_handshake(p.server), TLS_FAILED);
        close_pair(&p);
    }
    tls_table_unref(t);
}

static void records_go_both_ways(void **state)
{
    struct tls_table *t = usual_table(0);
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (size_t i = 0; i < 2; i++) {
        struct pair p;
        char byte;
        struct tls_facts f;
        open_pair(&p, t, "www.named.test");
        client_only(&p, versions[i]);
        shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        assert_int_equal(tls_recv(p.server, &byte, 1), -1);
        assert_int_equal(errno, EAGAIN);
        client_says(&p, "GET / HTTP/1.1\r\n\r\n");
        server_says(&p, "HTTP/1.1 200 OK\r\n\r\n");
        server_says(&p, "more");
        tls_get_facts(p.server, &f);
        assert_int_equal(f.version, versions[i]);
        assert_int_equal(f.cipher_bits, 128);
        assert_int_equal(f.key_bits, 256);
        assert_int_equal(f.verdict, CLIENT_CERT_NONE);
        assert_int_equal(f.client_cert.n, 0);
        assert_true(str_eq(f.server_name, STR("www.named.test")));
        assert_true(f.cipher.n > 5);
        tls_close(p.server);
        assert_int_equal(SSL_read(p.client, &byte, 1), 0);
        assert_int_equal(SSL_get_error(p.client, 0), SSL_ERROR_ZERO_RETURN);
        SSL_shutdown(p.client);
        assert_int_equal(tls_recv(p.server, &byte, 1), 0);
        close_pair(&p);
    }
    tls_table_unref(t);
}

static void one_call_takes_several_records(void **state)
{
    struct tls_table *t = usual_table(0);
    struct pair p;
    char got[64];

    shaken(&p, t, NULL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(SSL_write(p.client, "0123456789", 10), 10);
    assert_int_equal(tls_recv(p.server, got, 25), 25);
    assert_true(tls_pending(p.server));
    assert_int_equal(tls_recv(p.server, got, sizeof(got)), 25);
    assert_false(tls_pending(p.server));
    assert_int_equal(tls_recv(p.server, got, sizeof(got)), -1);
    assert_int_equal(errno, EAGAIN);
    close_pair(&p);
    tls_table_unref(t);
}

static void a_full_socket_keeps_its_record(void **state)
{
    struct tls_table *t = usual_table(0);
    struct pair p;
    enum { TOTAL = 3000000 };
    char *data = malloc(TOTAL), *got = malloc(TOTAL);
    size_t sent = 0, read_n = 0;
    bool was_full = false;

    for (size_t i = 0; i < TOTAL; i++)
        data[i] = (char)(i * 31 + i / 7);
    shaken(&p, t, NULL);
    while (read_n < TOTAL) {
        ssize_t n = sent < TOTAL ? tls_send(p.server, data + sent, TOTAL - sent, false) : 0;
        if (n > 0)
            sent += (size_t)n;
        else if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_false(tls_send_wants_input(p.server));
            was_full = true;
        }
        int r = SSL_read(p.client, got + read_n, TOTAL - (int)read_n);
        if (r > 0)
            read_n += (size_t)r;
    }
    assert_true(was_full);
    assert_memory_equal(got, data, TOTAL);
    close_pair(&p);
    tls_table_unref(t);
    free(data);
    free(got);
}

static void files_are_sent_as_records(void **state)
{
    struct tls_table *t = usual_table(0);
    struct pair p;
    char name[] = "/tmp/candor-tls-XXXXXX", buf[16384], text[50000], got[50000];
    int fd = mkstemp(name);
    uint64_t off = 1000;
    size_t left = 40000, read_n = 0;

    unlink(name);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 26);
    assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
    shaken(&p, t, NULL);
    while (left || read_n < 40000) {
        ssize_t n = left ? tls_sendfile(p.server, fd, off, left, buf, sizeof(buf)) : 0;
        if (n > 0) {
            off += (uint64_t)n;
            left -= (size_t)n;
        }
        int r = SSL_read(p.client, got + read_n, (int)(sizeof(got) - read_n));
        if (r > 0)
            read_n += (size_t)r;
    }
    assert_memory_equal(got, text + 1000, 40000);
    assert_int_equal(tls_sendfile(p.server, fd, 60000, 10, buf, sizeof(buf)), 0);
    close(fd);
    close_pair(&p);
    tls_table_unref(t);
}

static void set_alpn(struct pair *p, const char *list)
{
    SSL_set_alpn_protos(p->client, (const unsigned char *)list, (unsigned)strlen(list));
}

static void alpn_chooses_http2_where_it_may(void **state)
{
    struct tls_table *with = usual_table(0), *without = usual_table(4);
    struct pair p;
    const unsigned char *name;
    unsigned n;

    open_pair(&p, with, NULL);
    set_alpn(&p, "\x08http/1.1\x02h2");
    shake(&p);
    assert_true(tls_is_http2(p.server));
    SSL_get0_alpn_selected(p.client, &name, &n);
    assert_int_equal(n, 2);
    close_pair(&p);
    open_pair(&p, without, "www.named.test");
    set_alpn(&p, "\x02h2\x08http/1.1");
    shake(&p);
    assert_int_equal(p.server_rc, TLS_DONE);
    assert_false(tls_is_http2(p.server));
    SSL_get0_alpn_selected(p.client, &name, &n);
    assert_memory_equal(name, "http/1.1", n);
    close_pair(&p);
    open_pair(&p, with, NULL);
    set_alpn(&p, "\x05gopht");
    shake(&p);
    assert_int_equal(p.server_rc, TLS_FAILED);
    close_pair(&p);
    shaken(&p, with, NULL);
    assert_false(tls_is_http2(p.server));
    close_pair(&p);
    tls_table_unref(with);
    tls_table_unref(without);
}

static void flags_limit_versions(void **state)
{
    struct tls_table *t = usual_table(32);
    struct pair p;

    shaken(&p, t, "www.named.test");
    assert_int_equal(SSL_version(p.client), TLS1_2_VERSION);
    close_pair(&p);
    open_pair(&p, t, NULL);
    client_only(&p, TLS1_3_VERSION);
    shake(&p);
    assert_int_equal(p.server_rc, TLS_FAILED);
    close_pair(&p);
    tls_table_unref(t);
    t = usual_table(0);
    open_pair(&p, t, NULL);
    SSL_set_security_level(p.client, 0);
    client_only(&p, TLS1_1_VERSION);
    shake(&p);
    assert_int_equal(p.server_rc, TLS_FAILED);
    close_pair(&p);
    tls_table_unref(t);
}

static SSL_SESSION *kept;

static int keep_session(SSL *ssl, SSL_SESSION *s)
{
    SSL_SESSION_free(kept);
    kept = s;
    return 1;
}

static void keep_sessions(struct pair *p)
{
    SSL_CTX_set_session_cache_mode(p->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(p->ctx, keep_session);
}

static void forget_session(void)
{
    SSL_SESSION_free(kept);
    kept = NULL;
}

/* Also from one table to the next, as after a change of configuration. */
static void sessions_resume(void **state)
{
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (size_t i = 0; i < 2; i++) {
        struct tls_table *t = usual_table(0);
        struct pair p;
        open_pair(&p, t, "www.named.test");
        keep_sessions(&p);
        client_only(&p, versions[i]);
        shake(&p);
        client_says(&p, "first");
        server_says(&p, "answer");
        server_says(&p, "and another");
        assert_non_null(kept);
        assert_false(SSL_session_reused(p.client));
        close_pair(&p);
        tls_table_unref(t);
        t = usual_table(0);
        open_pair(&p, t, "www.named.test");
        client_only(&p, versions[i]);
        SSL_set_session(p.client, kept);
        shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        assert_true(SSL_session_reused(p.client));
        server_says(&p, "welcome back");
        close_pair(&p);
        /* Another binding is another context. */
        open_pair(&p, t, "a.star.test");
        client_only(&p, versions[i]);
        SSL_set_session(p.client, kept);
        shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        assert_false(SSL_session_reused(p.client));
        close_pair(&p);
        tls_table_unref(t);
        forget_session();
    }
}

static void raw_bytes(struct pair *p, const void *bytes, size_t n)
{
    assert_int_equal(write(p->fds[1], bytes, n), n);
}

static void new_keys_are_followed_both_ways(void **state)
{
    struct tls_table *t = usual_table(0);
    struct pair p;

    shaken(&p, t, NULL);
    for (int i = 0; i < 5; i++) {
        client_says(&p, "before");
        server_says(&p, "before");
        assert_int_equal(SSL_key_update(p.client, i % 2 ? SSL_KEY_UPDATE_REQUESTED
                                                        : SSL_KEY_UPDATE_NOT_REQUESTED),
                         1);
        client_says(&p, "after");
        server_says(&p, "after");
    }
    close_pair(&p);
    tls_table_unref(t);
}

/* As the server reads between the client's messages: the failure that ends it, or NULL. */
static const char *failure_of(struct pair *p, int count, int (*say)(SSL *))
{
    char got[64];

    for (int i = 0; i < count; i++) {
        (void)say(p->client);
        if (tls_recv(p->server, got, sizeof(got)) >= 0)
            fail_msg("nothing was sent");
        if (errno != EAGAIN)
            return tls_failure(p->server);
        (void)SSL_read(p->client, got, 1);
    }
    return NULL;
}

static int new_keys(SSL *client)
{
    SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED);
    return SSL_do_handshake(client);
}

static int new_keys_for_itself(SSL *client)
{
    SSL_key_update(client, SSL_KEY_UPDATE_NOT_REQUESTED);
    return SSL_do_handshake(client);
}

static void records_without_data_are_counted(void **state)
{
    static const struct {
        int version;
        int (*say)(SSL *);
    } cases[] = {{TLS1_3_VERSION, new_keys}, {TLS1_3_VERSION, new_keys_for_itself}};
    struct tls_table *t = usual_table(0);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pair p;
        char got[64];
        open_pair(&p, t, NULL);
        client_only(&p, cases[i].version);
        shake(&p);
        for (int k = 0; k < 3; k++) { /* data between them make them worth it */
            assert_null(failure_of(&p, 30, cases[i].say));
            client_says(&p, "data");
            server_says(&p, "data");
        }
        const char *why = failure_of(&p, 33, cases[i].say);
        assert_non_null(why);
        assert_string_equal(why, "too many records without data");
        assert_int_equal(tls_recv(p.server, got, sizeof(got)), -1);
        assert_int_equal(errno, ECONNRESET);
        assert_int_equal(tls_send(p.server, "x", 1, false), -1);
        close_pair(&p);
    }
    tls_table_unref(t);
}

/* All at once, so that one SSL_read meets them. */
static void a_flood_of_records_ends_within_one_call(void **state)
{
    struct tls_table *t = usual_table(0);

    for (int requested = 0; requested < 2; requested++) {
        struct pair p;
        static char sealed[256 * 1024];
        char got[64];
        int big = 1024 * 1024;
        shaken(&p, t, NULL);
        setsockopt(p.fds[1], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
        BIO *mem = BIO_new(BIO_s_mem());
        SSL_set0_wbio(p.client, mem);
        for (int i = 0; i < 4000; i++)
            assert_int_equal((requested ? new_keys : new_keys_for_itself)(p.client), 1);
        int n = BIO_read(mem, sealed, sizeof(sealed));
        assert_true(n > 4000 * 20);
        raw_bytes(&p, sealed, (size_t)n);
        assert_int_equal(tls_recv(p.server, got, sizeof(got)), -1);
        assert_int_equal(errno, ECONNRESET);
        assert_string_equal(tls_failure(p.server), "too many records without data");
        /* Most of it has not even been looked at. */
        ssize_t left = recv(p.fds[0], sealed, sizeof(sealed), 0);
        assert_true(left > n - 40 * 1024);
        close_pair(&p);
    }
    tls_table_unref(t);
}

/* Also where it is OpenSSL that counts: none of it may be without end. */
static void tls12_floods_end(void **state)
{
    static const struct {
        unsigned char type;
        const char *content;
        size_t n;
        const char *why;
    } cases[] = {
        {SSL3_RT_HANDSHAKE, "\1\0\0\0", 4, "too many records without data"},
        {SSL3_RT_ALERT, "\1\132", 2, "too many warn alerts"},
        {SSL3_RT_APPLICATION_DATA, "", 0, "record too small"},
    };
    struct tls_table *t = usual_table(0);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pair p;
        unsigned char sealed[64];
        char got[64];
        uint64_t seq = 1;
        open_pair(&p, t, NULL);
        client_only(&p, TLS1_2_VERSION);
        SSL_set_cipher_list(p.client, "ECDHE-ECDSA-AES128-GCM-SHA256");
        shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        size_t n = made_record12(p.client, seq++, SSL3_RT_APPLICATION_DATA, "data", 4, sealed);
        raw_bytes(&p, sealed, n);
        assert_int_equal(tls_recv(p.server, got, sizeof(got)), 4);
        assert_memory_equal(got, "data", 4);
        for (; seq < 60; seq++) {
            n = made_record12(p.client, seq, cases[i].type, cases[i].content, cases[i].n, sealed);
            raw_bytes(&p, sealed, n);
        }
        assert_int_equal(tls_recv(p.server, got, sizeof(got)), -1);
        assert_int_equal(errno, ECONNRESET);
        assert_string_equal(tls_failure(p.server), cases[i].why);
        close_pair(&p);
    }
    tls_table_unref(t);
}

static void bad_records_end_it(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *why;
        int alert;
    } cases[] = {
        {"\x17\x03\x03\x00\x20 this is nothing that was sealed", 37,
         "decryption failed or bad record mac", SSL_R_SSLV3_ALERT_BAD_RECORD_MAC},
        {"\x17\x03\x03\x00\x05 tiny", 10, "decryption failed or bad record mac",
         SSL_R_SSLV3_ALERT_BAD_RECORD_MAC},
        {"\x15\x03\x03\x00\x02\x01\x00", 7, "bad record type",
         SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE},
        {"\x14\x03\x03\x00\x01\x01", 6, "bad record type", SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE},
        {"\x17\x03\x03\x41\x01", 5, "encrypted length too long", SSL_R_TLSV1_ALERT_RECORD_OVERFLOW},
    };
    struct tls_table *t = usual_table(0);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pair p;
        char got[64];
        shaken(&p, t, NULL);
        client_says(&p, "well");
        raw_bytes(&p, cases[i].bytes, cases[i].n);
        assert_int_equal(tls_recv(p.server, got, sizeof(got)), -1);
        assert_int_equal(errno, ECONNRESET);
        assert_string_equal(tls_failure(p.server), cases[i].why);
        assert_int_equal(tls_send(p.server, "x", 1, false), -1);
        assert_true(SSL_read(p.client, got, 1) <= 0);
        assert_int_equal(ERR_GET_REASON(ERR_peek_error()), cases[i].alert);
        close_pair(&p);
    }
    tls_table_unref(t);
}

/* Every suite, and records that come in pieces of every size. */
static void records_may_come_in_pieces(void **state)
{
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256"};
    struct tls_table *t = usual_table(0);

    for (size_t i = 0; i < 3; i++) {
        struct pair p;
        char sealed[256], got[256];
        size_t total = 0;
        open_pair(&p, t, NULL);
        SSL_set_ciphersuites(p.client, suites[i]);
        shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        BIO *mem = BIO_new(BIO_s_mem());
        SSL_set0_wbio(p.client, mem);
        for (int k = 0; k < 3; k++)
            assert_int_equal(SSL_write(p.client, "0123456789abcdef", 16), 16);
        int n = BIO_read(mem, sealed, sizeof(sealed));
        assert_int_equal(n, 3 * (16 + 22));
        for (int k = 0; k < n; k++) {
            raw_bytes(&p, sealed + k, 1);
            ssize_t r = tls_recv(p.server, got + total, sizeof(got) - total);
            assert_true(r == -1 ? errno == EAGAIN : r == 16);
            assert_false(tls_pending(p.server));
            total += r > 0 ? (size_t)r : 0;
        }
        assert_int_equal(total, 48);
        assert_memory_equal(got + 32, "0123456789abcdef", 16);
        close_pair(&p);
    }
    tls_table_unref(t);
}

/* As clients do it that do not wait: the request comes with the end of the handshake. */
static void a_request_may_come_with_the_handshake(void **state)
{
    struct tls_table *t = usual_table(0);

    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct pair p;
        char got[64];
        open_pair(&p, t, NULL);
        client_only(&p, version);
        while (SSL_do_handshake(p.client) != 1)
            p.server_rc = tls_handshake(p.server);
        assert_int_equal(SSL_write(p.client, "GET /", 5), 5);
        while (p.server_rc != TLS_DONE)
            p.server_rc = tls_handshake(p.server);
        assert_int_equal(tls_recv(p.server, got, sizeof(got)), 5);
        assert_memory_equal(got, "GET /", 5);
        server_says(&p, "here");
        close_pair(&p);
    }
    tls_table_unref(t);
}

/* Whatever a client sends in pieces of any size, some of it spoilt on the way: the server gives the
 * data in order until it refuses the rest. */
static void spoilt_records_are_survived(void **state)
{
    struct tls_table *t = usual_table(0);
    unsigned seed = 20261120;

    for (int round = 0; round < 60; round++) {
        struct pair p;
        char sealed[8192], got[8192], text[300];
        size_t total = 0, at = 0;
        bool spoilt = round % 3 == 2;
        memset(text, 'a' + round % 26, sizeof(text));
        open_pair(&p, t, NULL);
        client_only(&p, round & 1 ? TLS1_2_VERSION : TLS1_3_VERSION);
        shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        BIO *mem = BIO_new(BIO_s_mem());
        SSL_set0_wbio(p.client, mem);
        size_t plain = 0;
        for (int i = 0; i < 12; i++) {
            int part = 1 + (int)((seed = seed * 1103515245 + 12345) >> 16) % 299;
            assert_int_equal(SSL_write(p.client, text, part), part);
            plain += (size_t)part;
        }
        size_t n = (size_t)BIO_read(mem, sealed, sizeof(sealed));
        if (spoilt)
            sealed[(seed >> 8) % n] ^= (char)(1 << (seed >> 5 & 7));
        while (at < n) {
            size_t part = 1 + ((seed = seed * 1103515245 + 12345) >> 16) % 900;
            part = part < n - at ? part : n - at;
            raw_bytes(&p, sealed + at, part);
            at += part;
            ssize_t r;
            do {
                r = tls_recv(p.server, got + total, (seed >> 12 & 255) + 1);
                total += r > 0 ? (size_t)r : 0;
            } while (r > 0);
            if (r == 0 || errno != EAGAIN)
                break;
        }
        if (spoilt ? total >= plain : total != plain)
            fail_msg("round %d: %zu of %zu bytes, %s", round, total, plain, tls_failure(p.server));
        for (size_t i = 0; i < total; i++)
            assert_int_equal(got[i], text[0]);
        close_pair(&p);
    }
    tls_table_unref(t);
}

static void clients_may_not_renegotiate(void **state)
{
    struct tls_table *t = usual_table(0);
    struct pair p;
    char byte;

    open_pair(&p, t, NULL);
    client_only(&p, TLS1_2_VERSION);
    shake(&p);
    SSL_renegotiate(p.client);
    SSL_do_handshake(p.client);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(tls_recv(p.server, &byte, 1), -1);
        SSL_do_handshake(p.client);
    }
    assert_false(SSL_is_init_finished(p.client));
    close_pair(&p);
    tls_table_unref(t);
}

static void garbage_fails(void **state)
{
    struct tls_table *t = usual_table(0);
    const char *texts[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\xff\xff garbage",
                           "\x80\x2e\x01\x00\x02 old hello",
                           "\x16\x03\x01\x00\x05\x01\x00\x00\x00\x00"};

    for (size_t i = 0; i < 4; i++) {
        struct pair p;
        enum tls_rc rc = TLS_READS;
        open_pair(&p, t, NULL);
        assert_true(write(p.fds[1], texts[i], i == 3 ? 10 : strlen(texts[i])) > 0);
        for (int n = 0; n < 3 && rc == TLS_READS; n++)
            rc = tls_handshake(p.server);
        shutdown(p.fds[1], SHUT_WR);
        for (int n = 0; n < 3 && rc == TLS_READS; n++)
            rc = tls_handshake(p.server);
        assert_int_equal(rc, TLS_FAILED);
        assert_true(tls_failure(p.server)[0] != '\0');
        close_pair(&p);
    }
    tls_table_unref(t);
}

/* ---- client certificates -------------------------------------------------------------------- */

static struct tls_table *asking_table(int ask, int check, char *crl)
{
    json_t *msg = message();

    bind_to(msg, "*", "", "default", 0, ask);
    json_object_set_new(json_array_get(json_object_get(msg, "bindings"), 0), "check",
                        json_integer(check));
    json_object_set_new(json_object_get(msg, "trust"), "crls", json_string(crl ? crl : ""));
    free(crl);
    return load(msg);
}

static enum client_cert_verdict verdict_of(struct tls_table *t, const struct made_cert *c)
{
    struct pair p;
    struct tls_facts f;

    open_pair(&p, t, NULL);
    if (c)
        client_cert(&p, c);
    shake(&p);
    assert_int_equal(p.server_rc, TLS_DONE);
    client_says(&p, "hello");
    tls_get_facts(p.server, &f);
    assert_int_equal(f.client_cert.n > 0, c != NULL);
    close_pair(&p);
    return f.verdict;
}

static void every_certificate_is_taken_and_judged(void **state)
{
    struct tls_table *t = asking_table(1, 1, NULL);

    assert_int_equal(verdict_of(t, NULL), CLIENT_CERT_NONE);
    assert_int_equal(verdict_of(t, &good_client), CLIENT_CERT_GOOD);
    assert_int_equal(verdict_of(t, &old_client), CLIENT_CERT_OUT_OF_DATE);
    assert_int_equal(verdict_of(t, &stranger_client), CLIENT_CERT_UNTRUSTED);
    assert_int_equal(verdict_of(t, &named), CLIENT_CERT_UNTRUSTED); /* a server's */
    tls_table_unref(t);
    t = asking_table(1, 1 | 0x10000, NULL);
    assert_int_equal(verdict_of(t, &named), CLIENT_CERT_GOOD);
    tls_table_unref(t);
}

static void revocation_is_looked_up(void **state)
{
    struct tls_table *t = asking_table(1, 0, made_crl(&root, 8, -60, 3600));

    assert_int_equal(verdict_of(t, &good_client), CLIENT_CERT_GOOD);
    assert_int_equal(verdict_of(t, &revoked_client), CLIENT_CERT_REVOKED);
    tls_table_unref(t);
    t = asking_table(1, 0, NULL);
    assert_int_equal(verdict_of(t, &good_client), CLIENT_CERT_REVOCATION_UNKNOWN);
    assert_int_equal(verdict_of(t, &stranger_client), CLIENT_CERT_UNTRUSTED);
    tls_table_unref(t);
    t = asking_table(1, 0, made_crl(&root, 8, -7200, -3600));
    assert_int_equal(verdict_of(t, &good_client), CLIENT_CERT_REVOCATION_UNKNOWN);
    tls_table_unref(t);
    t = asking_table(1, 1, made_crl(&root, 8, -60, 3600));
    assert_int_equal(verdict_of(t, &revoked_client), CLIENT_CERT_GOOD);
    tls_table_unref(t);
}

static void verdicts_outlive_resumption(void **state)
{
    struct tls_table *t = asking_table(1, 1, NULL);
    struct pair p;
    struct tls_facts f;

    open_pair(&p, t, NULL);
    keep_sessions(&p);
    client_cert(&p, &stranger_client);
    shake(&p);
    server_says(&p, "take this");
    close_pair(&p);
    open_pair(&p, t, NULL);
    assert_non_null(kept);
    SSL_set_session(p.client, kept);
    shake(&p);
    assert_true(SSL_session_reused(p.client));
    tls_get_facts(p.server, &f);
    assert_int_equal(f.verdict, CLIENT_CERT_UNTRUSTED);
    assert_true(f.client_cert.n > 0);
    close_pair(&p);
    forget_session();
    tls_table_unref(t);
}

static enum tls_rc ask(struct pair *p)
{
    enum tls_rc rc = TLS_READS;
    char byte;

    for (int i = 0; i < 20 && rc == TLS_READS; i++) {
        rc = tls_ask_client_cert(p->server);
        (void)SSL_read(p->client, &byte, 1);
    }
    ERR_clear_error();
    return rc;
}

static void certificates_can_be_asked_for_later(void **state)
{
    struct tls_table *t = asking_table(0, 1, NULL);
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    const struct made_cert *certs[] = {NULL, &good_client, &old_client};
    const enum client_cert_verdict verdicts[] = {CLIENT_CERT_NONE, CLIENT_CERT_GOOD,
                                                 CLIENT_CERT_OUT_OF_DATE};

    for (size_t i = 0; i < 6; i++) {
        struct pair p;
        struct tls_facts f;
        open_pair(&p, t, NULL);
        client_only(&p, versions[i / 3]);
        SSL_set_post_handshake_auth(p.client, 1);
        if (certs[i % 3])
            client_cert(&p, certs[i % 3]);
        shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        client_says(&p, "GET /");
        assert_true(tls_can_ask_client_cert(p.server));
        assert_int_equal(ask(&p), TLS_DONE);
        assert_false(tls_can_ask_client_cert(p.server));
        tls_get_facts(p.server, &f);
        assert_int_equal(f.verdict, verdicts[i % 3]);
        server_says(&p, "so it is you");
        client_says(&p, "and more");
        server_says(&p, "and more");
        close_pair(&p);
    }
    tls_table_unref(t);
}

static void who_cannot_be_asked_is_not(void **state)
{
    struct tls_table *t = asking_table(0, 1, NULL), *asking = asking_table(1, 1, NULL);
    struct pair p;

    open_pair(&p, t, NULL);
    client_only(&p, TLS1_3_VERSION);
    assert_false(tls_can_ask_client_cert(p.server));
    shake(&p);
    assert_false(tls_can_ask_client_cert(p.server));
    close_pair(&p);
    open_pair(&p, t, NULL);
    set_alpn(&p, "\x02h2");
    SSL_set_post_handshake_auth(p.client, 1);
    shake(&p);
    assert_false(tls_can_ask_client_cert(p.server));
    close_pair(&p);
    open_pair(&p, asking, NULL);
    client_only(&p, TLS1_2_VERSION);
    shake(&p);
    assert_false(tls_can_ask_client_cert(p.server));
    close_pair(&p);
    tls_table_unref(t);
    tls_table_unref(asking);
}

static void data_in_place_of_a_certificate_ends_it(void **state)
{
    struct tls_table *t = asking_table(0, 1, NULL);
    struct pair p;
    enum tls_rc rc;

    open_pair(&p, t, NULL);
    client_only(&p, TLS1_2_VERSION);
    shake(&p);
    rc = tls_ask_client_cert(p.server);
    assert_int_equal(rc, TLS_READS);
    assert_int_equal(SSL_write(p.client, "body", 4), 4);
    rc = tls_ask_client_cert(p.server);
    assert_int_equal(rc, TLS_FAILED);
    close_pair(&p);
    tls_table_unref(t);
}

/* ---- central store -------------------------------------------------------------------------- */

static char wanted[4][64];
static int n_wanted;

static void on_wanted(void *arg, struct str name)
{
    snprintf(wanted[n_wanted++ % 4], sizeof(wanted[0]), "%.*s", STR_ARG(name));
}

static struct tls_table *central_table(void)
{
    json_t *msg = message();

    json_object_set_new(msg, "central",
                        json_pack("[s, s, s]", "one.test", "_.star.test", "broken.test"));
    json_array_append_new(json_object_get(msg, "bindings"),
                          json_pack("{s:i, s:b, s:i}", "port", 443, "central", 1, "sslFlags", 2));
    return load(msg);
}

static void give(const char *name, const struct made_cert *c)
{
    json_t *msg = c ? json_pack("{s:s, s:o}", "name", name, "certificate", cert_json(name, c))
                    : json_pack("{s:s}", "name", name);

    assert_true(tls_take_certificate(msg));
    json_decref(msg);
}

static void central_certificates_come_when_wanted(void **state)
{
    struct tls_table *t = central_table();
    struct pair p, q;

    tls_set_wanted(on_wanted, NULL);
    n_wanted = 0;
    open_pair(&p, t, "one.test");
    shake(&p);
    assert_int_equal(p.server_rc, TLS_WAITS);
    open_pair(&q, t, "one.test");
    shake(&q);
    assert_int_equal(q.server_rc, TLS_WAITS);
    assert_int_equal(n_wanted, 1); /* not asked twice */
    assert_string_equal(wanted[0], "one.test");
    give("one.test", &named);
    shake(&p);
    shake(&q);
    assert_int_equal(p.server_rc, TLS_DONE);
    assert_int_equal(q.server_rc, TLS_DONE);
    assert_peer(&p, &named);
    client_says(&p, "hello");
    close_pair(&p);
    close_pair(&q);
    open_pair(&p, t, "x.star.test");
    shake(&p);
    assert_string_equal(wanted[1], "_.star.test");
    give("_.star.test", &starred);
    shake(&p);
    assert_peer(&p, &starred);
    close_pair(&p);
    open_pair(&p, t, "broken.test");
    shake(&p);
    give("broken.test", NULL);
    shake(&p);
    assert_int_equal(p.server_rc, TLS_FAILED);
    close_pair(&p);
    open_pair(&p, t, "not.in.the.store.test");
    shake(&p);
    assert_int_equal(p.server_rc, TLS_FAILED);
    assert_int_equal(n_wanted, 3);
    close_pair(&p);
    give("one.test", &default_cert); /* renewed */
    shaken(&p, t, "one.test");
    assert_peer(&p, &default_cert);
    close_pair(&p);
    tls_table_unref(t);
}

static void bad_messages_say_what_is_wrong(void **state)
{
    char why[TLS_WHY_MAX] = "";
    json_t *msg = message();

    bind_to(msg, "*", "", "nothing", 0, 0);
    assert_null(tls_table_load(msg, why));
    assert_non_null(strstr(why, "not sent"));
    json_decref(msg);
    msg = message();
    json_object_set_new(json_array_get(json_object_get(msg, "certificates"), 0), "key",
                        json_string(named.key_pem));
    assert_null(tls_table_load(msg, why));
    assert_non_null(strstr(why, "key cannot be used"));
    json_decref(msg);
    msg = message();
    bind_to(msg, "1.2.3", "", "named", 0, 0);
    assert_null(tls_table_load(msg, why));
    assert_non_null(strstr(why, "address"));
    json_decref(msg);
}

static void staples_are_given_unless_switched_off(void **state)
{
    for (int off = 0; off < 2; off++) {
        json_t *msg = message();
        struct pair p;
        const unsigned char *got = NULL;
        json_object_set_new(json_array_get(json_object_get(msg, "certificates"), 0), "staple",
                            json_string("YW5zd2Vy"));
        bind_to(msg, "*", "", "default", off ? 8 : 0, 0);
        struct tls_table *t = load(msg);
        open_pair(&p, t, NULL);
        SSL_set_tlsext_status_type(p.client, TLSEXT_STATUSTYPE_ocsp);
        shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        long n = SSL_get_tlsext_status_ocsp_resp(p.client, &got);
        assert_int_equal(n, off ? -1 : 6);
        if (!off)
            assert_memory_equal(got, "answer", 6);
        close_pair(&p);
        tls_table_unref(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_choose_certificates),
        cmocka_unit_test(an_address_goes_before_names),
        cmocka_unit_test(a_name_nobody_has_ends_the_handshake),
        cmocka_unit_test(records_go_both_ways),
        cmocka_unit_test(one_call_takes_several_records),
        cmocka_unit_test(a_full_socket_keeps_its_record),
        cmocka_unit_test(files_are_sent_as_records),
        cmocka_unit_test(alpn_chooses_http2_where_it_may),
        cmocka_unit_test(flags_limit_versions),
        cmocka_unit_test(sessions_resume),
        cmocka_unit_test(new_keys_are_followed_both_ways),
        cmocka_unit_test(records_without_data_are_counted),
        cmocka_unit_test(a_flood_of_records_ends_within_one_call),
        cmocka_unit_test(tls12_floods_end),
        cmocka_unit_test(bad_records_end_it),
        cmocka_unit_test(records_may_come_in_pieces),
        cmocka_unit_test(a_request_may_come_with_the_handshake),
        cmocka_unit_test(spoilt_records_are_survived),
        cmocka_unit_test(clients_may_not_renegotiate),
        cmocka_unit_test(garbage_fails),
        cmocka_unit_test(every_certificate_is_taken_and_judged),
        cmocka_unit_test(revocation_is_looked_up),
        cmocka_unit_test(verdicts_outlive_resumption),
        cmocka_unit_test(certificates_can_be_asked_for_later),
        cmocka_unit_test(who_cannot_be_asked_is_not),
        cmocka_unit_test(data_in_place_of_a_certificate_ends_it),
        cmocka_unit_test(central_certificates_come_when_wanted),
        cmocka_unit_test(bad_messages_say_what_is_wrong),
        cmocka_unit_test(staples_are_given_unless_switched_off),
    };

    return cmocka_run_group_tests(tests, make_all, free_all);
}
