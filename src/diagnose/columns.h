/* Reader of W3C-like logs: site logs, HTTPERR, FTP, with or without header. */
#ifndef CANDOR_DIAGNOSE_COLUMNS_H
#define CANDOR_DIAGNOSE_COLUMNS_H

#include "diagnose/layout.h"
#include "diagnose/sink.h"

struct columns {
    struct sink *sink;
    struct layout *layout; /* governs the lines; NULL before the first header */
    struct layout *guess;  /* the last one guessed for a line that did not fit */
    uint32_t fast_fields;  /* value count of lines for the fast way less one; UINT32_MAX: none */
    uint64_t line;         /* lines ended so far */
    const char *refused;   /* why this is no log of IIS; NULL if it may be one */
    bool is_advanced;      /* #Software names Advanced Logging */
    bool has_software;
    int64_t base_date_s; /* #Date, for records without date; RECORD_NO_TIME before one */
    int64_t last_clock_s;
    char stamp[24]; /* date and time read last, and their second */
    int64_t stamp_s;
};

void columns_init(struct columns *c, struct sink *sink);
void columns_fini(struct columns *c);

/* What a #Fields, #Date or #Software line says; other directives are ignored. line is without its
 * end. */
void columns_directive(struct columns *c, struct str line);

/* Reads the lines of [p, end); the last must end with '\n'. 64 bytes after end must be readable.
 * Uses the widest vectors the processor has. */
void columns_lines(struct columns *c, const char *p, const char *end);
/* The same with a chosen width, for tests: 0 bytes at a time, 16, 32 or 64; the processor must have
 * it. */
void columns_lines_with(unsigned width, struct columns *c, const char *p, const char *end);
bool columns_has_width(unsigned width);

/* For columns_lines: where the values of some lines begin, counted from base. The value after a
 * line's last one is the next line's first. */
struct column_batch {
    const char *base; /* the start of the first line */
    uint32_t n;       /* starts[0..n] are known */
    uint32_t lines;
    uint32_t starts[COLUMN_STARTS];
    uint32_t ends[COLUMN_STARTS]; /* of lines: the index of the start that follows */
};

/* Reads the lines, and makes the start of what remains the batch's base. */
void columns_batch(struct columns *c, struct column_batch *b);

#endif
