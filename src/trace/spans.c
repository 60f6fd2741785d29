#include "trace/freb.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/poison.h"

/* Names of .NET's events have no underscores. "AspNetStart" is missing on purpose: it opens in one
 * module's call and closes in another's. */
static const struct {
    const char *opening, *closing; /* endings */
} managed_pairs[] = {{"Enter", "Leave"}, {"Begin", "End"}, {"Start", "End"}};

static bool ends_with(struct str s, const char *ending, struct str *ret_stem)
{
    size_t n = strlen(ending);

    if (s.n <= n || memcmp(s.p + s.n - n, ending, n) != 0)
        return false;
    *ret_stem = str_sub(s, 0, s.n - n);
    return true;
}

static bool is_managed(struct str name)
{
    return str_starts(name, STR("AspNet"));
}

bool freb_opens(struct str name, struct str *ret_stem)
{
    if (is_managed(name)) {
        for (size_t i = 0; i < ARRAY_LEN(managed_pairs); i++)
            if (ends_with(name, managed_pairs[i].opening, ret_stem) &&
                !str_eq(name, STR("AspNetStart")) && !str_eq(name, STR("AspNetAppDomainEnter")))
                return true;
        return false;
    }
    return ends_with(name, "_START", ret_stem) && !str_eq(name, STR("GENERAL_REQUEST_START"));
}

bool freb_closes(struct str name, struct str *ret_stem)
{
    if (is_managed(name)) {
        for (size_t i = 0; i < ARRAY_LEN(managed_pairs); i++)
            if (ends_with(name, managed_pairs[i].closing, ret_stem))
                return !str_eq(name, STR("AspNetEnd"));
        return false;
    }
    if (str_eq(name, STR("GENERAL_REQUEST_END")))
        return false;
    if (ends_with(name, "_END", ret_stem))
        return true;
    if (str_starts(name, STR("ANCM_")) && ends_with(name, "_COMPLETION", ret_stem))
        return true;
    if (!str_starts(name, STR("WEBSOCKET_")))
        return false;
    size_t end = str_find(name, STR("_END_")); /* _END_SUCCESS, _END_NOT_SUCCESS */
    *ret_stem = str_sub(name, 0, end);
    return end != SIZE_MAX;
}

bool freb_is_call(const struct freb_event *e)
{
    return str_eq(e->name, STR("NOTIFY_MODULE_START")) ||
           str_eq(e->name, STR("PRE_BEGIN_REQUEST_START"));
}

bool freb_is_telling(const struct freb_event *e)
{
    struct str n = e->name;

    if (e->level >= FREB_CRITICAL && e->level <= FREB_WARNING)
        return true;
    if (str_starts(n, STR("NOTIFY_MODULE_")) || str_starts(n, STR("PRE_BEGIN_REQUEST_")))
        return false;
    return !str_eq(n, STR("HANDLER_PRECONDITION_NOT_MATCH")) &&
           !str_eq(n, STR("MODULE_PRECONDITION_NOT_MATCH")) &&
           !str_eq(n, STR("VIRTUAL_MODULE_UNRESOLVED"));
}

/* ---- times ---- */

static void set_times(struct freb_trace *t)
{
    int64_t before = FREB_NO_TIME, widest = 0;

    for (size_t i = 0; i < t->n_events; i++) {
        struct freb_event *e = &t->events[i];
        if (e->time_us == FREB_NO_TIME) {
            e->at_us = t->lasted_us;
            continue;
        }
        if (t->started_us == FREB_NO_TIME)
            t->started_us = e->time_us;
        /* Clocks are set back now and then: time stands still until it has caught up. */
        e->at_us = e->time_us - t->started_us;
        if (e->at_us < t->lasted_us)
            e->at_us = t->lasted_us;
        t->lasted_us = e->at_us;
        if (before != FREB_NO_TIME)
            e->gap_us = e->at_us - before;
        before = e->at_us;
        if (e->gap_us > widest) {
            widest = e->gap_us;
            t->widest_gap = i;
        }
    }
}

/* ---- nesting ---- */

struct open_span {
    size_t event;
    struct str stem, module, notification;
};

struct nesting {
    struct freb_trace *t;
    struct open_span open[FREB_DEPTH_MAX];
    size_t n_open;
    bool *is_torn; /* by event: opened, never closed, and what was around it has closed */
};

/* Index in the stack of what this event closes; SIZE_MAX: nothing. */
static size_t find_open(const struct nesting *n, const struct freb_event *e, struct str stem)
{
    for (size_t i = n->n_open; i-- > 0;) {
        const struct open_span *o = &n->open[i];
        if (str_eq(o->stem, stem) && str_eq(o->module, freb_value(e, "ModuleName")) &&
            str_eq(o->notification, freb_value(e, "Notification")))
            return i;
    }
    return SIZE_MAX;
}

static void close_span(struct nesting *n, size_t at, size_t i)
{
    struct freb_event *e = &n->t->events[i];
    size_t opened = n->open[at].event;
    struct freb_event *start = &n->t->events[opened];

    for (size_t above = at + 1; above < n->n_open; above++)
        n->is_torn[n->open[above].event] = true;
    n->n_open = at;
    start->end = i;
    start->took_us = e->at_us - start->at_us;
    e->start = opened;
    e->parent = start->parent;
}

static void nest(struct nesting *n, size_t i)
{
    struct freb_event *e = &n->t->events[i];
    struct str stem;
    size_t at;

    e->parent = n->n_open ? n->open[n->n_open - 1].event : FREB_NONE;
    if (freb_closes(e->name, &stem) && (at = find_open(n, e, stem)) != SIZE_MAX) {
        close_span(n, at, i);
    } else if (freb_opens(e->name, &stem) && n->n_open < FREB_DEPTH_MAX) {
        n->open[n->n_open++] =
            (struct open_span){i, stem, freb_value(e, "ModuleName"), freb_value(e, "Notification")};
    }
}

/* Depths, own times and the slowest; parents of torn spans are skipped. */
static void settle(struct nesting *n)
{
    struct freb_trace *t = n->t;
    int64_t slowest = 0;

    for (size_t i = 0; i < t->n_events; i++) {
        struct freb_event *e = &t->events[i];
        if (e->parent != FREB_NONE && n->is_torn[e->parent])
            e->parent = t->events[e->parent].parent;
        e->depth = e->parent == FREB_NONE ? 0 : t->events[e->parent].depth + 1;
        e->own_us = e->took_us;
        if (e->took_us > 0 && e->parent != FREB_NONE && t->events[e->parent].own_us >= 0)
            t->events[e->parent].own_us -= e->took_us;
    }
    for (size_t i = 0; i < t->n_events; i++) {
        struct freb_event *e = &t->events[i];
        if (e->took_us >= 0 && e->own_us < 0)
            e->own_us = 0;
        if (e->own_us > slowest) {
            slowest = e->own_us;
            t->slowest = i;
        }
    }
}

void freb_spans_build(struct freb_trace *t)
{
    struct nesting n = {.t = t};

    set_times(t);
    if (t->n_events == 0)
        return;
    n.is_torn = xcalloc(t->n_events, sizeof(*n.is_torn));
    for (size_t i = 0; i < t->n_events; i++) {
        t->events[i].took_us = -1;
        nest(&n, i);
    }
    settle(&n);
    free(n.is_torn);
}
