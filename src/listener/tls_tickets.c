/* Keys of session tickets: one set for all threads and certificates, so that a session resumes
 * wherever its client comes back. A key encrypts for eight hours and decrypts for sixteen more. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "listener/tls_internal.h"
#include "base/poison.h"

enum { KEYS = 3, KEY_NAME = 16, IV_BYTES = 16, SECRET_BYTES = 32 };
enum { ROTATE_MS = 8 * 3600 * 1000 };

struct ticket_key {
    unsigned char name[KEY_NAME], cipher[SECRET_BYTES], mac[SECRET_BYTES];
    uint64_t made_ms; /* 0: there is none */
};

/* The youngest first. The lock is held for a copy of some hundred bytes, once a handshake. */
static struct {
    pthread_mutex_t lock;
    struct ticket_key keys[KEYS];
    EVP_CIPHER *cipher;
} tickets = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool make_key(struct ticket_key *k, uint64_t now)
{
    k->made_ms = now ? now : 1;
    return RAND_bytes(k->name, sizeof(k->name)) == 1 &&
           RAND_priv_bytes(k->cipher, sizeof(k->cipher)) == 1 &&
           RAND_priv_bytes(k->mac, sizeof(k->mac)) == 1;
}

/* Under the lock. */
static bool rotate(uint64_t now)
{
    struct ticket_key *keys = tickets.keys;

    for (int i = 0; i < KEYS; i++)
        if (keys[i].made_ms && now - keys[i].made_ms >= (uint64_t)KEYS * ROTATE_MS)
            OPENSSL_cleanse(&keys[i], sizeof(keys[i]));
    if (keys[0].made_ms && now - keys[0].made_ms < ROTATE_MS)
        return true;
    struct ticket_key fresh;

    if (!make_key(&fresh, now))
        return false;
    memmove(&keys[1], &keys[0], (KEYS - 1) * sizeof(keys[0]));
    keys[0] = fresh;
    OPENSSL_cleanse(&fresh, sizeof(fresh));
    return true;
}

/* The key to encrypt with (name NULL), or the one of that name. The rank says how old it is. */
static bool get_key(const unsigned char *name, struct ticket_key *ret, int *ret_rank)
{
    uint64_t now = clock_mono_ms();
    bool found = false;

    pthread_mutex_lock(&tickets.lock);
    bool ok = rotate(now);

    for (int i = 0; ok && !found && i < KEYS; i++) {
        const struct ticket_key *k = &tickets.keys[i];
        if (!k->made_ms || (name && CRYPTO_memcmp(k->name, name, KEY_NAME) != 0))
            continue;
        *ret = *k;
        *ret_rank = i;
        found = true;
    }
    pthread_mutex_unlock(&tickets.lock);
    return found;
}

static bool set_mac(EVP_MAC_CTX *mac, struct ticket_key *k)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof(k->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* 1: use it; 2: use it and send a new one; 0: no such key, a full handshake; -1: failed. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt)
{
    struct ticket_key k;
    int rank = 0, rc = -1;

    if (!get_key(encrypt ? NULL : name, &k, &rank))
        return encrypt ? -1 : 0;
    if (encrypt) {
        memcpy(name, k.name, KEY_NAME);
        if (RAND_bytes(iv, IV_BYTES) == 1 &&
            EVP_EncryptInit_ex2(cipher, tickets.cipher, k.cipher, iv, NULL) == 1 &&
            set_mac(mac, &k))
            rc = 1;
    } else if (EVP_DecryptInit_ex2(cipher, tickets.cipher, k.cipher, iv, NULL) == 1 &&
               set_mac(mac, &k)) {
        rc = rank == 0 ? 1 : 2;
    }
    OPENSSL_cleanse(&k, sizeof(k));
    return rc;
}

void tls_tickets_install(SSL_CTX *ctx)
{
    pthread_mutex_lock(&tickets.lock);
    if (!tickets.cipher)
        tickets.cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    pthread_mutex_unlock(&tickets.lock);
    INVARIANT(tickets.cipher);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}
