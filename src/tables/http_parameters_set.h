/* Changing one parameter, for the reader of registry exports alone. */
#ifndef CANDOR_TABLES_HTTP_PARAMETERS_SET_H
#define CANDOR_TABLES_HTTP_PARAMETERS_SET_H

#include "tables/http_parameters.h"

void http_parameter_reset(const struct http_parameter *row, struct http_parameters *p);
/* False, and nothing changed, if the value is out of range or the parameter is a text. */
MUST_CHECK bool http_parameter_set_number(const struct http_parameter *row,
                                          struct http_parameters *p, uint64_t value);
/* False, and nothing changed, if the parameter is a number or the text is no full path. */
MUST_CHECK bool http_parameter_set_text(const struct http_parameter *row, struct http_parameters *p,
                                        struct str value);

#endif
