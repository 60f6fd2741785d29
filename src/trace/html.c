#include "trace/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tables/status.h"
#include "tables/win32.h"
#include "trace/html.h"
#include "trace/page.h"
#include "base/poison.h"

enum {
    AROUND_BEFORE = 6,
    AROUND_AFTER = 4,
    WARNINGS_MAX = 200, /* in the summary */
    VALUE_MAX = 4096,   /* bytes of a value in the table of events; longer ones are cut */
    LONG_FROM = 160,    /* bytes from which a value gets a box of its own */
};

void trace_html_link(struct buf *b, size_t index, size_t event)
{
    buf_printf(b, "<a href=\"#t%zue%zu\">#%zu</a>", index, event + 1, event + 1);
}

void trace_html_ms(struct buf *b, int64_t us)
{
    if (us % 1000 == 0)
        buf_printf(b, "%" PRId64, us / 1000);
    else
        buf_printf(b, "%.3f", (double)us / 1000.0);
}

void trace_html_level(struct buf *b, const struct freb_event *e)
{
    if (e->level >= FREB_CRITICAL && e->level <= FREB_WARNING)
        buf_printf(b, "<span class=\"lvl l%u\">%s</span> ", e->level, trace_level_name(e->level));
}

void trace_html_fields(struct buf *b, const struct freb_event *e, size_t max)
{
    for (size_t i = 0; i < e->n_fields; i++) {
        const struct freb_field *f = &e->fields[i];
        struct str value = f->text.n ? f->text : str_trim_all(f->value);
        struct str part = trace_shorten(value, max);
        bool is_long = part.n > LONG_FROM || str_find_char(part, '\n') != SIZE_MAX;

        if (max <= LONG_FROM && trace_is_dull(f))
            continue;
        buf_str(b, STR("<span class=\"f\"><b>"));
        buf_html(b, f->name);
        buf_str(b, STR("</b> "));
        buf_str(b, is_long && max > LONG_FROM ? STR("<code class=\"long\">") : STR("<code>"));
        buf_html(b, part);
        if (part.n < value.n)
            buf_printf(b, "&hellip; (%zu more bytes)", value.n - part.n);
        buf_str(b, STR("</code></span>"));
    }
}

static void put_fact(struct buf *b, const char *name, struct str value)
{
    if (value.n == 0)
        return;
    buf_printf(b, "<dt>%s</dt><dd>", name);
    buf_html(b, value);
    buf_str(b, STR("</dd>"));
}

/* ---- summary ---- */

static void put_catalogue(struct buf *b, const struct freb_trace *t)
{
    const struct freb_failure *f = &t->failure;
    const struct status_row *s =
        f->status ? status_find_nearest((uint16_t)f->status, (uint16_t)f->substatus)
                  : status_find_nearest((uint16_t)t->status, (uint16_t)t->substatus);

    if (!s || s->status < 400)
        return;
    buf_str(b, STR("<h3>"));
    buf_html(b, str_z(s->code));
    buf_char(b, ' ');
    buf_html(b, str_z(s->title));
    buf_str(b, STR("</h3><p>"));
    buf_html(b, str_z(s->text));
    buf_str(b, STR("</p>"));
    if (s->causes[0]) {
        buf_str(b, STR("<h3>Likely causes, most likely first</h3><ol class=\"steps\">"));
        for (size_t i = 0; s->causes[i]; i++) {
            buf_str(b, STR("<li>"));
            buf_html(b, str_z(s->causes[i]));
            buf_str(b, STR("</li>"));
        }
        buf_str(b, STR("</ol>"));
    }
    if (s->remedies[0]) {
        buf_str(b, STR("<h3>What to do</h3><ul class=\"steps\">"));
        for (size_t i = 0; s->remedies[i]; i++) {
            struct str all = str_z(s->remedies[i]);
            size_t line = str_find_char(all, '\n');
            buf_str(b, STR("<li>"));
            buf_html(b, str_sub(all, 0, line));
            if (line != SIZE_MAX) {
                buf_str(b, STR("<pre>"));
                buf_html(b, str_sub(all, line + 1, all.n));
                buf_str(b, STR("</pre>"));
            }
            buf_str(b, STR("</li>"));
        }
        buf_str(b, STR("</ul>"));
    }
    buf_str(b, STR("<p class=\"soft\">More: <code>candor explain "));
    buf_html(b, str_z(s->code));
    buf_str(b, STR("</code></p>"));
}

static void put_failure(struct buf *b, const struct freb_trace *t, size_t index)
{
    const struct freb_failure *f = &t->failure;
    bool is_failure = f->event != FREB_NONE || t->status >= 400;

    buf_printf(b, "<div class=\"card%s\"><h2>%s</h2>", is_failure ? " bad-card" : "",
               t->status >= 400 || f->status ? "What failed" : "What made the trace");
    if (!is_failure) {
        buf_str(b, t->is_cut
                       ? STR("<p>What is left of this trace does not say what failed.</p></div>")
                       : STR("<p>Nothing in this trace says that anything failed.</p></div>"));
        return;
    }
    buf_str(b, STR("<p class=\"big\">"));
    if (f->status) {
        buf_printf(b, f->substatus ? "%u.%u " : "%u ", f->status, f->substatus);
        buf_html(b, f->phrase);
    } else if (f->event != FREB_NONE) {
        buf_html(b, t->events[f->event].name);
        if (!f->has_hresult && f->text.n) {
            buf_str(b, STR(": "));
            buf_html(b, f->text);
        }
    } else {
        buf_str(b, STR("No event says who set the status."));
    }
    buf_str(b, STR("</p><dl class=\"facts\">"));
    if (f->event != FREB_NONE) {
        buf_str(b, STR("<dt>Module</dt><dd><strong>"));
        buf_html(b, f->module.n ? f->module : STR("between modules"));
        buf_str(b, STR("</strong></dd>"));
        if (f->notification.n) {
            buf_str(b, STR("<dt>Notification</dt><dd>"));
            buf_html(b, f->notification);
            buf_str(b, f->is_post ? STR(" (post)</dd>") : STR("</dd>"));
        }
        buf_str(b, STR("<dt>Event</dt><dd>"));
        trace_html_link(b, index, f->event);
        buf_printf(b, " of %zu, at ", t->n_events);
        trace_html_ms(b, t->events[f->event].at_us);
        buf_str(b, STR(" ms</dd>"));
    }
    if (f->has_hresult) {
        const struct win32_row *w = win32_find(f->hresult);
        buf_printf(b, "<dt>Error code</dt><dd><code>0x%08" PRIx32 "</code> ", f->hresult);
        if (w)
            buf_printf(b, "<code>%s</code> ", w->name);
        buf_html(b, f->text);
        buf_str(b, STR("</dd>"));
    }
    put_fact(b, "Configuration", f->config_info);
    put_fact(b, "Message", f->description);
    put_fact(b, "Page says", f->page_title);
    buf_str(b, STR("</dl>"));
    put_catalogue(b, t);
    buf_str(b, STR("</div>"));
}

static void put_request(struct buf *b, const struct freb_trace *t)
{
    const struct freb_request *q = &t->request;

    buf_str(b, STR("<div class=\"card\"><h2>Request</h2><dl class=\"facts\">"));
    put_fact(b, "URL", q->url);
    put_fact(b, "Verb", q->verb);
    put_fact(b, "Final status", q->status);
    put_fact(b, "Trigger status", q->trigger_status);
    put_fact(b, "Failure reason", q->reason);
    buf_printf(b, "<dt>Time taken</dt><dd>%" PRIu64 " ms</dd>", t->time_taken_ms);
    put_fact(b, "Site", q->site_id);
    put_fact(b, "App pool", q->app_pool);
    put_fact(b, "Process", q->process_id);
    put_fact(b, "Authentication", q->authentication);
    put_fact(b, "User", q->user.n ? q->user : q->remote_user);
    put_fact(b, "User from token", q->token_user);
    put_fact(b, "Activity ID", q->activity_id);
    for (size_t i = 0; i < t->n_events; i++) {
        const struct freb_event *e = &t->events[i];
        if (!str_eq(e->name, STR("GENERAL_ENDPOINT_INFORMATION")))
            continue;
        buf_str(b, STR("<dt>Client</dt><dd>"));
        buf_html(b, freb_value(e, "RemoteAddress"));
        buf_str(b, STR(" port "));
        buf_html(b, freb_value(e, "RemotePort"));
        buf_str(b, STR("</dd>"));
        break;
    }
    buf_str(b, STR("</dl></div>"));
}

static void put_explained(struct buf *b, const struct freb_trace *t, size_t index, size_t i,
                          bool with_todo)
{
    const struct freb_event *e = &t->events[i];

    buf_printf(b, "<tr%s><td class=\"num\">", i == t->failure.event ? " class=\"failed\"" : "");
    trace_html_link(b, index, i);
    buf_str(b, STR("</td><td class=\"num\">"));
    trace_html_ms(b, e->at_us);
    buf_str(b, STR("</td><td>"));
    trace_html_level(b, e);
    buf_str(b, STR("<code>"));
    buf_html(b, e->name);
    buf_str(b, STR("</code>"));
    if (e->kind) {
        buf_str(b, STR("<br>"));
        buf_html(b, str_z(e->kind->meaning));
        if (with_todo && e->kind->todo) {
            buf_str(b, STR("<br><span class=\"soft\">"));
            buf_html(b, str_z(e->kind->todo));
            buf_str(b, STR("</span>"));
        }
    }
    buf_str(b, STR("</td><td class=\"fields\">"));
    trace_html_fields(b, e, 600);
    buf_str(b, STR("</td></tr>"));
}

static void begin_explained(struct buf *b, const char *title)
{
    buf_printf(b,
               "<div class=\"card scroll\"><h2>%s</h2><table><thead><tr><th class=\"num\">No.</th>"
               "<th class=\"num\">ms</th><th>Event</th><th>Fields</th></tr></thead><tbody>",
               title);
}

static void put_warnings(struct buf *b, const struct freb_trace *t, size_t index)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n_events; i++) {
        unsigned level = t->events[i].level;
        if (level < FREB_CRITICAL || level > FREB_WARNING || n++ >= WARNINGS_MAX)
            continue;
        if (n == 1)
            begin_explained(b, "Errors and warnings");
        put_explained(b, t, index, i, /* with_todo = */ true);
    }
    if (n == 0) {
        buf_str(b, STR("<div class=\"card\"><h2>Errors and warnings</h2><p>None in this trace.</p>"
                       "</div>"));
        return;
    }
    buf_str(b, STR("</tbody></table>"));
    if (n > WARNINGS_MAX)
        buf_printf(b, "<p class=\"soft\">%zu more are in the table of events.</p>",
                   n - WARNINGS_MAX);
    buf_str(b, STR("</div>"));
}

static void put_around(struct buf *b, const struct freb_trace *t, size_t index)
{
    size_t at = t->failure.event, before[AROUND_BEFORE], n = 0;

    if (at == FREB_NONE)
        return;
    for (size_t i = at; i-- > 0 && n < AROUND_BEFORE;)
        if (freb_is_telling(&t->events[i]))
            before[n++] = i;
    begin_explained(b, "Events around the failure");
    while (n-- > 0)
        put_explained(b, t, index, before[n], /* with_todo = */ false);
    put_explained(b, t, index, at, /* with_todo = */ false);
    n = 0;
    for (size_t i = at + 1; i < t->n_events && n < AROUND_AFTER; i++) {
        if (freb_is_telling(&t->events[i])) {
            put_explained(b, t, index, i, /* with_todo = */ false);
            n++;
        }
    }
    buf_str(b, STR("</tbody></table></div>"));
}

/* ---- all events, headers ---- */

static void put_events(struct buf *b, const struct freb_trace *t, size_t index)
{
    buf_str(b,
            STR("<div class=\"card scroll\"><table><thead><tr>"
                "<th class=\"num\" data-sort=\"n\">No.</th><th class=\"num\" data-sort=\"n\">ms"
                "</th><th class=\"num\" data-sort=\"n\" title=\"since the event before\">+ms</th>"
                "<th data-sort=\"t\">Level</th><th data-sort=\"t\">Area</th>"
                "<th data-sort=\"t\">Event</th><th>Fields</th></tr></thead><tbody>"));
    for (size_t i = 0; i < t->n_events; i++) {
        const struct freb_event *e = &t->events[i];
        buf_printf(b, "<tr id=\"t%zue%zu\" data-level=\"%u\"%s><td class=\"num\">%zu</td>", index,
                   i + 1, e->level, i == t->failure.event ? " class=\"failed\"" : "", i + 1);
        buf_str(b, STR("<td class=\"num\">"));
        trace_html_ms(b, e->at_us);
        buf_str(b, STR("</td><td class=\"num\">"));
        trace_html_ms(b, e->gap_us);
        buf_printf(b, "</td><td data-v=\"%u\"><span class=\"lvl l%u\">%s</span></td><td>", e->level,
                   e->level, trace_level_name(e->level));
        buf_html(b, e->area);
        buf_str(b, STR("</td><td"));
        if (e->kind) {
            buf_str(b, STR(" title=\""));
            buf_html(b, str_z(e->kind->meaning));
            buf_char(b, '"');
        }
        buf_str(b, STR("><code>"));
        buf_html(b, e->name);
        buf_str(b, STR("</code></td><td class=\"fields\">"));
        trace_html_fields(b, e, VALUE_MAX);
        buf_str(b, STR("</td></tr>\n"));
    }
    buf_str(b, STR("</tbody></table></div>"));
}

static void put_headers(struct buf *b, const char *title, struct str headers)
{
    struct str rest = headers, line;

    buf_printf(b, "<div class=\"card\"><h2>%s</h2>", title);
    if (headers.n == 0)
        buf_str(b, STR("<p class=\"soft\">Not in this trace.</p>"));
    buf_str(b, STR("<dl class=\"facts\">"));
    while (str_split(&rest, '\n', &line)) {
        size_t colon = str_find_char(line, ':');
        line = str_trim_all(line);
        if (line.n == 0)
            continue;
        buf_str(b, STR("<dt>"));
        buf_html(b, str_sub(line, 0, colon));
        buf_str(b, STR("</dt><dd><code>"));
        if (colon != SIZE_MAX)
            buf_html(b, str_trim(str_sub(line, colon + 1, line.n)));
        buf_str(b, STR("</code></dd>"));
    }
    buf_str(b, STR("</dl></div>"));
}

/* ---- page ---- */

static void begin_panel(struct buf *b, const char *name, const char *title)
{
    buf_printf(b, "<section class=\"panel\" data-panel=\"%s\" data-title=\"%s\">", name, title);
}

static void put_top(struct buf *b, const struct freb_trace *t, struct str file)
{
    char when[FREB_TIME_LEN];

    buf_printf(b, "<header class=\"top\"><span class=\"status s%u\">", t->status / 100);
    buf_html(b, t->request.status.n ? t->request.status : STR("?"));
    buf_str(b, STR("</span><div><h1>"));
    buf_html(b, t->request.verb);
    buf_char(b, ' ');
    buf_html(b, t->request.url);
    buf_str(b, STR("</h1><div class=\"soft\">"));
    buf_html(b, file);
    if (t->started_us != FREB_NO_TIME) {
        freb_time_format(t->started_us, when);
        buf_printf(b, " &middot; %s", when);
    }
    buf_printf(b, " &middot; %" PRIu64 " ms &middot; %zu events", t->time_taken_ms, t->n_events);
    if (t->request.reason.n) {
        buf_str(b, STR(" &middot; "));
        buf_html(b, t->request.reason);
    }
    buf_str(b, STR("</div></div></header>"));
    if (t->is_cut || t->is_full) {
        buf_str(b, STR("<p class=\"note\">This trace is not complete: "));
        buf_html(b, t->is_full ? STR("the server reached maxLogFileSizeKB") : str_z(t->why_cut));
        buf_str(b, STR(".</p>"));
    }
}

void trace_html_trace(struct buf *b, const struct freb_trace *t, struct str file, size_t index,
                      bool is_only)
{
    if (!is_only) {
        buf_str(b, STR("<details class=\"file\"><summary><code>"));
        buf_html(b, t->request.status);
        buf_str(b, STR("</code> "));
        buf_html(b, t->request.verb);
        buf_char(b, ' ');
        buf_html(b, t->request.url);
        buf_str(b, STR(" <span class=\"soft\">"));
        buf_html(b, file);
        buf_str(b, STR("</span></summary>"));
    }
    buf_printf(b, "<article class=\"trace\" id=\"t%zu\">", index);
    put_top(b, t, file);
    buf_str(b, STR("<div class=\"tabs\"><button data-tab=\"summary\">Summary</button>"
                   "<button data-tab=\"details\">Request details</button>"
                   "<button data-tab=\"time\">Performance</button>"
                   "<button data-tab=\"events\">Compact view</button>"
                   "<button data-tab=\"headers\">Headers</button>"
                   "<span class=\"find\"><span class=\"soft count\"></span><label>"
                   "<input type=\"checkbox\"> errors and warnings only</label>"
                   "<input type=\"search\" placeholder=\"Filter events\" "
                   "aria-label=\"Filter events\"></span></div>"));
    begin_panel(b, "summary", "Summary");
    buf_str(b, STR("<div class=\"two\">"));
    put_failure(b, t, index);
    put_request(b, t);
    buf_str(b, STR("</div>"));
    put_warnings(b, t, index);
    put_around(b, t, index);
    buf_str(b, STR("</section>\n"));
    begin_panel(b, "details", "Request details");
    trace_html_tree(b, t, index);
    buf_str(b, STR("</section>\n"));
    begin_panel(b, "time", "Performance");
    trace_html_performance(b, t, index);
    buf_str(b, STR("</section>\n"));
    begin_panel(b, "events", "Compact view");
    put_events(b, t, index);
    buf_str(b, STR("</section>\n"));
    begin_panel(b, "headers", "Headers");
    buf_str(b, STR("<div class=\"two\">"));
    put_headers(b, "Request headers", freb_request_headers(t));
    put_headers(b, "Response headers", freb_response_headers(t));
    buf_str(b, STR("</div></section></article>\n"));
    if (!is_only)
        buf_str(b, STR("</details>\n"));
}

static void put_list(struct buf *b, const struct trace_entry *entries, size_t n)
{
    buf_printf(b,
               "<div class=\"card scroll\"><h1>%zu failed request traces</h1><p class=\"find\">"
               "<input type=\"search\" id=\"find-file\" placeholder=\"Filter\" "
               "aria-label=\"Filter\"></p><table id=\"files\"><thead><tr>"
               "<th data-sort=\"t\">Time</th><th data-sort=\"n\">Status</th>"
               "<th class=\"num\" data-sort=\"n\">ms</th><th data-sort=\"t\">Failed by</th>"
               "<th data-sort=\"t\">Reason</th><th data-sort=\"t\">Request</th>"
               "<th data-sort=\"t\">File</th></tr></thead><tbody>",
               n);
    for (size_t i = 0; i < n; i++) {
        const struct trace_entry *e = &entries[i];
        char when[FREB_TIME_LEN] = "";
        if (e->started_us != FREB_NO_TIME)
            freb_time_format(e->started_us, when);
        buf_printf(b, "<tr><td class=\"mono keep\">%s</td><td data-v=\"%u\"><code>", when,
                   e->status_number);
        buf_html(b, e->status);
        buf_printf(b, "</code></td><td class=\"num\">%" PRIu64 "</td><td>", e->time_taken_ms);
        buf_html(b, e->module);
        buf_str(b, STR("</td><td class=\"keep\">"));
        buf_html(b, e->reason);
        buf_printf(b, "</td><td class=\"any\"><a href=\"#t%zu\">", i);
        buf_html(b, e->verb);
        buf_char(b, ' ');
        buf_html(b, e->url);
        buf_str(b, STR("</a></td><td class=\"any\">"));
        buf_html(b, e->name);
        buf_str(b, e->is_cut ? STR(" <span class=\"lvl l3\">not complete</span></td></tr>\n")
                             : STR("</td></tr>\n"));
    }
    buf_str(b, STR("</tbody></table></div>"));
}

void trace_html_begin(struct buf *b, const struct trace_entry *entries, size_t n)
{
    /* Nothing may be fetched, whatever a trace smuggles in. */
    buf_str(b, STR("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                   "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                   "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
                   "base-uri 'none'; form-action 'none'\">"
                   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                   "<link rel=\"icon\" href=\"data:,\"><title>"));
    if (n == 1) {
        buf_str(b, STR("Request diagnostics for "));
        buf_html(b, entries[0].verb);
        buf_char(b, ' ');
        buf_html(b, entries[0].url);
    } else {
        buf_printf(b, "%zu failed request traces", n);
    }
    buf_str(b, STR("</title>\n<style>\n"));
    buf_str(b, str_z(trace_page_css));
    buf_str(b, STR("</style></head>\n<body><main>\n"));
    if (n != 1)
        put_list(b, entries, n);
}

void trace_html_end(struct buf *b)
{
    buf_str(b, STR("<footer>Made by candor " CANDOR_VERSION
                   " trace. Passwords, tokens and cookie values are hidden unless "
                   "--show-secrets was given.</footer></main>\n<script>\n"));
    buf_str(b, str_z(trace_page_js));
    buf_str(b, STR("</script></body></html>\n"));
}
