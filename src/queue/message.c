#include "queue/message.h"

#include "base/poison.h"

static bool span_ok(struct msg_span s, uint32_t n)
{
    return s.off <= n && s.len <= n - s.off;
}

bool message_decode_request(const void *data, size_t n, struct request_message *ret)
{
    struct msg_request h;

    if (n < sizeof(h))
        return false;
    memcpy(&h, data, sizeof(h));
    size_t table = sizeof(h) + h.n_fields * sizeof(struct msg_field);

    if (table > n || h.n_bytes > n - table)
        return false;
    if (!span_ok(h.method, h.n_bytes) || !span_ok(h.raw_target, h.n_bytes) ||
        !span_ok(h.path, h.n_bytes) || !span_ok(h.query, h.n_bytes) ||
        !span_ok(h.host, h.n_bytes) || !span_ok(h.tls.cipher, h.n_bytes) ||
        !span_ok(h.tls.server_name, h.n_bytes) || !span_ok(h.tls.client_cert, h.n_bytes) ||
        h.tls.verdict > CLIENT_CERT_REVOCATION_UNKNOWN)
        return false;
    if (h.content_length < -1 || h.method.len == 0 || h.path.len == 0)
        return false;
    const struct msg_field *f = (const void *)((const char *)data + sizeof(h));

    for (size_t i = 0; i < h.n_fields; i++)
        if (!span_ok((struct msg_span){f[i].name_off, f[i].name_len}, h.n_bytes) ||
            !span_ok((struct msg_span){f[i].value_off, f[i].value_len}, h.n_bytes) ||
            f[i].id >= HDR_MAX || f[i].name_len == 0)
            return false;
    const char *bytes = (const char *)data + table;

#define VIEW(s) str_n(bytes + h.s.off, h.s.len)
    *ret = (struct request_message){.head = h,
                                    .fields = f,
                                    .method = VIEW(method),
                                    .raw_target = VIEW(raw_target),
                                    .path = VIEW(path),
                                    .query = VIEW(query),
                                    .host = VIEW(host),
                                    .tls_cipher = VIEW(tls.cipher),
                                    .tls_server_name = VIEW(tls.server_name),
                                    .client_cert = VIEW(tls.client_cert),
                                    .bytes = bytes};
#undef VIEW
    return true;
}

bool message_response_ok(const struct msg_response *h, uint32_t record_len)
{
    uint64_t n = sizeof(*h) + (uint64_t)h->reason_len + h->headers_len + h->user_len + h->log_len +
                 h->body_len;

    return h->headers_len <= MESSAGE_HEADERS_MAX && h->user_len <= MESSAGE_USER_MAX &&
           h->log_len <= MESSAGE_LOG_MAX && h->reason_len <= MESSAGE_REASON_MAX &&
           h->body_len <= MESSAGE_BODY_MAX && n == record_len && h->status >= 200 &&
           h->status <= 999 && h->substatus <= 9999 &&
           (!(h->flags & MSGR_LENGTH) || h->content_length >= 0);
}

/* The headers by which a message is framed, or that the listener alone writes. */
static bool is_framing(struct str name)
{
    switch (name.n) {
    case 4:
        return str_ieq(name, STR("Date"));
    case 7:
        return str_ieq(name, STR("Trailer"));
    case 10:
        return str_ieq(name, STR("Connection")) || str_ieq(name, STR("Keep-Alive"));
    case 14:
        return str_ieq(name, STR("Content-Length"));
    case 17:
        return str_ieq(name, STR("Transfer-Encoding"));
    default:
        return false;
    }
}

static const bool token_char[256] = {
    ['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true, ['&'] = true, ['\''] = true,
    ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true, ['^'] = true, ['_'] = true,
    ['`'] = true, ['|'] = true, ['~'] = true, ['0' ... '9'] = true,
    ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

bool message_header_block_ok(struct str block)
{
    const char *p = block.p, *end = block.p + block.n;

    while (p < end) {
        const char *name = p;
        while (p < end && token_char[(unsigned char)*p])
            p++;
        if (p == name || p == end || *p != ':' || is_framing(str_n(name, (size_t)(p - name))))
            return false;
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        if (!eol || eol[-1] != '\r')
            return false;
        size_t value = (size_t)(eol - 1 - p);
        if (memchr(p, '\r', value) || memchr(p, '\0', value))
            return false;
        p = eol + 1;
    }
    return true;
}

bool message_reason_ok(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}
