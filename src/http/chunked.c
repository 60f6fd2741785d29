#include "http/chunked.h"

#include "http/headers.h"
#include "http/http1_parser.h"
#include "http/scan.h"
#include "base/poison.h"

enum state {
    S_SIZE,      /* hexadecimal digits; line counts them */
    S_EXTENSION, /* after ';' */
    S_SIZE_LF,   /* the CR of the size line was read */
    S_DATA,
    S_DATA_CR, /* all data of the chunk was read */
    S_DATA_LF,
    S_TRAILER, /* start of a trailer line */
    S_NAME,
    S_VALUE,
    S_VALUE_LF, /* the CR of a trailer line was read */
    S_FOLD,     /* a trailer line is complete, unless the next one starts with a blank */
    S_END_LF,   /* the CR of the empty line was read */
    S_DONE,
    S_FAILED,
};

/* What a chunk may cost in framing beyond 16 bytes and twice its data, summed over the body: a few
 * clumsy chunks pass, a body that consists of extensions does not. */
enum { OVERHEAD_MAX = 16384, OVERHEAD_FREE = 16 };

void chunked_init(struct chunked *c, const struct chunked_limits *limits)
{
    *c = (struct chunked){.limits = *limits, .state = S_SIZE};
}

static enum rc fail(struct chunked *c, enum httperr_reason reason)
{
    c->state = S_FAILED;
    c->reason = reason;
    c->error_offset = c->offset;
    return RC_FAIL;
}

static enum rc go(struct chunked *c, uint8_t state)
{
    c->state = state;
    return RC_OK;
}

/* One byte of the size line up to its LF. */
static enum rc size_byte(struct chunked *c, char b)
{
    int digit = ascii_hex(b);

    if (++c->line > CHUNKED_LINE_MAX)
        return fail(c, HTTPERR_BAD_REQUEST);
    if (c->state == S_EXTENSION) {
        if (b == '\r')
            return go(c, S_SIZE_LF);
        if (b == '\n')
            return fail(c, HTTPERR_INVALID_CR_LF);
        return scan_is(b, SCAN_CTL) ? fail(c, HTTPERR_BAD_REQUEST) : RC_OK;
    }
    if (digit >= 0) {
        if (c->left >> 60)
            return fail(c, HTTPERR_NUMBER);
        c->left = c->left << 4 | (unsigned)digit;
        return RC_OK;
    }
    if (c->line == 1)
        return fail(c, HTTPERR_NUMBER);
    if (b == '\r')
        return go(c, S_SIZE_LF);
    if (b == ';')
        return go(c, S_EXTENSION);
    return fail(c, b == '\n' ? HTTPERR_INVALID_CR_LF : HTTPERR_NUMBER);
}

/* The LF of the size line: the chunk's data or the trailers begin. */
static enum rc size_end(struct chunked *c, char b)
{
    uint64_t line = c->line + 1u;

    if (b != '\n')
        return fail(c, HTTPERR_INVALID_CR_LF);
    c->line = 0;
    if (c->left == 0)
        return go(c, S_TRAILER);
    if (c->left > UINT64_MAX - c->total)
        return fail(c, HTTPERR_ENTITY_TOO_LARGE);
    c->total += c->left;
    if (line / 2 > c->left && line > OVERHEAD_FREE) {
        c->overhead += line;
        if (c->overhead > OVERHEAD_MAX)
            return fail(c, HTTPERR_BAD_REQUEST);
    }
    return go(c, S_DATA);
}

/* One byte inside a trailer line; header rules as in the parser of heads. */
static enum rc trailer_byte(struct chunked *c, char b)
{
    if (++c->line > c->limits.max_field_length && b != '\r' && b != '\n')
        return fail(c, HTTPERR_FIELD_LENGTH);
    if (c->state == S_NAME) {
        if (b == ':' && c->line > 1)
            return go(c, S_VALUE);
        if (scan_is(b, SCAN_TOKEN) ||
            (c->limits.flags & HTTP1_WEAK_HEADER_NAMES && b > ' ' && b < 0x7f && b != ':'))
            return RC_OK;
        return fail(c, HTTPERR_HEADER);
    }
    if (b == '\r')
        return go(c, S_VALUE_LF);
    if (b == '\n')
        return go(c, S_FOLD);
    if (scan_is(b, SCAN_CTL) && (b == '\0' || !(c->limits.flags & HTTP1_WEAK_HEADER_VALUES)))
        return fail(c, HTTPERR_HEADER);
    return RC_OK;
}

/* One byte where a trailer line or the empty line may start. */
static enum rc line_start(struct chunked *c, char b)
{
    if (c->state == S_FOLD && (b == ' ' || b == '\t')) {
        c->state = S_VALUE;
        return trailer_byte(c, b);
    }
    if (b == '\r')
        return go(c, S_END_LF);
    if (b == '\n')
        return go(c, S_DONE);
    c->line = 0;
    c->state = S_NAME;
    return trailer_byte(c, b);
}

/* One byte of framing. */
static enum rc framing_byte(struct chunked *c, char b)
{
    if (c->state >= S_TRAILER && ++c->trailer > c->limits.max_trailer_bytes)
        return fail(c, HTTPERR_REQUEST_LENGTH);
    switch (c->state) {
    case S_SIZE:
    case S_EXTENSION:
        return size_byte(c, b);
    case S_SIZE_LF:
        return size_end(c, b);
    case S_DATA_CR:
        return b == '\r' ? go(c, S_DATA_LF) : fail(c, HTTPERR_BAD_REQUEST);
    case S_DATA_LF:
        return b == '\n' ? go(c, S_SIZE) : fail(c, HTTPERR_BAD_REQUEST);
    case S_TRAILER:
    case S_FOLD:
        return line_start(c, b);
    case S_NAME:
    case S_VALUE:
        return trailer_byte(c, b);
    case S_VALUE_LF:
        return b == '\n' ? go(c, S_FOLD) : fail(c, HTTPERR_BAD_REQUEST);
    case S_END_LF:
        return b == '\n' ? go(c, S_DONE) : fail(c, HTTPERR_BAD_REQUEST);
    default:
        return RC_FAIL;
    }
}

enum rc chunked_feed(struct chunked *c, const char *buf, size_t len, size_t *ret_used,
                     struct str *ret_data)
{
    size_t at = 0;
    enum rc rc = c->state == S_FAILED ? RC_FAIL : RC_OK;

    *ret_data = STR_NULL;
    while (rc == RC_OK && at < len && c->state != S_DONE) {
        if (c->state == S_DATA) {
            size_t n = len - at < c->left ? len - at : (size_t)c->left;

            *ret_data = str_n(buf + at, n);
            at += n;
            c->offset += n;
            c->left -= n;
            if (c->left == 0)
                c->state = S_DATA_CR;
            break;
        }
        rc = framing_byte(c, buf[at]);
        if (rc == RC_OK) {
            at++;
            c->offset++;
        }
    }
    *ret_used = at;
    if (rc == RC_FAIL)
        return RC_FAIL;
    return c->state == S_DONE ? RC_OK : RC_AGAIN;
}
