#include "config/value.h"

#include <inttypes.h>

#include "base/poison.h"

void value_names(const struct schema_attr *a, struct buf *out)
{
    for (size_t i = 0; i < a->n_values; i++) {
        if (i)
            buf_str(out, STR(", "));
        buf_str(out, str_z(a->values[i].name));
    }
}

static bool find_name(const struct schema_attr *a, struct str name, int64_t *ret)
{
    for (size_t i = 0; i < a->n_values; i++) {
        if (str_eq(name, str_z(a->values[i].name))) {
            *ret = a->values[i].number;
            return true;
        }
    }
    return false;
}

static bool parse_flags(const struct schema_attr *a, struct str text, int64_t *ret)
{
    int64_t bits = 0, one;
    struct str name;

    text = str_trim(text);
    while (str_split(&text, ',', &name)) {
        name = str_trim(name);
        if (find_name(a, name, &one))
            bits |= one;
        else if (!str_eq(name, STR("None")))
            return false;
    }
    *ret = bits;
    return true;
}

/* [d.]hh:mm:ss[.fraction]; hours may exceed 23. Bounded to 100 000 days. */
static bool parse_span(struct str s, int64_t *ret_ms)
{
    uint64_t days = 0, part[3], ms = 0;
    size_t colon = str_find_char(s, ':'), dot = str_find_char(s, '.');

    if (colon == SIZE_MAX)
        return false;
    if (dot != SIZE_MAX && dot < colon) {
        if (!str_u64(str_sub(s, 0, dot), 100000, &days))
            return false;
        s = str_sub(s, dot + 1, s.n);
        dot = str_find_char(s, '.');
    }
    if (dot != SIZE_MAX) {
        struct str f = str_sub(s, dot + 1, s.n);
        uint64_t scale = 100;
        if (f.n == 0 || f.n > 7)
            return false;
        for (size_t i = 0; i < f.n; i++, scale /= 10) {
            if (!ascii_is_digit(f.p[i]))
                return false;
            ms += (uint64_t)(f.p[i] - '0') * scale;
        }
        s = str_sub(s, 0, dot);
    }
    for (size_t i = 0; i < 3; i++) {
        struct str p;
        if (!str_split(&s, ':', &p) || !str_u64(p, i == 0 ? 2400000 : 59, &part[i]))
            return false;
    }
    if (s.n)
        return false;
    *ret_ms = (int64_t)((((days * 24 + part[0]) * 60 + part[1]) * 60 + part[2]) * 1000 + ms);
    return true;
}

static bool parse_time(const struct schema_attr *a, struct str s, int64_t *ret_ms)
{
    uint64_t n;

    if ((a->flags & SCHEMA_INFINITE) && str_ieq(s, STR("Infinite"))) {
        *ret_ms = -1;
        return true;
    }
    if (a->flags & (SCHEMA_SECONDS | SCHEMA_MINUTES)) {
        if (!str_u64(s, 8640000000u, &n))
            return false;
        *ret_ms = (int64_t)(n * (a->flags & SCHEMA_MINUTES ? 60000u : 1000u));
        return true;
    }
    return parse_span(s, ret_ms);
}

static bool parse_type(const struct schema_attr *a, struct str s, int64_t *ret, struct buf *why)
{
    uint64_t u;

    *ret = 0;
    switch (a->type) {
    case SCHEMA_STRING:
        return true;
    case SCHEMA_BOOL:
        *ret = str_ieq(s, STR("true"));
        if (*ret || str_ieq(s, STR("false")))
            return true;
        buf_str(why, STR("Not a valid boolean"));
        return false;
    case SCHEMA_UINT:
        if (str_u64_any(s, UINT32_MAX, &u)) {
            *ret = (int64_t)u;
            return true;
        }
        buf_str(why, STR("Not a valid unsigned integer"));
        return false;
    case SCHEMA_INT:
        if (str_i64(s, ret) && *ret >= INT32_MIN && *ret <= INT32_MAX)
            return true;
        buf_str(why, STR("Not a valid integer"));
        return false;
    case SCHEMA_INT64:
        if (str_i64(s, ret))
            return true;
        buf_str(why, STR("Not a valid 64-bit integer"));
        return false;
    case SCHEMA_TIME:
        if (parse_time(a, s, ret))
            return true;
        buf_str(why, STR("Not a valid time span"));
        return false;
    case SCHEMA_ENUM:
        if (find_name(a, s, ret))
            return true;
        buf_str(why, STR("Enum must be one of "));
        value_names(a, why);
        return false;
    case SCHEMA_FLAGS:
        if (parse_flags(a, s, ret))
            return true;
        buf_str(why, STR("Flags must be some combination of "));
        value_names(a, why);
        return false;
    }
    return false;
}

static void put_span(struct buf *b, int64_t s)
{
    if (s >= 86400)
        buf_printf(b, "%" PRId64 ".", s / 86400);
    s %= 86400;
    buf_printf(b, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600, s / 60 % 60, s % 60);
}

static bool check_range(const struct schema_attr *a, int64_t v, struct buf *why)
{
    bool inside = v >= a->min && v <= a->max;

    if (inside == (a->validator == VALID_RANGE))
        return true;
    buf_printf(why, "Integer value must %sbe between %" PRId64 " and %" PRId64 " %s",
               a->validator == VALID_RANGE ? "" : "not ", a->min, a->max,
               a->validator == VALID_NOT_RANGE && a->type == SCHEMA_INT ? "exclusive"
                                                                        : "inclusive");
    return false;
}

static bool check_time_range(const struct schema_attr *a, int64_t ms, struct buf *why)
{
    bool inside = ms >= a->min * 1000 && ms <= a->max * 1000;
    bool wanted = a->validator == VALID_TIME_RANGE;

    if (ms == -1 && (a->flags & SCHEMA_INFINITE))
        return true;
    if (inside == wanted && (a->granularity == 0 || ms % (a->granularity * 1000) == 0))
        return true;
    buf_printf(why, "Timespan value must %sbe between ", wanted ? "" : "not ");
    put_span(why, a->min);
    buf_str(why, STR(" and "));
    put_span(why, a->max);
    buf_printf(why, " seconds inclusive, with a granularity of %" PRId64 " seconds",
               a->granularity);
    return false;
}

static bool has_any(struct str s, const char *set)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] && strchr(set, s.p[i]))
            return true;
    return false;
}

/* Starts with "/", does not end with one (but for "/" itself), no segment "." or "..". */
static bool is_virtual_path(struct str s)
{
    struct str segment;

    if (s.n == 0 || s.p[0] != '/')
        return false;
    if (s.n > 1 && s.p[s.n - 1] == '/')
        return false;
    s = str_sub(s, 1, s.n);
    while (str_split(&s, '/', &segment))
        if (str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
            return false;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool check_string(const struct schema_attr *a, struct str s, struct buf *why)
{
    switch (a->validator) {
    case VALID_NOT_EMPTY:
        if (s.n)
            return true;
        buf_str(why, STR("String must not be empty"));
        return false;
    case VALID_TRIMMED:
        if (s.n == 0 || (!is_blank(s.p[0]) && !is_blank(s.p[s.n - 1])))
            return true;
        buf_str(why, STR("String must not have leading or trailing white space"));
        return false;
    case VALID_POOL_NAME:
        if (s.n && !has_any(s, "|<>&\"/[]+=;:,?*@\\"))
            return true;
        buf_str(why, STR("Invalid application pool name"));
        return false;
    case VALID_SITE_NAME:
        if (s.n && !has_any(s, "/?"))
            return true;
        buf_str(why, STR("Invalid site name"));
        return false;
    case VALID_APPLICATION_PATH:
        if (is_virtual_path(s))
            return true;
        buf_printf(why, "Invalid application path %.*s", STR_ARG(s));
        return false;
    case VALID_VDIR_PATH:
        if (is_virtual_path(s))
            return true;
        buf_str(why, STR("Invalid virtual directory path"));
        return false;
    default:
        return true;
    }
}

bool value_parse(const struct schema_attr *a, struct str text, int64_t *ret, struct buf *why)
{
    if (!parse_type(a, text, ret, why))
        return false;
    switch (a->validator) {
    case VALID_ANY:
        return true;
    case VALID_RANGE:
    case VALID_NOT_RANGE:
        return check_range(a, *ret, why);
    case VALID_TIME_RANGE:
    case VALID_NOT_TIME_RANGE:
        return check_time_range(a, *ret, why);
    default:
        return check_string(a, text, why);
    }
}

int64_t value_default(const struct schema_attr *a)
{
    struct buf why;
    int64_t v = 0;

    if (!a->otherwise)
        return 0;
    buf_init(&why, 1000);
    bool ok = parse_type(a, str_z(a->otherwise), &v, &why);
    buf_fini(&why);
    INVARIANT(ok);
    return v;
}

bool value_is_encrypted(struct str s, bool *ret_empty)
{
    if (!str_starts(s, STR("[enc:")) || s.n < 11 || memcmp(s.p + s.n - 5, ":enc]", 5) != 0)
        return false;
    struct str inner = str_sub(s, 5, s.n - 5);
    size_t colon = str_find_char(inner, ':');

    /* Without a provider and a second colon it is clear text that only looks similar. */
    if (colon == SIZE_MAX || colon == 0)
        return false;
    struct str secret = str_sub(inner, colon + 1, inner.n);
    for (size_t i = 0; i < secret.n; i++) {
        char c = secret.p[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '+' && c != '/' && c != '=')
            return false;
    }
    *ret_empty = secret.n == 0;
    return true;
}
