/* The development certificate of `candor serve DIR --https`: self-signed, for this machine only. */
#ifndef CANDOR_SUPERVISOR_CERTIFICATE_DEV_H
#define CANDOR_SUPERVISOR_CERTIFICATE_DEV_H

#include "base/rc.h"
#include "supervisor/certificate_file.h"

/* Makes sure that folder has development.crt and development.key (mode 0600): for localhost,
 * 127.0.0.1 and ::1, P-256, valid for a year, made anew a month before its end. *ret_made: it is
 * new. False: why[] says what is wrong. */
MUST_CHECK bool certificate_dev_ensure(const char *folder, bool *ret_made,
                                       char why[CERTIFICATE_WHY_MAX]);
/* Their paths, to free. */
char *certificate_dev_path(const char *folder);
char *certificate_dev_key_path(const char *folder);

#endif
