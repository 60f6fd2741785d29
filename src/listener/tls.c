/* A TLS connection: handshake, records, what is known of the client. */
#include "listener/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "listener/tls_internal.h"
#include "base/poison.h"

enum { CLIENT_CERT_MAX = 16 * 1024, RECORD_MAX = 16384 };
enum { EXT_SERVER_NAME = 0, EXT_POST_HANDSHAKE_AUTH = 49 };

/* ---- the client's hello ---------------------------------------------------------------------- */

/* The name in the extension's bytes, RFC 6066 section 3; empty if there is none that could be a
 * host's. */
static struct str name_in(const unsigned char *p, size_t n)
{
    if (n < 5 || p[2] != 0)
        return STR_NULL;
    size_t len = (size_t)p[3] << 8 | p[4];

    if (len == 0 || len > TLS_NAME_MAX || len > n - 5)
        return STR_NULL;
    return str_n((const char *)p + 5, len);
}

/* In lower case, without a dot at the end. False: other characters than names are made of. */
static bool normalize_name(struct str name, char ret[TLS_NAME_MAX + 1])
{
    if (name.n > 1 && name.p[name.n - 1] == '.')
        name.n--;
    for (size_t i = 0; i < name.n; i++) {
        char ch = ascii_lower(name.p[i]);
        bool dot = ch == '.';
        if (!ascii_is_alpha(ch) && !ascii_is_digit(ch) && ch != '-' && ch != '_' && !dot)
            return false;
        if (dot && (i == 0 || ret[i - 1] == '.'))
            return false;
        ret[i] = ch;
    }
    ret[name.n] = '\0';
    return name.n > 0;
}

static bool read_hello(struct tls_conn *c)
{
    const unsigned char *p;
    size_t n;
    char name[TLS_NAME_MAX + 1];

    c->offers_pha = SSL_client_hello_get0_ext(c->ssl, EXT_POST_HANDSHAKE_AUTH, &p, &n) == 1;
    if (c->server_name || SSL_client_hello_get0_ext(c->ssl, EXT_SERVER_NAME, &p, &n) != 1 ||
        !normalize_name(name_in(p, n), name))
        return true;
    c->server_name = strdup(name);
    return c->server_name != NULL;
}

/* DONE, WAITS or FAILED. */
static enum tls_rc choose(struct tls_conn *c)
{
    struct str host = str_z(c->server_name);
    const struct tls_entry *e = tls_table_find(c->table, &c->local, host);

    if (e && e->central && !c->central) {
        enum tls_rc rc = tls_central_find(c->table, host, &c->central);
        if (rc == TLS_WAITS)
            return rc;
        if (rc == TLS_FAILED)
            e = tls_table_find_any(c->table, &c->local);
    }
    c->entry = e;
    return e ? TLS_DONE : TLS_FAILED;
}

/* A context that a connection is switched to gives it the certificate only. */
static bool apply(struct tls_conn *c)
{
    const struct tls_entry *e = c->entry;
    const struct tls_cert *cert = c->central ? c->central : e->cert;

    if (SSL_get_SSL_CTX(c->ssl) != cert->ctx && !SSL_set_SSL_CTX(c->ssl, cert->ctx))
        return false;
    if (!e->tls13 && SSL_set_max_proto_version(c->ssl, TLS1_2_VERSION) != 1)
        return false;
    if (e->asks_client_cert)
        tls_trust_ask(c->ssl, false);
    return SSL_set_session_id_context(c->ssl, e->context, sizeof(e->context)) == 1;
}

int tls_on_client_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls_conn *c = tls_conn_of(ssl);

    if (c->established)
        return SSL_CLIENT_HELLO_SUCCESS; /* a renegotiation changes nothing of this */
    if (!read_hello(c)) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    switch (choose(c)) {
    case TLS_DONE:
        if (apply(c))
            return SSL_CLIENT_HELLO_SUCCESS;
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    case TLS_WAITS:
        return SSL_CLIENT_HELLO_RETRY;
    default:
        tls_fail_as(c, TLS_CAUSE_CERTIFICATE, "no certificate for this name");
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

struct tls_conn *tls_conn_new(struct tls_table *t, int fd, const struct msg_address *local)
{
    struct tls_conn *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->table = tls_table_ref(t);
    c->fd = fd;
    c->local = *local;
    c->ktls = t->ktls;
    /* With the likely certificate from the start the hello need not switch contexts. */
    const struct tls_entry *likely = tls_table_by_address(t, local);

    if (!likely)
        likely = tls_table_find_any(t, local);
    c->ssl = SSL_new(likely ? likely->cert->ctx : t->base);
    if (!c->ssl || !tls_attach_socket(c)) {
        ERR_clear_error();
        tls_conn_free(c);
        return NULL;
    }
    SSL_set_accept_state(c->ssl);
    if (c->ktls)
        SSL_set_num_tickets(c->ssl, 1); /* add_ticket needs our own BIO */
    return c;
}

void tls_conn_free(struct tls_conn *c)
{
    if (!c)
        return;
    if (c->ssl) {
        tls_at_work = c;
        /* Else the session would be taken for a failed one, and looked for in the cache. */
        SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(c->ssl);
        tls_at_work = NULL;
    }
    tls_cert_unref(c->central);
    tls_table_unref(c->table);
    tls_drop_held(c);
    free(c->server_name);
    OPENSSL_free(c->der);
    free(c);
}

/* From a result that is not success. */
static enum tls_rc waits_for(struct tls_conn *c, int rc)
{
    switch (SSL_get_error(c->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return TLS_READS;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WRITES;
    case SSL_ERROR_WANT_CLIENT_HELLO_CB:
        return TLS_WAITS;
    default:
        tls_remember_failure(c);
        return TLS_FAILED;
    }
}

/* ---- handshake ------------------------------------------------------------------------------- */

/* What an idle connection does not need. */
static void drop_leftovers(struct tls_conn *c)
{
    if (SSL_get_tlsext_status_type(c->ssl) > 0)
        SSL_set_tlsext_status_ocsp_resp(c->ssl, NULL, 0);
    if (!c->held)
        return;
    if (c->held_sent == c->held_n)
        tls_drop_held(c);
}

static void take_facts(struct tls_conn *c)
{
    X509 *x = SSL_get0_peer_certificate(c->ssl);

    if (x && !c->der) {
        c->der_n = i2d_X509(x, &c->der);
        if (c->der_n > CLIENT_CERT_MAX)
            c->der_n = 0; /* larger than any real one, and than a request's record */
    }
    c->cipher = SSL_get_current_cipher(c->ssl);
    c->version = (uint16_t)SSL_version(c->ssl);
    c->verdict = (uint8_t)tls_trust_verdict(c->ssl);
}

/* A TLS 1.3 session ticket is of use to the client only later: it travels with the first answer
 * instead of in a packet of its own. */
static void add_ticket(struct tls_conn *c)
{
    c->owes_ticket = false;
    c->gather = GATHER_KEEP;
    if (SSL_new_session_ticket(c->ssl) == 1)
        (void)SSL_do_handshake(c->ssl);
    c->gather = GATHER_NONE;
    SSL_free_buffers(c->ssl); /* it has made both, and only reading would free the other */
    ERR_clear_error();
    tls_drop_handshake(c);
}

enum tls_rc tls_handshake(struct tls_conn *c)
{
    if (c->failed)
        return TLS_FAILED;
    if (c->established)
        return TLS_DONE;
    tls_at_work = c;
    c->dry = false;
    c->gather = GATHER_FLIGHT;
    int rc = SSL_do_handshake(c->ssl);

    c->gather = GATHER_NONE;
    if (rc != 1)
        return waits_for(c, rc);
    drop_leftovers(c);
    take_facts(c);
    c->owes_ticket = c->version == TLS1_3_VERSION && !c->ktls;
    c->established = true;
    return TLS_DONE;
}

bool tls_is_http2(const struct tls_conn *c)
{
    return c->http2;
}

/* ---- records --------------------------------------------------------------------------------- */

static ssize_t io_failed(struct tls_conn *c, int rc, bool *ret_other, enum tls_rc own)
{
    switch (SSL_get_error(c->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        *ret_other = own != TLS_READS;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        *ret_other = own != TLS_WRITES;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        ERR_clear_error();
        return 0;
    default:
        tls_remember_failure(c);
        errno = c->err ? c->err : ECONNRESET;
        return -1;
    }
}

ssize_t tls_recv(struct tls_conn *c, void *buf, size_t n)
{
    size_t total = 0, got;
    int rc;

    tls_at_work = c;
    c->recv_wants_room = false;
    c->pending = false;
    c->dry = false;
    if (UNLIKELY(c->failed)) {
        errno = ECONNRESET;
        return -1;
    }
    while ((rc = SSL_read_ex(c->ssl, (char *)buf + total, n - total, &got)) == 1) {
        total += got;
        c->idle_records = 0;
        c->dry = true; /* what else has been received already, but no further call of the kernel */
        if (!SSL_has_pending(c->ssl))
            return (ssize_t)total;
        if (total == n) {
            c->pending = true;
            return (ssize_t)total;
        }
        if (c->ktls && SSL_pending(c->ssl) == 0)
            return (ssize_t)total;
    }
    if (total == 0)
        return io_failed(c, rc, &c->recv_wants_room, TLS_READS);
    if (SSL_get_error(c->ssl, rc) != SSL_ERROR_WANT_READ)
        c->pending = true; /* the end, or a fault: told by the next call */
    return (ssize_t)total;
}

bool tls_pending(const struct tls_conn *c)
{
    return c->pending;
}

ssize_t tls_send(struct tls_conn *c, const void *buf, size_t n, bool more)
{
    size_t done = 0;

    tls_at_work = c;
    c->send_wants_input = false;
    if (UNLIKELY(c->failed)) {
        errno = ECONNRESET;
        return -1;
    }
    if (UNLIKELY(c->owes_ticket))
        add_ticket(c);
    while (done < n) {
        size_t part = n - done, sent;
        c->more = more || part > RECORD_MAX;
        int rc = SSL_write_ex(c->ssl, (const char *)buf + done, part, &sent);
        if (rc != 1)
            return done ? (ssize_t)done : io_failed(c, rc, &c->send_wants_input, TLS_WRITES);
        done += sent;
    }
    return (ssize_t)done;
}

bool tls_recv_wants_room(const struct tls_conn *c)
{
    return c->recv_wants_room;
}

bool tls_send_wants_input(const struct tls_conn *c)
{
    return c->send_wants_input;
}

ssize_t tls_sendfile(struct tls_conn *c, int file, uint64_t off, size_t n, char *buf, size_t buf_n)
{
    if (c->ktls && BIO_get_ktls_send(SSL_get_wbio(c->ssl))) {
        tls_at_work = c;
        ossl_ssize_t sent = SSL_sendfile(c->ssl, file, (off_t)off, n, 0);
        return sent >= 0 ? sent : io_failed(c, (int)sent, &c->send_wants_input, TLS_WRITES);
    }
    ssize_t got = pread(file, buf, n < buf_n ? n : buf_n, (off_t)off);

    return got <= 0 ? got : tls_send(c, buf, (size_t)got, (size_t)got < n);
}

/* ---- the client's certificate ---------------------------------------------------------------- */

bool tls_can_ask_client_cert(const struct tls_conn *c)
{
    if (!c->established || c->failed || c->http2 || c->asking != ASK_NOT ||
        c->entry->asks_client_cert)
        return false;
    return SSL_version(c->ssl) == TLS1_2_VERSION || c->offers_pha;
}

/* The client's last message is being read. HANDSHAKE_DONE does not come for TLS 1.3. */
static void on_info(const SSL *ssl, int where, int value)
{
    if (SSL_get_state(ssl) == TLS_ST_SR_FINISHED)
        tls_conn_of(ssl)->ask_done = true;
}

static bool begin_asking(struct tls_conn *c)
{
    tls_trust_ask(c->ssl, true);
    if (SSL_version(c->ssl) == TLS1_3_VERSION)
        return SSL_verify_client_post_handshake(c->ssl) == 1;
    SSL_clear_options(c->ssl, SSL_OP_NO_RENEGOTIATION);
    return SSL_renegotiate(c->ssl) == 1;
}

static enum tls_rc asking_failed(struct tls_conn *c, const char *why)
{
    tls_fail_as(c, TLS_CAUSE_OTHER, why);
    tls_remember_failure(c);
    return TLS_FAILED;
}

static void end_asking(struct tls_conn *c)
{
    ERR_clear_error();
    SSL_set_info_callback(c->ssl, NULL);
    SSL_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION);
    c->asking = ASK_OVER;
}

static bool has_answered(const struct tls_conn *c)
{
    return c->ask_done && !SSL_in_init(c->ssl);
}

/* Its answer is read as if it were data, and what is data stands before it. */
static enum tls_rc read_answer(struct tls_conn *c, char *room, size_t n, size_t *ret_n)
{
    while (!has_answered(c)) {
        size_t got;
        char byte;
        bool is_full = *ret_n == n;
        int rc = is_full ? SSL_peek_ex(c->ssl, &byte, 1, &got)
                         : SSL_read_ex(c->ssl, room + *ret_n, n - *ret_n, &got);
        if (rc != 1) {
            enum tls_rc wait = waits_for(c, rc);
            if (wait == TLS_FAILED || !has_answered(c))
                return wait;
        } else if (!is_full) {
            *ret_n += got;
            c->idle_records = 0;
        } else if (!has_answered(c)) {
            return TLS_FULL;
        }
    }
    return TLS_DONE;
}

enum tls_rc tls_ask_client_cert(struct tls_conn *c, char *room, size_t n, size_t *ret_n)
{
    *ret_n = 0;
    if (c->failed)
        return TLS_FAILED;
    tls_at_work = c;
    if (c->asking == ASK_NOT) {
        c->asking = ASK_RUNNING;
        c->idle_records = 0;
        if (!begin_asking(c))
            return asking_failed(c, "the client cannot be asked for its certificate");
    }
    c->dry = false;
    int done = SSL_do_handshake(c->ssl);

    if (done != 1)
        return waits_for(c, done);
    SSL_set_info_callback(c->ssl, on_info);
    enum tls_rc rc = read_answer(c, room, n, ret_n);

    if (rc == TLS_DONE || rc == TLS_FULL) {
        end_asking(c);
        c->pending = SSL_has_pending(c->ssl);
    }
    if (rc == TLS_DONE)
        take_facts(c);
    if (rc == TLS_FULL)
        c->verdict = CLIENT_CERT_TOO_MUCH;
    return rc;
}

void tls_get_facts(const struct tls_conn *c, struct tls_facts *ret)
{
    const struct tls_cert *cert = c->central ? c->central : c->entry->cert;

    *ret = (struct tls_facts){.version = c->version,
                              .cipher_bits = (uint16_t)SSL_CIPHER_get_bits(c->cipher, NULL),
                              .key_bits = cert->key_bits,
                              .verdict = (enum client_cert_verdict)c->verdict,
                              .cipher = str_z(SSL_CIPHER_get_name(c->cipher)),
                              .server_name = str_z(c->server_name),
                              .client_cert =
                                  str_n((const char *)c->der, c->der_n > 0 ? (size_t)c->der_n : 0)};
}

void tls_close(struct tls_conn *c)
{
    if (!c->established || c->failed)
        return;
    tls_at_work = c;
    c->more = false;
    (void)SSL_shutdown(c->ssl); /* only once: the client's own is not waited for */
    ERR_clear_error();
}
