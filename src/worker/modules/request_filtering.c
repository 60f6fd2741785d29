/* RequestFilteringModule: refuses requests by their URL, query, method, headers and length before
 * anything else looks at them. IIS does not document the order of its checks; ours is the order in
 * which on_begin makes them, and the first one that fails decides the sub-status.
 * removeServerHeader is not here: whoever writes the header reads it. */
#include "worker/modules/modules.h"

#include "config/config.h"
#include "http/method.h"
#include "worker/modules/name_set.h"
#include "worker/modules/text.h"
#include "worker/url_cache.h"

#include "base/poison.h"

#define SECTION "system.webServer/security/requestFiltering"

/* A string to look for: as written, and with its escapes decoded (the same view if it has none).
 * Both in lower case. */
struct pattern {
    struct str raw, decoded;
};

struct patterns {
    const struct pattern *items;
    size_t n;
};

struct header_limit {
    struct str name;
    enum http_header_id id;
    uint32_t limit;
};

struct verb {
    struct str name;
    bool allowed;
};

struct rule {
    struct str name;
    bool scan_url, scan_query, scan_all, deny_bare_percent;
    const struct str *headers;
    size_t n_headers;
    struct name_set extensions; /* empty: applies to all */
    struct patterns deny;
};

struct filter_conf {
    bool allow_double_escaping, allow_high_bit, unescape_query, modern_codes;
    uint64_t max_content_length, max_url, max_query;
    const struct header_limit *header_limits;
    size_t n_header_limits;
    const struct verb *verbs;
    size_t n_verbs;
    bool allow_unlisted_verbs, allow_unlisted_extensions;
    struct name_set extensions; /* value: allowed */
    struct name_set segments;
    bool dav_enabled;                             /* on the site */
    bool dav_verbs, dav_extensions, dav_segments; /* applyToWebDAV */
    struct name_set allowed_urls, allowed_queries;
    struct patterns url_sequences, query_sequences;
    const struct rule *rules;
    size_t n_rules;
};

/* ---- configuration ------------------------------------------------------------------------- */

static struct patterns load_patterns(const struct config_elem *list, const char *attr,
                                     struct arena *a)
{
    size_t n = config_n_items(list);
    struct pattern *items = arena_zalloc(a, n * sizeof(*items));

    for (size_t i = 0; i < n; i++) {
        items[i].raw = text_lower(a, config_str(config_item(list, i), attr));
        items[i].decoded = text_lower(a, text_unescape(a, items[i].raw));
    }
    return (struct patterns){items, n};
}

/* A set of one attribute of a list's items; flag names a boolean that becomes the value. */
static struct name_set load_names(const struct config_elem *list, const char *attr,
                                  const char *flag, struct arena *a)
{
    struct name_set set;
    size_t n = config_n_items(list);

    name_set_init(&set, a, n);
    for (size_t i = 0; i < n; i++) {
        const struct config_elem *item = config_item(list, i);

        name_set_add(&set, a, config_str(item, attr), flag ? config_bool(item, flag) : 1);
    }
    return set;
}

static void load_verbs(struct filter_conf *c, const struct config_elem *list, struct arena *a)
{
    struct verb *verbs;

    c->allow_unlisted_verbs = config_bool(list, "allowUnlisted");
    c->dav_verbs = config_bool(list, "applyToWebDAV");
    c->n_verbs = config_n_items(list);
    c->verbs = verbs = arena_zalloc(a, c->n_verbs * sizeof(*verbs));
    for (size_t i = 0; i < c->n_verbs; i++) {
        const struct config_elem *item = config_item(list, i);

        verbs[i] = (struct verb){config_str(item, "verb"), config_bool(item, "allowed")};
    }
}

static void load_limits(struct filter_conf *c, const struct config_elem *limits, struct arena *a)
{
    const struct config_elem *headers = config_child(limits, "headerLimits");
    struct header_limit *list;

    c->max_content_length = config_u32(limits, "maxAllowedContentLength");
    c->max_url = config_u32(limits, "maxUrl");
    c->max_query = config_u32(limits, "maxQueryString");
    c->n_header_limits = config_n_items(headers);
    c->header_limits = list = arena_zalloc(a, c->n_header_limits * sizeof(*list));
    for (size_t i = 0; i < c->n_header_limits; i++) {
        const struct config_elem *item = config_item(headers, i);

        list[i].name = config_str(item, "header");
        list[i].id = http_header_lookup(list[i].name);
        list[i].limit = config_u32(item, "sizeLimit");
    }
}

static void load_rule(struct rule *rule, const struct config_elem *e, struct arena *a)
{
    const struct config_elem *headers = config_child(e, "scanHeaders");
    struct str *names;

    rule->name = config_str(e, "name");
    rule->scan_url = config_bool(e, "scanUrl");
    rule->scan_query = config_bool(e, "scanQueryString");
    rule->scan_all = config_bool(e, "scanAllRaw");
    rule->deny_bare_percent = config_bool(e, "denyUnescapedPercent");
    rule->n_headers = config_n_items(headers);
    rule->headers = names = arena_zalloc(a, rule->n_headers * sizeof(*names));
    for (size_t i = 0; i < rule->n_headers; i++)
        names[i] = config_str(config_item(headers, i), "requestHeader");
    rule->extensions = load_names(config_child(e, "appliesTo"), "fileExtension", NULL, a);
    rule->deny = load_patterns(config_child(e, "denyStrings"), "string", a);
}

static void load_rules(struct filter_conf *c, const struct config_elem *list, struct arena *a)
{
    struct rule *rules;

    c->n_rules = config_n_items(list);
    c->rules = rules = arena_zalloc(a, c->n_rules * sizeof(*rules));
    for (size_t i = 0; i < c->n_rules; i++)
        load_rule(&rules[i], config_item(list, i), a);
}

static const void *load_conf(const struct config_node *node, struct arena *a,
                             const struct config_error **ret_error)
{
    const struct config_elem *e = config_section(node, SECTION, ret_error);

    if (!e)
        return NULL;
    struct filter_conf *c = ARENA_NEW(a, struct filter_conf);
    const struct config_elem *extensions = config_child(e, "fileExtensions");
    const struct config_elem *segments = config_child(e, "hiddenSegments");

    c->allow_double_escaping = config_bool(e, "allowDoubleEscaping");
    c->allow_high_bit = config_bool(e, "allowHighBitCharacters");
    c->unescape_query = config_bool(e, "unescapeQueryString");
    c->modern_codes = config_bool(e, "requestFilteringModernCodes");
    load_limits(c, config_child(e, "requestLimits"), a);
    load_verbs(c, config_child(e, "verbs"), a);
    c->allow_unlisted_extensions = config_bool(extensions, "allowUnlisted");
    c->dav_extensions = config_bool(extensions, "applyToWebDAV");
    c->extensions = load_names(extensions, "fileExtension", "allowed", a);
    c->dav_segments = config_bool(segments, "applyToWebDAV");
    c->segments = load_names(segments, "segment", NULL, a);
    c->allowed_urls = load_names(config_child(e, "alwaysAllowedUrls"), "url", NULL, a);
    c->allowed_queries =
        load_names(config_child(e, "alwaysAllowedQueryStrings"), "queryString", NULL, a);
    c->url_sequences = load_patterns(config_child(e, "denyUrlSequences"), "sequence", a);
    c->query_sequences = load_patterns(config_child(e, "denyQueryStringSequences"), "sequence", a);
    load_rules(c, config_child(e, "filteringRules"), a);
    if (!c->dav_verbs || !c->dav_extensions || !c->dav_segments) {
        const struct config_elem *dav =
            config_section(node, "system.webServer/webdav/authoring", ret_error);

        if (!dav)
            return NULL;
        c->dav_enabled = config_bool(dav, "enabled");
    }
    return c;
}

/* ---- what a request is made of -------------------------------------------------------------- */

/* Found in one walk over the path. */
struct path_facts {
    struct str extension;      /* of the last segment, with its dot; "." if it has none */
    struct str hidden_segment; /* the first one, or empty */
    bool double_escape;        /* un-escaping once more would change it, or it has a '+' */
    bool high_bit;
};

static void look_at_segment(const struct filter_conf *c, struct str segment,
                            struct path_facts *facts)
{
    if (segment.n && facts->hidden_segment.n == 0 && name_set_may_have(&c->segments, segment.n) &&
        name_set_find(&c->segments, segment) != NAME_SET_ABSENT)
        facts->hidden_segment = segment;
}

static struct path_facts look_at_path(const struct filter_conf *c, struct str path)
{
    struct path_facts facts = {.extension = STR(".")};
    size_t start = 0;
    size_t dot = SIZE_MAX;
    unsigned char bits = 0;

    for (size_t i = 0; i < path.n; i++) {
        char ch = path.p[i];

        bits |= (unsigned char)ch;
        if (ch == '/') {
            look_at_segment(c, str_sub(path, start, i), &facts);
            start = i + 1;
            dot = SIZE_MAX;
        } else if (ch == '.') {
            dot = i;
        } else if (ch == '+' || ch == '%') {
            facts.double_escape |= ch == '+' || text_has_escape(str_sub(path, i, i + 6));
        }
    }
    look_at_segment(c, str_sub(path, start, path.n), &facts);
    facts.high_bit = bits & 0x80;
    if (dot != SIZE_MAX)
        facts.extension = str_sub(path, dot, path.n);
    return facts;
}

/* "Translate: f" and WebDAV's methods, where the site has WebDAV on. */
static bool is_dav(struct request *r, const struct filter_conf *c)
{
    if (!c->dav_enabled)
        return false;
    switch ((enum http_method)r->msg.head.method_id) {
    case HTTP_METHOD_PROPFIND:
    case HTTP_METHOD_PROPPATCH:
    case HTTP_METHOD_MKCOL:
    case HTTP_METHOD_PUT:
    case HTTP_METHOD_DELETE:
    case HTTP_METHOD_COPY:
    case HTTP_METHOD_MOVE:
    case HTTP_METHOD_LOCK:
    case HTTP_METHOD_UNLOCK:
        return true;
    default:
        return str_ieq(request_header(r, HDR_TRANSLATE), STR("f"));
    }
}

static enum pipe_rc deny(struct request *r, const struct status_row *row, const char *what,
                         struct str which)
{
    return request_fail(r, row, 0, arena_printf(&r->arena, "%s=%.*s", what, STR_ARG(which)));
}

static enum pipe_rc deny_number(struct request *r, const struct status_row *row, const char *what,
                                uint64_t value, uint64_t limit)
{
    return request_fail(r, row, 0,
                        arena_printf(&r->arena, "%s=%llu limit=%llu", what,
                                     (unsigned long long)value, (unsigned long long)limit));
}

/* ---- checks --------------------------------------------------------------------------------- */

static enum pipe_rc check_limits(struct request *r, const struct filter_conf *c)
{
    int64_t length = r->msg.head.content_length;

    if (length > 0 && (uint64_t)length > c->max_content_length)
        return deny_number(r,
                           c->modern_codes ? &st_413_1_content_length : &st_404_13_content_length,
                           "Content-Length", (uint64_t)length, c->max_content_length);
    if (r->path.n > c->max_url)
        return deny_number(r, &st_404_14_url_too_long, "url", r->path.n, c->max_url);
    if (r->query.n > c->max_query)
        return deny_number(r, &st_404_15_query_too_long, "query", r->query.n, c->max_query);
    for (size_t i = 0; i < c->n_header_limits; i++) {
        const struct header_limit *h = &c->header_limits[i];
        struct str value =
            h->id != HDR_OTHER ? request_header(r, h->id) : request_header_named(r, h->name);

        if (value.n > h->limit)
            return deny_number(
                r, c->modern_codes ? &st_431_0_header_too_large : &st_404_10_header_too_long,
                "header", value.n, h->limit);
    }
    return PIPE_CONTINUE;
}

static bool verb_is_allowed(const struct filter_conf *c, struct str method)
{
    for (size_t i = 0; i < c->n_verbs; i++)
        if (str_eq(c->verbs[i].name, method))
            return c->verbs[i].allowed;
    return c->allow_unlisted_verbs;
}

static bool extension_is_allowed(const struct filter_conf *c, struct str extension)
{
    int allowed = name_set_find(&c->extensions, extension);

    return allowed == NAME_SET_ABSENT ? c->allow_unlisted_extensions : allowed;
}

/* The pattern of the list that occurs in text, in either of its forms, or NULL. */
static const struct pattern *find_pattern(const struct patterns *list, struct str text)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct pattern *p = &list->items[i];

        if (text_contains(text, p->raw) || (p->decoded.n && text_contains(text, p->decoded)))
            return p;
    }
    return NULL;
}

/* The same for a query, which is still escaped: as sent, and decoded if configured. */
static const struct pattern *find_query_pattern(struct request *r, const struct filter_conf *c,
                                                const struct patterns *list)
{
    if (list->n == 0 || r->query.n == 0)
        return NULL;
    const struct pattern *p = find_pattern(list, r->query);

    if (p || !c->unescape_query)
        return p;
    struct str decoded = text_unescape(&r->arena, r->query);

    return decoded.p == r->query.p ? NULL : find_pattern(list, decoded);
}

/* ---- filteringRules ------------------------------------------------------------------------- */

static bool rule_matches_text(const struct rule *rule, struct str text)
{
    return (rule->deny_bare_percent && text_has_bare_percent(text)) ||
           find_pattern(&rule->deny, text) != NULL;
}

/* The whole line counts, so that a string with the name in it can match. */
static bool rule_matches_field(struct request *r, const struct rule *rule,
                               const struct msg_field *f)
{
    struct str name = str_n(r->msg.bytes + f->name_off, f->name_len);
    struct str value = str_n(r->msg.bytes + f->value_off, f->value_len);
    struct str line = arena_printf(&r->arena, "%.*s: %.*s", STR_ARG(name), STR_ARG(value));

    return rule_matches_text(rule, line.n ? line : value);
}

static bool rule_scans_field(struct request *r, const struct rule *rule, const struct msg_field *f)
{
    struct str name = str_n(r->msg.bytes + f->name_off, f->name_len);

    if (rule->scan_all)
        return true;
    for (size_t i = 0; i < rule->n_headers; i++)
        if (str_ieq(rule->headers[i], name))
            return true;
    return false;
}

/* What part of the request the rule refuses, or NULL. */
static const char *rule_verdict(struct request *r, const struct filter_conf *c,
                                const struct rule *rule, bool skip_url, bool skip_query)
{
    if (rule->scan_url && !skip_url && rule_matches_text(rule, r->path))
        return "url";
    if (rule->scan_query && !skip_query && r->query.n &&
        ((rule->deny_bare_percent && text_has_bare_percent(r->query)) ||
         find_query_pattern(r, c, &rule->deny)))
        return "query";
    if (rule->scan_all && rule_matches_text(rule, r->msg.raw_target))
        return "request line";
    if (!rule->scan_all && rule->n_headers == 0)
        return NULL;
    for (uint16_t i = 0; i < r->msg.head.n_fields; i++)
        if (rule_scans_field(r, rule, &r->msg.fields[i]) &&
            rule_matches_field(r, rule, &r->msg.fields[i]))
            return "headers";
    return NULL;
}

static enum pipe_rc check_rules(struct request *r, const struct filter_conf *c,
                                struct str extension, bool skip_url, bool skip_query)
{
    for (size_t i = 0; i < c->n_rules; i++) {
        const struct rule *rule = &c->rules[i];

        if (rule->extensions.mask && name_set_find(&rule->extensions, extension) == NAME_SET_ABSENT)
            continue;
        const char *part = rule_verdict(r, c, rule, skip_url, skip_query);

        if (part)
            return request_fail(
                r, &st_404_19_filtering_rule, 0,
                arena_printf(&r->arena, "rule=%.*s part=%s", STR_ARG(rule->name), part));
    }
    return PIPE_CONTINUE;
}

/* ---- hooks ---------------------------------------------------------------------------------- */

static enum pipe_rc check_lists(struct request *r, const struct filter_conf *c,
                                const struct path_facts *facts)
{
    bool skip_url =
        c->allowed_urls.mask && name_set_find(&c->allowed_urls, r->path) != NAME_SET_ABSENT;
    bool skip_query =
        c->allowed_queries.mask && name_set_find(&c->allowed_queries, r->query) != NAME_SET_ABSENT;
    bool dav = is_dav(r, c);
    const struct pattern *p;

    if (!(dav && !c->dav_verbs) && !verb_is_allowed(c, r->msg.method))
        return deny(r, &st_404_6_verb_denied, "verb", r->msg.method);
    if (!skip_url && (p = find_pattern(&c->url_sequences, r->path)))
        return deny(r, &st_404_5_url_sequence_denied, "sequence", p->raw);
    if (facts->hidden_segment.n && !(dav && !c->dav_segments))
        return deny(r, &st_404_8_hidden_segment, "segment", facts->hidden_segment);
    if (!(dav && !c->dav_extensions) && !extension_is_allowed(c, facts->extension))
        return deny(r, &st_404_7_file_extension_denied, "fileExtension", facts->extension);
    if (!skip_query && (p = find_query_pattern(r, c, &c->query_sequences)))
        return deny(r, &st_404_18_query_sequence_denied, "sequence", p->raw);
    return check_rules(r, c, facts->extension, skip_url, skip_query);
}

/* A child request's URL comes from the configuration, not from the client. */
static enum pipe_rc on_begin(struct request *r, const void *conf)
{
    const struct filter_conf *c = conf;

    if (r->child_depth > 0)
        return PIPE_CONTINUE;
    r->body_limit = c->max_content_length;
    struct path_facts facts = look_at_path(c, r->path);

    if (facts.double_escape && !c->allow_double_escaping)
        return deny(r, &st_404_11_double_escape, "url", r->path);
    if (facts.high_bit && !c->allow_high_bit)
        return deny(r, &st_404_12_high_bit, "url", r->path);
    enum pipe_rc rc = check_limits(r, c);

    return rc == PIPE_CONTINUE ? check_lists(r, c, &facts) : rc;
}

const struct module mod_request_filtering = {
    .name = "RequestFilteringModule",
    .load_conf = load_conf,
    .hooks = {[N_BEGIN_REQUEST] = {on_begin, PRI_MEDIUM}},
    .same_for_all = true,
};
