/* A fixed set of names, each with a small number, that a module prepares when its configuration is
 * loaded and asks on every request: segments, extensions, header names. Immutable once built, so
 * any thread may ask. */
#ifndef CANDOR_WORKER_MODULES_NAME_SET_H
#define CANDOR_WORKER_MODULES_NAME_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

enum { NAME_SET_ABSENT = -1 };

struct name_slot {
    struct str name; /* in lower case */
    int value;
};

struct name_set {
    struct name_slot *slots; /* open addressing; name.p NULL: free */
    uint32_t mask;           /* slots - 1; 0: the set is empty */
    uint64_t lengths;        /* bit n: there is a name of n bytes; bit 63: of 63 or more */
};

/* Makes room for n names. The set lives in a, which must have no limit. */
void name_set_init(struct name_set *s, struct arena *a, size_t n);
/* Adds a copy of name. The first entry of a name that comes twice (letter case aside) stays. No
 * more names than announced. */
void name_set_add(struct name_set *s, struct arena *a, struct str name, int value);
/* The number of name, letter case aside, or NAME_SET_ABSENT. */
int name_set_find(const struct name_set *s, struct str name);

/* A name of n bytes may be in the set: the test that spares most look-ups. */
static inline bool name_set_may_have(const struct name_set *s, size_t n)
{
    return s->lengths >> (n < 63 ? n : 63) & 1;
}

#endif
