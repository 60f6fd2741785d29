/* The columns that the logs know, in the order in which they are written. */
#ifndef CANDOR_LOGGING_LOG_FIELDS_H
#define CANDOR_LOGGING_LOG_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* How a column's value is written; what it is taken from is the column's offset in the record. */
enum log_op {
    LOG_OP_DATE, /* of the completion, UTC */
    LOG_OP_TIME,
    LOG_OP_STAMP,     /* date and time beside each other */
    LOG_OP_SITE_NAME, /* of the program */
    LOG_OP_COMPUTER,
    LOG_OP_FIELD,     /* struct str; beyond LOG_FIELD_MAX "..." */
    LOG_OP_CLIP,      /* struct str; cut after LOG_FIELD_MAX bytes */
    LOG_OP_METHOD,    /* struct str; cut after LOG_METHOD_MAX bytes */
    LOG_OP_URI,       /* uri and query of an HTTPERR record, together LOG_FIELD_MAX bytes */
    LOG_OP_ADDR,      /* text of a struct log_addr */
    LOG_OP_ADDR_ZONE, /* the same, IPv6 always with a zone */
    LOG_OP_PORT,      /* port of a struct log_addr */
    LOG_OP_U16,
    LOG_OP_STATUS, /* uint16_t, "-" for 0 */
    LOG_OP_U32,
    LOG_OP_U32_DASH, /* uint32_t, "-" for 0 */
    LOG_OP_U64,
    LOG_OP_DASH,   /* a column that we never have a value for */
    LOG_OP_CUSTOM, /* offset: index of the custom field */
};

enum { LOG_METHOD_MAX = 255 };

struct log_column {
    const char *name;      /* as in #Fields */
    const char *flag_name; /* as in logExtFileFlags; NULL for HTTPERR */
    uint32_t flag;
    enum log_op op;
    size_t offset; /* in struct log_record or struct log_httperr_record */
};

/* End with a row without name. */
extern const struct log_column log_w3c_columns[];
/* A column is written if the mask has any bit of its flag and the generation of columns is at
 * least from. */
extern const struct log_httperr_column {
    struct log_column column;
    uint32_t from;
} log_httperr_columns_all[];

#endif
