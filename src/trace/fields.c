/* What events say: their fields, places and times. */
#include "trace/freb.h"

#include <stdio.h>

#include "http/date.h"
#include "base/poison.h"

/* ---- fields ---- */

static const struct freb_field *find_field(const struct freb_event *e, const char *name)
{
    for (size_t i = 0; i < e->n_fields; i++)
        if (str_eq(e->fields[i].name, str_z(name)))
            return &e->fields[i];
    return NULL;
}

struct str freb_value(const struct freb_event *e, const char *name)
{
    const struct freb_field *f = find_field(e, name);

    return f ? f->value : STR_NULL;
}

struct str freb_words(const struct freb_event *e, const char *name)
{
    const struct freb_field *f = find_field(e, name);

    return f ? f->text : STR_NULL;
}

bool freb_number(const struct freb_event *e, const char *name, uint64_t *ret)
{
    struct str s = str_trim_all(freb_value(e, name));
    int64_t i;

    if (str_u64_any(s, UINT64_MAX - 1, ret))
        return true;
    if (!str_i64(s, &i) || i >= 0 || i < INT32_MIN)
        return false;
    *ret = (uint32_t)i;
    return true;
}

struct str freb_notification(const struct freb_event *e)
{
    struct str words = freb_words(e, "Notification");
    uint64_t v;

    if (words.n)
        return words;
    if (str_starts(e->name, STR("PRE_BEGIN_REQUEST_")))
        return STR("PRE_BEGIN_REQUEST");
    if (!freb_number(e, "Notification", &v))
        return STR_NULL;
    const char *name = freb_notification_name(v);
    return name ? str_z(name) : freb_value(e, "Notification");
}

bool freb_is_post(const struct freb_event *e)
{
    struct str s = freb_value(e, "fIsPostNotification");

    if (s.n == 0)
        s = freb_value(e, "fIsPostNotificationEvent");
    return str_ieq(s, STR("true")) || str_eq(s, STR("1"));
}

struct str freb_module_at(const struct freb_trace *t, size_t i)
{
    struct str own = freb_value(&t->events[i], "ModuleName");

    for (unsigned up = 0; own.n == 0 && up <= FREB_DEPTH_MAX; up++) {
        i = t->events[i].parent;
        if (i == FREB_NONE)
            break;
        own = freb_value(&t->events[i], "ModuleName");
    }
    return own;
}

/* ---- time ---- */

static bool take_number(struct str *s, size_t digits, unsigned max, unsigned *ret)
{
    uint64_t v;

    if (s->n < digits || !str_u64(str_sub(*s, 0, digits), max, &v))
        return false;
    *s = str_sub(*s, digits, s->n);
    *ret = (unsigned)v;
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_sub(*s, 1, s->n);
    return true;
}

bool freb_time_parse(struct str s, int64_t *ret_us)
{
    struct civil c = {0};
    unsigned year, micros = 0, weight = 100000;

    s = str_trim_all(s);
    if (!take_number(&s, 4, 9999, &year) || !take_char(&s, '-') ||
        !take_number(&s, 2, 12, &c.month) || !take_char(&s, '-') ||
        !take_number(&s, 2, 31, &c.day) || !take_char(&s, 'T') ||
        !take_number(&s, 2, 23, &c.hour) || !take_char(&s, ':') ||
        !take_number(&s, 2, 59, &c.minute) || !take_char(&s, ':') ||
        !take_number(&s, 2, 59, &c.second) || c.month == 0 || c.day == 0)
        return false;
    if (take_char(&s, '.')) {
        for (; s.n && ascii_is_digit(s.p[0]); s = str_sub(s, 1, s.n)) {
            micros += (unsigned)(s.p[0] - '0') * weight;
            weight /= 10;
        }
    }
    take_char(&s, 'Z');
    if (s.n)
        return false;
    c.year = (int64_t)year;
    *ret_us = civil_to_unix(&c) * 1000000 + (int64_t)micros;
    return true;
}

void freb_time_format(int64_t us, char out[FREB_TIME_LEN])
{
    struct civil c;
    int64_t s = us / 1000000, rest = us % 1000000;

    if (rest < 0) {
        rest += 1000000;
        s--;
    }
    civil_from_unix(s, &c);
    snprintf(out, FREB_TIME_LEN, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", (int)c.year, c.month, c.day,
             c.hour, c.minute, c.second, (unsigned)(rest / 1000));
}
