/* Small parsers of what stands in log lines. All are pure and bounded by their view. */
#ifndef CANDOR_DIAGNOSE_TEXT_H
#define CANDOR_DIAGNOSE_TEXT_H

#include "diagnose/record.h"

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
int64_t days_from_civil(int year, int month, int day);

/* "YYYY-MM-DD": its first second. */
MUST_CHECK bool text_date(struct str s, int64_t *ret_s);
/* "H:MM:SS" or "HH:MM:SS", a fraction after it is dropped: seconds of the day. */
MUST_CHECK bool text_clock(struct str s, int64_t *ret_s);
/* "M/D/YYYY" or "MM/DD/YY". */
MUST_CHECK bool text_us_date(struct str s, int64_t *ret_s);
/* "08/Apr/2001:17:39:04 -0800": UTC. */
MUST_CHECK bool text_ncsa_time(struct str s, int64_t *ret_s);
/* "2023-07-17T13:04:44.056651+00:00", "...Z", or a blank for the T; without offset UTC. */
MUST_CHECK bool text_iso_time(struct str s, int64_t *ret_s);

/* An IPv4 or IPv6 address, with zone, port or brackets, or one that a forum has made a link of.
 * Only the shape is looked at. */
bool text_is_address(struct str s);

/* A path without what differs from request to request: segments that are numbers become {n}, GUIDs
 * {guid}, long hexadecimal ones {hex}. Writes at most cap bytes; gives how many. */
size_t text_fold_url(struct str url, char *out, size_t cap);

/* Decimal digits at the start of a field of the fast path: gives false on an empty field, another
 * character, or more than 19 digits. */
static inline bool text_u64(const char *p, size_t n, uint64_t *ret)
{
    uint64_t v = 0;

    if (n == 0 || n > 19)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned d = (unsigned)(unsigned char)p[i] - '0';
        if (d > 9)
            return false;
        v = v * 10 + d;
    }
    *ret = v;
    return true;
}

#endif
