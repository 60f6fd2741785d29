/* The listener: the role of HTTP.sys. A process of its own that owns the clients' connections,
 * parses, enforces limits and timers, routes, queues, hands requests to workers over rings, sends
 * what they answer, and writes HTTPERR and the site logs. */
#ifndef CANDOR_LISTENER_LISTENER_H
#define CANDOR_LISTENER_LISTENER_H

/* The process's main function; talks to the supervisor on CONTROL_FD (queue/control.h). Returns
 * the exit status. */
int listener_main(void);
/* The same without giving up any privileges, for tests that play the supervisor in its process. */
int listener_run(void);

#endif
