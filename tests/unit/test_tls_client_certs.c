/* The certificate of a client: how it is judged, and what it sends before it when it is asked for
 * later. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "listener/tls_internal.h"
#include "tls_pair.h"

static struct tls_table *asking_table(int ask, int check, char *crl)
{
    json_t *msg = tls_message();

    tls_message_bind(msg, "*", "", "default", 0, ask);
    json_object_set_new(json_array_get(json_object_get(msg, "bindings"), 0), "check",
                        json_integer(check));
    json_object_set_new(json_object_get(msg, "trust"), "crls", json_string(crl ? crl : ""));
    free(crl);
    return tls_message_load(msg);
}

static enum client_cert_verdict verdict_of(struct tls_table *t, const struct made_cert *c)
{
    struct tls_pair p;
    struct tls_facts f;

    tls_pair_open(&p, t, NULL);
    if (c)
        tls_pair_client_cert(&p, c);
    tls_pair_shake(&p);
    assert_int_equal(p.server_rc, TLS_DONE);
    tls_pair_client_says(&p, "hello");
    tls_get_facts(p.server, &f);
    assert_int_equal(f.client_cert.n > 0, c != NULL);
    tls_pair_close(&p);
    return f.verdict;
}

static void every_certificate_is_taken_and_judged(void **state)
{
    struct tls_table *t = asking_table(1, 1, NULL);

    assert_int_equal(verdict_of(t, NULL), CLIENT_CERT_NONE);
    assert_int_equal(verdict_of(t, &tls_certs.good_client), CLIENT_CERT_GOOD);
    assert_int_equal(verdict_of(t, &tls_certs.old_client), CLIENT_CERT_OUT_OF_DATE);
    assert_int_equal(verdict_of(t, &tls_certs.stranger_client), CLIENT_CERT_UNTRUSTED);
    assert_int_equal(verdict_of(t, &tls_certs.named), CLIENT_CERT_UNTRUSTED); /* a server's */
    tls_table_unref(t);
    t = asking_table(1, 1 | 0x10000, NULL);
    assert_int_equal(verdict_of(t, &tls_certs.named), CLIENT_CERT_GOOD);
    tls_table_unref(t);
}

static void revocation_is_looked_up(void **state)
{
    struct tls_table *t = asking_table(1, 0, made_crl(&tls_certs.root, 8, -60, 3600));

    assert_int_equal(verdict_of(t, &tls_certs.good_client), CLIENT_CERT_GOOD);
    assert_int_equal(verdict_of(t, &tls_certs.revoked_client), CLIENT_CERT_REVOKED);
    tls_table_unref(t);
    t = asking_table(1, 0, NULL);
    assert_int_equal(verdict_of(t, &tls_certs.good_client), CLIENT_CERT_REVOCATION_UNKNOWN);
    assert_int_equal(verdict_of(t, &tls_certs.stranger_client), CLIENT_CERT_UNTRUSTED);
    tls_table_unref(t);
    t = asking_table(1, 0, made_crl(&tls_certs.root, 8, -7200, -3600));
    assert_int_equal(verdict_of(t, &tls_certs.good_client), CLIENT_CERT_REVOCATION_UNKNOWN);
    tls_table_unref(t);
    t = asking_table(1, 1, made_crl(&tls_certs.root, 8, -60, 3600));
    assert_int_equal(verdict_of(t, &tls_certs.revoked_client), CLIENT_CERT_GOOD);
    tls_table_unref(t);
}

static void verdicts_outlive_resumption(void **state)
{
    struct tls_table *t = asking_table(1, 1, NULL);
    struct tls_pair p;
    struct tls_facts f;

    tls_pair_open(&p, t, NULL);
    tls_pair_keep_sessions(&p);
    tls_pair_client_cert(&p, &tls_certs.stranger_client);
    tls_pair_shake(&p);
    tls_pair_server_says(&p, "take this");
    tls_pair_close(&p);
    tls_pair_open(&p, t, NULL);
    assert_non_null(tls_pair_session);
    SSL_set_session(p.client, tls_pair_session);
    tls_pair_shake(&p);
    assert_true(SSL_session_reused(p.client));
    tls_get_facts(p.server, &f);
    assert_int_equal(f.verdict, CLIENT_CERT_UNTRUSTED);
    assert_true(f.client_cert.n > 0);
    tls_pair_close(&p);
    tls_pair_forget_session();
    tls_table_unref(t);
}

static enum tls_rc ask(struct tls_pair *p)
{
    enum tls_rc rc = TLS_READS;
    char byte;
    size_t n;

    for (int i = 0; i < 20 && rc == TLS_READS; i++) {
        rc = tls_ask_client_cert(p->server, NULL, 0, &n);
        (void)SSL_read(p->client, &byte, 1);
    }
    ERR_clear_error();
    return rc;
}

static void certificates_can_be_asked_for_later(void **state)
{
    struct tls_table *t = asking_table(0, 1, NULL);
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    const struct made_cert *certs[] = {NULL, &tls_certs.good_client, &tls_certs.old_client};
    const enum client_cert_verdict verdicts[] = {CLIENT_CERT_NONE, CLIENT_CERT_GOOD,
                                                 CLIENT_CERT_OUT_OF_DATE};

    for (size_t i = 0; i < 6; i++) {
        struct tls_pair p;
        struct tls_facts f;
        tls_pair_open(&p, t, NULL);
        tls_pair_client_only(&p, versions[i / 3]);
        SSL_set_post_handshake_auth(p.client, 1);
        if (certs[i % 3])
            tls_pair_client_cert(&p, certs[i % 3]);
        tls_pair_shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        tls_pair_client_says(&p, "GET /");
        assert_true(tls_can_ask_client_cert(p.server));
        assert_int_equal(ask(&p), TLS_DONE);
        assert_false(tls_can_ask_client_cert(p.server));
        tls_get_facts(p.server, &f);
        assert_int_equal(f.verdict, verdicts[i % 3]);
        tls_pair_server_says(&p, "so it is you");
        tls_pair_client_says(&p, "and more");
        tls_pair_server_says(&p, "and more");
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

static void who_cannot_be_asked_is_not(void **state)
{
    struct tls_table *t = asking_table(0, 1, NULL), *asking = asking_table(1, 1, NULL);
    struct tls_pair p;

    tls_pair_open(&p, t, NULL);
    tls_pair_client_only(&p, TLS1_3_VERSION);
    assert_false(tls_can_ask_client_cert(p.server));
    tls_pair_shake(&p);
    assert_false(tls_can_ask_client_cert(p.server));
    tls_pair_close(&p);
    tls_pair_open(&p, t, NULL);
    tls_pair_set_alpn(&p, "\x02h2");
    SSL_set_post_handshake_auth(p.client, 1);
    tls_pair_shake(&p);
    assert_false(tls_can_ask_client_cert(p.server));
    tls_pair_close(&p);
    tls_pair_open(&p, asking, NULL);
    tls_pair_client_only(&p, TLS1_2_VERSION);
    tls_pair_shake(&p);
    assert_false(tls_can_ask_client_cert(p.server));
    tls_pair_close(&p);
    tls_table_unref(t);
    tls_table_unref(asking);
}

/* A client that does not know yet that it is asked sends its next request. */
static void data_before_the_certificate_is_kept(void **state)
{
    struct tls_table *t = asking_table(0, 1, NULL);
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (size_t i = 0; i < 2; i++) {
        struct tls_pair p;
        struct tls_facts f;
        char room[32] = "", byte;
        size_t n = 0, got;
        enum tls_rc rc;
        tls_pair_open(&p, t, NULL);
        tls_pair_client_only(&p, versions[i]);
        SSL_set_post_handshake_auth(p.client, 1);
        tls_pair_client_cert(&p, &tls_certs.good_client);
        tls_pair_shake(&p);
        assert_int_equal(tls_ask_client_cert(p.server, room, sizeof(room), &got), TLS_READS);
        assert_int_equal(got, 0);
        assert_int_equal(SSL_write(p.client, "GET /1 ", 7), 7);
        assert_int_equal(tls_ask_client_cert(p.server, room, sizeof(room), &got), TLS_READS);
        assert_int_equal(got, 7);
        n = got;
        assert_int_equal(SSL_write(p.client, "GET /2 ", 7), 7);
        for (int k = 0; k < 20; k++) {
            (void)SSL_read(p.client, &byte, 1);
            rc = tls_ask_client_cert(p.server, room + n, sizeof(room) - n, &got);
            n += got;
            if (rc != TLS_READS)
                break;
        }
        assert_int_equal(rc, TLS_DONE);
        tls_get_facts(p.server, &f);
        assert_int_equal(f.verdict, CLIENT_CERT_GOOD);
        assert_int_equal(n, 14);
        assert_memory_equal(room, "GET /1 GET /2 ", 14);
        tls_pair_server_says(&p, "both");
        tls_pair_client_says(&p, "and more");
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

/* Data behind the certificate may come in one packet with it: no event tells of them. */
static void data_behind_the_certificate_is_pending(void **state)
{
    struct tls_table *t = asking_table(0, 1, NULL);
    struct tls_pair p;
    char byte, got[16];
    size_t n;

    tls_pair_open(&p, t, NULL);
    tls_pair_client_only(&p, TLS1_3_VERSION);
    SSL_set_post_handshake_auth(p.client, 1);
    tls_pair_client_cert(&p, &tls_certs.good_client);
    tls_pair_shake(&p);
    assert_int_equal(tls_ask_client_cert(p.server, NULL, 0, &n), TLS_READS);
    (void)SSL_read(p.client, &byte, 1);
    assert_int_equal(SSL_write(p.client, "behind", 6), 6);
    assert_int_equal(tls_ask_client_cert(p.server, NULL, 0, &n), TLS_DONE);
    assert_true(tls_pending(p.server));
    assert_int_equal(tls_recv(p.server, got, sizeof(got)), 6);
    tls_pair_close(&p);
    tls_table_unref(t);
}

static void more_data_than_there_is_room_for(void **state)
{
    struct tls_table *t = asking_table(0, 1, NULL);
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (size_t i = 0; i < 2; i++) {
        struct tls_pair p;
        struct tls_facts f;
        char room[8], got[16];
        size_t n;
        tls_pair_open(&p, t, NULL);
        tls_pair_client_only(&p, versions[i]);
        SSL_set_post_handshake_auth(p.client, 1);
        tls_pair_client_cert(&p, &tls_certs.good_client);
        tls_pair_shake(&p);
        assert_int_equal(tls_ask_client_cert(p.server, room, 8, &n), TLS_READS);
        assert_int_equal(SSL_write(p.client, "12345678", 8), 8);
        assert_int_equal(tls_ask_client_cert(p.server, room, 8, &n), TLS_READS);
        assert_int_equal(n, 8);
        assert_int_equal(SSL_write(p.client, "9", 1), 1);
        assert_int_equal(tls_ask_client_cert(p.server, room, 0, &n), TLS_FULL);
        assert_int_equal(n, 0);
        tls_get_facts(p.server, &f);
        assert_int_equal(f.verdict, CLIENT_CERT_TOO_MUCH);
        assert_false(tls_can_ask_client_cert(p.server));
        assert_int_equal(tls_send(p.server, "413", 3, false), 3);
        assert_int_equal(SSL_read(p.client, got, 3), 3);
        assert_true(tls_pending(p.server));
        assert_int_equal(tls_recv(p.server, got, sizeof(got)), 1);
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_certificate_is_taken_and_judged),
        cmocka_unit_test(revocation_is_looked_up),
        cmocka_unit_test(verdicts_outlive_resumption),
        cmocka_unit_test(certificates_can_be_asked_for_later),
        cmocka_unit_test(who_cannot_be_asked_is_not),
        cmocka_unit_test(data_before_the_certificate_is_kept),
        cmocka_unit_test(data_behind_the_certificate_is_pending),
        cmocka_unit_test(more_data_than_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, tls_certs_make, tls_certs_free);
}
