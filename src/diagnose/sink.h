/* Where readers put what they read: counts of one unit of input, and the thread's tally. */
#ifndef CANDOR_DIAGNOSE_SINK_H
#define CANDOR_DIAGNOSE_SINK_H

#include "diagnose/filter.h"
#include "diagnose/record.h"
#include "diagnose/tally.h"

enum {
    MISFITS_KEPT = 5,
    MISFIT_TEXT_MAX = 300,
    BACKWARD_FROM_S = 60, /* lines a few seconds out of order are normal */
    LINE_LIMIT = 4 << 20, /* a longer line is not understood, whatever it holds */
};

/* What one unit (a file, or a stretch of a large one) gave. Lines are counted from its start. */
struct unit_stats {
    enum log_kind kind; /* of its first record or header; LOG_UNKNOWN if it has none */
    uint64_t records, lines, not_understood, refitted, odd_values, nul_bytes, bytes;
    int64_t first_s, last_s;
    bool is_headerless, has_local_time;
    int64_t previous_s;      /* time of the record before */
    uint64_t backward;       /* records that are older than the one before by more than a minute */
    int64_t backward_most_s; /* the most of these steps */
    uint32_t layout_changes; /* #Fields lines that differ from the one before */
    bool is_module_log;      /* LOG_ANCM: lines begin with the module's name, others continue one */
    char *fields;            /* of the last header, or NULL */
    struct {
        uint64_t line;
        char *text;
        uint32_t n;
    } misfits[MISFITS_KEPT];
    uint32_t misfit_n;
};

struct sink {
    struct tally *tally;         /* NULL: count records only */
    const struct filter *filter; /* NULL: everything matches */
    struct unit_stats *stats;
    struct str site;     /* for records that name none: from the folder's name */
    struct record spare; /* the slot when there is no tally */
};

void unit_stats_init(struct unit_stats *s);
void unit_stats_fini(struct unit_stats *s);

/* A record that begins in that line of the unit. */
void sink_record(struct sink *s, const struct record *r, uint64_t line);
/* The same without a copy: fill what sink_slot gives (all of it), then call sink_slot_record. */
static inline struct record *sink_slot(struct sink *s)
{
    return s->tally ? tally_slot(s->tally) : &s->spare;
}
void sink_slot_record(struct sink *s, uint64_t line);
/* Ends the views: to be called before the text that records look into goes away. */
void sink_flush(struct sink *s);
/* A line nothing could be made of. */
void sink_misfit(struct sink *s, struct str text, uint64_t line);

#endif
