/* What the files of this folder share; nobody else includes it (but its tests and fuzz target). */
#ifndef CANDOR_CONFIG_INTERNAL_H
#define CANDOR_CONFIG_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "config/config.h"
#include "config/paths.h"
#include "config/schema.h"
#include "config/tree.h"

enum {
    WEB_CONFIG_BYTES_MAX = 250 * 1024, /* also for every configSource file */
    SERVER_FILE_BYTES_MAX = 64 * 1024 * 1024,
    FILE_ERRORS_MAX = 64, /* reported per file; serving stops at the first */
    NODES_MAX = 65536,    /* cached nodes; past it the cache starts afresh */
    LEVELS_MAX = 128,     /* URL segments that can have configuration */
};

/* ---- errors (error.c) ---- */

/* An error at a place of a file; f NULL or without text gives no excerpt. section may be NULL. */
struct config_error *error_new(struct arena *a, const struct xml_file *f, unsigned line,
                               unsigned column, uint32_t hresult, const char *section,
                               const char *fmt, ...) PRINTF_LIKE(7, 8);
void error_remedy(struct config_error *e, struct arena *a, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A copy that stands by itself, for config_error_free. */
struct config_error *error_export(const struct config_error *e);

/* Finds the known name that a misspelt one most resembles. */
struct suggest {
    struct str wanted;
    const char *best;
    size_t distance;
};
void suggest_offer(struct suggest *s, const char *name);
/* NULL if nothing is near enough. */
const char *suggest_best(const struct suggest *s);

/* ---- scanned files (scan.c) ---- */

struct registration {
    struct str path;
    enum schema_definition definition;
    bool allow_override, allow_location;
    const struct schema_section *schema; /* NULL: unknown to us, never read */
    const struct xml_elem *elem;         /* NULL: shipped */
};

enum override_mode { OVERRIDE_INHERIT, OVERRIDE_ALLOW, OVERRIDE_DENY };

struct config_location {
    struct str target; /* configuration path it addresses, lower case, without MACHINE/... */
    enum override_mode mode;
    bool inherit_in_child_applications;
    const struct xml_elem *elem; /* NULL: what stands outside of <location> */
};

struct occurrence {
    struct str path;
    const struct xml_elem *elem;
    size_t location; /* index */
};

struct config_file {
    const struct xml_file *xml;
    const struct config_file *up; /* the next outer file of the chain; NULL: the server's */
    unsigned rank;                /* 0: the server's file */
    struct str cpath;             /* configuration path of its level, lower case */
    struct registration *registrations;
    size_t n_registrations, cap_registrations;
    struct config_location *locations; /* [0] stands for no location */
    size_t n_locations, cap_locations;
    struct occurrence *occurrences;
    size_t n_occurrences, cap_occurrences;
    const struct config_error **errors; /* in the order found */
    size_t n_errors, cap_errors;
};

/* Scans a parsed file whose place in the chain is given. In a's memory. */
struct config_file *scan_file(struct arena *a, const struct xml_file *xml,
                              const struct config_file *up, unsigned rank, struct str cpath);
/* The registration of a section as seen from f: its own, those of outer files, the shipped. */
bool scan_find_section(const struct config_file *f, struct str path, struct registration *ret);

/* ---- elements (merge.c, elem.c) ---- */

struct attr_value {
    struct str raw, text; /* as written; variables expanded and secrets opened */
    int64_t num;
    const struct xml_attr *src; /* NULL: default */
    const struct xml_elem *src_elem;
    bool is_undecryptable;
};

enum lock_kind { LOCK_ATTRIBUTES, LOCK_ATTRIBUTES_EXCEPT, LOCK_ELEMENTS, LOCK_ELEMENTS_EXCEPT };

struct lock {
    const struct lock *next;
    enum lock_kind kind;
    struct str names;
    const struct xml_elem *elem;
    unsigned rank;
};

struct config_elem {
    const struct schema_elem *schema;
    const char *section;
    struct str name;
    struct attr_value *values;     /* by index of the schema */
    struct config_elem **children; /* likewise */
    struct config_elem **items;
    uint64_t *keys; /* key_hash of each item, side by side: adding compares with all of them */
    size_t n_items, cap_items;
    const struct xml_elem *src; /* the last that touched it; for items the one that added it */
    unsigned rank;              /* of the file src stands in */
    const struct lock *locks;
    const struct xml_elem *item_lock; /* items: who set lockItem; NULL: nobody */
    uint64_t key_hash;
    const struct xml_attr *extra; /* attributes the schema does not name, where it allows them */
    size_t n_extra;
    bool is_cleared; /* a clear directive cut the collection off from its parents */
};

/* One contribution of a file to a section. */
struct merge {
    struct paths *paths;
    struct arena *arena;
    const char *section;
    const struct config_file *file;
    const struct config_error *error; /* set when a function here fails */
};

/* An element that holds only defaults. */
struct config_elem *elem_new(struct arena *a, const struct paths *p, const struct schema_elem *s,
                             const char *section);
/* A copy that may be changed; items are shared, they never change. */
struct config_elem *elem_copy(struct arena *a, const struct config_elem *e);
/* Merges x into *e. False: m->error is set. */
MUST_CHECK bool merge_section(struct merge *m, struct config_elem *e, const struct xml_elem *x);
/* Have two items of a collection the same key? */
bool merge_same_key(const struct config_elem *a, const struct config_elem *b);
/* Fills unset values of items from defaults elements (sites, applicationPools). In place. */
void merge_defaults(struct arena *a, struct config_elem *e);

/* ---- nodes (node.c, section.c) ---- */

/* A section as it comes out at a node. */
struct effective {
    struct effective *next;
    const struct schema_section *schema;
    bool for_child_application; /* without what is not inherited by child applications */
    const struct config_elem *elem;
    const struct config_error *error;
    bool is_denied;                    /* to files below */
    unsigned state_rank;               /* of the file that said so */
    const struct xml_elem *state_elem; /* its location; NULL: the registration */
    const struct xml_file *state_file;
};

struct typed {
    struct typed *next;
    const struct config_typed_loader *loader;
    const void *value;
    const struct config_error *error;
};

struct config_node {
    _Atomic unsigned refs;
    struct config *config;
    struct config_node *parent; /* a reference; NULL: server level */
    struct config_node *hash_next;
    uint64_t hash;
    const struct config_site *site;
    const struct config_application *application;
    const struct config_vdir *vdir;
    struct str url, dir;               /* the level's URL path and real folder */
    struct str cpath;                  /* "site name/a/b" as requested */
    struct str path;                   /* "MACHINE/WEBROOT/APPHOST/" and that */
    struct str key;                    /* the same in lower case */
    bool is_application;               /* the level is an application's root */
    bool has_dir;                      /* the folder exists: levels below may have files */
    struct config_file *file;          /* its web.config (or the server's file), if usable */
    const struct config_file *scanned; /* the same even if it cannot be used; NULL: no file */
    const struct config_file *chain;   /* innermost usable file at or above */
    const struct config_error *error;  /* the file cannot be used */
    struct arena arena;
    struct effective *sections;
    struct typed *typed;
};

struct config {
    _Atomic unsigned refs;
    struct arena arena;
    struct paths *paths;
    struct str source, source_name, web_config, system_drive;
    struct config_node *server;
    struct config_site *sites;
    size_t n_sites;
    struct config_pool *pools;
    size_t n_pools;
    struct config_web_limits web_limits;
    struct config_log log;
    pthread_mutex_t nodes_lock;   /* buckets, n_nodes, epoch */
    struct config_node **buckets; /* by site and path; the cache holds a reference to each */
    size_t n_buckets, n_nodes;
    uint64_t epoch;                /* counts invalidations */
    _Atomic bool has_bare_nodes;   /* some cached node has no folder, only a <location> */
    pthread_mutex_t sections_lock; /* recursive: effective and typed values of all nodes */
    pthread_mutex_t watch_lock;
    struct config_watch *watch; /* told of every folder consulted; NULL: none */
};

/* The section at a node, with sections_lock held. Never NULL; look at its error. */
const struct effective *section_at(struct config_node *n, const struct schema_section *schema,
                                   bool for_child_application);

/* What a new node is made of. */
struct node_place {
    const struct config_site *site;
    struct str url;
    struct str dir;
    bool has_dir;            /* dir is a folder that exists */
    const struct str *bytes; /* web.config's content instead of what the folder holds; or NULL */
};

/* A new node below parent with one reference, its web.config read. Not cached. */
struct config_node *node_new(struct config *c, struct config_node *parent,
                             const struct node_place *place);
/* The server level, with its file scanned from c->source. */
struct config_node *node_new_server(struct config *c);
void node_release(struct config_node *n);

/* Fills sites, pools, limits and logs from the server node (server.c). */
MUST_CHECK bool server_settings(struct config *c, const struct config_error **ret_err);

/* config_load that also reports every mistake; on_error may be NULL (load.c). */
struct config *config_load_all(const struct config_options *o, struct config_error **ret_err,
                               void (*on_error)(void *arg, const struct config_error *e),
                               void *arg);

/* Tells the watch, if any, that dir is about to be consulted (watch.c). */
void watch_folder(struct config *c, struct str dir);

#endif
