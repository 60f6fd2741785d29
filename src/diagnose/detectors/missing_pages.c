/* 404.0: pages that people ask for and that do not exist, apart from what scanners try. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

enum { COUNT_MIN = 10, CLIENTS_MIN = 3 };
static const double notable = 0.05;

static void run(const struct model *m, struct findings *fs)
{
    uint64_t scanned = 0, clients = 0, error = 0;
    const struct model_status *row;

    for (size_t i = 0; i < m->client_n; i++)
        if (m->clients_top[i].not_found * 2 > m->clients_top[i].count)
            scanned += m->clients_top[i].not_found;
    for (size_t i = 0; (row = model_next_status(m, 404, 0, &i)) != NULL;) {
        if (row->clients <= clients)
            continue;
        clients = row->clients;
        error = row->clients_error;
    }
    uint64_t all = model_status_count(m, 404, 0);

    if (all < COUNT_MIN || clients < CLIENTS_MIN || scanned * 2 > all)
        return;
    static const struct code_case c = {404, 0, SEVERITY_INFO, "Pages that do not exist",
                                       "There is no file, folder or application answer at these "
                                       "addresses."};
    struct finding *f = detect_code(m, fs, "missing", &c);

    if (!f)
        return;
    say(fs, f,
        "%s%llu clients asked for them, and most of these clients get other pages: the links are "
        "broken, or files are missing.",
        error ? "About " : "", (unsigned long long)clients);
    if (f->share >= notable)
        f->severity = SEVERITY_WARNING;
    say_onset(m, fs, f);
}

const struct detector detector_missing_pages = {
    .id = "missing",
    .title = "pages that people ask for and that do not exist (404.0)",
    .run = run,
};
