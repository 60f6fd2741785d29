#include "tables/http_parameters.h"

#include "tables/http_parameters_set.h"

#include "base/poison.h"

#define FIELD(member) .offset = offsetof(struct http_parameters, member)
#define BOOLEAN(d) .kind = HTTP_PARAMETER_BOOL, .def = (d), .min = 0, .max = UINT32_MAX
#define SWITCH(d) .kind = HTTP_PARAMETER_BOOL, .def = (d), .min = 0, .max = 1
#define NUMBER(k, d, lo, hi) .kind = HTTP_PARAMETER_##k, .def = (d), .min = (lo), .max = (hi)

#define KB820129 "Microsoft KB 820129, Http.sys registry settings for Windows"
#define KB820729 "Microsoft KB 820729, Error logging in HTTP APIs"
#define HTTP_API "HTTP Server API documentation"
#define IIS_CONFIG "IIS configuration reference"
#define OBSERVED "behaviour of current versions of Windows; not in KB 820129"
#define NOTHING_FETCHED \
    "chains of certificates are built from the folders of the stores, nothing is fetched"
#define NO_HTTP3 "HTTP/3 is not served"
#define FIXED_WINDOW \
    "256 KiB of each answer may wait for its client, between the worker and the connection"
#define CANDOR_OWN "Candor; Windows has no such value"
#define SERVER_2003_ON "HTTP API 1.0 (Windows Server 2003) and later"

/* Sorted by name. A BOOLEAN counts every number but 0 as true; a SWITCH is documented as 0 or 1. */
static const struct http_parameter rows[] = {
    {.name = "AllowCaseInsensitiveVerbs",
     .command = "printf 'get / HTTP/1.1\\r\\nHost: HOST\\r\\n\\r\\n' | nc HOST 80",
     .change = "old clients or devices send \"get\" and are refused with reason Verb",
     .versions = SERVER_2003_ON,
     .source = HTTP_API,
     BOOLEAN(0),
     FIELD(allow_case_insensitive_verbs),
     .text = "Accepts the standard methods in lower case.",
     .violated = "400, reason Verb"},
    {.name = "AllowRestrictedChars",
     .command = "curl -i http://HOST/%01",
     .change =
         "URLs of an old application hold escaped control characters, refused with reason URL",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     BOOLEAN(0),
     FIELD(allow_restricted_chars),
     .text = "Accepts escapes in the path that stand for U+0001-U+001F and U+007F-U+009F.",
     .warning = "Control characters in paths can deceive programs that read logs or file names.",
     .violated = "400, reason URL"},
    {.name = "AllowUnEscapedRestrictedChars",
     .command = "printf 'GET /\\001 HTTP/1.1\\r\\nHost: HOST\\r\\n\\r\\n' | nc HOST 80",
     .change = "a client that cannot be corrected sends raw control characters in URLs",
     .versions = SERVER_2003_ON,
     .source = HTTP_API,
     BOOLEAN(0),
     FIELD(allow_unescaped_restricted_chars),
     .text = "Accepts raw control characters in path and query, but not NUL, TAB, LF and CR.",
     .warning = "Control characters in paths can deceive programs that read logs or file names.",
     .violated = "400, reason URL"},
    {.name = "AllowWeakHeaderNameSyntax",
     .command = "printf 'GET / HTTP/1.1\\r\\nHost: HOST\\r\\nB@d: x\\r\\n\\r\\n' | nc HOST 80",
     .change = "a client or proxy sends header names with separators, refused with reason Header",
     .versions = SERVER_2003_ON,
     .source = HTTP_API,
     BOOLEAN(0),
     FIELD(allow_weak_header_name_syntax),
     .text = "Accepts names of headers that hold separators.",
     .warning = "A proxy in front may read such a header differently.",
     .violated = "400, reason Header"},
    {.name = "AllowWeakHeaderValueSyntax",
     .command = "printf 'GET / HTTP/1.1\\r\\nHost: HOST\\r\\nX: a\\001b\\r\\n\\r\\n' | nc HOST 80",
     .change =
         "a client or proxy sends raw control characters in headers, refused with reason Header",
     .versions = SERVER_2003_ON,
     .source = HTTP_API,
     BOOLEAN(0),
     FIELD(allow_weak_header_value_syntax),
     .text = "Accepts raw control characters in the values of headers.",
     .warning = "A proxy in front may read such a header differently.",
     .violated = "400, reason Header"},
    {.name = "CertChainCacheOnlyUrlRetrieval",
     .change = "client certificates are refused because an intermediate certificate is not at hand",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     .key = HTTP_PARAMETER_KEY_HTTPFILTER,
     BOOLEAN(1),
     FIELD(cert_chain_cache_only_url_retrieval),
     .text = "0: the check of a client certificate may fetch what is missing from the network.",
     .warning = "The handshake then waits for other servers.",
     .no_effect = NOTHING_FETCHED},
    {.name = "DisableServerHeader",
     .command = "curl -i http://HOST/%zz",
     .change = "a scan of the server complains about the Server header",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     NUMBER(CHOICE, 0, 0, 2),
     FIELD(disable_server_header),
     .text =
         "0: the application's Server header is sent, else the listener's. 1: none on answers of "
         "the listener itself. 2: the listener never adds one."},
    {.name = "DisableSslCertChainCacheOnlyUrlRetrieval",
     .change = "client certificates are refused because an intermediate certificate is not at hand",
     .versions = SERVER_2003_ON,
     .source = HTTP_API,
     BOOLEAN(0),
     FIELD(disable_ssl_cert_chain_cache_only_url_retrieval),
     .text = "Lets the check of a client certificate fetch what is missing from the network.",
     .warning = "The handshake then waits for other servers.",
     .no_effect = NOTHING_FETCHED},
    {.name = "EnableAggressiveMemoryUsage",
     .change = "HTTPERR has Connections_Refused while there is memory",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     SWITCH(0),
     FIELD(enable_aggressive_memory_usage),
     .text = "Accepts connections until less memory for them is left: 8 MB instead of 20 MB.",
     .violated = "not accepted; Connections_Refused"},
    {.name = "EnableAltSvc",
     .change = "HTTP/3 is on and browsers are to learn of it",
     .versions = "Windows Server 2022, Windows 11 and later",
     .source = OBSERVED,
     BOOLEAN(0),
     FIELD(enable_alt_svc),
     .text = "Announces HTTP/3 with an Alt-Svc header.",
     .no_effect = NO_HTTP3},
    {.name = "EnableErrorLogging",
     .change = "HTTPERR is empty: somebody switched it off",
     .versions = SERVER_2003_ON,
     .source = KB820729,
     BOOLEAN(1),
     FIELD(enable_error_logging),
     .text = "Writes HTTPERR.",
     .warning = "Without it nothing tells why the listener refused a request."},
    {.name = "EnableHttp2Cleartext",
     .change = "a proxy or gRPC client speaks HTTP/2 without TLS",
     .versions = "Windows Server 2016, Windows 10 and later",
     .source = OBSERVED,
     BOOLEAN(0),
     FIELD(enable_http2_cleartext),
     .text = "Speaks HTTP/2 without TLS to clients that begin with it."},
    {.name = "EnableHttp2Tls",
     .change = "a fault of HTTP/2 is to be ruled out",
     .versions = "Windows Server 2016, Windows 10 and later",
     .source = OBSERVED,
     BOOLEAN(1),
     FIELD(enable_http2_tls),
     .text = "Offers HTTP/2 over TLS."},
    {.name = "EnableHttp3",
     .change = "clients on lossy networks are to use HTTP/3",
     .versions = "Windows Server 2022, Windows 11 and later",
     .source = OBSERVED,
     BOOLEAN(0),
     FIELD(enable_http3),
     .text = "Offers HTTP/3.",
     .no_effect = NO_HTTP3},
    {.name = "EnableNonUTF8",
     .command = "curl -i http://HOST/%E9",
     .change = "paths in an old code page are to be refused",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     BOOLEAN(1),
     FIELD(enable_non_utf8),
     .text = "Accepts paths in the system's code page; 0 accepts UTF-8 only.",
     .violated = "400, reason URL"},
    {.name = "EnableSslCloseNotify",
     .change = "a client warns about truncated TLS connections",
     .versions = SERVER_2003_ON,
     .source = HTTP_API,
     BOOLEAN(0),
     FIELD(enable_ssl_close_notify),
     .text = "Ends TLS connections with a close_notify alert.",
     .no_effect = "TLS connections always end with one, since without it a client cannot tell the "
                  "end of an answer from a connection that was cut (RFC 8446 section 6.1)"},
    {.name = "EnableTraceMethod",
     .command = "curl -i -X TRACE http://HOST/",
     .change = "a test wants TRACE",
     .versions = "IIS 6.0 and later",
     .source = IIS_CONFIG,
     .key = HTTP_PARAMETER_KEY_W3SVC,
     BOOLEAN(0),
     FIELD(enable_trace_method),
     .text = "Answers TRACE with an echo of the request.",
     .warning = "An echo shows headers, cookies among them, to whoever can cause the request.",
     .violated = "501.0"},
    {.name = "ErrorLogFileTruncateSize",
     .change = "HTTPERR makes too many files",
     .versions = SERVER_2003_ON,
     .source = KB820729,
     NUMBER(BYTES, 0x100000, 0x100000, UINT32_MAX),
     FIELD(error_log_file_truncate_size),
     .text = "Size at which HTTPERR begins a new file when it rolls over by size."},
    {.name = "ErrorLoggingColumns",
     .change = "a program that reads HTTPERR expects the form of another Windows",
     .versions = "none",
     .source = CANDOR_OWN,
     NUMBER(CHOICE, HTTP_ERROR_COLUMNS_2016, 0, HTTP_ERROR_COLUMNS_CURRENT),
     FIELD(error_logging_columns),
     .text = "Whose form HTTPERR has. 0: Windows Server 2016 (streamid). 1: 2003. 2: 2008 to "
             "2012 R2. 3: the current one (transport and fault codes)."},
    {.name = "ErrorLoggingDir",
     .change = "HTTPERR is to be on another volume",
     .versions = SERVER_2003_ON,
     .source = KB820729,
     .kind = HTTP_PARAMETER_TEXT,
     .def_text = "%SystemRoot%\\System32\\LogFiles",
     FIELD(error_logging_dir),
     .text = "Folder that holds the folder HTTPERR; a full local path."},
    {.name = "ErrorLoggingFields",
     .change = "HTTPERR lacks a column, such as the host or the time taken",
     .versions = SERVER_2003_ON,
     .source = KB820729,
     NUMBER(MASK, 0x7c884c7, 0, 0x7dff4e7),
     FIELD(error_logging_fields),
     .text = "Columns of HTTPERR, one bit for each."},
    {.name = "ErrorLoggingLocaltimeRollover",
     .change = "files of HTTPERR are to begin at local midnight",
     .versions = SERVER_2003_ON,
     .source = KB820729,
     BOOLEAN(0),
     FIELD(error_logging_localtime_rollover),
     .text = "Begins new files of HTTPERR by local time; times inside stay UTC."},
    {.name = "ErrorLoggingRolloverType",
     .change = "HTTPERR is to begin a file each day",
     .versions = SERVER_2003_ON,
     .source = KB820729,
     NUMBER(CHOICE, 0, 0, 4),
     FIELD(error_logging_rollover_type),
     .text = "When HTTPERR begins a new file. 0: by size, 1: daily, 2: weekly, 3: monthly, "
             "4: hourly."},
    {.name = "FavorUTF8",
     .change = "paths in an old code page are read wrongly",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     BOOLEAN(1),
     FIELD(favor_utf8),
     .text =
         "Reads a path as UTF-8 first and then in the system's code page; 0 the other way round, "
         "if EnableNonUTF8 allows both."},
    {.name = "HeaderWaitTimeout",
     .command = "printf 'GET / HTTP/1.1\\r\\nHost:' | nc HOST 80",
     .change = "connections with slow headers use up the server (Timer_HeaderWait)",
     .versions = SERVER_2003_ON,
     .source = HTTP_API,
     NUMBER(SECONDS, 120, 1, 65535),
     FIELD(header_wait_timeout_s),
     .text = "Time from the first byte of a request to the end of its headers, where webLimits "
             "sets none (netsh http add timeout headerwaittimeout). 65535: no limit.",
     .warning = "A long time lets slow clients hold connections.",
     .violated = "closed; Timer_HeaderWait"},
    {.name = "Http2MaxClientResetsGoaway",
     .change = "who resets too many streams is to be cut off without a word",
     .versions = "with the updates of October 2023 and later",
     .source = OBSERVED,
     SWITCH(1),
     FIELD(http2_max_client_resets_goaway),
     .text = "Says GOAWAY to an HTTP/2 client that resets more streams than allowed; 0 ends its "
             "connection at once.",
     .violated = "GOAWAY"},
    {.name = "Http2MaxClientResetsPerMinute",
     .change = "a client that cancels many requests loses its HTTP/2 connection",
     .versions = "with the updates of October 2023 and later",
     .source = OBSERVED,
     NUMBER(COUNT, 400, 0, 65535),
     FIELD(http2_max_client_resets_per_minute),
     .text = "Streams that a client may reset within a minute.",
     .violated = "GOAWAY"},
    {.name = "IdleConnectionTimeout",
     .command = "nc HOST 80",
     .change = "connections without a request are to end sooner",
     .versions = SERVER_2003_ON,
     .source = HTTP_API,
     NUMBER(SECONDS, 120, 1, 65535),
     FIELD(idle_connection_timeout_s),
     .text = "Time that a connection may stay idle before its first request was routed to a site "
             "(netsh http add timeout idleconnectiontimeout). 65535: no limit.",
     .violated = "closed; Timer_ConnectionIdle"},
    {.name = "MaxBufferedSendBytes",
     .change = "few large answers are sent slowly over a long line",
     .versions = SERVER_2003_ON,
     .source = OBSERVED,
     NUMBER(BYTES, 0, 0, UINT32_MAX),
     FIELD(max_buffered_send_bytes),
     .text =
         "Bytes of an answer that may be copied and waiting to be sent; 0: chosen by the server.",
     .no_effect = FIXED_WINDOW},
    {.name = "MaxBytesPerSend",
     .change = "few large answers are sent slowly over a long line",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     NUMBER(BYTES, HTTP_PARAMETERS_BYTES_PER_SEND, 1, 0xFFFFF),
     FIELD(max_bytes_per_send),
     .text =
         "Bytes of an answer that are under way to a client at once, sent and not acknowledged; "
         "the default leaves it to the kernel.",
     .warning = "Large values cost memory for each slow client."},
    {.name = "MaxConnections",
     .change = "the computed maximum of connections does not fit the machine",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     NUMBER(COUNT, UINT32_MAX, 1024, 2031616),
     FIELD(max_connections),
     .text = "Connections at a time; by default as many as the system allows.",
     .violated = "closed without an answer"},
    {.name = "MaxEndpoints",
     .change = "more addresses and ports are needed than the machine allows itself",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     NUMBER(COUNT, 0, 0, 1024),
     FIELD(max_endpoints),
     .text = "Addresses and ports listened on at a time; 0: as many as the system allows. A site "
             "that would need more does not start."},
    {.name = "MaxFieldLength",
     .command = "curl -i -H \"X-Long: $(printf '%020000d' 0)\" http://HOST/",
     .change = "Kerberos tickets of users in many groups, or large cookies, are refused with "
               "reason FieldLength; long URLs with URL_Length",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     NUMBER(BYTES, 16384, 64, 65534),
     FIELD(max_field_length),
     .text = "Length of one header, and of the URL. Never above MaxRequestBytes.",
     .warning = "Each connection may take that much memory.",
     .violated = "400, reason FieldLength; for the URL 414, reason URL_Length"},
    {.name = "MaxRequestBytes",
     .command = "curl -i $(for i in 1 2 3; do printf ' -H X-%d:%08000d' $i 0; done) http://HOST/",
     .change = "the same, refused with reason RequestLength; raise it together with MaxFieldLength",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     NUMBER(BYTES, 16384, 256, 16777216),
     FIELD(max_request_bytes),
     .text = "Length of request line and headers together.",
     .warning = "Each connection may take that much memory; a flood of such requests takes it all.",
     .violated = "400, reason RequestLength"},
    {.name = "PercentUAllowed",
     .command = "curl -i http://HOST/%u0041",
     .change = "%u escapes are to be refused: they are no part of any standard",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     BOOLEAN(1),
     FIELD(percent_u_allowed),
     .text = "Accepts %uNNNN in paths.",
     .violated = "400, reason URL"},
    {.name = "UriEnableCache",
     .change = "a fault of the response cache is to be ruled out",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     BOOLEAN(1),
     FIELD(uri_enable_cache),
     .text = "Keeps answers in the response cache."},
    {.name = "UriMaxCacheMegabyteCount",
     .change = "the response cache takes too much memory, or too little is left for it",
     .versions = SERVER_2003_ON,
     .source = OBSERVED,
     NUMBER(COUNT, 0, 0, UINT32_MAX),
     FIELD(uri_max_cache_megabyte_count),
     .text = "Megabytes that the response cache may take; 0: from the memory of the machine."},
    {.name = "UriMaxUriBytes",
     .change = "larger files are to be kept in the response cache",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     NUMBER(BYTES, 262144, 4096, 16777216),
     FIELD(uri_max_uri_bytes),
     .text = "Largest answer that the response cache keeps."},
    {.name = "UriScavengerPeriod",
     .change = "entries leave the response cache too soon or too late",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     NUMBER(SECONDS, 120, 10, UINT32_MAX),
     FIELD(uri_scavenger_period_s),
     .text = "How often the response cache drops entries that nobody asked for since."},
    {.name = "UrlSegmentMaxCount",
     .command = "curl -i \"http://HOST$(printf '/a%.0s' $(seq 300))\"",
     .change = "deep paths are refused with reason URL",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     NUMBER(COUNT, 255, 0, 16383),
     FIELD(url_segment_max_count),
     .text = "Segments of a path; 0: no limit.",
     .violated = "400, reason URL"},
    {.name = "UrlSegmentMaxLength",
     .command = "curl -i \"http://HOST/$(printf '%0300d' 0)\"",
     .change = "a path segment of more than 260 characters is refused with reason URL, often an "
               "identifier or a token in the path",
     .versions = SERVER_2003_ON,
     .source = KB820129,
     NUMBER(CHARS, 260, 0, 32766),
     FIELD(url_segment_max_length),
     .text = "Characters of one segment of a path after decoding; 0: no limit.",
     .violated = "400, reason URL"},
};

size_t http_parameter_count(void)
{
    return ARRAY_LEN(rows);
}

const struct http_parameter *http_parameter_at(size_t i)
{
    return i < ARRAY_LEN(rows) ? &rows[i] : NULL;
}

const struct http_parameter *http_parameter_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_ieq(str_z(rows[i].name), name))
            return &rows[i];
    }
    return NULL;
}

static void *field(const struct http_parameter *row, struct http_parameters *p)
{
    return (char *)p + row->offset;
}

static const void *const_field(const struct http_parameter *row, const struct http_parameters *p)
{
    return (const char *)p + row->offset;
}

/* memcpy instead of a cast: the compiler sees that no type is mistaken for another. */
static void set_number(const struct http_parameter *row, struct http_parameters *p, uint32_t value)
{
    bool flag = value != 0;

    if (row->kind == HTTP_PARAMETER_BOOL)
        memcpy(field(row, p), &flag, sizeof(flag));
    else
        memcpy(field(row, p), &value, sizeof(value));
}

static void set_text(const struct http_parameter *row, struct http_parameters *p, struct str text)
{
    char *to = field(row, p);

    INVARIANT(text.n < HTTP_PARAMETERS_DIR_MAX);
    memset(to, 0, HTTP_PARAMETERS_DIR_MAX);
    if (text.n > 0)
        memcpy(to, text.p, text.n);
}

uint32_t http_parameter_value(const struct http_parameter *row, const struct http_parameters *p)
{
    uint32_t value;
    bool flag;

    INVARIANT(row->kind != HTTP_PARAMETER_TEXT);
    if (row->kind == HTTP_PARAMETER_BOOL) {
        memcpy(&flag, const_field(row, p), sizeof(flag));
        return flag;
    }
    memcpy(&value, const_field(row, p), sizeof(value));
    return value;
}

void http_parameter_reset(const struct http_parameter *row, struct http_parameters *p)
{
    if (row->kind == HTTP_PARAMETER_TEXT)
        set_text(row, p, str_z(row->def_text));
    else
        set_number(row, p, row->def);
}

bool http_parameter_set_number(const struct http_parameter *row, struct http_parameters *p,
                               uint64_t value)
{
    bool fits = row->kind == HTTP_PARAMETER_MASK ? (value & ~(uint64_t)row->max) == 0
                                                 : value >= row->min && value <= row->max;

    if (row->kind == HTTP_PARAMETER_TEXT || (!fits && value != row->def))
        return false;
    set_number(row, p, (uint32_t)value);
    return true;
}

/* A full path: of a drive, of one of the two folders that configuration names by variable, or ours.
 */
static bool is_full_path(struct str s)
{
    if (str_istarts(s, STR("%SystemRoot%")) || str_istarts(s, STR("%windir%")) ||
        str_istarts(s, STR("%SystemDrive%")) || str_starts(s, STR("/")))
        return true;
    return s.n >= 3 && ascii_is_alpha(s.p[0]) && s.p[1] == ':' && (s.p[2] == '\\' || s.p[2] == '/');
}

bool http_parameter_set_text(const struct http_parameter *row, struct http_parameters *p,
                             struct str value)
{
    if (row->kind != HTTP_PARAMETER_TEXT || value.n >= HTTP_PARAMETERS_DIR_MAX ||
        !is_full_path(value) || str_find_char(value, '\0') != SIZE_MAX)
        return false;
    set_text(row, p, value);
    return true;
}

void http_parameters_default(struct http_parameters *ret)
{
    *ret = (struct http_parameters){0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        http_parameter_reset(&rows[i], ret);
}

json_t *http_parameters_to_json(const struct http_parameters *p)
{
    json_t *j = json_object();

    INVARIANT(j);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct http_parameter *row = &rows[i];
        json_t *value;

        if (row->kind == HTTP_PARAMETER_TEXT)
            value = json_string(const_field(row, p));
        else if (row->kind == HTTP_PARAMETER_BOOL)
            value = json_boolean(http_parameter_value(row, p));
        else
            value = json_integer(http_parameter_value(row, p));
        INVARIANT(value && json_object_set_new(j, row->name, value) == 0);
    }
    return j;
}

static bool from_json_value(const struct http_parameter *row, const json_t *value,
                            struct http_parameters *p)
{
    if (row->kind == HTTP_PARAMETER_TEXT) {
        return json_is_string(value) &&
               http_parameter_set_text(row, p,
                                       str_n(json_string_value(value), json_string_length(value)));
    }
    if (row->kind == HTTP_PARAMETER_BOOL) {
        if (!json_is_boolean(value))
            return false;
        set_number(row, p, json_is_true(value));
        return true;
    }
    return json_is_integer(value) && json_integer_value(value) >= 0 &&
           http_parameter_set_number(row, p, (uint64_t)json_integer_value(value));
}

bool http_parameters_from_json(const json_t *j, struct http_parameters *ret)
{
    bool good = true;

    http_parameters_default(ret);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const json_t *value = json_object_get(j, rows[i].name);

        if (value && !from_json_value(&rows[i], value, ret))
            good = false;
    }
    if (ret->max_field_length > ret->max_request_bytes)
        ret->max_field_length = ret->max_request_bytes;
    return good;
}
