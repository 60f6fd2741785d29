/* The model's figures about time-taken, and its URLs. */
#include <stdlib.h>

#include "base/alloc.h"
#include "diagnose/model_parts.h"
#include "base/poison.h"

enum {
    SLOW_COUNT_MIN = 5, /* requests that make a URL's percentiles worth a ranking */
    URLS_KEPT = 1000,   /* of the model's list */
    SLOWER_KEPT = 100,
};

/* ---- latency ---- */

static const double shares[] = {0.50, 0.90, 0.95, 0.99};

static void set_percentiles(struct model_latency *l, const size_t *cell, unsigned bits)
{
    uint64_t *value[] = {&l->p50_ms, &l->p90_ms, &l->p95_ms, &l->p99_ms};
    uint64_t *error[] = {&l->p50_ms_error, &l->p90_ms_error, &l->p95_ms_error, &l->p99_ms_error};

    for (size_t i = 0; i < ARRAY_LEN(shares); i++) {
        *value[i] = hist_value(cell[i], bits, error[i]);
        if (*value[i] > l->max_ms) /* the cell's middle may lie above all that is in it */
            *value[i] = l->max_ms;
    }
}

void build_latency(struct build *b)
{
    const struct tally *t = b->t;
    size_t cell[ARRAY_LEN(shares)];

    b->m->latency = (struct model_latency){.count = t->ms_count, .max_ms = t->ms_max};
    if (t->ms_count == 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(shares); i++)
        cell[i] = hist_quantile64(t->ms_cells, ARRAY_LEN(t->ms_cells), t->ms_count, shares[i]);
    set_percentiles(&b->m->latency, cell, MS_BITS);
}

static void url_latency(struct model_latency *l, const struct url_row *u)
{
    size_t cell[ARRAY_LEN(shares)];

    *l = (struct model_latency){.max_ms = u->ms_max};
    for (size_t i = 0; i < ARRAY_LEN(u->cells); i++)
        l->count += u->cells[i];
    if (l->count == 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(shares); i++)
        cell[i] = hist_quantile32(u->cells, ARRAY_LEN(u->cells), l->count, shares[i]);
    set_percentiles(l, cell, URL_MS_BITS);
}

static int url_by_count(const void *pa, const void *pb)
{
    const struct model_url *a = pa, *b = pb;

    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return str_cmp(a->url, b->url);
}

static int url_by_latency(const void *pa, const void *pb)
{
    const struct model_url *a = *(struct model_url *const *)pa, *b = *(struct model_url *const *)pb;

    if (a->latency.p95_ms != b->latency.p95_ms)
        return a->latency.p95_ms < b->latency.p95_ms ? 1 : -1;
    return url_by_count(a, b);
}

struct slower_list {
    struct model_slower *at;
    size_t n, cap;
};

static int slower_by_cost(const void *pa, const void *pb)
{
    const struct model_slower *a = pa, *b = pb;

    if (a->change.added_ms != b->change.added_ms)
        return a->change.added_ms < b->change.added_ms ? 1 : -1;
    return str_cmp(a->url, b->url);
}

/* Whether a URL became slower; those that did go into the list. */
static enum pace_verdict url_pace(struct build *b, struct slower_list *list,
                                  const struct model_url *url, const struct url_row *row)
{
    struct pace_change change;

    if (row->pace.number == 0)
        return PACE_UNKNOWN;
    struct pace_place at = paces_place(&b->t->paces, &row->pace);
    enum pace_verdict verdict =
        pace_judge(paces_get(&b->t->paces, &row->pace), &at, row->ms_max, &change);

    b->m->paces_judged += verdict != PACE_UNKNOWN;
    if (verdict == PACE_SLOWER) {
        list->at = xgrow(list->at, list->n, &list->cap, sizeof(*list->at));
        list->at[list->n++] = (struct model_slower){url->url, change};
    }
    return verdict;
}

static void keep_slower(struct build *b, struct slower_list *list)
{
    struct model *m = b->m;

    if (list->n > 1)
        qsort(list->at, list->n, sizeof(*list->at), slower_by_cost);
    m->slower_n = list->n < SLOWER_KEPT ? list->n : SLOWER_KEPT;
    m->slower = build_make(b, m->slower_n, sizeof(*m->slower));
    for (size_t i = 0; i < m->slower_n; i++) {
        m->slower[i] = list->at[i];
        m->slower[i].url = build_own(b, list->at[i].url);
    }
    m->paces_forgotten = b->t->paces.has_forgotten;
    free(list->at);
}

/* All URLs for a moment, to rank them; the arena gets those that stay. */
void build_urls(struct build *b)
{
    const struct table *urls = &b->t->urls;
    struct model_url *all = malloc((urls->n ? urls->n : 1) * sizeof(*all));
    struct model_url **slow = malloc((urls->n ? urls->n : 1) * sizeof(struct model_url *));
    struct model *m = b->m;
    struct slower_list slower = {0};
    size_t n = 0, slow_n = 0;

    INVARIANT(all && slow);
    for (uint32_t i = 0; i < urls->n; i++) {
        const struct url_row *u = table_row(urls, i);
        if (u->weight == u->httperr)
            continue;
        all[n] = (struct model_url){.url = table_name(urls, i),
                                    .count = u->weight - u->httperr,
                                    .error = u->delta,
                                    .errors_4xx = u->errors_4xx,
                                    .errors_5xx = u->errors_5xx};
        url_latency(&all[n].latency, u);
        all[n].pace = url_pace(b, &slower, &all[n], u);
        n++;
    }
    qsort(all, n, sizeof(*all), url_by_count);
    for (size_t i = 0; i < n; i++)
        if (all[i].latency.count >= SLOW_COUNT_MIN || n <= b->top)
            slow[slow_n++] = &all[i];
    if (slow_n > 1)
        qsort(slow, slow_n, sizeof(struct model_url *), url_by_latency);
    size_t kept = n < URLS_KEPT ? n : URLS_KEPT, slowest = slow_n < b->top ? slow_n : b->top;
    struct model_url **ranked = build_make(b, slowest, sizeof(struct model_url *));

    m->urls = build_make(b, kept, sizeof(*m->urls));
    m->url_n = kept;
    for (size_t i = 0; i < kept; i++) {
        m->urls[i] = all[i];
        m->urls[i].url = build_own(b, all[i].url);
    }
    for (size_t i = 0; i < slowest; i++) {
        size_t at = (size_t)(slow[i] - all);
        ranked[i] = at < kept ? &m->urls[at] : build_make(b, 1, sizeof(**ranked));
        if (at >= kept) {
            *ranked[i] = *slow[i];
            ranked[i]->url = build_own(b, slow[i]->url);
        }
    }
    m->slowest = ranked;
    m->slowest_n = slowest;
    m->urls_distinct = build_distinct(urls, &b->t->urls_distinct, &m->urls_distinct_error);
    keep_slower(b, &slower);
    free(slow);
    free(all);
}
