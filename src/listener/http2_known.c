/* Heads that have come before: a page asks for its parts again and again in the same words, and so
 * do clients that poll. The decoded fields of a block are compared as a whole; if they are those of
 * an earlier one, under the same configuration and at the same endpoint, then what they were found
 * to mean then (checked fields, cooked path, site, application) holds again. What may change
 * between two requests of one generation is not kept: pools' states, limits, the cache. */
#include <stdlib.h>

#include "base/hash.h"
#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/http2.h"
#include "listener/thread.h"
#include "base/poison.h"

struct http2_known {
    uint64_t hash;       /* of the block; all else is valid only if it is set */
    uint64_t generation; /* whose views these are */
    struct msg_address local;
    uint16_t bind_port;
    bool is_tls, has_priority, incremental;
    uint8_t urgency;
    uint32_t block_n, text_n;
    const struct site *site;
    const struct application *app;
    uint64_t cache_hash;
    struct url_cooked url; /* views of text */
    struct http1_head head;
    char block[HTTP2_BLOCK_MAX];
    char text[HTTP2_BLOCK_MAX];
};

/* --- a block --- */

bool http2_block_next(const struct http2_block *b, const char **at, struct str *name,
                      struct str *value)
{
    struct http2_field_lengths f;

    if (*at == b->bytes + b->n)
        return false;
    memcpy(&f, *at, sizeof(f));
    *name = str_n(*at + sizeof(f), f.name);
    *value = str_n(name->p + f.name, f.value);
    *at = value->p + f.value;
    return true;
}

/* --- what is kept --- */

static bool is_same(const struct http2_known *k, uint64_t hash, const struct http2 *h,
                    const struct http2_block *b)
{
    const struct connection *c = h->c;

    return k && k->hash == hash && k->generation == c->thread->current->generation->id &&
           k->block_n == b->n && k->bind_port == c->bind_port && k->is_tls == c->is_tls &&
           memcmp(&k->local, &c->local, sizeof(k->local)) == 0 &&
           memcmp(k->block, b->bytes, b->n) == 0;
}

const struct http2_known *http2_known_find(struct http2 *h, const struct http2_block *b)
{
    /* What others have sent is compared only if the hash is the same: the time that it takes
     * tells nothing of it. */
    if (LIKELY(is_same(h->known, h->known_hash, h, b)))
        return h->known;
    uint64_t hash = hash_bytes(b->bytes, b->n);
    const struct http2_known *k = http2_of(h)->known[hash % HTTP2_KNOWN];

    if (!is_same(k, hash, h, b))
        return NULL;
    h->known = k;
    h->known_hash = hash;
    return k;
}

static struct str moved(struct str view, const char *from, const char *to)
{
    return view.p ? str_n(to + (view.p - from), view.n) : view;
}

static void move_url(struct url_cooked *to, const struct url_cooked *url, const char *from,
                     const char *at)
{
    *to = *url;
    to->path = moved(url->path, from, at);
    to->raw_path = moved(url->raw_path, from, at);
    to->query = moved(url->query, from, at);
}

/* What is worth it, and small; and nothing that the client does not want to be kept. */
static bool may_be_kept(const struct http2_block *b, const struct connection *c)
{
    const struct exchange *x = c->x;

    return !(b->flags & NGHTTP2_NV_FLAG_NO_INDEX) && x->body == BODY_NONE && !x->path_copy &&
           !x->head.more && x->url.form == URL_ORIGIN && x->url.host.name.n == 0 &&
           c->in->start == 0 && c->in->end <= HTTP2_BLOCK_MAX;
}

void http2_known_add(struct http2 *h, const struct http2_block *b, const struct connection *c)
{
    struct http2_thread *t = http2_of(h);
    const struct exchange *x = c->x;

    if (!may_be_kept(b, c))
        return;
    uint64_t hash = hash_bytes(b->bytes, b->n);
    struct http2_known **at = &t->known[hash % HTTP2_KNOWN], *k = *at;
    uint64_t *seen = &t->seen[hash % HTTP2_KNOWN];

    if (*seen != hash) {
        *seen = hash; /* the second time it is kept: most come only once */
        return;
    }
    if (!k && !(k = *at = malloc(sizeof(*k))))
        return;
    if (t->lent_for == k)
        t->lent_for = NULL;
    k->hash = hash;
    k->generation = x->gen->generation->id;
    k->local = c->local;
    k->bind_port = c->bind_port;
    k->is_tls = c->is_tls;
    k->has_priority = h->has_priority;
    k->incremental = h->incremental;
    k->urgency = h->urgency;
    k->site = x->site;
    k->app = x->app;
    k->cache_hash = cached_answer_hash(c);
    k->block_n = b->n;
    memcpy(k->block, b->bytes, b->n);
    k->text_n = c->in->end;
    memcpy(k->text, c->in->data, c->in->end);
    move_url(&k->url, &x->url, c->in->data, k->text);
    http1_head_copy(&k->head, &x->head);
}

void http2_known_priority(struct http2 *h, const struct http2_known *k)
{
    h->has_priority = k->has_priority;
    h->incremental = k->incremental;
    h->urgency = k->urgency;
}

void http2_known_fill(struct http2 *h, const struct http2_known *k, struct connection *c)
{
    struct exchange *x = c->x;

    http2_known_priority(h, k);
    memcpy(c->in->data, k->text, k->text_n);
    c->in->end = k->text_n;
    http1_head_copy(&x->head, &k->head);
    move_url(&x->url, &k->url, k->text, c->in->data);
    x->body = BODY_NONE;
    x->site = k->site;
    x->app = k->app;
    x->cache_hash = k->cache_hash;
}

void http2_known_free(struct http2_thread *t)
{
    for (unsigned i = 0; i < HTTP2_KNOWN; i++)
        free(t->known[i]);
}
