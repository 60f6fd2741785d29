#include "config/paths.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/poison.h"

/* Listings kept for names that do not exist as written (requests for what is not there), and how
 * large a folder may be to be kept. Together they bound the memory. */
enum { LISTINGS = 32, LISTING_MAX = 16384, PATH_BYTES_MAX = 32768 };

/* A folder changed less than this ago may change again without its time stamp showing it. */
enum { FRESH_US = 100000 };

struct listing {
    char *dir;
    dev_t dev;
    ino_t ino;
    struct timespec mtime;
    char *names;     /* NUL-terminated, one after the other */
    uint32_t *table; /* offset + 1 into names, by hash; 0: free */
    size_t table_size;
};

struct paths {
    char *drive; /* without a trailing slash; "" for "/" */
    char **env;
    pthread_mutex_t lock;
    struct listing listings[LISTINGS];
};

struct paths *paths_new(const char *drive, const char *const *env)
{
    struct paths *p = xcalloc(1, sizeof(*p));
    size_t n = 0;

    if (!env)
        env = (const char *const *)environ;
    while (env && env[n])
        n++;
    p->env = xcalloc(n + 1, sizeof(*p->env));
    for (size_t i = 0; i < n; i++)
        p->env[i] = xstrdup(env[i]);
    struct str d = str_z(drive ? drive : "");
    while (d.n && d.p[d.n - 1] == '/')
        d.n--;
    p->drive = str_dup_z(d);
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

static void listing_fini(struct listing *l)
{
    free(l->dir);
    free(l->names);
    free(l->table);
    *l = (struct listing){0};
}

void paths_free(struct paths *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < LISTINGS; i++)
        listing_fini(&p->listings[i]);
    for (size_t i = 0; p->env[i]; i++)
        free(p->env[i]);
    free(p->env);
    free(p->drive);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- variables ---- */

static const struct {
    const char *name, *value;
} windows_variables[] = {
    {"SystemDrive", "C:"},
    {"SystemRoot", "C:\\Windows"},
    {"windir", "C:\\Windows"},
    {"ProgramFiles", "C:\\Program Files"},
    {"ProgramFiles(x86)", "C:\\Program Files (x86)"},
    {"ProgramData", "C:\\ProgramData"},
};

static bool find_variable(const struct paths *p, struct str name, struct str *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(windows_variables); i++) {
        if (str_ieq(name, str_z(windows_variables[i].name))) {
            *ret = str_z(windows_variables[i].value);
            return true;
        }
    }
    for (size_t i = 0; p->env[i]; i++) {
        struct str e = str_z(p->env[i]);
        size_t eq = str_find_char(e, '=');
        if (eq != SIZE_MAX && str_ieq(name, str_sub(e, 0, eq))) {
            *ret = str_sub(e, eq + 1, e.n);
            return true;
        }
    }
    return false;
}

struct str paths_expand(const struct paths *p, struct arena *a, struct str text)
{
    struct buf b;

    if (str_find_char(text, '%') == SIZE_MAX)
        return text;
    buf_init(&b, 1u << 20);
    while (text.n) {
        size_t open = str_find_char(text, '%');
        buf_str(&b, str_sub(text, 0, open));
        if (open == SIZE_MAX)
            break;
        text = str_sub(text, open + 1, text.n);
        size_t close = str_find_char(text, '%');
        struct str value;
        if (close != SIZE_MAX && close > 0 && find_variable(p, str_sub(text, 0, close), &value)) {
            buf_str(&b, value);
            text = str_sub(text, close + 1, text.n);
        } else {
            buf_char(&b, '%');
        }
    }
    struct str out = arena_dup(a, buf_view(&b));

    buf_fini(&b);
    return out;
}

/* ---- letter case ---- */

static uint64_t name_hash(struct str name)
{
    return hash_ibytes(name.p, name.n);
}

static const char *listing_find(const struct listing *l, struct str name)
{
    size_t at = name_hash(name) & (l->table_size - 1);

    for (; l->table[at]; at = (at + 1) & (l->table_size - 1)) {
        const char *z = l->names + l->table[at] - 1;
        if (str_ieq(str_z(z), name))
            return z;
    }
    return NULL;
}

static void listing_index(struct listing *l, size_t n, size_t bytes)
{
    l->table_size = 16;
    while (l->table_size < n * 2)
        l->table_size *= 2;
    l->table = xcalloc(l->table_size, sizeof(*l->table));
    for (size_t off = 0; off < bytes; off += strlen(l->names + off) + 1) {
        size_t at = name_hash(str_z(l->names + off)) & (l->table_size - 1);
        while (l->table[at])
            at = (at + 1) & (l->table_size - 1);
        l->table[at] = (uint32_t)off + 1;
    }
}

/* Reads the folder into l. False if it cannot be read or is too large to keep; in that case a
 * match for name, if seen, is put into *found (malloc). */
static bool listing_read(struct listing *l, const char *dir, struct str name, char **found)
{
    DIR *d = opendir(dir);
    struct buf names;
    size_t n = 0;

    if (!d)
        return false;
    buf_init(&names, (size_t)LISTING_MAX * 256);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (!*found && str_ieq(str_z(e->d_name), name))
            *found = xstrdup(e->d_name);
        if (++n <= LISTING_MAX)
            buf_append(&names, e->d_name, strlen(e->d_name) + 1);
        else if (*found)
            break;
    }
    closedir(d);
    if (n > LISTING_MAX || names.overflow || names.n == 0) {
        buf_fini(&names);
        return false;
    }
    free(*found);
    *found = NULL;
    l->names = names.p;
    listing_index(l, n, names.n);
    return true;
}

static bool listing_is_current(const struct listing *l, const char *dir, const struct stat *st)
{
    return l->dir && strcmp(l->dir, dir) == 0 && l->dev == st->st_dev && l->ino == st->st_ino &&
           l->mtime.tv_sec == st->st_mtim.tv_sec && l->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

/* The spelling under which dir holds name, by malloc, or NULL. */
static char *find_spelling(struct paths *p, const char *dir, struct str name)
{
    struct stat st;
    char *found = NULL;

    if (stat(*dir ? dir : "/", &st) < 0 || !S_ISDIR(st.st_mode))
        return NULL;
    pthread_mutex_lock(&p->lock);
    struct listing *l = &p->listings[hash_bytes(dir, strlen(dir)) % LISTINGS];
    if (!listing_is_current(l, dir, &st)) {
        listing_fini(l);
        if (listing_read(l, *dir ? dir : "/", name, &found)) {
            int64_t mtime_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
            l->dev = st.st_dev;
            l->ino = st.st_ino;
            l->mtime = st.st_mtim;
            /* Without a name the listing serves this one call and is read again next time. */
            if (clock_wall_us() - mtime_us > FRESH_US)
                l->dir = xstrdup(dir);
        }
    }
    if (!found && l->table) {
        const char *z = listing_find(l, name);
        found = z ? xstrdup(z) : NULL;
    }
    pthread_mutex_unlock(&p->lock);
    return found;
}

/* Appends "/" and the real spelling of name to *b, which holds a folder (possibly ""). Once
 * *exists is false nothing below can exist, and names are taken as written. */
static void append_component(struct paths *p, struct buf *b, struct str name, bool *exists)
{
    size_t dir_len = b->n;
    struct stat st;

    buf_char(b, '/');
    buf_str(b, name);
    buf_char(b, '\0');
    if (b->overflow || !*exists)
        goto out;
    if (lstat(b->p, &st) == 0 || (errno != ENOENT && errno != ENOTDIR))
        goto out;
    b->p[dir_len] = '\0';
    char *spelling = errno == ENOENT ? find_spelling(p, b->p, name) : NULL;
    b->p[dir_len] = '/';
    if (spelling && strlen(spelling) == name.n)
        memcpy(b->p + dir_len + 1, spelling, name.n);
    else
        *exists = false;
    free(spelling);
out:
    if (!b->overflow)
        b->n--; /* the NUL */
}

/* ---- mapping ---- */

bool paths_is_windows_absolute(struct str s)
{
    return (s.n >= 2 && ascii_is_alpha(s.p[0]) && s.p[1] == ':') || (s.n >= 1 && s.p[0] == '\\');
}

bool paths_leave_folder(struct str path)
{
    path = str_trim(path); /* as paths_real does */
    if (path.n && (path.p[0] == '/' || paths_is_windows_absolute(path)))
        return true;
    while (path.n) {
        size_t end = 0;
        while (end < path.n && path.p[end] != '/' && path.p[end] != '\\')
            end++;
        if (str_eq(str_sub(path, 0, end), STR("..")))
            return true;
        path = str_sub(path, end + 1, path.n);
    }
    return false;
}

/* Adds the components of text (either slash) to b, whose first floor bytes ".." may not leave. */
static void append_path(struct paths *p, struct buf *b, struct str text, size_t floor)
{
    bool exists = true;

    while (text.n) {
        size_t end = 0;
        while (end < text.n && text.p[end] != '/' && text.p[end] != '\\')
            end++;
        struct str name = str_sub(text, 0, end);
        text = str_sub(text, end + 1, text.n);
        if (name.n == 0 || str_eq(name, STR(".")))
            continue;
        if (str_eq(name, STR(".."))) {
            size_t up = str_rfind_char(str_sub(buf_view(b), floor, b->n), '/');
            if (up != SIZE_MAX)
                b->n = floor + up;
            exists = true;
            continue;
        }
        append_component(p, b, name, &exists);
    }
}

/* A path too long for any file becomes one that cannot exist. */
static struct str finish(struct arena *a, struct buf *b)
{
    struct str s = arena_dup(a, b->overflow ? STR("/dev/null/too-long")
                                : b->n      ? buf_view(b)
                                            : STR("/"));

    buf_fini(b);
    return s;
}

struct str paths_real(struct paths *p, struct arena *a, struct str text, struct str base)
{
    struct buf b;

    text = str_trim(paths_expand(p, a, text));
    if (str_starts(text, STR("\\\\?\\")))
        text = str_sub(text, 4, text.n);
    size_t nul = str_find_char(text, '\0');
    text = str_sub(text, 0, nul);
    buf_init(&b, PATH_BYTES_MAX);
    if (text.n >= 2 && ascii_is_alpha(text.p[0]) && text.p[1] == ':') {
        buf_str(&b, str_z(p->drive));
        append_path(p, &b, str_sub(text, 2, text.n), b.n);
    } else if (str_starts(text, STR("\\\\"))) {
        buf_str(&b, str_z(p->drive));
        buf_str(&b, STR("/UNC"));
        append_path(p, &b, text, b.n);
    } else if (text.n && text.p[0] == '\\') {
        buf_str(&b, str_z(p->drive));
        append_path(p, &b, text, b.n);
    } else if (text.n && text.p[0] == '/') {
        append_path(p, &b, text, 0);
    } else {
        while (base.n && base.p[base.n - 1] == '/')
            base.n--;
        buf_str(&b, base);
        append_path(p, &b, text, 0);
    }
    return finish(a, &b);
}

bool paths_below(struct paths *p, struct arena *a, struct str dir, struct str rest, struct str *ret)
{
    struct buf b;
    bool exists = true, ok = true;
    struct str name;

    buf_init(&b, PATH_BYTES_MAX);
    buf_str(&b, str_eq(dir, STR("/")) ? STR("") : dir);
    while (ok && str_split(&rest, '/', &name)) {
        if (name.n == 0 || str_eq(name, STR(".")))
            continue;
        ok = !str_eq(name, STR("..")) && str_find_char(name, '\0') == SIZE_MAX &&
             str_find_char(name, '\\') == SIZE_MAX;
        append_component(p, &b, name, &exists);
    }
    ok = ok && !b.overflow;
    if (!ok) {
        buf_fini(&b);
        return false;
    }
    struct str s = finish(a, &b);

    if (!s.p)
        return false;
    *ret = s;
    return true;
}
