#include "tables/registry_text.h"

#include "base/poison.h"

enum { DATA_MAX = 65536 };

static void put_utf8(struct buf *out, uint32_t c)
{
    char b[4];
    size_t n;

    if (c < 0x80) {
        b[0] = (char)c;
        n = 1;
    } else if (c < 0x800) {
        b[0] = (char)(0xC0 | c >> 6);
        b[1] = (char)(0x80 | (c & 0x3F));
        n = 2;
    } else if (c < 0x10000) {
        b[0] = (char)(0xE0 | c >> 12);
        b[1] = (char)(0x80 | (c >> 6 & 0x3F));
        b[2] = (char)(0x80 | (c & 0x3F));
        n = 3;
    } else {
        b[0] = (char)(0xF0 | c >> 18);
        b[1] = (char)(0x80 | (c >> 12 & 0x3F));
        b[2] = (char)(0x80 | (c >> 6 & 0x3F));
        b[3] = (char)(0x80 | (c & 0x3F));
        n = 4;
    }
    buf_append(out, b, n);
}

static uint32_t unit_at(struct str s, size_t i, bool big_endian)
{
    uint32_t a = (unsigned char)s.p[i];
    uint32_t b = (unsigned char)s.p[i + 1];

    return big_endian ? a << 8 | b : b << 8 | a;
}

static void decode_utf16(struct str s, bool big_endian, struct buf *out)
{
    size_t i = 0;

    while (s.n - i >= 2) {
        uint32_t c = unit_at(s, i, big_endian);

        i += 2;
        if (c >= 0xD800 && c < 0xDC00 && s.n - i >= 2) {
            uint32_t low = unit_at(s, i, big_endian);

            if (low >= 0xDC00 && low < 0xE000) {
                c = 0x10000 + ((c - 0xD800) << 10 | (low - 0xDC00));
                i += 2;
            }
        }
        put_utf8(out, c >= 0xD800 && c < 0xE000 ? 0xFFFD : c);
    }
    if (i < s.n)
        put_utf8(out, 0xFFFD);
}

/* Length of the well-formed UTF-8 sequence that s begins with (RFC 3629 section 4), 0 if none. */
static size_t utf8_length(struct str s)
{
    unsigned char lead = (unsigned char)s.p[0];
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    size_t n;

    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    n = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (s.n < n)
        return 0;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    if ((unsigned char)s.p[1] < low || (unsigned char)s.p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++) {
        if (((unsigned char)s.p[i] & 0xC0) != 0x80)
            return 0;
    }
    return n;
}

static void decode_utf8(struct str s, struct buf *out)
{
    while (s.n > 0) {
        size_t n = utf8_length(s);

        if (n == 0) {
            put_utf8(out, 0xFFFD);
            n = 1;
        } else {
            buf_append(out, s.p, n);
        }
        s = str_sub(s, n, s.n);
    }
}

void registry_text_decode(struct str bytes, struct buf *out)
{
    if (str_starts(bytes, STR("\xFF\xFE")))
        decode_utf16(str_sub(bytes, 2, bytes.n), false, out);
    else if (str_starts(bytes, STR("\xFE\xFF")))
        decode_utf16(str_sub(bytes, 2, bytes.n), true, out);
    else if (str_starts(bytes, STR("\xEF\xBB\xBF")))
        decode_utf8(str_sub(bytes, 3, bytes.n), out);
    else
        decode_utf8(bytes, out);
}

void registry_cursor_init(struct registry_cursor *c, struct str text)
{
    *c = (struct registry_cursor){.text = text, .line = 1};
}

void registry_advance(struct registry_cursor *c)
{
    if (registry_at_end(c))
        return;
    if (c->text.p[c->at++] == '\n') {
        c->line++;
        c->line_start = c->at;
    }
}

void registry_skip_blanks(struct registry_cursor *c)
{
    while (!registry_at_end(c) && (registry_peek(c) == ' ' || registry_peek(c) == '\t'))
        registry_advance(c);
}

void registry_skip_space(struct registry_cursor *c)
{
    while (!registry_at_end(c) && str_find_char(STR(" \t\r\n"), registry_peek(c)) != SIZE_MAX)
        registry_advance(c);
}

struct str registry_take_line(struct registry_cursor *c)
{
    size_t from = c->at;

    while (!registry_at_end(c) && registry_peek(c) != '\n')
        c->at++;
    struct str line = str_sub(c->text, from, c->at);
    registry_advance(c);
    return line.n > 0 && line.p[line.n - 1] == '\r' ? str_sub(line, 0, line.n - 1) : line;
}

bool registry_take_quoted(struct registry_cursor *c, struct buf *out)
{
    registry_advance(c);
    while (!registry_at_end(c)) {
        char ch = registry_peek(c);

        registry_advance(c);
        if (ch == '"')
            return true;
        /* Only these two are escapes; any other back-slash stands for itself. */
        if (ch == '\\' && (registry_peek(c) == '\\' || registry_peek(c) == '"')) {
            ch = registry_peek(c);
            registry_advance(c);
        }
        buf_char(out, ch);
    }
    return false;
}

/* What may follow data on its line: blanks and a comment. */
static bool take_line_end(struct registry_cursor *c)
{
    struct str rest = str_trim_all(registry_take_line(c));

    return rest.n == 0 || rest.p[0] == ';';
}

static bool hex_number(struct str digits, uint64_t *ret)
{
    uint64_t value = 0;

    if (digits.n == 0 || digits.n > 8)
        return false;
    for (size_t i = 0; i < digits.n; i++) {
        int d = ascii_hex(digits.p[i]);

        if (d < 0)
            return false;
        value = value << 4 | (uint64_t)d;
    }
    *ret = value;
    return true;
}

static struct str take_hex_digits(struct registry_cursor *c)
{
    size_t from = c->at;

    while (!registry_at_end(c) && ascii_hex(registry_peek(c)) >= 0)
        registry_advance(c);
    return str_sub(c->text, from, c->at);
}

/* "40,00,\" and so on over several lines. */
static bool take_hex_bytes(struct registry_cursor *c, struct buf *out)
{
    for (;;) {
        uint64_t byte;

        registry_skip_blanks(c);
        if (registry_peek(c) == '\\') {
            if (!take_line_end(&(struct registry_cursor){.text = c->text, .at = c->at + 1}))
                return false;
            (void)registry_take_line(c);
            continue;
        }
        struct str digits = take_hex_digits(c);
        if (digits.n == 0)
            return take_line_end(c); /* no byte at all, or a comma at the end */
        if (digits.n > 2 || !hex_number(digits, &byte))
            return false;
        buf_char(out, (char)(unsigned char)byte);
        registry_skip_blanks(c);
        if (registry_peek(c) != ',')
            return take_line_end(c);
        registry_advance(c);
    }
}

static uint64_t bytes_number(struct str bytes, bool big_endian)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes.n; i++) {
        unsigned char b = (unsigned char)bytes.p[big_endian ? i : bytes.n - 1 - i];
        value = value << 8 | b;
    }
    return value;
}

/* The data of a string ends with its terminator, that of a list with one more. */
static void decode_strings(const struct registry_cursor *c, struct str bytes, size_t terminators,
                           struct buf *out)
{
    if (c->is_version4)
        decode_utf8(bytes, out);
    else
        decode_utf16(bytes, false, out);
    for (; terminators > 0 && out->n > 0 && out->p[out->n - 1] == '\0'; terminators--)
        out->n--;
}

static bool take_hex(struct registry_cursor *c, uint64_t type, struct registry_value *v)
{
    _cleanup_buf_ struct buf bytes;

    buf_init(&bytes, DATA_MAX);
    if (!take_hex_bytes(c, &bytes) || bytes.overflow)
        return false;
    v->type = REGISTRY_OTHER;
    if ((type == 4 || type == 5) && bytes.n == 4) {
        v->type = REGISTRY_NUMBER;
        v->number = bytes_number(buf_view(&bytes), type == 5);
    } else if (type == 0xB && bytes.n == 8) {
        v->type = REGISTRY_NUMBER;
        v->number = bytes_number(buf_view(&bytes), false);
    } else if (type == 1 || type == 2) {
        v->type = REGISTRY_TEXT;
        decode_strings(c, buf_view(&bytes), SIZE_MAX, v->data);
    } else if (type == 7) {
        v->type = REGISTRY_LIST;
        decode_strings(c, buf_view(&bytes), 1, v->data);
    } else if (type == 3) {
        v->type = REGISTRY_BINARY;
        buf_str(v->data, buf_view(&bytes));
    }
    return true;
}

/* "hex:" (3, binary) or "hex(2):", the word itself being read. */
static bool take_hex_type(struct registry_cursor *c, uint64_t *ret)
{
    *ret = 3;
    if (registry_peek(c) == '(') {
        registry_advance(c);
        if (!hex_number(take_hex_digits(c), ret) || registry_peek(c) != ')')
            return false;
        registry_advance(c);
    }
    if (registry_peek(c) != ':')
        return false;
    registry_advance(c);
    return true;
}

static bool take_data(struct registry_cursor *c, struct registry_value *v)
{
    struct str rest = str_sub(c->text, c->at, c->text.n);
    uint64_t type;

    if (registry_peek(c) == '"') {
        v->type = REGISTRY_TEXT;
        return registry_take_quoted(c, v->data) && take_line_end(c);
    }
    if (registry_peek(c) == '-') {
        v->type = REGISTRY_DELETED;
        registry_advance(c);
        return take_line_end(c);
    }
    if (str_istarts(rest, STR("dword:"))) {
        v->type = REGISTRY_NUMBER;
        c->at += sizeof("dword:") - 1;
        registry_skip_blanks(c);
        return hex_number(take_hex_digits(c), &v->number) && take_line_end(c);
    }
    if (str_istarts(rest, STR("hex"))) {
        c->at += sizeof("hex") - 1;
        return take_hex_type(c, &type) && take_hex(c, type, v);
    }
    return false;
}

bool registry_take_data(struct registry_cursor *c, struct registry_value *v)
{
    registry_skip_blanks(c);
    v->line = c->line;
    v->column = registry_column(c);
    v->number = 0;
    if (take_data(c, v))
        return true;
    if (c->at > c->line_start)
        (void)registry_take_line(c);
    return false;
}
