#include "trace/freb.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "tables/status.h"
#include "tables/win32.h"
#include "base/poison.h"

enum {
    TITLE_MAX = 300,
    PLAIN_MORE = 8, /* bytes of a title besides the phrase: "404 - " */
};

static bool is_status_event(const struct freb_event *e)
{
    return str_eq(e->name, STR("MODULE_SET_RESPONSE_ERROR_STATUS"));
}

static bool status_of(const struct freb_event *e, unsigned *ret_status, unsigned *ret_sub)
{
    uint64_t status, sub = 0;

    if (!freb_number(e, "HttpStatus", &status) || status > 999)
        return false;
    if (!freb_number(e, "HttpSubStatus", &sub) || sub > 999)
        sub = 0;
    *ret_status = (unsigned)status;
    *ret_sub = (unsigned)sub;
    return true;
}

static void parse_status(struct str s, unsigned *ret_status, unsigned *ret_sub)
{
    struct str rest = s, part;
    uint64_t v;

    *ret_status = *ret_sub = 0;
    if (str_split(&rest, '.', &part) && str_u64(part, 999, &v))
        *ret_status = (unsigned)v;
    if (rest.n && str_u64(rest, 999, &v))
        *ret_sub = (unsigned)v;
}

/* Modules may set a status one after the other. The last one with the status that made the trace
 * counts, else the last one with the final status, else the last. */
static size_t find_status_event(const struct freb_trace *t)
{
    unsigned trigger, trigger_sub, final, final_sub, status, sub, best_score = 0;
    size_t best = FREB_NONE;

    parse_status(t->request.trigger_status, &trigger, &trigger_sub);
    parse_status(t->request.status, &final, &final_sub);
    for (size_t i = 0; i < t->n_events; i++) {
        if (!is_status_event(&t->events[i]) || !status_of(&t->events[i], &status, &sub))
            continue;
        unsigned score = status == trigger ? (sub == trigger_sub ? 4 : 3) : status == final ? 2 : 1;
        if (score >= best_score) {
            best_score = score;
            best = i;
        }
    }
    return best;
}

/* Without a status: the gravest event, the last of those. */
static size_t find_grave_event(const struct freb_trace *t)
{
    size_t best = FREB_NONE;

    for (size_t i = 0; i < t->n_events; i++) {
        const struct freb_event *e = &t->events[i];
        if (e->level < FREB_CRITICAL || e->level > FREB_WARNING ||
            str_eq(e->name, STR("LOG_FILE_MAX_SIZE_TRUNCATE")))
            continue;
        if (best == FREB_NONE || e->level <= t->events[best].level)
            best = i;
    }
    return best;
}

/* "text (0x80070002)" without the number. */
static struct str without_code(struct str s)
{
    size_t open = str_rfind_char(s, '(');

    if (open != SIZE_MAX && str_starts(str_sub(s, open, s.n), STR("(0x")))
        s = str_sub(s, 0, open);
    return str_trim_all(s);
}

static void take_code(struct freb_trace *t, const struct freb_event *e)
{
    struct freb_failure *f = &t->failure;
    const char *field = freb_value(e, "ErrorCode").n ? "ErrorCode" : "HResult";
    uint64_t v;

    if (!freb_number(e, field, &v) || v == 0 || v > UINT32_MAX)
        return;
    f->has_hresult = true;
    f->hresult = (uint32_t)v;
    f->text = without_code(freb_words(e, field));
    if (f->text.n == 0)
        f->text = str_z(win32_text(f->hresult));
    if (f->text.n == 0)
        f->text = STR("an error code without a text");
}

/* Where the cause is told in somebody's own words, best first. */
static const struct {
    const char *event, *field;
} tellers[] = {
    {"FASTCGI_STDERR_TRACE_ERROR", "Message"},
    {"ANCM_START_APPLICATION_FAIL", "FailureDescription"},
    {"ANCM_EXCEPTION_CAUGHT", "Description"},
    {"ASP_LOG_ERROR", "Description"},
    {"AspNetModuleDiagCriticalEvent", "Data2"},
    {"AspNetModuleDiagErrorEvent", "Data2"},
    {"SET_RESPONSE_ERROR_DESCRIPTION", "ErrorDescription"},
    {"FASTCGI_STDERR_TRACE_WARNING", "Message"},
};

static void take_description(struct freb_trace *t)
{
    size_t best = ARRAY_LEN(tellers);

    for (size_t i = 0; i < t->n_events; i++) {
        for (size_t k = 0; k < ARRAY_LEN(tellers) && k <= best; k++) {
            struct str text;
            if (!str_eq(t->events[i].name, str_z(tellers[k].event)))
                continue;
            text = str_trim_all(freb_value(&t->events[i], tellers[k].field));
            if (text.n) {
                best = k;
                t->failure.description = text;
            }
        }
    }
}

static void put_unescaped(struct buf *out, struct str s)
{
    static const struct {
        const char *entity;
        char c;
    } entities[] = {{"&amp;", '&'},  {"&lt;", '<'},   {"&gt;", '>'},
                    {"&quot;", '"'}, {"&#39;", '\''}, {"&apos;", '\''}};

    for (size_t i = 0; i < s.n;) {
        size_t k = 0;
        while (k < ARRAY_LEN(entities) &&
               !str_starts(str_sub(s, i, s.n), str_z(entities[k].entity)))
            k++;
        if (k < ARRAY_LEN(entities)) {
            buf_char(out, entities[k].c);
            i += strlen(entities[k].entity);
        } else {
            buf_char(out, s.p[i] == '\n' || s.p[i] == '\r' ? ' ' : s.p[i]);
            i++;
        }
    }
}

static void take_title(struct freb_trace *t)
{
    for (size_t i = 0; i < t->n_events && t->failure.page_title.n == 0; i++) {
        const struct freb_event *e = &t->events[i];
        if (!str_eq(e->name, STR("GENERAL_RESPONSE_ENTITY_BUFFER")))
            continue;
        struct str body = freb_value(e, "Buffer");
        size_t from = str_ifind(body, STR("<title>"));
        if (from == SIZE_MAX)
            continue;
        struct str title = str_sub(body, from + 7, body.n);
        title = str_trim_all(str_sub(title, 0, str_ifind(title, STR("</title>"))));
        size_t n = title.n > TITLE_MAX ? TITLE_MAX : title.n;
        while (n > 0 && n < title.n && ((unsigned char)title.p[n] & 0xC0) == 0x80)
            n--; /* not inside a character */
        title.n = n;
        struct buf out;
        buf_init(&out, TITLE_MAX + 1);
        put_unescaped(&out, title);
        t->failure.page_title = arena_dup(&t->arena, buf_view(&out));
        buf_fini(&out);
    }
}

/* A trace made because the request was slow: where it stood still. */
static void blame_gap(struct freb_trace *t)
{
    struct freb_failure *f = &t->failure;
    size_t i = t->widest_gap;

    if (i == FREB_NONE)
        return;
    const struct freb_event *e = &t->events[i];

    f->event = i;
    f->module = freb_module_at(t, i);
    for (size_t up = i; up != FREB_NONE && f->notification.n == 0; up = t->events[up].parent) {
        f->notification = freb_notification(&t->events[up]);
        f->is_post = freb_is_post(&t->events[up]);
    }
    f->text = arena_printf(&t->arena, "%" PRId64 " ms of %" PRId64 " ms passed before %.*s",
                           e->gap_us / 1000, t->lasted_us / 1000, STR_ARG(e->name));
}

/* A page that only says "404 Not Found" adds nothing to the status. */
static void drop_plain_title(struct freb_failure *f)
{
    if (f->phrase.n && f->page_title.n <= f->phrase.n + PLAIN_MORE &&
        str_ifind(f->page_title, f->phrase) != SIZE_MAX)
        f->page_title = STR_NULL;
}

void freb_failure_find(struct freb_trace *t)
{
    struct freb_failure *f = &t->failure;

    take_description(t);
    take_title(t);
    f->event = find_status_event(t);
    if (f->event == FREB_NONE && str_eq(t->request.reason, STR("TIME_TAKEN"))) {
        blame_gap(t);
        return;
    }
    if (f->event == FREB_NONE)
        f->event = find_grave_event(t);
    if (f->event == FREB_NONE)
        return;
    const struct freb_event *e = &t->events[f->event];

    f->module = freb_module_at(t, f->event);
    for (size_t up = f->event; up != FREB_NONE && f->notification.n == 0;
         up = t->events[up].parent) {
        f->notification = freb_notification(&t->events[up]);
        f->is_post = freb_is_post(&t->events[up]);
    }
    if (is_status_event(e))
        status_of(e, &f->status, &f->substatus);
    f->phrase = freb_value(e, "HttpReason");
    f->config_info = str_trim_all(freb_value(e, "ConfigExceptionInfo"));
    take_code(t, e);
    drop_plain_title(f);
}

static struct str headers_of(const struct freb_trace *t, const char *name)
{
    for (size_t i = t->n_events; i-- > 0;)
        if (str_eq(t->events[i].name, str_z(name)))
            return str_trim_all(freb_value(&t->events[i], "Headers"));
    return STR_NULL;
}

struct str freb_request_headers(const struct freb_trace *t)
{
    return headers_of(t, "GENERAL_REQUEST_HEADERS");
}

struct str freb_response_headers(const struct freb_trace *t)
{
    return headers_of(t, "GENERAL_RESPONSE_HEADERS");
}
