/* One place where a certificate of a binding comes from, with what was last read there. */
#ifndef CANDOR_SUPERVISOR_CERTIFICATE_SOURCE_H
#define CANDOR_SUPERVISOR_CERTIFICATE_SOURCE_H

#include <jansson.h>

#include "supervisor/certificate_file.h"

struct supervisor;

enum certificate_state { CERTIFICATE_VALID, CERTIFICATE_ENDS_SOON, CERTIFICATE_OUT_OF_DATE };

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

void certificate_entry_free(struct certificate_entry *e);
/* Reads it anew. What is bad is told, once, and the certificate before it stays. True: good has
 * changed. */
bool certificate_entry_look(struct supervisor *s, struct certificate_entry *e,
                            STACK_OF(X509) * intermediates);
/* No response, and one is wanted at once. */
void certificate_entry_drop_staple(struct certificate_entry *e);
/* {id, chain, key, staple?} */
json_t *certificate_entry_json(const struct certificate_entry *e);

#endif
