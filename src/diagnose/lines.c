#include "diagnose/lines.h"

#include "diagnose/text.h"
#include "base/poison.h"

static struct str not_dash(struct str s)
{
    return s.n == 1 && s.p[0] == '-' ? STR_NULL : s;
}

/* ---- IIS native: 15 values, each with a comma and a blank after it; local time ---- */

enum {
    N_CLIENT,
    N_USER,
    N_DATE,
    N_TIME,
    N_SERVICE,
    N_COMPUTER,
    N_SERVER,
    N_TAKEN,
    N_RECEIVED,
    N_SENT,
    N_STATUS,
    N_WIN32,
    N_VERB,
    N_FIXED
};

bool native_parse(struct str line, struct record *ret_r)
{
    struct str v[N_FIXED], rest = line;
    struct record r = {.kind = LOG_IIS, .text = line, .has_time_taken = true};
    uint64_t status;
    int64_t date, clock;

    for (size_t i = 0; i < N_FIXED; i++) {
        size_t at = str_find(rest, STR(", "));
        if (at == SIZE_MAX)
            return false;
        v[i] = str_sub(rest, 0, at);
        rest = str_sub(rest, at + 2, rest.n);
    }
    if (!text_us_date(v[N_DATE], &date) || !text_clock(v[N_TIME], &clock) ||
        !text_u64(v[N_TAKEN].p, v[N_TAKEN].n, &r.time_taken_ms) ||
        !text_u64(v[N_RECEIVED].p, v[N_RECEIVED].n, &r.bytes_received) ||
        !text_u64(v[N_SENT].p, v[N_SENT].n, &r.bytes_sent) ||
        !text_u64(v[N_STATUS].p, v[N_STATUS].n, &status) || status > 999 ||
        !text_u64(v[N_WIN32].p, v[N_WIN32].n, &r.win32))
        return false;
    /* Target and parameters may hold commas: the last one that stands before a blank parts them. */
    rest = str_trim(rest);
    if (rest.n && rest.p[rest.n - 1] == ',')
        rest.n--;
    size_t part = rest.n;

    while (part > 1 && !(rest.p[part - 2] == ',' && rest.p[part - 1] == ' '))
        part--;
    r.url = not_dash(part > 1 ? str_sub(rest, 0, part - 2) : rest);
    if (str_istarts(v[N_SERVICE], STR("MSFTPSVC")))
        r.kind = LOG_FTP;
    r.time_s = date + clock;
    r.status = (uint32_t)status;
    r.client = not_dash(v[N_CLIENT]);
    r.user = not_dash(v[N_USER]);
    r.site = not_dash(v[N_SERVICE]);
    r.method = not_dash(v[N_VERB]);
    *ret_r = r;
    return true;
}

/* ---- NCSA ---- */

/* Host, identity and user before the time; another server's virtual host may stand in front. */
static bool ncsa_head(struct str head, struct record *r)
{
    struct str v[6];
    size_t n = 0;

    head = str_trim(head);
    while (n < ARRAY_LEN(v) && str_split(&head, ' ', &v[n]))
        n++;
    if (n < 3 || head.p)
        return false;
    size_t host = n >= 4 && (text_is_address(v[1]) || !text_is_address(v[0])) ? 1 : 0;

    r->client = not_dash(v[host]);
    /* A user's name may hold blanks. */
    r->user = not_dash(str_n(v[host + 2].p, (size_t)(v[n - 1].p + v[n - 1].n - v[host + 2].p)));
    return true;
}

/* Index of the quote that ends the request: before " 200 1234". */
static size_t request_end(struct str s)
{
    for (size_t i = 0; i + 6 <= s.n; i++)
        if (s.p[i] == '"' && s.p[i + 1] == ' ' && ascii_is_digit(s.p[i + 2]) &&
            ascii_is_digit(s.p[i + 3]) && ascii_is_digit(s.p[i + 4]) && s.p[i + 5] == ' ')
            return i;
    return SIZE_MAX;
}

static void ncsa_request(struct str request, struct record *r)
{
    size_t blank = str_find_char(request, ' ');

    if (blank == SIZE_MAX) {
        r->url = not_dash(request);
        return;
    }
    r->method = str_sub(request, 0, blank);
    struct str target = str_sub(request, blank + 1, request.n);
    size_t version = str_rfind_char(target, ' ');

    if (version != SIZE_MAX && str_istarts(str_sub(target, version + 1, target.n), STR("HTTP/")))
        target = str_sub(target, 0, version);
    r->url = str_sub(target, 0, str_find_char(target, '?'));
}

bool ncsa_parse(struct str line, struct record *ret_r)
{
    struct record r = {.kind = LOG_NCSA, .text = line};
    uint64_t status = 0;
    size_t open = str_find(line, STR(" [")), close;

    if (open == SIZE_MAX || !ncsa_head(str_sub(line, 0, open), &r))
        return false;
    struct str rest = str_sub(line, open + 2, line.n);

    close = str_find(rest, STR("] \""));
    if (close == SIZE_MAX || !text_ncsa_time(str_sub(rest, 0, close), &r.time_s))
        return false;
    rest = str_sub(rest, close + 3, rest.n);
    size_t quote = request_end(rest);

    if (quote == SIZE_MAX)
        return false;
    ncsa_request(str_sub(rest, 0, quote), &r);
    if (!text_u64(rest.p + quote + 2, 3, &status))
        return false;
    r.status = (uint32_t)status;
    rest = str_sub(rest, quote + 6, rest.n);
    struct str bytes = str_sub(rest, 0, str_find_char(rest, ' '));

    if (!not_dash(bytes).n)
        r.bytes_sent = 0;
    else if (!text_u64(bytes.p, bytes.n, &r.bytes_sent))
        return false;
    *ret_r = r;
    return true;
}

/* ---- ASP.NET Core Module ---- */

static bool starts_with_any(struct str line, const struct str *marks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_starts(line, marks[i]))
            return true;
    return false;
}

static bool is_module_line(struct str line)
{
    return line.n && line.p[0] == '[' &&
           str_find(str_sub(line, 0, 120), STR("[aspnetcore")) != SIZE_MAX;
}

bool ancm_is_mark(struct str line)
{
    static const struct str marks[] = {
        STR("Now listening on: "),
        STR("Hosting environment: "),
        STR("Content root path: "),
        STR("Application started. "),
        STR("Application is shutting down"),
        STR("info: "),
        STR("warn: "),
        STR("fail: "),
        STR("crit: "),
        STR("dbug: "),
        STR("trce: "),
        STR("Unhandled exception"),
        STR("Unhandled Exception"),
    };

    return is_module_line(line) || starts_with_any(line, marks, ARRAY_LEN(marks));
}

static bool is_failure(struct str line)
{
    static const struct str marks[] = {STR("fail: "), STR("crit: "), STR("Unhandled ")};
    static const struct str words[] = {STR("Exception"), STR("Failed"),    STR("failed"),
                                       STR("Error"),     STR("ErrorCode"), STR("0x800")};

    if (starts_with_any(line, marks, ARRAY_LEN(marks)))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_find(line, words[i]) != SIZE_MAX)
            return true;
    return false;
}

/* A module line begins with its mark; what follows without one is the rest of a quoted value. In a
 * program's output each line is one. */
static void ancm_line(struct sink *sink, struct str line, uint64_t at)
{
    struct unit_stats *u = sink->stats;
    int64_t time_s = RECORD_NO_TIME;
    bool is_module = is_module_line(line);

    /* "[2023-03-13T16:30:14.434Z, PID: 4752] [aspnetcorev2.dll] ..." */
    if (is_module && !text_iso_time(str_sub(line, 1, str_find_char(line, ',')), &time_s))
        time_s = RECORD_NO_TIME;
    if (is_module)
        u->is_module_log = true;
    else if (u->is_module_log)
        return;
    u->records++;
    u->kind = LOG_ANCM;
    if (time_s != RECORD_NO_TIME) {
        if (u->first_s == RECORD_NO_TIME)
            u->first_s = time_s;
        u->last_s = time_s;
    }
    if (sink->tally && (!sink->filter || !sink->filter->is_active) && is_failure(line))
        tally_failure(sink->tally, line, time_s, at);
}

/* ---- */

static void one_line(struct sink *sink, enum log_kind kind, struct str line, uint64_t at)
{
    struct record r;

    if (line.n > LINE_LIMIT) {
        sink_misfit(sink, line, at);
        return;
    }
    if (kind == LOG_ANCM) {
        ancm_line(sink, line, at);
        return;
    }
    if (kind == LOG_IIS ? native_parse(line, &r) : ncsa_parse(line, &r))
        sink_record(sink, &r, at);
    else
        sink_misfit(sink, line, at);
}

void lines_read(struct sink *sink, enum log_kind kind, const char *p, const char *end,
                uint64_t *line)
{
    sink->stats->has_local_time |= kind == LOG_IIS;
    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        struct str s = str_n(p, (size_t)((nl ? nl : end) - p));

        ++*line;
        sink->stats->lines++;
        while (s.n && s.p[0] == '\0') {
            s = str_sub(s, 1, s.n);
            sink->stats->nul_bytes++;
        }
        if (s.n && s.p[s.n - 1] == '\r')
            s.n--;
        if (str_trim(s).n && s.p[0] != '#')
            one_line(sink, kind, s, *line);
        p = nl ? nl + 1 : end;
    }
}
