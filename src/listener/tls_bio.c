/* The socket under OpenSSL. Its own socket BIO asks the kernel once more than needed after each
 * record, and sends a handshake's flight and session ticket in pieces. It is used where the kernel
 * encrypts. */
#include <errno.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "listener/tls_internal.h"
#include "base/poison.h"

enum { HELD_MAX = 128 * 1024, IDLE_RECORDS_MAX = 32 };

static int bio_read(BIO *b, char *p, int n)
{
    struct tls_conn *c = tls_at_work;

    BIO_clear_flags(b, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY | BIO_FLAGS_IN_EOF);
    if (UNLIKELY(c->flooded))
        return -1;
    if (c->dry) {
        BIO_set_retry_read(b);
        return -1;
    }
    ssize_t got = recv(c->fd, p, (size_t)n, 0);

    if (got > 0) {
        c->dry = got < n; /* the kernel had no more; events tell when it has */
        return (int)got;
    }
    if (got == 0) {
        BIO_set_flags(b, BIO_FLAGS_IN_EOF);
        return 0;
    }
    if (errno == EAGAIN || errno == EINTR)
        BIO_set_retry_read(b);
    else
        c->err = errno;
    return -1;
}

static bool hold(struct tls_conn *c, const char *p, size_t n)
{
    size_t need = c->held_n + n;

    if (need > HELD_MAX)
        return false;
    if (need > c->held_cap) {
        size_t cap = need < 4096 ? 4096 : need;
        char *bigger = realloc(c->held, cap);
        if (!bigger)
            return false;
        c->held = bigger;
        c->held_cap = (uint32_t)cap;
    }
    memcpy(c->held + c->held_n, p, n);
    c->held_n = (uint32_t)need;
    return true;
}

void tls_drop_held(struct tls_conn *c)
{
    free(c->held);
    c->held = NULL;
    c->held_n = c->held_sent = c->held_cap = 0;
}

static ssize_t send_held(struct tls_conn *c, const char *p, size_t n)
{
    if (LIKELY(!c->held))
        return send(c->fd, p, n, MSG_NOSIGNAL | (c->more ? MSG_MORE : 0));
    struct iovec iov[2] = {{c->held + c->held_sent, c->held_n - c->held_sent},
                           {(void *)(uintptr_t)p, n}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t sent = sendmsg(c->fd, &m, MSG_NOSIGNAL | (c->more ? MSG_MORE : 0));

    if (sent < 0)
        return -1;
    if ((size_t)sent < iov[0].iov_len) {
        c->held_sent += (uint32_t)sent;
        errno = EAGAIN;
        return -1;
    }
    sent -= (ssize_t)iov[0].iov_len;
    tls_drop_held(c);
    if (sent == 0 && n > 0) {
        errno = EAGAIN;
        return -1;
    }
    return sent;
}

static int write_result(BIO *b, struct tls_conn *c, ssize_t sent)
{
    if (sent >= 0)
        return (int)sent;
    if (errno == EAGAIN || errno == EINTR)
        BIO_set_retry_write(b);
    else
        c->err = errno;
    return -1;
}

static int bio_write(BIO *b, const char *p, int n)
{
    struct tls_conn *c = tls_at_work;

    BIO_clear_retry_flags(b);
    if (UNLIKELY(c->flooded))
        return -1;
    if (c->gather != GATHER_NONE)
        return hold(c, p, (size_t)n) ? n : -1;
    return write_result(b, c, send_held(c, p, (size_t)n));
}

static long bio_ctrl(BIO *b, int command, long number, void *arg)
{
    struct tls_conn *c = tls_at_work;

    if (command == BIO_CTRL_EOF)
        return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
    if (command != BIO_CTRL_FLUSH)
        return 0;
    if (c->gather == GATHER_FLIGHT && c->held) {
        BIO_clear_retry_flags(b);
        return write_result(b, c, send_held(c, NULL, 0)) >= 0;
    }
    return 1;
}

/* One BIO serves all connections of a thread: OpenSSL works for one at a time, and what its
 * functions have to know is that connection. */
static pthread_key_t bio_of_thread;
static BIO_METHOD *method;
_Thread_local struct tls_conn *tls_at_work;

static void free_bio(void *bio)
{
    BIO_free(bio);
}

static void make_method(void)
{
    INVARIANT(pthread_key_create(&bio_of_thread, free_bio) == 0);
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
    INVARIANT(method && BIO_meth_set_read(method, bio_read) == 1 &&
              BIO_meth_set_write(method, bio_write) == 1 &&
              BIO_meth_set_ctrl(method, bio_ctrl) == 1);
}

/* New keys (TLS 1.3) and refused renegotiations (1.2) are worked off inside SSL_read for as long as
 * the client sends them, and OpenSSL has no bound; it has one for alerts and for empty records. A
 * callback cannot end SSL_read, but the socket under it can. */
void tls_on_record(int out, int version, int kind, const void *p, size_t n, SSL *ssl, void *arg)
{
    struct tls_conn *c = tls_conn_of(ssl);

    if (kind == SSL3_RT_ALERT && n == 2) {
        c->has_alert = true;
        c->alert = ((const unsigned char *)p)[1];
    }
    if (out && kind == SSL3_RT_HANDSHAKE && n > 0 &&
        *(const unsigned char *)p == SSL3_MT_NEWSESSION_TICKET)
        c->said_ticket = true;
    /* The type of a record: before TLS 1.3 in its head, since then sealed inside. */
    if (out || n == 0 || !c->established ||
        (kind != SSL3_RT_HEADER && kind != SSL3_RT_INNER_CONTENT_TYPE) ||
        *(const unsigned char *)p == SSL3_RT_APPLICATION_DATA ||
        ++c->idle_records <= IDLE_RECORDS_MAX || c->flooded)
        return;
    c->flooded = true;
    tls_fail_as(c, TLS_CAUSE_OTHER, "too many records without data");
    if (c->ktls)
        BIO_set_fd(SSL_get_rbio(ssl), -1, BIO_NOCLOSE);
}

static BIO *get_bio(void)
{
    BIO *b = pthread_getspecific(bio_of_thread);

    if (b)
        return b;
    b = BIO_new(method);
    if (!b || pthread_setspecific(bio_of_thread, b) != 0) {
        BIO_free(b);
        return NULL;
    }
    BIO_set_init(b, 1);
    return b;
}

bool tls_attach_socket(struct tls_conn *c)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (c->ktls)
        return SSL_set_fd(c->ssl, c->fd) == 1;
    pthread_once(&once, make_method);
    BIO *b = get_bio();

    if (!b || !BIO_up_ref(b))
        return false;
    SSL_set_bio(c->ssl, b, b);
    return true;
}
