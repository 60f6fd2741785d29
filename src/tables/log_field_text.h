/* What the columns of logs hold, for people. The rows come from text/log_fields.tbl. */
#ifndef CANDOR_TABLES_LOG_FIELD_TEXT_H
#define CANDOR_TABLES_LOG_FIELD_TEXT_H

#include <stddef.h>

#include "base/str.h"

/* Constant; strings are never NULL unless the comment says so, lists end with NULL. */
struct log_field_text {
    const char *name; /* "sc-win32-status", "cs(User-Agent)" */
    const char *title;
    const char *text;
    const char *note;        /* may be NULL */
    const char *const *logs; /* "HTTPERR" */
    const char *const *versions;
    const char *const *remedies;
    const char *const *sources;
};

/* By the name in #Fields, letter case aside; NULL if there is none. */
const struct log_field_text *log_field_text_find(struct str name);

/* Iteration in order of name; NULL from the count on. */
size_t log_field_text_count(void);
const struct log_field_text *log_field_text_at(size_t i);

#endif
