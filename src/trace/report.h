/* How traces are shown: text, JSON, one HTML page, and the list of a folder. All of these append to
 * a buffer; test its overflow at the end. Bytes of the trace are escaped for the sink. */
#ifndef CANDOR_TRACE_REPORT_H
#define CANDOR_TRACE_REPORT_H

#include "base/buf.h"
#include "trace/freb.h"

/* One line of a list: what one file is about. Texts live as long as the list's arena. */
struct trace_entry {
    char *path;      /* by malloc; the list's owner frees it */
    struct str name; /* as shown */
    struct str url, verb, status, reason, module, site_id;
    int64_t started_us; /* FREB_NO_TIME */
    uint64_t time_taken_ms;
    unsigned status_number; /* with the sub-status: 404008; for sorting and colours */
    bool is_cut;
};

enum trace_sort {
    TRACE_BY_TIME,
    TRACE_BY_TAKEN,  /* slowest first */
    TRACE_BY_STATUS, /* gravest first */
    TRACE_BY_URL,
    TRACE_BY_MODULE,
    TRACE_BY_FILE,
};

struct trace_look {
    bool has_colour;
    bool is_full;   /* nothing folded or shortened */
    unsigned width; /* of prose, in columns */
    unsigned line;  /* columns after which lines of the path are cut; 0: never */
};

/* Copies what a list shows of t into *e (path and name are the caller's). */
void trace_entry_fill(struct trace_entry *e, struct arena *a, const struct freb_trace *t);
void trace_entries_sort(struct trace_entry *entries, size_t n, enum trace_sort by);

void trace_text(struct buf *out, const struct freb_trace *t, struct str file,
                const struct trace_look *look);
void trace_text_list(struct buf *out, const struct trace_entry *entries, size_t n,
                     const struct trace_look *look);
/* One object of the array; no comma, no line end. */
void trace_json(struct buf *out, const struct freb_trace *t, struct str file);

/* A page: begin, the list if there is one, each trace, end. index: 0, 1, 2 … in the order of the
 * list. */
void trace_html_begin(struct buf *out, const struct trace_entry *entries, size_t n);
void trace_html_trace(struct buf *out, const struct freb_trace *t, struct str file, size_t index,
                      bool is_only);
void trace_html_end(struct buf *out);

/* ---- shared by the views ---- */

/* "Error", "Warning" …; never NULL. */
const char *trace_level_name(unsigned level);
/* A field that says nothing: empty, or an error code or connection of 0. */
bool trace_is_dull(const struct freb_field *f);
/* An event's fields for a terminal, 'Name="value", …', the value's words instead of the value where
 * there are any. Values longer than max are shortened; only then dull fields are left out. */
void trace_put_fields(struct buf *out, const struct freb_event *e, size_t max);
/* Bytes for a terminal or a file: control characters and direction marks made visible. */
void trace_put_safe(struct buf *out, struct str s);
/* At most max bytes of s, not cut inside a character. */
struct str trace_shorten(struct str s, size_t max);

#endif
