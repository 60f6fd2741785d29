#include "listener/tls_record.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/rc.h"
#include "base/poison.h"

enum { IV_BYTES = 12, TAG_BYTES = 16, KEY_MAX = 32 };
enum { ALERT_UNEXPECTED = 10, ALERT_BAD_MAC = 20, ALERT_OVERFLOW = 22 };
/* Of 2^24.5 full records that AES-GCM allows. */
#define WORN_AT (UINT64_C(1) << 23)

static struct suite {
    unsigned id;
    const char *cipher_name, *digest_name;
    size_t key_n, secret_n;
    EVP_CIPHER *cipher;
    EVP_MD *digest;
} suites[] = {{0x1301, "AES-128-GCM", "SHA256", 16, 32, NULL, NULL},
              {0x1302, "AES-256-GCM", "SHA384", 32, 48, NULL, NULL},
              {0x1303, "ChaCha20-Poly1305", "SHA256", 32, 32, NULL, NULL}};

struct half {
    EVP_CIPHER_CTX *ctx;
    uint64_t seq;
    unsigned char iv[IV_BYTES], secret[TLS_SECRET_MAX];
};

struct tls_record {
    const struct suite *suite;
    struct half in, out;
};

/* Fetched once: a search by name takes longer than a record. */
static void fetch_suites(void)
{
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        suites[i].cipher = EVP_CIPHER_fetch(NULL, suites[i].cipher_name, NULL);
        suites[i].digest = EVP_MD_fetch(NULL, suites[i].digest_name, NULL);
    }
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* HKDF-Expand-Label of section 7.1 without context. All that is asked for here fits into one block
 * of the digest, so that it is one HMAC of the label with the number of the block, 1, behind it. */
static bool expand(const struct suite *s, const unsigned char *secret, const char *label,
                   unsigned char *ret, size_t n)
{
    unsigned char info[64], block[EVP_MAX_MD_SIZE];
    size_t label_n = strlen(label), at = 0;
    unsigned block_n = 0;

    info[at++] = 0;
    info[at++] = (unsigned char)n;
    info[at++] = (unsigned char)(6 + label_n);
    memcpy(info + at, "tls13 ", 6);
    memcpy(info + at + 6, label, label_n);
    at += 6 + label_n;
    info[at++] = 0;
    info[at++] = 1;
    bool ok = HMAC(s->digest, secret, (int)s->secret_n, info, at, block, &block_n) && block_n >= n;

    if (ok)
        memcpy(ret, block, n);
    OPENSSL_cleanse(block, sizeof(block));
    return ok;
}

static bool set_keys(const struct suite *s, struct half *h, bool seals)
{
    unsigned char key[KEY_MAX];
    bool ok = expand(s, h->secret, "key", key, s->key_n) &&
              expand(s, h->secret, "iv", h->iv, IV_BYTES) &&
              EVP_CipherInit_ex(h->ctx, s->cipher, NULL, key, NULL, seals) == 1;

    OPENSSL_cleanse(key, sizeof(key));
    return ok;
}

static bool next_keys(const struct suite *s, struct half *h, bool seals)
{
    unsigned char next[TLS_SECRET_MAX];

    if (!expand(s, h->secret, "traffic upd", next, s->secret_n))
        return false;
    memcpy(h->secret, next, s->secret_n);
    OPENSSL_cleanse(next, sizeof(next));
    h->seq = 0;
    return set_keys(s, h, seals);
}

bool tls_record_next_in(struct tls_record *r)
{
    return next_keys(r->suite, &r->in, false);
}

bool tls_record_next_out(struct tls_record *r)
{
    return next_keys(r->suite, &r->out, true);
}

bool tls_record_is_worn(const struct tls_record *r)
{
    return r->out.seq >= WORN_AT;
}

static bool begin(const struct suite *s, struct half *h, const unsigned char *secret, bool seals)
{
    memcpy(h->secret, secret, s->secret_n);
    h->ctx = EVP_CIPHER_CTX_new();
    return h->ctx && set_keys(s, h, seals);
}

struct tls_record *tls_record_new(unsigned suite, const unsigned char *client_secret,
                                  const unsigned char *own_secret, uint64_t out_seq)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const struct suite *s = NULL;

    pthread_once(&once, fetch_suites);
    for (size_t i = 0; i < ARRAY_LEN(suites); i++)
        if (suites[i].id == suite && suites[i].cipher && suites[i].digest)
            s = &suites[i];
    struct tls_record *r = s ? calloc(1, sizeof(*r)) : NULL;

    if (!r)
        return NULL;
    r->suite = s;
    r->out.seq = out_seq;
    if (begin(s, &r->in, client_secret, false) && begin(s, &r->out, own_secret, true))
        return r;
    tls_record_free(r);
    return NULL;
}

void tls_record_free(struct tls_record *r)
{
    if (!r)
        return;
    EVP_CIPHER_CTX_free(r->in.ctx);
    EVP_CIPHER_CTX_free(r->out.ctx);
    OPENSSL_cleanse(r, sizeof(*r));
    free(r);
}

/* ---- records -------------------------------------------------------------------------------- */

/* Section 5.3: the number of the record, over the end of the IV. */
static void make_nonce(struct half *h, unsigned char nonce[IV_BYTES])
{
    memcpy(nonce, h->iv, IV_BYTES);
    for (int i = 0; i < 8; i++)
        nonce[IV_BYTES - 1 - i] ^= (unsigned char)(h->seq >> (8 * i));
    h->seq++;
}

static bool decrypt(struct half *h, unsigned char *rec, size_t n)
{
    unsigned char nonce[IV_BYTES], *p = rec + TLS_RECORD_HEAD;
    int got = 0, last = 0;

    make_nonce(h, nonce);
    return EVP_DecryptInit_ex(h->ctx, NULL, NULL, NULL, nonce) == 1 &&
           EVP_CIPHER_CTX_ctrl(h->ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, p + n) == 1 &&
           EVP_DecryptUpdate(h->ctx, NULL, &got, rec, TLS_RECORD_HEAD) == 1 &&
           EVP_DecryptUpdate(h->ctx, p, &got, p, (int)n) == 1 && (size_t)got == n &&
           EVP_DecryptFinal_ex(h->ctx, p + n, &last) == 1;
}

static long refuse(unsigned char *ret_alert, unsigned char alert)
{
    *ret_alert = alert;
    return -1;
}

long tls_record_open(struct tls_record *r, unsigned char *rec, size_t n, enum tls_content *ret_type,
                     unsigned char *ret_alert)
{
    if (rec[0] != TLS_DATA)
        return refuse(ret_alert, ALERT_UNEXPECTED); /* nothing is in the clear any more */
    if (n > TLS_RECORD_CIPHER)
        return refuse(ret_alert, ALERT_OVERFLOW);
    if (n < TAG_BYTES + 1 || !decrypt(&r->in, rec, n - TAG_BYTES))
        return refuse(ret_alert, ALERT_BAD_MAC);
    unsigned char *p = rec + TLS_RECORD_HEAD;
    size_t end = n - TAG_BYTES;

    /* Section 5.4: zeros as padding, before them the type. */
    while (end > 0 && p[end - 1] == 0)
        end--;
    if (end == 0)
        return refuse(ret_alert, ALERT_UNEXPECTED);
    if (end - 1 > TLS_RECORD_PLAIN)
        return refuse(ret_alert, ALERT_OVERFLOW);
    *ret_type = (enum tls_content)p[end - 1];
    return (long)(end - 1);
}

size_t tls_record_seal(struct tls_record *r, enum tls_content type, const void *p, size_t n,
                       unsigned char *out)
{
    unsigned char nonce[IV_BYTES], inner = (unsigned char)type, *to = out + TLS_RECORD_HEAD;
    size_t cipher_n = n + 1 + TAG_BYTES;
    EVP_CIPHER_CTX *ctx = r->out.ctx;
    int got = 0, more = 0, last = 0;

    out[0] = TLS_DATA;
    out[1] = out[2] = 3;
    out[3] = (unsigned char)(cipher_n >> 8);
    out[4] = (unsigned char)cipher_n;
    make_nonce(&r->out, nonce);
    if (EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, nonce) == 1 &&
        EVP_EncryptUpdate(ctx, NULL, &got, out, TLS_RECORD_HEAD) == 1 &&
        EVP_EncryptUpdate(ctx, to, &got, p, (int)n) == 1 &&
        EVP_EncryptUpdate(ctx, to + got, &more, &inner, 1) == 1 &&
        EVP_EncryptFinal_ex(ctx, to + got + more, &last) == 1 &&
        (size_t)got + (size_t)more + (size_t)last == n + 1 &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, to + n + 1) == 1)
        return TLS_RECORD_HEAD + cipher_n;
    return 0;
}
