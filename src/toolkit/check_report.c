#include "toolkit/check_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/poison.h"

/* Bounds of what one run keeps and prints. */
enum { FINDINGS_MAX = 20000, SECTIONS_MAX = 4000, FILES_MAX = 100000 };

static const char *const severity_names[] = {
    [CHECK_NOTE] = "note", [CHECK_WARNING] = "warning", [CHECK_ERROR] = "error"};
static const char *const severity_colours[] = {
    [CHECK_NOTE] = "\033[36m", [CHECK_WARNING] = "\033[33m", [CHECK_ERROR] = "\033[1;31m"};

void check_report_init(struct check_report *r)
{
    *r = (struct check_report){0};
    arena_init(&r->arena, 0);
}

void check_report_fini(struct check_report *r)
{
    free(r->findings);
    free(r->sections);
    free(r->files);
    arena_fini(&r->arena);
    *r = (struct check_report){0};
}

static bool same_finding(const struct check_finding *a, const struct check_finding *b)
{
    return a->line == b->line && a->column == b->column && a->code == b->code &&
           a->severity == b->severity && str_eq(a->file, b->file) && str_eq(a->text, b->text) &&
           str_eq(a->section, b->section);
}

void check_report_add(struct check_report *r, const struct check_finding *f)
{
    for (size_t i = 0; i < r->n_findings; i++)
        if (same_finding(&r->findings[i], f))
            return;
    r->errors += f->severity == CHECK_ERROR;
    if (r->n_findings == FINDINGS_MAX) {
        r->is_full = true;
        return;
    }
    r->findings = xgrow(r->findings, r->n_findings, &r->cap_findings, sizeof(*r->findings));
    struct check_finding *copy = &r->findings[r->n_findings++];

    *copy = *f;
    copy->file = arena_dup(&r->arena, f->file);
    copy->text = arena_dup(&r->arena, f->text);
    copy->section = arena_dup(&r->arena, f->section);
    copy->remedy = arena_dup(&r->arena, f->remedy);
    copy->extra = arena_dup(&r->arena, f->extra);
}

void check_report_error(struct check_report *r, const struct config_error *e)
{
    struct check_finding f = {
        .severity = CHECK_ERROR,
        .file = e->file,
        .line = e->at_line,
        .column = e->at_column,
        .code = e->hresult,
        .section = e->section,
        .text = e->text.n ? e->text : e->remedy,
        .remedy = e->text.n ? e->remedy : STR(""),
        .extra = e->unlock,
    };

    check_report_add(r, &f);
}

void check_report_section(struct check_report *r, const struct config_held_section *s)
{
    for (size_t i = 0; i < r->n_sections; i++)
        if (str_eq(r->sections[i].path, s->path))
            return;
    if (r->n_sections == SECTIONS_MAX)
        return;
    r->sections = xgrow(r->sections, r->n_sections, &r->cap_sections, sizeof(*r->sections));
    r->sections[r->n_sections++] = (struct check_section){.path = arena_dup(&r->arena, s->path),
                                                          .note = arena_dup(&r->arena, s->note),
                                                          .support = s->support};
}

void check_report_file(struct check_report *r, struct str path)
{
    for (size_t i = 0; i < r->n_files; i++)
        if (str_eq(r->files[i], path))
            return;
    if (r->n_files == FILES_MAX)
        return;
    r->files = xgrow(r->files, r->n_files, &r->cap_files, sizeof(*r->files));
    r->files[r->n_files++] = arena_dup(&r->arena, path);
}

/* ---- text ---- */

/* Pieces of files go to a terminal: nothing in them may steer it. */
static void put_safe(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool is_c1 = c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || is_c1)
            buf_printf(out, "\\x%02x", is_c1 ? (unsigned char)s.p[++i] : c);
        else
            buf_char(out, s.p[i]);
    }
}

static void put_indented(struct buf *out, struct str text)
{
    struct str line;

    while (str_split(&text, '\n', &line)) {
        buf_str(out, STR("        "));
        put_safe(out, line);
        buf_char(out, '\n');
    }
}

static void put_finding(struct buf *out, const struct check_finding *f, bool colour)
{
    put_safe(out, f->file);
    if (f->line)
        buf_printf(out, ":%u:%u", f->line, f->column ? f->column : 1);
    buf_printf(out, ": %s%s:%s ", colour ? severity_colours[f->severity] : "",
               severity_names[f->severity], colour ? "\033[0m" : "");
    put_safe(out, str_trim_all(f->text));
    if (f->code)
        buf_printf(out, " [0x%08" PRIx32 "]", f->code);
    if (f->section.n) {
        buf_str(out, STR(" ("));
        put_safe(out, f->section);
        buf_char(out, ')');
    }
    buf_char(out, '\n');
    if (f->remedy.n) {
        buf_str(out, STR("    "));
        put_safe(out, f->remedy);
        buf_char(out, '\n');
    }
    put_indented(out, f->extra);
}

static const char *support_text(enum config_support s)
{
    return s == CONFIG_FULL      ? "honoured"
           : s == CONFIG_PARTIAL ? "honoured with a difference"
                                 : "not supported";
}

void check_report_text(const struct check_report *r, bool colour, struct buf *out)
{
    for (size_t i = 0; i < r->n_findings; i++)
        put_finding(out, &r->findings[i], colour);
    if (r->n_sections)
        buf_str(out, STR("sections:\n"));
    for (size_t i = 0; i < r->n_sections; i++) {
        const struct check_section *s = &r->sections[i];
        buf_str(out, STR("  "));
        put_safe(out, s->path);
        buf_printf(out, ": %s", support_text(s->support));
        if (s->note.n) {
            buf_str(out, STR(": "));
            put_safe(out, s->note);
        }
        buf_char(out, '\n');
    }
    buf_printf(out, "%zu file%s checked, %u error%s%s\n", r->n_files, r->n_files == 1 ? "" : "s",
               r->errors, r->errors == 1 ? "" : "s",
               r->is_full ? " (only the first findings are shown)" : "");
}

/* ---- JSON ---- */

/* json_stringn refuses what is not UTF-8; then bytes outside ASCII are replaced. */
static json_t *json_text(struct str s)
{
    json_t *j = json_stringn(s.p ? s.p : "", s.n);

    if (j)
        return j;
    char *z = str_dup_z(s);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)z[i] >= 0x80)
            z[i] = '?';
    j = json_stringn(z, s.n);
    free(z);
    return j;
}

static json_t *finding_json(const struct check_finding *f)
{
    char code[16] = "";

    if (f->code)
        snprintf(code, sizeof(code), "0x%08" PRIx32, f->code);
    json_t *j = json_object();
    json_object_set_new(j, "file", json_text(f->file));
    json_object_set_new(j, "line", json_integer(f->line));
    json_object_set_new(j, "column", json_integer(f->column));
    json_object_set_new(j, "severity", json_string(severity_names[f->severity]));
    json_object_set_new(j, "code", f->code ? json_string(code) : json_null());
    json_object_set_new(j, "section", json_text(f->section));
    json_object_set_new(j, "text", json_text(str_trim_all(f->text)));
    json_object_set_new(j, "remedy", json_text(f->remedy));
    if (f->extra.n)
        json_object_set_new(j, "unlock", json_text(f->extra));
    return j;
}

void check_report_json(const struct check_report *r, struct buf *out)
{
    static const char *const support[] = {
        [CONFIG_IGNORED] = "ignored", [CONFIG_PARTIAL] = "partial", [CONFIG_FULL] = "full"};
    json_t *top = json_object(), *files = json_array(), *findings = json_array();
    json_t *sections = json_array();

    for (size_t i = 0; i < r->n_files; i++)
        json_array_append_new(files, json_text(r->files[i]));
    for (size_t i = 0; i < r->n_findings; i++)
        json_array_append_new(findings, finding_json(&r->findings[i]));
    for (size_t i = 0; i < r->n_sections; i++) {
        json_t *s = json_object();
        json_object_set_new(s, "section", json_text(r->sections[i].path));
        json_object_set_new(s, "support", json_string(support[r->sections[i].support]));
        json_object_set_new(s, "note", json_text(r->sections[i].note));
        json_array_append_new(sections, s);
    }
    json_object_set_new(top, "files", files);
    json_object_set_new(top, "findings", findings);
    json_object_set_new(top, "sections", sections);
    char *text = json_dumps(top, JSON_INDENT(2));
    if (text)
        buf_str(out, str_z(text));
    buf_char(out, '\n');
    free(text);
    json_decref(top);
}
