/* Request heads of HTTP/2: fields as the frame layer decodes them, checked as HTTP.sys checks those
 * of HTTP/1 and by the rules of RFC 9113 8.2 and 8.3, and kept in the shape of struct http1_head.
 * So everything behind the parser is the same for both, and the same request fails for the same
 * reason.
 *
 * The fields are written as text lines into the caller's buffer; offsets of the head count from its
 * start. A known name gets its canonical spelling, :authority becomes a Host line. Pure: no input
 * or output, no clock. */
#ifndef CANDOR_HTTP_HTTP2_HEAD_H
#define CANDOR_HTTP_HTTP2_HEAD_H

#include "http/http1_parser.h"

struct http2_head {
    struct http1_head *head;
    struct http1_limits limits;
    uint32_t used;    /* bytes written to the buffer */
    uint32_t charged; /* the head's size so far, had it come as text of HTTP/1 */
    uint64_t decoded; /* of all fields, also those that are not kept any more: bounds floods */
    enum httperr_reason reason; /* the first thing that is wrong; HTTPERR_NONE: nothing */
    bool malformed;             /* it is against RFC 9113 8.1.1: the stream is reset, not answered */
    bool in_fields;             /* a field that is no pseudo-header has come */
    bool is_trailer;
    uint8_t pseudo, too_long; /* a bit per pseudo-header: has come; its value was not kept */
    uint32_t scheme_len, authority_off, authority_len;
};

/* Before each header block: head is to be filled (and has been reset). limits is copied; its values
 * are in the range of the registry's, and max_field_length is not above max_request_bytes. */
void http2_head_begin(struct http2_head *h, const struct http1_limits *limits,
                      struct http1_head *head);
/* The same for the block behind a body; nothing of it is kept, so there is no buffer. */
void http2_trailer_begin(struct http2_head *h, const struct http1_limits *limits);

/* Room behind h->used that http2_head_field may need for this field. At most about MaxRequestBytes
 * over a whole block; 0 if the field will not be kept. */
size_t http2_head_needs(const struct http2_head *h, struct str name, struct str value);
/* Takes the next field. Whatever is wrong is noted, the first time, in h->reason and h->malformed;
 * later fields are only counted then. buf is not touched for a field that needs no room. */
void http2_head_field(struct http2_head *h, char *buf, struct str name, struct str value);

/* Room that http2_head_end needs: Cookie fields become one (RFC 9113 8.2.3). */
size_t http2_head_needs_at_end(const struct http2_head *h);
/* All fields are in. is_last: the stream ends with this block, so there is no body. RC_OK: the head
 * is complete; a body of unknown length has content_length UINT64_MAX. RC_FAIL: h->reason says why;
 * method and target are there as far as they were good. */
MUST_CHECK enum rc http2_head_end(struct http2_head *h, char *buf, bool is_last);

/* A Priority field's value (RFC 9218 4): what it says of urgency (0..7) and incremental; the rest
 * stays as it is. False: the value is not a dictionary of that form, nothing is changed. */
bool http2_priority_parse(struct str value, uint8_t *urgency, bool *incremental);

#endif
