/* The headers that every response gets last: Server, and for those who may know it the exact
 * code of an error. */
#ifndef CANDOR_WORKER_ERROR_HEADER_H
#define CANDOR_WORKER_ERROR_HEADER_H

#include "worker/request.h"

struct plan;

/* Adds them to r's response; one whose headers are too many to be sent becomes a 500.0. plan is the
 * one of the client's URL, NULL if there is none. */
void response_finish_headers(struct request *r, const struct plan *plan);

#endif
