/* Pieces of the text report (text.c): its style, and the path of the request. */
#ifndef CANDOR_TRACE_TEXT_H
#define CANDOR_TRACE_TEXT_H

#include "trace/report.h"

struct text_out {
    struct buf *b;
    const struct trace_look *look;
    const struct freb_trace *t;
};

enum text_style { TEXT_BOLD, TEXT_RED, TEXT_YELLOW, TEXT_DIM, TEXT_GREEN };

/* Nothing without colour. */
void trace_text_style(const struct text_out *o, enum text_style s);
void trace_text_plain(const struct text_out *o);
void trace_text_heading(const struct text_out *o, const char *text);

/* Notifications, modules and what happened in them, with times and marks. */
void trace_text_path(struct text_out *o);

#endif
