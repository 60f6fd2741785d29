/* Text of a registry export: its encodings and its lexical elements, nothing about any key. */
#ifndef CANDOR_TABLES_REGISTRY_TEXT_H
#define CANDOR_TABLES_REGISTRY_TEXT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* UTF-16 with a byte order mark, or UTF-8 with or without one, becomes valid UTF-8 without one in
 * *out: what is malformed becomes U+FFFD. out->overflow is set if it did not fit. */
void registry_text_decode(struct str bytes, struct buf *out);

struct registry_cursor {
    struct str text;
    size_t at;
    size_t line_start; /* offset of the current line */
    uint32_t line;     /* from 1 */
    bool is_version4;  /* REGEDIT4: strings in hex() are bytes, not UTF-16 */
};

enum registry_type {
    REGISTRY_DELETED, /* - */
    REGISTRY_TEXT,    /* "..." , hex(1), hex(2) */
    REGISTRY_NUMBER,  /* dword:, hex(4), hex(5), hex(b) */
    REGISTRY_LIST,    /* hex(7): strings with a NUL behind each */
    REGISTRY_BINARY,  /* hex: */
    REGISTRY_OTHER,
};

struct registry_value {
    enum registry_type type;
    uint64_t number;
    struct buf *data;      /* the caller's; filled for texts, lists (both UTF-8) and binary */
    uint32_t line, column; /* where the data begins */
};

void registry_cursor_init(struct registry_cursor *c, struct str text);
static inline bool registry_at_end(const struct registry_cursor *c)
{
    return c->at >= c->text.n;
}
static inline uint32_t registry_column(const struct registry_cursor *c)
{
    return (uint32_t)(c->at - c->line_start + 1);
}
/* The next byte, '\0' at the end. */
static inline char registry_peek(const struct registry_cursor *c)
{
    return registry_at_end(c) ? '\0' : c->text.p[c->at];
}
void registry_advance(struct registry_cursor *c);

/* Blanks and tabs; registry_skip_space: line ends as well. */
void registry_skip_blanks(struct registry_cursor *c);
void registry_skip_space(struct registry_cursor *c);
/* The rest of the line without its end; the cursor stands on the next line. */
struct str registry_take_line(struct registry_cursor *c);

/* A quoted string at the cursor, its escapes resolved, appended to *out. False if its end is
 * missing; the cursor is then at the end of the text. */
MUST_CHECK bool registry_take_quoted(struct registry_cursor *c, struct buf *out);

/* The data of a value at the cursor, and the rest of its line. v->data must be set. False if it
 * cannot be read; the cursor is then past that line. */
MUST_CHECK bool registry_take_data(struct registry_cursor *c, struct registry_value *v);

#endif
