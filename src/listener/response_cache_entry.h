/* One entry of the response cache: how it is built and compared. For response_cache.c alone. */
#ifndef CANDOR_LISTENER_RESPONSE_CACHE_ENTRY_H
#define CANDOR_LISTENER_RESPONSE_CACHE_ENTRY_H

#include "listener/response_cache.h"

/* An entry outside any table, with one reference; coding is what it is for. It counts as cost bytes
 * of memory. CACHE_OK, or CACHE_ROOM, CACHE_FILES if the system has no more. */
enum response_cache_why cached_response_new(const struct response_cache_offer *offer,
                                            const struct response_cache_facts *facts,
                                            uint8_t coding, struct cached_response **ret);
/* Frees the memory and closes the file. */
void cached_response_free(struct cached_response *r);

static inline struct str cached_host(const struct cached_response *r)
{
    return str_n(r->names, r->host_len);
}

static inline struct str cached_path(const struct cached_response *r)
{
    return str_n(r->names + r->host_len, r->path_len);
}

static inline struct str cached_raw(const struct cached_response *r)
{
    return r->raw_len ? str_n(r->names + r->host_len + r->path_len, r->raw_len) : cached_path(r);
}

/* The same key; generation, time and coding apart. */
static inline bool cached_key_is(const struct cached_response *r, const struct response_cache_key *k)
{
    struct str host = cached_host(r), path = cached_path(r);

    if (r->site != k->site || r->port != k->port || r->tls != k->tls || path.n != k->path.n ||
        host.n != k->host.n || memcmp(path.p, k->path.p, path.n) != 0)
        return false;
    if (memcmp(host.p, k->host.p, host.n) != 0 && !str_ieq(host, k->host))
        return false;
    return r->raw_len == 0 && k->raw.p == k->path.p ? k->raw.n == k->path.n
                                                    : str_eq(cached_raw(r), k->raw);
}

#endif
