/* `candor check` and the certificates of https bindings, with the HTTP parameters that name some.
 */
#ifndef CANDOR_TOOLKIT_CHECK_CERTIFICATES_H
#define CANDOR_TOOLKIT_CHECK_CERTIFICATES_H

#include "config/config.h"
#include "tables/http_bindings.h"
#include "toolkit/check_report.h"

/* A registry export: its findings. With ret, what it says of bindings, to be ended by
 * http_bindings_fini, whatever was found. */
void check_registry(struct check_report *report, const char *path, struct http_bindings *ret);

/* The certificates of every https binding. registry_path: NULL: http.reg beside the configuration
 * file, if there is one. */
void check_certificates(struct check_report *report, struct config *c, const char *registry_path,
                        const char *system_drive);

#endif
