/* Conditional requests (RFC 9110 13), in the order in which IIS looks at them. Pure functions. */
#ifndef CANDOR_HTTP_CONDITIONS_H
#define CANDOR_HTTP_CONDITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* The four conditions of a request: p is NULL where the header is absent. */
struct http_conditions {
    struct str if_match, if_none_match, if_modified_since, if_unmodified_since;
};

/* What they are held against. */
struct http_validators {
    struct str etag;       /* as sent, quotes and W/ included; empty: there is none */
    int64_t last_modified; /* seconds since 1970 */
    bool has_last_modified;
};

enum http_condition_verdict {
    HTTP_CONDITION_SEND,         /* the answer as if there were no conditions */
    HTTP_CONDITION_NOT_MODIFIED, /* 304 */
    HTTP_CONDITION_FAILED,       /* 412 */
};

/* If-None-Match hides If-Modified-Since. A date that cannot be read is no condition; one in the
 * future (after now_s, wall clock) is none that we have ever sent and does not make a 304. */
enum http_condition_verdict http_conditions_check(const struct http_conditions *c,
                                                  const struct http_validators *v, int64_t now_s);

#endif
