/* Recognising a log by what is in it. */
#include "diagnose/documents.h"
#include "diagnose/lines.h"
#include "diagnose/unit.h"
#include "base/poison.h"

enum { LINES_LOOKED_AT = 200, VALUES_MAX = 200 };

/* What headers say, without counting anything. */
static enum log_kind by_header(struct str text, bool *ret_is_dated, const char **ret_why)
{
    struct unit_stats stats;
    struct sink sink = {.stats = &stats};
    struct columns c;
    struct str line;
    enum log_kind kind = LOG_UNKNOWN;
    bool has_fields = false;

    unit_stats_init(&stats);
    columns_init(&c, &sink);
    while (str_split(&text, '\n', &line)) {
        line = str_trim_all(line);
        if (line.n == 0 || line.p[0] == '\0')
            continue;
        if (line.p[0] == '#') {
            columns_directive(&c, line);
            has_fields |= c.layout != NULL;
            continue;
        }
        if (c.layout || c.refused)
            break;
    }
    *ret_is_dated = c.layout && c.layout->has_date;
    if (c.refused)
        *ret_why = c.refused;
    else if (c.layout)
        kind = c.layout->kind;
    /* Directives without #Fields and without records: an empty log all the same. */
    else if (c.has_software && !has_fields)
        kind = LOG_W3C;
    columns_fini(&c);
    unit_stats_fini(&stats);
    return kind;
}

static bool is_column_record(struct str line)
{
    struct str v[VALUES_MAX];
    size_t n = 0;

    while (n < ARRAY_LEN(v) && str_split(&line, ' ', &v[n]))
        n += v[n].n != 0;
    struct layout *l = layout_guess(v, n);
    bool found = l != NULL;

    layout_free(l);
    return found;
}

/* The kind that most of the first lines are records of. */
static enum log_kind by_records(struct str text)
{
    size_t hits[LOG_KIND_MAX] = {0}, n = 0;
    enum log_kind best = LOG_UNKNOWN;
    struct str line;
    struct record r;

    while (n < LINES_LOOKED_AT && str_split(&text, '\n', &line)) {
        line = str_trim_all(line);
        n += line.n != 0;
        if (line.n == 0)
            continue;
        if (is_column_record(line))
            hits[LOG_W3C]++;
        else if (native_parse(line, &r))
            hits[LOG_IIS]++;
        else if (ncsa_parse(line, &r))
            hits[LOG_NCSA]++;
        else if (ancm_is_mark(line))
            hits[LOG_ANCM]++;
    }
    for (unsigned k = 0; k < LOG_KIND_MAX; k++)
        if (hits[k] > hits[best])
            best = (enum log_kind)k;
    return hits[best] ? best : LOG_UNKNOWN;
}

static bool has(struct str text, struct str what)
{
    return str_find(text, what) != SIZE_MAX;
}

static const char event_log[] =
    "an event log, which has no requests: read the logs of the sites and HTTPERR of that time, and "
    "look its events up by number (candor explain event 5002)";

static enum log_kind by_document(struct str text, const char **ret_why)
{
    if (text.p[0] == '<') {
        if (has(text, STR("<failedRequest")))
            return LOG_FREB;
        if (has(text, events_source))
            return LOG_EVENTS;
        *ret_why = has(text, STR("<Event")) ? event_log : "XML, but no failed request trace";
        return LOG_UNKNOWN;
    }
    if (str_starts(text, STR("ElfFile"))) {
        *ret_why = event_log;
        return LOG_UNKNOWN;
    }
    /* JSON, or JSON in a function call. */
    size_t brace = str_find_char(str_sub(text, 0, 200), '{');

    if (brace != SIZE_MAX && has(text, STR("\"log\"")) &&
        str_find_char(str_sub(text, 0, brace), '\n') == SIZE_MAX)
        return LOG_HAR;
    return LOG_UNKNOWN;
}

/* Packed data, where text should be: of a kind that is not unpacked, or packed twice. */
static const char *packed_why(struct str text)
{
    static const struct {
        struct str mark;
        const char *why;
    } kinds[] = {
        {STR("\x1f\x8b\x08"), "packed with gzip inside another packing: unpack it first"},
        {STR("\x28\xb5\x2f\xfd"), "packed with zstd inside another packing: unpack it first"},
        {STR("PK\x03\x04"), "a zip archive inside another packing: unpack it first"},
        {STR("BZh"), "packed with bzip2, which is not read here: unpack it first"},
        {STR("\xfd"
             "7zXZ\0"),
         "packed with xz, which is not read here: unpack it first"},
        {STR("7z\xbc\xaf\x27\x1c"), "packed with 7-Zip, which is not read here: unpack it first"},
        {STR("Rar!\x1a\x07"), "a RAR archive, which is not read here: unpack it first"},
        {STR("MSCF\0\0\0\0"), "a cabinet file, which is not read here: unpack it first"},
    };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_starts(text, kinds[i].mark))
            return kinds[i].why;
    return NULL;
}

enum log_kind sniff(struct str text, bool *ret_is_dated, const char **ret_why)
{
    enum log_kind kind;

    *ret_is_dated = true;
    *ret_why = packed_why(text);
    if (*ret_why)
        return LOG_UNKNOWN;
    *ret_why = "its first lines are of no log that is known here";
    while (text.n && (text.p[0] == '\0' || strchr(" \t\r\n", text.p[0])))
        text = str_sub(text, 1, text.n);
    if (text.n == 0) {
        *ret_why = "it is empty";
        return LOG_UNKNOWN;
    }
    if (text.p[0] == '#') {
        kind = by_header(text, ret_is_dated, ret_why);
        if (kind != LOG_UNKNOWN)
            return kind;
    }
    kind = by_document(text, ret_why);
    return kind != LOG_UNKNOWN || text.p[0] == '<' || *ret_why == event_log ? kind
                                                                            : by_records(text);
}
