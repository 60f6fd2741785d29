/* Chunked request bodies (RFC 9112 7.1), decoded as they arrive: views into the input, no copy. */
#ifndef CANDOR_HTTP_CHUNKED_H
#define CANDOR_HTTP_CHUNKED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "http/httperr_reason.h"

enum { CHUNKED_LINE_MAX = 4096 }; /* size, extension and line end of one chunk */

struct chunked_limits {
    uint32_t max_field_length;  /* one trailer line */
    uint32_t max_trailer_bytes; /* all trailers with their line ends and the empty line */
    uint32_t flags;             /* HTTP1_WEAK_* of enum http1_flag */
};

struct chunked {
    struct chunked_limits limits;
    uint64_t left;         /* data bytes of this chunk still to come */
    uint64_t total;        /* data bytes announced so far */
    uint64_t offset;       /* bytes of framing and data consumed so far */
    uint64_t error_offset; /* after RC_FAIL: the byte that settled it, counted like offset */
    uint64_t overhead;     /* framing bytes not paid for by data: bounds floods of tiny chunks */
    uint32_t line;         /* bytes of the current line so far */
    uint32_t trailer;      /* bytes of trailers so far */
    enum httperr_reason reason;
    uint8_t state;
};

/* Before each body. limits is copied. */
void chunked_init(struct chunked *c, const struct chunked_limits *limits);

/* Takes the next input. *ret_used bytes of buf are done with; *ret_data, a view into buf and
 * perhaps empty, is the next piece of the body.
 * RC_AGAIN: take the data, then call again with buf + *ret_used, or with more input if all is used.
 * RC_OK: the last chunk and its trailers are complete; what follows *ret_used is the next request.
 * RC_FAIL: c->reason: Number (size), BadRequest (end of data), Invalid_CR/LF (end of the size
 * line), Header, FieldLength, RequestLength (trailers), EntityTooLarge (total above 2^64-1).
 * Data returned before a failure was good. */
MUST_CHECK enum rc chunked_feed(struct chunked *c, const char *buf, size_t len, size_t *ret_used,
                                struct str *ret_data);

#endif
