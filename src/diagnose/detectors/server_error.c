/* 500.x other than configuration: the application, its start and stop, rewriting. */
#include "diagnose/detectors/tools.h"
#include "tables/win32.h"
#include "base/poison.h"

static const double rare = 0.001;
enum { ASP_MESSAGE_MAX = 200 };

static const struct code_case cases[] = {
    {500, 0, SEVERITY_ERROR, "The application, or a module, failed",
     "A handler or the application itself ended the request with an error. The site log does not "
     "say "
     "more than the win32 code; the application's log and a failed request trace do."},
    {500, 11, SEVERITY_WARNING, "Requests that met an application shutting down", NULL},
    {500, 12, SEVERITY_WARNING, "Requests that met an application restarting", NULL},
    {500, 15, SEVERITY_INFO, "Global.asa or Global.asax was asked for", NULL},
    {500, 21, SEVERITY_CRITICAL, "A handler names a module that is not there", NULL},
    {500, 22, SEVERITY_ERROR, "ASP.NET settings of classic mode in an integrated pool", NULL},
    {500, 23, SEVERITY_ERROR, "ASP.NET settings of classic mode in an integrated pool", NULL},
    {500, 24, SEVERITY_ERROR, "ASP.NET settings of classic mode in an integrated pool", NULL},
    {500, 50, SEVERITY_ERROR, "A rewrite rule failed", NULL},
    {500, 51, SEVERITY_ERROR, "A global rewrite rule failed", NULL},
    {500, 52, SEVERITY_ERROR, "An outbound rewrite rule failed", NULL},
    {500, 53, SEVERITY_ERROR, "An outbound rewrite rule failed", NULL},
    {500, 100, SEVERITY_ERROR, "Errors in classic ASP scripts",
     "A script ended with an error. The query column of these lines ends with |line|code|text."},
    {504, -1, SEVERITY_ERROR, "A server further back did not answer in time", NULL},
    {507, -1, SEVERITY_ERROR, "No room left for an upload", NULL},
};

/* The win32 codes of the rows, which tell apart what one number hides. */
static void name_win32(const struct model *m, struct findings *fs, struct finding *f,
                       const struct code_case *c)
{
    const struct model_status *row;
    int named = 0;

    for (size_t i = 0;
         (row = model_next_status(m, c->status, c->substatus, &i)) != NULL && named < 3;) {
        const struct win32_row *code =
            row->win32 == 0 || row->win32 > UINT32_MAX ? NULL : win32_find((uint32_t)row->win32);
        if (!code)
            continue;
        named++;
        say(fs, f, "win32 %llu, %llu time%s: %s.", (unsigned long long)row->win32,
            (unsigned long long)row->count, plural(row->count), code->text);
        finding_relate(f, findings_text(fs, "win32 %llu", (unsigned long long)row->win32));
    }
}

/* Classic ASP appends |line|code|message to the query: the first line that has it is quoted. */
static bool quote_asp(struct findings *fs, struct finding *f, struct str line)
{
    for (size_t at; (at = str_find_char(line, '|')) != SIZE_MAX;) {
        struct str rest = str_sub(line, at + 1, line.n), number, code, message;
        uint64_t v;

        line = rest;
        if (!str_split(&rest, '|', &number) || !str_split(&rest, '|', &code) ||
            !str_u64(number, 10000000, &v) || code.n != 8)
            continue;
        for (size_t i = 0; i < code.n; i++)
            if (ascii_hex(code.p[i]) < 0)
                return false;
        message = str_sub(rest, 0, str_find_char(rest, ' '));
        message = str_sub(message, 0, ASP_MESSAGE_MAX);
        char *words = arena_dup_z(&fs->arena, message);

        for (size_t i = 0; i < message.n; i++) /* blanks are logged as one of these */
            words[i] = words[i] == '_' || words[i] == '+' ? ' ' : words[i];
        say(fs, f, "One of them says: line %llu of the script, error 0x%.*s, \"%s\".",
            (unsigned long long)v, STR_ARG(code), words);
        return true;
    }
    return false;
}

static void run(const struct model *m, struct findings *fs)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct finding *f = detect_code(m, fs, "server-error", &cases[i]);

        if (!f)
            continue;
        name_win32(m, fs, f, &cases[i]);
        for (size_t k = 0; k < f->evidence_n; k++)
            if (quote_asp(fs, f, f->evidence[k]->text))
                break;
        if (f->urls.n && f->count >= 3 && ratio(f->urls.at[0].count, f->count) > 0.8)
            say(fs, f, "Nearly all for %.*s.", STR_ARG(f->urls.at[0].name));
        say_onset(m, fs, f);
        /* One in a thousand is for the list of things to repair, not an outage. */
        if (f->severity == SEVERITY_ERROR && f->share < rare)
            f->severity = SEVERITY_WARNING;
    }
}

const struct detector detector_server_error = {
    .id = "server-error",
    .title = "failures of the application, its start, or rewrite rules (500.x)",
    .run = run,
};
