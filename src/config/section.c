/* Effective sections of a node: the walk over levels and files, locks of whole sections. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/internal.h"
#include "base/poison.h"

/* ---- section locks ---- */

static const char locked_text[] =
    "This configuration section cannot be used at this path. This happens when the section is "
    "locked at a parent level. Locking is either by default (overrideModeDefault=\"Deny\"), or "
    "set explicitly by a location tag with overrideMode=\"Deny\" or the legacy "
    "allowOverride=\"false\".";

/* The <location> that would unlock the section for this level. */
static struct str unlock_xml(struct arena *a, const struct config_node *n, const char *section)
{
    struct buf b;
    struct str rest = str_z(section), name;
    unsigned depth = 1;

    buf_init(&b, 1u << 17);
    buf_str(&b, STR("<location path=\""));
    buf_html(&b, n->cpath);
    buf_str(&b, STR("\" overrideMode=\"Allow\">\n"));
    while (str_split(&rest, '/', &name)) {
        buf_printf(&b, "%*s<%.*s%s>\n", (int)(2 * depth), "", STR_ARG(name), rest.n ? "" : " /");
        depth++;
    }
    for (struct str path = str_z(section); depth-- > 2;) {
        size_t slash = str_rfind_char(path, '/');
        path = str_sub(path, 0, slash);
        size_t before = str_rfind_char(path, '/');
        struct str group = before == SIZE_MAX ? path : str_sub(path, before + 1, path.n);
        buf_printf(&b, "%*s</%.*s>\n", (int)(2 * (depth - 1)), "", STR_ARG(group));
    }
    buf_str(&b, STR("</location>"));
    struct str s = arena_dup(a, buf_view(&b));

    buf_fini(&b);
    return s;
}

static struct config_error *lock_error(struct config_node *n, const struct effective *eff,
                                       const struct config_file *f, const struct xml_elem *x)
{
    struct config_error *e =
        error_new(&n->arena, f->xml, x->line, x->column, CONFIG_E_LOCK_VIOLATION, eff->schema->path,
                  "%s", locked_text);

    if (eff->state_elem) {
        e->lock_file = eff->state_file->name;
        e->lock_line = eff->state_elem->line;
    }
    e->unlock = unlock_xml(&n->arena, n, eff->schema->path);
    struct config_node *server = n->config->server;
    error_remedy(e, &n->arena,
                 "Remove the section from this file, or unlock it for this path with a <location> "
                 "in %.*s.",
                 STR_ARG(server->file->xml->name));
    return e;
}

/* Does f stand at the root of an application? A <location> in it for a folder below is free: real
 * sites set modules that way, and IIS reads them for applications only. */
static bool is_at_application(const struct config_node *n, const struct config_file *f)
{
    while (n && n->file != f)
        n = n->parent;
    return n && n->is_application;
}

/* May file f define the section for level n? */
static struct config_error *check_definition(struct config_node *n, const struct effective *eff,
                                             const struct config_file *f, const struct xml_elem *x)
{
    struct registration r;
    const char *where;

    if (f->rank == 0 || !scan_find_section(f, str_z(eff->schema->path), &r))
        return NULL;
    switch (r.definition) {
    case DEFINE_EVERYWHERE:
        return NULL;
    case DEFINE_MACHINE_TO_APPLICATION:
        if (is_at_application(n, f))
            return NULL;
        where = "Move it to the web.config at the root of the application: folders below cannot "
                "change it.";
        break;
    default:
        where = "Move it to applicationHost.config: web.config files cannot change it.";
        break;
    }
    struct config_error *e =
        error_new(&n->arena, f->xml, x->line, x->column, CONFIG_E_LOCK_VIOLATION, eff->schema->path,
                  "%s", locked_text);

    error_remedy(e, &n->arena, "%s", where);
    return e;
}

/* ---- rules of single sections ---- */

/* httpErrors: a web.config may not name files outside of the site's folders. */
static const struct config_error *check_http_errors(struct config_node *n,
                                                    const struct config_elem *e, unsigned rank)
{
    static const char *const attrs[] = {"path", "prefixLanguageFilePath"};

    if (rank == 0 || config_bool(e, "allowAbsolutePathsWhenDelegated"))
        return NULL;
    for (size_t i = 0; i < e->n_items; i++) {
        const struct config_elem *item = e->items[i];
        if (item->rank != rank || !str_eq(config_enum_name(item, "responseMode"), STR("File")))
            continue;
        for (size_t k = 0; k < ARRAY_LEN(attrs); k++) {
            struct str path = config_str(item, attrs[k]), below = path;
            /* "/errors/404.htm" has no drive: to Windows that is a path below the site. */
            while (below.n && below.p[0] == '/')
                below = str_sub(below, 1, below.n);
            if (!paths_leave_folder(below))
                continue;
            struct config_error *err = error_new(
                &n->arena, item->src->file, item->src->line, item->src->column,
                CONFIG_E_INVALID_DATA, e->section,
                "Absolute physical path \"%.*s\" is not allowed in system.webServer/httpErrors "
                "section in web.config file. Use relative path instead.",
                STR_ARG(path));
            error_remedy(err, &n->arena, "Give a path below the folder of this web.config.");
            return err;
        }
    }
    return NULL;
}

static const struct {
    const char *section;
    const struct config_error *(*check)(struct config_node *n, const struct config_elem *e,
                                        unsigned rank);
} section_rules[] = {
    {"system.webServer/httpErrors", check_http_errors},
};

/* ---- the walk ---- */

struct build {
    struct config_node *n;
    struct effective *eff;
    struct config_elem *own; /* eff->elem, once it is a copy of this level */
};

/* An outer file opens what a file between it and this level has locked: contradictory. */
static bool contradicts(const struct effective *eff, const struct config_file *f,
                        const struct config_location *l)
{
    return l->mode == OVERRIDE_ALLOW && eff->is_denied && eff->state_rank > f->rank;
}

static bool contribute(struct build *b, const struct config_file *f,
                       const struct config_location *l, const struct xml_elem *x)
{
    struct effective *eff = b->eff;
    struct arena *a = &b->n->arena;

    if (eff->is_denied && (f->rank > eff->state_rank || contradicts(eff, f, l))) {
        eff->error = lock_error(b->n, eff, f, x);
        return false;
    }
    eff->error = check_definition(b->n, eff, f, x);
    if (eff->error)
        return false;
    if (!b->own)
        eff->elem = b->own = elem_copy(a, eff->elem);
    struct merge m = {
        .paths = b->n->config->paths, .arena = a, .section = eff->schema->path, .file = f};
    if (!merge_section(&m, b->own, x)) {
        eff->error = m.error;
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(section_rules); i++)
        if (strcmp(section_rules[i].section, eff->schema->path) == 0)
            eff->error = section_rules[i].check(b->n, b->own, f->rank);
    if (l->mode != OVERRIDE_INHERIT) {
        eff->is_denied = l->mode == OVERRIDE_DENY;
        eff->state_rank = f->rank;
        eff->state_elem = l->elem;
        eff->state_file = f->xml;
    }
    return !eff->error;
}

/* All that f says of the section for exactly this level. */
static bool contribute_file(struct build *b, const struct config_file *f)
{
    struct str path = str_z(b->eff->schema->path);

    for (size_t i = 0; i < f->n_occurrences; i++) {
        const struct occurrence *o = &f->occurrences[i];
        const struct config_location *l = &f->locations[o->location];
        if (!str_eq(o->path, path) || !str_eq(l->target, b->n->key))
            continue;
        if (b->eff->for_child_application && !l->inherit_in_child_applications && b->n->site)
            continue;
        if (!contribute(b, f, l, o->elem))
            return false;
    }
    return true;
}

/* Outermost file first. */
static bool contribute_chain(struct build *b, const struct config_file *f)
{
    return !f || (contribute_chain(b, f->up) && contribute_file(b, f));
}

static void begin_at_server(struct config_node *n, struct effective *eff)
{
    struct registration r;

    eff->elem = elem_new(&n->arena, n->config->paths, eff->schema->root, eff->schema->path);
    eff->is_denied = !eff->schema->allow_override;
    if (scan_find_section(n->file, str_z(eff->schema->path), &r)) {
        eff->is_denied = !r.allow_override;
        eff->state_elem = r.elem;
        eff->state_file = r.elem ? r.elem->file : NULL;
    }
}

const struct effective *section_at(struct config_node *n, const struct schema_section *schema,
                                   bool for_child_application)
{
    for (struct effective *e = n->sections; e; e = e->next)
        if (e->schema == schema && e->for_child_application == for_child_application)
            return e;
    struct effective *eff = ARENA_NEW(&n->arena, struct effective);

    eff->schema = schema;
    eff->for_child_application = for_child_application;
    if (!n->parent) {
        begin_at_server(n, eff);
    } else {
        bool crosses = n->is_application && n->parent->site;
        const struct effective *up =
            section_at(n->parent, schema, for_child_application || crosses);
        eff->elem = up->elem;
        eff->error = up->error;
        eff->is_denied = up->is_denied;
        eff->state_rank = up->state_rank;
        eff->state_elem = up->state_elem;
        eff->state_file = up->state_file;
    }
    struct build b = {.n = n, .eff = eff};

    if (!eff->error && contribute_chain(&b, n->chain) && !n->parent && b.own)
        merge_defaults(&n->arena, b.own);
    if (eff->error)
        eff->elem = NULL;
    eff->next = n->sections;
    n->sections = eff;
    return eff;
}

/* To its holders a node is constant; what it caches, under sections_lock, is not part of that. */
static struct config_node *writable(const struct config_node *n)
{
    return (struct config_node *)(uintptr_t)n;
}

static const struct schema_section *find_schema(const char *path)
{
    const struct schema_section *s = schema_section_find(str_z(path));

    INVARIANT(s && s->root);
    return s;
}

const struct config_elem *config_section(const struct config_node *n, const char *path,
                                         const struct config_error **ret_err)
{
    pthread_mutex_lock(&n->config->sections_lock);
    const struct effective *e = section_at(writable(n), find_schema(path), false);
    pthread_mutex_unlock(&n->config->sections_lock);
    if (e->error && ret_err)
        *ret_err = e->error;
    return e->elem;
}

static const struct typed *typed_at(struct config_node *n, const struct config_typed_loader *loader,
                                    const struct config_elem *elem)
{
    for (struct typed *t = n->typed; t; t = t->next)
        if (t->loader == loader)
            return t;
    struct typed *t = ARENA_NEW(&n->arena, struct typed);
    void *value = arena_zalloc(&n->arena, loader->size);

    t->loader = loader;
    if (loader->load(n, elem, &n->arena, value, &t->error) == RC_OK)
        t->value = value;
    INVARIANT(t->value || t->error);
    t->next = n->typed;
    n->typed = t;
    return t;
}

const void *config_typed(const struct config_node *node, const struct config_typed_loader *loader,
                         const struct config_error **ret_err)
{
    const struct schema_section *schema = find_schema(loader->section);
    const struct config_error *error;
    const void *value = NULL;
    struct config_node *n = writable(node);

    pthread_mutex_lock(&n->config->sections_lock);
    const struct effective *e = section_at(n, schema, false);
    error = e->error;
    if (e->elem) {
        while (n->parent && section_at(n->parent, schema, false)->elem == e->elem)
            n = n->parent;
        const struct typed *t = typed_at(n, loader, e->elem);
        error = t->error;
        value = t->value;
    }
    pthread_mutex_unlock(&node->config->sections_lock);
    if (!value && ret_err)
        *ret_err = error;
    return value;
}

const struct config_error *config_error_at(struct arena *a, const struct config_elem *e,
                                           const char *attr, uint32_t hresult, const char *fmt, ...)
{
    const struct xml_elem *x = e->src;
    const struct xml_attr *at = NULL;
    char *text = NULL;
    va_list ap;

    if (attr) {
        int i = schema_attr_index(e->schema, str_z(attr));
        INVARIANT(i >= 0);
        at = e->values[i].src;
        if (at)
            x = e->values[i].src_elem;
    }
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    struct config_error *err = error_new(a, x ? x->file : NULL, x ? x->line : 0, x ? x->column : 0,
                                         hresult, e->section, "%s", n < 0 ? "" : text);

    if (n >= 0)
        free(text);
    if (at) {
        err->at_line = at->line;
        err->at_column = at->column;
    }
    return err;
}
