/* From struct response to records on the ring. */
#ifndef CANDOR_WORKER_RESPONSE_SEND_H
#define CANDOR_WORKER_RESPONSE_SEND_H

#include <stddef.h>

#include "queue/ring.h"

struct channel;
struct request_core;
struct response;

/* Where records go. */
struct response_sink {
    struct ring ring;
    int files;               /* socket over which open files are handed to the listener */
    uint32_t last_handle;
    struct channel *channel; /* whose handles these are */
};

enum send_result {
    SEND_CLOSED, /* the closing record is out */
    SEND_FULL,   /* no room on the ring */
    SEND_CREDIT, /* memory bytes must wait for credit */
};

/* Bytes of the response's header lines; above MESSAGE_HEADERS_MAX it cannot be sent. */
size_t response_headers_bytes(const struct response *rs);

/* Continues where the last call stopped. Nothing is lost or sent twice whatever it returns. */
enum send_result response_send(struct response_sink *s, struct request_core *core);

#endif
