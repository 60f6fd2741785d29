/* ProtocolSupportModule: system.webServer/httpProtocol (headers of the administrator, keep-alive),
 * and the methods OPTIONS and TRACE. TRACE answers 501 unless enableTraceMethod (our attribute; IIS
 * has a registry value of that name) switches it on. */
#include "worker/modules/modules.h"

#include "config/config.h"
#include "http/method.h"
#include "worker/modules/server_variables.h"
#include "worker/modules/text.h"

#include "base/poison.h"

#define METHODS "OPTIONS, TRACE, GET, HEAD, POST"

/* Bytes of a request head sent back: more than the listener lets in by default. */
enum { ECHO_MAX = 128 * 1024 };

struct header_line {
    struct str name, value;
};

struct header_lines {
    struct header_line *items;
    size_t n;
};

struct protocol_conf {
    bool allow_keep_alive, enable_trace;
    struct header_lines custom, redirect;
};

/* Lines that could not be sent are left out: framing is the listener's, and a name must be one. */
static bool is_sendable(struct header_line line, struct arena *a)
{
    struct str block = arena_printf(a, "%.*s: %.*s\r\n", STR_ARG(line.name), STR_ARG(line.value));

    return http_is_token(line.name) && http_value_is_writable(line.value) &&
           message_header_block_ok(block);
}

static struct header_lines load_lines(const struct config_elem *list, struct arena *a)
{
    size_t n = config_n_items(list);
    struct header_lines lines = {arena_zalloc(a, n * sizeof(*lines.items)), 0};

    for (size_t i = 0; i < n; i++) {
        const struct config_elem *item = config_item(list, i);
        struct header_line line = {config_str(item, "name"), config_str(item, "value")};

        if (is_sendable(line, a))
            lines.items[lines.n++] = line;
    }
    return lines;
}

static const void *load_conf(const struct config_node *node, struct arena *a,
                             const struct config_error **ret_error)
{
    const struct config_elem *e = config_section(node, "system.webServer/httpProtocol", ret_error);

    if (!e)
        return NULL;
    struct protocol_conf *c = ARENA_NEW(a, struct protocol_conf);

    c->allow_keep_alive = config_bool(e, "allowKeepAlive");
    c->enable_trace = config_bool(e, "enableTraceMethod");
    c->custom = load_lines(config_child(e, "customHeaders"), a);
    c->redirect = load_lines(config_child(e, "redirectHeaders"), a);
    return c;
}

/* A header that may stand once only takes the administrator's value. */
static void add_lines(struct request *r, const struct header_lines *lines)
{
    for (size_t i = 0; i < lines->n; i++) {
        const struct header_line *line = &lines->items[i];
        enum http_header_id id = http_header_lookup(line->name);

        if (id != HDR_OTHER && http_header_is_single(id))
            (void)response_header_set(r, id, line->value);
        else
            (void)response_header_add(r, line->name, line->value);
    }
}

static enum pipe_rc on_send(struct request *r, const void *conf)
{
    const struct protocol_conf *c = conf;

    add_lines(r, &c->custom);
    if (c->redirect.n && r->response.row && r->response.row->status / 100 == 3 &&
        response_header_get(r, HDR_LOCATION).n > 0)
        add_lines(r, &c->redirect);
    if (!c->allow_keep_alive)
        r->response.close = true;
    return PIPE_CONTINUE;
}

static enum pipe_rc execute_options(struct request *r)
{
    response_status(r, &st_200_0_ok);
    (void)response_header_set(r, HDR_ALLOW, STR(METHODS));
    (void)response_header_add(r, STR("Public"), STR(METHODS));
    response_body_memory(r, STR(""));
    return PIPE_FINISH;
}

/* RFC 9110 section 9.3.8: fields that are likely to be secret stay out of the echo. */
static bool is_secret(uint16_t id)
{
    return id == HDR_AUTHORIZATION || id == HDR_PROXY_AUTHORIZATION || id == HDR_COOKIE;
}

static enum pipe_rc execute_trace(struct request *r)
{
    _cleanup_buf_ struct buf b = {0};

    buf_init(&b, ECHO_MAX);
    buf_str(&b, r->msg.method);
    buf_char(&b, ' ');
    buf_str(&b, r->msg.raw_target);
    buf_char(&b, ' ');
    buf_str(&b, server_variable(r, STR("SERVER_PROTOCOL")));
    buf_str(&b, STR("\r\n"));
    for (uint16_t i = 0; i < r->msg.head.n_fields; i++) {
        const struct msg_field *f = &r->msg.fields[i];

        if (is_secret(f->id))
            continue;
        buf_append(&b, r->msg.bytes + f->name_off, f->name_len);
        buf_str(&b, STR(": "));
        buf_append(&b, r->msg.bytes + f->value_off, f->value_len);
        buf_str(&b, STR("\r\n"));
    }
    buf_str(&b, STR("\r\n"));
    struct str echo = text_keep(r, &b);

    if (echo.n == 0)
        return request_fail(r, &st_500_0_module_error, 0x8007000e, STR("TRACE"));
    response_status(r, &st_200_0_ok);
    (void)response_header_set(r, HDR_CONTENT_TYPE, STR("message/http"));
    response_body_memory(r, echo);
    return PIPE_FINISH;
}

static enum pipe_rc execute(struct request *r, const void *conf)
{
    const struct protocol_conf *c = conf;

    if (r->method_id == HTTP_METHOD_OPTIONS)
        return execute_options(r);
    if (r->method_id == HTTP_METHOD_TRACE && (c->enable_trace || request_trace_enabled(r)))
        return execute_trace(r);
    return request_fail(r, &st_501_0_not_implemented, 0, r->method);
}

/* Before CustomErrorModule, so that a fault in httpProtocol still gets its page. */
const struct module mod_protocol_support = {
    .name = "ProtocolSupportModule",
    .load_conf = load_conf,
    .hooks = {[N_SEND_RESPONSE] = {on_send, PRI_LAST}},
    .execute = execute,
    .same_for_all = true,
};
