/* Of the tally: the ways in which requests end, sites, and what the ends of HTTPERR lines say. */
#include <immintrin.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "diagnose/tally_parts.h"
#include "base/poison.h"

enum {
    SITES_MAX = 2000,
    KEY_SPANS = 256,
    RARE_KEY_SPANS = 16, /* of keys past the first few hundred */
    COMMON_KEYS = 200,
    REASON_TEXT_MAX = 64,
    KEY_DISTINCT_BITS = 11, /* the bound is 9.2 % */
};

/* ---- keys ---- */

void key_free(struct key_row *k)
{
    free(k->reason);
    distinct_fini(&k->clients);
    few_free(k->users);
    few_free(k->sites);
    few_free(k->queues);
    spans_fini(&k->slots);
    samples_fini(&k->samples);
    free(k);
}

static bool key_is(const struct key_row *k, enum key_kind kind, uint32_t status, uint32_t substatus,
                   uint64_t win32, struct str reason)
{
    return k->status == status && k->substatus == substatus && k->win32 == win32 &&
           k->kind == kind &&
           (kind != KEY_HTTPERR || str_eq(str_n(k->reason, k->reason_n), reason));
}

static struct key_row *key_new(struct tally *t, uint64_t hash, enum key_kind kind)
{
    struct key_row *k = xcalloc(1, sizeof(*k));

    k->hash = hash;
    k->id = (uint32_t)t->key_n;
    k->kind = kind;
    k->first_s = k->last_s = RECORD_NO_TIME;
    k->samples.max = t->key_n < COMMON_KEYS ? KEY_SAMPLES : 1;
    distinct_init(&k->clients, 128, KEY_DISTINCT_BITS);
    spans_init(&k->slots, t->key_n < COMMON_KEYS ? KEY_SPANS : RARE_KEY_SPANS);
    t->keys = xgrow(t->keys, t->key_n, &t->key_cap, sizeof(struct key_row *));
    t->keys[t->key_n++] = k;
    index_put(&t->key_index, hash, k->id);
    return k;
}

static uint64_t key_hash(const struct tally *t, enum key_kind kind, uint32_t status,
                         uint32_t substatus, uint64_t win32, struct str reason)
{
    uint64_t h = ((uint64_t)kind << 62 ^ (uint64_t)status << 42 ^ (uint64_t)substatus << 12) *
                     0x9e3779b97f4a7c15u ^
                 win32 * 0xd1b54a32d192ed03u;

    if (kind == KEY_HTTPERR)
        h ^= quick_hash(t->key, reason);
    return h ^ h >> 29;
}

struct key_row *tally_key(struct tally *t, enum key_kind kind, uint32_t status, uint32_t substatus,
                          uint64_t win32, struct str reason)
{
    reason = str_sub(reason, 0, REASON_TEXT_MAX);
    uint64_t hash = key_hash(t, kind, status, substatus, win32, reason);
    struct key_row **cell = &t->key_cache[hash % ARRAY_LEN(t->key_cache)];

    if (*cell && key_is(*cell, kind, status, substatus, win32, reason))
        return *cell;
    uint32_t row;

    /* Two keys of one hash are possible in theory: the next hash is as good as any. */
    while ((row = index_at(&t->key_index, hash)->row) != INDEX_FREE &&
           !key_is(t->keys[row], kind, status, substatus, win32, reason))
        hash++;
    if (row != INDEX_FREE)
        return *cell = t->keys[row];
    if (t->key_n >= t->sizes.keys && (substatus || win32 || reason.n > 1)) {
        /* Too many to tell apart: only the status remains. */
        return tally_key(t, kind, status, 0, 0, kind == KEY_HTTPERR ? STR("*") : STR_NULL);
    }
    struct key_row *k = key_new(t, hash, kind);

    k->status = status;
    k->substatus = substatus;
    k->win32 = win32;
    k->reason = kind == KEY_HTTPERR ? str_dup_z(reason) : NULL;
    k->reason_n = k->reason ? (uint32_t)reason.n : 0;
    return *cell = k;
}

/* ---- sites ---- */

struct site_row *tally_site(struct tally *t, struct str name)
{
    uint64_t hash = quick_hash(t->key, name);

    if (t->last_site && t->last_site->hash == hash)
        return t->last_site;
    for (size_t i = 0; i < t->site_n; i++)
        if (t->sites[i]->hash == hash)
            return t->last_site = t->sites[i];
    if (t->site_n >= SITES_MAX)
        return t->last_site = t->sites[t->site_n - 1];
    struct site_row *s = xcalloc(1, sizeof(*s));

    s->hash = hash;
    s->name = str_dup_z(str_sub(name, 0, TABLE_NAME_MAX));
    t->sites = xgrow(t->sites, t->site_n, &t->site_cap, sizeof(struct site_row *));
    t->sites[t->site_n++] = s;
    return t->last_site = s;
}

/* ---- outcomes ---- */

static const unsigned char kept[2 * OUTCOME_TEXT] = {[OUTCOME_TEXT... 2 * OUTCOME_TEXT - 1] = 0xFF};

struct outcome_text {
    __m128i part[OUTCOME_TEXT / 16];
};

/* The last n bytes before end, zeros before them. */
static inline struct outcome_text outcome_text(const char *end, size_t n)
{
    struct outcome_text text;

    for (size_t i = 0; i < ARRAY_LEN(text.part); i++)
        text.part[i] = _mm_and_si128(
            _mm_loadu_si128((const __m128i *)(const void *)(end - OUTCOME_TEXT + 16 * i)),
            _mm_loadu_si128((const __m128i *)(const void *)(kept + n + 16 * i)));
    return text;
}

static inline uint64_t low_half(__m128i v)
{
    return (uint64_t)_mm_cvtsi128_si64(v);
}

static inline uint64_t high_half(__m128i v)
{
    return low_half(_mm_unpackhi_epi64(v, v));
}

static inline uint64_t outcome_hash(struct quick_key k, const struct outcome_text *text)
{
    const __m128i *v = text->part;
    __m128i x = _mm_xor_si128(v[0], _mm_shuffle_epi32(v[3], _MM_SHUFFLE(1, 0, 3, 2)));
    __m128i y = _mm_xor_si128(v[1], _mm_shuffle_epi32(v[2], _MM_SHUFFLE(1, 0, 3, 2)));

    return quick_fold(low_half(x) ^ k.a, high_half(x) ^ k.b) +
           quick_fold(low_half(y) ^ k.c, high_half(y) ^ k.d);
}

static inline bool outcome_is(const struct outcome *o, const struct outcome_text *text)
{
    __m128i same = _mm_set1_epi8(-1);

    for (size_t i = 0; i < ARRAY_LEN(text->part); i++)
        same = _mm_and_si128(
            same,
            _mm_cmpeq_epi8(text->part[i],
                           _mm_loadu_si128((const __m128i *)(const void *)(o->text + 16 * i))));
    return _mm_movemask_epi8(same) == 0xFFFF;
}

/* A record without site has its file's. */
static inline uint64_t outcome_tag(const struct tally *t, const struct record *r)
{
    return (t->unit >> 32) << 8 | r->outcome_n;
}

static void outcome_settle(struct outcome *o)
{
    if (o->count == 0)
        return;
    struct str site = str_z(o->site->name);

    o->site->httperr += o->count;
    if (site.n)
        few_add(&o->key->sites, o->site->hash, site, o->count, 0);
    if (o->pool_n)
        few_add(&o->key->queues, o->pool_hash, str_n(o->text + o->pool_at, o->pool_n), o->count, 0);
    o->count = 0;
}

/* False: all sites there may be have rows, and this one has not. */
static bool outcome_make(struct tally *t, struct outcome *o, const struct record *r)
{
    struct site_row *site = tally_site(t, r->site);
    const char *end = r->text.p + r->text.n;

    outcome_settle(o);
    o->tag = 0;
    if (site->hash != quick_hash(t->key, r->site))
        return false;
    memset(o->text, 0, sizeof(o->text));
    memcpy(o->text + OUTCOME_TEXT - r->outcome_n, end - r->outcome_n, r->outcome_n);
    o->key = tally_key(t, KEY_HTTPERR, r->status, 0, 0, r->reason);
    o->site = site;
    o->pool_n = (uint32_t)r->pool.n;
    o->pool_at = r->pool.n ? (uint32_t)(OUTCOME_TEXT - (size_t)(end - r->pool.p)) : 0;
    o->pool_hash = quick_hash(t->key, r->pool);
    o->tag = outcome_tag(t, r);
    return true;
}

struct outcome *outcome_at(struct tally *t, const struct record *r)
{
    if (UNLIKELY(r->outcome_n - 1 >= OUTCOME_TEXT || r->text.n < OUTCOME_TEXT))
        return NULL;
    struct outcome_text text = outcome_text(r->text.p + r->text.n, r->outcome_n);

    if (UNLIKELY(!t->outcomes))
        t->outcomes = xcalloc(OUTCOMES, sizeof(*t->outcomes));
    struct outcome *o = &t->outcomes[outcome_hash(t->key, &text) % OUTCOMES & ~(uint64_t)1];
    uint64_t tag = outcome_tag(t, r);

    /* In sets of two: few outcomes make up most of a log, and none of them should keep another
     * out. */
    if (LIKELY(o[0].tag == tag && outcome_is(&o[0], &text)))
        return &o[0];
    if (LIKELY(o[1].tag == tag && outcome_is(&o[1], &text)))
        return &o[1];
    o += o[1].count < o[0].count;
    return outcome_make(t, o, r) ? o : NULL;
}

void outcomes_settle(struct tally *t)
{
    for (size_t i = 0; t->outcomes && i < OUTCOMES; i++)
        outcome_settle(&t->outcomes[i]);
}
