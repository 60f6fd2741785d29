/* 500.30 to 500.38 and the failures in logs of the ASP.NET Core Module. */
#include "diagnose/detectors/tools.h"
#include "base/poison.h"

static const struct code_case cases[] = {
    {500, 30, SEVERITY_CRITICAL, "The ASP.NET Core program did not start in the worker",
     "The program loaded into the worker and ended during its start: an exception in Program or "
     "Startup, "
     "a setting or connection string that is missing here."},
    {500, 31, SEVERITY_CRITICAL, "The .NET runtime the program needs was not found",
     "No installed version of Microsoft.NETCore.App or Microsoft.AspNetCore.App fits what "
     "runtimeconfig.json asks for."},
    {500, 32, SEVERITY_CRITICAL, "The ASP.NET Core program is for another processor",
     "The program's library does not load into this worker: 32-bit against 64-bit."},
    {500, 33, SEVERITY_CRITICAL, "The ASP.NET Core request handler was not found",
     "The program does not reference the ASP.NET Core framework, or its version is not installed."},
    {500, 34, SEVERITY_ERROR, "In-process and out-of-process programs share a pool",
     "One pool can host only one kind: give each application a pool of its own."},
    {500, 35, SEVERITY_ERROR, "Two in-process programs share a pool",
     "A worker can host one in-process program only: give each application a pool of its own."},
    {500, 36, SEVERITY_CRITICAL, "The out-of-process handler was not found",
     "aspnetcorev2_outofprocess.dll is missing beside the module: repair the hosting bundle."},
    {500, 37, SEVERITY_CRITICAL, "The ASP.NET Core program did not start in time",
     "startupTimeLimit (120 s) passed before the program listened: many programs starting at once "
     "after "
     "a reboot, or a slow dependency."},
    {500, 38, SEVERITY_CRITICAL, "The ASP.NET Core program's library was not found",
     "A single-file program cannot be hosted in the worker: publish it as files, or host it "
     "out-of-process."},
};

static void find_log_failures(const struct model *m, struct findings *fs)
{
    if (m->ancm_failure_count == 0)
        return;
    struct finding *f = findings_add(fs, "aspnetcore-log", SEVERITY_ERROR);

    f->count = m->ancm_failure_count;
    for (size_t i = 0; i < m->ancm_failures.n; i++)
        if (m->ancm_failures.at[i].time_s != RECORD_NO_TIME &&
            (f->first_s == RECORD_NO_TIME || m->ancm_failures.at[i].time_s < f->first_s))
            f->first_s = m->ancm_failures.at[i].time_s;
    finding_samples(f, &m->ancm_failures);
    f->title = findings_text(fs, "The ASP.NET Core log reports %llu failure%s",
                             (unsigned long long)f->count, plural(f->count));
    f->why = STR(
        "Lines of the module's debug log or of the program's own output report an exception or a "
        "start that failed. The first one is the cause; what follows is often its consequence.");
    finding_step(f, STR("Read the first of the lines below and the twenty around it."));
    finding_step(
        f, STR("Start the program by hand as the pool's user in its folder: dotnet NAME.dll."));
    finding_relate(f, STR("500.30"));
}

static void run(const struct model *m, struct findings *fs)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct finding *f = detect_code(m, fs, "aspnetcore", &cases[i]);

        if (!f)
            continue;
        say_onset(m, fs, f);
        if (f->step_n == 0) {
            finding_step(
                f, STR("Read the application events (source IIS AspNetCore Module V2): they hold "
                       "the exception."));
            finding_step(
                f, STR("Switch on stdoutLogEnabled in aspNetCore, start once, and read the file."));
            finding_step(f, STR("Start the program by hand as the pool's user in its folder."));
        }
        if (m->ancm_failure_count)
            finding_relate(f, STR("aspnetcore-log"));
    }
    find_log_failures(m, fs);
}

const struct detector detector_aspnetcore = {
    .id = "aspnetcore",
    .title = "ASP.NET Core programs that do not start (500.30 to 500.38) and what their logs say",
    .run = run,
};
