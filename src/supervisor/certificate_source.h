/* One place where a certificate of a binding comes from, with what was last read there. */
#ifndef CANDOR_SUPERVISOR_CERTIFICATE_SOURCE_H
#define CANDOR_SUPERVISOR_CERTIFICATE_SOURCE_H

#include <jansson.h>

#include "config/config.h"
#include "supervisor/certificate_file.h"
#include "tables/http_bindings.h"

struct supervisor;

enum certificate_state { CERTIFICATE_VALID, CERTIFICATE_ENDS_SOON, CERTIFICATE_OUT_OF_DATE };

/* sslFlags of a binding. */
enum { CERTIFICATE_FLAG_SNI = 1, CERTIFICATE_FLAG_CENTRAL = 2, CERTIFICATE_FLAG_NO_STAPLING = 8 };

struct certificate_date {
    char z[32];
};

struct certificate_entry {
    struct certificate_entry *next;
    char *label; /* for people: "/etc/x.pem", "MY 0123…" */
    char *path, *key_path, *password;
    char *folder, *thumbprint; /* of a store, instead of path */
    bool is_wanted;            /* by the configuration in force */
    bool has_good;
    struct certificate good;
    enum certificate_state state;
    char *complaint;       /* told last; NULL: all is well */
    unsigned char *staple; /* OCSP response for good; NULL: none */
    size_t staple_n;
    int64_t staple_until_s;
    uint64_t staple_due_ms; /* when to ask for one, monotonic; 0: at once */
    unsigned staple_failures;
    bool wants_staple;
};

/* What the registry says of a binding; NULL: nothing. */
const struct ssl_binding *certificate_registry_entry(const struct http_bindings *all,
                                                     const struct config_binding *b);
/* The folder of the stores and the thumbprint that r names, to be freed. False: it names none. */
bool certificate_registry_source(const struct ssl_binding *r, const char *stores, char **ret_folder,
                                 char **ret_thumbprint);

void certificate_entry_free(struct certificate_entry *e);
/* Reads what e names, which stays as it is. As certificate_read. */
MUST_CHECK bool certificate_entry_read(const struct certificate_entry *e,
                                       STACK_OF(X509) * intermediates, struct certificate *ret,
                                       char why[CERTIFICATE_WHY_MAX]);
/* "is not valid before", "is not valid since" or "ends on" that date; NULL: nothing to be told. */
const char *certificate_dates(const struct certificate *c, int64_t now_s,
                              struct certificate_date *ret_date, enum certificate_state *ret_state);
/* Reads it anew. What is bad is told, once, and the certificate before it stays. True: good has
 * changed. */
bool certificate_entry_look(struct supervisor *s, struct certificate_entry *e,
                            STACK_OF(X509) * intermediates);
/* No response, and one is wanted at once. */
void certificate_entry_drop_staple(struct certificate_entry *e);
/* {id, chain, key, staple?} */
json_t *certificate_entry_json(const struct certificate_entry *e);

#endif
