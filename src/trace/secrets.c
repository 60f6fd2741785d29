#include "trace/freb.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/poison.h"

/* Passwords and tokens in names of headers and parameters; case does not matter. */
static const char *const words[] = {"password", "passwd",  "pwd",     "secret",          "token",
                                    "apikey",   "api-key", "api_key", "subscription-key"};
static const char *const whole_names[] = {"sig", "signature", "x-functions-key", "__viewstate"};

enum { CODE_SECRET_FROM = 20 }; /* "code=" is a key from this length on, else a number */

static bool is_secret_name(struct str name, size_t value_len)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_ifind(name, str_z(words[i])) != SIZE_MAX)
            return true;
    for (size_t i = 0; i < ARRAY_LEN(whole_names); i++)
        if (str_ieq(name, str_z(whole_names[i])))
            return true;
    return str_ieq(name, STR("code")) && value_len >= CODE_SECRET_FROM;
}

static void put_hidden(struct buf *out, size_t n)
{
    if (n)
        buf_printf(out, "[hidden, %zu bytes]", n);
}

static bool is_name_char(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || c == '_' || c == '-' || c == '.';
}

/* Any text with "name=value" in it, values ending at & ; blank or quote; with_json: also
 * "name":"value". */
static void put_parameters(struct buf *out, struct str s, bool with_json)
{
    size_t i = 0;

    while (i < s.n) {
        size_t from = i;
        while (i < s.n && is_name_char(s.p[i]))
            i++;
        struct str name = str_sub(s, from, i);
        size_t value = i;
        if (with_json && name.n && value < s.n && s.p[value] == '"') {
            value++;
            while (value < s.n && (s.p[value] == ' ' || s.p[value] == ':'))
                value++;
            if (value < s.n && s.p[value] == '"')
                value++;
            else
                value = i; /* a quoted word, not a member with a text */
        } else if (name.n && value < s.n && s.p[value] == '=') {
            value++;
        }
        size_t end = value;
        bool in_json = value > i && s.p[i] == '"';
        while (value > i && end < s.n && s.p[end] != '"' &&
               (in_json || !strchr("&; \t\r\n<>'", s.p[end])))
            end += in_json && s.p[end] == '\\' && end + 1 < s.n ? 2 : 1;
        if (value > i && end > value && is_secret_name(name, end - value)) {
            buf_str(out, str_sub(s, from, value));
            put_hidden(out, end - value);
            i = end;
            continue;
        }
        buf_str(out, name);
        if (i < s.n)
            buf_char(out, s.p[i++]);
    }
}

/* "a=1; b=2": names stay, for one can see which cookie grew. */
static void put_cookies(struct buf *out, struct str s, bool only_first)
{
    struct str rest = s, part;
    bool is_first = true;

    while (str_split(&rest, ';', &part)) {
        size_t eq = str_find_char(part, '=');
        if (!is_first)
            buf_char(out, ';');
        if (only_first && !is_first) {
            buf_str(out, part);
        } else if (eq == SIZE_MAX) {
            put_hidden(out, part.n);
        } else {
            buf_str(out, str_sub(part, 0, eq + 1));
            put_hidden(out, part.n - eq - 1);
        }
        is_first = false;
    }
    if (s.n && s.p[s.n - 1] == ';')
        buf_char(out, ';');
}

/* "Negotiate TOKEN": the scheme stays. */
static void put_credentials(struct buf *out, struct str s)
{
    size_t blank = str_find_char(s, ' ');

    if (blank == SIZE_MAX) {
        put_hidden(out, s.n);
        return;
    }
    buf_str(out, str_sub(s, 0, blank + 1));
    put_hidden(out, s.n - blank - 1);
}

static bool is_challenge_with_token(struct str value)
{
    return str_istarts(value, STR("Negotiate ")) || str_istarts(value, STR("NTLM ")) ||
           str_istarts(value, STR("Kerberos "));
}

static void put_header_value(struct buf *out, struct str name, struct str value)
{
    if (str_ieq(name, STR("Cookie")))
        put_cookies(out, value, /* only_first = */ false);
    else if (str_ieq(name, STR("Set-Cookie")))
        put_cookies(out, value, /* only_first = */ true);
    else if (str_ieq(name, STR("Authorization")) || str_ieq(name, STR("Proxy-Authorization")) ||
             str_ieq(name, STR("Authentication-Info")))
        put_credentials(out, value);
    else if ((str_ieq(name, STR("WWW-Authenticate")) || str_ieq(name, STR("Proxy-Authenticate"))) &&
             is_challenge_with_token(value))
        put_credentials(out, value);
    else if (is_secret_name(name, value.n))
        put_hidden(out, value.n);
    else
        put_parameters(out, value, /* with_json = */ false);
}

static void put_headers(struct buf *out, struct str s)
{
    struct str rest = s, line;
    struct str name = STR_NULL;
    bool is_first = true;

    while (str_split(&rest, '\n', &line)) {
        size_t colon = str_find_char(line, ':');
        bool is_folded = line.n && (line.p[0] == ' ' || line.p[0] == '\t');
        if (!is_first)
            buf_char(out, '\n');
        is_first = false;
        if (is_folded && name.n) {
            put_header_value(out, name, line);
            continue;
        }
        if (colon == SIZE_MAX) {
            put_parameters(out, line, /* with_json = */ false);
            continue;
        }
        name = str_trim(str_sub(line, 0, colon));
        struct str value = str_trim_all(str_sub(line, colon + 1, line.n));
        buf_str(out, name);
        buf_str(out, STR(": "));
        put_header_value(out, name, value);
    }
}

static struct str finish(struct arena *a, struct buf *b, struct str old)
{
    struct str s = str_eq(buf_view(b), old) ? old : arena_dup(a, buf_view(b));

    buf_fini(b);
    return s;
}

enum { OUTPUT_MAX = 64 << 20 };

void freb_secrets_hide(struct arena *a, struct str event_name, struct freb_field *fields, size_t n)
{
    struct str header = STR_NULL;
    bool is_body = str_eq(event_name, STR("GENERAL_REQUEST_ENTITY"));

    for (size_t i = 0; i < n; i++) {
        struct freb_field *f = &fields[i];
        struct buf out;
        if (str_eq(f->name, STR("HeaderName"))) {
            header = str_trim(f->value);
            if (header.n && header.p[header.n - 1] == ':')
                header.n--;
            continue;
        }
        if (f->value.n == 0)
            continue;
        buf_init(&out, OUTPUT_MAX);
        if (str_eq(f->name, STR("Headers")))
            put_headers(&out, f->value);
        else if (str_eq(f->name, STR("HeaderValue")) && header.n)
            put_header_value(&out, header, f->value);
        else
            put_parameters(&out, f->value, is_body);
        f->value = finish(a, &out, f->value);
    }
}

struct str freb_secrets_url(struct arena *a, struct str url)
{
    struct buf out;
    struct str rest = url;
    size_t scheme = str_find(url, STR("://"));

    buf_init(&out, OUTPUT_MAX);
    if (scheme != SIZE_MAX) {
        struct str after = str_sub(url, scheme + 3, url.n);
        struct str host = str_sub(after, 0, str_find_char(after, '/'));
        size_t at = str_rfind_char(host, '@'), colon = str_find_char(host, ':');
        if (at != SIZE_MAX && colon < at) {
            buf_str(&out, str_sub(url, 0, scheme + 3 + colon + 1));
            put_hidden(&out, at - colon - 1);
            rest = str_sub(after, at, after.n);
        }
    }
    put_parameters(&out, rest, /* with_json = */ false);
    return finish(a, &out, url);
}
