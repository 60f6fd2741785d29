/* 401.2 and 401.1 as legs of NTLM and Kerberos handshakes: the browser asks without credentials
 * (401.2), with the first token (401.1, win32 2148074254), and then gets its 200. Normal as long as
 * the same clients succeed afterwards. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

/* What 401.1 logs while a handshake goes on, and when nothing failed. */
enum {
    NO_CREDENTIALS = 0x8009030eu,
    CONTINUE_NEEDED = 0x00090312u,
};

static bool is_leg(const struct model_status *row)
{
    if (row->is_ftp || row->status != 401)
        return false;
    return row->substatus == 2 ||
           (row->substatus == 1 && (row->win32 == NO_CREDENTIALS || row->win32 == CONTINUE_NEEDED));
}

/* Requests of a client that succeeded; -1: the list of clients does not have it. */
static int64_t successes(const struct model *m, struct str client)
{
    for (size_t i = 0; i < m->client_n; i++) {
        const struct model_client *c = &m->clients_top[i];
        if (str_eq(c->client, client))
            return (int64_t)(c->count - c->errors_4xx - c->errors_5xx);
    }
    return -1;
}

struct split {
    uint64_t answered, unanswered; /* legs of clients that succeeded, and of those that never did */
    struct model_counts lost;      /* the latter */
};

static void split_clients(const struct model *m, struct findings *fs,
                          const struct model_status *row, struct split *s)
{
    for (size_t i = 0; i < row->client_top.n; i++) {
        const struct model_count *c = &row->client_top.at[i];
        int64_t ok = successes(m, c->name);

        if (ok > 0)
            s->answered += c->count;
        if (ok != 0)
            continue;
        s->unanswered += c->count;
        struct model_count *at =
            arena_alloc(&fs->arena, (s->lost.n + 1) * sizeof(struct model_count));
        for (size_t k = 0; k < s->lost.n; k++)
            at[k] = s->lost.at[k];
        at[s->lost.n] = *c;
        s->lost.at = at;
        s->lost.n++;
    }
}

static void add_normal(const struct model *m, struct findings *fs, uint64_t legs)
{
    struct finding *f = findings_add(fs, "handshake", SEVERITY_NORMAL);

    for (size_t i = 0; i < m->status_n; i++)
        if (is_leg(&m->statuses[i])) {
            finding_from_status(f, &m->statuses[i]);
            finding_relate(f, str_z(m->statuses[i].code));
        }
    f->count = legs; /* those of clients that never succeeded have a finding of their own */
    f->share = ratio(f->count, m->requests);
    f->title = findings_text(fs, "%llu answer%s 401 that belong%s to logons",
                             (unsigned long long)legs, plural(legs), legs == 1 ? "s" : "");
    f->why =
        STR("Windows authentication asks up to twice before it lets a connection in: 401.2 for the "
            "request without credentials, 401.1 with win32 2148074254 for the first token, then "
            "200. The clients of these lines succeeded as well, so nothing failed.");
    finding_step(
        f, STR("Nothing. If they are a large part of all requests, keep-alive is off or a proxy "
               "opens a connection for each request: NTLM then starts anew every time."));
    f->command = STR("candor explain 401.1");
}

static void add_lost(const struct model *m, struct findings *fs, const struct split *s)
{
    struct finding *f = findings_add(fs, "handshake-unanswered", SEVERITY_WARNING);

    for (size_t i = 0; i < m->status_n; i++)
        if (is_leg(&m->statuses[i])) {
            finding_from_status(f, &m->statuses[i]);
            finding_relate(f, str_z(m->statuses[i].code));
        }
    f->count = s->unanswered;
    f->clients = s->lost;
    f->share = ratio(f->count, m->requests);
    f->title = findings_text(fs, "%zu client%s never got past the challenge (401)", s->lost.n,
                             plural(s->lost.n));
    f->why =
        findings_text(fs,
                      "%.*s got 401 and never an answer that is no error: programs that send no "
                      "credentials, or share no scheme with the server (WWW-Authenticate).",
                      STR_ARG(names_text(fs, &f->clients, 3)));
    finding_step(
        f, STR("Look at who they are: a monitor or a service needs credentials, or a path with "
               "anonymousAuthentication."));
    finding_step(
        f, STR("Check that a proxy passes Authorization and keeps connections: NTLM needs one "
               "connection from end to end."));
    f->command =
        again(m, fs, "--client %.*s --status 401", STR_ARG(shell_word(fs, s->lost.at[0].name)));
}

static void run(const struct model *m, struct findings *fs)
{
    struct split s = {0};
    uint64_t legs = 0;

    for (size_t i = 0; i < m->status_n; i++) {
        if (!is_leg(&m->statuses[i]))
            continue;
        legs += m->statuses[i].count;
        split_clients(m, fs, &m->statuses[i], &s);
    }
    if (legs == 0)
        return;
    if (s.answered > s.unanswered)
        add_normal(m, fs, legs > s.unanswered ? legs - s.unanswered : legs);
    if (s.unanswered >= 5)
        add_lost(m, fs, &s);
}

const struct detector detector_handshake = {
    .id = "handshake",
    .title =
        "401 answers that belong to NTLM and Kerberos logons, and clients that never finish one",
    .run = run,
};
