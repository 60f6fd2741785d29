#include "worker/precondition.h"

#include "base/poison.h"

static bool one_holds(struct str token, const struct pool_facts *pool, struct precondition *p)
{
    static const struct str runtime = {"runtimeVersion", 14}, name = {"appPoolName=", 12};

    if (str_eq(token, STR("bitness32")))
        return pool->bitness32;
    if (str_eq(token, STR("bitness64")))
        return !pool->bitness32;
    if (str_eq(token, STR("integratedMode")))
        return !pool->classic;
    if (str_eq(token, STR("classicMode")) || str_eq(token, STR("ISAPIMode")))
        return pool->classic;
    if (str_eq(token, STR("managedHandler"))) {
        p->managed_handler = true;
        return true;
    }
    if (str_starts(token, runtime)) {
        struct str version = str_sub(token, runtime.n, token.n);
        return version.n > 0 && str_istarts(pool->runtime, version);
    }
    if (str_starts(token, name))
        return str_ieq(str_sub(token, name.n, token.n), pool->name);
    if (p->unknown.n == 0)
        p->unknown = token;
    return false;
}

struct precondition precondition_evaluate(struct str list, const struct pool_facts *pool)
{
    struct precondition p = {.holds = true};
    struct str token;

    while (str_split(&list, ',', &token)) {
        token = str_trim_all(token);
        if (token.n && !one_holds(token, pool, &p))
            p.holds = false;
    }
    return p;
}
