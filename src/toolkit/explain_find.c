/* Entries by their numbers, and those that are made of others on demand. */
#include "toolkit/explain.h"

#include "base/poison.h"

#define TEXT(a, ...) (arena_printf((a), __VA_ARGS__).p)

/* By both numbers; -1 for the one that the entry lacks. */
static const struct explain_entry *find_numbers(const struct explain_catalogue *c,
                                                enum explain_kind kind, int64_t status,
                                                int64_t substatus)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct explain_entry *e = &c->entries[i];

        if (e->kind == kind && e->status == status && e->substatus == substatus)
            return e;
    }
    return NULL;
}

const struct explain_entry *explain_find_http(const struct explain_catalogue *c, uint32_t status,
                                              uint32_t substatus)
{
    return find_numbers(c, EXPLAIN_HTTP, status, substatus);
}

const struct explain_entry *explain_make_http_zero(struct explain_catalogue *c, uint32_t status)
{
    const struct explain_entry *plain = explain_find_http(c, status, 0);

    if (!plain)
        return NULL;

    struct explain_entry *e = arena_alloc(&c->arena, sizeof(*e));

    *e = *plain;
    e->term = e->code = TEXT(&c->arena, "%u.0", status);
    e->part_count = 0;
    return e;
}

const struct explain_entry *explain_find_ftp(const struct explain_catalogue *c, uint32_t reply)
{
    return find_numbers(c, EXPLAIN_FTP, reply, -1);
}

const struct explain_entry *explain_find_ftp_substatus(const struct explain_catalogue *c,
                                                       uint32_t substatus)
{
    return find_numbers(c, EXPLAIN_FTP, -1, substatus);
}

const struct explain_entry *explain_make_ftp_pair(struct explain_catalogue *c, uint32_t reply,
                                                  uint32_t substatus)
{
    const struct explain_entry *r = explain_find_ftp(c, reply);
    const struct explain_entry *s = explain_find_ftp_substatus(c, substatus);

    if (!r || !s)
        return NULL;

    struct arena *a = &c->arena;
    struct explain_entry *e = arena_alloc(a, sizeof(*e));

    *e = *s;
    e->code = TEXT(a, "%u.%u", reply, substatus);
    e->term = TEXT(a, "ftp %s", e->code);
    e->status = (int)reply;
    e->phrase = r->phrase;
    e->meaning = TEXT(a, "%s Reply %u: %s", s->meaning, reply, r->meaning);
    e->when = NULL;
    e->logged = TEXT(a,
                     "In the FTP site's log: sc-status %u, sc-substatus %u, with "
                     "sc-win32-status between them.",
                     reply, substatus);
    if (substatus == 0) {
        e->title = r->title;
        e->causes = r->causes;
        e->remedies = r->remedies;
        e->settings = r->settings;
    }
    return e;
}
