/* Adding the threads' tallies up. */
#include <stdlib.h>

#include "base/alloc.h"
#include "diagnose/tally.h"
#include "base/hash.h"
#include "base/poison.h"

static void see(int64_t *first_s, int64_t *last_s, int64_t b_first, int64_t b_last)
{
    if (b_first == RECORD_NO_TIME)
        return;
    if (*first_s == RECORD_NO_TIME || b_first < *first_s)
        *first_s = b_first;
    if (b_last > *last_s)
        *last_s = b_last;
}

static void merge_samples(struct tally_samples *a, const struct tally_samples *b)
{
    for (uint32_t i = 0; i < b->n; i++)
        samples_add(a, &b->at[i], str_n(b->at[i].text, b->at[i].n));
}

static void merge_key(struct key_row *a, const struct key_row *b)
{
    a->count += b->count;
    see(&a->first_s, &a->last_s, b->first_s, b->last_s);
    a->ms_sum += b->ms_sum;
    if (b->ms_max > a->ms_max)
        a->ms_max = b->ms_max;
    distinct_merge(&a->clients, &b->clients);
    few_merge(&a->users, b->users);
    few_merge(&a->sites, b->sites);
    few_merge(&a->queues, b->queues);
    spans_merge(&a->slots, &b->slots);
    merge_samples(&a->samples, &b->samples);
}

/* Key numbers of b as they are in a. */
static uint32_t *merge_keys(struct tally *a, const struct tally *b)
{
    uint32_t *map = xcalloc(b->key_n ? b->key_n : 1, sizeof(*map));

    for (size_t i = 0; i < b->key_n; i++) {
        const struct key_row *from = b->keys[i];
        struct key_row *to = tally_key(a, from->kind, from->status, from->substatus, from->win32,
                                       str_n(from->reason, from->reason_n));
        merge_key(to, from);
        map[i] = to->id;
    }
    return map;
}

/* Row numbers of b as they are in a; weight and delta are added here. A name that only one of them
 * knows may have been forgotten by the other. */
static uint32_t *merge_table(struct table *a, const struct table *b)
{
    uint32_t *map = xcalloc(b->n ? b->n : 1, sizeof(*map)), known = a->n;
    bool *met = xcalloc(known ? known : 1, sizeof(*met));

    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t row = table_find(a, b->hashes[i]);
        if (row == INDEX_FREE)
            row = table_put(a, b->hashes[i], table_name(b, i));
        else if (row < known)
            met[row] = true;
        uint64_t *to = table_row(a, row);
        const uint64_t *from = table_row(b, i);
        to[0] += from[0];
        to[1] += from[1];
        map[i] = row;
    }
    for (uint32_t i = 0; i < known; i++)
        if (!met[i])
            ((uint64_t *)table_row(a, i))[1] += b->floor;
    free(met);
    a->floor += b->floor;
    return map;
}

/* Lines are in the paces by then: tally_settle. */
static void merge_pace(struct tally *a, struct url_row *to, uint32_t row, const struct tally *b,
                       const struct pace_open *from)
{
    const struct pace *pace = paces_get(&b->paces, from);
    struct pace_place from_at = paces_place(&b->paces, from);

    if (to->pace.number == 0) {
        paces_new(&a->paces, row, 0, &to->pace);
        *paces_get(&a->paces, &to->pace) = *pace;
        paces_set_place(&a->paces, &to->pace, from_at);
        return;
    }
    struct pace_place at = paces_place(&a->paces, &to->pace);

    pace_merge(paces_get(&a->paces, &to->pace), &at, pace, &from_at);
    paces_set_place(&a->paces, &to->pace, at);
}

static void merge_urls(struct tally *a, const struct tally *b, const uint32_t *map)
{
    for (uint32_t i = 0; i < b->urls.n; i++) {
        struct url_row *to = table_row(&a->urls, map[i]);
        const struct url_row *from = table_row(&b->urls, i);

        to->httperr += from->httperr;
        to->errors_4xx += from->errors_4xx;
        to->errors_5xx += from->errors_5xx;
        if (from->ms_max > to->ms_max)
            to->ms_max = from->ms_max;
        if (from->pace.number)
            merge_pace(a, to, map[i], b, &from->pace);
        for (size_t c = 0; c < ARRAY_LEN(to->cells); c++)
            to->cells[c] += from->cells[c];
    }
}

static void merge_clients(struct tally *a, const struct tally *b, const uint32_t *map)
{
    for (uint32_t i = 0; i < b->clients.n; i++) {
        struct client_row *to = table_row(&a->clients, map[i]);
        const struct client_row *from = table_row(&b->clients, i);

        to->requests += from->requests;
        to->errors_4xx += from->errors_4xx;
        to->errors_5xx += from->errors_5xx;
        to->not_found += from->not_found;
    }
}

static void merge_pairs(struct pairs *a, const struct pairs *b, const uint32_t *keys,
                        const uint32_t *rows)
{
    for (uint32_t i = 0; i < b->cap; i++) {
        const struct pair *from = &b->at[i];
        if (from->key == PAIR_FREE)
            continue;
        struct pair *to = pairs_at(a, pair_key(keys[from->key >> 32], rows[(uint32_t)from->key]));
        uint64_t delta = to->delta + (uint64_t)from->delta;

        to->count += from->count;
        to->delta = (delta < 0xFFFFFFu ? delta : 0xFFFFFFu) & 0xFFFFFFu;
    }
}

static void merge_traces(struct tally *a, const struct tally *b)
{
    for (size_t i = 0; i < b->trace_n && a->trace_n < TRACES_MAX; i++) {
        struct trace_row row = b->traces[i];

        row.t.url = arena_dup(&a->arena, row.t.url);
        row.t.verb = arena_dup(&a->arena, row.t.verb);
        row.t.reason = arena_dup(&a->arena, row.t.reason);
        row.t.pool = arena_dup(&a->arena, row.t.pool);
        row.t.site = arena_dup(&a->arena, row.t.site);
        row.t.module = arena_dup(&a->arena, row.t.module);
        row.t.event = arena_dup(&a->arena, row.t.event);
        a->traces = xgrow(a->traces, a->trace_n, &a->trace_cap, sizeof(*a->traces));
        a->traces[a->trace_n++] = row;
    }
}

static void merge_sites(struct tally *a, const struct tally *b)
{
    for (size_t i = 0; i < b->site_n; i++) {
        const struct site_row *from = b->sites[i];
        struct site_row *to = tally_site(a, str_z(from->name));

        to->count += from->count;
        to->errors_4xx += from->errors_4xx;
        to->errors_5xx += from->errors_5xx;
        to->httperr += from->httperr;
    }
}

void tally_merge(struct tally *a, const struct tally *b)
{
    uint32_t *keys = merge_keys(a, b), *urls = merge_table(&a->urls, &b->urls);
    uint32_t *clients = merge_table(&a->clients, &b->clients);

    merge_urls(a, b, urls);
    a->paces.has_forgotten |= b->paces.has_forgotten;
    merge_clients(a, b, clients);
    merge_pairs(&a->key_urls, &b->key_urls, keys, urls);
    merge_pairs(&a->key_clients, &b->key_clients, keys, clients);
    merge_sites(a, b);
    merge_traces(a, b);
    distinct_merge(&a->clients_distinct, &b->clients_distinct);
    distinct_merge(&a->urls_distinct, &b->urls_distinct);
    spans_merge(&a->timeline, &b->timeline);
    merge_samples(&a->slow, &b->slow);
    merge_samples(&a->listed, &b->listed);
    merge_samples(&a->failures, &b->failures);
    merge_samples(&a->listener, &b->listener);
    for (size_t i = 0; i < ARRAY_LEN(a->by_class); i++)
        a->by_class[i] += b->by_class[i];
    for (size_t i = 0; i < ARRAY_LEN(a->ms_cells); i++)
        a->ms_cells[i] += b->ms_cells[i];
    a->ms_count += b->ms_count;
    if (b->ms_max > a->ms_max)
        a->ms_max = b->ms_max;
    a->requests += b->requests;
    a->httperr_records += b->httperr_records;
    a->ftp_records += b->ftp_records;
    a->bytes_sent += b->bytes_sent;
    a->bytes_received += b->bytes_received;
    a->failure_count += b->failure_count;
    a->listener_count += b->listener_count;
    see(&a->first_s, &a->last_s, b->first_s, b->last_s);
    free(keys);
    free(urls);
    free(clients);
}
