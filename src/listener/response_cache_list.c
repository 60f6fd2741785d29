/* What is in the response cache, for statistics and for the administrator. */
#include "base/buf.h"
#include "listener/response_cache_entry.h"
#include "listener/response_cache_table.h"
#include "base/poison.h"

enum { LIST_BYTES_MAX = 1 << 20 };

void response_cache_stats(struct response_cache *c, struct response_cache_stats *ret)
{
    *ret = (struct response_cache_stats){0};
    for (unsigned i = 0; i < c->n_threads; i++) {
        ret->hits += atomic_load_explicit(&c->slots[i].hits, memory_order_relaxed);
        ret->misses += atomic_load_explicit(&c->slots[i].misses, memory_order_relaxed);
    }
    pthread_mutex_lock(&c->lock);
    ret->stored = c->stored;
    memcpy(ret->refused, c->refused, sizeof(ret->refused));
    ret->flushed = c->flushed;
    ret->expired = c->expired;
    ret->unused = c->unused;
    ret->evicted = c->evicted;
    ret->entries = c->n_entries;
    ret->bytes = c->live_bytes;
    ret->files = c->live_files;
    ret->pending = c->quiescence.n_pending;
    ret->max_bytes = c->limits.max_bytes;
    pthread_mutex_unlock(&c->lock);
}

/* What is not plain in a URL is escaped, whatever the client had sent: the text can be shown, and
 * names the entry to response_cache_flush_url. */
static void put_path(struct buf *b, struct str path)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        if (c > 0x20 && c < 0x7f && !strchr("%?#\\\"<>", c)) {
            buf_char(b, (char)c);
            continue;
        }
        buf_char(b, '%');
        buf_char(b, digits[c >> 4]);
        buf_char(b, digits[c & 15]);
    }
}

static json_t *entry_url(const struct cached_response *r)
{
    struct str host = cached_host(r);
    _cleanup_buf_ struct buf b;

    buf_init(&b, 16384); /* three times the longest path, and a host */
    buf_str(&b, r->tls ? STR("https://") : STR("http://"));
    buf_str(&b, host.n ? host : STR("*"));
    if (r->port != (r->tls ? 443 : 80))
        buf_printf(&b, ":%u", r->port);
    put_path(&b, cached_path(r));
    return json_stringn(b.p, b.n);
}

static json_t *entry_json(const struct cached_response *r, uint64_t now_ms)
{
    uint64_t used = atomic_load_explicit(&r->last_used_s, memory_order_relaxed);
    uint64_t idle = used < now_ms / 1000 ? now_ms / 1000 - used : 0;
    json_t *j = json_object();

    json_object_set_new(j, "url", entry_url(r));
    json_object_set_new(j, "site", json_integer(r->site));
    json_object_set_new(j, "status", json_integer(r->status));
    json_object_set_new(j, "bytes", json_integer((json_int_t)r->body_len));
    json_object_set_new(j, "inMemory", json_boolean(r->in_memory));
    json_object_set_new(j, "idle_s", json_integer((json_int_t)idle));
    if (r->expires_ms != UINT64_MAX) {
        uint64_t left = r->expires_ms > now_ms ? r->expires_ms - now_ms : 0;
        json_object_set_new(j, "expires_s", json_integer((json_int_t)(left / 1000)));
    }
    if (r->coding != CODING_ANY)
        json_object_set_new(j, "varies", json_true());
    return j;
}

json_t *response_cache_list(struct response_cache *c, size_t max, uint64_t now_ms)
{
    struct response_cache_stats stats;
    json_t *j = json_object(), *entries = json_array();
    size_t bytes = 0; /* URLs are as long as clients like */

    response_cache_stats(c, &stats);
    pthread_mutex_lock(&c->lock);
    for (struct cached_response *r = c->newest; r && max && bytes < LIST_BYTES_MAX;
         r = r->older, max--) {
        json_t *entry = entry_json(r, now_ms);
        bytes += json_string_length(json_object_get(entry, "url"));
        json_array_append_new(entries, entry);
    }
    pthread_mutex_unlock(&c->lock);
    json_object_set_new(j, "bytes", json_integer((json_int_t)stats.bytes));
    json_object_set_new(j, "maxBytes", json_integer((json_int_t)stats.max_bytes));
    json_object_set_new(j, "files", json_integer((json_int_t)stats.files));
    json_object_set_new(j, "hits", json_integer((json_int_t)stats.hits));
    json_object_set_new(j, "misses", json_integer((json_int_t)stats.misses));
    json_object_set_new(j, "count", json_integer((json_int_t)stats.entries));
    json_object_set_new(j, "entries", entries);
    return j;
}
