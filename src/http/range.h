/* Range, If-Range and entity-tag conditions (RFC 9110 13, 14). Pure functions. */
#ifndef CANDOR_HTTP_RANGE_H
#define CANDOR_HTTP_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct http_range {
    uint64_t first, last; /* inclusive, inside the representation */
};

enum http_range_verdict {
    HTTP_RANGE_IGNORE,        /* other unit, malformed, or too many: answer 200 with everything */
    HTTP_RANGE_PARTIAL,       /* *ret_n ranges: 206 */
    HTTP_RANGE_UNSATISFIABLE, /* none lies inside: 416 */
};

/* Resolves a Range header against a representation of length bytes. Ranges outside are left out,
 * the others keep their order. More than max ranges, or ranges that overlap and together exceed
 * the length, are ignored: they cost more than the whole. */
enum http_range_verdict http_range_parse(struct str value, uint64_t length,
                                         struct http_range *ret_ranges, size_t max, size_t *ret_n);

/* If-Range: a strong entity-tag equal to etag (quotes included), or a date equal to last_modified
 * (seconds). False: send everything. */
bool http_if_range_matches(struct str value, struct str etag, int64_t last_modified);

/* If-Match (strong comparison) and If-None-Match (weak): "*" or a list of entity-tags against etag
 * as we would send it, quotes and W/ included. An empty etag matches "*" only. */
bool http_etag_matches_strong(struct str list, struct str etag);
bool http_etag_matches_weak(struct str list, struct str etag);

#endif
