#include "diagnose/filter.h"

#include "diagnose/text.h"
#include "base/poison.h"

void filter_init(struct filter *f)
{
    *f = (struct filter){.since_s = RECORD_NO_TIME, .until_s = RECORD_NO_TIME, .substatus = -1};
}

bool filter_status(struct filter *f, struct str text)
{
    uint64_t status, substatus;
    size_t dot = str_find_char(text, '.');

    if (text.n == 3 && str_ieq(str_sub(text, 1, 3), STR("xx")) && ascii_is_digit(text.p[0])) {
        f->status_from = (uint32_t)(text.p[0] - '0') * 100;
        f->status_to = f->status_from + 99;
        f->has_status = true;
        return true;
    }
    if (!str_u64(str_sub(text, 0, dot), 999, &status))
        return false;
    if (dot != SIZE_MAX) {
        if (!str_u64(str_sub(text, dot + 1, text.n), 9999, &substatus))
            return false;
        f->substatus = (int32_t)substatus;
    }
    f->status_from = f->status_to = (uint32_t)status;
    f->has_status = true;
    return true;
}

bool filter_time(struct str text, bool is_end, int64_t *ret_s)
{
    if (text.n == 10 && text_date(text, ret_s)) {
        *ret_s += is_end ? 86399 : 0;
        return true;
    }
    return text_iso_time(text, ret_s);
}

void filter_finish(struct filter *f)
{
    f->lists = f->has_status || f->url.n || f->client.n;
    f->is_active =
        f->lists || f->site.n || f->since_s != RECORD_NO_TIME || f->until_s != RECORD_NO_TIME;
}

/* W3SVC1 of the logs is site 1 of HTTPERR. */
static struct str bare_site(struct str s)
{
    return str_istarts(s, STR("W3SVC")) && s.n > 5 ? str_sub(s, 5, s.n) : s;
}

bool filter_matches(const struct filter *f, const struct record *r)
{
    if (f->since_s != RECORD_NO_TIME && (r->time_s == RECORD_NO_TIME || r->time_s < f->since_s))
        return false;
    if (f->until_s != RECORD_NO_TIME && (r->time_s == RECORD_NO_TIME || r->time_s > f->until_s))
        return false;
    if (f->has_status && (r->status < f->status_from || r->status > f->status_to ||
                          (f->substatus >= 0 && r->substatus != (uint32_t)f->substatus)))
        return false;
    if (f->site.n && !str_ieq(bare_site(r->site), bare_site(f->site)))
        return false;
    if (f->client.n && !str_ieq(r->client, f->client))
        return false;
    return f->url.n == 0 || str_ifind(r->url, f->url) != SIZE_MAX;
}
