/* Rights: 401.3 and its neighbours, where the logon worked and the resource was refused. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static const struct code_case cases[] = {
    {401, 3, SEVERITY_ERROR, "Files that the account may not read",
     "Logon worked, but the account of the user, or of anonymous requests, has no right to the "
     "file "
     "or a folder above it."},
    {401, 4, SEVERITY_WARNING, "An ISAPI filter refused requests", NULL},
    {401, 5, SEVERITY_WARNING, "A script or extension answered 401", NULL},
    {401, 7, SEVERITY_WARNING, "URL authorization refused requests", NULL},
    {403, 2, SEVERITY_ERROR, "Reading is not allowed by accessPolicy", NULL},
    {403, 3, SEVERITY_WARNING, "Writing is not allowed", NULL},
    {403, 10, SEVERITY_WARNING, "Executing is not allowed", NULL},
    {403, 18, SEVERITY_ERROR, "A custom error page lies in another pool", NULL},
    {403, 19, SEVERITY_ERROR, "The pool may not start programs as another user", NULL},
    {403, 21, SEVERITY_WARNING, "WebDAV access to sources is denied", NULL},
    {403, 22, SEVERITY_INFO, "WebDAV listings of infinite depth are denied", NULL},
};

static void run(const struct model *m, struct findings *fs)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct finding *f = detect_code(m, fs, "access-denied", &cases[i]);

        if (!f)
            continue;
        if (cases[i].substatus == 3 && cases[i].status == 401)
            say(fs, f, "%s",
                f->users.n
                    ? "The lines name users: compare their rights with the file's."
                    : "No line names a user: it is the anonymous account (IUSR, or the pool's "
                      "identity) that lacks the right.");
        say_onset(m, fs, f);
    }
}

const struct detector detector_access_denied = {
    .id = "access-denied",
    .title = "resources that the account of the request may not use (401.3, 403.2, 403.18)",
    .run = run,
};
