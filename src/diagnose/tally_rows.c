/* Of the tally: URLs and clients, each with a row of counters. */
#include <stdlib.h>

#include "base/alloc.h"
#include "diagnose/tally_parts.h"
#include "diagnose/text.h"
#include "base/poison.h"

void recent_replace(struct pairs *pairs, uint32_t *recent, size_t n, uint32_t id, uint32_t key)
{
    uint32_t *keys = recent, *counts = recent + n;
    size_t least = 0;

    for (size_t i = 1; i < n; i++)
        if (counts[i] < counts[least])
            least = i;
    if (counts[least] == 1)
        pairs_note(pairs, pair_key(keys[least] - 1, id));
    else if (counts[least])
        pairs_add(pairs, pair_key(keys[least] - 1, id), counts[least]);
    keys[least] = key + 1;
    counts[least] = 1;
}

static void recent_settle(struct pairs *pairs, uint32_t *recent, size_t n, uint32_t id)
{
    for (size_t i = 0; i < n; i++)
        if (recent[n + i])
            pairs_add(pairs, pair_key(recent[i] - 1, id), recent[n + i]);
    memset(recent, 0, 2 * n * sizeof(*recent));
}

static void urls_settle(struct tally *t)
{
    pairs_drain(&t->key_urls);
    for (uint32_t i = 0; i < t->urls.n; i++) {
        struct url_row *row = table_row(&t->urls, i);
        recent_settle(&t->key_urls, row->recent, RECENT_OF_URL, i);
    }
}

static void clients_settle(struct tally *t)
{
    pairs_drain(&t->key_clients);
    for (uint32_t i = 0; i < t->clients.n; i++) {
        struct client_row *row = table_row(&t->clients, i);
        recent_settle(&t->key_clients, row->recent, RECENT_OF_CLIENT, i);
    }
}

void rows_settle(struct tally *t)
{
    urls_settle(t);
    clients_settle(t);
}

/* Rows have other numbers now: those that were looked up are no good any more. */
static void forget_rows(struct tally *t)
{
    for (size_t i = 0; i < TALLY_AHEAD; i++)
        t->pending[i].client_row = t->pending[i].url_row = INDEX_FREE;
}

/* ---- URLs ---- */

static void url_purge(struct tally *t)
{
    uint32_t n;

    urls_settle(t);
    uint32_t *map = table_purge(&t->urls, &n);

    pairs_renumber(&t->key_urls, map, n);
    paces_renumber(&t->paces, map);
    memset(t->url_cache, 0, sizeof(*t->url_cache));
    forget_rows(t);
    free(map);
}

uint32_t url_find(struct tally *t, uint64_t raw, struct str url)
{
    char folded[TABLE_NAME_MAX];
    struct str name = str_n(folded, text_fold_url(url, folded, sizeof(folded)));
    uint64_t hash = hash_ibytes(name.p, name.n);
    uint32_t row = table_find(&t->urls, hash);

    if (row == INDEX_FREE) {
        if (table_is_full(&t->urls))
            url_purge(t);
        row = table_put(&t->urls, hash, name);
        distinct_add(&t->urls_distinct, hash);
    }
    struct url_set *set = cache_set(t, raw);

    set->raw[set->next] = raw;
    set->row[set->next] = row;
    set->next = (set->next + 1) % ARRAY_LEN(set->raw);
    return row;
}

/* ---- clients ---- */

static void client_purge(struct tally *t)
{
    uint32_t n;

    clients_settle(t);
    uint32_t *map = table_purge(&t->clients, &n);

    pairs_renumber(&t->key_clients, map, n);
    forget_rows(t);
    free(map);
}

uint32_t client_new(struct tally *t, const struct pending *p)
{
    uint32_t row = table_find(&t->clients, p->client_hash);

    if (row != INDEX_FREE) /* made since it was looked up */
        return row;
    if (table_is_full(&t->clients))
        client_purge(t);
    distinct_add(&t->clients_distinct, p->client_hash);
    return table_put(&t->clients, p->client_hash, p->r.client);
}
