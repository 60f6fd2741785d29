#include "toolkit/explain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "toolkit/command.h"

#include "base/poison.h"

enum { WIDTH_DEFAULT = 80, WIDTH_MIN = 40, WIDTH_MAX = 400, SUGGESTIONS = 4 };

struct options {
    bool json;
    struct str words[EXPLAIN_WORDS_MAX];
    size_t word_count;
};

struct answer {
    struct explain_catalogue c;
    struct explain_style style;
    struct buf out;
    json_t *list; /* JSON's; NULL for text */
    size_t shown; /* entries in out */
};

static struct explain_style style_of_stdout(void)
{
    struct explain_style style = {.width = WIDTH_DEFAULT};
    const char *term = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");
    struct winsize size;

    if (!isatty(STDOUT_FILENO))
        return style;
    style.colour = !(no_color && no_color[0]) && term && !str_eq(str_z(term), STR("dumb"));
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        style.width = size.ws_col < WIDTH_MIN   ? WIDTH_MIN
                      : size.ws_col > WIDTH_MAX ? WIDTH_MAX
                                                : size.ws_col;
    return style;
}

/* What the user typed, for a terminal: anything but printable ASCII becomes a question mark. */
static void put_given(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_char(out, s.p[i] >= ' ' && s.p[i] <= '~' ? s.p[i] : '?');
}

static void show_entry(struct answer *a, const struct explain_entry *e)
{
    if (a->list) {
        json_array_append_new(a->list, explain_to_json(&a->c, e));
        return;
    }
    if (a->shown++)
        buf_str(&a->out, STR("\n\n"));
    explain_print_entry(&a->out, &a->style, &a->c, e);
}

static void show_term(struct answer *a, const struct explain_term *t)
{
    if (t->note && !a->list) {
        buf_str(&a->out, a->shown ? STR("\n\n") : STR(""));
        explain_print_paragraph(&a->out, &a->style, 0, str_z(t->note));
        buf_char(&a->out, '\n');
        a->shown = 0;
    }
    for (size_t i = 0; i < t->n; i++)
        show_entry(a, t->entries[i]);
}

/* On standard error: nothing is known about the term, and what comes near it. */
static void say_unknown(struct answer *a, struct str term)
{
    const struct explain_entry *near[SUGGESTIONS];
    const char *decoded = explain_decode(&a->c, term);
    size_t n = decoded ? 0 : explain_suggest(&a->c, term, near, SUGGESTIONS);
    struct buf line;

    buf_init(&line, EXPLAIN_OUTPUT_MAX);
    buf_str(&line, STR("candor: explain: nothing is known about "));
    put_given(&line, term);
    for (size_t i = 0; i < n; i++)
        buf_printf(&line, "%s%s", i ? ", " : "; near it: ", near[i]->term);
    if (decoded)
        buf_printf(&line, "; %s", decoded);
    else if (n == 0)
        buf_str(&line, STR(" (candor explain alone lists what can be asked)"));
    buf_char(&line, '\n');
    fwrite(line.p, 1, line.n, stderr);
    buf_fini(&line);
}

/* Free words. False: nothing holds them all. */
static bool show_search(struct answer *a, const struct options *o)
{
    const struct explain_entry *hits[EXPLAIN_HITS_MAX];
    size_t total = explain_search(&a->c, o->words, o->word_count, hits, EXPLAIN_HITS_MAX);
    size_t n = total < EXPLAIN_HITS_MAX ? total : EXPLAIN_HITS_MAX;

    if (total == 0)
        return false;
    if (a->list || total == 1) {
        for (size_t i = 0; i < n; i++)
            show_entry(a, hits[i]);
        return true;
    }
    buf_printf(&a->out, "%zu entries, best first:\n\n", total);
    explain_print_hits(&a->out, &a->style, hits, n, total);
    buf_str(&a->out, STR("\ncandor explain CODE tells more about each.\n"));
    return true;
}

/* The words are terms if each of them is; else they are searched for; and if that finds nothing,
 * those that are terms are explained and the others are named. */
static int explain_words(struct answer *a, const struct options *o)
{
    struct explain_term terms[EXPLAIN_WORDS_MAX];
    size_t n = explain_parse(&a->c, o->words, o->word_count, terms);
    size_t unknown = 0, numbers = 0;

    for (size_t i = 0; i < n; i++) {
        unknown += terms[i].n == 0;
        numbers += terms[i].n == 0 && explain_is_number(terms[i].text);
    }
    /* A number is no word to search for: in a text it is a limit, or part of another number. */
    if (unknown > numbers && show_search(a, o))
        return 0;
    for (size_t i = 0; i < n; i++)
        show_term(a, &terms[i]);
    for (size_t i = 0; i < n; i++) {
        if (terms[i].n == 0)
            say_unknown(a, terms[i].text);
    }
    return unknown ? 1 : 0;
}

static json_t *kinds_json(const struct explain_catalogue *c)
{
    json_t *list = json_array();

    for (size_t i = 0; i < c->n; i++) {
        const struct explain_entry *e = &c->entries[i];

        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:s}", "kind", explain_kind_name(e->kind),
                                        "code", e->code, "term", e->term, "title", e->title));
    }
    return list;
}

static int explain_nothing(struct answer *a)
{
    if (!a->list) {
        explain_print_kinds(&a->out, &a->style, &a->c);
        return 0;
    }
    json_decref(a->list);
    a->list = kinds_json(&a->c);
    return 0;
}

static bool write_answer(struct answer *a)
{
    bool good = true;

    if (a->list) {
        good = json_dumpf(a->list, stdout, JSON_INDENT(1)) == 0 && putchar('\n') != EOF;
    } else if (a->out.n) {
        good = fwrite(a->out.p, 1, a->out.n, stdout) == a->out.n;
    }
    return fflush(stdout) == 0 && good;
}

/* The words of one argument; they may stand in quotes together. */
static bool add_words(struct options *o, struct str argument)
{
    struct str word;

    while (str_split(&argument, ' ', &word)) {
        word = str_trim_all(word);
        if (word.n == 0)
            continue;
        if (word.n > EXPLAIN_WORD_BYTES || o->word_count == EXPLAIN_WORDS_MAX)
            return false;
        o->words[o->word_count++] = word;
    }
    return true;
}

/* 0: go on; -1: --help was shown; else the exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
    bool only_words = false;

    for (int i = 1; i < argc; i++) {
        const char *format = NULL;
        struct str arg = str_z(argv[i]);

        if (!only_words && str_eq(arg, STR("--help"))) {
            command_help(&command_explain);
            return -1;
        }
        if (!only_words && str_eq(arg, STR("--"))) {
            only_words = true;
        } else if (!only_words && command_option(argc, argv, &i, "--format", &format)) {
            if (!format ||
                (!str_eq(str_z(format), STR("text")) && !str_eq(str_z(format), STR("json"))))
                return command_wrong(&command_explain, "--format must be text or json");
            o->json = str_eq(str_z(format), STR("json"));
        } else if (!only_words && arg.n > 1 && arg.p[0] == '-' && !ascii_is_digit(arg.p[1])) {
            return command_wrong(&command_explain, "unknown option %.*s", STR_ARG(arg));
        } else if (!add_words(o, arg)) {
            return command_wrong(&command_explain,
                                 "more than %d words, or one of more than %d bytes",
                                 EXPLAIN_WORDS_MAX, EXPLAIN_WORD_BYTES);
        }
    }
    return 0;
}

static int run(int argc, char **argv)
{
    struct options o = {0};
    struct answer a = {0};
    int rc = parse_options(argc, argv, &o);

    if (rc)
        return rc < 0 ? 0 : rc;
    explain_catalogue_init(&a.c);
    a.style = style_of_stdout();
    buf_init(&a.out, EXPLAIN_OUTPUT_MAX);
    if (o.json)
        a.list = json_array();
    rc = o.word_count ? explain_words(&a, &o) : explain_nothing(&a);
    if (!write_answer(&a)) {
        fprintf(stderr, "candor: explain: the answer cannot be written: %s\n", strerror(errno));
        rc = 1;
    }
    json_decref(a.list);
    buf_fini(&a.out);
    explain_catalogue_fini(&a.c);
    return rc;
}

const struct command command_explain = {
    .name = "explain",
    .usage = "[TERM...] [--format text|json]",
    .summary = "Tells what a code means, who raises it, where it is logged, and what to do.",
    .help =
        "Terms:\n"
        "  404.8, 404, 503            HTTP status or sub-status\n"
        "  QueueFull                  reason of HTTPERR\n"
        "  win32 64, ERROR_NETNAME_DELETED, 0x80070021, -2147024863, 2147942433\n"
        "                             error code, by number or by name\n"
        "  ftp 530, ftp 530.36, ftp substatus 8\n"
        "                             FTP reply or sub-status\n"
        "  MaxFieldLength             parameter of HTTP.sys\n"
        "  was 5002, event 5009, CND-1012\n"
        "                             event\n"
        "  sc-win32-status            column of logs\n"
        "  404 8 0, 404 8             sc-status, sc-substatus and sc-win32-status of a log line\n"
        "  4xx                        the statuses of a class\n"
        "  section locked             any words: a search, every word must occur\n"
        "\n"
        "Without a term: what can be asked.\n"
        "Options:\n"
        "  --format text|json         json gives an array\n"
        "\n"
        "Exit status: 0; 1 if nothing matches; 2 on wrong usage.\n",
    .run = run,
};
