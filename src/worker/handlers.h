/* system.webServer/handlers of one configuration node, and which of them a URL and verb choose. */
#ifndef CANDOR_WORKER_HANDLERS_H
#define CANDOR_WORKER_HANDLERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct config_elem;
struct module;
struct pool_facts;
struct url_entry;

enum handler_resource { HANDLER_FILE, HANDLER_DIRECTORY, HANDLER_EITHER, HANDLER_UNSPECIFIED };
enum handler_access { HANDLER_NONE, HANDLER_READ, HANDLER_WRITE, HANDLER_SCRIPT, HANDLER_EXECUTE };

/* Bits of accessPolicy as the schema numbers them. */
enum access_policy {
    ACCESS_READ = 1,
    ACCESS_WRITE = 2,
    ACCESS_EXECUTE = 4,
    ACCESS_SCRIPT = 512,
    ACCESS_NO_REMOTE_WRITE = 1024,
    ACCESS_NO_REMOTE_READ = 4096,
    ACCESS_NO_REMOTE_EXECUTE = 8192,
    ACCESS_NO_REMOTE_SCRIPT = 16384,
};

/* How a pattern of `path` compares. */
enum handler_pattern_kind {
    PATTERN_ALL,       /* "*" */
    PATTERN_SUFFIX,    /* "*.aspx", "*_AppService.axd" */
    PATTERN_NO_DOT,    /* "*.": names without extension */
    PATTERN_NAME,      /* "trace.axd": a name in any folder */
    PATTERN_GLOB,      /* other places of '*', or '?' */
};

struct handler_pattern {
    enum handler_pattern_kind kind;
    bool is_path; /* holds a '/': compared with the whole path, else with one segment */
    struct str text;
};

/* One of the modules that a handler runs. */
struct handler_module {
    struct str name;
    const struct module *module; /* NULL: the reason is in the mapping */
    unsigned index;              /* in the registry */
};

enum handler_fault {
    HANDLER_SOUND,
    HANDLER_NOT_LISTED, /* names a module that <modules> does not have */
    HANDLER_NOT_BUILT,  /* names one that this build does not have */
};

/* Views look into the configuration node. */
struct handler_mapping {
    struct str name, path, verb, type, modules, script_processor;
    bool all_verbs;
    bool applies;           /* its preCondition holds */
    bool managed;           /* handled by ManagedPipelineHandler */
    bool is_static;         /* StaticFileModule is among its modules */
    bool allow_path_info;
    enum handler_resource resource;
    enum handler_access access;
    uint32_t response_buffer_limit;
    struct handler_pattern *patterns;
    size_t n_patterns;
    struct handler_module *run;
    size_t n_run;
    enum handler_fault fault;
    struct str faulty;      /* the module at fault */
};

struct handler_list {
    struct handler_mapping *all;
    size_t n;
    uint32_t access_policy;
};

/* Reads the section into *ret, in a. is_listed[i]: module i of the registry is enabled by
 * <modules>; listed(name) says the same of names that are not in the registry. */
struct handler_modules {
    const bool *is_listed;
    bool (*is_name_listed)(const void *arg, struct str name);
    const void *arg;
};
void handler_list_load(struct handler_list *ret, const struct config_elem *section,
                       const struct pool_facts *pool, const struct handler_modules *modules,
                       struct arena *a);

struct handler_choice {
    const struct handler_mapping *mapping; /* NULL: none */
    size_t path_len;      /* of the URL path without path info */
    bool dynamic_content; /* an earlier script handler fits but for its preCondition */
};

/* The first mapping that fits path, verb, preCondition and resource type. A resource that does not
 * exist fits every type: its absence is answered later. */
struct handler_choice handler_choose(const struct handler_list *l, const struct url_entry *url,
                                     struct str method);

/* Tests a URL path against one pattern; *ret_len is how much of it is not path info. */
bool handler_pattern_matches(const struct handler_pattern *p, struct str path, size_t *ret_len);
/* Splits and classifies a `path` attribute. */
struct handler_pattern *handler_patterns_parse(struct str path, struct arena *a, size_t *ret_n);

#endif
