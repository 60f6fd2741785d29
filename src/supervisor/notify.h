/* The service manager's notification socket (sd_notify(3)). */
#ifndef CANDOR_SUPERVISOR_NOTIFY_H
#define CANDOR_SUPERVISOR_NOTIFY_H

/* Sends "READY=1" and the like to the address in NOTIFY_SOCKET. Nothing happens without one; a
 * manager that does not listen is not an error. */
void notify_manager(const char *state);

#endif
