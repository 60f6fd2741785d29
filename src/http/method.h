/* Request methods that HTTP.sys knows by number. Every other token is a legal method too. */
#ifndef CANDOR_HTTP_METHOD_H
#define CANDOR_HTTP_METHOD_H

#include "base/str.h"

#define HTTP_METHODS(X)                                                                            \
    X(GET)                                                                                         \
    X(HEAD)                                                                                        \
    X(POST)                                                                                        \
    X(PUT)                                                                                         \
    X(DELETE)                                                                                      \
    X(OPTIONS)                                                                                     \
    X(TRACE)                                                                                       \
    X(CONNECT)                                                                                     \
    X(TRACK)                                                                                       \
    X(MOVE)                                                                                        \
    X(COPY)                                                                                        \
    X(PROPFIND)                                                                                    \
    X(PROPPATCH)                                                                                   \
    X(MKCOL)                                                                                       \
    X(LOCK)                                                                                        \
    X(UNLOCK)                                                                                      \
    X(SEARCH)

enum http_method {
    HTTP_METHOD_OTHER = 0, /* a token without a number */
#define X(name) HTTP_METHOD_##name,
    HTTP_METHODS(X)
#undef X
    HTTP_METHOD_MAX
};

/* The method of that exact spelling; HTTP_METHOD_OTHER if it has no number. */
enum http_method http_method_lookup(struct str name);
/* The same without regard to letter case: what "get" would be if it were spelled right. */
enum http_method http_method_ilookup(struct str name);
/* Its name; the empty view for HTTP_METHOD_OTHER. Static storage. */
struct str http_method_name(enum http_method method);

#endif
