/* What the XML parser gets to see: UTF-8 without what would stop or stall it. */
#include "trace/freb.h"

#include <iconv.h>
#include <stdio.h>

#include "base/poison.h"

enum { ATTRIBUTES_MAX = 100 }; /* of one element; a trace's root has 15 */

/* ---- encoding ---- */

static void put_utf8(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_char(out, (char)c);
    } else if (c < 0x800) {
        buf_char(out, (char)(0xC0 | c >> 6));
        buf_char(out, (char)(0x80 | (c & 0x3F)));
    } else if (c < 0x10000) {
        buf_char(out, (char)(0xE0 | c >> 12));
        buf_char(out, (char)(0x80 | (c >> 6 & 0x3F)));
        buf_char(out, (char)(0x80 | (c & 0x3F)));
    } else {
        buf_char(out, (char)(0xF0 | c >> 18));
        buf_char(out, (char)(0x80 | (c >> 12 & 0x3F)));
        buf_char(out, (char)(0x80 | (c >> 6 & 0x3F)));
        buf_char(out, (char)(0x80 | (c & 0x3F)));
    }
}

static uint32_t unit16(struct str s, size_t i, bool is_big)
{
    uint32_t a = (unsigned char)s.p[i], b = (unsigned char)s.p[i + 1];

    return is_big ? a << 8 | b : b << 8 | a;
}

static void put_utf16(struct buf *out, struct str s, bool is_big)
{
    for (size_t i = 0; i + 1 < s.n; i += 2) {
        uint32_t c = unit16(s, i, is_big);
        if (c >= 0xD800 && c < 0xDC00 && i + 3 < s.n) {
            uint32_t low = unit16(s, i + 2, is_big);
            if (low >= 0xDC00 && low < 0xE000) {
                c = 0x10000 + ((c - 0xD800) << 10 | (low - 0xDC00));
                i += 2;
            }
        }
        put_utf8(out, c >= 0xD800 && c < 0xE000 ? '?' : c == 0xFEFF ? ' ' : c);
    }
}

/* Bytes of the character that s begins with; 0: none that XML 1.0 section 2.2 allows. */
static size_t char_length(struct str s)
{
    unsigned char a = (unsigned char)s.p[0];
    size_t n = a < 0x80 ? 1 : a < 0xC2 ? 0 : a < 0xE0 ? 2 : a < 0xF0 ? 3 : a < 0xF5 ? 4 : 0;
    uint32_t c = a;

    if (n == 1)
        return a >= 0x20 || a == '\t' || a == '\n' || a == '\r';
    if (n == 0 || s.n < n)
        return 0;
    c = a & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)s.p[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | ((unsigned char)s.p[i] & 0x3F);
    }
    if ((n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10FFFF)) ||
        (c >= 0xD800 && c < 0xE000) || c == 0xFFFE || c == 0xFFFF)
        return 0;
    return n;
}

/* Length of the part that is well-formed. */
static size_t clean_length(struct str s)
{
    size_t i = 0;

    while (i < s.n) {
        size_t n = char_length(str_n(s.p + i, s.n - i));
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

static void put_clean(struct buf *out, struct str s)
{
    while (s.n) {
        size_t n = clean_length(s);
        buf_str(out, str_sub(s, 0, n));
        if (n < s.n)
            buf_char(out, '?');
        s = str_sub(s, n + 1, s.n);
    }
}

/* The encodings in which a trace may be that an editor or a script saved. A list, because a file
 * must not choose which of the C library's converters runs. */
static const char *const encodings[] = {
    "windows-1250", "windows-1251", "windows-1252", "windows-1253", "windows-1254", "windows-1255",
    "windows-1256", "windows-1257", "windows-1258", "iso-8859-1",   "iso-8859-2",   "iso-8859-5",
    "iso-8859-7",   "iso-8859-9",   "iso-8859-15",  "koi8-r",       "gb2312",       "gbk",
    "gb18030",      "big5",         "shift_jis",    "euc-jp",       "euc-kr"};

/* What <?xml encoding="..."?> names, if it is one of them; else NULL. */
static const char *declared_encoding(struct str bytes)
{
    struct str head = str_sub(bytes, 0, 200);

    if (!str_starts(head, STR("<?xml")))
        return NULL;
    head = str_sub(head, 0, str_find(head, STR("?>")));
    size_t at = str_find(head, STR("encoding="));

    if (at == SIZE_MAX)
        return NULL;
    head = str_sub(head, at + 10, head.n); /* past the quote */
    for (size_t i = 0; i < ARRAY_LEN(encodings); i++) {
        struct str name = str_z(encodings[i]);
        if (str_ieq(str_sub(head, 0, name.n), name) && head.n > name.n &&
            (head.p[name.n] == '"' || head.p[name.n] == '\''))
            return encodings[i];
    }
    return NULL;
}

/* False if the C library has no such converter, or the text is too large. What can't be converted
 * becomes '?'. */
static bool recode(struct buf *out, struct str bytes, const char *encoding)
{
    char piece[4096], *in = (char *)(uintptr_t)bytes.p;
    size_t left = bytes.n;
    iconv_t cd = iconv_open("UTF-8", encoding);

    if (cd == (iconv_t)-1)
        return false;
    while (left && !out->overflow) {
        char *to = piece;
        size_t room = sizeof(piece);
        size_t before = left;
        bool stuck = iconv(cd, &in, &left, &to, &room) == (size_t)-1 && room == sizeof(piece) &&
                     left == before;
        buf_append(out, piece, sizeof(piece) - room);
        if (stuck) {
            buf_char(out, '?');
            in++;
            left--;
        }
    }
    iconv_close(cd);
    return !out->overflow;
}

/* A single character of several bytes is proof enough of UTF-8. */
static bool has_utf8(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80 && char_length(str_n(s.p + i, s.n - i)) > 1)
            return true;
    return false;
}

struct str freb_input_clean(struct buf *copy, struct str bytes)
{
    unsigned char a = bytes.n > 1 ? (unsigned char)bytes.p[0] : 0;
    unsigned char b = bytes.n > 1 ? (unsigned char)bytes.p[1] : 0;
    bool is_little = (a == 0xFF && b == 0xFE) || (a == '<' && b == 0);
    bool is_big = (a == 0xFE && b == 0xFF) || (a == 0 && b == '<');

    if (is_little || is_big) {
        struct buf wide;
        buf_init(&wide, copy->max);
        put_utf16(&wide, bytes, is_big);
        put_clean(copy, buf_view(&wide));
        buf_fini(&wide);
        return str_trim_all(buf_view(copy));
    }
    while (bytes.n && bytes.p[bytes.n - 1] == '\0')
        bytes.n--; /* a file that was being written when the machine stopped */
    if (str_starts(bytes, STR("\xEF\xBB\xBF")))
        bytes = str_sub(bytes, 3, bytes.n);
    if (clean_length(bytes) == bytes.n)
        return bytes;
    const char *encoding = declared_encoding(bytes);
    struct buf utf8;

    /* Scripts that save a file anew leave the declaration and change the encoding. */
    if (!encoding && str_starts(bytes, STR("<")) && !has_utf8(bytes))
        encoding = "windows-1252";
    buf_init(&utf8, copy->max);
    if (encoding && recode(&utf8, bytes, encoding))
        put_clean(copy, buf_view(&utf8));
    else
        put_clean(copy, bytes);
    buf_fini(&utf8);
    return buf_view(copy);
}

/* ---- crowded elements ---- */

/* Past the end mark of a comment, a CDATA section or an instruction that begins at i. */
static size_t skip_to(struct str s, size_t i, struct str mark)
{
    size_t at = str_find(str_sub(s, i, s.n), mark);

    return at == SIZE_MAX ? s.n : i + at + mark.n;
}

/* One past the '>' of the tag that begins at i; *ret_attributes: quoted values in it. */
static size_t skip_tag(struct str s, size_t i, size_t *ret_attributes)
{
    size_t n = 0;

    while (i < s.n && s.p[i] != '>' && n <= ATTRIBUTES_MAX) {
        char c = s.p[i++];
        if (c != '"' && c != '\'')
            continue;
        const char *end = memchr(s.p + i, c, s.n - i);
        i = end ? (size_t)(end - s.p) + 1 : s.n;
        n++;
    }
    *ret_attributes = n;
    return i;
}

size_t freb_input_crowded(struct str s)
{
    size_t i = 0;

    while (i < s.n) {
        const char *open = memchr(s.p + i, '<', s.n - i);
        size_t attributes = 0, at;
        if (!open)
            break;
        at = (size_t)(open - s.p);
        struct str rest = str_sub(s, at, s.n);
        if (str_starts(rest, STR("<!--")))
            i = skip_to(s, at + 4, STR("-->"));
        else if (str_starts(rest, STR("<![CDATA[")))
            i = skip_to(s, at + 9, STR("]]>"));
        else if (str_starts(rest, STR("<?")))
            i = skip_to(s, at + 2, STR("?>"));
        else
            i = skip_tag(s, at + 1, &attributes);
        if (attributes > ATTRIBUTES_MAX)
            return at;
    }
    return SIZE_MAX;
}
