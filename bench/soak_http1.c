/* HTTP/1.1, also pipelined: requests out, answers in. */
#include "soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ask1(struct conn *c)
{
    struct exchange *x = &c->queue[(c->first + c->waiting) % DEPTH];
    bool final = c->left == 1;
    const struct kind *k;
    char path[64];
    int n;

    if (!ledger_begin(c, x, final && c->mode != ABORT)) {
        c->left = 0;
        return;
    }
    c->waiting++;
    c->left--;
    k = &kinds[ledger->entries[x->serial].kind];
    ledger_path(path, sizeof path, k, x->serial);
    n = snprintf(c->out + c->out_len, OUT - c->out_len,
                 "%s %s HTTP/1.1\r\n%sUser-Agent: s%u\r\n%s%s\r\n%s", k->method, path,
                 k == &kinds[BAD_HOST] ? "" : "Host: localhost\r\n", x->serial,
                 final && c->mode == CLOSE ? "Connection: close\r\n" : "", k->headers, k->body);
    c->out_len += (size_t)n;
}

void http1_refill(struct conn *c)
{
    size_t want = c->mode == PIPELINE ? 4 : 1;

    if (c->out_pos == c->out_len)
        c->out_pos = c->out_len = 0;
    while (c->waiting < want && c->left > 0 && !c->closing && c->out_len + 1024 < OUT)
        ask1(c);
}

static void answer_whole(struct conn *c)
{
    struct exchange *x = &c->queue[c->first];

    ledger_settle(x, x->status);
    c->first = (c->first + 1) % DEPTH;
    c->waiting--;
    c->in_body = false;
    c->head_len = 0;
}

/* The head is complete. False when it makes no sense. */
static bool read_head(struct conn *c)
{
    struct exchange *x = &c->queue[c->first];
    const struct kind *k = &kinds[ledger->entries[x->serial].kind];
    const char *length = strcasestr(c->head, "\r\ncontent-length: ");

    if (strncmp(c->head, "HTTP/1.1 ", 9) != 0 || c->waiting == 0)
        return false;
    x->status = (uint16_t)strtoul(c->head + 9, NULL, 10);
    if (x->status < 200 || x->status > 599)
        return false;
    c->closing = c->closing || strcasestr(c->head, "\r\nconnection: close") != NULL;
    c->chunked = strcasestr(c->head, "\r\ntransfer-encoding: chunked") != NULL;
    c->body_left = length ? strtoul(length + 18, NULL, 10) : 0;
    c->chunk_state = 0;
    c->in_body = true;
    if (k->method[0] == 'H' || x->status == 304 || (!c->chunked && c->body_left == 0))
        answer_whole(c);
    return true;
}

/* Chunk framing, byte by byte but for the data. States: 0 size, 1 LF of size, 2 data, 3 CR, 4 LF,
 * 5 the end's CR, 6 the end's LF. */
static const char *skip_chunks(struct conn *c, const char *p, const char *end)
{
    while (p < end && c->in_body) {
        char b = *p;

        if (c->chunk_state == 2) {
            size_t n = (size_t)(end - p) < c->body_left ? (size_t)(end - p) : c->body_left;

            p += n;
            c->body_left -= n;
            c->queue[c->first].size += n;
            if (c->body_left == 0)
                c->chunk_state = 3;
            continue;
        }
        p++;
        switch (c->chunk_state) {
        case 0:
            if (b == '\r')
                c->chunk_state = 1;
            else
                c->body_left =
                    c->body_left * 16 + (size_t)(b <= '9' ? b - '0' : (b | 32) - 'a' + 10);
            break;
        case 1:
            c->chunk_state = c->body_left ? 2 : 5;
            break;
        case 3:
        case 5:
            c->chunk_state++;
            break;
        case 4:
            c->chunk_state = 0;
            break;
        default:
            answer_whole(c);
        }
    }
    return p;
}

bool http1_digest(struct conn *c, const char *p, const char *end)
{
    while (p < end) {
        if (c->in_body && c->chunked) {
            p = skip_chunks(c, p, end);
        } else if (c->in_body) {
            size_t n = (size_t)(end - p) < c->body_left ? (size_t)(end - p) : c->body_left;

            p += n;
            c->body_left -= n;
            c->queue[c->first].size += n;
            if (c->body_left == 0)
                answer_whole(c);
        } else {
            c->head[c->head_len++] = *p++;
            c->head[c->head_len] = '\0';
            if (c->head_len + 1 >= HEAD)
                return false;
            if (c->head_len >= 4 && p[-1] == '\n' &&
                memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4) == 0 && !read_head(c))
                return false;
        }
    }
    return true;
}
