/* The file is there but nothing serves it: 404.2, 404.3, 404.4, 404.16, 404.17, 404.20, 403.1, 405.
 */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static const struct code_case cases[] = {
    {404, 2, SEVERITY_ERROR, "A CGI or ISAPI program is not allowed to run",
     "isapiCgiRestriction does not list the program with allowed=\"true\". After the installation "
     "of "
     "a runtime this is a registration that is missing."},
    {404, 3, SEVERITY_WARNING, "Files whose extension has no MIME type",
     "The files exist, but staticContent has no mimeMap for the extension, so they are not served. "
     "Fonts, .json, .webmanifest and the like are the usual ones after a deployment."},
    {404, 4, SEVERITY_ERROR, "No handler fits the request",
     "No entry of handlers matches path, verb and preconditions, or a rewrite points to another "
     "host "
     "while the proxy is off."},
    {404, 16, SEVERITY_INFO, "WebDAV requests where WebDAV is off",
     "A WebDAV client, often Office or Explorer opening a link, asked a path that has no "
     "authoring."},
    {404, 17, SEVERITY_ERROR, "Scripts that reach the handler of static files",
     "The script handler's preCondition does not fit the pool (bitness, version, pipeline mode), "
     "or "
     "the script engine is not installed, so the static file handler got the request and refused "
     "to "
     "send the source."},
    {404, 20, SEVERITY_WARNING, "URLs with too many segments", NULL},
    {403, 1, SEVERITY_WARNING, "Scripts in a folder that may not run them",
     "The handler needs Script or Execute and handlers/accessPolicy does not grant it."},
    {405, -1, SEVERITY_WARNING, "Verbs that the handler does not take",
     "A verb other than GET or HEAD reached a static file or default document, or WebDAV took PUT "
     "and "
     "DELETE from the application."},
};

static void run(const struct model *m, struct findings *fs)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct finding *f = detect_code(m, fs, "handler", &cases[i]);
        if (f)
            say_onset(m, fs, f);
    }
}

const struct detector detector_handler = {
    .id = "handler",
    .title = "files and verbs that no handler serves (404.2, 404.3, 404.4, 404.17, 405)",
    .run = run,
};
