/* Readers of whole documents: HAR files, failed request traces, exported events. */
#ifndef CANDOR_DIAGNOSE_DOCUMENTS_H
#define CANDOR_DIAGNOSE_DOCUMENTS_H

#include "diagnose/sink.h"

enum { DOCUMENT_MAX = 24 << 20 }; /* the most that is read of one: a tree of it is in memory */

/* One record per entry; JSONP wrappers and byte order marks are taken off. Gives NULL, or why it
 * can't be read (the caller frees). */
char *har_read(struct sink *sink, struct str text);
/* One record per trace, of the attributes of its root. NULL, or why it can't be read (the caller
 * frees). */
char *freb_read(struct sink *sink, struct str text);

/* A site's log that was written to event tracing (logTargetW3C="ETW") and exported as XML: one
 * record per event of that source. NULL, or why it can't be read (the caller frees). */
char *events_read(struct sink *sink, struct str text);
/* The name that such events have. */
extern const struct str events_source;

#endif
