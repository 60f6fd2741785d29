/* What is wrong with the certificate of a binding, told to somebody who does not serve: the same
 * places, reading and dates as in service. */
#ifndef CANDOR_SUPERVISOR_CERTIFICATE_JUDGE_H
#define CANDOR_SUPERVISOR_CERTIFICATE_JUDGE_H

#include <stdbool.h>

#include "config/config.h"
#include "tables/http_bindings.h"

struct certificate_fault {
    bool is_error;                      /* handshakes fail; else clients complain, or soon will */
    const struct ssl_binding *registry; /* that names the certificate; NULL: the binding does */
    const char *text, *remedy;          /* one sentence each */
};

typedef void certificate_on_fault(void *arg, const struct certificate_fault *fault);

/* Reads what b, an https binding, is served by; system_drive has the stores. What the process may
 * not read is not judged, for the server may. */
void certificate_judge(const struct config_binding *b, const struct http_bindings *registry,
                       const char *system_drive, certificate_on_fault *on_fault, void *arg);

#endif
