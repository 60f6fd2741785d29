/* The response cache (HTTP.sys's kernel cache): whole answers that a worker has allowed to be given
 * again, shared by all event threads. A hit takes no lock, makes no atomic read-modify-write and no
 * system call; whoever stores, flushes or scavenges holds one mutex. What may enter and who may be
 * answered from it is in response_cache_rules.h. */
#ifndef CANDOR_LISTENER_RESPONSE_CACHE_H
#define CANDOR_LISTENER_RESPONSE_CACHE_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/quiescence.h"
#include "base/str.h"
#include "http/conditions.h"
#include "http/date.h"
#include "listener/response_cache_rules.h"
#include "queue/message.h"

struct response_cache;

/* Zero means the default of each, which is that of the registry value named. */
struct response_cache_limits {
    uint64_t max_bytes;       /* UriMaxCacheMegabyteCount; default: from the machine's memory */
    uint32_t max_entry_bytes; /* UriMaxUriBytes: body and head */
    uint32_t scavenge_s;      /* UriScavengerPeriod */
    uint32_t max_files;       /* open descriptors of bodies; default: an eighth of RLIMIT_NOFILE */
};

enum {
    RESPONSE_CACHE_HEADERS_MAX = 1024,   /* header lines of a worker; HTTP.sys's bound */
    RESPONSE_CACHE_PATH_MAX = 4096,      /* longer paths are not kept */
    RESPONSE_CACHE_VARIANTS_MAX = 16,    /* of one key, by Accept-Encoding */
    CACHED_HEAD_MAX = RESPONSE_CACHE_HEADERS_MAX + MESSAGE_REASON_MAX + 256,
};

/* What a request asks for. Views are the caller's. */
struct response_cache_key {
    struct str host; /* as sent, without port, in any letter case; may be empty */
    struct str path; /* cooked */
    struct str raw;  /* the path as sent: an unusual spelling is for the filters to judge first */
    struct str accept, accept_encoding; /* p NULL: absent */
    uint64_t hash; /* response_cache_key_hash of the others, if known; else 0 */
    uint64_t generation;
    uint32_t site;
    uint16_t port; /* of the binding */
    bool tls;
};

/* An entry. Immutable once it can be found but for its last line. Valid until the finding thread's
 * next quiescent point (response_cache_offline), or as long as a reference is held. */
struct cached_response {
    /* Of the lookup. */
    _Alignas(64) _Atomic(struct cached_response *) next[2]; /* in the table of that parity */
    uint64_t hash, generation, expires_ms; /* UINT64_MAX: never */
    uint32_t site;
    uint16_t port;
    uint8_t tls;
    uint8_t coding;          /* set of codings it is for, or CODING_ANY: response_cache_rules.h */
    uint16_t host_len, path_len, raw_len; /* raw_len 0: the same as the path */
    uint64_t serial;         /* no two entries have the same, nor 0 */
    const char *names;       /* host in lower case, path, raw path */
    uint64_t type_hash;      /* of the media type that Accept must allow; 0: any */

    /* Of the answer. */
    uint16_t status, substatus;
    uint32_t win32;
    bool no_log;             /* MSGR_NO_LOG */
    bool may_be_304;
    uint16_t date_at, date_at_304, head_len, head_len_304;
    const char *wire;        /* status line to empty line with room for the date, then the body */
    const char *wire_304;
    struct str lines, lines_304; /* header lines as the worker wrote them, for HTTP/2 and the log */
    struct str media_type;
    uint64_t body_len;
    bool in_memory;          /* the body is at wire + head_len; otherwise: */
    int fd;                  /* -1, or the file that has it */
    uint64_t file_offset;
    struct http_validators validators;
    struct str last_modified; /* as sent */

    /* Of the writers. */
    uint64_t worker, stored_ms, cost;
    struct response_cache *cache;
    struct quiescence_item retired;
    struct cached_response *newer, *older;          /* all, in the order of storing */
    struct cached_response *path_next, **path_prev; /* same bucket by site and path */

    /* Written while it is found. */
    _Alignas(64) _Atomic uint64_t last_used_s; /* once a second at most */
    _Atomic uint32_t refs;
};

struct response_cache *response_cache_new(const struct response_cache_limits *limits,
                                          unsigned n_threads);
/* All threads have ended and hold no reference. NULL is allowed. */
void response_cache_free(struct response_cache *cache);
/* From any thread; what is too much by the new limits goes with the next store or tick. */
void response_cache_set_limits(struct response_cache *cache,
                               const struct response_cache_limits *limits);

/* Around the sleep in the event loop: online after it, offline as the last thing before it. */
void response_cache_online(struct response_cache *cache, unsigned thread);
void response_cache_offline(struct response_cache *cache, unsigned thread);

/* Of host, path, site, port and tls. */
uint64_t response_cache_key_hash(const struct response_cache_key *key);

/* The entry that answers, or NULL. Counts a hit or a miss. The thread is online; the request has
 * passed response_cache_request. */
const struct cached_response *response_cache_find(struct response_cache *cache, unsigned thread,
                                                  const struct response_cache_key *key,
                                                  uint64_t now_ms);

/* For an entry that is needed beyond this turn: output that the socket did not take. */
const struct cached_response *cached_response_ref(const struct cached_response *r);
void cached_response_unref(const struct cached_response *r); /* any thread, online or not */

/* Whether the conditions of a request make this a 304 (never a 412: those requests go to the
 * worker). The same verdict as http_conditions_check, faster where the client gives back what it
 * was given. */
bool cached_response_not_modified(const struct cached_response *r, const struct http_conditions *c,
                                  int64_t wall_s);

enum cached_form {
    CACHED_HEAD,         /* the head only: HEAD, or the body is sent from the file or apart */
    CACHED_WHOLE,        /* head and body; only if r->in_memory */
    CACHED_NOT_MODIFIED, /* the head of a 304 */
};

enum cached_connection {
    CACHED_KEEP,       /* HTTP/1.1: nothing is said */
    CACHED_CLOSE,      /* Connection: close */
    CACHED_KEEP_ALIVE, /* HTTP/1.0: Connection: keep-alive */
};

/* Writes HTTP/1.1 bytes to out, which has room for CACHED_HEAD_MAX (and r->body_len for
 * CACHED_WHOLE). Gives their number. */
size_t cached_response_write(const struct cached_response *r, enum cached_form form,
                             enum cached_connection connection, const char date[HTTP_DATE_LEN],
                             char *out);

static inline struct str cached_response_body(const struct cached_response *r)
{
    return r->in_memory ? str_n(r->wire + r->head_len, (size_t)r->body_len) : STR_NULL;
}

/* A worker's answer to a request, whole. Views may go after the call, the descriptor is dup'ed. */
struct response_cache_offer {
    const struct response_cache_key *key;
    const struct msg_response *head;
    struct str reason, lines; /* checked: message_reason_ok, message_header_block_ok */
    struct str body;          /* if fd < 0 */
    int fd;                   /* file of the whole body, from file_offset on; -1: none */
    uint64_t file_offset;
    uint64_t worker;          /* whose answer it is; not 0 */
    uint64_t now_ms;
    bool is_get;              /* the request's method is GET */
    bool whole;               /* nothing came or comes but head and body: one record, or a file */
};

/* Stores it, in place of what had the same key. CACHE_OK, or why not. */
enum response_cache_why response_cache_store(struct response_cache *cache,
                                             const struct response_cache_offer *offer);

/* Each gives the number of entries that went. site 0, worker 0: of all. An empty path with subtree
 * is the whole site. */
size_t response_cache_flush(struct response_cache *cache, uint32_t site, struct str path,
                            bool subtree, uint64_t worker);
size_t response_cache_flush_worker(struct response_cache *cache, uint64_t worker);
/* From now on only answers of this generation are stored; all others go. */
size_t response_cache_flush_all(struct response_cache *cache, uint64_t generation);
/* http://host[:port]/path as an administrator writes it; "*" for everything. subtree: and below.
 * False: it is no such URL. */
bool response_cache_flush_url(struct response_cache *cache, struct str url, bool subtree,
                              size_t *ret_n);

/* Any thread, a few times a second: expired and unused entries go, memory is freed. Does nothing if
 * another thread holds the lock or it is not time. */
void response_cache_tick(struct response_cache *cache, uint64_t now_ms);

struct response_cache_stats {
    uint64_t hits, misses, stored, refused[CACHE_WHY_MAX], flushed, expired, unused, evicted;
    uint64_t entries, bytes, files, pending; /* now; pending: taken out and not yet freed */
    uint64_t max_bytes;
};
void response_cache_stats(struct response_cache *cache, struct response_cache_stats *ret);
/* For the control channel: {"bytes", "maxBytes", "files", "hits", "misses", "count", "entries":
 * [{url, site, status, bytes, idle_s, expires_s?, coding?}]}, the first max entries, newest
 * first. */
json_t *response_cache_list(struct response_cache *cache, size_t max, uint64_t now_ms);

#endif
