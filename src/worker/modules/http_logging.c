/* HttpLoggingModule: decides whether a request is logged, and gives the listener, which writes the
 * log, the values of custom fields that only a worker knows (server variables). */
#include "worker/modules/modules.h"

#include "config/config.h"
#include "worker/modules/server_variables.h"
#include "worker/modules/text.h"

#include "base/poison.h"

enum selective { LOG_ALL, LOG_SUCCESSFUL, LOG_ERROR };

/* Bytes of all custom fields together; the log's own limit is the same. */
enum { FIELDS_MAX = 64 * 1024 };

struct logging_conf {
    bool dont_log;
    enum selective selective;
    const struct config_custom_field *fields; /* of the site */
    size_t n_fields;
    bool has_variables; /* one of them is a server variable */
};

static const void *load_conf(const struct config_node *node, struct arena *a,
                             const struct config_error **ret_error)
{
    const struct config_elem *e = config_section(node, "system.webServer/httpLogging", ret_error);
    const struct config_site *site = config_node_site(node);

    if (!e)
        return NULL;
    struct logging_conf *c = ARENA_NEW(a, struct logging_conf);

    c->dont_log = config_bool(e, "dontLog");
    c->selective = (enum selective)config_enum(e, "selectiveLogging");
    if (!site)
        return c;
    /* Part of the configuration that the node keeps alive. */
    c->fields = site->log.custom_fields;
    c->n_fields = site->log.n_custom_fields;
    for (size_t i = 0; i < c->n_fields; i++)
        c->has_variables |= c->fields[i].source_type == CONFIG_FIELD_SERVER_VARIABLE;
    return c;
}

/* "name=value" lines. A value must stay on its line; the log writer escapes the rest. */
static struct str collect_fields(struct request *r, const struct logging_conf *c)
{
    _cleanup_buf_ struct buf b = {0};

    buf_init(&b, FIELDS_MAX);
    for (size_t i = 0; i < c->n_fields; i++) {
        const struct config_custom_field *f = &c->fields[i];

        if (f->source_type != CONFIG_FIELD_SERVER_VARIABLE)
            continue;
        struct str value = server_variable(r, f->source_name);
        size_t mark = b.n;

        buf_str(&b, f->source_name);
        buf_char(&b, '=');
        for (size_t k = 0; k < value.n; k++)
            buf_char(&b, (unsigned char)value.p[k] < ' ' ? '+' : value.p[k]);
        buf_char(&b, '\n');
        if (b.overflow) {
            b.n = mark;
            b.overflow = false;
        }
    }
    return text_keep(r, &b);
}

static enum pipe_rc on_log(struct request *r, const void *conf)
{
    const struct logging_conf *c = conf;
    bool is_error = r->response.row && r->response.row->status >= 400;

    if (c->dont_log || (c->selective == LOG_SUCCESSFUL && is_error) ||
        (c->selective == LOG_ERROR && !is_error))
        r->response.no_log = true;
    else if (c->has_variables)
        r->response.log_fields = collect_fields(r, c);
    return PIPE_CONTINUE;
}

const struct module mod_http_logging = {
    .name = "HttpLoggingModule",
    .load_conf = load_conf,
    .hooks = {[N_LOG_REQUEST] = {on_log, PRI_MEDIUM}},
    .same_for_all = true,
};
