/* Talking to a running server over its control socket: one JSON object there, one back. */
#ifndef CANDOR_TOOLKIT_APPCMD_CONTROL_H
#define CANDOR_TOOLKIT_APPCMD_CONTROL_H

#include <jansson.h>

/* Where a server of this user listens unless --control says otherwise; the caller frees. */
char *appcmd_control_path(void);

/* Sends the request (taken over) to the server at path and gives its answer, which is the caller's.
 * NULL: *ret_why is one clause that says why not, for the caller to free. */
json_t *appcmd_ask(const char *path, json_t *request, char **ret_why);

#endif
