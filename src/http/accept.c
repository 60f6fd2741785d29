#include "http/accept.h"

#include "http/headers.h"
#include "base/poison.h"

enum { QUALITY_MAX = 1000 };

/* "0.5" or "1" as thousandths; what is no qvalue counts as 0, never as consent. */
static unsigned qvalue(struct str s)
{
    unsigned q = 0, weight = 1000;

    if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
        return 0;
    for (size_t i = 0; i < s.n; i++) {
        if (i == 1)
            continue;
        if (!ascii_is_digit(s.p[i]))
            return 0;
        q += (unsigned)(s.p[i] - '0') * weight;
        weight /= 10;
    }
    return q <= QUALITY_MAX ? q : 0;
}

/* Splits "value;param;q=0.5" into its value and its quality. */
static struct str split_quality(struct str element, unsigned *ret_quality)
{
    struct str value = STR_NULL, param;

    *ret_quality = QUALITY_MAX;
    if (str_split(&element, ';', &param))
        value = str_trim(param);
    while (str_split(&element, ';', &param)) {
        param = str_trim(param);
        if (str_istarts(param, STR("q=")))
            *ret_quality = qvalue(str_trim(str_sub(param, 2, param.n)));
    }
    return value;
}

/* How closely a media range fits: 3 type and subtype, 2 type, 1 anything, 0 not at all. */
static unsigned media_fit(struct str range, struct str type)
{
    size_t slash = str_find_char(type, '/');

    if (str_ieq(range, type))
        return 3;
    if (str_eq(range, STR("*/*")) || str_eq(range, STR("*")))
        return 1;
    if (slash != SIZE_MAX && range.n == slash + 2 && range.p[range.n - 1] == '*' &&
        str_ieq(str_sub(range, 0, slash + 1), str_sub(type, 0, slash + 1)))
        return 2;
    return 0;
}

unsigned http_accept_quality(struct str accept, struct str media_type)
{
    unsigned best_fit = 0, best = 0;
    struct str element;
    bool any = false;

    media_type = str_trim(str_sub(media_type, 0, str_find_char(media_type, ';')));
    while (http_list_next(&accept, &element)) {
        unsigned quality, fit = media_fit(split_quality(element, &quality), media_type);

        any = true;
        if (fit > best_fit) {
            best_fit = fit;
            best = quality;
        } else if (fit && fit == best_fit && quality > best) {
            best = quality;
        }
    }
    return any ? best : QUALITY_MAX;
}

unsigned http_accept_coding(struct str accept_encoding, struct str coding)
{
    bool named = false, star = false;
    unsigned of_name = 0, of_star = 0;
    struct str element;

    while (http_list_next(&accept_encoding, &element)) {
        unsigned quality;
        struct str value = split_quality(element, &quality);

        if (str_ieq(value, coding)) {
            named = true;
            of_name = quality;
        } else if (str_eq(value, STR("*"))) {
            star = true;
            of_star = quality;
        }
    }
    if (named)
        return of_name;
    if (star)
        return of_star;
    return str_ieq(coding, STR("identity")) ? QUALITY_MAX : 0;
}

size_t http_accept_languages(struct str value, struct http_language *ret, size_t max)
{
    size_t n = 0;
    struct str element;

    while (http_list_next(&value, &element)) {
        struct http_language one;
        size_t at = n;

        one.tag = split_quality(element, &one.quality);
        if (one.quality == 0 || one.tag.n == 0 || str_eq(one.tag, STR("*")))
            continue;
        while (at > 0 && ret[at - 1].quality < one.quality)
            at--;
        if (at == max)
            continue;
        if (n == max)
            n--; /* the last one makes room */
        memmove(ret + at + 1, ret + at, (n - at) * sizeof(*ret));
        ret[at] = one;
        n++;
    }
    return n;
}
