/* Readers of the formats without header: one line, one record. */
#ifndef CANDOR_DIAGNOSE_LINES_H
#define CANDOR_DIAGNOSE_LINES_H

#include "diagnose/sink.h"

/* False: the line is not of that format. Views of *ret_r look into the line. */
MUST_CHECK bool native_parse(struct str line, struct record *ret_r);
MUST_CHECK bool ncsa_parse(struct str line, struct record *ret_r);

/* A line that an ASP.NET Core Module log or a program's console log has and others have not. */
bool ancm_is_mark(struct str line);

/* Reads the lines of [p, end), the last one ends with '\n'; *line is the number of lines before p
 * and moves on. Kinds LOG_IIS, LOG_NCSA, LOG_ANCM. */
void lines_read(struct sink *sink, enum log_kind kind, const char *p, const char *end,
                uint64_t *line);

#endif
