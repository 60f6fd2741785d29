#include "config/inspect.h"

#include "config/internal.h"
#include "base/poison.h"

struct config *config_inspect_load(const struct config_options *o,
                                   void (*on_error)(void *arg, const struct config_error *e),
                                   void *arg)
{
    struct config_error *first = NULL;
    struct config *c = config_load_all(o, &first, on_error, arg);

    config_error_free(first);
    return c;
}

void config_inspect_errors(const struct config_node *n,
                           void (*on_error)(void *arg, const struct config_error *e), void *arg)
{
    for (size_t i = 0; n->scanned && i < n->scanned->n_errors; i++)
        on_error(arg, n->scanned->errors[i]);
    if (n->error && !(n->scanned && n->scanned->n_errors))
        on_error(arg, n->error);
}

static bool is_native(struct str path)
{
    return str_starts(path, STR("system.webServer/")) ||
           str_starts(path, STR("system.applicationHost/")) ||
           str_starts(path, STR("system.ftpServer/")) || str_eq(path, STR("webFarms"));
}

void config_inspect_sections(const struct config_node *n,
                             void (*on_section)(void *arg, const struct config_held_section *s),
                             void *arg)
{
    const struct config_file *f = n->scanned;

    for (size_t i = 0; f && i < f->n_occurrences; i++) {
        const struct occurrence *o = &f->occurrences[i];
        const struct schema_section *s = schema_section_find(o->path);
        struct config_held_section held = {
            .path = o->path,
            .file = f->xml->name,
            .line = o->elem->line,
            .column = o->elem->column,
            .target = f->locations[o->location].target,
            .is_readable = s && s->root,
            .is_native = is_native(o->path),
            .support = CONFIG_IGNORED,
            .note = STR(""),
        };
        if (s) {
            held.support = s->support == SUPPORT_FULL      ? CONFIG_FULL
                           : s->support == SUPPORT_PARTIAL ? CONFIG_PARTIAL
                                                           : CONFIG_IGNORED;
            held.note = s->note ? str_z(s->note) : STR("");
        }
        on_section(arg, &held);
    }
}

struct str config_inspect_file(const struct config_node *n)
{
    return n->scanned ? n->scanned->xml->name : STR("");
}

void config_inspect_secrets(const struct config_elem *e,
                            void (*on_secret)(void *arg, const char *attr,
                                              struct config_source_pos pos),
                            void *arg)
{
    for (size_t i = 0; i < e->schema->n_attrs; i++)
        if (e->values[i].is_undecryptable)
            on_secret(arg, e->schema->attrs[i].name, config_attr_pos(e, e->schema->attrs[i].name));
    for (size_t i = 0; i < e->schema->n_children; i++)
        config_inspect_secrets(e->children[i], on_secret, arg);
    for (size_t i = 0; i < e->n_items; i++)
        config_inspect_secrets(e->items[i], on_secret, arg);
}

void config_inspect_bytes(struct config *c, struct str bytes)
{
    const struct config_site *site = config_site_by_id(c, 1);
    struct node_place place = {
        .site = site, .url = STR("/"), .dir = STR("/nowhere"), .bytes = &bytes};
    struct config_node *root = node_new(c, c->server, &place);
    struct node_place below = {.site = site, .url = STR("/a"), .dir = STR("/nowhere/a")};
    struct config_node *sub = node_new(c, root, &below);

    for (size_t i = 0; i < schema_n_sections; i++) {
        const struct config_error *e = NULL;
        if (!schema_sections[i].root)
            continue;
        if (!config_section(root, schema_sections[i].path, &e))
            INVARIANT(e && e->hresult);
        if (!config_section(sub, schema_sections[i].path, &e))
            INVARIANT(e && e->hresult);
    }
    node_release(sub);
    node_release(root);
}
