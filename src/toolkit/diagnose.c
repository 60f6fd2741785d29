#include "toolkit/diagnose.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "diagnose/detector.h"
#include "diagnose/report.h"
#include "diagnose/report_html.h"
#include "diagnose/scan.h"
#include "base/poison.h"

enum {
    TOP_DEFAULT = 20,
    LIST_DEFAULT = 50,
    REPORT_MAX = 1 << 30,
    TOP_MAX = 100000,
    PROBLEMS_TOLD = 20, /* on standard error */
};
/* What a sample reads, and from which size on a terminal shows one first: a second's work each. */
#define SAMPLE_BYTES ((uint64_t)512 << 20)
#define SAMPLE_FROM ((uint64_t)2 << 30)

struct arguments {
    struct scan_options scan;
    const char **paths;
    size_t path_n;
    const char *output;
    bool is_json, is_html, is_sample;
    uint32_t top;
};

static bool wants_terminal_extras(int fd)
{
    const char *no_colour = getenv("NO_COLOR");

    return isatty(fd) && !(no_colour && no_colour[0]);
}

/* ---- arguments ---- */

static bool set_time(const char *value, bool is_end, int64_t *ret_s)
{
    return value && filter_time(str_z(value), is_end, ret_s);
}

/* 0, or an exit status. */
static int take_option(struct arguments *a, int argc, char **argv, int *i)
{
    const struct command *c = &command_diagnose;
    const char *v;
    uint64_t number;

    if (command_option(argc, argv, i, "--format", &v)) {
        if (!v || (strcmp(v, "json") != 0 && strcmp(v, "text") != 0 && strcmp(v, "html") != 0))
            return command_wrong(c, "--format must be text, json or html");
        a->is_json = v[0] == 'j';
        a->is_html = v[0] == 'h';
    } else if (command_option(argc, argv, i, "--output", &v)) {
        if (!v || !v[0])
            return command_wrong(c, "--output needs a file name");
        a->output = v;
    } else if (command_option(argc, argv, i, "--since", &v)) {
        if (!set_time(v, false, &a->scan.filter.since_s))
            return command_wrong(c, "--since needs a time like 2026-03-14 or 2026-03-14T08:00:01Z");
    } else if (command_option(argc, argv, i, "--until", &v)) {
        if (!set_time(v, true, &a->scan.filter.until_s))
            return command_wrong(c, "--until needs a time like 2026-03-14 or 2026-03-14T08:00:01Z");
    } else if (command_option(argc, argv, i, "--status", &v)) {
        if (!v || !filter_status(&a->scan.filter, str_z(v)))
            return command_wrong(c, "--status needs a status like 404, 404.8 or 5xx");
    } else if (command_option(argc, argv, i, "--site", &v)) {
        a->scan.filter.site = str_z(v);
        if (a->scan.filter.site.n == 0)
            return command_wrong(c, "--site needs a name");
    } else if (command_option(argc, argv, i, "--url", &v)) {
        a->scan.filter.url = str_z(v);
        if (a->scan.filter.url.n == 0)
            return command_wrong(c, "--url needs a text");
    } else if (command_option(argc, argv, i, "--client", &v)) {
        a->scan.filter.client = str_z(v);
        if (a->scan.filter.client.n == 0)
            return command_wrong(c, "--client needs an address");
    } else if (command_option(argc, argv, i, "--top", &v)) {
        if (!v || !str_u64(str_z(v), TOP_MAX, &number) || number == 0)
            return command_wrong(c, "--top needs a number from 1 to %d", TOP_MAX);
        a->top = (uint32_t)number;
    } else if (strcmp(argv[*i], "--sample") == 0) {
        a->is_sample = true;
        a->scan.sample_bytes = SAMPLE_BYTES;
    } else if (command_option(argc, argv, i, "--threads", &v)) {
        if (!v || !str_u64(str_z(v), 64, &number) || number == 0)
            return command_wrong(c, "--threads needs a number from 1 to 64");
        a->scan.threads = (unsigned)number;
    } else {
        return command_wrong(c, "unknown option %s", argv[*i]);
    }
    return 0;
}

static int take_arguments(struct arguments *a, int argc, char **argv)
{
    bool only_paths = false;

    for (int i = 1; i < argc; i++) {
        if (!only_paths && strcmp(argv[i], "--") == 0) {
            only_paths = true;
            continue;
        }
        if (only_paths || argv[i][0] != '-' || argv[i][1] == '\0') {
            a->paths[a->path_n++] = argv[i];
            continue;
        }
        int status = take_option(a, argc, argv, &i);
        if (status)
            return status;
    }
    if (a->path_n == 0)
        return command_wrong(&command_diagnose, "no file or folder is given");
    filter_finish(&a->scan.filter);
    if (a->scan.filter.until_s != RECORD_NO_TIME && a->scan.filter.since_s > a->scan.filter.until_s)
        return command_wrong(&command_diagnose, "--since is later than --until");
    a->scan.list_max = a->top ? a->top : LIST_DEFAULT;
    a->top = a->top ? a->top : TOP_DEFAULT;
    a->scan.top = a->top;
    return 0;
}

/* ---- progress ---- */

static void on_progress(void *arg, const struct scan_progress *p)
{
    double seconds = (double)p->elapsed_ns / 1e9,
           rate = seconds > 0 ? (double)p->done / seconds : 0;

    if (p->elapsed_ns < 500000000u)
        return;
    fprintf(stderr, "\r\033[K%.0f MB read, %.0f MB/s", (double)p->done / 1e6, rate / 1e6);
    if (p->total > p->done && rate > 0)
        fprintf(stderr, ", %.0f %%, %.0f s left", 100 * (double)p->done / (double)p->total,
                (double)(p->total - p->done) / rate);
    fflush(stderr);
}

/* ---- output ---- */

static uint32_t terminal_width(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
        return size.ws_col;
    return 100;
}

static bool write_all(int fd, struct str s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        s = str_sub(s, (size_t)n, s.n);
    }
    return true;
}

static bool is_input(const struct model *m, const char *path)
{
    for (size_t i = 0; i < m->file_n; i++) {
        _cleanup_free_ char *name = str_dup_z(m->files[i].path);
        if (command_is_same_file(path, name))
            return true;
    }
    return false;
}

static int give_report(const struct model *m, const struct arguments *a, struct str report)
{
    int fd = STDOUT_FILENO;

    if (a->output && is_input(m, a->output)) {
        fprintf(stderr, "candor: diagnose: %s: one of the files that were read: not overwritten\n",
                a->output);
        return 1;
    }
    if (a->output) {
        fd = open(a->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0) {
            fprintf(stderr, "candor: diagnose: %s: %s\n", a->output, strerror(errno));
            return 1;
        }
    }
    bool ok = write_all(fd, report);

    if (a->output && close(fd) != 0)
        ok = false;
    /* A reader that has seen enough (head, less) is no error. */
    if (!ok && errno != EPIPE)
        fprintf(stderr, "candor: diagnose: writing the report failed: %s\n", strerror(errno));
    return ok || errno == EPIPE ? 0 : 1;
}

/* What could not be read, or not to its end; of files that are no logs those that were named. */
static int tell_problems(const struct model *m)
{
    uint64_t records = 0;
    size_t told = 0;

    for (size_t i = 0; i < m->file_n; i++) {
        const struct model_file *f = &m->files[i];
        struct buf line;
        records += f->records;
        if (f->problem.n == 0 || (f->is_no_log && !f->is_given) || told++ >= PROBLEMS_TOLD)
            continue;
        buf_init(&line, REPORT_MAX);
        buf_str(&line, STR("candor: diagnose: "));
        report_plain(&line, f->path);
        buf_printf(&line, ": %.*s\n", STR_ARG(f->problem));
        fwrite(line.p, 1, line.n, stderr);
        buf_fini(&line);
    }
    if (told > PROBLEMS_TOLD)
        fprintf(stderr, "candor: diagnose: and %zu more, which the report names\n",
                told - PROBLEMS_TOLD);
    if (records)
        return 0;
    fprintf(stderr, "candor: diagnose: no records were found\n");
    return 1;
}

static int diagnose(const struct arguments *a)
{
    struct arena arena;
    struct findings findings;
    struct buf report;
    struct report_options options = {.top = a->top,
                                     .width = terminal_width(),
                                     .has_colour =
                                         !a->output && wants_terminal_extras(STDOUT_FILENO)};

    arena_init(&arena, 0);
    findings_init(&findings);
    buf_init(&report, REPORT_MAX);
    struct model *m = scan_paths(a->paths, a->path_n, &a->scan, &arena);

    if (a->scan.on_progress)
        fprintf(stderr, "\r\033[K");
    detectors_run(m, &findings);
    if (a->is_html)
        report_html(&report, m, &findings, &options);
    else if (a->is_json)
        report_json(&report, m, &findings, &options);
    else
        report_text(&report, m, &findings, &options);
    int status = report.overflow ? 1 : give_report(m, a, buf_view(&report));

    if (report.overflow)
        fprintf(stderr, "candor: diagnose: the report is too large: ask for less with --top\n");
    int problems = tell_problems(m);

    buf_fini(&report);
    findings_fini(&findings);
    arena_fini(&arena);
    return status ? status : problems;
}

/* Somebody waits at a terminal, and reading will take longer than a moment. */
static bool wants_sample_first(const struct arguments *a)
{
    return !a->is_sample && !a->is_json && !a->is_html && !a->output && isatty(STDOUT_FILENO) &&
           scan_size(a->paths, a->path_n) >= SAMPLE_FROM;
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};

    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0)
            return command_help(&command_diagnose);
    hash_seed();
    filter_init(&a.scan.filter);
    a.paths = calloc((size_t)argc, sizeof(const char *));
    if (!a.paths)
        return 1;
    if (isatty(STDERR_FILENO))
        a.scan.on_progress = on_progress;
    int status = take_arguments(&a, argc, argv);

    if (status == 0 && wants_sample_first(&a)) {
        struct arguments sample = a;
        sample.scan.sample_bytes = SAMPLE_BYTES;
        status = diagnose(&sample);
        printf("\nNow everything is read.\n\n");
        fflush(stdout);
    }
    if (status == 0)
        status = diagnose(&a);
    free(a.paths);
    return status;
}

const struct command command_diagnose = {
    .name = "diagnose",
    .usage = "PATH... [options]",
    .summary = "Reads logs and traces and reports what goes wrong, and why.",
    .help =
        "PATH is a log, a folder of logs, or - for standard input; plain or packed with gzip, "
        "zstd\n"
        "or zip. Each is recognised by its content: W3C, IIS, NCSA, HTTPERR, FTP, failed request\n"
        "traces, HAR, ASP.NET Core Module logs, of this server or of Windows.\n"
        "\n"
        "  --format text|json|html   the report's form\n"
        "  --output FILE        write it there\n"
        "  --since TIME         only records from then on: 2026-03-14, 2026-03-14T08:00:01Z\n"
        "  --until TIME         only records up to then\n"
        "  --site NAME          only one site: W3SVC1, or its name as logged\n"
        "  --status CODE        only requests that ended so, and list them: 404.8, 503, 5xx\n"
        "  --url TEXT           only URLs that contain it, and list the requests\n"
        "  --client ADDRESS     only this client's requests, and list them\n"
        "  --top N              rows per table (20), and requests listed (50)\n"
        "  --sample             read a part only, spread over large files, for a quick picture\n"
        "  --threads N          threads (one per processor)\n"
        "\n"
        "Exit status: 0, or 1 when nothing could be read or written, 2 for wrong usage.\n",
    .run = run,
};
