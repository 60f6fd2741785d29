#include "config/secrets.h"

#include "base/poison.h"

/* The text may be UTF-8 or UTF-16; names and quotes are ASCII in both. */
struct text {
    char *p;
    size_t n;      /* characters */
    size_t stride; /* bytes of a character */
    size_t low;    /* which of them holds an ASCII character */
};

static int at(const struct text *t, size_t i)
{
    if (i >= t->n)
        return -1;
    if (t->stride == 2 && t->p[i * 2 + (1 - t->low)] != 0)
        return 0x100; /* no ASCII */
    return (unsigned char)t->p[i * t->stride + t->low];
}

static bool is_word(const struct text *t, size_t i, struct str word)
{
    for (size_t k = 0; k < word.n; k++)
        if (at(t, i + k) != (unsigned char)word.p[k])
            return false;
    return true;
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Masks the value of the attribute whose name ends before i; gives where to go on. */
static size_t mask_value(struct text *t, size_t i)
{
    while (is_blank(at(t, i)))
        i++;
    if (at(t, i) != '=')
        return i;
    i++;
    while (is_blank(at(t, i)))
        i++;
    int quote = at(t, i);

    if (quote != '"' && quote != '\'')
        return i;
    for (i++; at(t, i) >= 0 && at(t, i) != quote; i++) {
        int c = at(t, i);
        if (c == '\r' || c == '\n')
            continue; /* lines keep their numbers */
        for (size_t k = 0; k < t->stride; k++)
            t->p[i * t->stride + k] = k == t->low ? '*' : 0;
    }
    return i + 1;
}

/* One start tag from i, behind its name. */
static size_t mask_tag(struct text *t, size_t i)
{
    int quote = 0;

    for (; at(t, i) >= 0; i++) {
        int c = at(t, i);
        if (quote) {
            quote = c == quote ? 0 : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '>') {
            return i;
        } else if (is_blank(c)) {
            if (is_word(t, i + 1, STR("password")))
                i = mask_value(t, i + 9) - 1;
            else if (is_word(t, i + 1, STR("userName")))
                i = mask_value(t, i + 9) - 1;
        }
    }
    return i;
}

void config_mask_process_identities(char *bytes, size_t n)
{
    static const struct str name = {"<processModel", 13};
    bool le = n >= 2 && (unsigned char)bytes[0] == 0xff && (unsigned char)bytes[1] == 0xfe;
    bool be = n >= 2 && (unsigned char)bytes[0] == 0xfe && (unsigned char)bytes[1] == 0xff;
    struct text t = {bytes, le || be ? n / 2 : n, le || be ? 2 : 1, be ? 1 : 0};

    for (size_t i = 0; i + name.n < t.n; i++)
        if (is_word(&t, i, name))
            i = mask_tag(&t, i + name.n);
}
