/* The schema of configuration sections: which elements and attributes a section has, of which
 * type, with which default and validator, and where it may be used. The tables are generated
 * from schema/ (*.schema, see schema/README) when the program is built. */
#ifndef CANDOR_CONFIG_SCHEMA_H
#define CANDOR_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum schema_type {
    SCHEMA_STRING,
    SCHEMA_BOOL,
    SCHEMA_UINT,
    SCHEMA_INT,
    SCHEMA_INT64,
    SCHEMA_TIME,
    SCHEMA_ENUM,
    SCHEMA_FLAGS,
};

enum schema_attr_flags {
    SCHEMA_REQUIRED = 1,
    SCHEMA_UNIQUE_KEY = 2,   /* is a key by itself */
    SCHEMA_COMBINED_KEY = 4, /* part of a key */
    SCHEMA_CASE_SENSITIVE = 8,
    SCHEMA_EXPANDED = 16, /* environment variables are replaced when read */
    SCHEMA_ENCRYPTED = 32,
    SCHEMA_SECONDS = 64,  /* a time written as a number of seconds */
    SCHEMA_MINUTES = 128, /* or minutes */
    SCHEMA_INFINITE = 256,
};

enum schema_validator {
    VALID_ANY,
    VALID_RANGE,
    VALID_NOT_RANGE,
    VALID_TIME_RANGE,
    VALID_NOT_TIME_RANGE,
    VALID_NOT_EMPTY,
    VALID_TRIMMED,
    VALID_POOL_NAME,
    VALID_SITE_NAME,
    VALID_APPLICATION_PATH,
    VALID_VDIR_PATH,
};

struct schema_value {
    const char *name;
    uint32_t number;
};

struct schema_attr {
    const char *name;
    enum schema_type type;
    unsigned flags;
    enum schema_validator validator;
    int64_t min, max, granularity; /* of the range validators; times in seconds */
    const char *otherwise;         /* default as text; NULL: the type's zero */
    const struct schema_value *values;
    size_t n_values;
};

struct schema_elem;

struct schema_collection {
    const struct schema_elem *const *add; /* one per add name; the element's name is that name */
    size_t n_add;
    const char *remove, *clear; /* NULL: no such directive here */
    bool prepend, allow_duplicates;
    const char *defaults; /* element that supplies values for items; NULL: none */
};

struct schema_elem {
    const char *name;
    const struct schema_attr *attrs;
    size_t n_attrs;
    const struct schema_elem *const *children;
    size_t n_children;
    const struct schema_collection *collection; /* NULL: none */
    bool allow_unrecognized;
};

enum schema_definition {
    DEFINE_EVERYWHERE,
    DEFINE_MACHINE_TO_APPLICATION,
    DEFINE_MACHINE_TO_ROOT_WEB,
    DEFINE_MACHINE_ONLY,
    DEFINE_APP_HOST_ONLY,
    DEFINE_UNREGISTERED,
};

enum schema_support { SUPPORT_IGNORED, SUPPORT_PARTIAL, SUPPORT_FULL };

struct schema_section {
    const char *path;
    enum schema_definition definition;
    bool allow_override;
    enum schema_support support;
    const char *note;               /* what is different or missing; may be NULL */
    const struct schema_elem *root; /* NULL: registered, never read */
};

/* All sections, sorted by path. */
extern const struct schema_section schema_sections[];
extern const size_t schema_n_sections;

/* By path, or NULL. */
const struct schema_section *schema_section_find(struct str path);
/* Within an element, or -1 / NULL. */
int schema_attr_index(const struct schema_elem *e, struct str name);
const struct schema_elem *schema_child_find(const struct schema_elem *e, struct str name);
/* The item element that an add name stands for, or NULL. */
const struct schema_elem *schema_add_find(const struct schema_elem *e, struct str name);
/* True if sections exist below this path ("system.webServer"). */
bool schema_is_group(struct str path);

/* Data files compiled in. */
extern const char builtin_application_host[];
extern const size_t builtin_application_host_len;
extern const char builtin_mime_map[]; /* "extension TAB type NEWLINE" */
extern const size_t builtin_mime_map_len;

#endif
