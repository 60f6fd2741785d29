/* Second half of the request parser: what can only be said about a head as a whole. Internal to
 * src/http. */
#ifndef CANDOR_HTTP_HTTP1_CHECK_H
#define CANDOR_HTTP_HTTP1_CHECK_H

#include "http/http1_parser.h"

/* Notes why and where a head is refused; gives RC_FAIL. */
enum rc http1_fail(struct http1_parser *p, size_t offset, enum httperr_reason reason);

/* Room for one more header line; all move to the heap when the inline ones are used up. NULL: no
 * memory. */
struct http1_header *http1_add_header(struct http1_head *head);

/* All lines are in head: checks Host, Transfer-Encoding, Content-Length and "*", in this order, and
 * sets the facts about framing and connection. RC_OK or RC_FAIL. */
MUST_CHECK enum rc http1_check_head(struct http1_parser *p, const char *buf,
                                    struct http1_head *head);

#endif
