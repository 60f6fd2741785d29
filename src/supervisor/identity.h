/* As whom a process runs. As root the listener and each pool have a system user of their own,
 * made when it is missing; anybody else runs everything as himself. */
#ifndef CANDOR_SUPERVISOR_IDENTITY_H
#define CANDOR_SUPERVISOR_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/rc.h"
#include "base/str.h"

struct config_pool;

enum { IDENTITY_NAME_MAX = 32 };

struct identity {
    bool changes; /* the child must become uid and gid before it executes */
    uid_t uid;
    gid_t gid;
    char user[IDENTITY_NAME_MAX + 1];
    char home[256];
};

/* The system user's name for a pool with ApplicationPoolIdentity: "candor-" and the pool's name in
 * lower case; what useradd would refuse becomes '-'. Names that this would make equal, too long,
 * or one of our own end in eight hexadecimal digits of the pool's name. */
void identity_pool_user(struct str pool, char out[IDENTITY_NAME_MAX + 1]);

/* Whom the listener runs as: candor-listener. When that user is missing and cannot be made: nobody,
 * and *ret_why says so (else NULL). */
void identity_for_listener(struct identity *ret, const char **ret_why);

/* Whom a pool's worker runs as. RC_OK: *ret is set; *ret_why is NULL or tells what was done
 * instead of what the pool asks for. RC_FAIL: SpecificUser with a userName that does not exist. */
MUST_CHECK enum rc identity_for_pool(const struct config_pool *pool, struct identity *ret,
                                     const char **ret_why);

/* Whom identity_for_pool would give, without making users: one that is missing has its name and
 * nobody's rights. False: SpecificUser with a userName that does not exist. */
MUST_CHECK bool identity_foresee(const struct config_pool *pool, struct identity *ret);

/* In the child, before it executes: becomes the identity for good. False with errno. */
MUST_CHECK bool identity_assume(const struct identity *id);

#endif
