/* Defaults elements (applicationPoolDefaults, siteDefaults ...): they give an item's unset values,
 * attribute by attribute and through its children, the nearest one first. */
#include <string.h>

#include "config/internal.h"
#include "base/poison.h"

static struct config_elem *child_of(const struct config_elem *e, const char *name)
{
    for (size_t i = 0; i < e->schema->n_children; i++)
        if (strcmp(e->schema->children[i]->name, name) == 0)
            return e->children[i];
    return NULL;
}

static void inherit_items(struct arena *a, struct config_elem *e, const struct config_elem *from)
{
    struct config_elem **all;
    uint64_t *keys;
    size_t n = 0;

    if (!from->n_items || e->is_cleared)
        return;
    all = arena_alloc(a, (from->n_items + e->n_items) * sizeof(*all));
    keys = arena_alloc(a, (from->n_items + e->n_items) * sizeof(*keys));
    for (size_t i = 0; i < from->n_items; i++) {
        bool own = false;
        for (size_t k = 0; k < e->n_items; k++)
            own = own || merge_same_key(e->items[k], from->items[i]);
        if (!own)
            all[n++] = from->items[i];
    }
    for (size_t k = 0; k < e->n_items; k++)
        all[n++] = e->items[k];
    for (size_t i = 0; i < n; i++)
        keys[i] = all[i]->key_hash;
    e->items = all;
    e->keys = keys;
    e->n_items = e->cap_items = n;
}

static void fill_from(struct arena *a, struct config_elem *e, const struct config_elem *from)
{
    for (size_t i = 0; i < e->schema->n_attrs; i++) {
        int k = schema_attr_index(from->schema, str_z(e->schema->attrs[i].name));
        if (k >= 0 && !e->values[i].src && from->values[k].src &&
            !(e->schema->attrs[i].flags & (SCHEMA_UNIQUE_KEY | SCHEMA_COMBINED_KEY)))
            e->values[i] = from->values[k];
    }
    for (size_t i = 0; i < e->schema->n_children; i++) {
        const struct config_elem *c = child_of(from, e->schema->children[i]->name);
        if (c)
            fill_from(a, e->children[i], c);
    }
    /* Same kind of items (schedule, bindings, environmentVariables): the defaults come first. */
    if (e->schema->collection && from->schema->collection && from->n_items)
        inherit_items(a, e, from);
}

struct level {
    const struct level *up;
    struct config_elem *elem;
};

static void fill_level(struct arena *a, struct config_elem *e, const struct level *up)
{
    const struct schema_collection *c = e->schema->collection;
    struct level here = {.up = up, .elem = e};

    for (size_t i = 0; i < e->n_items; i++) {
        for (const struct level *l = &here; c->defaults && l; l = l->up) {
            const struct config_elem *from = child_of(l->elem, c->defaults);
            if (from)
                fill_from(a, e->items[i], from);
        }
        fill_level(a, e->items[i], &here);
    }
    for (size_t i = 0; i < e->schema->n_children; i++)
        fill_level(a, e->children[i], &here);
}

void merge_defaults(struct arena *a, struct config_elem *e)
{
    fill_level(a, e, NULL);
}
