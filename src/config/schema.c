#include "config/schema.h"

#include <stdlib.h>

#include "base/poison.h"

static int by_path(const void *key, const void *row)
{
    const struct str *path = key;
    const struct schema_section *s = row;

    return str_cmp(*path, str_z(s->path));
}

const struct schema_section *schema_section_find(struct str path)
{
    return bsearch(&path, schema_sections, schema_n_sections, sizeof(schema_sections[0]), by_path);
}

int schema_attr_index(const struct schema_elem *e, struct str name)
{
    for (size_t i = 0; i < e->n_attrs; i++)
        if (str_eq(name, str_z(e->attrs[i].name)))
            return (int)i;
    return -1;
}

const struct schema_elem *schema_child_find(const struct schema_elem *e, struct str name)
{
    for (size_t i = 0; i < e->n_children; i++)
        if (str_eq(name, str_z(e->children[i]->name)))
            return e->children[i];
    return NULL;
}

const struct schema_elem *schema_add_find(const struct schema_elem *e, struct str name)
{
    if (!e->collection)
        return NULL;
    for (size_t i = 0; i < e->collection->n_add; i++)
        if (str_eq(name, str_z(e->collection->add[i]->name)))
            return e->collection->add[i];
    return NULL;
}

bool schema_is_group(struct str path)
{
    for (size_t i = 0; i < schema_n_sections; i++) {
        struct str p = str_z(schema_sections[i].path);
        if (schema_sections[i].definition != DEFINE_UNREGISTERED && p.n > path.n &&
            p.p[path.n] == '/' && str_starts(p, path))
            return true;
    }
    return false;
}
