#include "worker/modules/tls_variables.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "worker/modules/text.h"
#include "worker/request.h"

#include "base/poison.h"

enum { NAME_TEXT_MAX = 16 * 1024, SERIAL_BYTES_MAX = 64, OID_TEXT_MAX = 128 };

static bool is_tls(const struct request *r)
{
    return r->msg.head.flags & MSGF_TLS;
}

static struct str decimal(struct request *r, unsigned v)
{
    return is_tls(r) && v ? arena_printf(&r->arena, "%u", v) : STR_NULL;
}

struct str tls_var_keysize(struct request *r)
{
    return decimal(r, r->msg.head.tls.cipher_bits);
}

struct str tls_var_secretkeysize(struct request *r)
{
    return decimal(r, r->msg.head.tls.key_bits);
}

/* ---- the certificate ------------------------------------------------------------------------ */

/* NULL: there is none, or it is malformed. The caller frees it. */
static X509 *certificate(const struct request *r)
{
    const unsigned char *p = (const unsigned char *)r->msg.client_cert.p;
    size_t n = r->msg.client_cert.n;

    return n && n <= LONG_MAX ? d2i_X509(NULL, &p, (long)n) : NULL;
}

static struct str key_of(const ASN1_OBJECT *object, char oid[OID_TEXT_MAX])
{
    static const struct {
        int nid;
        const char *key;
    } keys[] = {
        {NID_commonName, "CN"},          {NID_countryName, "C"},
        {NID_stateOrProvinceName, "S"},  {NID_localityName, "L"},
        {NID_organizationName, "O"},     {NID_organizationalUnitName, "OU"},
        {NID_pkcs9_emailAddress, "E"},   {NID_title, "T"},
        {NID_givenName, "G"},            {NID_initials, "I"},
        {NID_surname, "SN"},             {NID_streetAddress, "STREET"},
        {NID_domainComponent, "DC"},     {NID_serialNumber, "SERIALNUMBER"},
    };
    int nid = OBJ_obj2nid(object);

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (keys[i].nid == nid)
            return str_z(keys[i].key);
    int n = OBJ_obj2txt(oid, OID_TEXT_MAX, object, /* no_name = */ 1);

    return n > 0 && n < OID_TEXT_MAX ? str_n(oid, (size_t)n) : STR("?");
}

static bool needs_quotes(struct str s)
{
    if (s.n == 0 || s.p[0] == ' ' || s.p[s.n - 1] == ' ')
        return true;
    for (size_t i = 0; i < s.n; i++)
        if (memchr(",+=\"\n<>#;", s.p[i], 9))
            return true;
    return false;
}

/* CertNameToStr with CERT_X500_NAME_STR: a value that could be misread stands in quotes, with its
 * own doubled. Control characters become blanks: the value goes into headers and logs. */
static void put_value(struct buf *b, struct str value)
{
    bool quoted = needs_quotes(value);

    if (quoted)
        buf_char(b, '"');
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];

        if (c == '"')
            buf_char(b, '"');
        buf_char(b, (unsigned char)c < ' ' || c == 0x7f ? ' ' : c);
    }
    if (quoted)
        buf_char(b, '"');
}

static struct str name_text(struct request *r, const X509_NAME *name)
{
    _cleanup_buf_ struct buf b = {0};

    buf_init(&b, NAME_TEXT_MAX);
    for (int i = 0; i < X509_NAME_entry_count(name); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        char oid[OID_TEXT_MAX];
        unsigned char *utf8 = NULL;
        int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));

        if (n < 0)
            continue;
        if (b.n)
            buf_str(&b, STR(", "));
        buf_str(&b, key_of(X509_NAME_ENTRY_get_object(entry), oid));
        buf_char(&b, '=');
        put_value(&b, str_n((const char *)utf8, (size_t)n));
        OPENSSL_free(utf8);
    }
    return text_keep(r, &b);
}

static struct str hex(struct request *r, const unsigned char *p, size_t n, bool hyphens)
{
    _cleanup_buf_ struct buf b = {0};

    buf_init(&b, 3 * SERIAL_BYTES_MAX);
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, i && hyphens ? "-%02x" : "%02x", p[i]);
    return text_keep(r, &b);
}

struct str tls_var_cert_cookie(struct request *r)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (r->msg.client_cert.n == 0 ||
        EVP_Digest(r->msg.client_cert.p, r->msg.client_cert.n, digest, &n, EVP_sha1(), NULL) != 1)
        return STR_NULL;
    return hex(r, digest, n, /* hyphens = */ false);
}

struct str tls_var_cert_flags(struct request *r)
{
    if (r->msg.client_cert.n == 0)
        return STR_NULL;
    return r->msg.head.tls.verdict == CLIENT_CERT_UNTRUSTED ? STR("3") : STR("1");
}

struct str tls_var_cert_issuer(struct request *r)
{
    X509 *x = certificate(r);
    struct str s = x ? name_text(r, X509_get_issuer_name(x)) : STR_NULL;

    X509_free(x);
    return s;
}

struct str tls_var_cert_subject(struct request *r)
{
    X509 *x = certificate(r);
    struct str s = x ? name_text(r, X509_get_subject_name(x)) : STR_NULL;

    X509_free(x);
    return s;
}

struct str tls_var_cert_serialnumber(struct request *r)
{
    X509 *x = certificate(r);
    struct str s = STR_NULL;

    if (x) {
        const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
        int n = ASN1_STRING_length(serial);

        if (n > 0 && n <= SERIAL_BYTES_MAX)
            s = hex(r, ASN1_STRING_get0_data(serial), (size_t)n, /* hyphens = */ true);
    }
    X509_free(x);
    return s;
}

/* ---- what was agreed upon ------------------------------------------------------------------- */

struct number {
    const char *part; /* of the cipher suite's name */
    const char *text;
};

static struct str find_number(const struct request *r, const struct number *numbers, size_t n)
{
    if (!is_tls(r))
        return STR_NULL;
    for (size_t i = 0; i < n; i++)
        if (str_find(r->msg.tls_cipher, str_z(numbers[i].part)) != SIZE_MAX)
            return str_z(numbers[i].text);
    return STR_NULL;
}

struct str tls_var_crypt_protocol(struct request *r)
{
    if (!is_tls(r))
        return STR_NULL;
    switch (r->msg.head.tls.version) {
    case 0x0301:
        return STR("40"); /* SP_PROT_TLS1_SERVER */
    case 0x0302:
        return STR("100");
    case 0x0303:
        return STR("400");
    case 0x0304:
        return STR("1000");
    default:
        return STR_NULL;
    }
}

struct str tls_var_crypt_cipher(struct request *r)
{
    /* ChaCha20 has no number there. */
    static const struct number numbers[] = {
        {"AES256", "6610"}, {"AES_256", "6610"}, {"AES128", "660e"}, {"AES_128", "660e"},
    };

    return find_number(r, numbers, ARRAY_LEN(numbers));
}

struct str tls_var_crypt_hash(struct request *r)
{
    static const struct number numbers[] = {
        {"SHA384", "800d"}, {"SHA256", "800c"}, {"POLY1305", "800c"}, {"SHA", "8004"},
    };

    return find_number(r, numbers, ARRAY_LEN(numbers));
}

struct str tls_var_crypt_keyexchange(struct request *r)
{
    /* TLS 1.3 always uses an ephemeral key; a name that says nothing means RSA. */
    static const struct number numbers[] = {
        {"TLS_", "ae06"}, {"ECDHE-", "ae06"}, {"DHE-", "aa02"}, {"", "a400"},
    };

    return r->msg.tls_cipher.n ? find_number(r, numbers, ARRAY_LEN(numbers)) : STR_NULL;
}
