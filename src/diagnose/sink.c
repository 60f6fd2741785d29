#include "diagnose/sink.h"

#include <stdlib.h>

#include "base/poison.h"

void unit_stats_init(struct unit_stats *s)
{
    *s = (struct unit_stats){
        .first_s = RECORD_NO_TIME, .last_s = RECORD_NO_TIME, .previous_s = RECORD_NO_TIME};
}

void unit_stats_fini(struct unit_stats *s)
{
    for (uint32_t i = 0; i < s->misfit_n; i++)
        free(s->misfits[i].text);
    free(s->fields);
    s->fields = NULL;
    s->misfit_n = 0;
}

void sink_flush(struct sink *s)
{
    if (s->tally)
        tally_flush(s->tally);
}

static void went_backward(struct unit_stats *u, const struct record *r)
{
    int64_t step_s = u->previous_s - r->time_s;

    if (r->kind == LOG_HAR || r->kind == LOG_FREB)
        return; /* their entries are in an order of their own */
    u->backward++;
    u->backward_most_s = step_s > u->backward_most_s ? step_s : u->backward_most_s;
}

void sink_record(struct sink *s, const struct record *r, uint64_t line)
{
    *sink_slot(s) = *r;
    sink_slot_record(s, line);
}

/* Logs that went through a forum or a chat have links where addresses were:
 * "[192.0.2.1](http://192.0.2.1)". */
static struct str without_link(struct str s)
{
    size_t end = str_find_char(s, ']');

    if (end == SIZE_MAX || end + 1 >= s.n || s.p[end + 1] != '(' || s.p[s.n - 1] != ')')
        return s;
    return str_sub(s, 1, end);
}

void sink_slot_record(struct sink *s, uint64_t line)
{
    struct record *r = sink_slot(s);
    struct unit_stats *u = s->stats;

    u->records++;
    if (UNLIKELY(u->kind == LOG_UNKNOWN))
        u->kind = r->kind;
    /* Most have the time of the one before. */
    if (r->time_s != u->previous_s && r->time_s != RECORD_NO_TIME) {
        if (r->time_s < u->first_s || u->first_s == RECORD_NO_TIME)
            u->first_s = r->time_s;
        if (r->time_s > u->last_s)
            u->last_s = r->time_s;
        if (UNLIKELY(r->time_s + BACKWARD_FROM_S < u->previous_s))
            went_backward(u, r);
        u->previous_s = r->time_s;
    }
    if (r->site.n == 0)
        r->site = s->site;
    if (!s->tally)
        return;
    if (UNLIKELY(r->client.n && r->client.p[0] == '['))
        r->client = without_link(r->client);
    if (s->filter && s->filter->is_active) {
        if (!filter_matches(s->filter, r))
            return;
        if (s->filter->lists)
            tally_list(s->tally, r, line);
    }
    tally_push(s->tally, line);
}

void sink_misfit(struct sink *s, struct str text, uint64_t line)
{
    struct unit_stats *u = s->stats;

    u->not_understood++;
    if (u->misfit_n == MISFITS_KEPT)
        return;
    text = str_sub(text, 0, MISFIT_TEXT_MAX);
    u->misfits[u->misfit_n].line = line;
    u->misfits[u->misfit_n].n = (uint32_t)text.n;
    u->misfits[u->misfit_n++].text = str_dup_z(text);
}
