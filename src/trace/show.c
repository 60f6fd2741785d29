/* What the views share. */
#include "trace/report.h"

#include <stdio.h>

#include "base/poison.h"

const char *trace_level_name(unsigned level)
{
    static const char *const names[] = {"General", "Critical",    "Error",
                                        "Warning", "Information", "Verbose"};

    return level < ARRAY_LEN(names) ? names[level] : "Verbose";
}

struct str trace_shorten(struct str s, size_t max)
{
    size_t n = s.n > max ? max : s.n;

    while (n > 0 && n < s.n && ((unsigned char)s.p[n] & 0xC0) == 0x80)
        n--;
    return str_sub(s, 0, n);
}

bool trace_is_dull(const struct freb_field *f)
{
    return f->value.n == 0 || (str_eq(f->value, STR("0")) && (str_eq(f->name, STR("ErrorCode")) ||
                                                              str_eq(f->name, STR("ConnID"))));
}

void trace_put_fields(struct buf *out, const struct freb_event *e, size_t max)
{
    bool is_first = true;

    for (size_t i = 0; i < e->n_fields; i++) {
        const struct freb_field *f = &e->fields[i];
        struct str shown = f->text.n ? f->text : str_trim_all(f->value);
        struct str part = trace_shorten(shown, max);
        if (max < FREB_TEXT_MAX && trace_is_dull(f))
            continue;
        if (!is_first)
            buf_str(out, STR(", "));
        is_first = false;
        trace_put_safe(out, f->name);
        buf_str(out, STR("=\""));
        trace_put_safe(out, part);
        if (part.n < shown.n)
            buf_printf(out, "... %zu more bytes", shown.n - part.n);
        buf_char(out, '"');
    }
}

/* Bytes of what stands at the start of s and must not reach a terminal; 0: nothing. C0 controls,
 * C1 controls (U+0080..9F) and marks that turn the direction of text (U+200E/F, U+202A..E,
 * U+2066..9), as they stand in UTF-8. */
static size_t unsafe_length(struct str s)
{
    unsigned char a = (unsigned char)s.p[0], b, c;

    if (a < 0x20 || a == 0x7F)
        return 1;
    if (a == 0xC2)
        return s.n > 1 && (unsigned char)s.p[1] >= 0x80 && (unsigned char)s.p[1] <= 0x9F ? 2 : 0;
    if (a != 0xE2 || s.n < 3)
        return 0;
    b = (unsigned char)s.p[1];
    c = (unsigned char)s.p[2];
    if ((b == 0x80 && (c == 0x8E || c == 0x8F || (c >= 0xAA && c <= 0xAE))) ||
        (b == 0x81 && c >= 0xA6 && c <= 0xA9))
        return 3;
    return 0;
}

void trace_put_safe(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n;) {
        size_t n = unsafe_length(str_n(s.p + i, s.n - i));

        if (n == 0) {
            buf_char(out, s.p[i++]);
            continue;
        }
        char c = s.p[i];
        if (c == '\n' || c == '\r')
            buf_str(out, c == '\n' ? STR("\\n") : STR("\\r"));
        else if (c == '\t')
            buf_char(out, ' ');
        else
            for (size_t k = 0; k < n; k++)
                buf_printf(out, "\\x%02X", (unsigned char)s.p[i + k]);
        i += n;
    }
}
