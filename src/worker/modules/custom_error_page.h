/* The pages of CustomErrorModule: the detailed one for whoever may see why a request failed, the
 * shipped ones for everybody else, and the single lines that remain when nothing else can be had.
 * Nothing here reads a file or needs configuration. */
#ifndef CANDOR_WORKER_MODULES_CUSTOM_ERROR_PAGE_H
#define CANDOR_WORKER_MODULES_CUSTOM_ERROR_PAGE_H

#include "base/buf.h"
#include "worker/request.h"

/* Larger pages are cut off by the buffer; text from clients that they hold is far smaller. */
enum { ERROR_PAGE_MAX = 512 * 1024 };

/* One line for a status, without markup. Static storage, never empty. */
struct str error_page_line(uint16_t status);
/* What stands behind it when the administrator's own page could not be had. */
struct str error_page_note(void);

/* The page that IIS installs as custerr\<language>\<status>.htm; the empty view if it ships none.
 * Static storage. */
struct str error_page_shipped(uint16_t status);

/* Appends the detailed page for the request's response as it stands. link is httpErrors'
 * detailedMoreInformationLink. All text from outside is escaped. */
void error_page_detailed(struct buf *b, struct request *r, struct str link);

/* The URL that the client asked for, with its port in any case, in the request's arena. */
struct str error_page_requested_url(struct request *r);

/* The value of X-Candor-Error, in the request's arena. */
struct str error_page_mark(struct request *r);

#endif
