#include "worker/modules/custom_error_page.h"

#include <stdio.h>

#include "config/config.h"
#include "worker/handlers.h"
#include "worker/module.h"
#include "worker/modules/server_variables.h"
#include "worker/modules/text.h"
#include "worker/url_cache.h"

#include "base/poison.h"

/* The build that the link of the detailed page names: Windows Server 2022. */
#define OS_BUILD 20348

/* Bytes of the requested URL as shown: a target of the largest size, escaped. */
enum { URL_MAX = 256 * 1024 };

/* ---- single lines --------------------------------------------------------------------------- */

#define LINE(status, text)           \
    {                                \
        (status),                    \
        {                            \
            (text), sizeof(text) - 1 \
        }                            \
    }

static const struct {
    uint16_t status;
    struct str text;
} lines[] = {
    LINE(401, "Access to this folder or page was refused with the credentials given."),
    LINE(403, "Access to this folder or page was refused with the credentials given."),
    LINE(404, "What you asked for is not here: removed, renamed, or away for a while."),
    LINE(405, "The page does not allow the HTTP verb that was used."),
    LINE(406, "The page has a type that your browser does not accept."),
    LINE(412, "A precondition in the request turned out not to hold on the server."),
    LINE(413, "The body of the request is larger than the server takes."),
    LINE(500, "The server met an error inside and cannot show the page."),
    LINE(501, "A header of the request asks for something the server is not set up for."),
    LINE(502, "A server behind this one gave no usable answer."),
    LINE(503, "The service is not available at the moment."),
};

struct str error_page_line(uint16_t status)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (lines[i].status == status)
            return lines[i].text;
    return status >= 500 ? STR("The server could not carry out the request.")
                         : STR("The request could not be carried out as it was sent.");
}

struct str error_page_note(void)
{
    return STR(" Besides, the custom error page for this status could not be shown.");
}

/* ---- shipped pages -------------------------------------------------------------------------- */

#define STYLE                                                                                \
    "<style type=\"text/css\">\r\n"                                                          \
    ":root{color-scheme:light dark}\r\n"                                                     \
    "body{margin:0;font:15px/1.5 system-ui,'Segoe "                                          \
    "UI',sans-serif;background:#f4f5f7;color:#1b1f24}"                                       \
    "\r\n#header{padding:14px 24px;background:#3a4654;color:#fff}\r\n"                       \
    "h1{margin:0;font-size:18px}h2{margin:0;font-size:19px;color:#b3261e}h3{font-size:15px;" \
    "font-weight:400}\r\n#content{margin:24px}fieldset{border:0;padding:16px 20px;"          \
    "background:#fff;border-radius:6px}\r\n"                                                 \
    "@media (prefers-color-scheme:dark){body{background:#16191d;color:#e2e5e9}"              \
    "fieldset{background:#20252b}h2{color:#ff8a80}}\r\n</style>\r\n"

#define DOCTYPE                                                   \
    "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" " \
    "\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\">\r\n"  \
    "<html xmlns=\"http://www.w3.org/1999/xhtml\">\r\n<head>\r\n" \
    "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\"/>\r\n"

#define PAGE(title, explanation)                                                         \
    DOCTYPE "<title>" title "</title>\r\n" STYLE "</head>\r\n<body>\r\n"                 \
            "<div id=\"header\"><h1>Server Error</h1></div>\r\n<div id=\"content\">\r\n" \
            "<div class=\"content-container\"><fieldset>\r\n<h2>" title                  \
            "</h2>\r\n<h3>" explanation                                                  \
            "</h3>\r\n</fieldset></div>\r\n</div>\r\n</body>\r\n</html>\r\n"

#define SHIPPED(status, title, explanation)                                \
    {                                                                      \
        (status),                                                          \
        {                                                                  \
            PAGE(title, explanation), sizeof(PAGE(title, explanation)) - 1 \
        }                                                                  \
    }

static const struct {
    uint16_t status;
    struct str page;
} shipped[] = {
    SHIPPED(401, "401 - Unauthorized: Access is denied due to invalid credentials.",
            "This folder or page is not open to the user name and password you gave."),
    SHIPPED(403, "403 - Forbidden: Access is denied.",
            "This folder or page is not open to the user name and password you gave."),
    SHIPPED(404, "404 - File or directory not found.",
            "Nothing is here at the moment: it may have been removed or renamed."),
    SHIPPED(405, "405 - HTTP verb used to access this page is not allowed.",
            "The request used a method that this page is not meant for."),
    SHIPPED(406, "406 - Client browser does not accept the MIME type of the requested page.",
            "The page exists, but not in a form that your browser said it takes."),
    SHIPPED(412, "412 - Precondition set by the client failed when evaluated on the Web server.",
            "The request was to be carried out under a condition that is not met."),
    SHIPPED(500, "500 - Internal server error.",
            "Something went wrong with what you asked for, and it cannot be shown."),
    SHIPPED(501, "501 - Header values specify a method that is not implemented.",
            "The request asks for a method that this server does not carry out."),
    SHIPPED(502,
            "502 - Web server received an invalid response while acting as a gateway or proxy "
            "server.",
            "The page comes from a server behind this one, and that one did not answer properly."),
};

struct str error_page_shipped(uint16_t status)
{
    for (size_t i = 0; i < ARRAY_LEN(shipped); i++)
        if (shipped[i].status == status)
            return shipped[i].page;
    return STR_NULL;
}

/* ---- detailed page -------------------------------------------------------------------------- */

static const char detail_style[] =
    "<style type=\"text/css\">\n"
    ":root{color-scheme:light dark}\n"
    "body{margin:0;font:14px/1.5 system-ui,'Segoe "
    "UI',sans-serif;background:#f4f5f7;color:#1b1f24}\n"
    "#content{max-width:70em;margin:0 auto;padding:20px}\n"
    ".content-container{background:#fff;border-radius:6px;padding:14px 20px;margin:0 0 12px}\n"
    "fieldset{border:0;margin:0;padding:0}\n"
    "h3{margin:0 0 4px;font-size:21px;color:#b3261e}\n"
    "h4{margin:0 0 6px;font-size:15px}\n"
    "ul{margin:0;padding:0 0 0 20px}li{margin:2px 0}\n"
    "code,pre{font:13px/1.5 ui-monospace,Consolas,monospace}\n"
    "pre{margin:4px 0;white-space:pre-wrap;word-break:break-word}\n"
    "#details-left,#details-right{display:inline-block;vertical-align:top;width:49%}\n"
    "table{width:100%;border-collapse:collapse;font-size:13px}\n"
    "th{width:10em;text-align:right;vertical-align:top;font-weight:600;padding:3px 0}\n"
    "td{padding:3px 0;word-break:break-word}\n"
    "tr.alt th,tr.alt td{background:#eef0f3}\n"
    ".highlight-code{color:#c62828;font-weight:700}\n"
    ".clear{clear:both}\n"
    "@media (max-width:50em){#details-left,#details-right{width:100%}}\n"
    "@media (prefers-color-scheme:dark){body{background:#16191d;color:#e2e5e9}\n"
    ".content-container{background:#20252b}h3,.highlight-code{color:#ff8a80}\n"
    "tr.alt th,tr.alt td{background:#2a3038}a{color:#8ab4f8}}\n"
    "</style>\n";

static const char *const notification_names[N_COUNT] = {
    [N_BEGIN_REQUEST] = "BeginRequest",
    [N_AUTHENTICATE_REQUEST] = "AuthenticateRequest",
    [N_AUTHORIZE_REQUEST] = "AuthorizeRequest",
    [N_RESOLVE_REQUEST_CACHE] = "ResolveRequestCache",
    [N_MAP_REQUEST_HANDLER] = "MapRequestHandler",
    [N_ACQUIRE_REQUEST_STATE] = "AcquireRequestState",
    [N_PRE_EXECUTE_REQUEST_HANDLER] = "PreExecuteRequestHandler",
    [N_EXECUTE_REQUEST_HANDLER] = "ExecuteRequestHandler",
    [N_RELEASE_REQUEST_STATE] = "ReleaseRequestState",
    [N_UPDATE_REQUEST_CACHE] = "UpdateRequestCache",
    [N_LOG_REQUEST] = "LogRequest",
    [N_END_REQUEST] = "EndRequest",
    [N_SEND_RESPONSE] = "SendResponse",
};

/* The configuration could not even be scanned: then nothing of the pipeline had begun. */
static bool is_scan_failure(const struct request *r)
{
    return r->failure.config && r->failure.config->is_scan;
}

static struct str reason_of(const struct request *r)
{
    return r->response.reason.n ? r->response.reason : r->response.row->reason;
}

static uint32_t hresult_of(const struct request *r)
{
    if (r->failure.row == r->response.row)
        return r->failure.hresult;
    return r->response.win32 ? r->response.win32 : status_hresult(r->response.row);
}

/* Rows alternate their background from the first one of each table. */
struct table {
    struct buf *b;
    unsigned rows;
};

static void table_open(struct table *t, struct buf *b, const char *id)
{
    *t = (struct table){.b = b};
    buf_printf(b, "<div id=\"%s\"><table border=\"0\" cellpadding=\"0\" cellspacing=\"0\">\n", id);
}

static void table_row(struct table *t, const char *heading, struct str value)
{
    buf_printf(t->b, "<tr%s><th>%s</th><td>&nbsp;&nbsp;&nbsp;",
               t->rows++ % 2 ? "" : " class=\"alt\"", heading);
    buf_html(t->b, value);
    buf_str(t->b, STR("</td></tr>\n"));
}

static void table_close(struct table *t)
{
    buf_str(t->b, STR("</table></div>\n"));
}

static void block_open(struct buf *b, const char *title)
{
    buf_printf(b, "<div class=\"content-container\"><fieldset>\n<h4>%s</h4>\n", title);
}

static void block_close(struct buf *b)
{
    buf_str(b, STR("</fieldset></div>\n"));
}

/* A step may go on with a piece of XML on the following lines. */
static void append_item(struct buf *b, const char *item)
{
    struct str text = str_z(item);
    size_t end = str_find_char(text, '\n');

    buf_str(b, STR("<li>"));
    buf_html(b, str_sub(text, 0, end));
    if (end != SIZE_MAX) {
        buf_str(b, STR("<pre><code>"));
        buf_html(b, str_sub(text, end + 1, text.n));
        buf_str(b, STR("</code></pre>"));
    }
    buf_str(b, STR("</li>\n"));
}

static void append_list(struct buf *b, const char *title, const char *const *items,
                        struct str first)
{
    if (!items[0] && first.n == 0)
        return;
    block_open(b, title);
    buf_str(b, STR("<ul>\n"));
    if (first.n) {
        buf_str(b, STR("<li>"));
        buf_html(b, first);
        buf_str(b, STR("</li>\n"));
    }
    for (; *items; items++)
        append_item(b, *items);
    buf_str(b, STR("</ul>\n"));
    block_close(b);
}

/* Where the causes tell which error code they belong to, only the right ones help. */
static void append_causes(struct buf *b, const char *const *causes, uint32_t hresult)
{
    char code[16];
    const char *mine[8] = {0};
    size_t n = 0;

    snprintf(code, sizeof(code), "0x%08x", hresult);
    for (size_t i = 0; causes[i] && n + 1 < ARRAY_LEN(mine); i++)
        if (strstr(causes[i], code))
            mine[n++] = causes[i];
    append_list(b, "Most likely causes:", n ? mine : causes, STR_NULL);
}

struct str error_page_requested_url(struct request *r)
{
    const struct msg_request *head = &r->msg.head;
    struct str host = server_variable(r, STR("SERVER_NAME"));
    bool bare_v6 = str_find_char(host, ':') != SIZE_MAX && host.p[0] != '[';
    struct str target = r->msg.raw_target;
    size_t slash = 0;

    /* Absolute-form: what stands behind the authority. */
    if (target.n && target.p[0] != '/' && (slash = str_find(target, STR("://"))) != SIZE_MAX) {
        target = str_sub(target, slash + 3, target.n);
        slash = str_find_char(target, '/');
        target = slash == SIZE_MAX ? STR("/") : str_sub(target, slash, target.n);
    }
    _cleanup_buf_ struct buf b = {0};

    buf_init(&b, URL_MAX);
    buf_printf(&b, "%s://%s%.*s%s:%u", head->flags & MSGF_TLS ? "https" : "http",
               bare_v6 ? "[" : "", STR_ARG(host), bare_v6 ? "]" : "", head->local.port);
    text_url_clean(&b, target);
    return text_keep(r, &b);
}

static struct str logon(const struct request *r, struct str known)
{
    if (!r->authenticated)
        return STR("Not yet determined");
    return known.n ? known : STR("Anonymous");
}

static void append_details_left(struct buf *b, struct request *r)
{
    const struct config_error *config = r->failure.config;
    bool scan = is_scan_failure(r);
    bool known = r->failure.row != NULL && !scan;
    struct table t;

    table_open(&t, b, "details-left");
    table_row(&t, "Module",
              str_z(known && r->failure.module ? r->failure.module->name : "IIS Web Core"));
    table_row(&t, "Notification",
              str_z(known ? notification_names[r->failure.notification] : "Unknown"));
    table_row(&t, "Handler", scan || !r->handler ? STR("Not yet determined") : r->handler->name);
    table_row(&t, "Error Code", arena_printf(&r->arena, "0x%08x", hresult_of(r)));
    if (config) {
        table_row(&t, "Config Error", config->text);
        table_row(&t, "Config File", config->file);
        if (config->section.n)
            table_row(&t, "Section", config->section);
    }
    if (r->failure.detail.n)
        table_row(&t, "Detail", r->failure.detail);
    table_close(&t);
}

static void append_details_right(struct buf *b, struct request *r)
{
    const struct config_site *site = r->url ? config_node_site(r->url->node) : NULL;
    struct table t;

    table_open(&t, b, "details-right");
    table_row(&t, "Requested URL", error_page_requested_url(r));
    table_row(&t, "Physical Path", request_physical_path(r));
    table_row(&t, "Logon Method", logon(r, r->auth_type));
    table_row(&t, "Logon User", logon(r, r->user));
    if (site && site->trace_enabled)
        table_row(&t, "Request Tracing Directory", site->trace_directory);
    table_close(&t);
}

/* Lines n-1, n, n+1. Without a known line IIS shows the two numbers before the file's first. */
static void append_source(struct buf *b, const struct config_error *e)
{
    static const char *const open[] = {"", "<span class=\"highlight-code\">", ""};
    static const char *const close[] = {"", "</span>", ""};

    if (!e->has_excerpt)
        return;
    buf_str(b, STR("<div class=\"content-container config_source\"><fieldset>\n"
                   "<h4>Config Source:</h4>\n<pre><code>"));
    for (int i = 0; i < 3; i++) {
        if (e->line == 0 && i == 2)
            break;
        buf_printf(b, "%s%5lld: ", open[i], (long long)e->line - 1 + i);
        buf_html(b, e->excerpt[i]);
        buf_printf(b, "%s\n", close[i]);
    }
    buf_str(b, STR("</code></pre>\n"));
    block_close(b);
}

/* Our addition: who locked what, and the line that would unlock it. */
static void append_lock(struct buf *b, const struct config_error *e)
{
    if (e->lock_file.n == 0 && e->unlock.n == 0)
        return;
    block_open(b, "Locked by:");
    buf_str(b, STR("<p>"));
    if (e->lock_file.n) {
        buf_html(b, e->lock_file);
        if (e->lock_line)
            buf_printf(b, ", line %u", e->lock_line);
    } else {
        buf_str(b, STR("the section's registration (overrideModeDefault)"));
    }
    buf_str(b, STR("</p>\n"));
    if (e->unlock.n) {
        buf_str(b, STR("<p>This would unlock it there:</p>\n<pre><code>"));
        buf_html(b, e->unlock);
        buf_str(b, STR("</code></pre>\n"));
    }
    block_close(b);
}

static void append_more(struct buf *b, const struct request *r, struct str link)
{
    const struct status_row *row = r->response.row;

    block_open(b, "More Information:");
    buf_str(b, r->failure.config
                   ? STR("<p>The server could not use a configuration file that applies to this "
                         "URL; the event log may say more.</p>\n")
                   : STR("<p>This page is shown to clients on the server itself only, unless "
                         "errorMode is Detailed.</p>\n"));
    buf_printf(b, "<p><code>candor explain %u.%u</code> tells more about the code.</p>\n", row->status,
               row->substatus);
    if (link.n) {
        buf_str(b, STR("<p><a href=\""));
        buf_html(b, link);
        buf_printf(b, "%sIIS70Error=%u,%u,0x%08x,%u\">View more information &#187;</a></p>\n",
                   str_find_char(link, '?') == SIZE_MAX ? "?" : "&amp;", row->status,
                   row->substatus, hresult_of(r), OS_BUILD);
    }
    block_close(b);
}

static const char *const check_hint[] = {
    "Run \"candor check\" on the site's folder: it finds this and every other fault at once.", NULL};

void error_page_detailed(struct buf *b, struct request *r, struct str link)
{
    const struct status_row *row = r->response.row;
    const struct config_error *config = r->failure.row == row ? r->failure.config : NULL;
    struct str remedy = config ? config->remedy : STR_NULL;

    buf_str(b, STR(DOCTYPE "<title>IIS 10.0 Detailed Error - "));
    buf_printf(b, "%u.%u - ", row->status, row->substatus);
    buf_html(b, reason_of(r));
    buf_str(b, STR("</title>\n"));
    buf_str(b, str_z(detail_style));
    buf_str(b, STR("</head>\n<body>\n<div id=\"content\">\n"
                   "<div class=\"content-container\"><fieldset>\n"));
    buf_printf(b, "<h3>HTTP Error %u.%u - ", row->status, row->substatus);
    buf_html(b, reason_of(r));
    buf_str(b, STR("</h3>\n<h4>"));
    buf_html(b, str_z(row->text));
    buf_str(b, STR("</h4>\n"));
    block_close(b);
    append_causes(b, row->causes, hresult_of(r));
    /* A configuration error knows its own remedy; the catalogue's are for all of its kind. */
    append_list(b, "Things you can try:", remedy.n ? check_hint : row->remedies, remedy);
    block_open(b, "Detailed Error Information:");
    append_details_left(b, r);
    append_details_right(b, r);
    buf_str(b, STR("<div class=\"clear\"></div>\n"));
    block_close(b);
    if (config) {
        append_source(b, config);
        append_lock(b, config);
    }
    append_more(b, r, link);
    buf_str(b, STR("</div>\n</body>\n</html>\n"));
}

struct str error_page_mark(struct request *r)
{
    const struct status_row *row = r->response.row;

    return arena_printf(&r->arena, "%u.%u %s; id=%llx", row->status, row->substatus, row->title,
                        (unsigned long long)r->msg.head.request_id);
}
