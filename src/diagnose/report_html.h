/* The report as one HTML file: no other file, address or script is needed to look at it. Every text
 * of a log is escaped, and the policy in its head lets only the script that is part of it run. */
#ifndef CANDOR_DIAGNOSE_REPORT_HTML_H
#define CANDOR_DIAGNOSE_REPORT_HTML_H

#include "diagnose/report.h"

/* Appends the whole document. options: top is the rows of each table. Pure. */
void report_html(struct buf *out, const struct model *m, const struct findings *fs,
                 const struct report_options *options);

/* ---- parts, each in a file of its own ---- */

/* Escaped text of a log. */
void report_html_text(struct buf *out, struct str s);
/* A number with its thousands apart. */
void report_html_count(struct buf *out, uint64_t n);
/* The same with "at most ... more" when it is an estimate. */
void report_html_estimate(struct buf *out, uint64_t n, uint64_t error);
/* "1.5 s", "320 ms". */
void report_html_ms(struct buf *out, uint64_t ms);

/* Charts: report_html_chart.c. */
void report_html_timeline(struct buf *out, const struct model *m);
void report_html_latency(struct buf *out, const struct model *m);
/* A line from p50 to p95 with a dot at the maximum; all of them share one scale. */
void report_html_latency_row(struct buf *out, const struct model_latency *l, uint64_t scale_ms);

/* Findings: report_html_findings.c. */
void report_html_findings(struct buf *out, const struct model *m, const struct findings *fs);

/* Tables: report_html_tables.c. */
void report_html_tables(struct buf *out, const struct model *m,
                        const struct report_options *options);

/* The catalogue's words about each code of the report: report_html_codes.c. */
void report_html_codes(struct buf *out, const struct model *m);
/* A code as a link to them; as plain text where the catalogue knows nothing. */
void report_html_code_link(struct buf *out, const char *code);
void report_html_reason_link(struct buf *out, struct str reason);
void report_html_win32_link(struct buf *out, uint64_t code);

#endif
