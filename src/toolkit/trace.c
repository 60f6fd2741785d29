/* The command `candor trace`: shows Failed Request Tracing files. */
#include "toolkit/trace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "trace/report.h"
#include "base/poison.h"

enum {
    FILES_MAX = 100000, /* of one run */
    DEPTH_MAX = 48,     /* of folders */
    SNIFF_BYTES = 8192,
    PAGE_TRACES_MAX = 500, /* shown in full on one page */
    OUTPUT_MAX = 1 << 30,
    WIDTH_MIN = 40,
    WIDTH_DEFAULT = 100,
    WIDTH_MAX = 160, /* prose in wider lines is hard to read */
};

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_HTML };

struct trace_command {
    enum format format;
    enum trace_sort sort;
    bool is_full, shows_secrets;
    uint64_t top; /* 0: all */
    const char *output;

    struct arena arena;
    struct trace_entry *entries; /* files to show */
    size_t n, cap;
    size_t other_files; /* in folders, that are no traces */
    bool has_folder, is_list_full;
    unsigned failures;   /* paths that could not be read or are no traces */
    struct buf input;    /* of the file read last */
    struct buf standard; /* standard input, read once */
    bool has_standard;
    struct freb_trace held; /* the trace read last, if has_held */
    bool has_held;
    size_t held_index;
};

static void complain(struct trace_command *k, const char *path, const char *why)
{
    fprintf(stderr, "candor: trace: %s: %s\n", path, why);
    k->failures++;
}

/* ---- reading ---- */

/* The whole of a descriptor; errno tells why not. */
static bool read_all(struct buf *to, int fd)
{
    buf_clear(to);
    for (;;) {
        char *at = buf_reserve(to, 1 << 16);
        if (!at) /* what is beyond the bound is told by the reader */
            return true;
        ssize_t n = read(fd, at, 1 << 16);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0)
            return true;
        to->n += (size_t)n;
    }
}

/* NULL: errno tells why. */
static const struct buf *read_path(struct trace_command *k, const char *path)
{
    if (strcmp(path, "-") == 0) {
        k->has_standard = k->has_standard || read_all(&k->standard, STDIN_FILENO);
        return k->has_standard ? &k->standard : NULL;
    }
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    return fd >= 0 && read_all(&k->input, fd) ? &k->input : NULL;
}

static void release(struct trace_command *k)
{
    if (k->has_held)
        freb_fini(&k->held);
    k->has_held = false;
}

/* The trace of an entry, read now unless it is the one read last. NULL: said why. */
static const struct freb_trace *get_trace(struct trace_command *k, size_t i)
{
    if (k->has_held && k->held_index == i)
        return &k->held;
    release(k);
    const struct buf *bytes = read_path(k, k->entries[i].path);
    if (!bytes) {
        complain(k, k->entries[i].path, strerror(errno));
        return NULL;
    }
    if (freb_parse(&k->held, buf_view(bytes), !k->shows_secrets) != RC_OK) {
        complain(k, k->entries[i].path, "not a failed request trace");
        return NULL;
    }
    k->has_held = true;
    k->held_index = i;
    return &k->held;
}

/* ---- finding files ---- */

static void add_file(struct trace_command *k, const char *path)
{
    if (k->n == FILES_MAX) {
        k->is_list_full = true;
        return;
    }
    k->entries = xgrow(k->entries, k->n, &k->cap, sizeof(*k->entries));
    k->entries[k->n++] =
        (struct trace_entry){.path = xstrdup(path),
                             .name = strcmp(path, "-") == 0 ? STR("(standard input)")
                                                            : arena_dup(&k->arena, str_z(path)),
                             .started_us = FREB_NO_TIME};
}

/* Traces are known by what they hold, for servers and people give them any name. */
static bool is_trace(int folder, const char *name)
{
    _cleanup_close_ int fd =
        openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    char head[SNIFF_BYTES];

    if (fd < 0)
        return false;
    ssize_t n = read(fd, head, sizeof(head));
    return n > 0 && freb_sniff(str_n(head, (size_t)n));
}

/* NOLINTNEXTLINE(misc-no-recursion): DEPTH_MAX bounds it. */
static void add_folder(struct trace_command *k, const char *path, unsigned depth)
{
    DIR *d = opendir(path);

    if (!d) {
        complain(k, path, strerror(errno));
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL && !k->is_list_full;) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        size_t n = strlen(path);
        _cleanup_free_ char *sub =
            xasprintf("%s%s%s", path, n && path[n - 1] == '/' ? "" : "/", e->d_name);
        if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
            add_folder(k, sub, depth + 1);
        else if (S_ISREG(st.st_mode) && is_trace(dirfd(d), e->d_name))
            add_file(k, sub);
        else
            k->other_files++;
    }
    closedir(d);
}

static void add_path(struct trace_command *k, const char *path)
{
    struct stat st;

    if (strcmp(path, "-") == 0) {
        add_file(k, path);
    } else if (stat(path, &st) < 0) {
        complain(k, path, strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        k->has_folder = true;
        add_folder(k, path, 0);
    } else {
        add_file(k, path);
    }
}

/* Reads every file once for the list; those that are no traces drop out. */
static void fill_entries(struct trace_command *k)
{
    size_t n = 0;

    for (size_t i = 0; i < k->n; i++) {
        struct trace_entry e;
        const struct freb_trace *t = get_trace(k, i);
        if (!t) {
            free(k->entries[i].path);
            continue;
        }
        e = k->entries[i];
        trace_entry_fill(&e, &k->arena, t);
        if (k->has_held)
            k->held_index = n;
        k->entries[n++] = e;
    }
    k->n = n;
}

static void sort_entries(struct trace_command *k)
{
    if (k->n < 2)
        return;
    trace_entries_sort(k->entries, k->n, k->sort);
    release(k); /* its index is another now */
    while (k->top && k->n > k->top)
        free(k->entries[--k->n].path);
}

/* ---- writing ---- */

static bool flush_to(struct buf *b, FILE *out)
{
    bool ok = !b->overflow && fwrite(b->p, 1, b->n, out) == b->n;

    buf_clear(b);
    return ok;
}

static bool write_json(struct trace_command *k, struct buf *b, FILE *out)
{
    bool is_first = true, ok = true;

    buf_char(b, '[');
    for (size_t i = 0; ok && i < k->n; i++) {
        const struct freb_trace *t = get_trace(k, i);
        if (!t)
            continue;
        buf_str(b, is_first ? STR("\n") : STR(",\n"));
        is_first = false;
        trace_json(b, t, k->entries[i].name);
        ok = flush_to(b, out);
    }
    buf_str(b, STR("\n]\n"));
    return ok && flush_to(b, out);
}

static bool write_html(struct trace_command *k, struct buf *b, FILE *out)
{
    bool ok = true;

    trace_html_begin(b, k->entries, k->n);
    for (size_t i = 0; ok && i < k->n && i < PAGE_TRACES_MAX; i++) {
        const struct freb_trace *t = get_trace(k, i);
        if (t)
            trace_html_trace(b, t, k->entries[i].name, i, k->n == 1);
        ok = flush_to(b, out);
    }
    trace_html_end(b);
    return ok && flush_to(b, out);
}

/* Columns of the terminal; 0: it is none. */
static unsigned columns(FILE *out)
{
    struct winsize w;

    if (ioctl(fileno(out), TIOCGWINSZ, &w) < 0 || w.ws_col == 0)
        return 0;
    return w.ws_col < WIDTH_MIN ? WIDTH_MIN : w.ws_col;
}

static bool write_text(struct trace_command *k, struct buf *b, FILE *out)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    unsigned line = columns(out);
    struct trace_look look = {
        .has_colour = isatty(fileno(out)) && !(no_colour && *no_colour) &&
                      !(terminal && strcmp(terminal, "dumb") == 0),
        .is_full = k->is_full,
        .width = line == 0          ? WIDTH_DEFAULT
                 : line > WIDTH_MAX ? WIDTH_MAX
                                    : line,
        .line = line,
    };

    if (k->n == 1 && !k->has_folder) {
        const struct freb_trace *t = get_trace(k, 0);
        if (t)
            trace_text(b, t, k->entries[0].name, &look);
    } else {
        trace_text_list(b, k->entries, k->n, &look);
        if (k->other_files)
            buf_printf(b, "%zu other file%s in the folder left out\n", k->other_files,
                       k->other_files == 1 ? "" : "s");
        buf_str(b, STR("\ncandor trace FILE shows one of them, --format html all of them.\n"));
    }
    return flush_to(b, out);
}

static bool write_out(struct trace_command *k)
{
    for (size_t i = 0; k->output && i < k->n; i++)
        if (command_is_same_file(k->output, k->entries[i].path)) {
            fprintf(stderr, "candor: trace: %s: one of the traces: not overwritten\n", k->output);
            return false;
        }
    FILE *out = k->output ? fopen(k->output, "we") : stdout;
    struct buf b;
    bool ok;

    if (!out) {
        fprintf(stderr, "candor: trace: %s: %s\n", k->output, strerror(errno));
        return false;
    }
    buf_init(&b, OUTPUT_MAX);
    if (k->format == FORMAT_JSON)
        ok = write_json(k, &b, out);
    else if (k->format == FORMAT_HTML)
        ok = write_html(k, &b, out);
    else
        ok = write_text(k, &b, out);
    buf_fini(&b);
    if (fflush(out) != 0)
        ok = false;
    if (k->output && fclose(out) != 0)
        ok = false;
    if (!ok)
        fprintf(stderr, "candor: trace: cannot write %s: %s\n",
                k->output ? k->output : "the output", strerror(errno));
    return ok;
}

static int run(struct trace_command *k, int n_paths, char **paths)
{
    for (int i = 0; i < n_paths; i++)
        add_path(k, paths[i]);
    fill_entries(k);
    sort_entries(k);
    if (k->is_list_full)
        fprintf(stderr, "candor: trace: only the first %d traces are read\n", FILES_MAX);
    if (k->format == FORMAT_HTML && k->n > PAGE_TRACES_MAX)
        fprintf(stderr, "candor: trace: the page shows %d of %zu traces in full (see --top)\n",
                PAGE_TRACES_MAX, k->n);
    if (k->n == 0) {
        if (k->failures == 0)
            fprintf(stderr, "candor: trace: no failed request traces here\n");
        return 1;
    }
    return write_out(k) ? 0 : 1;
}

/* ---- command line ---- */

static const struct {
    const char *name;
    enum trace_sort sort;
} sorts[] = {
    {"time", TRACE_BY_TIME}, {"taken", TRACE_BY_TAKEN},   {"status", TRACE_BY_STATUS},
    {"url", TRACE_BY_URL},   {"module", TRACE_BY_MODULE}, {"file", TRACE_BY_FILE},
};

static bool parse_format(const char *value, enum format *ret)
{
    static const char *const names[] = {
        [FORMAT_TEXT] = "text", [FORMAT_JSON] = "json", [FORMAT_HTML] = "html"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            *ret = (enum format)i;
            return true;
        }
    }
    return false;
}

static bool parse_sort(const char *value, enum trace_sort *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(sorts); i++) {
        if (strcmp(value, sorts[i].name) == 0) {
            *ret = sorts[i].sort;
            return true;
        }
    }
    return false;
}

/* 0 to go on, else the exit status. */
static int take_value(struct trace_command *k, const char *option, const char *value)
{
    if (!value)
        return command_wrong(&command_trace, "%s needs a value", option);
    if (strcmp(option, "--output") == 0)
        k->output = value;
    else if (strcmp(option, "--format") == 0 && !parse_format(value, &k->format))
        return command_wrong(&command_trace, "--format is text, json or html, not %s", value);
    else if (strcmp(option, "--sort") == 0 && !parse_sort(value, &k->sort))
        return command_wrong(&command_trace,
                             "--sort is time, taken, status, url, module or file, not %s", value);
    else if (strcmp(option, "--top") == 0 &&
             (!str_u64(str_z(value), FILES_MAX, &k->top) || k->top == 0))
        return command_wrong(&command_trace, "--top is a number from 1 to %d, not %s", FILES_MAX,
                             value);
    return 0;
}

/* Moves the paths to the front of argv. -1 to go on, else the exit status. */
static int parse_options(struct trace_command *k, int argc, char **argv, int *ret_paths)
{
    static const char *const valued[] = {"--format", "--output", "--sort", "--top"};
    bool only_paths = false;
    int n = 0;

    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i], *value;
        size_t v = 0;
        if (only_paths || arg[0] != '-' || arg[1] == '\0') {
            argv[n++] = argv[i];
            continue;
        }
        while (v < ARRAY_LEN(valued) && !command_option(argc, argv, &i, valued[v], &value))
            v++;
        if (v < ARRAY_LEN(valued)) {
            int wrong = take_value(k, valued[v], value);
            if (wrong)
                return wrong;
        } else if (strcmp(arg, "--") == 0) {
            only_paths = true;
        } else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            return command_help(&command_trace);
        } else if (strcmp(arg, "--full") == 0) {
            k->is_full = true;
        } else if (strcmp(arg, "--show-secrets") == 0) {
            k->shows_secrets = true;
        } else {
            return command_wrong(&command_trace, "unknown option %s", arg);
        }
    }
    *ret_paths = n;
    return n ? -1 : command_wrong(&command_trace, "a file or folder is missing");
}

static int trace_main(int argc, char **argv)
{
    struct trace_command k = {0};
    int n_paths = 0, status = parse_options(&k, argc, argv, &n_paths);

    if (status >= 0)
        return status;
    arena_init(&k.arena, 0);
    buf_init(&k.input, (size_t)FREB_BYTES_MAX + (1 << 17));
    buf_init(&k.standard, (size_t)FREB_BYTES_MAX + (1 << 17));
    status = run(&k, n_paths, argv);
    release(&k);
    buf_fini(&k.input);
    buf_fini(&k.standard);
    for (size_t i = 0; i < k.n; i++)
        free(k.entries[i].path);
    free(k.entries);
    arena_fini(&k.arena);
    return status;
}

const struct command command_trace = {
    .name = "trace",
    .usage = "PATH... [options]",
    .summary = "Shows Failed Request Tracing files: what failed, where and why.",
    .help = "PATH is a trace (frNNNNNN.xml, of any server), a folder of them, or - for standard\n"
            "input. One file is shown in full, several as a list.\n"
            "\n"
            "  --format FORMAT  text (default), json, or html: one page that needs nothing else\n"
            "  --output FILE    write there instead of to standard output\n"
            "  --sort KEY       order of a list: time (default), taken, status, url, module, file\n"
            "  --top N          only the first N of the list\n"
            "  --full           text: every event with all it holds, nothing folded\n"
            "  --show-secrets   passwords, tokens and cookie values too, hidden otherwise\n"
            "\n"
            "Exit status: 0 shown, 1 nothing could be read, 2 wrong usage.\n",
    .run = trace_main,
};
