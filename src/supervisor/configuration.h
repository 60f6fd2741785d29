/* Taking a configuration into force: at the start, after a change of its file, on SIGHUP. */
#ifndef CANDOR_SUPERVISOR_CONFIGURATION_H
#define CANDOR_SUPERVISOR_CONFIGURATION_H

#include <stdbool.h>

struct supervisor;

/* Reads everything, opens the sockets, makes the pools. False: said on standard error why the
 * server cannot start. */
bool configuration_begin(struct supervisor *s);
/* Reads everything again. What is not valid changes nothing but the event log. */
void configuration_reload(struct supervisor *s);
/* Makes the log folders that have vanished: the listener may not be allowed to. */
void configuration_restore_log_folders(struct supervisor *s);
/* Frees what configuration_begin made, also after it failed. */
void configuration_end(struct supervisor *s);

#endif
