/* Who listens on a port already: for the message that says so. */
#ifndef CANDOR_SUPERVISOR_PORT_HOLDER_H
#define CANDOR_SUPERVISOR_PORT_HOLDER_H

#include <stddef.h>
#include <stdint.h>

/* Writes "NAME (pid N)" of a process that listens on the TCP port, or "another process" when the
 * kernel does not show us whose socket it is, or nothing if no socket listens there. */
void port_holder_describe(uint16_t port, char *out, size_t room);

#endif
