/* 403.14: a folder without default document. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static void run(const struct model *m, struct findings *fs)
{
    static const struct code_case c = {403, 14, SEVERITY_WARNING,
                                       "Folders without a default document",
                                       "The URL is a folder, none of the files of defaultDocument "
                                       "is in it, and directoryBrowse is "
                                       "off."};
    struct finding *f = detect_code(m, fs, "directory-listing", &c);

    if (!f)
        return;
    if (f->urls.n && str_eq(f->urls.at[0].name, STR("/"))) {
        f->severity = SEVERITY_ERROR;
        say(fs, f,
            "The root of a site is among them: nobody gets its start page, as when the application "
            "that should answer \"/\" is not installed or its handler is missing.");
    }
    say_onset(m, fs, f);
}

const struct detector detector_directory_listing = {
    .id = "directory-listing",
    .title = "folders without default document (403.14)",
    .run = run,
};
