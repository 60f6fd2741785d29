#include "trace/html.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "trace/report.h"
#include "base/poison.h"

enum {
    CHART_WIDTH = 1000, /* units of the drawing */
    LANE_HEIGHT = 20,
    AXIS_HEIGHT = 18,
    RECTS_MAX = 3000,
    BARS_MAX = 200,
    LABEL_FROM = 70, /* width from which a box has room for its name */
};

/* A part of the request: a span, or a time in which no event was written. */
struct part {
    size_t event;
    int64_t from_us, to_us, own_us;
    bool is_gap;
};

struct chart {
    struct buf *b;
    const struct freb_trace *t;
    size_t index;
    bool by_order; /* the clock did not advance: positions are numbers of events */
};

static struct str part_module(const struct chart *c, const struct part *p)
{
    return freb_module_at(c->t, p->event);
}

static void put_part_name(const struct chart *c, const struct part *p)
{
    const struct freb_event *e = &c->t->events[p->event];
    struct str module = part_module(c, p);

    if (p->is_gap) {
        buf_str(c->b, STR("wait before "));
        buf_html(c->b, e->name);
    } else if (freb_is_telling(e) || module.n == 0) {
        buf_html(c->b, e->name);
    } else {
        buf_html(c->b, module);
    }
}

static void put_part_stage(const struct chart *c, const struct part *p)
{
    size_t i = p->event;
    struct str stage = STR_NULL;

    for (unsigned up = 0; i != FREB_NONE && stage.n == 0 && up <= FREB_DEPTH_MAX; up++) {
        stage = freb_notification(&c->t->events[i]);
        i = c->t->events[i].parent;
    }
    buf_html(c->b, stage);
}

/* ---- time line ---- */

static double place(const struct chart *c, size_t event)
{
    if (c->by_order)
        return (double)event * CHART_WIDTH / (double)c->t->n_events;
    return (double)c->t->events[event].at_us * CHART_WIDTH / (double)c->t->lasted_us;
}

static void put_box(const struct chart *c, const struct part *p, double x, double w, unsigned lane)
{
    struct str module = part_module(c, p);
    bool has_failed = c->t->failure.event != FREB_NONE && !p->is_gap &&
                      c->t->failure.event >= p->event &&
                      c->t->failure.event <= c->t->events[p->event].end;

    buf_printf(c->b, "<g><title>");
    put_part_name(c, p);
    if (module.n && !p->is_gap) {
        buf_str(c->b, STR(", "));
        put_part_stage(c, p);
    }
    buf_str(c->b, STR(": "));
    trace_html_ms(c->b, p->to_us - p->from_us);
    buf_printf(c->b,
               " ms</title><rect%s x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%d\" rx=\"2\"/>",
               p->is_gap    ? " class=\"g\""
               : has_failed ? " class=\"x\""
                            : "",
               x, lane * LANE_HEIGHT + 1, w < 1.0 ? 1.0 : w, LANE_HEIGHT - 2);
    if (w >= LABEL_FROM) {
        struct str name = p->is_gap ? STR("wait")
                          : module.n && !freb_is_telling(&c->t->events[p->event])
                              ? module
                              : c->t->events[p->event].name;
        buf_printf(c->b, "<text x=\"%.2f\" y=\"%u\">", x + 4, lane * LANE_HEIGHT + 14);
        buf_html(c->b, trace_shorten(name, (size_t)(w / 6.0)));
        buf_str(c->b, STR("</text>"));
    }
    buf_str(c->b, STR("</g>"));
}

static void put_axis(const struct chart *c, unsigned lanes)
{
    for (unsigned i = 0; i <= 4; i++) {
        double x = (double)i * CHART_WIDTH / 4;
        buf_printf(c->b,
                   "<line x1=\"%.0f\" y1=\"0\" x2=\"%.0f\" y2=\"%u\"/><text class=\"axis\" "
                   "x=\"%.0f\" y=\"%u\" text-anchor=\"%s\">",
                   x, x, lanes * LANE_HEIGHT, x, lanes * LANE_HEIGHT + 13,
                   i == 0   ? "start"
                   : i == 4 ? "end"
                            : "middle");
        if (c->by_order)
            buf_printf(c->b, "#%zu</text>", c->t->n_events * i / 4);
        else
            buf_printf(c->b, "%.0f ms</text>", (double)c->t->lasted_us * i / 4000.0);
    }
}

static void put_time_line(const struct chart *c, const struct part *parts, size_t n)
{
    unsigned lanes = 1;
    size_t shown = 0;

    for (size_t i = 0; i < n; i++)
        if (c->t->events[parts[i].event].depth + 2 > lanes)
            lanes = c->t->events[parts[i].event].depth + 2;
    buf_printf(c->b,
               "<svg class=\"time\" role=\"img\" aria-label=\"Time line\" viewBox=\"0 0 %d %u\">",
               CHART_WIDTH, lanes * LANE_HEIGHT + AXIS_HEIGHT);
    put_axis(c, lanes);
    for (size_t i = 0; i < n && shown < RECTS_MAX; i++) {
        const struct part *p = &parts[i];
        const struct freb_event *e = &c->t->events[p->event];
        double from, to;
        if (p->is_gap) {
            if (c->by_order)
                continue;
            from = (double)p->from_us * CHART_WIDTH / (double)c->t->lasted_us;
            to = (double)p->to_us * CHART_WIDTH / (double)c->t->lasted_us;
        } else {
            from = place(c, p->event);
            to = place(c, e->end);
        }
        put_box(c, p, from, to - from, p->is_gap ? 0 : e->depth + 1);
        shown++;
    }
    buf_str(c->b, STR("</svg>"));
    if (shown == RECTS_MAX)
        buf_printf(c->b, "<p class=\"soft\">Only the %d longest parts are drawn.</p>", RECTS_MAX);
}

/* ---- bars ---- */

static void put_bar(const struct chart *c, const struct part *p)
{
    double whole = (double)c->t->lasted_us;
    const struct freb_event *e = &c->t->events[p->event];

    buf_printf(c->b, "<tr data-level=\"%u\"><td class=\"num\" data-v=\"%zu\">", e->level, p->event);
    trace_html_link(c->b, c->index, p->event);
    buf_str(c->b, STR("</td><td>"));
    put_part_name(c, p);
    if (p->event == c->t->slowest && !p->is_gap)
        buf_str(c->b, STR(" <span class=\"mark\">slowest</span>"));
    buf_str(c->b, STR("</td><td>"));
    if (p->is_gap) {
        struct str module = part_module(c, p);
        buf_html(c->b, module.n ? module : STR("between modules"));
    } else {
        put_part_stage(c, p);
    }
    buf_str(c->b, STR("</td><td class=\"num\">"));
    trace_html_ms(c->b, p->from_us);
    buf_str(c->b, STR("</td><td class=\"num\">"));
    trace_html_ms(c->b, p->to_us - p->from_us);
    buf_str(c->b, STR("</td><td class=\"num\">"));
    trace_html_ms(c->b, p->own_us);
    buf_printf(c->b,
               "</td><td><div class=\"lane\"><i%s style=\"left:%.2f%%;width:%.2f%%\"></i></div>"
               "</td></tr>\n",
               p->is_gap ? " class=\"g\"" : "", (double)p->from_us * 100 / whole,
               (double)(p->to_us - p->from_us) * 100 / whole);
}

static void put_bars(const struct chart *c, const struct part *parts, size_t n)
{
    size_t shown = 0;

    buf_str(c->b, STR("<div class=\"card scroll\"><h2>Longest parts</h2><table><thead><tr>"
                      "<th class=\"num\" data-sort=\"n\">No.</th><th data-sort=\"t\">Part</th>"
                      "<th data-sort=\"t\">Where</th><th class=\"num\" data-sort=\"n\">at ms</th>"
                      "<th class=\"num\" data-sort=\"n\">ms</th><th class=\"num\" data-sort=\"n\" "
                      "title=\"without what happened within\">own ms</th><th>Duration</th></tr>"
                      "</thead><tbody>"));
    for (size_t i = 0; i < n && shown < BARS_MAX; i++) {
        if (parts[i].to_us == parts[i].from_us)
            continue;
        put_bar(c, &parts[i]);
        shown++;
    }
    buf_str(c->b, STR("</tbody></table></div>"));
}

/* Longest time of its own first, then in order of time. */
static int compare_parts(const void *pa, const void *pb)
{
    const struct part *a = pa, *b = pb;

    if (a->own_us != b->own_us)
        return a->own_us < b->own_us ? 1 : -1;
    return (a->event > b->event) - (a->event < b->event);
}

void trace_html_performance(struct buf *b, const struct freb_trace *t, size_t index)
{
    struct chart c = {b, t, index, t->lasted_us == 0};
    struct part *parts = NULL;
    size_t n = 0, cap = 0;

    for (size_t i = 0; i < t->n_events; i++) {
        const struct freb_event *e = &t->events[i];
        bool is_gap = e->gap_us > 0 && i > 0;
        if (is_gap) {
            parts = xgrow(parts, n, &cap, sizeof(*parts));
            parts[n++] = (struct part){i, e->at_us - e->gap_us, e->at_us, e->gap_us, true};
        }
        if (e->end != FREB_NONE) {
            parts = xgrow(parts, n, &cap, sizeof(*parts));
            parts[n++] = (struct part){i, e->at_us, e->at_us + e->took_us, e->own_us, false};
        }
    }
    if (n > 1)
        qsort(parts, n, sizeof(*parts), compare_parts);
    buf_str(b, STR("<div class=\"card\"><h2>Time line</h2>"));
    if (n == 0)
        buf_str(b, STR("<p class=\"soft\">Nothing in this trace has a duration.</p>"));
    else if (c.by_order)
        buf_str(b, STR("<p class=\"soft\">All events carry the same time: the request took less "
                       "than one step of the clock (about 16 ms on Windows). The line shows their "
                       "order instead.</p>"));
    if (n)
        put_time_line(&c, parts, n);
    buf_str(b, STR("<p class=\"soft\">One lane for each level of nesting; the first lane shows "
                   "waits: times in which no event was written. Point at a box for its name."
                   "</p></div>"));
    if (n && !c.by_order)
        put_bars(&c, parts, n);
    free(parts);
}
