/* The status catalogue: one row per status and sub-status that IIS documents or sends. Code names
 * a row through its symbol (st_404_8_hidden_segment, listed in the generated status_rows.h), so a
 * bare number never becomes an answer. The rows come from the folder status. */
#ifndef CANDOR_TABLES_STATUS_H
#define CANDOR_TABLES_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum status_log {
    STATUS_LOG_IIS,     /* the site's own log, with sc-substatus */
    STATUS_LOG_HTTPERR, /* the listener's error log only */
    STATUS_LOG_NONE,    /* neither */
};

/* Everything is constant and lives as long as the process. Strings are NUL-terminated and never
 * NULL unless the comment says so; lists end with NULL and are never NULL themselves. */
struct status_row {
    uint16_t status;
    uint16_t substatus;
    enum status_log log;
    const uint32_t *hresults; /* what IIS reports with it; the first one is the default */
    size_t hresult_count;     /* at least 1; a lone 0 means "no error code" */
    struct str reason;        /* phrase on the wire: "Not Found" */
    const char *code;         /* "404.8" */
    const char *name;         /* "ST_404_8_HIDDEN_SEGMENT" */
    const char *title;        /* a few words: "Hidden namespace" */
    const char *text;         /* one or two sentences: what happened */
    const char *component;    /* IIS's name of who raises it: "RequestFilteringModule" */
    const char *produced;     /* what raises it in this product now; NULL if nothing does */
    const char *reproduce;    /* how to provoke it */
    const char *command; /* a command line that does; HOST stands for the server; may be NULL */
    const char *note;    /* where the documents disagree, or a trap; NULL if none */
    const char *const *versions;
    const char *const *causes;     /* most likely first */
    const char *const *remedies;   /* steps; a line break may be followed by a piece of XML */
    const char *const *on_windows; /* steps that only Windows has */
    const char *const *on_candor;  /* or only this server */
    const char *const *settings;   /* section/attribute or registry value names */
    const char *const *sources;
};

/* The row of a status and sub-status, or NULL. A plain status has sub-status 0. Any thread. */
const struct status_row *status_find(uint16_t status, uint16_t substatus);

/* The row that stands for a pair somebody else set (an application, an upstream): the exact one,
 * else that of the same status with sub-status 0, else NULL. */
const struct status_row *status_find_nearest(uint16_t status, uint16_t substatus);

/* Iteration in order of status, then sub-status. NULL from status_count() on. */
size_t status_count(void);
const struct status_row *status_at(size_t i);

/* The default error code of a row, and what the site log writes for it (sc-win32-status). */
static inline uint32_t status_hresult(const struct status_row *row)
{
    return row->hresults[0];
}

/* The reason phrase for any number: IIS's own where it has one, else the registered one (RFC 9110
 * section 15 and the IANA registry), else the empty view, which RFC 9112 section 4 allows. */
struct str status_reason(uint16_t status);

/* One extern constant per row. */
#include "tables/status_rows.h"

#endif
