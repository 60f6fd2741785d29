/* From the request-target to the path that routing, logs and modules use. */
#ifndef CANDOR_HTTP_URL_H
#define CANDOR_HTTP_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "http/host.h"
#include "http/httperr_reason.h"

/* Names are those of the registry values. */
struct url_limits {
    uint32_t segment_max_length; /* UrlSegmentMaxLength: UTF-16 units after decoding; 0: no limit */
    uint32_t segment_max_count;  /* UrlSegmentMaxCount; 0: no limit */
    bool enable_non_utf8;        /* EnableNonUTF8: bytes may be Windows-1252 instead */
    bool favor_utf8;             /* FavorUTF8: try UTF-8 first */
    bool percent_u_allowed;      /* PercentUAllowed: %uHHHH */
    bool allow_restricted_chars; /* AllowRestrictedChars: escapes of 01-1F and 7F-9F */
    bool allow_raw_restricted;   /* AllowUnEscapedRestrictedChars: the same raw, but 09, 0A, 0D */
};

static inline struct url_limits url_limits_default(void)
{
    return (struct url_limits){.segment_max_length = 260,
                               .segment_max_count = 255,
                               .enable_non_utf8 = true,
                               .favor_utf8 = true,
                               .percent_u_allowed = true};
}

enum url_form { URL_ORIGIN, URL_ABSOLUTE, URL_ASTERISK };

struct url_cooked {
    enum url_form form;
    struct str path;     /* cooked, UTF-8, starts with '/': in out, or in the target if unchanged */
    struct str raw_path; /* as sent; "/" for absolute-form without a path */
    struct str query;    /* as sent, without the '?' */
    bool has_query;      /* a '?' was there */
    bool is_https;       /* absolute-form: its scheme */
    uint32_t n_segments;
    struct http_host host;      /* absolute-form: replaces the Host header; otherwise name.n == 0 */
    enum httperr_reason reason; /* after RC_FAIL */
    uint32_t error_offset;      /* after RC_FAIL: into the target */
};

/* Room that always suffices for a target of n bytes: one byte of Windows-1252 becomes at most three
 * of UTF-8, an escape never becomes longer. */
#define URL_COOK_CAP(n) ((size_t)3 * (n) + 1)

/* Cooks a target: origin-form, absolute-form (http, https) or "*" (path "/"; that only OPTIONS may
 * send it is checked by the HTTP/1 parser). The path's escapes are decoded once, '\' becomes '/',
 * runs of '/' one, dot segments go, limits are checked; the query stays raw.
 * out[cap] takes the path if it differs from what was sent; cap must be URL_COOK_CAP(raw_target.n).
 * Plain targets are not copied. RC_OK: *ret is set, its views live as long as target and out.
 * RC_FAIL: ret->reason is URL, or Forbidden for ".." above the root; ret's form, raw_path and query
 * are set as far as known. */
MUST_CHECK enum rc url_cook(struct str raw_target, const struct url_limits *limits, char *out,
                            size_t cap, struct url_cooked *ret);

#endif
