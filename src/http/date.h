/* HTTP dates (RFC 9110 5.6.7) and civil time in UTC, without locale or time zone tables. */
#ifndef CANDOR_HTTP_DATE_H
#define CANDOR_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct civil {
    int64_t year;
    unsigned month, day;           /* 1..12, 1..31 */
    unsigned hour, minute, second; /* 0..23, 0..59, 0..59 */
    unsigned weekday;              /* 0 Sunday .. 6 Saturday */
};

/* Seconds since 1970 to civil time and back, Gregorian, any year that fits. civil_to_unix ignores
 * weekday and expects fields in range. */
void civil_from_unix(int64_t unix_s, struct civil *ret);
int64_t civil_to_unix(const struct civil *c);

enum { HTTP_DATE_LEN = 29 };

/* "Sun, 06 Nov 1994 08:49:37 GMT", not terminated. Years outside 0..9999 are clamped. Cache it per
 * second where it matters. */
void http_date_format(int64_t unix_s, char out[HTTP_DATE_LEN]);

/* Any of the three forms; the name of the weekday is checked for being one, not for being right.
 * Two-digit years: 70..99 are 19xx, others 20xx. A tail from ';' on (old browsers' "; length=")
 * is ignored. False if it is no such date. */
MUST_CHECK bool http_date_parse(struct str s, int64_t *ret_unix_s);

#endif
