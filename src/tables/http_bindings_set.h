/* Filling struct http_bindings, for the reader of registry exports alone. */
#ifndef CANDOR_TABLES_HTTP_BINDINGS_SET_H
#define CANDOR_TABLES_HTTP_BINDINGS_SET_H

#include "tables/http_bindings.h"

/* The entry of the key's name, a fresh one if there is none: *ret is its index. RC_DECLINED: that
 * is no such name; RC_FAIL: the list is full. */
MUST_CHECK enum rc ssl_binding_take(struct http_bindings *b, enum ssl_binding_kind kind,
                                    struct str name, size_t *ret);
/* Removes the entry of that name; an empty name: all of the kind. */
void ssl_binding_drop(struct http_bindings *b, enum ssl_binding_kind kind, struct str name);

/* A URL prefix; one that is there already is replaced. RC_DECLINED: that is none. */
MUST_CHECK enum rc url_reservation_take(struct http_bindings *b, struct str prefix, uint32_t line,
                                        uint32_t column);
/* An empty prefix: all. */
void url_reservation_drop(struct http_bindings *b, struct str prefix);

MUST_CHECK enum rc listen_address_take(struct http_bindings *b, struct str text);

#endif
