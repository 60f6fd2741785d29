/* DefaultDocumentModule: for the URL of a folder, the first file of the list that exists is run as
 * a child request, with its own handler and rules. */
#include "worker/modules/modules.h"

#include "config/config.h"
#include "worker/url_cache.h"

#include "base/poison.h"

struct document_conf {
    bool enabled;
    const struct str *files;
    size_t n_files;
};

/* An entry as the part of a URL behind the folder: "index.htm", or "app/index.htm", which IIS
 * allows too. Empty if it could leave the folder. */
static struct str clean_name(struct arena *a, struct str value)
{
    char *name = arena_dup_z(a, value);
    struct str rest;
    struct str part;

    for (size_t i = 0; i < value.n; i++)
        if (name[i] == '\\')
            name[i] = '/';
    value = str_n(name, value.n);
    while (value.n && value.p[0] == '/')
        value = str_sub(value, 1, value.n);
    for (rest = value; str_split(&rest, '/', &part);)
        if (part.n == 0 || str_eq(part, STR(".")) || str_eq(part, STR("..")))
            return STR_NULL;
    return value;
}

static const void *load_conf(const struct config_node *node, struct arena *a,
                             const struct config_error **ret_error)
{
    const struct config_elem *e =
        config_section(node, "system.webServer/defaultDocument", ret_error);
    struct str *files;

    if (!e)
        return NULL;
    struct document_conf *c = ARENA_NEW(a, struct document_conf);
    const struct config_elem *list = config_child(e, "files");

    c->enabled = config_bool(e, "enabled");
    size_t n = config_n_items(list);

    c->files = files = arena_zalloc(a, n * sizeof(*files));
    for (size_t i = 0; i < n; i++) {
        struct str name = clean_name(a, config_str(config_item(list, i), "value"));

        if (name.n)
            files[c->n_files++] = name;
    }
    return c;
}

static enum pipe_rc execute(struct request *r, const void *conf)
{
    const struct document_conf *c = conf;

    if (!c->enabled || !r->url || r->url->kind != URL_KIND_DIRECTORY || r->path.n == 0 ||
        r->path.p[r->path.n - 1] != '/')
        return PIPE_CONTINUE;
    for (size_t i = 0; i < c->n_files; i++) {
        struct str path =
            arena_printf(&r->arena, "%.*s%.*s", STR_ARG(r->path), STR_ARG(c->files[i]));

        if (path.n == 0)
            return request_fail(r, &st_500_0_module_error, 0x8007000e, STR("defaultDocument"));
        const struct url_entry *file = request_lookup_url(r, path);

        if (file && file->kind == URL_KIND_FILE)
            return request_execute_url(r, path, r->query);
    }
    return PIPE_CONTINUE;
}

const struct module mod_default_document = {
    .name = "DefaultDocumentModule",
    .load_conf = load_conf,
    .execute = execute,
    .same_for_all = true,
};
