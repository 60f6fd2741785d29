#include "toolkit/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "config/conflict.h"
#include "config/inspect.h"
#include "toolkit/check_certificates.h"
#include "toolkit/check_report.h"
#include "base/poison.h"

/* How far a site folder is searched. */
enum { DEPTH_MAX = 48, FOLDERS_MAX = 100000, OUTPUT_MAX = 1 << 28 };

struct check {
    struct check_report report;
    char *system_drive;
    const char *config_path;
    const char *http_parameters; /* NULL: http.reg beside the file that is checked */
    struct config *config; /* of config_path, or NULL */
    bool is_json;
    unsigned folders;
};

/* ---- one node's file ---- */

struct file_check {
    struct check *k;
    const struct config_node *node;
};

static void on_error(void *arg, const struct config_error *e)
{
    struct check *k = arg;

    check_report_error(&k->report, e);
}

struct secret_check {
    struct check *k;
    struct str section;
};

static void on_secret(void *arg, const char *attr, struct config_source_pos pos)
{
    struct secret_check *s = arg;
    char text[200];

    snprintf(text, sizeof(text),
             "Failed to decrypt attribute '%s' because the keyset does not exist", attr);
    check_report_add(&s->k->report,
                     &(struct check_finding){
                         .severity = CHECK_WARNING,
                         .file = pos.file,
                         .line = pos.line,
                         .column = pos.column,
                         .code = 0x80090016,
                         .section = s->section,
                         .text = str_z(text),
                         .remedy = STR("The value counts as empty: write it in clear text, or set "
                                       "it again on this machine."),
                     });
}

/* A handler's modules must be in the list of modules, else each of its requests fails. */
static void check_handlers(struct check *k, const struct config_node *n,
                           const struct config_elem *handlers, struct str file)
{
    const struct config_error *e;
    const struct config_elem *modules = config_section(n, "system.webServer/modules", &e);

    for (size_t i = 0; modules && i < config_n_items(handlers); i++) {
        const struct config_elem *h = config_item(handlers, i);
        struct config_source_pos pos = config_elem_pos(h);
        struct str rest = config_str(h, "modules"), name;
        if (!str_eq(pos.file, file))
            continue;
        while (str_split(&rest, ',', &name)) {
            bool found = false;
            name = str_trim(name);
            for (size_t m = 0; m < config_n_items(modules); m++)
                found = found || str_eq(name, config_str(config_item(modules, m), "name"));
            if (found || name.n == 0)
                continue;
            struct str text = arena_printf(
                &k->report.arena, "Handler \"%.*s\" names the module %.*s, which is not loaded",
                STR_ARG(config_str(h, "name")), STR_ARG(name));
            check_report_add(&k->report,
                             &(struct check_finding){
                                 .severity = CHECK_WARNING,
                                 .file = pos.file,
                                 .line = pos.line,
                                 .column = pos.column,
                                 .section = STR("system.webServer/handlers"),
                                 .text = text,
                                 .remedy = STR("Requests that it matches are answered 500.21."),
                             });
        }
    }
}

static void check_section_at(struct check *k, const struct config_node *n,
                             const struct config_held_section *s)
{
    const struct config_error *e = NULL;
    const struct config_elem *elem = config_section(n, s->path.p, &e);

    if (!elem) {
        check_report_error(&k->report, e);
        return;
    }
    config_inspect_secrets(elem, on_secret, &(struct secret_check){k, s->path});
    if (str_eq(s->path, STR("system.webServer/handlers")))
        check_handlers(k, n, elem, s->file);
}

static void note_support(struct check *k, const struct config_held_section *s)
{
    struct str text;

    check_report_section(&k->report, s);
    if (s->support == CONFIG_FULL)
        return;
    if (s->note.n)
        text = s->note;
    else if (s->support == CONFIG_PARTIAL)
        text = STR("Not every setting of this section is honoured");
    else if (s->is_native)
        text = STR("This section is accepted but has no effect in this version");
    else
        text = STR("This section is for .NET code or an add-on; it is accepted and not read");
    check_report_add(&k->report, &(struct check_finding){.severity = CHECK_NOTE,
                                                         .file = s->file,
                                                         .line = s->line,
                                                         .column = s->column,
                                                         .section = s->path,
                                                         .text = text});
}

/* .NET's own sections hold whatever .NET accepts; only native ones are read here. */
static void on_section(void *arg, const struct config_held_section *s)
{
    struct file_check *f = arg;
    struct config *c = config_node_config(f->node);
    size_t n_sites, slash = str_find_char(s->target, '/');
    const struct config_site *sites = config_sites(c, &n_sites);

    note_support(f->k, s);
    if (!s->is_readable || !s->is_native || config_node_error(f->node))
        return;
    if (s->target.n == 0) {
        check_section_at(f->k, config_server_node(c), s);
        return;
    }
    for (size_t i = 0; i < n_sites; i++) {
        const struct config_node *n;
        const struct config_error *e;
        if (!str_ieq(sites[i].name, str_sub(s->target, 0, slash)))
            continue;
        struct str url = slash == SIZE_MAX ? STR("/") : str_sub(s->target, slash, s->target.n);
        enum rc rc = config_node_get(c, sites[i].id, url, &n, &e);
        if (rc == RC_OK)
            check_section_at(f->k, n, s);
        if (rc != RC_DECLINED)
            config_node_unref(n);
    }
}

static void check_node(struct check *k, const struct config_node *n)
{
    struct file_check f = {k, n};
    struct str file = config_inspect_file(n);

    if (file.n)
        check_report_file(&k->report, file);
    config_inspect_errors(n, on_error, k);
    config_inspect_sections(n, on_section, &f);
}

/* ---- folders ---- */

static void check_url(struct check *k, struct config *c, uint32_t site, struct str url)
{
    const struct config_node *n;
    const struct config_error *e;

    if (config_node_get(c, site, url, &n, &e) == RC_DECLINED)
        return;
    /* Below a file with mistakes only that one is seen again; the report keeps it once. */
    check_node(k, n);
    config_node_unref(n);
}

static bool has_web_config(const char *dir)
{
    DIR *d = opendir(dir);
    bool found = false;

    for (struct dirent *e; d && !found && (e = readdir(d)) != NULL;)
        found = str_ieq(str_z(e->d_name), STR("web.config"));
    if (d)
        closedir(d);
    return found;
}

/* Every folder below that holds a web.config, symbolic links not followed. url: of dir. */
static void check_tree(struct check *k, struct config *c, uint32_t site, const char *dir,
                       const char *url, unsigned depth)
{
    if (depth > DEPTH_MAX || k->folders++ > FOLDERS_MAX)
        return;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
            continue;
        _cleanup_free_ char *sub = xasprintf("%s/%s", dir, e->d_name);
        _cleanup_free_ char *sub_url =
            xasprintf("%s/%s", strcmp(url, "/") == 0 ? "" : url, e->d_name);
        if (has_web_config(sub))
            check_url(k, c, site, str_z(sub_url));
        check_tree(k, c, site, sub, sub_url, depth + 1);
    }
    if (d)
        closedir(d);
}

static void check_site(struct check *k, struct config *c, const struct config_site *s)
{
    if (s->error) {
        check_report_error(&k->report, s->error);
        return;
    }
    for (size_t a = 0; a < s->n_applications; a++) {
        for (size_t v = 0; v < s->applications[a].n_vdirs; v++) {
            const struct config_vdir *vdir = &s->applications[a].vdirs[v];
            _cleanup_free_ char *dir = str_dup_z(vdir->directory);
            _cleanup_free_ char *url = str_dup_z(vdir->url);
            check_url(k, c, s->id, vdir->url);
            check_tree(k, c, s->id, dir, url, 0);
        }
    }
}

/* ---- bindings ---- */

struct auto_started {
    const struct config_site *until; /* those that stand before it in the file */
};

static bool starts_before(void *arg, const struct config_site *other)
{
    const struct auto_started *a = arg;

    return other < a->until && other->server_auto_start && !other->error;
}

static void warn_binding(struct check *k, struct config *c, const struct config_binding *b,
                         struct str text, struct str remedy)
{
    check_report_add(&k->report,
                     &(struct check_finding){.severity = CHECK_WARNING,
                                             .file = config_source_name(c),
                                             .line = b->line,
                                             .column = b->column,
                                             .section = STR("system.applicationHost/sites"),
                                             .text = text,
                                             .remedy = remedy});
}

static void check_bindings(struct check *k, struct config *c, const struct config_site *s)
{
    struct config_conflict conflict;

    for (size_t i = 0; i < s->n_bindings; i++)
        if (s->bindings[i].proxy_protocol && str_trim(s->bindings[i].proxy_trusted).n == 0)
            warn_binding(k, c, &s->bindings[i],
                         STR("proxyProtocol without proxyTrusted: no PROXY header is believed"),
                         STR("Name the balancers' addresses, for example "
                             "proxyTrusted=\"10.0.0.0/8,127.0.0.1\"."));
    if (s->server_auto_start && !s->error &&
        config_find_conflict(c, s, starts_before, &(struct auto_started){s}, &conflict)) {
        _cleanup_free_ char *why = config_conflict_text(s, &conflict);
        struct str text = arena_printf(&k->report.arena, "Site \"%.*s\" does not start: %s",
                                       STR_ARG(s->name), why);
        warn_binding(k, c, conflict.binding, text,
                     STR("Give it another port, address or host name, or set "
                         "serverAutoStart=\"false\" on one of the sites."));
    }
}

/* ---- what a path is ---- */

static struct config *load(struct check *k, const struct config_options *options)
{
    struct config_options o = *options;

    o.system_drive = k->system_drive;
    return config_inspect_load(&o, on_error, k);
}

static void check_server_file(struct check *k, const char *path)
{
    struct config *c = load(k, &(struct config_options){.path = path});
    size_t n = 0;

    check_report_file(&k->report, c ? config_source_name(c) : str_z(path));
    if (!c)
        return;
    check_node(k, config_server_node(c));
    const struct config_site *sites = config_sites(c, &n);
    for (size_t i = 0; i < n; i++) {
        check_bindings(k, c, &sites[i]);
        check_site(k, c, &sites[i]);
    }
    check_certificates(&k->report, c, k->http_parameters, k->system_drive);
    config_unref(c);
}

/* A folder as the root of a site of its own under the shipped settings; only_file: just the file
 * of that name in it. */
static void check_as_site(struct check *k, const char *dir, const char *only_file)
{
    struct buf text;

    buf_init(&text, 1u << 24);
    config_builtin_text(&text, dir, NULL, 0);
    struct config *c = load(k, &(struct config_options){.bytes = buf_view(&text),
                                                        .display_name = "(shipped settings)",
                                                        .web_config = only_file});
    buf_fini(&text);
    if (!c)
        return;
    check_url(k, c, 1, STR("/"));
    if (!only_file)
        check_tree(k, c, 1, dir, "/", 0);
    config_unref(c);
}

/* Checks dir at the place it has among the sites of --config. False if it has none. */
static bool check_in_config(struct check *k, const char *dir, bool below)
{
    size_t n = 0;
    const struct config_site *sites = k->config ? config_sites(k->config, &n) : NULL;
    const struct config_site *best_site = NULL;
    const struct config_vdir *best = NULL;

    for (size_t i = 0; i < n; i++) {
        for (size_t a = 0; !sites[i].error && a < sites[i].n_applications; a++) {
            for (size_t v = 0; v < sites[i].applications[a].n_vdirs; v++) {
                const struct config_vdir *vdir = &sites[i].applications[a].vdirs[v];
                _cleanup_free_ char *z = str_dup_z(vdir->directory);
                _cleanup_free_ char *real = realpath(z, NULL);
                size_t len = real ? strlen(real) : 0;
                if (real && strncmp(real, dir, len) == 0 && (dir[len] == '\0' || dir[len] == '/') &&
                    (!best || vdir->directory.n > best->directory.n)) {
                    best = vdir;
                    best_site = &sites[i];
                }
            }
        }
    }
    if (!best)
        return false;
    _cleanup_free_ char *root = str_dup_z(best->directory);
    _cleanup_free_ char *real = realpath(root, NULL);
    const char *rest = dir + (real ? strlen(real) : 0);
    _cleanup_free_ char *url =
        xasprintf("%.*s%s", STR_ARG(best->url.n > 1 ? best->url : STR("")), rest);
    check_url(k, k->config, best_site->id, str_z(*url ? url : "/"));
    if (below)
        check_tree(k, k->config, best_site->id, dir, *url ? url : "/", 0);
    return true;
}

/* Server-level files are known by what they hold, whatever their name. */
static bool is_server_file(const char *path, const char *name)
{
    if (str_ieq(str_z(name), STR("applicationHost.config")))
        return true;
    FILE *f = fopen(path, "re");
    bool found = false;
    char *line = NULL;
    size_t cap = 0;
    unsigned lines = 0;

    while (f && !found && lines++ < 20000 && getline(&line, &cap, f) > 0)
        found = strstr(line, "<system.applicationHost") != NULL;
    free(line);
    if (f)
        fclose(f);
    return found;
}

static void check_path(struct check *k, const char *path)
{
    _cleanup_free_ char *real = realpath(path, NULL);
    struct stat st;

    if (!real || stat(real, &st) < 0) {
        check_report_add(&k->report, &(struct check_finding){.severity = CHECK_ERROR,
                                                             .file = str_z(path),
                                                             .text = str_z(strerror(errno))});
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        if (!check_in_config(k, real, /* below = */ true))
            check_as_site(k, real, NULL);
        return;
    }
    char *slash = strrchr(real, '/');
    const char *name = slash + 1;
    if (str_iends(str_z(name), STR(".reg"))) {
        check_registry(&k->report, real, NULL);
    } else if (is_server_file(real, name)) {
        check_server_file(k, real);
    } else {
        *slash = '\0';
        const char *dir = slash == real ? "/" : real;
        if (!str_ieq(str_z(name), STR("web.config")) || !check_in_config(k, dir, false))
            check_as_site(k, dir, name);
    }
}

/* ---- command line ---- */

static int usage_error(const char *what, const char *arg)
{
    fprintf(stderr, "candor check: %s%s (see candor check --help)\n", what, arg);
    return 2;
}

static void help(void)
{
    printf("Usage: candor check [PATH...] [--config FILE] [--system-drive DIR] "
           "[--http-parameters FILE]\n"
           "                    [--format text|json]\n"
           "\n"
           "Validates applicationHost.config with the certificates of its bindings, web.config\n"
           "files, site folders and .reg files without serving. Without PATH: FILE and its sites,\n"
           "or else the current folder.\n"
           "\n"
           "  --config FILE           applicationHost.config whose sites and locks count\n"
           "  --system-drive DIR      folder behind %%SystemDrive%% and drive letters; the stores of\n"
           "                          certificates are below it\n"
           "  --http-parameters FILE  registry export that names certificates (default: http.reg\n"
           "                          beside applicationHost.config)\n"
           "  --format FORMAT         text (default) or json\n"
           "\n"
           "Exit status: 0 nothing wrong, 1 errors found, 2 wrong usage.\n");
}

/* The default of `candor serve`. */
static char *default_drive(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (geteuid() == 0)
        return xstrdup("/var/lib/candor");
    if (state && *state == '/')
        return xasprintf("%s/candor", state);
    return xasprintf("%s/.local/state/candor", home ? home : "");
}

/* An option's value, from "--name VALUE" or "--name=VALUE"; NULL if argv[*i] is not that option.
 * *ret_missing is set when the value is missing. */
static const char *option_value(int argc, char **argv, int *i, const char *name, bool *ret_missing)
{
    size_t n = strlen(name);

    if (strncmp(argv[*i], name, n) != 0)
        return NULL;
    if (argv[*i][n] == '=')
        return argv[*i] + n + 1;
    if (argv[*i][n] != '\0')
        return NULL;
    if (*i + 1 >= argc) {
        *ret_missing = true;
        return NULL;
    }
    return argv[++*i];
}

/* Fills k and moves the paths to the front of argv. -1 to go on, else the exit status. */
static int parse_options(struct check *k, int argc, char **argv, int *ret_paths)
{
    bool only_paths = false;
    int n = 0;

    for (int i = 1; i < argc; i++) {
        bool missing = false;
        const char *value;
        if (only_paths || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[n++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            only_paths = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            help();
            return 0;
        } else if ((value = option_value(argc, argv, &i, "--config", &missing)) != NULL) {
            k->config_path = value;
        } else if ((value = option_value(argc, argv, &i, "--system-drive", &missing)) != NULL) {
            free(k->system_drive);
            k->system_drive = xstrdup(value);
        } else if ((value = option_value(argc, argv, &i, "--http-parameters", &missing)) != NULL) {
            k->http_parameters = value;
        } else if ((value = option_value(argc, argv, &i, "--format", &missing)) != NULL) {
            k->is_json = strcmp(value, "json") == 0;
            if (!k->is_json && strcmp(value, "text") != 0)
                return usage_error("--format is text or json, not ", value);
        } else if (missing) {
            return usage_error("a value is missing after ", argv[i]);
        } else {
            return usage_error("unknown option ", argv[i]);
        }
    }
    *ret_paths = n;
    return -1;
}

static void run(struct check *k, char **paths, int n)
{
    if (k->config_path && n > 0)
        k->config = load(k, &(struct config_options){.path = k->config_path});
    for (int i = 0; i < n; i++)
        check_path(k, paths[i]);
    if (n == 0 && k->config_path)
        check_server_file(k, k->config_path);
    else if (n == 0)
        check_path(k, ".");
    k->config = config_unref(k->config);
}

static void print(struct check *k)
{
    const char *no_colour = getenv("NO_COLOR");
    struct buf out;

    buf_init(&out, OUTPUT_MAX);
    if (k->is_json)
        check_report_json(&k->report, &out);
    else
        check_report_text(&k->report, isatty(STDOUT_FILENO) && !(no_colour && *no_colour), &out);
    fwrite(out.p, 1, out.n, stdout);
    fflush(stdout);
    buf_fini(&out);
}

int check_main(int argc, char **argv)
{
    struct check k = {.system_drive = default_drive()};
    int n_paths = 0;

    check_report_init(&k.report);
    int status = parse_options(&k, argc, argv, &n_paths);
    if (status < 0) {
        run(&k, argv, n_paths);
        print(&k);
        status = k.report.errors ? 1 : 0;
    }
    check_report_fini(&k.report);
    free(k.system_drive);
    return status;
}
