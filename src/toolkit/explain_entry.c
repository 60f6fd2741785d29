#include "toolkit/explain.h"

#include <stdio.h>

#include "tables/events.h"
#include "tables/ftp.h"
#include "tables/http_parameters.h"
#include "tables/httperr.h"
#include "tables/log_field_text.h"
#include "tables/status.h"
#include "tables/win32.h"

#include "base/poison.h"

/* A new text in the arena. */
#define TEXT(a, ...) (arena_printf((a), __VA_ARGS__).p)

static const char *const no_list[] = {NULL};
static const char *const winerror_sources[] = {"Windows SDK, winerror.h and ntstatus.h", NULL};
static const char *const event_sources[] = {"Windows event log, provider manifests", NULL};
static const char *const own_sources[] = {"this server's own table of events", NULL};

const char *explain_kind_name(enum explain_kind kind)
{
    static const char *const names[EXPLAIN_KIND_COUNT] = {
        [EXPLAIN_HTTP] = "http",   [EXPLAIN_HTTPERR] = "httperr", [EXPLAIN_FTP] = "ftp",
        [EXPLAIN_WIN32] = "win32", [EXPLAIN_HRESULT] = "hresult", [EXPLAIN_PARAMETER] = "parameter",
        [EXPLAIN_EVENT] = "event", [EXPLAIN_FIELD] = "field",
    };

    return names[kind];
}

/* Where in the life of a request a module of IIS does its work. */
static const struct {
    const char *component;
    const char *stage;
} stages[] = {
    {"HTTP.sys", "before the request reaches a worker"},
    {"RequestFilteringModule", "at BeginRequest: before authentication and rewriting"},
    {"DynamicIpRestrictionModule", "before BeginRequest"},
    {"IpRestrictionModule", "at BeginRequest: before request filtering"},
    {"ConfigurationValidationModule", "at BeginRequest"},
    {"WebSocketModule", "at BeginRequest, and when the handler has agreed to the upgrade"},
    {"RewriteModule",
     "before BeginRequest (global rules), at BeginRequest (rules of a path) or when "
     "the answer is sent (outbound rules)"},
    {"BasicAuthenticationModule", "at AuthenticateRequest"},
    {"IISCertificateMappingAuthenticationModule", "at AuthenticateRequest"},
    {"UrlAuthorizationModule", "at AuthorizeRequest: after the logon"},
    {"HttpRedirectionModule", "at MapRequestHandler: before the file is looked for"},
    {"StaticFileModule", "at ExecuteRequestHandler: the file has been found"},
    {"DirectoryListingModule", "at ExecuteRequestHandler: after the default documents"},
    {"WebDAVModule", "at ExecuteRequestHandler; its authoring rules at AuthorizeRequest"},
    {"ProtocolSupportModule", "at ExecuteRequestHandler"},
    {"CgiModule", "at ExecuteRequestHandler"},
    {"IsapiModule", "at ExecuteRequestHandler"},
    {"FastCgiModule", "at ExecuteRequestHandler"},
    {"AspNetCoreModuleV2", "at ExecuteRequestHandler, when the application is started"},
    {"ManagedPipelineHandler", "at ExecuteRequestHandler"},
    {"ApplicationRequestRouting", "at ExecuteRequestHandler: the request is forwarded"},
    {"CustomErrorModule", "at SendResponse"},
};

/* The core of the worker checks at several points; the earliest of two failures is what is sent. */
static const struct {
    const char *code;
    const char *stage;
} core_stages[] = {
    {"401.2", "at the end of AuthenticateRequest: no module logged the user on"},
    {"401.3", "at the end of AuthenticateRequest: after the logon"},
    {"403.1", "at ExecuteRequestHandler: before the handler is called"},
    {"403.2", "at ExecuteRequestHandler: before the handler is called"},
    {"403.3", "at ExecuteRequestHandler: before the handler is called"},
    {"403.4", "before BeginRequest, so before any rewrite rule"},
    {"403.5", "before BeginRequest"},
    {"403.7", "before BeginRequest"},
    {"403.13", "before BeginRequest"},
    {"403.16", "before BeginRequest"},
    {"403.17", "before BeginRequest"},
    {"404.0", "at MapRequestHandler: after logon and authorization"},
    {"404.4", "at MapRequestHandler: after logon and authorization"},
    {"500.19", "before BeginRequest: when the configuration of the URL is read"},
    {"500.21", "at ExecuteRequestHandler: when the handler is called"},
    {"503.2", "before BeginRequest"},
};

/* The stage of a code, or that of the first component in its list; NULL if neither has one. */
static const char *stage_of(const char *code, const char *component)
{
    for (size_t i = 0; i < ARRAY_LEN(core_stages); i++) {
        if (str_eq(str_z(code), str_z(core_stages[i].code)))
            return core_stages[i].stage;
    }
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        if (str_starts(str_z(component), str_z(stages[i].component)))
            return stages[i].stage;
    }
    return NULL;
}

/* A new list of the texts that are not NULL. */
static const char *const *list_of(struct arena *a, const char *first, const char *second,
                                  const char *third)
{
    const char *given[] = {first, second, third};
    const char **list = arena_zalloc(a, (ARRAY_LEN(given) + 1) * sizeof(*list));
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        if (given[i])
            list[n++] = given[i];
    }
    return list;
}

static struct explain_entry *entry_init(struct explain_entry *e, enum explain_kind kind)
{
    *e = (struct explain_entry){
        .kind = kind,
        .status = -1,
        .substatus = -1,
        .logged_in = "none",
        .versions = no_list,
        .causes = no_list,
        .remedies = no_list,
        .on_windows = no_list,
        .on_candor = no_list,
        .settings = no_list,
        .sources = no_list,
    };
    return e;
}

enum { ERRORS_IN_SENTENCE = 3 };

static const char *http_logged(struct arena *a, const struct status_row *row)
{
    if (row->log == STATUS_LOG_HTTPERR)
        return "In HTTPERR only, with its reason (s-reason). The site's log does not have the "
               "request.";
    if (row->log == STATUS_LOG_NONE)
        return "In no log.";

    struct buf b;

    buf_init(&b, EXPLAIN_OUTPUT_MAX);
    buf_printf(&b, "In the site's log: sc-status %u, sc-substatus %u, sc-win32-status ",
               row->status, row->substatus);
    if (row->hresult_count > ERRORS_IN_SENTENCE)
        buf_str(&b, STR("as listed under Error codes"));
    for (size_t i = 0; i < row->hresult_count && row->hresult_count <= ERRORS_IN_SENTENCE; i++)
        buf_printf(&b, "%s%u", i ? " or " : "", win32_from_hresult(row->hresults[i]));
    buf_str(&b, STR(". Not in HTTPERR."));
    if (row->substatus && str_eq(str_z(row->versions[0]), STR("IIS 4.0 and 5.0")))
        buf_str(&b, STR(" IIS 4.0 and 5.0 log no sub-status."));

    const char *text = arena_dup_z(a, buf_view(&b));

    buf_fini(&b);
    return text;
}

static void make_http(struct arena *a, struct explain_entry *e, const struct status_row *row)
{
    entry_init(e, EXPLAIN_HTTP);
    e->term = e->code = row->substatus ? row->code : TEXT(a, "%u", row->status);
    e->name = row->name;
    e->title = row->title;
    e->phrase = row->reason.p;
    e->status = row->status;
    e->substatus = row->substatus;
    e->logged_in = row->log == STATUS_LOG_IIS       ? "iis"
                   : row->log == STATUS_LOG_HTTPERR ? "httperr"
                                                    : "none";
    e->logged = http_logged(a, row);
    e->meaning = row->text;
    e->component = row->component;
    e->when = stage_of(row->code, row->component);
    e->here = row->produced
                  ? row->produced
                  : "not raised by the server itself; an application's answer may carry it";
    e->note = row->note;
    e->reproduce = row->reproduce;
    e->command = row->command;
    e->versions = row->versions;
    e->causes = row->causes;
    e->remedies = row->remedies;
    e->on_windows = row->on_windows;
    e->on_candor = row->on_candor;
    e->settings = row->settings;
    e->sources = row->sources;
    if (row->hresult_count > 1 || row->hresults[0]) {
        e->errors = row->hresults;
        e->error_count = row->hresult_count;
    }
}

static void make_httperr(struct arena *a, struct explain_entry *e, const struct httperr_row *row)
{
    const char *shown = row->status ? TEXT(a, "sc-status %u", row->status)
                                    : "sc-status - (the client gets no answer)";

    entry_init(e, EXPLAIN_HTTPERR);
    e->term = e->code = row->name.p;
    e->title = row->meaning;
    e->meaning = row->meaning;
    if (row->status) {
        e->status = row->status;
        e->phrase = row->heading.p;
    }
    e->logged_in = "httperr";
    e->logged = row->logged
                    ? TEXT(a,
                           "In HTTPERR: %s, s-reason %.*s. Not in the site's log. The files are in "
                           "System32\\LogFiles\\HTTPERR below %%SystemRoot%%; on Candor in "
                           "Windows/System32/LogFiles/HTTPERR below the system drive's folder.",
                           shown, STR_ARG(row->name))
                    : "In HTTPERR of the versions named below; current ones never write it.";
    e->component = "HTTP.sys";
    e->when = row->status ? "before the request reaches a worker; the connection is closed after it"
                          : "the connection ends without an answer";
    e->here = row->logged ? "listener" : "never";
    e->note = row->note;
    e->reproduce = row->reproduce;
    e->command = row->command;
    e->versions = list_of(a, row->versions, NULL, NULL);
    e->causes = row->causes;
    e->remedies = row->remedies;
    e->settings = row->settings;
    e->sources = row->sources;
}

/* Reasons that logs of current versions have and no document lists; this server never logs them. */
static const struct {
    const char *name;
    const char *meaning;
    const char *cause;
} undocumented[] = {
    {"SlowResponsiveClient",
     "No document lists it. Seen where the client left while its answer was being made: the site's "
     "log "
     "has 500.19 with Win32 status 64 for the same request.",
     "a client that reads slowly or gives up"},
    {"Request_Too_Large",
     "No document lists it. The name says that the request was larger than allowed.",
     "a request beyond a limit of HTTP.sys"},
};

static void make_undocumented(struct arena *a, struct explain_entry *e, size_t i)
{
    entry_init(e, EXPLAIN_HTTPERR);
    e->term = e->code = undocumented[i].name;
    e->title = e->meaning = undocumented[i].meaning;
    e->logged_in = "httperr";
    e->logged = "In HTTPERR of current versions of Windows.";
    e->component = "HTTP.sys";
    e->here = "never";
    e->reproduce = "no request is known that provokes it by itself";
    e->versions = list_of(a, "current versions of Windows", NULL, NULL);
    e->causes = list_of(a, undocumented[i].cause, NULL, NULL);
    e->remedies =
        list_of(a, "look for the same request in the site's log at that second", NULL, NULL);
    e->sources = list_of(a, "logs published by users", NULL, NULL);
}

static void make_ftp(struct arena *a, struct explain_entry *e, const struct ftp_row *row,
                     bool is_substatus)
{
    entry_init(e, EXPLAIN_FTP);
    e->code = TEXT(a, is_substatus ? "substatus %u" : "%u", row->code);
    e->term = TEXT(a, "ftp %s", e->code);
    e->name = row->name;
    e->title = row->title;
    e->phrase = row->sent;
    if (is_substatus)
        e->substatus = row->code;
    else
        e->status = row->code;
    e->logged_in = "iis";
    e->logged = TEXT(a,
                     "In the FTP site's log: %s %u. Before it stands sc-win32-status where "
                     "the other logs have sc-substatus.",
                     is_substatus ? "sc-substatus" : "sc-status", row->code);
    if (!is_substatus)
        e->logged = TEXT(a,
                         "In the FTP site's log: sc-status %u, with sc-substatus (FTP 7.0 "
                         "and later) behind sc-win32-status.",
                         row->code);
    e->meaning = row->text;
    e->component = "FTP service";
    e->when = row->when;
    if (!is_substatus && !row->when)
        e->when = "IIS 7 and later never send it";
    e->here = "not raised by this version of the server";
    e->note = row->note;
    e->reproduce = row->reproduce;
    e->command = row->command;
    e->versions = row->versions;
    e->causes = row->causes;
    e->remedies = row->remedies;
    e->on_windows = row->on_windows;
    e->on_candor = row->on_candor;
    e->settings = row->settings;
    e->sources = row->sources;
}

static void make_error(struct arena *a, struct explain_entry *e, const struct win32_row *row,
                       uint32_t shown)
{
    bool is_win32 = row->code <= 0xFFFF;
    bool as_hresult = !is_win32 || shown != row->code;

    entry_init(e, as_hresult ? EXPLAIN_HRESULT : EXPLAIN_WIN32);
    e->code = as_hresult ? TEXT(a, "0x%08x", shown) : TEXT(a, "%u", shown);
    e->term = as_hresult ? e->code : TEXT(a, "win32 %s", e->code);
    e->name = row->name;
    e->title = row->text;
    e->logged_in = "iis";
    e->logged = TEXT(a,
                     "In the site's log and the FTP site's log as sc-win32-status %u. On detailed "
                     "error pages and in traces as 0x%08x. Not in HTTPERR.",
                     row->code, is_win32 ? HRESULT_FROM_WIN32(row->code) : row->code);
    e->meaning = TEXT(a, "%s.", row->text);
    e->when = row->where;
    e->component = is_win32 ? "Windows, or the module that failed" : "the component that failed";
    e->causes = row->causes;
    e->remedies = row->remedies;
    e->on_windows = row->on_windows;
    e->on_candor = row->on_candor;
    e->sources = winerror_sources;

    uint32_t *errors = arena_alloc(a, sizeof(*errors));

    *errors = row->code;
    e->errors = errors;
    e->error_count = 1;
}

static const char *unit_of(const struct http_parameter *row)
{
    switch (row->kind) {
    case HTTP_PARAMETER_BYTES:
        return " bytes";
    case HTTP_PARAMETER_CHARS:
        return " characters";
    case HTTP_PARAMETER_SECONDS:
        return " seconds";
    case HTTP_PARAMETER_BOOL:
    case HTTP_PARAMETER_COUNT:
    case HTTP_PARAMETER_CHOICE:
    case HTTP_PARAMETER_MASK:
    case HTTP_PARAMETER_TEXT:
        break;
    }
    return "";
}

static const char *parameter_range(struct arena *a, const struct http_parameter *row)
{
    if (row->kind == HTTP_PARAMETER_TEXT)
        return TEXT(a, "Default: %s.", row->def_text);
    if (row->kind == HTTP_PARAMETER_MASK)
        return TEXT(a, "Default: 0x%x; any bits of 0x%x.", row->def, row->max);
    if (row->kind == HTTP_PARAMETER_BOOL)
        return TEXT(a, "Default: %u; 0 means no, %s means yes.", row->def,
                    row->max == 1 ? "1" : "any other number");
    return TEXT(a, "Default: %u%s; %u to %u.", row->def, unit_of(row), row->min, row->max);
}

/* A value worth showing in an example: the other one of a switch, else the greatest, if it is not
 * beyond reason. */
static uint32_t parameter_example(const struct http_parameter *row)
{
    if (row->kind == HTTP_PARAMETER_BOOL)
        return !row->def;
    if (row->kind == HTTP_PARAMETER_MASK || row->max < row->def)
        return row->max;
    if (row->kind == HTTP_PARAMETER_CHOICE)
        return row->def < row->max ? row->def + 1 : row->min;
    if (row->def == 0 || row->def > row->max / 2)
        return row->max == UINT32_MAX ? 65536 : row->max;
    return row->def * 2;
}

static void make_parameter(struct arena *a, struct explain_entry *e,
                           const struct http_parameter *row)
{
    static const char *const services[] = {[HTTP_PARAMETER_KEY_HTTP] = "HTTP",
                                           [HTTP_PARAMETER_KEY_W3SVC] = "W3SVC",
                                           [HTTP_PARAMETER_KEY_HTTPFILTER] = "HTTPFilter"};
    const char *service = services[row->key];
    const char *key = TEXT(a, "HKLM\\SYSTEM\\CurrentControlSet\\Services\\%s\\Parameters", service);

    entry_init(e, EXPLAIN_PARAMETER);
    e->term = e->code = row->name;
    e->title = row->text;
    e->meaning = TEXT(a, "%s %s%s%s%s", row->text, parameter_range(a, row),
                      row->violated ? " A request that does not fit gets: " : "",
                      row->violated ? row->violated : "", row->violated ? "." : "");
    e->component = "HTTP.sys, when the HTTP service starts";
    e->here = "the listener, from http.reg beside the configuration (--http-parameters)";
    e->logged =
        row->violated ? "What it refuses is in HTTPERR, with the reason named above." : NULL;
    e->logged_in = row->violated && strstr(row->violated, "reason") ? "httperr" : "none";
    e->note =
        row->no_effect ? TEXT(a, "In Candor it has no effect: %s.", row->no_effect) : row->warning;
    e->versions = list_of(a, row->versions, NULL, NULL);
    e->settings = list_of(a, TEXT(a, "%s\\%s", key, row->name), NULL, NULL);
    e->causes = list_of(a, row->change, NULL, NULL);
    bool is_text = row->kind == HTTP_PARAMETER_TEXT;
    uint32_t example = is_text ? 0 : parameter_example(row);

    e->on_windows =
        list_of(a,
                is_text ? TEXT(a, "set the value, for example\nreg add %s /v %s /d D:\\Logs", key,
                               row->name)
                        : TEXT(a, "set the value, for example\nreg add %s /v %s /t REG_DWORD /d %u",
                               key, row->name, example),
                "start the services again\nnet stop http /y & net start w3svc", NULL);
    e->on_candor = list_of(
        a,
        is_text ? TEXT(a, "put a line into http.reg, for example\n\"%s\"=\"D:\\\\Logs\"", row->name)
                : TEXT(a, "put a line into http.reg, for example\n\"%s\"=dword:%08x", row->name,
                       example),
        "let the server read it: SIGHUP", NULL);
    e->remedies = list_of(
        a,
        e->logged_in[0] == 'h'
            ? "find the request that needs it in HTTPERR first, and change as little as it takes"
            : "note the value there is before you change it",
        NULL, NULL);
    e->reproduce = row->command ? "send what it decides about, then look into HTTPERR" : NULL;
    e->command = row->command;
    e->sources = list_of(a, row->source, NULL, NULL);
}

static void make_event(struct arena *a, struct explain_entry *e, const struct event_row *row)
{
    static const char *const severities[] = {
        [EVENT_SEVERITY_ERROR] = "error",
        [EVENT_SEVERITY_WARNING] = "warning",
        [EVENT_SEVERITY_INFO] = "information",
    };
    bool own = str_starts(str_z(row->code), STR("CND-"));

    entry_init(e, EXPLAIN_EVENT);
    e->term = e->code = row->code;
    e->title = row->text;
    e->meaning = TEXT(a, "%s. Event %u of source %s, %s.%s", row->text, row->id, row->source,
                      severities[row->severity],
                      strchr(row->text, '%') ? " %1 to %9 stand for the facts." : "");
    e->component = own ? "Candor" : row->source;
    e->logged = own ? "In inetpub/logs/events.log below the system drive's folder and in the "
                      "journal or syslog."
                    : "On Windows in the event log System (W3SVC-WP: Application). On Candor under "
                      "the same source and number in inetpub/logs/events.log below the system "
                      "drive's folder and in the journal or syslog.";
    e->remedies =
        list_of(a, row->remedy[0] ? row->remedy : "nothing: it is information", NULL, NULL);
    if (!own)
        e->on_windows =
            list_of(a,
                    TEXT(a,
                         "list the latest ones\nwevtutil qe System /c:20 /rd:true /f:text "
                         "/q:\"*[System[EventID=%u]]\"",
                         row->id),
                    NULL, NULL);
    e->on_candor =
        list_of(a, TEXT(a, "list them\ngrep '\"id\": *%u\\b' inetpub/logs/events.log", row->id),
                NULL, NULL);
    e->sources = own ? own_sources : event_sources;
}

static void make_field(struct arena *a, struct explain_entry *e, const struct log_field_text *row)
{
    struct buf b;

    buf_init(&b, EXPLAIN_OUTPUT_MAX);
    for (size_t i = 0; row->logs[i]; i++) {
        buf_str(&b, i ? STR("; ") : STR("Column of "));
        buf_str(&b, str_z(row->logs[i]));
    }
    buf_char(&b, '.');
    entry_init(e, EXPLAIN_FIELD);
    e->term = e->code = row->name;
    e->title = row->title;
    e->meaning = row->text;
    e->logged_in = str_eq(str_z(row->logs[0]), STR("HTTPERR")) ? "httperr" : "iis";
    e->logged = arena_dup_z(a, buf_view(&b));
    e->note = row->note;
    e->versions = row->versions;
    e->remedies = row->remedies;
    e->sources = row->sources;
    buf_fini(&b);
}

/* A plain HTTP status lists its sub-statuses, an FTP reply those that come with it. */
static void add_parts(struct explain_catalogue *c, struct explain_entry *e)
{
    struct explain_ref *parts = arena_alloc(&c->arena, c->n * sizeof(*parts));
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++) {
        const struct explain_entry *other = &c->entries[i];

        if (other->kind == EXPLAIN_HTTP && e->kind == EXPLAIN_HTTP && other->status == e->status &&
            other->substatus > 0)
            parts[n++] = (struct explain_ref){other->code, other->title};
        if (other->kind != EXPLAIN_FTP || e->kind != EXPLAIN_FTP || other->substatus < 0)
            continue;
        for (const uint16_t *r = ftp_substatus_find((uint32_t)other->substatus)->replies; *r; r++) {
            if (*r == e->status)
                parts[n++] = (struct explain_ref){TEXT(&c->arena, "%u.%d", *r, other->substatus),
                                                  other->title};
        }
    }
    e->parts = parts;
    e->part_count = n;
}

void explain_catalogue_init(struct explain_catalogue *c)
{
    struct arena *a = &c->arena;
    struct explain_entry *e;

    arena_init(a, 0);
    c->n = status_count() + (HTTPERR_MAX - HTTPERR_NONE - 1) + ARRAY_LEN(undocumented) +
           ftp_reply_count() + ftp_substatus_count() + win32_count() + http_parameter_count() +
           EV_COUNT + log_field_text_count();
    e = c->entries = arena_alloc(a, c->n * sizeof(*c->entries));
    for (size_t i = 0; i < status_count(); i++)
        make_http(a, e++, status_at(i));
    for (size_t i = HTTPERR_NONE + 1; i < HTTPERR_MAX; i++)
        make_httperr(a, e++, httperr_find((enum httperr_reason)i));
    for (size_t i = 0; i < ARRAY_LEN(undocumented); i++)
        make_undocumented(a, e++, i);
    for (size_t i = 0; i < ftp_reply_count(); i++)
        make_ftp(a, e++, ftp_reply_at(i), false);
    for (size_t i = 0; i < ftp_substatus_count(); i++)
        make_ftp(a, e++, ftp_substatus_at(i), true);
    for (size_t i = 0; i < win32_count(); i++)
        make_error(a, e++, win32_at(i), win32_at(i)->code);
    for (size_t i = 0; i < http_parameter_count(); i++)
        make_parameter(a, e++, http_parameter_at(i));
    for (size_t i = 0; i < EV_COUNT; i++)
        make_event(a, e++, event_row((enum event_id)i));
    for (size_t i = 0; i < log_field_text_count(); i++)
        make_field(a, e++, log_field_text_at(i));
    INVARIANT(e == c->entries + c->n);
    for (size_t i = 0; i < c->n; i++) {
        e = &c->entries[i];
        if ((e->kind == EXPLAIN_HTTP && e->substatus == 0) ||
            (e->kind == EXPLAIN_FTP && e->substatus < 0))
            add_parts(c, e);
    }
}

void explain_catalogue_fini(struct explain_catalogue *c)
{
    arena_fini(&c->arena);
}

const struct explain_entry *explain_find_error(struct explain_catalogue *c, uint32_t code,
                                               bool as_hresult)
{
    const struct win32_row *row = win32_find(code);
    uint32_t shown = as_hresult && code <= 0xFFFF ? HRESULT_FROM_WIN32(code) : code;

    if (!row)
        return NULL;
    if (shown == row->code) {
        for (size_t i = 0; i < c->n; i++) {
            const struct explain_entry *e = &c->entries[i];

            if ((e->kind == EXPLAIN_WIN32 || e->kind == EXPLAIN_HRESULT) && *e->errors == row->code)
                return e;
        }
    }

    struct explain_entry *e = arena_alloc(&c->arena, sizeof(*e));

    make_error(&c->arena, e, row, shown);
    return e;
}
