/* 500.19: the configuration of the URL could not be used. The win32 code says what is wrong with
 * it, the URLs which file it is in, the first time when it was changed. */
#include "diagnose/detectors/tools.h"
#include "tables/win32.h"
#include "base/poison.h"

/* sc-win32-status of 500.19: KB 942055. */
static const struct {
    uint64_t win32;
    const char *title;
    const char *why;
    const char *step;
} cases[] = {
    {13, "The configuration is not valid",
     "The file is not well-formed XML, or holds an element or attribute that nobody declares: most "
     "often the section of a module that is not installed on this machine.",
     "Install the module that owns the section (URL Rewrite, ASP.NET Core, ARR), or delete it."},
    {33, "A locked section is set in web.config",
     "The section is locked at a higher level (overrideModeDefault=\"Deny\" or a location tag), so "
     "a "
     "web.config may not set it.",
     "Unlock it: appcmd unlock config -section:NAME, or move the setting to "
     "applicationHost.config."},
    {5, "The worker may not read the configuration",
     "The identity of the pool has no right to read web.config or a folder above it.",
     "Give the pool's identity read access to the file and its folders."},
    {183, "A collection has the same entry twice",
     "A web.config adds an entry that a level above has already: a MIME type, a handler, a default "
     "document, a connection string.",
     "Put <remove .../> before the <add .../>, or delete the entry."},
    {50, "The configuration has a section that nobody declares",
     "A configuration file sets a section that no configSections declares: the module that owns it "
     "is not installed here, or the file comes from another version. A file of more than 250 KB "
     "ends "
     "this way, too.",
     "Install the module that owns the section, declare it in configSections, or delete it."},
    {3, "The folder of the configuration does not exist",
     "The physicalPath of the site, application or virtual directory names a folder that is not "
     "there.",
     "Correct physicalPath, or bring the folder back."},
    {2, "A file of the configuration does not exist",
     "The configuration names a file, for instance by configSource, that is not there.",
     "Look for configSource attributes and physicalPath."},
    {126, "A library named by the configuration is missing",
     "A module of globalModules, or a library it needs, could not be loaded.",
     "Look at the image attribute in globalModules; reinstall the module or remove its entry."},
    {193, "A library is built for another processor",
     "A module of globalModules is 32-bit in a 64-bit worker, or the other way round.",
     "Compare enable32BitAppOnWin64 of the pool with the module; set preCondition=\"bitness64\"."},
    {267, "The content folder is not usable",
     "The physicalPath is a file, or a share that is no folder.", "Correct physicalPath."},
    {1326, "The account for the content share was refused",
     "The user name or password of the virtual directory, or the pool's identity, does not log on "
     "to "
     "the share.",
     "Set userName and password of the virtualDirectory anew, and test them."},
};

enum { CLIENT_LEFT = 64, CLIENT_ABORTED = 1236, MANY_URLS = 3 };

static void say_scope(const struct model *m, struct findings *fs, struct finding *f)
{
    struct str folder = common_folder(&f->urls);

    if (f->urls.n >= MANY_URLS) {
        say(fs, f,
            "%zu different URLs fail with it, all below %.*s: the fault is in the web.config of "
            "that folder, or above it.",
            f->urls.n, STR_ARG(folder));
        f->severity = SEVERITY_CRITICAL;
    }
    say_onset(m, fs, f);
    if (f->first_s == RECORD_NO_TIME || m->bucket_n == 0)
        return;
    /* All URLs from one moment on is a change; now and then is something else. */
    struct model_bucket after = timeline_between(m, f->first_s, f->last_s);

    if (after.requests >= 10 && ratio(f->count, after.requests) > 0.9)
        say(fs, f,
            "From then on nearly every request failed: a configuration file was changed at that "
            "time.");
}

static void run_row(const struct model *m, struct findings *fs, const struct model_status *row)
{
    static const struct code_case other = {500, 19, SEVERITY_ERROR,
                                           "The configuration could not be used",
                                           "The configuration for the URL could not be used."};
    struct finding *f = detect_row(m, fs, "config-error", row, &other);
    const struct win32_row *code =
        row->win32 > UINT32_MAX ? NULL : win32_find((uint32_t)row->win32);

    if (code)
        f->why =
            findings_text(fs, "The configuration for the URL could not be used: %s.", code->text);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (cases[i].win32 != row->win32)
            continue;
        f->title = findings_text(fs, "%s (500.19, win32 %llu)", cases[i].title,
                                 (unsigned long long)row->win32);
        f->why = str_z(cases[i].why);
        finding_step(f, str_z(cases[i].step));
    }
    if (row->win32 == CLIENT_LEFT || row->win32 == CLIENT_ABORTED) {
        f->severity = SEVERITY_INFO;
        f->why = STR("The connection ended while the request was read: the code is that of the "
                     "network, not of a configuration file. HTTPERR has the same request.");
        return;
    }
    say_scope(m, fs, f);
    if (f->step_n == 0)
        advise_win32(fs, f, row->win32);
    finding_step(
        f, STR("Open the page on the server itself: Config File, Config Error and Config Source "
               "name file, fault and line."));
    finding_step(f, STR("Or run candor check on the site's folder: it names file, line and fault "
                        "without a server."));
}

static void run(const struct model *m, struct findings *fs)
{
    const struct model_status *row;
    struct finding *more = NULL;
    size_t n = 0;

    for (size_t i = 0; (row = model_next_status(m, 500, 19, &i)) != NULL;)
        if (n++ < DETECT_ROWS_MAX)
            run_row(m, fs, row);
        else
            detect_more(m, fs, "config-error", row, &more);
}

const struct detector detector_config_error = {
    .id = "config-error",
    .title = "configuration that could not be used (500.19), why, where and since when",
    .run = run,
};
