/* What is odd about the input itself: lines that were not understood, files that end early, columns
 * that change within a file, padding of NUL bytes, clocks that can't be compared. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

/* Files that get a finding of their own. */
enum { FILES_MAX = 8, UNREAD_NAMED = 5 };

static void add_misfits(struct findings *fs, struct finding *f, const struct model *m,
                        uint32_t file)
{
    const struct model_file *mf = &m->files[file];

    for (size_t i = 0; i < mf->misfit_n && f->evidence_n < FINDING_EVIDENCE_MAX; i++) {
        struct model_sample *s = ARENA_NEW(&fs->arena, struct model_sample);

        *s = (struct model_sample){.file = file,
                                   .line = mf->misfits[i].line,
                                   .time_s = RECORD_NO_TIME,
                                   .text = mf->misfits[i].text};
        f->evidence[f->evidence_n++] = s;
    }
}

static void find_misfits(const struct model *m, struct findings *fs)
{
    uint64_t lines = 0, records = 0, files = 0;

    for (size_t i = 0; i < m->file_n; i++) {
        lines += m->files[i].not_understood;
        records += m->files[i].records;
        files += m->files[i].not_understood ? 1 : 0;
    }
    if (lines == 0)
        return;
    struct finding *f =
        findings_add(fs, "input-lines", lines * 20 > records ? SEVERITY_WARNING : SEVERITY_INFO);

    for (size_t i = 0; i < m->file_n; i++)
        add_misfits(fs, f, m, (uint32_t)i);
    f->count = lines;
    f->title = findings_text(fs, "%llu line%s of %llu file%s could not be understood",
                             (unsigned long long)lines, plural(lines), (unsigned long long)files,
                             plural(files));
    f->why =
        findings_text(fs,
                      "They are counted nowhere else. %llu records were read from the same input; "
                      "the first few lines are below.",
                      (unsigned long long)records);
    finding_step(
        f, STR("Look at the lines: torn ends of files that are being written are harmless, columns "
               "without a #Fields line are not."));
}

/* The files past the first ones. */
static void add_more_files(struct findings *fs, const char *id, size_t files, const char *what)
{
    if (files <= FILES_MAX)
        return;
    struct finding *f = findings_add(fs, id, SEVERITY_INFO);

    f->count = files - FILES_MAX;
    f->title = findings_text(fs, "%zu more files %s", files - FILES_MAX, what);
    f->why = STR("The first of them have findings of their own.");
    finding_step(f, STR("Look at the table of the input in the JSON or HTML report."));
}

static bool is_unread(const struct model_file *f)
{
    return f->kind == LOG_UNKNOWN && f->problem.n;
}

/* Files that are no logs are normal in a folder that somebody packed up; alone they are a mistake.
 */
static void find_unread(const struct model *m, struct findings *fs)
{
    size_t n = 0, read = 0, no_logs = 0;
    size_t refused = 0;

    for (size_t i = 0; i < m->file_n; i++) {
        const struct model_file *mf = &m->files[i];
        n += is_unread(mf);
        no_logs += is_unread(mf) && mf->is_no_log;
        refused += is_unread(mf) && str_find(mf->problem, STR("Permission denied")) != SIZE_MAX;
        read += m->files[i].records != 0;
    }
    if (n == 0)
        return;
    struct finding *f =
        findings_add(fs, "input-unread", read && no_logs == n ? SEVERITY_INFO : SEVERITY_WARNING);
    size_t named = 0;

    f->count = n;
    f->title = findings_text(fs, "%zu file%s not read", n, n == 1 ? " was" : "s were");
    for (size_t i = 0; i < m->file_n && named < UNREAD_NAMED; i++) {
        if (!is_unread(&m->files[i]))
            continue;
        say(fs, f, "%.*s: %.*s.", STR_ARG(m->files[i].path), STR_ARG(m->files[i].problem));
        named++;
    }
    if (n > named)
        say(fs, f, "And %zu more, which the table of the input names.", n - named);
    if (refused)
        finding_step(f, STR("Read them as a user who may: with sudo, as the owner, or in the group "
                            "that the logs belong to."));
    if (no_logs)
        finding_step(f, STR("Nothing, if these are no logs of a web server."));
    if (no_logs + refused < n)
        finding_step(f, STR("Look at the spelling of the path, or fetch the file again from where "
                            "it comes."));
}

static void find_shape(const struct model *m, struct findings *fs)
{
    size_t n = 0;

    for (size_t i = 0; i < m->file_n; i++) {
        const struct model_file *mf = &m->files[i];

        if (is_unread(mf) ||
            (mf->problem.n == 0 && mf->refitted == 0 && mf->nul_bytes == 0 && mf->odd_values == 0))
            continue;
        if (n++ >= FILES_MAX)
            continue;
        struct finding *f =
            findings_add(fs, "input-file", mf->problem.n ? SEVERITY_WARNING : SEVERITY_INFO);

        f->count = mf->records;
        f->first_s = mf->first_s;
        f->last_s = mf->last_s;
        f->title = findings_text(fs, "%.*s is not as it should be", STR_ARG(mf->path));
        if (mf->problem.n)
            say(fs, f, "Reading ended early: %.*s.", STR_ARG(mf->problem));
        if (mf->refitted)
            say(fs, f,
                "%llu record%s did not fit the #Fields line above and were understood by their "
                "shape: the columns changed without a new header.",
                (unsigned long long)mf->refitted, plural(mf->refitted));
        if (mf->nul_bytes)
            say(fs, f,
                "%llu NUL bytes were skipped: the machine lost power or the disk was full while "
                "the file was written, and records of that moment are missing.",
                (unsigned long long)mf->nul_bytes);
        if (mf->odd_values)
            say(fs, f, "%llu value%s not of the type of %s column.",
                (unsigned long long)mf->odd_values, mf->odd_values == 1 ? " is" : "s are",
                mf->odd_values == 1 ? "its" : "their");
        add_misfits(fs, f, m, (uint32_t)i);
        finding_step(
            f, STR("Nothing, if the figures make sense; else check how the file was copied."));
    }
    add_more_files(fs, "input-file-more", n, "are not as they should be");
}

static void find_clocks(const struct model *m, struct findings *fs)
{
    size_t local = 0, utc = 0, example = 0;

    for (size_t i = 0; i < m->file_n; i++) {
        if (m->files[i].first_s == RECORD_NO_TIME)
            continue;
        if (m->files[i].has_local_time) {
            local++;
            example = i;
        } else {
            utc++;
        }
    }
    if (local == 0 || utc == 0)
        return;
    struct finding *f = findings_add(fs, "input-clocks", SEVERITY_INFO);

    f->count = local;
    f->title = STR("Files with local time stand beside files with UTC");
    f->why = findings_text(
        fs,
        "%zu file%s, such as %.*s, %s the local time of the machine that wrote %s, %zu "
        "UTC. Times of the two kinds differ by that machine's offset, so what happens "
        "together here may not have.",
        local, local == 1 ? "" : "s", STR_ARG(m->files[example].path), local == 1 ? "has" : "have",
        local == 1 ? "it" : "them", utc);
    finding_step(f, STR("Diagnose them apart, or log in W3C format, which is UTC."));
}

/* A clock that was set back, or files put together in the wrong order. */
static void find_backward(const struct model *m, struct findings *fs)
{
    size_t n = 0;

    for (size_t i = 0; i < m->file_n; i++) {
        const struct model_file *mf = &m->files[i];

        if (mf->backward == 0 || n++ >= FILES_MAX)
            continue;
        struct finding *f = findings_add(fs, "input-order", SEVERITY_INFO);

        f->count = mf->backward;
        f->first_s = mf->first_s;
        f->last_s = mf->last_s;
        f->title = findings_text(fs, "Time goes back in %.*s", STR_ARG(mf->path));
        f->why = findings_text(
            fs,
            "%llu time%s a record is older than the one before it, by %lld s at most. "
            "Either the clock was set back, or files were put together in another order "
            "than they were written. Counts are right; what came before what may not be.",
            (unsigned long long)mf->backward, plural(mf->backward), (long long)mf->backward_most_s);
        finding_step(
            f, STR("Look at the time service of that machine; Kerberos fails when clocks differ by "
                   "more than five minutes."));
    }
    add_more_files(fs, "input-order-more", n, "in which time goes back");
}

static void find_layouts(const struct model *m, struct findings *fs)
{
    uint64_t changes = 0;
    size_t files = 0, example = 0;

    for (size_t i = 0; i < m->file_n; i++) {
        if (m->files[i].layout_changes == 0)
            continue;
        changes += m->files[i].layout_changes;
        example = files++ ? example : i;
    }
    if (changes == 0)
        return;
    struct finding *f = findings_add(fs, "input-layout", SEVERITY_INFO);

    f->count = changes;
    f->title =
        findings_text(fs, "The columns change within %zu file%s", files, files == 1 ? "" : "s");
    f->why = findings_text(
        fs,
        "A #Fields line differs from the one before, %llu time%s, first in %.*s: somebody "
        "changed the fields to log. Each record is read by the line above it, but columns "
        "that only a part has, such as time-taken, count for that part alone.",
        (unsigned long long)changes, plural(changes), STR_ARG(m->files[example].path));
    finding_step(f, STR("Nothing. The fields in force now are the last ones."));
}

static void run(const struct model *m, struct findings *fs)
{
    find_misfits(m, fs);
    find_unread(m, fs);
    find_shape(m, fs);
    find_clocks(m, fs);
    find_backward(m, fs);
    find_layouts(m, fs);
}

const struct detector detector_input_quality = {
    .id = "input",
    .title = "lines, files and clocks of the input that are not as they should be",
    .run = run,
};
