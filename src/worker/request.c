#include "worker/request.h"

#include <arpa/inet.h>
#include <errno.h>

#include "config/config_error.h"
#include "http/method.h"
#include "worker/channel.h"
#include "worker/handlers.h"
#include "worker/open_file.h"
#include "worker/plan.h"
#include "tables/win32.h"
#include "worker/request_core.h"
#include "worker/thread.h"
#include "worker/url_cache.h"

#include "base/poison.h"

size_t request_core_bytes(void)
{
    return sizeof(struct request_core) + registry_count() * sizeof(void *);
}

static bool address_is_loopback(const struct msg_address *a)
{
    static const uint8_t v6[16] = {[15] = 1};

    if (a->is_v4)
        return a->ip[12] == 127;
    return memcmp(a->ip, v6, sizeof(v6)) == 0;
}

void request_begin(struct request_core *c)
{
    struct request *r = &c->r;
    const struct msg_request *head = &r->msg.head;

    r->path = r->msg.path;
    r->query = r->msg.query;
    r->method = r->msg.method;
    r->method_id = head->method_id;
    r->is_head = head->method_id == HTTP_METHOD_HEAD;
    r->is_local = address_is_loopback(&head->remote) ||
                  memcmp(head->remote.ip, head->local.ip, sizeof(head->remote.ip)) == 0;
    r->response.row = &st_200_0_ok;
    r->response.headers_end = &r->response.headers;
    r->response.body_end = &r->response.body;
    for (unsigned i = 0; i < head->n_fields; i++)
        c->known_headers |= UINT64_C(1) << r->msg.fields[i].id;
}

void request_end(struct request_core *c)
{
    struct worker_thread *t = c->r.thread;

    for (struct request_hold *h = c->holds; h; h = h->next) {
        if (h->url)
            url_entry_unref(t->urls, h->url);
        open_file_unref(h->file);
    }
    c->holds = NULL;
    if (c->root.app)
        atomic_fetch_sub_explicit(&c->root.app->running, 1, memory_order_relaxed);
    c->root.app = NULL;
}

/* ---- request headers ------------------------------------------------------------------------ */

static struct str field_value(const struct request *r, const struct msg_field *f)
{
    return str_n(r->msg.bytes + f->value_off, f->value_len);
}

static struct str join(struct request *r, struct str a, struct str sep, struct str b)
{
    char *p = arena_alloc(&r->arena, a.n + sep.n + b.n + 1);

    if (!p)
        return a;
    memcpy(p, a.p, a.n);
    memcpy(p + a.n, sep.p, sep.n);
    memcpy(p + a.n + sep.n, b.p, b.n);
    return str_n(p, a.n + sep.n + b.n);
}

bool request_has_header(const struct request *r, enum http_header_id id)
{
    return request_core_const(r)->known_headers >> id & 1;
}

struct str request_header(struct request *r, enum http_header_id id)
{
    struct str value = STR_NULL;

    if (id == HDR_OTHER || !request_has_header(r, id))
        return value;
    for (unsigned i = 0; i < r->msg.head.n_fields; i++) {
        const struct msg_field *f = &r->msg.fields[i];
        if (f->id != id)
            continue;
        value = value.p ? join(r, value, http_header_separator(id), field_value(r, f))
                        : field_value(r, f);
    }
    return value;
}

struct str request_header_named(struct request *r, struct str name)
{
    enum http_header_id id = http_header_lookup(name);
    struct str value = STR_NULL;

    if (id != HDR_OTHER)
        return request_header(r, id);
    for (unsigned i = 0; i < r->msg.head.n_fields; i++) {
        const struct msg_field *f = &r->msg.fields[i];
        if (f->id != HDR_OTHER || !str_ieq(str_n(r->msg.bytes + f->name_off, f->name_len), name))
            continue;
        value = value.p ? join(r, value, STR(", "), field_value(r, f)) : field_value(r, f);
    }
    return value;
}

/* ---- outcome -------------------------------------------------------------------------------- */

static void note_failure(struct request *r, const struct status_row *row, uint32_t hresult)
{
    r->failure = (struct failure){.row = row,
                                  .hresult = hresult,
                                  .module = r->in_module,
                                  .notification = r->at};
}

enum pipe_rc request_fail(struct request *r, const struct status_row *row, uint32_t hresult,
                          struct str detail)
{
    bool first = r->failure.row == NULL;

    if (hresult == 0)
        hresult = status_hresult(row);
    request_core(r)->frame->failed = true;
    if (first) {
        note_failure(r, row, hresult);
        r->failure.detail = detail.n ? arena_dup(&r->arena, detail) : STR_NULL;
    } else if (r->child_depth == 0) {
        return PIPE_FINISH; /* the first one stays, unless a child's answer takes its place */
    }
    r->response.row = row;
    r->response.win32 = win32_from_hresult(hresult);
    r->response.reason = STR_NULL;
    r->response.prebuilt = STR_NULL;
    response_body_clear(r);
    return PIPE_FINISH;
}

enum pipe_rc request_fail_config(struct request *r, const struct config_error *error)
{
    bool first = r->failure.row == NULL;

    request_fail(r, &st_500_19_config, error->hresult, STR_NULL);
    if (first)
        r->failure.config = error;
    return PIPE_FINISH;
}

void response_status(struct request *r, const struct status_row *row)
{
    r->response.row = row;
    r->response.win32 = 0;
    r->response.reason = STR_NULL;
}

/* ---- response headers ----------------------------------------------------------------------- */

/* Headers that frame the message are the listener's to write. */
static bool is_framing(enum http_header_id id)
{
    return id == HDR_DATE || id == HDR_TRAILER || id == HDR_KEEP_ALIVE ||
           id == HDR_CONTENT_LENGTH || id == HDR_TRANSFER_ENCODING;
}

static bool append_header(struct request *r, enum http_header_id id, struct str name,
                          struct str value)
{
    if (!http_value_is_writable(value) || is_framing(id) ||
        name.n + value.n > MESSAGE_HEADERS_MAX / 2)
        return false;
    if (id == HDR_CONNECTION) {
        if (!http_list_has(value, STR("close")))
            return false;
        r->response.close = true;
        return true;
    }
    struct response_header *h = ARENA_NEW(&r->arena, struct response_header);

    if (!h)
        return false;
    *h = (struct response_header){.id = (uint16_t)id, .name = name, .value = value};
    *r->response.headers_end = h;
    r->response.headers_end = &h->next;
    return true;
}

static void remove_headers(struct request *r, enum http_header_id id, struct str name)
{
    struct response_header **at = &r->response.headers;

    while (*at) {
        struct response_header *h = *at;
        if (id != HDR_OTHER ? h->id == id : h->id == HDR_OTHER && str_ieq(h->name, name))
            *at = h->next;
        else
            at = &h->next;
    }
    r->response.headers_end = at;
}

bool response_header_set(struct request *r, enum http_header_id id, struct str value)
{
    if (id == HDR_OTHER)
        return false;
    remove_headers(r, id, STR_NULL);
    return append_header(r, id, http_header_name(id), value);
}

bool response_header_add(struct request *r, struct str name, struct str value)
{
    if (!http_is_token(name))
        return false;
    return append_header(r, http_header_lookup(name), name, value);
}

void response_header_remove(struct request *r, struct str name)
{
    remove_headers(r, http_header_lookup(name), name);
}

struct str response_header_get(const struct request *r, enum http_header_id id)
{
    for (const struct response_header *h = r->response.headers; h; h = h->next)
        if (h->id == id)
            return h->value;
    /* Lines that a module has prebuilt count as well. */
    struct str lines = r->response.prebuilt, line, name = http_header_name(id);

    while (str_split(&lines, '\n', &line)) {
        size_t colon = str_find_char(line, ':');
        if (colon != SIZE_MAX && str_ieq(str_sub(line, 0, colon), name))
            return str_trim_all(str_sub(line, colon + 1, line.n));
    }
    return STR_NULL;
}

/* ---- response body -------------------------------------------------------------------------- */

void response_body_clear(struct request *r)
{
    r->response.body = NULL;
    r->response.body_end = &r->response.body;
    r->response.body_length = 0;
    r->response.has_body = false;
    r->response.file_of = NULL;
}

static struct body_part *add_part(struct request *r, uint64_t length)
{
    struct body_part *p;

    r->response.has_body = true;
    r->response.file_of = NULL;
    if (length == 0)
        return NULL;
    p = ARENA_NEW(&r->arena, struct body_part);
    if (!p) {
        r->response.abort = true; /* half a body must not look like a whole one */
        return NULL;
    }
    *r->response.body_end = p;
    r->response.body_end = &p->next;
    r->response.body_length += length;
    return p;
}

void response_body_memory(struct request *r, struct str bytes)
{
    struct body_part *p = add_part(r, bytes.n);

    if (p)
        p->memory = bytes;
}

static bool add_hold(struct request *r, struct url_entry *url, struct open_file *file)
{
    struct request_core *c = request_core(r);
    struct request_hold *h = ARENA_NEW(&r->arena, struct request_hold);

    if (!h)
        return false;
    *h = (struct request_hold){.next = c->holds, .url = url, .file = file};
    c->holds = h;
    return true;
}

void response_body_file(struct request *r, struct open_file *file, uint64_t offset, uint64_t length)
{
    if (length == 0 || file->content) {
        /* Still a reference: the content must outlive the entry. */
        response_body_memory(r, str_n(length ? file->content + offset : "", (size_t)length));
        if (length == 0)
            return;
    } else {
        struct body_part *p = add_part(r, length);
        if (!p)
            return;
        p->kind = PART_FILE;
        p->file = file;
        p->offset = offset;
        p->length = length;
    }
    if (add_hold(r, NULL, file))
        open_file_ref(file);
    else
        r->response.abort = true;
}

/* ---- the rest ------------------------------------------------------------------------------- */

bool request_hold_url(struct request *r, struct url_entry *url)
{
    return add_hold(r, url, NULL);
}

const struct url_entry *request_lookup_url(struct request *r, struct str path)
{
    struct url_entry *e = url_cache_get(r->thread->urls, r->msg.head.site_id, path);

    if (e && !add_hold(r, e, NULL)) {
        url_entry_unref(r->thread->urls, e);
        return NULL;
    }
    return e;
}

struct open_file *request_open_file(struct request *r, const char *path, int *ret_errno)
{
    struct open_file *f = open_file_new(path);

    if (!f) {
        *ret_errno = errno;
        return NULL;
    }
    if (!add_hold(r, NULL, f)) {
        *ret_errno = ENOMEM;
        return open_file_unref(f);
    }
    return f;
}

void *request_module_state(struct request *r, size_t size)
{
    void **slot = &r->module_state[r->in_module_index];

    INVARIANT(r->in_module != NULL);
    if (!*slot)
        *slot = arena_zalloc(&r->arena, size);
    return *slot;
}

bool request_read_body(struct request *r, request_body_fn cb, void *arg)
{
    struct request_core *c = request_core(r);

    if (!(r->msg.head.flags & MSGF_HAS_BODY) || c->body_told_end || c->body_cb)
        return false;
    c->body_cb = cb;
    c->body_arg = arg;
    channel_read_body(c);
    return true;
}

bool request_ask_certificate(struct request *r, request_certificate_fn cb, void *arg)
{
    struct request_core *c = request_core(r);

    if (!(r->msg.head.flags & MSGF_CERT_ASKABLE) || c->cert_asked || c->aborted ||
        (!c->body_end && (r->msg.head.content_length < 0 || c->body_granted || c->body.n ||
                          r->msg.head.content_length > CHANNEL_READ_AHEAD_MAX)))
        return false;
    c->cert_cb = cb;
    c->cert_arg = arg;
    c->cert_asked = true;
    channel_ask_certificate(c);
    return true;
}

struct str request_physical_path(const struct request *r)
{
    return r->url ? r->url->physical : STR_NULL;
}

/* ---- the server's own name ------------------------------------------------------------------ */

static struct str local_address(struct request *r)
{
    const struct msg_address *a = &r->msg.head.local;
    char text[INET6_ADDRSTRLEN];
    const char *z = inet_ntop(a->is_v4 ? AF_INET : AF_INET6, a->is_v4 ? a->ip + 12 : a->ip, text,
                              sizeof(text));

    if (!z)
        return STR_NULL;
    return arena_printf(&r->arena, a->is_v4 ? "%s" : "[%s]", z);
}

bool request_trace_enabled(const struct request *r)
{
    return r->thread->worker->trace_enabled;
}

struct str request_base_url(struct request *r)
{
    bool tls = r->msg.head.flags & MSGF_TLS;
    const char *scheme = tls ? "https" : "http";
    struct str alternate = r->url ? r->url->plan->alternate_host_name : STR_NULL;
    struct str host = request_header(r, HDR_HOST);

    if (alternate.n) {
        host = alternate;
    } else if (host.n && str_istarts(host, r->msg.host) &&
               (host.n == r->msg.host.n || host.p[r->msg.host.n] == ':')) {
        return arena_printf(&r->arena, "%s://%.*s", scheme, STR_ARG(host));
    } else {
        host = r->msg.host; /* absolute-form: it counts, whatever the header says */
    }
    if (!host.n)
        host = local_address(r);
    uint16_t port = r->msg.head.local.port;

    if (port == (tls ? 443 : 80))
        return arena_printf(&r->arena, "%s://%.*s", scheme, STR_ARG(host));
    return arena_printf(&r->arena, "%s://%.*s:%u", scheme, STR_ARG(host), port);
}
