/* The folders that stand for Windows' certificate stores. */
#ifndef CANDOR_SUPERVISOR_CERTIFICATE_STORE_H
#define CANDOR_SUPERVISOR_CERTIFICATE_STORE_H

#include <jansson.h>
#include <openssl/x509.h>

#include "base/str.h"
#include "supervisor/certificate_file.h"

/* The file of folder in which a certificate has this SHA-1 thumbprint (lower-case hex), whatever
 * the file is called; password opens PFX files that the empty one does not. NULL: none. To free. */
char *certificate_store_find(const char *folder, const char *thumbprint, const char *password);

/* True: a file of folder could not be looked into; why[] names the first, with the remedy. */
bool certificate_store_closed(const char *folder, const char *password,
                              char why[CERTIFICATE_WHY_MAX]);

/* {roots, intermediates, crls}, PEM texts for the listener: whose client certificates are trusted.
 */
json_t *certificate_store_trust(const char *root_folder, const char *ca_folder);
/* All certificates of a folder; to free by sk_X509_pop_free. Never NULL. */
STACK_OF(X509) * certificate_store_all(const char *folder);

/* A central store: files named by the host that they are for. */
struct central_file {
    char *name; /* "www.example.com", "_.example.com" */
    char *file; /* within the folder */
};
struct central_files {
    struct central_file *list; /* by name */
    size_t n, cap;
};
void central_files_load(struct central_files *ret, const char *folder);
void central_files_fini(struct central_files *f);
/* NULL: there is none of this name. */
const struct central_file *central_files_find(const struct central_files *f, struct str name);

#endif
