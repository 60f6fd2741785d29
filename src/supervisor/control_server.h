/* The control socket: one JSON object per line, answered by one line. For appcmd and tests; the
 * verbs are in docs/running.md. */
#ifndef CANDOR_SUPERVISOR_CONTROL_SERVER_H
#define CANDOR_SUPERVISOR_CONTROL_SERVER_H

#include <jansson.h>
#include <stddef.h>

struct control_server;
struct supervisor;

/* Listens at path (mode 0600), making the folder above it if it is missing; takes the place of a
 * socket that nobody serves any more. NULL: out[] says why. */
struct control_server *control_server_new(struct supervisor *s, const char *path, char *out,
                                          size_t room);
/* Removes the socket. Returns NULL; NULL is allowed. */
struct control_server *control_server_free(struct control_server *c);
/* The listener's answer to a "status" message; c may be NULL. */
void control_server_status(struct control_server *c, const json_t *msg);
/* The same for "cache". */
void control_server_cache(struct control_server *c, const json_t *msg);

#endif
