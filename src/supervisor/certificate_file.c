#include "supervisor/certificate_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "base/poison.h"

enum { FILE_MAX = 1 << 20, CERTS_MAX = 64, CHAIN_MAX = 8, SECURITY_LEVEL = 2 };

/* A file as read, and what is in it. */
struct content {
    char *bytes;
    size_t n;
    mode_t mode;
    STACK_OF(X509) * certs;
    EVP_PKEY *key;
    bool wants_password; /* it has a key that the password does not open */
};

static void content_fini(struct content *c)
{
    if (c->bytes)
        OPENSSL_cleanse(c->bytes, c->n);
    free(c->bytes);
    sk_X509_pop_free(c->certs, X509_free);
    EVP_PKEY_free(c->key);
    *c = (struct content){0};
}

/* ---- bytes ---------------------------------------------------------------------------------- */

/* False with errno. */
static bool read_bytes(const char *path, struct content *ret)
{
    struct stat st;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fstat(fd, &st) < 0)
        return false;
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
        errno = S_ISREG(st.st_mode) ? EFBIG : EISDIR;
        return false;
    }
    ret->mode = st.st_mode;
    ret->bytes = xmalloc((size_t)st.st_size + 1);
    while (ret->n < (size_t)st.st_size) {
        ssize_t got = read(fd, ret->bytes + ret->n, (size_t)st.st_size - ret->n);
        if (got <= 0)
            break;
        ret->n += (size_t)got;
    }
    return true;
}

static BIO *bio_of(const struct content *c)
{
    return BIO_new_mem_buf(c->bytes, (int)c->n);
}

static bool is_der(const struct content *c)
{
    return c->n > 2 && (unsigned char)c->bytes[0] == 0x30 && (unsigned char)c->bytes[1] >= 0x80;
}

/* ---- PEM ------------------------------------------------------------------------------------ */

struct password {
    const char *text;
    bool was_asked;
};

static int give_password(char *buf, int size, int writing, void *arg)
{
    struct password *p = arg;
    size_t n = p->text ? strlen(p->text) : 0;

    p->was_asked = true;
    if (!p->text || n > (size_t)size)
        return -1;
    memcpy(buf, p->text, n);
    return (int)n;
}

static void push(STACK_OF(X509) * list, X509 *x)
{
    if (x && (sk_X509_num(list) >= CERTS_MAX || sk_X509_push(list, x) <= 0))
        X509_free(x);
}

static void read_pem(struct content *c, const char *password)
{
    struct password p = {.text = password};
    BIO *certs = bio_of(c), *key = bio_of(c);
    X509 *x;

    for (int i = 0; i < CERTS_MAX && (x = PEM_read_bio_X509_AUX(certs, NULL, give_password, &p));
         i++)
        push(c->certs, x);
    p.was_asked = false;
    c->key = PEM_read_bio_PrivateKey(key, NULL, give_password, &p);
    c->wants_password = !c->key && p.was_asked;
    BIO_free(certs);
    BIO_free(key);
    ERR_clear_error();
}

/* ---- PFX ------------------------------------------------------------------------------------ */

/* RC2 and short DES keys, which Windows exported for twenty years, are a provider of their own. It
 * is kept apart, so that nothing else can meet them. */
static OSSL_LIB_CTX *old_ciphers(void)
{
    static OSSL_LIB_CTX *ctx;

    if (ctx)
        return ctx;
    ctx = OSSL_LIB_CTX_new();
    if (ctx && (!OSSL_PROVIDER_load(ctx, "default") || !OSSL_PROVIDER_load(ctx, "legacy"))) {
        OSSL_LIB_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

static PKCS12 *decode_pfx(const struct content *c, OSSL_LIB_CTX *ctx)
{
    PKCS12 *p12 = PKCS12_init_ex(NID_pkcs7_data, ctx, NULL);
    const unsigned char *at = (const unsigned char *)c->bytes;

    if (p12 && d2i_PKCS12(&p12, &at, (long)c->n))
        return p12;
    PKCS12_free(p12);
    return NULL;
}

/* The same objects without a tie to the library context that decoded them. */
static EVP_PKEY *own_key(EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int n = key ? i2d_PrivateKey(key, &der) : 0;
    const unsigned char *at = der;
    EVP_PKEY *own = n > 0 ? d2i_AutoPrivateKey(NULL, &at, n) : NULL;

    if (n > 0)
        OPENSSL_clear_free(der, (size_t)n);
    EVP_PKEY_free(key);
    return own;
}

static X509 *own_cert(X509 *x)
{
    unsigned char *der = NULL;
    int n = x ? i2d_X509(x, &der) : 0;
    const unsigned char *at = der;
    X509 *own = n > 0 ? d2i_X509(NULL, &at, n) : NULL;

    OPENSSL_free(der);
    X509_free(x);
    return own;
}

/* False: the password is wrong, or it needs ciphers that the context lacks. */
static bool open_pfx(struct content *c, OSSL_LIB_CTX *ctx, const char *password)
{
    PKCS12 *p12 = decode_pfx(c, ctx);
    STACK_OF(X509) *others = NULL;
    X509 *x = NULL;
    bool ok = p12 && PKCS12_parse(p12, password, &c->key, &x, &others) == 1;

    if (ok) {
        c->key = own_key(c->key);
        push(c->certs, own_cert(x));
    }
    while (sk_X509_num(others) > 0)
        push(c->certs, own_cert(sk_X509_shift(others)));
    sk_X509_free(others);
    PKCS12_free(p12);
    return ok;
}

/* False: it is no PFX. */
static bool read_pfx(struct content *c, const char *password)
{
    PKCS12 *p12 = decode_pfx(c, NULL);
    const char *given = password ? password : "";

    if (!p12)
        return false;
    PKCS12_free(p12);
    c->wants_password =
        !open_pfx(c, NULL, given) && !(old_ciphers() && open_pfx(c, old_ciphers(), given));
    return true;
}

static void read_der(struct content *c, const char *password)
{
    const unsigned char *at = (const unsigned char *)c->bytes;
    X509 *x = NULL;

    if (read_pfx(c, password)) {
        ERR_clear_error();
        return;
    }
    if (d2i_X509(&x, &at, (long)c->n))
        sk_X509_push(c->certs, x);
    else
        c->key = d2i_AutoPrivateKey(NULL, &at, (long)c->n);
    ERR_clear_error();
}

/* False with errno: it cannot be read. */
static bool read_content(const char *path, const char *password, struct content *ret)
{
    *ret = (struct content){.certs = sk_X509_new_null()};
    if (!read_bytes(path, ret))
        return false;
    if (is_der(ret))
        read_der(ret, password);
    else
        read_pem(ret, password);
    return true;
}

/* ---- a certificate with its key -------------------------------------------------------------- */

static bool may_be_read_by_all(const struct content *c)
{
    return (c->mode & (S_IROTH | S_IWOTH)) != 0;
}

static bool refuse(char why[CERTIFICATE_WHY_MAX], const char *path, const char *what,
                   const char *remedy)
{
    snprintf(why, CERTIFICATE_WHY_MAX, "%s: %s; %s", path, what, remedy);
    return false;
}

static bool unreadable(char why[CERTIFICATE_WHY_MAX], const char *path)
{
    int e = errno;

    return refuse(why, path, e == EFBIG ? "it is too large for a certificate" : strerror(e),
                  e == ENOENT                 ? "put the file there or correct the path"
                  : e == EISDIR || e == EFBIG ? "name the certificate's file"
                                              : "let the server's user read it");
}

/* "site.crt" has its key in "site.key". NULL: no such name. */
static char *key_beside(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');

    if (!dot || (slash && dot < slash) || strcmp(dot, ".key") == 0)
        return NULL;
    return xasprintf("%.*s.key", (int)(dot - path), path);
}

static X509 *cert_of_key(STACK_OF(X509) * certs, const EVP_PKEY *key)
{
    for (int i = 0; i < sk_X509_num(certs); i++)
        if (X509_check_private_key(sk_X509_value(certs, i), key) == 1)
            return sk_X509_value(certs, i);
    ERR_clear_error();
    return NULL;
}

static X509 *issuer_in(STACK_OF(X509) * certs, X509 *x)
{
    for (int i = 0; i < sk_X509_num(certs); i++)
        if (X509_check_issued(sk_X509_value(certs, i), x) == X509_V_OK)
            return sk_X509_value(certs, i);
    return NULL;
}

static bool is_self_issued(X509 *x)
{
    return X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
}

static char *take_text(BIO *b)
{
    char *p = NULL;
    long n = BIO_get_mem_data(b, &p);
    char *z = xmalloc((size_t)n + 1);

    memcpy(z, p, (size_t)n);
    z[n] = '\0';
    OPENSSL_cleanse(p, (size_t)n);
    BIO_free(b);
    return z;
}

/* The chain as it is sent: without the root, which a client has or does not trust. */
static void write_chain(struct certificate *ret, STACK_OF(X509) * from_file,
                        STACK_OF(X509) * from_store)
{
    BIO *out = BIO_new(BIO_s_mem());
    X509 *at = ret->x;

    INVARIANT(out);
    for (int i = 0; at && i < CHAIN_MAX; i++) {
        PEM_write_bio_X509(out, at);
        X509 *next = is_self_issued(at) ? NULL : issuer_in(from_file, at);
        if (!next && !is_self_issued(at))
            next = issuer_in(from_store, at);
        if (i == 0 && next) {
            ret->issuer = next;
            X509_up_ref(next);
        }
        at = next && !is_self_issued(next) ? next : NULL;
    }
    ret->chain = take_text(out);
}

static int64_t unix_time(const ASN1_TIME *t)
{
    struct tm tm;

    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* The same tests as in the listener, which would refuse the whole table. */
static bool is_usable(const struct certificate *c, EVP_PKEY *key, const char *path,
                      char why[CERTIFICATE_WHY_MAX])
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    char what[128];

    INVARIANT(ctx);
    SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
    bool ok = SSL_CTX_use_certificate(ctx, c->x) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
              SSL_CTX_check_private_key(ctx) == 1;
    unsigned long e = ERR_peek_last_error();

    if (!ok) {
        const char *reason = e ? ERR_reason_error_string(e) : NULL;
        snprintf(what, sizeof(what), "it cannot be used for TLS (%s)", reason ? reason : "unknown");
        refuse(why, path, what,
               "get one with a key of at least 2048 (RSA) or 256 (EC) bits, signed with SHA-256");
    }
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

static bool finish(struct certificate *ret, struct content *c, EVP_PKEY *key,
                   const struct certificate_source *from, char why[CERTIFICATE_WHY_MAX])
{
    X509 *x = cert_of_key(c->certs, key);

    if (!x)
        return refuse(why, from->path, "the certificate and the key do not belong together",
                      "give the key that the certificate was requested with");
    X509_up_ref(x);
    ret->x = x;
    if (!is_usable(ret, key, from->path, why))
        return false;
    certificate_thumbprint(x, ret->thumbprint);
    ret->from_s = unix_time(X509_get0_notBefore(x));
    ret->to_s = unix_time(X509_get0_notAfter(x));
    write_chain(ret, c->certs, from->intermediates);
    BIO *out = BIO_new(BIO_s_mem());

    INVARIANT(out && PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1);
    ret->key = take_text(out);
    return true;
}

static bool key_is_private(const struct content *c, const char *path, char why[CERTIFICATE_WHY_MAX])
{
    return !may_be_read_by_all(c) ||
           refuse(why, path, "every user of this machine may read or write this private key",
                  "chmod 600 it, and think of the key as known");
}

static const char lacks_password[] = "its password is missing or wrong";
static const char give_it[] = "give it as certificatePassword of the binding";

static bool read_both(const struct certificate_source *from, const char *key_path,
                      struct certificate *ret, struct content *certs, struct content *keys,
                      char why[CERTIFICATE_WHY_MAX])
{
    if (!read_content(from->path, from->password, certs))
        return unreadable(why, from->path);
    struct content *key = certs;
    const char *named = from->path;

    if (key_path && (from->key_path || (!certs->key && !certs->wants_password))) {
        if (!read_content(key_path, from->password, keys)) {
            if (from->key_path)
                return unreadable(why, key_path);
        } else {
            key = keys;
            named = key_path;
        }
    }
    if (key->wants_password)
        return refuse(why, named, lacks_password, give_it);
    if (sk_X509_num(certs->certs) == 0)
        return refuse(why, from->path, "there is no certificate in it",
                      "it must be PEM (BEGIN CERTIFICATE) or PFX");
    if (!key->key)
        return refuse(why, named, "there is no private key in it",
                      "add it to the file, or name its file as certificateKeyFile");
    return key_is_private(key, named, why) && finish(ret, certs, key->key, from, why);
}

bool certificate_read(const struct certificate_source *from, struct certificate *ret,
                      char why[CERTIFICATE_WHY_MAX])
{
    struct content certs = {0}, keys = {0};
    _cleanup_free_ char *beside = from->key_path ? xstrdup(from->key_path) : key_beside(from->path);

    *ret = (struct certificate){0};
    bool ok = read_both(from, beside, ret, &certs, &keys, why);

    content_fini(&certs);
    content_fini(&keys);
    return ok;
}

bool certificate_is_closed(const char *path, const char *password, char why[CERTIFICATE_WHY_MAX])
{
    struct content c;
    bool closed = true;

    if (!read_content(path, password, &c))
        unreadable(why, path);
    else if (c.wants_password && sk_X509_num(c.certs) == 0)
        refuse(why, path, lacks_password, give_it);
    else
        closed = false;
    content_fini(&c);
    return closed;
}

void certificate_fini(struct certificate *c)
{
    if (c->key)
        OPENSSL_cleanse(c->key, strlen(c->key));
    free(c->key);
    free(c->chain);
    X509_free(c->x);
    X509_free(c->issuer);
    *c = (struct certificate){0};
}

/* ---- certificates without keys --------------------------------------------------------------- */

static STACK_OF(X509_CRL) * read_lists(const struct content *c)
{
    STACK_OF(X509_CRL) *lists = sk_X509_CRL_new_null();
    const unsigned char *at = (const unsigned char *)c->bytes;
    X509_CRL *crl = is_der(c) ? d2i_X509_CRL(NULL, &at, (long)c->n) : NULL;
    BIO *pem = bio_of(c);

    if (crl)
        sk_X509_CRL_push(lists, crl);
    while (!is_der(c) && sk_X509_CRL_num(lists) < CERTS_MAX &&
           (crl = PEM_read_bio_X509_CRL(pem, NULL, NULL, NULL)))
        sk_X509_CRL_push(lists, crl);
    BIO_free(pem);
    ERR_clear_error();
    return lists;
}

STACK_OF(X509) *
    certificate_read_all(const char *path, const char *password, STACK_OF(X509_CRL) * *ret_lists)
{
    struct content c;
    STACK_OF(X509) *certs = NULL;
    STACK_OF(X509_CRL) *lists = NULL;

    if (read_content(path, password, &c)) {
        if (ret_lists)
            lists = read_lists(&c);
        if (sk_X509_num(c.certs) > 0 || sk_X509_CRL_num(lists) > 0) {
            certs = c.certs;
            c.certs = NULL;
            if (ret_lists)
                *ret_lists = lists;
            lists = NULL;
        }
    }
    sk_X509_CRL_pop_free(lists, X509_CRL_free);
    content_fini(&c);
    return certs;
}

void certificate_thumbprint(const X509 *x, char ret[THUMBPRINT_HEX + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    INVARIANT(X509_digest(x, EVP_sha1(), digest, &n) == 1 && n * 2 == THUMBPRINT_HEX);
    for (unsigned i = 0; i < n; i++)
        snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}
