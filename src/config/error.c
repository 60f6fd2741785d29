#include "config/config_error.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "config/internal.h"
#include "base/poison.h"

static PRINTF_LIKE(2, 0) struct str format(struct arena *a, const char *fmt, va_list ap)
{
    char *z = NULL;

    if (vasprintf(&z, fmt, ap) < 0)
        return STR_NULL;
    struct str s = arena_dup(a, str_z(z));

    free(z);
    return s;
}

struct config_error *error_new(struct arena *a, const struct xml_file *f, unsigned line,
                               unsigned column, uint32_t hresult, const char *section,
                               const char *fmt, ...)
{
    struct config_error *e = ARENA_NEW(a, struct config_error);
    va_list ap;

    va_start(ap, fmt);
    e->text = format(a, fmt, ap);
    va_end(ap);
    e->hresult = hresult;
    e->line = e->at_line = line;
    e->column = e->at_column = column;
    e->section = section ? arena_dup(a, str_z(section)) : STR_NULL;
    if (f) {
        e->file = arena_dup(a, f->name);
        e->has_excerpt = f->text.n > 0;
        for (unsigned i = 0; line > 0 && i < 3; i++)
            e->excerpt[i] = line + i > 1 ? arena_dup(a, xml_line(f, line + i - 1)) : STR_NULL;
    }
    return e;
}

void error_remedy(struct config_error *e, struct arena *a, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    e->remedy = format(a, fmt, ap);
    va_end(ap);
}

/* What config_load hands out: the error first, its memory behind it. */
struct owned_error {
    struct config_error error;
    struct arena arena;
};

struct config_error *error_export(const struct config_error *e)
{
    struct owned_error *o = xcalloc(1, sizeof(*o));
    struct config_error *c = &o->error;

    arena_init(&o->arena, 0);
    *c = *e;
    c->text = arena_dup(&o->arena, e->text);
    c->file = arena_dup(&o->arena, e->file);
    c->section = arena_dup(&o->arena, e->section);
    c->lock_file = arena_dup(&o->arena, e->lock_file);
    c->unlock = arena_dup(&o->arena, e->unlock);
    c->remedy = arena_dup(&o->arena, e->remedy);
    for (size_t i = 0; i < ARRAY_LEN(c->excerpt); i++)
        c->excerpt[i] = arena_dup(&o->arena, e->excerpt[i]);
    return c;
}

struct config_error *config_error_free(struct config_error *e)
{
    if (e) {
        struct owned_error *o = CONTAINER_OF(e, struct owned_error, error);
        arena_fini(&o->arena);
        free(o);
    }
    return NULL;
}

void config_error_format(const struct config_error *e, struct buf *out)
{
    buf_str(out, e->file);
    if (e->at_line)
        buf_printf(out, ":%u:%u", e->at_line, e->at_column);
    buf_str(out, STR(": "));
    buf_str(out, e->text.n ? e->text : e->remedy);
    buf_printf(out, " [0x%08" PRIx32 "]", e->hresult);
    if (e->section.n)
        buf_printf(out, " (%.*s)", STR_ARG(e->section));
}

void config_error_advise(const struct config_error *e, struct buf *out)
{
    config_error_format(e, out);
    if (e->text.n && e->remedy.n)
        buf_printf(out, ". %.*s", STR_ARG(e->remedy));
}

/* ---- spelling ---- */

enum { SUGGEST_MAX = 48 };

/* Levenshtein distance without regard to case, one row at a time. */
static size_t distance(struct str a, struct str b)
{
    size_t row[SUGGEST_MAX + 1];

    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t change = diagonal + (ascii_lower(a.p[i - 1]) != ascii_lower(b.p[j - 1]));
            diagonal = row[j];
            size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = change < best ? change : best;
        }
    }
    return row[b.n];
}

void suggest_offer(struct suggest *s, const char *name)
{
    struct str n = str_z(name);

    if (n.n > SUGGEST_MAX || s->wanted.n > SUGGEST_MAX)
        return;
    size_t d = distance(s->wanted, n);
    if (!s->best || d < s->distance) {
        s->best = name;
        s->distance = d;
    }
}

const char *suggest_best(const struct suggest *s)
{
    /* Two swapped letters count as two changes. */
    size_t near = s->wanted.n < 4 ? 1 : s->wanted.n < 9 ? 2 : s->wanted.n / 3;

    return s->best && s->distance <= near ? s->best : NULL;
}
