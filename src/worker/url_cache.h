/* What a worker thread knows about URLs: configuration, file, handlers. One cache per thread, no
 * locks on a hit, no system call and no allocation. An entry is trusted until a watched
 * directory or the configuration changes, and looked at again after two seconds in any case. */
#ifndef CANDOR_WORKER_URL_CACHE_H
#define CANDOR_WORKER_URL_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct config_error;
struct config_node;
struct dir_watch;
struct handler_mapping;
struct open_file;
struct plan;
struct url_cache;
struct worker_thread;

enum url_kind {
    URL_KIND_MISSING,   /* nothing there, or a name that cannot exist */
    URL_KIND_FILE,
    URL_KIND_DIRECTORY,
    URL_KIND_OTHER,     /* socket, device, FIFO: never served */
};

enum { URL_HANDLERS_CACHED = 4 };

struct url_handler {
    uint8_t method_id; /* 0: free */
    bool dynamic_content;
    const struct handler_mapping *mapping; /* NULL: none fits */
    uint32_t path_info_at; /* length of the path without path info */
};

/* Memory that a module keeps with an entry (static_file's header block). */
struct url_slot {
    void *data;
    void (*free)(void *data);
};

struct url_entry {
    /* Public, constant while somebody holds the entry. */
    uint32_t site_id;
    struct str path;                    /* cooked, as the client spelled it */
    struct str physical;                /* real path, NUL-terminated */
    const struct config_node *node;     /* never NULL; nearest readable level if config_error */
    const struct config_error *config_error; /* of a scan: 500.19, or NULL */
    enum url_kind kind;
    int error;                          /* errno of stat or of the access check, 0 */
    bool missing_folder;                /* not even the folder of it exists */
    bool readable;                      /* this process may read it */
    bool hidden;                        /* user.candor.hidden, or a name that begins with a dot */
    uint32_t script_path_len;           /* a file stands at this prefix of path; 0: none does */
    uint64_t size;
    int64_t mtime_s, ctime_s;
    uint32_t mtime_ns, ctime_ns;
    uint64_t ino, dev;
    struct plan *plan;                  /* the pipeline for this URL */
    struct url_handler handlers[URL_HANDLERS_CACHED];
    struct open_file *file;             /* opened on demand: url_entry_file */
    struct url_slot slot;               /* static_file's */

    /* Of the cache. */
    struct url_entry *hash_next, *lru_prev, *lru_next;
    struct dir_watch *dir;
    uint64_t hash, checked_ms, touched_ms;
    uint32_t dir_version, config_version;
    uint32_t refs;
    bool inexact;                       /* physical is spelled otherwise than path */
    bool in_cache;                      /* false: forgotten, kept by those who hold it */

    /* Of the response cache: how often it was asked for, and what the listener may have of it. */
    uint32_t hits;
    uint64_t hits_since_ms;
    struct url_entry *offer_prev, *offer_next;
    uint64_t offered_ms, offer_until_ms;
    bool offered;
};

struct url_cache *url_cache_new(struct worker_thread *t);
void url_cache_free(struct url_cache *c);

/* The entry for a cooked path (absolute, no dot segments), a reference of which is the caller's to
 * url_entry_unref. NULL: the site is unknown, or the path holds what cannot be part of one. */
struct url_entry *url_cache_get(struct url_cache *c, uint32_t site_id, struct str path);
void url_entry_ref(struct url_entry *e);
void url_entry_unref(struct url_cache *c, struct url_entry *e);

/* Nothing is known that could have changed what the entry says. No system call. */
bool url_entry_is_current(const struct url_cache *c, const struct url_entry *e);
/* A change in the entry's folder has been noticed and not yet been looked into. */
bool url_entry_is_in_doubt(const struct url_entry *e);
/* Looks at the file although nobody asks for it. False: it is not what it was, and the entry has
 * been forgotten. For entries of the cache only. */
bool url_cache_recheck(struct url_cache *c, struct url_entry *e);

/* The entry's file, open; belongs to the entry. NULL with errno. */
struct open_file *url_entry_file(struct url_cache *c, struct url_entry *e);

#endif
