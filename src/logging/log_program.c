#include "logging/log_program.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "logging/log_escape.h"
#include "base/poison.h"

/* The most that any value but a string takes, with its separator. */
enum { ROOM_PER_STEP = 24, JSON_EXPANSION = 6 };

/* Names from settings are held to the same rule as values: one word. */
static struct str escape_name(struct arena *a, struct str s, bool is_utf8)
{
    char *p = arena_alloc(a, (s.n ? s.n : 1) + LOG_SLACK);

    return str_n(p, (size_t)(log_put_field(p, s, is_utf8) - p));
}

static struct str json_key(struct arena *a, struct str name)
{
    char *p = arena_alloc(a, 6 * name.n + 4 + LOG_SLACK), *at = p;

    *at++ = ',';
    at = log_put_json(at, name);
    *at++ = ':';
    return str_n(p, (size_t)(at - p));
}

static struct log_program *program_new(enum log_line_form form, bool is_utf8,
                                       struct log_channel *channel)
{
    struct log_program *p = xcalloc(1, sizeof *p);

    arena_init(&p->arena, 0);
    p->form = form;
    p->is_utf8 = is_utf8;
    p->channel = channel;
    p->max_line = LOG_LINE_MAX;
    p->fixed = 2 + LOG_SLACK;
    p->json_keys = arena_zalloc(&p->arena, LOG_STEPS_MAX * sizeof *p->json_keys);
    return p;
}

static void add_str(struct log_program *p, size_t offset)
{
    INVARIANT(p->n_strs < LOG_STEPS_MAX && offset <= UINT16_MAX);
    p->strs[p->n_strs++] = (uint16_t)offset;
}

static void add_step(struct log_program *p, enum log_op op, size_t offset, struct str name)
{
    INVARIANT(p->n_steps < LOG_STEPS_MAX && offset <= UINT16_MAX);
    if (op == LOG_OP_TIME && p->n_steps && p->form == LOG_LINE_COLUMNS &&
        p->steps[p->n_steps - 1].op == LOG_OP_DATE) {
        p->steps[p->n_steps - 1].op = LOG_OP_STAMP;
        return;
    }
    p->fixed += ROOM_PER_STEP;
    if (p->form == LOG_LINE_JSON) {
        p->json_keys[p->n_steps] = json_key(&p->arena, name);
        p->fixed += p->json_keys[p->n_steps].n;
    }
    p->steps[p->n_steps++] = (struct log_step){(uint8_t)op, (uint16_t)offset};
    switch (op) {
    case LOG_OP_FIELD:
    case LOG_OP_CLIP:
    case LOG_OP_METHOD:
        add_str(p, offset);
        break;
    case LOG_OP_URI:
        add_str(p, offsetof(struct log_httperr_record, uri));
        add_str(p, offsetof(struct log_httperr_record, query));
        break;
    case LOG_OP_ADDR:
    case LOG_OP_ADDR_ZONE:
        add_str(p, offset + offsetof(struct log_addr, text));
        break;
    default:
        break;
    }
}

/* IIS's own format and NCSA have their fixed sets; what they need is room. */
static void add_fixed_form(struct log_program *p)
{
    static const uint16_t strs[] = {
        offsetof(struct log_record, client.text), offsetof(struct log_record, server.text),
        offsetof(struct log_record, user),        offsetof(struct log_record, method),
        offsetof(struct log_record, stem),        offsetof(struct log_record, query),
        offsetof(struct log_record, version),
    };

    for (size_t i = 0; i < ARRAY_LEN(strs); i++)
        add_str(p, strs[i]);
    p->fixed += 16 * ROOM_PER_STEP;
}

struct log_program *log_program_site(const struct log_site_settings *s, uint32_t flags,
                                     size_t n_custom, enum log_line_form form, bool is_utf8,
                                     struct str computer, struct log_channel *channel)
{
    struct log_program *p = program_new(form, is_utf8, channel);
    bool by_id = s->log_site_id || form == LOG_LINE_IIS || !s->name.n;

    p->site_name = by_id ? arena_printf(&p->arena, "W3SVC%u", s->id)
                         : escape_name(&p->arena, s->name, is_utf8);
    p->computer = escape_name(&p->arena, computer, is_utf8);
    p->json_head = arena_printf(&p->arena, "{\"log\":\"site\",\"site\":%u", s->id);
    p->max_line = s->max_line_length;
    p->max_custom = s->max_custom_field_length;
    p->fixed += p->site_name.n * JSON_EXPANSION + p->computer.n * JSON_EXPANSION + p->json_head.n;
    if (form == LOG_LINE_IIS || form == LOG_LINE_NCSA) {
        add_fixed_form(p);
        return p;
    }
    for (const struct log_column *c = log_w3c_columns; c->name; c++)
        if (flags & c->flag)
            add_step(p, c->op, c->offset, str_z(c->name));

    struct log_custom_field *f = arena_zalloc(&p->arena, (n_custom + 1) * sizeof *f);

    for (size_t i = 0; i < n_custom; i++) {
        f[i] =
            (struct log_custom_field){arena_dup(&p->arena, s->custom[i].name),
                                      arena_dup(&p->arena, s->custom[i].source), s->custom[i].type};
        add_step(p, LOG_OP_CUSTOM, i, f[i].name);
    }
    p->custom = f;
    p->n_custom = (uint8_t)n_custom;
    return p;
}

static bool httperr_has(const struct log_httperr_settings *h, const struct log_httperr_column *c)
{
    return (h->fields & c->column.flag) && (uint32_t)h->columns >= c->from;
}

struct log_program *log_program_httperr(const struct log_httperr_settings *h,
                                        enum log_line_form form, struct str computer,
                                        struct log_channel *channel)
{
    struct log_program *p = program_new(form, true, channel);

    p->computer = escape_name(&p->arena, computer, true);
    p->json_head = STR("{\"log\":\"httperr\"");
    p->fixed += p->computer.n * JSON_EXPANSION + p->json_head.n;
    for (const struct log_httperr_column *c = log_httperr_columns_all; c->column.name; c++)
        if (httperr_has(h, c))
            add_step(p, c->column.op, c->column.offset, str_z(c->column.name));
    return p;
}

void log_program_free(struct logging *lg, struct log_program *p)
{
    log_channel_unref(lg, p->channel);
    arena_fini(&p->arena);
    free(p);
}

static struct str take_header(struct arena *a, struct buf *b)
{
    struct str v = buf_view(b);

    INVARIANT(!b->overflow);
    return arena_dup(a, str_sub(v, 1, v.n));
}

struct str log_program_header(struct arena *a, uint32_t flags,
                              const struct log_custom_field *custom, size_t n_custom)
{
    _cleanup_buf_ struct buf b;

    buf_init(&b, SIZE_MAX);
    for (const struct log_column *c = log_w3c_columns; c->name; c++) {
        if (flags & c->flag) {
            buf_char(&b, ' ');
            buf_str(&b, str_z(c->name));
        }
    }
    for (size_t i = 0; i < n_custom; i++) {
        buf_char(&b, ' ');
        buf_str(&b, escape_name(a, custom[i].name, true));
    }
    return take_header(a, &b);
}

struct str log_httperr_header(struct arena *a, const struct log_httperr_settings *h)
{
    _cleanup_buf_ struct buf b;

    buf_init(&b, SIZE_MAX);
    for (const struct log_httperr_column *c = log_httperr_columns_all; c->column.name; c++) {
        if (httperr_has(h, c)) {
            buf_char(&b, ' ');
            buf_str(&b, str_z(c->column.name));
        }
    }
    return take_header(a, &b);
}
