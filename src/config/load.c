#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "config/files.h"
#include "config/internal.h"
#include "base/poison.h"

/* ---- the shipped server-level file ---- */

static void put_mime_map(struct buf *out)
{
    struct str rest = str_n(builtin_mime_map, builtin_mime_map_len), line, extension;

    while (str_split(&rest, '\n', &line)) {
        if (!str_split(&line, '\t', &extension))
            continue;
        buf_printf(out, "      <mimeMap fileExtension=\"%.*s\" mimeType=\"%.*s\" />\n",
                   STR_ARG(extension), STR_ARG(line));
    }
}

static void put_folder(struct buf *out, const char *folder)
{
    buf_str(out, STR("          <virtualDirectory path=\"/\" physicalPath=\""));
    buf_html(out, str_z(folder ? folder : "%SystemDrive%\\inetpub\\wwwroot"));
    buf_str(out, STR("\" />\n"));
}

static void put_bindings(struct buf *out, const char *const *bindings, size_t n)
{
    static const char *const otherwise[] = {"*:80:"};

    if (n == 0) {
        bindings = otherwise;
        n = 1;
    }
    for (size_t i = 0; i < n; i++) {
        struct str b = str_z(bindings[i]);
        bool https = str_starts(b, STR("https "));
        buf_printf(out, "          <binding protocol=\"http%s\" bindingInformation=\"",
                   https ? "s" : "");
        buf_html(out, https ? str_sub(b, 6, b.n) : b);
        buf_str(out, STR("\" />\n"));
    }
}

void config_builtin_text(struct buf *out, const char *folder, const char *const *bindings,
                         size_t n_bindings)
{
    struct str rest = str_n(builtin_application_host, builtin_application_host_len), line;

    while (str_split(&rest, '\n', &line)) {
        if (str_eq(line, STR("@mime map@"))) {
            put_mime_map(out);
        } else if (str_eq(line, STR("@folder@"))) {
            put_folder(out, folder);
        } else if (str_eq(line, STR("@bindings@"))) {
            put_bindings(out, bindings, n_bindings);
        } else {
            buf_str(out, line);
            buf_char(out, '\n');
        }
    }
}

/* ---- loading ---- */

static void config_free(struct config *c)
{
    config_invalidate(c, STR(""));
    node_release(c->server);
    free(c->buckets);
    paths_free(c->paths);
    pthread_mutex_destroy(&c->nodes_lock);
    pthread_mutex_destroy(&c->sections_lock);
    pthread_mutex_destroy(&c->watch_lock);
    arena_fini(&c->arena);
    free(c);
}

static void init_locks(struct config *c)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&c->sections_lock, &attr);
    pthread_mutexattr_destroy(&attr);
    pthread_mutex_init(&c->nodes_lock, NULL);
    pthread_mutex_init(&c->watch_lock, NULL);
}

static struct config *config_alloc(const struct config_options *o)
{
    struct config *c = xcalloc(1, sizeof(*c));

    atomic_init(&c->refs, 1);
    arena_init(&c->arena, 0);
    init_locks(c);
    c->n_buckets = 64;
    c->buckets = xcalloc(c->n_buckets, sizeof(struct config_node *));
    c->paths = paths_new(o->system_drive, o->env);
    c->web_config = arena_dup(&c->arena, str_z(o->web_config ? o->web_config : "web.config"));
    return c;
}

/* The bytes of the server-level file. */
static bool read_source(struct config *c, const struct config_options *o,
                        const struct config_error **ret_err)
{
    struct config_error *e;

    if (!o->path) {
        c->source_name = arena_dup(
            &c->arena, str_z(o->display_name ? o->display_name : "applicationHost.config"));
        c->source = arena_dup(&c->arena, o->bytes);
        return true;
    }
    char *full = realpath(o->path, NULL);
    c->source_name = arena_dup(&c->arena, str_z(full ? full : o->path));
    free(full);
    int err = files_read(&c->arena, c->source_name.p, SERVER_FILE_BYTES_MAX, &c->source);
    if (!err)
        return true;
    struct xml_file named = {.name = c->source_name};
    bool is_denied = err == EACCES || err == EPERM;
    e = error_new(&c->arena, &named, 0, 0,
                  is_denied       ? CONFIG_E_ACCESS_DENIED
                  : err == EFBIG  ? CONFIG_E_NOT_SUPPORTED
                  : err == ENOENT ? CONFIG_E_FILE_NOT_FOUND
                                  : CONFIG_E_PATH_NOT_FOUND,
                  NULL, "%s",
                  is_denied ? "Cannot read configuration file due to insufficient permissions"
                  : err == EFBIG
                      ? "Cannot read configuration file because it exceeds the maximum file size"
                      : "Cannot read configuration file");
    error_remedy(e, &c->arena, "The system says: %s.", strerror(err));
    *ret_err = e;
    return false;
}

static bool load(struct config *c, const struct config_options *o,
                 const struct config_error **ret_err)
{
    if (!read_source(c, o, ret_err))
        return false;
    c->server = node_new_server(c);
    if (c->server->file->n_errors) {
        *ret_err = c->server->file->errors[0];
        return false;
    }
    return server_settings(c, ret_err);
}

struct config *config_load_all(const struct config_options *o, struct config_error **ret_err,
                               void (*on_error)(void *arg, const struct config_error *e), void *arg)
{
    struct config *c = config_alloc(o);
    const struct config_error *e = NULL;

    if (load(c, o, &e))
        return c;
    const struct config_file *f = c->server ? c->server->file : NULL;
    for (size_t i = 0; on_error && f && i < f->n_errors; i++)
        on_error(arg, f->errors[i]);
    if (on_error && !(f && f->n_errors))
        on_error(arg, e);
    if (ret_err)
        *ret_err = error_export(e);
    config_free(c);
    return NULL;
}

struct config *config_load(const struct config_options *o, struct config_error **ret_err)
{
    return config_load_all(o, ret_err, NULL, NULL);
}

struct config *config_ref(struct config *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

struct config *config_unref(struct config *c)
{
    if (c && atomic_fetch_sub(&c->refs, 1) == 1)
        config_free(c);
    return NULL;
}

struct str config_source(const struct config *c)
{
    return c->source;
}

struct str config_source_name(const struct config *c)
{
    return c->source_name;
}

/* ---- accessors ---- */

const struct config_site *config_sites(const struct config *c, size_t *ret_n)
{
    *ret_n = c->n_sites;
    return c->sites;
}

const struct config_site *config_site_by_id(const struct config *c, uint32_t id)
{
    for (size_t i = 0; i < c->n_sites; i++)
        if (c->sites[i].id == id)
            return &c->sites[i];
    return NULL;
}

const struct config_pool *config_pools(const struct config *c, size_t *ret_n)
{
    *ret_n = c->n_pools;
    return c->pools;
}

const struct config_pool *config_pool_by_name(const struct config *c, struct str name)
{
    for (size_t i = 0; i < c->n_pools; i++)
        if (str_ieq(c->pools[i].name, name))
            return &c->pools[i];
    return NULL;
}

const struct config_web_limits *config_web_limits(const struct config *c)
{
    return &c->web_limits;
}

const struct config_log *config_log(const struct config *c)
{
    return &c->log;
}

struct str config_real_path(const struct config *c, struct arena *a, struct str path,
                            struct str base)
{
    return paths_real(c->paths, a, path, base);
}
