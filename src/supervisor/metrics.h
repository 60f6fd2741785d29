/* --metrics: the socket for GET /metrics, which the listener serves, and what the supervisor tells
 * it about pools and workers (listener/metrics_table.h has the families). */
#ifndef CANDOR_SUPERVISOR_METRICS_H
#define CANDOR_SUPERVISOR_METRICS_H

#include <stdbool.h>

#include "base/str.h"

struct supervisor;

/* Whether text is what --metrics takes: a port, which is of 127.0.0.1, or ADDRESS:PORT with an
 * IPv4 address or an IPv6 address in brackets. */
bool metrics_address_ok(struct str text);

/* Opens the socket, if one is wanted. False: said on standard error. */
bool metrics_begin(struct supervisor *s);
/* Tells on standard error where the metrics are, and who can read them if it is not only we. */
void metrics_say_address(const struct supervisor *s);
/* To a listener that has just started. */
void metrics_send(struct supervisor *s);
/* Something that is exposed about pools has changed: the listener is told soon, once for many. */
void metrics_changed(struct supervisor *s);
void metrics_end(struct supervisor *s);

#endif
