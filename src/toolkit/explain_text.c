/* Entries for people: wrapped to the width of the terminal, with headings. */
#include "toolkit/explain.h"

#include "tables/win32.h"

#include "base/poison.h"

enum { INDENT = 2, SEE_ALSO_MAX = 32 };

enum look { LOOK_HEADING, LOOK_CODE, LOOK_SNIPPET };

static void look(struct buf *out, const struct explain_style *style, enum look what)
{
    static const char *const starts[] = {
        [LOOK_HEADING] = "\033[1m",
        [LOOK_CODE] = "\033[1;36m",
        [LOOK_SNIPPET] = "\033[32m",
    };

    if (style->colour)
        buf_str(out, str_z(starts[what]));
}

static void look_end(struct buf *out, const struct explain_style *style)
{
    if (style->colour)
        buf_str(out, STR("\033[0m"));
}

static void blanks(struct buf *out, size_t n)
{
    while (n-- > 0)
        buf_char(out, ' ');
}

/* Words from column `at` on; further lines begin at `indent`. Ends the last line. */
static void wrap(struct buf *out, const struct explain_style *style, size_t at, size_t indent,
                 struct str text)
{
    struct str word;
    bool first = true;

    while (str_split(&text, ' ', &word)) {
        if (word.n == 0)
            continue;
        if (!first && at + 1 + word.n > style->width) {
            buf_char(out, '\n');
            blanks(out, indent);
            at = indent;
        } else if (!first) {
            buf_char(out, ' ');
            at++;
        }
        buf_str(out, word);
        at += word.n;
        first = false;
    }
    buf_char(out, '\n');
}

void explain_print_paragraph(struct buf *out, const struct explain_style *style, size_t indent,
                             struct str text)
{
    blanks(out, indent);
    wrap(out, style, indent, indent, text);
}

static void heading(struct buf *out, const struct explain_style *style, const char *text)
{
    buf_char(out, '\n');
    look(out, style, LOOK_HEADING);
    buf_str(out, str_z(text));
    look_end(out, style);
    buf_char(out, '\n');
}

static void paragraph(struct buf *out, const struct explain_style *style, const char *title,
                      const char *text)
{
    if (!text)
        return;
    if (title)
        heading(out, style, title);
    explain_print_paragraph(out, style, INDENT, str_z(text));
}

/* What is to be copied: XML with an element on each line (it is ours and well-formed), or a command
 * line as it is. */
static void snippet(struct buf *out, const struct explain_style *style, size_t indent,
                    struct str text)
{
    size_t depth = 0;

    text = str_trim(text);
    look(out, style, LOOK_SNIPPET);
    for (size_t from = 0; from < text.n;) {
        size_t end = from + 1;

        while (end < text.n && !(text.p[0] == '<' && text.p[end - 1] == '>' && text.p[end] == '<'))
            end++;

        struct str line = str_sub(text, from, end);
        bool closes = str_starts(line, STR("</"));

        if (closes && depth > 0)
            depth--;
        blanks(out, indent + 2 * depth);
        buf_str(out, line);
        buf_char(out, '\n');
        if (!closes && !str_iends(line, STR("/>")))
            depth++;
        from = end;
    }
    look_end(out, style);
}

/* "1. step", with what is to be copied below it. */
static void list(struct buf *out, const struct explain_style *style, const char *title,
                 const char *const *items, bool is_numbered)
{
    if (!items[0])
        return;
    heading(out, style, title);
    is_numbered = is_numbered && items[1];
    for (size_t i = 0; items[i]; i++) {
        struct str item = str_z(items[i]);
        size_t line_end = str_find_char(item, '\n');
        size_t before = out->n;

        blanks(out, INDENT);
        if (is_numbered)
            buf_printf(out, "%zu. ", i + 1);

        size_t at = out->n - before;

        wrap(out, style, at, at, str_sub(item, 0, line_end));
        if (line_end == SIZE_MAX)
            continue;
        for (struct str rest = str_sub(item, line_end + 1, item.n), line;
             str_split(&rest, '\n', &line);)
            snippet(out, style, at + 2, line);
    }
}

static const char *kind_label(const struct explain_entry *e)
{
    switch (e->kind) {
    case EXPLAIN_HTTP:
        return e->substatus ? "HTTP sub-status" : "HTTP status";
    case EXPLAIN_HTTPERR:
        return "reason in HTTPERR";
    case EXPLAIN_FTP:
        return e->substatus < 0 ? "FTP reply"
               : e->status < 0  ? "FTP sub-status"
                                : "FTP reply with sub-status";
    case EXPLAIN_WIN32:
        return "Win32 error";
    case EXPLAIN_HRESULT:
        return "error code";
    case EXPLAIN_PARAMETER:
        return "HTTP.sys parameter";
    case EXPLAIN_EVENT:
        return "event";
    case EXPLAIN_FIELD:
        return "column of logs";
    case EXPLAIN_KIND_COUNT:
        break;
    }
    return "";
}

/* The entry's second name in its title line; where the title is but the first sentence of the
 * meaning, which comes next, there is none. */
static const char *short_title(const struct explain_entry *e)
{
    if (e->kind == EXPLAIN_WIN32 || e->kind == EXPLAIN_HRESULT)
        return e->name;
    return str_starts(str_z(e->meaning), str_z(e->title)) ? NULL : e->title;
}

static void title_line(struct buf *out, const struct explain_style *style,
                       const struct explain_entry *e)
{
    const char *title = short_title(e);
    struct str code = str_z(e->kind == EXPLAIN_FTP || e->kind == EXPLAIN_WIN32 ? e->term : e->code);

    look(out, style, LOOK_CODE);
    buf_str(out, code);
    look_end(out, style);
    look(out, style, LOOK_HEADING);
    if (title) {
        blanks(out, 2);
        wrap(out, style, code.n + 2, code.n + 2, str_z(title));
    } else {
        buf_char(out, '\n');
    }
    look_end(out, style);

    struct buf line;

    buf_init(&line, EXPLAIN_OUTPUT_MAX);
    buf_str(&line, str_z(kind_label(e)));
    if (e->phrase)
        buf_printf(&line, "; beside it the client sees: %s", e->phrase);
    explain_print_paragraph(out, style, 0, buf_view(&line));
    buf_fini(&line);
}

/* "2 = 0x80070002  ERROR_FILE_NOT_FOUND", or the ways in which an error code itself is written. */
static void error_codes(struct buf *out, const struct explain_style *style,
                        const struct explain_entry *e)
{
    if (e->error_count == 0 || (e->kind != EXPLAIN_HTTP && *e->errors == 0))
        return;
    heading(out, style, "Error codes");
    for (size_t i = 0; i < e->error_count; i++) {
        uint32_t code = win32_from_hresult(e->errors[i]);
        uint32_t hresult = code <= 0xFFFF ? HRESULT_FROM_WIN32(code) : code;
        const struct win32_row *row = win32_find(code);

        if (e->kind == EXPLAIN_HTTP) {
            buf_printf(out, "  %u = 0x%08x  %s\n", code, hresult, row ? row->name : "");
            continue;
        }
        buf_printf(out, "  %u = 0x%08x", code, hresult);
        if (code != hresult)
            buf_printf(out, " = %u", hresult);
        buf_printf(out, " = %lld\n", (long long)hresult - 0x100000000LL);
    }
}

static void parts(struct buf *out, const struct explain_style *style, const struct explain_entry *e)
{
    if (e->part_count == 0)
        return;
    heading(out, style, e->kind == EXPLAIN_FTP ? "Sub-statuses that come with it" : "Sub-statuses");
    for (size_t i = 0; i < e->part_count; i++) {
        buf_printf(out, "  %-8s ", e->parts[i].term);
        wrap(out, style, 11, 11, str_z(e->parts[i].title));
    }
}

static void see_also(struct buf *out, const struct explain_style *style,
                     struct explain_catalogue *c, const struct explain_entry *e)
{
    const struct explain_entry *refs[SEE_ALSO_MAX];
    size_t n = explain_see_also(c, e, refs, SEE_ALSO_MAX);
    size_t at = INDENT;

    if (n == 0)
        return;
    heading(out, style, "See also");
    blanks(out, INDENT);
    for (size_t i = 0; i < n; i++) {
        struct str term = str_z(refs[i]->term);

        if (i && at + term.n + 3 > style->width) {
            buf_str(out, STR(",\n"));
            blanks(out, INDENT);
            at = INDENT;
        } else if (i) {
            buf_str(out, STR(", "));
            at += 2;
        }
        buf_str(out, term);
        at += term.n;
    }
    buf_char(out, '\n');
}

static void reproduce(struct buf *out, const struct explain_style *style,
                      const struct explain_entry *e)
{
    if (!e->reproduce)
        return;
    paragraph(out, style, "Reproduce", e->reproduce);
    if (!e->command)
        return;
    blanks(out, INDENT + 2);
    look(out, style, LOOK_SNIPPET);
    buf_str(out, str_z(e->command));
    look_end(out, style);
    buf_char(out, '\n');
}

static void who(struct buf *out, const struct explain_style *style, const struct explain_entry *e)
{
    bool is_error = e->kind == EXPLAIN_WIN32 || e->kind == EXPLAIN_HRESULT;
    struct buf line;

    if (!e->component)
        return;
    heading(out, style,
            e->kind == EXPLAIN_PARAMETER ? "Who reads it"
            : e->kind == EXPLAIN_HTTPERR ? "Who logs it, and when"
            : e->when                    ? "Who raises it, and when"
                                         : "Who raises it");
    buf_init(&line, EXPLAIN_OUTPUT_MAX);
    buf_str(&line, str_z(e->component));
    if (e->when && !is_error)
        buf_printf(&line, "; %s", e->when);
    explain_print_paragraph(out, style, INDENT, buf_view(&line));
    buf_clear(&line);
    if (e->here || (e->when && is_error)) {
        buf_printf(&line, "%s: %s", is_error ? "In these logs" : "On Candor",
                   is_error ? e->when : e->here);
        explain_print_paragraph(out, style, INDENT, buf_view(&line));
    }
    buf_fini(&line);
}

void explain_print_entry(struct buf *out, const struct explain_style *style,
                         struct explain_catalogue *c, const struct explain_entry *e)
{
    title_line(out, style, e);
    paragraph(out, style, "What it means", e->meaning);
    who(out, style, e);
    paragraph(out, style, "Where it is logged", e->logged);
    list(out, style, "Versions", e->versions, false);
    paragraph(out, style, "Note", e->note);
    list(out, style,
         e->kind == EXPLAIN_PARAMETER   ? "Why people change it"
         : e->causes[0] && e->causes[1] ? "Likely causes, most likely first"
                                        : "Likely cause",
         e->causes, true);
    list(out, style, "What to do", e->remedies, true);
    list(out, style, "On Windows", e->on_windows, false);
    list(out, style, "On Candor", e->on_candor, false);
    list(out, style, "Settings", e->settings, false);
    reproduce(out, style, e);
    error_codes(out, style, e);
    parts(out, style, e);
    see_also(out, style, c, e);
    list(out, style, "Documented in", e->sources, false);
}

/* One line, cut with dots at the width. */
static void hit_line(struct buf *out, const struct explain_style *style, size_t column,
                     const struct explain_entry *e)
{
    bool is_error = e->kind == EXPLAIN_WIN32 || e->kind == EXPLAIN_HRESULT;
    size_t room = style->width > column + INDENT + 2 ? style->width - column - INDENT - 2 : 20;
    struct buf text;

    buf_init(&text, EXPLAIN_OUTPUT_MAX);
    if (is_error)
        buf_printf(&text, "%s: ", e->name);
    buf_str(&text, str_z(e->title));

    struct str shown = buf_view(&text);
    bool is_cut = shown.n > room;

    blanks(out, INDENT);
    look(out, style, LOOK_CODE);
    buf_str(out, str_z(e->term));
    look_end(out, style);
    blanks(out, column + 2 - strlen(e->term));
    buf_str(out, str_sub(shown, 0, is_cut ? room - 3 : room));
    buf_str(out, is_cut ? STR("...\n") : STR("\n"));
    buf_fini(&text);
}

void explain_print_hits(struct buf *out, const struct explain_style *style,
                        const struct explain_entry *const *hits, size_t n, size_t total)
{
    size_t column = 0;

    for (size_t i = 0; i < n; i++) {
        if (strlen(hits[i]->term) > column)
            column = strlen(hits[i]->term);
    }
    for (size_t i = 0; i < n; i++)
        hit_line(out, style, column, hits[i]);
    if (total > n)
        buf_printf(out, "  and %zu more: add a word\n", total - n);
}

void explain_print_kinds(struct buf *out, const struct explain_style *style,
                         const struct explain_catalogue *c)
{
    static const struct {
        enum explain_kind kind;
        const char *what;
        const char *examples;
    } kinds[] = {
        {EXPLAIN_HTTP, "HTTP statuses and sub-statuses", "404.8, 404, 503"},
        {EXPLAIN_HTTPERR, "reasons of the HTTPERR log", "QueueFull, Timer_ConnectionIdle"},
        {EXPLAIN_FTP, "FTP replies and sub-statuses", "ftp 530, ftp 530.36, ftp substatus 8"},
        {EXPLAIN_WIN32, "Win32 errors", "win32 64, ERROR_NETNAME_DELETED"},
        {EXPLAIN_HRESULT, "other error codes", "0x80070021, -2147024863, 2148074254"},
        {EXPLAIN_PARAMETER, "parameters of HTTP.sys", "MaxFieldLength"},
        {EXPLAIN_EVENT, "events", "was 5002, event 5009, CND-1012"},
        {EXPLAIN_FIELD, "columns of logs", "sc-win32-status, time-taken"},
    };

    buf_str(out, STR("What can be asked:\n\n"));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t n = 0;

        for (size_t k = 0; k < c->n; k++)
            n += c->entries[k].kind == kinds[i].kind;
        buf_printf(out, "  %4zu  %-31s ", n, kinds[i].what);
        wrap(out, style, 40, 40, str_z(kinds[i].examples));
    }
    buf_char(out, '\n');
    explain_print_paragraph(out, style, 0,
                            STR("Anything else is searched for in all texts, and every word must "
                                "occur: candor explain section locked"));
}
