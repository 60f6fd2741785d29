#include "worker/modules/static_conf.h"

#include "base/hash.h"
#include "config/config.h"
#include "http/headers.h"

#include "base/poison.h"

/* ---- loading -------------------------------------------------------------------------------- */

static struct static_mime *mime_slot(const struct static_conf *c, struct str extension)
{
    uint64_t at = hash_ibytes(extension.p, extension.n);

    for (;; at++) {
        struct static_mime *m = &c->mime[at & c->mime_mask];
        if (m->extension.n == 0 || str_ieq(m->extension, extension))
            return m;
    }
}

static void load_mime(struct static_conf *c, const struct config_elem *e, struct arena *a)
{
    size_t n = config_n_items(e), slots = 16;

    while (slots < n * 2)
        slots *= 2;
    c->mime = arena_zalloc(a, slots * sizeof(*c->mime));
    c->mime_mask = (uint32_t)(slots - 1);
    for (size_t i = 0; i < n; i++) {
        const struct config_elem *item = config_item(e, i);
        struct str extension = config_str(item, "fileExtension");
        struct str type = config_str(item, "mimeType");
        if (extension.n == 0 || !http_value_is_writable(type))
            continue;
        *mime_slot(c, extension) = (struct static_mime){extension, type};
    }
}

static void load_client_cache(struct static_conf *c, const struct config_elem *e, struct arena *a)
{
    struct str mode = config_enum_name(e, "cacheControlMode");
    struct str custom = config_str(e, "cacheControlCustom"), value = STR_NULL;
    uint64_t max_age_s = config_time_ms(e, "cacheControlMaxAge") / 1000;

    if (str_eq(mode, STR("DisableCache")))
        value = STR("no-cache");
    else if (str_eq(mode, STR("UseMaxAge")))
        value = arena_printf(a, "max-age=%llu", (unsigned long long)max_age_s);
    else if (str_eq(mode, STR("UseExpires")))
        c->expires = config_str(e, "httpExpires");
    if (custom.n && value.n)
        value = arena_printf(a, "%.*s,%.*s", STR_ARG(custom), STR_ARG(value));
    else if (custom.n)
        value = custom;
    /* Line breaks in the file's text must not become header lines. */
    c->cache_control = http_value_is_writable(value) ? value : STR_NULL;
    if (!http_value_is_writable(c->expires))
        c->expires = STR_NULL;
    c->set_etag = config_bool(e, "setEtag");
}

static enum rc load(const struct config_node *n, const struct config_elem *e, struct arena *a,
                    void *out, const struct config_error **ret_err)
{
    struct static_conf *c = out;

    load_mime(c, e, a);
    load_client_cache(c, config_child(e, "clientCache"), a);
    if (config_bool(e, "enableDocFooter")) {
        struct str text = config_str(e, "defaultDocFooter");
        c->footer_is_file = config_bool(e, "isDocFooterFileName");
        c->footer = c->footer_is_file && text.n
                        ? config_real_path(config_node_config(n), a, text, config_node_directory(n))
                        : text;
    }
    return RC_OK;
}

static const struct config_typed_loader loader = {
    .section = "system.webServer/staticContent",
    .size = sizeof(struct static_conf),
    .load = load,
};

const void *static_conf_load(const struct config_node *node, struct arena *a,
                             const struct config_error **ret_error)
{
    return config_typed(node, &loader, ret_error);
}

/* ---- types ---------------------------------------------------------------------------------- */

struct str static_conf_mime(const struct static_conf *c, struct str path)
{
    size_t slash = str_rfind_char(path, '/');
    struct str name = str_sub(path, slash == SIZE_MAX ? 0 : slash + 1, path.n);
    size_t dot = str_rfind_char(name, '.');
    struct str extension = dot == SIZE_MAX ? STR(".") : str_sub(name, dot, name.n);
    struct str type = mime_slot(c, extension)->type;

    return type.n ? type : mime_slot(c, STR(".*"))->type;
}
