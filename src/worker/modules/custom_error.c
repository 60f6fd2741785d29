/* CustomErrorModule: what a client sees of a failed request (system.webServer/httpErrors). It never
 * lets its own configuration decide that there is no answer: with a faulty section it says so by
 * 500.19, drawn with the settings of the nearest level above that can be used. */
#include "worker/modules/modules.h"

#include <stdio.h>
#include <unistd.h>

#include "config/config.h"
#include "http/accept.h"
#include "http/url.h"
#include "worker/modules/custom_error_page.h"
#include "worker/modules/text.h"
#include "worker/open_file.h"
#include "worker/url_cache.h"

#include "base/poison.h"

#define SECTION "system.webServer/httpErrors"
#define SYSTEM_LANGUAGE "en-US"

enum error_mode { MODE_DETAILED_LOCAL_ONLY, MODE_CUSTOM, MODE_DETAILED };
enum existing_response { EXISTING_AUTO, EXISTING_REPLACE, EXISTING_PASS_THROUGH };
enum response_mode { RESPONSE_FILE, RESPONSE_EXECUTE_URL, RESPONSE_REDIRECT };

enum { LANGUAGES_MAX = 8, LANGUAGE_TAG_MAX = 35, ANY_SUBSTATUS = -1 };

/* Bytes of a child's query: a request's whole target may be in it, escaped. */
enum { QUERY_MAX = 256 * 1024 };

struct custom_entry {
    uint16_t status;
    int32_t substatus;
    enum response_mode mode;
    bool by_language;  /* File: folder holds one folder per language */
    bool shipped;      /* File: IIS installs this very file, and so we have its like built in */
    struct str folder; /* File: the real folder that path is relative to */
    struct str path;   /* File: as written; ExecuteURL: cooked, empty if it cannot be run */
    struct str query;  /* ExecuteURL: of the entry itself */
    struct str mime;   /* File */
};

struct error_conf {
    const struct config_error *error; /* of the section; NULL: sound */
    enum error_mode mode;
    enum existing_response existing;
    struct str link;
    const struct custom_entry *entries;
    size_t n_entries;
    struct custom_entry fallback; /* defaultPath; no path: none */
};

/* ---- configuration ------------------------------------------------------------------------- */

static bool is_absolute(struct str path)
{
    return path.n && (path.p[0] == '/' || path.p[0] == '\\' || (path.n > 1 && path.p[1] == ':'));
}

/* A relative path that leaves its folder is an absolute one in disguise. */
static bool climbs(struct str path)
{
    size_t start = 0;

    for (size_t i = 0; i <= path.n; i++) {
        if (i < path.n && path.p[i] != '/' && path.p[i] != '\\')
            continue;
        if (str_eq(str_sub(path, start, i), STR("..")))
            return true;
        start = i + 1;
    }
    return false;
}

static bool is_delegated(const struct config_node *node, const struct config_elem *e,
                         const char *attr)
{
    struct str file = config_attr_pos(e, attr).file;

    return file.n && !str_eq(file, config_source_name(config_node_config(node)));
}

/* A path as the author of a web.config means it: "/errors/404.htm" has no drive, so it is a file of
 * the site. Blanks around it do not count, as in config_real_path. */
static struct str below_site(struct str path)
{
    path = str_trim(path);
    while (path.n && path.p[0] == '/')
        path = str_sub(path, 1, path.n);
    return path;
}

/* NULL if the attribute may hold what it does. The author of a web.config may not name any file of
 * the machine. */
static const struct config_error *check_path(const struct config_node *node,
                                             const struct config_elem *e, const char *attr,
                                             struct arena *a)
{
    struct str path = config_str(e, attr), below = below_site(path);

    if (!is_delegated(node, e, attr) || !(is_absolute(below) || climbs(below)))
        return NULL;
    return config_error_at(a, e, attr, CONFIG_E_INVALID_DATA,
                           "Absolute physical path \"%.*s\" is not allowed in "
                           "system.webServer/httpErrors section in web.config file. Use relative "
                           "path instead.",
                           STR_ARG(path));
}

static struct str site_root(const struct config_node *node)
{
    const struct config_site *site = config_node_site(node);

    for (size_t i = 0; site && i < site->n_applications; i++) {
        const struct config_application *app = &site->applications[i];

        for (size_t k = 0; str_eq(app->path, STR("/")) && k < app->n_vdirs; k++)
            if (str_eq(app->vdirs[k].path, STR("/")))
                return app->vdirs[k].directory;
    }
    return STR_NULL;
}

static struct str extension_of(struct str path)
{
    size_t dot = str_rfind_char(path, '.');

    return dot == SIZE_MAX ? STR_NULL : str_sub(path, dot, path.n);
}

/* From staticContent, as for the file itself; nearly all are .htm, which needs no search. */
static struct str mime_of(const struct config_node *node, struct str path)
{
    struct str extension = extension_of(path);
    const struct config_error *error;

    if (extension.n == 0 || str_ieq(extension, STR(".htm")) || str_ieq(extension, STR(".html")))
        return STR("text/html");
    const struct config_elem *e = config_section(node, "system.webServer/staticContent", &error);

    for (size_t i = 0; e && i < config_n_items(e); i++)
        if (str_ieq(config_str(config_item(e, i), "fileExtension"), extension))
            return config_str(config_item(e, i), "mimeType");
    return STR("text/html");
}

/* The installed entries: %SystemDrive%\inetpub\custerr and <status>.htm. */
static bool is_shipped(uint16_t status, struct str prefix, struct str path)
{
    char name[24];

    snprintf(name, sizeof(name), "%u.htm", status);
    return str_ieq(path, str_z(name)) && error_page_shipped(status).n &&
           (str_iends(prefix, STR("\\inetpub\\custerr")) ||
            str_iends(prefix, STR("/inetpub/custerr")));
}

/* Fills in what the mode needs of a path. */
static void load_target(struct custom_entry *entry, const struct config_node *node,
                        struct str prefix, struct str path, struct arena *a)
{
    entry->path = path;
    if (entry->mode == RESPONSE_FILE) {
        entry->by_language = prefix.n > 0;
        entry->shipped = is_shipped(entry->status, prefix, path);
        entry->folder = prefix.n
                            ? config_real_path(config_node_config(node), a, prefix, site_root(node))
                            : site_root(node);
        entry->mime = mime_of(node, path);
    } else if (entry->mode == RESPONSE_EXECUTE_URL) {
        struct url_limits limits = url_limits_default();
        struct url_cooked url;
        size_t cap = URL_COOK_CAP(path.n);
        char *room = arena_alloc(a, cap);
        bool usable = path.n && path.p[0] == '/' &&
                      url_cook(path, &limits, room, cap, &url) == RC_OK && url.form == URL_ORIGIN;

        entry->path = usable ? url.path : STR_NULL;
        entry->query = usable ? url.query : STR_NULL;
    }
}

static const struct config_error *load_entry(struct custom_entry *entry,
                                             const struct config_node *node,
                                             const struct config_elem *item, bool allow_absolute,
                                             struct arena *a)
{
    const struct config_error *error = NULL;
    struct str prefix = config_str(item, "prefixLanguageFilePath"), path = config_str(item, "path");

    entry->status = (uint16_t)config_u32(item, "statusCode");
    entry->substatus = (int32_t)config_i64(item, "subStatusCode");
    entry->mode = (enum response_mode)config_enum(item, "responseMode");
    if (entry->mode == RESPONSE_FILE && !allow_absolute) {
        error = check_path(node, item, "path", a);
        if (!error)
            error = check_path(node, item, "prefixLanguageFilePath", a);
        path = is_delegated(node, item, "path") ? below_site(path) : path;
        prefix = is_delegated(node, item, "prefixLanguageFilePath") ? below_site(prefix) : prefix;
    }
    if (!error)
        load_target(entry, node, prefix, path, a);
    return error;
}

/* Items that cannot be used are left out; the first of them is the section's error. */
static void load_section(struct error_conf *c, const struct config_node *node,
                         const struct config_elem *e, struct arena *a)
{
    bool allow_absolute = config_bool(e, "allowAbsolutePathsWhenDelegated");
    size_t n = config_n_items(e);
    struct custom_entry *entries = arena_zalloc(a, n * sizeof(*entries));
    const struct config_error *error;

    c->mode = (enum error_mode)config_enum(e, "errorMode");
    c->existing = (enum existing_response)config_enum(e, "existingResponse");
    c->link = config_str(e, "detailedMoreInformationLink");
    c->entries = entries;
    for (size_t i = 0; i < n; i++) {
        error = load_entry(&entries[c->n_entries], node, config_item(e, i), allow_absolute, a);
        if (!error)
            c->n_entries++;
        else if (!c->error)
            c->error = error;
    }
    c->fallback.mode = (enum response_mode)config_enum(e, "defaultResponseMode");
    error = c->fallback.mode == RESPONSE_FILE && !allow_absolute
                ? check_path(node, e, "defaultPath", a)
                : NULL;
    if (!error)
        load_target(&c->fallback, node, STR_NULL, config_str(e, "defaultPath"), a);
    else if (!c->error)
        c->error = error;
}

static void unref_node(void *node)
{
    (void)config_node_unref(node);
}

/* The section of the nearest level above node that can be read, or NULL. *ret_node is its node,
 * which lives as long as a. */
static const struct config_elem *section_above(const struct config_node *node, struct arena *a,
                                               const struct config_node **ret_node)
{
    const struct config_site *site = config_node_site(node);
    struct str url = config_node_url(node);
    const struct config_error *error;

    while (site && url.n > 1) {
        size_t slash = str_rfind_char(str_sub(url, 0, url.n - 1), '/');
        const struct config_node *up;

        url = str_sub(url, 0, slash == SIZE_MAX || slash == 0 ? 1 : slash);
        if (config_node_get(config_node_config(node), site->id, url, &up, &error) == RC_DECLINED)
            return NULL;
        const struct config_elem *e = config_section(up, SECTION, &error);

        if (e) {
            union {
                const struct config_node *in;
                void *out;
            } held = {.in = up};

            arena_on_end(a, unref_node, held.out);
            *ret_node = up;
            return e;
        }
        (void)config_node_unref(up);
    }
    *ret_node = config_server_node(config_node_config(node));
    return config_section(*ret_node, SECTION, &error);
}

/* Never fails: see the top of the file. */
static const void *load_conf(const struct config_node *node, struct arena *a,
                             const struct config_error **ret_error)
{
    struct error_conf *c = ARENA_NEW(a, struct error_conf);
    const struct config_elem *e = config_section(node, SECTION, &c->error);

    *ret_error = NULL;
    if (e)
        c->error = NULL;
    else
        e = section_above(node, a, &node);
    if (e)
        load_section(c, node, e, a);
    return c;
}

/* ---- answers -------------------------------------------------------------------------------- */

static enum pipe_rc answer(struct request *r, struct str mime, struct str body)
{
    response_body_clear(r);
    (void)response_header_set(r, HDR_CONTENT_TYPE, mime);
    response_body_memory(r, body);
    return PIPE_CONTINUE;
}

/* custom_failed: the administrator meant to show something else. */
static enum pipe_rc answer_line(struct request *r, bool custom_failed)
{
    (void)answer(r, STR("text/html"), error_page_line(r->response.row->status));
    if (custom_failed)
        response_body_memory(r, error_page_note());
    return PIPE_CONTINUE;
}

static enum pipe_rc answer_detailed(struct request *r, struct str link)
{
    _cleanup_buf_ struct buf page = {0};

    buf_init(&page, ERROR_PAGE_MAX);
    error_page_detailed(&page, r, link);
    struct str body = text_keep(r, &page);

    if (body.n == 0)
        return answer_line(r, false);
    (void)response_header_set(r, HDR_CACHE_CONTROL, STR("private"));
    return answer(r, STR("text/html; charset=utf-8"), body);
}

/* As a folder's name: nothing but letters, digits and hyphens. */
static bool is_language(struct str tag)
{
    for (size_t i = 0; i < tag.n; i++)
        if (!ascii_is_alpha(tag.p[i]) && !ascii_is_digit(tag.p[i]) && tag.p[i] != '-')
            return false;
    return tag.n > 0 && tag.n <= LANGUAGE_TAG_MAX;
}

static struct open_file *open_in(struct request *r, const struct custom_entry *entry,
                                 struct str language)
{
    struct str relative =
        language.n ? arena_printf(&r->arena, "%.*s/%.*s", STR_ARG(language), STR_ARG(entry->path))
                   : entry->path;
    struct str path =
        config_real_path(config_node_config(r->url->node), &r->arena, relative, entry->folder);
    int error;

    return path.n ? request_open_file(r, path.p, &error) : NULL;
}

static struct open_file *open_by_language(struct request *r, const struct custom_entry *entry)
{
    struct http_language languages[LANGUAGES_MAX];
    struct open_file *file = NULL;

    /* Without the folder, the usual case on this system, no language needs a look. */
    if (access(entry->folder.p, X_OK) != 0)
        return NULL;
    size_t n =
        http_accept_languages(request_header(r, HDR_ACCEPT_LANGUAGE), languages, LANGUAGES_MAX);

    for (size_t i = 0; !file && i < n; i++)
        if (is_language(languages[i].tag))
            file = open_in(r, entry, languages[i].tag);
    return file ? file : open_in(r, entry, STR(SYSTEM_LANGUAGE));
}

static enum pipe_rc answer_file(struct request *r, const struct custom_entry *entry)
{
    struct open_file *file = NULL;

    if (r->url && entry->folder.n)
        file = entry->by_language ? open_by_language(r, entry) : open_in(r, entry, STR_NULL);
    if (file) {
        response_body_clear(r);
        (void)response_header_set(r, HDR_CONTENT_TYPE, entry->mime);
        response_body_file(r, file, 0, file->size);
        return PIPE_CONTINUE;
    }
    if (entry->shipped)
        return answer(r, STR("text/html"), error_page_shipped(entry->status));
    return answer_line(r, true);
}

static bool is_other_pool(struct request *r, struct str path)
{
    const struct url_entry *target = request_lookup_url(r, path);
    const struct config_application *theirs = target ? config_node_application(target->node) : NULL;
    const struct config_application *ours = r->url ? config_node_application(r->url->node) : NULL;

    return ours && theirs && !str_ieq(ours->pool, theirs->pool);
}

/* The page learns what failed from its query: status and original URL, always with the port. */
static struct str child_query(struct request *r, const struct custom_entry *entry)
{
    _cleanup_buf_ struct buf b = {0};

    buf_init(&b, QUERY_MAX);
    buf_str(&b, entry->query);
    if (entry->query.n)
        buf_char(&b, '&');
    buf_printf(&b, "%u;", r->response.row->status);
    buf_str(&b, error_page_requested_url(r));
    return text_keep(r, &b);
}

static enum pipe_rc answer_execute(struct request *r, const struct custom_entry *entry)
{
    if (entry->path.n == 0)
        return answer_line(r, true);
    if (is_other_pool(r, entry->path)) {
        response_status(r, &st_403_18_other_pool);
        return answer_line(r, true);
    }
    struct str query = child_query(r, entry);

    /* The child's status is what the client gets. */
    response_body_clear(r);
    response_status(r, &st_200_0_ok);
    enum pipe_rc rc = request_execute_get(r, entry->path, query);

    /* An error inside a custom error is not handled again; but it must not be silent either. */
    if (rc != PIPE_PENDING && r->response.row->status >= 400 && r->response.body_length == 0)
        (void)answer_line(r, true);
    return rc;
}

static enum pipe_rc answer_redirect(struct request *r, const struct custom_entry *entry)
{
    _cleanup_buf_ struct buf b = {0};

    buf_init(&b, MESSAGE_HEADERS_MAX / 4);
    if (entry->path.n && entry->path.p[0] == '/')
        buf_str(&b, request_base_url(r));
    text_url_clean(&b, entry->path);
    struct str location = text_keep(r, &b);

    if (location.n == 0)
        return answer_line(r, true);
    response_body_clear(r);
    (void)text_document_moved(r, &st_302_0_found, location);
    return PIPE_CONTINUE;
}

/* ---- choice --------------------------------------------------------------------------------- */

/* Statuses for which IIS documents that no page can be configured. What the listener answers never
 * gets here; for an application's own 400 or 503 an entry of its own is honoured all the same, as
 * IIS 10 does, but not defaultPath. 500 and 501 are on the list and yet among the shipped entries.
 */
static bool takes_fallback(const struct status_row *row)
{
    static const struct {
        uint16_t status;
        int16_t substatus;
    } rows[] = {{400, ANY_SUBSTATUS},
                {403, 9},
                {411, ANY_SUBSTATUS},
                {414, ANY_SUBSTATUS},
                {500, 11},
                {500, 14},
                {500, 15},
                {503, ANY_SUBSTATUS},
                {505, ANY_SUBSTATUS}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].status == row->status &&
            (rows[i].substatus == ANY_SUBSTATUS || rows[i].substatus == row->substatus))
            return false;
    return true;
}

static const struct custom_entry *find_entry(const struct error_conf *c,
                                             const struct status_row *row)
{
    const struct custom_entry *any = NULL;

    for (size_t i = 0; i < c->n_entries; i++) {
        const struct custom_entry *e = &c->entries[i];

        if (e->status != row->status)
            continue;
        if (e->substatus == row->substatus)
            return e;
        if (e->substatus == ANY_SUBSTATUS)
            any = e;
    }
    if (!any && c->fallback.path.n && takes_fallback(row))
        any = &c->fallback;
    return any;
}

static enum pipe_rc answer_custom(struct request *r, const struct error_conf *c)
{
    const struct custom_entry *entry = find_entry(c, r->response.row);

    if (!entry)
        return answer_line(r, false);
    switch (entry->mode) {
    case RESPONSE_EXECUTE_URL:
        return answer_execute(r, entry);
    case RESPONSE_REDIRECT:
        return answer_redirect(r, entry);
    case RESPONSE_FILE:
    default:
        return answer_file(r, entry);
    }
}

static enum pipe_rc on_send(struct request *r, const void *conf)
{
    const struct error_conf *c = conf;

    if (r->response.sent)
        return PIPE_CONTINUE;
    if (UNLIKELY(c->error != NULL) && r->failure.row != &st_500_19_config) {
        /* Whatever had gone wrong before: what the client would get for it is not known. */
        r->failure = (struct failure){0};
        (void)request_fail_config(r, c->error);
    }
    if (r->response.row->status < 400)
        return PIPE_CONTINUE;
    bool has_body = r->response.body_length > 0;
    bool detailed =
        c->mode == MODE_DETAILED || (c->mode == MODE_DETAILED_LOCAL_ONLY && r->is_local);

    if (c->existing == EXISTING_PASS_THROUGH)
        return has_body ? PIPE_CONTINUE : answer_line(r, false);
    if (c->existing == EXISTING_AUTO && r->response.skip_custom_errors)
        return PIPE_CONTINUE;
    if (!detailed)
        return answer_custom(r, c);
    if (has_body && c->existing != EXISTING_REPLACE)
        return PIPE_CONTINUE;
    return answer_detailed(r, c->link);
}

/* Behind modules that can still fail the request (priorities run backwards here), before those that
 * look at the response as it will leave. */
const struct module mod_custom_error = {
    .name = "CustomErrorModule",
    .load_conf = load_conf,
    .hooks = {[N_SEND_RESPONSE] = {on_send, PRI_LOW}},
    .same_for_all = true,
};
