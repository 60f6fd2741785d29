/* FTP replies and sub-statuses, as the FTP service of IIS logs them (sc-status, sc-substatus). The
 * rows come from text/ftp.tbl. */
#ifndef CANDOR_TABLES_FTP_H
#define CANDOR_TABLES_FTP_H

#include <stddef.h>
#include <stdint.h>

/* A reply or a sub-status. Everything is constant and lives as long as the process. Strings are
 * NUL-terminated and never NULL unless the comment says so; lists end with NULL (or 0) and are
 * never NULL themselves. */
struct ftp_row {
    uint16_t code;
    const char *name;        /* "HIDDEN_SEGMENT" */
    const char *title;       /* a few words */
    const char *text;        /* what it says */
    const char *when;        /* what makes IIS 7 and later send it; NULL: nothing, or see replies */
    const char *sent;        /* the text beside a reply, NULL if it varies */
    const char *reproduce;   /* how to provoke it */
    const char *command;     /* a command line that does; may be NULL */
    const char *note;        /* may be NULL */
    const uint16_t *replies; /* that a sub-status usually comes with, the likeliest first */
    const char *const *versions;
    const char *const *causes;     /* most likely first */
    const char *const *remedies;   /* steps; a line break may be followed by XML */
    const char *const *on_windows; /* steps that only Windows has */
    const char *const *on_candor;  /* or only this server */
    const char *const *settings;
    const char *const *sources;
};

/* The row of a reply ("530") or of a sub-status, or NULL. Any thread. */
const struct ftp_row *ftp_reply_find(uint32_t code);
const struct ftp_row *ftp_substatus_find(uint32_t code);

/* Iteration in order of code; NULL from the count on. */
size_t ftp_reply_count(void);
const struct ftp_row *ftp_reply_at(size_t i);
size_t ftp_substatus_count(void);
const struct ftp_row *ftp_substatus_at(size_t i);

#endif
