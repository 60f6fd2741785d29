#include "worker/modules/name_set.h"

#include "base/poison.h"

/* FNV-1a without regard to letter case. The keys are an administrator's, and a table is at most
 * half full, so that clients cannot make a look-up long. */
static uint32_t hash(struct str name)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)ascii_lower(name.p[i])) * 16777619u;
    return h;
}

void name_set_init(struct name_set *s, struct arena *a, size_t n)
{
    size_t cap = 4;

    *s = (struct name_set){0};
    if (n == 0)
        return;
    INVARIANT(n < UINT32_MAX / 4);
    while (cap < n * 2)
        cap *= 2;
    s->slots = arena_zalloc(a, cap * sizeof(*s->slots));
    s->mask = (uint32_t)(cap - 1);
}

static struct name_slot *find_slot(const struct name_set *s, struct str name)
{
    uint32_t i = hash(name) & s->mask;

    while (s->slots[i].name.p && !str_ieq(s->slots[i].name, name))
        i = (i + 1) & s->mask;
    return &s->slots[i];
}

void name_set_add(struct name_set *s, struct arena *a, struct str name, int value)
{
    INVARIANT(s->mask != 0 && value >= 0);
    struct name_slot *slot = find_slot(s, name);

    if (slot->name.p)
        return;
    char *copy = arena_dup_z(a, name);

    for (size_t i = 0; i < name.n; i++)
        copy[i] = ascii_lower(copy[i]);
    *slot = (struct name_slot){str_n(copy, name.n), value};
    s->lengths |= (uint64_t)1 << (name.n < 63 ? name.n : 63);
}

int name_set_find(const struct name_set *s, struct str name)
{
    if (!name_set_may_have(s, name.n))
        return NAME_SET_ABSENT;
    const struct name_slot *slot = find_slot(s, name);

    return slot->name.p ? slot->value : NAME_SET_ABSENT;
}
