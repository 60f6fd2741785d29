/* What the listener does for each reason it logs in HTTPERR: the answer it sends by itself, and
 * what the reason means. Facts: KB 820729 (reasons), captured answers of HTTP.sys (pages). */
#ifndef CANDOR_TABLES_HTTPERR_H
#define CANDOR_TABLES_HTTPERR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "http/httperr_reason.h"

/* Constant, lives as long as the process. Strings are NUL-terminated; lists end with NULL. */
struct httperr_row {
    enum httperr_reason reason;
    uint16_t status;    /* of the answer; 0: the connection ends without one, the log says "-" */
    struct str name;    /* s-reason: "QueueFull" */
    struct str title;   /* of the page, and the reason phrase on the status line */
    struct str heading; /* its <h2> */
    struct str text;    /* its sentence after "HTTP Error NNN. " */
    const char *meaning;
    const char *const *causes;   /* most likely first; never NULL */
    const char *const *remedies; /* never NULL */
    const char *const *settings; /* HTTP parameters and configuration that decide; never NULL */
    const char *note;            /* where documents disagree, or a trap; may be NULL */
    const char *reproduce;
    const char *command;  /* a command line that does; HOST stands for the server; may be NULL */
    const char *versions; /* of HTTP.sys that write it */
    const char *const *sources; /* never NULL */
    struct str body;            /* the whole body of the answer; empty without one */
    bool logged;                /* false: documented, but IIS 7 and later never write it */
};

/* The row of a reason; HTTPERR_NONE and numbers that are no reason end the process. */
const struct httperr_row *httperr_find(enum httperr_reason reason);

/* The row by its s-reason, letter case aside, or NULL. */
const struct httperr_row *httperr_find_name(struct str name);

/* Whether the client gets an answer. */
static inline bool httperr_has_response(const struct httperr_row *row)
{
    return row->status != 0;
}

/* The complete body of the listener's own answer, the empty view for a reason without one. A
 * constant. */
struct str httperr_response(enum httperr_reason reason);

#endif
