/* Bindings that cannot be served beside each other. */
#ifndef CANDOR_CONFIG_CONFLICT_H
#define CANDOR_CONFIG_CONFLICT_H

#include "config/config.h"

/* Why a site cannot start beside those that have. */
struct config_conflict {
    const struct config_site *other;      /* the site itself if it wants both schemes */
    const struct config_binding *binding; /* of the site that wants to start */
    bool is_scheme; /* one port for http and https; else protocol, address, port and host are taken
                     */
};

/* False: nothing stands in the way of `site` beside those for which started() holds. Addresses are
 * compared as addresses, not as text. */
bool config_find_conflict(const struct config *c, const struct config_site *site,
                          bool (*started)(void *arg, const struct config_site *other), void *arg,
                          struct config_conflict *ret);

/* As the end of a sentence about the site; the caller frees. */
char *config_conflict_text(const struct config_site *site, const struct config_conflict *c);

#endif
