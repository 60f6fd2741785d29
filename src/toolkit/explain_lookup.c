/* What the words of the command line stand for. */
#include "toolkit/explain.h"

#include "base/poison.h"

static bool is_number(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_is_digit(s.p[i]))
            return false;
    }
    return s.n > 0;
}

/* An error code as people find it: decimal, hexadecimal after 0x, or the negative number that
 * Windows tools make of an HRESULT. */
static bool parse_error(struct str s, uint32_t *ret)
{
    uint64_t value;
    int64_t negative;

    if (str_istarts(s, STR("0x")) && str_u64_any(s, UINT32_MAX, &value)) {
        *ret = (uint32_t)value;
        return true;
    }
    if (s.n > 1 && s.p[0] == '-') {
        if (!str_i64(s, &negative) || negative < INT32_MIN || negative >= 0)
            return false;
        *ret = (uint32_t)(int32_t)negative;
        return true;
    }
    if (!str_u64(s, UINT32_MAX, &value))
        return false;
    *ret = (uint32_t)value;
    return true;
}

/* "404.8": two numbers with a dot between; old documents write "500-100.ASP". */
static bool parse_pair(struct str s, uint32_t *ret_status, uint32_t *ret_substatus)
{
    struct str bare = str_iends(s, STR(".asp")) ? str_sub(s, 0, s.n - 4) : s;
    size_t dash = str_find_char(bare, '-');
    size_t at = dash == SIZE_MAX ? str_find_char(s, '.') : dash;
    uint64_t status, substatus;

    if (at == SIZE_MAX || !str_u64(str_sub(bare, 0, at), 999, &status) ||
        !str_u64(str_sub(bare, at + 1, bare.n), 9999, &substatus))
        return false;
    *ret_status = (uint32_t)status;
    *ret_substatus = (uint32_t)substatus;
    return true;
}

static void add(struct explain_term *t, const struct explain_entry *e)
{
    if (e && t->n < EXPLAIN_TERM_ENTRIES)
        t->entries[t->n++] = e;
}

/* An event by its number, "5002", or by source and number, "was 5002". */
static void add_events(const struct explain_catalogue *c, struct explain_term *t, struct str source,
                       struct str number)
{
    if (!is_number(number))
        return;
    for (size_t i = 0; i < c->n; i++) {
        const struct explain_entry *e = &c->entries[i];

        if (e->kind != EXPLAIN_EVENT)
            continue;

        struct str code = str_z(e->code);
        size_t dash = str_rfind_char(code, '-');

        if (str_eq(str_sub(code, dash + 1, code.n), number) &&
            (source.n == 0 || str_ieq(str_sub(code, 0, dash), source)))
            add(t, e);
    }
}

/* By code or by second name, in one kind. */
static const struct explain_entry *find_name(const struct explain_catalogue *c,
                                             enum explain_kind kind, struct str name)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct explain_entry *e = &c->entries[i];

        if (e->kind == kind && (str_ieq(str_z(e->code), name) ||
                                (kind != EXPLAIN_FTP && e->name && str_ieq(str_z(e->name), name))))
            return e;
    }
    return NULL;
}

static void add_ftp(struct explain_catalogue *c, struct explain_term *t, struct str word)
{
    uint32_t reply, substatus;
    uint64_t number;

    if (parse_pair(word, &reply, &substatus))
        add(t, explain_make_ftp_pair(c, reply, substatus));
    else if (str_u64(word, 999, &number))
        add(t, explain_find_ftp(c, (uint32_t)number));
}

static const struct explain_entry *find_pair(struct explain_catalogue *c, uint32_t status,
                                             uint32_t substatus)
{
    return substatus ? explain_find_http(c, status, substatus) : explain_make_http_zero(c, status);
}

static void add_http(struct explain_catalogue *c, struct explain_term *t, struct str word)
{
    uint32_t status, substatus;
    uint64_t number;

    if (parse_pair(word, &status, &substatus))
        add(t, find_pair(c, status, substatus));
    else if (str_u64(word, 999, &number))
        add(t, explain_find_http(c, (uint32_t)number, 0));
}

static void add_error(struct explain_catalogue *c, struct explain_term *t, struct str word,
                      bool as_hresult)
{
    uint32_t code;

    if (parse_error(word, &code))
        add(t, explain_find_error(c, code, as_hresult || code > 0xFFFF));
    else
        add(t, find_name(c, EXPLAIN_WIN32, word));
    if (t->n == 0)
        add(t, find_name(c, EXPLAIN_HRESULT, word));
}

/* A word that says of which kind the next one is. */
enum prefix {
    PREFIX_NONE,
    PREFIX_HTTP,
    PREFIX_REASON,
    PREFIX_FTP,
    PREFIX_WIN32,
    PREFIX_HRESULT,
    PREFIX_PARAMETER,
    PREFIX_EVENT,
    PREFIX_SOURCE,
    PREFIX_FIELD
};

static enum prefix prefix_of(struct str word)
{
    static const struct {
        const char *word;
        enum prefix prefix;
    } prefixes[] = {
        {"http", PREFIX_HTTP},       {"status", PREFIX_HTTP},
        {"httperr", PREFIX_REASON},  {"reason", PREFIX_REASON},
        {"ftp", PREFIX_FTP},         {"win32", PREFIX_WIN32},
        {"hresult", PREFIX_HRESULT}, {"parameter", PREFIX_PARAMETER},
        {"event", PREFIX_EVENT},     {"was", PREFIX_SOURCE},
        {"w3svc", PREFIX_SOURCE},    {"w3svc-wp", PREFIX_SOURCE},
        {"cnd", PREFIX_SOURCE},      {"field", PREFIX_FIELD},
        {"column", PREFIX_FIELD},
    };

    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        if (str_ieq(str_z(prefixes[i].word), word))
            return prefixes[i].prefix;
    }
    return PREFIX_NONE;
}

/* "ftp substatus 8": n words follow ftp. Gives how many of them belong to the term. */
static size_t take_ftp(struct explain_catalogue *c, struct explain_term *t, const struct str *words,
                       size_t n)
{
    uint64_t number;

    if (n >= 2 && is_number(words[1])) {
        if (str_ieq(words[0], STR("substatus")) || str_ieq(words[0], STR("sub-status")) ||
            str_ieq(words[0], STR("sc-substatus"))) {
            if (str_u64(words[1], 9999, &number))
                add(t, explain_find_ftp_substatus(c, (uint32_t)number));
            return 2;
        }
        if (str_ieq(words[0], STR("reply"))) {
            add_ftp(c, t, words[1]);
            return 2;
        }
    }
    add_ftp(c, t, words[0]);
    return 1;
}

/* Words that begin with a kind. Gives how many were taken, 0 if that is no term. */
static size_t take_prefixed(struct explain_catalogue *c, struct explain_term *t,
                            const struct str *words, size_t n)
{
    enum prefix prefix = prefix_of(words[0]);
    size_t taken = 2;

    if (prefix == PREFIX_NONE || n < 2)
        return 0;
    switch (prefix) {
    case PREFIX_HTTP:
        add_http(c, t, words[1]);
        if (t->n == 0)
            add_events(c, t, words[0], words[1]);
        break;
    case PREFIX_REASON:
        add(t, find_name(c, EXPLAIN_HTTPERR, words[1]));
        break;
    case PREFIX_FTP:
        taken = 1 + take_ftp(c, t, words + 1, n - 1);
        break;
    case PREFIX_WIN32:
        add_error(c, t, words[1], false);
        break;
    case PREFIX_HRESULT:
        add_error(c, t, words[1], true);
        break;
    case PREFIX_PARAMETER:
        add(t, find_name(c, EXPLAIN_PARAMETER, words[1]));
        break;
    case PREFIX_EVENT:
        add_events(c, t, STR(""), words[1]);
        if (t->n == 0)
            add(t, find_name(c, EXPLAIN_EVENT, words[1]));
        break;
    case PREFIX_SOURCE:
        add_events(c, t, words[0], words[1]);
        break;
    case PREFIX_FIELD:
        add(t, find_name(c, EXPLAIN_FIELD, words[1]));
        break;
    case PREFIX_NONE:
        break;
    }
    /* "ftp 999" is a term that does not exist; "ftp upload" are two words to search for. */
    return t->n || ascii_is_digit(words[taken - 1].p[0]) ? taken : 0;
}

/* A number alone may be many things: the likeliest one is taken, and if that is not HTTP's the note
 * says what else it could have been. */
static void add_number(struct explain_catalogue *c, struct explain_term *t, struct str word)
{
    uint64_t number;

    if (!str_u64(word, UINT32_MAX, &number))
        return;

    uint32_t n = (uint32_t)number;
    const struct explain_entry *http = explain_find_http(c, n, 0);
    const struct explain_entry *ftp = explain_find_ftp(c, n);
    const struct explain_entry *error = explain_find_error(c, n, n > 0xFFFF);
    const struct explain_entry *substatus = explain_find_ftp_substatus(c, n);
    struct explain_term events = {.text = word};
    const struct explain_entry *all[] = {http, error, ftp, NULL, substatus};
    struct buf note;
    bool others = false;

    add_events(c, &events, STR(""), word);
    all[3] = events.n ? events.entries[0] : NULL;
    for (size_t i = 0; i < ARRAY_LEN(all) && t->n == 0; i++)
        add(t, all[i]);
    if (t->n && t->entries[0] == all[3]) {
        for (size_t i = 1; i < events.n; i++)
            add(t, events.entries[i]);
    }
    if (t->n == 0 || http || number > 0xFFFF)
        return;

    buf_init(&note, EXPLAIN_OUTPUT_MAX);
    buf_printf(&note, "HTTP has no status %u, so it was taken as %s. ", n, t->entries[0]->term);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i] && all[i] != t->entries[0]) {
            buf_printf(&note, "%s %s", others ? "," : "See also candor explain", all[i]->term);
            others = true;
        }
    }
    buf_str(&note, others ? STR(".") : STR(""));
    t->note = arena_dup_z(&c->arena, str_trim(buf_view(&note)));
    buf_fini(&note);
}

/* "80070021": eight digits of an HRESULT or NTSTATUS without 0x before them. */
static void add_bare_hex(struct explain_catalogue *c, struct explain_term *t, struct str word)
{
    char text[2 + 8 + 1] = "0x";
    uint32_t code;

    if (t->n || word.n != 8 || (word.p[0] != '8' && ascii_lower(word.p[0]) != 'c'))
        return;
    memcpy(text + 2, word.p, word.n);
    if (!parse_error(str_z(text), &code))
        return;
    add(t, explain_find_error(c, code, true));
    if (t->n && is_number(word))
        t->note = arena_printf(&c->arena,
                               "No code has the decimal number %.*s, so it was taken as 0x%.*s.",
                               STR_ARG(word), STR_ARG(word))
                      .p;
}

/* One word without a prefix. */
static void add_word(struct explain_catalogue *c, struct explain_term *t, struct str word)
{
    static const enum explain_kind named[] = {EXPLAIN_HTTPERR, EXPLAIN_PARAMETER, EXPLAIN_WIN32,
                                              EXPLAIN_HRESULT, EXPLAIN_EVENT,     EXPLAIN_FIELD,
                                              EXPLAIN_HTTP};
    uint32_t status, substatus;

    if (is_number(word)) {
        add_number(c, t, word);
        add_bare_hex(c, t, word);
        return;
    }
    if (parse_pair(word, &status, &substatus)) {
        add(t, find_pair(c, status, substatus));
        if (t->n == 0)
            add(t, explain_make_ftp_pair(c, status, substatus));
        return;
    }
    if (str_istarts(word, STR("0x")) || (word.p[0] == '-' && word.n > 1)) {
        add_error(c, t, word, true);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(named) && t->n == 0; i++)
        add(t, find_name(c, named[i], word));
    add_bare_hex(c, t, word);
}

/* Status and sub-status side by side: "404 8". "200 64" is none, and stays two terms. */
static bool take_two_columns(struct explain_catalogue *c, struct explain_term *t,
                             const struct str *words)
{
    uint64_t status, substatus;

    if (!str_u64(words[0], 999, &status) || !str_u64(words[1], 9999, &substatus))
        return false;

    const struct explain_entry *e =
        substatus ? explain_find_http(c, (uint32_t)status, (uint32_t)substatus) : NULL;

    if (!e)
        return false;
    add(t, e);
    t->note = "Two numbers were taken as sc-status and sc-substatus.";
    t->text = arena_printf(&c->arena, "%.*s %.*s", STR_ARG(words[0]), STR_ARG(words[1]));
    return true;
}

/* Status, sub-status and Windows error as they stand side by side in a log: "404 8 0". */
static bool take_log_columns(struct explain_catalogue *c, struct explain_term *t,
                             const struct str *words)
{
    uint64_t status, substatus, error;

    if (!str_u64(words[0], 999, &status) || !str_u64(words[1], 9999, &substatus) ||
        !str_u64(words[2], UINT32_MAX, &error))
        return false;

    const struct explain_entry *e = find_pair(c, (uint32_t)status, (uint32_t)substatus);

    if (!e)
        return false;
    add(t, e);
    if (error)
        add(t, explain_find_error(c, (uint32_t)error, error > 0xFFFF));
    t->note = "Three numbers were taken as sc-status, sc-substatus and sc-win32-status.";
    t->text = arena_printf(&c->arena, "%.*s %.*s %.*s", STR_ARG(words[0]), STR_ARG(words[1]),
                           STR_ARG(words[2]));
    return true;
}

bool explain_is_number(struct str word)
{
    for (size_t i = 0; i < word.n; i++)
        if (ascii_hex(word.p[i]) < 0 && !str_eq(str_sub(word, i, i + 1), STR(".")) &&
            !(i == 0 && word.p[i] == '-') && !(i == 1 && ascii_lower(word.p[i]) == 'x'))
            return false;
    return word.n > 0 && (ascii_is_digit(word.p[0]) || word.p[0] == '-' || word.p[0] == '.');
}

const char *explain_decode(struct explain_catalogue *c, struct str word)
{
    uint32_t code;

    if (!parse_error(word, &code) || code <= 0xFFFF)
        return NULL;
    switch (code >> 16) {
    case 0x8007:
        return arena_printf(&c->arena,
                            "it stands for Win32 error %u; on Windows net helpmsg %u tells "
                            "its text",
                            code & 0xFFFF, code & 0xFFFF)
            .p;
    case 0x8009:
        return "it is an error of security or cryptography (certificates, TLS, Kerberos, NTLM)";
    case 0x800B:
        return "it is an error of a certificate";
    case 0x8013:
        return "it is an error of the .NET runtime";
    case 0x8019:
        return arena_printf(&c->arena, "it stands for HTTP status %u", code & 0xFFFF).p;
    default:
        break;
    }
    return code >> 30 == 3
               ? "it is an NTSTATUS: the exit code of a program, or an error of the system"
               : NULL;
}

size_t explain_parse(struct explain_catalogue *c, const struct str *words, size_t n,
                     struct explain_term *ret_terms)
{
    size_t terms = 0;

    *ret_terms = (struct explain_term){0};
    if ((n == 3 && take_log_columns(c, ret_terms, words)) ||
        (n == 2 && take_two_columns(c, ret_terms, words)))
        return 1;
    for (size_t i = 0; i < n;) {
        struct explain_term *t = &ret_terms[terms++];
        struct str last;

        *t = (struct explain_term){.text = words[i]};

        size_t taken = take_prefixed(c, t, words + i, n - i);

        if (taken == 0) {
            add_word(c, t, words[i]);
            taken = 1;
        }
        last = words[i + taken - 1];
        if (taken == 2)
            t->text = arena_printf(&c->arena, "%.*s %.*s", STR_ARG(words[i]), STR_ARG(last));
        else if (taken > 2)
            t->text = arena_printf(&c->arena, "%.*s %.*s %.*s", STR_ARG(words[i]),
                                   STR_ARG(words[i + 1]), STR_ARG(last));
        i += taken;
    }
    return terms;
}
