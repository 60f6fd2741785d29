/* The events that IIS writes into traces: what each says, in words. */
#ifndef CANDOR_TRACE_CATALOGUE_H
#define CANDOR_TRACE_CATALOGUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Constant. */
struct freb_kind {
    const char *name;
    const char *area;    /* keyword of the provider's area: "Security" */
    unsigned opcode;     /* within the area; 0: not known */
    const char *meaning; /* one sentence */
    const char *todo;    /* what to look at when it is a warning or an error; NULL: nothing */
};

/* By the name of the event; NULL if it is not in the catalogue. Any thread. */
const struct freb_kind *freb_kind_find(struct str name);
/* By area and number, for files that do not name their events. */
const struct freb_kind *freb_kind_by_opcode(struct str area, unsigned opcode);
/* Iteration in order of name; NULL from freb_kind_count() on. */
size_t freb_kind_count(void);
const struct freb_kind *freb_kind_at(size_t i);

/* Areas of the WWW Server provider by the GUID ("{…}") or by the flag of an event; NULL if unknown.
 * Flag 0 is "General". */
const char *freb_area_by_guid(struct str guid);
const char *freb_area_by_flag(uint64_t flag);

/* "BEGIN_REQUEST" for 1; NULL if the number is none. */
const char *freb_notification_name(uint64_t number);

#endif
