/* Records of TLS 1.3 (RFC 8446 section 5) after the handshake, without OpenSSL's connection: that
 * one keeps 13 KiB for each idle client, this 3. The handshake, its secrets and the ciphers are
 * OpenSSL's. Belongs to one thread. */
#ifndef CANDOR_LISTENER_TLS_RECORD_H
#define CANDOR_LISTENER_TLS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_record;

enum {
    TLS_SECRET_MAX = 48,
    TLS_RECORD_HEAD = 5,
    TLS_RECORD_PLAIN = 16384,
    TLS_RECORD_CIPHER = TLS_RECORD_PLAIN + 256, /* what may follow a head */
    TLS_RECORD_ADDS = TLS_RECORD_HEAD + 1 + 16, /* to plain bytes that are sealed */
};

enum tls_content { TLS_ALERT = 21, TLS_HANDSHAKE = 22, TLS_DATA = 23 };

/* suite: as on the wire (0x1301 to 0x1303). The secrets are the application traffic secrets of the
 * client and of us; out_seq: records that have been sealed with ours already. NULL: another suite,
 * or out of memory. */
struct tls_record *tls_record_new(unsigned suite, const unsigned char *client_secret,
                                  const unsigned char *own_secret, uint64_t out_seq);
void tls_record_free(struct tls_record *r); /* NULL is allowed; wipes the keys */

/* Decrypts the record at rec: its head and n bytes behind it. The plain bytes lie behind the head
 * then; their number is returned, *ret_type is what they are. -1: *ret_alert is to be sent. */
long tls_record_open(struct tls_record *r, unsigned char *rec, size_t n, enum tls_content *ret_type,
                     unsigned char *ret_alert);
/* Encrypts p[0, n), n at most TLS_RECORD_PLAIN, to out: n + TLS_RECORD_ADDS bytes. 0: failed. */
size_t tls_record_seal(struct tls_record *r, enum tls_content type, const void *p, size_t n,
                       unsigned char *out);

/* To the next keys of a direction (section 7.2). */
bool tls_record_next_in(struct tls_record *r);
bool tls_record_next_out(struct tls_record *r);
/* Ours are near the end of what may be sealed with them (section 5.5). */
bool tls_record_is_worn(const struct tls_record *r);

#endif
