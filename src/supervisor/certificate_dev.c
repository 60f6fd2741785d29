#include "supervisor/certificate_dev.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/poison.h"

enum { YEAR_S = 365 * 86400, RENEW_S = 30 * 86400, SERIAL_BYTES = 16 };

char *certificate_dev_path(const char *folder)
{
    return xasprintf("%s/development.crt", folder);
}

char *certificate_dev_key_path(const char *folder)
{
    return xasprintf("%s/development.key", folder);
}

/* ---- making --------------------------------------------------------------------------------- */

static bool add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&ctx);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = e && X509_add_ext(x, e, -1) == 1;

    X509_EXTENSION_free(e);
    return ok;
}

/* Random, as browsers want it: two of them may not share a number. */
static bool set_serial(X509 *x)
{
    unsigned char bytes[SERIAL_BYTES];
    BIGNUM *n = NULL;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, and of full length */
    n = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));

    BN_free(n);
    return ok;
}

static bool fill(X509 *x, EVP_PKEY *key)
{
    static const unsigned char name[] = "localhost", who[] = "Candor development certificate";
    X509_NAME *n = X509_get_subject_name(x);

    return X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
           X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
           X509_gmtime_adj(X509_getm_notAfter(x), YEAR_S) &&
           X509_NAME_add_entry_by_txt(n, "O", MBSTRING_UTF8, who, -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(x, n) == 1 && X509_set_pubkey(x, key) == 1 &&
           add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(x, NID_key_usage, "critical,digitalSignature") &&
           add_extension(x, NID_ext_key_usage, "serverAuth") &&
           add_extension(x, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") &&
           add_extension(x, NID_subject_key_identifier, "hash") &&
           X509_sign(x, key, EVP_sha256()) > 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

static bool write_whole(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return fsync(fd) == 0;
}

/* All of it or nothing, under a name that a reader finds only when it is whole. False with errno.
 */
static bool write_file(const char *path, mode_t mode, BIO *text)
{
    _cleanup_free_ char *fresh = xasprintf("%s.new", path);
    char *p = NULL;
    long n = BIO_get_mem_data(text, &p);

    (void)unlink(fresh);
    _cleanup_close_ int fd =
        open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

    if (fd >= 0 && fchmod(fd, mode) == 0 && write_whole(fd, p, (size_t)n) &&
        rename(fresh, path) == 0)
        return true;
    int e = errno;

    (void)unlink(fresh);
    errno = e;
    return false;
}

static bool say(char why[CERTIFICATE_WHY_MAX], const char *path)
{
    snprintf(why, CERTIFICATE_WHY_MAX, "%s: %s; let the server write there", path, strerror(errno));
    return false;
}

static bool store(X509 *x, EVP_PKEY *key, const char *path, const char *key_path,
                  char why[CERTIFICATE_WHY_MAX])
{
    BIO *cert_text = BIO_new(BIO_s_mem()), *key_text = BIO_new(BIO_s_secmem());

    INVARIANT(cert_text && key_text && PEM_write_bio_X509(cert_text, x) == 1 &&
              PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) == 1);
    bool ok = write_file(key_path, 0600, key_text) || say(why, key_path);

    ok = ok && (write_file(path, 0644, cert_text) || say(why, path));
    BIO_free(cert_text);
    BIO_free(key_text);
    return ok;
}

static bool make(const char *path, const char *key_path, char why[CERTIFICATE_WHY_MAX])
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    bool ok = key && x && fill(x, key);

    if (!ok)
        snprintf(why, CERTIFICATE_WHY_MAX, "the development certificate cannot be made");
    ok = ok && store(x, key, path, key_path, why);
    X509_free(x);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return ok;
}

bool certificate_dev_ensure(const char *folder, bool *ret_made, char why[CERTIFICATE_WHY_MAX])
{
    _cleanup_free_ char *path = certificate_dev_path(folder),
                        *key_path = certificate_dev_key_path(folder);
    struct certificate_source from = {.path = path, .key_path = key_path};
    struct certificate c;
    int64_t now_s = clock_wall_us() / 1000000;
    char ignored[CERTIFICATE_WHY_MAX];

    bool good =
        certificate_read(&from, &c, ignored) && c.from_s <= now_s && c.to_s - now_s > RENEW_S;

    certificate_fini(&c);
    *ret_made = !good;
    return good || make(path, key_path, why);
}
