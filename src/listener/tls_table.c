/* Which certificate answers where: built from the supervisor's `tls` message, then only read. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/ipc.h"
#include "listener/tls_internal.h"
#include "base/poison.h"

/* enum of config/config.h's ssl_flags, by the numbers of applicationHost.config. */
enum { FLAG_NO_HTTP2 = 4, FLAG_NO_STAPLING = 8, FLAG_NO_TLS13 = 32 };
enum { CHAIN_MAX = 16 };

/* ---- certificates --------------------------------------------------------------------------- */

static void say(char why[TLS_WHY_MAX], const char *what, const char *id)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;

    snprintf(why, TLS_WHY_MAX, "certificate %s: %s%s%s", id, what, reason ? ": " : "",
             reason ? reason : "");
    ERR_clear_error();
}

/* Passwords have been dealt with by the supervisor: never ask a terminal. */
static int no_password(char *buf, int size, int writing, void *arg)
{
    return -1;
}

static bool use_chain(SSL_CTX *ctx, BIO *pem)
{
    X509 *leaf = PEM_read_bio_X509(pem, NULL, no_password, NULL), *x;

    if (!leaf)
        return false;
    bool ok = SSL_CTX_use_certificate(ctx, leaf) == 1;

    X509_free(leaf);
    for (int i = 0; ok && i < CHAIN_MAX && (x = PEM_read_bio_X509(pem, NULL, no_password, NULL));
         i++) {
        ok = SSL_CTX_add1_chain_cert(ctx, x) == 1;
        X509_free(x);
    }
    if (ok)
        ERR_clear_error(); /* the end of the text is reported as an error too */
    return ok;
}

static bool use_key(SSL_CTX *ctx, BIO *pem)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, no_password, NULL);
    bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;

    EVP_PKEY_free(key);
    return ok;
}

static bool take_staple(struct tls_cert *cert, const char *base64)
{
    size_t n = strlen(base64);

    if (n == 0)
        return true;
    if (n % 4 || n > 65536)
        return false;
    cert->staple = xmalloc(n / 4 * 3);
    int got = EVP_DecodeBlock(cert->staple, (const unsigned char *)base64, (int)n);

    if (got < 0)
        return false;
    cert->staple_n = (size_t)got - (base64[n - 1] == '=') - (base64[n - 2] == '=');
    return true;
}

struct tls_cert *tls_cert_load(const json_t *j, bool ktls, char why[TLS_WHY_MAX])
{
    struct tls_cert *cert = xcalloc(1, sizeof(*cert));
    const char *chain = ipc_get_str(j, "chain", ""), *key = ipc_get_str(j, "key", "");
    BIO *chain_bio = BIO_new_mem_buf(chain, -1), *key_bio = BIO_new_mem_buf(key, -1);
    const char *wrong = NULL;

    atomic_init(&cert->refs, 1);
    snprintf(cert->id, sizeof(cert->id), "%s", ipc_get_str(j, "id", ""));
    cert->ctx = tls_context_new(ktls);
    if (!cert->ctx || !chain_bio || !key_bio)
        wrong = "no context could be made";
    else if (!use_chain(cert->ctx, chain_bio))
        wrong = "it cannot be used";
    else if (!use_key(cert->ctx, key_bio))
        wrong = "its key cannot be used";
    else if (!take_staple(cert, ipc_get_str(j, "staple", "")))
        wrong = "its OCSP response is not base64";
    BIO_free(chain_bio);
    BIO_free(key_bio);
    if (wrong) {
        say(why, wrong, cert->id);
        tls_cert_unref(cert);
        return NULL;
    }
    cert->key_bits = (uint16_t)EVP_PKEY_get_bits(SSL_CTX_get0_privatekey(cert->ctx));
    return cert;
}

struct tls_cert *tls_cert_ref(struct tls_cert *cert)
{
    atomic_fetch_add_explicit(&cert->refs, 1, memory_order_relaxed);
    return cert;
}

void tls_cert_unref(struct tls_cert *cert)
{
    if (!cert || atomic_fetch_sub_explicit(&cert->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(cert->ctx);
    free(cert->staple);
    free(cert);
}

static struct tls_cert *find_cert(const struct tls_table *t, const char *id)
{
    for (size_t i = 0; i < t->n_certs; i++)
        if (strcmp(t->certs[i]->id, id) == 0)
            return t->certs[i];
    return NULL;
}

static bool load_certs(struct tls_table *t, const json_t *list, char why[TLS_WHY_MAX])
{
    size_t i;
    json_t *j;

    t->certs = xcalloc(json_array_size(list) + 1, sizeof(struct tls_cert *));
    json_array_foreach(list, i, j)
    {
        t->certs[t->n_certs] = tls_cert_load(j, t->ktls, why);
        if (!t->certs[t->n_certs])
            return false;
        t->n_certs++;
    }
    return true;
}

/* ---- entries -------------------------------------------------------------------------------- */

/* "" and "*" mean any address. */
static bool parse_address(const char *text, struct tls_entry *e)
{
    char z[INET6_ADDRSTRLEN + 1];
    size_t n = strcspn(text, "%"); /* the zone is the socket's affair */

    if (text[0] == '\0' || strcmp(text, "*") == 0) {
        e->any_ip = true;
        return true;
    }
    if (n >= sizeof(z))
        return false;
    memcpy(z, text, n);
    z[n] = '\0';
    if (inet_pton(AF_INET6, z, e->ip) == 1)
        return true;
    memset(e->ip, 0, sizeof(e->ip));
    e->ip[10] = e->ip[11] = 0xff;
    return inet_pton(AF_INET, z, e->ip + 12) == 1;
}

static void set_host(struct tls_entry *e, const char *text)
{
    if (text[0] == '*' && text[1] == '.') {
        e->wildcard = true;
        text++;
    }
    char *z = xstrdup(text);

    for (char *p = z; *p; p++)
        *p = ascii_lower(*p);
    e->host = str_z(z);
}

static void push(struct tls_entry **list, struct tls_entry *e)
{
    while (*list && (*list)->host.n >= e->host.n)
        list = &(*list)->next;
    e->next = *list;
    *list = e;
}

static void file_entry(struct tls_table *t, struct tls_entry *e)
{
    if (e->wildcard)
        push(&t->wildcards, e);
    else if (e->host.n)
        push(&t->by_host[hash_bytes(e->host.p, e->host.n) % TLS_HOST_SLOTS], e);
    else if (e->central)
        push(&t->central, e);
    else
        push(e->any_ip ? &t->any : &t->by_address, e);
}

/* A session resumes only where it was made: same place, same certificate, same trust. */
static bool make_context(struct tls_entry *e, bool has_trust)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char facts[512];
    int n = snprintf(facts, sizeof(facts), "%u %d %d %u %.64s %.253s", e->port, e->asks_client_cert,
                     e->wildcard, e->check_mode, e->cert ? e->cert->id : "", e->host.p);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok =
        md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(md, facts, (size_t)n) == 1 &&
        EVP_DigestUpdate(md, e->ip, sizeof(e->ip)) == 1 &&
        (!has_trust || EVP_DigestUpdate(md, tls_trust_digest(e->trust), TLS_CONTEXT_BYTES) == 1) &&
        EVP_DigestFinal_ex(md, digest, NULL) == 1;

    EVP_MD_CTX_free(md);
    memcpy(e->context, digest, sizeof(e->context));
    return ok;
}

static const char *load_entry(struct tls_table *t, const json_t *j)
{
    struct tls_entry *e = &t->entries[t->n_entries++];
    json_int_t port = ipc_get_int(j, "port", 0), flags = ipc_get_int(j, "sslFlags", 0);
    json_int_t check = ipc_get_int(j, "check", 0);

    set_host(e, ipc_get_str(j, "host", ""));
    if (port < 1 || port > 65535 || e->host.n > TLS_NAME_MAX)
        return "a TLS binding has no usable port or host";
    if (!parse_address(ipc_get_str(j, "address", ""), e))
        return "a TLS binding has an address that is none";
    e->port = (uint16_t)port;
    e->central = ipc_get_bool(j, "central", false);
    e->cert = e->central ? NULL : find_cert(t, ipc_get_str(j, "certificate", ""));
    if (!e->central && !e->cert)
        return "a TLS binding names a certificate that was not sent";
    e->http2 = ipc_get_bool(j, "http2", true) && !(flags & FLAG_NO_HTTP2);
    e->stapling = !(flags & FLAG_NO_STAPLING);
    e->tls13 = !(flags & FLAG_NO_TLS13);
    e->asks_client_cert = ipc_get_bool(j, "ask", false);
    e->check_mode = check < 0 || check > UINT32_MAX ? 0 : (uint32_t)check;
    e->trust = t->trust;
    if (!make_context(e, t->trust != NULL))
        return "no digest could be made";
    file_entry(t, e);
    return NULL;
}

static bool load_entries(struct tls_table *t, const json_t *list, char why[TLS_WHY_MAX])
{
    size_t i;
    json_t *j;

    t->entries = xcalloc(json_array_size(list) + 1, sizeof(*t->entries));
    json_array_foreach(list, i, j)
    {
        const char *wrong = load_entry(t, j);
        if (wrong) {
            snprintf(why, TLS_WHY_MAX, "%s", wrong);
            return false;
        }
    }
    return true;
}

/* ---- the table ------------------------------------------------------------------------------ */

struct tls_table *tls_table_load(const json_t *msg, char why[TLS_WHY_MAX])
{
    /* The listener opens no files: not OpenSSL's configuration either. */
    INVARIANT(OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) == 1);
    struct tls_table *t = xcalloc(1, sizeof(*t));

    atomic_init(&t->refs, 1);
    t->ktls = ipc_get_bool(msg, "ktls", false);
    t->base = tls_context_new(t->ktls);
    t->trust = tls_trust_load(json_object_get(msg, "trust"), why);
    t->names = tls_names_load(json_object_get(msg, "central"));
    if (!t->base)
        snprintf(why, TLS_WHY_MAX, "OpenSSL cannot be set up");
    if (!t->base || !t->trust || !load_certs(t, json_object_get(msg, "certificates"), why) ||
        !load_entries(t, json_object_get(msg, "bindings"), why)) {
        tls_table_unref(t);
        return NULL;
    }
    return t;
}

struct tls_table *tls_table_ref(struct tls_table *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void tls_table_unref(struct tls_table *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < t->n_certs; i++)
        tls_cert_unref(t->certs[i]);
    for (size_t i = 0; i < t->n_entries; i++)
        free((char *)(uintptr_t)t->entries[i].host.p);
    free(t->certs);
    free(t->entries);
    SSL_CTX_free(t->base);
    tls_names_free(t->names);
    tls_trust_unref(t->trust);
    free(t);
}

/* ---- choice --------------------------------------------------------------------------------- */

const struct tls_entry *tls_table_by_address(const struct tls_table *t,
                                             const struct msg_address *local)
{
    for (const struct tls_entry *e = t->by_address; e; e = e->next)
        if (e->port == local->port && memcmp(e->ip, local->ip, sizeof(e->ip)) == 0)
            return e;
    return NULL;
}

static const struct tls_entry *first_of_port(const struct tls_entry *e, uint16_t port)
{
    while (e && e->port != port)
        e = e->next;
    return e;
}

static const struct tls_entry *find_by_host(const struct tls_table *t, uint16_t port,
                                            struct str host)
{
    for (const struct tls_entry *e = t->by_host[hash_bytes(host.p, host.n) % TLS_HOST_SLOTS]; e;
         e = e->next)
        if (e->port == port && str_eq(e->host, host))
            return e;
    for (const struct tls_entry *e = t->wildcards; e; e = e->next)
        if (e->port == port && host.n > e->host.n &&
            str_eq(str_sub(host, host.n - e->host.n, host.n), e->host))
            return e;
    return NULL;
}

const struct tls_entry *tls_table_find_any(const struct tls_table *t,
                                           const struct msg_address *local)
{
    return first_of_port(t->any, local->port);
}

/* The order of HTTP.sys: address, host, wildcard host, central store, any address. */
const struct tls_entry *tls_table_find(const struct tls_table *t, const struct msg_address *local,
                                       struct str host)
{
    const struct tls_entry *e = tls_table_by_address(t, local);

    if (!e && host.n)
        e = find_by_host(t, local->port, host);
    if (!e && host.n && tls_names_have(t->names, host))
        e = first_of_port(t->central, local->port);
    return e ? e : tls_table_find_any(t, local);
}
