/* Effective elements: making, copying, and the typed getters. */
#include "config/internal.h"
#include "config/value.h"
#include "base/poison.h"

struct config_elem *elem_new(struct arena *a, const struct paths *p, const struct schema_elem *s,
                             const char *section)
{
    struct config_elem *e = ARENA_NEW(a, struct config_elem);

    e->schema = s;
    e->section = section;
    e->name = str_z(s->name);
    e->values = s->n_attrs ? arena_zalloc(a, s->n_attrs * sizeof(*e->values)) : NULL;
    for (size_t i = 0; i < s->n_attrs; i++) {
        struct attr_value *v = &e->values[i];
        v->raw = v->text = str_z(s->attrs[i].otherwise);
        if (!v->raw.p)
            v->raw = v->text = STR("");
        if (s->attrs[i].flags & SCHEMA_EXPANDED)
            v->text = paths_expand(p, a, v->raw);
        v->num = value_default(&s->attrs[i]);
    }
    e->children = s->n_children ? arena_zalloc(a, s->n_children * sizeof(*e->children)) : NULL;
    for (size_t i = 0; i < s->n_children; i++)
        e->children[i] = elem_new(a, p, s->children[i], section);
    return e;
}

struct config_elem *elem_copy(struct arena *a, const struct config_elem *old)
{
    const struct schema_elem *s = old->schema;
    struct config_elem *e = arena_alloc(a, sizeof(*e));

    *e = *old;
    if (s->n_attrs) {
        e->values = arena_alloc(a, s->n_attrs * sizeof(*e->values));
        memcpy(e->values, old->values, s->n_attrs * sizeof(*e->values));
    }
    if (s->n_children) {
        e->children = arena_alloc(a, s->n_children * sizeof(struct config_elem *));
        for (size_t i = 0; i < s->n_children; i++)
            e->children[i] = elem_copy(a, old->children[i]);
    }
    if (old->n_items) {
        e->items = arena_alloc(a, old->n_items * sizeof(struct config_elem *));
        memcpy(e->items, old->items, old->n_items * sizeof(struct config_elem *));
        e->keys = arena_alloc(a, old->n_items * sizeof(*e->keys));
        memcpy(e->keys, old->keys, old->n_items * sizeof(*e->keys));
    }
    e->cap_items = old->n_items;
    return e;
}

/* ---- getters ---- */

static size_t index_of(const struct config_elem *e, const char *name)
{
    int i = schema_attr_index(e->schema, str_z(name));

    INVARIANT(i >= 0);
    return (size_t)i;
}

static const struct attr_value *typed_value(const struct config_elem *e, const char *name,
                                            enum schema_type type)
{
    size_t i = index_of(e, name);

    INVARIANT(e->schema->attrs[i].type == type);
    return &e->values[i];
}

bool config_bool(const struct config_elem *e, const char *name)
{
    return typed_value(e, name, SCHEMA_BOOL)->num != 0;
}

uint32_t config_u32(const struct config_elem *e, const char *name)
{
    return (uint32_t)typed_value(e, name, SCHEMA_UINT)->num;
}

int64_t config_i64(const struct config_elem *e, const char *name)
{
    size_t i = index_of(e, name);
    enum schema_type t = e->schema->attrs[i].type;

    INVARIANT(t == SCHEMA_INT || t == SCHEMA_UINT || t == SCHEMA_INT64);
    return e->values[i].num;
}

struct str config_str(const struct config_elem *e, const char *name)
{
    return typed_value(e, name, SCHEMA_STRING)->text;
}

struct str config_raw(const struct config_elem *e, const char *name)
{
    return e->values[index_of(e, name)].raw;
}

uint32_t config_enum(const struct config_elem *e, const char *name)
{
    return (uint32_t)typed_value(e, name, SCHEMA_ENUM)->num;
}

struct str config_enum_name(const struct config_elem *e, const char *name)
{
    const struct schema_attr *a = &e->schema->attrs[index_of(e, name)];
    int64_t num = typed_value(e, name, SCHEMA_ENUM)->num;

    for (size_t i = 0; i < a->n_values; i++)
        if (a->values[i].number == num)
            return str_z(a->values[i].name);
    return STR("");
}

uint32_t config_flags(const struct config_elem *e, const char *name)
{
    return (uint32_t)typed_value(e, name, SCHEMA_FLAGS)->num;
}

uint64_t config_time_ms(const struct config_elem *e, const char *name)
{
    return (uint64_t)typed_value(e, name, SCHEMA_TIME)->num;
}

bool config_is_set(const struct config_elem *e, const char *name)
{
    return e->values[index_of(e, name)].src != NULL;
}

const struct config_elem *config_child(const struct config_elem *e, const char *name)
{
    size_t i = 0;

    while (i < e->schema->n_children && strcmp(e->schema->children[i]->name, name) != 0)
        i++;
    INVARIANT(i < e->schema->n_children);
    return e->children[i];
}

size_t config_n_items(const struct config_elem *e)
{
    return e->n_items;
}

const struct config_elem *config_item(const struct config_elem *e, size_t i)
{
    INVARIANT(i < e->n_items);
    return e->items[i];
}

struct str config_elem_name(const struct config_elem *e)
{
    return e->name;
}

struct config_source_pos config_elem_pos(const struct config_elem *e)
{
    if (!e->src)
        return (struct config_source_pos){.file = STR("")};
    return (struct config_source_pos){e->src->file->name, e->src->line, e->src->column};
}

struct config_source_pos config_attr_pos(const struct config_elem *e, const char *name)
{
    const struct attr_value *v = &e->values[index_of(e, name)];

    if (!v->src)
        return (struct config_source_pos){.file = STR("")};
    return (struct config_source_pos){v->src_elem->file->name, v->src->line, v->src->column};
}
