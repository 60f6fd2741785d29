/* 404.5 to 404.15, 404.18, 404.19 and 413.1: request filtering, by the filter that said no. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static const struct code_case cases[] = {
    {404, 5, SEVERITY_INFO, "URLs with a denied sequence",
     "The path holds a sequence of denyUrlSequences."},
    {404, 6, SEVERITY_WARNING, "Verbs that request filtering denies",
     "The verb is denied, or not listed while verbs allowUnlisted is false. Verbs are compared "
     "with "
     "letter case."},
    {404, 7, SEVERITY_INFO, "File extensions that request filtering denies",
     "The extension is denied in fileExtensions, as those of sources and configuration are by "
     "default."},
    {404, 8, SEVERITY_INFO, "Hidden segments were asked for",
     "A segment of the path is listed in hiddenSegments: web.config, bin, App_Data and their like "
     "by "
     "default."},
    {404, 9, SEVERITY_INFO, "Hidden files were asked for",
     "The file carries the hidden attribute."},
    {404, 11, SEVERITY_WARNING, "URLs that are escaped twice",
     "Decoding the URL a second time changes it (%252F), or the path holds a plus sign, and "
     "allowDoubleEscaping is false. Applications that put file names or tokens into the path meet "
     "this."},
    {404, 12, SEVERITY_WARNING, "URLs with characters beyond ASCII",
     "The path holds a character above 0x7F and allowHighBitCharacters is false."},
    {404, 13, SEVERITY_WARNING, "Uploads over maxAllowedContentLength",
     "The body is longer than requestLimits/maxAllowedContentLength, 30000000 bytes by default."},
    {413, 1, SEVERITY_WARNING, "Uploads over maxAllowedContentLength",
     "The body is longer than requestLimits/maxAllowedContentLength, 30000000 bytes by default."},
    {404, 14, SEVERITY_WARNING, "URLs over maxUrl",
     "The path is longer than requestLimits/maxUrl, 4096 bytes by default."},
    {404, 15, SEVERITY_WARNING, "Query strings over maxQueryString",
     "The query string is longer than requestLimits/maxQueryString, 2048 bytes by default: return "
     "addresses that grow with each redirect, reports with many parameters, or an attack."},
    {404, 18, SEVERITY_INFO, "Query strings with a denied sequence",
     "The query string holds a sequence of denyQueryStringSequences."},
    {404, 19, SEVERITY_INFO, "Requests that a filtering rule denies",
     "A rule of filteringRules matched; the trace names it."},
};

/* Refusals of what nobody should get are the filter's work; of a site's own pages they are not. */
static void judge(const struct model *m, struct findings *fs, struct finding *f)
{
    uint64_t served = 0;

    for (size_t i = 0; i < f->urls.n && i < 3; i++)
        for (size_t k = 0; k < m->url_n; k++)
            if (str_ieq(m->urls[k].url, f->urls.at[i].name))
                served += m->urls[k].count - m->urls[k].errors_4xx - m->urls[k].errors_5xx;
    if (served > 0) {
        f->severity = SEVERITY_WARNING;
        say(fs, f,
            "The same URLs were served %llu time%s as well: users are refused, not scanners.",
            (unsigned long long)served, plural(served));
    } else if (f->severity == SEVERITY_INFO) {
        say(fs, f, "None of these URLs was ever served: the filter does its work.");
    }
}

static void run(const struct model *m, struct findings *fs)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct finding *f = detect_code(m, fs, "filtering", &cases[i]);
        if (f)
            judge(m, fs, f);
    }
}

const struct detector detector_filtering = {
    .id = "filtering",
    .title = "requests that request filtering refused, by the filter that did",
    .run = run,
};
