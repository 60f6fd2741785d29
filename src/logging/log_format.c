/* Writing one line, the hot path of the logs: no allocation, no lock, no system call. */
#include "logging/log_program.h"

#include <stdio.h>

#include "logging/log_escape.h"
#include "base/poison.h"

/* The value of a member named by its offset; records are plain structs of the caller. */
#define MEMBER(type, record, offset) \
    ((const type *)(const void *)((const char *)(record) + (offset)))

size_t log_program_room(const struct log_program *p, const void *record, struct str *custom)
{
    size_t n = 0, left = LOG_CUSTOM_BYTES_MAX;

    for (size_t i = 0; i < p->n_strs; i++) {
        size_t len = MEMBER(struct str, record, p->strs[i])->n;

        n += len < LOG_FIELD_MAX ? len : LOG_FIELD_MAX;
    }
    for (size_t i = 0; i < p->n_custom; i++) {
        custom[i] = log_clip(custom[i], p->max_custom < left ? p->max_custom : left);
        left -= custom[i].n;
        n += custom[i].n;
    }
    return p->fixed + (UNLIKELY(p->form == LOG_LINE_JSON) ? 6 * n : n);
}

static inline char *put_str(char *at, struct str s)
{
    memcpy(at, s.p, s.n);
    return at + s.n;
}

/* Most numbers of a log line have one to five digits: statuses, times, ports. */
static inline char *put_u64(char *at, uint64_t v)
{
    if (v >= 100000)
        return at + fmt_u64(at, v);
    uint32_t n = (uint32_t)v;
    unsigned digits = n < 10 ? 1 : n < 100 ? 2 : n < 1000 ? 3 : n < 10000 ? 4 : 5;

    switch (digits) {
    case 5:
        at[4] = (char)('0' + n % 10);
        n /= 10;
        /* fall through */
    case 4:
        at[3] = (char)('0' + n % 10);
        n /= 10;
        /* fall through */
    case 3:
        at[2] = (char)('0' + n % 10);
        n /= 10;
        /* fall through */
    case 2:
        at[1] = (char)('0' + n % 10);
        n /= 10;
        /* fall through */
    default:
        at[0] = (char)('0' + n);
    }
    return at + digits;
}

static inline char *put_number_or_dash(char *at, uint64_t v)
{
    if (v)
        return put_u64(at, v);
    *at = '-';
    return at + 1;
}

static struct str limit_field(struct str s)
{
    return UNLIKELY(s.n > LOG_FIELD_MAX) ? STR("...") : s;
}

/* Addresses are our own text: shorter than a vector and nothing in them to escape. */
static inline char *put_addr(char *at, const struct log_addr *a)
{
    if (UNLIKELY(a->text.n == 0 || a->text.n > LOG_ADDR_TEXT_MAX)) {
        *at = '-';
        return at + 1;
    }
    return put_str(at, a->text);
}

static char *put_addr_zone(char *at, const struct log_addr *a)
{
    at = put_addr(at, a);
    if (str_find_char(a->text, ':') != SIZE_MAX && str_find_char(a->text, '%') == SIZE_MAX)
        at = put_str(at, STR("%0"));
    return at;
}

/* cs-uri: path and query with the question mark, LOG_FIELD_MAX bytes in all. */
static char *put_uri(char *at, const struct log_httperr_record *r, bool is_utf8)
{
    struct str path = log_clip(r->uri, LOG_FIELD_MAX);

    at = log_put_field(at, path, is_utf8);
    if (r->query.n && path.n + 1 < LOG_FIELD_MAX) {
        *at++ = '?';
        at = log_put_field(at, log_clip(r->query, LOG_FIELD_MAX - path.n - 1), is_utf8);
    }
    return at;
}

static char *run_columns(const struct log_program *p, const struct log_clock *clock, const void *r,
                         const struct str *custom, char *at)
{
    for (const struct log_step *s = p->steps, *end = s + p->n_steps; s < end; s++) {
        size_t offset = s->offset;

        switch ((enum log_op)s->op) {
        case LOG_OP_STAMP:
            memcpy(at, clock->stamp, LOG_STAMP_LEN);
            at += LOG_STAMP_LEN;
            break;
        case LOG_OP_DATE:
            memcpy(at, clock->stamp, 10);
            at += 10;
            break;
        case LOG_OP_TIME:
            memcpy(at, clock->stamp + 11, 8);
            at += 8;
            break;
        case LOG_OP_SITE_NAME:
            at = put_str(at, p->site_name);
            break;
        case LOG_OP_COMPUTER:
            at = put_str(at, p->computer);
            break;
        case LOG_OP_FIELD:
            at = log_put_field(at, limit_field(*MEMBER(struct str, r, offset)), p->is_utf8);
            break;
        case LOG_OP_CLIP:
            at = log_put_field(at, log_clip(*MEMBER(struct str, r, offset), LOG_FIELD_MAX),
                               p->is_utf8);
            break;
        case LOG_OP_METHOD:
            at = log_put_field(at, log_clip(*MEMBER(struct str, r, offset), LOG_METHOD_MAX),
                               p->is_utf8);
            break;
        case LOG_OP_URI:
            at = put_uri(at, r, p->is_utf8);
            break;
        case LOG_OP_ADDR:
            at = put_addr(at, MEMBER(struct log_addr, r, offset));
            break;
        case LOG_OP_ADDR_ZONE:
            at = put_addr_zone(at, MEMBER(struct log_addr, r, offset));
            break;
        case LOG_OP_PORT:
            at = put_number_or_dash(at, MEMBER(struct log_addr, r, offset)->port);
            break;
        case LOG_OP_U16:
            at = put_u64(at, *MEMBER(uint16_t, r, offset));
            break;
        case LOG_OP_STATUS:
            at = put_number_or_dash(at, *MEMBER(uint16_t, r, offset));
            break;
        case LOG_OP_U32:
            at = put_u64(at, *MEMBER(uint32_t, r, offset));
            break;
        case LOG_OP_U32_DASH:
            at = put_number_or_dash(at, *MEMBER(uint32_t, r, offset));
            break;
        case LOG_OP_U64:
            at = put_u64(at, *MEMBER(uint64_t, r, offset));
            break;
        case LOG_OP_DASH:
            *at++ = '-';
            break;
        case LOG_OP_CUSTOM:
            at = log_put_field(at, custom[offset], p->is_utf8);
            break;
        }
        *at++ = ' ';
    }
    return at - 1;
}

/* c-ip, user, M/D/YYYY, H:MM:SS, W3SVC1, COMPUTER, s-ip, ms, cs-bytes, sc-bytes, status, win32,
 * METHOD, stem, parameters, */
static char *run_iis(const struct log_program *p, const struct log_clock *clock,
                     const struct log_record *r, char *at)
{
    const uint64_t numbers[] = {r->time_taken_ms, r->bytes_received, r->bytes_sent, r->status,
                                r->win32};
    const struct str strings[] = {r->method, r->stem, r->query};

    at = put_str(put_addr(at, &r->client), STR(", "));
    at = put_str(log_put_field_blanks(at, limit_field(r->user), p->is_utf8), STR(", "));
    at = put_str(put_str(at, str_n(clock->native, clock->native_len)), STR(", "));
    at = put_str(put_str(at, p->site_name), STR(", "));
    at = put_str(put_str(at, p->computer), STR(", "));
    at = put_str(put_addr(at, &r->server), STR(", "));
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        at = put_str(put_u64(at, numbers[i]), STR(", "));
    for (size_t i = 0; i < ARRAY_LEN(strings); i++)
        at = put_str(log_put_field(at, limit_field(strings[i]), p->is_utf8), STR(", "));
    return at - 1; /* ends with the comma */
}

/* c-ip - user [time] "METHOD uri?query HTTP/x.y" status sc-bytes */
static char *run_ncsa(const struct log_program *p, const struct log_clock *clock,
                      const struct log_record *r, char *at)
{
    at = put_str(put_addr(at, &r->client), STR(" - "));
    at = log_put_field(at, limit_field(r->user), p->is_utf8);
    *at++ = ' ';
    at = put_str(put_str(at, str_n(clock->ncsa, clock->ncsa_len)), STR(" \""));
    at = log_put_field(at, limit_field(r->method), p->is_utf8);
    *at++ = ' ';
    at = log_put_field(at, limit_field(r->stem), p->is_utf8);
    if (r->query.n) {
        *at++ = '?';
        at = log_put_field(at, limit_field(r->query), p->is_utf8);
    }
    *at++ = ' ';
    at = put_str(log_put_field(at, limit_field(r->version), p->is_utf8), STR("\" "));
    at = put_u64(at, r->status);
    *at++ = ' ';
    return put_u64(at, r->bytes_sent);
}

/* Numbers as numbers; what is empty has no key. Returns at unchanged if there is nothing. */
static char *put_json_value(const struct log_program *p, const struct log_step *s, struct str key,
                            const void *r, const struct str *custom, char *at)
{
    struct str v = STR_NULL;
    uint64_t number = 0;

    switch ((enum log_op)s->op) {
    case LOG_OP_STAMP:
    case LOG_OP_DATE:
    case LOG_OP_TIME: /* "time" is always there */
    case LOG_OP_DASH:
        return at;
    case LOG_OP_SITE_NAME:
        v = p->site_name;
        break;
    case LOG_OP_COMPUTER:
        v = str_eq(p->computer, STR("-")) ? STR_NULL : p->computer;
        break;
    case LOG_OP_METHOD:
        v = log_clip(*MEMBER(struct str, r, s->offset), LOG_METHOD_MAX);
        break;
    case LOG_OP_FIELD:
    case LOG_OP_CLIP:
        v = log_clip(*MEMBER(struct str, r, s->offset), LOG_FIELD_MAX);
        break;
    case LOG_OP_ADDR:
    case LOG_OP_ADDR_ZONE:
        v = log_clip(MEMBER(struct log_addr, r, s->offset)->text, LOG_ADDR_TEXT_MAX);
        break;
    case LOG_OP_CUSTOM:
        v = custom[s->offset];
        break;
    case LOG_OP_URI:
        v = log_clip(*MEMBER(struct str, r, offsetof(struct log_httperr_record, uri)),
                     LOG_FIELD_MAX);
        break;
    case LOG_OP_PORT:
        number = MEMBER(struct log_addr, r, s->offset)->port;
        goto number_or_nothing;
    case LOG_OP_STATUS:
        number = *MEMBER(uint16_t, r, s->offset);
        goto number_or_nothing;
    case LOG_OP_U32_DASH:
        number = *MEMBER(uint32_t, r, s->offset);
    number_or_nothing:
        return number ? put_u64(put_str(at, key), number) : at;
    case LOG_OP_U16:
        return put_u64(put_str(at, key), *MEMBER(uint16_t, r, s->offset));
    case LOG_OP_U32:
        return put_u64(put_str(at, key), *MEMBER(uint32_t, r, s->offset));
    case LOG_OP_U64:
        return put_u64(put_str(at, key), *MEMBER(uint64_t, r, s->offset));
    }
    if (!v.n)
        return at;
    at = log_put_json(put_str(at, key), v);
    if (s->op == LOG_OP_URI &&
        MEMBER(struct str, r, offsetof(struct log_httperr_record, query))->n) {
        const struct str *query = MEMBER(struct str, r, offsetof(struct log_httperr_record, query));
        char *quote = at - 1;
        char *end = log_put_json(at - 1, log_clip(*query, LOG_FIELD_MAX));

        *quote = '?'; /* where the path's closing and the query's opening mark met */
        at = end;
    }
    return at;
}

_Static_assert(offsetof(struct log_record, wall_us) == 0 &&
                   offsetof(struct log_httperr_record, wall_us) == 0,
               "the time is found without knowing which record it is");

static char *run_json(const struct log_program *p, const struct log_clock *clock, int64_t wall_us,
                      const void *r, const struct str *custom, char *at)
{
    unsigned ms = (unsigned)((wall_us - clock->second_us) / 1000) % 1000;

    at = put_str(put_str(at, p->json_head), STR(",\"time\":\""));
    memcpy(at, clock->stamp, LOG_STAMP_LEN);
    at[10] = 'T';
    at += LOG_STAMP_LEN;
    *at++ = '.';
    *at++ = (char)('0' + ms / 100);
    *at++ = (char)('0' + ms / 10 % 10);
    *at++ = (char)('0' + ms % 10);
    at = put_str(at, STR("Z\""));
    for (size_t i = 0; i < p->n_steps; i++)
        at = put_json_value(p, &p->steps[i], p->json_keys[i], r, custom, at);
    *at++ = '}';
    return at;
}

char *log_program_run(const struct log_program *p, const struct log_clock *clock,
                      const void *record, const struct str *custom, char *at)
{
    char *start = at;

    switch (p->form) {
    case LOG_LINE_COLUMNS:
        at = run_columns(p, clock, record, custom, at);
        break;
    case LOG_LINE_IIS:
        at = run_iis(p, clock, record, at);
        break;
    case LOG_LINE_NCSA:
        at = run_ncsa(p, clock, record, at);
        break;
    case LOG_LINE_JSON:
        at = run_json(p, clock, *MEMBER(int64_t, record, 0), record, custom, at);
        *at++ = '\n';
        return at;
    }
    if (UNLIKELY((size_t)(at - start) > p->max_line))
        at = start + log_clip(str_n(start, (size_t)(at - start)), p->max_line).n;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}
