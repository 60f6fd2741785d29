/* HttpRedirectionModule: system.webServer/httpRedirect. A destination may hold $S (the URL below
 * the level that redirects), $V (the whole path), $Q (the query with '?'), $P (without), $0 to $9
 * (what the wildcard's stars stood for), or be "!" (do not redirect). */
#include "worker/modules/modules.h"

#include "config/config.h"
#include "worker/modules/text.h"

#include "base/poison.h"

#define SECTION "system.webServer/httpRedirect"

enum { CAPTURES = 10, LOCATION_MAX = 32 * 1024 };

struct wildcard {
    struct str pattern, destination;
};

struct redirect_conf {
    bool enabled, exact, child_only;
    struct str destination;
    const struct status_row *row;
    const struct wildcard *wildcards;
    size_t n_wildcards;
    /* URL of the level whose configuration says so, without final slash: "" for the site's root.
     * What a request has beyond it is $S. */
    struct str level;
};

/* ---- configuration ------------------------------------------------------------------------- */

static const struct status_row *row_of(uint32_t status)
{
    switch (status) {
    case 301:
        return &st_301_0_moved_permanently;
    case 307:
        return &st_307_0_temporary_redirect;
    case 308:
        return &st_308_0_permanent_redirect;
    default:
        return &st_302_0_found;
    }
}

/* Where the redirection was written: its destination, or the element if it has only wildcards. */
static struct config_source_pos origin(const struct config_elem *e)
{
    return config_is_set(e, "destination") ? config_attr_pos(e, "destination") : config_elem_pos(e);
}

static bool same_origin(const struct config_node *n, const struct config_source_pos *pos)
{
    const struct config_error *error;
    const struct config_elem *e = config_section(n, SECTION, &error);

    if (!e)
        return false;
    struct config_source_pos other = origin(e);

    return other.line == pos->line && other.column == pos->column && str_eq(other.file, pos->file);
}

/* The highest level that has this very element: there it was written, or above the site. */
static struct str defining_level(const struct config_node *node, const struct config_elem *e,
                                 struct arena *a)
{
    struct config_source_pos pos = origin(e);
    struct str level = config_node_url(node);
    const struct config_site *site = config_node_site(node);

    if (level.n && level.p[level.n - 1] == '/')
        level.n--;
    struct str best = level;

    while (site && level.n) {
        size_t slash = str_rfind_char(level, '/');
        const struct config_node *up;
        const struct config_error *error;

        level = str_sub(level, 0, slash == SIZE_MAX ? 0 : slash);
        enum rc rc = config_node_get(config_node_config(node), site->id, level.n ? level : STR("/"),
                                     &up, &error);

        if (rc == RC_DECLINED)
            break;
        if (rc == RC_OK && same_origin(up, &pos))
            best = level;
        (void)config_node_unref(up);
    }
    return arena_dup(a, best);
}

static const void *load_conf(const struct config_node *node, struct arena *a,
                             const struct config_error **ret_error)
{
    const struct config_elem *e = config_section(node, SECTION, ret_error);
    struct wildcard *list;

    if (!e)
        return NULL;
    struct redirect_conf *c = ARENA_NEW(a, struct redirect_conf);

    c->enabled = config_bool(e, "enabled");
    if (!c->enabled)
        return c;
    c->exact = config_bool(e, "exactDestination");
    c->child_only = config_bool(e, "childOnly");
    c->destination = config_str(e, "destination");
    c->row = row_of(config_enum(e, "httpResponseStatus"));
    c->level = defining_level(node, e, a);
    c->n_wildcards = config_n_items(e);
    c->wildcards = list = arena_zalloc(a, c->n_wildcards * sizeof(*list));
    for (size_t i = 0; i < c->n_wildcards; i++) {
        const struct config_elem *item = config_item(e, i);

        list[i] = (struct wildcard){config_str(item, "wildcard"), config_str(item, "destination")};
    }
    return c;
}

/* ---- matching ------------------------------------------------------------------------------- */

/* The pattern fits all of s, letter case aside; '*' stands for any run of bytes. captures[CAPTURES]
 * get what the first stars stood for. Backtracks to the last star only, so it is quadratic at
 * worst. */
static bool wildcard_match(struct str pattern, struct str s, struct str *captures)
{
    size_t p = 0;
    size_t i = 0;
    size_t star = SIZE_MAX; /* place of the last star in the pattern */
    size_t star_from = 0;   /* where its run begins in s */
    size_t star_to = 0;     /* and ends */
    size_t index = 0;       /* number of the last star */

    for (size_t k = 0; k < CAPTURES; k++)
        captures[k] = STR_NULL;
    while (i < s.n || p < pattern.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            index = star == SIZE_MAX ? 0 : index + 1;
            star = p++;
            star_from = star_to = i;
        } else if (p < pattern.n && i < s.n && ascii_lower(pattern.p[p]) == ascii_lower(s.p[i])) {
            p++;
            i++;
            continue;
        } else if (star != SIZE_MAX && star_to < s.n) {
            i = ++star_to;
            p = star + 1;
        } else {
            return false;
        }
        if (index < CAPTURES)
            captures[index] = str_sub(s, star_from, star_to);
    }
    return true;
}

/* What the request has beyond the level: "" or "/...". */
static struct str suffix_of(const struct redirect_conf *c, struct str path)
{
    return str_istarts(path, c->level) ? str_sub(path, c->level.n, path.n) : path;
}

/* The destination for this request before its variables are filled in; empty: no redirection. */
static struct str choose(const struct redirect_conf *c, struct str path, struct str suffix,
                         struct str *captures)
{
    for (size_t i = 0; i < c->n_wildcards; i++) {
        const struct wildcard *w = &c->wildcards[i];

        /* At the site's root both are the same; below it people write either. */
        if (wildcard_match(w->pattern, path, captures) ||
            wildcard_match(w->pattern, suffix, captures))
            return w->destination;
    }
    /* What a star of the last attempt stood for means nothing here. */
    for (size_t k = 0; k < CAPTURES; k++)
        captures[k] = STR_NULL;
    return c->destination;
}

/* ---- the answer ----------------------------------------------------------------------------- */

static bool has_scheme(struct str url)
{
    size_t colon = str_find_char(url, ':');
    size_t slash = str_find_char(url, '/');

    return colon != SIZE_MAX && colon > 0 && colon < slash;
}

static void append_query(struct buf *b, struct str query)
{
    if (query.n == 0)
        return;
    buf_char(b, '?');
    text_url_clean(b, query);
}

/* One variable, named by the character behind the '$'. False: it is none. */
static bool append_variable(struct buf *b, char name, const struct request *r, struct str suffix,
                            const struct str *captures)
{
    switch (ascii_lower(name)) {
    case 's':
        text_url_path(b, suffix);
        return true;
    case 'v':
        text_url_path(b, r->path);
        return true;
    case 'q':
        append_query(b, r->query);
        return true;
    case 'p':
        text_url_clean(b, r->query);
        return true;
    default:
        if (!ascii_is_digit(name))
            return false;
        text_url_path(b, captures[name - '0']);
        return true;
    }
}

static void append_destination(struct buf *b, const struct request *r, struct str destination,
                               struct str suffix, const struct str *captures)
{
    for (size_t i = 0; i < destination.n; i++) {
        if (destination.p[i] == '$' && i + 1 < destination.n &&
            append_variable(b, destination.p[i + 1], r, suffix, captures)) {
            i++;
            continue;
        }
        text_url_clean(b, str_n(destination.p + i, 1));
    }
}

static enum pipe_rc redirect(struct request *r, const struct redirect_conf *c,
                             struct str destination, struct str suffix, const struct str *captures)
{
    _cleanup_buf_ struct buf b = {0};

    buf_init(&b, LOCATION_MAX);
    if (!has_scheme(destination)) {
        buf_str(&b, request_base_url(r));
        if (destination.p[0] != '/' && destination.p[0] != '$')
            buf_char(&b, '/');
    }
    append_destination(&b, r, destination, suffix, captures);
    if (!c->exact) {
        bool has_query = str_find_char(buf_view(&b), '?') != SIZE_MAX;

        if (b.n && b.p[b.n - 1] == '/' && suffix.n && suffix.p[0] == '/')
            suffix = str_sub(suffix, 1, suffix.n);
        text_url_path(&b, suffix);
        if (!has_query)
            append_query(&b, r->query);
    }
    struct str location = text_keep(r, &b);

    if (location.n == 0)
        return request_fail(r, &st_500_0_module_error, 0x8007007a, STR("httpRedirect destination"));
    return text_document_moved(r, c->row, location);
}

static enum pipe_rc on_map(struct request *r, const void *conf)
{
    const struct redirect_conf *c = conf;
    struct str captures[CAPTURES];

    if (!c->enabled)
        return PIPE_CONTINUE;
    struct str suffix = suffix_of(c, r->path);

    /* Only what lies in the folder itself. */
    if (c->child_only && suffix.n && str_find_char(str_sub(suffix, 1, suffix.n), '/') != SIZE_MAX)
        return PIPE_CONTINUE;
    struct str destination = choose(c, r->path, suffix, captures);

    if (destination.n == 0 || str_eq(destination, STR("!")))
        return PIPE_CONTINUE;
    return redirect(r, c, destination, suffix, captures);
}

const struct module mod_http_redirection = {
    .name = "HttpRedirectionModule",
    .load_conf = load_conf,
    .hooks = {[N_MAP_REQUEST_HANDLER] = {on_map, PRI_MEDIUM}},
    .same_for_all = true,
};
