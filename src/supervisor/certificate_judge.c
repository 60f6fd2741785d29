#include "supervisor/certificate_judge.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "supervisor/certificate_source.h"
#include "supervisor/certificate_store.h"
#include "base/poison.h"

enum { CENTRAL_FILES_MAX = 1000, TEXT_MAX = CERTIFICATE_WHY_MAX + 512 };

struct judge {
    const struct ssl_binding *registry;
    certificate_on_fault *on_fault;
    void *arg;
};

static void tell(const struct judge *j, bool is_error, const char *text, const char *remedy)
{
    j->on_fault(j->arg,
                &(struct certificate_fault){
                    .is_error = is_error, .registry = j->registry, .text = text, .remedy = remedy});
}

/* host: a name, or "*." and a domain, which stands for all names in it. */
static bool is_for(const struct certificate *c, struct str host)
{
    char name[300];
    bool is_wildcard = host.n > 2 && host.p[0] == '*' && host.p[1] == '.';

    snprintf(name, sizeof(name), "%s%.*s", is_wildcard ? "any" : "",
             STR_ARG(is_wildcard ? str_sub(host, 1, host.n) : host));
    int rc = X509_check_host(c->x, name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL);

    ERR_clear_error();
    return rc == 1;
}

static void judge_entry(const struct judge *j, const struct certificate_entry *e, struct str host)
{
    struct certificate c;
    struct certificate_date when;
    enum certificate_state state;
    char why[CERTIFICATE_WHY_MAX], text[TEXT_MAX];
    const char *label = e->folder ? e->label : e->path;

    if (!certificate_entry_read(e, NULL, &c, why)) {
        tell(j, true, why, "Handshakes that want it fail.");
        certificate_fini(&c);
        return;
    }
    const char *what = certificate_dates(&c, clock_wall_us() / 1000000, &when, &state);

    if (what) {
        snprintf(text, sizeof(text), "%s %s %s", label, what, when.z);
        tell(j, false, text, "Renew it: clients refuse a certificate outside of its dates.");
    }
    if (host.n && !is_for(&c, host)) {
        snprintf(text, sizeof(text), "%s is not for the host %.*s", label, STR_ARG(host));
        tell(j, false, text,
             "Clients refuse it: take one that has the host among its names "
             "(subjectAltName), or correct the binding.");
    }
    certificate_fini(&c);
}

static bool may_be_read(const char *path)
{
    return !path || access(path, R_OK) == 0 || errno != EACCES;
}

static void judge_central(const struct judge *j, const struct config_binding *b, const char *stores)
{
    _cleanup_free_ char *folder = xasprintf("%s/central", stores);
    _cleanup_free_ char *password =
        b->certificate_password.n ? str_dup_z(b->certificate_password) : NULL;
    char text[TEXT_MAX];
    struct central_files files = {0};

    if (!may_be_read(folder))
        return;
    central_files_load(&files, folder);
    if (files.n == 0) {
        snprintf(text, sizeof(text), "The central store %.300s has no certificate", folder);
        tell(j, false, text, "Put files there that are named by the host: www.example.com.pfx.");
    }
    for (size_t i = 0; i < files.n && i < CENTRAL_FILES_MAX; i++) {
        const struct central_file *f = &files.list[i];
        _cleanup_free_ char *path = xasprintf("%s/%s", folder, f->file);
        _cleanup_free_ char *host =
            f->name[0] == '_' ? xasprintf("*%s", f->name + 1) : xstrdup(f->name);
        const struct certificate_entry e = {.path = path, .password = password};
        if (may_be_read(path))
            judge_entry(j, &e, str_z(host));
    }
    central_files_fini(&files);
}

void certificate_judge(const struct config_binding *b, const struct http_bindings *registry,
                       const char *system_drive, certificate_on_fault *on_fault, void *arg)
{
    const struct ssl_binding *r = certificate_registry_entry(registry, b);
    struct judge j = {.on_fault = on_fault, .arg = arg};
    _cleanup_free_ char *stores = xasprintf("%s/certs", system_drive);
    _cleanup_free_ char *path = b->certificate_file.n ? str_dup_z(b->certificate_file) : NULL;
    _cleanup_free_ char *key =
        b->certificate_key_file.n ? str_dup_z(b->certificate_key_file) : NULL;
    _cleanup_free_ char *password =
        b->certificate_password.n ? str_dup_z(b->certificate_password) : NULL;
    _cleanup_free_ char *folder = NULL, *thumbprint = NULL, *label = NULL;
    struct certificate_entry e = {.path = path, .key_path = key, .password = password};

    if (!path && (b->ssl_flags & CERTIFICATE_FLAG_CENTRAL)) {
        judge_central(&j, b, stores);
        return;
    }
    if (!path && certificate_registry_source(r, stores, &folder, &thumbprint)) {
        label = xasprintf("%s %s", r->store, thumbprint);
        j.registry = r;
        e = (struct certificate_entry){
            .label = label, .folder = folder, .thumbprint = thumbprint, .password = password};
    } else if (!path) {
        tell(&j, false, "No certificate: neither the binding nor SslBindingInfo names one",
             "Its handshakes fail: set certificateFile, or give the address and port a "
             "SslCertHash in http.reg.");
        return;
    }
    if (may_be_read(path) && may_be_read(key) && may_be_read(folder))
        judge_entry(&j, &e, b->host);
}
