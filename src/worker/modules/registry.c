#include "worker/modules/registry.h"

#include "worker/modules/modules.h"

#include "base/poison.h"

static const struct module *const modules[] = {
    &mod_http_logging,
    &mod_http_cache,
    &mod_default_document,
    &mod_directory_listing,
    &mod_protocol_support,
    &mod_http_redirection,
    &mod_static_file,
    &mod_anonymous_authentication,
    &mod_request_filtering,
    &mod_custom_error,
    &mod_configuration_validation,
};

_Static_assert(ARRAY_LEN(modules) <= MODULES_MAX, "MODULES_MAX");

unsigned registry_count(void)
{
    return ARRAY_LEN(modules);
}

const struct module *registry_at(unsigned index)
{
    INVARIANT(index < ARRAY_LEN(modules));
    return modules[index];
}

int registry_find(struct str name)
{
    for (unsigned i = 0; i < ARRAY_LEN(modules); i++)
        if (str_ieq(str_z(modules[i]->name), name))
            return (int)i;
    return -1;
}
