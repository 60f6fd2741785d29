/* Server variables as CGI, custom log fields and rewrite rules name them. */
#ifndef CANDOR_WORKER_MODULES_SERVER_VARIABLES_H
#define CANDOR_WORKER_MODULES_SERVER_VARIABLES_H

#include "worker/request.h"

/* The value of a variable (its name in any letter case) for the request as it stands now: URL,
 * PATH_INFO and their like follow child requests and rewrites, UNENCODED_URL does not. HTTP_X_Y is
 * the request header X-Y, RESPONSE_X_Y the response header, RESPONSE_STATUS the status. Empty for
 * an unknown name and for what the request does not have. The value lives as long as the request;
 * AUTH_PASSWORD is always empty, so that no log or rule can hold it. */
struct str server_variable(struct request *r, struct str name);

#endif
