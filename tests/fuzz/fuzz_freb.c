/* A failed request trace of any bytes: read with and without secrets, and shown in every form.
 * Whatever it holds, spans must nest, and every view must come out whole. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "trace/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_spans(const struct freb_trace *t)
{
    for (size_t i = 0; i < t->n_events; i++) {
        const struct freb_event *e = &t->events[i];
        check(e->parent == FREB_NONE || e->parent < i);
        check(e->depth <= FREB_DEPTH_MAX);
        check(e->end == FREB_NONE || (e->end > i && e->end < t->n_events && e->took_us >= 0));
        check(e->start == FREB_NONE || (e->start < i && t->events[e->start].end == i));
        check(e->gap_us >= 0 && e->at_us >= 0 && e->at_us <= t->lasted_us);
        check(e->own_us <= e->took_us);
    }
    check(t->failure.event == FREB_NONE || t->failure.event < t->n_events);
}

static void show(const struct freb_trace *t, struct buf *out)
{
    struct trace_look looks[] = {{.width = 80, .line = 80}, {.has_colour = true, .is_full = true}};
    struct trace_entry entry = {.started_us = FREB_NO_TIME};
    struct arena arena;

    arena_init(&arena, 0);
    trace_entry_fill(&entry, &arena, t);
    entry.name = STR("fr000001.xml");
    for (size_t i = 0; i < ARRAY_LEN(looks); i++) {
        trace_text(out, t, entry.name, &looks[i]);
        trace_text_list(out, &entry, 1, &looks[i]);
    }
    trace_json(out, t, entry.name);
    trace_html_begin(out, &entry, 1);
    trace_html_trace(out, t, entry.name, 0, /* is_only = */ true);
    trace_html_end(out);
    check(!out->overflow);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    for (int hide = 0; hide < 2; hide++) {
        struct freb_trace t;
        struct buf out;
        if (freb_parse(&t, str_n((const char *)data, n), hide) != RC_OK)
            return 0;
        buf_init(&out, 1 << 28);
        check_spans(&t);
        show(&t, &out);
        buf_fini(&out);
        freb_fini(&t);
    }
    return 0;
}
