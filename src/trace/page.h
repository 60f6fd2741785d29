/* Style sheet and script of the HTML page: page.css and page.js, compiled in. */
#ifndef CANDOR_TRACE_PAGE_H
#define CANDOR_TRACE_PAGE_H

extern const char trace_page_css[];
extern const char trace_page_js[];

#endif
