/* Accept, Accept-Encoding, Accept-Language (RFC 9110 12.5). Qualities are thousandths, 0..1000. */
#ifndef CANDOR_HTTP_ACCEPT_H
#define CANDOR_HTTP_ACCEPT_H

#include <stddef.h>

#include "base/str.h"

/* Quality of a media type (parameters after ';' are ignored) under an Accept value; the most
 * specific range decides. 0: not acceptable. An empty value accepts everything. */
unsigned http_accept_quality(struct str accept, struct str media_type);

/* Quality of a content-coding under an Accept-Encoding value. "identity" is acceptable unless
 * excluded; others need to be named or covered by "*". */
unsigned http_accept_coding(struct str accept_encoding, struct str coding);

struct http_language {
    struct str tag; /* looks into the header's value */
    unsigned quality;
};

/* Languages of an Accept-Language value, best first, equal ones as sent, quality 0 and "*" left
 * out; at most max. Gives their number. */
size_t http_accept_languages(struct str value, struct http_language *ret, size_t max);

#endif
