/* What an entry points to: found in its own texts, so that nobody has to keep a list. */
#include "toolkit/explain.h"

#include "tables/win32.h"

#include "base/poison.h"

struct refs {
    struct explain_catalogue *c;
    const struct explain_entry *from;
    const struct explain_entry **found;
    size_t n, max;
};

/* Error codes of a status have a place of their own. */
static bool is_listed(const struct explain_entry *from, const struct explain_entry *e)
{
    if (from->kind != EXPLAIN_HTTP || (e->kind != EXPLAIN_WIN32 && e->kind != EXPLAIN_HRESULT))
        return false;
    for (size_t i = 0; i < from->error_count; i++) {
        if (win32_from_hresult(from->errors[i]) == e->errors[0])
            return true;
    }
    return false;
}

static void add(struct refs *r, const struct explain_entry *e)
{
    if (!e || e == r->from || is_listed(r->from, e) ||
        str_eq(str_z(e->term), str_z(r->from->term)) || r->n == r->max)
        return;
    for (size_t i = 0; i < r->n; i++) {
        if (str_eq(str_z(r->found[i]->term), str_z(e->term)))
            return;
    }
    r->found[r->n++] = e;
}

static bool is_token_char(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || c == '.' || c == '_' || c == '/' || c == '-';
}

/* Written like a name and not like a word: QueueFull, Timer_ReqQueue, N/A. */
static bool looks_like_name(struct str s)
{
    for (size_t i = 0; i + 1 < s.n; i++) {
        bool upper_next = s.p[i + 1] >= 'A' && s.p[i + 1] <= 'Z';

        if (s.p[i] == '_' || s.p[i] == '/' || (upper_next && s.p[i] >= 'a' && s.p[i] <= 'z'))
            return true;
    }
    return false;
}

static const struct explain_entry *find_exact(const struct explain_catalogue *c,
                                              enum explain_kind kind, struct str code)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->entries[i].kind == kind && str_eq(str_z(c->entries[i].code), code))
            return &c->entries[i];
    }
    return NULL;
}

/* A word of a text. before: the word before it; is_label: a colon follows. */
static void add_token(struct refs *r, struct str token, struct str before, bool is_label)
{
    size_t dot = str_find_char(token, '.');
    uint64_t status, substatus, code;

    if (dot != SIZE_MAX && str_u64(str_sub(token, 0, dot), 999, &status) &&
        str_u64(str_sub(token, dot + 1, token.n), 9999, &substatus)) {
        if (r->from->kind != EXPLAIN_FTP)
            add(r, explain_find_http(r->c, (uint32_t)status, (uint32_t)substatus));
        return;
    }
    if (str_istarts(token, STR("0x")) && token.n == 10 && str_u64_any(token, UINT32_MAX, &code)) {
        if (r->from->kind != EXPLAIN_WIN32 && r->from->kind != EXPLAIN_HRESULT)
            add(r, explain_find_error(r->c, (uint32_t)code, true));
        return;
    }
    if (looks_like_name(token))
        add(r, find_exact(r->c, EXPLAIN_PARAMETER, token));
    if (looks_like_name(token) || is_label || str_eq(before, STR("reason")) ||
        str_eq(before, STR("reasons")))
        add(r, find_exact(r->c, EXPLAIN_HTTPERR, token));
    if (str_find_char(token, '-') != SIZE_MAX)
        add(r, find_exact(r->c, EXPLAIN_EVENT, token));
}

static void add_text(struct refs *r, const char *text)
{
    struct str s = str_z(text);
    struct str before = STR("");

    for (size_t i = 0; i < s.n;) {
        size_t start = i;

        while (i < s.n && is_token_char(s.p[i]))
            i++;
        if (i == start) {
            i++;
            continue;
        }

        struct str token = str_sub(s, start, i);
        bool is_label = i < s.n && s.p[i] == ':';

        while (token.n && (token.p[token.n - 1] == '.' || token.p[token.n - 1] == '-'))
            token.n--;
        add_token(r, token, before, is_label);
        before = token;
    }
}

static void add_list(struct refs *r, const char *const *list)
{
    for (size_t i = 0; list[i]; i++)
        add_text(r, list[i]);
}

/* Events that come with a reason or a status. */
static void add_events(struct refs *r)
{
    static const struct {
        const char *event;
        const char *code;
    } pairs[] = {
        {"WAS-5002", "AppOffline"},
        {"WAS-5057", "AppOffline"},
        {"WAS-5059", "AppOffline"},
        {"WAS-5009", "Connection_Abandoned_By_ReqQueue"},
        {"WAS-5013", "Connection_Abandoned_By_ReqQueue"},
        {"WAS-5025", "AppShutdown"},
        {"WAS-5012", "Timer_ReqQueue"},
        {"WAS-5022", "N/A"},
        {"W3SVC-WP-2216", "502.1"},
        {"W3SVC-WP-2307", "500.19"},
    };

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct str event = str_z(pairs[i].event);
        struct str code = str_z(pairs[i].code);

        if (r->from->kind == EXPLAIN_EVENT && str_eq(str_z(r->from->code), event)) {
            add(r, find_exact(r->c, EXPLAIN_HTTPERR, code));
            add(r, find_exact(r->c, EXPLAIN_HTTP, code));
        } else if (str_eq(str_z(r->from->code), code)) {
            add(r, find_exact(r->c, EXPLAIN_EVENT, event));
        }
    }
}

/* Entries of one table that belong to rows of another. */
static void add_related(struct refs *r)
{
    const struct explain_entry *from = r->from;

    if (from->kind == EXPLAIN_HTTPERR && from->status > 0)
        add(r, explain_find_http(r->c, (uint32_t)from->status, 0));
    if (from->kind == EXPLAIN_FTP && from->substatus >= 0 && from->status >= 0) {
        add(r, explain_find_ftp(r->c, (uint32_t)from->status));
        add(r, explain_find_ftp_substatus(r->c, (uint32_t)from->substatus));
    }
    for (size_t i = 0; i < r->c->n; i++) {
        const struct explain_entry *e = &r->c->entries[i];

        if (from->kind == EXPLAIN_HTTP && from->substatus == 0 && e->kind == EXPLAIN_HTTPERR &&
            e->status == from->status)
            add(r, e);
        if (from->kind == EXPLAIN_FTP && from->status < 0 && e->kind == EXPLAIN_FTP &&
            e->status >= 0) {
            for (size_t k = 0; k < e->part_count; k++) {
                if (str_eq(str_z(e->parts[k].term),
                           arena_printf(&r->c->arena, "%d.%d", e->status, from->substatus)))
                    add(r, e);
            }
        }
    }
}

/* The statuses that come with an error code. */
static void add_statuses(struct refs *r)
{
    uint32_t code = r->from->errors[0];

    for (size_t i = 0; code && i < r->c->n; i++) {
        const struct explain_entry *e = &r->c->entries[i];

        for (size_t k = 0; e->kind == EXPLAIN_HTTP && k < e->error_count; k++) {
            uint32_t theirs = e->errors[k];

            if (theirs == code || theirs == (0x80070000u | code))
                add(r, e);
        }
    }
}

size_t explain_see_also(struct explain_catalogue *c, const struct explain_entry *e,
                        const struct explain_entry **ret_refs, size_t max)
{
    struct refs r = {.c = c, .from = e, .found = ret_refs, .max = max};

    add_text(&r, e->meaning);
    add_text(&r, e->when);
    add_text(&r, e->note);
    add_related(&r);
    add_list(&r, e->causes);
    add_list(&r, e->remedies);
    if (e->kind == EXPLAIN_HTTP || e->kind == EXPLAIN_HTTPERR)
        add_list(&r, e->settings);
    add_text(&r, e->reproduce);
    add_events(&r);
    if (e->kind == EXPLAIN_WIN32 || e->kind == EXPLAIN_HRESULT)
        add_statuses(&r);
    if (e->kind == EXPLAIN_HTTP && e->substatus > 0)
        add(&r, explain_find_http(c, (uint32_t)e->status, 0));
    else if (e->kind == EXPLAIN_HTTP)
        add(&r, explain_find_ftp(c, (uint32_t)e->status));
    return r.n;
}
