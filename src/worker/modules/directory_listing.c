/* DirectoryListingModule: the list of a folder's entries if directoryBrowse is on, else 403.14. The
 * page is IIS's byte for byte, since people and programs parse it. */
#include "worker/modules/modules.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

#include "base/alloc.h"
#include "config/config.h"
#include "http/host.h"
#include "worker/modules/text.h"
#include "worker/url_cache.h"

#include "base/poison.h"

enum { SHOW_DATE = 2, SHOW_TIME = 4, SHOW_SIZE = 8, SHOW_EXTENSION = 16, SHOW_LONG_DATE = 32 };

/* What a folder may hold at most to be listed, and its page. */
enum { ENTRIES_MAX = 100 * 1000, PAGE_MAX = 32 * 1024 * 1024 };

struct listing_conf {
    bool enabled;
    uint32_t flags;
};

struct entry {
    char *name;
    bool is_directory;
    uint64_t size;
    int64_t mtime_s;
};

struct entries {
    struct entry *items;
    size_t n, cap;
};

static const void *load_conf(const struct config_node *node, struct arena *a,
                             const struct config_error **ret_error)
{
    const struct config_elem *e =
        config_section(node, "system.webServer/directoryBrowse", ret_error);

    if (!e)
        return NULL;
    struct listing_conf *c = ARENA_NEW(a, struct listing_conf);

    c->enabled = config_bool(e, "enabled");
    c->flags = config_flags(e, "showFlags");
    return c;
}

/* ---- reading the folder --------------------------------------------------------------------- */

static void entries_fini(struct entries *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i].name);
    free(list->items);
}

/* Windows' hidden attribute: the extended attribute that stands for it here ("1" or "0"), else
 * a dot-file. */
static bool is_hidden(const char *folder, const char *name)
{
    char path[PATH_MAX];
    char value;

    int n = snprintf(path, sizeof(path), "%s/%s", folder, name);

    if (n < 0 || (size_t)n >= sizeof(path) || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    ssize_t got = getxattr(path, "user.candor.hidden", &value, sizeof(value));

    return got == 1 ? value != '0' : name[0] == '.' || got == 0 || errno == ERANGE;
}

static int compare(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    int order = str_icmp(str_z(x->name), str_z(y->name));

    return order ? order : strcmp(x->name, y->name);
}

/* Files and folders that a request could reach, sorted as NTFS sorts. 0 or an errno. */
static int read_entries(const char *path, struct entries *list)
{
    DIR *dir = opendir(path);
    const struct dirent *d;

    if (!dir)
        return errno;
    while ((d = readdir(dir))) {
        struct stat st;

        if (is_hidden(path, d->d_name) || fstatat(dirfd(dir), d->d_name, &st, 0) != 0 ||
            !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
            continue;
        if (list->n == ENTRIES_MAX) {
            closedir(dir);
            return EOVERFLOW;
        }
        list->items = xgrow(list->items, list->n, &list->cap, sizeof(*list->items));
        list->items[list->n++] = (struct entry){
            .name = xstrdup(d->d_name),
            .is_directory = S_ISDIR(st.st_mode),
            .size = (uint64_t)st.st_size,
            .mtime_s = st.st_mtim.tv_sec,
        };
    }
    closedir(dir);
    if (list->n > 1)
        qsort(list->items, list->n, sizeof(*list->items), compare);
    return 0;
}

/* ---- the page ------------------------------------------------------------------------------- */

static const char *const weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

static void append_time(struct buf *b, uint32_t flags, int64_t mtime_s)
{
    time_t t = (time_t)mtime_s;
    struct tm tm;
    char text[80];

    if (!localtime_r(&t, &tm))
        return;
    if ((flags & SHOW_DATE) && (flags & SHOW_LONG_DATE)) {
        snprintf(text, sizeof(text), "%s, %s %d, %d", weekdays[tm.tm_wday], months[tm.tm_mon],
                 tm.tm_mday, tm.tm_year + 1900);
        buf_printf(b, "%29s", text);
    } else if (flags & SHOW_DATE) {
        snprintf(text, sizeof(text), "%d/%d/%d", tm.tm_mon + 1, tm.tm_mday, tm.tm_year + 1900);
        buf_printf(b, "%10s", text);
    }
    if (flags & SHOW_TIME) {
        snprintf(text, sizeof(text), "%d:%02d %s", (tm.tm_hour + 11) % 12 + 1, tm.tm_min,
                 tm.tm_hour < 12 ? "AM" : "PM");
        buf_printf(b, "%9s", text);
    }
}

static void append_entry(struct buf *b, uint32_t flags, struct str base, const struct entry *e)
{
    struct str name = str_z(e->name);
    struct str shown = name;

    append_time(b, flags, e->mtime_s);
    if (e->is_directory)
        buf_str(b, STR("        &lt;dir&gt;"));
    else if (flags & SHOW_SIZE)
        buf_printf(b, "%13llu", (unsigned long long)e->size);
    if (!(flags & SHOW_EXTENSION) && !e->is_directory) {
        size_t dot = str_rfind_char(name, '.');

        shown = str_sub(name, 0, dot == SIZE_MAX || dot == 0 ? name.n : dot);
    }
    buf_str(b, STR(" <A HREF=\""));
    buf_str(b, base);
    {
        _cleanup_buf_ struct buf url = {0};

        buf_init(&url, 4096);
        text_url_path(&url, name);
        buf_html(b, buf_view(&url));
    }
    buf_str(b, e->is_directory ? STR("/\">") : STR("\">"));
    buf_html(b, shown);
    buf_str(b, STR("</A><br>"));
}

/* The folder's URL as it stands in an attribute. */
static void append_url(struct buf *b, struct str path)
{
    _cleanup_buf_ struct buf url = {0};

    buf_init(&url, 64 * 1024);
    text_url_path(&url, path);
    buf_html(b, buf_view(&url));
}

static struct str host_name(struct request *r)
{
    struct http_host host;

    return http_host_parse(r->msg.host, &host) ? host.name : STR("");
}

static void append_page(struct buf *b, struct request *r, const struct listing_conf *c,
                        const struct entries *list)
{
    _cleanup_buf_ struct buf title = {0};
    _cleanup_buf_ struct buf base = {0};

    buf_init(&title, 256 * 1024);
    buf_init(&base, 256 * 1024);
    buf_html(&title, host_name(r));
    buf_str(&title, STR(" - "));
    buf_html(&title, r->path);
    append_url(&base, r->path);
    buf_str(b, STR("<html><head><title>"));
    buf_str(b, buf_view(&title));
    buf_str(b, STR("</title></head><body><H1>"));
    buf_str(b, buf_view(&title));
    buf_str(b, STR("</H1><hr>\r\n\r\n<pre>"));
    if (r->path.n > 1) {
        size_t slash = str_rfind_char(str_sub(r->path, 0, r->path.n - 1), '/');

        buf_str(b, STR("<A HREF=\""));
        append_url(b, str_sub(r->path, 0, slash + 1));
        buf_str(b, STR("\">[To Parent Directory]</A><br><br>"));
    }
    for (size_t i = 0; i < list->n; i++)
        append_entry(b, c->flags, buf_view(&base), &list->items[i]);
    buf_str(b, STR("</pre><hr></body></html>"));
}

static enum pipe_rc list_folder(struct request *r, const struct listing_conf *c)
{
    struct entries list = {0};
    _cleanup_buf_ struct buf page = {0};
    int error = read_entries(request_physical_path(r).p, &list);

    buf_init(&page, PAGE_MAX);
    if (error == 0)
        append_page(&page, r, c, &list);
    entries_fini(&list);
    if (error == EACCES)
        return request_fail(r, &st_401_3_acl, 0x80070005, STR("directoryBrowse"));
    if (error == ENOENT || error == ENOTDIR)
        return request_fail(r, &st_404_0_not_found, 0x80070002, STR("directoryBrowse"));
    struct str body = error == 0 ? text_keep(r, &page) : STR_NULL;

    if (body.n == 0)
        return request_fail(r, &st_500_0_module_error, 0x8007000e,
                            STR("the folder is too large to list"));
    response_status(r, &st_200_0_ok);
    (void)response_header_set(r, HDR_CONTENT_TYPE, STR("text/html; charset=UTF-8"));
    response_body_memory(r, body);
    return PIPE_FINISH;
}

static enum pipe_rc execute(struct request *r, const void *conf)
{
    const struct listing_conf *c = conf;

    if (!r->url || r->url->kind != URL_KIND_DIRECTORY)
        return PIPE_CONTINUE;
    if (!c->enabled)
        return request_fail(r, &st_403_14_listing_denied, 0, STR_NULL);
    return list_folder(r, c);
}

const struct module mod_directory_listing = {
    .name = "DirectoryListingModule",
    .load_conf = load_conf,
    .execute = execute,
    .same_for_all = true,
};
