/* Keeps the OCSP responses of the certificates in use fresh: one question at a time, each response
 * replaced at half its life and dropped at its end. */
#ifndef CANDOR_SUPERVISOR_CERTIFICATE_STAPLES_H
#define CANDOR_SUPERVISOR_CERTIFICATE_STAPLES_H

#include "supervisor/certificate_source.h"

struct certificate_staples;

struct certificate_staples_options {
    struct supervisor *s;
    void *arg;
    /* The next certificate after e (NULL: the first), of all in use; NULL at the end. */
    struct certificate_entry *(*next)(void *arg, struct certificate_entry *e);
    /* The listener is to be told of new responses (or of their end). */
    void (*on_change)(void *arg);
};

struct certificate_staples *certificate_staples_new(const struct certificate_staples_options *o);
struct certificate_staples *certificate_staples_free(struct certificate_staples *t);
/* Certificates have come or gone: entries may be other ones from now on. */
void certificate_staples_look(struct certificate_staples *t);
/* e ends: call before it is freed. */
void certificate_staples_forget(struct certificate_staples *t, const struct certificate_entry *e);

#endif
