#include "config/tree.h"

#include <iconv.h>
#include <libxml/xmlreader.h>
#include <limits.h>
#include <pthread.h>

#include "base/buf.h"
#include "base/poison.h"

enum { ATTRIBUTES_MAX = 500 }; /* of one element; the schema knows none with 100 */

/* ---- encodings ---- */

static void put_utf8(struct buf *b, uint32_t c)
{
    if (c < 0x80) {
        buf_char(b, (char)c);
    } else if (c < 0x800) {
        buf_char(b, (char)(0xc0 | c >> 6));
        buf_char(b, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_char(b, (char)(0xe0 | c >> 12));
        buf_char(b, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_char(b, (char)(0x80 | (c & 0x3f)));
    } else {
        buf_char(b, (char)(0xf0 | c >> 18));
        buf_char(b, (char)(0x80 | (c >> 12 & 0x3f)));
        buf_char(b, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_char(b, (char)(0x80 | (c & 0x3f)));
    }
}

static void from_utf16(struct buf *out, struct str s, bool big)
{
    for (size_t i = 0; i + 1 < s.n; i += 2) {
        uint32_t hi = (unsigned char)s.p[big ? i : i + 1], lo = (unsigned char)s.p[big ? i + 1 : i];
        uint32_t c = hi << 8 | lo;

        if (c >= 0xd800 && c < 0xdc00 && i + 3 < s.n) {
            uint32_t h2 = (unsigned char)s.p[big ? i + 2 : i + 3];
            uint32_t l2 = (unsigned char)s.p[big ? i + 3 : i + 2];
            uint32_t c2 = h2 << 8 | l2;
            if (c2 >= 0xdc00 && c2 < 0xe000) {
                c = 0x10000 + ((c - 0xd800) << 10) + (c2 - 0xdc00);
                i += 2;
            }
        }
        put_utf8(out, c);
    }
}

/* The encoding an XML declaration names, or an empty view. */
static struct str declared_encoding(struct str s)
{
    if (!str_starts(s, STR("<?xml")))
        return STR_NULL;
    size_t end = str_find(s, STR("?>"));
    if (end == SIZE_MAX)
        return STR_NULL;
    s = str_sub(s, 0, end);
    size_t at = str_find(s, STR("encoding"));
    if (at == SIZE_MAX)
        return STR_NULL;
    s = str_sub(s, at + 8, s.n);
    size_t open = 0;
    while (open < s.n && s.p[open] != '"' && s.p[open] != '\'')
        open++;
    if (open == s.n)
        return STR_NULL;
    s = str_sub(s, open, s.n);
    size_t close = str_find_char(str_sub(s, 1, s.n), s.p[0]);
    return close == SIZE_MAX ? STR_NULL : str_sub(s, 1, 1 + close);
}

/* Single-byte encodings that files from Windows carry; iconv is never asked for anything else. */
static bool from_legacy(struct buf *out, struct str s, struct str encoding)
{
    static const char *const known[] = {
        "ISO-8859-1",   "ISO-8859-2",   "ISO-8859-15",  "WINDOWS-1250", "WINDOWS-1251",
        "WINDOWS-1252", "WINDOWS-1253", "WINDOWS-1254", "WINDOWS-1257",
    };
    const char *name = NULL;

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_ieq(encoding, str_z(known[i])))
            name = known[i];
    if (!name)
        return false;
    iconv_t cd = iconv_open("UTF-8", name);
    if (cd == (iconv_t)-1)
        return false;
    while (s.n) {
        char in = s.p[0], tmp[8], *ip = &in, *op = tmp;
        size_t in_left = 1, out_left = sizeof(tmp);
        if (iconv(cd, &ip, &in_left, &op, &out_left) == (size_t)-1)
            buf_char(out, '?');
        else
            buf_append(out, tmp, sizeof(tmp) - out_left);
        s = str_sub(s, 1, s.n);
    }
    iconv_close(cd);
    return true;
}

static struct str to_utf8(struct arena *a, struct str s)
{
    struct buf b;

    buf_init(&b, SIZE_MAX / 4);
    if (str_starts(s, STR("\xef\xbb\xbf")))
        s = str_sub(s, 3, s.n);
    if (s.n >= 2 && (memcmp(s.p, "\xff\xfe", 2) == 0 || memcmp(s.p, "<\0", 2) == 0))
        from_utf16(&b, str_sub(s, s.p[0] == '<' ? 0 : 2, s.n), false);
    else if (s.n >= 2 && (memcmp(s.p, "\xfe\xff", 2) == 0 || memcmp(s.p, "\0<", 2) == 0))
        from_utf16(&b, str_sub(s, s.p[0] == '\0' ? 0 : 2, s.n), true);
    else if (!from_legacy(&b, s, declared_encoding(s)))
        buf_str(&b, s);
    struct str text = arena_dup(a, buf_view(&b));

    buf_fini(&b);
    return text;
}

/* ---- positions ----
 * libxml2 does not say where a start tag or an attribute begins. The document is known to be well
 * formed (as far as it was read) and to have no document type, so a plain lexical walk in step
 * with the reader finds them. */

struct walk {
    const char *p, *end;
    unsigned line, column;
};

static void walk_to(struct walk *w, const char *to)
{
    for (; w->p < to; w->p++) {
        if (*w->p == '\n') {
            w->line++;
            w->column = 1;
        } else if (((unsigned char)*w->p & 0xc0) != 0x80) {
            w->column++;
        }
    }
}

static void walk_past(struct walk *w, const char *mark, size_t n)
{
    const char *at = memmem(w->p, (size_t)(w->end - w->p), mark, n);

    walk_to(w, at ? at + n : w->end);
}

static bool walk_starts(const struct walk *w, const char *z)
{
    return str_starts(str_n(w->p, (size_t)(w->end - w->p)), str_z(z));
}

/* Moves to the "<" of the next start tag; false at the end. */
static bool walk_tag(struct walk *w)
{
    for (;;) {
        const char *lt = w->p < w->end ? memchr(w->p, '<', (size_t)(w->end - w->p)) : NULL;
        if (!lt)
            return false;
        walk_to(w, lt);
        if (walk_starts(w, "<!--"))
            walk_past(w, "-->", 3);
        else if (walk_starts(w, "<![CDATA["))
            walk_past(w, "]]>", 3);
        else if (walk_starts(w, "<?"))
            walk_past(w, "?>", 2);
        else if (walk_starts(w, "</") || walk_starts(w, "<!"))
            walk_past(w, ">", 1);
        else
            return true;
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str walk_name(struct walk *w)
{
    const char *from = w->p, *p = from;

    while (p < w->end && !is_blank(*p) && *p != '=' && *p != '>' && *p != '/')
        p++;
    walk_to(w, p);
    return str_n(from, (size_t)(p - from));
}

static void walk_blanks(struct walk *w)
{
    const char *p = w->p;

    while (p < w->end && is_blank(*p))
        p++;
    walk_to(w, p);
}

/* The attribute of this name; *next is where it is unless the reader's order was another. */
static struct xml_attr *named_attr(struct xml_elem *e, struct str name, size_t *next)
{
    for (size_t i = 0; i < e->n_attrs; i++) {
        struct xml_attr *at = &e->attrs[(*next + i) % e->n_attrs];
        if (str_eq(at->name, name)) {
            *next += i + 1;
            return at;
        }
    }
    return NULL;
}

/* Gives the element and its attributes their positions; w stands on the "<". Returns how many
 * attributes (and namespace declarations) stand there. */
static size_t place_element(struct walk *w, struct xml_elem *e)
{
    size_t next = 0, n = 0;

    e->line = w->line;
    e->column = w->column;
    walk_to(w, w->p + 1);
    walk_name(w);
    for (;;) {
        walk_blanks(w);
        if (w->p >= w->end || *w->p == '>' || *w->p == '/')
            break;
        n++;
        unsigned line = w->line, column = w->column;
        struct str name = walk_name(w);
        struct xml_attr *at = named_attr(e, name, &next);
        if (at) {
            at->line = line;
            at->column = column;
        }
        walk_blanks(w);
        if (w->p < w->end && *w->p == '=')
            walk_to(w, w->p + 1);
        walk_blanks(w);
        if (w->p >= w->end || (*w->p != '"' && *w->p != '\''))
            break;
        const char quote = *w->p;
        walk_to(w, w->p + 1);
        walk_past(w, &quote, 1);
    }
    return n;
}

/* ---- reading ---- */

struct parse {
    struct arena *a;
    struct xml_file *f;
    struct walk w;
    unsigned error_line, error_column;
    char error[160];
};

static void on_error(void *arg, xmlErrorPtr e)
{
    struct parse *p = arg;

    /* Only the first one counts; those after it are its consequences. */
    if (p->error[0] || e->level < XML_ERR_ERROR || e->domain == XML_FROM_NAMESPACE)
        return;
    struct str text = str_trim_all(str_z(e->message));
    size_t n = text.n < sizeof(p->error) - 1 ? text.n : sizeof(p->error) - 1;

    memcpy(p->error, text.p, n);
    p->error[n] = '\0';
    p->error_line = e->line > 0 ? (unsigned)e->line : 1;
    p->error_column = e->int2 > 0 ? (unsigned)e->int2 : 1;
}

static struct str dup_xml(struct arena *a, const xmlChar *z)
{
    return arena_dup(a, str_z((const char *)z));
}

static void read_attributes(struct parse *p, xmlTextReaderPtr r, struct xml_elem *e)
{
    int n = xmlTextReaderAttributeCount(r);

    if (n <= 0)
        return;
    e->attrs = arena_zalloc(p->a, (size_t)n * sizeof(*e->attrs));
    while (e->n_attrs < (size_t)n && xmlTextReaderMoveToNextAttribute(r) == 1) {
        if (xmlTextReaderIsNamespaceDecl(r) == 1)
            continue;
        struct xml_attr *at = &e->attrs[e->n_attrs++];
        at->name = dup_xml(p->a, xmlTextReaderConstName(r));
        at->value = dup_xml(p->a, xmlTextReaderConstValue(r));
    }
    xmlTextReaderMoveToElement(r);
}

static struct xml_elem *read_element(struct parse *p, xmlTextReaderPtr r, struct xml_elem *parent)
{
    struct xml_elem *e = ARENA_NEW(p->a, struct xml_elem);

    e->name = dup_xml(p->a, xmlTextReaderConstName(r));
    e->file = p->f;
    e->parent = parent;
    read_attributes(p, r, e);
    if (walk_tag(&p->w))
        place_element(&p->w, e);
    if (!parent)
        p->f->root = e;
    else if (parent->last_child)
        parent->last_child->next = e;
    else
        parent->first_child = e;
    if (parent)
        parent->last_child = e;
    return e;
}

static bool read_all(struct parse *p, xmlTextReaderPtr r)
{
    struct xml_elem *open = NULL;
    int rc;

    while ((rc = xmlTextReaderRead(r)) == 1) {
        switch (xmlTextReaderNodeType(r)) {
        case XML_READER_TYPE_ELEMENT: {
            bool is_empty = xmlTextReaderIsEmptyElement(r) == 1;
            struct xml_elem *e = read_element(p, r, open);
            if (!is_empty)
                open = e;
            break;
        }
        case XML_READER_TYPE_END_ELEMENT:
            if (open)
                open = open->parent;
            break;
        default:
            break;
        }
    }
    return rc == 0 && p->f->root;
}

static pthread_once_t libxml_once = PTHREAD_ONCE_INIT;

static void init_libxml(void)
{
    xmlInitParser();
}

static void set_fault(struct xml_file *f, struct arena *a, unsigned line, unsigned column,
                      const char *text)
{
    f->root = NULL;
    f->fault_line = line;
    f->fault_column = column;
    f->fault = arena_dup(a, str_z(text));
}

/* A document type may only stand before the root element. */
static bool has_doctype(struct str text, struct walk *ret_at)
{
    struct walk w = {.p = text.p, .end = text.p + text.n, .line = 1, .column = 1};

    for (;;) {
        walk_blanks(&w);
        if (walk_starts(&w, "<!--"))
            walk_past(&w, "-->", 3);
        else if (walk_starts(&w, "<?"))
            walk_past(&w, "?>", 2);
        else
            break;
    }
    *ret_at = w;
    return walk_starts(&w, "<!");
}

/* libxml2 compares each attribute of an element with every other. */
static bool has_crowded_element(struct str text, struct walk *ret_at)
{
    struct walk w = {.p = text.p, .end = text.p + text.n, .line = 1, .column = 1};

    while (walk_tag(&w)) {
        struct xml_elem none = {0};
        *ret_at = w;
        if (place_element(&w, &none) > ATTRIBUTES_MAX)
            return true;
    }
    return false;
}

struct xml_file *xml_parse(struct arena *a, struct str name, struct str bytes)
{
    struct xml_file *f = ARENA_NEW(a, struct xml_file);
    struct walk at;

    pthread_once(&libxml_once, init_libxml);
    f->name = arena_dup(a, name);
    f->text = to_utf8(a, bytes);
    if (f->text.n == 0) {
        set_fault(f, a, 1, 1, "the file is empty");
        return f;
    }
    if (has_doctype(f->text, &at)) {
        set_fault(f, a, at.line, at.column, "document types are not accepted");
        return f;
    }
    if (has_crowded_element(f->text, &at)) {
        set_fault(f, a, at.line, at.column, "an element has more than 500 attributes");
        return f;
    }
    if (f->text.n > INT_MAX / 2) {
        set_fault(f, a, 1, 1, "the file is too large");
        return f;
    }
    struct parse p = {.a = a, .f = f};
    p.w = (struct walk){.p = f->text.p, .end = f->text.p + f->text.n, .line = 1, .column = 1};
    xmlTextReaderPtr r = xmlReaderForMemory(f->text.p, (int)f->text.n, NULL, "UTF-8",
                                            XML_PARSE_NONET | XML_PARSE_IGNORE_ENC);
    if (!r) {
        set_fault(f, a, 1, 1, "out of memory");
        return f;
    }
    xmlTextReaderSetStructuredErrorHandler(r, on_error, &p);
    if (!read_all(&p, r))
        set_fault(f, a, p.error_line ? p.error_line : 1, p.error_column ? p.error_column : 1,
                  p.error[0] ? p.error : "not an XML document");
    xmlFreeTextReader(r);
    return f;
}

struct str xml_line(const struct xml_file *f, unsigned n)
{
    struct str rest = f->text, line = STR_NULL;

    if (n == 0)
        return STR_NULL;
    while (n-- > 0) {
        if (rest.n == 0)
            return STR_NULL;
        size_t end = str_find_char(rest, '\n');
        line = str_sub(rest, 0, end);
        rest = end == SIZE_MAX ? STR_NULL : str_sub(rest, end + 1, rest.n);
    }
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

const struct xml_attr *xml_attr_find(const struct xml_elem *e, struct str name)
{
    for (size_t i = 0; i < e->n_attrs; i++)
        if (str_eq(e->attrs[i].name, name))
            return &e->attrs[i];
    return NULL;
}
