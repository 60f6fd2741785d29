/* What travels on the ring between a listener thread and a worker thread. One pair of rings joins
 * listener thread i to worker thread i. All structs are plain bytes in host order: both ends are
 * the same binary. The version is checked once, when the worker attaches.
 *
 * For every MSG_REQUEST the worker sends exactly one closing record: one that carries MSG_END
 * (response, body, file, end) or MSG_RESPONSE_RESET. That holds after MSG_REQUEST_ABORT too: the
 * worker stops its work and answers with MSG_RESPONSE_RESET (a closing record that crossed the
 * abort on its way is the answer as well). Only then is the id free for another request. */
#ifndef CANDOR_QUEUE_MESSAGE_H
#define CANDOR_QUEUE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "http/headers.h"

enum { MESSAGE_VERSION = 4 };

/* Bytes of response body that a worker may have under way before the listener grants more. */
enum { RESPONSE_CREDIT = 256 * 1024 };
/* The request body works the other way round: the listener sends no byte of it before the worker
 * has asked with MSG_BODY_WANTED, so that a request not yet taken can go to another worker. */

enum { RING_REQUEST_BYTES = 512 * 1024, RING_RESPONSE_BYTES = 1024 * 1024 };
/* The most that one record carries. */
enum {
    MESSAGE_HEADERS_MAX = 64 * 1024,
    MESSAGE_BODY_MAX = 64 * 1024,
    MESSAGE_USER_MAX = 1024,
    MESSAGE_LOG_MAX = 64 * 1024,
    MESSAGE_REASON_MAX = 512,
    MESSAGE_REQUEST_MAX = 12 * 1024 * 1024, /* a worker keeps one whole: with field table and paths */
    MESSAGE_FIELDS_MAX = 65535,
};

enum message_type {
    /* listener to worker */
    MSG_REQUEST = 1,      /* struct msg_request + header table + bytes; flags MSG_END: no body */
    MSG_REQUEST_BODY,     /* bytes; MSG_END on the last */
    MSG_REQUEST_ABORT,    /* no payload: nobody waits any more; still needs its closing record */
    MSG_CREDIT,           /* struct msg_amount: response bytes that left, to add to the credit */
    MSG_CLIENT_CERT,      /* struct msg_client_cert + DER: the answer to MSG_CLIENT_CERT_WANTED */
    /* worker to listener */
    MSG_RESPONSE = 32,    /* struct msg_response + header block + user + body bytes; MSG_END */
    MSG_RESPONSE_BODY,    /* bytes; MSG_END on the last */
    MSG_RESPONSE_FILE,    /* struct msg_file; MSG_END on the last */
    MSG_RESPONSE_END,     /* struct msg_end: end of the body, known win32 */
    MSG_RESPONSE_RESET,   /* struct msg_end: close the connection without (further) answer */
    MSG_BODY_WANTED,      /* struct msg_amount: so many more request body bytes may come */
    MSG_FILE_CLOSE,       /* struct msg_amount: the handle is no longer used */
    MSG_CLIENT_CERT_WANTED, /* no payload: ask the client for its certificate now; once a request */
    MSG_CACHE_FLUSH,      /* struct msg_flush + path; id 0: it belongs to no request */
};

enum { MSG_END = 1 };

/* Addresses: IPv4 as v4-mapped. Ports in host order. */
struct msg_address {
    uint8_t ip[16];
    uint32_t scope;
    uint16_t port;
    uint16_t is_v4;
};

/* A header of the request; offsets into the message's bytes. */
struct msg_field {
    uint32_t name_off, value_off, value_len;
    uint16_t name_len, id; /* enum http_header_id, 0: not a known one */
};

struct msg_span {
    uint32_t off, len;
};

/* What became of a client certificate (403.7, 403.16, 403.17, 403.13). */
enum client_cert_verdict {
    CLIENT_CERT_NONE, /* none was sent */
    CLIENT_CERT_GOOD,
    CLIENT_CERT_UNTRUSTED,
    CLIENT_CERT_OUT_OF_DATE, /* expired or not yet valid */
    CLIENT_CERT_REVOKED,
    CLIENT_CERT_REVOCATION_UNKNOWN, /* the binding asks for a check; no list, no answer */
    /* Only in MSG_CLIENT_CERT: so many bytes came before it that it was not waited for (413). */
    CLIENT_CERT_TOO_MUCH,
};

/* The TLS connection of a request; version 0: there is none. */
struct msg_tls {
    uint16_t version;     /* as on the wire: 0x0303 is TLS 1.2 */
    uint16_t cipher_bits; /* key size of the symmetric cipher */
    uint16_t key_bits;    /* of the server's certificate */
    uint16_t verdict;     /* enum client_cert_verdict */
    struct msg_span cipher, server_name, client_cert; /* client_cert: DER */
};

enum msg_request_flags {
    MSGF_TLS = 1,
    MSGF_HAS_BODY = 2,     /* content_length says how long, -1: chunked */
    MSGF_KEEP_ALIVE = 4,
    MSGF_EXPECT_CONTINUE = 8,
    MSGF_CERT_ASKABLE = 16, /* MSG_CLIENT_CERT_WANTED can succeed on this connection */
};

struct msg_request {
    uint32_t site_id, flags;
    uint64_t request_id;     /* of this server run; shown as X-Candor-Error id */
    uint64_t generation;     /* of the listener's configuration */
    int64_t content_length;  /* -1: chunked */
    int64_t begin_wall_us;   /* first byte */
    struct msg_address remote, local;
    struct msg_span method, raw_target, path, query, host; /* path: cooked, decoded UTF-8 */
    uint16_t n_fields;
    uint8_t method_id;       /* enum http_method_id */
    uint8_t major, minor;    /* of the HTTP version */
    uint8_t unused[3];
    uint32_t n_bytes;        /* of the blob behind the table */
    struct msg_tls tls;
};

enum msg_response_flags {
    MSGR_LENGTH = 1,     /* content_length is the length of the whole body */
    MSGR_CLOSE = 2,      /* close the connection after the response */
    MSGR_NO_LOG = 4,     /* httpLogging dontLog / selectiveLogging */
    MSGR_NO_BODY = 8,    /* nothing follows the head (304, 204, HEAD with MSGR_LENGTH) */
    MSGR_CACHE = 16,     /* may be given again for cache_seconds, until MSG_CACHE_FLUSH */
    MSGR_HTTP11 = 32,    /* HTTP/2: the request has to come again by HTTP/1.1 (HTTP_1_1_REQUIRED) */
};

struct msg_response {
    uint16_t status, substatus;
    uint16_t flags;
    uint16_t reason_len;
    uint32_t win32;
    uint32_t headers_len;    /* "Name: value\r\n" lines; no framing headers, no Date */
    uint32_t user_len;       /* for the log */
    uint32_t log_len;        /* custom log fields: "name=value\n" lines (ServerVariable sources) */
    uint32_t body_len;       /* inline bytes */
    uint32_t cache_seconds;  /* with MSGR_CACHE; UINT32_MAX: until it is flushed */
    int64_t content_length;
    /* then: reason, headers, user, log, body */
};

struct msg_file {
    uint64_t offset, length;
    uint32_t handle, unused;
};

struct msg_amount {
    uint64_t amount; /* bytes, or a handle */
};

struct msg_end {
    uint32_t win32;
    uint32_t unused;
};

struct msg_client_cert {
    uint32_t verdict; /* enum client_cert_verdict */
    uint32_t der_len;
};

enum msg_flush_flags { FLUSH_SUBTREE = 1 };

/* Answers of this worker that must not be given again. A worker thread flushes what went over its
 * own ring, so a flush never overtakes the answer it is about. */
struct msg_flush {
    uint32_t site_id; /* 0: everything that this worker has offered */
    uint32_t flags;
    uint32_t path_len; /* the cooked path as in the request */
    uint32_t unused;
};

/* A request as decoded: views into bytes that the worker owns (they were copied out of the
 * ring). */
struct request_message {
    struct msg_request head;
    const struct msg_field *fields;
    struct str method, raw_target, path, query, host;
    struct str tls_cipher, tls_server_name, client_cert;
    const char *bytes;
};

/* Checks every offset and count of a MSG_REQUEST record that has been copied to data[0, n) (16-byte
 * aligned). Views in *ret point into data. False: malformed. */
MUST_CHECK bool message_decode_request(const void *data, size_t n, struct request_message *ret);

/* Checks the fixed part of a MSG_RESPONSE record (copied out of the ring) against the record's
 * length: counts, flags, status. On true the parts follow it in the order of struct msg_response
 * and fill the record exactly. */
MUST_CHECK bool message_response_ok(const struct msg_response *head, uint32_t record_len);
/* A reason phrase, copied out of the ring: no control characters. */
bool message_reason_ok(struct str reason);
/* Header lines, copied out of the ring: token names, CRLF ends, no CR, LF or NUL inside, and none
 * of the headers that frame a message or that the listener alone writes. */
bool message_header_block_ok(struct str block);

#endif
