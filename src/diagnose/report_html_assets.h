/* The style sheet and script of the HTML report, compiled in from the folder html. */
#ifndef CANDOR_DIAGNOSE_REPORT_HTML_ASSETS_H
#define CANDOR_DIAGNOSE_REPORT_HTML_ASSETS_H

#include "base/str.h"

extern const struct str html_css, html_js;
/* Content-Security-Policy: their hashes, and nothing else may run or load. */
extern const struct str html_policy;

#endif
