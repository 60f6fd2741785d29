#include "diagnose/columns.h"

#include <immintrin.h>
#include <stdlib.h>

#include "diagnose/text.h"
#include "base/poison.h"

enum { VALUES_MAX = 512, STATUS_MAX = 999, STAMP_LEN = 19 };

/* Other products' logs that look like W3C ones: by their #Software. */
static const struct str strangers[] = {
    STR("Microsoft Exchange"),
    STR("Microsoft Windows Firewall"),
    STR("NetScaler"),
    STR("SHOUTcast"),
    STR("Oracle"),
    STR("Incapsula"),
};

void columns_init(struct columns *c, struct sink *sink)
{
    *c = (struct columns){
        .sink = sink, .base_date_s = RECORD_NO_TIME, .last_clock_s = -1, .fast_fields = UINT32_MAX};
    c->stamp[0] = '\n';
}

void columns_fini(struct columns *c)
{
    c->layout = layout_free(c->layout);
    c->guess = layout_free(c->guess);
}

/* ---- directives ---- */

static void adopt(struct columns *c, struct layout *l)
{
    struct unit_stats *u = c->sink->stats;

    layout_free(c->layout);
    c->layout = l;
    l->is_quoted |= c->is_advanced;
    /* Everything that needs care goes the slow way. */
    c->fast_fields = l->has_date && !l->is_quoted && l->is_settled && l->columns <= COLUMNS_FAST
                         ? l->columns - 1
                         : UINT32_MAX;
    c->stamp[0] = '\n'; /* matches no line */
    u->has_local_time |= l->has_local_time;
    if (!l->is_guess && u->kind == LOG_UNKNOWN && l->is_settled)
        u->kind = l->kind;
    if (!u->fields || !str_eq(str_z(u->fields), l->fields)) {
        u->layout_changes += u->fields != NULL;
        free(u->fields);
        u->fields = str_dup_z(l->fields);
    }
}

static void on_fields(struct columns *c, struct str names)
{
    const char *why = NULL;
    struct layout *l = layout_new(str_trim_all(names), &why);

    if (!l) {
        c->refused = c->refused ? c->refused : why;
        c->layout = layout_free(c->layout);
        c->fast_fields = UINT32_MAX;
        return;
    }
    adopt(c, l);
}

void columns_directive(struct columns *c, struct str line)
{
    struct str name = str_sub(line, 0, str_find_char(line, ':'));
    struct str value = str_trim_all(str_sub(line, name.n + 1, line.n));

    if (str_ieq(name, STR("#Fields"))) {
        on_fields(c, value);
    } else if (str_ieq(name, STR("#Date")) || str_ieq(name, STR("#Start-Date"))) {
        int64_t date;
        if (text_date(str_sub(value, 0, 10), &date)) {
            c->base_date_s = date;
            c->last_clock_s = -1;
        }
    } else if (str_ieq(name, STR("#Software"))) {
        c->has_software = true;
        c->is_advanced = str_ifind(value, STR("Advanced Logging")) != SIZE_MAX;
        for (size_t i = 0; i < ARRAY_LEN(strangers); i++)
            if (str_ifind(value, strangers[i]) != SIZE_MAX)
                c->refused = "a log of another product, by its #Software line";
    } else if (str_ieq(name, STR("#Verson"))) {
        c->refused = "a log of the Windows firewall, by its #Verson line";
    }
}

/* ---- records ---- */

/* A line as it was split: value i begins at starts[i], and the next one after the byte that ends
 * it.
 */
struct split {
    const char *base;
    const uint32_t *starts;
};

static inline struct str value(struct split s, uint8_t column)
{
    if (column == COLUMN_NONE)
        return (struct str){s.base, 0};
    struct str v = {s.base + s.starts[column], s.starts[column + 1] - 1 - s.starts[column]};

    /* Computed, as which values are "-" cannot be guessed. */
    v.n -= (v.n == 1) & (*v.p == '-');
    return v;
}

/* Up to eight digits at once; reads eight bytes whatever there is. */
static inline bool few_digits(struct str v, uint64_t *ret)
{
    uint64_t x;

    memcpy(&x, v.p, 8);
    x = (x ^ 0x3030303030303030u) << (64 - 8 * v.n); /* zeros come before */
    if (UNLIKELY(((x + 0x7676767676767676u) | x) & 0x8080808080808080u))
        return false;
    x = x * 10 + (x >> 8);
    *ret = ((x & 0x000000FF000000FFu) * 0x000F424000000064u +
            (x >> 16 & 0x000000FF000000FFu) * 0x0000271000000001u) >>
           32;
    return true;
}

/* A number, or 0 with an odd value counted; "-" is 0. */
static inline uint64_t number(struct columns *c, struct str v)
{
    uint64_t n = 0;

    if (v.n == 1 && (unsigned)(unsigned char)(*v.p - '0') < 10)
        return (uint64_t)(*v.p - '0');
    if (v.n == 0)
        return 0;
    if (!(v.n <= 8 ? few_digits(v, &n) : text_u64(v.p, v.n, &n))) {
        c->sink->stats->odd_values++;
        return 0;
    }
    return n;
}

/* Reads three bytes whatever there is. */
static inline uint32_t status(struct columns *c, struct str v)
{
    unsigned a = (unsigned)(unsigned char)v.p[0] - '0', b = (unsigned)(unsigned char)v.p[1] - '0',
             d = (unsigned)(unsigned char)v.p[2] - '0';
    bool is_one = (v.n == 3) & (a < 10) & (b < 10) & (d < 10);

    if (UNLIKELY(!is_one & (v.n != 0)))
        c->sink->stats->odd_values++;
    return is_one ? a * 100 + b * 10 + d : 0;
}

/* The time of a record without date column: #Date's day, and the next one when the clock has gone
 * back. */
static int64_t time_by_header(struct columns *c, int64_t clock_s)
{
    if (c->base_date_s == RECORD_NO_TIME)
        return RECORD_NO_TIME;
    if (clock_s < c->last_clock_s)
        c->base_date_s += 86400;
    c->last_clock_s = clock_s;
    return c->base_date_s + clock_s;
}

static int64_t slow_time(struct columns *c, struct str date, struct str clock)
{
    int64_t date_s, clock_s;

    if (!text_clock(clock, &clock_s)) {
        c->sink->stats->odd_values += clock.n != 0;
        /* Advanced Logging and others may have a date alone. */
        return date.n && text_date(date, &date_s) ? date_s : RECORD_NO_TIME;
    }
    if (date.n == 0)
        return time_by_header(c, clock_s);
    if (!text_date(date, &date_s)) {
        c->sink->stats->odd_values++;
        return RECORD_NO_TIME;
    }
    return date_s + clock_s;
}

/* Date and time stand side by side; in most records they are those of the record before. */
static inline bool fast_time(struct columns *c, const char *p, const char *clock_end,
                             int64_t *ret_s)
{
    int64_t date_s, clock_s;

    if (LIKELY(memcmp(p, c->stamp, 16) == 0 && memcmp(p + 15, c->stamp + 15, 4) == 0 &&
               clock_end == p + STAMP_LEN)) {
        *ret_s = c->stamp_s;
        return true;
    }
    if (clock_end - p < STAMP_LEN || !text_date(str_n(p, 10), &date_s) ||
        !text_clock(str_n(p + 11, (size_t)(clock_end - p - 11)), &clock_s))
        return false;
    memcpy(c->stamp, p, STAMP_LEN);
    *ret_s = c->stamp_s = date_s + clock_s;
    return true;
}

/* Up to the query. Reads 64 bytes whatever there is. */
static inline size_t path_length(struct str url)
{
    const __m128i mark = _mm_set1_epi8('?');
    uint64_t marks = 0;

    for (unsigned i = 0; i < 4; i++) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(url.p + (size_t)i * 16));
        marks |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, mark)) << (i * 16);
    }
    if (UNLIKELY(url.n > 64 && marks == 0))
        return str_sub(url, 0, str_find_char(url, '?')).n;
    size_t n = marks ? (size_t)__builtin_ctzll(marks) : 64;

    return n < url.n ? n : url.n;
}

/* An HTTPERR record of a layout whose outcome is known. */
static inline void fill_httperr(struct columns *c, const struct layout *l, struct split starts,
                                struct record *r)
{
    r->kind = LOG_HTTPERR;
    r->status = status(c, value(starts, l->at[FIELD_STATUS]));
    r->substatus = 0;
    r->outcome_n = starts.starts[l->columns] - 1 - starts.starts[l->outcome];
    r->win32 = r->time_taken_ms = r->bytes_sent = r->bytes_received = 0;
    r->has_time_taken = false;
    r->url = value(starts, l->at[FIELD_URL]);
    r->url.n = path_length(r->url);
    r->client = value(starts, l->at[FIELD_CLIENT]);
    r->site = value(starts, l->at[FIELD_SITE]);
    r->reason = value(starts, l->at[FIELD_REASON]);
    r->pool = value(starts, l->at[FIELD_POOL]);
    r->user = r->method = STR_NULL;
}

/* All of it but time and text. */
static inline void fill(struct columns *c, const struct layout *l, struct split starts,
                        struct record *r)
{
    if (l->outcome != COLUMN_NONE) {
        fill_httperr(c, l, starts, r);
        return;
    }
    r->kind = l->kind;
    r->status = status(c, value(starts, l->at[FIELD_STATUS]));
    r->substatus = (uint32_t)number(c, value(starts, l->at[FIELD_SUBSTATUS]));
    r->win32 = number(c, value(starts, l->at[FIELD_WIN32]));
    struct str taken = value(starts, l->at[FIELD_TAKEN]);

    r->time_taken_ms = number(c, taken);
    r->has_time_taken = taken.n != 0;
    r->bytes_sent = number(c, value(starts, l->at[FIELD_SENT]));
    r->bytes_received = number(c, value(starts, l->at[FIELD_RECEIVED]));
    r->url = value(starts, l->at[FIELD_URL]);
    r->user = value(starts, l->at[FIELD_USER]);
    r->client = value(starts, l->at[FIELD_CLIENT]);
    r->site = value(starts, l->at[FIELD_SITE]);
    r->method = STR_NULL;
    r->reason = STR_NULL;
    r->pool = STR_NULL;
    r->outcome_n = 0;
    if (l->kind == LOG_HTTPERR) {
        r->reason = value(starts, l->at[FIELD_REASON]);
        r->pool = value(starts, l->at[FIELD_POOL]);
        r->url.n = path_length(r->url);
    }
}

/* A guess is of one record's shape: that another fits it must be seen. */
static bool guess_holds(const struct layout *l, struct split starts)
{
    struct str s = value(starts, l->at[FIELD_STATUS]);
    struct str reason = value(starts, l->at[FIELD_REASON]);
    struct str url = value(starts, l->at[FIELD_URL]);

    if (l->kind == LOG_HTTPERR)
        return reason.n != 0 && (ascii_is_alpha(reason.p[0]) || s.n == 3);
    return s.n == 3 && ascii_is_digit(s.p[0]) && ascii_is_digit(s.p[2]) &&
           (url.n == 0 || url.p[0] == '/') && value(starts, l->at[FIELD_METHOD]).n &&
           ascii_is_alpha(*value(starts, l->at[FIELD_METHOD]).p);
}

/* ---- the slow way ---- */

/* Single blanks between values. */
static size_t split_plain(struct str line, struct str *v)
{
    size_t n = 0, from = 0;

    for (size_t i = 0; i <= line.n; i++) {
        if (i < line.n && line.p[i] != ' ')
            continue;
        if (n == VALUES_MAX)
            return SIZE_MAX;
        v[n++] = str_sub(line, from, i);
        from = i + 1;
    }
    return n;
}

/* Values that begin with a quote run to the quote before a blank; doubled quotes are of the value.
 */
static size_t split_quoted(struct str line, struct str *v)
{
    size_t n = 0, i = 0;

    while (i <= line.n) {
        size_t from = i, to;
        bool quoted = i < line.n && line.p[i] == '"';

        if (n == VALUES_MAX)
            return SIZE_MAX;
        for (i += quoted; i < line.n; i++) {
            if (quoted && line.p[i] == '"' && i + 1 < line.n && line.p[i + 1] == '"')
                i++;
            else if (quoted ? line.p[i] == '"' && (i + 1 == line.n || line.p[i + 1] == ' ')
                            : line.p[i] == ' ')
                break;
        }
        to = i < line.n ? i : line.n;
        if (quoted && i == line.n)
            return SIZE_MAX;
        v[n++] = str_sub(line, from + quoted, to);
        i += quoted ? 2 : 1;
    }
    return n;
}

static size_t drop_empty(struct str *v, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (v[i].n)
            v[kept++] = v[i];
    return kept;
}

static struct str plain_value(const struct str *v, const struct layout *l, enum field f)
{
    struct str s = l->at[f] == COLUMN_NONE ? STR_NULL : v[l->at[f]];

    return s.n == 1 && s.p[0] == '-' ? STR_NULL : s;
}

/* Values as the fast way wants them: the end of each is where the next one starts. */
static void fill_values(struct columns *c, const struct layout *l, const struct str *v,
                        struct str text, struct record *r)
{
    /* Pairs of start and end for the fields alone, as values may come from anywhere in the line. */
    uint32_t starts[FIELD_MAX * 2];
    struct layout flat = *l;

    for (size_t f = 0; f < FIELD_MAX; f++) {
        struct str s = plain_value(v, l, (enum field)f);
        flat.at[f] = s.n ? (uint8_t)(f * 2) : COLUMN_NONE;
        starts[f * 2] = s.n ? (uint32_t)(s.p - text.p) : 0;
        starts[f * 2 + 1] = starts[f * 2] + (uint32_t)s.n + 1;
    }
    flat.outcome = COLUMN_NONE;
    fill(c, &flat, (struct split){text.p, starts}, r);
    r->time_s = slow_time(c, plain_value(v, l, FIELD_DATE), plain_value(v, l, FIELD_TIME));
}

/* The first record under a header tells a site's log from an FTP service's. */
static void settle(struct columns *c, struct layout *l, const struct str *v)
{
    struct unit_stats *u = c->sink->stats;

    if (l->is_settled)
        return;
    l->is_settled = true;
    if (l->kind == LOG_W3C && layout_is_ftp_verb(plain_value(v, l, FIELD_METHOD)))
        l->kind = LOG_FTP;
    if (u->kind == LOG_UNKNOWN)
        u->kind = l->kind;
    if (l == c->layout && l->has_date && !l->is_quoted && l->columns <= COLUMNS_FAST)
        c->fast_fields = l->columns - 1;
}

static void give_values(struct columns *c, struct layout *l, const struct str *v, struct str text)
{
    struct record r;

    settle(c, l, v);
    fill_values(c, l, v, text, &r);
    r.text = text;
    sink_record(c->sink, &r, c->line);
}

/* Neither time nor status is one: as many values as columns by chance, as in a text of another
 * encoding. */
static bool is_nonsense(const struct layout *l, const struct str *v)
{
    struct str date = plain_value(v, l, FIELD_DATE), clock = plain_value(v, l, FIELD_TIME);
    struct str ended = plain_value(v, l, FIELD_STATUS);
    int64_t at;
    uint64_t n;
    bool has_time =
        (date.n == 0 || text_date(date, &at)) && (clock.n == 0 || text_clock(clock, &at));

    return ended.n && !text_u64(ended.p, ended.n, &n) && !has_time;
}

static bool fit_header(struct columns *c, struct str line, struct str *v)
{
    struct layout *l = c->layout;
    size_t n;

    if (!l)
        return false;
    n = l->is_quoted ? split_quoted(line, v) : split_plain(line, v);
    if (n != l->columns && str_find_char(line, '"') != SIZE_MAX)
        n = l->is_quoted ? split_plain(line, v) : split_quoted(line, v);
    if (n == l->columns && !l->is_guess && !is_nonsense(l, v)) {
        give_values(c, l, v, line);
        return true;
    }
    n = split_plain(line, v);
    if (n == SIZE_MAX || l->is_guess || drop_empty(v, n) != l->columns || n == l->columns ||
        is_nonsense(l, v))
        return false;
    /* Two blanks in a row: an empty value written as nothing. */
    c->sink->stats->refitted++;
    give_values(c, l, v, line);
    return true;
}

static bool fit_shape(struct columns *c, struct str line, struct str *v)
{
    size_t n = split_plain(line, v);
    struct layout *l;

    if (n == SIZE_MAX)
        return false;
    l = layout_guess(v, n);
    if (!l && (n = drop_empty(v, n)) != 0)
        l = layout_guess(v, n);
    if (!l)
        return false;
    if (!c->layout || c->layout->is_guess) {
        c->sink->stats->is_headerless = true;
        adopt(c, l);
    } else {
        c->sink->stats->refitted++;
        layout_free(c->guess);
        c->guess = l;
    }
    give_values(c, l, v, line);
    return true;
}

/* Padding that a power failure leaves. */
static struct str without_nuls(struct columns *c, struct str line)
{
    size_t n = 0;

    while (n < line.n && line.p[n] == '\0')
        n++;
    c->sink->stats->nul_bytes += n;
    line = str_sub(line, n, line.n);
    for (n = 0; n < line.n && line.p[line.n - 1 - n] == '\0'; n++)
        ;
    c->sink->stats->nul_bytes += n;
    return str_sub(line, 0, line.n - n);
}

static void slow_line(struct columns *c, struct str line)
{
    struct str v[VALUES_MAX]
        __attribute__((uninitialized)); /* 8 KB: each use fills what it reads */

    if (line.n && (line.p[0] == '\0' || line.p[line.n - 1] == '\0'))
        line = without_nuls(c, line);
    line = str_trim_all(line);
    if (line.n == 0)
        return;
    if (line.p[0] == '#') {
        columns_directive(c, line);
        return;
    }
    if (line.n > LINE_LIMIT || (!fit_header(c, line, v) && !fit_shape(c, line, v)))
        sink_misfit(c->sink, line, c->line);
}

/* ---- the fast way ---- */

/* starts[0..fields] are where the line's values begin, and starts[fields + 1] is writable. */
static inline void one_line(struct columns *c, const char *base, uint32_t *starts, uint32_t fields,
                            const char *nl)
{
    const struct layout *l = c->layout;
    const char *line = base + starts[0], *end = nl;
    struct split values = {base, starts};

    c->line++;
    if (end > line && end[-1] == '\r')
        end--;
    if (UNLIKELY(fields != c->fast_fields || line[0] == '#'))
        goto slow;
    struct record *r = sink_slot(c->sink); /* fill sets every member */

    starts[fields + 1] = (uint32_t)(end + 1 - base);
    if (UNLIKELY(!fast_time(c, base + starts[l->at[FIELD_DATE]],
                            base + starts[l->at[FIELD_TIME] + 1] - 1, &r->time_s)))
        goto slow;
    if (UNLIKELY(l->is_guess && !guess_holds(l, values)))
        goto slow;
    fill(c, l, values, r);
    r->text = str_n(line, (size_t)(end - line));
    sink_slot_record(c->sink, c->line);
    return;
slow:
    slow_line(c, str_n(line, (size_t)(end - line)));
}

void columns_batch(struct columns *c, struct column_batch *b)
{
    uint32_t first = 0;

    c->sink->stats->lines += b->lines;
    for (uint32_t i = 0; i < b->lines; i++) {
        uint32_t next = b->ends[i], start = b->starts[next];
        one_line(c, b->base, b->starts + first, next - first - 1, b->base + start - 1);
        first = next;
        b->starts[first] = start; /* one_line may have put the end of its last value there */
    }
    /* An unfinished line; one of more values than the fast way takes may have any number of them.
     */
    uint32_t rest = b->n - first < COLUMNS_FAST ? b->n - first : COLUMNS_FAST;
    uint32_t line = b->starts[first];

    for (uint32_t i = 0; i <= rest; i++)
        b->starts[i] = b->starts[first + i] - line;
    b->base += line;
    b->n = rest;
    b->lines = 0;
}
