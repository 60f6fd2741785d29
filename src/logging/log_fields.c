#include "logging/log_fields.h"

#include "logging/log_record.h"
#include "logging/log_settings.h"
#include "base/poison.h"

#define AT(member) offsetof(struct log_record, member)
#define ERR(member) offsetof(struct log_httperr_record, member)

const struct log_column log_w3c_columns[] = {
    {"date", "Date", LOG_W3C_DATE, LOG_OP_DATE, 0},
    {"time", "Time", LOG_W3C_TIME, LOG_OP_TIME, 0},
    {"s-sitename", "SiteName", LOG_W3C_SITE_NAME, LOG_OP_SITE_NAME, 0},
    {"s-computername", "ComputerName", LOG_W3C_COMPUTER_NAME, LOG_OP_COMPUTER, 0},
    {"s-ip", "ServerIP", LOG_W3C_SERVER_IP, LOG_OP_ADDR, AT(server)},
    {"cs-method", "Method", LOG_W3C_METHOD, LOG_OP_FIELD, AT(method)},
    {"cs-uri-stem", "UriStem", LOG_W3C_URI_STEM, LOG_OP_FIELD, AT(stem)},
    {"cs-uri-query", "UriQuery", LOG_W3C_URI_QUERY, LOG_OP_FIELD, AT(query)},
    {"s-port", "ServerPort", LOG_W3C_SERVER_PORT, LOG_OP_PORT, AT(server)},
    {"cs-username", "UserName", LOG_W3C_USER_NAME, LOG_OP_FIELD, AT(user)},
    {"c-ip", "ClientIP", LOG_W3C_CLIENT_IP, LOG_OP_ADDR, AT(client)},
    {"cs-version", "ProtocolVersion", LOG_W3C_PROTOCOL_VERSION, LOG_OP_FIELD, AT(version)},
    {"cs(User-Agent)", "UserAgent", LOG_W3C_USER_AGENT, LOG_OP_FIELD, AT(user_agent)},
    {"cs(Cookie)", "Cookie", LOG_W3C_COOKIE, LOG_OP_FIELD, AT(cookie)},
    {"cs(Referer)", "Referer", LOG_W3C_REFERER, LOG_OP_FIELD, AT(referer)},
    {"cs-host", "Host", LOG_W3C_HOST, LOG_OP_FIELD, AT(host)},
    {"sc-status", "HttpStatus", LOG_W3C_HTTP_STATUS, LOG_OP_U16, AT(status)},
    {"sc-substatus", "HttpSubStatus", LOG_W3C_HTTP_SUBSTATUS, LOG_OP_U16, AT(substatus)},
    {"sc-win32-status", "Win32Status", LOG_W3C_WIN32_STATUS, LOG_OP_U32, AT(win32)},
    {"sc-bytes", "BytesSent", LOG_W3C_BYTES_SENT, LOG_OP_U64, AT(bytes_sent)},
    {"cs-bytes", "BytesRecv", LOG_W3C_BYTES_RECV, LOG_OP_U64, AT(bytes_received)},
    {"time-taken", "TimeTaken", LOG_W3C_TIME_TAKEN, LOG_OP_U64, AT(time_taken_ms)},
    {0},
};

/* The stream ids come and go with cs-uri; the last three have no bit of their own. */
const struct log_httperr_column log_httperr_columns_all[] = {
    {{"date", NULL, LOG_HTTPERR_DATE, LOG_OP_DATE, 0}, 0},
    {{"time", NULL, LOG_HTTPERR_TIME, LOG_OP_TIME, 0}, 0},
    {{"s-computername", NULL, LOG_HTTPERR_COMPUTER_NAME, LOG_OP_COMPUTER, 0}, 0},
    {{"c-ip", NULL, LOG_HTTPERR_CLIENT_IP, LOG_OP_ADDR_ZONE, ERR(client)}, 0},
    {{"c-port", NULL, LOG_HTTPERR_CLIENT_PORT, LOG_OP_PORT, ERR(client)}, 0},
    {{"s-ip", NULL, LOG_HTTPERR_SERVER_IP, LOG_OP_ADDR_ZONE, ERR(server)}, 0},
    {{"s-port", NULL, LOG_HTTPERR_SERVER_PORT, LOG_OP_PORT, ERR(server)}, 0},
    {{"cs-version", NULL, LOG_HTTPERR_VERSION, LOG_OP_CLIP, ERR(version)}, 0},
    {{"cs-method", NULL, LOG_HTTPERR_METHOD, LOG_OP_METHOD, ERR(method)}, 0},
    {{"cs-uri", NULL, LOG_HTTPERR_URI, LOG_OP_URI, ERR(uri)}, 0},
    {{"streamid", NULL, LOG_HTTPERR_URI, LOG_OP_U32_DASH, ERR(stream_id)}, LOG_HTTPERR_2016},
    {{"streamid_ex", NULL, LOG_HTTPERR_URI, LOG_OP_DASH, 0}, LOG_HTTPERR_CURRENT},
    {{"cs(User-Agent)", NULL, LOG_HTTPERR_USER_AGENT, LOG_OP_CLIP, ERR(user_agent)}, 0},
    {{"cs(Cookie)", NULL, LOG_HTTPERR_COOKIE, LOG_OP_CLIP, ERR(cookie)}, 0},
    {{"cs(referrer)", NULL, LOG_HTTPERR_REFERER, LOG_OP_CLIP, ERR(referer)}, 0},
    {{"cs-host", NULL, LOG_HTTPERR_HOST, LOG_OP_CLIP, ERR(host)}, 0},
    {{"sc-status", NULL, LOG_HTTPERR_STATUS, LOG_OP_STATUS, ERR(status)}, 0},
    {{"sc-bytes", NULL, LOG_HTTPERR_BYTES_SENT, LOG_OP_U64, ERR(bytes_sent)}, 0},
    {{"cs-bytes", NULL, LOG_HTTPERR_BYTES_RECV, LOG_OP_U64, ERR(bytes_received)}, 0},
    {{"time-taken", NULL, LOG_HTTPERR_TIME_TAKEN, LOG_OP_U64, ERR(time_taken_ms)}, 0},
    {{"s-siteid", NULL, LOG_HTTPERR_SITE_ID, LOG_OP_U32_DASH, ERR(site_id)}, 0},
    {{"s-reason", NULL, LOG_HTTPERR_REASON, LOG_OP_CLIP, ERR(reason)}, 0},
    {{"s-queuename", NULL, LOG_HTTPERR_QUEUE_NAME, LOG_OP_CLIP, ERR(queue_name)}, 0},
    {{"transport", NULL, UINT32_MAX, LOG_OP_CLIP, ERR(transport)}, LOG_HTTPERR_CURRENT},
    {{"fault-code", NULL, UINT32_MAX, LOG_OP_DASH, 0}, LOG_HTTPERR_CURRENT},
    {{"extended-fault-code", NULL, UINT32_MAX, LOG_OP_DASH, 0}, LOG_HTTPERR_CURRENT},
    {{0}, 0},
};
