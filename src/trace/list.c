#include "trace/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/poison.h"

void trace_entry_fill(struct trace_entry *e, struct arena *a, const struct freb_trace *t)
{
    e->url = arena_dup(a, t->request.url);
    e->verb = arena_dup(a, t->request.verb);
    e->status = arena_dup(a, t->request.status);
    e->reason = arena_dup(a, t->request.reason);
    e->site_id = arena_dup(a, t->request.site_id);
    e->module = arena_dup(a, t->failure.module);
    e->started_us = t->started_us;
    e->time_taken_ms = t->time_taken_ms;
    e->status_number = t->status * 1000 + t->substatus;
    e->is_cut = t->is_cut || t->is_full;
}

/* ---- order ---- */

static int by_time(const struct trace_entry *a, const struct trace_entry *b)
{
    return (a->started_us > b->started_us) - (a->started_us < b->started_us);
}

static int by_taken(const struct trace_entry *a, const struct trace_entry *b)
{
    return (a->time_taken_ms < b->time_taken_ms) - (a->time_taken_ms > b->time_taken_ms);
}

static int by_status(const struct trace_entry *a, const struct trace_entry *b)
{
    return (a->status_number < b->status_number) - (a->status_number > b->status_number);
}

static int by_url(const struct trace_entry *a, const struct trace_entry *b)
{
    return str_icmp(a->url, b->url);
}

static int by_module(const struct trace_entry *a, const struct trace_entry *b)
{
    return str_icmp(a->module, b->module);
}

static int by_file(const struct trace_entry *a, const struct trace_entry *b)
{
    return str_cmp(a->name, b->name);
}

typedef int compare_fn(const struct trace_entry *, const struct trace_entry *);

static compare_fn *const compares[] = {
    [TRACE_BY_TIME] = by_time, [TRACE_BY_TAKEN] = by_taken,   [TRACE_BY_STATUS] = by_status,
    [TRACE_BY_URL] = by_url,   [TRACE_BY_MODULE] = by_module, [TRACE_BY_FILE] = by_file,
};

/* Equal ones by time, then by file, so that the order never depends on the folder's. */
static int compare(const void *pa, const void *pb, void *arg)
{
    const struct trace_entry *a = pa, *b = pb;
    compare_fn *const *fn = arg;
    int d = (*fn)(a, b);

    if (d == 0)
        d = by_time(a, b);
    return d != 0 ? d : by_file(a, b);
}

void trace_entries_sort(struct trace_entry *entries, size_t n, enum trace_sort by)
{
    compare_fn *fn = compares[by];

    if (n > 1)
        qsort_r(entries, n, sizeof(*entries), compare, &fn);
}

/* ---- text ---- */

/* Visible columns of UTF-8, one for each character. */
static size_t columns(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

static void put_cell(struct buf *out, struct str s, size_t width)
{
    size_t before = out->n;

    trace_put_safe(out, s);
    size_t n = columns(str_n(out->p + before, out->n - before));

    do
        buf_char(out, ' ');
    while (n++ < width);
    buf_char(out, ' ');
}

static size_t widest(const struct trace_entry *entries, size_t n, size_t offset, size_t least)
{
    size_t w = least;

    for (size_t i = 0; i < n; i++) {
        const struct str *s =
            (const struct str *)(const void *)((const char *)&entries[i] + offset);
        if (s->n > w)
            w = s->n;
    }
    return w > 60 ? 60 : w;
}

void trace_text_list(struct buf *out, const struct trace_entry *entries, size_t n,
                     const struct trace_look *look)
{
    size_t w_name = widest(entries, n, offsetof(struct trace_entry, name), 4);
    size_t w_status = widest(entries, n, offsetof(struct trace_entry, status), 6);
    size_t w_reason = widest(entries, n, offsetof(struct trace_entry, reason), 6);
    size_t w_module = widest(entries, n, offsetof(struct trace_entry, module), 9);

    if (look->has_colour)
        buf_str(out, STR("\033[1m"));
    put_cell(out, STR("Time"), 24);
    put_cell(out, STR("Status"), w_status);
    put_cell(out, STR("      ms"), 8);
    put_cell(out, STR("Failed by"), w_module);
    put_cell(out, STR("Reason"), w_reason);
    put_cell(out, STR("File"), w_name);
    buf_str(out, STR("URL\n"));
    if (look->has_colour)
        buf_str(out, STR("\033[0m"));
    for (size_t i = 0; i < n; i++) {
        const struct trace_entry *e = &entries[i];
        char when[FREB_TIME_LEN] = "-", taken[24];
        if (e->started_us != FREB_NO_TIME)
            freb_time_format(e->started_us, when);
        snprintf(taken, sizeof(taken), "%8" PRIu64, e->time_taken_ms);
        put_cell(out, str_z(when), 24);
        if (look->has_colour && e->status_number >= 500000)
            buf_str(out, STR("\033[1;31m"));
        else if (look->has_colour && e->status_number >= 400000)
            buf_str(out, STR("\033[33m"));
        put_cell(out, e->status.n ? e->status : STR("-"), w_status);
        if (look->has_colour)
            buf_str(out, STR("\033[0m"));
        put_cell(out, str_z(taken), 8);
        put_cell(out, e->module.n ? e->module : STR("-"), w_module);
        put_cell(out, e->reason.n ? e->reason : STR("-"), w_reason);
        put_cell(out, e->name, w_name);
        trace_put_safe(out, e->verb);
        buf_char(out, ' ');
        trace_put_safe(out, e->url);
        buf_str(out, e->is_cut ? STR(" (not complete)\n") : STR("\n"));
    }
}
