#include "supervisor/certificate_store.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/certificate_file.h"
#include "base/poison.h"

enum { STORE_FILES_MAX = 4096, CENTRAL_FILES_MAX = 100000, NAME_MAX_BYTES = 253 };

/* ---- folders -------------------------------------------------------------------------------- */

/* The next file of a folder that is not hidden, as a path to free; NULL at the end. */
static char *next_file(DIR *d, const char *folder)
{
    const struct dirent *e;

    while ((e = readdir(d)))
        if (e->d_name[0] != '.' && e->d_type != DT_DIR)
            return xasprintf("%s/%s", folder, e->d_name);
    return NULL;
}

static bool has_thumbprint(STACK_OF(X509) * certs, const char *wanted)
{
    char thumbprint[THUMBPRINT_HEX + 1];

    for (int i = 0; i < sk_X509_num(certs); i++) {
        certificate_thumbprint(sk_X509_value(certs, i), thumbprint);
        if (strcmp(thumbprint, wanted) == 0)
            return true;
    }
    return false;
}

/* Its own certificate, that is: a chain may bring others of the store with it. */
static bool is_it(const char *path, const char *thumbprint, const char *password)
{
    STACK_OF(X509) *certs = certificate_read_all(path, password, NULL);
    bool found = has_thumbprint(certs, thumbprint);

    sk_X509_pop_free(certs, X509_free);
    if (!found)
        return false;
    struct certificate_source from = {.path = path, .password = password};
    struct certificate c;
    char why[CERTIFICATE_WHY_MAX];

    /* One that cannot be used is found too: its fault is to be told. */
    bool read = certificate_read(&from, &c, why);

    found = !read || strcmp(c.thumbprint, thumbprint) == 0;
    certificate_fini(&c);
    return found;
}

static char *find_with(const char *folder, const char *thumbprint, const char *password)
{
    DIR *d = opendir(folder);
    char *path, *found = NULL;

    if (!d)
        return NULL;
    for (int i = 0; !found && i < STORE_FILES_MAX && (path = next_file(d, folder)); i++) {
        if (is_it(path, thumbprint, password))
            found = path;
        else
            free(path);
    }
    closedir(d);
    return found;
}

char *certificate_store_find(const char *folder, const char *thumbprint, const char *password)
{
    char *path = find_with(folder, thumbprint, NULL);

    return path || !password ? path : find_with(folder, thumbprint, password);
}

bool certificate_store_closed(const char *folder, const char *password,
                              char why[CERTIFICATE_WHY_MAX])
{
    DIR *d = opendir(folder);
    char *path;
    bool closed = false;

    for (int i = 0; d && !closed && i < STORE_FILES_MAX && (path = next_file(d, folder)); i++) {
        closed = certificate_is_closed(path, NULL, why) &&
                 (!password || certificate_is_closed(path, password, why));
        free(path);
    }
    if (d)
        closedir(d);
    return closed;
}

/* ---- trust ---------------------------------------------------------------------------------- */

static void collect(const char *folder, STACK_OF(X509) * certs, STACK_OF(X509_CRL) * lists)
{
    DIR *d = opendir(folder);
    char *path;

    for (int i = 0; d && i < STORE_FILES_MAX && (path = next_file(d, folder)); i++) {
        STACK_OF(X509_CRL) *some_lists = NULL;
        STACK_OF(X509) *some = certificate_read_all(path, NULL, lists ? &some_lists : NULL);
        while (sk_X509_num(some) > 0)
            sk_X509_push(certs, sk_X509_shift(some));
        while (sk_X509_CRL_num(some_lists) > 0)
            sk_X509_CRL_push(lists, sk_X509_CRL_shift(some_lists));
        sk_X509_free(some);
        sk_X509_CRL_free(some_lists);
        free(path);
    }
    if (d)
        closedir(d);
}

STACK_OF(X509) * certificate_store_all(const char *folder)
{
    STACK_OF(X509) *certs = sk_X509_new_null();

    INVARIANT(certs);
    collect(folder, certs, NULL);
    return certs;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *bio_text(BIO *b)
{
    char *p = NULL;
    long n = BIO_get_mem_data(b, &p);
    char *z = str_dup_z(str_n(p, (size_t)n));

    BIO_free(b);
    return z;
}

/* Sorted: the order of a folder may change without a change of its content. */
static json_t *join(char **texts, int n)
{
    size_t total = 0, at = 0;

    qsort(texts, (size_t)n, sizeof(char *), by_text);
    for (int i = 0; i < n; i++)
        total += strlen(texts[i]);
    char *all = xmalloc(total + 1);

    for (int i = 0; i < n; i++) {
        size_t len = strlen(texts[i]);
        memcpy(all + at, texts[i], len);
        at += len;
        free(texts[i]);
    }
    all[at] = '\0';
    json_t *j = json_string(all);

    free(all);
    free(texts);
    return j;
}

static json_t *certs_text(STACK_OF(X509) * certs)
{
    int n = sk_X509_num(certs);
    char **texts = xcalloc((size_t)n + 1, sizeof(char *));

    for (int i = 0; i < n; i++) {
        BIO *b = BIO_new(BIO_s_mem());
        INVARIANT(b && PEM_write_bio_X509(b, sk_X509_value(certs, i)) == 1);
        texts[i] = bio_text(b);
    }
    sk_X509_pop_free(certs, X509_free);
    return join(texts, n);
}

static json_t *lists_text(STACK_OF(X509_CRL) * lists)
{
    int n = sk_X509_CRL_num(lists);
    char **texts = xcalloc((size_t)n + 1, sizeof(char *));

    for (int i = 0; i < n; i++) {
        BIO *b = BIO_new(BIO_s_mem());
        INVARIANT(b && PEM_write_bio_X509_CRL(b, sk_X509_CRL_value(lists, i)) == 1);
        texts[i] = bio_text(b);
    }
    sk_X509_CRL_pop_free(lists, X509_CRL_free);
    return join(texts, n);
}

json_t *certificate_store_trust(const char *root_folder, const char *ca_folder)
{
    STACK_OF(X509) *roots = sk_X509_new_null(), *others = sk_X509_new_null();
    STACK_OF(X509_CRL) *lists = sk_X509_CRL_new_null();

    INVARIANT(roots && others && lists);
    collect(root_folder, roots, lists);
    collect(ca_folder, others, lists);
    return json_pack("{s:o, s:o, s:o}", "roots", certs_text(roots), "intermediates",
                     certs_text(others), "crls", lists_text(lists));
}

/* ---- central store -------------------------------------------------------------------------- */

/* The same characters as in a client's name, so that the two can be compared. */
static bool is_host_name(const char *z)
{
    for (size_t i = 0; z[i]; i++)
        if (!ascii_is_alpha(z[i]) && !ascii_is_digit(z[i]) && !strchr("-_.", z[i]))
            return false;
    return z[0] != '\0' && z[0] != '.' && strlen(z) <= NAME_MAX_BYTES;
}

/* NULL: not a certificate's file. */
static char *host_of(const char *file)
{
    static const char *const ends[] = {".pfx", ".p12", ".pem"};

    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        if (!str_iends(str_z(file), str_z(ends[i])))
            continue;
        char *name = str_dup_z(str_n(file, strlen(file) - strlen(ends[i])));
        for (char *p = name; *p; p++)
            *p = ascii_lower(*p);
        if (is_host_name(name))
            return name;
        free(name);
    }
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    const struct central_file *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->file, y->file);
}

void central_files_load(struct central_files *ret, const char *folder)
{
    DIR *d = opendir(folder);
    const struct dirent *e;

    *ret = (struct central_files){0};
    while (d && ret->n < CENTRAL_FILES_MAX && (e = readdir(d))) {
        char *name = e->d_type == DT_DIR ? NULL : host_of(e->d_name);
        if (!name)
            continue;
        ret->list = xgrow(ret->list, ret->n, &ret->cap, sizeof(*ret->list));
        ret->list[ret->n++] = (struct central_file){.name = name, .file = xstrdup(e->d_name)};
    }
    if (d)
        closedir(d);
    if (ret->n)
        qsort(ret->list, ret->n, sizeof(*ret->list), by_name);
}

void central_files_fini(struct central_files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->list[i].name);
        free(f->list[i].file);
    }
    free(f->list);
    *f = (struct central_files){0};
}

const struct central_file *central_files_find(const struct central_files *f, struct str name)
{
    size_t low = 0, high = f->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (str_cmp(str_z(f->list[mid].name), name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < f->n && str_eq(str_z(f->list[low].name), name) ? &f->list[low] : NULL;
}
