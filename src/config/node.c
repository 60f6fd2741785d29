/* Levels of the hierarchy: from a URL path to a chain of nodes, each with the web.config of its
 * folder. Folders that exist and paths that a <location> names have a node; anything else belongs
 * to the node above it, so that requests for what does not exist cost no memory. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "config/files.h"
#include "config/internal.h"
#include "base/poison.h"

/* ---- making a node ---- */

static struct str lower(struct arena *a, struct str s)
{
    char *p = arena_dup_z(a, s);

    for (size_t i = 0; i < s.n; i++)
        p[i] = ascii_lower(p[i]);
    return str_n(p, s.n);
}

/* Is url at or below the virtual path top ("/" is above everything)? */
static bool is_below(struct str url, struct str top)
{
    if (top.n == 1)
        return true;
    return str_istarts(url, top) && (url.n == top.n || url.p[top.n] == '/');
}

static const struct config_application *find_application(const struct config_site *s,
                                                         struct str url)
{
    const struct config_application *best = NULL;

    for (size_t i = 0; i < s->n_applications; i++) {
        const struct config_application *a = &s->applications[i];
        if (is_below(url, a->path) && (!best || a->path.n > best->path.n))
            best = a;
    }
    return best;
}

static const struct config_vdir *find_vdir(const struct config_application *a, struct str url)
{
    const struct config_vdir *best = NULL;

    for (size_t i = 0; a && i < a->n_vdirs; i++) {
        const struct config_vdir *v = &a->vdirs[i];
        if (is_below(url, v->url) && (!best || v->url.n > best->url.n))
            best = v;
    }
    return best;
}

static struct config_error *file_error(struct config_node *n, struct str file, uint32_t hresult,
                                       const char *text)
{
    struct xml_file named = {.name = file};
    struct config_error *e = error_new(&n->arena, &named, 0, 0, hresult, NULL, "%s", text);

    e->is_scan = true;
    n->error = e;
    return e;
}

static void read_error(struct config_node *n, struct str file, int err)
{
    struct config_error *e;

    if (err == EACCES || err == EPERM) {
        e = file_error(n, file, CONFIG_E_ACCESS_DENIED,
                       "Cannot read configuration file due to insufficient permissions");
        error_remedy(e, &n->arena, "Let the worker's user read it and its folder.");
    } else if (err == EFBIG) {
        e = file_error(n, file, CONFIG_E_NOT_SUPPORTED,
                       "Cannot read configuration file because it exceeds the maximum file size");
        error_remedy(e, &n->arena, "Keep it below 250 KB, for example with configSource files.");
    } else {
        e = file_error(n, file, CONFIG_E_FILE_NOT_FOUND, "Cannot read configuration file");
        error_remedy(e, &n->arena, "The system says: %s.", strerror(err));
    }
}

/* The folder of an application or virtual directory has to exist. */
static void root_error(struct config_node *n, int err)
{
    struct str file =
        arena_printf(&n->arena, "%.*s/%.*s", STR_ARG(n->dir), STR_ARG(n->config->web_config));
    struct str path = n->vdir->physical_path;
    uint32_t hresult = CONFIG_E_PATH_NOT_FOUND;

    if (err == EACCES || err == EPERM) {
        read_error(n, file, err);
        return;
    }
    for (size_t i = 0; i < path.n; i++)
        if (strchr("*?\"<>|", path.p[i]))
            hresult = CONFIG_E_FILE_NOT_FOUND;
    if (err == ENOTDIR)
        hresult = CONFIG_E_DIRECTORY;
    struct config_error *e = file_error(n, file, hresult, "Cannot read configuration file");

    error_remedy(e, &n->arena,
                 "The physical path of %.*s, %.*s, is %s: create it or correct "
                 "physicalPath.",
                 STR_ARG(n->cpath), STR_ARG(n->dir), err == ENOTDIR ? "not a folder" : "not there");
}

static void use_file(struct config_node *n, const struct xml_file *xml)
{
    const struct config_file *up = n->parent ? n->parent->chain : NULL;
    struct config_file *f = scan_file(&n->arena, xml, up, up ? up->rank + 1 : 0, n->key);

    n->scanned = f;
    if (f->n_errors && n->parent) {
        n->error = f->errors[0];
        return;
    }
    n->file = f;
    n->chain = f;
}

static bool may_have_file(const struct config_node *n)
{
    const struct config_pool *pool = config_pool_by_name(n->config, n->application->pool);

    if (pool && !pool->enable_configuration_override)
        return false;
    return n->vdir->allow_sub_dir_config || str_ieq(n->url, n->vdir->url);
}

static void read_folder(struct config_node *n)
{
    struct str path, bytes;

    if (!paths_below(n->config->paths, &n->arena, n->dir, n->config->web_config, &path))
        return;
    int err = files_read(&n->arena, path.p, WEB_CONFIG_BYTES_MAX, &bytes);
    if (err == ENOENT)
        return;
    if (err)
        read_error(n, path, err);
    else
        use_file(n, xml_parse(&n->arena, path, bytes));
}

static struct config_node *node_alloc(struct config *c, struct config_node *parent)
{
    struct config_node *n = xcalloc(1, sizeof(*n));

    atomic_init(&n->refs, 1);
    arena_init(&n->arena, 0);
    n->config = c;
    n->parent = parent;
    if (parent) {
        atomic_fetch_add(&parent->refs, 1);
        n->chain = parent->chain;
    }
    return n;
}

struct config_node *node_new(struct config *c, struct config_node *parent,
                             const struct node_place *p)
{
    struct config_node *n = node_alloc(c, parent);
    struct arena *a = &n->arena;

    n->site = p->site;
    n->url = arena_dup(a, p->url);
    n->dir = arena_dup(a, p->dir);
    n->has_dir = p->has_dir;
    n->cpath = arena_printf(a, "%.*s%.*s", STR_ARG(p->site->name),
                            STR_ARG(p->url.n > 1 ? p->url : STR("")));
    n->path = arena_printf(a, "MACHINE/WEBROOT/APPHOST/%.*s", STR_ARG(n->cpath));
    n->key = lower(a, n->cpath);
    n->hash = hash_bytes(n->key.p, n->key.n);
    n->application = find_application(p->site, n->url);
    n->vdir = find_vdir(n->application, n->url);
    n->is_application = n->application && str_ieq(n->application->path, n->url);
    INVARIANT(n->application && n->vdir);
    if (p->bytes) {
        struct str name = arena_printf(a, "%.*s/%.*s", STR_ARG(n->dir), STR_ARG(c->web_config));
        use_file(n, xml_parse(a, name, *p->bytes));
    } else if (n->has_dir && may_have_file(n)) {
        watch_folder(c, n->dir);
        read_folder(n);
    } else if (n->has_dir) {
        watch_folder(c, n->dir);
    } else if (str_ieq(n->url, n->vdir->url)) {
        struct stat st;
        root_error(n, stat(n->dir.p, &st) == 0 ? ENOTDIR : errno);
    }
    return n;
}

struct config_node *node_new_server(struct config *c)
{
    struct config_node *n = node_alloc(c, NULL);

    n->url = n->dir = n->cpath = n->key = STR("");
    n->path = STR("MACHINE/WEBROOT/APPHOST");
    use_file(n, xml_parse(&n->arena, c->source_name, c->source));
    return n;
}

void node_release(struct config_node *n)
{
    while (n && atomic_fetch_sub(&n->refs, 1) == 1) {
        struct config_node *parent = n->parent;
        arena_fini(&n->arena);
        free(n);
        n = parent;
    }
}

/* ---- the cache; all with nodes_lock held ---- */

static struct config_node **cache_slot(struct config *c, struct str key)
{
    uint64_t h = hash_bytes(key.p, key.n);
    struct config_node **at = &c->buckets[h & (c->n_buckets - 1)];

    while (*at && ((*at)->hash != h || !str_eq((*at)->key, key)))
        at = &(*at)->hash_next;
    return at;
}

static void cache_grow(struct config *c)
{
    size_t n = c->n_buckets * 2;
    struct config_node **more = xcalloc(n, sizeof(struct config_node *));

    for (size_t i = 0; i < c->n_buckets; i++) {
        for (struct config_node *e = c->buckets[i], *next; e; e = next) {
            next = e->hash_next;
            e->hash_next = more[e->hash & (n - 1)];
            more[e->hash & (n - 1)] = e;
        }
    }
    free(c->buckets);
    c->buckets = more;
    c->n_buckets = n;
}

/* Takes nodes out of the cache: all, or those involving dir. Returns them linked by hash_next,
 * for the caller to release without the lock. */
static struct config_node *cache_remove(struct config *c, struct str dir)
{
    struct config_node *gone = NULL;

    for (size_t i = 0; i < c->n_buckets; i++) {
        for (struct config_node **at = &c->buckets[i]; *at;) {
            struct config_node *n = *at;
            bool involved = dir.n == 0;
            for (const struct config_node *p = n; p && p->site && !involved; p = p->parent)
                involved = str_starts(p->dir, dir) &&
                           (p->dir.n == dir.n || p->dir.p[dir.n] == '/' || dir.n == 1);
            if (!involved) {
                at = &n->hash_next;
                continue;
            }
            *at = n->hash_next;
            n->hash_next = gone;
            gone = n;
            c->n_nodes--;
        }
    }
    return gone;
}

static void release_all(struct config_node *n)
{
    while (n) {
        struct config_node *next = n->hash_next;
        node_release(n);
        n = next;
    }
}

void config_invalidate(struct config *c, struct str dir)
{
    while (dir.n > 1 && dir.p[dir.n - 1] == '/')
        dir.n--;
    pthread_mutex_lock(&c->nodes_lock);
    c->epoch++;
    struct config_node *gone = cache_remove(c, dir);
    pthread_mutex_unlock(&c->nodes_lock);
    release_all(gone);
}

static struct config_node *cache_find(struct config *c, struct str key)
{
    pthread_mutex_lock(&c->nodes_lock);
    struct config_node *n = *cache_slot(c, key);
    if (n)
        atomic_fetch_add(&n->refs, 1);
    pthread_mutex_unlock(&c->nodes_lock);
    return n;
}

static uint64_t cache_epoch(struct config *c)
{
    pthread_mutex_lock(&c->nodes_lock);
    uint64_t epoch = c->epoch;
    pthread_mutex_unlock(&c->nodes_lock);
    return epoch;
}

/* Puts n, made with all nodes above it since epoch, into the cache unless something was forgotten
 * meanwhile. Another thread's node for the same level wins. Takes over the caller's reference,
 * returns one. */
static struct config_node *cache_insert(struct config *c, struct config_node *n, uint64_t epoch)
{
    struct config_node *gone = NULL, *other = NULL;

    pthread_mutex_lock(&c->nodes_lock);
    if (c->epoch != epoch)
        goto out;
    struct config_node **slot = cache_slot(c, n->key);
    other = *slot;
    if (other) {
        atomic_fetch_add(&other->refs, 1);
        goto out;
    }
    if (c->n_nodes >= NODES_MAX)
        gone = cache_remove(c, STR(""));
    if (c->n_nodes >= c->n_buckets)
        cache_grow(c);
    slot = cache_slot(c, n->key);
    n->hash_next = *slot;
    *slot = n;
    c->n_nodes++;
    if (!n->has_dir)
        atomic_store(&c->has_bare_nodes, true);
    atomic_fetch_add(&n->refs, 1);
out:
    pthread_mutex_unlock(&c->nodes_lock);
    release_all(gone);
    if (other)
        node_release(n);
    return other ? other : n;
}

/* ---- from URL to node ---- */

/* Does a <location> of some file above name exactly this level? */
static bool is_located(const struct config_file *f, struct str key)
{
    for (; f; f = f->up)
        for (size_t i = 1; i < f->n_locations; i++)
            if (str_eq(f->locations[i].target, key))
                return true;
    return false;
}

struct walk {
    struct config *c;
    const struct config_site *site;
    struct config_node *at; /* deepest node so far, a reference */
    struct buf url;         /* of the level being looked at, "" for the root */
    struct buf key;
    size_t at_url_n; /* how much of url is at's */
    uint64_t epoch;  /* before anything was looked up */
};

static const struct config_vdir *vdir_at(const struct config_site *s, struct str url)
{
    const struct config_vdir *v = find_vdir(find_application(s, url), url);

    return v && str_ieq(v->url, url) ? v : NULL;
}

static bool is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Decides whether the level w stands on has a node, and makes it. */
static struct config_node *make_level(struct walk *w, struct arena *tmp)
{
    struct node_place p = {.site = w->site};
    const struct config_vdir *v;
    struct str rest;

    p.url = w->url.n ? buf_view(&w->url) : STR("/");
    v = vdir_at(w->site, p.url);
    if (v) {
        p.dir = v->directory;
        p.has_dir = is_dir(p.dir.p);
        return node_new(w->c, w->at, &p);
    }
    rest = str_sub(buf_view(&w->url), w->at_url_n + 1, w->url.n);
    if (!paths_below(w->c->paths, tmp, w->at->dir, rest, &p.dir))
        return NULL;
    /* One step below a folder that exists; deeper, a folder between is missing. */
    p.has_dir = w->at->has_dir && str_find_char(rest, '/') == SIZE_MAX && is_dir(p.dir.p);
    if (!p.has_dir && !is_located(w->at->chain, buf_view(&w->key)))
        return NULL;
    return node_new(w->c, w->at, &p);
}

/* Moves w->at to the level's node if it has one. */
static void step(struct walk *w)
{
    struct config_node *n = cache_find(w->c, buf_view(&w->key));

    if (!n) {
        struct arena tmp;
        arena_init(&tmp, 0);
        n = make_level(w, &tmp);
        arena_fini(&tmp);
        /* A folder that is not there cannot be watched, so that answer is not kept. */
        if (n && (n->has_dir || !n->error))
            n = cache_insert(w->c, n, w->epoch);
    }
    if (!n)
        return;
    if (w->at)
        node_release(w->at);
    w->at = n;
    w->at_url_n = w->url.n;
}

/* Appends a segment. False if no level can have that name. */
static bool enter(struct walk *w, struct str segment)
{
    if (str_eq(segment, STR("..")) || str_find_char(segment, '\\') != SIZE_MAX ||
        str_find_char(segment, '\0') != SIZE_MAX)
        return false;
    buf_char(&w->url, '/');
    buf_str(&w->url, segment);
    buf_char(&w->key, '/');
    for (size_t i = 0; i < segment.n; i++)
        buf_char(&w->key, ascii_lower(segment.p[i]));
    return !w->url.overflow && !w->key.overflow;
}

enum rc config_node_get(struct config *c, uint32_t site_id, struct str url_path,
                        const struct config_node **ret, const struct config_error **ret_err)
{
    const struct config_site *site = config_site_by_id(c, site_id);
    struct walk w = {.c = c, .site = site};
    struct str segment;
    unsigned levels = 0;

    if (!site || site->error)
        return RC_DECLINED;
    buf_init(&w.url, 65536);
    buf_init(&w.key, 65536 + site->name.n);
    for (size_t i = 0; i < site->name.n; i++)
        buf_char(&w.key, ascii_lower(site->name.p[i]));
    w.epoch = cache_epoch(c);
    w.at = c->server;
    atomic_fetch_add(&w.at->refs, 1);
    step(&w);
    while (!w.at->error && str_split(&url_path, '/', &segment)) {
        if (segment.n == 0 || str_eq(segment, STR(".")))
            continue;
        if (++levels > LEVELS_MAX || !enter(&w, segment))
            break;
        step(&w);
    }
    buf_fini(&w.url);
    buf_fini(&w.key);
    config_ref(c);
    *ret = w.at;
    if (!w.at->error)
        return RC_OK;
    if (ret_err)
        *ret_err = w.at->error;
    return RC_FAIL;
}

/* ---- what callers ask of a node ---- */

static struct config_node *counted(const struct config_node *n)
{
    return (struct config_node *)(uintptr_t)n;
}

const struct config_node *config_node_ref(const struct config_node *n)
{
    atomic_fetch_add(&counted(n)->refs, 1);
    config_ref(n->config);
    return n;
}

const struct config_node *config_node_unref(const struct config_node *n)
{
    if (n) {
        struct config *c = n->config;
        node_release(counted(n));
        config_unref(c);
    }
    return NULL;
}

const struct config_node *config_server_node(struct config *c)
{
    return c->server;
}

struct config *config_node_config(const struct config_node *n)
{
    return n->config;
}

const struct config_site *config_node_site(const struct config_node *n)
{
    return n->site;
}

const struct config_application *config_node_application(const struct config_node *n)
{
    return n->application;
}

const struct config_vdir *config_node_vdir(const struct config_node *n)
{
    return n->vdir;
}

struct str config_node_url(const struct config_node *n)
{
    return n->url;
}

struct str config_node_directory(const struct config_node *n)
{
    return n->dir;
}

struct str config_node_path(const struct config_node *n)
{
    return n->path;
}

const struct config_error *config_node_error(const struct config_node *n)
{
    return n->error;
}

size_t config_node_files(const struct config_node *n, struct str *out, size_t max)
{
    size_t count = 0, i = 0;

    for (const struct config_file *f = n->chain; f; f = f->up)
        count++;
    for (const struct config_file *f = n->chain; f; f = f->up, i++)
        if (count - 1 - i < max)
            out[count - 1 - i] = f->xml->name;
    return count < max ? count : max;
}

bool config_node_map(const struct config_node *n, struct str url_path, struct arena *a,
                     struct str *ret)
{
    struct str own = n->url, segment, skipped;

    /* Both count segments, since url_path may hold empty ones. */
    while (str_split(&own, '/', &segment)) {
        if (segment.n == 0)
            continue;
        do {
            if (!str_split(&url_path, '/', &skipped))
                return false;
        } while (skipped.n == 0 || str_eq(skipped, STR(".")));
    }
    return paths_below(n->config->paths, a, n->dir, url_path.p ? url_path : STR(""), ret);
}
