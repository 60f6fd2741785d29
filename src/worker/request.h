/* One request on its way through the pipeline: what modules see. A request belongs to one worker
 * thread from its first to its last instruction; everything hanging off it lives in its arena or in
 * the URL entry it holds. */
#ifndef CANDOR_WORKER_REQUEST_H
#define CANDOR_WORKER_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "http/headers.h"
#include "queue/message.h"
#include "tables/status.h"

struct cache_conf;
struct cache_exclusion;
struct config_elem;
struct config_error;
struct config_node;
struct handler_mapping;
struct module;
struct open_file;
struct url_entry;
struct worker_thread;

enum notification {
    N_BEGIN_REQUEST,
    N_AUTHENTICATE_REQUEST,
    N_AUTHORIZE_REQUEST,
    N_RESOLVE_REQUEST_CACHE,
    N_MAP_REQUEST_HANDLER,
    N_ACQUIRE_REQUEST_STATE,
    N_PRE_EXECUTE_REQUEST_HANDLER,
    N_EXECUTE_REQUEST_HANDLER,
    N_RELEASE_REQUEST_STATE,
    N_UPDATE_REQUEST_CACHE,
    N_LOG_REQUEST,
    N_END_REQUEST,
    N_SEND_RESPONSE,
    N_COUNT,
};

/* A hook's answer. FINISH skips to LogRequest and the response; PENDING: the module will call
 * request_resume on the same thread. */
enum pipe_rc { PIPE_CONTINUE, PIPE_FINISH, PIPE_PENDING };

enum body_part_kind { PART_MEMORY, PART_FILE };

/* Memory parts must live as long as the request (arena, URL entry, constants). */
struct body_part {
    struct body_part *next;
    enum body_part_kind kind;
    struct str memory;
    struct open_file *file; /* referenced for the request's lifetime */
    uint64_t offset, length;
};

struct response_header {
    struct response_header *next;
    uint16_t id; /* enum http_header_id or 0 */
    struct str name, value;
};

/* What will be sent. Status, sub-status and win32 change only through request_fail and
 * response_status, so that every code in the log can be traced to a row of the catalogue. */
struct response {
    const struct status_row *row;
    uint32_t win32;
    struct str reason;                 /* empty: the row's phrase */
    struct response_header *headers, **headers_end;
    struct str prebuilt;               /* "Name: value\r\n" lines sent before `headers` */
    struct body_part *body, **body_end;
    uint64_t body_length;
    bool has_body;                     /* a body was set, even an empty one */
    bool skip_custom_errors;           /* TrySkipCustomErrors */
    bool no_log, close, abort;         /* abort: reset the connection, AbortRequest */
    bool needs_http11;                 /* HTTP/2: to be asked again by HTTP/1.1 */
    struct url_entry *file_of;         /* whose file the body is, whole; NULL: it is not */
    const struct cache_conf *cache;    /* of HttpCacheModule; NULL: it had no part in the answer */
    const struct cache_exclusion *cache_exclusion; /* why the answer is not offered to the cache */
    uint32_t cache_seconds;            /* the listener may give the answer again so long; 0: not */
    struct str log_fields;             /* "NAME=value\n" lines: custom log fields */
    bool sent;                         /* head handed to the listener */
};

/* The first failure; later ones are recorded in the trace only. */
struct failure {
    const struct status_row *row;      /* NULL: none */
    uint32_t hresult;
    struct str detail;                 /* for local readers and trace, never for remote clients */
    const struct module *module;       /* NULL: IIS Web Core */
    enum notification notification;
    const struct config_error *config; /* 500.19: what was wrong in which file */
};

struct request {
    struct arena arena;
    struct worker_thread *thread;
    uint64_t ring_id;                  /* names the request on the ring */
    struct request_message msg;        /* as it came; views into the arena */

    /* The URL being worked on: the request's own, or a child request's (default document, custom
     * error). path is cooked, query raw without '?'. */
    struct str path, query;
    struct str method;                 /* the client's; a child request may have another one */
    uint8_t method_id;                 /* enum http_method */
    struct url_entry *url;             /* metadata of path: configuration node, file, handlers */
    const struct handler_mapping *handler;
    struct str path_info;
    bool dynamic_content;              /* a script handler fits but for its preCondition */
    unsigned child_depth;

    struct str auth_type, user;        /* empty user and authenticated: anonymous */
    bool authenticated;
    bool is_local;                     /* loopback, or peer address = own address */
    bool is_head;
    /* What requestFiltering allows a body to have; 0: no limit set. A body whose length was sent
     * has been checked against it; who reads a chunked one compares as bytes come. */
    uint64_t body_limit;

    enum notification at;              /* where the pipeline is */
    const struct module *in_module;
    unsigned in_module_index;          /* its place in the registry */
    struct response response;
    struct failure failure;
    void *module_state[];              /* zeroed, by module index, allocated on demand */
};

/* First value of the header, empty view if absent. Lists sent as several lines are joined with
 * ", " (Cookie: "; ") in the arena. */
struct str request_header(struct request *r, enum http_header_id id);
struct str request_header_named(struct request *r, struct str name);
bool request_has_header(const struct request *r, enum http_header_id id);

/* The one way to fail a request: names a row of the catalogue. Sets status, sub-status, win32 (from
 * hresult, or the row's default when 0), drops any body, and returns PIPE_FINISH. detail is data
 * for a local reader; it is copied. */
enum pipe_rc request_fail(struct request *r, const struct status_row *row, uint32_t hresult,
                          struct str detail);
/* 500.19 with everything the page needs. error lives as long as the request's configuration. */
enum pipe_rc request_fail_config(struct request *r, const struct config_error *error);

/* A deliberate answer that is not a failure (200, 206, 301, 304 …). */
void response_status(struct request *r, const struct status_row *row);

/* name and value must live as long as the request; values with CR, LF or NUL are refused
 * (false). */
bool response_header_set(struct request *r, enum http_header_id id, struct str value);
bool response_header_add(struct request *r, struct str name, struct str value);
void response_header_remove(struct request *r, struct str name);
struct str response_header_get(const struct request *r, enum http_header_id id);

void response_body_clear(struct request *r);
void response_body_memory(struct request *r, struct str bytes);
void response_body_file(struct request *r, struct open_file *file, uint64_t offset,
                        uint64_t length);

/* Continues a request whose hook answered PIPE_PENDING. */
void request_resume(struct request *r, enum pipe_rc rc);

/* Runs another URL of the same site inside this request (default document, ExecuteURL): its own
 * configuration, authentication, handler; the log keeps the original URL. Return its result at
 * once: a child that waits answers PIPE_PENDING, and the runner goes on for the caller when it
 * is done. While the child runs, child_depth is above 0. request_execute_get does the same as a
 * GET without body, whatever the client's method (HEAD stays HEAD); Range, Accept and conditions
 * of the client do not count for it. */
enum pipe_rc request_execute_url(struct request *r, struct str path, struct str query);
enum pipe_rc request_execute_get(struct request *r, struct str path, struct str query);

/* What the site has at a cooked path, through the same cache as requests (a system call only if
 * it is not known yet): struct url_entry of worker/url_cache.h, held until the request ends.
 * NULL if the path cannot name anything. Nothing of the pipeline runs. */
const struct url_entry *request_lookup_url(struct request *r, struct str path);

/* Opens a file by its real path, held until the request ends. NULL with *ret_errno. */
struct open_file *request_open_file(struct request *r, const char *path, int *ret_errno);

/* The running module's own memory for this request, zeroed when first asked for. NULL if the
 * request's memory is used up. */
void *request_module_state(struct request *r, size_t size);

/* Asks for more of the request's body. Later, on the same thread and never from inside this
 * call, cb gets what came: a view valid during the call, end with the last one. After an abort
 * or a broken body it is called once with failed set. One callback at a time; false if the body
 * is at its end or the request has none. The usual pattern is to answer PIPE_PENDING and to
 * request_resume from cb. */
typedef void (*request_body_fn)(struct request *r, void *arg, struct str bytes, bool end,
                                bool failed);
bool request_read_body(struct request *r, request_body_fn cb, void *arg);

/* Asks the client for its certificate. Later, on the same thread and never from inside this call,
 * cb finds in r->msg.client_cert and r->msg.head.tls.verdict what the client chose to send; also
 * when the client has gone (response.abort). A body is taken first and kept. False: the client
 * cannot be asked, or has been, or the body is too long to keep or has been asked for. */
typedef void (*request_certificate_fn)(struct request *r, void *arg);
bool request_ask_certificate(struct request *r, request_certificate_fn cb, void *arg);

/* scheme://host[:port] of this server as the client named it (serverRuntime/alternateHostName,
 * Host, else the local address), in the arena. */
struct str request_base_url(struct request *r);

/* The HTTP parameters switch TRACE on for the whole server (EnableTraceMethod). */
bool request_trace_enabled(const struct request *r);

/* Site, application and physical path of the URL at hand. */
struct str request_physical_path(const struct request *r);

#endif
