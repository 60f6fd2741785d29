#include "trace/html.h"

#include <inttypes.h>
#include <stdio.h>

#include "trace/report.h"
#include "base/poison.h"

enum { VALUE_MAX = 160 };

struct tree {
    struct buf *b;
    const struct freb_trace *t;
    size_t index;
};

/* One past the last event of what event i opened; i + 1 if it opened nothing. */
static size_t span_end(const struct freb_trace *t, size_t i, size_t to)
{
    const struct freb_event *e = &t->events[i];

    if (e->end != FREB_NONE)
        return e->end + 1 < to ? e->end + 1 : to;
    /* Still open where the trace was cut: all the rest is in it. */
    return i + 1 < to && t->events[i + 1].parent == i ? to : i + 1;
}

static bool is_within(size_t event, size_t from, size_t to)
{
    return event != FREB_NONE && event >= from && event < to;
}

/* What a reader wants to see without opening anything. */
static bool is_interesting(const struct freb_trace *t, size_t from, size_t to)
{
    return is_within(t->failure.event, from, to) || is_within(t->slowest, from, to);
}

static void put_gap(struct tree *r, size_t i)
{
    const struct freb_trace *t = r->t;
    int64_t gap = t->events[i].gap_us;

    if (gap < 1000 || (i != t->widest_gap && gap < t->lasted_us / 20))
        return;
    buf_str(r->b, STR("<div class=\"gap\">&hellip; "));
    trace_html_ms(r->b, gap);
    buf_str(r->b,
            i == t->widest_gap ? STR(" ms pass, the longest wait</div>") : STR(" ms pass</div>"));
}

static void put_marks(struct tree *r, size_t i)
{
    const struct freb_trace *t = r->t;
    const struct freb_event *e = &t->events[i];
    uint64_t status;

    if (e->took_us > 0) {
        buf_str(r->b, STR(" <span class=\"soft\">took "));
        trace_html_ms(r->b, e->took_us);
        buf_str(r->b, STR(" ms</span>"));
    }
    if (freb_is_call(e) && e->end != FREB_NONE &&
        freb_number(&t->events[e->end], "NotificationStatus", &status) && status != 0) {
        struct str words = freb_words(&t->events[e->end], "NotificationStatus");
        buf_str(r->b, STR(" <span class=\"mark\">"));
        buf_html(r->b, words.n ? words : freb_value(&t->events[e->end], "NotificationStatus"));
        buf_str(r->b, STR("</span>"));
    }
    if (i == t->slowest)
        buf_str(r->b, STR(" <span class=\"mark\">slowest</span>"));
    if (i == t->failure.event)
        buf_str(r->b, STR(" <span class=\"mark red\">failed here</span>"));
}

static void put_label(struct tree *r, size_t i)
{
    const struct freb_event *e = &r->t->events[i];
    struct buf *b = r->b;

    buf_str(b, STR("<span class=\"ms\">"));
    trace_html_ms(b, e->at_us);
    buf_str(b, STR(" ms</span>"));
    trace_html_level(b, e);
    if (freb_is_call(e)) {
        buf_html(b, freb_value(e, "ModuleName"));
        if (e->depth > 0) {
            buf_str(b, STR(" <span class=\"soft\">"));
            buf_html(b, freb_notification(e));
            buf_str(b, STR("</span>"));
        }
    } else {
        buf_str(b, STR("<code>"));
        buf_html(b, e->name);
        buf_str(b, STR("</code> "));
        trace_html_fields(b, e, VALUE_MAX);
    }
    /* What the closing event adds: a result, an error code. */
    if (e->end != FREB_NONE && !freb_is_call(e) && r->t->events[e->end].n_fields) {
        buf_str(b, STR(" &rarr; "));
        trace_html_fields(b, &r->t->events[e->end], VALUE_MAX);
    }
    put_marks(r, i);
    buf_char(b, ' ');
    trace_html_link(b, r->index, i);
}

static void put_leaf(struct tree *r, size_t i)
{
    const struct freb_event *e = &r->t->events[i];

    buf_printf(r->b, "<div class=\"ev%s\" data-level=\"%u\"",
               i == r->t->failure.event ? " failed" : "", e->level);
    if (e->kind) {
        buf_str(r->b, STR(" title=\""));
        buf_html(r->b, str_z(e->kind->meaning));
        buf_char(r->b, '"');
    }
    buf_char(r->b, '>');
    put_label(r, i);
    buf_str(r->b, STR("</div>\n"));
}

/* Like events that tell little, one after the other. */
static size_t run_end(const struct freb_trace *t, size_t i, size_t to)
{
    size_t k = i + 1;

    if (freb_is_telling(&t->events[i]) || freb_is_call(&t->events[i]) ||
        t->events[i].start != FREB_NONE)
        return k;
    while (k < to && str_eq(t->events[k].name, t->events[i].name) && t->events[k].gap_us == 0)
        k++;
    return k;
}

static void put_run(struct tree *r, size_t from, size_t to)
{
    buf_str(r->b, STR("<details><summary data-level=\"4\"><span class=\"ms\">"));
    trace_html_ms(r->b, r->t->events[from].at_us);
    buf_str(r->b, STR(" ms</span><code>"));
    buf_html(r->b, r->t->events[from].name);
    buf_printf(r->b, "</code> <span class=\"soft\">%zu times</span></summary>", to - from);
    for (size_t i = from; i < to; i++)
        put_leaf(r, i);
    buf_str(r->b, STR("</details>\n"));
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as spans nest, which FREB_DEPTH_MAX bounds. */
static void put_range(struct tree *r, size_t from, size_t to)
{
    const struct freb_trace *t = r->t;

    for (size_t i = from; i < to;) {
        const struct freb_event *e = &t->events[i];
        size_t end = span_end(t, i, to), run = run_end(t, i, to);
        put_gap(r, i);
        if (e->start != FREB_NONE) {
            i++; /* told by what it closes */
        } else if (run > i + 1) {
            put_run(r, i, run);
            i = run;
        } else if (end > i + 2 || (end > i + 1 && e->end == FREB_NONE)) {
            buf_printf(r->b, "<details%s><summary data-level=\"%u\"%s>",
                       is_interesting(t, i, end) ? " open" : "", e->level,
                       i == t->failure.event ? " class=\"failed\"" : "");
            put_label(r, i);
            buf_str(r->b, STR("</summary>"));
            put_range(r, i + 1, end);
            buf_str(r->b, STR("</details>\n"));
            i = end;
        } else {
            put_leaf(r, i);
            i++;
        }
    }
}

/* One past the last of the calls for the same notification, from the call i on. */
static size_t stage_end(const struct freb_trace *t, size_t i, size_t *ret_calls)
{
    struct str notification = freb_notification(&t->events[i]);
    bool is_post = freb_is_post(&t->events[i]);
    size_t k = i, calls = 0;

    while (k < t->n_events && freb_is_call(&t->events[k]) &&
           freb_is_post(&t->events[k]) == is_post &&
           str_eq(freb_notification(&t->events[k]), notification)) {
        k = span_end(t, k, t->n_events);
        calls++;
    }
    *ret_calls = calls;
    return k;
}

void trace_html_tree(struct buf *b, const struct freb_trace *t, size_t index)
{
    struct tree r = {b, t, index};

    buf_str(b, STR("<div class=\"card tree\">"));
    if (t->n_events == 0)
        buf_str(b, STR("<p>This trace has no events.</p>"));
    for (size_t i = 0; i < t->n_events;) {
        size_t calls, next = i + 1;
        if (!freb_is_call(&t->events[i])) {
            next = run_end(t, i, t->n_events);
            if (next == i + 1)
                next = span_end(t, i, t->n_events);
            put_range(&r, i, next);
            i = next;
            continue;
        }
        next = stage_end(t, i, &calls);
        int64_t took = t->events[next - 1].at_us - t->events[i].at_us;
        buf_printf(b, "<details class=\"stage\"%s><summary data-level=\"0\"><span class=\"ms\">",
                   is_interesting(t, i, next) ? " open" : "");
        trace_html_ms(b, t->events[i].at_us);
        buf_str(b, STR(" ms</span>"));
        buf_html(b, freb_notification(&t->events[i]));
        buf_printf(b, "%s <span class=\"soft\">%zu call%s",
                   freb_is_post(&t->events[i]) ? " (post)" : "", calls, calls == 1 ? "" : "s");
        if (took > 0) {
            buf_str(b, STR(", "));
            trace_html_ms(b, took);
            buf_str(b, STR(" ms"));
        }
        buf_str(b, STR("</span></summary>"));
        put_range(&r, i, next);
        buf_str(b, STR("</details>\n"));
        i = next;
    }
    buf_str(b, STR("</div>"));
}
