/* Which sites start, and on which sockets. */
#ifndef CANDOR_SUPERVISOR_SITES_H
#define CANDOR_SUPERVISOR_SITES_H

#include <stdbool.h>

struct config_site;
struct supervisor;

/* Takes the listening sockets that a service manager has opened for us. Once, before sites_plan. */
void sites_take_sockets(struct supervisor *s);
/* Decides for the configuration in force which sites start, and opens their sockets; those that no
 * site needs are no longer wanted. Says which sites do not start, and why, once. */
void sites_plan(struct supervisor *s);
/* False: some site could not have its port. */
bool sites_have_sockets(const struct supervisor *s);
/* Whether the plan starts the site; arg is the supervisor. */
bool sites_started(void *arg, const struct config_site *site);
/* What the file asks for and nobody gets: bindings of a protocol to come, applications whose pool
 * does not exist. */
void sites_say_unserved(struct supervisor *s);
/* "candor: listening on ..." for every binding that is served. */
void sites_say_addresses(const struct supervisor *s);
void sites_free(struct supervisor *s);

#endif
