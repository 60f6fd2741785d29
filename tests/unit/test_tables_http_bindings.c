/* Certificates, reservations and the listen list in a registry export. */
#include "tables/http_bindings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tables/http_parameters.h"

#define HEAD "Windows Registry Editor Version 5.00\r\n\r\n"
#define ROOT "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\HTTP\\Parameters"
#define KEY(below) "[" ROOT "\\" below "]\r\n"
#define SSL_443 KEY("SslBindingInfo\\0.0.0.0:443")

struct read {
    struct http_parameters p;
    struct http_bindings b;
    struct http_parameters_finding *findings;
    size_t n_findings;
};

static void read_text(struct read *r, const char *text)
{
    assert_int_equal(http_parameters_parse(str_z(text), &r->p, &r->b, &r->findings), RC_OK);
    r->n_findings = 0;
    for (struct http_parameters_finding *f = r->findings; f; f = f->next)
        r->n_findings++;
}

static void end(struct read *r)
{
    http_parameters_findings_free(r->findings);
    http_bindings_fini(&r->b);
}

static void an_address_with_all_values(void **state)
{
    struct read r;
    const struct ssl_binding *s;

    (void)state;
    read_text(&r, HEAD SSL_443
              "\"AppId\"=hex:5d,8e,7a,4d,00,00,00,00,00,00,00,00,00,00,00,01\r\n"
              "\"DefaultFlags\"=dword:00000012\r\n"
              "\"DefaultSslCertCheckMode\"=dword:00000001\r\n"
              "\"DefaultSslRevocationFreshnessTime\"=dword:00000e10\r\n"
              "\"DefaultSslRevocationUrlRetrievalTimeout\"=dword:000003e8\r\n"
              "\"DefaultSslCtlStoreName\"=\"ClientAuthIssuer\"\r\n"
              "\"DefaultSslCtlIdentifier\"=\"list\"\r\n"
              "\"SslCertHash\"=hex:00,11,22,33,44,55,66,77,88,99,aa,bb,cc,dd,ee,ff,01,02,\\\r\n"
              "  03,04\r\n"
              "\"SslCertStoreName\"=\"WebHosting\"\r\n"
              "\"Other\"=dword:1\r\n");
    assert_int_equal(r.n_findings, 0);
    assert_int_equal(r.b.n_ssl, 1);
    s = &r.b.ssl[0];
    assert_int_equal(s->kind, SSL_BINDING_ADDRESS);
    assert_int_equal(s->port, 443);
    assert_true(ip_is_any(&s->address) && s->address.is_v4);
    assert_int_equal(s->flags, SSL_BINDING_NEGOTIATE_CLIENT_CERT | SSL_BINDING_NO_HTTP2);
    assert_int_equal(s->check_mode, SSL_CHECK_NO_REVOCATION);
    assert_int_equal(s->revocation_freshness_s, 3600);
    assert_int_equal(s->revocation_url_timeout_ms, 1000);
    assert_string_equal(s->ctl_store, "ClientAuthIssuer");
    assert_string_equal(s->ctl_identifier, "list");
    assert_string_equal(s->store, "WebHosting");
    assert_int_equal(s->hash_len, 20);
    assert_int_equal(s->hash[1], 0x11);
    assert_int_equal(s->hash[19], 4);
    assert_int_equal(s->app_id[0], 0x5d);
    assert_int_equal(s->app_id[15], 1);
    assert_int_equal(s->line, 3);
    end(&r);
}

#define HASH(last) "\"SslCertHash\"=hex:01,02," #last "\r\n"

/* What each name of a key becomes, and how many findings it has. */
static void names_of_keys(void **state)
{
    static const struct {
        const char *key;
        enum ssl_binding_kind kind;
        const char *host, *address;
        uint16_t port;
        size_t findings;
    } rows[] = {
        {"SslBindingInfo\\1.2.3.4:8443", SSL_BINDING_ADDRESS, "", "1.2.3.4", 8443, 0},
        {"sslbindinginfo\\[::]:443", SSL_BINDING_ADDRESS, "", "::", 443, 0},
        {"SslBindingInfo\\[fe80::1%3]:443", SSL_BINDING_ADDRESS, "", "fe80::1%3", 443, 0},
        {"SslSniBindingInfo\\WWW.Example.Test:443", SSL_BINDING_HOST, "www.example.test", "", 443,
         0},
        {"SslSniBindingInfo\\*.example.test:443", SSL_BINDING_HOST, "*.example.test", "", 443, 0},
        {"SslCcsBindingInfo\\443", SSL_BINDING_CENTRAL, "", "", 443, 0},
        {"SslCcsBindingInfo\\*:443", SSL_BINDING_CENTRAL, "", "", 443, 0},
        {"SslCcsBindingInfo\\0.0.0.0:443", SSL_BINDING_CENTRAL, "", "", 443, 0},
        {"SslBindingInfo\\www.example.test:443", SSL_BINDING_ADDRESS, NULL, "", 0, 1},
        {"SslBindingInfo\\0.0.0.0:0", SSL_BINDING_ADDRESS, NULL, "", 0, 1},
        {"SslBindingInfo\\0.0.0.0:0443", SSL_BINDING_ADDRESS, NULL, "", 0, 1},
        {"SslBindingInfo\\0.0.0.0:65536", SSL_BINDING_ADDRESS, NULL, "", 0, 1},
        {"SslBindingInfo\\0.0.0.0", SSL_BINDING_ADDRESS, NULL, "", 0, 1},
        {"SslSniBindingInfo\\:443", SSL_BINDING_HOST, NULL, "", 0, 1},
        {"SslBindingInfo", SSL_BINDING_ADDRESS, NULL, "", 0, 0},
        {"Other\\0.0.0.0:443", SSL_BINDING_ADDRESS, NULL, "", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[512], address[IP_TEXT_MAX] = "";
        struct read r;

        snprintf(text, sizeof(text), HEAD "[" ROOT "\\%s]\r\n" HASH(3), rows[i].key);
        read_text(&r, text);
        if (r.n_findings != rows[i].findings || r.b.n_ssl != (rows[i].host ? 1u : 0u))
            fail_msg("%s: %zu findings, %zu entries", rows[i].key, r.n_findings, r.b.n_ssl);
        if (r.findings && (r.findings->line != 3 || r.findings->column != 1))
            fail_msg("%s: at %u:%u", rows[i].key, r.findings->line, r.findings->column);
        if (rows[i].host) {
            const struct ssl_binding *s = &r.b.ssl[0];

            if (s->kind == SSL_BINDING_ADDRESS)
                ip_format(&s->address, address);
            assert_int_equal(s->kind, rows[i].kind);
            assert_string_equal(s->host, rows[i].host);
            assert_string_equal(address, rows[i].address);
            assert_int_equal(s->port, rows[i].port);
            assert_string_equal(s->store, "MY");
        }
        end(&r);
    }
}

static void values_that_cannot_be_used(void **state)
{
    static const struct {
        const char *values;
        size_t findings; /* one more when that leaves no thumbprint */
        uint32_t line, column;
    } rows[] = {
        {"\"SslCertHash\"=\"0102\"\r\n", 2, 4, 15},
        {"\"SslCertHash\"=dword:01020304\r\n", 2, 4, 15},
        {"\"SslCertHash\"=hex:0g\r\n", 2, 4, 15},
        {HASH(3) "\"DefaultFlags\"=\"2\"\r\n", 1, 5, 16},
        {HASH(3) "\"SslCertStoreName\"=\"../MY\"\r\n", 1, 5, 20},
        {HASH(3) "\"SslCertStoreName\"=\"a\\\\b\"\r\n", 1, 5, 20},
        {HASH(3) "\"SslCertStoreName\"=\"..\"\r\n", 1, 5, 20},
        {HASH(3) "\"SslCertStoreName\"=\"\"\r\n", 1, 5, 20},
        {HASH(3) "\"SslCertStoreName\"=hex(2):4d,00,00,00,59,00\r\n", 1, 5, 20},
        {HASH(3) "\"AppId\"=hex:01\r\n", 1, 5, 9},
        {HASH(3) "\"SslCertHash\"=-\r\n", 1, 3, 1},
        {"\"DefaultFlags\"=dword:8\r\n", 0, 0, 0}, /* refuses everybody: needs none */
        {"", 1, 3, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[512];
        struct read r;

        snprintf(text, sizeof(text), HEAD SSL_443 "%s", rows[i].values);
        read_text(&r, text);
        if (r.n_findings != rows[i].findings)
            fail_msg("%s: %zu findings", rows[i].values, r.n_findings);
        if (r.findings &&
            (r.findings->line != rows[i].line || r.findings->column != rows[i].column))
            fail_msg("%s: at %u:%u", rows[i].values, r.findings->line, r.findings->column);
        assert_int_equal(r.b.n_ssl, 1);
        assert_string_equal(r.b.ssl[0].store, "MY");
        end(&r);
    }
}

static void keys_add_up_and_can_be_deleted(void **state)
{
    struct read r;

    (void)state;
    read_text(&r, HEAD SSL_443 HASH(1) KEY("SslBindingInfo\\1.2.3.4:443") HASH(2) SSL_443
              "\"DefaultFlags\"=dword:2\r\n");
    assert_int_equal(r.b.n_ssl, 2);
    assert_int_equal(r.b.ssl[0].hash[2], 1);
    assert_int_equal(r.b.ssl[0].flags, 2);
    end(&r);

    read_text(&r, HEAD SSL_443 HASH(1) KEY("SslBindingInfo\\1.2.3.4:443")
                      HASH(2) "[-" ROOT "\\SslBindingInfo\\0.0.0.0:443]\r\n");
    assert_int_equal(r.b.n_ssl, 1);
    assert_int_equal(r.b.ssl[0].hash[2], 2);
    end(&r);

    read_text(&r,
              HEAD SSL_443 HASH(1) KEY("SslCcsBindingInfo\\443") "[-" ROOT "\\SslBindingInfo]\r\n");
    assert_int_equal(r.b.n_ssl, 1);
    assert_int_equal(r.b.ssl[0].kind, SSL_BINDING_CENTRAL);
    end(&r);

    read_text(
        &r, HEAD SSL_443 HASH(1)
                KEY("UrlAclInfo") "\"http://+:80/a/\"=hex:01\r\n"
                                  "[" ROOT "]\r\n\"ListenOnlyList\"=hex(7):31,00,00,00,00,00\r\n"
                                  "[-HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\HTTP]"
                                  "\r\n" HASH(2));
    assert_int_equal(r.b.n_ssl + r.b.n_reservations + r.b.n_listen, 0);
    end(&r);
}

static void the_order_of_looking_up(void **state)
{
    /* The last byte of the thumbprint tells which entry it is. */
    static const char file[] =
        HEAD KEY("SslBindingInfo\\0.0.0.0:443") HASH(1) KEY("SslBindingInfo\\[::]:443") HASH(2)
            KEY("SslBindingInfo\\1.2.3.4:443") HASH(3) KEY("SslSniBindingInfo\\a.example.test:443")
                HASH(4) KEY("SslSniBindingInfo\\*.example.test:443") HASH(5)
                    KEY("SslSniBindingInfo\\*.b.example.test:443") HASH(6)
                        KEY("SslCcsBindingInfo\\443") HASH(7) KEY("SslBindingInfo\\0.0.0.0:8443")
                            HASH(8);
    static const struct {
        const char *address, *host;
        uint16_t port;
        bool central;
        int want; /* 0: none */
    } rows[] = {
        {"1.2.3.4", "a.example.test", 443, false, 3}, /* the exact address first */
        {"1.2.3.5", "a.example.test", 443, false, 4},
        {"1.2.3.5", "A.Example.Test", 443, false, 4},
        {"1.2.3.5", "c.example.test", 443, false, 5},
        {"1.2.3.5", "c.b.example.test", 443, false, 6}, /* the longest wildcard */
        {"1.2.3.5", "example.test", 443, false, 1},     /* not the parent itself */
        {"1.2.3.5", "other.test", 443, true, 7},
        {"1.2.3.5", "other.test", 443, false, 1},
        {"1.2.3.5", "", 443, false, 1},
        {"2001:db8::1", "other.test", 443, false, 2},
        {"2001:db8::1", "a.example.test", 443, true, 4},
        {"2001:db8::1", "", 8443, false, 8}, /* the other family, when it has none */
        {NULL, "", 443, false, 1},
        {NULL, "a.example.test", 443, false, 4},
        {"1.2.3.4", "", 80, false, 0},
        {"1.2.3.4", "a.example.test", 8443, false, 8},
    };
    struct read r;

    (void)state;
    read_text(&r, file);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ip_address a = {0};

        if (rows[i].address)
            assert_true(ip_parse(str_z(rows[i].address), &a));
        const struct ssl_binding *s = ssl_binding_find(
            &r.b, rows[i].address != NULL, &a, rows[i].port, str_z(rows[i].host), rows[i].central);
        if ((s ? s->hash[2] : 0) != rows[i].want)
            fail_msg("row %zu: %d", i, s ? s->hash[2] : 0);
    }
    end(&r);
}

static void reservations(void **state)
{
    static const struct {
        const char *prefix;
        const char *host, *path; /* NULL: refused */
        uint16_t port;
        bool is_https;
    } rows[] = {
        {"http://+:80/Temporary_Listen_Addresses/", "+", "/Temporary_Listen_Addresses/", 80, false},
        {"https://*:443/", "*", "/", 443, true},
        {"http://WWW.Example.Test:8080/a/b/", "www.example.test", "/a/b/", 8080, false},
        {"http://[::1]:8080/", "::1", "/", 8080, false},
        {"http://127.0.0.1:8080/x/", "127.0.0.1", "/x/", 8080, false},
        {"http://+:80/a", NULL, NULL, 0, false},
        {"http://+/a/", NULL, NULL, 0, false},
        {"http://+:080/a/", NULL, NULL, 0, false},
        {"http://:80/a/", NULL, NULL, 0, false},
        {"http://a:b:80/a/", NULL, NULL, 0, false},
        {"http://[x]:80/a/", NULL, NULL, 0, false},
        {"ftp://+:80/a/", NULL, NULL, 0, false},
        {"http://", NULL, NULL, 0, false},
        {"https://+:80", NULL, NULL, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[512];
        struct read r;

        snprintf(text, sizeof(text), HEAD KEY("UrlAclInfo") "\"%s\"=hex:01,00,04,80\r\n",
                 rows[i].prefix);
        read_text(&r, text);
        if (r.b.n_reservations != (rows[i].host ? 1u : 0u) ||
            r.n_findings != (rows[i].host ? 0u : 1u))
            fail_msg("%s: %zu, %zu findings", rows[i].prefix, r.b.n_reservations, r.n_findings);
        if (rows[i].host) {
            const struct url_reservation *u = &r.b.reservations[0];

            assert_string_equal(u->prefix, rows[i].prefix);
            assert_string_equal(u->host, rows[i].host);
            assert_true(str_eq(u->path, str_z(rows[i].path)));
            assert_int_equal(u->port, rows[i].port);
            assert_int_equal(u->is_https, rows[i].is_https);
        } else {
            assert_int_equal(r.findings->line, 4);
            assert_int_equal(r.findings->column, 1);
        }
        end(&r);
    }
}

static void reservations_are_replaced_and_deleted(void **state)
{
    struct read r;

    (void)state;
    read_text(&r,
              HEAD KEY("UrlAclInfo") "\"http://+:80/a/\"=hex:01\r\n\"HTTP://+:80/A/\"=hex:02\r\n"
                                     "\"http://+:80/b/\"=hex:01\r\n\"http://+:80/c/\"=hex:01\r\n"
                                     "\"http://+:80/b/\"=-\r\n");
    assert_int_equal(r.b.n_reservations, 2);
    assert_string_equal(r.b.reservations[0].prefix, "HTTP://+:80/A/");
    assert_string_equal(r.b.reservations[1].prefix, "http://+:80/c/");
    end(&r);
}

static void hex_list(const char *const *items, size_t n, struct buf *out)
{
    buf_str(out, STR("hex(7):"));
    for (size_t i = 0; i < n; i++) {
        for (const char *c = items[i];; c++) {
            buf_printf(out, "%02x,00,", (unsigned char)*c);
            if (!*c)
                break;
        }
        buf_str(out, STR("\\\r\n  "));
    }
    buf_str(out, STR("00,00\r\n"));
}

static void the_listen_list(void **state)
{
    static const char *const items[] = {"127.0.0.1", "::1", "nonsense", "fe80::1%7"};
    struct ip_address a;
    struct buf text;
    struct read r;

    (void)state;
    buf_init(&text, 8192);
    buf_str(&text, STR(HEAD "[" ROOT "]\r\n\"ListenOnlyList\"="));
    hex_list(items, ARRAY_LEN(items), &text);
    buf_char(&text, '\0');
    read_text(&r, text.p);
    assert_int_equal(r.n_findings, 1);
    assert_int_equal(r.findings->severity, HTTP_PARAMETERS_WARNING);
    assert_int_equal(r.findings->line, 4);
    assert_int_equal(r.findings->column, 18);
    assert_int_equal(r.b.n_listen, 3);
    assert_true(ip_parse(STR("127.0.0.1"), &a) && http_bindings_may_listen(&r.b, &a));
    assert_true(ip_parse(STR("127.0.0.2"), &a) && !http_bindings_may_listen(&r.b, &a));
    assert_true(ip_parse(STR("::1"), &a) && http_bindings_may_listen(&r.b, &a));
    assert_true(ip_parse(STR("fe80::1%7"), &a) && http_bindings_may_listen(&r.b, &a));
    assert_true(ip_parse(STR("fe80::1%8"), &a) && !http_bindings_may_listen(&r.b, &a));
    end(&r);
    buf_fini(&text);

    /* 0.0.0.0 allows every IPv4 address. */
    buf_init(&text, 8192);
    buf_str(&text, STR("REGEDIT4\r\n[" ROOT "]\r\n\"ListenOnlyList\"=hex(7):30,2e,30,2e,30,2e,30,"
                       "00,00\r\n"));
    buf_char(&text, '\0');
    read_text(&r, text.p);
    assert_int_equal(r.n_findings, 0);
    assert_int_equal(r.b.n_listen, 1);
    assert_true(ip_parse(STR("1.2.3.4"), &a) && http_bindings_may_listen(&r.b, &a));
    assert_true(ip_parse(STR("::1"), &a) && !http_bindings_may_listen(&r.b, &a));
    end(&r);
    buf_fini(&text);

    read_text(&r, HEAD "[" ROOT "]\r\n\"ListenOnlyList\"=\"127.0.0.1\"\r\n");
    assert_int_equal(r.n_findings, 1);
    assert_int_equal(r.b.n_listen, 0);
    assert_true(http_bindings_may_listen(&r.b, &a));
    end(&r);

    read_text(&r, HEAD "[" ROOT "]\r\n\"ListenOnlyList\"=-\r\n");
    assert_int_equal(r.n_findings, 0);
    end(&r);
}

static void lists_are_bounded(void **state)
{
    struct buf text;
    struct read r;

    (void)state;
    buf_init(&text, 16 << 20);
    buf_str(&text, STR(HEAD));
    for (unsigned i = 0; i <= HTTP_BINDINGS_MAX; i++)
        buf_printf(&text, KEY("SslSniBindingInfo\\h%u.test:443") HASH(1), i);
    buf_char(&text, '\0');
    read_text(&r, text.p);
    assert_int_equal(r.b.n_ssl, HTTP_BINDINGS_MAX);
    assert_int_equal(r.n_findings, 1);
    end(&r);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_with_all_values),
        cmocka_unit_test(names_of_keys),
        cmocka_unit_test(values_that_cannot_be_used),
        cmocka_unit_test(keys_add_up_and_can_be_deleted),
        cmocka_unit_test(the_order_of_looking_up),
        cmocka_unit_test(reservations),
        cmocka_unit_test(reservations_are_replaced_and_deleted),
        cmocka_unit_test(the_listen_list),
        cmocka_unit_test(lists_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
