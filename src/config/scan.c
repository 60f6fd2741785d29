/* The first look at a file: what it registers, which sections it holds and for which paths. Needs
 * no schema of what is inside a section. */
#include <inttypes.h>

#include "config/internal.h"
#include "base/poison.h"

struct scan {
    struct arena *a;
    struct config_file *f;
};

/* Room for one more in an array that lives in the arena; the old one is abandoned there. */
static void *grow(struct arena *a, void *p, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return p;
    size_t more = *cap ? *cap * 2 : 8;
    void *q = arena_zalloc(a, more * size);

    if (n)
        memcpy(q, p, n * size);
    *cap = more;
    return q;
}

static struct str lower(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);

    for (size_t i = 0; i < s.n; i++)
        p[i] = ascii_lower(s.p[i]);
    p[s.n] = '\0';
    return str_n(p, s.n);
}

static struct str join(struct arena *a, struct str parent, struct str name)
{
    if (parent.n == 0)
        return name;
    return name.n ? arena_printf(a, "%.*s/%.*s", STR_ARG(parent), STR_ARG(name)) : parent;
}

static void fail(struct scan *s, struct config_error *e)
{
    struct config_file *f = s->f;

    if (f->n_errors == FILE_ERRORS_MAX)
        return;
    e->is_scan = true;
    f->errors = grow(s->a, f->errors, f->n_errors, &f->cap_errors, sizeof(*f->errors));
    f->errors[f->n_errors++] = e;
}

static struct config_error *fail_at(struct scan *s, const struct xml_elem *x, uint32_t hresult,
                                    const char *section, const char *text)
{
    struct config_error *e =
        error_new(s->a, s->f->xml, x->line, x->column, hresult, section, "%s", text);

    fail(s, e);
    return e;
}

/* ---- registrations ---- */

static bool own_section(const struct config_file *f, struct str path, struct registration *ret)
{
    for (size_t i = 0; i < f->n_registrations; i++) {
        if (str_eq(f->registrations[i].path, path)) {
            *ret = f->registrations[i];
            return true;
        }
    }
    return false;
}

bool scan_find_section(const struct config_file *f, struct str path, struct registration *ret)
{
    for (; f; f = f->up)
        if (own_section(f, path, ret))
            return true;
    const struct schema_section *s = schema_section_find(path);

    if (!s || s->definition == DEFINE_UNREGISTERED)
        return false;
    *ret = (struct registration){.path = path,
                                 .definition = s->definition,
                                 .schema = s,
                                 .allow_override = s->allow_override,
                                 .allow_location = true};
    return true;
}

static bool is_group(const struct config_file *f, struct str path)
{
    if (schema_is_group(path))
        return true;
    for (; f; f = f->up) {
        for (size_t i = 0; i < f->n_registrations; i++) {
            struct str p = f->registrations[i].path;
            if (p.n > path.n && p.p[path.n] == '/' && str_starts(p, path))
                return true;
        }
    }
    return false;
}

static const struct xml_elem *group_of_name(const struct xml_elem *parent, struct str name)
{
    for (const struct xml_elem *g = parent->first_child; g; g = g->next) {
        const struct xml_attr *at = xml_attr_find(g, STR("name"));
        if (str_eq(g->name, STR("sectionGroup")) && at && str_eq(at->value, name))
            return g;
    }
    return NULL;
}

/* Groups that a file opens without putting a section into them are still known. */
static bool is_declared_group(const struct config_file *f, struct str path)
{
    for (; f; f = f->up) {
        const struct xml_elem *x = f->xml->root ? f->xml->root->first_child : NULL;
        while (x && !str_eq(x->name, STR("configSections")))
            x = x->next;
        struct str rest = path, name;
        while (x && str_split(&rest, '/', &name))
            x = group_of_name(x, name);
        if (x && rest.n == 0)
            return true;
    }
    return false;
}

static bool parse_definition(struct str s, enum schema_definition *ret)
{
    static const struct {
        const char *name;
        enum schema_definition value;
    } names[] = {
        {"Everywhere", DEFINE_EVERYWHERE},
        {"MachineToApplication", DEFINE_MACHINE_TO_APPLICATION},
        {"MachineToRootWeb", DEFINE_MACHINE_TO_ROOT_WEB},
        {"MachineToWebRoot", DEFINE_MACHINE_TO_ROOT_WEB},
        {"MachineOnly", DEFINE_MACHINE_ONLY},
        {"AppHostOnly", DEFINE_APP_HOST_ONLY},
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(s, str_z(names[i].name))) {
            *ret = names[i].value;
            return true;
        }
    }
    return false;
}

static void invalid_attr(struct scan *s, const struct xml_attr *at, const char *section,
                         const char *sentence)
{
    fail(s, error_new(s->a, s->f->xml, at->line, at->column, CONFIG_E_INVALID_DATA, section,
                      "The '%.*s' attribute is invalid.  %s", STR_ARG(at->name), sentence));
}

static void register_section(struct scan *s, const struct xml_elem *x, struct str path)
{
    struct config_file *f = s->f;
    struct registration r = {.path = path,
                             .elem = x,
                             .schema = schema_section_find(path),
                             .allow_override = true,
                             .allow_location = true};
    struct registration old;

    for (size_t i = 0; i < x->n_attrs; i++) {
        const struct xml_attr *at = &x->attrs[i];
        if (str_eq(at->name, STR("allowDefinition"))) {
            if (!parse_definition(at->value, &r.definition))
                invalid_attr(s, at, path.p,
                             "Enum must be one of MachineOnly, MachineToRootWeb, "
                             "MachineToApplication, AppHostOnly, Everywhere");
        } else if (str_eq(at->name, STR("overrideModeDefault"))) {
            r.allow_override = !str_eq(at->value, STR("Deny"));
            if (r.allow_override && !str_eq(at->value, STR("Allow")))
                invalid_attr(s, at, path.p, "Enum must be one of Allow, Deny");
        } else if (str_eq(at->name, STR("allowLocation"))) {
            r.allow_location = !str_ieq(at->value, STR("false"));
        }
    }
    /* The server's own file may repeat what is shipped, and decides; files below may not. */
    if (own_section(f, path, &old) || (f->up && scan_find_section(f->up, path, &old))) {
        struct config_error *e =
            error_new(s->a, f->xml, x->line, x->column, CONFIG_E_ALREADY_EXISTS, path.p,
                      "There is a duplicate '%.*s' section defined", STR_ARG(path));
        error_remedy(e, s->a, "Remove this <section>: the section is already registered %s.",
                     old.elem && old.elem->file == f->xml ? "in this file" : "at a higher level");
        fail(s, e);
        return;
    }
    f->registrations = grow(s->a, f->registrations, f->n_registrations, &f->cap_registrations,
                            sizeof(*f->registrations));
    f->registrations[f->n_registrations++] = r;
}

static void register_all(struct scan *s, const struct xml_elem *parent, struct str group,
                         unsigned depth)
{
    for (const struct xml_elem *x = parent->first_child; x; x = x->next) {
        const struct xml_attr *name = xml_attr_find(x, STR("name"));
        bool is_section = str_eq(x->name, STR("section"));

        /* remove and clear of the old .NET language change nothing that is registered here. */
        if (str_eq(x->name, STR("remove")) || str_eq(x->name, STR("clear")))
            continue;
        if (!is_section && !str_eq(x->name, STR("sectionGroup"))) {
            struct config_error *e =
                error_new(s->a, s->f->xml, x->line, x->column, CONFIG_E_INVALID_DATA, NULL,
                          "Unrecognized element '%.*s'", STR_ARG(x->name));
            error_remedy(e, s->a,
                         "Only <section> and <sectionGroup> belong into "
                         "<configSections>.");
            fail(s, e);
        } else if (!name || name->value.n == 0) {
            fail_at(s, x, CONFIG_E_INVALID_DATA, NULL, "Missing required attribute 'name'");
        } else if (is_section) {
            register_section(s, x, arena_dup(s->a, join(s->a, group, name->value)));
        } else if (depth < 32) {
            register_all(s, x, join(s->a, group, name->value), depth + 1);
        }
    }
}

/* ---- sections in the file ---- */

static bool is_native(struct str path)
{
    return str_starts(path, STR("system.webServer/")) ||
           str_starts(path, STR("system.applicationHost/")) ||
           str_starts(path, STR("system.ftpServer/"));
}

static const char *nearest_section(struct str path)
{
    static const char *const others[] = {"system.webServer", "system.applicationHost",
                                         "system.ftpServer", "system.web",
                                         "location",         "configSections"};
    struct suggest g = {.wanted = path};

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        suggest_offer(&g, others[i]);
    for (size_t i = 0; i < schema_n_sections; i++)
        suggest_offer(&g, schema_sections[i].path);
    return suggest_best(&g);
}

static void unregistered(struct scan *s, const struct xml_elem *x, struct str path)
{
    struct config_error *e;
    const char *nearest = nearest_section(path);

    if (is_native(path)) {
        /* IIS gives neither text nor line here. */
        e = error_new(s->a, s->f->xml, 0, 0, CONFIG_E_INVALID_DATA, NULL, "%s", "");
        e->at_line = x->line;
        e->at_column = x->column;
    } else {
        e = error_new(s->a, s->f->xml, x->line, x->column, CONFIG_E_NOT_SUPPORTED, NULL,
                      "The configuration section '%.*s' cannot be read because it is missing a "
                      "section declaration",
                      STR_ARG(x->name));
    }
    e->section = arena_dup(s->a, path);
    if (nearest)
        error_remedy(e, s->a, "'%.*s' is not a known section; did you mean '%s'?", STR_ARG(path),
                     nearest);
    else
        error_remedy(e, s->a,
                     "'%.*s' is not a known section: correct its name or place, remove "
                     "it, or register it in <configSections>.",
                     STR_ARG(path));
    fail(s, e);
}

static void add_occurrence(struct scan *s, const struct xml_elem *x, struct registration *r,
                           size_t location)
{
    struct config_file *f = s->f;

    for (size_t i = 0; i < f->n_occurrences; i++) {
        const struct occurrence *o = &f->occurrences[i];
        if (!str_eq(o->path, r->path) ||
            !str_eq(f->locations[o->location].target, f->locations[location].target))
            continue;
        struct config_error *e =
            error_new(s->a, f->xml, x->line, x->column, CONFIG_E_ALREADY_EXISTS, r->path.p,
                      "Config section '%.*s' already defined. Sections must only appear once per "
                      "config file. See the help topic <location> for exceptions",
                      STR_ARG(r->path));
        error_remedy(e, s->a, "Merge it into the same section at line %u.", o->elem->line);
        fail(s, e);
        return;
    }
    if (location && !r->allow_location) {
        struct config_error *e = fail_at(s, x, CONFIG_E_INVALID_DATA, r->path.p,
                                         "This section may not be used in a <location>");
        error_remedy(e, s->a, "Move it out of the <location> at line %u.",
                     f->locations[location].elem->line);
        return;
    }
    f->occurrences =
        grow(s->a, f->occurrences, f->n_occurrences, &f->cap_occurrences, sizeof(*f->occurrences));
    f->occurrences[f->n_occurrences++] =
        (struct occurrence){.path = r->path, .elem = x, .location = location};
}

static void scan_location(struct scan *s, const struct xml_elem *x);

static void scan_sections(struct scan *s, const struct xml_elem *parent, struct str group,
                          size_t location, unsigned depth)
{
    for (const struct xml_elem *x = parent->first_child; x; x = x->next) {
        struct str path = arena_dup(s->a, join(s->a, group, x->name));
        struct registration r;

        if (s->f->n_errors == FILE_ERRORS_MAX)
            return;
        if (parent == s->f->xml->root && str_eq(x->name, STR("configSections")))
            continue;
        if (parent == s->f->xml->root && str_eq(x->name, STR("location")))
            scan_location(s, x);
        else if (scan_find_section(s->f, path, &r))
            add_occurrence(s, x, &r, location);
        else if (depth < 32 && (is_group(s->f, path) || is_declared_group(s->f, path)))
            scan_sections(s, x, path, location, depth + 1);
        else
            unregistered(s, x, path);
    }
}

/* ---- locations ---- */

static bool parse_bool(struct scan *s, const struct xml_attr *at, bool *ret)
{
    *ret = str_ieq(at->value, STR("true"));
    if (*ret || str_ieq(at->value, STR("false")))
        return true;
    invalid_attr(s, at, NULL, "Not a valid boolean");
    return false;
}

/* The path attribute as a configuration path. False if it is not a relative virtual path. */
static bool location_target(struct scan *s, struct str path, struct str *ret)
{
    struct str rest, segment;

    if (str_eq(path, STR(".")))
        path = STR("");
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    if (path.n && (path.p[0] == '/' || path.p[0] == '\\'))
        return false;
    rest = path;
    while (str_split(&rest, '/', &segment))
        if (str_eq(segment, STR("..")) || str_find_char(segment, '\\') != SIZE_MAX)
            return false;
    *ret = join(s->a, s->f->cpath, lower(s->a, path));
    return true;
}

static void override_attr(struct scan *s, const struct xml_attr *at, struct config_location *l)
{
    bool allow;

    if (str_eq(at->name, STR("allowOverride"))) {
        if (parse_bool(s, at, &allow))
            l->mode = allow ? OVERRIDE_ALLOW : OVERRIDE_DENY;
    } else if (str_eq(at->value, STR("Allow"))) {
        l->mode = OVERRIDE_ALLOW;
    } else if (str_eq(at->value, STR("Deny"))) {
        l->mode = OVERRIDE_DENY;
    } else if (!str_eq(at->value, STR("Inherit"))) {
        invalid_attr(s, at, NULL, "Enum must be one of Inherit, Allow, Deny");
    }
}

static void scan_location(struct scan *s, const struct xml_elem *x)
{
    struct config_file *f = s->f;
    struct config_location l = {
        .target = f->cpath, .inherit_in_child_applications = true, .elem = x};
    unsigned modes = 0;

    for (size_t i = 0; i < x->n_attrs; i++) {
        const struct xml_attr *at = &x->attrs[i];
        if (str_eq(at->name, STR("path"))) {
            if (!location_target(s, at->value, &l.target)) {
                invalid_attr(s, at, NULL, "The path must be relative to this level");
                return;
            }
        } else if (str_eq(at->name, STR("overrideMode")) ||
                   str_eq(at->name, STR("allowOverride"))) {
            override_attr(s, at, &l);
            if (++modes > 1)
                invalid_attr(s, at, NULL, "overrideMode and allowOverride exclude each other");
        } else if (str_eq(at->name, STR("inheritInChildApplications"))) {
            (void)parse_bool(s, at, &l.inherit_in_child_applications);
        } else {
            struct config_error *e =
                error_new(s->a, f->xml, at->line, at->column, CONFIG_E_INVALID_DATA, NULL,
                          "Unrecognized attribute '%.*s'", STR_ARG(at->name));
            error_remedy(e, s->a,
                         "<location> takes path, overrideMode, allowOverride and "
                         "inheritInChildApplications.");
            fail(s, e);
        }
    }
    f->locations =
        grow(s->a, f->locations, f->n_locations, &f->cap_locations, sizeof(*f->locations));
    f->locations[f->n_locations++] = l;
    scan_sections(s, x, STR(""), f->n_locations - 1, 0);
}

static void scan_config_sections(struct scan *s, const struct xml_elem *root)
{
    const struct xml_elem *first = root->first_child;

    for (const struct xml_elem *x = first; x; x = x->next) {
        if (!str_eq(x->name, STR("configSections")))
            continue;
        if (x == first) {
            register_all(s, x, STR(""), 0);
            continue;
        }
        struct config_error *e = fail_at(
            s, x, CONFIG_E_INVALID_DATA, NULL,
            "Only one <configSections> element allowed.  It must be the first child element of "
            "the root <configuration> element   ");
        error_remedy(e, s->a,
                     "Move its content into one <configSections> directly below "
                     "<configuration>.");
    }
}

struct config_file *scan_file(struct arena *a, const struct xml_file *xml,
                              const struct config_file *up, unsigned rank, struct str cpath)
{
    struct config_file *f = ARENA_NEW(a, struct config_file);
    struct scan s = {.a = a, .f = f};

    f->xml = xml;
    f->up = up;
    f->rank = rank;
    f->cpath = cpath;
    f->locations = grow(a, NULL, 0, &f->cap_locations, sizeof(*f->locations));
    f->locations[f->n_locations++] =
        (struct config_location){.target = cpath, .inherit_in_child_applications = true};
    if (!xml->root) {
        struct config_error *e =
            error_new(a, xml, xml->fault_line, xml->fault_column, CONFIG_E_INVALID_DATA, NULL,
                      "Configuration file is not well-formed XML");
        error_remedy(e, a, "Correct the XML: %.*s.", STR_ARG(xml->fault));
        fail(&s, e);
        return f;
    }
    if (!str_eq(xml->root->name, STR("configuration"))) {
        struct config_error *e =
            error_new(a, xml, xml->root->line, xml->root->column, CONFIG_E_INVALID_DATA, NULL,
                      "Unrecognized element '%.*s'", STR_ARG(xml->root->name));
        error_remedy(e, a, "The root element of a configuration file is <configuration>.");
        fail(&s, e);
        return f;
    }
    scan_config_sections(&s, xml->root);
    scan_sections(&s, xml->root, STR(""), 0, 0);
    return f;
}
