#include "supervisor/certificate_ocsp.h"

#include <openssl/err.h>
#include <openssl/http.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/loop.h"
#include "base/str.h"
#include "base/poison.h"

enum { ASK_S = 5, ANSWER_MAX = 65536, CLOCKS_DIFFER_S = 300, DAY_S = 86400 };

/* Two hold it: the loop's side and the thread. The last one ends it. */
struct ocsp_fetch {
    _Atomic int refs;
    struct loop *loop;
    struct loop_io io; /* an eventfd: the thread has ended */
    X509 *x, *issuer;
    char *url;
    struct ocsp_answer answer;
    void (*on_done)(void *arg, struct ocsp_answer *answer);
    void *arg;
};

static void unref(struct ocsp_fetch *f)
{
    if (atomic_fetch_sub(&f->refs, 1) != 1)
        return;
    X509_free(f->x);
    X509_free(f->issuer);
    OPENSSL_free(f->url);
    free(f->answer.der);
    close(f->io.fd);
    free(f);
}

char *ocsp_url(X509 *x)
{
    STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(x);
    char *found = NULL;

    for (int i = 0; !found && i < sk_OPENSSL_STRING_num(urls); i++) {
        const char *url = sk_OPENSSL_STRING_value(urls, i);
        if (str_istarts(str_z(url), STR("http://")) && strlen(url) < 2048)
            found = OPENSSL_strdup(url);
    }
    X509_email_free(urls);
    return found;
}

/* ---- on the thread --------------------------------------------------------------------------- */

static void fail(struct ocsp_answer *a, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;

    snprintf(a->why, sizeof(a->why), "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
    ERR_clear_error();
}

static OCSP_CERTID *id_of(const struct ocsp_fetch *f)
{
    return OCSP_cert_to_id(EVP_sha1(), f->x, f->issuer); /* the digest that every authority knows */
}

/* The question as DER in a BIO. */
static BIO *question(const struct ocsp_fetch *f)
{
    OCSP_REQUEST *r = OCSP_REQUEST_new();
    OCSP_CERTID *id = id_of(f);
    BIO *out = BIO_new(BIO_s_mem());
    bool ok = r && id && out && OCSP_request_add0_id(r, id);

    if (!ok)
        OCSP_CERTID_free(id);
    ok = ok && i2d_OCSP_REQUEST_bio(out, r) == 1;
    OCSP_REQUEST_free(r);
    if (ok)
        return out;
    BIO_free(out);
    return NULL;
}

static OCSP_RESPONSE *ask(const struct ocsp_fetch *f)
{
    char *host = NULL, *port = NULL, *path = NULL;
    OCSP_RESPONSE *answer = NULL;
    BIO *q = question(f);

    if (q && OSSL_HTTP_parse_url(f->url, NULL, NULL, &host, &port, NULL, &path, NULL, NULL) == 1) {
        BIO *a = OSSL_HTTP_transfer(NULL, host, port, path, 0, NULL, NULL, NULL, NULL, NULL, NULL,
                                    0, NULL, "application/ocsp-request", q,
                                    "application/ocsp-response", 1, ANSWER_MAX, ASK_S, 0);
        answer = a ? d2i_OCSP_RESPONSE_bio(a, NULL) : NULL;
        BIO_free(a);
    }
    OPENSSL_free(host);
    OPENSSL_free(port);
    OPENSSL_free(path);
    BIO_free(q);
    return answer;
}

/* Signed by the issuer, or by a certificate that the issuer made for this. */
static bool is_signed(OCSP_BASICRESP *basic, X509 *issuer)
{
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *certs = sk_X509_new_null();
    bool ok = store && certs && X509_STORE_add_cert(store, issuer) == 1 &&
              X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
              sk_X509_push(certs, issuer) > 0 && OCSP_basic_verify(basic, certs, store, 0) == 1;

    sk_X509_free(certs);
    X509_STORE_free(store);
    return ok;
}

static int64_t unix_time(const ASN1_GENERALIZEDTIME *t)
{
    struct tm tm;

    return t && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static bool check(struct ocsp_fetch *f, OCSP_BASICRESP *basic)
{
    ASN1_GENERALIZEDTIME *revoked_at, *from, *until;
    OCSP_CERTID *id = id_of(f);
    int status = -1, reason = -1;
    struct ocsp_answer *a = &f->answer;

    if (!is_signed(basic, f->issuer)) {
        OCSP_CERTID_free(id);
        fail(a, "its answer is not signed by the issuer");
        return false;
    }
    bool found =
        id && OCSP_resp_find_status(basic, id, &status, &reason, &revoked_at, &from, &until) == 1;

    OCSP_CERTID_free(id);
    if (!found || OCSP_check_validity(from, until, CLOCKS_DIFFER_S, -1) != 1) {
        fail(a, "its answer is about another certificate or another time");
        return false;
    }
    a->from_s = unix_time(from);
    a->until_s = until ? unix_time(until) : a->from_s + DAY_S;
    if (status == V_OCSP_CERTSTATUS_GOOD)
        return true;
    fail(a, status == V_OCSP_CERTSTATUS_REVOKED ? "it says that the certificate is revoked"
                                                : "it does not know the certificate");
    return false;
}

static void fetch(struct ocsp_fetch *f)
{
    OCSP_RESPONSE *response = ask(f);
    OCSP_BASICRESP *basic = NULL;
    unsigned char *der = NULL;

    if (!response)
        fail(&f->answer, "no answer");
    else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        fail(&f->answer, OCSP_response_status_str(OCSP_response_status(response)));
    else if (!(basic = OCSP_response_get1_basic(response)))
        fail(&f->answer, "its answer cannot be read");
    else if (check(f, basic)) {
        int n = i2d_OCSP_RESPONSE(response, &der);
        if (n > 0) {
            f->answer.der = xmalloc((size_t)n);
            memcpy(f->answer.der, der, (size_t)n);
            f->answer.n = (size_t)n;
        }
        OPENSSL_free(der);
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
}

static void *thread_main(void *arg)
{
    struct ocsp_fetch *f = arg;
    uint64_t one = 1;

    fetch(f);
    (void)!write(f->io.fd, &one, sizeof(one));
    unref(f);
    return NULL;
}

/* ---- on the loop ----------------------------------------------------------------------------- */

static void on_event(struct loop_io *io, uint32_t events)
{
    struct ocsp_fetch *f = CONTAINER_OF(io, struct ocsp_fetch, io);

    loop_io_set(f->loop, io, 0);
    f->on_done(f->arg, &f->answer);
    unref(f);
}

static bool begin_thread(struct ocsp_fetch *f)
{
    pthread_attr_t attr;
    pthread_t id;

    if (pthread_attr_init(&attr) != 0)
        return false;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    bool ok = pthread_create(&id, &attr, thread_main, f) == 0;

    pthread_attr_destroy(&attr);
    return ok;
}

struct ocsp_fetch *ocsp_fetch_begin(struct loop *loop, X509 *x, X509 *issuer,
                                    void (*on_done)(void *arg, struct ocsp_answer *answer),
                                    void *arg)
{
    struct ocsp_fetch *f = xcalloc(1, sizeof(*f));

    *f = (struct ocsp_fetch){
        .loop = loop,
        .io = {.on_event = on_event, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)},
        .x = x,
        .issuer = issuer,
        .url = ocsp_url(x),
        .on_done = on_done,
        .arg = arg};
    X509_up_ref(x);
    X509_up_ref(issuer);
    atomic_init(&f->refs, 2);
    if (f->url && f->io.fd >= 0 && loop_io_set(loop, &f->io, EPOLLIN)) {
        if (begin_thread(f))
            return f;
        loop_io_set(loop, &f->io, 0);
    }
    atomic_store(&f->refs, 1);
    unref(f);
    return NULL;
}

void ocsp_fetch_abandon(struct ocsp_fetch *f)
{
    if (!f)
        return;
    loop_io_set(f->loop, &f->io, 0);
    unref(f);
}
