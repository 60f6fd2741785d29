#include "tables/http_parameters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "tables/http_parameters_set.h"
#include "tables/http_registry.h"

#include "base/poison.h"

enum {
    FILE_MAX = 16 << 20, /* thousands of certificates, in UTF-16 */
    TEXT_MAX = 48 << 20, /* one byte that is no UTF-8 becomes three */
    NAME_MAX_BYTES = 16384,
    VALUE_MAX_BYTES = 65536,
    FINDINGS_MAX = 100,
};

static const struct {
    enum http_parameter_key key;
    struct str path;
} keys[] = {
#define PATH(s)          \
    {                    \
        s, sizeof(s) - 1 \
    }
    {HTTP_PARAMETER_KEY_HTTP,
     PATH("HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\HTTP\\Parameters")},
    {HTTP_PARAMETER_KEY_W3SVC,
     PATH("HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\W3SVC\\Parameters")},
    {HTTP_PARAMETER_KEY_HTTPFILTER,
     PATH("HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\HTTPFilter\\Parameters")},
#undef PATH
};
enum { KEY_OTHER = -1, KEY_BELOW = -2 };

struct reader {
    struct registry_cursor c;
    struct http_parameters *p;
    struct http_findings findings;
    struct http_bindings_reader bindings;
    int key;                           /* enum http_parameter_key, KEY_OTHER or KEY_BELOW */
    bool has_http;                     /* the file has the listener's key */
    uint32_t limit_line, limit_column; /* where MaxFieldLength or MaxRequestBytes was set last */
};

void http_findings_add(struct http_findings *f, enum http_parameters_severity severity,
                       uint32_t line, uint32_t column, char *text)
{
    struct http_parameters_finding *one;

    if (f->n > FINDINGS_MAX) {
        free(text);
        return;
    }
    if (f->n++ == FINDINGS_MAX) {
        free(text);
        text = xstrdup("there is more that is wrong with this file");
        severity = HTTP_PARAMETERS_NOTE;
    }
    one = xcalloc(1, sizeof(*one));
    *one = (struct http_parameters_finding){
        .severity = severity, .line = line, .column = column, .text = text};
    *f->tail = one;
    f->tail = &one->next;
}

static void add_finding(struct reader *r, enum http_parameters_severity severity, uint32_t line,
                        uint32_t column, char *text)
{
    http_findings_add(&r->findings, severity, line, column, text);
}

void http_parameters_findings_free(struct http_parameters_finding *first)
{
    while (first) {
        struct http_parameters_finding *next = first->next;

        free(first->text);
        free(first);
        first = next;
    }
}

static char *default_text(const struct http_parameter *row)
{
    if (row->kind == HTTP_PARAMETER_TEXT)
        return xstrdup(row->def_text);
    return row->def == UINT32_MAX ? xstrdup("(no limit)") : xasprintf("%u", row->def);
}

/* The value cannot be used: says so, and the documented default takes its place, as on Windows. */
static void refuse(struct reader *r, const struct http_parameter *row,
                   const struct registry_value *v)
{
    _cleanup_free_ char *def = default_text(row);
    char *text;

    http_parameter_reset(row, r->p);
    if (row->kind == HTTP_PARAMETER_TEXT && v->type == REGISTRY_TEXT) {
        text =
            xasprintf("%s is not a full local path shorter than %d bytes; the default %s is used",
                      row->name, HTTP_PARAMETERS_DIR_MAX, def);
    } else if (row->kind == HTTP_PARAMETER_TEXT) {
        text = xasprintf("%s must be a string; the default %s is used", row->name, def);
    } else if (v->type != REGISTRY_NUMBER) {
        text = xasprintf("%s must be a dword; the default %s is used", row->name, def);
    } else if (row->kind == HTTP_PARAMETER_MASK) {
        text = xasprintf("%s is 0x%llx, but only the bits of 0x%x exist; the default 0x%x is used",
                         row->name, (unsigned long long)v->number, row->max, row->def);
    } else {
        text = xasprintf("%s is %llu, outside %u to %u; the default %s is used", row->name,
                         (unsigned long long)v->number, row->min, row->max, def);
    }
    add_finding(r, HTTP_PARAMETERS_WARNING, v->line, v->column, text);
}

static void take_value(struct reader *r, const struct http_parameter *row,
                       const struct registry_value *v)
{
    bool fits = false;

    if (v->type == REGISTRY_DELETED) {
        http_parameter_reset(row, r->p);
        return;
    }
    if (v->type == REGISTRY_NUMBER)
        fits = http_parameter_set_number(row, r->p, v->number);
    else if (v->type == REGISTRY_TEXT)
        fits = http_parameter_set_text(row, r->p, buf_view(v->data));
    if (!fits)
        refuse(r, row, v);
    if (row->offset == offsetof(struct http_parameters, max_field_length) ||
        row->offset == offsetof(struct http_parameters, max_request_bytes)) {
        r->limit_line = v->line;
        r->limit_column = v->column;
    }
}

static void say_no_effect(struct reader *r, const struct http_parameter *row, uint32_t line,
                          uint32_t column)
{
    if (row->no_effect)
        add_finding(r, HTTP_PARAMETERS_NOTE, line, column,
                    xasprintf("%s has no effect here: %s", row->name, row->no_effect));
}

/* A value of one of the keys that hold parameters. */
static void take_named(struct reader *r, const struct http_registry_value *v)
{
    const struct http_parameter *row = http_parameter_find(v->name);

    if (row && (int)row->key != r->key)
        row = NULL;
    /* The other keys belong to services with values of their own. */
    if (!row && r->key != HTTP_PARAMETER_KEY_HTTP)
        return;
    if (!row && str_ieq(v->name, STR("ListenOnlyList"))) {
        http_bindings_listen(&r->bindings, v);
    } else if (!v->good) {
        if (row)
            http_parameter_reset(row, r->p);
        add_finding(r, HTTP_PARAMETERS_ERROR, v->data->line, v->data->column,
                    xasprintf("the data of %.*s cannot be read: expected dword:, hex: or a string",
                              STR_ARG(v->name)));
    } else if (row) {
        take_value(r, row, v->data);
        if (v->data->type != REGISTRY_DELETED)
            say_no_effect(r, row, v->line, v->column);
    } else if (v->data->type != REGISTRY_DELETED) {
        add_finding(r, HTTP_PARAMETERS_NOTE, v->line, v->column,
                    xasprintf("%.*s is no parameter that this server knows; it is ignored",
                              STR_ARG(v->name)));
    }
}

/* "name"=data, or @=data for the value without a name. */
static void read_value(struct reader *r)
{
    _cleanup_buf_ struct buf name;
    _cleanup_buf_ struct buf data;
    struct registry_value read = {.data = &data};
    struct http_registry_value v = {
        .line = r->c.line, .column = registry_column(&r->c), .data = &read};

    struct registry_cursor start = r->c;

    buf_init(&name, NAME_MAX_BYTES);
    buf_init(&data, VALUE_MAX_BYTES);
    if (registry_peek(&r->c) == '@') {
        registry_advance(&r->c);
    } else if (!registry_take_quoted(&r->c, &name) || r->c.line != v.line) {
        add_finding(r, HTTP_PARAMETERS_ERROR, v.line, v.column,
                    xstrdup("the name of this value has no closing quote"));
        r->c = start; /* the next line is not to be lost as well */
        (void)registry_take_line(&r->c);
        return;
    }
    registry_skip_blanks(&r->c);
    if (registry_peek(&r->c) != '=') {
        add_finding(r, HTTP_PARAMETERS_ERROR, r->c.line, registry_column(&r->c),
                    xstrdup("expected = after the name of a value"));
        (void)registry_take_line(&r->c);
        return;
    }
    registry_advance(&r->c);
    v.good = registry_take_data(&r->c, &read) && !data.overflow;
    v.name = buf_view(&name);
    if (r->key == KEY_OTHER || name.overflow || name.n == 0)
        return;
    if (r->key == KEY_BELOW)
        http_bindings_value(&r->bindings, &v);
    else
        take_named(r, &v);
}

/* [-key] deletes the key with all its values and all keys below. */
static void delete_key(struct reader *r, enum http_parameter_key key)
{
    for (size_t i = 0; i < http_parameter_count(); i++) {
        const struct http_parameter *row = http_parameter_at(i);

        if (row->key == key)
            http_parameter_reset(row, r->p);
    }
    if (key == HTTP_PARAMETER_KEY_HTTP)
        http_bindings_clear(&r->bindings);
}

/* Whether path is the key named by above, or lies below it. */
static bool is_at_or_below(struct str path, struct str above)
{
    return str_istarts(path, above) && (path.n == above.n || path.p[above.n] == '\\');
}

static void read_key(struct reader *r)
{
    uint32_t line = r->c.line;
    uint32_t column = registry_column(&r->c);
    struct str path = str_trim(registry_take_line(&r->c));
    struct str http = keys[0].path;
    size_t end = str_rfind_char(path, ']');
    bool deleted;

    r->key = KEY_OTHER;
    if (end == SIZE_MAX) {
        add_finding(r, HTTP_PARAMETERS_ERROR, line, column,
                    xstrdup("expected ] at the end of a key"));
        return;
    }
    path = str_sub(path, 1, end);
    deleted = str_starts(path, STR("-"));
    if (deleted)
        path = str_sub(path, 1, path.n);
    r->has_http = r->has_http || is_at_or_below(path, http);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (deleted && is_at_or_below(keys[i].path, path))
            delete_key(r, keys[i].key);
        else if (!deleted && str_ieq(path, keys[i].path))
            r->key = (int)keys[i].key;
    }
    if (is_at_or_below(path, http) && path.n > http.n) {
        r->key = deleted ? KEY_OTHER : KEY_BELOW;
        http_bindings_key(&r->bindings, str_sub(path, http.n + 1, path.n), deleted, line, column);
    }
}

static void read_entries(struct reader *r)
{
    for (;;) {
        registry_skip_space(&r->c);
        if (registry_at_end(&r->c))
            return;
        switch (registry_peek(&r->c)) {
        case ';':
            (void)registry_take_line(&r->c);
            break;
        case '[':
            read_key(r);
            break;
        case '"':
        case '@':
            read_value(r);
            break;
        default:
            add_finding(r, HTTP_PARAMETERS_ERROR, r->c.line, registry_column(&r->c),
                        xstrdup("expected a key, a value or a comment"));
            (void)registry_take_line(&r->c);
        }
    }
}

static bool read_header(struct reader *r)
{
    registry_skip_space(&r->c);

    struct str first = str_trim(registry_take_line(&r->c));

    r->c.is_version4 = str_eq(first, STR("REGEDIT4"));
    return r->c.is_version4 || str_eq(first, STR("Windows Registry Editor Version 5.00"));
}

static enum rc parse(struct reader *r, struct str bytes)
{
    _cleanup_buf_ struct buf text;

    buf_init(&text, TEXT_MAX);
    registry_text_decode(bytes, &text);
    if (bytes.n > FILE_MAX || text.overflow) {
        add_finding(r, HTTP_PARAMETERS_ERROR, 0, 0,
                    xasprintf("the file is larger than %d bytes", FILE_MAX));
        return RC_FAIL;
    }
    registry_cursor_init(&r->c, buf_view(&text));
    if (!read_header(r)) {
        add_finding(r, HTTP_PARAMETERS_ERROR, 1, 1,
                    xstrdup("this is no registry export: the first line must be "
                            "\"Windows Registry Editor Version 5.00\""));
        return RC_FAIL;
    }
    read_entries(r);
    http_bindings_check(&r->bindings);
    if (r->p->max_field_length > r->p->max_request_bytes) {
        r->p->max_field_length = r->p->max_request_bytes;
        add_finding(
            r, HTTP_PARAMETERS_NOTE, r->limit_line, r->limit_column,
            xasprintf("MaxFieldLength is lowered to MaxRequestBytes, %u", r->p->max_request_bytes));
    }
    if (!r->has_http)
        add_finding(r, HTTP_PARAMETERS_NOTE, 0, 0,
                    xasprintf("the file has no key %s; all parameters keep their defaults",
                              keys[0].path.p));
    return RC_OK;
}

static void begin(struct reader *r, struct http_parameters *ret, struct http_bindings *ret_bindings,
                  struct http_parameters_finding **ret_findings)
{
    *ret_findings = NULL;
    http_parameters_default(ret);
    http_bindings_init(ret_bindings);
    *r = (struct reader){.p = ret, .findings.tail = ret_findings, .key = KEY_OTHER};
    r->bindings = (struct http_bindings_reader){.b = ret_bindings, .findings = &r->findings};
}

enum rc http_parameters_parse(struct str bytes, struct http_parameters *ret,
                              struct http_bindings *ret_bindings,
                              struct http_parameters_finding **ret_findings)
{
    struct reader r;

    begin(&r, ret, ret_bindings, ret_findings);
    return parse(&r, bytes);
}

/* One byte more than allowed, so that parse sees that there is too much. */
static bool read_all(int fd, struct buf *out)
{
    for (;;) {
        char chunk[16384];
        ssize_t n = read(fd, chunk, sizeof(chunk));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0 || out->n > FILE_MAX)
            return true;
        buf_append(out, chunk, (size_t)n);
    }
}

enum rc http_parameters_load(const char *path, struct http_parameters *ret,
                             struct http_bindings *ret_bindings,
                             struct http_parameters_finding **ret_findings)
{
    _cleanup_buf_ struct buf bytes;
    _cleanup_close_ int fd = -1;
    struct reader r;
    struct stat st;

    begin(&r, ret, ret_bindings, ret_findings);
    buf_init(&bytes, FILE_MAX + 65536);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us up */
    if (fd < 0 && errno == ENOENT)
        return RC_DECLINED;
    if (fd < 0 || fstat(fd, &st) != 0) {
        add_finding(&r, HTTP_PARAMETERS_ERROR, 0, 0,
                    xasprintf("the file cannot be opened: %s", strerror(errno)));
        return RC_FAIL;
    }
    if (!S_ISREG(st.st_mode)) {
        add_finding(&r, HTTP_PARAMETERS_ERROR, 0, 0, xstrdup("this is not a file"));
        return RC_FAIL;
    }
    if (!read_all(fd, &bytes)) {
        add_finding(&r, HTTP_PARAMETERS_ERROR, 0, 0,
                    xasprintf("the file cannot be read: %s", strerror(errno)));
        return RC_FAIL;
    }
    return parse(&r, buf_view(&bytes));
}
