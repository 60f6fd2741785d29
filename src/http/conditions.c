#include "http/conditions.h"

#include "http/date.h"
#include "http/range.h"
#include "base/poison.h"

enum http_condition_verdict http_conditions_check(const struct http_conditions *c,
                                                  const struct http_validators *v, int64_t now_s)
{
    int64_t date;

    if (c->if_match.p && !http_etag_matches_strong(c->if_match, v->etag))
        return HTTP_CONDITION_FAILED;
    if (c->if_none_match.p) {
        if (http_etag_matches_weak(c->if_none_match, v->etag))
            return HTTP_CONDITION_NOT_MODIFIED;
    } else if (c->if_modified_since.p && v->has_last_modified &&
               http_date_parse(c->if_modified_since, &date) && date >= v->last_modified &&
               date <= now_s) {
        return HTTP_CONDITION_NOT_MODIFIED;
    }
    if (c->if_unmodified_since.p && v->has_last_modified &&
        http_date_parse(c->if_unmodified_since, &date) && date < v->last_modified)
        return HTTP_CONDITION_FAILED;
    return HTTP_CONDITION_SEND;
}
