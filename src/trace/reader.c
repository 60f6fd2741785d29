#include "trace/freb.h"

#include <libxml/xmlreader.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/poison.h"

/* Of elements; a trace has five levels. */
enum { XML_DEPTH_MAX = 32 };

enum section { SECTION_NONE, SECTION_SYSTEM, SECTION_DATA, SECTION_RENDERING, SECTION_EXTENDED };

struct reader {
    struct freb_trace *t;
    xmlTextReaderPtr xml;
    struct str bytes;
    bool hide_secrets;
    bool has_root, is_other, in_event, is_collecting;
    enum section section;
    struct buf text; /* of the element that is read, if it is one whose text counts */
    char error[160]; /* libxml2's first complaint */
    int error_line;

    /* The event that is read. */
    struct freb_event event;
    struct freb_field fields[FREB_DATA_MAX];
    struct str attr; /* Name of a Data, Data of a Description */
    struct str area_guid;
    uint64_t keywords;
};

static struct str local_name(const xmlChar *z)
{
    struct str s = str_z((const char *)z);
    size_t colon = str_rfind_char(s, ':');

    return colon == SIZE_MAX ? s : str_sub(s, colon + 1, s.n);
}

static void cut(struct freb_trace *t, const char *why)
{
    if (t->is_cut)
        return;
    t->is_cut = true;
    snprintf(t->why_cut, sizeof(t->why_cut), "%s", why);
}

static void on_error(void *arg, xmlErrorPtr e)
{
    struct reader *r = arg;

    if (r->error[0] || e->level < XML_ERR_ERROR || e->domain == XML_FROM_NAMESPACE || !e->message)
        return;
    struct str text = str_trim_all(str_z(e->message));

    snprintf(r->error, sizeof(r->error), "%.*s", STR_ARG(text));
    r->error_line = e->line;
}

/* The attribute of the current element, copied; empty if it has none. */
static struct str attribute(struct reader *r, const char *name)
{
    struct str found = STR_NULL;

    while (!found.p && xmlTextReaderMoveToNextAttribute(r->xml) == 1)
        if (str_eq(local_name(xmlTextReaderConstName(r->xml)), str_z(name)))
            found = arena_dup(&r->t->arena, str_z((const char *)xmlTextReaderConstValue(r->xml)));
    xmlTextReaderMoveToElement(r->xml);
    return found;
}

static void read_root(struct reader *r)
{
    struct freb_request *q = &r->t->request;
    const struct {
        const char *name;
        struct str *to;
    } rows[] = {
        {"url", &q->url},
        {"verb", &q->verb},
        {"siteId", &q->site_id},
        {"appPoolId", &q->app_pool},
        {"processId", &q->process_id},
        {"remoteUserName", &q->remote_user},
        {"userName", &q->user},
        {"tokenUserName", &q->token_user},
        {"authenticationType", &q->authentication},
        {"activityId", &q->activity_id},
        {"failureReason", &q->reason},
        {"statusCode", &q->status},
        {"triggerStatusCode", &q->trigger_status},
        {"timeTaken", &q->time_taken},
    };

    r->has_root = true;
    while (xmlTextReaderMoveToNextAttribute(r->xml) == 1) {
        struct str name = local_name(xmlTextReaderConstName(r->xml));
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
            if (str_ieq(name, str_z(rows[i].name)))
                *rows[i].to =
                    arena_dup(&r->t->arena, str_z((const char *)xmlTextReaderConstValue(r->xml)));
    }
    xmlTextReaderMoveToElement(r->xml);
    if (r->hide_secrets)
        q->url = freb_secrets_url(&r->t->arena, q->url);
}

/* ---- one event ---- */

static void begin_event(struct reader *r)
{
    r->event = (struct freb_event){
        .time_us = FREB_NO_TIME, .parent = FREB_NONE, .end = FREB_NONE, .start = FREB_NONE};
    r->area_guid = STR_NULL;
    r->keywords = UINT64_MAX;
    r->in_event = true;
    r->section = SECTION_NONE;
}

/* What RenderingInfo did not say, from the numbers. */
static void name_event(struct reader *r)
{
    struct freb_event *e = &r->event;

    if (e->area.n == 0) {
        const char *area = freb_area_by_guid(r->area_guid);
        if (!area && r->keywords != UINT64_MAX)
            area = freb_area_by_flag(r->keywords);
        e->area = area ? str_z(area) : e->provider.n ? e->provider : STR("General");
    }
    if (e->name.n == 0)
        e->kind = freb_kind_by_opcode(e->area, e->opcode);
    else
        e->kind = freb_kind_find(e->name);
    if (e->name.n == 0)
        e->name =
            e->kind ? str_z(e->kind->name) : arena_printf(&r->t->arena, "Opcode %u", e->opcode);
}

static void end_event(struct reader *r)
{
    struct freb_trace *t = r->t;
    struct freb_event *e = &r->event;

    r->in_event = false;
    r->section = SECTION_NONE;
    name_event(r);
    if (str_eq(e->name, STR("LOG_FILE_MAX_SIZE_TRUNCATE")))
        t->is_full = true;
    if (r->hide_secrets)
        freb_secrets_hide(&t->arena, e->name, r->fields, e->n_fields);
    if (e->n_fields) {
        struct freb_field *copy = arena_alloc(&t->arena, e->n_fields * sizeof(*copy));
        memcpy(copy, r->fields, e->n_fields * sizeof(*copy));
        e->fields = copy;
    }
    t->events = xgrow(t->events, t->n_events, &t->cap_events, sizeof(*t->events));
    t->events[t->n_events++] = *e;
}

/* An element begins whose text is wanted. */
static void collect(struct reader *r)
{
    buf_clear(&r->text);
    r->is_collecting = true;
}

static void begin_in_event(struct reader *r, struct str name)
{
    if (str_eq(name, STR("System"))) {
        r->section = SECTION_SYSTEM;
    } else if (str_eq(name, STR("EventData"))) {
        r->section = SECTION_DATA;
    } else if (str_eq(name, STR("RenderingInfo"))) {
        r->section = SECTION_RENDERING;
    } else if (str_eq(name, STR("ExtendedTracingInfo"))) {
        r->section = SECTION_EXTENDED;
    } else if (r->section == SECTION_SYSTEM && str_eq(name, STR("Provider"))) {
        r->event.provider = attribute(r, "Name");
    } else if (r->section == SECTION_SYSTEM && str_eq(name, STR("TimeCreated"))) {
        int64_t us;
        if (freb_time_parse(attribute(r, "SystemTime"), &us))
            r->event.time_us = us;
    } else if (r->section == SECTION_DATA && str_eq(name, STR("Data"))) {
        r->attr = attribute(r, "Name");
        collect(r);
    } else if (r->section == SECTION_RENDERING && str_eq(name, STR("Description"))) {
        r->attr = attribute(r, "Data");
        collect(r);
    } else if (str_eq(name, STR("Level")) || str_eq(name, STR("Opcode")) ||
               str_eq(name, STR("Keywords")) || str_eq(name, STR("Keyword")) ||
               str_eq(name, STR("EventGuid"))) {
        collect(r);
    }
}

/* Line ends inside a message become blanks: "text\r (0x80070002)" in the file. */
static struct str one_line(struct arena *a, struct str s)
{
    char *z = arena_dup_z(a, s);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i] == '\n' || s.p[i] == '\r' ? ' ' : s.p[i];
        if (c != ' ' || (n > 0 && z[n - 1] != ' '))
            z[n++] = c;
    }
    return str_trim(str_n(z, n));
}

static void end_data(struct reader *r, struct str text)
{
    struct freb_event *e = &r->event;

    /* Every event has it, and it is always the request's own id. */
    if (str_eq(r->attr, STR("ContextId")) || str_eq(r->attr, STR("Context ID")))
        return;
    if (e->n_fields == FREB_DATA_MAX) {
        cut(r->t, "an event has more fields than are kept");
        return;
    }
    if (!r->attr.p)
        r->attr = arena_printf(&r->t->arena, "Data%zu", e->n_fields + 1);
    r->fields[e->n_fields++] = (struct freb_field){
        .name = r->attr, .value = arena_dup(&r->t->arena, text), .text = STR_NULL};
}

static void end_description(struct reader *r, struct str text)
{
    for (size_t i = 0; i < r->event.n_fields; i++)
        if (str_eq(r->fields[i].name, r->attr))
            r->fields[i].text = one_line(&r->t->arena, text);
}

static void end_number(struct reader *r, struct str name, struct str text)
{
    uint64_t v;

    if (!str_u64_any(text, UINT64_MAX - 1, &v))
        return;
    if (str_eq(name, STR("Level")))
        r->event.level = v > UINT_MAX ? UINT_MAX : (unsigned)v;
    else if (str_eq(name, STR("Opcode")))
        r->event.opcode = v > UINT_MAX ? UINT_MAX : (unsigned)v;
    else if (str_eq(name, STR("Keywords")))
        r->keywords = v;
}

/* RenderingInfo comes last but for the GUID, so what it says can wait in the arena. */
static void end_in_event(struct reader *r, struct str name)
{
    if (!r->is_collecting)
        return;
    struct str text = buf_view(&r->text), trimmed = str_trim_all(text);

    r->is_collecting = false;
    if (r->section == SECTION_DATA && str_eq(name, STR("Data"))) {
        end_data(r, text);
    } else if (r->section == SECTION_RENDERING && str_eq(name, STR("Description"))) {
        end_description(r, trimmed);
    } else if (r->section == SECTION_SYSTEM) {
        end_number(r, name, trimmed);
    } else if (r->section == SECTION_RENDERING && str_eq(name, STR("Opcode"))) {
        const struct freb_kind *kind = freb_kind_find(trimmed);
        r->event.name = kind ? str_z(kind->name) : arena_dup(&r->t->arena, trimmed);
    } else if (r->section == SECTION_RENDERING && str_eq(name, STR("Keyword")) &&
               r->event.area.n == 0) {
        r->event.area = arena_dup(&r->t->arena, trimmed);
    } else if (str_eq(name, STR("EventGuid"))) {
        r->area_guid = arena_dup(&r->t->arena, trimmed);
    }
}

static void add_text(struct reader *r)
{
    struct str s = str_z((const char *)xmlTextReaderConstValue(r->xml));
    size_t room = FREB_TEXT_MAX - r->text.n;

    if (s.n > room) {
        cut(r->t, "a field is longer than is kept");
        while (room > 0 && ((unsigned char)s.p[room] & 0xC0) == 0x80)
            room--; /* not inside a character */
        s.n = room;
    }
    buf_str(&r->text, s);
}

/* ---- the document ---- */

/* False: go no further. */
static bool begin_element(struct reader *r, int depth)
{
    struct str name = local_name(xmlTextReaderConstName(r->xml));

    if (depth == 0) {
        if (!str_ieq(name, STR("failedRequest"))) {
            r->is_other = true;
            return false;
        }
        read_root(r);
    } else if (str_eq(name, STR("Event")) && !r->in_event) {
        if (r->t->n_events == FREB_EVENTS_MAX) {
            cut(r->t, "there are more events than are kept");
            return false;
        }
        begin_event(r);
    } else if (r->in_event) {
        begin_in_event(r, name);
    }
    return true;
}

static void end_element(struct reader *r)
{
    struct str name = local_name(xmlTextReaderConstName(r->xml));

    if (r->in_event && str_eq(name, STR("Event")))
        end_event(r);
    else if (r->in_event)
        end_in_event(r, name);
}

static void read_all(struct reader *r)
{
    bool goes_on = true;

    while (goes_on && xmlTextReaderRead(r->xml) == 1) {
        int depth = xmlTextReaderDepth(r->xml);
        switch (xmlTextReaderNodeType(r->xml)) {
        case XML_READER_TYPE_ELEMENT: {
            bool is_empty = xmlTextReaderIsEmptyElement(r->xml) == 1;
            if (depth > XML_DEPTH_MAX) {
                cut(r->t, "elements are nested too deeply");
                goes_on = false;
                break;
            }
            goes_on = begin_element(r, depth);
            if (goes_on && is_empty)
                end_element(r);
            break;
        }
        case XML_READER_TYPE_END_ELEMENT:
            end_element(r);
            break;
        case XML_READER_TYPE_TEXT:
        case XML_READER_TYPE_CDATA:
        case XML_READER_TYPE_WHITESPACE:
        case XML_READER_TYPE_SIGNIFICANT_WHITESPACE:
            if (r->is_collecting)
                add_text(r);
            break;
        case XML_READER_TYPE_DOCUMENT_TYPE:
            r->is_other = true; /* could define entities; no trace has one */
            goes_on = false;
            break;
        default:
            break;
        }
    }
    /* The last event of a torn file: what is there counts, unless it has not even a name. */
    if (r->in_event) {
        if (r->is_collecting && r->section == SECTION_DATA)
            end_data(r, buf_view(&r->text));
        if (r->event.name.n || r->event.n_fields)
            end_event(r);
    }
}

static bool ends_well(struct str bytes)
{
    return str_iends(str_trim_all(bytes), STR("</failedRequest>"));
}

bool freb_sniff(struct str head)
{
    char narrow[4096];
    size_t n = 0;

    for (size_t i = 0; i < head.n && n < sizeof(narrow); i++)
        if (head.p[i] != '\0')
            narrow[n++] = head.p[i];
    return str_ifind(str_n(narrow, n), STR("<failedRequest")) != SIZE_MAX;
}

static bool has_doctype(struct str bytes)
{
    struct str head = str_sub(bytes, 0, 4096);
    size_t type = str_ifind(head, STR("<!DOCTYPE")), root = str_ifind(head, STR("<failedRequest"));

    return type != SIZE_MAX && type < root;
}

static void why_cut(struct reader *r)
{
    struct freb_trace *t = r->t;
    char text[200];

    if (r->error[0] && r->error_line > 0) {
        if (ends_well(r->bytes))
            snprintf(text, sizeof(text), "damaged at line %d: %s", r->error_line, r->error);
        else
            snprintf(text, sizeof(text), "the file ends early, at line %d", r->error_line);
        cut(t, text);
    } else if (!ends_well(r->bytes)) {
        cut(t, "the file ends early");
    }
}

/* Status and sub-status as numbers; what the root leaves open is in the events. */
static void settle_status(struct freb_trace *t)
{
    struct freb_request *q = &t->request;
    struct str rest = q->status, part;
    uint64_t v, sub = 0;
    bool has_sub = false;

    if (str_split(&rest, '.', &part) && str_u64(part, 999, &v))
        t->status = (unsigned)v;
    if (rest.n && str_u64(rest, 999, &sub))
        has_sub = true;
    for (size_t i = t->n_events; i-- > 0;) {
        const struct freb_event *e = &t->events[i];
        uint64_t status;
        if (!str_eq(e->name, STR("GENERAL_REQUEST_END")) || !freb_number(e, "HttpStatus", &status))
            continue;
        if (t->status == 0 && status <= 999)
            t->status = (unsigned)status;
        if (!has_sub && status == t->status && freb_number(e, "HttpSubStatus", &v) && v <= 999) {
            sub = v;
            has_sub = true;
        }
        break;
    }
    if (!has_sub && t->failure.status && t->failure.status == t->status)
        sub = t->failure.substatus;
    t->substatus = (unsigned)sub;
    if (t->status && sub)
        q->status = arena_printf(&t->arena, "%u.%u", t->status, t->substatus);
    else if (t->status && q->status.n == 0)
        q->status = arena_printf(&t->arena, "%u", t->status);
}

/* The parser over r->bytes, which are clean. */
static void run_parser(struct reader *r)
{
    buf_init(&r->text, FREB_TEXT_MAX);
    r->xml = xmlReaderForMemory(r->bytes.p, (int)r->bytes.n, NULL, "UTF-8",
                                XML_PARSE_NONET | XML_PARSE_RECOVER | XML_PARSE_NOCDATA |
                                    XML_PARSE_IGNORE_ENC);
    if (r->xml) {
        xmlTextReaderSetStructuredErrorHandler(r->xml, on_error, r);
        read_all(r);
        xmlFreeTextReader(r->xml);
    }
    buf_fini(&r->text);
}

static void read_clean(struct reader *r)
{
    size_t crowded = freb_input_crowded(r->bytes);

    if (crowded != SIZE_MAX) {
        cut(r->t, "an element has more attributes than any trace's has");
        r->bytes.n = crowded;
    }
    if (has_doctype(r->bytes))
        r->is_other = true;
    else
        run_parser(r);
    why_cut(r);
}

enum rc freb_parse(struct freb_trace *t, struct str bytes, bool hide_secrets)
{
    struct reader r = {.t = t, .hide_secrets = hide_secrets};
    struct buf copy;

    *t = (struct freb_trace){
        .slowest = FREB_NONE, .widest_gap = FREB_NONE, .started_us = FREB_NO_TIME};
    t->failure.event = FREB_NONE;
    if (bytes.n == 0 || !freb_sniff(str_sub(bytes, 0, 8192)))
        return RC_DECLINED;
    arena_init(&t->arena, 0);
    if (bytes.n > FREB_BYTES_MAX) {
        cut(t, "the file is larger than is read");
        bytes.n = FREB_BYTES_MAX;
    }
    buf_init(&copy, (size_t)2 * FREB_BYTES_MAX);
    r.bytes = freb_input_clean(&copy, bytes);
    read_clean(&r);
    buf_fini(&copy);
    if (r.is_other || (!r.has_root && !t->is_cut)) {
        freb_fini(t);
        return RC_DECLINED;
    }
    freb_spans_build(t);
    freb_failure_find(t);
    settle_status(t);
    if (!str_u64(t->request.time_taken, UINT32_MAX, &t->time_taken_ms))
        t->time_taken_ms = (uint64_t)(t->lasted_us / 1000);
    return RC_OK;
}

void freb_fini(struct freb_trace *t)
{
    free(t->events);
    arena_fini(&t->arena);
    *t = (struct freb_trace){0};
}
