/* What a path demands of the connection: TLS, cipher, client certificate; HSTS; facts of TLS and
 * HTTP/2 as modules see them. */
#include "worker_fixture.h"

#include <stdio.h>

#include "base/poison.h"

#define AT_SITE(xml)                                                                               \
    "<location path='Default Web Site'><system.webServer>" xml "</system.webServer></location>"
#define ACCESS(flags) AT_SITE("<security><access sslFlags='" flags "'/></security>")

static struct fx *start(const char *app_host)
{
    struct fx *f = fx_new(app_host, NULL);

    fx_file(f, "a.txt", "one");
    return f;
}

static void use_tls(struct fx *f, uint16_t bits, enum client_cert_verdict verdict, uint32_t flags)
{
    f->tls_flags = MSGF_TLS | flags;
    f->tls = (struct msg_tls){.version = 0x0303,
                              .cipher_bits = bits,
                              .key_bits = 2048,
                              .verdict = (uint16_t)verdict};
    f->cipher = "ECDHE-RSA-AES256-GCM-SHA384";
}

static void stop(struct fx *f)
{
    fx_assert_idle(f);
    fx_free(f);
}

/* ---- codes ---------------------------------------------------------------------------------- */

#define REQUIRED "Ssl, SslNegotiateCert, SslRequireCert"

static void test_codes(void **state)
{
    static const struct {
        const char *flags; /* of the section */
        bool tls;
        uint16_t bits;
        enum client_cert_verdict verdict;
        unsigned status, substatus;
        uint32_t win32;
    } rows[] = {
        {ACCESS("None"), false, 0, 0, 200, 0, 0},
        {ACCESS("Ssl"), false, 0, 0, 403, 4, 5},
        {ACCESS("Ssl"), true, 128, 0, 200, 0, 0},
        {ACCESS("Ssl, Ssl128"), false, 0, 0, 403, 4, 5},
        {ACCESS("Ssl128"), false, 0, 0, 403, 5, 5},
        {ACCESS("Ssl, Ssl128"), true, 127, 0, 403, 5, 5},
        {ACCESS("Ssl, Ssl128"), true, 128, 0, 200, 0, 0},
        {ACCESS("SslNegotiateCert"), false, 0, 0, 200, 0, 0},
        {ACCESS("SslRequireCert"), false, 0, 0, 403, 7, 5},
        {ACCESS(REQUIRED), true, 256, CLIENT_CERT_NONE, 403, 7, 5},
        {ACCESS(REQUIRED), true, 256, CLIENT_CERT_GOOD, 200, 0, 0},
        {ACCESS(REQUIRED), true, 256, CLIENT_CERT_UNTRUSTED, 403, 16, 0x800b0109},
        {ACCESS(REQUIRED), true, 256, CLIENT_CERT_OUT_OF_DATE, 403, 17, 0x800b0101},
        {ACCESS(REQUIRED), true, 256, CLIENT_CERT_REVOKED, 403, 13, 0x80092010},
        {ACCESS(REQUIRED), true, 256, CLIENT_CERT_REVOCATION_UNKNOWN, 403, 13, 0x80092013},
        /* Negotiated only: none will do, a bad one will not. */
        {ACCESS("SslNegotiateCert"), true, 256, CLIENT_CERT_NONE, 200, 0, 0},
        {ACCESS("SslNegotiateCert"), true, 256, CLIENT_CERT_UNTRUSTED, 403, 16, 0x800b0109},
        /* Nobody asked what the handshake brought. */
        {ACCESS("Ssl"), true, 256, CLIENT_CERT_UNTRUSTED, 200, 0, 0},
        {ACCESS("SslMapCert"), true, 256, CLIENT_CERT_NONE, 200, 0, 0},
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fx *f = start(rows[i].flags);
        if (rows[i].tls)
            use_tls(f, rows[i].bits, rows[i].verdict, 0);
        struct fx_answer *a = fx_get(f, 1, "GET", "/a.txt", NULL);
        if (a->head.status != rows[i].status || a->head.substatus != rows[i].substatus ||
            a->head.win32 != rows[i].win32)
            fail_msg("row %u: %u.%u win32 %x", i, a->head.status, a->head.substatus,
                     a->head.win32);
        assert_int_equal(a->cert_wanted, 0);
        assert_int_equal(a->head.flags & MSGR_HTTP11, 0);
        stop(f);
    }
}

/* ---- asking --------------------------------------------------------------------------------- */

static void test_asking(void **state)
{
    static const struct {
        enum client_cert_verdict verdict;
        unsigned status, substatus;
    } rows[] = {
        {CLIENT_CERT_NONE, 403, 7},
        {CLIENT_CERT_GOOD, 200, 0},
        {CLIENT_CERT_UNTRUSTED, 403, 16},
        {CLIENT_CERT_REVOKED, 403, 13},
        {CLIENT_CERT_TOO_MUCH, 413, 0},
    };
    struct fx *f = start(ACCESS(REQUIRED));

    use_tls(f, 256, CLIENT_CERT_NONE, MSGF_CERT_ASKABLE);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fx_answer *a = &f->answers[i];
        assert_true(fx_push(f, i, "GET", "/a.txt", NULL, 0));
        fx_turn(f);
        assert_int_equal(a->cert_wanted, 1);
        assert_false(a->begun);
        assert_int_equal(channel_held(f->t.channel), 1);
        fx_push_certificate(f, i, rows[i].verdict,
                            rows[i].verdict == CLIENT_CERT_NONE ? STR_NULL : STR("\x30\x00"));
        fx_turn(f);
        fx_assert_code(a, rows[i].status, rows[i].substatus);
        assert_true(a->closed);
        assert_int_equal(a->cert_wanted, 1);
    }
    stop(f);
    /* One that need not have any. */
    f = start(ACCESS("Ssl, SslNegotiateCert"));
    use_tls(f, 256, CLIENT_CERT_NONE, MSGF_CERT_ASKABLE);
    assert_true(fx_push(f, 1, "GET", "/a.txt", NULL, 0));
    fx_turn(f);
    assert_int_equal(f->answers[1].cert_wanted, 1);
    fx_push_certificate(f, 1, CLIENT_CERT_NONE, STR_NULL);
    fx_turn(f);
    fx_assert_code(&f->answers[1], 200, 0);
    stop(f);
}

static void test_client_goes_while_asked(void **state)
{
    struct fx *f = start(ACCESS(REQUIRED));

    use_tls(f, 256, CLIENT_CERT_NONE, MSGF_CERT_ASKABLE);
    assert_true(fx_push(f, 1, "GET", "/a.txt", NULL, 0));
    fx_turn(f);
    assert_int_equal(f->answers[1].cert_wanted, 1);
    fx_push_abort(f, 1);
    fx_turn(f);
    assert_true(f->answers[1].reset);
    /* The answer that crossed it on its way belongs to nobody. */
    fx_push_certificate(f, 1, CLIENT_CERT_GOOD, STR("\x30\x00"));
    fx_turn(f);
    stop(f);
}

static void test_listener_breaks_the_protocol(void **state)
{
    static const struct msg_client_cert longer = {.der_len = 5};

    for (unsigned i = 0; i < 3; i++) {
        struct fx *f = start(ACCESS(REQUIRED));
        use_tls(f, 256, CLIENT_CERT_NONE, MSGF_CERT_ASKABLE);
        assert_true(fx_push(f, 1, "GET", "/a.txt", NULL, 0));
        fx_turn(f);
        if (i == 0)
            fx_push_certificate(f, 1, (enum client_cert_verdict)99, STR_NULL);
        else if (i == 1)
            assert_true(ring_push(&f->requests, MSG_CLIENT_CERT, 0, 1, "x", 1));
        else
            assert_true(
                ring_push(&f->requests, MSG_CLIENT_CERT, 0, 1, &longer, sizeof(longer)));
        fx_turn(f);
        assert_non_null(f->broken);
        fx_free(f);
    }
}

/* A body that would lie between the client and its certificate. */
static void test_body_in_the_way(void **state)
{
    static const char *const small[] = {"Content-Length: 10", NULL};
    static const char *const large[] = {"Content-Length: 11", NULL};
    struct fx *f = start(AT_SITE("<security><access sslFlags='" REQUIRED "'/></security>"
                                 "<serverRuntime uploadReadAheadSize='10'/>"));

    use_tls(f, 256, CLIENT_CERT_NONE, MSGF_CERT_ASKABLE);
    assert_true(fx_push(f, 1, "POST", "/a.txt", large, MSGF_HAS_BODY));
    assert_true(fx_push(f, 2, "POST", "/a.txt", NULL, MSGF_HAS_BODY)); /* chunked */
    assert_true(fx_push(f, 3, "POST", "/a.txt", small, MSGF_HAS_BODY));
    fx_turn(f);
    fx_turn(f);
    fx_assert_code(&f->answers[1], 413, 0);
    fx_assert_code(&f->answers[2], 413, 0);
    assert_int_equal(f->answers[1].cert_wanted + f->answers[2].cert_wanted, 0);
    /* One that fits comes first. */
    assert_int_equal(f->answers[3].cert_wanted, 0);
    assert_int_equal(f->answers[3].body_wanted, 10);
    fx_push_body(f, 3, "1234", 4, /* end = */ false);
    fx_turn(f);
    assert_int_equal(f->answers[3].cert_wanted, 0);
    fx_push_body(f, 3, "567890", 6, /* end = */ true);
    fx_turn(f);
    assert_int_equal(f->answers[3].cert_wanted, 1);
    fx_push_certificate(f, 3, CLIENT_CERT_GOOD, STR("\x30\x00"));
    fx_turn(f);
    fx_assert_code(&f->answers[3], 405, 0);
    /* The client goes while its body is awaited. */
    assert_true(fx_push(f, 5, "POST", "/a.txt", small, MSGF_HAS_BODY));
    fx_turn(f);
    fx_push_body(f, 5, "1234", 4, /* end = */ false);
    fx_push_abort(f, 5);
    fx_turn(f);
    assert_true(f->answers[5].reset);
    assert_int_equal(f->answers[5].cert_wanted, 0);
    /* With a certificate already there the size does not matter. */
    f->tls.verdict = CLIENT_CERT_GOOD;
    assert_true(fx_push(f, 4, "POST", "/a.txt", large, MSGF_HAS_BODY));
    fx_turn(f);
    fx_assert_code(&f->answers[4], 405, 0);
    stop(f);
}

static void test_http2(void **state)
{
    struct fx *f = start(ACCESS("SslNegotiateCert"));

    use_tls(f, 256, CLIENT_CERT_NONE, 0);
    f->http2 = true;
    struct fx_answer *a = fx_get(f, 1, "GET", "/a.txt", NULL);

    assert_int_equal(a->head.flags & MSGR_HTTP11, MSGR_HTTP11);
    assert_int_equal(a->cert_wanted, 0);
    /* The binding's handshake has brought one. */
    f->tls.verdict = CLIENT_CERT_GOOD;
    a = fx_get(f, 2, "GET", "/a.txt", NULL);
    fx_assert_code(a, 200, 0);
    assert_int_equal(a->head.flags & MSGR_HTTP11, 0);
    stop(f);
}

/* ---- order ---------------------------------------------------------------------------------- */

static void test_order(void **state)
{
    static const char *const large[] = {"Content-Length: 1000", NULL};
    struct fx *f = start(AT_SITE("<security><access sslFlags='" REQUIRED "'/></security>"
                                 "<serverRuntime maxRequestEntityAllowed='100'/>"));

    /* TLS before everything, also before a hidden segment. */
    fx_assert_code(fx_get(f, 1, "GET", "/bin/x", NULL), 403, 4);
    /* Too much is too much before anybody is asked. */
    use_tls(f, 256, CLIENT_CERT_NONE, MSGF_CERT_ASKABLE);
    assert_true(fx_push(f, 2, "POST", "/a.txt", large, MSGF_HAS_BODY));
    fx_turn(f);
    fx_assert_code(&f->answers[2], 413, 0);
    assert_int_equal(f->answers[2].cert_wanted, 0);
    stop(f);
}

/* ---- HSTS ----------------------------------------------------------------------------------- */

static void test_hsts(void **state)
{
    static const struct {
        const char *site, *value;
    } rows[] = {
        {"<hsts enabled='true'/>", "max-age=0"},
        {"<hsts enabled='true' max-age='31536000' includeSubDomains='true' preload='true'/>",
         "max-age=31536000; includeSubDomains; preload"},
        {"<hsts enabled='true' max-age='5' preload='true'/>", "max-age=5; preload"},
        {"<hsts enabled='false' max-age='5' redirectHttpToHttps='true'/>", ""},
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fx *f = fx_new_site(rows[i].site, NULL, NULL);
        fx_file(f, "a.txt", "x");
        /* Not on what is not protected; also on errors. */
        struct fx_answer *a = fx_get(f, 1, "GET", "/a.txt", NULL);
        fx_assert_code(a, 200, 0);
        assert_string_equal(fx_header(a, "Strict-Transport-Security"), "");
        use_tls(f, 256, CLIENT_CERT_NONE, 0);
        a = fx_get(f, 2, "GET", "/a.txt", NULL);
        assert_string_equal(fx_header(a, "Strict-Transport-Security"), rows[i].value);
        a = fx_get(f, 3, "GET", "/missing", NULL);
        fx_assert_code(a, 404, 0);
        assert_string_equal(fx_header(a, "Strict-Transport-Security"), rows[i].value);
        stop(f);
    }
}

static void test_hsts_stands_once(void **state)
{
    struct fx *f = fx_new_site("<hsts enabled='true' max-age='7'/>",
                               AT_SITE("<httpProtocol><customHeaders><add "
                                       "name='strict-transport-security' value='max-age=1'/>"
                                       "</customHeaders></httpProtocol>"),
                               NULL);

    fx_file(f, "a.txt", "x");
    use_tls(f, 256, CLIENT_CERT_NONE, 0);
    struct fx_answer *a = fx_get(f, 1, "GET", "/a.txt", NULL);

    assert_string_equal(fx_header(a, "Strict-Transport-Security"), "max-age=7");
    assert_null(strstr(a->headers, "max-age=1"));
    stop(f);
}

static void test_redirect_to_https(void **state)
{
    static const char *const with_port[] = {"Host: www.example.com:8080", NULL};
    struct fx *f = fx_new_site("<hsts enabled='true' max-age='7' redirectHttpToHttps='true'/>",
                               ACCESS("Ssl"), NULL);

    fx_file(f, "a.txt", "x");
    struct fx_answer *a = fx_get(f, 1, "GET", "/a b\xc3\xa9.txt?x=1&y", with_port);

    fx_assert_code(a, 307, 0);
    assert_string_equal(fx_header(a, "Location"),
                        "https://www.example.com/a%20b%C3%A9.txt?x=1&y");
    assert_string_equal(fx_header(a, "Strict-Transport-Security"), "");
    use_tls(f, 256, CLIENT_CERT_NONE, 0);
    fx_assert_code(fx_get(f, 2, "GET", "/a.txt", with_port), 200, 0);
    stop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_asking),
        cmocka_unit_test(test_client_goes_while_asked),
        cmocka_unit_test(test_listener_breaks_the_protocol),
        cmocka_unit_test(test_body_in_the_way),
        cmocka_unit_test(test_http2),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_hsts),
        cmocka_unit_test(test_hsts_stands_once),
        cmocka_unit_test(test_redirect_to_https),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
