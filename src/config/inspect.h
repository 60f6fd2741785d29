/* What tools want to know of configuration files beyond their effect: every mistake instead of the
 * first, which sections a file holds, and what becomes of each. */
#ifndef CANDOR_CONFIG_INSPECT_H
#define CANDOR_CONFIG_INSPECT_H

#include "config/config.h"

enum config_support { CONFIG_IGNORED, CONFIG_PARTIAL, CONFIG_FULL };

/* One section element of a file. */
struct config_held_section {
    struct str path; /* "system.webServer/handlers" */
    struct str file;
    unsigned line, column;
    struct str target; /* configuration path it is for: "site/a/b" in lower case; "" the server */
    bool is_readable;  /* has a schema, so that config_section may be asked for it */
    bool is_native;    /* system.webServer and its like; the others belong to .NET or add-ons */
    enum config_support support;
    struct str note; /* what is different; may be empty */
};

/* Like config_load, but calls on_error for every mistake found. NULL if there is no usable
 * configuration. Errors live for the call only. */
struct config *config_inspect_load(const struct config_options *o,
                                   void (*on_error)(void *arg, const struct config_error *e),
                                   void *arg);

/* The mistakes that scanning the node's own file (web.config) found: calls on_error for each. */
void config_inspect_errors(const struct config_node *n,
                           void (*on_error)(void *arg, const struct config_error *e), void *arg);

/* The sections that the node's own file holds, in order. Also for a file with mistakes. */
void config_inspect_sections(const struct config_node *n,
                             void (*on_section)(void *arg, const struct config_held_section *s),
                             void *arg);

/* The real path of the node's own file, or an empty view. */
struct str config_inspect_file(const struct config_node *n);

/* Calls on_secret for each attribute of a section whose encrypted value cannot be opened here. */
void config_inspect_secrets(const struct config_elem *e,
                            void (*on_secret)(void *arg, const char *attr,
                                              struct config_source_pos pos),
                            void *arg);

/* Reads bytes as the web.config of site 1's root and then every section of it: the fuzz target's
 * way through parser, scan and merge. */
void config_inspect_bytes(struct config *c, struct str bytes);

#endif
