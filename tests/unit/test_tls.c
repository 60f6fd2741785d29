/* The listener's TLS against OpenSSL's own client: which certificate, versions, sessions. */
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "listener/tls_internal.h"
#include "tls_pair.h"

static void names_choose_certificates(void **state)
{
    struct tls_table *t = tls_usual_table(0);
    const struct {
        const char *host;
        const struct made_cert *cert;
    } cases[] = {
        {NULL, &tls_certs.default_cert},           {"nobody.test", &tls_certs.default_cert},
        {"www.named.test", &tls_certs.named},      {"WWW.Named.TEST", &tls_certs.named},
        {"www.named.test.", &tls_certs.named},     {"a.star.test", &tls_certs.starred},
        {"a.b.star.test", &tls_certs.starred},     {"star.test", &tls_certs.default_cert},
        {"bad name.test", &tls_certs.default_cert}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_pair p;
        tls_pair_shaken(&p, t, cases[i].host);
        tls_pair_assert_peer(&p, cases[i].cert);
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

static void an_address_goes_before_names(void **state)
{
    json_t *msg = tls_message();
    struct tls_pair p;

    tls_message_bind(msg, "127.0.0.1", "", "default", 0, 0);
    tls_message_bind(msg, "*", "www.named.test", "named", 1, 0);
    struct tls_table *t = tls_message_load(msg);

    tls_pair_shaken(&p, t, "www.named.test");
    tls_pair_assert_peer(&p, &tls_certs.default_cert);
    tls_pair_close(&p);
    tls_table_unref(t);
}

static void a_name_nobody_has_ends_the_handshake(void **state)
{
    json_t *msg = tls_message();
    const char *hosts[] = {NULL, "nobody.test"};

    tls_message_bind(msg, "*", "www.named.test", "named", 1, 0);
    tls_message_bind(msg, "10.1.2.3", "", "default", 0, 0);
    struct tls_table *t = tls_message_load(msg);

    for (size_t i = 0; i < 2; i++) {
        struct tls_pair p;
        tls_pair_open(&p, t, hosts[i]);
        tls_pair_shake(&p);
        assert_int_equal(p.server_rc, TLS_FAILED);
        assert_string_equal(tls_failure(p.server), "no certificate for this name");
        assert_int_not_equal(p.client_rc, 1);
        assert_int_equal(tls_handshake(p.server), TLS_FAILED);
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

static void alpn_chooses_http2_where_it_may(void **state)
{
    struct tls_table *with = tls_usual_table(0), *without = tls_usual_table(4);
    struct tls_pair p;
    const unsigned char *name;
    unsigned n;

    tls_pair_open(&p, with, NULL);
    tls_pair_set_alpn(&p, "\x08http/1.1\x02h2");
    tls_pair_shake(&p);
    assert_true(tls_is_http2(p.server));
    SSL_get0_alpn_selected(p.client, &name, &n);
    assert_int_equal(n, 2);
    tls_pair_close(&p);
    tls_pair_open(&p, without, "www.named.test");
    tls_pair_set_alpn(&p, "\x02h2\x08http/1.1");
    tls_pair_shake(&p);
    assert_int_equal(p.server_rc, TLS_DONE);
    assert_false(tls_is_http2(p.server));
    SSL_get0_alpn_selected(p.client, &name, &n);
    assert_memory_equal(name, "http/1.1", n);
    tls_pair_close(&p);
    tls_pair_open(&p, with, NULL);
    tls_pair_set_alpn(&p, "\x05gopht");
    tls_pair_shake(&p);
    assert_int_equal(p.server_rc, TLS_FAILED);
    tls_pair_close(&p);
    tls_pair_shaken(&p, with, NULL);
    assert_false(tls_is_http2(p.server));
    tls_pair_close(&p);
    tls_table_unref(with);
    tls_table_unref(without);
}

static void flags_limit_versions(void **state)
{
    struct tls_table *t = tls_usual_table(32);
    struct tls_pair p;

    tls_pair_shaken(&p, t, "www.named.test");
    assert_int_equal(SSL_version(p.client), TLS1_2_VERSION);
    tls_pair_close(&p);
    tls_pair_open(&p, t, NULL);
    tls_pair_client_only(&p, TLS1_3_VERSION);
    tls_pair_shake(&p);
    assert_int_equal(p.server_rc, TLS_FAILED);
    tls_pair_close(&p);
    tls_table_unref(t);
    t = tls_usual_table(0);
    tls_pair_open(&p, t, NULL);
    SSL_set_security_level(p.client, 0);
    tls_pair_client_only(&p, TLS1_1_VERSION);
    tls_pair_shake(&p);
    assert_int_equal(p.server_rc, TLS_FAILED);
    tls_pair_close(&p);
    tls_table_unref(t);
}

/* Also from one table to the next, as after a change of configuration. */
static void sessions_resume(void **state)
{
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (size_t i = 0; i < 2; i++) {
        struct tls_table *t = tls_usual_table(0);
        struct tls_pair p;
        tls_pair_open(&p, t, "www.named.test");
        tls_pair_keep_sessions(&p);
        tls_pair_client_only(&p, versions[i]);
        tls_pair_shake(&p);
        tls_pair_client_says(&p, "first");
        tls_pair_server_says(&p, "answer");
        tls_pair_server_says(&p, "and another");
        assert_non_null(tls_pair_session);
        assert_false(SSL_session_reused(p.client));
        tls_pair_close(&p);
        tls_table_unref(t);
        t = tls_usual_table(0);
        tls_pair_open(&p, t, "www.named.test");
        tls_pair_client_only(&p, versions[i]);
        SSL_set_session(p.client, tls_pair_session);
        tls_pair_shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        assert_true(SSL_session_reused(p.client));
        tls_pair_server_says(&p, "welcome back");
        tls_pair_close(&p);
        /* Another binding is another context. */
        tls_pair_open(&p, t, "a.star.test");
        tls_pair_client_only(&p, versions[i]);
        SSL_set_session(p.client, tls_pair_session);
        tls_pair_shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        assert_false(SSL_session_reused(p.client));
        tls_pair_close(&p);
        tls_table_unref(t);
        tls_pair_forget_session();
    }
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
    json_t *msg = tls_message();

    json_object_set_new(msg, "central",
                        json_pack("[s, s, s]", "one.test", "_.star.test", "broken.test"));
    json_array_append_new(json_object_get(msg, "bindings"),
                          json_pack("{s:i, s:b, s:i}", "port", 443, "central", 1, "sslFlags", 2));
    return tls_message_load(msg);
}

static void give(const char *name, const struct made_cert *c)
{
    json_t *msg =
        c ? json_pack("{s:s, s:o}", "name", name, "certificate", tls_message_cert(name, c))
          : json_pack("{s:s}", "name", name);

    assert_true(tls_take_certificate(msg));
    json_decref(msg);
}

static void central_certificates_come_when_wanted(void **state)
{
    struct tls_table *t = central_table();
    struct tls_pair p, q;

    tls_set_wanted(on_wanted, NULL);
    n_wanted = 0;
    tls_pair_open(&p, t, "one.test");
    tls_pair_shake(&p);
    assert_int_equal(p.server_rc, TLS_WAITS);
    tls_pair_open(&q, t, "one.test");
    tls_pair_shake(&q);
    assert_int_equal(q.server_rc, TLS_WAITS);
    assert_int_equal(n_wanted, 1); /* not asked twice */
    assert_string_equal(wanted[0], "one.test");
    give("one.test", &tls_certs.named);
    tls_pair_shake(&p);
    tls_pair_shake(&q);
    assert_int_equal(p.server_rc, TLS_DONE);
    assert_int_equal(q.server_rc, TLS_DONE);
    tls_pair_assert_peer(&p, &tls_certs.named);
    tls_pair_client_says(&p, "hello");
    tls_pair_close(&p);
    tls_pair_close(&q);
    tls_pair_open(&p, t, "x.star.test");
    tls_pair_shake(&p);
    assert_string_equal(wanted[1], "_.star.test");
    give("_.star.test", &tls_certs.starred);
    tls_pair_shake(&p);
    tls_pair_assert_peer(&p, &tls_certs.starred);
    tls_pair_close(&p);
    tls_pair_open(&p, t, "broken.test");
    tls_pair_shake(&p);
    give("broken.test", NULL);
    tls_pair_shake(&p);
    assert_int_equal(p.server_rc, TLS_FAILED);
    tls_pair_close(&p);
    tls_pair_open(&p, t, "not.in.the.store.test");
    tls_pair_shake(&p);
    assert_int_equal(p.server_rc, TLS_FAILED);
    assert_int_equal(n_wanted, 3);
    tls_pair_close(&p);
    give("one.test", &tls_certs.default_cert); /* renewed */
    tls_pair_shaken(&p, t, "one.test");
    tls_pair_assert_peer(&p, &tls_certs.default_cert);
    tls_pair_close(&p);
    tls_table_unref(t);
}

static void bad_messages_say_what_is_wrong(void **state)
{
    char why[TLS_WHY_MAX] = "";
    json_t *msg = tls_message();

    tls_message_bind(msg, "*", "", "nothing", 0, 0);
    assert_null(tls_table_load(msg, why));
    assert_non_null(strstr(why, "not sent"));
    json_decref(msg);
    msg = tls_message();
    json_object_set_new(json_array_get(json_object_get(msg, "certificates"), 0), "key",
                        json_string(tls_certs.named.key_pem));
    assert_null(tls_table_load(msg, why));
    assert_non_null(strstr(why, "key cannot be used"));
    json_decref(msg);
    msg = tls_message();
    tls_message_bind(msg, "1.2.3", "", "named", 0, 0);
    assert_null(tls_table_load(msg, why));
    assert_non_null(strstr(why, "address"));
    json_decref(msg);
}

static void staples_are_given_unless_switched_off(void **state)
{
    for (int off = 0; off < 2; off++) {
        json_t *msg = tls_message();
        struct tls_pair p;
        const unsigned char *got = NULL;
        json_object_set_new(json_array_get(json_object_get(msg, "certificates"), 0), "staple",
                            json_string("YW5zd2Vy"));
        tls_message_bind(msg, "*", "", "default", off ? 8 : 0, 0);
        struct tls_table *t = tls_message_load(msg);
        tls_pair_open(&p, t, NULL);
        SSL_set_tlsext_status_type(p.client, TLSEXT_STATUSTYPE_ocsp);
        tls_pair_shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        long n = SSL_get_tlsext_status_ocsp_resp(p.client, &got);
        assert_int_equal(n, off ? -1 : 6);
        if (!off)
            assert_memory_equal(got, "answer", 6);
        tls_pair_close(&p);
        tls_table_unref(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_choose_certificates),
        cmocka_unit_test(an_address_goes_before_names),
        cmocka_unit_test(a_name_nobody_has_ends_the_handshake),
        cmocka_unit_test(alpn_chooses_http2_where_it_may),
        cmocka_unit_test(flags_limit_versions),
        cmocka_unit_test(sessions_resume),
        cmocka_unit_test(central_certificates_come_when_wanted),
        cmocka_unit_test(bad_messages_say_what_is_wrong),
        cmocka_unit_test(staples_are_given_unless_switched_off),
    };

    return cmocka_run_group_tests(tests, tls_certs_make, tls_certs_free);
}
