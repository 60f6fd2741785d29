/* Of the tally: the lines that are kept as samples, and failed request traces. */
#include <stdlib.h>

#include "base/alloc.h"
#include "diagnose/tally.h"
#include "base/poison.h"

void samples_fini(struct tally_samples *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        free(s->at[i].text);
    free(s->at);
    *s = (struct tally_samples){0};
}

static bool is_before(const struct tally_sample *a, const struct tally_sample *b)
{
    if (a->weight != b->weight)
        return a->weight > b->weight;
    return a->unit != b->unit ? a->unit < b->unit : a->line < b->line;
}

void samples_add(struct tally_samples *s, const struct tally_sample *sample, struct str text)
{
    uint32_t at = s->n;

    if (s->max == 0 || (s->n == s->max && !is_before(sample, &s->at[s->n - 1])))
        return;
    if (s->n == s->max) {
        free(s->at[--s->n].text);
        at = s->n;
    } else if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 2;
        s->at = xrealloc(s->at, s->cap * sizeof(*s->at));
    }
    for (; at > 0 && is_before(sample, &s->at[at - 1]); at--)
        s->at[at] = s->at[at - 1];
    text = str_sub(text, 0, SAMPLE_TEXT_MAX);
    s->at[at] = *sample;
    s->at[at].text = str_dup_z(text);
    s->at[at].n = (uint32_t)text.n;
    s->n++;
}

void samples_keep(struct tally *t, struct tally_samples *s, struct str text, int64_t time_s,
                  uint64_t line, uint64_t weight)
{
    samples_add(
        s,
        &(struct tally_sample){.unit = t->unit, .line = line, .time_s = time_s, .weight = weight},
        text);
}

void tally_list(struct tally *t, const struct record *r, uint64_t line)
{
    samples_keep(t, &t->listed, r->text, r->time_s, line, 0);
}

void tally_failure(struct tally *t, struct str text, int64_t time_s, uint64_t line)
{
    t->failure_count++;
    samples_keep(t, &t->failures, text, time_s, line, 0);
}

void tally_trace(struct tally *t, const struct record *r)
{
    struct trace_row *row;

    if (t->trace_n >= TRACES_MAX)
        return;
    t->traces = xgrow(t->traces, t->trace_n, &t->trace_cap, sizeof(*t->traces));
    row = &t->traces[t->trace_n++];
    row->unit = t->unit;
    row->t = (struct model_trace){
        .time_s = r->time_s,
        .url = arena_dup(&t->arena, str_sub(r->url, 0, SAMPLE_TEXT_MAX)),
        .verb = arena_dup(&t->arena, str_sub(r->method, 0, FEW_NAME_MAX)),
        .reason = arena_dup(&t->arena, str_sub(r->reason, 0, FEW_NAME_MAX)),
        .pool = arena_dup(&t->arena, str_sub(r->pool, 0, SAMPLE_TEXT_MAX)),
        .site = arena_dup(&t->arena, str_sub(r->site, 0, SAMPLE_TEXT_MAX)),
        .status = r->status,
        .substatus = r->substatus,
        .time_taken_ms = r->time_taken_ms,
    };
}

void tally_trace_cause(struct tally *t, struct str module, struct str event)
{
    struct model_trace *row = &t->traces[t->trace_n - 1].t;

    row->module = arena_dup(&t->arena, str_sub(module, 0, FEW_NAME_MAX));
    row->event = arena_dup(&t->arena, str_sub(event, 0, FEW_NAME_MAX));
}
