/* What the server tells its operator: the events of IIS that have a counterpart here, and our own
 * (CND-1001 and so on). The rows are in event_rows.h. */
#ifndef CANDOR_TABLES_EVENTS_H
#define CANDOR_TABLES_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* EV_WAS_RAPID_FAIL and so on: an index into the table, never written anywhere. */
enum event_id {
#define EVENT(name, source, id, level, text, remedy) EV_##name,
#include "tables/event_rows.h"
#undef EVENT
    EV_COUNT
};

/* The numbers are those of enum event_level of logging/event_log.h. */
enum event_severity {
    EVENT_SEVERITY_ERROR = 0,
    EVENT_SEVERITY_WARNING,
    EVENT_SEVERITY_INFO,
};

/* Constant; strings are never NULL. */
struct event_row {
    const char *source; /* provider as in the Windows event log: "Microsoft-Windows-WAS" */
    const char *code;   /* for people: "WAS-5002", "CND-1001" */
    uint32_t id;
    enum event_severity severity;
    const char *text;   /* %1 to %9 stand for the facts */
    const char *remedy; /* "" if there is nothing to do */
};

/* The row of an event; a number that is none ends the process. */
const struct event_row *event_row(enum event_id id);
/* By its code, letter case aside, or by source and id; NULL if there is none. */
const struct event_row *event_find_code(struct str code);
const struct event_row *event_find(struct str source, uint32_t id);

/* The text with its facts, appended to *out. A fact that args lacks becomes "?". Facts are put in
 * as they are: out must go to a sink that escapes. */
void event_format(const struct event_row *row, const struct str *args, size_t arg_count,
                  struct buf *out);

#endif
