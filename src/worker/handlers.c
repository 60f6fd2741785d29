#include "worker/handlers.h"

#include "config/config.h"
#include "worker/modules/registry.h"
#include "worker/precondition.h"
#include "worker/url_cache.h"

#include "base/poison.h"

/* ---- patterns ------------------------------------------------------------------------------- */

static bool has_wildcard(struct str s)
{
    return str_find_char(s, '*') != SIZE_MAX || str_find_char(s, '?') != SIZE_MAX;
}

static struct handler_pattern classify(struct str s)
{
    struct handler_pattern p = {.text = s, .is_path = str_find_char(s, '/') != SIZE_MAX};

    if (str_eq(s, STR("*"))) {
        p.kind = PATTERN_ALL;
    } else if (str_eq(s, STR("*."))) {
        p.kind = PATTERN_NO_DOT;
    } else if (s.n > 1 && s.p[0] == '*' && !has_wildcard(str_sub(s, 1, s.n))) {
        p.kind = PATTERN_SUFFIX;
        p.text = str_sub(s, 1, s.n);
    } else {
        p.kind = has_wildcard(s) ? PATTERN_GLOB : PATTERN_NAME;
    }
    return p;
}

struct handler_pattern *handler_patterns_parse(struct str path, struct arena *a, size_t *ret_n)
{
    struct str rest = path, one;
    size_t n = 1, i = 0;

    for (size_t k = 0; k < path.n; k++)
        n += path.p[k] == ',';
    struct handler_pattern *p = arena_zalloc(a, n * sizeof(*p));

    while (p && i < n && str_split(&rest, ',', &one)) {
        one = str_trim(one);
        if (one.n)
            p[i++] = classify(one);
    }
    *ret_n = p ? i : 0;
    return p;
}

/* '*' any run, '?' one byte, letter case aside. Linear back-tracking: only the last star counts. */
static bool glob(struct str pattern, struct str s)
{
    size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;

    while (i < s.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            mark = i;
        } else if (p < pattern.n && (pattern.p[p] == '?' ||
                                     ascii_lower(pattern.p[p]) == ascii_lower(s.p[i]))) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

static bool segment_matches(const struct handler_pattern *p, struct str s)
{
    switch (p->kind) {
    case PATTERN_ALL:
        return true;
    case PATTERN_SUFFIX:
        return str_iends(s, p->text);
    case PATTERN_NO_DOT:
        return s.n > 0 && str_find_char(s, '.') == SIZE_MAX;
    case PATTERN_NAME:
        return str_ieq(s, p->text);
    case PATTERN_GLOB:
        return glob(p->text, s);
    }
    return false;
}

static bool path_matches(const struct handler_pattern *p, struct str path)
{
    switch (p->kind) {
    case PATTERN_SUFFIX:
        return str_iends(path, p->text);
    case PATTERN_NAME:
        /* "app/x.axd" fits at the end of any path, "/app/x.axd" only the path itself. */
        if (p->text.p[0] == '/')
            return str_ieq(path, p->text);
        return str_iends(path, p->text) && path.p[path.n - p->text.n - 1] == '/';
    case PATTERN_GLOB:
        if (p->text.p[0] != '/' && p->text.p[0] != '*')
            path = str_sub(path, 1, path.n);
        return glob(p->text, path);
    case PATTERN_ALL:
    case PATTERN_NO_DOT:
        break;
    }
    return false;
}

bool handler_pattern_matches(const struct handler_pattern *p, struct str path, size_t *ret_len)
{
    *ret_len = path.n;
    if (p->kind == PATTERN_ALL)
        return true;
    if (p->is_path)
        return (path.n > p->text.n || p->text.p[0] == '/') && path_matches(p, path);
    /* Each segment may be the script; what follows it is path info. An extensionless name is a
     * script only at the end, else every folder would be one. */
    size_t from = 1;

    while (from <= path.n) {
        size_t len = str_find_char(str_sub(path, from, path.n), '/');
        size_t end = len == SIZE_MAX ? path.n : from + len;
        bool last = end == path.n;
        if ((last || p->kind != PATTERN_NO_DOT) &&
            segment_matches(p, str_sub(path, from, end))) {
            *ret_len = end;
            return true;
        }
        from = end + 1;
    }
    return false;
}

/* ---- loading -------------------------------------------------------------------------------- */

static void load_modules(struct handler_mapping *m, const struct handler_modules *known,
                         struct arena *a)
{
    struct str rest = m->modules, name;
    size_t n = 1;

    for (size_t k = 0; k < rest.n; k++)
        n += rest.p[k] == ',';
    m->run = arena_zalloc(a, n * sizeof(*m->run));
    while (m->n_run < n && str_split(&rest, ',', &name)) {
        name = str_trim(name);
        if (!name.n)
            continue;
        struct handler_module *h = &m->run[m->n_run++];
        int index = registry_find(name);
        bool managed = str_ieq(name, STR("ManagedPipelineHandler"));
        bool listed = managed || (index >= 0 ? known->is_listed[index]
                                             : known->is_name_listed(known->arg, name));
        h->name = name;
        m->managed |= managed;
        m->is_static |= str_ieq(name, STR("StaticFileModule"));
        if (listed && index >= 0 && registry_at((unsigned)index)->execute) {
            h->module = registry_at((unsigned)index);
            h->index = (unsigned)index;
        } else if (m->fault == HANDLER_SOUND) {
            m->fault = listed ? HANDLER_NOT_BUILT : HANDLER_NOT_LISTED;
            m->faulty = name;
        }
    }
}

static void load_mapping(struct handler_mapping *m, const struct config_elem *e,
                         const struct pool_facts *pool, const struct handler_modules *known,
                         struct arena *a)
{
    m->name = config_str(e, "name");
    m->path = config_str(e, "path");
    m->verb = config_str(e, "verb");
    m->type = config_str(e, "type");
    m->modules = config_str(e, "modules");
    m->script_processor = config_str(e, "scriptProcessor");
    m->all_verbs = str_eq(str_trim(m->verb), STR("*"));
    m->applies = precondition_evaluate(config_str(e, "preCondition"), pool).holds;
    m->allow_path_info = config_bool(e, "allowPathInfo");
    m->resource = (enum handler_resource)config_enum(e, "resourceType");
    m->access = (enum handler_access)config_enum(e, "requireAccess");
    m->response_buffer_limit = config_u32(e, "responseBufferLimit");
    m->patterns = handler_patterns_parse(m->path, a, &m->n_patterns);
    load_modules(m, known, a);
}

void handler_list_load(struct handler_list *ret, const struct config_elem *section,
                       const struct pool_facts *pool, const struct handler_modules *modules,
                       struct arena *a)
{
    size_t n = config_n_items(section);

    *ret = (struct handler_list){.access_policy = config_flags(section, "accessPolicy"),
                                 .all = arena_zalloc(a, (n ? n : 1) * sizeof(*ret->all)),
                                 .n = n};
    for (size_t i = 0; i < n; i++)
        load_mapping(&ret->all[i], config_item(section, i), pool, modules, a);
}

/* ---- choosing ------------------------------------------------------------------------------- */

/* Verbs are case-sensitive, as methods are (RFC 9110 section 9.1). */
static bool verb_matches(const struct handler_mapping *m, struct str method)
{
    struct str rest = m->verb, one;

    if (m->all_verbs)
        return true;
    while (str_split(&rest, ',', &one))
        if (one = str_trim(one), str_eq(one, method) || str_eq(one, STR("*")))
            return true;
    return false;
}

static bool resource_fits(const struct handler_mapping *m, const struct url_entry *url, size_t len)
{
    if (url->kind == URL_KIND_MISSING) {
        /* With path info the script itself is the resource: a file, if it exists at all. */
        return len == url->path.n || m->resource != HANDLER_DIRECTORY;
    }
    /* Something stands at the whole path, so a segment before it is a folder and no script. */
    if (len < url->path.n)
        return false;
    switch (m->resource) {
    case HANDLER_FILE:
        return url->kind == URL_KIND_FILE;
    case HANDLER_DIRECTORY:
        return url->kind == URL_KIND_DIRECTORY;
    case HANDLER_EITHER:
    case HANDLER_UNSPECIFIED:
        return true;
    }
    return false;
}

static bool path_fits(const struct handler_mapping *m, const struct url_entry *url, size_t *ret_len)
{
    for (size_t i = 0; i < m->n_patterns; i++)
        if (handler_pattern_matches(&m->patterns[i], url->path, ret_len) &&
            resource_fits(m, url, *ret_len))
            return true;
    return false;
}

struct handler_choice handler_choose(const struct handler_list *l, const struct url_entry *url,
                                     struct str method)
{
    struct handler_choice choice = {.path_len = url->path.n};

    for (size_t i = 0; i < l->n; i++) {
        const struct handler_mapping *m = &l->all[i];
        size_t len;
        if (!path_fits(m, url, &len))
            continue;
        if (!m->applies) {
            choice.dynamic_content |= !m->is_static && m->access >= HANDLER_SCRIPT;
            continue;
        }
        if (!verb_matches(m, method))
            continue;
        choice.mapping = m;
        choice.path_len = len;
        break;
    }
    if (choice.mapping && !choice.mapping->is_static)
        choice.dynamic_content = false;
    return choice;
}
