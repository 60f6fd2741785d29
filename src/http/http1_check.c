#include "http/http1_check.h"

#include "http/host.h"
#include "base/poison.h"

enum { CONTENT_LENGTH_DIGITS_MAX = 20 };

enum rc http1_fail(struct http1_parser *p, size_t offset, enum httperr_reason reason)
{
    p->reason = reason;
    p->error_offset = (uint32_t)offset;
    return RC_FAIL;
}

/* Host: needed from HTTP/1.1 on, and well formed wherever it is not empty. */
static enum rc check_host(struct http1_parser *p, const char *buf, struct http1_head *head)
{
    const struct http1_header *h = http1_find(head, HDR_HOST);
    struct http_host host;

    if (!h || h->value_len == 0) {
        if (head->version_minor == 0)
            return RC_OK;
        return http1_fail(p, h ? h->value_off : head->head_len, HTTPERR_HOSTNAME);
    }
    if (!http_host_parse(str_n(buf + h->value_off, h->value_len), &host))
        return http1_fail(p, h->value_off, HTTPERR_HOSTNAME);
    head->host_off = h->value_off;
    head->host_len = (uint16_t)h->value_len;
    head->host_name_len = (uint16_t)host.name.n;
    head->host_port = host.port;
    head->host_kind = (uint8_t)host.kind;
    return RC_OK;
}

/* Transfer-Encoding, over all its lines: other codings may come first, chunked must be there once
 * and last (RFC 9112 6.1). Whatever else it says, we cannot tell where the body ends. */
static enum rc check_coding(struct http1_parser *p, const char *buf, struct http1_head *head)
{
    const struct http1_header *h = http1_headers(head);

    if (!http1_has(head, HDR_TRANSFER_ENCODING))
        return RC_OK;

    uint32_t at = h[head->at[HDR_TRANSFER_ENCODING]].value_off;

    /* HTTP/1.0 has no transfer codings: someone on the way may read this differently. */
    if (head->version_minor == 0)
        return http1_fail(p, at, HTTPERR_BAD_REQUEST);
    for (uint32_t i = head->at[HDR_TRANSFER_ENCODING]; i < head->n_headers; i++) {
        struct str list = str_n(buf + h[i].value_off, h[i].value_len), coding;

        if (h[i].id != HDR_TRANSFER_ENCODING)
            continue;
        while (http_list_next(&list, &coding)) {
            if (head->chunked || !http_is_token(coding))
                return http1_fail(p, (size_t)(coding.p - buf), HTTPERR_NOT_IMPLEMENTED);
            head->chunked = str_ieq(coding, STR("chunked"));
            at = (uint32_t)(coding.p - buf);
        }
    }
    return head->chunked ? RC_OK : http1_fail(p, at, HTTPERR_NOT_IMPLEMENTED);
}

static enum rc check_length(struct http1_parser *p, const char *buf, struct http1_head *head)
{
    const struct http1_header *h = http1_find(head, HDR_CONTENT_LENGTH);

    if (h) {
        if (h->value_len > CONTENT_LENGTH_DIGITS_MAX ||
            !str_u64(str_n(buf + h->value_off, h->value_len), UINT64_MAX, &head->content_length))
            return http1_fail(p, h->value_off, HTTPERR_NUMBER);
        head->has_content_length = !head->chunked;
        head->length_and_chunked = head->chunked;
        if (head->chunked)
            head->content_length = 0;
    } else if (!head->chunked &&
               (head->method == HTTP_METHOD_POST || head->method == HTTP_METHOD_PUT)) {
        return http1_fail(p, head->head_len, HTTPERR_LENGTH_REQUIRED);
    }
    return RC_OK;
}

/* Options of one Connection line. */
static void connection_options(struct str list, struct http1_head *head, bool *keep_alive)
{
    struct str option;

    while (http_list_next(&list, &option)) {
        head->connection_close |= str_ieq(option, STR("close"));
        *keep_alive |= str_ieq(option, STR("keep-alive"));
        head->upgrade |= str_ieq(option, STR("upgrade")) && http1_has(head, HDR_UPGRADE);
    }
}

static void decide_connection(const char *buf, struct http1_head *head)
{
    const struct http1_header *h = http1_headers(head);
    bool keep_alive = false;

    if (http1_has(head, HDR_CONNECTION)) {
        uint32_t first = head->at[HDR_CONNECTION];
        uint32_t end = head->repeated >> HDR_CONNECTION & 1 ? head->n_headers : first + 1;

        for (uint32_t i = first; i < end; i++) {
            struct str value = str_n(buf + h[i].value_off, h[i].value_len);

            /* What nearly everyone sends is recognised without taking the list apart. */
            if (value.n == 10 && memcmp(value.p, "keep-ali", 8) == 0 &&
                memcmp(value.p + 8, "ve", 2) == 0 && h[i].id == HDR_CONNECTION)
                keep_alive = true;
            else if (h[i].id == HDR_CONNECTION)
                connection_options(value, head, &keep_alive);
        }
    }
    head->keep_alive = !head->connection_close && !head->length_and_chunked &&
                       (head->version_minor > 0 || keep_alive);
    if (http1_has(head, HDR_EXPECT)) {
        bool is_100 = str_ieq(http1_value(head, buf, HDR_EXPECT), STR("100-continue"));

        head->other_expect = !is_100;
        head->expect_100 = is_100 && head->version_minor > 0;
    }
}

enum rc http1_check_head(struct http1_parser *p, const char *buf, struct http1_head *head)
{
    enum rc rc = check_host(p, buf, head);

    if (rc == RC_OK)
        rc = check_coding(p, buf, head);
    if (rc == RC_OK)
        rc = check_length(p, buf, head);
    if (rc == RC_OK && buf[head->target_off] == '*' &&
        (head->target_len != 1 || head->method != HTTP_METHOD_OPTIONS))
        rc = http1_fail(p, head->target_off, HTTPERR_URL);
    if (rc == RC_OK)
        decide_connection(buf, head);
    return rc;
}
