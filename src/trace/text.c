#include "trace/report.h"

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
};

static const char *const styles[] = {
    [0] = "\033[1m", [1] = "\033[1;31m", [2] = "\033[33m", [3] = "\033[2m", [4] = "\033[32m"};
enum style { BOLD, RED, YELLOW, DIM, GREEN };

struct out {
    struct buf *b;
    const struct trace_look *look;
    const struct freb_trace *t;
};

static void style(const struct out *o, enum style s)
{
    if (o->look->has_colour)
        buf_str(o->b, str_z(styles[s]));
}

static void plain(const struct out *o)
{
    if (o->look->has_colour)
        buf_str(o->b, STR("\033[0m"));
}

static void heading(const struct out *o, const char *text)
{
    buf_char(o->b, '\n');
    style(o, BOLD);
    buf_str(o->b, str_z(text));
    plain(o);
    buf_char(o->b, '\n');
}

/* Words wrapped at the width, all lines indented but the first, which goes on at column `at`. */
static void prose(const struct out *o, struct str s, unsigned indent, unsigned at)
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
static void row(const struct out *o, const char *label, struct str text)
{
    if (text.n == 0)
        return;
    style(o, DIM);
    buf_printf(o->b, "  %-10s", label);
    plain(o);
    prose(o, text, 12, 12);
}

static void put_ms(struct buf *b, int64_t us)
{
    buf_printf(b, "%" PRId64, us / 1000);
}

/* ---- what failed ---- */

static void put_place(const struct out *o, const struct freb_failure *f)
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

static void put_error_code(const struct out *o, const struct freb_failure *f)
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
        row(o, "", str_z(w->where));
}

static void put_catalogue(const struct out *o, const struct freb_trace *t)
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

static void put_failure(const struct out *o)
{
    const struct freb_trace *t = o->t;
    const struct freb_failure *f = &t->failure;
    struct buf line;

    heading(o, f->status || t->status >= 400 ? "What failed" : "What made the trace");
    if (f->event == FREB_NONE && t->status < 400) {
        buf_str(o->b, STR("  Nothing in this trace says that anything failed.\n"));
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
    style(o, RED);
    buf_str(o->b, STR("  "));
    prose(o, buf_view(&line), 2, 2);
    plain(o);
    buf_fini(&line);
    put_place(o, f);
    if (f->has_hresult)
        put_error_code(o, f);
    row(o, "config", f->config_info);
    row(o, "message", f->description);
    if (!str_ieq(f->page_title, f->phrase))
        row(o, "page says", f->page_title);
    put_catalogue(o, t);
}

/* ---- the request ---- */

static void put_request(const struct out *o)
{
    const struct freb_request *q = &o->t->request;
    struct buf line;

    heading(o, "Request");
    buf_init(&line, 1 << 20);
    buf_printf(&line, "%.*s, pool %.*s, process %.*s", STR_ARG(q->site_id), STR_ARG(q->app_pool),
               STR_ARG(q->process_id));
    row(o, "site", buf_view(&line));
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

static void put_headers(const struct out *o, const char *title, struct str headers)
{
    struct str rest = headers, line;

    if (headers.n == 0)
        return;
    heading(o, title);
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

static void put_event_line(const struct out *o, size_t i, size_t value_max)
{
    const struct freb_event *e = &o->t->events[i];

    buf_printf(o->b, "  #%-5zu %6" PRId64 " ms  ", i + 1, e->at_us / 1000);
    if (e->level == FREB_WARNING)
        style(o, YELLOW);
    else if (e->level == FREB_ERROR || e->level == FREB_CRITICAL)
        style(o, RED);
    trace_put_safe(o->b, e->name);
    plain(o);
    if (e->n_fields) {
        buf_char(o->b, ' ');
        trace_put_fields(o->b, e, o->look->is_full ? FREB_TEXT_MAX : value_max, trace_put_safe);
    }
    buf_char(o->b, '\n');
}

static void put_meaning(const struct out *o, const struct freb_event *e, bool with_todo)
{
    if (!e->kind)
        return;
    buf_str(o->b, STR("           "));
    prose(o, str_z(e->kind->meaning), 11, 11);
    if (with_todo && e->kind->todo) {
        style(o, GREEN);
        buf_str(o->b, STR("           "));
        prose(o, str_z(e->kind->todo), 11, 11);
        plain(o);
    }
}

static void put_warnings(const struct out *o)
{
    size_t n = 0;

    heading(o, "Errors and warnings");
    for (size_t i = 0; i < o->t->n_events; i++) {
        const struct freb_event *e = &o->t->events[i];
        if (e->level < FREB_CRITICAL || e->level > FREB_WARNING)
            continue;
        if (n++ >= WARNINGS_MAX && !o->look->is_full)
            continue;
        put_event_line(o, i, VALUE_MAX_LONG);
        put_meaning(o, e, /* with_todo = */ true);
    }
    if (n == 0)
        buf_str(o->b, STR("  none\n"));
    else if (n > WARNINGS_MAX && !o->look->is_full)
        buf_printf(o->b, "  and %zu more (--full)\n", n - WARNINGS_MAX);
}

/* The telling events before and after the one that failed: the cause is mostly among them. */
static void put_around(const struct out *o)
{
    size_t at = o->t->failure.event, before[AROUND_BEFORE], n = 0;

    if (at == FREB_NONE)
        return;
    heading(o, "Events around the failure");
    for (size_t i = at; i-- > 0 && n < AROUND_BEFORE;)
        if (freb_is_telling(&o->t->events[i]))
            before[n++] = i;
    while (n-- > 0) {
        put_event_line(o, before[n], VALUE_MAX_LONG);
        put_meaning(o, &o->t->events[before[n]], /* with_todo = */ false);
    }
    put_event_line(o, at, VALUE_MAX_LONG);
    buf_str(o->b, STR("           "));
    style(o, RED);
    buf_str(o->b, STR("^ failed here\n"));
    plain(o);
    n = 0;
    for (size_t i = at + 1; i < o->t->n_events && n < AROUND_AFTER; i++) {
        if (freb_is_telling(&o->t->events[i])) {
            put_event_line(o, i, VALUE_MAX_LONG);
            put_meaning(o, &o->t->events[i], /* with_todo = */ false);
            n++;
        }
    }
}

/* ---- time ---- */

static void put_times(const struct out *o)
{
    const struct freb_trace *t = o->t;
    size_t shown[GAPS_MAX], n = 0;

    heading(o, "Where the time went");
    if (t->lasted_us == 0) {
        buf_str(o->b, STR("  All events carry the same time: the request took less than one step "
                          "of the clock (about 16 ms on Windows).\n"));
        return;
    }
    if (t->slowest != FREB_NONE) {
        const struct freb_event *e = &t->events[t->slowest];
        struct str module = freb_module_at(t, t->slowest);
        buf_printf(o->b, "  %6" PRId64 " ms  in ", e->own_us / 1000);
        trace_put_safe(o->b, module.n ? module : e->name);
        if (module.n && freb_is_telling(e)) {
            buf_str(o->b, STR(", "));
            trace_put_safe(o->b, e->name);
        }
        struct str notification = freb_notification(e);
        if (notification.n) {
            buf_str(o->b, STR(", "));
            trace_put_safe(o->b, notification);
        }
        buf_str(o->b, STR(": the slowest part\n"));
    }
    /* The widest gaps, by selection: there are few. */
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
            break;
        shown[n++] = best;
        struct str module = freb_module_at(t, best);
        buf_printf(o->b, "  %6" PRId64 " ms  between #%zu ", t->events[best].gap_us / 1000, best);
        trace_put_safe(o->b, t->events[best - 1].name);
        buf_printf(o->b, " and #%zu ", best + 1);
        trace_put_safe(o->b, t->events[best].name);
        buf_str(o->b, module.n ? STR(", in ") : STR(", between modules"));
        trace_put_safe(o->b, module);
        buf_char(o->b, '\n');
    }
}

/* ---- the path ---- */

struct path {
    struct out *o;
    struct str notification; /* of the group that is open */
    bool is_post;
    unsigned quiet_column; /* > 0: a line of modules that did nothing is open, up to here */
};

static bool is_call(const struct freb_event *e)
{
    return str_eq(e->name, STR("NOTIFY_MODULE_START")) ||
           str_eq(e->name, STR("PRE_BEGIN_REQUEST_START"));
}

static void end_quiet(struct path *p)
{
    if (p->quiet_column)
        buf_char(p->o->b, '\n');
    p->quiet_column = 0;
}

/* Nothing happened between start and end but the call itself. */
static bool is_quiet_call(const struct freb_trace *t, size_t i)
{
    const struct freb_event *e = &t->events[i];

    if (!is_call(e) || e->depth > 0 || e->end == FREB_NONE || e->took_us > 0 || e->gap_us > 0)
        return false;
    uint64_t status;
    if (freb_number(&t->events[e->end], "NotificationStatus", &status) && status != 0)
        return false;
    return e->end == i + 1;
}

static void begin_group(struct path *p, const struct freb_event *e)
{
    struct str notification = freb_notification(e);
    bool is_post = freb_is_post(e);

    if (e->depth > 0 || !is_call(e) ||
        (str_eq(notification, p->notification) && is_post == p->is_post && p->notification.n))
        return;
    end_quiet(p);
    p->notification = notification;
    p->is_post = is_post;
    style(p->o, BOLD);
    buf_printf(p->o->b, "%9s  ", "");
    trace_put_safe(p->o->b, notification.n ? notification : STR("(notification)"));
    buf_str(p->o->b, is_post ? STR(" (post)\n") : STR("\n"));
    plain(p->o);
}

static void put_quiet(struct path *p, const struct freb_event *e)
{
    struct str module = freb_value(e, "ModuleName");
    struct buf *b = p->o->b;

    if (p->quiet_column && p->quiet_column + module.n + 2 < p->o->look->width) {
        buf_str(b, STR(", "));
        p->quiet_column += 2;
    } else {
        if (p->quiet_column)
            buf_str(b, STR(",\n"));
        buf_printf(b, "%9s    ", "");
        p->quiet_column = 13;
    }
    style(p->o, DIM);
    trace_put_safe(b, module);
    plain(p->o);
    p->quiet_column += (unsigned)(module.n > 1000 ? 1000 : module.n);
}

static void put_marks(struct path *p, size_t i)
{
    const struct freb_trace *t = p->o->t;
    const struct freb_event *e = &t->events[i];
    uint64_t status;

    if (e->took_us > 0)
        buf_printf(p->o->b, "  took %" PRId64 " ms", e->took_us / 1000);
    if (is_call(e) && e->end != FREB_NONE &&
        freb_number(&t->events[e->end], "NotificationStatus", &status) && status != 0) {
        struct str words = freb_words(&t->events[e->end], "NotificationStatus");
        buf_str(p->o->b, STR("  -> "));
        trace_put_safe(p->o->b,
                       words.n ? words : freb_value(&t->events[e->end], "NotificationStatus"));
    }
    if (i == t->slowest) {
        style(p->o, YELLOW);
        buf_str(p->o->b, STR("  <- slowest"));
        plain(p->o);
    }
    if (i == t->failure.event) {
        style(p->o, RED);
        buf_str(p->o->b, STR("  <- failed here"));
        plain(p->o);
    }
    buf_char(p->o->b, '\n');
}

static void put_gap(struct path *p, size_t i)
{
    const struct freb_trace *t = p->o->t;
    int64_t gap = t->events[i].gap_us;

    if (gap < 1000 || (i != t->widest_gap && gap < t->lasted_us / 20))
        return;
    end_quiet(p);
    style(p->o, YELLOW);
    buf_printf(p->o->b, "%9s  %*s... %" PRId64 " ms pass%s\n", "", (int)t->events[i].depth * 2 + 2,
               "", gap / 1000, i == t->widest_gap ? " (the longest wait)" : "");
    plain(p->o);
}

/* Like events one after the other: how many, from i on. */
static size_t run_length(const struct freb_trace *t, size_t i)
{
    size_t n = 1;

    if (freb_is_telling(&t->events[i]) || is_call(&t->events[i]))
        return 1;
    while (i + n < t->n_events && str_eq(t->events[i + n].name, t->events[i].name) &&
           t->events[i + n].gap_us == 0)
        n++;
    return n;
}

static void put_step(struct path *p, size_t i, size_t run)
{
    const struct freb_event *e = &p->o->t->events[i];
    struct buf *b = p->o->b;

    end_quiet(p);
    style(p->o, DIM);
    buf_printf(b, "%6" PRId64 " ms", e->at_us / 1000);
    plain(p->o);
    buf_printf(b, "  %*s", (int)e->depth * 2 + 2, "");
    if (is_call(e)) {
        trace_put_safe(b, freb_value(e, "ModuleName"));
        if (e->depth > 0) {
            buf_char(b, ' ');
            trace_put_safe(b, freb_notification(e));
        }
    } else {
        if (e->level >= FREB_CRITICAL && e->level <= FREB_WARNING)
            style(p->o, e->level == FREB_WARNING ? YELLOW : RED);
        trace_put_safe(b, e->name);
        plain(p->o);
        if (run > 1) {
            buf_printf(b, ", %zu times", run);
        } else if (e->n_fields) {
            buf_char(b, ' ');
            trace_put_fields(b, e, p->o->look->is_full ? FREB_TEXT_MAX : VALUE_MAX, trace_put_safe);
        }
    }
    put_marks(p, i);
}

static void put_path(struct out *o)
{
    struct path p = {.o = o};
    const struct freb_trace *t = o->t;

    heading(o, "Path");
    for (size_t i = 0; i < t->n_events;) {
        const struct freb_event *e = &t->events[i];
        size_t run = o->look->is_full ? 1 : run_length(t, i);
        put_gap(&p, i);
        if (e->start != FREB_NONE && (e->n_fields == 0 || is_call(&t->events[e->start]))) {
            i++; /* a closing event: its opening one told how long it took */
            continue;
        }
        begin_group(&p, e);
        if (is_quiet_call(t, i) && !o->look->is_full)
            put_quiet(&p, e);
        else
            put_step(&p, i, run);
        i += run;
    }
    end_quiet(&p);
}

/* ---- all of it ---- */

static void put_title(const struct out *o, struct str file)
{
    const struct freb_trace *t = o->t;
    char when[FREB_TIME_LEN] = "";

    style(o, BOLD);
    trace_put_safe(o->b, file);
    plain(o);
    buf_str(o->b, STR("\n  "));
    trace_put_safe(o->b, t->request.verb);
    buf_char(o->b, ' ');
    trace_put_safe(o->b, t->request.url);
    buf_str(o->b, STR("\n  "));
    style(o, t->status >= 400 ? RED : BOLD);
    trace_put_safe(o->b, t->request.status.n ? t->request.status : STR("status unknown"));
    plain(o);
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
        style(o, YELLOW);
        buf_str(o->b, STR("  This trace is not complete: "));
        trace_put_safe(o->b,
                       t->is_full ? STR("the server reached maxLogFileSizeKB") : str_z(t->why_cut));
        buf_printf(o->b, "; %zu events are shown.\n", t->n_events);
        plain(o);
    }
}

void trace_text(struct buf *out, const struct freb_trace *t, struct str file,
                const struct trace_look *look)
{
    struct out o = {out, look, t};

    put_title(&o, file);
    put_failure(&o);
    put_request(&o);
    if (t->n_events == 0)
        return;
    put_warnings(&o);
    put_around(&o);
    put_times(&o);
    put_path(&o);
    put_headers(&o, "Request headers", freb_request_headers(t));
    put_headers(&o, "Response headers", freb_response_headers(t));
}
