#include "logging/log_apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/poison.h"

static const char iis_software[] = "Microsoft Internet Information Services 10.0";
static const char api_software[] = "Microsoft HTTP API 2.0";
static const char api_software_2003[] = "Microsoft HTTP API 1.0";

void log_event_report(struct logging *lg, enum log_event_code code, uint32_t site_id,
                      const char *path, const char *text)
{
    struct log_event ev = {.code = code, .text = text, .path = path, .site_id = site_id};

    if (lg->options.on_event)
        lg->options.on_event(lg->options.event_arg, &ev);
}

static void retire(struct logging *lg, struct log_program *p)
{
    if (!p)
        return;
    struct log_retired *r = xcalloc(1, sizeof *r);

    r->program = p;
    pthread_mutex_lock(&lg->lock);
    r->epoch = atomic_fetch_add(&lg->epoch, 1) + 1;
    r->next = lg->retired;
    lg->retired = r;
    pthread_mutex_unlock(&lg->lock);
}

/* The site with this id, made if need be. */
static struct log_site *site_get(struct logging *lg, uint32_t id)
{
    struct log_site *s = logging_site_find(lg, id);

    if (s)
        return s;
    s = xcalloc(1, sizeof *s);
    s->id = id;
    atomic_init(&s->program, NULL);
    pthread_mutex_lock(&lg->lock);
    lg->sites = xgrow(lg->sites, lg->n_sites, &lg->cap_sites, sizeof(struct log_site *));
    size_t at = lg->n_sites++;

    for (; at > 0 && lg->sites[at - 1]->id > id; at--)
        lg->sites[at] = lg->sites[at - 1];
    lg->sites[at] = s;
    pthread_mutex_unlock(&lg->lock);
    return s;
}

static struct log_channel *stdout_channel(struct logging *lg)
{
    struct log_sink_place place = {.directory = "", .stdout_fd = lg->options.stdout_fd};

    return log_channel_new(log_sink_get(lg, &place), lg->options.threads);
}

static struct log_channel *file_channel(struct logging *lg, const struct log_files *f,
                                        const char *below, uint32_t site_id,
                                        struct log_naming naming, bool is_private)
{
    _cleanup_free_ char *directory = xasprintf("%s/%s", f->directory, below);
    struct log_sink_place place = {
        .directory = directory,
        .naming = naming,
        .site_id = site_id,
        .dir_mode = is_private ? 0700 : 0750,
        .file_mode = is_private ? 0600 : 0640,
        .stdout_fd = -1,
    };
    struct log_channel *ch = log_channel_new(log_sink_get(lg, &place), lg->options.threads);

    ch->period = f->period;
    ch->is_local = f->local_time_rollover;
    ch->truncate_size =
        f->truncate_size < LOG_TRUNCATE_SIZE_MIN ? LOG_TRUNCATE_SIZE_MIN : f->truncate_size;
    return ch;
}

static bool is_usable(struct logging *lg, const char *directory, uint32_t site_id, const char *what)
{
    if (directory && directory[0] == '/')
        return true;
    log_event_report(lg, LOG_EVENT_BAD_SETTING, site_id, directory ? directory : "", what);
    return false;
}

/* What all sites of a generation have in common. */
struct generation {
    struct logging *lg;
    const struct log_settings *settings;
    struct log_channel *shared; /* central or standard output; made by its first user */
    bool shared_is_bad;
};

static size_t usable_custom(struct logging *lg, const struct log_site_settings *s)
{
    if (s->n_custom <= LOG_CUSTOM_FIELDS_MAX)
        return s->n_custom;
    log_event_report(lg, LOG_EVENT_BAD_SETTING, s->id, "",
                     "More custom log fields than can be written: only the first 64 are");
    return LOG_CUSTOM_FIELDS_MAX;
}

/* A reference to the channel that all sites share. */
static struct log_channel *shared_ref(struct generation *g)
{
    if (g->shared)
        log_channel_ref(g->shared);
    return g->shared;
}

static struct log_program *compile_stdout(struct generation *g, const struct log_site_settings *s)
{
    bool has_columns = s->format == LOG_FORMAT_W3C || s->format == LOG_FORMAT_CUSTOM;
    uint32_t flags = has_columns ? s->fields : LOG_W3C_DEFAULT;
    size_t n_custom = has_columns ? usable_custom(g->lg, s) : 0;
    struct log_channel *ch = shared_ref(g);

    if (!ch)
        ch = g->shared = stdout_channel(g->lg);
    return log_program_site(s, flags, n_custom, LOG_LINE_JSON, true, g->settings->computer_name,
                            ch);
}

static struct log_program *compile_central(struct generation *g, const struct log_site_settings *s)
{
    const struct log_central_settings *c = &g->settings->central;

    if (!c->w3c_enabled || !c->w3c_fields || g->shared_is_bad)
        return NULL;
    struct log_channel *ch = shared_ref(g);

    if (!ch) {
        if (!is_usable(g->lg, c->w3c_files.directory, 0,
                       "The central log's directory is not an absolute path: no site is logged")) {
            g->shared_is_bad = true;
            return NULL;
        }
        struct log_naming naming =
            log_naming_site(LOG_FORMAT_W3C, c->w3c_files.period, c->log_in_utf8, false);

        ch = g->shared = file_channel(g->lg, &c->w3c_files, "W3SVC", 0, naming, false);
        ch->software = iis_software;
        ch->header = log_program_header(&ch->arena, c->w3c_fields, NULL, 0).p;
    }
    return log_program_site(s, c->w3c_fields, 0, LOG_LINE_COLUMNS, c->log_in_utf8,
                            g->settings->computer_name, ch);
}

static struct log_program *compile_site(struct generation *g, const struct log_site_settings *s)
{
    static const enum log_line_form forms[] = {[LOG_FORMAT_IIS] = LOG_LINE_IIS,
                                               [LOG_FORMAT_NCSA] = LOG_LINE_NCSA,
                                               [LOG_FORMAT_W3C] = LOG_LINE_COLUMNS};
    bool utf8 = g->settings->central.log_in_utf8;
    enum log_format format = s->format;
    char below[32];

    if (format == LOG_FORMAT_CUSTOM) {
        log_event_report(g->lg, LOG_EVENT_NOT_SUPPORTED, s->id, "",
                         "Custom log plug-ins do not exist here: the site is logged in W3C format");
        format = LOG_FORMAT_W3C;
    }
    bool has_columns = format == LOG_FORMAT_W3C;
    size_t n_custom = has_columns ? usable_custom(g->lg, s) : 0;

    if (has_columns && !s->fields && !n_custom)
        return NULL;
    if (!is_usable(g->lg, s->files.directory, s->id,
                   "The log directory is not an absolute path: the site is not logged"))
        return NULL;
    snprintf(below, sizeof below, "W3SVC%u", s->id);

    struct log_naming naming = log_naming_site(format, s->files.period, utf8, n_custom > 0);
    struct log_channel *ch = file_channel(g->lg, &s->files, below, s->id, naming, false);

    if (has_columns) {
        ch->software = iis_software;
        ch->header = log_program_header(&ch->arena, s->fields, s->custom, n_custom).p;
        ch->flush_lines = s->flush_by_entry_count;
    }
    return log_program_site(s, s->fields, n_custom, forms[format], utf8, g->settings->computer_name,
                            ch);
}

static struct log_program *compile_httperr(struct generation *g)
{
    struct logging *lg = g->lg;
    const struct log_httperr_settings *h = &g->settings->httperr;

    if (!h->enabled || !h->fields)
        return NULL;
    if (lg->options.to_stdout) {
        struct log_channel *ch = shared_ref(g);

        if (!ch)
            ch = g->shared = stdout_channel(lg);
        return log_program_httperr(h, LOG_LINE_JSON, g->settings->computer_name, ch);
    }
    if (!is_usable(lg, h->files.directory, 0,
                   "ErrorLoggingDir is not an absolute path: HTTPERR is not written"))
        return NULL;
    if (h->files.truncate_size < LOG_TRUNCATE_SIZE_MIN)
        log_event_report(lg, LOG_EVENT_BAD_SETTING, 0, h->files.directory,
                         "ErrorLogFileTruncateSize is below its minimum: 1 MB is used");

    struct log_channel *ch =
        file_channel(lg, &h->files, "HTTPERR", 0, log_naming_httperr(h->files.period), true);

    ch->software = h->columns == LOG_HTTPERR_2003 ? api_software_2003 : api_software;
    ch->header = log_httperr_header(&ch->arena, h).p;
    return log_program_httperr(h, LOG_LINE_COLUMNS, g->settings->computer_name, ch);
}

void log_apply(struct logging *lg, const struct log_settings *settings)
{
    struct generation g = {.lg = lg, .settings = settings};
    bool is_central = settings->central.mode == LOG_CENTRAL_W3C && !lg->options.to_stdout;

    /* Whoever finds a new program also finds that settings have changed. */
    atomic_fetch_add(&lg->epoch, 1);
    if (settings->central.mode == LOG_CENTRAL_BINARY && !lg->options.to_stdout)
        log_event_report(lg, LOG_EVENT_NOT_SUPPORTED, 0, "",
                         "Centralized binary logging is not written: each site has its own log");
    for (size_t i = 0; i < settings->n_sites; i++) {
        const struct log_site_settings *s = &settings->sites[i];
        struct log_program *p = NULL;

        if (s->enabled)
            p = lg->options.to_stdout ? compile_stdout(&g, s)
                : is_central          ? compile_central(&g, s)
                                      : compile_site(&g, s);
        retire(lg, atomic_exchange(&site_get(lg, s->id)->program, p));
    }
    retire(lg, atomic_exchange(&lg->httperr, compile_httperr(&g)));
    if (lg->options.to_stdout) {
        /* Lines of others (logging_stdout_line) need a way out even if nothing else is logged. */
        struct log_site_settings none = {.log_site_id = true};

        retire(lg, atomic_exchange(&lg->stdout_site->program, compile_stdout(&g, &none)));
    }
}
