#include "diagnose/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/poison.h"

/* The name of the folder that IIS makes for a site's logs. */
static struct str site_of(struct str path)
{
    struct str site = STR_NULL, part;

    while (str_split(&path, '/', &part)) {
        struct str digits = str_istarts(part, STR("W3SVC")) ? str_sub(part, 5, part.n) : STR_NULL;
        uint64_t id;
        if (path.p && str_u64(digits, UINT32_MAX, &id))
            site = part;
    }
    return site;
}

static struct scan_file *add(struct file_list *l, char *path)
{
    struct scan_file *f = xcalloc(1, sizeof(*f));

    f->path = path;
    f->site = site_of(str_z(path));
    l->at = xgrow(l->at, l->n, &l->cap, sizeof(struct scan_file *));
    l->at[l->n++] = f;
    return f;
}

struct scan_file *files_add_member(struct file_list *l, size_t archive, struct zip_member *m)
{
    const char *outer = l->at[archive]->open_path;
    struct scan_file *f = add(l, xasprintf("%s!/%s", outer, m->name));

    f->open_path = xstrdup(outer);
    f->member = *m;
    f->is_member = true;
    f->archive = archive;
    return f;
}

/* The file's place in the index of known ones. */
static uint64_t file_hash(const struct stat *st)
{
    uint64_t numbers[] = {(uint64_t)st->st_dev, (uint64_t)st->st_ino};

    return hash_bytes(numbers, sizeof(numbers));
}

/* The file that is known under another name, or NULL; then it is known from now on. */
static const struct scan_file *known_as(struct file_list *l, const struct stat *st)
{
    if (!st || !S_ISREG(st->st_mode))
        return NULL;
    if (!l->known.slots)
        index_init(&l->known, 256);
    uint64_t hash = file_hash(st);
    uint32_t row = index_at(&l->known, hash)->row;

    if (row != INDEX_FREE)
        return l->at[row];
    index_put(&l->known, hash, (uint32_t)l->n);
    return NULL;
}

static void add_file(struct file_list *l, const char *path, const struct stat *st, bool is_given)
{
    if (l->n >= FILES_MAX) {
        l->is_cut = true;
        return;
    }
    const struct scan_file *same = known_as(l, st);
    struct scan_file *f = add(l, xstrdup(path));

    if (same) {
        f->problem = xasprintf("the same file as %s, and read once", same->path);
        f->is_no_log = true;
    }

    f->open_path = xstrdup(path);
    f->is_given = is_given;
    f->size = st && S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
}

static void add_folder(struct file_list *l, const char *path, unsigned depth);

static void add_entry(struct file_list *l, const char *folder, const char *name, unsigned depth)
{
    size_t n = strlen(folder);
    _cleanup_free_ char *path =
        xasprintf("%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
    struct stat st;

    if (lstat(path, &st) != 0)
        return;
    /* Links to folders are not followed: they may lead in circles. */
    if (S_ISLNK(st.st_mode)) {
        if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || l->link_n >= FILES_MAX)
            return;
        l->links = xgrow(l->links, l->link_n, &l->link_cap, sizeof(char *));
        l->links[l->link_n++] = xstrdup(path);
        return;
    }
    if (S_ISDIR(st.st_mode))
        add_folder(l, path, depth + 1);
    else if (S_ISREG(st.st_mode))
        add_file(l, path, &st, false);
}

static void add_folder(struct file_list *l, const char *path, unsigned depth)
{
    struct dirent **entries;

    if (depth > FOLDER_DEPTH_MAX) {
        l->is_cut = true;
        return;
    }
    int n = scandir(path, &entries, NULL, alphasort);

    if (n < 0) {
        add_file(l, path, NULL, true);
        l->at[l->n - 1]->problem = xasprintf("the folder cannot be read: %s", strerror(errno));
        return;
    }
    for (int i = 0; i < n; i++) {
        if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0)
            add_entry(l, path, entries[i]->d_name, depth);
        free(entries[i]);
    }
    free(entries);
}

void files_add(struct file_list *l, const char *path)
{
    struct stat st;

    if (strcmp(path, "-") == 0)
        add_file(l, path, NULL, true);
    else if (stat(path, &st) != 0)
        add_file(l, path, NULL, true); /* opening it will say why */
    else if (S_ISDIR(st.st_mode))
        add_folder(l, path, 0);
    else
        add_file(l, path, &st, true);
}

void files_add_links(struct file_list *l)
{
    for (size_t i = 0; i < l->link_n; i++) {
        struct stat st;
        bool is_new = stat(l->links[i], &st) == 0 && S_ISREG(st.st_mode) &&
                      (!l->known.slots || index_at(&l->known, file_hash(&st))->row == INDEX_FREE);
        if (is_new)
            add_file(l, l->links[i], &st, false);
        free(l->links[i]);
    }
    free(l->links);
    l->links = NULL;
    l->link_n = l->link_cap = 0;
    if (l->known.slots)
        index_fini(&l->known);
}

void files_fini(struct file_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct scan_file *f = l->at[i];
        for (uint32_t u = 0; u < f->unit_n; u++)
            unit_stats_fini(&f->units[u]);
        for (uint32_t c = 0; f->chunks.heads && c < f->chunks.n; c++)
            free(f->chunks.heads[c].directives);
        source_close(f->source);
        free(f->chunks.heads);
        free(f->units);
        free(f->member.name);
        free(f->problem);
        free(f->open_path);
        free(f->path);
        free(f);
    }
    for (size_t i = 0; i < l->link_n; i++)
        free(l->links[i]);
    free(l->links);
    index_fini(&l->known);
    free(l->at);
    *l = (struct file_list){0};
}
