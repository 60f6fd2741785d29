#include "http/httperr_reason.h"

#include "base/poison.h"

static const struct str names[HTTPERR_MAX] = {
#define X(name, text) [HTTPERR_##name] = {text, sizeof(text) - 1},
    HTTPERR_REASONS(X)
#undef X
};
_Static_assert(HTTPERR_MAX == 40, "39 reasons and none");

struct str httperr_reason_name(enum httperr_reason reason)
{
    if ((unsigned)reason >= HTTPERR_MAX || reason == HTTPERR_NONE)
        return STR("-");
    return names[reason];
}

enum httperr_reason httperr_reason_find(struct str name)
{
    for (unsigned i = HTTPERR_NONE + 1; i < HTTPERR_MAX; i++)
        if (str_eq(names[i], name))
            return (enum httperr_reason)i;
    return HTTPERR_NONE;
}
