/* TLS between the handshake and the end against OpenSSL's own client: records of every kind, whole,
 * in pieces, spoilt, or too many. */
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
#include "tls_pair.h"

static void records_go_both_ways(void **state)
{
    struct tls_table *t = tls_usual_table(0);
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (size_t i = 0; i < 2; i++) {
        struct tls_pair p;
        char byte;
        struct tls_facts f;
        tls_pair_open(&p, t, "www.named.test");
        tls_pair_client_only(&p, versions[i]);
        tls_pair_shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        assert_int_equal(tls_recv(p.server, &byte, 1), -1);
        assert_int_equal(errno, EAGAIN);
        tls_pair_client_says(&p, "GET / HTTP/1.1\r\n\r\n");
        tls_pair_server_says(&p, "HTTP/1.1 200 OK\r\n\r\n");
        tls_pair_server_says(&p, "more");
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
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

static void one_call_takes_several_records(void **state)
{
    struct tls_table *t = tls_usual_table(0);
    struct tls_pair p;
    char got[64];

    tls_pair_shaken(&p, t, NULL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(SSL_write(p.client, "0123456789", 10), 10);
    assert_int_equal(tls_recv(p.server, got, 25), 25);
    assert_true(tls_pending(p.server));
    assert_int_equal(tls_recv(p.server, got, sizeof(got)), 25);
    assert_false(tls_pending(p.server));
    assert_int_equal(tls_recv(p.server, got, sizeof(got)), -1);
    assert_int_equal(errno, EAGAIN);
    tls_pair_close(&p);
    tls_table_unref(t);
}

static void a_full_socket_keeps_its_record(void **state)
{
    struct tls_table *t = tls_usual_table(0);
    struct tls_pair p;
    enum { TOTAL = 3000000 };
    char *data = malloc(TOTAL), *got = malloc(TOTAL);
    size_t sent = 0, read_n = 0;
    bool was_full = false;

    for (size_t i = 0; i < TOTAL; i++)
        data[i] = (char)(i * 31 + i / 7);
    tls_pair_shaken(&p, t, NULL);
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
    tls_pair_close(&p);
    tls_table_unref(t);
    free(data);
    free(got);
}

static void files_are_sent_as_records(void **state)
{
    struct tls_table *t = tls_usual_table(0);
    struct tls_pair p;
    char name[] = "/tmp/candor-tls-XXXXXX", buf[16384], text[50000], got[50000];
    int fd = mkstemp(name);
    uint64_t off = 1000;
    size_t left = 40000, read_n = 0;

    unlink(name);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 26);
    assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
    tls_pair_shaken(&p, t, NULL);
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
    tls_pair_close(&p);
    tls_table_unref(t);
}

static void raw_bytes(struct tls_pair *p, const void *bytes, size_t n)
{
    assert_int_equal(write(p->fds[1], bytes, n), n);
}

static void new_keys_are_followed_both_ways(void **state)
{
    struct tls_table *t = tls_usual_table(0);
    struct tls_pair p;

    tls_pair_shaken(&p, t, NULL);
    for (int i = 0; i < 5; i++) {
        tls_pair_client_says(&p, "before");
        tls_pair_server_says(&p, "before");
        assert_int_equal(SSL_key_update(p.client, i % 2 ? SSL_KEY_UPDATE_REQUESTED
                                                        : SSL_KEY_UPDATE_NOT_REQUESTED),
                         1);
        tls_pair_client_says(&p, "after");
        tls_pair_server_says(&p, "after");
    }
    tls_pair_close(&p);
    tls_table_unref(t);
}

/* As the server reads between the client's messages: the failure that ends it, or NULL. */
static const char *failure_of(struct tls_pair *p, int count, int (*say)(SSL *))
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
    struct tls_table *t = tls_usual_table(0);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_pair p;
        char got[64];
        tls_pair_open(&p, t, NULL);
        tls_pair_client_only(&p, cases[i].version);
        tls_pair_shake(&p);
        for (int k = 0; k < 3; k++) { /* data between them make them worth it */
            assert_null(failure_of(&p, 30, cases[i].say));
            tls_pair_client_says(&p, "data");
            tls_pair_server_says(&p, "data");
        }
        const char *why = failure_of(&p, 33, cases[i].say);
        assert_non_null(why);
        assert_string_equal(why, "too many records without data");
        assert_int_equal(tls_recv(p.server, got, sizeof(got)), -1);
        assert_int_equal(errno, ECONNRESET);
        assert_int_equal(tls_send(p.server, "x", 1, false), -1);
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

/* All at once, so that one SSL_read meets them. */
static void a_flood_of_records_ends_within_one_call(void **state)
{
    struct tls_table *t = tls_usual_table(0);

    for (int requested = 0; requested < 2; requested++) {
        struct tls_pair p;
        static char sealed[256 * 1024];
        char got[64];
        int big = 1024 * 1024;
        tls_pair_shaken(&p, t, NULL);
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
        tls_pair_close(&p);
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
    struct tls_table *t = tls_usual_table(0);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_pair p;
        unsigned char sealed[64];
        char got[64];
        uint64_t seq = 1;
        tls_pair_open(&p, t, NULL);
        tls_pair_client_only(&p, TLS1_2_VERSION);
        SSL_set_cipher_list(p.client, "ECDHE-ECDSA-AES128-GCM-SHA256");
        tls_pair_shake(&p);
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
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

/* TLS 1.3 ignores ChangeCipherSpec in a handshake, which OpenSSL does not do for ever. */
static void floods_end_handshakes_too(void **state)
{
    struct tls_table *t = tls_usual_table(0);
    struct tls_pair p;

    tls_pair_open(&p, t, NULL);
    tls_pair_client_only(&p, TLS1_3_VERSION);
    (void)SSL_do_handshake(p.client);
    assert_int_equal(tls_handshake(p.server), TLS_READS);
    for (int i = 0; i < 40; i++)
        raw_bytes(&p, "\x14\x03\x03\x00\x01\x01", 6);
    assert_int_equal(tls_handshake(p.server), TLS_FAILED);
    tls_pair_close(&p);
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
    struct tls_table *t = tls_usual_table(0);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_pair p;
        char got[64];
        tls_pair_shaken(&p, t, NULL);
        tls_pair_client_says(&p, "well");
        raw_bytes(&p, cases[i].bytes, cases[i].n);
        assert_int_equal(tls_recv(p.server, got, sizeof(got)), -1);
        assert_int_equal(errno, ECONNRESET);
        assert_string_equal(tls_failure(p.server), cases[i].why);
        assert_int_equal(tls_send(p.server, "x", 1, false), -1);
        assert_true(SSL_read(p.client, got, 1) <= 0);
        assert_int_equal(ERR_GET_REASON(ERR_peek_error()), cases[i].alert);
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

/* Every suite, and records that come in pieces of every size. */
static void records_may_come_in_pieces(void **state)
{
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256"};
    struct tls_table *t = tls_usual_table(0);

    for (size_t i = 0; i < 3; i++) {
        struct tls_pair p;
        char sealed[256], got[256];
        size_t total = 0;
        tls_pair_open(&p, t, NULL);
        SSL_set_ciphersuites(p.client, suites[i]);
        tls_pair_shake(&p);
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
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

/* As clients do it that do not wait: the request comes with the end of the handshake. */
static void a_request_may_come_with_the_handshake(void **state)
{
    struct tls_table *t = tls_usual_table(0);

    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_pair p;
        char got[64];
        tls_pair_open(&p, t, NULL);
        tls_pair_client_only(&p, version);
        while (SSL_do_handshake(p.client) != 1)
            p.server_rc = tls_handshake(p.server);
        assert_int_equal(SSL_write(p.client, "GET /", 5), 5);
        while (p.server_rc != TLS_DONE)
            p.server_rc = tls_handshake(p.server);
        assert_int_equal(tls_recv(p.server, got, sizeof(got)), 5);
        assert_memory_equal(got, "GET /", 5);
        tls_pair_server_says(&p, "here");
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

/* Whatever a client sends in pieces of any size, some of it spoilt on the way: the server gives the
 * data in order until it refuses the rest. */
static void spoilt_records_are_survived(void **state)
{
    struct tls_table *t = tls_usual_table(0);
    unsigned seed = 20261120;

    for (int round = 0; round < 60; round++) {
        struct tls_pair p;
        char sealed[8192], got[8192], text[300];
        size_t total = 0, at = 0;
        bool spoilt = round % 3 == 2;
        memset(text, 'a' + round % 26, sizeof(text));
        tls_pair_open(&p, t, NULL);
        tls_pair_client_only(&p, round & 1 ? TLS1_2_VERSION : TLS1_3_VERSION);
        tls_pair_shake(&p);
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
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

static void clients_may_not_renegotiate(void **state)
{
    struct tls_table *t = tls_usual_table(0);
    struct tls_pair p;
    char byte;

    tls_pair_open(&p, t, NULL);
    tls_pair_client_only(&p, TLS1_2_VERSION);
    tls_pair_shake(&p);
    SSL_renegotiate(p.client);
    SSL_do_handshake(p.client);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(tls_recv(p.server, &byte, 1), -1);
        SSL_do_handshake(p.client);
    }
    assert_false(SSL_is_init_finished(p.client));
    tls_pair_close(&p);
    tls_table_unref(t);
}

static void garbage_fails(void **state)
{
    struct tls_table *t = tls_usual_table(0);
    const char *texts[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\xff\xff garbage",
                           "\x80\x2e\x01\x00\x02 old hello",
                           "\x16\x03\x01\x00\x05\x01\x00\x00\x00\x00"};

    for (size_t i = 0; i < 4; i++) {
        struct tls_pair p;
        enum tls_rc rc = TLS_READS;
        tls_pair_open(&p, t, NULL);
        assert_true(write(p.fds[1], texts[i], i == 3 ? 10 : strlen(texts[i])) > 0);
        for (int n = 0; n < 3 && rc == TLS_READS; n++)
            rc = tls_handshake(p.server);
        shutdown(p.fds[1], SHUT_WR);
        for (int n = 0; n < 3 && rc == TLS_READS; n++)
            rc = tls_handshake(p.server);
        assert_int_equal(rc, TLS_FAILED);
        assert_true(tls_failure(p.server)[0] != '\0');
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_go_both_ways),
        cmocka_unit_test(one_call_takes_several_records),
        cmocka_unit_test(a_full_socket_keeps_its_record),
        cmocka_unit_test(files_are_sent_as_records),
        cmocka_unit_test(new_keys_are_followed_both_ways),
        cmocka_unit_test(records_without_data_are_counted),
        cmocka_unit_test(a_flood_of_records_ends_within_one_call),
        cmocka_unit_test(tls12_floods_end),
        cmocka_unit_test(floods_end_handshakes_too),
        cmocka_unit_test(bad_records_end_it),
        cmocka_unit_test(records_may_come_in_pieces),
        cmocka_unit_test(a_request_may_come_with_the_handshake),
        cmocka_unit_test(spoilt_records_are_survived),
        cmocka_unit_test(clients_may_not_renegotiate),
        cmocka_unit_test(garbage_fails),
    };

    return cmocka_run_group_tests(tests, tls_certs_make, tls_certs_free);
}
