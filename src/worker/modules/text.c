#include "worker/modules/text.h"

#include "base/poison.h"

static bool is_escape(struct str s, size_t at)
{
    return at + 2 < s.n && s.p[at] == '%' && ascii_hex(s.p[at + 1]) >= 0 &&
           ascii_hex(s.p[at + 2]) >= 0;
}

static bool is_wide_escape(struct str s, size_t at)
{
    if (at + 5 >= s.n || s.p[at] != '%' || ascii_lower(s.p[at + 1]) != 'u')
        return false;
    for (size_t i = at + 2; i < at + 6; i++)
        if (ascii_hex(s.p[i]) < 0)
            return false;
    return true;
}

struct str text_unescape(struct arena *a, struct str s)
{
    if (str_find_char(s, '%') == SIZE_MAX)
        return s;
    char *out = arena_alloc(a, s.n);
    size_t n = 0;

    if (!out)
        return STR_NULL;
    for (size_t i = 0; i < s.n; i++) {
        if (is_escape(s, i)) {
            out[n++] = (char)(ascii_hex(s.p[i + 1]) << 4 | ascii_hex(s.p[i + 2]));
            i += 2;
        } else {
            out[n++] = s.p[i];
        }
    }
    return str_n(out, n);
}

bool text_has_bare_percent(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '%' && !is_escape(s, i) && !is_wide_escape(s, i))
            return true;
    return false;
}

bool text_has_escape(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (is_escape(s, i) || is_wide_escape(s, i))
            return true;
    return false;
}

struct str text_lower(struct arena *a, struct str s)
{
    char *out = arena_dup_z(a, s);

    if (!out)
        return STR_NULL;
    for (size_t i = 0; i < s.n; i++)
        out[i] = ascii_lower(out[i]);
    return str_n(out, s.n);
}

bool text_contains(struct str s, struct str needle)
{
    for (size_t i = 0; i + needle.n <= s.n; i++) {
        size_t k = 0;

        while (k < needle.n && ascii_lower(s.p[i + k]) == needle.p[k])
            k++;
        if (k == needle.n)
            return true;
    }
    return false;
}

static void append_escaped(struct buf *b, char c)
{
    static const char digits[] = "0123456789ABCDEF";
    unsigned char byte = (unsigned char)c;

    buf_char(b, '%');
    buf_char(b, digits[byte >> 4]);
    buf_char(b, digits[byte & 15]);
}

void text_url_path(struct buf *b, struct str path)
{
    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];

        if (ascii_is_alpha(c) || ascii_is_digit(c) || (c && strchr("-._~!$&'()*+,;=:@/", c)))
            buf_char(b, c);
        else
            append_escaped(b, c);
    }
}

void text_url_clean(struct buf *b, struct str url)
{
    for (size_t i = 0; i < url.n; i++) {
        char c = url.p[i];

        if (c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>')
            buf_char(b, c);
        else
            append_escaped(b, c);
    }
}

struct str text_keep(struct request *r, const struct buf *b)
{
    return b->overflow ? STR_NULL : arena_dup(&r->arena, buf_view(b));
}

enum { MOVED_PAGE_MAX = 256 * 1024 };

enum pipe_rc text_document_moved(struct request *r, const struct status_row *row,
                                 struct str location)
{
    _cleanup_buf_ struct buf page = {0};

    response_status(r, row);
    if (!response_header_set(r, HDR_LOCATION, location))
        return request_fail(r, &st_500_0_module_error, 0x8007000d, location);
    buf_init(&page, MOVED_PAGE_MAX);
    buf_str(&page, STR("<head><title>Document Moved</title></head>\n<body><h1>Object Moved</h1>"
                       "This document may be found <a HREF=\""));
    buf_html(&page, location);
    buf_str(&page, STR("\">here</a></body>"));
    (void)response_header_set(r, HDR_CONTENT_TYPE, STR("text/html; charset=UTF-8"));
    response_body_memory(r, text_keep(r, &page));
    return PIPE_FINISH;
}
