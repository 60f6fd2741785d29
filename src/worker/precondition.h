/* preCondition of globalModules, modules and handlers. */
#ifndef CANDOR_WORKER_PRECONDITION_H
#define CANDOR_WORKER_PRECONDITION_H

#include <stdbool.h>

#include "base/str.h"

/* What preConditions ask of the pool. */
struct pool_facts {
    struct str name;
    struct str runtime; /* managedRuntimeVersion; empty: no managed code */
    bool bitness32;     /* enable32BitAppOnWin64 */
    bool classic;       /* managedPipelineMode */
};

struct precondition {
    bool holds;             /* all conditions but managedHandler */
    bool managed_handler;   /* asks for a managed handler, per request */
    struct str unknown;     /* a token that means nothing, or empty */
};

/* Evaluates a comma-separated list; the empty one holds. Views in the result look into list. */
struct precondition precondition_evaluate(struct str list, const struct pool_facts *pool);

#endif
