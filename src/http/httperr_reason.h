/* The reasons of the HTTPERR log (its s-reason column): why the listener refused a request or ended
 * a connection. Names and texts are the protocol's; what each means is the business of tables/. */
#ifndef CANDOR_HTTP_HTTPERR_REASON_H
#define CANDOR_HTTP_HTTPERR_REASON_H

#include "base/str.h"

/* X(name, s-reason): one row per reason, in alphabetical order of s-reason. */
#define HTTPERR_REASONS(X)                                                                         \
    X(APP_OFFLINE, "AppOffline")                                                                   \
    X(APP_POOL_TIMER, "AppPoolTimer")                                                              \
    X(APP_SHUTDOWN, "AppShutdown")                                                                 \
    X(BAD_REQUEST, "BadRequest")                                                                   \
    X(CLIENT_RESET, "Client_Reset")                                                                \
    X(CONNECTION_ABANDONED_BY_APP_POOL, "Connection_Abandoned_By_AppPool")                         \
    X(CONNECTION_ABANDONED_BY_REQ_QUEUE, "Connection_Abandoned_By_ReqQueue")                       \
    X(CONNECTION_DROPPED, "Connection_Dropped")                                                    \
    X(CONNECTION_DROPPED_LIST_FULL, "Connection_Dropped_List_Full")                                \
    X(CONN_LIMIT, "ConnLimit")                                                                     \
    X(CONNECTIONS_REFUSED, "Connections_Refused")                                                  \
    X(DISABLED, "Disabled")                                                                        \
    X(ENTITY_TOO_LARGE, "EntityTooLarge")                                                          \
    X(FIELD_LENGTH, "FieldLength")                                                                 \
    X(FORBIDDEN, "Forbidden")                                                                      \
    X(HEADER, "Header")                                                                            \
    X(HOSTNAME, "Hostname")                                                                        \
    X(INTERNAL, "Internal")                                                                        \
    X(INVALID_CR_LF, "Invalid_CR/LF")                                                              \
    X(LENGTH_REQUIRED, "LengthRequired")                                                           \
    X(NOT_AVAILABLE, "N/A")                                                                        \
    X(NOT_IMPLEMENTED, "N/I")                                                                      \
    X(NOT_FOUND, "NotFound")                                                                       \
    X(NUMBER, "Number")                                                                            \
    X(PRECONDITION, "Precondition")                                                                \
    X(QUEUE_FULL, "QueueFull")                                                                     \
    X(REQUEST_LENGTH, "RequestLength")                                                             \
    X(TIMER_APP_POOL, "Timer_AppPool")                                                             \
    X(TIMER_CONNECTION_IDLE, "Timer_ConnectionIdle")                                               \
    X(TIMER_ENTITY_BODY, "Timer_EntityBody")                                                       \
    X(TIMER_HEADER_WAIT, "Timer_HeaderWait")                                                       \
    X(TIMER_MIN_BYTES_PER_SECOND, "Timer_MinBytesPerSecond")                                       \
    X(TIMER_REQ_QUEUE, "Timer_ReqQueue")                                                           \
    X(TIMER_RESPONSE, "Timer_Response")                                                            \
    X(TIMER_SSL_RENEGOTIATION, "Timer_SslRenegotiation")                                           \
    X(URL, "URL")                                                                                  \
    X(URL_LENGTH, "URL_Length")                                                                    \
    X(VERB, "Verb")                                                                                \
    X(VERSION_NOT_SUPPORTED, "Version_N/S")

enum httperr_reason {
    HTTPERR_NONE = 0, /* nothing went wrong */
#define X(name, text) HTTPERR_##name,
    HTTPERR_REASONS(X)
#undef X
    HTTPERR_MAX
};

/* The s-reason as it is logged; "-" for HTTPERR_NONE and for a value that is no reason. Static
 * storage, any thread. */
struct str httperr_reason_name(enum httperr_reason reason);
/* The reason of that exact name, HTTPERR_NONE if there is none. */
enum httperr_reason httperr_reason_find(struct str name);

#endif
