#include "http/method.h"

#include "base/poison.h"

static const struct str names[HTTP_METHOD_MAX] = {
#define X(name) [HTTP_METHOD_##name] = {#name, sizeof(#name) - 1},
    HTTP_METHODS(X)
#undef X
};

enum http_method http_method_lookup(struct str name)
{
    for (unsigned i = HTTP_METHOD_OTHER + 1; i < HTTP_METHOD_MAX; i++)
        if (names[i].n == name.n && memcmp(names[i].p, name.p, name.n) == 0)
            return (enum http_method)i;
    return HTTP_METHOD_OTHER;
}

enum http_method http_method_ilookup(struct str name)
{
    for (unsigned i = HTTP_METHOD_OTHER + 1; i < HTTP_METHOD_MAX; i++)
        if (str_ieq(names[i], name))
            return (enum http_method)i;
    return HTTP_METHOD_OTHER;
}

struct str http_method_name(enum http_method method)
{
    return (unsigned)method < HTTP_METHOD_MAX ? names[method] : STR_NULL;
}
