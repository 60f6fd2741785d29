/* Reports: the model and the findings as text for a terminal or as JSON. */
#ifndef CANDOR_DIAGNOSE_REPORT_H
#define CANDOR_DIAGNOSE_REPORT_H

#include "base/buf.h"
#include "diagnose/finding.h"
#include "diagnose/model.h"

struct report_options {
    uint32_t top;   /* rows per table */
    uint32_t width; /* columns of the terminal, 40 or more */
    bool has_colour;
};

void report_text(struct buf *out, const struct model *m, const struct findings *fs,
                 const struct report_options *o);
/* The keys are a contract (docs/diagnose.md). */
void report_json(struct buf *out, const struct model *m, const struct findings *fs,
                 const struct report_options *o);

/* "2026-03-14T08:00:01Z", or "" without a time; the second with a blank and no Z, for tables. */
struct str report_time(int64_t time_s, char out[32]);
struct str report_time_short(int64_t time_s, char out[32]);

/* Text of a log as valid UTF-8: bytes that are none count as Windows-1252. Control characters
 * become '.', so that a terminal does what we want and not what a client wants. */
void report_plain(struct buf *out, struct str s);
/* A JSON string with its quotes. */
void report_json_str(struct buf *out, struct str s);

#endif
