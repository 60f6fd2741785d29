/* The path of the request through notifications and modules, as an indented tree. */
#include "trace/text.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/poison.h"

enum {
    VALUE_MAX = 100,   /* bytes of a value */
    TOOK_COLUMNS = 16, /* "  took 1234567 ms" and the other marks after the fields */
    MARK_COLUMNS = 16,
};

struct path {
    struct text_out *o;
    struct str notification; /* of the group that is open */
    bool is_post;
    unsigned quiet_column; /* > 0: a line of modules that did nothing is open, up to here */
};

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

    if (!freb_is_call(e) || e->depth > 0 || e->end == FREB_NONE || e->took_us > 0 || e->gap_us > 0)
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

    if (e->depth > 0 || !freb_is_call(e) ||
        (str_eq(notification, p->notification) && is_post == p->is_post && p->notification.n))
        return;
    end_quiet(p);
    p->notification = notification;
    p->is_post = is_post;
    trace_text_style(p->o, TEXT_BOLD);
    buf_printf(p->o->b, "%9s  ", "");
    trace_put_safe(p->o->b, notification.n ? notification : STR("(notification)"));
    buf_str(p->o->b, is_post ? STR(" (post)\n") : STR("\n"));
    trace_text_plain(p->o);
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
    trace_text_style(p->o, TEXT_DIM);
    trace_put_safe(b, module);
    trace_text_plain(p->o);
    p->quiet_column += (unsigned)(module.n > 1000 ? 1000 : module.n);
}

static void put_marks(struct path *p, size_t i)
{
    const struct freb_trace *t = p->o->t;
    const struct freb_event *e = &t->events[i];
    uint64_t status;

    if (e->took_us > 0)
        buf_printf(p->o->b, "  took %" PRId64 " ms", e->took_us / 1000);
    if (freb_is_call(e) && e->end != FREB_NONE &&
        freb_number(&t->events[e->end], "NotificationStatus", &status) && status != 0) {
        struct str words = freb_words(&t->events[e->end], "NotificationStatus");
        if (words.n == 0)
            words = freb_value(&t->events[e->end], "NotificationStatus");
        if (str_starts(words, STR("NOTIFICATION_")))
            words = str_sub(words, sizeof("NOTIFICATION_") - 1, words.n);
        buf_str(p->o->b, STR("  -> "));
        trace_put_safe(p->o->b, words);
    }
    if (i == t->slowest) {
        trace_text_style(p->o, TEXT_YELLOW);
        buf_str(p->o->b, STR("  <- slowest"));
        trace_text_plain(p->o);
    }
    if (i == t->failure.event) {
        trace_text_style(p->o, TEXT_RED);
        buf_str(p->o->b, STR("  <- failed here"));
        trace_text_plain(p->o);
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
    trace_text_style(p->o, TEXT_YELLOW);
    buf_printf(p->o->b, "%9s  %*s... %" PRId64 " ms pass%s\n", "", (int)t->events[i].depth * 2 + 2,
               "", gap / 1000, i == t->widest_gap ? " (the longest wait)" : "");
    trace_text_plain(p->o);
}

/* Like events one after the other: how many, from i on. */
static size_t run_length(const struct freb_trace *t, size_t i)
{
    size_t n = 1;

    if (freb_is_telling(&t->events[i]) || freb_is_call(&t->events[i]))
        return 1;
    while (i + n < t->n_events && str_eq(t->events[i + n].name, t->events[i].name) &&
           t->events[i + n].gap_us == 0)
        n++;
    return n;
}

/* On a terminal no longer than the line, so that the tree keeps its shape. */
static void put_step_fields(struct path *p, size_t i)
{
    const struct freb_event *e = &p->o->t->events[i];
    const struct trace_look *look = p->o->look;
    /* time, indent, name, blank, and the dots where something is cut */
    size_t used = 13 + (size_t)e->depth * 2 + e->name.n + 1 + 3;
    struct buf fields;

    used += e->took_us > 0 ? TOOK_COLUMNS : 0;
    used += i == p->o->t->slowest || i == p->o->t->failure.event ? MARK_COLUMNS : 0;
    buf_char(p->o->b, ' ');
    if (look->is_full || look->line == 0) {
        trace_put_fields(p->o->b, e, look->is_full ? FREB_TEXT_MAX : VALUE_MAX);
        return;
    }
    buf_init(&fields, 1 << 20);
    trace_put_fields(&fields, e, VALUE_MAX);
    struct str all = buf_view(&fields);
    struct str part = trace_shorten(all, used < look->line ? look->line - used : 0);
    buf_str(p->o->b, part);
    if (part.n < all.n)
        buf_str(p->o->b, STR("..."));
    buf_fini(&fields);
}

static void put_step(struct path *p, size_t i, size_t run)
{
    const struct freb_event *e = &p->o->t->events[i];
    struct buf *b = p->o->b;

    end_quiet(p);
    trace_text_style(p->o, TEXT_DIM);
    buf_printf(b, "%6" PRId64 " ms", e->at_us / 1000);
    trace_text_plain(p->o);
    buf_printf(b, "  %*s", (int)e->depth * 2 + 2, "");
    if (freb_is_call(e)) {
        trace_put_safe(b, freb_value(e, "ModuleName"));
        if (e->depth > 0) {
            buf_char(b, ' ');
            trace_put_safe(b, freb_notification(e));
        }
    } else {
        if (e->level >= FREB_CRITICAL && e->level <= FREB_WARNING)
            trace_text_style(p->o, e->level == FREB_WARNING ? TEXT_YELLOW : TEXT_RED);
        trace_put_safe(b, e->name);
        trace_text_plain(p->o);
        if (run > 1) {
            buf_printf(b, ", %zu times", run);
        } else if (e->n_fields) {
            put_step_fields(p, i);
        }
    }
    put_marks(p, i);
}

void trace_text_path(struct text_out *o)
{
    struct path p = {.o = o};
    const struct freb_trace *t = o->t;

    trace_text_heading(o, "Path");
    for (size_t i = 0; i < t->n_events;) {
        const struct freb_event *e = &t->events[i];
        size_t run = o->look->is_full ? 1 : run_length(t, i);
        put_gap(&p, i);
        if (e->start != FREB_NONE && (e->n_fields == 0 || freb_is_call(&t->events[e->start]))) {
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
