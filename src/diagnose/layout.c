#include "diagnose/layout.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "diagnose/text.h"
#include "tables/httperr.h"
#include "base/poison.h"

enum { FIELDS_TEXT_MAX = 16384, OUTCOME_COLUMNS_MAX = 7 };

static const struct {
    struct str name;
    enum field field;
} names[] = {
    {STR("date"), FIELD_DATE},
    {STR("date-local"), FIELD_DATE},
    {STR("date-utc"), FIELD_DATE},
    {STR("time"), FIELD_TIME},
    {STR("time-local"), FIELD_TIME},
    {STR("time-utc"), FIELD_TIME},
    {STR("s-sitename"), FIELD_SITE},
    {STR("s-siteid"), FIELD_SITE},
    {STR("cs-method"), FIELD_METHOD},
    {STR("cs-uri-stem"), FIELD_URL},
    {STR("cs-uri"), FIELD_URL},
    {STR("cs-username"), FIELD_USER},
    {STR("c-ip"), FIELD_CLIENT},
    {STR("sc-status"), FIELD_STATUS},
    {STR("sc-substatus"), FIELD_SUBSTATUS},
    {STR("sc-win32-status"), FIELD_WIN32},
    {STR("sc-bytes"), FIELD_SENT},
    {STR("cs-bytes"), FIELD_RECEIVED},
    {STR("time-taken"), FIELD_TAKEN},
    {STR("TimeTakenMS"), FIELD_TAKEN},
    {STR("s-reason"), FIELD_REASON},
    {STR("s-queuename"), FIELD_POOL},
};

static int find_field(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq(names[i].name, name))
            return (int)names[i].field;
    return -1;
}

/* Columns that only the FTP service writes. */
static bool is_ftp_column(struct str name)
{
    return str_ieq(name, STR("x-session")) || str_ieq(name, STR("x-fullpath"));
}

static void add_column(struct layout *l, struct buf *text, struct str name)
{
    int field = find_field(name);

    if (l->columns)
        buf_char(text, ' ');
    buf_str(text, name);
    if (field >= 0 && l->at[field] == COLUMN_NONE && l->columns < COLUMNS_FAST)
        l->at[field] = (uint8_t)l->columns;
    if (field == FIELD_REASON)
        l->kind = LOG_HTTPERR;
    if (is_ftp_column(name)) {
        l->kind = LOG_FTP;
        l->is_settled = true;
    }
    if (str_ieq(name, STR("date-local")) || str_ieq(name, STR("time-local")))
        l->has_local_time = l->is_quoted = true;
    if (str_ieq(name, STR("TimeTakenMS")))
        l->is_quoted = true;
    l->columns++;
}

static bool has_known_field(const struct layout *l)
{
    return l->at[FIELD_STATUS] != COLUMN_NONE || l->at[FIELD_REASON] != COLUMN_NONE ||
           l->at[FIELD_URL] != COLUMN_NONE || l->at[FIELD_CLIENT] != COLUMN_NONE;
}

/* Status, site, reason and queue end a line in all versions; later ones add a transport and codes,
 * of few values as well. */
static uint8_t outcome_column(const struct layout *l)
{
    static const bool may_stand_before[FIELD_MAX] = {
        [FIELD_DATE] = true, [FIELD_TIME] = true,   [FIELD_METHOD] = true,
        [FIELD_URL] = true,  [FIELD_CLIENT] = true,
    };
    static const bool is_part[FIELD_MAX] = {
        [FIELD_STATUS] = true, [FIELD_SITE] = true, [FIELD_REASON] = true, [FIELD_POOL] = true};
    uint8_t from = l->at[FIELD_STATUS];

    if (l->kind != LOG_HTTPERR || from == COLUMN_NONE || l->columns - from > OUTCOME_COLUMNS_MAX)
        return COLUMN_NONE;
    for (size_t f = 0; f < FIELD_MAX; f++)
        if (l->at[f] != COLUMN_NONE && !(l->at[f] < from ? may_stand_before[f] : is_part[f]))
            return COLUMN_NONE;
    return from;
}

struct layout *layout_new(struct str fields, const char **ret_why)
{
    struct layout *l;
    struct buf text;
    struct str name;

    if (str_find_char(fields, ',') != SIZE_MAX || str_find_char(fields, '\t') != SIZE_MAX) {
        *ret_why = "the columns of its #Fields line are not separated by blanks: not a log of IIS";
        return NULL;
    }
    l = xcalloc(1, sizeof(*l));
    l->kind = LOG_W3C;
    memset(l->at, COLUMN_NONE, sizeof(l->at));
    buf_init(&text, FIELDS_TEXT_MAX);
    while (str_split(&fields, ' ', &name) && l->columns <= COLUMNS_MAX)
        if (name.n)
            add_column(l, &text, name);
    bool fits = !text.overflow && l->columns <= COLUMNS_MAX && has_known_field(l);

    l->has_date = l->at[FIELD_DATE] != COLUMN_NONE && l->at[FIELD_TIME] == l->at[FIELD_DATE] + 1;
    l->outcome = outcome_column(l);
    l->fields = (struct str){str_dup_z(buf_view(&text)), text.n};
    buf_fini(&text);
    if (fits)
        return l;
    *ret_why = "its #Fields line names no column of an IIS log";
    return layout_free(l);
}

struct layout *layout_free(struct layout *l)
{
    if (l)
        free((char *)(uintptr_t)l->fields.p);
    free(l);
    return NULL;
}

bool layout_is_ftp_verb(struct str s)
{
    static const struct str verbs[] = {STR("ControlChannelOpened"),
                                       STR("ControlChannelClosed"),
                                       STR("DataChannelOpened"),
                                       STR("DataChannelClosed"),
                                       STR("USER"),
                                       STR("PASS"),
                                       STR("RETR"),
                                       STR("STOR")};

    if (s.n > 2 && s.p[0] == '[' && ascii_is_digit(s.p[1]))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (str_eq(s, verbs[i]))
            return true;
    return false;
}

/* ---- guessing ---- */

static bool is_number(struct str s, uint64_t max)
{
    uint64_t v;

    return text_u64(s.p, s.n, &v) && v <= max;
}

static bool is_dash(struct str s)
{
    return s.n == 1 && s.p[0] == '-';
}

static bool is_status(struct str s)
{
    return s.n == 3 && is_number(s, 999) && s.p[0] != '0';
}

static bool is_verb(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_alpha(s.p[i]) && s.p[i] != '_' && s.p[i] != '-')
            return false;
    return s.n >= 2 && s.n <= 64;
}

static bool is_reason(struct str s)
{
    /* Met in logs, in no document. */
    static const struct str others[] = {STR("SlowResponsiveClient"), STR("Request_Too_Large")};

    if (httperr_find_name(s) || httperr_reason_find(s) != HTTPERR_NONE)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (str_eq(s, others[i]))
            return true;
    return false;
}

static struct layout *from_names(struct buf *text)
{
    const char *why;
    struct layout *l = text->overflow ? NULL : layout_new(buf_view(text), &why);

    buf_fini(text);
    if (l)
        l->is_guess = l->is_settled = true;
    return l;
}

/* date time c-ip c-port s-ip s-port cs-version cs-method cs-uri [streamid [streamid_ex]] sc-status
 * s-siteid s-reason [s-queuename [transport fault-code extended-fault-code]]. The reason is the
 * only value from a closed list. */
static struct layout *guess_httperr(const struct str *v, size_t n)
{
    struct buf text;
    size_t r = 11;

    while (r < n && r <= 13 && !is_reason(v[r]))
        r++;
    if (r > 13 || r >= n || n - r > 5 || !(is_status(v[r - 2]) || is_dash(v[r - 2])))
        return NULL;
    if (!is_number(v[3], 65535) || !is_number(v[5], 65535) || !text_is_address(v[2]))
        return NULL;
    buf_init(&text, FIELDS_TEXT_MAX);
    buf_str(&text, STR("date time c-ip c-port s-ip s-port cs-version cs-method cs-uri"));
    if (r > 11)
        buf_str(&text, STR(" streamid"));
    if (r > 12)
        buf_str(&text, STR(" streamid_ex"));
    buf_str(&text, STR(" sc-status s-siteid s-reason"));
    static const char *const tail[] = {" s-queuename", " transport", " fault-code",
                                       " extended-fault-code"};
    for (size_t i = r + 1; i < n; i++)
        buf_str(&text, str_z(tail[i - r - 1]));
    return from_names(&text);
}

/* What stands between c-ip and sc-status, by how many and by content. */
static bool guess_middle(struct buf *text, const struct str *v, size_t n)
{
    bool has_version = n > 0 && str_istarts(v[0], STR("HTTP/"));
    static const char *const rest[] = {"", " cs(User-Agent)", " cs(User-Agent) cs(Referer)",
                                       " cs(User-Agent) cs(Cookie) cs(Referer)",
                                       " cs(User-Agent) cs(Cookie) cs(Referer) cs-host"};

    if (n - has_version >= ARRAY_LEN(rest))
        return false;
    if (has_version)
        buf_str(text, STR(" cs-version"));
    buf_str(text, str_z(rest[n - has_version]));
    return true;
}

/* What follows sc-win32-status. */
static void guess_tail(struct buf *text, const struct str *v, size_t n)
{
    size_t numbers = 0;

    while (numbers < n && numbers < 3 && is_number(v[numbers], UINT64_MAX))
        numbers++;
    if (numbers == 3)
        buf_str(text, STR(" sc-bytes cs-bytes time-taken"));
    else if (numbers)
        buf_str(text, STR(" time-taken"));
    for (size_t i = numbers == 3 ? 3 : numbers ? 1 : 0; i < n; i++)
        buf_printf(text, " custom-%zu", i);
}

/* date time [s-sitename] [s-computername] [s-ip] cs-method cs-uri-stem cs-uri-query s-port
 * cs-username c-ip ... sc-status sc-substatus sc-win32-status ... : found by the verb before a path
 * and by the run of a three-digit and two other numbers. A lost query is forgiven. */
static struct layout *guess_site(const struct str *v, size_t n)
{
    struct buf text;
    size_t verb = 2, query = 1;

    while (verb < n && verb <= 5 &&
           !(is_verb(v[verb]) && verb + 6 < n &&
             (v[verb + 1].n && (v[verb + 1].p[0] == '/' || is_dash(v[verb + 1])))))
        verb++;
    if (verb > 5 || verb + 6 >= n)
        return NULL;
    if (!is_number(v[verb + 3], 65535)) {
        if (!is_number(v[verb + 2], 65535))
            return NULL;
        query = 0;
    }
    size_t after = verb + 5 + query, s = after;

    while (s + 2 < n &&
           !(is_status(v[s]) && is_number(v[s + 1], 9999) && is_number(v[s + 2], UINT64_MAX)))
        s++;
    if (s + 2 >= n)
        return NULL;
    buf_init(&text, FIELDS_TEXT_MAX);
    buf_str(&text, STR("date time"));
    if (verb == 3)
        buf_str(&text, text_is_address(v[2]) ? STR(" s-ip") : STR(" s-sitename"));
    else if (verb == 4)
        buf_str(&text, STR(" s-sitename s-ip"));
    else if (verb == 5)
        buf_str(&text, STR(" s-sitename s-computername s-ip"));
    buf_str(&text, STR(" cs-method cs-uri-stem"));
    buf_str(&text, query ? STR(" cs-uri-query s-port") : STR(" s-port"));
    buf_str(&text, STR(" cs-username c-ip"));
    if (!guess_middle(&text, v + after, s - after)) {
        buf_fini(&text);
        return NULL;
    }
    buf_str(&text, STR(" sc-status sc-substatus sc-win32-status"));
    guess_tail(&text, v + s + 3, n - s - 3);
    return from_names(&text);
}

struct layout *layout_guess(const struct str *v, size_t n)
{
    int64_t at;

    if (n < 11 || n > COLUMNS_FAST || !text_date(v[0], &at) || !text_clock(v[1], &at))
        return NULL;
    struct layout *l = guess_httperr(v, n);

    return l ? l : guess_site(v, n);
}
