/* 401.1 with a code that says why the logon failed, and clients that try many passwords. */
#include "diagnose/detectors/tools.h"
#include "tables/win32.h"
#include "base/poison.h"

enum { GUESSES_MIN = 20, USERS_MIN = 5 };

static const struct {
    uint64_t win32;
    const char *title;
    const char *why;
} cases[] = {
    {1326, "Wrong user name or password", "The account does not exist or the password is wrong."},
    {0xc000006du, "Wrong user name or password",
     "The account does not exist or the password is wrong."},
    {0x8009030cu, "Logons that were denied",
     "The token was understood and the account refused: password, account state, or the loopback "
     "check when the server calls itself by another name."},
    {1909, "Accounts that are locked out",
     "The account is locked after too many wrong passwords: a service or phone with an old "
     "password "
     "keeps trying."},
    {1331, "Accounts that are disabled", "The account is disabled."},
    {1330, "Passwords that have expired", "The password of the account has expired."},
    {1907, "Passwords that must be changed",
     "The password must be changed before the first logon."},
    {1385, "Accounts without the right to log on here",
     "The account has no right to the kind of logon that logonMethod asks for."},
    {0x80090308u, "Tokens that are not valid",
     "The token could not be read: NTLM sent where Kerberos is expected, or a token for another "
     "service (SPN)."},
    {0x80090322u, "Kerberos tickets for another service",
     "The ticket was made for another account: the SPN of the host name is registered for the "
     "wrong "
     "one, or twice."},
    {0x80090324u, "Clocks that differ too much for Kerberos",
     "Client, server and domain controller differ by more than five minutes."},
};

static bool is_failure(const struct model_status *row)
{
    return !row->is_ftp && row->status == 401 && row->substatus == 1 && row->win32 != 0 &&
           row->win32 != 0x8009030eu && row->win32 != 0x00090312u;
}

static void run_row(const struct model *m, struct findings *fs, const struct model_status *row)
{
    static const struct code_case any = {401, 1, SEVERITY_WARNING, "Logons that failed", NULL};
    struct finding *f = detect_row(m, fs, "logon-failed", row, &any);
    const struct win32_row *code =
        row->win32 > UINT32_MAX ? NULL : win32_find((uint32_t)row->win32);

    f->why = code ? findings_text(fs, "%s.", code->text) : f->why;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (cases[i].win32 != row->win32)
            continue;
        f->title = findings_text(fs, "%s (401.1, win32 %llu)", cases[i].title,
                                 (unsigned long long)row->win32);
        f->why = str_z(cases[i].why);
    }
    say_clients(fs, f);
    const struct model_count *top = f->clients.n ? &f->clients.at[0] : NULL;

    if (top && top->count >= GUESSES_MIN && row->users.n >= USERS_MIN) {
        f->severity = SEVERITY_ERROR;
        say(fs, f, "%zu different users from so few addresses: somebody tries passwords.",
            row->users.n);
        finding_step(f,
                     findings_text(fs,
                                   "Block %.*s at the firewall or in ipSecurity, and look whether "
                                   "one of its attempts succeeded.",
                                   STR_ARG(top->name)));
    }
    advise_win32(fs, f, row->win32);
    if (f->step_n == 0)
        advise_status(fs, f, 401, 1);
}

static void run(const struct model *m, struct findings *fs)
{
    struct finding *more = NULL;
    size_t n = 0;

    for (size_t i = 0; i < m->status_n; i++) {
        if (!is_failure(&m->statuses[i]))
            continue;
        if (n++ < DETECT_ROWS_MAX)
            run_row(m, fs, &m->statuses[i]);
        else
            detect_more(m, fs, "logon-failed", &m->statuses[i], &more);
    }
}

const struct detector detector_logon_failed = {
    .id = "logon-failed",
    .title = "logons that failed (401.1 with its win32 code) and clients that try many",
    .run = run,
};
