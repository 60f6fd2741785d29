#include "diagnose/unit.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "diagnose/documents.h"
#include "diagnose/lines.h"
#include "base/poison.h"

/* Waiting for another thread's look at its stretch. */
enum { YIELDS = 50, WAIT_NS = 50000 };

/* ---- text ---- */

void text_stream_init(struct text_stream *t, struct source *s)
{
    *t = (struct text_stream){.source = s};
}

/* The encoding by the first four bytes: a mark, or the NULs that ASCII has in UTF-16. */
static void start_text(struct text_stream *t)
{
    const char *h = t->head;

    t->has_started = true;
    while (t->head_n < sizeof(t->head)) {
        size_t n = source_read(t->source, t->head + t->head_n, sizeof(t->head) - t->head_n);
        if (n == 0)
            break;
        t->head_n += n;
    }
    if (t->head_n >= 3 && memcmp(h, "\xef\xbb\xbf", 3) == 0) {
        t->bom = 3;
    } else if (t->head_n >= 2 && memcmp(h, "\xff\xfe", 2) == 0) {
        t->encoding = ENCODING_UTF16LE;
        t->bom = 2;
    } else if (t->head_n >= 2 && memcmp(h, "\xfe\xff", 2) == 0) {
        t->encoding = ENCODING_UTF16BE;
        t->bom = 2;
    } else if (t->head_n == 4 && h[0] && !h[1] && h[2] && !h[3]) {
        t->encoding = ENCODING_UTF16LE;
    } else if (t->head_n == 4 && !h[0] && h[1] && !h[2] && h[3]) {
        t->encoding = ENCODING_UTF16BE;
    }
    t->head_n -= t->bom;
    memmove(t->head, t->head + t->bom, t->head_n);
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* One code unit; a half without its other half becomes U+FFFD. At most 7 bytes. */
static size_t put_unit(struct text_stream *t, char *out, uint32_t u)
{
    size_t n = 0;

    if (u >= 0xDC00 && u <= 0xDFFF && t->high) {
        n = put_utf8(out, 0x10000 + ((t->high - 0xD800) << 10) + (u - 0xDC00));
        t->high = 0;
        return n;
    }
    if (t->high)
        n += put_utf8(out, 0xFFFD);
    t->high = u >= 0xD800 && u <= 0xDBFF ? u : 0;
    if (!t->high)
        n += put_utf8(out + n, u >= 0xDC00 && u <= 0xDFFF ? 0xFFFD : u);
    return n;
}

static size_t read_utf16(struct text_stream *t, char *out, size_t n)
{
    char raw[8192];
    size_t want = n / 8 * 2 < sizeof(raw) ? n / 8 * 2 : sizeof(raw), got = 0, made = 0;

    while (made == 0) {
        memcpy(raw, t->head, t->head_n);
        got = t->head_n + source_read(t->source, raw + t->head_n, want - t->head_n);
        if (got <= t->head_n && got < 2)
            return 0;
        t->head_n = 0;
        for (size_t i = 0; i + 1 < got; i += 2) {
            unsigned a = (unsigned char)raw[i], b = (unsigned char)raw[i + 1];
            made +=
                put_unit(t, out + made, t->encoding == ENCODING_UTF16LE ? a | b << 8 : a << 8 | b);
        }
        if (got % 2)
            t->head[t->head_n++] = raw[got - 1];
    }
    return made;
}

size_t text_stream_read(struct text_stream *t, char *out, size_t n)
{
    if (!t->has_started)
        start_text(t);
    if (t->encoding != ENCODING_UTF8)
        return read_utf16(t, out, n);
    if (t->head_n) {
        size_t got = t->head_n;
        memcpy(out, t->head, got);
        t->head_n = 0;
        return got;
    }
    return source_read(t->source, out, n);
}

/* ---- reader ---- */

static bool is_columns(enum log_kind kind)
{
    return kind == LOG_W3C || kind == LOG_HTTPERR || kind == LOG_FTP;
}

void unit_reader_init(struct unit_reader *u, struct sink *sink, enum log_kind kind)
{
    *u = (struct unit_reader){.sink = sink, .kind = kind};
    columns_init(&u->columns, sink);
}

void unit_reader_fini(struct unit_reader *u)
{
    columns_fini(&u->columns);
}

void unit_reader_lines(struct unit_reader *u, const char *p, const char *end)
{
    u->sink->stats->bytes += (uint64_t)(end - p);
    if (is_columns(u->kind))
        columns_lines(&u->columns, p, end);
    else
        lines_read(u->sink, u->kind, p, end, &u->line);
    sink_flush(u->sink);
}

void unit_reader_long_line(struct unit_reader *u, struct str beginning)
{
    u->sink->stats->lines++;
    u->columns.line++;
    u->line++;
    sink_misfit(u->sink, beginning, is_columns(u->kind) ? u->columns.line : u->line);
}

static void buffer_need(struct unit_buffer *b, size_t n)
{
    if (n + BUFFER_SLACK <= b->cap)
        return;
    b->cap = n + BUFFER_SLACK;
    b->p = xrealloc(b->p, b->cap);
}

static size_t last_newline(const char *p, size_t n)
{
    const char *nl = p && n ? memrchr(p, '\n', n) : NULL;

    return nl ? (size_t)(nl - p) + 1 : 0;
}

/* ---- a whole document ---- */

static char *read_document(struct text_stream *t, struct str sniffed, enum log_kind kind,
                           struct sink *sink)
{
    struct buf text;
    char *why, *p;

    buf_init(&text, DOCUMENT_MAX);
    buf_str(&text, sniffed);
    while ((p = buf_reserve(&text, 64 << 10)) != NULL) {
        size_t n = text_stream_read(t, p, 64 << 10);
        if (n == 0)
            break;
        text.n += n;
    }
    sink->stats->bytes += text.n;
    if (!p)
        why = xasprintf("larger than %d bytes, which is the most that is read of a document",
                        DOCUMENT_MAX);
    else
        why = kind == LOG_HAR      ? har_read(sink, buf_view(&text))
              : kind == LOG_EVENTS ? events_read(sink, buf_view(&text))
                                   : freb_read(sink, buf_view(&text));
    buf_fini(&text);
    return why;
}

/* ---- front to back ---- */

/* A line longer than the limit is skipped up to its end; false when the input ended first. */
static bool skip_line(struct text_stream *t, struct unit_buffer *b, size_t *ret_n)
{
    size_t n;

    while ((n = text_stream_read(t, b->p, CHUNK_SIZE)) != 0) {
        const char *nl = memchr(b->p, '\n', n);
        if (!nl)
            continue;
        *ret_n = n - (size_t)(nl + 1 - b->p);
        memmove(b->p, nl + 1, *ret_n);
        return true;
    }
    *ret_n = 0;
    return false;
}

char *unit_read_stream(struct text_stream *t, struct str sniffed, enum log_kind kind,
                       struct sink *sink, struct unit_buffer *buffer,
                       bool (*give_up)(void *arg, uint64_t bytes), void *arg)
{
    struct unit_reader u;
    size_t n = sniffed.n; /* bytes in the buffer that are not read yet */

    if (kind == LOG_HAR || kind == LOG_FREB || kind == LOG_EVENTS)
        return read_document(t, sniffed, kind, sink);
    unit_reader_init(&u, sink, kind);
    buffer_need(buffer, LINE_LIMIT + CHUNK_SIZE);
    memcpy(buffer->p, sniffed.p, n);
    for (;;) {
        size_t whole = last_newline(buffer->p, n);
        unit_reader_lines(&u, buffer->p, buffer->p + whole);
        n -= whole;
        memmove(buffer->p, buffer->p + whole, n);
        if (n >= LINE_LIMIT) {
            unit_reader_long_line(&u, str_n(buffer->p, n));
            if (!skip_line(t, buffer, &n))
                break;
            continue;
        }
        size_t got = text_stream_read(t, buffer->p + n, CHUNK_SIZE);
        n += got;
        if (got == 0 || give_up(arg, got))
            break;
    }
    size_t whole = last_newline(buffer->p, n);

    if (n > whole && source_has_grown(t->source)) {
        n = whole; /* somebody is still writing it: not yet there */
    } else if (n > whole) {
        buffer->p[n++] = '\n';
    }
    unit_reader_lines(&u, buffer->p, buffer->p + n);
    unit_reader_fini(&u);
    return source_problem(t->source) ? xstrdup(source_problem(t->source)) : NULL;
}

/* ---- stretches ---- */

/* pread until n bytes or the end. */
static bool read_at(int fd, uint64_t at, char *out, size_t n, size_t *ret_n)
{
    size_t got = 0;

    while (got < n) {
        ssize_t r = pread(fd, out + got, n - got, (off_t)(at + got));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return false;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    *ret_n = got;
    return true;
}

/* Keeps the last #Software, #Date and #Fields of the lines, in their order. */
static void find_directives(struct chunk_head *h, const char *p, const char *end)
{
    static const struct str names[] = {STR("#Software:"), STR("#Date:"), STR("#Fields:")};
    struct str found[ARRAY_LEN(names)] = {0};
    struct buf text;

    for (const char *at = p; (at = memchr(at, '#', (size_t)(end - at))) != NULL; at++) {
        const char *nl;
        if ((at > p && at[-1] != '\n') || !(nl = memchr(at, '\n', (size_t)(end - at))))
            continue;
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (str_istarts(str_n(at, (size_t)(nl - at)), names[i]))
                found[i] = str_n(at, (size_t)(nl + 1 - at));
    }
    if (!found[2].n)
        return;
    buf_init(&text, 1 << 16);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        buf_str(&text, found[i]);
    h->directives = str_dup_z(buf_view(&text));
    buf_fini(&text);
}

/* Tells the later stretches, and gives the header that was in force before this one. */
static const struct chunk_head *link_head(const struct chunked_file *f, uint32_t i)
{
    struct chunk_head *h = &f->heads[i];
    const struct chunk_head *before = NULL;

    if (i > 0) {
        struct chunk_head *previous = &f->heads[i - f->step];
        /* Its thread is about to read it, unless others have the processors. */
        for (unsigned tries = 0; !atomic_load_explicit(&previous->is_known, memory_order_acquire);
             tries++)
            if (tries < YIELDS)
                sched_yield();
            else
                clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = WAIT_NS}, NULL);
        before = previous->directives ? previous : previous->in_force;
    }
    h->in_force = h->directives ? h : before;
    atomic_store_explicit(&h->is_known, 1, memory_order_release);
    return before;
}

/* The lines that begin in the stretch: [*ret_from, *ret_to) of the buffer, whole ones. *ret_long:
 * its last line is longer than the limit, and begins at *ret_to. */
static char *load_chunk(const struct chunked_file *f, uint32_t i, struct unit_buffer *b,
                        size_t *ret_from, size_t *ret_to, size_t *ret_torn, bool *ret_long)
{
    uint64_t start = (uint64_t)i * CHUNK_SIZE, at = i ? start - 1 : 0;
    size_t want = CHUNK_SIZE + (i ? 1 : 0), n;

    *ret_from = *ret_to = *ret_torn = 0;
    *ret_long = false;
    buffer_need(b, CHUNK_SIZE + LINE_LIMIT + 2);
    if (f->size - at < want)
        want = (size_t)(f->size - at);
    if (!read_at(f->fd, at, b->p, want, &n))
        return xasprintf("reading failed: %s", strerror(errno));
    if (i) {
        const char *nl = n ? memchr(b->p, '\n', n - (n > CHUNK_SIZE ? 1 : 0)) : NULL;
        if (!nl)
            return NULL; /* all of it belongs to a line that began before */
        *ret_from = (size_t)(nl + 1 - b->p);
    } else {
        *ret_from = f->bom < n ? (size_t)f->bom : n;
    }
    /* The last line ends in the next stretch. */
    while (n > *ret_from && b->p[n - 1] != '\n' && at + n < f->size) {
        size_t more = 64 << 10, got;
        if (n >= CHUNK_SIZE + (size_t)LINE_LIMIT - more) {
            *ret_long = true;
            break;
        }
        if (f->size - at - n < more)
            more = (size_t)(f->size - at - n);
        if (!read_at(f->fd, at + n, b->p + n, more, &got))
            return xasprintf("reading failed: %s", strerror(errno));
        if (got == 0)
            break;
        const char *nl = memchr(b->p + n, '\n', got);
        n = nl ? (size_t)(nl + 1 - b->p) : n + got;
    }
    *ret_to = *ret_from + last_newline(b->p + *ret_from, n - *ret_from);
    *ret_torn = n - *ret_to;
    return NULL;
}

static void apply_directives(struct unit_reader *u, const struct chunk_head *h)
{
    struct str text = str_z(h->directives), line;

    while (str_split(&text, '\n', &line))
        columns_directive(&u->columns, str_trim_all(line));
}

char *unit_read_chunk(const struct chunked_file *f, uint32_t i, struct sink *sink,
                      struct unit_buffer *buffer, bool (*is_growing)(void *arg), void *arg)
{
    struct unit_reader u;
    size_t from, to, torn;
    bool is_long;
    char *why = load_chunk(f, i, buffer, &from, &to, &torn, &is_long);
    const struct chunk_head *before = NULL;

    if (is_columns(f->kind)) {
        if (!why)
            find_directives(&f->heads[i], buffer->p + from, buffer->p + to);
        before = link_head(f, i);
    }
    if (why)
        return why;
    unit_reader_init(&u, sink, f->kind);
    if (before)
        apply_directives(&u, before);
    if (torn && !is_long && !is_growing(arg)) {
        buffer->p[to + torn] = '\n';
        to += torn + 1;
    }
    unit_reader_lines(&u, buffer->p + from, buffer->p + to);
    if (is_long)
        unit_reader_long_line(&u, str_n(buffer->p + to, torn));
    unit_reader_fini(&u);
    return NULL;
}
