/* One record of a log, whatever wrote it: what the readers give and the tally counts. */
#ifndef CANDOR_DIAGNOSE_RECORD_H
#define CANDOR_DIAGNOSE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum log_kind {
    LOG_UNKNOWN = 0, /* nothing this program reads */
    LOG_W3C,         /* IIS, Azure, Advanced Logging, Exchange */
    LOG_IIS,         /* the fixed comma-separated format */
    LOG_NCSA,
    LOG_HTTPERR,
    LOG_FREB, /* one failed request trace: one record */
    LOG_HAR,
    LOG_FTP,
    LOG_ANCM,   /* ASP.NET Core Module: debug log or a program's standard output */
    LOG_EVENTS, /* a site's log as exported events: its records are LOG_W3C */
    LOG_KIND_MAX
};

/* "w3c", as in the JSON output. Static storage. */
const char *log_kind_name(enum log_kind kind);

/* No time in the record. */
#define RECORD_NO_TIME INT64_MIN

/* Views look into the reader's buffer and live until the next record. A missing or "-" value is
 * the empty view; a missing number is 0 and its flag is clear. */
struct record {
    enum log_kind kind;
    int64_t time_s;     /* seconds since 1970 UTC, or RECORD_NO_TIME */
    uint32_t status;    /* 0: none ("-", or a HAR entry without an answer) */
    uint32_t substatus; /* 0 when the log has none */
    uint64_t win32;
    uint64_t time_taken_ms, bytes_sent, bytes_received;
    bool has_time_taken;
    struct str url; /* the path, not decoded further than the log has it, without query */
    struct str user, client;
    struct str method; /* of documents and lines without columns; nothing counts it */
    struct str site;   /* "W3SVC1", "Default Web Site", or the number of s-siteid */
    struct str reason; /* HTTPERR's s-reason, FREB's failureReason; HAR: who answered */
    struct str pool;   /* HTTPERR's s-queuename, FREB's appPoolId */
    struct str text;   /* the whole line, without its end */
    /* HTTPERR: the last bytes of text, from the status on: the same bytes there mean the same
     * status, site, reason and pool. 0: not so, or not known. */
    uint32_t outcome_n;
};

#endif
