#include "diagnose/detectors/tools.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "tables/httperr.h"
#include "tables/status.h"
#include "tables/win32.h"
#include "base/poison.h"

enum {
    SENTENCE_MAX = 1500,
    WORD_MAX = 300,
    PATH_WORD_MAX = 4096,
    PATHS_NAMED = 20, /* in a command; of more, only their folder */
    COMMAND_MAX = 1 << 17,
};

/* One client is "the" client from this share on, and only of so many records. */
static const double concentrated = 0.8;
enum { CONCENTRATED_MIN = 5 };

struct str time_text(struct findings *fs, int64_t time_s)
{
    time_t t = (time_t)time_s;
    struct tm tm;
    char text[64];

    if (time_s == RECORD_NO_TIME || !gmtime_r(&t, &tm))
        return STR("an unknown time");
    return arena_dup(&fs->arena,
                     str_n(text, strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm)));
}

struct str names_text(struct findings *fs, const struct model_counts *list, size_t max)
{
    struct str out = STR("");

    for (size_t i = 0; i < list->n && i < max; i++)
        out =
            findings_text(fs, "%.*s%s%.*s", STR_ARG(out), i ? ", " : "", STR_ARG(list->at[i].name));
    return list->n > max ? findings_text(fs, "%.*s and more", STR_ARG(out)) : out;
}

static bool is_plain(char c)
{
    return ascii_is_digit(c) || ascii_is_alpha(c) || c == '.' || c == '_' || c == ':' || c == '/' ||
           c == '-' || c == '%' || c == ',' || c == '+' || c == '@';
}

static struct str quoted(struct findings *fs, struct str s, size_t max)
{
    bool needs_quotes = s.n == 0 || s.p[0] == '-';
    struct buf out;

    s = str_sub(s, 0, max);
    for (size_t i = 0; i < s.n && !needs_quotes; i++)
        needs_quotes = !is_plain(s.p[i]);
    if (!needs_quotes)
        return s;
    buf_init(&out, 8 * max);
    buf_char(&out, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'')
            buf_str(&out, STR("'\\''"));
        else if ((unsigned char)s.p[i] >= ' ')
            buf_char(&out, s.p[i]);
    }
    buf_char(&out, '\'');
    struct str word = arena_dup(&fs->arena, buf_view(&out));

    buf_fini(&out);
    return word;
}

struct str shell_word(struct findings *fs, struct str s)
{
    return quoted(fs, s, WORD_MAX);
}

struct str url_word(struct findings *fs, struct str folded)
{
    return shell_word(fs, str_sub(folded, 0, str_find_char(folded, '{')));
}

struct str common_folder(const struct model_counts *urls)
{
    if (urls->n == 0)
        return STR("/");
    struct str common = urls->at[0].name;

    for (size_t i = 1; i < urls->n; i++) {
        struct str name = urls->at[i].name;
        size_t k = 0;

        while (k < common.n && k < name.n && ascii_lower(common.p[k]) == ascii_lower(name.p[k]))
            k++;
        common.n = k;
    }
    size_t slash = str_rfind_char(common, '/');

    return slash == SIZE_MAX ? STR("/") : str_sub(common, 0, slash + 1);
}

uint64_t slots_between(const struct model_slots *slots, int64_t from_s, int64_t to_s)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < slots->n; i++)
        if (slots->at[i].start_s + (int64_t)slots->seconds > from_s && slots->at[i].start_s <= to_s)
            sum += slots->at[i].count;
    return sum;
}

struct model_bucket timeline_between(const struct model *m, int64_t from_s, int64_t to_s)
{
    struct model_bucket sum = {.start_s = from_s};

    for (size_t i = 0; i < m->bucket_n; i++) {
        const struct model_bucket *b = &m->timeline[i];

        if (b->start_s + (int64_t)m->bucket_seconds <= from_s || b->start_s > to_s)
            continue;
        sum.requests += b->requests;
        sum.errors_4xx += b->errors_4xx;
        sum.errors_5xx += b->errors_5xx;
        sum.httperr += b->httperr;
        sum.ms_sum += b->ms_sum;
        sum.ms_count += b->ms_count;
    }
    return sum;
}

double bucket_mean_ms(const struct model_bucket *b)
{
    return ratio(b->ms_sum, b->ms_count);
}

static int compare_ms(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y ? 1 : 0;
}

double usual_ms(const struct model *m, struct findings *fs, int64_t from_s, int64_t to_s)
{
    double *means = arena_alloc(&fs->arena, (m->bucket_n + 1) * sizeof(*means));
    size_t n = 0;

    for (size_t i = 0; i < m->bucket_n; i++) {
        const struct model_bucket *b = &m->timeline[i];

        if (b->start_s >= from_s && b->start_s <= to_s && b->ms_count)
            means[n++] = bucket_mean_ms(b);
    }
    if (n == 0)
        return 0;
    qsort(means, n, sizeof(*means), compare_ms);
    return means[n / 2];
}

void say(struct findings *fs, struct finding *f, const char *fmt, ...)
{
    char text[SENTENCE_MAX];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    f->why = findings_text(fs, "%.*s%s%s", STR_ARG(f->why), f->why.n ? " " : "", text);
}

void say_clients(struct findings *fs, struct finding *f)
{
    uint64_t sum = 0;
    size_t n = 0;

    if (f->count < CONCENTRATED_MIN)
        return;
    while (n < f->clients.n && n < 3 && ratio(sum, f->count) < concentrated)
        sum += f->clients.at[n++].count;
    if (n == 0 || sum > f->count || ratio(sum, f->count) < concentrated)
        return;
    struct model_counts few = {.at = f->clients.at, .n = n};

    if (sum == f->count)
        say(fs, f, "All came from %.*s.", STR_ARG(names_text(fs, &few, n)));
    else
        say(fs, f, "%.*s sent %llu of the %llu.", STR_ARG(names_text(fs, &few, n)),
            (unsigned long long)sum, (unsigned long long)f->count);
}

void say_onset(const struct model *m, struct findings *fs, struct finding *f)
{
    if (f->first_s == RECORD_NO_TIME || m->first_s == RECORD_NO_TIME || m->bucket_n == 0)
        return;
    struct model_bucket before =
        timeline_between(m, m->first_s, f->first_s - (int64_t)m->bucket_seconds);

    if (before.requests >= 10)
        say(fs, f, "It began at %.*s, after %llu requests without it.",
            STR_ARG(time_text(fs, f->first_s)), (unsigned long long)before.requests);
}

/* ---- commands ---- */

/* A path that stays one word and no option, whatever is in it. False if that can't be had. */
static bool put_path(struct findings *fs, struct buf *out, struct str path)
{
    bool is_option = path.n > 1 && path.p[0] == '-';

    if (path.n > PATH_WORD_MAX)
        return false;
    for (size_t i = 0; i < path.n; i++)
        if ((unsigned char)path.p[i] < ' ' || path.p[i] == 0x7F)
            return false;
    buf_char(out, ' ');
    buf_str(out, is_option ? STR("./") : STR(""));
    buf_str(out, path.n == 1 && path.p[0] == '-' ? path : quoted(fs, path, PATH_WORD_MAX));
    return true;
}

static bool put_paths(const struct model *m, struct findings *fs, struct buf *out)
{
    if (m->path_n > PATHS_NAMED)
        return false;
    for (size_t i = 0; i < m->path_n; i++)
        if (!put_path(fs, out, m->paths[i]))
            return false;
    return m->path_n > 0;
}

/* Many paths are the files of a folder, more often than not. */
static struct str folder_of_all(const struct model *m)
{
    struct str common = m->path_n ? m->paths[0] : STR("");

    for (size_t i = 1; i < m->path_n; i++) {
        size_t k = 0;
        while (k < common.n && k < m->paths[i].n && common.p[k] == m->paths[i].p[k])
            k++;
        common.n = k;
    }
    size_t slash = str_rfind_char(common, '/');

    if (slash == SIZE_MAX)
        return STR(".");
    return slash == 0 ? STR("/") : str_sub(common, 0, slash);
}

static void keep_word(struct findings *fs, struct buf *out, const char *option, struct str value,
                      struct str options)
{
    if (value.n && str_find(options, str_z(option)) == SIZE_MAX) {
        buf_printf(out, " %s ", option);
        buf_str(out, shell_word(fs, value));
    }
}

static struct str given_time(struct findings *fs, int64_t time_s)
{
    return time_s == RECORD_NO_TIME ? STR("") : time_text(fs, time_s);
}

struct str again(const struct model *m, struct findings *fs, const char *options, ...)
{
    char text[SENTENCE_MAX];
    const struct filter *filter = &m->filter;
    struct buf out, paths;
    va_list ap;

    va_start(ap, options);
    int n = vsnprintf(text, sizeof(text), options, ap);
    va_end(ap);
    if (n < 0)
        return STR("");
    struct str added = str_n(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);

    buf_init(&out, COMMAND_MAX);
    buf_init(&paths, COMMAND_MAX);
    buf_str(&out, STR("candor diagnose"));
    if (put_paths(m, fs, &paths) && !paths.overflow) {
        buf_str(&out, buf_view(&paths));
    } else if (!put_path(fs, &out, folder_of_all(m))) {
        buf_str(&out, STR(" ."));
    }
    keep_word(fs, &out, "--site", filter->site, added);
    keep_word(fs, &out, "--since", given_time(fs, filter->since_s), added);
    keep_word(fs, &out, "--until", given_time(fs, filter->until_s), added);
    keep_word(fs, &out, "--url", filter->url, added);
    keep_word(fs, &out, "--client", filter->client, added);
    buf_char(&out, ' ');
    buf_str(&out, added);
    struct str command = arena_dup(&fs->arena, buf_view(&out));

    buf_fini(&paths);
    buf_fini(&out);
    return command;
}

/* ---- what the catalogue says ---- */

struct str sentence_case(struct findings *fs, const char *text)
{
    size_t n = 0;

    while (text[n] >= 'a' && text[n] <= 'z')
        n++;
    /* Names such as maxUrl, and words with other signs, stay as they are. */
    if (n == 0 || (text[n] && text[n] != ' ' && text[n] != ',' && text[n] != ';'))
        return str_z(text);
    return findings_text(fs, "%c%s", text[0] - 'a' + 'A', text + 1);
}

static void advise(struct findings *fs, struct finding *f, const char *const *remedies)
{
    /* The last places stay free for the settings. */
    for (; *remedies && f->step_n + 2 < ARRAY_LEN(f->steps); remedies++)
        finding_step(f, sentence_case(fs, *remedies));
}

static void name_settings(struct findings *fs, struct finding *f, const char *const *settings)
{
    struct str names = STR("");

    for (size_t i = 0; i < 4 && settings[i]; i++)
        names = findings_text(fs, "%.*s%s%s", STR_ARG(names), i ? ", " : "", settings[i]);
    if (names.n)
        finding_step(f, findings_text(fs, "What decides: %.*s", STR_ARG(names)));
}

void advise_status(struct findings *fs, struct finding *f, uint32_t status, uint32_t substatus)
{
    const struct status_row *row = status > UINT16_MAX || substatus > UINT16_MAX
                                       ? NULL
                                       : status_find((uint16_t)status, (uint16_t)substatus);

    if (!row)
        return;
    advise(fs, f, row->remedies);
    name_settings(fs, f, row->settings);
}

void advise_reason(struct findings *fs, struct finding *f, struct str reason)
{
    const struct httperr_row *row = httperr_find_name(reason);

    if (!row)
        return;
    advise(fs, f, row->remedies);
    name_settings(fs, f, row->settings);
}

void advise_win32(struct findings *fs, struct finding *f, uint64_t code)
{
    const struct win32_row *row = code > UINT32_MAX ? NULL : win32_find((uint32_t)code);

    /* "See the status beside it" leads back to where the reader is. */
    if (row && row->remedies[0] && !str_starts(str_z(row->remedies[0]), STR("see the status")))
        advise(fs, f, row->remedies);
}

/* ---- findings of one code ---- */

static struct str catalogue_text(uint32_t status, uint32_t substatus)
{
    const struct status_row *row = status > UINT16_MAX || substatus > UINT16_MAX
                                       ? NULL
                                       : status_find_nearest((uint16_t)status, (uint16_t)substatus);

    return row ? str_z(row->text) : STR("");
}

static void finish_code(const struct model *m, struct findings *fs, struct finding *f,
                        const struct code_case *c, const struct model_status *row)
{
    f->share = ratio(f->count, m->requests);
    f->title = findings_text(fs, "%s (%s)", c->title, row->code);
    f->why = c->why ? str_z(c->why) : catalogue_text(row->status, row->substatus);
    finding_relate(f, str_z(row->code));
    f->command = again(m, fs, "--status %s", row->code);
}

struct finding *detect_code(const struct model *m, struct findings *fs, const char *prefix,
                            const struct code_case *c)
{
    const struct model_status *row, *first = NULL;
    struct finding *f = NULL;

    for (size_t i = 0; (row = model_next_status(m, c->status, c->substatus, &i)) != NULL;) {
        if (!f) {
            struct str id = findings_text(fs, "%s-%s", prefix, row->code);
            f = findings_add(fs, id.p, c->severity);
            first = row;
        }
        finding_from_status(f, row);
    }
    if (!f)
        return NULL;
    finish_code(m, fs, f, c, first);
    say_clients(fs, f);
    advise_status(fs, f, first->status, first->substatus);
    return f;
}

struct finding *detect_row(const struct model *m, struct findings *fs, const char *prefix,
                           const struct model_status *row, const struct code_case *c)
{
    struct str id = findings_text(fs, "%s-%llu", prefix, (unsigned long long)row->win32);
    struct finding *f = findings_add(fs, id.p, c->severity);

    finding_from_status(f, row);
    finish_code(m, fs, f, c, row);
    f->title = findings_text(fs, "%s (%s, win32 %llu)", c->title, row->code,
                             (unsigned long long)row->win32);
    finding_relate(f, findings_text(fs, "win32 %llu", (unsigned long long)row->win32));
    return f;
}

void detect_more(const struct model *m, struct findings *fs, const char *prefix,
                 const struct model_status *row, struct finding **more)
{
    if (!*more) {
        struct str id = findings_text(fs, "%s-more", prefix);
        *more = findings_add(fs, id.p, SEVERITY_WARNING);
        (*more)->title =
            findings_text(fs, "More of the same kind, with other codes (%s)", row->code);
        (*more)->why = STR(
            "So many different codes come from a program that sets them by itself, or from lines "
            "that were not written by a server.");
        finding_step(*more, STR("Look at the table of statuses."));
        (*more)->command = again(m, fs, "--top 1000");
    }
    finding_from_status(*more, row);
}

struct finding *detect_reason(const struct model *m, struct findings *fs, const char *id,
                              const struct reason_case *c)
{
    struct finding *f = NULL;

    for (size_t i = 0; i < m->reason_n; i++) {
        if (!str_ieq(m->reasons[i].reason, str_z(c->reason)))
            continue;
        if (!f)
            f = findings_add(fs, id, c->severity);
        finding_from_reason(f, &m->reasons[i]);
    }
    if (!f)
        return NULL;
    const struct httperr_row *row = httperr_find_name(str_z(c->reason));

    f->share = ratio(f->count, m->httperr_records);
    f->title = findings_text(fs, "%s (%s)", c->title, c->reason);
    f->why = str_z(c->why ? c->why : row ? row->meaning : "");
    finding_relate(f, str_z(c->reason));
    say_clients(fs, f);
    advise_reason(fs, f, str_z(c->reason));
    f->command = findings_text(fs, "candor explain %s", c->reason);
    return f;
}
