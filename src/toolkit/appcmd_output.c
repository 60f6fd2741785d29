/* The forms of appcmd.exe: a line per object, /text with a name or with an asterisk, /xml. */
#include <stdio.h>

#include "toolkit/appcmd.h"
#include "base/poison.h"

enum { LINE_MAX_BYTES = 1 << 20 };

static void flush(struct buf *b)
{
    (void)!fwrite(b->p, 1, b->n, stdout);
    buf_fini(b);
}

static size_t count_fields(const struct appcmd_object *o)
{
    size_t n = 0;

    while (n < APPCMD_FIELDS_MAX && o->fields[n].name)
        n++;
    return n;
}

/* SITE "Default Web Site" (id:1,...,state:Started) */
static void put_line(struct buf *b, const struct appcmd_object *o, const struct appcmd_item *item)
{
    struct str form = str_z(o->form);

    buf_printf(b, "%s \"%s\" (", o->tag, item->value[0]);
    while (form.n) {
        size_t open = str_find_char(form, '{');
        buf_str(b, str_sub(form, 0, open));
        if (open == SIZE_MAX)
            break;
        size_t close = str_find_char(form, '}');
        size_t field = appcmd_field_find(o, str_sub(form, open + 1, close));
        INVARIANT(field != SIZE_MAX);
        buf_str(b, str_z(item->value[field]));
        form = str_sub(form, close + 1, form.n);
    }
    buf_str(b, STR(")\n"));
}

static void put_all(struct buf *b, const struct appcmd_object *o, const struct appcmd_item *item)
{
    buf_printf(b, "%s\n", o->tag);
    for (size_t i = 0; i < count_fields(o); i++)
        buf_printf(b, "  %s:\"%s\"\n", o->fields[i].name, item->value[i]);
    buf_char(b, '\n');
}

static void put_xml(struct buf *b, const struct appcmd_object *o, const struct appcmd_item *item)
{
    buf_printf(b, "    <%s", o->tag);
    for (size_t i = 0; i < count_fields(o); i++) {
        buf_printf(b, " %s=\"", o->fields[i].name);
        buf_html(b, str_z(item->value[i]));
        buf_char(b, '"');
    }
    buf_str(b, STR(" />\n"));
}

void appcmd_print_begin(const struct appcmd_run *run)
{
    if (run->form == APPCMD_XML)
        printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<appcmd>\n");
}

void appcmd_print(const struct appcmd_run *run, const struct appcmd_item *item)
{
    struct buf b;

    buf_init(&b, LINE_MAX_BYTES);
    switch (run->form) {
    case APPCMD_LINES:
        put_line(&b, run->object, item);
        break;
    case APPCMD_TEXT:
        buf_printf(&b, "%s\n", item->value[run->text_field]);
        break;
    case APPCMD_TEXT_ALL:
        put_all(&b, run->object, item);
        break;
    case APPCMD_XML:
        put_xml(&b, run->object, item);
        break;
    }
    flush(&b);
}

void appcmd_print_end(const struct appcmd_run *run)
{
    if (run->form == APPCMD_XML)
        printf("</appcmd>\n");
}
