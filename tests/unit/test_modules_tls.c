/* Server variables about TLS, the client's certificate and HTTP/2. */
#include "modules_fixture.h"

#include <stdio.h>

#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "worker/modules/server_variables.h"

#include "base/poison.h"

static const char *const host[] = {"Host: site.test", NULL};

static void assert_variable(struct request *r, const char *name, const char *want)
{
    struct str value = server_variable(r, str_z(name));

    if (!str_eq(value, str_z(want)))
        fail_msg("%s: %.*s", name, STR_ARG(value));
}

static void add(X509_NAME *name, const char *key, const char *value)
{
    assert_int_equal(X509_NAME_add_entry_by_txt(name, key, MBSTRING_UTF8,
                                                (const unsigned char *)value, -1, -1, 0),
                     1);
}

/* A self-signed certificate in DER. */
static struct str make_certificate(struct arena *a)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    unsigned char *der = NULL;

    assert_non_null(key);
    assert_non_null(x);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 0x0a1bff);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);

    add(name, "C", "DE");
    add(name, "ST", "Bayern");
    add(name, "O", "A, \"B\" & Co");
    add(name, "CN", "J\xc3\xbcrgen");
    add(name, "emailAddress", "j@example.com");
    add(name, "1.2.3.4", "odd");
    add(name, "OU", "line\nbreak");
    name = X509_get_issuer_name(x);
    add(name, "CN", "CA");
    add(name, "DC", "example");
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    int n = i2d_X509(x, &der);

    assert_true(n > 0);
    struct str s = arena_dup(a, str_n((const char *)der, (size_t)n));

    OPENSSL_free(der);
    X509_free(x);
    EVP_PKEY_free(key);
    return s;
}

static void test_certificate(void **state)
{
    struct fixture *f = fixture_new(NULL, NULL);
    struct request *r = fixture_request(f, "GET", "/", host);

    r->msg.head.flags |= MSGF_TLS;
    r->msg.head.tls.verdict = CLIENT_CERT_GOOD;
    r->msg.client_cert = make_certificate(&r->arena);
    assert_variable(r, "CERT_SUBJECT",
                    "C=DE, S=Bayern, O=\"A, \"\"B\"\" & Co\", CN=J\xc3\xbcrgen, E=j@example.com, "
                    "1.2.3.4=odd, OU=\"line break\"");
    assert_variable(r, "CERT_ISSUER", "CN=CA, DC=example");
    assert_variable(r, "CERT_SERIALNUMBER", "0a-1b-ff");
    assert_variable(r, "CERT_FLAGS", "1");
    assert_int_equal(server_variable(r, STR("CERT_COOKIE")).n, 40);
    r->msg.head.tls.verdict = CLIENT_CERT_UNTRUSTED;
    assert_variable(r, "CERT_FLAGS", "3");
    /* Cut anywhere it says nothing, but there was one. */
    struct str whole = r->msg.client_cert;

    for (size_t n = 1; n < whole.n; n++) {
        r->msg.client_cert = str_sub(whole, 0, n);
        assert_variable(r, "CERT_SUBJECT", "");
        assert_variable(r, "CERT_ISSUER", "");
        assert_variable(r, "CERT_SERIALNUMBER", "");
    }
    fixture_free(f);
}

static void test_connection(void **state)
{
    static const struct {
        const char *cipher;
        uint16_t version, bits;
        const char *protocol, *size, *algorithm, *hash, *exchange;
    } rows[] = {
        {"TLS_AES_256_GCM_SHA384", 0x0304, 256, "1000", "256", "6610", "800d", "ae06"},
        {"TLS_AES_128_GCM_SHA256", 0x0304, 128, "1000", "128", "660e", "800c", "ae06"},
        {"TLS_CHACHA20_POLY1305_SHA256", 0x0304, 256, "1000", "256", "", "800c", "ae06"},
        {"ECDHE-RSA-AES256-GCM-SHA384", 0x0303, 256, "400", "256", "6610", "800d", "ae06"},
        {"ECDHE-ECDSA-CHACHA20-POLY1305", 0x0303, 256, "400", "256", "", "800c", "ae06"},
        {"DHE-RSA-AES128-GCM-SHA256", 0x0303, 128, "400", "128", "660e", "800c", "aa02"},
        {"ECDHE-RSA-AES128-SHA", 0x0302, 128, "100", "128", "660e", "8004", "ae06"},
        {"AES256-SHA", 0x0301, 256, "40", "256", "6610", "8004", "a400"},
        {"AES256-SHA", 0x0999, 0, "", "", "6610", "8004", "a400"},
        {"", 0x0303, 128, "400", "128", "", "", ""},
    };
    struct fixture *f = fixture_new(NULL, NULL);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r = fixture_request(f, "GET", "/", host);
        r->msg.head.flags |= MSGF_TLS;
        r->msg.tls_cipher = str_z(rows[i].cipher);
        r->msg.head.tls = (struct msg_tls){.version = rows[i].version,
                                           .cipher_bits = rows[i].bits,
                                           .key_bits = 2048};
        assert_variable(r, "HTTPS", "on");
        assert_variable(r, "SERVER_PORT_SECURE", "1");
        assert_variable(r, "HTTPS_KEYSIZE", rows[i].size);
        assert_variable(r, "CERT_KEYSIZE", rows[i].size);
        assert_variable(r, "HTTPS_SECRETKEYSIZE", "2048");
        assert_variable(r, "CERT_SECRETKEYSIZE", "2048");
        assert_variable(r, "CRYPT_PROTOCOL", rows[i].protocol);
        assert_variable(r, "CRYPT_CIPHER_ALG_ID", rows[i].algorithm);
        assert_variable(r, "CRYPT_HASH_ALG_ID", rows[i].hash);
        assert_variable(r, "CRYPT_KEYEXCHANGE_ALG_ID", rows[i].exchange);
        assert_variable(r, "CERT_FLAGS", "");
        assert_variable(r, "CERT_COOKIE", "");
    }
    fixture_free(f);
}

/* Custom log fields show a dash for what is empty: so it is without TLS. */
static void test_without_tls(void **state)
{
    static const char *const names[] = {
        "HTTPS_KEYSIZE",  "HTTPS_SECRETKEYSIZE", "CERT_KEYSIZE",      "CERT_SECRETKEYSIZE",
        "CERT_SUBJECT",   "CERT_ISSUER",         "CERT_SERIALNUMBER", "CERT_FLAGS",
        "CERT_COOKIE",    "CRYPT_PROTOCOL",      "CRYPT_HASH_ALG_ID", "CRYPT_CIPHER_ALG_ID",
        "CRYPT_KEYEXCHANGE_ALG_ID"};
    struct fixture *f = fixture_new(NULL, NULL);
    struct request *r = fixture_request(f, "GET", "/", host);

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_variable(r, names[i], "");
    assert_variable(r, "HTTPS", "off");
    fixture_free(f);
}

static void test_versions(void **state)
{
    static const struct {
        uint8_t major, minor;
        const char *text;
    } rows[] = {{1, 0, "HTTP/1.0"}, {1, 1, "HTTP/1.1"}, {2, 0, "HTTP/2.0"}};
    struct fixture *f = fixture_new(NULL, "<configuration><system.webServer><httpProtocol "
                                          "enableTraceMethod='true'/></system.webServer>"
                                          "</configuration>");

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r = fixture_request(f, "TRACE", "/x", host);
        char line[64];

        r->msg.head.major = rows[i].major;
        r->msg.head.minor = rows[i].minor;
        assert_variable(r, "SERVER_PROTOCOL", rows[i].text);
        assert_variable(r, "HTTP_VERSION", rows[i].text);
        fixture_run(f, &mod_protocol_support, N_EXECUTE_REQUEST_HANDLER);
        snprintf(line, sizeof(line), "TRACE /x %s\r\n", rows[i].text);
        assert_memory_equal(fixture_body(f), line, strlen(line));
    }
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificate),
        cmocka_unit_test(test_connection),
        cmocka_unit_test(test_without_tls),
        cmocka_unit_test(test_versions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
