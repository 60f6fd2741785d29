#include "logging/log_settings.h"

#include <inttypes.h>

#include "logging/log_fields.h"
#include "base/poison.h"

/* Where a value is being read and what was wrong with the first bad one. */
struct reader {
    struct arena *arena;
    struct str why;
};

struct choice {
    const char *name;
    int value;
};

static const struct choice format_names[] = {{"IIS", LOG_FORMAT_IIS},
                                             {"NCSA", LOG_FORMAT_NCSA},
                                             {"W3C", LOG_FORMAT_W3C},
                                             {"Custom", LOG_FORMAT_CUSTOM},
                                             {0}};
static const struct choice period_names[] = {
    {"MaxSize", LOG_PERIOD_MAX_SIZE}, {"Daily", LOG_PERIOD_DAILY},   {"Weekly", LOG_PERIOD_WEEKLY},
    {"Monthly", LOG_PERIOD_MONTHLY},  {"Hourly", LOG_PERIOD_HOURLY}, {0}};
static const struct choice central_names[] = {{"Site", LOG_CENTRAL_SITE},
                                              {"CentralBinary", LOG_CENTRAL_BINARY},
                                              {"CentralW3C", LOG_CENTRAL_W3C},
                                              {0}};
static const struct choice custom_names[] = {{"RequestHeader", LOG_CUSTOM_REQUEST_HEADER},
                                             {"ResponseHeader", LOG_CUSTOM_RESPONSE_HEADER},
                                             {"ServerVariable", LOG_CUSTOM_SERVER_VARIABLE},
                                             {0}};
static const struct choice columns_names[] = {{"2003", LOG_HTTPERR_2003},
                                              {"2008", LOG_HTTPERR_2008},
                                              {"2016", LOG_HTTPERR_2016},
                                              {"current", LOG_HTTPERR_CURRENT},
                                              {0}};

static void complain(struct reader *rd, const char *key, const char *what)
{
    if (!rd->why.n)
        rd->why = arena_printf(rd->arena, "%.200s: %s", key, what);
}

static const json_t *member(struct reader *rd, const json_t *o, const char *key, json_type want)
{
    const json_t *v = json_object_get(o, key);

    if (!v || json_is_null(v))
        return NULL;
    if (json_typeof(v) == want)
        return v;
    complain(rd, key, "value of the wrong type");
    return NULL;
}

static void read_bool(struct reader *rd, const json_t *o, const char *key, bool *ret)
{
    const json_t *v = json_object_get(o, key);

    if (json_is_boolean(v))
        *ret = json_is_true(v);
    else if (json_is_integer(v)) /* registry values */
        *ret = json_integer_value(v) != 0;
    else if (v && !json_is_null(v))
        complain(rd, key, "must be true or false");
}

static void read_u32(struct reader *rd, const json_t *o, const char *key, uint32_t min,
                     uint32_t max, uint32_t *ret)
{
    const json_t *v = member(rd, o, key, JSON_INTEGER);

    if (!v)
        return;
    json_int_t n = json_integer_value(v);
    *ret = n < (json_int_t)min ? min : n > (json_int_t)max ? max : (uint32_t)n;
}

static void read_str(struct reader *rd, const json_t *o, const char *key, struct str *ret)
{
    const json_t *v = member(rd, o, key, JSON_STRING);

    if (v)
        *ret = arena_dup(rd->arena, str_n(json_string_value(v), json_string_length(v)));
}

/* The value of the choice, by name without regard to case or by number. */
static int read_choice(struct reader *rd, const json_t *o, const char *key,
                       const struct choice *choices, int otherwise)
{
    const json_t *v = json_object_get(o, key);

    if (!v || json_is_null(v))
        return otherwise;
    for (const struct choice *c = choices; c->name; c++)
        if (json_is_string(v) ? str_ieq(str_z(json_string_value(v)), str_z(c->name))
                              : json_is_integer(v) && json_integer_value(v) == c->value)
            return c->value;
    complain(rd, key, "unknown value");
    return otherwise;
}

static void read_w3c_flags(struct reader *rd, const json_t *o, const char *key, uint32_t *ret)
{
    const json_t *v = json_object_get(o, key);

    if (!json_is_string(v)) {
        read_u32(rd, o, key, 0, UINT32_MAX, ret);
        return;
    }
    struct str rest = str_z(json_string_value(v)), name;
    uint32_t flags = 0;

    while (str_split(&rest, ',', &name)) {
        const struct log_column *c = log_w3c_columns;

        while (c->name && !str_ieq(str_z(c->flag_name), str_trim(name)))
            c++;
        if (!c->name) {
            complain(rd, key, "unknown flag");
            return;
        }
        flags |= c->flag;
    }
    *ret = flags;
}

static void read_files(struct reader *rd, const json_t *o, struct log_files *f)
{
    struct str dir = STR_NULL;

    read_str(rd, o, "directory", &dir);
    if (dir.n)
        f->directory = dir.p;
    f->period = (enum log_period)read_choice(rd, o, "period", period_names, (int)f->period);
    read_u32(rd, o, "truncateSize", LOG_TRUNCATE_SIZE_MIN, UINT32_MAX, &f->truncate_size);
    read_bool(rd, o, "localTimeRollover", &f->local_time_rollover);
}

static void read_custom(struct reader *rd, const json_t *o, struct log_site_settings *s)
{
    read_u32(rd, o, "maxCustomFieldLength", 2, 65536, &s->max_custom_field_length);

    const json_t *add = member(rd, o, "add", JSON_ARRAY);
    size_t n = json_array_size(add);

    if (!n)
        return;
    struct log_custom_field *f = arena_zalloc(rd->arena, n * sizeof *f);

    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_array_get(add, i);

        read_str(rd, e, "logFieldName", &f[i].name);
        read_str(rd, e, "sourceName", &f[i].source);
        f[i].type = (enum log_custom_type)read_choice(rd, e, "sourceType", custom_names,
                                                      LOG_CUSTOM_REQUEST_HEADER);
        if (!f[i].name.n || !f[i].source.n)
            complain(rd, "customFields", "an entry without logFieldName or sourceName");
    }
    s->custom = f;
    s->n_custom = n;
}

static const struct log_files default_files = {
    .directory = "",
    .period = LOG_PERIOD_DAILY,
    .truncate_size = LOG_TRUNCATE_SIZE_DEFAULT,
};

static void read_site(struct reader *rd, const json_t *o, struct log_site_settings *s)
{
    const json_t *file = member(rd, o, "logFile", JSON_OBJECT);

    *s = (struct log_site_settings){
        .enabled = true,
        .log_site_id = true,
        .format = LOG_FORMAT_W3C,
        .files = default_files,
        .fields = LOG_W3C_DEFAULT,
        .max_line_length = LOG_LINE_MAX,
        .max_custom_field_length = LOG_FIELD_MAX,
    };
    read_u32(rd, o, "id", 0, UINT32_MAX, &s->id);
    read_str(rd, o, "name", &s->name);
    if (!s->id)
        complain(rd, "id", "a site needs an id from 1 up");
    read_bool(rd, file, "enabled", &s->enabled);
    read_bool(rd, file, "logSiteId", &s->log_site_id);
    s->format = (enum log_format)read_choice(rd, file, "logFormat", format_names, LOG_FORMAT_W3C);
    read_files(rd, file, &s->files);
    read_w3c_flags(rd, file, "logExtFileFlags", &s->fields);
    read_u32(rd, file, "flushByEntryCountW3CLog", 0, UINT32_MAX, &s->flush_by_entry_count);
    read_u32(rd, file, "maxLogLineLength", 2, LOG_LINE_MAX, &s->max_line_length);
    read_custom(rd, member(rd, file, "customFields", JSON_OBJECT), s);
}

static void read_central(struct reader *rd, const json_t *o, struct log_central_settings *c)
{
    const json_t *w3c = member(rd, o, "centralW3CLogFile", JSON_OBJECT);

    read_bool(rd, o, "logInUTF8", &c->log_in_utf8);
    c->mode = (enum log_central_mode)read_choice(rd, o, "centralLogFileMode", central_names,
                                                 LOG_CENTRAL_SITE);
    read_bool(rd, w3c, "enabled", &c->w3c_enabled);
    read_files(rd, w3c, &c->w3c_files);
    read_w3c_flags(rd, w3c, "logExtFileFlags", &c->w3c_fields);
}

static void read_httperr(struct reader *rd, const json_t *o, struct log_httperr_settings *h)
{
    struct str dir = STR_NULL;

    h->enabled = true;
    read_bool(rd, o, "EnableErrorLogging", &h->enabled);
    read_str(rd, o, "ErrorLoggingDir", &dir);
    if (dir.n)
        h->files.directory = dir.p;
    /* Too small a size is not corrected here: it earns an event. */
    read_u32(rd, o, "ErrorLogFileTruncateSize", 0, UINT32_MAX, &h->files.truncate_size);
    read_u32(rd, o, "ErrorLoggingFields", 0, UINT32_MAX, &h->fields);
    h->files.period = (enum log_period)read_choice(rd, o, "ErrorLoggingRolloverType", period_names,
                                                   LOG_PERIOD_MAX_SIZE);
    read_bool(rd, o, "ErrorLoggingLocaltimeRollover", &h->files.local_time_rollover);
    h->columns =
        (enum log_httperr_columns)read_choice(rd, o, "columns", columns_names, LOG_HTTPERR_2016);
}

void log_settings_init(struct log_settings *s)
{
    *s = (struct log_settings){
        .central = {.log_in_utf8 = true,
                    .w3c_enabled = true,
                    .w3c_files = default_files,
                    .w3c_fields = LOG_W3C_CENTRAL_DEFAULT},
        .httperr = {.files = {.directory = "",
                              .period = LOG_PERIOD_MAX_SIZE,
                              .truncate_size = LOG_TRUNCATE_SIZE_MIN},
                    .fields = LOG_HTTPERR_DEFAULT,
                    .columns = LOG_HTTPERR_2016},
    };
    arena_init(&s->arena, 0);
}

void log_settings_fini(struct log_settings *s)
{
    arena_fini(&s->arena);
    *s = (struct log_settings){0};
}

enum rc log_settings_from_json(const json_t *json, struct log_settings *ret, struct str *ret_why)
{
    log_settings_init(ret);

    struct reader rd = {.arena = &ret->arena};
    const json_t *sites = member(&rd, json, "sites", JSON_ARRAY);
    const json_t *httperr = member(&rd, json, "httperr", JSON_OBJECT);
    size_t n = json_array_size(sites);

    if (!json_is_object(json))
        complain(&rd, "log settings", "not an object");
    struct log_site_settings *s = arena_zalloc(rd.arena, (n ? n : 1) * sizeof *s);

    for (size_t i = 0; i < n; i++)
        read_site(&rd, json_array_get(sites, i), &s[i]);
    ret->sites = s;
    ret->n_sites = n;
    read_central(&rd, member(&rd, json, "log", JSON_OBJECT), &ret->central);
    if (httperr)
        read_httperr(&rd, httperr, &ret->httperr);
    read_str(&rd, json, "computerName", &ret->computer_name);
    *ret_why = rd.why;
    return rd.why.n ? RC_FAIL : RC_OK;
}
