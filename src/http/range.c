#include "http/range.h"

#include "http/date.h"
#include "http/headers.h"
#include "base/poison.h"

/* One range-spec (RFC 9110 14.1.2). RC_DECLINED: well formed but outside. */
static enum rc spec_parse(struct str spec, uint64_t length, struct http_range *ret)
{
    size_t dash = str_find_char(spec, '-');
    struct str from, to;
    uint64_t first, last = UINT64_MAX;

    if (dash == SIZE_MAX)
        return RC_FAIL;
    from = str_sub(spec, 0, dash);
    to = str_sub(spec, dash + 1, spec.n);
    if (to.n && !str_u64(to, UINT64_MAX, &last))
        return RC_FAIL;
    if (from.n == 0) {
        if (to.n == 0)
            return RC_FAIL;
        if (last == 0 || length == 0)
            return RC_DECLINED;
        first = last < length ? length - last : 0;
        last = length - 1;
    } else {
        if (!str_u64(from, UINT64_MAX, &first) || last < first)
            return RC_FAIL;
        if (first >= length)
            return RC_DECLINED;
        if (last >= length)
            last = length - 1;
    }
    *ret = (struct http_range){first, last};
    return RC_OK;
}

static bool overlaps_any(const struct http_range *ranges, size_t n, struct http_range r)
{
    for (size_t i = 0; i < n; i++)
        if (r.first <= ranges[i].last && ranges[i].first <= r.last)
            return true;
    return false;
}

enum http_range_verdict http_range_parse(struct str value, uint64_t length,
                                         struct http_range *ret_ranges, size_t max, size_t *ret_n)
{
    static const struct str unit = {"bytes=", 6};
    uint64_t sum = 0;
    size_t n = 0, n_specs = 0;
    bool overlap = false;
    struct str spec;

    *ret_n = 0;
    if (!str_istarts(value, unit))
        return HTTP_RANGE_IGNORE;
    value = str_sub(value, unit.n, value.n);
    while (http_list_next(&value, &spec)) {
        struct http_range r;
        enum rc rc = spec_parse(spec, length, &r);

        if (rc == RC_FAIL || ++n_specs > max)
            return HTTP_RANGE_IGNORE;
        if (rc != RC_OK)
            continue;
        overlap |= overlaps_any(ret_ranges, n, r);
        if (__builtin_add_overflow(sum, r.last - r.first + 1, &sum))
            sum = UINT64_MAX;
        ret_ranges[n++] = r;
    }
    if (n_specs == 0 || (overlap && sum > length))
        return HTTP_RANGE_IGNORE;
    if (n == 0)
        return HTTP_RANGE_UNSATISFIABLE;
    *ret_n = n;
    return HTTP_RANGE_PARTIAL;
}

static bool is_weak(struct str etag)
{
    return str_starts(etag, STR("W/"));
}

/* The quoted part of an entity-tag; empty if it has none. */
static struct str opaque(struct str etag)
{
    if (is_weak(etag))
        etag = str_sub(etag, 2, etag.n);
    if (etag.n < 2 || etag.p[0] != '"' || etag.p[etag.n - 1] != '"')
        return STR_NULL;
    return etag;
}

static bool same_etag(struct str a, struct str b, bool strong)
{
    if (strong && (is_weak(a) || is_weak(b)))
        return false;
    return opaque(a).n && str_eq(opaque(a), opaque(b));
}

static bool etag_matches(struct str list, struct str etag, bool strong)
{
    list = str_trim(list);
    if (str_eq(list, STR("*")))
        return true;

    /* An entity-tag may hold a backslash, which is no escape there: the general list reader would
     * take it for one, so quotes are followed here. */
    while (list.n) {
        bool quoted = false;
        size_t i = 0;

        for (; i < list.n && (quoted || list.p[i] != ','); i++)
            if (list.p[i] == '"')
                quoted = !quoted;
        if (same_etag(str_trim(str_sub(list, 0, i)), etag, strong))
            return true;
        list = str_sub(list, i + 1, list.n);
    }
    return false;
}

bool http_etag_matches_strong(struct str list, struct str etag)
{
    return etag_matches(list, etag, /* strong */ true);
}

bool http_etag_matches_weak(struct str list, struct str etag)
{
    return etag_matches(list, etag, /* strong */ false);
}

bool http_if_range_matches(struct str value, struct str etag, int64_t last_modified)
{
    int64_t date;

    value = str_trim(value);
    if (opaque(value).n)
        return same_etag(value, etag, /* strong */ true);
    return http_date_parse(value, &date) && date == last_modified;
}
