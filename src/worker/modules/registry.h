/* The modules of this build. Their order here only numbers them; the order in which they run comes
 * from globalModules, modules and priorities. */
#ifndef CANDOR_WORKER_MODULES_REGISTRY_H
#define CANDOR_WORKER_MODULES_REGISTRY_H

#include "base/str.h"
#include "worker/module.h"

enum { MODULES_MAX = 32 };

extern const struct module mod_http_cache;
extern const struct module mod_static_file;

/* Number of modules, at most MODULES_MAX. */
unsigned registry_count(void);
const struct module *registry_at(unsigned index);
/* Index of the module of that IIS name (letter case aside), or -1: not part of this build. */
int registry_find(struct str name);

#endif
