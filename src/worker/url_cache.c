#include "worker/url_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/loop.h"
#include "config/config.h"
#include "worker/cache_offers.h"
#include "worker/dir_watch.h"
#include "worker/open_file.h"
#include "worker/plan.h"
#include "worker/thread.h"

#include "base/poison.h"

enum {
    URL_BUCKETS = 8192,
    FOUND_MAX = 8192,           /* entries for what exists */
    MISSING_MAX = 1024,         /* for what does not: a scanner must not push out the site */
    OPEN_MAX = 512,             /* of them with an open descriptor, all threads together */
    PLANS_MAX = 4096,           /* folders whose pipeline is kept, all threads together */
    CONTENT_MAX = 64 << 20,     /* file bytes in memory, all threads together */
    RECHECK_MS = 2000,
    FRESH_FILE_S = 2,           /* times of files are too coarse to tell younger states apart */
    TOUCH_MS = 1000,            /* order of use is kept to this precision */
};

struct lru {
    struct url_entry *newest, *oldest;
    size_t n;
};

struct url_cache {
    struct worker_thread *thread;
    struct url_entry *buckets[URL_BUCKETS];
    struct lru found, missing;
    size_t n_open;
    uint64_t content;
};

struct url_cache *url_cache_new(struct worker_thread *t)
{
    struct url_cache *c = xcalloc(1, sizeof(*c));

    c->thread = t;
    return c;
}

/* ---- order of use --------------------------------------------------------------------------- */

static struct lru *lru_of(struct url_cache *c, const struct url_entry *e)
{
    return e->kind == URL_KIND_MISSING ? &c->missing : &c->found;
}

static void lru_remove(struct lru *l, struct url_entry *e)
{
    *(e->lru_prev ? &e->lru_prev->lru_next : &l->newest) = e->lru_next;
    *(e->lru_next ? &e->lru_next->lru_prev : &l->oldest) = e->lru_prev;
    l->n--;
}

static void lru_add(struct lru *l, struct url_entry *e)
{
    e->lru_prev = NULL;
    e->lru_next = l->newest;
    *(l->newest ? &l->newest->lru_prev : &l->oldest) = e;
    l->newest = e;
    l->n++;
}

/* ---- entries -------------------------------------------------------------------------------- */

static void drop_file(struct url_cache *c, struct url_entry *e)
{
    if (!e->file)
        return;
    if (e->file->content)
        c->content -= e->file->size;
    else
        c->n_open--;
    e->file = open_file_unref(e->file);
}

static void free_entry(struct url_cache *c, struct url_entry *e)
{
    if (e->slot.free)
        e->slot.free(e->slot.data);
    drop_file(c, e);
    plan_unref(c->thread->plans, e->plan);
    dir_watch_put(c->thread->worker->watcher, e->dir);
    free(e);
}

void url_entry_ref(struct url_entry *e)
{
    e->refs++;
}

void url_entry_unref(struct url_cache *c, struct url_entry *e)
{
    if (--e->refs == 0)
        free_entry(c, e);
}

/* Takes the entry out of the cache; those who hold it keep it as it is. */
static void forget(struct url_cache *c, struct url_entry *e)
{
    struct url_entry **at = &c->buckets[e->hash % URL_BUCKETS];

    while (*at != e)
        at = &(*at)->hash_next;
    *at = e->hash_next;
    lru_remove(lru_of(c, e), e);
    e->in_cache = false;
    cache_offers_forget(c->thread->offers, e);
    url_entry_unref(c, e);
}

void url_cache_free(struct url_cache *c)
{
    if (!c)
        return;
    while (c->found.oldest)
        forget(c, c->found.oldest);
    while (c->missing.oldest)
        forget(c, c->missing.oldest);
    free(c);
}

static void keep_limits(struct url_cache *c)
{
    unsigned threads = c->thread->worker->n_threads;
    uint64_t content_max = CONTENT_MAX / threads;
    size_t open_max = OPEN_MAX / threads, plans_max = PLANS_MAX / threads;

    while (c->missing.n > MISSING_MAX)
        forget(c, c->missing.oldest);
    while (c->found.n > FOUND_MAX)
        forget(c, c->found.oldest);
    while (plan_table_count(c->thread->plans) > plans_max && c->missing.n > 0)
        forget(c, c->missing.oldest);
    /* Files of entries that requests still hold count until they are let go; the newest entry is
     * the one at hand and stays. */
    while ((c->content > content_max || c->n_open > open_max ||
            plan_table_count(c->thread->plans) > plans_max) &&
           c->found.n > 1)
        forget(c, c->found.oldest);
}

/* ---- names ---------------------------------------------------------------------------------- */

enum name_verdict { NAME_GOOD, NAME_INVALID, NAME_FORBIDDEN };

/* What NTFS cannot have as a name, or would take for another one: streams (a:b), wildcards, dots
 * and blanks at the end. Dot segments were resolved when the URL was cooked; here they must not
 * exist. */
static enum name_verdict check_name(struct str s)
{
    if (str_eq(s, STR(".")) || str_eq(s, STR("..")))
        return NAME_FORBIDDEN;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (ch == 0)
            return NAME_FORBIDDEN;
        if (ch < 0x20 || strchr(":*?\"<>|\\", ch))
            return NAME_INVALID;
    }
    if (s.n > 255 || (s.n && (s.p[s.n - 1] == '.' || s.p[s.n - 1] == ' ')))
        return NAME_INVALID;
    return NAME_GOOD;
}

/* Checks all segments; *ret_good is the length of the path before the first bad one. */
static enum name_verdict check_path(struct str path, size_t *ret_good)
{
    size_t from = 1;

    *ret_good = path.n;
    if (path.n == 0 || !path.p || path.p[0] != '/')
        return NAME_FORBIDDEN;
    while (from < path.n) {
        size_t len = str_find_char(str_sub(path, from, path.n), '/');
        size_t end = len == SIZE_MAX ? path.n : from + len;
        enum name_verdict v = check_name(str_sub(path, from, end));
        if (v != NAME_GOOD) {
            *ret_good = from > 1 ? from - 1 : 1;
            return v;
        }
        from = end + 1;
    }
    return NAME_GOOD;
}

/* ---- filling -------------------------------------------------------------------------------- */

static void take_stat(struct url_entry *e, const struct stat *st)
{
    e->kind = S_ISREG(st->st_mode)   ? URL_KIND_FILE
              : S_ISDIR(st->st_mode) ? URL_KIND_DIRECTORY
                                     : URL_KIND_OTHER;
    e->size = (uint64_t)st->st_size;
    e->mtime_s = st->st_mtim.tv_sec;
    e->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
    e->ctime_s = st->st_ctim.tv_sec;
    e->ctime_ns = (uint32_t)st->st_ctim.tv_nsec;
    e->ino = st->st_ino;
    e->dev = st->st_dev;
}

/* Hidden: the attribute user.candor.hidden says so ("1" or "0"), else names that begin with a
 * dot. */
static bool is_hidden(const char *physical)
{
    const char *name = strrchr(physical, '/');
    char value;

    if (getxattr(physical, "user.candor.hidden", &value, 1) == 1)
        return value != '0';
    return name && name[1] == '.';
}

/* A file may stand at a prefix of the path (script with path info). Only then does the kernel say
 * that something in it is not a directory. */
static void find_script(struct url_entry *e, const char *physical)
{
    _cleanup_free_ char *p = xstrdup(physical);
    size_t url = e->path.n;
    struct stat st;

    while (url > 1) {
        char *slash = strrchr(p, '/');
        while (url > 1 && e->path.p[url - 1] != '/')
            url--;
        if (!slash || slash == p || url <= 1)
            return;
        url--;
        *slash = '\0';
        if (stat(p, &st) == 0) {
            e->script_path_len = S_ISREG(st.st_mode) ? (uint32_t)url : 0;
            return;
        }
    }
}

static bool folder_exists(const char *physical)
{
    const char *slash = strrchr(physical, '/');
    _cleanup_free_ char *p = str_dup_z(str_n(physical, slash ? (size_t)(slash - physical) : 0));
    struct stat st;

    return stat(p, &st) == 0 && S_ISDIR(st.st_mode);
}

static void look_at_file(struct url_entry *e)
{
    struct stat st;
    bool slash = e->path.p[e->path.n - 1] == '/';

    if (stat(e->physical.p, &st) < 0) {
        e->error = errno;
        e->readable = errno != EACCES;
        if (errno == ENOTDIR)
            find_script(e, e->physical.p);
        e->missing_folder = !folder_exists(e->physical.p);
        return;
    }
    take_stat(e, &st);
    if (slash && e->kind == URL_KIND_FILE) {
        /* "/a.htm/" is the file with path info, not the file. */
        e->kind = URL_KIND_MISSING;
        e->error = ENOTDIR;
        e->script_path_len = (uint32_t)e->path.n - 1;
        e->readable = true;
        return;
    }
    e->readable = faccessat(AT_FDCWD, e->physical.p, e->kind == URL_KIND_DIRECTORY ? X_OK : R_OK,
                            AT_EACCESS) == 0;
    e->hidden = e->kind == URL_KIND_FILE && is_hidden(e->physical.p);
}

/* Watches the folder that would have to change for the entry to change. */
static void watch_folder(struct url_cache *c, struct url_entry *e)
{
    struct dir_watcher *w = c->thread->worker->watcher;
    _cleanup_free_ char *p = xstrdup(e->physical.p);

    e->dir = dir_watch_get(w, p); /* a folder: itself; a file is refused */
    for (unsigned up = 0; !e->dir && up < 32 && (errno == ENOENT || errno == ENOTDIR); up++) {
        char *slash = strrchr(p, '/');
        if (!slash || slash == p)
            break;
        *slash = '\0';
        e->dir = dir_watch_get(w, p);
    }
    if (e->dir)
        e->dir_version = atomic_load_explicit(&e->dir->version, memory_order_acquire);
}

static bool str_ends(struct str s, struct str suffix)
{
    return s.p && suffix.p && s.n >= suffix.n &&
           memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0;
}

static struct url_entry *new_entry(uint32_t site_id, struct str path, struct str physical,
                                   uint64_t hash)
{
    struct url_entry *e = xcalloc(1, sizeof(*e) + path.n + physical.n + 2);
    char *p = (char *)(e + 1);

    memcpy(p, path.p, path.n);
    e->path = str_n(p, path.n);
    p += path.n + 1;
    if (physical.n)
        memcpy(p, physical.p, physical.n);
    /* "/a/" and "/a" are one file name. */
    while (physical.n > 1 && p[physical.n - 1] == '/')
        physical.n--;
    p[physical.n] = '\0';
    e->physical = str_n(p, physical.n);
    e->site_id = site_id;
    e->hash = hash;
    e->refs = 1;
    e->kind = URL_KIND_MISSING;
    e->readable = true;
    return e;
}

static struct url_entry *make(struct url_cache *c, uint32_t site_id, struct str path, uint64_t hash)
{
    struct worker_thread *t = c->thread;
    const struct config_node *node;
    const struct config_error *error = NULL;
    size_t good;
    enum name_verdict verdict = check_path(path, &good);
    uint32_t version = t->config_version;

    if (verdict == NAME_FORBIDDEN)
        return NULL;
    struct str known = str_sub(path, 0, good);

    if (config_node_get(t->config, site_id, known, &node, &error) == RC_DECLINED)
        return NULL;
    struct arena a;
    struct str physical = STR_NULL;

    arena_init(&a, 1 << 20);
    bool mapped = config_node_map(node, known, &a, &physical);
    struct url_entry *e = new_entry(site_id, path, mapped ? physical : STR_NULL, hash);

    arena_fini(&a);
    e->node = node;
    e->config_error = error;
    e->plan = plan_get(t->plans, node); /* takes the reference over */
    e->config_version = version;
    if (error && t->worker->on_config_error)
        t->worker->on_config_error(t->worker, error);
    if (verdict == NAME_INVALID || !mapped || e->physical.n == 0) {
        e->error = EINVAL;
        return e;
    }
    e->inexact = !str_ends(e->physical, str_sub(known, config_node_url(node).n, known.n));
    watch_folder(c, e);
    look_at_file(e);
    return e;
}

/* ---- looking up ----------------------------------------------------------------------------- */

/* Written to again within one tick of the file system's clock, a file keeps its times. */
static bool may_have_changed_unseen(const struct url_entry *e)
{
    return e->kind == URL_KIND_FILE && clock_wall_us() / 1000000 - e->ctime_s < FRESH_FILE_S;
}

/* The file is still what the entry says. */
static bool still_true(struct url_cache *c, struct url_entry *e, uint64_t now)
{
    struct worker_thread *t = c->thread;
    uint32_t version = e->dir ? atomic_load_explicit(&e->dir->version, memory_order_acquire) : 0;
    struct stat st;

    if (e->config_version != t->config_version || (e->inexact && version != e->dir_version) ||
        (e->dir && e->dir->dead))
        return false;
    if (e->physical.n && e->error != EINVAL) {
        if (stat(e->physical.p, &st) < 0) {
            if (e->kind != URL_KIND_MISSING || errno != e->error)
                return false;
        } else {
            struct url_entry was = *e, is = *e;
            take_stat(&is, &st);
            bool read_now = faccessat(AT_FDCWD, e->physical.p,
                                      is.kind == URL_KIND_DIRECTORY ? X_OK : R_OK, AT_EACCESS) == 0;
            if (is.kind != was.kind || is.ino != was.ino || is.dev != was.dev ||
                is.size != was.size || is.mtime_s != was.mtime_s || is.mtime_ns != was.mtime_ns ||
                is.ctime_s != was.ctime_s || is.ctime_ns != was.ctime_ns ||
                (version != e->dir_version && may_have_changed_unseen(e)) ||
                read_now != e->readable ||
                (e->kind == URL_KIND_FILE && is_hidden(e->physical.p) != e->hidden))
                return false;
        }
    }
    e->dir_version = version;
    e->checked_ms = now;
    return true;
}

/* What is not there is looked for every time: whoever has just made a file must not be told that it
 * is missing because our notice of it is still under way. */
static bool is_fresh(const struct url_entry *e, const struct worker_thread *t, uint64_t now)
{
    return e->config_version == t->config_version && e->kind != URL_KIND_MISSING &&
           now - e->checked_ms < RECHECK_MS &&
           (!e->dir ||
            atomic_load_explicit(&e->dir->version, memory_order_acquire) == e->dir_version);
}

static struct url_entry *find(struct url_cache *c, uint32_t site_id, struct str path, uint64_t hash)
{
    struct url_entry *e = c->buckets[hash % URL_BUCKETS];

    while (e && (e->hash != hash || e->site_id != site_id || !str_eq(e->path, path)))
        e = e->hash_next;
    return e;
}

struct url_entry *url_cache_get(struct url_cache *c, uint32_t site_id, struct str path)
{
    struct worker_thread *t = c->thread;
    uint64_t now = loop_now_ms(t->loop);
    uint64_t hash = hash_bytes(path.p, path.n) ^ site_id * UINT64_C(0x9e3779b97f4a7c15);

    worker_thread_refresh(t);
    struct url_entry *e = find(c, site_id, path, hash);

    if (LIKELY(e && is_fresh(e, t, now))) {
        if (now - e->touched_ms > TOUCH_MS) {
            e->touched_ms = now;
            lru_remove(lru_of(c, e), e);
            lru_add(lru_of(c, e), e);
        }
        e->refs++;
        return e;
    }
    if (e && still_true(c, e, now)) {
        e->refs++;
        return e;
    }
    if (e)
        forget(c, e);
    e = make(c, site_id, path, hash);
    if (!e)
        return NULL;
    e->checked_ms = e->touched_ms = now;
    e->refs++; /* the cache's */
    e->in_cache = true;
    e->hash_next = c->buckets[hash % URL_BUCKETS];
    c->buckets[hash % URL_BUCKETS] = e;
    lru_add(lru_of(c, e), e);
    keep_limits(c);
    return e;
}

bool url_entry_is_in_doubt(const struct url_entry *e)
{
    return !e->dir || atomic_load_explicit(&e->dir->dead, memory_order_relaxed) ||
           atomic_load_explicit(&e->dir->version, memory_order_acquire) != e->dir_version;
}

bool url_entry_is_current(const struct url_cache *c, const struct url_entry *e)
{
    const struct worker_thread *t = c->thread;

    return e->in_cache && e->config_version == t->config_version &&
           atomic_load_explicit(&t->worker->config_version, memory_order_acquire) ==
               t->config_version &&
           !url_entry_is_in_doubt(e);
}

bool url_cache_recheck(struct url_cache *c, struct url_entry *e)
{
    if (still_true(c, e, loop_now_ms(c->thread->loop)))
        return true;
    forget(c, e);
    return false;
}

struct open_file *url_entry_file(struct url_cache *c, struct url_entry *e)
{
    if (e->file)
        return e->file;
    struct open_file *f = open_file_new(e->physical.p);

    if (!f)
        return NULL;
    /* What is served is what was opened, even if it was replaced a moment ago. */
    e->size = f->size;
    e->mtime_s = f->mtime_s;
    e->mtime_ns = f->mtime_ns;
    e->ctime_s = f->ctime_s;
    e->ctime_ns = f->ctime_ns;
    e->ino = f->ino;
    e->dev = f->dev;
    e->file = f;
    if (f->content)
        c->content += f->size;
    else
        c->n_open++;
    keep_limits(c);
    return f;
}
