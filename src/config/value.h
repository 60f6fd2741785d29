/* Attribute values: from text to number, checked against type and validator of the schema. */
#ifndef CANDOR_CONFIG_VALUE_H
#define CANDOR_CONFIG_VALUE_H

#include "base/buf.h"
#include "config/schema.h"

/* The number behind text: bool 0/1, integers, milliseconds of a time (UINT64_MAX as -1 for
 * Infinite), an enum's or flags' bits; 0 for strings. False if type or validator refuse it; then
 * *why has the sentence IIS uses, without a period. */
MUST_CHECK bool value_parse(const struct schema_attr *a, struct str text, int64_t *ret,
                            struct buf *why);

/* The number of the attribute's default (which is right by construction). */
int64_t value_default(const struct schema_attr *a);

/* "A, B, C": the names an enum or flags attribute takes. */
void value_names(const struct schema_attr *a, struct buf *out);

/* True for "[enc:provider:base64:enc]" (also the empty secret, for which *ret_empty is set). */
bool value_is_encrypted(struct str text, bool *ret_empty);

#endif
