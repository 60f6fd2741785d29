/* What one finished request offers to the logs. All views need live only during the call. */
#ifndef CANDOR_LOGGING_LOG_RECORD_H
#define CANDOR_LOGGING_LOG_RECORD_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/str.h"
#include "logging/log_settings.h"

enum { LOG_ADDR_TEXT_MAX = 64 };

/* An end point, turned into text once per connection rather than once per line. */
struct log_addr {
    struct str text; /* "192.0.2.1", "fe80::1%2"; trusted, written as it is; empty gives "-" */
    uint16_t port;   /* 0 gives "-" */
};

/* Text and port of an AF_INET or AF_INET6 address; the text lies in out and ret->text looks into
 * it. IPv4-mapped addresses are written as IPv4, link-local ones with their zone number. Any other
 * family gives an empty text and port 0. */
void log_addr_set(struct log_addr *ret, char out[LOG_ADDR_TEXT_MAX], const struct sockaddr *sa);

struct log_record {
    int64_t wall_us; /* when the response was complete: clock_wall_us */
    uint64_t time_taken_ms;
    uint64_t bytes_sent, bytes_received;
    uint32_t win32;
    uint16_t status, substatus;
    struct log_addr server, client;
    struct str method;
    struct str version; /* HTTP/1.1, HTTP/2.0 */
    struct str stem;    /* decoded path as requested, UTF-8; before any rewriting */
    struct str query;   /* as sent, without the question mark */
    struct str user, user_agent, cookie, referer, host;
    /* Asked once for each of the site's custom fields, on the calling thread, while the line is
     * written; the view must live until logging_site returns. NULL: all custom fields are "-". */
    struct str (*custom_value)(void *arg, const struct log_custom_field *f);
    void *custom_arg;
};

/* One line of HTTPERR: a request that got no further than the listener, or a connection that
 * ended without one. What was not parsed stays empty (or 0) and is written as "-". */
struct log_httperr_record {
    int64_t wall_us;
    uint64_t time_taken_ms;
    uint64_t bytes_sent, bytes_received;
    struct log_addr server, client;
    struct str version; /* HTTP/?.? is the caller's to choose */
    struct str method;
    struct str uri;   /* cooked path, or the raw bytes when it could not be cooked */
    struct str query; /* without the question mark */
    struct str user_agent, cookie, referer, host;
    struct str reason;     /* s-reason; never empty */
    struct str queue_name; /* application pool; empty before routing */
    struct str transport;  /* TCP, TLS, QUIC; used by the current columns only */
    uint32_t stream_id;    /* HTTP/2 stream; 0: none */
    uint32_t site_id;      /* 0: not routed */
    uint16_t status;       /* 0: none was sent */
};

#endif
