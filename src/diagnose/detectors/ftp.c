/* Replies of the FTP service from 400 on, with what their sub-status means. */
#include "diagnose/detectors/tools.h"
#include "tables/ftp.h"
#include "base/poison.h"

enum { NOT_LOGGED_IN = 530, GUESSES_MIN = 20 };

static void run_row(const struct model *m, struct findings *fs, const struct model_status *row)
{
    const struct ftp_row *reply = ftp_reply_find(row->status);
    const struct ftp_row *sub = row->substatus ? ftp_substatus_find(row->substatus) : NULL;
    struct str id = findings_text(fs, "ftp-%s", row->code);
    struct finding *f = findings_add(fs, id.p, SEVERITY_WARNING);

    finding_from_status(f, row);
    f->share = ratio(f->count, m->ftp_records);
    f->title = findings_text(fs, "FTP: %s (%s)",
                             sub     ? sub->title
                             : reply ? reply->title
                                     : "a reply that is not known",
                             row->code);
    f->why = str_z(sub ? sub->text : reply ? reply->text : "The FTP service refused the command.");
    say_clients(fs, f);
    if (row->status == NOT_LOGGED_IN && f->clients.n && f->clients.at[0].count >= GUESSES_MIN) {
        f->severity = SEVERITY_ERROR;
        say(fs, f, "So many logons that failed from one address are guesses.");
        finding_step(
            f, STR("Switch on denyByFailure of ftpServer/security/authentication, or block the "
                   "address."));
    }
    const char *const *remedies = sub && sub->remedies[0] ? sub->remedies
                                  : reply                 ? reply->remedies
                                                          : NULL;

    for (; remedies && *remedies; remedies++)
        finding_step(f, sentence_case(fs, *remedies));
    finding_relate(f, findings_text(fs, "ftp %u", row->status));
    if (row->substatus)
        finding_relate(f, findings_text(fs, "ftp substatus %u", row->substatus));
    f->command = findings_text(fs, "candor explain ftp %s", row->code);
}

static void run(const struct model *m, struct findings *fs)
{
    struct finding *more = NULL;
    size_t n = 0;

    for (size_t i = 0; i < m->status_n; i++) {
        if (!m->statuses[i].is_ftp || m->statuses[i].status < 400)
            continue;
        if (n++ < DETECT_ROWS_MAX)
            run_row(m, fs, &m->statuses[i]);
        else
            detect_more(m, fs, "ftp", &m->statuses[i], &more);
    }
}

const struct detector detector_ftp = {
    .id = "ftp",
    .title = "commands that the FTP service refused, by reply and sub-status",
    .run = run,
};
