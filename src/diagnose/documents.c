#include "diagnose/documents.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "diagnose/text.h"
#include "base/poison.h"

static uint64_t count_lines(struct str text)
{
    uint64_t n = 0;
    struct str line;

    while (str_split(&text, '\n', &line))
        n++;
    return n;
}

const struct str events_source = STR("Microsoft-Windows-IIS-Logging");

/* ---- HAR ---- */

static struct str json_str(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    return json_is_string(v) ? str_n(json_string_value(v), json_string_length(v)) : STR_NULL;
}

/* "https://host:port/path?query" */
static void split_url(struct str url, struct record *r)
{
    size_t scheme = str_find(url, STR("://"));
    struct str rest = scheme == SIZE_MAX ? url : str_sub(url, scheme + 3, url.n);
    size_t slash = str_find_char(rest, '/');

    if (scheme != SIZE_MAX)
        rest = slash == SIZE_MAX ? STR("/") : str_sub(rest, slash, rest.n);
    rest = str_sub(rest, 0, str_find_char(rest, '?'));
    r->url = str_sub(rest, 0, str_find_char(rest, '#'));
}

/* What HTTP.sys answers by itself names it, where what comes from the site's pipeline names IIS. */
static bool is_of_listener(const json_t *response)
{
    const json_t *headers = json_object_get(response, "headers"), *header;
    size_t i;

    json_array_foreach(headers, i, header) if (str_ieq(json_str(header, "name"), STR("Server")) &&
                                               str_istarts(json_str(header, "value"),
                                                           STR("Microsoft-HTTPAPI"))) return true;
    return false;
}

static void har_entry(struct sink *sink, const json_t *entry, uint64_t number)
{
    const json_t *request = json_object_get(entry, "request");
    const json_t *response = json_object_get(entry, "response");
    const json_t *status = json_object_get(response, "status"),
                 *ms = json_object_get(entry, "time");
    struct record r = {.kind = LOG_HAR, .time_s = RECORD_NO_TIME};
    char text[SAMPLE_TEXT_MAX];

    if (!json_is_object(request)) {
        sink_misfit(sink, STR("an entry without request"), number);
        return;
    }
    if (json_is_integer(status) && json_integer_value(status) > 0 &&
        json_integer_value(status) <= 999)
        r.status = (uint32_t)json_integer_value(status);
    if (json_is_number(ms) && json_number_value(ms) >= 0 && json_number_value(ms) < 1e12) {
        r.time_taken_ms = (uint64_t)json_number_value(ms);
        r.has_time_taken = true;
    }
    if (!text_iso_time(json_str(entry, "startedDateTime"), &r.time_s))
        r.time_s = RECORD_NO_TIME;
    struct str url = json_str(request, "url");

    r.method = json_str(request, "method");
    split_url(url, &r);
    if (r.status >= 400 && is_of_listener(response))
        r.reason = STR("HTTP.sys");
    int n = snprintf(text, sizeof(text), "%.*s %.*s %u", STR_ARG(r.method), STR_ARG(url), r.status);

    r.text = str_n(text, n > 0 && (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
    sink_record(sink, &r, number);
    sink_flush(sink); /* text and the tree's strings end here */
}

/* What a JSONP wrapper or a byte order mark encloses. */
static struct str json_body(struct str text)
{
    size_t from = str_find_char(text, '{'), to = str_rfind_char(text, '}');

    return from == SIZE_MAX || to == SIZE_MAX || to < from ? STR_NULL : str_sub(text, from, to + 1);
}

char *har_read(struct sink *sink, struct str text)
{
    struct str body = json_body(text);
    json_error_t error;
    json_t *root = json_loadb(body.n ? body.p : "", body.n, 0, &error);
    const json_t *entries = json_object_get(json_object_get(root, "log"), "entries"), *entry;
    size_t i;
    char *why = NULL;

    sink->stats->kind = LOG_HAR;
    sink->stats->lines += count_lines(text);
    if (!root)
        why = xasprintf("not valid JSON: line %d: %s", error.line, error.text);
    else if (!json_is_array(entries))
        why = xstrdup("JSON without log.entries: not a HAR file");
    else {
        json_array_foreach(entries, i, entry)
        {
            har_entry(sink, entry, i + 1);
        }
    }
    json_decref(root);
    return why;
}

/* ---- FREB ---- */

/* Text of XML with its entities undone, in the arena. */
static struct str unescaped(struct str v, struct arena *arena)
{
    static const struct {
        struct str name;
        char c;
    } entities[] = {{STR("&lt;"), '<'},
                    {STR("&gt;"), '>'},
                    {STR("&amp;"), '&'},
                    {STR("&quot;"), '"'},
                    {STR("&apos;"), '\''}};
    char *out = arena_alloc(arena, v.n + 1); /* entities only get shorter */
    size_t n = 0;

    for (size_t i = 0; i < v.n; i++) {
        size_t e = 0;
        while (e < ARRAY_LEN(entities) && !str_starts(str_sub(v, i, v.n), entities[e].name))
            e++;
        out[n++] = e < ARRAY_LEN(entities) ? entities[e].c : v.p[i];
        i += e < ARRAY_LEN(entities) ? entities[e].name.n - 1 : 0;
    }
    return str_n(out, n);
}

/* The value of an attribute in a start tag. */
static struct str attribute(struct str tag, struct str name, struct arena *arena)
{
    size_t at = 0;

    for (;;) {
        size_t found = str_find(str_sub(tag, at, tag.n), name);
        if (found == SIZE_MAX)
            return STR_NULL;
        at += found + name.n;
        bool whole = at > name.n && strchr(" \t\r\n\"'", tag.p[at - name.n - 1]) &&
                     at + 1 < tag.n && tag.p[at] == '=' &&
                     (tag.p[at + 1] == '"' || tag.p[at + 1] == '\'');
        if (whole)
            break;
    }
    struct str v = str_sub(tag, at + 2, tag.n);

    return unescaped(str_sub(v, 0, str_find_char(v, tag.p[at + 1])), arena);
}

static void freb_status(struct str text, struct record *r)
{
    uint64_t status, substatus = 0;
    size_t dot = str_find_char(text, '.');

    if (!str_u64(str_sub(text, 0, dot), 999, &status))
        return;
    if (dot != SIZE_MAX && !str_u64(str_sub(text, dot + 1, text.n), 9999, &substatus))
        return;
    r->status = (uint32_t)status;
    r->substatus = (uint32_t)substatus;
}

/* Index of the last needle, or SIZE_MAX. */
static size_t rfind(struct str s, struct str needle)
{
    for (size_t i = s.n; i >= needle.n; i--)
        if (memcmp(s.p + i - needle.n, needle.p, needle.n) == 0)
            return i - needle.n;
    return SIZE_MAX;
}

/* What stands between the end of a mark at that index and the next tag. */
static struct str content(struct str s, size_t at, struct str mark)
{
    if (at == SIZE_MAX)
        return STR("");
    s = str_sub(s, at + mark.n, s.n);
    return str_sub(s, 0, str_find_char(s, '<'));
}

/* The first event by which a module sets an error status, and the name of the event before. An
 * event's name is the last <Opcode> in it; the first one is a number. */
static void freb_cause(struct tally *t, struct str text)
{
    static const struct str event = STR("<Event"), name = STR("<Opcode>"),
                            module = STR("Name=\"ModuleName\">");
    size_t end = str_find(text, STR("<Opcode>MODULE_SET_RESPONSE_ERROR_STATUS<"));

    if (end == SIZE_MAX)
        return;
    size_t data = rfind(str_sub(text, 0, end), STR("<EventData"));
    size_t start = data == SIZE_MAX ? SIZE_MAX : rfind(str_sub(text, 0, data), event);

    if (start == SIZE_MAX)
        return;
    struct str before = str_sub(text, 0, start);

    struct str its = str_sub(text, start, end);

    tally_trace_cause(t, content(its, str_find(its, module), module),
                      content(before, rfind(before, name), name));
}

char *freb_read(struct sink *sink, struct str text)
{
    enum { F_URL, F_SITE, F_POOL, F_VERB, F_USER, F_REASON, F_STATUS, F_TAKEN, F_COUNT };
    static const struct str names[F_COUNT] = {
        STR("url"),      STR("siteId"),        STR("appPoolId"),  STR("verb"),
        STR("userName"), STR("failureReason"), STR("statusCode"), STR("timeTaken")};
    size_t at = str_find(text, STR("<failedRequest"));
    struct str tag = str_sub(text, at, text.n), v[F_COUNT];
    struct record r = {.kind = LOG_FREB, .time_s = RECORD_NO_TIME};
    struct arena arena;

    sink->stats->kind = LOG_FREB;
    sink->stats->lines += count_lines(text);
    if (at == SIZE_MAX)
        return xstrdup("XML without failedRequest: not a failed request trace");
    tag = str_sub(tag, 0, str_find_char(tag, '>'));
    arena_init(&arena, 0);
    for (size_t i = 0; i < F_COUNT; i++)
        v[i] = attribute(tag, names[i], &arena);
    r.url = v[F_URL];
    r.site = v[F_SITE];
    r.pool = v[F_POOL];
    r.method = v[F_VERB];
    r.user = v[F_USER];
    r.reason = v[F_REASON];
    freb_status(v[F_STATUS], &r);
    r.has_time_taken = str_u64(v[F_TAKEN], UINT32_MAX, &r.time_taken_ms);
    size_t time = str_find(text, STR("SystemTime=\""));

    if (time != SIZE_MAX) {
        struct str s = str_sub(text, time + 12, text.n);
        if (!text_iso_time(str_sub(s, 0, str_find_char(s, '"')), &r.time_s))
            r.time_s = RECORD_NO_TIME;
    }
    r.text = str_trim_all(str_sub(tag, 0, SAMPLE_TEXT_MAX));
    size_t traces = sink->tally ? sink->tally->trace_n : 0;

    sink_record(sink, &r, 1);
    sink_flush(sink);
    if (sink->tally && sink->tally->trace_n > traces)
        freb_cause(sink->tally, text);
    arena_fini(&arena);
    return str_find(text, STR("</failedRequest>")) == SIZE_MAX
               ? xstrdup("the trace is cut off: its end tag is missing")
               : NULL;
}

/* ---- site logs that went to event tracing ---- */

enum event_field {
    E_DATE,
    E_TIME,
    E_CLIENT,
    E_USER,
    E_SITE,
    E_METHOD,
    E_STEM,
    E_STATUS,
    E_SUBSTATUS,
    E_WIN32,
    E_SENT,
    E_RECEIVED,
    E_TAKEN,
    E_COUNT
};

static const struct str event_fields[E_COUNT] = {STR("date"),         STR("time"),
                                                 STR("c-ip"),         STR("cs-username"),
                                                 STR("s-sitename"),   STR("cs-method"),
                                                 STR("cs-uri-stem"),  STR("sc-status"),
                                                 STR("sc-substatus"), STR("sc-win32-status"),
                                                 STR("sc-bytes"),     STR("cs-bytes"),
                                                 STR("time-taken")};

/* The values of <Data Name="FIELD">VALUE</Data>; those that are absent, or "-", stay empty. */
static void event_values(struct str event, struct str v[E_COUNT], struct arena *arena)
{
    static const struct str mark = STR("<Data Name=");
    size_t at;

    while ((at = str_find(event, mark)) != SIZE_MAX) {
        event = str_sub(event, at + mark.n, event.n);
        size_t gt = str_find_char(event, '>');
        if (gt == SIZE_MAX || gt < 2 || event.p[gt - 1] == '/')
            continue;
        struct str name = str_sub(event, 1, gt - 1), value = str_sub(event, gt + 1, event.n);

        value = unescaped(str_sub(value, 0, str_find_char(value, '<')), arena);
        for (size_t i = 0; i < E_COUNT; i++)
            if (str_eq(name, event_fields[i]) && !str_eq(value, STR("-")))
                v[i] = value;
    }
}

static uint64_t event_number(struct str v, uint64_t max)
{
    uint64_t n;

    return str_u64(v, max, &n) ? n : 0;
}

static bool event_record(struct sink *sink, struct str event, uint64_t number, struct arena *arena)
{
    struct str v[E_COUNT] = {{0}};
    struct record r = {.kind = LOG_W3C, .time_s = RECORD_NO_TIME};
    char text[SAMPLE_TEXT_MAX];
    int64_t day, clock;

    event_values(event, v, arena);
    r.status = (uint32_t)event_number(v[E_STATUS], 999);
    if (r.status == 0)
        return false;
    if (text_date(v[E_DATE], &day) && text_clock(v[E_TIME], &clock))
        r.time_s = day + clock;
    r.client = v[E_CLIENT];
    r.user = v[E_USER];
    r.site = v[E_SITE];
    r.method = v[E_METHOD];
    r.url = v[E_STEM];
    r.substatus = (uint32_t)event_number(v[E_SUBSTATUS], 9999);
    r.win32 = event_number(v[E_WIN32], UINT64_MAX);
    r.bytes_sent = event_number(v[E_SENT], UINT64_MAX);
    r.bytes_received = event_number(v[E_RECEIVED], UINT64_MAX);
    r.has_time_taken = str_u64(v[E_TAKEN], UINT32_MAX, &r.time_taken_ms);
    int n = snprintf(text, sizeof(text), "%.*s %.*s %.*s %.*s %.*s %u %u %llu", STR_ARG(v[E_DATE]),
                     STR_ARG(v[E_TIME]), STR_ARG(r.client), STR_ARG(r.method), STR_ARG(r.url),
                     r.status, r.substatus, (unsigned long long)r.win32);

    r.text = str_n(text, n > 0 && (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
    sink_record(sink, &r, number);
    sink_flush(sink);
    return true;
}

/* The next <Event ...> up to its end tag; text goes on behind it. False if there is no whole one.
 */
static bool next_event(struct str *text, struct str *ret)
{
    static const struct str begin = STR("<Event"), end = STR("</Event>");
    size_t at;

    while ((at = str_find(*text, begin)) != SIZE_MAX) {
        *text = str_sub(*text, at + begin.n, text->n);
        if (text->n && (text->p[0] == 'D' || text->p[0] == 's'))
            continue; /* EventData, Events */
        size_t stop = str_find(*text, end);
        if (stop == SIZE_MAX)
            return false;
        *ret = str_sub(*text, 0, stop);
        *text = str_sub(*text, stop + end.n, text->n);
        return true;
    }
    return false;
}

char *events_read(struct sink *sink, struct str text)
{
    struct str event;
    struct arena arena;
    uint64_t number = 0;

    sink->stats->lines += count_lines(text);
    while (next_event(&text, &event)) {
        number++;
        arena_init(&arena, 0);
        if (str_find(event, events_source) == SIZE_MAX ||
            !event_record(sink, event, number, &arena))
            sink_misfit(sink, STR("an event that is no record of a site's log"), number);
        arena_fini(&arena);
    }
    return str_find(text, STR("<Event")) == SIZE_MAX
               ? NULL
               : xstrdup("the file is cut off: the last event has no end");
}
