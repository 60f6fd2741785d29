/* Pieces of the HTML page (html.c): the tree of the request and the view of its time. */
#ifndef CANDOR_TRACE_HTML_H
#define CANDOR_TRACE_HTML_H

#include "base/buf.h"
#include "trace/freb.h"

/* A link to an event's row in the table of all events. */
void trace_html_link(struct buf *b, size_t index, size_t event);
void trace_html_ms(struct buf *b, int64_t us);
/* The level as a chip, if it is a warning or worse. */
void trace_html_level(struct buf *b, const struct freb_event *e);
void trace_html_fields(struct buf *b, const struct freb_event *e, size_t max);

/* Notifications, modules and what happened in them, as things to open. */
void trace_html_tree(struct buf *b, const struct freb_trace *t, size_t index);
/* Time line and bars. */
void trace_html_performance(struct buf *b, const struct freb_trace *t, size_t index);

#endif
