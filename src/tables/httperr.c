#include "tables/httperr.h"

#include "base/poison.h"

/* clang-format off */
#define LIT(text) {text, sizeof(text) - 1}
#define LIST(...) (const char *const[]){__VA_ARGS__, NULL}
#define NOTHING (const char *const[]){NULL}
#define KB820729 LIST("Microsoft KB 820729, Error logging in HTTP APIs")
#define IIS6_TOO \
    LIST("Microsoft KB 820729, Error logging in HTTP APIs", \
         "Microsoft, IIS 6.0 HTTP status codes (IIS 6.0 Resource Kit, chapter 11)")
#define OBSERVED LIST("logs of current versions of Windows")
/* clang-format on */

/* The page as HTTP.sys 2.0 sends it, byte for byte: no blank between the two quoted strings of the
 * document type, every line ended by CR LF. */
#define PAGE(status, title, heading, text)                                                  \
    "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\""                                   \
    "\"http://www.w3.org/TR/html4/strict.dtd\">\r\n"                                        \
    "<HTML><HEAD><TITLE>" title "</TITLE>\r\n"                                              \
    "<META HTTP-EQUIV=\"Content-Type\" Content=\"text/html; charset=us-ascii\"></HEAD>\r\n" \
    "<BODY><h2>" heading "</h2>\r\n"                                                        \
    "<hr><p>HTTP Error " #status ". " text "</p>\r\n"                                       \
    "</BODY></HTML>\r\n"

#define ANSWER(number, page_title, page_heading, page_text)                   \
    .status = number, .title = LIT(page_title), .heading = LIT(page_heading), \
    .text = LIT(page_text), .body = LIT(PAGE(number, page_title, page_heading, page_text))
#define ANSWER_400(page_heading, page_text) ANSWER(400, "Bad Request", page_heading, page_text)
#define ANSWER_503 \
    ANSWER(503, "Service Unavailable", "Service Unavailable", "The service is unavailable.")
#define NO_ANSWER .status = 0

#define SERVER_2003_ON "HTTP API 1.0 (Windows Server 2003) and later"
#define SERVER_2003 "HTTP API 1.0 (Windows Server 2003) only"
#define SERVER_2008 "HTTP API 2.0 (Windows Vista, Server 2008) and later"

#define X(name, text) static const char name_##name[] = text;
HTTPERR_REASONS(X)
#undef X

#define ROW(id) .reason = HTTPERR_##id, .name = {name_##id, sizeof(name_##id) - 1}

/* Indexed by reason. A reason that is missing here fails the unit test of the table. */
static const struct httperr_row rows[HTTPERR_MAX] = {
    [HTTPERR_APP_OFFLINE] =
        {
            ROW(APP_OFFLINE),
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_503,
            .logged = true,
            .meaning = "The application pool was taken offline because its workers failed again "
                       "and again.",
            .causes = LIST("rapid-fail protection counted too many crashes within its interval",
                           "the pool's identity cannot log on, or its program cannot start"),
            .remedies = LIST("look for the crash in the events and cure it",
                             "start the pool again: appcmd start apppool \"NAME\"",
                             "give a pool that crashes now and then more chances, until it is "
                             "cured\n<add name=\"ShopPool\"><failure "
                             "rapidFailProtectionMaxCrashes=\"20\" "
                             "rapidFailProtectionInterval=\"00:05:00\" /></add>"),
            .settings = LIST(
                "system.applicationHost/applicationPools/add/failure/"
                "@rapidFailProtectionMaxCrashes",
                "system.applicationHost/applicationPools/add/failure/@rapidFailProtectionInterval"),
            .reproduce = "let the pool's worker crash five times within five minutes",
        },
    [HTTPERR_APP_POOL_TIMER] =
        {
            ROW(APP_POOL_TIMER),
            .note = "Timer_ReqQueue stands for the same wait where the connection is closed "
                    "without an answer; the documents list both.",
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_503,
            .logged = true,
            .meaning = "The request waited too long in the queue of its application pool.",
            .causes = LIST("workers hang or are too slow", "too few workers for the load"),
            .remedies = LIST("find the slow request with a failed request trace",
                             "recycle the pool, then look at its stacks when it hangs again"),
            .settings = LIST("system.applicationHost/sites/site/limits/@connectionTimeout"),
            .reproduce = "hang the worker and let a request wait in the queue",
        },
    [HTTPERR_APP_SHUTDOWN] =
        {
            ROW(APP_SHUTDOWN),
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_503,
            .logged = true,
            .meaning =
                "The application pool was shut down by a rule of its own, such as its CPU limit.",
            .causes =
                LIST("the pool used more processor time than its limit and the action is KillW3wp"),
            .remedies =
                LIST("find what burns the processor, or raise the limit\n<add name=\"ShopPool\">"
                     "<cpu limit=\"80000\" action=\"Throttle\" "
                     "resetInterval=\"00:05:00\" /></add>"),
            .settings = LIST("system.applicationHost/applicationPools/add/cpu/@limit",
                             "system.applicationHost/applicationPools/add/cpu/@action"),
            .reproduce = "set a low cpu limit with action KillW3wp and keep the worker busy",
        },
    [HTTPERR_BAD_REQUEST] =
        {
            ROW(BAD_REQUEST),
            .command = "printf 'GET / http/1.1\\r\\nHost: HOST\\r\\n\\r\\n' | nc HOST 80",
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_400("Bad Request", "The request is badly formed."),
            .logged = true,
            .meaning = "The request could not be parsed, and none of the closer reasons fits.",
            .causes =
                LIST("the client does not speak HTTP, for example TLS sent to a plain port",
                     "a header that may appear once only was sent twice", "a blank inside the URL"),
            .remedies = LIST("capture the raw request and compare it with RFC 9112"),
            .settings = NOTHING,
            .reproduce = "send \"GET / http/1.1\"",
        },
    [HTTPERR_CLIENT_RESET] =
        {
            ROW(CLIENT_RESET),
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            NO_ANSWER,
            .logged = true,
            .meaning = "The client closed the connection before its request was given to a worker.",
            .causes = LIST("users or clients that give up waiting", "health checks that reset"),
            .remedies = LIST("if there are many, look whether the pool's queue is slow"),
            .settings = NOTHING,
            .reproduce = "send a request to a busy pool and reset the connection",
        },
    [HTTPERR_CONNECTION_ABANDONED_BY_APP_POOL] =
        {
            ROW(CONNECTION_ABANDONED_BY_APP_POOL),
            .note = "Renamed to Connection_Abandoned_By_ReqQueue in Windows Vista and Server 2008.",
            .versions = SERVER_2003,
            .sources = KB820729,
            NO_ANSWER,
            .logged = false,
            .meaning = "A worker ended, or closed its request, with the request pending (Server "
                       "2003's name).",
            .causes =
                LIST("the worker crashed", "the worker was ended while it stopped or recycled"),
            .remedies = LIST("look for a crash in the events at that time"),
            .settings =
                LIST("system.applicationHost/applicationPools/add/processModel/@shutdownTimeLimit"),
            .reproduce =
                "only Server 2003 writes it; later versions write Connection_Abandoned_By_ReqQueue",
        },
    [HTTPERR_CONNECTION_ABANDONED_BY_REQ_QUEUE] =
        {
            ROW(CONNECTION_ABANDONED_BY_REQ_QUEUE),
            .versions = SERVER_2008,
            .sources = KB820729,
            NO_ANSWER,
            .logged = true,
            .meaning = "A worker ended, or closed its request, with the request pending.",
            .causes =
                LIST("the worker crashed", "the worker was ended while it stopped or recycled"),
            .remedies = LIST("look for a crash in the events at that time",
                             "give long requests time to finish: raise shutdownTimeLimit\n<add "
                             "name=\"ShopPool\"><processModel shutdownTimeLimit=\"00:05:00\" "
                             "/></add>"),
            .settings =
                LIST("system.applicationHost/applicationPools/add/processModel/@shutdownTimeLimit"),
            .reproduce = "end the worker while it handles a request",
        },
    [HTTPERR_CONNECTION_DROPPED] =
        {
            ROW(CONNECTION_DROPPED),
            .note = "The HTTP Server API documentation adds: or the worker did not hand over its "
                    "log data within a minute after the disconnect.",
            .command = "curl --max-time 0.1 -o /dev/null http://HOST/large.bin",
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            NO_ANSWER,
            .logged = true,
            .meaning =
                "The client closed the connection before the last part of the answer was sent.",
            .causes = LIST("the user left the page or cancelled", "a network failure",
                           "a proxy whose time-out is shorter than the answer takes"),
            .remedies = LIST("compare time-taken with the time-outs of proxies and clients"),
            .settings = NOTHING,
            .reproduce = "begin a large download and close the connection",
        },
    [HTTPERR_CONNECTION_DROPPED_LIST_FULL] =
        {
            ROW(CONNECTION_DROPPED_LIST_FULL),
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            NO_ANSWER,
            .logged = true,
            .meaning = "Too many dropped connections wait for the data of their log lines.",
            .causes = LIST("many clients leave at once while workers are slow"),
            .remedies = LIST("see Connection_Dropped; find out why workers are slow"),
            .settings = NOTHING,
            .reproduce = "drop very many connections at once",
        },
    [HTTPERR_CONN_LIMIT] =
        {
            ROW(CONN_LIMIT),
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_503,
            .logged = true,
            .meaning = "The site has as many connections as it may have.",
            .causes = LIST("maxConnections of the site is low",
                           "clients keep idle connections open", "a flood of connections"),
            .remedies = LIST("count connections by client, then raise the limit or shorten "
                             "connectionTimeout\n<limits maxConnections=\"10000\" "
                             "connectionTimeout=\"00:01:00\" />"),
            .settings = LIST("system.applicationHost/sites/site/limits/@maxConnections",
                             "system.applicationHost/sites/site/limits/@connectionTimeout"),
            .reproduce = "set maxConnections to 1 and open two connections",
        },
    [HTTPERR_CONNECTIONS_REFUSED] =
        {
            ROW(CONNECTIONS_REFUSED),
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            NO_ANSWER,
            .logged = true,
            .meaning =
                "The machine was short of memory for connections, so new ones were not accepted.",
            .causes = LIST("memory for network buffers ran out",
                           "another program, or the server itself, uses the memory of the machine",
                           "the limit of a control group or container is near"),
            .remedies = LIST("look for what uses the memory", "limit the number of connections"),
            .settings = LIST("EnableAggressiveMemoryUsage", "MaxConnections"),
            .note = "Candor writes one line a second at most, whatever the number of connections "
                    "that it closes; events 1032 and 1033 tell when it began and ended.",
            .reproduce = "run it where less than 20 MB are left, by a memory limit for instance",
        },
    [HTTPERR_DISABLED] =
        {
            ROW(DISABLED),
            .command = "appcmd stop apppool \"NAME\" && curl -i http://HOST/",
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_503,
            .logged = true,
            .meaning = "An administrator stopped the application pool.",
            .causes = LIST("the pool is stopped, or does not start by itself (autoStart false)"),
            .remedies = LIST("start it: appcmd start apppool \"NAME\"",
                             "let it start with the server\n<add name=\"ShopPool\" "
                             "autoStart=\"true\" />"),
            .settings = LIST("system.applicationHost/applicationPools/add/@autoStart"),
            .reproduce = "stop the pool and GET a page",
        },
    [HTTPERR_ENTITY_TOO_LARGE] =
        {
            ROW(ENTITY_TOO_LARGE),
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            ANSWER(413, "Request Entity Too Large", "Request Entity Too Large",
                   "The request entity is too large."),
            .logged = true,
            .meaning = "The body is larger than the listener accepts.",
            .causes = LIST("chunks that add up to more than 64 bits can count"),
            .remedies =
                LIST("correct the client; limits for uploads are those of request filtering"),
            .settings = NOTHING,
            .reproduce = "send chunk sizes that add up beyond 2^64-1",
        },
    [HTTPERR_FIELD_LENGTH] =
        {
            ROW(FIELD_LENGTH),
            .note = "Other programs use the code 431 for this; the listener never does.",
            .command = "curl -i -H \"X-Long: $(printf '%020000d' 0)\" http://HOST/",
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_400("Bad Request - Header Field Too Long",
                       "A request header field is too long."),
            .logged = true,
            .meaning = "One header is longer than MaxFieldLength.",
            .causes = LIST("a large cookie", "a Kerberos token of a user in many groups"),
            .remedies = LIST("shrink the cookie or the group membership",
                             "raise MaxFieldLength and MaxRequestBytes together"),
            .settings = LIST("MaxFieldLength", "MaxRequestBytes"),
            .reproduce = "raise MaxRequestBytes to 65536, then send one header of 20 KB",
        },
    [HTTPERR_FORBIDDEN] =
        {
            ROW(FORBIDDEN),
            .note = "The answer is 403, though its heading speaks of a forbidden URL.",
            .command = "curl -i --path-as-is http://HOST/../../etc/passwd",
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            ANSWER(403, "Forbidden", "Forbidden URL", "The request URL is forbidden."),
            .logged = true,
            .meaning = "The path leaves the root, or holds another sequence that is never allowed.",
            .causes = LIST("a scanner that looks for files outside the site",
                           "a badly joined relative link"),
            .remedies = LIST("nothing for a scanner; otherwise correct the link"),
            .settings = NOTHING,
            .reproduce = "GET /../../etc/passwd",
        },
    [HTTPERR_HEADER] =
        {
            ROW(HEADER),
            .command =
                "printf 'GET / HTTP/1.1\\r\\nHost: HOST\\r\\nB@d Name: x\\r\\n\\r\\n' | nc HOST 80",
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_400("Bad Request - Invalid Header", "The request has an invalid header name."),
            .logged = true,
            .meaning = "A header line is malformed: its name, its value, or the colon is missing.",
            .causes = LIST("a blank or a separator in the name of a header",
                           "a control character in a value"),
            .remedies =
                LIST(
                    "correct the client",
                    "for a client that cannot be changed allow weak syntax in the HTTP parameters"),
            .settings = LIST("AllowWeakHeaderNameSyntax", "AllowWeakHeaderValueSyntax"),
            .reproduce = "send the header \"B@d Name: x\"",
        },
    [HTTPERR_HOSTNAME] =
        {
            ROW(HOSTNAME),
            .note = "The same reason stands for a missing name, a malformed one, and one that no "
                    "site has.",
            .command = "printf 'GET / HTTP/1.1\\r\\n\\r\\n' | nc HOST 80",
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_400("Bad Request - Invalid Hostname", "The request hostname is invalid."),
            .logged = true,
            .meaning = "The host name is missing, malformed, or belongs to no site on this port.",
            .causes = LIST("no binding for the name",
                           "the machine was called by its address while only "
                           "bindings by name exist",
                           "HTTP/1.1 without Host"),
            .remedies = LIST("add the name as a binding of the site\n<binding protocol=\"http\" "
                             "bindingInformation=\"*:80:www.example.com\" />",
                             "add a binding without a name if the address alone shall do"),
            .settings =
                LIST("system.applicationHost/sites/site/bindings/binding/@bindingInformation"),
            .reproduce = "send Host: none.example",
        },
    [HTTPERR_INTERNAL] =
        {
            ROW(INTERNAL),
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            ANSWER(500, "Internal Server Error", "Internal Server Error",
                   "An internal server error occurred."),
            .logged = true,
            .meaning = "The listener itself failed.",
            .causes = LIST("memory ran out", "a worker gave an answer that could not be used"),
            .remedies = LIST("look into the events of the same minute"),
            .settings = NOTHING,
            .reproduce = "no request provokes it by itself",
        },
    [HTTPERR_INVALID_CR_LF] =
        {
            ROW(INVALID_CR_LF),
            .command = "printf 'GET /\\r HTTP/1.1\\r\\nHost: HOST\\r\\n\\r\\n' | nc HOST 80",
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_400("Bad Request - Invalid CR or LF", "The request has an invalid CR or LF."),
            .logged = true,
            .meaning = "A carriage return stands where no line feed follows.",
            .causes =
                LIST("a client that ends lines with CR alone", "an attempt to smuggle a request"),
            .remedies = LIST("correct the client"),
            .settings = NOTHING,
            .reproduce = "send a lone CR inside the request line",
        },
    [HTTPERR_LENGTH_REQUIRED] =
        {
            ROW(LENGTH_REQUIRED),
            .command = "printf 'POST / HTTP/1.1\\r\\nHost: HOST\\r\\n\\r\\n' | nc HOST 80",
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            ANSWER(411, "Length Required", "Length Required",
                   "The request must be chunked or have a content length."),
            .logged = true,
            .meaning = "A POST or PUT came without a length.",
            .causes = LIST("a script that posts nothing and sends no Content-Length"),
            .remedies = LIST("let it send Content-Length: 0"),
            .settings = NOTHING,
            .reproduce = "POST without Content-Length and without Transfer-Encoding",
        },
    [HTTPERR_NOT_AVAILABLE] =
        {
            ROW(NOT_AVAILABLE),
            .note = "The IIS 6.0 text gives four causes, KB 820729 adds a conflict of URL "
                    "reservations.",
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_503,
            .logged = true,
            .meaning = "The service is unavailable for a reason of its own.",
            .causes =
                LIST("no worker can be started: resources, or demandStartThreshold is reached",
                     "the URL belongs to a group that is not active",
                     "memory ran out while an answer from the cache was sent"),
            .remedies =
                LIST("look into the events of the same minute", "check memory and process limits"),
            .settings = LIST("system.applicationHost/webLimits/@demandStartThreshold"),
            .reproduce = "make the worker's program unavailable and GET a page",
        },
    [HTTPERR_NOT_IMPLEMENTED] =
        {
            ROW(NOT_IMPLEMENTED),
            .note = "KB 820729 names status 503 for unknown encodings as well; 501 is what is "
                    "seen.",
            .command = "printf 'POST / HTTP/1.1\\r\\nHost: HOST\\r\\nTransfer-Encoding: "
                       "gzip\\r\\n\\r\\n' | nc HOST 80",
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            ANSWER(501, "Not Implemented", "Not Implemented",
                   "The request transfer encoding type is not supported."),
            .logged = true,
            .meaning = "The request's Transfer-Encoding is not one that the listener knows.",
            .causes = LIST("a coding other than chunked comes last in Transfer-Encoding"),
            .remedies = LIST("correct the client; compress with Content-Encoding instead"),
            .settings = NOTHING,
            .reproduce = "POST with Transfer-Encoding: gzip",
        },
    [HTTPERR_NOT_FOUND] =
        {
            ROW(NOT_FOUND),
            .note = "The documents do not list it; current logs have it.",
            .versions = SERVER_2003_ON,
            .sources = OBSERVED,
            ANSWER(404, "Not Found", "Not Found", "The requested resource is not found."),
            .logged = true,
            .meaning = "The host is known on this port, but no application claims the path.",
            .causes = LIST("only a part of the paths is registered for this host"),
            .remedies =
                LIST("add an application or a site for the path\n<application path=\"/shop\">"
                     "<virtualDirectory path=\"/\" physicalPath=\"D:\\shop\" />"
                     "</application>"),
            .settings = LIST("system.applicationHost/sites/site/application/@path"),
            .reproduce = "register /sub/ only and GET /",
        },
    [HTTPERR_NUMBER] =
        {
            ROW(NUMBER),
            .command = "printf 'POST / HTTP/1.1\\r\\nHost: HOST\\r\\nContent-Length: "
                       "x\\r\\n\\r\\n' | nc HOST 80",
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_400("Bad Request - Invalid Content Length",
                       "There is an invalid content length or chunk length in the request."),
            .logged = true,
            .meaning = "A number could not be read: Content-Length, a chunk size or a port.",
            .causes = LIST("a length with a sign, a blank or letters", "a number beyond 64 bits"),
            .remedies = LIST("correct the client"),
            .settings = NOTHING,
            .reproduce = "POST with Content-Length: x",
        },
    [HTTPERR_PRECONDITION] =
        {
            ROW(PRECONDITION),
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            ANSWER(412, "Precondition Failed", "Precondition Failed",
                   "The request precondition failed."),
            .logged = true,
            .meaning = "A precondition that the request needs is missing.",
            .causes = LIST("no cause is documented"),
            .remedies = LIST("capture the raw request"),
            .settings = NOTHING,
            .reproduce = "no trigger is documented",
        },
    [HTTPERR_QUEUE_FULL] =
        {
            ROW(QUEUE_FULL),
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_503,
            .logged = true,
            .meaning = "As many requests as allowed wait for a worker of the pool.",
            .causes = LIST("workers hang or are slow: a data base, a lock, too few threads",
                           "queueLength is too low for a burst"),
            .remedies = LIST("find what the workers wait for",
                             "raise queueLength only after that\n<add name=\"ShopPool\" "
                             "queueLength=\"5000\" />"),
            .settings = LIST("system.applicationHost/applicationPools/add/@queueLength"),
            .reproduce = "set queueLength to 10, hang the worker and send more",
        },
    [HTTPERR_REQUEST_LENGTH] =
        {
            ROW(REQUEST_LENGTH),
            .note = "Other programs use the code 431 for this; the listener never does.",
            .command =
                "curl -i $(for i in 1 2 3; do printf ' -H X-%d:%08000d' $i 0; done) http://HOST/",
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_400("Bad Request - Request Too Long",
                       "The size of the request headers is too long."),
            .logged = true,
            .meaning = "Request line and headers together are longer than MaxRequestBytes.",
            .causes = LIST("many or large cookies", "a Kerberos token"),
            .remedies = LIST("delete cookies of that site",
                             "raise MaxRequestBytes and MaxFieldLength together"),
            .settings = LIST("MaxRequestBytes", "MaxFieldLength"),
            .reproduce = "send many headers that add up to more than 16 KB",
        },
    [HTTPERR_TIMER_APP_POOL] =
        {
            ROW(TIMER_APP_POOL),
            .note = "Renamed to Timer_ReqQueue in Windows Vista and Server 2008.",
            .versions = SERVER_2003,
            .sources = KB820729,
            NO_ANSWER,
            .logged = false,
            .meaning = "The request waited too long in the queue of its pool (Server 2003's name).",
            .causes = LIST("workers hang or are too slow"),
            .remedies = LIST("see Timer_ReqQueue"),
            .settings = LIST("system.applicationHost/sites/site/limits/@connectionTimeout"),
            .reproduce = "only Server 2003 writes it; later versions write Timer_ReqQueue",
        },
    [HTTPERR_TIMER_CONNECTION_IDLE] =
        {
            ROW(TIMER_CONNECTION_IDLE),
            .note = "The most frequent line of any HTTPERR log, and no error.",
            .command = "nc HOST 80",
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            NO_ANSWER,
            .logged = true,
            .meaning =
                "The connection was idle for as long as allowed and was closed. This is normal.",
            .causes = LIST("a browser keeps its connection open after the last request"),
            .remedies = LIST("nothing"),
            .settings = LIST("system.applicationHost/sites/site/limits/@connectionTimeout",
                             "IdleConnectionTimeout"),
            .reproduce = "open a connection, make a request and wait two minutes",
        },
    [HTTPERR_TIMER_ENTITY_BODY] =
        {
            ROW(TIMER_ENTITY_BODY),
            .command = "printf 'POST / HTTP/1.1\\r\\nHost: HOST\\r\\nContent-Length: "
                       "10\\r\\n\\r\\n12345' | nc HOST 80",
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            NO_ANSWER,
            .logged = true,
            .meaning = "The body did not arrive in time.",
            .causes =
                LIST("a slow or broken network", "a client that announces more than it sends"),
            .remedies = LIST("compare Content-Length with what the client sends",
                             "raise connectionTimeout for slow uploads\n<limits "
                             "connectionTimeout=\"00:05:00\" />"),
            .settings = LIST("system.applicationHost/sites/site/limits/@connectionTimeout"),
            .reproduce = "POST with Content-Length: 10, send five bytes and wait",
        },
    [HTTPERR_TIMER_HEADER_WAIT] =
        {
            ROW(TIMER_HEADER_WAIT),
            .command = "printf 'GET / HTTP/1.1\\r\\nHost:' | nc HOST 80",
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            NO_ANSWER,
            .logged = true,
            .meaning = "The headers did not arrive in time.",
            .causes = LIST("a client that opens connections and sends nothing whole",
                           "an attack that holds connections with slow headers"),
            .remedies = LIST("look at the addresses; lower headerWaitTimeout against such attacks\n"
                             "<webLimits headerWaitTimeout=\"00:00:30\" />"),
            .settings =
                LIST("system.applicationHost/webLimits/@headerWaitTimeout", "HeaderWaitTimeout"),
            .reproduce = "send half of a header and wait",
        },
    [HTTPERR_TIMER_MIN_BYTES_PER_SECOND] =
        {
            ROW(TIMER_MIN_BYTES_PER_SECOND),
            .command = "curl --limit-rate 100 -o /dev/null http://HOST/large.bin",
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            NO_ANSWER,
            .logged = true,
            .meaning = "The client took the answer more slowly than minBytesPerSecond.",
            .causes = LIST("a very slow network", "a client that stops reading"),
            .remedies = LIST("lower minBytesPerSecond if such clients shall be served\n<webLimits "
                             "minBytesPerSecond=\"100\" />"),
            .settings = LIST("system.applicationHost/webLimits/@minBytesPerSecond"),
            .reproduce = "begin a large download and do not read",
        },
    [HTTPERR_TIMER_REQ_QUEUE] =
        {
            ROW(TIMER_REQ_QUEUE),
            .versions = SERVER_2008,
            .sources = KB820729,
            NO_ANSWER,
            .logged = true,
            .meaning = "The request waited too long for a worker.",
            .causes = LIST("workers hang or are too slow", "a worker takes too long to start"),
            .remedies = LIST("find the slow request with a failed request trace",
                             "start the pool ahead of the first request: startMode AlwaysRunning\n"
                             "<add name=\"ShopPool\" startMode=\"AlwaysRunning\" />"),
            .settings = LIST("system.applicationHost/sites/site/limits/@connectionTimeout",
                             "system.applicationHost/applicationPools/add/@startMode"),
            .reproduce = "hang the worker and let a request wait in the queue for two minutes",
        },
    [HTTPERR_TIMER_RESPONSE] =
        {
            ROW(TIMER_RESPONSE),
            .versions = "reserved: no version writes it",
            .sources = KB820729,
            NO_ANSWER,
            .logged = false,
            .meaning = "Reserved; no version writes it.",
            .causes = LIST("none"),
            .remedies = LIST("nothing"),
            .settings = NOTHING,
            .reproduce = "nothing writes it",
        },
    [HTTPERR_TIMER_SSL_RENEGOTIATION] =
        {
            ROW(TIMER_SSL_RENEGOTIATION),
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            NO_ANSWER,
            .logged = true,
            .meaning = "The client did not present its certificate in time.",
            .causes = LIST("the user did not choose a certificate within two minutes"),
            .remedies = LIST("ask for the certificate when the connection begins"),
            .settings = LIST("SslBindingInfo/DefaultFlags"),
            .reproduce = "ask for a client certificate and do not answer",
        },
    [HTTPERR_URL] =
        {
            ROW(URL),
            .note = "Also too long or too many segments: nothing else in the log tells these "
                    "apart.",
            .command = "curl -i http://HOST/%zz",
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_400("Bad Request - Invalid URL", "The request URL is invalid."),
            .logged = true,
            .meaning = "The URL could not be read, or one of its segments is too long or too many.",
            .causes =
                LIST("a percent sign that begins no valid escape", "a control character in the URL",
                     "a segment longer than UrlSegmentMaxLength",
                     "more segments than UrlSegmentMaxCount"),
            .remedies = LIST("encode the URL correctly",
                             "move long values into the query string, or raise the limits"),
            .settings = LIST("UrlSegmentMaxLength", "UrlSegmentMaxCount", "AllowRestrictedChars",
                             "PercentUAllowed", "EnableNonUTF8"),
            .reproduce = "GET /%zz",
        },
    [HTTPERR_URL_LENGTH] =
        {
            ROW(URL_LENGTH),
            .command = "curl -i \"http://HOST/$(printf '%020000d' 0)\"",
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            ANSWER(414, "Request URL Too Long", "Request URL Too Long",
                   "The request URL is too long."),
            .logged = true,
            .meaning = "The URL is longer than the listener accepts.",
            .causes = LIST("a form that sends its data with GET",
                           "a redirect loop that makes the URL grow"),
            .remedies = LIST("send data with POST", "raise MaxFieldLength and MaxRequestBytes"),
            .settings = LIST("MaxFieldLength", "MaxRequestBytes"),
            .reproduce = "GET a URL of 20 KB",
        },
    [HTTPERR_VERB] =
        {
            ROW(VERB),
            .command = "printf 'G{T / HTTP/1.1\\r\\nHost: HOST\\r\\n\\r\\n' | nc HOST 80",
            .versions = SERVER_2003_ON,
            .sources = IIS6_TOO,
            ANSWER_400("Bad Request - Invalid Verb", "The request verb is invalid."),
            .logged = true,
            .meaning = "The method is not a valid token, or a standard one in lower case.",
            .causes = LIST("the client does not speak HTTP, for example TLS sent to a plain port",
                           "a method in lower case",
                           "bytes left over from the body of the request before"),
            .remedies = LIST("capture the raw request",
                             "for lower case set AllowCaseInsensitiveVerbs in the HTTP parameters"),
            .settings = LIST("AllowCaseInsensitiveVerbs"),
            .reproduce = "send \"G{T / HTTP/1.1\"",
        },
    [HTTPERR_VERSION_NOT_SUPPORTED] =
        {
            ROW(VERSION_NOT_SUPPORTED),
            .command = "printf 'GET / HTTP/3.5\\r\\nHost: HOST\\r\\n\\r\\n' | nc HOST 80",
            .versions = SERVER_2003_ON,
            .sources = KB820729,
            ANSWER(505, "HTTP Version Not Supported", "HTTP Version Not Supported",
                   "The HTTP version is not supported."),
            .logged = true,
            .meaning = "The request line names a version that the listener does not speak.",
            .causes = LIST("HTTP/2 without TLS", "a client or scanner that writes a wrong version"),
            .remedies = LIST("use HTTP/1.1, or HTTP/2 over TLS"),
            .settings = NOTHING,
            .reproduce = "send \"GET / HTTP/3.5\"",
        },
};

const struct httperr_row *httperr_find(enum httperr_reason reason)
{
    INVARIANT(reason > HTTPERR_NONE && reason < HTTPERR_MAX);
    return &rows[reason];
}

const struct httperr_row *httperr_find_name(struct str name)
{
    for (size_t i = HTTPERR_NONE + 1; i < HTTPERR_MAX; i++) {
        if (str_ieq(rows[i].name, name))
            return &rows[i];
    }
    return NULL;
}

struct str httperr_response(enum httperr_reason reason)
{
    return httperr_find(reason)->body;
}
