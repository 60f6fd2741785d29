#include "stopwatch.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

/* One thread's wait for a processor, in nanoseconds; 0 if the kernel does not count it. */
static uint64_t waited_by(const char *tasks, const char *task)
{
    char path[400];
    unsigned long long ran = 0, waited = 0;

    snprintf(path, sizeof(path), "%s/%s/schedstat", tasks, task);
    FILE *f = fopen(path, "re");

    if (f && fscanf(f, "%llu %llu", &ran, &waited) != 2)
        waited = 0;
    if (f)
        fclose(f);
    return waited;
}

/* What a hypervisor has taken from all processors, in milliseconds. */
static uint64_t stolen_ms(void)
{
    unsigned long long stolen = 0;
    FILE *f = fopen("/proc/stat", "re");

    if (f && fscanf(f, "cpu %*u %*u %*u %*u %*u %*u %*u %llu", &stolen) != 1)
        stolen = 0;
    if (f)
        fclose(f);
    return stolen * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK);
}

static uint64_t waited_by_all(pid_t pid)
{
    char path[64];
    uint64_t ns = 0;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);

    for (struct dirent *e; tasks && (e = readdir(tasks));)
        if (e->d_name[0] != '.')
            ns += waited_by(path, e->d_name);
    if (tasks)
        closedir(tasks);
    return ns;
}

static uint64_t waited_ms(pid_t other)
{
    return (waited_by_all(getpid()) + (other ? waited_by_all(other) : 0)) / 1000000 + stolen_ms();
}

struct stopwatch stopwatch_start_with(pid_t other)
{
    return (struct stopwatch){clock_mono_ms(), waited_ms(other), other};
}

struct stopwatch stopwatch_start(void)
{
    return stopwatch_start_with(0);
}

uint64_t stopwatch_ms(const struct stopwatch *w)
{
    uint64_t passed = clock_mono_ms() - w->began_ms, waited = waited_ms(w->other);

    waited = waited > w->waited_ms ? waited - w->waited_ms : 0;
    return passed > waited ? passed - waited : 0;
}
