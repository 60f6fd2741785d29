/* system.webServer/staticContent as StaticFileModule uses it. */
#ifndef CANDOR_WORKER_MODULES_STATIC_CONF_H
#define CANDOR_WORKER_MODULES_STATIC_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct config_error;
struct config_node;

struct static_mime {
    struct str extension; /* with its dot, ".*" and "." included */
    struct str type;
};

/* Views live as long as the configuration node. */
struct static_conf {
    struct str cache_control; /* value of Cache-Control; empty: none */
    struct str expires;       /* value of Expires; empty: none */
    bool set_etag;
    bool footer_is_file;
    struct str footer;        /* text, or a NUL-terminated path; empty: none */
    struct static_mime *mime; /* open addressing; extension.n 0: free */
    uint32_t mime_mask;
};

/* A module's load_conf. Nodes that change nothing in the section share the struct. */
const void *static_conf_load(const struct config_node *node, struct arena *a,
                             const struct config_error **ret_error);

/* The MIME type for a URL path: by its exact extension ("." for a name without one), else that of
 * ".*". The empty view: none, or one that cannot be sent. */
struct str static_conf_mime(const struct static_conf *c, struct str path);

#endif
