/* The columns of a W3C-like log: what a #Fields line says, made ready for reading. */
#ifndef CANDOR_DIAGNOSE_LAYOUT_H
#define CANDOR_DIAGNOSE_LAYOUT_H

#include "diagnose/record.h"

enum field {
    FIELD_DATE,
    FIELD_TIME,
    FIELD_SITE,
    FIELD_METHOD,
    FIELD_URL,
    FIELD_USER,
    FIELD_CLIENT,
    FIELD_STATUS,
    FIELD_SUBSTATUS,
    FIELD_WIN32,
    FIELD_SENT,
    FIELD_RECEIVED,
    FIELD_TAKEN,
    FIELD_REASON,
    FIELD_POOL,
    FIELD_MAX
};

enum {
    COLUMNS_FAST = 110, /* lines of more columns are read the slow way */
    COLUMN_NONE = 255,  /* of a field that is missing */
    COLUMN_STARTS = 2048,
    COLUMNS_MAX = 400, /* a #Fields of more is refused */
};

struct layout {
    enum log_kind kind; /* LOG_W3C, LOG_HTTPERR or LOG_FTP */
    uint32_t columns;
    uint8_t at[FIELD_MAX]; /* column of a field, or COLUMN_NONE */
    uint8_t outcome; /* HTTPERR as it is usual: no numbers but the status, and from that column
                      * on what record.h calls the outcome. COLUMN_NONE: not so */
    bool has_date;   /* date and time are neighbours, in this order, in plain form */
    bool is_quoted;  /* strings may stand in quotes and hold blanks */
    bool is_guess;   /* from a record's shape, not from a header: each record is checked */
    bool has_local_time;
    bool is_settled;   /* kind was checked against a record */
    struct str fields; /* names, one blank between; owned, NUL-terminated */
};

/* The layout of the text after "#Fields:", or NULL when that is no list of an IIS log's columns
 * (commas, tabs, no known name); *ret_why then says so. The caller frees with layout_free. */
struct layout *layout_new(struct str fields, const char **ret_why);
struct layout *layout_free(struct layout *l); /* NULL */

/* A header-less record's layout by what its values look like (IIS 6 to 10, Azure, HTTPERR), or
 * NULL. v are its values. */
struct layout *layout_guess(const struct str *v, size_t n);

/* The method column of an FTP log: "[12]USER", "ControlChannelOpened", "PASS". */
bool layout_is_ftp_verb(struct str s);

#endif
