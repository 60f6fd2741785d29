/* An XML file as a tree that knows where everything stands. */
#ifndef CANDOR_CONFIG_TREE_H
#define CANDOR_CONFIG_TREE_H

#include "base/arena.h"
#include "base/str.h"

struct xml_attr {
    struct str name, value; /* references resolved */
    unsigned line, column;  /* of the name; columns count characters from 1 */
};

struct xml_elem {
    struct str name;
    struct xml_attr *attrs; /* in document order, without namespace declarations */
    size_t n_attrs;
    struct xml_elem *parent, *first_child, *last_child, *next;
    unsigned line, column; /* of the "<" */
    const struct xml_file *file;
};

struct xml_file {
    struct str name;       /* for messages: the real path */
    struct str text;       /* the whole file in UTF-8 */
    struct xml_elem *root; /* NULL: not well formed, see below */
    unsigned fault_line, fault_column;
    struct str fault; /* what the parser said */
};

/* Parses bytes (UTF-8, UTF-16, or another encoding that their declaration names). Always returns a
 * file; everything is in a's memory, bytes are not referred to. Document types are refused and
 * nothing is ever fetched, so there are no entities to expand. */
struct xml_file *xml_parse(struct arena *a, struct str name, struct str bytes);

/* Line n (from 1) without its end, or an empty view outside the file. */
struct str xml_line(const struct xml_file *f, unsigned n);

/* NULL if the element has no such attribute. Names compare with case. */
const struct xml_attr *xml_attr_find(const struct xml_elem *e, struct str name);

#endif
