/* What one file says about a section, applied to what is inherited: attributes, collections,
 * locks, validation. */
#include <errno.h>

#include "base/hash.h"
#include "config/files.h"
#include "config/internal.h"
#include "config/value.h"
#include "base/poison.h"

/* ---- errors ---- */

static struct config_error *fail(struct merge *m, const struct xml_elem *x, uint32_t hresult,
                                 const char *fmt, struct str arg)
{
    struct buf text;

    /* The formats here take at most one view; it may be longer than printf's "%.*s" prints. */
    buf_init(&text, 70000);
    const char *at = strstr(fmt, "$");
    buf_append(&text, fmt, at ? (size_t)(at - fmt) : strlen(fmt));
    if (at) {
        buf_str(&text, arg);
        buf_str(&text, str_z(at + 1));
    }
    struct config_error *e = error_new(m->arena, x->file, x->line, x->column, hresult, m->section,
                                       "%.*s", STR_ARG(buf_view(&text)));

    buf_fini(&text);
    m->error = e;
    return e;
}

/* The line that locks, without its lock attribute. */
static struct str unlocked_line(struct arena *a, const struct xml_file *f, unsigned line,
                                const char *attr_name)
{
    struct str s = str_trim_all(xml_line(f, line));
    size_t from = str_find(s, str_z(attr_name)), quote = from;

    if (from == SIZE_MAX)
        return arena_dup(a, s);
    while (quote < s.n && s.p[quote] != '"' && s.p[quote] != '\'')
        quote++;
    size_t len = quote < s.n ? str_find_char(str_sub(s, quote + 1, s.n), s.p[quote]) : SIZE_MAX;
    if (len == SIZE_MAX)
        return arena_dup(a, s);
    struct str rest = str_sub(s, quote + 1 + len + 1, s.n);
    return arena_printf(a, "%.*s%.*s", (int)from, s.p, STR_ARG(str_trim(rest)));
}

static bool fail_lock(struct merge *m, const struct xml_elem *x, const struct xml_elem *locker,
                      const char *attr_name)
{
    struct config_error *e = fail(m, x, CONFIG_E_LOCK_VIOLATION, "Lock violation", STR_NULL);
    const struct xml_attr *lock = xml_attr_find(locker, str_z(attr_name));

    e->lock_file = locker->file->name;
    e->lock_line = lock ? lock->line : locker->line;
    e->unlock = unlocked_line(m->arena, locker->file, e->lock_line, attr_name);
    error_remedy(e, m->arena,
                 "Remove it here, or change the attribute %s at %.*s:%u, which locks it.",
                 attr_name, STR_ARG(e->lock_file), e->lock_line);
    return false;
}

static bool fail_unknown_attr(struct merge *m, const struct xml_elem *x, const struct xml_attr *at,
                              const struct schema_elem *s)
{
    struct suggest g = {.wanted = at->name};
    struct config_error *e =
        fail(m, x, CONFIG_E_INVALID_DATA, "Unrecognized attribute '$'", at->name);

    e->at_line = at->line;
    e->at_column = at->column;
    for (size_t i = 0; i < s->n_attrs; i++)
        suggest_offer(&g, s->attrs[i].name);
    const char *near = suggest_best(&g);
    if (near)
        error_remedy(e, m->arena, "<%s> has no such attribute; did you mean '%s'?", s->name, near);
    else
        error_remedy(e, m->arena, "Remove it: <%s> has no such attribute.", s->name);
    return false;
}

static bool fail_unknown_elem(struct merge *m, const struct xml_elem *x,
                              const struct schema_elem *s)
{
    struct suggest g = {.wanted = x->name};
    struct config_error *e = fail(m, x, CONFIG_E_INVALID_DATA, "Unrecognized element '$'", x->name);
    const struct schema_collection *c = s->collection;

    for (size_t i = 0; i < s->n_children; i++)
        suggest_offer(&g, s->children[i]->name);
    for (size_t i = 0; c && i < c->n_add; i++)
        suggest_offer(&g, c->add[i]->name);
    if (c && c->remove)
        suggest_offer(&g, c->remove);
    if (c && c->clear)
        suggest_offer(&g, c->clear);
    const char *near = suggest_best(&g);
    if (near)
        error_remedy(e, m->arena, "<%s> does not take it; did you mean <%s>?", s->name, near);
    else
        error_remedy(e, m->arena, "Remove or move it: <%s> does not take it.", s->name);
    return false;
}

/* ---- locks ---- */

static bool names_match(struct str names, struct str name)
{
    struct str one;

    while (str_split(&names, ',', &one)) {
        one = str_trim_all(one);
        if (str_eq(one, name) || str_eq(one, STR("*")))
            return true;
    }
    return false;
}

/* Is name locked against a file of this rank? Then ret says by whom. */
static bool is_locked(const struct config_elem *e, struct str name, bool is_attr, unsigned rank,
                      const struct lock **ret)
{
    for (const struct lock *l = e->locks; l; l = l->next) {
        bool for_attrs = l->kind == LOCK_ATTRIBUTES || l->kind == LOCK_ATTRIBUTES_EXCEPT;
        bool except = l->kind == LOCK_ATTRIBUTES_EXCEPT || l->kind == LOCK_ELEMENTS_EXCEPT;
        if (l->rank < rank && for_attrs == is_attr && names_match(l->names, name) != except) {
            *ret = l;
            return true;
        }
    }
    return false;
}

static const char *const lock_names[] = {
    [LOCK_ATTRIBUTES] = "lockAttributes",
    [LOCK_ATTRIBUTES_EXCEPT] = "lockAllAttributesExcept",
    [LOCK_ELEMENTS] = "lockElements",
    [LOCK_ELEMENTS_EXCEPT] = "lockAllElementsExcept",
};

static bool knows_elem(const struct schema_elem *s, struct str name)
{
    const struct schema_collection *c = s->collection;

    return schema_child_find(s, name) || schema_add_find(s, name) ||
           (c && c->remove && str_eq(name, str_z(c->remove))) ||
           (c && c->clear && str_eq(name, str_z(c->clear)));
}

static bool knows_name(const struct schema_elem *s, bool is_attr, struct str name)
{
    return str_eq(name, STR("*")) ||
           (is_attr ? schema_attr_index(s, name) >= 0 : knows_elem(s, name));
}

/* An element's lock attributes; they bind files below, so they come after its own content. */
static bool apply_locks(struct merge *m, struct config_elem *e, const struct xml_elem *x)
{
    for (size_t k = 0; k < ARRAY_LEN(lock_names); k++) {
        const struct xml_attr *at = xml_attr_find(x, str_z(lock_names[k]));
        bool for_attrs = k == LOCK_ATTRIBUTES || k == LOCK_ATTRIBUTES_EXCEPT;
        struct str rest = at ? at->value : STR_NULL, one;
        struct buf names; /* each once: every element of the files below is compared with them */

        if (!at)
            continue;
        buf_init(&names, 64 * 1024);
        while (str_split(&rest, ',', &one)) {
            one = str_trim_all(one);
            if (one.n == 0)
                continue;
            if (knows_name(e->schema, for_attrs, one)) {
                if (!names_match(buf_view(&names), one)) {
                    buf_str(&names, one);
                    buf_char(&names, ',');
                }
                continue;
            }
            buf_fini(&names);
            fail(m, x, CONFIG_E_INVALID_DATA,
                 k == LOCK_ATTRIBUTES          ? "lockAttributes contains unknown attribute '$'"
                 : k == LOCK_ATTRIBUTES_EXCEPT ? "lockAllAttributesExcept contains unknown "
                                                 "attribute '$'"
                 : k == LOCK_ELEMENTS          ? "lockElements contains unknown element '$'"
                                      : "lockAllElementsExcept contains unknown element '$'",
                 one);
            return false;
        }
        struct lock *l = ARENA_NEW(m->arena, struct lock);
        *l = (struct lock){.next = e->locks,
                           .kind = (enum lock_kind)k,
                           .names = arena_dup(m->arena, buf_view(&names)),
                           .elem = x,
                           .rank = m->file->rank};
        e->locks = l;
        buf_fini(&names);
    }
    return true;
}

/* ---- attributes ---- */

static bool is_lock_attr(struct str name)
{
    for (size_t k = 0; k < ARRAY_LEN(lock_names); k++)
        if (str_eq(name, str_z(lock_names[k])))
            return true;
    return str_eq(name, STR("lockItem"));
}

static bool set_value(struct merge *m, const struct xml_elem *x, const struct xml_attr *at,
                      const struct schema_attr *s, struct attr_value *v)
{
    struct buf why;
    int64_t num;
    bool is_empty = false;

    buf_init(&why, 70000);
    bool is_secret = (s->flags & SCHEMA_ENCRYPTED) && value_is_encrypted(at->value, &is_empty);
    if (!is_secret && !value_parse(s, at->value, &num, &why)) {
        struct config_error *e =
            error_new(m->arena, x->file, x->line, x->column, CONFIG_E_INVALID_DATA, m->section,
                      "The '%s' attribute is invalid.  %.*s", s->name, STR_ARG(buf_view(&why)));
        e->at_line = at->line;
        e->at_column = at->column;
        error_remedy(e, m->arena, "Give '%s' another value than '%.*s'.", s->name,
                     at->value.n > 200 ? 200 : (int)at->value.n, at->value.p);
        m->error = e;
        buf_fini(&why);
        return false;
    }
    buf_fini(&why);
    *v = (struct attr_value){.raw = at->value,
                             .text = at->value,
                             .num = is_secret ? 0 : num,
                             .src = at,
                             .src_elem = x,
                             .is_undecryptable = is_secret && !is_empty};
    if (is_secret)
        v->text = STR("");
    else if (s->flags & SCHEMA_EXPANDED)
        v->text = paths_expand(m->paths, m->arena, at->value);
    return true;
}

static bool merge_attrs(struct merge *m, struct config_elem *e, const struct xml_elem *x,
                        bool is_section)
{
    const struct schema_elem *s = e->schema;
    const struct lock *by;

    for (size_t i = 0; i < x->n_attrs; i++) {
        const struct xml_attr *at = &x->attrs[i];
        int k = schema_attr_index(s, at->name);
        if (k < 0) {
            if (is_lock_attr(at->name) || (is_section && str_eq(at->name, STR("configSource"))) ||
                s->allow_unrecognized)
                continue;
            return fail_unknown_attr(m, x, at, s);
        }
        if (is_locked(e, at->name, /* is_attr = */ true, m->file->rank, &by))
            return fail_lock(m, x, by->elem, lock_names[by->kind]);
        if (!set_value(m, x, at, &s->attrs[k], &e->values[k]))
            return false;
    }
    if (s->allow_unrecognized && x->n_attrs) {
        e->extra = x->attrs;
        e->n_extra = x->n_attrs;
    }
    return true;
}

static bool check_required(struct merge *m, const struct config_elem *e, const struct xml_elem *x,
                           unsigned flags)
{
    const struct schema_elem *s = e->schema;
    struct buf names;
    size_t n = 0;

    buf_init(&names, 10000);
    for (size_t i = 0; i < s->n_attrs; i++) {
        if (!(s->attrs[i].flags & SCHEMA_REQUIRED) || (s->attrs[i].flags & flags) != flags ||
            e->values[i].src)
            continue;
        if (n++)
            buf_char(&names, ',');
        buf_str(&names, str_z(s->attrs[i].name));
    }
    if (n) {
        struct config_error *err =
            fail(m, x, CONFIG_E_INVALID_DATA,
                 n > 1 ? "Missing required attributes '$'" : "Missing required attribute '$'",
                 buf_view(&names));
        error_remedy(err, m->arena, "Add %.*s=\"...\" to this <%.*s>.", STR_ARG(buf_view(&names)),
                     STR_ARG(x->name));
    }
    buf_fini(&names);
    return n == 0;
}

/* ---- collections ---- */

static bool same_value(const struct schema_attr *s, const struct attr_value *a,
                       const struct attr_value *b)
{
    if (s->type != SCHEMA_STRING)
        return a->num == b->num;
    return s->flags & SCHEMA_CASE_SENSITIVE ? str_eq(a->raw, b->raw) : str_ieq(a->raw, b->raw);
}

static unsigned key_attrs(const struct schema_elem *s, unsigned flag)
{
    unsigned n = 0;

    for (size_t i = 0; i < s->n_attrs; i++)
        n += (s->attrs[i].flags & flag) != 0;
    return n;
}

/* Equal for equal keys. 0 where several keys each count by themselves. */
static uint64_t hash_key(const struct config_elem *e)
{
    const struct schema_elem *s = e->schema;
    uint64_t h = 1;

    if (key_attrs(s, SCHEMA_UNIQUE_KEY) > 1)
        return 0;
    for (size_t i = 0; i < s->n_attrs; i++) {
        if (!(s->attrs[i].flags & (SCHEMA_UNIQUE_KEY | SCHEMA_COMBINED_KEY)))
            continue;
        const struct attr_value *v = &e->values[i];
        h = h * 31 + (s->attrs[i].type == SCHEMA_STRING ? hash_ibytes(v->raw.p, v->raw.n)
                                                        : hash_bytes(&v->num, sizeof(v->num)));
    }
    return h;
}

enum key_match { KEY_DIFFERENT, KEY_UNIQUE, KEY_COMBINED };

/* Do two items have the same key? given_only: compare just the unique keys that b sets (remove). */
static enum key_match compare_keys(const struct config_elem *a, const struct config_elem *b,
                                   bool given_only, size_t *ret_attr)
{
    const struct schema_elem *s = a->schema;
    unsigned combined = 0, equal = 0;

    /* Items of a defaults element have a schema of their own that is alike. */
    if ((s != b->schema &&
         (strcmp(s->name, b->schema->name) || s->n_attrs != b->schema->n_attrs)) ||
        a->key_hash != b->key_hash)
        return KEY_DIFFERENT;
    for (size_t i = 0; i < s->n_attrs; i++) {
        unsigned flags = s->attrs[i].flags;
        if (!(flags & (SCHEMA_UNIQUE_KEY | SCHEMA_COMBINED_KEY)))
            continue;
        bool same = same_value(&s->attrs[i], &a->values[i], &b->values[i]);
        if ((flags & SCHEMA_UNIQUE_KEY) && same && (!given_only || b->values[i].src)) {
            *ret_attr = i;
            return KEY_UNIQUE;
        }
        if (flags & SCHEMA_COMBINED_KEY) {
            combined++;
            equal += same;
        }
    }
    return combined && combined == equal ? KEY_COMBINED : KEY_DIFFERENT;
}

bool merge_same_key(const struct config_elem *a, const struct config_elem *b)
{
    size_t attr;

    return compare_keys(a, b, false, &attr) != KEY_DIFFERENT;
}

static bool fail_duplicate(struct merge *m, const struct xml_elem *x,
                           const struct config_elem *item, const struct config_elem *old,
                           enum key_match match, size_t attr)
{
    const struct schema_elem *s = item->schema;
    struct buf names, values, text;

    buf_init(&names, 4000);
    buf_init(&values, 60000);
    buf_init(&text, 70000);
    for (size_t i = 0; i < s->n_attrs; i++) {
        if (match == KEY_UNIQUE ? i != attr : !(s->attrs[i].flags & SCHEMA_COMBINED_KEY))
            continue;
        if (names.n) {
            buf_str(&names, STR(", "));
            buf_str(&values, STR(", "));
        }
        buf_str(&names, str_z(s->attrs[i].name));
        buf_str(&values, item->values[i].raw);
    }
    buf_printf(&text, "Cannot add duplicate collection entry of type '%s' with %s '", s->name,
               match == KEY_UNIQUE ? "unique key attribute" : "combined key attributes");
    buf_str(&text, buf_view(&names));
    buf_str(&text, match == KEY_UNIQUE ? STR("' set to '") : STR("' respectively set to '"));
    buf_str(&text, buf_view(&values));
    buf_char(&text, '\'');
    struct config_error *e = fail(m, x, CONFIG_E_ALREADY_EXISTS, "$", buf_view(&text));
    if (old->src)
        error_remedy(e, m->arena,
                     "It is already in the list (%.*s:%u). Delete this line, or put a <remove> "
                     "for it before.",
                     STR_ARG(old->src->file->name), old->src->line);
    buf_fini(&names);
    buf_fini(&values);
    buf_fini(&text);
    return false;
}

static void insert_item(struct merge *m, struct config_elem *e, struct config_elem *item, size_t at)
{
    if (e->n_items == e->cap_items) {
        size_t cap = e->cap_items ? e->cap_items * 2 : 8;
        struct config_elem **more = arena_alloc(m->arena, cap * sizeof(*more));
        uint64_t *keys = arena_alloc(m->arena, cap * sizeof(*keys));
        if (e->n_items) {
            memcpy(more, e->items, e->n_items * sizeof(struct config_elem *));
            memcpy(keys, e->keys, e->n_items * sizeof(*keys));
        }
        e->items = more;
        e->keys = keys;
        e->cap_items = cap;
    }
    memmove(e->items + at + 1, e->items + at, (e->n_items - at) * sizeof(struct config_elem *));
    memmove(e->keys + at + 1, e->keys + at, (e->n_items - at) * sizeof(*e->keys));
    e->items[at] = item;
    e->keys[at] = item->key_hash;
    e->n_items++;
}

static bool merge_elem(struct merge *m, struct config_elem *e, const struct xml_elem *x,
                       bool is_section);

static bool add_item(struct merge *m, struct config_elem *e, const struct xml_elem *x,
                     const struct schema_elem *schema, size_t *local)
{
    const struct schema_collection *c = e->schema->collection;
    struct config_elem *item = elem_new(m->arena, m->paths, schema, m->section);

    if (!merge_elem(m, item, x, /* is_section = */ false) || !check_required(m, item, x, 0))
        return false;
    item->key_hash = hash_key(item);
    const struct xml_attr *lock = xml_attr_find(x, STR("lockItem"));
    if (lock && str_ieq(lock->value, STR("true")))
        item->item_lock = x;
    for (size_t i = 0; !c->allow_duplicates && i < e->n_items; i++) {
        size_t attr = 0;
        if (e->keys[i] != item->key_hash)
            continue;
        enum key_match match = compare_keys(e->items[i], item, false, &attr);
        if (match != KEY_DIFFERENT)
            return fail_duplicate(m, x, item, e->items[i], match, attr);
    }
    insert_item(m, e, item, c->prepend ? (*local)++ : e->n_items);
    return true;
}

/* A remove directive: key attributes only. What is not there is no error. */
static bool remove_item(struct merge *m, struct config_elem *e, const struct xml_elem *x,
                        size_t *local)
{
    const struct schema_elem *s = e->schema->collection->add[0];
    struct config_elem *key = elem_new(m->arena, m->paths, s, m->section);

    for (size_t i = 0; i < x->n_attrs; i++) {
        const struct xml_attr *at = &x->attrs[i];
        int k = schema_attr_index(s, at->name);
        if (k < 0 && is_lock_attr(at->name))
            continue;
        if (k < 0 || !(s->attrs[k].flags & (SCHEMA_UNIQUE_KEY | SCHEMA_COMBINED_KEY)))
            return fail_unknown_attr(m, x, at, s);
        if (!set_value(m, x, at, &s->attrs[k], &key->values[k]))
            return false;
    }
    bool several = key_attrs(s, SCHEMA_UNIQUE_KEY) > 1;
    if (!several && (!check_required(m, key, x, SCHEMA_UNIQUE_KEY) ||
                     !check_required(m, key, x, SCHEMA_COMBINED_KEY)))
        return false;
    key->key_hash = hash_key(key);
    for (size_t i = 0; i < e->n_items; i++) {
        size_t attr;
        struct config_elem *item = e->items[i];
        if (e->keys[i] != key->key_hash || compare_keys(item, key, several, &attr) == KEY_DIFFERENT)
            continue;
        if (item->item_lock && item->rank < m->file->rank)
            return fail_lock(m, x, item->item_lock, "lockItem");
        memmove(e->items + i, e->items + i + 1,
                (e->n_items - i - 1) * sizeof(struct config_elem *));
        memmove(e->keys + i, e->keys + i + 1, (e->n_items - i - 1) * sizeof(*e->keys));
        e->n_items--;
        if (i < *local)
            (*local)--;
        return true;
    }
    return true;
}

static bool clear_items(struct merge *m, struct config_elem *e, const struct xml_elem *x,
                        size_t *local)
{
    for (size_t i = 0; i < e->n_items; i++)
        if (e->items[i]->item_lock && e->items[i]->rank < m->file->rank)
            return fail_lock(m, x, e->items[i]->item_lock, "lockItem");
    e->n_items = 0;
    e->is_cleared = true;
    *local = 0;
    return true;
}

static bool merge_child(struct merge *m, struct config_elem *e, const struct xml_elem *x,
                        size_t *local)
{
    const struct schema_elem *s = e->schema, *item = schema_add_find(s, x->name);
    const struct schema_collection *c = s->collection;
    const struct lock *by;

    if (is_locked(e, x->name, /* is_attr = */ false, m->file->rank, &by))
        return fail_lock(m, x, by->elem, lock_names[by->kind]);
    if (item)
        return add_item(m, e, x, item, local);
    if (c && c->remove && str_eq(x->name, str_z(c->remove)))
        return remove_item(m, e, x, local);
    if (c && c->clear && str_eq(x->name, str_z(c->clear)))
        return clear_items(m, e, x, local);
    for (size_t i = 0; i < s->n_children; i++)
        if (str_eq(x->name, str_z(s->children[i]->name)))
            return merge_elem(m, e->children[i], x, /* is_section = */ false) &&
                   check_required(m, e->children[i], x, 0);
    return fail_unknown_elem(m, x, s);
}

static bool merge_elem(struct merge *m, struct config_elem *e, const struct xml_elem *x,
                       bool is_section)
{
    size_t local = 0; /* where the next item of a prepending collection goes */

    if (!merge_attrs(m, e, x, is_section))
        return false;
    e->src = x;
    e->rank = m->file->rank;
    e->name = x->name;
    for (const struct xml_elem *c = x->first_child; c; c = c->next)
        if (!merge_child(m, e, c, &local))
            return false;
    return apply_locks(m, e, x);
}

/* ---- configSource ---- */

static bool fail_source(struct merge *m, const struct xml_elem *x, struct str path, const char *why)
{
    struct config_error *e =
        fail(m, x, CONFIG_E_INVALID_DATA, "Specified configSource cannot be parsed", STR_NULL);

    error_remedy(e, m->arena, "%.*s: %s.", STR_ARG(path), why);
    return false;
}

/* The element that stands in the file a configSource names, or NULL with m->error. */
static const struct xml_elem *included(struct merge *m, const struct xml_elem *x,
                                       const struct xml_attr *at)
{
    struct str file = m->file->xml->name, bytes;
    size_t slash = str_rfind_char(file, '/');
    struct str dir = slash == SIZE_MAX ? STR(".") : str_sub(file, 0, slash);

    /* What a variable stands for may be absolute. */
    if (at->value.n == 0 || paths_leave_folder(paths_expand(m->paths, m->arena, at->value))) {
        struct config_error *e =
            fail(m, x, CONFIG_E_INVALID_DATA, "Unrecognized attribute '$'", at->name);
        e->at_line = at->line;
        e->at_column = at->column;
        error_remedy(e, m->arena, "configSource names a file in the same folder or below it.");
        return NULL;
    }
    struct str path = paths_real(m->paths, m->arena, at->value, dir);
    int err = files_read(m->arena, path.p, WEB_CONFIG_BYTES_MAX, &bytes);
    if (err) {
        fail_source(m, x, path, err == EFBIG ? "the file is larger than 250 KB" : strerror(err));
        return NULL;
    }
    const struct xml_file *f = xml_parse(m->arena, path, bytes);
    if (!f->root) {
        fail_source(m, x, path, f->fault.p);
        return NULL;
    }
    /* Either the section itself, or a whole <configuration> around it. */
    const struct xml_elem *e = f->root;
    struct str rest = str_z(m->section), name;
    if (str_eq(e->name, STR("configuration")))
        while (e && str_split(&rest, '/', &name)) {
            for (e = e->first_child; e && !str_eq(e->name, name);)
                e = e->next;
        }
    if (!e || !str_eq(e->name, x->name) || xml_attr_find(e, STR("configSource"))) {
        fail_source(m, x, path, "its root element is not that section");
        return NULL;
    }
    return e;
}

bool merge_section(struct merge *m, struct config_elem *e, const struct xml_elem *x)
{
    const struct xml_attr *source = xml_attr_find(x, STR("configSource"));

    if (source) {
        const struct xml_elem *body = included(m, x, source);
        if (!body || !merge_attrs(m, e, x, /* is_section = */ true))
            return false;
        x = body;
    }
    return merge_elem(m, e, x, /* is_section = */ true) && check_required(m, e, x, 0);
}
