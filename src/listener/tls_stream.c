/* A TLS 1.3 connection after its handshake, on tls_record.c: the bytes of requests and answers,
 * alerts, new keys. */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "listener/tls_internal.h"
#include "listener/tls_record.h"
#include "base/poison.h"

enum {
    IN_BYTES = 2 * (TLS_RECORD_HEAD + TLS_RECORD_CIPHER),
    BATCH = 2, /* records that leave with one call: what a slow client keeps in memory */
    OUT_BYTES = BATCH * (TLS_RECORD_PLAIN + TLS_RECORD_ADDS) + 64,
    IDLE_RECORDS_MAX = 32, /* without data, one after the other */
};
enum {
    ALERT_CLOSE_NOTIFY = 0,
    ALERT_UNEXPECTED = 10,
    ALERT_OVERFLOW = 22,
    ALERT_INTERNAL = 80,
    ALERT_USER_CANCELED = 90
};
enum { ALERT_WARNING = 1, ALERT_FATAL = 2 };
enum { MSG_KEY_UPDATE = 24 };

/* One of each for a thread: between calls a connection keeps only what it must. */
static _Thread_local unsigned char in_bytes[IN_BYTES], out_bytes[OUT_BYTES];

/* ---- beginning ------------------------------------------------------------------------------ */

/* "LABEL random secret", both in hexadecimal digits. */
void tls_stream_take_secret(struct tls_conn *c, const char *line)
{
    static const struct str labels[] = {STR("CLIENT_TRAFFIC_SECRET_0 "),
                                        STR("SERVER_TRAFFIC_SECRET_0 ")};
    struct str s = str_z(line);

    for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
        if (!str_starts(s, labels[i]))
            continue;
        size_t blank = str_rfind_char(s, ' ');
        struct str digits = str_sub(s, blank + 1, s.n);
        if (!c->secrets)
            c->secrets = calloc(1, sizeof(*c->secrets));
        if (!c->secrets || digits.n > 2 * TLS_SECRET_MAX)
            return;
        for (size_t k = 0; k + 1 < digits.n; k += 2)
            c->secrets->bytes[i][k / 2] =
                (unsigned char)(ascii_hex(digits.p[k]) << 4 | ascii_hex(digits.p[k + 1]));
        c->secrets->n[i] = digits.n / 2;
    }
}

void tls_stream_drop_secrets(struct tls_conn *c)
{
    if (c->secrets)
        OPENSSL_cleanse(c->secrets, sizeof(*c->secrets));
    free(c->secrets);
    c->secrets = NULL;
}

/* Records in what is held: OpenSSL has sealed them with our first application key. */
static uint64_t count_held(const struct tls_conn *c)
{
    const unsigned char *p = (const unsigned char *)c->held;
    uint64_t n = 0;

    for (size_t at = c->held_sent; at + TLS_RECORD_HEAD <= c->held_n; n++)
        at += TLS_RECORD_HEAD + ((size_t)p[at + 3] << 8 | p[at + 4]);
    return n;
}

bool tls_stream_begin(struct tls_conn *c)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(c->ssl);
    const struct tls_secrets *s = c->secrets;

    if (!s || s->n[0] == 0 || s->n[0] != s->n[1])
        return false;
    c->rec =
        tls_record_new(SSL_CIPHER_get_protocol_id(cipher), s->bytes[0], s->bytes[1], count_held(c));
    ERR_clear_error();
    return c->rec != NULL;
}

/* ---- sending -------------------------------------------------------------------------------- */

static ssize_t broken(struct tls_conn *c, const char *why)
{
    if (!c->failure)
        c->failure = why;
    c->failed = true;
    ERR_clear_error();
    errno = c->err ? c->err : ECONNRESET;
    return -1;
}

/* New keys for what we send, if the client has asked for them or ours are worn. *ret_n: bytes that
 * go before everything else. False: there are no keys to go on with. */
static bool seal_key_update(struct tls_conn *c, unsigned char *out, size_t *ret_n)
{
    static const unsigned char update[] = {MSG_KEY_UPDATE, 0, 0, 1, 0};

    *ret_n = 0;
    if (LIKELY(!c->owes_update && !tls_record_is_worn(c->rec)))
        return true;
    c->owes_update = false;
    *ret_n = tls_record_seal(c->rec, TLS_HANDSHAKE, update, sizeof(update), out);
    return *ret_n > 0 && tls_record_next_out(c->rec);
}

struct batch {
    size_t cipher_n, n;                     /* bytes in out_bytes, records */
    size_t cipher_end[BATCH], plain[BATCH]; /* of each record */
};

static bool seal_batch(struct tls_conn *c, const char *p, size_t n, struct batch *b)
{
    size_t at = 0;

    *b = (struct batch){0};
    if (!seal_key_update(c, out_bytes, &b->cipher_n))
        return false;
    while (b->n < BATCH && at < n) {
        size_t part = n - at < TLS_RECORD_PLAIN ? n - at : TLS_RECORD_PLAIN;
        size_t sealed = tls_record_seal(c->rec, TLS_DATA, p + at, part, out_bytes + b->cipher_n);
        if (sealed == 0)
            return false;
        at += part;
        b->cipher_n += sealed;
        b->cipher_end[b->n] = b->cipher_n;
        b->plain[b->n++] = part;
    }
    return true;
}

/* Of a batch of which so many bytes have left: the plain bytes that count as sent. The rest is kept
 * as it is, since a record is sealed only once. */
static ssize_t keep_rest(struct tls_conn *c, const struct batch *b, size_t left)
{
    size_t sent = 0;

    for (size_t i = 0; i < b->n; i++) {
        if (b->cipher_end[i] <= left)
            sent += b->plain[i];
        else
            c->held_plain += (uint32_t)b->plain[i];
    }
    return tls_hold(c, (const char *)out_bytes + left, b->cipher_n - left) ? (ssize_t)sent : -1;
}

/* What is held from before stands for the first bytes of what is offered now. */
static ssize_t flush_held(struct tls_conn *c, size_t n)
{
    size_t plain = c->held_plain;

    if (plain > n)
        return broken(c, "the answer was changed while it was sent");
    if (tls_send_held(c, NULL, 0) < 0) {
        if (errno == EAGAIN || errno == EINTR) {
            errno = EAGAIN;
            return -1;
        }
        c->err = errno;
        return broken(c, "connection lost");
    }
    c->held_plain = 0;
    return (ssize_t)plain;
}

ssize_t tls_stream_send(struct tls_conn *c, const char *p, size_t n, bool more)
{
    size_t done = 0;
    struct batch b;

    if (UNLIKELY(c->held_plain != 0)) {
        ssize_t flushed = flush_held(c, n);
        if (flushed < 0)
            return -1;
        done = (size_t)flushed;
    }
    while (done < n) {
        if (!seal_batch(c, p + done, n - done, &b))
            return broken(c, "a record could not be sealed");
        size_t plain = 0;
        for (size_t i = 0; i < b.n; i++)
            plain += b.plain[i];
        c->more = more || done + plain < n;
        ssize_t left = tls_send_held(c, (const char *)out_bytes, b.cipher_n);
        if (LIKELY(left == (ssize_t)b.cipher_n)) {
            done += plain;
            continue;
        }
        if (left < 0 && errno != EAGAIN && errno != EINTR) {
            c->err = errno;
            return broken(c, "connection lost");
        }
        ssize_t counted = keep_rest(c, &b, left < 0 ? 0 : (size_t)left);
        if (counted < 0)
            return broken(c, "out of memory");
        done += (size_t)counted;
        if (done > 0)
            return (ssize_t)done;
        errno = EAGAIN;
        return -1;
    }
    return (ssize_t)done;
}

static void send_alert(struct tls_conn *c, unsigned char level, unsigned char what)
{
    const unsigned char alert[] = {level, what};
    size_t n = 0;

    if (c->held_plain) /* behind an unfinished record nothing can stand */
        return;
    if (!seal_key_update(c, out_bytes, &n))
        return;
    n += tls_record_seal(c->rec, TLS_ALERT, alert, sizeof(alert), out_bytes + n);
    c->more = false;
    (void)tls_send_held(c, (const char *)out_bytes, n);
}

void tls_stream_close(struct tls_conn *c)
{
    send_alert(c, ALERT_WARNING, ALERT_CLOSE_NOTIFY);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static bool refuse(struct tls_conn *c, unsigned char alert, const char *why)
{
    send_alert(c, ALERT_FATAL, alert);
    broken(c, why);
    return false;
}

static bool take_alert(struct tls_conn *c, const unsigned char *p, size_t n)
{
    if (n != 2)
        return refuse(c, ALERT_UNEXPECTED, "a malformed alert");
    if (p[1] == ALERT_CLOSE_NOTIFY)
        c->ended = true;
    else if (p[1] != ALERT_USER_CANCELED) {
        broken(c, "alert of the client");
        return false;
    }
    return true;
}

/* Section 4.6.3. A message may be spread over records, but nobody does it for five bytes. */
static bool take_handshake(struct tls_conn *c, const unsigned char *p, size_t n)
{
    static const unsigned char head[] = {MSG_KEY_UPDATE, 0, 0, 1};

    if (n != 5 || memcmp(p, head, sizeof(head)) != 0 || p[4] > 1)
        return refuse(c, ALERT_UNEXPECTED, "an unexpected message");
    c->owes_update = c->owes_update || p[4] == 1;
    return tls_record_next_in(c->rec) || refuse(c, ALERT_INTERNAL, "no new keys");
}

static bool keep(char **to, uint32_t *to_n, const unsigned char *p, size_t n)
{
    free(*to);
    *to = n ? malloc(n) : NULL;
    *to_n = (uint32_t)n;
    if (n && !*to)
        return false;
    if (n)
        memcpy(*to, p, n);
    return true;
}

/* Data goes to buf as far as there is room; the rest is kept. */
static bool give(struct tls_conn *c, const unsigned char *p, size_t n, char *buf, size_t room,
                 size_t *total)
{
    size_t part = n < room - *total ? n : room - *total;

    if (part)
        memcpy(buf + *total, p, part);
    *total += part;
    if (n)
        c->idle_records = 0;
    if (part == n)
        return true;
    return keep(&c->left, &c->left_n, p + part, n - part) ||
           refuse(c, ALERT_INTERNAL, "out of memory");
}

static size_t record_size(const unsigned char *p)
{
    return TLS_RECORD_HEAD + ((size_t)p[3] << 8 | p[4]);
}

static bool take_record(struct tls_conn *c, unsigned char *rec, size_t size, char *buf, size_t room,
                        size_t *total)
{
    enum tls_content type = TLS_DATA;
    unsigned char alert = 0, *p = rec + TLS_RECORD_HEAD;
    long n = tls_record_open(c->rec, rec, size - TLS_RECORD_HEAD, &type, &alert);

    if (n < 0)
        return refuse(c, alert, "a bad record");
    if (++c->idle_records > IDLE_RECORDS_MAX && (type != TLS_DATA || n == 0))
        return refuse(c, ALERT_UNEXPECTED, "too many records without data");
    if (type == TLS_DATA)
        return give(c, p, (size_t)n, buf, room, total);
    if (type == TLS_ALERT)
        return take_alert(c, p, (size_t)n);
    if (type == TLS_HANDSHAKE)
        return take_handshake(c, p, (size_t)n);
    return refuse(c, ALERT_UNEXPECTED, "a record of unknown type");
}

/* Works off the whole records of in_bytes[0, have) and keeps what stays. */
static bool take_records(struct tls_conn *c, size_t have, char *buf, size_t room, size_t *total)
{
    size_t at = 0;
    bool has_whole = false;

    while (have - at >= TLS_RECORD_HEAD && !c->ended) {
        size_t size = record_size(in_bytes + at);
        if (size > TLS_RECORD_HEAD + TLS_RECORD_CIPHER)
            return refuse(c, ALERT_OVERFLOW, "a record that is too large");
        has_whole = size <= have - at;
        if (!has_whole || c->left || *total == room)
            break;
        if (!take_record(c, in_bytes + at, size, buf, room, total))
            return false;
        at += size;
        has_whole = false;
    }
    c->pending = c->left != NULL || has_whole || (c->ended && *total > 0);
    return keep(&c->ahead, &c->ahead_n, in_bytes + at, c->ended ? 0 : have - at);
}

static size_t give_left(struct tls_conn *c, char *buf, size_t n)
{
    size_t part = c->left_n < n ? c->left_n : n;

    memcpy(buf, c->left, part);
    c->left_n -= (uint32_t)part;
    if (c->left_n) {
        memmove(c->left, c->left + part, c->left_n);
    } else {
        free(c->left);
        c->left = NULL;
    }
    c->pending = c->left != NULL;
    return part;
}

ssize_t tls_stream_recv(struct tls_conn *c, char *buf, size_t n)
{
    size_t have = c->ahead_n, total = 0;

    c->pending = false;
    if (c->left)
        total = give_left(c, buf, n);
    if (c->left || c->ended)
        return (ssize_t)total;
    if (have) {
        memcpy(in_bytes, c->ahead, have);
        if (!take_records(c, have, buf, n, &total))
            return total ? (ssize_t)total : -1;
        if (total || c->ended)
            return (ssize_t)total;
        have = c->ahead_n;
    } else if (total) {
        return (ssize_t)total;
    }
    ssize_t got = recv(c->fd, in_bytes + have, IN_BYTES - have, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        errno = EAGAIN;
        return -1;
    }
    if (got < 0) {
        c->err = errno;
        return broken(c, "connection lost");
    }
    if (got == 0)
        c->ended = true;
    else if (!take_records(c, have + (size_t)got, buf, n, &total))
        return total ? (ssize_t)total : -1;
    if (total || c->ended)
        return (ssize_t)total;
    errno = EAGAIN;
    return -1;
}

void tls_stream_end(struct tls_conn *c)
{
    tls_stream_drop_secrets(c);
    tls_record_free(c->rec);
    free(c->left);
    free(c->ahead);
}
