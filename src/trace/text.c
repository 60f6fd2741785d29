#include "trace/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tables/status.h"
#include "tables/win32.h"
#include "base/poison.h"

enum {
    AROUND_BEFORE = 6,    /* events shown before the failure */
    AROUND_AFTER = 4,     /* and after it */
    WARNINGS_MAX = 60,    /* shown */
    VALUE_MAX = 100,      /* bytes of a value in the tree */
    VALUE_MAX_LONG = 400, /* and around the failure */
    GAPS_MAX = 5,
    EVENT_INDENT = 20,
    TIME_INDENT = 13,
};

static const char *const styles[] = {
    [TEXT_BOLD] = "\033[1m", [TEXT_RED] = "\033[1;31m", [TEXT_YELLOW] = "\033[33m",
    [TEXT_DIM] = "\033[2m",  [TEXT_GREEN] = "\033[32m",
};

void trace_text_style(const struct text_out *o, enum text_style s)
{
    if (o->look->has_colour)
        buf_str(o->b, str_z(styles[s]));
}

void trace_text_plain(const struct text_out *o)
{
    if (o->look->has_colour)
        buf_str(o->b, STR("\033[0m"));
}

void trace_text_heading(const struct text_out *o, const char *text)
{
    buf_char(o->b, '\n');
    trace_text_style(o, TEXT_BOLD);
    buf_str(o->b, str_z(text));
    trace_text_plain(o);
    buf_char(o->b, '\n');
}

/* Words wrapped at the width, all lines indented but the first, which goes on at column `at`. */
static void prose(const struct text_out *o, struct str s, unsigned indent, unsigned at)
{
    struct str rest = s, word;
    unsigned column = at;
    bool is_first = true;

    while (str_split(&rest, ' ', &word)) {
        if (word.n == 0)
            continue;
        if (!is_first && column + 1 + word.n > o->look->width) {
            buf_printf(o->b, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!is_first) {
            buf_char(o->b, ' ');
            column++;
        }
        trace_put_safe(o->b, word);
        column += (unsigned)(word.n > 1000 ? 1000 : word.n);
        is_first = false;
    }
    buf_char(o->b, '\n');
}

/* "  label   text" */
static void row(const struct text_out *o, const char *label, struct str text)
{
    if (text.n == 0)
        return;
    trace_text_style(o, TEXT_DIM);
    buf_printf(o->b, "  %-10s", label);
    trace_text_plain(o);
    prose(o, text, 12, 12);
}

static void put_ms(struct buf *b, int64_t us)
{
    buf_printf(b, "%" PRId64, us / 1000);
}

/* ---- what failed ---- */

static void put_place(const struct text_out *o, const struct freb_failure *f)
{
    struct buf line;

    if (f->module.n == 0 && f->notification.n == 0)
        return;
    buf_init(&line, 4096);
    if (f->module.n)
        buf_str(&line, f->module);
    else
        buf_str(&line, STR("the server, between modules,"));
    if (f->notification.n) {
        buf_str(&line, f->is_post ? STR(" after ") : STR(" in "));
        buf_str(&line, f->notification);
    }
    if (f->event != FREB_NONE) {
        buf_printf(&line, " (event %zu of %zu, at ", f->event + 1, o->t->n_events);
        put_ms(&line, o->t->events[f->event].at_us);
        buf_str(&line, STR(" ms)"));
    }
    row(o, "where", buf_view(&line));
    buf_fini(&line);
}

static void put_error_code(const struct text_out *o, const struct freb_failure *f)
{
    const struct win32_row *w = win32_find(f->hresult);
    struct buf line;

    buf_init(&line, 8192);
    buf_printf(&line, "0x%08" PRIx32, f->hresult);
    if (w)
        buf_printf(&line, " %s", w->name);
    buf_str(&line, STR(": "));
    buf_str(&line, f->text);
    row(o, "error", buf_view(&line));
    buf_fini(&line);
    if (w && w->where)
        row(o, "usually", str_z(w->where));
}

static void put_catalogue(const struct text_out *o, const struct freb_trace *t)
{
    const struct freb_failure *f = &t->failure;
    const struct status_row *s =
        f->status ? status_find_nearest((uint16_t)f->status, (uint16_t)f->substatus)
                  : status_find_nearest((uint16_t)t->status, (uint16_t)t->substatus);
    struct buf line;

    if (!s || s->status < 400)
        return;
    row(o, "means", str_z(s->text));
    for (size_t i = 0; i < 3 && s->causes[i]; i++)
        row(o, i == 0 ? "often" : "", str_z(s->causes[i]));
    for (size_t i = 0; i < 3 && s->remedies[i]; i++) {
        struct str remedy = str_z(s->remedies[i]);
        row(o, i == 0 ? "do" : "", str_sub(remedy, 0, str_find_char(remedy, '\n')));
    }
    buf_init(&line, 200);
    buf_printf(&line, "candor explain %s", s->code);
    row(o, "more", buf_view(&line));
    buf_fini(&line);
}

static void put_failure(const struct text_out *o)
{
    const struct freb_trace *t = o->t;
    const struct freb_failure *f = &t->failure;
    struct buf line;

    trace_text_heading(o, f->status || t->status >= 400 ? "What failed" : "What made the trace");
    if (f->event == FREB_NONE && t->status < 400) {
        buf_str(o->b, t->is_cut ? STR("  What is left of this trace does not say what failed.\n")
                                : STR("  Nothing in this trace says that anything failed.\n"));
        return;
    }
    buf_init(&line, 4096);
    if (f->status) {
        const struct status_row *s =
            status_find_nearest((uint16_t)f->status, (uint16_t)f->substatus);
        buf_printf(&line, f->substatus ? "%u.%u " : "%u ", f->status, f->substatus);
        buf_str(&line, f->phrase);
        if (s && !str_ieq(str_z(s->title), f->phrase))
            buf_printf(&line, ": %s", s->title);
    } else if (f->event != FREB_NONE) {
        buf_str(&line, t->events[f->event].name);
        if (!f->has_hresult && f->text.n) {
            buf_str(&line, STR(": "));
            buf_str(&line, f->text);
        }
    } else {
        buf_str(&line, STR("No event says who set the status."));
    }
    trace_text_style(o, TEXT_RED);
    buf_str(o->b, STR("  "));
    prose(o, buf_view(&line), 2, 2);
    trace_text_plain(o);
    buf_fini(&line);
    put_place(o, f);
    if (f->has_hresult)
        put_error_code(o, f);
    row(o, "config", f->config_info);
    row(o, "message", f->description);
    row(o, "page says", f->page_title);
    put_catalogue(o, t);
}

/* ---- the request ---- */

static void put_request(const struct text_out *o)
{
    const struct freb_request *q = &o->t->request;
    struct buf line;

    trace_text_heading(o, "Request");
    buf_init(&line, 1 << 20);
    if (q->site_id.n) {
        buf_printf(&line, "%.*s, pool %.*s, process %.*s", STR_ARG(q->site_id),
                   STR_ARG(q->app_pool), STR_ARG(q->process_id));
        row(o, "site", buf_view(&line));
    }
    row(o, "login", q->authentication);
    row(o, "user", q->user.n ? q->user : q->remote_user);
    row(o, "runs as", q->token_user);
    row(o, "activity", q->activity_id);
    for (size_t i = 0; i < o->t->n_events; i++) {
        const struct freb_event *e = &o->t->events[i];
        if (!str_eq(e->name, STR("GENERAL_ENDPOINT_INFORMATION")))
            continue;
        buf_clear(&line);
        buf_str(&line, freb_value(e, "RemoteAddress"));
        buf_str(&line, STR(" port "));
        buf_str(&line, freb_value(e, "RemotePort"));
        buf_str(&line, STR(" to "));
        buf_str(&line, freb_value(e, "LocalAddress"));
        buf_str(&line, STR(" port "));
        buf_str(&line, freb_value(e, "LocalPort"));
        row(o, "client", buf_view(&line));
        break;
    }
    buf_fini(&line);
}

static void put_headers(const struct text_out *o, const char *title, struct str headers)
{
    struct str rest = headers, line;

    if (headers.n == 0)
        return;
    trace_text_heading(o, title);
    while (str_split(&rest, '\n', &line)) {
        line = str_trim_all(line);
        if (line.n == 0)
            continue;
        buf_str(o->b, STR("  "));
        trace_put_safe(o->b, line);
        buf_char(o->b, '\n');
    }
}

/* ---- warnings ---- */

/* Name on one line, fields wrapped below it. */
static void put_event(const struct text_out *o, size_t i)
{
    const struct freb_event *e = &o->t->events[i];
    struct buf fields;

    buf_printf(o->b, "  #%-5zu %6" PRId64 " ms  ", i + 1, e->at_us / 1000);
    if (e->level == FREB_WARNING)
        trace_text_style(o, TEXT_YELLOW);
    else if (e->level == FREB_ERROR || e->level == FREB_CRITICAL)
        trace_text_style(o, TEXT_RED);
    trace_put_safe(o->b, e->name);
    trace_text_plain(o);
    buf_char(o->b, '\n');
    buf_init(&fields, 1 << 29);
    trace_put_fields(&fields, e, o->look->is_full ? FREB_TEXT_MAX : VALUE_MAX_LONG);
    if (fields.n) {
        buf_printf(o->b, "%*s", EVENT_INDENT, "");
        prose(o, buf_view(&fields), EVENT_INDENT, EVENT_INDENT);
    }
    buf_fini(&fields);
}

static void put_meaning(const struct text_out *o, const struct freb_event *e, bool with_todo)
{
    if (!e->kind)
        return;
    trace_text_style(o, TEXT_DIM);
    buf_printf(o->b, "%*s", EVENT_INDENT, "");
    prose(o, str_z(e->kind->meaning), EVENT_INDENT, EVENT_INDENT);
    trace_text_plain(o);
    if (with_todo && e->kind->todo) {
        trace_text_style(o, TEXT_GREEN);
        buf_printf(o->b, "%*s", EVENT_INDENT, "");
        prose(o, str_z(e->kind->todo), EVENT_INDENT, EVENT_INDENT);
        trace_text_plain(o);
    }
}

static void put_warnings(const struct text_out *o)
{
    size_t n = 0;

    trace_text_heading(o, "Errors and warnings");
    for (size_t i = 0; i < o->t->n_events; i++) {
        const struct freb_event *e = &o->t->events[i];
        if (e->level < FREB_CRITICAL || e->level > FREB_WARNING)
            continue;
        if (n++ >= WARNINGS_MAX && !o->look->is_full)
            continue;
        put_event(o, i);
        put_meaning(o, e, /* with_todo = */ true);
    }
    if (n == 0)
        buf_str(o->b, STR("  none\n"));
    else if (n > WARNINGS_MAX && !o->look->is_full)
        buf_printf(o->b, "  and %zu more (--full)\n", n - WARNINGS_MAX);
}

/* The telling events before and after the one that failed: the cause is mostly among them. */
static void put_around(const struct text_out *o)
{
    size_t at = o->t->failure.event, before[AROUND_BEFORE], n = 0;

    if (at == FREB_NONE)
        return;
    trace_text_heading(o, "Events around the failure");
    for (size_t i = at; i-- > 0 && n < AROUND_BEFORE;)
        if (freb_is_telling(&o->t->events[i]))
            before[n++] = i;
    while (n-- > 0) {
        put_event(o, before[n]);
        put_meaning(o, &o->t->events[before[n]], /* with_todo = */ false);
    }
    put_event(o, at);
    buf_printf(o->b, "%*s", EVENT_INDENT, "");
    trace_text_style(o, TEXT_RED);
    buf_str(o->b, STR("^ failed here\n"));
    trace_text_plain(o);
    n = 0;
    for (size_t i = at + 1; i < o->t->n_events && n < AROUND_AFTER; i++) {
        if (freb_is_telling(&o->t->events[i])) {
            put_event(o, i);
            put_meaning(o, &o->t->events[i], /* with_todo = */ false);
            n++;
        }
    }
}

/* ---- time ---- */

static void put_gap(const struct text_out *o, size_t i)
{
    const struct freb_event *e = &o->t->events[i];
    struct str module = freb_module_at(o->t, i);
    struct buf line;

    buf_init(&line, 1 << 24);
    buf_printf(&line, "between #%zu %.*s and #%zu %.*s, ", i, STR_ARG(e[-1].name), i + 1,
               STR_ARG(e->name));
    buf_str(&line, module.n ? STR("in ") : STR("between modules"));
    buf_str(&line, module);
    buf_printf(o->b, "  %6" PRId64 " ms  ", e->gap_us / 1000);
    prose(o, buf_view(&line), TIME_INDENT, TIME_INDENT);
    buf_fini(&line);
}

/* The widest gaps, by selection: there are few. */
static void put_gaps(const struct text_out *o)
{
    const struct freb_trace *t = o->t;
    size_t shown[GAPS_MAX], n = 0;

    while (n < GAPS_MAX) {
        size_t best = FREB_NONE;
        for (size_t i = 1; i < t->n_events; i++) {
            bool is_shown = t->events[i].gap_us < 1000;
            for (size_t k = 0; k < n; k++)
                is_shown = is_shown || shown[k] == i;
            if (!is_shown && (best == FREB_NONE || t->events[i].gap_us > t->events[best].gap_us))
                best = i;
        }
        if (best == FREB_NONE)
            return;
        shown[n++] = best;
        put_gap(o, best);
    }
}

static void put_times(const struct text_out *o)
{
    const struct freb_trace *t = o->t;

    trace_text_heading(o, "Where the time went");
    if (t->lasted_us == 0) {
        buf_str(o->b, STR("  All events carry the same time: the request took less than one step "
                          "of the clock (about 16 ms on Windows).\n"));
        return;
    }
    put_gaps(o);
    if (t->slowest == FREB_NONE)
        return;
    const struct freb_event *e = &t->events[t->slowest];
    struct str module = freb_module_at(t, t->slowest), notification = freb_notification(e);

    struct buf line;

    buf_init(&line, 1 << 24);
    buf_str(&line, STR("in "));
    buf_str(&line, module.n ? module : e->name);
    if (module.n && freb_is_telling(e)) {
        buf_str(&line, STR(", "));
        buf_str(&line, e->name);
    }
    if (notification.n) {
        buf_str(&line, STR(", "));
        buf_str(&line, notification);
    }
    buf_str(&line, STR(": the most time of its own"));
    buf_printf(o->b, "  %6" PRId64 " ms  ", e->own_us / 1000);
    prose(o, buf_view(&line), TIME_INDENT, TIME_INDENT);
    buf_fini(&line);
}

/* ---- all of it ---- */

static void put_title(const struct text_out *o, struct str file)
{
    const struct freb_trace *t = o->t;
    char when[FREB_TIME_LEN] = "";

    trace_text_style(o, TEXT_BOLD);
    trace_put_safe(o->b, file);
    trace_text_plain(o);
    buf_str(o->b, STR("\n  "));
    trace_put_safe(o->b, t->request.verb);
    buf_char(o->b, ' ');
    trace_put_safe(o->b, t->request.url);
    buf_str(o->b, STR("\n  "));
    trace_text_style(o, t->status >= 400 ? TEXT_RED : TEXT_BOLD);
    trace_put_safe(o->b, t->request.status.n ? t->request.status : STR("status unknown"));
    trace_text_plain(o);
    buf_printf(o->b, " after %" PRIu64 " ms", t->time_taken_ms);
    if (t->started_us != FREB_NO_TIME) {
        freb_time_format(t->started_us, when);
        buf_printf(o->b, ", %s", when);
    }
    if (t->request.reason.n) {
        buf_str(o->b, STR(", traced because of "));
        trace_put_safe(o->b, t->request.reason);
        if (t->request.trigger_status.n && !str_eq(t->request.trigger_status, STR("0"))) {
            buf_char(o->b, ' ');
            trace_put_safe(o->b, t->request.trigger_status);
        }
    }
    buf_char(o->b, '\n');
    if (t->is_cut || t->is_full) {
        trace_text_style(o, TEXT_YELLOW);
        buf_str(o->b, STR("  This trace is not complete: "));
        trace_put_safe(o->b,
                       t->is_full ? STR("the server reached maxLogFileSizeKB") : str_z(t->why_cut));
        buf_printf(o->b, "; %zu events are shown.\n", t->n_events);
        trace_text_plain(o);
    }
}

void trace_text(struct buf *out, const struct freb_trace *t, struct str file,
                const struct trace_look *look)
{
    struct text_out o = {out, look, t};

    put_title(&o, file);
    put_failure(&o);
    put_request(&o);
    if (t->n_events == 0)
        return;
    put_warnings(&o);
    put_around(&o);
    put_times(&o);
    trace_text_path(&o);
    put_headers(&o, "Request headers", freb_request_headers(t));
    put_headers(&o, "Response headers", freb_response_headers(t));
}
