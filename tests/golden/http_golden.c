/* Replays the Markdown tables beside it through the request parser, URL cooking and the chunked
 * decoder: each input whole, byte by byte, and cut in two at every offset (long ones at many). All
 * must give the outcome written in the table.
 *
 * A case is a "## name" heading, an optional "limits:" line, a fenced block "http" and one named
 * "expect". In the request, line ends of the file mean nothing; \r \n \t \0 \\ \xHH are bytes, and \*N(text)
 * is text N times over. With --print it writes the outcomes instead of comparing them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "http/chunked.h"
#include "http/http1_parser.h"
#include "http/url.h"
#include "base/poison.h"

enum { TEXT_MAX = 1 << 22, DENSE_CUTS = 300, SPARSE_STEP = 397 };

struct golden {
    struct str name;
    struct buf input, want;
    struct http1_limits h1;
    struct url_limits url;
};

/* One connection: bytes come in, lines that tell what was understood go out. */
struct sim {
    const struct golden *g;
    struct http1_parser parser;
    struct http1_head head;
    struct chunked chunked;
    enum { IN_HEAD, IN_CHUNKS, IN_LENGTH, CLOSED } phase;
    uint64_t left;
    char *bytes; /* exactly n long, so that the sanitizer sees every byte read too far */
    size_t n;
    struct buf body, out;
};

static void show(struct buf *out, struct str s)
{
    enum { SHOWN = 60 };

    for (size_t i = 0; i < s.n && i < SHOWN; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c >= 0x20 && c < 0x7f && c != '\\')
            buf_char(out, (char)c);
        else
            buf_printf(out, "\\x%02X", c);
    }
    if (s.n > SHOWN)
        buf_printf(out, "... %zu bytes", s.n);
}

static void show_line(struct buf *out, const char *label, struct str s)
{
    buf_printf(out, "%s ", label);
    show(out, s);
    buf_char(out, '\n');
}

/* What HTTPERR could log of a request that failed. */
static void show_read(struct sim *s)
{
    const struct http1_head *h = &s->head;

    buf_printf(&s->out, "; read: ");
    show(&s->out, h->method_len ? http1_method(h, s->bytes) : STR("-"));
    buf_char(&s->out, ' ');
    show(&s->out, h->target_len ? http1_target(h, s->bytes) : STR("-"));
    if (h->version_major || h->version_minor)
        buf_printf(&s->out, " HTTP/%u.%u\n", h->version_major, h->version_minor);
    else
        buf_printf(&s->out, " -\n");
}

static void error(struct sim *s, const char *where, enum httperr_reason reason, uint64_t offset)
{
    struct str name = httperr_reason_name(reason);

    if (s->body.n)
        show_line(&s->out, "body:", buf_view(&s->body));
    buf_printf(&s->out, "error: %.*s at %llu of %s", STR_ARG(name), (unsigned long long)offset,
               where);
    s->phase = CLOSED;
}

static void next_request(struct sim *s)
{
    http1_parser_init(&s->parser, &s->g->h1);
    http1_head_reset(&s->head);
    s->phase = IN_HEAD;
}

static void body_end(struct sim *s)
{
    if (s->body.n)
        show_line(&s->out, "body:", buf_view(&s->body));
    buf_clear(&s->body);
    if (!s->head.keep_alive)
        s->phase = CLOSED;
    else
        next_request(s);
}

static void show_head(struct sim *s)
{
    const struct http1_head *h = &s->head;
    struct buf *out = &s->out;

    buf_printf(out, "request: ");
    show(out, http1_method(h, s->bytes));
    buf_char(out, ' ');
    show(out, http1_target(h, s->bytes));
    buf_printf(out, " HTTP/%u.%u\n", h->version_major, h->version_minor);
    for (uint32_t i = 0; i < h->n_headers && i < 8; i++) {
        const struct http1_header *line = &http1_headers(h)[i];

        buf_printf(out, "  ");
        show(out, str_n(s->bytes + line->name_off, line->name_len));
        show_line(out, line->id == HDR_OTHER ? " =" : ":",
                  str_n(s->bytes + line->value_off, line->value_len));
    }
    if (h->n_headers > 8)
        buf_printf(out, "  ... %u headers\n", h->n_headers);
}

static void show_facts(struct sim *s)
{
    const struct http1_head *h = &s->head;
    struct buf *out = &s->out;

    if (h->chunked)
        buf_printf(out, "framing: chunked%s", h->length_and_chunked ? ", length ignored" : "");
    else if (h->has_content_length)
        buf_printf(out, "framing: length %llu", (unsigned long long)h->content_length);
    else
        buf_printf(out, "framing: none");
    buf_printf(out, "; %s%s%s%s\n", h->keep_alive ? "keep-alive" : "close",
               h->expect_100 ? ", expect-100" : "", h->other_expect ? ", other-expect" : "",
               h->upgrade ? ", upgrade" : "");
}

static void show_url(struct sim *s, const struct url_cooked *url)
{
    if (url->form == URL_ABSOLUTE)
        show_line(&s->out, "authority:", url->host.name);
    show_line(&s->out, "path:", url->path);
    if (url->has_query)
        show_line(&s->out, "query:", url->query);
}

/* The head is complete: cook its URL and see what follows. */
static void on_head(struct sim *s)
{
    struct str target = http1_target(&s->head, s->bytes);
    _cleanup_free_ char *room = xmalloc(URL_COOK_CAP(target.n));
    struct url_cooked url;

    if (url_cook(target, &s->g->url, room, URL_COOK_CAP(target.n), &url) != RC_OK) {
        error(s, "target", url.reason, url.error_offset);
        show_read(s);
        return;
    }
    show_head(s);
    show_url(s, &url);
    show_facts(s);

    struct chunked_limits limits = {s->g->h1.max_field_length, s->g->h1.max_request_bytes,
                                    s->g->h1.flags};

    s->left = s->head.content_length;
    chunked_init(&s->chunked, &limits);
    s->phase = s->head.chunked ? IN_CHUNKS : IN_LENGTH;
}

static void drop(struct sim *s, size_t n)
{
    char *rest = xmalloc(s->n - n + 1);

    memcpy(rest, s->bytes + n, s->n - n);
    free(s->bytes);
    s->bytes = rest;
    s->n -= n;
}

/* One step; false if more input is needed. */
static bool step(struct sim *s)
{
    size_t used = 0;
    struct str data;
    enum rc rc;

    switch (s->phase) {
    case IN_HEAD:
        rc = http1_parse(&s->parser, s->bytes, s->n, &s->head);
        if (rc == RC_FAIL) {
            error(s, "head", s->parser.reason, s->parser.error_offset);
            show_read(s);
        } else if (rc == RC_OK) {
            used = s->head.head_len;
            on_head(s);
        }
        drop(s, used);
        return rc == RC_OK;
    case IN_CHUNKS:
        rc = chunked_feed(&s->chunked, s->bytes, s->n, &used, &data);
        buf_str(&s->body, data);
        if (rc == RC_FAIL) {
            error(s, "body", s->chunked.reason, s->chunked.error_offset);
            buf_char(&s->out, '\n');
            return false;
        }
        drop(s, used);
        if (rc == RC_OK)
            body_end(s);
        return rc == RC_OK || s->n > 0;
    case IN_LENGTH:
        used = s->n < s->left ? s->n : (size_t)s->left;
        buf_append(&s->body, s->bytes, used);
        s->left -= used;
        drop(s, used);
        if (s->left == 0)
            body_end(s);
        return s->phase != IN_LENGTH;
    default:
        return false;
    }
}

static void feed(struct sim *s, struct str more)
{
    char *all = xmalloc(s->n + more.n + !(s->n + more.n));

    memcpy(all, s->bytes, s->n);
    memcpy(all + s->n, more.p, more.n);
    free(s->bytes);
    s->bytes = all;
    s->n += more.n;
    while (step(s))
        continue;
}

static void sim_init(struct sim *s, const struct golden *g)
{
    *s = (struct sim){.g = g, .bytes = xmalloc(1)};
    buf_init(&s->body, TEXT_MAX);
    buf_init(&s->out, TEXT_MAX);
    http1_head_init(&s->head);
    next_request(s);
}

static void sim_end(struct sim *s)
{
    if (s->phase == IN_HEAD && s->n)
        buf_printf(&s->out, "incomplete head\n");
    else if (s->phase == IN_CHUNKS || s->phase == IN_LENGTH)
        buf_printf(&s->out, "incomplete body\n");
    else if (s->phase == CLOSED && s->n && s->parser.reason == HTTPERR_NONE &&
             s->chunked.reason == HTTPERR_NONE)
        buf_printf(&s->out, "not read: %zu bytes\n", s->n);
}

static void sim_fini(struct sim *s)
{
    http1_head_fini(&s->head);
    buf_fini(&s->body);
    buf_fini(&s->out);
    free(s->bytes);
}

/* Feeds [0, cut) and [cut, n), or single bytes if cut is SIZE_MAX, and compares. */
static bool replay(const struct golden *g, size_t cut, struct str want, const char *how)
{
    struct str in = buf_view(&g->input);
    struct sim s;

    sim_init(&s, g);
    if (cut == SIZE_MAX) {
        for (size_t i = 0; i < in.n; i++)
            feed(&s, str_sub(in, i, i + 1));
    } else {
        feed(&s, str_sub(in, 0, cut));
        if (cut < in.n)
            feed(&s, str_sub(in, cut, in.n));
    }
    sim_end(&s);

    bool same = str_eq(buf_view(&s.out), want);

    if (!same)
        fprintf(stderr, "FAILED: %.*s, %s %zd\n--- want\n%.*s--- got\n%.*s", STR_ARG(g->name), how,
                (ssize_t)cut, STR_ARG(want), STR_ARG(buf_view(&s.out)));
    sim_fini(&s);
    return same;
}

static bool run(const struct golden *g, bool print)
{
    size_t n = g->input.n;

    if (print) {
        struct sim s;

        sim_init(&s, g);
        feed(&s, buf_view(&g->input));
        sim_end(&s);
        printf("## %.*s\n%.*s", STR_ARG(g->name), STR_ARG(buf_view(&s.out)));
        sim_fini(&s);
        return true;
    }
    if (!replay(g, n, buf_view(&g->want), "whole") ||
        !replay(g, SIZE_MAX, buf_view(&g->want), "byte by byte"))
        return false;
    for (size_t cut = 1; cut < n; cut += cut < DENSE_CUTS ? 1 : SPARSE_STEP)
        if (!replay(g, cut, buf_view(&g->want), "cut at"))
            return false;
    return true;
}

/* Undoes the escapes of a request block. False if one is unknown. */
static bool unescape(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        uint64_t count;

        if (c != '\\') {
            buf_char(out, c);
            continue;
        }
        c = ++i < s.n ? s.p[i] : '\0';
        if (c == 'r' || c == 'n' || c == 't' || c == '0' || c == '\\') {
            static const char from[] = "rnt0\\", to[] = "\r\n\t\0\\";
            buf_char(out, to[strchr(from, c) - from]);
        } else if (c == 'x' && i + 2 < s.n) {
            buf_char(out, (char)(ascii_hex(s.p[i + 1]) << 4 | ascii_hex(s.p[i + 2])));
            i += 2;
        } else if (c == '*') {
            struct str rest = str_sub(s, i + 1, s.n);
            size_t open = str_find_char(rest, '('), close = str_find_char(rest, ')');

            if (close == SIZE_MAX || open > close ||
                !str_u64(str_sub(rest, 0, open), 1 << 20, &count))
                return false;
            while (count--)
                if (!unescape(str_sub(rest, open + 1, close), out))
                    return false;
            i += close + 1;
        } else {
            return false;
        }
    }
    return true;
}

/* "Name=value" or a flag's name, of HTTP.sys's parameters. */
static bool set_limit(struct golden *g, struct str word)
{
    size_t eq = str_find_char(word, '=');
    struct str name = str_sub(word, 0, eq);
    uint64_t v = 1;
    const struct {
        struct str name;
        uint32_t *number;
        bool *flag;
        uint32_t bit;
    } known[] = {
        {STR("MaxFieldLength"), &g->h1.max_field_length, NULL, 0},
        {STR("MaxRequestBytes"), &g->h1.max_request_bytes, NULL, 0},
        {STR("UrlSegmentMaxLength"), &g->url.segment_max_length, NULL, 0},
        {STR("UrlSegmentMaxCount"), &g->url.segment_max_count, NULL, 0},
        {STR("EnableNonUTF8"), NULL, &g->url.enable_non_utf8, 0},
        {STR("FavorUTF8"), NULL, &g->url.favor_utf8, 0},
        {STR("PercentUAllowed"), NULL, &g->url.percent_u_allowed, 0},
        {STR("AllowRestrictedChars"), NULL, &g->url.allow_restricted_chars, 0},
        {STR("AllowUnEscapedRestrictedChars"), NULL, &g->url.allow_raw_restricted,
         HTTP1_RAW_RESTRICTED_CHARS},
        {STR("AllowWeakHeaderNameSyntax"), NULL, NULL, HTTP1_WEAK_HEADER_NAMES},
        {STR("AllowWeakHeaderValueSyntax"), NULL, NULL, HTTP1_WEAK_HEADER_VALUES},
        {STR("AllowCaseInsensitiveVerbs"), NULL, NULL, HTTP1_CASE_INSENSITIVE_VERBS},
    };

    if (eq != SIZE_MAX && !str_u64(str_sub(word, eq + 1, word.n), UINT32_MAX, &v))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(known[i].name, name)) {
            if (known[i].number)
                *known[i].number = (uint32_t)v;
            if (known[i].flag)
                *known[i].flag = v != 0;
            g->h1.flags |= known[i].bit;
            return true;
        }
    return false;
}

static void golden_start(struct golden *g, struct str name)
{
    g->name = name;
    buf_clear(&g->input);
    buf_clear(&g->want);
    g->h1 = http1_limits_default();
    g->url = url_limits_default();
}

/* Runs the cases of one file; counts them. False if one fails or the file makes no sense. */
static bool run_file(struct str text, bool print, unsigned *n_cases)
{
    enum { TEXT, REQUEST, EXPECT } in = TEXT;
    struct golden g = {0};
    struct str line, word;
    bool ok = true;

    buf_init(&g.input, TEXT_MAX);
    buf_init(&g.want, TEXT_MAX);
    while (str_split(&text, '\n', &line)) {
        if (in == TEXT && str_starts(line, STR("## "))) {
            golden_start(&g, str_sub(line, 3, line.n));
        } else if (in == TEXT && str_starts(line, STR("limits: "))) {
            line = str_sub(line, 8, line.n);
            while (str_split(&line, ' ', &word))
                ok &= set_limit(&g, word);
        } else if (in == TEXT && str_starts(line, STR("```"))) {
            in = str_eq(line, STR("```http")) ? REQUEST : EXPECT;
        } else if (str_eq(line, STR("```"))) {
            if (in == EXPECT) {
                ++*n_cases;
                ok &= run(&g, print);
            }
            in = TEXT;
        } else if (in == REQUEST) {
            ok &= unescape(line, &g.input);
        } else if (in == EXPECT) {
            buf_str(&g.want, line);
            buf_char(&g.want, '\n');
        }
        if (!ok) {
            fprintf(stderr, "in case: %.*s\n", STR_ARG(g.name));
            break;
        }
    }
    buf_fini(&g.input);
    buf_fini(&g.want);
    return ok && in == TEXT;
}

static bool read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rbe");
    char chunk[4096];
    size_t n;

    if (!f)
        return false;
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_append(out, chunk, n);
    fclose(f);
    return !out->overflow;
}

int main(int argc, char **argv)
{
    bool print = argc > 1 && str_eq(str_z(argv[1]), STR("--print"));
    bool ok = argc > 1 + print;

    for (int i = 1 + print; i < argc; i++) {
        _cleanup_buf_ struct buf text;
        unsigned n_cases = 0;

        buf_init(&text, TEXT_MAX);
        bool good = read_file(argv[i], &text) && run_file(buf_view(&text), print, &n_cases);

        fprintf(stderr, "%s: %u cases, %s\n", argv[i], n_cases, good ? "ok" : "FAILED");
        ok &= good && n_cases > 0;
    }
    return ok ? 0 : 1;
}
