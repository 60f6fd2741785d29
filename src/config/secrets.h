/* What a worker has no business to know. */
#ifndef CANDOR_CONFIG_SECRETS_H
#define CANDOR_CONFIG_SECRETS_H

#include "base/str.h"

/* Overwrites, in the text of an applicationHost.config that a worker is to get, the user names and
 * passwords of processModel elements (those of its own pool and of all others: identities are the
 * supervisor's business). Neither length nor lines change, so errors still point at the right place.
 * UTF-8 or UTF-16. */
void config_mask_process_identities(char *bytes, size_t n);

#endif
