/* What an idle TLS 1.3 connection no longer has, and that nothing a client may send asks for it. */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
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

enum { SECRET = 32, KEY = 16, IV = 12, TAG = 16 }; /* of TLS_AES_128_GCM_SHA256 */

static unsigned char client_secret[SECRET];

static void keep_secret(const SSL *ssl, const char *line)
{
    static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
    const char *hex = strrchr(line, ' ') + 1;

    if (strncmp(line, label, sizeof(label) - 1) != 0)
        return;
    assert_int_equal(strlen(hex), 2 * SECRET);
    for (size_t i = 0; i < SECRET; i++) {
        const char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        client_secret[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
}

/* RFC 8446 section 7.1: HKDF-Expand-Label without a context. */
static void expand(const char *label, unsigned char *ret, size_t n)
{
    unsigned char info[32] = {0, (unsigned char)n};
    int label_n = snprintf((char *)info + 3, sizeof(info) - 3, "tls13 %s", label);
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, client_secret, SECRET),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, (size_t)label_n + 4),
        OSSL_PARAM_construct_end()};

    info[2] = (unsigned char)label_n;
    assert_int_equal(EVP_KDF_derive(ctx, ret, n, params), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

/* A record as the client's second one after the handshake: of any kind, which OpenSSL's client
 * would not send. */
static void send_sealed(struct tls_pair *p, int kind, const unsigned char *data, size_t n)
{
    unsigned char key[KEY], iv[IV], plain[64], record[5 + sizeof(plain) + TAG];
    int out = 0, tail = 0;

    expand("key", key, KEY);
    expand("iv", iv, IV);
    iv[IV - 1] ^= 1; /* sequence number */
    memcpy(plain, data, n);
    plain[n++] = (unsigned char)kind;
    const unsigned char head[5] = {23, 3, 3, 0, (unsigned char)(n + TAG)};

    memcpy(record, head, sizeof(head));
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, key, iv), 1);
    assert_int_equal(EVP_EncryptUpdate(c, NULL, &out, head, sizeof(head)), 1);
    assert_int_equal(EVP_EncryptUpdate(c, record + 5, &out, plain, (int)n), 1);
    assert_int_equal(EVP_EncryptFinal_ex(c, record + 5 + out, &tail), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, record + 5 + n), 1);
    EVP_CIPHER_CTX_free(c);
    assert_int_equal(send(p->fds[1], record, 5 + n + TAG, 0), 5 + n + TAG);
}

static void one_answer(struct tls_pair *p, struct tls_table *t)
{
    tls_pair_open(p, t, "www.named.test");
    SSL_CTX_set_keylog_callback(p->ctx, keep_secret);
    tls_pair_shake(p);
    assert_int_equal(p->server_rc, TLS_DONE);
    tls_pair_client_says(p, "GET / HTTP/1.1\r\n\r\n");
    tls_pair_server_says(p, "HTTP/1.1 200 OK\r\n\r\n");
}

static bool has_session(const struct tls_pair *p)
{
    return SSL_SESSION_get0_cipher(SSL_get0_session(p->server->ssl)) != NULL;
}

static bool has_private_key(const struct tls_pair *p)
{
    EVP_PKEY *key = NULL;
    unsigned char raw[64];
    size_t n = sizeof(raw);

    assert_int_equal(SSL_get_tmp_key(p->server->ssl, &key), 1);
    bool has = EVP_PKEY_get_raw_private_key(key, raw, &n) == 1;
    EVP_PKEY_free(key);
    ERR_clear_error();
    return has;
}

static void keys_and_session_go_with_the_first_answer(void **state)
{
    struct tls_table *t = tls_usual_table(0);
    struct tls_pair p;

    if (OPENSSL_version_major() != 3 || OPENSSL_version_minor() != 0)
        skip();
    tls_pair_shaken(&p, t, NULL);
    assert_true(has_private_key(&p));
    assert_true(has_session(&p));
    tls_pair_client_says(&p, "GET / HTTP/1.1\r\n\r\n");
    tls_pair_server_says(&p, "HTTP/1.1 200 OK\r\n\r\n");
    assert_false(has_private_key(&p));
    assert_false(has_session(&p));
    for (int i = 0; i < 3; i++) {
        tls_pair_client_says(&p, "more");
        tls_pair_server_says(&p, "more");
    }
    struct tls_facts f;
    tls_get_facts(p.server, &f);
    assert_int_equal(f.version, TLS1_3_VERSION);
    assert_int_equal(f.cipher_bits, 128);
    assert_true(str_eq(f.cipher, STR("TLS_AES_128_GCM_SHA256")));
    tls_pair_close(&p);
    tls_table_unref(t);
}

static void every_group_is_given_back(void **state)
{
    static const char *const groups[] = {"X25519", "P-256", "P-384"};
    struct tls_table *t = tls_usual_table(0);

    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        struct tls_pair p;
        tls_pair_open(&p, t, NULL);
        SSL_set1_groups_list(p.client, groups[i]);
        tls_pair_shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        for (int k = 0; k < 3; k++) {
            tls_pair_client_says(&p, "question");
            tls_pair_server_says(&p, "answer");
        }
        assert_true(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED));
        tls_pair_client_says(&p, "question");
        tls_pair_server_says(&p, "answer");
        tls_close(p.server);
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

/* The ticket is given out before, and is of the session as it was. */
static void clients_come_back_by_the_ticket(void **state)
{
    struct tls_table *t = tls_usual_table(0);
    struct tls_pair first, again;

    one_answer(&first, t);
    SSL_SESSION *session = SSL_get1_session(first.client);
    assert_true(SSL_SESSION_is_resumable(session));
    tls_pair_open(&again, t, "www.named.test");
    SSL_set_session(again.client, session);
    tls_pair_shake(&again);
    assert_int_equal(again.server_rc, TLS_DONE);
    assert_true(SSL_session_reused(again.client));
    tls_pair_client_says(&again, "GET / HTTP/1.1\r\n\r\n");
    tls_pair_server_says(&again, "HTTP/1.1 200 OK\r\n\r\n");
    SSL_SESSION_free(session);
    tls_pair_close(&first);
    tls_pair_close(&again);
    tls_table_unref(t);
}

static void what_may_still_be_needed_stays(void **state)
{
    struct tls_table *t = tls_usual_table(0);

    for (int i = 0; i < 3; i++) {
        struct tls_pair p;
        tls_pair_open(&p, t, NULL);
        if (i == 0)
            SSL_set_post_handshake_auth(p.client, 1);
        else if (i == 1)
            SSL_set_tlsext_max_fragment_length(p.client, TLSEXT_max_fragment_length_512);
        else
            tls_pair_client_only(&p, TLS1_2_VERSION);
        tls_pair_shake(&p);
        assert_int_equal(p.server_rc, TLS_DONE);
        tls_pair_client_says(&p, "GET / HTTP/1.1\r\n\r\n");
        tls_pair_server_says(&p, "HTTP/1.1 200 OK\r\n\r\n");
        assert_true(has_session(&p));
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

/* New keys that it wants go before the ticket, which then leaves with a later answer. */
static void keys_asked_for_before_the_ticket(void **state)
{
    struct tls_table *t = tls_usual_table(0);
    struct tls_pair p;
    char got[64];

    tls_pair_shaken(&p, t, NULL);
    SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED);
    assert_int_equal(SSL_do_handshake(p.client), 1);
    assert_int_equal(tls_recv(p.server, got, sizeof(got)), -1);
    assert_int_equal(errno, EAGAIN);
    for (int i = 0; i < 3; i++) {
        tls_pair_client_says(&p, "question");
        tls_pair_server_says(&p, "answer");
    }
    assert_true(SSL_SESSION_is_resumable(SSL_get0_session(p.client)));
    tls_pair_close(&p);
    tls_table_unref(t);
}

/* Messages of a handshake when it is long over: each ends the connection, and only that. */
static void messages_out_of_place_are_refused(void **state)
{
    struct tls_table *t = tls_usual_table(0);

    for (int type = 0; type < 256; type++) {
        struct tls_pair p;
        char got[64];
        const unsigned char message[12] = {(unsigned char)type, 0, 0, 8, 3, 3};
        one_answer(&p, t);
        send_sealed(&p, SSL3_RT_HANDSHAKE, message, sizeof(message));
        assert_int_equal(tls_recv(p.server, got, sizeof(got)), -1);
        if (errno != ECONNRESET)
            fail_msg("message %d: %s", type, strerror(errno));
        assert_int_equal(tls_send(p.server, "x", 1, false), -1);
        tls_close(p.server);
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

static void records_of_any_kind_are_survived(void **state)
{
    struct tls_table *t = tls_usual_table(0);
    const unsigned char bytes[2] = {2, 40};

    for (int kind = 0; kind < 256; kind++) {
        struct tls_pair p;
        char got[64];
        one_answer(&p, t);
        send_sealed(&p, kind, bytes, sizeof(bytes));
        ssize_t n = tls_recv(p.server, got, sizeof(got));
        if (kind == SSL3_RT_APPLICATION_DATA)
            assert_int_equal(n, sizeof(bytes));
        else if (kind == SSL3_RT_HANDSHAKE) /* half a head */
            assert_true(n == -1 && errno == EAGAIN);
        else
            assert_true(n == -1 && errno == ECONNRESET);
        tls_close(p.server);
        tls_pair_close(&p);
    }
    tls_table_unref(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_session_go_with_the_first_answer),
        cmocka_unit_test(every_group_is_given_back),
        cmocka_unit_test(clients_come_back_by_the_ticket),
        cmocka_unit_test(what_may_still_be_needed_stays),
        cmocka_unit_test(keys_asked_for_before_the_ticket),
        cmocka_unit_test(messages_out_of_place_are_refused),
        cmocka_unit_test(records_of_any_kind_are_survived),
    };

    return cmocka_run_group_tests(tests, tls_certs_make, tls_certs_free);
}
