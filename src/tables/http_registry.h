/* What the two readers of one registry export share: http_parameters_load.c walks the file and
 * takes the parameters, http_bindings_load.c takes what lies in the keys below. */
#ifndef CANDOR_TABLES_HTTP_REGISTRY_H
#define CANDOR_TABLES_HTTP_REGISTRY_H

#include "tables/http_bindings.h"
#include "tables/http_parameters.h"
#include "tables/registry_text.h"

struct http_findings {
    struct http_parameters_finding **tail;
    size_t n;
};

/* Takes text over. Beyond a bound one remark says that there is more. */
void http_findings_add(struct http_findings *f, enum http_parameters_severity severity,
                       uint32_t line, uint32_t column, char *text);

enum http_bindings_place { BINDINGS_NOWHERE, BINDINGS_SSL, BINDINGS_RESERVATIONS };

struct http_bindings_reader {
    struct http_bindings *b;
    struct http_findings *findings;
    enum http_bindings_place place; /* what the current key holds */
    size_t ssl;                     /* the entry it is about */
};

/* A value as read; good: its data could be. */
struct http_registry_value {
    struct str name;
    uint32_t line, column; /* of the name */
    bool good;
    const struct registry_value *data;
};

/* A key below HTTP\Parameters begins, or is deleted; path: behind "Parameters\". */
void http_bindings_key(struct http_bindings_reader *r, struct str path, bool deleted, uint32_t line,
                       uint32_t column);
/* A value of the key that began last. */
void http_bindings_value(struct http_bindings_reader *r, const struct http_registry_value *v);
/* ListenOnlyList, which stands among the parameters. */
void http_bindings_listen(struct http_bindings_reader *r, const struct http_registry_value *v);
/* HTTP\Parameters itself is deleted. */
void http_bindings_clear(struct http_bindings_reader *r);
/* At the end of the file: says what is missing. */
void http_bindings_check(struct http_bindings_reader *r);

#endif
